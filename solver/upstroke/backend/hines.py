"""The implicit step of V on a CPU: in which order Hines' elimination takes the nodes, and the arrays of ``voltage.c``.

A node is eliminated after all that lie further out, so two that depend on each other wait for each other's division.
Eight at a time go side by side in a vector, where there are eight alike: trees of one shape, lane by lane, or the eight
pieces into which a long unbranched part of a lone tree is cut. The places between pieces stay in the tree. A piece that
is eliminated from one end to the other leaves a branch between the two, and all eight go at once (Wang's partition:
Wang 1981, ACM Trans. Math. Softw. 7:170, doi 10.1145/355945.355947).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.tree import Indices, Numbers, trees_of
from upstroke.backend.voltage import Branches, branches_of

EIGHT = 8       # lanes of voltage.c, and doubles of a cache line
SHORTEST = 8    # places of a piece that is worth being cut out
#: tree_pack of voltage.c
PACK = np.dtype([(name, np.int64) for name in ("n", "lanes", "node", "adjacent", "shared", "link", "shape", "chain",
                                               "chains")])
VALUES = ("diagonal", "coupling", "own", "other", "slope", "current")


class VoltageArgs(ctypes.Structure):
    """``voltage_args`` of voltage.c."""

    _fields_ = [("packs", ctypes.c_void_p), ("chains", ctypes.c_void_p), ("count", ctypes.c_long),
                ("most", ctypes.c_long),
                *((name, ctypes.c_void_p) for name in ("parent", "ends", "node", *VALUES, "V", "Iion", "Istim", "G",
                                                       "work"))]


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


@dataclass(frozen=True, eq=False)
class Chain:
    """A long unbranched part of a tree: an end, s - 1 nodes of a piece, an end, ..., an end, in the tree's own numbers.

    Attributes
    ----------
    node : (8 s + 1,) nodes that follow each other
    branch : (8 s,) the branches between them
    """

    node: NDArray[Any]
    branch: NDArray[Any]

    @property
    def ends(self) -> NDArray[Any]:
        """(9,)"""
        return self.node[::len(self.branch) // EIGHT]


def shape_of(n: int, u: NDArray[Any], v: NDArray[Any]) -> Shape:
    """Root a tree of n nodes in its middle, where the longest path is half as long to either side."""
    from scipy.sparse.csgraph import breadth_first_order

    graph = _graph(n, u, v)
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


def chains_of(n: int, u: NDArray[Any], v: NDArray[Any]) -> list[Chain]:
    """What is worth being cut out of a tree of n nodes; up to seven nodes behind the last end stay in the tree."""
    from scipy.sparse.csgraph import breadth_first_order

    degree = np.bincount(np.concatenate([u, v]), minlength=n)
    branch = np.flatnonzero((degree[u] <= 2) & (degree[v] <= 2))
    u, v = u[branch], v[branch]
    _, part = trees_of(n, u, v)
    graph, degree = _graph(n, u, v), np.bincount(np.concatenate([u, v]), minlength=n)
    found = []
    for number in np.flatnonzero(np.bincount(part) > EIGHT * SHORTEST):
        end = np.flatnonzero((part == number) & (degree == 1))[0]
        path = breadth_first_order(graph, end, directed=True, return_predecessors=False)
        path = path if path[1] < path[-2] else path[::-1]           # so that `tree_order` finds its own order again
        step = np.empty(n, np.int64)
        step[path] = np.arange(len(path))
        inside = part[u] == number
        along = branch[inside][np.argsort(np.minimum(step[u[inside]], step[v[inside]]))]
        whole = (len(path) - 1) // EIGHT * EIGHT
        found.append(Chain(path[:whole + 1], along[:whole]))
    return found


def hines_arrays(b: Branches) -> dict[str, NDArray[Any]]:
    """What a step needs, by the names of ``VoltageArgs``; `packs` and `chains` are `PACK`.

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
    u, v = own[b.u][edges], own[b.v][edges]
    alike: dict[tuple[int, bytes, bytes], list[int]] = {}
    for t in range(trees):
        e = slice(first_edge[t], first_edge[t + 1])
        alike.setdefault((first_node[t + 1] - first_node[t], u[e].tobytes(), v[e].tobytes()), []).append(t)
    out = _Arrays(b, nodes, np.append(edges, len(edges)))
    for (size, uu, vv), members in alike.items():
        tree_edges = np.frombuffer(uu, u.dtype), np.frombuffer(vv, v.dtype)
        whole = len(members) // EIGHT * EIGHT
        for several in (np.array(members[:whole]).reshape(-1, EIGHT), np.array(members[whole:]).reshape(-1, 1)):
            if len(several):
                chains = chains_of(size, *tree_edges) if several.shape[1] == 1 else []
                shape = _trunk(size, *tree_edges, chains)
                link = out.append("parent", shape.parent)
                for lanes in several:
                    out.trees(shape, link, chains, first_node[lanes], first_edge[lanes])
    return out.finish()


def tree_order(K: Any, group: NDArray[Any]) -> NDArray[np.int64]:
    """The order of nodes, within each ``group`` (n,), in which `hines_arrays` takes them: cells that are alike side by
    side, so that eight of them are one vector in memory, as are the eight pieces of a chain.

    Raises
    ------
    ValueError where the couplings form a loop
    """
    n = K.shape[0]
    arrays = hines_arrays(branches_of(K, np.ones(n), 1.0, 1.0, 1.0))
    order: NDArray[np.int64] = arrays["node"][np.argsort(group[arrays["node"]], kind="stable")].astype(np.int64)
    return order


