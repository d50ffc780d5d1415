"""The N-version benchmark: activation times of nine points for every resolution, time step and mass matrix.

Niederer et al. 2011, Phil. Trans. R. Soc. A 369:4331, doi 10.1098/rsta.2011.0139. Runs what is asked for and is not
yet in results/niederer.json, then writes the table results/niederer.md beside the published values.

    python benchmarks/niederer.py                           dx 0.5 and 0.2 mm, all dt and mass matrices (minutes)
    python benchmarks/niederer.py --dx 0.1                  the finest of the paper (an hour on two cores)
    python benchmarks/niederer.py --dx 0.2 0.1 0.05 --dt 0.02 --mass lumped --method "V rk2"    refinement beyond it
    python benchmarks/niederer.py --table                   write the table only
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import upstroke
from upstroke.observe.activation import ActivationWatcher
from upstroke.observe.probes import place_probes
from upstroke.output.manifest import commit

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "niederer.json"
CASE = HERE.parent / "cases" / "niederer"
POINTS = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9")
PLACES = ("0,0,0", "0,7,0", "20,0,0", "20,7,0", "0,0,3", "0,7,3", "20,0,3", "20,7,3", "centre")
MASSES = ("lumped", "0.2", "consistent")
NAMES = {"0.2": "blended 0.2 (default)", "0.333333333": "blended 1/3", "0.5": "blended 1/2"}
METHODS = {"own": "{}", "V rk2": '{V="rk2"}'}
LATEST = 200.0       # ms: a run ends when all nine points are active, or here

#: Published activation times (ms) in the order of PLACES: code, dx, dt.
PUBLISHED = {
    # Cardioid (finite differences), table of its repository, December 2011
    ("Cardioid", 0.5, 0.05): (1.35, 109.00, 46.10, 122.25, 21.05, 110.45, 49.25, 123.20, 56.90),
    ("Cardioid", 0.5, 0.01): (1.24, 107.97, 44.43, 119.63, 20.79, 109.29, 47.25, 120.47, 55.38),
    ("Cardioid", 0.5, 0.005): (1.23, 107.83, 44.21, 119.29, 20.74, 109.14, 47.00, 120.12, 55.18),
    ("Cardioid", 0.2, 0.05): (1.35, 41.40, 37.95, 57.35, 11.60, 43.45, 39.45, 58.45, 26.00),
    ("Cardioid", 0.2, 0.01): (1.24, 39.83, 35.09, 53.25, 11.15, 41.58, 36.43, 54.18, 24.05),
    ("Cardioid", 0.2, 0.005): (1.23, 39.63, 34.72, 52.73, 11.09, 41.34, 36.05, 53.65, 23.80),
    ("Cardioid", 0.1, 0.01): (1.24, 30.52, 33.03, 44.24, 8.90, 31.94, 34.19, 45.13, 20.67),
    ("Cardioid", 0.1, 0.005): (1.23, 30.24, 32.64, 43.71, 8.82, 31.63, 33.78, 44.59, 20.43),
    # fenicsx-beat (P1 tetrahedra, consistent mass), demos/niederer_benchmark.py
    ("fenicsx-beat", 0.5, 0.05): (1.25, 51.1, 34.9, 58.9, 14.1, 49.5, 34.0, 56.65, 26.05),
    ("fenicsx-beat", 0.5, 0.005): (1.215, 50.78, 33.83, 57.96, 13.97, 49.35, 32.95, 55.83, 25.60),
    ("fenicsx-beat", 0.2, 0.05): (1.25, 29.7, 32.9, 40.2, 9.55, 30.0, 32.95, 39.9, 18.9),
    ("fenicsx-beat", 0.2, 0.01): (1.24, 29.09, 31.25, 38.66, 9.34, 29.4, 31.29, 38.42, 18.14),
    ("fenicsx-beat", 0.2, 0.005): (1.235, 29.02, 31.05, 38.48, 9.315, 29.32, 31.08, 38.24, 18.05),
    ("fenicsx-beat", 0.1, 0.05): (1.25, 26.85, 33.3, 40.35, 8.4, 27.5, 33.85, 40.55, 18.95),
    ("fenicsx-beat", 0.1, 0.01): (1.23, 25.64, 31.46, 38.08, 8.03, 26.24, 31.94, 38.21, 17.95),
    ("fenicsx-beat", 0.1, 0.005): (1.225, 25.5, 31.26, 37.81, 7.99, 26.09, 31.72, 37.93, 17.84),
    # Chaste (P1 tetrahedra, state-variable interpolation), its per-node benchmark file
    ("Chaste", 0.5, 0.01): (1.23, 27.91, 37.43, 38.15, 7.95, 25.08, 36.38, 36.30, 17.62),
}
CONVERGED = "the paper's refined runs (0.05 mm, 0.001 ms): P8 = 43.18, 42.76, 42.53 ms"


def measure(dx: float, dt: float, mass: str, method: str, threads: int) -> dict[str, Any]:
    """Run the slab until all nine points are active."""
    case = upstroke.load_case(CASE, overrides=[
        f"backend.threads={threads}", f'mesh.dx="{dx} mm"', f'time.dt="{dt} ms"', f'time.end="{LATEST} ms"',
        f"tissue.waves={mass}" if mass[0].isdigit() else f'tissue.waves="{mass}"',
        f"membrane.method={METHODS[method]}"])
    setup = upstroke.prepare(case)
    watcher = ActivationWatcher(case.watch.activation, setup.state, setup.backend, dt)
    assert case.watch.probes is not None
    probes = place_probes(case.watch.probes, setup.mesh)
    nodes = np.array([probe.nodes[0] for probe in probes])
    wall, cpu = time.perf_counter(), time.process_time()
    looked, steps = 0.0, 0
    for n in setup.stepper.steps([watcher.stage]):
        watcher.see(n, n * dt)
        steps = n
        if n * dt >= looked + 1.0:
            looked = n * dt
            found = watcher.map()
            if found.beats and np.isfinite(found.activation[0][nodes]).all():
                break
    found, clock, seconds = watcher.map(), setup.stepper.clock, setup.stepper.seconds
    return {
        "dx_mm": dx, "dt_ms": dt, "mass": mass, "method": method, "nodes": setup.mesh.n_points, "steps": steps,
        "activation_ms": [round(float(found.activation[0][k]), 4) for k in nodes],
        "wall_s": round(time.perf_counter() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2),
        "reaction_s": round(seconds["reaction"], 2), "diffusion_s": round(seconds["diffusion"], 2),
        "iterations_per_step": round(clock.iterations / max(steps, 1), 2), "threads": setup.backend.threads,
        "processor": setup.backend.describe()["processor"], "commit": commit(), "version": upstroke.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def load() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["dx_mm"], row["dt_ms"], row["mass"], row["method"]


def name(row: dict[str, Any]) -> str:
    """The mass matrix, and the method where it is not the model's own."""
    mass = NAMES.get(row["mass"], row["mass"])
    return mass if row["method"] == "own" else f"{mass}, {row['method']}"


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: ours, then the published ones, per dx and dt."""
    lines = ["# Niederer benchmark: activation times (ms)", "",
             "Written by `python benchmarks/niederer.py`; first crossing of 0 mV, interpolated; Godunov splitting, "
             "Crank-Nicolson.", f"Converged value: {CONVERGED}.", "",
             "| code, mass | dx mm | dt ms | " + " | ".join(f"{p} ({c})" for p, c in zip(POINTS, PLACES, strict=True))
             + " |", "|---|---|---|" + "---|" * len(POINTS)]
    everything = [(f"Upstroke, {name(r)}", r["dx_mm"], r["dt_ms"], r["activation_ms"]) for r in rows]
    everything += [(*code, times) for code, times in PUBLISHED.items()]
    everything.sort(key=lambda e: (-e[1], -e[2]))
    for code, dx, dt, times in everything:
        lines.append(f"| {code} | {dx} | {dt} | " + " | ".join(f"{t:.2f}" for t in times) + " |")
    finest = min(rows, key=lambda r: (r["dx_mm"], r["dt_ms"]))
    lines += ["", "## Error and cost of ours", "", f"Errors of P2 to P8 against our finest run ({name(finest)}, dx "
              f"{finest['dx_mm']} mm, dt {finest['dt_ms']} ms). CPU seconds of a machine busy with other work.", "",
              "| mass | dx mm | dt ms | mean error ms | worst ms | nodes | steps | CPU s | diffusion / reaction | "
              "CG its/step | commit |", "|---" * 11 + "|"]
    for r in sorted(rows, key=lambda r: (-r["dx_mm"], -r["dt_ms"])):
        ratio = r["diffusion_s"] / r["reaction_s"]
        errors = [a - b for a, b in zip(r["activation_ms"][1:8], finest["activation_ms"][1:8], strict=True)]
        lines.append(f"| {name(r)} | {r['dx_mm']} | {r['dt_ms']} | {sum(map(abs, errors)) / len(errors):.2f} | "
                     f"{max(errors, key=abs):+.2f} | {r['nodes']:,} | {r['steps']:,} | {r['cpu_s']} | {ratio:.2f} | "
                     f"{r['iterations_per_step']} | {str(r['commit'])[:10]} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dx", type=float, nargs="+", default=[0.5, 0.2], help="mm")
    parser.add_argument("--dt", type=float, nargs="+", default=[0.05, 0.01, 0.005], help="ms")
    parser.add_argument("--mass", nargs="+", default=list(MASSES))
    parser.add_argument("--method", choices=METHODS, default="own", help="the model's own, or V by the midpoint rule")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        for dx in arguments.dx:
            for dt in arguments.dt:
                for mass in arguments.mass:
                    if (dx, dt, mass, arguments.method) in {key(r) for r in load()}:
                        continue
                    row = measure(dx, dt, mass, arguments.method, arguments.threads)
                    RESULTS.parent.mkdir(exist_ok=True)
                    RESULTS.write_text(json.dumps([*load(), row], indent=1) + "\n")
                    print(json.dumps(row), flush=True)
    RESULTS.with_suffix(".md").write_text(table(load()))


if __name__ == "__main__":
    main()
