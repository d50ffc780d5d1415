"""``upstroke bench``, from its options to its results."""

from __future__ import annotations

import sys
from pathlib import Path

from upstroke.bench.curves import curves
from upstroke.bench.experiment import experiment
from upstroke.bench.folder import Folder
from upstroke.bench.info import info, tables
from upstroke.bench.options import Options
from upstroke.bench.plot import check_plot, plot
from upstroke.bench.reserve import reserve
from upstroke.bench.restitute import restitute
from upstroke.bench.subject import prepare

MODES = {"restitute": restitute, "RRC": reserve, "curves": curves}     # and experiment for all others


def bench(options: Options) -> None:
    """What the options ask for: rows on stdout or in files, everything else that is said on stderr.

    Raises
    ------
    UpstrokeError for options, names and files that do not fit, and cells that break
    """
    if options.mode == "info":
        print(info(options))
        return
    if options.given("plot"):
        check_plot(options)
    subject = prepare(options)
    _say(subject.text)
    with Folder(options, subject) as folder:
        if options["dump-lut"]:
            for name, text in tables(subject.model, subject.dt).items():
                folder.file(name).write_text(text, encoding="utf-8")
        report = MODES.get(options.mode, experiment)(options, subject, folder)
    if options.mode in MODES:
        print(report, flush=True)           # the result itself
    elif report:
        _say(report)
    _say(*(f"note: {note}" for note in folder.notes))
    if folder.path != Path():
        _say(f"results in {folder.path}")
    if options.given("plot"):
        _say(f"picture in {plot(options, folder.path, subject.calcium)}")


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)
