"""A tree that grows on a surface by rule.

After F. Sahli Costabal, D. E. Hurtado, E. Kuhl, Generating Purkinje networks in the human heart, J. Biomech. 49,
2455-2465 (2016), doi 10.1016/j.jbiomech.2015.12.025. Branches are rows of short pieces on the surface. Each ends in
two, which turn away to either side by an angle. A piece goes on in the direction of the last one, bent by the gradient
of the distance to the nearest piece of any other branch, so that branches keep off each other. One that comes too near
to another branch, or to the edge of the surface, ends there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from upstroke.case.schema import FractalTree

Vector = NDArray[np.float64]
NEAR = 12          # triangles around which the nearest place is looked for
OFF = 0.3          # of a piece: where the surface is further away than this, it has ended
SHORTEST = 0.2     # of the mean length of branches


class Surface:
    """Triangles (k, 3, 3) of corners in space, cm."""

    def __init__(self, triangles: Vector) -> None:
        self._triangles = triangles
        edges = (triangles[:, 1:] - triangles[:, :1]).swapaxes(1, 2)
        self._inverse = np.asarray(np.linalg.pinv(edges), np.float64)
        self._middles = cKDTree(triangles.mean(axis=1))
        a, b, c = triangles.swapaxes(0, 1)
        normal = np.cross(b - a, c - a)
        self._normals = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)

    def nearest(self, x: Vector) -> tuple[Vector, Vector]:
        """The place of the surface nearest to x (3,), among the triangles around, and the normal there."""
        near = np.atleast_1d(self._middles.query(x, min(NEAR, len(self._triangles)))[1])
        places = nearest_places(self._triangles[near], self._inverse[near], x)
        best = int(np.argmin(((places - x) ** 2).sum(axis=1)))
        return places[best], self._normals[near[best]]


def nearest_places(triangles: Vector, inverse: Vector, x: Vector) -> Vector:
    """(k, 3) the place nearest to x (3,) of each of some triangles (k, 3, 3).

    ``inverse`` (k, 2, 3) gives the weights of a triangle's two edges from its first corner.
    """
    a, edges = triangles[:, 0], triangles[:, 1:] - triangles[:, :1]
    w = np.einsum("kij,kj->ki", inverse, x - a)
    found = a + np.einsum("ki,kij->kj", w, edges)
    outside = (w < 0.0).any(axis=1) | (w.sum(axis=1) > 1.0)
    sides = []
    for start, end in ((0, 1), (1, 2), (2, 0)):
        p, d = triangles[:, start], triangles[:, end] - triangles[:, start]
        t = np.clip(((x - p) * d).sum(axis=1) / np.maximum((d * d).sum(axis=1), 1e-300), 0.0, 1.0)
        sides.append(p + t[:, None] * d)
    of_edges = np.array(sides)
    best = ((of_edges - x) ** 2).sum(axis=2).argmin(axis=0)
    return np.asarray(np.where(outside[:, None], of_edges[best, np.arange(len(best))], found), np.float64)


def grow(rule: FractalTree, surface: Surface, step: float) -> tuple[Vector, NDArray[np.int64]]:
    """Points (n, 3) cm, the root first, and for each the number of the one before it (-1 of the root).

    Parameters
    ----------
    step : cm, length of a piece
    """
    return _Growth(rule, surface, step).tree()


class _Growth:
    def __init__(self, rule: FractalTree, surface: Surface, step: float) -> None:
        self._rule, self._surface, self._step = rule, surface, step
        self._random = np.random.default_rng(rule.seed)
        self._points: list[Vector] = [surface.nearest(np.array(rule.root))[0]]
        self._before, self._branch = [-1], [0]       # of each point: the one before it, and its branch

    def tree(self) -> tuple[Vector, NDArray[np.int64]]:
        rule = self._rule
        tips = [self._branch_from(0, np.array(rule.toward) - self._points[0], rule.trunk, {0})]
        for _ in range(rule.generations):
            grown = []
            for k in self._random.permutation(len(tips)):
                grown += self._fork(*tips[k])
            tips = grown
        return np.array(self._points), np.array(self._before, np.int64)

    def _fork(self, tip: int, direction: Vector, mother: int) -> list[tuple[int, Vector, int]]:
        """The two branches from a tip: those of them that could grow."""
        normal, rule = self._surface.nearest(self._points[tip])[1], self._rule
        turned = math.radians(rule.angle)
        sisters, found = {mother, self._branch[-1] + 1, self._branch[-1] + 2}, []
        for side in (1.0, -1.0):
            away = math.cos(turned) * direction + side * math.sin(turned) * np.cross(normal, direction)
            length = max(self._random.normal(rule.length, rule.spread * rule.length), SHORTEST * rule.length)
            before = len(self._points)
            new = self._branch_from(tip, away, length, sisters)
            if len(self._points) > before:
                found.append(new)
        return found

    def _branch_from(self, at: int, direction: Vector, length: float, kin: set[int]) -> tuple[int, Vector, int]:
        """Grow a branch; its tip, the direction there, and its number. ``kin`` are branches that it may touch."""
        number = max(self._branch) + 1
        others = np.array([p for p, b in zip(self._points, self._branch, strict=True) if b not in kin | {number}])
        crowd = cKDTree(others) if len(others) else None
        for _ in range(max(1, round(length / self._step))):
            x, normal = self._surface.nearest(self._points[at])
            direction = _along(direction, normal)
            if crowd is not None:
                away = x - others[crowd.query(x)[1]]
                bent = direction + self._rule.repulsion * away / max(float(np.linalg.norm(away)), 1e-300)
                direction = _along(bent, normal)
            wanted = x + self._step * direction
            place = self._surface.nearest(wanted)[0]
            if np.linalg.norm(place - wanted) > OFF * self._step:
                break                                           # the edge of the surface
            if crowd is not None and crowd.query(place)[0] < self._step:
                break                                           # another branch
            direction = place - x
            self._points.append(place)
            self._before.append(at)
            self._branch.append(number)
            at = len(self._points) - 1
        return at, direction / max(float(np.linalg.norm(direction)), 1e-300), number


def _along(direction: Vector, normal: Vector) -> Vector:
    """The unit vector along a surface in a direction."""
    flat = direction - (direction @ normal) * normal
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-300), np.float64)
