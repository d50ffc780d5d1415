"""HodgkinHuxley against the 1952 equations integrated by CVODES, in each convention in use."""

from __future__ import annotations

import math
from typing import Any

import pytest
from numpy.typing import NDArray
from pacing import Cell, Pulses, crossings, orders, reference, rms_outside_upstroke

from upstroke.ionic import initial_state, load_model
from upstroke.ionic.evaluate import quantities

VARIANTS = reference("HodgkinHuxley")["variants"]
CONVENTION = {"REST60": {"V_rest": -60.0}, "REST65": {}, "REST65_NEURON": {"V_L": 10.7}}
DT = 0.005   # ms
STEPS = [(v, a) for v in VARIANTS for a in VARIANTS[v]["results"]]


@pytest.mark.parametrize(("variant", "at"), [(v, k) for v in VARIANTS for k in range(3)])
def test_rates(variant: str, at: int) -> None:
    check = VARIANTS[variant]["rhs"][at]
    model = load_model("HodgkinHuxley", parameters=CONVENTION[variant])
    # abs: near rest, currents of 4 uA/cm^2 and rates of 1/ms cancel; each carries a rounding of 1e-16
    assert Cell(model, DT, check["state"]).rates() == pytest.approx(check["rate"], rel=1e-9, abs=1e-14)
    values = quantities(model, check["state"]["V"], check["state"], check["t"])
    assert {k: values[k] for k in check["intermediate"]} == pytest.approx(check["intermediate"], rel=1e-9, abs=0)


def test_starts_at_the_papers_rest() -> None:
    model = load_model("HH", parameters={"V_rest": -60.0})
    assert initial_state(model) == pytest.approx(VARIANTS["REST60"]["initial"], rel=1e-14)


@pytest.mark.parametrize(("variant", "amplitude"), STEPS)
def test_spikes_of_a_current_step(variant: str, amplitude: str) -> None:
    t, V, expected = respond(variant, amplitude, methods="rk4")
    assert crossings(t, V) == pytest.approx(expected["spike_times"], abs=1e-3)
    assert V.max() == pytest.approx(expected["V_max"], abs=0.01)
    assert V.min() == pytest.approx(expected["V_min"], abs=0.01)


@pytest.mark.parametrize("amplitude", VARIANTS["REST65"]["results"])
def test_spikes_with_the_default_methods(amplitude: str) -> None:
    """Being of first order they fire late: by 0.2 % of the time since the step began."""
    t, V, expected = respond("REST65", amplitude)
    spikes = crossings(t, V)
    assert len(spikes) == len(expected["spike_times"])
    assert spikes - 5 == pytest.approx([s - 5 for s in expected["spike_times"]], rel=2.5e-3, abs=0.02)


def respond(variant: str, amplitude: str, methods: str = "") -> tuple[NDArray, NDArray, dict[str, Any]]:
    model = load_model("HodgkinHuxley", parameters=CONVENTION[variant], methods=methods)
    cell = Cell(model, DT, VARIANTS[variant]["initial"])
    t, V = cell.run(200, Pulses(float(amplitude), start=5, duration=150))
    return t, V, VARIANTS[variant]["results"][amplitude]


@pytest.mark.parametrize("variant", ["REST60", "REST65"])
def test_single_spike(variant: str) -> None:
    cell = Cell(load_model("HodgkinHuxley", parameters=CONVENTION[variant]), DT, VARIANTS[variant]["initial"])
    t, V = cell.run(60, Pulses(5, start=5, duration=150), every=20)
    assert rms_outside_upstroke(VARIANTS[variant]["results"]["5.0"]["trace"], t, V, 5) < 0.5


@pytest.mark.parametrize(("methods", "order"), [("", 1), ("rk2", 2), ("rk4", 4)])
def test_order_of_convergence(methods: str, order: int) -> None:
    """A small depolarisation from rest that dies out without a spike, over 4 ms: all is smooth."""
    model = load_model("HodgkinHuxley", methods=methods)
    observed = orders(model, 0.04, 4, initial_state(model) | {"V": -61.0})
    assert observed == pytest.approx(order, abs=0.1 * order)


def test_rates_grow_threefold_in_ten_degrees() -> None:
    state = VARIANTS["REST65"]["rhs"][1]["state"]
    cold, warm = (Cell(load_model("HH", parameters={"T": T}), DT, state).rates() for T in (6.3, 16.3))
    assert warm["V"] == pytest.approx(cold["V"], rel=1e-12)
    for gate in "MHN":
        assert warm[gate] == pytest.approx(3 * cold[gate], rel=1e-9)


def test_opening_rates_are_smooth_through_their_removable_singularities() -> None:
    model, state = load_model("HH"), VARIANTS["REST65"]["initial"]
    for V0, name, factor in ((-40.0, "alpha_M", 1.0), (-55.0, "alpha_N", 0.1)):
        assert quantities(model, V0, state, 0.0)[name] == pytest.approx(factor, rel=1e-14)
        for dV in (-1.5, -1.001, -0.999, -0.5, -1e-3, 1e-9, 1e-6, 0.3, 0.9999, 1.0001, 2.0):
            x = -dV / 10
            value = quantities(model, V0 + dV, state, 0.0)[name]
            assert value == pytest.approx(factor * x / math.expm1(x), rel=1e-12)
