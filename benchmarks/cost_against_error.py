"""What an activation map of a given error costs: Upstroke with each of its operators, TorchCor and Finitewave.

    sh benchmarks/peers/setup.sh
    python benchmarks/cost_against_error.py                       all codes and meshes, in turns (half an hour)
    python benchmarks/cost_against_error.py --only calibrated lumped --longest 20
    python benchmarks/cost_against_error.py --table               run nothing, write table and figure again
    python benchmarks/cost_against_error.py --reference           make the converged map again (ten minutes)

The Niederer slab (doi:10.1098/rsta.2011.0139). Every run has a process and one thread of its own and ends when all
nodes are active. Its cost is the seconds of its time loop; import, assembly, compilation and what it takes to write the
map down are left out. Its error is that of the whole map,

    E = sqrt(sum_i (t_i - r_i)^2 / sum_i r_i^2)

over the nodes i of a lattice of 0.5 mm, less those of the stimulated cube; meshes with other nodes are interpolated
there linearly. r is the converged map, results/cost_against_error.reference.npy.

Every code runs a ladder of meshes and time steps. Its settings that no other of its own beats both in cost and in error
make its front; the cost of an error is read off the front, linear in the logarithms. Where a front ends above an error,
it is drawn on, which is marked. `cheapest` says how.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
CASE = HERE.parent / "cases" / "niederer"
NAME = "cost_against_error"
RESULT = HERE / "results" / f"{NAME}.json"
REFERENCE = HERE / "results" / f"{NAME}.reference.npy"
MAPS = HERE.parent / "runs" / NAME                        # on the lattice; kept so that a new reference needs no runs
SIZE = (20.0, 7.0, 3.0)                                   # mm
D_ALONG, D_ACROSS = 0.0952984, 0.0125758                  # mm^2/ms
MEMBRANE = 14.0                                           # mS/cm per mm^2/ms: surface to volume times capacitance
LATTICE, STIMULATED = 0.5, 1.5                            # mm
ERRORS = (0.05, 0.02, 0.01)
LATEST = 200.0                                            # ms, the end of a wave that does not get there
TORCHCOR, FINITEWAVE = "peers/torchcor_niederer.py", "peers/finitewave_niederer.py"

Map = NDArray[np.float64]
#: dx = 1 mm / n and dt (ms). These are the cubes that fill the slab, as the peers' meshes must.
Setting = tuple[int, float]


@dataclass(frozen=True)
class Code:
    """One line of the table: who computes, how, and on which meshes."""

    settings: tuple[Setting, ...]
    case: Mapping[str, Any] | None = None        # ours: laid over cases/niederer
    peer: tuple[str, ...] = ()                   # a peer: its runner and arguments
    tuned: bool = False                          # conductivities chosen anew for every mesh


#: Second order in time but for the gates: what is left is the error of the mesh.
GRID = {"kind": "grid", "size": [f"{size} mm" for size in SIZE], "fibre": [1, 0, 0]}
EXPLICIT = {"mesh": GRID, "time": {"splitting": "strang", "diffusion": "explicit"},
            "membrane": {"method": {"V": "rk2"}}}
IMPLICIT = {"time": {"splitting": "strang", "diffusion": "crank_nicolson"}, "membrane": {"method": {"V": "rk2"}}}


def ladder(*steps: tuple[float, Sequence[int]]) -> tuple[Setting, ...]:
    """Settings from (dt, meshes n)."""
    return tuple(sorted((n, dt) for dt, meshes in steps for n in meshes))


CODES = {
    "calibrated": Code(ladder((0.1, (1, 2, 3, 4, 5, 7)), (0.05, (1, 2, 3, 4, 5, 7)), (0.02, (3, 5))),
                       {**EXPLICIT, "tissue": {"waves": "calibrated"}}),
    "fourth_order": Code(ladder((0.1, (2, 3, 4)), (0.05, (3, 5, 7))),
                         {**EXPLICIT, "tissue": {"waves": "fourth_order"}}),
    "lumped": Code(ladder((0.1, (2, 3, 4)), (0.05, (3, 5, 7, 10))), {**EXPLICIT, "tissue": {"waves": "lumped"}}),
    "lumped, conductivity tuned": Code(ladder((0.1, (2, 3, 4, 5, 7)), (0.05, (2, 3))),
                                       {**EXPLICIT, "tissue": {"waves": "lumped"}}, tuned=True),
    "blend 0.2": Code(ladder((0.1, (2, 3)), (0.05, (2, 3, 4, 5, 7))), {**IMPLICIT, "tissue": {"waves": 0.2}}),
    "consistent": Code(ladder((0.1, (2, 3)), (0.05, (2, 3, 4, 5, 7))),
                       {**IMPLICIT, "tissue": {"waves": "consistent"}}),
    "TorchCor, consistent": Code(ladder((0.05, (2, 3, 4, 5, 7)), (0.02, (3, 5))),
                                 peer=(TORCHCOR, "--mass", "consistent")),
    "TorchCor, lumped": Code(ladder((0.05, (2, 3, 4, 5, 7)), (0.02, (3,))), peer=(TORCHCOR, "--mass", "lumped")),
    "Finitewave": Code(ladder((0.05, (2, 3, 4, 5, 7)), (0.02, (3,))), peer=(FINITEWAVE,)),
}
FIRST = "calibrated"       # what the ratios are to


# --------------------------------------------------------------------------------------------------------- one run
def ours(case: Any, file: Path) -> dict[str, Any]:
    """Runs a case until all nodes are active and writes the map, as the peers' runners do. In a process of its own."""
    start = time.perf_counter()
    import upstroke
    from upstroke.observe.activation import ActivationWatcher

    slab = case if case["mesh"].get("kind") == "cable" else None
    loaded = upstroke.load_case(slab or CASE, *([] if slab else [case]))
    dt = loaded.time.dt
    setup = upstroke.prepare(loaded)
    watcher = ActivationWatcher(loaded.watch.activation, setup.state, setup.backend, dt)
    looked = step = 0
    found = np.full(setup.mesh.n_points, np.nan)
    ready, cpu = time.perf_counter(), time.process_time()
    for step in setup.stepper.steps([watcher.stage]):
        watcher.see(step, step * dt)
        if (step - looked) * dt >= 0.5 or step == setup.stepper.n_steps:
            looked = step
            seen = watcher.map()
            if seen.beats and np.isfinite(seen.activation[0]).all():
                break
    setup.stepper.sync()
    wall, cpu = time.perf_counter() - ready, time.process_time() - cpu
    seen = watcher.map()
    if seen.beats:
        found = seen.activation[0]
    counts = np.round(np.ptp(setup.mesh.points, axis=0) / loaded.mesh.dx).astype(int) + 1
    np.save(file, found.reshape(counts[::-1]).transpose(2, 1, 0))        # x fastest
    return {"peer": "Upstroke", "version": upstroke.__version__, "nodes": setup.mesh.n_points, "steps": step,
            "setup_s": ready - start, "wall_s": wall, "cpu_s": cpu}


