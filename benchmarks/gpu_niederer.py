"""The Niederer benchmark on a GPU as a user runs it: from the case to its files, and the table beside the CPU's.

    python benchmarks/gpu_niederer.py [--budget 80] [--emulated]

The case is cases/niederer with its probes and snapshots. The nine activation times are compared with those of
results/niederer.json, which the CPU made with the solver's default tolerance.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_common import HERE, heading, report, say, settings, stamp

import upstroke
from upstroke import load_case

CASE = HERE.parent / "cases" / "niederer"
TABLE = HERE / "results" / "niederer.json"
POINTS = tuple(f"P{k}" for k in range(1, 10))


@dataclass(frozen=True)
class Variant:
    """A resolution, a time step and a precision; ``seconds`` is what to have left before it is begun."""

    dx: float
    dt: float
    precision: str
    seconds: float


VARIANTS = (Variant(0.2, 0.05, "fp64", 10), Variant(0.2, 0.05, "fp32", 10), Variant(0.1, 0.05, "fp64", 40),
            Variant(0.1, 0.05, "fp32", 40), Variant(0.1, 0.01, "fp64", 60))


def committed(dx: float, dt: float) -> list[float] | None:
    """The CPU's nine times (ms), where they are known."""
    rows = json.loads(TABLE.read_text())
    return next((r["activation_ms"] for r in rows
                 if (r["dx_mm"], r["dt_ms"], r["mass"], r["method"]) == (dx, dt, "0.2", "own")), None)


def measure(variant: Variant, end: float, tiny: bool) -> dict[str, Any]:
    """One whole run: seconds by phase, and the times of the nine points."""
    dx = 1.5 if tiny else variant.dx
    case = load_case(CASE, {
        "mesh": {"dx": f"{dx} mm"}, "time": {"dt": f"{variant.dt} ms", "end": f"{end:g} ms"},
        "backend": {"device": "cuda", "precision": variant.precision}, "output": {"picture": False}})
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = upstroke.run(case, Path(folder) / "out")
        wall = time.perf_counter() - start
        timings = json.loads((result.directory / "manifest.json").read_text())["timings_s"]
    times = result.summary["probe_activation_ms"]
    found = [t if (t := times[point]) is not None and math.isfinite(t) else None for point in POINTS]
    expected = committed(dx, variant.dt)
    difference = None
    if expected is not None and None not in found:
        difference = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    nodes, steps = result.summary["nodes"], round(end / variant.dt)
    return {"dx_mm": dx, "dt_ms": variant.dt, "precision": variant.precision, "nodes": nodes, "steps": steps,
            "end_ms": end, "wall_s": wall, "steps_s": timings["steps"], "timings_s": timings,
            "us_per_step": 1e6 * timings["steps"] / steps, "node_steps_per_s": nodes * steps / timings["steps"],
            "solver": result.summary["solver"], "activation_ms": found, "largest_difference_ms": difference}


def main() -> None:
    call = settings(__doc__, 80.0)
    rows, left_out = [], []
    for variant in VARIANTS[:1] if call.emulated else VARIANTS:
        name = f"dx {variant.dx} mm, dt {variant.dt} ms, {variant.precision}"
        if call.budget.left < variant.seconds and not call.emulated:
            left_out.append(name)
            continue
        say(name)
        times = committed(variant.dx, variant.dt)
        assert times is not None
        end = 1.6 if call.emulated else 2.0 * math.ceil(max(times) / 2.0 + 0.5)      # ms, a whole number of snapshots
        rows.append(measure(variant, end, call.emulated))
    head = stamp()
    lines = [*heading("The Niederer benchmark on a GPU, whole runs", "gpu_niederer.py", head),
             "Seconds from the case to its files (activation map, probes each 0.1 ms, snapshots each ms). Difference: "
             "the largest of the nine activation times against the CPU's in `niederer.md`.", "",
             "| dx mm | dt ms | precision | nodes | steps | wall s | of these stepping | us/step | 1e9 node-steps/s | "
             "CG its/solve | " + " | ".join(POINTS) + " | difference ms |", "|---" * 20 + "|"]
    for r in rows:
        times = " | ".join("-" if t is None else f"{t:.2f}" for t in r["activation_ms"])
        difference = "-" if r["largest_difference_ms"] is None else f"{r['largest_difference_ms']:.2g}"
        lines.append(f"| {r['dx_mm']} | {r['dt_ms']} | {r['precision']} | {r['nodes']:,} | {r['steps']:,} | "
                     f"{r['wall_s']:.2f} | {r['steps_s']:.2f} | {r['us_per_step']:.1f} | "
                     f"{r['node_steps_per_s'] / 1e9:.3g} | {r['solver']['mean_iterations']:.1f} | {times} | "
                     f"{difference} |")
    if left_out:
        lines += ["", f"Left out for time: {'; '.join(left_out)}."]
    report("gpu_niederer", {"made": head, "rows": rows, "left_out": left_out}, lines)


if __name__ == "__main__":
    main()
