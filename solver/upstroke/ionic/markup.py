"""What a markup may say: ``.name(arguments)`` checked, and gathered for each name into a ``Marks``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from upstroke.errors import ModelError, Place, UpstrokeError, did_you_mean
from upstroke.ionic.expr import Expr, Name
from upstroke.ionic.parse import Markup, Value
from upstroke.ionic.unitcheck import Unit, read_unit


@dataclass(frozen=True)
class Spec:
    """How many arguments a markup takes, how it is written, and what it means."""

    least: int
    most: int
    form: str
    doc: str


MARKUPS: dict[str, Spec] = {
    "external": Spec(0, 1, ".external() or .external(NAME)", "shared with the simulator under a global name"),
    "nodal": Spec(0, 0, ".nodal()", "may differ from node to node"),
    "regional": Spec(0, 0, ".regional()", "may differ from region to region"),
    "param": Spec(0, 0, ".param()", "a number that the user may change"),
    "flag": Spec(1, 1000, ".flag(A, B, ...)", "a choice between named options"),
    "lookup": Spec(3, 3, ".lookup(min, max, step)", "may be tabulated by this variable"),
    "method": Spec(1, 1, ".method(NAME)", "integration method of a state or of V"),
    "store": Spec(0, 0, ".store()", "a state given by its assignment at the end of each step"),
    "trace": Spec(0, 0, ".trace()", "worth writing out"),
    "units": Spec(1, 1, ".units(mV)", "its unit"),
    "lb": Spec(1, 1, ".lb(number)", "lower bound"),
    "ub": Spec(1, 1, ".ub(number)", "upper bound"),
}


@dataclass
class Marks:
    """All markups of one name; places point at the markup, for errors found later."""

    external: str | None = None
    param: bool = False
    store: bool = False
    trace: bool = False
    options: tuple[str, ...] = ()
    method: str = ""
    unit: str = ""
    scale: Unit | None = None
    lookup: tuple[Value, ...] = ()
    lower: Value | None = None
    upper: Value | None = None
    places: dict[str, Place] = field(default_factory=dict)

    def place(self, markup: str) -> Place:
        """Where the markup stands."""
        return self.places[markup]


def read_marks(name: str, markups: Iterable[Markup], errors: list[UpstrokeError]) -> Marks:
    """The markups of ``name``; the same one may be given again, but not otherwise."""
    marks, given = Marks(), dict[str, Markup]()
    for markup in markups:
        spec, count = MARKUPS.get(markup.name), len(markup.arguments)
        if spec is None:
            remedy = did_you_mean(markup.name, MARKUPS)
            errors.append(ModelError(markup.place, f"unknown markup '.{markup.name}()'", remedy))
        elif not spec.least <= count <= spec.most:
            wanted = spec.least or spec.most
            what = f".{markup.name}() takes {wanted or 'no'} argument{'s' * (wanted > 1)}, not {count}"
            errors.append(ModelError(markup.place, what, f"write {spec.form}"))
        elif markup.name not in given:
            given[markup.name] = markup
            marks.places[markup.name] = markup.place
            try:
                _apply(name, markup, marks)
            except ModelError as error:
                errors.append(error)
        elif [a.expr for a in markup.arguments] != [a.expr for a in given[markup.name].arguments]:
            first = given[markup.name].place.line
            errors.append(ModelError(markup.place, f"{name} has another .{markup.name}() at line {first}", "keep one"))
    return marks


def _apply(name: str, markup: Markup, marks: Marks) -> None:
    match markup.name, markup.arguments:
        case "external", arguments:
            marks.external = _word(markup, arguments[0]) if arguments else name
        case "flag", arguments:
            marks.options = tuple(_word(markup, a) for a in arguments)
        case "method", (argument,):
            marks.method = _word(markup, argument)
        case "units", (argument,):
            marks.unit, marks.scale = read_unit(argument)
        case "lb", (argument,):
            marks.lower = argument
        case "ub", (argument,):
            marks.upper = argument
        case "lookup", arguments:
            marks.lookup = arguments
        case ("param" | "store" | "trace") as switch, _:
            setattr(marks, switch, True)


def _word(markup: Markup, argument: Value) -> str:
    expr: Expr = argument.expr
    if not isinstance(expr, Name):
        raise ModelError(argument.place, f".{markup.name}() takes names", f"write {MARKUPS[markup.name].form}")
    return expr.id
