"""Who computes. A backend knows no physics: it gets source text, arrays and matrices."""

from __future__ import annotations

from upstroke.backend.clock import NOT_CONVERGED, Clock, Fetch, Stage
from upstroke.backend.cpu import CpuBackend

#: What the rest of the package types against; further devices mirror the CPU's methods.
Backend = CpuBackend

__all__ = ["NOT_CONVERGED", "Backend", "Clock", "Fetch", "Stage", "open_backend"]


def open_backend(device: str = "auto", threads: int = 0, precision: str = "fp64") -> Backend:
    """The backend for a device name; "auto" takes the best there is, today the CPU."""
    return CpuBackend(threads, precision)
