"""Every plug-in against its equations written a second time and integrated by SciPy, and against published values.

The host is a passive cell in which all that a plug-in may read is known; the plug-in is added, compiled and stepped as
any user's would be.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from channel_equations import CHANNELS
from pacing import Cell, Pulses
from plugin_equations import ION, PROOFS, RTF, calcium, fibroblast_current, twitch
from ptxas import report
from scipy.integrate import solve_ivp

import upstroke
from upstroke.codegen import generate
from upstroke.ionic import initial_state, load_model, load_plugin, quantities, rates, read_model, shipped_plugins

SMALL = ("-O1", "-DUPSTROKE_LIBM", "-fno-openmp-simd")
SPAN = 40.0                                            # ms
HOST = """
V_init = -80;                                          .units(mV);
group { Ko = 5.4; Nao = 140; Cao = 1.8; } .param().units(mM);
Ki = 138 + 0*t;  .units(mM);
Nai = 10 + 0*t;  .units(mM);
Cai = 1e-4 + 9e-4*(t/15)*exp(1 - t/15); .units(mM);
drive = (t < 5) ? 12 : 0;
Iion = 0.1*(V + 80) - drive;                           .units(uA/cm^2);
"""

every = pytest.mark.parametrize("name", PROOFS)


def test_every_plugin_is_proven_here_or_as_a_channel():
    """Spikes of dendrites are events, without equations to integrate; they have tests of their own."""
    others = [info.name for info in shipped_plugins() if info.kind == "dendritic spike"]
    assert sorted([*PROOFS, *CHANNELS, *others]) == sorted(info.name for info in shipped_plugins())


@every
def test_run_of_a_passive_cell(name):
    """V, states and outputs along a run; rk4 and a fine step leave the equations alone to differ."""
    proof = PROOFS[name]
    model = read_model(HOST, "Host", methods="rk4", plugins={name: proof.values})
    start = {"V": -80.0, **proof.start}
    names = list(start)

    def given(t):
        return ION | {"Ca_i": calcium(t)} | proof.values

    def slope(t, y):
        V, s = y[0], dict(zip(names, y, strict=True))
        current, change = proof.equations(t, V, s, given(t))
        return [-(0.1*(V + 80) - (12.0 if t < 5 else 0.0) + current), *(change[n] for n in names[1:])]

    first = solve_ivp(slope, (0, 5 - 1e-12), list(start.values()), "LSODA", rtol=1e-10, atol=1e-12)
    then = solve_ivp(slope, (5, SPAN), first.y[:, -1], "LSODA", rtol=1e-10, atol=1e-12)
    ends = {5.0: first.y[:, -1], SPAN: then.y[:, -1]}
    ours = initial_state(model)
    for key, value in start.items():
        assert ours[key] == pytest.approx(value, rel=1e-9, abs=1e-12), key
    cell = Cell(model, proof.dt, proof.initial, flags=SMALL)
    for time, theirs in ends.items():
        cell.advance(round(time/proof.dt) - 1 - cell.step)
        before = cell.state()
        cell.advance(1)
        found = cell.state()
        for key, value in zip(names, theirs, strict=True):
            # The last stage of the step that ends the drive sees it off: dt/6 * 12 mV at most.
            assert found[key] == pytest.approx(value, rel=2e-3, abs=2e-3*proof.dt*12), (time, key)
        if proof.outputs:
            s = {n: before[n] for n in names}          # as Iion, it is that of the start of the step
            for key, value in proof.outputs(time - proof.dt, before["V"], s, given(time - proof.dt)).items():
                assert found[key] == pytest.approx(value, rel=1e-6, abs=1e-9), (time, key)


@every
def test_right_hand_side(name):
    """Currents and rates to rounding, over a range of voltages and times."""
    proof = PROOFS[name]
    model = read_model(HOST, "Host", plugins={name: proof.values})
    plain = read_model(HOST, "Host")
    rng = np.random.default_rng(1)
    for _ in range(20):
        V, t = rng.uniform(-120, 60), rng.uniform(0, 40)
        state = {s.name: 0.0 for s in model.states} | {n: v*rng.uniform(0.5, 1) for n, v in proof.start.items()}
        state |= {n: t for n in proof.initial}
        own = {n: v for n, v in state.items() if n in proof.start}
        given = ION | {"Ca_i": calcium(t)} | proof.values
        current, change = proof.equations(t, V, own, given)
        found = quantities(model, V, state, t)
        added = found["Iion"] - quantities(plain, V, {}, t)["Iion"]
        assert added == pytest.approx(current, rel=1e-8, abs=1e-9)
        theirs = rates(model, V, state, t)[1]
        for key, value in change.items():
            assert theirs[key] == pytest.approx(value, rel=1e-8, abs=1e-12), key
        if proof.outputs:
            assert found[f"{name}.T_a"] == pytest.approx(proof.outputs(t, V, own, given)["Tension"], rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("name", [name for name, proof in PROOFS.items() if proof.off])
def test_nothing_added_changes_nothing(name):
    """With its conductance at zero, a plug-in leaves the trace bit for bit."""
    pulses = Pulses(50, 5, 1)
    _, plain = Cell(load_model("LuoRudy91"), 0.02, flags=SMALL).run(400, pulses, every=50)
    with_it = load_model("LuoRudy91", plugins={name: {**PROOFS[name].off, **needs(name)}})
    _, V = Cell(with_it, 0.02, flags=SMALL).run(400, pulses, every=50)
    assert np.array_equal(plain, V)


def needs(name: str) -> dict[str, float]:
    """Numbers for what LuoRudy91 lacks."""
    lacking = {"Na_i": 10.0}
    return {n: v for n, v in lacking.items() if n in load_plugin(name).externals}


def test_katp_opens_as_published():
    """Ferrero 1996: about 0.1 % of channels are open in normoxia, half at [ATP] = K_m, 71.6 uM for 15 uM of ADP."""
    def fraction(**values):
        model = load_model("TT2", plugins={"IKATP_Ferrero": values})
        return quantities(model, -85.0, initial_state(model))["IKATP_Ferrero.opening"]

    assert fraction() == pytest.approx(0.0011, abs=5e-5)
    assert fraction(ATP_i=0.0716) == pytest.approx(0.5, abs=2e-3)


def test_katp_shortens_the_beat_as_atp_falls():
    def duration(**values):
        cell = Cell(load_model("TT2", plugins={"IKATP_Ferrero": values}), 0.02, flags=SMALL)
        t, V = cell.run(500, Pulses(50, 5, 1), every=50)
        return t[V > -40][-1]

    closed, normal, low, lower = duration(sigma=0), duration(), duration(ATP_i=5), duration(ATP_i=3)
    assert lower < low < normal < closed
    assert closed == pytest.approx(280, abs=10)
    assert normal == pytest.approx(250, abs=10)


def test_acetylcholine_saturates():
    """No current without it; the conductance grows with the dose towards 10 (0.0517 + 0.4516 /...) mS/uF."""
    def conductance(dose):
        model = load_model("Courtemanche", plugins={"I_ACh": {"ACh": dose}})
        return quantities(model, -59.53, initial_state(model))["I_ACh.G_ACh"]

    assert conductance(0) == 0
    assert conductance(1e12) == pytest.approx(10*(0.0517 + 0.2258), rel=1e-4)
    assert conductance(9.13652**(1/0.477811)) == pytest.approx(5*(0.0517 + 0.2258), rel=1e-9)


def test_funny_current_is_that_of_the_purkinje_model():
    """Stewart 2009 as a model of its own has the same gate and the same currents."""
    stewart = load_model("Stewart")
    state = initial_state(stewart)
    there = quantities(stewart, -90.0, state)
    model = load_model("Stewart", plugins=["IFun"])
    here = quantities(model, -90.0, {**state, "IFun.y": state["Y"]})
    assert here["IFun.IfNa"] == pytest.approx(there["IfNa"], rel=1e-4)
    assert here["IFun.IfK"] == pytest.approx(there["IfK"], rel=1e-4)


# Published values and limits

def test_land_2017_fills_its_states_as_the_paper_defines_them():
    """At saturating calcium r_s of the free sites are strong and (1 - r_s) r_w weak; these bear Tref h."""
    model = load_model("TT2", plugins={"Stress_Land17": {"Ca_i": 1e3}})
    cell = Cell(model, 0.02, flags=SMALL)
    cell.advance(100_000)
    found = cell.state()
    free = 1 - found["Stress_Land17.TmBlocked"]
    assert found["Stress_Land17.XS"]/free == pytest.approx(0.25, rel=1e-6)
    assert found["Stress_Land17.XW"]/free == pytest.approx(0.375, rel=1e-6)
    assert found["Tension"] == pytest.approx(120*free, rel=1e-6)          # h = 1 at lambda = 1


def test_land_2017_is_half_blocked_at_half_occupancy():
    """TRPN_50 is the occupancy of troponin at which half of the units are blocked."""
    half = 0.805*math.sqrt(0.35/0.65)                                     # uM
    cell = Cell(load_model("TT2", plugins={"Stress_Land17": {"Ca_i": half}}), 0.02, flags=SMALL)
    cell.advance(200_000)
    assert cell.state()["Stress_Land17.TRPN"] == pytest.approx(0.35, rel=1e-6)
    assert cell.state()["Stress_Land17.TmBlocked"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(("name", "low", "high"), [
    ("Stress_NashPanfilov", 30, 60),
    ("Stress_Land12", 20, 120), ("Stress_Land17", 40, 120), ("Stress_NHS", 5, 56), ("Stress_Rice", 5, 120),
    ("Stress_Lumens", 20, 120), ("Stress_Niederer", 50, 100), ("Stress_Kerckhoffs", 40, 80),
    ("Stress_Regazzoni20", 60, 120)])
def test_a_beat_makes_a_twitch(name, low, high):
    """A human action potential: tension rises after the upstroke, peaks, and has fallen by the end of the beat."""
    cell = Cell(load_model("TT2", plugins=[name]), 0.02, flags=SMALL)
    tension = []
    for ms in range(900):
        cell.advance(50, 50.0 if ms == 50 else 0.0)
        tension.append(cell.state()["Tension"])
    peak = int(np.argmax(tension))
    assert low < tension[peak] < high, tension[peak]
    assert 60 < peak < 500
    assert tension[45] < 0.15*tension[peak]
    assert tension[-1] < 0.15*tension[peak]


def test_the_twitch_starts_with_the_upstroke():
    """Niederer 2011: T_peak phi tanh^2 tanh^2 from the crossing of V_th on, again with every beat."""
    cell = Cell(load_model("TT2", plugins={"Stress_Niederer": {"Lambda": 1.1}}), 0.02, flags=SMALL)
    crossed = None
    for step in range(60_000):
        last = cell.V
        cell.advance(1, 50.0 if step in range(500, 550) or step in range(40_500, 40_550) else 0.0)
        if last <= -60 < cell.V:
            crossed = step + 1
        if crossed and step in (5_000, 20_000, 50_000):
            # The step after the crossing sees it and sets the clock to 0; tension is that of the step's start.
            since = (step + 1 - crossed - 2)*0.02
            assert cell.state()["Tension"] == pytest.approx(twitch(since, 1.1), rel=1e-6)
    assert crossed is not None and crossed > 40_000


def test_pores_have_no_singular_voltage():
    """K(V) is smooth and even, through 0 and through w_0 RT/(n F), where its usual form is 0/0."""
    model = load_model("TT2", plugins=["Electroporation_DeBruinKrassowska98"])
    state = initial_state(model)

    def conductance(V):
        return quantities(model, V, state)["Electroporation_DeBruinKrassowska98.g_pore"]

    special = 5.25/0.15*RTF
    for V in (0.0, special, -special):
        assert conductance(V) == pytest.approx(conductance(V + 0.03), rel=1e-3)
        assert conductance(V) == pytest.approx(conductance(V - 0.03), rel=1e-3)
        assert conductance(V) == pytest.approx(conductance(-V), rel=1e-9)
    free = math.pi*2.5e-7**2*13/5e-7                                     # mS, without a barrier
    assert conductance(0.0) < conductance(400.0) < conductance(1000.0) < free


def test_pores_multiply_in_a_strong_field_and_close_after_it():
    """At V the number tends to N_0 exp(q beta V^2)."""
    name = "Electroporation_DeBruinKrassowska98.N"
    cell = Cell(read_model("V_init = -80; Iion = 100*(V - (t < 20 ? 400 : -80));",
                           plugins=["Electroporation_DeBruinKrassowska98"]), 0.001, flags=SMALL)
    rest = cell.state()[name]
    cell.advance(20_000)
    open_ = cell.state()[name]
    assert open_ > 100*rest
    assert rest == pytest.approx(1.5e5*math.exp(2.46*0.4), rel=1e-12)
    cell.advance(20_000)
    assert cell.state()[name] < open_


def test_markov_sodium_current_keeps_its_channels():
    """The states of the chain sum to one, through an upstroke; it opens and closes within 2 ms."""
    cell = Cell(load_model("TT2", plugins={"INa_Bondarenko": {}}, parameters={"GNa": 0}), 0.005, flags=SMALL)
    opened = []
    for ms in range(80):
        cell.advance(50, 60.0 if ms < 4 else 0.0)
        p = [v for k, v in cell.state().items() if k.startswith("INa_Bondarenko.")]
        assert min(p) >= 0
        assert sum(p) == pytest.approx(1, abs=1e-12)
        opened.append(cell.state()["INa_Bondarenko.O"])
    assert 0.01 < max(opened) < 1
    assert opened[-1] < 0.01*max(opened)
    assert cell.V > -20


@pytest.mark.parametrize(("light", "peak", "at", "late"), [
    (0.1, -1.6330344, 16.85, -1.3045665), (1.0, -8.7131308, 7.736, -6.1693977), (5.0, -14.7744556, 3.657, -9.6817813)])
def test_channelrhodopsin_under_clamp(light, peak, at, late):
    """At -60 mV and 39 C, in uA/cm^2: the peak, and what is left after 500 ms of light.

    The figures are those of the equations of ``ChR2_H134R_system`` in mozaik (after the authors' MATLAB code, ModelDB
    151549), integrated by LSODA at rtol 1e-11.
    """
    model = load_model("TT2", plugins={"IChR2_Williams": {"illum": light, "T": 312.15}})
    state = initial_state(model)
    own = [n for n in state if n.startswith("IChR2_Williams.")]

    def slope(t, y):
        change = rates(model, -60.0, state | dict(zip(own, y, strict=True)), t)[1]
        return [change[n] for n in own]

    run = solve_ivp(slope, (0, 500), [state[n] for n in own], "LSODA", rtol=1e-8, atol=1e-10, t_eval=[at, 500])
    currents = [quantities(model, -60.0, state | dict(zip(own, y, strict=True)))["IChR2_Williams.I_ChR2"]
                for y in run.y.T]
    assert currents == pytest.approx([peak, late], rel=1e-5)
    assert sum(run.y[own.index(f"IChR2_Williams.{n}"), -1] for n in ("C1", "C2", "O1", "O2")) == pytest.approx(1)


def test_light_makes_a_cell_fire():
    """1 mW/mm^2 does, 0.01 mW/mm^2 does not; one global gives all plug-ins their light, in mW/cm^2."""
    def peak(light):
        model = load_model("TT2", plugins=["IChR2_Williams"], parameters={"illum": light})
        cell = Cell(model, 0.02, flags=SMALL)
        voltages = []
        for _ in range(60):
            cell.advance(50)
            voltages.append(cell.V)
        return max(voltages)

    assert peak(100) > 10
    assert -85.5 < peak(1) < -70


def test_late_sodium_current_is_that_of_the_human_model():
    """O'Hara 2011 as a model of its own has the same current at the same gates and share of phosphorylated channels."""
    ohara = load_model("OHara")
    state = {**initial_state(ohara), "mL": 0.3, "hL": 0.6, "hLp": 0.4, "CaMKt": 0.05}
    there, change = quantities(ohara, -35.0, state), rates(ohara, -35.0, state)[1]
    model = load_model("OHara", plugins={"INaL_OHara": {"fp_CaMK": there["fp_CaMK"]}})
    state |= {"INaL_OHara.m": 0.3, "INaL_OHara.h": 0.6, "INaL_OHara.hp": 0.4}
    assert quantities(model, -35.0, state)["INaL_OHara.INaL"] == pytest.approx(there["INaL"], rel=1e-12)
    ours = rates(model, -35.0, state)[1]
    for mine, theirs in (("m", "mL"), ("h", "hL"), ("hp", "hLp")):
        assert ours[f"INaL_OHara.{mine}"] == pytest.approx(change[theirs], rel=1e-12)


