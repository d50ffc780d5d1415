"""The rooms name a key of the case in their errors ("stimulus.0"); here it gets its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from upstroke.case.schema import Case
from upstroke.case.words import keys
from upstroke.errors import UpstrokeError


@contextmanager
def located(case: Case) -> Iterator[None]:
    """Gives every error raised inside whose place is a key of the case the file and line where that was written.

    ``stimulus.0: touches no node`` becomes ``case.toml:12: stimulus.0: touches no node``. Rooms see only their own
    section of the case, so they cannot do it themselves.
    """
    try:
        yield
    except UpstrokeError as error:
        key = re.match(r"\w+(?:\.\w+)*", error.where) if isinstance(error.where, str) else None
        if key is None or key[0].partition(".")[0] not in keys(Case):
            raise
        what = f"{error.where}: {error.what}"
        raise type(error)(case.where(key[0]), what, error.remedy) from error.__cause__
