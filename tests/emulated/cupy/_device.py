"""The emulated device: memory between fences, streams that do nothing until someone waits, events, graphs."""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

MEMORY = int(os.environ.get("UPSTROKE_EMULATED_MEMORY", 1 << 32))
FENCE = 1024          # bytes before and after every allocation, which no kernel may change
QUARANTINE = 1 << 26  # bytes of freed memory kept, poisoned, for those that still read it

lock = threading.RLock()


class EmulatorError(AssertionError):
    """A mistake that a device would not report, or report much later."""


class CUDARuntimeError(RuntimeError):
    _TEXTS: ClassVar = {1: "cudaErrorInvalidValue: invalid argument",
                        100: "cudaErrorNoDevice: no CUDA-capable device is detected",
                        101: "cudaErrorInvalidDevice: invalid device ordinal",
                        400: "cudaErrorInvalidResourceHandle: invalid resource handle",
                        600: "cudaErrorNotReady: device not ready",
                        900: "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing",
                        905: "cudaErrorStreamCaptureIsolation: dependency created on uncaptured work"}

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(self._TEXTS[status])


class OutOfMemoryError(MemoryError):
    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        limited = f", limit set to: {limit:,} bytes" if limit else ""
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes{limited}).")


def count_devices() -> int:
    return int(os.environ.get("UPSTROKE_EMULATED_DEVICES", "1"))


def ensure_device() -> None:
    if not count_devices():
        raise CUDARuntimeError(100)


# ---- memory ----

