"""How much the curve alpha(q) of the calibrated operator depends on a run's other choices, and what a wrong one costs.

    python benchmarks/waves_curves.py [MODEL ...]

For each model the curve is measured (`upstroke.waves`) at other time steps, splittings, schemes, precisions, methods
and parameters, and for premature waves: tissue in the state of a cell some milliseconds after its action potential has
repolarised by 90 %. Beside alpha at q = 0.5, 1 and 3 ms stands the error of the velocity of plane waves on lattices of
these q: with the lumped mass, and with the model's curve at dt = 0.02 ms, Godunov, Crank-Nicolson, default parameters.
Seconds are those of one core. Results are written to benchmarks/results/waves_curves.json (models that are not named
keep theirs) and, as tables, .md.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from upstroke import __version__
from upstroke.backend import open_backend
from upstroke.case.schema import TimeTable
from upstroke.codegen import generate
from upstroke.errors import UpstrokeError
from upstroke.ionic import initial_state, load_model
from upstroke.ionic.model import Model
from upstroke.space.curve import Curve
from upstroke.step.state import State
from upstroke.waves.tune import Tuning

RESULTS = Path(__file__).with_name("results") / "waves_curves.json"
TIME = TimeTable(end=1.0, dt=0.02)
Q = np.array([0.5, 1.0, 3.0])
STEPS: dict[str, dict[str, Any]] = {
    "as the table": {}, "dt 0.005": {"dt": 0.005}, "dt 0.01": {"dt": 0.01}, "dt 0.05": {"dt": 0.05},
    "Strang": {"splitting": "strang"}, "unsplit": {"splitting": "unsplit", "diffusion": "explicit"},
    "explicit": {"diffusion": "explicit"}, "backward Euler": {"diffusion": "backward_euler"},
    "4 reaction steps": {"reaction_steps": 4}}
CURRENTS = [{"GNa": "-62%"}, {"GNa": "*0.5"}, {"GK1": "-38%"}, {"Ko": "8"}]
PARAMETERS = {"tenTusscherPanfilov": CURRENTS, "LuoRudy91": CURRENTS, "Courtemanche": CURRENTS, "Tomek": CURRENTS,
              "MitchellSchaeffer": [{"tau_in": "*2"}, {"tau_in": "*0.5"}, {"V_gate": "*1.5"}]}
INTERVALS = 5.0, 10.0, 20.0, 50.0, 100.0, 200.0          # ms after repolarisation


def variants(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is changed, in words, and the arguments of a `Tuning`."""
    model = load_model(name)
    for words, steps in STEPS.items():
        yield words, {"model": model, "time": replace(TIME, **steps)}
    yield "fp32", {"model": model, "precision": "fp32"}
    yield "V by rk2", {"model": load_model(name, methods={"V": "rk2"})}
    yield "C_m 2 uF/cm^2", {"model": model, "C_m": 2.0}
    for flag in model.flags:
        for option in flag.options:
            if option != flag.value:
                yield option, {"model": load_model(name, [f"{flag.name}={option}"])}
    for change in PARAMETERS[name]:
        yield ", ".join(f"{key} {value}" for key, value in change.items()), {"model": load_model(name, (), change)}
    for interval, state in recovering(model).items():
        yield f"S2, {interval:g} ms after APD90", {"model": model, "initial": state}


def recovering(model: Model) -> dict[float, dict[str, float]]:
    """V and states of a cell some time after its action potential has repolarised by 90 %."""
    backend, dt = open_backend("cpu", 1, "fp64"), 0.01
    kernel, rest = generate(model, "c", "fp64"), initial_state(model)
    state = State([(kernel, rest, 1)], backend)
    reaction = backend.membrane(kernel.source, state.groups[0].arrays, 1.0, dt)
    state.Istim[:] = 60.0                                    # for 1.5 ms: 60 mV and more in any of the models
    peak, repolarised, found = rest["V"], 0.0, {}
    for n in range(round(1500.0 / dt)):
        if n == round(1.5 / dt):
            state.Istim[:] = 0.0
        reaction.run(n)
        V, t = float(state.V[0]), (n + 1) * dt
        peak = max(peak, V)
        if not repolarised and t > 50.0 and (peak - V) / (peak - rest["V"]) > 0.9:
            repolarised = t
        for interval in INTERVALS if repolarised else ():
            if interval not in found and t >= repolarised + interval:
                found[interval] = {name: float(state.variable(name)[0]) for name in rest}
        if len(found) == len(INTERVALS):
            break
    return found


def measured(arguments: dict[str, Any], table: Curve | None) -> tuple[dict[str, Any], Curve | None]:
    """One row: velocity, alpha, errors; or why there is none."""
    began = process_time()
    try:
        tuning = Tuning(**({"time": TIME} | arguments))
        curve = tuning.curve()
    except UpstrokeError as error:
        return {"failed": error.what}, None
    seconds, table = process_time() - began, table or curve
    return {"velocity": round(float(curve.velocity), 4), "alpha": np.round(curve(Q), 4).tolist(),
            "lumped": np.round(tuning.errors(Q, np.zeros(3)), 4).tolist(),
            "with_table": np.round(tuning.errors(Q, table(Q)), 4).tolist(), "seconds": round(seconds, 2)}, curve


def markdown(results: dict[str, Any]) -> str:
    """Tables of it."""
    lines = ["# alpha(q) and what it depends on", "",
             "Written by `python benchmarks/waves_curves.py`. Errors of the velocity of plane waves at these q, in %,",
             "with the lumped mass and with the curve of the first row. c/sqrt(D) in 1/sqrt(ms).", ""]
    for name, rows in results["models"].items():
        lines += [f"## {name}", "", "| | c/sqrt(D) | alpha, q = 0.5, 1, 3 ms | lumped | first row's curve |",
                  "|---|---|---|---|---|"]
        for words, row in rows.items():
            if "failed" in row:
                lines.append(f"| {words} | {row['failed'].partition(': ')[2] or row['failed']} | | | |")
                continue
            alpha = ", ".join(f"{a:.3f}" for a in row["alpha"])
            errors = [", ".join("no wave" if e == -1.0 else f"{100.0 * e:+.1f}" for e in row[key])
                      for key in ("lumped", "with_table")]
            lines.append(f"| {words} | {row['velocity']:.3f} | {alpha} | {errors[0]} | {errors[1]} |")
        lines.append("")
    return "\n".join(lines)


def main(names: list[str]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"models": {}}
    results |= {"version": __version__, "python": platform.python_version(), "q_ms": Q.tolist()}
    for name in names or PARAMETERS:
        table, rows = None, {}
        for words, arguments in variants(name):
            rows[words], curve = measured(arguments, table)
            table = table or curve
            print(name, words, rows[words], flush=True)
        results["models"][name] = rows
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    RESULTS.with_suffix(".md").write_text(markdown(results))


if __name__ == "__main__":
    main(sys.argv[1:])
