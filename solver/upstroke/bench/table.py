"""Rows of results over time, written as they come: what is on disk is whole whenever a run is cut off.

For a run directory, ``trace.csv``: one header line with names, then numbers; with many values ``trace.npy``, an array
of named columns, instead. Both read as they stand:

    pandas.read_csv("trace.csv"), pandas.DataFrame(numpy.load("trace.npy"))

For those who know openCARP, its files under its names:

* the table, on a stream or in ``X.txt``: Time, Vm, Iion and every shared quantity in use (``parts.shared``)
* ``X.t.bin``, ``X.Vm.bin``, ``X.Iion.bin`` and ``X_<IMP>.<sv>.bin``: numbers and nothing else, little-endian float64
  (gates too, which openCARP has in float32). ``X_header.txt``: 0 for little-endian; then in each line a file, its type,
  bytes of a number, how many
* ``Trace_<n>.dat``: time and everything that the model marks ``.trace()``, whose names are, one a line, in
  ``<IMP>_trace_header.txt``

In these, cytosolic calcium is in uM; it is in the model's unit in ``trace.csv``. They show the first cell.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from upstroke.bench.parts import NAMES, Part, nearest, parts, plugins_said, scale, shared
from upstroke.errors import OptionError, did_you_mean
from upstroke.ionic.evaluate import quantities
from upstroke.ionic.globals import GLOBALS
from upstroke.ionic.model import Model
from upstroke.output.files import explained, whole_file

if TYPE_CHECKING:
    from upstroke.bench.cells import Record

Floats = NDArray[np.float64]
HEADING = "Outputting the following quantities at each time:"
BIG = 2_000_000      # values above which text would take seconds and more than 25 MB


# ------------------------------------------------------------------------------------------------------- what is shown
def dumped(model: Model, imp: Sequence[str], plugins: str = "") -> tuple[str, ...]:
    """The model's names of what ``--imp-sv-dump`` and ``--plug-sv-dump`` list: states, currents, any definition.

    Arguments
    ---------
    imp : names of the model's
    plugins : one list with commas for each plug-in, with colons between

    Raises
    ------
    OptionError : a name that is none, with the nearest one; more lists than plug-ins
    """
    base, *others = parts(model)
    lists = plugins.split(":") if plugins else []
    if len(lists) > len(others):
        raise OptionError("-g/--plug-sv-dump", f"{len(lists)} lists for {plugins_said(len(others))}",
                          "separate lists by ':', names by ','")
    found = [_known(model, base, name, "-u/--imp-sv-dump") for name in imp]
    for part, names in zip(others, lists, strict=False):
        found += [_known(model, part, name.strip(), "-g/--plug-sv-dump") for name in names.split(",") if name.strip()]
    return tuple(dict.fromkeys(found))


def _known(model: Model, part: Part, name: str, option: str) -> str:
    own = {n: part.full(n) for n in (*part.states, *part.definitions)}
    own |= {s.name: s.name for s in model.states if s.name in model.externals}
    found = nearest(name, own)
    if found is None:
        raise OptionError(option, f"{part.name} has no state or current '{name}'", did_you_mean(name, own))
    return own[found]


def units(model: Model, names: Sequence[str]) -> dict[str, str]:
    """The unit of each quantity, "" where the model says none."""
    fixed = {"V": "mV", "Iion": "uA/cm^2"}
    return {name: fixed.get(name) or model.units.get(name) or (
        GLOBALS[model.externals[name]].unit if name in model.externals else "") for name in names}


def table_columns(model: Model) -> dict[str, str]:
    """Titles and quantities of openCARP's table."""
    return {"Vm": "V", "Iion": "Iion"} | {NAMES.get(target, target): own for target, own in shared(model).items()}


class Columns:
    """Named quantities of a model, of each row of a record.

    Parameters
    ----------
    names : V, Iion, states, parameters, definitions
    dt : ms
    parameters : values that differ from the model's own: a number, or one for each cell
    driven : parameters that change in time, which can be recorded
    """

    def __init__(self, model: Model, names: Sequence[str], dt: float, parameters: Mapping[str, Any] | None = None,
                 driven: Collection[str] = ()) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._model, self._dt, self._driven = model, dt, set(driven)
        self._parameters = {p.name: p.value for p in model.parameters} | dict(parameters or {})
        self._states = tuple(s.name for s in model.states)
        recorded = {"V", "Iion", *self._states, *driven}
        self._computed = [n for n in self.names if n not in recorded and n not in self._parameters]
        inputs = (*self._states, *driven) if self._computed else ()
        #: What has to be recorded for them.
        self.needs = tuple(dict.fromkeys(("V", *inputs, *(n for n in self.names if n in recorded))))

    def of(self, record: Record) -> Floats:
        """(rows, cells, names)."""
        shape = record.values["V"].shape
        given = {n: np.ravel(v)[:shape[1]] if np.ndim(v) else v for n, v in self._parameters.items()} | {
            n: record.values[n] for n in self._driven if n in record.values}
        known: dict[str, Any] = given | dict(record.values)
        if self._computed:
            states = {name: record.values[name] for name in self._states}
            computed = quantities(self._model, record.values["V"], states, record.time[:, None], self._dt, given)
            known |= {name: computed[name] for name in self._computed}
        return np.stack([np.broadcast_to(known[name], shape) for name in self.names], axis=-1)


