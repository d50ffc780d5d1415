"""A model of another format as text of the model language, proven to have the same rates.

Gates of the form (x_inf - x)/tau_x or alpha_x (1 - x) - beta_x x, whose coefficients depend on V alone, are written as
such. V is in mV, time in ms, concentrations that are states in mM; every other quantity keeps its unit, and states it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from upstroke.errors import ModelError
from upstroke.exchange.names import Names
from upstroke.exchange.source import Source, myokit_package, read_source
from upstroke.ionic import read_model
from upstroke.ionic.evaluate import value_of
from upstroke.ionic.expr import Binary, Call, Expr, Name, Num, Select, Unary
from upstroke.ionic.model import Model
from upstroke.ionic.symbolic import ZERO, add, div, mul, neg, select, sub
from upstroke.ionic.text import equation, number, to_text
from upstroke.ionic.unitcheck import factor

#: Units for which Myokit's own words are long, or not ours
UNITS = ("unitless", "mV", "ms", "1/ms", "mM", "uA/cm^2", "A/F", "mS/cm^2", "mS/uF", "uF/cm^2", "mM/ms", "1/mV/ms",
         "1/mM", "1/mM/ms", "mV/ms", "uM", "nM", "uM/ms", "mM/s", "1/uM/ms", "C/mmol", "J/mol/K", "J/kmol/K", "um^3",
         "mm^3", "pL", "nL", "uL", "mL", "pL/ms", "mmol/ms", "kOhm", "kOhm*cm", "Ohm*cm", "1/mM^2/ms", "mM^4",
         "uA/cm^2/mM", "A/F/mM")

_UNARY = {"Sqrt": "sqrt", "Sin": "sin", "Cos": "cos", "Tan": "tan", "ASin": "asin", "ACos": "acos", "ATan": "atan",
          "Exp": "exp", "Log10": "log10", "Floor": "floor", "Ceil": "ceil", "Abs": "fabs"}
_INFIX = {"Equal": "==", "NotEqual": "!=", "More": ">", "Less": "<", "MoreEqual": ">=", "LessEqual": "<=", "And": "&&",
          "Or": "||"}
_SAME = 1e-10       # largest relative difference of a rate


@dataclass(frozen=True)
class Imported:
    """The text, the model read back from it, and how far its rates are from Myokit's."""

    text: str
    model: Model
    notes: tuple[str, ...]
    difference: float


def import_model(path: Path, name: str = "", *, vm: str = "", current: str = "", stimulus: str = "") -> Imported:
    """Translate a CellML, SBML or mmt file.

    Arguments
        path: the file; what it is, its ending tells.
        name: of the new model, in error messages.
        vm, current, stimulus: variables of the file, where it cannot be told which they are: the membrane voltage, the
            whole membrane current, the stimulus current.

    Raises ModelError for what cannot be translated, and where the rates of the new model differ from those that Myokit
    computes from the file; BackendError where Myokit is missing.
    """
    source = read_source(path, vm, current, stimulus)
    writer = _Writer(source, str(path))
    text = writer.text(path.name)
    model = read_model(text, name or path.stem)
    return Imported(text, model, tuple(source.notes), _proven(source, writer, model, str(path)))