def case_of(code: Code, n: int, dt: float, backend: str) -> dict[str, Any]:
    """What is laid over cases/niederer."""
    assert code.case is not None
    case: dict[str, Any] = json.loads(json.dumps(code.case))
    case.setdefault("mesh", {})["dx"] = f"{1 / n!r} mm"
    case["time"] |= {"dt": f"{dt} ms", "end": f"{LATEST} ms"}
    case["backend"] = {"device": backend, "threads": 1}
    if code.tuned:
        D = [tuned(1 / n, D, dt) for D in (D_ALONG, D_ACROSS)]
        case["tissue"]["conductivity"] = [{"monodomain": [f"{MEMBRANE * d!r} mS/cm" for d in D]}]
    return case


def run(code: Code, n: int, dt: float, backend: str) -> tuple[dict[str, Any], Map]:
    """The report of one run and its map (nx, ny, nz), ms."""
    if code.peer:
        script, *more = code.peer
        command = [script, "--dx", repr(1 / n), "--dt", str(dt), "--end", str(LATEST), "--threads", "1", *more]
    else:
        command = [Path(__file__).name, "--ours", json.dumps(case_of(code, n, dt, backend))]
    return started(command)


def started(command: Sequence[str]) -> tuple[dict[str, Any], Map]:
    """Runs a script of this folder that prints a line of JSON and writes a map."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "map.npy"
        done = subprocess.run([sys.executable, str(HERE / command[0]), *command[1:], "--map", str(file)],
                              stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed, see above")
        return json.loads(done.stdout.splitlines()[-1]), np.load(file)


# ----------------------------------------------------------------------------------------------------------- error
def on_lattice(times: Map) -> Map:
    """The map of a mesh of cubes at the lattice's nodes, (41, 15, 7), linear between nodes."""
    from scipy.interpolate import RegularGridInterpolator

    axes = [np.linspace(0.0, size, count) for size, count in zip(SIZE, times.shape, strict=True)]
    points = np.meshgrid(*(np.arange(round(size / LATTICE) + 1) * LATTICE for size in SIZE), indexing="ij")
    return RegularGridInterpolator(axes, times)(np.stack(points, axis=-1))


