"""The page around pictures of a run: title, times, a bar for length, the colour bar, curves. Drawn by matplotlib, once.

What changes from frame to frame, the pictures and their times, is laid into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import BackendError
from upstroke.output.palette import FIRE, colours
from upstroke.output.raster import Scene, rasterise
from upstroke.output.scene import View, round_length, round_levels
from upstroke.view.look import INSTALL, Look, bounds_of, isochrones_of, label_of, view_of
from upstroke.view.recording import Recording
from upstroke.view.shape import Shape, fibres_of
from upstroke.view.strips import Strip, strip_columns

Image = NDArray[np.uint8]
DPI = 100
EDGE, HEAD, CAPTION, FOOT, GAP = 18, 46, 24, 62, 12            # pixels
TALLEST = 1.1            # height of all pictures of the paper's width, at most
NUMBERS, STRIP, LABEL, TIMES = 44, 46, 16, 26                   # of strips
INK, FAINT, MARK = "#202020", "#e4e7ea", "#c8102e"


def require_matplotlib(what: str) -> None:
    """Raises BackendError where matplotlib is missing."""
    if not find_spec("matplotlib"):
        raise BackendError(what, "is drawn by matplotlib, which is not installed", INSTALL)


class Painter:
    """Pictures of a recording on a page, ``count`` of them, and strips beneath that go over the times ``span`` (ms).

    Attributes
    ----------
    bounds : the values of the first and the last colour
    """

    def __init__(self, recording: Recording, shape: Shape, look: Look, frames: NDArray[np.int64],
                 strips: Sequence[Strip] = (), span: tuple[float, float] = (0.0, 1.0), count: int = 1) -> None:
        self._shape, self._nodes = shape, shape.nodes()
        self.variable = recording.variable(look.variable)
        self.bounds = look.bounds or bounds_of(recording, shape, self.variable, frames)
        view = view_of(shape.scene, look)
        self._paper = Paper(recording.title, label_of(recording, self.variable), self.bounds, view, look.width, count,
                            strips, span)
        self._raster = rasterise(shape.scene, view, *self._paper.picture)
        self._ink = np.zeros(len(self._raster.pixel), np.float32)
        if look.fibres:
            self._ink[self._fibres(fibres_of(recording, shape), view)] = 0.5
        if look.isochrones:
            self._ink[self._raster.contours(*isochrones_of(recording, shape))] = 1.0

    def _fibres(self, lines: NDArray[np.float64], view: View) -> NDArray[np.bool_]:
        """Where lines lie on the surface or before it."""
        points = lines.reshape(-1, 3)
        rods = np.arange(len(points), dtype=np.int32).reshape(-1, 2)
        scene = Scene.of_rods(points, rods, np.full((len(rods), 2), 0.3 * self._paper.mm_per_pixel))
        above = rasterise(scene, view, *self._paper.picture).depth[self._raster.pixel]
        length = float(np.linalg.norm(lines[0, 1] - lines[0, 0]))
        return np.asarray(above > self._raster.depth[self._raster.pixel] - 0.5 * length)

    def drawn(self, values: Sequence[NDArray[np.floating]], times: Sequence[float]) -> Image:
        """The whole page with values at the nodes of the shape, and their times."""
        return self._paper.laid([self._raster.image(self._shape.at(field, self._nodes), *self.bounds,
                                                    self._paper.colours, self._ink) for field in values], times)


def columns_of(count: int, view: View) -> int:
    """Pictures in a row: what stands is set side by side."""
    tall = view.half[1] > 1.5 * view.half[0]
    return min(count, 6) if tall else 2 if count == 4 else min(count, 3)


class Paper:
    """A page with ``count`` pictures as they are seen in one view.

    Attributes
    ----------
    picture : width and height of a picture, pixels
    mm_per_pixel : in them
    colours : (256, 3), from the lower to the upper of ``bounds``
    """

    def __init__(self, title: str, label: str, bounds: tuple[float, float], view: View, width: int, count: int = 1,
                 strips: Sequence[Strip] = (), span: tuple[float, float] = (0.0, 1.0)) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._columns = columns_of(count, view)
        rows = -(-count // self._columns)
        self._room = (width - 2 * EDGE - (self._columns - 1) * GAP) // self._columns
        tall = view.half[1] / view.half[0]
        wide = round(min(self._room, TALLEST * width / rows / tall))
        self.picture = wide, round(wide * tall)
        self.mm_per_pixel = 2.0 * view.half[0] / wide
        self.colours = colours(FIRE)
        height = HEAD + rows * (CAPTION + self.picture[1]) + (rows - 1) * GAP + FOOT
        whole = height + _height(strips, width)
        self._size = (width + width % 2, whole + whole % 2)             # films want even numbers
        self._figure = Figure(figsize=(self._size[0] / DPI, self._size[1] / DPI), dpi=DPI, facecolor="white")
        self._canvas = FigureCanvasAgg(self._figure)
        self._text(EDGE, 26, title, size=min(13.0, 1.55 * (width - 2 * EDGE) / max(len(title), 1)), weight="bold")
        self._length_bar(height)
        self._colour_bar(label, bounds, width, height)
        self._strips = _Strips(self._figure, strips, height, self._size, span, count)
        self._canvas.draw()
        self._empty = self._canvas.copy_from_bbox(self._figure.bbox)
        self._moments = [self._text(self._place(k)[0], self._place(k)[1] - 7, "", animated=True) for k in range(count)]

    def laid(self, images: Sequence[Image], times: Sequence[float]) -> Image:
        """The whole page (rows, columns, 3) with pictures, and their times."""
        self._canvas.restore_region(self._empty)
        for moment, time in zip(self._moments, times, strict=False):
            moment.set_text(f"{time:.4g} ms" if time < 1e4 else f"{time:.6g} ms")
            self._figure.draw_artist(moment)
        self._strips.mark(times)
        page = np.asarray(self._canvas.buffer_rgba())[:, :, :3].copy()
        for k, image in enumerate(images):
            x, y = self._place(k)
            page[y:y + len(image), x:x + image.shape[1]] = image
        return page

    def _place(self, k: int) -> tuple[int, int]:
        """Column and row of the upper left pixel of a picture."""
        row, column = divmod(k, self._columns)
        x = EDGE + column * (self._room + GAP) + (self._room - self.picture[0]) // 2
        return x, HEAD + CAPTION + row * (CAPTION + self.picture[1] + GAP)

    def _text(self, x: float, y: float, text: str, size: float = 11.0, **style: Any) -> Any:
        """A text whose line starts at a pixel, counted from the upper left."""
        style = {"va": "baseline", "ha": "left"} | style
        return self._figure.text(x / self._size[0], 1.0 - y / self._size[1], text, fontsize=size * 72 / DPI * 1.1,
                                 color=INK, **style)

    def _length_bar(self, height: int) -> None:
        """A round length, about a fifth of the picture, left of the colour bar and its label."""
        from matplotlib.lines import Line2D

        mm, text = round_length(min(0.25 * self.picture[0], 0.5 * self._size[0] - 2 * EDGE - 80) * self.mm_per_pixel)
        pixels, y = mm / self.mm_per_pixel, 1.0 - (height - 40) / self._size[1]
        self._figure.add_artist(Line2D([EDGE / self._size[0], (EDGE + pixels) / self._size[0]], [y, y], color=INK,
                                       linewidth=2.5, solid_capstyle="butt"))
        self._text(EDGE, height - 18, text)

    def _colour_bar(self, label: str, bounds: tuple[float, float], width: int, height: int) -> None:
        from matplotlib.colors import ListedColormap

        low, high = bounds
        w, h = self._size
        long = 0.5 * width
        axes = self._figure.add_axes((1.0 - (EDGE + 12 + long) / w, 1.0 - (height - 36) / h, long / w, 12 / h))
        axes.imshow(np.linspace(0, 1, 256)[None], cmap=ListedColormap(self.colours), aspect="auto",
                    extent=(low, high, 0, 1))
        ticks = round_levels(low, high, 6)
        axes.set(yticks=[], xticks=[t for t in ticks if low - 1e-9 * (high - low) <= t <= high + 1e-9 * (high - low)])
        axes.tick_params(labelsize=8, length=3, colors=INK)
        axes.spines[:].set_visible(False)
        self._text(width - EDGE - 22 - long, height - 38, label, ha="right", va="center")


def _height(strips: Sequence[Strip], width: float) -> int:
    """Pixels that strips take on the paper."""
    return -(-len(strips) // strip_columns(len(strips), width - 2 * EDGE)) * (STRIP + LABEL) + TIMES if strips else 0


class _Strips:
    """Strips in a figure of matplotlib, their upper edge so many pixels below the figure's."""

    def __init__(self, figure: Any, strips: Sequence[Strip], top: int, size: tuple[int, int], span: tuple[float, float],
                 moments: int) -> None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        self._figure, self._marks = figure, list[list[Any]]()
        columns = strip_columns(len(strips), size[0] - 2 * EDGE)
        rows = -(-len(strips) // columns)
        wide, small = (size[0] - 2 * EDGE) / columns, 660 / DPI
        for k, strip in enumerate(strips):
            column, row = divmod(k, rows)
            axes = figure.add_axes(((EDGE + column * wide + NUMBERS) / size[0],
                                    1.0 - (top + (row + 1) * (LABEL + STRIP)) / size[1],
                                    (wide - NUMBERS - 10) / size[0], STRIP / size[1]))
            axes.plot(strip.time, strip.values, color=INK, linewidth=0.9)
            axes.set(xlim=span, ylim=strip.bounds)
            axes.set_title(strip.label, loc="left", pad=2, fontsize=small, fontweight="bold", color=INK)
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
            axes.xaxis.set_major_locator(MaxNLocator(max(2, int((wide - NUMBERS) // 75))))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda time, _: f"{time:g} ms"))
            axes.tick_params(labelsize=small, length=2, colors=INK,
                             labelbottom=row == rows - 1 or k == len(strips) - 1)
            axes.grid(color=FAINT, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            self._marks.append([axes.axvline(span[0], color=MARK, linewidth=1.2, animated=True, clip_on=False)
                                for _ in range(moments)])

    def mark(self, times: Sequence[float]) -> None:
        """Draw the time of each picture into every strip."""
        for marks in self._marks:
            for mark, time in zip(marks, times, strict=False):
                mark.set_xdata([time, time])
                self._figure.draw_artist(mark)
