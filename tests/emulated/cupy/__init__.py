"""A stand-in for CuPy in Upstroke's tests: see README.md beside this package."""

from . import cuda, linalg
from ._array import (
    arange,
    array,
    asarray,
    asnumpy,
    empty,
    empty_like,
    full,
    ndarray,
    ones,
    zeros,
    zeros_like,
)
from ._device import EmulatorError, Memory
from ._kernel import RawKernel, RawModule

__version__ = "14.0.0"
__all__ = ["EmulatorError", "RawKernel", "RawModule", "arange", "array", "asarray", "asnumpy", "cuda", "empty",
           "empty_like", "full", "get_default_memory_pool", "linalg", "ndarray", "ones", "zeros", "zeros_like"]


class _MemoryPool:
    def used_bytes(self) -> int:
        return Memory.used

    def total_bytes(self) -> int:
        return Memory.used

    def free_bytes(self) -> int:
        return 0

    def free_all_blocks(self) -> None:
        pass


def get_default_memory_pool() -> _MemoryPool:
    return _MemoryPool()
