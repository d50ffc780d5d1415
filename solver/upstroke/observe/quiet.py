"""The sentinel: ends a run when its tissue has come to rest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from upstroke.case.schema import Quiet

EVERY = 1.0       # ms between two looks


class QuietWatcher:
    """Looks at all nodes every millisecond, at the same steps on every device and any number of processes.

    The tissue is quiet while max V < threshold. It has come to rest when it has been quiet for ``section.during``,
    all stimuli being over.

    Parameters
    ----------
    state : gives ``V``, an array (n,) of the backend in mV
    after : ms, when the last stimulus is over
    dt : time step, ms

    Attributes
    ----------
    at_rest : whether the run may end
    """

    def __init__(self, section: Quiet, state: Any, backend: Any, after: float, dt: float) -> None:
        self._section, self._state, self._backend, self._dt = section, state, backend, dt
        self._every = max(1, round(EVERY / dt))
        self._after = math.ceil(after / dt - 1e-9)
        self._since: int | None = None      # the step of the first look of those that found it quiet
        self.at_rest = False
        self._seen = 0

    def see(self, n: int, t: float) -> None:
        if n % self._every:
            return
        V = np.asarray(self._backend.to_host(self._state.V))
        highest = self._backend.halo.widest(math.inf, float(V.max(initial=-math.inf)))[1]
        if n < self._after or not highest < self._section.threshold:
            self._since = None
        elif self._since is None:
            self._since = n
        self._seen = n
        self.at_rest = self._since is not None and (n - self._since) * self._dt >= self._section.during * (1.0 - 1e-9)

    def notes(self) -> tuple[str, ...]:
        """That it has ended the run."""
        if not self.at_rest:
            return ()
        return (f"ended at {self._seen * self._dt:.6g} ms: no node had reached {self._section.threshold:g} mV for "
                f"{self._section.during:g} ms (watch.stop_when_quiet)",)

    def memory(self) -> dict[str, Any]:
        """What `recall` needs to go on from here."""
        return {"since": self._since}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from what an earlier run had seen."""
        self._since = memory["since"]

    def close(self) -> None:
        """There is no file."""
