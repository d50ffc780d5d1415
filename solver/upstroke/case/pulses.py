"""When the pulses of a stimulus start: a train, extra stimuli after it, and bursts of these."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from upstroke.case.schema import Stimulus


@dataclass(frozen=True)
class Pulses:
    """Starts of pulses, ms, ascending; pulse k = 0, 1, ... of burst b is the interval i = k - 1 after pulse k - 1::

        interval i = max(period - i decrement, shortest)    i < count - 1
                   = extra[i - count + 1]                   after them

    Bursts begin at start + b burst_period. What a single pulse does not need may be infinite.
    """

    start: float
    period: float = math.inf
    count: int = 1
    decrement: float = 0.0
    shortest: float = 0.0
    extra: tuple[float, ...] = ()
    bursts: int = 1
    burst_period: float = math.inf

    @classmethod
    def of(cls, stimulus: Stimulus) -> Pulses:
        """Those of a table of a case."""
        return cls(stimulus.start, stimulus.period or math.inf, stimulus.count, stimulus.decrement or 0.0,
                   stimulus.shortest_period or 0.0, stimulus.extra or (), stimulus.bursts,
                   stimulus.burst_period or math.inf)

    @property
    def in_burst(self) -> int:
        return self.count + len(self.extra)

    @property
    def total(self) -> int:
        return self.bursts * self.in_burst

    def onset(self, k: int) -> float:
        """When (ms) pulse k starts, k = 0, 1, ... total - 1."""
        burst, k = divmod(k, self.in_burst)
        paced = min(k, self.count - 1)
        falling = min(paced, math.ceil((self.period - self.shortest) / self.decrement)) if self.decrement else paced
        at = self.start
        if paced:
            at += falling * self.period - 0.5 * self.decrement * falling * (falling - 1)
            at += (paced - falling) * self.shortest
        return at + sum(self.extra[:k - paced]) + (burst * self.burst_period if burst else 0.0)

    def before(self, time: float) -> int:
        """How many start before ``time`` (ms)."""
        return bisect_left(range(self.total), time, key=self.onset)

    def describe(self, duration: float) -> str:
        """All starts in a few words, for reports."""
        falls = math.ceil((self.period - self.shortest) / self.decrement) if self.decrement else 0
        begin, rest = min(falls, self.count - 1), range(self.count, self.in_burst)
        starts = [*map(self.onset, range(begin)), *self._even(range(begin, self.count)), *map(self.onset, rest)]
        burst = f"{self.in_burst} pulse{'s' * (self.in_burst > 1)} of {duration:g} ms at {_listed(starts)} ms"
        if self.bursts == 1:
            return burst
        firsts = self._even(range(0, self.total, self.in_burst))
        return f"{self.bursts} bursts at {_listed(firsts)} ms, the first of {burst}"

    def _even(self, which: range) -> list[float | str]:
        """Pulses that are evenly apart: the first two and the last one where there are more than four."""
        if len(which) < 5:
            return [*map(self.onset, which)]
        return [self.onset(which[0]), self.onset(which[1]), "...", self.onset(which[-1])]


def _listed(starts: list[float | str]) -> str:
    return ", ".join(one if isinstance(one, str) else f"{one:.9g}" for one in starts)
