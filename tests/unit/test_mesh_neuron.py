"""Neurons as meshes: sections of files and of numbers, compartments, areas and resistances, regions, errors."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from upstroke.case.schema import Cable, Compartments, MorphologyMesh, Section, SectionsMesh
from upstroke.errors import BackendError, MeshError, UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.mesh.order import membrane_of_nodes
from upstroke.mesh.traced import cones_of
from upstroke.space import discretise
from upstroke.space.tree import assemble_tree

DATA = Path(__file__).parents[1] / "data" / "neuron"
NEURON = json.loads((DATA / "neuron9.json").read_text())["cells"]
CABLE = Cable(axial_resistivity=0.15, capacitance=1.0)        # 150 ohm cm
UM = 1e-4


def morphology(name, soma="neuron", regions=None, **compartments):
    file = DATA / f"{name}.{'asc' if name == 'traced' else 'swc'}"
    if name == "traced":
        pytest.importorskip("morphio")
    return build_mesh(MorphologyMesh(file=file, soma=soma, regions=regions or {},
                                     compartments=Compartments(**compartments)), CABLE)


def sections(*tables, regions=None, **compartments):
    return build_mesh(SectionsMesh(section=tables, regions=regions or {}, compartments=Compartments(**compartments)),
                      CABLE)


def resistance(tree, at, g=0.05, cable=CABLE):
    """V at all nodes in mV per nA, with a current at one, of a leak of g mS/cm^2."""
    operator = assemble_tree(tree, cable)
    A = cable.capacitance * operator.stiffness.toarray() + np.diag(g * tree.area)
    return 1e-3 * np.linalg.solve(A, np.eye(len(tree.parent))[at])


# --------------------------------------------------------------------------------------- against NEURON
@pytest.mark.parametrize("name", sorted(NEURON))
def test_sections_are_those_of_neuron(name):
    tree, expected = morphology(name).tree, {s["name"]: s for s in NEURON[name]["sections"]}
    assert {s.name for s in tree.sections} == set(expected)
    for section in tree.sections:
        ours, theirs = slice(section.first, section.end), expected[section.name]
        parent = tree.sections[section.parent].name if section.parent >= 0 else None
        assert (parent, section.parent_x) == (theirs["parent"], theirs["parent_x"])
        assert section.n_compartments == theirs["nseg"]
        # NEURON keeps the points in single precision
        assert section.length / UM == pytest.approx(theirs["length"], rel=1e-6)
        assert tree.area[ours] / UM ** 2 == pytest.approx(theirs["area"], rel=1e-6)
        assert 1e-3 * CABLE.axial_resistivity * tree.axial[ours] == pytest.approx(theirs["ri"], rel=2e-6)
        assert tree.diameter[ours] / UM == pytest.approx(theirs["diameter"], rel=2e-6)
        assert tree.distance[section.node_at(0.5)] / UM == pytest.approx(theirs["distance"], abs=1e-4)


@pytest.mark.parametrize("name", sorted(NEURON))
def test_input_resistance_and_transfer_are_those_of_neuron(name):
    tree, expected = morphology(name).tree, NEURON[name]
    soma, far = (tree.populations[0].section_named(s, "").node_at(0.5) for s in (expected["root"], expected["far"]))
    assert resistance(tree, soma)[soma] == pytest.approx(expected["soma_input"], rel=1e-6)
    assert resistance(tree, soma)[far] == pytest.approx(expected["soma_to_far"], rel=1e-6)
    assert resistance(tree, far)[far] == pytest.approx(expected["far_input"], rel=1e-6)
    assert resistance(tree, far)[soma] == pytest.approx(expected["far_to_soma"], rel=1e-6)


# ------------------------------------------------------------------------------------- closed forms
def test_a_cone_has_its_lateral_area_and_its_resistance():
    tree = sections(Section(name="cone", length=100 * UM, diameter=(4 * UM, 1 * UM)), number=7).tree
    a, b, length = 4 * UM, 1 * UM, 100 * UM
    assert tree.area.sum() == pytest.approx(math.pi * (a + b) / 2 * math.hypot(length, (a - b) / 2), rel=1e-12)
    assert tree.axial.sum() == pytest.approx(4 * length / (math.pi * a * b), rel=1e-12)
    assert np.flatnonzero(tree.area == 0).tolist() == [0, 8]
    assert tree.diameter[[0, 4, 8]] / UM == pytest.approx([4, 2.5, 1])
    assert tree.x.tolist() == pytest.approx([0, *((np.arange(7) + 0.5) / 7), 1])


@pytest.mark.parametrize(("rule", "expected"), [
    ({"number": 4}, 4), ({"max_length": 30 * UM}, 7), ({"max_length": 50 * UM}, 4), ({"max_length": 1.0}, 1),
    ({"d_lambda": 0.1}, 7), ({}, 7), ({"d_lambda": 0.02}, 31), ({"frequency": 1.0}, 21)])
def test_compartments_by_each_rule(rule, expected):
    # lambda_100 of 2 um, 150 ohm cm, 1 uF/cm^2: 1e5 sqrt(2 / (4 pi 100 150 1)) = 325.7 um by NEURON's formula; 200 um
    # are 6.14 tenths of it, int((6.14 + 0.9) / 2) 2 + 1 = 7
    tree = sections(Section(name="d", length=200 * UM, diameter=2 * UM), **rule).tree
    assert tree.sections[0].n_compartments == expected


def test_ball_and_stick_has_the_input_resistance_of_theory():
    # a sealed stick on a soma of equal potential: 1 / (G_soma + G_inf tanh(L / lambda))  (Rall 1977)
    ball = Section(name="soma", type="soma", length=20 * UM, diameter=20 * UM)
    stick = Section(name="dend", parent="soma", parent_x=0.5, length=500 * UM, diameter=2 * UM)
    tree = sections(ball, stick, max_length=1 * UM).tree
    g, Ra, d = 0.05, CABLE.axial_resistivity, 2 * UM
    length_constant = math.sqrt(d / (4 * Ra * g))
    stick_conductance = math.pi * d ** 1.5 / 2 * math.sqrt(g / Ra) * math.tanh(500 * UM / length_constant)
    soma = tree.populations[0].section_named("soma", "").node_at(0.5)
    # the ball is 20 compartments of next to no resistance
    expected = 1e-3 / (g * math.pi * (20 * UM) ** 2 + stick_conductance)
    assert resistance(tree, soma)[soma] == pytest.approx(expected, rel=3e-4)
    far = resistance(tree, soma)[tree.populations[0].section_named("dend", "").node_at(1.0)]
    assert far / expected == pytest.approx(1 / math.cosh(500 * UM / length_constant), rel=3e-4)


def test_a_tree_by_ralls_rule_is_a_cylinder():
    # Rallpack 2: ten levels from 16 um x 32 um are 320 um of a cylinder of 16 um
    tree = sections(Section(name="b", length=32 * UM, diameter=16 * UM, levels=10), number=1).tree
    assert len(tree.sections) == 1023 and tree.sections[-1].name == "b[1022]"
    last = tree.sections[-1]
    assert last.length / UM == pytest.approx(32 * 2 ** -3) and last.n_compartments == 1
    assert tree.area[tree.area > 0].sum() == pytest.approx(math.pi * 16 * UM * 320 * UM, rel=1e-12)
    cable = Cable(axial_resistivity=0.1)
    lumped = sections(Section(name="c", length=320 * UM, diameter=16 * UM), number=10).tree
    assert resistance(tree, 1, 0.025, cable)[1] == pytest.approx(resistance(lumped, 1, 0.025, cable)[1], rel=1e-10)


# --------------------------------------------------------------------------------------- rules of somata
def test_three_rules_for_a_soma_of_three_points():
    areas = {rule: {s.name: s for s in morphology("three_points", rule).tree.sections}["soma[0]"]
             for rule in ("neuron", "arbor", "neuromorpho")}
    ball = math.pi * 18.0 ** 2
    assert areas["neuron"].area / UM ** 2 == pytest.approx(ball)
    assert areas["neuromorpho"].area / UM ** 2 == pytest.approx(ball)
    assert areas["arbor"].area / UM ** 2 == pytest.approx(ball / 2)          # two cones, each a section of its own


def test_arbor_draws_cones_from_the_soma_to_branches():
    arbor, neuron = (morphology("three_points", rule).tree for rule in ("arbor", "neuron"))
    first = {s.name: s for s in arbor.sections}["dend[0]"]
    assert arbor.diameter[first.first] > 2 * neuron.diameter[neuron.populations[0].section_named("dend[0]", "").first]
    assert arbor.sections[first.parent].type == "soma" and first.parent_x in (0.0, 1.0)


def test_neuromorpho_makes_a_sphere_of_a_long_soma():
    long, ball = morphology("long_soma").tree, morphology("long_soma", "neuromorpho").tree
    assert ball.sections[0].area == pytest.approx(long.sections[0].area, rel=1e-12)
    assert all(s.parent_x == 0.5 for s in ball.sections if s.parent == 0)
    assert ball.sections[0].length == pytest.approx(ball.diameter[1])


def test_h5_is_read_as_asc_is(tmp_path):
    morphio = pytest.importorskip("morphio")
    morphio.Morphology(DATA / "traced.asc").as_mutable().write(tmp_path / "traced.h5")
    asc, h5 = morphology("traced").tree, build_mesh(MorphologyMesh(file=tmp_path / "traced.h5"), CABLE).tree
    assert [s.name for s in h5.sections] == [s.name for s in asc.sections]
    assert h5.area == pytest.approx(asc.area, rel=1e-6) and h5.axial == pytest.approx(asc.axial, rel=1e-6)


def test_an_outline_as_a_sphere():
    soma = morphology("traced", "neuromorpho").tree.sections[0]
    assert math.sqrt(soma.area / math.pi) / UM == pytest.approx(2 * 9.12, rel=0.01)   # of an ellipse of 11 x 7 um


def test_an_outline_that_turns_back_still_makes_cones():
    corners = np.array([[-9, -3], [0, -5], [1, -3], [0.5, -4], [9, -2], [8, 4], [3, 2], [4, 5], [-8, 3]], float)
    points, diameter = cones_of(np.column_stack([corners, np.zeros(9)]))
    assert (np.diff(points[:, 0]) > 0).all() and (diameter > 0).all() and 5 < diameter.max() < 11


def test_an_outline_on_edge():
    upright = np.array([[-3, 0, -1], [3, 0, -1], [3, 0, 1], [-3, 0, 1]], float)
    with pytest.raises(MeshError) as caught:
        cones_of(upright)
    assert str(caught.value) == ('mesh.soma: the soma\'s outline does not lie in the x-y plane, as the rule "neuron" '
                                 'needs\n  -> set mesh.soma = "neuromorpho"')


def test_what_is_wrong_with_a_traced_file(tmp_path, monkeypatch):
    pytest.importorskip("morphio")
    with pytest.raises(MeshError) as caught:
        morphology("traced", "arbor")
    assert str(caught.value) == ('mesh.soma: the rule "arbor" is for the points of SWC files, and this soma is an '
                                 'outline\n  -> set mesh.soma = "neuron" or "neuromorpho"')
    monkeypatch.chdir(tmp_path)
    Path("cell.asc").write_text("((Dendrite) (0 0 0 1) (9 0 0 1))")
    with pytest.raises(MeshError) as caught:
        build_mesh(MorphologyMesh(file=Path("cell.asc")), CABLE)
    assert str(caught.value) == ("cell.asc: has no soma, on which its branches could start\n"
                                 "  -> trace its soma, or write an SWC file")
    Path("cell.asc").write_text("no file of Neurolucida's (")
    with pytest.raises(MeshError) as caught:
        build_mesh(MorphologyMesh(file=Path("cell.asc")), CABLE)
    assert str(caught.value).startswith("cell.asc: MorphIO cannot read it: ")
    assert str(caught.value).endswith("\n  -> check that it is a morphology")


def test_without_morphio(monkeypatch):
    monkeypatch.setitem(sys.modules, "morphio", None)
    with pytest.raises(BackendError) as caught:
        build_mesh(MorphologyMesh(file=DATA / "traced.asc"), CABLE)
    assert str(caught.value) == ("mesh.file: MorphIO, which reads .asc files, is not installed\n"
                                 "  -> pip install 'upstroke[neuron]'")


# ----------------------------------------------------------------------------------------------- regions
def test_regions_by_type_and_by_expression():
    mesh = morphology("one_point", regions={"tuft": 'type == "apical" and distance > 250 um',
                                            "thin": 'not (diameter >= 0.7 um or type not in ["basal", "apical"])'})
    assert set(mesh.region_names) == {"soma", "axon", "basal", "apical", "custom7", "tuft", "thin"}
    tree, node = mesh.tree, mesh.cells[:, 1]
    type_ = np.array([s.type for s in tree.sections])[tree.section[node]]
    tuft = (type_ == "apical") & (tree.distance[node] > 250 * UM)
    thin = ~tuft & (tree.diameter[node] < 0.7 * UM) & np.isin(type_, ["basal", "apical"])
    assert np.array_equal(mesh.region == mesh.region_names["tuft"], tuft) and tuft.any()
    assert np.array_equal(mesh.region == mesh.region_names["thin"], thin) and thin.any()
    for name in ("soma", "axon", "basal", "apical"):
        assert np.array_equal(mesh.region == mesh.region_names[name], (type_ == name) & ~tuft & ~thin)


def test_membranes_follow_compartments():
    mesh = morphology("one_point")
    owner = membrane_of_nodes(mesh, [("soma",), None])
    types = np.array([s.type for s in mesh.tree.sections])[mesh.tree.section]
    assert np.array_equal(owner == 0, types == "soma") and owner[0] == 0


@pytest.mark.parametrize(("expression", "expected"), [
    ("distance > 100", "in 'distance > 100' a length is compared with a number\n"
                       "  -> write lengths with their unit: 100 um"),
    ("type == apical", "in 'type == apical' there is no 'apical'\n"
                       "  -> known: diameter, distance, section, type, x"),
    ("distence > 1 um", "in 'distence > 1 um' there is no 'distence'\n  -> did you mean 'distance'?"),
    ("distance > 1 ms", '"1 ms" is a time, not a length\n  -> for example "0.2 mm"'),
    ("distance >", "cannot read 'distance >'\n  -> for example 'type == \"apical\" and distance > 100 um'"),
    ("distance", "in 'distance' the value is a length, not a condition\n"
                 "  -> for example 'type == \"apical\" and distance > 100 um'"),
    ("__import__('os').system('true')", "in \"__import__('os').system('true')\" \"__import__('os').system('true')\" is "
     "nothing that an expression may have\n  -> for example 'type == \"apical\" and distance > 100 um'"),
    ("distance > 100 um * 2 um", "in 'distance > 100 um * 2 um' a length is compared with a length squared\n"
     "  -> write lengths with their unit: 100 um"),
    ("not " * 3000 + "x > 1", f"cannot read {'not ' * 3000 + 'x > 1'!r}\n"
     "  -> for example 'type == \"apical\" and distance > 100 um'"),
    ("type is 'soma'", "in \"type is 'soma'\" there is an operator that conditions do not have\n"
                       "  -> use == != < <= > >= in, not in"),
    ("type in 'soma'", "in \"type in 'soma'\" what follows 'in' is no list\n"
                       "  -> for example 'type in [\"basal\", \"apical\"]'"),
    ("distance > 9 mm", "'distance > 9 mm' holds nowhere on this cell\n"
                        "  -> `upstroke check` lists what the cell has when this region is left out"),
])
def test_what_is_wrong_with_an_expression(expression, expected):
    with pytest.raises(UpstrokeError) as caught:
        morphology("one_point", regions={"far": expression})
    assert str(caught.value) == f"mesh.regions.far: {expected}"


def test_regions_need_names_and_room_of_their_own():
    with pytest.raises(UpstrokeError) as caught:
        morphology("one_point", regions={"soma": "x > 0.5"})
    assert str(caught.value) == "mesh.regions.soma: is the name of a type already\n  -> give the region another name"
    with pytest.raises(UpstrokeError) as caught:
        morphology("one_point", regions={"a": "x > 0.2", "b": "x > 0.5"})
    assert str(caught.value) == ("mesh.regions.b: wherever 'x > 0.5' holds, an earlier region holds, too\n"
                                 "  -> put the narrower region first")


# ------------------------------------------------------------------------------------------------ errors
@pytest.mark.parametrize(("text", "expected"), [
    ("", "cell.swc: has no points\n  -> an SWC file has a line for each point"),
    ("1 1 0 0 0 5\n", "cell.swc:1: no point of an SWC file: '1 1 0 0 0 5'\n"
     "  -> a line has seven numbers: number type x y z radius parent"),
    ("1 1 0 0 0 5 -1\n2 3 0 nan 9 1 1  # x\n", "cell.swc:2: no point of an SWC file: '2 3 0 nan 9 1 1  # x'\n"
     "  -> a line has seven numbers: number type x y z radius parent"),
    ("1 1 0 0 0 5 -1\n1 1 0 0 0 5 -1\n", "cell.swc:2: point 1 is there already, in line 1\n"
     "  -> number each point once"),
    ("1 1 0 0 0 5 -1\n2 3 0 0 9 1 -1\n", "cell.swc:2: 2 points have no parent, so this is not one cell\n"
     "  -> keep one cell, with parent -1 at its first point"),
    ("1 1 0 0 0 5 -1\n2 3 0 0 9 1 7\n", "cell.swc:2: point 2 hangs on point 7, which is not there\n"
     "  -> write the morphology again with all its points"),
    ("1 1 0 0 0 5 -1\n2 3 0 0 9 1 3\n3 3 0 0 9 1 1\n", "cell.swc:2: point 2 hangs on point 3, which comes after it\n"
     "  -> number the points so that parents come first, as most programs write them"),
    ("1 1 0 0 0 5 -1\n2 3 0 0 9 1 1\n3 3 0 0 19 0 2\n", "mesh: section dend[0] has a diameter of 0 um\n"
     "  -> give every point of the morphology a radius above zero"),
])
def test_what_is_wrong_with_a_file(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("cell.swc").write_text(text)
    with pytest.raises(MeshError) as caught:
        build_mesh(MorphologyMesh(file=Path("cell.swc")), CABLE)
    assert str(caught.value) == expected


def test_rules_that_do_not_know_a_soma(tmp_path):
    with pytest.raises(MeshError) as caught:
        morphology("one_point", "arbor")
    assert str(caught.value) == ('mesh.soma: the soma is a single point, which the rule "arbor" has no cone for\n'
                                 '  -> set mesh.soma = "neuron", or give the soma a second point')
    (tmp_path / "axon.swc").write_text("1 2 0 0 0 1 -1\n2 2 0 0 9 1 1\n")
    with pytest.raises(MeshError) as caught:
        build_mesh(MorphologyMesh(file=tmp_path / "axon.swc", soma="neuromorpho"), CABLE)
    assert str(caught.value) == ('mesh.soma: the cell does not start with a soma, as the rule "neuromorpho" needs\n'
                                 '  -> set mesh.soma = "neuron"')


D = {"length": 1e-2, "diameter": 1e-4}


@pytest.mark.parametrize(("tables", "expected"), [
    ([Section(name="a", parent="b", **D)],
     "mesh.section.0.parent: the first section has no parent\n  -> remove it"),
    ([Section(name="a", **D), Section(name="b", **D)],
     "mesh.section.1: section 'b' has no parent\n  -> only the first section has none; did you mean parent = 'a'?"),
    ([Section(name="dend", **D), Section(name="b", parent="den", **D)],
     "mesh.section.1.parent: there is no section 'den' above this one\n  -> did you mean 'dend'?"),
    ([Section(name="a", **D), Section(name="a", parent="a", **D)],
     "mesh.section.1.name: there is a section 'a' already\n  -> give it another name"),
])
def test_what_is_wrong_with_sections(tables, expected):
    with pytest.raises(UpstrokeError) as caught:
        sections(*tables)
    assert str(caught.value) == expected


def test_too_many_compartments():
    with pytest.raises(MeshError) as caught:
        sections(Section(name="a", length=1.0, diameter=1e-4), number=20_000_000)
    assert str(caught.value) == ("mesh.compartments: makes 20,000,000 compartments, more than the 16,777,216 that a "
                                 "cell may have\n  -> take longer ones, and check the unit of lengths")


def test_what_is_no_morphology():
    with pytest.raises(MeshError) as caught:
        build_mesh(MorphologyMesh(file=Path("cell.txt")), CABLE)
    assert str(caught.value) == ("mesh.file: 'cell.txt' is no morphology that can be read\n"
                                 "  -> known: .swc, .asc, .h5")


# ---------------------------------------------------------------------------------------------- operator
def test_the_operator_conserves_charge_and_has_no_mass_where_branches_meet():
    tree = morphology("one_point").tree
    operator = assemble_tree(tree, CABLE)
    assert abs(operator.stiffness.sum(axis=1)).max() < 1e-12 * operator.stiffness.max()
    assert np.array_equal(operator.lumped_mass, tree.area) and np.array_equal(operator.mass.diagonal(), tree.area)
    assert operator.explicit_limit == 0.0


def test_v_where_branches_meet_is_the_weighted_mean_around():
    tree = sections(Section(name="a", **D), Section(name="b", parent="a", length=1e-2, diameter=2e-4),
                    Section(name="c", parent="a", **D), number=1).tree
    nodes, weights = tree.around(tree.populations[0].section_named("a", "").end)
    assert sorted(nodes.tolist()) == [1, 3, 5]
    assert dict(zip(nodes.tolist(), weights.tolist(), strict=True)) == pytest.approx({1: 1 / 6, 3: 4 / 6, 5: 1 / 6})
    assert tree.around(1)[0].tolist() == [1]


def test_ends_where_nothing_follows_take_no_part_in_a_run():
    """The start of the root, and the ends of b and c; a and d have both ends where branches meet."""
    mesh = sections(Section(name="a", **D), Section(name="b", parent="a", **D), Section(name="c", parent="a", **D),
                    Section(name="d", parent="a", parent_x=0.5, **D), Section(name="e", parent="d", **D), number=1)
    tree = mesh.tree
    start, a, b, c, d, e = (0, *(s.first for s in tree.sections))
    alone = {start: a, b + 1: b, c + 1: c, e + 1: e}
    assert dict(zip(np.flatnonzero(~tree.solved).tolist(), tree.known_at[~tree.solved].tolist(), strict=True)) == alone
    assert np.array_equal(np.flatnonzero(tree.solved), [a, a + 1, b, c, d, d + 1, e])
    whole, run = (assemble_tree(tree, CABLE, solved).stiffness.toarray() for solved in (None, tree.solved))
    ends, rest = ~tree.solved, tree.solved                          # the Schur complement: ends are eliminated
    left = whole[rest][:, rest] - whole[rest][:, ends] @ np.linalg.solve(whole[ends][:, ends], whole[ends][:, rest])
    assert np.allclose(run[rest][:, rest], left, rtol=0.0, atol=1e-14 * whole.max()) and not run[ends].any()
    assert np.array_equal(discretise(mesh, CABLE).stiffness.toarray(), run)


def test_the_start_of_a_root_with_branches_there_takes_part():
    tree = sections(Section(name="a", **D), Section(name="b", parent="a", parent_x=0.0, **D), number=1).tree
    assert np.flatnonzero(tree.solved).tolist() == [0, 1, 3]


def test_a_section_may_say_how_many_compartments_it_has():
    tree = sections(Section(name="soma", **D), Section(name="axon", parent="soma", **D, compartments=7),
                    Section(name="dend", parent="soma", **D, levels=2, compartments=3), number=1).tree
    assert [s.n_compartments for s in tree.sections] == [1, 7, 3, 3, 3]
