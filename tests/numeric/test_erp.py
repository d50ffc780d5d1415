"""The effective refractory period: found by trials that are runs, within the tolerance, with errors that help."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upstroke import load_case, run
from upstroke.errors import UpstrokeError
from upstroke.experiments.erp import find_erp

END = {"box": {"min": ["0 mm"], "max": ["1 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"}
CABLE: dict[str, Any] = {
    "mesh": {"kind": "cable", "length": "20 mm", "dx": "0.25 mm"},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["2 mS/cm"]}},
    "membrane": {"model": "MitchellSchaeffer", "parameters": {"tau_close": 60, "tau_open": 60}},
    "time": {"end": "900 ms", "dt": "0.1 ms"},
    "stimulus": [END | {"name": "S1", "period": "300 ms", "count": 2}, END | {"name": "S2", "start": "600 ms"}],
    "watch": {"probes": {"points": {"far": ["15 mm"]}, "every": "1 ms"}, "stop_when_quiet": {},
              "activation": {"threshold": "-40 mV"}},
    "output": {"picture": False}, "backend": {"device": "cpu", "threads": 1}}


def with_s2(interval: float) -> dict[str, Any]:
    return CABLE | {"stimulus": [CABLE["stimulus"][0], CABLE["stimulus"][1] | {"start": f"{300 + interval:.9g} ms"}],
                    "watch": CABLE["watch"] | {"spikes": {"points": {"far": ["15 mm"]}, "threshold": "-40 mV"}}}


@pytest.mark.parametrize("splitting", ["godunov", "strang"])
def test_a_trial_is_a_run(tmp_path: Path, splitting: str) -> None:
    time = {"time": CABLE["time"] | {"splitting": splitting}}
    found = find_erp(load_case(CABLE | time), 80.0, 290.0, 1.0, out=tmp_path / "erp")
    assert 0.0 < found.captured_ms - found.erp_ms <= 1.0 and found.directory == tmp_path / "erp"
    for trial in (found.trials[0], *(t for t in found.trials if t.interval_ms in (found.erp_ms, found.captured_ms))):
        spikes = run(load_case(with_s2(trial.interval_ms) | time), tmp_path / f"{trial.interval_ms:g}").spikes()["far"]
        late = spikes[spikes > 300.0 + trial.interval_ms] - 300.0 - trial.interval_ms
        assert len(late) == trial.captured
        assert not trial.captured or late[0] == pytest.approx(trial.delay_ms, abs=1e-9)       # 12 digits in the file
    table = list(csv.DictReader((tmp_path / "erp" / "erp.csv").open()))
    assert [float(row["interval_ms"]) for row in table] == sorted(t.interval_ms for t in found.trials)
    assert [row["captured"] for row in table] == sorted(row["captured"] for row in table)
    about = json.loads((tmp_path / "erp" / "erp.json").read_text())
    assert (about["erp_ms"], about["probe"], len(about["trials"])) == (found.erp_ms, "far", len(found.trials))
    delays = [t.delay_ms for t in sorted(found.trials, key=lambda t: t.interval_ms) if t.captured]
    assert np.all(np.diff(delays) < 0.0)                      # the earlier, the slower


def test_the_result_is_within_the_tolerance(tmp_path: Path) -> None:
    fine = find_erp(load_case(CABLE), 80.0, 290.0, 0.1, out=tmp_path / "fine")
    coarse = find_erp(load_case(CABLE), 80.0, 290.0, 5.0, out=tmp_path / "coarse")
    assert fine.captured_ms - fine.erp_ms == pytest.approx(0.1)
    assert coarse.erp_ms <= fine.erp_ms < coarse.captured_ms and coarse.captured_ms - coarse.erp_ms <= 5.0
    assert len(coarse.trials) < len(fine.trials)


BROKEN = {
    "high": ({}, (80.0, 100.0, 1.0, "S2", None), "--to: no wave of S2 comes to probe far at 100 ms\n  -> raise it, or "
             "the strength of S2; time.end says for how long a wave is waited for"),
    "low": ({}, (200.0, 290.0, 1.0, "S2", None), "--from: S2 captures at 200 ms already\n  -> lower it"),
    "no interval": ({}, (200.0, 100.0, 1.0, "S2", None), "--from and --to: 200 and 100 ms are no interval\n"
                    '  -> for example --from "150 ms" --to "400 ms"'),
    "too early": ({}, (2.0, 290.0, 1.0, "S2", None), "--from: the last S1 has not come to probe far after 2 ms\n"
                  "  -> check that S1 captures, raise --from, or take a probe that is nearer"),
    "unknown stimulus": ({}, (80.0, 290.0, 1.0, "S3", None), "--stimulus: the case has no stimulus 'S3'\n"
                         "  -> known: S1, S2"),
    "unknown probe": ({}, (80.0, 290.0, 1.0, "S2", "fa"), "--probe: the case has no probe 'fa'\n"
                      "  -> did you mean 'far'?"),
    "several probes": ({"watch": {"probes": {"points": {"a": ["9 mm"], "b": ["8 mm"]}, "every": "1 ms"}}},
                       (80.0, 290.0, 1.0, "S2", None), "--probe: the case has several: a, b\n"
                       "  -> name the one that a wave is to reach"),
    "no probe": ({"watch": {}}, (80.0, 290.0, 1.0, "S2", None),
                 "case: there is no probe at which a wave of S2 could be seen\n"
                 '  -> add [watch.probes] with points = { far = ["20 mm"] } and every = "1 ms"'),
    "a train": ({}, (80.0, 290.0, 1.0, "S1", None), "case: S1 has 2 pulses\n"
                "  -> the stimulus whose interval is sought has one"),
    "alone": ({"stimulus": CABLE["stimulus"][1:]}, (80.0, 290.0, 1.0, "S2", None),
              'case: there is no stimulus before S2\n  -> add one: name = "S1", with period and count'),
    "short": ({"time": {"end": "601 ms", "dt": "0.1 ms"}}, (80.0, 290.0, 1.0, "S2", None),
              "case: time.end is 1 ms after the start of S2: too soon for a wave to come\n  -> raise time.end"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_searched(name: str, tmp_path: Path) -> None:
    change, arguments, message = BROKEN[name]
    with pytest.raises(UpstrokeError) as error:
        find_erp(load_case(CABLE | change), *arguments, out=tmp_path / "out")
    assert str(error.value) == message


def test_a_neuron_has_no_such_period() -> None:
    neuron = {"mesh": {"kind": "sections", "section": [{"name": "soma", "length": "20 um", "diameter": "20 um"}]},
              "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": {"model": "Passive"},
              "time": {"end": "1 ms", "dt": "0.1 ms"}}
    with pytest.raises(UpstrokeError) as error:
        find_erp(load_case(neuron), 80.0, 290.0)
    assert str(error.value) == ("tissue: upstroke erp is for tissue, and this is a neuron\n"
                                "  -> give a case with [tissue]")


def test_the_command(tmp_path: Path) -> None:
    def erp(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "upstroke", "erp", *words], capture_output=True, text=True,
                              cwd=tmp_path)

    case = Path(__file__).parents[2] / "cases" / "s1s2_slab"
    done = erp(str(case), "--from", "80", "--to", "290 ms")
    assert (done.returncode, done.stderr) == (2, '--from: "80" has no unit, expected a time\n'
                                              '  -> write "80 ms" or "80 s"\n')