# ------------------------------------------------------------------------------------------------------------- writers
class Writer(Protocol):
    """Takes records one after the other."""

    @property
    def needs(self) -> tuple[str, ...]:
        """What has to be recorded."""

    def write(self, record: Record) -> None:
        """Add its rows."""

    def close(self) -> None:
        """Nothing comes any more."""


class GrowingFile:
    """A new file that only grows; what is added is handed to the system at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path):
            self._file = open(path, "wb", buffering=0)     # noqa: SIM115 (open as long as the run)

    def add(self, content: bytes | memoryview) -> None:
        rest = memoryview(content)
        with explained(self.path):
            while rest:                                    # a disk that becomes full takes a part
                rest = rest[self._file.write(rest):]

    def put(self, content: bytes) -> None:
        """In place of what the file begins with."""
        with explained(self.path):
            end = self._file.tell()
            self._file.seek(0)
            self._file.write(content)
            self._file.seek(end)

    def close(self) -> None:
        self._file.close()


class ClassicTable:
    """openCARP's table.

    Parameters
    ----------
    out : a stream, or a file to make
    heading : the stream for the titles
    """

    def __init__(self, columns: Columns, titles: Sequence[str], scales: Sequence[float], out: TextIO | Path,
                 heading: TextIO) -> None:
        self.needs = columns.needs
        self._columns, self._scales = columns, np.array(scales)
        self._out = GrowingFile(out) if isinstance(out, Path) else out
        self._row = "%10.3f" + " %+.8e" * len(titles) + "\n"
        heading.write(f"{HEADING}\n{'Time':>10s}{''.join(f' {title:>15s}' for title in titles)}\n\n")
        heading.flush()

    def write(self, record: Record) -> None:
        rows = self._columns.of(record)[:, 0] * self._scales
        text = "".join(self._row % (t, *row) for t, row in zip(record.time, rows.tolist(), strict=True))
        if isinstance(self._out, GrowingFile):
            self._out.add(text.encode())
        else:
            self._out.write(text)
            self._out.flush()

    def close(self) -> None:
        if isinstance(self._out, GrowingFile):
            self._out.close()


class BinaryDump:
    """``X.t.bin`` and a file for each quantity, with ``X_header.txt``. ``ends`` are the ends of their names."""

    def __init__(self, columns: Columns, ends: Sequence[str], scales: Sequence[float], prefix: Path) -> None:
        self.needs = columns.needs
        self._columns, self._scales = columns, scales
        self._files = [GrowingFile(prefix.with_name(prefix.name + end)) for end in (".t.bin", *ends)]
        self._header = prefix.with_name(prefix.name + "_header.txt")
        self._rows = 0
        self._describe()

    def write(self, record: Record) -> None:
        rows = self._columns.of(record)[:, 0].T * np.array(self._scales)[:, None]
        for file, values in zip(self._files, (record.time, *rows), strict=True):
            file.add(np.ascontiguousarray(values, "<f8").tobytes())
        self._rows += len(record.time)
        self._describe()

    def _describe(self) -> None:
        """How many rows there are, never more than there are."""
        with whole_file(self._header) as part:
            part.write_text("0\n" + "".join(f"{file.path.name} double 8 {self._rows}\n" for file in self._files))

    def close(self) -> None:
        for file in self._files:
            file.close()


class ClassicTrace:
    """``Trace_<n>.dat`` with ``<IMP>_trace_header.txt`` beside it."""

    def __init__(self, columns: Columns, scales: Sequence[float], folder: Path, number: int, imp: str) -> None:
        self.needs = columns.needs
        self._columns, self._scales = columns, np.array(scales)
        with whole_file(folder / f"{imp}_trace_header.txt") as part:
            part.write_text("".join(f"{name}\n" for name in columns.names))
        self._file = GrowingFile(folder / f"Trace_{number}.dat")
        self._row = "%.10g" + " %.8e" * len(columns.names) + "\n"

    def write(self, record: Record) -> None:
        rows = self._columns.of(record)[:, 0] * self._scales
        lines = (self._row % (t, *row) for t, row in zip(record.time, rows.tolist(), strict=True))
        self._file.add("".join(lines).encode())

    def close(self) -> None:
        self._file.close()


class RunTable:
    """``trace.csv`` of a run directory. With several cells a row is one of them at one time; ``cell`` counts from 0."""

    def __init__(self, columns: Columns, folder: Path, cells: int = 1) -> None:
        self.needs = columns.needs
        self._columns, self._cells = columns, cells
        self._file = GrowingFile(folder / "trace.csv")
        titles = (*_row_titles(cells), *columns.names)
        self._row = ",".join(["%.12g"] * len(titles)) + "\n"
        self._file.add((",".join(titles) + "\n").encode())

    def write(self, record: Record) -> None:
        rows = _rows(self._columns, record, self._cells)
        self._file.add("".join(self._row % tuple(row) for row in rows.tolist()).encode())

    def close(self) -> None:
        self._file.close()


class RunArray:
    """``trace.npy`` of a run directory: the same columns as an array; its header is set anew after each record."""

    def __init__(self, columns: Columns, folder: Path, cells: int = 1) -> None:
        self.needs = columns.needs
        self._columns, self._cells, self._n = columns, cells, 0
        self._descr = [(name, "<f8") for name in (*_row_titles(cells), *columns.names)]
        self._file = GrowingFile(folder / "trace.npy")
        self._file.add(self._header())

    def _header(self) -> bytes:
        text = io.BytesIO()
        np.lib.format.write_array_header_2_0(text, {"descr": self._descr, "fortran_order": False, "shape": (self._n,)})
        return text.getvalue()                             # as long for any number: NumPy leaves room for it

    def write(self, record: Record) -> None:
        rows = _rows(self._columns, record, self._cells)
        self._file.add(np.ascontiguousarray(rows, "<f8").tobytes())
        self._n += len(rows)
        self._file.put(self._header())

    def close(self) -> None:
        self._file.close()


def _row_titles(cells: int) -> tuple[str, ...]:
    return ("time_ms",) if cells == 1 else ("time_ms", "cell")


def _rows(columns: Columns, record: Record, cells: int) -> Floats:
    """(rows x cells, titles)."""
    values = columns.of(record)[:, :cells]
    time = np.repeat(record.time, cells)
    lead = [time] if cells == 1 else [time, np.tile(np.arange(float(cells)), len(record.time))]
    return np.column_stack([*lead, values.reshape(len(time), -1)])


class Tables:
    """Everything that a run writes of its rows, closed in any case at the end of a ``with``.

    Parameters
    ----------
    model, dt, parameters, driven : as ``Columns`` has them
    dumps : names that ``dumped`` gives, beside what is shown in any case
    folder : the run directory, for ``trace.csv``; None: none
    rows, cells : how many there will be at most, and of how many cells, in ``trace.csv``
    table : the stream or file of openCARP's table; None: none
    heading : the stream for its titles
    binary : what openCARP's binary files begin with (``X``); None: none
    every_state : whether all states go to the binary files (``--validate``)
    trace : the folder of ``Trace_<number>.dat``; None: none

    Raises
    ------
    OutputError where a file cannot be written
    """

    def __init__(self, model: Model, dt: float, *, parameters: Mapping[str, Any] | None = None,
                 driven: Collection[str] = (), dumps: Sequence[str] = (), folder: Path | None = None, rows: int = 0,
                 cells: int = 1, table: TextIO | Path | None = None, heading: TextIO | None = None,
                 binary: Path | None = None, every_state: bool = False, trace: Path | None = None,
                 number: int = 0) -> None:
        def columns(names: Sequence[str]) -> Columns:
            return Columns(model, names, dt, parameters, driven)

        def scales(names: Sequence[str]) -> list[float]:
            return [scale(model, name) for name in names]

        self.writers: list[Writer] = []
        self.columns: tuple[str, ...] = ()                 # of trace.csv
        states = tuple(s.name for s in model.states)
        if folder is not None:
            shown = columns(("V", "Iion", *states, *model.traces, *dumps, *driven))
            self.columns = shown.names
            kind = RunArray if rows * cells * len(shown.names) > BIG else RunTable
            self.writers.append(kind(shown, folder, cells))
        if table is not None and heading is not None:
            titles = table_columns(model)
            names = tuple(titles.values())
            self.writers.append(ClassicTable(columns(names), tuple(titles), scales(names), table, heading))
        if binary is not None:
            of = {part.full(name): f"_{part.name}.{name}.bin" for part in parts(model)
                  for name in (*part.states, *part.definitions)}
            names = tuple(dict.fromkeys(("V", "Iion", *(states if every_state else ()), *dumps)))
            first = parts(model)[0].name
            ends = [{"V": ".Vm.bin", "Iion": ".Iion.bin"}.get(n) or of.get(n, f"_{first}.{n}.bin") for n in names]
            self.writers.append(BinaryDump(columns(names), ends, scales(names), binary))
        if trace is not None and model.traces:
            self.writers.append(ClassicTrace(columns(model.traces), scales(model.traces), trace, number,
                                             parts(model)[0].name))

    @property
    def needs(self) -> tuple[str, ...]:
        """What has to be recorded."""
        return tuple(dict.fromkeys(name for writer in self.writers for name in writer.needs))

    def write(self, record: Record) -> None:
        """Add the rows of a record of ``needs``."""
        if len(record.time):
            for writer in self.writers:
                writer.write(record)

    def __enter__(self) -> Tables:
        return self

    def __exit__(self, *error: object) -> None:
        with ExitStack() as stack:
            for writer in self.writers:
                stack.callback(writer.close)
