"""A scene seen once, pixel by pixel: which nodes of the mesh each pixel shows, and with what weights. NumPy only.

The mesh of a run does not move, and neither does the viewer of a film. So the hidden surfaces are found once, and every
frame is a look-up: colour(sum_k w_k V[node_k]) times the shade of the place. No graphics library takes part, and the
pictures are the same on every machine. Pixels are computed twice as fine as they are shown, against stairs at edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upstroke.output.scene import View

FINER = 2                        # computed pixels along each side of a shown one
AT_ONCE = 4_000_000              # candidate pixels looked at together
AMBIENT = 0.75                   # share of light that does not depend on where a surface looks
THINNEST = 0.8                   # half width of a rod in shown pixels, at least
GREY = np.float32(0.78)          # where there is no value
DARK = 0.33                      # lines on what is darker than this are white, others black


@dataclass(frozen=True, eq=False)
class Scene:
    """What can be seen: corners with numbers, triangles and rods between them.

    Attributes
    ----------
    points : (n, 3) mm
    triangles : (t, 3) numbers of points
    rods : (s, 2) numbers of points; both the same for a ball
    radius : (s, 2) mm, of a rod at its ends
    cap : (s, 2) mm, how far the round end of a rod reaches; 0 for a flat one
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int32]
    rods: NDArray[np.int32]
    radius: NDArray[np.float64]
    cap: NDArray[np.float64]

    @classmethod
    def of_triangles(cls, points: NDArray[np.float64], triangles: NDArray[np.int32]) -> Scene:
        return cls(points, triangles, np.empty((0, 2), np.int32), np.empty((0, 2)), np.empty((0, 2)))

    @classmethod
    def of_rods(cls, points: NDArray[np.float64], rods: NDArray[np.int32], radius: NDArray[np.float64]) -> Scene:
        """Ends are as round as the second thickest rod there: joints are filled, and nothing gets longer."""
        flat = rods.ravel()
        order = np.lexsort((-radius.ravel(), flat))
        sorted_, ranked = flat[order], radius.ravel()[order]
        first = np.searchsorted(sorted_, np.arange(len(points)))
        second = np.minimum(first + 1, max(len(flat) - 1, 0))
        joint = (np.append(sorted_, -1)[second] == np.arange(len(points))) & (first + 1 < len(flat))
        reach = np.where(joint, np.append(ranked, 0.0)[second], 0.0)
        cap = np.minimum(reach[rods], radius)
        return cls(points, np.empty((0, 3), np.int32), rods, radius, np.where((rods[:, 0] == rods[:, 1])[:, None],
                                                                             radius, cap))


