"""Figures (docs/pictures/waves_*.png) and tables (Markdown) of docs/calibrated_waves.md, from results/waves.json."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LABELS = {"calibrated": "calibrated", "fourth_order": "fourth order", "lumped": "lumped", "consistent": "consistent",
          "tuned": "conductivities tuned"}
COLOURS = {"calibrated": "#c1272d", "fourth_order": "#e09f1f", "lumped": "#0b5394", "consistent": "#5b9a3d",
           "tuned": "#8e6bb5"}
MODELS = ("TP06", "LR91", "CRN", "ToR-ORd", "MS")
TITLES = {"TP06": "ten Tusscher-Panfilov", "CRN": "Courtemanche"}
Found = Mapping[str, Any]


def numbers(values: Any) -> Any:
    """An array, with NaN for null."""
    return np.array([math.nan if v is None else v for v in values], float)


def figure(columns: int, rows: int = 1, width: float = 3.2, height: float = 2.9, **options: Any) -> Any:
    return plt.subplots(rows, columns, figsize=(width * columns, height * rows), layout="constrained", **options)


def style(ax: Any, title: str = "", x: str = "", y: str = "") -> None:
    ax.set(title=title, xlabel=x, ylabel=y)
    ax.title.set_size(9)
    ax.xaxis.label.set_size(8)
    ax.yaxis.label.set_size(8)
    ax.tick_params(labelsize=7)
    ax.grid(alpha=0.25, linewidth=0.5)


# ------------------------------------------------------------------------------------------------- figures
def planar(found: Found) -> Any:
    fig, axes = figure(3, width=3.1, height=3.3, subplot_kw={"projection": "polar"})
    angle = np.radians(found["angles"])
    order = np.argsort(angle)
    for ax, q in zip(axes, (1, 3, 8), strict=True):
        ax.plot(np.linspace(0, np.pi / 2, 50), np.ones(50), color="black", linewidth=0.8)
        for waves, colour in COLOURS.items():
            v = 1 + 0.01 * numbers(found["errors"][f"TP06 {q} {waves}"][0])
            ax.plot(angle[order], v[order], color=colour, linewidth=1.3, label=LABELS[waves], marker=".", markersize=3)
        ax.set(thetamin=0, thetamax=90, rmin=0.4, rmax=1.25)
        ax.set_rticks([0.6, 0.8, 1.0, 1.2])
        ax.tick_params(labelsize=7)
        ax.set_title(f"q across the fibres: {q} ms", size=9)
    axes[0].legend(fontsize=6.5, loc="lower left", bbox_to_anchor=(-0.05, -0.02))
    return fig


def oblique(found: Found) -> Any:
    fig, axes = figure(3, width=3.1, height=2.9, sharey=True)
    angle = np.array(found["angles"])
    order = np.argsort(angle)
    for ax, fibres in zip(axes, ("10", "22.5", "45"), strict=True):
        for waves, colour in COLOURS.items():
            e = numbers(found["errors"][f"3 {fibres} {waves}"])
            ax.plot(angle[order], e[order], color=colour, marker=".", markersize=4, linewidth=1, label=LABELS[waves])
        ax.axhline(0, color="black", linewidth=0.8)
        ax.axvline(float(fibres), color="gray", linewidth=0.8, linestyle=":")
        style(ax, f"fibres at {fibres}° to the mesh", "direction of the wave, degrees")
    axes[0].set_ylabel("error of the velocity, %", size=8)
    axes[0].legend(fontsize=6.5)
    return fig


def fronts(curved: Found, met: Found) -> Any:
    fig, axes = figure(3)
    disc = curved["isotropic"]
    r, t = (numbers(v) for v in disc["reference"]["radius_time"])
    keep = r > 1.9
    exact = np.poly1d(np.polyfit(r[keep], t[keep], 9))
    axes[0].plot(t[keep], r[keep], color="black", linewidth=2.2, label="fine mesh")
    for waves, colour in COLOURS.items():
        (r1, t1), (r2, t2) = disc["coarse"][f"3 {waves}"]["radius_time"]
        for radius, times, line in ((r1, t1, "-"), (r2, t2, "--")):
            radius, times = numbers(radius), numbers(times)
            keep = (radius > 1.9) & (radius < 10.0)
            label = LABELS[waves] if line == "-" else None
            axes[0].plot(times[keep], radius[keep], line, color=colour, linewidth=1, label=label)
            axes[1].plot(radius[keep], times[keep] - exact(radius[keep]), line, color=colour, linewidth=1)
    style(axes[0], "a circular wave, q = 3 ms", "time, ms", "radius, mm")
    axes[0].legend(fontsize=6.5)
    style(axes[1], "its delay (dashed: along the diagonal)", "radius, mm", "ms")
    axes[1].set_ylim(-1.5, 4)
    for waves, colour in COLOURS.items():
        row = met[f"3 {waves}"]
        x, e = numbers(row["x"]), numbers(row["error_ms"])
        axes[2].plot(x[x > 6], e[x > 6], color=colour, marker=".", markersize=4, linewidth=1)
    style(axes[2], "collision at 12 mm, q = 3 ms", "place, mm", "delay since 6 mm, ms")
    axes[2].set_ylim(-0.6, 2.5)
    return fig


def thresholds(least: Found, gap: Found) -> Any:
    fig, axes = figure(3)
    panels = ((least, "segment", "current from a segment (1-D)"), (least, "square", "current from a square (2-D)"),
              (gap, "0.6", "sodium conductance at an isthmus"))
    for ax, (found, which, title) in zip(axes, panels, strict=True):
        for waves, colour in COLOURS.items():
            rows = sorted((row["q"], row["error_percent"]) for key, row in found.items()
                          if key.startswith(f"{which} ") and key.endswith(f" {waves}"))
            if rows:
                ax.plot(*zip(*rows, strict=True), color=colour, marker="o", markersize=3, linewidth=1,
                        label=LABELS[waves])
        ax.axhline(0, color="black", linewidth=0.8)
        style(ax, title, "q, ms", "error of the threshold, %")
        ax.set_xscale("log")
    axes[0].legend(fontsize=6.5)
    return fig


def spiral(found: Found) -> Any:
    keys = ["0.25 calibrated", *(f"3 {waves}" for waves in COLOURS)]
    fig, axes = figure(3, 2, width=2.5, height=2.6, sharex=True, sharey=True)
    for ax, key in zip(axes.flat, keys, strict=True):
        waves = key.split()[1]
        path = np.array(found[key]["path"], float)
        for q, colour, size in (("1", "#bbbbbb", 2), (key.split()[0], COLOURS[waves], 2)):
            if (other := found.get(f"{q} {waves}")) and other["path"] and key[0] != "0":
                p = np.array(other["path"], float)
                ax.plot(p[:, 1], p[:, 2], ".", color=colour, markersize=size)
        if key[0] == "0":
            ax.plot(path[:, 1], path[:, 2], ".", color="black", markersize=2)
        ax.set_aspect("equal")
        name = "fine mesh" if key[0] == "0" else LABELS[waves]
        style(ax, f"{name}: {found[key]['period_ms']:.1f} ms")
        ax.set(xlim=(8, 27), ylim=(8, 27))
    fig.supxlabel("mm; in colour q = 3 ms, with its period; in grey q = 1 ms", size=8)
    return fig


def repolarisation(found: Found) -> Any:
    fig, axes = figure(3)
    reference = found["reference"]
    x, apd = numbers(reference["x"]), numbers(reference["apd"])
    axes[0].plot(x, apd, color="black", linewidth=1.2)
    style(axes[0], "APD90 along the cable, fine mesh", "place, mm", "ms")
    for ax, what, title in ((axes[1], "apd_error", "error of APD90, q = 3 ms"),
                            (axes[2], "repolarisation_error", "error of the repolarisation time, q = 3 ms")):
        for waves, colour in COLOURS.items():
            row = found[f"3 {waves}"]
            ax.plot(numbers(row["x"]), numbers(row[what]), color=colour, linewidth=1, marker=".", markersize=3,
                    label=LABELS[waves])
        ax.axhline(0, color="black", linewidth=0.8)
        style(ax, title, "place, mm", "ms")
    axes[1].legend(fontsize=6.5)
    return fig


def restitution(found: Found) -> Any:
    fig, axes = figure(2, width=4.2, height=3.1)
    for ax, (name, curves) in zip(axes, found.items(), strict=True):
        rows = np.array(curves["reference"]["rows"], float)
        ax.plot(rows[:, 0], 1000 * rows[:, 1], color="black", linewidth=2, label="fine mesh")
        for waves, colour in COLOURS.items():
            for q, line in (("1", "-"), ("3", "--")):
                rows = np.array(curves[f"{q} {waves}"]["rows"], float)
                rows = rows[np.argsort(rows[:, 0])]
                ax.plot(rows[:, 0], 1000 * rows[:, 1], line, color=colour, linewidth=1,
                        label=LABELS[waves] if q == "1" else None)
        style(ax, f"{TITLES[name]} (dashed: q = 3 ms)", "diastolic interval, ms", "velocity, mm/s")
        ax.set_xlim(0, 230)
    axes[0].legend(fontsize=6.5)
    return fig


def ventricle(found: Found) -> Any:
    hs = sorted({float(key.split()[0]) for key in found if key != "reference"})[1:]
    fig, axes = figure(len(hs), width=4.0, height=3.4, sharex=True, sharey=True)
    for ax, h in zip(axes, hs, strict=True):
        for waves in reversed(COLOURS):
            exact, times = (numbers(v) for v in found[f"{h:g} {waves}"]["scatter"])
            ax.plot(exact, times, ".", color=COLOURS[waves], markersize=2, label=LABELS[waves])
        top = found["reference"]["last_ms"]
        ax.plot([0, top], [0, top], color="black", linewidth=1)
        style(ax, f"a small ventricle, {h:g} mm", f"activation at {found['reference']['h_mm']:g} mm, ms",
              "activation, ms")
    axes[0].legend(fontsize=7, markerscale=4)
    return fig


def draw(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Every figure whose experiments are there."""
    figures: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
        "planar": (planar, ("planar",)), "oblique": (oblique, ("oblique",)),
        "fronts": (fronts, ("curvature", "collision")), "thresholds": (thresholds, ("thresholds", "isthmus")),
        "spiral": (spiral, ("spiral",)), "repolarisation": (repolarisation, ("repolarisation",)),
        "restitution": (restitution, ("restitution",)), "ventricle": (ventricle, ("ventricle",))}
    written = []
    for name, (function, needs) in figures.items():
        if all(need in results for need in needs):
            fig = function(*(results[need]["found"] for need in needs))
            written.append(folder / f"waves_{name}.png")
            fig.savefig(written[-1], dpi=110)
            plt.close(fig)
    return written


