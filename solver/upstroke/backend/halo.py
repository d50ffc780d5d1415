"""What the processes that share a run tell each other: values of neighbouring nodes, sums, what went wrong, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Halo(Protocol):
    """A process among those that share a run. All but the attributes are to be called by all of them, in one order.

    Attributes
    ----------
    first : whether this is the one that writes
    ghosts : how many nodes of others this process sees; their values follow its own in vectors
    border : (m,) places of own nodes that others see, in the order in which their values go out; some more than once
    comm : the mpi4py communicator of these processes; None of one alone
    callbacks : C functions ``begin`` and ``end`` of an exchange (const void *vector) and ``sum`` (double) by name; none
        where there is one process
    """

    first: bool
    ghosts: int
    border: NDArray[np.int64]
    comm: Any
    callbacks: Mapping[str, Any]

    def holds(self, address: int, dtype: np.dtype[Any]) -> None:
        """The vector at an address is of this type; others are float64."""

    def swap(self, out: int, into: int, itemsize: int) -> None:
        """Values of the border at an address to neighbours, and those of ghosts from them to another."""

    def sum(self, mine: Any) -> Any:
        """Over all processes: a number, or an array entry by entry."""

    def add(self, mine: NDArray[np.float64]) -> None:
        """Sums over all processes in its place; the same bits on all of them."""

    def most(self, mine: int) -> int:
        """The greatest of all processes."""

    def widest(self, low: float, high: float) -> tuple[float, float]:
        """The least ``low`` and the greatest ``high`` of all processes."""

    def agreed(self, status: int) -> int:
        """The status bits of all processes."""

    def everyone(self, mine: Any) -> Sequence[Any]:
        """What each process has to say, on all of them."""

    def wished(self, mine: int) -> int:
        """Bits that any process wishes, all of them the same: of one alone its own, else what was agreed together with
        the last status."""

    def whole(self, values: NDArray[Any]) -> NDArray[Any]:
        """(..., n) by the mesh's nodes, of which each process knows its own: all of them, on the first process."""


class Alone:
    """One process, which has no neighbours."""

    first = True
    ghosts = 0
    border: NDArray[np.int64] = np.zeros(0, np.int64)
    comm: Any = None
    callbacks: Mapping[str, Any] = {}

    def holds(self, address: int, dtype: np.dtype[Any]) -> None:
        """Nothing is sent."""

    def swap(self, out: int, into: int, itemsize: int) -> None:
        """Nothing is sent."""

    def sum(self, mine: Any) -> Any:
        return mine

    def add(self, mine: NDArray[np.float64]) -> None:
        """They are the sums."""

    def most(self, mine: int) -> int:
        return mine

    def widest(self, low: float, high: float) -> tuple[float, float]:
        return low, high

    def agreed(self, status: int) -> int:
        return status

    def wished(self, mine: int) -> int:
        return mine

    def everyone(self, mine: Any) -> Sequence[Any]:
        return [mine]

    def whole(self, values: NDArray[Any]) -> NDArray[Any]:
        return values
