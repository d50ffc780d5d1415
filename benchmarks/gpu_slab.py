"""Slabs of any size for the GPU benchmarks: their operators, and runs on them without files.

`tiled` writes the matrices of a large slab down from those of two cells per axis: where all cells are alike, a row of M
or K depends only on whether its node lies at the beginning, inside or at the end along each axis. That takes a
thousandth of the time of assembling them; tests/numeric/test_gpu_benchmarks.py compares both.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gpu_common import HERE, open_cuda
from numpy.typing import NDArray
from scipy import sparse

from upstroke import Case, load_case
from upstroke.backend import cuda_diffusion
from upstroke.backend.couplings import NEGLIGIBLE, Repeated, repeat_rows
from upstroke.case.pulses import Pulses
from upstroke.codegen import generate
from upstroke.ionic import initial_state, load_model, rates
from upstroke.mesh import build_mesh
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.order import solve_order
from upstroke.observe.activation import ActivationWatcher
from upstroke.protocol import Stimuli
from upstroke.protocol.train import Train
from upstroke.space import Operator, discretise
from upstroke.step.state import State
from upstroke.step.stepper import Stepper

NIEDERER = HERE.parent / "cases" / "niederer"
DX = 0.02            # cm
DT = 0.05            # ms
CHUNK = 1_000_000    # rows that are written at once
STIMULATED = 0.15    # cm, edge of the cube in the corner
LONG = 1e6           # ms: no benchmark comes to the end


def shape_of(nodes: float) -> tuple[int, int, int]:
    """About so many nodes, twice as many along x as along y and z."""
    edge = (nodes / 2) ** (1 / 3)
    return max(round(2 * edge), 4), max(round(edge), 4), max(round(nodes / (round(2 * edge) * round(edge))), 4)


def case(kind: str, cells: Sequence[int], **tables: Any) -> Case:
    """The Niederer benchmark's tissue and cells, in a slab or a grid of ``cells`` of 0.2 mm along each axis."""
    time = {"end": f"{LONG:g} ms", "dt": f"{DT} ms"} | tables.pop("time", {})
    mesh = {"kind": kind, "size": [f"{10 * DX * n:.10g} mm" for n in cells], "dx": f"{10 * DX:g} mm",
            "fibre": [1, 0, 0]}
    return load_case(NIEDERER, {"mesh": mesh, "time": time}, tables)


# --------------------------------------------------------------------------------------------------- operators
def tiled(small: Operator, nodes: tuple[int, int, int]) -> Operator:
    """The operator of a slab of ``nodes`` (x fastest) from that of 3 x 3 x 3 nodes of the same cells."""
    n, kind, offsets = int(np.prod(nodes)), kinds(nodes), row_offsets(small, nodes)
    lengths = np.array([len(row) for row in offsets])
    start = np.concatenate([[0], np.cumsum(lengths[kind])])
    column, K, M = np.empty(start[-1], np.int32), np.empty(start[-1]), np.empty(start[-1])
    for k in range(27):
        rows = np.flatnonzero(kind == k)
        own = slice(small.stiffness.indptr[k], small.stiffness.indptr[k + 1])
        by_column = np.argsort(offsets[k])
        for chunk in np.split(rows, range(CHUNK, len(rows), CHUNK)):
            entries = start[chunk][:, None] + np.arange(lengths[k])
            column[entries] = chunk[:, None] + offsets[k][by_column]
            K[entries] = small.stiffness.data[own][by_column]
            M[entries] = small.mass.data[own][by_column]
    matrices = [sparse.csr_array((data, column, start), shape=(n, n)) for data in (M, K)]
    return Operator(*matrices, lumped_mass=small.lumped_mass[kind], is_lumped=small.is_lumped,
                    eigenvalue_bound=gershgorin(small))


def kinds(nodes: tuple[int, int, int]) -> NDArray[np.int32]:
    """(n,) which of 3 x 3 x 3 nodes has the surroundings of each node."""
    along = [(np.minimum(np.arange(m), 1) + (np.arange(m) == m - 1)).astype(np.int32) for m in nodes]  # 0, 1, ..., 1, 2
    return (along[0][None, None, :] + 3 * along[1][None, :, None] + 9 * along[2][:, None, None]).ravel()


def row_offsets(small: Operator, nodes: tuple[int, int, int]) -> list[NDArray[np.int64]]:
    """Of each kind of row, the columns of its entries minus its own number."""
    strides = np.array([1, nodes[0], nodes[0] * nodes[1]])
    place = np.array(np.unravel_index(np.arange(27), (3, 3, 3))[::-1]).T         # (27, 3): x, y, z of small's nodes
    ends = small.stiffness.indptr
    return [(place[small.stiffness.indices[ends[k]:ends[k + 1]]] - place[k]) @ strides for k in range(27)]


@dataclass(frozen=True, eq=False)
class Alike:
    """K of a slab by kinds of rows only, as the GPU keeps it: for explicit steps on more nodes than suit a CSR form."""

    shape: tuple[int, int]
    data: NDArray[np.float64]
    rows: Repeated


