r"""A drug that binds to a Markov channel: each state X of the chain gets a copy X_drug, which does not conduct.

    dX_i/dt       = \sum_j Q_ij X_j      - b_i
    dX_drug,i/dt  = \sum_j Q_ij X_drug,j + b_i,     b_i = kon conc X_i - koff X_drug,i for the states that bind, else 0

The copies keep the transitions Q of the drug-free scheme among themselves. Only states without drug conduct, or do what
else the chain does. All states together are 1. The cell starts without drug bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from upstroke.bench.currents import current_named, definitions_of, degree
from upstroke.errors import ModelError, did_you_mean
from upstroke.ionic.chains import closed_chains
from upstroke.ionic.evaluate import value_of
from upstroke.ionic.expr import Expr, Name, Num
from upstroke.ionic.model import Definition, Model, Parameter, State
from upstroke.ionic.spelling import respelled
from upstroke.ionic.symbolic import ZERO, add, affine, depends, free_names, mul, neg, sub, substitute


@dataclass(frozen=True)
class Chain:
    """The states of a Markov chain; ``rest`` is the one that a definition gives as 1 minus the others, "" for none."""

    states: tuple[str, ...]
    rest: str = ""

    @property
    def members(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.states, self.rest) if self.rest else self.states


def chain_of(model: Model, name: str) -> Chain:
    """The Markov chain through which a current flows.

    A state is followed to those that its rate depends on, but for those on which the rate of leaving it depends, as
    calcium may be. What is found is a chain where all rates are homogeneous and linear in it and add up to zero.

    Raises
    ------
    ModelError : no such current; no chain, or more than one
    """
    where, current = f"model {model.name}", current_named(model, name)
    definitions = definitions_of(model)
    if current is None:
        raise ModelError(where, f"no current '{name}'", did_you_mean(name, definitions))
    found = {}
    for state in model.states:
        if state.rate is not None and depends(definitions[current], state.name, definitions):
            chain = _from(model, state.name)
            if chain is not None:
                found[frozenset(chain.states)] = chain
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        chains = " and ".join("-".join(chain.members) for chain in found.values())
        raise ModelError(where, f"{current} flows through {len(found)} Markov chains, {chains}",
                         "name a current that flows through one of them")
    raise ModelError(where, f"no Markov chain opens {current}", "block it by IC50")


def _from(model: Model, start: str) -> Chain | None:
    """The chain that a state belongs to, None where it belongs to none."""
    rates = {s.name: s.rate for s in model.states if s.rate is not None}
    closures = _closures(model)
    definitions = {n: e for n, e in definitions_of(model).items() if n not in closures}
    group, modifiers, new = set[str](), set[str](), {start}
    while new:
        name = new.pop()
        group.add(name)
        if name in closures:
            new |= closures[name] - group
            continue
        slope = affine(rates[name], name, definitions)
        if slope is None or slope == ZERO:
            return None
        modifiers |= {other for other in rates if depends(slope, other, definitions)}
        new |= {n for n in (*rates, *closures) if depends(rates[name], n, definitions)} - group - modifiers
    if group & modifiers:
        return None
    states = tuple(name for name in rates if name in group)
    rest = [name for name in closures if name in group]
    if any(degree(rates[name], group, definitions) != 1 for name in states):
        return None
    if rest:
        return Chain(states, rest[0]) if len(rest) == 1 and closures[rest[0]] == set(states) else None
    closed = closed_chains({name: rates[name] for name in states}, definitions)
    return Chain(states) if [set(chain) for chain in closed] == [set(states)] else None


def _closures(model: Model) -> dict[str, set[str]]:
    """Definitions of the form 1 - (a + b + ...), with the states a, b, ..."""
    states = {s.name for s in model.states if s.rate is not None}
    found = {}
    for d in model.definitions:
        names = set(free_names(d.expr))
        if names and names <= states and all(affine(d.expr, n) == Num(-1.0) for n in names) and value_of(
                d.expr, dict.fromkeys(names, 0.0)) == 1:
            found[d.name] = names
    return found


def concentration_of(model: Model, name: str) -> str:
    """The parameter that holds the concentration of the drug that binds to a current's channel."""
    return f"{current_named(model, name)}_conc"


