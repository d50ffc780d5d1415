"""Models that reset: spike times at several currents against Brian2, and where they are known in closed form.

In tests/data/models a variant of such a model has ``spiking``: ``spike_times`` at the step ``dt``, where both programs
take the same steps and so must meet in every spike, and ``converged`` ones at a step ten times finer.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pacing import DATA, Cell, Pulses

import upstroke
from upstroke.errors import ModelError
from upstroke.ionic import load_model
from upstroke.reference import integrate

NAMES = ("AdEx", "Izhikevich", "LeakyIntegrateAndFire")
FILES = {name: json.loads((DATA / "models" / f"{name}.json").read_text())["variants"] for name in NAMES}
CASES = [(name, variant) for name in NAMES for variant in FILES[name]]
FLAGS = ("-O1", "-DUPSTROKE_LIBM", "-DUP_LANES=1L")   # for one cell: compiled ten times faster
CONVERGED = 0.015        # of the time since the stimulus: a spike is as late as its step's end


def spikes(cell: Cell, current: float, figures: dict[str, Any]) -> NDArray:
    """Ends of the steps in which V fell at once, which the model itself must have counted."""
    t, V = cell.run(figures["total"], Pulses(current, figures["start"], figures["duration"]))
    found = t[1:][np.diff(V) < -5]
    assert cell.state()["spikes"] == len(found)
    return found


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_spike_times(name: str, variant: str) -> None:
    figures = FILES[name][variant]
    model, spiking = load_model(name, flags=figures.get("flags", ())), figures["spiking"]
    some = 0
    for current, expected in spiking["results"].items():
        found = spikes(Cell(model, spiking["dt"], flags=FLAGS), float(current) / spiking.get("C", 1.0), spiking)
        assert found == pytest.approx(expected["spike_times"], abs=1e-6)
        some += len(found)
        if "converged" in expected:
            due = np.array(expected["converged"]) - spiking["start"]
            assert found - spiking["start"] == pytest.approx(due, rel=CONVERGED)
    assert some


@pytest.mark.parametrize("t_ref", [0.0, 2.0, 5.0])
def test_a_leaky_integrator_fires_at_the_rate_of_its_formula(t_ref: float) -> None:
    """T = t_ref + tau ln((I/g_L - (V_r - E_L))/(I/g_L - (V_th - E_L))), to one step, for 40 spikes and more."""
    dt, current = 0.01, 1.2
    cell = Cell(load_model("LIF", parameters={"t_ref": t_ref, "V_r": -58}), dt, flags=FLAGS)
    found = spikes(cell, current, {"start": 0.0, "duration": 1000.0, "total": 1000.0})
    period = t_ref + 20 * math.log((current / 0.05 - 2) / (current / 0.05 - 10))
    assert len(found) > 40
    assert np.diff(found) == pytest.approx(math.ceil(period / dt - 1e-9) * dt, abs=1e-9)


def test_below_threshold_the_leaky_integrator_is_exact() -> None:
    cell = Cell(load_model("LIF"), 0.1, flags=FLAGS)
    t, V = cell.run(60, Pulses(0.4, 0.0, 100.0))
    assert pytest.approx(-60 + 8 * (1 - np.exp(-t / 20)), rel=1e-13) == V


def test_a_refractory_cell_is_held() -> None:
    cell = Cell(load_model("LIF"), 0.1, flags=FLAGS)
    _, V = cell.run(40, Pulses(3.0, 0.0, 100.0))
    first = np.flatnonzero(np.diff(V) < -5)[0] + 1
    assert (V[first:first + 51] == -60).all()                    # 5 ms
    assert V[first + 51] > -60


def test_an_adaptive_reference_is_refused() -> None:
    pytest.importorskip("sksundae")
    with pytest.raises(ModelError) as caught:
        integrate(load_model("Izhikevich"), [0.0, 1.0])
    where, *_, remedy = str(caught.value).split("\n")
    assert where.endswith("an event happens at the end of a step, so cvode, which chooses its own, cannot integrate "
                          "the model")
    assert remedy == "  -> use a method with fixed steps"


@pytest.mark.parametrize(("splitting", "diffusion", "reaction_steps"), [
    ("godunov", "crank_nicolson", 1), ("strang", "crank_nicolson", 2), ("unsplit", "explicit", 2)])
def test_tissue_that_fires_together_is_one_cell(
    tmp_path: Path, splitting: str, diffusion: str, reaction_steps: int,
) -> None:
    """In every scheme a step of the reaction ends with its events."""
    dt = 0.01
    end = {"end": "60 ms", "dt": f"{dt * reaction_steps} ms", "splitting": splitting, "diffusion": diffusion}
    result = upstroke.run({
        "mesh": {"kind": "cable", "length": "2 mm", "dx": "0.5 mm"},
        "tissue": {"surface_to_volume": "140 /mm", "waves": "lumped", "conductivity": {"monodomain": ["1 mS/cm"]}},
        "membrane": {"model": "Izhikevich", "flags": ["CH"]},
        "time": end | {"reaction_steps": reaction_steps},
        "stimulus": {"box": {"min": ["0 mm"], "max": ["2 mm"]}, "current": "10 uA/cm^2", "start": "5 ms",
                     "duration": "50 ms"},
        "output": {"picture": False}}, tmp_path / "out")
    cell = Cell(load_model("Izhikevich", flags=["CH"]), dt, flags=FLAGS)
    cell.run(60, Pulses(10.0, 5.0, 50.0))
    found = {name: result.state.variable(name) for name in cell.state()}
    assert cell.state()["spikes"] == 7
    for name, value in cell.state().items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, err_msg=name)
