"""Upstroke, NEURON, CoreNEURON, Arbor and Jaxley on one long cable and on populations of cells, in turns.

    sh benchmarks/peers/setup.sh neuron arbor jaxley
    python benchmarks/neurons.py [--rounds 5]

Rallpack 3 is a cable of 1,000 compartments with Hodgkin-Huxley channels for 250 ms; the populations are 256 and 1,024
cells of 312 compartments (soma and axon that fire, thirty passive dendrites) for 25 ms. Every contestant runs in a
process of its own with one thread, dt 0.025 ms, in double precision and without tables of rates. Compared are
compartment-steps per second of the time loop, of the processor and of the clock on the wall; spikes of the first cell
show that all did the same work. A peer that is not installed is said so and left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from timing import stamp, write

HERE = Path(__file__).parent
DT = 0.025
#: What the runners call it, cells, ms.
TASKS = {"rallpack3": ("rallpack3", 1, 250.0), "population of 256": ("population", 256, 25.0),
         "population of 1,024": ("population", 1024, 25.0)}
PEERS = HERE.parent / ".peers"
#: Environment (none: our own), script and arguments of every contestant, and the scheme it takes.
CONTESTANTS: dict[str, tuple[str, ...]] = {
    "Upstroke, implicit": ("", "neurons.py", "--ours", "implicit"),
    "Upstroke, staggered": ("", "neurons.py", "--ours", "staggered"),
    "NEURON, implicit": ("neuron", "peers/neuron_cells.py"),
    "NEURON, staggered": ("neuron", "peers/neuron_cells.py", "--staggered"),
    "CoreNEURON, implicit": ("neuron", "peers/neuron_cells.py", "--coreneuron"),
    "Arbor, implicit": ("arbor", "peers/arbor_cells.py"),
    "Jaxley, implicit": ("jaxley", "peers/jaxley_cells.py"),
}


def branches(task: str, cells: int) -> tuple[Any, Any, Any, Any, float]:
    """Parent of each compartment (-1 at roots), conductance to it (mS), area (cm^2), whether it fires, current (uA)."""
    if task == "rallpack3":
        length, diameter = np.full(1000, 1e-4), np.full(1000, 1e-4)
        parent, fires, current, cells = np.arange(-1, 999), np.ones(1000, bool), 1e-4, 1
    else:
        length = np.concatenate([[30.0], np.full(41, 400 / 41), np.full(270, 300 / 9)]) * 1e-4
        diameter = np.concatenate([[30.0], np.full(311, 2.0)]) * 1e-4
        parent = np.arange(-1, 311)
        parent[[1, *range(42, 312, 9)]] = 0
        fires, current = np.arange(312) < 42, 6e-3
    half = 0.1 * length / 2 / (np.pi * diameter ** 2 / 4)                  # kOhm, Ra = 0.1 kOhm cm
    if task == "population":
        half[0] = 0.0                                                      # branches start at the middle of the soma
    g = 1.0 / (half + half[parent])
    n, area = len(parent), np.pi * diameter * length
    whole = np.where(parent < 0, -1, parent + n * np.arange(cells)[:, None])
    return whole.ravel(), np.tile(g, cells), np.tile(area, cells), np.tile(fires, cells), current


def build(backend: Any, splitting: str, task: str, cells: int, end: float) -> Any:
    """The stepper of a task; nodes lie in memory as V is eliminated."""
    from scipy import sparse

    from upstroke.backend.hines import tree_order
    from upstroke.case.schema import Solver, TimeTable
    from upstroke.codegen import generate
    from upstroke.ionic import initial_state, load_model
    from upstroke.protocol import Stimuli
    from upstroke.space import Operator
    from upstroke.step.state import State
    from upstroke.step.stepper import Stepper

    parent, g, area, fires, current = branches(task, cells)
    n, child = len(parent), np.flatnonzero(parent >= 0)
    u, v, k = child, parent[child], g[child]
    K = sparse.csr_array(sparse.coo_array(
        (np.concatenate([-k, -k, k, k]), (np.concatenate([u, v, u, v]), np.concatenate([v, u, u, v]))), shape=(n, n)))
    order = tree_order(K, ~fires)
    operator = Operator(K * 0, K, area, True).permuted(order)
    leak = {"V_L": 0.0, "GL": 0.025} if task == "rallpack3" else {"V_L": 10.7}
    models = [load_model("HodgkinHuxley", parameters=leak), load_model("Plonsey", parameters={"Rm": 40, "V_rest": -65})]
    sizes = [int(fires.sum()), int((~fires).sum())]
    state = State([(generate(model, backend.target, "fp64", follow=True), initial_state(model), size)
                   for model, size in zip(models, sizes, strict=True) if size], backend, order)
    state.Istim[:] = backend.array(np.where(parent < 0, current / area, 0.0)[order])
    return Stepper(operator, state, TimeTable(end=end, dt=DT, splitting=splitting),
                   Solver(), 1.0, Stimuli((), DT), backend)


def ours(splitting: str, task: str, cells: int, end: float) -> dict[str, Any]:
    """One run of ours, in the form in which the peers' runners report."""
    import upstroke
    from upstroke.backend import open_backend

    start = time.perf_counter()
    stepper = build(open_backend("cpu", threads=1), splitting, task, cells, end)
    state = stepper.state
    first, V = state.rank[0], np.empty(stepper.n_steps + 1)
    ready, cpu = time.perf_counter(), time.process_time()
    for step in stepper.steps():
        V[step] = state.V[first]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - ready
    up = np.flatnonzero((V[:-1] < 0) & (V[1:] >= 0))
    return {"peer": "Upstroke", "version": upstroke.__version__, "compartments": state.n, "steps": stepper.n_steps,
            "setup_s": ready - start, "cpu_s": cpu, "wall_s": wall,
            "spikes_ms": list(DT * (up - V[up] / (V[up + 1] - V[up])))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ours", metavar="SPLITTING", help=argparse.SUPPRESS)      # one of our own runs
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--cells", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--end", type=float, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.ours:
        print(json.dumps(ours(a.ours, a.task, a.cells, a.end)))
        return
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {task: {} for task in TASKS}
    for turn in range(a.rounds):
        for task, (called, cells, end) in TASKS.items():
            for name, (peer, script, *more) in CONTESTANTS.items():
                python = PEERS / peer / "bin/python" if peer else sys.executable
                if peer and not (PEERS / peer / ".ready").exists():
                    print(f"{name}: left out, for it is not installed: sh benchmarks/peers/setup.sh {peer}")
                    continue
                done = subprocess.run([python, HERE / script, *more, "--task", called, "--cells", str(cells),
                                       "--end", str(end)], stdout=subprocess.PIPE, text=True)
                if done.returncode:
                    sys.exit(f"{name} failed, see above")
                row = json.loads(done.stdout.splitlines()[-1])
                runs[task].setdefault(name, []).append(row)
                print(f"round {turn + 1}: {task}: {name}: {rate(row):.3g} compartment-steps/CPU-s", flush=True)
        write("neurons", content := {"made": stamp(), "dt_ms": DT, "rounds": turn + 1, "runs": runs,
                                     "end_ms": {task: end for task, (_, _, end) in TASKS.items()}}, tabulate(content))


def rate(row: dict[str, Any], seconds: str = "cpu_s") -> float:
    return row["compartments"] * row["steps"] / row[seconds]


def tabulate(content: dict[str, Any]) -> str:
    """Medians of the rounds, and ratios to Arbor and to the fastest peer of each task."""
    head = content["made"]
    lines = ["# Neurons side by side: one thread each, dt 0.025 ms, double precision", "",
             f"`python benchmarks/neurons.py`; {head['processor']}, {head['compiler']}, commit {head['commit']}, "
             f"{head['date']}.", f"Medians of {content['rounds']} rounds, in turns: compartment-steps per second of "
             "the time loop, of the processor and of the wall's clock. What was compiled was compiled before. NEURON "
             "notes a spike at the end of its step, the others between two.", ""]
    for task, by_name in content["runs"].items():
        rates = {name: [rate(row) for row in rows] for name, rows in by_name.items()}
        peers = {name: median(values) for name, values in rates.items() if not name.startswith("Upstroke")}
        row = next(iter(by_name.values()))[0]
        lines += [f"## {task}: {row['compartments']:,} compartments, {content['end_ms'][task]:g} ms", "",
                  "| code | set-up s | CPU s | compartment-steps / CPU-s | spread | / wall-s | to Arbor | "
                  "to fastest peer | spikes | first ms | last ms |", "|---|" + 10 * "---|"]
        for name, values in rates.items():
            rows, spikes = by_name[name], by_name[name][0]["spikes_ms"] or [float("nan")]
            spread, setup = (max(values) - min(values)) / median(values), median(r["setup_s"] for r in rows)
            to = [f"{median(values) / x:.2f}" if x else "" for x in (
                peers.get("Arbor, implicit"), max(peers.values(), default=None))]
            lines.append(f"| {name} ({rows[0]['version']}) | {setup:.2f} | {median(r['cpu_s'] for r in rows):.3f} | "
                         f"{median(values):.3g} | {100 * spread:.0f} % | {median(rate(r, 'wall_s') for r in rows):.3g} "
                         f"| {to[0]} | {to[1]} | {len(spikes)} | {spikes[0]:.3f} | {spikes[-1]:.3f} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
