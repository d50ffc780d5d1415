"""Point probes: variables at a few places, written to ``probes.csv`` as the run goes.

The file is plain CSV with one header line and no comments, which pandas, NumPy and every spreadsheet read as it
stands: ``time_ms``, then ``<probe>.<variable>`` in the order of the case (``P1.V,P1.Iion,P2.V,...``), V in mV, Iion in
uA/cm^2, states in their model's units.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Probes
from upstroke.errors import CaseError, OutputError
from upstroke.mesh.locate import containing_cells, nearest_nodes
from upstroke.mesh.mesh import Mesh

FLUSH_EVERY = 0.5   # seconds of wall time


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
        return float(self.weights @ values[self.nodes])


class ProbeWatcher:
    """Appends a line to ``probes.csv`` every so many steps.

    Lines are handed to the system whole and at least every half second, so a killed run leaves complete lines.

    Parameters
    ----------
    every : steps between samples
    """

    def __init__(self, section: Probes, mesh: Mesh, state: Any, every: int, path: Path) -> None:
        self.probes = place_probes(section, mesh)
        self.notes = tuple(note for note in (far_note(probe, mesh) for probe in self.probes) if note)
        self._state, self._every, self._variables, self._path = state, every, section.variables, path
        try:
            self._file = open(path, "wb", buffering=0)   # noqa: SIM115 (open as long as the run)
        except OSError as e:
            raise OutputError(str(path), f"cannot be written: {e.strerror}", "give another --out") from e
        self._lines: list[str] = []
        self._flushed = time.monotonic()
        self._lines.append(csv_line(["time_ms", *(f"{p.name}.{v}" for p in self.probes for v in self._variables)]))
        self._flush()

    def see(self, n: int, t: float) -> None:
        if n % self._every:
            return
        values = [self._state.variable(name) for name in self._variables]
        self._lines.append(csv_line([f"{t:.12g}", *(f"{p.read(v):.12g}" for p in self.probes for v in values)]))
        if time.monotonic() - self._flushed > FLUSH_EVERY:
            self._flush()

    def _flush(self) -> None:
        try:
            self._file.write("".join(self._lines).encode())
        except OSError as e:
            raise OutputError(str(self._path), f"cannot be written: {e.strerror}", "free some space") from e
        self._lines.clear()
        self._flushed = time.monotonic()

    def close(self) -> None:
        if not self._file.closed:
            self._flush()
            self._file.close()


def csv_line(cells: Sequence[str]) -> str:
    """One line of CSV, with quotes where a probe's name needs them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def place_probes(section: Probes, mesh: Mesh) -> tuple[Probe, ...]:
    """The nearest node of every point, or the weights of its cell's nodes where ``interpolate`` is set.

    Coordinates that a point leaves out are zero.

    Raises
    ------
    CaseError for a point with more than three coordinates; MeshError for one to interpolate that lies outside the mesh
    """
    where = [f"watch.probes.points.{name}" for name in section.points]
    places = np.array([_three(w, point) for w, point in zip(where, section.points.values(), strict=True)])
    if section.interpolate:
        cells, weights = containing_cells(mesh, places, where)
        counts = np.abs(weights) > 1e-9   # a node that does not count may have no value
        return tuple(Probe(name, mesh.cells[cell][c].astype(np.int64), w[c], 0.0)
                     for name, cell, w, c in zip(section.points, cells, weights, counts, strict=True))
    nodes, distances = nearest_nodes(mesh, places)
    return tuple(Probe(name, np.array([node]), np.ones(1), float(distance))
                 for name, node, distance in zip(section.points, nodes, distances, strict=True))


def _three(where: str, point: Sequence[float]) -> NDArray[np.float64]:
    if len(point) > 3:
        raise CaseError(where, f"{len(point)} coordinates", 'give one, two or three: ["1 mm", "2 mm", "3 mm"]')
    return np.array([*point, 0.0, 0.0, 0.0][:3], np.float64)


def far_note(probe: Probe, mesh: Mesh) -> str:
    """A warning where the node is farther from the place asked for than its longest edge, else nothing."""
    node = int(probe.nodes[0])
    touching = mesh.cells[(mesh.cells == node).any(axis=1)]
    edge = float(np.linalg.norm(mesh.points[touching] - mesh.points[node], axis=2).max(initial=0.0))
    if probe.distance <= edge:
        return ""
    x, y, z = 10.0 * mesh.points[node]
    return (f"probe {probe.name} reads node {node} at ({x:g}, {y:g}, {z:g}) mm, {10.0 * probe.distance:.3g} mm from "
            f"where it was asked for; the edges there are {10.0 * edge:.3g} mm long")
