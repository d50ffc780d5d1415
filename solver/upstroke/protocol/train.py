"""A train of rectangular pulses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SNAP = 1e-9      # parts of a step: what is nearer to a step's edge than this lies on it


@dataclass(frozen=True)
class Train:
    """Pulses of ``current`` (uA/cm^2) into ``nodes``: [start + k period, start + k period + duration), k < count.

    ``nodes`` are ascending numbers of the mesh, or, once `Stimuli.renumbered`, ascending places in solve order.
    """

    name: str
    nodes: NDArray[np.int64]
    current: float
    start: float
    duration: float
    period: float
    count: int

    def share(self, n: int, dt: float) -> float:
        """The part of step n, [n dt, (n + 1) dt), during which a pulse is on: exact charge for any dt."""
        total = 0.0
        first = math.floor(((n * dt) - self.start - self.duration) / self.period) if math.isfinite(self.period) else 0
        for k in range(max(first, 0), self.count):
            on = (self.start + k * self.period if k else self.start) / dt - n
            off = on + self.duration / dt
            if on >= 1.0 - SNAP:
                break
            part = min(off, 1.0) - max(on, 0.0)
            total += 0.0 if part < SNAP else 1.0 if part > 1.0 - SNAP else part
        return total

    def late(self, end: float) -> int:
        """How many pulses would start at ``end`` (ms) or after it, and so never fire."""
        if self.start >= end:
            return self.count
        in_time = math.ceil((end - self.start) / self.period - SNAP) if math.isfinite(self.period) else 1
        return max(self.count - in_time, 0)
