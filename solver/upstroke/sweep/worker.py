"""A worker: a process that runs members of a study, one job after the other, as it is told on its standard input.

A line in is a job, a JSON object {"members", "most"}: members are [number, {"sources", "overrides", "out"}], of which
at most so many go together (null: as many as fit). A line out is its answer {"done", "again"}: [number, {"status",
"error", "seconds"}] of those that have ended, and jobs, as lists of numbers, of those that are to be run in smaller
company. It ends at once when its input is closed, so that no worker outlives the sweep that started it.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

Outcome = dict[str, Any]
Answer = dict[str, Any]


def run_job(job: Mapping[str, Any]) -> Answer:
    """Run a member, or several as one; those that cannot go on together are to be run again."""
    numbers, tasks = [number for number, _ in job["members"]], [task for _, task in job["members"]]
    _clear(tasks)                                                # of what larger company has left, when it was killed
    if len(tasks) == 1:
        return {"done": [[numbers[0], run_member(tasks[0])]], "again": []}
    from upstroke.batch import Parted, halves, run_together
    from upstroke.case import load_case

    start = time.perf_counter()
    try:
        results = run_together([load_case(*task["sources"], overrides=tuple(task["overrides"])) for task in tasks],
                               [Path(task["out"]) for task in tasks], job["most"])
    except Exception as error:                                   # whose fault it is, comes out when they are apart
        _clear(tasks)
        parts = [[numbers[k] for k in part] for part in error.parts] if isinstance(error, Parted) else halves(numbers)
        return {"done": [], "again": parts}
    seconds = round((time.perf_counter() - start) / len(tasks), 3)
    return {"done": [[number, {"status": "done", "error": "", "device": result.device, "seconds": seconds,
                               "batch": len(tasks)}] for number, result in zip(numbers, results, strict=True)],
            "again": []}


def _clear(tasks: Sequence[Mapping[str, Any]]) -> None:
    """Remove the runs that these members have left."""
    for task in tasks:
        if (Path(task["out"]) / "manifest.json").exists():
            shutil.rmtree(task["out"])


def run_member(task: Mapping[str, Any]) -> Outcome:
    """Run one case into a directory; whatever happens is told, not raised."""
    from upstroke.case import load_case
    from upstroke.errors import Ended, UpstrokeError
    from upstroke.run import run

    start = time.perf_counter()
    try:
        result = run(load_case(*task["sources"], overrides=tuple(task["overrides"])), task["out"])
        outcome = {"status": "done", "error": "", "device": result.device}
    except Ended as error:
        if error.told:
            raise KeyboardInterrupt("terminated") from error
        outcome = {"status": "failed", "error": " ".join(str(error).split())}
    except UpstrokeError as error:
        outcome = {"status": "failed", "error": " ".join(str(error).split())}
    except Exception as error:
        outcome = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    return outcome | {"seconds": round(time.perf_counter() - start, 3)}


def _lines(into: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        into.put(line)
    os._exit(1)             # whoever gave the orders is gone


def _orders() -> Iterable[str]:
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_lines, args=(waiting,), daemon=True).start()
    while True:
        yield waiting.get()


def _end(*_: object) -> None:
    """A run that is told to end closes its files first."""
    raise KeyboardInterrupt("terminated")


def tell_gpus() -> None:
    """Print how many GPUs there are, or why none can be used."""
    from upstroke.backend import why_no_gpu

    why, _ = why_no_gpu()
    if not why:
        from upstroke.backend.cuda_ranks import visible_devices

        why = str(len(visible_devices()))
    print(why)


def main() -> None:
    """Run what comes until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)                                      # what libraries print must not be taken for an answer
    signal.signal(signal.SIGTERM, _end)
    with suppress(KeyboardInterrupt):
        for line in _orders():
            answers.write(json.dumps(run_job(json.loads(line))) + "\n")
            answers.flush()
