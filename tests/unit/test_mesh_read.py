"""Meshes from files: round trips of many formats, regions and node sets, other shapes, and what is refused."""

import contextlib
import io
import sys
from pathlib import Path

import meshio
import numpy as np
import pytest

from upstroke.case.schema import FileMesh, SlabMesh
from upstroke.errors import MeshError
from upstroke.mesh import build_mesh, nodes_in_box

pytestmark = pytest.mark.filterwarnings("error")


def read(path, unit="mm", **keys):
    return build_mesh(FileMesh(file=path, unit=unit, **keys))


def write(path, mesh, **options):
    """meshio writes; what it prints is not the test's business."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        meshio.write(path, mesh, **options)
    return path


def slab(**data):
    """12 tetrahedra in mm, in two blocks, two regions, oblique fibres that are not normalised."""
    mesh = build_mesh(SlabMesh(size=(2.0, 1.0, 1.0), dx=1.0))
    cells = mesh.cells.astype(int)
    data = {"region": np.repeat([3, 5], 6), "fibre": np.tile([2.0, 0.0, 1.0], (12, 1))} | data
    return meshio.Mesh(mesh.points, [("tetra", cells[:6]), ("tetra", cells[6:])],
                       cell_data={name: [d[:6], d[6:]] for name, d in data.items() if d is not None})


# ----------------------------------------------------------------------------------------- many formats
@pytest.mark.parametrize(("name", "options", "regions", "fibres"), [
    ("m.vtu", {}, True, True),
    ("m.vtu", {"binary": False}, True, True),
    ("m.vtk", {}, True, True),
    ("m.vtk", {"file_format": "vtk42"}, True, True),
    ("m.xdmf", {}, True, True),
    ("m.xdmf", {"data_format": "XML"}, True, True),
    ("m.msh", {"file_format": "gmsh22"}, True, True),
    ("m.msh", {"file_format": "gmsh"}, True, True),
    ("m.med", {}, True, True),
    ("m.hmf", {}, True, True),
    ("m.avs", {}, True, True),
    ("m.mesh", {}, True, False),
    ("m.meshb", {}, True, False),
    ("m.vol", {}, True, False),
    ("m.bdf", {}, False, False),
    ("m.inp", {}, False, False),
    ("m.su2", {}, False, False),
    ("m.cgns", {}, False, False),
    ("m.pts", {}, True, True),
    ("m.bpts", {}, True, True),
])
def test_round_trip(tmp_path, name, options, regions, fibres):
    source = slab()
    if name in ("m.med", "m.hmf", "m.cgns") or options.get("file_format") == "gmsh":   # one block per shape only
        source = meshio.Mesh(source.points, [("tetra", np.concatenate([c.data for c in source.cells]))],
                             cell_data={k: [np.concatenate(d)] for k, d in source.cell_data.items()})
    mesh = read(write(tmp_path / name, source, **options))
    np.testing.assert_allclose(mesh.points, source.points / 10, rtol=1e-6)
    np.testing.assert_array_equal(mesh.cells, np.concatenate([c.data for c in source.cells]))
    np.testing.assert_array_equal(mesh.region, np.repeat([3, 5], 6) if regions else np.zeros(12))
    if fibres:
        np.testing.assert_allclose(mesh.fibre, np.tile(np.array([2.0, 0.0, 1.0]) / 5**0.5, (12, 1)))
    else:
        assert mesh.fibre is None
    assert mesh.notes == ()


# ------------------------------------------------------------------------------------ gmsh, as gmsh writes it
NODES = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]

MSH22 = """$MeshFormat
2.2 0 8
$EndMeshFormat
$PhysicalNames
3
2 1 "base"
3 7 "left"
3 9 "right wall"
$EndPhysicalNames
$Nodes
5
""" + "\n".join(f"{k} {x} {y} {z}" for k, (x, y, z) in enumerate(NODES, 1)) + """
$EndNodes
$Elements
3
1 2 2 1 11 1 2 3
2 4 2 7 21 1 2 3 4
3 4 2 9 22 2 3 4 5
$EndElements
"""

MSH41 = """$MeshFormat
4.1 0 8
$EndMeshFormat
$PhysicalNames
3
2 1 "base"
3 7 "left"
3 9 "right wall"
$EndPhysicalNames
$Entities
0 0 1 2
11 0 0 0 1 1 0 1 1 0
21 0 0 0 1 1 1 1 7 0
22 0 0 0 1 1 1 1 9 0
$EndEntities
$Nodes
1 5 1 5
3 21 0 5
1
2
3
4
5
""" + "\n".join(f"{x} {y} {z}" for x, y, z in NODES) + """
$EndNodes
$Elements
3 3 1 3
2 11 2 1
1 1 2 3
3 21 4 1
2 1 2 3 4
3 22 4 1
3 2 3 4 5
$EndElements
"""


@pytest.mark.parametrize("text", [MSH22, MSH41], ids=["2.2", "4.1"])
def test_gmsh_physical_groups(tmp_path, text):
    """Version 4.1 has a block per entity: both tetrahedra must arrive."""
    (tmp_path / "m.msh").write_text(text)
    mesh = read(tmp_path / "m.msh")
    np.testing.assert_array_equal(mesh.region, [7, 9])
    assert mesh.region_names == {"left": 7, "right wall": 9}
    assert {name: nodes.tolist() for name, nodes in mesh.node_sets.items()} == {
        "base": [0, 1, 2], "left": [0, 1, 2, 3], "right wall": [1, 2, 3, 4]}
    np.testing.assert_array_equal(np.sort(mesh.cells, axis=1), [[0, 1, 2, 3], [1, 2, 3, 4]])
    assert mesh.notes == ("dropped 1 triangles: the mesh is made of the cells of highest dimension",)


def test_gmsh_entity_in_no_group(tmp_path):
    (tmp_path / "m.msh").write_text(MSH41.replace("22 0 0 0 1 1 1 1 9 0", "22 0 0 0 1 1 1 0 0"))
    assert refused(tmp_path / "m.msh") == (
        "DIR/m.msh: the file cannot be read as ansys or gmsh: Incompatible cell data 'gmsh:physical'. 3 cell blocks, "
        "but 'gmsh:physical' has 2 blocks.\n  -> gmsh: put every entity into a physical group, or save only those that "
        "are in one (Mesh.SaveAll = 0)")


def test_gmsh_entity_in_two_groups_has_the_tag_of_the_first(tmp_path):
    (tmp_path / "m.msh").write_text(MSH41.replace("22 0 0 0 1 1 1 1 9 0", "22 0 0 0 1 1 1 2 7 9 0"))
    mesh = read(tmp_path / "m.msh")
    np.testing.assert_array_equal(mesh.region, [7, 7])
    assert mesh.region_names == {"left": 7}
    assert mesh.node_sets["right wall"].tolist() == [1, 2, 3, 4]
    assert mesh.notes[1] == "group 'right wall' is not the cells of one region tag: it is a node set, not a region"


# -------------------------------------------------------------------------------- regions and node sets
def test_named_region_data_wins(tmp_path):
    path = write(tmp_path / "m.vtu", slab(zone=np.arange(12.0)))
    np.testing.assert_array_equal(read(path, region="zone").region, np.arange(12))
    np.testing.assert_array_equal(read(path).region, np.repeat([3, 5], 6))


def test_tags_that_are_all_zero_give_way(tmp_path):
    """meshio writes gmsh:physical = 0 into every .msh; the file's own region array says more."""
    path = write(tmp_path / "m.msh", slab(), file_format="gmsh22")
    assert (np.concatenate(meshio.read(path).cell_data["gmsh:physical"]) == 0).all()
    np.testing.assert_array_equal(read(path).region, np.repeat([3, 5], 6))


