"""Steps on a GPU, recorded and replayed, and what comes back from it meanwhile: its clock, and arrays."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import cupy as cp
import numpy as np
from numpy.typing import DTypeLike, NDArray

from upstroke.backend.clock import Clock, Stage
from upstroke.errors import BackendError

if TYPE_CHECKING:
    from upstroke.backend.cuda import CudaBackend

LOOK = 32               # steps from one look at the clock to the next
AHEAD = 2               # looks that may be under way: how far the host runs before the device
CLOCK = np.dtype([("step", np.int64), ("halted", np.int32), ("status", np.int32),
                  *((name, np.int64) for name in ("solves", "iterations", "last_iterations", "most_iterations",
                                                  "bounded_steps")), ("residual", np.float64)])   # of kernels.cu


def allocated(make: Any, *args: Any) -> Any:
    """make(*args), which takes device memory.

    Raises
    ------
    BackendError where none is left
    """
    try:
        return make(*args)
    except cp.cuda.memory.OutOfMemoryError as error:
        raise BackendError("backend.device", f"the GPU's memory is full: {error}",
                           'take fewer nodes, precision = "fp32", or a larger GPU') from error


class Loop:
    """Steps, recorded as a CUDA graph and replayed.

    The first step is launched kernel by kernel, since compiling and loading cannot be recorded. ``clock`` is what the
    host knows of the device's clock: at most ``backend.lag`` steps old, true after `sync`.
    """

    def __init__(self, backend: CudaBackend, stages: Sequence[Stage]) -> None:
        self.clock = backend.clock = Clock()
        self.seconds: dict[str, float] = {}
        self._backend, self._stages = backend, tuple(stages)
        self._recordable = all(getattr(stage, "recordable", True) for stage in stages)
        self._tick = backend.kernels[False].get_function("tick")
        self._graph: Any = None
        self._taken = 0
        self._looks: deque[DeviceFetch] = deque()
        backend.device_clock.fill(0)

    def run(self, n: int) -> None:
        """Enqueue step n."""
        backend = self._backend
        if self._graph is None and self._recordable and self._taken == 1:
            self._graph = recorded(backend.stream, lambda: self._enqueue(n))
        if self._graph is None:
            self._enqueue(n)
        else:
            self._graph.launch(backend.stream)
        self._taken += 1
        if self._taken % LOOK == 0:
            self._look()

    def _enqueue(self, n: int) -> None:
        for stage in self._stages:
            stage.run(n)
        self._tick((1,), (1,), (self._backend.device_clock,), stream=self._backend.stream)

    def _look(self) -> None:
        """Order a copy of the clock, and read one ordered earlier."""
        self._looks.append(self._backend.fetch({}))
        if len(self._looks) > AHEAD:
            self._read(self._looks.popleft().clock)

    def _read(self, clock: NDArray[np.void]) -> None:
        read_clock(self.clock, clock)

    def go_on(self, counts: Mapping[str, Any]) -> None:
        """Go on from where another loop's clock stood."""
        self._read(put_clock(self._backend, counts))

    def sync(self) -> None:
        """Wait until all steps are done."""
        self._looks.clear()
        self._read(self._backend.device_clock.get(stream=self._backend.stream).view(CLOCK))


def recorded(stream: Any, enqueue: Callable[[], None]) -> Any:
    """What a function enqueues, as a graph."""
    stream.begin_capture()
    try:
        enqueue()
    finally:                             # else an interrupt would leave a stream that records and does nothing more
        graph = stream.end_capture()
    return graph


def read_clock(clock: Clock, seen: NDArray[np.void]) -> None:
    """Set the host's clock to what was read (1,) of the device's."""
    for name, value in zip(CLOCK.names or (), seen[0].tolist(), strict=True):
        setattr(clock, name, type(getattr(clock, name))(value))


def put_clock(backend: CudaBackend, counts: Mapping[str, Any]) -> NDArray[np.void]:
    """Set the device's clock to what another loop had counted; (1,) what it is now."""
    clock = np.array([tuple(counts[name] for name in CLOCK.names or ())], CLOCK)
    backend.put(backend.device_clock, clock.view(np.uint8))
    return clock


def pinned(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """(size,) in host memory that a device copies to while the host goes on."""
    dtype = np.dtype(dtype)
    return np.frombuffer(cp.cuda.alloc_pinned_memory(max(size * dtype.itemsize, 1)), dtype, size)


class DeviceFetch:
    """Arrays on their way to the host: copied aside in the device's memory in their turn, and from there by a stream of
    its own while the next steps run.

    CuPy gives memory to the next one as soon as nobody holds it, whatever still reads or writes it: a fetch that is
    dropped waits for its copies.
    """

    def __init__(self, backend: CudaBackend, arrays: Mapping[str, Any]) -> None:
        read = (*arrays.items(), ("", backend.device_clock))
        self._aside = {name: allocated(array.copy) for name, array in read}
        aside, self._done = cp.cuda.Event(disable_timing=True), cp.cuda.Event(disable_timing=True)
        aside.record(backend.stream)
        backend.copies.wait_event(aside)
        self._host = {}
        for name, array in self._aside.items():
            self._host[name] = pinned(array.size, array.dtype).reshape(array.shape)
            array.get(stream=backend.copies, out=self._host[name], blocking=False)
        self._done.record(backend.copies)

    def ready(self) -> bool:
        return self._done.done

    def get(self) -> dict[str, NDArray[Any]]:
        """Waits until the arrays are there."""
        self._done.synchronize()
        self._aside.clear()
        return {name: array for name, array in self._host.items() if name}

    @property
    def clock(self) -> NDArray[np.void]:
        """(1,) of `CLOCK` when the arrays were read; waits for that."""
        self._done.synchronize()
        return self._host[""].view(CLOCK)

    @property
    def step(self) -> int:
        """Steps that were done when the arrays were read; waits for that."""
        return int(self.clock[0]["step"])

    def __del__(self) -> None:
        with suppress(Exception):        # of a device that failed, or was not even asked
            self._done.synchronize()
