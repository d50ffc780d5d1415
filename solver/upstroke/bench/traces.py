"""What a run directory holds of quantities over time: for ``upstroke view`` and ``--plot``.

    trace.csv, trace.npy    rows of ``upstroke bench``; each cell is a trace
    probes.csv              rows of ``upstroke run``; each probe is a trace
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import OptionError

Floats = NDArray[np.float64]
Kind = Literal["state", "current", "other"]
LEAD = 10.0            # ms before its upstroke at which a beat begins, so that the whole upstroke is in it
_MANIFESTS = ("run.json", "manifest.json")
_CURRENTS = ("A/F", "uA/cm^2", "uA/uF", "pA/pF", "mA/cm^2", "nA", "pA")
_FIXED = {"V": "mV", "Iion": "uA/cm^2"}


@dataclass(frozen=True, eq=False)
class Trace:
    """Quantities of one cell over time.

    Attributes
    ----------
    name : the run's folder, and which cell or probe where there are several
    words : the command line, without the program and its verb
    time : (rows,), ms, rising
    values : by name, (rows,) each
    units : by name, "" where none is known
    kinds : by name, what to sort them by
    beats : ms, where each beat begins, ``LEAD`` before its upstroke; empty where there is none
    """

    name: str
    words: str
    time: Floats
    values: dict[str, Floats]
    units: dict[str, str]
    kinds: dict[str, Kind]
    beats: Floats


def read_traces(folder: Path, name: str = "") -> list[Trace]:
    """The traces of a run, as far as it has come. ``name`` is what it is called, by default the folder's name.

    Raises
    ------
    OptionError : a folder that is no run; a run without rows over time; a file that cannot be read
    """
    manifest = _manifest(folder)
    name = name or folder.resolve().name
    path = next((p for p in (folder / n for n in ("trace.csv", "trace.npy", "probes.csv")) if p.is_file()), None)
    if path is None:
        raise OptionError(str(folder), "this run left no rows over time: there is neither trace.csv nor probes.csv",
                          "run it again without --no-trace and --classic (bench), or with [watch.probes] or "
                          "[watch.snapshots] (run)")
    columns = read_table(path)
    time = columns.pop("time_ms", np.empty(0))
    if not len(time):
        raise OptionError(str(path), "there are no rows in it", "let the run go on until the first output")
    units, states = _units(manifest), set(manifest.get("case", {}).get("model", {}).get("methods", ()))
    words = shlex.join(manifest.get("command", [])[2:])              # without the program and its verb
    found = []
    for suffix, rows, own in _split(path.name, columns):
        values = {n: v[rows] for n, v in own.items()}
        known = {n: units.get(n, _FIXED.get(n, "")) for n in values}
        kinds: dict[str, Kind] = {n: "state" if n in states or n == "V" else "current" if known[n] in _CURRENTS
                                  else "other" for n in values}
        found.append(Trace(f"{name}{suffix}", words, time[rows], values, known, kinds,
                           _beats(folder, time[rows], values, alone=not suffix)))
    return found


def _manifest(folder: Path) -> dict[str, Any]:
    if not folder.exists():
        raise OptionError(str(folder), "there is no such folder", "give the folder of a run, such as runs/bench")
    for file in (folder / name for name in _MANIFESTS):
        if file.is_file():
            try:
                return dict(json.loads(file.read_text(encoding="utf-8")))
            except ValueError as error:
                raise OptionError(str(file), f"it is damaged: {error}", "run it again") from None
    raise OptionError(str(folder), "this is no run: it has neither run.json nor manifest.json",
                      "give the folder of a run, such as runs/bench")


def _units(manifest: dict[str, Any]) -> dict[str, str]:
    """Of bench's runs, by quantity; the units that other runs tell are those of files."""
    return dict(manifest.get("units", {})) if "bench" in manifest.get("case", {}) else {}


def read_table(path: Path) -> dict[str, Floats]:
    """The columns of a file of numbers, CSV (where nothing stands for NaN) or npy; OptionError where it is damaged."""
    try:
        if path.suffix == ".npy":
            table = np.load(path, mmap_mode="r", allow_pickle=False)
            return {name: np.array(table[name], np.float64) for name in table.dtype.names}
        text = path.read_text(encoding="utf-8")
        text = text[:text.rfind("\n") + 1]                       # the last line of a run that goes on may be torn
        names = next(csv.reader([text.partition("\n")[0]]))
        rest = text.partition("\n")[2]
        if ",," in rest or ",\n" in rest or "\n," in rest or rest.startswith(","):
            rest = "\n".join(",".join(word or "nan" for word in line.split(",")) for line in rest.splitlines())
        rows = np.loadtxt(io.StringIO(rest), delimiter=",", ndmin=2) if rest else np.empty((0, len(names)))
        return dict(zip(names, rows.T, strict=True))
    except (OSError, ValueError, TypeError) as error:
        raise OptionError(str(path), f"it cannot be read: {error}", "run it again") from None


def _split(file: str, columns: dict[str, Floats]) -> list[tuple[str, Any, dict[str, Floats]]]:
    """For each trace what is added to the run's name, which rows, and the columns by quantity."""
    if file == "probes.csv":
        probes: dict[str, dict[str, Floats]] = {}
        for title, column in columns.items():
            probe, _, quantity = title.rpartition(".")
            probes.setdefault(probe, {})[quantity] = column
        return [(f" {probe}", slice(None), own) for probe, own in probes.items()]
    cell = columns.pop("cell", None)
    if cell is None:
        return [("", slice(None), columns)]
    return [(f" cell {k:g}", cell == k, columns) for k in np.unique(cell)]


def _beats(folder: Path, time: Floats, values: dict[str, Floats], *, alone: bool) -> Floats:
    """From the upstrokes in ap_stats.csv; where that is missing, or does not tell of this cell, from the trace of V."""
    starts = np.empty(0)
    stats = folder / "ap_stats.csv"
    if alone and stats.is_file():
        starts = read_table(stats).get("t_act", starts)
    elif "V" in values:
        V = values["V"]
        low, high = (np.nanmin(V), np.nanmax(V)) if np.isfinite(V).any() else (0.0, 0.0)
        if high - low > 20.0:                                    # mV: less is no action potential
            above = (low + high) / 2 < V
            starts = time[1:][above[1:] & ~above[:-1]]
    return starts[(starts >= time[0]) & (starts < time[-1])] - LEAD              # False for NaN
