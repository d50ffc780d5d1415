"""The time loop: stimuli, then the stages of the splitting, then what looks on, step by step; t = n dt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from upstroke.backend import NOT_CONVERGED, Backend, Clock, Stage
from upstroke.case.schema import Solver, TimeTable
from upstroke.errors import DivergenceError
from upstroke.ionic.methods import METHODS
from upstroke.protocol import Stimuli
from upstroke.space.operator import Operator
from upstroke.step.diffusion import make_diffusion, require_stable
from upstroke.step.splitting import SPLITTINGS
from upstroke.step.state import State


class Stepper:
    """Advances ``state`` by whole steps of ``time.dt``.

    Attributes
    ----------
    n_steps : steps of the whole run
    stages : what a step consists of, in order
    clock : how far it came, and what the linear solver took
    seconds : by stage ("stimulus", "reaction", "diffusion", ...); empty where a device runs on its own
    """

    def __init__(self, operator: Operator, state: State, time: TimeTable, solver: Solver, C_m: float, stimuli: Stimuli,
                 backend: Backend) -> None:
        self.state, self.stimuli = state, stimuli
        self.n_steps = round(time.end / time.dt)
        self.clock, self.seconds = Clock(), dict[str, float]()
        self._time, self._backend = time, backend
        table = stimuli.table(self.n_steps)
        self.stages: list[Stage] = []
        if len(table.nodes):
            self.stages.append(backend.inputs(state.Istim, table.nodes, table.offsets, table.trains, table.steps,
                                               table.values))
        make = {"reaction": self._reaction, "diffusion": self._diffusion, "both": self._unsplit}
        parts = {stage: make[stage[0]](stage[1], operator, solver, C_m)
                 for stage in SPLITTINGS[time.splitting].stages}        # half steps share one solver
        for stage in SPLITTINGS[time.splitting].stages:
            self.stages += parts[stage]

    def _reaction(self, part: float, operator: Operator, solver: Solver, C_m: float) -> list[Stage]:
        return [self._backend.membrane(group.kernel.source, group.arrays, C_m, self._time.dt, part=part,
                                       steps=self._time.reaction_steps) for group in self.state.groups]

    def _diffusion(self, part: float, operator: Operator, solver: Solver, C_m: float) -> list[Stage]:
        turns = SPLITTINGS[self._time.splitting].stages.count(("diffusion", part))
        return make_diffusion(self._time.diffusion, operator, self.state, part * self._time.dt, solver, self._backend,
                              turns)

    def _unsplit(self, part: float, operator: Operator, solver: Solver, C_m: float) -> list[Stage]:
        require_stable(operator, self._time.dt)
        groups = [(group.kernel.source, group.arrays, group.begin) for group in self.state.groups]
        return self._backend.unsplit(groups, operator.stiffness, operator.lumped_mass, self.state.V, C_m,
                                     self._time.dt, self._time.reaction_steps)

    def notes(self, methods: Mapping[str, str]) -> list[str]:
        """What the user should know: pulses that never fire, and an order that the membrane's methods do not reach.

        ``methods`` names the integration method of V and of every state.
        """
        splitting = self._time.splitting
        wanted = SPLITTINGS[splitting].order
        low = [name for name, method in methods.items() if method in METHODS and METHODS[method].order < wanted]
        notes = self.stimuli.notes(self._time.end)
        if low:
            names = ", ".join(low[:4]) + (" and more" if len(low) > 4 else "")
            notes.append(f"splitting {splitting!r} is of order {wanted}, but the run is of order 1: {names} "
                         'are integrated by methods of order 1 (membrane.method = "rk2" is of order 2)')
        return notes

    def steps(self, also: Sequence[Stage] = ()) -> Iterator[int]:
        """Yield n = 0 before the first step and then after every step.

        ``also`` are stages of every step, after those of the splitting. A device may be behind what this yields, by at
        most ``backend.lag`` steps; nothing is when it has come to its end.

        Raises
        ------
        DivergenceError : a value left the finite numbers, or the linear solver did not converge
        """
        loop = self._backend.loop((*self.stages, *also))
        self.clock, self.seconds = loop.clock, loop.seconds
        yield 0
        for n in range(self.n_steps):
            loop.run(n)
            if self.clock.halted:
                raise self._divergence()
            yield n + 1
        loop.sync()
        if self.clock.halted:
            raise self._divergence()

    def _divergence(self) -> DivergenceError:
        """Why the clock stands."""
        n, dt = self.clock.step, self._time.dt
        broken = self.state.first_broken()
        if broken is None and self.clock.status & NOT_CONVERGED:
            return DivergenceError(
                f"t = {n * dt:g} ms", f"the diffusion solver did not converge in {self.clock.last_iterations} "
                "iterations", "raise solver.max_iterations or solver.tolerance, or take a smaller dt")
        what = "V left the finite numbers"
        if broken:
            node, names = broken
            what = f"node {node}: {', '.join(names)} left the finite numbers"
        return DivergenceError(f"t = {(n + 1) * dt:g} ms", what,
                               "take a smaller dt or more reaction_steps, and check the stimulus strength and the "
                               "parameters")
