"""The ionic model: checked, immutable equations, in an order in which they can be evaluated."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from upstroke.errors import NOWHERE, Place
from upstroke.ionic.expr import Expr

if TYPE_CHECKING:
    from upstroke.ionic.jacobian import Jacobian


@dataclass(frozen=True)
class Parameter:
    """A number the user may change; ``unit`` as written in the file, "" where none is."""

    name: str
    value: float
    unit: str = ""
    place: Place = NOWHERE


@dataclass(frozen=True)
class Flag:
    """A named choice between variants, e.g. ENDO | EPI | MCELL; ``value`` is the chosen option."""

    name: str
    options: tuple[str, ...]
    value: str


@dataclass(frozen=True)
class Definition:
    """An intermediate quantity, ``name = expr``."""

    name: str
    expr: Expr
    place: Place = NOWHERE


@dataclass(frozen=True)
class State:
    """A quantity the membrane remembers.

    ``rate`` is dX/dt (1/ms of the state's unit). Where it is affine in the state itself,
    dX/dt = rate(X = 0) + slope X, ``slope`` holds d(rate)/dX, which is what Rush-Larsen needs; a gate written by
    steady state and time constant also has ``steady`` (slope = -1/tau). ``store`` states have no rate: ``update``
    is their value at the end of the step. ``lower`` and ``upper`` bound the stored value.
    """

    name: str
    init: Expr
    method: str                      # name in ionic.methods.METHODS
    rate: Expr | None = None
    slope: Expr | None = None
    steady: Expr | None = None
    update: Expr | None = None
    lower: float | None = None
    upper: float | None = None
    unit: str = ""
    place: Place = NOWHERE


@dataclass(frozen=True)
class Change:
    """``name = expr`` in an event; ``name`` is V or a state."""

    name: str
    expr: Expr
    place: Place = NOWHERE


@dataclass(frozen=True)
class Event:
    """What happens at the end of a step where ``condition`` holds: docs/model_language.md says in which order."""

    condition: Expr
    changes: tuple[Change, ...]
    place: Place = NOWHERE


@dataclass(frozen=True)
class Lookup:
    """The range and step over which the file suggests tables; recorded, never needed: see docs/model_language.md."""

    name: str
    lower: float
    upper: float
    step: float


@dataclass(frozen=True)
class Model:
    """An ionic model: C_m dV/dt = -(Iion - Istim), ds/dt = f(V, s).

    ``definitions`` are sorted: each uses only parameters, states, V, t, dt and definitions before it. States may
    refer to any of them. Flags are resolved: equations hold no flag names.
    """

    name: str
    file: str
    header: dict[str, str] = field(default_factory=dict)      # Authors, Year, Title, Journal, DOI, Comment, ...
    parameters: tuple[Parameter, ...] = ()
    flags: tuple[Flag, ...] = ()
    states: tuple[State, ...] = ()                            # without V
    definitions: tuple[Definition, ...] = ()
    v_init: Expr | None = None
    v_method: str = "fe"
    iion: Expr | None = None                                  # outward positive, uA/cm^2
    traces: tuple[str, ...] = ()
    externals: dict[str, str] = field(default_factory=dict)   # local name -> global name, V and Iion left out
    units: dict[str, str] = field(default_factory=dict)       # unit of every quantity that states one
    lookups: tuple[Lookup, ...] = ()
    events: tuple[Event, ...] = ()                            # all at once; of several changes of a name the first

    @property
    def resets(self) -> bool:
        """Whether events change V."""
        return any(change.name == "V" for event in self.events for change in event.changes)

    @cached_property
    def jacobian(self) -> Jacobian:
        """The derivatives that the methods of its states need."""
        from upstroke.ionic.jacobian import jacobian  # which imports this module

        return jacobian(self)