def beyond_stimulus(shape: Sequence[int]) -> NDArray[np.bool_]:
    """Which of the lattice's nodes count: those outside of the stimulated cube."""
    return (np.indices(shape) * LATTICE > STIMULATED + 1e-9).any(axis=0)


def error(times: Map, reference: Map) -> float:
    """E of the head of this file, of two maps on the lattice; infinite where a node was not reached."""
    at = beyond_stimulus(reference.shape)
    found = np.sqrt(np.sum((times - reference)[at] ** 2) / np.sum(reference[at] ** 2))
    return float(found) if np.isfinite(found) else math.inf


def corners(times: Map) -> list[float]:
    """Times at the seven far corners, x slowest."""
    ends = [(0, -1)] * 3
    return [round(float(times[end]), 3) for end in itertools.product(*ends)][1:]


# ------------------------------------------------------------------------------------- conductivities for each mesh
def tuned(h: float, D: float, dt: float) -> float:
    """D' (mm^2/ms) with which a wave along the axis of a mesh of h (mm) is as fast as one in tissue of D.

    In nodes per ms the speed is a function of q = h^2 / D' alone, v(q); wanted is v(h^2 / D') = c / h with c the speed
    on a fine mesh, sqrt(D) c_1. As practitioners do, by waves along cables, with lumped mass and the same steps.
    """
    q, v = speeds(dt)
    wanted = math.sqrt(D) * fine_speed() / h
    return h * h / math.exp(np.interp(-math.log(wanted), -np.log(v), np.log(q)))


@functools.cache
def fine_speed() -> float:
    """c_1 = c / sqrt(D), 1/sqrt(ms), on a mesh so fine that q = 0.005 ms."""
    return speed(0.005, 0.01, "crank_nicolson") * math.sqrt(0.005)


