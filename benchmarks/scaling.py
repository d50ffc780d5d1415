"""What a step costs on one and on several MPI ranks, and what it would cost on many GPUs.

    python benchmarks/scaling.py [--sides 40 63 100] [--rounds 2] [--steps 16]
    python benchmarks/scaling.py --model            # the prediction and the plot alone, from results/scaling.json
    python benchmarks/scaling.py --device cuda --ranks 1 2 4 [--sides 100 160]    # GPUs, one for each rank

Measured: a cube of tetrahedra with ten Tusscher-Panfilov cells, as one rank with two threads, as two ranks with one
each (the exchange overlapped with the rows that need none of it, and not, in turns within one run), and as one rank
with one thread. Of each the median and least wall time of the membrane kernel per step, and of the diffusion per sweep
(one application of A: the iterations and one more). Ranks also tell how long they wait for neighbours and for sums.

On GPUs: ms a step of the same cube with both solvers, whole steps, since a GPU runs on its own between exchanges.

Modelled, never measured: the step on P GPUs is the bytes that it moves over the memory's bandwidth, the exchange as far
as there are not rows enough to hide it, and sums over all; see ``Machine`` for what is assumed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from timing import RESULTS, stamp, write

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "scaling.png"
WARM, BLOCK = 4, 4      # steps before the first that counts; steps with the exchange overlapped, then not, and so on
KINDS = {"1 rank, 1 thread": (1, 1), "1 rank, 2 threads": (1, 2), "2 ranks": (2, 1)}


# ------------------------------------------------------------------------------------------------------- measured
def case_of(side: int, threads: int, device: str = "cpu") -> dict[str, Any]:
    """A cube of ``side``^3 nodes, stimulated at a corner."""
    length = f"{0.2 * (side - 1):.10g} mm"
    return {"mesh": {"kind": "slab", "size": [length] * 3, "dx": "0.2 mm", "fibre": [1, 0, 0]},
            "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["3 mS/cm", "1 mS/cm"]}},
            "membrane": {"model": "tenTusscherPanfilov"}, "time": {"end": "1 s", "dt": "0.05 ms"},
            "stimulus": {"box": {"min": ["0 mm"], "max": ["1.5 mm"]}, "current": "50 uA/cm^2", "duration": "2 ms"},
            "output": {"picture": False}, "backend": {"device": device, "threads": threads}}


def work(side: int, threads: int, steps: int) -> None:
    """One contestant: prints a list of its steps as JSON. On several ranks, every other block is not overlapped."""
    from upstroke import load_case
    from upstroke.parallel.ranks import Ranks
    from upstroke.run import prepare

    waits = {"exchange": 0.0, "sum": 0.0}
    overlapped = True
    begin, end, add = Ranks._begin, Ranks._end, Ranks._sum

    def timed(kind: str, function: Any) -> Any:
        def call(self: Ranks, what: Any) -> Any:
            start = time.perf_counter()
            result = function(self, what)
            waits[kind] += time.perf_counter() - start
            return result
        return call

    def begin_or_all(self: Ranks, address: int) -> None:
        begin(self, address)
        if not overlapped:
            end(self, address)
            self._requests = []

    Ranks._begin, Ranks._end = timed("exchange", begin_or_all), timed("exchange", end)
    Ranks._sum = timed("sum", add)
    setup = prepare(load_case(case_of(side, threads)))
    stepper, rows = setup.stepper, []
    halo, seconds, waited = setup.backend.halo, {}, dict(waits)
    start = time.perf_counter()
    for n in stepper.steps():
        if n > WARM:
            took = {name: stepper.seconds[name] - seconds[name] for name in ("reaction", "diffusion")}
            rows.append({**took, "step": time.perf_counter() - start, "sweeps": stepper.clock.last_iterations + 1,
                         "overlapped": overlapped, **{kind: waits[kind] - waited[kind] for kind in waits}})
        if n == WARM + steps:
            break
        overlapped = (n // BLOCK) % 2 == 0
        seconds, waited, start = dict(stepper.seconds), dict(waits), time.perf_counter()
    whole = halo.everyone((halo.ghosts, len(setup.state.order)))
    if halo.first:
        print(json.dumps({"rows": rows, "ghosts": max(g for g, _ in whole), "own": max(n for _, n in whole),
                          "nodes": setup.mesh.n_points}))


def on_ranks(count: int, *words: str) -> dict[str, Any]:
    """What a contestant, this script with some words on some ranks, has to say; leaves with what went wrong."""
    launcher = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(count)] if count > 1 else []
    done = subprocess.run([*launcher, sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_contestant(kind: str, side: int, steps: int) -> dict[str, Any]:
    ranks, threads = KINDS[kind]
    return on_ranks(ranks, "--work", str(side), str(threads), "--steps", str(steps))


def summarised(kind: str, side: int, found: list[dict[str, Any]], overlapped: bool) -> dict[str, Any]:
    """Of all rounds of a contestant."""
    rows = [row for one in found for row in one["rows"] if row["overlapped"] == overlapped or KINDS[kind][0] == 1]
    reaction = [1e3 * row["reaction"] for row in rows]
    sweep = [1e3 * row["diffusion"] / row["sweeps"] for row in rows]
    exchange = [1e6 * row["exchange"] / (row["sweeps"] + 1) for row in rows]
    total = [1e6 * row["sum"] / (2 * row["sweeps"] - 1) for row in rows]
    sweeps = median(row["sweeps"] for row in rows)
    return {"kind": kind + ("" if overlapped else ", not overlapped"), "side": side, "nodes": found[0]["nodes"],
            "own": found[0]["own"], "ghosts": found[0]["ghosts"],
            "reaction_ms": median(reaction), "sweep_ms": median(sweep), "least_reaction_ms": min(reaction),
            "least_sweep_ms": min(sweep),
            "spread": float((np.quantile(sweep, 0.75) - np.quantile(sweep, 0.25)) / median(sweep)),
            "step_ms": median(reaction) + sweeps * median(sweep), "sweeps": sweeps,
            "least_step_ms": min(reaction) + sweeps * min(sweep),
            "exchange_us": median(exchange), "least_exchange_us": min(exchange), "sum_us": median(total),
            "least_sum_us": min(total), "steps": len(rows)}


def measure(sides: list[int], rounds: int, steps: int) -> list[dict[str, Any]]:
    rows = []
    for side in sides:
        found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind in KINDS:
                found[kind].append(run_contestant(kind, side, steps))
        for kind in KINDS:
            rows += [summarised(kind, side, found[kind], overlapped)
                     for overlapped in ((True, False) if KINDS[kind][0] > 1 else (True,))]
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def fitted(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The least times as compute + halo + reduction: ns per node of each rank, us per exchange and per sum.

    Halo and reduction are what the ranks themselves saw where nothing is overlapped; compute is a least-squares line
    through the rest, in relative errors.
    """
    ours = [row for row in rows if row["kind"] == "2 ranks, not overlapped"]
    halo, total = min(row["least_exchange_us"] for row in ours), min(row["least_sum_us"] for row in ours)
    n = np.array([row["own"] for row in ours], float)
    sweep = np.array([1e6 * row["least_sweep_ms"] for row in ours])                   # ns
    reaction = np.array([1e6 * row["least_reaction_ms"] for row in ours])
    latency = 1e3 * (halo + 2 * total)
    per_node = float(np.sum((sweep - latency) / sweep * (n / sweep)) / np.sum((n / sweep) ** 2))
    return {"reaction_ns": float(np.sum(n / reaction) / np.sum((n / reaction) ** 2)), "sweep_ns": per_node,
            "exchange_us": halo, "sum_us": total,
            "worst_error": float(np.max(np.abs((per_node * n + latency) / sweep - 1)))}


