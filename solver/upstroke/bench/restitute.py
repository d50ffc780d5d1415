"""Restitution experiments: --restitute S1S2, dyn, S1S2f."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upstroke.bench.apstats import ApStatistics
from upstroke.bench.beats import Beats
from upstroke.bench.cells import Cells, Inputs
from upstroke.bench.features import write_table
from upstroke.bench.folder import Folder
from upstroke.bench.options import Options
from upstroke.bench.protocol import paced, row_steps, steps_of
from upstroke.bench.restitution import (
    Curve,
    Protocol,
    curve_of,
    early_beats,
    find_curve,
    read_protocol,
    threshold,
)
from upstroke.bench.statefile import write_state
from upstroke.bench.subject import Subject
from upstroke.bench.table import Tables
from upstroke.errors import OptionError
from upstroke.progress import progress

PRE = 20                    # beats before, where no file says how many
STRONGEST = 100.0           # mV by which stimuli that are tried for the threshold would move V by themselves


def restitute(options: Options, subject: Subject, folder: Folder) -> str:
    """The curve as a table, the beats as openCARP writes them, and a report.

    Raises
    ------
    OptionError : a file that is no experiment, several cells, a cell that no stimulus excites
    """
    if subject.n > 1:
        raise OptionError("--restitute and --num", f"the curve is that of one cell, and there are {subject.n}",
                          "leave out --num, --vary and --csv")
    kind = options["restitute"]
    protocol = read_protocol(options["res-file"], kind) if options.given("res-file") else None
    if protocol is None and kind != "S1S2f":
        raise OptionError(f"--restitute {kind}", "it needs a file that says the intervals",
                          "add --res-file FILE, or take --restitute S1S2f, which finds them")
    if protocol is not None and options.given("bcl"):
        raise OptionError("--bcl and --res-file", "the file says the cycle length", "leave one out")
    for name in ("dt-out", "trace-no"):
        if options.given(name) and not options["res-trace"]:
            raise OptionError(f"--{name} and --restitute", "it does nothing without --res-trace",
                              "add that, or leave it out")
    for name in ("fout", "APstatistics"):
        if options.given(name) and kind == "S1S2f":
            raise OptionError(f"--{name} and --restitute S1S2f", "each early beat has a cell of its own, so there is "
                              "no list of beats; the curve is in restitution.csv", "leave it out, or take S1S2")
    lab = _Lab(options, subject, folder)
    notes = lab.find_stimulus() if protocol is None else []
    if kind == "S1S2f":
        curve = lab.batch(protocol)
    else:
        assert protocol is not None
        curve = lab.one_cell(protocol)
    write_table(folder.file("restitution.csv"), {
        "interval": curve.interval, "DI": curve.DI, "APD90": curve.APD, "V_max": curve.V_max, "slope": curve.slope,
        "captured": curve.captured.astype(float)})
    folder.units |= {"interval": "ms", "DI": "ms", "APD90": "ms", "V_max": "mV", "slope": ""}
    return "\n".join([*notes, curve.report()])


class _Lab:
    """The cell and what stimulates it."""

    def __init__(self, options: Options, subject: Subject, folder: Folder) -> None:
        self.options, self.subject, self.folder = options, subject, folder
        self.current: float | None = None                 # uA/cm^2, where the options leave it open

    def inputs(self, trains: Sequence[ArrayLike], currents: NDArray[np.float64] | None = None) -> Inputs:
        """Stimuli at the times of each train (ms); ``currents``, one for each train, in place of the usual one."""
        if currents is None and self.current is not None:
            currents = np.full(len(trains), self.current)
        return paced(self.options, self.subject.model, self.subject.dt, trains, currents=currents)

    def find_stimulus(self) -> list[str]:
        """Where the user says no stimulus, twice what excites the cell at rest."""
        options = self.options
        if any(options.given(name) for name in ("stim-curr", "stim-volt", "stim-file", "stim-assign")):
            return []

        def run(currents: NDArray[np.float64]) -> Beats:
            cells = self.subject.copies(self.inputs([[0.0]] * len(currents), currents), self.subject.initial)
            cells.advance(steps_of(options["bcl"], self.subject.dt))
            return cells.beats()

        most = STRONGEST / options["stim-dur"]
        found = threshold(run, most)
        if found is None:
            raise OptionError("--stim-curr", f"no stimulus of up to {most:g} uA/cm^2 for {options['stim-dur']:g} "
                              "ms decides whether the cell beats", "give --stim-curr, and --stim-dur if need be")
        self.current = 2.0 * found
        return [f"threshold {found:.4g} uA/cm^2 for {options['stim-dur']:g} ms; stimulated by twice as much"]

    # ------------------------------------------------------------------------------------------------- S1S2f
    def batch(self, protocol: Protocol | None) -> Curve:
        """Every early beat in a cell of its own, from the state at the last beat of the train."""
        options, dt = self.options, self.subject.dt
        bcl, start = options["bcl"] if protocol is None else protocol.bcl, options["stim-start"]
        pre = PRE if protocol is None else max(2, protocol.pre + protocol.beats)
        paced_cell = self._open(self.inputs([start + bcl * np.arange(pre)]), 2)
        self._advance(paced_cell, steps_of(start + pre * bcl, dt))
        reference = paced_cell.beats()
        state = {name: value for name, value in paced_cell.state().items()
                 if name in ("V", *(s.name for s in self.subject.model.states))}
        if options["res-state-vector"]:
            write_state(self.folder.file("S1.json"), self.subject.model, state, paced_cell.t, dt)
        initial = {name: float(value[0]) for name, value in state.items()}

        def run(trains: Sequence[NDArray[np.float64]]) -> Beats:
            cells = self.subject.copies(self.inputs(trains), initial)
            last = max(float(train[-1]) for train in trains) + bcl
            self._advance(cells, steps_of(last, dt))
            return cells.beats()

        if protocol is None:
            curve = find_curve(run, bcl, reference)
        else:
            intervals = np.array(protocol.intervals)
            curve = curve_of(intervals, run([np.array([0.0, interval]) for interval in intervals]), reference)
        if options["res-trace"]:
            trains = [np.array([0.0, interval]) for interval in curve.interval]
            with self._tables(len(trains)) as tables:
                cells = self.subject.copies(self.inputs(trains), initial)
                self._advance(cells, steps_of(curve.interval[-1] + bcl, dt), tables)
        return curve

    # --------------------------------------------------------------------------------------------- S1S2, dyn
    def one_cell(self, protocol: Protocol) -> Curve:
        """All beats in one cell, one after the other, as openCARP does."""
        dt, start = self.subject.dt, self.options["stim-start"]
        times, early = protocol.onsets(start)
        cells = self._open(self.inputs([times]), len(times))
        every = row_steps(self.options, dt)
        stats, restitution = self._files()
        with ApStatistics(stats, restitution, early.tolist()) as statistics, self._tables() as tables:
            ends = [steps_of(t, dt) for t in times[1:]] + [steps_of(times[-1] + protocol.bcl, dt)]
            before_early = {steps_of(t, dt): k + 1 for k, t in enumerate(times) if early[k]}

            def beats() -> Iterator[int]:
                for end in ends:
                    tables.write(cells.advance(end - cells.step, tables.needs, every))
                    cells.raise_if_broken()
                    if cells.step in before_early and self.options["res-state-vector"]:
                        write_state(self.folder.file(f"before_beat_{before_early[cells.step]}.json"),
                                    self.subject.model, cells.state(), cells.t, dt)
                    yield cells.step

            for _ in progress(beats(), ends[-1], dt, 1, show=not self.options["quiet"], wait=1.0):
                pass
            all_beats = cells.beats()
            statistics.close(all_beats)
        reference = early_beats(all_beats, np.arange(len(times)) == max(1, protocol.pre - 1))
        return curve_of(times[early] - times[np.flatnonzero(early) - 1], early_beats(all_beats, early), reference)

    def _tables(self, n: int = 1) -> Tables:
        """The rows of --res-trace, of n cells; nothing without it. openCARP's trace is that of one cell."""
        options, subject, folder = self.options, self.subject, self.folder
        if not options["res-trace"]:
            return Tables(subject.model, subject.dt)
        classic = n == 1 and (folder.classic or options.given("trace-no"))
        return Tables(subject.model, subject.dt, parameters=subject.population.parameters,
                      folder=None if folder.classic else folder.path, cells=n,
                      trace=folder.path if classic else None, number=options["trace-no"])

    def _files(self) -> tuple[Path, Path]:
        options = self.options
        if self.folder.classic or options.given("fout"):
            name = options["fout"] or "BENCH_REG"
            return Path(f"{name}_AP_stats.dat"), Path(f"{name}_APD_restitution.dat")
        return self.folder.file("ap_stats.csv"), self.folder.file("apd_restitution.csv")

    # -------------------------------------------------------------------------------------------------- cells
    def _open(self, inputs: Inputs, beats: int) -> Cells:
        return self.subject.copies(inputs, self.subject.initial, beats)

    def _advance(self, cells: Cells, steps: int, tables: Tables | None = None) -> None:
        span, every = max(1, 500_000 // cells.n), row_steps(self.options, cells.dt)

        def spans() -> Iterator[int]:
            yield 0
            while cells.step < steps:
                record = cells.advance(min(span, steps - cells.step), tables.needs if tables else (), every, cells.n)
                if tables:
                    tables.write(record)
                cells.raise_if_broken()
                yield cells.step

        for _ in progress(spans(), steps, cells.dt, cells.n, show=not self.options["quiet"], wait=1.0):
            pass