def test_late_sodium_current_prolongs_the_beat():
    def duration(**values):
        t, V = Cell(load_model("TT2", plugins={"INaL_OHara": values}), 0.02, flags=SMALL).run(
            600, Pulses(50, 5, 1), every=50)
        return t[V > -40][-1]

    without, with_it, phosphorylated = duration(GNaL=0), duration(), duration(fp_CaMK=1)
    assert without + 5 < with_it < without + 60
    assert with_it < phosphorylated < without + 60             # it inactivates more slowly


def test_a_fibroblast_alone_rests_as_published():
    """MacCannell 2007: -49.6 mV, which is the root of its current with gates at steady state."""
    model = load_model("TT2", plugins={"Fibroblast_MacCannell": {"G_gap": 0}})
    cell = Cell(model, 0.02, {"Fibroblast_MacCannell.V_f": -60.0}, flags=SMALL)
    cell.advance(1_000_000)
    rest = cell.state()["Fibroblast_MacCannell.V_f"]
    assert rest == pytest.approx(-49.6, abs=0.3)
    r, s = 1/(1 + math.exp(-(rest + 20)/11)), 1/(1 + math.exp((rest + 23)/7))
    assert fibroblast_current(rest, r, s) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("name", ["Fibroblast_MacCannell", "Fibroblast_Sachse"])
