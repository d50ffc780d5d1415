"""Tissue and Purkinje strands in one operator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.case.schema import Tissue
from upstroke.mesh.strands import Strands
from upstroke.space.operator import Operator


def couple_strands(operator: Operator, strands: Strands, tissue: Tissue) -> Operator:
    """The operator of the tissue, enlarged by strands and their junctions.

    The charge of a node is C_m A_i V_i, with A_i = beta |i| of the tissue. For a strand's node A_i is its membrane.
    What flows between two nodes is g_ij (V_j - V_i): along a piece of strand, or through a junction. Both divided by
    beta C_m give the units of the tissue's operator,

        M_i = A_i / beta  in cm^3,   k_ij = g_ij / (beta C_m)  in cm^3/ms,

    so that M dV/dt = -K V holds for all nodes alike, K stays symmetric, and no junction makes or loses charge. The mass
    of strands is lumped.
    """
    beta, C_m = tissue.surface_to_volume, tissue.capacitance
    n, p = operator.n, len(strands.area)
    pairs = np.concatenate([strands.lines, strands.junction])
    g = np.concatenate([strands.conductance, strands.coupling]) / (beta * C_m)
    own = strands.area / beta
    i, j = pairs.T
    every = np.arange(n + p)
    old = operator.stiffness.tocoo()
    rows, columns = np.concatenate([old.row, i, j, every]), np.concatenate([old.col, j, i, every])

    def matrix(tissue_part: sparse.csr_array, coupling: NDArray[np.float64], diagonal: NDArray[np.float64]
               ) -> sparse.csr_array:
        values = np.concatenate([tissue_part.tocoo().data, coupling, coupling, diagonal])
        made = sparse.coo_array((values, (rows, columns)), shape=(n + p, n + p)).tocsr()    # sums what meets
        made.sort_indices()
        return sparse.csr_array(made)

    sums = np.asarray(np.bincount(i, g, n + p) + np.bincount(j, g, n + p), np.float64)
    stiffness = matrix(operator.stiffness, -g, sums)
    mass = matrix(operator.mass, np.zeros(len(g)), np.concatenate([np.zeros(n), own]))
    return Operator(mass, stiffness, np.concatenate([operator.lumped_mass, own]), operator.is_lumped)
