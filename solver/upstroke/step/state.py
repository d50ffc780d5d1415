"""What changes: V and the membrane's states at every node, in device arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Backend
from upstroke.codegen import Kernel
from upstroke.errors import ModelError, did_you_mean


class State:
    """V and the states of ``n`` nodes, as structures of arrays.

    Attributes
    ----------
    V : (n,) mV
    S : (states, stride) the states in the kernel's precision; node i of state k is S[k, i]
    W : (wide states, stride) float64, the states that a mixed-precision kernel keeps in fp64
    Iion : (n,) uA/cm^2, of the last reaction step, at its start
    Istim : (n,) uA/cm^2, what the reaction step applies
    """

    def __init__(self, kernel: Kernel, initial: Mapping[str, float], n: int, backend: Backend) -> None:
        stride = backend.stride(n)
        narrow = [s for s in kernel.states if s not in kernel.wide]
        self.n, self.stride = n, stride
        self.V, self.Iion, self.Istim = (backend.zeros(n) for _ in range(3))
        self.S = backend.zeros(len(narrow), stride)
        self.W = backend.zeros(len(kernel.wide), stride, dtype=np.float64)
        self._arrays: dict[str, NDArray[Any]] = {"V": self.V, "Iion": self.Iion}
        self._arrays |= {name: self.S[k, :n] for k, name in enumerate(narrow)}
        self._arrays |= {name: self.W[k, :n] for k, name in enumerate(kernel.wide)}
        for name, value in initial.items():
            self._arrays[name][:] = value
        self.S[:, n:] = self.S[:, :1]         # padding holds a valid state, so that it stays finite
        self.W[:, n:] = self.W[:, :1]

    @property
    def names(self) -> tuple[str, ...]:
        """V, Iion and the states."""
        return tuple(self._arrays)

    def variable(self, name: str) -> NDArray[Any]:
        """The array (n,) of V, Iion or a state."""
        if name not in self._arrays:
            raise ModelError("", f"the membrane has no variable {name!r}", did_you_mean(name, self._arrays))
        return self._arrays[name]

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by the names that kernels give them."""
        return {"V": self.V, "S": self.S, "W": self.W, "Iion": self.Iion, "Istim": self.Istim}

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def first_broken(self) -> tuple[int, list[str]] | None:
        """The first node with a value that is not finite, and which of its variables are not."""
        bad = ~np.isfinite(self.V)
        for array in self._arrays.values():
            bad |= ~np.isfinite(array)
        if not bad.any():
            return None
        node = int(np.argmax(bad))
        return node, [name for name, array in self._arrays.items() if not np.isfinite(array[node])]
