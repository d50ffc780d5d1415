"""Colours of values, the same in films, pictures and pages.

From matplotlib's inferno and viridis (CC0), whose steps look equal to every eye; inferno without its black and its pale
yellow, which vanish on dark and on white.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FIRE = ["10092d", "230c4c", "390963", "4d0d6c", "62146e", "771c6d", "8c2369", "a02a63", "b3325a",
        "c63d4d", "d74b3f", "e55c30", "f06f20", "f78410", "fb9b06", "fcb418", "f8cd37"]
SEA = ["463480", "404588", "3a538b", "33628d", "2e6f8e", "287c8e", "23898e", "1f958b", "1fa287",
       "28ae80", "3bbb75", "56c667", "73d056", "95d840", "b8de29", "dde318", "fde725"]
REGIONS = ("#3b6ea8", "#d55e00", "#009e73", "#b0478c", "#c28a00", "#2c9fd6", "#555b61", "#7a5230")


def colours(stops: list[str], count: int = 256) -> NDArray[np.float64]:
    """(count, 3) from 0 to 1, between the stops."""
    known = np.array([[int(stop[k:k + 2], 16) for k in (0, 2, 4)] for stop in stops]) / 255.0
    at = np.linspace(0, len(stops) - 1, count)
    return np.column_stack([np.interp(at, np.arange(len(stops)), column) for column in known.T])
