"""An ordinary experiment: cells are paced, clamped, stretched or left alone for a while, and looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.apstats import ApStatistics
from upstroke.bench.cells import Cells, Inputs, Record
from upstroke.bench.curves import last_beat
from upstroke.bench.drugs import by_dose
from upstroke.bench.features import Range, calibrate, features, parse_keep, summary, text_table, write_table
from upstroke.bench.folder import Folder, must_be_writable
from upstroke.bench.options import Options
from upstroke.bench.protocol import duration, inputs, onsets, row_steps, steps_of
from upstroke.bench.statefile import write_cells, write_state
from upstroke.bench.steady import Limit
from upstroke.bench.subject import Subject
from upstroke.bench.svfile import write_sv
from upstroke.bench.table import Tables, dumped, units
from upstroke.errors import OptionError
from upstroke.progress import progress

WORK = 200_000            # cell-steps between two looks at the progress
BEATS = 64                # of one cell that are kept until they are written


def experiment(options: Options, subject: Subject, folder: Folder) -> str:
    """Do what the options say; what comes out is in the folder, or where the options say. The report.

    Raises
    ------
    OptionError : options that do not fit the model or each other; DivergenceError where a single cell breaks
    """
    clock, dt = Clock(), subject.dt
    every = row_steps(options, dt)
    keep = parse_keep(options["keep"]) if options.given("keep") else ()
    done_to = inputs(options, subject.model, dt)
    cycle = _cycle(options, dt, every)
    total = cycle.ends[-1] if cycle else duration(options, dt)
    first = _first_row(options, dt, total)
    savings = _savings(options, folder, total, dt)
    if options.given("features"):
        must_be_writable(options["features"])
    cells = subject.cells(done_to, BEATS if subject.n == 1 else 2)
    cells.advance(0)                                         # compiles
    with ExitStack() as stack:
        tables = stack.enter_context(_tables(options, subject, folder, done_to, total // every + 1))
        statistics = stack.enter_context(_statistics(options, folder))
        folder.units |= units(subject.model, tables.columns)
        needs = tuple(dict.fromkeys((*tables.needs, *(cycle.needs(cells) if cycle else ()))))
        clock.ready()
        stops = sorted({first, *(s.step for s in savings), *(cycle.stops if cycle else ())})

        def spans() -> Iterator[int]:
            yield 0
            span = max(every, WORK // cells.n // every * every)
            while cells.step < total and not (cycle and cycle.limit.reached):
                until = min([total, cells.step + span, *(s for s in stops if s > cells.step)])
                shown = cells.step >= first
                begun, steps = perf_counter(), until - cells.step
                record = cells.advance(steps, needs, every)
                clock.count(steps, perf_counter() - begun)
                if shown:
                    tables.write(record if cells.n > 1 else _unbroken(record))
                statistics.see(cells.beats())
                if cells.n == 1 or (cells.broken >= 0).all():
                    cells.raise_if_broken()
                if cycle:
                    cycle.see(cells, record)
                for saving in savings:
                    if saving.step == until:
                        saving.save(subject, cells)
                yield until

        rows_scroll = not options.given("fout") and sys.stdout.isatty()
        for _ in progress(spans(), total, dt, cells.n, show=not (options["quiet"] or rows_scroll), wait=1.0):
            pass
        if cells.step >= first:
            tables.write(cells.now(tables.needs))
        statistics.close(cells.beats())
        for saving in savings:
            if saving.step > cells.step:                     # a steady cell ends early
                saving.save(subject, cells)
    folder.timings |= {"steps": clock.seconds}
    broken = cells.broken[cells.broken >= 0]
    if len(broken):
        folder.notes.append(f"{len(broken)} of {cells.n} cells left the finite numbers, the first at "
                            f"t = {broken.min() * dt:g} ms: take a smaller --dt, or another --method")
    if not folder.classic:
        write_state(folder.file("state.json"), subject.model, cells.state(), cells.t, dt)
    report = [cycle.limit.report()] if cycle else []
    folder.results |= {"limit_cycle": cycle.limit.found()} if cycle else {}
    report += _features(options, subject, folder, cells, keep)
    report += _contributions(options, subject, folder, cells, done_to)
    return "\n".join([*report, *([] if options["quiet"] else [clock.report(cells)])])


# ------------------------------------------------------------------------------------------------------- limit cycles
@dataclass(eq=False)
class _Cycle:
    """Beats as ``--until-steady`` compares them: of one cell all rows of a beat, of many the state at its end."""

    limit: Limit
    begins: list[int]
    ends: list[int]
    rows: list[Record] = field(default_factory=list)

    @property
    def stops(self) -> set[int]:
        return {*self.begins, *self.ends}

    def needs(self, cells: Cells) -> tuple[str, ...]:
        return cells.names if cells.n == 1 else ()

    def see(self, cells: Cells, record: Record) -> None:
        """The rows of a span, which ends where a beat does or before."""
        if cells.step > self.begins[0]:
            self.rows.append(record)
        if cells.step not in self.ends:
            return
        rows = self.rows if cells.n == 1 else [cells.now(cells.names, cells.n)]
        beat = {name: np.concatenate([row.values[name] for row in rows]) for name in cells.names}
        self.limit.see(Record(np.concatenate([row.time for row in rows]), beat))
        self.rows = []


def _cycle(options: Options, dt: float, every: int) -> _Cycle | None:
    if not options.given("until-steady"):
        return None
    beat = steps_of(options["bcl"], dt)
    if beat % every:
        raise OptionError("--until-steady", "beats are compared row by row, and --bcl is no multiple of --dt-out",
                          "choose another --dt-out")
    begins = [int(b) for b in onsets(options, dt)]
    return _Cycle(Limit(options["until-steady"]), begins, [b + beat for b in begins])


# --------------------------------------------------------------------------------------------------------- what is kept
def _first_row(options: Options, dt: float, total: int) -> int:
    """The step of the first row."""
    first = steps_of(options["start-out"], dt)
    if first > total:
        raise OptionError("--start-out", f"{options['start-out']:g} ms is after the end at {total * dt:g} ms",
                          "start earlier, or run longer")
    return first


def _unbroken(record: Record) -> Record:
    """Its rows until V is no number."""
    V = record.values.get("V")
    there = slice(None) if V is None else np.isfinite(V).all(axis=1)
    return Record(record.time[there], {name: column[there] for name, column in record.values.items()})


@dataclass(frozen=True)
class _Saving:
    """A state to save when so many steps are done."""

    step: int
    save: Callable[[Subject, Cells], None]


def _savings(options: Options, folder: Folder, total: int, dt: float) -> list[_Saving]:
    def at(name: str) -> int:
        step = total if options[name] is None else steps_of(options[name], dt)
        if step > total:
            raise OptionError(f"--{name}", f"{options[name]:g} ms is after the end at {total * dt:g} ms",
                              "save earlier, or run longer")
        return step

    found = []
    if options.given("save-file") or options.given("save-time"):
        path = options["save-file"] or Path("a.sv")
        must_be_writable(path)
        found.append(_Saving(at("save-time"), lambda subject, cells: write_cells(
            path, subject.model, cells.state(), cells.t, dt)))
    if options.given("save-ini-file") or options.given("save-ini-time"):
        text = options["save-ini-file"] or Path("singlecell.sv")
        must_be_writable(text)

        def save(subject: Subject, cells: Cells) -> None:
            if text.suffix == ".json":
                write_state(text, subject.model, cells.state(), cells.t, dt)
            else:
                folder.notes += write_sv(text, subject.model, cells.state())

        found.append(_Saving(at("save-ini-time"), save))
    return found


def _tables(options: Options, subject: Subject, folder: Folder, done_to: Inputs, rows: int) -> Tables:
    model = subject.model
    driven = {c.target for c in done_to.channels} & {p.name for p in model.parameters}
    if options.given("trace-no") and not model.traces:
        raise OptionError("--trace-no", f"{model.name} marks nothing with .trace(), so that there is nothing to write",
                          "leave it out: trace.csv has all states, and -u adds currents to it")
    name = options["fout"] or "BENCH_REG"
    dumps = dumped(model, options["imp-sv-dump"], options["plug-sv-dump"])
    binary = options["bin"] or options["validate"] or (dumps and (folder.classic or options.given("fout")))
    place = Path(name) if options.given("fout") or folder.classic else folder.file(name)
    trace = folder.path if folder.classic or options.given("trace-no") else None
    return Tables(
        model, subject.dt, parameters=subject.population.parameters, driven=sorted(driven),
        dumps=dumps,
        folder=None if folder.classic or options["no-trace"] else folder.path, rows=rows,
        table=Path(f"{name}.txt") if options.given("fout") else sys.stdout, heading=sys.stderr,
        binary=place if binary else None, every_state=bool(options["validate"]),
        trace=None if options["no-trace"] else trace, number=options["trace-no"])


def _statistics(options: Options, folder: Folder) -> ApStatistics:
    if options["APstatistics"] and (folder.classic or options.given("fout")):
        return ApStatistics(Path(f"{options['fout'] or 'BENCH_REG'}_AP_stats.dat"))
    return ApStatistics(None if folder.classic else folder.file("ap_stats.csv"))


def _features(options: Options, subject: Subject, folder: Folder, cells: Cells, keep: Sequence[Range]) -> list[str]:
    """The table of the last beat's features, where cells differ or the user wants it, and what it comes to."""
    population, doses = subject.population, subject.doses
    if subject.n == 1 and not (options.given("features") or keep):
        return []
    table = features(cells.beats(), cells.broken, subject.dt, bool(subject.calcium))
    lead: dict[str, NDArray[np.float64]] = {**(doses.columns if doses else {}), **population.columns}
    path = options["features"] or folder.file("features.csv")
    write_table(path, {**lead, **table})
    kept = calibrate(table, keep) if keep else None
    if kept:
        drawn = {name: np.tile(column, subject.n // len(column))[kept.accepted]
                 for name, column in subject.drawn.columns.items()}
        write_table(folder.file("kept.csv"), drawn)          # as --csv reads it
    shown = text_table(by_dose(doses, table)) if doses and doses.count > 1 else summary(population, table, kept)
    return [shown, f"features of every cell in {path}"]


def _contributions(options: Options, subject: Subject, folder: Folder, cells: Cells, done_to: Inputs) -> list[str]:
    """What each current does from the last stimulus to the end, or between the last two upstrokes of a cell that beats
    by itself."""
    if not options["contributions"]:
        return []
    onsets_ms = cells.beats().onset[:, 0]
    begins = [steps_of(t, subject.dt) for t in onsets_ms[np.isfinite(onsets_ms)]]
    stimulated = bool(done_to.starts.any())
    begin, end = (begins[-1], cells.step) if stimulated and begins else (begins[-2:] if len(begins) > 1 else (
        0, cells.step))
    table = last_beat(subject, done_to, begin, end)
    path = folder.file("contributions.csv")
    write_table(path, table)
    return [text_table(table), f"currents from {begin * subject.dt:g} to {end * subject.dt:g} ms in {path}"]


# ---------------------------------------------------------------------------------------------------------------- time
class Clock:
    """What the steps took, as openCARP prints it."""

    def __init__(self) -> None:
        self._start = perf_counter()
        self._setup = 0.0
        self.seconds, self._steps = 0.0, 0
        self._means: list[float] = []

    def ready(self) -> None:
        """Everything is set up."""
        self._setup = perf_counter() - self._start

    def count(self, steps: int, seconds: float) -> None:
        """A span of steps and what it took."""
        self.seconds += seconds
        self._steps += steps
        self._means.append(1e3 * seconds / max(1, steps))

    def report(self, cells: Cells) -> str:
        """All steps, and one: of the quickest span, on average, of the slowest span."""
        if not self._steps:
            return ""
        mean = 1e3 * self.seconds / self._steps
        return "\n".join([
            f"setup time          {self._setup:.6f} s",
            f"main loop time      {self.seconds:.6f} s",
            f"mn/avg/mx loop time {min(self._means):.6f} {mean:.6f} {max(self._means):.6f} ms",
            f"real time factor    {cells.t / 1e3 / self.seconds:.6f}",
            f"cell-steps/s        {cells.n * self._steps / self.seconds:.3g}",
        ])