@dataclass(frozen=True, eq=False)
class Raster:
    """The pixels that show something.

    Attributes
    ----------
    shape : rows and columns of the fine picture
    pixel : (p,) its number, row by row from the top
    nodes, weights : (p, 3) the points that it shows, and how much of each
    shade : (p,) light, 0 to 1
    depth : (rows x columns,) mm towards the viewer, -inf where there is nothing
    """

    shape: tuple[int, int]
    pixel: NDArray[np.int64]
    nodes: NDArray[np.int32]
    weights: NDArray[np.float32]
    shade: NDArray[np.float32]
    depth: NDArray[np.float32]

    def at(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """(p,) what each pixel shows of values at the points; NaN where a point that counts has none."""
        parts = values.astype(np.float32)[self.nodes]
        if np.isnan(values).any():
            parts[self.weights == 0.0] = 0.0
        return np.asarray(np.einsum("pk,pk->p", parts, self.weights))

    def image(self, values: NDArray[np.floating], low: float, high: float, colours: NDArray[np.float64],
              ink: NDArray[np.float32] | None = None) -> NDArray[np.uint8]:
        """The picture (rows / 2, columns / 2, 3) of values at the points.

        Arguments
        ---------
        low, high : the values of the first and the last colour
        colours : (c, 3), 0 to 1
        ink : (p,) 0 to 1, how much of a line there is on a pixel; black on light colours, white on dark ones
        """
        shown = self.at(values)
        place = (np.nan_to_num(shown) - low) / (high - low) * len(colours)
        place = np.clip(place, 0, len(colours) - 1).astype(np.int32)
        rgb = colours.astype(np.float32)[place]
        rgb[np.isnan(shown)] = GREY
        if ink is not None:
            drawn = np.flatnonzero(ink)
            tone = np.where(rgb[drawn].mean(axis=1) < DARK, np.float32(1.0), np.float32(0.0))
            rgb[drawn] += ink[drawn, None] * (tone[:, None] - rgb[drawn])
        rgb *= self.shade[:, None]
        rows, columns = self.shape
        fine = np.ones((rows * columns, 3), np.float32)
        fine[self.pixel] = rgb
        square = fine.reshape(rows, columns, 3)
        coarse = sum(square[a::FINER, b::FINER] for a in range(FINER) for b in range(FINER))
        return np.asarray(np.round(coarse * (255.0 / FINER ** 2)), np.uint8)

    def contours(self, values: NDArray[np.floating], levels: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(p,) pixels at which values cross a level on the way to a neighbour to the right or below."""
        band = np.full(self.shape[0] * self.shape[1], -1)
        shown = self.at(values)
        band[self.pixel] = np.where(np.isnan(shown), -1, np.searchsorted(levels, shown))
        square = band.reshape(self.shape)
        line = np.zeros(self.shape, bool)
        depth, step = self.depth.reshape(self.shape), self._step()
        for axis in (0, 1):
            for shift in (1, -1):
                other = np.roll(square, shift, axis)
                with np.errstate(invalid="ignore"):               # far away less far away
                    apart = np.abs(np.roll(depth, shift, axis) - depth)
                line |= (other != square) & (other >= 0) & (square >= 0) & (apart < step)
        return np.asarray(line.reshape(-1)[self.pixel])

    def _step(self) -> float:
        """mm of depth between neighbouring pixels above which they belong to different parts of the surface."""
        known = self.depth[np.isfinite(self.depth)]
        return 0.05 * float(np.ptp(known)) + 1e-6 if known.size else 1.0


def rasterise(scene: Scene, view: View, width: int, height: int) -> Raster:
    """Find what every pixel shows.

    Arguments
    ---------
    width, height : of the picture, pixels; the view's frame fills it
    """
    columns, rows = FINER * width, FINER * height
    left, right, bottom, top = view.frame
    page = view.page(scene.points)
    place = np.column_stack([(page[:, 0] - left) / (right - left) * columns,
                             (top - page[:, 1]) / (top - bottom) * rows])
    canvas = _Canvas(rows, columns, place, scene.points @ view.toward)
    canvas.triangles(scene.triangles, _facing(scene, view))
    canvas.rods(scene.rods, scene.radius, scene.cap, (right - left) / columns)
    return canvas.raster()


def _facing(scene: Scene, view: View) -> NDArray[np.float32]:
    """(t,) the light on each triangle, from where the viewer stands."""
    a, b, c = (scene.points[nodes] for nodes in scene.triangles.T)
    normal = np.cross(b - a, c - a)
    cosine = np.abs(normal @ view.toward) / np.maximum(np.linalg.norm(normal, axis=1), 1e-300)
    return np.asarray(AMBIENT + (1.0 - AMBIENT) * cosine, np.float32)


class _Canvas:
    """The fine picture while it is made."""

    def __init__(self, rows: int, columns: int, place: NDArray[np.float64], depth: NDArray[np.float64]) -> None:
        self.rows, self.columns, self.place, self.z = rows, columns, place, depth
        n = rows * columns
        self.depth = np.full(n, -np.inf, np.float32)
        self.nodes = np.zeros((n, 3), np.int32)
        self.weights = np.zeros((n, 3), np.float32)
        self.shade = np.zeros(n, np.float32)

    def triangles(self, triangles: NDArray[np.int32], light: NDArray[np.float32]) -> None:
        corners = self.place[triangles]
        for which, x, y in self._candidates(corners.min(axis=1), corners.max(axis=1)):
            (ax, ay), (bx, by), (cx, cy) = (corners[which, k].T for k in range(3))
            area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
            with np.errstate(divide="ignore", invalid="ignore"):
                v = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
                w = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
                inside = (v >= -1e-9) & (w >= -1e-9) & (v + w <= 1.0 + 1e-9)  # False for NaN
            which, x, y, v, w = which[inside], x[inside], y[inside], v[inside], w[inside]
            weights = np.column_stack([1.0 - v - w, v, w]).clip(0.0, 1.0)
            nodes = triangles[which]
            self._put(x, y, (weights * self.z[nodes]).sum(axis=1), nodes, weights, light[which])

    def rods(self, rods: NDArray[np.int32], radius: NDArray[np.float64], cap: NDArray[np.float64], mm: float) -> None:
        """Rods; ``mm`` is the size of a pixel."""
        thick = np.maximum(radius / mm, FINER * THINNEST)
        round_ = np.where(thick > radius / mm, thick, cap / mm)   # what is thinner than a line is a line
        a, b = self.place[rods[:, 0]], self.place[rods[:, 1]]
        reach = thick.max(axis=1)[:, None]
        length2 = np.maximum(((b - a) ** 2).sum(axis=1), 1e-12)
        for which, x, y in self._candidates(np.minimum(a, b) - reach, np.maximum(a, b) + reach):
            px, py = x - a[which, 0], y - a[which, 1]
            dx, dy = (b - a)[which].T
            free = (px * dx + py * dy) / length2[which]
            along = free.clip(0.0, 1.0)
            off2 = (px - along * dx) ** 2 + (py - along * dy) ** 2
            r2 = ((1.0 - along) * thick[which, 0] + along * thick[which, 1]) ** 2
            end = np.where(free < 0.0, round_[which, 0], np.where(free > 1.0, round_[which, 1], np.inf))
            inside = (off2 <= r2) & (off2 <= end ** 2)
            which, x, y, along, rise = (which[inside], x[inside], y[inside], along[inside],
                                        np.sqrt(1.0 - off2[inside] / r2[inside]))
            nodes = rods[which][:, [0, 1, 1]]
            weights = np.column_stack([1.0 - along, along, np.zeros_like(along)])
            z = (weights[:, :2] * self.z[nodes[:, :2]]).sum(axis=1) + rise * np.sqrt(r2[inside]) * mm
            self._put(x, y, z, nodes, weights, AMBIENT + (1.0 - AMBIENT) * rise)

    def _candidates(self, low, high):
        """Pixels in the boxes of things, in portions: number of the thing, x and y of the pixel's middle."""
        first = np.clip(np.ceil(low - 0.5), 0, [self.columns, self.rows]).astype(np.int64)
        last = np.clip(np.floor(high - 0.5) + 1, first, [self.columns, self.rows]).astype(np.int64)
        size = last - first
        count = size[:, 0] * size[:, 1]
        total = np.cumsum(count)
        begin = 0
        while begin < len(count):
            done = total[begin - 1] if begin else 0
            end = max(int(np.searchsorted(total, done + AT_ONCE, "right")), begin + 1)
            which = np.repeat(np.arange(begin, end), count[begin:end])
            if len(which):
                inner = np.arange(len(which)) - np.repeat(total[begin:end] - count[begin:end] - done, count[begin:end])
                y, x = np.divmod(inner, size[which, 0])
                yield which, first[which, 0] + x + 0.5, first[which, 1] + y + 0.5
            begin = end

    def _put(self, x, y, z, nodes, weights, shade):
        """What lies before all that is there already."""
        pixel = (y - 0.5).astype(np.int64) * self.columns + (x - 0.5).astype(np.int64)
        z = z.astype(np.float32)
        before = np.flatnonzero(z > self.depth[pixel])
        before = before[np.argsort(z[before], kind="stable")]      # of one pixel the last is the nearest
        at = pixel[before]
        self.depth[at], self.nodes[at], self.weights[at], self.shade[at] = (z[before], nodes[before], weights[before],
                                                                             shade[before])

    def raster(self) -> Raster:
        pixel = np.flatnonzero(np.isfinite(self.depth))
        return Raster((self.rows, self.columns), pixel, self.nodes[pixel], self.weights[pixel], self.shade[pixel],
                      self.depth)
