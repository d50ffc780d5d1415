"""``activation.png``: the activation map with isochrones. The only file that imports pyvista or matplotlib.

Matplotlib sets the page: axes in mm, colour bar, title. Flat sheets and straight cables it draws alone, and neurons
with branches with the help of ``raster.py``. Solids and curved surfaces are drawn by PyVista as an image that is laid
into the page, in a process of its own: where the machine has no usable OpenGL library, VTK ends the process that asks
it to draw, and that must not be the run. There, Matplotlib draws the triangles, back to front.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upstroke.mesh.mesh import Mesh
from upstroke.output.fields import MM_PER_CM
from upstroke.output.files import whole_file
from upstroke.output.raster import Scene, rasterise
from upstroke.output.scene import Picture, View, isochrones, round_length
from upstroke.output.surface import neuron_of, surface_of

Renderer = Literal["auto", "pyvista", "matplotlib"]
BAR = "activation time (ms)"
GREY = "#c8c8c8"                 # never activated
INK = "#202020"
COLOURS = "viridis"              # perceptually uniform, and right for colour-blind eyes and grey print
DARKEST = 0.15                   # the map's darkest part is left out, so that black isochrones show everywhere
WIDTH = 1600                     # pixels, of the page
AMBIENT = 0.85                   # share of light that does not depend on where a surface looks
PATIENCE = 300                   # seconds for PyVista to draw
INSTALL = 'pip install "upstroke[view]"'
INSTALL_GL = "for PyVista's picture install an OpenGL library: apt install libegl1 libgl1-mesa-dri"


class Drawn(NamedTuple):
    """Who drew the picture ("pyvista", "matplotlib", or "" for nobody) and what the user should know of it."""

    renderer: str
    note: str


def draw_activation(mesh: Mesh, times: ArrayLike, path: Path, title: str = "", renderer: Renderer = "auto") -> Drawn:
    """Draw the activation map into a PNG file.

    Arguments
    ---------
    times : (n,), ms; NaN where a node was never activated, which is drawn in grey
    renderer : who draws; "auto" takes the best there is

    Raises
    ------
    OutputError where the file cannot be written
    """
    if not find_spec("matplotlib"):
        return Drawn("", f"activation.png was not drawn: matplotlib is not installed; {INSTALL}")
    cells = surface_of(mesh) if mesh.dim > 1 else mesh.cells
    strands = mesh.purkinje.lines if mesh.purkinje is not None else np.empty((0, 2), np.int32)
    used, number = np.unique(np.concatenate([cells.ravel(), strands.ravel()]), return_inverse=True)
    renumbered = number.astype(np.int32)
    picture = Picture(mesh.points[used] * MM_PER_CM, renumbered[:cells.size].reshape(cells.shape),
                      np.asarray(times, np.float64)[used], title, renumbered[cells.size:].reshape(-1, 2))
    figure = _page()
    if mesh.tree is not None and not picture.straight:
        _neuron(figure, neuron_of(mesh), np.asarray(times, np.float64), title)
        drawn = Drawn("matplotlib", "")
    else:
        drawn = _fill(figure, picture, renderer)
    with whole_file(path) as part:
        figure.savefig(part, format="png", bbox_inches="tight", pad_inches=0.15)
    return drawn


def _fill(figure: Any, picture: Picture, renderer: Renderer) -> Drawn:
    """Draw on the page as befits the mesh."""
    if picture.straight:
        _chart(figure, picture)
        return Drawn("matplotlib", "")
    if picture.flat and picture.cells.shape[1] == 3 and renderer != "pyvista":
        _sheet(figure, picture)
        return Drawn("matplotlib", "")
    view = View.of(picture)
    image, reason = (None, "") if renderer == "matplotlib" else _image_by_pyvista(picture, view)
    _solid(figure, picture, view, image)
    if image is not None:
        return Drawn("pyvista", "")
    return Drawn("matplotlib", f"activation.png was drawn by matplotlib alone, as {reason}" if reason else "")


# ------------------------------------------------------------------------------------------------- the page
def _page() -> Any:
    """A white page without a window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 200, 0.75 * WIDTH / 200), dpi=200, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _chart(figure: Any, picture: Picture) -> None:
    """Activation time along a cable."""
    axis = int(picture.extent.argmax())
    order = np.argsort(picture.points[:, axis])
    x, t = picture.points[order, axis], picture.times[order]
    axes = figure.subplots()
    axes.plot(x, t, color=INK, linewidth=1.5)
    silent = ~np.isfinite(t)
    axes.fill_between(x, 0, 1, where=silent, transform=axes.get_xaxis_transform(), color=GREY, linewidth=0)
    axes.set(xlabel=f"{'xyz'[axis]} (mm)", ylabel=BAR, xlim=(x[0], x[-1]))
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    _head(axes, picture, silent)


