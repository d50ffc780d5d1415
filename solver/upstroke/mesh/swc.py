"""SWC files: a point a line, "number type x y z radius parent", in um (Cannon et al. 1998, doi
10.1016/S0165-0270(98)00091-0)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import MeshError, Place

UM = 1e-4       # cm
SOMA = 1        # the type of a soma's points


@dataclass(frozen=True, eq=False)
class Points:
    """The points of one cell; parents come before their children.

    Attributes
    ----------
    type : (n,) as SWC numbers them: 1 soma, 2 axon, 3 basal dendrite, 4 apical dendrite, others free
    xyz : (n, 3) cm
    radius : (n,) cm
    parent : (n,) the point that each hangs on, -1 for the first
    """

    type: NDArray[np.int64]
    xyz: NDArray[np.float64]
    radius: NDArray[np.float64]
    parent: NDArray[np.int64]


def read_swc(file: Path) -> Points:
    """The points of an SWC file.

    Raises
    ------
    MeshError for a line that is none, a point whose number or parent cannot be, and a file of several cells
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise MeshError(str(file), f"cannot be read: {error.strerror}") from error
    rows: dict[int, tuple[int, tuple[float, ...], int, int]] = {}          # number: line, values, type, parent
    for line, text in enumerate(lines, 1):
        words = text.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            number, kind, parent = (int(float(words[k])) for k in (0, 1, 6))
            values = tuple(map(float, words[2:6]))
            if not all(map(math.isfinite, values)):
                raise ValueError
        except (ValueError, IndexError, OverflowError):
            raise MeshError(Place(str(file), line), f"no point of an SWC file: {text.strip()[:60]!r}",
                            "a line has seven numbers: number type x y z radius parent") from None
        if number in rows:
            raise MeshError(Place(str(file), line), f"point {number} is there already, in line {rows[number][0]}",
                            "number each point once")
        rows[number] = line, values, kind, parent
    return _ordered(file, rows)


def _ordered(file: Path, rows: dict[int, tuple[int, tuple[float, ...], int, int]]) -> Points:
    """The points by their numbers, checked to be one tree."""
    if not rows:
        raise MeshError(str(file), "has no points", "an SWC file has a line for each point")
    place = {number: k for k, number in enumerate(sorted(rows))}
    roots = [number for number in place if rows[number][3] < 0]
    if len(roots) != 1:
        at = Place(str(file), rows[roots[1]][0]) if roots else str(file)
        raise MeshError(at, f"{len(roots)} points have no parent, so this is not one cell",
                        "keep one cell, with parent -1 at its first point")
    for number in place:
        line, _, _, parent = rows[number]
        if parent >= 0 and parent not in rows:
            raise MeshError(Place(str(file), line), f"point {number} hangs on point {parent}, which is not there",
                            "write the morphology again with all its points")
        if parent >= number:
            raise MeshError(Place(str(file), line), f"point {number} hangs on point {parent}, which comes after it",
                            "number the points so that parents come first, as most programs write them")
    chosen = [rows[number] for number in place]
    values = np.array([row[1] for row in chosen]) * UM
    return Points(np.array([row[2] for row in chosen]), values[:, :3], values[:, 3],
                  np.array([place[row[3]] if row[3] >= 0 else -1 for row in chosen]))
