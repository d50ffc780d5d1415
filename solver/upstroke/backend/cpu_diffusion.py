"""Diffusion steps on the CPU: the arrays that runtime.c and tree.c work on, one class to a solver."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.clock import NOT_FINITE, Stage
from upstroke.backend.couplings import outward_slices, slice_rows
from upstroke.backend.spectrum import spectrum_bounds
from upstroke.backend.tree import TreeArgs, tree_arrays

if TYPE_CHECKING:
    from upstroke.backend.cpu import CpuBackend

BLOCK, LANES = 512, 8      # ROWS and LANES of runtime.c
ROUNDING = 1e-12       # of a comparison that C has made with a product where Python makes it with a quotient


class DiffusionArgs(ctypes.Structure):
    """``diffusion`` of runtime.c."""

    _fields_ = [
        ("n", ctypes.c_long), ("start", ctypes.c_void_p), ("column", ctypes.c_void_p), ("A", ctypes.c_void_p),
        ("K", ctypes.c_void_p), ("mass", ctypes.c_void_p), ("inverse_diagonal", ctypes.c_void_p),
        ("trace", ctypes.c_double), ("dt", ctypes.c_double), ("tolerance", ctypes.c_double),
        ("max_iterations", ctypes.c_long), ("low", ctypes.c_double), ("high", ctypes.c_double),
        ("past", ctypes.c_void_p * 3), ("weight", ctypes.c_double * 3),
        ("x", ctypes.c_void_p), ("r", ctypes.c_void_p), ("p", ctypes.c_void_p), ("q", ctypes.c_void_p),
        ("partial", ctypes.c_void_p), ("V", ctypes.c_void_p), ("iterations", ctypes.c_long),
        ("residual", ctypes.c_double), ("team", ctypes.c_void_p), ("begin", ctypes.c_void_p), ("end", ctypes.c_void_p),
        ("sum", ctypes.c_void_p), ("outward", ctypes.c_void_p), ("shared", ctypes.c_double),
    ]


class _Diffusion:
    """The arrays of a diffusion step, kept alive as long as the step is."""

    name = "diffusion"

    def __init__(self, backend: CpuBackend, matrices: dict[str, Any], V: NDArray[Any], dt: float) -> None:
        self._rows = slice_rows(matrices, LANES)
        self._backend, self._V, self._halo = backend, V, backend.halo
        self._length = len(V) + self._halo.ghosts                       # of vectors, with what neighbours bring
        self._halo.holds(V.ctypes.data, V.dtype)
        self._q = backend.zeros(self._length, dtype=np.float64)
        couplings = {name: values.ctypes.data for name, values in self._rows.values.items()}
        self._args = DiffusionArgs(n=len(V), start=self._rows.start.ctypes.data, column=self._rows.column.ctypes.data,
                                   q=self._q.ctypes.data, V=V.ctypes.data, dt=dt, team=backend._team, **couplings)
        if self._halo.callbacks:
            self._outward = outward_slices(next(iter(matrices.values())), len(V), BLOCK)
            self._args.outward = self._outward.ctypes.data
            for name, callback in self._halo.callbacks.items():
                setattr(self._args, name, ctypes.cast(callback, ctypes.c_void_p))


class ExplicitDiffusion(_Diffusion):
    """Forward Euler with lumped mass."""

    def __init__(self, backend: CpuBackend, K: Any, lumped_mass: NDArray[np.float64], V: NDArray[Any],
                 dt: float) -> None:
        super().__init__(backend, {"K": K}, V, dt)
        self._inverse = 1.0 / lumped_mass
        self._args.inverse_diagonal = self._inverse.ctypes.data

    def run(self, n: int) -> None:
        self._backend._runtime.diffuse_explicit(ctypes.byref(self._args))
        self._backend.clock.count(0, 0.0, True)


class ConjugateGradients(_Diffusion):
    """Conjugate gradients with a Jacobi preconditioner.

    The guess is extrapolated from the increments of the last three steps, which follows a travelling wave and saves
    about half of the iterations; where a step takes several turns, each has its own past.
    """

    WEIGHTS = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (2.0, -1.0, 0.0), (3.0, -3.0, 1.0))   # by steps known

    def __init__(self, backend: CpuBackend, A: Any, K: Any, V: NDArray[Any], dt: float, tolerance: float,
                 max_iterations: int, turns: int) -> None:
        super().__init__(backend, {"A": A, "K": K}, V, dt)
        n = K.shape[0]
        diagonal = A.diagonal()
        self._solve = backend._runtime.diffuse_cg
        self._mass = np.asarray(A.sum(axis=1)).ravel()       # rows of K sum to zero
        self._inverse = 1.0 / diagonal
        self._work = [backend.zeros(self._length, dtype=np.float64) for _ in range(2)]
        self._partial = backend.zeros(2 * (n // BLOCK + 1), dtype=np.float64)
        length = self._length + -self._length % 8
        self._increments = backend.zeros(turns, 4, length, dtype=np.float64)        # of each turn's last solves, around
        self._solves = backend.zeros(1, dtype=np.int64)
        self.memory = {"solves": self._solves}
        self.nodal = increments_by_name(self._increments, n)
        self._args.mass = self._mass.ctypes.data
        self._args.inverse_diagonal = self._inverse.ctypes.data
        self._args.r, self._args.p = (w.ctypes.data for w in self._work)
        self._args.partial = self._partial.ctypes.data
        self._args.trace = self._halo.sum(float(diagonal.sum()))
        self._args.tolerance = tolerance
        self._args.max_iterations = max_iterations

    def run(self, n: int) -> None:
        k, turn = divmod(int(self._solves[0]), len(self._increments))
        around = self._increments[turn]
        for j in range(3):
            self._args.past[j] = around[(k - 1 - j) % 4].ctypes.data
            self._args.weight[j] = self.WEIGHTS[min(k, 3)][j]
        self._args.x = around[k % 4].ctypes.data
        self._solve(ctypes.byref(self._args))
        self._solves += 1
        args = self._args          # the residual is squared; one that is not a number has not converged
        self._backend.clock.count(args.iterations, float(np.sqrt(args.residual)),
                                  bool(args.residual <= args.tolerance ** 2 * (1.0 + ROUNDING)))


class Chebyshev(ConjugateGradients):
    """Chebyshev's iteration with a Jacobi preconditioner, from the same guess to the same tolerance."""

    def __init__(self, backend: CpuBackend, A: Any, K: Any, V: NDArray[Any], dt: float, tolerance: float,
                 max_iterations: int, turns: int) -> None:
        super().__init__(backend, A, K, V, dt, tolerance, max_iterations, turns)
        self._solve = backend._runtime.diffuse_chebyshev
        self._args.low, self._args.high = spectrum_bounds(A, self._halo.widest)


