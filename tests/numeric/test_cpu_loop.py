"""Steps of compiled stages in one call, beside the same stages called one by one."""

import numpy as np
import pytest

from upstroke.case import load_case
from upstroke.errors import DivergenceError
from upstroke.run import prepare

CELL = {
    "mesh": {"kind": "sections", "compartments": {"number": 3}, "section": [
        {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
        {"name": "dend", "parent": "soma", "length": "300 um", "diameter": "2 um"}]},
    "cable": {"axial_resistivity": "150 ohm*cm"}, "time": {"end": "10 ms", "dt": "0.025 ms"}, "backend": {"threads": 1},
    "membrane": [{"model": "HodgkinHuxley", "regions": ["soma"]},
                 {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -65}, "initial": {"V": -65}}],
    "synapse": [{"kind": "ampa", "site": {"section": "dend"}, "weight": "20 nS",
                 "events": {"times": ["1 ms", "4 ms"]}}],
    "stimulus": [{"site": {"section": "soma"}, "total_current": "0.1 nA", "start": "2 ms", "duration": "1 ms"}]}
SHEET = {"mesh": {"kind": "sheet", "size": ["2 mm", "1 mm"], "dx": "0.25 mm"},
         "tissue": {"conductivity": [{"monodomain": ["1 mS/cm"]}], "surface_to_volume": "140 /mm"},
         "membrane": {"model": "MitchellSchaeffer"},
         "time": {"end": "10 ms", "dt": "0.05 ms"}, "backend": {"threads": 1},
         "stimulus": [{"box": {"min": ["-1 mm", "-1 mm"], "max": ["0.5 mm", "9 mm"]}, "current": "40 uA/cm^2",
                       "start": "1 ms", "duration": "1 ms"}]}


class Plain:
    """A stage that is called by Python."""

    def __init__(self, stage):
        self.name, self.run = stage.name, stage.run


def stepped(case, plain):
    """A stepper at the end of its run."""
    stepper = prepare(load_case(case)).stepper
    if plain:
        stepper.stages = [Plain(stage) for stage in stepper.stages]
    for _ in stepper.steps():
        pass
    return stepper


@pytest.mark.parametrize("case", [CELL, SHEET, SHEET | {"time": SHEET["time"] | {"splitting": "strang"}}])
def test_one_call_gives_the_same_bits(case):
    one, many = stepped(case, False), stepped(case, True)
    assert one.clock == many.clock and one.clock.step == one.n_steps and np.ptp(one.state.V) > 0.1
    for name in one.state.names:
        assert np.array_equal(one.state.variable(name), many.state.variable(name), equal_nan=True)
    assert list(one.seconds) == list(many.seconds) == list(dict.fromkeys(stage.name for stage in one.stages))
    assert min(one.seconds.values()) > 0.0


def test_a_step_that_breaks_goes_no_further():
    """V leaves the finite numbers, and the states behind it stay."""
    broken = CELL | {"stimulus": [CELL["stimulus"][0] | {"total_current": "1e308 nA"}]}
    states = []
    for plain in (False, True):
        stepper = prepare(load_case(broken)).stepper
        if plain:
            stepper.stages = [Plain(stage) for stage in stepper.stages]
        with pytest.raises(DivergenceError):
            for _ in stepper.steps():
                pass
        assert stepper.clock.halted and stepper.clock.solves == stepper.clock.step + 1
        assert np.isfinite(stepper.state.pieces("M")[0][2]).all()
        states.append((stepper.clock, stepper.state.variable("M")))
    assert states[0][0] == states[1][0] and np.array_equal(states[0][1], states[1][1], equal_nan=True)
