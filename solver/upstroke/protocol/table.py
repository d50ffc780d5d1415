"""A run's stimuli as a table of events, which a device can look up without the host."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upstroke.protocol.train import Train


@dataclass(frozen=True, eq=False)
class InputTable:
    """Currents of some nodes, constant from event to event.

    Attributes
    ----------
    nodes : (m,) the nodes that any train reaches
    offsets, trains : node i is reached by ``trains[offsets[i]:offsets[i + 1]]``
    scale : (len(trains),) what it receives of each is multiplied by
    steps : (events,) the first step of each event, ascending; before the first, all currents are zero
    values : (events, trains) uA/cm^2, the mean current of each train over every step of the event
    """

    nodes: NDArray[np.int64]
    offsets: NDArray[np.int64]
    trains: NDArray[np.int32]
    scale: NDArray[np.float64]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]


def tabulate(trains: Sequence[Train], dt: float, n_steps: int) -> InputTable:
    """The table of ``n_steps`` steps of ``dt`` (ms)."""
    parts = [np.unique(train.nodes, return_index=True) for train in trains]
    reached = np.concatenate([part for part, _ in parts] or [np.zeros(0, np.int64)])
    owner = np.repeat(np.arange(len(trains), dtype=np.int32), [len(part) for part, _ in parts])
    scale = np.concatenate([np.broadcast_to(train.scale, train.nodes.shape)[first]
                            for train, (_, first) in zip(trains, parts, strict=True)] or [np.zeros(0)])
    by_node = np.argsort(reached, kind="stable")
    nodes, first = np.unique(reached[by_node], return_index=True)
    steps = np.array(sorted(_edges(trains, dt, n_steps)), np.int64)
    values = np.array([[train.current * train.share(int(n), dt) for train in trains] for n in steps])
    values = values.reshape(len(steps), len(trains))
    before = np.vstack([np.zeros((1, len(trains))), values[:-1]])
    changed = (values != before).any(axis=1)
    return InputTable(nodes, np.append(first, len(reached)).astype(np.int64), owner[by_node], scale[by_node],
                      steps[changed], values[changed])


def _edges(trains: Sequence[Train], dt: float, n_steps: int) -> set[int]:
    """The steps at whose start the current of some train may change: those next to the edges of its pulses."""
    steps: set[int] = set()
    for train in trains:
        for k in range(train.fired(n_steps * dt)):
            on = train.pulses.onset(k)
            for edge in (on, on + train.duration):
                near = math.floor(edge / dt)
                steps.update(range(near - 1, near + 3))
    return {n for n in steps if 0 <= n < n_steps}
