"""The Jacobian of a model, as far as its methods ask for it, by symbolic differentiation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from upstroke.ionic.chains import closed_chains
from upstroke.ionic.expr import Expr, Name, Num
from upstroke.ionic.methods import METHODS, STORE
from upstroke.ionic.model import Definition, Model
from upstroke.ionic.symbolic import ZERO, differentiate, free_names, neg


@dataclass(frozen=True)
class Jacobian:
    """J_ab = d(rate of a)/d(b). The row of V is that of -Iion: it is yet to be divided by C_m.

    ``definitions`` are the derivatives on which the entries rest; they follow those of the model. The sum of the states
    of a chain is kept.
    """

    entries: Mapping[tuple[str, str], Expr]
    definitions: tuple[Definition, ...]
    chains: tuple[tuple[str, ...], ...] = ()


def jacobian(model: Model) -> Jacobian:
    """The entries that the methods of V and the states need: the diagonal, where a slope is not known already, for
    exponential ones; what couples the states that share it for a linearly implicit one."""
    rates = {s.name: s.rate for s in model.states if s.rate is not None}
    if model.iion is not None:
        rates["V"] = neg(model.iion)
    methods = {"V": model.v_method, **{s.name: s.method for s in model.states if s.method != STORE}}
    slopes = {s.name for s in model.states if s.slope is not None}
    diagonal = [(name, name) for name in rates if METHODS[methods[name]].exponential and name not in slopes]
    coupled = [(a, b) for a in rates for b in rates if METHODS[methods[a]].gamma and methods[a] == methods[b]]
    chain = {name: rate for name, rate in rates.items() if methods[name] == "markov_be"}
    chains = closed_chains(chain, {d.name: d.expr for d in model.definitions})
    return replace(differentiated(rates, diagonal + coupled, model.definitions), chains=chains)


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
    entries = {(a, b): e for (a, b), e in entries.items() if e != ZERO or a == b}
    return Jacobian(entries, _used(derivatives, entries.values()))


def _used(definitions: Sequence[Definition], roots: Iterable[Expr]) -> tuple[Definition, ...]:
    """The definitions that the roots rest on, in order."""
    used = {name for root in roots for name in free_names(root)}
    for definition in reversed(definitions):
        if definition.name in used:
            used |= free_names(definition.expr)
    return tuple(d for d in definitions if d.name in used)
