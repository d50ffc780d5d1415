"""Arbor on the tasks of neurons.py, in the form in which its contestants report; one thread."""

import argparse
import json
import time

import arbor
from arbor import units as U

parser = argparse.ArgumentParser()
parser.add_argument("--task", choices=("rallpack3", "population"), required=True)
parser.add_argument("--cells", type=int, default=256)
parser.add_argument("--end", type=float, required=True)
parser.add_argument("--dt", type=float, default=0.025)
a = parser.parse_args()


def cable():
    tree = arbor.segment_tree()
    tree.append(arbor.mnpos, arbor.mpoint(0, 0, 0, 0.5), arbor.mpoint(1000, 0, 0, 0.5), tag=1)
    decor = arbor.decor()
    decor.paint("(all)", arbor.density("hh", {"gl": 2.5e-5, "el": -65.0}))
    decor.place("(location 0 0.0005)", arbor.i_clamp(0.1 * U.nA))
    return finish(tree, decor, "(fixed-per-branch 1000)"), 1000


def neuron():
    """A soma and an axon that fire, thirty passive dendrites: 312 compartments."""
    tree = arbor.segment_tree()
    soma = tree.append(arbor.mnpos, arbor.mpoint(-15, 0, 0, 15), arbor.mpoint(15, 0, 0, 15), tag=1)
    tree.append(soma, arbor.mpoint(15, 0, 0, 1), arbor.mpoint(415, 0, 0, 1), tag=2)
    for k in range(30):
        tree.append(soma, arbor.mpoint(15, 0, 0, 1), arbor.mpoint(15, 300, k, 1), tag=3)
    decor = arbor.decor()
    decor.paint('"active"', arbor.density("hh", {"gl": 3e-4, "el": -54.3}))
    decor.paint('"passive"', arbor.density("pas/e=-65.0", {"g": 2.5e-5}))
    decor.place('"middle"', arbor.i_clamp(6.0 * U.nA))
    labels = {"active": "(join (tag 1) (tag 2))", "passive": "(tag 3)", "middle": "(location 0 0.5)"}
    policy = "(join (fixed-per-branch 1 (tag 1)) (fixed-per-branch 41 (tag 2)) (fixed-per-branch 9 (tag 3)))"
    return finish(tree, decor, policy, labels), 312


def finish(tree, decor, policy, labels=None):
    decor.set_property(Vm=-65 * U.mV, cm=0.01 * U.F / U.m2, rL=100 * U.Ohm * U.cm, tempK=279.45 * U.Kelvin)
    decor.set_ion("na", rev_pot=50 * U.mV)
    decor.set_ion("k", rev_pot=-77 * U.mV)
    return arbor.cable_cell(tree, decor, arbor.label_dict(labels or {}), arbor.cv_policy(policy))


class Recipe(arbor.recipe):
    def __init__(self, cell, n):
        super().__init__()
        self.cell, self.n = cell, n
        self.properties = arbor.neuron_cable_properties()

    def num_cells(self):
        return self.n

    def cell_kind(self, gid):
        return arbor.cell_kind.cable

    def cell_description(self, gid):
        return self.cell

    def probes(self, gid):
        place = "(location 0 0.0005)" if self.n == 1 else "(location 0 0.5)"
        return [arbor.cable_probe_membrane_voltage(place, "V")] if gid == 0 else []

    def global_properties(self, kind):
        return self.properties


started = time.perf_counter()
cell, size = cable() if a.task == "rallpack3" else neuron()
count = 1 if a.task == "rallpack3" else a.cells
simulation = arbor.simulation(Recipe(cell, count), arbor.context(threads=1))
watched = simulation.sample((0, "V"), arbor.regular_schedule(a.dt * U.ms))
ready, cpu = time.perf_counter(), time.process_time()
simulation.run(a.end * U.ms, a.dt * U.ms)
cpu, wall = time.process_time() - cpu, time.perf_counter() - ready
t, V = simulation.samples(watched)[0][0].T
k = ((V[:-1] < 0) & (V[1:] >= 0)).nonzero()[0]
spikes = [float(x) for x in t[k] - V[k] * (t[k + 1] - t[k]) / (V[k + 1] - V[k])]
print(json.dumps({"peer": "Arbor", "version": arbor.__version__, "compartments": size * count,
                  "steps": round(a.end / a.dt), "setup_s": ready - started, "cpu_s": cpu, "wall_s": wall,
                  "spikes_ms": spikes}))
