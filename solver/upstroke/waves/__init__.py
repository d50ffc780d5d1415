"""How the fronts of an ionic model feel a mesh: measured once by plane waves on chains, kept, and found again.

`curve_of(model, time, initial)` gives the `Curve` alpha(q) that the calibrated operator needs (`space/curve.py`), and
a note. `chains` runs waves, `tune` finds alpha, `table` reads and writes, `find` knows where a curve comes from.

Names are loaded when first used, so that what needs no curve does not load the kernels.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upstroke.waves.find import curve_of
    from upstroke.waves.table import Table, read_tables, write_tables
    from upstroke.waves.tune import measure

__all__ = ["Table", "curve_of", "measure", "read_tables", "write_tables"]

_HOME = {"curve_of": "find", "measure": "tune", "Table": "table", "read_tables": "table", "write_tables": "table"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"upstroke.waves.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
