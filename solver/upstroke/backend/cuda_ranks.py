"""GPUs of processes that share a run: each has one, or a part of one, and its own nodes.

The host takes part in every diffusion step, since only it can talk to other processes: it exchanges values of
neighbouring nodes and adds up sums between launches. What lies between is recorded and replayed as elsewhere. So the
host is never behind, and fetches are waited for: what processes do together must not depend on the pace of one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from time import perf_counter
from typing import Any

import cupy as cp
import numpy as np
from numpy.typing import NDArray

from upstroke.backend.clock import HALTING, TELLING, Clock, Stage
from upstroke.backend.cuda import CudaBackend, text_of
from upstroke.backend.cuda_diffusion import THREADS
from upstroke.backend.cuda_loop import CLOCK, DeviceFetch, allocated, pinned, put_clock, read_clock, recorded
from upstroke.backend.cuda_ranks_diffusion import IMPLICIT, ExplicitDiffusion
from upstroke.backend.halo import Halo


def visible_devices() -> tuple[str, ...]:
    """The PCI addresses of the GPUs that this process may use, in CUDA's order."""
    return tuple(cp.cuda.Device(k).pci_bus_id for k in range(cp.cuda.runtime.getDeviceCount()))


def use_device(number: int) -> None:
    """Make a GPU the one that this thread works on."""
    cp.cuda.Device(number).use()


@cache
def _stream_of_exchanges(device: int) -> Any:
    """Goes first where the device has a choice: others wait for what it sends."""
    return cp.cuda.Stream(non_blocking=True, priority=-1)


class CudaRankBackend(CudaBackend):
    """Arrays, kernels and graphs of the GPU of one process among several.

    Parameters
    ----------
    precision : "fp64", "fp32" or "mixed": the type of V and of the membrane's states
    halo : what processes tell each other
    direct : whether MPI is handed device memory, which not every MPI can read; else pinned memory of the host
    """

    lag = 0

    def __init__(self, precision: str, halo: Halo, direct: bool) -> None:
        super().__init__(precision)
        self.halo, self.direct = halo, direct
        self.exchanges = _stream_of_exchanges(cp.cuda.Device().id)
        self._channels: dict[np.dtype[Any], Channel] = {}

    def describe(self) -> dict[str, str | int]:
        """What computes, for the manifest."""
        return super().describe() | {"mpi_reads": "device memory" if self.direct else "pinned memory"}

    @cached_property
    def kernels(self) -> dict[bool, Any]:
        """kernels.cu and ranks.cu for sliced rows (False) and for rows that repeat (True)."""
        text = text_of("kernels.cu") + text_of("ranks.cu")
        return {repeat: self.module(self.prelude(repeat) + text) for repeat in (False, True)}

    def fresh(self, *shape: int) -> Any:
        """Device memory for float64 that is written before it is read."""
        return allocated(cp.empty, shape, np.float64)

    def sums(self, count: int) -> Sums:
        """Room for sums on their way to the host."""
        return Sums(self, count)

    def exchange(self, vector: Any, n: int) -> Exchange:
        """Brings the ghosts of a vector, which follow its n values in memory."""
        dtype = np.dtype(vector.dtype)
        if dtype not in self._channels:
            self._channels[dtype] = Channel(self, dtype)
        return Exchange(self, self._channels[dtype], vector, n)

    def fetch(self, arrays: Mapping[str, Any]) -> DeviceFetch:
        """The arrays as they are after all steps so far."""
        return PromptFetch(self, arrays)

    def loop(self, stages: Sequence[Stage]) -> RankLoop:  # type: ignore[override]   # it has the same methods
        """Steps made of these stages, from step 0 on."""
        return RankLoop(self, stages)

    def implicit_diffusion(self, A: Any, K: Any, V: Any, dt: float, tolerance: float, max_iterations: int,
                           method: str = "cg", turns: int = 1) -> Stage:
        """The stage "diffusion": A delta = -dt K V, V += delta; A and K in CSR form with one pattern, rows of this
        process, columns of its ghosts behind its own. ``method`` is "cg" or "chebyshev".
        """
        return IMPLICIT[method](self, A, K, V, dt, tolerance, max_iterations, turns)

    def explicit_diffusion(self, K: Any, lumped_mass: NDArray[np.float64], V: Any, dt: float) -> Stage:
        """The stage "diffusion": V -= dt K V / m."""
        return ExplicitDiffusion(self, K, lumped_mass, V, dt)


class PromptFetch(DeviceFetch):
    """Arrays that are as good as there: who asks waits for them, on all processes alike."""

    def ready(self) -> bool:
        return True


class Sums:
    """A few numbers of the device that the host waits for."""

    def __init__(self, backend: CudaRankBackend, count: int) -> None:
        self.device = allocated(cp.zeros, count, np.float64)
        self._host, self._stream = pinned(count, np.float64), backend.stream

    def get(self, count: int) -> NDArray[np.float64]:
        """(count,) the first of them, as they are after all work so far."""
        self.device.get(stream=self._stream, out=self._host, blocking=False)
        self._stream.synchronize()
        return self._host[:count].copy()


