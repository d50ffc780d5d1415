"""A single cell by an adaptive method, so exactly that methods with fixed steps can be measured against it.

    C_m dV/dt = -(Iion(V, s) - Istim(t)),  ds/dt = f(V, s, t)

by CVODE of SUNDIALS (BDF of variable order), which calls the compiled right-hand side. Needs scikit-sundae, the extra
``reference``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upstroke.backend.compiler import compile_c
from upstroke.backend.cpu import KernelArgs
from upstroke.codegen import generate
from upstroke.errors import BackendError, DivergenceError, ModelError
from upstroke.ionic import initial_state
from upstroke.ionic.model import Model
from upstroke.ionic.symbolic import free_names

Pulse = tuple[float, float, float]
Rates = Callable[[float, NDArray[Any], float], NDArray[Any]]
_MANY = 10_000_000   # steps between two outputs: the user's patience is the limit


def integrate(
    model: Model, times: ArrayLike, stimulus: Iterable[Pulse] = (), *, initial: Mapping[str, float] | None = None,
    C_m: float = 1.0, rtol: float = 1e-8, atol: float = 1e-10, max_step: float = 0.0,
) -> dict[str, NDArray[np.float64]]:
    """V (mV) and every state of the model at ``times``, by CVODE (Hindmarsh et al. 2005, 10.1145/1089014.1089020).

    Parameters
    ----------
    model : checked equations; the methods of its states do not matter
    times : ms, (n,), rising; the cell starts at the first
    stimulus : pulses (start ms, duration ms, uA/cm^2 depolarising positive); they add up, and each of their edges is a
        restart
    initial : values of V and states at the start in place of the model's
    C_m : uF/cm^2
    rtol, atol : tolerances of a step, relative and in each state's own unit
    max_step : ms; 0: no limit. Needed only where the model's own equations jump in t

    Raises
    ------
    BackendError : scikit-sundae is not installed
    ModelError : the model has what needs steps of a fixed size: events, stored states, dt; or a state leaves its bounds
    DivergenceError : CVODE gave up
    ValueError : times that do not rise
    """
    try:
        from sksundae.cvode import CVODE
    except ImportError:
        raise BackendError("", "the method cvode needs scikit-sundae, which is not installed",
                           'pip install "upstroke[reference]"') from None
    t = np.array(times, dtype=float)
    if t.ndim != 1 or len(t) < 2 or not (np.diff(t) > 0).all():
        raise ValueError("times must be two or more that rise")
    _check(model)
    pulses = [(begin, begin + duration, current) for begin, duration, current in stimulus]
    edges = {at for begin, end, _ in pulses for at in (begin, end) if t[0] < at < t[-1]}
    rates = _compiled(model, C_m)
    y = np.array(list(initial_state(model, dict(initial or {})).values()), dtype=float)
    rows = [y]

    def slope(time: float, y: NDArray[Any], out: NDArray[Any], current: float) -> None:
        out[:] = rates(time, y, current)

    for begin, end in pairwise(sorted({t[0], *edges, t[-1]})):
        current = sum((amount for start, stop, amount in pulses if start <= begin and end <= stop), 0.0)
        solver = CVODE(slope, userdata=current, method="BDF", rtol=rtol, atol=atol, max_step=max_step,
                       max_num_steps=_MANY)
        wanted = t[(t > begin) & (t <= end)]
        stops = np.unique([begin, *wanted, end])
        found = solver.solve(stops, y)
        if not found.success:
            raise DivergenceError(f"t = {found.t[-1]:g} ms", f"CVODE gave up: {found.message}",
                                  "check the parameters and the stimulus, or give a larger rtol")
        y = np.array(found.y[-1])                # with two stops all steps come back, else one row for each stop
        rows += [y] if len(stops) == 2 and len(wanted) else list(found.y[1:1 + len(wanted)]) if len(wanted) else []
    names = ["V", *(s.name for s in model.states)]
    values = dict(zip(names, np.array(rows).T, strict=True))
    _check_bounds(model, values)
    return values


def _check(model: Model) -> None:
    """Nothing in it may need steps of a fixed size."""
    if model.events:
        raise ModelError(model.events[0].place, "an event happens at the end of a step, so cvode, which chooses its "
                         "own, cannot integrate the model", "use a method with fixed steps")
    for state in model.states:
        if state.rate is None:
            raise ModelError(state.place, f"{state.name} is updated once a step, so cvode cannot integrate it",
                             "give it a rate, or use a method with fixed steps")
    rates = [state.rate for state in model.states if state.rate is not None]
    used = [*rates, *(d.expr for d in model.definitions), *([] if model.iion is None else [model.iion])]
    if any("dt" in free_names(expr) for expr in used):
        raise ModelError(model.file, "the equations use dt, so cvode, which chooses its own, cannot integrate them",
                         "use a method with fixed steps")


def _check_bounds(model: Model, values: Mapping[str, NDArray[Any]]) -> None:
    """Bounds are not applied, so they must not be met."""
    for state in model.states:
        value = values[state.name]
        low, high = (-np.inf if state.lower is None else state.lower), (np.inf if state.upper is None else state.upper)
        if not ((value >= low) & (value <= high)).all():
            raise ModelError(state.place, f"{state.name} leaves its bounds, which cvode cannot hold",
                             "drop .lb() and .ub(), or use a method with fixed steps")


def _compiled(model: Model, C_m: float) -> Rates:
    """dV/dt and ds/dt at (t, y, Istim), y holding V and the states, by the model's C kernel."""
    kernel = generate(model, "c", "fp64")
    library = ctypes.CDLL(str(compile_c(kernel.source)))
    y, slope = np.zeros((2, 1 + len(kernel.states)))
    current = np.zeros(1)
    args = KernelArgs(V=y.ctypes.data, S=y[1:].ctypes.data, Iion=None, Istim=current.ctypes.data, stride=1, C_m=C_m)
    out = ctypes.c_void_p(slope.ctypes.data), ctypes.c_void_p(slope[1:].ctypes.data), None
    one = ctypes.c_long(0), ctypes.c_long(1), ctypes.byref(args)

    def rates(t: float, at: NDArray[Any], stimulus: float) -> NDArray[Any]:
        y[:], current[0], args.t = at, stimulus, t
        library.upstroke_rates(*one, *out)
        return slope

    return rates
