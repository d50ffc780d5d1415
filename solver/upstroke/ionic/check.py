"""Symbols -> Model: who is a parameter, a state, a gate, a definition; everything named, sorted and sound."""

from __future__ import annotations

import graphlib
import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from upstroke.errors import ErrorList, ModelError, Place, UpstrokeError, did_you_mean
from upstroke.ionic.choose import changed, choose_options, known_method
from upstroke.ionic.collect import Symbol, collect, markups_of
from upstroke.ionic.evaluate import initial_state, value_of
from upstroke.ionic.expr import Binary, Expr, Name, Num, Unary
from upstroke.ionic.globals import GLOBAL_ALIASES, GLOBALS
from upstroke.ionic.markup import Marks, read_marks
from upstroke.ionic.methods import METHODS, STORE
from upstroke.ionic.model import Definition, Flag, Lookup, Model, Parameter, State
from upstroke.ionic.parse import Program, Value
from upstroke.ionic.symbolic import ZERO, affine, free_names, substitute
from upstroke.ionic.unitcheck import read_unit_text

PREDEFINED = ("V", "t", "dt")
_RATE = re.compile(r"diff_(?P<a>\w+)|d_(?P<b>\w+)_dt")


@dataclass(frozen=True)
class Gate:
    """The two names that make X a gate: (X_inf, tau_X) or (alpha_X, beta_X)."""

    first: str
    second: str
    by_steady_state: bool


def build(
    program: Program, name: str, header: Mapping[str, str], flags: Sequence[str] = (),
    parameters: Mapping[str, float | str] | None = None, methods: str | Mapping[str, str] = "",
) -> Model:
    """The checked model. Raises ModelError, or ErrorList where several mistakes are independent."""
    return _Builder(program, name, dict(header)).build(flags, dict(parameters or {}), methods)


