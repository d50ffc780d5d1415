"""Writes dendrify22.json: five validations of a neuron of four compartments by Dendrify 2.2.0 on Brian2 2.9.0.

    python -m venv peer && peer/bin/pip install "numpy<2.3" brian2==2.9.0 dendrify==2.2.0
    peer/bin/python make_dendrify.py
"""

import json
from pathlib import Path

import brian2
import numpy as np
from brian2 import Network, SpikeMonitor, StateMonitor, cm, defaultclock, ms, mV, nS, pA, start_scope, uF, um, uS
from dendrify import Dendrite, NeuronModel, Soma

brian2.prefs.codegen.target = "numpy"
DT = 0.01                                                       # ms
NAMES = ("soma", "trunk", "prox", "dist")
COUNTS, CURRENTS = [1, 2, 3, 5, 8, 12, 16, 20], [80, 100, 120, 150, 200, 250, 300, 400]       # synapses; pA


def make(spikes=False, synapse="", fires=False, many=1):
    """As many independent cells; Dendrify leaves the spine factor of somata away."""
    start_scope()
    defaultclock.dt = DT * ms
    soma = Soma("soma", "leakyIF", length=25 * um, diameter=25 * um)
    parts = {name: Dendrite(name, length=100 * um, diameter=d * um)
             for name, d in (("trunk", 2.5), ("prox", 1), ("dist", 0.5))}
    if spikes:
        for part, rise, fall in zip(parts.values(), (22, 9, 3.7), (14, 5.7, 2.4), strict=True):
            part.dspikes("Na", g_rise=rise * nS, g_fall=fall * nS)
    if synapse:
        parts[synapse].synapse("AMPA", tag="x", g=0.8 * nS, t_decay=2 * ms)
        parts[synapse].synapse("NMDA", tag="x", g=0.8 * nS, t_rise=5 * ms, t_decay=60 * ms, scale_g=True)
    trunk, prox, dist = parts.values()
    model = NeuronModel([(soma, trunk, 15 * nS), (trunk, prox, 6 * nS), (prox, dist, 2 * nS)], cm=1 * uF / cm ** 2,
                        gl=40 * uS / cm ** 2, v_rest=-65 * mV, scale_factor=2.8, spine_factor=1.5)
    if spikes:
        model.config_dspikes("Na", threshold=-35 * mV, reversal_rise="E_Na", reversal_fall="E_K", offset_fall=0.2 * ms,
                             duration_rise=1.2 * ms, duration_fall=2.4 * ms, refractory=5 * ms)
    return model.make_neurongroup(many, method="euler", threshold=f"V_soma > {-40 if fires else 1000}*mV",
                                  reset="V_soma = 40*mV", second_reset="V_soma = -60*mV", spike_width=0.5 * ms,
                                  refractory=4 * ms)


def run(made, end, current=None, where="soma", synapse="", counts=()):
    """10 ms of rest, then so long with the currents (pA) or after the spikes of so many synapses."""
    cells, reset = made
    V, spikes = StateMonitor(cells, ["V_" + name for name in NAMES], record=True), SpikeMonitor(cells)
    net = Network(cells, reset, V, spikes)
    net.run(10 * ms)
    if synapse:
        setattr(cells, f"s_AMPA_x_{synapse}", np.array(counts, float))
        setattr(cells, f"s_NMDA_x_{synapse}", np.array(counts, float))
    if current is not None:
        setattr(cells, f"I_ext_{where}", np.array(current) * pA)
    net.run(end * ms)
    return {name: np.array(getattr(V, "V_" + name) / mV) + 65 for name in NAMES}, spikes.spike_trains()


def rounded(x):
    if isinstance(x, dict):
        return {str(key): rounded(value) for key, value in x.items()}
    return [rounded(value) for value in x] if isinstance(x, list) else round(float(x), 6)


steady, charging, peaks = {}, {}, {}
for name in NAMES:
    V, _ = run(make(), 500, [10], name)
    steady[name] = {other: V[other][0, -1] for other in NAMES}
    if name == "soma":
        charging = {t: V["soma"][0, round((10 + t) / DT)] for t in (5, 10, 20, 40, 80)}
for name in NAMES[1:]:
    for kind in ("passive", "active"):
        V, _ = run(make(kind == "active", name, many=len(COUNTS)), 50, synapse=name, counts=COUNTS)
        peaks[f"{name}_{kind}"] = [[n, V[name][k].max(), V["soma"][k].max()] for k, n in enumerate(COUNTS)]
_, trains = run(make(fires=True, many=len(CURRENTS)), 400, CURRENTS)
rates = [[current, len(trains[k]), [t / ms for t in trains[k]][:12]] for k, current in enumerate(CURRENTS)]
figures = {"steady_mV_per_10pA": steady, "charging_mV": charging, "io_mV": peaks, "fi": rates}
source = "Dendrify 2.2.0 on Brian2 2.9.0, Python 3.11, NumPy target, Euler steps of 0.01 ms; by make_dendrify.py"
Path(__file__).with_name("dendrify22.json").write_text(json.dumps({"source": source} | rounded(figures)) + "\n")