def test_sets_of_abaqus_are_regions_and_node_sets(tmp_path):
    (tmp_path / "m.inp").write_text("*NODE\n" + "\n".join(f"{k}, {x}, {y}, {z}" for k, (x, y, z) in enumerate(NODES, 1))
                                    + "\n*ELEMENT, TYPE=C3D4, ELSET=LEFT\n1, 1, 2, 3, 4\n"
                                    "*ELEMENT, TYPE=C3D4, ELSET=RIGHT\n2, 3, 2, 4, 5\n*NSET, NSET=TIP\n5\n")
    mesh = read(tmp_path / "m.inp")
    np.testing.assert_array_equal(mesh.region, [1, 2])
    assert mesh.region_names == {"LEFT": 1, "RIGHT": 2}
    assert mesh.node_sets["TIP"].tolist() == [4]
    assert mesh.node_sets["LEFT"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["m.node", "m.ele"])
def test_tetgen(tmp_path, name):
    """Written by hand: meshio's writer of this format does not work with NumPy 2, its reader does."""
    (tmp_path / "m.node").write_text("5 3 0 0\n" + "\n".join(f"{k} {x} {y} {z}" for k, (x, y, z) in enumerate(NODES, 1))
                                     + "\n# Generated by tetgen\n")
    (tmp_path / "m.ele").write_text("2 4 1\n1 1 2 3 4 7\n2 2 3 4 5 9\n# Generated by tetgen\n")
    mesh = read(tmp_path / name)
    np.testing.assert_array_equal(mesh.cells, [[0, 1, 2, 3], [1, 2, 3, 4]])
    np.testing.assert_array_equal(mesh.region, [7, 9])