def increments_by_name(increments: Any, n: int) -> dict[str, Any]:
    """Each row of (turns, 4, >= n) by name: `nodal_of` a solver that extrapolates from its last increments."""
    return {f"increments.{turn}.{k}": increments[turn, k][:n]
            for turn, around in enumerate(increments) for k in range(len(around))}


class TreeDiffusion:
    """The direct solver for couplings without loops; has no tolerance."""

    name = "diffusion"

    def __init__(self, backend: CpuBackend, A: Any, K: Any, V: NDArray[Any], dt: float, tolerance: float,
                 max_iterations: int, turns: int) -> None:
        arrays = tree_arrays(A, K)
        self._arrays = arrays | {"x": backend.zeros(len(V), dtype=np.float64), "V": V}
        self._args = TreeArgs(dt=dt, groups=len(arrays["group_level"]) - 1,
                              **{name: array.ctypes.data for name, array in self._arrays.items()})
        self._backend = backend

    def run(self, n: int) -> None:
        clock = self._backend.clock
        clock.status |= self._backend._runtime.diffuse_tree(self._backend._team, ctypes.byref(self._args))
        clock.count(0, 0.0, True)


class SciPyDiffusion:
    """SciPy's conjugate gradients in fp64, from a guess of zero: slow, and shares no code with the others.

    A Jacobi preconditioner is a scaling by D^-1/2, D = diag(A), from both sides. The norm of the scaled residual is
    then the one that the tolerance means.
    """

    name = "diffusion"

    def __init__(self, backend: CpuBackend, A: Any, K: Any, V: NDArray[Any], dt: float, tolerance: float,
                 max_iterations: int, turns: int) -> None:
        from scipy import sparse

        diagonal = A.diagonal()
        self._scale = 1.0 / np.sqrt(diagonal)
        scaling = sparse.diags_array(self._scale)
        self._A = sparse.csr_array(scaling @ A @ scaling)
        self._K, self._V, self._dt = K, V, dt
        self._norm = np.sqrt(diagonal.sum())
        self._tolerance, self._max_iterations = tolerance, max_iterations
        self._backend = backend

    def run(self, n: int) -> None:
        from scipy.sparse.linalg import cg

        iterations = 0

        def count(_: Any) -> None:
            nonlocal iterations
            iterations += 1

        b = self._scale * (-self._dt * (self._K @ self._V.astype(np.float64)))
        if not np.isfinite(b).all():
            self._backend.clock.status |= NOT_FINITE
            return
        y, failed = cg(self._A, b, rtol=0.0, atol=self._tolerance * self._norm, maxiter=self._max_iterations,
                       callback=count)
        self._V += (self._scale * y).astype(self._V.dtype)
        self._backend.clock.count(iterations, float(np.linalg.norm(b - self._A @ y) / self._norm), failed == 0)


#: The implicit solvers by name.
IMPLICIT: dict[str, Callable[..., Stage]] = {
    "cg": ConjugateGradients, "chebyshev": Chebyshev, "tree": TreeDiffusion, "library": SciPyDiffusion,
}
