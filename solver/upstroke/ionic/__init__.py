"""What each point of the membrane does: ionic models, read from EasyML text, checked, and evaluated.

    text --parse--> syntax tree --collect--> one equation per name --classify--> roles --build--> Model

Names are loaded when first used, so that listing models costs neither the parser nor NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from upstroke.ionic.library import (
    ModelInfo,
    find_model,
    find_plugin,
    load_model,
    load_plugin,
    read_model,
    shipped_models,
    shipped_plugins,
)

if TYPE_CHECKING:
    from upstroke.ionic.evaluate import advance, initial_state, quantities, rates
    from upstroke.ionic.methods import METHODS
    from upstroke.ionic.model import Model
    from upstroke.ionic.summary import describe, describe_plugin

__all__ = ["METHODS", "Model", "ModelInfo", "advance", "describe", "describe_plugin", "find_model", "find_plugin",
           "initial_state", "load_model", "load_plugin", "quantities", "rates", "read_model", "shipped_models",
           "shipped_plugins"]

_HOME = {"METHODS": "methods", "Model": "model", "describe": "summary", "describe_plugin": "summary",
         "advance": "evaluate", "initial_state": "evaluate", "quantities": "evaluate",
         "rates": "evaluate"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"upstroke.ionic.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
