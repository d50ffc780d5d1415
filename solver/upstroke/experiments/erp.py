"""``upstroke erp``: the effective refractory period of tissue, by S1-S2 and bisection.

    ERP = the longest interval from the last S1 to S2 at which no wave of S2 comes to the probe

The train S1 is run once. Its state is kept shortly before the earliest S2 and put back for each trial, bit for bit, so
a trial is what `upstroke run` gives with that S2.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from upstroke.case import Case, resolved
from upstroke.case.pulses import Pulses
from upstroke.errors import CaseError, OptionError, did_you_mean
from upstroke.observe.probes import place_probes
from upstroke.observe.quiet import QuietWatcher
from upstroke.output.directory import make_run_directory
from upstroke.output.files import whole_file, write_json
from upstroke.output.manifest import versions
from upstroke.parallel import ranks_of_job
from upstroke.protocol import schedule
from upstroke.record import case_name
from upstroke.run import prepare
from upstroke.setup import Setup
from upstroke.step.stepper import Stepper


@dataclass(frozen=True)
class Trial:
    """One S2: ``interval_ms`` from the last S1; ``delay_ms`` from S2 to its wave at the probe, NaN where none came."""

    interval_ms: float
    delay_ms: float

    @property
    def captured(self) -> bool:
        return bool(np.isfinite(self.delay_ms))


@dataclass(frozen=True)
class Found:
    """What the search gave: no wave at ``erp_ms``, one at ``captured_ms``; trials in the order they were made."""

    erp_ms: float
    captured_ms: float
    s1_delay_ms: float          # from the last S1 to its wave at the probe
    trials: tuple[Trial, ...]
    directory: Path
    notes: tuple[str, ...]

    def report(self) -> str:
        """A few lines for the terminal."""
        rows = [f"{t.interval_ms:13.6g}   {f'{t.delay_ms:9.2f}' if t.captured else '        -'}"
                for t in sorted(self.trials, key=lambda t: t.interval_ms)]
        return "\n".join(["S1-S2 interval   S2 to probe", "           ms            ms", *rows,
                          f"effective refractory period: {self.erp_ms:.6g} ms (a wave at {self.captured_ms:.6g} ms); "
                          f"S1 takes {self.s1_delay_ms:.2f} ms to the probe",
                          *(f"note: {note}" for note in self.notes), f"results in {self.directory}"])


def find_erp(case: Case, shortest: float, longest: float, tolerance: float = 1.0, stimulus: str = "S2",
             probe: str | None = None, out: Path | None = None) -> Found:
    """The effective refractory period of a case's tissue.

    Arguments
    ---------
    shortest, longest : ms, intervals from the last S1 between which it lies
    tolerance : ms, of the result; all times are rounded to whole steps
    stimulus : name of the early stimulus, which has one pulse; all other pulses of the case are before it
    probe : name of the point of [watch.probes] that a wave is to reach; by default the only one
    out : the folder to make; default: runs/<case>-erp

    Raises
    ------
    OptionError, CaseError for a case or intervals that the search cannot be made with; what a run raises
    """
    search = _Search(case, stimulus, probe, shortest, longest, tolerance)
    folder = make_run_directory(f"{case_name(case)}-erp", out)
    low, high = search.low, search.high
    trials = [search.trial(high)]
    if not trials[0].captured:
        raise OptionError("--to", f"no wave of {stimulus} comes to probe {search.probe} at {search.ms(high):g} ms",
                          f"raise it, or the strength of {stimulus}; time.end says for how long a wave is waited for")
    trials.append(search.trial(low))
    if trials[1].captured:
        raise OptionError("--from", f"{stimulus} captures at {search.ms(low):g} ms already", "lower it")
    while high - low > max(1, search.tolerance):
        middle = (low + high) // 2
        trials.append(search.trial(middle))
        low, high = (low, middle) if trials[-1].captured else (middle, high)
    found = Found(search.ms(low), search.ms(high), search.s1_delay, tuple(trials), folder, search.notes)
    _write(found, case, search.probe, tolerance)
    return found


class _Search:
    """The tissue after S1, and trials from there. Intervals are in steps."""

    def __init__(self, case: Case, stimulus: str, probe: str | None, shortest: float, longest: float,
                 tolerance: float) -> None:
        if case.tissue is None:
            raise CaseError("tissue", "upstroke erp is for tissue, and this is a neuron", "give a case with [tissue]")
        if ranks_of_job().size > 1:
            raise CaseError("mpiexec", "upstroke erp runs on one process",
                            "run it without mpiexec")
        self.dt, self._name = case.time.dt, stimulus
        self.low, self.high = round(shortest / self.dt), round(longest / self.dt)
        self.tolerance = int(tolerance / self.dt + 1e-9)
        self.probe = _probe(case, probe)
        self._k, self._last = _early(case, stimulus)
        if not 0 < self.low < self.high:
            raise OptionError("--from and --to", f"{shortest:g} and {longest:g} ms are no interval",
                              'for example --from "150 ms" --to "400 ms"')
        early = case.stimulus[self._k]
        self._wait = case.time.end - early.start
        if self._wait <= early.duration:
            raise CaseError(case.where("time"), f"time.end is {self._wait:g} ms after the start of {stimulus}: too "
                            "soon for a wave to come", "raise time.end")
        assert case.watch.probes is not None
        self._case = case
        self._setup = prepare(self._with(self.high))
        place, = (p for p in place_probes(case.watch.probes, self._setup.mesh) if p.name == self.probe)
        self._places = [(int(self._setup.state.rank[node]), float(w))
                        for node, w in zip(place.nodes, place.weights, strict=True)]
        self.notes = self._setup.notes
        self._after_s1()

    def ms(self, interval: int) -> float:
        """Of a number of steps, without the digits that binary fractions add."""
        return round(interval * self.dt, 9)

    def _with(self, interval: int) -> Case:
        """The case with S2 after so many steps."""
        start = self._last + interval * self.dt
        stimuli = [*self._case.stimulus]
        stimuli[self._k] = replace(stimuli[self._k], start=start)
        end = round((start + self._wait) / self.dt) * self.dt
        return replace(self._case, stimulus=tuple(stimuli), time=replace(self._case.time, end=end))

    def _after_s1(self) -> None:
        """Run S1 and keep the state at the earliest S2."""
        setup, stepper = self._setup, self._setup.stepper
        until = round(self._last / self.dt) + self.low
        times = _waves(setup, stepper, None, until, np.inf, self._places)
        arrived = [t for t in times if t > self._last]
        if not arrived:
            raise OptionError("--from", f"the last S1 has not come to probe {self.probe} after {self.low * self.dt:g} "
                              "ms", "check that S1 captures, raise --from, or take a probe that is nearer")
        self.s1_delay = arrived[0] - self._last
        self._clock = stepper.clock.counts()
        self._memory = [np.array(setup.backend.to_host(array)) for array in _arrays(stepper)]

    def trial(self, interval: int) -> Trial:
        """From the state after S1 until a wave of S2 comes, or none will."""
        setup, case = self._setup, self._with(interval)
        stimuli = schedule(case.stimulus, setup.mesh, case.coupling.surface_to_volume, self.dt)
        stepper = Stepper(setup.operator, setup.state, case.time, case.solver, case.coupling.capacitance,
                          stimuli.renumbered(setup.state.rank), setup.backend)
        for array, value in zip(_arrays(stepper), self._memory, strict=True):
            setup.backend.put(array, value)
        start = case.stimulus[self._k].start
        times = [t for t in _waves(setup, stepper, self._clock, stepper.n_steps, start, self._places) if t > start]
        return Trial(self.ms(interval), times[0] - start if times else np.nan)


def _waves(setup: Setup, stepper: Stepper, counts: dict[str, Any] | None, until: int, after: float,
           places: Sequence[tuple[int, float]]) -> list[float]:
    """When (ms) V at the probe rises through the threshold, up to step ``until``, to the first time later than
    ``after``, or until the tissue is at rest."""
    case, dt, times = setup.case, setup.case.time.dt, list[float]()
    threshold, section = case.watch.activation.threshold, case.watch.stop_when_quiet
    quiet = QuietWatcher(section, setup.state, setup.backend, stepper.stimuli.over(stepper.n_steps * dt), dt) \
        if section is not None else None
    before = np.inf
    for n in stepper.steps((), counts):
        V = sum(w * float(setup.backend.to_host(setup.state.V[k:k + 1])[0]) for k, w in places)
        if before < threshold <= V:
            times.append(dt * (n - (V - threshold) / (V - before)))
        before = V
        if quiet is not None:
            quiet.see(n, n * dt)
        if n == until or (times and times[-1] > after) or (quiet is not None and quiet.at_rest):
            break
    stepper.sync()
    return times


def _arrays(stepper: Stepper) -> list[Any]:
    """All device arrays that a step leaves for the next one."""
    return [*stepper.memory.values(), *(array for pieces in stepper.nodal.values() for _, _, array in pieces)]


def _probe(case: Case, name: str | None) -> str:
    points = case.watch.probes.points if case.watch.probes is not None else {}
    if not points:
        raise CaseError(case.where("watch"), "there is no probe at which a wave of S2 could be seen",
                        'add [watch.probes] with points = { far = ["20 mm"] } and every = "1 ms"')
    if name is None and len(points) > 1:
        raise OptionError("--probe", f"the case has several: {', '.join(points)}",
                          "name the one that a wave is to reach")
    if name is not None and name not in points:
        raise OptionError("--probe", f"the case has no probe {name!r}", did_you_mean(name, points))
    return name or next(iter(points))


def _early(case: Case, name: str) -> tuple[int, float]:
    """Which stimulus is the early one, and when (ms) the last pulse of the others starts."""
    names = {s.name: k for k, s in enumerate(case.stimulus)}
    if name not in names:
        raise OptionError("--stimulus", f"the case has no stimulus {name!r}", did_you_mean(name, filter(None, names)))
    k = names[name]
    pulses = [Pulses.of(s) for s in case.stimulus]
    if pulses[k].total > 1:
        raise CaseError(case.where(f"stimulus.{k}"), f"{name} has {pulses[k].total} pulses",
                        "the stimulus whose interval is sought has one")
    others = [p.onset(p.total - 1) for j, p in enumerate(pulses) if j != k]
    if not others:
        raise CaseError(case.where("stimulus"), f"there is no stimulus before {name}",
                        'add one: name = "S1", with period and count')
    return k, max(others)


def _write(found: Found, case: Case, probe: str, tolerance: float) -> None:
    """``erp.csv``, a row a trial by interval, and ``erp.json``."""
    with whole_file(found.directory / "erp.csv") as part, part.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["interval_ms", "captured", "delay_ms"])
        for t in sorted(found.trials, key=lambda t: t.interval_ms):
            lines.writerow([f"{t.interval_ms:.9g}", int(t.captured), f"{t.delay_ms:.9g}"])
    write_json(found.directory / "erp.json", {
        "erp_ms": found.erp_ms, "captured_ms": found.captured_ms, "tolerance_ms": tolerance, "probe": probe,
        "s1_delay_ms": found.s1_delay_ms, "trials": [asdict(t) for t in found.trials], "case": resolved(case),
        "versions": versions(), "notes": found.notes})
