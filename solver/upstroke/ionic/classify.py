"""What each name of a model is: parameter, flag, external, state with a rate, gate, stored state, or definition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from upstroke.errors import Place, did_you_mean
from upstroke.ionic.choose import choose_options
from upstroke.ionic.collect import Symbol, collect, collect_events, markups_of
from upstroke.ionic.expr import Expr, Name, Num
from upstroke.ionic.globals import GLOBAL_ALIASES, GLOBALS
from upstroke.ionic.markup import Marks, read_marks
from upstroke.ionic.mistakes import Mistakes
from upstroke.ionic.model import Event, Flag
from upstroke.ionic.parse import Program
from upstroke.ionic.symbolic import ZERO, free_names, substitute
from upstroke.ionic.unitcheck import same_dimension

PREDEFINED = ("V", "t", "dt")
_RATE = re.compile(r"diff_(?P<a>\w+)|d_(?P<b>\w+)_dt")
_FOLLOWS = "V follows from Iion: C_m dV/dt = -(Iion - Istim)"


@dataclass(frozen=True)
class Gate:
    """The two names that make X a gate: (X_inf, tau_X), which is ``by_steady_state``, or (alpha_X, beta_X)."""

    first: str
    second: str
    by_steady_state: bool


@dataclass
class Roles:
    """The names of a model and what each is. ``exprs`` are right-hand sides with flags resolved; ``used`` holds the
    names that another equation reads or that are traced."""

    symbols: dict[str, Symbol] = field(default_factory=dict)
    marks: dict[str, Marks] = field(default_factory=dict)
    exprs: dict[str, Expr] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    flags: list[Flag] = field(default_factory=list)
    externals: dict[str, str] = field(default_factory=dict)     # local name -> global name, without V and Iion
    rates: dict[str, str] = field(default_factory=dict)         # state -> name of its rate
    gates: dict[str, Gate] = field(default_factory=dict)
    stored: dict[str, Expr] = field(default_factory=dict)       # state -> its value at the end of a step
    events: list[Event] = field(default_factory=list)
    event_uses: dict[str, Place] = field(default_factory=dict)  # the names that events read
    plugin: bool = False                                        # it adds to a model, and has no V of its own

    @property
    def parameters(self) -> list[str]:
        """Names marked .param(), and externals that are only read; flags are chosen otherwise."""
        given = {*self.exprs, *self.rates, *self.gates, *self.stored}
        return [name for name, marks in self.marks.items()
                if not marks.options and (marks.param or (name in self.externals and name not in given))]

    @property
    def states(self) -> list[str]:
        """All states but V, in the order in which the text first speaks of them."""
        first = {name: min((place.line, place.column) for place in map(self.place, self.words(name)) if place.line)
                 for name in (*self.rates, *self.gates, *self.stored)}
        return sorted(first, key=lambda name: first[name])

    def sums(self, name: str) -> bool:
        """Whether a name is a shared quantity to which everybody adds."""
        return (entry := GLOBALS.get(self.externals.get(name, ""))) is not None and entry.summed

    def words(self, state: str) -> list[str]:
        """The names that together describe a state, the one that makes it a state first."""
        gate = self.gates.get(state)
        makers = [gate.first, gate.second] if gate else [self.rates.get(state, state)]
        return [word for word in (*makers, state, f"{state}_init") if word in self.symbols]

    def place(self, name: str) -> Place:
        """Where the text first gives or declares a name."""
        return self.symbols[name].place


def classify(program: Program, model: str, flags: Sequence[str], mistakes: Mistakes, plugin: bool = False) -> Roles:
    """Sort out the names of a program. Mistakes are noted, not raised, but for a wrong choice of flags.

    A shared quantity that the chosen variant of a plug-in does not read is none of its quantities.
    """
    roles = Roles(plugin=plugin)
    _read_symbols(program, roles, mistakes)
    _resolve_flags(roles, model, flags, mistakes)
    _find_externals(roles, mistakes)
    _find_states(roles, mistakes)
    _check_names(roles, mistakes)
    (_check_contribution if plugin else _check_current)(program, roles, mistakes)
    if plugin:
        _forget_unread(roles)
    return roles


def _forget_unread(roles: Roles) -> None:
    given = {*roles.exprs, *roles.rates, *roles.gates, *roles.stored}
    read = {name for expr in roles.exprs.values() for name in free_names(expr)} | roles.event_uses.keys()
    roles.externals = {name: target for name, target in roles.externals.items() if name in given or name in read}


def _read_symbols(program: Program, roles: Roles, mistakes: Mistakes) -> None:
    """Gather equations and markups; names that the file gives to V and Iion become V and Iion."""
    canonical: dict[str, str] = {}
    for local, markups in markups_of(program).items():
        target = read_marks(local, markups, Mistakes()).external
        name = {"Vm": "V", "Iion": "Iion"}.get(GLOBAL_ALIASES.get(target or "", target or ""), local)
        if name != local:
            canonical |= {local: name, f"{local}_init": f"{name}_init"}
    roles.symbols = collect(program, canonical, mistakes)
    for name, symbol in roles.symbols.items():
        roles.marks[name] = read_marks(name, symbol.markups, mistakes)
        roles.used |= {use for use in symbol.uses if use != name}
        if roles.marks[name].trace:
            roles.used.add(name)
    for event, uses in collect_events(program, canonical, mistakes):
        roles.events.append(event)
        roles.event_uses = {**uses, **roles.event_uses}
        roles.used |= {*uses}
        for change in event.changes:
            if change.name not in PREDEFINED:
                roles.symbols.setdefault(change.name, Symbol(change.name, change.place))
                roles.marks.setdefault(change.name, Marks())


def flag_options(program: Program) -> dict[str, tuple[str, ...]]:
    """The flags of a program with their options."""
    marks = {name: read_marks(name, markups, Mistakes()) for name, markups in markups_of(program).items()}
    return {name: m.options for name, m in marks.items() if m.options}


def _resolve_flags(roles: Roles, model: str, wanted: Sequence[str], mistakes: Mistakes) -> None:
    """Replace flags and their options by numbers, so that only the chosen variant remains."""
    flags = {name: marks.options for name, marks in roles.marks.items() if marks.options}
    chosen = choose_options(model, flags, wanted)
    constants: dict[str, Expr] = {}
    for name, options in flags.items():
        for index, option in enumerate(options):
            number = Num(float(index))
            if option in roles.symbols or constants.get(option, number) != number:
                mistakes.fail(roles.marks[name].place("flag"), f"the option {option} has another meaning already",
                              "give options names of their own")
            constants[option] = number
    for name, options in flags.items():
        default = _default_option(roles.symbols[name], options, mistakes)
        flag = Flag(name, options, chosen.get(name, default))
        constants[name] = constants[flag.value]
        roles.flags.append(flag)
    for name, symbol in roles.symbols.items():
        if symbol.expr is not None and name not in flags:
            roles.exprs[name] = substitute(symbol.expr, constants) if constants else symbol.expr
    roles.events = [replace(event, condition=substitute(event.condition, constants), changes=tuple(
        replace(change, expr=substitute(change.expr, constants)) for change in event.changes))
        for event in roles.events]


def _default_option(symbol: Symbol, options: tuple[str, ...], mistakes: Mistakes) -> str:
    match symbol.expr:
        case None:
            return options[0]
        case Name(option) if option in options:
            return option
        case Num(index) if index in range(len(options)):
            return options[int(index)]
    mistakes.fail(symbol.place, f"the default of flag {symbol.name} is none of its options",
                  f"options: {', '.join(options)}")
    return options[0]


def _find_externals(roles: Roles, mistakes: Mistakes) -> None:
    """Names shared with the simulator."""
    for name, marks in roles.marks.items():
        wanted = {"V": "Vm", "Iion": "Iion"}.get(name, marks.external)
        if wanted is None:
            continue
        target = GLOBAL_ALIASES.get(wanted, wanted)
        if name not in ("Iion", *PREDEFINED):
            roles.externals[name] = target
        if target not in GLOBALS:
            mistakes.fail(marks.place("external"), f"there is no global quantity '{wanted}'",
                          did_you_mean(wanted, GLOBALS))
            continue
        unit = GLOBALS[target].unit
        if marks.scale is not None and not same_dimension(marks.scale, target, unit):
            mistakes.fail(marks.place("units"), f"{name} is the global {target}, in {unit}, not in {marks.unit}",
                          f"write .units({unit})")


def _find_states(roles: Roles, mistakes: Mistakes) -> None:
    """States with a rate, gates and stored states."""
    for name, symbol in roles.symbols.items():
        if name in PREDEFINED and symbol.expr is not None:
            mistakes.fail(symbol.place, f"{name} is given by the simulator, a model never assigns it",
                          _FOLLOWS if name == "V" else "use another name")
            roles.exprs.pop(name, None)
        found = _RATE.fullmatch(name)
        if found and name in roles.exprs and not roles.marks[name].param:
            _add_rate(roles, found["a"] or found["b"], name, mistakes)
    started = [name.removesuffix("_init") for name in roles.exprs if name.endswith("_init")]
    for name in (*roles.symbols, *started, *sorted(roles.used)):
        if name not in (*roles.rates, *roles.gates, *PREDEFINED) and (gate := _gate(roles, name, mistakes)):
            roles.gates[name] = gate
    inlined = {"Iion", "V_init", *roles.rates.values(), *(f"{name}_init" for name in roles.states)}
    for name, expr in roles.exprs.items():
        symbol, marks, itself = roles.symbols[name], roles.marks[name], name in free_names(expr)
        if name in inlined or (marks.param and not marks.store):
            if itself and symbol.gap:
                mistakes.fail(symbol.gap, f"{name} is given only where this condition holds", "add an else branch")
            elif itself and not symbol.added:
                mistakes.fail(symbol.place, f"{name} depends on itself: {name} -> {name}", "break the circle")
        elif name not in roles.rates and (marks.store or itself or (name in roles.externals and not roles.sums(name))):
            roles.stored[name] = expr
    _find_changed(roles, mistakes)


def _find_changed(roles: Roles, mistakes: Mistakes) -> None:
    """What events change is V or a state; one that nothing else gives keeps its value from step to step."""
    for event in roles.events:
        for change in event.changes:
            name, place = change.name, change.place
            if name == "V" and roles.plugin:
                mistakes.fail(place, "V is the model's; an event of a plug-in does not change it",
                              "change states of the plug-in, or add to Iion")
            elif name in ("t", "dt"):
                mistakes.fail(place, f"{name} is given by the simulator, a model never assigns it", "use another name")
            elif name in ("V", *roles.rates, *roles.gates, *roles.stored):
                continue
            elif name == "Iion":
                mistakes.fail(place, "Iion follows from V and the states, so an event cannot change it",
                              "change V or a state that Iion depends on")
            elif name in roles.exprs or roles.marks[name].options:
                mistakes.fail(place, f"{name} is no state, so an event cannot change it",
                              f"write {name}_init = ...; in place of {name} = ...;")
            else:
                roles.stored[name] = Name(name)
    roles.events = [event for event in roles.events if event.condition != ZERO]      # of the variant chosen


def _add_rate(roles: Roles, state: str, rate: str, mistakes: Mistakes) -> None:
    place, own = roles.place(rate), roles.symbols.get(state)
    if state in PREDEFINED:
        mistakes.fail(place, f"{rate}: {state} is given by the simulator",
                      _FOLLOWS if state == "V" else "use another name")
    elif state in roles.rates:
        first = roles.symbols[roles.rates[state]]
        mistakes.fail(place, f"{state} has two rates; the first is {first.name} at line {first.place.line}",
                      "delete one")
    else:
        roles.rates[state] = rate
        if own is not None and own.expr is not None:
            mistakes.fail(own.place, f"{state} has both a value and a rate, {rate} at line {place.line}", "delete one")


def _gate(roles: Roles, name: str, mistakes: Mistakes) -> Gate | None:
    """The gate X where X, which the text speaks of, is not given otherwise and a pair of names makes it one."""
    exprs = roles.exprs
    if name in exprs:
        return None
    pairs = [(a, b) for a in (f"alpha_{name}", f"a_{name}") for b in (f"beta_{name}", f"b_{name}")
             if a in exprs and b in exprs]
    steady = (f"{name}_inf", f"tau_{name}")
    if steady[0] in exprs and steady[1] in exprs:
        if pairs:
            mistakes.fail(roles.place(pairs[0][0]), f"the gate {name} is given twice, by {' and '.join(steady)} "
                          f"and by {' and '.join(pairs[0])}", "keep one pair, and call the other something else")
        return Gate(*steady, True)
    return Gate(*pairs[0], False) if pairs else None


def _check_names(roles: Roles, mistakes: Mistakes) -> None:
    """Every name used must have a value, every markup must fit its name."""
    states, parameters = roles.states, roles.parameters
    options = {option for flag in roles.flags for option in flag.options}
    known = {*PREDEFINED, *roles.exprs, *states, *roles.externals, *options, *(flag.name for flag in roles.flags)}
    reported = set[str]()
    uses = [symbol.uses for symbol in roles.symbols.values() if not roles.marks[symbol.name].options]
    for mapping in (*uses, roles.event_uses):
        for name, place in mapping.items():
            if name not in known and name not in reported:
                reported.add(name)
                mistakes.fail(place, f"'{name}' has no value", _hint(roles, name, known))
    for name, marks in roles.marks.items():
        if name not in (*known, *reported) and name != "Iion":
            for markup in ("trace", "lookup"):
                if markup in marks.places:
                    mistakes.fail(marks.place(markup), f"'{name}' has no value", _hint(roles, name, known))
        if marks.param and (name in states or name in PREDEFINED):
            mistakes.fail(marks.place("param"), f"{name} changes in time, so it is no parameter", "drop .param()")
        elif marks.param and name not in known:
            mistakes.fail(roles.place(name), f"the parameter {name} has no default value",
                          f"write {name} = ...; .param();")
        for markup in ("lb", "ub"):
            if markup in marks.places and name not in (*states, *parameters):
                mistakes.fail(marks.place(markup), f"{name} is neither a state nor a parameter, so it has no bounds",
                              "bound a state or a parameter" + (" (V cannot be bounded)" if name == "V" else ""))
        if marks.method and name != "V" and name not in states:
            mistakes.fail(marks.place("method"), f"{name} is no state, so it has no method",
                          f"states: {', '.join(['V', *states])}")
        elif marks.method and name in roles.stored:
            mistakes.fail(marks.place("method"), f"{name} has no rate, so it has no method",
                          f"give diff_{name}, or no method")


def _hint(roles: Roles, name: str, known: Iterable[str]) -> str:
    """What might be meant by a name without a value."""
    for a, b in ((f"{name}_inf", f"tau_{name}"), (f"alpha_{name}", f"beta_{name}"), (f"a_{name}", f"b_{name}")):
        for given, lacking in ((a, b), (b, a)):
            if given in roles.exprs and lacking not in roles.exprs:
                return f"{given} is given; with {lacking} as well {name} would be a gate"
    target = GLOBAL_ALIASES.get(name, name)
    if target in GLOBALS and target not in ("Vm", "Iion"):
        return f"write {name}; .external({target}); to share it with the simulator"
    near = did_you_mean(name, [k for k in known if k != name])
    return near if near.startswith("did") else f"give it one with {name} = ...;"


ADD_TO_MODEL = 'add it to a model: plugins = ["PATH/NAME.model"]'


def _check_contribution(program: Program, roles: Roles, mistakes: Mistakes) -> None:
    """A plug-in adds to Iion or changes a shared quantity; V is the model's."""
    place, current = Place(program.file), roles.symbols.get("Iion")
    if "V_init" in roles.exprs:
        mistakes.fail(roles.place("V_init"), "this is a membrane model, not a plug-in: it gives V_init",
                      f'take it as the model: model = "{program.file}"')
    elif current is not None and current.expr is not None and not current.bare:
        mistakes.fail(current.place, "a plug-in adds to the Iion of its model", "write Iion += ...;")
    elif (current is None or current.expr is None) and not any(
            name in roles.stored or name in roles.rates or (roles.sums(name) and name in roles.exprs)
            for name in roles.externals):
        mistakes.fail(place, "the plug-in changes nothing: no Iion, and no quantity that it shares with models",
                      f"write Iion += ...; or give one of {', '.join(name for name in GLOBALS if name != 'Vm')}")


