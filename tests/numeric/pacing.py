"""One cell of a compiled model, and the published figures to hold it against."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.compiler import compile_c
from upstroke.codegen import generate
from upstroke.ionic import initial_state
from upstroke.ionic.model import Model

DATA = Path(__file__).parents[1] / "data"
STRIDE = 16   # room for a whole SIMD register; the cell is node 0, the rest idle at the same state


@dataclass(frozen=True)
class Pulses:
    """Rectangular pulses of ``current`` uA/cm^2 from ``start``, ``duration`` long, every ``period`` (all ms)."""

    current: float = 0.0
    start: float = 0.0
    duration: float = 0.0
    period: float = math.inf

    def edges(self, dt: float, end: int) -> list[tuple[int, float]]:
        """Steps below ``end`` at which the current changes, with the current from there on."""
        changes: list[tuple[int, float]] = [(0, 0.0)]
        beat = 0
        while self.current and (at := self.start + (beat and beat * self.period)) < end * dt:
            changes += [(round(at / dt), self.current), (round((at + self.duration) / dt), 0.0)]
            beat += 1
        return [changes[0], *(change for change in changes[1:] if change[0] < end)]


class _Args(ctypes.Structure):
    _fields_ = [
        ("V", ctypes.c_void_p), ("S", ctypes.c_void_p), ("W", ctypes.c_void_p), ("Iion", ctypes.c_void_p),
        ("Istim", ctypes.c_void_p), ("P", ctypes.c_void_p), ("N", ctypes.c_void_p), ("stride", ctypes.c_long),
        ("t", ctypes.c_double), ("dt", ctypes.c_double), ("steps", ctypes.c_long), ("C_m", ctypes.c_double),
        ("step_dt", ctypes.c_double),
    ]


class Cell:
    """A cell of ``model`` in double precision at C_m = 1 uF/cm^2, stepped from Python by its C kernel.

    Time is counted in whole steps of ``dt`` ms, so pulses begin and end where they should after any number of beats.
    """

    def __init__(self, model: Model, dt: float, initial: Mapping[str, float] | None = None,
                 flags: Sequence[str] = ()) -> None:
        """``flags`` go to the compiler, after its own: ("-O1",) compiles large models several times faster."""
        kernel = generate(model, "c", "fp64")
        self.names = kernel.states
        self.step = 0
        self.dt = dt
        self._library = ctypes.CDLL(str(compile_c(kernel.source, extra_flags=flags)))
        self._library.upstroke_advance.restype = ctypes.c_long
        values = initial_state(model, dict(initial or {}))
        self._V = np.full(STRIDE, values["V"])
        self._S = np.array([[values[name]] * STRIDE for name in self.names]).reshape(len(self.names), STRIDE)
        self._Iion, self._Istim, self._W = np.zeros((3, STRIDE))
        self._args = _Args(self._V.ctypes.data, self._S.ctypes.data, self._W.ctypes.data, self._Iion.ctypes.data,
                           self._Istim.ctypes.data, None, None, STRIDE, 0.0, dt, 0, 1.0)

    @property
    def V(self) -> float:
        return float(self._V[0])

    @property
    def Iion(self) -> float:
        """uA/cm^2, at the start of the last step."""
        return float(self._Iion[0])

    def state(self) -> dict[str, float]:
        return {"V": self.V} | {name: float(row[0]) for name, row in zip(self.names, self._S, strict=True)}

    def shift(self, name: str, by: float) -> None:
        """Add to V or a state between two steps."""
        (self._V if name == "V" else self._S[self.names.index(name)])[:] += by

    def rates(self) -> dict[str, float]:
        """dV/dt and ds/dt of the present state, without stimulus."""
        dV, dS = np.zeros(STRIDE), np.zeros_like(self._S)
        self._library.upstroke_rates(
            ctypes.c_long(0), ctypes.c_long(1), ctypes.byref(self._args), ctypes.c_void_p(dV.ctypes.data),
            ctypes.c_void_p(dS.ctypes.data), None)
        return {"V": float(dV[0])} | {name: float(row[0]) for name, row in zip(self.names, dS, strict=True)}

    def advance(self, steps: int, current: float = 0.0) -> None:
        self._Istim[:] = current
        self._args.t, self._args.steps = self.step * self.dt, steps
        status = self._library.upstroke_advance(ctypes.c_long(0), ctypes.c_long(1), ctypes.byref(self._args))
        assert status == 0, f"status {status} at t = {self.step * self.dt} ms: {self.state()}"
        self.step += steps

    def run(self, until: float, pulses: Pulses = Pulses(), every: int = 1) -> tuple[NDArray, NDArray]:
        """Times and V from now to ``until`` ms, every ``every`` steps, both ends included."""
        end = round(until / self.dt)
        changes = pulses.edges(self.dt, end)
        samples = range(self.step, end + 1, every)
        stops = sorted({*samples, *(at for at, _ in changes if at > self.step), end})
        current = [amount for at, amount in changes if at <= self.step][-1]
        upcoming = dict(changes)
        V = {self.step: self.V}
        for stop in stops[1:]:
            self.advance(stop - self.step, current)
            current = upcoming.get(stop, current)
            V[stop] = self.V
        return np.array([n * self.dt for n in samples]), np.array([V[n] for n in samples])


def apd(t: NDArray, V: NDArray, pulses: Pulses, percent: float) -> float:
    """Action potential duration in ms of one beat, ``t`` from its stimulus onset.

    From the maximum of dV/dt less the stimulus to the downward crossing (interpolated) of
    V_max - percent (V_max - V_rest), V_rest being V at the onset: the definition of the reference files.
    """
    slope = np.diff(V) / np.diff(t) - pulses.current * (t[:-1] < pulses.duration - 1e-9)
    upstroke = int(np.argmax(slope))
    peak = upstroke + int(np.argmax(V[upstroke:]))
    level = V[peak] - percent / 100 * (V[peak] - V[0])
    down = peak + int(np.argmax(V[peak:] < level))
    crossing = t[down - 1] + (V[down - 1] - level) / (V[down - 1] - V[down]) * (t[down] - t[down - 1])
    return float(crossing - t[upstroke])


def crossings(t: NDArray, V: NDArray, level: float = 0.0) -> NDArray:
    """Times (interpolated) at which V rises through ``level``."""
    at = np.flatnonzero((V[:-1] < level) & (V[1:] >= level))
    return t[at] + (level - V[at]) / (V[at + 1] - V[at]) * (t[at + 1] - t[at])


def rms_outside_upstroke(trace: Mapping[str, Any], t: NDArray, V: NDArray, onset: float) -> float:
    """RMS of V - reference at the reference's times, leaving out [onset, onset + 10 ms].

    In the upstroke V moves by 300 mV in a millisecond: there a shift of 0.01 ms is 3 mV, and times are what to compare.
    """
    times = trace["t0"] + trace["dt"] * np.arange(len(trace["V"]))
    error = np.interp(times, t, V) - np.array(trace["V"])
    outside = (times < onset) | (times > onset + 10)
    return float(np.sqrt(np.mean(error[outside] ** 2)))


def orders(model: Model, step: float, span: float, initial: Mapping[str, float]) -> NDArray:
    """Observed orders of V after ``span`` ms from ``initial``, as the step is halved three times.

    log2 |V(2h) - V(h)| / |V(h) - V(h/2)| tends to the order without the bias that a finite reference step brings.
    """
    ends = []
    for halving in range(4):
        cell = Cell(model, step / 2**halving, initial)
        cell.advance(round(span / cell.dt))
        ends.append(cell.V)
    change = np.abs(np.diff(ends))
    return np.log2(change[:-1] / change[1:])