# --------------------------------------------------------------------------------------------------- measured, GPUs
def work_on_gpus(side: int, steps: int, method: str) -> None:
    """One contestant: prints what its steps took as JSON."""
    from upstroke import load_case
    from upstroke.parallel.ranks import Ranks
    from upstroke.run import prepare

    seconds = {"swap": 0.0, "add": 0.0}

    def timed(name: str) -> Any:
        function = getattr(Ranks, name)

        def call(self: Ranks, *what: Any) -> None:
            start = time.perf_counter()
            function(self, *what)
            seconds[name] += time.perf_counter() - start
        return call

    for name in seconds:
        setattr(Ranks, name, timed(name))
    setup = prepare(load_case(case_of(side, 0, "cuda") | {"solver": {"method": method}}))
    stepper, start = setup.stepper, 0.0
    before = iterations = 0
    for n in stepper.steps():
        if n in (WARM, WARM + steps):
            stepper.sync()
            before, iterations = iterations, stepper.clock.iterations
            start = time.perf_counter() - start
        if n == WARM:
            seconds.update(swap=0.0, add=0.0)
        if n == WARM + steps:
            break
    halo = setup.backend.halo
    whole = halo.everyone((halo.ghosts, setup.state.n))
    if halo.first:
        print(json.dumps({"nodes": setup.mesh.n_points, "ghosts": max(g for g, _ in whole),
                          "own": max(n for _, n in whole), "step_ms": 1e3 * start / steps,
                          "iterations": (iterations - before) / steps,
                          "exchange_ms": 1e3 * seconds["swap"] / steps, "sum_ms": 1e3 * seconds["add"] / steps,
                          "device": str(setup.backend), "notes": list(setup.backend.notes)}))


