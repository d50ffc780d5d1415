"""Syntax tree -> one equation per name: groups and if-blocks flattened, accumulators summed, each given once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from upstroke.errors import ModelError, Place, UpstrokeError
from upstroke.ionic.expr import Binary, Expr, Name, Select
from upstroke.ionic.model import Change, Event
from upstroke.ionic.parse import Assign, Declare, If, Markup, Program, Statement, Value, When
from upstroke.ionic.symbolic import ONE, ZERO, add, affine, div, free_names, mul, select, sub, substitute

NEUTRAL = {"+=": ZERO, "-=": ZERO, "*=": ONE, "/=": ONE}
APPLY = {"+=": add, "-=": sub, "*=": mul, "/=": div}


@dataclass(frozen=True)
class Symbol:
    """A name of the model with all that the file says of it.

    ``expr`` is None for a bare declaration. ``gap`` is the place of the ``if`` that leaves the name without a value
    where its condition fails: there the name stands for its own old value. ``bare`` marks an accumulator without a
    first value, ``added`` one written as Iion = Iion + ....
    """

    name: str
    place: Place
    expr: Expr | None = None
    uses: Mapping[str, Place] = field(default_factory=dict)
    markups: tuple[Markup, ...] = ()
    gap: Place | None = None
    bare: bool = False
    added: bool = False


@dataclass(frozen=True)
class _Equation:
    name: str
    op: str
    value: Value
    place: Place
    gap: Place | None = None


@dataclass
class _Collector:
    errors: list[UpstrokeError]
    declared: dict[str, Place] = field(default_factory=dict)
    markups: dict[str, list[Markup]] = field(default_factory=dict)


def collect(program: Program, canonical: Mapping[str, str], mistakes: list[UpstrokeError]) -> dict[str, Symbol]:
    """The symbols of a program in the order of the text; mistakes are noted.

    ``canonical`` gives the names a model uses for V and Iion their own: {"Vm": "V"}.
    """
    out = _Collector(mistakes)
    equations = _flatten(_without_events(program), out)
    rename = {local: Name(name) for local, name in canonical.items()}
    by_name: dict[str, list[_Equation]] = {}
    for equation in equations:
        by_name.setdefault(canonical.get(equation.name, equation.name), []).append(_renamed(equation, rename))
    markups: dict[str, list[Markup]] = {}
    for local, marks in out.markups.items():
        markups.setdefault(canonical.get(local, local), []).extend(marks)
    symbols: dict[str, Symbol] = {}
    for local, place in out.declared.items():
        name = canonical.get(local, local)
        its = tuple(markups.get(name, ()))
        if name not in symbols:
            found = by_name.get(name)
            symbols[name] = _merge(name, found, its, mistakes) if found else Symbol(name, place, markups=its)
    return symbols


def markups_of(program: Program) -> dict[str, list[Markup]]:
    """The markups of each name as the text spells it."""
    out = _Collector([])
    _flatten(_without_events(program), out)
    return out.markups


def collect_events(
    program: Program, canonical: Mapping[str, str], mistakes: list[UpstrokeError],
) -> list[tuple[Event, Mapping[str, Place]]]:
    """The events in the order of the text, each with the names it reads; mistakes are noted."""
    rename: dict[str, Expr] = {local: Name(name) for local, name in canonical.items()}
    found: list[tuple[Event, Mapping[str, Place]]] = []
    for when in (statement for statement in program.statements if isinstance(statement, When)):
        out = _Collector(mistakes)
        test = _renamed(_Equation("", "=", when.condition, when.place), rename).value
        changes: dict[str, list[_Equation]] = {}
        for equation in _flatten(when.body, out):
            changes.setdefault(canonical.get(equation.name, equation.name), []).append(_renamed(equation, rename))
        marks = [*when.markups, *(mark for marks in out.markups.values() for mark in marks)]
        if marks:
            mistakes.append(ModelError(marks[0].place, f"an event changes values; .{marks[0].name}() belongs to the "
                                       "name itself", f"write NAME; .{marks[0].name}(...); outside"))
        elif not changes:
            mistakes.append(ModelError(when.place, "the event changes nothing", "write when (...) { NAME = value; }"))
        uses = dict(test.uses)
        for equation in (e for equations in changes.values() for e in equations):
            uses = {**equation.value.uses, **uses}
        event = Event(test.expr, tuple(_change(name, equations, mistakes) for name, equations in changes.items()),
                      when.place)
        found.append((event, uses))
    return found


def _change(name: str, equations: list[_Equation], errors: list[UpstrokeError]) -> Change:
    """All equations of an event for a name as one; += and the like begin with its value before the event."""
    bases = [e for e in equations if e.op == "="]
    errors += [_twice(again, bases[0]) for again in bases[1:]]
    expr = bases[0].value.expr if bases else Name(name)
    for step in (e for e in equations if e.op != "="):
        expr = APPLY[step.op](expr, step.value.expr)
    return Change(name, expr, equations[0].place)


def _without_events(program: Program) -> list[Statement]:
    return [statement for statement in program.statements if not isinstance(statement, When)]


def _renamed(equation: _Equation, names: Mapping[str, Expr]) -> _Equation:
    if not names:
        return equation
    value = equation.value
    uses = {n.id if isinstance(n := names.get(use), Name) else use: place for use, place in value.uses.items()}
    value = Value(substitute(value.expr, names), uses, value.place)
    return _Equation(equation.name, equation.op, value, equation.place, equation.gap)


def _flatten(statements: Iterable[Statement], out: _Collector, outer: tuple[Markup, ...] = ()) -> list[_Equation]:
    """The equations of a block; declarations and markups go to ``out``."""
    equations: list[_Equation] = []
    for statement in statements:
        own = {markup.name for markup in statement.markups}
        marks = statement.markups + tuple(markup for markup in outer if markup.name not in own)
        match statement:
            case Declare(name, place):
                out.declared.setdefault(name, place)
                out.markups.setdefault(name, []).extend(marks)
            case Assign(name, op, value, place):
                out.declared.setdefault(name, place)
                out.markups.setdefault(name, []).extend(marks)
                equations.append(_Equation(name, op, value, place))
            case If():
                equations += _conditional(statement, out, marks)
            case When():
                out.errors.append(ModelError(statement.place, "an event stands inside another block",
                                             "write it outside; its condition may hold more: when (a && b) { ... }"))
            case _:
                equations += _flatten(statement.body, out, marks)
    return equations


def _conditional(statement: If, out: _Collector, marks: tuple[Markup, ...]) -> list[_Equation]:
    """An if-block as nested conditional expressions, one for each name assigned in it."""
    conditions = [b.condition for b in statement.branches if b.condition is not None]
    bodies = [_flatten(branch.body, out, marks) for branch in statement.branches]
    if statement.branches[-1].condition is not None:
        bodies.append([])                                           # an else that assigns nothing
    guards = {use: place for c in reversed(conditions) for use, place in c.uses.items()}

    def choose(arms: list[Expr]) -> Expr:
        expr = arms[-1]
        for condition, arm in zip(reversed(conditions), reversed(arms[:-1]), strict=True):
            expr = select(condition.expr, arm, expr)
        return expr

    assigned: dict[str, list[_Equation | None]] = {}
    result: list[_Equation] = []
    for i, body in enumerate(bodies):
        for equation in body:
            uses = {**equation.value.uses, **guards}
            if equation.op == "=":
                arms = assigned.setdefault(equation.name, [None] * len(bodies))
                if (first := arms[i]) is not None:
                    out.errors.append(_twice(equation, first))
                else:
                    arms[i] = equation
            else:
                neutral: list[Expr] = [NEUTRAL[equation.op]] * len(bodies)
                neutral[i] = equation.value.expr
                value = Value(choose(neutral), uses, equation.value.place)
                result.append(_Equation(equation.name, equation.op, value, equation.place))
    for name, arms in assigned.items():
        given = [arm for arm in arms if arm is not None]
        uses = {use: place for arm in reversed(given) for use, place in arm.value.uses.items()} | guards
        gap = next((arm.gap for arm in given if arm.gap), statement.place if len(given) < len(arms) else None)
        expr = choose([Name(name) if arm is None else arm.value.expr for arm in arms])
        if gap:
            uses.setdefault(name, given[0].place)
        result.append(_Equation(name, "=", Value(expr, uses, given[0].value.place), given[0].place, gap))
    return result


def _twice(again: _Equation, first: _Equation) -> ModelError:
    return ModelError(again.place, f"{again.name} is assigned a second time; the first is at line {first.place.line}",
                      "a name is given its value once; use another name, += to add to it, or if {...} else {...}")


def _merge(name: str, equations: list[_Equation], markups: tuple[Markup, ...], errors: list[UpstrokeError]) -> Symbol:
    """All equations of a name as one."""
    bases = [e for e in equations if e.op == "="]
    steps = [e for e in equations if e.op != "="]
    added: list[_Equation] = []
    if name == "Iion":                                              # Iion = Iion + a says the same as Iion += a
        added = [e for e in bases if affine(e.value.expr, name) == ONE]
        bases = [e for e in bases if e not in added]
        for e in added:
            addend = replace(e.value, expr=_tidy(substitute(e.value.expr, {name: ZERO})))
            steps.append(_Equation(name, "+=", addend, e.place))
    errors += [_twice(again, bases[0]) for again in bases[1:]]
    kinds = {NEUTRAL[e.op] for e in steps}
    if not bases and len(kinds) > 1:
        errors.append(ModelError(steps[0].place, f"{name} is both added to and multiplied, but has no first value",
                                 f"begin with {name} = ...;"))
    expr = bases[0].value.expr if bases else NEUTRAL[steps[0].op]
    for step in steps:
        expr = APPLY[step.op](expr, step.value.expr)
    uses = {use: place for e in reversed(equations) for use, place in e.value.uses.items()}
    if name not in free_names(expr):
        uses.pop(name, None)
    gap = bases[0].gap if bases else None
    return Symbol(name, equations[0].place, expr, uses, markups, gap, not bases, bool(added))


def _tidy(expr: Expr) -> Expr:
    """0 + a -> a, left over where Iion = Iion + a lost its Iion."""
    match expr:
        case Binary("+", a, b):
            return add(_tidy(a), b)
        case Binary("-", a, b):
            return sub(_tidy(a), b)
        case Select(c, a, b):
            return select(c, _tidy(a), _tidy(b))
    return expr
