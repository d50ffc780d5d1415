"""The main job: a case in, results out. Read `run` downwards."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

from upstroke.case import Case, load_case, located
from upstroke.checkpoint import Checkpoint, Saver, restore
from upstroke.errors import CaseError, OutputError
from upstroke.mesh import build_mesh, with_purkinje
from upstroke.mesh.order import lost_cells_notes, membrane_of_nodes, table_of_cells
from upstroke.observe import check_watch, open_watchers
from upstroke.output.checkpoint import clear_away, newest_checkpoint
from upstroke.output.manifest import read_manifest
from upstroke.output.vtkhdf import VtkHdfSeries
from upstroke.parallel import open_shared, ranks_of_job, require_shareable
from upstroke.progress import progress
from upstroke.protocol import place_conductances, schedule
from upstroke.record import Record
from upstroke.result import Result
from upstroke.setup import (
    Setup,
    curves_of,
    lowest_methods,
    make_membranes,
    node_order,
    splitting_notes,
    temperature_notes,
)
from upstroke.space import coarse_notes, conducting, discretise, inert_notes
from upstroke.step.diffusion import require_method
from upstroke.step.state import State
from upstroke.step.stepper import Stepper


def prepare(case: Case, like: Setup | None = None, free: Sequence[Iterable[str]] = (),
            stepping: type[Stepper] = Stepper) -> Setup:
    """Build and check all that `case` asks for; nothing is written and no step is taken.

    ``like`` is a run with the same [mesh], [time] and [backend], which share what is equal; ``free`` as in
    `make_membranes`; ``stepping`` says who takes the steps.
    """
    with located(case):
        clock, ranks = _Clock(), ranks_of_job()
        require_shareable(case, ranks)
        backend = like.backend if like else open_shared(case.backend, ranks)                     # who computes
        require_method(case.solver.method, backend)
        clock("backend")
        membranes = like.membranes if like and like.case.membrane == case.membrane else \
            make_membranes(case, backend, free)                             # what each node does
        clock("model")
        mesh = like.mesh if like else with_purkinje(build_mesh(case.mesh, case.cable), case.purkinje, case.tissue)
        clock("mesh")
        regions = [table.regions for table in case.membrane]
        curves, curve_notes = curves_of(case, mesh, membranes)              # what waves need on coarse meshes
        clock("curves")
        cells = table_of_cells(mesh, regions, "membrane", "membrane")
        operator = discretise(mesh, case.coupling, curves, cells)           # how neighbours couple
        clock("operator")
        owner = membrane_of_nodes(mesh, regions, conducting(mesh, case.coupling))
        order = node_order(case, operator, owner, mesh)
        if case.time.diffusion == "explicit":
            operator = replace(operator, eigenvalue_bound=operator.largest_eigenvalue)
        order = ranks.share(order, owner, operator.stiffness)               # this process's nodes
        operator = ranks.local(operator, order)
        clock("order")
        nodes = [order[owner[order] == k] for k in range(len(membranes))]
        state = State([(m.kernel, m.initial_at(mesh, nodes[k], f"membrane.{k}"), len(nodes[k]))
                       for k, m in enumerate(membranes)], backend, order, mesh.n_points,
                      mesh.tree.known_at if mesh.tree is not None else None)
        stimuli = schedule(case.stimulus, mesh, case.coupling.surface_to_volume, case.time.dt)   # what is done to it
        conductances = place_conductances(case, mesh)
        stepper = stepping(operator, state, case.time, case.solver, case.coupling.capacitance,
                           stimuli.renumbered(state.rank), backend, conductances.renumbered(state.rank))
        clock("compile")
        check_watch(case.watch, mesh, state.names, case.time.dt, case.tissue)                    # what we look at
    notes = (*backend.notes, *mesh.notes, *(note for m in membranes for note in m.notes), *curve_notes,
             *inert_notes(mesh, case.coupling), *coarse_notes(mesh, case.coupling, curves, cells),
             *lost_cells_notes(mesh, regions, owner), *splitting_notes(case),
             *temperature_notes(case, membranes), *stepper.notes(lowest_methods(membranes)))
    return Setup(case, backend, mesh, operator, curves, membranes, state, stepper, notes, clock.seconds)


def run(case: Case | str | Path | dict[str, Any], out: str | Path | None = None, *, overrides: tuple[str, ...] = (),
        show_progress: bool = False) -> Result:
    """Run a case and leave a run directory.

    Parameters
    ----------
    case : a case, a path of a case file or folder, or the tables of a case as a dictionary
    out : the run directory; by default runs/<name of the case>, numbered where that exists
    overrides : "table.key=value" changes of the case, as after ``--set``
    show_progress : draw a progress bar on stderr

    Raises
    ------
    UpstrokeError: what is wrong, where, and what to do; results written until then stay readable
    """
    if not isinstance(case, Case):
        case = load_case(case, overrides=overrides)
    elif overrides:
        raise CaseError("overrides", "this case is built already", "give the overrides to load_case")
    setup = prepare(case)
    record = Record(setup, out)                                             # from here on, files exist
    return _steps(setup, record, None, show_progress)


def resume(directory: str | Path, *, show_progress: bool = False, device: str | None = None) -> Result:
    """Go on with a run that was ended, from its newest checkpoint, in its directory; as if it had never been ended.

    ``device`` takes the place of the case's ``backend.device``.

    Raises
    ------
    OutputError for a directory that holds no such run, or no checkpoint; and all that `run` raises
    """
    directory, ranks = Path(directory), ranks_of_job()
    manifest = read_manifest(directory)
    if manifest["status"] == "done":
        raise OutputError(str(directory), "this run is done", "its results are complete")
    checkpoint = newest_checkpoint(directory)
    if ranks.first:
        clear_away(directory)
    setup = prepare(load_case(manifest["case"], overrides=(f"backend.device={device}",) if device else ()))
    setup = replace(setup, notes=(*checkpoint.notes, *setup.notes))
    return _steps(setup, Record(setup, directory, goes_on=manifest), checkpoint, show_progress)


def _steps(setup: Setup, record: Record, checkpoint: Checkpoint | None, show_progress: bool) -> Result:
    """The time loop."""
    case, stepper, dt = setup.case, setup.stepper, setup.case.time.dt
    with record.closing(lambda: open_watchers(case.watch, setup.mesh, setup.state, setup.backend, dt, record.directory,
                                              tissue=case.tissue, steps=stepper.n_steps, series=VtkHdfSeries,
                                              quiet_after=stepper.stimuli.over(case.time.end))) as watchers:
        after = restore(setup, watchers, checkpoint) if checkpoint is not None else None
        saver = Saver(setup, watchers, record.directory)
        steps = progress(stepper.steps(watchers.stages, after), stepper.n_steps, dt, setup.mesh.n_points,
                         show_progress and setup.backend.halo.first)
        with saver.listening(), closing(steps):                             # the bar ends before an error is told
            for n in steps:
                watchers.see(n, n * dt)
                saver.see(n)
                if watchers.at_rest:
                    break
    return record.result()


class _Clock:
    """Seconds between calls, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def __call__(self, name: str) -> None:
        now = perf_counter()
        self.seconds[name], self._last = now - self._last, now


class _CallableModule(ModuleType):
    """`upstroke.run` names this module and its main function: calling the one calls the other."""

    def __call__(self, *args: Any, **kwargs: Any) -> Result:
        return run(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