def measure_on_gpus(sides: list[int], ranks: list[int], rounds: int, steps: int) -> None:
    rows = []
    for side in sides:
        for method in ("cg", "chebyshev"):
            for count in ranks:
                found = [on_ranks(count, "--work-gpu", str(side), method, "--steps", str(steps)) for _ in range(rounds)]
                best = min(found, key=lambda one: one["step_ms"])
                rows.append(best | {"ranks": count, "method": method, "all_ms": [one["step_ms"] for one in found]})
                print(rows[-1], file=sys.stderr, flush=True)
    text = ["# Scaling over GPUs", "", f"`python benchmarks/scaling.py --device cuda`; {rows[0]['device']}; the least "
            f"of {rounds} rounds of {steps} steps. Exchange and sum: of the first rank, waiting for others.", "",
            "| nodes | ranks | solver | ms a step | iterations a step | exchange ms | sum ms | ghosts |",
            "|---|---|---|---|---|---|---|---|"]
    text += [f"| {row['nodes']:,} | {row['ranks']} | {row['method']} | {row['step_ms']:.3f} | "
             f"{row['iterations']:.1f} | {row['exchange_ms']:.3f} | {row['sum_ms']:.3f} | {row['ghosts']:,} |"
             for row in rows]
    notes = {note for row in rows for note in row["notes"]}
    write("scaling_gpu", {**stamp(), "rows": rows}, "\n".join([*text, *(f"\n{note}" for note in notes)]) + "\n")


# ------------------------------------------------------------------------------------------------------- modelled
@dataclass(frozen=True)
class Machine:
    """Assumptions: published figures of an H100 node and guesses, none measured here. Seconds, bytes/s."""

    memory: float = 3.35e12          # published
    reached: float = 0.8             # of it, by kernels that stream
    launch: float = 4e-6             # of a kernel, from the host
    fetch: float = 8e-6              # a number from the device to the host, which waits
    per_node: int = 8                # GPUs
    near: tuple[float, float] = (3e-6, 450e9)      # NVLink, device buffers: latency of a message, bandwidth of a GPU
    far: tuple[float, float] = (5e-6, 50e9)        # InfiniBand NDR, one 400 Gbit/s port a GPU: the same
    staged: tuple[float, float] = (20e-6, 25e9)    # through pinned host memory instead: added latency, bandwidth
    neighbours: int = 14             # of a part, whose messages are under way together
    each: float = 1e-6               # of the host, for each of them


@dataclass(frozen=True)
class Work:
    """Of a node: ten Tusscher-Panfilov in fp64, unstructured tetrahedra with 15 couplings a row."""

    reaction: float                  # bytes a step: the generated kernel's
    sweep: float = 240.0             # bytes: couplings 120, vectors of the application 24, of the update 96
    around: float = 230.0            # bytes once a step: guess, first residual with K as well, V += increment
    product: float = 0.6             # of a sweep: the application without the update
    iterations: float = 5.0          # as measured here at dt 0.05 ms and the default tolerance


