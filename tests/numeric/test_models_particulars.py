"""What single models promise beyond the figures that test_models.py holds every model against."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pacing import Cell, Pulses, apd, orders

from upstroke.ionic import initial_state, load_model
from upstroke.ionic.evaluate import quantities

TT2_PLATEAU = dict(      # of the published EPI cell 50 ms into a beat, V pushed down by 20 mV
    V=3.38, Xr1=0.736, Xr2=0.00966, Xs=0.0434, M=1.0, H=8e-12, J=8.04e-12, D=0.985, F=0.599, F2=0.347, FCaSS=0.528,
    S=5.45e-4, R=0.632, Cai=8.79e-4, CaSR=2.82, CaSS=0.0206, R_=0.355, Nai=8.61, Ki=137.0)


#: where V relaxes smoothly, from there for so many ms at this coarsest step
SMOOTH = {
    "HodgkinHuxley": ({"V": -61.0}, 4, 0.04),                        # a depolarisation that dies out without a spike
    "tenTusscherPanfilov": (TT2_PLATEAU, 4, 0.04),                   # above the gates' break at -40 mV
    "MitchellSchaeffer": ({"V": -86 + 126 * 0.9, "h": 0.8}, 40, 0.2),  # far above its gate's threshold
    "AlievPanfilov": ({"V": -80 + 100 * 0.9, "W": 1.0}, 40, 0.2),
}


@pytest.mark.parametrize(("methods", "order"), [("", 1), ("rk2", 2), ("rk4", 4)])
@pytest.mark.parametrize("name", SMOOTH)
def test_order_of_convergence(name: str, methods: str, order: int) -> None:
    start, span, step = SMOOTH[name]
    model = load_model(name, methods=methods)
    observed = orders(model, step, span, initial_state(model) | start)
    assert observed == pytest.approx(order, abs=0.1 * order)


def test_mitchell_schaeffer_gate_needs_no_annotation() -> None:
    (h,) = load_model("MS").states
    assert h.method == "rush_larsen"


# ------------------------------------------------------------------------------------------------ Hodgkin and Huxley
def test_rates_grow_threefold_in_ten_degrees() -> None:
    state = initial_state(load_model("HH")) | {"V": -58.0}
    cold, warm = (Cell(load_model("HH", parameters={"celsius": T}), 0.01, state).rates() for T in (6.3, 16.3))
    assert warm["V"] == pytest.approx(cold["V"], rel=1e-12)
    for gate in "MHN":
        assert warm[gate] == pytest.approx(3 * cold[gate], rel=1e-9)


def test_opening_rates_are_smooth_through_their_removable_singularities() -> None:
    model = load_model("HH")
    state = initial_state(model)
    for V0, name, factor in ((-40.0, "alpha_M", 1.0), (-55.0, "alpha_N", 0.1)):
        assert quantities(model, V0, state, 0.0)[name] == pytest.approx(factor, rel=1e-14)
        for dV in (-1.5, -1.001, -0.999, -0.5, -1e-3, 1e-9, 1e-6, 0.3, 0.9999, 1.0001, 2.0):
            x = -dV / 10
            value = quantities(model, V0 + dV, state, 0.0)[name]
            assert value == pytest.approx(factor * x / math.expm1(x), rel=1e-12)


# ------------------------------------------------------------------------------------------ ten Tusscher and Panfilov
def test_the_peak_is_as_accurate_as_the_step() -> None:
    """First-order methods overshoot by 1 mV at dt = 0.01 ms, by half of it at half the step."""
    pulse = Pulses(22.0, 5.0, 2.0)
    peaks = [Cell(load_model("TT2"), dt).run(10, pulse)[1].max() for dt in (0.01, 0.005, 0.0025)]
    errors = np.array(peaks) - 37.982659
    assert errors[0] < 1.1
    assert errors[1:] / errors[:-1] == pytest.approx(0.5, abs=0.05)


def test_calcium_current_is_smooth_through_its_removable_singularity() -> None:
    tt2, state = load_model("TT2"), TT2_PLATEAU
    F, RT = 96485.3415, 8314.472 * 310
    gates = 3.98e-5 * state["D"] * state["F"] * state["F2"] * state["FCaSS"]
    assert math.isfinite(quantities(tt2, 15.0, state, 0.0)["ICaL"])
    for V in [*np.linspace(13, 17, 41), 15 + 1e-9, 15 - 1e-6]:
        z = 2 * (V - 15) * F / RT
        exact = gates * 2 * F * (z / math.expm1(z) if z else 1.0) * (0.25 * state["CaSS"] * math.exp(z) - 2)
        assert quantities(tt2, V, state, 0.0)["ICaL"] == pytest.approx(exact, rel=1e-13)


def test_defaults_are_those_openCARP_prints() -> None:
    printed = dict(
        Ko=5.4, Cao=2, Nao=140, Vc=0.016404, Vsr=0.001094, Bufc=0.2, Kbufc=0.001, Bufsr=10, Kbufsr=0.3, Vmaxup=0.006375,
        Kup=0.00025, T=310, CAPACITANCE=0.185, Gkr=0.153, pKNa=0.03, Gks=0.392, GK1=5.405, Gto=0.294, GNa=14.838,
        GbNa=0.00029, KmK=1, KmNa=40, knak=2.724, GCaL=3.98e-5, GbCa=0.000592, knaca=1000, KmNai=87.5, KmCa=1.38,
        ksat=0.1, n=0.35, GpCa=0.1238, KpCa=0.0005, GpK=0.0146, scl_tau_f=1)
    ours = {parameter.name: parameter.value for parameter in load_model("TT2").parameters}
    assert {name: ours.get(name) for name in printed} == printed
    assert {p.name: p.value for p in load_model("TT2", flags=["ENDO"]).parameters}["Gto"] == 0.073
    assert {p.name: p.value for p in load_model("TT2", flags=["MCELL"]).parameters}["Gks"] == 0.098


def test_the_openCARP_manuals_first_milliseconds() -> None:
    """60 uA/cm^2 for 1 ms at t = 1 ms, dt 0.01 ms, as openCARP's manual prints it.

    From the initial state of the authors' program, in openCARP's order of a step: the stimulus is added to V before the
    currents are evaluated. What is left (0.1 mV, 1 % of the currents) comes of its lookup tables and single-precision
    gates, and of initial values that the manual does not print.
    """
    dt = 0.01
    start = dict(V=-86.2, Nai=7.67, Ki=138.3, Cai=7e-5, CaSS=7e-5, CaSR=1.3, R_=1, M=0, H=0.75, J=0.75, D=0, F=1, F2=1,
                 FCaSS=1, R=0, S=1, Xr1=0, Xr2=1, Xs=0)
    cell = Cell(load_model("TT2"), dt, start)
    rows = []
    for step in range(500):
        if step in (100, 200, 300, 400):
            rows.append((cell.V, cell.Iion))
        if 100 <= step < 200:
            cell.shift("V", 60 * dt)
        cell.advance(1)
    rows.append((cell.V, cell.Iion))
    V, Iion = zip(*rows, strict=True)
    assert V[0] == pytest.approx(-86.1618521, abs=5e-4)
    assert V[1:] == pytest.approx([41.0176938, 35.197, 26.2016, 22.9078], abs=0.1)
    assert Iion[:2] == pytest.approx([-0.034618, -63.565], rel=0.015)


# -------------------------------------------------------------------------------------------------------------- Bernus
@pytest.mark.parametrize(("cell_type", "APD90"), [("EPI", 357.2), ("ENDO", 362), ("MCELL", 400)])
def test_the_published_action_potential_of_bernus(cell_type: str, APD90: float) -> None:
    """Tables 3 and 4, at 1 Hz and twice the threshold. The paper's own figures come from tabulated v and X."""
    pulses = Pulses(32.0, 0.0, 2.0, 1000.0)
    cell = Cell(load_model("Bernus", flags=[cell_type]), 0.02, flags=("-O1", "-DUPSTROKE_LIBM", "-DUP_LANES=1L"))
    cell.run(9000, pulses, every=1000)
    assert pytest.approx(-90.2, abs=0.25) == cell.V
    t, V = cell.run(10_000, pulses)
    assert apd(t - 9000, V, pulses, 90) == pytest.approx(APD90, rel=0.025)
    if cell_type == "EPI":
        assert apd(t - 9000, V, pulses, 50) == pytest.approx(254.0, rel=0.02)
        assert np.max(np.diff(V)) / 0.02 - pulses.current == pytest.approx(386.2, rel=0.1)


def test_where_and_how_fast_bernus_ito_inactivates_are_apart() -> None:
    """V_shift moves the steady state of to alone, slow_to (1/p in equations 31 and 32) its time constant alone."""
    def gate(V: float, **parameters: str) -> tuple[float, float]:
        model = load_model("Bernus", parameters=parameters)
        values = quantities(model, V, initial_state(model), 0.0)
        return values["to_inf"], values["tau_to"]

    assert gate(-40.0, V_shift="=-12") == (gate(-28.0)[0], gate(-40.0)[1])
    assert gate(-40.0, slow_to="=2") == (gate(-40.0)[0], 2 * gate(-40.0)[1])
