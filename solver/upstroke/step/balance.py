"""After resets: V where branches meet.

A point where branches meet has no membrane and holds no charge, so V there is the mean of its neighbours,

    V_i = sum_j k_ij V_j / sum_j k_ij.

Steps of V keep that; an event, which sets V of single compartments, does not. Left behind, such a point would drive a
current through the compartment that has just been reset.
"""

from __future__ import annotations

import ctypes
from importlib import resources

import numpy as np

from upstroke.backend import Backend, Stage
from upstroke.space.operator import Operator
from upstroke.step.conductances import REAL
from upstroke.step.state import State


class BalanceArgs(ctypes.Structure):
    """``balance_args`` of balance.c."""

    _fields_ = [*((name, ctypes.c_void_p) for name in ("V", "node", "first", "other", "weight")),
                *((name, ctypes.c_double) for name in ("t", "step_dt"))]


def balance_stages(operator: Operator, state: State, dt: float, backend: Backend) -> list[Stage]:
    """Sets V of the nodes without mass, after events may have set it elsewhere; none where no model resets V."""
    node = np.flatnonzero(operator.lumped_mass == 0.0)
    if not (len(node) and any(group.kernel.resets for group in state.groups)):
        return []
    rows = operator.stiffness[node].tocoo()
    near = (rows.col != node[rows.row]) & (rows.data != 0.0)
    row, k = rows.row[near], -rows.data[near]
    arrays = {name: backend.array(values) for name, values in {
        "node": node.astype(np.int32), "other": rows.col[near].astype(np.int32),
        "first": np.searchsorted(row, np.arange(len(node) + 1)).astype(np.int32),
        "weight": k / np.bincount(row, k, len(node))[row]}.items()}
    args = BalanceArgs(V=backend.pointer(state.V), step_dt=dt,
                       **{name: backend.pointer(array) for name, array in arrays.items()})
    text = resources.files(__package__).joinpath("balance.c").read_text()
    stage = backend.kernel(f"#define REAL {REAL[np.dtype(state.V.dtype)]}\n{text}", "upstroke_balance", args, len(node),
                           dt=dt, label="states")
    stage.keep = arrays
    return [stage]
