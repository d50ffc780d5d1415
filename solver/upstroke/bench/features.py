"""The features of many cells: a table, the ranges by which cells are kept, and a summary.

    --keep "APD90=200:400, V_max=>10"                        the cells that are kept
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.population import Floats, Population
from upstroke.bench.reading import number_of
from upstroke.errors import OptionError, OutputError
from upstroke.ionic.spelling import respelled

if TYPE_CHECKING:
    from upstroke.bench.beats import Beats

PERCENTILES = (5, 25, 50, 75, 95)
_KEEP_FORM = "write NAME=LOW:HIGH, NAME=>LOW or NAME=<HIGH"


def _last(name: str) -> Callable[[Beats], Floats]:
    return lambda beats: getattr(beats, name)[-1]


def _alternans(beats: Beats) -> Floats:
    APD90 = beats.APD90
    return APD90[-1] - APD90[-2] if len(APD90) > 1 else np.full(APD90.shape[1], np.nan)


#: What is told of every cell, of its last beat; the unit and how it comes from the beats. Of calcium: see CALCIUM.
FEATURES: dict[str, tuple[str, Callable[[Beats], Floats]]] = {
    "V_rest": ("mV", _last("V_rest")), "V_max": ("mV", _last("V_max")), "V_min": ("mV", _last("V_min")),
    "amplitude": ("mV", _last("amplitude")), "dVdt_max": ("mV/ms", _last("dVdt_max")),
    "APD30": ("ms", _last("APD30")), "APD50": ("ms", _last("APD50")), "APD90": ("ms", _last("APD90")),
    "triangulation": ("ms", _last("triangulation")), "EADs": ("", _last("eads")),
    "alternans": ("ms", _alternans),                           # APD90 of the last beat less that of the one before
}
CALCIUM: dict[str, tuple[str, Callable[[Beats], Floats]]] = {
    "Ca_rest": ("mM", _last("Ca_rest")), "Ca_max": ("mM", _last("Ca_max")),
    "CaT_amplitude": ("mM", _last("CaT_amplitude")), "CaT_tau": ("ms", _last("CaT_tau")),
    "CaTD50": ("ms", _last("CaTD50")), "CaTD90": ("ms", _last("CaTD90")),
}


def features(beats: Beats, broken: NDArray[np.int64], dt: float, calcium: bool) -> dict[str, Floats]:
    """The features of the last beat of every cell, (n,) each, and ``broken_at``.

    ``broken_at`` is when a cell left the finite numbers, in ms; such a cell has no features (NaN), others none of it.
    """
    bad = broken >= 0
    table = {name: np.where(bad, np.nan, take(beats))
             for name, (_, take) in ({**FEATURES, **CALCIUM} if calcium else FEATURES).items()}
    return {**table, "broken_at": np.where(bad, broken * dt, np.nan)}


@dataclass(frozen=True)
class Range:
    """low <= feature <= high."""

    feature: str
    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if self.low == -math.inf:
            return f"{self.feature} <= {self.high:g}"
        if self.high == math.inf:
            return f"{self.feature} >= {self.low:g}"
        return f"{self.feature} {self.low:g}:{self.high:g}"


@dataclass(frozen=True, eq=False)
class Calibration:
    """Which cells are kept, (n,); how many fail each range; how many are broken. A feature that a cell lacks fails."""

    accepted: NDArray[np.bool_]
    fails: dict[str, int]
    broken: int


def parse_keep(text: str, known: Sequence[str] = (*FEATURES, *CALCIUM)) -> tuple[Range, ...]:
    """The ranges of ``--keep``; OptionError for one that cannot be read."""
    ranges: dict[str, Range] = {}
    for entry in (part.strip() for part in text.split(",")):
        name, equals, bounds = (part.strip() for part in entry.partition("="))
        if not equals or not bounds:
            raise OptionError("--keep", f"cannot read '{entry}'", _KEEP_FORM)
        if name in ranges:
            raise OptionError("--keep", f"{name} is given twice", "keep one")
        if bounds[0] in "<>":
            number = number_of("--keep", bounds[1:], entry)
            ranges[name] = Range(name, low=number) if bounds[0] == ">" else Range(name, high=number)
            continue
        low, colon, high = bounds.partition(":")
        if not colon:
            raise OptionError("--keep", f"cannot read '{entry}'", _KEEP_FORM)
        ranges[name] = Range(name, number_of("--keep", low, entry), number_of("--keep", high, entry))
        if ranges[name].low > ranges[name].high:
            raise OptionError("--keep", f"'{entry}': nothing lies between {low.strip()} and {high.strip()}",
                              _KEEP_FORM)

    def wrong(what: str, remedy: str) -> None:
        raise OptionError("--keep", what, remedy)

    own = respelled(ranges, known, wrong, "feature")
    return tuple(Range(name, its.low, its.high) for name, its in own.items())


def calibrate(table: Mapping[str, Floats], ranges: Sequence[Range]) -> Calibration:
    """The cells whose features lie in all ranges; OptionError for one that the table lacks, as without calcium."""
    for r in ranges:
        if r.feature not in table:
            raise OptionError("--keep", f"{r.feature} is not known: the model has no state of calcium",
                              f"features: {', '.join(name for name in table if name != 'broken_at')}")
    broken = ~np.isnan(table["broken_at"])
    accepted, fails = ~broken, {}
    for r in ranges:
        inside = (table[r.feature] >= r.low) & (table[r.feature] <= r.high)      # False for NaN
        fails[str(r)] = int((~inside & ~broken).sum())
        accepted &= inside
    return Calibration(accepted, fails, int(broken.sum()))


def summary(cells: Population, table: Mapping[str, Floats], calibration: Calibration | None = None) -> str:
    """What the terminal shows: what was varied, percentiles of every feature, who was kept."""
    broken = int((~np.isnan(table["broken_at"])).sum())
    lines = [f"{cells.n} cells" + (f", {broken} of them broken" if broken else ""), ""]
    lines += _percentiles(cells.columns, "varied", np.ones(cells.n, bool))
    shown = {name: values for name, values in table.items() if name != "broken_at"}
    lines += ["", *_percentiles(shown, "last beat", np.ones(cells.n, bool))]
    if calibration is None:
        return "\n".join(lines)
    kept = int(calibration.accepted.sum())
    lines += ["", f"kept: {kept} of {cells.n} cells ({100 * kept / cells.n:.3g} %)"]
    lines += [f"  {count:8d} fail {text}" for text, count in calibration.fails.items()]
    if calibration.broken:
        lines.append(f"  {calibration.broken:8d} broken")
    if 0 < kept < cells.n:
        lines += ["", *_percentiles(shown, "of those kept", calibration.accepted)]
    return "\n".join(lines)


def _percentiles(columns: Mapping[str, Floats], title: str, of: NDArray[np.bool_]) -> list[str]:
    lines = [f"{title:<20}" + "".join(f"{f'{p} %':>12}" for p in PERCENTILES) + f"{'without':>10}"]
    units = {name: f"{name} ({unit})" for name, (unit, _) in {**FEATURES, **CALCIUM}.items() if unit}
    for name, values in columns.items():
        there = values[of][~np.isnan(values[of])]
        numbers = np.percentile(there, PERCENTILES) if len(there) else np.empty(0)
        texts = "".join(f"{x:12.5g}" for x in numbers) or f"{'-':>12}" * len(PERCENTILES)
        lines.append(f"{units.get(name, name):<20}{texts}{int(of.sum()) - len(there):10d}")
    return lines


def write_table(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Columns of one length as CSV (full precision, nothing where NaN), or as Parquet where the name ends so.

    Raises
    ------
    OutputError : the file cannot be written, or Parquet without pyarrow
    """
    try:
        if path.suffix == ".parquet":
            _write_parquet(path, columns)
        else:
            with path.open("w", newline="", encoding="utf-8") as file:
                file.write(",".join(columns) + "\n")
                texts = [map(_exact, column.tolist()) for column in columns.values()]
                file.writelines(",".join(row) + "\n" for row in zip(*texts, strict=True))
    except OSError as error:
        raise OutputError(str(path), f"cannot write the table: {error.strerror}", "choose another place") from None


def _exact(x: Any) -> str:
    return x if isinstance(x, str) else "" if x != x else repr(x)


def text_table(columns: Mapping[str, NDArray[Any]]) -> str:
    """Columns as text for the terminal: names on top, six digits, - for NaN."""
    texts = [[name, *(x if isinstance(x, str) else "-" if x != x else f"{x:.6g}" for x in column.tolist())]
             for name, column in columns.items()]
    widths = [max(map(len, column)) for column in texts]
    return "\n".join("  ".join(map(str.rjust, row, widths)) for row in zip(*texts, strict=True))


def _write_parquet(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise OutputError(str(path), "Parquet needs pyarrow, which is not installed",
                          'pip install "upstroke[parquet]", or give a name that ends in .csv') from None
    parquet.write_table(arrow.table(dict(columns)), path)
