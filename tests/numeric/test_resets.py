"""Models that reset V, on trees, by the implicit splittings: spike times against Brian2, order, devices."""

import json
import math
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from ptxas import report, spilled

import upstroke
from upstroke import load_case
from upstroke.run import prepare

VARIANTS = json.loads((Path(__file__).parents[1] / "data/models/IntegrateAndFire.json").read_text())["variants"]
LIF = {"E_L": -60, "V_r": -58, "t_ref": 4, "t_spike": 0}
SOMA, DEND = 1, 3                 # nodes of the compartments; 0, 2 and 4 are ends of sections


def cell(splitting, dt, end, membrane, current="1.2 uA/cm^2", start=1.0, dendrite=True, model="IntegrateAndFire",
         **tables):
    """A ball that spikes, with a passive dendrite of one compartment or without."""
    sections = [{"name": "soma", "type": "soma", "length": "25 um", "diameter": "25 um"},
                {"name": "dend", "parent": "soma", "length": "150 um", "diameter": "2 um"}]
    membranes = [{"model": model, "regions": ["soma"]} | membrane,
                 {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -60}, "initial": {"V": -60}}]
    return load_case({
        "mesh": {"kind": "sections", "section": sections[:1 + dendrite], "compartments": {"number": 1}},
        "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": membranes[:1 + dendrite],
        "time": {"end": f"{end} ms", "dt": f"{dt} ms", "splitting": splitting},
        "stimulus": {"site": {"section": "soma"}, "current": current, "start": f"{start} ms", "duration": "300 ms"},
        "watch": {"activation": {"threshold": "0 mV"}}, "output": {"picture": False}} | tables)


def spikes(case):
    """When the soma spiked, as the model itself finds it within a step."""
    setup, found = prepare(case), []
    for n in setup.stepper.steps():
        if setup.state.variable("spikes")[SOMA] > len(found):
            found.append(n * case.time.dt - setup.state.variable("since")[SOMA])
    return np.array(found)


@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_spikes_of_a_single_compartment_are_those_of_brian(variant, splitting):
    """Brian2 with dt 0.002 ms, ours with 0.025 ms: 0.05 % of the time since the stimulus began, with an upstroke or
    steps of order 1 0.7 %."""
    figures = VARIANTS[variant]
    exact = splitting == "staggered" and "EXPONENTIAL" not in figures["flags"]
    for current, known in figures["spiking"]["results"].items():
        due = np.array(known["spike_times"])[:6]
        membrane = {key: figures[key] for key in ("flags", "parameters")}
        found = spikes(cell(splitting, 0.025, math.ceil(due[-1]) + 1, membrane, f"{current} uA/cm^2", 10.0,
                            dendrite=False))
        assert found - 10 == pytest.approx(due - 10, rel=5e-4 if exact else 7e-3)


def test_a_single_compartment_spikes_with_the_order_of_the_splitting():
    """T = t_ref + tau ln((I/g - (V_r - E_L)) / (I/g - (V_th - E_L))): 10 periods after the first spike."""
    period = 4 + 20 * math.log((24 - 2) / (24 - 10))
    lif = {"parameters": LIF}
    error = {splitting: [np.ptp(spikes(cell(splitting, dt, 160, lif, dendrite=False))[:11]) - 10 * period
                         for dt in (0.2, 0.1)] for splitting in ("implicit", "staggered")}
    assert error["implicit"][0] / error["implicit"][1] == pytest.approx(2.0, rel=0.15)
    assert abs(error["implicit"][1]) < 0.3
    assert error["staggered"][0] / error["staggered"][1] == pytest.approx(4.0, rel=0.3)
    assert abs(error["staggered"][1]) < 2e-3


@pytest.mark.parametrize("t_ref, within", [(0.0, 0.03), (0.05, 0.03), (3.0, 4e-4)])
def test_a_refractory_period_of_any_length(t_ref, within):
    """Without one, what is left of the step has the rate of the threshold instead of that of V_r."""
    period = t_ref + 20 * math.log((24 - 2) / (24 - 10))
    found = spikes(cell("staggered", 0.1, round(8 * period), {"parameters": LIF | {"t_ref": t_ref}}, dendrite=False))
    assert len(found) > 5 and np.diff(found) == pytest.approx(period, abs=within)


def test_with_a_dendrite_the_error_of_a_spike_time_halves_with_the_step():
    """Held at V_r the ball draws on its dendrite, as if V drifted from there in each step: 0.02 ms a spike."""
    fine, *coarse = (spikes(cell("staggered", dt, 60, {"parameters": LIF}, "2 uA/cm^2")) for dt in (0.0125, 0.1, 0.05))
    error = [np.abs(found - fine).max() for found in coarse]
    assert len(fine) == 5 and 0.01 < error[0] < 0.11 and error[0] / error[1] == pytest.approx(7 / 3, rel=0.1)