def test_fibroblasts_depolarise_rest_and_shorten_the_beat(name):
    def rest_and_duration(number):
        cell = Cell(load_model("TT2", plugins={name: {"number": number}}), 0.02, flags=SMALL)
        t, V = cell.run(600, Pulses(50, 200, 1), every=50)
        return V[t < 200][-1], t[V > -40][-1] - 200

    rests, durations = zip(*(rest_and_duration(n) for n in (0, 2, 4)), strict=True)
    assert rests[0] < rests[1] < rests[2] < -80
    assert durations[0] > durations[1] > durations[2] > 100


def test_a_fibroblast_of_sachse_as_chaste_has_it():
    """From 200 ms to 380 ms, after an impulse: the figures of the CellML version in Chaste's test data (2021.1)."""
    name = "Fibroblast_Sachse."
    model = read_model(HOST, "Host", methods="rk4", plugins={"Fibroblast_Sachse": {"G_gap": 0}})
    at_200 = {"V_f": -74.4047307, "C0": 0.909372577, "C1": 0.0215122740, "C2": 3.28971603e-3, "C3": 2.01444771e-3,
              "C4": 1.45909531e-3, "O": 0.0621195691}
    at_380 = {"V_f": -70.1902583, "C0": 0.970878301, "C1": 0.0247028700, "C2": 4.55474024e-4, "C3": 1.43667964e-4,
              "C4": 1.02851119e-4, "O": 3.48451445e-3}
    cell = Cell(model, 0.01, {name + key: value for key, value in at_200.items()}, flags=SMALL)
    cell.advance(18_000)
    for key, value in at_380.items():
        assert cell.state()[name + key] == pytest.approx(value, rel=5e-6), key


