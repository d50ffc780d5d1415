"""Stimuli: trains of rectangular current pulses into sets of nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Stimulus
from upstroke.errors import CaseError
from upstroke.mesh.locate import nodes_in_box, nodes_in_sphere, nodes_of_region, nodes_of_set
from upstroke.mesh.mesh import Mesh

SNAP = 1e-9      # parts of a step: what is nearer to a step's edge than this lies on it


@dataclass(frozen=True)
class Train:
    """Pulses of ``current`` (uA/cm^2) into ``nodes``: [start + k period, start + k period + duration), k < count."""

    name: str
    nodes: NDArray[np.int64]
    current: float
    start: float
    duration: float
    period: float
    count: int

    def share(self, n: int, dt: float) -> float:
        """The part of step n, [n dt, (n + 1) dt), during which a pulse is on: exact charge for any dt."""
        total = 0.0
        first = math.floor(((n * dt) - self.start - self.duration) / self.period) if math.isfinite(self.period) else 0
        for k in range(max(first, 0), self.count):
            on = (self.start + k * self.period if k else self.start) / dt - n
            off = on + self.duration / dt
            if on >= 1.0 - SNAP:
                break
            part = min(off, 1.0) - max(on, 0.0)
            total += 0.0 if part < SNAP else 1.0 if part > 1.0 - SNAP else part
        return total


    def late(self, end: float) -> int:
        """How many pulses would start at ``end`` (ms) or after it, and so never fire."""
        if self.start >= end:
            return self.count
        in_time = math.ceil((end - self.start) / self.period - SNAP) if math.isfinite(self.period) else 1
        return max(self.count - in_time, 0)


class Stimuli:
    """All trains of a run; keeps the current of every node up to date, step by step."""

    def __init__(self, trains: Sequence[Train], dt: float) -> None:
        self.trains, self._dt = tuple(trains), dt
        self._shares = [0.0] * len(trains)

    def notes(self, end: float) -> list[str]:
        """What the user should know of trains that outlast a run of ``end`` ms."""
        return [f"stimulus {train.name!r}: {late} of {train.count} pulses start when the run is over"
                for train in self.trains if (late := train.late(end))]

    def apply(self, n: int, current: NDArray[Any]) -> None:
        """Set ``current`` (nodes,), uA/cm^2, to the mean of step n; touches it only where something changes."""
        shares = [train.share(n, self._dt) for train in self.trains]
        if shares == self._shares:
            return
        for train in self.trains:
            current[train.nodes] = 0.0
        for train, share in zip(self.trains, shares, strict=True):
            current[train.nodes] += share * train.current
        self._shares = shares


def schedule(stimuli: Sequence[Stimulus], mesh: Mesh, surface_to_volume: float, dt: float) -> Stimuli:
    """The trains of a case's stimuli.

    A current per tissue volume is divided by beta (``surface_to_volume``, 1/cm) to give uA/cm^2 of membrane.

    Raises
    ------
    CaseError where a stimulus touches no node or names an unknown set or region
    """
    trains = []
    for k, s in enumerate(stimuli):
        where = f"stimulus.{k}" + (f" ({s.name})" if s.name else "")
        nodes = _nodes(s, mesh, where)
        if not len(nodes):
            low, high = mesh.points.min(axis=0) * 10, mesh.points.max(axis=0) * 10
            raise CaseError(where, "the stimulus touches no node", "the mesh spans "
                            f"({', '.join(f'{x:.4g}' for x in low)}) to ({', '.join(f'{x:.4g}' for x in high)}) mm")
        current = s.current if s.current is not None else (s.volume_current or 0.0) / surface_to_volume
        trains.append(Train(s.name or f"stimulus {k + 1}", nodes, current, s.start, s.duration,
                            s.period if s.period is not None else math.inf, s.count))
    return Stimuli(trains, dt)


def _nodes(s: Stimulus, mesh: Mesh, where: str) -> NDArray[np.int64]:
    if s.box is not None:
        return nodes_in_box(mesh, s.box.min, s.box.max)
    if s.sphere is not None:
        return nodes_in_sphere(mesh, s.sphere.centre, s.sphere.radius)
    if s.region is not None:
        return nodes_of_region(mesh, s.region, f"{where}.region")
    assert s.nodes is not None          # the case was checked
    return np.unique(nodes_of_set(mesh, s.nodes, f"{where}.nodes"))
