"""What Upstroke uses of cupy.cuda."""

from __future__ import annotations

from .._device import (
    Event,
    Graph,
    Memory,
    MemoryPointer,
    Stream,
    alloc_pinned_memory,
    count_devices,
    get_current_stream,
    get_elapsed_time,
)
from . import compiler, driver, memory, runtime

__all__ = ["Device", "Event", "Graph", "Memory", "MemoryPointer", "Stream", "alloc", "alloc_pinned_memory", "compiler",
           "driver", "get_current_stream", "get_elapsed_time", "is_available", "memory", "runtime"]


def is_available() -> bool:
    return count_devices() > 0


def alloc(size: int) -> MemoryPointer:
    return MemoryPointer(Memory(size), 0)


class Device:
    def __init__(self, device: int | Device | None = None) -> None:
        self.id = runtime.getDevice() if device is None else int(device)

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return self.id

    def __enter__(self) -> Device:
        return self.use()

    def __exit__(self, *_: object) -> None:
        pass

    def use(self) -> Device:
        runtime.setDevice(self.id)
        return self

    @property
    def pci_bus_id(self) -> str:
        return runtime.deviceGetPCIBusId(self.id)

    def synchronize(self) -> None:
        runtime.deviceSynchronize()

    @property
    def compute_capability(self) -> str:
        properties = runtime.getDeviceProperties(self.id)
        return f"{properties['major']}{properties['minor']}"

    @property
    def mem_info(self) -> tuple[int, int]:
        return runtime.memGetInfo()

    @property
    def attributes(self) -> dict[str, int]:
        properties = runtime.getDeviceProperties(self.id)
        return {key[0].upper() + key[1:]: properties[key]
                for key in ("multiProcessorCount", "maxThreadsPerMultiProcessor", "maxThreadsPerBlock", "l2CacheSize",
                            "clockRate", "warpSize", "cooperativeLaunch")}
