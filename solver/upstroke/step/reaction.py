"""The reaction step: C_m dV/dt = -(Iion(V, s) - Istim), ds/dt = f(V, s), node by node."""

from __future__ import annotations

import ctypes

from upstroke.backend import Backend
from upstroke.codegen import Kernel
from upstroke.step.state import State

NOT_FINITE, BOUNDED = 1, 2      # status bits of upstroke_advance


class KernelArgs(ctypes.Structure):
    """``upstroke_args`` of the generated kernels."""

    _fields_ = [
        ("V", ctypes.c_void_p), ("S", ctypes.c_void_p), ("W", ctypes.c_void_p), ("Iion", ctypes.c_void_p),
        ("Istim", ctypes.c_void_p), ("P", ctypes.c_void_p), ("N", ctypes.c_void_p), ("stride", ctypes.c_long),
        ("t", ctypes.c_double), ("dt", ctypes.c_double), ("steps", ctypes.c_long), ("C_m", ctypes.c_double),
    ]


def kernel_args(state: State, C_m: float, steps: int) -> KernelArgs:
    """The arguments of a kernel that takes ``steps`` steps on ``state``; t and dt are still to be set."""
    return KernelArgs(V=state.V.ctypes.data, S=state.S.ctypes.data, W=state.W.ctypes.data, Iion=state.Iion.ctypes.data,
                      Istim=state.Istim.ctypes.data, stride=state.stride, steps=steps, C_m=C_m)


class Reaction:
    """Advances the membrane of all nodes by a compiled kernel.

    Parameters
    ----------
    C_m : membrane capacitance, uF/cm^2
    substeps : kernel steps in one call
    """

    def __init__(self, kernel: Kernel, state: State, C_m: float, backend: Backend, substeps: int = 1) -> None:
        self._state, self._backend, self._substeps = state, backend, substeps
        self._advance = backend.library(kernel.source).upstroke_advance
        self._args = kernel_args(state, C_m, substeps)

    def step(self, t: float, dt: float) -> int:
        """From t to t + dt (ms); the OR of the status bits."""
        self._args.t, self._args.dt = t, dt / self._substeps
        return self._backend.for_range(self._advance, self._args, self._state.n)
