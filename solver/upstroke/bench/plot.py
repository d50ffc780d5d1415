"""``upstroke bench --plot``: a picture of a run, drawn from what it left in its directory. Needs matplotlib.

    restitution.csv         APD90 over the rest before it, its slope, and where capture is lost
    curves.csv, iv.csv      gates and a current over voltage
    features.csv            of many cells: what was measured of them, and which were kept
    trace.csv, trace.npy    V over the run; of the last beat V, Iion, the largest currents, and calcium
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.features import CALCIUM, FEATURES, calibrate, parse_keep
from upstroke.bench.folder import must_be_writable
from upstroke.bench.options import OPTIONS, Options
from upstroke.bench.traces import LEAD, Floats, Trace, read_table, read_traces
from upstroke.errors import OptionError
from upstroke.output.files import whole_file

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0478c", "#c28a00", "#2c9fd6", "#555b61")    # as those of the page
INK, GREY = "#202020", "#b9bec4"
ENDINGS = (".png", ".pdf", ".svg")
BINS = 40
LARGEST = 6             # currents that are drawn
UPSTROKE = 5.0          # ms after which currents are no longer those of the upstroke


def check_plot(options: Options) -> None:
    """Whether ``--plot`` can be done, told before the work.

    Raises
    ------
    OptionError : no such format; matplotlib is not installed
    OutputError : the file cannot be written
    """
    picture: Path = options["plot"]
    if picture.suffix not in ENDINGS:
        raise OptionError("--plot", f"{picture} is of no format that can be drawn",
                          f"give a name that ends in {', '.join(ENDINGS)}")
    if not find_spec("matplotlib"):
        raise OptionError("--plot", "matplotlib is not installed", 'pip install "upstroke[view]"')
    if not _alone(options):
        must_be_writable(picture)


def plot(options: Options, folder: Path, calcium: str = "") -> Path:
    """Draw what a run left in its directory; the picture.

    Arguments
    ---------
    calcium : the state that is cytosolic calcium, if there is one

    Raises
    ------
    OptionError : cells of which nothing differs
    OutputError : the file cannot be written
    """
    picture = folder / options["plot"] if _alone(options) else options["plot"]
    model = json.loads((folder / "run.json").read_text(encoding="utf-8"))["case"]["model"]
    tables = {name: read_table(path) for name in ("restitution", "curves", "iv")
              if (path := folder / f"{name}.csv").is_file()}
    many = options["features"] or folder / "features.csv"
    if "restitution" in tables:
        figure = draw_restitution(tables["restitution"])
    elif tables:
        figure = draw_curves(tables.get("curves", {}), tables.get("iv", {}), options["iv"] or "")
    elif model["cells"] > 1 and many.is_file():
        table = _parquet(many) if many.suffix == ".parquet" else read_table(many)
        kept = calibrate(table, parse_keep(options["keep"])).accepted if options.given("keep") else None
        figure = draw_population(table, kept)
    else:
        figure = draw_trace(read_traces(folder)[0], calcium)
    figure.suptitle(_title(model, options), fontsize=9, color=INK, x=0.01, ha="left")
    with whole_file(picture) as part:
        figure.savefig(part, format=picture.suffix[1:])
    return picture


def _alone(options: Options) -> bool:
    """Whether ``--plot`` stands without a name; the picture then lies with the results."""
    return options["plot"] is OPTIONS["plot"].bare


# ---------------------------------------------------------------------------------------------------------- the kinds
def draw_trace(trace: Trace, calcium: str = "") -> Any:
    """V over the run; of its last beat V, Iion, the largest currents, calcium (without beats, of the whole run)."""
    t, V, beats = trace.time, trace.values["V"], trace.beats
    begin = beats[-1] if len(beats) else t[0]
    rows = t >= begin
    last = {name: column[rows] for name, column in trace.values.items()}
    shown = {"V": ["V"], "Iion": ["Iion"], "largest currents": _largest(last, trace), calcium: [calcium]}
    panels = {title: names for title, names in shown.items() if names and names[0] in last}
    mosaic = [list(panels)[k:k + 2] for k in range(0, len(panels), 2)]
    whole = [["run", "run"]] if len(beats) > 1 else []
    figure, axes = _figure([*whole, *(row * (3 - len(row)) for row in mosaic)], 2.2)      # one alone takes a row
    if whole:
        axes["run"].plot(t, V, color=INK, linewidth=0.8)
        axes["run"].axvspan(begin, t[-1], color=COLOURS[0], alpha=0.12, linewidth=0)
        axes["run"].set(xlabel="time (ms)", ylabel="V (mV)", xlim=(t[0], t[-1]))
    zero = begin + LEAD if len(beats) else 0.0
    time = t[rows] - zero
    for title, names in panels.items():
        axis, unit, flows = axes[title], trace.units[names[0]], trace.kinds[names[0]] == "current"
        for name, colour in zip(names, COLOURS if len(names) > 1 else (INK,), strict=False):
            peak = last[name][np.nanargmax(np.abs(last[name]))]
            axis.plot(time, last[name], color=colour, linewidth=1.2, label=f"{name} (peak {peak:.3g})")
        axis.set(xlabel="time after the upstroke (ms)" if len(beats) else "time (ms)", xlim=(time[0], time[-1]),
                 ylabel=f"{title} ({unit})" if unit else title)
        if flows:
            axis.legend(fontsize=6, frameon=False, ncols=2 if len(names) > 3 else 1)
            if len(beats):
                _cut(axis, np.concatenate([last[name][time > UPSTROKE] for name in names]))
    return figure


def draw_restitution(table: Mapping[str, Floats]) -> Any:
    """APD90 over the diastolic interval with its slope, and over the interval with the beats that were lost."""
    figure, axes = _figure([["DI", "interval"], ["slope", "interval"]], 3.2, (2.5, 1.0))
    got = table["captured"] > 0
    order = np.argsort(table["DI"][got])
    DI, APD, slope = (table[name][got][order] for name in ("DI", "APD90", "slope"))
    axes["DI"].plot(DI, APD, "o-", color=COLOURS[0], markersize=3, linewidth=1.2)
    axes["DI"].set(xlabel="DI (ms)", ylabel="APD90 (ms)")
    axes["slope"].plot(DI, slope, "o-", color=COLOURS[0], markersize=2, linewidth=1)
    axes["slope"].axhline(1, color=GREY, linestyle="--", linewidth=1)
    axes["slope"].set(xlabel="DI (ms)", ylabel="slope", xlim=axes["DI"].get_xlim(),
                      ylim=(-1, 1.2 * np.nanmax(slope, initial=1)))                  # supernormal beats fall steeply
    if np.isfinite(slope).any():
        k = int(np.nanargmax(slope))
        reach = 0.06 * np.ptp(DI)
        axes["DI"].plot(DI[k] + np.array([-reach, reach]), APD[k] + slope[k] * np.array([-reach, reach]),
                        color=COLOURS[1], linewidth=2.5, label=f"steepest slope {slope[k]:.3g} at DI {DI[k]:.4g} ms")
        axes["DI"].legend(fontsize=7, frameon=False, loc="lower right")
        axes["slope"].plot(DI[k], slope[k], "o", color=COLOURS[1], markersize=5)
    interval = axes["interval"]
    interval.plot(table["interval"][got], table["APD90"][got], "o", color=COLOURS[0], markersize=3, label="captured")
    lost = table["interval"][~got]
    if len(lost):
        interval.plot(lost, np.zeros(len(lost)), "x", color=COLOURS[1], markersize=6, clip_on=False, zorder=3,
                      transform=interval.get_xaxis_transform(), label="capture lost")
    interval.legend(fontsize=7, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.05))
    interval.set(xlabel="interval (ms)", ylabel="APD90 (ms)")
    return figure


def draw_curves(gates: Mapping[str, Floats], iv: Mapping[str, Floats], clamp: str = "") -> Any:
    """Steady state and time constant of gates over V; peak and final current over the voltage of a clamp."""
    figure, axes = _figure([*([["inf", "tau"]] if gates else []), *([["iv", "iv"]] if iv else [])], 3.2)
    names = [column.removesuffix("_inf") for column in gates if column.endswith("_inf")]
    for k, name in enumerate(names):
        look = {"color": COLOURS[k % len(COLOURS)], "linestyle": ("-", "--", ":")[k // len(COLOURS) % 3],
                "linewidth": 1.5, "label": name}
        axes["inf"].plot(gates["V"], gates[f"{name}_inf"], **look)
        axes["tau"].plot(gates["V"], np.where(np.isfinite(gates[f"tau_{name}"]), gates[f"tau_{name}"], np.nan), **look)
    if gates:
        axes["inf"].set(xlabel="V (mV)", ylabel="steady state")
        axes["tau"].set(xlabel="V (mV)", ylabel="time constant (ms)", yscale="log")
        axes["inf"].legend(fontsize=7, frameon=False)
    if iv:
        axis, current = axes["iv"], clamp.partition(":")[0].strip()
        axis.axhline(0, color=GREY, linewidth=1)
        axis.plot(iv["V"], iv["peak"], "o-", color=COLOURS[0], markersize=4, label="peak")
        axis.plot(iv["V"], iv["steady"], "s--", color=COLOURS[1], markersize=3.5, label="at the end of the step")
        axis.set(xlabel="V (mV)", ylabel=current or "current")
        axis.legend(fontsize=7, frameon=False)
    return figure


def draw_population(table: Mapping[str, NDArray[Any]], accepted: NDArray[np.bool_] | None = None) -> Any:
    """A histogram of each feature that differs between cells; of those that were kept, in colour.

    Raises
    ------
    OptionError : no feature differs
    """
    known = {name: unit for name, (unit, _) in {**FEATURES, **CALCIUM}.items()}
    shown = {name: table[name] for name in known if name in table and np.unique(
        table[name][np.isfinite(table[name])]).size > 1}
    if not shown:
        raise OptionError("--plot", "no feature differs between the cells", "vary something, or leave it out")
    columns = min(4, len(shown))
    names = list(shown) + ["."] * (-len(shown) % columns)
    figure, axes = _figure([names[k:k + columns] for k in range(0, len(names), columns)], 1.9)
    for name, values in shown.items():
        axis, there = axes[name], np.isfinite(values)
        edges = np.histogram_bin_edges(values[there], min(BINS, max(5, int(2 * np.sqrt(there.sum())))))
        axis.hist(values[there], edges, color=GREY if accepted is not None else COLOURS[0], label="all cells")
        if accepted is not None:
            axis.hist(values[there & accepted], edges, color=COLOURS[0], label="kept")
        axis.set_xlabel(f"{name} ({known[name]})" if known[name] else name)
        axis.locator_params(axis="x", nbins=4)
    axes[names[0]].set_ylabel("cells")
    if accepted is not None:
        figure.legend(*axes[names[0]].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=7,
                      frameon=False)
    return figure


# ------------------------------------------------------------------------------------------------------------- helpers
def _figure(mosaic: list[list[str]], height: float, ratios: tuple[float, ...] | None = None) -> tuple[Any, Any]:
    """A white page 8 inches wide without a window, with so many inches for each row; its axes by name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(8, 0.5 + height * len(mosaic)), dpi=200, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic(mosaic, height_ratios=ratios)
    for axis in axes.values():
        axis.grid(color="#e8e8e8", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7)
        axis.xaxis.label.set_size(8)
        axis.yaxis.label.set_size(8)
    return figure, axes


