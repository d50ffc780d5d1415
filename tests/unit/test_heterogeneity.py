"""Parameters of nodes and conductivities of cells that differ: by files, data of the mesh, and expressions."""

import meshio
import numpy as np
import pytest

from upstroke.case import load_case
from upstroke.case.resolved import resolved
from upstroke.case.schema import CableMesh, ConductivityTable, FileMesh, SheetMesh, Tissue
from upstroke.errors import UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.mesh.labels import values_at, values_in_cells
from upstroke.mesh.numbers import read_numbers
from upstroke.space import diffusivity

SCALES = (" | a scale multiplies conductivities; give tissue that does not conduct a region of its own, with "
          "conductivity 0")
SHEET = SheetMesh(size=(2.0, 1.0), dx=0.5, fibre=(1, 0, 0), sheet=(0, 1, 0))


def tensors(scale, monodomain=(4.0, 1.0), mesh=SHEET, regions=None):
    """Conductivities: beta C_m is 1."""
    table = ConductivityTable(monodomain=monodomain, scale=scale, regions=regions)
    return diffusivity(Tissue(conductivity=(table,), surface_to_volume=1.0), build_mesh(mesh))


def message(error):
    return " | ".join((error.value.where, error.value.what, error.value.remedy))


# ------------------------------------------------------------------------------------------ conductivities
def test_one_scale_multiplies_all_axes():
    assert np.array_equal(tensors(0.5), np.broadcast_to(np.diag([2.0, 0.5, 0.5]), (16, 3, 3)))
    assert np.array_equal(tensors((0.5,)), tensors(0.5))


def test_scales_of_axes_multiply_theirs():
    assert np.array_equal(tensors((1.0, 0.1), (4.0, 2.0)), np.broadcast_to(np.diag([4.0, 0.2, 0.2]), (16, 3, 3)))
    assert np.array_equal(tensors((1.0, 0.5, 0.25), (4.0,)), np.broadcast_to(np.diag([4.0, 2.0, 1.0]), (16, 3, 3)))


def test_a_scale_by_place_is_that_of_the_middle_of_each_cell():
    mesh = build_mesh(SHEET)
    x = mesh.points[mesh.cells].mean(axis=1)[:, 0]
    D = tensors("1 + x / (1 cm)")
    assert np.allclose(D[:, 0, 0], 4.0 * (1.0 + x), rtol=1e-14) and np.allclose(D[:, 1, 1], 1.0 + x, rtol=1e-14)
    assert len(np.unique(D[:, 0, 0])) == 8
    D = tensors(("1", "0.2 if x > 1 cm else 1"))
    assert np.array_equal(D[:, 0, 0], np.full(16, 4.0)) and np.array_equal(D[:, 1, 1], np.where(x > 1.0, 0.2, 1.0))


def test_a_cable_conducts_along_itself_whatever_is_across():
    assert np.allclose(tensors("x / (1 cm)", mesh=CableMesh(length=1.0, dx=0.5))[:, 0, 0], [1.0, 3.0])


def test_scales_are_for_the_cells_of_their_regions(tmp_path):
    """What another region's cells have in a file, or an expression there, does not matter."""
    np.save(tmp_path / "mask.npy", np.repeat([1, 2], 8).reshape(4, 4))
    case = load_case({
        "mesh": {"kind": "grid", "dx": "1 mm", "mask": str(tmp_path / "mask.npy")},
        "time": {"end": "1 ms", "dt": "1 ms"}, "membrane": {"model": "MitchellSchaeffer"},
        "tissue": {"surface_to_volume": "1 /cm", "conductivity": [
            {"monodomain": ["2 mS/cm"], "regions": [2], "scale": "log(x / (1.5 mm))"},
            {"monodomain": ["1 mS/cm"], "scale": 3}]}})
    D = diffusivity(case.tissue, build_mesh(case.mesh))[:, 0, 0].reshape(4, 4)
    assert np.allclose(D[:, :2], 3.0) and np.allclose(D[:, 2:], 2.0 * np.log(np.array([2.5, 3.5]) / 1.5))


