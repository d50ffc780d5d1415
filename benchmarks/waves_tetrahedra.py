"""The calibrated operator on irregular tetrahedra and triangles: plane waves at all angles, and the Niederer slab.

    pip install gmsh
    python benchmarks/waves_tetrahedra.py             plane waves and the slab down to 0.25 mm (ten minutes)
    python benchmarks/waves_tetrahedra.py --dx 0.2    another resolution of the slab

Writes results/waves_tetrahedra.json and .md. Plane waves run through boxes of gmsh's cells that are periodic across:
the operator is assembled on three by three copies of the box, and folded. Errors are against the velocity of the
continuum, as `upstroke tune-waves` measures it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gmsh
import meshio
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

import upstroke
from upstroke.backend import open_backend
from upstroke.case import load_case
from upstroke.case.schema import TimeTable
from upstroke.codegen import generate
from upstroke.ionic import initial_state, load_model
from upstroke.mesh.mesh import Mesh
from upstroke.output.manifest import commit
from upstroke.space import Curve, assemble
from upstroke.space.deviation import assemble_deviation
from upstroke.space.operator import Operator
from upstroke.step.state import State
from upstroke.waves.tune import Tuning

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "waves_tetrahedra.json"
CASE = HERE.parent / "cases" / "niederer"
POINTS = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9")
CONVERGED = (1.23, 26.71, 31.64, 41.24, 8.28, 28.05, 32.86, 42.23, 19.54)    # Richardson, see niederer.md
LENGTH, WIDTH = 36.0, 8.0            # of the box, in edges of cells
ANGLES = (0, 20, 40, 55, 70, 80, 90)
RATIO = 7.58                         # of the diffusivities along and across the fibres, as in the slab
DT = 0.02
OTHERS = ("LuoRudy91", "Courtemanche", "Tomek", "MitchellSchaeffer")
NEAR = 1e-5                          # closer than this, points are the same
BACKEND = open_backend("cpu", 0, "fp64")


def cells_of(dim: int, size: tuple[float, float, float], edge: float, algorithm: int, periodic: bool
             ) -> tuple[np.ndarray, np.ndarray]:
    """Points and cells of gmsh in a box, or in a rectangle."""
    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    for name in ("Mesh.MeshSizeMin", "Mesh.MeshSizeMax"):
        gmsh.option.setNumber(name, edge)
    gmsh.option.setNumber(f"Mesh.Algorithm{'3D' if dim == 3 else ''}", algorithm)
    if dim == 3:
        gmsh.model.occ.addBox(0, 0, 0, *size)
    else:
        gmsh.model.occ.addRectangle(0, 0, 0, *size[:2])
    gmsh.model.occ.synchronize()
    for axis in range(1, dim if periodic else 1):
        move = np.eye(4)
        move[axis, 3] = size[axis]
        gmsh.model.mesh.setPeriodic(dim - 1, side(dim, size, axis, size[axis]), side(dim, size, axis, 0.0),
                                    move.ravel())
    gmsh.model.mesh.generate(dim)
    tags, points, _ = gmsh.model.mesh.getNodes()
    kinds, _, nodes = gmsh.model.mesh.getElements(dim)
    gmsh.finalize()
    assert len(kinds) == 1
    place = np.zeros(int(tags.max()) + 1, np.int64)
    place[tags.astype(np.int64)] = np.arange(len(tags))
    return points.reshape(-1, 3), place[nodes[0].astype(np.int64)].reshape(-1, dim + 1)


def side(dim: int, size: tuple[float, ...], axis: int, at: float) -> list[int]:
    low, high = np.full(3, -1e-6), np.array(size) + 1e-6
    low[axis], high[axis] = at - 1e-6, at + 1e-6
    return [tag for _, tag in gmsh.model.getEntitiesInBoundingBox(*low, *high, dim=dim - 1)]


class Box:
    """A box of cells, periodic across, with its node spacing as the unit of length."""

    def __init__(self, dim: int, algorithm: int) -> None:
        size = (LENGTH, WIDTH, WIDTH)
        points, cells = cells_of(dim, size, 1.0, algorithm, periodic=True)
        shifts = [np.array([0.0, i, j]) * WIDTH for i in (-1, 0, 1) for j in ((-1, 0, 1) if dim == 3 else (0,))]
        corners = np.concatenate([points[cells] + shift for shift in shifts])
        unique, number = merged(corners.reshape(-1, 3))
        self.inside = ((unique[:, 1:dim] >= -NEAR) & (unique[:, 1:dim] < WIDTH - NEAR)).all(axis=1)
        wrapped = unique.copy()
        wrapped[:, 1:dim] = (wrapped[:, 1:dim] + NEAR) % WIDTH - NEAR
        away, self.home = cKDTree(unique[self.inside]).query(wrapped)
        assert away.max() < NEAR
        volume = LENGTH * WIDTH ** (dim - 1)
        spacing = ({2: 2.0, 3: 6.0}[dim] * volume / len(cells)) ** (1.0 / dim)
        self.x = unique[self.inside] / spacing
        self.mesh = Mesh(unique / spacing, oriented(unique, number.reshape(-1, dim + 1)),
                         np.zeros(len(corners), np.int32))

    def operator(self, D: np.ndarray, curve: Curve | None) -> Operator:
        """Folded: what the nodes of the middle copy do, with the others where they belong."""
        tensors = np.broadcast_to(D, (self.mesh.n_cells, 3, 3)).copy()
        whole = assemble(self.mesh, tensors) if curve is None else assemble_deviation(
            self.mesh, tensors, [curve], np.zeros(self.mesh.n_cells, np.int64))
        fold = sparse.csr_array((np.ones(len(self.home)), (np.arange(len(self.home)), self.home)))
        K = sparse.csr_array(whole.stiffness[np.flatnonzero(self.inside)] @ fold)
        return Operator(K, K, whole.lumped_mass[self.inside], True)


def merged(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points without those that lie on others, and where each went."""
    first = np.unique(points, axis=0)
    _, group = connected_components(cKDTree(first).sparse_distance_matrix(cKDTree(first), NEAR))
    unique = first[np.unique(group, return_index=True)[1]]
    return unique, cKDTree(unique).query(points)[1]


