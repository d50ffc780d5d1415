"""Populations of neurons on a GPU: compartment-steps per second against the number of cells, beside a roofline.

    python benchmarks/gpu_neurons.py [--budget 50] [--emulated]

The cells of neurons.py: 312 compartments, 42 of them Hodgkin-Huxley, dt 0.025 ms, in double precision, both implicit
splittings. A step is the voltage and the states of two membranes. The roofline is the measured copy bandwidth over the
bytes that a compartment moves in a step: at least, where all that is used again is found in a cache, and at most, where
nothing is but the V of neighbours.

    python benchmarks/gpu_neurons.py --model

needs no GPU: it prints these bytes and the operations of the kernels as NVRTC compiles them, and what follows for an
H100 by its published figures.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import neurons
import numpy as np
from gpu_common import (
    Contestant,
    heading,
    measure_limits,
    memory_left,
    memory_used,
    open_cuda,
    report,
    say,
    settings,
    stamp,
    take_turns,
    timed,
)
from scipy import sparse

from upstroke.backend.voltage import branches_of, levels_arrays
from upstroke.codegen import generate
from upstroke.ionic import load_model

CELLS, TINY = (256, 1024, 4096, 16384, 100_000), (3,)
COMPARTMENTS = 312
BYTES_PER_COMPARTMENT = 500     # of the device, more than a run needs: what is to be free before a size is begun
#: How often a step reads or writes a number of voltage.cu's arrays; those that are not named are read once.
PASSES = {"node": 2, "parent": 1, "V": 3, "L": 3, "inverse": 3, "y": 5}


def voltage_bytes(arrays: Mapping[str, Any], compartments: int) -> tuple[float, float]:
    """Of a compartment and step, at least and at most: each array once (V and work in and out), or in every pass."""
    sizes = {name: array.nbytes for name, array in arrays.items()} | {
        "V": 8 * compartments, "Iion": 8 * compartments, "Istim": 8 * compartments, "G": 8 * compartments,
        "L": 16 * compartments, "inverse": 8 * compartments, "y": 8 * compartments}
    least = sum(size * (2 if name in ("V", "L", "inverse", "y") else 1) for name, size in sizes.items())
    most = sum(size * PASSES.get(name, 1) for name, size in sizes.items())
    return least / compartments, most / compartments


def states_bytes() -> float:
    """Of a compartment and step: V and states in, states, Iion and its slope out, mean over a cell."""
    each = {name: generate(load_model(name), "cuda", "fp64", follow=True).traffic - 8          # Istim is not read
            for name in ("HodgkinHuxley", "Plonsey")}
    return (42 * each["HodgkinHuxley"] + 270 * each["Plonsey"]) / COMPARTMENTS


def one_cell() -> Mapping[str, Any]:
    """The arrays of voltage.cu for one cell."""
    parent, g, area, *_ = neurons.branches("population", 1)
    child = np.flatnonzero(parent >= 0)
    u, v, k = child, parent[child], g[child]
    K = sparse.csr_array(sparse.coo_array(
        (np.concatenate([-k, -k, k, k]), (np.concatenate([u, v, u, v]), np.concatenate([v, u, u, v]))),
        shape=(len(parent), len(parent))))
    return levels_arrays(branches_of(K, area, 0.5, neurons.DT, 1.0))


def traffic() -> tuple[float, float]:
    """Bytes of a compartment and step, at least and at most."""
    least, most = voltage_bytes(one_cell(), COMPARTMENTS)
    return least + states_bytes(), most + states_bytes()


def measure(splitting: str, cells: int, copy: float, tiny: bool) -> dict[str, Any]:
    """Microseconds of a step, and how much of the roofline that is."""
    before = memory_used()
    backend = open_cuda("fp64")
    stepper, setup_s = timed(lambda: neurons.build(backend, splitting, "population", cells, 1e6 * neurons.DT))
    next(stepper.steps())                        # the states take their half step, currents are found
    whole = take_turns({"": Contestant(backend.loop(stepper.stages))}, tiny)[""]
    n = stepper.state.n
    roof = [copy / moved for moved in reversed(traffic())]
    return {"splitting": splitting, "cells": cells, "compartments": n, "setup_s": setup_s,
            "us_per_step": 1e6 * whole.median, "spread": whole.spread, "steps_per_s": n / whole.median,
            "roofline": roof, "device_bytes_per_compartment": (memory_used() - before) / n}


def model() -> Sequence[str]:
    """The roofline by an H100's published figures: a model, not a measurement."""
    from importlib import resources

    from upstroke.emit import DEVICES, compile_cuda

    device, (least, most) = DEVICES["sm_90"], traffic()
    text = resources.files("upstroke.backend").joinpath("voltage.cu").read_text()
    kernels = {"step_voltage": compile_cuda(f"typedef double real;\n{text}", "sm_90", "step_voltage")}
    for name in ("HodgkinHuxley", "Plonsey"):
        source = generate(load_model(name), "cuda", "fp64", follow=True).source
        kernels[f"upstroke_follow of {name}"] = compile_cuda(source, "sm_90", "upstroke_follow")
    voltage, fires, leaks = (kernel.instructions.fp64 for kernel in kernels.values())
    fp64 = voltage + (42 * fires + 270 * leaks) / COMPARTMENTS
    return [f"{name}: {kernel.registers} registers, {kernel.spilled} bytes spilled, {kernel.instructions.fp64} fp64 "
            f"instructions, {kernel.instructions.flop} flop" for name, kernel in kernels.items()] + [
        f"bytes per compartment and step: {least:.0f} to {most:.0f}, of which states {states_bytes():.0f}",
        f"fp64 instructions per compartment and step (a loop's body once): {fp64:.0f}",
        f"{device.name}, {device.memory / 1e12:.2f} TB/s: {device.memory / most:.3g} to {device.memory / least:.3g} "
        f"compartment-steps/s; {device.fp64 / 1e12:.1f} Tflop/s: {device.fp64 / 2 / fp64:.3g}"]