class _Writer:
    """Names, scales and equations of the new model. A variable's new number is ``scale`` times the file's."""

    def __init__(self, source: Source, file: str) -> None:
        self.source, self.file = source, file
        self.myokit = myokit_package()
        self.states = [v for v in source.model.states() if v is not source.V]
        self.scale: dict[Any, float] = {source.V: source.to_mV, source.time: source.to_ms}
        self.unit: dict[Any, str] = {source.V: "mV"}
        self.find_concentrations()
        self.gates: dict[Any, tuple[Any, Any, bool]] = {}       # state -> the two, and whether they are x_inf and tau_x
        self.find_gates()
        self.kept = self.find_kept()
        self.names: dict[Any, str] = {}
        self.copies: list[tuple[str, Any]] = []                 # a coefficient that several gates share, once more
        self.name_all()

    # What is there

    def find_concentrations(self) -> None:
        for state in self.states:
            unit = state.unit()
            if unit is not None and self.myokit.Unit.can_convert(unit, self.myokit.units.M):
                self.unit[state] = "mM"
                scale = float(f"{float(self.myokit.Unit.conversion_factor(unit, 'mM')):.15g}")
                if scale != 1.0:
                    self.scale[state] = scale

    def find_gates(self) -> None:
        hh, V, to_ms = self.myokit.lib.hh, self.source.V, self.source.to_ms
        for state in self.states:
            pair, steady = hh.get_inf_and_tau(state, V), True
            if pair is None:
                pair, steady = hh.get_alpha_and_beta(state, V), False
            if pair is None or {V, self.source.time} & set(pair) or state in self.scale or pair[0] is pair[1]:
                continue
            wanted = {pair[1]: to_ms} if steady else dict.fromkeys(pair, 1 / to_ms)
            if any(self.scale.get(v, wanted.get(v, 1.0)) != wanted.get(v, 1.0) for v in pair) \
                    or (to_ms != 1.0 and any(set(pair) & set(other) and other_steady != steady
                                             for *other, other_steady in self.gates.values())):
                continue                                         # one variable in two roles
            if to_ms != 1.0:
                self.scale |= wanted
                self.unit |= dict.fromkeys(wanted, "ms" if steady else "1/ms")
            self.gates[state] = (*pair, steady)

    def find_kept(self) -> list[Any]:
        """All variables but V, time, states, and those that only the stimulus needed."""
        model, V, out = self.source.model, self.source.V, {self.source.V, self.source.time, *self.source.silent}
        needed, queue = set[Any](), [V, *self.states]
        while queue:
            for v in queue.pop().refs_to():
                if v not in needed:
                    needed.add(v)
                    queue.append(v)
        kept = {v: None for v in model.variables(deep=True, sort=False) if not v.is_state() and v not in out}
        while idle := [v for v in kept if v in self.source.protocol - needed and not set(v.refs_by()) & set(kept)]:
            kept = {v: None for v in kept if v not in idle}
        return list(kept)

    def name_all(self) -> None:
        given, names = Names(), self.names
        names |= {self.source.V: "V", self.source.time: "t"}

        def pair(v: Any) -> tuple[str, str]:
            parent = v.parent()
            inner = f"{v.name()}_{parent.name()}" if v.is_nested() else v.name()
            return inner, f"{_component(v)}_{inner}"

        others = [v for v in self.kept if v not in {u for a, b, _ in self.gates.values() for u in (a, b)}]
        everything = [*self.states, *others]
        shorts = [pair(v)[0] for v in everything]
        alone = [(s if shorts.count(s) == 1 else "", long) for s, long in map(pair, self.states)]
        names |= zip(self.states, given.take_all(alone, lambda name: bool(name)), strict=True)
        for state, (a, b, steady) in self.gates.items():
            x = names[state]
            for variable, name in zip((a, b), (f"{x}_inf", f"tau_{x}") if steady else (f"alpha_{x}", f"beta_{x}"),
                                      strict=True):
                given.given.add(name)
                if variable in names:
                    self.copies.append((name, variable))
                else:
                    names[variable] = name
        reserved = {f(names[s]) for s in self.states for f in (
            lambda x: f"{x}_inf", lambda x: f"tau_{x}", lambda x: f"alpha_{x}", lambda x: f"beta_{x}",
            lambda x: f"a_{x}", lambda x: f"b_{x}")}
        wanted = [(s if shorts.count(s) == 1 else "", long) for s, long in map(pair, others)]
        names |= zip(others, given.take_all(wanted, lambda name: bool(name) and name not in reserved), strict=True)

    # Expressions

    def rhs(self, variable: Any) -> Expr:
        """The right-hand side in the file's unit of the variable, of names in ours."""
        return self.translate(variable.rhs(), variable)

    def translate(self, e: Any, owner: Any) -> Expr:
        kind, go = type(e).__name__, lambda a: self.translate(a, owner)
        match kind:
            case "Number":
                return Num(e.eval())
            case "Name":
                return self.reference(e.var(), owner)
            case "PrefixPlus":
                return go(e[0])
            case "PrefixMinus":
                return neg(go(e[0]))
            case "Plus":
                return add(go(e[0]), go(e[1]))
            case "Minus":
                return sub(go(e[0]), go(e[1]))
            case "Multiply":
                return mul(go(e[0]), go(e[1]))
            case "Divide":
                return div(go(e[0]), go(e[1]))
            case "Quotient":
                return Call("floor", (div(go(e[0]), go(e[1])),))
            case "Remainder":
                a, b = go(e[0]), go(e[1])
                return sub(a, mul(b, Call("floor", (div(a, b),))))
            case "Power":
                return _power(go(e[0]), go(e[1]))
            case "Log":
                logs: list[Expr] = [Call("log", (go(a),)) for a in e]      # of the number, and of the base if given
                return reduce(div, logs)
            case "If":
                return select(go(e[0]), go(e[1]), go(e[2]))
            case "Piecewise":
                parts = [go(a) for a in e]
                last = parts.pop()
                for c, a in reversed(list(zip(parts[::2], parts[1::2], strict=True))):
                    last = select(c, a, last)
                return last
            case "Not":
                return Unary("!", go(e[0]))
            case _ if kind in _UNARY:
                return Call(_UNARY[kind], (go(e[0]),))
            case _ if kind in _INFIX:
                return Binary(_INFIX[kind], go(e[0]), go(e[1]))
        raise ModelError(self.file, f"{owner.qname()} uses {e.code()}, which the model language has no words for",
                         "write this part in other terms in the file")

    def reference(self, variable: Any, owner: Any) -> Expr:
        if variable in self.source.silent:
            return ZERO
        scale = self.scale.get(variable, 1.0)
        name = Name(self.names[variable])
        return div(name, Num(scale)) if scale >= 1 else mul(name, Num(1 / scale))

    def scaled(self, variable: Any) -> Expr:
        return _times(self.rhs(variable), self.scale.get(variable, 1.0))

    def rate(self, state: Any) -> Expr:
        return _times(self.rhs(state), self.rate_scale(state))

    def rate_scale(self, state: Any) -> float:
        """Our rate over the file's."""
        return self.scale.get(state, 1.0) / self.source.to_ms

    # Text

    def text(self, file: str) -> str:
        model, V = self.source.model, self.source.V
        initial = dict(zip(model.states(), model.initial_values(True), strict=True))
        parameters = [v for v in self.kept if v.is_literal()]
        lines = [*self.head(file), "", "V; .external(Vm); .nodal(); .units(mV);",
                 "Iion; .external(); .nodal(); .units(uA/cm^2);", ""]
        if parameters:
            lines += ["group {", *self.by_component(parameters, self.parameter), "} .param();", ""]
        lines += [self.start(V, initial[V]), *(self.start(s, initial[s]) for s in self.states)]
        declared = [(self.names[s], self.unit_text(s)) for s in self.states]
        lines += [f"{name}; .units({unit});" for name, unit in declared if unit not in ("", "unitless")]
        lines.append("")
        equations = [v for v in self.kept if not v.is_literal()]
        lines += self.by_component([*equations, *(s for s in self.states if s not in self.gates)], self.equation)
        if self.copies:
            lines += ["", "// Coefficients that several gates share"]
            lines += [f"{name} = {self.names[v]};" for name, v in self.copies]
        lines += ["", equation("Iion", _opposite(self.rate(V)))]
        return "\n".join(lines) + "\n"

    def head(self, file: str) -> list[str]:
        model = self.source.model
        title = str(model.meta.get("name") or model.name() or Path(file).stem)
        lines = [f"// Title: {' '.join(title.split())}",
                 f"// Comment: Imported from {file} through Myokit {self.myokit.__version__}; that file's terms of use "
                 "hold for this one."]
        lines += [f"// Comment: {note}" for note in self.source.notes]
        told = [str(model.meta[key]) for key in ("author", "desc") if model.meta.get(key)]
        lines += [f"// | {line.rstrip()}".rstrip() for text in told for line in text.strip().splitlines()]
        return [line.replace("*/", "* /") for line in lines]

    def by_component(self, variables: list[Any], line: Any) -> list[str]:
        lines: list[str] = []
        for component in self.source.model.components():
            its = [line(v) for v in variables if _component(v) == component.name()]
            if its:
                lines += [f"{' ' * (len(its[0]) - len(its[0].lstrip()))}// {component.name()}", *its]
        return lines

    def parameter(self, variable: Any) -> str:
        text = f"  {self.names[variable]} = {to_text(self.scaled(variable))};"
        unit = self.unit_text(variable)
        return f"{text:<27} {f'.units({unit});' if unit else _other_unit(variable)}".rstrip()

    def start(self, state: Any, value: float) -> str:
        return f"{self.names[state]}_init = {number(float(value) * self.scale.get(state, 1.0))};"

    def equation(self, variable: Any) -> str:
        if variable.is_state():
            return equation(f"diff_{self.names[variable]}", self.rate(variable))
        unit, name, value = self.unit_text(variable), self.names[variable], self.scaled(variable)
        if unit in ("", "unitless") and not _other_unit(variable):
            return equation(name, value)
        if unit:
            return equation(name, value, "" if unit == "unitless" else f" .units({unit});")
        return f"{_other_unit(variable)}\n{equation(name, value)}"

    def unit_text(self, variable: Any) -> str:
        """The unit in words of the model language, or nothing where they are lacking."""
        if variable in self.unit:
            return self.unit[variable]
        unit = variable.unit()
        if unit is None:
            return ""
        text = self.known_units.get(self.key(unit), str(unit).strip("[]"))
        try:
            factor(text.removeprefix("1/"))
        except (ModelError, ValueError):
            return ""
        return text

    @property
    def known_units(self) -> dict[tuple, str]:
        if not hasattr(self, "_known"):
            self._known: dict[tuple, str] = {}
            for text in reversed(UNITS):
                plain = text.replace("unitless", "1").replace("Ohm", "R")
                self._known[self.key(self.myokit.parse_unit(plain))] = text
        return self._known

    @staticmethod
    def key(unit: Any) -> tuple:
        return (*unit.exponents(), round(unit.multiplier_log_10(), 9))


