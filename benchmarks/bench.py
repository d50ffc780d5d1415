"""How fast the single-cell bench is: one cell as a whole process, populations against the bare kernel.

    python benchmarks/bench.py

1. `upstroke bench --imp TT2 --duration 5000 --numstim 10 --bcl 500`, 500,000 steps at dt 0.01 ms, from the shell to its
   last file, kernels already compiled. openCARP takes about 2 s for this (its users' logs).
2. 10,000 cells for 100 ms in fp64 on all cores, beats measured, against the bare kernel: the same steps without inputs
   and without beats, in turns.
3. 100,000 cells with two parameters of their own against as many alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from timing import stamp, take_turns, write

from upstroke.backend import open_backend
from upstroke.bench.cells import Cells, Inputs
from upstroke.bench.options import parse
from upstroke.bench.protocol import paced
from upstroke.codegen import generate
from upstroke.ionic import initial_state, load_model
from upstroke.step.state import State

COMMAND = ["--imp", "TT2", "--duration", "5000", "--numstim", "10", "--bcl", "500"]
DT = 0.01                 # ms
STEPS = 200               # between two looks at the clock


def whole_process() -> None:
    """As a user's shell has it: Python keeps its compiled modules."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "upstroke", "bench", *COMMAND], cwd=folder, check=True, env=environment,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def population(n: int, *, varied: bool, beats: bool, backend: object) -> Cells:
    """Cells that begin a beat at 0 ms."""
    model = load_model("TT2")
    rng = np.random.default_rng(1)
    parameters = {"Gkr": 0.153 * rng.lognormal(0, 0.2, n), "GNa": 14.838 * rng.uniform(0.5, 1.5, n)} if varied else {}
    inputs: Inputs = paced(parse([]), model, DT, [[0.0]])
    return Cells(model, inputs, DT, n=n, parameters=parameters, beats=2 * beats, calcium="Cai" * beats,
                 backend=backend)


def bare_kernel(n: int, backend: object) -> object:
    """The membrane kernel alone, on as many cells."""
    model = load_model("TT2")
    kernel = generate(model, "c", "fp64")
    state = State([(kernel, initial_state(model), n)], backend)
    stage = backend.membrane(kernel.source, state.groups[0].arrays, 1.0, DT * STEPS, steps=STEPS)
    return lambda: stage.run(0)


def main() -> None:
    head = stamp()
    backend = open_backend("cpu")
    process = take_turns({"process": whole_process}, rounds=7, clock=time.perf_counter)["process"]

    small = population(10_000, varied=False, beats=True, backend=backend)
    quiet = population(10_000, varied=False, beats=False, backend=backend)
    large = {name: population(100_000, varied=name == "varied", beats=True, backend=backend)
             for name in ("uniform", "varied")}
    bare = bare_kernel(10_000, backend)
    ten = take_turns({"beats": lambda: small.advance(STEPS), "no beats": lambda: quiet.advance(STEPS), "bare": bare},
                     rounds=9, clock=time.perf_counter)
    many = take_turns({name: lambda cells=cells: cells.advance(50) for name, cells in large.items()}, rounds=7,
                      clock=time.perf_counter)
    rates = {name: 10_000 * STEPS / t.median / 1e6 for name, t in ten.items()}
    rates |= {name: 100_000 * 50 / t.median / 1e6 for name, t in many.items()}
    share = rates["beats"] / rates["bare"], rates["varied"] / rates["uniform"]
    rows = [
        (f"`upstroke bench {' '.join(COMMAND)}`, whole process",
         f"{process.median:.2f} s ({process.least:.2f} to {process.most:.2f})"),
        ("10,000 cells of TT2, fp64, dt 0.01 ms, beats measured", f"{rates['beats']:.1f} M cell-steps/s"),
        ("the same without beats", f"{rates['no beats']:.1f} M cell-steps/s"),
        ("the bare kernel on as many cells",
         f"{rates['bare']:.1f} M cell-steps/s; with beats {share[0]:.2f} of it"),
        ("100,000 cells alike, beats measured", f"{rates['uniform']:.1f} M cell-steps/s"),
        ("100,000 cells with GKr and GNa of their own",
         f"{rates['varied']:.1f} M cell-steps/s, {share[1]:.2f} of it")]
    table = "\n".join([
        "# The single-cell bench", "",
        f"`python benchmarks/bench.py`; {head['processor']}, {backend.threads} threads, {head['compiler']}, commit",
        f"{head['commit']}, {head['date']}. Medians of rounds in turns.", "",
        "| what | result |", "|---|---|", *(f"| {what} | {result} |" for what, result in rows), ""])
    write("bench", {"made": head, "process_s": process.__dict__, "M_cell_steps_per_s": rates}, table)


if __name__ == "__main__":
    main()
