"""Where phase is singular: tips of waves on surfaces, filaments in volumes.

Two numbers of every node that run round the origin in a beat, a = V(t) - V* and b = V(t - tau) - V* (or a recovery
variable less a level), give it a phase atan2(b, a) (R. A. Gray, A. M. Pertsov, J. Jalife, Nature 392, 75 (1998)). With
both linear in a triangle, the phase winds round its edges (M.-A. Bray et al., J. Cardiovasc. Electrophysiol. 12, 716
(2001)) exactly where a = b = 0 inside: that is the tip, whose place is then known to a fraction of the triangle. In a
tetrahedron a = b = 0 on a straight line, which pierces two of its faces: a piece of a filament.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upstroke.mesh.mesh import Mesh

Floats = NDArray[np.float64]
_FACES = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


@dataclass(frozen=True, eq=False)
class Singularity:
    """A tip or a filament.

    Attributes
    ----------
    points : (k, 3) cm; of a tip, k = 1; of a filament where it pierces faces, in no order
    winding : of a tip, 1 or -1: the turn of phase along the edges of its triangle; 0 of a filament
    length : of a filament, cm
    ends : of a filament, at the boundary: 2, or 0 of a ring
    """

    points: Floats
    winding: int = 0
    length: float = 0.0
    ends: int = 0


def simplices(mesh: Mesh) -> NDArray[np.int32]:
    """The cells cut into triangles or tetrahedra, squares and cubes all alike along their diagonal from corner 0."""
    if mesh.grid is None:
        return mesh.cells
    paths = []
    for order in itertools.permutations(range(mesh.dim)):
        corners = np.cumsum([0, *(1 << axis for axis in order)])
        odd = np.linalg.det(np.eye(mesh.dim)[list(order)]) < 0
        paths.append(corners[[0, 2, 1, *range(3, mesh.dim + 1)]] if odd else corners)
    return mesh.cells[:, np.array(paths)].reshape(-1, mesh.dim + 1)


def tips(points: Floats, triangles: NDArray[np.int32], a: Floats, b: Floats) -> list[Singularity]:
    """The tips in some triangles.

    Arguments
    ---------
    points : (n, 3) cm
    triangles : (m, 3) nodes
    a, b : (n,); triangles with a node where one is nan have none
    """
    some = triangles[_mixed(triangles, a, b)]
    winding = _winding(some, a, b)
    found = np.flatnonzero(winding)
    places = _places(points, some[found], a, b)
    return [Singularity(place[None], int(w)) for place, w in zip(places, winding[found], strict=True)]


def filaments(points: Floats, tetrahedra: NDArray[np.int32], a: Floats, b: Floats) -> list[Singularity]:
    """The filaments in some tetrahedra; arguments as those of `tips`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    some = tetrahedra[_mixed(tetrahedra, a, b)]
    faces = np.sort(some[:, _FACES].reshape(-1, 3), axis=1)              # so both sides of a face see it alike
    pierced = np.flatnonzero(_winding(faces, a, b))
    if not len(pierced):
        return []
    unique, face = np.unique(faces[pierced], axis=0, return_inverse=True)
    places, face, cell = _places(points, unique, a, b), face.reshape(-1), pierced // 4
    first = np.flatnonzero(cell[1:] == cell[:-1])                        # two faces of one tetrahedron, in a row
    one, two = face[first], face[first + 1]
    lengths = np.linalg.norm(places[one] - places[two], axis=1)
    graph = coo_array((np.ones(len(one)), (one, two)), shape=(len(unique), len(unique)))
    count, whose = connected_components(graph, directed=False)
    outer = np.bincount(face, minlength=len(unique)) == 1
    return [Singularity(places[whose == k], 0, float(lengths[whose[one] == k].sum()),
                        int(np.count_nonzero(outer & (whose == k)))) for k in range(count)]


def _mixed(cells: NDArray[np.int32], a: Floats, b: Floats) -> NDArray[np.bool_]:
    """Cells in which both change sign, and are known at all corners; by a byte a node, since every sample pays it."""
    bits = (a >= 0.0) | (b >= 0.0).astype(np.uint8) << 1 | (np.isfinite(a) & np.isfinite(b)).astype(np.uint8) << 2
    some = bits[cells[:, 0]]
    every = some.copy()
    for corner in range(1, cells.shape[1]):
        others = bits[cells[:, corner]]
        some |= others
        every &= others
    mixed: NDArray[np.bool_] = (some & ~every & 3 | every & 4) == 7
    return mixed


def _winding(triangles: NDArray[np.int32], a: Floats, b: Floats) -> NDArray[np.int64]:
    """How often (a, b) goes round the origin along the edges: over the half-line b = 0, a >= 0, counted with its sign.

    An edge counts for both its triangles alike, so windings add up to that of the outer boundary.
    """
    winding = np.zeros(len(triangles), np.int64)
    for begin, end in ((0, 1), (1, 2), (2, 0)):
        i, j = triangles[:, begin], triangles[:, end]
        up = (b[j] >= 0.0).astype(np.int64) - (b[i] >= 0.0)
        low, high = np.minimum(i, j), np.maximum(i, j)
        crossing = (a[low] * b[high] - a[high] * b[low]) * np.where(b[high] >= b[low], 1.0, -1.0)
        winding += np.where(crossing >= 0.0, up, 0)
    return winding


def _places(points: Floats, triangles: NDArray[np.int32], a: Floats, b: Floats) -> Floats:
    """Where a = b = 0 in each triangle."""
    shares = np.cross(a[triangles], b[triangles])
    total = shares.sum(axis=1, keepdims=True)
    shares = np.where(total != 0.0, shares / np.where(total == 0.0, 1.0, total), 1.0 / 3.0)
    shares = np.clip(shares, 0.0, 1.0)
    shares /= shares.sum(axis=1, keepdims=True)
    place: Floats = np.einsum("tc,tcx->tx", shares, points[triangles])
    return place


def orientation(points: Floats, triangles: NDArray[np.int32]) -> NDArray[np.int32]:
    """The triangles of a mesh in a plane z = const, all counter-clockwise seen from above; others as they are."""
    if len(points) and np.ptp(points[:, 2]) > 0.0:
        return triangles
    p, q, r = (points[triangles[:, c], :2] for c in range(3))
    clockwise = (q - p)[:, 0] * (r - p)[:, 1] - (q - p)[:, 1] * (r - p)[:, 0] < 0.0
    return np.where(clockwise[:, None], triangles[:, [0, 2, 1]], triangles)


def matched(before: list[Singularity], now: list[Singularity], reach: float) -> list[int]:
    """Of each singularity now, which of the earlier ones it is; -1 for new ones.

    Those of unlike winding or farther than ``reach`` (cm; of filaments, at their nearest) are not the same; of the rest
    pairs are made such that the sum of their distances is least.
    """
    if not before or not now:
        return [-1] * len(now)
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial import cKDTree

    distance = np.array([[np.min(cKDTree(old.points).query(new.points)[0]) if old.winding == new.winding else np.inf
                          for old in before] for new in now])
    far = distance > reach
    rows, columns = linear_sum_assignment(np.where(far, 1e6 * reach, distance))
    found = [-1] * len(now)
    for row, column in zip(rows, columns, strict=True):
        if not far[row, column]:
            found[row] = int(column)
    return found
