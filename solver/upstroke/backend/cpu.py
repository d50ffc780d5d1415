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
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from upstroke.backend.clock import Clock, Stage
from upstroke.backend.compiler import compile_c, find_compiler
from upstroke.backend.couplings import slice_rows
from upstroke.backend.cpu_diffusion import IMPLICIT, LANES, ExplicitDiffusion
from upstroke.backend.cpu_loop import Loop, StageCall
from upstroke.backend.cpu_voltage import VoltageStep
from upstroke.backend.halo import Alone, Halo
from upstroke.backend.voltage import branches_of
from upstroke.errors import BackendError

ALIGNMENT = 64   # bytes: a cache line and an AVX-512 register
RUNTIME = ("runtime.c", "tree.c", "voltage.c", "calls.c")
REAL = {"fp64": "double", "fp32": "float", "mixed": "float"}     # of V, and of all states but those kept in fp64


@cache
def _load(source: str) -> ctypes.CDLL:
    return ctypes.CDLL(str(compile_c(source)))


def available_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class KernelArgs(ctypes.Structure):
    """``upstroke_args`` of the generated kernels."""

    _fields_ = [
        ("V", ctypes.c_void_p), ("S", ctypes.c_void_p), ("W", ctypes.c_void_p), ("Iion", ctypes.c_void_p),
        ("Istim", ctypes.c_void_p), ("P", ctypes.c_void_p), ("N", ctypes.c_void_p), ("stride", ctypes.c_long),
        ("t", ctypes.c_double), ("dt", ctypes.c_double), ("steps", ctypes.c_long), ("C_m", ctypes.c_double),
        ("step_dt", ctypes.c_double),
    ]


class _CouplingArgs(ctypes.Structure):
    """``up_couplings`` of couplings.h."""

    _fields_ = [*((name, ctypes.c_void_p) for name in ("start", "column", "K", "inverse_mass")),
                ("dt", ctypes.c_double), ("begin", ctypes.c_long)]


class _CoupledArgs(ctypes.Structure):
    """``upstroke_coupled_args`` of the generated kernels."""

    _anonymous_ = ("kernel",)
    _fields_ = [("kernel", KernelArgs), ("couplings", ctypes.c_void_p), ("V_next", ctypes.c_void_p)]


