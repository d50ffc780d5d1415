"""Purkinje trees laid over a mesh of tissue: from a file or by rule, cut into pieces, and joined to the tissue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import PurkinjeTree, Tissue
from upstroke.errors import CaseError, MeshError
from upstroke.mesh.check import signed_sizes
from upstroke.mesh.locate import nodes_of_set
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.strands import Strands
from upstroke.units import parse

SAME = 1e-7        # of a tree's extent: points of a file nearer to each other than this are one


def with_purkinje(mesh: Mesh, trees: Sequence[PurkinjeTree], tissue: Tissue | None) -> Mesh:
    """The mesh with Purkinje trees: their nodes after those of the tissue.

    A piece of strand of length l and cross-section A = pi d^2 / 4 conducts g = sigma A / l and has the membrane
    beta A l, half of it at each end. A strand's end that is no root is joined to the tissue's nodes i within
    ``radius``, or else to the nearest one, by conductances V_i / (R sum V) with the volume V_i of each, so that a
    junction has the resistance R whatever the mesh.

    Raises
    ------
    CaseError, MeshError for a mesh that is not solid, a tree that cannot be read or does not grow, and a name that is
    taken already
    """
    if not trees:
        return mesh
    assert tissue is not None                                               # the case was checked
    if mesh.dim != 3:
        raise CaseError("purkinje", f"the tissue is made of {mesh.cell_name}, which have no volume", "Purkinje trees "
                        "need a solid mesh: tetrahedra, or a grid of cubes")
    volume, nodes = _volumes(mesh), mesh.n_points
    points, parts, notes = [mesh.points], [], list(mesh.notes)
    names, sets = dict(mesh.region_names), dict(mesh.node_sets)
    for k, tree in enumerate(trees):
        where = f"purkinje.{k}"
        if tree.name in names:
            raise CaseError(f"{where}.name", f"the mesh has a region {tree.name!r} already", "take another name")
        x, lines, root = _lines_of(tree, mesh, where)
        x, lines = _cut(x, lines, tree.dx)
        tag = max([int(mesh.region.max()), *names.values()]) + 1
        strands, told = _strands(tree, tissue.surface_to_volume, x, lines, root, tag, nodes, mesh, volume)
        notes += [f"{where}: {text}" for text in told]
        names[tree.name] = tag
        sets |= {tree.name: strands.nodes, f"{tree.name}_root": np.array([nodes + root]),
                 f"{tree.name}_ends": strands.ends}
        points.append(x)
        parts.append(strands)
        nodes += len(x)
    first = mesh.n_points
    merged = Strands(first, *(np.concatenate([getattr(part, name) for part in parts]) for name in (
        "lines", "region", "diameter", "conductance", "area", "tag", "junction", "coupling")))
    data = {name: np.concatenate([values, np.full(nodes - first, np.nan)]) for name, values in mesh.point_data.items()}
    return replace(mesh, points=np.concatenate(points), region_names=names, node_sets=sets, notes=tuple(notes),
                   point_data=data, purkinje=merged)


def _strands(tree: PurkinjeTree, beta: float, x: NDArray[np.float64], lines: NDArray[np.int64], root: int, tag: int,
             first: int, mesh: Mesh, volume: NDArray[np.float64]) -> tuple[Strands, list[str]]:
    """One tree, its nodes numbered from ``first``; and what the user should know of its junctions."""
    length: NDArray[np.float64] = np.linalg.norm(x[lines[:, 1]] - x[lines[:, 0]], axis=1)
    section = 0.25 * math.pi * tree.diameter ** 2
    area = (tree.surface_to_volume or beta) * section * np.bincount(lines.ravel(), np.repeat(0.5 * length, 2), len(x))
    degree = np.bincount(lines.ravel(), minlength=len(x))
    degree[root] = 0
    pairs, coupling, notes = _junctions(np.flatnonzero(degree == 1), x, mesh, volume, tree)
    pairs[:, 0] += first
    m, n = len(lines), len(x)
    conductance = np.asarray(tree.conductivity * section / length, np.float64)
    return Strands(first, (lines + first).astype(np.int32), np.full(m, tag, np.int32),
                   np.full(m, tree.diameter, np.float64), conductance, np.asarray(area, np.float64),
                   np.full(n, tag, np.int32), pairs, coupling), notes


def _junctions(ends: NDArray[np.int64], x: NDArray[np.float64], mesh: Mesh, volume: NDArray[np.float64],
               tree: PurkinjeTree) -> tuple[NDArray[np.int64], NDArray[np.float64], list[str]]:
    """Pairs of an end and a node of the tissue, their conductances (mS), and notes."""
    from scipy.spatial import cKDTree
    tissue = cKDTree(mesh.points)
    distance, nearest = (np.asarray(found) for found in tissue.query(x[ends]))
    far = distance > tree.radius
    found = [np.sort(np.array(nodes if nodes else [single])) for nodes, single in zip(
        tissue.query_ball_point(x[ends], tree.radius), nearest, strict=True)]
    count = [len(nodes) for nodes in found]
    pairs = np.column_stack([np.repeat(ends, count), np.concatenate([*found, np.empty(0, np.int64)])]).astype(np.int64)
    load = np.array([volume[nodes].sum() for nodes in found])
    coupling = volume[pairs[:, 1]] / np.repeat(load, count) / tree.resistance
    notes = [f"{far.sum():,} of its {len(ends):,} ends have no tissue within {10 * tree.radius:g} mm and are joined to "
             f"the nearest node, up to {10 * distance.max():.3g} mm away"] if far.any() else []
    return pairs, coupling, notes


def _volumes(mesh: Mesh) -> NDArray[np.float64]:
    """(n,) cm^3, of the tissue that belongs to each node: an equal part of each cell around it."""
    size = (np.full(mesh.n_cells, math.prod(mesh.grid.spacing)) if mesh.grid is not None
            else np.abs(signed_sizes(mesh.points, mesh.cells)) / 6.0)
    corners = mesh.cells.shape[1]
    return np.asarray(np.bincount(mesh.cells.ravel(), np.repeat(size / corners, corners), mesh.n_points), np.float64)


# ------------------------------------------------------------------------------------------------ where strands lie
def _lines_of(tree: PurkinjeTree, mesh: Mesh, where: str
              ) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Points (n, 3) cm, lines (m, 2) between them, and the number of the root."""
    if tree.fractal is not None:
        from upstroke.mesh.fractal import Surface, grow
        step = tree.fractal.length / math.ceil(tree.fractal.length / tree.dx)
        points, before = grow(tree.fractal, Surface(_triangles(mesh, tree.fractal.surface, where)), step)
        if len(points) < 2:
            raise MeshError(f"{where}.fractal", "the tree does not grow: its trunk leaves the surface at once",
                            "look where root and toward lie, and at the surface")
        child = np.arange(1, len(points))
        return points, np.column_stack([before[1:], child]), 0
    assert tree.file is not None and tree.unit is not None                   # the case was checked
    points, lines = read_lines(tree.file)
    points, lines = _merged(points * parse(f"1 {tree.unit}", "length"), lines, str(tree.file))
    root = 0 if tree.root is None else int(np.argmin(((points - np.array(tree.root)) ** 2).sum(axis=1)))
    return points, lines, root