def test_a_fibroblast_of_sachse_rests_as_published():
    """-58 mV; its channel starts at rest there, and keeps its sum."""
    name = "Fibroblast_Sachse."
    model = load_model("TT2", plugins={"Fibroblast_Sachse": {"G_gap": 0}})
    change = rates(model, -85.0, initial_state(model))[1]
    channel = [name + state for state in ("C0", "C1", "C2", "C3", "C4", "O")]
    assert [change[state] for state in channel] == pytest.approx([0]*6, abs=1e-16)
    cell = Cell(model, 0.02, flags=SMALL)
    cell.advance(500_000)
    assert cell.state()[name + "V_f"] == pytest.approx(-58, abs=0.3)
    assert sum(cell.state()[state] for state in channel) == pytest.approx(1, abs=1e-12)


def test_the_pump_of_the_fibroblast_has_no_pole():
    model = load_model("TT2", plugins=["Fibroblast_MacCannell"])
    for V in (-150.0, -200.0, -500.0):
        found = quantities(model, -85.0, {**initial_state(model), "Fibroblast_MacCannell.V_f": V})
        assert found["Fibroblast_MacCannell.INaK"] == 0


def test_human_stretch_channels_open_with_stretch():
    """Buonocunto 2023: at and below rest length the leak of the potassium channel alone is left, 0.7 of GKo."""
    def added(V, lam, **values):
        model = load_model("Tomek", plugins={"ISAC_Buonocunto": {"Lambda": lam, **values}})
        return quantities(model, V, initial_state(model))

    name = "ISAC_Buonocunto."
    rest = added(-85.0, 1.0)
    assert rest[name + "Iion"] == added(-85.0, 0.9)[name + "Iion"] == rest[name + "IKo"]
    E_K = rest[name + "E_K"]
    leak = 0.7*12.8208e-6/35/1.534e-4/(1 + math.exp(75/45))*(-85 - E_K)
    assert rest[name + "IKo"] == pytest.approx(leak, rel=1e-12)
    small, large = added(-85.0, 1.05), added(-85.0, 1.15)
    assert large[name + "INs"] < small[name + "INs"] < 0
    assert large[name + "ICap"] < small[name + "ICap"] < 0
    assert added(-85.0, 1.05, condition="DISEASED")[name + "INs"] < 10*small[name + "INs"]
    assert added(0.0, 1.1)[name + "ICap"] == pytest.approx(added(1e-6, 1.1)[name + "ICap"], rel=1e-6)


