"""``summary.json``: the numbers of a run that a person looks at first. Times in ms, places in mm, V in mV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.mesh.mesh import Mesh
from upstroke.observe.activation import ActivationMap
from upstroke.observe.maps import NO_MAPS, Maps
from upstroke.observe.probes import Probe
from upstroke.output.fields import MM_PER_CM


def summarise(mesh: Mesh, activation: ActivationMap, probes: Sequence[Probe] = (),
              solver: Mapping[str, Any] | None = None, notes: Iterable[str] = (),
              spikes: Mapping[str, int] | None = None, tips: Mapping[str, int] | None = None,
              maps: Maps = NO_MAPS, ecg: Mapping[str, Sequence[float]] | None = None) -> dict[str, Any]:
    """The summary as a dict for `files.write_json`.

    Arguments
    ---------
    probes : their first-beat activation is listed by name, interpolated with the probe's weights
    solver : what the solver says of itself (iterations and the like), taken as it is
    notes : what the user should know
    spikes : how many at each place where they are watched
    maps : their numbers are taken as they are
    ecg : least and greatest of each column of ecg.csv, mV
    tips : how many tips or filaments in all, at most at once, at the end
    """
    first = activation.activation[0] if activation.beats else np.full(mesh.n_points, np.nan)
    reached = np.isfinite(first)
    return {
        "nodes": mesh.n_points,
        "cells": mesh.n_cells,
        "beats": activation.beats,
        "activated_fraction": float(reached.mean()) if len(reached) else 0.0,
        "earliest_activation": _event(mesh, first, np.argmin(np.where(reached, first, np.inf))),
        "latest_activation": _event(mesh, first, np.argmax(np.where(reached, first, -np.inf))),
        f"{activation.apd_name}_ms": _spread(activation.apd),
        "v_range_mV": [activation.v_min, activation.v_max],
        "threshold_mV": activation.threshold,
        **maps.numbers,
        "probe_activation_ms": {p.name: p.read(first) for p in probes},
        "spikes": dict(spikes or {}),
        "spikes_in_all": sum((spikes or {}).values()),
        "tips": dict(tips or {}),
        "ecg_mV": {name: {"min": low, "max": high} for name, (low, high) in (ecg or {}).items()},
        "solver": dict(solver or {}),
        "notes": [*notes, *activation.notes()],
    }


def _event(mesh: Mesh, times: NDArray[np.float64], node: np.integer[Any]) -> dict[str, Any] | None:
    """When, which node (counted from 0) and where; None where no node was activated."""
    if not np.isfinite(times[node]):
        return None
    return {"time_ms": times[node], "node": int(node), "place_mm": mesh.points[node] * MM_PER_CM}


def _spread(values: NDArray[np.float64]) -> dict[str, float] | None:
    """Over all nodes and beats that have one; None where none has."""
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    return {"min": known.min(), "median": float(np.median(known)), "max": known.max()}
