"""Five validations of a neuron of a few compartments, beside Dendrify: `python benchmarks/dendrites.py [PICTURE]`.

Input resistance, membrane time constant, attenuation along the dendrite, dendritic input and output with and without
dendritic spikes, and the f-I curve, of the cell of cases/dendritic_spikes. Dendrify's figures are in
tests/data/neuron/dendrify22.json (make_dendrify.py beside it).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke import load_case
from upstroke.run import prepare

ROOT = Path(__file__).resolve().parents[1]
KNOWN = json.loads((ROOT / "tests" / "data" / "neuron" / "dendrify22.json").read_text())
NAMES = ("soma", "trunk", "prox", "dist")
NODES = {"soma": 1, "trunk": 3, "prox": 5, "dist": 7}           # the compartments; between them ends of sections
SECTIONS = [{"name": "soma", "type": "soma", "length": "25 um", "diameter": "25 um"},
            {"name": "trunk", "type": "apical", "parent": "soma", "coupling": "15 nS", "length": "100 um",
             "diameter": "2.5 um", "conductances": {"g_rise": "22 nS", "g_fall": "14 nS"}},
            {"name": "prox", "type": "apical", "parent": "trunk", "coupling": "6 nS", "length": "100 um",
             "diameter": "1 um", "conductances": {"g_rise": "9 nS", "g_fall": "5.7 nS"}},
            {"name": "dist", "type": "apical", "parent": "prox", "coupling": "2 nS", "length": "100 um",
             "diameter": "0.5 um", "conductances": {"g_rise": "3.7 nS", "g_fall": "2.4 nS"}}]
SPIKE = {"plugin": "DendriticSpike", "threshold": -35, "E_rise": 70, "E_fall": -89, "duration_rise": 1.2,
         "duration_fall": 2.4, "offset_fall": 0.2, "refractory": 5}
FIRING = {"g_L": 0.04, "E_L": -65, "V_r": -60, "V_spike": 40, "t_spike": 0.5, "t_ref": 4}


def run(end: float, dt: float = 0.025, spikes: bool = False, fires: bool = False, **inputs: Any
        ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """t (ms), V - E_L of the compartments (mV), and when the soma spiked."""
    dendrite = {"model": "Passive", "regions": ["apical"], "parameters": {"Rm": 25, "V_rest": -65},
                "initial": {"V": -65}}
    if spikes:
        dendrite |= {"plugins": {"Na": SPIKE}, "nodal": {"Na.g_rise": "g_rise", "Na.g_fall": "g_fall"}}
    soma = {"model": "IntegrateAndFire", "regions": ["soma"], "flags": ["FREE"],
            "parameters": FIRING | {"V_th": -40 if fires else 1000}}
    setup = prepare(load_case({
        "mesh": {"kind": "sections", "section": SECTIONS, "compartments": {"number": 1}},
        "cable": {"axial_resistivity": "150 ohm*cm",
                  "region": [{"regions": ["soma"], "area_factor": 2.8}, {"regions": ["apical"], "area_factor": 4.2}]},
        "membrane": [soma, dendrite], "time": {"end": f"{end} ms", "dt": f"{dt} ms", "splitting": "staggered"},
        "watch": {"activation": {"threshold": "0 mV"}}} | inputs))
    where = [setup.state.rank[NODES[name]] for name in NAMES]
    V, fired, counted = [], [], 0
    for n in setup.stepper.steps():
        V.append(setup.state.V[where] + 65.0)
        if setup.state.variable("spikes")[1] > counted:
            counted += 1
            fired.append(n * dt - setup.state.variable("since")[1])
    return dt * np.arange(len(V)), np.array(V), np.array(fired)


def step(name: str, pA: float, end: float, start: float = 10.0, **more: Any) -> tuple[Any, Any, Any]:
    """A current from `start` on."""
    return run(end, stimulus={"site": {"section": name}, "total_current": f"{pA} pA", "start": f"{start} ms",
                              "duration": "1 s"}, **more)


def volley(name: str, synapses: int, spikes: bool) -> tuple[float, float]:
    """Highest V - E_L there and at the soma, mV, after AMPA and NMDA conductances of 0.8 nS each at 10 ms."""
    site = {"site": {"section": name}, "events": {"times": ["10 ms"]}, "weight": f"{0.8 * synapses} nS"}
    _, V, _ = run(60, spikes=spikes, synapse=[
        site | {"kind": "expsyn", "tau_decay": "2 ms", "reversal": "0 mV"},
        site | {"kind": "nmda", "tau_rise": "5 ms", "tau_decay": "60 ms"}])
    return float(V[:, NAMES.index(name)].max()), float(V[:, 0].max())


def main(picture: str | None) -> None:
    steady = {name: step(name, 10, 500)[1][-1] for name in NAMES}
    theirs = KNOWN["steady_mV_per_10pA"]
    print("input resistance, MOhm (Dendrify)")
    for k, name in enumerate(NAMES):
        print(f"  {name:6} {100 * steady[name][k]:8.2f} ({100 * theirs[name][name]:.2f})")
    print("V of the soma over V there, current into it (Dendrify)")
    for name in NAMES[1:]:
        print(f"  {name:6} {steady[name][0] / steady[name][NAMES.index(name)]:8.5f} "
              f"({theirs[name]['soma'] / theirs[name][name]:.5f})")
    t, V, _ = step("soma", 10, 500)
    print("charging of the soma, mV, 5 to 80 ms (Dendrify)")
    for after, known in KNOWN["charging_mV"].items():
        print(f"  {after:>3} ms {np.interp(10 + float(after), t, V[:, 0]):8.4f} ({known:.4f})")
    late = slice(np.searchsorted(t, 60), np.searchsorted(t, 110))
    tau = -1.0 / np.polyfit(t[late], np.log(V[-1, 0] - V[late, 0]), 1)[0]
    print(f"time constant of the membrane, ms: {tau:.3f} (C_m / g_L = 25)")
    ours: dict[str, list[tuple[float, float]]] = {}
    print("peaks, mV: there, soma (Dendrify)")
    for kind, rows in KNOWN["io_mV"].items():
        name, active = kind.split("_")
        ours[kind] = [volley(name, count, active == "active") for count, _, _ in rows]
        for (count, there, soma), (a, b) in zip(rows, ours[kind], strict=True):
            print(f"  {kind:14} {count:3g} {a:8.3f} ({there:.3f}) {b:8.3f} ({soma:.3f})")
    print("spikes in 400 ms (Dendrify), first, and the tenth or last of those listed")
    rates = []
    for pA, count, times in KNOWN["fi"]:
        fired = step("soma", pA, 410, fires=True)[2]
        rates.append(len(fired))
        k = min(len(times), len(fired)) - 1
        if k >= 0:
            print(f"  {pA:g} pA {len(fired)} ({count:g}) {fired[0]:.3f} ({times[0]:.3f}) "
                  f"{fired[k]:.3f} ({times[k]:.3f})")
    if picture:
        draw(picture, steady, (t, V), ours, rates)


def draw(picture: str, steady: Any, charging: Any, ours: Any, rates: Any) -> None:
    """Lines are ours, circles Dendrify's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    theirs = KNOWN["steady_mV_per_10pA"]
    axes[0].bar(NAMES, [100 * steady[name][k] for k, name in enumerate(NAMES)], color="#9bb7d4")
    axes[0].plot(NAMES, [100 * theirs[name][name] for name in NAMES], "ko", mfc="none")
    axes[0].set(title="Input resistance", ylabel="MOhm")
    t, V = charging
    axes[1].plot(t - 10, V[:, 0], color="#3b6ea8")
    axes[1].plot([float(x) for x in KNOWN["charging_mV"]], KNOWN["charging_mV"].values(), "ko", mfc="none")
    axes[1].set(title="Charging of the soma", xlabel="ms", ylabel="mV", xlim=(0, 150))
    for name, colour in zip(NAMES, ("black", "#3b6ea8", "#e0912f", "#b8442e"), strict=True):
        axes[2].plot(NAMES, steady[name] / steady[name].max(), color=colour, label=f"into {name}")
        axes[2].plot(NAMES, np.array([theirs[name][x] for x in NAMES]) / theirs[name][name], "o", color=colour,
                     mfc="none")
    axes[2].set(title="Attenuation", ylabel="V over V there")
    axes[2].legend(frameon=False, fontsize=8)
    for axis, name in ((axes[3], "prox"), (axes[4], "dist")):
        for kind, colour in (("passive", "#888888"), ("active", "#b8442e")):
            rows = KNOWN["io_mV"][f"{name}_{kind}"]
            counts = [row[0] for row in rows]
            axis.plot(counts, [there for there, _ in ours[f"{name}_{kind}"]], color=colour,
                      label="with dendritic spikes" if kind == "active" else "passive")
            axis.plot(counts, [row[1] for row in rows], "o", color=colour, mfc="none")
        axis.set(title=f"Input and output: {name}", xlabel="synapses at once", ylabel="peak, mV")
    axes[3].legend(frameon=False, fontsize=8)
    currents = [row[0] for row in KNOWN["fi"]]
    axes[5].plot(currents, np.array(rates) / 0.4, color="#3b6ea8")
    axes[5].plot(currents, [row[1] / 0.4 for row in KNOWN["fi"]], "ko", mfc="none")
    axes[5].set(title="f-I curve", xlabel="pA", ylabel="1/s")
    figure.savefig(picture, dpi=80)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
