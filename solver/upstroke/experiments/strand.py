"""A strand of tissue, a cable that is paced at one end: waves on the mesh and in the steps that are wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.case import load_case
from upstroke.errors import DivergenceError, ModelError
from upstroke.observe import ActivationMap
from upstroke.run import run

PULSE = {"current": "60 uA/cm^2", "duration": "2 ms"}      # lifts V by 120 mV
LAUNCH = 2.0                 # ms that a wave runs along what is stimulated
REACH = 20.0                 # ms that a wave runs along the strand, at least
NODES = 60                   # of the strand, at least
MEASURED = 0.35, 0.75        # parts of its length between which a wave is timed


@dataclass(frozen=True)
class Strand:
    """What makes waves on a strand, but for its conductivity and its node spacing. Times in ms.

    ``waves`` is `tissue.waves`, ``beta`` 1/cm.
    """

    model: str
    flags: Sequence[str] = ()
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    method: str = ""
    dt: float = 0.02
    splitting: str = "godunov"
    diffusion: str = "crank_nicolson"
    reaction_steps: int = 1
    waves: str = "calibrated"
    beta: float = 1400.0
    threshold: float = -40.0

    def describe(self) -> str:
        """A line for reports."""
        flags = f" ({', '.join(self.flags)})" if self.flags else ""
        return (f"{self.model}{flags}, dt {self.dt:g} ms, {self.splitting}, {self.diffusion}, waves {self.waves}, "
                f"beta {self.beta / 10.0:g} /mm")

    def case(self, conductivity: float, dx: float, velocity: float, times: Sequence[tuple[float, float, int]],
             end: float) -> dict[str, Any]:
        """The tables of a run: a strand for waves of about a velocity (cm/ms).

        Arguments
        ---------
        conductivity, dx : mS/cm, cm
        times : trains of pulses: start, period, count
        """
        n = max(NODES, ceil(REACH * velocity / dx))
        launched = max(LAUNCH * velocity, 3.0 * dx)
        where = {"box": {"min": ["0 mm"], "max": [f"{10.0 * launched:.9g} mm"]}}
        trains = [PULSE | where | {"start": f"{start:.9g} ms", "period": f"{period:.9g} ms", "count": count}
                  for start, period, count in times]
        return {
            "mesh": {"kind": "cable", "length": f"{10.0 * n * dx:.12g} mm", "dx": f"{10.0 * dx:.12g} mm"},
            "tissue": {"surface_to_volume": f"{self.beta:.12g} /cm", "waves": self.waves,
                       "conductivity": {"monodomain": [f"{conductivity:.12g} mS/cm"]}},
            "membrane": {"model": self.model, "flags": list(self.flags), "parameters": dict(self.parameters)}
            | ({"method": self.method} if self.method else {}),
            "time": {"end": f"{round(end / self.dt) * self.dt:.12g} ms", "dt": f"{self.dt:.12g} ms",
                     "splitting": self.splitting, "diffusion": self.diffusion, "reaction_steps": self.reaction_steps},
            "stimulus": trains, "watch": {"activation": {"threshold": f"{self.threshold:g} mV"}},
            "output": {"picture": False}, "backend": {"device": "cpu", "threads": 1}}

    def waves_of(self, case: Mapping[str, Any]) -> tuple[NDArray[np.float64], ActivationMap]:
        """Where the nodes are (cm), and what a run of the case gives."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                result = run(load_case(case), Path(folder) / "strand")
            except DivergenceError as error:
                error.__notes__ = []                             # they tell of results in the folder
                raise
            except ModelError as error:
                raise ModelError(f"--waves {self.waves}", error.what.removeprefix("membrane: "),
                                 "take --waves fourth_order, which depends on no model") from None
        return result.mesh.points[:, 0], result.activation

    def velocity(self, conductivity: float, dx: float, about: float) -> float:
        """Of a single wave (cm/ms), which is to be about so fast; 0 where none runs, or one slower than a quarter of
        that."""
        strand = self.case(conductivity, dx, about, [(0.0, 10.0, 1)], 10.0 + 5.0 * max(REACH, NODES * dx / about))
        try:
            x, seen = self.waves_of(strand)
        except DivergenceError as error:
            if "left the finite numbers" in error.what:
                raise
            return 0.0
        return speed(x, seen.activation[0]) if seen.beats else 0.0


def speed(x: NDArray[np.float64], times: NDArray[np.float64]) -> float:
    """Of a wave that passes the nodes at x at these times: the slope of a line through the middle of the strand; 0
    where it does not pass all of them, forwards."""
    low, high = (part * x[-1] for part in MEASURED)
    middle = (x >= low) & (x <= high)
    t = times[middle]
    if not np.isfinite(t).all() or (np.diff(t) <= 0.0).any():
        return 0.0
    return float(1.0 / np.polyfit(x[middle], t, 1)[0])
