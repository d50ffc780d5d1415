"""Markov chains among the states: dx/dt = Q x + b, with Q and b free of x; 1^T Q = 0 where the sum of x is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction

from upstroke.ionic.expr import Binary, Call, Expr, Name, Num, Unary
from upstroke.ionic.symbolic import ZERO, affine, free_names

#: a sum of products of expressions, each product in a fixed order
Polynomial = dict[tuple[Expr, ...], Fraction]


def not_linear(rates: Mapping[str, Expr], definitions: Mapping[str, Expr]) -> tuple[str, str] | None:
    """The first (a, b) for which the rate of a is not linear in b, given the other states; None for a chain."""
    for a, rate in rates.items():
        for b in rates:
            slope = affine(rate, b, definitions)
            if slope is None:
                return a, b
            if curved := _names(slope, definitions) & rates.keys():
                return a, min(curved)
    return None


def closed_chains(rates: Mapping[str, Expr], definitions: Mapping[str, Expr]) -> tuple[tuple[str, ...], ...]:
    """The groups of coupled states whose rates add up to zero, whatever the values of parameters and states."""
    return tuple(group for group in _groups(rates, definitions)
                 if len(group) > 1 and not _sum([_polynomial(rates[a], group, definitions) for a in group]))


def _groups(rates: Mapping[str, Expr], definitions: Mapping[str, Expr]) -> list[tuple[str, ...]]:
    """States that depend on each other, directly or not."""
    group = {name: {name} for name in rates}
    for a, rate in rates.items():
        for b in rates:
            if group[a] is not group[b] and affine(rate, b, definitions) != ZERO:
                group[a] |= group[b]
                group.update(dict.fromkeys(group[a], group[a]))
    distinct = {id(members): members for members in group.values()}.values()
    return [tuple(name for name in rates if name in members) for members in distinct]


def _names(e: Expr, definitions: Mapping[str, Expr]) -> set[str]:
    """All names on which an expression rests."""
    found, new = set[str](), set(free_names(e))
    while new:
        found |= new
        new = {n for name in new if name in definitions for n in free_names(definitions[name])} - found
    return found


def _polynomial(e: Expr, states: tuple[str, ...], definitions: Mapping[str, Expr]) -> Polynomial:
    """Sums and products multiplied out, and definitions that depend on the states seen through."""
    match e:
        case Num(value):
            return _sum([{(): Fraction(repr(value))}])
        case Name(n) if n in definitions and not _names(e, definitions).isdisjoint(states):
            return _polynomial(definitions[n], states, definitions)
        case Unary("-", a):
            return _product({(): Fraction(-1)}, _polynomial(a, states, definitions))
        case Binary("+", a, b):
            return _sum([_polynomial(a, states, definitions), _polynomial(b, states, definitions)])
        case Binary("-", a, b):
            return _polynomial(Binary("+", a, Unary("-", b)), states, definitions)
        case Binary("*", a, b):
            return _product(_polynomial(a, states, definitions), _polynomial(b, states, definitions))
        case Binary("/", a, Num(value)) if value:
            return _product(_polynomial(a, states, definitions), {(): 1 / Fraction(repr(value))})
        case Binary("/", a, b) if a != Num(1.0):
            return _product(_polynomial(a, states, definitions), {(Binary("/", Num(1.0), b),): Fraction(1)})
        case Call("square", (a,)):
            return _polynomial(Binary("*", a, a), states, definitions)
    return {(e,): Fraction(1)}


def _sum(parts: list[Polynomial]) -> Polynomial:
    total: defaultdict[tuple[Expr, ...], Fraction] = defaultdict(Fraction)
    for part in parts:
        for factors, number in part.items():
            total[factors] += number
    return {factors: number for factors, number in total.items() if number}


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    return _sum([{tuple(sorted((*x, *y), key=repr)): m * n} for x, m in a.items() for y, n in b.items()])
