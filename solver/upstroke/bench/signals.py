"""Signals in files: lines of time and value, joined by straight lines, as openCARP's .trc files are.

The number of lines may stand on the first line. What follows a # is a comment; commas count as blanks. Two lines of the
same time make a jump: from that time on the later value holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.reading import finite, lines_of
from upstroke.errors import OptionError, Place

MOST = 2**53             # steps, up to which every whole number is a float
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Signal:
    """y(t) between the first and the last time; ``time`` (samples,) in ms, not falling, 0 or above, and ``value``."""

    time: Floats
    value: Floats

    def at(self, t: Floats) -> Floats:
        """y(t) = y_i + (y_(i+1) - y_i) (t - t_i)/(t_(i+1) - t_i), with t_i <= t < t_(i+1)."""
        last = len(self.time) - 1
        i = np.clip(np.searchsorted(self.time, t, side="right") - 1, 0, last)
        j = np.minimum(i + 1, last)
        width = self.time[j] - self.time[i]
        share = np.clip(np.divide(t - self.time[i], width, out=np.zeros_like(t), where=width > 0), 0.0, 1.0)
        return np.asarray(self.value[i] + share * (self.value[j] - self.value[i]))

    def sampled(self, dt: float) -> tuple[int, Floats]:
        """The step in which it begins, and its values at the start of that step and of all others that it lasts."""
        first, last = (int(n) for n in rounded(self.time[[0, -1]] / dt))
        return first, self.at(np.arange(first, max(last, first + 1), dtype=np.float64) * dt)


def rounded(x: Floats) -> Ints:
    """The nearest whole number, halves away from 0 as in C; OptionError where steps cannot be told apart any more."""
    if not (np.abs(x) < MOST).all():
        raise OptionError("--dt", f"a time comes to {np.abs(x).max():.3g} time steps, more than can be counted",
                          "give shorter times, or a longer --dt")
    return np.asarray(np.copysign(np.floor(np.abs(x) + 0.5), x).astype(np.int64))


def read_signal(path: Path, option: str) -> Signal:
    """The signal in a file that ``option`` names.

    Raises
    ------
    OptionError : the file cannot be read, or a line of it is wrong
    """
    lines = lines_of(path, option, "give a file with lines of time and value")
    rows = [(place, line.replace(",", " ").split()) for place, line in lines]
    count = rows.pop(0) if rows and len(rows[0][1]) == 1 else None
    time, value = list[float](), list[float]()
    for place, words in rows:
        if len(words) != 2:
            raise OptionError(place, f"'{' '.join(words)}' is not a time and a value", "write two numbers")
        t, y = (_number(word, place) for word in words)
        if t < 0.0:
            raise OptionError(place, f"the time {t:g} is below 0", "times count from where the signal starts")
        if time and t < time[-1]:
            raise OptionError(place, f"the time {t:g} comes after {time[-1]:g}", "put the lines in order of time")
        time.append(t)
        value.append(y)
    if count and _number(count[1][0], count[0]) != len(rows):
        raise OptionError(count[0], f"{count[1][0]} lines are announced, and there are {len(rows)}",
                          "correct the number, or leave it out")
    if len(rows) < 2:
        raise OptionError(str(path), "a signal has two lines at least", "write lines of time and value")
    return Signal(np.array(time), np.array(value))


def _number(word: str, place: Place) -> float:
    value = finite(word)
    if value is None:
        raise OptionError(place, f"'{word}' is no number", "write lines of time and value")
    return value
