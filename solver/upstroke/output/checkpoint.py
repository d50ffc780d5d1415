"""Checkpoint files: everything that a run changes, such that it goes on from there bit for bit.

A checkpoint is a NumPy .npz file (a zip file, whose entries carry checksums) with the arrays by name (``node.``: by the
mesh's nodes, whoever had them) and, as JSON under ``about``, the numbers. It is written beside its place, forced to the
disk and then renamed, so one that has its name is whole. The last two are kept until the run is done.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import OutputError
from upstroke.output.files import explained, plain

KEPT = 2
_NAME = re.compile(r"checkpoint-(\d+)\.npz")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds; ``about`` are JSON's types. ``notes`` tell of newer ones that could not be read."""

    path: Path
    about: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    notes: tuple[str, ...] = ()


def write_checkpoint(folder: Path, step: int, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write ``checkpoint-<step>.npz`` and remove all but the last two.

    Raises
    ------
    OutputError where the system refuses; the last two are then as they were
    """
    path = folder / checkpoint_name(step)
    part = folder / f".{path.name}.part"
    text = np.frombuffer(json.dumps(plain(about)).encode(), np.uint8)
    with explained(path):
        try:
            with part.open("wb") as file:
                np.savez(file, allow_pickle=False, about=text, **{f"array {name}": a for name, a in arrays.items()})
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
            _to_disk(folder)
        finally:
            part.unlink(missing_ok=True)
        for old in checkpoints_in(folder)[KEPT:]:
            old.unlink()
    return path


def checkpoint_name(step: int) -> str:
    """What a checkpoint after so many steps is called."""
    return f"checkpoint-{step:09d}.npz"


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints of a run directory, newest first."""
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)


def newest_checkpoint(folder: Path) -> Checkpoint:
    """The newest checkpoint that is whole.

    Raises
    ------
    OutputError where there is none
    """
    broken = list[str]()
    for path in checkpoints_in(folder):
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:   # an entry read is one checked
                arrays = {name.removeprefix("array "): file[name] for name in file.files if name != "about"}
                about = json.loads(file["about"].tobytes())
            return Checkpoint(path, about, arrays, tuple(broken))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            broken.append(f"{path.name} is damaged ({why}); the one before it is used")
    if broken:
        raise OutputError(str(folder), "all its checkpoints are damaged", "run the case again")
    raise OutputError(str(folder), "holds no checkpoint",
                      'run the case again; --checkpoint-every "30 min" leaves some')


def clear_away(folder: Path, *, all_checkpoints: bool = False) -> None:
    """Remove files that a killed run had begun to write; and the checkpoints of a run that needs none any more."""
    begun = [*folder.glob(".*.part*"), *folder.glob(".*.layout")]
    for path in begun + (checkpoints_in(folder) if all_checkpoints else []):
        path.unlink(missing_ok=True)


def _to_disk(folder: Path) -> None:
    """Make the system write a folder's names."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
