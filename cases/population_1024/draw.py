"""Draws the spikes of a run, cells in the order of their inputs: the picture of this case.

    python cases/population_1024/draw.py RUN_DIRECTORY PICTURE
"""

import csv
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from upstroke import load_case
from upstroke.mesh import build_mesh

CURRENT = 6.0       # nA, times the input of a cell


def main(run: Path, picture: Path) -> None:
    case = load_case(Path(__file__).parent)
    mesh = build_mesh(case.mesh, case.cable)
    assert mesh.tree is not None
    gNa, given = (mesh.point_data[name][mesh.tree.cells] for name in ("gNa", "input"))
    with (run / "spikes.csv").open(newline="") as file:
        rows = [(int(row["name"][len("axon["):-1]), float(row["time_ms"])) for row in csv.DictReader(file)]
    cell, time = np.array(rows).T
    cell = cell.astype(int)
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    dots = axes.scatter(time, CURRENT * given[cell], s=4, c=gNa[cell], cmap="viridis", linewidths=0)
    axes.set(xlabel="t (ms)", ylabel="input (nA)", xlim=(0, 40))
    axes.spines[["top", "right"]].set_visible(False)
    figure.colorbar(dots, ax=axes, label="GNa (mS/cm$^2$)", aspect=30)
    figure.savefig(picture, dpi=84)


main(Path(sys.argv[1]), Path(sys.argv[2]))
