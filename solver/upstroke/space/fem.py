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
AT_ONCE = 2 ** 20      # cells assembled together: bounds the memory, without a loop over cells


def lumped_part(mass: str | float) -> float:
    """The weight w of a mass that is given by its name or its weight."""
    return LUMPING[mass] if isinstance(mass, str) else mass


def gradients(corners: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradients of the P1 basis functions (m, d + 1, 3) in 1/cm, and volumes (m,) in cm^d, of cells with these corners.

    With edge vectors E (3 x d) from the first corner, the gradients of the other d functions are the columns of
    E (E^T E)^-1, which also holds for segments and triangles in space; the volume is sqrt(det E^T E) / d!.

    Parameters
    ----------
    corners : (m, d + 1, 3) cm
    """
    E = corners[:, 1:] - corners[:, :1]                        # (m, d, 3): rows are edges
    metric = E @ E.transpose(0, 2, 1)                          # (m, d, d)
    volume = np.sqrt(np.linalg.det(metric)) / math.factorial(E.shape[1])
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
    w = lumped_part(mass)
    k = mesh.dim + 1
    per_volume = w / k * np.eye(k) + (1.0 - w) * (np.ones((k, k)) + np.eye(k)) / (k * (k + 1))
    stiffnesses, masses = [], []
    for begin in range(0, mesh.n_cells, AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        cells = mesh.cells[part]
        grad, volume = gradients(mesh.points[cells])
        stiffnesses.append(_sum_up(cells, volume[:, None, None] * (grad @ D[part] @ grad.transpose(0, 2, 1)), mesh))
        masses.append(_sum_up(cells, volume[:, None, None] * per_volume, mesh))
    K, M = _join(stiffnesses), _join(masses)
    return Operator(mass=M, stiffness=K, lumped_mass=np.asarray(M.sum(axis=1), np.float64).ravel(), is_lumped=w == 1.0)


def _sum_up(cells: NDArray[np.int32], cell_matrices: NDArray[np.float64], mesh: Mesh) -> sparse.csr_array:
    """The matrix of the mesh from those of some cells (m, k, k); zeros are kept, so all have one pattern."""
    k, n = cells.shape[1], mesh.n_points
    rows = np.repeat(cells, k, axis=1).ravel()
    columns = np.tile(cells, (1, k)).ravel()
    return sparse.csr_array(sparse.coo_array((cell_matrices.ravel(), (rows, columns)), shape=(n, n)))


def _join(parts: list[sparse.csr_array]) -> sparse.csr_array:
    """The sum of some matrices, zeros kept (which ``+`` does not)."""
    if len(parts) == 1:
        return parts[0]
    each = [part.tocoo() for part in parts]
    rows, columns = (np.concatenate([part.coords[axis] for part in each]) for axis in (0, 1))
    data = np.concatenate([part.data for part in each])
    return sparse.csr_array(sparse.coo_array((data, (rows, columns)), shape=parts[0].shape))
