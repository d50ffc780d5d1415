"""An implicit step of V on the CPU: the arrays that voltage.c works on."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.cpu_loop import StageCall
from upstroke.backend.hines import VoltageArgs, hines_arrays
from upstroke.backend.voltage import Branches

if TYPE_CHECKING:
    from upstroke.backend.cpu import CpuBackend


class VoltageStep:
    """The stage "voltage": Hines' elimination, trees by whichever thread is free."""

    name = "voltage"

    def __init__(self, backend: CpuBackend, branches: Branches, V: NDArray[Any], Iion: NDArray[Any],
                 Istim: NDArray[Any], G: NDArray[Any]) -> None:
        arrays = {name: backend.array(array) for name, array in hines_arrays(branches).items()}
        packs, chains = arrays["packs"], arrays["chains"]
        of_chains = np.concatenate([[0], np.cumsum(chains["n"] * chains["lanes"])])
        most = (packs["n"] + 1) * packs["lanes"] + 7 & ~7
        most += of_chains[packs["chain"] + packs["chains"]] - of_chains[packs["chain"]]
        self._arrays = arrays | {"V": V, "Iion": Iion, "Istim": Istim, "G": G,
                                 "work": backend.zeros(backend.threads, 4, int(most.max()), dtype=np.float64)}
        self._args = VoltageArgs(count=len(packs), most=int(most.max()),
                                 **{name: array.ctypes.data for name, array in self._arrays.items()})
        self._backend, self._nodes = backend, ctypes.c_long(len(V))

    @property
    def call(self) -> StageCall:
        """What `run` does, for calls.c."""
        return StageCall(args=ctypes.addressof(self._args), n=self._nodes.value)

    def run(self, n: int) -> None:
        backend = self._backend
        backend.clock.status |= backend._runtime.step_voltage(backend._team, ctypes.byref(self._args), self._nodes)
        backend.clock.count(0, 0.0, True)
