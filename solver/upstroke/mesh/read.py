"""Meshes from files: everything that meshio reads, and the carp formats (``mesh.carp``).

The cells of highest dimension make the mesh: blocks are concatenated, higher orders cut back to the corners, other
shapes split into simplices (``mesh.split``). Their named groups and tags become regions; named groups of lower
dimension, and point sets, become node sets.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import meshio
import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import FileMesh
from upstroke.errors import MeshError, did_you_mean
from upstroke.mesh import carp
from upstroke.mesh.check import checked, keep_nodes, require_node_numbers, signed_sizes
from upstroke.mesh.fibres import with_directions
from upstroke.mesh.groups import Groups, named_groups, node_sets, regions
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.split import PARTS, split
from upstroke.units import parse

DIMENSION = {"line": 1, "triangle": 2, "quad": 2, "tetra": 3, "pyramid": 3, "wedge": 3, "hexahedron": 3}
CORNERS = {"line": 2, "triangle": 3, "quad": 4, "tetra": 4, "pyramid": 5, "wedge": 6, "hexahedron": 8}
# VTK's rectangles and boxes have their nodes in the order of a grid; its Lagrange cells start with their corners
SPECIAL: dict[str, tuple[str, tuple[int, ...]]] = {
    "pixel": ("quad", (0, 1, 3, 2)), "voxel": ("hexahedron", (0, 1, 3, 2, 4, 5, 7, 6)),
    **{f"VTK_LAGRANGE_{long}": (kind, tuple(range(CORNERS[kind]))) for long, kind in (
        ("CURVE", "line"), ("TRIANGLE", "triangle"), ("QUADRILATERAL", "quad"), ("TETRAHEDRON", "tetra"),
        ("PYRAMID", "pyramid"), ("WEDGE", "wedge"), ("HEXAHEDRON", "hexahedron"))}}
FIBRE_DATA = ("fibre", "fiber", "fibres", "fibers")
SHEET_DATA = ("sheet", "sheets")
PLURAL = {"line": "segments", "triangle": "triangles", "quad": "quadrilaterals", "tetra": "tetrahedra",
          "pyramid": "pyramids", "wedge": "prisms", "hexahedron": "hexahedra"}


@dataclass(frozen=True)
class Block:
    """Cells of one shape: its name, its place in the file's list of blocks, and the nodes, all and the corners."""

    kind: str
    place: int
    nodes: NDArray[np.int64]
    corners: NDArray[np.int64]


@dataclass(frozen=True)
class Contents:
    """What a file holds, and its blocks of highest dimension."""

    file: Path
    raw: meshio.Mesh
    blocks: Sequence[Block]
    dim: int
    dropped: dict[str, int]

    @cached_property
    def parts(self) -> NDArray[np.int64]:
        """(simplices,) the number of the file's cell that each simplex is a part of."""
        counts = np.concatenate([np.full(len(b.corners), PARTS.get(b.kind, 1)) for b in self.blocks])
        return np.repeat(np.arange(len(counts)), counts)

    def cell_data(self, name: str) -> NDArray[Any]:
        """Cell data of the blocks of highest dimension, one row per cell of the file."""
        return np.concatenate([np.asarray(self.raw.cell_data[name][b.place]) for b in self.blocks])

    def find(self, names: Sequence[str]) -> str | None:
        """The first of these names that is the name of cell data, whatever its case."""
        lowered = {name.lower(): name for name in self.raw.cell_data}
        return next((lowered[name.lower()] for name in names if name.lower() in lowered), None)


def read_mesh(section: FileMesh) -> Mesh:
    """The mesh of a [mesh] table that names a file: read, in cm, with regions, node sets and fibres, checked."""
    contents = _contents(section.file, load(section.file))
    where = str(section.file)
    points = _points(contents) * parse(f"1 {section.unit}", "length")
    for block in contents.blocks:
        require_node_numbers(block.nodes, len(points), where)
    groups = named_groups(contents.raw, [b.place for b in contents.blocks])
    tags, names, notes = regions(section.region, contents.file, contents.raw, [b.place for b in contents.blocks],
                                 groups)
    mesh = Mesh(points, _simplices(contents, points), tags[contents.parts], names,
                node_sets=_node_sets(section, contents, groups, len(points)), point_data=_point_data(contents.raw),
                cell_data=_cell_data(contents), notes=(*_shape_notes(contents), *groups.notes, *notes))
    mesh = _without_mid_nodes(mesh, contents)
    mesh = _with_directions(section, contents, mesh)
    return checked(mesh, where, f'mesh.unit = "{section.unit}"')


