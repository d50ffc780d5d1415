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
(``voltage.c``); on a GPU the one of ``tree.py`` by levels (``voltage.cu``), which has about log2 n of them.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.tree import Indices, Numbers, couplings, edges_of, factorise, trees_of

EIGHT = 8       # lanes of voltage.c, and doubles of a cache line
PACK = np.dtype([(name, np.int64) for name in ("n", "lanes", "adjacent", "shape", "node")])     # tree_pack of voltage.c


class VoltageArgs(ctypes.Structure):
    """``voltage_args`` of voltage.c."""

    _fields_ = [("packs", ctypes.c_void_p), ("count", ctypes.c_long), ("most", ctypes.c_long),
                *((name, ctypes.c_void_p) for name in (
                    "parent", "node", "diagonal", "coupling", "own", "other", "slope", "current", "first_parent", "V",
                    "Iion", "Istim", "G", "work"))]


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


# ------------------------------------------------------------------------------------------- Hines, on a CPU
@dataclass(frozen=True, eq=False)
class Shape:
    """How a tree is eliminated; places run from the leaves to the root, deepest first.

    Attributes
    ----------
    node : (n,) the tree's own number of the node at each place
    parent : (n,) place of its parent, n at the root
    branch : (n,) the tree's own number of the branch to the parent; the number of branches at the root
    """

    node: Indices
    parent: Indices
    branch: Indices


def shape_of(n: int, u: NDArray[Any], v: NDArray[Any]) -> Shape:
    """Root a tree of n nodes in its middle, where the longest path is half as long to either side."""
    from scipy import sparse
    from scipy.sparse.csgraph import breadth_first_order

    graph = sparse.csr_array((np.ones(2 * len(u), np.int8), (np.concatenate([u, v]), np.concatenate([v, u]))),
                             shape=(n, n))
    end = breadth_first_order(graph, 0, directed=True)[0][-1]
    order, before = breadth_first_order(graph, end, directed=True)
    path = [order[-1]]
    while before[path[-1]] >= 0:
        path.append(before[path[-1]])
    order, before = breadth_first_order(graph, path[len(path) // 2], directed=True)
    node = order[::-1]
    place = np.empty(n + 1, np.int64)
    place[node], place[n] = np.arange(n), n
    above = before[node]
    parent = place[np.where(above < 0, n, above)]
    branch = np.full(n, len(u))
    branch[place[np.where(before[v] == u, v, u)]] = np.arange(len(u))      # of the end that is further out
    return Shape(node.astype(np.int32), parent.astype(np.int32), branch.astype(np.int32))


def hines_arrays(b: Branches) -> dict[str, NDArray[Any]]:
    """What a step needs, by the names of ``VoltageArgs``; `packs` are `PACK`.

    Trees that are alike share what is known of them, so a population of one cell reads little but its V.
    """
    n = len(b.mass)
    trees, tree = trees_of(n, b.u, b.v)
    nodes, first_node = np.argsort(tree, kind="stable"), _starts(tree, trees)
    own = np.empty(n, np.int64)
    own[nodes] = np.arange(n) - np.repeat(first_node[:-1], np.diff(first_node))         # number within its tree
    of_edge = tree[b.u]
    edges = np.lexsort((own[b.v], own[b.u], of_edge))
    first_edge = _starts(of_edge, trees)
    u, v, k = own[b.u][edges], own[b.v][edges], b.k[edges]
    of_node = {name: array[nodes] for name, array in (("diagonal", b.diagonal), ("current", b.current),
                                                      ("weight", b.weight))}

    alike: dict[tuple[int, bytes, bytes], list[int]] = {}
    for t in range(trees):
        e = slice(first_edge[t], first_edge[t + 1])
        alike.setdefault((first_node[t + 1] - first_node[t], u[e].tobytes(), v[e].tobytes()), []).append(t)
    out: dict[str, list[NDArray[Any]]] = {name: [] for name in ("parent", "node", *_VALUES)}
    packs: list[tuple[int, int, bool, int, int]] = []
    first_parent, seen, ends = list[int](), dict[bytes, int](), {"parent": 0, "node": 0, "shape": 0}
    for (size, uu, vv), members in alike.items():
        shape = shape_of(size, np.frombuffer(uu, u.dtype), np.frombuffer(vv, v.dtype))
        parent_at = ends["parent"]
        out["parent"].append(shape.parent)
        ends["parent"] += size
        whole = len(members) // EIGHT * EIGHT
        for several in [members[i:i + EIGHT] for i in range(0, whole, EIGHT)] + [[t] for t in members[whole:]]:
            place = first_node[several][None, :] + shape.node[:, None]                       # (size, lanes)
            branch = first_edge[several][None, :] + shape.branch[:, None]
            of_branch = np.where((shape.branch < size - 1)[:, None], np.append(k, 0.0)[np.minimum(branch, len(k))], 0.0)
            weight = of_node["weight"][place]
            above = weight[np.minimum(shape.parent, size - 1)]
            values = np.stack([_whole_lines(x) for x in (
                of_node["diagonal"][place], b.theta * of_branch, weight * of_branch, above * of_branch,
                b.theta * of_node["current"][place], of_node["current"][place])])
            key = values.tobytes()
            if key not in seen:
                seen[key] = ends["shape"]
                ends["shape"] += values.shape[1]
                for name, row in zip(_VALUES, values, strict=True):
                    out[name].append(row)
            at = nodes[place].astype(np.int32)
            packs.append((size, len(several), bool((np.diff(at, axis=1) == 1).all()), seen[key], ends["node"]))
            first_parent.append(parent_at)
            out["node"].append(at.ravel())
            ends["node"] += place.size
    arrays = {name: np.concatenate(parts) for name, parts in out.items()}
    return arrays | {"packs": np.array(packs, PACK), "first_parent": np.array(first_parent, np.int64)}


def tree_order(K: Any, group: NDArray[Any]) -> NDArray[np.int64]:
    """The order of nodes, within each ``group`` (n,), in which `hines_arrays` takes them: cells that are alike side by
    side, so that eight of them are one vector in memory.

    Raises
    ------
    ValueError where the couplings form a loop
    """
    n = K.shape[0]
    arrays = hines_arrays(branches_of(K, np.ones(n), 1.0, 1.0, 1.0))
    order: NDArray[np.int64] = arrays["node"][np.argsort(group[arrays["node"]], kind="stable")].astype(np.int64)
    return order


_VALUES = ("diagonal", "coupling", "own", "other", "slope", "current")


def _starts(owner: NDArray[Any], n: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n))])


def _whole_lines(values: Numbers) -> Numbers:
    flat = values.ravel()
    return np.concatenate([flat, np.zeros(-len(flat) % EIGHT)])


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
