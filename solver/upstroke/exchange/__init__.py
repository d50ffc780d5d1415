"""Ionic models from and to other formats (CellML, SBML, Myokit's mmt), read and written by Myokit, an optional package.

    file --source--> Myokit model, V and stimulus found --easyml--> model text --proof--> the same rates, or an error
    Model --target--> Myokit model --> mmt or CellML
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upstroke.exchange.easyml import Imported, import_model
    from upstroke.exchange.target import export_model

__all__ = ["Imported", "export_model", "import_model"]

_HOME = {"Imported": "easyml", "import_model": "easyml", "export_model": "target"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"upstroke.exchange.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
