"""``upstroke check CASE --draw cell.png``: the neurons of a case by region, with the sites of their inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.case import Case
from upstroke.errors import OptionError
from upstroke.mesh import build_mesh
from upstroke.mesh.mesh import Mesh
from upstroke.output.fields import MM_PER_CM
from upstroke.output.files import Made, whole_file
from upstroke.output.palette import REGIONS
from upstroke.output.raster import rasterise
from upstroke.output.render import length_bar
from upstroke.output.scene import View
from upstroke.output.surface import neuron_of
from upstroke.protocol import place_conductances
from upstroke.view.paper import require_matplotlib

WIDTH = 850             # pixels of the longer side
TONES = ("#8d99a6", "#c9a227", "#7fa98e", "#b58ba5", "#6f86b0", "#b9835a", "#5f6b75", "#a3b8c2")     # of regions
MARKS = ("o", "^", "s", "D", "v", "P", "X", "*")                                                      # of inputs


def draw_cell(case: Case, path: Path) -> Made:
    """Write a PNG of the neurons of a case: regions by colour, a bar for length, inputs by marks.

    Raises
    ------
    OptionError : the mesh is no neuron; not a .png
    BackendError : matplotlib is missing
    """
    if path.suffix.lower() != ".png":
        raise OptionError("--draw", f"{path.name!r} is no .png", "name it cell.png")
    require_matplotlib(str(path))
    mesh = build_mesh(case.mesh, case.cable)
    if mesh.tree is None:
        raise OptionError("--draw", f"draws neurons, and the mesh of this case is a {case.mesh.kind}",
                          "run the case: activation.png and `upstroke view` show tissue")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    view = View.upright(mesh.points * MM_PER_CM)
    figure = Figure(figsize=(9.0, 9.0 * float(np.clip(view.half[1] / view.half[0], 0.3, 1.2)) + 0.6), dpi=110,
                    facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(aspect="equal", frame_on=False, xticks=[], yticks=[])
    axes.set_title(case.title, loc="left", fontweight="bold")
    view = _draw_regions(axes, mesh)
    _draw_inputs(axes, case, mesh, view)
    length_bar(axes, view)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    with whole_file(path) as part:
        figure.savefig(part, format="png", bbox_inches="tight", pad_inches=0.15)
    return Made(path)


def _draw_regions(axes: Any, mesh: Mesh) -> View:
    scene = neuron_of(mesh)
    view = View.upright(scene.points).with_room(0.25, float(scene.radius.max()))
    width, height = np.round(WIDTH * view.half / view.half.max()).astype(int)
    tags, which = np.unique(mesh.region, return_inverse=True)
    names = {tag: name for name, tag in mesh.region_names.items()}
    apart = replace(scene, points=scene.points[scene.rods].reshape(-1, 3),       # each segment has a colour of its own
                    rods=np.arange(2 * len(scene.rods), dtype=np.int32).reshape(-1, 2))
    tones = [TONES[k % len(TONES)] for k in range(len(tags))]
    table = np.array([[int(tone[k:k + 2], 16) for k in (1, 3, 5)] for tone in tones]) / 255.0
    raster = rasterise(apart, view, int(width), int(height))
    image = raster.image(np.repeat(which, 2).astype(float), -0.5, len(tags) - 0.5, table)
    axes.imshow(image, extent=view.frame, interpolation="antialiased")
    for tag, tone in zip(tags, tones, strict=True):
        axes.scatter([], [], s=90, marker="s", color=tone, label=names.get(tag, f"region {tag}"))
    return view


def _draw_inputs(axes: Any, case: Case, mesh: Mesh, view: View) -> None:
    assert mesh.tree is not None
    placed = place_conductances(case, mesh)
    sites: list[tuple[str, NDArray[np.int64]]] = [
        (f"{s.name or f'stimulus {k + 1}'}: current", mesh.tree.compartments_at(s.site, f"stimulus.{k}.site"))
        for k, s in enumerate(case.stimulus) if s.site is not None]
    sites += [("voltage clamp", np.array([clamp.node])) for clamp in placed.clamps]
    sites += [(f"{s.name} ({len(s.nodes):,})", s.nodes) for s in placed.synapses]
    for k, (name, nodes) in enumerate(sites):
        x, y = view.page(mesh.points[np.unique(nodes)] * MM_PER_CM).T
        axes.scatter(x, y, s=22, marker=MARKS[k % len(MARKS)], color=REGIONS[k % len(REGIONS)], edgecolor="white",
                     linewidth=0.4, zorder=3, label=name)
