"""P1 finite elements on segments, triangles and tetrahedra, assembled without a loop over cells."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.mesh.mesh import Mesh
from upstroke.space.operator import Operator

#: Weight w of the lumped part in M = w M_lumped + (1 - w) M_consistent.
LUMPING = {"lumped": 1.0, "consistent": 0.0}


def gradients(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradients of the P1 basis functions (m, d + 1, 3) in 1/cm, and volumes of the cells (m,) in cm^d.

    With edge vectors E (3 x d) from the first corner, the gradients of the other d functions are the columns of
    E (E^T E)^-1, which also holds for segments and triangles in space; the volume is sqrt(det E^T E) / d!.
    """
    corners = mesh.points[mesh.cells]                          # (m, d + 1, 3)
    E = corners[:, 1:] - corners[:, :1]                        # (m, d, 3): rows are edges
    metric = E @ E.transpose(0, 2, 1)                          # (m, d, d)
    volume = np.sqrt(np.linalg.det(metric)) / math.factorial(mesh.dim)
    grad = np.linalg.solve(metric, E)                          # (m, d, 3)
    return np.concatenate([-grad.sum(axis=1, keepdims=True), grad], axis=1), volume


def assemble(mesh: Mesh, D: NDArray[np.float64], mass: str | float = "lumped") -> Operator:
    """The operator of div(D grad V) with no flux through the boundary.

    K_ij = sum_c |c| grad_i . D_c grad_j,   M_ij = sum_c |c| (1 + delta_ij) / ((d+1)(d+2))  (consistent)

    Parameters
    ----------
    D : (m, 3, 3) cm^2/ms, diffusion tensor of each cell
    mass : "lumped", "consistent", or w for w lumped + (1 - w) consistent
    """
    w = LUMPING[mass] if isinstance(mass, str) else mass
    k = mesh.dim + 1
    grad, volume = gradients(mesh)
    stiffness = volume[:, None, None] * (grad @ D @ grad.transpose(0, 2, 1))
    consistent = (np.ones((k, k)) + np.eye(k)) / (k * (k + 1))
    cell_mass = volume[:, None, None] * (w / k * np.eye(k) + (1.0 - w) * consistent)
    M = _sum_up(mesh, cell_mass)
    row_sums = np.asarray(M.sum(axis=1), np.float64).ravel()
    return Operator(mass=M, stiffness=_sum_up(mesh, stiffness), lumped_mass=row_sums, is_lumped=w == 1.0)


def _sum_up(mesh: Mesh, cell_matrices: NDArray[np.float64]) -> sparse.csr_array:
    """The matrix of the mesh from those of its cells (m, k, k); all have one pattern, zeros are kept."""
    k, n = mesh.dim + 1, mesh.n_points
    rows = np.repeat(mesh.cells, k, axis=1).ravel()
    columns = np.tile(mesh.cells, (1, k)).ravel()
    return sparse.csr_array(sparse.coo_array((cell_matrices.ravel(), (rows, columns)), shape=(n, n)))