def bind(model: Model, name: str, kon: float, koff: float, binding: Sequence[str] = ()) -> Model:
    """The model with a drug that binds to a channel.

    Arguments
    ---------
    name : the current, as the model calls it or nearly so
    kon : 1/ms per unit of concentration
    koff : 1/ms
    binding : the states that bind, a plug-in's without its name in front; all of the chain where none is given

    It has the parameters CURRENT_conc, which is 0, CURRENT_kon and CURRENT_koff. A chain by Rush-Larsen goes on by
    backward Euler (markov_be), which keeps its sum.

    Raises
    ------
    ModelError : no chain (see ``chain_of``); a name in ``binding`` that is none of its states; a second drug
    """
    chain, current = chain_of(model, name), str(current_named(model, name))
    where = f"model {model.name}"
    taken = {p.name for p in model.parameters} | {s.name for s in model.states} | {d.name for d in model.definitions}
    conc, on, off = (f"{current}_{word}" for word in ("conc", "kon", "koff"))

    def wrong(what: str, remedy: str) -> None:
        raise ModelError(where, what, remedy)

    plugin = f"{current.rpartition('.')[0]}." if "." in current else ""
    short = {m.removeprefix(plugin): m for m in chain.members}
    given = dict.fromkeys(n.removeprefix(plugin) for n in binding)
    bound = {short[n] for n in respelled(given, short, wrong, f"state of the chain of {current}")}
    members = set(chain.members)
    definitions = {d.name: d.expr for d in model.definitions if d.name != chain.rest}
    rates = {s.name: s.rate for s in model.states if s.rate is not None and s.name in members}
    flows = [n for n, e in definitions.items() if any(depends(e, m, definitions) for m in members)
             and any(depends(rate, n, definitions) for rate in rates.values())]
    copy = {n: f"{n}_drug" for n in (*chain.members, *flows)}
    for new in (conc, on, off, *copy.values()):
        if new in taken:
            raise ModelError(where, f"{current} cannot bind a drug: there is {new} already",
                             "one drug can bind to a channel; give others by IC50")
    copies: dict[str, Expr] = {n: Name(new) for n, new in copy.items()}

    def flux(n: str) -> Expr:
        if bound and n not in bound:
            return ZERO
        return sub(mul(mul(Name(on), Name(conc)), Name(n)), mul(Name(off), copies[n]))

    free = {n: sub(rate, flux(n)) for n, rate in rates.items()}
    drug = {copy[n]: add(substitute(rate, copies), flux(n)) for n, rate in rates.items()}
    if chain.rest:
        lost: Expr = ZERO
        for rate in rates.values():
            lost = add(lost, substitute(rate, copies))
        drug[copy[chain.rest]] = add(neg(lost), flux(chain.rest))
    new_definitions = []
    for d in model.definitions:
        if d.name == chain.rest:
            rest = d.expr
            for n in chain.members:
                rest = sub(rest, copies[n])
            d = replace(d, expr=rest)
        new_definitions.append(d)
        if d.name in flows:
            new_definitions.append(Definition(copy[d.name], substitute(d.expr, copies), d.place))
    known = {d.name: d.expr for d in new_definitions}

    def evolving(state: State, new: str, rate: Expr) -> State:
        method = "markov_be" if state.method == "rush_larsen" else state.method
        return replace(state, name=new, rate=rate, slope=affine(rate, new, known), steady=None, method=method)

    states = [evolving(s, s.name, free[s.name]) if s.name in free else s for s in model.states]
    like = {s.name: s for s in model.states}
    for n in chain.members:
        source = like[n if n in like else chain.states[0]]
        states.append(replace(evolving(source, copy[n], drug[copy[n]]), init=ZERO))
    return replace(model, states=tuple(states), definitions=tuple(new_definitions), parameters=(
        *model.parameters, Parameter(conc, 0.0), Parameter(on, kon), Parameter(off, koff, "1/ms")),
        units={**model.units, **{copy[n]: model.units[n] for n in chain.members if n in model.units}})