def oriented(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    if cells.shape[1] == 4:
        a, b, c = (points[cells[:, k]] - points[cells[:, 0]] for k in (1, 2, 3))
        wrong = np.einsum("ci,ci->c", a, np.cross(b, c)) < 0.0
        cells[wrong] = cells[wrong][:, [0, 2, 1, 3]]
    return cells.astype(np.int32)


def velocity(tuning: Tuning, box: Box, operator: Operator, D_n: float) -> float:
    """Of a plane wave along x, over sqrt(D_n), from a fit to all nodes between 40 and 85 % of the way."""
    batch, action, x = tuning.batch, tuning.action, box.x[:, 0]
    kernel = generate(batch.model, BACKEND.target, "fp64")
    state = State([(kernel, batch.initial, len(x))], BACKEND)
    react = BACKEND.membrane(kernel.source, state.groups[0].arrays, 1.0, DT)
    V = state.V
    V[x < 3.0] = action.peak
    A = sparse.csr_array(sparse.diags_array(1.0 / operator.lumped_mass) @ operator.stiffness)
    turns = max(4, int(np.ceil(DT * abs(A).sum(axis=1).max() / 1.6)))     # almost exact in time
    arrival, before, n = np.full(len(x), np.nan), V.copy(), 0
    look = (x > 0.4 * x.max()) & (x < 0.85 * x.max())
    while np.isnan(arrival[look]).any() and n * DT < 200.0:
        react.run(n)
        for _ in range(turns):
            V -= DT / turns * (A @ V)
        crossed = (before < action.threshold) & (action.threshold <= V) & np.isnan(arrival)
        arrival[crossed] = DT * (n + (action.threshold - before[crossed]) / (V[crossed] - before[crossed]))
        before[:] = V
        n += 1
    return float(1.0 / np.polyfit(x[look], arrival[look], 1)[0] / np.sqrt(D_n))


def plane_waves() -> Iterator[dict[str, Any]]:
    """tenTusscherPanfilov, as in the slab, on four meshes."""
    table = load_case(CASE).membrane[0]
    model = load_model(table.model, table.flags)
    tuning = Tuning(model, TimeTable(end=1.0, dt=DT), initial_state(model, table.initial))
    curve = tuning.curve()
    for name, dim, algorithm in (("tetrahedra, Delaunay", 3, 1), ("tetrahedra, HXT", 3, 10),
                                 ("triangles, Delaunay", 2, 5), ("triangles, frontal", 2, 6)):
        box = Box(dim, algorithm)
        for q, ratio in ((1.0, 1.0), (3.0, 1.0), (1.0, RATIO), (3.0, RATIO)):
            for angle in ANGLES if ratio > 1.0 else (0,):
                a = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle)), 0.0])
                D = (np.eye(3) + (ratio - 1.0) * np.outer(a, a)) / q
                row = {"mesh": name, "nodes": len(box.x), "q_across": q, "ratio": ratio, "angle": angle}
                for waves, with_curve in (("lumped", None), ("calibrated", curve)):
                    v = velocity(tuning, box, box.operator(D, with_curve), D[0, 0])
                    row[waves] = round(100.0 * (v / tuning.front.velocity - 1.0), 2)
                print(row, flush=True)
                yield row


