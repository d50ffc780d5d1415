"""Direct solution of A x = b where the couplings of A form a forest: cables, neurons, Purkinje networks without loops.

A = L D L^T without fill, in O(log n) levels. Each level eliminates nodes that are not neighbours of each other and
have at most two neighbours left: leaves are raked off, chains are compressed to every other node, whose elimination
joins its two neighbours. (Miller and Reif 1985, Parallel tree contraction and its application, doi
10.1109/SFCS.1985.43; on a cable it is cyclic reduction, Hockney 1965, doi 10.1145/321250.321259.) Node i is left with
its pivot d_i and at most two parents p, eliminated later, with factors l_ip = a_ip / d_i:

    forward    y_i = b_i - sum over children c of l_ci y_c          level by level
    back       x_i = y_i / d_i - sum over parents p of l_ip x_p     in the reverse order

Both are sums that one thread gathers for its node, so results do not depend on the number of threads, and one barrier
a level is all that a device needs. ``tree.h`` is the text of these two lines for C and CUDA, ``TreeArgs`` its struct.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.couplings import NEGLIGIBLE

GROUP = 256     # nodes: smaller trees are packed together until they keep a block of threads busy

Indices = NDArray[np.int32]
Numbers = NDArray[np.float64]


class TreeArgs(ctypes.Structure):
    """``tree_args`` of tree.h: pointers to the arrays of ``tree_arrays``, to x (n doubles of work) and to V."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in (
            "node", "level_start", "group_level", "parent", "factor", "inverse_pivot", "child_start", "child",
            "row_start", "column", "K", "x", "V")),
        ("dt", ctypes.c_double), ("groups", ctypes.c_long),
    ]


