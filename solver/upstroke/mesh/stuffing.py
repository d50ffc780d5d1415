"""Tetrahedra of good shape inside any closed surface that a function describes: isosurface stuffing.

F. Labelle, J. R. Shewchuk, ACM Trans. Graph. 26(3), 57 (2007), doi 10.1145/1276377.1276448. A body-centred cubic
lattice of tetrahedra covers the body. Its nodes near the surface are moved onto it; tetrahedra that the surface still
cuts are clipped. For smooth surfaces and the fractions here all dihedral angles are proven to lie between 10.7 and
164.8 degrees. Creases of the surface are blunted within a cell.

Added here: the body ends at a plane across z. The lattice's tetrahedra there are halved, and nodes of the plane move in
it only, so that it is plane and its rims are sharp; no proof covers these cells, the tests look at them. And sides of
four corners are halved by a rule that both neighbours follow: from the corner whose edge reaches farther to its cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LONG, SHORT = 0.24999, 0.41189      # of an edge: nodes nearer than this to where the surface cuts it are moved there
MEAN = (6 + 4 * 3**0.5) / 14        # length of an edge of the lattice, of the long ones: a node has 6 long, 8 short
HALVINGS = 40                       # of an edge, to find where the surface cuts it


def stuffed(inside: Callable[[Floats], Floats], low: Floats, high: Floats, edge: float) -> tuple[Floats, Ints]:
    """Points (n, 3) and tetrahedra (m, 4), positively oriented, of the body {x: inside(x) > 0, z < high_z}.

    Parameters
    ----------
    inside : of points (k, 3), (k,) numbers: above 0 in the body, 0 on its surface; continuous
    low, high : (3,) corners of a box that holds the body
    edge : mean length of an edge inside
    """
    nodes, X, tetrahedra = _lattice(inside, low, high, edge / MEAN)
    level = inside(X)
    X, cut, C = _moved(inside, nodes, X, level, _edges(tetrahedra, len(X)))
    tetrahedra = tetrahedra[(level[tetrahedra] > 0).any(axis=1)]
    points = np.concatenate([X, cut])
    used, cells = np.unique(_clipped(points, tetrahedra, level, C), return_inverse=True)
    points, cells = points[used], cells.reshape(-1, 4)
    e = points[cells[:, 1:]] - points[cells[:, :1]]
    turned = np.einsum("ij,ij->i", np.cross(e[:, 0], e[:, 1]), e[:, 2]) < 0
    cells[turned] = cells[turned][:, [1, 0, 2, 3]]
    return points, cells


def _lattice(inside: Callable[[Floats], Floats], low: Floats, high: Floats, a: float) -> tuple[Ints, Floats, Ints]:
    """Nodes by place in halves of a cube's edge a (the plane has z = 0), their coordinates, and the tetrahedra that
    have a corner in the body. Each joins the middles of two cubes and an edge of the square between them; at the plane,
    where there is no second cube, the middle of one and that of the square."""
    first = np.floor(np.array([low[0], low[1], low[2] - high[2]]) / a).astype(np.int64) - 1
    count = np.append(np.ceil(high[:2] / a).astype(np.int64) + 1, 0) - first
    nx, ny, nz = count.tolist()
    shapes = ((nx + 1, ny + 1, nz + 1), (nx, ny, nz), (nx, ny, 1))
    corner, middle, square = (
        2 * np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3) for shape in shapes)
    square += np.array([1, 1, 2 * nz])
    nodes = np.concatenate([corner, middle + 1, square]) + 2 * first
    X = nodes * (a / 2) + [0.0, 0.0, high[2]]
    there = inside(X) > 0
    start = np.cumsum([0, len(corner), len(middle)])
    at, mid, top = (np.arange(math.prod(shape)).reshape(shape) + k for shape, k in zip(shapes, start, strict=True))
    blocks = []
    for axis in range(3):
        c, m = np.moveaxis(at, axis, 2), np.moveaxis(mid, axis, 2)
        layers = [(m[:, :, :-1], m[:, :, 1:], c[:, :, 1:-1])]
        if axis == 2:
            layers.append((mid[:, :, -1:], top, at[:, :, -1:]))
        for one, two, square in layers:
            ring = (square[:-1, :-1], square[1:, :-1], square[1:, 1:], square[:-1, 1:])
            for k in range(4):
                four = np.stack([one, two, ring[k], ring[k - 3]], axis=-1).reshape(-1, 4)
                blocks.append(four[there[four].any(axis=1)])
    used, tetrahedra = np.unique(np.concatenate(blocks), return_inverse=True)
    return nodes[used], X[used], tetrahedra.reshape(-1, 4)


def _edges(tetrahedra: Ints, n: int) -> Ints:
    """(e, 2) each edge between ``n`` nodes once, in ascending order."""
    pairs = np.sort(np.concatenate([tetrahedra[:, [a, b]] for b in range(4) for a in range(b)]), axis=1)
    return np.stack(np.divmod(np.unique(pairs[:, 0] * n + pairs[:, 1]), n), axis=1)


def _moved(inside: Callable[[Floats], Floats], nodes: Ints, X: Floats, level: Floats, edges: Ints
           ) -> tuple[Floats, Floats, Ints]:
    """Coordinates with nodes moved onto the surface (their level becomes 0), the points where it still cuts edges, and
    these edges."""
    C = edges[level[edges[:, 0]] * level[edges[:, 1]] < 0]
    start, along = X[C[:, 0]], X[C[:, 1]] - X[C[:, 0]]
    low, high = np.zeros(len(C)), np.ones(len(C))
    for _ in range(HALVINGS):
        t = 0.5 * (low + high)
        same = (inside(start + t[:, None] * along) > 0) == (level[C[:, 0]] > 0)
        low, high = np.where(same, t, low), np.where(same, high, t)
    t = 0.5 * (low + high)
    cut = start + t[:, None] * along
    far = np.where((nodes[C[:, 0]] != nodes[C[:, 1]]).sum(axis=1) == 1, LONG, SHORT)
    node, edge = C.T.ravel(), np.tile(np.arange(len(C)), 2)
    distance = np.concatenate([t, 1 - t]) / far[edge]
    plane = nodes[:, 2] == 0
    may = np.flatnonzero((distance < 1) & (~plane[node] | plane[C[edge]].all(axis=1)))
    by_node = np.argsort(node, kind="stable")
    begin = np.searchsorted(node[by_node], np.arange(len(X) + 1))
    X, left = X.copy(), np.ones(len(C), bool)
    for k in may[np.argsort(distance[may], kind="stable")]:             # the nearest first
        if left[edge[k]]:
            v = node[k]
            X[v], level[v] = cut[edge[k]], 0.0
            left[edge[by_node[begin[v]:begin[v + 1]]]] = False
    return X, cut[left], C[left]


def _clipped(points: Floats, tetrahedra: Ints, level: Floats, C: Ints) -> Ints:
    """What of the tetrahedra lies in the body, as tetrahedra. The cut of the edge C_k is the point len(level) + k.

    A capital is a corner in the body, or D on its surface, or M, N outside; a, b, ... are the cuts towards M and N.
    """
    n, key = len(level), C[:, 0] * len(level) + C[:, 1]

    def cut(p: Ints, q: Ints) -> Ints:
        return n + np.searchsorted(key, np.minimum(p, q) * n + np.maximum(p, q))

    def between(p: Ints, q: Ints) -> Floats:
        return np.asarray(np.linalg.norm(points[p] - points[q], axis=-1))

    def farther(corners: Ints, outside: Ints) -> Ints:
        """Corners (k, m) in the order in which diagonals start from them: the longer cut edge first."""
        reach = between(corners, cut(corners, outside))
        return np.take_along_axis(corners, np.lexsort((corners, -reach), axis=0), axis=0)

    sign = np.sign(level[tetrahedra])
    four = np.take_along_axis(tetrahedra, np.argsort(-sign, axis=1, kind="stable"), axis=1)
    within, without = (sign > 0).sum(axis=1), (sign < 0).sum(axis=1)
    found = [four[without == 0]]
    for outside in (1, 2, 3):                                       # one corner inside: a smaller tetrahedron
        part = four[(within == 1) & (without == outside)].copy()
        for k in range(4 - outside, 4):
            part[:, k] = cut(part[:, 0], part[:, k])
        found.append(part)

    *two, D, N = four[(within == 2) & (without == 1)].T              # a pyramid A B b a with the tip D
    A, B = farther(np.stack(two), N)
    a, b = cut(A, N), cut(B, N)
    found += [_rows(A, B, b, D), _rows(A, a, b, D)]

    *three, N = four[(within == 3) & (without == 1)].T               # a prism A B D, a b d
    A, B, D = farther(np.stack(three), N)
    a, b, d = cut(A, N), cut(B, N), cut(D, N)
    found += [_rows(A, B, D, d), _rows(A, B, b, d), _rows(A, a, b, d)]

    *two, M, N = four[(within == 2) & (without == 2)].T              # a prism A a c, B b d, with a, b towards M
    A, B = farther(np.stack(two), M)
    both = farther(np.stack([A, B]), N)[0] == A                      # both diagonals of the sides begin at A
    a, b, c, d = cut(A, M), cut(B, M), cut(A, N), cut(B, N)
    found += [rows[~both] for rows in (_rows(A, B, b, c), _rows(B, b, d, c), _rows(A, a, c, b))]
    A, B, a, b, c, d = (ends[both] for ends in (A, B, a, b, c, d))
    found.append(_rows(A, B, b, d))
    far = between(a, d) > between(b, c)                              # the free diagonal: the shorter one
    a, b, c, d = np.where(far, c, a), np.where(far, d, b), np.where(far, a, c), np.where(far, b, d)
    return np.concatenate([*found, _rows(A, a, c, d), _rows(A, a, d, b)])


def _rows(*corners: Ints) -> Ints:
    return np.stack(corners, axis=1)
