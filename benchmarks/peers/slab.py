"""The Niederer slab as every peer's runner needs it: definition, command line, activation times, the printed line.

Source of the definition: Niederer et al. 2011, Phil. Trans. R. Soc. A 369, 4331-4351, doi:10.1098/rsta.2011.0139.
Units here are the benchmark's own: mm, ms, mV. A runner (`finitewave_niederer.py`, `torchcor_niederer.py`) holds what
is particular to its peer and no more. This file imports NumPy only where it is used, so that a runner called with any
Python can first change over to its peer's environment.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import numpy as np

SIZE = (20.0, 7.0, 3.0)                  # mm, fibres along the first axis
D_L, D_T = 0.0952984, 0.0125758          # mm^2/ms
STIMULUS = 35.714                        # mV/ms in the corner cube at the origin
STIMULUS_EDGE, STIMULUS_END = 1.5, 2.0   # mm, ms
POINTS = (*itertools.product((0.0, 20.0), (0.0, 7.0), (0.0, 3.0)), (10.0, 3.5, 1.5))

# Initial state of the ten Tusscher-Panfilov 2006 epicardial cell in the benchmark; mV, mM.
INITIAL = {
    "V": -85.23, "Xr1": 0.00621, "Xr2": 0.4712, "Xs": 0.0095, "m": 0.00172, "h": 0.7444, "j": 0.7045, "d": 3.373e-5,
    "f": 0.7888, "f2": 0.9755, "fCass": 0.9953, "s": 0.999998, "r": 2.42e-8, "Cai": 1.26e-4, "CaSR": 3.64,
    "CaSS": 3.6e-4, "R_": 0.9073, "Nai": 8.604, "Ki": 136.89,
}


def fail(message: str) -> NoReturn:
    """Ends the runner with a message and exit status 2."""
    print(f"peers: {message}", file=sys.stderr)
    sys.exit(2)


def enter(peer: str) -> None:
    """Starts this script anew with the Python of the peer's environment, unless it already runs there."""
    environment = Path(__file__).resolve().parents[2] / ".peers" / peer
    if Path(sys.prefix).resolve() == environment:
        return
    if not (environment / ".ready").exists():
        fail(f"no environment for {peer} at {environment}; make it with: sh benchmarks/peers/setup.sh {peer}")
    python = str(environment / "bin" / "python")
    os.execv(python, [python, *sys.argv])