@dataclass(frozen=True, eq=False)
class TreeFactor:
    """A = L D L^T in an order of elimination by levels; "places" number the nodes in this order.

    Small trees are packed into groups of whole trees, which have nothing to do with each other. The places of a group
    are contiguous, and so are those of a level of a group.

    Attributes
    ----------
    node : (n,) the node at each place
    level_start : (levels + 1,) the first place of each level, group after group
    group_level : (groups + 1,) the first level of each group
    parent : (n, 2) places of the neighbours left at the elimination, -1 for none
    factor : (n, 2) l, 0 for none
    inverse_pivot : (n,) 1 / d
    child_start : (n + 1,) where the children of each place start in ``child``
    child : (edges,) 2 c + k: the place is parent k of place c
    """

    node: Indices
    level_start: Indices
    group_level: Indices
    parent: Indices
    factor: Numbers
    inverse_pivot: Numbers
    child_start: Indices
    child: Indices

    def solve(self, b: Numbers) -> Numbers:
        """x of A x = b, both (n,) in the order of the nodes."""
        levels = list(zip(self.level_start[:-1], self.level_start[1:], strict=True))
        y, factor = b[self.node].astype(np.float64), self.factor.ravel()
        for begin, end in levels:
            start = self.child_start[begin:end + 1]
            child = self.child[start[0]:start[-1]]
            owner = np.repeat(np.arange(end - begin), np.diff(start))
            y[begin:end] -= np.bincount(owner, factor[child] * y[child // 2], minlength=end - begin)
        x = y * self.inverse_pivot
        for begin, end in reversed(levels):
            x[begin:end] -= (self.factor[begin:end] * x[self.parent[begin:end]]).sum(axis=1)
        result = np.empty_like(x)
        result[self.node] = x
        return result


def couplings(*matrices: Any) -> NDArray[np.bool_]:
    """The entries off the diagonal that are not zero in one at least of these CSR matrices of one pattern."""
    pattern = matrices[0]
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    there = np.any([abs(m.data) > NEGLIGIBLE * abs(m.data).max(initial=0.0) for m in matrices], axis=0)
    return there & (pattern.indices != rows)


def largest_tree(*matrices: Any) -> int:
    """Nodes of the largest tree that the couplings of symmetric CSR matrices (of one pattern) form; 0 for a loop."""
    n = matrices[0].shape[0]
    if any(np.count_nonzero(abs(m.data) > NEGLIGIBLE * abs(m.data).max(initial=0.0)) >= 3 * n for m in matrices):
        return 0                                    # n on the diagonal, and n edges or more: no need to look closer
    u, v, _ = edges_of(matrices[0], couplings(*matrices))
    trees, tree = trees_of(n, u, v)
    return int(np.bincount(tree).max(initial=0)) if len(u) + trees == n else 0


def is_forest(*matrices: Any) -> bool:
    """Whether the couplings of these matrices form no loop."""
    return largest_tree(*matrices) > 0


def factorise(A: Any, keep: NDArray[np.bool_] | None = None) -> TreeFactor:
    """A = L D L^T of a symmetric positive definite CSR matrix whose couplings form a forest.

    ``keep`` marks the entries that are couplings; default ``couplings(A)``. What is left out is left out of the
    diagonal too, so that the sums of the rows stay.

    Raises
    ------
    ValueError where the couplings form a loop
    """
    n = A.shape[0]
    keep = couplings(A) if keep is None else keep
    u, v, a = edges_of(A, keep)
    trees, tree = trees_of(n, u, v)
    if len(u) + trees != n:
        raise ValueError("the couplings of the matrix form a loop")
    pivot = np.asarray(A.sum(axis=1)).ravel() - np.bincount(_rows(A)[keep], A.data[keep], minlength=n)
    level = np.zeros(n, np.int32)
    parent = np.full((n, 2), n)         # n stands for "none"
    coupling = np.zeros((n, 2))
    rank = _ranks(n)
    left, round_ = np.arange(n), 0
    while len(left):
        few = left[np.bincount(np.concatenate([u, v]), minlength=n)[left] <= 2]
        near = _two_edges(n, u, v)
        parent[few] = np.concatenate([v, u, [n]])[near[few]]
        gone = _independent(few, parent, rank)
        level[gone] = round_
        coupling[gone] = np.concatenate([a, a, [0.0]])[near[gone]]
        np.subtract.at(pivot, np.minimum(parent[gone], n - 1), coupling[gone] ** 2 / pivot[gone, None])
        is_gone = np.zeros(n, bool)
        is_gone[gone] = True
        stay = ~(is_gone[u] | is_gone[v])
        joins = gone[(parent[gone] < n).all(axis=1)]                  # their two parents become neighbours
        u = np.concatenate([u[stay], parent[joins, 0]])
        v = np.concatenate([v[stay], parent[joins, 1]])
        a = np.concatenate([a[stay], -coupling[joins, 0] * coupling[joins, 1] / pivot[joins]])
        left = left[~is_gone[left]]
        round_ += 1
    return _arrange(tree, level, parent, coupling / pivot[:, None], 1.0 / pivot)


def tree_arrays(A: Any, K: Any) -> dict[str, NDArray[Any]]:
    """What a step of A delta = -dt K V needs, by the names of ``TreeArgs``: the factors of A, and the rows of K.

    K's couplings are in the order of places: those of place i are [row_start[i], row_start[i + 1]) of ``K`` and of
    ``column``, which holds nodes.

    Raises
    ------
    ValueError where the couplings of A and K form a loop
    """
    keep = couplings(A, K)
    factor = factorise(A, keep)
    rows = _rows(K)[keep]
    place = np.empty(K.shape[0], np.int32)
    place[factor.node] = np.arange(K.shape[0])
    by_place = np.argsort(place[rows], kind="stable")
    arrays = {field.name: getattr(factor, field.name) for field in fields(factor)}
    return arrays | {"row_start": _starts(place[rows], K.shape[0]),
                     "column": K.indices[keep][by_place].astype(np.int32),
                     "K": K.data[keep][by_place].astype(np.float64)}


# ----------------------------------------------------------------------------------------------- elimination
def _rows(matrix: Any) -> NDArray[np.int64]:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def edges_of(matrix: Any, keep: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any], Numbers]:
    """(u, v, a_uv) of the couplings, once each."""
    rows = _rows(matrix)
    once = keep & (rows < matrix.indices)
    return rows[once], matrix.indices[once].astype(np.int64), matrix.data[once].astype(np.float64)


def trees_of(n: int, u: NDArray[Any], v: NDArray[Any]) -> tuple[int, NDArray[Any]]:
    """How many trees there are, and the tree of each node, counted by their first nodes."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    graph = sparse.coo_array((np.ones(len(u), np.int8), (u, v)), shape=(n, n)).tocsr()
    return connected_components(graph, directed=False)


def _ranks(n: int) -> NDArray[Any]:
    """Who goes first: odd numbers, then odd multiples of 2, of 4, ..., else by chance (always the same).

    Where a chain is numbered along, this takes every other node of it, the best there is; chance takes 0.43.
    """
    number = np.arange(n)
    chance = np.random.default_rng(0).permutation(n)
    rank = np.empty(n, np.int64)
    rank[np.lexsort((chance, np.where(number, number & -number, 1 << 62)))] = number
    return rank


def _two_edges(n: int, u: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
    """(n, 2) half-edges that start at each node, two at most, -1 for none; half-edge e starts at (u, v)[e]."""
    source, number = np.concatenate([u, v]), np.arange(2 * len(u))
    near = np.full((n, 2), -1)
    near[source, 0] = number                          # the last one wins ...
    others = near[source, 0] != number
    near[source[others], 1] = number[others]          # ... so this finds the other one where there are two
    return near


def _independent(nodes: NDArray[Any], ends: NDArray[Any], rank: NDArray[Any]) -> NDArray[Any]:
    """A maximal set of ``nodes`` without neighbours in it: again and again those that rank before their neighbours."""
    none = len(rank)
    waiting = np.full(none + 1, none)
    waiting[nodes] = rank[nodes]
    taken = []
    while len(nodes):
        first = nodes[waiting[nodes] < waiting[ends[nodes]].min(axis=1)]
        taken.append(first)
        waiting[first] = none
        waiting[ends[first]] = none
        nodes = nodes[waiting[nodes] < none]
    return np.concatenate(taken)


def _starts(owner: NDArray[Any], n: int) -> Indices:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n))]).astype(np.int32)


def _arrange(tree: NDArray[Any], level: Indices, parent: NDArray[Any], factor: Numbers,
             inverse_pivot: Numbers) -> TreeFactor:
    """Number the places: by group, level and node."""
    n = len(tree)
    size = np.bincount(tree)
    window = (np.cumsum(size) - size) // GROUP        # trees that start in the same window share a group
    group = np.unique(window, return_inverse=True)[1][tree] if n else tree
    node = np.lexsort((level, group))
    new_group = np.diff(group[node], prepend=-1) != 0
    new_level = new_group | (np.diff(level[node], prepend=-1) != 0)
    level_start = np.flatnonzero(np.append(new_level, True))
    group_level = np.searchsorted(level_start, np.flatnonzero(np.append(new_group, True)))
    place = np.empty(n + 1, np.int64)
    place[node], place[n] = np.arange(n), -1
    parent, factor = place[parent[node]], factor[node]
    child = np.flatnonzero(parent.ravel() >= 0)
    owner = parent.ravel()[child]
    return TreeFactor(node.astype(np.int32), level_start.astype(np.int32), group_level.astype(np.int32),
                      parent.astype(np.int32), factor, inverse_pivot[node], _starts(owner, n),
                      child[np.argsort(owner, kind="stable")].astype(np.int32))
