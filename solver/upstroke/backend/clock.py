"""What a loop over steps knows of itself: how far it came, what happened, what its solves took."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

#: Status bits: of the kernels over nodes, and of the diffusion solvers.
NOT_FINITE, BOUNDED, NOT_CONVERGED = 1, 2, 8
HALTING = NOT_FINITE | NOT_CONVERGED
TELLING = ("reaction", "diffusion")      # stages after which processes that share a run agree on its status


class Stage(Protocol):
    """A part of a step. On a device ``run`` enqueues work whose arguments are the same for every step."""

    name: str

    def run(self, n: int) -> None:
        """Step n, from t = n dt to (n + 1) dt."""


def memory_of(stage: Stage) -> dict[str, Any]:
    """The arrays that a stage's step leaves for its next one, by name: what a checkpoint must hold beside the state.

    A stage that has some says so by an attribute ``memory``.
    """
    return dict(getattr(stage, "memory", {}))


def nodal_of(stage: Stage) -> dict[str, Any]:
    """The arrays (n,) over the state's nodes that a stage's step leaves for its next one, by name; as `memory_of`, by
    an attribute ``nodal``. Processes that share a run have their parts of them.
    """
    return dict(getattr(stage, "nodal", {}))


def failure_of(stage: Stage) -> str:
    """Why a stage's last solve failed, in the words of the library that solves; by an attribute ``failure``."""
    return str(getattr(stage, "failure", ""))


@dataclass
class Clock:
    """The state of a loop; ``step`` steps are done.

    A step that breaks halts the clock: nothing moves from there on, so that the state stays as it broke.
    """

    step: int = 0
    halted: bool = False
    status: int = 0                # bits of the step that is running, or that halted
    solves: int = 0
    iterations: int = 0            # of all solves
    last_iterations: int = 0
    most_iterations: int = 0
    bounded_steps: int = 0         # in which a state was held at its bound
    residual: float = 0.0          # mV, of the last solve

    def count(self, iterations: int, residual: float, converged: bool) -> None:
        """One more solve."""
        self.solves += 1
        self.iterations += iterations
        self.last_iterations = iterations
        self.most_iterations = max(self.most_iterations, iterations)
        self.residual = residual
        self.status |= 0 if converged else NOT_CONVERGED

    def counts(self) -> dict[str, Any]:
        """All of it, by name."""
        return asdict(self)

    def tick(self) -> None:
        """The end of a step."""
        self.bounded_steps += bool(self.status & BOUNDED)
        self.halted = bool(self.status & HALTING)
        if not self.halted:
            self.step, self.status = self.step + 1, 0


class Fetch(Protocol):
    """Arrays on their way to the host; ``step`` is the number of steps that were done when they were read."""

    @property
    def step(self) -> int: ...

    def ready(self) -> bool: ...

    def get(self) -> dict[str, Any]:
        """The arrays in host memory, as they were after the steps enqueued when they were asked for."""