@functools.cache
def speeds(dt: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(q, v), ms and nodes per ms: from where explicit steps are stable to where waves still travel."""
    kept = MAPS / f"speeds, {dt}.npy"
    if not kept.exists():
        coarse = (0.06, 0.09, 0.13, 0.2, 0.35, 0.6, 1.0, 1.5, 2.2, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0, 12.5, 16.0)
        found = [(q, speed(q, dt, "explicit")) for q in coarse if q > 1.1 * dt]
        MAPS.mkdir(parents=True, exist_ok=True)
        np.save(kept, np.array([(q, v) for q, v in found if v > 0]).T)
    q, v = np.load(kept)
    return q, v


def speed(q: float, dt: float, diffusion: str) -> float:
    """v(q) of a wave along a cable with lumped mass, nodes per ms; 0 where none arrives."""
    import tomllib

    slab = tomllib.loads((CASE / "case.toml").read_text())
    h, nodes = 0.1, max(80, round(30 * 2 / math.sqrt(q)))                     # the wave is under way for some 30 ms
    case = {"mesh": {"kind": "cable", "length": f"{h * nodes!r} mm", "dx": f"{h!r} mm"},
            "tissue": slab["tissue"] | {"conductivity": [{"monodomain": [f"{MEMBRANE * h * h / q!r} mS/cm"]}],
                                        "waves": "lumped"},
            "membrane": slab["membrane"] | {"method": {"V": "rk2"}},
            "time": {"dt": f"{dt} ms", "end": f"{LATEST} ms", "splitting": "strang", "diffusion": diffusion},
            "stimulus": [slab["stimulus"][0] | {"box": {"min": ["0 mm"], "max": [f"{0.1 * h * nodes!r} mm"]}}],
            "watch": {"activation": slab["watch"]["activation"]}, "backend": {"device": "cpu", "threads": 1}}
    _, times = started([Path(__file__).name, "--ours", json.dumps(case)])
    a, b = round(0.5 * nodes), round(0.9 * nodes)
    between = float(times[b, 0, 0] - times[a, 0, 0])
    return (b - a) / between if np.isfinite(between) else 0.0


# ------------------------------------------------------------------------------------------------ measuring in turns
def measure(codes: Mapping[str, Code], rounds: int, longest: float, backend: str) -> None:
    """Every setting of every code, in turns; from the second round on only runs shorter than `longest` (CPU s)."""
    from timing import stamp

    reference = np.load(REFERENCE).astype(float)
    settings = [(name, n, dt) for name, code in codes.items() for n, dt in code.settings]
    settings.sort(key=lambda s: (s[1], s[2], list(codes).index(s[0])))       # neighbours in time are of like size
    for turn in range(1, rounds + 1):
        for name, n, dt in settings:
            row = measured().get((name, n, dt))
            if row and (len(row["cpu_s"]) >= turn or median(row["cpu_s"]) > longest):
                continue
            label, load = f"{name}, dx {1 / n:.3f} mm, dt {dt} ms", os.getloadavg()[0]
            try:
                report, times = run(codes[name], n, dt, backend)
            except RuntimeError as e:
                print(f"{label}: {e}", file=sys.stderr, flush=True)
                continue
            if row is None:
                row = {
                    "code": name, "n": n, "dx_mm": 1 / n, "dt_ms": dt, "version": report["version"],
                    "nodes": report["nodes"], "steps": report["steps"], "setup_s": [], "cpu_s": [], "wall_s": [],
                    "load": []}
            MAPS.mkdir(parents=True, exist_ok=True)
            np.save(file_of(row), on_lattice(times))
            row |= judged(row, reference)
            for key in ("setup_s", "cpu_s", "wall_s"):
                row[key].append(round(report[key], 3))
            row["load"].append(round(load, 1))
            print(f"round {turn}: {label}: E {100 * row['error']:.2f} %, corner {row['worst_corner_ms']:+.2f} ms, "
                  f"{report['cpu_s']:.2f} CPU s, {report['wall_s']:.2f} s, load {load:.1f}", flush=True)
            rows = measured() | {(name, n, dt): row}
            content = {"made": stamp(), "backend": backend, "runs": [rows[key] for key in sorted(rows)]}
            RESULT.write_text(json.dumps(content, indent=1) + "\n")


def measured() -> dict[tuple[str, int, float], dict[str, Any]]:
    """What is in the file of results, by code, n and dt. Read anew for every run, for what else has been measured."""
    runs = json.loads(RESULT.read_text())["runs"] if RESULT.exists() else []
    return {(r["code"], r["n"], r["dt_ms"]): r for r in runs}


def file_of(row: Mapping[str, Any]) -> Path:
    """Where the map of a setting is kept."""
    return MAPS / f"{row['code']}, {row['n']}, {row['dt_ms']:g}.npy"


def judged(row: Mapping[str, Any], reference: Map) -> dict[str, Any]:
    """E, the times of the far corners, and the worst of their errors, ms; E is infinite where no wave arrived."""
    times = np.load(file_of(row))
    worst = max((a - b for a, b in zip(corners(times), corners(reference), strict=True)), key=abs)
    return {"error": error(times, reference), "corners_ms": corners(times), "worst_corner_ms": round(worst, 3)}


def make_reference() -> None:
    """The converged map, and what speaks for it.

    r = t_9(dt) t_5(0) / t_5(dt), t_5(0) = 2 t_5(dt / 2) - t_5(dt): calibrated operator on meshes of 1/9 and 1/5 mm, of
    which the coarser takes away the error in time, of order 1 in dt = 0.02 ms. Where n is odd the cells around the
    stimulated nodes fill just the cube of 1.5 mm.
    """
    def lattice(code: Code, n: int, dt: float) -> Map:
        report, times = run(code, n, dt, "cpu")
        found = on_lattice(times)
        print(f"{code.case['tissue']}, dx {1 / n:.3f} mm, dt {dt} ms: {corners(found)}, {report['cpu_s']:.0f} CPU s",
              flush=True)
        return found

    calibrated, dt = CODES["calibrated"], 0.02
    coarse, half = lattice(calibrated, 5, dt), lattice(calibrated, 5, dt / 2)
    in_time = (2 * half - coarse) / coarse
    reference = lattice(calibrated, 9, dt) * in_time
    np.save(REFERENCE, reference.astype(np.float32))
    print(f"reference: {corners(reference)}", flush=True)
    for n, times in ((5, coarse), (7, lattice(calibrated, 7, dt))):
        print(f"calibrated at 1/{n} mm: {corners(times * in_time)}, E {100 * error(times * in_time, reference):.2f} %")
    print(f"lumped, extrapolated: {lumped_limit()}")


def lumped_limit() -> list[float]:
    """Times of the far corners as lumped runs of `niederer.py` at 0.1 and 0.05 mm extrapolate them with h^2.

    A route to the converged times on which nothing is calibrated; tetrahedra, Godunov splitting, Crank-Nicolson.
    """
    rows = {row["dx_mm"]: row["activation_ms"] for row in json.loads((HERE / "results" / "niederer.json").read_text())
            if (row["dt_ms"], row["mass"], row["method"]) == (0.02, "lumped", "V rk2")}
    times = {place: (4 * fine - coarse) / 3 for place, coarse, fine in
                 zip(itertools.product(*[(0, 1)] * 3), rows[0.1][:8], rows[0.05][:8], strict=True)}
    # there: P1 to P8 as (0, 0, 0), (0, 7, 0), (20, 0, 0), (20, 7, 0), then the same at z = 3
    return [round(times[z, x, y], 3) for x, y, z in itertools.product(*[(0, 1)] * 3)][1:]


# ------------------------------------------------------------------------------------------------------ evaluation
@dataclass(frozen=True)
class Cost:
    """What an error costs a code: seconds, the setting at or beside which, and the order where that is drawn on."""

    cpu: float
    wall: float
    row: dict[str, Any]
    order: float = 0.0


def front(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The settings that no other beats in cost and error, cheapest first: errors fall along it."""
    found: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda r: (median(r["cpu_s"]), r["error"])):
        if math.isfinite(row["error"]) and (not found or row["error"] < found[-1]["error"]):
            found.append(row)
    return found


