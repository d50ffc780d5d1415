"""How well a study fills the cores: 64 small runs by one worker and by as many as there are cores, in turns.

    python benchmarks/sweep.py [--rounds 3] [--members 64]
    python benchmarks/sweep.py --batched [--rounds 3] [--only "441 nodes, beta"]

Throughput is members per second of the whole command's time, from the first worker's start to the table. The best that
can be is the number of cores times what one worker reaches that has nothing to wait for: the seconds that the members
themselves took.

With --batched instead: studies whose members are runs of their own, and the same with members run as one, in turns. CPU
seconds are those of all processes, which a machine that others use disturbs less than the wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from timing import RESULTS, stamp, write

from upstroke.backend.cpu import available_threads
from upstroke.sweep import read_plan, sweep

CASES = Path(__file__).parents[1] / "cases"
#: Of each study that is run batched and not: what it varies, the keys of all members, how many there are.
STUDIES = {
    "441 nodes, beta": ('tissue.surface_to_volume = { low = "120 /mm", high = "160 /mm" }',
                        ("mesh.dx=['2 mm', '1 mm']", "time.end=60 ms"), 64),
    "2,601 nodes, beta": ('tissue.surface_to_volume = { low = "120 /mm", high = "160 /mm" }',
                          ("mesh.dx=['0.8 mm', '0.4 mm']", "time.end=60 ms"), 32),
    "10,201 nodes, beta": ('tissue.surface_to_volume = { low = "120 /mm", high = "160 /mm" }',
                           ("time.end=60 ms",), 16),
    "441 nodes, ten Tusscher-Panfilov, GNa": (
        "membrane.parameters.GNa = { low = 10.0, high = 15.0 }",
        ("mesh.dx=['2 mm', '1 mm']", "membrane.model=tenTusscherPanfilov", "tissue.waves=lumped", "time.dt=0.02 ms",
         "time.end=20 ms"), 4)}


def batched(rounds: int, only: str | None) -> None:
    """Each study by one worker with batch = 1 and with all members as one; kernels are compiled anew each time.

    ``only`` is a study to measure anew; the rows of the others are those of the last time.
    """
    kept = RESULTS / "sweep_batched.json"
    rows = json.loads(kept.read_text())["rows"] if only and kept.exists() else []
    rows = [row for row in rows if row["study"] != only]
    for name, (varied, keys, members) in STUDIES.items():
        if only not in (None, name):
            continue
        found: dict[int, list[tuple[float, float]]] = {1: [], members: []}
        for _ in range(rounds):
            for batch, times in found.items():
                with tempfile.TemporaryDirectory() as folder:
                    study = Path(folder) / "study.toml"
                    study.write_text(f'case = "{CASES / "sheet"}"\n[run]\nworkers = 1\nbatch = {batch}\n[sample]\n'
                                     f"count = {members}\n{varied}\n")
                    os.environ["UPSTROKE_CACHE"] = f"{folder}/cache"
                    plan = read_plan(study, (*keys, "output.picture=false", "backend.device=cpu"))
                    before, start = os.times(), time.perf_counter()
                    assert sweep(plan, Path(folder) / "out").count("done") == members
                    wall, after = time.perf_counter() - start, os.times()
                    times.append((wall, sum(after[:4]) - sum(before[:4])))
        rows.append({"study": name, "members": members, "rounds": rounds} | {
            "apart" if batch == 1 else "together": {
                kind: {"median": median(values), "least": min(values), "most": max(values)}
                for kind, values in zip(("wall_s", "cpu_s"), zip(*times, strict=True), strict=True)}
            for batch, times in found.items()})
        rows[-1]["ratio"] = {kind: rows[-1]["apart"][kind]["median"] / rows[-1]["together"][kind]["median"]
                             for kind in ("wall_s", "cpu_s")}
    tell(rows)


def tell(rows: list[dict[str, Any]]) -> None:
    """Write the table of the batched studies."""
    def shown(times: dict[str, float]) -> str:
        return f"{times['median']:.1f} ({times['least']:.1f} to {times['most']:.1f})"

    table = ["# Members run as one, on a CPU", "",
             f"`python benchmarks/sweep.py --batched`; sheets, one worker with one thread, its start included; "
             f"{stamp()['processor']}, commit {stamp()['commit']}, {stamp()['date']}.",
             "Medians (least to most) of the rounds, in turns. The ratio is that of the medians; above 1 the "
             f"batch is faster. The machine's load was {os.getloadavg()[2]:.0f} on {available_threads()} cores: CPU "
             "seconds tell more than wall seconds.", "",
             "| study | members | rounds | CPU s apart | CPU s together | ratio | wall s apart | wall s together | "
             "ratio |",
             "|---|---|---|---|---|---|---|---|---|"]
    table += [f"| {row['study']} | {row['members']} | {row['rounds']} | {shown(row['apart']['cpu_s'])} | "
              f"{shown(row['together']['cpu_s'])} | {row['ratio']['cpu_s']:.2f} | {shown(row['apart']['wall_s'])} | "
              f"{shown(row['together']['wall_s'])} | {row['ratio']['wall_s']:.2f} |" for row in rows]
    write("sweep_batched", {**stamp(), "rows": rows}, "\n".join(table) + "\n")


def filled(rounds: int, members: int) -> None:
    """One study by one worker and by one for each core."""
    cores = available_threads()
    found: dict[int, list[tuple[float, float]]] = {1: [], cores: []}
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.toml"
        study.write_text(f'case = "{CASES / "sheet"}"\n[sample]\ncount = {members}\n'
                         'tissue.surface_to_volume = { low = "120 /mm", high = "160 /mm" }\n')
        plan = read_plan(study, ("time.end=60 ms", "output.picture=false"))
        for turn in range(rounds):
            for workers in found:
                start = time.perf_counter()
                result = sweep(plan, Path(folder) / f"{turn}-{workers}", workers=workers)
                wall = time.perf_counter() - start
                assert result.count("done") == members
                found[workers].append((wall, sum(row["seconds"] for row in result.rows)))
    rows, own = [], median(seconds for _, seconds in found[1])
    for workers, times in found.items():
        walls = [wall for wall, _ in times]
        wall = median(walls)
        rows.append({"workers": workers, "wall_s": wall, "spread": (max(walls) - min(walls)) / wall,
                     "members_s": median(seconds for _, seconds in times), "cores_filled": own / wall})
    table = ["# A study of small runs", "",
             f"`python benchmarks/sweep.py`; {members} members, each a sheet of 10,201 nodes for 60 ms; "
             f"{stamp()['processor']}, {cores} cores, commit {stamp()['commit']}, {stamp()['date']}.",
             "Cores filled: seconds that the members take one after the other in one worker, over the wall time of the "
             "whole study.", "", "| workers | wall s | spread | seconds of all members | cores filled |",
             "|---|---|---|---|---|"]
    table += [f"| {row['workers']} | {row['wall_s']:.2f} | {100 * row['spread']:.0f} % | {row['members_s']:.2f} | "
              f"{row['cores_filled']:.2f} |" for row in rows]
    write("sweep", {**stamp(), "members": members, "rows": rows}, "\n".join(table) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--members", type=int, help="of the study without --batched (default 64)")
    parser.add_argument("--batched", action="store_true", help="members run as one, beside runs of their own")
    parser.add_argument("--only", choices=STUDIES, help="of these the one to measure anew")
    arguments = parser.parse_args()
    if (arguments.members if arguments.batched else arguments.only) is not None:
        parser.error("--only goes with --batched, --members without it")
    if arguments.batched:
        batched(arguments.rounds, arguments.only)
    else:
        filled(arguments.rounds, arguments.members or 64)


if __name__ == "__main__":
    main()
