"""Steps on a CPU: compiled stages that follow each other are one call, the others are called one by one."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.clock import HALTING, TELLING, Clock, Stage

if TYPE_CHECKING:
    from upstroke.backend.cpu import CpuBackend


class StageCall(ctypes.Structure):
    """``stage_call`` of calls.c. A stage that is compiled gives one as its ``call``."""

    _fields_ = [("f", ctypes.c_void_p), ("args", ctypes.c_void_p), ("n", ctypes.c_long), ("t", ctypes.c_void_p),
                ("start", ctypes.c_double), ("dt", ctypes.c_double), ("seconds", ctypes.c_void_p),
                ("last", ctypes.c_long)]


class Loop:
    """Steps, one after the other."""

    def __init__(self, backend: CpuBackend, stages: Sequence[Stage]) -> None:
        self.clock = backend.clock = Clock()
        self._backend = backend
        self._names = list(dict.fromkeys(stage.name for stage in stages))
        self._taken = np.zeros(len(self._names))
        named = [list(some) for _, some in groupby(stages, key=lambda stage: stage.name)]
        self._parts: list[_Calls | _Named] = []
        for compiled, some in groupby(named, key=self._compiled):
            if compiled:
                self._parts.append(_Calls(backend, list(some), self._taken_by))
            else:
                self._parts += [_Named(backend, group, self._taken_by(group[0].name)) for group in some]

    def _compiled(self, group: Sequence[Stage]) -> bool:
        """Whether stages of one name need nothing of Python; processes that share a run agree on their status there."""
        return not self._backend.halo.callbacks and all(hasattr(stage, "call") for stage in group)

    def _taken_by(self, name: str) -> NDArray[np.float64]:
        """(1,) where the seconds of a name are."""
        k = self._names.index(name)
        return self._taken[k:k + 1]

    @property
    def seconds(self) -> dict[str, float]:
        """What the steps took, by the stages' names."""
        return dict(zip(self._names, self._taken.tolist(), strict=True))

    def run(self, n: int) -> None:
        """Step n; one that breaks halts the clock and goes no further."""
        for part in self._parts:
            part.run(n)
            if self.clock.status & HALTING:
                break
        self.clock.tick()

    def go_on(self, counts: Mapping[str, Any]) -> None:
        """Go on from where another loop's clock stood."""
        self.clock = self._backend.clock = Clock(**counts)

    def sync(self) -> None:
        """Nothing is under way."""


class _Named:
    """Stages of one name, after the last of which it shows whether the step broke: a process may lack a membrane."""

    def __init__(self, backend: CpuBackend, stages: Sequence[Stage], taken: NDArray[np.float64]) -> None:
        self._backend, self._stages, self._taken = backend, stages, taken
        self._tells = stages[0].name in TELLING

    def run(self, n: int) -> None:
        start, backend = perf_counter(), self._backend
        for stage in self._stages:
            stage.run(n)
        if self._tells:
            backend.clock.status = backend.halo.agreed(backend.clock.status)
        self._taken += perf_counter() - start


class _Calls:
    """Compiled stages, by names; ``taken_by`` is where the seconds of a name are counted."""

    def __init__(self, backend: CpuBackend, named: Sequence[Sequence[Stage]],
                 taken_by: Callable[[str], NDArray[np.float64]]) -> None:
        self._backend, self._keep = backend, named
        calls = []
        for group in named:
            for stage in group:
                call: StageCall = stage.call                     # type: ignore[attr-defined]
                call.seconds, call.last = taken_by(stage.name).ctypes.data, stage is group[-1]
                calls.append(call)
        self._calls, self._count = (StageCall * len(calls))(*calls), ctypes.c_long(len(calls))
        self._solves, self._halting = ctypes.c_long(0), ctypes.c_long(HALTING)
        self._to_solves = ctypes.byref(self._solves)

    def run(self, n: int) -> None:
        backend = self._backend
        backend.clock.status |= backend._runtime.run_calls(backend._team, self._calls, self._count, ctypes.c_long(n),
                                                           self._halting, self._to_solves)
        backend.clock.solves += self._solves.value               # direct ones, without iterations
