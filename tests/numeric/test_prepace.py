"""Cells are paced before the run, tissue starts where they are; phases of a beat make a rotor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upstroke import load_case, prepace, run
from upstroke.errors import UpstrokeError
from upstroke.ionic import initial_state, load_model
from upstroke.run import prepare

PACE = {"beats": 3, "period": "400 ms", "current": "50 uA/cm^2", "duration": "1 ms"}
CABLE: dict[str, Any] = {
    "mesh": {"kind": "cable", "length": "1 mm", "dx": "0.5 mm"},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["2 mS/cm"]}},
    "membrane": {"model": "tenTusscherPanfilov", "prepace": PACE}, "time": {"end": "0.1 ms", "dt": "0.05 ms"},
    "output": {"picture": False}, "backend": {"device": "cpu", "threads": 1}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(prepace, "cache_directory", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_it_is_what_tissue_does_that_is_stimulated_everywhere(tmp_path: Path) -> None:
    ready = prepare(load_case(CABLE))
    everywhere = {"box": {"min": ["0 mm"], "max": ["1 mm"]}, **{k: v for k, v in PACE.items() if k != "beats"}}
    paced = run(CABLE | {"membrane": {"model": "tenTusscherPanfilov"}, "stimulus": everywhere | {"count": 3},
                         "time": {"end": "1200 ms", "dt": "0.05 ms"}}, tmp_path / "out")
    fresh = prepare(load_case(CABLE | {"membrane": {"model": "tenTusscherPanfilov"}}))
    for name in ("V", "CaSR", "Nai", "Ki", "F2"):
        mine, theirs, model = (s.state.variable(name)[0] for s in (ready, paced, fresh))
        assert mine == pytest.approx(theirs, rel=1e-3), name
        assert abs(mine - model) > 10.0 * abs(mine - theirs), name
    assert ready.notes[0].startswith("tenTusscherPanfilov: paced for 3 beats of 400 ms before; over the last, ")
    assert ready.notes[0].endswith(": it is not steady, or alternates")


def test_it_is_done_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(load_case(CABLE)).state.variable("V").copy()
    kept, = cache.glob("*.beat.npz")
    with monkeypatch.context() as patch:
        patch.setattr(prepace, "_pace", lambda *_: pytest.fail("it was paced again"))
        assert np.array_equal(prepare(load_case(CABLE)).state.variable("V"), first)
    kept.write_bytes(kept.read_bytes()[:100])                    # one that is damaged is made anew
    assert np.array_equal(prepare(load_case(CABLE)).state.variable("V"), first)
    other = CABLE | {"membrane": CABLE["membrane"] | {"prepace": PACE | {"beats": 2}}}
    assert not np.array_equal(prepare(load_case(other)).state.variable("V"), first)


def test_phases_are_moments_of_the_last_beat() -> None:
    phase = {"prepace": PACE | {"phase": "x / (1 mm) - 1"}}
    V = prepare(load_case(CABLE | {"membrane": CABLE["membrane"] | phase})).state.variable("V")
    trace = prepace.paced(prepare(load_case(CABLE)).membranes[0].model, load_case(CABLE).membrane[0].prepace,
                          initial_state(load_model("tenTusscherPanfilov")), 0.05, 1.0)[0].values["V"]
    assert len(trace) == 4001 and V[0] == trace[0] and V[1] == trace[2000] and V[2] == trace[0]
    assert trace[0] < -80.0 < 0.0 < trace[2000 // 4] and trace[-1] == prepare(load_case(CABLE)).state.variable("V")[0]


SHEET: dict[str, Any] = {
    "mesh": {"kind": "grid", "size": ["40 mm", "40 mm"], "dx": "1 mm"},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["1 mS/cm"]}},
    "membrane": {"model": "MitchellSchaeffer", "parameters": {"tau_close": 60, "tau_open": 60}, "prepace": {
        "beats": 20, "period": "150 ms", "phase": "atan2(y - 20 mm, x - 20 mm) / (2 * pi)"}},
    "time": {"end": "600 ms", "dt": "0.2 ms", "diffusion": "explicit"},
    "watch": {"stop_when_quiet": {}, "spikes": {"threshold": "-40 mV", "points": {
        name: [f"{20 + 15 * np.cos(a)} mm", f"{20 + 15 * np.sin(a)} mm"]
        for name, a in zip("abcd", np.arange(4) * np.pi / 2, strict=True)}}},
    "output": {"picture": False}, "backend": {"device": "cpu", "threads": 1}}


def test_a_phase_that_goes_round_makes_a_rotor(tmp_path: Path) -> None:
    spikes = run(SHEET, tmp_path / "rotor").spikes()
    turns = {name: np.diff(times) for name, times in spikes.items()}
    assert all(len(t) >= 3 for t in spikes.values())                              # it stays
    assert all(90.0 < t[-1] < 180.0 for t in turns.values())
    late = [times[-1] - spikes["a"][-1] for times in spikes.values()]             # and passes all places in turn,
    quarter = np.mod(np.array(late), turns["a"][-1]) / turns["a"][-1]
    assert np.argsort(quarter).tolist() == [0, 3, 2, 1]                           # from late phases to early ones
    flat = SHEET["membrane"] | {"prepace": SHEET["membrane"]["prepace"] | {"phase": "0.9"}}
    assert "ended at" in run(SHEET | {"membrane": flat}, tmp_path / "rest").notes[-1]


def test_what_cannot_be_paced() -> None:
    def message(case: dict[str, Any]) -> str:
        with pytest.raises(UpstrokeError) as error:
            prepare(load_case(case))
        return str(error.value)

    weak = CABLE | {"membrane": CABLE["membrane"] | {"prepace": PACE | {"current": "0.1 uA/cm^2"}}}
    text = message(weak)
    assert text.startswith("case: membrane: prepace: 0.1 uA/cm^2 for 1 ms make no action potential in the last of 3 "
                           "beats: V stays between -8") and text.endswith(
        " mV\n  -> raise prepace.current or duration, or the period")
    for phase, said in (("atan2(x) / pi", "case: membrane.0.prepace.phase: in 'atan2(x) / pi' atan2 takes two values, "
                         "not 1\n  -> atan2(y, x) is the angle of (x, y)"),
                        ("atan2(x, 1)", "case: membrane.0.prepace.phase: in 'atan2(x, 1)' 'atan2(x, 1)' takes a "
                         "length and a number\n  -> write lengths with their unit: 100 um")):
        assert message(CABLE | {"membrane": CABLE["membrane"] | {"prepace": PACE | {"phase": phase}}}) == said
    neuron = {"mesh": {"kind": "sections", "section": [{"name": "soma", "length": "20 um", "diameter": "20 um"}]},
              "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": {"model": "HodgkinHuxley", "prepace": PACE},
              "time": {"end": "1 ms", "dt": "0.1 ms"}}
    assert message(neuron) == ("case: membrane.0.prepace: is for tissue: a neuron's compartments are not single cells\n"
                               "  -> remove it, and let the run begin with what is to be past")
