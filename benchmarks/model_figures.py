"""What benchmarks/models.py measures of one model: agreement, precision, a hundred beats, speed."""

from __future__ import annotations

import ctypes
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import take_turns

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "numeric"))

import test_models as checks
from pacing import STRIDE, Cell, Pulses, apd, crossings, rms_outside_upstroke

from upstroke.backend import open_backend
from upstroke.backend.compiler import compile_c
from upstroke.codegen import generate
from upstroke.errors import ModelError
from upstroke.ionic import initial_state, load_model, rates
from upstroke.reference import integrate
from upstroke.step.state import State

Row = dict[str, Any]
DT = 0.02               # ms, of precision, beats and speed
FREE_SPAN = 5000.0      # ms, in which a cell that beats by itself is watched
BEATS = 100
RIVAL = "tenTusscherPanfilov"
CELLS = 16384           # of the speed: they fill all vectors, and a core's cache with room to spare
THREADS = 2
TURN = 0.05             # s, the least that a contestant's turn takes


# ------------------------------------------------------------------------------------------------ what a beat is
@dataclass(frozen=True)
class Beat:
    """What drives a cell through one beat, and the time that tells beats apart."""

    pulses: Pulses
    period: float       # ms
    level: float | None  # mV, of spikes; None: of a model that resets, in which V falls at once
    kind: str           # "APD90", "cycle" (a cell that beats by itself) or "spike" (the last one of a current step)

    def time(self, t: NDArray, V: NDArray) -> float:
        """APD90 from the stimulus, mean cycle or time of the last spike, ms; nan where there is none."""
        if self.kind == "APD90":
            return repolarised(t[t >= self.pulses.start - 1e-6] - self.pulses.start,
                               V[t >= self.pulses.start - 1e-6])
        spikes = self.spikes(t, V)
        if self.kind == "cycle":
            return float(np.mean(np.diff(spikes))) if len(spikes) > 1 else math.nan
        return float(spikes[-1] - self.pulses.start) if len(spikes) else math.nan

    def spikes(self, t: NDArray, V: NDArray) -> NDArray:
        return t[1:][np.diff(V) < -5.0] if self.level is None else crossings(t, V, self.level)


def beat_of(case: str) -> Beat:
    """A pulse, the largest of the current steps, or nothing, as the figures of the model have it."""
    figures = checks.CASES[case][1]
    if "pulse" in figures:
        return Beat(checks.paced(case), figures["pulse"]["period"], 0.0, "APD90")
    return max(steps_of(case), key=lambda beat: beat.pulses.current, default=Beat(Pulses(), FREE_SPAN, -20.0, "cycle"))


def steps_of(case: str) -> list[Beat]:
    """The current steps for which the model has times of spikes."""
    figures = checks.CASES[case][1]
    step = figures.get("spiking", figures.get("step", {}))
    return [Beat(Pulses(float(current) / step.get("C", 1.0), step["start"], step["duration"], step["total"]),
                 step["total"], step.get("spike_level"), "spike") for current in results_of(figures)]