@pytest.mark.parametrize("model", ["LeakyIntegrateAndFire", "Izhikevich", "IntegrateAndFire"])
@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
def test_points_where_branches_meet_follow_a_reset(model, splitting):
    """The end of the dendrite has its V, the soma's start that of the soma, where they join what balances the two."""
    setup = prepare(cell(splitting, 0.05, 30, {"initial": {"V": -60}}, "12 uA/cm^2", model=model))
    g = 1.0 / setup.mesh.tree.axial[[2, DEND]]            # from the soma and the dendrite to where they join
    counted = 0.0
    for n in setup.stepper.steps():
        V, spiked = setup.state.variable("V").copy(), setup.state.variable("spikes")[SOMA]
        if n and spiked > counted:
            counted = spiked
            assert V[[0, 4]] == pytest.approx(V[[SOMA, DEND]], abs=1e-9) and abs(V[SOMA] - V[DEND]) > 1
            assert V[2] == pytest.approx(np.average(V[[SOMA, DEND]], weights=g), abs=1e-9)
    assert counted >= 2


def test_an_upstroke_that_is_too_steep_for_the_step_does_not_hang_and_does_not_reach_the_dendrite():
    """Without its bounds the slope takes V back from the threshold, and the upstroke's end is at 1e10 mV."""
    setup = prepare(cell("staggered", 0.1, 30, {"flags": ["EXPONENTIAL"], "parameters": {"V_T": -52}}, "5 uA/cm^2"))
    top = max(setup.state.variable("V")[DEND] for _ in setup.stepper.steps())
    assert setup.state.variable("spikes")[SOMA] >= 3 and 0 < top < 40


@pytest.mark.parametrize("splitting", ["staggered", "implicit", "strang"])
def test_spikes_are_watched_for_where_they_have_a_shape(splitting, tmp_path):
    """+40 mV for 0.5 ms crosses 0 mV once; each comes within two steps of the model's own time."""
    tables = {"watch": {"spikes": {"points": {"soma": {"section": "soma"}}, "threshold": "0 mV"}}}
    case = cell(splitting, 0.05, 60, {"parameters": LIF | {"t_spike": 0.5}}, "2 uA/cm^2", **tables)
    result = upstroke.run(case, tmp_path / "r")
    assert len(result.spikes()["soma"]) >= 4
    assert result.spikes()["soma"] == pytest.approx(spikes(case), abs=0.1)


# ------------------------------------------------------------------------------------------------ devices
@pytest.mark.parametrize("precision", ["fp64", "mixed"])
@pytest.mark.parametrize("splitting, steps", [("staggered", 1), ("implicit", 3)])
def test_cuda_does_as_the_processor(emulated_cupy, splitting, steps, precision):
    """Spikes, held V and a release, in one and in several steps of the states."""
    found = []
    for device in ("cpu", "cuda"):
        soma = {"parameters": LIF | {"t_ref": 2, "t_spike": 0.5, "b_g": 0.1}, "flags": ["CONDUCTANCE"]}
        case = cell(splitting, 0.05, 7, soma, "9 uA/cm^2", backend={"device": device, "precision": precision},
                    time={"end": "7 ms", "dt": "0.05 ms", "splitting": splitting, "reaction_steps": steps})
        setup = prepare(case)
        for _ in setup.stepper.steps():
            pass
        found.append({name: setup.state.variable(name) for name in ("V", "g_A", "spikes", "since")})
    assert found[0]["spikes"][SOMA] >= 2
    for name, values in found[0].items():
        assert found[1][name] == pytest.approx(values, abs=1e-9 if precision == "fp64" else 2e-3, nan_ok=True), name


def test_results_do_not_depend_on_the_number_of_threads():
    found = []
    for threads in (1, 3):
        setup = prepare(cell("staggered", 0.05, 40, {"parameters": LIF}, backend={"threads": threads}))
        for _ in setup.stepper.steps():
            pass
        found.append((setup.state.variable("V"), setup.state.variable("since")))
    assert np.array_equal(found[0], found[1], equal_nan=True)


@pytest.mark.parametrize("real", ["double", "float"])
def test_nvrtc_compiles_the_balance_without_spills(real):
    text = resources.files("upstroke.step").joinpath("balance.c").read_text()
    clock = "typedef struct { long step; int halted; int status; } upstroke_clock;\n"
    assert spilled(report(f"{clock}#define REAL {real}\n{text}")) == 0
