"""[cable] by region: what is built, where resistances meet, and what cannot be."""

import math

import numpy as np
import pytest

from upstroke import load_case
from upstroke.case.schema import Cable, CableRegion, Compartments, Section, SectionsMesh
from upstroke.errors import UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.space import assemble_tree, discretise

UM = 1e-4
BALL = Section(name="soma", type="soma", length=20 * UM, diameter=20 * UM)
DEND = Section(name="dend", parent="soma", length=200 * UM, diameter=2 * UM)
AXON = Section(name="axon", type="axon", parent="soma", parent_x=0.0, length=200 * UM, diameter=2 * UM)


def mesh_of(*regions, rules=None, **compartments):
    cable = Cable(axial_resistivity=0.15, region=regions)
    return cable, build_mesh(SectionsMesh(section=(BALL, DEND, AXON), regions=rules or {},
                                          compartments=Compartments(**compartments)), cable)


def section(mesh, name):
    return mesh.tree.populations[0].section_named(name, "")


def test_areas_capacities_and_currents_of_regions():
    cable, mesh = mesh_of(CableRegion(regions=("axon",), capacitance=0.5),
                          CableRegion(regions=("basal",), area_factor=2.0), number=4)
    operator = discretise(mesh, cable)
    plain_area = math.pi * 2 * UM * 50 * UM
    for name, area, mass in (("axon", 1, 0.5), ("dend", 2, 2)):
        at = section(mesh, name).first
        assert operator.membrane_area[at] == pytest.approx(area * plain_area)
        assert operator.lumped_mass[at] == pytest.approx(mass * plain_area)
    soma = section(mesh, "soma").first
    assert operator.membrane_area[soma] == operator.lumped_mass[soma] == pytest.approx(math.pi * 100 * UM ** 2)
    order = np.random.default_rng(0).permutation(operator.n)
    assert np.array_equal(operator.permuted(order).membrane_area, operator.membrane_area[order])


def test_one_capacitance_needs_no_area_of_its_own():
    cable, mesh = mesh_of(CableRegion(regions=("axon",), axial_resistivity=0.07, capacitance=1.0, area_factor=2.0))
    assert discretise(mesh, cable).area is None


def test_of_a_resistance_each_half_has_its_own_ra():
    half = 4 * 25 * UM / (math.pi * (2 * UM) ** 2)             # 1/cm, of half a compartment
    cable, mesh = mesh_of(CableRegion(regions=("far",), axial_resistivity=0.45), number=4,
                          rules={"far": 'section == "dend" and x > 0.5'})
    s = section(mesh, "dend")
    K = assemble_tree(mesh.tree, cable).stiffness.toarray()
    ours = [-1.0 / K[node, mesh.tree.parent[node]] for node in range(s.first, s.end + 1)]    # kOhm, with C_m 1
    #        own first half | near, near | near, far | far, far | to the end: its compartment's
    assert ours == pytest.approx([0.15 * half, 0.3 * half, 0.6 * half, 0.9 * half, 0.45 * half])


@pytest.mark.parametrize(("region", "expected"), [
    # 200 um of 2 um are 6.14 tenths of the length constant at 100 Hz with [cable]'s values (test_mesh_neuron.py)
    ({"axial_resistivity": 0.15}, 7), ({"capacitance": 4.0}, 13), ({"area_factor": 4.0}, 13),
    ({"axial_resistivity": 0.6}, 13), ({"axial_resistivity": 0.6, "capacitance": 0.25}, 7)])
def test_compartments_follow_from_the_length_constants_of_a_region(region, expected):
    _, mesh = mesh_of(CableRegion(regions=("axon",), **region))
    assert (section(mesh, "dend").n_compartments, section(mesh, "axon").n_compartments) == (7, expected)


def test_a_section_in_two_regions_has_its_mean_length_constant():
    """sqrt(Ra C_m) is 1 on one half and 2 on the other: 1.5 x 6.14 tenths."""
    _, mesh = mesh_of(CableRegion(regions=("far",), capacitance=4.0), rules={"far": 'type == "axon" and x > 0.5'})
    assert section(mesh, "axon").n_compartments == int((1.5 * 6.14 + 0.9) / 2) * 2 + 1 == 11


# --------------------------------------------------------------------------------------------- mistakes
def case(*regions, splitting="staggered", rules=None):
    return {"mesh": {"kind": "sections", "regions": rules or {}, "section": [
        {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
        {"name": "axon", "type": "axon", "parent": "soma", "length": "200 um", "diameter": "2 um"}]},
        "cable": {"axial_resistivity": "150 ohm*cm", "region": list(regions)}, "membrane": {"model": "Passive"},
        "time": {"end": "1 ms", "dt": "0.1 ms", "splitting": splitting}}


@pytest.mark.parametrize(("regions", "more", "expected"), [
    ([{"regions": ["axon"]}], {}, "case: cable.region.0: changes nothing\n"
     "  -> add axial_resistivity, capacitance or area_factor, or remove the table"),
    ([{"regions": ["axon"], "area_factor": 2}, {"regions": ["axon"], "capacitance": "2 uF/cm^2"}], {},
     "case: cable.region.1.regions: names region 'axon' a second time\n  -> name each region once"),
    ([{"regions": ["axon"], "area_factor": 2}, {"regions": [2], "capacitance": "2 uF/cm^2"}], {},
     "case: cable.region.1.regions: a compartment of it belongs to cable.region.0 already\n"
     "  -> name each region once, by its name or by its tag"),
    ([{"regions": ["axxon"], "area_factor": 2}], {},
     "case: cable.region.0.regions: the mesh has no region 'axxon'\n  -> did you mean 'axon'?"),
    ([{"regions": ["axon"], "capacitance": "0.02 uF/cm^2"}], {"splitting": "strang"},
     'case: time.splitting: "strang" has one capacitance per area for all nodes, and regions of [cable] differ in '
     'theirs\n'
     '  -> set time.splitting = "staggered" or "implicit"'),
])
def test_what_is_wrong(regions, more, expected):
    from upstroke.run import prepare
    with pytest.raises(UpstrokeError) as caught:
        prepare(load_case(case(*regions, **more)))
    assert str(caught.value) == expected
