"""The CPU: compiled C on a team of threads.

A backend knows no physics. It compiles source text, owns arrays, runs functions over ranges of nodes, and takes
diffusion steps on matrices in CSR form.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from upstroke.backend.compiler import compile_c, find_compiler
from upstroke.errors import BackendError

ALIGNMENT = 64   # bytes: a cache line and an AVX-512 register
BLOCK, LANES = 512, 8      # ROWS and LANES of runtime.c
ROUNDING = 1e-12       # of a comparison that C has made with a product where Python makes it with a quotient
NEGLIGIBLE = 1e-14   # of the largest coupling: what rounding leaves where a coupling is zero
REAL = {"fp64": "double", "fp32": "float"}


@cache
def _load(source: str) -> ctypes.CDLL:
    return ctypes.CDLL(str(compile_c(source)))


def available_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _DiffusionArgs(ctypes.Structure):
    """``diffusion`` of runtime.c."""

    _fields_ = [
        ("n", ctypes.c_long), ("start", ctypes.c_void_p), ("column", ctypes.c_void_p), ("A", ctypes.c_void_p),
        ("K", ctypes.c_void_p), ("mass", ctypes.c_void_p), ("inverse_diagonal", ctypes.c_void_p),
        ("trace", ctypes.c_double), ("dt", ctypes.c_double), ("tolerance", ctypes.c_double),
        ("max_iterations", ctypes.c_long),
        ("past", ctypes.c_void_p * 3), ("weight", ctypes.c_double * 3),
        ("x", ctypes.c_void_p), ("r", ctypes.c_void_p), ("p", ctypes.c_void_p), ("q", ctypes.c_void_p),
        ("partial", ctypes.c_void_p), ("V", ctypes.c_void_p), ("iterations", ctypes.c_long),
        ("residual", ctypes.c_double), ("team", ctypes.c_void_p),
    ]


class KernelArgs(ctypes.Structure):
    """``upstroke_args`` of the generated kernels."""

    _fields_ = [
        ("V", ctypes.c_void_p), ("S", ctypes.c_void_p), ("W", ctypes.c_void_p), ("Iion", ctypes.c_void_p),
        ("Istim", ctypes.c_void_p), ("P", ctypes.c_void_p), ("N", ctypes.c_void_p), ("stride", ctypes.c_long),
        ("t", ctypes.c_double), ("dt", ctypes.c_double), ("steps", ctypes.c_long), ("C_m", ctypes.c_double),
    ]


class CpuBackend:
    """Threads, arrays and compiled code of this machine.

    Parameters
    ----------
    threads : number of threads; 0 takes all cores this process may use
    precision : "fp64" or "fp32", the type of V and of the membrane's states

    Raises
    ------
    BackendError where no C compiler is found
    """

    name = "cpu"
    target: Literal["c"] = "c"       # what code generation has to emit

    def __init__(self, threads: int = 0, precision: str = "fp64") -> None:
        self.precision = precision
        self.dtype: np.dtype[Any] = np.dtype(np.float64 if precision == "fp64" else np.float32)
        text = resources.files(__package__).joinpath("runtime.c").read_text()
        self._runtime = _load(f"typedef {REAL[precision]} real;\n{text}")
        for function in ("team_open", "team_size", "team_close", "for_range", "diffuse_cg", "diffuse_explicit"):
            if not hasattr(self._runtime, function):
                raise BackendError("runtime.c", f"the compiled library lacks {function}", "empty the kernel cache")
        self._runtime.team_open.restype = ctypes.c_void_p
        self._runtime.for_range.restype = ctypes.c_long
        self._team = ctypes.c_void_p(self._runtime.team_open(threads or available_threads()))
        self.threads: int = self._runtime.team_size(self._team)
        weakref.finalize(self, self._runtime.team_close, self._team)

    def describe(self) -> dict[str, str | int]:
        """What computes, for the manifest."""
        return {"device": "cpu", "processor": _processor(), "threads": self.threads, "precision": self.precision,
                "compiler": str(find_compiler())}

    # ------------------------------------------------------------------------------------------ arrays
    def zeros(self, *shape: int, dtype: DTypeLike | None = None) -> NDArray[Any]:
        """A zeroed array, aligned to a cache line."""
        dtype = np.dtype(dtype or self.dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        buffer = np.zeros(size + ALIGNMENT, np.uint8)
        start = -buffer.ctypes.data % ALIGNMENT
        return buffer[start:start + size].view(dtype).reshape(shape)

    def stride(self, n: int) -> int:
        """Length of a row of a structure-of-arrays block of ``n`` nodes.

        An odd number of cache lines, so that the rows of one node never fall into the same cache set.
        """
        per_line = ALIGNMENT // self.dtype.itemsize
        lines = -(-n // per_line)
        return (lines + 1 - lines % 2) * per_line

    def to_host(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array in host memory; on the CPU, itself."""
        return array

    # ----------------------------------------------------------------------------------- compiled code
    def library(self, source: str) -> ctypes.CDLL:
        """Compile C source (cached on disk and in this process) and load it."""
        return _load(source)

    def for_range(self, function: Any, args: ctypes.Structure, n: int) -> int:
        """Run ``long f(long begin, long end, const void *args)`` over [0, n) on all threads; OR of the results."""
        pointer = ctypes.cast(function, ctypes.c_void_p)
        return self._runtime.for_range(self._team, pointer, ctypes.byref(args), ctypes.c_long(n))

    def membrane(self, source: str, arrays: Mapping[str, NDArray[Any]], C_m: float, steps: int) -> Membrane:
        """The kernel of a generated source, bound to the arrays that its arguments name (V, S, W, Iion, Istim)."""
        return Membrane(self, source, arrays, C_m, steps)

    # --------------------------------------------------------------------------------------- diffusion
    def implicit_diffusion(self, A: Any, K: Any, V: NDArray[Any], dt: float, tolerance: float,
                           max_iterations: int) -> ImplicitDiffusion:
        """Steps of A delta = -dt K V, V += delta; A and K in CSR form with one pattern."""
        return ImplicitDiffusion(self, A, K, V, dt, tolerance, max_iterations)

    def explicit_diffusion(self, K: Any, lumped_mass: NDArray[np.float64], V: NDArray[Any],
                           dt: float) -> ExplicitDiffusion:
        """Steps of V -= dt K V / m."""
        return ExplicitDiffusion(self, K, lumped_mass, V, dt)


