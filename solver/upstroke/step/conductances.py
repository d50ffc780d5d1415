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
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Backend, Stage
from upstroke.protocol import Conductances
from upstroke.protocol.conductances import Kinetics, Synapses
from upstroke.protocol.table import tabulate
from upstroke.protocol.train import SNAP, Train
from upstroke.space.operator import Operator
from upstroke.step.network import network_stages, numbered, quanta_of
from upstroke.step.state import State

HALF_BLOCK = 3.57       # mM of Mg that block half at 0 mV (Jahr and Stevens 1990)
REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


class ConductanceArgs(ctypes.Structure):
    """``conductance_args`` of conductances.c."""

    _fields_ = [*((name, ctypes.c_void_p) for name in (
        "V", "Iion", "G", "Isyn", "Iclamp", "node", "density", "first", "kinds", "kind", "state", "next", "end", "step",
        "left", "weight", "arrived", "held", "drive", "slope")),
        *((name, ctypes.c_double) for name in ("t", "step_dt"))]


def conductance_stages(conductances: Conductances, state: State, G: Any, operator: Operator, C_m: float, dt: float,
                       theta: float, n_steps: int, backend: Backend) -> tuple[list[Stage], list[Stage]]:
    """What adds to ``state.Iion`` and to its slope ``G`` (mS/cm^2) before V is solved for, and what sends spikes after
    it; none where nothing conducts.

    The state gets the variables Isyn and Iclamp: what flows out through synapses, and in from electrodes, at the start
    of the last step, uA/cm^2. ``operator`` knows the area and the capacity of every node, in solve order.
    """
    area = operator.membrane_area
    clamped = np.array([clamp.node for clamp in conductances.clamps], np.int64)
    nodes = np.unique(np.concatenate([clamped, *(s.nodes for s in conductances.synapses)]))
    if not len(nodes):
        return [], []
    synapses = conductances.synapses
    merged = merge(synapses, nodes)
    quanta = quanta_of(synapses, merged.which, merged.kind, len(merged.kinds))
    host = synapse_arrays(synapses, merged, quanta, len(nodes), dt)
    host |= {"node": nodes.astype(np.int32), "density": 1.0 / area[nodes]}
    arrays = {name: backend.array(values) for name, values in host.items()}
    electrodes = {name: backend.zeros(len(nodes)) for name in ("held", "drive", "slope")}
    currents = {"Isyn": backend.zeros(state.n), "Iclamp": backend.zeros(state.n)}
    for name, there in (("Isyn", synapses), ("Iclamp", conductances.clamps)):
        if there:
            state.add(name, currents[name])
    args = ConductanceArgs(**{name: backend.pointer(array) for name, array in (
        arrays | electrodes | currents | {"V": state.V, "Iion": state.Iion, "G": G}).items()}, step_dt=dt)
    text = (f"#define REAL {REAL[np.dtype(backend.dtype)]}\n"
            + resources.files(__package__).joinpath("conductances.c").read_text())
    stage = backend.kernel(text, "upstroke_conduct", args, len(nodes), dt=dt, label="synapses")
    stage.keep = arrays, electrodes, currents, G
    stage.memory = {name: arrays[name] for name in ("state", "next", "arrived")}
    clamp = _clamp_stages(conductances, nodes, operator, C_m, dt, theta, n_steps, electrodes, backend)
    shared = {name: arrays[name] for name in ("kinds", "kind", "arrived")}
    send = network_stages(synapses, merged.which, shared, quanta, merged.kind, state, text, dt, backend)
    return [*clamp, stage], send


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


@dataclass(frozen=True, eq=False)
class Merged:
    """Synapses of a kind at a node as one.

    Attributes
    ----------
    kinds : what they are of
    kind, place : (merged,) the kind of each and the number of its node
    which : of each table, (its synapses,) the merged one that each belongs to
    """

    kinds: tuple[Kinetics, ...]
    kind: NDArray[np.int64]
    place: NDArray[np.int64]
    which: tuple[NDArray[np.int64], ...]


def merge(synapses: tuple[Synapses, ...], nodes: NDArray[np.int64]) -> Merged:
    """Synapses of a kind at one of the ``nodes`` (ascending) as one, node by node."""
    kinds: dict[Kinetics, int] = {}
    most = len({s.kinetics for s in synapses}) or 1
    own = [np.searchsorted(nodes, s.nodes) * most + kinds.setdefault(s.kinetics, len(kinds)) for s in synapses]
    one, which = numbered(np.concatenate([np.zeros(0, np.int64), *own]))
    ends = np.cumsum([len(s.nodes) for s in synapses], dtype=np.int64)
    return Merged(tuple(kinds), one % most, one // most, tuple(np.split(which, ends[:-1])) if len(ends) else ())


def synapse_arrays(synapses: tuple[Synapses, ...], merged: Merged, quanta: NDArray[np.float64], n_places: int,
                   dt: float) -> dict[str, NDArray[Any]]:
    """What conductances.c knows of synapses, by the names of ``ConductanceArgs``; ``quanta`` are those of the kinds."""
    listed = [(s, which) for s, which in zip(synapses, merged.which, strict=True) if s.source is None]
    counts = [np.array([len(times) for times in s.arrivals], np.int64) for s, _ in listed]
    times = np.concatenate([np.zeros(0), *(times for s, _ in listed for times in s.arrivals)]) / dt
    weight = np.concatenate([np.zeros(0), *(np.repeat(s.weight * s.kinetics.scale, n)
                                            for (s, _), n in zip(listed, counts, strict=True))])
    synapse = np.concatenate([np.zeros(0, np.int64), *(np.repeat(which, n)
                                                       for (_, which), n in zip(listed, counts, strict=True))])
    step = np.where(np.abs(times - np.round(times)) < SNAP * np.maximum(1.0, times), np.round(times), np.floor(times))
    order = np.lexsort((times, synapse))
    one = len(merged.kind)
    ends = np.cumsum(np.bincount(synapse, minlength=one))
    return {"kinds": np.array([(*_kind(k, dt), quantum) for k, quantum in zip(merged.kinds, quanta, strict=True)]),
            "kind": merged.kind.astype(np.int32),
            "first": np.searchsorted(merged.place, np.arange(n_places + 1)).astype(np.int32),
            "state": np.zeros((one, 2)), "arrived": np.zeros((one, 3), np.int64),
            "next": np.concatenate([[0], ends]).astype(np.int32)[:one], "end": ends.astype(np.int32),
            "step": step[order].astype(np.int32), "left": (dt * (step + 1.0 - times).clip(0.0, 1.0))[order],
            "weight": weight[order]}


def _kind(k: Kinetics, dt: float) -> tuple[float, ...]:
    """``synapse_kind`` of conductances.c, but for its quantum."""
    rise, decay = dt / (k.tau_rise or k.tau_decay), dt / k.tau_decay
    return (math.exp(-rise), math.exp(-decay), -math.expm1(-rise) / rise, -math.expm1(-decay) / decay, rise / dt,
            decay / dt, 1.0 / rise, 1.0 / decay, float(k.tau_rise is not None), k.reversal, k.magnesium / HALF_BLOCK)