def cheapest(rows: Sequence[dict[str, Any]], wanted: float) -> Cost | None:
    """Seconds to reach an error: between the neighbours on the front, linear in log error and log seconds.

    Where all of the front lies below the error, its first point. Where all lies above, the line is drawn on, kindly:
    with the order of the error in dx that the two finest meshes of the same dt show (both with n odd, or both with n
    even), but at least with the formal order 2, and with seconds as the number of nodes, as if dt and iterations
    stayed. None where the finest mesh is not the best: errors cancelled on a coarser one.
    """
    line = front(rows)
    if not line:
        return None
    if line[0]["error"] <= wanted:
        return Cost(median(line[0]["cpu_s"]), median(line[0]["wall_s"]), line[0])
    for a, b in itertools.pairwise(line):
        if b["error"] <= wanted:
            return Cost(*between(a, b, wanted), b)
    last = line[-1]
    if last["n"] != max(r["n"] for r in rows):
        return None
    alike = [r for r in rows if r["dt_ms"] == last["dt_ms"] and r["n"] < last["n"] and (last["n"] - r["n"]) % 2 == 0
             and math.isfinite(r["error"])]
    order = max([2.0] + [math.log(r["error"] / last["error"]) / math.log(last["n"] / r["n"])
                         for r in sorted(alike, key=lambda r: -r["n"])[:1]])
    times = (last["error"] / wanted) ** (3 / order)
    return Cost(times * median(last["cpu_s"]), times * median(last["wall_s"]), last, order)


