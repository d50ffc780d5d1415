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
from scipy.integrate import solve_ivp

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
    mg = 1/(1 + 0.5/(0.65*math.sqrt(Ko + 5)*math.exp(-0.64*V/RTF)))
    na = 1/(1 + (g["Na_i"]/(25.9*math.exp(-0.35*V/RTF)))**2)
    half = 35.8 + 17.9*15**0.256
    open_ = 0.91/(1 + (500/half)**(1.3 + 0.74*math.exp(-0.09*15)))
    siemens = 35.375e-12*(Ko/5.4)**0.24*mg*na*1.3**0.085*open_*3.8e8         # S/cm^2: 3.8 channels/um^2
    current = 1e3*siemens*(V - RTF*math.log(Ko/g["K_i"]))                    # uA/cm^2
    return current, {"K_e": current*1e-6/96485.3415*1e6/1e-5*1e-3 - (Ko - 5.4)/1000}


PROOFS = {
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
        return ION | {"Ca_i": calcium(t)}

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
    cell = Cell(model, proof.dt, flags=SMALL)
    for time, theirs in ends.items():
        cell.advance(round(time/proof.dt) - cell.step)
        found = cell.state()
        for key, value in zip(names, theirs, strict=True):
            # The last stage of the step that ends the drive sees it off: dt/6 * 12 mV at most.
            assert found[key] == pytest.approx(value, rel=2e-3, abs=2e-3*proof.dt*12), (time, key)
        if proof.outputs:
            s = {n: found[n] for n in names}
            for key, value in proof.outputs(time, found["V"], s, given(time)).items():
                assert found[key] == pytest.approx(value, rel=0.01, abs=1e-6), (time, key)


@every
def test_right_hand_side(name):
    """Currents and rates to rounding, over a range of voltages and times."""
    proof = PROOFS[name]
    model = read_model(HOST, "Host", plugins={name: proof.values})
    plain = read_model(HOST, "Host")
    rng = np.random.default_rng(1)
    for _ in range(20):
        V, t = rng.uniform(-120, 60), rng.uniform(0, 40)
        state = {s.name: 0.0 for s in model.states} | {n: v*rng.uniform(0.5, 1.5) for n, v in proof.start.items()}
        current, change = proof.equations(t, V, state, ION | {"Ca_i": calcium(t)})
        found = quantities(model, V, state, t)
        added = found["Iion"] - quantities(plain, V, {}, t)["Iion"]
        assert added == pytest.approx(current, rel=1e-8, abs=1e-9)
        theirs = rates(model, V, state, t)[1]
        for key, value in change.items():
            assert theirs[key] == pytest.approx(value, rel=1e-8, abs=1e-13), key


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
    assert normal == pytest.approx(195, abs=10)


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