def _neuron(figure: Any, scene: Scene, times: NDArray[np.float64], title: str) -> None:
    """The cells with their diameters, coloured by when each place was first activated."""
    view = View.upright(scene.points).with_room(0.25, float(scene.radius.max()))
    picture = Picture(scene.points, scene.rods, times, title)
    levels, wide = picture.levels, view.half[0] >= view.half[1]
    width = WIDTH // 2 if wide else round(WIDTH / 2 * view.half[0] / view.half[1])
    raster = rasterise(scene, view, width, round(width * view.half[1] / view.half[0]))
    axes = figure.subplots()
    axes.set(aspect="equal", frame_on=False, xticks=[], yticks=[])
    axes.imshow(raster.image(times, levels[0], levels[-1], _colour_map()(np.linspace(0, 1, 256))[:, :3]),
                extent=view.frame, interpolation="antialiased")
    length_bar(axes, view)
    _bar(figure, axes, levels, "horizontal" if wide else "vertical")
    _head(axes, picture, picture.silent)


def length_bar(axes: Any, view: View) -> None:
    """A bar of a round length below the lower left corner of what axes in mm show."""
    left, right, bottom, top = view.frame
    mm, text = round_length(0.25 * (right - left))
    below = bottom - 0.03 * max(right - left, top - bottom)
    axes.plot([left, left + mm], [below, below], color=INK, linewidth=2.5, solid_capstyle="butt", clip_on=False)
    axes.annotate(text, (left, below), (0, -5), textcoords="offset points", va="top", color=INK, annotation_clip=False)


def _sheet(figure: Any, picture: Picture) -> None:
    """A flat sheet from above."""
    across = int(picture.extent.argmin())
    u, v = (a for a in range(3) if a != across)
    x, y = picture.points[:, u], picture.points[:, v]
    axes = figure.subplots()
    levels, silent = picture.levels, picture.silent
    if silent.any():
        axes.tripcolor(x, y, picture.cells[silent], facecolors=np.zeros(silent.sum()), cmap=_one_colour(GREY))
    if not silent.all():
        times = np.nan_to_num(picture.times, nan=levels[0])
        axes.tripcolor(x, y, picture.cells[~silent], times, shading="gouraud", cmap=_colour_map(), vmin=levels[0],
                       vmax=levels[-1], rasterized=True)
        pieces, _ = isochrones(picture)
        _lines(axes, pieces[:, :, (u, v)])
        _bar(figure, axes, levels, "vertical" if picture.extent[v] > picture.extent[u] else "horizontal")
    axes.set(xlabel=f"{'xyz'[u]} (mm)", ylabel=f"{'xyz'[v]} (mm)", aspect="equal", xlim=(x.min(), x.max()),
             ylim=(y.min(), y.max()))
    _head(axes, picture, silent)


def _solid(figure: Any, picture: Picture, view: View, image: NDArray[Any] | None) -> None:
    """A surface (or a net of cables) in space: PyVista's image where there is one, else triangles."""
    axes = figure.subplots()
    axes.set(aspect="equal", frame_on=False, xticks=[], yticks=[])
    if image is not None:
        axes.imshow(image, extent=view.frame, interpolation="antialiased")
    else:
        _triangles(axes, picture, view)
    _strands(axes, picture, view)
    _edges(axes, picture, view)
    if not picture.silent.all():
        tall = view.half[1] > view.half[0]
        _bar(figure, axes, picture.levels, "vertical" if tall else "horizontal")
    _head(axes, picture, picture.silent)


def _triangles(axes: Any, picture: Picture, view: View) -> None:
    """All cells, back to front, and the isochrones on those that face the viewer."""
    from matplotlib.collections import LineCollection, PolyCollection

    levels, corners = picture.levels, picture.points[picture.cells]
    colours = _colour_map()(np.nan_to_num((picture.times[picture.cells].mean(axis=1) - levels[0])
                                          / (levels[-1] - levels[0])))
    colours[picture.silent] = _one_colour(GREY)(0)
    order = np.argsort(corners.mean(axis=1) @ view.toward)
    if picture.cells.shape[1] == 2:
        axes.add_collection(LineCollection(list(view.page(corners[order])), colors=colours[order], linewidths=1.5))
        axes.autoscale()
        return
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    cosine = (normal @ view.toward) / np.maximum(np.linalg.norm(normal, axis=1), 1e-300)
    colours[:, :3] *= (AMBIENT + (1 - AMBIENT) * np.abs(cosine))[:, None]
    axes.add_collection(PolyCollection(list(view.page(corners[order])), facecolors=colours[order],
                                       edgecolors=colours[order], linewidths=0.3, antialiased=True))
    pieces, owners = isochrones(picture)
    _lines(axes, view.page(pieces[cosine[owners] > 0]))
    axes.autoscale()