def between(a: dict[str, Any], b: dict[str, Any], wanted: float) -> tuple[float, float]:
    """CPU and wall seconds on the line through two settings, in logarithms."""
    part = math.log(a["error"] / wanted) / math.log(a["error"] / b["error"])
    cpu, wall = (median(a[key]) * (median(b[key]) / median(a[key])) ** part for key in ("cpu_s", "wall_s"))
    return cpu, wall


def comes_back(rows: Sequence[dict[str, Any]], cost: Cost, wanted: float) -> bool:
    """Whether some finer mesh is worse than wanted again, so that the error was reached by luck."""
    return any(r["n"] > cost.row["n"] and r["error"] > wanted for r in rows)


def cells(name: str, by_code: Mapping[str, list[dict[str, Any]]], wanted: float) -> Iterator[str]:
    """Setting, CPU seconds, wall seconds, ratio: of one code at one error."""
    rows, best = by_code[name], cheapest(by_code[FIRST], wanted) if FIRST in by_code else None
    cost = cheapest(rows, wanted)
    if cost is None:
        most = max(median(r["cpu_s"]) for r in rows)
        yield from ("not reached", f"> {most:.3g}", f"> {max(median(r['wall_s']) for r in rows):.3g}",
                    f"> {most / best.cpu:.0f}" if best else "")
        return
    mark = "\\*" if cost.order else " †" if comes_back(rows, cost, wanted) else ""
    yield (f"order {cost.order:.1f} from " if cost.order else "") + f"{cost.row['dx_mm']:.3f}, {cost.row['dt_ms']:g}"
    yield f"{cost.cpu:.3g}{mark}"
    yield f"{cost.wall:.3g}{mark}"
    yield f"{cost.cpu / best.cpu:.3g}{mark}" if best else ""


def tabulate() -> None:
    """The table and the figure of what has been measured."""
    from timing import write

    content = json.loads(RESULT.read_text())
    head, reference = content["made"], np.load(REFERENCE).astype(float)
    for row in content["runs"]:
        if file_of(row).exists():
            row |= judged(row, reference)
    by_code = {name: rows for name in CODES if (rows := [r for r in content["runs"] if r["code"] == name])}
    loads = [load for r in content["runs"] for load in r["load"]]
    lines = ["# Cost against error: Niederer slab, one thread each", "",
             f"`python benchmarks/{NAME}.py`; {head['processor']}, {head['compiler']}, commit {head['commit']}, "
             f"{head['date']}; load average {min(loads)} to {max(loads)}.", "",
             "CPU seconds of the time loop, until all nodes are active, that an activation map of this error costs.",
             "Error: root mean square of the map's error over that of the converged map, on a lattice of 0.5 mm,",
             "without the stimulated cube. Medians of rounds in turns, read off between the two measured settings",
             "around the error, linear in the logarithms; dx (mm) and dt (ms) are those of the finer. Ratio: CPU",
             "seconds to those of `calibrated`.", "",
             "\\* not measured: drawn on from the finest mesh with the order that the two finest show, but at least 2,",
             "and with seconds as the number of nodes (dt and iterations stay). That is kind: a lower bound.",
             "† some finer mesh is worse again. \"> x\": the finest mesh took x, and its error is above the one",
             "wanted and above that of a coarser mesh.",
             "", "| code | " + " | ".join(f"dx, dt at {100 * e:g} % | CPU-s | wall-s | ratio" for e in ERRORS) + " |",
             "|---" * (1 + 4 * len(ERRORS)) + "|"]
    lines += [f"| {label(name, rows)} | " + " | ".join(c for e in ERRORS for c in cells(name, by_code, e)) + " |"
              for name, rows in by_code.items()]
    lines += ["", f"![CPU seconds against error]({NAME}.png)", "", "## All runs", "",
              "| code | dx mm | dt ms | nodes | steps | error | worst corner ms | P8 ms | CPU-s | spread | wall-s | "
              "set-up s | rounds |", "|---" * 13 + "|"]
    for name, rows in by_code.items():
        for r in sorted(rows, key=lambda r: (r["n"], -r["dt_ms"])):
            cpu = median(r["cpu_s"])
            spread = 100 * (max(r["cpu_s"]) - min(r["cpu_s"])) / cpu
            reached = math.isfinite(r["error"])
            lines.append(
                f"| {name} | {r['dx_mm']:.3f} | {r['dt_ms']:g} | {r['nodes']:,} | {r['steps']:,} | "
                + (f"{100 * r['error']:.2f} % | {r['worst_corner_ms']:+.2f} | {r['corners_ms'][-1]:.2f}" if reached
                   else "no wave | | ")
                + f" | {cpu:.3g} | {spread:.0f} % | {median(r['wall_s']):.3g} | "
                f"{median(r['setup_s']):.1f} | {len(r['cpu_s'])} |")
    write(NAME, content, "\n".join(lines) + "\n")
    draw(by_code)


