"""Draws V of three runs: as the case is, without its synapse, and without its first pulse.

    python cases/pyramidal_l5/draw.py RUN RUN_WITHOUT_SYNAPSE RUN_WITHOUT_PULSE PICTURE
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

COLOURS = {"soma": "black", "trunk": "#e0912f", "tuft": "#3b6ea8"}
TITLES = ("pulse and synapse", "pulse alone", "synapse alone")


def main(runs: list[Path], picture: Path) -> None:
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    above, below = figure.subfigures(2, 1)
    for axes, run, title in zip(above.subplots(1, 3, sharex=True, sharey=True), runs, TITLES, strict=True):
        draw(axes, run, 190, 280, 1.2)
        axes.set_title(title, fontsize=10)
    above.axes[0].set_ylabel("V (mV)")
    above.axes[0].legend(["soma", "end of the trunk", "tuft"], frameon=False, fontsize=8, loc="upper right")
    axes = below.subplots()
    draw(axes, runs[0], 390, 700, 0.9)
    axes.set(xlabel="t (ms)", ylabel="V (mV)")
    axes.set_title("step of current, 1 nA", fontsize=10)
    figure.savefig(picture, dpi=84)


def draw(axes, run: Path, start: float, end: float, width: float) -> None:
    table = np.genfromtxt(run / "probes.csv", delimiter=",", names=True, deletechars="")
    shown = (table["time_ms"] >= start) & (table["time_ms"] <= end)
    for name, colour in COLOURS.items():
        axes.plot(table["time_ms"][shown], table[f"{name}.V"][shown], color=colour, lw=width)
    axes.set_xlim(start, end)


main([Path(word) for word in sys.argv[1:4]], Path(sys.argv[4]))
