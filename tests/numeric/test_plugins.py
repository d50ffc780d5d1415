"""Every plug-in against its equations written a second time and integrated by SciPy, and against published values.

The host is a passive cell in which all that a plug-in may read is known; the plug-in is added, compiled and stepped as
any user's would be. ``PROOFS`` holds, for each plug-in, its equations in plain Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pacing import Cell, Pulses
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
RTF = 8.314472*310/96.4853415                          # mV
ION = {"K_e": 5.4, "Na_e": 140.0, "Ca_e": 1.8, "K_i": 138.0, "Na_i": 10.0, "Lambda": 1.0, "delLambda": 0.0}


def calcium(t: float) -> float:
    """mM"""
    return 1e-4 + 9e-4*(t/15)*math.exp(1 - t/15)


@dataclass(frozen=True)
class Proof:
    """``equations(t, V, s, given)`` -> (current, rates) with states ``s`` by name, and ``outputs`` of them.

    ``given`` holds ions, stretch and Ca_i. ``values`` are the plug-in's parameters in the run, ``clamp`` a voltage that
    is imposed instead of the host's own.
    """

    equations: Callable[[float, float, dict[str, float], dict[str, float]], tuple[float, dict[str, float]]]
    start: dict[str, float] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    outputs: Callable[[float, float, dict[str, float], dict[str, float]], dict[str, float]] | None = None
    off: dict[str, Any] = field(default_factory=dict)  # parameters under which it adds nothing
    initial: dict[str, float] = field(default_factory=dict)
    dt: float = 0.01


def i_ach(t, V, s, g):
    conductance = 10/(1 + 9.13652/0.1**0.477811)*(0.0517 + 0.4516/(1 + math.exp((V + 59.53)/17.18)))
    return conductance*(V - RTF*math.log(g["K_e"]/g["K_i"])), {}


def i_fun(t, V, s, g):
    y = s["IFun.y"]
    current = y*(0.0145654*(V - RTF*math.log(g["Na_e"]/g["Na_i"])) + 0.0234346*(V - RTF*math.log(g["K_e"]/g["K_i"])))
    target = 1/(1 + math.exp((V + 80.6)/6.8))
    return current, {"IFun.y": (target - y)*(math.exp(-2.9 - 0.04*V) + math.exp(3.6 + 0.11*V))/4000}


def i_katp(t, V, s, g):
    Ko = s["K_e"]
    mg = 1/(1 + 0.5/(0.65/math.sqrt(Ko + 5)*math.exp(-0.64*V/RTF)))
    na = 1/(1 + (g["Na_i"]/(25.9*math.exp(-0.35*V/RTF)))**2)
    half = 35.8 + 17.9*15**0.256
    open_ = 0.91/(1 + (500/half)**(1.3 + 0.74*math.exp(-0.09*15)))
    siemens = 35.375e-12*(Ko/5.4)**0.24*mg*na*1.3**0.085*open_*3.8e8         # S/cm^2: 3.8 channels/um^2
    current = 1e3*siemens*(V - RTF*math.log(Ko/g["K_i"]))                    # uA/cm^2
    return current, {"K_e": current*1e-6/96485.3415*1e6/1e-5*1e-3 - (Ko - 5.4)/1000}


def na_bondarenko(t, V, s, g):
    """By the rates between pairs of states, each pair once."""
    e = math.exp
    up = [3.802/(0.1027*e(-(V + 2.5)/w) + f*e(-(V + 2.5)/150)) for w, f in ((17, 0.2), (15, 0.23), (12, 0.25))]
    down = [0.1917*e(-(V + 2.5)/20.3), 0.2*e(-(V - 2.5)/20.3), 0.22*e(-(V - 7.5)/20.3)]
    leave, enter = 7e-7*e(-(V + 7)/7.7), 0.0084 + 0.00002*(V + 7)
    shut = 1/(0.188495*e(-(V + 7)/16.6) + 0.393956)
    pairs = [("C3", "C2", up[0], down[0]), ("C2", "C1", up[1], down[1]), ("C1", "O", up[2], down[2]),
             ("IC3", "IC2", up[0], down[0]), ("IC2", "IF", up[1], down[1]), ("C3", "IC3", enter, leave),
             ("C2", "IC2", enter, leave), ("C1", "IF", enter, leave),
             ("O", "IF", shut, up[2]*shut*leave/(down[2]*enter)), ("IF", "I1", shut/1000, leave),
             ("I1", "I2", shut/95000, leave/50)]
    p = {k.removeprefix("INa_Bondarenko."): v for k, v in s.items() if "." in k}
    change = dict.fromkeys(p, 0.0)
    for a, b, there, back in pairs:
        flow = there*p[a] - back*p[b]
        change[a] -= flow
        change[b] += flow
    E = 8.314472*298/96.4853415*math.log((0.9*g["Na_e"] + 0.1*g["K_e"])/(0.9*g["Na_i"] + 0.1*g["K_i"]))
    return 13*p["O"]*(V - E), {f"INa_Bondarenko.{k}": v for k, v in change.items()}


def pores(t, V, s, g):
    """The conductance as DeBruin and Krassowska write it, in SI."""
    N, v, w, n = s["Electroporation_DeBruinKrassowska98.N"], V/RTF, 5.25, 0.15
    up, down = w - n*v, w + n*v
    K = (math.exp(v) - 1)/((w*math.exp(up) - n*v)/up*math.exp(v) - (w*math.exp(down) + n*v)/down)
    siemens = math.pi*2.5e-9**2*1.3/5e-9*K
    field = 6.25e-5*V**2
    rate = 200*math.exp(field)*(1 - N/1.5e5*math.exp(-2.46*field))
    return siemens*1e3*N*V, {"Electroporation_DeBruinKrassowska98.N": rate}


def named(prefix):
    """The plug-in's states without its name, and a way to put it back."""
    def short(s):
        return {k.removeprefix(prefix + "."): v for k, v in s.items()}

    def full(values):
        return {f"{prefix}.{k}": v for k, v in values.items()}

    return short, full


