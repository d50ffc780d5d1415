"""P1 finite elements on segments, triangles and tetrahedra, assembled without a loop over cells."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

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
    k, n = mesh.dim + 1, mesh.n_points
    grad, volume = gradients(mesh)
    flux = grad @ D                                            # (m, k, 3)
    pairs = list(combinations_with_replacement(range(k), 2))   # upper triangle of the cell matrix
    stiff = np.stack([volume * np.einsum("cx,cx->c", flux[:, a], grad[:, b]) for a, b in pairs])
    fill = (1.0 - w) / (k * (k + 1))                           # off-diagonal entry per volume
    weight = np.array([fill if a != b else w / k + 2.0 * fill for a, b in pairs])
    K, M = _scatter(mesh.cells, pairs, [stiff, weight[:, None] * volume], n)
    return Operator(mass=M, stiffness=K, lumped_mass=np.asarray(M.sum(axis=1)).ravel(), is_lumped=w == 1.0)


def _scatter(cells: NDArray[np.int32], pairs: list[tuple[int, int]], values: list[NDArray[np.float64]],
             n: int) -> list[sparse.csr_array]:
    """Sum symmetric cell matrices, given on ``pairs`` of local nodes, into CSR matrices of one pattern."""
    rows = np.concatenate([cells[:, a] for a, b in pairs] + [cells[:, b] for a, b in pairs if a != b])
    columns = np.concatenate([cells[:, b] for a, b in pairs] + [cells[:, a] for a, b in pairs if a != b])
    mirrored = [p for p, (a, b) in enumerate(pairs) if a != b]
    key = rows.astype(np.int64) * n + columns
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    unique = key[starts]
    indices = (unique % n).astype(np.int32)
    indptr = np.searchsorted(unique, np.arange(n + 1, dtype=np.int64) * n).astype(np.int32)
    matrices = []
    for value in values:
        data = np.concatenate([value.ravel(), value[mirrored].ravel()])[order]
        matrices.append(sparse.csr_array((np.add.reduceat(data, starts), indices, indptr), shape=(n, n)))
    return matrices
