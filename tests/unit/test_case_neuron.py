"""Cases of neurons: what is accepted, what is not and why."""

from typing import Any

import pytest

from upstroke.case import load_case, to_toml
from upstroke.case.schema import Cable, Probes, Section, Site, Stimulus
from upstroke.errors import ErrorList, MeshError
from upstroke.mesh import build_mesh
from upstroke.observe.probes import place_probes
from upstroke.protocol import schedule

GOOD: dict[str, Any] = {
    "mesh": {"kind": "sections", "section": [{"name": "dend", "length": "100 um", "diameter": "2 um"}]},
    "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": {"model": "Passive"},
    "time": {"end": "1 ms", "dt": "0.1 ms"},
    "stimulus": {"site": {"section": "dend", "x": 0.2}, "total_current": "0.1 nA", "duration": "1 ms"},
    "watch": {"probes": {"points": {"here": {"section": "dend"}, "there": ["10 um"]}, "every": "0.1 ms"}}}
TISSUE = {"conductivity": {"monodomain": ["1 mS/cm"]}, "surface_to_volume": "140 /mm"}
STIMULUS, PROBES = GOOD["stimulus"], GOOD["watch"]["probes"]
CABLE_MESH = {"kind": "cable", "length": "10 mm", "dx": "1 mm"}


def test_the_good_case_is_good_and_can_be_written_out() -> None:
    case = load_case(GOOD)
    assert case.tissue is None and case.coupling is case.cable
    assert case.cable == Cable(axial_resistivity=0.15, capacitance=1.0)
    assert isinstance(case.mesh.section[0], Section) and case.mesh.section[0].length == 0.01
    assert case.stimulus[0].total_current == 1e-4 and case.stimulus[0].site == Site(section="dend", x=0.2)
    assert case.watch.probes is not None
    assert case.watch.probes.points == {"here": Site(section="dend", x=0.5), "there": (1e-3,)}
    import tomllib
    assert load_case(tomllib.loads(to_toml(case))) == case


@pytest.mark.parametrize(("change", "expected"), [
    ({"cable": None}, "tissue: missing\n  -> add a table [tissue] with conductivity and surface_to_volume, or for a "
     "neuron [cable] with axial_resistivity"),
    ({"tissue": TISSUE}, "cable: given together with tissue\n"
     "  -> keep [cable] for a neuron, [tissue] for other meshes"),
    ({"tissue": TISSUE, "cable": None}, "tissue: the mesh is a neuron, which is no tissue\n"
     "  -> replace it by a table [cable] with axial_resistivity and capacitance"),
    ({"mesh": CABLE_MESH, "stimulus": (), "watch": {}}, 'cable: the mesh is no neuron but of kind "cable"\n'
     '  -> add a table [tissue] instead, or take mesh.kind = "morphology" or "sections"'),
    ({"time": {**GOOD["time"], "diffusion": "explicit"}},
     'time.diffusion: "explicit" cannot be with [cable]: where branches of a neuron meet there is no membrane, and no '
     'step is short enough\n  -> set diffusion = "crank_nicolson"'),
    ({"mesh": {**GOOD["mesh"], "compartments": {"number": 3, "max_length": "10 um"}}},
     "mesh.compartments.number: given together with max_length\n  -> keep one of the two"),
    ({"stimulus": {"region": "basal", "total_current": "0.1 nA", "duration": "1 ms"}},
     "stimulus.total_current: is for one compartment of a neuron\n"
     '  -> add site = { section = "soma", x = 0.5 }'),
    ({"stimulus": {**STIMULUS, "current": "1 uA/cm^2"}},
     "stimulus.total_current: given together with current\n  -> keep one of the two"),
    ({"stimulus": {"region": "basal", "volume_current": "1 uA/cm^3", "duration": "1 ms"}},
     'stimulus.0.volume_current: a neuron fills no volume\n'
     '  -> give current = "35.7 uA/cm^2", or total_current = "0.1 nA" at a site'),
    ({"stimulus": {**STIMULUS, "site": {"section": "dend", "x": 1.5}}},
     "stimulus.site.x: must be >= 0 and <= 1, found 1.5\n  -> for example x = 0.5"),
    ({"mesh": CABLE_MESH, "tissue": TISSUE, "cable": None, "watch": {}},
     "stimulus.0.site: the mesh is no neuron and has no sections\n  -> give a box or a sphere"),
    ({"mesh": CABLE_MESH, "tissue": TISSUE, "cable": None, "stimulus": ()},
     "watch.probes.points.here: the mesh is no neuron and has no sections\n"
     '  -> give coordinates, for example ["1 mm", "2 mm"]'),
])
def test_what_cannot_be(change: dict[str, Any], expected: str) -> None:
    case = {key: value for key, value in (GOOD | change).items() if value is not None}
    with pytest.raises(ErrorList) as caught:
        load_case(case)
    assert str(caught.value) == f"case: {expected}"


def test_a_section_that_is_not_there() -> None:
    mesh = build_mesh(load_case(GOOD).mesh, Cable(axial_resistivity=0.15))
    text = ": the cell has no section 'den'\n  -> did you mean 'dend'?"
    with pytest.raises(MeshError) as caught:
        schedule([Stimulus(site=Site(section="den"), total_current=1.0, duration=1.0)], mesh, 1.0, 0.1)
    assert str(caught.value) == "stimulus.0.site.section" + text
    with pytest.raises(MeshError) as caught:
        place_probes(Probes(points={"a": Site(section="den")}, every=0.1), mesh)
    assert str(caught.value) == "watch.probes.points.a.section" + text


def test_a_current_clamp_is_divided_by_the_area_of_its_compartment() -> None:
    case = load_case(GOOD)
    mesh = build_mesh(case.mesh, case.cable)
    assert mesh.tree is not None
    (train,) = schedule(case.stimulus, mesh, 1.0, 0.1).trains
    (node,) = train.nodes
    section = mesh.tree.sections[0]
    assert node == section.first + int(0.2 * section.n_compartments)
    assert train.current * mesh.tree.area[node] == pytest.approx(1e-4, rel=1e-12)
