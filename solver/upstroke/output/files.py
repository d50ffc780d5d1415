"""Files that appear whole or not at all, and strict JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from upstroke.errors import OutputError


@dataclass(frozen=True)
class Made:
    """A file that was written, and what the user should know of it."""

    path: Path
    notes: tuple[str, ...] = ()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the system's refusal to write ``path`` into an OutputError."""
    try:
        yield
    except OSError as e:
        raise OutputError(str(path), f"cannot be written: {os.strerror(e.errno) if e.errno else e}",
                          "check the free space and the rights of the folder, or write elsewhere") from e


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; it takes the place of ``path`` when the block ends well.

    Raises
    ------
    OutputError where the system refuses to write
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    with explained(path):
        try:
            yield part
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON: NaN and infinity become null; dataclasses, arrays and paths are taken as they are."""
    text = json.dumps(plain(content), indent=2, allow_nan=False, ensure_ascii=False)
    with whole_file(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """The value as JSON knows it: dict, list, str, int, finite float, bool or None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