def main() -> None:
    if "--model" in sys.argv[1:]:
        print("\n".join(model()))
        return
    call = settings(__doc__, 50.0)
    tiny, budget = call.emulated, call.budget
    limits = measure_limits(tiny)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    cost: dict[str, float] = {}                  # seconds per cell that each splitting took at its last size
    for cells in TINY if tiny else CELLS:
        for splitting in ("implicit", "staggered"):
            name = f"{splitting} at {cells:,} cells"
            if cost.get(splitting, 0.0) * cells > budget.left and not tiny:
                left_out.append(f"{name} (time)")
                continue
            if not tiny and cells * COMPARTMENTS * BYTES_PER_COMPARTMENT > memory_left():
                left_out.append(f"{name} (memory)")
                continue
            say(name)
            row, seconds = timed(lambda s=splitting, c=cells: measure(s, c, limits.copy, tiny))
            cost[splitting] = seconds / cells
            rows.append(row)
    head = stamp()
    lines = [*heading("Populations of neurons on a GPU", "gpu_neurons.py", head), *limits.lines(),
             "Medians of rounds; 312 compartments a cell. The roofline is the copy bandwidth over the bytes that a "
             "step has to move, with no cache and with one that keeps all.", "",
             "| splitting | cells | us/step | spread | 1e9 compartment-steps/s | roofline | bytes/compartment | "
             "set-up s |", "|---" * 8 + "|"]
    for r in sorted(rows, key=lambda r: (r["splitting"], r["cells"])):
        low, high = (f"{x / 1e9:.2f}" for x in r["roofline"])
        lines.append(f"| {r['splitting']} | {r['cells']:,} | {r['us_per_step']:.1f} | {100 * r['spread']:.0f} % | "
                     f"{r['steps_per_s'] / 1e9:.3g} | {low} to {high} | {r['device_bytes_per_compartment']:.0f} | "
                     f"{r['setup_s']:.1f} |")
    if left_out:
        lines += ["", f"Left out: {'; '.join(left_out)}."]
    report("gpu_neurons", {"made": head, "limits": asdict(limits), "rows": rows, "left_out": left_out}, lines)


if __name__ == "__main__":
    main()