def _triangles(mesh: Mesh, surface: str, where: str) -> NDArray[np.float64]:
    """(k, 3, 3) corners of the outer triangles of the mesh all of whose nodes are in a node set."""
    inside = np.zeros(mesh.n_points, bool)
    inside[nodes_of_set(mesh, surface, f"{where}.fractal.surface")] = True
    if mesh.grid is not None:                                                # squares of one cube only, halved
        squares = mesh.cells[:, [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]]]
        faces = squares.reshape(-1, 4)
    else:
        faces = mesh.cells[:, [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]].reshape(-1, 3)
    faces = faces[inside[faces].all(axis=1)]
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    outer = faces[np.sort(first[count == 1])]
    if not len(outer):
        raise MeshError(f"{where}.fractal.surface", f"no face of the mesh's surface has all its nodes in {surface!r}",
                        "name a node set that holds a part of the surface")
    if outer.shape[1] == 4:
        outer = np.concatenate([outer[:, [0, 1, 2]], outer[:, [0, 2, 3]]])
    return mesh.points[outer]


def read_lines(file: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points (n, 3) and lines (m, 2) of a file, in its unit; longer rows of points become lines one by one.

    Raises
    ------
    MeshError where it cannot be read or holds no lines
    """
    head = file.read_bytes()[:400] if file.is_file() else b""
    if head.startswith(b"# vtk DataFile") and b"POLYDATA" in head.upper():
        points, lines = _polydata(file)
    else:
        from upstroke.mesh.read import load
        raw = load(file)
        points = np.zeros((len(raw.points), 3))
        points[:, :raw.points.shape[1]] = raw.points
        lines = np.concatenate([np.empty((0, 2), np.int64),
                                *(block.data for block in raw.cells if block.type == "line")])
    if not len(lines):
        raise MeshError(str(file), "the file has no lines", "Purkinje strands are cells of the type line, or LINES")
    if lines.min() < 0 or lines.max() >= len(points):
        raise MeshError(str(file), f"a line names the point {lines.max()}, but there are points 0 to {len(points) - 1}",
                        "write the file again")
    if not np.isfinite(points).all():
        raise MeshError(str(file), "a point is not finite", "write the file again")
    return points, lines


def _polydata(file: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of a legacy VTK file of polydata in ASCII. Format: https://docs.vtk.org, "VTK file formats", legacy."""
    words = file.read_text(encoding="utf-8", errors="replace").split("\n", 2)[2].split()
    upper = [word.upper() for word in words]
    try:
        if upper[0] != "ASCII":
            raise MeshError(str(file), "this polydata is binary", "save it as ASCII, or as .vtu")
        at = upper.index("POINTS")
        points = np.array(words[at + 3:at + 3 + 3 * int(words[at + 1])], float).reshape(-1, 3)
        at = upper.index("LINES") if "LINES" in upper else len(words)
        numbers = [int(word) for word in words[at + 3:at + 3 + int(words[at + 2])]] if at < len(words) else []
    except (ValueError, IndexError) as error:
        raise MeshError(str(file), f"the file cannot be read as VTK polydata: {error}", "save it again, for example as "
                        ".vtu") from None
    lines, k = list[tuple[int, int]](), 0
    while k < len(numbers):
        row = numbers[k + 1:k + 1 + numbers[k]]
        lines += pairwise(row)
        k += 1 + numbers[k]
    return points, np.array(lines, np.int64).reshape(-1, 2)


def _merged(points: NDArray[np.float64], lines: NDArray[np.int64], where: str
            ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points of one place made one, those of no line dropped, and each line once; the order of the points stays."""
    extent = float(np.ptp(points, axis=0).max())
    if extent == 0.0:
        raise MeshError(where, "all points of the strands lie in one place", "write the file again")
    _, first, same = np.unique(np.round(points / (SAME * extent)), axis=0, return_index=True, return_inverse=True)
    lines = np.sort(first[same.ravel()][lines], axis=1)
    lines = np.unique(lines[lines[:, 0] != lines[:, 1]], axis=0)
    used, renumbered = np.unique(lines, return_inverse=True)
    return points[used], renumbered.reshape(-1, 2).astype(np.int64)


def _cut(points: NDArray[np.float64], lines: NDArray[np.int64], dx: float
         ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Lines cut into equal pieces not longer than ``dx``; new points come after the others."""
    start, along = points[lines[:, 0]], points[lines[:, 1]] - points[lines[:, 0]]
    count = np.maximum(np.ceil(np.linalg.norm(along, axis=1) / dx - 1e-9), 1).astype(np.int64)
    between = count - 1
    line = np.repeat(np.arange(len(lines)), between)
    place = np.arange(len(line)) - np.repeat(np.cumsum(between) - between, between) + 1
    new = start[line] + (place / count[line])[:, None] * along[line]
    number, pieces = len(points), list[tuple[int, int]]()
    for (a, b), n in zip(lines, between, strict=True):
        row = [a, *range(number, number + n), b]
        pieces += pairwise(row)
        number += n
    return np.concatenate([points, new]), np.array(pieces, np.int64)
