"""Draws V of a run, and the spikes that come in: the picture of this case.

    python cases/ball_and_stick/draw.py RUN_DIRECTORY PICTURE
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from upstroke import load_case
from upstroke.mesh import build_mesh
from upstroke.protocol import place_conductances

COLOURS = {"AMPA": "#3b6ea8", "GABA": "#b8442e"}


def main(run: Path, picture: Path) -> None:
    case = load_case(Path(__file__).parent)
    t, soma, dend = np.loadtxt(run / "probes.csv", delimiter=",", skiprows=1).T
    figure = Figure(figsize=(9, 5), layout="constrained")
    below, above = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    below.plot(t, soma, color="black", lw=1.2, label="soma")
    below.plot(t, dend, color="#e0912f", lw=1.0, label="middle of the dendrite")
    below.set_ylabel("V (mV)")
    below.legend(loc="upper center", bbox_to_anchor=(0.63, 1.0), frameon=False)   # while the cell is silent
    row = 0
    for synapses in place_conductances(case, build_mesh(case.mesh, case.cable)).synapses:
        if synapses.name in COLOURS:                    # those of NMDA are those of AMPA
            label = synapses.name.replace("AMPA", "AMPA and NMDA")
            for times in synapses.arrivals:
                above.scatter(times, np.full(len(times), row), s=5, color=COLOURS[synapses.name], label=label)
                label, row = None, row + 1
    above.set(xlabel="t (ms)", ylabel="synapse", xlim=(0, t[-1]), ylim=(-4, 1.35 * row))
    above.legend(loc="upper left", ncols=2, frameon=False)
    figure.savefig(picture, dpi=84)


main(Path(sys.argv[1]), Path(sys.argv[2]))
