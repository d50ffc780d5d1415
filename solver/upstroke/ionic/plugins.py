"""Plug-ins added to a model: C_m dV/dt = -(Iion + sum of the plug-ins' Iion - Istim), and one set of states.

A plug-in is built by itself first. Its own names then get its name in front, ``PLUGIN.name``, so nothing clashes. The
shared quantities of ``globals.py`` join it to the rest:

* one that a plug-in gives, by a rate or an equation, is a state under its global name, and what the model or another
  plug-in reads as this quantity is that state; it starts at the model's own value where there is one;
* one that it only reads is what another plug-in gives, else what the model has (``own_quantity``), else a parameter
  under its global name with the default of the table, one for all plug-ins;
* a summed one, as the calcium current, is nobody's: the model's own and what each plug-in adds, of the same moment.

All of this happens between two immutable models, so neither the language nor the kernels know of plug-ins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial, reduce
from graphlib import CycleError
from typing import Any

from upstroke.errors import ModelError, Place, did_you_mean
from upstroke.ionic.choose import changed
from upstroke.ionic.evaluate import initial_state
from upstroke.ionic.expr import Binary, Call, Expr, Name, Num, Select, Unary
from upstroke.ionic.globals import CELL_OWNS, GLOBALS, SPELLINGS
from upstroke.ionic.model import Definition, Model, Parameter, State
from upstroke.ionic.symbolic import ZERO, free_names, in_order, substitute
from upstroke.ionic.unitcheck import dimension, factor

#: Fields of a model that hold text which is no name of a quantity.
_PLAIN = {"unit", "file", "header", "method", "v_method", "options", "value", "place"}
_NAME = re.compile(r"[A-Za-z_][\w.]*")


@dataclass(frozen=True)
class Plugin:
    """A plug-in that is built, with what the user said of the quantities it shares.

    ``fixed`` are shared quantities with a value for this plug-in alone, ``links`` those that are a quantity of the
    model or of another plug-in by name.
    """

    model: Model
    fixed: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Stands in front of its names."""
        return self.model.name

    @property
    def written(self) -> dict[str, State]:
        """The shared quantities that it owns. A rate that is 0 in the variant chosen changes nothing."""
        by_events = {change.name for event in self.model.events for change in event.changes}
        return {self.model.externals[s.name]: s for s in self.model.states
                if s.name in self.model.externals and (s.rate != ZERO or s.name in by_events)}

    @property
    def added(self) -> dict[str, str]:
        """Local and global names of the summed quantities to which it adds."""
        return added(self.model)

    @property
    def read(self) -> dict[str, str]:
        """Local and global names of the shared quantities that it takes from elsewhere."""
        return {local: target for local, target in self.model.externals.items()
                if local not in self.fixed and local not in self.added and target not in self.written}


def added(model: Model) -> dict[str, str]:
    """Local and global names of the summed quantities that a model or plug-in has a part of."""
    own = {d.name for d in model.definitions}
    return {local: target for local, target in model.externals.items() if GLOBALS[target].summed and local in own}


def is_link(value: float | str) -> bool:
    """Whether the value given to a shared quantity names another quantity instead."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def compose(model: Model, plugins: Sequence[Plugin], shared: Mapping[str, float | str]) -> Model:
    """The model with its plug-ins. ``shared`` are the user's values of shared quantities that are parameters.

    Raises
    ------
    ModelError : a plug-in needs what the model does not have, or changes what something else changes
    """
    return _Composer(model, plugins, shared).model() if plugins else model


def own_quantity(model: Model, target: str) -> str | None:
    """The model's name of a shared quantity: marked ``.external()``, else a usual name with a fitting unit."""
    for local, name in model.externals.items():
        if name == target:
            return local
    known = set(_names(model))
    for name in SPELLINGS.get(target, (target,)):
        if name in known and dimension(_unit(model, name) or GLOBALS[target].unit) == dimension(GLOBALS[target].unit):
            return name
    return None


