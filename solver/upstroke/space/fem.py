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
    E (E^T E)^-1, which also holds for segments and triangles in space; the volume is sqrt(det E^T E) / d!. For
    tetrahedra that is E^-T: cross products of the edges over their determinant.

    Parameters
    ----------
    corners : (m, d + 1, 3) cm
    """
    E = corners[:, 1:] - corners[:, :1]                        # (m, d, 3): rows are edges
    if E.shape[1] == 3:
        a, b, c = (np.ascontiguousarray(E[:, k].T) for k in range(3))
        grad = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)]).T.swapaxes(1, 2)      # (m, d, 3)
        determinant = (E[:, 0] * grad[:, 0]).sum(axis=1)
        grad = grad / determinant[:, None, None]
        volume = np.abs(determinant) / 6.0
    else:
        metric = E @ E.transpose(0, 2, 1)                      # (m, d, d)
        volume = np.sqrt(np.linalg.det(metric)) / math.factorial(E.shape[1])
        grad = np.asarray(np.linalg.solve(metric, E), np.float64)
    return np.concatenate([-grad.sum(axis=1, keepdims=True), grad], axis=1), volume


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross products of vectors (3, m)."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


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
    of_edge = (1.0 - w) / (k * (k + 1))                        # entries of the mass matrix, per volume of a cell
    of_node = w / k + 2.0 * of_edge
    edges, volumes = [], []
    for begin in range(0, mesh.n_cells, AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        cells = mesh.cells[part]
        grad, volume = gradients(mesh.points[cells])
        flux = (volume[:, None, None] * grad) @ D[part]
        couplings = {(i, j): np.einsum("cx,cx->c", flux[:, i], grad[:, j]) for i in range(k) for j in range(i)}
        edge_mass = 1j * (of_edge * volume)
        edges.append(_sum_up(cells, {edge: K + edge_mass for edge, K in couplings.items()}, mesh.n_points))
        volumes.append(np.bincount(cells.ravel(), np.repeat(of_node * volume, k), mesh.n_points))
    return operator_of(_join(edges), np.sum(volumes, axis=0), w == 1.0)


def _sum_up(cells: NDArray[np.int32], couplings: dict[tuple[int, int], NDArray[np.complex128]],
            n: int) -> sparse.coo_array:
    """The upper triangle of the mesh's matrices from those of some cells: (corner, corner) -> (m,), K + i M."""
    corners = np.ascontiguousarray(cells.T)
    rows, columns = (np.concatenate([choose(corners[i], corners[j]) for i, j in couplings])
                     for choose in (np.minimum, np.maximum))
    data = np.concatenate(list(couplings.values()))
    return sparse.csr_array(sparse.coo_array((data, (rows, columns)), shape=(n, n))).tocoo()


def _join(parts: list[sparse.coo_array]) -> sparse.coo_array:
    """The sum of some matrices, zeros kept (which ``+`` does not)."""
    if len(parts) == 1:
        return parts[0]
    rows, columns = (np.concatenate([part.coords[axis] for part in parts]) for axis in (0, 1))
    data = np.concatenate([part.data for part in parts])
    return sparse.csr_array(sparse.coo_array((data, (rows, columns)), shape=parts[0].shape)).tocoo()


def operator_of(edges: sparse.coo_array, node_mass: NDArray[np.float64], is_lumped: bool) -> Operator:
    """Both matrices, on one pattern, from their upper triangle K + i M and the diagonal of M; rows of K sum to zero."""
    (low, high), data = edges.coords, edges.data
    n = len(node_mass)
    diagonal = 1j * node_mass - np.bincount(low, data.real, n) - np.bincount(high, data.real, n)
    nodes = np.arange(n, dtype=low.dtype)
    both = sparse.csr_array(sparse.coo_array(
        (np.concatenate([data, data, diagonal]),
         (np.concatenate([low, high, nodes]), np.concatenate([high, low, nodes]))), shape=(n, n)))
    K, M = (sparse.csr_array((np.ascontiguousarray(part), both.indices, both.indptr), shape=(n, n))
            for part in (both.data.real, both.data.imag))
    return Operator(mass=M, stiffness=K, lumped_mass=np.asarray(M.sum(axis=1), np.float64).ravel(), is_lumped=is_lumped)
