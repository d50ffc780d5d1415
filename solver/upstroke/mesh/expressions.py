"""A small language of expressions: ``type == "apical" and distance > 100 um``, ``0.08 * exp(distance / (323 um))``.

An expression is written in Python's notation. It is parsed, never evaluated as Python: + - * / **, comparisons,
``and``, ``or``, ``not``, ``in`` with a list, ``a if condition else b``, a few functions, names, texts, numbers, and
lengths with their unit. Lengths are kept apart from numbers: ``distance / (100 um)`` is a number, ``distance + 1`` is
an error.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import CaseError, UnitError, did_you_mean
from upstroke.units import parse

#: What a value is: the power of a length (0: a number), a text or a condition.
Kind = int | Literal["text", "condition"]
Array = NDArray[Any]

#: Examples for remedies: of neurons, and of what has coordinates.
CONDITION = """for example 'type == "apical" and distance > 100 um'""", "for example 'x < 10 mm and y > 5 mm'"
NUMBER = "for example '0.1 + 0.3 * distance / (100 um)'", "for example '0.1 + 0.3 * x / (10 mm)'"
DIVIDE = "divide it by a length, for example (100 um)"
UNIT = "write lengths with their unit: 100 um"
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: np.equal, ast.NotEq: np.not_equal, ast.Lt: np.less, ast.LtE: np.less_equal, ast.Gt: np.greater,
    ast.GtE: np.greater_equal}
FUNCTIONS: dict[str, Callable[..., Any]] = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs,
                                            "min": np.minimum, "max": np.maximum, "atan2": np.arctan2}

_QUOTED = re.compile(r"""("[^"]*"|'[^']*')""")
_LENGTH = re.compile(r"(?<![\w.])((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![eE][+-]?\d)\s*([A-Za-zµμ]+)\b(?!\s*\()")
_WORDS = ("and", "or", "not", "in", "is", "if", "else")


@dataclass(frozen=True)
class Quantity:
    """What a name stands for: its kind, and a function that gives its values (n,), lengths in cm."""

    kind: Kind
    values: Callable[[], Array]


def condition(expression: str, known: Mapping[str, Quantity], n: int, where: str) -> NDArray[np.bool_]:
    """(n,) where the expression holds.

    Parameters
    ----------
    known : by name
    n : how many values names have
    where : the key, for error messages

    Raises
    ------
    CaseError, UnitError
    """
    return np.broadcast_to(_Reader(expression, known, where, CONDITION).evaluated("condition"), (n,))


def number(expression: str, known: Mapping[str, Quantity], n: int, where: str) -> NDArray[np.float64]:
    """(n,) the value of an expression that is a number; not finite where it has none. Arguments as of `condition`."""
    return np.broadcast_to(_Reader(expression, known, where, NUMBER).evaluated(0), (n,))


def _name(kind: Kind) -> str:
    """What a kind is called in messages."""
    if isinstance(kind, str):
        return f"a {kind}"
    return {0: "a number", 1: "a length", 2: "a length squared"}.get(kind, f"a length to the power {kind}")