def land17(t, V, s, g):
    short, full = named("Stress_Land17")
    y, ca, lam = short(s), 1000*g["Ca_i"], min(g["Lambda"], 1.2)
    free = 1 - y["TmBlocked"] - y["XS"] - y["XW"]
    kb = 0.04*0.35**2.4/(0.75 - 0.75*0.5)
    A = 25*0.25/(0.75*0.5 + 0.25)
    cw, cs = 2.23*0.182*0.5/0.5, 2.23*0.012*0.75*0.5/0.25
    zs = y["ZETAS"]
    gs = 0.0085*max(zs*(zs > 0), (-1 - zs)*(zs < -1))
    return 0.0, full({
        "TRPN": 0.1*((ca/(0.805 - 2.4*(lam - 1)))**2*(1 - y["TRPN"]) - y["TRPN"]),
        "TmBlocked": kb*min(100, y["TRPN"]**-1.2)*free - 0.04*y["TRPN"]**1.2*y["TmBlocked"],
        "XW": 0.182*free - 0.182*y["XW"] - 0.615*abs(y["ZETAW"])*y["XW"],              # kwu + kws = kuw(1/rw - 1)
        "XS": 0.012*y["XW"] - (0.012*0.5*3 + gs)*y["XS"],
        "ZETAW": A*g["delLambda"] - cw*y["ZETAW"], "ZETAS": A*g["delLambda"] - cs*zs})


def land17_tension(t, V, s, g):
    y, lam = named("Stress_Land17")[0](s), min(g["Lambda"], 1.2)
    h = max(0, 1 + 2.3*(lam + min(lam, 0.87) - 1.87))
    return {"Tension": h*120/0.25*((1 + y["ZETAS"])*y["XS"] + y["ZETAW"]*y["XW"])}


