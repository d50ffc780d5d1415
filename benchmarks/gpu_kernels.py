"""The membrane kernels on a GPU beside what the device could do at most.

    python benchmarks/gpu_kernels.py [--budget 80] [--emulated]

For a few shipped models in fp64, fp32 and mixed precision: cell-steps per second, and the share of the roofline, the
slowest of four times. Memory: every array read and written once at the copy bandwidth. Instructions, where nvdisasm is
on the PATH: all of them at the rate of single-precision multiply-adds, which is the rate of issue; those in double
precision at the rate of double-precision multiply-adds; special functions and conversions at an eighth of the rate of
issue. Rates are measured in this run. Instructions are counted in the kernel's text, with branches that are never taken
(slow divisions), so their times err on the long side. Cells start spread over a travelling wave's voltages.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from gpu_common import (
    Contestant,
    Limits,
    heading,
    measure_limits,
    open_cuda,
    report,
    say,
    settings,
    stamp,
    take_turns,
)
from timing import MODELS

from upstroke.codegen import Kernel, generate
from upstroke.ionic import initial_state, load_model

PRECISIONS = ("fp64", "fp32", "mixed")
SIZES, TINY = (1_000_000, 8_000_000), (256,)
DT = 0.005       # ms: every model is stable with it from any V


def bytes_per_step(kernel: Kernel) -> int:
    """What one step of one node has to move: V and all states in and out, Istim in, Iion out."""
    real = 8 if kernel.precision == "fp64" else 4
    narrow = len(kernel.states) - len(kernel.wide)
    return 2 * real * (1 + narrow) + 2 * 8 * len(kernel.wide) + 2 * real


def membrane(name: str, precision: str, n: int) -> tuple[Kernel, Any, Any]:
    """A model's kernel on ``n`` nodes: the kernel, its stage, and the loop over it."""
    backend = open_cuda(precision)
    model = load_model(name)
    kernel = generate(model, "cuda", precision)
    initial = initial_state(model)
    stride = backend.stride(n)
    arrays = {"V": backend.array(np.linspace(initial["V"], initial["V"] + 110.0, n).astype(backend.dtype)),
              "Iion": backend.zeros(n), "Istim": backend.zeros(n)}
    for key, dtype, names in (("S", backend.dtype, [s for s in kernel.states if s not in kernel.wide]),
                              ("W", np.dtype(np.float64), kernel.wide)):
        arrays[key] = backend.zeros(max(len(names), 1), stride, dtype=dtype)
        for row, state in enumerate(names):
            arrays[key][row] = initial[state]
    stage = backend.membrane(kernel.source, arrays, 1.0, DT)
    return kernel, stage, backend.loop([stage])


def measure(name: str, n: int, limits: Limits, tiny: bool) -> dict[str, dict[str, Any]]:
    """Rates of one model at ``n`` nodes, by precision; the precisions take turns."""
    built = {precision: membrane(name, precision, n) for precision in PRECISIONS}
    timings = take_turns({p: Contestant(loop) for p, (_, _, loop) in built.items()}, tiny)
    rows = {}
    for precision, (kernel, stage, _) in built.items():
        seconds, moved = timings[precision].median, bytes_per_step(kernel)
        counts = Counter() if tiny else instructions(kernel.source, "upstroke_advance")
        least = {"memory": moved / limits.copy} | instruction_times(counts, limits)
        bound = max(least, key=lambda leg: least[leg])
        rows[precision] = {
            "nodes": n, "cell_steps_per_s": n / seconds, "spread": timings[precision].spread, "bytes_per_step": moved,
            "least_ns": {leg: 1e9 * s for leg, s in least.items()}, "bound": bound,
            "roofline_share": least[bound] * n / seconds, "instructions": counts.total(),
            "registers": stage.function.num_regs, "local_bytes": stage.function.local_size_bytes,
            "seconds": asdict(timings[precision])}
    return rows


# ------------------------------------------------------------------------------------------------ instructions
def instructions(source: str, name: str) -> Counter[str]:
    """The instructions of a kernel by name, as compiled for this device; empty where nvdisasm is missing."""
    tool = shutil.which("nvdisasm")
    if tool is None:
        return Counter()
    from cupy.cuda import Device, nvrtc

    program = nvrtc.createProgram(source, "kernel.cu", [], [])
    nvrtc.compileProgram(program, [f"-arch=sm_{Device().compute_capability}", "-std=c++17"])
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        cubin.write_bytes(nvrtc.getCUBIN(program))
        text = subprocess.run([tool, "-c", str(cubin)], capture_output=True, text=True, check=True).stdout
    return count_instructions(text.splitlines(), name)


def count_instructions(lines: Iterable[str], name: str) -> Counter[str]:
    """The instructions of one function in what nvdisasm prints."""
    counts: Counter[str] = Counter()
    inside = False
    for line in lines:
        if line.lstrip().startswith(".section"):
            inside = f".text.{name}," in line
        elif inside and (found := re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9]*)", line)):
            counts[found[1]] += 1
    counts.pop("NOP", None)
    return counts


def instruction_times(counts: Counter[str], limits: Limits) -> dict[str, float]:
    """Seconds per node-step of what a kernel has to issue, by what limits it."""
    if not counts:
        return {}
    issue, double = limits.fma["fp32"] / 2, limits.fma["fp64"] / 2        # a multiply-add is two operations
    doubles = sum(counts[name] for name in ("DFMA", "DMUL", "DADD", "DSETP", "DMNMX"))
    special = sum(counts[name] for name in ("MUFU", "F2F", "F2I", "I2F", "FRND"))
    return {"issue": counts.total() / issue, "fp64 arithmetic": doubles / double,
            "special functions": 8 * special / issue}


def main() -> None:
    call = settings(__doc__, 80.0)
    tiny = call.emulated
    limits = measure_limits(tiny)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    models = MODELS[:1] if tiny else MODELS
    for n in TINY if tiny else SIZES:
        for name in models:
            if call.budget.left < 0:
                left_out.append(f"{name} at {n:,}")
                continue
            say(f"{name}, {n:,} nodes")
            rows += [{"model": name, "precision": p, **row} for p, row in measure(name, n, limits, tiny).items()]
    head = stamp()
    lines = [*heading("Membrane kernels on a GPU", "gpu_kernels.py", head), *limits.lines(),
             "Medians of rounds in turns, dt 0.005 ms. Bytes: every array once. Bound: the slowest part of the roofline"
             + ("." if rows and rows[0]["instructions"] else "; memory only, since there is no nvdisasm here."), "",
             "| model | precision | nodes | 1e9 cell-steps/s | spread | bytes/step | GB/s | bound | of roofline | "
             "registers | local bytes | instructions |", "|---" * 12 + "|"]
    lines += [f"| {row['model']} | {row['precision']} | {row['nodes']:,} | {row['cell_steps_per_s'] / 1e9:.3g} | "
              f"{100 * row['spread']:.0f} % | {row['bytes_per_step']} | "
              f"{row['cell_steps_per_s'] * row['bytes_per_step'] / 1e9:.0f} | {row['bound']} | "
              f"{100 * row['roofline_share']:.0f} % | {row['registers']} | {row['local_bytes']} | "
              f"{row['instructions'] or '-'} |" for row in rows]
    if left_out:
        lines += ["", f"Left out for time: {', '.join(left_out)}."]
    report("gpu_kernels", {"made": head, "limits": asdict(limits), "rows": rows, "left_out": left_out}, lines)


if __name__ == "__main__":
    main()