def _check_current(program: Program, roles: Roles, mistakes: Mistakes) -> None:
    """A membrane model gives V_init and Iion."""
    place, current = Place(program.file), roles.symbols.get("Iion")
    rests = "V_init" in roles.exprs
    if current is None or current.expr is None:
        touched = [name for name in roles.externals if name in roles.stored or name in roles.rates]
        if touched and not rests:
            mistakes.fail(place, f"this is a plug-in for {', '.join(touched)}, not a membrane model: it gives no Iion",
                          ADD_TO_MODEL)
            return
        mistakes.fail(place, "the model gives no Iion, so V has no equation",
                      "add Iion = ...; in uA/cm^2, outward positive")
    elif current.bare and (current.added or not rests):
        mistakes.fail(current.place, "this is a plug-in, not a membrane model: it adds to the Iion of another model",
                      f"{ADD_TO_MODEL}; a model begins with Iion = ...;")
        return
    if not rests:
        mistakes.fail(place, "the model gives no V_init", "add V_init = ...; in mV")


def unit_of(roles: Roles, name: str) -> str:
    """The unit the file states, else that of the global quantity, else nothing."""
    marks: Mapping[str, Marks] = roles.marks
    if name in marks and marks[name].unit:
        return marks[name].unit
    return GLOBALS[roles.externals[name]].unit if name in roles.externals else ""