def _strands(axes: Any, picture: Picture, view: View) -> None:
    """Purkinje strands, as if the tissue were glass: lines with a dark border, coloured by their activation."""
    from matplotlib.collections import LineCollection

    if not len(picture.strands):
        return
    levels, ends = picture.levels, picture.points[picture.strands]
    order = np.argsort(ends.mean(axis=1) @ view.toward)
    times = picture.times[picture.strands[order]].mean(axis=1)
    colours = _colour_map()((times - levels[0]) / (levels[-1] - levels[0]))
    colours[np.isnan(times)] = _one_colour(GREY)(0)
    lines = list(view.page(ends[order]))
    axes.add_collection(LineCollection(lines, colors=INK, linewidths=2.6, capstyle="round"))
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=1.6, capstyle="round"))
    axes.autoscale()


def _edges(axes: Any, picture: Picture, view: View) -> None:
    """The three edges of the bounding box that are outlines from where the viewer stands, as axes in mm."""
    from matplotlib.ticker import MaxNLocator

    low, high = picture.points.min(axis=0), picture.points.max(axis=0)
    middle, size = view.page((low + high) / 2), 2 * view.half.max()
    for axis in range(3):
        if picture.extent[axis] <= 1e-6 * picture.extent.max():
            continue
        start = low.copy()
        if axis == 1 and not picture.flat:
            start[0] = high[0]
        end = start.copy()
        end[axis] = high[axis]
        a, b = view.page(start), view.page(end)
        length, (dx, dy) = float(np.linalg.norm(b - a)), b - a
        outward = np.array([dy, -dx]) / length
        outward *= np.sign(outward @ ((a + b) / 2 - middle))
        shift, tick = 0.02 * size * outward, 0.012 * size * outward
        line = {"color": INK, "linewidth": 0.8, "solid_capstyle": "butt", "clip_on": False}
        axes.plot(*np.transpose([a + shift, b + shift]), **line)
        reach = 0.0
        for value in MaxNLocator(int(np.clip(20 * length / size, 1, 10)), steps=[1, 2, 5, 10]).tick_values(
                low[axis], high[axis]):
            part = (value - low[axis]) / picture.extent[axis]
            if -1e-9 <= part <= 1 + 1e-9:
                at, label = a + part * (b - a) + shift, f"{value:.6g}"
                axes.plot(*np.transpose([at, at + tick]), **line)
                half = float(np.abs(outward) @ [2.9 * len(label), 5.0])   # of a label in 9 points type
                _label(axes, at + tick, label, 3.0 + half, outward, fontsize=9)
                reach = max(reach, 3.0 + 2 * half)
        angle = (np.degrees(np.arctan2(dy, dx)) + 89.9) % 180 - 89.9   # reads from left to right, or upwards
        _label(axes, (a + b) / 2 + shift + tick, f"{'xyz'[axis]} (mm)", reach + 8.0, outward, rotation=angle)


def _label(axes: Any, place: NDArray[np.float64], text: str, away: float, outward: NDArray[np.float64],
           **style: Any) -> None:
    """A text centred ``away`` points outward from a place."""
    axes.annotate(text, place, away * outward, textcoords="offset points", ha="center", va="center", color=INK,
                  annotation_clip=False, **style)


