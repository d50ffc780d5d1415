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

ROWS = 2 ** 20          # spikes that a device keeps until they are fetched, or more, for many sites
STEPS = 512, 16         # at most, at least: between two fetches


class _Args(ctypes.Structure):
    """``spike_args`` of spikes.c."""

    _fields_ = [*((name, ctypes.c_void_p) for name in ("V", "node", "weight", "first", "before", "count", "site",
                                                            "time")),
                ("rows", ctypes.c_long), *((name, ctypes.c_double) for name in ("threshold", "t", "step_dt"))]


class SpikeWatcher:
    """Sees every step where the state lies; the host fetches the last spikes at least every half second.

    Spikes of all sites are one list, in which the device goes round. A site spikes at most every second step, so the
    list is long enough for all between two fetches.

    Parameters
    ----------
    state : gives ``V`` and ``rank``, the place of each node of the mesh
    dt : time step, ms

    Attributes
    ----------
    stage : what it does in every step
    sites : where it looks
    """

    def __init__(self, section: Spikes, mesh: Mesh, state: Any, backend: Any, dt: float,
                 path: Path | None) -> None:
        self.sites = place_probes(section, mesh)
        self._counts, self._taken = np.zeros(len(self.sites), np.int64), 0      # of each site; of the device's list
        self._backend = backend
        self._asked: Fetch | None = None
        most, least = STEPS
        self._every = min(most, max(least, ROWS // len(self.sites)))    # steps after which spikes are asked for
        self._rows = len(self.sites) * (self._every // 2 + 1)
        self._next = self._every
        V = np.asarray(backend.to_host(state.V), np.float64)
        places = [state.rank[site.nodes] for site in self.sites]
        terms = [(place[place >= 0], site.weights[place >= 0]) for place, site in zip(places, self.sites, strict=True)]
        columns = {"node": np.concatenate([nodes for nodes, _ in terms]).astype(np.int64),
                   "weight": np.concatenate([weights for _, weights in terms]),
                   "first": np.cumsum([0, *(len(nodes) for nodes, _ in terms)]).astype(np.int64),
                   "before": np.array([weights @ V[nodes] for nodes, weights in terms])}
        self._arrays = {name: backend.array(column) for name, column in columns.items()}
        self._seen = {"count": backend.zeros(1, dtype=np.uint64), "site": backend.zeros(self._rows, dtype=np.int32),
                      "time": backend.zeros(self._rows, dtype=np.float64)}
        args = _Args(V=backend.pointer(state.V), rows=self._rows, threshold=section.threshold, step_dt=dt,
                     **{name: backend.pointer(array) for name, array in (self._arrays | self._seen).items()})
        text = resources.files(__package__).joinpath("spikes.c").read_text()
        self.stage = backend.kernel(f"#define REAL {REAL[np.dtype(state.V.dtype)]}\n{text}", "upstroke_see_spikes",
                                    args, len(terms), dt=dt, label="spikes")
        self._out = LineFile(path, ["name", "time_ms"])
        self._out.flush()

    def see(self, n: int, t: float) -> None:
        if n >= self._next or (self._asked is None and self._out.due and not self._backend.halo.callbacks):
            self._collect()                        # of the last one, which must not be overtaken
            self._asked, self._next = self._backend.fetch(self._seen), n + self._every
        if self._asked is not None and self._asked.ready():
            self._collect()
            self._out.flush()

    def _collect(self) -> None:
        """Lines of the spikes that were asked for."""
        if self._asked is None:
            return
        host, self._asked = self._asked.get(), None
        new = np.arange(self._taken, int(host["count"][0])) % self._rows
        self._taken += len(new)
        parts = self._backend.halo.everyone((host["time"][new], host["site"][new]))
        times, sites = (np.concatenate(column) for column in zip(*parts, strict=True))
        for k in np.lexsort((sites, times)):
            self._out.add([self.sites[sites[k]].name, f"{times[k]:.12g}"])
        self._counts += np.bincount(sites, minlength=len(self._counts))

    @property
    def count(self) -> dict[str, int]:
        """Spikes of each site that have been written, by name."""
        return {site.name: int(n) for site, n in zip(self.sites, self._counts, strict=True)}

    def memory(self) -> dict[str, Any]:
        """What it has seen and written, for `recall`."""
        self._finish()
        before = self._backend.halo.sum(np.array(self._backend.to_host(self._arrays["before"])))
        return {"before": before, "counts": self._counts.copy(), "taken": self._taken, "bytes": self._out.length()}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from what an earlier run had seen; what it wrote later is cut off."""
        here = np.diff(self._backend.to_host(self._arrays["first"])) > 0          # elsewhere others look
        self._backend.put(self._arrays["before"], np.where(here, memory["before"], 0.0))
        self._counts[:], self._taken = memory["counts"], memory["taken"]
        self._backend.put(self._seen["count"], np.array([self._taken], np.uint64))
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
