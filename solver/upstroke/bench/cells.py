"""A batch of cells of one model: what is done to them, and the compiled loop that takes them through many steps.

    C_m dV/dt = -(Iion(V, s) - Istim),  ds/dt = f(V, s)

A step goes as in openCARP's bench. Rows of results are taken first. Inputs act next: with V by forward Euler a current
moves V by I dt / C_m before the membrane's step, which then sees the stimulated V; with other methods the current is
part of the equation, so that their order is kept. Then every state takes its step, and what is clamped is set back.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Backend, open_backend
from upstroke.backend.cpu import KernelArgs
from upstroke.bench.beats import KEPT, RUNNING, Beats, beats_of
from upstroke.codegen import generate
from upstroke.errors import DivergenceError, ModelError, did_you_mean
from upstroke.ionic import initial_state
from upstroke.ionic.evaluate import rates
from upstroke.ionic.model import Model
from upstroke.ionic.spelling import parameters_of, states_of
from upstroke.step.state import State

Floats = NDArray[np.float64]
How = Literal["current", "flux", "couple", "set"]
VECTOR = 64       # bytes of the longest vector of any processor: cells are filled up to a multiple of its lanes


@dataclass(frozen=True, eq=False)
class Channel:
    """One thing that is done to cells.

    Attributes
    ----------
    target : V, a state, or a parameter, as the model calls it
    how : "current", values in uA/cm^2, depolarising positive (V only); "flux", the target gains value dt in each step;
        "couple", it gains (value - target) dt / tau; "set", it is held at the value
    values : (events, trains); NaN where nothing is done from this event to the next
    tau : ms, of "couple"
    """

    target: str
    how: How
    values: Floats
    tau: float = 1.0


@dataclass(frozen=True, eq=False)
class Inputs:
    """Piecewise constant inputs: from step ``steps[e]`` until ``steps[e + 1]`` row e of every channel's values holds.

    Attributes
    ----------
    steps : (events,) rising from 0
    channels : what is done
    starts : (events, trains) whether a beat starts at the event
    """

    steps: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    channels: tuple[Channel, ...] = ()
    starts: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((1, 1), bool))


@dataclass(frozen=True, eq=False)
class Record:
    """Rows of results, each taken before the step at its time.

    ``time`` is (rows,) in ms, ``values`` are (rows, cells) by name; Iion is that of the step before.
    """

    time: Floats
    values: dict[str, Floats]


class _Channel(ctypes.Structure):
    """``up_channel`` of cells.h."""

    _fields_ = [("narrow", ctypes.c_void_p), ("wide", ctypes.c_void_p), ("values", ctypes.c_void_p),
                ("how", ctypes.c_long), ("scale", ctypes.c_double)]


class _Args(ctypes.Structure):
    """``up_cells_args`` of cells.h."""

    _fields_ = [
        ("a", KernelArgs), ("t", ctypes.c_double), ("step_dt", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("event", "quiet", "starts", "train", "channel")),
        *((name, ctypes.c_long) for name in ("events", "trains", "channels", "first", "steps")),
        ("taken", ctypes.c_void_p), ("sample", ctypes.c_void_p),
        *((name, ctypes.c_long) for name in ("rows", "sampled", "every")),
        ("beat", ctypes.c_void_p), ("beats", ctypes.c_void_p), ("kept", ctypes.c_long), ("stride", ctypes.c_long),
        ("calcium", ctypes.c_void_p), ("calcium_wide", ctypes.c_void_p),
        ("threshold", ctypes.c_double), ("by_threshold", ctypes.c_int), ("broken", ctypes.c_void_p),
    ]


_HOW = {"flux": 0, "couple": 1, "set": 2}


class Cells:
    """Cells of a model, each with its own parameters, initial state and train of inputs if so wanted.

    Parameters
    ----------
    model : checked equations, plug-ins included
    inputs : what is done to the cells
    dt : ms
    n : how many cells
    train : (n,) which column of the inputs' values a cell follows; by default the first
    parameters : values that differ from the model's own: a number, or (n,). The kernel is compiled once for all
        values of what is named here; what is not is part of its text
    initial : V and states to start from in place of the model's: a number, or (n,)
    C_m : uF/cm^2
    backend : who computes; by default the CPU, fp64
    beats : how many beats of each cell to keep besides the one that runs; 0: nothing is measured
    calcium : the state whose transient is measured with the beats, "" for none
    threshold : mV; where the inputs start no beat, one starts at each upstroke through this

    Raises
    ------
    ModelError : a name that the model lacks, an initial value that is not finite
    """

    def __init__(self, model: Model, inputs: Inputs, dt: float, *, n: int = 1, train: Sequence[int] | None = None,
                 parameters: Mapping[str, Any] | None = None, initial: Mapping[str, Any] | None = None,
                 C_m: float = 1.0, backend: Backend | None = None, beats: int = 0, calcium: str = "",
                 threshold: float = -40.0) -> None:
        self.model, self.dt, self.n, self.step = model, dt, n, 0
        self._backend = backend or open_backend("cpu")
        values = {p.name: p.value for p in model.parameters}
        own = parameters_of(model, parameters or {})
        driven = [c.target for c in inputs.channels if c.target in values]
        one = [name for name in own if np.ndim(own[name]) == 0 and name not in driven and self._backend.target == "c"]
        nodal = {name: own.get(name, values[name]) for name in dict.fromkeys((*own, *driven)) if name not in one}
        self._kernel = generate(model, self._backend.target, self._backend.precision,  # type: ignore[arg-type]
                                uniform=tuple(one), nodal=tuple(nodal))
        self._uniform = self._array([own[name] for name in one], self._backend.dtype)
        start = initial_state(model, states_of(model, initial or {}), own)
        start["Iion"] = rates(model, start["V"], start, parameters=own)[0]
        lanes = 1 if n == 1 else VECTOR // self._backend.dtype.itemsize
        padded = -(-n // lanes) * lanes
        self._state = State([(self._kernel, {name: _filled(value, padded) for name, value in (nodal | start).items()},
                              padded)], self._backend)
        self._inputs(inputs, np.zeros(n, np.int32) if train is None else np.asarray(train, np.int32), C_m)
        self._beats(inputs, beats, calcium, threshold, start)
        self._broken = self._array(np.full(padded, -1), np.int64)
        self._args.broken = self._backend.pointer(self._broken)

    # --------------------------------------------------------------------------------------------------- set-up
    def _array(self, values: Any, dtype: Any) -> Any:
        return self._backend.array(np.ascontiguousarray(values, dtype))

    def _pointers(self, name: str) -> tuple[int, int]:
        """Where a quantity lies: in the kernel's precision, in fp64; 0 for the one that it is not."""
        arrays, kernel = self._state.groups[0].arrays, self._kernel
        if name in kernel.wide:
            return 0, self._backend.pointer(arrays["W"][kernel.wide.index(name)])
        narrow = [s for s in kernel.states if s not in kernel.wide]
        if name in narrow:
            return self._backend.pointer(arrays["S"][narrow.index(name)]), 0
        if name in kernel.nodal:
            return self._backend.pointer(arrays["N"][kernel.nodal.index(name)]), 0
        if name in ("V", "Iion", "Istim"):
            return self._backend.pointer(arrays[name]), 0
        raise ModelError(f"model {self.model.name}", f"no state or parameter '{name}'",
                         did_you_mean(name, ["V", *kernel.states, *(p.name for p in self.model.parameters)]))

    def _inputs(self, inputs: Inputs, train: NDArray[np.int32], C_m: float) -> None:
        trains = inputs.starts.shape[1]
        channels = []
        currents = [c.values for c in inputs.channels if c.how == "current"]
        euler = self.model.v_method == "fe"
        acts = np.zeros(len(inputs.steps), bool)
        self._held = []
        if currents:
            total = np.sum([np.nan_to_num(values) for values in currents], axis=0)
            acts |= (total != 0).any(axis=1) if euler else _changing(total)
            channels.append(("V", 0, self.dt / C_m, total) if euler else ("Istim", 2, 1.0, total))
        for c in inputs.channels:
            if c.how != "current":
                scale = {"flux": self.dt, "couple": self.dt / c.tau, "set": 1.0}[c.how]
                channels.append((c.target, _HOW[c.how], scale, c.values))
                acts |= ~np.isnan(c.values).all(axis=1)
        rows = (_Channel * max(1, len(channels)))()
        for row, (target, how, scale, values) in zip(rows, channels, strict=False):
            narrow, wide = self._pointers(target)
            self._held.append(self._array(values, np.float64))
            row.narrow, row.wide, row.values = narrow, wide, self._backend.pointer(self._held[-1])
            row.how, row.scale = how, scale
        train = _filled(train, self._state.n)
        arrays = {
            "event": self._array(inputs.steps, np.int64), "quiet": self._array(~acts, np.uint8),
            "starts": self._array(inputs.starts, np.uint8), "train": self._array(train, np.int32),
            "channel": self._array(np.frombuffer(bytes(rows), np.uint8), np.uint8),
        }
        self._held += arrays.values()
        names = {name: self._backend.pointer(array) for name, array in arrays.items()}
        group = self._state.groups[0].arrays
        kernel = KernelArgs(stride=group["S"].shape[1], dt=self.dt, C_m=C_m, P=self._backend.pointer(self._uniform),
                            **{name: self._backend.pointer(array) for name, array in group.items()})
        self._args = _Args(a=kernel, events=len(inputs.steps), trains=trains, channels=len(channels), **names)

    def _beats(self, inputs: Inputs, kept: int, calcium: str, threshold: float, start: Mapping[str, Any]) -> None:
        self._calcium, self._kept = calcium, kept
        if not kept:
            return
        n = self._state.n
        running = np.zeros((len(KEPT) + len(RUNNING), n))
        V, Ca = start["V"], start[calcium] if calcium else 0.0
        for name, value in (("before", V), ("earlier", V), ("low_next", V), ("valley", V), ("Ca_before", Ca)):
            running[len(KEPT) + RUNNING.index(name)] = _filled(value, n)
        self._running = self._array(running, np.float64)
        self._over = self._backend.zeros(kept, len(KEPT), n, dtype=np.float64)
        args, pointer = self._args, self._backend.pointer
        args.beat, args.beats, args.kept, args.stride = pointer(self._running), pointer(self._over), kept, n
        args.threshold, args.by_threshold = threshold, not inputs.starts.any()
        if calcium:
            args.calcium, args.calcium_wide = self._pointers(calcium)

    @cached_property
    def _source(self) -> str:
        alone = "#define UP_LANES 1L\n" if self._state.n == 1 else ""       # scalar code is the quickest for one cell
        return alone + self._kernel.source + resources.files(__package__).joinpath("cells.h").read_text()

    # --------------------------------------------------------------------------------------------------- running
    @property
    def names(self) -> tuple[str, ...]:
        """V and the states."""
        return ("V", *self._kernel.states)

    @property
    def t(self) -> float:
        """ms, after the steps done so far."""
        return self.step * self.dt

    def advance(self, steps: int, record: Sequence[str] = (), every: int = 1, cells: int = 1) -> Record:
        """Take steps, and rows of ``record`` (V, states, Iion, driven parameters) of the first ``cells`` cells at each
        step that is a multiple of ``every``."""
        args, backend = self._args, self._backend
        first, last = self.step, self.step + steps
        rows = np.arange(-(-first // every) * every, last, every) if record else np.arange(0)
        sample = backend.zeros(max(1, len(rows)), max(1, len(record)), cells, dtype=np.float64)
        taken = self._array(np.array([self._pointers(name) for name in record], np.uint64).reshape(-1), np.uint64)
        args.taken, args.sample = backend.pointer(taken), backend.pointer(sample)
        args.rows, args.sampled, args.every = len(record), cells, every if record else 0
        args.first, args.steps = first, steps
        kernel = backend.kernel(self._source, "upstroke_cells", args, self._state.n, dt=self.dt, label="cells")
        if steps:
            kernel.run(first)
        self.step = last
        table = backend.to_host(sample)[:len(rows)]
        return Record(np.asarray(rows * self.dt, np.float64), {name: table[:, k] for k, name in enumerate(record)})

    def now(self, record: Sequence[str], cells: int = 1) -> Record:
        """The row at the present time."""
        state = self.state()
        return Record(np.array([self.t]), {name: state[name][None, :cells] for name in record})

    def state(self) -> dict[str, Floats]:
        """V, every state and Iion, and the parameters that differ between cells or in time: (n,) each."""
        values = {name: np.array(self._state.variable(name)[:self.n], np.float64) for name in (*self.names, "Iion")}
        N = self._backend.to_host(self._state.groups[0].arrays["N"]) if self._kernel.nodal else ()
        return values | {name: np.array(row[:self.n], np.float64)
                         for name, row in zip(self._kernel.nodal, N, strict=True)}

    @property
    def broken(self) -> NDArray[np.int64]:
        """(n,) the step after which V of a cell was no number; -1 where it is one."""
        return np.array(self._backend.to_host(self._broken)[:self.n])

    def raise_if_broken(self) -> None:
        """DivergenceError where a cell has left the finite numbers."""
        broken = self.broken
        if (broken >= 0).any():
            cell = int(np.where(broken >= 0, broken, np.iinfo(np.int64).max).argmin())
            which = f"cell {cell}" if self.n > 1 else "the cell"
            raise DivergenceError(f"t = {broken[cell] * self.dt:g} ms", f"V of {which} is no longer a number",
                                  "take a smaller --dt, another --method, or a smaller stimulus")

    def beats(self) -> Beats:
        """The last beats of every cell, the one that runs among them."""
        if not self._kept:
            raise ValueError("these cells measure no beats")
        host = self._backend.to_host
        return beats_of(np.array(host(self._running)[:, :self.n]), np.array(host(self._over)[:, :, :self.n]))


def _filled(value: Any, n: int) -> Any:
    """(n,) where a value is given for each of fewer cells, the last of which stands for the rest; a number as it is."""
    if np.ndim(value) == 0:
        return value
    value = np.asarray(value)
    return np.concatenate([value, np.full(n - len(value), value[-1])])


def _changing(values: Floats) -> NDArray[np.bool_]:
    """(events,) whether a row differs from 0 or from the row before it."""
    before = np.vstack([np.zeros_like(values[:1]), values[:-1]])
    return np.asarray(((values != 0) | (values != before)).any(axis=1))
