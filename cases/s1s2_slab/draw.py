"""Draws V at the probe for several S2, and the trials of `upstroke erp`: the picture of this case.

    python cases/s1s2_slab/draw.py ERP_DIRECTORY PICTURE RUN_DIRECTORY...
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

LAST_S1 = 400.0         # ms


def main(erp: Path, picture: Path, runs: list[Path]) -> None:
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.6, 1))
    for run in runs:
        start = json.loads((run / "manifest.json").read_text())["case"]["stimulus"][1]["start"]
        time, V = np.loadtxt(run / "probes.csv", delimiter=",", skiprows=1).T
        left.plot(time - LAST_S1, V, label=f"{float(start.split()[0]) - LAST_S1:g} ms")
    left.set(xlabel="time after the last S1 (ms)", ylabel="V at the probe (mV)", xlim=(-20, 420), ylim=(-95, 70))
    left.legend(title="S1-S2 interval", fontsize=8, title_fontsize=8, loc="upper center", ncols=3)
    rows = list(csv.DictReader((erp / "erp.csv").open()))
    waves = np.array([[float(row["interval_ms"]), float(row["delay_ms"])] for row in rows if row["captured"] == "1"])
    none = [float(row["interval_ms"]) for row in rows if row["captured"] == "0"]
    right.plot(*waves.T, "o-", label="a wave")
    right.plot(none, np.full(len(none), 10.0), "x", color="tab:red", label="no wave")
    right.set(xlabel="S1-S2 interval (ms)", ylabel="S2 to probe (ms)")
    right.legend(fontsize=8)
    figure.savefig(picture, dpi=100)


main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(run) for run in sys.argv[3:]])
