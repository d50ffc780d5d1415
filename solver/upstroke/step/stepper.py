"""The time loop: stimuli, then the stages of the splitting, step by step; t = n dt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter

from upstroke.backend import Backend
from upstroke.case.schema import Solver, TimeTable
from upstroke.codegen import Kernel
from upstroke.errors import DivergenceError
from upstroke.ionic.methods import METHODS
from upstroke.protocol import Stimuli
from upstroke.space.operator import Operator
from upstroke.step.diffusion import NoDiffusion, make_diffusion
from upstroke.step.splitting import SPLITTINGS
from upstroke.step.state import State

NOT_FINITE, BOUNDED = 1, 2      # status bits of the generated kernels


@dataclass
class Tally:
    """What the steps cost: seconds by phase, and iterations of the linear solver."""

    reaction_s: float = 0.0
    diffusion_s: float = 0.0
    solves: int = 0
    iterations: int = 0
    most_iterations: int = 0
    bounded_steps: int = 0

    def count(self, iterations: int) -> None:
        self.solves += 1
        self.iterations += iterations
        self.most_iterations = max(self.most_iterations, iterations)


@dataclass
class Stepper:
    """Advances ``state`` by whole steps of ``dt``."""

    operator: Operator
    kernel: Kernel
    state: State
    time: TimeTable
    solver: Solver
    C_m: float
    stimuli: Stimuli
    backend: Backend
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.n_steps = round(self.time.end / self.time.dt)
        self._membrane = self.backend.membrane(self.kernel.source, self.state.arrays, self.C_m,
                                               self.time.reaction_steps)
        self._stages = SPLITTINGS[self.time.splitting].stages
        parts = {part for what, part in self._stages if what == "diffusion"}
        self._diffusion = {part: make_diffusion(self.time.diffusion, self.operator, self.state, part * self.time.dt,
                                                self.solver, self.backend) for part in parts}

    def notes(self, methods: Mapping[str, str]) -> list[str]:
        """What the user should know: pulses that never fire, and an order that the membrane's methods do not reach.

        ``methods`` names the integration method of V and of every state.
        """
        wanted = SPLITTINGS[self.time.splitting].order
        low = [name for name, method in methods.items() if method in METHODS and METHODS[method].order < wanted]
        notes = self.stimuli.notes(self.time.end)
        if low:
            names = ", ".join(low[:4]) + (" and more" if len(low) > 4 else "")
            notes.append(f"splitting {self.time.splitting!r} is of order {wanted}, but the run is of order 1: {names} "
                         'are integrated by methods of order 1 (membrane.method = "rk2" is of order 2)')
        return notes

    def steps(self) -> Iterator[int]:
        """Yield n = 0 before the first step and then after every step."""
        yield 0
        for n in range(self.n_steps):
            self.stimuli.apply(n, self.state.Istim)
            for what, part in self._stages:
                if what == "reaction":
                    self._react(n, part)
                else:
                    self._diffuse(n, part)
            yield n + 1

    def _react(self, n: int, part: float) -> None:
        start = perf_counter()
        status = self._membrane.advance(n * self.time.dt, part * self.time.dt)
        self.tally.reaction_s += perf_counter() - start
        if status & NOT_FINITE:
            raise self._divergence(n)
        self.tally.bounded_steps += bool(status & BOUNDED)

    def _diffuse(self, n: int, part: float) -> None:
        solve = self._diffusion[part]
        start = perf_counter()
        solve.step()
        self.tally.diffusion_s += perf_counter() - start
        if isinstance(solve, NoDiffusion):
            return
        self.tally.count(solve.iterations)
        if not solve.converged:
            raise self._divergence(n) if self.state.first_broken() else DivergenceError(
                f"t = {n * self.time.dt:g} ms", f"the diffusion solver did not converge in {solve.iterations} "
                "iterations", "raise solver.max_iterations or solver.tolerance, or take a smaller dt")

    def _divergence(self, n: int) -> DivergenceError:
        broken = self.state.first_broken()
        what = "V left the finite numbers"
        if broken:
            node, names = broken
            what = f"node {node}: {', '.join(names)} left the finite numbers"
        return DivergenceError(f"t = {(n + 1) * self.time.dt:g} ms", what,
                               "take a smaller dt or more reaction_steps, and check the stimulus strength and the "
                               "parameters")
