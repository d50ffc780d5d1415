"""When the spikes leave that synapses receive: lists, Poisson processes, files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Events
from upstroke.errors import CaseError

Times = NDArray[np.float64]
MOST = 1e8          # spikes of a table: more is a slip of a unit


def trains(events: Events, count: int, end: float, table: int, where: str) -> list[Times]:
    """Ascending times in ms of each of ``count`` synapses, before ``end``.

    ``table`` is the number of the case's table, from 1, the seed of those that give none.

    Raises
    ------
    CaseError for a file that cannot be read, and for more than `MOST` spikes
    """
    if events.times is not None:
        return [_within(np.array(events.times), end)] * count
    if events.file is not None:
        return [_within(times, end) for times in _read(events.file, count, f"{where}.file")]
    assert events.rate is not None                          # the case was checked
    seed = table if events.seed is None else events.seed
    until = end if events.end is None else min(events.end, end)
    expected = events.rate * max(until - events.start, 0.0) * count
    if expected > MOST:
        raise CaseError(f"{where}.rate", f"makes about {expected:.2g} spikes in this run", "check its unit, and count")
    return [poisson(events.rate, events.start, until, seed, k) for k in range(count)]


def poisson(rate: float, start: float, end: float, seed: int, number: int) -> Times:
    """The times in [start, end) of a Poisson process of ``rate`` (1/ms): intervals -log(1 - u) / rate.

    The uniform numbers u are those of Philox 4x64 (Salmon et al. 2011, doi 10.1145/2063384.2063405) under the key
    (seed, number), so a train depends on nothing but these: not on other trains, the device, or the length of the run.
    """
    draw = np.random.Generator(np.random.Philox(key=np.array([seed, number], np.uint64))).random
    times, last = [np.zeros(0)], start
    while last < end:
        mean = rate * (end - last)
        times.append(last + np.cumsum(-np.log1p(-draw(math.ceil(mean + 4.0 * math.sqrt(mean)) + 8))) / rate)
        last = times[-1][-1]
    return _within(np.concatenate(times), end)


def _within(times: Times, end: float) -> Times:
    times = np.sort(times)
    return times[: np.searchsorted(times, end)]


def _read(file: Path, count: int, where: str) -> list[Times]:
    """The times of each synapse, of a file with one column (times) or two (synapse, time)."""
    lines = [(n, line.split("#")[0].replace(",", " ").split())
             for n, line in enumerate(file.read_text(errors="replace").splitlines(), 1)]
    lines = [(n, cells) for n, cells in lines if cells]
    wanted = "a line of it is a time in ms, or the number of a synapse and a time, all lines alike"
    rows = []
    for n, cells in lines:
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            row = []
        if len(row) not in (1, 2) or len(row) != len(lines[0][1]) or not (math.isfinite(row[-1]) and row[-1] >= 0.0):
            raise CaseError(where, f"cannot read line {n} of {file.name}: {' '.join(cells)[:40]!r}", wanted)
        if len(row) == 2 and row[0] not in range(count):
            raise CaseError(where, f"line {n} of {file.name} is for synapse {cells[0]}", "there are " + (
                f"synapses 0 to {count - 1}" if count > 1 else "synapse 0") + "; see count")
        rows.append(row)
    if not rows:
        raise CaseError(where, f"{file.name} holds no times", wanted)
    table = np.array(rows)
    if table.shape[1] == 1:
        return [table[:, 0]] * count
    return [table[table[:, 0] == k, 1] for k in range(count)]
