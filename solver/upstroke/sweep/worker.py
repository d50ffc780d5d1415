"""A worker: a process that runs members of a study, one after the other, as it is told on its standard input.

A line in is a JSON object {"sources", "overrides", "out"}; a line out tells how it went: {"status", "error",
"seconds"}. It ends at once when its input is closed, so that no worker outlives the sweep that started it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

Outcome = dict[str, Any]


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


def main() -> None:
    """Run what comes until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)                                      # what libraries print must not be taken for an answer
    signal.signal(signal.SIGTERM, _end)
    with suppress(KeyboardInterrupt):
        for line in _orders():
            answers.write(json.dumps(run_member(json.loads(line))) + "\n")
            answers.flush()