class Membrane:
    """A generated kernel on its arrays: ``steps`` steps a call."""

    def __init__(self, backend: CpuBackend, source: str, arrays: Mapping[str, NDArray[Any]], C_m: float,
                 steps: int) -> None:
        self._backend, self._arrays = backend, dict(arrays)
        self._advance = backend.library(source).upstroke_advance
        self.args = KernelArgs(stride=arrays["S"].shape[1], steps=steps, C_m=C_m,
                               **{name: array.ctypes.data for name, array in arrays.items()})

    def advance(self, t: float, dt: float) -> int:
        """All nodes from t (ms) by steps of dt / steps; the OR of the kernel's status bits."""
        self.args.t, self.args.dt = t, dt / self.args.steps
        return self._backend.for_range(self._advance, self.args, len(self._arrays["V"]))


class _Diffusion:
    """The arrays of a diffusion step, kept alive as long as the step is.

    Matrices are stored as couplings between neighbours, in fp32, without those that are zero, in slices of ``LANES``
    rows: see runtime.c.
    """

    def __init__(self, backend: CpuBackend, matrices: dict[str, Any], V: NDArray[Any], dt: float) -> None:
        pattern = next(iter(matrices.values()))
        n = pattern.shape[0]
        rows = np.repeat(np.arange(n), np.diff(pattern.indptr))
        keep = np.any([abs(m.data) > NEGLIGIBLE * abs(m.data).max() for m in matrices.values()], axis=0)
        keep &= pattern.indices != rows
        rows = rows[keep]
        length = np.bincount(rows, minlength=-(-n // LANES) * LANES)
        width = length.reshape(-1, LANES).max(axis=1, initial=0)
        self._start = np.concatenate([[0], np.cumsum(width)]).astype(np.int64)
        rank = np.arange(len(rows)) - np.repeat(np.cumsum(length) - length, length)      # of an entry in its row
        place = (self._start[rows // LANES] + rank) * LANES + rows % LANES
        slices = np.repeat(np.arange(len(width)), width)
        own = np.minimum(slices[:, None] * LANES + np.arange(LANES), n - 1)
        self._column = own.astype(np.int32).ravel()
        self._column[place] = pattern.indices[keep]
        self._couplings = {name: np.zeros(self._column.size, np.float32) for name in matrices}
        self._q = backend.zeros(n, dtype=np.float64)
        self._backend, self._V = backend, V
        self._args = _DiffusionArgs(n=n, start=self._start.ctypes.data, column=self._column.ctypes.data,
                                    q=self._q.ctypes.data, V=V.ctypes.data, dt=dt, team=backend._team)
        for name, matrix in matrices.items():
            self._couplings[name][place] = matrix.data[keep]
            setattr(self._args, name, self._couplings[name].ctypes.data)


class ExplicitDiffusion(_Diffusion):
    """Forward Euler with lumped mass."""

    iterations = 0
    converged = True

    def __init__(self, backend: CpuBackend, K: Any, lumped_mass: NDArray[np.float64], V: NDArray[Any],
                 dt: float) -> None:
        super().__init__(backend, {"K": K}, V, dt)
        self._inverse = 1.0 / lumped_mass
        self._args.inverse_diagonal = self._inverse.ctypes.data

    def step(self) -> None:
        self._backend._runtime.diffuse_explicit(ctypes.byref(self._args))


class ImplicitDiffusion(_Diffusion):
    """Conjugate gradients with a Jacobi preconditioner.

    The guess is extrapolated from the increments of the last three steps, which follows a travelling wave and saves
    about half of the iterations. ``iterations`` and ``residual`` (mV) tell of the last step.
    """

    WEIGHTS = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (2.0, -1.0, 0.0), (3.0, -3.0, 1.0))   # by steps known

    def __init__(self, backend: CpuBackend, A: Any, K: Any, V: NDArray[Any], dt: float, tolerance: float,
                 max_iterations: int) -> None:
        if not (np.array_equal(A.indptr, K.indptr) and np.array_equal(A.indices, K.indices)):
            raise ValueError("A and K must share one sparsity pattern")
        super().__init__(backend, {"A": A, "K": K}, V, dt)
        n = K.shape[0]
        diagonal = A.diagonal()
        self._mass = np.asarray(A.sum(axis=1)).ravel()       # rows of K sum to zero
        self._inverse = 1.0 / diagonal
        self._work = [backend.zeros(n, dtype=np.float64) for _ in range(2)]
        self._partial = backend.zeros(2 * (n // BLOCK + 1), dtype=np.float64)
        self._increments = [backend.zeros(n, dtype=np.float64) for _ in range(4)]   # newest first; the last is next
        self._steps = 0
        self._args.mass = self._mass.ctypes.data
        self._args.inverse_diagonal = self._inverse.ctypes.data
        self._args.r, self._args.p = (w.ctypes.data for w in self._work)
        self._args.partial = self._partial.ctypes.data
        self._args.trace = diagonal.sum()
        self._args.tolerance = tolerance
        self._args.max_iterations = max_iterations

    @property
    def iterations(self) -> int:
        return self._args.iterations

    @property
    def residual(self) -> float:
        return float(np.sqrt(self._args.residual))

    @property
    def converged(self) -> bool:
        """The residual, squared as in runtime.c, is within the tolerance; one that is not a number is not."""
        return bool(self._args.residual <= self._args.tolerance ** 2 * (1.0 + ROUNDING))

    def step(self) -> None:
        *past, x = self._increments
        for k, increment in enumerate(past):
            self._args.past[k] = increment.ctypes.data
            self._args.weight[k] = self.WEIGHTS[min(self._steps, 3)][k]
        self._args.x = x.ctypes.data
        self._backend._runtime.diffuse_cg(ctypes.byref(self._args))
        self._increments = [x, *past]
        self._steps += 1


@cache
def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    import platform

    return platform.processor() or platform.machine()
