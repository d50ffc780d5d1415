"""A neuron whose membranes are taken apart: the cable with its leaks as a matrix, and channels upon it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from upstroke.case import Case, located
from upstroke.case.schema import Membrane as Table
from upstroke.case.schema import NetworkMesh
from upstroke.errors import CaseError
from upstroke.ionic import initial_state, load_model
from upstroke.ionic.library import find_plugin
from upstroke.ionic.spelling import parameters_of
from upstroke.mesh import build_mesh
from upstroke.mesh.labels import values_at
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.order import membrane_of_nodes
from upstroke.reduce.channels import Dynamics, dynamics_of
from upstroke.reduce.passive import Complex, Floats, Passive
from upstroke.setup import model_of
from upstroke.space import assemble_tree

STEPS = 200             # of Newton's method for the rest
LONGEST = 3.0           # mV, of its steps
STILL = 1e-7            # mV
NUDGE = 1e-3            # mV, over which the slope of the steady current is taken


@dataclass(frozen=True, eq=False)
class Membrane:
    """One table of a case on its nodes.

    Attributes
    ----------
    base : name and flags of the model without its plug-ins; None where that is a leak alone
    own : the parameters of that model
    values : (k,) parameters that differ from node to node, by the model's names
    parameters : that the table changes, by the model's names
    plugins : by the names that stand in front of their parameters: what the table calls them, and what it gives there
    """

    table: Table
    base: tuple[str, tuple[str, ...]] | None
    own: frozenset[str]
    dynamics: Dynamics
    nodes: NDArray[np.int64]
    values: Mapping[str, Floats]
    parameters: Mapping[str, float | str]
    plugins: Mapping[str, tuple[str, Mapping[str, float | str]]]

    def density(self, channel: str) -> Floats:
        """(k,) the maximal conductance of a channel."""
        own = next(p.value for p in self.dynamics.model.parameters if p.name == channel)
        return np.asarray(self.values.get(channel, np.full(len(self.nodes), own)), float)

    def at(self, node: int) -> dict[str, float]:
        """Parameters that differ from node to node, at one; their means for one that has another membrane."""
        here = self.nodes == node
        return {name: float(value[here if here.any() else slice(None)].mean()) for name, value in self.values.items()}

    def answer(self, channel: str, V: Sequence[float], omega: Sequence[float]) -> Complex:
        """(f, v, k) the channel's answer at held voltages, as a part of its maximal conductance; k is 1 where all nodes
        answer alike."""
        apart = {name: value for name, value in self.values.items() if name not in self.dynamics.channels}
        return np.asarray(self.dynamics.admittance(channel, np.array(V)[:, None], omega, apart))

    def key(self, channel: str) -> str:
        """What tells a channel from those of other models: plug-ins have their name in front already."""
        return channel if "." in channel or self.base is None else f"{self.base[0]}.{channel}"


@dataclass(frozen=True, eq=False)
class Neuron:
    """The cable with its leaks, and the membranes."""

    passive: Passive
    membranes: tuple[Membrane, ...]

    @property
    def channels(self) -> list[str]:
        """Keys of all channels that are somewhere."""
        return list(dict.fromkeys(m.key(c) for m in self.membranes for c in m.dynamics.channels
                                  if np.any(m.density(c) != 0.0)))

    def membrane_at(self, node: int) -> Membrane:
        return next(m for m in self.membranes if node in m.nodes)

    def having(self, key: str) -> list[tuple[Membrane, str]]:
        """The membranes that have a channel, and its names there."""
        return [(m, c) for m in self.membranes for c in m.dynamics.channels if m.key(c) == key]

    def owner_of(self, key: str, node: int) -> tuple[Membrane, str]:
        """The membrane whose channel a compartment at a node gets, and its name there: that of the node where it has
        the channel, else the one with most of it."""
        having = self.having(key)
        area = self.passive.tree.area
        return next(((m, c) for m, c in having if node in m.nodes),
                    max(having, key=lambda item: float((item[0].density(item[1]) * area[item[0].nodes]).sum())))

    def total(self, key: str) -> Floats:
        """(n,) maximal conductance of a channel times area: mS, where it is a conductance."""
        found = np.zeros(len(self.passive.leak))
        for m, channel in self.having(key):
            found[m.nodes] = m.density(channel) * self.passive.tree.area[m.nodes]
        return found

    def steady_current(self, V: Floats) -> Floats:
        """(n,) uA: what flows out through the membrane while V is held."""
        out = np.zeros(len(V))
        for m in self.membranes:
            here = V[m.nodes]
            out[m.nodes] = m.dynamics.current(here, m.dynamics.steady(here, m.values), m.values)
        return np.asarray(out * self.passive.tree.area)

    @cached_property
    def rest(self) -> Floats:
        """(n,) mV, V when nothing changes, by Newton's method from where the models start.

        Raises
        ------
        CaseError for a cell without rest
        """
        if not self.channels:
            return self.passive.rest
        V = np.empty(len(self.passive.leak))
        for m in self.membranes:
            given = initial_state(m.dynamics.model, {}, m.values)["V"]
            start = m.table.initial if isinstance(m.table.initial, dict) else {}
            V[m.nodes] = start.get("V", given)
        for _ in range(STEPS):
            out = self.steady_current(V)
            slope = (self.steady_current(V + NUDGE) - out) / NUDGE
            matrix = (self.passive.coupling + sparse.diags_array(slope)).tocsc()
            step = splu(matrix).solve(self.passive.coupling @ V + out)
            V = V - np.clip(step, -LONGEST, LONGEST)
            if np.abs(step).max() < STILL:
                return V
        raise CaseError("membrane", "the cell finds no rest", "reduction starts from one; a cell that fires of itself "
                        "may have one with a weaker current")


def neuron_of(case: Case) -> Neuron:
    """The matrix and the membranes of a case, whose mesh is a neuron.

    Raises
    ------
    CaseError for tissue, and for a membrane that does not come apart into leaks and channels
    """
    with located(case):
        if case.cable is None:
            raise CaseError("mesh", f'is no neuron but of kind "{case.mesh.kind}"',
                            'only neurons can be reduced: mesh.kind = "morphology" or "sections"')
        if isinstance(case.mesh, NetworkMesh):
            raise CaseError("mesh", "is a network, and only a single cell is reduced",
                            "give a case whose [mesh] is the cell of a population")
        mesh = build_mesh(case.mesh, case.cable)
        assert mesh.tree is not None
        owner = membrane_of_nodes(mesh, [table.regions for table in case.membrane])
        membranes = tuple(_membrane(case, k, mesh, np.flatnonzero(owner == k)) for k in range(len(case.membrane)))
    g, E = np.empty(len(owner)), np.empty(len(owner))
    for m in membranes:
        g[m.nodes], E[m.nodes] = m.dynamics.leak(m.values)
    operator, C_m = assemble_tree(mesh.tree, case.cable), case.cable.capacitance
    passive = Passive(mesh.tree, C_m * operator.lumped_mass, g * mesh.tree.area, E, C_m * operator.stiffness)
    return Neuron(passive, membranes)


def _membrane(case: Case, k: int, mesh: Mesh, nodes: NDArray[np.int64]) -> Membrane:
    table = case.membrane[k]
    where = "membrane" if len(case.membrane) == 1 else f"membrane.{k}"
    with located(case, where):
        model = model_of(table, case.cable)
        values = {name: values_at(mesh, data, nodes, f"{where}.nodal.{name}")
                  for name, data in parameters_of(model, table.nodal).items()}
        base = load_model(table.model, table.flags)
        given = table.plugins if isinstance(table.plugins, dict) else {name: {} for name in table.plugins}
        plugins = {find_plugin(name).stem: (name, changes) for name, changes in given.items()}
        try:
            dynamics = dynamics_of(model)
            if np.any(dynamics.leak(values)[0] < 0.0):
                raise CaseError("", f"{model.name} has a leak that is negative", "take a positive one")
        except CaseError as error:
            raise CaseError(where, error.what, error.remedy) from None
        own = frozenset(p.name for p in base.parameters)
        return Membrane(table, (base.name, table.flags) if base.states else None, own, dynamics, nodes, values,
                        parameters_of(model, table.parameters), plugins)
