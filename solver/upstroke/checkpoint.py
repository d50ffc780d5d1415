"""Checkpoints of a run: when they are written, what is in them, and how a run goes on from one.

What a step leaves for the next one is the state, what stages remember (`Stepper.memory`), the loop's clock, and what
the watchers have seen; files that grow are cut back to where they were. All else is built anew from the case, in the
same way, so a run that goes on gives what an uninterrupted one gives, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from upstroke.case import resolved
from upstroke.errors import Ended, OutputError
from upstroke.observe import Watchers
from upstroke.output.checkpoint import Checkpoint, write_checkpoint
from upstroke.output.files import plain
from upstroke.setup import Setup


class Saver:
    """Writes checkpoints between two steps: every so often, and where the system asks for one.

    SIGUSR1 asks for one. SIGTERM asks for one and for the end, as does the time limit; `see` then raises `Ended`.

    Parameters
    ----------
    every, limit : ms of real time between checkpoints, and until the end; None for never
    """

    def __init__(self, setup: Setup, watchers: Watchers, folder: Path | None,
                 clock: Callable[[], float] = monotonic) -> None:
        self._setup, self._watchers, self._folder, self._clock = setup, watchers, folder, clock
        output = setup.case.output
        self._every, self._limit = output.checkpoint_every, output.time_limit
        self._alone = not setup.backend.halo.callbacks          # runs on several processes have no checkpoints yet
        self._begun = self._last = clock()
        self._asked = ""            # why a checkpoint is wanted at once
        self._end = False

    def see(self, n: int) -> None:
        """After step n.

        Raises
        ------
        Ended after the last checkpoint of a run that is told to end
        OutputError where a checkpoint cannot be written
        """
        if self._folder is None or not self._alone:
            return
        now = self._clock()
        if self._limit is not None and 1000.0 * (now - self._begun) >= self._limit:
            self._asked, self._end = "the time limit is reached", True
        if self._asked or (self._every is not None and 1000.0 * (now - self._last) >= self._every):
            path = save(self._setup, self._watchers, self._folder)
            if self._end and n < self._setup.stepper.n_steps:
                raise Ended(str(self._folder), f"ended after {self._setup.stepper.clock.step:,} of "
                            f"{self._setup.stepper.n_steps:,} steps: {self._asked}; {path.name} is written",
                            f"go on with: upstroke resume {self._folder}")
            self._asked, self._last = "", self._clock()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes signals as wishes for checkpoints, where this is the thread that gets them."""
        if threading.current_thread() is not threading.main_thread() or not self._alone:
            yield
            return

        def ask(number: int, _: Any) -> None:
            self._asked = f"{signal.Signals(number).name} came"
            self._end = self._end or number == signal.SIGTERM

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGUSR1)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def save(setup: Setup, watchers: Watchers, folder: Path) -> Path:
    """Write a checkpoint of a run as it is after the steps so far."""
    setup.stepper.sync()
    clock, seen = setup.stepper.clock, watchers.memory()
    arrays = {name: np.array(setup.backend.to_host(array)) for name, array in setup.stepper.memory.items()}
    arrays |= {f"watch.{name}": value for name, value in seen.items() if isinstance(value, np.ndarray)}
    about = {"made_by": identity(setup), "t_ms": clock.step * setup.case.time.dt, "clock": clock.counts(),
             "watch": {name: value for name, value in seen.items() if not isinstance(value, np.ndarray)}}
    return write_checkpoint(folder, clock.step, about, arrays)


def restore(setup: Setup, watchers: Watchers, checkpoint: Checkpoint) -> dict[str, Any]:
    """Put everything back where it was; what the clock had counted.

    Raises
    ------
    OutputError for a checkpoint of another case, model, version or kind of device
    """
    memory = setup.stepper.memory
    mine = {name: array for name, array in checkpoint.arrays.items() if not name.startswith("watch.")}
    if (checkpoint.about.get("made_by") != identity(setup) or mine.keys() != memory.keys()
            or any(memory[name].shape != array.shape for name, array in mine.items())):
        raise OutputError(str(checkpoint.path), "was made by another case, version or device",
                          "go on with what made it, or run the case again")
    for name, array in mine.items():
        setup.backend.put(memory[name], array)
    watchers.recall(checkpoint.about["watch"] | {name.removeprefix("watch."): array for name, array
                                                 in checkpoint.arrays.items() if name.startswith("watch.")})
    counts: dict[str, Any] = checkpoint.about["clock"]
    return counts


def identity(setup: Setup) -> str:
    """What must not differ between a run and what goes on with it: the case but for its output and the number of
    threads, and the kernels."""
    case = plain(resolved(setup.case))
    case.pop("output", None)
    case.get("backend", {}).pop("threads", None)
    kernels = [membrane.kernel.source for membrane in setup.membranes]
    text = json.dumps([case, kernels, setup.backend.name, setup.backend.precision], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
