"""The CPU: compiled C on a team of threads.

A backend knows no physics. It compiles source text, owns arrays, runs functions over ranges of nodes, and takes
diffusion steps on matrices in CSR form.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from upstroke.backend.clock import HALTING, Clock, Stage
from upstroke.backend.compiler import compile_c, find_compiler
from upstroke.errors import BackendError

ALIGNMENT = 64   # bytes: a cache line and an AVX-512 register
BLOCK, LANES = 512, 8      # ROWS and LANES of runtime.c
ROUNDING = 1e-12       # of a comparison that C has made with a product where Python makes it with a quotient
NEGLIGIBLE = 1e-14   # of the largest coupling: what rounding leaves where a coupling is zero
REAL = {"fp64": "double", "fp32": "float", "mixed": "float"}     # of V, and of all states but those kept in fp64


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
        ("step_dt", ctypes.c_double),
    ]


class CpuBackend:
    """Threads, arrays and compiled code of this machine.

    Parameters
    ----------
    threads : number of threads; 0 takes all cores this process may use
    precision : "fp64", "fp32" or "mixed": the type of V and of the membrane's states

    Raises
    ------
    BackendError where no C compiler is found
    """

    name = "cpu"
    target: Literal["c"] = "c"       # what code generation has to emit
    lag = 0                          # steps by which the host's view may be behind

    def __init__(self, threads: int = 0, precision: str = "fp64") -> None:
        self.precision = precision
        self.dtype: np.dtype[Any] = np.dtype(np.float64 if precision == "fp64" else np.float32)
        text = resources.files(__package__).joinpath("runtime.c").read_text()
        self.clock = Clock()
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

    def pointer(self, array: NDArray[Any]) -> int:
        """The address of an array, for the arguments of kernels."""
        return array.ctypes.data

    def stride(self, n: int) -> int:
        """Length of a row of a structure-of-arrays block of ``n`` nodes.

        An odd number of cache lines, so that the rows of one node never fall into the same cache set.
        """
        per_line = ALIGNMENT // self.dtype.itemsize
        lines = -(-n // per_line)
        return (lines + 1 - lines % 2) * per_line

    def array(self, host: NDArray[Any], dtype: DTypeLike | None = None) -> NDArray[Any]:
        """A copy of a host array, in this backend's memory."""
        copy = self.zeros(*host.shape, dtype=dtype or host.dtype)
        copy[...] = host
        return copy

    def to_host(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array in host memory; on the CPU, itself."""
        return array

    def fetch(self, arrays: Mapping[str, NDArray[Any]]) -> HostFetch:
        """The arrays as they are after all steps so far; on the CPU, themselves."""
        return HostFetch(arrays, self.clock.step)

    # ----------------------------------------------------------------------------------- compiled code
    def kernel(self, source: str, name: str, args: ctypes.Structure, n: int, *, dt: float, label: str) -> NodeKernel:
        """The function ``long name(long begin, long end, const args *)`` of a C source, over the nodes [0, n).

        ``args`` has the field ``t``, which is n dt in step n. Compiled code is cached on disk and in this process.
        """
        return NodeKernel(self, getattr(_load(source), name), args, n, dt, label)

    def membrane(self, source: str, arrays: Mapping[str, NDArray[Any]], C_m: float, dt: float, *, steps: int = 1,
                 part: float = 1.0, uniform: Sequence[float] = ()) -> NodeKernel:
        """The stage "reaction": a generated kernel on the arrays that its arguments name (V, S, W, Iion, Istim, N).

        It takes ``steps`` steps in each step, which together are ``part`` of ``dt`` (ms). ``uniform`` are the values of the
        kernel's uniform parameters.
        """
        pointers = {name: self.pointer(array) for name, array in arrays.items()}
        values = np.array(uniform, self.dtype)
        args = KernelArgs(stride=arrays["S"].shape[1], steps=steps, dt=part * dt / steps, C_m=C_m,
                          P=values.ctypes.data, **pointers)
        stage = self.kernel(source, "upstroke_advance", args, len(arrays["V"]), dt=dt, label="reaction")
        stage.keep = (values, dict(arrays))
        return stage

    def inputs(self, out: NDArray[Any], nodes: NDArray[np.int64], offsets: NDArray[np.int64], trains: NDArray[np.int32],
               steps: NDArray[np.int64], values: NDArray[np.float64]) -> Inputs:
        """The stage "stimulus": out[nodes[i]] = sum of values[e, trains[j]], offsets[i] <= j < offsets[i + 1].

        e is the last event with steps[e] <= n; before the first, nothing is written.
        """
        return Inputs(out, nodes, offsets, trains, steps, values)

    def loop(self, stages: Sequence[Stage]) -> Loop:
        """Steps made of these stages, from step 0 on."""
        return Loop(self, stages)

    # --------------------------------------------------------------------------------------- diffusion
    def implicit_diffusion(self, A: Any, K: Any, V: NDArray[Any], dt: float, tolerance: float,
                           max_iterations: int) -> ImplicitDiffusion:
        """Steps of A delta = -dt K V, V += delta; A and K in CSR form with one pattern."""
        return ImplicitDiffusion(self, A, K, V, dt, tolerance, max_iterations)

    def explicit_diffusion(self, K: Any, lumped_mass: NDArray[np.float64], V: NDArray[Any],
                           dt: float) -> ExplicitDiffusion:
        """Steps of V -= dt K V / m."""
        return ExplicitDiffusion(self, K, lumped_mass, V, dt)


class NodeKernel:
    """A compiled function over nodes, bound to its arguments."""

    def __init__(self, backend: CpuBackend, function: Any, args: ctypes.Structure, n: int, dt: float, name: str) -> None:
        self.name, self.args, self.keep = name, args, ()
        self._backend, self._n, self._dt = backend, ctypes.c_long(n), dt
        self._function = ctypes.cast(function, ctypes.c_void_p)
        self._pointer = ctypes.byref(args)

    keep: Any     # what the arguments point to

    def run(self, n: int) -> None:
        """Blocks of nodes by whichever thread is free."""
        backend = self._backend
        self.args.t = n * self._dt
        backend.clock.status |= backend._runtime.for_range(backend._team, self._function, self._pointer, self._n)


class Inputs:
    """Piecewise constant inputs of some nodes; touches them only where something changes."""

    name = "stimulus"

    def __init__(self, out: NDArray[Any], nodes: NDArray[np.int64], offsets: NDArray[np.int64],
                 trains: NDArray[np.int32], steps: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        self._out, self._nodes, self._offsets, self._trains = out, nodes, offsets[:-1], trains
        self._steps, self._values, self._event = steps, values, -1

    def run(self, n: int) -> None:
        event = bisect_right(self._steps, n) - 1
        if event != self._event:
            self._out[self._nodes] = np.add.reduceat(self._values[event, self._trains], self._offsets)
            self._event = event


class Loop:
    """Steps, one after the other; ``seconds`` by the stages' names."""

    def __init__(self, backend: CpuBackend, stages: Sequence[Stage]) -> None:
        self.clock = backend.clock = Clock()
        self._stages = tuple(stages)
        self.seconds = {stage.name: 0.0 for stage in stages}

    def run(self, n: int) -> None:
        """Step n; one that breaks halts the clock and goes no further."""
        for stage in self._stages:
            start = perf_counter()
            stage.run(n)
            self.seconds[stage.name] += perf_counter() - start
            if self.clock.status & HALTING:
                break
        self.clock.tick()

    def sync(self) -> None:
        """Nothing is under way."""


class HostFetch:
    """Arrays that are in host memory already."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], step: int) -> None:
        self._arrays, self.step = dict(arrays), step

    def ready(self) -> bool:
        return True

    def get(self) -> dict[str, NDArray[Any]]:
        return self._arrays


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

    name = "diffusion"

    def __init__(self, backend: CpuBackend, K: Any, lumped_mass: NDArray[np.float64], V: NDArray[Any],
                 dt: float) -> None:
        super().__init__(backend, {"K": K}, V, dt)
        self._inverse = 1.0 / lumped_mass
        self._args.inverse_diagonal = self._inverse.ctypes.data

    def run(self, n: int) -> None:
        self._backend._runtime.diffuse_explicit(ctypes.byref(self._args))
        self._backend.clock.count(0, 0.0, True)


class ImplicitDiffusion(_Diffusion):
    """Conjugate gradients with a Jacobi preconditioner.

    The guess is extrapolated from the increments of the last three steps, which follows a travelling wave and saves
    about half of the iterations.
    """

    name = "diffusion"
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

    def run(self, n: int) -> None:
        *past, x = self._increments
        for k, increment in enumerate(past):
            self._args.past[k] = increment.ctypes.data
            self._args.weight[k] = self.WEIGHTS[min(self._steps, 3)][k]
        self._args.x = x.ctypes.data
        self._backend._runtime.diffuse_cg(ctypes.byref(self._args))
        self._increments = [x, *past]
        self._steps += 1
        args = self._args          # the residual is squared; one that is not a number has not converged
        self._backend.clock.count(args.iterations, float(np.sqrt(args.residual)),
                                  bool(args.residual <= args.tolerance ** 2 * (1.0 + ROUNDING)))


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
