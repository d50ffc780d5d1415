"""The calibrated operator of triangles and tetrahedra: stiffness against what gradients differ by around a node.

P1 gradients g are constant in cells. With their mean g_i over the cells around node i (w = |c| / (d + 1) each),

    E(V) = sum_c |c| g.D g / 2 + sum_i sum_(c at i) w (g - g_i).N_i (g - g_i) / 2

is the energy of the corrected operator. Linear fields have no deviation, so the conductivity is untouched; a wave of
length L has one of order (h/L)^2, so N adds the fourth derivatives that second-order operators lack, with lumped mass
and without a negative eigenvalue as long as N_i > -D: sum w |g - g_i|^2 = sum w |g|^2 - W |g_i|^2. (With N = -D what
is left is the stiffness of averaged gradients: C. R. Dohrmann et al., Int. J. Numer. Meth. Engng 47:1549 (2000).) On a
line of equal segments it is the operator s (1 + alpha s) / q of `Curve`, with N = 4 alpha D.

Why N is not simply proportional to D: on irregular cells the gradient of a wave across the fibres has a stray part
along them, which conducts D_l / D_t times as well. Cross-fibre waves are too fast by that, whatever the mass matrix.
N is positive along the fibres and may be negative across, where it takes the stray part out.

How large N has to be depends on the shapes of the cells, and so it is measured on the mesh itself (``response.py``):
the discrete operator shall answer a short plane wave as the calibrated operator of a lattice does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.mesh.mesh import Mesh
from upstroke.space.curve import Curve
from upstroke.space.fem import assemble
from upstroke.space.means import Means
from upstroke.space.operator import Operator
from upstroke.space.response import MARGIN, measure_response

MOST = 2.0         # times what a lattice has, N = 4 alpha D: no more than this, however a mesh answers
AT_BOUNDARY = 0.1  # of spacing^(d-1): a node with more boundary area lies on it


def assemble_deviation(mesh: Mesh, D: NDArray[np.float64], curves: Sequence[Curve], owner: NDArray[np.int64]
                       ) -> Operator:
    """The calibrated operator on triangles or tetrahedra.

    Parameters
    ----------
    D : (m, 3, 3) cm^2/ms, diffusion tensor of each cell
    curves : of each membrane, how strongly its fronts need the correction
    owner : (m,) which of them a cell has
    """
    means = Means(mesh)
    D = means.in_cells(D)
    mean = means(D)
    values, axes = principal(mean, mesh.dim)
    q = means.spacing[:, None] ** 2 / np.maximum(values, np.finfo(float).tiny)
    share = [means((owner == k).astype(float))[:, None] for k in range(len(curves))]
    alpha = np.sum([part * curve(q) for part, curve in zip(share, curves, strict=True)], axis=0)
    response = measure_response(mesh, means.spacing, mean, values, alpha)
    lowest = -MARGIN * common_part(mesh, D, values, axes)[:, None] * values
    N = np.clip(response.weights(values, alpha), lowest, MOST * 4.0 * alpha * values)
    tensor = np.einsum("nk,nka,nkb->nab", N, axes, axes)
    plain = assemble(mesh, D + tensor[mesh.cells].mean(axis=1), "lumped")
    K = sparse.csr_array(plain.stiffness - means.stiffness(without_flux(tensor, values, axes, means)))
    K.sort_indices()
    return replace(plain, mass=_diagonal_on(K, plain.lumped_mass), stiffness=K)


def principal(D: NDArray[np.float64], d: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The d largest principal values (n, d) and axes (n, d, 3) of tensors (n, 3, 3), the largest first."""
    values, vectors = np.linalg.eigh(D)
    return values[:, :-d - 1:-1].clip(0.0), vectors[:, :, :-d - 1:-1].swapaxes(1, 2)


def common_part(mesh: Mesh, D: NDArray[np.float64], values: NDArray[np.float64], axes: NDArray[np.float64]
                ) -> NDArray[np.float64]:
    """(n,) how much of the mean tensor at a node all cells around it have, at least: D_c >= part * D_i, 0 to 1."""
    scale = axes / np.sqrt(np.maximum(values, 1e-12 * values.max(axis=1, keepdims=True)))[:, :, None]
    part = np.ones(mesh.n_points)
    if not np.ptp(D, axis=0).any():
        return part
    for corner in mesh.cells.T:
        T = scale[corner]
        off = np.linalg.norm(T @ D @ T.swapaxes(1, 2) - np.eye(T.shape[1]), axis=(1, 2))
        np.minimum.at(part, corner, 1.0 - off)
    return part.clip(0.0)


def without_flux(N: NDArray[np.float64], values: NDArray[np.float64], axes: NDArray[np.float64], means: Means
                 ) -> NDArray[np.float64]:
    """N (n, 3, 3) at nodes, such that deviations at the boundary are from a mean gradient g that lets nothing pass it.

    That is P g with P = I - n n.D / n.Dn and the outward normal n, and sum w (g - P g_i).N (g - P g_i) is
    sum w g.N g - W g_i.(N P + P^T N - P^T N P) g_i.
    """
    normal = np.einsum("nka,nkb,nb->na", axes, axes, means.outward)           # of a surface: in it
    area = np.linalg.norm(normal, axis=1)
    rim = area > AT_BOUNDARY * means.spacing ** (axes.shape[1] - 1)
    n, D = normal[rim] / area[rim, None], np.einsum("nk,nka,nkb->nab", values[rim], axes[rim], axes[rim])
    Dn = np.einsum("nab,nb->na", D, n)
    P = np.eye(3) - n[:, :, None] * (Dn / np.einsum("na,na->n", n, Dn)[:, None])[:, None, :]
    NP = N[rim] @ P
    N = N.copy()
    N[rim] = NP + NP.swapaxes(1, 2) - P.swapaxes(1, 2) @ NP
    return N


def _diagonal_on(K: sparse.csr_array, values: NDArray[np.float64]) -> sparse.csr_array:
    """A diagonal matrix on the pattern of K."""
    row = np.repeat(np.arange(K.shape[0], dtype=K.indices.dtype), np.diff(K.indptr))
    data = np.where(row == K.indices, values[row], 0.0)
    return sparse.csr_array((data, K.indices, K.indptr), shape=K.shape)
