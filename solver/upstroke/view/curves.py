"""Curves of a run: V along a path over time, probes over time, spikes of a population. Drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import OptionError, did_you_mean
from upstroke.output.fields import MM_PER_CM, UM_PER_CM
from upstroke.output.files import Made, whole_file
from upstroke.output.palette import FIRE, REGIONS, colours
from upstroke.view.look import Look, frames_of, label_of
from upstroke.view.paper import INK, require_matplotlib
from upstroke.view.recording import (
    UNITS,
    Floats,
    Recording,
    natural,
    read_manifest,
    read_probes,
    read_recording,
    read_spikes,
    title_of,
)

MOST = 2000             # moments of a plot over space and time
NAMED = 25              # sites of spikes whose names are written
BINS = 100              # of a rate
FEW = 10                # sites below which no rate is drawn


def space_time(folder: Path, path: Path, tip: str | None = None, look: Look | None = None) -> Made:
    """Write a PNG of a variable along the way from the start of a cable or neuron to a tip, over time.

    Arguments
    ---------
    tip : a section, whose end is meant; by default the farthest tip of the first cell

    Raises
    ------
    OptionError : no snapshots; a mesh that is no tree of cables; a section that there is not
    """
    look = look or Look()
    _require_png("--space-time", path)
    recording = read_recording(folder)
    if recording.mesh.dim != 1:
        raise OptionError("--space-time", f"the mesh of {folder} is no cable and no neuron", "take --film or --picture")
    variable = recording.variable(look.variable)
    frames, notes = frames_of(recording, look, MOST)
    nodes, distance = path_to(recording, tip)
    order = np.unique(nodes)
    values = np.array(list(recording.values(variable, frames, order)))[:, np.searchsorted(order, nodes)]
    micro = "diameter_um" in recording.data
    scale, unit = (UM_PER_CM, "um") if micro else (MM_PER_CM, "mm")
    figure = _figure(recording.title)
    axes = figure.subplots()
    low, high = look.bounds or (None, None)
    mesh = axes.pcolormesh(recording.times[frames], scale * distance, values.T, cmap=_colour_map(), vmin=low, vmax=high,
                           shading="nearest", rasterized=True)
    axes.set(xlabel="t (ms)", ylabel=f"distance from the start ({unit})")
    figure.colorbar(mesh, ax=axes, label=label_of(recording, variable), pad=0.02)
    if micro:
        _sections(axes, recording, nodes, scale * distance)
    _save(figure, path)
    return Made(path, notes)


def path_to(recording: Recording, tip: str | None) -> tuple[NDArray[np.int64], Floats]:
    """The nodes from where a cell starts to a tip, and how far along each is (cm)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components, dijkstra

    mesh = recording.mesh
    a, b = mesh.cells.T
    length = np.maximum(np.linalg.norm(mesh.points[a] - mesh.points[b], axis=1), 1e-12)
    graph = coo_array((length, (a, b)), shape=(mesh.n_points, mesh.n_points)).tocsr()
    _, cell = connected_components(graph, directed=False)
    end, mine = None, cell == cell[0]
    if tip is not None:
        names = [section.name for section in recording.sections]
        if tip not in names:
            raise OptionError("--tip", f"there is no section {tip!r}", did_you_mean(tip, names) if names else
                              "leave it out: the mesh is a cable without sections")
        segments = np.flatnonzero(recording.data["section"] == names.index(tip))
        if not len(segments):
            raise OptionError("--tip", f"section {tip!r} is not in the snapshots", "they hold some regions only")
        mine = cell == cell[b[segments[0]]]
        segments = segments[mine[b[segments]]]
        end = int(b[segments[-1]])
    degree = np.bincount(mesh.cells.ravel(), minlength=mesh.n_points)
    starts = np.setdiff1d(np.flatnonzero(mine), b)                # where nothing leads to
    start = int(starts[0]) if len(starts) else int(np.flatnonzero(mine & (degree == 1))[0])
    far, before = (rows[0] for rows in dijkstra(graph, directed=False, indices=[start], return_predecessors=True))
    node = end if end is not None else int(np.where(np.isfinite(far), far, -1.0).argmax())
    way = [node]
    while way[-1] != start:
        way.append(int(before[way[-1]]))
    nodes = np.array(way[::-1])
    return nodes, far[nodes]


def traces(folder: Path, path: Path, begin: float | None = None, end: float | None = None) -> Made:
    """Write a PNG of the probes over time: a panel for each variable, a curve for each probe. ms."""
    _require_png("--traces", path)
    time, probes = read_probes(folder)
    inside = _between(time, begin, end)
    variables = list(dict.fromkeys(name for probe in probes.values() for name in probe))
    figure = _figure(title_of(folder, read_manifest(folder)), height=1.2 + 2.6 * len(variables))
    panels = figure.subplots(len(variables), 1, sharex=True, squeeze=False)[:, 0]
    for axes, variable in zip(panels, variables, strict=True):
        for k, (name, values) in enumerate(probes.items()):
            if variable in values:
                axes.plot(time[inside], values[variable][inside], color=REGIONS[k % len(REGIONS)], linewidth=1.1,
                          label=name)
        unit = UNITS.get(variable, "")
        axes.set_ylabel(f"{variable} ({unit})" if unit else variable)
        _plain(axes)
    panels[-1].set(xlabel="t (ms)", xlim=(time[inside][0], time[inside][-1]))
    panels[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=min(len(probes), 6), frameon=False, fontsize=9,
                     borderaxespad=0.2)
    _save(figure, path)
    return Made(path)