# ------------------------------------------------------------------------------------------------ the file
def load(file: Path) -> meshio.Mesh:
    """What meshio makes of a file. It prints, warns and exits where it fails; here it raises ``MeshError``."""
    if not file.is_file():
        raise MeshError(str(file), "this is a folder, not a mesh file" if file.is_dir() else "there is no such file",
                        _neighbours(file))
    known = meshio.extension_to_filetypes
    if not any(file.name.lower().endswith(extension) for extension in known):
        raise MeshError(str(file), f"the ending {file.suffix!r} is not that of a mesh format",
                        f"known: {', '.join(sorted(known))}")
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()), \
                warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return meshio.read(file)
    except MeshError:
        raise
    except ModuleNotFoundError as error:
        raise MeshError(str(file), f"reading this format needs the Python package {error.name!r}",
                        f"pip install {error.name}") from None
    except MemoryError:
        raise MeshError(str(file), "the mesh does not fit into memory") from None
    except (Exception, SystemExit) as error:   # meshio raises whatever its format's reader stumbles over
        raise MeshError(str(file), f"the file cannot be read as {' or '.join(_formats(file))}"
                        f"{_reason(error, said.getvalue())}" if file.stat().st_size else "the file is empty",
                        _remedy(error)) from None


def _formats(file: Path) -> list[str]:
    return next((kinds for extension, kinds in sorted(meshio.extension_to_filetypes.items(), key=lambda e: -len(e[0]))
                 if file.name.lower().endswith(extension)), ["a mesh"])


def _reason(error: BaseException, said: str) -> str:
    """What was raised, or what meshio printed of it before it ended the process; often it says nothing."""
    printed = [line.strip() for line in said.splitlines() if line.strip()]
    raised = "" if isinstance(error, SystemExit) else "it is no text" if isinstance(error, UnicodeDecodeError) else \
        " ".join(str(error).split())
    reason = raised or (printed[-1] if printed else "")
    return f": {reason}" if reason else ""


def _remedy(error: BaseException) -> str:
    if "gmsh:physical" in str(error):                # meshio cannot read 4.1 files where an entity is in no group
        return "gmsh: put every entity into a physical group, or save only those that are in one (Mesh.SaveAll = 0)"
    return "open it with the program that wrote it, and save it again, for example as .vtu"


def _neighbours(file: Path) -> str:
    """Files with a similar name in the same folder."""
    names = [f.name for f in file.parent.iterdir() if f.is_file()] if file.parent.is_dir() else []
    hint = did_you_mean(file.name, names)
    return hint if hint.startswith("did") else "give the path of a mesh file, relative to the case file"


# ----------------------------------------------------------------------------------------------- the cells
def _contents(file: Path, raw: meshio.Mesh) -> Contents:
    blocks = list(_blocks(file, raw))
    dim = max((DIMENSION[b.kind] for b in blocks), default=0)
    if dim == 0:
        raise MeshError(str(file), "the file has no cells (segments, triangles, tetrahedra, ...), only points",
                        "save the mesh with its elements")
    dropped: dict[str, int] = {}
    for b in blocks:
        if DIMENSION[b.kind] < dim:
            dropped[b.kind] = dropped.get(b.kind, 0) + len(b.nodes)
    return Contents(file, raw, [b for b in blocks if DIMENSION[b.kind] == dim], dim, dropped)


def _blocks(file: Path, raw: meshio.Mesh) -> Iterator[Block]:
    for place, cells in enumerate(raw.cells):
        kind, order = _shape(cells.type)
        if kind == "vertex" or len(cells.data) == 0:
            continue
        nodes = np.asarray(cells.data) if kind in DIMENSION else np.zeros((0, 0), np.int64)
        if kind not in DIMENSION or nodes.ndim != 2 or nodes.shape[1] < CORNERS[kind]:
            raise MeshError(str(file), f"{len(cells.data):,} cells are of type {cells.type!r}, which cannot be split "
                            "into triangles or tetrahedra", f"known: {', '.join(CORNERS)}, of any order")
        yield Block(kind, place, nodes.astype(np.int64), nodes[:, order].astype(np.int64))


def _shape(name: str) -> tuple[str, Sequence[int]]:
    """The linear shape of a cell type ("tetra10": "tetra") and which of its nodes are the corners."""
    if name in SPECIAL:
        return SPECIAL[name]
    kind = re.sub(r"\d+$", "", name)
    return kind, range(CORNERS.get(kind, 0))


def _simplices(contents: Contents, points: NDArray[np.float64]) -> NDArray[np.int32]:
    """All cells as simplices; tetrahedra that were split from other shapes positively oriented."""
    simplices: list[NDArray[np.int64]] = []
    for b in contents.blocks:
        if b.kind not in PARTS:
            simplices.append(b.corners)
            continue
        made = split(b.kind, b.corners)
        if contents.dim == 3:
            sizes = signed_sizes(points, made).reshape(len(b.corners), -1)
            tangled = (sizes.min(axis=1) < 0) & (sizes.max(axis=1) > 0)
            if tangled.any():
                raise MeshError(str(contents.file), f"{tangled.sum():,} of {len(tangled):,} {PLURAL[b.kind]} are too "
                                "distorted to be split into tetrahedra (the first has the nodes "
                                f"{', '.join(map(str, b.corners[np.argmax(tangled)]))})", "repair these cells")
            inverted = sizes.ravel() < 0
            made[inverted, -2:] = made[inverted, :-3:-1]
        simplices.append(made)
    return np.concatenate(simplices).astype(np.int32)