@dataclass
class _Builder:
    program: Program
    name: str
    header: dict[str, str]
    errors: list[UpstrokeError] = field(default_factory=list)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    marks: dict[str, Marks] = field(default_factory=dict)
    exprs: dict[str, Expr] = field(default_factory=dict)         # right-hand sides with flags resolved
    used: set[str] = field(default_factory=set)                  # names read by another equation, or traced
    externals: dict[str, str] = field(default_factory=dict)
    rate_of: dict[str, str] = field(default_factory=dict)        # state -> name of its rate
    gates: dict[str, Gate] = field(default_factory=dict)
    stored: dict[str, None] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)       # parameters
    options: dict[str, str] = field(default_factory=dict)        # option -> its flag
    defined: set[str] = field(default_factory=set)               # names of definitions

    def fail(self, where: Place | str, what: str, remedy: str) -> None:
        self.errors.append(ModelError(where, what, remedy))

    def stop_on_errors(self) -> None:
        if self.errors:
            self.errors.sort(key=lambda e: (e.where.line, e.where.column) if isinstance(e.where, Place) else (0, 0))
            raise self.errors[0] if len(self.errors) == 1 else ErrorList(errors=tuple(self.errors))

    def build(self, flags: Sequence[str], parameters: dict[str, float | str], methods: str | Mapping[str, str]) -> Model:
        self.errors += self.program.errors
        self.read_symbols()
        chosen = self.resolve_flags(flags, parameters)
        self.find_externals()
        self.find_states()
        self.check_names()
        self.check_current()
        self.stop_on_errors()
        self.value_parameters(parameters)
        definitions = self.sorted_definitions()
        self.stop_on_errors()
        states = self.make_states({d.name: d.expr for d in definitions}, methods)
        lookups = self.read_lookups()
        v_method = self.method_of("V", methods, None, "fe")
        self.stop_on_errors()
        model = Model(
            name=self.name, file=self.program.file, header=self.header,
            parameters=tuple(Parameter(n, v, self.unit(n), self.symbols[n].place) for n, v in self.values.items()),
            flags=tuple(chosen), states=states, definitions=definitions, v_init=self.stand_in("V_init"), v_method=v_method,
            iion=self.stand_in("Iion"), traces=tuple(n for n, m in self.marks.items() if m.trace),
            externals=self.externals, units={n: m.unit for n, m in self.marks.items() if m.unit}, lookups=lookups,
        )
        initial_state(model)                                     # finite, and free of cycles
        return model

    # What the file says

    def read_symbols(self) -> None:
        """Gather equations and markups; names that the file gives to V and Iion become V and Iion."""
        canonical: dict[str, str] = {}
        for local, markups in markups_of(self.program).items():
            target = read_marks(local, markups, []).external
            if target and (target := GLOBAL_ALIASES.get(target, target)) in ("Vm", "Iion"):
                canonical[local] = "V" if target == "Vm" else "Iion"
        canonical |= {f"{local}_init": f"{name}_init" for local, name in canonical.items()}
        self.symbols, errors = collect(self.program, {a: b for a, b in canonical.items() if a != b})
        self.errors += errors
        for name, symbol in self.symbols.items():
            self.marks[name] = read_marks(name, symbol.markups, self.errors)
            self.used |= {use for use in symbol.uses if use != name}
            if self.marks[name].trace:
                self.used.add(name)

    def resolve_flags(self, wanted: Sequence[str], parameters: dict[str, float | str]) -> list[Flag]:
        """Replace flags and their options by numbers, so that only the chosen variant remains."""
        flags = {name: marks.options for name, marks in self.marks.items() if marks.options}
        wanted = [wanted] if isinstance(wanted, str) else list(wanted)
        for name in ("flags", *flags):                           # also given among the parameters
            if (choice := parameters.get(name)) is not None and name not in self.exprs:
                wanted.append(str(choice) if name == "flags" else f"{name}={choice}")
                del parameters[name]
        chosen = choose_options(self.name, flags, wanted)
        constants: dict[str, Expr] = {}
        result = []
        for name, options in flags.items():
            for index, option in enumerate(options):
                if option in self.symbols or constants.get(option, Num(float(index))) != Num(float(index)):
                    self.fail(self.marks[name].place("flag"), f"the option {option} has another meaning already",
                              "give options names of their own")
                constants[option] = Num(float(index))
            default = self.default_option(name, options)
            result.append(Flag(name, options, chosen.get(name, default)))
        for flag in result:
            constants[flag.name] = constants[flag.value]
        for name, symbol in self.symbols.items():
            if symbol.expr is not None and name not in flags:
                self.exprs[name] = substitute(symbol.expr, constants) if constants else symbol.expr
        self.options = {option: name for name, options in flags.items() for option in options}
        return result

    def default_option(self, name: str, options: tuple[str, ...]) -> str:
        match self.symbols[name].expr:
            case None:
                return options[0]
            case Name(option) if option in options:
                return option
            case Num(index) if index in range(len(options)):
                return options[int(index)]
        self.fail(self.symbols[name].place, f"the default of flag {name} is none of its options", f"options: {', '.join(options)}")
        return options[0]

    # Kinds

    def find_externals(self) -> None:
        """Names shared with the simulator: owned where the model computes them, else parameters with a default."""
        for name, marks in self.marks.items():
            if marks.external is None:
                continue
            target = GLOBAL_ALIASES.get(marks.external, marks.external)
            if target not in GLOBALS:
                self.fail(marks.place("external"), f"there is no global quantity '{marks.external}'",
                          did_you_mean(marks.external, GLOBALS))
                continue
            entry = GLOBALS[target]
            if marks.scale is not None and not _same_dimension(marks.scale, entry.unit, name):
                self.fail(marks.place("units"), f"{name} is {target}, which is in {entry.unit}, not in {marks.unit}",
                          f"write .units({entry.unit})")
            if name not in ("V", "Iion", *PREDEFINED):
                self.externals[name] = target

    def find_states(self) -> None:
        """Sort the names into states with a rate, gates and stored states."""
        for name, symbol in self.symbols.items():
            if name in PREDEFINED and symbol.expr is not None:
                self.fail(symbol.place, f"{name} is given by the simulator, a model never assigns it",
                          "V follows from Iion: C_m dV/dt = -(Iion - Istim)" if name == "V" else "use another name")
                self.exprs.pop(name, None)
            found = _RATE.fullmatch(name)
            if found and symbol.expr is not None and not self.marks[name].param:
                self.add_rate(found["a"] or found["b"], name)
        for name in [*self.symbols, *sorted(self.used)]:
            if name not in self.rate_of and name not in PREDEFINED and name not in self.gates and (gate := self.find_gate(name)):
                self.gates.setdefault(name, gate)
        for name, expr in self.exprs.items():
            marks = self.marks[name]
            if name in self.rate_of or name == "Iion" or (marks.param and not marks.store):
                continue
            if marks.store or name in free_names(expr) or name in self.externals:
                self.stored[name] = None

    def add_rate(self, state: str, rate: str) -> None:
        symbol = self.symbols[rate]
        if state in PREDEFINED:
            self.fail(symbol.place, f"{rate}: {state} is given by the simulator",
                      "V follows from Iion: C_m dV/dt = -(Iion - Istim)" if state == "V" else "use another name")
        elif state in self.rate_of:
            first = self.symbols[self.rate_of[state]]
            self.fail(symbol.place, f"{state} has two rates; the first is {first.name} at line {first.place.line}", "delete one")
        elif symbol.gap:
            self.fail(symbol.gap, f"{rate} is given only where this condition holds", "add an else branch")
        else:
            self.rate_of[state] = rate
        own = self.symbols.get(state)
        if own is not None and own.expr is not None and state not in PREDEFINED:
            self.fail(own.place, f"{state} has both a value and a rate, {rate} at line {symbol.place.line}", "delete one")

    def find_gate(self, name: str) -> Gate | None:
        """The gate X where X is not given otherwise and a pair of names makes it one."""
        if name in self.exprs or not (name in self.symbols or name in self.used or f"{name}_init" in self.exprs):
            return None
        def pair(a: str, b: str) -> bool:
            return a in self.exprs and b in self.exprs
        alphas = [(a, b) for a in (f"alpha_{name}", f"a_{name}") for b in (f"beta_{name}", f"b_{name}") if pair(a, b)]
        steady = (f"{name}_inf", f"tau_{name}")
        if pair(*steady):
            if alphas:
                self.fail(self.symbols[alphas[0][0]].place,
                          f"the gate {name} is given twice, by {' and '.join(steady)} and by {' and '.join(alphas[0])}",
                          "keep one pair, and call the other quantities something else")
            return Gate(*steady, True)
        return Gate(*alphas[0], False) if alphas else None

    @property
    def state_names(self) -> list[str]:
        """States in the order in which the text first speaks of them."""
        kinds = {**self.rate_of, **self.gates, **self.stored}
        first = {name: min((self.symbols[n].place.line, self.symbols[n].place.column)
                           for n in self.words_of(name) if n in self.symbols) for name in kinds}
        return sorted(kinds, key=lambda name: first[name])

    def words_of(self, state: str) -> tuple[str, ...]:
        """The names that together describe a state."""
        gate = self.gates.get(state)
        return (state, f"{state}_init", self.rate_of.get(state, state), *((gate.first, gate.second) if gate else ()))

    # Checks

    def check_names(self) -> None:
        """Every name used must have a value."""
        states = set(self.state_names)
        borrowed = {name for name in self.externals if name not in self.exprs}
        known = {*PREDEFINED, *self.exprs, *states, *borrowed, *self.options, *(n for n in self.marks if self.marks[n].options)}
        reported = set[str]()
        for symbol in self.symbols.values():
            for name, place in symbol.uses.items():
                if name not in known and name not in reported:
                    reported.add(name)
                    self.fail(place, f"'{name}' has no value", self.hint(name, known))
        for name, marks in self.marks.items():
            symbol = self.symbols[name]
            if marks.param and name not in self.exprs and name not in borrowed:
                self.fail(symbol.place, f"the parameter {name} has no default value", f"write {name} = ...; .param();")
            elif marks.trace and name not in known and name not in reported and name != "Iion":
                self.fail(marks.place("trace"), f"'{name}' has no value", self.hint(name, known))
            bounded = marks.lower or marks.upper
            if bounded and not (marks.param or name in states):
                self.fail(bounded.place, f"{name} is neither a state nor a parameter, so it has no bounds",
                          "bound a state or a parameter" + (" (V cannot be bounded)" if name == "V" else ""))
            if marks.method and name != "V" and name not in states:
                self.fail(marks.place("method"), f"{name} is no state, so it has no method", did_you_mean(name, states - {name}))

    def hint(self, name: str, known: Iterable[str]) -> str:
        for a, b in (("{}_inf", "tau_{}"), ("alpha_{}", "beta_{}"), ("a_{}", "b_{}")):
            given = [n for n in (a.format(name), b.format(name)) if n in self.exprs]
            if len(given) == 1:
                other = b.format(name) if given[0] == a.format(name) else a.format(name)
                return f"{given[0]} is given; {other} as well would make {name} a gate"
        target = GLOBAL_ALIASES.get(name, name)
        if target in GLOBALS and target not in ("Vm", "Iion"):
            return f"write {name}; .external({target}); to share it with the simulator"
        return did_you_mean(name, [k for k in known if k != name])

    def check_current(self) -> None:
        """A membrane model gives V_init and Iion."""
        place = Place(self.program.file)
        current = self.symbols.get("Iion")
        if current is None or current.expr is None:
            touched = [name for name in self.externals if name in self.stored or name in self.rate_of]
            if touched and "V_init" not in self.exprs:
                self.fail(place, f"this is a plug-in for {', '.join(touched)}, not a membrane model: it gives no Iion",
                          "plug-ins are not available yet")
            else:
                self.fail(place, "the model gives no Iion, so V has no equation", "add Iion = ...; in uA/cm^2, outward positive")
            return
        if current.gap:
            self.fail(current.gap, "Iion is given only where this condition holds", "add an else branch")
        elif current.bare and (current.added or "V_init" not in self.exprs):
            self.fail(current.place, "this is a plug-in, not a membrane model: it adds to the Iion of another model",
                      "plug-ins are not available yet; a model begins with Iion = ...;")
            return
        elif "Iion" in free_names(self.exprs["Iion"]):
            self.fail(current.place, "Iion depends on itself", "give it by one Iion = ...; and add to it with Iion += ...;")
        if "V_init" not in self.exprs:
            self.fail(place, "the model gives no V_init", "add V_init = ...; in mV")

    # Making the parts

    def value_parameters(self, changes: Mapping[str, float | str]) -> None:
        """Parameters in the order of the text; a default may be computed from other parameters."""
        names = [n for n, m in self.marks.items() if m.param or (n in self.externals and n not in self.exprs)]
        for name in changes:
            if name not in names:
                remedy = did_you_mean(name, names)
                if name in self.exprs or name in self.state_names:
                    remedy = f"{name} is no parameter of this model; {remedy}"
                self.fail(f"model {self.name}", f"no parameter '{name}'", remedy)
        self.stop_on_errors()
        for name in names:
            self.value_parameter(name, changes, ())
        self.values = {name: self.values[name] for name in names}

    def value_parameter(self, name: str, changes: Mapping[str, float | str], path: tuple[str, ...]) -> float:
        if name in self.values:
            return self.values[name]
        symbol, marks = self.symbols[name], self.marks[name]
        if name in path:
            loop = " -> ".join((*path[path.index(name):], name))
            raise ModelError(symbol.place, f"{name} depends on itself: {loop}", "break the circle with a number")
        if name not in self.exprs:                               # an external that is only read
            entry = GLOBALS[self.externals[name]]
            assert entry.default is not None
            scale = marks.scale[0] if marks.scale is not None else _factor(entry.unit)
            value = entry.default * (_factor(entry.unit) / scale)
        else:
            names: dict[str, float] = {}
            for used in sorted(free_names(self.exprs[name])):
                if used in PREDEFINED or used in self.state_names or used not in (*self.exprs, *self.externals):
                    raise ModelError(symbol.place, f"the default of parameter {name} depends on {used}, which changes",
                                     "defaults follow from numbers and other parameters")
                names[used] = self.value_parameter(used, changes, (*path, name))
            value = float(value_of(self.exprs[name], names))
        if name in changes:
            value = changed(name, value, changes[name])
        if marks.param or name not in self.exprs:
            self.check_bounds(name, value, marks)
            self.values[name] = value
        return value

    def check_bounds(self, name: str, value: float, marks: Marks) -> None:
        lower, upper = self.bound(marks.lower, "lb"), self.bound(marks.upper, "ub")
        if (lower is not None and value < lower) or (upper is not None and value > upper):
            low, high = "-inf" if lower is None else f"{lower:g}", "inf" if upper is None else f"{upper:g}"
            raise ModelError(f"parameter {name}", f"the value {value:g} is out of bounds", f"give one from {low} to {high}")
        if value != value:
            raise ModelError(self.symbols[name].place, f"the default of parameter {name} is not a number", "check its expression")

    def bound(self, value: Value | None, markup: str) -> float | None:
        return None if value is None else self.constant(value, f".{markup}()")

    def constant(self, value: Value, what: str) -> float:
        try:
            return float(value_of(value.expr, self.values))
        except KeyError as error:
            raise ModelError(value.place, f"{what} takes numbers; {error.args[0]} is none", "give numbers or parameters") from None

    def sorted_definitions(self) -> tuple[Definition, ...]:
        """Definitions in an order in which they can be evaluated, as near to the order of the text as that allows."""
        inlined = {"Iion", "V_init", *self.rate_of.values(), *(f"{name}_init" for name in self.state_names)}
        names = [name for name in self.exprs if name not in self.values and name not in self.stored
                 and (name in self.used or name not in inlined)]
        index = {name: i for i, name in enumerate(names)}
        graph = {name: {used for used in free_names(self.exprs[name]) if used in index} for name in names}
        sorter = graphlib.TopologicalSorter(graph)
        try:
            sorter.prepare()
        except graphlib.CycleError as error:
            loop = list(reversed(error.args[1]))
            start = min(range(len(loop) - 1), key=lambda i: index[loop[i]])
            loop = [*loop[start:-1], *loop[:start], loop[start]]
            self.fail(self.symbols[loop[0]].place, f"{loop[0]} depends on itself: {' -> '.join(loop)}",
                      f"break the circle, or make one of them a state with diff_{loop[0]} or .store()")
            return ()
        order, ready = [], [index[name] for name in sorter.get_ready()]
        heapq.heapify(ready)
        while ready:
            name = names[heapq.heappop(ready)]
            order.append(Definition(name, self.exprs[name], self.symbols[name].place))
            sorter.done(name)
            for freed in sorter.get_ready():
                heapq.heappush(ready, index[freed])
        self.defined = set(names)
        return tuple(order)

    def stand_in(self, name: str) -> Expr:
        """The name where it is kept as a parameter or definition, else its expression."""
        return Name(name) if name in self.values or name in self.defined else self.exprs[name]

    def unit(self, name: str) -> str:
        marks = self.marks.get(name)
        if marks is not None and marks.unit:
            return marks.unit
        return GLOBALS[self.externals[name]].unit if name in self.externals else ""

    def make_states(self, definitions: Mapping[str, Expr], methods: str | Mapping[str, str]) -> tuple[State, ...]:
        names = self.state_names
        if not isinstance(methods, str):
            for name in methods:
                if name not in (*names, "V"):
                    self.fail(f"model {self.name}", f"no state '{name}' to give a method", did_you_mean(name, [*names, "V"]))
        states = []
        for name in names:
            own = self.symbols.get(name)
            place = own.place if own is not None and name in self.stored else self.symbols[self.first_word(name)].place
            marks = self.marks.get(name, Marks())
            rate = slope = steady = update = None
            if name in self.gates:
                rate, slope, steady = self.gate_equations(self.gates[name], name)
            elif name in self.rate_of:
                rate = self.stand_in(self.rate_of[name])
                slope = affine(rate, name, definitions)
                slope = None if slope == ZERO else slope
            else:
                update = self.exprs[name]
            init = self.initial(name, place)
            method = STORE if rate is None else self.method_of(name, methods, slope, "fe" if slope is None else "rush_larsen")
            if rate is None and marks.method:
                self.fail(marks.place("method"), f"{name} has no rate, so it has no method", f"give diff_{name}, or no method")
            states.append(State(name, init, method, rate, slope, steady, update, self.bound(marks.lower, "lb"),
                                self.bound(marks.upper, "ub"), self.unit(name), place))
        return tuple(states)

    def first_word(self, state: str) -> str:
        """The name in whose definition a state first becomes one."""
        gate = self.gates.get(state)
        return self.rate_of[state] if gate is None else gate.first

    def gate_equations(self, gate: Gate, name: str) -> tuple[Expr, Expr, Expr | None]:
        """Rate, slope and, where it is given, steady state: (X_inf - X)/tau_X or alpha_X (1 - X) - beta_X X."""
        x, a, b = Name(name), Name(gate.first), Name(gate.second)
        if gate.by_steady_state:
            return Binary("/", Binary("-", a, x), b), Binary("/", Num(-1.0), b), a
        rate = Binary("-", Binary("*", a, Binary("-", Num(1.0), x)), Binary("*", b, x))
        return rate, Unary("-", Binary("+", a, b)), None

    def initial(self, name: str, place: Place) -> Expr:
        """X_init; else a gate's steady state, a shared quantity's default, or the value a stored state is given."""
        if f"{name}_init" in self.exprs:
            return self.stand_in(f"{name}_init")
        gate = self.gates.get(name)
        if gate is not None:
            a, b = Name(gate.first), Name(gate.second)
            return a if gate.by_steady_state else Binary("/", a, Binary("+", a, b))
        if name in self.externals and (entry := GLOBALS[self.externals[name]]).default is not None:
            scale = self.marks[name].scale
            return Num(entry.default * (_factor(entry.unit) / (scale[0] if scale else _factor(entry.unit))))
        symbol = self.symbols.get(name)
        if name in self.stored and name not in free_names(self.exprs[name]):
            return self.exprs[name]
        if symbol is not None and symbol.gap:
            self.fail(symbol.gap, f"{name} is given only where this condition holds; elsewhere it keeps its old value, "
                      "but it has no first one", f"add an else branch, or {name}_init = ...;")
        else:
            self.fail(place, f"the state {name} has no initial value", f"add {name}_init = ...;")
        return Num(0.0)

    def method_of(self, name: str, methods: str | Mapping[str, str], slope: Expr | None, default: str) -> str:
        """The user's choice, else the file's, else the default. A method for all leaves alone what cannot have it."""
        marks = self.marks.get(name, Marks())
        where: Place | str = f"model {self.name}"
        chosen = methods if isinstance(methods, str) else methods.get(name, "")
        if not chosen and marks.method:
            chosen, where = marks.method, marks.place("method")
        if not chosen:
            return default
        try:
            method = METHODS[known_method(chosen, where)]
        except ModelError as error:
            if error not in self.errors and str(error) not in map(str, self.errors):
                self.errors.append(error)
            return default
        if method.needs_slope and slope is None:
            if chosen == methods:
                return "fe"
            what = "V" if name == "V" else f"the rate of {name}"
            able = [m.name for m in METHODS.values() if not m.needs_slope]
            self.fail(where, f"{chosen} needs a rate that is linear in the state; {what} is not", f"use {', '.join(able)}")
            return default
        return chosen

    def read_lookups(self) -> tuple[Lookup, ...]:
        """The tables the file suggests: checked and kept, for direct evaluation is exact and, with SIMD, faster."""
        lookups = []
        for name, marks in self.marks.items():
            if not marks.lookup:
                continue
            low, high, step = (self.constant(value, ".lookup()") for value in marks.lookup)
            if not (low < high and 0 < step <= high - low):
                self.fail(marks.place("lookup"), f"no table from {low:g} to {high:g} in steps of {step:g}",
                          "write .lookup(min, max, step) with min < max and a positive step")
            lookups.append(Lookup(name, low, high, step))
        return tuple(lookups)


def _factor(unit: str) -> float:
    return read_unit_text(unit)[0]


def _same_dimension(scale: tuple[float, tuple[float, ...]], unit: str, name: str) -> bool:
    """V, Iion and time are never converted; others may differ by a factor."""
    if name == "Iion":
        return any(abs(scale[0] / f - 1) < 1e-9 and scale[1] == d for f, d in map(read_unit_text, ("uA/cm^2", "uA/uF")))
    factor, dimension = read_unit_text(unit)
    return scale[1] == dimension and (name != "V" or abs(scale[0] / factor - 1) < 1e-9)
