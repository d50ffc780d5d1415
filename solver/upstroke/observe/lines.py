"""Files that grow line by line as a run goes."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path

from upstroke.errors import OutputError, cut_short

FLUSH_EVERY = 0.5   # seconds of wall time


class LineFile:
    """A CSV file with one header line. Lines are handed to the system whole, so a killed run leaves complete ones.

    Without a path (of processes that share a run but the first) nothing is written.

    Raises
    ------
    OutputError where the file cannot be written
    """

    def __init__(self, path: Path | None, header: Sequence[str]) -> None:
        path = Path(os.devnull) if path is None else path
        self._path = path
        try:
            self._file = open(path, "ab", buffering=0)   # noqa: SIM115 (open as long as the run)
        except OSError as e:
            raise OutputError(str(path), f"cannot be written: {e.strerror}", "give another --out") from e
        self._lines = [] if self._file.tell() else [csv_line(header)]       # a run that goes on has one
        self._flushed = time.monotonic()

    def length(self) -> int:
        """Bytes of the file, with all lines handed over."""
        self.flush()
        return self._file.tell()

    def cut(self, length: int) -> None:
        """Forget all lines after so many bytes. Raises OutputError where there are fewer."""
        self._lines.clear()
        if self._path != Path(os.devnull):
            if self._file.seek(0, os.SEEK_END) < length:
                raise cut_short(str(self._path))
            self._file.truncate(length)
            self._file.seek(length)

    @property
    def due(self) -> bool:
        """Whether it is time that the system gets what there is."""
        return time.monotonic() - self._flushed > FLUSH_EVERY

    @property
    def closed(self) -> bool:
        return self._file.closed

    def add(self, cells: Sequence[str]) -> None:
        """One more line."""
        self._lines.append(csv_line(cells))

    def flush(self) -> None:
        """Hand over all lines."""
        rest = memoryview("".join(self._lines).encode())
        self._lines.clear()
        try:
            while rest:       # a disk that becomes full takes a part
                rest = rest[self._file.write(rest):]
        except OSError as e:
            raise OutputError(str(self._path), f"cannot be written: {e.strerror}", "free some space") from e
        self._flushed = time.monotonic()

    def flush_if_due(self) -> None:
        if self._lines and self.due:
            self.flush()

    def close(self) -> None:
        with self._file:
            self.flush()


def csv_line(cells: Sequence[str]) -> str:
    """One line of CSV, with quotes where a name needs them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