def rename(model: Model, names: Mapping[str, str]) -> Model:
    """The model with other names for its quantities, in whatever it holds."""
    return _mapped(model, names, {old: Name(new) for old, new in names.items()})


def _mapped(item: Any, names: Mapping[str, str], exprs: Mapping[str, Expr]) -> Any:
    match item:
        case Num() | Name() | Unary() | Binary() | Call() | Select():
            return substitute(item, exprs)
        case Place():
            return item
        case str():
            return names.get(item, item)
        case tuple():
            return tuple(_mapped(part, names, exprs) for part in item)
        case dict():
            return {names.get(key, key): value for key, value in item.items()}
    if is_dataclass(item) and not isinstance(item, type):
        # The name of a model and of a method are no quantities.
        skipped = _PLAIN | ({"name"} if isinstance(item, Model) else set())
        return replace(item, **{f.name: _mapped(getattr(item, f.name), names, exprs)
                                for f in fields(item) if f.name not in skipped})
    return item


def _names(model: Model) -> Iterable[str]:
    """All quantities of a model, V among them."""
    return ("V", *(p.name for p in model.parameters), *(s.name for s in model.states),
            *(d.name for d in model.definitions))


def _unit(model: Model, name: str) -> str:
    if name == "V":
        return "mV"
    if name in model.units:
        return model.units[name]
    return GLOBALS[model.externals[name]].unit if name in model.externals else ""


