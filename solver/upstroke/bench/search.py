"""Where an outcome changes, found with batches of cells: many values at once, then many between the two it lies in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
AT_ONCE = 32


def boundary(outcome: Callable[[Floats], NDArray[np.bool_]], low: float, high: float,
             tolerance: float) -> tuple[float, float] | None:
    """(below, above): neighbours no more than ``tolerance`` apart, ``outcome`` false below and true from above on.

    Where it changes more than once, its last change counts. None where it is false at ``high`` or true at ``low``.
    """
    while True:
        values = np.linspace(low, high, AT_ONCE)
        found = outcome(values)
        if not found[-1] or found.all():
            return None
        last = int(np.flatnonzero(~found)[-1])
        low, high = float(values[last]), float(values[last + 1])
        if high - low <= tolerance:
            return low, high
