"""The run directory of an experiment, and what ``run.json`` in it says of how the results came about."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

from upstroke.bench.options import Options
from upstroke.bench.subject import Subject
from upstroke.errors import DivergenceError, OutputError, UpstrokeError
from upstroke.output.directory import make_run_directory
from upstroke.output.files import explained, write_json
from upstroke.output.manifest import Status, finish_manifest, start_manifest


def must_be_writable(path: Path) -> None:
    """OutputError before the work where a file could not be written after it."""
    if path.is_dir():
        raise OutputError(str(path), "is a folder, not a file", "give the name of a file")
    part = path.with_name(f".{path.name}.part")
    with explained(path):
        part.touch()
        part.unlink()


class Folder:
    """The results of one experiment, with their manifest kept true however it ends.

    Attributes
    ----------
    path : the run directory; with ``--classic`` the current directory, and no manifest
    notes : what the user should know, added to as it shows
    timings : seconds by phase
    results : findings that are numbers and no table, for ``run.json``
    """

    def __init__(self, options: Options, subject: Subject) -> None:
        self.classic: bool = options["classic"] or False
        self.path = Path() if self.classic else make_run_directory("bench", options["out"])
        self.notes = list(subject.notes)
        self.timings: dict[str, float] = {}
        self.units: dict[str, str] = {}
        self.results: dict[str, Any] = {}
        self._start = perf_counter()
        model = {"name": subject.model.name, "flags": {f.name: f.value for f in subject.model.flags},
                 "parameters": {p.name: p.value for p in subject.model.parameters}, "cells": subject.n,
                 "methods": {"V": subject.model.v_method} | {s.name: s.method for s in subject.model.states}}
        self._manifest: dict[str, Any] = start_manifest({"bench": dict(options.values), "model": model},
                                                        subject.backend.describe())
        self._write(self._manifest)

    def file(self, name: str) -> Path:
        """A place in the directory."""
        return self.path / name

    def _write(self, manifest: dict[str, Any]) -> None:
        if not self.classic:
            write_json(self.path / "run.json", manifest)

    def __enter__(self) -> Folder:
        return self

    def _undone(self, error: BaseException | None) -> bool:
        """Whether a mistake of the user was found before anything was written; the folder is gone then."""
        if not (isinstance(error, UpstrokeError) and error.exit_code == 2) or self._files():
            return False
        (self.path / "run.json").unlink()
        self.path.rmdir()
        return True

    def _files(self) -> list[str]:
        return sorted(f.name for f in self.path.iterdir() if f.name != "run.json")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self.classic or self._undone(error):
            return
        status: Status = ("done" if error is None else "interrupted" if isinstance(error, KeyboardInterrupt)
                          else "failed")
        timings = self.timings | {"all": perf_counter() - self._start}
        self._manifest |= {"units": self.units, "results": self.results}
        self._write(finish_manifest(self._manifest, status, timings, self._files(), self.notes,
                                    str(error or "")))
        if isinstance(error, KeyboardInterrupt | DivergenceError):
            error.add_note(f"what there was until then is in {self.path}")
