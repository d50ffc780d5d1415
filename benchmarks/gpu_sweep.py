"""Members of a study on a GPU: runs of their own, one after the other, and as one, in turns.

    python benchmarks/gpu_sweep.py [--budget 60] [--emulated]

Sheets of cases/sheet (60 ms, 600 steps) that differ in beta. A run's seconds are its whole time in one process, with
set-up and files; of its steps alone, the manifest tells.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from gpu_common import heading, report, say, settings, stamp, timed

from upstroke.batch import run_together
from upstroke.case import load_case
from upstroke.run import run

SHEET = Path(__file__).parents[1] / "cases" / "sheet"
SIZES = {441: "['2 mm', '1 mm']", 2601: "['0.8 mm', '0.4 mm']", 10201: "['0.4 mm', '0.2 mm']"}     # nodes: mesh.dx
MEMBERS, TINY, ROUNDS = 16, 2, 3


def members(dx: str, count: int, end: str) -> list[Any]:
    """Cases that differ in beta."""
    keys = (f"mesh.dx={dx}", f"time.end={end}", "output.picture=false", "backend.device=cuda")
    return [load_case(SHEET, overrides=(*keys, f"tissue.surface_to_volume={120 + 40 * k / count} /mm"))
            for k in range(count)]


def steps_of(folder: Path) -> float:
    """Seconds of the steps of a run."""
    return float(json.loads((folder / "manifest.json").read_text())["timings_s"]["steps"])


def turn(cases: list[Any]) -> dict[str, float]:
    """Seconds of all, apart and together, and of their steps."""
    with tempfile.TemporaryDirectory() as name:
        apart, together = ([Path(name) / f"{kind}{k}" for k in range(len(cases))] for kind in ("apart", "together"))
        _, alone_s = timed(lambda: [run(case, out) for case, out in zip(cases, apart, strict=True)])
        _, batch_s = timed(lambda: run_together(cases, together, len(cases)))
        return {"apart_s": alone_s, "together_s": batch_s, "apart_steps_s": sum(map(steps_of, apart)),
                "together_steps_s": steps_of(together[0])}


def main() -> None:
    call = settings(__doc__, 60.0)
    tiny = call.emulated
    rows, left_out = [], []
    for nodes, dx in list(SIZES.items())[:1 if tiny else None]:
        cases = members(dx, TINY if tiny else MEMBERS, "1 ms" if tiny else "60 ms")
        say(f"{nodes:,} nodes: kernels")
        turn(cases[:2])                                                # kernels are compiled
        _, two_s = timed(lambda c=cases: turn(c[:2]))
        if two_s * len(cases) / 2 > call.budget.left and not tiny:
            left_out.append(f"{nodes:,} nodes (time)")
            continue
        turns: list[dict[str, float]] = []
        spent = 0.0
        while not turns or (not tiny and len(turns) < ROUNDS and spent < call.budget.left):
            say(f"{nodes:,} nodes, round {len(turns) + 1}")
            found, spent = timed(lambda c=cases: turn(c))
            turns.append(found)
        rows.append({"nodes": nodes, "members": len(cases), "rounds": len(turns)} | {
            name: median(one[name] for one in turns) for name in turns[0]})
    head = stamp()
    lines = [*heading("Members of a study as one run, on a GPU", "gpu_sweep.py", head),
             "Seconds of all members, medians; one process.", "",
             "| nodes | members | rounds | apart s | together s | ratio | steps apart s | steps together s | ratio |",
             "|---" * 9 + "|"]
    lines += [f"| {r['nodes']:,} | {r['members']} | {r['rounds']} | {r['apart_s']:.2f} | {r['together_s']:.2f} | "
              f"{r['apart_s'] / r['together_s']:.2f} | {r['apart_steps_s']:.3f} | {r['together_steps_s']:.3f} | "
              f"{r['apart_steps_s'] / r['together_steps_s']:.2f} |" for r in rows]
    if left_out:
        lines += ["", f"Left out: {'; '.join(left_out)}."]
    report("gpu_sweep", {"made": head, "rows": rows, "left_out": left_out}, lines)


if __name__ == "__main__":
    main()
