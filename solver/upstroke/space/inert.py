"""Cells that do not conduct: the operator is that of the mesh without them, and nodes of nothing else stand alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.case.schema import Cable, Tissue
from upstroke.errors import CaseError
from upstroke.mesh.check import keep_nodes, signed_sizes
from upstroke.mesh.mesh import Mesh
from upstroke.space.conductivity import axis_values, cells_where
from upstroke.space.operator import Operator


def conducting(mesh: Mesh, coupling: Tissue | Cable) -> NDArray[np.bool_]:
    """(m,) whether each cell conducts: a bath does not, whose conductivity is all extracellular."""
    if isinstance(coupling, Cable) or all(any(axis_values(table)) for table in coupling.conductivity):
        return np.ones(mesh.n_cells, bool)
    return cells_where(mesh, coupling, lambda table: any(axis_values(table)))


def around_inert(mesh: Mesh, cells: NDArray[np.bool_], discretised: Callable[[Mesh], Operator]) -> Operator:
    """The operator of a mesh of which only some cells conduct. No flux passes their edge, as if the others were not
    there: these have no part in the volume of a node that conducts. Nodes of no conducting cell are coupled to none.

    Parameters
    ----------
    cells : (m,) which conduct
    discretised : the operator of a mesh that consists of these

    Raises
    ------
    CaseError where none conducts
    """
    if not cells.any():
        raise CaseError("tissue.conductivity", "no cell of the mesh conducts", "give one of its regions a conductivity")
    kept = np.zeros(mesh.n_points, bool)
    kept[mesh.cells[cells]] = True
    part = replace(mesh, cells=mesh.cells[cells], region=mesh.region[cells], bricks=None,
                   cell_data={name: values[cells] for name, values in mesh.cell_data.items()},
                   fibre=None if mesh.fibre is None else mesh.fibre[cells],
                   sheet=None if mesh.sheet is None else mesh.sheet[cells])
    operator = discretised(keep_nodes(part, kept))
    volume = _volumes(mesh)
    volume[kept] = operator.lumped_mass
    return replace(operator, lumped_mass=volume, stiffness=_among_all(operator.stiffness, kept, 0.0 * volume),
                   mass=_among_all(operator.mass, kept, volume))


def _among_all(matrix: sparse.csr_array, kept: NDArray[np.bool_], alone: NDArray[np.float64]) -> sparse.csr_array:
    """The matrix of the kept nodes among those of all, others with an entry on the diagonal only."""
    number, others = np.flatnonzero(kept), np.flatnonzero(~kept)
    entries = matrix.tocoo()
    rows, columns = (np.concatenate([number[axis], others]) for axis in entries.coords)
    n = len(kept)
    return sparse.csr_array(sparse.coo_array((np.concatenate([entries.data, alone[others]]), (rows, columns)),
                                             shape=(n, n)))


def _volumes(mesh: Mesh) -> NDArray[np.float64]:
    """(n,) cm^d, each node's share of the cells around it."""
    if mesh.grid is not None:
        sizes = np.full(mesh.n_cells, math.prod(mesh.grid.spacing))
    else:
        sizes = np.abs(signed_sizes(mesh.points, mesh.cells)) / math.factorial(mesh.dim)
    corners = mesh.cells.shape[1]
    return np.asarray(np.bincount(mesh.cells.ravel(), np.repeat(sizes / corners, corners), mesh.n_points), np.float64)


def inert_notes(mesh: Mesh, coupling: Tissue | Cable) -> list[str]:
    """What the user should know of cells that do not conduct."""
    if isinstance(coupling, Cable):
        return []
    cells = conducting(mesh, coupling)
    if cells.all():
        return []
    alone = len(np.setdiff1d(mesh.cells[~cells], mesh.cells[cells]))
    bath = int((cells_where(mesh, coupling, lambda table: table.extracellular is not None) & ~cells).sum())
    return [f"{(~cells).sum():,} of {mesh.n_cells:,} cells do not conduct; no current passes their edge"
            + (f" but outside cells: {bath:,} are of a bath" if bath else "")
            + (f", and {alone:,} nodes inside them are coupled to none" if alone else "")]
