"""Synapses and a voltage clamp on a ball and stick by NEURON, as synapses9.json. With `pip install neuron`, in a copy
of this folder: nrnivmodl; python make_synapses.py. All by CVODE, so close to the exact solution."""

import json
from pathlib import Path

from neuron import h

HERE = Path(__file__).parent


def ball_and_stick(active):
    """A ball of 20 um in 2 compartments, a stick of 400 x 2 um in 40; the ball of squid membrane, or all passive."""
    soma, dend = h.Section(name="soma"), h.Section(name="dend")
    soma.L = soma.diam = 20
    soma.nseg = 2
    dend.L, dend.diam, dend.nseg = 400, 2, 40
    dend.connect(soma(1))
    for sec in (soma, dend):
        sec.Ra, sec.cm = 150, 1
        if active and sec is soma:
            sec.insert("hh")
        else:
            sec.insert("pas")
            sec.g_pas, sec.e_pas = 1e-4, -65
    return soma, dend


def run(soma, dend, end, times, *more):
    """t and V all along, of ball and stick; then their V and what else at some times, by CVODE's polynomials."""
    places = (soma(0.25)._ref_v, dend(0.4875)._ref_v)
    points = h.Vector(times)
    along = [h.Vector().record(x) for x in (h._ref_t, *places)]
    there = [h.Vector().record(x, points) for x in (*places, *more)]
    h.finitialize(-65)
    h.continuerun(end)
    return [list(v) for v in (*along, *there)]


def synapses(kind, events, active, end, weight, **parameters):
    soma, dend = ball_and_stick(active)
    synapse = getattr(h, kind)(dend(0.4875))
    for name, value in parameters.items():
        setattr(synapse, name, value)
    stims, cons = [], []
    for time in events:
        stim = h.NetStim()
        stim.start, stim.number, stim.noise = time, 1, 0
        con = h.NetCon(stim, synapse)
        con.weight[0], con.delay = weight, 0
        stims.append(stim)
        cons.append(con)
    times = [k * end / 20 for k in range(1, 20)]
    t, near, far, near_then, far_then = run(soma, dend, end, times)
    peak = max(range(len(t)), key=lambda k: abs(far[k] + 65))
    spikes = [t[k] + (t[k + 1] - t[k]) * -near[k] / (near[k + 1] - near[k])
              for k in range(len(t) - 1) if near[k] < 0 <= near[k + 1]]
    return {"events_ms": events, "weight_uS": weight, "end_ms": end, "times_ms": times, "soma_mV": near_then,
            "dend_mV": far_then, "dend_peak_mV": far[peak], "dend_peak_ms": t[peak], "soma_spikes_ms": spikes}


def clamp():
    soma, dend = ball_and_stick(True)
    se = h.SEClamp(soma(0.25))
    se.rs, se.dur1, se.amp1, se.dur2, se.amp2, se.dur3, se.amp3 = 1.0, 2, -65, 6, -20, 4, -80
    times = [1.0, 2.5, 3, 4, 6, 7.9, 8.5, 10, 11.9, 12.5, 14, 15.9]
    _, _, _, near, far, current = run(soma, dend, 16, times, se._ref_i)
    return {"rs_MOhm": 1.0, "times_ms": times, "soma_mV": near, "dend_mV": far, "current_nA": current}


def main():
    h.load_file("stdrun.hoc")
    h.celsius = 6.3
    h.usetable_hh = 0
    h.cvode.active(1)
    h.cvode.atol(1e-9)
    h.cvode.rtol(1e-9)
    h.cvode.maxstep(0.05)
    result = {
        "source": f"NEURON {h.nrnversion(5)}, CVODE, atol = rtol = 1e-9",
        "expsyn": synapses("ExpSyn", [5, 7.3], False, 30, 5e-4, tau=2, e=0),
        "exp2syn": synapses("Exp2Syn", [5, 7.3, 7.31], False, 30, 2e-3, tau1=0.5, tau2=5, e=0),
        "gaba": synapses("Exp2Syn", [5, 9.17], True, 40, 4e-3, tau1=0.2, tau2=8, e=-80),
        "nmda": synapses("BlockedExp2", [5, 12.02, 12.5], False, 100, 3e-3),
        "spiking": synapses("Exp2Syn", [5, 8.22, 25.5], True, 40, 8e-3, tau1=0.2, tau2=1.7, e=0),
        "clamp": clamp()}
    (HERE / "synapses9.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
