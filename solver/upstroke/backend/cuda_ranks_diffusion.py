"""Diffusion steps of processes that share a run, each on a GPU: the arrays that ranks.cu works on.

Conjugate gradients carry A z along (Chronopoulos and Gear 1989, doi 10.1016/0377-0427(89)90045-9), so that the two sums
of an iteration are added over all processes together; that costs one more product a solve. Chebyshev's iteration
adds at the start and where it may be done.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.clock import NOT_CONVERGED, Stage
from upstroke.backend.couplings import outward_slices
from upstroke.backend.cpu_diffusion import increments_by_name
from upstroke.backend.cuda_diffusion import LANES, THREADS, RowsArgs, by_value, device_rows
from upstroke.backend.spectrum import spectrum_bounds

if TYPE_CHECKING:
    from upstroke.backend.cuda_ranks import CudaRankBackend

SUMS = 2                # of an iteration, at most


class RankDiffusionArgs(ctypes.Structure):
    """``rank_diffusion`` of ranks.cu."""

    _fields_ = [("n", ctypes.c_long), ("pattern", RowsArgs),
                *((name, ctypes.c_void_p) for name in ("A", "K", "mass", "inverse_diagonal")), ("dt", ctypes.c_double),
                *((name, ctypes.c_void_p) for name in ("increments", "solves")), ("turns", ctypes.c_long),
                *((name, ctypes.c_void_p) for name in ("x", "r", "z", "w", "p", "s", "parts")),
                ("blocks", ctypes.c_long), ("V", ctypes.c_void_p)]


class SomeRowsArgs(ctypes.Structure):
    """``some_rows`` of ranks.cu."""

    _fields_ = [("slice", ctypes.c_void_p), ("count", ctypes.c_long), ("first", ctypes.c_long)]


class RankDiffusion:
    """Launches over the rows of one process, and exchanges of the vectors that they read."""

    name = "diffusion"
    recordable = False                  # the host takes part
    WORK: tuple[str, ...] = ("w",)      # vectors (n and ghosts,)
    SENT: tuple[str, ...] = ()          # those that are exchanged, beside V

    def __init__(self, backend: CudaRankBackend, matrices: dict[str, Any], V: Any, dt: float,
                 **more: Any) -> None:
        n = len(V)
        pattern, self._arrays, repeat = device_rows(backend, matrices)
        self._module, self._functions = backend.kernels[repeat], dict[str, Any]()
        outward = outward_slices(next(iter(matrices.values())), n, LANES)
        some = [np.flatnonzero(outward == which).astype(np.int32) for which in (False, True)]
        grids = [backend.joint_blocks(self._get("rank_product"), LANES * len(slices)) for slices in some]
        self._blocks, self._some = sum(grids), list[tuple[int, Any]]()
        self._arrays |= {name: backend.array(value) for name, value in more.items() if isinstance(value, np.ndarray)}
        self._arrays |= {name: backend.fresh(n + backend.halo.ghosts) for name in self.WORK}
        self._arrays |= {"parts": backend.fresh(SUMS, self._blocks), "V": V,
                         "solves": backend.zeros(1, dtype=np.int64), "inner": backend.array(some[0]),
                         "outer": backend.array(some[1])}
        for name, slices, grid, first in zip(("inner", "outer"), some, grids, (0, grids[0]), strict=True):
            args = SomeRowsArgs(slice=backend.pointer(self._arrays[name]), count=len(slices), first=first)
            self._some.append((grid, by_value(args)))
        turns = more.get("turns", 1)
        self.memory: dict[str, Any] = {}
        self.nodal: dict[str, Any] = {}
        if "turns" in more:
            self._arrays["increments"] = increments = backend.zeros(turns, 4, n, dtype=np.float64)
            self.memory = {"solves": self._arrays["solves"]}
            self.nodal = increments_by_name(increments, n)
        fields = {field[0] for field in RankDiffusionArgs._fields_}
        pointers = {name: backend.pointer(array) for name, array in self._arrays.items() if name in fields}
        self._args = by_value(RankDiffusionArgs(n=n, pattern=pattern, dt=dt, turns=turns, blocks=self._blocks,
                                                **pointers))
        self._exchanges = {name: backend.exchange(self._arrays[name], n) for name in (*self.SENT, "V")}
        self._sums = backend.sums(SUMS)
        self._backend = backend

    def _get(self, name: str) -> Any:
        if name not in self._functions:
            self._functions[name] = self._module.get_function(name)
        return self._functions[name]

    def _launch(self, name: str, blocks: int, *args: Any) -> None:
        self._get(name)((blocks,), (THREADS,), args, stream=self._backend.stream)

    def _all(self, name: str, *args: Any) -> None:
        """A kernel on all rows, which needs no ghosts."""
        self._launch(name, self._blocks, self._args, *args)

    def _rows(self, name: str, sent: str, *args: Any) -> None:
        """A kernel on the rows that need no ghosts while those of a vector come, then on the others."""
        exchange = self._exchanges[sent]
        exchange.begin()
        for turn, (grid, some) in enumerate(self._some):
            if turn:
                exchange.end()
            self._launch(name, grid, self._args, some, *args)

    def _totals(self, count: int) -> NDArray[np.float64]:
        """(count,) the sums that the launches before have left parts of, over all processes; waits for them."""
        backend = self._backend
        self._launch("rank_total", count, self._arrays["parts"], np.int64(self._blocks), self._sums.device)
        mine = self._sums.get(count)
        backend.halo.add(mine)
        return mine

    def _count(self, iterations: int, residual: float, converged: bool) -> None:
        self._get("count_solve")((1,), (1,), (self._backend.device_clock, np.int64(iterations), np.float64(residual),
                                              np.int32(0 if converged else NOT_CONVERGED)),
                                 stream=self._backend.stream)


class ExplicitDiffusion(RankDiffusion):
    """Forward Euler with lumped mass."""

    def __init__(self, backend: CudaRankBackend, K: Any, lumped_mass: NDArray[np.float64], V: Any, dt: float) -> None:
        super().__init__(backend, {"K": K}, V, dt, inverse_diagonal=1.0 / lumped_mass)

    def run(self, n: int) -> None:
        self._rows("rank_flow", "V")
        self._all("rank_subtract")
        self._count(0, 0.0, True)


class ConjugateGradients(RankDiffusion):
    """Conjugate gradients with a Jacobi preconditioner, from a guess extrapolated from the last three increments."""

    WORK: tuple[str, ...] = ("x", "r", "z", "w", "p", "s")
    SENT: tuple[str, ...] = ("x", "z")
    FIRST = 1.0        # z at the start, in parts of r / diag(A)

    def __init__(self, backend: CudaRankBackend, A: Any, K: Any, V: Any, dt: float, tolerance: float,
                 max_iterations: int, turns: int) -> None:
        diagonal = A.diagonal()
        super().__init__(backend, {"A": A, "K": K}, V, dt, mass=np.asarray(A.sum(axis=1)).ravel(),
                         inverse_diagonal=1.0 / diagonal, turns=turns)
        self._trace = float(backend.halo.sum(float(diagonal.sum())))
        self._stop, self._most = tolerance * tolerance * self._trace, max_iterations

    def run(self, n: int) -> None:
        V = self._exchanges["V"]
        V.begin()
        self._all("rank_guess")
        V.end()
        self._rows("rank_residual", "x", np.float64(self.FIRST))
        with np.errstate(all="ignore"):              # what is not a number has not converged
            iterations, rho = self._iterate()
            self._all("rank_finish")
            self._count(iterations, np.sqrt(rho / self._trace), bool(rho <= self._stop))
        self._get("rank_solved")((1,), (1,), (self._arrays["solves"],), stream=self._backend.stream)

    def _iterate(self) -> tuple[int, np.float64]:
        """Iterations, and r.z after them."""
        self._rows("rank_product", "z")
        rho, wz = self._totals(2)
        before = alpha = rho
        iterations = 0
        while rho > self._stop and iterations < self._most:
            first = iterations == 0
            beta = np.float64(0) if first else rho / before
            alpha = rho / (wz if first else wz - beta * rho / alpha)
            self._all("rank_update", alpha, beta, np.int32(first))
            self._rows("rank_product", "z")
            before = rho
            rho, wz = self._totals(2)
            iterations += 1
        return iterations, rho


class Chebyshev(ConjugateGradients):
    """Chebyshev's iteration with a Jacobi preconditioner, from the same guess to the same tolerance.

    z holds the direction, and w the next one; the two change places.
    """

    WORK = ("x", "r", "z", "w")
    SENT = ("x", "z", "w")

    def __init__(self, backend: CudaRankBackend, A: Any, K: Any, V: Any, dt: float, tolerance: float,
                 max_iterations: int, turns: int) -> None:
        low, high = spectrum_bounds(A, backend.halo.widest)
        self._centre, self._half = 0.5 * (high + low), 0.5 * (high - low)
        self.FIRST = 1.0 / self._centre
        super().__init__(backend, A, K, V, dt, tolerance, max_iterations, turns)

    def _iterate(self) -> tuple[int, np.float64]:
        rho, = self._totals(1)
        sigma, iterations, p, after = self._centre / self._half, 0, "z", "w"
        omega = 1.0 / sigma
        due = max(1.0, np.ceil(np.arccosh(np.sqrt(rho / self._stop)) / np.arccosh(sigma)))
        while rho > self._stop and iterations < self._most:
            while iterations < due and iterations < self._most:
                next_ = 1.0 / (2.0 * sigma - omega)
                self._rows("rank_chebyshev", p, self._arrays[p], self._arrays[after], np.float64(next_ * omega),
                           np.float64(2.0 * next_ / self._half))
                p, after, omega, iterations = after, p, next_, iterations + 1
            rho, = self._totals(1)
            due = iterations + 1 + iterations // 8
        return iterations, rho


#: The implicit solvers by name.
IMPLICIT: dict[str, Callable[..., Stage]] = {"cg": ConjugateGradients, "chebyshev": Chebyshev}
