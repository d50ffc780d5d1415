"""What a mesh must be before anything is computed on it: errors where it is unusable, notes where it was mended.

``checked`` runs every check in order. Errors name how many cells are meant and the first of them (cells and nodes
count from 0). Mended, with a note: nodes of no cell are dropped, inverted tetrahedra turned. Only noted: several
disconnected parts, a size that suggests a wrong unit (a note that starts with "warning: ").
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import MeshError
from upstroke.mesh.mesh import SIMPLICES, Mesh
from upstroke.mesh.topology import parts

FLAT = 1e-10                # smallest ratio of d! times a cell's size to its longest edge to the d
LARGE, SMALL = 100.0, 1e-3  # cm: a bounding box diagonal outside these is suspicious
COARSE, FINE = 0.5, 1e-4    # cm: so is a median edge outside these


def checked(mesh: Mesh, where: str, unit: str = "") -> Mesh:
    """The mesh with stray nodes dropped and inverted tetrahedra turned, with notes; see the module.

    Parameters
    ----------
    where : the file, for error messages
    unit : what the user set the unit with, for the warning about the size, e.g. 'mesh.unit = "um"'
    """
    require_node_numbers(mesh.cells, mesh.n_points, where)
    mesh = _without_stray_nodes(mesh)
    _require_finite_points(mesh, where)
    _require_distinct_nodes(mesh, where)
    mesh = _turned(mesh, _require_volume(mesh, where))
    _require_distinct_cells(mesh, where)
    return replace(mesh, notes=(*mesh.notes, *parts_notes(mesh), *size_notes(mesh, unit)))


def require_node_numbers(cells: NDArray[np.integer], n_points: int, where: str) -> None:
    bad: NDArray[np.bool_] = np.any((cells < 0) | (cells >= n_points), axis=1)
    if bad.any():
        first = np.argmax(bad)
        raise MeshError(where, f"{_of_cells(bad)} refer to nodes that do not exist (the first is cell {first} with "
                        f"nodes {', '.join(map(str, cells[first]))}; the mesh has nodes 0 to {n_points - 1:,})",
                        "write the mesh again; points and cells may belong to different meshes")


def relative_sizes(mesh: Mesh) -> NDArray[np.float64]:
    """The size of each cell, (m,), but for a factor that all share."""
    return np.abs(signed_sizes(mesh.points, mesh.cells)) if mesh.grid is None else np.ones(mesh.n_cells)


def signed_sizes(points: NDArray[np.float64], cells: NDArray[np.integer]) -> NDArray[np.float64]:
    """d! times the length, area or signed volume of each simplex, (m,), cm^d."""
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    if edges.shape[1] == 1:
        return np.linalg.norm(edges[:, 0], axis=1)
    normal = np.cross(edges[:, 0], edges[:, 1])
    if edges.shape[1] == 2:
        return np.linalg.norm(normal, axis=1)
    return np.einsum("ij,ij->i", normal, edges[:, 2])


def longest_edges(mesh: Mesh) -> NDArray[np.float64]:
    """The longest edge of each cell, (m,), cm."""
    longest = np.zeros(mesh.n_cells)
    for a, b in mesh.edges:
        d = mesh.points[mesh.cells[:, a]] - mesh.points[mesh.cells[:, b]]
        np.maximum(longest, np.einsum("ij,ij->i", d, d), out=longest)
    return np.sqrt(longest)


def parts_notes(mesh: Mesh) -> list[str]:
    """A note with the number and sizes of the parts where the mesh is not in one piece."""
    part = parts(mesh.cells, mesh.n_points)
    return parts_note(np.bincount(part[mesh.cells[:, 0]], minlength=part.max() + 1))


def parts_note(cells: NDArray[np.integer]) -> list[str]:
    """A note where there are several parts, of so many cells each."""
    n = len(cells)
    if n == 1:
        return []
    sizes = np.sort(cells)[::-1]
    shown = ", ".join(f"{s:,}" for s in sizes[:5]) + (", ..." if n > 5 else "")
    return [f"the mesh is in {n:,} disconnected parts, of {shown} cells; nothing propagates from one to another"]


def size_notes(mesh: Mesh, unit: str) -> list[str]:
    """A warning where the bounding box or the median edge is unlike tissue; ``unit`` says what to look at."""
    diagonal = math.dist(mesh.points.min(axis=0), mesh.points.max(axis=0))
    sample = mesh.cells[:: max(1, mesh.n_cells // 20_000)]
    a, b = np.transpose(mesh.edges)
    edge = float(np.median(np.linalg.norm(mesh.points[sample[:, a]] - mesh.points[sample[:, b]], axis=2)))
    if not (SMALL <= diagonal <= LARGE):
        seen = f"the mesh is {_length(diagonal)} across"
    elif not (FINE <= edge <= COARSE):
        seen = f"half of the mesh's edges are {'longer' if edge > COARSE else 'shorter'} than {_length(edge)}"
    else:
        return []
    return [f"warning: {seen}: check {unit}" if unit else f"warning: {seen}"]


def _length(cm: float) -> str:
    """A length in the unit that suits it."""
    for name, size in (("km", 1e5), ("m", 1e2), ("cm", 1.0), ("mm", 1e-1), ("um", 1e-4)):
        if cm >= size:
            return f"{cm / size:.3g} {name}"
    return f"{cm / 1e-7:.3g} nm"


def _of_cells(bad: NDArray[np.bool_]) -> str:
    return f"{bad.sum():,} of {len(bad):,} cells"


def _require_finite_points(mesh: Mesh, where: str) -> None:
    bad: NDArray[np.bool_] = ~np.all(np.isfinite(mesh.points), axis=1)
    if bad.any():
        raise MeshError(where, f"{bad.sum():,} of {len(bad):,} points are not finite (the first is point "
                        f"{np.argmax(bad)})", "write the mesh again")


def _require_distinct_nodes(mesh: Mesh, where: str) -> None:
    ordered = np.sort(mesh.cells, axis=1)
    bad = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if bad.any():
        first = np.argmax(bad)
        raise MeshError(where, f"{_of_cells(bad)} use a node twice (the first is cell {first} with nodes "
                        f"{', '.join(map(str, mesh.cells[first]))})", "remove these collapsed cells from the mesh")


def _require_volume(mesh: Mesh, where: str) -> NDArray[np.float64]:
    """The signed sizes, none of them zero."""
    sizes = signed_sizes(mesh.points, mesh.cells)
    longest = longest_edges(mesh)
    across = math.dist(mesh.points.min(axis=0), mesh.points.max(axis=0))
    bad = (np.abs(sizes) <= FLAT * longest**mesh.dim) | (longest <= 1e-12 * across)
    if bad.any():
        first = np.argmax(bad)
        what = ("", "length", "area", "volume")[mesh.dim]
        raise MeshError(where, f"{bad.sum():,} of {len(bad):,} {SIMPLICES[mesh.dim]} have no {what} (the first is cell "
                        f"{first} with nodes {', '.join(map(str, mesh.cells[first]))})",
                        "remove these flat cells, or mesh the domain again with a quality limit")
    return sizes


def _turned(mesh: Mesh, sizes: NDArray[np.float64]) -> Mesh:
    """Negative tetrahedra with their last two nodes swapped."""
    inverted = sizes < 0
    if not inverted.any():
        return mesh
    cells = mesh.cells.copy()
    cells[inverted, -2:] = cells[inverted, :-3:-1]
    note = f"{inverted.sum():,} of {len(inverted):,} tetrahedra were inside out: two of their nodes were swapped"
    return replace(mesh, cells=cells, notes=(*mesh.notes, note))


def _require_distinct_cells(mesh: Mesh, where: str) -> None:
    """No cell twice: it would conduct twice. Compared by a hash of the sorted nodes, then exactly."""
    ordered = np.sort(mesh.cells, axis=1).astype(np.uint64)
    hashes = ordered @ np.random.default_rng(0).integers(2**63, 2**64, ordered.shape[1], np.uint64)
    _, back, count = np.unique(hashes, return_inverse=True, return_counts=True)
    suspects = np.flatnonzero(count[back] > 1)
    _, first, back = np.unique(ordered[suspects], axis=0, return_index=True, return_inverse=True)
    again = np.flatnonzero(suspects[first][back.ravel()] != suspects)
    if len(again):
        cell = suspects[again[0]]
        raise MeshError(where, f"{len(again):,} of {mesh.n_cells:,} cells are repetitions (the first is cell {cell}, "
                        f"the same as cell {suspects[first][back.ravel()][again[0]]})",
                        "remove the copies; gmsh writes a cell once for each physical group that it is in, "
                        "so put each entity into one group")


def _without_stray_nodes(mesh: Mesh) -> Mesh:
    """Nodes of no cell dropped. More strays than nodes is worth a warning only: a mesh of the heart may come with the
    points of the whole torso."""
    used = np.zeros(mesh.n_points, bool)
    used[mesh.cells] = True
    strays = mesh.n_points - int(used.sum())
    if not strays:
        return mesh
    kept = keep_nodes(mesh, used)
    notes = [f"dropped {strays:,} of {mesh.n_points:,} nodes, which belong to no cell; the rest was renumbered"]
    notes += [f"node set {name!r} lost {len(nodes) - len(kept.node_sets[name]):,} of its {len(nodes):,} nodes with them"
              for name, nodes in mesh.node_sets.items() if len(nodes) > len(kept.node_sets[name])]
    if strays > mesh.n_points / 2:
        notes[0] = f"warning: {notes[0]} (do points and cells belong to the same mesh?)"
    return replace(kept, notes=(*mesh.notes, *notes))


def keep_nodes(mesh: Mesh, kept: NDArray[np.bool_]) -> Mesh:
    """The mesh with only these nodes (all nodes of its cells are among them), and all that refers to them."""
    number = np.cumsum(kept) - 1
    return replace(mesh, points=mesh.points[kept], cells=number[mesh.cells].astype(np.int32),
                   node_sets={name: number[nodes[kept[nodes]]] for name, nodes in mesh.node_sets.items()},
                   point_data={name: values[kept] for name, values in mesh.point_data.items()})