def test_a_group_that_is_not_a_tag_stays_a_node_set(tmp_path, monkeypatch):
    source = slab()
    source.cell_sets = {"half a region": [np.array([0, 1]), None], "whole": [np.arange(6), np.array([], int)],
                        "nested": [[[1], [2, 3]], None]}
    monkeypatch.setattr(meshio, "read", lambda path: source)
    (tmp_path / "m.vtu").touch()
    mesh = read(tmp_path / "m.vtu")
    assert mesh.region_names == {"whole": 3}
    np.testing.assert_array_equal(mesh.node_sets["half a region"], np.unique(source.cells[0].data[:2]))
    assert mesh.notes == ("cell set 'nested' is made of other sets and was left out",
                          "group 'half a region' is not the cells of one region tag: it is a node set, not a region")


def test_families_of_med(tmp_path):
    source = slab(cell_tags=np.repeat([-1, -2], 6), region=None)
    source = meshio.Mesh(source.points, [("tetra", np.concatenate([c.data for c in source.cells]))],
                         cell_data={"cell_tags": [np.repeat([-1, -2], 6)]},
                         point_data={"point_tags": np.where(np.arange(12) < 2, 4, 0)})
    source.cell_tags = {-1: ["left"], -2: ["right"]}
    source.point_tags = {4: ["tip"]}
    mesh = read(write(tmp_path / "m.med", source))
    np.testing.assert_array_equal(mesh.region, np.repeat([-1, -2], 6))
    assert mesh.region_names == {"left": -1, "right": -2}
    assert mesh.node_sets["tip"].tolist() == [0, 1]
    np.testing.assert_array_equal(mesh.node_sets["left"], nodes_in_box(mesh, (0.0,), (0.1,)))


