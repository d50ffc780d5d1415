"""The membrane kernels on a GPU beside what the device could do at most.

    python benchmarks/gpu_kernels.py [--budget 80] [--emulated]

For every shipped model in fp64, fp32 and mixed precision: cell-steps per second, and the share of the roofline, which
is the slower of two times: every array read and written once at the copy bandwidth, and the kernel's arithmetic at the
multiply-add rate, both measured in this run. Cells start spread over a travelling wave's voltages.
"""

from __future__ import annotations

from dataclasses import asdict
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

from upstroke.codegen import Kernel, generate
from upstroke.ionic import initial_state, load_model, shipped_models

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
    kernel = generate(model, "cuda", precision)         # type: ignore[arg-type]
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
        memory_s = moved / limits.copy
        rows[precision] = {
            "nodes": n, "cell_steps_per_s": n / seconds, "bytes_per_step": moved,
            "bandwidth_share": memory_s * n / seconds, "spread": timings[precision].spread,
            "seconds": asdict(timings[precision])} | resources(stage)
    return rows


def resources(stage: Any) -> dict[str, Any]:
    """Registers and spilled bytes per thread, where the backend tells."""
    return {key: value for key in ("registers", "spilled_bytes") if (value := getattr(stage, key, None)) is not None}


def main() -> None:
    call = settings(__doc__, 80.0)
    tiny = call.emulated
    limits = measure_limits(tiny)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    models = [info.name for info in shipped_models()]
    if tiny:
        models = models[:1]
    for n in TINY if tiny else SIZES:
        for name in models:
            if call.budget.left < 0:
                left_out.append(f"{name} at {n:,}")
                continue
            say(f"{name}, {n:,} nodes")
            rows += [{"model": name, "precision": p, **row} for p, row in measure(name, n, limits, tiny).items()]
    head = stamp()
    lines = [*heading("Membrane kernels on a GPU", "gpu_kernels.py", head), *limits.lines(),
             "Medians of rounds in turns, dt 0.005 ms; bytes: every array once.", "",
             "| model | precision | nodes | 1e9 cell-steps/s | spread | bytes/step | GB/s | of copy | registers | "
             "spilled bytes |", "|---" * 10 + "|"]
    lines += [f"| {row['model']} | {row['precision']} | {row['nodes']:,} | {row['cell_steps_per_s'] / 1e9:.3g} | "
              f"{100 * row['spread']:.0f} % | {row['bytes_per_step']} | "
              f"{row['cell_steps_per_s'] * row['bytes_per_step'] / 1e9:.0f} | "
              f"{100 * row['bandwidth_share']:.0f} % | {row.get('registers', '-')} | {row.get('spilled_bytes', '-')} |"
              for row in rows]
    if left_out:
        lines += ["", f"Left out for time: {', '.join(left_out)}."]
    report("gpu_kernels", {"made": head, "limits": asdict(limits), "rows": rows, "left_out": left_out}, lines)


if __name__ == "__main__":
    main()
