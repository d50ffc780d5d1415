"""A membrane taken apart: maximal conductances, leaks, and how each channel answers small changes of V.

The linear answer of a channel is that of the quasi-active membrane: C. Koch (1984), Cable theory in neurons with
active, linearized membranes, Biol. Cybern. 50, 15-33, doi 10.1007/BF00317936.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from upstroke.errors import CaseError
from upstroke.ionic import initial_state, quantities
from upstroke.ionic.chains import closed_chains
from upstroke.ionic.evaluate import value_of
from upstroke.ionic.expr import Expr, Num
from upstroke.ionic.jacobian import Jacobian, differentiated
from upstroke.ionic.model import Model, Parameter
from upstroke.ionic.unitcheck import dimension

Values = Mapping[str, Any]                  # numbers or arrays, by name

TRIED = (-100.0, -80.0, -50.0, 10.0)        # mV, where a membrane's current is looked at, unevenly
SAME = 1e-9                                 # relative: currents nearer to each other are the same
CONDUCTANCE = ("mS/cm^2", "mS/uF", "cm/s")  # units of what scales a channel's current: conductance or permeability
NAMED = re.compile(r"[gGpP]_?(bar|max)|[gG]_?[A-Z0-9].*|P_?[A-Z].*|[gG]")       # its names where no unit is told
ROUNDS = 60             # of Newton's method
STILL = 1e-10           # relative: a state that moves by less is steady


@dataclass(frozen=True)
class Leak:
    """A current g (V - E) without states: g is the parameter ``name`` times ``unit``, or ``unit`` over it where it is a
    resistance.

    ``reversal`` is the parameter that shifts E by as much as it is changed, and nothing else, E being ``shift`` above
    it; "" where there is none.
    """

    name: str
    resistance: bool
    reversal: str = ""
    unit: float = 1.0
    shift: float = 0.0

    def of(self, g: float) -> float:
        """The value for a conductance g, mS/cm^2."""
        return self.unit / g if self.resistance else g / self.unit

    @property
    def none(self) -> float:
        """The value that leaves no current."""
        return np.inf if self.resistance else 0.0


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Iion = leaks + sum of g I_g(V, s), ds/dt = f(V, s): a model as channels, each with its maximal conductance g.

    Attributes
    ----------
    model : with its plug-ins and the values of a case's table
    channels : names of the maximal conductances
    leaks : currents without states and straight in V; one whose reversal potential can be set comes first
    held : states that follow currents, as concentrations do: they stay where they are in the linear answer
    feeds : of a state that follows currents the parameter that scales how they feed it, and their channels
    """

    model: Model
    channels: tuple[str, ...] = ()
    leaks: tuple[Leak, ...] = ()
    held: frozenset[str] = frozenset()
    feeds: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Names of the states that have a rate."""
        return tuple(self._rates)

    @cached_property
    def _rates(self) -> dict[str, Expr]:
        return {s.name: s.rate for s in self.model.states if s.rate is not None}

    @cached_property
    def _jacobian(self) -> Jacobian:
        assert self.model.iion is not None
        rates = self._rates | {"V": self.model.iion}
        return differentiated(rates, [(a, b) for b in rates for a in rates], self.model.definitions)

    @cached_property
    def _chains(self) -> tuple[tuple[str, ...], ...]:
        return closed_chains(self._rates, {d.name: d.expr for d in self.model.definitions})

    def silent(self) -> dict[str, float]:
        """Values without any current."""
        return dict.fromkeys(self.channels, 0.0) | {leak.name: leak.none for leak in self.leaks}

    def leak(self, given: Values) -> tuple[Any, Any]:
        """mS/cm^2, mV: conductance and reversal potential of all leaks together."""
        given = {**given, **dict.fromkeys(self.channels, 0.0)}
        start = initial_state(self.model, {}, given)
        low, high = (quantities(self.model, V, start, parameters=given)["Iion"] for V in TRIED[1:3])
        g = (high - low) / (TRIED[2] - TRIED[1])
        return g, TRIED[1] - low / np.where(g > 0.0, g, 1.0)

    def current(self, V: Any, states: Values, given: Values) -> Any:
        """uA/cm^2, Iion."""
        return quantities(self.model, V, states, parameters=given)["Iion"]

    def steady(self, V: Any, given: Values, held: Collection[str] = ()) -> dict[str, Any]:
        """The states that do not change while V is held, by Newton's method from where the model starts at V.

        Those in ``held`` stay where the model starts.

        Raises
        ------
        CaseError where there are none to be found
        """
        shape = np.broadcast_shapes(np.shape(V), *(np.shape(value) for value in given.values()))
        V = np.broadcast_to(np.asarray(V, float), shape)
        start = initial_state(self.model, {"V": V}, given)
        states: dict[str, Any] = {s.name: np.broadcast_to(start[s.name], shape) for s in self.model.states}
        names = tuple(name for name in self.states if name not in held)
        if not names:
            return states
        for _ in range(ROUNDS):
            J, _, f = self._linear(V, states, given, names)
            for chain in self._chains:              # its sum is kept: that stands for the last one's rate
                if chain[-1] in names:
                    last = names.index(chain[-1])
                    J[..., last, :], f[..., last] = np.isin(names, chain), 0.0
            step = (np.linalg.pinv(J) @ f[..., None])[..., 0]
            moved = 0.0
            for k, name in enumerate(names):
                old, new = states[name], states[name] - step[..., k]
                if name in self.held:               # a concentration stays above zero
                    new = np.where(new > 0.0, new, 0.1 * old)
                moved = max(moved, float(np.max(np.abs(new - old) / (np.abs(old) + np.abs(new) + SAME))))
                states[name] = new
            if moved < STILL:
                return states
        raise CaseError("membrane", f"{self.model.name} finds no steady state while V is held",
                        "reduction starts from one; take another model")

    def admittance(self, channel: str, V: Any, omega: Sequence[float], given: Values) -> Any:
        """(f, ...) how a channel's current follows V around a held V, as a part of its maximal conductance.

            y(w) = dI/dV + dI/ds (i w - df/ds)^-1 df/dV

        I is the current of a unit of the conductance, s are its steady states. Those that follow currents stay where
        the model starts.

        Parameters
        ----------
        V : number or array, mV
        omega : (f,) 2 pi f, 1/ms
        given : parameters, numbers or arrays
        """
        states = self.steady(V, given, self.held)
        shape = np.broadcast_shapes(np.shape(V), *(np.shape(value) for value in states.values()))
        known = self._known(V, states, {**given, **self.silent(), channel: 1.0})
        slopes = {b: np.broadcast_to(value_of(self._jacobian.entries.get(("V", b), Num(0.0)), known), shape)
                  for b in ("V", *self.states)}
        names = tuple(name for name in self.states if name not in self.held)
        answer = np.array([slopes["V"]] * len(omega), complex)
        if not names:
            return answer
        J, B, _ = self._linear(V, states, given, names)
        C = np.stack([slopes[b] for b in names], -1)
        for k, w in enumerate(omega):
            matrix, right = 1j * w * np.eye(len(names)) - J, B.astype(complex)
            for chain in self._chains:
                if chain[-1] in names:
                    last = names.index(chain[-1])
                    matrix[..., last, :], right[..., last] = np.isin(names, chain), 0.0
            answer[k] += (C * (np.linalg.pinv(matrix) @ right[..., None])[..., 0]).sum(-1)
        return answer

    def _known(self, V: Any, states: Values, given: Values) -> dict[str, Any]:
        """Every quantity, and the derivatives on which the entries of the Jacobian rest."""
        known = quantities(self.model, V, states, parameters=given)
        with np.errstate(all="ignore"):
            for derivative in self._jacobian.definitions:
                known[derivative.name] = value_of(derivative.expr, known)
        return known

    def _linear(self, V: Any, states: Values, given: Values, names: Sequence[str]) -> tuple[Any, Any, Any]:
        """(..., k, k) df/ds, (..., k) df/dV and f of the states of these names, 1/ms."""
        known = self._known(V, states, given)
        shape = np.broadcast_shapes(np.shape(V), *(np.shape(value) for value in states.values()))

        def entry(a: str, b: str) -> Any:
            return np.broadcast_to(value_of(self._jacobian.entries.get((a, b), Num(0.0)), known), shape)

        J = np.stack([np.stack([entry(a, b) for b in names], -1) for a in names], -2)
        f = np.stack([np.broadcast_to(value_of(self._rates[a], known), shape) for a in names], -1)
        return J.astype(float), np.stack([entry(a, "V") for a in names], -1).astype(float), f.astype(float)


def dynamics_of(model: Model) -> Dynamics:
    """A model as channels.

    What scales a channel is told by its unit, else by its name; that all currents together grow by as much as these
    do is tried at several V and states.

    Raises
    ------
    CaseError for a model with resets, and one with currents that nothing scales
    """
    if not model.states and not model.events and _line(_currents(model, {})):
        return Dynamics(model)
    if model.events:
        raise CaseError("membrane", f"{model.name} resets its values at events, and cannot be reduced",
                        "take a model whose currents make its spikes")
    leaks = [Leak(p.name, True) for p in model.parameters if _resistance(model, p)]
    scales = [p.name for p in model.parameters if _conductance(model, p)]
    leaks += [Leak(name, False) for name in scales if _line(_alone(model, Leak(name, False)))]
    channels = tuple(name for name in scales if name not in {leak.name for leak in leaks})
    leaks = sorted((_with_reversal(model, leak) for leak in leaks),
                   key=lambda leak: (not leak.resistance, not leak.reversal))
    fed = _fed(model, channels)
    feeds = {name: (p, tuple(by)) for name, by in fed.items() if (p := _feed(model, name, by))}
    found = Dynamics(model, channels, tuple(leaks), frozenset(fed), feeds)
    size, rest = (max(abs(float(quantities(model, V, s, parameters=given)["Iion"])) for V, s in _points(model))
                  for given in ({}, found.silent()))
    if rest > SAME * max(size, 1.0):
        known = ", ".join([*channels, *(leak.name for leak in leaks)]) or "none"
        raise CaseError("membrane", f"{model.name} has currents that no maximal conductance scales, up to {rest:.3g} "
                        f"uA/cm^2 (those found: {known})",
                        "a reduced compartment has another area than the membrane it stands for: give each current of "
                        'the model a parameter in mS/cm^2 or cm/s, as with .units(mS/cm^2)')
    return found


def _points(model: Model) -> list[tuple[float, dict[str, Any]]]:
    """V and states at which a model is tried: where it starts, and somewhat off."""
    start = initial_state(model)
    off = {name: 0.7 * x + 0.2 if 0.0 <= x <= 1.0 else 1.1 * x for name, x in start.items()}
    return [(V, s) for V in TRIED for s in (start, off)]


def _currents(model: Model, given: Values) -> Any:
    return np.array([float(quantities(model, V, s, parameters=given)["Iion"]) for V, s in _points(model)])


def _same(a: Any, b: Any, size: Any) -> bool:
    return bool(np.all(np.isfinite(a) & np.isfinite(b))
                and np.max(np.abs(a - b), initial=0.0) <= SAME * np.max(np.abs(size), initial=1e-12))


def _conductance(model: Model, p: Parameter) -> bool:
    """Whether the current is straight in a parameter, which is a conductance or permeability by unit or name."""
    by_unit = p.unit and dimension(p.unit) in [dimension(unit) for unit in CONDUCTANCE]
    if not (by_unit or (not p.unit and NAMED.fullmatch(p.name.rpartition(".")[2]))):
        return False
    at = [_currents(model, {p.name: g}) for g in (0.0, 1.0, 2.0)]
    return bool(np.any(at[1] != at[0])) and _same(at[1] - at[0], at[2] - at[1], at[2] - at[0])


def _resistance(model: Model, p: Parameter) -> bool:
    """Whether a parameter is a resistance through which a current flows that is straight in V and has no state."""
    if p.value <= 0.0 or (p.unit and dimension(p.unit) != dimension("kOhm*cm^2")):
        return False
    none, one, half = (_currents(model, {p.name: R}) for R in (np.inf, 1.0, 2.0))
    return bool(np.any(one != none)) and _same(one - none, 2.0 * (half - none), one - none) and _line(one - none)


def _alone(model: Model, leak: Leak) -> Any:
    """The current of a leak whose parameter is 1, at the points."""
    return _currents(model, {leak.name: 1.0}) - _currents(model, {leak.name: leak.none})


def _line(current: Any) -> bool:
    """Whether currents at the points are the same for both states, and straight in V."""
    one, other = current.reshape(len(TRIED), 2).T
    slopes = np.diff(one) / np.diff(TRIED)
    return _same(one, other, one) and _same(slopes, slopes[:1], slopes) and slopes[0] > 0.0


def _with_reversal(model: Model, leak: Leak) -> Leak:
    """A leak with its unit, and the parameter that shifts its reversal potential by as much as it is changed, and no
    other current or rate."""
    on, current = {leak.name: 1.0}, _alone(model, leak).reshape(len(TRIED), 2)[:, 0]
    unit = float((current[1] - current[0]) / (TRIED[1] - TRIED[0]))
    before, rates = _currents(model, on), _all_rates(model, on)
    for p in model.parameters:
        if p.name == leak.name or (p.unit and dimension(p.unit) != dimension("mV")):
            continue
        more = {**on, p.name: p.value + 1.0}
        if _same(_currents(model, more), before - unit, before) and all(
                _same(a, b, b) for a, b in zip(_all_rates(model, more), rates, strict=True)):
            return Leak(leak.name, leak.resistance, p.name, unit, TRIED[0] - float(current[0]) / unit - p.value)
    return Leak(leak.name, leak.resistance, "", unit)


def _all_rates(model: Model, given: Values) -> list[Any]:
    """Of each point, the rates of all states."""
    found = []
    for V, s in _points(model):
        known = quantities(model, V, s, parameters=given)
        found.append(np.array([float(value_of(x.rate, known)) for x in model.states if x.rate is not None]))
    return found


def _fed(model: Model, channels: Sequence[str]) -> dict[str, list[str]]:
    """States whose rates depend on maximal conductances, and on which: they follow these currents."""
    names = [s.name for s in model.states if s.rate is not None]
    value = {p.name: p.value for p in model.parameters}
    once, fed = _all_rates(model, {}), dict[str, list[str]]()
    for channel in channels:
        more = _all_rates(model, {channel: 2.0 * value[channel] + 1.0})
        for k, name in enumerate(names):
            if any(abs(a[k] - b[k]) > SAME * (abs(a[k]) + abs(b[k])) for a, b in zip(once, more, strict=True)):
                fed.setdefault(name, []).append(channel)
    return fed


def _feed(model: Model, state: str, channels: Sequence[str]) -> str:
    """The parameter by which all that channels add to a state's rate is multiplied, and nothing else; "" for none."""
    k = [s.name for s in model.states if s.rate is not None].index(state)

    def rate(given: Values) -> Any:
        return np.array([found[k] for found in _all_rates(model, given)])

    value = {p.name: p.value for p in model.parameters}
    closed = dict.fromkeys(channels, 0.0)
    opened = {channel: value[channel] or 1.0 for channel in channels}
    rest, whole = rate(closed), rate(opened)
    for p in model.parameters:
        twice = {p.name: 2.0 * p.value}
        if p.name not in channels and p.value and _same(rate({**closed, **twice}), rest, rest) and _same(
                rate({**opened, **twice}) - rest, 2.0 * (whole - rest), whole):
            return p.name
    return ""
