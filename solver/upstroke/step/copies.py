"""Equal meshes side by side: the state, the operator and the stimuli of several runs as those of one.

Within each group of the whole, the nodes of copy 0 come first, then those of copy 1, and so on: a membrane stays one
launch. No coupling joins two copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.backend import Backend
from upstroke.codegen import Kernel
from upstroke.protocol import Stimuli
from upstroke.space.operator import Operator
from upstroke.step.state import Group, Piece, State


def places_of_copies(state: State, count: int) -> NDArray[np.int64]:
    """(count, n) where in the whole the places of each copy of ``state`` are."""
    found = np.empty((count, state.n), np.int64)
    for group in state.groups:
        size = group.end - group.begin
        found[:, group.begin:group.end] = (count * group.begin + size * np.arange(count)[:, None] + np.arange(size))
    return found


def whole_state(states: Sequence[State], backend: Backend) -> State:
    """All copies as one state, of meshes that are counted one after the other; it starts as they stand.

    ``states`` have the same groups, of equal kernels.
    """
    count, total = len(states), states[0].total
    membranes, order = [], []
    for k, group in enumerate(states[0].groups):
        values = [_values(state.groups[k], backend) for state in states]
        membranes.append((group.kernel, {name: np.concatenate([own[name] for own in values]) for name in values[0]},
                          count * (group.end - group.begin)))
        order += [b * total + state.order[group.begin:group.end] for b, state in enumerate(states)]
    return State(membranes, backend, np.concatenate(order), count * total)


def _values(group: Group, backend: Backend) -> dict[str, NDArray[Any]]:
    """(nodes,) V, Iion, states and nodal parameters by name, on the host."""
    host = {name: np.asarray(backend.to_host(array)) for name, array in group.arrays.items()}
    return {name: row[:group.end - group.begin] for name, row in _rows(group.kernel, host).items()}


def _rows(kernel: Kernel, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """V, Iion, states and nodal parameters among the arrays of a group, by name."""
    rows = {"W": kernel.wide, "S": [name for name in kernel.states if name not in kernel.wide], "N": kernel.nodal}
    return {name: arrays[name] for name in ("V", "Iion")} | {
        name: arrays[block][k] for block, names in rows.items() for k, name in enumerate(names)}


def part_of_whole(whole: State, own: State, b: int) -> State:
    """What copy ``b`` of the whole is: a state like ``own``, whose arrays are parts of those of the whole.

    V, Iion and Istim are one array each where there is one group, else None; `State.pieces` has them in any case.
    """
    part, groups, pieces = copy(own), [], {name: list[Piece]() for name in own.names}
    for group, of_all in zip(own.groups, whole.groups, strict=True):
        size = group.end - group.begin
        arrays = {name: array[b * size:(b + 1) * size] if array.ndim == 1 else array[:, b * size:(b + 1) * size]
                  for name, array in of_all.arrays.items()}
        groups.append(replace(group, arrays=arrays))
        for name, row in _rows(group.kernel, arrays).items():
            if name in pieces:
                pieces[name].append((group.begin, group.end, row))
    alone: dict[str, Any] = groups[0].arrays if len(groups) == 1 else {}
    part.groups, part._pieces = tuple(groups), pieces
    for name in ("V", "Iion", "Istim"):
        setattr(part, name, alone.get(name))
    return part


def whole_operator(operators: Sequence[Operator], states: Sequence[State]) -> Operator:
    """The operators of all copies, each in its own solve order, as one without couplings between them."""
    n = states[0].n

    def together(matrices: list[sparse.csr_array]) -> sparse.csr_array:
        lengths = np.concatenate([np.diff(matrix.indptr) for matrix in matrices])
        return sparse.csr_array((np.concatenate([matrix.data for matrix in matrices]),
                                 np.concatenate([matrix.indices + b * n for b, matrix in enumerate(matrices)]),
                                 np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])),
                                shape=(len(matrices) * n,) * 2)

    bounds = [operator.eigenvalue_bound for operator in operators]
    whole = Operator(together([operator.mass for operator in operators]),
                     together([operator.stiffness for operator in operators]),
                     np.concatenate([operator.lumped_mass for operator in operators]), operators[0].is_lumped,
                     max(bound for bound in bounds if bound is not None) if None not in bounds else None)
    return whole.permuted(np.argsort(places_of_copies(states[0], len(states)).ravel()))


def whole_stimuli(stimuli: Sequence[Stimuli], states: Sequence[State]) -> Stimuli:
    """The trains of all copies, each for the nodes of its own."""
    places = places_of_copies(states[0], len(states))
    return replace(stimuli[0], trains=tuple(train for own, place in zip(stimuli, places, strict=True)
                                            for train in own.renumbered(place).trains))
