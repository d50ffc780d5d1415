"""The time loop: stimuli, then the stages of the splitting, then what looks on, step by step; t = n dt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from upstroke.backend import NOT_CONVERGED, Backend, Clock, Loop, Stage, failure_of, memory_of, nodal_of
from upstroke.case.schema import Solver, TimeTable
from upstroke.errors import DivergenceError
from upstroke.ionic.methods import METHODS
from upstroke.protocol import Conductances, Stimuli
from upstroke.space.operator import Operator
from upstroke.step.diffusion import make_diffusion, require_stable
from upstroke.step.gaps import gap_notes
from upstroke.step.implicit import implicit_stages, require_one_capacitance
from upstroke.step.splitting import SPLITTINGS
from upstroke.step.state import Piece, State


def stimulus_stages(stimuli: Stimuli, state: State, n_steps: int, backend: Backend) -> list[Stage]:
    """Sets what each node receives, where there is anything to receive."""
    table = stimuli.table(n_steps)
    return [backend.inputs(state.Istim, table.nodes, table.offsets, table.trains, table.scale,
                           table.steps, table.values)] if len(table.nodes) else []


def reaction_stages(state: State, part: float, time: TimeTable, C_m: float, backend: Backend) -> list[Stage]:
    """Advances all nodes by a part of a step, membrane by membrane."""
    return [backend.membrane(group.kernel.source, group.arrays, C_m, time.dt, part=part, steps=time.reaction_steps)
            for group in state.groups]


def unsplit_stages(operator: Operator, state: State, time: TimeTable, C_m: float, backend: Backend) -> list[Stage]:
    """Reaction and diffusion from the same state.

    Raises
    ------
    CaseError where the explicit step is longer than 2 / lambda_max
    """
    require_stable(operator, time.dt)
    groups = [(group.kernel.source, group.arrays, group.begin) for group in state.groups]
    return backend.unsplit(groups, operator.stiffness, operator.lumped_mass, state.V, C_m, time.dt,
                           time.reaction_steps)


class Stepper:
    """Advances ``state`` by whole steps of ``time.dt``.

    Attributes
    ----------
    n_steps : steps of the whole run
    stages : what a step consists of, in order
    clock : how far it came, and what the linear solver took
    """

    def __init__(self, operator: Operator, state: State, time: TimeTable, solver: Solver, C_m: float, stimuli: Stimuli,
                 backend: Backend, conductances: Conductances = Conductances()) -> None:   # noqa: B008 (frozen)
        self.state, self.stimuli, self.conductances = state, stimuli, conductances
        self.n_steps = round(time.end / time.dt)
        self.clock = Clock()
        self._time, self._backend = time, backend
        self._notes = gap_notes(conductances.gaps, operator, C_m, time.dt)
        self._loop: Loop | None = None
        self._start: list[Stage] = []
        self.stages = self._build(operator, solver, C_m)

    def _build(self, operator: Operator, solver: Solver, C_m: float) -> list[Stage]:
        """The stages of a step, in order; raises what is wrong with them."""
        state, time, backend = self.state, self._time, self._backend
        all_stages = stimulus_stages(self.stimuli, state, self.n_steps, backend)
        splitting = SPLITTINGS[time.splitting].stages
        made: dict[tuple[str, float], list[Stage]] = {}
        if not SPLITTINGS[time.splitting].implicit:
            require_one_capacitance(operator, time.splitting)
        else:
            self._start, stages = implicit_stages(SPLITTINGS[time.splitting], operator, state, time, C_m,
                                                  self.conductances, backend)
            made = {(what, part): stages[what] for what, part in splitting}
        for what, part in splitting:
            if (what, part) not in made:          # what a step takes twice is one stage, which knows its turns
                turns = splitting.count((what, part))
                made[what, part] = (
                    reaction_stages(state, part, time, C_m, backend) if what == "reaction" else
                    unsplit_stages(operator, state, time, C_m, backend) if what == "both" else
                    make_diffusion(time.diffusion, operator, state, part * time.dt, solver, backend, turns))
            all_stages += made[what, part]
        return all_stages

    def notes(self, methods: Mapping[str, str]) -> list[str]:
        """What the user should know: pulses that never fire, and an order that the membrane's methods do not reach.

        ``methods`` names the integration method of V and of every state.
        """
        splitting = self._time.splitting
        wanted, exact = SPLITTINGS[splitting].order, set[str]()
        if SPLITTINGS[splitting].implicit:       # V has no method of its own, and with V given many states no error
            kernels = [group.kernel for group in self.state.groups]
            exact = {"V"} | {name for name in methods if all(name in kernel.exact for kernel in kernels
                                                             if name in kernel.states)}
        low = [name for name, method in methods.items()
               if name not in exact and method in METHODS and METHODS[method].order < wanted]
        notes = self.stimuli.notes(self._time.end) + self.conductances.notes() + self._notes
        if low:
            names = ", ".join(low[:4]) + (" and more" if len(low) > 4 else "")
            notes.append(f"splitting {splitting!r} is of order {wanted}, but the run is of order 1: {names} "
                         'are integrated by methods of order 1 (membrane.method = "rk2" is of order 2)')
        return notes

    @property
    def memory(self) -> dict[str, Any]:
        """The arrays that stages leave for their next step, by name, beside ``nodal``."""
        return {f"{name}.{key}": array for name, stage in self._that_remember()
                for key, array in memory_of(stage).items()}

    @property
    def nodal(self) -> dict[str, list[Piece]]:
        """What a step leaves at each node for the next one, by name, as `State.pieces`: the state, and of stages."""
        own = {f"{name}.{key}": [(0, self.state.n, array)] for name, stage in self._that_remember()
               for key, array in nodal_of(stage).items()}
        return self.state.memory | own

    def _that_remember(self) -> list[tuple[str, Stage]]:
        """The stages that leave something for their next step, by names that all who share a run give them."""
        some = [stage for stage in dict.fromkeys(self.stages) if memory_of(stage) or nodal_of(stage)]
        return [(f"{stage.name}.{sum(other.name == stage.name for other in some[:k])}", stage)
                for k, stage in enumerate(some)]

    def steps(self, also: Sequence[Stage] = (), after: Mapping[str, Any] | None = None) -> Iterator[int]:
        """Yield n = 0 before the first step and then after every step.

        ``also`` are stages of every step, after those of the splitting. ``after`` is what the clock of an earlier run
        had counted, with which this one goes on: ``memory`` holds what it held then, and n = 0 is not seen again. A
        device may be behind what this yields, by at most ``backend.lag`` steps; nothing is when it has come to its end.

        Raises
        ------
        DivergenceError : a value left the finite numbers, or the linear solver did not converge
        """
        if after is None:
            for stage in self._start:
                stage.run(0)
        self._loop = loop = self._backend.loop((*self.stages, *also))
        if after is not None:
            loop.go_on(after)
        self.clock = loop.clock
        first = self.clock.step
        if after is None:
            yield 0
        for n in range(first, self.n_steps):
            loop.run(n)
            if self.clock.halted:
                raise self._divergence()
            yield n + 1
        loop.sync()
        if self.clock.halted:
            raise self._divergence()

    @property
    def seconds(self) -> dict[str, float]:
        """What the steps took by stage ("stimulus", "reaction", "diffusion", ...); empty where a device runs on its
        own."""
        return dict(self._loop.seconds) if self._loop is not None else {}

    def sync(self) -> None:
        """Wait for the steps under way, so that ``clock`` is true; for runs that end early."""
        if self._loop is not None:
            self._loop.sync()

    def _divergence(self) -> DivergenceError:
        """Why the clock stands."""
        n, dt = self.clock.step, self._time.dt
        broken = self.state.first_broken()
        if broken is None and self.clock.status & NOT_CONVERGED:
            why = "".join(f" ({failure})" for stage in dict.fromkeys(self.stages) if (failure := failure_of(stage)))
            return DivergenceError(
                f"t = {n * dt:g} ms", f"the diffusion solver did not converge in {self.clock.last_iterations} "
                f"iterations{why}", "raise solver.max_iterations or solver.tolerance, or take a smaller dt")
        what = "V left the finite numbers"
        if broken:
            node, names = broken
            what = f"node {node}: {', '.join(names)} left the finite numbers"
        return DivergenceError(f"t = {(n + 1) * dt:g} ms", what,
                               "take a smaller dt or more reaction_steps, and check the stimulus strength and the "
                               "parameters")
