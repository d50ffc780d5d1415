"""Channels of neurons against the formulas of their papers, and against Arbor and NEURON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from channel_equations import CA_E, CHANNELS
from ptxas import report

import upstroke
from upstroke import load_case
from upstroke.codegen import generate
from upstroke.ionic import advance, initial_state, load_model, load_plugin, quantities, rates
from upstroke.ionic.evaluate import value_of

VOLTAGES = [-120.0, -97.3, -81.9, -71.1, -61.3, -52.7, -43.1, -33.3, -21.7, -9.1, 3.7, 17.9, 44.3]
POOL = {"CaDynamics_E2": {"gamma": 1e-3}}


def host(name, **values):
    """A passive cell with a channel, and with a pool of calcium where it needs one."""
    pool = POOL if "Ca_i" in load_plugin(name).externals.values() and not name.startswith("Ca_Dest") else {}
    own = {"g": 1.0} if any(p.name == "g" for p in load_plugin(name).parameters) else {}
    plugins = {**pool, name: {**pool.get(name, {}), **own, **values}}
    reads_e = any(s == "Ca_e" for s in load_plugin(name).externals.values())
    return load_model("Passive", parameters={"Rm": 1e9, **({"Ca_e": CA_E} if reads_e else {})}, plugins=plugins)


@pytest.mark.parametrize("name", CHANNELS)
def test_gates_and_currents_are_those_of_the_papers(name):
    """dx/dt = (x_inf - x)/tau at x = 0 and 1, and the current at gates drawn by chance."""
    proof, model, rng = CHANNELS[name], host(name), np.random.default_rng(1)
    prefix = "" if "Ca_i" in proof.gates else f"{name}."
    assert {f"{prefix}{gate}" for gate in proof.gates} | {"Ca_i"} >= {s.name for s in model.states}
    for V in VOLTAGES:
        Ca = 10**rng.uniform(-4.3, -2.5)
        states = {s.name: Ca if s.name == "Ca_i" else rng.uniform(0.1, 1) for s in model.states}
        for gate, gives in proof.gates.items():
            steady, tau = gives(V, Ca)
            for x in (0.0, 1.0):
                at = states | ({f"{prefix}{gate}": x} if prefix else {"Ca_i": max(x, 1e-9)})
                found = rates(model, V, at)[1][f"{prefix}{gate}"]
                assert found == pytest.approx((steady - at[f"{prefix}{gate}"])/tau, rel=2e-8), (V, gate, x)
        found = quantities(model, V, states)
        gates = {gate: states[f"{prefix}{gate}"] for gate in proof.gates}
        assert found["Iion"] == pytest.approx(proof.current(gates, V, Ca), rel=1e-8, abs=1e-6), V
        assert found.get("ICa", 0.0) == pytest.approx(found["Iion"] if proof.calcium else 0.0, abs=1e-6)


@pytest.mark.parametrize("name", CHANNELS)
def test_gates_start_at_rest_and_bend_without_a_gap(name):
    """At the removable singular points of rates, and around them, steady states are smooth."""
    model = host(name)
    assert all(np.isfinite(list(initial_state(model).values())))
    V = np.arange(-130, 60, 0.0625)                       # hits every whole voltage
    states = {s.name: np.full(V.shape, 1e-4 if s.name == "Ca_i" else 0.5) for s in model.states}
    names = quantities(model, V, states)
    for s in model.states:
        rate = np.broadcast_to(value_of(s.rate, names), V.shape)
        assert np.all(np.isfinite(rate)), s.name
        bend = np.abs(np.diff(rate, 2))
        assert bend.max() <= 3e-2*np.ptp(rate) + 1e-9, s.name


ARBOR = json.loads((Path(__file__).parents[1] / "data" / "neuron" / "channels_arbor.json").read_text())
G = {name: 1000*value for name, value in ARBOR["conductances"].items()}
FEEDS = {"SK_E2": ("Ca_HVA", "Ca_LVAst"), "Ca_HVA": (), "Ca_LVAst": ()}          # calcium channels beside this one


@pytest.mark.parametrize("name", ARBOR["clamp"])
def test_clamped_as_in_arbor(name):
    """Gates, calcium and current after steps of V from -80 mV. Gates are exact at any step, and so are Arbor's nearly;
    its calcium is of order 1 in its step of 0.24 us."""
    rows, V = ARBOR["clamp"][name], np.array(ARBOR["voltages"])
    calcium = name in FEEDS
    plugins = {n: {"g": G[n]} for n in (name, *FEEDS.get(name, ()))} | ({"CaDynamics_E2": {}} if calcium else {})
    parameters = {"Rm": 1e12, "V_rest": ARBOR["start"], **({"Ca_e": 2} if calcium else {})}
    methods = {f"{n}.{state}": "rk2" for n, state in (("CaDynamics_E2", "Ca_i"), ("SK_E2", "z")) if n in plugins}
    model = load_model("Passive", parameters=parameters, plugins=plugins, methods=methods)
    states = {n: np.full(V.shape, value) for n, value in initial_state(model).items() if n != "V"}
    dt, now = 0.025 if calcium else 0.5, 0.0
    for k, time in enumerate(ARBOR["times_ms"]):
        while now < time - dt/2:
            _, states = advance(model, V, states, now, dt, C_m=1e30)      # V stays
            now += dt
        found = quantities(model, V, states) | {"I": quantities(model, V, states)["Iion"]/100}           # A/m^2
        for key, near in (("Ca_i", 1e-4), ("z", 1e-3), ("I", 3e-4 if calcium else 1e-5), ("m", 3e-6), ("h", 3e-6)):
            if key in rows[0]:
                theirs = np.array([row[key][k] for row in rows])
                ours = found[key if key in ("Ca_i", "I") else f"{name}.{key}"]
                assert np.abs(ours - theirs).max() <= near*np.abs(theirs).max(), (key, time)


@pytest.mark.parametrize(("splitting", "dt", "within"), [
    ("staggered", 0.025, 0.02), ("staggered", 0.00625, 0.002), ("implicit", 0.025, 0.15), ("implicit", 0.00625, 0.04)])
def test_a_soma_of_hay_fires_as_in_arbor(splitting, dt, within, tmp_path):
    """Nine channels and their calcium on one compartment, 0.15 nA: times of spikes, calcium at the end."""
    soma = ARBOR["soma"]
    plugins = {name: {"g": G[name]} for name in soma["channels"]} | {"CaDynamics_E2": {}}
    case = {"mesh": {"kind": "sections", "section": [{"name": "soma", "type": "soma", "length": "20 um",
                                                      "diameter": "20 um"}]},
            "cable": {"axial_resistivity": "100 ohm*cm"},
            "membrane": {"model": "Passive", "parameters": {"Rm": 1/0.0338, "V_rest": -90, "Ca_e": 2},
                         "plugins": plugins, "initial": {"V": -80},
                         "method": {"CaDynamics_E2.Ca_i": "rk2"}},
            "time": {"end": "100 ms", "dt": f"{dt} ms", "splitting": splitting},
            "stimulus": {"site": {"section": "soma"}, "total_current": f"{soma['current_nA']} nA", "start": "5 ms",
                         "duration": "200 ms"},
            "watch": {"spikes": {"points": {"soma": {"section": "soma"}}},
                      "probes": {"points": {"soma": {"section": "soma"}}, "variables": ["V", "Ca_i"],
                                 "every": f"{dt} ms"}},
            "output": {"picture": False}}
    upstroke.run(load_case(case), tmp_path / "out")
    fine = {float(step): row for step, row in soma["runs"].items()}
    a, b = (np.array(fine[step]["spikes_ms"]) for step in sorted(fine)[:2])
    limit = 2*a - b                                                # of order 1: each halving halves the error
    ours = np.genfromtxt(tmp_path / "out" / "spikes.csv", delimiter=",", names=True, dtype=None)["time_ms"]
    assert len(ours) == len(limit)
    assert np.abs(ours - limit).max() < within
    probes = np.genfromtxt(tmp_path / "out" / "probes.csv", delimiter=",", names=True, deletechars="")
    near = 0.1*dt if splitting == "staggered" else 0.4*dt
    assert probes["soma.Ca_i"][-1] == pytest.approx(fine[min(fine)]["Ca_end"], rel=near)


HERE = {"Cai": "Ca_i", "M": "m", "H": "h", "N": "n"}         # states by their names there
WHOLE = {                                   # a model, and the channels that make it; parameters of each
    "Pospischil": ({"Rm": 10, "V_rest": -70}, {
        "INa_TraubMiles": {"g": 50, "VT": -61.5}, "IKd_TraubMiles": {"g": 5, "VT": -61.5},
        "IM_Pospischil": {"g": 0.07}}),
    "PospischilIB": ({"Rm": 100, "V_rest": -85}, {
        "INa_TraubMiles": {"g": 50, "VT": -55}, "IKd_TraubMiles": {"g": 5, "VT": -55, "E_K": -100},
        "IM_Pospischil": {"g": 0.03, "E_K": -100}, "IL_Pospischil": {}}),
    "PospischilLTS": ({"Rm": 100, "V_rest": -85}, {
        "INa_TraubMiles": {"g": 50, "VT": -55}, "IKd_TraubMiles": {"g": 5, "VT": -55, "E_K": -100},
        "IM_Pospischil": {"g": 0.03, "E_K": -100}, "IT_Pospischil": {}}),
    "HodgkinHuxley": ({"Rm": 1e12, "V_rest": -65}, {"hh": {"E_L": -65 + 10.613}}),
    "TraubMiles": ({"Rm": 20, "V_rest": -60}, {"INa_TraubMiles": {}, "IKd_TraubMiles": {}}),
    "DestexheRE": ({"Rm": 20, "V_rest": -90, "Ca_e": 2}, {
        "INa_TraubMiles": {"g": 200, "VT": -55}, "IKd_TraubMiles": {"g": 20, "VT": -55, "E_K": -100},
        "IT_Destexhe": {}, "Ca_Destexhe": {}}),
}


@pytest.mark.parametrize("name", WHOLE)
def test_channels_make_the_models_of_whole_cells(name):
    """Currents and rates are those of the model that is held against its authors' code."""
    parameters, plugins = WHOLE[name]
    whole, rng = load_model(name), np.random.default_rng(2)
    made = load_model("Passive", parameters=parameters, plugins=plugins)
    for V in VOLTAGES:
        states = {s.name: 3e-4 if s.name == "Cai" else rng.uniform(0, 1) for s in whole.states}
        known = {HERE.get(n, n): value for n, value in states.items()}
        ours = rates(made, V, {s.name: known[s.name.rpartition(".")[2]] for s in made.states})
        theirs = rates(whole, V, states)
        assert ours[0] == pytest.approx(theirs[0], rel=1e-9)
        changes = {HERE.get(n, n): value for n, value in theirs[1].items()}
        assert {n.rpartition(".")[2]: value for n, value in ours[1].items()} == pytest.approx(changes, rel=2e-8)


@pytest.mark.parametrize(("precision", "follow"), [("fp64", True), ("mixed", False)])
def test_all_channels_compile_for_a_gpu(precision, follow):
    """Those of one cell together, and the rest; with V advanced by the kernel, and given to it."""
    hay = [name for name in CHANNELS if load_plugin(name).header["DOI"] == "10.1371/journal.pcbi.1002107"]
    others = [name for name in CHANNELS if name not in hay]
    for names in (hay, others):
        model = load_model("Passive", plugins=names)
        assert "upstroke_advance" in report(generate(model, "cuda", precision, follow=follow).source)
