"""The statements of a node whose V is given: its states over a step, then Iion and dIion/dV at where they are.

What an implicit step of V needs, which is taken elsewhere, for all nodes at once. The text is that of ``body``, without
V among what changes: what depends on V alone is found once, so that a gate takes its exact exponential step. Events
happen after the states' step, as elsewhere; they may change V, for its next step.
"""

from __future__ import annotations

from dataclasses import dataclass

from upstroke.codegen import events
from upstroke.codegen.body import Body, Layout
from upstroke.ionic.jacobian import Jacobian, differentiated
from upstroke.ionic.methods import METHODS, STORE, Method
from upstroke.ionic.model import Definition, Model
from upstroke.ionic.symbolic import ZERO


@dataclass(frozen=True)
class FollowText:
    """Statements in the order in which a frame uses them."""

    constants: tuple[str, ...]   # once per call: parameters that no node changes
    load: tuple[str, ...]        # once per node: what memory holds, and what depends on parameters and V alone
    step: tuple[str, ...]        # once per step: the states
    store: tuple[str, ...]       # once per node: the states, and V where events change it
    current: tuple[str, ...]     # once per node, of V and the states as they are: Iion and its slope, stored
    resets: bool                 # events change V, so after each step all is loaded anew


class FrozenV(Body):
    """Writes the statements of one model at a given V."""

    GIVEN = frozenset({"V"})

    def __init__(self, model: Model, layout: Layout) -> None:
        self._slope_of_iion = _slope(model)
        super().__init__(model, layout)

    def _derivatives(self, model: Model) -> tuple[Definition, ...]:
        known = {d.name for d in model.jacobian.definitions}
        return *model.jacobian.definitions, *(d for d in self._slope_of_iion.definitions if d.name not in known)

    def _choose_methods(self) -> dict[str, Method]:
        methods = super()._choose_methods()
        del methods["V"]
        return methods

    def follow(self) -> FollowText:
        """The states over a step by their own methods, and the current with dIion/dV at fixed states."""
        step: list[str] = []
        for stage in range(self._stages.stages):
            step += self._stage(stage)
        slope = self._slope_of_iion.entries["V", "V"]
        electric = [self._iion, slope]
        roots = [*electric, *(e for stage in range(self._stages.stages) for e in self._stage_roots(stage)),
                 *events.roots(self._model.events)]
        states = self._layout.states
        resets = self._model.resets
        current = [*self._define(self._closure(electric), 0), self._current(0), "up_Iion[up_i] = up_I;",
                   f"up_G[up_i] = up_max(up_finite({self._value(slope, 0)}), up_least);   /* mS/cm^2 */"]
        return FollowText(
            constants=self._parameters(roots, nodal=False),
            load=(*self._parameters(roots, nodal=True), *self._load(states), *self._define_constants(roots)),
            step=(*step, *self._commit()),
            store=(*["up_V[up_i] = v_V;"] * resets, *self._store(states)),
            current=tuple(current),
            resets=resets,
        )

    def exact(self) -> tuple[str, ...]:
        """The states whose step has no error at a given V: of rates that are free of all states, and gates."""
        names = {s.name for s in self._model.states}
        found = []
        for state in self._model.states:
            if state.method == STORE or state.rate is None:
                continue
            used = self._names([state.rate]) & names
            gate = METHODS[state.method].exponential and state.slope is not None
            if "t" not in self._names([state.rate]) and (not used or (used == {state.name} and gate)):
                found.append(state.name)
        return tuple(found)


def _slope(model: Model) -> Jacobian:
    """dIion/dV at fixed states; 0 where there is no Iion, which `Body` refuses."""
    return differentiated({"V": model.iion or ZERO}, [("V", "V")], model.definitions)
