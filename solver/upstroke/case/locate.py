"""The rooms name a key of the case in their errors ("stimulus.0"); here it gets its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from upstroke.case.schema import Case
from upstroke.case.words import keys
from upstroke.errors import ErrorList, UpstrokeError


@contextmanager
def located(case: Case, section: str = "") -> Iterator[None]:
    """Gives every error raised inside whose place is a key of the case the file and line where that was written.

    With ``section`` ("membrane"), an error that names no key is placed at that table.

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
        place = case.where(key[0] if key is not None and known else section)
        what = ": ".join(part for part in ("" if known else section, error.where, error.what) if part)
        raise type(error)(place, what, error.remedy) from error.__cause__