def results_of(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is due, by current."""
    return figures.get("spiking", figures).get("results", {})


def repolarised(t: NDArray, V: NDArray) -> float:
    """When V has come down nine tenths of the way from its peak to its start; nan where it stays up.

    Not from the steepest upstroke: a passive membrane has none, and rounding would choose the step.
    """
    peak = int(np.argmax(V))
    level = V[peak] - 0.9 * (V[peak] - V[0])
    down = peak + int(np.argmax(V[peak:] < level))
    if down == peak:
        return math.nan
    return float(t[down - 1] + (V[down - 1] - level) / (V[down - 1] - V[down]) * (t[down] - t[down - 1]))


def first_case(name: str) -> str:
    return next(case for case in checks.CASES if case in checks.FIRST and checks.CASES[case][0] == name)


def relative(error: float) -> float | None:
    """Two digits are enough; None for what could not be measured."""
    return None if math.isnan(error) else float(f"{error:.2g}")


# ---------------------------------------------------------------------------------------------------- agreement
def agreement(name: str) -> Row:
    """By variant: ``rates``, ``trace_rms`` and ``apd90`` or ``time``; and ``by``, where CVODE on our own equations has
    to stand in for an independent trace."""
    rows: Row = {}
    for case in (c for c, (own, _) in checks.CASES.items() if own == name):
        figures = checks.CASES[case][1]
        row: Row = {"rates": relative(rate_error(case))} if "rhs" in figures else {}
        if "beat_1" in figures.get("features", {}):
            row |= first_beat(case)
        if results_of(figures):
            row |= {"time": relative(spike_error(case))}
        if "cycle_lengths" in figures.get("features", {}).get("first_2000ms", {}):
            row |= {"time": relative(cycle_error(case))}
        rows[case.removeprefix(f"{name}-")] = row
    if not any({"apd90", "time"} & row.keys() for row in rows.values()):
        rows[first_case(name).removeprefix(f"{name}-")] |= against_cvode(first_case(name))
    return rows


def rate_error(case: str) -> float:
    """The largest relative error of a rate, less what 13 digits of the state make of it."""
    worst = 0.0
    for check in checks.CASES[case][1]["rhs"]:
        state = check["state"]
        Iion, slopes = rates(checks.model(case), state["V"], state, check["t"])
        ours = {"V": -Iion, **slopes}
        for name, value in check["rate"].items():
            if name not in ours:                     # a state that is updated once a step has no rate
                continue
            beyond = abs(float(ours[name]) - value) - 1e-13 * abs(state.get(name, 0.0)) - 1e-20
            worst = max(worst, beyond / abs(value) if beyond > 0 else 0.0)
    return worst


def cell(case: str) -> Cell:
    return Cell(checks.model(case), checks.tolerance(case)["dt"], flags=checks.SMALL)


def first_beat(case: str) -> Row:
    figures = checks.CASES[case][1]
    t, V = checks.next_beat(cell(case), case)
    pulses = checks.paced(case)
    beat = t >= pulses.start - 1e-6
    expected = figures["features"]["beat_1"]["APD90"]
    return {"trace_rms": relative(rms_outside_upstroke(figures["traces"]["beat_1"], t, V, pulses.start)),
            "apd90": relative(abs(apd(t[beat] - pulses.start, V[beat], pulses, 90) / expected - 1))}


def spike_error(case: str) -> float:
    """The largest error of the last spike's time since the step began, over the currents; nan where one is missed."""
    worst = 0.0
    for beat, expected in zip(steps_of(case), results_of(checks.CASES[case][1]).values(), strict=True):
        due = np.array(expected.get("converged", expected["spike_times"])) - beat.pulses.start
        spikes = beat.spikes(*cell(case).run(beat.period, beat.pulses)) - beat.pulses.start
        if len(spikes) != len(due):
            return math.nan
        worst = max([worst, *np.abs(spikes[-1:] / due[-1:] - 1)])
    return float(worst)


def cycle_error(case: str) -> float:
    """The largest error of a cycle length in the first two seconds."""
    upstrokes = crossings(*cell(case).run(2000), -20)
    expected = checks.CASES[case][1]["features"]["first_2000ms"]["cycle_lengths"]
    return float(np.abs(np.diff(upstrokes) / expected - 1).max())


def against_cvode(case: str) -> Row:
    """What the methods' steps change of the first beat."""
    beat, model = beat_of(case), checks.model(case)
    t, V = cell(case).run(beat.period, beat.pulses)
    pulse = [(beat.pulses.start, beat.pulses.duration, beat.pulses.current)] if beat.pulses.current else []
    try:
        exact = integrate(model, t, pulse)["V"]
    except ModelError:                   # what is made for fixed steps
        return {}
    error = abs(beat.time(t, V) / beat.time(t, exact) - 1)
    return {"apd90" if beat.kind == "APD90" else "time": relative(error), "by": "cvode"}


# ---------------------------------------------------------------------------------------------------- precision
class PreciseCell(Cell):
    """A cell whose numbers have fewer digits."""

    def __init__(self, model: Any, dt: float, precision: Any) -> None:
        super().__init__(model, dt, flags=checks.SMALL)
        kernel = generate(model, "c", precision)
        self._library = ctypes.CDLL(str(compile_c(kernel.source, extra_flags=checks.SMALL)))
        self._library.upstroke_advance.restype = ctypes.c_long
        values = initial_state(model)
        real = np.float64 if precision == "fp64" else np.float32
        self.names = tuple(n for n in kernel.states if n not in kernel.wide)
        self._V = np.full(STRIDE, values["V"], real)
        self._S = np.array([[values[n]] * STRIDE for n in self.names], real).reshape(len(self.names), STRIDE)
        self._W = np.array([[values[n]] * STRIDE for n in kernel.wide]).reshape(len(kernel.wide), STRIDE)
        self._Iion, self._Istim = np.zeros((2, STRIDE), real)
        for name in ("V", "S", "W", "Iion", "Istim"):
            setattr(self._args, name, getattr(self, f"_{name}").ctypes.data)


def precision(name: str) -> Row:
    """The relative error of the first beat's time in ``fp32`` and ``mixed`` against fp64, at the same step; nothing
    for a cell that does nothing by itself."""
    case = first_case(name)
    beat = beat_of(case)
    times = {p: beat.time(*PreciseCell(checks.model(case), DT, p).run(beat.period, beat.pulses))
             for p in ("fp64", "fp32", "mixed")}
    if math.isnan(times["fp64"]):
        return {}
    return {p: relative(abs(times[p] / times["fp64"] - 1)) for p in ("fp32", "mixed")}


# -------------------------------------------------------------------------------------------------- 100 beats
def beats(name: str) -> Row:
    """BEATS beats, or as many seconds of a cell that beats by itself, at DT: how the lowest V (mV) and the time of the
    last beat differ from the first one's. Raises AssertionError where V is no number any more."""
    case = first_case(name)
    beat, one = beat_of(case), Cell(checks.model(case), DT, flags=checks.SMALL)
    count = round(BEATS * 1000.0 / FREE_SPAN) if beat.kind == "cycle" else BEATS

    def watched() -> tuple[float, float]:
        begin = one.step * DT
        t, V = one.run(begin + beat.period, beat.pulses)
        return float(V.min()), beat.time(t - begin, V)

    first = watched()
    one.run((count - 1) * beat.period, beat.pulses, every=1000)
    last = watched()
    return {"kind": beat.kind, "V_min": float(f"{last[0] - first[0]:.2g}"),
            "time": None if math.isnan(last[1] + first[1]) else float(f"{last[1] / first[1] - 1:.2g}")}


# ------------------------------------------------------------------------------------------------------- speed
def fast_source(name: str) -> str:
    return generate(load_model(name), "c", "fp64").source


def contestant(name: str) -> tuple[Callable[[], None], Callable[[int], None]]:
    """A turn of steps of CELLS cells from the model's initial state, each step a pass through memory as in a run; and
    how many steps a turn has."""
    backend = open_backend("cpu", THREADS, "fp64")
    model = load_model(name)
    kernel = generate(model, "c", "fp64")
    (group,) = State([(kernel, initial_state(model), CELLS)], backend).groups
    stage = backend.membrane(kernel.source, group.arrays, 1.0, DT)
    loop = backend.loop([stage])
    count = [1, 0]

    def turn() -> None:
        for _ in range(count[0]):
            loop.run(count[1])
            count[1] += 1

    def steps(n: int) -> None:
        count[0] = n

    return turn, steps


def calibrated(name: str) -> tuple[Callable[[], None], int]:
    """A turn that takes TURN at least, and its number of steps."""
    turn, steps = contestant(name)
    turn()
    n = 1
    while True:
        start = time.perf_counter()
        turn()
        if (taken := time.perf_counter() - start) > TURN / 2:
            n = max(1, round(n * TURN / taken))
            steps(n)
            return turn, n
        n *= 4
        steps(n)


def speed(name: str) -> Row:
    """``rate``: million cell-steps per second on THREADS threads in fp64; ``ratio``: to RIVAL's, which took turns."""
    (turn, n), (rival, m) = calibrated(name), calibrated(RIVAL)
    timings = take_turns({name: turn, "": rival}, rounds=9, clock=time.perf_counter)
    rate, other = CELLS * n / timings[name].median, CELLS * m / timings[""].median
    return {"rate": float(f"{rate / 1e6:.3g}"), "ratio": float(f"{rate / other:.3g}")}