def label(name: str, rows: Sequence[dict[str, Any]]) -> str:
    return f"{name} ({rows[0]['version']})" if CODES[name].peer else f"Upstroke, {name}"


def draw(by_code: Mapping[str, list[dict[str, Any]]]) -> None:
    """Error against CPU seconds: every setting a point, every front a line."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 5.2), layout="constrained")
    for k, (name, rows) in enumerate(by_code.items()):
        line, colour = front(rows), f"C{k}"
        reached = [r for r in rows if math.isfinite(r["error"])]
        style = {"linestyle": "--" if CODES[name].peer else "-", "linewidth": 2.5 if name == FIRST else 1.2}
        axes.plot([median(r["cpu_s"]) for r in line], [100 * r["error"] for r in line], color=colour,
                  marker="s" if CODES[name].peer else "o", markersize=4, label=label(name, rows), **style)
        axes.plot([median(r["cpu_s"]) for r in reached], [100 * r["error"] for r in reached], ".", color=colour,
                  alpha=0.35)
        if (cost := cheapest(rows, ERRORS[-1])) and cost.order:
            axes.plot([median(line[-1]["cpu_s"]), cost.cpu], [100 * line[-1]["error"], 100 * ERRORS[-1]], ":",
                      color=colour, linewidth=1)
    for e in ERRORS:
        axes.axhline(100 * e, color="0.8", linewidth=0.8, zorder=0)
    axes.set(xscale="log", yscale="log", xlabel="CPU seconds", ylabel="error of the activation map, %",
             title="Niederer slab: what a map of a given error costs (dotted: extrapolated)")
    axes.set_yticks([0.5, 1, 2, 5, 10, 20, 50, 100, 200], ["0.5", "1", "2", "5", "10", "20", "50", "100", "200"])
    axes.grid(alpha=0.2)
    axes.legend(fontsize=8)
    figure.savefig(RESULT.with_suffix(".png"), dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CODES, metavar="CODE", default=list(CODES),
                        help="some of the codes: " + ", ".join(f"'{name}'" for name in CODES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longest", type=float, default=30.0, help="CPU seconds of what is run more than once")
    parser.add_argument("--backend", choices=("cpu", "cuda"), default="cpu", help="of ours")
    parser.add_argument("--anew", action="store_true", help="forget what has been measured")
    parser.add_argument("--table", action="store_true", help="run nothing, write table and figure again")
    parser.add_argument("--reference", action="store_true", help="make the converged map again, and no more")
    parser.add_argument("--ours", type=json.loads, help=argparse.SUPPRESS)  # one run, as a peer's runner
    parser.add_argument("--map", type=Path, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.ours:
        print(json.dumps(ours(a.ours, a.map)))
        return
    if a.reference:
        make_reference()
        return
    if not a.table:
        if a.anew:
            RESULT.unlink(missing_ok=True)
            shutil.rmtree(MAPS, ignore_errors=True)
        measure({name: CODES[name] for name in a.only}, a.rounds, a.longest, a.backend)
    tabulate()


if __name__ == "__main__":
    main()