def step_of(n: float, size: int, work: Work, machine: Machine, *, sums: int = 1, more: float = 1.0,
            staged: bool = False) -> dict[str, float]:
    """Seconds of a step's parts on each of ``size`` GPUs with ``n`` nodes. ``sums`` of an iteration, of which there are
    ``more`` times as many as ``work`` says; with one, as conjugate gradients have, a solve takes one more product and
    an iteration two more launches. A single GPU's solver is one launch."""
    rate, iterations = machine.memory * machine.reached, more * work.iterations
    shared = sums if size > 1 else 0
    compute = n * (work.reaction + work.around + (iterations + shared * work.product) * work.sweep) / rate
    launches = (6 + (3 + 2 * shared) * iterations * (size > 1)) * machine.launch
    if size == 1:
        return {"compute": compute, "launches": launches, "halo": 0.0, "sums": 0.0}
    latency, bandwidth = machine.near if size <= machine.per_node else machine.far
    added, through = machine.staged if staged else (0.0, math.inf)
    ghosts = 6.0 * n ** (2 / 3)
    message = added + latency + machine.neighbours * machine.each + 8 * ghosts * (1 / bandwidth + 1 / through)
    hidden = max(0.0, n - ghosts) * work.product * work.sweep / rate       # rows without ghosts, while the message goes
    exchanges = iterations + 2 + shared
    halo = (exchanges - 1) * max(0.0, message - hidden) + message
    inside = min(size, machine.per_node)                             # a tree within nodes, then one over nodes
    one_sum = machine.fetch + math.log2(inside) * machine.near[0] + math.log2(size / inside) * machine.far[0]
    return {"compute": compute, "launches": launches, "halo": halo, "sums": (sums * iterations + 3) * one_sum}


def predictions(work: Work, machine: Machine) -> list[dict[str, Any]]:
    """Strong scaling of 4, 32 and 256 million nodes, weak scaling with 4 million a GPU; 1 and 8 to 4096 GPUs."""
    rows = []
    for name, sums, more in (("conjugate gradients", 1, 1.0), ("Chebyshev", 0, 1.25)):
        for what, nodes in (("strong", 4e6), ("strong", 32e6), ("strong", 256e6), ("weak", 4e6)):
            for size in (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096):
                n = nodes / size if what == "strong" else nodes
                if what == "strong" and (n < 1e4 or n > 7e7):        # too few to fill a GPU; too many for its memory
                    continue
                parts = step_of(n, size, work, machine, sums=sums, more=more)
                staged = step_of(n, size, work, machine, sums=sums, more=more, staged=True)
                rows.append({"solver": name, "scaling": what, "nodes": n * size, "gpus": size, **parts,
                             "step_s": sum(parts.values()), "staged_s": sum(staged.values())})
    return rows


