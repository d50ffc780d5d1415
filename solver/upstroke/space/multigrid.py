"""Symmetric systems of diffusion on any mesh, A x = b: conjugate gradients with a multigrid cycle before them.

The coarse levels come from the matrix alone, by smoothed aggregation (P. Vanek, J. Mandel, M. Brezina, Computing 56,
179 (1996), doi 10.1007/BF02238511). Aggregates are the surroundings of nodes that are pairwise more than two couplings
apart, which are drawn as by Luby, all at once (N. Bell, S. Dalton, L. N. Olson, SIAM J. Sci. Comput. 34, C123 (2012),
doi 10.1137/110838844). Rows of A sum to zero: x is then known but for a constant on each part of the mesh that hangs
together, and b has to sum to zero there.

All is done by one thread, in an order that nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.errors import DivergenceError

Floats = NDArray[np.float64]

WEAK = 0.06          # a coupling below this part of both nodes' diagonals does not make an aggregate
COARSEST = 400       # unknowns that are solved for directly
DAMPING = 1.8        # of Jacobi's iteration; it is symmetric and positive below 2
ROUNDING = 1e-13     # of what a coarse diagonal is the sum of
MOST = 500           # iterations of conjugate gradients


@dataclass(frozen=True)
class _Level:
    """A matrix, what smooths an error, and how values come from the next coarser level: x += P x_coarse."""

    A: sparse.csr_array
    damped: Floats               # DAMPING / (top D), with D the diagonal and top the largest eigenvalue of D^-1 A
    P: sparse.csr_array
    R: sparse.csr_array          # its transpose


class Multigrid:
    """Solves A x = b for a symmetric, positive semi-definite A whose rows sum to zero.

    Parameters
    ----------
    A : (n, n) CSR; nodes that are coupled to nothing have an empty row

    Attributes
    ----------
    iterations : of the last solve
    """

    iterations = 0

    def __init__(self, A: sparse.csr_array) -> None:
        self.A = A = A.copy()
        A.eliminate_zeros()
        self._levels: list[_Level] = []
        while A.shape[0] > COARSEST and A.nnz:
            level = _coarsened(A, 0.5 ** len(self._levels) * WEAK)
            if level.P.shape[1] > 0.8 * A.shape[0]:
                break
            self._levels.append(level)
            A = _coarse(level)
        self._coarsest = _grounded(A)

    def __call__(self, r: Floats) -> Floats:
        """One cycle: nearly the x of A x = r, but for a constant on each part; a symmetric function of r."""
        return self._cycle(0, r)

    def _cycle(self, k: int, b: Floats) -> Floats:
        if k == len(self._levels):
            return np.asarray(self._coarsest.solve(b), np.float64)
        level = self._levels[k]
        x = level.damped * b                                           # Jacobi's iteration, once before and once after
        x += level.P @ self._cycle(k + 1, level.R @ (b - level.A @ x))
        return x + level.damped * (b - level.A @ x)

    def solve(self, b: Floats, guess: Floats, tolerance: float, what: str) -> Floats:
        """x, from a guess: until the residual, in the norm sqrt(r . M r) of the cycle M, is so small a part of b's.

        That norm is nearly the energy of the error. Raises DivergenceError, about ``what``, where it is not reached.
        """
        x, r = guess.copy(), b - self.A @ guess
        enough = tolerance ** 2 * max(dot(b, self(b)), 0.0)
        z = self(r)
        p, size = z, dot(r, z)
        for self.iterations in range(MOST):
            if size <= enough:
                return x
            q = self.A @ p
            step = size / dot(p, q)
            x += step * p
            r -= step * q
            z = self(r)
            last, size = size, dot(r, z)
            p = z + size / last * p
        raise DivergenceError(what, f"not solved after {MOST} iterations", "look at the mesh: its cells may be nearly "
                              "flat, or its conductivities many orders of magnitude apart")


def dot(a: Floats, b: Floats) -> float:
    """a . b, in an order that does not depend on how many threads NumPy's library uses."""
    return float(np.einsum("i,i->", a, b))