# ------------------------------------------------------------------------------------------- other shapes
def test_meshes_in_the_plane_get_z_zero(tmp_path):
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    source = meshio.Mesh(square, [("triangle", [[0, 1, 2]]), ("triangle", [[0, 2, 3]])],
                         cell_data={"fibre": [np.array([[1.0, 1.0]]), np.array([[0.0, 2.0]])]})
    mesh = read(write(tmp_path / "m.xdmf", source), unit="cm")
    np.testing.assert_allclose(mesh.points, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    np.testing.assert_allclose(mesh.fibre, [[0.5**0.5, 0.5**0.5, 0], [0, 1, 0]])


def test_curved_cells_are_cut_back_to_their_corners(tmp_path):
    corners = np.array(NODES[:4], float)
    middles = [(corners[a] + corners[b]) / 2 for a, b in ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))]
    source = meshio.Mesh(np.vstack([*middles, corners]), [("tetra10", [[6, 7, 8, 9, 0, 1, 2, 3, 4, 5]])],
                         cell_data={"region": [[4]]})
    mesh = read(write(tmp_path / "m.vtu", source), unit="mm")
    np.testing.assert_allclose(mesh.points, corners / 10)
    np.testing.assert_array_equal(mesh.cells, [[0, 1, 2, 3]])
    assert mesh.notes == ("1 tetrahedra of higher order were cut back to their corners",)


