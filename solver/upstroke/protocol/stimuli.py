"""Stimuli: trains of rectangular current pulses into sets of nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from upstroke.case.pulses import Pulses
from upstroke.case.schema import Stimulus
from upstroke.errors import CaseError
from upstroke.mesh.labels import values_at
from upstroke.mesh.locate import nodes_in_box, nodes_in_sphere, nodes_of_region, nodes_of_set
from upstroke.mesh.mesh import Mesh
from upstroke.protocol.table import InputTable, tabulate
from upstroke.protocol.train import Train


@dataclass(frozen=True)
class Stimuli:
    """All trains of a run, which takes steps of ``dt`` (ms)."""

    trains: tuple[Train, ...]
    dt: float

    def notes(self, end: float) -> list[str]:
        """What the user should know of trains that outlast a run of ``end`` ms, and of periods of one pulse."""
        return [f"stimulus {train.name!r}: {late} of {train.pulses.total} pulses start when the run is over"
                for train in self.trains if (late := train.pulses.total - train.fired(end))] + [
                    f"stimulus {train.name!r}: its period does nothing, since count is 1"
                    for train in self.trains if train.pulses.count == 1 and math.isfinite(train.pulses.period)]

    def over(self, end: float) -> float:
        """When (ms) the last pulse is over of those that start before ``end``; 0 where there is none."""
        return max((train.pulses.onset(fired - 1) + train.duration
                    for train in self.trains if (fired := train.fired(end))), default=0.0)

    def renumbered(self, rank: NDArray[np.int64]) -> Stimuli:
        """The same trains with their nodes in another numbering; ``rank`` (n,) is the new number of each node."""
        return replace(self, trains=tuple(train.renumbered(rank) for train in self.trains))

    def table(self, n_steps: int) -> InputTable:
        """What each node receives in each of ``n_steps`` steps."""
        return tabulate(self.trains, self.dt, n_steps)


def schedule(stimuli: Sequence[Stimulus], mesh: Mesh, surface_to_volume: float, dt: float) -> Stimuli:
    """The trains of a case's stimuli.

    A current per tissue volume is divided by beta (``surface_to_volume``, 1/cm) to give uA/cm^2 of membrane, a total
    current by the area of its compartment.

    Raises
    ------
    CaseError, MeshError where a stimulus touches no node, or names an unknown set, region, place or scale
    """
    trains = []
    for k, s in enumerate(stimuli):
        where = f"stimulus.{k}" + (f" ({s.name})" if s.name else "")
        nodes = _nodes(s, mesh, where)
        if mesh.tree is not None and len(nodes):
            nodes = nodes[mesh.tree.area[nodes] > 0.0]
            if not len(nodes):
                raise CaseError(where, "the stimulus touches ends of sections only, which have no membrane",
                                'make it reach the middle of a compartment, or give site = { section = "soma" }')
        if not len(nodes):
            low, high = mesh.points.min(axis=0) * 10, mesh.points.max(axis=0) * 10
            raise CaseError(where, "the stimulus touches no node", "the mesh spans "
                            f"({', '.join(f'{x:.4g}' for x in low)}) to ({', '.join(f'{x:.4g}' for x in high)}) mm")
        current = _density(s, mesh, nodes, surface_to_volume)
        scale = values_at(mesh, s.scale, nodes, f"{where}.scale", "stimulus") if s.scale is not None else 1.0
        trains.append(Train(s.name or f"stimulus {k + 1}", nodes, current, Pulses.of(s), s.duration, scale))
    return Stimuli(tuple(trains), dt)


def _density(s: Stimulus, mesh: Mesh, nodes: NDArray[np.int64], surface_to_volume: float) -> float:
    """The current per membrane area, uA/cm^2."""
    if s.total_current is not None:
        assert mesh.tree is not None    # the case was checked
        return s.total_current / float(mesh.tree.area[nodes[0]])      # cells are copies
    return s.current if s.current is not None else (s.volume_current or 0.0) / surface_to_volume


def _nodes(s: Stimulus, mesh: Mesh, where: str) -> NDArray[np.int64]:
    if s.box is not None:
        return nodes_in_box(mesh, s.box.min, s.box.max)
    if s.sphere is not None:
        return nodes_in_sphere(mesh, s.sphere.centre, s.sphere.radius)
    if s.region is not None:
        return nodes_of_region(mesh, s.region, f"{where}.region")
    if s.site is not None:
        assert mesh.tree is not None    # the case was checked
        return mesh.tree.compartments_at(s.site, f"{where}.site")
    assert s.nodes is not None          # the case was checked
    return np.unique(nodes_of_set(mesh, s.nodes, f"{where}.nodes"))
