"""What a cell with channels does, full and reduced, by the main job: spikes over current, spikes under synapses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from upstroke.case import Case
from upstroke.case.schema import Activation, Events, Output, Probes, Site, Stimulus, Synapse, Watch
from upstroke.reduce.passive import Floats
from upstroke.run import run

THRESHOLD = -20.0                                    # mV, whose upward crossings are spikes
LEVELS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)              # currents, in those that take the soma 20 mV up by its leaks
LASTS = 300.0                                        # ms, of each
DRIVE = 1000.0                                       # ms, of synapses
SETTLE = 200.0                                       # ms before either: cells start where their models do, not at rest
COUNT, RATE = 10, 0.01                               # synapses at a place, and their spikes per ms
OPEN = 2.27                                          # ms: integral of the conductance of an AMPA synapse over its peak
STRENGTHS = (1.0, 1.5, 2.2, 3.3, 5.0, 7.5, 11.0)     # of the drive, until the full cell fires
ENOUGH = 5                                           # spikes
NOTHING: dict[str, Any] = {"stimulus": (), "synapse": (), "voltage_clamp": (), "gap_junction": (), "noise": ()}


@dataclass(frozen=True, eq=False)
class Activity:
    """Pairs are (full, reduced).

    Attributes
    ----------
    currents : (k,) uA into the soma
    rates : (k,) spikes per s each
    weight : mS, of each AMPA synapse at a place, weakest where a place is best heard by the soma
    spikes : ms each, of the soma under the synapses
    V : (2, t) mV, of the soma
    dt : ms
    """

    currents: Floats
    rates: tuple[Floats, Floats]
    weight: Floats
    spikes: tuple[Floats, Floats]
    V: Floats
    dt: float

    @property
    def late(self) -> Floats:
        """(k,) ms: of each spike of the full cell how far the nearest of the reduced one is."""
        full, reduced = self.spikes
        return np.abs(full[:, None] - reduced).min(axis=1) if len(full) and len(reduced) else np.full(len(full), np.inf)


def activity(cases: tuple[Case, Case], sites: tuple[Sequence[Site], Sequence[Site]], transfer: Floats) -> Activity:
    """Both cells under the same currents and synapses.

    Parameters
    ----------
    sites : the same places on both, the soma first
    transfer : (m,) kOhm, of the full cell without channels, from each place to the soma
    """
    unit = 20.0 / transfer[0]
    currents = unit * np.array(LEVELS)
    rates: list[Floats] = []
    for case, places in zip(cases, sites, strict=True):
        found = []
        for current in currents:
            stimulus = Stimulus(site=places[0], total_current=float(current), start=SETTLE, duration=LASTS)
            found.append(len(crossings(_soma(case, places[0], LASTS, stimulus=(stimulus,)), case.time.dt)))
        rates.append(np.array(found) * 1e3 / LASTS)
    # mean conductances that take the soma 25 mV up, with 65 mV to drive, shared by the places
    mean = 25.0 / (65.0 * len(transfer) * transfer)
    for strength in STRENGTHS:
        weight = strength * mean / (COUNT * RATE * OPEN)
        V = [_soma(cases[0], sites[0][0], DRIVE, synapse=_synapses(sites[0], weight))]
        if len(crossings(V[0], cases[0].time.dt)) >= ENOUGH:
            break
    V.append(_soma(cases[1], sites[1][0], DRIVE, synapse=_synapses(sites[1], weight)))
    dt = cases[0].time.dt
    return Activity(currents, (rates[0], rates[1]), weight, (crossings(V[0], dt), crossings(V[1], dt)), np.array(V), dt)


def _synapses(sites: Sequence[Site], weight: Floats) -> tuple[Synapse, ...]:
    return tuple(Synapse(kind="ampa", site=site, count=COUNT, weight=float(w),
                         events=Events(rate=RATE, start=SETTLE, seed=k))
                 for k, (site, w) in enumerate(zip(sites, weight, strict=True), 1))


def _soma(case: Case, soma: Site, lasts: float, **inputs: Any) -> Floats:
    """(t,) mV, at every step from when inputs begin."""
    end = SETTLE + lasts
    case = replace(case, **{**NOTHING, **inputs}, output=Output(picture=False), time=replace(case.time, end=end),
                   watch=Watch(activation=Activation(), probes=Probes(points={"soma": soma}, every=case.time.dt)))
    with TemporaryDirectory() as folder:
        return np.asarray(run(case, Path(folder) / "run").probes()["soma.V"][round(SETTLE / case.time.dt):])


def crossings(V: Floats, dt: float) -> Floats:
    """(k,) ms: when V crosses the threshold upwards, interpolated."""
    k = np.flatnonzero((V[:-1] < THRESHOLD) & (V[1:] >= THRESHOLD))
    return np.asarray(dt * (k + (THRESHOLD - V[k]) / (V[k + 1] - V[k])))
