"""Numbers that are sampled every so many steps, where the state lies, and written to a CSV file as the run goes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Fetch, Stage
from upstroke.observe.lines import LineFile

RING = 1024         # samples that a device keeps until they are fetched

#: An array of the device, a place in it, a weight.
Term = tuple[Any, int, float]


class _Args(ctypes.Structure):
    """``probe_args`` of probes.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("array", "single", "node", "weight", "first", "ring")),
        *((name, ctypes.c_long) for name in ("values", "rows", "every")),
        *((name, ctypes.c_double) for name in ("t", "step_dt")),
    ]


class SampleWatcher:
    """Appends a line, ``time_ms`` and some columns, to a CSV file every so many steps.

    Samples are taken where the state lies, into a ring of rows that is fetched now and then, at least every half
    second. What is sampled is sums of terms, array[place] times weight; `_columns` says what is written of them.

    Parameters
    ----------
    columns : names of the columns but the first
    terms : of each value that is sampled
    start : (values,) the values at the start of the run
    every : steps between samples
    dt : time step, ms

    Attributes
    ----------
    stage : what it does in every step
    """

    def __init__(self, columns: Sequence[str], terms: Sequence[Sequence[Term]], start: NDArray[np.float64],
                 backend: Any, every: int, dt: float, path: Path | None, label: str) -> None:
        self._backend, self._every, self._dt = backend, every, dt
        self._asked: tuple[int, Fetch] | None = None
        self._written, self._seen = 0, 0        # samples; sample j is that after step j every
        self.stage = self._compile(terms, label)
        self._out = LineFile(path, ["time_ms", *columns])
        self._names = tuple(columns)
        self._low, self._high = np.full(len(columns), np.nan), np.full(len(columns), np.nan)
        self._add(0, start)
        self._out.flush()

    def _columns(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is written of a sample; the values are of nodes of this process."""
        raise NotImplementedError

    def _compile(self, terms: Sequence[Sequence[Term]], label: str) -> Stage:
        """The kernel that takes a sample."""
        backend, flat = self._backend, [term for value in terms for term in value]
        columns = {
            "array": np.array([backend.pointer(array) for array, _, _ in flat], np.uint64),
            "single": np.array([array.dtype == np.float32 for array, _, _ in flat], np.int32),
            "node": np.array([place for _, place, _ in flat], np.int64),
            "weight": np.array([weight for _, _, weight in flat], np.float64),
            "first": np.cumsum([0, *(len(value) for value in terms)]).astype(np.int64),
        }
        self._arrays = {name: backend.array(column) for name, column in columns.items()}
        self._ring = backend.zeros(RING, len(terms), dtype=np.float64)
        pointers = {name: backend.pointer(array) for name, array in (self._arrays | {"ring": self._ring}).items()}
        args = _Args(values=len(terms), rows=RING, every=self._every, step_dt=self._dt, **pointers)
        text = resources.files(__package__).joinpath("probes.c").read_text()
        stage: Stage = backend.kernel(text, "upstroke_sample", args, len(terms), dt=self._dt, label=label)
        return stage

    def see(self, n: int, t: float) -> None:
        self._seen = n // self._every
        waiting = self._seen - self._written
        if self._asked is None and waiting and (not self._backend.lag or waiting >= RING // 4 or self._out.due):
            self._ask()
        if self._asked is not None and (waiting >= RING or self._asked[1].ready()):      # the ring has come round
            self._collect()
        self._out.flush_if_due()

    def _ask(self) -> None:
        self._asked = self._seen, self._backend.fetch({"ring": self._ring})

    def _collect(self) -> None:
        """The samples of the ring that was asked for; none from after the step that broke a run."""
        if self._asked is None:
            return
        (seen, fetch), self._asked = self._asked, None
        ring = fetch.get()["ring"]
        for j in range(self._written + 1, min(seen, fetch.step // self._every) + 1):
            self._add(j, ring[j % RING])

    def _add(self, j: int, values: NDArray[np.float64]) -> None:
        row = self._columns(values)
        self._out.add([f"{j * self._every * self._dt:.12g}", *(f"{x:.12g}" for x in row)])
        self._low, self._high = np.fmin(self._low, row), np.fmax(self._high, row)
        self._written = j

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and greatest of each column, by name."""
        return dict(zip(self._names, zip(self._low.tolist(), self._high.tolist(), strict=True), strict=True))

    def memory(self) -> dict[str, Any]:
        """What it has written, for `recall`."""
        self._finish()
        return {"written": self._written, "bytes": self._out.length(), "low": self._low, "high": self._high}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from what an earlier run had written; what it wrote later is cut off."""
        self._written = self._seen = memory["written"]
        self._low, self._high = memory["low"], memory["high"]
        self._out.cut(memory["bytes"])

    def _finish(self) -> None:
        self._collect()
        if self._seen > self._written:
            self._ask()
            self._collect()

    def close(self) -> None:
        if self._out.closed:
            return
        with closing(self._out):
            self._finish()
