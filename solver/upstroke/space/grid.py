"""Finite differences on grids of squares and cubes, whole or masked, as sums over the cells.

In a cell with edges h the field is multilinear, and the integral of grad u . D grad v is taken by a quadrature. At the
cell's corners ("compact") gradients are one-sided differences along its edges: all cells together give the usual 5 and
7 points, and for D that is oblique to the grid the centred cross derivatives, -D_xy / 2 h^2 at the diagonal neighbours
(9 and 19 points). By 2-point Gauss ("full") it is exact: trilinear finite elements, 9 and 27 points. Both are
symmetric and positive semi-definite, conserve charge, and let nothing pass the boundary of any mask, because each
cell's part is and does.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.errors import CaseError
from upstroke.mesh.mesh import Mesh
from upstroke.space.fem import lumped_part
from upstroke.space.operator import Operator

# Integrals over one edge of unit length of phi_a' phi_b', phi_a' phi_b, and phi_a phi_b; the last by the quadrature
# of each stencil: trapezoid (corners) and Gauss. Integrals over cells are products of these, an axis each.
STIFF = np.array([[1.0, -1.0], [-1.0, 1.0]])
SLOPE = np.array([[-0.5, -0.5], [0.5, 0.5]])
MASS = {"compact": np.array([[0.5, 0.0], [0.0, 0.5]]), "full": np.array([[1 / 3, 1 / 6], [1 / 6, 1 / 3]])}


def assemble_grid(mesh: Mesh, D: NDArray[np.float64], mass: str | float = "lumped") -> Operator:
    """The operator of div(D grad V) with no flux through the boundary, on the grid's stencil.

    K_ab = sum_c |c| sum_jk D_c,jk / (h_j h_k) S^jk_ab,   M_ab = sum_c |c| (w delta_ab / 2^d + (1 - w) P_ab)

    S^jk and P are integrals over the unit cell (`stiffness_of_cell`). Couplings that are zero are left out.

    Parameters
    ----------
    D : (m, 3, 3) cm^2/ms, diffusion tensor of each cell
    mass : "lumped", "consistent", or w for w lumped + (1 - w) consistent; on compact grids "lumped"

    Raises
    ------
    CaseError for another mass on a compact grid
    """
    assert mesh.grid is not None
    d, h, w, stencil = mesh.dim, mesh.grid.spacing, lumped_part(mass), mesh.grid.stencil
    if stencil == "compact" and w != 1.0:
        raise CaseError("tissue.waves", f"a compact grid has the lumped mass only, not {mass!r}",
                        'leave tissue.waves out, or take mesh.stencil = "full"')
    volume, node = float(np.prod(h)), [mesh.cells[:, c].astype(np.intp) for c in range(2 ** d)]
    terms = [(S, volume / (h[j] * h[k]) * D[:, j, k]) for (j, k), S in stiffness_of_cell(stencil, d).items()
             if D[:, j, k].any()]
    M = volume * (w * np.eye(2 ** d) / 2 ** d + (1.0 - w) * _product([MASS[stencil]] * d))
    parts = []
    for step in itertools.product((-1, 0, 1), repeat=d):         # in the order of the nodes' numbers: x fastest
        neighbour = np.full(mesh.n_points, -1, np.int32)
        stiffness, masses = np.zeros(mesh.n_points), np.zeros(mesh.n_points)
        for a, b in _corners(step):
            coupling = sum(S[a, b] * values for S, values in terms if S[a, b])
            if np.any(coupling) or M[a, b]:
                neighbour[node[a]] = node[b]                     # a node is corner a of one cell only
                stiffness[node[a]] += coupling
                masses[node[a]] += M[a, b]
        rows = np.flatnonzero((stiffness != 0.0) | (masses != 0.0))
        parts.append((rows, neighbour[rows], stiffness[rows], masses[rows]))
    K, M_csr = _csr(parts, mesh.n_points)
    cells_of_node = sum(np.bincount(corner, minlength=mesh.n_points) for corner in node)
    return Operator(mass=M_csr, stiffness=K, lumped_mass=volume / 2 ** d * cells_of_node, is_lumped=w == 1.0,
                    eigenvalue_bound=eigenvalue_bound(D, h, stencil))


def stiffness_of_cell(stencil: str, d: int) -> dict[tuple[int, int], NDArray[np.float64]]:
    """S^jk (2^d, 2^d) by j <= k: integrals over a unit cell of d_j phi_a d_k phi_b, for j < k plus d_k phi_a d_j phi_b.

    Corners are numbered with x fastest.
    """
    found = {}
    for j, k in itertools.combinations_with_replacement(range(d), 2):
        factors = [MASS[stencil]] * d
        if j == k:
            factors[j] = STIFF
            found[j, k] = _product(factors)
        else:
            factors[j], factors[k] = SLOPE, SLOPE.T
            S = _product(factors)
            found[j, k] = S + S.T
    return found


def eigenvalue_bound(D: NDArray[np.float64], h: tuple[float, ...], stencil: str) -> float:
    """What lambda_max of M_lumped^-1 K cannot exceed, 1/ms: the largest of any cell by itself.

    (B. M. Irons, G. Treharne, Proc. 3rd Conf. Matrix Methods in Structural Mechanics, 245 (1971).) It is reached on
    wide uniform grids: 4 sum_k D_kk / h_k^2 on compact ones of isotropic tissue, so dt <= h^2 / (2 d D). No iteration
    is needed, and Gershgorin's circles are up to a third wider. With E_jk = D_jk / (h_j h_k), and the signs
    s_k = -1, 1 of the two sides of the cell along axis k, the cell's matrix falls into blocks: 4 E on the fields s_k;
    4 c (tr E - E') on the products of two signs, E' being E with its off-diagonal negated (in the plane: 4 c tr E);
    and 4 c^2 tr E on the product of three. c = 1 for "compact", where the first block is never the largest, 1/3 for
    "full".
    """
    d = len(h)
    E = D[:, :d, :d] / np.multiply.outer(h, h)
    top = trace = np.trace(E, axis1=1, axis2=2)
    if d == 3 and (odd := E[:, 0, 1] * E[:, 1, 2] * E[:, 0, 2] > 0.0).any():    # elsewhere E' is positive like E
        top = trace.copy()
        top[odd] -= np.minimum(np.linalg.eigvalsh(E[odd] * (2.0 * np.eye(3) - 1.0))[:, 0], 0.0)
    if stencil == "compact":
        return float(4.0 * top.max(initial=0.0))
    return float(max(4.0 * np.linalg.eigvalsh(E)[:, -1].max(initial=0.0), 4.0 / 3.0 * top.max(initial=0.0)))


def _product(factors: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Integrals over a cell from those along its axes x, y, z; corners with x fastest."""
    whole = np.ones((1, 1))
    for factor in factors:
        whole = np.asarray(np.kron(factor, whole), np.float64)
    return whole


def _corners(step: tuple[int, ...]) -> list[tuple[int, int]]:
    """Pairs (a, b) of corners of a cell where b lies a ``step`` (..., y, x) from a."""
    d = len(step)
    places = list(itertools.product((0, 1), repeat=d))
    number = {place: c for c, place in enumerate(places)}
    ends = [tuple(p + s for p, s in zip(place, step, strict=True)) for place in places]
    return [(a, number[end]) for a, end in enumerate(ends) if end in number]


def _csr(parts: list[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]],
         n: int) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Two matrices on one pattern from parts (rows, columns, values, values) with one entry a row, in column order."""
    length = np.zeros(n, np.int64)
    for rows, *_ in parts:
        length[rows] += 1
    start = np.concatenate([[0], np.cumsum(length)])
    free = start[:-1].copy()
    indices, first, second = np.empty(start[-1], np.int32), np.empty(start[-1]), np.empty(start[-1])
    for rows, columns, a, b in parts:
        at = free[rows]
        indices[at], first[at], second[at] = columns, a, b
        free[rows] += 1
    K, M = (sparse.csr_array((data, indices, start), shape=(n, n)) for data in (first, second))
    return K, M
