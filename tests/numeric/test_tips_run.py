"""A rotor by cross-field stimulation: its tip, in one run, after a checkpoint, on several ranks, in a volume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_checkpoint import end_at, files
from test_ranks import needs_mpi, on_ranks

from upstroke import load_case
from upstroke.case.toml import write_document
from upstroke.errors import Ended
from upstroke.run import resume, run

SHOCK = {"current": "100 uA/cm^2", "duration": "1 ms"}
ROTOR: dict[str, Any] = {
    "mesh": {"kind": "grid", "size": ["24 mm", "24 mm"], "dx": "0.5 mm"},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["1 mS/cm"]}, "waves": "lumped"},
    "membrane": {"model": "MitchellSchaeffer", "parameters": {"tau_close": 20, "tau_open": 20}},
    "time": {"end": "140 ms", "dt": "0.1 ms", "diffusion": "explicit"},
    "stimulus": [{"box": {"min": ["0 mm", "0 mm"], "max": ["1 mm", "24 mm"]}, **SHOCK},
                 {"box": {"min": ["0 mm", "0 mm"], "max": ["12 mm", "12 mm"]}, **SHOCK, "duration": "2 ms",
                  "start": "75 ms"}],
    "watch": {"tips": {"every": "2 ms"}, "snapshots": {"every": "20 ms"}},
    "output": {"picture": False}, "backend": {"device": "cpu"}}


def test_a_rotor_has_a_tip(tmp_path: Path) -> None:
    """The second stimulus excites what has recovered, at the lower left; the wave turns round its end, clockwise."""
    result = run(load_case(ROTOR), tmp_path / "run")
    tips = result.tips()
    assert result.summary["tips"] == {"in_all": 1, "most_at_once": 1, "at_end": 1}
    assert np.allclose(tips["time_ms"], np.arange(tips["time_ms"][0], 140.1, 2.0)) and tips["time_ms"][0] < 80
    assert set(tips["rotation"]) == {-1.0} and set(tips["tip"]) == {0.0}
    way = np.hypot(np.diff(tips["x_mm"]), np.diff(tips["y_mm"]))
    assert way.max() < 3.0 and way[5:].max() < 0.5 and abs(tips["y_mm"] - 13.0).max() < 4.0
    assert result.state.variable("V").max() > -20           # and it is still there

    without = run(load_case(ROTOR | {"stimulus": ROTOR["stimulus"][0], "time": ROTOR["time"] | {"end": "60 ms"}}),
                  tmp_path / "one")
    assert without.summary["tips"]["in_all"] == 0 and without.tips()["tip"].tolist() == []


def test_h_in_place_of_the_past(tmp_path: Path) -> None:
    """h falls after V rises, so it turns the other way; the tip is the same within what the wave goes in the delay."""
    past = run(load_case(ROTOR), tmp_path / "past").tips()
    table = {"every": "2 ms", "recovery": "h", "recovery_level": 0.5}
    gate = run(load_case(ROTOR | {"watch": {"tips": table}}), tmp_path / "h").tips()
    late = gate["time_ms"] >= 100
    longest = np.bincount(gate["tip"][late].astype(int)).argmax()
    own = late & (gate["tip"] == longest)
    assert own.sum() == 21 and set(gate["rotation"][own]) == {1.0}
    other = past["time_ms"] >= 100
    apart = np.hypot(gate["x_mm"][own] - past["x_mm"][other], gate["y_mm"][own] - past["y_mm"][other])
    assert apart.max() < 3.0


def test_it_goes_on_from_a_checkpoint_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = load_case(ROTOR | {"watch": ROTOR["watch"] | {"tips": {"every": "2 ms", "delay": "6.5 ms"}}})
    run(case, tmp_path / "whole")
    for steps, go in ((37, lambda: run(case, tmp_path / "parts")), (903, lambda: resume(tmp_path / "parts")),
                      (1261, lambda: resume(tmp_path / "parts"))):
        with monkeypatch.context() as patch, pytest.raises(Ended):
            end_at(patch, steps)
            go()
    resume(tmp_path / "parts")
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    assert len((tmp_path / "whole" / "tips.csv").read_text().splitlines()) > 20


@needs_mpi
def test_several_ranks_see_the_same(tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text(write_document(ROTOR | {"time": ROTOR["time"] | {"end": "90 ms"}}))
    one = run(load_case(tmp_path / "case.toml"), tmp_path / "one").tips()
    done = on_ranks(2, "run", tmp_path / "case.toml", "--out", tmp_path / "two", "--quiet")
    assert done.returncode == 0, done.stderr
    two = np.loadtxt(tmp_path / "two" / "tips.csv", delimiter=",", skiprows=1).T
    np.testing.assert_allclose(two, list(one.values()), atol=1e-6)


def test_a_filament_through_a_slab(tmp_path: Path) -> None:
    size = {"size": ["24 mm", "24 mm", "2 mm"], "dx": "1 mm"}
    result = run(load_case(ROTOR | {"mesh": {"kind": "grid", **size}, "time": ROTOR["time"] | {"end": "130 ms"}}),
                 tmp_path / "run")
    found = result.tips()
    assert list(found) == ["time_ms", "filament", "length_mm", "ends", "x_mm", "y_mm", "z_mm"]
    late = found["time_ms"] > 100
    assert late.sum() == 15 and set(found["ends"][late]) == {2.0}
    assert found["length_mm"][late] == pytest.approx(2.0, abs=0.2)
    assert found["z_mm"][late] == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("kind", ["past", "gate", "filament"])
def test_a_gpu_sees_the_same(tmp_path: Path, emulated_cupy: None, kind: str) -> None:
    """A whole run on the stand-in: copies of V and the gate come while steps go on, and all of them are kept."""
    size = ["12 mm", "12 mm", "2 mm"] if kind == "filament" else ["12 mm", "12 mm"]
    turn = {"beats": 3, "period": "60 ms", "phase": "atan2(y - 6.2 mm, x - 5.7 mm) / (2 * pi)"}
    tips = {"every": "0.5 ms"} | ({"recovery": "h", "recovery_level": 0.5} if kind == "gate" else {"delay": "2 ms"})
    case = ROTOR | {"mesh": {"kind": "grid", "size": size, "dx": "1 mm"}, "stimulus": [], "watch": {"tips": tips},
                    "membrane": ROTOR["membrane"] | {"prepace": turn}, "time": ROTOR["time"] | {"end": "4 ms"}}
    host, device = (run(load_case(case | {"backend": {"device": name}}), tmp_path / name) for name in ("cpu", "cuda"))
    assert json.loads((device.directory / "manifest.json").read_text())["backend"]["device"] == "cuda"
    assert host.summary["tips"] == device.summary["tips"]
    found, expected = device.tips(), host.tips()
    assert list(found) == list(expected) and len(set(found["time_ms"])) >= 5
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6, err_msg=name)