class Memory:
    """Device memory between two fences. Freed memory is poisoned once all queued work is done."""

    live: ClassVar[dict[int, weakref.ref[Memory]]] = {}
    used = 0
    _fences: np.ndarray | None = None     # addresses of all fences, where known
    _freed: ClassVar[list[np.ndarray]] = []
    _quarantine: ClassVar[deque[np.ndarray]] = deque()
    _quarantined = 0                      # bytes

    def __init__(self, size: int) -> None:
        ensure_device()
        refuse_in_capture()
        rounded = -(-size // 512) * 512
        if Memory.used + rounded > MEMORY:
            raise OutOfMemoryError(rounded, Memory.used)
        raw = np.full(rounded + 2 * FENCE + 512, 0xFF, np.uint8)
        start = -(-(raw.ctypes.data + FENCE) // 512) * 512
        self.size, self.device_id = size, 0
        self.ptr = start if size else 0
        self.bytes = raw[start - raw.ctypes.data:][:size]
        self._before, self._after = (raw[at - raw.ctypes.data:][:FENCE] for at in (start - FENCE, start + size))
        Memory.used += rounded
        if size:
            Memory.live[start] = weakref.ref(self)
            Memory._fences = None
        weakref.finalize(self, Memory._free, raw, start, rounded).atexit = False

    @staticmethod
    def _free(raw: np.ndarray, start: int, rounded: int) -> None:
        if Memory.live.pop(start, None):
            Memory._fences = None
        Memory.used -= rounded
        Memory._freed.append(raw)

    @staticmethod
    def poison_freed() -> None:
        while Memory._freed:
            raw = Memory._freed.pop()
            raw.fill(0xFF)
            Memory._quarantine.append(raw)
            Memory._quarantined += raw.nbytes
        while Memory._quarantined > QUARANTINE:
            Memory._quarantined -= Memory._quarantine.popleft().nbytes

    @staticmethod
    def check_fences(find_broken: Callable[[int, int, int], int], culprit: str) -> None:
        """``find_broken(addresses, count, size)``: the first fence with a byte that is not 0xFF, or -1."""
        if Memory._fences is None:
            alive = [memory for reference in list(Memory.live.values()) if (memory := reference())]
            Memory._fences = np.array([at for m in alive for at in (m.ptr - FENCE, m.ptr + m.size)], np.uint64)
        found = find_broken(Memory._fences.ctypes.data, len(Memory._fences), FENCE)
        if found >= 0:
            owner = Memory.live[int(Memory._fences[found & ~1]) + FENCE]()
            fence = (owner._before, owner._after)[found % 2]
            place = fence.ctypes.data + int(np.flatnonzero(fence != 0xFF)[0]) - owner.ptr
            fence.fill(0xFF)
            raise EmulatorError(f"{culprit} wrote at byte {place} of an array of {owner.size} bytes")

    @staticmethod
    def check_range(ptr: int, size: int) -> None:
        for start, reference in Memory.live.items():
            memory = reference()
            if memory is not None and start <= ptr and ptr + size <= start + memory.size:
                return
        if size:
            raise CUDARuntimeError(1)


class MemoryPointer:
    def __init__(self, mem: Memory, offset: int) -> None:
        self.mem, self.ptr = mem, mem.ptr + offset

    def __int__(self) -> int:
        return self.ptr

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self.ptr - self.mem.ptr + offset)


_pinned: dict[int, int] = {}


def alloc_pinned_memory(size: int) -> ctypes.Array:
    """Page-locked host memory; a power of two of bytes, as in CuPy's pool, so mind the count given to frombuffer."""
    ensure_device()
    rounded = max(512, 1 << (max(size, 1) - 1).bit_length())
    kind = type("PinnedMemoryPointer", (ctypes.Array,),
                {"_type_": ctypes.c_byte, "_length_": rounded, "ptr": property(ctypes.addressof),
                 "size": lambda self: rounded})
    raw = np.full(rounded, 0xFF, np.uint8)
    memory = kind.from_buffer(raw)
    _pinned[memory.ptr] = rounded
    weakref.finalize(memory, _free_pinned, memory.ptr, raw).atexit = False
    return memory


def _free_pinned(ptr: int, raw: np.ndarray) -> None:
    del _pinned[ptr]
    Memory._freed.append(raw)


def is_pinned(ptr: int, size: int) -> bool:
    return any(start <= ptr and ptr + size <= start + length for start, length in list(_pinned.items()))


# ---- queues ----

class Operation:
    def __init__(self, queue: Queue, run: Callable[[], None], after: Sequence[Operation]) -> None:
        self.queue, self.run, self.after = queue, run, after
        self.done, self.time = False, 0.0


class Queue:
    """What a stream has still to do. Nothing is done before someone waits for it."""

    every: ClassVar[dict[int, Queue]] = {}

    def __init__(self, ptr: int, blocking: bool) -> None:
        self.ptr, self.blocking = ptr, blocking
        self.pending: deque[Operation] = deque()
        self.capture: list[Callable[[], None]] | None = None
        Queue.every[ptr] = self

    def put(self, run: Callable[[], None], after: Sequence[Operation] = ()) -> Operation:
        with lock:
            if self.capture is not None:
                if after:
                    raise CUDARuntimeError(905)
                self.capture.append(run)
                return Operation(self, run, ())
            others = [q for q in Queue.every.values() if q is not self and q.blocking and self.blocking
                      and 0 in (q.ptr, self.ptr)]     # the default stream waits for blocking streams, and they for it
            operation = Operation(self, run, (*after, *(q.pending[-1] for q in others if q.pending)))
            self.pending.append(operation)
            return operation

    def step(self) -> None:
        """Do the first operation, and before it what it waits for."""
        with lock:
            for earlier in self.pending[0].after:
                earlier.queue.finish(earlier)
            if self.pending:
                operation = self.pending.popleft()
                operation.done = True
                operation.run()
                operation.time = time.perf_counter()

    def finish(self, last: Operation | None = None) -> None:
        with lock:
            while self.pending and not (last and last.done):
                self.step()
            if not any(queue.pending for queue in Queue.every.values()):
                Memory.poison_freed()


def refuse_in_capture() -> None:
    if any(queue.capture is not None for queue in Queue.every.values()):
        raise CUDARuntimeError(900)


def synchronize_device() -> None:
    ensure_device()
    refuse_in_capture()
    for queue in list(Queue.every.values()):
        queue.finish()


# ---- streams, events, graphs as CuPy shows them ----

class Stream:
    null: Stream
    _last = 0x1000

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False,
                 priority: int | None = None) -> None:
        self.is_non_blocking, self.device_id = non_blocking, 0
        if null or ptds:
            self.ptr = 0
        else:
            ensure_device()
            Stream._last += 0x10
            self.ptr = Stream._last
            Queue(self.ptr, not non_blocking)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self) -> int:
        return self.ptr

    def __enter__(self) -> Stream:
        _stack().append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _stack().pop()

    def use(self) -> Stream:
        _stack()[-1] = self
        return self

    @property
    def _queue(self) -> Queue:
        return Queue.every[self.ptr]

    @property
    def done(self) -> bool:
        done = not self._queue.pending
        if not done:
            self._queue.step()
        return done

    def synchronize(self) -> None:
        refuse_in_capture()
        self._queue.finish()

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event._operation, event._captured = self._queue.put(lambda: None), self.is_capturing()
        return event

    def wait_event(self, event: Event) -> None:
        if event._captured:
            raise EmulatorError("waiting for an event recorded in a capture (a fork of the graph) is not emulated")
        if event._operation is not None:
            self._queue.put(lambda: None, after=(event._operation,))

    def launch_host_func(self, callback: Callable[[object], None], arg: object) -> None:
        self._queue.put(lambda: callback(arg))

    def begin_capture(self, mode: int | None = None) -> None:
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        refuse_in_capture()
        self._queue.capture = []

    def end_capture(self) -> Graph:
        runs, self._queue.capture = self._queue.capture, None
        if runs is None:
            raise CUDARuntimeError(1)
        graph = Graph.__new__(Graph)
        graph._runs = runs
        return graph

    def is_capturing(self) -> bool:
        return self._queue.capture is not None


