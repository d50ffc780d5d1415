"""Meshes built from a few numbers: a cable of segments, a sheet of triangles, a slab of tetrahedra.

Nodes are numbered with x fastest, then y, then z. Every square and every cube is split alike, along the diagonal
from its lowest to its highest corner (Freudenthal 1942, doi:10.2307/1968813; Kuhn 1960, doi:10.1147/rd.45.0518),
so that neighbours agree on the diagonals of the faces they share.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import CableMesh, SheetMesh, SlabMesh
from upstroke.errors import MeshError
from upstroke.mesh.check import size_notes
from upstroke.mesh.mesh import Mesh

LARGEST = 2**31 - 1   # cells hold node numbers as int32
WHOLE = 1e-6          # size / dx this close to a whole number is that number


def build_cable(section: CableMesh) -> Mesh:
    """A straight line of segments along x."""
    return _box((section.length,), (section.dx,), section.origin, size_key="mesh.length")


def build_sheet(section: SheetMesh) -> Mesh:
    """A rectangle in the x-y plane, two triangles per square, counter-clockwise seen from +z."""
    return _box(section.size, per_axis(section.dx, 2), section.origin)


def build_slab(section: SlabMesh) -> Mesh:
    """A box, six positively oriented tetrahedra per cube."""
    return _box(section.size, per_axis(section.dx, 3), section.origin)


def per_axis(dx: float | tuple[float, ...], axes: int) -> tuple[float, ...]:
    return dx if isinstance(dx, tuple) else (dx,) * axes


def _box(size: Sequence[float], dx: Sequence[float], origin: Sequence[float], size_key: str = "mesh.size") -> Mesh:
    counts, notes = [], []
    for axis, length, step in zip("xyz", size, dx, strict=False):
        n, note = cells_along(axis, length, step, size_key)
        counts.append(n)
        notes += note
    require_that_it_fits(counts)
    points = _grid([np.linspace(o, o + s, n + 1) for o, s, n in zip(origin, size, counts, strict=False)], origin)
    cells = _simplices(counts)
    mesh = Mesh(points, cells, np.zeros(len(cells), np.int32), node_sets=_faces(counts),
                bricks=tuple(counts))
    return replace(mesh, notes=(*notes, *size_notes(mesh, f"{size_key} and mesh.dx")))


def cells_along(axis: str, length: float, step: float, size_key: str) -> tuple[int, list[str]]:
    """How many cells of ``step`` fill ``length``, and a note where the step had to shrink."""
    for key, value in ((size_key, length), ("mesh.dx", step)):
        if not (math.isfinite(value) and value > 0):
            raise MeshError(key, f"{value:g} cm along {axis} is not a length that a mesh can have",
                            "give a finite length above zero")
    ratio = length / step
    n = round(ratio)
    if n >= 1 and abs(ratio - n) <= WHOLE:
        return n, []
    n = math.ceil(ratio)
    return n, [f"{length:.6g} cm along {axis} is not a whole number of {step:.6g} cm cells: "
               f"{n} cells of {length / n:.6g} cm are used"]


def require_that_it_fits(counts: Sequence[int]) -> None:
    nodes = math.prod(n + 1 for n in counts)
    if nodes > LARGEST:
        raise MeshError("mesh.dx", f"this resolution makes {nodes:,} nodes, more than the {LARGEST:,} that a mesh "
                        "can number", "use a larger dx, or check the units of size and dx")


def _grid(axes: Sequence[NDArray[np.float64]], origin: Sequence[float]) -> NDArray[np.float64]:
    """All points of a tensor grid, x fastest; the missing axes stay at ``origin``."""
    shape = [len(a) for a in axes]
    points = np.empty((*reversed(shape), 3))
    points[...] = origin
    for k, a in enumerate(axes):
        points[..., k] = a.reshape([-1 if j == k else 1 for j in reversed(range(len(axes)))])
    return points.reshape(-1, 3)


def _simplices(counts: Sequence[int]) -> NDArray[np.int32]:
    """The d! simplices of each of the d-dimensional bricks, brick by brick, positively oriented.

    Each order of the axes gives one simplex: walk from the lowest corner to the highest, one axis at a time.
    Its orientation is the sign of the permutation; the odd ones get two nodes swapped.
    """
    d = len(counts)
    strides = np.cumprod([1, *(n + 1 for n in counts[:-1])])
    corners = []
    for order in itertools.permutations(range(d)):
        path = np.cumsum([0, *(strides[k] for k in order)])
        if np.linalg.det(np.eye(d)[list(order)]) < 0:
            path[[-2, -1]] = path[[-1, -2]]
        corners.append(path)
    lowest = np.zeros(1, np.int32)
    for n, stride in zip(counts, strides, strict=True):     # x fastest
        lowest = (np.arange(n, dtype=np.int32)[:, None] * np.int32(stride) + lowest).ravel()
    return (lowest[:, None, None] + np.array(corners, np.int32)).reshape(-1, d + 1)


def _faces(counts: Sequence[int]) -> dict[str, NDArray[np.int64]]:
    """Node sets ``xmin``, ``xmax``, ``ymin``, ...: the nodes on each face of the box."""
    numbers = np.arange(math.prod(n + 1 for n in counts)).reshape([n + 1 for n in reversed(counts)])
    sets = {}
    for k, name in enumerate("xyz"[: len(counts)]):
        axis = len(counts) - 1 - k
        sets[name + "min"] = numbers.take(0, axis).ravel()
        sets[name + "max"] = numbers.take(-1, axis).ravel()
    return sets