def raster(folder: Path, path: Path, begin: float | None = None, end: float | None = None) -> Made:
    """Write a PNG of the spikes of all sites, a row each, with the rate of all above; ms."""
    _require_png("--raster", path)
    spikes = read_spikes(folder)
    if not any(len(times) for times in spikes.values()):
        raise OptionError(str(folder), "no site has spiked",
                          "lower watch.spikes.threshold, or give the cells more input")
    names = sorted(spikes, key=natural)
    everything = np.concatenate([spikes[name] for name in names])
    low, high = (0.0 if begin is None else begin), (float(everything.max()) * 1.02 if end is None else end)
    if not low < high or not ((everything >= low) & (everything <= high)).any():
        raise OptionError("--from, --to", f"there is no spike from {low:g} to {high:g} ms",
                          f"they go from {everything.min():.4g} to {everything.max():.4g} ms")
    group = {name: group_of(name) for name in names}
    groups = list(dict.fromkeys(group.values()))
    colour = {key: REGIONS[k % len(REGIONS)] for k, key in enumerate(groups)}
    many = len(names) >= FEW
    figure = _figure(title_of(folder, read_manifest(folder)), min(8.0, (3.6 if many else 2.0) + 0.1 * len(names)))
    axes = figure.subplots(1 + many, 1, sharex=True, squeeze=False, height_ratios=[1, 3][1 - many:])[-1, 0]
    if many:
        above = figure.axes[0]
        edges = np.linspace(low, high, BINS + 1)
        for key in groups:
            mine = [name for name in names if group[name] == key]
            count = np.histogram(np.concatenate([spikes[name] for name in mine]), edges)[0]
            rate = 1000.0 * count / (len(mine) * (edges[1] - edges[0]))
            above.stairs(rate, edges, color=colour[key], linewidth=1.2, label=f"{key} ({len(mine)})")
        above.set_ylabel("spikes/s\nper site")
        above.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=min(len(groups), 6), frameon=False, fontsize=9,
                     borderaxespad=0.2)
        _plain(above)
    axes.eventplot([spikes[name] for name in names], colors=[colour[group[name]] for name in names],
                   lineoffsets=range(len(names)), linelengths=max(0.8, len(names) / 150), linewidths=1.2)
    axes.set(xlabel="t (ms)", xlim=(low, high), ylim=(-0.7, len(names) - 0.3), ylabel="site")
    if len(names) <= NAMED:
        axes.set_yticks(range(len(names)), names)
        axes.set_ylabel("")
    _plain(axes)
    _save(figure, path)
    return Made(path)


def group_of(name: str) -> str:
    """What sites are coloured by: their name without its numbers, E of E[12].soma."""
    return name.split("[")[0].split(".")[0].rstrip("0123456789_ ") or name


# ------------------------------------------------------------------------------------------------------------- drawing
def _sections(axes: Any, recording: Recording, nodes: NDArray[np.int64], distance: Floats) -> None:
    """The names of the sections on the way, at the right, and thin lines where they meet."""
    of_node = np.full(recording.mesh.n_points, -1)
    of_node[recording.mesh.cells[:, 1]] = recording.data["section"]
    which = of_node[nodes]
    which[0] = which[1]
    begin = np.flatnonzero(np.append(True, np.diff(which) != 0))
    ends = distance[np.append(begin[1:] - 1, len(nodes) - 1)]
    starts = np.append(distance[0], ends[:-1])
    for start in starts[1:]:
        axes.axhline(start, color="white", linewidth=0.5, alpha=0.6)
    names = [recording.sections[which[k]].name if recording.sections else "" for k in begin]
    high = distance[-1]
    shown = [(0.5 * (a + b), name) for a, b, name in zip(starts, ends, names, strict=True) if b - a > 0.03 * high]
    right = axes.secondary_yaxis("right")
    right.set_yticks([place for place, _ in shown], [name for _, name in shown], fontsize=8)
    right.tick_params(length=0)


def _between(time: Floats, begin: float | None, end: float | None) -> NDArray[np.bool_]:
    low, high = (time[0] if begin is None else begin), (time[-1] if end is None else end)
    inside = np.asarray((time >= low) & (time <= high))
    if inside.sum() < 2:
        raise OptionError("--from, --to", f"there are not two rows from {low:g} to {high:g} ms",
                          f"they go from {time[0]:g} to {time[-1]:g} ms")
    return inside


def _require_png(option: str, path: Path) -> None:
    if path.suffix.lower() != ".png":
        raise OptionError(option, f"{path.name!r} is no .png", f"name it {option.strip('-').replace('-', '_')}.png")
    require_matplotlib(str(path))


def _figure(title: str, height: float = 4.6) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, height), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return figure


def _plain(axes: Any) -> None:
    axes.grid(color="#e8e8e8", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def _colour_map() -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap(colours(FIRE))


def _save(figure: Any, path: Path) -> None:
    with whole_file(path) as part:
        figure.savefig(part, format="png")
