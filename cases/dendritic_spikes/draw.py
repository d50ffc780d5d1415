"""Draws V of a run: the picture of this case.

    python cases/dendritic_spikes/draw.py RUN_DIRECTORY PICTURE
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

COLOURS = {"dist": "#b8442e", "prox": "#e0912f", "trunk": "#3b6ea8", "soma": "black"}


def main(run: Path, picture: Path) -> None:
    table = np.genfromtxt(run / "probes.csv", delimiter=",", names=True)
    t = table[table.dtype.names[0]]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axis = figure.subplots()
    for name, colour in COLOURS.items():
        column = next(key for key in table.dtype.names if name in key)
        axis.plot(t, table[column], color=colour, lw=1.1, label=name)
    for k, count in enumerate((2, 4, 6, 8, 10)):
        axis.annotate(f"{count} synapses", (20 + 40 * k, -72), ha="center", fontsize=8)
    axis.annotate("150 pA into the soma", (250, -72), ha="center", fontsize=8)
    axis.set(xlabel="t (ms)", ylabel="V (mV)", xlim=(0, t[-1]), ylim=(-76, 45))
    axis.legend(loc="upper left", frameon=False)
    figure.savefig(picture, dpi=84)


main(Path(sys.argv[1]), Path(sys.argv[2]))
