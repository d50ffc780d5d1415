"""The layer 5 pyramidal cell of cases/pyramidal_l5 in Upstroke and in Arbor, side by side: spikes, and CPU seconds.

    sh benchmarks/peers/setup.sh arbor
    python benchmarks/pyramidal.py [--rounds 3] [--dt 0.025] [--splitting staggered]

Arbor is given the same compartments with the same values in each, its own channels (catalogue bbp) and Nernst's
potential.
One thread each; compilation of our kernels is set-up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from upstroke.case import load_case
from upstroke.ionic import load_model
from upstroke.mesh import build_mesh
from upstroke.mesh.labels import values_at
from upstroke.run import prepare

HERE = Path(__file__).parent
CASE = HERE.parent / "cases" / "pyramidal_l5"
ARBOR = HERE.parent / ".peers" / "arbor" / "bin" / "python"


def dumped(case: Any) -> dict[str, Any]:
    """The cell as Arbor gets it. ``pieces`` are values of a mechanism, or C_m, at cables (branch, from x, to x)."""
    mesh = build_mesh(case.mesh, case.cable)
    tree = mesh.tree
    assert tree is not None
    ends = {table.name: table.diameter for table in case.mesh.section}
    names, sections, pieces = [s.name for s in tree.sections], [], []
    tables = {region: table for table in case.membrane for region in table.regions}
    models = {name: load_model(t.model, t.flags, t.parameters, t.method, t.plugins) for name, t in tables.items()}
    for k, section in enumerate(tree.sections):
        mean = float(tree.diameter[section.first])
        a, b = ends[section.name] if np.size(ends.get(section.name, 0.0)) == 2 else (mean, mean)
        sections.append({"parent": section.parent, "parent_x": section.parent_x, "length_um": 1e4 * section.length,
                         "diameters_um": [1e4 * a, 1e4 * b], "n": section.n_compartments})
        pieces.append({"at": [(k, 0.0, 1.0)], "cm": float(tree.capacitance[section.first])})
        model, table = models[section.type], tables[section.type]
        values = {p.name: p.value for p in model.parameters}
        leak = {"g": 1e-3 / values["Rm"]}
        pieces.append({"at": [(k, 0.0, 1.0)], "mechanism": f"pas/e={values['V_rest']}", "values": leak})
        nodes = section.first + np.arange(section.n_compartments)
        nodal = {name: values_at(mesh, text, nodes, "nodal") for name, text in table.nodal.items()}
        for plugin in table.plugins:
            differs = f"{plugin}.g" in nodal
            for j in range(section.n_compartments if differs else 1):
                n = section.n_compartments if differs else 1
                own = {name.partition(".")[2]: v for name, v in values.items() if name.startswith(f"{plugin}.")}
                if plugin == "CaDynamics_E2":
                    given = {**own, "initCai": own["minCai"]}
                else:
                    given = {f"g{plugin}bar": float(nodal[f"{plugin}.g"][j] if differs else own["g"]) / 1000}
                pieces.append({"at": [(k, j / n, (j + 1) / n)], "mechanism": plugin, "values": given})
    synapse = case.synapse[0]
    probes = case.watch.probes.points
    return {"sections": sections, "pieces": pieces, "Ra": 1000 * case.cable.axial_resistivity, "V": table.initial["V"],
            "compartments": sum(s["n"] for s in sections), "end": case.time.end,
            "clamps": [{"start": s.start, "duration": s.duration, "nA": 1e3 * s.total_current} for s in case.stimulus],
            "synapse": {"at": (names.index(synapse.site.section), synapse.site.x), "times": list(synapse.events.times),
                        "uS": 1e3 * synapse.weight, "values": {"tau1": synapse.tau_rise, "tau2": synapse.tau_decay,
                                                               "e": synapse.reversal}},
            "probes": {name: (names.index(site.section), site.x) for name, site in probes.items()}}


def ours(case: Any) -> dict[str, Any]:
    """One run of ours, in the form in which Arbor's reports. The time loop alone: set-up compiles kernels."""
    start = time.perf_counter()
    setup = prepare(case)
    tree, state = setup.mesh.tree, setup.state
    assert tree is not None
    place = state.rank[tree.sections[0].node_at(0.5)]
    V = np.empty(setup.stepper.n_steps + 1)
    V[0] = state.V[place]
    ready, cpu = time.perf_counter(), time.process_time()
    for step in setup.stepper.steps():
        V[step] = state.V[place]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - ready
    up = np.flatnonzero((V[:-1] < 0) & (V[1:] >= 0))
    return {"peer": "Upstroke", "compartments": sum(s.n_compartments for s in tree.sections), "steps": len(V) - 1,
            "setup_s": ready - start, "cpu_s": cpu, "wall_s": wall,
            "spikes_ms": list(case.time.dt * (up - V[up] / (V[up + 1] - V[up])))}


def arbors(python: str, cell: Path, dt: float) -> dict[str, Any]:
    """One run of Arbor's."""
    done = subprocess.run([python, str(HERE / "peers" / "arbor_pyramidal.py"), str(cell), str(dt)],
                          stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit("Arbor failed, see above")
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dt", type=float, default=0.025, help="ms")
    parser.add_argument("--splitting", choices=("implicit", "staggered"), default="staggered")
    parser.add_argument("--python", default=str(ARBOR), help="a Python that has Arbor")
    parser.add_argument("--figures", metavar="FILE", help="only write what Arbor finds with ever smaller steps")
    a = parser.parse_args()
    case = load_case(CASE, overrides=(f'time.dt="{a.dt} ms"', f'time.splitting="{a.splitting}"', "backend.threads=1"))
    rows: dict[str, list[dict[str, Any]]] = {f"Upstroke, {a.splitting}": [], "Arbor": []}
    with tempfile.TemporaryDirectory() as folder:
        cell = Path(folder) / "cell.json"
        cell.write_text(json.dumps(dumped(case)))
        if a.figures:
            found = {str(dt): arbors(a.python, cell, dt) for dt in (0.025, 0.00625, 0.003125, 0.0015625)}
            keys = ("spikes_ms", "activation_ms", "peaks_mV")
            source = f"Arbor {found['0.025']['version']}, catalogue bbp, by benchmarks/pyramidal.py --figures"
            content = {"source": source,
                       "runs": {dt: {key: row[key] for key in keys} for dt, row in found.items()}}
            Path(a.figures).write_text(json.dumps(content, indent=1) + "\n")
            return
        for _ in range(a.rounds):
            rows[f"Upstroke, {a.splitting}"].append(ours(case))
            rows["Arbor"].append(arbors(a.python, cell, a.dt))
    for name, found in rows.items():
        rates = [row["compartments"] * row["steps"] / row["cpu_s"] for row in found]
        spikes = ", ".join(f"{t:.3f}" for t in found[0]["spikes_ms"])
        print(f"{name}: {found[0]['compartments']} compartments, {median(r['cpu_s'] for r in found):.2f} CPU s, "
              f"{median(rates):.3g} compartment-steps/CPU-s ({min(rates):.3g} to {max(rates):.3g}); spikes {spikes} ms")


if __name__ == "__main__":
    main()
