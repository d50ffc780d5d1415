"""Restitution: how long a beat lasts after how long a rest.

S1S2    beats at a fixed cycle length, now and then one that comes early, all in one cell
dyn     the cycle length itself becomes shorter, with some beats at each
S1S2f   the same as S1S2 from one steady state: every early beat has a cell of its own, and all run as one batch

Without a file that says the intervals, S1S2f finds them: twice the threshold of excitation where no stimulus is given,
the shortest interval that captures, and more intervals where the curve is steep.

A beat is captured where V had come back by 90 % before its stimulus, and it then rises at least 60 % as high, and stays
up (APD50) at least a tenth as long, as the beats at the first cycle length do. Smaller responses, which come
just before capture is lost, are graded: they would not spread in tissue, and their durations jump.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.beats import Beats
from upstroke.bench.reading import lines_of
from upstroke.bench.search import boundary
from upstroke.errors import OptionError

Floats = NDArray[np.float64]
Kind = Literal["S1S2", "dyn", "S1S2f"]
#: Runs one cell per train of stimuli (ms) from a state; the beats of every cell.
Run = Callable[[Sequence[Floats]], Beats]

_LINES = {"dyn": ("0", "beats before", "first cycle length", "last cycle length", "beats at each", "decrement"),
          "S1S2": ("1", "beats before", "cycle length", "first interval", "last interval", "beats before each S2",
                   "decrement")}
COARSE = 25.0                    # ms between intervals at first, an eighth of the cycle length at most
FINE = 0.04                      # of COARSE: between intervals where the curve is steepest
STEEP = 0.16                     # of COARSE: between the APD of neighbours that calls for more intervals between them
ROUNDS = 4
CLOSE = 0.1                      # ms between DI that are told apart in a slope


@dataclass(frozen=True)
class Protocol:
    """A restitution experiment; times in ms.

    Attributes
    ----------
    pre : beats at the first cycle length before all else
    bcl : cycle length (dyn: the first)
    intervals : of the early beats (dyn: cycle lengths), in order
    beats : at ``bcl`` before each early one (dyn: at each cycle length)
    """

    kind: Kind
    pre: int
    bcl: float
    intervals: tuple[float, ...]
    beats: int

    def onsets(self, start: float) -> tuple[Floats, NDArray[np.bool_]]:
        """When stimuli come, in one cell, and which are early ones (dyn: the last at each cycle length)."""
        gaps = [self.bcl] * max(0, self.pre - (self.kind == "dyn"))
        early = [False] * len(gaps)
        for interval in self.intervals:
            if self.kind == "dyn":
                gaps += [interval] * self.beats
                early += [False] * (self.beats - 1) + [True]
            else:
                gaps += [self.bcl] * self.beats + [interval]
                early += [False] * self.beats + [True]
        if self.kind == "dyn":                       # the gap stands before its beat, and the first beat has none
            times = start + np.concatenate([[0.0], np.cumsum(gaps)])
            return times, np.array([False, *early])
        # an S1 comes a cycle length after an early beat; the first beat of all has no gap before it
        times = start + np.concatenate([[0.0], np.cumsum(gaps[1:])])
        return times, np.array(early)


def read_protocol(path: Path, kind: Kind) -> Protocol:
    """The experiment in openCARP's file: one number a line, whatever follows a # is a comment.

    Raises
    ------
    OptionError : the file cannot be read, or its numbers make no experiment
    """
    lines = lines_of(path, "--res-file", "give a file with one number a line")
    names = _LINES["dyn" if kind == "dyn" else "S1S2"]
    if len(lines) != len(names):
        raise OptionError(str(path), f"{len(lines)} numbers, where {kind} wants {len(names)}",
                          f"write, one a line: {', '.join(names)}")
    numbers = []
    for (place, line), name in zip(lines, names, strict=True):
        word = line.split()[0]
        try:
            value = float(word)
        except ValueError:
            raise OptionError(place, f"'{word}' is no number", "write one number a line") from None
        whole = name.startswith("beats")
        if not (np.isfinite(value) and value >= 0) or (whole and value % 1):
            raise OptionError(place, f"{word} is no {'count' if whole else 'time'}",
                              f"write a {'whole ' * whole}number from 0 on")
        numbers.append(value)
    if numbers[0] != float(names[0]):
        other = "S1S2" if numbers[0] == 1 else "dyn"
        raise OptionError(lines[0][0], f"the first number of {kind} is {names[0]}, and it is {numbers[0]:g} here",
                          f"take --restitute {other}, or correct it")
    if kind == "dyn":
        _, pre, first, last, beats, step = numbers
        bcl = first
    else:
        _, pre, bcl, first, last, beats, step = numbers
    if step <= 0 or first < last or last <= 0 or beats < 1 or bcl <= 0:
        raise OptionError(str(path), f"no way leads from {first:g} ms down to {last:g} ms in steps of {step:g} ms with "
                          f"{beats:g} beats at a cycle length of {bcl:g} ms",
                          "let the intervals fall, and every number but the first two be above 0")
    count = int((first - last) / step + 1e-9) + 1
    return Protocol(kind, int(pre), bcl, tuple(first - step * np.arange(count)), int(beats))


@dataclass(frozen=True, eq=False)
class Curve:
    """APD90 after a rest: what every early beat was (dyn: the last beat at a cycle length). Sorted by interval.

    Attributes
    ----------
    interval : ms from the stimulus before
    DI : ms from where V had come back by 90 % to the upstroke; NaN where it had not
    APD : ms, APD90; NaN where the beat was not captured
    V_max : mV
    captured : bool
    """

    interval: Floats
    DI: Floats
    APD: Floats
    V_max: Floats
    captured: NDArray[np.bool_]

    @property
    def slope(self) -> Floats:
        """dAPD/dDI at each captured beat, by differences of its neighbours in DI; NaN elsewhere.

        A shorter interval may have a longer DI, where an upstroke comes late or the beats before differ. Of beats
        whose DI is nearly the same one counts.
        """
        slope = np.full(len(self.DI), np.nan)
        rows = np.flatnonzero(self.captured)
        apart = list[int]()
        for row in rows[np.argsort(self.DI[rows], kind="stable")]:
            if not apart or self.DI[row] >= self.DI[apart[-1]] + CLOSE:
                apart.append(int(row))
        if len(apart) > 2:
            DI = self.DI[apart]
            slope[rows] = np.interp(self.DI[rows], DI, np.gradient(self.APD[apart], DI))
        return slope

    def report(self) -> str:
        """A few lines for the terminal."""
        n = int(self.captured.sum())
        lines = [f"{n} of {len(self.captured)} beats captured"]
        if n:
            first = int(np.flatnonzero(self.captured)[0])
            lines[0] += (f"; the shortest interval is {self.interval[first]:.4g} ms (DI {self.DI[first]:.4g} ms, APD90 "
                         f"{self.APD[first]:.4g} ms)")
        lost = self.interval[~self.captured]
        if len(lost):
            lines.append(f"capture lost at {_ranges(lost)} ms")
        slope = self.slope
        if np.isfinite(slope).any():
            k = int(np.nanargmax(slope))
            lines.append(f"steepest slope {slope[k]:.3g} at DI {self.DI[k]:.4g} ms")
        return "\n".join(lines)


def _ranges(values: Floats) -> str:
    return f"{values[0]:.4g}" if len(values) == 1 else f"{values[0]:.4g} to {values[-1]:.4g}"


def captured(beats: Beats, reference: Beats) -> NDArray[np.bool_]:
    """Whether each beat (the last row; cells) came after V had come back, and is a beat; see the head of this file."""
    amplitude, APD50 = (np.fmax.reduce(x, axis=None) for x in (reference.amplitude, reference.APD50))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(beats.t90[-2]) & (beats.amplitude[-1] >= 0.6 * amplitude)
                          & (beats.APD50[-1] >= 0.1 * APD50) & np.isfinite(beats.APD90[-1]))


def curve_of(intervals: Floats, beats: Beats, reference: Beats) -> Curve:
    """The curve of early beats: the last one of every cell, each with its interval."""
    order = np.argsort(intervals)
    ok = captured(beats, reference)[order]
    DI = (beats.t_act[-1] - beats.t90[-2])[order]
    return Curve(intervals[order], DI, np.where(ok, beats.APD90[-1][order], np.nan), beats.V_max[-1][order], ok)


def early_beats(beats: Beats, early: NDArray[np.bool_]) -> Beats:
    """The early beats that one cell had, each in a column below the beat before it. ``early``: of all it had."""
    where = np.flatnonzero(early)
    rows = {f.name: getattr(beats, f.name)[-len(early):, 0] for f in fields(Beats)}
    return Beats(**{name: np.stack([row[where - 1], row[where]]) for name, row in rows.items()})


def find_curve(run: Run, bcl: float, reference: Beats) -> Curve:
    """The curve from ``bcl`` (ms) down to the shortest interval that captures, with more beats where it is steep.

    ``run`` takes cells from the onset of the last beat at ``bcl``, whose stimulus is at 0 ms of each train.
    """
    def at(intervals: Floats) -> Curve:
        return curve_of(intervals, run([np.array([0.0, interval]) for interval in intervals]), reference)

    coarse = min(COARSE, bcl / 8)
    fine, steep = FINE * coarse, STEEP * coarse
    curve = at(np.arange(bcl, 0.5 * coarse, -coarse))
    if not curve.captured.any():
        return curve
    good = curve.interval[curve.captured]
    bad = curve.interval[~curve.captured & (curve.interval < good[-1])]
    if len(bad):
        tried: list[Curve] = []

        def comes(intervals: Floats) -> NDArray[np.bool_]:
            tried.append(at(intervals))
            return tried[-1].captured

        boundary(comes, float(bad[-1]), float(good[good > bad[-1]][0]), fine / 4)
        curve = joined(curve, *tried)
    for _ in range(ROUNDS):
        x, y = curve.interval[curve.captured], curve.APD[curve.captured]
        wide = (np.abs(np.diff(y)) > steep) & (np.diff(x) > 2 * fine)
        if not wide.any():
            break
        between = np.concatenate([np.linspace(a, b, 5)[1:-1] for a, b in zip(x[:-1][wide], x[1:][wide], strict=True)])
        curve = joined(curve, at(between))
    return curve


def joined(*curves: Curve) -> Curve:
    """One curve of several; of beats with the same interval the first."""
    columns = [np.concatenate([getattr(c, name) for c in curves])
               for name in ("interval", "DI", "APD", "V_max", "captured")]
    _, kept = np.unique(columns[0], return_index=True)
    return Curve(*(column[kept] for column in columns))


def threshold(run: Callable[[Floats], Beats], most: float, tolerance: float = 0.01) -> float | None:
    """The least stimulus current (uA/cm^2) that makes a beat of a cell at rest; None where even ``most`` makes none.

    ``run`` gives the beats of one cell for each current. A beat is what rises at least half as high, and lasts at least
    half as long (APD90), as what ``most`` makes.
    """
    def fires(currents: Floats) -> NDArray[np.bool_]:
        beats = run(np.append(currents, most))
        with np.errstate(invalid="ignore"):
            full = (beats.amplitude[-1] >= 0.5 * beats.amplitude[-1, -1]) & (
                beats.APD90[-1] >= 0.5 * beats.APD90[-1, -1])
        return np.asarray(full[:-1])

    found = boundary(fires, 0.0, most, tolerance)
    return found[1] if found else None
