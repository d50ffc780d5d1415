"""Regions of a neuron by expressions, ``type == "apical" and distance > 100 um``, and numbers of nodes and cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import CaseError, MeshError, did_you_mean
from upstroke.mesh.compartments import TAGS
from upstroke.mesh.expressions import Kind, Quantity, condition, number
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.numbers import read_numbers

FIRST_TAG = 10 ** 6     # of regions by expression; types have small numbers


def with_regions(mesh: Mesh, regions: Mapping[str, str]) -> Mesh:
    """The mesh of a neuron with named regions: each segment belongs to the first whose expression holds at the node
    that it leads to, else to its type.

    Raises
    ------
    CaseError for an expression that cannot be read or holds nowhere, and for a name that is a type's
    """
    assert mesh.tree is not None
    known = places(mesh)
    tags, names = mesh.region.copy(), dict(mesh.region_names)
    first = max(FIRST_TAG, *(tag + 1 for tag in names.values()))
    node, free = mesh.cells[:, 1], np.ones(mesh.n_cells, bool)
    for k, (name, expression) in enumerate(regions.items()):
        where = f"mesh.regions.{name}"
        if name in TAGS or name in mesh.region_names:
            raise CaseError(where, "is the name of a type already", "give the region another name")
        holds = condition(expression, known, mesh.n_points, where)[node]
        if not holds.any():
            raise CaseError(where, f"{expression!r} holds nowhere on this cell", "`upstroke check` lists what the cell "
                            "has when this region is left out")
        if not (holds & free).any():
            raise CaseError(where, f"wherever {expression!r} holds, an earlier region holds, too",
                            "put the narrower region first")
        tags[holds & free] = names[name] = first + k
        free &= ~holds
    return replace(mesh, region=tags, region_names={name: tag for name, tag in names.items() if (tags == tag).any()})


def places(mesh: Mesh, nodes: NDArray[np.int64] | None = None) -> dict[str, Quantity]:
    """What expressions may ask of some nodes, by default of all: where they lie, and point data.

    On a neuron: type, section, distance, diameter, x (0..1 along the section), in a network also population; elsewhere
    the coordinates x, y, z.
    """
    at, tree = slice(None) if nodes is None else nodes, mesh.tree

    def known(kind: Kind, values: NDArray[np.float64]) -> Quantity:
        return Quantity(kind, lambda: values[at])

    data = {name: known(0, values) for name, values in mesh.point_data.items()}
    if tree is None:
        return data | {axis: known(1, mesh.points[:, k]) for k, axis in enumerate("xyz")}
    populations = tree.populations
    named = {"population": Quantity("text", lambda: np.repeat(
        [p.name for p in populations], [p.count * p.n_nodes for p in populations])[at])} if populations[0].name else {}
    return data | named | {
        "type": Quantity("text", lambda: np.array([s.type for s in tree.sections])[tree.section[at]]),
        "section": Quantity("text", lambda: np.array([s.name for s in tree.sections])[tree.section[at]]),
        "distance": known(1, tree.distance), "diameter": known(1, tree.diameter), "x": known(0, tree.x)}


def places_of_cells(mesh: Mesh) -> dict[str, Quantity]:
    """What expressions may ask of the cells of tissue: the coordinates x, y, z of their middles, cell data, and means
    of point data over their corners."""
    def of_nodes(kind: Kind, values: NDArray[np.float64]) -> Quantity:
        return Quantity(kind, lambda: values[mesh.cells].mean(axis=1))

    def own(values: NDArray[np.float64]) -> Quantity:
        return Quantity(0, lambda: values)

    return {name: of_nodes(0, values) for name, values in mesh.point_data.items()} | {
        name: own(values) for name, values in mesh.cell_data.items()} | {
        axis: of_nodes(1, mesh.points[:, k]) for k, axis in enumerate("xyz")}


def values_at(mesh: Mesh, text: str, nodes: NDArray[np.int64], where: str,
              whose: str = "membrane") -> NDArray[np.float64]:
    """Numbers at some nodes: the mesh's point data of a name, a file, or an expression.

    Raises
    ------
    MeshError, CaseError at ``where`` for point data that the mesh lacks, for a file of something else, for an
    expression that is none, and for nodes (of ``whose``) without a value
    """
    if text in mesh.point_data:
        values, what = mesh.point_data[text][nodes], f"the point data {text!r} have no value"
    elif _is_file(text):
        values = np.full(mesh.n_points, np.nan)                          # of Purkinje strands a file knows nothing
        values[:mesh.n_tissue] = read_numbers(Path(text), mesh.n_tissue, "node", where)
        values = values[nodes]
        what = f"{Path(text).name} has no finite value"
    else:
        known = places(mesh, nodes)
        if text.strip().isidentifier() and text.strip() not in known:
            raise MeshError(where, f"the mesh has no point data {text!r}", did_you_mean(text, mesh.point_data)
                            if mesh.point_data else "mesh files have point data, one number per node, and sections of "
                            "a neuron values; or give an expression, such as "
                            f"'0.1 + 0.3 * {'x' if mesh.tree is None else 'distance'} / (100 um)'")
        values, what = number(text, known, len(nodes), where), f"{text!r} has no finite value"
    if (bad := ~np.isfinite(values)).any():
        remedy = ("write them for all nodes of its regions" if text in mesh.point_data or _is_file(text) else
                  "see where it divides by 0, overflows, or takes a root or a logarithm of what has none; point data "
                  "may lack values")
        raise MeshError(where, f"{what} at {bad.sum():,} of the {len(nodes):,} nodes of this {whose} (the first is "
                        f"node {nodes[bad].min()})", remedy)
    return values


def values_in_cells(mesh: Mesh, text: str, where: str) -> NDArray[np.float64]:
    """(m,) numbers of the cells of tissue: the mesh's cell data of a name, a file, or an expression; not finite where
    they have none.

    Raises
    ------
    MeshError, CaseError at ``where`` for data that the mesh lacks, for a file of something else, and for an expression
    that is none
    """
    if _is_file(text):
        return read_numbers(Path(text), mesh.n_cells, "cell", where)
    if text in mesh.cell_data:
        return mesh.cell_data[text]
    known = places_of_cells(mesh)
    if text.strip().isidentifier() and text.strip() not in known:
        data = [*mesh.cell_data, *mesh.point_data]
        raise MeshError(where, f"the mesh has no cell data {text!r}", did_you_mean(text, data) if data else
                        "mesh files have cell data, one number per cell; or give an expression, such as "
                        "'0.1 + 0.9 * x / (20 mm)'")
    return number(text, known, mesh.n_cells, where)


def _is_file(text: str) -> bool:
    """Whether a text of the case is the path of a file: the loader has made such paths absolute."""
    return Path(text).is_absolute()
