"""Synapses and voltage clamps as a stage of the implicit splittings: their currents and slopes beside the membrane's.

A synapse's conductance g is the sum of two exponentials, exact in time; its mean over the step is what acts (see
conductances.c), which keeps the order of the splitting wherever in a step a spike arrives:

    I += g B(V) (V - E) / A,    dI/dV += g (B + B' (V - E)) / A

A clamp is a conductance h to its level. With theta = 1/2 V would swing about it, so the slope is enlarged by
(1 / (1 - exp(-z)) - 1 / z) / theta, which is 1 + O(dt) and lets V go there by an exponential; z = dt h / (A C) with the
node's own capacitance C.
"""

from __future__ import annotations

import ctypes
import math
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Backend, Stage
from upstroke.protocol import Conductances
from upstroke.protocol.conductances import Kinetics
from upstroke.protocol.table import tabulate
from upstroke.protocol.train import SNAP, Train
from upstroke.space.operator import Operator
from upstroke.step.state import State

HALF_BLOCK = 3.57       # mM of Mg that block half at 0 mV (Jahr and Stevens 1990)
REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


class ConductanceArgs(ctypes.Structure):
    """``conductance_args`` of conductances.c."""

    _fields_ = [*((name, ctypes.c_void_p) for name in (
        "V", "Iion", "G", "Isyn", "Iclamp", "node", "density", "first", "kinds", "kind", "state", "next", "end", "step",
        "left", "weight", "held", "drive", "slope")), *((name, ctypes.c_double) for name in ("t", "step_dt"))]


def conductance_stages(conductances: Conductances, state: State, G: Any, operator: Operator, C_m: float, dt: float,
                       theta: float, n_steps: int, backend: Backend) -> list[Stage]:
    """What adds to ``state.Iion`` and to its slope ``G`` (mS/cm^2) before V is solved for; none where nothing conducts.

    The state gets the variables Isyn and Iclamp: what flows out through synapses, and in from electrodes, at the start
    of the last step, uA/cm^2. ``operator`` knows the area and the capacity of every node, in solve order.
    """
    area = operator.membrane_area
    clamped = np.array([clamp.node for clamp in conductances.clamps], np.int64)
    nodes = np.unique(np.concatenate([clamped, *(s.nodes for s in conductances.synapses)]))
    if not len(nodes):
        return []
    arrays = {name: backend.array(values) for name, values in
              (synapse_arrays(conductances, nodes, dt) | {"node": nodes.astype(np.int32), "density": 1.0 / area[nodes]}
               ).items()}
    electrodes = {name: backend.zeros(len(nodes)) for name in ("held", "drive", "slope")}
    currents = {"Isyn": backend.zeros(state.n), "Iclamp": backend.zeros(state.n)}
    for name, there in (("Isyn", conductances.synapses), ("Iclamp", conductances.clamps)):
        if there:
            state.add(name, currents[name])
    args = ConductanceArgs(**{name: backend.pointer(array) for name, array in (
        arrays | electrodes | currents | {"V": state.V, "Iion": state.Iion, "G": G}).items()}, step_dt=dt)
    text = resources.files(__package__).joinpath("conductances.c").read_text()
    stage = backend.kernel(f"#define REAL {REAL[np.dtype(backend.dtype)]}\n{text}", "upstroke_conduct", args,
                           len(nodes), dt=dt, label="synapses")
    stage.keep = arrays, electrodes, currents, G
    stage.memory = {name: arrays[name] for name in ("state", "next")}
    return [*_clamp_stages(conductances, nodes, operator, C_m, dt, theta, n_steps, electrodes, backend), stage]


def _clamp_stages(conductances: Conductances, nodes: NDArray[np.int64], operator: Operator, C_m: float,
                  dt: float, theta: float, n_steps: int, out: dict[str, Any], backend: Backend) -> list[Stage]:
    """Sets what electrodes do, where there are any; of a step that a level covers in part, that part counts."""
    trains: list[Train] = []
    values: list[tuple[float, float, float]] = []
    for clamp in conductances.clamps:
        density = clamp.conductance / operator.membrane_area[clamp.node]
        z = dt * clamp.conductance / (C_m * operator.lumped_mass[clamp.node])
        fitted = (1.0 / -math.expm1(-z) - 1.0 / z) / theta if theta < 1.0 and z > 1e-6 else 1.0
        trains += clamp.held
        values += [(density, density * level, density * fitted) for level in clamp.levels]
    table = tabulate(trains, dt, n_steps)
    if not len(table.steps):
        return []
    places = np.searchsorted(nodes, table.nodes)
    return [backend.inputs(out[name], places, table.offsets, table.trains, table.scale, table.steps,
                           table.values * factor)
            for name, factor in zip(("held", "drive", "slope"), np.array(values).T, strict=True)]


def synapse_arrays(conductances: Conductances, nodes: NDArray[np.int64], dt: float) -> dict[str, NDArray[Any]]:
    """What conductances.c knows of synapses, by the names of ``ConductanceArgs``; those of a kind at a node are one."""
    kinds: dict[Kinetics, int] = {}
    kind, place, counts, time, weight = (list[NDArray[Any]]([np.zeros(0)]) for _ in range(5))
    for s in conductances.synapses:
        kind.append(np.full(len(s.nodes), kinds.setdefault(s.kinetics, len(kinds))))
        place.append(np.searchsorted(nodes, s.nodes))
        lengths = np.array([len(times) for times in s.arrivals])
        counts.append(lengths)
        time += s.arrivals
        weight.append(np.full(lengths.sum(), s.weight * s.kinetics.scale))
    own = np.concatenate(place) * max(len(kinds), 1) + np.concatenate(kind)        # what synapses that are one share
    one, which = np.unique(own.astype(np.int64), return_inverse=True)
    times = np.concatenate(time) / dt
    step = np.where(np.abs(times - np.round(times)) < SNAP * np.maximum(1.0, times), np.round(times), np.floor(times))
    synapse = np.repeat(which, np.concatenate(counts).astype(np.int64))
    order = np.lexsort((times, synapse))
    ends = np.cumsum(np.bincount(synapse, minlength=len(one)))
    first = np.searchsorted(one // max(len(kinds), 1), np.arange(len(nodes) + 1))
    return {"kinds": np.array([_kind(k, dt) for k in kinds]), "kind": (one % max(len(kinds), 1)).astype(np.int32),
            "first": first.astype(np.int32), "state": np.zeros((len(one), 2)),
            "next": np.concatenate([[0], ends]).astype(np.int32)[:len(one)], "end": ends.astype(np.int32),
            "step": step[order].astype(np.int32), "left": (dt * (step + 1.0 - times).clip(0.0, 1.0))[order],
            "weight": np.concatenate(weight)[order]}


def _kind(k: Kinetics, dt: float) -> tuple[float, ...]:
    """``synapse_kind`` of conductances.c."""
    rise, decay = dt / (k.tau_rise or k.tau_decay), dt / k.tau_decay
    return (math.exp(-rise), math.exp(-decay), -math.expm1(-rise) / rise, -math.expm1(-decay) / decay, rise / dt,
            decay / dt, float(k.tau_rise is not None), k.reversal, k.magnesium / HALF_BLOCK)