def _component(variable: Any) -> str:
    return str(variable.qname()).partition(".")[0]


def _other_unit(variable: Any) -> str:
    return "" if variable.unit() is None else f"// {variable.unit()}"


def _times(expr: Expr, scale: float) -> Expr:
    if isinstance(expr, Binary) and scale != 1.0 and expr == Binary("/", expr.a, Num(scale)):
        return expr.a
    return mul(Num(scale), expr) if scale >= 1 else div(expr, Num(1 / scale))


def _opposite(expr: Expr) -> Expr:
    """-expr, without a sign in front where it can do without."""
    match expr:
        case Binary("-", a, b):
            return sub(b, a)
        case Binary("*" | "/" as op, a, b) if isinstance(a, Num | Unary | Binary):
            return (mul if op == "*" else div)(_opposite(a), b)
    return neg(expr)


def _power(a: Expr, b: Expr) -> Expr:
    match b:
        case Num(2.0):
            return Call("square", (a,))
        case Num(3.0):
            return Call("cube", (a,))
        case Num(0.5):
            return Call("sqrt", (a,))
    return Call("pow", (a, b))


def _proven(source: Source, writer: _Writer, model: Model, file: str) -> float:
    """The largest relative difference of a rate from Myokit's, at the start and at five states around it.

    Not counted is what rounding makes of a rate that is a small difference of large terms: how much it moves when the
    result of every operation moves in its last digit.
    """
    states, V = list(source.model.states()), source.V
    names = [writer.names[v] for v in states]
    scale = np.array([writer.scale.get(v, 1.0) for v in states])
    rate_scale = np.array([writer.rate_scale(v) for v in states])
    start = np.array(source.model.initial_values(True)) * scale
    random, worst = np.random.default_rng(0), 0.0

    for i in range(6):
        point = start if i == 0 else start * (1 + 0.1 * random.uniform(-1, 1, start.size))
        if i:
            point[states.index(V)] += 20 * i - 30
        expected = np.array(source.model.evaluate_derivatives(list(point / scale), ignore_errors=True)) * rate_scale
        state = dict(zip(names, point, strict=True))
        ours = _rates(model, state, lambda expr: expr)
        with np.errstate(all="ignore"):
            moved = [_rates(model, state, lambda expr: _shaken(expr, random)) for _ in range(4)]
            rounding = {name: 10 * max(abs(other[name] - ours[name]) for other in moved) for name in names}
        for name, right in zip(names, expected, strict=True):
            value = ours[name]
            difference = _relative(value, float(right), rounding[name])
            if difference > _SAME:
                raise ModelError(file, f"the translation of d{name}/dt is {value:.15g} where Myokit has {right:.15g}",
                                 "this is a defect of Upstroke: please report it with the file")
            worst = max(worst, difference)
    return worst


