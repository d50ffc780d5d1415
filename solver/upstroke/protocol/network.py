"""Which cells' spikes the synapses of a table receive, with weights and delays of their own, on a mesh."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import DrawnConductance, DrawnTime, Events, Synapse
from upstroke.errors import CaseError
from upstroke.mesh.locate import cells_of_regions
from upstroke.mesh.mesh import Mesh
from upstroke.protocol.pairs import NS, by_probability, generator, read_pairs

THRESHOLD = 0.0         # mV
MOST = 2e9              # connections of a table: more is a slip


@dataclass(frozen=True, eq=False)
class Sources:
    """Of each synapse of a table, the node (m,) whose V makes spikes for it, and the threshold in mV."""

    nodes: NDArray[np.int64]
    threshold: float

    def renumbered(self, rank: NDArray[np.int64]) -> Sources:
        """The same at nodes in another numbering."""
        return replace(self, nodes=rank[self.nodes])


@dataclass(frozen=True, eq=False)
class Places:
    """Where the synapses of a table can be, cell by cell.

    Attributes
    ----------
    cells : (k,) numbers of the cells that have some
    nodes, area : compartments and their areas; those of cell j are first[j] to first[j + 1]
    """

    cells: NDArray[np.int64]
    nodes: NDArray[np.int64]
    area: NDArray[np.float64]
    first: NDArray[np.int64]

    def draw(self, cell: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
        """The compartment of each of some synapses, given which of ``cells`` each is on: as likely as it is large."""
        u = generator(seed, "places").random(len(cell))
        along = np.concatenate([[0.0], np.cumsum(self.area)])
        low, high = along[self.first[cell]], along[self.first[cell + 1]]
        found = np.searchsorted(along, low + u * (high - low), side="right") - 1
        return self.nodes[np.clip(found, self.first[cell], self.first[cell + 1] - 1)]


def places_of(table: Synapse, mesh: Mesh, where: str) -> Places:
    """Where the synapses of a table can be: at a site of each cell, or anywhere on a region.

    Raises
    ------
    CaseError, MeshError for places that there are not
    """
    tree = mesh.tree
    assert tree is not None                                 # the case was checked
    if table.site is not None:
        nodes = tree.compartments_at(table.site, f"{where}.site")
    else:
        assert table.region is not None
        nodes = mesh.cells[cells_of_regions(mesh, [table.region], f"{where}.region"), 1].astype(np.int64)
        nodes = nodes[tree.area[nodes] > 0.0]
        if not len(nodes):
            raise CaseError(f"{where}.region", f"region {table.region!r} has no membrane", "name another region")
    nodes = nodes[np.argsort(tree.cell[nodes], kind="stable")]
    cells, first = np.unique(tree.cell[nodes], return_index=True)
    return Places(cells, nodes, tree.area[nodes], np.append(first, len(nodes)))


@dataclass(frozen=True, eq=False)
class Wiring:
    """Synapses that receive spikes of cells: (m,) the cell each is on, of those of `Places`, and the rest of it."""

    cell: NDArray[np.int64]
    source: Sources
    weight: NDArray[np.float64]     # mS
    delay: NDArray[np.float64]      # ms


def wire(table: Synapse, number: int, mesh: Mesh, places: Places, dt: float, where: str) -> Wiring:
    """The connections of a table whose events have a source: by chance, or of a file; ``number`` is the table's,
    from 1.

    Raises
    ------
    CaseError, MeshError for sources that there are not, cells without another to receive from, and broken files
    """
    tree, events = mesh.tree, table.events
    assert tree is not None and events.source is not None   # the case was checked
    senders = tree.compartments_at(events.source, f"{where}.events.source")
    rows = np.zeros((0, 0))
    if events.pairs is not None:
        rows = read_pairs(events.pairs, (len(senders), len(places.cells)), ("weight", "delay"), f"{where}.events.pairs")
        sender, cell = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
    else:
        sender, cell = _chosen(events, table.count, number, tree.cell[senders], places.cells, f"{where}.events")
    n = len(cell)
    weight = rows[:, 2] * NS if rows.shape[1] > 2 else weights_of(table, n, number)
    delay = rows[:, 3].copy() if rows.shape[1] > 3 else delays_of(table, n, number, dt)
    if (short := delay < dt * (1.0 - 1e-9)).any():
        raise CaseError(f"{where}.events.pairs", f"a delay of {delay[short].min():g} ms is shorter than a step of "
                        f"{dt:g} ms", "make it longer, or time.dt shorter")
    return Wiring(cell, Sources(senders[sender], THRESHOLD if events.threshold is None else events.threshold), weight,
                  np.maximum(delay, dt))


def _chosen(events: Events, count: int, number: int, senders: NDArray[np.int64], cells: NDArray[np.int64], where: str
            ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of the senders, and which of the cells, each synapse joins, cell by cell; both are numbers of cells."""
    draw = generator(number if events.seed is None else events.seed, "sources")
    expected = len(cells) * count * (1.0 if events.probability is None else len(senders) * events.probability)
    if expected > MOST:
        raise CaseError(where, f"makes about {expected:.2g} connections",
                        "check count, probability and the populations")
    if events.probability is not None:
        cell, sender = by_probability(len(cells), len(senders), events.probability, draw)
        if not events.autapses:
            other = senders[sender] != cells[cell]
            cell, sender = cell[other], sender[other]
        return np.repeat(sender, count), np.repeat(cell, count)
    own = np.full(len(cells), -1) if events.autapses else _position(senders, cells)
    choice = len(senders) - (own >= 0)
    if (choice == 0).any():
        raise CaseError(where, "a cell has no other to receive spikes from",
                        "name a source of several cells, or set autapses = true")
    cell = np.repeat(np.arange(len(cells)), count)
    sender = np.floor(draw.random(len(cell)) * choice[cell]).astype(np.int64)
    sender += (own[cell] >= 0) & (sender >= own[cell])      # itself is left out
    return sender, cell


def _position(senders: NDArray[np.int64], cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each cell is among the (ascending) senders, -1 where it is not."""
    found = np.minimum(np.searchsorted(senders, cells), len(senders) - 1)
    return np.where(senders[found] == cells, found, -1)


def weights_of(table: Synapse, n: int, number: int) -> NDArray[np.float64]:
    """(n,) mS; what is drawn below 0 is 0."""
    return np.maximum(_drawn(table.weight, n, number, "weights"), 0.0)


def delays_of(table: Synapse, n: int, number: int, least: float) -> NDArray[np.float64]:
    """(n,) ms; what is drawn below the least is the least."""
    delay = _drawn(table.delay, n, number, "delays")
    return delay if isinstance(table.delay, float) else np.maximum(delay, least)


def _drawn(value: float | DrawnConductance | DrawnTime, n: int, number: int, stream: str) -> NDArray[np.float64]:
    if isinstance(value, float):
        return np.full(n, value)
    draw = generator(number if value.seed is None else value.seed, stream)
    if value.normal is not None:
        return draw.normal(*value.normal, n)
    assert value.uniform is not None                        # the case was checked
    return draw.uniform(*value.uniform, n)