def test_hexahedra_are_split_with_their_data(tmp_path):
    cube = [[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    points = np.array([*cube, *([x + 1, y, z] for x, y, z in cube if x)], float)
    source = meshio.Mesh(points, [("hexahedron", [list(range(8)), [1, 8, 9, 2, 5, 10, 11, 6]]), ("line", [[0, 1]])],
                         cell_data={"region": [[1, 2], [0]], "fiber": [[[1, 0, 0], [0, 1, 0]], [[0, 0, 0]]]})
    mesh = read(write(tmp_path / "m.vtu", source))
    np.testing.assert_array_equal(mesh.region, np.repeat([1, 2], 6))
    np.testing.assert_allclose(mesh.fibre, np.repeat([[1, 0, 0], [0, 1, 0]], 6, axis=0))
    assert mesh.notes == ("dropped 1 segments: the mesh is made of the cells of highest dimension",
                          "split 2 hexahedra into 12 tetrahedra")


def test_quadrilaterals_and_pixels(tmp_path, monkeypatch):
    points = np.array([[x, y, 0] for y in range(3) for x in range(3)], float)
    source = meshio.Mesh(points, [("quad", [[0, 1, 4, 3], [1, 2, 5, 4]])])
    pixels = {"type": "pixel", "data": np.array([[3, 4, 6, 7], [4, 5, 7, 8]]), "dim": 2}
    source.cells.append(type("Cells", (), pixels)())
    monkeypatch.setattr(meshio, "read", lambda path: source)
    (tmp_path / "m.vtk").touch()
    mesh = read(tmp_path / "m.vtk")
    a, b, c = (mesh.points[mesh.cells[:, k]] for k in range(3))
    np.testing.assert_allclose(np.cross(b - a, c - a)[:, 2], 0.01)          # mm to cm, twice the area
    assert mesh.notes == ("split 4 quadrilaterals into 8 triangles",)


def test_units(tmp_path):
    path = write(tmp_path / "m.vtu", slab())
    across = {unit: np.ptp(read(path, unit).points[:, 0]) for unit in ("m", "cm", "mm", "um")}
    assert across == pytest.approx({"m": 200.0, "cm": 2.0, "mm": 0.2, "um": 2e-4})
    assert read(path, "m").notes == ('warning: the mesh is 2.45 m across: check mesh.unit = "m"',)
    assert read(path, "um").notes == ('warning: the mesh is 2.45 um across: check mesh.unit = "um"',)


# ------------------------------------------------------------------------------------------------ fibres
def test_directions_by_name_and_by_value(tmp_path):
    path = write(tmp_path / "m.vtu", slab(grain=np.tile([0.0, 3.0, 0.0], (12, 1))))
    np.testing.assert_allclose(read(path, fibre="grain").fibre[0], [0, 1, 0])
    mesh = read(path, fibre=(0.0, 0.0, 2.0), sheet="grain")
    np.testing.assert_allclose(mesh.fibre[11], [0, 0, 1])
    np.testing.assert_allclose(mesh.sheet[11], [0, 1, 0])


def test_sheets_without_fibres_are_told(tmp_path):
    path = write(tmp_path / "m.vtu", slab(fibre=None, Sheet=np.tile([0.0, 3.0, 0.0], (12, 1))))
    mesh = read(path)
    assert mesh.sheet is None
    assert mesh.notes == ("the file has 'Sheet' but no fibre directions: they are not used",)


# ------------------------------------------------------------------------------------------------ refused
def refused(path, **keys):
    with pytest.raises(MeshError) as caught:
        read(path, **keys)
    return str(caught.value).replace(str(Path(path).parent), "DIR")


SAVE_AGAIN = "\n  -> open it with the program that wrote it, and save it again, for example as .vtu"


def test_files_that_are_not_there(tmp_path):
    write(tmp_path / "heart.vtu", slab())
    assert refused(tmp_path / "haert.vtu") == "DIR/haert.vtu: there is no such file\n  -> did you mean 'heart.vtu'?"
    assert refused(tmp_path / "torso.msh") == ("DIR/torso.msh: there is no such file\n"
                                               "  -> give the path of a mesh file, relative to the case file")
    (tmp_path / "sub.vtu").mkdir()
    assert refused(tmp_path / "sub.vtu").startswith("DIR/sub.vtu: this is a folder, not a mesh file\n")


def test_unknown_ending(tmp_path):
    (tmp_path / "heart.stp").touch()
    text = refused(tmp_path / "heart.stp")
    assert text.startswith("DIR/heart.stp: the ending '.stp' is not that of a mesh format\n  -> known: .avs, .bdf, ")
    assert ".bpts" in text
    assert ".vtu" in text


@pytest.mark.parametrize(("name", "content", "text"), [
    ("m.msh", "nonsense\n", "DIR/m.msh: the file cannot be read as ansys or gmsh"),
    ("m.vtu", "<VTKFile", "DIR/m.vtu: the file cannot be read as vtu" + SAVE_AGAIN),
    ("m.vtu", "", "DIR/m.vtu: the file is empty" + SAVE_AGAIN),
    ("m.vtk", b"\x7fELF\xd0\n", "DIR/m.vtk: the file cannot be read as vtk: it is no text" + SAVE_AGAIN),
    ("m.vtk", "# vtk DataFile Version 3.0\n", "DIR/m.vtk: the file cannot be read as vtk"),
    ("m.xdmf", "<a/>", "DIR/m.xdmf: the file cannot be read as xdmf"),
    ("m.med", "not hdf5", "DIR/m.med: the file cannot be read as med: "),
    ("m.mesh", "MeshVersionFormatted 1\nDimension 3\nVertices\n2\n0 0 0 1\n",
     "DIR/m.mesh: the file cannot be read as medit"),
])
def test_broken_files(tmp_path, capfd, name, content, text):
    """meshio prints, raises anything, or ends the process; the user sees one error and nothing else."""
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refused(tmp_path / name)
    assert message.startswith(text)
    assert message.endswith(SAVE_AGAIN)
    assert capfd.readouterr() == ("", "")


def test_missing_package(tmp_path, monkeypatch):
    path = write(tmp_path / "m.med", meshio.Mesh(np.array(NODES, float), [("tetra", [[0, 1, 2, 3]])]))
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert refused(path) == "DIR/m.med: reading this format needs the Python package 'h5py'\n  -> pip install h5py"


def test_no_cells(tmp_path):
    path = write(tmp_path / "m.vtu", meshio.Mesh(np.array(NODES, float), [("vertex", [[0], [1]])]))
    assert refused(path) == ("DIR/m.vtu: the file has no cells (segments, triangles, tetrahedra, ...), only points\n"
                             "  -> save the mesh with its elements")


def test_polygons(tmp_path):
    points = np.array([[np.cos(t), np.sin(t), 0] for t in np.arange(5) * 2 * np.pi / 5])
    path = write(tmp_path / "m.vtu", meshio.Mesh(points, [("polygon", [[0, 1, 2, 3, 4]])]))
    assert refused(path) == ("DIR/m.vtu: 1 cells are of type 'polygon', which cannot be split into triangles or "
                             "tetrahedra\n"
                             "  -> known: line, triangle, quad, tetra, pyramid, wedge, hexahedron, of any order")


def test_tangled_hexahedra(tmp_path):
    cube = np.array([[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))], float)
    path = write(tmp_path / "m.vtu", meshio.Mesh(cube, [("hexahedron", [[0, 1, 2, 3, 5, 4, 6, 7]])]))
    assert refused(path) == ("DIR/m.vtu: 1 of 1 hexahedra are too distorted to be split into tetrahedra (the first has "
                             "the nodes 0, 1, 2, 3, 5, 4, 6, 7)\n  -> repair these cells")


@pytest.mark.parametrize(("keys", "text"), [
    ({"region": "regoin"}, "mesh.region: DIR/m.vtu has no cell data 'regoin'\n  -> did you mean 'region'?"),
    ({"region": "fibre"}, "mesh.region: cell data 'fibre' of DIR/m.vtu are not whole numbers below 2^31, one per cell\n"
                          "  -> name the cell data that hold the region tags"),
    ({"region": "half"}, "mesh.region: cell data 'half' of DIR/m.vtu are not whole numbers below 2^31, one per cell\n"
                         "  -> name the cell data that hold the region tags"),
    ({"fibre": "fibber"}, "mesh.fibre: DIR/m.vtu has no cell data 'fibber'\n  -> did you mean 'fibre'?"),
    ({"fibre": "nodal"}, "mesh.fibre: 'nodal' is point data; directions are taken per cell\n"
                         "  -> convert it to cell data, for example in ParaView"),
    ({"sheet": "region"}, "DIR/m.vtu, cell data 'region': each direction needs three components, the data have the "
                          "shape (12,)\n  -> name other cell data with mesh.sheet"),
    ({"sheet": "fibre"}, "DIR/m.vtu, cell data 'fibre': 12 of 12 sheet directions are parallel to the fibre (the "
                         "first is that of cell 0)\n  -> give a direction across the fibre"),
])
def test_cell_data_that_do_not_fit(tmp_path, keys, text):
    source = slab(half=np.full(12, 0.5))
    source.point_data["nodal"] = np.zeros((12, 3))
    assert refused(write(tmp_path / "m.vtu", source), **keys) == text


def test_the_file_is_named_in_what_check_finds(tmp_path):
    path = write(tmp_path / "m.vtu", meshio.Mesh(np.array(NODES, float), [("tetra", [[0, 1, 2, 9]])]))
    assert refused(path) == ("DIR/m.vtu: 1 of 1 cells refer to nodes that do not exist (the first is cell 0 with nodes "
                             "0, 1, 2, 9; the mesh has nodes 0 to 4)\n"
                             "  -> write the mesh again; points and cells may belong to different meshes")


# ------------------------------------------------------------------------------------------ numbers at nodes
@pytest.mark.parametrize(("name", "options"), [("m.vtu", {}), ("m.vtk", {}), ("m.xdmf", {}),
                                               ("m.msh", {"file_format": "gmsh22"})])
def test_numbers_at_nodes_are_kept_by_name(tmp_path, name, options):
    source = slab()
    u = np.arange(12.0) / 7
    source.point_data = {"u": u, "k": np.arange(12), "v": np.ones((12, 3))}
    mesh = read(write(tmp_path / name, source, **options))
    assert mesh.point_data["u"].tolist() == u.tolist()
    assert mesh.point_data["k"].tolist() == list(range(12)) and mesh.point_data["k"].dtype == np.float64
    assert "v" not in mesh.point_data
