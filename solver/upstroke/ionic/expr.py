"""Expressions of the model language: six immutable node types, all scalars."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Num:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A state, parameter, definition, or one of the predefined V, t, dt."""

    id: str


@dataclass(frozen=True, slots=True)
class Unary:
    """``-a`` or ``!a``."""

    op: str
    a: Expr


@dataclass(frozen=True, slots=True)
class Binary:
    """``a op b`` with op one of + - * / < <= > >= == != && ||; comparisons and logic give 0 or 1."""

    op: str
    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """A function of ``FUNCTIONS``."""

    function: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """``condition ? a : b``."""

    condition: Expr
    a: Expr
    b: Expr


Expr = Num | Name | Unary | Binary | Call | Select

#: The functions of the language and how many arguments each takes.
FUNCTIONS: dict[str, int] = {
    "exp": 1, "expm1": 1, "log": 1, "log10": 1, "log1p": 1, "sqrt": 1, "cbrt": 1, "pow": 2,
    "sin": 1, "cos": 1, "tan": 1, "asin": 1, "acos": 1, "atan": 1, "atan2": 2,
    "sinh": 1, "cosh": 1, "tanh": 1,
    "floor": 1, "ceil": 1, "fabs": 1, "min": 2, "max": 2, "fmod": 2,
    "square": 1, "cube": 1, "heav": 1,
}
