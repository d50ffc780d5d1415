"""Means over the cells around each node of a mesh of simplices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.mesh.mesh import Mesh
from upstroke.space.fem import gradients

CELLS_PER_NODE = {2: 2.0, 3: 6.0}    # of meshes without a boundary: (node spacing)^d is this many cells


class Means:
    """Means over the cells around each node, weighted by volume.

    Attributes
    ----------
    mass : (n,) cm^d, volume that belongs to each node
    spacing : (n,) cm, distance between nodes
    gradient : of x, y and z, (n, n) CSR, 1/cm: the mean gradient at each node of a nodal field
    outward : (n, 3) cm^(d-1), the area of the boundary that belongs to each node, as a vector: sum_c |c| grad phi_i
    """

    def __init__(self, mesh: Mesh) -> None:
        m, corners = mesh.cells.shape
        self._slopes, volume = gradients(mesh.points[mesh.cells])
        cells = np.repeat(np.arange(m), corners)
        around = sparse.csr_array(sparse.coo_array((volume[cells], (mesh.cells.ravel(), cells)),
                                                   shape=(mesh.n_points, m)))
        total = np.asarray(around.sum(axis=1), np.float64)
        self._around = sparse.csr_array(sparse.diags_array(1.0 / total) @ around)
        self.mass = total / corners
        self.spacing = (CELLS_PER_NODE[mesh.dim] * self(volume)) ** (1.0 / mesh.dim)
        self.outward = np.stack([np.bincount(mesh.cells.ravel(), (volume[:, None] * self._slopes[:, :, a]).ravel(),
                                             mesh.n_points) for a in range(3)], axis=1)
        self.gradient = [sparse.csr_array(self._around @ sparse.csr_array(
            (np.ascontiguousarray(self._slopes[:, :, a]).ravel(), mesh.cells.ravel(), np.arange(m + 1) * corners),
            shape=(m, mesh.n_points))) for a in range(3)]

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, ...) the mean at nodes of what cells have, (m, ...)."""
        flat = self._around @ values.reshape(len(values), -1)
        return np.asarray(flat, np.float64).reshape(-1, *values.shape[1:])

    def in_cells(self, D: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tensors without their parts out of the cells' own planes, (m, 3, 3)."""
        if self._slopes.shape[1] == 4:
            return D
        basis = np.linalg.qr(self._slopes[:, 1:].swapaxes(1, 2))[0]
        plane = basis @ basis.swapaxes(1, 2)
        return plane @ D @ plane

    def stiffness(self, tensor: NDArray[np.float64]) -> sparse.csr_array:
        """sum_i W_i g_i . T_i g_i as a matrix: the stiffness of mean gradients, for tensors (n, 3, 3) at nodes."""
        weighted = self.mass[:, None, None] * tensor
        rows = [sparse.hstack([sparse.diags_array(weighted[:, a, b]) for b in range(3)]) for a in range(3)]
        every = sparse.vstack(self.gradient, format="csr")                       # (3 n, n)
        return sparse.csr_array(every.T @ (sparse.vstack(rows, format="csr") @ every))
