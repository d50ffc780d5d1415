"""Which curve a run has: one measured before for exactly what it does, a table beside the model, else a new one.

A table beside the model serves what it was measured for: the same equations, parameters, methods and initial state
(`identity`), the same scheme of diffusion, and a time step within 25 % of its own; Godunov and Strang count as one.
Over five ventricular and atrial models that leaves at most 0.6 % of the velocity at q = 1 ms and 0.9 % at 3 ms. Other
parameters are not served: K_o = 8 mM moves the right alpha so far that the table errs by 3 and 9 %. As a measurement
takes about as long as starting a run, nothing is stretched further (benchmarks/results/waves_curves.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

from upstroke.backend.compiler import cache_directory
from upstroke.case.schema import TimeTable
from upstroke.codegen.kernel import Precision
from upstroke.errors import BackendError, ModelError
from upstroke.ionic import initial_state
from upstroke.ionic.model import Model
from upstroke.space.curve import Curve
from upstroke.waves.table import SUFFIX, Table, read_tables, stamped, write_tables
from upstroke.waves.tune import measure

METHOD = 1                   # of measuring; what was measured by another is not used
ALIKE = 1.25                 # factor between time steps that one table serves
SAME_ORDER = {"godunov", "strang"}     # splittings that one table serves, with the same scheme of diffusion


def curve_of(model: Model, time: TimeTable, initial: Mapping[str, float] | None = None, *, C_m: float = 1.0,
             precision: Precision = "fp64") -> tuple[Curve, str]:
    """alpha(q) for a membrane, and a note for the user, empty where there is nothing to tell.

    Parameters
    ----------
    model : as loaded: its flags, parameters, methods and plug-ins are in it
    time : dt, splitting, diffusion and reaction_steps matter, end does not
    initial : V and states of resting tissue; default: the model's own
    C_m : uF/cm^2

    Raises
    ------
    ModelError where the model has no waves, or the table beside it is broken
    DivergenceError where V leaves the finite numbers while waves are measured
    """
    start = dict(initial or initial_state(model))
    kept = cache_file(model, time, start, C_m, precision)
    if found := _kept(kept):
        return found.curve, ""
    own, beside = identity(model, start, C_m), beside_model(model)
    for table in beside:
        if table.identity == own and _serves(table.curve, time):
            return table.curve, ""
    began = perf_counter()
    try:
        curve = measure(model, time, start, C_m=C_m, precision=precision)
    except BackendError as error:            # no C compiler; a GPU runs without
        if not beside:
            raise
        return beside[0].curve, (f"waves of {model.name}: those of its table, which was measured for "
                                 f"{told(beside[0].curve)}, as they cannot be measured here: {error.what}")
    write_tables(kept, [Table(stamped(curve), own)])
    if found := _kept(kept):                 # with the digits that are kept, so that the next run is the same
        curve = found.curve
    return curve, (f"waves of {model.name}: measured in {perf_counter() - began:.1f} s for the calibrated operator, "
                   f"kept in {kept}")


def beside_model(model: Model) -> tuple[Table, ...]:
    """The tables of the file NAME.waves beside NAME.model, where there is one. Raises ModelError where it is broken."""
    path = Path(model.file).with_suffix(SUFFIX)
    return read_tables(path) if path.is_file() else ()


def identity(model: Model, initial: Mapping[str, float], C_m: float) -> str:
    """A number for all that makes a front but the time steps: equations, parameters, methods, initial state, C_m."""
    parameters = [(p.name, p.value) for p in model.parameters]
    states = [(s.name, s.method, s.rate, s.slope, s.steady, s.update, s.lower, s.upper) for s in model.states]
    definitions = [(d.name, d.expr) for d in model.definitions]
    start = [(name, f"{float(initial[name]):.6g}") for name in ("V", *(s.name for s in model.states))]
    what = (METHOD, parameters, states, definitions, model.v_method, model.iion, start, float(C_m))
    return _hash(repr(what) + repr(model.events) * bool(model.events))


def cache_file(model: Model, time: TimeTable, initial: Mapping[str, float], C_m: float, precision: Precision) -> Path:
    """Where a curve for exactly this is kept, beside the compiled kernels."""
    steps = (time.dt, time.splitting, time.diffusion, time.reaction_steps, precision)
    return cache_directory() / f"{model.name}-{_hash(identity(model, initial, C_m) + repr(steps))}{SUFFIX}"


def told(curve: Curve) -> str:
    """What a curve was measured for, in words."""
    source = curve.source
    return ", ".join(source[key] for key in ("flags", "dt", "splitting", "diffusion") if source.get(key))


def _kept(path: Path) -> Table | None:
    """The table in the cache; one that is broken counts as none, and is written anew."""
    try:
        return read_tables(path)[0]
    except (ModelError, IndexError):
        return None


def _serves(curve: Curve, time: TimeTable) -> bool:
    source = curve.source
    dt = float(source["dt"].removesuffix(" ms"))
    return (source["diffusion"] == time.diffusion and source["reaction_steps"] == str(time.reaction_steps)
            and (source["splitting"] == time.splitting or {source["splitting"], time.splitting} <= SAME_ORDER)
            and 1.0 / ALIKE <= time.dt / dt <= ALIKE)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
