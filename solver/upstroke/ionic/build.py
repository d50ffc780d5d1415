"""Names with their roles -> Model: parameters valued, definitions sorted, states with their rate, method and start."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from upstroke.errors import ModelError, Place
from upstroke.ionic.chains import not_linear
from upstroke.ionic.choose import changed, known_method
from upstroke.ionic.classify import PREDEFINED, Gate, Roles, classify, flag_options, unit_of
from upstroke.ionic.evaluate import initial_state, value_of
from upstroke.ionic.expr import Binary, Expr, Name, Num, Unary
from upstroke.ionic.globals import GLOBALS
from upstroke.ionic.markup import Marks
from upstroke.ionic.methods import AUTO, METHODS, STORE
from upstroke.ionic.mistakes import Mistakes
from upstroke.ionic.model import Definition, Lookup, Model, Parameter, State
from upstroke.ionic.parse import Program, Value
from upstroke.ionic.spelling import respelled
from upstroke.ionic.symbolic import ZERO, affine, free_names, in_order
from upstroke.ionic.unitcheck import factor

Methods = str | Mapping[str, str]
Changes = Mapping[str, float | str]


def build(
    program: Program, name: str, header: Mapping[str, str], flags: Sequence[str] = (),
    parameters: Changes | None = None, methods: Methods = "", plugin: bool = False,
) -> Model:
    """The checked model. Raises ModelError, or ErrorList where several mistakes are independent.

    A plug-in has no V_init, its ``iion`` is what it adds (None: nothing), and what it shares with a model is open yet.
    """
    mistakes = Mistakes(program.errors)
    changes, wanted = dict(parameters or {}), [flags] if isinstance(flags, str) else list(flags)
    for flag in ("flags", *flag_options(program)):               # flags given among the parameters, as openCARP does
        if flag in changes:
            wanted.append(str(changes.pop(flag)) if flag == "flags" else f"{flag}={changes.pop(flag)}")
    roles = classify(program, name, wanted, mistakes, plugin)
    mistakes.stop()
    return _Builder(name, roles, mistakes).model(program, dict(header), changes, methods)


class _Builder:
    """Holds what the parts of a model are made from: the roles of its names and the values of its parameters."""

    def __init__(self, name: str, roles: Roles, mistakes: Mistakes) -> None:
        self.where = f"{'plug-in' if roles.plugin else 'model'} {name}"
        self.name, self.roles, self.mistakes = name, roles, mistakes
        self.states, self.parameters = roles.states, roles.parameters
        self.values: dict[str, float] = {}
        self.kept: set[str] = set()                              # names that stay definitions

    def model(self, program: Program, header: dict[str, str], changes: Changes, methods: Methods) -> Model:
        roles, mistakes = self.roles, self.mistakes
        self.value_parameters(changes)
        mistakes.stop()
        definitions = self.sorted_definitions()
        mistakes.stop()
        if not isinstance(methods, str):
            methods = respelled(methods, ["V", *self.states], self.wrong, "state")
        states = self.make_states({d.name: d.expr for d in definitions}, methods)
        lookups = self.lookups()
        v_method = self.method("V", methods, None)
        mistakes.stop()
        model = Model(
            name=self.name, file=program.file, header=header,
            parameters=tuple(Parameter(n, self.values[n], unit_of(roles, n), roles.place(n)) for n in self.parameters),
            flags=tuple(roles.flags), states=states, definitions=definitions,
            v_init=self.if_given("V_init"), v_method=v_method, iion=self.if_given("Iion"),
            traces=tuple(n for n, marks in roles.marks.items() if marks.trace), externals=roles.externals,
            units={n: marks.unit for n, marks in roles.marks.items() if marks.unit}, lookups=lookups,
            events=tuple(roles.events),
        )
        if model.v_init is not None:
            initial_state(model)                                 # finite, and free of circles
        return model

    def if_given(self, name: str) -> Expr | None:
        """The same where the file gives it, else None."""
        return self.stand_in(name) if name in self.roles.exprs else None

    def stand_in(self, name: str) -> Expr:
        """The name where it is a parameter or definition, else its expression."""
        return Name(name) if name in self.values or name in self.kept else self.roles.exprs[name]

    # Parameters

    def value_parameters(self, changes: Changes) -> None:
        """Defaults, which may be computed from other parameters, with the user's changes."""
        known = respelled(changes, self.parameters, self.wrong, "parameter")
        self.mistakes.stop()
        for name in self.parameters:
            self.value(name, known, ())

    def wrong(self, what: str, remedy: str) -> None:
        """Note a mistake of the user's."""
        self.mistakes.fail(self.where, what, remedy)

    def value(self, name: str, changes: Changes, path: tuple[str, ...]) -> float:
        """The value of a parameter, or of a definition that follows from parameters alone."""
        if name in self.values:
            return self.values[name]
        roles, place = self.roles, self.roles.place(name)
        if name in path:
            loop = " -> ".join((*path[path.index(name):], name))
            raise ModelError(place, f"{name} depends on itself: {loop}", "break the circle with a number")
        if name in roles.exprs:
            used, owner = sorted(free_names(roles.exprs[name])), roles.symbols[path[0] if path else name]
            for u in used:
                if u in PREDEFINED or u in self.states:
                    raise ModelError(owner.place, f"the default of parameter {owner.name} depends on {u}, "
                                     "which changes", "defaults follow from numbers and other parameters")
            value = float(value_of(roles.exprs[name], {u: self.value(u, changes, (*path, name)) for u in used}))
        else:
            value = self.global_default(name)
        if name not in self.parameters:
            return value
        if name in changes:
            value = changed(name, value, changes[name])
        self.values[name] = value
        self.check_value(name, value, f"parameter {name}" if name in changes else roles.place(name))
        return value

    def global_default(self, name: str) -> float:
        """The default of a shared quantity, in the unit the file gives it."""
        entry, scale = GLOBALS[self.roles.externals[name]], self.roles.marks[name].scale
        assert entry.default is not None
        return entry.default if scale is None else float(f"{entry.default * factor(entry.unit) / scale[0]:.15g}")

    def check_value(self, name: str, value: float, where: Place | str) -> None:
        marks = self.roles.marks[name]
        lower, upper = self.bounds(marks)
        if value != value or abs(value) == float("inf"):
            self.mistakes.fail(where, f"the default of parameter {name} is {value}", "check its expression")
        elif (lower is not None and value < lower) or (upper is not None and value > upper):
            low, high = "-inf" if lower is None else f"{lower:g}", "inf" if upper is None else f"{upper:g}"
            self.mistakes.fail(where, f"the value {value:g} is out of bounds",
                               f"give one from {low} to {high}")

    def bounds(self, marks: Marks) -> tuple[float | None, float | None]:
        """The values of .lb() and .ub()."""
        lower = None if marks.lower is None else self.constant(marks.lower, ".lb()")
        upper = None if marks.upper is None else self.constant(marks.upper, ".ub()")
        if marks.upper is not None and lower is not None and upper is not None and lower > upper:
            raise ModelError(marks.upper.place, f"the upper bound {upper:g} is below the lower bound {lower:g}",
                             "swap them")
        return lower, upper

    def constant(self, value: Value, what: str) -> float:
        """A number in a markup."""
        try:
            return float(value_of(value.expr, self.values))
        except KeyError as error:
            raise ModelError(value.place, f"{what} takes numbers; {error.args[0]} is none",
                             "write a number, or a parameter above") from None

    # Definitions

    def sorted_definitions(self) -> tuple[Definition, ...]:
        """Definitions in an order in which they can be evaluated, as near to that of the text as may be."""
        roles = self.roles
        inlined = {"Iion", "V_init", *roles.rates.values(), *(f"{name}_init" for name in self.states)}
        names = [name for name in roles.exprs if name not in self.values and name not in roles.stored
                 and (name in roles.used or name not in inlined)]
        try:
            order = in_order({name: sorted(free_names(roles.exprs[name])) for name in names})
        except graphlib.CycleError as error:
            circle = list(reversed(error.args[1]))[1:]           # each depends on the next
            start = circle.index(min(circle, key=names.index))
            circle = [*circle[start:], *circle[:start], circle[start]]
            raise ModelError(roles.place(circle[0]), f"{circle[0]} depends on itself: {' -> '.join(circle)}",
                             "break the circle, or make one of them a state with .store()") from None
        self.kept = set(names)
        return tuple(Definition(name, roles.exprs[name], roles.place(name)) for name in order)

    # States

    def make_states(self, definitions: Mapping[str, Expr], methods: Methods) -> tuple[State, ...]:
        roles, names = self.roles, self.states
        for name in () if isinstance(methods, str) else methods:
            if name in roles.stored:
                self.mistakes.fail(self.where, f"{name} has no rate, so it has no method", "leave it out")
        states = []
        for name in names:
            place = roles.place(roles.words(name)[0])
            lower, upper = self.bounds(roles.marks.get(name, Marks()))
            rate, slope, steady = self.equations(name, definitions)
            method = STORE if rate is None else self.method(name, methods, slope)
            states.append(State(name, self.initial(name, place), method, rate, slope, steady, roles.stored.get(name),
                                lower, upper, unit_of(roles, name), place))
        return self.chained(states, definitions, methods)

    def chained(self, states: Sequence[State], definitions: Mapping[str, Expr], methods: Methods) -> tuple[State, ...]:
        """The states, those of markov_be checked to be chains; fe where it was chosen for all and does not suit."""
        rates = {s.name: s.rate for s in states if s.method == "markov_be" and s.rate is not None}
        while pair := not_linear(rates, definitions):
            name, other = pair
            del rates[name]
            if methods != "markov_be":
                marks = self.roles.marks.get(name, Marks())
                by_user = not isinstance(methods, str) and name in methods
                self.mistakes.fail(self.where if by_user else marks.place("method"),
                                   "markov_be needs rates that are linear in all states of the chain; "
                                   f"that of {name} is not linear in {other}", "use rosenbrock")
        return tuple(replace(s, method="fe") if s.method == "markov_be" and s.name not in rates else s for s in states)

    def equations(self, name: str, definitions: Mapping[str, Expr]) -> tuple[Expr | None, Expr | None, Expr | None]:
        """Rate, slope and steady state, as far as a state has them.

        (X_inf - X)/tau_X,  alpha_X (1 - X) - beta_X X,  or diff_X with its slope where it is linear in X.
        """
        gate, x = self.roles.gates.get(name), Name(name)
        if gate is not None:
            a, b = Name(gate.first), Name(gate.second)
            if gate.by_steady_state:
                return Binary("/", Binary("-", a, x), b), Binary("/", Num(-1.0), b), a
            rate: Expr = Binary("-", Binary("*", a, Binary("-", Num(1.0), x)), Binary("*", b, x))
            return rate, Unary("-", Binary("+", a, b)), None
        if name in self.roles.stored:
            return None, None, None
        rate = self.stand_in(self.roles.rates[name])
        slope = affine(rate, name, definitions)
        return rate, None if slope == ZERO else slope, None

    def initial(self, name: str, place: Place) -> Expr:
        """X_init; else a gate's steady state, a shared quantity's default, or what a stored state is given."""
        roles, symbol = self.roles, self.roles.symbols.get(name)
        if f"{name}_init" in roles.exprs:
            return self.stand_in(f"{name}_init")
        if name in roles.gates:
            return _steady_state(roles.gates[name])
        if name in roles.externals and GLOBALS[roles.externals[name]].default is not None:
            return Num(self.global_default(name))
        if name in roles.stored and name not in free_names(roles.stored[name]):
            return roles.stored[name]
        if symbol is not None and symbol.gap:
            self.mistakes.fail(symbol.gap, f"{name} is given only where this condition holds; elsewhere it would keep "
                               "its old value, but it has no first one", f"add an else branch, or {name}_init = ...;")
        else:
            self.mistakes.fail(place, f"the state {name} has no initial value", f"add {name}_init = ...;")
        return Num(0.0)

    def method(self, name: str, methods: Methods, slope: Expr | None) -> str:
        """The user's choice, else the file's, else rush_larsen where the rate is linear in the state and fe where not.

        A method chosen for all leaves with fe what cannot have it.
        """
        marks, where = self.roles.marks.get(name, Marks()), self.where
        if (chosen := methods if isinstance(methods, str) else methods.get(name, "")) not in ("", AUTO):
            place: Place | str = where
        elif (chosen := marks.method) not in ("", AUTO):
            place = marks.place("method")
        else:
            return "fe" if slope is None else "rush_larsen"
        try:
            method = METHODS[known_method(chosen, place)]
        except ModelError as error:
            if str(error) not in map(str, self.mistakes):        # a method for all is complained of once
                self.mistakes.append(error)
            return "fe"
        if not method.needs_slope or slope is not None or (method.gamma and name != "V"):   # chains: checked together
            return chosen
        if chosen != methods:
            able = ", ".join(m.name for m in METHODS.values() if not m.needs_slope)
            self.mistakes.fail(place, f"{chosen} needs a rate that is linear in the state; that of {name} is not",
                               f"use {able}")
        return "fe"

    def lookups(self) -> tuple[Lookup, ...]:
        """The tables the file suggests: checked and kept. Direct evaluation is exact and, with SIMD, faster."""
        found = []
        for name, marks in self.roles.marks.items():
            if not marks.lookup:
                continue
            low, high, step = (self.constant(value, ".lookup()") for value in marks.lookup)
            if not (low < high and 0 < step <= high - low):
                self.mistakes.fail(marks.place("lookup"), f"no table from {low:g} to {high:g} in steps of {step:g}",
                                   "write .lookup(min, max, step) with min < max and 0 < step")
            found.append(Lookup(name, low, high, step))
        return tuple(found)


def _steady_state(gate: Gate) -> Expr:
    a, b = Name(gate.first), Name(gate.second)
    return a if gate.by_steady_state else Binary("/", a, Binary("+", a, b))
