"""What a picture shows, before anyone draws it: cells with times, isochrones, the viewer's place. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Picture:
    """What is to be seen: nodes in mm, segments (k, 2) or triangles (k, 3), and activation times (n,), NaN for none.

    ``strands`` (s, 2) are drawn over all of it.
    """

    points: NDArray[np.float64]
    cells: NDArray[np.int32]
    times: NDArray[np.float64]
    title: str
    strands: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 2), np.int32))

    @property
    def silent(self) -> NDArray[np.bool_]:
        """(k,) cells with a node that was never activated."""
        return np.asarray(np.isnan(self.times[self.cells]).any(axis=1))

    @property
    def levels(self) -> NDArray[np.float64]:
        """Round times for isochrones and the bar's labels, from at most the first to at least the last activation."""
        known = self.times[np.isfinite(self.times)]
        return round_levels(known.min(), known.max()) if known.size else np.array([0.0, 1.0])

    @property
    def extent(self) -> NDArray[np.float64]:
        return np.ptp(self.points, axis=0)

    @property
    def flat(self) -> bool:
        """A sheet or cable that lies in a plane across an axis."""
        return bool(self.extent.min() <= 1e-6 * self.extent.max())

    @property
    def straight(self) -> bool:
        """A cable along a line."""
        axis = int(self.extent.argmax())
        first, last = self.points[self.points[:, axis].argmin()], self.points[self.points[:, axis].argmax()]
        off = np.linalg.norm(np.cross(self.points - first, last - first), axis=1).max()   # area of a parallelogram
        return self.cells.shape[1] == 2 and bool(off <= 1e-6 * np.sum((last - first) ** 2))


@dataclass(frozen=True, eq=False)
class View:
    """Parallel projection of a scene: x, y on the page and depth towards the viewer, all in mm.

    Solids are seen from the front, right and above; a flat sheet from along the axis across it.
    """

    right: NDArray[np.float64]
    up: NDArray[np.float64]
    toward: NDArray[np.float64]
    centre: NDArray[np.float64]
    half: NDArray[np.float64]      # half width and height of the scene on the page

    @classmethod
    def of(cls, picture: Picture) -> View:
        return cls.along(picture.points) if picture.flat else cls.turned(picture.points)

    @classmethod
    def along(cls, points: NDArray[np.float64]) -> View:
        """From along the axis across which points (n, 3) reach least."""
        across = int(np.ptp(points, axis=0).argmin())
        right, up = (np.eye(3)[a] for a in range(3) if a != across)
        return cls._around(points, right, up)

    @classmethod
    def upright(cls, points: NDArray[np.float64]) -> View:
        """The same, but y is up where it is not that axis: neurons stand."""
        x, y, z = np.eye(3)
        right, up = ((z, y), (x, z), (x, y))[int(np.ptp(points, axis=0).argmin())]
        return cls._around(points, right, up)

    @classmethod
    def turned(cls, points: NDArray[np.float64], azimuth: float = -60.0, elevation: float = 28.0) -> View:
        """From a direction, in degrees: the angle from x around z, and that above the plane of x and y."""
        e, a = np.deg2rad([elevation, azimuth])
        right = np.array([-np.sin(a), np.cos(a), 0.0])
        up = np.array([-np.sin(e) * np.cos(a), -np.sin(e) * np.sin(a), np.cos(e)])
        return cls._around(points, right, up)

    @classmethod
    def _around(cls, points: NDArray[np.float64], right: NDArray[np.float64], up: NDArray[np.float64]) -> View:
        page = points @ np.column_stack([right, up])
        middle = (page.min(axis=0) + page.max(axis=0)) / 2
        toward = np.cross(right, up)
        depth = points @ toward
        centre = middle[0] * right + middle[1] * up + (depth.min() + depth.max()) / 2 * toward
        return cls(right, up, toward, centre, 1.02 * np.ptp(page, axis=0) / 2)

    def with_room(self, least: float, border: float = 0.0) -> View:
        """With ``border`` mm more on each side, and neither half below ``least`` of the other."""
        half = self.half + border
        return View(self.right, self.up, self.toward, self.centre, np.maximum(half, least * half.max()))

    def page(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 2): where points (..., 3) come to lie."""
        return points @ np.column_stack([self.right, self.up])

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of the image."""
        x, y = self.page(self.centre)
        return (x - self.half[0], x + self.half[0], y - self.half[1], y + self.half[1])


def round_levels(low: float, high: float, most: int = 10) -> NDArray[np.float64]:
    """Multiples of 1, 2 or 5 times a power of ten that enclose [low, high], at most ``most`` steps (ms)."""
    span = max(high - low, 1e-3)
    decade = 10.0 ** np.floor(np.log10(span / most))
    for factor in (1.0, 2.0, 5.0, 10.0, 20.0):
        step = factor * decade
        first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
        if last - first <= most:
            break
    return step * np.arange(first, max(last, first + 1) + 1)


def round_length(most: float) -> tuple[float, str]:
    """The greatest of 1, 2 or 5 times a power of ten that is not above ``most``, mm, and as it is written."""
    decade = 10.0 ** np.floor(np.log10(most))
    mm = max(factor * decade for factor in (1.0, 2.0, 5.0) if factor * decade <= most)
    return mm, f"{1000 * mm:g} um" if mm < 0.999 else f"{mm / 10:g} cm" if mm > 99.9 else f"{mm:g} mm"


def isochrones(picture: Picture) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The isochrones' line pieces (s, 2, 3) and the triangle that each lies on (s,)."""
    lit = np.flatnonzero(~picture.silent)
    t, x = picture.times[picture.cells[lit]], picture.points[picture.cells[lit]]
    pieces, owners = [], []
    for level in picture.levels:
        above = t > level
        cut = above.any(axis=1) & ~above.all(axis=1)
        if not cut.any():
            continue
        tc, xc, ac = t[cut], x[cut], above[cut]
        # One vertex is alone on its side; the piece runs between the two edges that leave it.
        alone = np.where(ac.sum(axis=1) == 1, ac.argmax(axis=1), (~ac).argmax(axis=1))
        rows = np.arange(len(alone))
        ends = []
        for step in (1, 2):
            other = (alone + step) % 3
            w = (level - tc[rows, alone]) / (tc[rows, other] - tc[rows, alone])
            ends.append(xc[rows, alone] + w[:, None] * (xc[rows, other] - xc[rows, alone]))
        pieces.append(np.stack(ends, axis=1))
        owners.append(lit[cut])
    if not pieces:
        return np.empty((0, 2, 3)), np.empty(0, np.int64)
    return np.concatenate(pieces), np.concatenate(owners)
