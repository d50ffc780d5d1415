"""Fields over time: chosen variables, every so many steps, of the whole mesh or of some regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Fetch
from upstroke.case.schema import Snapshots
from upstroke.mesh.locate import cells_of_regions, region_tag
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.tree import Tree

Made = Callable[[NDArray[Any]], NDArray[Any]]
NOTHING: Mapping[str, Made] = MappingProxyType({})


class SnapshotWatcher:
    """Hands a frame to the series at steps 0, ``every``, 2 ``every``, ...

    Parameters
    ----------
    state : gives ``pieces(name)`` and ``arrange(pieces)``
    made : variables that the host makes of V (n,), where they are asked for
    every, steps : steps between frames, steps of the whole run
    series : opens the file, given path, mesh, variables and number of frames
    """

    def __init__(self, section: Snapshots, mesh: Mesh, state: Any, backend: Any, every: int, steps: int,
                 path: Path | None, series: Callable[..., Any], made: Mapping[str, Made] = NOTHING) -> None:
        self._state, self._backend, self._every = state, backend, every
        self._made = {name: made[name] for name in section.variables if name in made}
        of_state = [name for name in section.variables if name not in made]
        self._names = tuple(dict.fromkeys([*of_state, *["V"] * bool(self._made)]))      # that are fetched
        self._wanted = section.variables
        self._pending: _Frame | None = None
        self._nodes: NDArray[np.int64] | slice = slice(None)
        if section.regions is not None:
            mesh, self._nodes = part_of(mesh, section.regions)
        self._series = series(path, mesh, section.variables, steps // every + 1)

    def see(self, n: int, t: float) -> None:
        if self._pending is not None and (self._pending.fetch.ready() or n % self._every == 0):
            self._write()
        if n % self._every == 0:
            pieces = {name: self._state.pieces(name) for name in self._names}
            arrays = {f"{name} {k}": piece[2] for name in self._names for k, piece in enumerate(pieces[name])}
            self._pending = _Frame(n, t, pieces, self._backend.fetch(arrays))
            if self._pending.fetch.ready():
                self._write()

    def _write(self) -> None:
        """The frame that was asked for last, unless the run broke before it."""
        frame, self._pending = self._pending, None
        if frame is None:
            return
        host = frame.fetch.get()
        if frame.fetch.step < frame.n:
            return
        values = {name: self._state.arrange([(begin, end, host[f"{name} {k}"])
                                             for k, (begin, end, _) in enumerate(pieces)])
                  for name, pieces in frame.pieces.items()}
        if self._backend.halo.first:
            values |= {name: make(values["V"]) for name, make in self._made.items()}
        self._series.append(frame.t, {name: values[name][self._nodes] for name in self._wanted if name in values})

    def memory(self) -> dict[str, Any]:
        """How many frames there are, for `recall`."""
        self._write()
        return {"frames": self._series.frames}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on after so many frames of an earlier run."""
        self._series.go_on(memory["frames"])

    def close(self) -> None:
        with closing(self._series):
            self._write()


@dataclass(frozen=True)
class _Frame:
    """A frame on its way to the host, while the next steps run."""

    n: int
    t: float
    pieces: dict[str, list[tuple[int, int, Any]]]
    fetch: Fetch


def part_of(mesh: Mesh, regions: Sequence[int | str]) -> tuple[Mesh, NDArray[np.int64]]:
    """The cells of some regions with their nodes, as a mesh, and the numbers of those nodes in the whole mesh.

    Raises
    ------
    MeshError for a region that the mesh lacks
    """
    keep = cells_of_regions(mesh, regions, "watch.snapshots.regions")
    used = np.zeros(mesh.n_points, bool)
    used[mesh.cells[keep]] = True
    strands = mesh.purkinje
    if strands is not None:
        used[strands.nodes] = np.isin(strands.tag, [region_tag(mesh, region) for region in regions])
        strands = strands.with_nodes(used, int(used[:mesh.n_tissue].sum()))
    nodes, number = np.flatnonzero(used), np.cumsum(used) - 1
    part = replace(
        mesh, points=mesh.points[nodes], cells=number[mesh.cells[keep]].astype(np.int32), purkinje=strands,
        region=mesh.region[keep], fibre=None if mesh.fibre is None else mesh.fibre[keep],
        sheet=None if mesh.sheet is None else mesh.sheet[keep], node_sets={}, point_data={},
        tree=None if mesh.tree is None else _tree_of(mesh.tree, nodes))
    return part, nodes.astype(np.int64)


def _tree_of(tree: Tree, nodes: NDArray[Any]) -> Tree:
    """What is known of some nodes; sections stay those of whole cells."""
    rank = np.append(np.full(len(tree.parent), -1), -1)
    rank[nodes] = np.arange(len(nodes))
    known = {f.name: getattr(tree, f.name) for f in fields(tree)}
    some = {name: value[nodes] for name, value in known.items() if isinstance(value, np.ndarray)}
    return replace(tree, **some | {"parent": rank[tree.parent[nodes]]})
