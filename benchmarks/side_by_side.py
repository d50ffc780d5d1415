"""Upstroke, TorchCor and Finitewave on the Niederer slab, in turns on one machine: speed and activation times.

    sh benchmarks/peers/setup.sh
    python benchmarks/side_by_side.py [--dx 0.2] [--rounds 3]

Every contestant runs in a process of its own with one thread, until the wave has reached the far corner. Compared are
node-steps per CPU second of the time loop, and the error of the corners' activation times against the refined solution
in results/niederer.json.
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

from timing import stamp, write

HERE = Path(__file__).parent
CASE = HERE.parent / "cases" / "niederer"
RESULT = HERE / "results" / "side_by_side.json"
CORNERS = ("0,7,0", "20,0,0", "20,7,0", "0,0,3", "0,7,3", "20,0,3", "20,7,3")
OURS, TORCHCOR = "side_by_side.py", "peers/torchcor_niederer.py"
#: Script and arguments of every contestant. TorchCor's states are fp32, Finitewave's fp64. The last of ours spends its
#: speed on a finer mesh: its CPU time is to be compared at the accuracy that it reaches.
CONTESTANTS: dict[str, tuple[str, ...]] = {
    "Upstroke, lumped": (OURS, "--ours", "lumped"),
    "Upstroke, blended 0.2": (OURS, "--ours", "0.2"),
    "Upstroke, consistent": (OURS, "--ours", "consistent"),
    "Upstroke, blended 0.2, fp32": (OURS, "--ours", "0.2", "--precision", "fp32"),
    "Upstroke, blended 0.2, fp32, dx 0.16 mm": (OURS, "--ours", "0.2", "--precision", "fp32", "--dx", "0.16"),
    "TorchCor, consistent": (TORCHCOR, "--threads", "1", "--mass", "consistent"),
    "TorchCor, lumped": (TORCHCOR, "--threads", "1", "--mass", "lumped"),
    "Finitewave": ("peers/finitewave_niederer.py", "--threads", "1"),
}


def ours(mass: str, precision: str, dx: float, dt: float, end: float) -> dict[str, Any]:
    """One run of ours, in the form in which the peers' runners report."""
    import upstroke
    from upstroke.observe.activation import ActivationWatcher
    from upstroke.observe.probes import place_probes

    weight = mass if mass[0].isdigit() else f'"{mass}"'
    case = upstroke.load_case(CASE, overrides=[
        f'mesh.dx="{dx} mm"', f'time.dt="{dt} ms"', f'time.end="{end} ms"', f"tissue.waves={weight}",
        "backend.threads=1", f"backend.precision={precision}"])
    start = time.perf_counter()
    setup = upstroke.prepare(case)
    watcher = ActivationWatcher(case.watch.activation, setup.state, setup.backend, dt)
    assert case.watch.probes is not None
    nodes = [int(probe.nodes[0]) for probe in place_probes(case.watch.probes, setup.mesh)]
    ready, cpu = time.perf_counter(), time.process_time()
    for n in setup.stepper.steps([watcher.stage]):
        watcher.see(n, n * dt)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - ready
    times = watcher.map().activation[0]
    places = ("0,0,0", "0,7,0", "20,0,0", "20,7,0", "0,0,3", "0,7,3", "20,0,3", "20,7,3", "10,3.5,1.5")
    return {"peer": "Upstroke", "version": upstroke.__version__, "nodes": setup.mesh.n_points,
            "steps": setup.stepper.n_steps, "setup_s": ready - start, "wall_s": wall, "cpu_s": cpu,
            "node_steps_per_cpu_s": setup.mesh.n_points * setup.stepper.n_steps / cpu,
            "activation_ms": {place: float(times[node]) for place, node in zip(places, nodes, strict=True)}}


def refined() -> dict[str, float]:
    """Corner times of our finest run, by place."""
    rows = json.loads((HERE / "results" / "niederer.json").read_text())
    finest = min(rows, key=lambda r: (r["dx_mm"], r["dt_ms"]))
    places = ("0,0,0", "0,7,0", "20,0,0", "20,7,0", "0,0,3", "0,7,3", "20,0,3", "20,7,3", "10,3.5,1.5")
    return dict(zip(places, finest["activation_ms"], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dx", type=float, default=0.2, help="mm")
    parser.add_argument("--dt", type=float, default=0.05, help="ms")
    parser.add_argument("--end", type=float, default=62.0, help="ms")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="run nothing, write the table again")
    parser.add_argument("--ours", metavar="MASS", help=argparse.SUPPRESS)      # one of our own runs, as a peer's runner
    parser.add_argument("--precision", default="fp64", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.table:
        tabulate()
        return
    if a.ours:
        print(json.dumps(ours(a.ours, a.precision, a.dx, a.dt, a.end)))
        return
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
    for turn in range(a.rounds):
        for name, (script, *arguments) in CONTESTANTS.items():
            done = subprocess.run([sys.executable, str(HERE / script), "--dx", str(a.dx), "--dt", str(a.dt), "--end",
                                   str(a.end), *arguments], stdout=subprocess.PIPE, text=True)
            if done.returncode:
                sys.exit(f"{name} failed, see above")
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
            rate = runs[name][-1]["node_steps_per_cpu_s"]
            print(f"round {turn + 1}: {name}: {rate:.3g} node-steps/CPU-s", flush=True)
    content = {"made": stamp(), "dx_mm": a.dx, "dt_ms": a.dt, "end_ms": a.end, "runs": runs}
    RESULT.write_text(json.dumps(content, indent=1))
    tabulate()


def tabulate() -> None:
    """The table of the last measurement."""
    content = json.loads(RESULT.read_text())
    truth, head, runs = refined(), content["made"], content["runs"]
    rates = {name: [r["node_steps_per_cpu_s"] for r in rows] for name, rows in runs.items()}
    fastest = max(median(rates[name]) for name in rates if not name.startswith("Upstroke"))
    lines = [f"# Side by side: Niederer slab, dx {content['dx_mm']} mm, dt {content['dt_ms']} ms, "
             f"{content['end_ms']:g} ms, one thread each", "",
             f"`python benchmarks/side_by_side.py`; {head['processor']}, {head['compiler']}, commit {head['commit']}, "
             f"{head['date']}.", "Medians of the rounds, in turns: node-steps per CPU second of the time loop. Errors: "
             "activation times of the seven far corners against the refined solution of `niederer.md`.", "",
             "| code | CPU s | node-steps / CPU-s | spread | to fastest peer | mean error ms | worst ms | P8 ms |",
             "|---|---|---|---|---|---|---|---|"]
    for name, rate in rates.items():
        found = runs[name][0]["activation_ms"]
        errors = [found[c] - truth[c] for c in CORNERS]
        seconds = median(r["cpu_s"] for r in runs[name])
        lines.append(f"| {name} ({runs[name][0]['version']}) | {seconds:.1f} | {median(rate):.3g} | "
                     f"{100 * (max(rate) - min(rate)) / median(rate):.0f} % | {median(rate) / fastest:.2f} | "
                     f"{sum(map(abs, errors)) / len(errors):.2f} | {max(errors, key=abs):+.2f} | "
                     f"{found['20,7,3']:.2f} |")
    write("side_by_side", content, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
