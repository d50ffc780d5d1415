"""``upstroke reduce`` end to end: the case it writes is run by the main job and does what the full one does."""

import csv
from pathlib import Path

import numpy as np
import pytest

import upstroke
from upstroke.case import load_case
from upstroke.cli import main
from upstroke.reduce import reduce_cell

CASE = Path(__file__).parents[1] / "data" / "reduce" / "case.toml"
PROBES = 'watch={probes={every="0.1 ms", points={soma={section="soma[0]"}, tuft={section="apic[8]", x=0.9}}}}'


def test_reduced_runs_as_full_does(tmp_path, capsys):
    """The clamp and the probes of the case go along; V differs by less than 2 % of its deflection, at every time."""
    case = load_case(CASE, overrides=[PROBES])
    made = reduce_cell(case, tmp_path / "small.toml", count=8)
    assert {path.name for path in made.files} == {"small.toml", "small.txt", "small.csv", "small.html"}
    assert "compartments                    101         8" in made.report
    full = upstroke.run(case, tmp_path / "full").probes()
    small = upstroke.run(tmp_path / "small.toml", tmp_path / "small").probes()
    for name in ("soma.V", "tuft.V"):
        change = full[name] - full[name][0]
        assert change.max() > 8.0
        assert np.abs(small[name] - full[name]).max() < 0.02 * change.max()
    rows = list(csv.DictReader((tmp_path / "small.csv").open()))
    assert len(rows) == 10 * 8 * 8
    assert float(rows[0]["full_MOhm"]) == pytest.approx(float(rows[0]["reduced_MOhm"]), rel=1e-3)
    assert main(["check", str(tmp_path / "small.toml")]) == 0
    assert "neuron: 8 sections, 8 compartments" in capsys.readouterr().out


def test_rest_of_every_place_stays_where_leaks_differ(tmp_path):
    tables = ('membrane=[{model="Passive", parameters={Rm=10, V_rest=-60}, regions=["soma", "axon"]}, '
              '{model="Passive", parameters={Rm=25, V_rest=-80}}]')
    made = reduce_cell(load_case(CASE, overrides=[tables, "stimulus=[]"]), tmp_path / "r.toml", count=6)
    assert "rest at soma[0](0.5), mV   " in made.report
    runs = [upstroke.run(load_case(source, overrides=[*more, 'time.end="400 ms"']), tmp_path / name).state.variable("V")
            for source, more, name in ((CASE, [tables, "stimulus=[]"], "a"), (tmp_path / "r.toml", [], "b"))]
    assert runs[1][1] == pytest.approx(runs[0][1], abs=0.01)              # node 1 is the soma in both
    assert -75.0 < runs[0][1] < -65.0


def test_cylinders_keep_the_transfer_to_the_soma(tmp_path):
    made = reduce_cell(load_case(CASE, overrides=["stimulus=[]"]), tmp_path / "r.toml", method="cylinders",
                       at="apic[6](1), apic[8](0.9), dend[1](0.5), axon[0](0.5)")
    assert "compartments                    101        35" in made.report
    for row in csv.DictReader((tmp_path / "r.csv").open()):
        if row["frequency_Hz"] == "0" and row["V_at"] == "soma[0](0.5)":
            assert float(row["reduced_MOhm"]) == pytest.approx(float(row["full_MOhm"]), rel=0.01), row["current_at"]
    upstroke.run(tmp_path / "r.toml", tmp_path / "run")


def test_rallpack_2_becomes_a_cylinder(tmp_path):
    """1023 branches; twigs lie at the end of 16 x 320 um. A current into the trunk cannot tell the two apart."""
    case = {"mesh": {"kind": "sections", "compartments": {"number": 1}, "section": {
                "name": "branch", "length": "32 um", "diameter": "16 um", "levels": 10}},
            "cable": {"axial_resistivity": "1 ohm*m"}, "membrane": {"model": "Passive", "parameters": {"Rm": 40}},
            "time": {"end": "250 ms", "dt": "0.05 ms", "splitting": "staggered"}}
    made = reduce_cell(load_case(case), tmp_path / "r.toml", method="cylinders",
                       at="branch[1022](0.5), branch[511](1)")
    section, = load_case(tmp_path / "r.toml").mesh.section
    assert section.length == pytest.approx(320e-4, rel=2e-5) and section.diameter == pytest.approx(16e-4, rel=2e-5)
    for row in csv.DictReader((tmp_path / "r.csv").open()):
        if row["current_at"] == "branch[0](0.5)":
            assert float(row["reduced_MOhm"]) == pytest.approx(float(row["full_MOhm"]), rel=5e-3), row
    assert "1023 compartments -> 3, a cylinder for each tree" in made.report


def test_what_cannot_go_along_is_told(tmp_path):
    made = reduce_cell(load_case(CASE, overrides=[PROBES]), tmp_path / "r.toml", at="apic[8](0.9), apic[9](0.9)")
    assert "note: the ways to the places part at apic[7](1): the fit is closer with compartments there" in made.report
    box = 'stimulus=[{name="all", box={min=["-1 m"], max=["1 m"]}, current="1 uA/cm^2", duration="1 ms"}]'
    probes = PROBES.replace('soma={section="soma[0]"}', 'soma={section="dend[1]"}, at=["0 mm"]')
    synapse = 'synapse=[{kind="ampa", region="apical", weight="1 nS", events={times=["5 ms"]}}]'
    made = reduce_cell(load_case(CASE, overrides=[box, probes, synapse]), tmp_path / "r.toml", at="apic[8](0.9)")
    for what in ("stimulus 'all'", "synapse 'synapse 1'", "probe 'soma'", "probe 'at'"):
        assert (f"note: the {what} is left out: only those at a site that the reduced cell has are taken over"
                in made.report)
    assert "stimulus" not in (tmp_path / "r.toml").read_text()


def test_inputs_at_sites_go_along(tmp_path):
    """A synapse and a current per area; the soma follows within 1 % of its peak."""
    synapse = ('synapse=[{kind="exp2syn", site={section="apic[8]", x=0.9}, weight="2 nS", tau_rise="0.5 ms", '
               'tau_decay="5 ms", events={times=["5 ms", "15 ms"]}}]')
    current = ('stimulus=[{site={section="apic[3]", x=0.5}, current="20 uA/cm^2", start="30 ms", duration="5 ms"}]')
    case = load_case(CASE, overrides=[PROBES, synapse, current])
    made = reduce_cell(case, tmp_path / "r.toml", count=8)
    assert made.report.count("note:") == 0
    full, small = (upstroke.run(source, tmp_path / name).probes()["soma.V"]
                   for source, name in ((case, "full"), (tmp_path / "r.toml", "small")))
    change = full - full[0]
    assert change[200] > 5.0 and change[350] > change[300] + 1.0
    assert np.abs(small - full).max() < 0.01 * change.max()


def test_the_verb(tmp_path, capsys):
    assert main(["reduce", str(CASE), "-o", str(tmp_path / "r.toml")]) == 2
    assert capsys.readouterr().err.startswith("--sites: says not how many compartments")
    swc = str(CASE.with_name("pyramidal.swc"))
    assert main(["reduce", swc, "-o", str(tmp_path / "r.toml"), "--sites", "3", "--set", "membrane.parameters.Rm=15",
                 "--set", 'cable.axial_resistivity="100 ohm*cm"']) == 0
    out = capsys.readouterr().out
    assert "101         3" in out and str(tmp_path / "r.txt") in out
