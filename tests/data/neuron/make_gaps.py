"""Gap junctions between and within cells by NEURON, as gaps9.json: two balls and sticks of make_synapses.py. With
`pip install neuron`: python make_gaps.py. By DASPK, so close to the exact solution; no mechanism is needed."""

import json
from pathlib import Path

from neuron import h

HERE = Path(__file__).parent
END = 40.0


def cell():
    """A ball of 20 um in 2 compartments with squid membrane, a passive stick of 400 x 2 um in 40."""
    soma, dend = h.Section(name="soma"), h.Section(name="dend")
    soma.L = soma.diam = 20
    soma.nseg = 2
    dend.L, dend.diam, dend.nseg = 400, 2, 40
    dend.connect(soma(1))
    for sec in (soma, dend):
        sec.Ra, sec.cm = 150, 1
    soma.insert("hh")
    dend.insert("pas")
    dend.g_pas, dend.e_pas = 1e-4, -65
    return soma, dend


def junction(one, other, nS):
    """A LinearMechanism, 0 = g y, with g in S/cm^2 of either compartment; what must live as long as it follows it."""
    sl = h.SectionList([one.sec, other.sec])
    x = h.Vector([one.x, other.x])
    g = h.Matrix(2, 2)
    for row, here in enumerate((one, other)):
        for column in range(2):
            g.setval(row, column, (1 if row == column else -1) * 0.1 * nS / here.area())
    c, y, b = h.Matrix(2, 2), h.Vector(2), h.Vector(2)
    return h.LinearMechanism(c, g, y, b, sl, x), c, g, y, b, sl, x


def run(nS, within):
    cells = [cell(), cell()]
    (soma, dend), (other_soma, other_dend) = cells
    keep = [junction(dend(0.4875), other_dend(0.4875), nS)]
    if within:
        keep.append(junction(dend(0.9875), soma(0.25), nS))
    clamp = h.IClamp(soma(0.25))
    clamp.delay, clamp.dur, clamp.amp = 2, 20, 0.5
    places = [soma(0.25), dend(0.4875), other_dend(0.4875), other_soma(0.25)]
    times = [k * END / 20 for k in range(1, 21)]
    along = [h.Vector().record(v) for v in (h._ref_t, places[0]._ref_v, places[3]._ref_v)]
    points = h.Vector(times)
    there = [h.Vector().record(p._ref_v, points) for p in places]
    h.finitialize(-65)
    h.continuerun(END + 0.5)
    t, near, far = map(list, along)

    def crossings(V):
        return [t[k] + (t[k + 1] - t[k]) * -V[k] / (V[k + 1] - V[k]) for k in range(len(t) - 1) if V[k] < 0 <= V[k + 1]]

    return {"nS": nS, "within": within, "times_ms": times, "V_mV": [list(v) for v in there],
            "spikes_ms": [crossings(near), crossings(far)]}


def main():
    h.load_file("stdrun.hoc")
    h.celsius = 6.3
    h.usetable_hh = 0
    h.cvode.active(1)
    h.cvode.use_daspk(1)
    h.cvode.atol(1e-8)
    h.cvode.rtol(1e-8)
    h.cvode.maxstep(0.02)
    result = {"source": f"NEURON {h.nrnversion(5)}, DASPK, atol = rtol = 1e-8, LinearMechanism",
              "weak": run(2.0, False), "strong": run(40.0, True)}
    (HERE / "gaps9.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
