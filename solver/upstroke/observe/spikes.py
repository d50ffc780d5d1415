"""Spikes: when V at a few places crosses a threshold upwards, written to ``spikes.csv`` as the run goes.

A line a spike, ``name,time_ms``, by time; times are interpolated linearly between steps.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from upstroke.backend import Fetch
from upstroke.case.schema import Spikes
from upstroke.mesh.mesh import Mesh
from upstroke.observe.activation import REAL
from upstroke.observe.lines import LineFile
from upstroke.observe.probes import place_probes

ROWS = 256      # spikes of a site that a device keeps until they are fetched


class _Args(ctypes.Structure):
    """``spike_args`` of spikes.c."""

    _fields_ = [*((name, ctypes.c_void_p) for name in ("V", "node", "weight", "first", "before", "count", "times")),
                ("rows", ctypes.c_long), *((name, ctypes.c_double) for name in ("threshold", "t", "step_dt"))]


class SpikeWatcher:
    """Sees every step where the state lies; the host fetches the last spikes at least every half second.

    A site spikes at most every second step, so between two fetches, ``ROWS`` steps apart at most, no spike is lost.

    Parameters
    ----------
    state : gives ``V`` and ``rank``, the place of each node of the mesh
    dt : time step, ms

    Attributes
    ----------
    stage : what it does in every step
    count : spikes of each site that have been written, by name
    """

    def __init__(self, section: Spikes, mesh: Mesh, state: Any, backend: Any, dt: float, path: Path) -> None:
        self.sites = place_probes(section, mesh)
        self.count = {site.name: 0 for site in self.sites}
        self._backend = backend
        self._asked: Fetch | None = None
        self._next = ROWS                          # the step after which spikes are asked for at the latest
        V = np.asarray(backend.to_host(state.V), np.float64)
        terms = [(state.rank[site.nodes], site.weights) for site in self.sites]
        columns = {"node": np.concatenate([nodes for nodes, _ in terms]).astype(np.int64),
                   "weight": np.concatenate([weights for _, weights in terms]),
                   "first": np.cumsum([0, *(len(nodes) for nodes, _ in terms)]).astype(np.int64),
                   "before": np.array([weights @ V[nodes] for nodes, weights in terms])}
        self._arrays = {name: backend.array(column) for name, column in columns.items()}
        self._seen = {"count": backend.zeros(len(terms), dtype=np.int32),
                      "times": backend.zeros(len(terms), ROWS, dtype=np.float64)}
        args = _Args(V=backend.pointer(state.V), rows=ROWS, threshold=section.threshold, step_dt=dt,
                     **{name: backend.pointer(array) for name, array in (self._arrays | self._seen).items()})
        text = resources.files(__package__).joinpath("spikes.c").read_text()
        self.stage = backend.kernel(f"#define REAL {REAL[np.dtype(state.V.dtype)]}\n{text}", "upstroke_see_spikes",
                                    args, len(terms), dt=dt, label="spikes")
        self._out = LineFile(path, ["name", "time_ms"])
        self._out.flush()

    def see(self, n: int, t: float) -> None:
        if n >= self._next or (self._asked is None and self._out.due):
            self._collect()                        # of the last one, which must not be overtaken
            self._asked, self._next = self._backend.fetch(self._seen), n + ROWS
        if self._asked is not None and self._asked.ready():
            self._collect()
            self._out.flush()

    def _collect(self) -> None:
        """Lines of the spikes that were asked for."""
        if self._asked is None:
            return
        host, self._asked = self._asked.get(), None
        new = [(host["times"][k, j % ROWS], site.name) for k, site in enumerate(self.sites)
               for j in range(self.count[site.name], host["count"][k])]
        for time, name in sorted(new):
            self._out.add([name, f"{time:.12g}"])
            self.count[name] += 1

    def memory(self) -> dict[str, Any]:
        """What it has seen and written, for `recall`."""
        self._finish()
        host = {name: np.array(self._backend.to_host(array)) for name, array in
                (self._seen | {"before": self._arrays["before"]}).items()}
        return host | {"bytes": self._out.length()}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from what an earlier run had seen; what it wrote later is cut off."""
        for name, array in (self._seen | {"before": self._arrays["before"]}).items():
            self._backend.put(array, memory[name])
        self.count = {site.name: int(n) for site, n in zip(self.sites, memory["count"], strict=True)}
        self._out.cut(memory["bytes"])

    def _finish(self) -> None:
        self._collect()
        self._asked = self._backend.fetch(self._seen)
        self._collect()

    def close(self) -> None:
        if self._out.closed:
            return
        with closing(self._out):
            self._finish()