def _largest(values: Mapping[str, Floats], trace: Trace) -> list[str]:
    """Currents of the commonest unit: those that carry most charge, and the one that is largest at any time."""
    flows = [n for n, v in values.items() if trace.kinds[n] == "current" and n != "Iion" and np.isfinite(v).any()]
    units = [trace.units[name] for name in flows]
    flows = [name for name in flows if trace.units[name] == max(units, key=units.count)]

    def by(size: Callable[[Floats], Any]) -> list[str]:
        return sorted(flows, key=lambda name: -size(np.abs(values[name])))

    return list(dict.fromkeys([*by(np.nanmean)[:LARGEST], *by(np.nanmax)[:1]]))


def _cut(axis: Any, values: Floats) -> None:
    """Heights that leave out the spikes of the upstroke, whose peaks the legend tells."""
    values = values[np.isfinite(values)]
    if len(values) and np.ptp(values) > 0:
        room = 0.15 * np.ptp(values)
        low, high = axis.get_ylim()
        axis.set_ylim(max(low, values.min() - room), min(high, values.max() + room))


def _title(model: Mapping[str, Any], options: Options) -> str:
    """The model and what was made of it."""
    asked = [options[name] for name in ("imp-par", "plug-in", "plug-par", "block", "vary")]
    words = [model["name"], *model["flags"].values(), *(x if isinstance(x, str) else ":".join(x) for x in asked if x)]
    text = ", ".join(words) + (f"; {model['cells']} cells" if model["cells"] > 1 else "")
    return text if len(text) < 120 else text[:117] + "..."


def _parquet(path: Path) -> dict[str, Floats]:
    table = import_module("pyarrow.parquet").read_table(path)
    return {name: np.array(table[name].to_numpy(), float) for name in table.column_names}
