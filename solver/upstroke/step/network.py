"""Spikes of cells that other cells' synapses receive, as a stage after V is solved for: found, and sent, where V lies.

A spike leaves when V at its detector crosses the threshold upwards, by linear interpolation within the step, and
arrives exactly its delay later. Delays are a step or longer, so what arrives in a step is known before it begins.
network.c has the details.
"""

from __future__ import annotations

import ctypes
import math
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.backend import Backend, Stage
from upstroke.protocol.conductances import Synapses
from upstroke.step.state import State

LANES = {"c": 1, "cuda": 32}          # threads that serve a detector
ROOM = 60                               # bits that the sum of all that can arrive at once takes


class NetworkArgs(ctypes.Structure):
    """``network_args`` of network.c."""

    _fields_ = [*((name, ctypes.c_void_p) for name in (
        "V", "node", "threshold", "before", "ring", "left", "next", "sent", "done", "first", "synapse", "delay",
        "weight", "kinds", "kind", "arrived")), *((name, ctypes.c_double) for name in ("t", "step_dt"))]


def quanta_of(synapses: tuple[Synapses, ...], which: tuple[NDArray[np.int64], ...], kind: NDArray[np.int64],
              kinds: int) -> NDArray[np.float64]:
    """Of each kind, the power of two in mS that weights from cells are counted in: so small that one spike of every
    connection to a synapse, which is the most that a step can bring, fits in ``ROOM`` bits.

    Parameters
    ----------
    which : of each table, the merged synapse of each
    kind : of the merged synapses
    """
    total = np.zeros(len(kind))
    for s, own in zip(synapses, which, strict=True):
        if s.source is not None:
            total += np.bincount(own, s.weight * s.kinetics.scale, len(kind))
    most = np.zeros(kinds)
    np.maximum.at(most, kind, total)
    return np.array([2.0 ** (math.frexp(x)[1] - ROOM) for x in most])


def network_stages(synapses: tuple[Synapses, ...], which: tuple[NDArray[np.int64], ...], shared: dict[str, Any],
                   quanta: NDArray[np.float64], kind: NDArray[np.int64], state: State, text: str, dt: float,
                   backend: Backend) -> list[Stage]:
    """What finds spikes of cells and sends them; none where no synapse receives any.

    Parameters
    ----------
    which : of each table, the merged synapse of each
    shared : the device arrays kinds, kind and arrived of conductances.c
    quanta, kind : mS, of each kind; the kind of each merged synapse
    text : conductances.c, with what stands before it
    """
    wired = [(s, own) for s, own in zip(synapses, which, strict=True) if s.source is not None and len(own)]
    if not wired:
        return []
    V = np.asarray(backend.to_host(state.V), np.float64)
    host = network_arrays([(s, own, s.weight * s.kinetics.scale / quanta[kind[own]]) for s, own in wired], dt)
    host["before"] = V[host["node"]]
    arrays = {name: backend.array(values) for name, values in host.items()}
    detectors, spikes = len(host["node"]), int(host["ring"][-1])
    arrays |= {name: backend.zeros(size, dtype=kind_) for name, size, kind_ in (
        ("left", spikes, np.float64), ("next", spikes, np.int64), ("sent", detectors, np.int64),
        ("done", detectors, np.int64))}
    args = NetworkArgs(V=backend.pointer(state.V), step_dt=dt,
                       **{name: backend.pointer(array) for name, array in (arrays | shared).items()})
    text += resources.files(__package__).joinpath("network.c").read_text()
    stage = backend.kernel(text, "upstroke_detect", args, detectors * LANES[backend.target], dt=dt,
                           label="network")
    stage.keep = arrays, shared
    stage.memory = {name: arrays[name] for name in ("before", "left", "next", "sent", "done")}
    return [stage]


def numbered(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The different codes (small numbers, not below 0), ascending, and which of them each is; without sorting."""
    there = np.bincount(codes) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[codes]


def _by(group: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The order by group, and by value within it."""
    ascending = np.argsort(values)
    entries = sparse.coo_array((ascending, (group[ascending], np.arange(len(group)))))
    order: NDArray[np.int64] = entries.tocsr().data         # keeps the order within rows
    return order


def network_arrays(wired: list[tuple[Synapses, NDArray[np.int64], NDArray[np.float64]]], dt: float
                   ) -> dict[str, NDArray[Any]]:
    """What network.c knows of detectors and connections, by the names of ``NetworkArgs``; of each table its synapses,
    the merged ones they belong to, and weights in quanta."""
    source = np.concatenate([s.source.nodes for s, _, _ in wired if s.source is not None])
    threshold = np.concatenate([np.full(len(own), s.source.threshold) for s, own, _ in wired if s.source is not None])
    delay = np.concatenate([s.delay for s, _, _ in wired]) / dt
    levels, level = np.unique(threshold, return_inverse=True)
    place, detector = numbered(source * len(levels) + level)
    order = _by(detector, delay)
    ends = np.cumsum(np.bincount(detector, minlength=len(place)))
    delay = delay[order]
    # under way from one step to a step after the longest delay, with a crossing in every second step at most
    room = (np.ceil(delay[ends - 1]).astype(np.int64) + 3) // 2 + 2
    return {"node": (place // len(levels)).astype(np.int32), "threshold": levels[place % len(levels)],
            "ring": np.concatenate([[0], np.cumsum(room)]), "first": np.concatenate([[0], ends]),
            "synapse": np.concatenate([own for _, own, _ in wired])[order].astype(np.int32), "delay": delay,
            "weight": np.concatenate([weight for _, _, weight in wired])[order]}
