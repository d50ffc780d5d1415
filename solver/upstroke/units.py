"""The one unit table: quantities are text with a unit outside, plain numbers in one coherent system inside.

Inside: cm, ms, mV, uA, mS, kOhm, uF, mM, so that no formula carries a conversion factor (mS/uF = 1/ms).
``pint`` knows the units; conversion is exact (rational numbers), so "0.2 mm" becomes the float 0.02 and nothing else.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

from upstroke.errors import UnitError, did_you_mean

if TYPE_CHECKING:
    import pint


@dataclass(frozen=True)
class Kind:
    """A kind of quantity: its name in messages, its internal unit, and examples of what is accepted."""

    name: str
    unit: str
    example: str
    units: tuple[str, ...]   # the usual units, for "did you mean"


KINDS: dict[str, Kind] = {
    "length": Kind("a length", "cm", "0.2 mm", ("um", "mm", "cm", "m")),
    "time": Kind("a time", "ms", "0.02 ms", ("us", "ms", "s")),
    "voltage": Kind("a voltage", "mV", "-40 mV", ("uV", "mV", "V")),
    "conductivity": Kind("a conductivity", "mS/cm", "0.17 S/m", ("S/m", "mS/cm", "mS/mm", "S/cm")),
    "surface_to_volume": Kind("a surface-to-volume ratio", "1/cm", "140 /mm", ("/mm", "/cm", "/um", "/m")),
    "capacitance": Kind("a capacitance per area", "uF/cm^2", "1 uF/cm^2", ("uF/cm^2", "uF/mm^2", "F/m^2")),
    "total_capacitance": Kind("a capacitance", "uF", "100 pF", ("pF", "nF", "uF")),
    "current_density": Kind("a current per area", "uA/cm^2", "35.7 uA/cm^2", ("uA/cm^2", "uA/mm^2", "A/m^2")),
    "volume_current": Kind("a current per volume", "uA/cm^3", "50000 uA/cm^3", ("uA/cm^3", "uA/mm^3", "A/m^3")),
    "resistivity": Kind("a resistivity", "kohm*cm", "150 ohm*cm", ("kohm*cm", "ohm*cm", "ohm*m")),
    "current": Kind("a current", "uA", "0.5 nA", ("pA", "nA", "uA", "mA")),
    "conductance": Kind("a conductance", "mS", "1 nS", ("pS", "nS", "uS", "mS")),
    "resistance": Kind("a resistance", "kohm", "10 Mohm", ("ohm", "kohm", "Mohm", "Gohm")),
    "temperature": Kind("a temperature", "degC", "37 degC", ("kelvin", "degC")),
    "concentration": Kind("a concentration", "mM", "5.4 mM", ("nM", "uM", "mM", "M", "mmol/L")),
    "velocity": Kind("a velocity", "cm/ms", "0.6 m/s", ("cm/s", "m/s", "mm/ms", "cm/ms")),
    "frequency": Kind("a frequency", "1/ms", "2 Hz", ("Hz", "kHz", "1/s", "1/ms")),
}

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\d.])\s*(.*?)\s*", re.DOTALL)
_TERM = r"[A-Za-zµμΩ°][A-Za-z_]*(?:(?:\^|\*\*)?[+-]?\d|⁻?[¹²³])?"
_UNIT = re.compile(rf"(?:1? ?/ ?)?{_TERM}(?:(?: ?[*·/] ?| ){_TERM})*")


def parse(text: object, kind: str) -> float:
    """The value of ``text`` ("0.2 mm", "140 /mm", "35.7 uA/cm2") in the internal unit of ``kind``.

    A unit is a product of names with one-digit powers: ``uA/cm^2``, ``uA/cm2``, ``uA cm^-2``, ``1/mm``, ``/mm``.
    Raises ``UnitError`` (with an empty place, which the caller fills in) for a bare number, text without a number, a
    unit that does not exist or measures something else, and a value that is not finite.
    """
    wanted = KINDS[kind]
    example = f'for example "{wanted.example}"'
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        if isinstance(text, float) and not math.isfinite(text):
            raise UnitError("", f"{text} is not finite, expected {wanted.name}", example)
        usual = " or ".join(f'"{text} {unit}"' for unit in wanted.units[1:3])
        raise UnitError("", f"{text} has no unit, expected {wanted.name}", f"write {usual}")
    if not isinstance(text, str):
        raise UnitError("", f"expected {wanted.name} with its unit, found {text!r}", example)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UnitError("", f'"{text}" does not start with a number, expected {wanted.name}', example)
    number, unit = match.groups()
    if not unit:
        usual = " or ".join(f'"{number} {name}"' for name in wanted.units[1:3])
        raise UnitError("", f'"{text}" has no unit, expected {wanted.name}', f"write {usual}")
    # A power beyond 400 is no quantity of ours, and as an exact rational it would fill the memory.
    exponent = int(re.split("[eE]", number)[1]) if re.search("[eE]", number) else 0
    if abs(exponent) > 400 or len(number) > 400:
        raise UnitError("", f'"{text}" is beyond the numbers a computer can hold', example)
    try:
        value = float(_convert(Fraction(number), unit, kind))
    except OverflowError:
        raise UnitError("", f'"{text}" is beyond the numbers a computer can hold', example) from None
    except _Unreadable:
        raise UnitError("", f'cannot read the unit in "{text}", expected {wanted.name}', example) from None
    except _Unknown as error:
        name = str(error)
        near = did_you_mean(name, wanted.units)
        raise UnitError("", f'unknown unit "{name}" in "{text}", expected {wanted.name}',
                        near if near.startswith("did") else example) from None
    except _Mismatch as error:
        found = f"is {error}, not {wanted.name}" if str(error) else f"is not {wanted.name}"
        raise UnitError("", f'"{text}" {found}', example) from None
    return value


def format_quantity(value: float, kind: str) -> str:
    """``value`` in the internal unit of ``kind``, as text that ``parse`` turns into exactly the same number."""
    number = repr(float(value))
    return f"{number.removesuffix('.0')} {KINDS[kind].unit}"


class _Unreadable(Exception):
    """The text is not of the form of a unit."""


class _Unknown(Exception):
    """A name that is no unit."""


class _Mismatch(Exception):
    """A unit of another dimension; carries the kind it measures, where that is one of ours."""


def _convert(number: Fraction, unit: str, kind: str) -> Fraction:
    ureg = _registry()
    source, target = _unit(unit), _unit(KINDS[kind].unit)
    if source.dimensionality != target.dimensionality:
        found = [k.name for k in KINDS.values() if _unit(k.unit).dimensionality == source.dimensionality]
        raise _Mismatch(found[0] if found else "")
    if source == target:
        return number
    return Fraction(ureg.Quantity(number, source).to(target).magnitude)


@cache
def _unit(text: str) -> pint.Unit:
    """The unit that ``text`` names; only the syntax above reaches pint, whose own parser is far more liberal."""
    from pint.errors import UndefinedUnitError

    text = " ".join(text.split())
    if not _UNIT.fullmatch(text):
        raise _Unreadable
    text = re.sub(r"([A-Za-zµμΩ°_])(?:\^|\*\*)?([+-]?\d)", r"\1**\2", text).replace("·", "*")
    if text.startswith("/"):
        text = "1" + text
    try:
        return _registry().parse_units(text)
    except UndefinedUnitError as error:
        names = error.unit_names
        raise _Unknown(names if isinstance(names, str) else next(iter(names))) from None


@cache
def _registry() -> pint.UnitRegistry:
    """pint's registry with rational numbers; loaded at the first quantity because pint takes half a second."""
    import pint

    return pint.UnitRegistry(non_int_type=Fraction)
