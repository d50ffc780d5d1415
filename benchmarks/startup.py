"""How long a user waits: `upstroke --help`, and the Niederer case at 0.5 mm cold, compilation and picture included.

    python benchmarks/startup.py

Wall seconds of whole processes; "cold" starts with an empty kernel cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from timing import stamp, write

CASE = Path(__file__).parent.parent / "cases" / "niederer"
ROUNDS = 5


def seconds(*arguments: str, cold: bool = False) -> Callable[[], float]:
    """A call that runs one command in a fresh folder and says how long it took."""
    def call() -> float:
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "UPSTROKE_CACHE": folder + "/cache"} if cold else dict(os.environ)
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "upstroke", *arguments], cwd=folder, env=environment, check=True,
                           capture_output=True)
            return time.perf_counter() - start
    return call


def main() -> None:
    calls = {"upstroke --help": seconds("--help"), "niederer 0.5 mm, cold": seconds("run", str(CASE), cold=True),
             "niederer 0.5 mm, warm": seconds("run", str(CASE))}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            taken[name].append(call())
    head = stamp()
    lines = ["# Waiting times, whole processes", "",
             f"`python benchmarks/startup.py`; {head['processor']}, {head['compiler']}, {os.cpu_count()} cores, commit "
             f"{head['commit']}, {head['date']}; {ROUNDS} rounds.", "",
             "| command | median s | least s | most s |", "|---|---|---|---|"]
    lines += [f"| {name} | {median(s):.2f} | {min(s):.2f} | {max(s):.2f} |" for name, s in taken.items()]
    write("startup", {"made": head, "seconds": taken}, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
