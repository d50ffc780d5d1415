"""Purkinje trees: how they grow, are read, cut and joined to the tissue; the operator of both; what is refused."""

import math

import numpy as np
import pytest

from upstroke.case import load_case
from upstroke.case.schema import FractalTree
from upstroke.errors import CaseError, ErrorList, MeshError
from upstroke.mesh import build_mesh, nearest_nodes, nodes_in_box, nodes_of_region, with_purkinje
from upstroke.mesh.order import membrane_of_nodes, membranes_of_tissue
from upstroke.observe.snapshots import part_of
from upstroke.output.fields import cell_data, vtk_blocks
from upstroke.space import discretise

CASE = {
    "mesh": {"kind": "slab", "size": ["10 mm", "10 mm", "2 mm"], "dx": "1 mm", "fibre": [1, 0, 0]},
    "tissue": {"surface_to_volume": "140 /mm", "capacitance": "1 uF/cm^2", "waves": "lumped",
               "conductivity": {"monodomain": ["1.33 mS/cm", "0.176 mS/cm"]}},
    "purkinje": {"conductivity": "15 mS/cm", "diameter": "0.5 mm", "resistance": "10 kohm", "radius": "1 mm",
                 "fractal": {"surface": "zmax", "root": ["0 mm", "5 mm", "2 mm"], "toward": ["9 mm", "5 mm", "2 mm"],
                             "trunk": "3 mm", "length": "2 mm", "generations": 3}},
    "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "1 ms", "dt": "0.1 ms"},
}
LINES = """# vtk DataFile Version 3.0
strands
ASCII
DATASET POLYDATA
POINTS 5 float
-3 5 2  2 5 2  4 7 2
2 5 2  4 3 2
LINES 2 7
3 0 1 2
2 3 4
"""


def case(**changes):
    return load_case({**CASE, **{name: {**CASE[name], **value} if isinstance(value, dict) else value
                                 for name, value in changes.items()}})


def built(case):
    return with_purkinje(build_mesh(case.mesh), case.purkinje, case.tissue)


def of_file(tmp_path, text=LINES, **more):
    path = tmp_path / "tree.vtk"
    path.write_text(text)
    tree = {key: value for key, value in CASE["purkinje"].items() if key != "fractal"}
    return {**CASE, "purkinje": {**tree, "file": str(path), "unit": "mm", **more}}


# ------------------------------------------------------------------------------------------------------------- the tree
def test_a_tree_grows_on_its_surface_and_keeps_off_itself():
    mesh = built(case())
    strands, x = mesh.purkinje, mesh.points
    assert (x[strands.nodes, 2] == pytest.approx(0.2)) and len(strands.ends) > 4
    degree = np.bincount(strands.lines.ravel(), minlength=mesh.n_points)[strands.first:]
    assert set(np.unique(degree)) <= {1, 2, 3} and len(strands.lines) == len(strands.nodes) - 1   # a tree, forks of two
    length = np.linalg.norm(np.diff(x[strands.lines], axis=1)[:, 0], axis=1)
    assert length.max() <= case().purkinje[0].dx * (1 + 1e-9)
    trunk = x[strands.nodes[:15]]                                     # 3 mm of pieces of 0.2 mm, straight ahead
    assert trunk[:, 1] == pytest.approx(0.5) and np.diff(trunk[:, 0]) == pytest.approx(0.02)


def test_a_seed_makes_the_same_tree_again_and_another_another():
    fractal = CASE["purkinje"]["fractal"]
    one, again, other = (built(case(purkinje={"fractal": {**fractal, "seed": seed}})).points for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one[-1], other[-1])


def test_a_tree_on_a_grid_of_cubes():
    grid = {**CASE["mesh"], "kind": "grid"}
    mesh = built(load_case({**CASE, "mesh": grid}))
    assert mesh.points[mesh.purkinje.nodes, 2] == pytest.approx(0.2)


