"""What is said of a reduced cell: text, a table of impedances, a picture."""

from __future__ import annotations

import cmath
import csv
import io
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from upstroke.output.files import whole_file
from upstroke.reduce.compare import Comparison
from upstroke.reduce.fit import FREQUENCIES, HZ


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
    a, b = c.seconds
    return "\n".join([*lines, f"a time step takes {1e6 * a:.3g} us and {1e6 * b:.3g} us: {a / b:.3g} times as fast "
                      "(one cell, one thread)", *(f"note: {note}" for note in notes)])


def _pair(a: float, b: float) -> list[float]:
    """Two numbers and the change, %."""
    return [a, b, 100.0 * (b / a - 1.0)]


def _rows(title: str, heads: Sequence[str], rows: Mapping[str, Sequence[float]]) -> list[str]:
    """Lines of a table; every third number is a change in per cent, or nan for none."""
    width = max(map(len, rows))
    lines = [f"{title:<{width}}" + "".join(f"{head:>10}" for head in heads)]
    for name, values in rows.items():
        cells = [f"{x:>10.5g}" if k % 3 < 2 else f"{'' if math.isnan(x) else f'{x:+.2f} %':>10}"
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
    """The report, the table and, where matplotlib is installed, the picture, beside the case; their paths."""
    made = [file.with_suffix(suffix) for suffix in (".txt", ".csv")]
    for path, content in zip(made, (report + "\n", table(c)), strict=True):
        with whole_file(path) as part:
            part.write_text(content, encoding="utf-8")
    if find_spec("matplotlib"):
        made.append(_draw(c, file.with_suffix(".png")))
    return made


def _draw(c: Comparison, path: Path) -> Path:
    """Transfer to the first place over frequency, its error, and step responses; full in grey, reduced in colour."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 7.2), layout="constrained")
    panels = figure.subplots(2, 2)
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
    with whole_file(path) as part:
        figure.savefig(part, dpi=120)
    return path
