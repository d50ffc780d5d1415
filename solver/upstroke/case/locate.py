"""The rooms name a key of the case in their errors ("stimulus.0"); here it gets its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from upstroke.case.schema import Case
from upstroke.case.words import keys
from upstroke.errors import ErrorList, Place, UpstrokeError


@contextmanager
def located(case: Case, section: str = "") -> Iterator[None]:
    """Gives every error raised inside whose place is a key of the case the file and line where that was written.

    With ``section`` ("membrane"), an error that names no key is placed at that table, with the options that change it.

    ``stimulus.0: touches no node`` becomes ``case.toml:12: stimulus.0: touches no node``. Rooms see only their own
    section of the case, so they cannot do it themselves.
    """
    try:
        yield
    except UpstrokeError as error:
        if not isinstance(error.where, str) or isinstance(error, ErrorList):
            raise
        key = re.match(r"\w+(?:\.\w+)*", error.where)
        known = key is not None and key[0].partition(".")[0] in keys(Case)
        if not (known or section):
            raise
        place = case.where(key[0]) if key is not None and known else _with_options(case, section)
        what = ": ".join(part for part in ("" if known else section, error.where, error.what) if part)
        raise type(error)(place, what, error.remedy) from error.__cause__


def _with_options(case: Case, section: str) -> Place:
    """The place of a table, and the options of the command line that change it."""
    table = case.where(section)
    options = dict.fromkeys(place.file for key, place in case.places.items()
                            if key.startswith(f"{section}.") and place.file.startswith("--set "))
    return Place(", ".join([str(table), *(option for option in options if option != table.file)]))