# -------------------------------------------------------------------------------------------------- tables
def markdown(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]) + "\n"


def tables(results: Mapping[str, Any]) -> str:
    """The tables of the page, those whose experiments are there."""
    parts: list[str] = []

    def by_operator(title: str, head: list[str], cells: Callable[[str], list[str]]) -> None:
        parts.extend([f"### {title}\n", markdown(["operator", *head],
                                                 [[LABELS[waves], *cells(waves)] for waves in COLOURS])])

    def found(name: str) -> Any:
        return results[name]["found"] if name in results else None

    if f := found("planar"):
        for label, pick in (("in the plane of the fibres", 0), ("all directions in space", None)):
            for q in (1, 3, 8):
                def cell(name: str, waves: str, q: int = q, pick: int | None = pick) -> str:
                    rows = f["errors"][f"{name} {q} {waves}"]
                    e = numbers(rows[0] if pick == 0 else rows[0] + rows[1])
                    return f"{np.nanmin(e):+.1f} to {np.nanmax(e):+.1f}" + (" (block)" if np.isnan(e).any() else "")

                by_operator(f"planar q {q}, {label}", list(MODELS), lambda w, c=cell: [c(n, w) for n in MODELS])
    if f := found("oblique"):
        angles = ("0", "10", "22.5", "30", "45")

        def spread(key: str, f: Any = f) -> str:
            e = numbers(f["errors"][key])
            return f"{e.min():+.1f} to {e.max():+.1f}"

        for q in (1, 3):
            by_operator(f"oblique q {q}", [f"{a}°" for a in angles],
                        lambda w, q=q, spread=spread: [spread(f"{q} {a} {w}") for a in angles])
    if f := found("curvature"):
        by_operator("curvature", [f"{name}, q {q}" for name in f for q in (1, 3)], lambda w: [
            f"{f[n]['coarse'][f'{q} {w}']['mean_percent']:+.1f} ({f[n]['coarse'][f'{q} {w}']['worst_ms']:+.2f} ms)"
            for n in f for q in (1, 3)])
        parts.append(str({n: f[n]["reference"]["lumped there"] | {"h": f[n]["reference"]["h_mm"]} for n in f}) + "\n")
    if f := found("collision"):
        by_operator("collision", ["q 1", "q 3"], lambda w: [f"{f[f'{q} {w}']['at_collision_ms']:+.2f}" for q in (1, 3)])
    for name in ("thresholds", "isthmus"):
        if f := found(name):
            keys = sorted({key.rsplit(" ", 1)[0] for key in f if key.endswith("tuned")},
                          key=lambda k: (k.split()[0], f[f"{k} tuned"]["q"]))
            by_operator(name, [f"{k.split()[0]}, h {f[f'{k} tuned']['h_mm']:.3f}, q {f[f'{k} tuned']['q']:.2f}"
                               for k in keys], lambda w, f=f, keys=keys: [
                                   f"{f[f'{k} {w}']['least']:.3f} ({f[f'{k} {w}']['error_percent']:+.1f})"
                                   for k in keys])
            parts.append("finest: " + ", ".join(f"{k}: {v['least']:.3f} (q {v['q']:.2f})" for k, v in f.items()
                                                if v["q"] < 0.15) + "\n")
    if f := found("spiral"):
        by_operator("spiral", ["period q 1", "q 3", "tip radius q 1", "q 3"], lambda w: [
            f"{f[f'{q} {w}'][what]:.{d}f}" for what, d in (("period_ms", 1), ("tip_radius_mm", 2)) for q in (1, 3)])
        parts.append(str({k: (f[k]["period_ms"], f[k]["spread_ms"], f[k]["tip_radius_mm"], f[k]["tip_extent_mm"])
                          for k in f if isinstance(f[k], dict) and "period_ms" in f[k]}) + "\n")
    if f := found("repolarisation"):
        by_operator("repolarisation: worst of APD / repolarisation / activation", ["q 1", "q 3", "q 8"], lambda w: [
            " / ".join(f"{f[f'{q} {w}'][k]:.1f}" for k in
                       ("worst_apd_ms", "worst_repolarisation_ms", "worst_activation_ms")) for q in (1, 3, 8)])
    if f := found("restitution"):
        for name in f:
            exact = np.array(f[name]["reference"]["rows"], float)

            def errors(waves: str, q: int, name: str = name, exact: Any = exact) -> str:
                rows = np.array(f[name][f"{q} {waves}"]["rows"], float)
                rows = rows[np.argsort(rows[:, 0])]
                at = np.array([20.0, 40.0, 60.0, 100.0, 200.0])
                e = np.interp(at, rows[:, 0], rows[:, 1], left=math.nan) / np.interp(
                    at, exact[:, 0], exact[:, 1], left=math.nan) - 1
                return ", ".join("-" if np.isnan(v) else f"{100 * v:+.1f}" for v in e)

            by_operator(f"restitution {name}: error at 20, 40, 60, 100, 200 ms", ["q 1", "q 3"],
                        lambda w, e=errors: [e(w, q) for q in (1, 3)])
    if f := found("ventricle"):
        hs = sorted({float(key.split()[0]) for key in f if key != "reference"})
        by_operator("ventricle", [f"{h:g} mm: mean, rms, worst ms; last ms; CPU s" for h in hs], lambda w: [
            "-" if (r := f.get(f"{h:g} {w}")) is None else
            f"{r['mean_ms']:+.2f}, {r['rms_ms']:.2f}, {r['worst_ms']:+.2f}; {r['last_ms']:.1f}; {r['cpu_s']:.0f}"
            for h in hs])
        parts.append(f"reference {({k: v for k, v in f['reference'].items() if k != 'spots'})}\n")
    parts.append(str({name: results[name]["cpu_s"] for name in results}) + "\n")
    return "\n".join(parts)
