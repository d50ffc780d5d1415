"""Activation and repolarisation maps, reduced while stepping: memory grows with beats, not with steps."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Fetch
from upstroke.case.schema import Activation
from upstroke.errors import BackendError
from upstroke.mesh.tree import Tree

MOST_BEATS = 65536     # of one node
REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


@dataclass(frozen=True, eq=False)
class ActivationMap:
    """When each node was activated and when it came back.

    For beat b of a node, with V linear between steps::

        t_act  = the upward crossing of the threshold, the node being outside a beat
        V_max  = the maximum of V from t_act on
        V_rest = the minimum of V since the last beat's maximum (since the start for the first beat) up to t_act
        t_rep  = the first downward crossing, after the maximum, of V_max - f (V_max - V_rest)
        APD    = t_rep - t_act          (f = 0.9: APD90)

    A node that starts above the threshold has no activation until it has come back below. A beat ends with its
    repolarisation: a further upward crossing before that does not count as a beat (``recrossed`` counts the nodes
    where this happened after V had come three quarters of the way back to the repolarisation level).

    Attributes
    ----------
    activation, repolarisation : (beats, n) float64, ms; NaN where a node has no such beat (or it did not end)
    threshold : mV
    fraction : f
    v_min, v_max : mV, over all watched nodes and steps
    recrossed : number of watched nodes
    """

    activation: NDArray[np.float64]
    repolarisation: NDArray[np.float64]
    threshold: float
    fraction: float
    v_min: float
    v_max: float
    recrossed: int = 0

    @property
    def apd(self) -> NDArray[np.float64]:
        """(beats, n), ms: action potential duration."""
        return self.repolarisation - self.activation

    @property
    def beats(self) -> int:
        """Number of beats of the node that had most."""
        return len(self.activation)

    def phase(self, t: float) -> NDArray[np.float64]:
        """(n,) where in its beat each node is at time t (ms): -pi at an activation, rising evenly to pi at the next.

        nan before the first activation, and from the last on.
        """
        before = (self.activation <= t).sum(axis=0)             # nan: not yet
        begun = (before > 0) & (before < len(self.activation))
        phase = np.full(before.shape, np.nan)
        node = np.flatnonzero(begun)
        last, next_ = self.activation[before[node] - 1, node], self.activation[before[node], node]
        phase[node] = 2.0 * np.pi * (t - last) / (next_ - last) - np.pi
        return phase

    @property
    def apd_name(self) -> str:
        """``apd90`` for f = 0.9."""
        return f"apd{100 * self.fraction:g}".replace(".", "_")

    def notes(self) -> tuple[str, ...]:
        """What the user should know of the map."""
        if not self.recrossed:
            return ()
        nodes = f"{self.recrossed:,} node" + "s" * (self.recrossed > 1)
        return (f"at {nodes} V crossed {self.threshold:g} mV upwards once more before it had "
                f"repolarised by {100 * self.fraction:g} %; such crossings are not counted as beats "
                "(a smaller watch.activation.repolarisation counts them)",)


class _Args(ctypes.Structure):
    """``activation_args`` of activation.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("V", "node", "before", "lowest", "highest", "rest", "beats",
                                               "active", "again", "activation", "repolarisation", "rows", "range",
                                               "copy")),
        *((name, ctypes.c_double) for name in ("t", "step_dt", "threshold", "fraction")),
    ]


