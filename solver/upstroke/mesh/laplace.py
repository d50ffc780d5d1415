"""Laplace's equation on a mesh of tetrahedra, div grad u = 0, by linear finite elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.errors import MeshError
from upstroke.mesh.mesh import Mesh

Floats = NDArray[np.float64]
Fixed = Sequence[tuple[NDArray[np.int64], float]]
TOLERANCE = 1e-9        # of the residual
MOST = 20_000           # iterations


def laplace(mesh: Mesh, *problems: Fixed) -> list[Floats]:
    """Of each problem (n,) u with K u = 0 at all nodes but those where it is given; no flux through the rest of the
    boundary.

    Parameters
    ----------
    problems : of each nodes, and the value of u there; a node of several has the first

    Raises
    ------
    MeshError where a part of the mesh touches none of the nodes
    """
    K = _stiffness(mesh)
    return [_potential(K, fixed) for fixed in problems]


def _potential(K: sparse.csr_array, fixed: Fixed) -> Floats:
    n = K.shape[0]
    u, known = np.zeros(n), np.zeros(n, bool)
    for nodes, value in reversed(fixed):
        u[nodes], known[nodes] = value, True
    _require_contact(K, known)
    free = np.flatnonzero(~known)
    A = sparse.csr_array(K[free][:, free])
    u[free] = _solved(A, -(K[free] @ u))
    return u


def _solved(A: sparse.csr_array, b: Floats) -> Floats:
    """A^-1 b by conjugate gradients with a Jacobi preconditioner. Its sums are NumPy's, not of a BLAS, so that the bits
    of a mesh do not depend on threads."""
    x, r, diagonal = np.zeros(len(b)), b.copy(), A.diagonal()
    p = z = r / diagonal
    rz, enough = (r * z).sum(), TOLERANCE ** 2 * (b * b).sum()
    for _ in range(MOST):
        if (r * r).sum() <= enough:
            return x
        Ap = A @ p
        alpha = rz / (p * Ap).sum()
        x += alpha * p
        r -= alpha * Ap
        z = r / diagonal
        rz, before = (r * z).sum(), rz
        p = z + (rz / before) * p
    raise MeshError("mesh", f"Laplace's equation is not solved after {MOST:,} iterations",
                    "look at the mesh: its cells may be nearly flat")


def _stiffness(mesh: Mesh) -> sparse.csr_array:
    """K_ij = sum_c |c| grad_i . grad_j, where grad_k is that of the function which is 1 at k and 0 at other corners."""
    edges = mesh.points[mesh.cells[:, 1:]] - mesh.points[mesh.cells[:, :1]]
    grad = np.linalg.inv(edges).swapaxes(1, 2)                              # rows: corners 1 to 3
    grad = np.concatenate([-grad.sum(axis=1, keepdims=True), grad], axis=1)
    volume = np.abs(np.linalg.det(edges)) / 6
    a, b = np.transpose(mesh.edges)
    flux = volume[:, None] * np.vecdot(grad[:, a], grad[:, b])
    pairs = mesh.cells[:, a].ravel(), mesh.cells[:, b].ravel()
    K = sparse.coo_array((flux.ravel(), pairs), shape=(mesh.n_points,) * 2).tocsr()
    K = sparse.csr_array(K + K.T)
    return sparse.csr_array(K - sparse.diags_array(K.sum(axis=1)))


def _require_contact(K: sparse.csr_array, known: NDArray[np.bool_]) -> None:
    from scipy.sparse.csgraph import connected_components
    count, part = connected_components(K, directed=False)
    loose = count - len(np.unique(part[known]))
    if loose:
        raise MeshError("mesh", f"{loose} of the {count} parts of the mesh touch no surface that is named",
                        "keep the largest part only, or name surfaces of all")