Queue(0, True)
Stream.null = Stream(null=True)
_current = threading.local()


def _stack() -> list[Stream]:
    if not hasattr(_current, "stack"):
        _current.stack = [Stream.null]
    return _current.stack


def get_current_stream(device_id: int = -1) -> Stream:
    return _stack()[-1]


def queue_of(stream: Stream | None) -> Queue:
    ensure_device()
    return (stream or get_current_stream())._queue


class Event:
    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        ensure_device()
        self._timed, self._captured = not disable_timing, False
        self._operation: Operation | None = None

    def record(self, stream: Stream | None = None) -> None:
        (stream or get_current_stream()).record(self)

    @property
    def done(self) -> bool:
        """Asking makes the device go on by one operation, so that a host that asks again and again comes to an end."""
        if self._captured:
            raise CUDARuntimeError(900)
        done = self._operation is None or self._operation.done
        if not done:
            self._operation.queue.step()
        return done

    def synchronize(self) -> None:
        refuse_in_capture()
        if self._captured:
            raise CUDARuntimeError(900)
        if self._operation is not None:
            self._operation.queue.finish(self._operation)


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    operations = [event._operation for event in (start_event, end_event) if event._timed and not event._captured]
    if len(operations) < 2 or None in operations:
        raise CUDARuntimeError(400)
    if not all(operation.done for operation in operations):
        raise CUDARuntimeError(600)
    return 1e3 * (operations[1].time - operations[0].time)


class Graph:
    _runs: list[Callable[[], None]]

    def __init__(self) -> None:
        raise NotImplementedError("a graph comes from Stream.end_capture")

    def launch(self, stream: Stream | None = None) -> None:
        def replay() -> None:
            for run in self._runs:
                run()
        queue_of(stream).put(replay)

    def upload(self, stream: Stream | None = None) -> None:
        queue_of(stream).put(lambda: None)


# ---- copies ----

HOST_TO_HOST, HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE, DEFAULT = range(5)


def copy_async(dst: int, src: int, size: int, kind: int, queue: Queue) -> None:
    """As cudaMemcpyAsync: pinned host memory is touched when the stream comes to it, other before the return."""
    if kind not in (HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE):
        raise EmulatorError(f"copies of kind {kind} are not emulated: name the direction")
    for ptr in {HOST_TO_DEVICE: (dst,), DEVICE_TO_HOST: (src,), DEVICE_TO_DEVICE: (dst, src)}[kind]:
        Memory.check_range(ptr, size)
    host = {HOST_TO_DEVICE: src, DEVICE_TO_HOST: dst}.get(kind)
    pageable = host is not None and not is_pinned(host, size)
    if pageable and queue.capture is not None:
        raise EmulatorError("a captured copy needs pinned host memory")
    if pageable and kind == HOST_TO_DEVICE:
        content = ctypes.string_at(src, size)
        queue.put(lambda: ctypes.memmove(dst, content, size))
        return
    queue.put(lambda: ctypes.memmove(dst, src, size))
    if pageable:
        queue.finish()