class _Composer:
    """Gathers the parts of the composed model."""

    def __init__(self, model: Model, plugins: Sequence[Plugin], shared: Mapping[str, float | str]) -> None:
        self.base, self.plugins, self.values = model, plugins, dict(shared)
        self.taken = set(_names(model))
        self.shared: dict[str, Parameter] = {}           # global name -> the parameter that stands for it
        self.given = self.find_given()                   # global name -> name and unit of the state that holds it
        self.sums = self.find_sums()                     # global name -> the quantity that is all parts together
        self.quantities = {name: _unit(model, name) for name in _names(model)}
        for plugin in plugins:
            self.quantities |= {f"{plugin.name}.{n}": _unit(plugin.model, n) for n in _names(plugin.model) if n != "V"}

    def model(self) -> Model:
        base = self.with_given(self.base)
        parts = [self.joined(plugin) for plugin in self.plugins]
        for name in self.values:
            if name not in self.shared:
                raise ModelError(f"model {self.base.name}", f"the plug-ins do not take {name} as a parameter here",
                                 self.source_of(name))
        currents = [Definition(f"{part.name}.Iion", part.iion) for part in parts if part.iion is not None
                    and part.iion != Name(f"{part.name}.Iion")]
        iion = base.iion
        assert iion is not None
        for part in parts:
            iion = iion if part.iion is None else Binary("+", iion, Name(f"{part.name}.Iion"))
        totals = self.sums.values()
        result = replace(
            base, name=" + ".join([base.name, *(part.name for part in parts)]),
            header={**base.header, **self.credits()},
            parameters=(*base.parameters, *self.shared.values(), *(p for part in parts for p in part.parameters)),
            flags=(*base.flags, *(f for part in parts for f in part.flags)),
            states=(*base.states, *(s for part in parts for s in part.states)),
            definitions=self.in_order((*base.definitions, *(d for part in parts for d in part.definitions), *currents,
                                       *totals)),
            iion=iion,
            traces=(*base.traces, *(t for part in parts for t in part.traces)),
            externals={**base.externals, **{state: target for target, (state, _) in self.given.items()},
                       **{total.name: target for target, total in self.sums.items()},
                       **{p.name: target for target, p in self.shared.items()}},
            units={**base.units, **{n: u for part in parts for n, u in part.units.items()},
                   **{c.name: "uA/cm^2" for c in currents},
                   **{total.name: GLOBALS[target].unit for target, total in self.sums.items()}},
            lookups=(*base.lookups, *(look for part in parts for look in part.lookups)),
            events=(*base.events, *(event for part in parts for event in part.events)),
        )
        initial_state(result)                            # finite, and free of circles
        return result

    def in_order(self, definitions: Sequence[Definition]) -> tuple[Definition, ...]:
        """The definitions, each after what it uses: a sum stands behind its parts, what reads it behind the sum."""
        by_name = {d.name: d for d in definitions}
        try:
            return tuple(by_name[name] for name in in_order({d.name: sorted(free_names(d.expr)) for d in definitions}))
        except CycleError as error:
            circle = error.args[1][::-1]
            raise ModelError(f"model {self.base.name}", f"with its plug-ins {circle[0]} depends on itself: "
                             f"{' -> '.join(circle)}", "leave one of them out, or read another quantity") from None

    def credits(self) -> dict[str, str]:
        lines = []
        for plugin in self.plugins:
            header = plugin.model.header
            source = ", ".join(header[key] for key in ("Title", "DOI") if key in header)
            lines.append(f"{plugin.name} ({source})" if source else plugin.name)
        return {"Plug-ins": "\n".join(lines)}

    # What plug-ins give

    def find_given(self) -> dict[str, tuple[str, str]]:
        """The state for each shared quantity that a plug-in gives; its name is the global one where that is free."""
        given: dict[str, tuple[str, str]] = {}
        owner: dict[str, str] = {}
        for plugin in self.plugins:
            for target, state in plugin.written.items():
                where = f"plug-in {plugin.name}"
                if target in owner:
                    raise ModelError(where, f"it gives {target}, as {owner[target]} does",
                                     "take one of the two")
                own = own_quantity(self.base, target)
                if own is not None and own not in {p.name for p in self.base.parameters}:
                    raise ModelError(where, f"it gives {target}, which model {self.base.name} works out itself as "
                                     f"{own}", "take one of the two, or a variant of the plug-in that leaves "
                                     f"{target} alone")
                owner[target] = plugin.name
                name = f"{plugin.name}.{target}" if target in self.taken else target
                given[target] = (name, _unit(plugin.model, state.name) or GLOBALS[target].unit)
        return given

    def find_sums(self) -> dict[str, Definition]:
        """The sum for each quantity to which a plug-in adds: the model's own part, if it has one, and theirs."""
        parts: dict[str, list[Expr]] = {}
        for plugin in self.plugins:
            for local, target in plugin.added.items():
                unit = _unit(plugin.model, local)
                parts.setdefault(target, []).append(_scaled(Name(f"{plugin.name}.{local}"), unit, GLOBALS[target].unit))
        constants = {p.name for p in self.base.parameters}
        for target, exprs in parts.items():
            own = own_quantity(self.base, target)
            if own is not None and own not in constants:
                unit = GLOBALS[target].unit
                exprs.insert(0, _scaled(Name(own), _unit(self.base, own) or unit, unit))
        return {target: Definition(f"total.{target}" if target in self.taken else target,
                                   reduce(partial(Binary, "+"), exprs)) for target, exprs in parts.items()}

    def with_given(self, model: Model) -> Model:
        """The model, reading the plug-ins' states and the sums; its starts still follow from its own parameters."""
        targets = {own: (name, unit) for target, (name, unit) in self.given.items()
                   if (own := own_quantity(model, target)) is not None}
        constants = {p.name for p in model.parameters}
        targets |= {own: (total.name, GLOBALS[target].unit) for target, total in self.sums.items()
                    if (own := own_quantity(model, target)) in constants and own is not None}
        if not targets:
            return model
        exprs = {own: _scaled(Name(name), unit, _unit(model, own) or unit) for own, (name, unit) in targets.items()}
        states = tuple(replace(_mapped(s, {}, exprs), init=s.init) for s in model.states)
        return replace(_mapped(model, {}, exprs), states=states, v_init=model.v_init)

    # What a plug-in takes

    def joined(self, plugin: Plugin) -> Model:
        """A plug-in with its names in place: its own in front of them, shared ones replaced by what they are."""
        local, prefix, where = plugin.model, plugin.name, f"plug-in {plugin.name}"
        given = {state.name: self.given[target][0] for target, state in plugin.written.items()}
        own = {n: given.get(n, f"{prefix}.{n}") for n in _names(local) if n != "V"}
        own |= {flag.name: f"{prefix}.{flag.name}" for flag in local.flags}
        read = {name: self.source(name, target, plugin) for name, target in plugin.read.items()}
        for name in plugin.links:
            if name not in read:
                shared = sorted(plugin.read)
                raise ModelError(where, f"{name} = '{plugin.links[name]}': no shared quantity '{name}' that it reads",
                                 did_you_mean(name, shared) if shared else "it reads none")
        starts = {s.name: self.start(s, target) for target, s in plugin.written.items()}
        part = _mapped(local, {n: new for n, new in own.items() if n not in read},
                       {n: Name(new) for n, new in own.items()} | read)
        states = [replace(s, init=starts[old.name]) if starts.get(old.name) is not None else s
                  for old, s in zip(local.states, part.states, strict=True)]
        kept = set(own.values())
        return replace(part, parameters=tuple(p for p, old in zip(part.parameters, local.parameters, strict=True)
                                              if old.name not in read),
                       states=tuple(s for s, old in zip(states, local.states, strict=True) if old.name not in read),
                       traces=tuple(t for t in part.traces if t in kept), externals={},
                       units={n: unit for n, unit in part.units.items() if n in kept})

    def start(self, state: State, target: str) -> Expr | None:
        """The model's own value of a quantity that a plug-in gives, or None where it has none."""
        own = own_quantity(self.base, target)
        if own is None:
            return None
        unit = GLOBALS[target].unit
        return _scaled(Name(own), _unit(self.base, own) or unit, state.unit or unit)

    def source(self, local: str, target: str, plugin: Plugin) -> Expr:
        """What stands for a shared quantity that a plug-in reads, in the plug-in's unit."""
        unit = _unit(plugin.model, local) or GLOBALS[target].unit
        if local in plugin.links:
            name = plugin.links[local]
            if name not in self.quantities:
                raise ModelError(f"plug-in {plugin.name}", f"{local} = '{name}': model {self.base.name} has no "
                                 f"'{name}'", did_you_mean(name, self.quantities))
            return _scaled(Name(name), self.quantities[name] or unit, unit)
        if target in self.given:
            return _scaled(Name(self.given[target][0]), self.given[target][1], unit)
        if target in self.sums:
            return _scaled(Name(self.sums[target].name), GLOBALS[target].unit, unit)
        own = own_quantity(self.base, target)
        if own is not None:
            return _scaled(Name(own), _unit(self.base, own) or GLOBALS[target].unit, unit)
        default = GLOBALS[target].default
        if target in CELL_OWNS or default is None:
            raise ModelError(f"plug-in {plugin.name}", f"it needs {target}, {GLOBALS[target].doc}, which model "
                             f"{self.base.name} does not have", f"give {local} a number (in {unit}) among the "
                             "parameters of the plug-in, or the name of a quantity of the model")
        if target not in self.shared:
            name = f"{plugin.name}.{target}" if target in self.taken else target
            value = changed(name, default, self.values[target]) if target in self.values else default
            self.shared[target] = Parameter(name, value, GLOBALS[target].unit)
        return _scaled(Name(self.shared[target].name), GLOBALS[target].unit, unit)

    def source_of(self, target: str) -> str:
        own = own_quantity(self.base, target)
        if target in self.sums:
            return "it is the sum of what the model and its plug-ins add"
        if target in self.given:
            return f"it is a state; give its start instead: initial = {{ {self.given[target][0]} = ... }}"
        return f"the model's own is {own}" if own else "give it among the parameters of a plug-in"


def _scaled(expr: Expr, unit: str, wanted: str) -> Expr:
    """A quantity in another unit of the same kind."""
    ratio = float(f"{factor(unit) / factor(wanted):.15g}")
    return expr if ratio == 1.0 else Binary("*", Num(ratio), expr)
