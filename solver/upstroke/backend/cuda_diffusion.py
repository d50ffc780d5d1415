"""Diffusion steps on a GPU: the arrays that kernels.cu and tree.c work on."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.clock import Stage
from upstroke.backend.couplings import repeat_rows, slice_rows
from upstroke.backend.cpu_diffusion import increments_by_name
from upstroke.backend.spectrum import spectrum_bounds
from upstroke.backend.tree import TreeArgs, tree_arrays

if TYPE_CHECKING:
    from upstroke.backend.cuda import CudaBackend

LANES = 32              # rows of a slice, which a warp takes
THREADS = 256           # of a block of a solver: THREADS of kernels.cu


class RowsArgs(ctypes.Structure):
    """``rows`` of couplings.cu."""

    _fields_ = [*((name, ctypes.c_void_p) for name in ("start", "column", "kind")),
                ("kinds", ctypes.c_long), ("width", ctypes.c_long)]


class CouplingArgs(ctypes.Structure):
    """``up_couplings`` of couplings.cu."""

    _fields_ = [("pattern", RowsArgs), ("K", ctypes.c_void_p), ("inverse_mass", ctypes.c_void_p),
                ("dt", ctypes.c_double), ("begin", ctypes.c_long)]


class DiffusionArgs(ctypes.Structure):
    """``diffusion`` of kernels.cu."""

    _fields_ = [("n", ctypes.c_long), ("pattern", RowsArgs),
                *((name, ctypes.c_void_p) for name in ("A", "K", "mass", "inverse_diagonal")),
                *((name, ctypes.c_double) for name in ("trace", "dt", "tolerance")),
                ("max_iterations", ctypes.c_long), ("low", ctypes.c_double), ("high", ctypes.c_double),
                *((name, ctypes.c_void_p) for name in ("increments", "r", "z", "w", "p", "s", "parts", "arrivals",
                                                       "solves")), ("turns", ctypes.c_long), ("V", ctypes.c_void_p)]


class InputArgs(ctypes.Structure):
    """``inputs`` of kernels.cu."""

    _fields_ = [*((name, ctypes.c_void_p) for name in ("out", "nodes", "offsets", "trains", "scale", "steps",
                                                       "values")),
                ("events", ctypes.c_long), ("width", ctypes.c_long)]


def by_value(args: ctypes.Structure) -> NDArray[np.void]:
    """A struct as CuPy takes it for an argument that is passed by value."""
    return np.frombuffer(bytes(args), np.dtype((np.void, ctypes.sizeof(args))))


def device_rows(backend: CudaBackend, matrices: dict[str, Any]) -> tuple[RowsArgs, dict[str, Any], bool]:
    """Matrices as couplings in device memory: their pattern's arguments, arrays by name, and whether rows repeat."""
    repeated = repeat_rows(matrices)
    if repeated is not None:
        arrays = {"column": backend.array(repeated.offset), "kind": backend.array(repeated.kind)}
        width, kinds = repeated.offset.shape
        values = repeated.values
    else:
        sliced = slice_rows(matrices, LANES)
        arrays = {"start": backend.array(sliced.start), "column": backend.array(sliced.column)}
        width, kinds, values = 0, 0, sliced.values
    pattern = RowsArgs(kinds=kinds, width=width, **{name: backend.pointer(array) for name, array in arrays.items()})
    return pattern, arrays | {name: backend.array(value) for name, value in values.items()}, repeated is not None


def coupling_args(backend: CudaBackend, K: Any, lumped_mass: NDArray[np.float64],
                  dt: float) -> tuple[CouplingArgs, bool, Any]:
    """For kernels that add the increment by diffusion themselves; whether rows repeat; what to keep."""
    pattern, arrays, repeat = device_rows(backend, {"K": K})
    arrays["inverse_mass"] = backend.array(1.0 / lumped_mass)
    return CouplingArgs(pattern=pattern, K=backend.pointer(arrays["K"]), dt=dt,
                        inverse_mass=backend.pointer(arrays["inverse_mass"])), repeat, arrays