def test_a_tree_inside_a_ventricle():
    fractal = {"surface": "endo", "root": ["7 mm", "0 mm", "4 mm"], "toward": ["7 mm", "0 mm", "-8 mm"],
               "trunk": "8 mm", "length": "5 mm", "generations": 2}
    ventricle = {"kind": "ventricle", "dx": "3 mm", "cells_through": 2}
    mesh = built(load_case({**CASE, "mesh": ventricle, "purkinje": {**CASE["purkinje"], "dx": "0.5 mm",
                                                                    "fractal": fractal}}))
    x = mesh.points[mesh.purkinje.nodes]
    far = nearest_nodes(mesh, x)[1]
    assert far.max() < 0.3 and np.ptp(x[:, 2]) > 0.8 and len(mesh.purkinje.ends) >= 3
    near = nearest_nodes(mesh, x[far < 0.1])[0]
    assert np.isin(near, mesh.node_sets["endo"]).all()


def test_branches_turn_on_a_curved_surface():
    """On a ball all pieces stay on it, although each is straight."""
    from upstroke.mesh.fractal import Surface, grow
    t, p = np.meshgrid(np.linspace(0, math.pi, 41), np.linspace(0, 2 * math.pi, 81), indexing="ij")
    ball = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], axis=-1)
    a, b, c, d = ball[:-1, :-1], ball[1:, :-1], ball[1:, 1:], ball[:-1, 1:]
    triangles = np.concatenate([np.stack(corners, axis=2).reshape(-1, 3, 3) for corners in ((a, b, c), (a, c, d))])
    size = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    rule = FractalTree(surface="", root=(1.0, 0.0, 0.0), toward=(1.0, 0.0, 1.0), trunk=1.2, length=0.4, generations=3)
    points, _ = grow(rule, Surface(triangles[size > 1e-9]), 0.05)
    assert len(points) > 60 and np.abs(np.linalg.norm(points, axis=1) - 1.0).max() < 0.01
    assert points[24] == pytest.approx(np.array([math.cos(1.2), 0.0, math.sin(1.2)]), abs=0.02)


def test_a_file_with_lines_becomes_pieces_with_points_of_one_place_as_one(tmp_path):
    mesh = built(load_case(of_file(tmp_path)))
    strands, sets = mesh.purkinje, mesh.node_sets
    assert mesh.points[sets["purkinje_root"]] == pytest.approx(np.array([[-0.3, 0.5, 0.2]]))
    ends = mesh.points[sets["purkinje_ends"]]
    assert ends[np.argsort(ends[:, 1])] == pytest.approx(np.array([[0.4, 0.3, 0.2], [0.4, 0.7, 0.2]]))
    assert len(strands.lines) == 25 + 15 + 15                           # 5 mm, and twice sqrt(8) mm, cut at 0.2 mm


def test_a_file_of_meshio_and_another_root(tmp_path):
    meshio = pytest.importorskip("meshio")
    path = tmp_path / "tree.vtu"
    meshio.Mesh(np.array([[-3.0, 5, 2], [2, 5, 2], [4, 7, 2]]), [("line", np.array([[0, 1], [1, 2]]))]).write(path)
    tree = of_file(tmp_path, root=["4 mm", "7 mm", "2 mm"])
    mesh = built(load_case({**tree, "purkinje": {**tree["purkinje"], "file": str(path)}}))
    assert mesh.points[mesh.node_sets["purkinje_ends"]] == pytest.approx(np.array([[-0.3, 0.5, 0.2]]))
    assert mesh.notes == ("purkinje.0: 1 of its 1 ends have no tissue within 1 mm and are joined to the nearest node, "
                          "up to 3 mm away",)


# --------------------------------------------------------------------------------------------------------- the operator
def test_pieces_and_junctions_have_the_conductances_of_their_shape(tmp_path):
    mesh = built(load_case(of_file(tmp_path)))
    strands, section = mesh.purkinje, math.pi * 0.05 ** 2 / 4
    length = np.linalg.norm(np.diff(mesh.points[strands.lines], axis=1)[:, 0], axis=1)
    assert strands.conductance * length == pytest.approx(15.0 * section)
    assert strands.area.sum() == pytest.approx(1400.0 * section * length.sum())
    for end in strands.ends:
        mine = strands.junction[:, 0] == end
        assert strands.coupling[mine].sum() == pytest.approx(1.0 / 10.0)          # mS of 10 kohm
        near = strands.junction[mine, 1]
        assert np.array_equal(near, np.flatnonzero(
            np.linalg.norm(mesh.points[:mesh.n_tissue] - mesh.points[end], axis=1) <= 0.1))


