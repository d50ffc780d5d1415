"""What a whole step of the Niederer slab costs against its ionic part alone.

    python benchmarks/step.py [--dx 0.2]

One thread; CPU seconds of the membrane kernel, the diffusion and the watching, step by step in one run, while the wave
travels (from 5 ms on).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

from timing import stamp, write

import upstroke
from upstroke.observe.activation import ActivationWatcher

CASE = Path(__file__).parent.parent / "cases" / "niederer"
VARIANTS = [("lumped", "crank_nicolson", 0.05), ("lumped", "crank_nicolson", 0.01), ("lumped", "explicit", 0.05),
            ("0.2", "crank_nicolson", 0.05), ("0.2", "crank_nicolson", 0.01),
            ("consistent", "crank_nicolson", 0.05), ("consistent", "crank_nicolson", 0.01)]
BEGIN, END = 5.0, 12.0      # ms


def measure(dx: float, mass: str, diffusion: str, dt: float) -> dict[str, float]:
    """Median CPU seconds of a step's parts."""
    weight = mass if mass[0].isdigit() else f'"{mass}"'
    case = upstroke.load_case(CASE, overrides=[
        f'mesh.dx="{dx} mm"', f'time.dt="{dt} ms"', f'time.end="{END} ms"', f"tissue.waves={weight}",
        f'time.diffusion="{diffusion}"', "backend.threads=1"])
    setup = upstroke.prepare(case)
    stepper = setup.stepper
    watcher = ActivationWatcher(case.watch.activation, setup.state, setup.backend, dt)
    parts: dict[str, list[float]] = {"reaction": [], "diffusion": [], "activation": []}
    before = dict.fromkeys(parts, 0.0)
    for n in stepper.steps([watcher.stage]):
        start = time.perf_counter()
        watcher.see(n, n * dt)
        if n * dt > BEGIN:
            for name, seconds in parts.items():
                seconds.append(stepper.seconds[name] - before[name])
            parts["activation"][-1] += time.perf_counter() - start
        before = dict(stepper.seconds)
    ionic, spread, watching = parts.values()
    total = [a + b + c for a, b, c in zip(ionic, spread, watching, strict=True)]
    return {"ionic_ms": 1e3 * median(ionic), "diffusion_ms": 1e3 * median(spread),
            "watching_ms": 1e3 * median(watching), "step_per_ionic": median(total) / median(ionic),
            "iterations": stepper.clock.iterations / max(stepper.clock.solves, 1), "nodes": setup.mesh.n_points}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dx", type=float, default=0.2, help="mm")
    dx = parser.parse_args().dx
    rows = [((mass, diffusion, dt), measure(dx, mass, diffusion, dt)) for mass, diffusion, dt in VARIANTS]
    head = stamp()
    lines = [f"# A step of the Niederer slab, dx {dx} mm, {rows[0][1]['nodes']:,} nodes, one thread", "",
             f"`python benchmarks/step.py`; {head['processor']}, {head['compiler']}, commit {head['commit']}, "
             f"{head['date']}.", "Medians over the steps from 5 to 12 ms.", "",
             "| mass | diffusion | dt ms | ionic ms | diffusion ms | watching ms | step / ionic | CG iterations |",
             "|---|---|---|---|---|---|---|---|"]
    for (mass, diffusion, dt), row in rows:
        lines.append(f"| {mass} | {diffusion} | {dt} | {row['ionic_ms']:.2f} | {row['diffusion_ms']:.2f} | "
                     f"{row['watching_ms']:.2f} | {row['step_per_ionic']:.2f} | {row['iterations']:.1f} |")
    write("step", {"made": head, "dx_mm": dx, "rows": [{"variant": v, **r} for v, r in rows]}, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
