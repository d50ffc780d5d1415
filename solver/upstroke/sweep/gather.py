"""The table of a study: a row a member, with what it sets and the numbers of its summary; and its picture."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from upstroke.errors import OutputError
from upstroke.output.files import whole_file

#: What the picture shows where the study does not say: the first of these that some member has.
SHOWN = ("latest_activation.time_ms", "spikes", "v_range_mV.1")


def numbers_of(summary: Path) -> dict[str, float]:
    """The numbers of a summary.json by dotted names: ``latest_activation.time_ms``; ``spikes`` is their sum."""
    found: dict[str, float] = {}

    def collect(value: Any, name: str) -> None:
        if isinstance(value, bool):
            return
        if isinstance(value, (int, float)):
            found[name] = value
        elif isinstance(value, (dict, list)):
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                collect(inner, f"{name}.{key}" if name else str(key))

    content = json.loads(summary.read_text())
    spikes = content.get("spikes") or {}
    collect({key: value for key, value in content.items() if key not in ("notes", "spikes")}, "")
    return found | ({"spikes": sum(spikes.values())} | {f"spikes.{k}": v for k, v in spikes.items()}
                    if 0 < len(spikes) <= 16 else {"spikes": sum(spikes.values())} if spikes else {})


def require_writer(path: Path) -> None:
    """Raises OutputError for a .parquet where pyarrow is missing."""
    if path.suffix == ".parquet":
        try:
            import_module("pyarrow.parquet")
        except ImportError as error:
            raise OutputError(str(path), "needs the Python package pyarrow",
                              'install it: pip install "upstroke[parquet]", or set gather.format = "csv"') from error


def write_table(path: Path, keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """A tidy table: ``member``, ``status``, ``seconds``, the keys that are varied, all numbers, ``error``.

    Raises
    ------
    OutputError where it cannot be written
    """
    numbers = dict.fromkeys(name for row in rows for name in row["numbers"])
    names = ["member", "status", "seconds", *keys, *numbers, "error"]
    cells = [[row["member"], row["status"], row["seconds"], *(_plain(row["values"].get(key)) for key in keys),
              *(row["numbers"].get(name) for name in numbers), row["error"]] for row in rows]
    if path.suffix == ".parquet":
        from pyarrow import parquet, table

        columns = {name: _of_one_type([row[k] for row in cells]) for k, name in enumerate(names)}
        with whole_file(path) as part:
            parquet.write_table(table(columns), part)
        return
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(["" if cell is None else cell for cell in row] for row in cells)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, str, bool)) else json.dumps(value)


def _of_one_type(values: list[Any]) -> list[Any]:
    """Numbers where all are, else texts."""
    if all(value is None or isinstance(value, (int, float)) for value in values):
        return values
    return [None if value is None else str(value) for value in values]


def get_ready_to_draw() -> None:
    """Import what `draw` needs in the background: that takes about a second, in which members can run."""
    def load() -> None:
        with suppress(ImportError):                    # `draw` tells
            import_module("matplotlib.backends.backend_agg")
            import_module("matplotlib.figure")

    threading.Thread(target=load, daemon=True).start()


def draw(path: Path, title: str, keys: Sequence[str], rows: Sequence[Mapping[str, Any]],
         wanted: Sequence[str] | None) -> str:
    """Numbers against each key that is varied, a panel for each; a note where that cannot be."""
    done = [row for row in rows if row["numbers"]]
    keys = [key for key in keys if len({str(row["values"][key]) for row in rows}) > 1] or keys
    known = dict.fromkeys(name for row in done for name in row["numbers"])
    shown = list(wanted or [name for name in SHOWN if name in known][:1])
    if missing := [name for name in shown if name not in known]:
        return f"no picture: no member has the number {missing[0]!r} (gather.plot)"
    if not shown:
        return "no picture: no member has an activation or spikes (gather.plot names other numbers)"
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return 'no picture: matplotlib is not installed: pip install "upstroke[view]"'
    figure = Figure(figsize=(1.2 + 3.2 * len(keys), 0.8 + 2.6 * len(shown)), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(shown), len(keys), squeeze=False, sharey="row")
    for i, number in enumerate(shown):
        for j, key in enumerate(keys):
            points = [(row["values"][key], row["numbers"][number]) for row in done if number in row["numbers"]]
            x, unit = _along([value for value, _ in points])
            axes[i, j].plot(x, [y for _, y in points], "o", ms=4, alpha=0.7)
            axes[i, j].set_xlabel(f"{key}{f' ({unit})' if unit else ''}", fontsize=8)
        axes[i, 0].set_ylabel(number, fontsize=8)
    figure.suptitle(title, fontsize=10)
    with whole_file(path) as part:
        figure.savefig(part)
    return ""


def _along(values: Sequence[Any]) -> tuple[list[Any], str]:
    """Values as numbers and their unit, where all are numbers of one unit, else as texts."""
    from upstroke.sweep.plan import number_of

    found = [number_of(value) for value in values]
    units = {unit for number, unit in found if number is not None}
    if len(units) == 1 and all(number is not None for number, _ in found):
        return [number for number, _ in found], units.pop()
    return [str(_plain(value)) for value in values], ""
