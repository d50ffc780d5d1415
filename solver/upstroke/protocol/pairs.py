"""Which cells are joined: by chance, or by a file; and numbers drawn for each connection."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import CaseError

NS = 1e-6                                       # mS: files give conductances in nS
STREAMS = ("places", "sources", "weights", "delays", "junctions")
MOST = 2e9                                      # connections of a table: more is a slip


def generator(seed: int, stream: str) -> np.random.Generator:
    """Philox 4x64 under the key (seed, number of the stream); trains of spikes have the numbers below 2^40."""
    number = STREAMS.index(stream)
    return np.random.Generator(np.random.Philox(key=np.array([seed, number and 2 ** 40 + number], np.uint64)))


def by_probability(rows: int, columns: int, p: float, draw: np.random.Generator
                   ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of a table of which each place is taken with probability p, by the gaps between them, so that
    nothing is spent on the others: floor(log(1 - u) / log(1 - p)) are left out before each."""
    size = rows * columns
    if p >= 1.0:
        taken = np.arange(size)
        return taken // columns, taken % columns
    found, last = [np.zeros(0, np.int64)], -1
    while last < size:
        mean = p * (size - last)
        u = draw.random(math.ceil(mean + 4.0 * math.sqrt(mean)) + 8)
        gaps = np.minimum(np.floor(np.log1p(-u) / math.log1p(-p)), size).astype(np.int64)
        found.append(last + np.cumsum(gaps + 1))
        last = int(found[-1][-1])
    taken = np.concatenate(found)
    taken = taken[:np.searchsorted(taken, size)]
    return taken // columns, taken % columns


def read_pairs(file: Path, sizes: tuple[int, int], more: tuple[str, ...], where: str) -> NDArray[np.float64]:
    """(lines, columns) two numbers of cells each, below ``sizes``, and as many positive numbers as there are of
    ``more``, or fewer; all lines alike.

    Raises
    ------
    CaseError for lines that are none, and cells that there are not
    """
    wanted = "a line of it is two numbers of cells" + "".join(f", then perhaps a {name}" for name in more)
    rows: list[list[float]] = []
    for n, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        cells = line.split("#")[0].replace(",", " ").split()
        if not cells:
            continue
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            row = []
        if not 2 <= len(row) <= 2 + len(more) or (rows and len(row) != len(rows[0])) \
                or not all(math.isfinite(x) and x > 0.0 for x in row[2:]):
            raise CaseError(where, f"cannot read line {n} of {file.name}: {' '.join(cells)[:40]!r}",
                            f"{wanted}, all lines alike")
        for k in range(2):
            if row[k] not in range(sizes[k]):
                raise CaseError(where, f"line {n} of {file.name} names cell {cells[k]}",
                                f"there are cells 0 to {sizes[k] - 1} on that side" if sizes[k] > 1 else
                                "there is cell 0 alone on that side")
        rows.append(row)
    if not rows:
        raise CaseError(where, f"{file.name} holds no pairs", f"{wanted}, all lines alike")
    return np.array(rows)
