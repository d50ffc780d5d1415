"""The diffusion step: M dV/dt = -K V over a whole or a half step.

A scheme is an entry of SCHEMES with its declared order; a new one needs nothing else to be chosen from a case and to
have its order measured by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from upstroke.backend import Backend, Stage
from upstroke.backend.petsc_diffusion import PetscDiffusion, load_petsc
from upstroke.backend.tree import largest_tree
from upstroke.case.schema import Solver
from upstroke.errors import CaseError
from upstroke.space.operator import Operator
from upstroke.step.state import State


@dataclass(frozen=True)
class Scheme:
    """A time scheme: its order, and theta of (M + theta dt K) delta = -dt K V; theta = 0 is explicit."""

    order: int
    theta: float


SCHEMES = {
    "explicit": Scheme(order=1, theta=0.0),
    "crank_nicolson": Scheme(order=2, theta=0.5),
    "backward_euler": Scheme(order=1, theta=1.0),
}

LIBRARIES = {"cpu": "scipy", "cuda": "cupyx"}     # whose conjugate gradients are there to check ours by, by device
ONLY_ON = {library: device for device, library in LIBRARIES.items()} | {"petsc": "cpu"}
LARGE_TREE = 65536       # nodes of one tree, which one thread (or one block of a device) solves


def make_diffusion(scheme: str, operator: Operator, state: State, dt: float, solver: Solver,
                   backend: Backend, turns: int = 1) -> list[Stage]:
    """The stages that take a diffusion step of length ``dt`` (ms) on ``state.V``, ``turns`` times in a whole step; none
    where nothing conducts.

    Raises
    ------
    CaseError where an explicit step is longer than 2 / lambda_max, or the solver's method does not suit
    """
    if not backend.halo.most(int(operator.stiffness.data.any())):
        return []
    theta = SCHEMES[scheme].theta
    if theta == 0.0:
        require_stable(operator, dt)
        return [backend.explicit_diffusion(operator.stiffness, operator.lumped_mass, state.V, dt)]
    A, K = operator.implicit_matrix(theta * dt), operator.stiffness
    several = bool(backend.halo.callbacks)                                # then a tree may lie on several processes
    method = "cg" if several and solver.method == "auto" else choose_method(solver.method, A, K, backend.name)
    if method == "petsc":
        return [PetscDiffusion(backend, A, K, state.V, dt, solver.tolerance, solver.max_iterations, turns,
                               solver.petsc)]
    return [backend.implicit_diffusion(A, K, state.V, dt, solver.tolerance, solver.max_iterations, method, turns)]


def require_stable(operator: Operator, dt: float) -> None:
    """Raise a CaseError where an explicit step of ``dt`` (ms) is longer than 2 / lambda_max."""
    if dt > operator.explicit_limit:
        raise CaseError("time.dt", f'a diffusion step of {dt:g} ms is unstable with diffusion = "explicit": the limit '
                        f"of this mesh is {operator.explicit_limit:.4g} ms",
                        'take a smaller dt, or diffusion = "crank_nicolson"')


def require_method(method: str, backend: Backend) -> None:
    """Raise a CaseError where a backend has no such solver, or lacks what it needs: known before there is a mesh."""
    require_device(method, backend.name)
    if method == "petsc":
        load_petsc(backend.halo.comm)


def require_device(method: str, device: str) -> None:
    """Raise a CaseError where a device has no such solver."""
    if ONLY_ON.get(method, device) != device:
        raise CaseError("solver.method", f'"{method}" does not run on the device "{device}"',
                        f'set solver.method = "{LIBRARIES[device]}"' if method != "petsc" else
                        'set backend.device = "cpu"; PETSc itself takes the GPU with solver.petsc_options = '
                        '"-mat_type aijcusparse"')


def choose_method(method: str, A: Any, K: Any, device: str) -> str:
    """What a backend calls the method of a case ("auto", "cg", ...) for these matrices.

    Raises
    ------
    CaseError where the device has no such library, or a direct solver for trees meets a loop
    """
    require_device(method, device)
    if method in LIBRARIES.values():
        return "library"
    if method not in ("auto", "tree"):
        return method
    nodes = largest_tree(A, K)
    if method == "tree" and nodes == 0:
        raise CaseError("solver.method", '"tree" solves on meshes without loops, and this mesh has loops',
                        'set solver.method = "cg", or leave it out')
    return "tree" if method == "tree" or 0 < nodes <= LARGE_TREE else "cg"
