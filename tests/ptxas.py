"""Compiling CUDA texts without a device, as CuPy would."""

from __future__ import annotations

import re

import pytest


def compiled(source: str, arch: str = "sm_90", result: str = "CUBIN", *more: bytes) -> tuple[str, str]:
    """The log and the code ("CUBIN" or "PTX") of a source; fails with NVRTC's log where it does not compile."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    try:
        _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    except RuntimeError as reason:
        pytest.skip(f"NVRTC cannot be loaded: {reason}")
    options = [f"--gpu-architecture={arch}".encode(), b"--ptxas-options=-v", b"-std=c++17", b"-ftz=true", *more]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    log = b" " * nvrtc.nvrtcGetProgramLogSize(program)[1]
    nvrtc.nvrtcGetProgramLog(program, log)
    assert int(error) == 0, log.decode()
    code = b" " * getattr(nvrtc, f"nvrtcGet{result}Size")(program)[1]
    getattr(nvrtc, f"nvrtcGet{result}")(program, code)
    nvrtc.nvrtcDestroyProgram(program)
    assert "warning" not in log.decode()
    return log.decode(), code.decode("latin-1")


def report(source: str) -> str:
    """ptxas's report for sm_90."""
    return compiled(source)[0]


def spilled(report: str) -> int:
    """Bytes of registers that the kernels of a report spill, stores and loads."""
    return sum(map(int, re.findall(r"(\d+) bytes spill", report)))
