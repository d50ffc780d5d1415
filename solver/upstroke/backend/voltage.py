"""An implicit step of V where couplings form a forest: the membrane's current and its slope are in the matrix.

With m the (lumped) mass, a the area of the membrane, k = -K_ij the couplings, I and g = dIion/dV of the membrane as
it is,

    (m + theta dt a g / C_m + theta dt K) delta = -dt K V - dt a (I - Istim) / C_m,    V += delta.

A node whose capacitance per area is C_i has m = a C_i / C_m; where all have C_m, m = a.
theta = 1 is backward Euler, theta = 1/2 Crank-Nicolson, linearised about V. A node without membrane (m = 0: where
branches meet) has no rate; its row is theta dt K (V + delta) = 0, so that it fits the new V of its neighbours at once,
where a mean of old and new would let it swing.

The diagonal changes every step, so the elimination is done anew each time; what stays are its order and its shape.
On a CPU it is Hines' (Hines 1984, doi 10.1016/0020-7101(84)90008-4), from the leaves to the root, one division a node
(``hines.py``, ``voltage.c``); on a GPU that of ``tree.py`` by levels (``voltage.cu``), of which there are about log2 n.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.tree import Numbers, couplings, edges_of, factorise, trees_of


class LevelsArgs(ctypes.Structure):
    """``levels_args`` of voltage.cu."""

    _fields_ = [(name, ctypes.c_void_p) for name in (
        "node", "level_start", "group_level", "parent", "child_start", "child", "origin", "coupling", "diagonal",
        "slope", "current", "row_start", "column", "flow", "V", "Iion", "Istim", "G", "L", "inverse", "y")]


@dataclass(frozen=True, eq=False)
class Branches:
    """A step's coefficients on a forest.

    Attributes
    ----------
    u, v : (edges,) the two nodes of each branch
    k : (edges,) cm^d, dt times the coupling
    mass : (n,) cm^d; 0 at nodes without membrane
    area : (n,) cm^d, through which the membrane's current flows
    theta, dt, C_m : the scheme, ms, uF/cm^2
    """

    u: NDArray[np.int64]
    v: NDArray[np.int64]
    k: Numbers
    mass: Numbers
    area: Numbers
    theta: float
    dt: float
    C_m: float

    @property
    def diagonal(self) -> Numbers:
        """m + theta dt sum k, to which the membrane's slope comes."""
        n = len(self.mass)
        return self.mass + self.theta * (np.bincount(self.u, self.k, n) + np.bincount(self.v, self.k, n))

    @property
    def current(self) -> Numbers:
        """What -(Iion - Istim) is multiplied by."""
        return self.dt * self.area / self.C_m

    @property
    def weight(self) -> Numbers:
        """Of dt K V on the right-hand side."""
        return np.where(self.mass > 0.0, 1.0, self.theta)


def branches_of(K: Any, mass: Numbers, theta: float, dt: float, C_m: float, area: Numbers | None = None) -> Branches:
    """The branches of a stiffness matrix in CSR form; ``area`` is the mass where it is not given.

    Raises
    ------
    ValueError where the couplings form a loop
    """
    u, v, k = edges_of(K, couplings(K))
    trees, _ = trees_of(len(mass), u, v)
    if len(u) + trees != len(mass):
        raise ValueError("the couplings of the matrix form a loop")
    return Branches(u, v, -dt * k, mass, mass if area is None else area, theta, dt, C_m)


# ------------------------------------------------------------------------------------- by levels, on a GPU
def levels_arrays(b: Branches) -> dict[str, NDArray[Any]]:
    """What a step needs, by the names of ``LevelsArgs``.

    ``tree.py`` finds the order. A branch that eliminating a node made has it as its ``origin``, -1 for those of the
    matrix, whose entry is ``coupling``; both are (n, 2), by the parents of each place.
    """
    from scipy import sparse

    n, everyone = len(b.mass), np.arange(len(b.mass))
    rows, columns = np.concatenate([b.u, b.v, everyone]), np.concatenate([b.v, b.u, everyone])
    entries = np.concatenate([-b.theta * b.k, -b.theta * b.k, b.diagonal])
    f = factorise(sparse.coo_array((entries, (rows, columns)), shape=(n, n)).tocsr())
    place = np.empty(n, np.int64)
    place[f.node] = everyone
    slot = np.flatnonzero(f.parent.ravel() >= 0)
    sorter = np.argsort(code := slot // 2 * n + f.parent.ravel()[slot])

    def slots(p: NDArray[Any], q: NDArray[Any]) -> NDArray[np.int64]:
        """Of the branches between places."""
        wanted = np.minimum(p, q) * n + np.maximum(p, q)
        found: NDArray[np.int64] = slot[sorter[np.searchsorted(code, wanted, sorter=sorter)]]
        return found

    origin, coupling = np.full(2 * n, -1, np.int32), np.zeros(2 * n)
    coupling[slots(place[b.u], place[b.v])] = -b.theta * b.k
    joins = np.flatnonzero((f.parent >= 0).all(axis=1))
    origin[slots(f.parent[joins, 0].astype(np.int64), f.parent[joins, 1].astype(np.int64))] = joins
    starts_at, ends_at = place[np.concatenate([b.u, b.v])], np.concatenate([b.v, b.u])
    by_place = np.argsort(starts_at, kind="stable")
    current = b.current[f.node]
    return {"node": f.node, "level_start": f.level_start, "group_level": f.group_level, "parent": f.parent,
            "child_start": f.child_start, "child": f.child, "origin": origin, "coupling": coupling,
            "diagonal": b.diagonal[f.node], "slope": b.theta * current, "current": current,
            "row_start": _starts(starts_at, n).astype(np.int32), "column": ends_at[by_place].astype(np.int32),
            "flow": (b.weight[f.node][starts_at] * np.concatenate([b.k, b.k]))[by_place]}


def _starts(owner: NDArray[Any], n: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n))])
