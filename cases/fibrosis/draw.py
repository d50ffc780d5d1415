"""Draws V at six moments from a run's vm.vtkhdf: the picture of this case.

    python cases/fibrosis/draw.py RUN_DIRECTORY PICTURE
"""

import sys
from pathlib import Path

import h5py
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

MOMENTS = 90, 190, 260, 350, 500, 690                   # ms
DX = 0.2                                                # mm


def main(run: Path, picture: Path) -> None:
    with h5py.File(run / "vm.vtkhdf") as file:
        root = file["VTKHDF"]
        cells = root["Connectivity"][:].reshape(-1, 4)
        column, row = np.rint(root["Points"][:, :2][cells[:, 0]].T / DX).astype(int)   # the first corner is the lowest
        times = root["Steps/Values"][:]
        V = root["PointData/V"][:].reshape(len(times), -1)
    colours = colormaps["inferno"].with_extremes(bad="#d9d9d9")     # no tissue: grey
    figure = Figure(figsize=(9, 6.2), layout="constrained")
    for axes, moment in zip(figure.subplots(2, 3).flat, MOMENTS, strict=True):
        image = np.full((250, 250), np.nan)
        image[row, column] = V[np.argmin(abs(times - moment))][cells].mean(axis=1)
        drawn = axes.imshow(image, origin="lower", cmap=colours, vmin=-86, vmax=30, extent=(0, 50, 0, 50))
        axes.set(xticks=[], yticks=[], frame_on=False)
        axes.set_title(f"{moment} ms", fontsize=11)
    figure.colorbar(drawn, ax=figure.axes, shrink=0.6, label="V (mV)")
    figure.savefig(picture, dpi=84)


main(Path(sys.argv[1]), Path(sys.argv[2]))
