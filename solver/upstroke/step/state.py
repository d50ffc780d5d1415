"""What changes: V and the membranes' states at every node, in device arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upstroke.backend import Backend
from upstroke.codegen import Kernel
from upstroke.errors import ModelError, did_you_mean

#: (begin, end, array): the values of places begin to end in solve order; the array is the device's or the host's.
Piece = tuple[int, int, Any]


@dataclass(frozen=True, eq=False)
class Group:
    """The nodes of one membrane: places ``begin`` to ``end`` in solve order, and what their kernel works on.

    ``arrays`` by the names that kernels give them: V, Iion and Istim (end - begin,); S (states, stride) in the kernel's
    precision, node i of state k is S[k, i]; W (wide states, stride) float64, the states that a mixed-precision kernel
    keeps in fp64; N (nodal parameters, stride), where the kernel has some.
    """

    kernel: Kernel
    begin: int
    end: int
    arrays: dict[str, Any]


class State:
    """V and the states of ``n`` nodes, as structures of arrays, group by group.

    Parameters
    ----------
    membranes : of each group: its kernel, values by name, number of nodes. Values are V, states, nodal parameters, and
        Iion where it is known: one number, or (nodes,) in solve order
    order : (n,) the mesh's number of the node at each place; by default the two are the same
    total : nodes of the mesh, of which this process has n; by default all
    known_at : (total,) the node whose values each node of the mesh has; by default its own

    Attributes
    ----------
    V : (n,) mV, in solve order
    Iion : (n,) uA/cm^2, of the last reaction step, at its start
    Istim : (n,) uA/cm^2, what the reaction step applies
    rank : (total,) the place where the values of each node of the mesh are: rank[order] = 0, 1, 2, ...; -1 for nodes
        of other processes
    groups : one per membrane
    """

    def __init__(self, membranes: Sequence[tuple[Kernel, Mapping[str, Any], int]], backend: Backend,
                 order: ArrayLike | None = None, total: int | None = None,
                 known_at: NDArray[np.int64] | None = None) -> None:
        self.n = sum(size for _, _, size in membranes)
        self._backend = backend
        self.order = np.arange(self.n) if order is None else np.asarray(order)
        self.total = self.n if total is None else total
        self.rank = np.full(self.total, -1)
        self.rank[self.order] = np.arange(self.n)
        self._known_at: NDArray[np.int64] | slice = slice(None) if known_at is None else known_at
        self.rank = self.rank[self._known_at]
        self._in_mesh_order = self.n == self.total and bool((self.order == np.arange(self.n)).all())
        self.V = backend.zeros(self.n + backend.halo.ghosts)[:self.n]
        self.Iion, self.Istim = (backend.zeros(self.n) for _ in range(2))
        self._pieces: dict[str, list[Piece]] = {"V": [(0, self.n, self.V)], "Iion": [(0, self.n, self.Iion)]}
        self._states = tuple(dict.fromkeys(name for kernel, _, _ in membranes for name in kernel.states))
        groups, begin = [], 0
        for kernel, initial, size in membranes:
            for name in kernel.states:     # also where this process has no node of a membrane
                self._pieces.setdefault(name, [])
            if size:
                groups.append(self._group(kernel, initial, begin, begin + size))
            begin += size
        self.groups = tuple(groups)

    def _group(self, kernel: Kernel, initial: Mapping[str, Any], begin: int, end: int) -> Group:
        """A group with its initial state."""
        size, place = end - begin, slice(begin, end)
        stride = self._backend.stride(size)
        arrays = {"V": self.V[place], "Iion": self.Iion[place], "Istim": self.Istim[place],
                  "S": self._backend.zeros(len(kernel.states) - len(kernel.wide), stride),
                  "W": self._backend.zeros(len(kernel.wide), stride, dtype=np.float64)}
        rows = {name: arrays["W"][k] for k, name in enumerate(kernel.wide)}
        rows |= {name: arrays["S"][k] for k, name in enumerate(s for s in kernel.states if s not in kernel.wide)}
        for name in kernel.states:
            self._pieces[name].append((begin, end, rows[name][:size]))
        if kernel.nodal:
            arrays["N"] = self._backend.zeros(len(kernel.nodal), stride)
            rows |= {name: arrays["N"][k] for k, name in enumerate(kernel.nodal)}
        for name, value in initial.items():
            self._fill(rows[name] if name in rows else arrays[name], value)
        return Group(kernel, begin, end, arrays)

    def _fill(self, row: Any, value: Any) -> None:
        """One value for all, or one per node; padding then holds the last, so that it stays finite."""
        if np.ndim(value):
            padded = np.concatenate([value, np.full(len(row) - len(value), value[-1])])
            value = self._backend.array(padded, row.dtype)
        row[:] = value

    def add(self, name: str, values: Any) -> None:
        """One more variable: an array (n,) of the device in solve order; a state of that name keeps it."""
        self._pieces.setdefault(name, [(0, self.n, values)])

    @property
    def names(self) -> tuple[str, ...]:
        """V, Iion, the states of all membranes, and what was added."""
        return tuple(self._pieces)

    def pieces(self, name: str) -> list[Piece]:
        """The device arrays that hold V, Iion or a state: of the whole, or of each membrane that has it."""
        if name not in self._pieces:
            raise ModelError("", f"the membrane has no variable {name!r}", did_you_mean(name, self._pieces))
        return self._pieces[name]

    def arrange(self, pieces: Sequence[Piece]) -> NDArray[Any]:
        """Host arrays of some places as one (total,), in the mesh's order; NaN at nodes whose membrane lacks the
        variable.

        May be a view of the arrays: not to be written to. Where processes share a run, all are to call it, and the
        first gets the whole.
        """
        if self._in_mesh_order and len(pieces) == 1 and len(pieces[0][2]) == self.n:
            whole: NDArray[Any] = pieces[0][2]
            return whole
        values = np.full(self.total, np.nan, np.result_type(*(array for _, _, array in pieces), np.float32))
        for begin, end, array in pieces:
            values[self.order[begin:end]] = array
        return self._backend.halo.whole(values[self._known_at])

    def variable(self, name: str) -> NDArray[Any]:
        """(n,) the values of V, Iion or a state on the host, in the mesh's order; see `arrange`."""
        return self.arrange([(begin, end, self._backend.to_host(array)) for begin, end, array in self.pieces(name)])

    @property
    def memory(self) -> dict[str, list[Piece]]:
        """What changes from step to step, by name, as `pieces`."""
        return {name: self.pieces(name) for name in ("V", "Iion", *self._states)} | {
            "Istim": [(0, self.n, self.Istim)]}

    def put(self, pieces: Sequence[Piece], values: NDArray[Any]) -> None:
        """Write values (total,) in the mesh's order into the device arrays of some places."""
        for begin, end, array in pieces:
            self._backend.put(array, values[self.order[begin:end]].astype(array.dtype))

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for group in self.groups for array in group.arrays.values())

    def first_broken(self) -> tuple[int, list[str]] | None:
        """The first node of the mesh with a value that is not finite, and which of its variables are not."""
        broken: dict[str, NDArray[np.int64]] = {}        # the mesh's numbers of the nodes where a variable is broken
        for name in self.names:
            broken[name] = np.concatenate([
                self.order[begin:end][~np.isfinite(self._backend.to_host(array))]
                for begin, end, array in self.pieces(name)])
        nodes = np.concatenate(list(broken.values()))
        mine = (int(nodes.min()), [name for name, where in broken.items() if nodes.min() in where]) if len(nodes) \
            else None
        return min((found for found in self._backend.halo.everyone(mine) if found is not None), default=None)
