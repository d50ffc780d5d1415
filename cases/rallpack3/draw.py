"""Draws V of a run at both ends of the cable: the picture of this case.

    python cases/rallpack3/draw.py RUN_DIRECTORY PICTURE
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def main(run: Path, picture: Path) -> None:
    t, near, far = np.loadtxt(run / "probes.csv", delimiter=",", skiprows=1).T
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(t, near, color="black", lw=1.0, label="where the current enters")
    axes.plot(t, far, color="#e0912f", lw=1.0, label="the other end, 1 mm away")
    axes.set(xlabel="t (ms)", ylabel="V (mV)", xlim=(0, t[-1]), ylim=(-80, 62))
    axes.legend(loc="upper center", ncols=2, frameon=False)
    figure.savefig(picture, dpi=84)


main(Path(sys.argv[1]), Path(sys.argv[2]))
