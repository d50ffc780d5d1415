"""Where the calibrated operator holds and where not: each experiment on coarse meshes against a fine one.

Every operator takes the same steps on the same mesh; a calibrated node costs a few more neighbours. Results go to
results/waves.json, one entry an experiment, figures to docs/pictures/waves_*.png; docs/calibrated_waves.md tells what
they mean.

    python benchmarks/waves.py                       all that is not yet in results/waves.json (ten minutes of one core)
    python benchmarks/waves.py planar spiral         these experiments, again
    python benchmarks/waves.py --figures             draw, and print the page's tables, only

Lengths are mm and times ms here, but for what is handed to Upstroke (cm).
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.fft import dct, idct
from scipy.interpolate import CubicSpline, RectBivariateSpline
from scipy.optimize import brentq

import upstroke
from upstroke.backend import open_backend
from upstroke.case.pulses import Pulses
from upstroke.case.schema import Activation, CableMesh, ConductivityTable, GridMesh, SlabMesh, Solver, TimeTable, Tissue
from upstroke.codegen import generate
from upstroke.ionic import initial_state, load_model, rates
from upstroke.mesh import build_mesh
from upstroke.observe.activation import ActivationWatcher
from upstroke.output.manifest import commit
from upstroke.protocol import Stimuli, Train
from upstroke.space import discretise
from upstroke.step.state import State
from upstroke.step.stepper import Stepper
from upstroke.waves import curve_of

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "waves.json"
PICTURES = HERE.parent / "docs" / "pictures"

OPERATORS = ("calibrated", "fourth_order", "lumped", "consistent", "tuned")
DL, DT = 0.0952984, 0.0125758      # mm^2/ms along and across the fibres: Niederer et al. 2011
BETA = 1400.0                      # 1/cm
STEP = 0.02                        # ms
NIEDERER = {"V": -85.23, "Xr1": 0.00621, "Xr2": 0.4712, "Xs": 0.0095, "M": 0.00172, "H": 0.7444, "J": 0.7045,
            "D": 3.373e-5, "F": 0.7888, "F2": 0.9755, "FCaSS": 0.9953, "S": 0.999998, "R": 2.42e-8, "Cai": 1.26e-4,
            "CaSR": 3.64, "CaSS": 3.6e-4, "R_": 0.9073, "Nai": 8.604, "Ki": 136.89}
MODELS: dict[str, tuple[str, tuple[str, ...], dict[str, float]]] = {
    "TP06": ("tenTusscherPanfilov", ("EPI",), NIEDERER), "LR91": ("LuoRudy91", (), {}),
    "CRN": ("Courtemanche", (), {}), "ToR-ORd": ("Tomek", (), {}), "MS": ("MitchellSchaeffer", (), {})}
BACKEND = open_backend("cpu", 1, "fp64")


# ----------------------------------------------------------------------------------------------- the pieces
@dataclass(frozen=True, eq=False)
class Cell:
    """An ionic model, ready to be put on nodes."""

    kernel: Any
    initial: dict[str, float]
    curve: Any

    @property
    def rest(self) -> float:
        return self.initial["V"]

    @property
    def threshold(self) -> float:
        """mV, half way up."""
        return self.rest + 50.0


@lru_cache
def cell(name: str, nodal: tuple[str, ...] = (), parameters: tuple[tuple[str, float | str], ...] = (),
         dt: float = STEP) -> Cell:
    """A model by its short name, its parameters ``nodal`` free to differ from node to node."""
    model_name, flags, start = MODELS.get(name, (name, (), {}))
    model = load_model(model_name, flags, dict(parameters), {}, ())
    initial = initial_state(model, start, {})
    initial |= {"Iion": float(rates(model, initial["V"], initial, parameters={})[0])}
    initial |= {p.name: p.value for p in model.parameters if p.name in nodal}
    at_rest = {name: initial[name] for name in ("V", *(s.name for s in model.states))}
    curve, _ = curve_of(model, TimeTable(end=1.0, dt=dt), at_rest)
    return Cell(generate(model, BACKEND.target, "fp64", nodal=nodal), initial, curve)


def tissue(D: Sequence[float], waves: str | float) -> Tissue:
    """Tissue of diffusivities D (mm^2/ms) along each axis of the fibre frame."""
    return Tissue(conductivity=(ConductivityTable(monodomain=tuple(0.01 * d * BETA for d in D)),),
                  surface_to_volume=BETA, waves=waves)


def make_mesh(size: Sequence[float], h: float, waves: str, fibre: Any = None, mask: Any = None) -> Any:
    """A cable or a grid of these sizes (mm); the consistent mass needs the stencil of trilinear elements.

    ``fibre`` is one vector, or an array with one vector per cell of the ``mask``.
    """
    if len(size) == 1:
        return build_mesh(CableMesh(length=size[0] / 10, dx=h / 10))
    options = {"dx": h / 10, "stencil": "full" if waves == "consistent" else "compact"}
    if mask is None:
        return build_mesh(GridMesh(size=tuple(s / 10 for s in size), fibre=fibre, **options))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "grid.npz"
        np.savez(file, mask=mask.astype(np.int32), **({} if fibre is None else {"fibre": fibre}))
        return build_mesh(GridMesh(mask=file, fibre=None if fibre is None else file, **options))


def make_operator(mesh: Any, D: Sequence[float], waves: str, who: Cell, h: float) -> Any:
    """One of OPERATORS on the mesh; "tuned" is lumped, each diffusivity scaled so that its own plane wave is right."""
    if waves == "tuned":
        return discretise(mesh, tissue([d * tuning(who, h * h / d) for d in D], "lumped"))
    return discretise(mesh, tissue(D, waves), (who.curve,))


@dataclass
class Run:
    """A membrane on an operator, stepped until it is told to stop; ``times`` are activation times (n,), NaN if none."""

    who: Cell
    mesh: Any
    operator: Any
    dt: float = STEP
    V: Any = None                        # where V starts, one value or (n,)
    nodal: dict[str, Any] = field(default_factory=dict)
    fraction: float = 0.9
    cpu: float = 0.0

    def __post_init__(self) -> None:
        self.x = 10.0 * self.mesh.points
        self.state = State([(self.who.kernel, self.who.initial | self.nodal, self.mesh.n_points)], BACKEND)
        if self.V is not None:
            self.state.V[:] = self.V

    def steps(self, end: float, trains: Sequence[Train] = (), look: float = 0.5,
              stop: Callable[[float, Any], bool] = lambda t, V: False) -> Run:
        """``end`` ms more, from t = 0; every ``look`` ms ``stop`` may end it."""
        stepper = Stepper(self.operator, self.state, TimeTable(end=end, dt=self.dt), Solver(), 1.0,
                          Stimuli(tuple(trains), self.dt), BACKEND)
        section = Activation(threshold=self.who.threshold, repolarisation=self.fraction)
        self.watcher = ActivationWatcher(section, self.state, BACKEND, self.dt)
        above = self.who.threshold < self.state.V             # what starts above has no crossing
        start, every = time.process_time(), round(look / self.dt)
        for n in stepper.steps((self.watcher.stage,)):
            self.watcher.see(n, n * self.dt)
            if n % every == 0 and stop(n * self.dt, self.state.V):
                break
        self.cpu += time.process_time() - start
        found = self.watcher.map()
        empty = np.full(self.mesh.n_points, np.nan)
        self.times = np.where(above, 0.0, found.activation[0] if found.beats else empty)
        self.repolarisation = found.repolarisation[0] if found.beats else empty
        return self

    def save(self) -> tuple[Any, Any]:
        group = self.state.groups[0]
        return self.state.V.copy(), {k: group.arrays[k].copy() for k in ("S", "W")}

    def restore(self, saved: tuple[Any, Any]) -> None:
        self.state.V[:] = saved[0]
        for k, values in saved[1].items():
            self.state.groups[0].arrays[k][...] = values


def launch(x: Any, h: float, where: Callable[[Any], Any], low: float, high: float = 20.0) -> Any:
    """V at the nodes, (n,): ``high`` where ``where`` (of points (n, 3), mm) is below 0, smooth over 0.5 mm.

    It is the mean over what belongs to each node, so that all meshes start alike.
    """
    d = sum(bool(np.ptp(x[:, k])) for k in range(3))
    places = (np.arange(6) + 0.5) / 6 - 0.5
    top = x[:, :d].max(axis=0)
    total, weight = np.zeros(len(x)), np.zeros(len(x))
    for offset in np.stack(np.meshgrid(*[places] * d)).reshape(d, -1).T:
        p = x.copy()
        p[:, :d] += h * offset
        inside = ((p[:, :d] > -1e-9) & (p[:, :d] < top + 1e-9)).all(axis=1)
        total += inside * 0.5 * (1 - np.tanh(where(p) / 0.25))
        weight += inside
    return low + (high - low) * total / np.maximum(weight, 1)


def pulse(nodes: Any, current: float, start: float = 0.0, duration: float = 2.0) -> Train:
    return Train("pulse", np.asarray(nodes, np.int64), current, Pulses(start), duration)


# ------------------------------------------------------------------------- plane waves: exact chains of nodes
def chains(who: Cell, symbols: Sequence[Callable[[Any], Any]], spacing: Sequence[float], D: Sequence[float],
           dt: float = STEP, longest: float = 150.0) -> Any:
    """Velocities (mm/ms) of plane waves on chains of nodes, NaN where none travels.

    A plane wave in a lattice direction a is V(j, t) on nodes j of one chain, and the operator's symbol S(k) all that it
    knows of the lattice. Steps are those of Upstroke (Godunov, Crank-Nicolson), by a cosine transform.

    Parameters
    ----------
    symbols : S(k) in 1/ms of k in 1/mm, one per chain
    spacing : mm between nodes of each chain
    D : mm^2/ms, the diffusivity along each chain's direction
    """
    c, scale = np.asarray(spacing), np.sqrt(np.asarray(D))
    N = int(np.max(np.ceil(36 * scale / c)))
    i = np.ceil(16 * scale / c).astype(int)
    j = np.ceil(28 * scale / c).astype(int)
    j = np.maximum(j, i + 1)
    N = max(N, int(j.max()) + 6)
    k = np.pi * np.arange(N) / N
    z = 0.5 * dt * np.array([S(k / ci) for S, ci in zip(symbols, c, strict=True)])
    E = (1 - z) / (1 + z)
    x = c[:, None] * (np.arange(N) + 0.5)
    start = np.where(x < 2.0 * scale[:, None], who.rest + 105.0, who.rest)
    state = State([(who.kernel, who.initial, start.size)], BACKEND)
    V = state.V
    V[:] = start.ravel()
    stage = BACKEND.membrane(state.groups[0].kernel.source, state.groups[0].arrays, 1.0, dt, part=1.0, steps=1)
    row = np.arange(len(c))
    marks = np.stack([row * N + i, row * N + j])
    crossing = np.full(marks.shape, np.nan)
    for n in range(round(longest / dt)):
        before = V[marks]
        stage.run(n)
        V[:] = idct(E * dct(V.reshape(-1, N), norm="ortho"), norm="ortho").ravel()
        now = V[marks]
        hit = np.isnan(crossing) & (before < who.threshold) & (now >= who.threshold)
        if hit.any():
            crossing[hit] = dt * (n + ((who.threshold - before) / (now - before))[hit])
            if not np.isnan(crossing[1]).any():
                break
    return (c * (j - i)) / (crossing[1] - crossing[0])


@lru_cache
def true_speed(who: Cell, dt: float = STEP) -> float:
    """Velocity for D = 1 mm^2/ms with no error in space: the symbol k^2, fine nodes; it scales with sqrt(D)."""
    return float(chains(who, [np.square], [0.12], [1.0], dt)[0])


@lru_cache
def tuning(who: Cell, q: float) -> float:
    """The factor on a diffusivity that gives lumped plane waves along an axis, q = h^2 / D, their true velocity."""
    h = math.sqrt(q)

    def error(f: float) -> float:
        v = chains(who, [lambda k: f * (2 - 2 * np.cos(k * h)) / q], [h], [1.0])[0]
        return float(np.nan_to_num(v / true_speed(who), nan=0.0)) - 1

    top = 1.5
    while error(top) < 0:
        top *= 1.6
    return float(brentq(error, top / 1.6, top, xtol=2e-4))


def row_symbol(operator: Any, mesh: Any, h: float, a: Sequence[int]) -> Callable[[Any], Any]:
    """S(k) of an operator for plane waves in the lattice direction a, read off the row of an inner node.

    S = sum_o K_o exp(i k (a . o) h / |a|) / sum_o M_o exp(...), o the offsets of the row's nodes
    """
    middle = mesh.points.mean(axis=0)
    node = int(np.argmin(((mesh.points - middle) ** 2).sum(axis=1)))
    offsets = []
    for matrix in (operator.stiffness, operator.mass):
        begin, end = matrix.indptr[node], matrix.indptr[node + 1]
        o = np.rint((10 * mesh.points[matrix.indices[begin:end]] - 10 * mesh.points[node]) / h)
        steps = o[:, :len(a)] @ np.asarray(a)
        offsets.append((steps * h / np.linalg.norm(a), matrix.data[begin:end]))

    def S(k: Any) -> Any:
        K, M = (np.tensordot(values, np.cos(np.multiply.outer(x, k)), 1) for x, values in offsets)
        return np.maximum(K / M, 0.0)

    return S


DIRECTIONS_2D = ((1, 0), (6, 1), (4, 1), (3, 1), (2, 1), (3, 2), (1, 1), (2, 3), (1, 2), (1, 3), (1, 4), (1, 6), (0, 1))
DIRECTIONS_3D = ((1, 1, 1), (2, 1, 1), (4, 1, 1), (1, 1, 2), (1, 2, 3), (0, 1, 1), (0, 1, 2), (0, 1, 3), (0, 2, 3))

ALL_SIDES = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1),
             (1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1), (2, 1, 0), (-1, 2, 0), (1, -2, 1), (2, 1, -1))
FIBRES_3D = ((2.0, 1.0, 0.6), (1.0, 1.0, 0.3), (1.0, 1.0, 1.0))


def plane_errors(who: Cell, q: float, waves: str, directions: Sequence[Sequence[int]], fibre: Sequence[float]) -> Any:
    """Relative errors (n,) of plane waves in lattice directions, h = sqrt(q DT), fibres along ``fibre``."""
    h, d = math.sqrt(q * DT), len(directions[0])
    mesh = make_mesh([10 * h] * d, h, waves, tuple(fibre))
    operator = make_operator(mesh, (DL, DT), waves, who, h)
    f = np.asarray(fibre[:d]) / np.linalg.norm(fibre)
    tensor = DT * np.eye(d) + (DL - DT) * np.outer(f, f)
    a = np.array(directions, float)
    length = np.linalg.norm(a, axis=1)
    D = np.einsum("ni,ij,nj->n", a, tensor, a) / length**2
    v = chains(who, [row_symbol(operator, mesh, h, x) for x in directions], h / length, D)
    return v / (true_speed(who) * np.sqrt(D)) - 1


def planar() -> dict[str, Any]:
    """Plane waves at all angles to fibres and mesh, five models, fibres along an axis."""
    found: dict[str, Any] = {"angles": [math.degrees(math.atan2(b, a)) for a, b in DIRECTIONS_2D], "errors": {},
                             "directions_3d": [list(a) for a in DIRECTIONS_3D], "speed": {}, "oblique": {}}
    for name in MODELS:
        who = cell(name)
        found["speed"][name] = true_speed(who)
        for q in (1.0, 3.0, 8.0):
            for waves in OPERATORS:
                rows = [plane_errors(who, q, waves, directions, (1, 0, 0))
                        for directions in (DIRECTIONS_2D, DIRECTIONS_3D)]
                found["errors"][f"{name} {q:g} {waves}"] = [percent(r) for r in rows]
                worst = np.nanmax(np.abs(np.concatenate(rows)))
                say(f"planar {name} q {q:g} {waves}: worst {100 * worst:.1f} %")
    return found


def oblique() -> dict[str, Any]:
    """Plane waves on a grid whose fibres lie at an angle to its axes (TP06)."""
    directions = ((1, 0), (3, 1), (2, 1), (3, 2), (1, 1), (2, 3), (1, 2), (1, 3), (0, 1), (-1, 3), (-1, 2), (-2, 3),
                  (-1, 1), (-3, 2), (-2, 1), (-3, 1))
    found: dict[str, Any] = {"angles": [math.degrees(math.atan2(b, a)) for a, b in directions], "errors": {}}
    for q in (1.0, 3.0):
        for angle in (0, 10, 22.5, 30, 45):
            fibre = (math.cos(math.radians(angle)), math.sin(math.radians(angle)), 0.0)
            for waves in OPERATORS:
                e = plane_errors(cell("TP06"), q, waves, directions, fibre)
                found["errors"][f"{q:g} {angle:g} {waves}"] = percent(e)
                say(f"oblique q {q:g} fibres {angle:g} {waves}: {100 * np.nanmin(e):.1f} to {100 * np.nanmax(e):.1f} %")
        for fibre in FIBRES_3D:
            for waves in OPERATORS:
                e = plane_errors(cell("TP06"), q, waves, ALL_SIDES, fibre)
                found["errors"][f"{q:g} {fibre} {waves}"] = percent(e)
                say(f"oblique q {q:g} fibres {fibre} {waves}: {100 * np.nanmin(e):.1f} to {100 * np.nanmax(e):.1f} %")
    return found


def diagonals() -> dict[str, Any]:
    """Plane waves on the tetrahedra of built slabs, whose cubes are cut along (1, 1, 1); isotropic tissue, TP06."""
    who, directions = cell("TP06"), ((1, 0, 0), (1, 1, 0), (1, -1, 0), (1, 1, 1), (1, 1, -1))
    found: dict[str, Any] = {"directions": [list(a) for a in directions]}
    for q in (1.0, 3.0):
        h = math.sqrt(q * DL)
        mesh = build_mesh(SlabMesh(size=(h, h, h), dx=h / 10))
        for waves in ("calibrated", "lumped", 0.2, "consistent"):
            operator = discretise(mesh, tissue((DL,), waves), (who.curve,))
            length = np.linalg.norm(directions, axis=1)
            symbols = [row_symbol(operator, mesh, h, a) for a in directions]
            v = chains(who, symbols, h / length, [DL] * len(directions))
            found[f"{q:g} {waves}"] = percent(v / (true_speed(who) * math.sqrt(DL)) - 1)
            say(f"diagonals q {q:g} {waves}: {found[f'{q:g} {waves}']}")
    return found


def percent(values: Any) -> list[float | None]:
    return [None if not np.isfinite(v) else round(100 * float(v), 2) for v in np.ravel(values)]


def rounded(values: Any, digits: int = 3) -> list[float | None]:
    return [None if not np.isfinite(v) else round(float(v), digits) for v in np.ravel(values)]


_start = time.process_time()


def say(text: str) -> None:
    print(f"{time.process_time() - _start:7.1f} s  {text}", flush=True)


# -------------------------------------------------------------------------------- curved and colliding fronts
def lattice(size: Sequence[float], q: float, D: float) -> tuple[tuple[float, ...], float]:
    """The h nearest to sqrt(q D) that divides size[0], and the sizes rounded to whole cells."""
    h = size[0] / max(round(size[0] / math.sqrt(q * D)), 1)
    return tuple(h * max(round(s / h), 1) for s in size), h


def field_of(mesh: Any, values: Any) -> RectBivariateSpline:
    """Values at the nodes of a whole grid as a smooth function of x and y, mm."""
    x, y = (np.unique(np.round(10 * mesh.points[:, k], 9)) for k in (0, 1))
    return RectBivariateSpline(x, y, values.reshape(len(y), len(x)).T)


def disc_run(who: Cell, size: Sequence[float], h: float, D: Sequence[float], waves: str, radius: float, centre: Any,
             fibre: Any, end: float, shrink: float = 1.0) -> Run:
    """A wave from a disc of this radius (an ellipse, ``shrink`` times as wide along y)."""
    mesh = make_mesh(size, h, waves, fibre)
    x = 10 * mesh.points
    where = lambda p: np.hypot(p[:, 0] - centre[0], (p[:, 1] - centre[1]) / shrink) - radius  # noqa: E731
    run = Run(who, mesh, make_operator(mesh, D, waves, who, h), V=launch(x, h, where, who.rest))
    return run.steps(end, stop=lambda t, V: bool(V.min() > who.threshold))


def compare(coarse: Run, reference: Run, centre: Any, far: float, shrink: float = 1.0) -> dict[str, Any]:
    """Errors of the activation times of the nodes further than ``far`` from the centre, ms and % of the time."""
    exact = field_of(reference.mesh, reference.times).ev(coarse.x[:, 0], coarse.x[:, 1])
    e = coarse.times - exact
    out = np.hypot(coarse.x[:, 0] - centre[0], (coarse.x[:, 1] - centre[1]) / shrink) > far
    e, exact = e[out], exact[out]
    worst = int(np.nanargmax(np.abs(e))) if np.isfinite(e).any() else 0
    return {"rms_ms": round(float(np.sqrt(np.nanmean(e**2))), 3), "worst_ms": round(float(e[worst]), 3),
            "mean_percent": round(100 * float(np.nanmean(e / exact)), 2),
            "rms_percent": round(100 * float(np.sqrt(np.nanmean((e / exact) ** 2))), 2),
            "inactive": int(np.isnan(e).sum()), "nodes": len(coarse.times), "cpu_s": round(coarse.cpu, 2)}


def curvature() -> dict[str, Any]:
    """Circular waves from a corner (isotropic), elliptic ones, and ones whose fibres lie at 30 degrees to the mesh."""
    who, found = cell("TP06"), {}
    tilted = (math.cos(math.pi / 6), 0.5, 0.0)
    thin = math.sqrt(DT / DL)
    cases = {"isotropic": ((10.0, 10.0), (DL,), DL, (0.0, 0.0), None, 1.0, 1.5, 0.06),
             "fibres along x": ((12.0, 4.5), (DL, DT), DT, (0.0, 0.0), (1, 0, 0), thin, 1.5, 0.25),
             "fibres at 30 degrees": ((12.0, 12.0), (DL, DT), DT, (6.0, 6.0), tilted, 1.0, 1.2, 0.35)}
    for name, (size, D, D_h, centre, fibre, shrink, radius, q_fine) in cases.items():
        sizes, h = lattice(size, q_fine, D_h)
        fine = {w: disc_run(who, sizes, h, D, w, radius, centre, fibre, 60.0, shrink) for w in ("calibrated", "lumped")}
        reference = fine["calibrated"]
        entry: dict[str, Any] = {"reference": {"h_mm": h, "q": h * h / D_h, "lumped there": compare(
            fine["lumped"], reference, centre, radius + 0.5, shrink), "cpu_s": reference.cpu}, "coarse": {}}
        for q in (1.0, 3.0):
            sizes, h = lattice(size, q, D_h)
            for waves in OPERATORS:
                run = disc_run(who, sizes, h, D, waves, radius, centre, fibre, 150.0, shrink)
                row = compare(run, reference, centre, radius + 0.5, shrink) | {"q": h * h / D_h, "h_mm": h}
                if name == "isotropic":
                    on_axis = np.abs(run.x[:, 1]) < 1e-6
                    diagonal = np.abs(run.x[:, 0] - run.x[:, 1]) < 1e-6
                    row["radius_time"] = [[rounded(np.hypot(*run.x[s, :2].T)), rounded(run.times[s])]
                                          for s in (on_axis, diagonal)]
                entry["coarse"][f"{q:g} {waves}"] = row
                say(f"curvature {name} q {q:g} {waves}: rms {row['rms_percent']} % worst {row['worst_ms']} ms")
        if name == "isotropic":
            s = np.abs(reference.x[:, 1]) < 1e-6
            entry["reference"]["radius_time"] = [rounded(reference.x[s, 0]), rounded(reference.times[s])]
        found[name] = entry
    return found


def collision() -> dict[str, Any]:
    """A plane wave that meets its mirror image: the last millimetres before a sealed end."""
    who, length, found = cell("TP06"), 12.0, {}

    def arrival(h: float, waves: str) -> tuple[Any, Any]:
        mesh = make_mesh((length,), h, waves)
        x = 10 * mesh.points
        start = launch(x, h, lambda p: p[:, 0] - 1.5, who.rest)
        run = Run(who, mesh, make_operator(mesh, (DL,), waves, who, h), V=start)
        run.steps(60.0, stop=lambda t, V: bool(V[-1] > 0))
        spline = CubicSpline(x[:, 0], run.times)
        return x[:, 0], run.times - spline(6.0)

    x, t = arrival(length / 160, "calibrated")
    exact = CubicSpline(x, t)
    speed = true_speed(who) * math.sqrt(DL)
    found["reference"] = {"h_mm": length / 160, "x": rounded(x), "t": rounded(t),
                          "gain_ms": float(exact(length)) - (length - 6.0) / speed}
    for q, n in ((1.0, 39), (3.0, 22)):
        for waves in OPERATORS:
            x, t = arrival(length / n, waves)
            error = t - exact(x)
            found[f"{q:g} {waves}"] = {"x": rounded(x), "error_ms": rounded(error, 4),
                                       "at_collision_ms": round(float(error[-1]), 4)}
            say(f"collision q {q:g} {waves}: {error[-1]:+.3f} ms at the line of collision")
    return found


# --------------------------------------------------------------------------- thresholds and conduction block
def threshold_of(fires: Callable[[float], bool], low: float, high: float, tolerance: float = 0.004) -> float:
    """The least strength that fires, to this relative tolerance, by bisection from a bracket that is widened."""
    while not fires(high):
        low, high = high, 2 * high
        if high > 1e5:
            return math.nan
    while fires(low):
        low, high = low / 2, low
        if high < 1e-4:
            return 0.0
    while high / low > 1 + tolerance:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if fires(middle) else (middle, high)
    return math.sqrt(low * high)


def captures(run: Run, far: Any, end: float, trains: Sequence[Train]) -> bool:
    """Whether a node of ``far`` fires before ``end`` ms; gives up once all has come back to rest."""
    seen: list[bool] = []

    def stop(t: float, V: Any) -> bool:
        if V[far].max() > -20.0:
            seen.append(True)
        return bool(seen) or (t > 6.0 and V.max() < -60.0)

    run.steps(end, trains, look=0.5, stop=stop)
    return bool(seen)


def thresholds() -> dict[str, Any]:
    """Least current (2 ms) that launches a wave from a segment at an end, and from a square at a corner."""
    who, found = cell("TP06"), {}
    for name, d, a, cells in (("segment", 1, 0.8, (1, 2, 4, 10)), ("square", 2, 1.4, (2, 4, 8, 14))):
        reference = None
        for n in reversed(cells):
            h = a / (n + 0.5)                  # nodes 0 ... n then own exactly what the stimulus covers
            for waves in OPERATORS if n != cells[-1] else ("calibrated", "lumped"):
                size, _ = lattice([6.0] * d, h * h / DL, DL)
                size = tuple(h * math.ceil(6.0 / h) for _ in range(d))
                mesh = make_mesh(size, h, waves)
                operator, x = make_operator(mesh, (DL,), waves, who, h), 10 * mesh.points
                nodes = np.flatnonzero((x < a).all(axis=1))
                far = np.flatnonzero(np.hypot(x[:, 0], x[:, 1]) > 4.0)

                def fires(current: float, mesh: Any = mesh, operator: Any = operator, nodes: Any = nodes,
                          far: Any = far) -> bool:
                    return captures(Run(who, mesh, operator), far, 30.0, [pulse(nodes, current)])

                least = threshold_of(fires, 20.0, 40.0)
                reference = reference or least
                found[f"{name} {n} {waves}"] = {"h_mm": h, "q": h * h / DL, "least": least,
                                                "error_percent": 100 * (least / reference - 1)}
                say(f"thresholds {name} q {h * h / DL:.2f} {waves}: {least:.2f} uA/cm^2, "
                    f"{100 * (least / reference - 1):+.1f} %")
    return found


def isthmus() -> dict[str, Any]:
    """A channel that opens into a wide region: the least sodium conductance with which the wave gets through."""
    who, found = cell("TP06", ("GNa",)), {}
    full = who.initial["GNa"]
    for half in (0.6, 0.3):
        reference = None
        for n in (8, 4, 2, 1):
            h = half / n
            wide, channel, deep = (math.ceil(s / h) for s in (4.5, 4.0, 5.0))
            mask = np.zeros((channel + deep, wide), int)
            mask[channel:] = 1
            mask[:, :n] = 1
            if half / n < 0.07:
                continue
            for waves in OPERATORS if half / n > 0.08 else ("calibrated", "lumped"):
                mesh = make_mesh((1.0, 1.0), h, waves, mask=mask)
                operator, x = make_operator(mesh, (DL,), waves, who, h), 10 * mesh.points
                start = launch(x, h, lambda p: p[:, 0] - 1.2, who.rest)
                far = np.flatnonzero(np.hypot(x[:, 0] - channel * h, x[:, 1]) > 3.0)
                far = far[x[far, 0] > channel * h]

                def passes(factor: float, mesh: Any = mesh, operator: Any = operator, start: Any = start,
                           far: Any = far) -> bool:
                    run = Run(who, mesh, operator, V=start, nodal={"GNa": np.full(mesh.n_points, full * factor)})
                    return captures(run, far, 80.0, ())

                least = threshold_of(passes, 0.12, 0.24)
                reference = reference or least
                found[f"{half:g} {n} {waves}"] = {"h_mm": h, "q": h * h / DL, "least": least,
                                                  "error_percent": 100 * (least / reference - 1)}
                say(f"isthmus {2 * half} mm, q {h * h / DL:.2f} {waves}: GNa x {least:.3f}, "
                    f"{100 * (least / reference - 1):+.1f} %")
    return found


# ------------------------------------------------------------------------------------------------- re-entry
def tips(before: Any, now: Any, level: float, h: float) -> Any:
    """(n, 2) mm: where V crosses ``level`` and stands still, on a grid [y, x]: in each square both V - level now and
    that of some ms ago change sign; the place by their linear fits."""
    f, g = now - level, before - level
    corners = [(slice(None, -1), slice(None, -1)), (slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1)),
               (slice(1, None), slice(1, None))]
    F, G = (np.stack([u[c] for c in corners]) for u in (f, g))
    mixed = (F.min(0) < 0) & (F.max(0) > 0) & (G.min(0) < 0) & (G.max(0) > 0)
    places = []
    for j, i in np.argwhere(mixed):
        A, b = [], []
        for u in (F[:, j, i], G[:, j, i]):
            A.append([(u[1] + u[3] - u[0] - u[2]) / 2, (u[2] + u[3] - u[0] - u[1]) / 2])
            b.append(-(3 * u[0] + u[1] + u[2] - u[3]) / 4)
        matrix = np.array(A)
        if abs(np.linalg.det(matrix)) > 1e-9:
            s = np.linalg.solve(matrix, b)
            if (s > -0.01).all() and (s < 1.01).all():
                places.append((h * (i + s[0]), h * (j + s[1])))
    return np.array(places).reshape(-1, 2)


SPIRAL = {"Gsi": 0.0}          # without the slow inward current action potentials are short, and a rotor is steady


def spiral() -> dict[str, Any]:
    """A rotor of Luo and Rudy's model of 1991 without Isi: period, and path of the tip.

    All runs start from one rotor, made on a mesh of 0.25 mm and carried over to the others node by node.
    """
    side, dt, born, end = 35.0, 0.05, 120.0, 450.0
    who = cell("LR91", parameters=tuple(SPIRAL.items()), dt=dt)

    def at(h: float, waves: str) -> tuple[Run, int]:
        mesh = make_mesh((side, side), h, waves)
        return Run(who, mesh, make_operator(mesh, (DL,), waves, who, h), dt=dt), round(side / h) + 1

    seed, m = at(0.25, "calibrated")
    x = seed.x
    seed.state.V[:] = launch(x, 0.25, lambda p: p[:, 0] - 1.5, who.rest)
    middle = int(np.argmin(np.hypot(x[:, 0] - side / 2, x[:, 1] - side / 2)))
    fired: list[float] = []

    def wake(t: float, V: Any) -> bool:        # until the middle has come back half way
        fired.extend([t] if V[middle] > 0 else [])
        return bool(fired) and bool(V[middle] < -70)

    seed.steps(300.0, look=0.5, stop=wake)
    quarter = (x[:, 0] < side / 2) & (x[:, 1] < side / 2)
    seed.steps(born, [pulse(np.flatnonzero(quarter), 60.0)])
    grid = np.unique(np.round(x[:, 0], 9))
    start = {}
    for name in (*who.kernel.states, "V"):
        start[name] = RectBivariateSpline(grid, grid, seed.state.variable(name).reshape(m, m).T, kx=1, ky=1)
    found: dict[str, Any] = {"side_mm": side, "D": DL, "parameters": SPIRAL}

    def rotor(h: float, waves: str) -> dict[str, Any]:
        run, n = at(h, waves)
        for name, values in start.items():
            (_, _, row), = run.state.pieces(name)
            row[:] = values.ev(run.x[:, 0], run.x[:, 1])
        path: list[Any] = []
        old = [run.state.V.copy()]

        def look(t: float, V: Any) -> bool:
            path.extend((t, *place) for place in tips(old[0].reshape(n, n), V.reshape(n, n), -40.0, h))
            old[0] = V.copy()
            return bool(V.max() < who.rest + 15)

        run.steps(end, look=1.0, stop=look)
        beats = run.watcher.map().activation
        periods = np.diff(beats, axis=0)
        late = periods[np.nan_to_num(beats[1:], nan=0) > 0.4 * end]
        p = np.array(path).reshape(-1, 3)
        p = p[p[:, 0] > 0.4 * end]
        core = p[:, 1:] - np.median(p[:, 1:], axis=0) if len(p) else np.zeros((1, 2))
        return {"h_mm": h, "q": h * h / DL, "period_ms": float(np.nanmedian(late)) if len(late) else math.nan,
                "spread_ms": float(np.nanstd(late)) if len(late) else math.nan,
                "tip_radius_mm": float(np.median(np.hypot(*core.T))),
                "tip_extent_mm": [float(e) for e in np.ptp(core, axis=0)], "tip_points": len(p), "cpu_s": run.cpu,
                "path": [rounded(row, 2) for row in p[:: max(1, len(p) // 400)]]}

    for q in (0.25, 1.0, 3.0):
        _, h = lattice((side,), q, DL)
        for waves in OPERATORS if q > 0.5 else ("calibrated", "lumped"):
            found[f"{q:g} {waves}"] = row = rotor(h, waves)
            say(f"spiral q {q:g} {waves}: period {row['period_ms']:.1f} +- {row['spread_ms']:.1f} ms, tip radius "
                f"{row['tip_radius_mm']:.2f} mm, extent {row['tip_extent_mm']}, {row['tip_points']} points, "
                f"{row['cpu_s']:.0f} s")
    return found


# ----------------------------------------------------------------------------- repolarisation and restitution
def repolarisation() -> dict[str, Any]:
    """Action potential durations along a cable whose far half has a third of Gks, a sealed end on either side."""
    who, length, found = cell("TP06", ("Gks",)), 20.0, {}

    def durations(h: float, waves: str) -> tuple[Any, Any, Any]:
        mesh = make_mesh((length,), h, waves)
        x = 10 * mesh.points
        gks = who.initial["Gks"] * (1 - np.clip((x[:, 0] - 9.5) / 1.0, 0, 1) * 0.7)
        run = Run(who, mesh, make_operator(mesh, (DL,), waves, who, h), nodal={"Gks": gks},
                  V=launch(x, h, lambda p: p[:, 0] - 1.5, who.rest))
        run.steps(600.0, look=5.0, stop=lambda t, V: bool(t > 100 and V.max() < who.rest + 3))
        return x[:, 0], run.times, run.repolarisation

    x, t, r = durations(length / 200, "calibrated")
    ok = np.isfinite(r)
    exact = CubicSpline(x, t), CubicSpline(x[ok], r[ok]), CubicSpline(x[ok], (r - t)[ok])
    found["reference"] = {"h_mm": length / 200, "x": rounded(x), "apd": rounded(r - t), "repolarisation": rounded(r)}
    for q in (1.0, 3.0, 8.0):
        (_,), h = lattice((length,), q, DL)
        for waves in OPERATORS:
            x, t, r = durations(h, waves)
            apd, inner = r - t - exact[2](x), (x > 2.0)
            found[f"{q:g} {waves}"] = {
                "x": rounded(x), "apd_error": rounded(apd), "repolarisation_error": rounded(r - exact[1](x)),
                "worst_apd_ms": float(np.abs(apd[inner]).max()), "mean_apd_ms": float(apd[inner].mean()),
                "worst_repolarisation_ms": float(np.abs((r - exact[1](x))[inner]).max()),
                "worst_activation_ms": float(np.abs((t - exact[0](x))[inner]).max())}
            row = found[f"{q:g} {waves}"]
            say(f"repolarisation q {q:g} {waves}: APD within {row['worst_apd_ms']:.2f} ms, repolarisation "
                f"{row['worst_repolarisation_ms']:.2f}, activation {row['worst_activation_ms']:.2f}")
    return found


def restitution() -> dict[str, Any]:
    """Velocity of a premature wave against the diastolic interval: S1, then S2 at the near end of a cable."""
    found: dict[str, Any] = {}
    for name, D in (("TP06", DL), ("CRN", DL)):
        who, length = cell(name), 20.0

        def curve(h: float, waves: str, who: Cell = who, D: float = D, length: float = length) -> dict[str, Any]:
            mesh = make_mesh((length,), h, waves)
            x = 10 * mesh.points[:, 0]
            operator = make_operator(mesh, (D,), waves, who, h)
            near = launch(10 * mesh.points, h, lambda p: p[:, 0] - 2.0, 0.0, 1.0)
            run = Run(who, mesh, operator, V=who.rest + 105.0 * near)
            i = int(np.argmin(np.abs(x - 7.0)))
            saved: list[tuple[float, Any]] = []
            back: list[float] = []                 # when the place where velocities begin was at rest again

            def look(t: float, V: Any) -> bool:
                if t > 120:
                    saved.append((t, run.save()))
                if t > 150 and V[i] < who.rest + 10:
                    back.append(t)
                return bool(back) and t - back[0] > 220

            run.steps(900.0, look=4.0, stop=look)
            repolarised = run.repolarisation[i]
            rows = []
            span = CubicSpline(x, run.times)
            s1 = 8.0 / float(span(15.0) - span(7.0))
            for di in (-8, -4, 0, 4, 8, 16, 24, 40, 60, 100, 160, 210):
                t0 = min(saved, key=lambda s: abs(s[0] - repolarised - di))
                run.restore(t0[1])
                run.state.V[:] = np.maximum(run.state.V, who.rest + 105.0 * near)
                run.steps(90.0, stop=lambda t, V: bool(V[int(np.argmin(np.abs(x - 16.5)))] > -10 and t > 5))
                part = (x > 4.0) & (x < 16.0) & (run.times != 0.0)
                if not np.isfinite(run.times[part]).all():         # S2 was blocked
                    continue
                span = CubicSpline(x[part], run.times[part])
                rows.append((t0[0] + float(span(7.0)) - repolarised, 8.0 / float(span(15.0) - span(7.0))))
            return {"s1": s1, "rows": [rounded(r, 4) for r in rows]}

        found[name] = {"reference": curve(length / 200, "calibrated")}
        say(f"restitution {name} reference: S1 {found[name]['reference']['s1']:.4f} mm/ms "
            f"{found[name]['reference']['rows']}")
        for q in (1.0, 3.0):
            _, h = lattice((length,), q, D)
            for waves in OPERATORS:
                found[name][f"{q:g} {waves}"] = row = curve(h, waves)
                say(f"restitution {name} q {q:g} {waves}: S1 {row['s1']:.4f} mm/ms, {row['rows'][:6]}")
    return found


# ------------------------------------------------------------------------------------------------ a ventricle
def shell(h: float) -> tuple[Any, Any, Any]:
    """Mask of a truncated ellipsoid shell, fibres (helix angle -60 to 60 degrees), and where the grid begins, mm."""
    outer, wall, base = np.array([5.5, 5.5, 11.0]), 2.5, 3.0
    n = np.ceil(2 * outer / h).astype(int)
    n[2] = math.ceil((outer[2] + base) / h)
    low = np.array([-h * n[0] / 2, -h * n[1] / 2, -outer[2]])
    x, y, z = (low[k] + h * (np.arange(n[k]) + 0.5) for k in range(3))
    X = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1)

    def level(axes: Any) -> Any:
        return np.sqrt(((X / axes) ** 2).sum(axis=-1))

    out, inner = level(outer), level(outer - wall)
    mask = (out <= 1.0) & (inner >= 1.0) & (X[..., 2] <= base)
    depth = np.clip((inner - 1.0) / np.maximum(inner - out, 1e-9), 0, 1)            # 0 inside, 1 outside
    normal = X / outer**2
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    around = np.cross([0.0, 0.0, 1.0], normal)
    around /= np.maximum(np.linalg.norm(around, axis=-1, keepdims=True), 1e-9)
    up = np.cross(normal, around)
    angle = np.radians(60.0 - 120.0 * depth)[..., None]
    fibre = np.cos(angle) * around + np.sin(angle) * up
    fibre[np.linalg.norm(fibre, axis=-1) < 0.5] = (1.0, 0.0, 0.0)
    return mask, fibre, low


def ventricle() -> dict[str, Any]:
    """A small truncated ellipsoid with rotating fibres, stimulated at one side of the septum's inner wall."""
    who, D, found = cell("TP06"), (DL, DL / 4), {}
    spots = np.array([[5.3, 0, 2.5], [-5.3, 0, 2.5], [0, 5.3, 2.5], [0, -5.3, 2.5], [5.0, 0, -4.0], [-5.0, 0, -4.0],
                      [0, 0, -10.8], [0, 0, -8.7], [-3.1, 0, 0.0], [0, 3.1, 0.0]])

    def beat(h: float, waves: str) -> tuple[Run, Any]:
        mask, fibre, low = shell(h)
        mesh = make_mesh((1, 1, 1), h, waves, fibre, mask)
        x = 10 * mesh.points + low
        start = launch_ball(x, h, (3.0, 0.0, 0.0), 1.6, who.rest)
        run = Run(who, mesh, make_operator(mesh, D, waves, who, h), V=start)
        run.steps(150.0, look=1.0, stop=lambda t, V: bool(V.min() > who.threshold))
        return run, x

    fine = 0.16
    reference, x_fine = beat(fine, "calibrated")
    say(f"ventricle h {fine}: {len(x_fine)} nodes, all active at {np.nanmax(reference.times):.2f} ms, "
        f"{reference.cpu:.0f} s")
    from scipy.spatial import cKDTree
    tree = cKDTree(x_fine)

    def exact(x: Any) -> Any:
        """Times of the reference at x: the plane through its 12 nearest nodes; NaN outside of its tissue."""
        distance, near = tree.query(x, 12)
        out = np.empty(len(x))
        for i in range(len(x)):
            A = np.column_stack([np.ones(12), x_fine[near[i]] - x[i]])
            out[i] = np.linalg.lstsq(A, reference.times[near[i]], rcond=None)[0][0]
        out[distance[:, 0] > fine] = np.nan
        return out

    found["reference"] = {"h_mm": fine, "nodes": len(x_fine), "last_ms": float(np.nanmax(reference.times)),
                          "spots": rounded(reference.times[tree.query(spots)[1]]), "cpu_s": reference.cpu}
    for h in (fine, 2 * fine, 0.4):
        for waves in OPERATORS if h != fine else ("lumped",):
            run, x = beat(h, waves)
            known = exact(x)
            e = (run.times - known)[known > 3.0]
            rel = e / known[known > 3.0]
            found[f"{h:g} {waves}"] = row = {
                "nodes": len(x), "last_ms": float(np.nanmax(run.times)), "cpu_s": run.cpu,
                "rms_ms": float(np.sqrt(np.nanmean(e**2))), "mean_ms": float(np.nanmean(e)),
                "worst_ms": float(e[np.nanargmax(np.abs(e))]), "rms_percent": 100 * float(np.sqrt(np.nanmean(rel**2))),
                "inactive": int(np.isnan(run.times).sum()), "compared": int(np.isfinite(e).sum())}
            keep = np.isfinite(known)
            row["scatter"] = [rounded(known[keep][::max(1, keep.sum() // 500)], 2),
                              rounded(run.times[keep][::max(1, keep.sum() // 500)], 2)]
            say(f"ventricle h {h:g} {waves}: {row['nodes']} nodes, last {row['last_ms']:.2f} ms, rms "
                f"{row['rms_ms']:.2f} ms ({row['rms_percent']:.1f} %), worst {row['worst_ms']:+.2f}, "
                f"{row['cpu_s']:.0f} s")
    return found


def launch_ball(x: Any, h: float, centre: Sequence[float], radius: float, low: float) -> Any:
    """V of a ball, smooth over 0.5 mm, averaged over h^3 around each node."""
    places = (np.arange(4) + 0.5) / 4 - 0.5
    total = np.zeros(len(x))
    for offset in np.stack(np.meshgrid(places, places, places)).reshape(3, -1).T:
        total += 0.5 * (1 - np.tanh((np.linalg.norm(x + h * offset - centre, axis=1) - radius) / 0.25)) / 64
    return low + (20.0 - low) * total


EXPERIMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    f.__name__: f for f in (planar, oblique, diagonals, curvature, collision, thresholds, isthmus, spiral,
                            repolarisation, restitution, ventricle)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", choices=[*EXPERIMENTS, []], help="measure these again")
    parser.add_argument("--figures", action="store_true", help="measure nothing, draw, and print the page's tables")
    asked = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not asked.figures:
        for name in asked.experiments or [e for e in EXPERIMENTS if e not in results]:
            start = time.process_time()
            found = EXPERIMENTS[name]()
            latest = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            latest[name] = {"found": found, "cpu_s": round(time.process_time() - start, 1), "commit": commit(),
                            "version": upstroke.__version__, "date": datetime.now(UTC).isoformat(timespec="seconds")}
            RESULTS.write_text(json.dumps(latest, separators=(",", ":"), allow_nan=True) + "\n")
    from waves_figures import draw, tables

    latest = json.loads(RESULTS.read_text())
    draw(latest, PICTURES)
    if asked.figures:
        print(tables(latest))


if __name__ == "__main__":
    main()
