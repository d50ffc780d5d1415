r"""Whether a paced cell returns to where it was a beat ago.

    change = 1/T \int_t^{t+T} ||s(t' + T) - s(t')|| / ||s(t')|| dt',    s = (V, states), T the cycle length

averages the relative distance between two beats, taken at the rows of the output. A cell that alternates returns after
two beats instead. V and the concentrations of potassium and sodium outweigh the rest in this norm, so the report also
names each quantity whose own change, relative to its largest value in the beat, is above the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.cells import Record

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """How far a beat is from an earlier one.

    Attributes
    ----------
    norm : of all states, the worst cell's
    own : of each quantity, the worst cell's
    """

    norm: float
    own: dict[str, float]


class Limit:
    """Looks at beats as they end, and says when the last one was as the one before.

    Parameters
    ----------
    tolerance : of the norm
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self.beats = 0
        self.change: Change | None = None        # from the beat before
        self.second: Change | None = None        # from the beat before that one
        self._past: list[dict[str, Floats]] = []

    def see(self, beat: Record) -> None:
        """The rows of one beat, V and all states of every cell that counts; each beat has as many."""
        self.beats += 1
        self.change, self.second = (self._from(beat.values, back) for back in (1, 2))
        self._past = [*self._past[-1:], beat.values]

    def _from(self, values: dict[str, Floats], back: int) -> Change | None:
        if len(self._past) < back:
            return None
        before = self._past[-back]
        distance = {name: values[name] - before[name] for name in values}
        size = np.sqrt(sum(x * x for x in before.values()))
        norm = np.sqrt(sum(d * d for d in distance.values())) / np.where(size > 0, size, 1.0)
        own = {name: float(np.nanmax(np.abs(d).mean(axis=0) / np.maximum(np.abs(before[name]).max(axis=0), 1e-300)))
               for name, d in distance.items()}
        return Change(float(np.nanmax(norm.mean(axis=0))), own)

    @property
    def reached(self) -> bool:
        """Whether the last beat was as the one before, or as the one before that."""
        return any(c is not None and c.norm < self.tolerance for c in (self.change, self.second))

    @property
    def alternates(self) -> bool:
        """Whether every second beat is the same, but not every one."""
        return self.reached and self.change is not None and self.change.norm >= self.tolerance

    def found(self) -> dict[str, Any]:
        """The same as ``report``, for ``run.json``: changes over one beat and over two, and of each quantity."""
        return {"beats": self.beats, "tolerance": self.tolerance, "reached": self.reached,
                "alternates": self.alternates, "change": self.change and self.change.norm,
                "change_over_two": self.second and self.second.norm, "own": self.change and self.change.own}

    def report(self) -> str:
        """A few lines for the terminal."""
        if self.change is None:
            return f"{self.beats} beat{'s' * (self.beats != 1)}: too few to compare"
        beats = f"{self.beats} beats"
        if self.alternates:
            assert self.second is not None
            head = (f"steady after {beats}, alternating: change over two beats {self.second.norm:.3g} "
                    f"< {self.tolerance:g}, over one {self.change.norm:.3g}")
            own = self.second.own
        else:
            sign, word = ("<", "steady") if self.reached else (">=", "not steady")
            head = f"{word} after {beats}: change {self.change.norm:.3g} {sign} {self.tolerance:g}"
            own = self.change.own
        drifting = sorted(((c, name) for name, c in own.items() if c >= self.tolerance), reverse=True)
        if not drifting:
            return head
        names = ", ".join(f"{name} ({c:.2g})" for c, name in drifting)
        return f"{head}\nstill drifting, relative to their largest value: {names}"
