"""Expressions as text of the model language."""

from __future__ import annotations

import textwrap

from upstroke.ionic.expr import Binary, Call, Expr, Name, Num, Select, Unary

_LEVEL = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6}
_UNARY, _ATOM = 7, 8


def to_text(expr: Expr, level: int = 0) -> str:
    """The expression, in parentheses where it binds less than ``level``; reading it back gives the same tree."""
    text, own = _text(expr)
    return f"({text})" if own < level else text


def equation(name: str, expr: Expr, note: str = "", width: int = 120) -> str:
    """``name = expression;`` and a remark, on as many lines as it takes."""
    lines = textwrap.wrap(f"{name} = {to_text(expr)};{note}", width, subsequent_indent="    ", break_long_words=False,
                          break_on_hyphens=False)
    return "\n".join(lines)


def number(value: float) -> str:
    """The shortest digits that are read back as the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _text(expr: Expr) -> tuple[str, int]:
    match expr:
        case Num(value):
            return number(value), _UNARY if value < 0 else _ATOM
        case Name(name):
            return name, _ATOM
        case Unary(op, a):
            return op + to_text(a, _UNARY + (op == "-" and isinstance(a, Num))), _UNARY
        case Binary(op, a, b):
            own = _LEVEL[op]
            space = "" if own == 6 else " "
            return f"{to_text(a, own)}{space}{op}{space}{to_text(b, own + 1)}", own
        case Call(function, args):
            return f"{function}({', '.join(to_text(a) for a in args)})", _ATOM
        case Select(condition, a, b):
            return f"{to_text(condition, 1)} ? {to_text(a)} : {to_text(b)}", 0
    raise AssertionError(expr)
