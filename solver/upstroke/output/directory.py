"""The run directory: always a new one, so that nothing already written is ever lost."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from upstroke.errors import OutputError


def make_run_directory(name: str, out: Path | None = None, base: Path = Path("runs")) -> Path:
    """Make the folder of a run and return it.

    Arguments
    ---------
    name : of the case; the folder is ``base/name``, or ``base/name-2``, ``-3``, ... where that exists
    out : the folder to take instead; it may exist if it is empty

    Raises
    ------
    OutputError where ``out`` holds files already, or where the folder cannot be made
    """
    try:
        if out is not None:
            return _empty(out)
        base.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = base / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()   # the system says which of two runs that start together was first
                return folder
            except FileExistsError:
                continue
    except OSError as e:
        raise OutputError(str(e.filename or out or base), f"cannot make the run directory: {e.strerror}",
                          "give a folder you may write to: --out DIR") from e
    raise AssertionError("count() does not end")


def _empty(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise OutputError(str(out), "is a file, not a folder", "give another folder: --out DIR")
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise OutputError(str(out), "exists and is not empty",
                          "give another folder: --out DIR, or empty this one; results are never overwritten")
    return out
