"""Who of a job's processes has which nodes, and what they tell each other.

Nodes are shared out so that few couplings are cut (METIS: Karypis and Kumar 1998, doi 10.1137/S1064827595287997). A
rank solves for its own nodes; those of others that they couple to are its ghosts, whose values follow its own in every
vector of a solver. An exchange is one message to each neighbour, sent while rows are worked on that need none of them.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.halo import Alone
from upstroke.errors import BackendError
from upstroke.space.operator import Operator

EXCHANGE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
WISHES = 8           # status bits, above which an agreement carries wishes
PATIENCE = 5.0       # seconds in which all ranks find a mistake that one has found
TOLD = 0.5           # seconds in which a launcher passes on what was said: of a job that ends at once it may lose it
SUM = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)


class OneRank(Alone):
    """The only process of a run; it has all nodes."""

    rank, size, beside = 0, 1, 1

    def share(self, order: NDArray[np.int64], owner: NDArray[np.int64], stiffness: Any) -> NDArray[np.int64]:
        return order

    def local(self, operator: Operator, order: NDArray[np.int64]) -> Operator:
        return operator.permuted(order)


class Ranks:
    """A rank of an MPI job, and its neighbours.

    Parameters
    ----------
    comm : an mpi4py communicator, which other libraries may speak through, too

    Attributes
    ----------
    rank, size : which one this is, of how many
    place : which one of this machine's
    beside : how many of them are on the same cores of this machine; launchers may give each its own
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._mpi, self._comm, self._ends = MPI, comm, comm.Dup()
        self.comm = comm
        self.rank, self.size = comm.rank, comm.size
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        self._machine = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.place = self._machine.rank
        self.beside = self.near(cores).count(cores)
        self.first = self.rank == 0
        self.ghosts = 0
        self.callbacks: Mapping[str, Any] = {"begin": EXCHANGE(self._begin), "end": EXCHANGE(self._end),
                                             "sum": SUM(self._sum)}
        self._own = 0
        self._nodes: NDArray[np.int64] = np.zeros(0, np.int64)          # in the order in which they are told
        self._everyones: list[NDArray[np.int64]] | None = None          # likewise, of all ranks, on the first
        self._wish = self._wishes = 0                                   # this one's, and what was agreed on last
        self._ghost_nodes = np.zeros(0, np.int64)
        self.border = np.zeros(0, np.int64)
        self._send: list[tuple[int, NDArray[np.int64]]] = []
        self._receive: list[tuple[int, slice]] = []
        self._vectors: dict[int, tuple[NDArray[Any], list[NDArray[Any]]]] = {}
        self._requests: list[Any] = []
        self._swaps: dict[tuple[int, int], list[Any]] = {}
        weakref.finalize(self, _free, self._swaps)
        self._types: dict[int, np.dtype[Any]] = {}

    # ------------------------------------------------------------------------------------ who has which nodes
    def share(self, order: NDArray[np.int64], owner: NDArray[np.int64], stiffness: Any) -> NDArray[np.int64]:
        """This rank's nodes, in the order in which it solves: within each membrane first those without neighbours in
        other ranks.

        Parameters
        ----------
        order : (n,) all nodes in the order of one rank
        owner : (n,) the membrane of each node
        stiffness : (n, n) CSR, in the mesh's numbering

        Raises
        ------
        BackendError for more ranks than nodes
        """
        n = len(order)
        if self.size > n:
            raise BackendError("mpiexec", f"{self.size} ranks for {n} nodes", "take fewer ranks")
        part = self._comm.bcast(parts_of(stiffness, self.size) if self.first else None)
        row = np.repeat(np.arange(n), np.diff(stiffness.indptr))
        cut = (part[row] != part[stiffness.indices]) & (stiffness.data != 0.0)
        here, there = row[cut], stiffness.indices[cut].astype(np.int64)
        outward = np.zeros(n, bool)
        outward[here] = True
        mine = order[part[order] == self.rank]
        mine = mine[np.lexsort((np.arange(len(mine)), outward[mine], owner[mine]))]
        of_mine = part[here] == self.rank
        place = np.full(n, -1)
        place[mine] = np.arange(len(mine))
        ghosts = []
        self._own, self._nodes, first = len(mine), np.sort(mine), len(mine)
        self._everyones = self._comm.gather(self._nodes)
        for other in np.unique(part[there[of_mine]]).tolist():
            pair = of_mine & (part[there] == other)
            seen = np.unique(there[pair])                         # both sides count them in the mesh's order
            self._send.append((other, place[np.unique(here[pair])]))
            self._receive.append((other, slice(first, first + len(seen))))
            ghosts.append(seen)
            first += len(seen)
        self._ghost_nodes = np.concatenate(ghosts) if ghosts else np.zeros(0, np.int64)
        self.ghosts = len(self._ghost_nodes)
        self.border = np.concatenate([np.zeros(0, np.int64), *(nodes for _, nodes in self._send)])
        return mine

    def local(self, operator: Operator, order: NDArray[np.int64]) -> Operator:
        """The rows of this rank's nodes, whose columns are these and then its ghosts."""
        return operator.rows(order, np.concatenate([order, self._ghost_nodes]))

    # ---------------------------------------------------------------------------------------- while it steps
    def _vector(self, address: int) -> tuple[NDArray[Any], list[NDArray[Any]]]:
        """The vector of a solver at an address, and room for what goes out."""
        if address not in self._vectors:
            dtype = self._types.get(address, np.dtype(np.float64))
            size = (self._own + self.ghosts) * dtype.itemsize
            vector: NDArray[Any] = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(address)).view(dtype)
            self._vectors[address] = vector, [np.empty(len(nodes), dtype) for _, nodes in self._send]
        return self._vectors[address]

    def _begin(self, address: int) -> None:
        vector, rooms = self._vector(address)
        self._requests = [self._comm.Irecv(vector[place], other) for other, place in self._receive]
        for (other, nodes), room in zip(self._send, rooms, strict=True):
            np.take(vector, nodes, out=room)
            self._requests.append(self._comm.Isend(room, other))

    def _end(self, address: int) -> None:
        self._mpi.Request.Waitall(self._requests)

    def swap(self, out: int, into: int, itemsize: int) -> None:
        if (out, into) not in self._swaps:
            self._swaps[out, into] = self._swap_requests(out, into, itemsize)
        requests = self._swaps[out, into]
        self._mpi.Prequest.Startall(requests)
        self._mpi.Request.Waitall(requests)

    def _swap_requests(self, out: int, into: int, itemsize: int) -> list[Any]:
        """A message from and to each neighbour, by address, since the memory may be a device's."""
        def memory(begin: int, count: int) -> list[Any]:
            return [self._mpi.buffer.fromaddress(begin, count * itemsize), self._mpi.BYTE]

        requests = [self._comm.Recv_init(memory(into + (place.start - self._own) * itemsize, place.stop - place.start),
                                         other) for other, place in self._receive]
        for other, nodes in self._send:
            requests.append(self._comm.Send_init(memory(out, len(nodes)), other))
            out += len(nodes) * itemsize
        return requests

    def _sum(self, mine: float) -> float:
        return float(self._comm.allreduce(mine))

    def holds(self, address: int, dtype: np.dtype[Any]) -> None:
        self._types[address] = dtype

    def sum(self, mine: Any) -> Any:
        return self._comm.allreduce(mine)

    def add(self, mine: NDArray[np.float64]) -> None:
        self._comm.Allreduce(self._mpi.IN_PLACE, mine)

    def most(self, mine: int) -> int:
        return int(self._comm.allreduce(mine, self._mpi.MAX))

    def widest(self, low: float, high: float) -> tuple[float, float]:
        return float(self._comm.allreduce(low, self._mpi.MIN)), float(self._comm.allreduce(high, self._mpi.MAX))

    def agreed(self, status: int) -> int:
        together = int(self._comm.allreduce(status | self._wish << WISHES, self._mpi.BOR))
        self._wishes = together >> WISHES
        return together & (1 << WISHES) - 1

    def wished(self, mine: int) -> int:
        self._wish = mine
        return self._wishes

    def everyone(self, mine: Any) -> Sequence[Any]:
        return list(self._comm.allgather(mine))

    def near(self, mine: Any) -> list[Any]:
        """What each process of this machine has to say, by ``place``."""
        return list(self._machine.allgather(mine))

    def takes_device_memory(self) -> bool:
        """Whether MPI does not deny that it reads the memory of a GPU. Open MPI and MPICH can be asked."""
        try:
            asked = ctypes.CDLL(self._mpi.__file__).MPIX_Query_cuda_support
        except (AttributeError, OSError):
            return True
        return bool(asked())

    def whole(self, values: NDArray[Any]) -> NDArray[Any]:
        parts = self._comm.gather(values[..., self._nodes])
        if parts is None or self._everyones is None:
            return values
        result = np.empty(values.shape, np.result_type(*parts))
        for nodes, part in zip(self._everyones, parts, strict=True):
            result[..., nodes] = part
        return result

    def end(self, code: int, message: str) -> bool:
        """This process has failed. Where all have, in the same way, whether it is the first; else the job ends here."""
        all_have, begun = self._ends.Ibarrier(), time.monotonic()
        while not all_have.Test():
            if time.monotonic() - begun > PATIENCE:
                print(f"rank {self.rank}: {message}", file=sys.stderr, flush=True)
                time.sleep(TOLD)
                self._comm.Abort(code)
            time.sleep(0.01)
        return self.first


def _free(swaps: dict[Any, list[Any]]) -> None:
    for requests in swaps.values():
        for request in requests:
            request.Free()


def parts_of(stiffness: Any, size: int) -> NDArray[np.int64]:
    """(n,) the rank of each node.

    Raises
    ------
    BackendError where pymetis is missing
    """
    try:
        import pymetis
    except ImportError as error:
        raise BackendError("mpiexec", f"a run cannot be shared out: {error}", 'pip install "upstroke[mpi]"') from error
    row = np.repeat(np.arange(stiffness.shape[0]), np.diff(stiffness.indptr))
    edge = (row != stiffness.indices) & (stiffness.data != 0.0)
    start = np.concatenate([[0], np.cumsum(np.bincount(row[edge], minlength=stiffness.shape[0]))])
    graph = pymetis.CSRAdjacency(start, stiffness.indices[edge])
    part: NDArray[np.int64] = np.array(pymetis.part_graph(size, adjacency=graph)[1], np.int64)
    if len(np.unique(part)) < size:                      # METIS may leave a rank without nodes on tiny meshes
        part = np.arange(stiffness.shape[0]) * size // stiffness.shape[0]
    return part
