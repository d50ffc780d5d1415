"""A train of rectangular pulses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from upstroke.case.pulses import Pulses

SNAP = 1e-9      # parts of a step, or ms: what is nearer to a step's edge than this lies on it


@dataclass(frozen=True)
class Train:
    """Pulses of ``current`` (uA/cm^2) and ``duration`` (ms) into ``nodes``.

    ``nodes`` are ascending numbers of the mesh, or, once `Stimuli.renumbered`, ascending places in solve order. Each
    receives ``scale`` times the current, one number or (nodes,).
    """

    name: str
    nodes: NDArray[np.int64]
    current: float
    pulses: Pulses
    duration: float
    scale: float | NDArray[np.float64] = 1.0

    def renumbered(self, rank: NDArray[np.int64]) -> Train:
        """The same with nodes in another numbering; ``rank`` (n,) is the new number of each node, -1 for those that are
        left out."""
        order = np.argsort(rank[self.nodes])
        order = order[rank[self.nodes][order] >= 0]
        scale = np.broadcast_to(self.scale, self.nodes.shape)
        return replace(self, nodes=rank[self.nodes][order], scale=scale[order])

    def describe(self) -> str:
        """A line for reports."""
        low, high = np.min(self.scale), np.max(self.scale)
        times = f" times {low:.4g} to {high:.4g}" if low != 1.0 or high != 1.0 else ""
        return (f"stimulus {self.name!r}: {len(self.nodes):,} nodes, {self.current:g} uA/cm^2{times}; "
                f"{self.pulses.describe(self.duration)}")

    def share(self, n: int, dt: float) -> float:
        """The part of step n, [n dt, (n + 1) dt), during which a pulse is on: exact charge for any dt."""
        total = 0.0
        for k in range(self.pulses.before(n * dt - self.duration - SNAP), self.pulses.total):
            on = self.pulses.onset(k) / dt - n
            off = on + self.duration / dt
            if on >= 1.0 - SNAP:
                break
            part = min(off, 1.0) - max(on, 0.0)
            total += 0.0 if part < SNAP else 1.0 if part > 1.0 - SNAP else part
        return total

    def fired(self, end: float) -> int:
        """How many pulses start before ``end`` (ms); the others never fire."""
        return self.pulses.before(end - SNAP)