@pytest.mark.parametrize("waves", ["lumped", "consistent"])
def test_the_operator_of_both_keeps_all_charge_and_is_that_of_the_tissue_there(waves):
    c = case(tissue={"waves": waves}, mesh={"dx": "2 mm"}, purkinje={"dx": "0.5 mm"})
    mesh = built(c)
    whole, tissue = discretise(mesh, c.tissue), discretise(mesh.tissue, c.tissue)
    K, n = whole.stiffness.toarray(), mesh.n_tissue
    assert np.abs(K - K.T).max() == 0.0 and np.abs(K.sum(axis=1)).max() < 1e-15
    assert np.linalg.eigvalsh(K).min() > -1e-15
    assert np.array_equal(whole.mass.indices, whole.stiffness.indices)
    assert whole.mass.toarray()[:n, :n] == pytest.approx(tissue.mass.toarray(), abs=1e-18)
    assert whole.lumped_mass[n:] == pytest.approx(mesh.purkinje.area / 1400.0)
    coupled = np.unique(mesh.purkinje.junction[:, 1])
    others = np.setdiff1d(np.arange(n), coupled)
    assert K[others][:, :n] == pytest.approx(tissue.stiffness.toarray()[others], abs=1e-18)
    # the current between two nodes, C_m beta K V, is that of a resistor: 100 mV over 10 kohm is 10 uA
    V = np.zeros(whole.n)
    end = mesh.purkinje.ends[0]
    V[end] = 100.0
    assert -(1400.0 * (K @ V))[coupled].sum() == pytest.approx(10.0)


# ----------------------------------------------------------------------------------------------------- whose node is it
def test_places_are_of_the_tissue_and_names_of_the_tree():
    mesh = built(case())
    strands = mesh.purkinje
    assert nodes_in_box(mesh, (-9.0, -9.0, -9.0), (9.0, 9.0, 9.0)).max() == mesh.n_tissue - 1
    assert nearest_nodes(mesh, mesh.points[strands.nodes])[0].max() < mesh.n_tissue
    assert np.array_equal(nodes_of_region(mesh, "purkinje"), strands.nodes)
    assert np.array_equal(nodes_of_region(mesh, 0), np.arange(mesh.n_tissue))
    assert mesh.tissue.n_points == mesh.n_tissue and mesh.tissue.purkinje is None


def test_membranes_of_trees():
    mesh = built(case())
    owner = membrane_of_nodes(mesh, [None, ("purkinje",)])
    assert (owner[:mesh.n_tissue] == 0).all() and (owner[mesh.n_tissue:] == 1).all()
    assert membranes_of_tissue(mesh, [None, ("purkinje",)], np.ones(mesh.n_cells, bool)) == {0}
    assert (membrane_of_nodes(mesh, [(0,), None]) == owner).all()
    with pytest.raises(CaseError) as error:
        membrane_of_nodes(mesh, [(0,)])
    assert str(error.value) == ("membrane: the Purkinje tree 'purkinje' has no membrane\n  -> add a [[membrane]] table "
                                "with regions = [\"purkinje\"], or one without 'regions' for all others")


def test_files_and_snapshots_hold_tissue_and_tree():
    mesh = built(case())
    (kind, cells), (line, lines) = vtk_blocks(mesh)
    assert (kind.meshio, line.meshio) == ("tetra", "line") and lines is mesh.purkinje.lines
    data = cell_data(mesh)
    assert all(len(values) == len(cells) + len(lines) for values in data.values())
    assert np.linalg.norm(data["fibre"], axis=1) == pytest.approx(1.0) and data["diameter_um"].max() == 500.0
    part, nodes = part_of(mesh, ["purkinje"])
    assert part.n_cells == 0 and np.array_equal(nodes, mesh.purkinje.nodes) and part.purkinje.first == 0
    assert np.array_equal(part.points[part.purkinje.lines], mesh.points[mesh.purkinje.lines])
    part, nodes = part_of(mesh, [0])
    assert part.n_points == mesh.n_tissue and not len(part.purkinje.lines)


