"""What is known of every beat: measured step by step by ``cells.h``, turned into durations here.

A beat starts where a stimulus does (or, where none ever does, where V rises through a threshold). Its upstroke is where
dV/dt is largest. APDx runs from there to where V has come down by x % of its way from the beat's top to the voltage at
the beat's start; a beat that has come back by 90 % is over and nothing after it counts. Calcium likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Rows that the kernel keeps of a beat, in its order; the first counts the beats that have begun.
KEPT = ("count", "onset", "V_rest", "V_max", "V_min", "dVdt_max", "t_act", "t30", "t50", "t90", "eads",
        "Ca_rest", "Ca_max", "t_Ca_max", "t_Ca50", "t_Ca63", "t_Ca90")
#: Rows that it needs besides while a beat runs.
RUNNING = ("before", "earlier", "Ca_before", "valley", "rising", "low_next")
_TIMES = ("t_act", "t30", "t50", "t90", "t_Ca_max", "t_Ca50", "t_Ca63", "t_Ca90")


@dataclass(frozen=True, eq=False)
class Beats:
    """Beats of cells: (beats, cells), the oldest first, NaN where a cell has none or an event did not come.

    Attributes
    ----------
    number : which beat of its cell it is, from 1 on
    onset : ms, where it starts
    V_rest, V_max, V_min : mV, at its start, at its top, and the lowest until the next beat
    dVdt_max : mV/ms, the stimulus included
    t_act : ms, the end of the step of dVdt_max
    t30, t50, t90 : ms, when V has come back by 30, 50 and 90 %
    eads : rises of V by more than 2 mV, later than 100 ms after the upstroke, before 90 % are back
    Ca_rest, Ca_max : mM (the unit of the model's calcium), lowest before its rise, and highest
    t_Ca_max, t_Ca50, t_Ca63, t_Ca90 : ms, its top, and when it has come back by so much
    """

    number: Floats
    onset: Floats
    V_rest: Floats
    V_max: Floats
    V_min: Floats
    dVdt_max: Floats
    t_act: Floats
    t30: Floats
    t50: Floats
    t90: Floats
    eads: Floats
    Ca_rest: Floats
    Ca_max: Floats
    t_Ca_max: Floats
    t_Ca50: Floats
    t_Ca63: Floats
    t_Ca90: Floats

    @property
    def APD30(self) -> Floats:
        """ms"""
        return self.t30 - self.t_act

    @property
    def APD50(self) -> Floats:
        """ms"""
        return self.t50 - self.t_act

    @property
    def APD90(self) -> Floats:
        """ms"""
        return self.t90 - self.t_act

    @property
    def triangulation(self) -> Floats:
        """APD90 - APD30, ms"""
        return self.t90 - self.t30

    @property
    def amplitude(self) -> Floats:
        """V_max - V_rest, mV"""
        return self.V_max - self.V_rest

    @property
    def DI(self) -> Floats:
        """The diastolic interval after each beat, to the next upstroke, ms; NaN after the last."""
        after = np.vstack([self.t_act[1:], np.full((1, self.t_act.shape[1]), np.nan)])
        return after - self.t90

    @property
    def CaT_amplitude(self) -> Floats:
        """Ca_max - Ca_rest"""
        return self.Ca_max - self.Ca_rest

    @property
    def CaT_tau(self) -> Floats:
        """ms from the top of calcium until 1/e of its rise is left"""
        return self.t_Ca63 - self.t_Ca_max

    @property
    def CaTD50(self) -> Floats:
        """ms from the upstroke until calcium has come back by half"""
        return self.t_Ca50 - self.t_act

    @property
    def CaTD90(self) -> Floats:
        """ms from the upstroke until calcium has come back by 90 %"""
        return self.t_Ca90 - self.t_act

    def of(self, cell: int) -> Beats:
        """The beats of one cell."""
        return Beats(**{f.name: getattr(self, f.name)[:, cell:cell + 1] for f in fields(self)})


def beats_of(running: Floats, kept: Floats) -> Beats:
    """The beats from what the kernel keeps: the one that runs (quantities, cells), and a ring of those before it.

    Arguments
    ---------
    kept : (kept, quantities, cells); beat number k of a cell is in row (k - 1) % kept
    """
    count, ring = running[0].astype(int), len(kept)
    cells = np.arange(running.shape[1])
    rows = []
    for back in range(ring, 0, -1):
        number = count - back                                      # of the beat, from 1 on
        there = number >= 1
        row = kept[np.where(there, (number - 1) % ring, 0), :, cells].T
        rows.append(np.where(there, row, np.nan))
    rows.append(np.where(count >= 1, running[:len(KEPT)], np.nan))
    table = dict(zip(KEPT, np.stack(rows, axis=1), strict=True))
    for name in _TIMES:
        table[name] = np.where(table[name] < 0, np.nan, table[name])
    return Beats(number=table.pop("count"), **table)