def memory(Q, a=0.35):
    return (a*Q + 1)/(1 - Q) if Q < 0 else (1 + (a + 2)*Q)/(1 + Q)


def land12(t, V, s, g):
    short, full = named("Stress_Land12")
    y, ca, lam, dl = short(s), 1000*g["Ca_i"], min(g["Lambda"], 1.2), g["delLambda"]
    on = (y["TRPN"]/0.35)**2.5
    return 0.0, full({"TRPN": 0.1*((ca/(0.8*(1 - 1.5*(lam - 1))))**2*(1 - y["TRPN"]) - y["TRPN"]),
                      "XB": 0.1*(on*(1 - y["XB"]) - min(100, 1/on)*y["XB"]),
                      "Q1": -29*dl - 0.15*y["Q1"], "Q2": 116*dl - 0.5*y["Q2"]})


def land12_tension(t, V, s, g):
    y, lam = named("Stress_Land12")[0](s), min(g["Lambda"], 1.2)
    h = max(0, 1 + 1.65*(lam + min(lam, 0.87) - 1.87))
    return {"Tension": 120*h*memory(y["Q1"] + y["Q2"])*y["XB"]}


def nhs_tension(t, V, s, g):
    y, e = named("Stress_NHS")[0](s), g["Lambda"] - 1
    c50 = 0.00105*(1 - 4*e)
    half = c50/(c50 + 0.002*(1 - (1 + 4.9*e)/4))                                      # of TRPN_max
    hill, kz = 0.85**3, 0.15**3
    slope = 0.00175*3*0.85**2*kz/(hill + kz)**2
    rest = 0.00175*hill/(hill + kz) - slope*0.85                                      # tangent at z_p
    full = 0.008/half**3
    z_max = (full - rest)/(0.002 + slope + full)
    return {"Tension": 56.2*(1 + 4.9*e)*y["z"]/z_max*memory(y["Q1"] + y["Q2"] + y["Q3"])}


def nhs(t, V, s, g):
    short, full = named("Stress_NHS")
    y, dl, e = short(s), g["delLambda"], g["Lambda"] - 1
    c50 = 0.00105*(1 - 4*e)
    half = 0.07*c50/(c50 + 0.002*(1 - (1 + 4.9*e)/4))
    off = 0.2*max(0.1, 1 - nhs_tension(t, V, s, g)["Tension"]/112.4)
    z3 = y["z"]**3
    return 0.0, full({"TRPN": 100*g["Ca_i"]*(0.07 - y["TRPN"]) - off*y["TRPN"],
                      "z": 0.008*(y["TRPN"]/half)**3*(1 - y["z"]) - 0.002*y["z"] - 0.00175*z3/(z3 + 0.15**3),
                      "Q1": -29*dl - 0.03*y["Q1"], "Q2": 138*dl - 0.13*y["Q2"], "Q3": 129*dl - 0.625*y["Q3"]})


def rice_overlap(SL):
    single = min(1.65, SL)/2 - max(1.2 - SL/2, 0.05)
    return 2*single/1.55, single/1.2


