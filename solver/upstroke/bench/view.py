"""``upstroke view``: every state and current of runs in one HTML file that needs nothing else.

The page (``page/``) is our own program on a canvas, so that 60 panels of 50,000 rows zoom as fast as they are drawn and
the file holds little but the numbers. A column is stored as the middle of its range and differences to it in float32:
the drift of a concentration is seen to a ten-millionth of the range, not of the value.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.traces import LEAD, Floats, Trace, read_traces
from upstroke.errors import OptionError
from upstroke.output.files import Made, whole_file

PAGE = Path(__file__).parent / "page"
ROWS = 100_000         # of a run that the file holds by default: 21 MB for 40 quantities


def view(runs: Sequence[Path], output: Path | None = None, rows: int = ROWS) -> Made:
    """Write the page.

    Arguments
    ---------
    runs : run directories; their traces are laid over each other
    output : the file, by default ``view.html`` in the first run's folder
    rows : of a run at most; where it has more, of each few rows the smallest and the largest value are kept

    Raises
    ------
    OptionError : a folder that is no run or has no rows; one given twice; quantities whose units differ between runs
    OutputError : the file cannot be written
    """
    if rows < 2:
        raise OptionError("--rows", f"{rows} rows make no curve", "give 2 or more")
    places = [run.resolve() for run in runs]
    for k, place in enumerate(places):
        if place in places[:k]:
            raise OptionError(str(runs[k]), "this run is given twice", "give it once")
    alone = len({place.name for place in places}) == len(places)
    traces = [trace for run in runs for trace in read_traces(run, "" if alone else str(run))]
    notes = []
    for k, trace in enumerate(traces):
        step = -(-len(trace.time) // (rows // 2)) if len(trace.time) > rows else 1
        if step > 1:
            notes.append(f"{trace.name}: of each {step} rows the smallest and the largest are kept; --rows "
                         f"{len(trace.time)} keeps all")
            traces[k] = thinned(trace, step)
    output = output or runs[0] / "view.html"
    text = page(traces, notes)
    with whole_file(output) as part:
        part.write_text(text, encoding="utf-8")
    return Made(output, tuple(notes))


def thinned(trace: Trace, step: int) -> Trace:
    """Of each ``step`` rows two: the smallest and the largest value of each quantity, in the order in which they come.

    The two rows stand at the first time of the step rows and at the middle one, so a value is up to ``step`` rows off.
    """
    n = len(trace.time)
    blocks = -(-n // step)
    rows = np.minimum(np.arange(blocks * step), n - 1).reshape(blocks, step)
    both = np.arange(blocks)[:, None]
    values = {}
    for name, column in trace.values.items():
        block = column[rows]
        low, high = (take(np.nan_to_num(block, nan=fill), axis=1)
                     for take, fill in ((np.argmin, np.inf), (np.argmax, -np.inf)))
        values[name] = block[both, np.sort(np.stack([low, high], axis=1), axis=1)].ravel()
    time = trace.time[np.stack([rows[:, 0], rows[:, step // 2]], axis=1)].ravel()
    return Trace(trace.name, trace.words, time, values, trace.units, trace.kinds, trace.beats)


def page(traces: Sequence[Trace], notes: Sequence[str] = ()) -> str:
    """The whole HTML text. Raises OptionError where units differ."""
    variables: dict[str, dict[str, str]] = {}
    first: dict[str, str] = {}
    for trace in traces:
        for name, unit in trace.units.items():
            known = variables.setdefault(name, {"name": name, "unit": unit, "kind": trace.kinds[name]})
            first.setdefault(name, trace.name)
            if unit and known["unit"] and unit != known["unit"]:
                raise OptionError(f"{first[name]} and {trace.name}", f"{name} is in {known['unit']} in one and in "
                                  f"{unit} in the other", "view them one by one")
            known["unit"] = known["unit"] or unit
    data = {"variables": list(variables.values()), "notes": list(notes), "lead": LEAD,
            "traces": [_packed(t) for t in traces]}
    title = " and ".join(dict.fromkeys(t.name for t in traces)) if len(traces) < 4 else f"{len(traces)} traces"
    pieces = {"TITLE": _escaped(f"{title} - Upstroke"), "DATA": json.dumps(data).replace("<", "\\u003c"),
              **{key: (PAGE / file).read_text(encoding="utf-8")
                 for key, file in (("STYLE", "style.css"), ("NUMBERS", "numbers.js"), ("PROGRAM", "page.js"),
                                   ("DRAWING", "draw.js"))}}
    text = (PAGE / "page.html").read_text(encoding="utf-8")
    for key, piece in pieces.items():
        head, tail = text.split(f"<!--{key}-->")
        text = head + piece + tail
    return text


def _packed(trace: Trace) -> dict[str, Any]:
    return {"name": trace.name, "words": trace.words, "time": _base64(trace.time.astype("<f8")),
            "beats": trace.beats.tolist(), "columns": {n: _column(v) for n, v in trace.values.items()}}


def _column(values: Floats) -> list[Any]:
    """The middle of the range and, in base64, float32 differences to it; what is infinite becomes NaN."""
    values = np.where(np.isfinite(values), values, np.nan)
    there = values[~np.isnan(values)]
    middle = float(there.min() / 2 + there.max() / 2) if len(there) else 0.0
    return [middle, _base64((values - middle).astype("<f4"))]


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