class FollowArgs(ctypes.Structure):
    """``upstroke_follow_args`` of the generated kernels."""

    _anonymous_ = ("a",)
    _fields_ = [("a", KernelArgs), ("G", ctypes.c_void_p)]


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
    choice = "as asked for"          # why this device: open_backend
    lag = 0                          # steps by which the host's view may be behind
    notes: tuple[str, ...] = ()      # what the user should know

    def __init__(self, threads: int = 0, precision: str = "fp64") -> None:
        self.precision = precision
        self.dtype: np.dtype[Any] = np.dtype(np.float64 if precision == "fp64" else np.float32)
        text = "".join(resources.files(__package__).joinpath(file).read_text() for file in RUNTIME)
        self.clock = Clock()
        self.halo: Halo = Alone()        # of runs that several processes share
        self.libraries: dict[str, Any] = {}          # what else computes, by name, as its stages say
        self._runtime = _load(f"typedef {REAL[precision]} real;\n{text}")
        for function in ("team_open", "team_size", "team_close", "for_range", "diffuse_cg", "diffuse_chebyshev",
                         "diffuse_explicit", "diffuse_tree", "step_voltage", "run_calls"):
            if not hasattr(self._runtime, function):
                raise BackendError("runtime.c", f"the compiled library lacks {function}", "empty the kernel cache")
        self._runtime.team_open.restype = ctypes.c_void_p
        for function in ("for_range", "diffuse_tree", "step_voltage", "run_calls"):
            getattr(self._runtime, function).restype = ctypes.c_long
        self._team = ctypes.c_void_p(self._runtime.team_open(threads or available_threads()))
        self.threads: int = self._runtime.team_size(self._team)
        weakref.finalize(self, self._runtime.team_close, self._team)

    def describe(self) -> dict[str, Any]:
        """What computes, for the manifest."""
        return {"device": "cpu", "chosen": self.choice, "processor": _processor(), "threads": self.threads,
                "precision": self.precision,
                "compiler": str(find_compiler()), **self.libraries}

    def __str__(self) -> str:
        return f"{_processor()}, {self.threads} thread{'s' * (self.threads > 1)}"

    # ------------------------------------------------------------------------------------------ arrays
    def zeros(self, *shape: int, dtype: DTypeLike | None = None) -> NDArray[Any]:
        """A zeroed array, aligned to a cache line."""
        dtype = np.dtype(dtype or self.dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        buffer = np.zeros(size + ALIGNMENT, np.uint8)
        start = -buffer.ctypes.data % ALIGNMENT
        return buffer[start:start + size].view(dtype).reshape(shape)

    def memory(self) -> tuple[int, int] | None:
        """Bytes that this process has taken of a device's own memory, and bytes that are free; a CPU has none."""
        return None

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

    def put(self, array: NDArray[Any], host: NDArray[Any]) -> None:
        """Write host values into an array of this backend."""
        np.copyto(array, host)

    def fetch(self, arrays: Mapping[str, NDArray[Any]]) -> HostFetch:
        """The arrays as they are after all steps so far; on the CPU, themselves."""
        return HostFetch(arrays, self.clock.step)

    # ----------------------------------------------------------------------------------- compiled code
    def kernel(self, source: str, name: str, args: ctypes.Structure, n: int, *, dt: float, label: str,
               start: float = 0.0) -> NodeKernel:
        """The function ``long name(long begin, long end, const args *)`` of a C source, over the nodes [0, n).

        ``args`` has the field ``t``, which is start + n dt in step n. Compiled code is cached on disk and in this
        process.
        """
        return NodeKernel(self, getattr(_load(source), name), args, n, dt, label, start)

    def membrane(self, source: str, arrays: Mapping[str, NDArray[Any]], C_m: float, dt: float, *, steps: int = 1,
                 part: float = 1.0, uniform: Sequence[float] = ()) -> NodeKernel:
        """The stage "reaction": a generated kernel on the arrays that its arguments name (V, S, W, Iion, Istim, N).

        It takes ``steps`` steps in each step, which together are ``part`` of ``dt`` (ms). ``uniform`` are the values of
        the kernel's uniform parameters.
        """
        values = np.array(uniform, self.dtype)
        args = self._membrane_args(arrays, C_m, part * dt, steps)
        args.P = values.ctypes.data
        stage = self.kernel(source, "upstroke_advance", args, len(arrays["V"]), dt=dt, label="reaction")
        stage.keep = (values, dict(arrays))
        return stage

    def _membrane_args(self, arrays: Mapping[str, NDArray[Any]], C_m: float, span: float, steps: int) -> KernelArgs:
        return KernelArgs(stride=arrays["S"].shape[1], steps=steps, dt=span / max(steps, 1), C_m=C_m,
                          **{name: self.pointer(array) for name, array in arrays.items()})

    def inputs(self, out: NDArray[Any], nodes: NDArray[np.int64], offsets: NDArray[np.int64], trains: NDArray[np.int32],
               scale: NDArray[np.float64], steps: NDArray[np.int64], values: NDArray[np.float64]) -> Inputs:
        """The stage "stimulus": out[nodes[i]] = sum of scale[j] values[e, trains[j]], offsets[i] <= j < offsets[i + 1].

        e is the last event with steps[e] <= n; before the first, nothing is written.
        """
        return Inputs(out, nodes, offsets, trains, scale, steps, values)

    def loop(self, stages: Sequence[Stage]) -> Loop:
        """Steps made of these stages, from step 0 on."""
        return Loop(self, stages)

    # --------------------------------------------------------------------------------------- diffusion
    def implicit_diffusion(self, A: Any, K: Any, V: NDArray[Any], dt: float, tolerance: float, max_iterations: int,
                           method: str = "cg", turns: int = 1) -> Stage:
        """The stage "diffusion": A delta = -dt K V, V += delta; A and K in CSR form with one pattern.

        ``method`` is "cg", "chebyshev", "tree" (for couplings without loops) or "library" (SciPy). The iterations stop
        where the volume-weighted RMS of the residual over diag(A) is at most ``tolerance`` (mV). The stage is run
        ``turns`` times in a step.
        """
        if not (np.array_equal(A.indptr, K.indptr) and np.array_equal(A.indices, K.indices)):
            raise ValueError("A and K must share one sparsity pattern")
        return IMPLICIT[method](self, A, K, V, dt, tolerance, max_iterations, turns)

    def explicit_diffusion(self, K: Any, lumped_mass: NDArray[np.float64], V: NDArray[Any],
                           dt: float) -> ExplicitDiffusion:
        """Steps of V -= dt K V / m."""
        return ExplicitDiffusion(self, K, lumped_mass, V, dt)

    def unsplit(self, groups: Sequence[tuple[str, Mapping[str, NDArray[Any]], int]], K: Any,
                lumped_mass: NDArray[np.float64], V: NDArray[Any], C_m: float, dt: float, steps: int) -> list[Stage]:
        """Reaction and diffusion from the same state: V + (the reaction's increment) - dt K V / m.

        ``groups`` are (source, arrays, first row) of the membranes.
        """
        rows, after = slice_rows({"K": K}, LANES), self.zeros(len(V))
        arrays: dict[str, Any] = {"start": rows.start, "column": rows.column, "K": rows.values["K"],
                                  "inverse_mass": 1.0 / lumped_mass}
        text = resources.files(__package__).joinpath("couplings.h").read_text()
        kernels = []
        for source, own, begin in groups:
            pointers: dict[str, Any] = {name: self.pointer(array) for name, array in arrays.items()}
            couplings = _CouplingArgs(dt=dt, begin=begin, **pointers)
            args = _CoupledArgs(kernel=self._membrane_args(own, C_m, dt, steps), couplings=ctypes.addressof(couplings),
                                V_next=self.pointer(after[begin:]))
            stage = self.kernel(f"typedef {REAL[self.precision]} real;\n{text}#define UP_COUPLED 1\n{source}",
                                "upstroke_advance_coupled", args, len(own["V"]), dt=dt, label="reaction")
            stage.keep = arrays, couplings, dict(own)
            kernels.append(stage)
        return [Unsplit(kernels, V, after)]

    # ----------------------------------------------------------------------------------- implicit steps of V
    def voltage(self, K: Any, lumped_mass: NDArray[np.float64], V: NDArray[Any], Iion: NDArray[Any],
                Istim: NDArray[Any], G: NDArray[Any], C_m: float, dt: float, theta: float,
                area: NDArray[np.float64] | None = None) -> Stage:
        """The stage "voltage" (voltage.py): V with the membrane's current and slope in the matrix, on forests."""
        return VoltageStep(self, branches_of(K, lumped_mass, theta, dt, C_m, area), V, Iion, Istim, G)

    def follow(self, source: str, arrays: Mapping[str, NDArray[Any]], G: NDArray[Any], C_m: float, dt: float, *,
               steps: int, part: float = 1.0, lead: float = 0.0) -> NodeKernel:
        """The stage "states": a generated kernel with V given, ``steps`` steps over ``part`` of ``dt`` (ms), from
        ``lead`` of it on; then Iion and its slope ``G`` (mS/cm^2). No steps: these alone.
        """
        args = FollowArgs(a=self._membrane_args(arrays, C_m, part * dt, steps), G=self.pointer(G))
        args.step_dt = dt
        stage = self.kernel(source, "upstroke_follow", args, len(arrays["V"]), dt=dt, label="states", start=lead * dt)
        stage.keep = dict(arrays), G
        return stage


class NodeKernel:
    """A compiled function over nodes, bound to its arguments."""

    def __init__(self, backend: CpuBackend, function: Any, args: ctypes.Structure, n: int, dt: float,
                 name: str, start: float = 0.0) -> None:
        self.name, self.args, self.keep = name, args, ()
        self.memory: dict[str, Any] = {}
        self._backend, self._n, self._dt, self._start = backend, ctypes.c_long(n), dt, start
        self._function = ctypes.cast(function, ctypes.c_void_p)
        self._pointer = ctypes.byref(args)

    keep: Any     # what the arguments point to

    @property
    def call(self) -> StageCall:
        """What `run` does, for calls.c."""
        return StageCall(f=self._function.value, args=ctypes.addressof(self.args), n=self._n.value,
                         t=ctypes.addressof(self.args) + type(self.args).t.offset, start=self._start, dt=self._dt)

    def run(self, n: int) -> None:
        """Blocks of nodes by whichever thread is free."""
        backend = self._backend
        self.args.t = self._start + n * self._dt
        backend.clock.status |= backend._runtime.for_range(backend._team, self._function, self._pointer, self._n)


class Unsplit:
    """Kernels that read V of other nodes and write V_next; then V = V_next."""

    name = "reaction"

    def __init__(self, kernels: Sequence[NodeKernel], V: NDArray[Any], after: NDArray[Any]) -> None:
        self._kernels, self._V, self._after = kernels, V, after

    def run(self, n: int) -> None:
        for kernel in self._kernels:
            kernel.run(n)
        np.copyto(self._V, self._after)


class Inputs:
    """Piecewise constant inputs of some nodes; touches them only where something changes."""

    name = "stimulus"

    def __init__(self, out: NDArray[Any], nodes: NDArray[np.int64], offsets: NDArray[np.int64],
                 trains: NDArray[np.int32], scale: NDArray[np.float64], steps: NDArray[np.int64],
                 values: NDArray[np.float64]) -> None:
        self._out, self._nodes, self._offsets, self._trains, self._scale = out, nodes, offsets[:-1], trains, scale
        self._steps, self._values, self._event = steps, values, -1

    def run(self, n: int) -> None:
        event = bisect_right(self._steps, n) - 1
        if event != self._event:
            self._out[self._nodes] = np.add.reduceat(self._scale * self._values[event, self._trains], self._offsets)
            self._event = event


class HostFetch:
    """Arrays that are in host memory already."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], step: int) -> None:
        self._arrays, self.step = dict(arrays), step

    def ready(self) -> bool:
        return True

    def get(self) -> dict[str, NDArray[Any]]:
        return self._arrays


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
