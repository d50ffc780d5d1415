"""What a user may choose of a model without touching its file: options of flags, parameter values, methods."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from upstroke.errors import ModelError, Place, did_you_mean
from upstroke.ionic.methods import ADAPTIVE, AUTO, METHODS

_CHANGE = re.compile(r"\s*([-+*/=]?)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)\s*")
_FORMS = "write a number, or =5.6, +0.1, -62%, *0.38, /2"


def changed(name: str, default: float, change: float | str) -> float:
    """The value of a parameter after ``change``: a number, or text ``=5.6``, ``+0.1``, ``-62%``, ``*0.38``, ``/2``.

    With ``%`` the number is a share of the default: ``-62%`` leaves 38 % of it, ``+10%`` adds a tenth, ``=50%`` halves.
    """
    where = f"parameter {name}"
    if isinstance(change, str):
        found = _CHANGE.fullmatch(change)
        if found is None:
            raise ModelError(where, f"cannot read the change '{change}'", _FORMS)
        op, number = found[1] or "=", float(found[2])
        if found[3]:
            number *= 0.01 if op in "*/" else 0.01 * default
        if op == "/" and number == 0.0:
            raise ModelError(where, "division by zero", _FORMS)
        value = {"=": number, "+": default + number, "-": default - number, "*": default * number}.get(op)
        value = default / number if value is None else value
    elif isinstance(change, bool) or not isinstance(change, (int, float)):
        raise ModelError(where, f"{change!r} is no number", _FORMS)
    else:
        value = float(change)
    if not math.isfinite(value):
        raise ModelError(where, f"the value {value} is not finite", "give a finite number")
    return value


def choose_options(model: str, flags: Mapping[str, Sequence[str]], wanted: Sequence[str]) -> dict[str, str]:
    """The option chosen for each flag: ``wanted`` holds ``EPI``, ``cell_type=EPI``, or, as of old, ``EPI|SLOW``."""
    where, chosen = f"model {model}", dict[str, str]()
    if isinstance(wanted, str):
        wanted = (wanted,)
    options = [option for choices in flags.values() for option in choices]
    for word in (part.strip() for entry in wanted for part in entry.split("|")):
        flag, _, option = word.rpartition("=")
        flag, option = flag.strip(), option.strip()
        if flag and flag not in flags:
            remedy = did_you_mean(flag, flags) if flags else "the model has no flags"
            raise ModelError(where, f"no flag '{flag}'", remedy)
        holders = [name for name, choices in flags.items() if option in choices and flag in ("", name)]
        if not holders:
            known = flags[flag] if flag else options
            remedy = did_you_mean(option, known) if known else "the model has no flags"
            raise ModelError(where, f"no option '{option}'" + (f" of flag '{flag}'" if flag else ""), remedy)
        if len(holders) > 1:
            raise ModelError(where, f"option '{option}' belongs to {' and '.join(holders)}",
                             f"write {holders[0]}={option}")
        if chosen.get(holders[0], option) != option:
            raise ModelError(where, f"flag '{holders[0]}' is given both {chosen[holders[0]]} and {option}", "give one")
        chosen[holders[0]] = option
    return chosen


def known_method(name: str, where: Place | str) -> str:
    """The name itself if it is a method that can be done; else a ModelError that lists those."""
    if name in METHODS:
        return name
    available = ", ".join(METHODS)
    if name in ADAPTIVE:
        raise ModelError(where, f"the method {name} chooses its own steps: it is for single cells, not for kernels",
                         f"call {ADAPTIVE[name]}, or take {available}")
    raise ModelError(where, f"unknown method '{name}'", did_you_mean(name, [AUTO, *METHODS, *ADAPTIVE]))
