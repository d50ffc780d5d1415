"""Checkpoints of a run: when they are written, what is in them, and how a run goes on from one.

What a step leaves for the next one is the state, what stages remember (`Stepper.memory`), the loop's clock, and what
the watchers have seen; files that grow are cut back to where they were. All else is built anew from the case, in the
same way, so a run that goes on gives what an uninterrupted one gives, bit for bit.

Where processes share a run, the first gathers what all have at the mesh's nodes and writes one file, from which any
number of processes goes on; as many as before give the same bits, others what their sums in another order give. So
does another device.
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
from upstroke.codegen import generate
from upstroke.errors import Ended, OutputError
from upstroke.observe import Watchers
from upstroke.output.checkpoint import Checkpoint, checkpoint_name, write_checkpoint
from upstroke.output.files import plain
from upstroke.setup import Setup
from upstroke.step.splitting import SPLITTINGS

SAVE, END = 1, 2          # what a process wishes


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
        self._begun = self._last = clock()
        self._asked = ""            # why a checkpoint is wanted at once
        self._end = self._told = False

    def see(self, n: int) -> None:
        """After step n. Processes that share a run do what any of them was asked to, in the same step, one step later.

        Raises
        ------
        Ended after the last checkpoint of a run that is told to end
        OutputError where a checkpoint cannot be written
        """
        now = self._clock()
        if self._limit is not None and 1000.0 * (now - self._begun) >= self._limit:
            self._asked, self._end = "the time limit is reached", True
        due = self._every is not None and 1000.0 * (now - self._last) >= self._every
        wished = self._setup.backend.halo.wished(SAVE * (bool(self._asked) or due) | END * self._end)
        if not wished:
            return
        name = save(self._setup, self._watchers, self._folder)
        if wished & END and n < self._setup.stepper.n_steps:
            error = Ended(str(self._folder), f"ended after {self._setup.stepper.clock.step:,} of "
                          f"{self._setup.stepper.n_steps:,} steps: {self._asked or 'another rank was asked to end'}; "
                          f"{name} is written", f"go on with: upstroke resume {self._folder}")
            error.told = self._told
            raise error
        self._asked, self._last = self._asked if self._end else "", self._clock()       # it may have come meanwhile
        self._setup.backend.halo.wished(0)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes signals as wishes for checkpoints, where this is the thread that gets them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, _: Any) -> None:
            self._asked = f"{signal.Signals(number).name} came"
            self._told = self._told or number == signal.SIGTERM
            self._end = self._end or self._told

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGUSR1)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def save(setup: Setup, watchers: Watchers, folder: Path | None) -> str:
    """Write a checkpoint of a run as it is after the steps so far: its name. One without a folder only takes part."""
    setup.stepper.sync()
    clock, seen, to_host = setup.stepper.clock, watchers.memory(), setup.backend.to_host
    arrays = {name: np.array(to_host(array)) for name, array in setup.stepper.memory.items()}
    for name, pieces in setup.stepper.nodal.items():
        whole = setup.state.arrange([(begin, end, to_host(array)) for begin, end, array in pieces])
        if folder is not None:
            arrays[f"node.{name}"] = whole
    arrays |= {f"watch.{name}": value for name, value in seen.items() if isinstance(value, np.ndarray)}
    about = {"made_by": identity(setup), "t_ms": clock.step * setup.case.time.dt, "clock": clock.counts(),
             "watch": {name: value for name, value in seen.items() if not isinstance(value, np.ndarray)}}
    if folder is not None:
        write_checkpoint(folder, clock.step, about, arrays)
    setup.backend.halo.most(0)                # nobody goes on, or ends, before it is written
    return checkpoint_name(clock.step)


def restore(setup: Setup, watchers: Watchers, checkpoint: Checkpoint) -> dict[str, Any]:
    """Put everything back where it was; what the clock had counted.

    Raises
    ------
    OutputError for a checkpoint of another case, model or version, and where ranks see unlike ones
    """
    memory, nodal = setup.stepper.memory, setup.stepper.nodal
    shapes = {name: array.shape for name, array in memory.items()}
    shapes |= {f"node.{name}": (setup.state.total,) for name in nodal}
    found = {name: array.shape for name, array in checkpoint.arrays.items() if not name.startswith("watch.")}
    if checkpoint.about.get("made_by") != identity(setup) or found != shapes:
        raise OutputError(str(checkpoint.path), "was made by another case, version or device",
                          "go on with what made it, or run the case again")
    counts: dict[str, Any] = checkpoint.about["clock"]
    first, last = setup.backend.halo.widest(counts["step"], counts["step"])
    if first != last:
        raise OutputError(str(checkpoint.path), f"ranks see unlike checkpoints, of steps {first:.0f} to {last:.0f}",
                          "resume when the file system shows the newest one everywhere")
    for name, array in memory.items():
        setup.backend.put(array, checkpoint.arrays[name])
    for name, pieces in nodal.items():
        setup.state.put(pieces, checkpoint.arrays[f"node.{name}"])
    watchers.recall(checkpoint.about["watch"] | {name.removeprefix("watch."): array for name, array
                                                 in checkpoint.arrays.items() if name.startswith("watch.")})
    return counts


def identity(setup: Setup) -> str:
    """What must not differ between a run and what goes on with it: the case but for its output and who computes, the
    precision, and the kernels, in the text that a CPU would get."""
    case = plain(resolved(setup.case))
    case.pop("output", None)
    backend = case.get("backend", {})
    for key in ("threads", "device", "cuda_aware_mpi"):
        backend.pop(key, None)
    follow = SPLITTINGS[setup.case.time.splitting].implicit
    kernels = [m.kernel if m.kernel.target == "c" else
               generate(m.model, "c", setup.case.backend.precision, nodal=m.kernel.nodal, follow=follow)
               for m in setup.membranes]
    text = json.dumps([case, [kernel.source for kernel in kernels], setup.backend.precision], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