def _points(contents: Contents) -> NDArray[np.float64]:
    """(n, 3); meshes in the plane get z = 0."""
    raw = np.atleast_2d(np.asarray(contents.raw.points, float))
    points = np.zeros((len(raw), 3))
    points[:, : raw.shape[1]] = raw[:, :3]
    return points


def _shape_notes(contents: Contents) -> Iterator[str]:
    for kind, count in contents.dropped.items():
        yield f"dropped {count:,} {PLURAL[kind]}: the mesh is made of the cells of highest dimension"
    for kind in dict.fromkeys(b.kind for b in contents.blocks):
        blocks = [b for b in contents.blocks if b.kind == kind]
        curved = sum(len(b.nodes) for b in blocks if b.nodes.shape[1] > b.corners.shape[1])
        if curved:
            yield f"{curved:,} {PLURAL[kind]} of higher order were cut back to their corners"
        if kind in PARTS:
            count = sum(len(b.nodes) for b in blocks)
            yield (f"split {count:,} {PLURAL[kind]} into {count * PARTS[kind]:,} "
                   f"{'triangles' if kind == 'quad' else 'tetrahedra'}")


def _without_mid_nodes(mesh: Mesh, contents: Contents) -> Mesh:
    """Without the nodes that only made cells curved: they are no strays."""
    curved = [b.nodes for b in contents.blocks if b.nodes.shape[1] > b.corners.shape[1]]
    if not curved:
        return mesh
    kept = np.ones(mesh.n_points, bool)
    for nodes in curved:
        kept[nodes] = False
    kept[mesh.cells] = True
    return keep_nodes(mesh, kept)


# --------------------------------------------------------------------------------- what belongs to the mesh
def _node_sets(section: FileMesh, contents: Contents, groups: Groups, n_points: int) -> dict[str, NDArray[np.int64]]:
    sets = node_sets(contents.raw, groups)
    for name, file in section.node_sets.items():
        sets[name] = carp.read_vtx(file)
    for name, nodes in sets.items():
        bad = (nodes < 0) | (nodes >= n_points)
        if bad.any():
            file = section.node_sets.get(name, contents.file)
            raise MeshError(str(file), f"{bad.sum():,} nodes of node set {name!r} do not exist (the first is "
                            f"{nodes[np.argmax(bad)]}; the mesh has nodes 0 to {n_points - 1:,})",
                            "node sets belong to one mesh only: write the set again for this one")
    return sets


def _point_data(raw: meshio.Mesh) -> dict[str, NDArray[np.float64]]:
    """The file's numbers at its nodes; what has several components at a node is no number."""
    arrays = {name: np.asarray(values) for name, values in raw.point_data.items()}
    return {name: values.reshape(len(raw.points)).astype(np.float64) for name, values in arrays.items()
            if values.size == len(raw.points) and values.dtype.kind in "fiub"}


def _cell_data(contents: Contents) -> dict[str, NDArray[np.float64]]:
    """The file's numbers of its cells, for each simplex; what has several components in a cell is no number."""
    arrays = {name: contents.cell_data(name) for name in contents.raw.cell_data
              if all(np.size(contents.raw.cell_data[name][b.place]) == len(b.nodes) for b in contents.blocks)}
    return {name: values.reshape(-1).astype(np.float64)[contents.parts] for name, values in arrays.items()
            if values.dtype.kind in "fiub"}


def _with_directions(section: FileMesh, contents: Contents, mesh: Mesh) -> Mesh:
    fibre, fibre_where = _direction(section.fibre, "fibre", FIBRE_DATA, contents)
    sheet, sheet_where = _direction(section.sheet, "sheet", SHEET_DATA, contents)
    if fibre is None and section.sheet is None and sheet is not None:
        note = f"the file has {sheet_where.split()[-1]} but no fibre directions: they are not used"
        return replace(mesh, notes=(*mesh.notes, note))
    return with_directions(mesh, fibre, sheet, (fibre_where, sheet_where))


def _direction(asked: tuple[float, ...] | str | None, key: str, names: Sequence[str], contents: Contents
               ) -> tuple[NDArray[np.float64] | None, str]:
    """One vector, or one per simplex, or None; and what error messages call it."""
    if isinstance(asked, tuple):
        return np.array(asked, float), f"mesh.{key}"
    name = contents.find(names) if asked is None else asked
    if name is None:
        return None, f"mesh.{key}"
    where = f"{contents.file}, cell data {name!r}"
    if name not in contents.raw.cell_data:
        if name in contents.raw.point_data:
            raise MeshError(f"mesh.{key}", f"{name!r} is point data; directions are taken per cell",
                            "convert it to cell data, for example in ParaView")
        raise MeshError(f"mesh.{key}", f"{contents.file} has no cell data {name!r}",
                        did_you_mean(name, contents.raw.cell_data))
    vectors = contents.cell_data(name)
    if vectors.ndim == 2 and vectors.shape[1] == 2:
        vectors = np.column_stack([vectors, np.zeros(len(vectors))])
    if vectors.ndim != 2 or vectors.shape[1] != 3 or vectors.dtype.kind not in "fiu":
        raise MeshError(where, f"each direction needs three components, the data have the shape {vectors.shape}",
                        f"name other cell data with mesh.{key}")
    return vectors[contents.parts], where