class Diffusion:
    """A solver of kernels.cu on its arrays: one launch a step."""

    name = "diffusion"
    WORK: tuple[str, ...] = ("w",)      # vectors (n,)

    def __init__(self, backend: CudaBackend, function: str, matrices: dict[str, Any], V: Any, *, dt: float,
                 **more: Any) -> None:
        n = len(V)
        pattern, self._arrays, repeat = device_rows(backend, matrices)
        self._function = backend.kernels[repeat].get_function(function)
        self._grid = (backend.joint_blocks(self._function, n),)
        self._arrays |= {name: backend.array(value) for name, value in more.items() if isinstance(value, np.ndarray)}
        self._arrays |= {name: backend.zeros(n, dtype=np.float64) for name in self.WORK}
        self._arrays |= {"arrivals": backend.zeros(1, dtype=np.uint32), "solves": backend.zeros(1, dtype=np.int64),
                         "parts": backend.zeros(2, self._grid[0], dtype=np.float64), "V": V}
        self.memory: dict[str, Any] = {}
        self.nodal: dict[str, Any] = {}
        if "turns" in more:
            self._arrays["increments"] = increments = backend.zeros(more["turns"], 4, n, dtype=np.float64)
            self.memory = {"solves": self._arrays["solves"]}
            self.nodal = increments_by_name(increments, n)
        fields = {field[0] for field in DiffusionArgs._fields_}
        pointers = {name: backend.pointer(array) for name, array in self._arrays.items() if name in fields}
        scalars = {name: value for name, value in more.items() if not isinstance(value, np.ndarray)}
        args = DiffusionArgs(n=n, pattern=pattern, dt=dt, **pointers, **scalars)
        self._args = (by_value(args), backend.device_clock)
        self._backend = backend

    def run(self, n: int) -> None:
        self._function(self._grid, (THREADS,), self._args, stream=self._backend.stream)


class ConjugateGradients(Diffusion):
    """Conjugate gradients with a Jacobi preconditioner, from a guess extrapolated from the last three increments."""

    WORK: tuple[str, ...] = ("r", "z", "w", "p", "s")

    def __init__(self, backend: CudaBackend, A: Any, K: Any, V: Any, dt: float, tolerance: float,
                 max_iterations: int, turns: int, *, function: str = "diffuse_cg", **more: Any) -> None:
        diagonal = A.diagonal()
        super().__init__(backend, function, {"A": A, "K": K}, V, dt=dt, mass=np.asarray(A.sum(axis=1)).ravel(),
                         inverse_diagonal=1.0 / diagonal, trace=float(diagonal.sum()), tolerance=tolerance,
                         max_iterations=max_iterations, turns=turns, **more)


class Chebyshev(ConjugateGradients):
    """Chebyshev's iteration with a Jacobi preconditioner, from the same guess to the same tolerance."""

    WORK = ("r", "z", "w", "p")

    def __init__(self, backend: CudaBackend, A: Any, K: Any, V: Any, dt: float, tolerance: float,
                 max_iterations: int, turns: int) -> None:
        low, high = spectrum_bounds(A)
        super().__init__(backend, A, K, V, dt, tolerance, max_iterations, turns, function="diffuse_chebyshev", low=low,
                         high=high)


class TreeDiffusion:
    """The direct solver for couplings without loops; has no tolerance."""

    name = "diffusion"

    def __init__(self, backend: CudaBackend, A: Any, K: Any, V: Any, dt: float, tolerance: float,
                 max_iterations: int, turns: int) -> None:
        assert __package__
        arrays = tree_arrays(A, K)
        groups = len(arrays["group_level"]) - 1
        self._arrays = {name: backend.array(array) for name, array in arrays.items()}
        self._arrays |= {"x": backend.zeros(len(V), dtype=np.float64), "V": V}
        args = TreeArgs(dt=dt, groups=groups,
                        **{name: backend.pointer(array) for name, array in self._arrays.items()})
        text = resources.files(__package__).joinpath("tree.c").read_text()
        self._function = backend.module(f"{backend.prelude(False)}{text}").get_function("diffuse_tree")
        self._count = backend.kernels[False].get_function("count_solve")
        self._grid = (groups,)
        self._args = (by_value(args), backend.device_clock)
        self._backend = backend

    def run(self, n: int) -> None:
        backend = self._backend
        self._function(self._grid, (THREADS,), self._args, stream=backend.stream)
        self._count((1,), (1,), (backend.device_clock, np.int64(0), np.float64(0), np.int32(0)), stream=backend.stream)


#: The implicit solvers by name.
IMPLICIT: dict[str, Callable[..., Stage]] = {
    "cg": ConjugateGradients, "chebyshev": Chebyshev, "tree": TreeDiffusion,
}
