"""What a run is made of, once it is built and before it takes a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upstroke.backend import Backend
from upstroke.case import Case, located
from upstroke.codegen import Kernel, generate
from upstroke.ionic import METHODS, initial_state, load_model, rates
from upstroke.ionic.model import Model
from upstroke.mesh.mesh import Mesh
from upstroke.space import Operator
from upstroke.step import State, Stepper


@dataclass(frozen=True, eq=False)
class Membrane:
    """What the nodes of one membrane table do, and where they start: values by name, Iion among them."""

    model: Model
    kernel: Kernel
    initial: dict[str, float]

    @property
    def methods(self) -> dict[str, str]:
        """The integration method of V and of every state."""
        return {"V": self.model.v_method} | {state.name: state.method for state in self.model.states}


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything a run needs, built and checked, before the first step."""

    case: Case
    backend: Backend
    mesh: Mesh
    operator: Operator                   # in solve order, as the state is
    membranes: tuple[Membrane, ...]      # one per table of the case, one per group of the state
    state: State
    stepper: Stepper
    notes: tuple[str, ...]               # what the user should know
    seconds: dict[str, float]            # what each part of the set-up took


def make_membranes(case: Case, backend: Backend) -> tuple[Membrane, ...]:
    """The models of the case's membrane tables and their kernels.

    Raises
    ------
    UpstrokeError for mistakes in a model or in the names that a table uses, at the table's place
    """
    membranes = []
    for k, table in enumerate(case.membrane):
        with located(case, "membrane" if len(case.membrane) == 1 else f"membrane.{k}"):
            model = load_model(table.model, table.flags, table.parameters, table.method)
            initial = initial_state(model, table.initial)
        initial["Iion"] = float(rates(model, initial["V"], initial)[0])
        kernel = generate(model, backend.target, case.backend.precision)
        membranes.append(Membrane(model, kernel, initial))
    return tuple(membranes)


def lowest_methods(membranes: Sequence[Membrane]) -> dict[str, str]:
    """The integration method of V and of every state; where membranes differ, the one of the lowest order."""
    every = [item for membrane in membranes for item in membrane.methods.items() if item[1] in METHODS]
    return dict(sorted(every, key=lambda item: -METHODS[item[1]].order))
