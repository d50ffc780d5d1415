"""Implicit splittings: V with the membrane's current in its matrix, then the other states with V given.

    (m + theta dt a g / C_m + theta dt K) delta = -dt K V - dt a (I - Istim) / C_m,   V += delta,   g = dI/dV,

then every state by its own method, and I and g anew. Nothing but V and the states is split, and gates take exact steps.
Synapses and electrodes add to I and g before V is solved for. Events of a model happen at the end of the states' step
and may reset V, for which points where branches meet are set anew (`balance`).
"""

from __future__ import annotations

from upstroke.backend import Backend, Stage
from upstroke.backend.tree import is_forest
from upstroke.case.schema import TimeTable
from upstroke.errors import CaseError
from upstroke.protocol import Conductances
from upstroke.space.operator import Operator
from upstroke.step.balance import balance_stages
from upstroke.step.conductances import conductance_stages
from upstroke.step.gaps import gap_stages
from upstroke.step.noise import noise_stages
from upstroke.step.splitting import Splitting
from upstroke.step.state import State


def implicit_stages(splitting: Splitting, operator: Operator, state: State, time: TimeTable, C_m: float,
                    conductances: Conductances, backend: Backend) -> tuple[list[Stage], dict[str, list[Stage]]]:
    """What is done once before the first step, and the stages "voltage" and "states".

    Raises
    ------
    CaseError for meshes with loops, and for a mass that couples nodes
    """
    check_operator(operator, time.splitting)
    dt, G = time.dt, backend.zeros(state.n)
    steps = time.reaction_steps
    groups = [(group.kernel.source, group.arrays, G[group.begin:group.end]) for group in state.groups]
    start: list[Stage] = [backend.follow(source, arrays, slope, C_m, dt, part=splitting.lead or 1.0,
                                         steps=steps if splitting.lead else 0) for source, arrays, slope in groups]
    states = [backend.follow(source, arrays, slope, C_m, dt, steps=steps, lead=splitting.lead)
              for source, arrays, slope in groups]
    for stage, (_, _, slope) in zip(states, groups, strict=True):
        stage.memory = {"G": slope}
    balance = balance_stages(operator, state, dt, backend)
    voltage = backend.voltage(operator.stiffness, operator.lumped_mass, state.V, state.Iion, state.Istim, G, C_m, dt,
                              splitting.theta, operator.membrane_area)
    conduct, send = conductance_stages(conductances, state, G, operator, C_m, dt, splitting.theta,
                                 round(time.end / dt), backend)
    join, remember = gap_stages(conductances.gaps, state, G, operator.membrane_area, dt, splitting.theta, backend)
    disturb = noise_stages(conductances.noise, state, G, operator.membrane_area, dt, backend)
    return [*start, *balance], {"voltage": [*conduct, *join, *disturb, voltage, *remember, *send],
                                "states": [*states, *balance]}


def check_operator(operator: Operator, splitting: str) -> None:
    """Raise a CaseError where an implicit splitting cannot be used."""
    if not operator.is_lumped:
        raise CaseError("time.splitting", f'"{splitting}" needs a lumped mass, one compartment to a node',
                        'set tissue.waves = "lumped", or take splitting = "strang"')
    if not is_forest(operator.stiffness):
        raise CaseError("time.splitting", f'"{splitting}" solves on cables and trees, and the couplings of this mesh '
                        "form loops", 'take splitting = "strang" or "godunov"; of a cable or a tree that '
                        'tissue.waves = "calibrated" couples over two nodes, set it to "lumped"')


def require_one_capacitance(operator: Operator, splitting: str) -> None:
    """Raise a CaseError where nodes differ in capacitance per area and the splitting has one for all."""
    if operator.area is not None:
        raise CaseError("time.splitting", f'"{splitting}" has one capacitance per area for all nodes, and regions of '
                        "[cable] differ in theirs", 'set time.splitting = "staggered" or "implicit"')
