"""Jaxley on the tasks of neurons.py, in the form in which its contestants report; one core, double precision.

Cells that are alike and not connected are a batch of one cell (jax.vmap), as Jaxley's guides have it. What is compiled
is compiled before the time counts.
"""

import argparse
import json
import os
import time

os.environ["JAX_PLATFORMS"] = "cpu"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])       # before JAX makes its threads

import jax
import jaxley as jx
import numpy as np
from jaxley.channels import HH, Leak

parser = argparse.ArgumentParser()
parser.add_argument("--task", choices=("rallpack3", "population"), required=True)
parser.add_argument("--cells", type=int, default=256)
parser.add_argument("--end", type=float, required=True)
parser.add_argument("--dt", type=float, default=0.025)
a = parser.parse_args()
jax.config.update("jax_enable_x64", True)


def branch(compartments, length, diameter):
    made = jx.Branch(jx.Compartment(), ncomp=compartments)
    made.set("length", length / compartments)
    made.set("radius", diameter / 2)
    return made


def finish(cell):
    cell.set("axial_resistivity", 100.0)
    cell.set("capacitance", 1.0)
    cell.set("v", -65.0)
    cell.init_states()
    return cell


def cable():
    cell = jx.Cell([branch(1000, 1000.0, 1.0)], parents=[-1])
    cell.insert(HH())
    cell.set("HH_gLeak", 2.5e-5)
    cell.set("HH_eLeak", -65.0)
    return finish(cell)


def neuron():
    """A soma and an axon that fire, thirty passive dendrites: 312 compartments."""
    dendrites = [branch(9, 300.0, 2.0) for _ in range(30)]
    cell = jx.Cell([branch(1, 30.0, 30.0), branch(41, 400.0, 2.0), *dendrites], parents=[-1] + 31 * [0])
    cell.branch([0, 1]).insert(HH())
    passive = list(range(2, 32))
    cell.branch(passive).insert(Leak())
    cell.branch(passive).set("Leak_gLeak", 2.5e-5)
    cell.branch(passive).set("Leak_eLeak", -65.0)
    return finish(cell)


started = time.perf_counter()
cell, current = (cable(), 0.1) if a.task == "rallpack3" else (neuron(), 6.0)
count, steps = 1 if a.task == "rallpack3" else a.cells, round(a.end / a.dt)
place = cell.branch(0).comp(0)
place.record("v", verbose=False)


def run(current):
    return jx.integrate(cell, data_stimuli=place.data_stimulate(current, verbose=False), delta_t=a.dt)


currents = np.full((count, steps), current)
integrate = jax.jit(jax.vmap(run)).lower(currents).compile()
ready, cpu = time.perf_counter(), time.process_time()
V = np.asarray(integrate(currents).block_until_ready())[0, 0]
cpu, wall = time.process_time() - cpu, time.perf_counter() - ready
k = ((V[:-1] < 0) & (V[1:] >= 0)).nonzero()[0]
spikes = [float(a.dt * (x - V[x] / (V[x + 1] - V[x]))) for x in k]
print(json.dumps({"peer": "Jaxley", "version": jx.__version__, "compartments": len(cell.nodes) * count, "steps": steps,
                  "setup_s": ready - started, "cpu_s": cpu, "wall_s": wall, "spikes_ms": spikes}))
