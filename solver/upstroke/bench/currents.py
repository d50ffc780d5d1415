"""The currents of a model, found in its equations: Iion = sum of terms, and the parameter that scales a current."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from upstroke.errors import ModelError, did_you_mean
from upstroke.ionic.expr import Binary, Call, Expr, Name, Num, Select, Unary
from upstroke.ionic.model import Model
from upstroke.ionic.spelling import like
from upstroke.ionic.symbolic import ONE, ZERO, add, div, free_names, mul, neg


def definitions_of(model: Model) -> dict[str, Expr]:
    """The definitions of a model by name."""
    return {d.name: d.expr for d in model.definitions}


def degree(expr: Expr, names: Collection[str], definitions: Mapping[str, Expr]) -> int | None:
    """n where the expression is, by its form, a sum of products with n factors of ``names`` each; else None.

    0 is free of them, 1 proportional to them, as a current to its conductance. Definitions are seen through.
    """
    memo: dict[str, int | None] = dict.fromkeys(names, 1)

    def same(a: Expr, b: Expr) -> int | None:
        if ZERO in (a, b):                                     # zero is of any degree
            return of(b if a == ZERO else a)
        return of(a) if of(a) == of(b) else None

    def of(e: Expr) -> int | None:
        match e:
            case Name(n):
                if n not in memo:
                    memo[n] = of(definitions[n]) if n in definitions else 0
                return memo[n]
            case Unary("-", a):
                return of(a)
            case Binary("+" | "-", a, b):
                return same(a, b)
            case Binary("*", a, b):
                left, right = of(a), of(b)
                return None if left is None or right is None else left + right
            case Binary("/", a, b):
                return of(a) if of(b) == 0 else None
            case Select(c, a, b):
                return same(a, b) if of(c) == 0 else None
            case Num():
                return 0
            case Unary(_, a):
                parts: tuple[Expr, ...] = (a,)
            case Binary(_, a, b):
                parts = (a, b)
            case Call(_, parts):
                pass
        return 0 if all(of(part) == 0 for part in parts) else None

    return of(expr)


@dataclass(frozen=True)
class Terms:
    """Iion = sum of factor x current + rest. No state changes a factor; ``parts`` are what makes up a current."""

    factors: dict[str, Expr]
    rest: Expr
    parts: frozenset[str]


def terms(model: Model) -> Terms:
    """The currents that make up Iion.

    A current is a definition that changes with V or a state. One that is itself a sum of currents, say all that
    sodium carries, is taken apart, but not where the parts are called after it: ICaL = ICaL_i + ICaL_ss is one.
    """
    assert model.iion is not None
    definitions = definitions_of(model)
    moving = {"V", "t", *(s.name for s in model.states)}
    for d in model.definitions:                                # sorted: each after those it uses
        if not moving.isdisjoint(free_names(d.expr)):
            moving.add(d.name)
    currents = moving & definitions.keys()
    factors: dict[str, Expr] = {}
    rest: list[Expr] = []
    within: set[str] = set()

    def take(e: Expr, factor: Expr) -> None:
        match e:
            case Name(n) if n in currents:
                parts = summands(definitions[n], lambda e: isinstance(e, Num))
                if len(parts) > 1 and not all(part.startswith(n) for part in parts):
                    take(definitions[n], factor)
                else:
                    within.update(parts)
                    factors[n] = add(factors.get(n, ZERO), factor)
            case Unary("-", a):
                take(a, neg(factor))
            case Binary("+", a, b):
                take(a, factor)
                take(b, factor)
            case Binary("-", a, b):
                take(a, factor)
                take(b, neg(factor))
            case Binary("*", a, b) if summands(b) and constant(a):
                take(b, mul(factor, a))
            case Binary("*", a, b) if summands(a) and constant(b):
                take(a, mul(factor, b))
            case Binary("/", a, b) if summands(a) and constant(b):
                take(a, div(factor, b))
            case _:
                rest.append(mul(factor, e))

    def constant(e: Expr) -> bool:
        return moving.isdisjoint(free_names(e))

    def summands(e: Expr, factor: Callable[[Expr], bool] = constant) -> list[str]:
        """The currents of which an expression is a sum with constant factors; none where it is not."""
        match e:
            case Name(n) if n in currents:
                return [n]
            case Unary("-", a):
                return summands(a, factor)
            case Binary("+" | "-", a, b):
                left, right = summands(a, factor), summands(b, factor)
                return [*left, *right] if left and right else []
            case Binary("*", a, b) if factor(a) or factor(b):
                return summands(b if factor(a) else a, factor)
            case Binary("/", a, b) if factor(b):
                return summands(a, factor)
        return []

    take(model.iion, ONE)
    other: Expr = ZERO
    for part in rest:
        other = add(other, part)
    return Terms({name: factor for name, factor in factors.items() if factor != ZERO}, other, frozenset(within))


@dataclass(frozen=True)
class Conductance:
    """A parameter and the currents of Iion that are proportional to it, all of them through one channel."""

    parameter: str
    currents: tuple[str, ...]


def current_named(model: Model, name: str) -> str | None:
    """The definition of a model that a user means by IKr or I_Kr; None where there is none."""
    return _one(model, name, [d.name for d in model.definitions])


def conductance(model: Model, name: str) -> Conductance:
    """The maximal conductance that a user means by IKr, I_Kr or GKr: a parameter that scales currents and nothing else.

    It is the parameter of this name, or the one to which the current of this name is proportional, or, where only parts
    of a current have names (INa_junc, INa_sl for INa), the G of the same name.

    Raises
    ------
    ModelError : there is none; more than one, which do not scale the same currents
    """
    where, scales = f"model {model.name}", _Scales(model)
    parameters = [p.name for p in model.parameters]
    if current := current_named(model, name):
        found = [c for p in parameters if scales.degree(current, p) == 1 and (c := scales.alone(p))]
        if len({c.currents for c in found}) > 1:
            raise ModelError(where, f"{current} is proportional to {' and '.join(c.parameter for c in found)}",
                             f"name one of them instead of {current}")
        if not found:
            raise ModelError(where, f"{current} is proportional to no parameter that changes nothing but currents",
                             scales.known())
        return found[0]
    plain = name.replace("_", "")
    parameter = _one(model, name, parameters) or (_one(model, f"G{plain[1:]}", parameters) if plain[:1] == "I" else "")
    if not parameter:
        raise ModelError(where, f"no current or conductance '{name}'",
                         did_you_mean(name, [*scales.terms.factors, *parameters]))
    if only := scales.alone(parameter):
        return only
    raise ModelError(where, f"{parameter} is no conductance: it changes more than currents", scales.known())


def _one(model: Model, name: str, names: list[str]) -> str | None:
    found = [name] if name in names else like(name, names)
    if len(found) > 1:
        raise ModelError(f"model {model.name}", f"'{name}' may be {' or '.join(found)}",
                         "give it as it is spelled there")
    return found[0] if found else None


class _Scales:
    """What the parameters of a model scale."""

    def __init__(self, model: Model) -> None:
        self.model, self.terms, self.definitions = model, terms(model), definitions_of(model)
        others = {n: e for n, e in self.definitions.items() if n not in {*self.terms.factors, *self.terms.parts}}
        elsewhere = [e for s in model.states for e in (s.rate, s.update) if e is not None]
        self.elsewhere = _reached([*elsewhere, self.terms.rest, *self.terms.factors.values()], others)

    def degree(self, current: str, parameter: str) -> int | None:
        return degree(self.definitions[current], (parameter,), self.definitions)

    def alone(self, parameter: str) -> Conductance | None:
        """The currents that a parameter scales, if it changes nothing else."""
        if parameter in self.elsewhere:
            return None
        degrees = {name: self.degree(name, parameter) for name in self.terms.factors}
        scaled = tuple(name for name, n in degrees.items() if n == 1)
        return Conductance(parameter, scaled) if scaled and set(degrees.values()) <= {0, 1} else None

    def known(self) -> str:
        """The remedy: what there is."""
        names = [p.name for p in self.model.parameters if self.alone(p.name)]
        return f"conductances: {', '.join(names)}" if names else "the model has no conductances"


def _reached(exprs: list[Expr], definitions: Mapping[str, Expr]) -> set[str]:
    """All names on which expressions rest."""
    found: set[str] = set()
    new = {name for e in exprs for name in free_names(e)}
    while new:
        found |= new
        new = {n for name in new & definitions.keys() for n in free_names(definitions[name])} - found
    return found
