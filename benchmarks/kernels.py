"""The membrane kernels on one core, against the same C compiled scalar with the C library's exp.

    python benchmarks/kernels.py

For a few shipped models: cells advanced per second and core in fp64 and fp32, and the ratio to the same source compiled
with -O2, no vectors, libm. Cells start from a travelling wave's worth of states (spread in V), not from rest.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import asdict
from typing import Literal

import numpy as np
from timing import MODELS, stamp, take_turns, write

from upstroke.backend import open_backend
from upstroke.backend.compiler import SCALAR_LIBM, compile_c
from upstroke.codegen import generate
from upstroke.ionic import initial_state, load_model
from upstroke.step.state import State

CELLS = 16384
DT = 0.005       # ms: every model is stable with it from any V
STEPS = 20


def contestant(name: str, precision: Literal["fp64", "fp32"], scalar: bool) -> Callable[[], None]:
    """A call that advances all cells by STEPS steps, from the same states each time."""
    backend = open_backend("cpu", 1, precision)
    model = load_model(name)
    kernel = generate(model, "c", precision)
    library = ctypes.CDLL(str(compile_c(kernel.source, extra_flags=SCALAR_LIBM if scalar else ())))
    group, = State([(kernel, initial_state(model), CELLS)], backend).groups
    rest = float(group.arrays["V"][0])
    V = np.linspace(rest, rest + 110.0, CELLS)
    arguments = backend.membrane(kernel.source, group.arrays, 1.0, STEPS * DT, steps=STEPS).args
    S = group.arrays["S"].copy()

    def advance() -> None:
        group.arrays["V"][:], group.arrays["S"][:] = V, S
        library.upstroke_advance(ctypes.c_long(0), ctypes.c_long(CELLS), ctypes.byref(arguments))

    return advance


def main() -> None:
    rows = {}
    for name in MODELS:
        timings = take_turns({"fp64": contestant(name, "fp64", scalar=False),
                              "fp32": contestant(name, "fp32", scalar=False),
                              "scalar": contestant(name, "fp64", scalar=True)})
        rate = {key: CELLS * STEPS / t.median / 1e6 for key, t in timings.items()}
        spread = max((t.most - t.least) / t.median for t in timings.values())
        rows[name] = {"Mcell_steps_per_s": rate, "ratio_to_scalar": rate["fp64"] / rate["scalar"],
                           "spread": spread, "seconds": {key: asdict(t) for key, t in timings.items()}}
    head = stamp()
    lines = ["# Membrane kernels, one core", "",
             f"`python benchmarks/kernels.py`; {head['processor']}, {head['compiler']}, commit {head['commit']}, "
             f"{head['date']}.", "Million cell-steps per CPU second, medians of 7 rounds in turns.", "",
             "| model | fp64 | fp32 | scalar libm | fp64 / scalar | spread |", "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        rate = row["Mcell_steps_per_s"]
        lines.append(f"| {name} | {rate['fp64']:.1f} | {rate['fp32']:.1f} | {rate['scalar']:.2f} | "
                     f"{row['ratio_to_scalar']:.1f} | {100 * row['spread']:.0f} % |")
    write("kernels", {"made": head, "models": rows}, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
