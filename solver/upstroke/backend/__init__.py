"""Who computes. A backend knows no physics: it gets source text, arrays and matrices."""

from __future__ import annotations

from importlib.util import find_spec

from upstroke.backend.clock import NOT_CONVERGED, Clock, Fetch, Stage, failure_of, memory_of, nodal_of
from upstroke.backend.cpu import CpuBackend, Loop
from upstroke.errors import BackendError

#: What the rest of the package types against; the GPU's backend mirrors the CPU's methods.
Backend = CpuBackend

__all__ = ["NOT_CONVERGED", "Backend", "Clock", "Fetch", "Loop", "Stage", "failure_of", "memory_of", "nodal_of",
           "open_backend"]


def open_backend(device: str = "auto", threads: int = 0, precision: str = "fp64") -> Backend:
    """The backend for a device name; "auto" takes a GPU where one works, else the CPU, and ``choice`` says why.

    Raises
    ------
    BackendError where the device cannot be used
    """
    if device == "cpu":
        return CpuBackend(threads, precision)
    reason, remedy = why_no_gpu()
    if not reason:
        from upstroke.backend.cuda import CudaBackend

        gpu: Backend = CudaBackend(precision)  # type: ignore[assignment]   # it mirrors the CPU's
        gpu.choice = "as asked for" if device == "cuda" else "a GPU works"
        return gpu
    if device == "cuda":
        raise BackendError("backend.device", f"CUDA cannot be used: {reason}", remedy)
    cpu = CpuBackend(threads, precision)
    cpu.choice = f"CUDA cannot be used: {reason}"
    return cpu


def why_no_gpu() -> tuple[str, str]:
    """Why CuPy has no GPU to offer, and what to do; no reason where it has."""
    if find_spec("cupy") is None:
        return "CuPy is not installed", 'pip install "cupy-cuda13x[ctk]" (or cupy-cuda12x), or take device = "cpu"'
    remedy = 'see nvidia-smi, and whether the cupy package is for its CUDA version, or take device = "cpu"'
    try:
        from upstroke.backend.cuda import why_not
    except Exception as error:       # CuPy's own import fails in many ways
        return f"CuPy cannot be imported: {str(error).strip().splitlines()[0] if str(error) else repr(error)}", remedy
    return why_not(), remedy