def other_models() -> Iterator[dict[str, Any]]:
    """Other models on tetrahedra, at q = 3 ms."""
    box, q = Box(3, 1), 3.0
    for name in OTHERS:
        tuning = Tuning(load_model(name), TimeTable(end=1.0, dt=DT))
        curve = tuning.curve()
        for ratio, angle in ((1.0, 0), (RATIO, 0), (RATIO, 55), (RATIO, 90)):
            a = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle)), 0.0])
            D = (np.eye(3) + (ratio - 1.0) * np.outer(a, a)) / q
            v = velocity(tuning, box, box.operator(D, curve), D[0, 0])
            yield {"model": name, "q_across": q, "ratio": ratio, "angle": angle,
                   "calibrated": round(100.0 * (v / tuning.front.velocity - 1.0), 2)}


def slab(dx: float) -> dict[str, Any]:
    points, cells = cells_of(3, (20.0, 7.0, 3.0), dx, 1, periodic=False)
    used, number = np.unique(cells, return_inverse=True)
    row: dict[str, Any] = {"dx": dx, "nodes": len(used)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "slab.vtu"
        meshio.Mesh(points[used], [("tetra", number.reshape(cells.shape))]).write(file)
        for waves in ("calibrated", "0.2", "consistent", "lumped"):
            if waves != "calibrated" and dx < 0.3:
                continue
            result = upstroke.run(CASE, Path(folder) / waves, overrides=(
                f'mesh={{kind="file",file="{file}",unit="mm",fibre=[1,0,0]}}', f'tissue.waves={waves}' if waves == "0.2"
                else f'tissue.waves="{waves}"', f'time.dt="{DT} ms"', 'time.end="130 ms"' if waves == "lumped" else
                'time.end="70 ms"', 'membrane.method={V="rk2"}', "output.picture=false"))
            row[waves] = [result.summary["probe_activation_ms"][p] for p in POINTS]
            print(dx, waves, row[waves], flush=True)
    return row


def table(results: dict[str, Any]) -> str:
    lines = ["# Irregular tetrahedra and triangles", "",
             "Written by `python benchmarks/waves_tetrahedra.py` "
             f"(gmsh {results['gmsh']}, commit {results['commit']}).", "",
             "## Error of the velocity of plane waves, %", "",
             "tenTusscherPanfilov (EPI); q is that across the fibres, h^2 / D_t in ms; angles between the wave and the "
             "fibres, which conduct 7.58 times as well as the tissue across them (iso: as well).", "",
             "| mesh | q | operator | iso | " + " | ".join(f"{a} deg" for a in ANGLES) + " |",
             "|---" * (4 + len(ANGLES)) + "|"]
    rows = results["plane_waves"]
    for mesh, q in sorted({(r["mesh"], r["q_across"]) for r in rows}):
        for waves in ("lumped", "calibrated"):
            here = {(r["ratio"], r["angle"]): r[waves] for r in rows if (r["mesh"], r["q_across"]) == (mesh, q)}
            lines.append(f"| {mesh} | {q:g} | {waves} | {here[1.0, 0]:+.1f} | "
                         + " | ".join(f"{here[RATIO, a]:+.1f}" for a in ANGLES) + " |")
    lines += ["", "Other models on the first of these meshes, q = 3 ms, calibrated:", "",
              "| model | iso | 0 deg | 55 deg | 90 deg |", "|---|---|---|---|---|"]
    for name in OTHERS:
        errors = " | ".join(f"{r['calibrated']:+.1f}" for r in results["other_models"] if r["model"] == name)
        lines.append(f"| {name} | {errors} |")
    lines += ["", "## The Niederer slab on tetrahedra of gmsh: activation times, ms", "",
              "V by rk2, dt 0.02 ms. dx is the length of edges that gmsh was asked for.", "",
              "| operator | dx, mm | nodes | " + " | ".join(POINTS) + " |", "|---" * (3 + len(POINTS)) + "|",
              "| converged | | | " + " | ".join(f"{t:.2f}" for t in CONVERGED) + " |"]
    for row in sorted(results["slab"], key=lambda r: -r["dx"]):
        for waves in ("calibrated", "0.2", "consistent", "lumped"):
            if waves in row:
                lines.append(f"| {waves} | {row['dx']:g} | {row['nodes']:,} | "
                             + " | ".join("-" if t is None else f"{t:.2f}" for t in row[waves]) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dx", type=float, nargs="+", help="resolutions of the slab, mm; plane waves are then kept")
    asked = parser.parse_args().dx
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"slab": []}
    results |= {"gmsh": gmsh.__version__, "commit": commit()}
    if asked is None or "plane_waves" not in results:
        results["plane_waves"] = list(plane_waves())
    if asked is None or "other_models" not in results:
        results["other_models"] = list(other_models())
    done = [slab(dx) for dx in asked or (0.5, 0.35, 0.25)]
    results["slab"] = done + [row for row in results["slab"] if row["dx"] not in {d["dx"] for d in done}]
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    RESULTS.with_suffix(".md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
