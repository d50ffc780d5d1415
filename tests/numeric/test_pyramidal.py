"""A cell with ten channels and calcium, cases/pyramidal_l5, against Arbor with its own channels on the same cell."""

import json
from pathlib import Path

import numpy as np
import pytest

import upstroke
from upstroke import load_case

ROOT = Path(__file__).parents[2]
ARBOR = json.loads((ROOT / "tests" / "data" / "neuron" / "pyramidal_arbor.json").read_text())["runs"]


def test_spikes_are_arbors_in_the_limit_of_small_steps(tmp_path):
    """Seven spikes in 700 ms. Ours converge with the second order in dt, Arbor's with the first."""
    found = {}
    for dt in (0.025, 0.0125):
        out = tmp_path / str(dt)
        upstroke.run(load_case(ROOT / "cases" / "pyramidal_l5", overrides=(
            f'time.dt="{dt} ms"', "output.picture=false")), out)
        summary = json.loads((out / "summary.json").read_text())
        found[dt] = np.append(np.genfromtxt(out / "spikes.csv", delimiter=",", names=True, dtype=None)["time_ms"],
                              [summary["probe_activation_ms"][name] for name in ("trunk", "tuft")])
    theirs = {dt: np.append(run["spikes_ms"], [run["activation_ms"][name] for name in ("trunk", "tuft")])
              for dt, run in ARBOR.items()}
    limit = 2*theirs["0.0015625"] - theirs["0.003125"]
    assert np.abs(2*theirs["0.003125"] - theirs["0.00625"] - limit).max() < 0.025         # so much it is known
    assert len(found[0.025]) == len(limit) == 9
    assert (4*found[0.0125] - found[0.025])/3 == pytest.approx(limit, abs=0.05)
    assert np.abs(found[0.025] - limit).max() < 0.5 < np.abs(theirs["0.025"] - limit).max()
