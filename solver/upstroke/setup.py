"""What a run is made of, once it is built and before it takes a step."""

from __future__ import annotations

from dataclasses import dataclass

from upstroke.backend import Backend
from upstroke.case import Case
from upstroke.codegen import Kernel
from upstroke.ionic.model import Model
from upstroke.mesh.mesh import Mesh
from upstroke.space import Operator
from upstroke.step import State, Stepper


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything a run needs, built and checked, before the first step."""

    case: Case
    backend: Backend
    mesh: Mesh
    operator: Operator
    model: Model
    kernel: Kernel
    state: State
    stepper: Stepper
    notes: tuple[str, ...]         # what the user should know
    seconds: dict[str, float]      # what each part of the set-up took
