"""What opens conductances at places of a neuron: synapses and voltage clamps, as a case has them, on a mesh."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from upstroke.case.pulses import Pulses
from upstroke.case.schema import KINETICS, Case, Synapse, TimeTable
from upstroke.mesh.mesh import Mesh
from upstroke.protocol.events import Times, trains
from upstroke.protocol.gaps import GapJunctions, place_gaps
from upstroke.protocol.network import Sources, delays_of, places_of, weights_of, wire
from upstroke.protocol.noise import Noise, place_noise
from upstroke.protocol.train import Train


@dataclass(frozen=True)
class Kinetics:
    """g(t) after an event at 0 of weight 1, B of V, and the reversal potential: i = g B(V) (V - reversal).

    g = (exp(-t / tau_decay) - exp(-t / tau_rise)) / p, with p its peak; exp(-t / tau_decay) where there is no rise.
    B = 1 / (1 + magnesium / 3.57 exp(-0.062 V)) (Jahr and Stevens 1990, doi 10.1523/JNEUROSCI.10-09-03178.1990).
    """

    tau_rise: float | None      # ms
    tau_decay: float            # ms
    reversal: float             # mV
    magnesium: float = 0.0      # mM

    @property
    def scale(self) -> float:
        """1 / p: what an event of weight 1 adds to both exponentials."""
        if self.tau_rise is None:
            return 1.0
        ratio = self.tau_rise / self.tau_decay          # p = (1 - ratio) ratio^(ratio / (1 - ratio))
        return 1.0 / ((1.0 - ratio) * ratio ** (ratio / (1.0 - ratio)))


@dataclass(frozen=True, eq=False)
class Synapses:
    """The synapses of a table.

    Attributes
    ----------
    weight : (m,) mS
    delay : (m,) ms, from leaving to arrival
    nodes : (m,) where they are
    arrivals : of each, the times (ms) when its spikes arrive; empty where they come from cells
    source : the cells whose spikes they receive
    """

    name: str
    kinetics: Kinetics
    weight: NDArray[np.float64]
    delay: NDArray[np.float64]
    nodes: NDArray[np.int64]
    arrivals: list[Times]
    source: Sources | None = None

    def describe(self) -> str:
        """A line for reports."""
        weight = 1e6 * self.weight.mean() if len(self.weight) else 0.0
        spikes = f"{sum(map(len, self.arrivals)):,} spikes" if self.source is None else \
            f"spikes of {len(np.unique(self.source.nodes)):,} cells"
        each = "each" if len(np.unique(self.weight)) <= 1 else "on average"
        return (f"synapses {self.name!r}: {len(self.nodes):,} in {len(np.unique(self.nodes)):,} compartments, "
                f"{spikes}, {weight:.3g} nS {each}")

    def renumbered(self, rank: NDArray[np.int64]) -> Synapses:
        """The same at nodes in another numbering."""
        return replace(self, nodes=rank[self.nodes],
                       source=None if self.source is None else self.source.renumbered(rank))


@dataclass(frozen=True, eq=False)
class Clamp:
    """An electrode at a node: conductance in mS, and for each level (mV) when it is held."""

    node: int
    conductance: float
    levels: tuple[float, ...]
    held: tuple[Train, ...]


@dataclass(frozen=True, eq=False)
class Conductances:
    """All that opens conductances in a run, with what fluctuates."""

    synapses: tuple[Synapses, ...] = ()
    clamps: tuple[Clamp, ...] = ()
    gaps: tuple[GapJunctions, ...] = ()
    noise: tuple[Noise, ...] = ()

    def renumbered(self, rank: NDArray[np.int64]) -> Conductances:
        """The same at nodes in another numbering; ``rank`` (n,) is the new number of each node."""
        return Conductances(tuple(s.renumbered(rank) for s in self.synapses),
                            tuple(replace(c, node=int(rank[c.node]), held=tuple(t.renumbered(rank) for t in c.held))
                                  for c in self.clamps),
                            tuple(replace(g, one=rank[g.one], other=rank[g.other]) for g in self.gaps),
                            tuple(replace(n, nodes=rank[n.nodes]) for n in self.noise))

    def describe(self) -> list[str]:
        """Lines for reports."""
        return [*(s.describe() for s in self.synapses), *(g.describe() for g in self.gaps),
                *(n.describe() for n in self.noise)]

    def notes(self) -> list[str]:
        """What the user should know of synapses that nothing reaches."""
        return [f"synapse {s.name!r}: no spike arrives during the run" for s in self.synapses
                if not (any(map(len, s.arrivals)) if s.source is None else len(s.nodes))]


def place_conductances(case: Case, mesh: Mesh) -> Conductances:
    """The synapses and voltage clamps of a case on its mesh.

    Raises
    ------
    CaseError, MeshError for places that the cell lacks, and for files of events that cannot be read
    """
    synapses = tuple(_synapses(table, k, mesh, case.time) for k, table in enumerate(case.synapse))
    clamps = []
    for k, table in enumerate(case.voltage_clamp):
        assert mesh.tree is not None                        # the case was checked
        starts = table.start + np.concatenate([[0.0], np.cumsum(table.durations)[:-1]])
        for node in mesh.tree.compartments_at(table.site, f"voltage_clamp.{k}.site"):
            held = tuple(Train("", np.array([node]), 1.0, Pulses(float(start)), duration)
                         for start, duration in zip(starts, table.durations, strict=True))
            clamps.append(Clamp(int(node), 1.0 / table.series_resistance, table.levels, held))
    return Conductances(synapses, tuple(clamps), place_gaps(case.gap_junction, mesh), place_noise(case.noise, mesh))


def _synapses(table: Synapse, k: int, mesh: Mesh, time: TimeTable) -> Synapses:
    where = f"synapse.{k}" + (f" ({table.name})" if table.name else "")
    rise, decay, reversal = KINETICS[table.kind]
    magnesium = 0.0
    if table.kind == "nmda":
        magnesium = 1.0 if table.magnesium is None else table.magnesium
    decay = table.tau_decay or decay
    assert decay is not None                                # the case was checked
    kinetics = Kinetics(table.tau_rise or rise, decay, reversal if table.reversal is None else table.reversal,
                        magnesium)
    name = table.name or f"synapse {k + 1}"
    places = places_of(table, mesh, where)
    seed = k + 1 if table.seed is None else table.seed
    if table.events.source is not None:
        wiring = wire(table, k + 1, mesh, places, time.dt, where)
        return Synapses(name, kinetics, wiring.weight, wiring.delay, places.draw(wiring.cell, seed), [], wiring.source)
    nodes = places.draw(np.repeat(np.arange(len(places.cells)), table.count), seed)
    delay = delays_of(table, len(nodes), k + 1, 0.0)
    leave = trains(table.events, len(nodes), time.end, k + 1, f"{where}.events")
    arrive = [times[: np.searchsorted(times, time.end)] for times in (
        times + late for times, late in zip(leave, delay, strict=True))]
    return Synapses(name, kinetics, weights_of(table, len(nodes), k + 1), delay, nodes, arrive)
