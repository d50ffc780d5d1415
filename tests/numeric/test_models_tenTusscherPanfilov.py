"""tenTusscherPanfilov against the published CellML file of each cell type, integrated by CVODES."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pacing import Cell, Pulses, apd, orders, reference, rms_outside_upstroke

from upstroke.ionic import initial_state, load_model
from upstroke.ionic.evaluate import quantities

VARIANTS = reference("tenTusscherPanfilov")["variants"]
PACED = ["EPI", "ENDO"]
DT = 0.01   # ms


def pulses(variant: str) -> Pulses:
    pulse = VARIANTS[variant]["pulse"]
    return Pulses(pulse["rate"], pulse["start"], pulse["duration"], pulse["period"])


def model(variant: str, **options):
    return load_model("tenTusscherPanfilov", flags=[variant], **options)


@pytest.mark.parametrize("variant", VARIANTS)
def test_starts_from_the_published_state(variant: str) -> None:
    assert initial_state(model(variant)) == VARIANTS[variant]["initial"]


@pytest.mark.parametrize(("variant", "at"), [(v, k) for v in VARIANTS for k in range(len(VARIANTS[v]["rhs"]))])
def test_rates(variant: str, at: int) -> None:
    check = VARIANTS[variant]["rhs"][at]
    rates = Cell(model(variant), DT, check["state"]).rates()
    assert rates == pytest.approx(check["rate"], rel=1e-9, abs=0)


@pytest.mark.parametrize(("variant", "at"), [(v, k) for v in VARIANTS for k in range(len(VARIANTS[v]["rhs"]))])
def test_currents_fluxes_and_gates(variant: str, at: int) -> None:
    check = VARIANTS[variant]["rhs"][at]
    values = quantities(model(variant), check["state"]["V"], check["state"], check["t"])
    ours = {name: values[name] for name in check["intermediate"]}
    # alpha and beta of a gate are folded into its tau here, so they are checked through it
    assert ours == pytest.approx(check["intermediate"], rel=1e-9, abs=0)


@pytest.mark.parametrize("variant", PACED)
def test_first_beat(variant: str) -> None:
    expected = VARIANTS[variant]
    t, V = Cell(model(variant), DT).run(1000, pulses(variant))
    onset = expected["pulse"]["start"]
    assert rms_outside_upstroke(expected["traces"]["beat_1"], t, V, onset) < 0.5
    beat = t >= onset - DT / 2
    for percent in (50, 90):
        measured = apd(t[beat] - onset, V[beat], pulses(variant), percent)
        assert measured == pytest.approx(expected["features"]["beat_1"][f"APD{percent}"], rel=0.005)


def test_the_peak_is_as_accurate_as_the_step() -> None:
    """First-order methods overshoot by 1 mV at dt = 0.01 ms, by half of it at half the step."""
    expected = VARIANTS["EPI"]["features"]["beat_1"]["V_max"]
    peaks = [Cell(model("EPI"), dt).run(10, pulses("EPI"))[1].max() for dt in (0.01, 0.005, 0.0025)]
    errors = np.array(peaks) - expected
    assert errors[0] < 1.1
    assert errors[1:] / errors[:-1] == pytest.approx(0.5, abs=0.05)


def test_tenth_beat() -> None:
    """Ten beats also show drifts of the concentrations. The reference charges the stimulus to K_i, ours does not."""
    expected = VARIANTS["EPI"]
    cell = Cell(model("EPI"), DT)
    cell.run(9000, pulses("EPI"), every=1000)
    t, V = cell.run(10000, pulses("EPI"))
    onset = expected["pulse"]["start"]
    assert rms_outside_upstroke(expected["traces"]["beat_10"], t - 9000, V, onset) < 0.5
    beat = t - 9000 >= onset - DT / 2
    measured = apd(t[beat] - 9000 - onset, V[beat], pulses("EPI"), 90)
    assert measured == pytest.approx(expected["features"]["beat_10"]["APD90"], rel=0.005)
    unpaid = expected["Ki_rate_of_the_stimulus"] * expected["pulse"]["duration"] * 10   # 0.051 mM of 137
    assert cell.state()["Ki"] == pytest.approx(expected["state_after_beat_10"]["Ki"] - unpaid, abs=0.1 * unpaid)
    for ion in ("Nai", "Cai", "CaSR", "CaSS"):
        assert cell.state()[ion] == pytest.approx(expected["state_after_beat_10"][ion], rel=2e-3)


def test_charging_the_stimulus_to_potassium_does_not_matter_here() -> None:
    """The reference's dK_i/dt sees the stimulus: 0.005 mM a beat. It moves V by far less than the 0.5 mV allowed."""
    expected = VARIANTS["EPI"]
    pulse = expected["pulse"]
    ours, theirs = Cell(model("EPI"), DT), Cell(model("EPI"), DT)
    end_of_pulse = pulse["start"] + pulse["duration"]
    for cell in (ours, theirs):
        cell.run(end_of_pulse, pulses("EPI"), every=100)
    theirs.shift("Ki", expected["Ki_rate_of_the_stimulus"] * pulse["duration"])
    (_, a), (_, b) = ours.run(1000, every=100), theirs.run(1000, every=100)
    assert 0 < np.abs(a - b).max() < 0.02


@pytest.mark.parametrize(("methods", "order"), [("", 1), ("rk2", 2), ("rk4", 4)])
def test_order_of_convergence(methods: str, order: int) -> None:
    """From the plateau at 50 ms, pushed down by 20 mV: all relaxes smoothly, above the gates' break at -40 mV."""
    start = VARIANTS["EPI"]["rhs"][2]
    assert start["t"] == 50
    state = start["state"] | {"V": start["state"]["V"] - 20}
    observed = orders(model("EPI", methods=methods), 0.04, 4, state)
    assert observed == pytest.approx(order, abs=0.1 * order)


def test_calcium_current_is_smooth_through_its_removable_singularity() -> None:
    tt2 = model("EPI")
    state = VARIANTS["EPI"]["rhs"][2]["state"]
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
    assert {p.name: p.value for p in model("ENDO").parameters}["Gto"] == 0.073
    assert {p.name: p.value for p in model("MCELL").parameters}["Gks"] == 0.098


def test_the_openCARP_manuals_first_milliseconds() -> None:
    """60 uA/cm^2 for 1 ms at t = 1 ms, dt 0.01 ms, as openCARP's manual prints it.

    From the initial state of the authors' program, in openCARP's order of a step: the stimulus is added to V before the
    currents are evaluated. What is left (0.1 mV, 1 % of the currents) comes of its lookup tables and single-precision
    gates, and of initial values that the manual does not print.
    """
    start = dict(V=-86.2, Nai=7.67, Ki=138.3, Cai=7e-5, CaSS=7e-5, CaSR=1.3, R_=1, M=0, H=0.75, J=0.75, D=0, F=1, F2=1,
                 FCaSS=1, R=0, S=1, Xr1=0, Xr2=1, Xs=0)
    cell = Cell(load_model("TT2"), DT, start)
    rows = []
    for step in range(500):
        if step in (100, 200, 300, 400):
            rows.append((cell.V, cell.Iion))
        if 100 <= step < 200:
            cell.shift("V", 60 * DT)
        cell.advance(1)
    rows.append((cell.V, cell.Iion))
    V, Iion = zip(*rows, strict=True)
    assert V[0] == pytest.approx(-86.1618521, abs=5e-4)
    assert V[1:] == pytest.approx([41.0176938, 35.197, 26.2016, 22.9078], abs=0.1)
    assert Iion[:2] == pytest.approx([-0.034618, -63.565], rel=0.015)