def arguments(description: str, **choices: Sequence[str]) -> argparse.Namespace:
    """The command line common to all runners; each of `choices` is a further option, its first value the default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--dx", type=float, default=0.2, help="distance of the nodes, mm (default %(default)s)")
    parser.add_argument("--dt", type=float, default=0.05, help="time step, ms (default %(default)s)")
    parser.add_argument("--end", type=float, default=65.0, help="simulated time, ms (default %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads (default: all, %(default)s)")
    parser.add_argument("--map", type=Path, metavar="FILE", help="write the activation time of every node (ms) there, "
                        "as .npy indexed [x, y, z], and stop as soon as all are active")
    for name, values in choices.items():
        parser.add_argument(f"--{name}", choices=values, default=values[0], help="default %(default)s")
    args = parser.parse_args()
    if args.dx <= 0 or any(abs(size / args.dx - round(size / args.dx)) > 1e-6 for size in SIZE):
        fail(f"--dx {args.dx:g} does not divide the slab of 20 x 7 x 3 mm; take 0.5, 0.25, 0.2 or 0.1")
    if args.dt <= 0 or round(args.end / args.dt) < 2 or abs(args.end / args.dt - round(args.end / args.dt)) > 1e-6:
        fail(f"--end {args.end:g} must be two or more whole steps of --dt {args.dt:g}")
    if args.threads < 1:
        fail(f"--threads {args.threads} must be 1 or more")
    return args


@dataclass
class Slab:
    """The grid of nodes, numbered with z fastest, and where it is watched."""

    dx: float
    shape: tuple[int, int, int] = field(init=False)
    watched: list[tuple[int, int, int]] = field(init=False)   # nodes whose potential is recorded

    def __post_init__(self) -> None:
        nx, ny, nz = (round(size / self.dx) + 1 for size in SIZE)
        self.shape = (nx, ny, nz)
        self.watched = sorted({node for point in POINTS for node in self.around(point)})

    @property
    def nodes(self) -> int:
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def stimulated(self) -> int:
        """Number of nodes along each edge of the stimulated cube."""
        return int(STIMULUS_EDGE / self.dx + 1e-6) + 1

    def around(self, point: tuple[float, ...]) -> list[tuple[int, int, int]]:
        """The node at a point, or the nodes nearest to it where it lies half-way between some."""
        axes = [sorted({int(2 * x / self.dx + 1e-6) // 2, (int(2 * x / self.dx + 1e-6) + 1) // 2}) for x in point]
        return [(i, j, k) for i in axes[0] for j in axes[1] for k in axes[2]]

    def activation(self, times: np.ndarray, potentials: np.ndarray) -> dict[str, float | None]:
        """Activation time (ms) of each benchmark point; None where the potential stays below 0 mV.

        Linear interpolation in time of the first crossing of 0 mV; a point half-way between nodes has their mean.

        Args:
            times: (n,), ms.
            potentials: (n, len(watched)), mV.
        """
        import numpy as np

        above = potentials >= 0
        after = above.argmax(axis=0)
        before, columns = np.maximum(after - 1, 0), np.arange(potentials.shape[1])
        v0, v1 = potentials[before, columns], potentials[after, columns]
        with np.errstate(invalid="ignore", divide="ignore"):
            crossing = times[before] + (times[after] - times[before]) * (-v0 / (v1 - v0))
        crossing[~above.any(axis=0)] = np.nan
        found: dict[str, float | None] = {}
        for point in POINTS:
            mean = float(np.mean([crossing[self.watched.index(node)] for node in self.around(point)]))
            found[",".join(f"{x:g}" for x in point)] = None if np.isnan(mean) else round(mean, 4)
        return found


class Clock:
    """Wall and CPU seconds (all threads of this process) since its making, pauses left out."""

    def __init__(self) -> None:
        self.wall0, self.cpu0 = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall0, time.process_time() - self.cpu0

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        wall, cpu = self.read()
        yield
        later, more = self.read()
        self.wall0, self.cpu0 = self.wall0 + later - wall, self.cpu0 + more - cpu


class Complete(Exception):
    """Every node is active: the run may end."""


class Everywhere:
    """First crossing of 0 mV at every node, linear in time. Its work is not the peer's, so the clock stands meanwhile.

    Without a file to write to it sees nothing.
    """

    def __init__(self, file: Path | None, slab: Slab) -> None:
        import numpy as np

        self.file, self.shape = file, slab.shape
        self.times = np.full(slab.nodes, np.nan)
        self.before = np.full(slab.nodes, INITIAL["V"])
        self.waiting = np.full(slab.nodes, True)
        self.t = 0.0

    def see(self, t: float, potentials: Any, clock: Clock) -> None:
        """Potentials (nodes,), mV, at time t, ms. Raises Complete when the last node has become active."""
        if self.file is None:
            return
        with clock.paused():
            new = (potentials >= 0) & self.waiting
            if new.any():
                v0, v1 = self.before[new], potentials[new]
                self.times[new] = self.t + (t - self.t) * v0 / (v0 - v1)
                self.waiting &= ~new
                if not self.waiting.any():
                    raise Complete
            self.before[:], self.t = potentials, t

    def save(self) -> None:
        import numpy as np

        if self.file is not None:
            np.save(self.file, self.times.reshape(self.shape))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Sends to standard error what a peer prints, so that standard output has the one line of JSON only."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def report(peer: str, args: argparse.Namespace, slab: Slab, setup_s: float, loop: tuple[float, float],
           activation: dict[str, float | None], notes: list[str], steps: int, **more: Any) -> None:
    """Prints the result as one line of JSON. `loop` is wall and CPU seconds of all `steps` but the first.

    The first step belongs to the set-up: both peers compile in it.
    """
    wall_s, cpu_s = loop
    print(json.dumps({
        "peer": peer, "version": version(peer), **more, "threads": args.threads,
        "dx_mm": args.dx, "dt_ms": args.dt, "end_ms": args.end, "nodes": slab.nodes, "steps": steps,
        "setup_s": round(setup_s, 3), "wall_s": round(wall_s, 3), "cpu_s": round(cpu_s, 3),
        "node_steps_per_s": round(slab.nodes * (steps - 1) / wall_s),
        "node_steps_per_cpu_s": round(slab.nodes * (steps - 1) / cpu_s),
        "activation_ms": activation, "notes": ["the first step compiles: it counts as set-up, not as loop", *notes],
    }))