def alike(small: Operator, nodes: tuple[int, int, int]) -> Operator:
    """As `tiled`, for explicit steps, in a tenth of its time and memory."""
    n, kind = int(np.prod(nodes)), kinds(nodes)
    offset, values = (np.zeros((small.n, 27), dtype) for dtype in (np.int32, np.float32))
    least = NEGLIGIBLE * abs(small.stiffness.data).max()
    deepest = 0
    for k, offsets in enumerate(row_offsets(small, nodes)):
        row = small.stiffness.data[small.stiffness.indptr[k]:small.stiffness.indptr[k + 1]]
        keep = (offsets != 0) & (abs(row) > least)
        many = int(keep.sum())
        offset[:many, k], values[:many, k] = offsets[keep], row[keep]
        deepest = max(deepest, many)
    rows = Repeated(kind, offset[:deepest].copy(), {"K": values[:deepest].copy()})
    K: Any = Alike((n, n), small.stiffness.data, rows)
    return Operator(K, K, lumped_mass=small.lumped_mass[kind], is_lumped=True, eigenvalue_bound=gershgorin(small))


_known: dict[Any, Repeated | None] = {}


def _rows(matrices: Mapping[str, Any]) -> Repeated | None:
    """`repeat_rows`, which the variants of one size share: it takes longer than what is measured."""
    first = next(iter(matrices.values()))
    if isinstance(first, Alike):
        return first.rows
    key = tuple((name, m.shape, zlib.crc32(m.data), zlib.crc32(m.indices)) for name, m in matrices.items())
    if key not in _known:
        _known.clear()
        _known[key] = repeat_rows(matrices)
    return _known[key]


def gershgorin(operator: Operator) -> float:
    """What lambda_max of M_lumped^-1 K cannot exceed, 1/ms."""
    scale = 1.0 / np.sqrt(operator.lumped_mass)
    return float((abs(operator.stiffness) @ scale * scale).max())


def slab(kind: str, nodes: tuple[int, int, int], mass: str | float, explicit: bool = False) -> Operator:
    """A slab of tetrahedra ("slab") or of cubes ("grid"); what explicit steps need of it, or all."""
    small = case(kind, (2, 2, 2), tissue={"waves": mass})
    return (alike if explicit else tiled)(discretise(build_mesh(small.mesh), small.tissue), nodes)


def unstructured(nodes: tuple[int, int, int], mass: str | float) -> tuple[Operator, NDArray[np.int64]]:
    """A slab of tetrahedra whose inner nodes are moved at random by up to a fifth of dx, so that rows differ.

    Numbered as the mesh of a file is; also the mesh's number of the node at each place.
    """
    whole = case("slab", [m - 1 for m in nodes], tissue={"waves": mass})
    mesh = build_mesh(whole.mesh)
    random = np.random.default_rng(1)
    inside = np.ones(mesh.n_points, bool)
    for axis in range(3):
        x = mesh.points[:, axis]
        inside &= (x > x.min()) & (x < x.max())
    points = mesh.points + 0.2 * DX * random.uniform(-1, 1, mesh.points.shape) * inside[:, None]
    operator = discretise(Mesh(points, mesh.cells, mesh.region, fibre=mesh.fibre, sheet=mesh.sheet), whole.tissue)
    order = solve_order(np.zeros(mesh.n_points, np.int64), operator.stiffness, keep=False)
    return operator.permuted(order), order


# -------------------------------------------------------------------------------------------------------- runs
@dataclass(frozen=True, eq=False)
class Tissue:
    """A slab with its cells and its observer, ready to step on the device."""

    backend: Any
    state: State
    stages: tuple[Any, ...]       # of a step: stimulus, reaction, diffusion
    observer: Any                 # the stage that keeps activation times

    def loop(self) -> Any:
        """Whole steps, with what a run always looks at."""
        self.backend.stream.use()         # where several backends take turns
        return self.backend.loop((*self.stages, self.observer))


def tissue(operator: Operator, nodes: tuple[int, int, int], precision: str, time: dict[str, str],
           solver: dict[str, Any], order: NDArray[np.int64] | None = None) -> Tissue:
    """ten Tusscher-Panfilov cells on an operator, stimulated in the corner at the origin."""
    mass = "lumped" if operator.is_lumped else "consistent"         # only for the checks of the case
    settings = case("slab", (2, 2, 2), time=time, solver=solver, tissue={"waves": mass})
    cuda_diffusion.repeat_rows = _rows
    backend = open_cuda(precision)
    membrane = settings.membrane[0]
    model = load_model(membrane.model, membrane.flags)
    initial = initial_state(model, membrane.initial)
    initial["Iion"] = float(rates(model, initial["V"], initial)[0])
    kernel = generate(model, backend.target, precision)
    state = State([(kernel, initial, operator.n)], backend, order)
    x, y, z = (np.arange(min(round(STIMULATED / DX) + 1, m // 2)) for m in nodes)
    corner = (x[None, None, :] + nodes[0] * y[None, :, None] + nodes[0] * nodes[1] * z[:, None, None]).ravel()
    train = Train("corner", np.sort(state.rank[corner]), 35.714, Pulses(0.0), 2.0)
    stepper = Stepper(operator, state, settings.time, settings.solver, settings.tissue.capacitance,
                      Stimuli((train,), DT), backend)
    observer = ActivationWatcher(settings.watch.activation, state, backend, DT)
    return Tissue(backend, state, tuple(stepper.stages), observer.stage)
