"""Point probes: variables at a few places, written to ``probes.csv`` as the run goes.

The file is plain CSV with one header line and no comments, which pandas, NumPy and every spreadsheet read as it
stands: ``time_ms``, then ``<probe>.<variable>`` in the order of the case (``P1.V,P1.Iion,P2.V,...``), V in mV, Iion
(Isyn, Iclamp, Igap, Inoise) in uA/cm^2, states in their model's units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Probes, Site, Spikes
from upstroke.errors import CaseError
from upstroke.mesh.check import longest_edges
from upstroke.mesh.locate import containing_cells, nearest_nodes
from upstroke.mesh.mesh import Mesh
from upstroke.observe.samples import SampleWatcher, Term


@dataclass(frozen=True, eq=False)
class Probe:
    """A place where variables are read: sum of ``weights`` times the values at ``nodes``.

    ``distance`` is that from the place asked for to the place read, in cm.
    """

    name: str
    nodes: NDArray[np.int64]
    weights: NDArray[np.float64]
    distance: float

    def read(self, values: NDArray[Any]) -> float:
        """The value of an array (nodes of the mesh,) here."""
        return float(self.weights @ values[self.nodes])


class ProbeWatcher(SampleWatcher):
    """Appends a line to ``probes.csv`` every so many steps.

    A value is nan where the membrane of one of the probe's nodes lacks the variable.

    Parameters
    ----------
    state : gives ``pieces(name)`` and ``rank``, the place of each node of the mesh
    every : steps between samples
    dt : time step, ms
    """

    def __init__(self, section: Probes, mesh: Mesh, state: Any, backend: Any, every: int, dt: float,
                 path: Path | None) -> None:
        self.probes = place_probes(section, mesh)
        self.notes = tuple(note for note in (far_note(probe, mesh) for probe in self.probes) if note)
        terms = [terms_of(probe, state.pieces(name), state.rank) for probe in self.probes for name in section.variables]
        here = [bool((state.rank[probe.nodes] >= 0).any()) for probe in self.probes for _ in section.variables]
        self._missing = np.array([there and not value for there, value in zip(here, terms, strict=True)])
        start = [sum(w * float(backend.to_host(array[k:k + 1])[0]) for array, k, w in value) for value in terms]
        super().__init__([f"{p.name}.{v}" for p in self.probes for v in section.variables], terms, np.array(start),
                         backend, every, dt, path, "probes")

    def _columns(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self._backend.halo.sum(np.where(self._missing, np.nan, values))
        return found


def terms_of(probe: Probe, pieces: Sequence[tuple[int, int, Any]], rank: NDArray[np.int64]) \
        -> list[Term]:
    """(array, place in it, weight) of a variable at a probe, for the nodes that this process has; none where one of
    these lacks the variable."""
    terms = []
    for node, weight in zip(probe.nodes, probe.weights, strict=True):
        place = int(rank[node])
        if place < 0:
            continue
        found = [(array, place - begin, float(weight)) for begin, end, array in pieces if begin <= place < end]
        if not found:
            return []
        terms += found
    return terms


def place_probes(section: Probes | Spikes, mesh: Mesh) -> tuple[Probe, ...]:
    """The nearest node of every point, or the weights of its cell's nodes where ``interpolate`` is set.

    Coordinates that a point leaves out are zero. At a site of a neuron it is the compartment there, or an end of the
    section, where V is the mean of the compartments around, weighted by their conductances.

    Raises
    ------
    CaseError for a point with more than three coordinates; MeshError for one to interpolate that lies outside the mesh
    """
    table = "watch.probes.points" if isinstance(section, Probes) else "watch.spikes.points"
    sites = {name: _at_site(name, site, mesh, f"{table}.{name}") for name, site in section.points.items()
             if isinstance(site, Site)}
    points = {name: point for name, point in section.points.items() if not isinstance(point, Site)}
    placed = {probe.name: [probe] for probe in
              _at_points(points, isinstance(section, Probes) and section.interpolate, mesh, table)} if points else {}
    return tuple(probe for name in section.points for probe in (sites | placed)[name])


def _at_site(name: str, site: Site, mesh: Mesh, where: str) -> list[Probe]:
    """A probe of each cell that the site addresses: NAME[0], NAME[1], ... where these are all of a population."""
    tree = mesh.tree
    assert tree is not None               # the case was checked
    nodes, several = tree.nodes_at(site, where), site.cell is None and tree.population_at(site, where).name
    near, weights = tree.around(nodes[0])                     # of the others likewise: cells are copies
    return [Probe(f"{name}[{k}]" if several else name, near + away, weights, 0.0)
            for k, away in enumerate(nodes - nodes[0])]


def _at_points(points: Mapping[str, Sequence[float]], interpolate: bool, mesh: Mesh, table: str) -> tuple[Probe, ...]:
    where = [f"{table}.{name}" for name in points]
    places = np.array([three_coordinates(w, point) for w, point in zip(where, points.values(), strict=True)])
    if interpolate:
        cells, weights = containing_cells(mesh, places, where)
        counts = np.abs(weights) > 1e-9   # a node that does not count may have no value
        return tuple(Probe(name, mesh.cells[cell][c].astype(np.int64), w[c], 0.0)
                     for name, cell, w, c in zip(points, cells, weights, counts, strict=True))
    nodes, distances = nearest_nodes(mesh, places)
    return tuple(Probe(name, np.array([node]), np.ones(1), float(distance))
                 for name, node, distance in zip(points, nodes, distances, strict=True))


def three_coordinates(where: str, point: Sequence[float]) -> NDArray[np.float64]:
    """The point, with zeros where it leaves coordinates out.

    Raises
    ------
    CaseError for more than three
    """
    if len(point) > 3:
        raise CaseError(where, f"{len(point)} coordinates", 'give one, two or three: ["1 mm", "2 mm", "3 mm"]')
    return np.array([*point, 0.0, 0.0, 0.0][:3], np.float64)


def far_note(probe: Probe, mesh: Mesh) -> str:
    """A warning where the node is farther from the place asked for than its longest edge, else nothing."""
    if probe.distance == 0.0:
        return ""
    node = int(probe.nodes[0])
    touching = replace(mesh, cells=mesh.cells[(mesh.cells == node).any(axis=1)])
    edge = float(longest_edges(touching).max(initial=0.0))
    if probe.distance <= edge:
        return ""
    x, y, z = 10.0 * mesh.points[node]
    return (f"probe {probe.name} reads node {node} at ({x:g}, {y:g}, {z:g}) mm, {10.0 * probe.distance:.3g} mm from "
            f"where it was asked for; the edges there are {10.0 * edge:.3g} mm long")
