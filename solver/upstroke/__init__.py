"""Upstroke: excitable tissue and cables, from one cell to millions of nodes.

>>> import upstroke
>>> result = upstroke.run("cases/niederer")              # a case file in ...
>>> result.activation.activation[0].max()                # ... activation times (ms) out
>>> result.grid().plot(scalars="activation_ms")          # a PyVista grid
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upstroke.case import Case, load_case
    from upstroke.ionic import load_model
    from upstroke.result import Result
    from upstroke.run import prepare, run

__version__ = "0.1.0"
__all__ = ["Case", "Result", "__version__", "load_case", "load_model", "prepare", "run"]

_HOMES = {"Case": "upstroke.case", "load_case": "upstroke.case", "load_model": "upstroke.ionic",
          "Result": "upstroke.result", "prepare": "upstroke.run", "run": "upstroke.run"}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``upstroke --help`` starts at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'upstroke' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
