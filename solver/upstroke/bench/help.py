"""The help of ``upstroke bench``, in three levels, laid out as users of openCARP know it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from upstroke import __version__
from upstroke.bench.catalogue import SECTIONS, Option, Section

_INDENT, _WIDTH = 29, 100
_HEAD = """Single cell experiments. All times in ms; all voltages in mV; currents in uA/cm^2

Usage: upstroke bench [OPTION]...

A long option may be shortened as long as it is clear, -c60 is -c 60, and --bcl 500 is --bcl=500. Options of two modes
exclude each other.
"""


def answer(asked: str) -> str:
    """The text for --help, --detailed-help, --full-help or --version."""
    if asked == "version":
        return f"upstroke bench {__version__}"
    details, hidden = asked != "help", asked == "full-help"
    return "\n".join([_HEAD, *(text for section in SECTIONS if (text := _section(section, details, hidden)))])


def _section(section: Section, details: bool, hidden: bool) -> str:
    options = [option for option in section.options if hidden or not option.hidden]
    if not options:
        return ""
    head = [f"{section.title}:"] if section.title and not section.title.startswith(("Mode", "Group")) else []
    head = head or ([section.title] if section.title else [])
    head += [f"  {section.note}"] if section.note else []
    return "\n".join([*head, *(_option(option, details) for option in options), ""])


def _option(option: Option, details: bool) -> str:
    metavar = f"={option.kind.metavar}" if option.kind else ""
    short = f"-{option.short}, " if option.short else "    "
    left = f"  {short}--{option.name}{f'[{metavar}]' if option.bare is not None else metavar}"
    text = option.help + _default(option)
    if option.refused:
        text += f" (not available: {option.refused})"
    right = textwrap.wrap(text, _WIDTH - _INDENT)
    lines = [left] if len(left) >= _INDENT - 1 else [f"{left:<{_INDENT}}{right.pop(0)}"]
    lines += [" " * _INDENT + line for line in right]
    if details and option.details:
        lines += [" " * (_INDENT + 2) + line for line in textwrap.wrap(option.details, _WIDTH - _INDENT - 2)]
    return "\n".join(lines)


def _default(option: Option) -> str:
    """What holds where the option is not given, unless that says nothing."""
    value = option.default
    if isinstance(value, tuple):
        value = ":".join(str(part) for part in value)
    if isinstance(value, bool):
        value = "on" if value else "off"
    if isinstance(value, float):
        value = f"{value:g}"
    bare = f"  (`{option.bare}' if it stands alone)" if isinstance(option.bare, (str, Path)) else ""
    return (f"  (default=`{value}')" if value not in (None, "") else "") + bare
