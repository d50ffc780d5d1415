"""Channels of neurons against the formulas of their papers, and against Arbor and NEURON."""

from __future__ import annotations

import numpy as np
import pytest
from channel_equations import CA_E, CHANNELS

from upstroke.ionic import initial_state, load_model, load_plugin, quantities, rates
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
