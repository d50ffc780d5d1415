"""Draws the twelve leads of a run: python cases/lv_beat/draw_ecg.py runs/lv_beat ecg.png"""

import csv
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

LEADS = ("I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6")

run, picture = sys.argv[1:]
with open(f"{run}/ecg.csv", newline="") as file:
    names = next(csv.reader(file))
    columns = dict(zip(names, np.loadtxt(file, delimiter=",").T, strict=True))
figure, axes = plt.subplots(3, 4, figsize=(10, 5.4), sharex=True, layout="constrained")
for name, ax in zip(LEADS, axes.flat, strict=True):
    ax.axhline(0.0, color="0.8", linewidth=0.8)
    ax.plot(columns["time_ms"], 1000.0 * columns[name], color="#b03030", linewidth=1.2)
    ax.set_title(name, loc="left", fontsize=10)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
for row in axes:                                   # leads of a kind, side by side, on one scale
    for pair in (row[:2], row[2:]):
        low, high = min(ax.get_ylim()[0] for ax in pair), max(ax.get_ylim()[1] for ax in pair)
        for ax in pair:
            ax.set_ylim(low, high)
for ax in axes[-1]:
    ax.set_xlabel("ms", fontsize=9)
for ax in axes[:, 0]:
    ax.set_ylabel("uV", fontsize=9)
figure.savefig(picture, dpi=100)
