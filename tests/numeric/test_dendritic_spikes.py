"""Event-driven dendritic spikes of cells by hand: against Dendrify (data/neuron/make_dendrify.py), and exact pulses."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from upstroke import load_case
from upstroke.run import prepare

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("dendrites", ROOT / "benchmarks" / "dendrites.py")
dendrites = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dendrites)
KNOWN, NAMES = dendrites.KNOWN, dendrites.NAMES


# ------------------------------------------------------------------------------------------------ Dendrify
@pytest.mark.parametrize("name", ["soma", "dist"])
def test_input_resistance_and_attenuation_are_dendrifys(name):
    """10 pA for 490 ms: what is left of exp(-t / 25 ms) is the same in both."""
    V = dendrites.step(name, 10, 500, dt=0.1)[1][-1]
    assert pytest.approx([KNOWN["steady_mV_per_10pA"][name][other] for other in NAMES], rel=1e-5) == V


def test_the_time_constant_is_that_of_the_membrane():
    t, V, _ = dendrites.step("soma", 10, 100)
    known = KNOWN["charging_mV"]
    assert np.interp([10 + float(x) for x in known], t, V[:, 0]) == pytest.approx(list(known.values()), abs=3e-4)
    slow = (t > 60) & (t < 90)
    steady = KNOWN["steady_mV_per_10pA"]["soma"]["soma"]
    assert -1 / np.polyfit(t[slow], np.log(steady - V[slow, 0]), 1)[0] == pytest.approx(25.0, rel=2e-3)


@pytest.mark.parametrize(("kind", "row", "within"), [
    ("dist_passive", 7, 0.04), ("dist_active", 3, 0.04), ("dist_active", 4, 0.04), ("prox_active", 6, 0.05)])
def test_dendritic_input_and_output_are_dendrifys(kind, row, within):
    """Below the threshold, 5 synapses, dendritic spikes change nothing; above it the peak jumps."""
    count, there, soma = KNOWN["io_mV"][kind][row]
    name, active = kind.split("_")
    assert dendrites.volley(name, count, active == "active") == pytest.approx((there, soma), abs=within)
    if active == "active":
        assert (there > KNOWN["io_mV"][f"{name}_passive"][row][1] + 10) == (row > 3)


@pytest.mark.parametrize("row", [1, 4])
def test_the_f_i_curve_is_dendrifys(row):
    """100 and 200 pA: the first spike within a step of 0.025 ms, ten more intervals within 0.2 %; as many spikes."""
    current, count, times = KNOWN["fi"][row]
    fired = dendrites.step("soma", current, 410, fires=True)[2]
    assert len(fired) == count and fired[0] == pytest.approx(times[0], abs=0.04)
    assert fired[:len(times)] - 10 == pytest.approx(np.array(times) - 10, rel=4e-3)


# ------------------------------------------------------------------------------------------------ pulses
RAMP, START = 5.0, -65.0        # mV/ms from -65 mV on


def ramp(dt, end, splitting="staggered", device="cpu", precision="fp64", strength=1e-9, **changes):
    """A compartment that hardly leaks, on a current that lifts it by 5 mV/ms; t and the mean conductances of each step,
    over their strength: negative where it is the falling one."""
    spike = {"threshold": -40.03, "g_rise": strength, "g_fall": strength, "E_rise": 1e4, "E_fall": -1e4} | changes
    setup = prepare(load_case({
        "mesh": {"kind": "sections", "section": {"name": "dend", "length": "20 um", "diameter": "20 um"},
                 "compartments": {"number": 1}}, "cable": {"axial_resistivity": "100 ohm*cm"},
        "membrane": {"model": "Passive", "parameters": {"Rm": 1e15, "V_rest": START}, "initial": {"V": START},
                     "plugins": {"Na": {"plugin": "DendriticSpike"} | spike}},
        "time": {"end": f"{end} ms", "dt": f"{dt} ms", "splitting": splitting},
        "stimulus": {"site": {"section": "dend"}, "current": f"{RAMP} uA/cm^2", "start": "0 ms", "duration": "1 s"},
        "watch": {"activation": {"threshold": "0 mV"}}, "backend": {"device": device, "precision": precision}}))
    opened = []
    for _ in setup.stepper.steps():
        V, Iion = (setup.state.variable(name)[1] for name in ("V", "Iion"))
        opened.append(Iion / (V - np.sign(-Iion) * 1e4) * np.sign(-Iion) / strength if abs(Iion) > 1e-9 else 0.0)
    opened = np.array(opened)
    return dt * np.arange(len(opened)), opened, setup.state.variable("Na.count")[1]


@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
@pytest.mark.parametrize("dt", [0.1, 0.07])
def test_pulses_have_their_length_to_the_fraction_of_a_step(dt, splitting):
    """Threshold at 4.994 ms. Rise for 1.23 ms at once, fall for 2.41 ms after 1.5 ms; then nothing until 9.994 ms."""
    t, opened, count = ramp(dt, 9.8, splitting, duration_rise=1.23, duration_fall=2.41, offset_fall=1.5)
    assert count == 1 and opened[opened > 0].sum() * dt == pytest.approx(1.23, rel=1e-4)
    assert opened[opened < 0].sum() * dt == pytest.approx(-2.41, rel=1e-4)
    onset = (-40.03 - START) / RAMP
    first = np.flatnonzero(opened)[0]                       # the step after that of the onset has both
    assert opened[first] == pytest.approx(1 + (t[first] - onset) / dt, rel=1e-3)
    last = np.flatnonzero(opened)[-1]
    assert -opened[last] == pytest.approx((onset + 1.5 + 2.41 - t[last]) / dt, rel=1e-3)


def test_it_spikes_again_when_refractoriness_is_over_and_v_is_still_high():
    """At 4.994, 9.994 and 14.994 ms."""
    t, opened, count = ramp(0.1, 16.0, duration_rise=0.5, g_fall=0.0)
    assert count == 3 and opened.sum() * 0.1 == pytest.approx(1.5, rel=1e-5)
    begin = np.flatnonzero(opened > 1.01)
    assert opened[begin] == pytest.approx(1 + (t[begin] - [4.994, 9.994, 14.994]) / 0.1, rel=1e-4)


def test_a_cell_with_dendritic_spikes_keeps_order_2():
    """V of the tip 18 ms after its spike began: halving the step divides the error by four."""
    synapse = [{"kind": "ampa", "site": {"section": "dist"}, "weight": "6.4 nS", "events": {"times": ["2.013 ms"]}}]
    tip = {dt: dendrites.run(20, dt, spikes=True, synapse=synapse)[1][-1, 3] for dt in (0.2, 0.1, 0.0125)}
    error = [abs(tip[dt] - tip[0.0125]) for dt in (0.2, 0.1)]
    assert error[0] < 0.02 and error[0] / error[1] > 2.8


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_cuda_does_as_the_processor(emulated_cupy, precision):
    cpu, cuda = (ramp(0.1, 8.0, "staggered", device, precision, 0.05, E_rise=70, E_fall=-89)
                 for device in ("cpu", "cuda"))
    assert cuda[1] == pytest.approx(cpu[1], abs=1e-9 if precision == "fp64" else 2e-2) and cuda[2] == cpu[2] == 1
