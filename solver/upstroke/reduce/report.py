"""What is said of a reduced cell: text, a table of impedances, a page with pictures."""

from __future__ import annotations

import cmath
import csv
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from upstroke.output.files import whole_file
from upstroke.reduce.activity import COUNT, DRIVE, LASTS, RATE, Activity
from upstroke.reduce.compare import COPIES, Comparison
from upstroke.reduce.fit import FREQUENCIES, HZ

PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{name}: reduced beside full</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 76em; padding: 0 1em }}
pre {{ font-size: 13px; overflow-x: auto }} figure {{ margin: 0 }} svg {{ max-width: 100%; height: auto }}</style>
<h1>{name}: reduced beside full</h1>
<pre>{report}</pre>
<p>Grey: the full cell. In colour: the reduced one.</p>
{pictures}
</html>
"""


def text(c: Comparison, what: str, notes: Sequence[str]) -> str:
    """The report."""
    (full, reduced), here = c.impedance, c.names[0]
    lines = [what, "", *_rows("", ["full", "reduced"], {
        "compartments": [*c.compartments, math.nan],
        "slowest time constant, ms": _pair(*c.time_constant),
        f"rest at {here}, mV": [c.rest[0][0], c.rest[1][0], math.nan]}), ""]
    into = {name: [x for Z in (full, reduced) for x in (1e-3 * Z[0, k, k].real, (Z[0, 0, k] / Z[0, k, k]).real,
                                                        (Z[0, k, 0] / Z[0, 0, 0]).real)]
            for k, name in enumerate(c.names)}
    lines += [f"steady: input resistance (MOhm); attenuation from the place to {here}, and back",
              *_rows("", ["R full", "reduced", "", "to full", "reduced", "", "back full", "reduced"],
                     {name: [x for k in range(3) for x in _pair(v[k], v[k + 3])] for name, v in into.items()}), ""]
    lines += ["impedance between all places: largest difference of that at 0 Hz, of itself, and mean of the latter",
              *(f"{f / HZ:>6.3g} Hz{100 * a.max():>10.2f} %{100 * b.max():>10.2f} %{100 * b.mean():>10.2f} %"
                for f, a, b in zip(FREQUENCIES, c.of_steady, c.of_itself, strict=True)), ""]
    for (at, *_), worst in zip(c.steps, c.in_time, strict=True):
        lines.append(f"step of current at {c.names[at]}: V there differs by at most {100 * worst[at]:.2f} % of its "
                     f"deflection, elsewhere by {100 * np.delete(worst, at).max(initial=0.0):.2f} %")
    if c.activity is not None:
        lines += ["", *_of_activity(c.activity, here)]
    return "\n".join([*lines, "", *_speed("one cell, one thread, on the clock", c.seconds),
                      *_speed(f"each of {COPIES} cells in one run, seconds of a processor", c.of_many),
                      *(f"note: {note}" for note in notes)])


def _speed(what: str, seconds: tuple[float, float]) -> list[str]:
    a, b = seconds
    return [f"a time step takes {1e6 * a:.3g} us and {1e6 * b:.3g} us: {a / b:.3g} times as fast ({what})"]


def _of_activity(a: Activity, here: str) -> list[str]:
    """Spikes over current, and under synapses."""
    full, reduced = a.spikes
    lines = [f"spikes per s at {here}, over the current there (nA, {LASTS:g} ms each)",
             *_rows("", [f"{1e3 * x:.3g}" for x in a.currents], {
                 "full": [*a.rates[0]], "reduced": [*a.rates[1]]}, changes=False), "",
             f"under {COUNT} AMPA synapses at each place, {1e3 * RATE:g} spikes per s each, {DRIVE:g} ms: "
             f"{len(full)} and {len(reduced)} spikes"]
    if len(full) and len(reduced):
        late = a.late
        lines.append(f"of the full cell's, {100 * np.mean(late < 1.0):.0f} % have one of the reduced cell within 1 ms; "
                     f"half within {np.median(late):.2g} ms, the farthest {late.max():.3g} ms")
    return lines


def _pair(a: float, b: float) -> list[float]:
    """Two numbers and the change, %."""
    return [a, b, 100.0 * (b / a - 1.0)]


def _rows(title: str, heads: Sequence[str], rows: Mapping[str, Sequence[float]], changes: bool = True) -> list[str]:
    """Lines of a table; with ``changes`` every third number is a change in per cent, or nan for none."""
    width = max(map(len, rows))
    lines = [f"{title:<{width}}" + "".join(f"{head:>10}" for head in heads)]
    for name, values in rows.items():
        cells = [f"{x:>10.5g}" if k % 3 < 2 or not changes else f"{'' if math.isnan(x) else f'{x:+.2f} %':>10}"
                 for k, x in enumerate(values)]
        lines.append((f"{name:<{width}}" + "".join(cells)).rstrip())
    return lines


def table(c: Comparison) -> str:
    """Impedances as CSV: amplitude (MOhm) and phase (degrees) for every pair of places and frequency."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["frequency_Hz", "current_at", "V_at", "full_MOhm", "full_degrees", "reduced_MOhm",
                   "reduced_degrees"])
    for k, f in enumerate(FREQUENCIES):
        for i, here in enumerate(c.names):
            for j, there in enumerate(c.names):
                numbers = [g(Z[k, i, j]) for Z in c.impedance for g in (_amplitude, _degrees)]
                rows.writerow([f"{f / HZ:g}", there, here, *(f"{x:.8g}" for x in numbers)])
    return out.getvalue()