def _rates(model: Model, state: dict[str, float], changed: Callable[[Expr], Expr]) -> dict[str, float]:
    """dV/dt at C_m = 1 uF/cm^2 and ds/dt, of expressions that went through ``changed``."""
    names = {p.name: p.value for p in model.parameters} | {"t": 0.0, "dt": 0.0} | state
    for definition in model.definitions:
        names[definition.name] = value_of(changed(definition.expr), names)
    assert model.iion is not None
    return {"V": -float(value_of(changed(model.iion), names))} | {
        s.name: float(value_of(changed(s.rate), names)) for s in model.states if s.rate is not None}


def _shaken(expr: Expr, random: np.random.Generator) -> Expr:
    """The expression with every result off by a rounding error, conditions left alone."""
    match expr:
        case Binary("+" | "-" | "*" | "/" as op, a, b):
            expr = Binary(op, _shaken(a, random), _shaken(b, random))
        case Call(function, args):
            expr = Call(function, tuple(_shaken(a, random) for a in args))
        case Unary("-", a):
            return Unary("-", _shaken(a, random))
        case Select(c, a, b):
            return Select(c, _shaken(a, random), _shaken(b, random))
        case _:
            return expr
    return Binary("*", Num(1 + random.uniform(-4e-16, 4e-16)), expr)


def _relative(ours: float, theirs: float, noise: float) -> float:
    """|ours - theirs|/|theirs| beyond the noise; where theirs is not finite there is nothing to compare."""
    if not math.isfinite(theirs):
        return 0.0
    if not math.isfinite(ours):
        return math.inf
    return max(abs(ours - theirs) - noise, 0.0) / max(abs(theirs), 1e-20)
