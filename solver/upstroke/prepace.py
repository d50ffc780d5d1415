"""A single cell is paced before the run; tissue starts where the cell is at the end, or at a phase of its last beat.

With the state s(t) of the cell in its last beat, t = 0 at the start of its stimulus, and T the period, a node of phase
p, of which only the fraction counts, starts at s(p T). The beat is kept beside compiled kernels, for all runs alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.compiler import cache_directory
from upstroke.bench.cells import Cells, Channel, Inputs
from upstroke.case.schema import Prepace
from upstroke.errors import ModelError
from upstroke.ionic.model import Model
from upstroke.output.files import whole_file
from upstroke.waves.find import identity

FINEST = 0.1       # ms between the states that are kept of the last beat
SMALLEST = 20.0    # mV of an action potential
STEADY = 1e-3      # change of the state over a beat, from which on a note says that it is not steady


@dataclass(frozen=True, eq=False)
class Beat:
    """The last beat: V and states by name, (rows,) each, at equal distances from its start to its end."""

    values: dict[str, NDArray[np.float64]]

    @property
    def end(self) -> dict[str, float]:
        return {name: float(column[-1]) for name, column in self.values.items()}

    def at(self, phase: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """V and states (n,) at phases (n,)."""
        place = np.mod(phase, 1.0) * (len(self.values["V"]) - 1)
        return {name: np.interp(place, np.arange(len(column)), column) for name, column in self.values.items()}

    @property
    def change(self) -> tuple[float, str]:
        """The largest change over the beat, relative to the largest value in it, and of which variable it is."""
        return max((abs(c[-1] - c[0]) / max(np.abs(c).max(), 1e-300), name) for name, c in self.values.items())


def paced(model: Model, section: Prepace, initial: Mapping[str, float], dt: float, C_m: float) -> tuple[Beat, str]:
    """The last beat of a cell that starts at ``initial``, in steps of about dt (ms), and a note of what was done.

    Raises
    ------
    ModelError where the last stimulus makes no action potential; DivergenceError where V leaves the finite numbers
    """
    beat = _kept(model, section, initial, dt, C_m)
    change, name = beat.change
    V = beat.values["V"]
    if np.ptp(V) < SMALLEST:
        raise ModelError("prepace", f"{section.current:g} uA/cm^2 for {section.duration:g} ms make no action "
                         f"potential in the last of {section.beats} beats: V stays between {V.min():.1f} and "
                         f"{V.max():.1f} mV", "raise prepace.current or duration, or the period")
    steady = f"over the last, {name} changed by {100.0 * change:.2g} %, no variable by more"
    return beat, (f"{model.name}: paced for {section.beats} beats of {section.period:g} ms before; {steady}"
                  + (": it is not steady, or alternates" if change > STEADY else ""))


def _kept(model: Model, section: Prepace, initial: Mapping[str, float], dt: float, C_m: float) -> Beat:
    """From the cache; one that is broken counts as none."""
    what = (identity(model, initial, C_m), section.beats, section.period, section.current, section.duration, dt)
    path = cache_directory() / f"{model.name}-{hashlib.sha256(repr(what).encode()).hexdigest()[:16]}.beat.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return Beat({name.removeprefix("_"): file[name] for name in file.files})
    except (OSError, ValueError, EOFError, BadZipFile):
        pass
    beat = _pace(model, section, initial, dt, C_m)
    _keep(path, beat)
    return beat


def _keep(path: Path, beat: Beat) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {f"_{name}": column for name, column in beat.values.items()}     # some are called "file"
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, **columns)


def _pace(model: Model, section: Prepace, initial: Mapping[str, float], dt: float, C_m: float) -> Beat:
    onset = np.rint(np.arange(section.beats + 1) * section.period / dt).astype(np.int64)
    edges = np.ravel(np.column_stack([onset[:-1], onset[:-1] + max(1, round(section.duration / dt))]))
    on = (np.arange(len(edges)) % 2 == 0)[:, None]
    inputs = Inputs(edges, (Channel("V", "current", np.where(on, section.current, 0.0)),), on)
    names = ("V", *(s.name for s in model.states))
    cells = Cells(model, inputs, dt, initial={name: initial[name] for name in names}, C_m=C_m)
    for step in onset[1:-1]:
        cells.advance(int(step) - cells.step)
        cells.raise_if_broken()
    rows = max(2, round(section.period / max(FINEST, dt)) + 1)
    steps = np.rint(np.linspace(cells.step, onset[-1], rows)).astype(np.int64)
    states = [cells.state()]
    for step in steps[1:]:
        cells.advance(int(step) - cells.step)
        states.append(cells.state())
    cells.raise_if_broken()
    return Beat({name: np.array([state[name][0] for state in states]) for name in names})
