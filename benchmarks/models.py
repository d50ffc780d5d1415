"""How well every ionic model agrees with the figures in tests/data/models, what fewer digits cost, and how fast it is.

    python benchmarks/models.py [--only COLUMN]... [--missing] [NAME ...]

Columns, the first three of them of several models at once:

    agreement   largest relative error of a rate; RMS of the first beat outside its upstroke; error of its APD90, of the
                cycle or of spikes
    precision   what fp32 and mixed precision change of that time against fp64, at the same step
    beats       how far the hundredth beat is from the first
    speed       cell-steps per second, and the ratio to tenTusscherPanfilov's; on a quiet machine only

What is not measured keeps its old figures; --missing measures only what has none, and so goes on where it stopped.
Then: python -m upstroke.ionic.page benchmarks/results/models.json > docs/models.md
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import model_figures
from timing import stamp

from upstroke.backend.compiler import compile_c
from upstroke.errors import UpstrokeError
from upstroke.ionic import shipped_models

RESULTS = Path(__file__).with_name("results") / "models.json"
COLUMNS = {"agreement": model_figures.agreement, "precision": model_figures.precision, "beats": model_figures.beats,
           "speed": model_figures.speed}
JOBS = min(4, os.cpu_count() or 1)


def measure(column: str, name: str) -> dict[str, Any]:
    """A model's figures of one column; what broke is told in its place."""
    try:
        return COLUMNS[column](name)
    except (AssertionError, UpstrokeError) as error:
        return {"failed": str(error).partition("\n")[0]}


def compiled(name: str) -> None:
    """The kernel whose speed is measured, into the cache."""
    compile_c(model_figures.fast_source(name))


def measured(column: str, names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    with ProcessPoolExecutor(JOBS) as pool:
        if column == "speed":                       # compiled side by side, timed alone
            list(pool.map(compiled, {*names, model_figures.RIVAL}))
        else:
            jobs = {pool.submit(measure, column, name): name for name in names}
            for job in as_completed(jobs):
                yield jobs[job], job.result()
            return
    for name in names:
        yield name, measure(column, name)


def main() -> None:
    known = sorted((info.name for info in shipped_models() if info.name in model_figures.checks.FILES), key=str.lower)
    parser = argparse.ArgumentParser(description="measure the ionic models for docs/models.md")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these models")
    parser.add_argument("--only", action="append", choices=COLUMNS, help="only this column; may be repeated")
    parser.add_argument("--missing", action="store_true", help="only what has no figures yet")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {*known}:
        parser.error(f"no model {', '.join(sorted(unknown))}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"models": {}}
    models = results["models"]
    for column in arguments.only or COLUMNS:
        names = [name for name in arguments.names or known if not arguments.missing
                 or "failed" in models.get(name, {}).get(column, {"failed": "not measured"})]
        if column == "speed" and names:
            results["speed"] = stamp() | {"threads": model_figures.THREADS, "cells": model_figures.CELLS}
        for name, figures in measured(column, names):
            print(column, name, figures, flush=True)
            models.setdefault(name, {})[column] = figures
            results["models"] = {n: models[n] for n in known if n in models}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
