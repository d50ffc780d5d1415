"""What a run leaves on disk, from the first line of the manifest to the picture, however it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from upstroke.backend import Clock
from upstroke.case import Case, resolved
from upstroke.errors import DivergenceError, Ended, UpstrokeError
from upstroke.observe import ActivationMap, Watchers
from upstroke.observe.maps import make_maps
from upstroke.output.checkpoint import clear_away
from upstroke.output.directory import make_run_directory
from upstroke.output.files import write_json
from upstroke.output.junctions import passage, write_junctions
from upstroke.output.manifest import Status, finish_manifest, start_manifest
from upstroke.output.maps import write_activation
from upstroke.output.render import draw_activation
from upstroke.output.sections import write_sections
from upstroke.output.summary import summarise
from upstroke.parallel import end_job
from upstroke.result import Result
from upstroke.setup import Setup


class Record:
    """The run directory of one run, and the manifest that says how it stands.

    Where processes share a run, the first keeps the record; ``directory`` of the others is None.

    Parameters
    ----------
    goes_on : the manifest of a run that was ended, and goes on in its directory ``out``
    also : what the manifest says beside

    Raises
    ------
    OutputError where the directory cannot be made, or holds files already
    """

    def __init__(self, setup: Setup, out: str | Path | None = None, goes_on: Mapping[str, Any] | None = None,
                 also: Mapping[str, Any] | None = None) -> None:
        self._setup = setup
        self._manifest = start_manifest(resolved(setup.case), setup.backend.describe()) | dict(also or {})
        self._result: Result | None = None
        self.directory: Path | None = None
        if not setup.backend.halo.first:
            return
        if goes_on is None:
            self.directory = make_run_directory(case_name(setup.case), None if out is None else Path(out))
        else:
            assert out is not None
            self.directory = Path(out)
            before = {key: goes_on.get(key) for key in ("start", "end", "status", "timings_s", "commit", "versions")}
            self._manifest["went_on_from"] = [*goes_on.get("went_on_from", []), before]
        write_json(self.directory / "manifest.json", self._manifest)
        if setup.mesh.tree is not None:
            write_sections(self.directory / "sections.csv", setup.mesh.tree)

    @contextmanager
    def closing(self, watchers: Callable[[], Watchers]) -> Iterator[Watchers]:
        """Around the time loop: whatever happens in it, what was seen until then is written."""
        status: Status = "done"
        error, start, opened = "", perf_counter(), None
        try:
            with closing(watchers()) as opened:
                yield opened
        except BaseException as e:
            status = "interrupted" if isinstance(e, KeyboardInterrupt | Ended) else "failed"
            error = str(e) if isinstance(e, UpstrokeError) else repr(e)
            if self._setup.backend.halo.callbacks and not isinstance(e, DivergenceError | Ended):
                end_job(1, error)                       # the others do not know, and wait for this process
            if self.directory is not None:
                e.add_note(f"results until then in {self.directory}")
            raise
        finally:
            self._write(opened, status, error, perf_counter() - start)

    def result(self) -> Result:
        """The finished run; of processes without a record, what they know of it."""
        assert self._result is not None
        return self._result

    def _write(self, watchers: Watchers | None, status: Status, error: str, steps_s: float) -> None:
        setup, folder, notes = self._setup, self.directory, list[str]()
        start = perf_counter()
        activation = None
        if watchers is not None:
            setup.stepper.sync()
            activation = watchers.activation.map()
            if folder is None:
                self._result = Result(setup.case, Path(os.devnull), setup.mesh, activation, setup.state, {}, (), "")
        if folder is None:
            return
        try:
            if watchers is not None and activation is not None:
                maps = make_maps(setup.case.watch.activation.maps, setup.mesh, activation)
                write_activation(folder / "activation.vtu", setup.mesh, activation, maps)
                clock = setup.stepper.clock
                summary = summarise(setup.mesh, activation, watchers.probes, solver_report(clock),
                                    [*setup.notes, *watchers.notes, *bound_notes(clock), *_quiet_notes(watchers)],
                                    watchers.spikes.count if watchers.spikes is not None else None,
                                    watchers.tips.count if watchers.tips is not None else None, maps,
                                    watchers.ecg.ranges if watchers.ecg is not None else None)
                if setup.mesh.purkinje is not None:
                    found = passage(setup.mesh, activation)
                    write_junctions(folder / "junctions.csv", setup.mesh, found)
                    summary["junctions"] = found.summary()
                write_json(folder / "summary.json", summary)
                notes += summary["notes"]
                if status == "done" and setup.case.output.picture:
                    notes += self._draw(activation, folder)
                self._result = Result(setup.case, folder, setup.mesh, activation, setup.state, summary, tuple(notes),
                                      f"{setup.backend} ({setup.backend.choice}), "
                                      f"{clock.step * setup.mesh.n_points / steps_s:.3g} node-steps/s")
                if status == "done":
                    clear_away(folder, all_checkpoints=True)
        finally:
            timings = setup.seconds | {"steps": steps_s} | setup.stepper.seconds | {"output": perf_counter() - start}
            files = sorted(p.name for p in folder.iterdir())
            write_json(folder / "manifest.json",
                       finish_manifest(self._manifest, status, timings, files, notes, error))

    def _draw(self, activation: ActivationMap, folder: Path) -> list[str]:
        """Draw the first beat; the notes of the renderer."""
        if not activation.beats:
            return ["no node was activated, so there is no picture"]
        title = self._setup.case.title or case_name(self._setup.case)
        drawn = draw_activation(self._setup.mesh, activation.activation[0], folder / "activation.png", title)
        return [drawn.note] if drawn.note else []


def case_name(case: Case) -> str:
    """The folder of a case.toml, or the name of another case file."""
    path = Path(case.where("mesh").file).resolve()
    return path.parent.name if path.name == "case.toml" else path.stem


def _quiet_notes(watchers: Watchers) -> tuple[str, ...]:
    """That the run ended before its time."""
    return watchers.quiet.notes() if watchers.quiet is not None else ()


def bound_notes(clock: Clock) -> list[str]:
    """That states were held at the bounds which their model gives them."""
    steps = clock.bounded_steps
    return [f"in {steps:,} steps a state was held at its bound (.lb, .ub of the model)"] if steps else []


def solver_report(clock: Clock) -> dict[str, Any]:
    """Iterations of the linear solver: in all, at most, and on average per solve."""
    return {"solves": clock.solves, "iterations": clock.iterations, "most_iterations": clock.most_iterations,
            "bounded_steps": clock.bounded_steps,
            "mean_iterations": clock.iterations / clock.solves if clock.solves else 0.0}
