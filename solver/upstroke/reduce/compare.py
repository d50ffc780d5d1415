"""Reduced beside full: impedances, step responses by the main job, and what a step takes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np

from upstroke.case import Case
from upstroke.case.schema import (
    Activation,
    MorphologyMesh,
    NetworkMesh,
    Output,
    Population,
    Probes,
    SectionsMesh,
    Site,
    Stimulus,
    Watch,
)
from upstroke.reduce.activity import NOTHING, Activity, activity
from upstroke.reduce.fit import FREQUENCIES
from upstroke.reduce.neuron import Neuron
from upstroke.reduce.passive import Complex, Floats, Passive
from upstroke.run import prepare, run

STEP = 10.0             # mV, what the step of current comes to where it flows in
SPAN = 5.0              # time constants that a step lasts
SETTLE = 8.0            # time constants before it, where rest is not the same everywhere
REPEATS = 5             # of each, in turn, for the speed
TIMED = 4000            # steps of a repeat
COPIES = 512            # of a cell in a population
TOGETHER = 40           # steps of a repeat of it


@dataclass(frozen=True, eq=False)
class Cell:
    """A case, its matrix and membranes, and the places that are compared."""

    case: Case
    neuron: Neuron
    sites: tuple[Site, ...]

    @property
    def passive(self) -> Passive:
        return self.neuron.passive

    @property
    def nodes(self) -> list[int]:
        return [int(node) for s in self.sites for node in self.passive.tree.nodes_at(s, "")]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What the report tells. Pairs are (full, reduced).

    Attributes
    ----------
    names : of the places; the first is the soma
    impedance : (f, m, m) kOhm each, [:, i, j]: V at i for a current at j
    time_constant : ms
    rest : (m,) mV each
    steps : (place of the current, times, change of V of the full cell (m, t), of the reduced one), with the current
        from 0 ms
    compartments : with membrane
    seconds : of a step, on the clock
    of_many : seconds of a processor that a step takes for each of the cells of a population
    activity : of cells with channels
    """

    names: tuple[str, ...]
    impedance: tuple[Complex, Complex]
    time_constant: tuple[float, float]
    rest: tuple[Floats, Floats]
    steps: tuple[tuple[int, Floats, Floats, Floats], ...]
    compartments: tuple[int, int]
    seconds: tuple[float, float]
    of_many: tuple[float, float]
    activity: Activity | None

    @property
    def of_steady(self) -> Floats:
        """(f, m, m) |Z_r - Z| / Z(0)."""
        full, reduced = self.impedance
        return np.asarray(np.abs(reduced - full) / np.abs(full[0]))

    @property
    def of_itself(self) -> Floats:
        """(f, m, m) |Z_r - Z| / |Z|."""
        full, reduced = self.impedance
        return np.asarray(np.abs(reduced - full) / np.abs(full))

    @property
    def in_time(self) -> list[Floats]:
        """Of each step, (m,): the largest difference of V at each place, as a part of its deflection there."""
        return [np.abs(b - a).max(axis=1) / np.abs(a).max(axis=1) for _, _, a, b in self.steps]


def compare(full: Cell, reduced: Cell, names: Sequence[str]) -> Comparison:
    """Both cells at the same places: by their matrices, and by the main job."""
    pair = (full, reduced)
    Z = tuple(cell.passive.impedance(cell.nodes, FREQUENCIES)[:, cell.nodes] for cell in pair)
    inside = [k for k, node in enumerate(full.nodes) if full.passive.tree.area[node] > 0.0]   # where a current can go
    at = dict.fromkeys([inside[0], min(inside, key=lambda k: abs(Z[0][0, inside[0], k]))])
    steps = tuple(_step(pair, k, STEP / abs(Z[0][0, k, k])) for k in at)
    tau = tuple(cell.passive.time_constant for cell in pair)
    return Comparison(tuple(names), (Z[0], Z[1]), (tau[0], tau[1]),
                      (full.neuron.rest[full.nodes], reduced.neuron.rest[reduced.nodes]), steps,
                      (_alive(full), _alive(reduced)), _seconds(full.case, reduced.case),
                      (_of_many(full.case), _of_many(reduced.case)),
                      activity((full.case, reduced.case), (full.sites, reduced.sites), np.abs(Z[0][0, 0]))
                      if full.neuron.channels else None)


def _alive(cell: Cell) -> int:
    return int((cell.passive.tree.area > 0.0).sum())


def _step(pair: tuple[Cell, Cell], at: int, current: float) -> tuple[int, Floats, Floats, Floats]:
    """A current (uA) from 0 ms at one place, V at all, by the main job."""
    dt, tau, active = pair[0].case.time.dt, pair[0].passive.time_constant, bool(pair[0].neuron.channels)
    uneven = active or np.ptp(pair[0].passive.reversal) > 0.0
    wait, last = (math.ceil(span * tau / dt) for span in (SETTLE if uneven else 0.0, SPAN))
    found = []
    for cell in pair:
        stimulus = Stimulus(site=cell.sites[at], total_current=current, start=wait * dt, duration=last * dt)
        points: dict[str, Any] = {f"p{k}": site for k, site in enumerate(cell.sites)}
        membranes = tuple(table if active else replace(table, initial={}) for table in cell.case.membrane)
        case = replace(cell.case, membrane=membranes, **{**NOTHING, "stimulus": (stimulus,)},
                       output=Output(picture=False),
                       watch=Watch(activation=Activation(), probes=Probes(points=points, every=dt)),
                       time=replace(cell.case.time, end=(wait + last) * dt))
        with TemporaryDirectory() as folder:
            probes = run(case, Path(folder) / "run").probes()
        V = np.array([probes[f"p{k}.V"][wait:] for k in range(len(cell.sites))])
        found.append(V - V[:, :1])
    return at, np.asarray(dt * np.arange(last + 1), np.float64), found[0], found[1]


def _seconds(full: Case, reduced: Case) -> tuple[float, float]:
    """Wall seconds of a time step of each on one thread, medians of repeats in turn; only the steps are timed."""
    taken: tuple[list[float], list[float]] = ([], [])
    cases = [replace(case, watch=Watch(), **NOTHING, backend=replace(case.backend, threads=1),
                     time=replace(case.time, end=TIMED * case.time.dt)) for case in (full, reduced)]
    for _ in range(REPEATS):
        for case, seconds in zip(cases, taken, strict=True):
            stepper = prepare(case).stepper
            start = perf_counter()
            for _ in stepper.steps():
                pass
            seconds.append((perf_counter() - start) / stepper.n_steps)
    return statistics.median(taken[0]), statistics.median(taken[1])


def _of_many(case: Case) -> float:
    """Processor seconds of a time step for each of many copies of a cell in one run, on one thread; only the steps are
    timed."""
    assert isinstance(case.mesh, MorphologyMesh | SectionsMesh)
    cells = NetworkMesh(population=(Population(name="cell", cell=replace(case.mesh, regions={}), count=COPIES),),
                        regions=case.mesh.regions)
    many = replace(case, mesh=cells, watch=Watch(), **NOTHING, backend=replace(case.backend, threads=1),
                   time=replace(case.time, end=REPEATS * TOGETHER * case.time.dt))
    steps = prepare(many).stepper.steps()
    taken = []
    for _ in range(REPEATS):
        start = process_time()
        for _ in islice(steps, TOGETHER):
            pass
        taken.append((process_time() - start) / TOGETHER / COPIES)
    return statistics.median(taken)