def _trunk(n: int, u: NDArray[Any], v: NDArray[Any], chains: list[Chain]) -> Shape:
    """What is left of a tree without the pieces of its chains. The branches that they leave between their ends have the
    number of branches of the tree, as has the one at the root: no coupling is known of them.
    """
    kept = np.ones(n, bool)
    for chain in chains:
        kept[chain.node] = False
        kept[chain.ends] = True
    branch = np.flatnonzero(kept[u] & kept[v])
    before = np.concatenate([u[branch], *(chain.ends[:-1] for chain in chains)])
    behind = np.concatenate([v[branch], *(chain.ends[1:] for chain in chains)])
    node, number = np.flatnonzero(kept), np.cumsum(kept) - 1
    shape = shape_of(len(node), number[before], number[behind])
    branch = np.concatenate([branch, np.full(len(before) - len(branch) + 1, len(u))])
    return Shape(node[shape.node].astype(np.int32), shape.parent, branch[shape.branch].astype(np.int32))


class _Arrays:
    """The arrays of ``VoltageArgs`` while they grow; ``nodes`` and ``edges`` are those of the forest, tree by tree."""

    def __init__(self, b: Branches, nodes: NDArray[Any], edges: NDArray[Any]) -> None:
        self._theta, self._nodes = b.theta, nodes
        self._k = np.append(b.k, 0.0)[edges]
        self._diagonal, self._current, self._weight = b.diagonal[nodes], b.current[nodes], b.weight[nodes]
        self._parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ("parent", "ends", "node", *VALUES)}
        self._size = dict.fromkeys(self._parts, 0)
        self._seen = dict[bytes, int]()
        self._packs, self._chains = list[tuple[int, ...]](), list[tuple[int, ...]]()

    def append(self, name: str, values: NDArray[Any]) -> int:
        """Put at the end; where it begins."""
        start = self._size[name]
        self._parts[name].append(values)
        self._size[name] += len(values)
        return start

    def trees(self, shape: Shape, link: int, chains: list[Chain], first_node: NDArray[Any],
              first_edge: NDArray[Any]) -> None:
        """Trees of a shape side by side, from these nodes and edges on; with chains a tree has no others beside it."""
        first_chain = len(self._chains)
        for chain in chains:
            self._chain(shape, chain, first_node[0], first_edge[0])
        node = first_node + shape.node[:, None]
        root = shape.branch[-1]
        k = self._k[np.where((shape.branch < root)[:, None], first_edge + shape.branch[:, None], -1)]
        weight = self._weight[node]
        values = self._values(node, k, weight, weight[np.minimum(shape.parent, len(node) - 1)])
        shared = bool((values == values[:, :, :1]).all())
        if shared:
            values = values[:, :, :1]
        key = values.tobytes()
        if chains or key not in self._seen:               # with chains some coefficients change: no other tree has them
            self._seen[key] = self._put(values)
        self._packs.append((*node.shape, *self._place(node), shared, link, self._seen[key], first_chain, len(chains)))

    def _chain(self, shape: Shape, chain: Chain, first_node: int, first_edge: int) -> None:
        """The places of the pieces, and the branches from the end before to the end behind them."""
        row, size = np.arange(len(chain.branch) // EIGHT + 1)[:, None], len(chain.branch) // EIGHT
        along = row + np.arange(0, len(chain.branch), size)                # (rows, lanes) steps along the chain
        node, k = first_node + chain.node[along], self._k[first_edge + chain.branch[along[:-1]]]
        weight = self._weight[node]
        values = self._values(node[1:], k, weight[:-1], weight[1:])        # the last row of nodes is not used
        place = np.empty(shape.node.max() + 1, np.int32)
        place[shape.node] = np.arange(len(shape.node))
        link = self.append("ends", place[chain.ends])
        self._chains.append((size - 1, EIGHT, *self._place(node[1:-1]), False, link, self._put(values), 0, 0))

    def _values(self, node: NDArray[Any], k: Numbers, weight: Numbers, above: Numbers) -> Numbers:
        """(6, places, lanes), by the names of `VALUES`; weights at both ends of the branch."""
        current = self._current[node]
        return np.stack([self._diagonal[node], self._theta * k, weight * k, above * k, self._theta * current, current])

    def _put(self, values: Numbers) -> int:
        """Coefficients in whole cache lines."""
        flat = values.reshape(len(VALUES), -1)
        flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % EIGHT)))
        start = self._size[VALUES[0]]
        for name, row in zip(VALUES, flat, strict=True):
            self.append(name, row)
        return start

    def _place(self, node: NDArray[Any]) -> tuple[int, bool]:
        """Where the nodes begin, and whether those of a place lie side by side."""
        at = self._nodes[node].astype(np.int32)
        return self.append("node", at.ravel()), bool((np.diff(at, axis=1) == 1).all())

    def finish(self) -> dict[str, NDArray[Any]]:
        arrays = {name: np.concatenate([np.zeros(0, np.int32), *parts]) if name in ("parent", "ends", "node") else
                  np.concatenate(parts) for name, parts in self._parts.items()}
        return arrays | {"packs": np.array(self._packs, PACK), "chains": np.array(self._chains, PACK)}


def _graph(n: int, u: NDArray[Any], v: NDArray[Any]) -> Any:
    from scipy import sparse

    return sparse.csr_array((np.ones(2 * len(u), np.int8), (np.concatenate([u, v]), np.concatenate([v, u]))),
                            shape=(n, n))


def _starts(owner: NDArray[Any], n: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n))])
