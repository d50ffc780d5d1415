"""What Upstroke uses of cupy.cuda.memory."""

from .._device import Memory, MemoryPointer, OutOfMemoryError

__all__ = ["Memory", "MemoryPointer", "OutOfMemoryError"]