def test_an_isometric_twitch_as_chaste_has_it():
    """kPa, 173 ms after activation, at 1.6, 1.9 and 2.2 um: the figures of Chaste's test of Kerckhoffs 2003."""
    for length, theirs in ((1.6, 1.2639), (1.9, 60.666), (2.2, 146.931)):
        model = load_model("TT2", plugins={"Stress_Kerckhoffs": {"Lambda": length/1.9}})
        state = initial_state(model) | {"Stress_Kerckhoffs.since": 173.0}
        assert quantities(model, -80.0, state)["Stress_Kerckhoffs.T_a"] == pytest.approx(theirs, rel=1e-4)


# The figures of model_RDQ20_MF.py (github.com/FrancescoRegazzoni/cardiac-activation, 2020) with its own constants
@pytest.mark.parametrize(("species", "calcium_", "length", "tension"), [
    ("HUMAN", 0.6, 2.2, 113.651211), ("HUMAN", 1.0, 1.9, 89.4910734), ("HUMAN", 1.0, 2.2, 117.657869),
    ("RAT", 0.6, 1.9, 10.8387735), ("RAT", 1.0, 2.2, 107.389685)])
def test_tension_of_regazzoni_at_rest(species, calcium_, length, tension):
    """kPa after 1.5 s at constant calcium (uM) and length (um)."""
    values = {"species": species, "Ca_i": calcium_, "Lambda": length/2.2}
    cell = Cell(read_model(HOST, "Host", plugins={"Stress_Regazzoni20": values}), 0.02, flags=SMALL)
    cell.advance(75_000)
    assert cell.state()["Tension"] == pytest.approx(tension, rel=1e-6)