def _coarsened(A: sparse.csr_array, weak: float) -> _Level:
    """A level, with P = (I - 4 / (3 top) D^-1 A) T of the aggregates' T."""
    diagonal = A.diagonal()
    inverse = np.where(diagonal > 0.0, 1.0 / np.where(diagonal > 0.0, diagonal, 1.0), 0.0)
    scaled = sparse.csr_array(sparse.diags_array(inverse) @ A)
    top = _largest(scaled)
    number, count = _aggregates(A, diagonal, weak)
    inside = np.flatnonzero(number >= 0)
    T = sparse.csr_array((np.ones(len(inside)), number[inside], np.concatenate([[0], np.cumsum(number >= 0)])),
                         shape=(A.shape[0], count))
    P = sparse.csr_array(T - 4.0 / (3.0 * top) * (scaled @ T))
    return _Level(A, DAMPING / top * inverse, P, sparse.csr_array(P.T))


def _coarse(level: _Level) -> sparse.csr_array:
    """R A P. An aggregate that is a whole part is coupled to nothing: what rounding leaves in its row is taken out."""
    A = sparse.csr_array(level.R @ (level.A @ level.P))
    some = A.diagonal() > ROUNDING * (level.R.power(2) @ level.A.diagonal())
    A = sparse.csr_array(sparse.diags_array(some.astype(float)) @ A)
    A.eliminate_zeros()
    return A


def _largest(scaled: sparse.csr_array, steps: int = 12) -> float:
    """What no eigenvalue of D^-1 A exceeds: Gershgorin's bound, or less by the power method with a tenth to spare."""
    bound = float(abs(scaled).sum(axis=1).max(initial=0.0))
    x = np.random.default_rng(0).standard_normal(scaled.shape[0])
    size = 0.0
    for _ in range(steps):
        x = scaled @ (x / np.sqrt(dot(x, x)))
        size = np.sqrt(dot(x, x))
    return min(bound, 1.1 * size)


def _aggregates(A: sparse.csr_array, diagonal: Floats, weak: float) -> tuple[NDArray[np.int64], int]:
    """(n,) the aggregate of each node, -1 for nodes that are coupled to nothing, and how many there are."""
    n = A.shape[0]
    row = np.repeat(np.arange(n), np.diff(A.indptr))
    strong = (np.abs(A.data) > weak * np.sqrt(np.abs(diagonal[row] * diagonal[A.indices]))) & (row != A.indices)
    near = sparse.csr_array(sparse.coo_array(
        (np.ones(strong.sum() + n, np.int8), (np.append(row[strong], np.arange(n)), np.append(A.indices[strong],
                                                                                              np.arange(n)))),
        shape=(n, n)))                                        # a node is near itself, so no row is empty
    start, columns = near.indptr[:-1], near.indices

    def highest(values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of all that is near."""
        return np.asarray(np.maximum.reduceat(values[columns], start), np.int64)

    lot = np.random.default_rng(0).permutation(n).astype(np.int64)
    key = np.where(diagonal > 0.0, lot, -1)                   # -1: has no say; n: a root
    while (undecided := (key >= 0) & (key < n)).any():
        key[undecided & (key == highest(highest(key)))] = n
        key[(key < n) & (highest(highest(key)) == n)] = -1
    roots = np.flatnonzero(key == n)
    number = np.full(n, -1)
    number[roots] = np.arange(len(roots))
    for _ in range(2):
        number = np.where(number >= 0, number, highest(number))
    return number, len(roots)


def _grounded(A: sparse.csr_array) -> sparse.linalg.SuperLU:
    """Solves A x = b, with x = 0 at one node of each part."""
    _, part = sparse.csgraph.connected_components(A, directed=False)
    ground = np.zeros(A.shape[0])
    ground[np.unique(part, return_index=True)[1]] = A.diagonal().max(initial=0.0) or 1.0
    return sparse.linalg.splu(sparse.csc_array(A + sparse.diags_array(ground)))
