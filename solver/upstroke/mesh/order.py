"""What belongs to which table of the case: cells, then nodes; and the order in which nodes are solved for.

The mesh, maps, probes and files count nodes as the mesh does. Only the operator, the stimuli and the arrays of a run
are in solve order: the nodes of each membrane follow each other, so that neighbours in memory run the same kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import CaseError
from upstroke.mesh.check import relative_sizes
from upstroke.mesh.locate import cells_of_regions, region_tag
from upstroke.mesh.mesh import Mesh

TIE = 1e-9      # relative: volumes this near to each other are equal


def table_of_cells(mesh: Mesh, regions: Sequence[tuple[int | str, ...] | None], where: str,
                   what: str) -> NDArray[np.int64]:
    """(m,) the number of the table that each cell belongs to.

    Parameters
    ----------
    regions : of each table: tags or names; None for the table of all regions that no other names
    where, what : the array of tables in the case, and what its tables give, for error messages

    Raises
    ------
    MeshError for a region that the mesh lacks; CaseError for one that two tables name (one by its tag, one by its
    name), and for regions that no table names
    """
    owner = np.full(mesh.n_cells, -1)
    for k, names in sorted(enumerate(regions), key=lambda item: item[1] is None):
        if names is None:
            owner[owner < 0] = k
            continue
        cells = cells_of_regions(mesh, names, f"{where}.{k}.regions")
        if (taken := cells & (owner >= 0)).any():
            raise CaseError(f"{where}.{k}.regions", f"region {int(mesh.region[taken][0])} belongs to {where}."
                            f"{owner[taken][0]} already", "name each region once, by its name or by its tag")
        owner[cells] = k
    if (owner < 0).any():
        missing = np.unique(mesh.region[owner < 0]).tolist()
        raise CaseError(where, f"regions {missing} have no {what} ({(owner < 0).sum()} cells)",
                        f"add a [[{where}]] table for them, or one without 'regions' for all others")
    return owner


def membranes_of_tissue(mesh: Mesh, regions: Sequence[tuple[int | str, ...] | None],
                        conduct: NDArray[np.bool_]) -> set[int]:
    """The numbers of the membrane tables that own cells which conduct, (m,); all others are of Purkinje strands, or of
    a bath or a scar."""
    return set(np.unique(table_of_cells(mesh, regions, "membrane", "membrane")[conduct]).tolist())


def membrane_of_nodes(mesh: Mesh, regions: Sequence[tuple[int | str, ...] | None],
                      conduct: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """(n,) the number of the membrane table of each node: the one that owns most of the volume of the cells around it.

    A tie goes to the earlier table. Cells that do not conduct, a scar or a bath, have no say where others do. On a
    neuron each compartment lies in one region, which decides.

    Parameters
    ----------
    regions : of each table, as in `table_of_cells`
    conduct : (m,) which cells do; None: all

    Raises
    ------
    as `table_of_cells`; CaseError for a table that owns no node
    """
    count = len(regions)
    cells = table_of_cells(mesh, regions, "membrane", "membrane")
    if count == 1 and (mesh.purkinje is None or regions[0] is None):
        return np.zeros(mesh.n_points, np.int64)
    owner = _by_volume(mesh, cells, count, conduct) if mesh.tree is None else _by_compartment(mesh, cells)
    if mesh.purkinje is not None:
        owner[mesh.n_tissue:] = _by_strand(mesh, regions)
    for k in range(count):
        if not (cells == k).any() and not (owner == k).any():
            raise CaseError(f"membrane.{k}", "is for all regions that no other table names, and there are none",
                            "remove this table")
        if not (owner == k).any():
            raise CaseError(f"membrane.{k}", "gets no node: at each node of its cells another membrane has the larger "
                            "part of the volume around it", "make the mesh finer there, or remove this table")
    return owner


def _by_volume(mesh: Mesh, cells: NDArray[np.int64], count: int,
               conduct: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """(n,) the membrane with the largest share of the volume around each node."""
    sizes = relative_sizes(mesh)
    share = _shares(mesh, cells, count, sizes)
    if conduct is not None and not conduct.all():
        of_tissue = _shares(mesh, cells, count, np.where(conduct, sizes, 0.0))
        share = np.where(of_tissue.any(axis=1, keepdims=True), of_tissue, share)
    return np.argmax(share >= (1.0 - TIE) * share.max(axis=1, keepdims=True), axis=1)


def _shares(mesh: Mesh, cells: NDArray[np.int64], count: int, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, count) of each node's volume, by membrane."""
    share = np.zeros((mesh.n_points, count))
    for corner in mesh.cells.T:                  # one after the other, to spare memory
        share += np.bincount(corner.astype(np.int64) * count + cells, sizes, share.size).reshape(share.shape)
    return share