def rice(t, V, s, g):
    short, full = named("Stress_Rice")
    y, ca, SL, dSL = short(s), 1000*g["Ca_i"], 1.9*g["Lambda"], 1.9*g["delLambda"]
    thick, thin = rice_overlap(SL)
    bound = (1 - thin)*y["TRPNCaL"] + thin*y["TRPNCaH"]
    open_ = (1 + (0.5/bound)**15)**-0.5
    pre, post = y["xXBprer"]/0.007, y["xXBpostr"]/0.007 - 1
    P = 1 - y["XN"] - y["XBprer"] - y["XBpostr"]
    N_P, P_N = 0.5*open_, 0.05*min(100, 1/open_)
    f, gap = 0.5, 0.07*(7 - 6*thick)
    h = 2*math.exp(-5*math.copysign(pre**2, pre))
    gx = 0.07*math.exp((8 if post < 0 else 1)*post**2)
    all_ = f*h + gx*h + gx*gap + 0.4*f + 0.4*gap + gx*f
    return 0.0, full({
        "TRPNCaL": 0.05*ca*(1 - y["TRPNCaL"]) - 0.25*y["TRPNCaL"],
        "TRPNCaH": 0.05*ca*(1 - y["TRPNCaH"]) - 0.025*y["TRPNCaH"],
        "XN": P_N*P - N_P*y["XN"],
        "XBprer": f*P - gap*y["XBprer"] - h*y["XBprer"] + 0.4*y["XBpostr"],
        "XBpostr": h*y["XBprer"] - (0.4 + gx)*y["XBpostr"],
        "xXBprer": dSL/2 + 2*all_/((0.4 + gx)*f)*(0.4*(y["xXBpostr"] - 0.007 - y["xXBprer"]) - f*y["xXBprer"]),
        "xXBpostr": dSL/2 + 2*all_/(f*h)*h*(0.007 + y["xXBprer"] - y["xXBpostr"])})


def rice_tension(t, V, s, g):
    y, thick = named("Stress_Rice")[0](s), rice_overlap(1.9*g["Lambda"])[0]
    most = 0.5*2/(0.07*2 + 0.5*2 + 0.07*0.07 + 0.4*0.5 + 0.4*0.07 + 0.07*0.5)
    return {"Tension": 120*thick*(y["xXBpostr"]*y["XBpostr"] + y["xXBprer"]*y["XBprer"])/(0.007*most)}


def lumens(t, V, s, g):
    y, since, Ls = named("Stress_Lumens")[0](s), t, 2*g["Lambda"]
    x = min(8, since/48)
    C, L = y["C"], y["L_sc"]
    decay = (0.02 - C)/32/(1 + math.exp((425*(0.29 + 0.3*L) - since)/32))
    return 0.0, {"Stress_Lumens.L_sc": 0.007*((Ls - L)/0.04 - 1),
                 "Stress_Lumens.C": math.tanh(4*(L - 1.51)**2)*0.02*x**3*(8 - x)**2*math.exp(-x)/48 + decay}


def lumens_stress(t, V, s, g):
    y, Ls = named("Stress_Lumens")[0](s), 2*g["Lambda"]
    return {"Tension": 120*y["C"]*(y["L_sc"] - 1.51)*(Ls - y["L_sc"])/0.04}


def twitch(since, lam=1.0, peak=100.0):
    """kPa, Niederer 2011."""
    phi, s = max(0.0, math.tanh(5*(lam - 0.7))), since - 15
    if not 0 < s < 550:
        return 0.0
    return peak*phi*(math.tanh(s/(40 + 500*(1 - phi)))*math.tanh((550 - s)/110))**2


STRETCHED = {"Lambda": 1.06, "delLambda": -5e-4}       # a muscle that shortens
rest_12, rest_17 = (0.1/(0.8*(1 - 0.09)))**2, (0.1/(0.805 - 0.144))**2
REST_NA = {"O": 0.713483e-6, "C1": 0.279132e-3, "C2": 0.020752, "IF": 0.153176e-3, "I1": 0.673345e-6,
           "I2": 0.155787e-8, "IC2": 0.0113879, "IC3": 0.34278}
REST_NA["C3"] = 1 - sum(REST_NA.values())
def stretch_activated(t, V, s, g):
    part = (g["Lambda"] - 1)/0.1
    return 0.006*part*(V + 10) + 0.2882*800/210*part/(1 + math.exp((19.05 - V)/29.98)), {}


def shock(t, V, s, g):
    return math.exp(0.09*(V - 100)) if V <= 160 else math.exp(5.4)*(1 + 0.09*(V - 160)), {}


def nash_panfilov(t, V, s, g):
    u = max(0, (V + 80)/100)
    return 0.0, {"Tension": (1 if u < 0.05 else 10)/12.9*(47.9*u - s["Tension"])}


