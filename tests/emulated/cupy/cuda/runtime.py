"""What Upstroke uses of cupy.cuda.runtime."""

import ctypes

from .._device import (
    MEMORY,
    CUDARuntimeError,
    Memory,
    Queue,
    copy_async,
    count_devices,
    ensure_device,
    refuse_in_capture,
    synchronize_device,
)
from .._kernel import MULTIPROCESSORS

__all__ = ["CUDARuntimeError"]

memcpyHostToHost, memcpyHostToDevice, memcpyDeviceToHost, memcpyDeviceToDevice, memcpyDefault = range(5)
streamDefault, streamNonBlocking = 0, 1
streamCaptureModeGlobal, streamCaptureModeThreadLocal, streamCaptureModeRelaxed = range(3)
is_hip = False


def getDeviceCount() -> int:
    ensure_device()
    return count_devices()


_current = [0]


def getDevice() -> int:
    ensure_device()
    return _current[0]


def setDevice(device: int) -> None:
    _check(device)
    _current[0] = device


def _check(device: int) -> None:
    ensure_device()
    if not 0 <= device < count_devices():
        raise CUDARuntimeError(101)


def deviceGetPCIBusId(device: int) -> str:
    _check(device)
    return f"0000:{device:02X}:00.0"


def getDeviceProperties(device: int) -> dict[str, object]:
    _check(device)
    return {"name": b"Emulated device", "totalGlobalMem": MEMORY, "sharedMemPerBlock": 48 << 10, "regsPerBlock": 65536,
            "warpSize": 32, "maxThreadsPerBlock": 1024, "clockRate": 1_000_000, "major": 9, "minor": 0,
            "multiProcessorCount": MULTIPROCESSORS, "l2CacheSize": 50 << 20, "maxThreadsPerMultiProcessor": 2048,
            "memoryClockRate": 1_000_000, "memoryBusWidth": 64, "ECCEnabled": 1, "cooperativeLaunch": 1,
            "regsPerMultiprocessor": 65536, "sharedMemPerMultiprocessor": 228 << 10, "maxBlocksPerMultiProcessor": 32,
            "persistingL2CacheMaxSize": 0, "concurrentKernels": 1, "asyncEngineCount": 2}


def runtimeGetVersion() -> int:
    return 13000


def driverGetVersion() -> int:
    return 13000


def deviceSynchronize() -> None:
    synchronize_device()


def streamSynchronize(stream: int) -> None:
    refuse_in_capture()
    Queue.every[stream].finish()


def memGetInfo() -> tuple[int, int]:
    ensure_device()
    return MEMORY - Memory.used, MEMORY


def memcpyAsync(dst: int, src: int, size: int, kind: int, stream: int) -> None:
    copy_async(dst, src, size, kind, Queue.every[stream])


def memsetAsync(ptr: int, value: int, size: int, stream: int) -> None:
    Memory.check_range(ptr, size)
    Queue.every[stream].put(lambda: ctypes.memset(ptr, value, size))