class Channel:
    """What values of one type go through: packed in the device's memory and, unless MPI reads that, in the host's."""

    def __init__(self, backend: CudaRankBackend, dtype: np.dtype[Any]) -> None:
        border, ghosts = backend.halo.border, backend.halo.ghosts
        self.open = bool(len(border) or ghosts)
        self.place = backend.array(border.astype(np.int32))
        self.packed = allocated(cp.empty, len(border), dtype)
        self.out, self.into = pinned(len(border), dtype), pinned(ghosts, dtype)
        name = "rank_pack" if dtype == np.float64 else "rank_pack_V"
        self.pack = backend.kernels[False].get_function(name)
        self.blocks = max(1, -(-len(border) // THREADS))


class Exchange:
    """Values of own nodes to other processes, and those of ghosts from them, on a stream of its own.

    Between `begin` and `end` the backend's stream may work on all that neither reads ghosts nor changes the vector.
    """

    def __init__(self, backend: CudaRankBackend, channel: Channel, vector: Any, n: int) -> None:
        self._backend, self._channel = backend, channel
        self._ghosts = cp.ndarray((backend.halo.ghosts,), vector.dtype, memptr=vector.data + n * vector.dtype.itemsize)
        self._args = (vector, channel.place, np.int64(len(channel.place)), channel.packed)
        self._begun, self._packed, self._arrived = (cp.cuda.Event(disable_timing=True) for _ in range(3))

    def begin(self) -> None:
        """Pack what others need, as it is after all work so far."""
        if not self._channel.open:
            return
        backend, channel = self._backend, self._channel
        self._begun.record(backend.stream)
        backend.exchanges.wait_event(self._begun)
        channel.pack((channel.blocks,), (THREADS,), self._args, stream=backend.exchanges)
        if not backend.direct:
            channel.packed.get(stream=backend.exchanges, out=channel.out, blocking=False)
        self._packed.record(backend.exchanges)

    def end(self) -> None:
        """What the backend's stream does from here on finds the ghosts."""
        if not self._channel.open:
            return
        backend, channel = self._backend, self._channel
        self._packed.synchronize()
        if backend.direct:
            backend.halo.swap(backend.pointer(channel.packed), backend.pointer(self._ghosts), channel.out.itemsize)
            return
        backend.halo.swap(channel.out.ctypes.data, channel.into.ctypes.data, channel.out.itemsize)
        self._ghosts.set(channel.into, stream=backend.exchanges)
        self._arrived.record(backend.exchanges)
        backend.stream.wait_event(self._arrived)


class Segment:
    """Stages that follow each other without the host: recorded as a graph and replayed, where they can be."""

    def __init__(self, backend: CudaRankBackend, stages: Sequence[Stage], tells: str) -> None:
        self.tells = tells                # the stage after which processes agree on the status; "" for none
        self._backend, self._stages = backend, tuple(stages)
        self._recordable = all(getattr(stage, "recordable", True) for stage in stages)
        self._seen, self._graph = False, None

    def run(self, n: int) -> None:
        if self._seen and self._recordable and self._graph is None:     # compiling and loading cannot be recorded
            self._graph = recorded(self._backend.stream, lambda: self._enqueue(n))
        if self._graph is None:
            self._enqueue(n)
        else:
            self._graph.launch(self._backend.stream)
        self._seen = True

    def _enqueue(self, n: int) -> None:
        for stage in self._stages:
            stage.run(n)


class RankLoop:
    """Steps, one after the other, on all processes alike; ``seconds`` of the stages after which they agree."""

    def __init__(self, backend: CudaRankBackend, stages: Sequence[Stage]) -> None:
        self.clock = backend.clock = Clock()
        self._backend = backend
        self._segments = segments_of(backend, stages)
        self.seconds = {segment.tells: 0.0 for segment in self._segments if segment.tells}
        self._seen = pinned(CLOCK.itemsize, np.uint8)
        kernels = backend.kernels[False]
        self._tick, self._tell = kernels.get_function("tick"), kernels.get_function("rank_status")
        backend.device_clock.fill(0)

    def run(self, n: int) -> None:
        """Step n; one that breaks on any process halts the clock of all, and goes no further."""
        backend, start = self._backend, perf_counter()
        for segment in self._segments:
            segment.run(n)
            if segment.tells:
                self._agree()
                now = perf_counter()
                self.seconds[segment.tells] += now - start
                start = now
                if self.clock.status & HALTING:
                    break
        self._tick((1,), (1,), (backend.device_clock,), stream=backend.stream)
        self.clock.tick()

    def _agree(self) -> None:
        """Wait for the device, and take over what other processes have met."""
        self._look()
        together = self._backend.halo.agreed(self.clock.status)
        if together != self.clock.status:
            self._tell((1,), (1,), (self._backend.device_clock, np.int32(together)), stream=self._backend.stream)
            self.clock.status = together

    def _look(self) -> None:
        self._backend.device_clock.get(stream=self._backend.stream, out=self._seen, blocking=False)
        self._backend.stream.synchronize()
        read_clock(self.clock, self._seen.view(CLOCK))

    def go_on(self, counts: Mapping[str, Any]) -> None:
        """Go on from where another loop's clock stood."""
        read_clock(self.clock, put_clock(self._backend, counts))

    def sync(self) -> None:
        """Wait until all steps are done."""
        self._look()


def segments_of(backend: CudaRankBackend, stages: Sequence[Stage]) -> list[Segment]:
    """Stages in their order, cut where processes agree, and around what cannot be recorded."""
    segments: list[Segment] = []
    some: list[Stage] = []
    for stage, after in zip(stages, [*stages[1:], None], strict=True):
        some.append(stage)
        last = after is None or after.name != stage.name         # of some with one name: a process may lack a membrane
        tells = stage.name if last and stage.name in TELLING else ""
        alone = not (getattr(stage, "recordable", True) and getattr(after, "recordable", True))
        if tells or alone or after is None:
            segments.append(Segment(backend, some, tells))
            some = []
    return segments