def test_tension_of_regazzoni_in_a_shortening_muscle():
    """Along a calcium transient, SL = 2.2 (1 - 5e-4 t) um: at 20, 40 and 55 ms, their step taken to 0."""
    host = HOST + "stretch = 1 - 5e-4*t; .units(unitless); speed = -5e-4 + 0*t; .units(1/ms);"
    links = {"Lambda": "stretch", "delLambda": "speed"}
    cell = Cell(read_model(host, "Host", methods="rk4", plugins={"Stress_Regazzoni20": links}), 0.01, flags=SMALL)
    for time, theirs in ((20, 6.59420), (40, 21.23188), (55, 28.09114)):
        cell.advance(round(time/0.01) + 1 - cell.step)
        assert cell.state()["Tension"] == pytest.approx(theirs, rel=1e-4)
    units = [v for k, v in cell.state().items() if k.startswith("Stress_Regazzoni20.") and ".M" not in k]
    assert len(units) == 12
    assert min(units) >= 0
    assert sum(units) == pytest.approx(1, abs=1e-12)


# All the way: CUDA, and a case

@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
@every
def test_cuda_kernels_compile(name, precision):
    """For sm_90, in each precision."""
    assert "upstroke_advance" in report(generate(read_model(HOST, "Host", plugins=[name]), "cuda", precision).source)


