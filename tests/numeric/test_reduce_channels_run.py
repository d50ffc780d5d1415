"""Cells with channels and what ``upstroke reduce`` makes of them, by the main job."""

import math
from pathlib import Path

import numpy as np
import pytest

import upstroke
from upstroke.case import load_case
from upstroke.case.schema import Site
from upstroke.reduce import reduce_cell
from upstroke.reduce.activity import crossings
from upstroke.reduce.fit import FREQUENCIES, fit
from upstroke.reduce.neuron import neuron_of
from upstroke.reduce.sites import nearest_ancestors, parse_sites

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "reduce"

BALL = {"mesh": {"kind": "sections", "section": [
            {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
            {"name": "dend", "parent": "soma", "parent_x": 0.5, "length": "300 um", "diameter": "2 um"}]},
        "cable": {"axial_resistivity": "100 ohm*cm"},
        "membrane": [{"model": "HodgkinHuxley", "regions": ["soma"]},
                     {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -65}, "initial": {"V": -65}}],
        "time": {"end": "60 ms", "dt": "0.025 ms", "splitting": "staggered"}}


def test_the_quasi_active_impedance_is_what_the_main_job_does(tmp_path):
    """A pulse of 1 pA and 0.1 ms into squid's axon at rest: the Fourier transform of V over that of the current."""
    dt, end, width = 0.01, 150.0, 0.1
    tables = {**BALL, "mesh": {"kind": "sections", "compartments": {"number": 1},
                                "section": BALL["mesh"]["section"][:1]},
              "membrane": [{"model": "HodgkinHuxley"}], "time": {"end": f"{end + 100} ms", "dt": f"{dt} ms"},
              "stimulus": [{"site": {"section": "soma"}, "total_current": "1 pA", "start": "100 ms",
                            "duration": f"{width} ms"}],
              "watch": {"probes": {"every": f"{dt} ms", "points": {"soma": {"section": "soma"}}}}}
    case = load_case(tables)
    V = upstroke.run(case, tmp_path / "run").probes()["soma.V"][round(100 / dt):]
    t = dt * np.arange(len(V))
    neuron = neuron_of(case)
    at = float(neuron.rest[1])
    assert V[0] == pytest.approx(at, abs=1e-4)
    area, d = neuron.passive.tree.area[1], neuron.membranes[0].dynamics
    for f in (0.0, 0.02, 0.067, 0.2):                                                # 1/ms; it resonates at 67 Hz
        w = 2.0 * math.pi * f
        measured = dt * np.sum((V - V[0]) * np.exp(-1j * w * t)) / (1e-6 * width)
        y = 0.3 + sum(g * d.admittance(c, at, [w], {})[0] for c, g in (("GNa", 120.0), ("GK", 36.0)))
        assert measured * np.exp(0.5j * w * width) == pytest.approx(1.0 / (area * (y + 1j * w)), rel=0.01), f


def test_a_ball_and_stick_that_fires_is_reduced_with_its_report(tmp_path):
    """Spikes of both within 0.3 ms; the report tells what both do, and its page needs nothing else."""
    site = {"section": "dend", "x": 0.9}
    synapse = [{"kind": "ampa", "site": site, "weight": "8 nS", "events": {"times": ["5 ms", "25 ms", "45 ms"]}}]
    probes = {"probes": {"every": "0.025 ms", "points": {"soma": {"section": "soma"}, "tip": site}}}
    case = load_case({**BALL, "synapse": synapse, "watch": probes})
    made = reduce_cell(case, tmp_path / "r.toml", count=3)
    assert {path.name for path in made.files} == {"r.toml", "r.txt", "r.csv", "r.html"}
    for line in ("spikes per s at soma(0.5), over the current there (nA, 300 ms each)",
                 "under 10 AMPA synapses at each place, 10 spikes per s each, 1000 ms: ",
                 "have one of the reduced cell within 1 ms", "(one cell, one thread, on the clock)",
                 "(each of 512 cells in one run, seconds of a processor)"):
        assert line in made.report
    page = (tmp_path / "r.html").read_text()
    assert "r: reduced beside full" in page and "have one of the reduced cell within 1 ms" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", "") and "<script" not in page
    full, small = (upstroke.run(source, tmp_path / name).probes()["soma.V"]
                   for source, name in ((case, "full"), (tmp_path / "r.toml", "small")))
    spikes = crossings(full, 0.025)
    assert len(spikes) == 3
    assert crossings(small, 0.025) == pytest.approx(spikes, abs=0.3)
    assert np.abs(small[:200] - full[:200]).max() < 0.05                             # at rest, before the first


def test_cylinders_with_channels_run(tmp_path):
    case = load_case(BALL, overrides=['membrane=[{model="HodgkinHuxley"}]'])
    made = reduce_cell(case, tmp_path / "r.toml", method="cylinders", at="dend(0.9)")
    counts = made.report.partition("1000 ms: ")[2].partition(" spikes")[0].split(" and ")
    assert int(counts[0]) >= 5 and abs(int(counts[0]) - int(counts[1])) <= 1
    assert Path(tmp_path / "r.toml").read_text().count("[[mesh.section]]") > 3


def test_a_large_cell_of_ten_compartments_keeps_steady_transfer_and_the_times_of_spikes(tmp_path):
    """`cases/reduced_pyramidal` beside the 508 compartments it was made from: steady transfer between all places within
    0.1 %, all 15 spikes of a second within 1 ms. That it has two more (17) is said on its page."""
    whole, reduced = load_case(DATA / "large.toml"), load_case(ROOT / "cases" / "reduced_pyramidal")
    names = [section.name for section in reduced.mesh.section]
    assert len(names) == 10
    Z = []
    for case in (whole, reduced):
        passive = neuron_of(case).passive
        nodes = (parse_sites(", ".join(names), passive.tree) if case is whole else
                 [int(passive.tree.nodes_at(Site(section=name), "")[0]) for name in names])
        Z.append(passive.impedance(nodes, [0.0])[0][nodes].real)
    assert np.abs(Z[1] / Z[0] - 1.0).max() < 1e-3
    full, small = (crossings(upstroke.run(case, tmp_path / name).probes()["soma.V"], every)
                   for case, name, every in ((whole, "whole", 0.025), (reduced, "reduced", 0.1)))
    assert len(full) == 15 and len(small) == 17
    assert np.abs(full[:, None] - small).min(axis=1).max() < 1.0


def test_the_shipped_reduced_cell_is_what_the_fit_gives():
    """"Areas of the compartments of `cases/reduced_pyramidal`, fitted anew."""
    whole, shipped = load_case(DATA / "large.toml"), load_case(ROOT / "cases" / "reduced_pyramidal")
    passive = neuron_of(whole).passive
    nodes = parse_sites(", ".join(section.name for section in shipped.mesh.section), passive.tree)
    reduced = fit(passive.impedance(nodes, FREQUENCIES)[:, nodes], nearest_ancestors(passive.tree, nodes))
    area = [math.pi * section.length * section.diameter for section in shipped.mesh.section]
    assert area == pytest.approx(list(reduced.capacitance / whole.cable.capacitance), rel=1e-3)
