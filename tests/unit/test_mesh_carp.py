"""The carp formats: hand-written files, round trips through meshio, and what is refused."""

import struct

import meshio
import numpy as np
import pytest

from upstroke.case.schema import FileMesh
from upstroke.errors import MeshError
from upstroke.mesh import build_mesh, carp

pytestmark = pytest.mark.filterwarnings("error")

PTS = "5\n0 0 0\n1000 0 0\n0 1000 0\n0 0 1000\n1000 1000 1000.5\n"
ELEM = "2\nTt 0 1 2 3 7\nTt 1 2 3 4 9\n"
LON = "2\n1 0 0 0 1 0\n0 0 2 1 0 0\n"


@pytest.fixture
def heart(tmp_path):
    """Writes heart.pts, .elem, .lon, with some of them replaced, and gives the path of the .pts."""
    def write(**texts):
        for kind, text in ({"pts": PTS, "elem": ELEM, "lon": LON} | texts).items():
            if text is not None:
                (tmp_path / f"heart.{kind}").write_text(text)
        return tmp_path / "heart.pts"
    return write


def test_text_files(heart):
    mesh = build_mesh(FileMesh(file=heart(), unit="um"))
    np.testing.assert_allclose(mesh.points[[1, 4]], [[0.1, 0, 0], [0.1, 0.1, 0.10005]])
    np.testing.assert_array_equal(mesh.cells, [[0, 1, 2, 3], [1, 2, 3, 4]])
    np.testing.assert_array_equal(mesh.region, [7, 9])
    np.testing.assert_allclose(mesh.fibre, [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(mesh.sheet, [[0, 1, 0], [1, 0, 0]])
    assert mesh.notes == ()


@pytest.mark.parametrize("lon", ["1\n1 0 0\n0 0 2\n", "1 0 0\n0 0 2\n"])
def test_one_axis_with_and_without_header(heart, lon):
    mesh = build_mesh(FileMesh(file=heart(lon=lon), unit="um"))
    np.testing.assert_allclose(mesh.fibre, [[1, 0, 0], [0, 0, 1]])
    assert mesh.sheet is None


def test_no_tags_no_fibres_comments_blank_lines(heart):
    path = heart(elem="# made by hand\n2 # elements\n\nTt 0 1 2 3\nTt 1 2 3 4   # last\n\n", lon=None)
    mesh = build_mesh(FileMesh(file=path, unit="um"))
    np.testing.assert_array_equal(mesh.region, [0, 0])
    assert mesh.fibre is None


def test_elements_without_fibre_are_kept(heart):
    mesh = build_mesh(FileMesh(file=heart(lon="1\n0 0 0\n0 0 2\n"), unit="um"))
    np.testing.assert_allclose(mesh.fibre, [[0, 0, 0], [0, 0, 1]])
    assert mesh.notes == ("1 cells have no fibre direction (zero vector): their conductivity cannot depend on it",)


def test_prisms_and_hexahedra_have_their_upper_face_the_other_way_round(tmp_path):
    """carp's hexahedron has 4 above 0, 7 above 1, 6 above 2, 5 above 3; its prism 3 above 0, 5 above 1, 4 above 2."""
    (tmp_path / "m.pts").write_text("10\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n0 0 1\n0 1 1\n1 1 1\n1 0 1\n2 0 0\n2 0 1\n")
    (tmp_path / "m.elem").write_text("2\nPr 1 8 2 7 6 9 3\nHx 0 1 2 3 4 5 6 7 1\n")
    mesh = build_mesh(FileMesh(file=tmp_path / "m.elem", unit="mm"))
    assert mesh.notes == ("split 1 prisms into 3 tetrahedra", "split 1 hexahedra into 6 tetrahedra")
    np.testing.assert_array_equal(mesh.region, [3] * 3 + [1] * 6)
    edges = mesh.points[mesh.cells[:, 1:]] - mesh.points[mesh.cells[:, :1]]
    volumes = np.linalg.det(edges) / 6
    np.testing.assert_allclose(volumes.sum(), 1.5e-3)
    assert (volumes > 0).all()


def sample():
    """One cell of every shape but none that shares more than it should; numbers without a finite decimal form."""
    points = np.random.default_rng(2).normal(size=(20, 3)).astype("f4").astype(float) / 3
    cells = [("tetra", [[0, 1, 2, 3], [4, 5, 6, 7]]), ("hexahedron", [list(range(8))]), ("wedge", [list(range(6, 12))]),
             ("pyramid", [[3, 1, 4, 15, 9]]), ("quad", [[2, 6, 5, 3]]), ("triangle", [[5, 8, 9], [7, 9, 3]]),
             ("line", [[18, 19]])]
    n = [len(c[1]) for c in cells]
    rng = np.random.default_rng(3)
    return meshio.Mesh(points.astype("f4"), cells, cell_data={
        "region": [rng.integers(0, 99, k) for k in n], "fibre": [rng.normal(size=(k, 3)).astype("f4") for k in n],
        "sheet": [rng.normal(size=(k, 3)).astype("f4") for k in n]})


@pytest.mark.parametrize("name", ["m.pts", "m.bpts", "m.elem", "m.belem"])
@pytest.mark.parametrize("drop", [(), ("sheet",), ("sheet", "fibre")])
def test_round_trip_of_all_shapes(tmp_path, name, drop):
    mesh = sample()
    for key in drop:
        del mesh.cell_data[key]
    meshio.write(tmp_path / name, mesh)
    again = meshio.read(tmp_path / name)
    np.testing.assert_array_equal(again.points, mesh.points)
    assert [c.type for c in again.cells] == [c.type for c in mesh.cells]
    for a, b in zip(again.cells, mesh.cells, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    assert list(again.cell_data) == list(mesh.cell_data)
    for key in mesh.cell_data:
        np.testing.assert_array_equal(np.concatenate(again.cell_data[key]), np.concatenate(mesh.cell_data[key]))


def test_writing_a_mesh_without_fibres_leaves_no_old_ones(tmp_path):
    mesh = sample()
    meshio.write(tmp_path / "m.pts", mesh)
    assert (tmp_path / "m.lon").exists()
    del mesh.cell_data["fibre"], mesh.cell_data["sheet"]
    meshio.write(tmp_path / "m.pts", mesh)
    assert not (tmp_path / "m.lon").exists()


@pytest.mark.parametrize(("order", "flag"), [("<", 0), (">", 1)])
def test_binary_files_of_either_byte_order(tmp_path, order, flag):
    def put(name, header, *arrays):
        (tmp_path / name).write_bytes(header.encode().ljust(1024, b"\0") + b"".join(arrays))

    put("h.bpts", f"4 {flag} 666", struct.pack(order + "12f", 0, 0, 0, 1000, 0, 0, 0, 1000, 0, 0, 0, 1000))
    put("h.belem", f"2 {flag} 666", struct.pack(order + "11i", 0, 0, 1, 2, 3, 5, 6, 0, 1, 2, 8))
    put("h.blon", f"1 2 {flag} 666", struct.pack(order + "6f", 0, 1, 0, 1, 0, 0))
    mesh = meshio.read(tmp_path / "h.bpts")
    assert [(c.type, c.data.tolist()) for c in mesh.cells] == [("tetra", [[0, 1, 2, 3]]), ("triangle", [[0, 1, 2]])]
    assert [t.tolist() for t in mesh.cell_data["region"]] == [[5], [8]]
    assert [f.tolist() for f in mesh.cell_data["fibre"]] == [[[0, 1, 0]], [[1, 0, 0]]]
    mesh = build_mesh(FileMesh(file=tmp_path / "h.bpts", unit="um"))
    np.testing.assert_allclose(mesh.points[3], [0, 0, 0.1])
    assert mesh.notes == ("dropped 1 triangles: the mesh is made of the cells of highest dimension",)


def test_vtx(tmp_path, heart):
    carp.write_vtx(tmp_path / "apex.vtx", [3, 1], "extra")
    assert (tmp_path / "apex.vtx").read_text() == "2\nextra\n3\n1\n"
    np.testing.assert_array_equal(carp.read_vtx(tmp_path / "apex.vtx"), [3, 1])
    (tmp_path / "bare.vtx").write_text("2 # nodes\n4\n0\n")
    np.testing.assert_array_equal(carp.read_vtx(tmp_path / "bare.vtx"), [4, 0])
    mesh = build_mesh(FileMesh(file=heart(), unit="um", node_sets={"apex": tmp_path / "apex.vtx"}))
    np.testing.assert_array_equal(mesh.node_sets["apex"], [3, 1])


@pytest.mark.parametrize(("texts", "text"), [
    ({"elem": None}, "{0}/heart.elem: there is no such file\n  -> a carp mesh is a .pts and an .elem file (or .bpts "
                     "and .belem) of the same name in the same folder"),
    ({"pts": ""}, "{0}/heart.pts: the file is empty\n  -> its first line must be the number of points"),
    ({"pts": PTS[2:]}, "{0}/heart.pts:1:1: the first line must be the number of points\n    0 0 0\n    ^\n"
                       "  -> a whole number on a line of its own"),
    ({"pts": PTS.replace("5", "6", 1)}, "{0}/heart.pts: its first line promises 6 points, and the file holds 5\n"
                                        "  -> the file was cut off: copy it again"),
    ({"elem": ELEM.replace("2", "1", 1)}, "{0}/heart.elem: its first line promises 1 elements, and the file holds 2\n"
                                          "  -> correct the count"),
    ({"pts": PTS.replace("0 1000 0", "0 1000")},
     "{0}/heart.pts:4: expected three coordinates, found '0 1000'\n  -> repair the line, or write the mesh again"),
    ({"pts": PTS.replace("0 1000 0", "0 1o00 0")},
     "{0}/heart.pts:4: expected three coordinates, found '0 1o00 0'\n  -> repair the line, or write the mesh again"),
    ({"elem": "2\n\nTt 0 1 2 3 7\nTt 1 2 3\n"}, "{0}/heart.elem:4: expected 4 nodes and a region tag, found "
                                                "'Tt 1 2 3'\n  -> repair the line, or write the mesh again"),
    ({"elem": "2\nTt 0 1 2 3\nTt 1 2 3 4 5\n"}, "{0}/heart.elem:2: expected 4 nodes and a region tag, found "
                                                "'Tt 0 1 2 3'\n  -> repair the line, or write the mesh again"),
    ({"elem": "2\nTt 0 1 2 3 1\nTt 1 2 3 4.5 1\n"}, "{0}/heart.elem:3: expected 4 nodes and a region tag, found "
                                                    "'Tt 1 2 3 4.5 1'\n  -> repair the line, or write the mesh again"),
    ({"elem": "1\nTet 0 1 2 3 1\n"}, "{0}/heart.elem:2:1: unknown element type 'Tet'\n    Tet 0 1 2 3 1\n    ^\n"
                                     "  -> did you mean 'Tt'?"),
    ({"elem": "1\nOc 0 1 2 3 4 5 1\n"}, "{0}/heart.elem:2:1: octahedra (Oc) cannot be read\n"
                                        "    Oc 0 1 2 3 4 5 1\n    ^\n  -> split them into tetrahedra (Tt) first"),
    ({"elem": ELEM.replace("4 9", "5 9")},
     "{0}/heart.pts: 1 of 2 cells refer to nodes that do not exist (the first is cell 1 with nodes 1, 2, 3, 5; the "
     "mesh has nodes 0 to 4)\n  -> write the mesh again; points and cells may belong to different meshes"),
    ({"lon": "1\n1 0 0\n"}, "{0}/heart.lon: its .elem file promises 2 elements, and the file holds 1\n"
                            "  -> the two files do not belong together"),
    ({"lon": "3\n1 0 0\n0 1 0\n"}, "{0}/heart.lon: 3 axes per element\n"
                                   "  -> 1 (fibre) or 2 (fibre and sheet) are possible"),
    ({"lon": "1\n1 0 0\n0 nan 0\n"}, "{0}/heart.pts, cell data 'fibre': 1 of 2 fibre directions are not finite (the "
                                     "first is that of cell 1)\n  -> give three finite numbers"),
])
def test_refused_text(tmp_path, heart, texts, text):
    with pytest.raises(MeshError) as caught:
        build_mesh(FileMesh(file=heart(**texts), unit="um"))
    assert str(caught.value) == text.format(tmp_path)


HEAD = b"1 0 666".ljust(1024, b"\0")
POINTS = b"4 0 666".ljust(1024, b"\0") + struct.pack("<12f", 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1)


@pytest.mark.parametrize(("points", "elements", "text"), [
    (POINTS[:1000], HEAD, "{0}/m.bpts: the file has no carp header (1024 bytes that start with the count)\n"
                          "  -> binary carp files end in .bpts, .belem or .blon, text files in .pts, .elem or .lon"),
    (POINTS[:-12], HEAD, "{0}/m.bpts: its first line promises 4 points, and the file holds 3\n"
                         "  -> the file was cut off: copy it again"),
    (POINTS[:-2], HEAD, "{0}/m.bpts: the file ends in the middle of a number\n"
                        "  -> the file was cut off: copy it again"),
    (POINTS[:-4], HEAD, "{0}/m.bpts: its first line promises 4 points, and the file holds 3.66666666667\n"
                        "  -> the file was cut off: copy it again"),
    (POINTS, HEAD + struct.pack("<4i", 0, 0, 1, 2), "{0}/m.belem: its first line promises 1 elements, and the file "
                                                    "holds 0\n  -> the file was cut off: copy it again"),
    (POINTS, HEAD + struct.pack("<6i", 9, 0, 1, 2, 3, 1),
     "{0}/m.belem, element 0: unknown element type 'number 9'\n  -> known: Hx, Ln, Pr, Py, Qd, Tr, Tt"),
    (POINTS, HEAD + struct.pack("<8i", 2, 0, 1, 2, 3, 0, 1, 1),
     "{0}/m.belem, element 0: octahedra (Oc) cannot be read\n  -> split them into tetrahedra (Tt) first"),
])
def test_refused_binary(tmp_path, points, elements, text):
    (tmp_path / "m.bpts").write_bytes(points)
    (tmp_path / "m.belem").write_bytes(elements)
    with pytest.raises(MeshError) as caught:
        build_mesh(FileMesh(file=tmp_path / "m.bpts", unit="um"))
    assert str(caught.value) == text.format(tmp_path)


def test_refused_vtx_and_shapes(tmp_path, heart):
    with pytest.raises(MeshError) as caught:
        carp.read_vtx(tmp_path / "no.vtx")
    assert str(caught.value) == f"{tmp_path}/no.vtx: the file cannot be read: No such file or directory"
    (tmp_path / "a.vtx").write_text("3\nintra\n1\n9\n2\n")
    with pytest.raises(MeshError) as caught:
        build_mesh(FileMesh(file=heart(), unit="um", node_sets={"a": tmp_path / "a.vtx"}))
    assert str(caught.value) == (
        f"{tmp_path}/a.vtx: 1 nodes of node set 'a' do not exist (the first is 9; the mesh has nodes 0 to 4)\n"
        "  -> node sets belong to one mesh only: write the set again for this one")
    (tmp_path / "a.vtx").write_text("3\nintra\n1\n2\n")
    with pytest.raises(MeshError) as caught:
        carp.read_vtx(tmp_path / "a.vtx")
    assert str(caught.value) == (f"{tmp_path}/a.vtx: its first line promises 3 nodes, and the file holds 2\n"
                                 "  -> the file was cut off: copy it again")
    with pytest.raises(MeshError) as caught:
        carp.write(tmp_path / "m.pts", meshio.Mesh(np.zeros((3, 3)), [("line3", [[0, 1, 2]])]))
    assert str(caught.value) == (f"{tmp_path}/m.pts: the carp format has no element for cells of type 'line3'\n"
                                 "  -> it has tetra, hexahedron, pyramid, wedge, quad, triangle, line")
