"""The Jacobian of a model, as far as its methods ask for it, by symbolic differentiation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from upstroke.ionic.expr import Expr, Name, Num
from upstroke.ionic.methods import METHODS, STORE
from upstroke.ionic.model import Definition, Model
from upstroke.ionic.symbolic import ZERO, differentiate, free_names, neg


@dataclass(frozen=True)
class Jacobian:
    """J_ab = d(rate of a)/d(b). The row of V is that of -Iion: it is yet to be divided by C_m.

    ``definitions`` are the derivatives on which the entries rest; they follow those of the model.
    """

    entries: Mapping[tuple[str, str], Expr]
    definitions: tuple[Definition, ...]


def jacobian(model: Model) -> Jacobian:
    """The entries that the methods of V and the states need: where a slope is not known already."""
    rates = {s.name: s.rate for s in model.states if s.rate is not None}
    if model.iion is not None:
        rates["V"] = neg(model.iion)
    methods = {"V": model.v_method, **{s.name: s.method for s in model.states if s.method != STORE}}
    slopes = {s.name for s in model.states if s.slope is not None}
    diagonal = [(name, name) for name in rates if METHODS[methods[name]].exponential and name not in slopes]
    return differentiated(rates, diagonal, model.definitions)


def differentiated(
    rates: Mapping[str, Expr], wanted: Iterable[tuple[str, str]], definitions: Sequence[Definition],
) -> Jacobian:
    """The entries wanted. Each derivative of a definition becomes one definition, so that texts stay short."""
    taken, entries, derivatives = {d.name for d in definitions}, dict[tuple[str, str], Expr](), list[Definition]()
    pairs = list(wanted)
    for b in dict.fromkeys(b for _, b in pairs):
        known: dict[str, Expr] = {}
        for definition in definitions:
            slope = differentiate(definition.expr, b, known=known)
            if not isinstance(slope, Num | Name):
                name = f"{definition.name}__by__{b}"
                while name in taken:
                    name += "_"
                taken.add(name)
                derivatives.append(Definition(name, slope, definition.place))
                slope = Name(name)
            if slope != ZERO:
                known[definition.name] = slope
        entries |= {(a, b): differentiate(rates[a], b, known=known) for a, column in pairs if column == b}
    return Jacobian(entries, _used(derivatives, entries.values()))


def _used(definitions: Sequence[Definition], roots: Iterable[Expr]) -> tuple[Definition, ...]:
    """The definitions that the roots rest on, in order."""
    used = {name for root in roots for name in free_names(root)}
    for definition in reversed(definitions):
        if definition.name in used:
            used |= free_names(definition.expr)
    return tuple(d for d in definitions if d.name in used)