def _bar(figure: Any, axes: Any, levels: NDArray[np.float64], orientation: str) -> None:
    """The colour bar, with a line and a label at every isochrone."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = ScalarMappable(Normalize(levels[0], levels[-1]), _colour_map())
    form = {"aspect": 30, "pad": 0.04} if orientation == "vertical" else {"shrink": 0.7, "aspect": 40, "pad": 0.04}
    bar = figure.colorbar(colours, ax=axes, orientation=orientation, label=BAR, ticks=levels, **form)
    for level in levels[1:-1]:
        (bar.ax.axhline if orientation == "vertical" else bar.ax.axvline)(level, color="black", linewidth=0.7)
    bar.outline.set_linewidth(0.6)


def _head(axes: Any, picture: Picture, silent: NDArray[np.bool_]) -> None:
    """The title, and what grey means where there is some."""
    from matplotlib.patches import Patch

    axes.set_title(picture.title, loc="left" if silent.any() else "center")
    if silent.any():
        axes.legend(handles=[Patch(color=GREY, label="not activated")], loc="lower right", bbox_to_anchor=(1, 1),
                    frameon=False, borderaxespad=0.3)


def _lines(axes: Any, pieces: NDArray[np.float64]) -> None:
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(list(pieces), colors="black", linewidths=0.8, capstyle="round"))


def _colour_map() -> Any:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps[COLOURS](np.linspace(DARKEST, 1.0, 256)))


def _one_colour(colour: str) -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])


# --------------------------------------------------------------------------------------------------- PyVista
def _image_by_pyvista(picture: Picture, view: View) -> tuple[NDArray[Any] | None, str]:
    """The scene drawn by PyVista in a process of its own, or None and the reason with its remedy."""
    if not find_spec("pyvista"):
        return None, f"PyVista is not installed; {INSTALL}"
    from matplotlib.image import imread

    with tempfile.TemporaryDirectory() as folder:
        scene, image = Path(folder) / "scene.npz", Path(folder) / "scene.png"
        np.savez(scene, points=picture.points, cells=picture.cells, times=picture.times)
        try:
            done = subprocess.run([sys.executable, "-m", __name__, str(scene), str(image)], capture_output=True,
                                  timeout=PATIENCE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
        except subprocess.TimeoutExpired:
            return None, f"PyVista took more than {PATIENCE} s; {INSTALL_GL}"
        if done.returncode == 0 and image.is_file():
            return imread(image), ""
    return None, f"PyVista cannot draw on this machine; {INSTALL_GL}"


def _pyvista(picture: Picture, view: View, path: Path) -> None:
    """The scene on a transparent ground, framed exactly as `View` says."""
    import pyvista

    levels, silent = picture.levels, picture.silent
    size = [max(round(1.5 * WIDTH * half), 100) for half in view.half / view.half.max()]
    plotter = pyvista.Plotter(off_screen=True, window_size=size, lighting="none")
    plotter.add_light(pyvista.Light(light_type="headlight"))
    look: dict[str, Any] = {"ambient": AMBIENT, "diffuse": 1 - AMBIENT, "specular": 0.0, "line_width": 16}
    if silent.any():
        plotter.add_mesh(_poly_data(picture, silent), color=GREY, **look)
    if not silent.all():
        plotter.add_mesh(_poly_data(picture, ~silent), scalars="activation", cmap=_colour_map(),
                         clim=(levels[0], levels[-1]), show_scalar_bar=False, interpolate_before_map=True, **look)
    if picture.cells.shape[1] == 3:
        pieces, _ = isochrones(picture)
        _add_lines(plotter, pieces, view, 8.0)
        sharp = _poly_data(picture, np.ones(len(picture.cells), bool)).extract_feature_edges(
            60.0, boundary_edges=False, non_manifold_edges=False, manifold_edges=False)
        _add_lines(plotter, sharp.points[sharp.lines.reshape(-1, 3)[:, 1:]], view, 3.0)
    distance = 10.0 * float(np.linalg.norm(picture.extent))
    plotter.camera_position = [view.centre + distance * view.toward, view.centre, view.up]
    plotter.camera.parallel_projection = True
    plotter.camera.parallel_scale = view.half[1] if size[1] > 100 else 100 / size[0] * view.half[0]
    plotter.reset_camera_clipping_range()
    plotter.enable_anti_aliasing("ssaa")
    plotter.screenshot(str(path), transparent_background=True)


def _add_lines(plotter: Any, pieces: NDArray[np.float64], view: View, width: float) -> None:
    """Black line pieces (s, 2, 3), a little in front of the surface that they lie on."""
    import pyvista

    if len(pieces):
        points = pieces.reshape(-1, 3) + 2e-3 * view.half.max() * view.toward
        lines = _with_counts(np.arange(len(points)).reshape(-1, 2))
        plotter.add_mesh(pyvista.PolyData(points, lines=lines), color="black", line_width=width, lighting=False)


def _poly_data(picture: Picture, keep: NDArray[np.bool_]) -> Any:
    import pyvista

    cells = _with_counts(picture.cells[keep])
    data = (pyvista.PolyData(picture.points, faces=cells) if picture.cells.shape[1] == 3
            else pyvista.PolyData(picture.points, lines=cells))
    data.point_data["activation"] = picture.times
    return data


def _with_counts(cells: NDArray[Any]) -> NDArray[np.int64]:
    """VTK's list of cells: the number of nodes before the nodes of each."""
    return np.column_stack([np.full(len(cells), cells.shape[1]), cells]).astype(np.int64).ravel()


if __name__ == "__main__":
    with np.load(sys.argv[1]) as scene:
        picture = Picture(scene["points"], scene["cells"], scene["times"], "")
    _pyvista(picture, View.of(picture), Path(sys.argv[2]))
