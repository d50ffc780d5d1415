"""How well a study fills the cores: 64 small runs by one worker and by as many as there are cores, in turns.

    python benchmarks/sweep.py [--rounds 3] [--members 64]

Throughput is members per second of the whole command's time, from the first worker's start to the table. The best that
can be is the number of cores times what one worker reaches that has nothing to wait for: the seconds that the members
themselves took.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from timing import stamp, write

from upstroke.backend.cpu import available_threads
from upstroke.sweep import read_plan, sweep

CASES = Path(__file__).parents[1] / "cases"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--members", type=int, default=64)
    arguments = parser.parse_args()
    cores = available_threads()
    found: dict[int, list[tuple[float, float]]] = {1: [], cores: []}
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.toml"
        study.write_text(f'case = "{CASES / "sheet"}"\n[sample]\ncount = {arguments.members}\n'
                         'tissue.surface_to_volume = { low = "120 /mm", high = "160 /mm" }\n')
        plan = read_plan(study, ("time.end=60 ms", "output.picture=false"))
        for turn in range(arguments.rounds):
            for workers in found:
                start = time.perf_counter()
                result = sweep(plan, Path(folder) / f"{turn}-{workers}", workers=workers)
                wall = time.perf_counter() - start
                assert result.count("done") == arguments.members
                found[workers].append((wall, sum(row["seconds"] for row in result.rows)))
    rows, own = [], median(seconds for _, seconds in found[1])
    for workers, times in found.items():
        walls = [wall for wall, _ in times]
        wall = median(walls)
        rows.append({"workers": workers, "wall_s": wall, "spread": (max(walls) - min(walls)) / wall,
                     "members_s": median(seconds for _, seconds in times), "cores_filled": own / wall})
    table = ["# A study of small runs", "",
             f"`python benchmarks/sweep.py`; {arguments.members} members, each a sheet of 10,201 nodes for 60 ms; "
             f"{stamp()['processor']}, {cores} cores, commit {stamp()['commit']}, {stamp()['date']}.",
             "Cores filled: seconds that the members take one after the other in one worker, over the wall time of the "
             "whole study.", "", "| workers | wall s | spread | seconds of all members | cores filled |",
             "|---|---|---|---|---|"]
    table += [f"| {row['workers']} | {row['wall_s']:.2f} | {100 * row['spread']:.0f} % | {row['members_s']:.2f} | "
              f"{row['cores_filled']:.2f} |" for row in rows]
    write("sweep", {**stamp(), "members": arguments.members, "rows": rows}, "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
