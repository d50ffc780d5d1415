"""NEURON or CoreNEURON on the tasks of neurons.py, in the form in which its contestants report; hh without tables."""

import argparse
import json
import time

import neuron
from neuron import h

parser = argparse.ArgumentParser()
parser.add_argument("--task", choices=("rallpack3", "population"), required=True)
parser.add_argument("--cells", type=int, default=256)
parser.add_argument("--end", type=float, required=True)
parser.add_argument("--dt", type=float, default=0.025)
parser.add_argument("--staggered", action="store_true")
parser.add_argument("--coreneuron", action="store_true")
a = parser.parse_args()
h.load_file("stdrun.hoc")


def section(name, length, diameter, nseg, active, leak):
    s = h.Section(name=name)
    s.L, s.diam, s.nseg, s.Ra, s.cm = length, diameter, nseg, 100.0, 1.0
    if active:
        s.insert("hh")
        s.ena, s.ek = 50.0, -77.0
        for segment in s:
            segment.hh.gl, segment.hh.el = leak
    else:
        s.insert("pas")
        for segment in s:
            segment.pas.g, segment.pas.e = leak
    return s


def cell(number):
    """A soma and an axon that fire, thirty passive dendrites: 312 compartments."""
    soma = section(f"soma{number}", 30.0, 30.0, 1, True, (3e-4, -54.3))
    axon = section(f"axon{number}", 400.0, 2.0, 41, True, (3e-4, -54.3))
    axon.connect(soma(0.5))
    dendrites = [section(f"dend{number}_{k}", 300.0, 2.0, 9, False, (2.5e-5, -65.0)) for k in range(30)]
    for dendrite in dendrites:
        dendrite.connect(soma(0.5))
    return [soma, axon, *dendrites]


started = time.perf_counter()
if a.task == "rallpack3":
    cells = [[section("cable", 1000.0, 1.0, 1000, True, (2.5e-5, -65.0))]]
    places, current = [cells[0][0](0.0005)], 0.1
else:
    cells = [cell(number) for number in range(a.cells)]
    places, current = [sections[0](0.5) for sections in cells], 6.0
clamps, spikes, detectors = [], h.Vector(), []
for place in places:
    clamp = h.IClamp(place)
    clamp.delay, clamp.dur, clamp.amp = 0.0, 1e9, current
    clamps.append(clamp)
detector = h.NetCon(places[0]._ref_v, None, sec=places[0].sec)
detector.threshold = 0.0
h.celsius, h.usetable_hh, h.secondorder = 6.3, 0, 2 if a.staggered else 0
h.dt, h.steps_per_ms, h.tstop = a.dt, 1.0 / a.dt, a.end
pc = h.ParallelContext()
pc.set_gid2node(0, pc.id())
pc.cell(0, detector)
pc.spike_record(0, spikes, h.Vector())
pc.set_maxstep(10.0)
h.cvode.cache_efficient(1)
if a.coreneuron:
    from neuron import coreneuron

    coreneuron.enable, coreneuron.verbose = True, 0
h.finitialize(-65.0)
ready, cpu = time.perf_counter(), time.process_time()
pc.psolve(a.end)
cpu, wall = time.process_time() - cpu, time.perf_counter() - ready
compartments = sum(s.nseg for sections in cells for s in sections)
print(json.dumps({"peer": "CoreNEURON" if a.coreneuron else "NEURON", "version": neuron.__version__,
                  "compartments": compartments, "steps": round(a.end / a.dt), "setup_s": ready - started, "cpu_s": cpu,
                  "wall_s": wall, "spikes_ms": list(spikes)}))
