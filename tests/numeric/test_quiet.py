"""The sentinel: a run ends when its tissue has come to rest, and only then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upstroke import load_case, run
from upstroke.errors import ErrorList

BEAT: dict[str, Any] = {
    "mesh": {"kind": "cable", "length": "10 mm", "dx": "0.25 mm"},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["2 mS/cm"]}},
    "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "600 ms", "dt": "0.1 ms"},
    "stimulus": {"box": {"min": ["0 mm"], "max": ["1 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"},
    "watch": {"stop_when_quiet": {}, "probes": {"points": {"end": ["10 mm"]}, "every": "1 ms"}},
    "output": {"picture": False}, "backend": {"device": "cpu"}}


def test_it_ends_after_the_beat(tmp_path: Path) -> None:
    result = run(BEAT, tmp_path / "out")
    traces = result.probes()
    whole = run(BEAT | {"watch": {"probes": BEAT["watch"]["probes"], "snapshots": {"every": "1 ms"}}},
                tmp_path / "whole")
    import h5py
    with h5py.File(tmp_path / "whole" / "vm.vtkhdf") as file:
        highest = file["VTKHDF/PointData/V"][:].reshape(601, -1).max(axis=1)
    rest = np.flatnonzero(highest >= -60.0)[-1] + 1          # ms, the first moment at which all are below
    assert traces["time_ms"][-1] == rest + 20.0
    note = (f"ended at {rest + 20} ms: no node had reached -60 mV for 20 ms (watch.stop_when_quiet)")
    assert result.notes == (note,) and whole.notes == ()
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["notes"] == [note]
    assert np.array_equal(result.activation.apd, whole.activation.apd)
    V = whole.probes()["end.V"]
    assert np.array_equal(traces["end.V"], V[:len(traces["end.V"])])


def test_it_waits_for_the_last_stimulus(tmp_path: Path) -> None:
    late = BEAT | {"time": {"end": "90 ms", "dt": "0.1 ms"}, "stimulus": BEAT["stimulus"] | {"start": "60 ms"}}
    assert run(late, tmp_path / "late").activation.beats == 1
    never = late | {"stimulus": BEAT["stimulus"] | {"start": "600 ms"}}            # which the run does not reach
    assert run(never, tmp_path / "never").notes[-1].startswith("ended at 20 ms:")


def test_a_neuron_is_never_quiet() -> None:
    neuron = {"mesh": {"kind": "sections", "section": [{"name": "soma", "length": "20 um", "diameter": "20 um"}]},
              "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": {"model": "Passive"},
              "time": {"end": "1 ms", "dt": "0.1 ms"}, "watch": {"stop_when_quiet": {"during": "1 ms"}}}
    with pytest.raises(ErrorList) as error:
        load_case(neuron)
    assert str(error.value) == ("case: watch.stop_when_quiet: is for tissue: synapses and noise may wake a neuron at "
                                "any time\n  -> remove it, and set time.end")
