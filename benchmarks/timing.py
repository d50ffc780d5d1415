"""Fair timing on noisy machines: contestants take turns, many rounds; medians and spreads are reported, then ratios."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import upstroke
from upstroke.backend import open_backend
from upstroke.output.manifest import commit

RESULTS = Path(__file__).parent / "results"
#: Whose kernels are timed: small and large, phenomenological and ionic
MODELS = ("AlievPanfilov", "HodgkinHuxley", "MitchellSchaeffer", "tenTusscherPanfilov", "OHara")


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: median, least and most of the rounds."""

    median: float
    least: float
    most: float


def take_turns(contestants: Mapping[str, Callable[[], None]], rounds: int = 7,
               clock: Callable[[], float] = time.thread_time) -> dict[str, Timing]:
    """CPU seconds of this thread, or another clock's, per call of each contestant, one warm-up first, then in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, call in contestants.items():
            start = clock()
            call()
            if turn:
                seconds[name].append(clock() - start)
    return {name: Timing(median(s), min(s), max(s)) for name, s in seconds.items()}


def stamp() -> dict[str, Any]:
    """Where and when a result was made."""
    return {"version": upstroke.__version__, "commit": commit(), **open_backend("cpu", 1).describe(),
            "date": datetime.now(UTC).isoformat(timespec="seconds")}


def write(name: str, content: Mapping[str, Any], table: str) -> None:
    """results/<name>.json and results/<name>.md, and the table on the terminal."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(table)
    print(table)
