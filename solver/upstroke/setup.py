"""What a run is made of, once it is built and before it takes a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Backend
from upstroke.backend.hines import tree_order
from upstroke.bench.statefile import read_state
from upstroke.bench.svfile import Saved
from upstroke.case import Case, located
from upstroke.case.schema import Cable
from upstroke.case.schema import Membrane as Table
from upstroke.codegen import Kernel, generate
from upstroke.errors import BackendError, DivergenceError, ModelError
from upstroke.ionic import METHODS, initial_state, load_model, rates
from upstroke.ionic.model import Model
from upstroke.ionic.spelling import EVERY, parameters_of
from upstroke.mesh.labels import values_at
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.order import membranes_of_tissue, solve_order
from upstroke.prepace import Beat, paced
from upstroke.space import Curve, Operator, conducting
from upstroke.space.curve import NO_WAVES
from upstroke.step.implicit import check_operator
from upstroke.step.splitting import SPLITTINGS
from upstroke.step.state import State
from upstroke.step.stepper import Stepper
from upstroke.waves import curve_of

CELSIUS = "celsius"    # what models call their temperature
AT_ONCE = 2 ** 16      # nodes that are interpreted together, to spare memory


@dataclass(frozen=True, eq=False)
class Membrane:
    """What the nodes of one membrane table do.

    ``given`` are V and states that do not start as the model says. ``initial`` is where a node starts whose parameters
    are the model's: V, states, Iion and nodal parameters by name. ``notes`` are what the user should know.
    """

    table: Table
    model: Model
    kernel: Kernel
    given: Mapping[str, float]
    initial: dict[str, Any]
    notes: tuple[str, ...] = ()
    beat: Beat | None = None             # the last one of a cell that was paced before

    @property
    def methods(self) -> dict[str, str]:
        """The integration method of V and of every state."""
        return {"V": self.model.v_method} | {state.name: state.method for state in self.model.states}

    def initial_at(self, mesh: Mesh, nodes: NDArray[np.int64], where: str) -> dict[str, Any]:
        """Where these nodes of the mesh start: as ``initial``, with one value per node of what differs.

        Raises
        ------
        MeshError for point data that the mesh lacks, or that have no value at one of the nodes
        """
        phase = self.table.prepace.phase if self.table.prepace is not None else None
        if not self.table.nodal and phase is None:
            return self.initial
        values = {name: values_at(mesh, data, nodes, f"{where}.nodal.{name}")
                  for name, data in self.table.nodal.items()}
        given: Mapping[str, Any] = self.given
        if self.beat is not None and phase is not None:
            given = self.beat.at(values_at(mesh, phase, nodes, f"{where}.prepace.phase"))
        parts = [_start(self.model, {name: v[k:k + AT_ONCE] if np.ndim(v) else v for name, v in given.items()},
                        {name: v[k:k + AT_ONCE] for name, v in values.items()})
                 for k in range(0, max(1, len(nodes)), AT_ONCE)]
        return self.initial | {name: np.concatenate([part[name] for part in parts]) if np.ndim(first) else first
                               for name, first in parts[0].items()}


def _start(model: Model, given: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """V, states and Iion at the start, of which some are given, and the given parameters: numbers or arrays.

    Raises
    ------
    ModelError for names that the model lacks, and values that are not finite
    """
    initial = initial_state(model, given, parameters)
    return {**parameters, **initial, "Iion": rates(model, initial["V"], initial, parameters=parameters)[0]}


def _defaults(model: Model, names: Iterable[str]) -> dict[str, float]:
    """The model's own values of some parameters; of one that it lacks, any."""
    known = {p.name: p.value for p in model.parameters}
    return {name: known.get(name, 0.0) for name in names}


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything a run needs, built and checked, before the first step."""

    case: Case
    backend: Backend
    mesh: Mesh
    operator: Operator                   # in solve order, as the state is
    curves: tuple[Curve, ...]            # of the membranes, where the operator is calibrated
    membranes: tuple[Membrane, ...]      # one per table of the case, one per group of the state
    state: State
    stepper: Stepper
    notes: tuple[str, ...]               # what the user should know
    seconds: dict[str, float]            # what each part of the set-up took


def make_membranes(case: Case, backend: Backend, free: Sequence[Iterable[str]] = ()) -> tuple[Membrane, ...]:
    """The models of the case's membrane tables and their kernels.

    ``free`` are parameters of each table that kernels read from memory, beside ``nodal``, so that other runs with other
    values of them have the same kernels.

    Raises
    ------
    UpstrokeError for mistakes in a model or in the names that a table uses, at the table's place
    """
    membranes = []
    for k, table in enumerate(case.membrane):
        with located(case, "membrane" if len(case.membrane) == 1 else f"membrane.{k}"):
            model = model_of(table, case.cable)
            table = replace(table, nodal=parameters_of(model, table.nodal))
            saved = read_state(table.initial, model) if isinstance(table.initial, Path) else Saved(table.initial)
            given, notes, beat = saved.values, saved.notes, None
            if table.prepace is not None:
                beat, note = paced(model, table.prepace, _start(model, given, {}),
                                   case.time.dt / case.time.reaction_steps, case.coupling.capacitance)
                given, notes = beat.end, (*notes, note)
            more = parameters_of(model, dict.fromkeys(free[k])) if free else {}
            nodal = tuple(dict.fromkeys((*table.nodal, *more)))
            initial = _start(model, given, _defaults(model, nodal))
            kernel = generate(model, backend.target, case.backend.precision, nodal=nodal,
                              follow=SPLITTINGS[case.time.splitting].implicit)
        membranes.append(Membrane(table, model, kernel, given, initial, notes, beat))
    return tuple(membranes)


def model_of(table: Table, cable: Cable | None) -> Model:
    """The model of a membrane table, at the temperature of [cable]."""
    model = load_model(table.model, table.flags, table.parameters, table.method, table.plugins)
    if cable is None or cable.temperature is None or not any(_is_celsius(p.name) for p in model.parameters):
        return model
    parameters = {**table.parameters, f"{EVERY}{CELSIUS}": cable.temperature}
    return load_model(table.model, table.flags, parameters, table.method, table.plugins)


def _is_celsius(name: str) -> bool:
    return name.rpartition(".")[2] == CELSIUS


def temperature_notes(case: Case, membranes: Sequence[Membrane]) -> list[str]:
    """What the user should know of models and plug-ins with states that the temperature changes nothing in."""
    if case.cable is None or case.cable.temperature is None:
        return []
    left: dict[str, None] = {}
    for model in (membrane.model for membrane in membranes):
        base, *plugins = model.name.split(" + ")
        with_states = {s.name.rpartition(".")[0] for s in model.states if s.name not in model.externals}
        warm = {p.name.rpartition(".")[0] for p in model.parameters if _is_celsius(p.name)}
        left |= dict.fromkeys(name for key, name in (("", base), *zip(plugins, plugins, strict=True))
                              if key in with_states - warm)
    if not left:
        return []
    return [f"cable.temperature changes nothing in {', '.join(left)}: no parameter {CELSIUS} there"]


def curves_of(case: Case, mesh: Mesh, membranes: Sequence[Membrane]) -> tuple[tuple[Curve, ...], tuple[str, ...]]:
    """How strongly the waves of each membrane need correction, where the case wants it, and notes.

    A membrane without waves (a passive one) needs none, nor does one that only Purkinje strands, or cells that do not
    conduct, have. Where no membrane has waves there are no curves.

    Raises
    ------
    ModelError for a model without waves, at its table's place, where the case insists
    """
    if case.tissue is None or not case.tissue.corrected(mesh.dim, mesh.grid.stencil if mesh.grid else None):
        return (), ()
    curves, notes = [], []
    regions = [membrane.table.regions for membrane in membranes]
    of_tissue = membranes_of_tissue(mesh, regions, conducting(mesh, case.tissue))
    for k, membrane in enumerate(membranes):
        if k not in of_tissue:
            curves.append(NO_WAVES)
            continue
        with located(case, "membrane" if len(membranes) == 1 else f"membrane.{k}"):
            try:
                curve, note = curve_of(membrane.model, case.time, membrane.initial, C_m=case.tissue.capacitance,
                                       precision=case.backend.precision)
            except (ModelError, DivergenceError, BackendError) as error:
                if case.tissue.waves == "calibrated":
                    raise
                curve, note = NO_WAVES, f"{error.where}: {error.what}, so nothing is calibrated for it"
            curves.append(curve)
            notes.append(note)
    if all(curve is NO_WAVES for curve in curves):
        curves = []
    return tuple(curves), tuple(filter(None, notes))


def node_order(case: Case, operator: Operator, owner: NDArray[np.int64], mesh: Mesh) -> NDArray[np.int64]:
    """(n,) the mesh's number of each node in turn, membrane by membrane: as V is eliminated, where it is solved for
    with the membrane's current, else so that neighbours are near. Of neurons only nodes that take part.

    ``owner`` (nodes,) is the membrane of each node.

    Raises
    ------
    CaseError for an implicit splitting on a mesh with loops
    """
    if mesh.tree is not None:
        solved = np.flatnonzero(mesh.tree.solved)
        return solved[_node_order(case, operator.permuted(solved), owner[solved])]
    return _node_order(case, operator, owner)


def _node_order(case: Case, operator: Operator, owner: NDArray[np.int64]) -> NDArray[np.int64]:
    if not SPLITTINGS[case.time.splitting].implicit:
        return solve_order(owner, operator.stiffness, keep=case.mesh.kind not in ("file", "ventricle", "biventricle"))
    check_operator(operator, case.time.splitting)
    return tree_order(operator.stiffness, owner)


def splitting_notes(case: Case) -> list[str]:
    """What the user should know of a neuron whose reaction and diffusion are split."""
    time = case.time
    if case.cable is None or time.splitting not in ("godunov", "strang") or time.diffusion != "crank_nicolson":
        return []
    return [f"splitting {time.splitting!r} takes the current of an electrode and what flows on along the branches "
            'apart, which makes V swing near it; "staggered", the default with [cable], does not']


def lowest_methods(membranes: Sequence[Membrane]) -> dict[str, str]:
    """The integration method of V and of every state; where membranes differ, the one of the lowest order."""
    every = [item for membrane in membranes for item in membrane.methods.items() if item[1] in METHODS]
    return dict(sorted(every, key=lambda item: -METHODS[item[1]].order))
