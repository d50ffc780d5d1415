"""An implicit step of V on a GPU: the arrays that voltage.cu works on."""

from __future__ import annotations

import ctypes
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from upstroke.backend.voltage import Branches, LevelsArgs, levels_arrays

if TYPE_CHECKING:
    from upstroke.backend.cuda import CudaBackend


class VoltageStep:
    """The stage "voltage": elimination by levels, a block of threads to a group of trees."""

    name = "voltage"

    def __init__(self, backend: CudaBackend, branches: Branches, V: Any, Iion: Any, Istim: Any, G: Any) -> None:
        assert __package__
        arrays = levels_arrays(branches)
        n, groups = len(V), len(arrays["group_level"]) - 1
        self._arrays = {name: backend.array(array) for name, array in arrays.items()}
        self._arrays |= {"V": V, "Iion": Iion, "Istim": Istim, "G": G}
        self._arrays |= {name: backend.zeros(size, dtype=np.float64) for name, size in (
            ("L", 2 * n), ("inverse", n), ("y", n))}
        args = LevelsArgs(**{name: backend.pointer(array) for name, array in self._arrays.items()})
        text = resources.files(__package__).joinpath("voltage.cu").read_text()
        self._function = backend.module(f"{backend.prelude(False)}{text}").get_function("step_voltage")
        self._count = backend.kernels[False].get_function("count_solve")
        self._grid = (groups,)
        self._args = (np.frombuffer(bytes(args), np.dtype((np.void, ctypes.sizeof(args)))), backend.device_clock)
        self._backend = backend

    def run(self, n: int) -> None:
        backend = self._backend
        self._function(self._grid, (256,), self._args, stream=backend.stream)
        self._count((1,), (1,), (backend.device_clock, np.int64(0), np.float64(0), np.int32(0)), stream=backend.stream)
