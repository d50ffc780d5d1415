"""Expressions -> C text, the same for both frames."""

from __future__ import annotations

from collections.abc import Callable, Collection

from upstroke.errors import ModelError
from upstroke.ionic.expr import Binary, Call, Expr, Name, Num, Select, Unary
from upstroke.ionic.symbolic import free_names

FLOAT_MAX = 3.4028234663852886e38

# How tightly C binds; the text of a looser child goes into parentheses.
_SUM, _PRODUCT, _UNARY, _ATOM = range(4)
_LEVEL = {"+": _SUM, "-": _SUM, "*": _PRODUCT}


class Printer:
    """Prints expressions with the parentheses they need and no others.

    Parameters
    ----------
    single : literals are float (``0.5f``)
    literals : names of quantities that the compiler knows; it divides by them once and for all
    """

    def __init__(self, single: bool, literals: Collection[str] = ()) -> None:
        self._single = single
        self._literals = frozenset(literals)

    def number(self, value: float) -> str:
        """A literal of the kernel's ``real``; a negative one begins with its sign."""
        if not abs(value) <= (FLOAT_MAX if self._single else 1.7976931348623157e308):
            raise ModelError("", f"the number {value!r} does not fit into {'fp32' if self._single else 'fp64'}",
                             "use fp64, or scale the equation" if self._single else "write a finite number")
        return repr(float(value)) + ("f" if self._single else "")

    def value(self, expr: Expr, name: Callable[[str], str]) -> str:
        """The text of a number; ``name`` maps a name of the model to its C name."""
        return self._value(expr, name)[0]

    def _value(self, expr: Expr, name: Callable[[str], str]) -> tuple[str, int]:
        match expr:
            case Num(value):
                return self.number(value), _ATOM if value >= 0 else _UNARY
            case Name(id):
                return name(id), _ATOM
            case Unary("-", a):
                return "-" + self._child(a, name, _ATOM), _UNARY
            case Call(function, args):
                return self._call(function, args, name), _ATOM
            case Select(condition, a, b):
                arms = f"{self.value(a, name)}, {self.value(b, name)}"
                return f"up_select({self.condition(condition, name)}, {arms})", _ATOM
            case Binary(op, a, b) if op in _LEVEL:
                level = _LEVEL[op]
                return f"{self._child(a, name, level)} {op} {self._child(b, name, level + 1)}", level
            case Binary("/", a, b):
                return self._quotient(a, b, name)
            case _:   # a comparison or logic, used as a number
                return f"up_select({self.condition(expr, name)}, {self.number(1.0)}, {self.number(0.0)})", _ATOM

    def _quotient(self, a: Expr, b: Expr, name: Callable[[str], str]) -> tuple[str, int]:
        """a / b; a (1 / b) where the compiler can work that out (another rounding); else as the frame divides."""
        if not free_names(b) <= self._literals:
            return f"up_div({self.value(a, name)}, {self.value(b, name)})", _ATOM
        divisor = self._child(b, name, _UNARY)
        if free_names(a) <= self._literals:
            return f"{self._child(a, name, _PRODUCT)} / {divisor}", _PRODUCT
        return f"{self._child(a, name, _PRODUCT)} * ({self.number(1.0)} / {divisor})", _PRODUCT

    def _child(self, expr: Expr, name: Callable[[str], str], least: int) -> str:
        text, level = self._value(expr, name)
        return text if level >= least else f"({text})"

    def condition(self, expr: Expr, name: Callable[[str], str]) -> str:
        """The text of a truth value, 0 or 1. Logic is bitwise: both sides are cheap, a branch is not."""
        match expr:
            case Unary("!", a):
                return f"!({self.condition(a, name)})"
            case Binary("&&" | "||" as op, a, b):
                return f"({self.condition(a, name)}) {op[0]} ({self.condition(b, name)})"
            case Binary("<" | "<=" | ">" | ">=" | "==" | "!=" as op, a, b):
                return f"{self._child(a, name, _SUM)} {op} {self._child(b, name, _SUM)}"
            case _:
                return f"{self._child(expr, name, _SUM)} != {self.number(0.0)}"

    def _call(self, function: str, args: tuple[Expr, ...], name: Callable[[str], str]) -> str:
        if function == "pow" and isinstance(args[1], Num):
            text = self._constant_power(self.value(args[0], name), args[1].value)
            if text:
                return text
        return f"up_{function}({', '.join(self.value(a, name) for a in args)})"

    def _constant_power(self, base: str, exponent: float) -> str:
        """x^n by multiplication for 0 < \\|n\\| <= 8, roots for one half; "" where neither applies."""
        if exponent < 0:
            text = self._constant_power(base, -exponent)
            return f"up_div({self.number(1.0)}, {text})" if text else ""
        if exponent == 0.5:
            return f"up_sqrt({base})"
        if exponent not in range(1, 9):
            return ""
        n = int(exponent)
        return {1: f"({base})", 2: f"up_square({base})", 3: f"up_cube({base})"}.get(n, f"up_pow{n}({base})")
