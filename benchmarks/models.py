"""How well every ionic model agrees with the figures in tests/data/models, and what fewer digits cost.

    python benchmarks/models.py [NAME ...]

For each variant that has figures: the largest relative error of a rate, the RMS of the first beat outside its upstroke
and the error of its APD90. For the first variant of each model also the error of APD90 in fp32 and mixed precision
against fp64, at the same step. With names, only those models are measured and put in the place of their old figures.
Then: python -m upstroke.ionic.page benchmarks/results/models.json > docs/models.md
"""

from __future__ import annotations

import ctypes
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESULTS = Path(__file__).with_name("results") / "models.json"
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "numeric"))

import test_models as checks  # noqa: E402
from pacing import STRIDE, Cell, apd, rms_outside_upstroke  # noqa: E402

from upstroke.backend.compiler import compile_c  # noqa: E402
from upstroke.codegen import generate  # noqa: E402
from upstroke.errors import UpstrokeError  # noqa: E402
from upstroke.ionic import initial_state, rates, shipped_models  # noqa: E402

PRECISION_DT = 0.02     # ms


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


def relative(error: float) -> float:
    """Two digits are enough."""
    return float(f"{error:.2g}")


def rate_error(case: str) -> float:
    """The largest relative error of a rate, less what 13 digits of the state make of it."""
    worst = 0.0
    for check in checks.CASES[case][1]["rhs"]:
        state = check["state"]
        Iion, slopes = rates(checks.model(case), state["V"], state, check["t"])
        ours = {"V": -Iion, **slopes}
        for name, value in check["rate"].items():
            beyond = abs(float(ours[name]) - value) - 1e-13 * abs(state.get(name, 0.0)) - 1e-20
            worst = max(worst, beyond / abs(value) if beyond > 0 else 0.0)
    return worst


def first_beat(case: str) -> dict[str, float]:
    figures = checks.CASES[case][1]
    t, V = checks.next_beat(Cell(checks.model(case), checks.tolerance(case)["dt"], flags=checks.SMALL), case)
    pulses = checks.paced(case)
    beat = t >= pulses.start - 1e-6
    expected = figures["features"]["beat_1"]["APD90"]
    return {"trace_rms": relative(rms_outside_upstroke(figures["traces"]["beat_1"], t, V, pulses.start)),
            "apd90": relative(abs(apd(t[beat] - pulses.start, V[beat], pulses, 90) / expected - 1))}


def repolarised(t: NDArray, V: NDArray) -> float:
    """When V has come down nine tenths of the way from its peak to its start; nan where it stays up."""
    peak = int(np.argmax(V))
    level = V[peak] - 0.9 * (V[peak] - V[0])
    down = peak + int(np.argmax(V[peak:] < level))
    if down == peak:
        return math.nan
    return float(t[down - 1] + (V[down - 1] - level) / (V[down - 1] - V[down]) * (t[down] - t[down - 1]))


def precision_errors(case: str) -> dict[str, float | None]:
    """The relative error of the first APD90, from the start of the pulse, in fp32 and mixed against fp64.

    None where the cell stays up. Not from the steepest upstroke: a passive membrane has none, and rounding would choose
    the step.
    """
    pulses, durations = checks.paced(case), {}
    for precision in ("fp64", "fp32", "mixed"):
        cell = PreciseCell(checks.model(case), PRECISION_DT, precision)
        t, V = cell.run(pulses.start + pulses.period, pulses)
        beat = t >= pulses.start - 1e-6
        durations[precision] = repolarised(t[beat] - pulses.start, V[beat])
    return {name: None if math.isnan(durations[name]) else relative(abs(durations[name] / durations["fp64"] - 1))
            for name in ("fp32", "mixed")}


def measured(name: str) -> dict[str, dict[str, float | None]]:
    """The figures of one model, by variant."""
    rows: dict[str, dict[str, float | None]] = {}
    for case in (c for c, (own, _) in checks.CASES.items() if own == name):
        figures = checks.CASES[case][1]
        row: dict[str, float | None] = {"rates": relative(rate_error(case))} if "rhs" in figures else {}
        if "beat_1" in figures.get("features", {}):
            row |= first_beat(case)
        if case in checks.FIRST and "pulse" in figures:
            row |= precision_errors(case)
        rows[case.removeprefix(f"{name}-")] = row
    return rows


def main() -> None:
    names = sys.argv[1:] or sorted({name for name, _ in checks.CASES.values()})
    known = {info.name for info in shipped_models()}
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names:
        if name not in known:
            raise SystemExit(f"no model {name}")
        try:
            results[name] = measured(name)
        except (AssertionError, UpstrokeError) as error:
            raise SystemExit(f"{name}: {error}") from None
        print(name, results[name], flush=True)
        RESULTS.write_text(json.dumps({n: results[n] for n in sorted(results, key=str.lower) if n in known}, indent=1)
                           + "\n")


if __name__ == "__main__":
    main()
