"""Every user-facing error: where it is, what is wrong, what to do about it.

The library raises these and never prints or exits; ``cli`` prints them without a traceback and exits with
``exit_code``: 2 for a mistake in the user's input, 1 for anything that went wrong while computing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Place:
    """A place in a text file; ``line`` and ``column`` count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])

    def caret(self) -> str:
        """The line of text with a caret under the column, or nothing where either is unknown."""
        if not (self.text and self.column):
            return ""
        pad = "".join("\t" if c == "\t" else " " for c in self.text[: self.column - 1])
        return f"    {self.text}\n    {pad}^"


NOWHERE = Place("")


@dataclass(eq=False)
class UpstrokeError(Exception):
    """Base of every error that a user can meet."""

    where: Place | str
    what: str
    remedy: str = ""

    exit_code: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__init__(self.where, self.what, self.remedy)   # keeps pickling (workers, ranks) intact

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if str(self.where) else self.what]
        if isinstance(self.where, Place) and self.where.caret():
            lines.append(self.where.caret())
        if self.remedy:
            lines.append(f"  -> {self.remedy}")
        return "\n".join(lines)


class CaseError(UpstrokeError):
    """A case file asks for something that cannot be."""


class UnitError(CaseError):
    """A quantity without its unit, or with a unit of the wrong dimension."""


class OptionError(UpstrokeError):
    """Options of a command that cannot be, or not together."""


class MeshError(UpstrokeError):
    """A mesh or a file that belongs to it is unusable."""


class ModelError(UpstrokeError):
    """An ionic model's text is wrong, or a model was asked for what it lacks."""


class OutputError(UpstrokeError):
    """Results cannot be written where they were asked for."""


class Ended(UpstrokeError):
    """A run was told to end and has written a checkpoint, from which it can go on."""

    exit_code = 75       # EX_TEMPFAIL of sysexits.h: a job script may submit itself again
    told: bool = False   # by a signal, which means the process


class BackendError(UpstrokeError):
    """The machine lacks what the computation needs (a compiler, a device)."""

    exit_code = 1


class DivergenceError(UpstrokeError):
    """The solution left the finite numbers, or a solver did not converge."""

    exit_code = 1


@dataclass(eq=False)
class ErrorList(UpstrokeError):
    """Several independent mistakes, reported in one go."""

    where: Place | str = ""
    what: str = ""
    remedy: str = ""
    errors: tuple[UpstrokeError, ...] = ()

    def __post_init__(self) -> None:
        Exception.__init__(self, self.where, self.what, self.remedy, self.errors)

    def __str__(self) -> str:
        return "\n".join(str(e) for e in self.errors)


def cut_short(file: str) -> OutputError:
    """Of a run that cannot go on, as a file of it has lost what was in it."""
    return OutputError(file, "has less in it than when the checkpoint was written",
                       "put the file back, or run the case again")


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that is nearest to a word, or nothing where none is near."""
    lowered = {name.lower(): name for name in sorted(set(known))}
    near = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[near[0]] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'dt'?`` for the nearest known name, else the list of what there is."""
    names = sorted(set(known))
    if near := nearest(word, names):
        return f"did you mean {near!r}?"
    return f"known: {', '.join(names)}" if names else "there is none to choose from"
