"""Compartments by hand: couplings, capacitances and conductances of sections; what cannot be."""

import numpy as np
import pytest

from upstroke.case import load_case
from upstroke.errors import ErrorList
from upstroke.mesh import build_mesh
from upstroke.mesh.labels import values_at
from upstroke.space.tree import assemble_tree

BALL = {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"}
STICK = {"name": "dend", "parent": "soma", "length": "100 um", "diameter": "2 um"}
POINT = {"name": "soma", "type": "soma", "capacitance": "200 pF", "conductances": {"g_L": "10 nS"}}


def case_of(*sections, region=(), **compartments):
    return load_case({"mesh": {"kind": "sections", "section": sections, "compartments": compartments or {"number": 1}},
                      "cable": {"axial_resistivity": "100 ohm*cm", "capacitance": "2 uF/cm^2", "region": region},
                      "membrane": {"model": "Passive"},
                      "time": {"end": "1 ms", "dt": "0.1 ms", "splitting": "staggered"},
                      "watch": {"activation": {"threshold": "0 mV"}}})


def conductance(case, a, b):
    """mS between two nodes, by the operator: K is g / C_m."""
    mesh = build_mesh(case.mesh, case.cable)
    return -case.cable.capacitance * assemble_tree(mesh.tree, case.cable).stiffness.toarray()[a, b]


def test_a_coupling_joins_two_compartments_by_its_conductance():
    """Beside it, half cylinders do: g = 1 / (R_1 + R_2) with R = Ra L / 2 / (pi d^2 / 4)."""
    case = case_of(BALL, STICK | {"coupling": "15 nS"}, STICK | {"name": "tuft", "parent": "dend"})
    assert conductance(case, 1, 3) == pytest.approx(15e-6, rel=1e-12)
    mesh = build_mesh(case.mesh, case.cable)
    assert mesh.tree.parent.tolist() == [-1, 0, 1, 1, 3, 4, 5] and mesh.cells[:, 0].tolist() == [0, 1, 1, 3, 4, 5]
    half = 2 * 100.0 * 50e-4 / (np.pi * 2e-4 ** 2 / 4)                    # ohm, of both halves
    assert mesh.tree.axial[[4, 5]].sum() * 100.0 == pytest.approx(half, rel=1e-12)


def test_a_coupling_is_that_of_the_parents_compartment_and_no_matter_of_regions():
    regions = [{"regions": ["basal"], "axial_resistivity": "50 ohm*cm", "area_factor": 3}]
    case = case_of(BALL, STICK | {"coupling": "15 nS", "parent_x": 0.2}, region=regions, number=5)
    assert conductance(case, 2, 7) == pytest.approx(15e-6, rel=1e-12)


def test_a_compartment_of_a_capacitance():
    case = case_of(POINT, {"name": "dend", "parent": "soma", "capacitance": "50 pF", "coupling": "15 nS",
                           "conductances": {"g_L": "2 nS"}, "values": {"E_L": -60}})
    mesh = build_mesh(case.mesh, case.cable)
    assert mesh.tree.area[[1, 3]] * 2.0 == pytest.approx([200e-6, 50e-6], rel=1e-12)          # uF
    g = values_at(mesh, "g_L", np.array([1, 3]), "here")
    assert g * mesh.tree.area[[1, 3]] == pytest.approx([10e-6, 2e-6], rel=1e-12)              # mS
    assert mesh.point_data["E_L"][3] == -60


def test_conductances_of_a_section_are_shared_by_its_compartments_and_its_spines():
    regions = [{"regions": ["basal"], "area_factor": 3}]
    case = case_of(BALL, STICK | {"conductances": {"g": "6 nS"}}, region=regions, number=4)
    mesh = build_mesh(case.mesh, case.cable)
    dend = mesh.tree.section == 1
    assert (mesh.point_data["g"] * mesh.tree.area)[dend].sum() == pytest.approx(6e-6, rel=1e-12)


@pytest.mark.parametrize(("sections", "text"), [
    ([{"name": "soma", "length": "20 um"}], "mesh.section.0.diameter: missing\n  -> add diameter = \"20 um\", or give "
     'a compartment without a shape its capacitance = "100 pF"'),
    ([POINT | {"length": "20 um"}],
     "mesh.section.0.capacitance: given together with its shape\n  -> keep capacitance, or length and diameter"),
    ([BALL, POINT | {"name": "dend", "parent": "soma"}], "mesh.section.1.coupling: missing: a compartment without a "
     'shape has no axial resistance\n  -> add coupling = "15 nS"'),
    ([POINT, STICK], "mesh.section.1.coupling: missing: 'soma' has no shape, and so no axial resistance\n"
     '  -> add coupling = "15 nS"'),
    ([BALL | {"coupling": "15 nS"}],
     "mesh.section.0.coupling: the section has no parent\n  -> remove it, or add parent"),
    ([BALL, STICK | {"coupling": "15 nS", "levels": 2}],
     "mesh.section.1.levels: a tree by rule has shapes that couple it\n  -> give single sections a coupling"),
    ([BALL, STICK | {"coupling": "15"}],
     'mesh.section.1.coupling: "15" has no unit, expected a conductance\n  -> write "15 nS" or "15 uS"'),
])
def test_what_cannot_be(sections, text):
    with pytest.raises(ErrorList) as caught:
        case_of(*sections)
    assert str(caught.value) == f"case: {text}"


def test_what_has_no_shape_cannot_be_divided():
    with pytest.raises(ErrorList) as caught:
        case_of(POINT, d_lambda=0.1)
    assert str(caught.value) == ("case: mesh.compartments: section 'soma' has no shape that could be divided\n"
                                 "  -> set compartments.number = 1")
