"""Arbor on the cell of pyramidal.py: a JSON file with sections and values in, spikes and CPU seconds out."""

import json
import sys
import time
from pathlib import Path

import arbor
from arbor import units as U

cell, dt = json.loads(Path(sys.argv[1]).read_text()), float(sys.argv[2])
HERE = "(location 0 0.5)"


def morphology():
    """Each section is one segment, and so one branch; those that hang at the soma's start are roots beside it."""
    tree, segments, place = arbor.segment_tree(), [], {}
    for k, section in enumerate(cell["sections"]):
        (a, b), parent = section["diameters_um"], section["parent"]
        root = parent < 0 or (parent == 0 and section["parent_x"] == 0)
        start = 0.0 if root else place[parent]
        place[k] = start + section["length_um"]
        segments.append(tree.append(arbor.mnpos if root else segments[parent], arbor.mpoint(start, k, 0, a / 2),
                                    arbor.mpoint(place[k], k, 0, b / 2), tag=k + 1))
    return tree


def decorated():
    decor = arbor.decor()
    decor.set_property(Vm=cell["V"] * U.mV, cm=0.01 * U.F / U.m2, rL=cell["Ra"] * U.Ohm * U.cm,
                       tempK=(273.15 + 34) * U.Kelvin)
    decor.set_ion("na", rev_pot=50 * U.mV)
    decor.set_ion("k", rev_pot=-85 * U.mV)
    decor.set_ion("ca", int_con=1e-4 * U.mM, ext_con=2 * U.mM, rev_pot=132 * U.mV, method="nernst/x=ca")
    for piece in cell["pieces"]:
        where = "(join " + " ".join(f"(cable {b} {p!r} {d!r})" for b, p, d in piece["at"]) + ")" \
            if len(piece["at"]) > 1 else "(cable {} {!r} {!r})".format(*piece["at"][0])
        if "cm" in piece:
            decor.paint(where, cm=piece["cm"] * 0.01 * U.F / U.m2)
        else:
            decor.paint(where, arbor.density(piece["mechanism"], piece["values"]))
    for clamp in cell["clamps"]:
        decor.place(HERE, arbor.i_clamp(clamp["start"] * U.ms, clamp["duration"] * U.ms, clamp["nA"] * U.nA))
    branch, x = cell["synapse"]["at"]
    decor.place(f"(location {branch} {x!r})", arbor.synapse("exp2syn", cell["synapse"]["values"]), "synapse")
    return decor


class Recipe(arbor.recipe):
    def __init__(self):
        super().__init__()
        counts = " ".join(f"(fixed-per-branch {s['n']} (branch {k}))" for k, s in enumerate(cell["sections"]))
        policy = arbor.cv_policy(f"(join {counts})")
        self.cell = arbor.cable_cell(morphology(), decorated(), arbor.label_dict({}), policy)
        self.properties = arbor.neuron_cable_properties()
        self.properties.catalogue.extend(arbor.bbp_catalogue(), "")

    def num_cells(self):
        return 1

    def cell_kind(self, gid):
        return arbor.cell_kind.cable

    def cell_description(self, gid):
        return self.cell

    def event_generators(self, gid):
        times = [t * U.ms for t in cell["synapse"]["times"]]
        return [arbor.event_generator("synapse", cell["synapse"]["uS"], arbor.explicit_schedule(times))]

    def probes(self, gid):
        return [arbor.cable_probe_membrane_voltage(f"(location {b} {x!r})", name)
                for name, (b, x) in cell["probes"].items()]

    def global_properties(self, kind):
        return self.properties


started = time.perf_counter()
simulation = arbor.simulation(Recipe(), arbor.context(threads=1))
watched = {name: simulation.sample((0, name), arbor.regular_schedule(dt * U.ms)) for name in cell["probes"]}
ready, cpu = time.perf_counter(), time.process_time()
simulation.run(cell["end"] * U.ms, dt * U.ms)
cpu, wall = time.process_time() - cpu, time.perf_counter() - ready
found = {name: simulation.samples(handle)[0][0].T for name, handle in watched.items()}
t = found["soma"][0]


def upward(V, level):
    k = ((V[:-1] < level) & (V[1:] >= level)).nonzero()[0]
    return [round(float(x), 6) for x in t[k] - (V[k] - level) * (t[k + 1] - t[k]) / (V[k + 1] - V[k])]


print(json.dumps({"peer": "Arbor", "version": arbor.__version__, "compartments": cell["compartments"],
                  "steps": round(cell["end"] / dt), "setup_s": ready - started, "cpu_s": cpu, "wall_s": wall,
                  "spikes_ms": upward(found["soma"][1], 0.0),
                  "activation_ms": {name: upward(V, -40.0)[0] for name, (_, V) in found.items()},
                  "peaks_mV": {name: round(float(V.max()), 4) for name, (_, V) in found.items()}}))
