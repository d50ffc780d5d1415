"""Unit expressions of ``.units(...)``: known units, their prefixes, products, quotients and powers."""

from __future__ import annotations

import re
from functools import cache

from upstroke.errors import ModelError, Place, did_you_mean
from upstroke.ionic.expr import Binary, Expr, Name, Num, Unary
from upstroke.ionic.parse import Value

#: Exponents of (m, kg, s, A, K, mol) and the factor to SI.
Unit = tuple[float, tuple[float, ...]]

UNITS: dict[str, Unit] = {
    "unitless": (1.0, (0, 0, 0, 0, 0, 0)),
    "m": (1.0, (1, 0, 0, 0, 0, 0)),
    "g": (1e-3, (0, 1, 0, 0, 0, 0)),
    "s": (1.0, (0, 0, 1, 0, 0, 0)),
    "A": (1.0, (0, 0, 0, 1, 0, 0)),
    "K": (1.0, (0, 0, 0, 0, 1, 0)),
    "mol": (1.0, (0, 0, 0, 0, 0, 1)),
    "L": (1e-3, (3, 0, 0, 0, 0, 0)),
    "M": (1e3, (-3, 0, 0, 0, 0, 1)),
    "Hz": (1.0, (0, 0, -1, 0, 0, 0)),
    "N": (1.0, (1, 1, -2, 0, 0, 0)),
    "Pa": (1.0, (-1, 1, -2, 0, 0, 0)),
    "J": (1.0, (2, 1, -2, 0, 0, 0)),
    "W": (1.0, (2, 1, -3, 0, 0, 0)),
    "C": (1.0, (0, 0, 1, 1, 0, 0)),
    "V": (1.0, (2, 1, -3, -1, 0, 0)),
    "F": (1.0, (-2, -1, 4, 2, 0, 0)),
    "S": (1.0, (-2, -1, 3, 2, 0, 0)),
    "Ohm": (1.0, (2, 1, -3, -2, 0, 0)),
}
PREFIXES = {"": 1.0, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "c": 1e-2, "d": 1e-1, "k": 1e3, "M": 1e6,
            "G": 1e9}


def read_unit(value: Value) -> tuple[str, Unit]:
    """The unit as text (``mS/cm^2``) and as factor and exponents; ModelError where it is none."""
    return _text(value.expr), _read(value.expr, value)


@cache
def _of_text(text: str) -> Unit:
    """A unit in a plain form: names joined by * and /, each with an optional ^power."""
    total, dimension, sign = 1.0, [0.0] * 6, 1
    for part in re.split(r"([*/])", text):
        if part in "*/":
            sign = 1 if part == "*" else -1
            continue
        if part == "1":
            continue
        name, _, power = part.partition("^")
        place = Place(text)
        f, d = _named(name, Value(Name(name), {name: place}, place))
        exponent = sign * int(power or 1)
        total *= f**exponent
        dimension = [x + exponent * y for x, y in zip(dimension, d, strict=True)]
    return total, tuple(dimension)


def factor(text: str) -> float:
    """The factor to SI of a unit in a plain form."""
    return _of_text(text)[0]


def dimension(text: str) -> tuple[float, ...]:
    """The exponents of the base units of a unit in a plain form: alike for units of one kind."""
    return tuple(_of_text(text)[1])


def same_dimension(unit: Unit, target: str, text: str) -> bool:
    """Whether a quantity in ``unit`` can be the global ``target``, which is in ``text``.

    V and Iion are never converted; Iion may be per capacitance, which is the same number at 1 uF/cm^2.
    """
    exact = target in ("Vm", "Iion")
    allowed = [_of_text(text), *([_of_text("uA/uF")] if target == "Iion" else [])]
    return any(unit[1] == dimension and (not exact or abs(unit[0] / f - 1) < 1e-9) for f, dimension in allowed)


def _read(expr: Expr, value: Value) -> Unit:
    match expr:
        case Num(number) if number > 0:
            return number, UNITS["unitless"][1]
        case Name(name):
            return _named(name, value)
        case Binary("*" | "/" as op, a, b):
            (fa, da), (fb, db) = _read(a, value), _read(b, value)
            if op == "*":
                return fa * fb, tuple(x + y for x, y in zip(da, db, strict=True))
            return fa / fb, tuple(x - y for x, y in zip(da, db, strict=True))
        case Binary("^", a, Num(power)):
            f, d = _read(a, value)
            return f**power, tuple(power * x for x in d)
    raise ModelError(value.place, f"'{_text(value.expr)}' is no unit",
                     "write units like mV, uA/cm^2, mM/ms, ms^-1, unitless")


def _named(name: str, value: Value) -> Unit:
    for prefix, scale in PREFIXES.items():
        stem = name.removeprefix(prefix) if name.startswith(prefix) else ""
        if stem in UNITS and not (prefix and stem == "unitless"):
            return scale * UNITS[stem][0], UNITS[stem][1]
    common = ["mV", "ms", "uA", "mS", "uF", "mM", "uM", "cm", "um", "kPa"]
    raise ModelError(value.uses[name], f"unknown unit '{name}'", did_you_mean(name, [*common, *UNITS]))


def _text(expr: Expr) -> str:
    match expr:
        case Num(number):
            return f"{number:g}"
        case Name(name):
            return name
        case Unary(op, a):
            return f"{op}{_text(a)}"
        case Binary(op, a, b):
            right = f"({_text(b)})" if op == "/" and isinstance(b, Binary) and b.op in "*/" else _text(b)
            return f"{_text(a)}{op}{right}"
    return "this"