def draw(rows: list[dict[str, Any]], model: list[dict[str, Any]], path: Path) -> None:
    """Measured on the left, modelled on the right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.6))
    for kind, mark in zip(dict.fromkeys(row["kind"] for row in rows), "os^v", strict=False):
        some = [row for row in rows if row["kind"] == kind]
        left.loglog([row["nodes"] for row in some], [row["step_ms"] for row in some], mark + "-", label=kind)
    left.set(xlabel="nodes", ylabel="ms a step (median)", title="MEASURED on 2 shared CPU cores")
    left.legend(fontsize=8)
    for solver, style in (("conjugate gradients", "-"), ("Chebyshev", "--")):
        for nodes, colour in ((4e6, "C0"), (32e6, "C1"), (256e6, "C2")):
            some = [row for row in model if (row["scaling"], row["solver"], row["nodes"]) == ("strong", solver, nodes)]
            middle.loglog([row["gpus"] for row in some], [1e3 * row["step_s"] for row in some], style, color=colour,
                          marker=".", label=f"{nodes / 1e6:.0f} million nodes, {solver}")
        weak = [row for row in model if (row["scaling"], row["solver"]) == ("weak", solver)]
        for key, colour, how in (("step_s", "C3", "device buffers"), ("staged_s", "C4", "staged through the host")):
            right.semilogx([row["gpus"] for row in weak], [100 * weak[0]["step_s"] / row[key] for row in weak], style,
                           color=colour, marker=".", label=f"{solver}, {how}")
    middle.set(xlabel="GPUs", ylabel="ms a step", title="MODEL, not measured: strong scaling, H100")
    right.set(xlabel="GPUs", ylabel="% of one GPU", ylim=(0, 105), title="MODEL, not measured: 4 million nodes a GPU")
    for axes in (middle, right):
        axes.legend(fontsize=7)
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def tables(result: dict[str, Any]) -> str:
    rows, model = result["rows"], result["model"]
    text = ["# Scaling over ranks", "",
            f"`python benchmarks/scaling.py`; {result['processor']}, {os.cpu_count()} cores, "
            f"commit {result['commit']}, {result['date']}; load average {result['load'][0]:.1f} before and "
            f"{result['load'][1]:.1f} after, of other programs as well.",
            "", "Measured. Medians, in brackets the least; a sweep is one application of A. Step: kernel and sweeps of "
            "the median step. Exchange and sum: what one takes the first rank, waiting for the other.", "",
            "| nodes | contestant | steps | kernel ms | sweep ms | spread | step ms | exchange us | sum us | ghosts |",
            "|---|---|---|---|---|---|---|---|---|---|"]
    text += [f"| {row['nodes']:,} | {row['kind']} | {row['steps']} | "
             f"{row['reaction_ms']:.1f} ({row['least_reaction_ms']:.1f}) | "
             f"{row['sweep_ms']:.2f} ({row['least_sweep_ms']:.2f}) | {100 * row['spread']:.0f} % | "
             f"{row['step_ms']:.1f} ({row['least_step_ms']:.1f}) | {row['exchange_us']:.0f} "
             f"({row['least_exchange_us']:.0f}) | {row['sum_us']:.0f} ({row['least_sum_us']:.0f}) | {row['ghosts']:,} |"
             for row in rows]
    fit = result["fit"]
    text += ["", f"Fit of two ranks' least times: {fit['reaction_ns']:.1f} ns a node for the kernel, "
             f"{fit['sweep_ns']:.2f} ns a node and sweep, {fit['exchange_us']:.0f} us an exchange, "
             f"{fit['sum_us']:.0f} us a sum; worst error of a sweep {100 * fit['worst_error']:.0f} %.", "",
             "## Many GPUs: a model, not a measurement", "",
             "Assumed: " + ", ".join(f"{key} {value}" for key, value in result["machine"].items()) + "; of a node: "
             + ", ".join(f"{key} {value:g}" for key, value in result["work"].items()) + ".", "",
             "| scaling | nodes | GPUs | solver | ms a step | compute | launches | halo | sums | staged, ms a step |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    text += [f"| {row['scaling']} | {row['nodes']:.3g} | {row['gpus']} | {row['solver']} | {1e3 * row['step_s']:.3g} | "
             + " | ".join(f"{1e3 * row[part]:.3g}" for part in ("compute", "launches", "halo", "sums"))
             + f" | {1e3 * row['staged_s']:.3g} |" for row in model]
    return "\n".join(text) + "\n"


def main() -> None:
    from upstroke.codegen import generate
    from upstroke.ionic import load_model

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[40, 63, 100], help="nodes along an edge")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--model", action="store_true")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2], help="of GPUs")
    parser.add_argument("--work-gpu", nargs=2, metavar=("SIDE", "METHOD"), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=int, nargs=2, metavar=("SIDE", "THREADS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work, arguments.steps)
        return
    if arguments.work_gpu:
        work_on_gpus(int(arguments.work_gpu[0]), arguments.steps, arguments.work_gpu[1])
        return
    if arguments.device == "cuda":
        measure_on_gpus(arguments.sides, arguments.ranks, arguments.rounds, arguments.steps)
        return
    if arguments.steps < 2 * BLOCK:
        parser.error(f"--steps: at least {2 * BLOCK}, so that the exchange is overlapped in some and not in others")
    load = os.getloadavg()[0]
    if arguments.model:
        result = json.loads((RESULTS / "scaling.json").read_text())
    else:
        rows = measure(arguments.sides, arguments.rounds, arguments.steps)
        result = {**stamp(), "load": [load, os.getloadavg()[0]], "rows": rows, "fit": fitted(rows)}
    machine, kernel = Machine(), generate(load_model("tenTusscherPanfilov"), "cuda", "fp64")
    node = Work(reaction=float(kernel.traffic))
    result |= {"machine": asdict(machine), "work": asdict(node), "model": predictions(node, machine)}
    write("scaling", result, tables(result))
    draw(result["rows"], result["model"], PICTURE)


if __name__ == "__main__":
    main()
