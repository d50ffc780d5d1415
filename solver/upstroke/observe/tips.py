"""Tips of re-entrant waves, written to ``tips.csv`` (filaments in volumes: ``filaments.csv``) as the run goes.

A line for each tip and sample: ``time_ms,tip,x_mm,y_mm,z_mm,rotation``, rotation 1 where the wave turns
counter-clockwise seen from above (on a surface in space: from the side where its triangles run counter-clockwise), -1
clockwise. For each filament: ``time_ms,filament,length_mm,ends,x_mm,y_mm,z_mm``.
Its place is the mean of its points. What is near keeps its number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Fetch
from upstroke.case.schema import Tips
from upstroke.errors import CaseError
from upstroke.mesh.mesh import Mesh
from upstroke.observe.lines import LineFile
from upstroke.observe.phase import Singularity, filaments, matched, orientation, simplices, tips

DELAY = 5.0            # ms, where the case has no other
MM_PER_CM = 10.0


@dataclass(frozen=True)
class _Sample:
    """Variables on their way to the host, after step n."""

    n: int
    t: float
    fetch: Fetch


class TipWatcher:
    """Looks for tips (of surfaces) or filaments (of volumes) at steps 0, ``every``, 2 ``every``, ...

    The host has what is sampled whole; nothing is done in steps between.

    Parameters
    ----------
    state : gives ``pieces(name)`` and ``arrange(pieces)``
    every, delay : steps between samples, and of tau; without a recovery variable the first sample is after ``delay``
    """

    def __init__(self, section: Tips, mesh: Mesh, state: Any, backend: Any, every: int, delay: int,
                 folder: Path | None) -> None:
        self._section, self._state, self._backend, self._every, self._delay = section, state, backend, every, delay
        self._flat, self._points, cells = mesh.dim == 2, mesh.points, simplices(mesh)
        self._cells = orientation(mesh.points, cells) if self._flat else cells
        self._names = ("V",) if section.recovery is None else ("V", section.recovery)
        self._pending: _Sample | None = None
        self._earlier: deque[NDArray[Any]] = deque()       # V of the mesh's nodes, for samples to come
        self._last: list[Singularity] = []
        self._numbers: list[int] = []                      # of the last ones
        self._born = self._most = 0
        columns = ["tip", "x_mm", "y_mm", "z_mm", "rotation"]
        if not self._flat:
            columns = ["filament", "length_mm", "ends", "x_mm", "y_mm", "z_mm"]
        path = None if folder is None else folder / ("tips.csv" if self._flat else "filaments.csv")
        self._out = LineFile(path, ["time_ms", *columns])
        self._out.flush()

    @property
    def count(self) -> dict[str, int]:
        """How many there have been, at most at once, and at the last sample."""
        return {"in_all": self._born, "most_at_once": self._most, "at_end": len(self._last)}

    def see(self, n: int, t: float) -> None:
        sample, keep = n % self._every == 0 and n >= self._delay, (n + self._delay) % self._every == 0
        if sample or keep:
            self._take()                                   # of the last one, which must not be overtaken
            self._pending = _Sample(n, t, self._backend.fetch(
                {f"{name} {k}": piece[2] for name in self._names for k, piece in enumerate(self._state.pieces(name))}))
        if self._pending is not None and self._pending.fetch.ready():
            self._take()
            self._out.flush_if_due()

    def _take(self) -> None:
        """What was asked for last, unless the run broke before it."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        host = pending.fetch.get()
        if pending.fetch.step < pending.n:
            return
        V, *others = (self._state.arrange([(begin, end, host[f"{name} {k}"]) for k, (begin, end, _) in
                                           enumerate(self._state.pieces(name))]) for name in self._names)
        if not self._backend.halo.first:
            return
        a = np.asarray(V, np.float64) - self._section.level
        if others:
            assert self._section.recovery_level is not None            # the case was checked
            self._found(pending.t, a, np.asarray(others[0], np.float64) - self._section.recovery_level)
            return
        if pending.n % self._every == 0 and pending.n >= self._delay:
            self._found(pending.t, a, np.asarray(self._earlier.popleft(), np.float64) - self._section.level)
        if (pending.n + self._delay) % self._every == 0:
            self._earlier.append(np.array(V))

    def _found(self, t: float, a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
        """Lines of one sample."""
        now = (tips if self._flat else filaments)(self._points, self._cells, a, b)
        numbers = []
        for old in matched(self._last, now, self._section.reach):
            numbers.append(self._numbers[old] if old >= 0 else self._born)
            self._born += old < 0
        self._last, self._numbers, self._most = now, numbers, max(self._most, len(now))
        for number, one in sorted(zip(numbers, now, strict=True), key=lambda pair: pair[0]):
            place = [f"{MM_PER_CM * x:.12g}" for x in one.points.mean(axis=0)]
            if self._flat:
                self._out.add([f"{t:.12g}", str(number), *place, str(-one.winding)])
            else:
                self._out.add([f"{t:.12g}", str(number), f"{MM_PER_CM * one.length:.12g}", str(one.ends), *place])

    def memory(self) -> dict[str, Any]:
        """What it has seen and written, for `recall`."""
        self._take()
        points = [one.points for one in self._last]
        return {"earlier": np.array(self._earlier).reshape(-1, len(self._points)),
                "points": np.concatenate([np.zeros((0, 3)), *points]), "sizes": [len(p) for p in points],
                "windings": [one.winding for one in self._last], "numbers": self._numbers, "born": self._born,
                "most": self._most, "bytes": self._out.length()}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from what an earlier run had seen; what it wrote later is cut off."""
        self._earlier = deque(memory["earlier"])
        points = np.split(memory["points"], np.cumsum(memory["sizes"])[:-1].astype(int)) if memory["sizes"] else []
        self._last = [Singularity(p, winding) for p, winding in zip(points, memory["windings"], strict=True)]
        self._numbers, self._born, self._most = list(memory["numbers"]), memory["born"], memory["most"]
        self._out.cut(memory["bytes"])

    def close(self) -> None:
        if self._out.closed:
            return
        with closing(self._out):
            self._take()


def check_tips(section: Tips, mesh: Mesh) -> None:
    """Raise a CaseError for a mesh whose waves have no tips."""
    if mesh.dim == 1:
        raise CaseError("watch.tips", "the waves of a cable have no tips", "leave it out, or take a sheet")