def test_any_number_of_plugins_in_one_kernel():
    """All those that do not exclude each other, in one model, C and CUDA."""
    names = [name for name in PROOFS if not name.startswith("Stress_")] + ["Stress_Land17"]
    model = load_model("LuoRudy91", plugins={n: needs(n) for n in names})
    cell = Cell(model, 0.01, flags=SMALL)
    cell.advance(1000)
    assert -95 < cell.V < -60
    report(generate(model, "cuda", "fp64").source)


def test_a_case_with_plugins(tmp_path):
    """Parameters by region table, nodal names, probes of PLUGIN.name and of a shared quantity."""
    case = {
        "mesh": {"kind": "cable", "length": "5 mm", "dx": "0.25 mm"},
        "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["1.33 mS/cm"]}},
        "membrane": {"model": "TT2", "plugins": {"ikatp": {"ATP_i": 5, "clefts": "OPEN"}, "LandHumanStress": {}},
                     "initial": {"K_e": 6.0}, "parameters": {"IKATP_Ferrero.tau_cleft": 500, "Lambda": 1.05},
                     "method": {"Stress_Land17.XS": "rk2"}},
        "time": {"end": "60 ms", "dt": "0.02 ms"},
        "stimulus": {"box": {"min": ["0 mm"], "max": ["1 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"},
        "watch": {"probes": {"points": {"end": ["5 mm"]}, "every": "1 ms",
                             "variables": ["V", "K_e", "Tension", "Stress_Land17.XS"]}},
        "output": {"picture": False},
    }
    result = upstroke.run(case, tmp_path / "out")
    lines = (tmp_path / "out" / "probes.csv").read_text().splitlines()
    head, first, last = (line.split(",") for line in (lines[0], lines[1], lines[-1]))
    assert head == ["time_ms", "end.V", "end.K_e", "end.Tension", "end.Stress_Land17.XS"]
    assert float(first[2]) == 6.0
    assert float(last[2]) != 6.0
    assert float(last[3]) > 0.1
    assert result is not None


def test_stretch_depolarises_rest_and_shortens_the_plateau():
    """Nothing at or below rest length; at lambda_max the whole of both currents (Pueyo 2016)."""
    def added(V, lam):
        model = load_model("OHara", plugins={"ISAC_Pueyo": {"Lambda": lam, "cell_type": "EPI"}})
        return quantities(model, V, initial_state(model))["ISAC_Pueyo.Iion"]

    assert added(-85, 1.0) == added(20, 0.9) == 0
    assert added(-85, 1.1) == pytest.approx(0.006*(-75) + 0.2882/(1 + math.exp(104.05/29.98)), rel=1e-12)
    assert added(-85, 1.1) < 0 < added(20, 1.1)
    assert added(20, 1.05) == pytest.approx(added(20, 1.1)/2, rel=1e-12)


def test_shock_current_is_continuous_at_its_take_off():
    """Cheng 1999: 1 uA/cm^2 at 100 mV, exp(5.4) = 221 at 160 mV, and a straight line of the same slope from there."""
    model = load_model("TT2", plugins=["IA"])
    state = initial_state(model)

    def added(V):
        return quantities(model, V, state)["Defib_AshiharaTrayanova.Iion"]

    assert added(100) == 1
    assert added(160) == pytest.approx(math.exp(5.4), rel=1e-12)
    assert (added(160.001) - added(160))/0.001 == pytest.approx((added(160) - added(159.999))/0.001, rel=1e-3)
    assert added(400) == pytest.approx(math.exp(5.4)*(1 + 0.09*240), rel=1e-12)
    assert added(-80) < 1e-6