def _by_compartment(mesh: Mesh, cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the membrane of the segment between each node and its parent; a root has that of the node after it, and an
    end where nothing follows that of the compartment there."""
    assert mesh.tree is not None
    owner = np.empty(mesh.n_points, np.int64)
    owner[mesh.cells[:, 1]] = cells
    roots = np.flatnonzero(mesh.tree.parent < 0)
    owner[roots] = owner[roots + 1]
    return owner[mesh.tree.known_at]


def _by_strand(mesh: Mesh, regions: Sequence[tuple[int | str, ...] | None]) -> NDArray[np.int64]:
    """(p,) the membrane of each node of a Purkinje strand: the table that names its tree, or the one for all others."""
    assert mesh.purkinje is not None
    tag = mesh.purkinje.tag
    rest = next((k for k, names in enumerate(regions) if names is None), -1)
    owner = np.full(len(tag), rest)
    for k, names in enumerate(regions):
        owner[np.isin(tag, [region_tag(mesh, name) for name in names or ()])] = k
    if (owner < 0).any():
        name = next(name for name, known in mesh.region_names.items() if known == tag[owner < 0][0])
        raise CaseError("membrane", f"the Purkinje tree {name!r} has no membrane", "add a [[membrane]] table with "
                        f'regions = ["{name}"], or one without \'regions\' for all others')
    return owner


def lost_cells_notes(mesh: Mesh, regions: Sequence[tuple[int | str, ...] | None],
                     owner: NDArray[np.int64]) -> list[str]:
    """A note for each membrane with cells that have no node of it, where regions are as fine as the mesh.

    ``owner`` is what `membrane_of_nodes` found.
    """
    cells = table_of_cells(mesh, regions, "membrane", "membrane")
    lost = np.ones(mesh.n_cells, bool)
    for corner in mesh.cells.T:
        lost &= owner[corner] != cells
    return [f"membrane.{k}: {n:,} of its {(cells == k).sum():,} cells have no node with it: at each of their nodes "
            "another membrane has the larger part of the volume around it, or as much and an earlier table"
            for k in range(len(regions)) if (n := int(lost[cells == k].sum()))]


def solve_order(owner: NDArray[np.int64], stiffness: Any, *, keep: bool) -> NDArray[np.int64]:
    """(n,) the mesh's number of each node in turn: membrane by membrane and, within, so that neighbours are near.

    Within a membrane: reverse Cuthill-McKee on the pattern of ``stiffness`` (E. Cuthill, J. McKee, Proc. 24th ACM
    National Conference, 157 (1969), doi 10.1145/800195.805928; reversed: A. George, thesis, Stanford (1971)).

    Parameters
    ----------
    owner : (n,) the membrane of each node
    stiffness : (n, n) CSR, symmetric
    keep : leave the nodes of a membrane in the mesh's own order, where that is a good one
    """
    parts = [np.flatnonzero(owner == k) for k in range(owner.max() + 1)]
    if not keep:
        from scipy.sparse.csgraph import reverse_cuthill_mckee
        parts = [part[reverse_cuthill_mckee(_pattern(stiffness, part), symmetric_mode=True)] for part in parts]
    return np.concatenate(parts)


def _pattern(matrix: Any, nodes: NDArray[np.int64]) -> Any:
    """The rows and columns of some nodes; all of them as they are."""
    return matrix if len(nodes) == matrix.shape[0] else matrix[nodes][:, nodes]
