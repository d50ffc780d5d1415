"""What the user wants to see of a run, and how: the options that films, pictures and pages share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import OptionError
from upstroke.output.raster import Scene
from upstroke.output.scene import View, round_levels
from upstroke.view.recording import Recording
from upstroke.view.shape import Half, Shape

LEAST = 0.35            # height of a picture of its width, at least, and the other way round
WIDEST = 5000           # pixels: a page's width at 600 to the inch; memory grows with the square
INSTALL = 'pip install "upstroke[view]"'


@dataclass(frozen=True)
class Look:
    """What is shown of a run, and from where.

    Attributes
    ----------
    variable : of the snapshots; by default the first
    bounds : the values of the first and the last colour; by default the least and the greatest of what is shown
    clip : the half space that is kept, "x < 10 mm"
    isochrones, fibres : whether they are drawn
    curves : names of what stands beneath, leads (II) or probes (soma.V); () for nothing; None for the leads where the
        run has an electrocardiogram
    angles : where the viewer stands, degrees: from x around z, and above the plane of x and y
    begin, end, every : ms, which frames
    width : pixels
    triangles : at most
    """

    variable: str | None = None
    bounds: tuple[float, float] | None = None
    clip: str | None = None
    isochrones: bool = False
    fibres: bool = False
    curves: tuple[str, ...] | None = None
    angles: tuple[float, float] | None = None
    begin: float | None = None
    end: float | None = None
    every: float | None = None
    width: int = 900
    triangles: int = 60_000

    @property
    def half(self) -> Half | None:
        return None if self.clip is None else Half.read(self.clip)

    def __post_init__(self) -> None:
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            raise OptionError("--range", f"{self.bounds[0]:g} to {self.bounds[1]:g} is no range",
                              "give the lower value first")
        if self.width < 300:
            raise OptionError("--width", f"{self.width} pixels are too few for title and colour bar",
                              "give 300 or more")
        if self.width > WIDEST:
            raise OptionError("--width", f"{self.width:,} pixels need too much memory", f"give {WIDEST} or less")
        if self.triangles < 100:
            raise OptionError("--triangles", f"{self.triangles} show no shape", "give 100 or more")


def frames_of(recording: Recording, look: Look, most: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The numbers of the frames that are shown, at most ``most``, evenly chosen; and a note where some are left out.

    Raises
    ------
    OptionError where there is none between the times asked for, or ``every`` is finer than the snapshots
    """
    times = recording.times
    low, high = (times[0] if look.begin is None else look.begin), (times[-1] if look.end is None else look.end)
    inside = np.flatnonzero((times >= low - 1e-9) & (times <= high + 1e-9))
    if not len(inside):
        raise OptionError("--from, --to", f"there is no snapshot from {low:g} to {high:g} ms",
                          f"they go from {times[0]:g} to {times[-1]:g} ms")
    if look.every is not None:
        step = float(times[1] - times[0]) if len(times) > 1 else look.every
        stride = round(look.every / step)
        if stride < 1 or abs(stride * step - look.every) > 1e-6 * step * stride:
            raise OptionError("--every", f"snapshots are {step:g} ms apart, and {look.every:g} ms is no multiple of it",
                              f"take {max(stride, 1) * step:g} ms")
        inside = inside[::stride]
    if len(inside) <= most:
        return inside, ()
    stride = -(-len(inside) // most)
    note = f"every {_nth(stride)} of {len(inside):,} snapshots is shown; --every, --from and --to choose"
    return inside[::stride], (note,)


def _nth(k: int) -> str:
    return {2: "second", 3: "third"}.get(k, f"{k}th")


def range_of(recording: Recording, shape: Shape, variable: str, frames: NDArray[np.int64]) -> tuple[float, float]:
    """The least and the greatest finite value that is shown; half a unit around it where they are the same."""
    low, high = np.inf, -np.inf
    for values in recording.values(variable, frames, shape.nodes()):
        known = values[np.isfinite(values)]
        if known.size:
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    if not low <= high:
        return 0.0, 1.0
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def bounds_of(recording: Recording, shape: Shape, variable: str, frames: NDArray[np.int64]) -> tuple[float, float]:
    """The same, rounded outwards: the values of the first and the last colour."""
    levels = round_levels(*range_of(recording, shape, variable, frames), 20)
    return float(levels[0]), float(levels[-1])


def label_of(recording: Recording, variable: str) -> str:
    unit = recording.unit(variable)
    return f"{variable} ({unit})" if unit else variable


def activation_of(recording: Recording, shape: Shape) -> NDArray[np.float64] | None:
    """(k,) ms at the corners; None where the run has no map, or nothing was activated."""
    if recording.activation is None:
        return None
    nodes = shape.nodes()
    times = shape.at(recording.activation[nodes], nodes)
    return times if np.isfinite(times).any() else None


def isochrones_of(recording: Recording, shape: Shape) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Activation times (k,) at the corners, and the levels (ms) to draw.

    Raises
    ------
    OptionError where the run has no activation times
    """
    times = activation_of(recording, shape)
    if times is None:
        raise OptionError("--isochrones", f"{recording.folder} has no activation times for what is shown",
                          "leave --isochrones out; there are some where a run has ended, its snapshots hold the whole "
                          "mesh, and V passed watch.activation.threshold")
    known = times[np.isfinite(times)]
    return times, round_levels(float(known.min()), float(known.max()))


def view_of(scene: Scene, look: Look) -> View:
    """From where it is seen: flat things and neurons from along the axis across them, solids from the right, above."""
    extent = np.ptp(scene.points, axis=0)
    if look.angles is not None:
        view = View.turned(scene.points, *look.angles)
    elif len(scene.rods) and not len(scene.triangles):
        view = View.upright(scene.points)
    else:
        view = View.along(scene.points) if extent.min() <= 1e-6 * extent.max() else View.turned(scene.points)
    border = float(scene.radius.max()) if len(scene.radius) else 0.0
    return view.with_room(LEAST, border)
