"""``upstroke cv-restitution``: velocity and duration of action potentials of a strand that is paced faster and faster.

The strand is paced with ``beats`` stimuli at each cycle length, from the longest to the shortest, in one run. Of the
last beat at each, seen in the middle of the strand,

    DI = t_activation - t_repolarisation of the beat before,   APD = t_repolarisation - t_activation,

and the velocity is that of the wave on its way through the middle. The first cycle length at which stimuli are not
followed one to one ends the curve.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import ModelError, OptionError
from upstroke.experiments.strand import MEASURED, Strand, speed
from upstroke.output.directory import make_run_directory
from upstroke.output.files import whole_file

TAIL = 0.999         # of the last cycle, after which the run ends


@dataclass(frozen=True)
class Point:
    """The last beat at a cycle length: ms, and m/s."""

    cycle_ms: float
    DI_ms: float
    APD90_ms: float
    velocity_m_s: float


def cycles(longest: float, shortest: float, step: float) -> list[float]:
    """ms, from the longest to the shortest. Raises OptionError where these are none."""
    if not 0.0 < shortest < longest:
        raise OptionError("--from and --to", f"from {longest:g} to {shortest:g} ms the cycle does not become shorter",
                          'for example --from "600 ms" --to "300 ms"')
    return [float(round(c, 9)) for c in np.arange(longest, shortest - 1e-9 * step, -step)]


def restitution(strand: Strand, conductivity: float, dx: float, cycle: Sequence[float], beats: int) -> list[Point]:
    """The curve, from the longest cycle on, as far as each stimulus is followed by a beat.

    Arguments
    ---------
    conductivity, dx : mS/cm, cm
    cycle : ms, falling
    beats : at each cycle length, at least two

    Raises
    ------
    OptionError for fewer beats; ModelError where no wave runs along the strand, or none at the longest cycle length
    """
    if beats < 2:
        raise OptionError("--beats", f"{beats} is too few: an interval is between two", "take at least 2")
    about = strand.velocity(conductivity, dx, 0.06)
    if about == 0.0:
        raise ModelError(f"model {strand.model}", f"no wave runs along a strand of {conductivity:g} mS/cm",
                         "check the model with upstroke bench, or take more --conductivity")
    starts = np.concatenate([[0.0], np.cumsum([beats * c for c in cycle])])
    trains = [(float(start), c, beats) for start, c in zip(starts, cycle, strict=False)]
    x, seen = strand.waves_of(strand.case(conductivity, dx, about, trains, float(starts[-1]) + TAIL * cycle[-1]))
    onset = np.concatenate([start + c * np.arange(beats) for start, c, _ in trains])
    points = []
    for k, c in enumerate(cycle):
        if (point := _point(x, seen.activation, seen.repolarisation, onset, (k + 1) * beats - 1, c)) is None:
            break
        points.append(point)
    if not points:
        raise ModelError(f"model {strand.model}", f"a strand does not follow stimuli every {cycle[0]:g} ms",
                         "begin with a longer one: --from")
    return points


def _point(x: NDArray[np.float64], activation: NDArray[np.float64], repolarisation: NDArray[np.float64],
           onset: NDArray[np.float64], last: int, cycle: float) -> Point | None:
    """The beat of stimulus ``last``, where all stimuli so far have one: beat k of every node comes after stimulus k and
    within a cycle."""
    if len(activation) <= last:
        return None
    middle = int(np.argmin(np.abs(x - 0.5 * sum(MEASURED) * x[-1])))
    delay = activation[:last + 1, middle] - onset[:last + 1]
    velocity = speed(x, activation[last])
    if not (np.isfinite(delay).all() and (delay > 0.0).all() and (delay < cycle).all() and velocity > 0.0):
        return None
    before, end = repolarisation[last - 1, middle], repolarisation[last, middle]
    return Point(cycle, float(activation[last, middle] - before), float(end - activation[last, middle]),
                 10.0 * velocity) if np.isfinite([before, end]).all() else None


def write(strand: Strand, points: Sequence[Point], asked: Sequence[float], out: Path | None) -> str:
    """``restitution.csv`` and ``restitution.png`` in a new folder (default: runs/cv-restitution), and what to print."""
    folder = make_run_directory("cv-restitution", out)
    names = [field.name for field in fields(Point)]
    with whole_file(folder / "restitution.csv") as part, part.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(names)
        lines.writerows([f"{value:.9g}" for value in astuple(point)] for point in points)
    rows = [f"  {p.cycle_ms:8.4g} {p.DI_ms:9.2f} {p.APD90_ms:9.2f} {p.velocity_m_s:10.4f}" for p in points]
    lost = [f"note: at a cycle of {c:g} ms stimuli are not followed one to one" for c in asked[len(points):][:1]]
    return "\n".join([strand.describe(), "     cycle        DI     APD90   velocity", "        ms        ms        ms"
                      "        m/s", *rows, *lost, *_draw(strand, points, folder / "restitution.png"),
                      f"results in {folder}"])


def _draw(strand: Strand, points: Sequence[Point], path: Path) -> list[str]:
    """APD and velocity against DI; a note where that cannot be."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return ['note: no picture: matplotlib is not installed: pip install "upstroke[view]"']
    figure = Figure(figsize=(8, 3.2), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    for axes, name, label in zip(figure.subplots(1, 2), ("APD90_ms", "velocity_m_s"), ("APD90 (ms)", "velocity (m/s)"),
                                 strict=True):
        axes.plot([p.DI_ms for p in points], [getattr(p, name) for p in points], "o-")
        axes.set(xlabel="DI (ms)", ylabel=label)
    figure.suptitle(strand.model, fontsize=10)
    with whole_file(path) as part:
        figure.savefig(part, format="png")
    return []
