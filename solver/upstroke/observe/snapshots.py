"""Fields over time: chosen variables, every so many steps, of the whole mesh or of some regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Snapshots
from upstroke.mesh.locate import cells_of_regions
from upstroke.mesh.mesh import Mesh


class SnapshotWatcher:
    """Hands a frame to the series at steps 0, ``every``, 2 ``every``, ...

    Parameters
    ----------
    every, steps : steps between frames, steps of the whole run
    series : opens the file, given path, mesh, variables and number of frames
    """

    def __init__(self, section: Snapshots, mesh: Mesh, state: Any, every: int, steps: int, path: Path,
                 series: Callable[[Path, Mesh, Sequence[str], int], Any]) -> None:
        self._state, self._every, self._names = state, every, section.variables
        self._nodes: NDArray[np.int64] | slice = slice(None)
        if section.regions is not None:
            mesh, self._nodes = part_of(mesh, section.regions)
        self._series = series(path, mesh, section.variables, steps // every + 1)

    def see(self, n: int, t: float) -> None:
        if n % self._every == 0:
            self._series.append(t, {name: self._state.variable(name)[self._nodes] for name in self._names})

    def close(self) -> None:
        self._series.close()


def part_of(mesh: Mesh, regions: Sequence[int | str]) -> tuple[Mesh, NDArray[np.int64]]:
    """The cells of some regions with their nodes, as a mesh, and the numbers of those nodes in the whole mesh.

    Raises
    ------
    MeshError for a region that the mesh lacks
    """
    keep = cells_of_regions(mesh, regions, "watch.snapshots.regions")
    nodes, cells = np.unique(mesh.cells[keep], return_inverse=True)
    part = replace(
        mesh, points=mesh.points[nodes], cells=cells.reshape(-1, mesh.dim + 1).astype(np.int32),
        region=mesh.region[keep], fibre=None if mesh.fibre is None else mesh.fibre[keep],
        sheet=None if mesh.sheet is None else mesh.sheet[keep], node_sets={})
    return part, nodes.astype(np.int64)