PROOFS = {
    "Stress_NashPanfilov": Proof(nash_panfilov, {"Tension": 0}, off={"k_Ta": 0}),
    "Defib_AshiharaTrayanova": Proof(shock, off={"scale": 0}),
    "ISAC_Pueyo": Proof(stretch_activated, values={"Lambda": 1.06}, off={"Lambda": 1}),
    "Electroporation_DeBruinKrassowska98": Proof(
        pores, named("Electroporation_DeBruinKrassowska98")[1]({"N": 1.5e5*math.exp(2.46*0.4)}),
        off={"scale": 0}),
    "INa_Bondarenko": Proof(na_bondarenko, named("INa_Bondarenko")[1](REST_NA), off={"GNa": 0}),
    "Stress_Land12": Proof(
        land12, named("Stress_Land12")[1]({"TRPN": rest_12/(1 + rest_12), "XB": 0, "Q1": 0, "Q2": 0}), STRETCHED,
        land12_tension, off={"Tref": 0}),
    "Stress_Land17": Proof(
        land17, named("Stress_Land17")[1]({"TRPN": rest_17/(1 + rest_17), "TmBlocked": 1, "XW": 0, "XS": 0,
                                           "ZETAW": 0, "ZETAS": 0}), STRETCHED, land17_tension, off={"Tref": 0}),
    "Stress_Lumens": Proof(
        lumens, {"Stress_Lumens.L_sc": 2.12 - 0.04, "Stress_Lumens.C": 0.02}, {"Lambda": 1.06, "V_th": 1000},
        lumens_stress, {"sigma_act": 0}, initial={"Stress_Lumens.since": 0}),
    "Stress_NHS": Proof(
        nhs, named("Stress_NHS")[1]({"TRPN": 0.07*0.01/0.21, "z": 0, "Q1": 0, "Q2": 0, "Q3": 0}),
        STRETCHED, nhs_tension, off={"Tref": 1}),
    "Stress_Niederer": Proof(
        lambda t, V, s, g: (0.0, {}), {}, {"Lambda": 1.06, "V_th": 1000},
        lambda t, V, s, g: {"Tension": twitch(t, 1.06)}, {"T_peak": 0}, initial={"Stress_Niederer.since": 0}),
    "Stress_Rice": Proof(
        rice, named("Stress_Rice")[1]({"TRPNCaL": 0.005/0.255, "TRPNCaH": 0.005/0.03, "XN": 1, "XBprer": 0,
                                       "XBpostr": 0, "xXBprer": 0, "xXBpostr": 0.007}),
        STRETCHED, rice_tension, off={"T_max": 0}),
    "I_ACh": Proof(i_ach, values={"ACh": 0.1}, off={"ACh": 0}),
    "IFun": Proof(i_fun, {"IFun.y": 1/(1 + math.exp(0.6/6.8))}, off={"GfNa": 0, "GfK": 0}),
    "IKATP_Ferrero": Proof(i_katp, {"K_e": 5.4}, {"ATP_i": 0.5, "clefts": "OPEN"}, off={"sigma": 0}),
}
every = pytest.mark.parametrize("name", [info.name for info in shipped_plugins()])


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
        return quantities(model, -85.0, initial_state(model))["IKATP_Ferrero.f_ATP"]

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
    ("Stress_Land12", 20, 120), ("Stress_Land17", 5, 80), ("Stress_NHS", 5, 56), ("Stress_Rice", 5, 120),
    ("Stress_Lumens", 20, 120), ("Stress_Niederer", 50, 100)])
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


# All the way: CUDA, and a case

@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
@every
def test_cuda_kernels_compile(name, precision):
    """For sm_90, in each precision."""
    assert "upstroke_advance" in report(generate(read_model(HOST, "Host", plugins=[name]), "cuda", precision).source)


def test_any_number_of_plugins_in_one_kernel():
    """All those that do not exclude each other, in one model, C and CUDA."""
    names = [info.name for info in shipped_plugins() if not info.name.startswith("Stress_")] + ["Stress_Land17"]
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
