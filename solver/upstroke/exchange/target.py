"""A model in the words of Myokit, which writes it as mmt or CellML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from upstroke.errors import ModelError, OutputError
from upstroke.exchange.source import myokit_package
from upstroke.ionic import initial_state
from upstroke.ionic.expr import Binary, Call, Expr, Name, Num, Select, Unary
from upstroke.ionic.model import Model

FORMATS = ("mmt", "cellml")

_FUNCTIONS = {"exp": "Exp", "log": "Log", "log10": "Log10", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "tan": "Tan",
              "asin": "ASin", "acos": "ACos", "atan": "ATan", "floor": "Floor", "ceil": "Ceil", "fabs": "Abs"}
_BINARY = {"+": "Plus", "-": "Minus", "*": "Multiply", "/": "Divide"}
_CONDITIONS = {"<": "Less", "<=": "LessEqual", ">": "More", ">=": "MoreEqual", "==": "Equal", "!=": "NotEqual",
               "&&": "And", "||": "Or"}
_SMALL = 1e-4       # |x| below which exp(x) - 1 and log(1 + x) are series: 3 terms more than double precision sees


def export_model(model: Model, path: Path, kind: str) -> None:
    """Write a model as ``mmt`` or ``cellml``.

    V follows C_m dV/dt = -Iion + stimulus at C_m = 1 uF/cm^2; the stimulus is the variable ``i_stim``, depolarising
    positive, which follows Myokit's pacing in mmt and is 0 in CellML.

    Raises ModelError for what these formats have no words for, OutputError where the file cannot be written,
    BackendError where Myokit is missing.
    """
    myokit = myokit_package()
    target = to_myokit(model)
    try:
        if kind == "mmt":
            myokit.save(str(path), target)
        else:
            myokit.formats.exporter("cellml").model(str(path), target)
    except OSError as error:
        raise OutputError(str(path), f"cannot write: {error.strerror}", "choose another --output") from None


def to_myokit(model: Model) -> Any:
    """The equations of a model as a ``myokit.Model``; names are as in the model, in the component ``cell``."""
    return _Translator(model).translated()


class _Translator:
    def __init__(self, model: Model) -> None:
        self.model, self.myokit = model, myokit_package()
        self.variables: dict[str, Any] = {}

    def translated(self) -> Any:
        model, myokit = self.model, self.myokit
        self.refuse()
        out = myokit.Model(model.name if model.name[:1].isalpha() else f"m{model.name}")
        for key in ("Title", "Authors", "Year", "Journal", "DOI"):
            if key in model.header:
                out.meta[key.lower()] = model.header[key]
        engine, cell = out.add_component("engine"), out.add_component("cell")
        self.variables["t"] = time = engine.add_variable("time", unit=myokit.units.ms, rhs=0, binding="time")
        pace = engine.add_variable("pace", rhs=0, binding="pace")
        start, units = initial_state(model), {p.name: p.unit for p in model.parameters} | model.units
        for name in start:
            self.add(cell, name).promote(start[name])
        for name in (p.name for p in model.parameters):
            self.add(cell, name)
        for name in (d.name for d in model.definitions):
            self.add(cell, name)
        stimulus = self.add(cell, "i_stim", "uA/cm^2")
        current = self.variables["Iion"] if "Iion" in self.variables else self.add(cell, "Iion", "uA/cm^2")
        stimulus.set_rhs(myokit.Name(pace))
        for parameter in model.parameters:
            self.variables[parameter.name].set_rhs(myokit.Number(parameter.value))
        for definition in model.definitions:
            self.variables[definition.name].set_rhs(self.number(definition.expr))
        assert model.iion is not None
        if "Iion" not in {d.name for d in model.definitions}:
            current.set_rhs(self.number(model.iion))
        for state in model.states:
            assert state.rate is not None
            self.variables[state.name].set_rhs(self.number(state.rate))
        V = self.variables["V"]
        V.set_rhs(myokit.Minus(myokit.Name(stimulus), myokit.Name(current)))
        V.set_label("membrane_potential")
        current.set_label("cellular_current")
        for name, unit in units.items() | {("V", "mV")}:
            self.give_unit(name, unit)
        assert time.binding() == "time"
        out.validate()
        return out

    def refuse(self) -> None:
        """What the other formats cannot say."""
        where = self.model.file or self.model.name
        if self.model.events:
            raise ModelError(self.model.events[0].place, "an event happens at the end of a step, which other formats "
                             "cannot say", "leave it out of the model before exporting")
        for state in self.model.states:
            if state.rate is None:
                raise ModelError(where, f"{state.name} has no rate: it is updated once per step, which other formats "
                                 "cannot say", "leave it out of the model before exporting")

    def add(self, cell: Any, name: str, unit: str = "") -> Any:
        """A variable by this name, or one as near to it as the other format allows."""
        own = name.lstrip("_").replace(".", "_") or "x"
        try:
            variable = cell.add_variable_allow_renaming(own)
        except self.myokit.InvalidNameError:                 # a word of Myokit's language
            variable = cell.add_variable_allow_renaming(f"{own}_")
        if unit:
            variable.set_unit(self.myokit.parse_unit(unit))
        self.variables[name] = variable
        return variable

    def give_unit(self, name: str, unit: str) -> None:
        """A unit that Myokit knows; others, and those of names that are gone, are left out."""
        if name not in self.variables or not unit:
            return
        try:
            known = self.myokit.parse_unit(unit.replace("unitless", "1").replace("Ohm", "R"))
        except self.myokit.MyokitError:
            return
        self.variables[name].set_unit(known)

    # Expressions

    def number(self, e: Expr) -> Any:
        """An expression whose value is a number; comparisons give 1 or 0."""
        m, go = self.myokit, self.number
        match e:
            case Num(value):
                return m.Number(value)
            case Name(name) if name in self.variables:
                return m.Name(self.variables[name])
            case Name(name):
                raise ModelError(self.model.file or self.model.name, f"the equations depend on {name}, which other "
                                 "formats do not have", "leave it out of the model before exporting")
            case Unary("-", a):
                return m.PrefixMinus(go(a))
            case Binary(op, a, b) if op in _BINARY:
                return getattr(m, _BINARY[op])(go(a), go(b))
            case Unary() | Binary():
                return m.If(self.condition(e), m.Number(1), m.Number(0))
            case Select(c, a, b):
                return m.If(self.condition(c), go(a), go(b))
            case Call(function, args):
                return self.call(function, args)
        raise AssertionError(e)

    def condition(self, e: Expr) -> Any:
        """An expression that is true or false; a number is true where it is not 0."""
        m = self.myokit
        match e:
            case Unary("!", a):
                return m.Not(self.condition(a))
            case Binary("&&" | "||" as op, a, b):
                return getattr(m, _CONDITIONS[op])(self.condition(a), self.condition(b))
            case Binary(op, a, b) if op in _CONDITIONS:
                return getattr(m, _CONDITIONS[op])(self.number(a), self.number(b))
        return m.NotEqual(self.number(e), m.Number(0))

    def call(self, function: str, args: tuple[Expr, ...]) -> Any:
        m = self.myokit
        if function in _FUNCTIONS:
            return getattr(m, _FUNCTIONS[function])(self.number(args[0]))
        a, b = args[0], args[-1]
        match function:
            case "pow":
                return m.Power(self.number(a), self.number(b))
            case "square":
                return m.Power(self.number(a), m.Number(2))
            case "cube":
                return m.Power(self.number(a), m.Number(3))
            case "atan2":
                raise ModelError(self.model.file or self.model.name, "the model uses atan2, which other formats lack",
                                 "write it by atan and conditions")
        return self.number(_spelled_out(function, a, b))


def _spelled_out(function: str, a: Expr, b: Expr) -> Expr:
    """Functions that Myokit lacks, by those it has."""
    def times(*factors: Expr | float) -> Expr:
        first, *rest = (f if not isinstance(f, float) else Num(f) for f in factors)
        for factor in rest:
            first = Binary("*", first, factor)
        return first

    def plus(x: Expr | float, y: Expr | float) -> Expr:
        x, y = (f if not isinstance(f, float) else Num(f) for f in (x, y))
        return Binary("+", x, y)

    size: Expr
    small = Binary("<", Call("fabs", (a,)), Num(_SMALL))
    match function:
        case "expm1":      # x (1 + x/2 (1 + x/3 (1 + x/4)))
            series = times(a, plus(1.0, times(a, 1 / 2, plus(1.0, times(a, 1 / 3, plus(1.0, times(a, 1 / 4)))))))
            return Select(small, series, Binary("-", Call("exp", (a,)), Num(1.0)))
        case "log1p":      # x (1 - x/2 (1 - 2x/3 (1 - 3x/4)))
            series = times(a, plus(1.0, times(a, -1 / 2, plus(1.0, times(a, -2 / 3, plus(1.0, times(a, -3 / 4)))))))
            return Select(small, series, Call("log", (plus(1.0, a),)))
        case "sinh":       # with e = exp(x) - 1: (e + e/(e + 1))/2
            e: Expr = Call("expm1", (a,))
            return times(plus(e, Binary("/", e, plus(e, 1.0))), 0.5)
        case "cosh":
            return times(plus(Call("exp", (a,)), Call("exp", (Unary("-", a),))), 0.5)
        case "tanh":       # with e = exp(2x) - 1: e/(e + 2), turned round for x > 0, where e may overflow
            down = Call("expm1", (times(-2.0, Call("fabs", (a,))),))
            size = Binary("/", Unary("-", down), plus(down, 2.0))
            return Select(Binary("<", a, Num(0.0)), Unary("-", size), size)
        case "cbrt":
            size = Call("pow", (Call("fabs", (a,)), Num(1 / 3)))
            return Select(Binary("<", a, Num(0.0)), Unary("-", size), size)
        case "min":
            return Select(Binary("<", a, b), a, b)
        case "max":
            return Select(Binary(">", a, b), a, b)
        case "fmod":       # a - b trunc(a/b)
            q = Binary("/", a, b)
            whole = Select(Binary("<", q, Num(0.0)), Call("ceil", (q,)), Call("floor", (q,)))
            return Binary("-", a, times(b, whole))
        case "heav":
            return Select(Binary(">=", a, Num(0.0)), Num(1.0), Num(0.0))
    raise AssertionError(function)
