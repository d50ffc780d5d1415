"""Several runs of one mesh as one run: copies of it side by side, so that each stage of a step is one launch for all.

What each of them leaves is what it leaves alone, in a directory of its own. Read `run_together` downwards.

Alike are runs of one mesh, model, numerics and [watch]. Parameters, initial states, stimuli and conductivities may
differ: parameters become nodal, and each copy has its own block of the operator. Nothing couples two copies: explicit
diffusion gives the bits of a single run, direct solvers and nodal parameters those but for rounding. Iterations are
taken for all copies together, to a tolerance that leaves none less exact than alone: with rho_b the sum of squares and
T_b the trace of copy b, a solve alone stops at rho_b <= tol^2 T_b, which follows from sum rho <= tol^2 min(T).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from upstroke.backend import Stage
from upstroke.case import Case
from upstroke.case.schema import Membrane, Solver
from upstroke.errors import DivergenceError, UpstrokeError
from upstroke.observe import open_watchers
from upstroke.observe.activation import ActivationOfCopy, ActivationWatcher
from upstroke.output.vtkhdf import VtkHdfSeries
from upstroke.record import Record
from upstroke.result import Result
from upstroke.run import prepare
from upstroke.setup import Setup
from upstroke.space import Operator
from upstroke.step.copies import part_of_whole, whole_operator, whole_state, whole_stimuli
from upstroke.step.diffusion import require_stable
from upstroke.step.state import State
from upstroke.step.stepper import Stepper

#: Nodes of all together, where nothing else is asked for: what keeps a large GPU busy, and what a core's cache holds.
NODES = {"cuda": 2 ** 20, "cpu": 2 ** 14}
SHARE = 0.25              # of a device's free memory that they may take
BYTES = 4                 # memory of a run by that of its state and its matrices: work space, and the copies being made


class Parted(Exception):
    """Runs that cannot go on together. ``parts`` are those that may, by their numbers in the batch."""

    def __init__(self, parts: Sequence[Sequence[int]]) -> None:
        super().__init__(parts)
        self.parts = tuple(tuple(part) for part in parts if part)


def halves(numbers: Sequence[int]) -> list[list[int]]:
    """Two parts of nearly one length."""
    middle = len(numbers) // 2
    return [list(numbers[:middle]), list(numbers[middle:])]


# ------------------------------------------------------------------------------------------------ what is alike
def why_alone(case: Case) -> str:
    """Why a run cannot be one of several; empty where it can."""
    found = {
        "neurons": case.cable is not None,
        "Purkinje trees": bool(case.purkinje),
        f'time.splitting = "{case.time.splitting}"': case.time.splitting in ("implicit", "staggered"),
        f'solver.method = "{case.solver.method}"': case.solver.method in ("petsc", "scipy", "cupyx"),
        "watch.stop_when_quiet": case.watch.stop_when_quiet is not None,
        "watch.spikes with several membranes": case.watch.spikes is not None and len(case.membrane) > 1,
        "watch.ecg with several membranes": case.watch.ecg is not None and len(case.membrane) > 1,
        "output.checkpoint_every": case.output.checkpoint_every is not None,
        "output.time_limit": case.output.time_limit is not None,
    }
    return next((what for what, there in found.items() if there), "")


def common(case: Case) -> str:
    """What runs that go together share, as text: all of the case but values that may differ."""
    assert case.tissue is not None            # neurons run alone
    plain = replace(
        case, membrane=tuple(_without_values(table) for table in case.membrane), stimulus=(), title="", places={},
        tissue=replace(case.tissue, conductivity=(), surface_to_volume=1.0), output=replace(case.output, picture=False))
    return repr(plain)


def _without_values(table: Membrane) -> Membrane:
    """What decides which kernel the table has."""
    plugins = table.plugins if isinstance(table.plugins, tuple) else {
        name: {key: value for key, value in given.items() if key == "plugin"} for name, given in table.plugins.items()}
    return replace(table, parameters={}, plugins=plugins, nodal=dict.fromkeys(table.nodal, ""), initial={},
                   prepace=None)


def differing(tables: Sequence[Membrane]) -> list[str]:
    """The parameters that do not have one value in all tables, by the names they are given there."""
    given = [_parameters(table) for table in tables]
    names = dict.fromkeys(name for own in given for name in own)
    return [name for name in names if any(own.get(name) != given[0].get(name) for own in given)]


def _parameters(table: Membrane) -> dict[str, Any]:
    plugins = table.plugins if isinstance(table.plugins, dict) else {}
    return {**table.parameters, **{f"{name}.{key}": value for name, own in plugins.items()
                                   for key, value in own.items() if key != "plugin"}}


# ------------------------------------------------------------------------------------------------------ the run
def run_together(cases: Sequence[Case], out: Sequence[Path], most: int | None = None) -> list[Result]:
    """Run cases that have the same `common`, each into a directory of its own.

    ``most`` is how many may go together; None: as many as pay (`NODES`) and fit into a device's memory.

    Raises
    ------
    Parted where they cannot: one is wrong in itself, they are too many, or one left the finite numbers. What lies in
    ``out`` then is of no use.
    """
    setups, stepper, states = _prepare(cases, most)
    names = [path.name for path in out]
    also = {"batch": {"runs": names, "nodes": stepper.state.n,
                      "shared": "steps and their seconds, the solver's iterations"}}
    records = [Record(setup, path, also=also) for setup, path in zip(setups, out, strict=True)]
    try:
        _steps(setups, stepper, records)
    except DivergenceError:
        broken = [b for b, state in enumerate(states) if state.first_broken() is not None]
        if not 0 < len(broken) < len(cases):
            raise Parted(halves(range(len(cases)))) from None
        rest = [b for b in range(len(cases)) if b not in broken]
        raise Parted([*([b] for b in broken), *halves(rest)]) from None
    return [record.result() for record in records]


def _prepare(cases: Sequence[Case], most: int | None) -> tuple[list[Setup], Stepper, list[State]]:
    """The set-up of each run, whose state is a part of the whole, and who steps the whole."""
    free = [differing(tables) for tables in zip(*(case.membrane for case in cases), strict=True)]
    setups: list[Setup] = []
    wrong: list[int] = []
    for b, case in enumerate(cases):
        try:
            setups.append(prepare(case, setups[0] if setups else None, free, _OneOfMany))
        except UpstrokeError:
            wrong.append(b)                       # it says why when it runs alone
            continue
        if len(setups) == 1 and len(cases) > (fit := _fitting(setups[0], most)):
            raise Parted([range(k, min(k + fit, len(cases))) for k in range(0, len(cases), fit)])
    if wrong:
        raise Parted([*([b] for b in wrong), [b for b in range(len(cases)) if b not in wrong]])
    _require_one_kernel(setups)
    first, own = setups[0], [setup.state for setup in setups]
    time, tissue = first.case.time, first.case.coupling
    whole = whole_state(own, first.backend)
    operators = [setup.operator for setup in setups]
    solver = replace(first.case.solver, tolerance=first.case.solver.tolerance * math.sqrt(_least_share(operators)))
    stepper = Stepper(whole_operator(operators, own), whole, time, solver,
                      tissue.capacitance, whole_stimuli([setup.stepper.stimuli for setup in setups], own),
                      first.backend)
    states = [part_of_whole(whole, state, b) for b, state in enumerate(own)]
    return [replace(setup, state=state, stepper=stepper) for setup, state in zip(setups, states, strict=True)], \
        stepper, states


class _OneOfMany(Stepper):
    """The steps of one run, which are taken for all together."""

    def _build(self, operator: Operator, solver: Solver, C_m: float) -> list[Stage]:
        if self._time.diffusion == "explicit":
            require_stable(operator, self._time.dt)
        return []


def _least_share(operators: Sequence[Operator]) -> float:
    """What a copy has at least of the trace of M + c K, for any c > 0."""
    sums = [[float(operator.mass.diagonal().sum()), float(operator.stiffness.diagonal().sum())]
            for operator in operators]
    return min(min(column) / sum(column) for column in zip(*sums, strict=True) if any(column))


def _fitting(setup: Setup, most: int | None) -> int:
    """How many runs like this one may go together."""
    if most is not None:
        return most
    fit, memory = NODES[setup.backend.name] // setup.mesh.n_points, setup.backend.memory()
    if memory is not None:
        matrices = setup.operator.stiffness.nnz * 8 + setup.operator.mass.nnz * 8
        fit = min(fit, int(SHARE * memory[1] / (BYTES * (setup.state.nbytes + matrices))))
    return max(fit, 1)


def _require_one_kernel(setups: Sequence[Setup]) -> None:
    """Raise Parted where values decide what is computed, and do so in unlike ways."""
    alike = defaultdict(list)
    for b, setup in enumerate(setups):
        sizes = tuple(group.end - group.begin for group in setup.state.groups)
        alike[sizes, tuple(membrane.kernel.source for membrane in setup.membranes)].append(b)
    if len(alike) > 1:
        raise Parted(list(alike.values()))


def _steps(setups: Sequence[Setup], stepper: Stepper, records: Sequence[Record]) -> None:
    """The time loop."""
    backend, dt, watch = setups[0].backend, setups[0].case.time.dt, setups[0].case.watch
    activation = ActivationWatcher(watch.activation, stepper.state, backend, dt, copies=len(setups))
    maps = cache(activation.maps)
    with ExitStack() as stack:
        watchers = [stack.enter_context(record.closing(partial(
            open_watchers, watch, setup.mesh, setup.state, backend, dt, record.directory, tissue=setup.case.tissue,
            steps=stepper.n_steps, series=VtkHdfSeries, activation=ActivationOfCopy(activation, maps, b))))
            for b, (setup, record) in enumerate(zip(setups, records, strict=True))]
        stages = (activation.stage, *(stage for own in watchers for stage in own.stages))
        for n in stepper.steps(stages):
            activation.see(n, n * dt)
            for own in watchers:
                for watcher in own.others:
                    watcher.see(n, n * dt)
