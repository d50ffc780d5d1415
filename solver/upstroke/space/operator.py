"""How neighbours couple: the matrices of M dV/dt = -K V."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Operator:
    """The discrete diffusion operator, M dV/dt = -K V.

    Attributes
    ----------
    mass : (n, n) CSR, cm^d, the mass matrix M (diagonal where lumped), on the pattern of ``stiffness``
    stiffness : (n, n) CSR, cm^d/ms, symmetric, rows sum to zero
    lumped_mass : (n,) cm^d, row sums of M: the volume that belongs to each node
    is_lumped : M is diagonal
    area : (n,) cm^d, of the membrane that currents flow through; None: the lumped mass. They differ where a node's
        capacitance per area is not the one that K has been divided by
    eigenvalue_bound : 1/ms, what lambda_max of M_lumped^-1 K cannot exceed, where the discretisation knows
    """

    mass: sparse.csr_array
    stiffness: sparse.csr_array
    lumped_mass: NDArray[np.float64]
    is_lumped: bool
    eigenvalue_bound: float | None = None
    area: NDArray[np.float64] | None = None

    @property
    def membrane_area(self) -> NDArray[np.float64]:
        return self.lumped_mass if self.area is None else self.area

    @property
    def n(self) -> int:
        return len(self.lumped_mass)

    def implicit_matrix(self, theta_dt: float) -> sparse.csr_array:
        """A = M + theta dt K, on the pattern of K."""
        A = self.stiffness.copy()
        A.data = self.mass.data + theta_dt * self.stiffness.data
        return A

    def permuted(self, order: NDArray[np.int64]) -> Operator:
        """The operator with its nodes in another order; ``order`` tells which node comes at each place. Nodes that are
        coupled to none may be left out."""
        if np.array_equal(order, np.arange(self.n)):
            return self
        K = self.stiffness
        entry = sparse.csr_array((np.arange(K.nnz), K.indices, K.indptr), shape=K.shape)[order][:, order]
        entry.sort_indices()

        def permute(matrix: sparse.csr_array) -> sparse.csr_array:
            return sparse.csr_array((matrix.data[entry.data], entry.indices, entry.indptr), shape=entry.shape)

        return replace(self, mass=permute(self.mass), stiffness=permute(K), lumped_mass=self.lumped_mass[order],
                       area=None if self.area is None else self.area[order])

    def rows(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Operator:
        """Some nodes' rows, with columns of these nodes first and then of all that they couple to: the part of one
        process among several. What no single process can find (the largest eigenvalue) is not in it."""
        K = self.stiffness
        entry = sparse.csr_array((np.arange(1, K.nnz + 1), K.indices, K.indptr), shape=K.shape)[rows][:, columns]
        entry.sort_indices()

        def part(matrix: sparse.csr_array) -> sparse.csr_array:
            return sparse.csr_array((matrix.data[entry.data - 1], entry.indices, entry.indptr), shape=entry.shape)

        return replace(self, mass=part(self.mass), stiffness=part(K), lumped_mass=self.lumped_mass[rows],
                       area=None if self.area is None else self.area[rows])

    @cached_property
    def largest_eigenvalue(self) -> float:
        """lambda_max of M_lumped^-1 K in 1/ms, from above: known, or Lanczos to 1e-3, or Gershgorin where as tight."""
        if self.eigenvalue_bound is not None:
            return self.eigenvalue_bound
        scale = sparse.diags_array(1.0 / np.sqrt(self.lumped_mass))
        B = sparse.csr_array(scale @ self.stiffness @ scale)
        gershgorin = float(abs(B).sum(axis=1).max())
        if self.n < 3 or gershgorin == 0.0:
            return gershgorin
        from scipy.sparse.linalg import ArpackNoConvergence, eigsh

        start = np.random.default_rng(0).standard_normal(self.n)
        try:
            top = float(eigsh(B, k=1, which="LA", tol=1e-3, v0=start, return_eigenvectors=False)[0])
        except ArpackNoConvergence:
            return gershgorin
        return min(gershgorin, 1.001 * top)

    @property
    def explicit_limit(self) -> float:
        """Largest stable step of forward Euler with lumped mass, dt = 2 / lambda_max, ms."""
        top = self.largest_eigenvalue
        return 2.0 / top if top > 0 else np.inf
