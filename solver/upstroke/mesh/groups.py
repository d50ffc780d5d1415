"""What files call parts of a mesh: tags and named groups of cells, sets of points; as regions and node sets.

A group is known by its name and the rows that it takes of each of the file's blocks of cells. Groups come as
physical names (gmsh), families (MED), or sets (Abaqus, FLAC3D). Groups of cells of the highest dimension name
regions; the nodes of all others, and point sets, are node sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import meshio
import numpy as np
from numpy.typing import NDArray

from upstroke.errors import MeshError, did_you_mean

# cell data that mean regions, the first that a file has: the formats' own, then the usual names
REGION_DATA = ("gmsh:physical", "medit:ref", "tetgen:ref", "nastran:ref", "netgen:index", "avsucd:material", "su2:tag",
               "cell_tags", "region", "regions", "region_id", "regionid", "tag", "tags", "elemtag", "elem_tag",
               "material", "material_id", "materialids", "cellentityids", "attribute", "gmsh:geometrical")


@dataclass(frozen=True)
class Groups:
    """Named groups, each with its rows of each block, split by whether they hold cells of the highest dimension."""

    cells: Mapping[str, Mapping[int, NDArray[np.int64]]]
    boundary: Mapping[str, Mapping[int, NDArray[np.int64]]]
    notes: tuple[str, ...] = ()


def named_groups(raw: meshio.Mesh, top: Sequence[int]) -> Groups:
    """All named groups of a file; ``top`` are its blocks of highest dimension."""
    found: dict[str, dict[int, NDArray[np.int64]]] = {}
    notes: list[str] = []
    for name, per_block in raw.cell_sets.items():
        if not name.startswith("gmsh:"):
            try:
                found[name] = {k: np.asarray(rows, np.int64) for k, rows in enumerate(per_block) if rows is not None}
            except (TypeError, ValueError):             # meshio nests Abaqus sets that are made of other sets
                notes.append(f"cell set {name!r} is made of other sets and was left out")
    for name, entry in raw.field_data.items():          # gmsh: name -> [tag, dimension]
        if name not in found and "gmsh:physical" in raw.cell_data and np.size(entry) == 2:
            tag, dim = (int(x) for x in entry)
            found[name] = {k: np.flatnonzero(np.asarray(tags) == tag)
                           for k, tags in enumerate(raw.cell_data["gmsh:physical"]) if raw.cells[k].dim == dim}
    for family, names in getattr(raw, "cell_tags", {}).items():     # MED: family -> names of its groups
        for name in names:
            blocks = found.setdefault(name, {})
            for k, tags in enumerate(raw.cell_data.get("cell_tags", [])):
                rows = np.flatnonzero(np.asarray(tags) == family)
                blocks[k] = np.concatenate([blocks[k], rows]) if k in blocks else rows
    found = {name: {k: rows for k, rows in blocks.items() if len(rows)} for name, blocks in found.items()}
    cells = {name: blocks for name, blocks in found.items() if any(k in top for k in blocks)}
    return Groups(cells, {name: blocks for name, blocks in found.items() if blocks and name not in cells},
                  tuple(notes))


def node_sets(raw: meshio.Mesh, groups: Groups) -> dict[str, NDArray[np.int64]]:
    """The nodes of each group and of each point set; a point set of the same name wins."""
    sets = {name: np.unique(np.concatenate([np.asarray(raw.cells[k].data)[rows].ravel() for k, rows in blocks.items()])
                            ).astype(np.int64) for name, blocks in {**groups.cells, **groups.boundary}.items()}
    for family, names in getattr(raw, "point_tags", {}).items():
        for name in names:
            nodes = np.flatnonzero(np.asarray(raw.point_data["point_tags"]) == family)
            sets[name] = np.union1d(sets.get(name, nodes), nodes)
    for name, nodes in raw.point_sets.items():
        sets[name] = np.unique(np.asarray(nodes, np.int64))
    return sets


def regions(asked: str | None, file: Path, raw: meshio.Mesh, top: Sequence[int], groups: Groups
            ) -> tuple[NDArray[np.int32], dict[str, int], list[str]]:
    """The tag of each cell of highest dimension, the tags' names, and notes.

    Tags come from the cell data ``asked`` for, else from the first of ``REGION_DATA`` that are not all zero, else from
    the named groups where these are disjoint (numbered from 1), else all are 0. A name belongs to a tag where its group
    is exactly the cells of that tag; other groups keep their name as node sets only.
    """
    sizes = [len(raw.cells[k].data) for k in top]
    offset = dict(zip(top, np.cumsum([0, *sizes[:-1]]), strict=True))
    rows_of = {name: np.concatenate([rows + offset[k] for k, rows in blocks.items() if k in offset])
               for name, blocks in groups.cells.items()}
    tags = _tags(asked, file, raw, top)
    if tags is None:
        tags = np.zeros(sum(sizes), np.int32)
        covering = np.concatenate([*rows_of.values(), np.zeros(0, np.int64)])
        if len(np.unique(covering)) == len(covering):
            for number, rows in enumerate(rows_of.values(), 1):
                tags[rows] = number
    names, notes = {}, []
    for name, rows in rows_of.items():
        tag = tags[rows[0]]
        if len(rows) == (tags == tag).sum() and (tags[rows] == tag).all():
            names[name] = int(tag)
        else:
            notes.append(f"group {name!r} is not the cells of one region tag: it is a node set, not a region")
    return tags, names, notes


def _tags(asked: str | None, file: Path, raw: meshio.Mesh, top: Sequence[int]) -> NDArray[np.int32] | None:
    if asked is not None and asked not in raw.cell_data:
        raise MeshError("mesh.region", f"{file} has no cell data {asked!r}", did_you_mean(asked, raw.cell_data))
    lowered = {name.lower(): name for name in raw.cell_data}
    candidates = [asked] if asked is not None else [lowered[name] for name in REGION_DATA if name in lowered]
    for name in candidates:
        tags = _whole(np.concatenate([np.asarray(raw.cell_data[name][k]) for k in top]))
        if tags is None and asked is not None:
            raise MeshError("mesh.region", f"cell data {name!r} of {file} are not whole numbers below 2^31, one per "
                            "cell", "name the cell data that hold the region tags")
        if tags is not None and (tags.any() or asked is not None):     # formats fill in zeros where there is no tag
            return tags
    return None


def _whole(values: NDArray[Any]) -> NDArray[np.int32] | None:
    """The values as int32 where they are whole numbers, one per cell, else None."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "fiub":
        return None
    if not np.isfinite(values).all() or (np.abs(values.astype(float)) >= 2.0**31).any():
        return None
    tags = values.astype(np.int32)
    return tags if (tags == values).all() else None
