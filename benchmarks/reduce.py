"""Reduced pyramidal cells beside whole ones: error against the number of places, and the speed gained.

    python benchmarks/reduce.py [--sites 8 10 15 25] [--large 8 10] [--l5 10]

The first two cells are `tests/data/reduce/active.toml` and `large.toml`: squid's membrane in soma and axon, h and M
channels in the apical tree. The third is `cases/pyramidal_l5`. All are driven by AMPA synapses at all places for a
second, as the report of `upstroke reduce` does, and the first two also by their own, for four seconds of other events
each; there the whole cell in compartments of 10 um tells how certain its spikes are. Speeds are of populations of 512
copies on one thread, in seconds of a processor.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from timing import stamp, write

import upstroke
from upstroke.case import Case, load_case
from upstroke.case.schema import Compartments
from upstroke.reduce import reduce_cell
from upstroke.reduce.activity import crossings

ROOT = Path(__file__).parents[1]
CELLS = ROOT / "tests" / "data" / "reduce"
L5 = ROOT / "cases" / "pyramidal_l5"
FINE = Compartments(max_length=1e-3)                     # cm
SECONDS = 4             # of its own synapses, each with other events
AT = "axon(0.4), trunk(0.72), tuft[7](0.9), basal1[3](0.5), basal4[2](0.5), oblique1(0.5)"
AT_LARGE = AT.replace("oblique1", "oblique1[1]")


def row(cell: str, case: Any, count: int, at: str, own: bool) -> dict[str, Any]:
    """One reduction, measured."""
    with tempfile.TemporaryDirectory() as folder:
        made = reduce_cell(case, Path(folder) / "r.toml", count=count, at=at)
        c = made.compared
        assert c.activity is not None
        found = {"cell": cell, "compartments": list(c.compartments), "steady": float(c.of_steady[0].max()),
                 "to_200_Hz": float(c.of_steady.max()), "spikes": [len(x) for x in c.activity.spikes],
                 "within_1_ms": float(np.mean(c.activity.late < 1.0)), "median_ms": float(np.median(c.activity.late)),
                 "worst_ms": float(c.activity.late.max()), "rates_per_s": [list(x) for x in c.activity.rates],
                 "one_us": [1e6 * x for x in c.seconds], "of_512_us": [1e6 * x for x in c.of_many]}
        if "left out" in made.report:
            raise SystemExit("an input was left out: both cells would not be driven alike")
        if own:
            sources = {"": case, "own": load_case(Path(folder) / "r.toml"),
                       "fine": replace(case, mesh=replace(case.mesh, compartments=FINE))}
            found |= own_drive({name: [trains(source, second, Path(folder)) for second in range(SECONDS)]
                                for name, source in sources.items()})
    print(found, flush=True)
    return found


def own_drive(trains: dict[str, list[Any]]) -> dict[str, Any]:
    """Spikes of "own", the reduced cell, and of "fine", the whole one in finer compartments, beside those of ""."""
    found, full = {}, trains.pop("")
    for name, others in trains.items():
        late = np.concatenate([np.abs(a[:, None] - b).min(axis=1) for a, b in zip(full, others, strict=True)])
        found[name] = {"spikes": [sum(map(len, full)), sum(map(len, others))],
                       "within_1_ms": float(np.mean(late < 1.0)), "median_ms": float(np.median(late)),
                       "worst_ms": float(late.max())}
    return found


def trains(case: Case, second: int, folder: Path) -> Any:
    """Times of the soma's spikes under the case's synapses, with events of one second."""
    synapses = tuple(replace(s, events=replace(s.events, seed=s.events.seed + 1000 * second)) for s in case.synapse)
    with tempfile.TemporaryDirectory(dir=folder) as run:
        return crossings(upstroke.run(replace(case, synapse=synapses), Path(run) / "r").probes()["soma.V"],
                         case.time.dt)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, nargs="*", default=[8, 10, 15, 25])
    parser.add_argument("--large", type=int, nargs="*", default=[8, 10])
    parser.add_argument("--l5", type=int, nargs="*", default=[10])
    a = parser.parse_args()
    rows = [row("pyramidal cell by rule", load_case(CELLS / "active.toml"), n, AT, True) for n in a.sites]
    rows += [row("large one", load_case(CELLS / "large.toml"), n, AT_LARGE, True) for n in a.large]
    rows += [row("layer 5 (Hay channels)", load_case(L5, overrides=["stimulus=[]", "synapse=[]"]), n,
                 "trunk4(1), tuft1[1](0.5)", False) for n in a.l5]
    tabulate({"made": stamp(), "rows": rows})


def tabulate(content: dict[str, Any]) -> None:
    head = content["made"]
    lines = ["# Reduced cells: error and speed", "",
             f"`python benchmarks/reduce.py`; {head['processor']}, {head['compiler']}, commit {head['commit']}, "
             f"{head['date']}.",
             "Spikes of the whole and the reduced cell, parts of the former within 1 ms, median and worst distance. "
             "\"Own\" are the synapses of the case, for four seconds, else those of the report; \"fine\" is the whole "
             "cell in compartments of 10 um under its own. Times are of a step.", "",
             "| cell | compartments | steady transfer | to 200 Hz | synapses | spikes | within 1 ms | median ms | "
             "worst ms | of 512 cells, us each | faster |", "|---|---|---|---|---|---|---|---|---|---|---|"]
    for r in content["rows"]:
        (a, b), (s, t) = r["compartments"], r["of_512_us"]
        for what, d in (("report", r), *((name, r[name]) for name in ("own", "fine") if name in r)):
            lines.append(f"| {r['cell']} | {a} -> {b} | {100 * r['steady']:.2g} % | {100 * r['to_200_Hz']:.2g} % | "
                         f"{what} | {d['spikes'][0]}, {d['spikes'][1]} | {100 * d['within_1_ms']:.0f} % | "
                         f"{d['median_ms']:.2g} | {d['worst_ms']:.3g} | {s:.3g}, {t:.3g} | {s / t:.1f} |")
    write("reduce", content, "\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