def _amplitude(Z: complex) -> float:
    return 1e-3 * abs(Z)


def _degrees(Z: complex) -> float:
    return math.degrees(cmath.phase(Z))


def write(c: Comparison, file: Path, report: str) -> list[Path]:
    """The report, the table and a page with both and pictures, beside the case; their paths."""
    made = [file.with_suffix(suffix) for suffix in (".txt", ".csv", ".html")]
    for path, content in zip(made, (report + "\n", table(c), page(c, file.stem, report)), strict=True):
        with whole_file(path) as part:
            part.write_text(content, encoding="utf-8")
    return made


def page(c: Comparison, name: str, report: str) -> str:
    """The report as one HTML file, with pictures where matplotlib is installed."""
    pictures = (f"<figure>{_picture(c)}</figure>" if find_spec("matplotlib") else
                '<p>Pictures need matplotlib: pip install "upstroke[view]".</p>')
    return PAGE.format(name=escape(name), report=escape(report), pictures=pictures)


def _picture(c: Comparison) -> str:
    """SVG: transfer to the first place over frequency and its error, step responses, and what channels do; full in
    grey, reduced in colour."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 7.2 if c.activity is None else 14.4), layout="constrained")
    panels = figure.subplots(2 if c.activity is None else 4, 2)
    left, right = panels[0]
    hertz = np.array(FREQUENCIES) / HZ
    for k, name in enumerate(c.names):
        left.plot(hertz, 1e-3 * np.abs(c.impedance[0][:, 0, k]), color="0.7", lw=4)
        left.plot(hertz, 1e-3 * np.abs(c.impedance[1][:, 0, k]), color=f"C{k % 10}", lw=1.2, label=name)
        right.plot(hertz, 100.0 * c.of_steady[:, 0, k], color=f"C{k % 10}", lw=1.2)
    left.set(xlabel="Hz", ylabel=f"MOhm, transfer to {c.names[0]}", yscale="log")
    left.legend(fontsize=7, frameon=False)
    right.set(xlabel="Hz", ylabel="difference, % of that at 0 Hz", ylim=(0.0, None))
    for panel in panels[1, len(c.steps):]:
        panel.set_axis_off()
    for panel, (at, t, full, reduced) in zip(panels[1], c.steps, strict=False):
        for k in range(len(c.names)):
            panel.plot(t, full[k], color="0.7", lw=4)
            panel.plot(t, reduced[k], color=f"C{k % 10}", lw=1.2)
        panel.set(xlabel="ms", ylabel="mV", title=f"current at {c.names[at]}")
    if c.activity is not None:
        _draw_activity(c.activity, figure, panels[2:])
    text = io.StringIO()
    with rc_context({"svg.hashsalt": "upstroke"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue().partition("<!DOCTYPE")[2].partition(">")[2]


def _draw_activity(a: Activity, figure: Any, panels: Any) -> None:
    """f-I curves, delays of spikes, and V of the soma under synapses."""
    curve, delay = panels[0]
    for rates, style in zip(a.rates, ({"color": "0.7", "lw": 4}, {"color": "C0", "lw": 1.2}), strict=True):
        curve.plot(1e3 * a.currents, rates, marker="o", **style)
    curve.set(xlabel="nA into the soma", ylabel="spikes per s")
    late = a.late
    delay.plot(a.spikes[0], np.where(np.isfinite(late), late, np.nan), "o", color="C0")
    delay.axhline(1.0, color="0.8")
    delay.set(xlabel="ms, spikes of the full cell", ylabel="ms to the nearest of the reduced")
    grid = panels[1, 0].get_gridspec()
    for panel in panels[1]:
        panel.remove()
    trace = figure.add_subplot(grid[3, :])
    t = a.dt * np.arange(a.V.shape[1])
    trace.plot(t, a.V[0], color="0.7", lw=2.5)
    trace.plot(t, a.V[1], color="C0", lw=0.9)
    trace.set(xlabel="ms", ylabel="mV", title="soma, under synapses at all places")
