"""`[time]` and `[solver]`: how long, by which steps, and how they are solved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from upstroke.case.schema.keys import Time, Voltage, key


@dataclass(frozen=True, kw_only=True)
class TimeTable:
    """How long and by which steps."""

    end: Time = key("duration of the run; a whole number of steps", example='"40 ms"', must="> 0")
    dt: Time = key("time step", example='"0.02 ms"', must="> 0")
    splitting: Literal["godunov", "strang", "unsplit", "implicit", "staggered"] = key(
        "order 1: reaction, diffusion; order 2: half diffusion, reaction, half diffusion; 'unsplit': both from the "
        "same state, in one pass (order 1, explicit diffusion). On cables and trees 'implicit' (order 1) and "
        "'staggered' (order 2) solve for V with the membrane's current in the matrix, then advance the states. With "
        "`[cable]` the default is 'staggered', unless `diffusion` is given",
        "godunov")
    diffusion: Literal["explicit", "crank_nicolson", "backward_euler"] = key(
        "time scheme of the diffusion; 'implicit' and 'staggered' splittings have their own", "crank_nicolson")
    reaction_steps: int = key("reaction steps in one time step", 1, must=">= 1")


@dataclass(frozen=True, kw_only=True)
class Solver:
    """The linear solver of the implicit diffusion schemes.

    'cg' is conjugate gradients and 'chebyshev' Chebyshev's iteration, which needs bounds of the spectrum (found at the
    start) and hardly any sums; both with a Jacobi preconditioner. 'tree' is a direct solver for meshes without loops,
    cables and neurons: it neither iterates nor has a tolerance. 'petsc' hands the matrix to PETSc, which has more
    iterations and preconditioners than all of these, and needs petsc4py (docs/cluster.md). 'scipy' (on the CPU) and
    'cupyx' (on CUDA) are the conjugate gradients of these libraries, slow, to check the others by.
    """

    method: Literal["auto", "cg", "chebyshev", "tree", "petsc", "scipy", "cupyx"] = key(
        "the solver; 'auto' is 'tree' where the mesh consists of trees of at most 65536 nodes, else 'cg'", "auto")
    tolerance: Voltage = key("stop when the volume-weighted RMS of the preconditioned residual is below this", 1e-5,
                             example='"1e-6 mV"', must="> 0")
    max_iterations: int = key("iterations after which the run stops with an error", 500, must=">= 1")
    petsc_options: str = key("options of PETSc's, as on its command line; without any, conjugate gradients with Jacobi",
                             "", example='"-ksp_type cg -pc_type gamg"')

    @property
    def petsc(self) -> dict[str, str]:
        """The options of PETSc by name, without the dash; a flag has no text."""
        words = self.petsc_options.split()
        return {word[1:]: "" if is_option(after) else after
                for word, after in zip(words, [*words[1:], ""], strict=False) if is_option(word)}


def is_option(word: str) -> bool:
    """Whether PETSc takes a word for an option's name, not for a value such as -1."""
    return word[:1] == "-" and word[1:2].isalpha()