def test_conductivities_come_from_cell_data_or_a_file(tmp_path):
    points = [[0, 0], [1, 0], [1, 1], [0, 1], [2, 0], [2, 1]]
    meshio.Mesh(points, [("triangle", [[0, 1, 2]]), ("quad", [[1, 4, 5, 2]]), ("triangle", [[0, 2, 3]])],
                cell_data={"sigma": [[0.5], [2.0], [1.0]], "vector": [np.ones((k, 3)) for k in (1, 1, 1)]}
                ).write(tmp_path / "m.vtu")
    mesh = FileMesh(file=tmp_path / "m.vtu", unit="cm", fibre=(1, 0, 0))
    assert build_mesh(mesh).cell_data["sigma"].tolist() == [0.5, 2.0, 2.0, 1.0]     # the quadrilateral is two triangles
    assert "vector" not in build_mesh(mesh).cell_data
    assert tensors("sigma", mesh=mesh)[:, 0, 0].tolist() == [2.0, 8.0, 8.0, 4.0]
    assert tensors(("1", "2 * sigma"), mesh=mesh)[:, 1, 1].tolist() == [1.0, 4.0, 4.0, 2.0]
    (tmp_path / "s.txt").write_text("# of the four triangles\n1\n2\n3\n4\n")
    assert tensors(str(tmp_path / "s.txt"), mesh=mesh)[:, 1, 1].tolist() == [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(UpstrokeError) as error:
        tensors("sigm", mesh=mesh)
    assert message(error) == "tissue.conductivity.scale | the mesh has no cell data 'sigm' | did you mean 'sigma'?"


@pytest.mark.parametrize(("scale", "expected"), [
    ("x / (1 cm) - 0.5", "tissue.conductivity.scale | is not a number above 0 in 4 of the 16 cells of its regions (the "
     "first is cell 0: -0.166667)" + SCALES),
    ((1.0, "log(x / (1 cm) - 1)"), "tissue.conductivity.scale.1 | is not a number above 0 in 16 of the 16 cells of its "
     "regions (the first is cell 0: nan)" + SCALES),
    ("depth", "tissue.conductivity.scale | the mesh has no cell data 'depth' | mesh files have cell data, one number "
     "per cell; or give an expression, such as '0.1 + 0.9 * x / (20 mm)'"),
    ("x", "tissue.conductivity.scale | in 'x' the value is a length, not a number | divide it by a length, for example "
     "(100 um)"),
])
def test_scales_that_are_none(scale, expected):
    with pytest.raises(UpstrokeError) as error:
        tensors(scale)
    assert message(error) == expected


def test_two_scales_for_three_conductivities():
    with pytest.raises(UpstrokeError) as error:
        tensors((1.0, 2.0), (4.0, 2.0, 1.0))
    assert message(error) == ("tissue.conductivity.scale | 2 values, but there are 3 conductivities | give one value "
                              "for all axes, or one for each")


# ------------------------------------------------------------------------------------------ files of numbers
def test_files_of_numbers(tmp_path):
    numbers = np.array([1.0, 2.5, -3e-7])
    (tmp_path / "a.txt").write_text("1\n2.5   # a comment\n\n-3e-7\n")
    (tmp_path / "row.dat").write_text("1 2.5 -3e-7\n")
    np.save(tmp_path / "a.npy", numbers)
    np.save(tmp_path / "f.npy", numbers.astype(np.float32)[:, None])
    for name in ("a.txt", "row.dat", "a.npy"):
        assert np.array_equal(read_numbers(tmp_path / name, 3, "node", "k"), numbers)
    assert np.array_equal(read_numbers(tmp_path / "f.npy", 3, "node", "k"), numbers.astype(np.float32))


def test_files_that_hold_something_else(tmp_path):
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    (tmp_path / "table.txt").write_text("1 2\n3 4\n")
    (tmp_path / "no.npy").write_text("1\n2\n")
    np.save(tmp_path / "complex.npy", np.ones(4, complex))
    for name, expected in {
        "words.txt": "k | words.txt cannot be read as a file of numbers: could not convert string 'one' to float64 at "
                     "row 0, column 1. | write one number for each node of the mesh, a line each, or save an array of "
                     "them with numpy.save",
        "table.txt": "k | table.txt holds float64 values of shape (2, 2), not a row of numbers | write one number for "
                     "each node of the mesh",
        "complex.npy": "k | complex.npy holds complex128 values of shape (4,), not a row of numbers | write one number "
                       "for each node of the mesh"}.items():
        with pytest.raises(UpstrokeError) as error:
            read_numbers(tmp_path / name, 4, "node", "k")
        assert message(error) == expected
    with pytest.raises(UpstrokeError, match=r"no.npy cannot be read as a file of numbers: "):
        read_numbers(tmp_path / "no.npy", 4, "node", "k")


def test_files_have_as_many_numbers_as_the_mesh_has_nodes_or_cells(tmp_path):
    mesh, file = build_mesh(SHEET), tmp_path / "g.txt"
    np.savetxt(file, np.arange(15.0))
    assert values_at(mesh, str(file), np.array([14, 3]), "k").tolist() == [14.0, 3.0]
    with pytest.raises(UpstrokeError) as error:
        values_in_cells(mesh, str(file), "k")
    assert message(error) == (
        "k | g.txt holds 15 numbers, but the mesh has 16 cells | write one for each cell, in the mesh's order, which "
        "is that of activation.vtu; with a mesh file that may change on reading, cell data of that file are safer")
    np.savetxt(file, np.where(np.arange(15) == 7, np.nan, 1.0))
    assert values_at(mesh, str(file), np.array([14, 3]), "k").tolist() == [1.0, 1.0]
    with pytest.raises(UpstrokeError) as error:
        values_at(mesh, str(file), np.array([14, 7]), "k")
    assert message(error) == ("k | g.txt has no finite value at 1 of the 2 nodes of this membrane (the first is node "
                              "7) | write them for all nodes of its regions")


def test_files_are_relative_to_the_case_that_names_them(tmp_path):
    (tmp_path / "gna.txt").write_text("1\n")
    (tmp_path / "case.toml").write_text("""
        mesh = { kind = "cable", length = "1 mm", dx = "1 mm" }
        tissue = { surface_to_volume = "140 /mm", conductivity = { monodomain = ["1 mS/cm"], scale = "gna.txt" } }
        membrane = { model = "tenTusscherPanfilov", nodal = { GNa = "gna.txt" } }
        time = { end = "1 ms", dt = "0.1 ms" }
        """)
    case = load_case(tmp_path)
    assert case.membrane[0].nodal == {"GNa": str(tmp_path / "gna.txt")}
    assert case.tissue.conductivity[0].scale == str(tmp_path / "gna.txt")
    assert load_case(resolved(case)) == case
    with pytest.raises(UpstrokeError, match=r"membrane.nodal.GNa: there is no file .gnb.txt"):
        load_case(tmp_path, overrides=('membrane.nodal.GNa="gnb.txt"',))