class _Reader:
    """Evaluates the few nodes of Python's grammar that an expression may have."""

    def __init__(self, expression: str, known: Mapping[str, Quantity], where: str,
                 examples: tuple[str, str]) -> None:
        self.expression, self.known, self.where = expression.strip(), known, where
        self.example = example = examples[0 if "distance" in known else 1]
        self.lengths: dict[int, float] = {}              # by the place of their first letter
        self.text = self.without_lengths()
        try:
            self.tree = ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            place = f" from character {error.offset} on" if error.offset and error.offset > 1 else ""
            raise CaseError(where, f"cannot read {self.expression!r}{place}", example) from None
        except (ValueError, RecursionError, MemoryError):
            raise CaseError(where, f"cannot read {self.expression!r}", example) from None

    def without_lengths(self) -> str:
        """The expression with a name of as many letters for each length, such as ``100 um``, so that places stay."""
        text = list(re.sub(r"\s", " ", self.expression))
        quoted = {k for match in _QUOTED.finditer(self.expression) for k in range(*match.span())}
        for match in _LENGTH.finditer("".join(text)):
            if match[2] in _WORDS or match.start() in quoted:
                continue
            try:
                self.lengths[match.start()] = parse(match[0], "length")
            except UnitError as error:
                raise UnitError(self.where, error.what, error.remedy) from None
            text[slice(*match.span())] = "_" * len(match[0])
        return "".join(text)

    def place(self, node: ast.expr) -> int:
        return len(self.text.encode()[:node.col_offset].decode())

    def part(self, node: ast.expr) -> str:
        """A part of the expression as it was written."""
        assert node.end_col_offset is not None
        return self.expression[self.place(node):len(self.text.encode()[:node.end_col_offset].decode())]

    def fail(self, node: ast.expr, what: str, remedy: str = "") -> CaseError:
        """A mistake in a part of the expression, with its place where the part is there more than once."""
        twice = self.expression.count(self.part(node)) > 1
        place = f", character {self.place(node) + 1}:" if twice else ""
        return CaseError(self.where, f"in {self.expression!r}{place} {what}", remedy or self.example)

    def evaluated(self, wanted: Kind) -> Any:
        try:
            with np.errstate(all="ignore"):
                kind, value = self.value(self.tree)
        except (RecursionError, OverflowError):
            raise CaseError(self.where, f"cannot read {self.expression!r}", self.example) from None
        if kind != wanted:
            remedy = DIVIDE if wanted == 0 and isinstance(kind, int) else ""
            raise self.fail(self.tree, f"the value is {_name(kind)}, not {_name(wanted)}", remedy)
        return value

    def value(self, node: ast.expr) -> tuple[Kind, Any]:
        """The kind and the value of a part: one, or one for each node."""
        match node:
            case ast.Name(id=name):
                return self.named(node, name)
            case ast.Constant(value=bool(value)):
                return "condition", value
            case ast.Constant(value=str(text)):
                return "text", text
            case ast.Constant(value=int(value) | float(value)):
                return 0, np.float64(value)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return "condition", np.logical_not(self.of(operand, "condition"))
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                power, value = self.quantity(operand)
                return power, -value if isinstance(sign, ast.USub) else value
            case ast.BoolOp(op=op, values=values):
                combine = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return "condition", reduce(combine, [self.of(each, "condition") for each in values])
            case ast.Compare():
                return "condition", self.comparison(node)
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                where = self.of(test, "condition")
                (kind, a), (other, b) = self.value(body), self.value(otherwise)
                if kind != other:
                    raise self.fail(node, f"{self.part(node)!r} is {_name(kind)} or {_name(other)}")
                return kind, np.where(where, a, b)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self.power(node, left, right)
            case ast.BinOp(left=left, op=op, right=right):
                return self.arithmetic(node, left, op, right)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self.call(node, name, args)
        raise self.fail(node, f"{self.part(node)!r} is nothing that an expression may have")

    def named(self, node: ast.expr, name: str) -> tuple[Kind, Any]:
        if (at := self.place(node)) in self.lengths:
            return 1, self.lengths[at]
        if name == "pi" and name not in self.known:
            return 0, np.float64(np.pi)
        if name not in self.known:
            remedy = "it is a function: write its argument in brackets" if name in FUNCTIONS else did_you_mean(
                name, self.known)
            raise self.fail(node, f"there is no {name!r}", remedy)
        return self.known[name].kind, self.known[name].values()

    def of(self, node: ast.expr, wanted: Kind) -> Any:
        """The value of a part that must be of a kind."""
        kind, value = self.value(node)
        if kind != wanted:
            raise self.fail(node, f"{self.part(node)!r} is {_name(kind)}, not {_name(wanted)}",
                            DIVIDE if wanted == 0 and isinstance(kind, int) else "")
        return value

    def quantity(self, node: ast.expr) -> tuple[int, Any]:
        """A part that can be calculated with."""
        kind, value = self.value(node)
        if isinstance(kind, str):
            raise self.fail(node, f"{self.part(node)!r} is {_name(kind)}, which cannot be calculated with")
        return kind, value

    def arithmetic(self, node: ast.expr, left: ast.expr, op: ast.operator, right: ast.expr) -> tuple[Kind, Any]:
        (kind, a), (other, b) = self.quantity(left), self.quantity(right)
        match op:
            case ast.Add() | ast.Sub():
                if kind != other:
                    raise self.fail(node, f"{self.part(node)!r} adds {_name(kind)} and {_name(other)}", UNIT)
                return kind, a + b if isinstance(op, ast.Add) else a - b
            case ast.Mult():
                return kind + other, a * b
            case ast.Div():
                return kind - other, np.divide(a, b)
        raise self.fail(node, f"{self.part(node)!r} has an operator that expressions do not have", "use + - * / **")

    def power(self, node: ast.expr, left: ast.expr, right: ast.expr) -> tuple[Kind, Any]:
        (kind, a), exponent = self.quantity(left), self.of(right, 0)
        if kind == 0:
            return 0, np.power(a, exponent)
        if np.ndim(exponent) or exponent not in range(-9, 10):
            raise self.fail(node, f"{self.part(node)!r} is a length to a power that is no small whole number",
                            DIVIDE)
        return kind * round(exponent), np.power(a, exponent)

    def call(self, node: ast.expr, name: str, args: list[ast.expr]) -> tuple[Kind, Any]:
        if name not in FUNCTIONS:
            raise self.fail(node, f"there is no function {name!r}", did_you_mean(name, FUNCTIONS))
        function = FUNCTIONS[name]
        if name == "atan2" and len(args) != 2:
            raise self.fail(node, f"atan2 takes two values, not {len(args)}", "atan2(y, x) is the angle of (x, y)")
        if (several := name in ("min", "max", "atan2")) != (len(args) > 1) or not args:
            raise self.fail(node, f"{name} takes {'two values or more' if several else 'one value'}, not {len(args)}")
        if name in ("exp", "log"):
            return 0, function(self.of(args[0], 0))
        kind, value = self.quantity(args[0])
        for arg in args[1:]:
            other, more = self.quantity(arg)
            if other != kind:
                raise self.fail(node, f"{self.part(node)!r} takes {_name(kind)} and {_name(other)}", UNIT)
            value = function(value, more)
        if name == "atan2":
            return 0, value
        if name == "sqrt":
            if kind % 2:
                raise self.fail(node, f"{self.part(node)!r} is the root of {_name(kind)}",
                                DIVIDE)
            return kind // 2, function(value)
        return kind, value if several else function(value)

    def comparison(self, node: ast.Compare) -> Any:
        result: Any = np.bool_(True)
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, (ast.In, ast.NotIn)):
                if not isinstance(right, (ast.List, ast.Tuple)):
                    raise self.fail(node, "what follows 'in' is no list",
                                    """for example 'type in ["basal", "apical"]'""")
                found: Any = np.bool_(False)
                for item in right.elts:
                    found = found | self.compare(node, left, np.equal, item)
                result = result & (found if isinstance(op, ast.In) else ~found)
            elif type(op) in COMPARE:
                result = result & self.compare(node, left, COMPARE[type(op)], right)
            else:
                raise self.fail(node, "there is an operator that conditions do not have",
                                "use == != < <= > >= in, not in")
            left = right
        return result

    def compare(self, node: ast.expr, left: ast.expr, compare: Callable[[Any, Any], Any], right: ast.expr) -> Any:
        (kind, a), (other, b) = self.value(left), self.value(right)
        if kind != other:
            raise self.fail(node, f"{_name(kind)} is compared with {_name(other)}", UNIT if 1 in (kind, other) else "")
        return compare(a, b)
