"""Expressions and models, interpreted with floats or NumPy arrays: slow, plain, and the oracle for generated code.

Arithmetic is IEEE: 1/0 is inf and log(-1) is nan, without a warning; comparisons and logic give 0.0 or 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from upstroke.errors import ModelError, Place
from upstroke.ionic.expr import Binary, Call, Expr, Name, Num, Select, Unary
from upstroke.ionic.methods import METHODS, Method
from upstroke.ionic.model import Model, State
from upstroke.ionic.spelling import parameters_of, states_of

Number = Any                                            # float or array, broadcast against each other

BINARY: dict[str, Callable[[Number, Number], Number]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide,
    "<": lambda a, b: np.less(a, b) * 1.0, "<=": lambda a, b: np.less_equal(a, b) * 1.0,
    ">": lambda a, b: np.greater(a, b) * 1.0, ">=": lambda a, b: np.greater_equal(a, b) * 1.0,
    "==": lambda a, b: np.equal(a, b) * 1.0, "!=": lambda a, b: np.not_equal(a, b) * 1.0,
    "&&": lambda a, b: np.logical_and(a, b) * 1.0, "||": lambda a, b: np.logical_or(a, b) * 1.0,
}

FUNCTION: dict[str, Callable[..., Number]] = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log10": np.log10, "log1p": np.log1p, "sqrt": np.sqrt,
    "cbrt": np.cbrt, "pow": np.power, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "floor": np.floor, "ceil": np.ceil, "fabs": np.fabs, "min": np.fmin, "max": np.fmax, "fmod": np.fmod,
    "square": np.square, "cube": lambda x: x * x * x, "heav": lambda x: np.greater_equal(x, 0.0) * 1.0,
}


def value_of(expr: Expr, names: Mapping[str, Number]) -> Number:
    """The value of an expression; KeyError for a name that ``names`` lacks."""
    with np.errstate(all="ignore"):
        return _value(expr, names)


def _value(expr: Expr, names: Mapping[str, Number]) -> Number:
    match expr:
        case Num(value):
            return np.float64(value)
        case Name(name):
            return names[name]
        case Unary("-", a):
            return -_value(a, names)
        case Unary(_, a):
            return np.logical_not(_value(a, names)) * 1.0
        case Binary(op, a, b):
            return BINARY[op](_value(a, names), _value(b, names))
        case Call(function, args):
            return FUNCTION[function](*(_value(a, names) for a in args))
        case Select(condition, a, b):
            return _float(np.where(_value(condition, names), _value(a, names), _value(b, names)))
    raise AssertionError(expr)


def _float(value: Number) -> Number:
    return np.asarray(value, dtype=float)[()]


def _parameters(model: Model, changed: Mapping[str, Number]) -> dict[str, Number]:
    names = {p.name: np.float64(p.value) for p in model.parameters}
    return names | {name: _float(value) for name, value in parameters_of(model, changed).items()}


class _AtStart(Mapping[str, Number]):
    """Names at the initial state: each is computed when first asked for, whatever the order."""

    def __init__(self, model: Model, given: Mapping[str, Number], parameters: Mapping[str, Number]) -> None:
        self.model, self.path = model, list[str]()
        self.known: dict[str, Number] = {**_parameters(model, parameters), "t": np.float64(0), **given}
        self.exprs = {d.name: d.expr for d in model.definitions} | {s.name: s.init for s in model.states}
        self.places = {d.name: d.place for d in model.definitions} | {s.name: s.place for s in model.states}
        if model.v_init is not None:
            self.exprs["V"] = model.v_init

    def __getitem__(self, name: str) -> Number:
        if name not in self.known:
            if name in self.path:
                loop = " -> ".join([*self.path[self.path.index(name):], name])
                raise ModelError(self.where(name), f"the initial value of {name} depends on itself: {loop}",
                                 "break the circle with a number")
            if name not in self.exprs:
                raise ModelError(self.where(self.path[-1]), f"the initial value of {self.path[-1]} depends on {name}, "
                                 "which has none", "use parameters, V, other states and what follows from them")
            self.path.append(name)
            self.known[name] = _value(self.exprs[name], self)
            self.path.pop()
        return self.known[name]

    def where(self, name: str) -> Place | str:
        """Where a name is defined."""
        return self.places.get(name, f"model {self.model.name}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.exprs)

    def __len__(self) -> int:
        return len(self.exprs)


def initial_state(
    model: Model, overrides: Mapping[str, Number] | None = None, parameters: Mapping[str, Number] | None = None,
) -> dict[str, float]:
    """The initial V and states, in the model's order.

    Gates without an initial value start at their steady state at the initial V, also at one given in ``overrides``.
    Raises ModelError for a name in ``overrides`` that is no state, and where a value is not finite.
    """
    names = ["V", *(s.name for s in model.states)]
    overrides = states_of(model, overrides or {})
    start = _AtStart(model, {k: _float(v) for k, v in overrides.items()}, parameters or {})
    with np.errstate(all="ignore"):
        state = {name: start[name] for name in names}
    for name, value in state.items():
        if not np.all(np.isfinite(value)):
            broken = np.extract(~np.isfinite(value), value)[0]
            raise ModelError(start.where(name), f"the initial value of {name} is {broken}",
                             f"give it a finite one with {name}_init = ...;")
    return {name: float(value) if np.ndim(value) == 0 else value for name, value in state.items()}


def quantities(
    model: Model, V: Number, states: Mapping[str, Number], t: Number = 0.0, dt: Number = 0.0,
    parameters: Mapping[str, Number] | None = None,
) -> dict[str, Number]:
    """Every named quantity at a state: parameters, t, dt, V, states, definitions and Iion."""
    names = {**_parameters(model, parameters or {}), "t": t, "dt": dt, "V": _float(V)}
    for state in model.states:
        if state.name not in states:
            raise ModelError(f"model {model.name}", f"no value for the state '{state.name}'",
                             "start from initial_state(model)")
        names[state.name] = _float(states[state.name])
    with np.errstate(all="ignore"):
        for definition in model.definitions:
            names[definition.name] = _value(definition.expr, names)
        if model.iion is not None:
            names["Iion"] = _value(model.iion, names)
    return names


def rates(
    model: Model, V: Number, states: Mapping[str, Number], t: Number = 0.0, dt: Number = 0.0,
    parameters: Mapping[str, Number] | None = None,
) -> tuple[Number, dict[str, Number]]:
    """Iion (uA/cm^2) and ds/dt (1/ms of each state's unit) of every state that has a rate."""
    names = quantities(model, V, states, t, dt, parameters)
    return names["Iion"], {s.name: value_of(s.rate, names) for s in model.states if s.rate is not None}


@np.errstate(all="ignore")
def advance(
    model: Model, V: Number, states: Mapping[str, Number], t: float, dt: float, *,
    Istim: Number = 0.0, C_m: float = 1.0, parameters: Mapping[str, Number] | None = None,
) -> tuple[Number, dict[str, Number]]:
    """V and states one step later, each by its own method, as ``methods`` defines it.

    C_m dV/dt = -(Iion - Istim), ds/dt = f(V, s); Istim (uA/cm^2) is constant over the step, depolarising positive.
    Then events, all at once, on these values; then bounds.
    """
    membrane = State("V", Num(0.0), model.v_method)
    evolving = [membrane, *(s for s in model.states if s.rate is not None)]
    start: dict[str, Number] = {"V": _float(V), **{s.name: _float(states[s.name]) for s in model.states}}

    def at(point: Mapping[str, Number], time: float) -> dict[str, Number]:
        names = quantities(model, point["V"], point, time, dt, parameters)
        for derivative in model.jacobian.definitions:
            names[derivative.name] = _value(derivative.expr, names)
        return names

    def rate(state: State, names: Mapping[str, Number]) -> Number:
        if state is membrane:
            return -(names["Iion"] - Istim) / C_m
        assert state.rate is not None
        return value_of(state.rate, names)

    def weighted(weights: Sequence[float], k: Sequence[Mapping[str, Number]], name: str) -> Number:
        return dt * sum(w * stage[name] for w, stage in zip(weights, k[: len(weights)], strict=True))

    def entry(a: str, b: str, names: Mapping[str, Number]) -> Number:
        """d(rate of a)/d(b); where its expression overflows, as its parts may, 0."""
        value = value_of(model.jacobian.entries[a, b], names) / (C_m if a == "V" else 1.0)
        return np.where(np.isfinite(value), value, 0.0)

    def reached(state: State, step: float, stage: int) -> Number:
        """The value after ``step``, straight or exponentially, from what is known at a stage."""
        name, names = state.name, at_stage[stage]
        if not METHODS[state.method].exponential:
            return start[name] + step * k[stage][name]
        slope = entry(name, name, names) if state.slope is None else value_of(state.slope, names)
        z = step * slope
        phi = np.where(z == 0.0, 1.0, np.expm1(z) / np.where(z == 0.0, 1.0, z))
        return start[name] + step * phi * (k[stage][name] + slope * (start[name] - names[name]))

    def solved(method: Method, i: int) -> dict[str, Number]:
        """The k of stage i of a linearly implicit method."""
        own = [name for name in k[i] if methods[name] is method]
        before = [k[i - 1][name] if i else 0.0 for name in own]
        couple = [entry(a, b, at_stage[0]) if (a, b) in model.jacobian.entries else 0.0 for a in own for b in own]
        rest = [k[i][name] - old for name, old in zip(own, before, strict=True)]
        F = np.stack(np.broadcast_arrays(*rest, *couple), -1)
        J = F[..., len(own):].reshape(*F.shape[:-1], len(own), len(own))
        x = np.linalg.solve(np.eye(len(own)) - method.gamma * dt * J, F[..., :len(own), None])[..., 0]
        rates = {name: old + x[..., n] for n, (name, old) in enumerate(zip(own, before, strict=True))}
        for *others, last in model.jacobian.chains if i == 0 else ():
            if last in rates:
                rates[last] = -sum(rates[name] for name in others)
        return rates

    methods = {s.name: METHODS[s.method] for s in evolving}
    longest = max(methods.values(), key=lambda m: m.stages)
    at_stage: list[dict[str, Number]] = []
    k: list[dict[str, Number]] = []
    for i, c in enumerate(longest.c):
        point = dict(start)
        for s in evolving if i else ():
            own = methods[s.name]
            by_tableau = i < own.stages and not own.exponential
            point[s.name] = start[s.name] + weighted(own.A[i], k, s.name) if by_tableau else reached(s, c * dt, 0)
        at_stage.append(at(point, t + c * dt))
        k.append({s.name: rate(s, at_stage[i]) for s in evolving if i < methods[s.name].stages})
        for method in {m.name: m for m in methods.values() if m.gamma and i < m.stages}.values():
            k[i] |= solved(method, i)
    end = dict(start)
    for s in evolving:
        own = methods[s.name]
        end[s.name] = (reached(s, dt, own.stages - 1) if own.exponential
                       else start[s.name] + weighted(own.b, k, s.name))
    for s in model.states:
        if s.update is not None:
            end[s.name] = value_of(s.update, at_stage[0])
    if model.events:
        names, happened = quantities(model, end["V"], end, t + dt, dt, parameters), dict(end)
        for event in reversed(model.events):
            holds = value_of(event.condition, names)
            for change in event.changes:
                happened[change.name] = _float(np.where(holds, value_of(change.expr, names), happened[change.name]))
        end = happened
    for s in model.states:
        if s.lower is not None or s.upper is not None:
            end[s.name] = np.clip(end[s.name], s.lower, s.upper)
    return end.pop("V"), end
