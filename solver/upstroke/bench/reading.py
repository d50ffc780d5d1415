"""Numbers and lines of text as users write them, in options and in files."""

from __future__ import annotations

import math
from pathlib import Path

from upstroke.errors import OptionError, Place


def finite(word: str) -> float | None:
    """The number that a word is; None where it is no finite one."""
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def number_of(where: str | Place, word: str, entry: str) -> float:
    """A finite number in an entry of an option; OptionError where it is none."""
    number = finite(word)
    if number is None:
        raise OptionError(where, f"'{entry}': '{word.strip()}' is no number", "give finite numbers")
    return number


def lines_of(path: Path, option: str, remedy: str) -> list[tuple[Place, str]]:
    """The lines of a text file that ``option`` names, each with its place, without comments (#) and empty lines.

    Raises
    ------
    OptionError with ``remedy`` where the file cannot be read
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text file in UTF-8"
        raise OptionError(option, f"cannot read {path}: {reason}", remedy) from None
    lines = [(Place(str(path), n, 0, line), line.partition("#")[0].strip())
             for n, line in enumerate(text.splitlines(), 1)]
    return [(place, content) for place, content in lines if content]
