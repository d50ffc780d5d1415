"""How neighbours couple: finite elements or finite differences and, from them, the operator M dV/dt = -K V."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Cable, Tissue
from upstroke.mesh.locate import cells_of_regions
from upstroke.mesh.mesh import Mesh
from upstroke.space.conductivity import diffusivity
from upstroke.space.curve import FOURTH_ORDER, Curve
from upstroke.space.deviation import assemble_deviation
from upstroke.space.extracellular import Extracellular
from upstroke.space.fem import assemble
from upstroke.space.grid import assemble_grid
from upstroke.space.inert import around_inert, conducting, inert_notes
from upstroke.space.lattice import assemble_lattice, assemble_segments
from upstroke.space.operator import Operator
from upstroke.space.resolution import coarse_notes
from upstroke.space.strands import couple_strands
from upstroke.space.tree import assemble_tree

__all__ = ["Curve", "Extracellular", "Operator", "assemble", "assemble_grid", "assemble_tree", "coarse_notes",
           "conducting", "diffusivity", "discretise", "inert_notes"]


def discretise(mesh: Mesh, coupling: Tissue | Cable, curves: Sequence[Curve] = (),
               owner: NDArray[np.int64] | None = None) -> Operator:
    """The operator of the tissue, or of a neuron's cables, on the mesh.

    Parameters
    ----------
    curves : of each membrane, for the calibrated operator; none for others
    owner : (m,) which membrane each cell has; None: all the first
    """
    if isinstance(coupling, Cable):
        assert mesh.tree is not None                  # the case was checked
        for k, table in enumerate(coupling.region):
            cells_of_regions(mesh, table.regions, f"cable.region.{k}.regions")   # an error for one that is not there
        return assemble_tree(mesh.tree, coupling, mesh.tree.solved)
    if mesh.purkinje is not None:
        return couple_strands(discretise(mesh.tissue, coupling, curves, owner), mesh.purkinje, coupling)
    D = diffusivity(coupling, mesh)
    of = conducting(mesh, coupling)
    if of.all():
        return _of_tissue(mesh, coupling, D, curves, owner)
    return around_inert(mesh, of, lambda part: _of_tissue(part, coupling, D[of], curves,
                                                          None if owner is None else owner[of]))


def _of_tissue(mesh: Mesh, tissue: Tissue, D: NDArray[np.float64], curves: Sequence[Curve],
               owner: NDArray[np.int64] | None) -> Operator:
    """The operator of tissue that conducts everywhere, D (m, 3, 3) in cm^2/ms."""
    if tissue.waves == "fourth_order":
        return _corrected(mesh, D, (FOURTH_ORDER,), np.zeros(mesh.n_cells, np.int64))
    if curves:
        return _corrected(mesh, D, curves, np.zeros(mesh.n_cells, np.int64) if owner is None else owner)
    if tissue.waves == "calibrated":
        raise ValueError("the calibrated operator needs the curves of the membranes")
    waves = tissue.uncorrected(mesh.grid.stencil if mesh.grid else None)
    return assemble(mesh, D, waves) if mesh.grid is None else assemble_grid(mesh, D, waves)


def _corrected(mesh: Mesh, D: NDArray[np.float64], curves: Sequence[Curve], owner: NDArray[np.int64]) -> Operator:
    """The operator that the curves correct: by lines where nodes lie on lines, else by how gradients differ."""
    if mesh.grid is not None or mesh.bricks is not None:
        return assemble_lattice(mesh, D, curves, owner, pairs=FOURTH_ORDER not in curves)
    if mesh.dim == 1:
        return assemble_segments(mesh, D, curves, owner)
    return assemble_deviation(mesh, D, curves, owner)