# -------------------------------------------------------------------------------------------------------------- refused
@pytest.mark.parametrize(("changes", "message"), [
    ({"purkinje": {**CASE["purkinje"], "fractal": None}}, None),
    ({"purkinje": {"unit": "mm"}}, "purkinje.unit: is of a file, and there is none\n  -> remove it"),
    ({"purkinje": {"root": ["0 mm", "0 mm", "0 mm"]}},
     "purkinje.root: is of a file, and there is none\n  -> take fractal.root instead"),
    ({"purkinje": {"file": __file__, "unit": "mm"}},
     "purkinje.file: given together with fractal\n  -> keep one of the two"),
    ({"purkinje": {"name": "2 b"}},
     "purkinje.name: '2 b' is no name\n  -> take letters, digits and _, not a digit first"),
    ({"purkinje": [CASE["purkinje"]] * 2},
     "purkinje.1.name: a second tree of the name 'purkinje'\n  -> give each tree a name of its own"),
    ({"tissue": {"conductivity": [
        {"monodomain": ["1 mS/cm"]}, {"monodomain": ["1 mS/cm"], "regions": ["purkinje"]}]}},
     "tissue.conductivity.1.regions: 'purkinje' is a Purkinje tree\n  -> its conductivity is a key of "
     "[[purkinje]]; remove the name here"),
])
def test_mistakes_in_the_case(changes, message):
    if message is None:
        changes = {"purkinje": {key: value for key, value in CASE["purkinje"].items() if key != "fractal"}}
        message = ('purkinje: says not where the strands are\n  -> add file = "tree.vtk", or a table fractal for a '
                   "tree that grows by rule")
        with pytest.raises(ErrorList) as error:
            load_case({**CASE, **changes})
    else:
        with pytest.raises(ErrorList) as error:
            case(**changes)
    assert message in str(error.value)


@pytest.mark.parametrize(("text", "message"), [
    ("# vtk DataFile Version 3.0\nt\nASCII\nDATASET POLYDATA\nPOINTS 1 float\n0 0 0\n",
     "the file has no lines\n  -> Purkinje strands are cells of the type line, or LINES"),
    ("# vtk DataFile Version 3.0\nt\nBINARY\nDATASET POLYDATA\n",
     "this polydata is binary\n  -> save it as ASCII, or as .vtu"),
    ("# vtk DataFile Version 3.0\nt\nASCII\nDATASET POLYDATA\nPOINTS x float\n",
     "the file cannot be read as VTK polydata: invalid literal for int() with base 10: 'x'\n"
     "  -> save it again, for example as .vtu"),
    (LINES.replace("2 3 4", "2 3 9"),
     "a line names the point 9, but there are points 0 to 4\n  -> write the file again"),
    (LINES.replace("4 7 2", "nan 7 2"), "a point is not finite\n  -> write the file again"),
    ("# vtk DataFile Version 3.0\nt\nASCII\nDATASET POLYDATA\nPOINTS 2 float\n1 1 1 1 1 1\nLINES 1 3\n2 0 1\n",
     "all points of the strands lie in one place\n  -> write the file again"),
])
def test_files_that_are_none(tmp_path, text, message):
    with pytest.raises(MeshError) as error:
        built(load_case(of_file(tmp_path, text)))
    assert str(error.value) == f"{tmp_path / 'tree.vtk'}: {message}"


def test_meshes_and_surfaces_without_room_for_a_tree():
    sheet = {"kind": "sheet", "size": ["10 mm", "10 mm"], "dx": "1 mm", "fibre": [1, 0, 0]}
    with pytest.raises(CaseError) as error:
        built(load_case({**CASE, "mesh": sheet}))
    assert str(error.value) == ("purkinje: the tissue is made of triangles, which have no volume\n  -> Purkinje trees "
                                "need a solid mesh: tetrahedra, or a grid of cubes")
    fractal = CASE["purkinje"]["fractal"]
    with pytest.raises(MeshError) as error:
        built(case(purkinje={"fractal": {**fractal, "surface": "zmxa"}}))
    assert str(error.value) == "purkinje.0.fractal.surface: the mesh has no node set 'zmxa'\n  -> did you mean 'zmax'?"
    with pytest.raises(MeshError) as error:
        built(case(purkinje={"fractal": {**fractal, "toward": ["-9 mm", "5 mm", "2 mm"]}}))
    assert str(error.value) == ("purkinje.0.fractal: the tree does not grow: its trunk leaves the surface at once\n"
                                "  -> look where root and toward lie, and at the surface")