class ActivationWatcher:
    """Sees every step, keeps a few numbers per watched node, and gives an `ActivationMap` at any time.

    Parameters
    ----------
    section : the table ``[watch.activation]``
    state : gives ``V``, an array (n,) of the backend in mV, and ``order``, the mesh's node at each of its places
    backend : compiles and runs activation.c
    dt : time step, ms
    tree : of neurons. In a network each cell is watched in the middle of its first section alone, and the map has
        that at all its nodes, unless the section says otherwise
    copies : equal meshes that the nodes are of, counted one mesh after the other; `maps` has the map of each

    Attributes
    ----------
    stage : what it does in every step
    """

    def __init__(self, section: Activation, state: Any, backend: Any, dt: float, tree: Tree | None = None,
                 copies: int = 1) -> None:
        V = state.V
        places, self._shown = watched(section, np.asarray(state.rank), tree)
        nodes = tree is None                       # a neuron belongs to one process
        here = np.flatnonzero(self._shown >= 0)
        self._number = here[np.argsort(self._shown[here])] if nodes else np.arange(len(places))     # of each, among ...
        self._all = len(self._shown) if nodes else len(places)                          # ... so many of all processes
        self._backend, self._section, self._n = backend, section, len(places)
        start = np.asarray(backend.to_host(V))[places]
        self._arrays = {name: backend.array(start) for name in ("before", "lowest", "highest", "rest")}
        self._arrays |= {"beats": backend.zeros(self._n, dtype=np.int32)}
        self._arrays |= {name: backend.zeros(self._n, dtype=np.uint8) for name in ("active", "again")}
        copy = np.asarray(state.order) // (len(self._shown) // copies) if copies > 1 else None
        parts = [start] if copy is None else [start[copy == k] for k in range(copies)]
        self._arrays |= {"range": backend.array(np.array([[part.min(initial=np.inf), -part.max(initial=-np.inf)]
                                                          for part in parts], np.float64).ravel()),
                         "rows": backend.zeros(3, dtype=np.int32)}
        self._copy = None if copy is None else backend.array(copy.astype(np.int32))
        self._pointers = {name: backend.zeros(MOST_BEATS, dtype=np.uint64) for name in ("activation", "repolarisation")}
        self._rows: dict[str, list[Any]] = {name: [] for name in self._pointers}
        self._spare = 3 if backend.lag else 1      # rows that no node has begun: as many beats as may go unnoticed
        self._next = 0                             # the step after which the count is asked for
        self._count = {"rows": self._arrays["rows"]}
        self._asked: Fetch | None = None
        self._make_room(0)
        self._node = backend.array(places.astype(np.int64)) if self._n < len(V) else None
        args = _Args(V=backend.pointer(V), node=None if self._node is None else backend.pointer(self._node),
                     copy=None if self._copy is None else backend.pointer(self._copy),
                     threshold=section.threshold, fraction=section.repolarisation, step_dt=dt,
                     **{name: backend.pointer(array) for name, array in (self._arrays | self._pointers).items()})
        text = resources.files(__package__).joinpath("activation.c").read_text()
        self.stage = backend.kernel(f"#define REAL {REAL[start.dtype]}\n{text}", "upstroke_see_activation", args,
                                    self._n, dt=dt, label="activation")

    def _make_room(self, begun: int) -> None:
        """Rows for the beats that have begun, and spare ones. Rows stay where they are: only addresses are copied."""
        there = len(self._rows["activation"])
        for row in range(there, begun + self._spare):
            if row == MOST_BEATS:
                raise BackendError("watch.activation", f"a node has had {begun:,} beats, as many as can be kept",
                                   "end the run earlier, or raise watch.activation.threshold")
            for name, rows in self._rows.items():
                rows.append(self._backend.zeros(self._n, dtype=np.float64))
                rows[-1].fill(np.nan)
                self._pointers[name][row] = self._backend.pointer(rows[-1])
            self._arrays["rows"][0] = row + 1

    def see(self, n: int, t: float) -> None:
        """After step n: room for beats to come."""
        if self._asked is None:
            if n < self._next:
                return
            self._asked, self._next = self._backend.fetch(self._count), n + self._backend.lag
        if self._asked.ready():
            self._make_room(self._begun(self._asked))
            self._asked = None

    def memory(self) -> dict[str, Any]:
        """What it has seen, by name, for `recall`: by the mesh's nodes, or its cells where they are watched."""
        self._asked, halo = None, self._backend.halo
        host = {name: np.array(self._backend.to_host(array)) for name, array in self._arrays.items()}
        used, low_high, rows = int(host["rows"][:2].min()), host.pop("range"), host.pop("rows")
        for name, own in self._rows.items():
            host[name] = np.full((halo.most(used), self._n), np.nan)
            for k in range(used):
                host[name][k] = self._backend.to_host(own[k])
        seen = {name: np.zeros((*values.shape[:-1], self._all), values.dtype) for name, values in host.items()}
        for name, values in host.items():
            seen[name][..., self._number] = values
        low, high = halo.widest(low_high[0], -low_high[1])
        return {name: halo.whole(values) for name, values in seen.items()} | {
            "range": np.array([low, -high]), "rows": np.array([0, halo.most(int(rows[1])), 0], rows.dtype)}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from what an earlier run had seen."""
        self._make_room(len(memory["activation"]))
        for name, rows in self._rows.items():
            for row, times in zip(rows, memory[name], strict=False):
                self._backend.put(row, times[self._number])
        for name, array in self._arrays.items():
            self._backend.put(array, memory[name] if name in ("range", "rows") else memory[name][self._number])
        self._arrays["rows"][0] = len(self._rows["activation"])

    def close(self) -> None:
        """The last beats have their rows; the map lives in memory."""
        self._begun(self._backend.fetch(self._count))

    def _begun(self, asked: Fetch) -> int:
        """Beats begun by the node that had most."""
        _, begun, lost = asked.get()["rows"].tolist()
        if lost:
            raise BackendError("watch.activation",
                               f"a node had more than {self._spare} beats within {2 * self._backend.lag} steps",
                               'take a smaller dt, raise watch.activation.threshold, or take backend.device = "cpu"')
        return int(begun)

    def map(self) -> ActivationMap:
        """The map as far as the run has come."""
        host = {name: np.asarray(self._backend.to_host(self._arrays[name])) for name in ("rows", "range", "again")}
        halo, used, here = self._backend.halo, int(host["rows"][:2].min()), self._shown >= 0
        times = {name: np.full((halo.most(used), len(self._shown)), np.nan) for name in self._rows}
        for name, rows in self._rows.items():
            for k in range(used):
                times[name][k, here] = np.asarray(self._backend.to_host(rows[k]))[self._shown[here]]
        v_min, v_max = halo.widest(float(host["range"][0::2].min()), -float(host["range"][1::2].min()))
        return ActivationMap(
            **{name: halo.whole(rows) for name, rows in times.items()}, threshold=self._section.threshold,
            fraction=self._section.repolarisation, v_min=v_min, v_max=v_max,
            recrossed=halo.sum(int(host["again"].sum())))

    def maps(self) -> list[ActivationMap]:
        """The map of each copy."""
        whole, count = self.map(), len(self._arrays["range"]) // 2
        low_high = np.asarray(self._backend.to_host(self._arrays["range"])).reshape(count, 2)
        again = np.asarray(self._backend.to_host(self._arrays["again"]))[self._shown].reshape(count, -1).sum(axis=1)
        found = []
        for k in range(count):
            part = slice(k * len(self._shown) // count, (k + 1) * len(self._shown) // count)
            beats = int(np.isfinite(whole.activation[:, part]).any(axis=1).sum())     # of the node that had most
            found.append(replace(whole, activation=whole.activation[:beats, part],
                                 repolarisation=whole.repolarisation[:beats, part], v_min=float(low_high[k, 0]),
                                 v_max=-float(low_high[k, 1]), recrossed=int(again[k])))
        return found


class ActivationOfCopy:
    """What an `ActivationWatcher` of several copies sees of copy ``k``; ``maps`` gives the maps of all."""

    def __init__(self, of_all: ActivationWatcher, maps: Callable[[], Sequence[ActivationMap]], k: int) -> None:
        self._of_all, self._maps, self._k = of_all, maps, k

    def see(self, n: int, t: float) -> None:
        """The watcher of all has seen it."""

    def close(self) -> None:
        self._of_all.close()

    def memory(self) -> dict[str, Any]:
        return self._of_all.memory()

    def recall(self, memory: Mapping[str, Any]) -> None:
        self._of_all.recall(memory)

    def map(self) -> ActivationMap:
        return self._maps()[self._k]


def watched(section: Activation, rank: NDArray[np.int64],
            tree: Tree | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places (k,) that are watched, and which of them each node of the mesh shows, (n,), -1 for none.

    ``rank`` (n,) is the place that has the values of each node of the mesh, -1 for nodes of other processes.
    """
    at = section.at if section.at != "auto" else "cells" if tree is not None and len(tree.cells) > 1 else "nodes"
    if at == "nodes":
        return np.arange(rank.max(initial=-1) + 1), rank
    assert tree is not None                     # the case was checked
    return rank[tree.cells], tree.cell
