"""The cable equation on the compartments of a neuron."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.case.schema import Cable
from upstroke.mesh.tree import Tree
from upstroke.space.operator import Operator


def assemble_tree(tree: Tree, cable: Cable, solved: NDArray[np.bool_] | None = None) -> Operator:
    """The operator M dV/dt = -K V of the axial currents between compartments.

    C_m A_i dV_i/dt = sum_j g_ij (V_j - V_i),  g_ij = 1 / (Ra axial_ij)

    so that M = diag(A) in cm^2, zero where branches meet, and K has g_ij / C_m in cm^2/ms. (Hines 1984, doi
    10.1016/0020-7101(84)90008-4.) A node with a C_i of its own has the mass A_i C_i / C_m. Nodes without area make
    explicit steps impossible: the eigenvalues have no bound.

    ``solved`` (n,) are the nodes that take part, by default all; the others are coupled to none.
    """
    takes_part = np.ones(len(tree.parent), bool) if solved is None else solved
    child = np.flatnonzero((tree.parent >= 0) & takes_part & takes_part[tree.parent])
    parent = tree.parent[child]
    g = 1.0 / (cable.axial_resistivity * tree.axial[child] * cable.capacitance)
    n, every = len(tree.parent), np.arange(len(tree.parent))
    diagonal = np.bincount(child, g, n) + np.bincount(parent, g, n)
    rows, columns = np.concatenate([every, child, parent]), np.concatenate([every, parent, child])
    entry = sparse.csr_array((np.arange(n + 2 * len(child)), (rows, columns)), shape=(n, n))
    entry.sort_indices()

    def matrix(values: np.ndarray) -> sparse.csr_array:
        return sparse.csr_array((values[entry.data], entry.indices, entry.indptr), shape=(n, n))

    own = tree.capacitance * tree.area
    mass = matrix(np.concatenate([own, np.zeros(2 * len(child))]))
    bound = None if (tree.area > 0.0).all() else np.inf
    return Operator(mass, matrix(np.concatenate([diagonal, -g, -g])), own, True, bound,
                    None if (tree.capacitance == 1.0).all() else tree.area)
