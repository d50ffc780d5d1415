"""Networks of spiking cells by NEURON, as network9.json. With `pip install neuron`: python make_network.py.

A random network of 40 balls of squid membrane, and of 12 balls and sticks in a ring. By CVODE, which finds spikes
within a step (condition_order 2) and delivers them when they arrive, so close to the exact solution; the ring also by
NEURON's fixed steps, which take a spike to leave at the end of one."""

import json
import random
from pathlib import Path

from neuron import h

HERE = Path(__file__).parent
SEED = 11


def cell(stick):
    soma = h.Section(name="soma")
    soma.L = soma.diam = 20
    soma.nseg = 1
    soma.Ra, soma.cm = 150, 1
    soma.insert("hh")
    if not stick:
        return soma, soma
    dend = h.Section(name="dend")
    dend.L, dend.diam, dend.nseg = 200, 2, 10
    dend.Ra, dend.cm = 150, 1
    dend.connect(soma(1))
    dend.insert("pas")
    dend.g_pas, dend.e_pas = 1e-4, -65
    return soma, dend


def network(cells, places, connections, inputs, kinetics, end):
    """Spikes of each cell; connections are (from, to, kind, nS, delay), inputs (cell, nA, start, duration), ms."""
    keep, synapses = [], {}
    for number, current, start, duration in inputs:
        clamp = h.IClamp(cells[number][0](0.5))
        clamp.delay, clamp.dur, clamp.amp = start, duration, current
        keep.append(clamp)
    for source, target, kind, weight, delay in connections:
        if (target, kind) not in synapses:
            rise, decay, reversal = kinetics[kind]
            synapse = h.Exp2Syn(places[target]) if rise else h.ExpSyn(places[target])
            if rise:
                synapse.tau1, synapse.tau2 = rise, decay
            else:
                synapse.tau = decay
            synapse.e = reversal
            synapses[target, kind] = synapse
        con = h.NetCon(cells[source][0](0.5)._ref_v, synapses[target, kind], sec=cells[source][0])
        con.threshold, con.delay, con.weight[0] = 0, delay, 1e-3 * weight
        keep.append(con)
    t = h.Vector().record(h._ref_t)
    along = [h.Vector().record(soma(0.5)._ref_v) for soma, _ in cells]
    h.finitialize(-65)
    h.continuerun(end)
    t = list(t)
    spikes = [[round(t[k] + (t[k + 1] - t[k]) * -V[k] / (V[k + 1] - V[k]), 6)
               for k in range(len(t) - 1) if V[k] < 0 <= V[k + 1]] for V in map(list, along)]
    return {"connections": connections, "inputs": inputs, "kinetics": kinetics, "end_ms": end, "spikes_ms": spikes}


def main():
    h.load_file("stdrun.hoc")
    h.celsius = 6.3
    h.usetable_hh = 0
    h.cvode.active(1)
    h.cvode.condition_order(2)
    h.cvode.atol(1e-8)
    h.cvode.rtol(1e-8)
    h.cvode.maxstep(0.02)
    draw = random.Random(SEED)
    kinetics = {"exc": [None, 3.0, 0.0], "inh": [0.5, 8.0, -80.0]}
    connections = []
    for target in range(40):
        for _ in range(4):
            source = draw.choice([k for k in range(40) if k != target])
            kind = "inh" if source < 10 else "exc"
            connections.append([source, target, kind, round(draw.uniform(8, 14), 3), round(draw.uniform(1, 5), 3)])
    inputs = [[k, round(draw.uniform(0.12, 0.25), 3), round(draw.uniform(1, 12), 3), 2.0] for k in range(5, 25)]
    result = {"source": f"NEURON {h.nrnversion(5)}, CVODE, atol = rtol = 1e-8, condition_order 2"}
    cells = [cell(False) for _ in range(40)]
    result["random"] = network(cells, [soma(0.5) for soma, _ in cells], connections, inputs, kinetics, 60)
    del cells
    ring = [cell(True) for _ in range(12)]
    chain = (ring, [dend(0.75) for _, dend in ring], [[k, (k + 1) % 12, "syn", 12.0, 1.37] for k in range(12)],
             [[0, 0.5, 1.0, 2.0]], {"syn": [0.5, 3.0, 0.0]}, 80)
    result["ring"] = network(*chain)
    h.cvode.active(0)
    h.secondorder, h.dt, h.steps_per_ms = 2, 0.025, 40
    result["fixed"] = network(*chain)["spikes_ms"]
    (HERE / "network9.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
