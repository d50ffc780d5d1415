"""An NVIDIA GPU through CuPy, which only cuda*.py import. Mirrors cpu.py, method by method.

Everything goes to one stream, in order, and the host does not wait: a step's kernels take their step number from a
clock in device memory, so that the whole step is recorded once as a CUDA graph and replayed. The host looks at the
clock every `LOOK` steps, at a copy that was ordered before (cuda_loop.py).
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib import resources
from typing import Any, Literal

import cupy as cp
import numpy as np
from numpy.typing import DTypeLike, NDArray

from upstroke.backend.clock import NOT_CONVERGED, Clock, Stage
from upstroke.backend.cpu import FollowArgs, KernelArgs
from upstroke.backend.cuda_diffusion import IMPLICIT, LANES, THREADS, Diffusion, InputArgs, by_value, coupling_args
from upstroke.backend.cuda_loop import AHEAD, CLOCK, LOOK, DeviceFetch, Loop, allocated
from upstroke.backend.cuda_voltage import VoltageStep
from upstroke.backend.halo import Alone, Halo
from upstroke.backend.voltage import branches_of
from upstroke.errors import BackendError

NODE_THREADS = 128      # of a block of a kernel over nodes
OLDEST = 70             # compute capability 7.0, Volta: blocks that wait for each other sleep
REAL = {"fp64": "double", "fp32": "float", "mixed": "float"}
OPTIONS = ("-std=c++17",)
HEAD = """\
#ifndef UPSTROKE_CLOCK
#define UPSTROKE_CLOCK
typedef struct { long step; int halted; int status; } upstroke_clock;
#endif
"""


def why_not() -> str:
    """Why no GPU can be used, or an empty text."""
    try:
        if not cp.cuda.is_available():
            return "CuPy finds no CUDA device"
        if (capability := int(cp.cuda.Device().compute_capability)) < OLDEST:
            return f"the GPU has compute capability {capability / 10:.1f}, less than {OLDEST / 10:.1f}"
        probe = cp.RawModule(code='extern "C" __global__ void probe(int *x) { *x = 42; }', options=OPTIONS)
        x = cp.zeros(1, np.int32)
        probe.get_function("probe")((1,), (1,), (x,))
        return "" if int(x.get()[0]) == 42 else "a probe kernel gave a wrong result"
    except Exception as error:   # of many kinds: driver, compiler, memory
        return f"a probe kernel failed: {str(error).splitlines()[0] if str(error) else repr(error)}"


class CudaBackend:
    """Arrays, kernels and graphs of one GPU, CuPy's current device.

    Parameters
    ----------
    precision : "fp64", "fp32" or "mixed": the type of V and of the membrane's states
    """

    name = "cuda"
    choice = "as asked for"
    notes: tuple[str, ...] = ()      # what the user should know
    target: Literal["cuda"] = "cuda"
    lag = LOOK * (AHEAD + 1)

    def __init__(self, precision: str = "fp64") -> None:
        self.precision = precision
        self.dtype: np.dtype[Any] = np.dtype(np.float64 if precision == "fp64" else np.float32)
        self.clock = Clock()
        self.halo: Halo = Alone()
        device = cp.cuda.Device().id
        self.stream, self.copies = _streams(device)
        self.stream.use()      # CuPy's current one, in this thread: where it makes, fills and copies arrays
        self.device_clock = cp.zeros(CLOCK.itemsize, np.uint8)
        self._modules: dict[str, Any] = {}
        self._properties = cp.cuda.runtime.getDeviceProperties(device)

    def describe(self) -> dict[str, str | int]:
        """What computes, for the manifest."""
        p, runtime = self._properties, cp.cuda.runtime
        return {"device": "cuda", "chosen": self.choice, "processor": p["name"].decode(),
                "compute_capability": f"{p['major']}.{p['minor']}", "memory_MiB": p["totalGlobalMem"] // 2 ** 20,
                "precision": self.precision, "cupy": cp.__version__, "cuda_runtime": runtime.runtimeGetVersion(),
                "cuda_driver": runtime.driverGetVersion()}

    def __str__(self) -> str:
        return self._properties["name"].decode()

    # ------------------------------------------------------------------------------------------ arrays
    def zeros(self, *shape: int, dtype: DTypeLike | None = None) -> Any:
        """A zeroed array in device memory."""
        return allocated(cp.zeros, shape, np.dtype(dtype or self.dtype))

    def array(self, host: NDArray[Any], dtype: DTypeLike | None = None) -> Any:
        """A copy of a host array in device memory."""
        return allocated(cp.asarray, np.ascontiguousarray(host, dtype))

    def memory(self) -> tuple[int, int]:
        """Bytes that this process has taken of the GPU's memory, and bytes that are free."""
        pool = cp.get_default_memory_pool()
        free, _ = cp.cuda.runtime.memGetInfo()
        return pool.used_bytes(), free + pool.free_bytes()

    def pointer(self, array: Any) -> int:
        """The device address of an array, for the arguments of kernels."""
        return array.data.ptr

    def stride(self, n: int) -> int:
        """Length of a row of a structure-of-arrays block of ``n`` nodes: whole warps."""
        return -(-n // LANES) * LANES

    def to_host(self, array: Any) -> NDArray[Any]:
        """A copy in host memory, after all steps so far."""
        return array.get(stream=self.stream)

    def put(self, array: Any, host: NDArray[Any]) -> None:
        """Write host values into an array of this backend."""
        array.set(np.ascontiguousarray(host), stream=self.stream)

    def fetch(self, arrays: Mapping[str, Any]) -> DeviceFetch:
        """The arrays as they are after all steps so far, copied while the next ones run."""
        return DeviceFetch(self, arrays)

    # ----------------------------------------------------------------------------------- compiled code
    def module(self, source: str) -> Any:
        """Compile CUDA source (cached on disk and in this process)."""
        if source not in self._modules:
            self._modules[source] = cp.RawModule(code=source, options=OPTIONS)
        return self._modules[source]

    @cached_property
    def kernels(self) -> dict[bool, Any]:
        """kernels.cu for sliced rows (False) and for rows that repeat (True)."""
        text = text_of("kernels.cu")
        return {repeat: self.module(self.prelude(repeat) + text) for repeat in (False, True)}

    def prelude(self, repeat: bool) -> str:
        """What stands in front of a source that applies couplings."""
        return f"typedef {REAL[self.precision]} real;\n#define ROWS_REPEAT {int(repeat)}\n" + text_of("couplings.cu")

    def joint_blocks(self, function: Any, n: int) -> int:
        """How many blocks a solver of ``n`` rows is launched with: no more than run at once, since they meet."""
        resident = cp.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(function.kernel.ptr, THREADS, 0)
        return max(1, min(-(-n // THREADS), resident * self._properties["multiProcessorCount"]))

    def kernel(self, source: str, name: str, args: ctypes.Structure, n: int, *, dt: float, label: str,
               more: Sequence[Any] = (), start: float = 0.0) -> NodeKernel:
        """The kernel ``name(args, ..., long n, upstroke_clock *)`` of a CUDA source, over the nodes [0, n).

        ``args`` has the fields ``t``, the time ``start`` of step 0, and ``step_dt``; ``more`` are arguments after it.
        """
        args.t, args.step_dt = start, dt
        function = self.module(HEAD + source).get_function(name)
        return NodeKernel(self, function, (by_value(args), *more), n, label)

    def membrane(self, source: str, arrays: Mapping[str, Any], C_m: float, dt: float, *, steps: int = 1,
                 part: float = 1.0, uniform: Sequence[float] = ()) -> NodeKernel:
        """The stage "reaction": a generated kernel on the arrays that its arguments name (V, S, W, Iion, Istim, N).

        It takes ``steps`` steps in each step, which together are ``part`` of ``dt`` (ms). ``uniform`` are the values of
        the kernel's uniform parameters.
        """
        args = self._membrane_args(arrays, C_m, part * dt, steps)
        stage = self.kernel(source, "upstroke_advance", args, len(arrays["V"]), dt=dt, label="reaction",
                            more=self._uniform(uniform))
        stage.keep = dict(arrays)
        return stage

    def _membrane_args(self, arrays: Mapping[str, Any], C_m: float, span: float, steps: int) -> KernelArgs:
        return KernelArgs(stride=arrays["S"].shape[1], steps=steps, dt=span / max(steps, 1), C_m=C_m,
                          **{name: self.pointer(array) for name, array in arrays.items()})

    def _uniform(self, values: Sequence[float]) -> tuple[Any, ...]:
        data = np.array(values, self.dtype)
        return (np.frombuffer(data.tobytes(), np.dtype((np.void, data.nbytes))),) if len(values) else ()

    def inputs(self, out: Any, nodes: NDArray[np.int64], offsets: NDArray[np.int64], trains: NDArray[np.int32],
               scale: NDArray[np.float64], steps: NDArray[np.int64], values: NDArray[np.float64]) -> NodeKernel:
        """The stage "stimulus": out[nodes[i]] = sum of scale[j] values[e, trains[j]], offsets[i] <= j < offsets[i + 1].

        e is the last event with steps[e] <= n; before the first, nothing is written.
        """
        arrays = {"nodes": nodes, "offsets": offsets, "trains": trains, "scale": scale, "steps": steps,
                  "values": values}
        device = {name: self.array(np.asarray(array)) for name, array in arrays.items()}
        args = InputArgs(out=self.pointer(out), events=len(steps), width=values.shape[1],
                         **{name: self.pointer(array) for name, array in device.items()})
        stage = NodeKernel(self, self.kernels[False].get_function("apply_inputs"), (by_value(args),), len(nodes),
                           "stimulus")
        stage.keep = device, out
        return stage

    def loop(self, stages: Sequence[Stage]) -> Loop:
        """Steps made of these stages, from step 0 on."""
        return Loop(self, stages)

    # --------------------------------------------------------------------------------------- diffusion
    def implicit_diffusion(self, A: Any, K: Any, V: Any, dt: float, tolerance: float, max_iterations: int,
                           method: str = "cg", turns: int = 1) -> Stage:
        """The stage "diffusion": A delta = -dt K V, V += delta; A and K in CSR form with one pattern.

        ``method`` is "cg", "chebyshev", "tree" (for couplings without loops) or "library" (CuPy). The iterations stop
        where the volume-weighted RMS of the residual over diag(A) is at most ``tolerance`` (mV). The stage is run
        ``turns`` times in a step.
        """
        if method == "library":
            return LibraryDiffusion(self, A, K, V, dt, tolerance, max_iterations)
        return IMPLICIT[method](self, A, K, V, dt, tolerance, max_iterations, turns)

    def explicit_diffusion(self, K: Any, lumped_mass: NDArray[np.float64], V: Any, dt: float) -> Stage:
        """The stage "diffusion": V -= dt K V / m."""
        return Diffusion(self, "diffuse_explicit", {"K": K}, V, dt=dt, inverse_diagonal=1.0 / lumped_mass)

    def unsplit(self, groups: Sequence[tuple[str, Mapping[str, Any], int]], K: Any, lumped_mass: NDArray[np.float64],
                V: Any, C_m: float, dt: float, steps: int) -> list[Stage]:
        """Reaction and diffusion from the same state: V + (the reaction's increment) - dt K V / m.

        ``groups`` are (source, arrays, first row) of the membranes.
        """
        couplings, repeat, keep = coupling_args(self, K, lumped_mass, dt)
        after = self.zeros(len(V))
        stages = []
        for source, arrays, begin in groups:
            couplings.begin = begin
            size = len(arrays["V"])
            stages.append(self.kernel(
                f"{self.prelude(repeat)}#define UP_COUPLED 1\n{source}", "upstroke_advance_coupled",
                self._membrane_args(arrays, C_m, dt, steps), size, dt=dt, label="reaction",
                more=(by_value(couplings), after[begin:begin + size])))
            stages[-1].keep = keep, dict(arrays)
        take_over = NodeKernel(self, self.kernels[False].get_function("take_over"), (V, after), len(V), "diffusion")
        return [*stages, take_over]

    # ----------------------------------------------------------------------------------- implicit steps of V
    def voltage(self, K: Any, lumped_mass: NDArray[np.float64], V: Any, Iion: Any, Istim: Any, G: Any, C_m: float,
                dt: float, theta: float, area: NDArray[np.float64] | None = None) -> Stage:
        """The stage "voltage" (voltage.py): V with the membrane's current and slope in the matrix, on forests."""
        return VoltageStep(self, branches_of(K, lumped_mass, theta, dt, C_m, area), V, Iion, Istim, G)

    def follow(self, source: str, arrays: Mapping[str, Any], G: Any, C_m: float, dt: float, *,
               steps: int, part: float = 1.0, lead: float = 0.0) -> NodeKernel:
        """The stage "states": a generated kernel with V given, ``steps`` steps over ``part`` of ``dt`` (ms), from
        ``lead`` of it on; then Iion and its slope ``G`` (mS/cm^2). No steps: these alone.
        """
        args = FollowArgs(a=self._membrane_args(arrays, C_m, part * dt, steps), G=self.pointer(G))
        stage = self.kernel(source, "upstroke_follow", args, len(arrays["V"]), dt=dt, label="states", start=lead * dt)
        stage.keep = dict(arrays), G
        return stage


@cache
def _streams(device: int) -> tuple[Any, Any]:
    """The stream of all work on a device, and that of copies to the host; of all backends."""
    return cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True)


def text_of(file: str) -> str:
    assert __package__
    return resources.files(__package__).joinpath(file).read_text()


class NodeKernel:
    """A kernel over nodes, bound to its arguments."""

    keep: Any = ()     # what the arguments point to

    def __init__(self, backend: CudaBackend, function: Any, args: Sequence[Any], n: int, name: str) -> None:
        self.name, self.function = name, function
        self.memory: dict[str, Any] = {}
        self._backend = backend
        self._grid = (max(1, -(-n // NODE_THREADS)),)
        self._args = (*args, np.int64(n), backend.device_clock)

    def run(self, n: int) -> None:
        self.function(self._grid, (NODE_THREADS,), self._args, stream=self._backend.stream)


class LibraryDiffusion:
    """CuPy's conjugate gradients in fp64, from a guess of zero: slow, and shares no code with the others.

    The system is scaled by D^-1/2, D = diag(A), from both sides, so that the norm of the residual is the one that the
    tolerance means. The host watches every iteration, so a step with it cannot be recorded.
    """

    name = "diffusion"
    recordable = False

    def __init__(self, backend: CudaBackend, A: Any, K: Any, V: Any, dt: float, tolerance: float,
                 max_iterations: int) -> None:
        from scipy import sparse

        try:
            import cupyx.scipy.sparse.linalg
            from cupyx.scipy import sparse as device_sparse
        except ImportError as error:
            raise BackendError("solver.method", f"CuPy's linear algebra cannot be loaded: {error}",
                               "install cuBLAS and cuSPARSE, or take another method") from error

        diagonal = A.diagonal()
        scaling = sparse.diags_array(1.0 / np.sqrt(diagonal))
        self._A = device_sparse.csr_matrix(sparse.csr_matrix(scaling @ A @ scaling))
        self._K = device_sparse.csr_matrix(sparse.csr_matrix(K))
        self._scale = backend.array(1.0 / np.sqrt(diagonal))
        self._norm = float(np.sqrt(diagonal.sum()))
        self._cg = cupyx.scipy.sparse.linalg.cg
        self._V, self._dt, self._tolerance, self._most = V, dt, tolerance, max_iterations
        self._count = backend.kernels[False].get_function("count_solve")
        self._backend = backend

    def run(self, n: int) -> None:
        backend, iterations = self._backend, 0

        def count(_: Any) -> None:
            nonlocal iterations
            iterations += 1

        b = self._scale * (self._K @ self._V.astype(np.float64)) * -self._dt
        y, failed = self._cg(self._A, b, rtol=0.0, atol=self._tolerance * self._norm, maxiter=self._most,
                             callback=count)
        residual = float(cp.linalg.norm(b - self._A @ y)) / self._norm
        status = 0 if np.isfinite(residual) and not failed else NOT_CONVERGED
        self._V += (self._scale * y).astype(self._V.dtype)
        self._count((1,), (1,), (backend.device_clock, np.int64(iterations), np.float64(residual), np.int32(status)),
                    stream=backend.stream)
