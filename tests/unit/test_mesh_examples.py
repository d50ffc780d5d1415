"""The meshes of meshes/ are what their script makes, and what it says of them is true."""

import runpy
from pathlib import Path

import meshio
import numpy as np
import pytest

from upstroke.case.schema import FileMesh
from upstroke.mesh import build_mesh, nodes_in_box

FOLDER = Path(__file__).parents[2] / "meshes"


@pytest.mark.parametrize("make", ["wedge", "patch", "ring", "lv"])
def test_the_script_makes_the_files(tmp_path, make):
    runpy.run_path(str(FOLDER / "make.py"))[make](tmp_path)
    made = sorted(tmp_path.iterdir())
    assert made
    for file in made:
        if file.suffix == ".vtu":               # compressed: equal contents may differ in bytes
            new, old = meshio.read(file), meshio.read(FOLDER / file.name)
            np.testing.assert_array_equal(new.points, old.points)
            np.testing.assert_array_equal(new.cells[0].data, old.cells[0].data)
        else:
            assert file.read_bytes() == (FOLDER / file.name).read_bytes()


def test_wedge():
    mesh = build_mesh(FileMesh(file=FOLDER / "wedge.pts", unit="um", node_sets={"endo": FOLDER / "wedge_endo.vtx"}))
    np.testing.assert_allclose(np.ptp(mesh.points, axis=0), [0.8, 0.8, 0.9])
    np.testing.assert_array_equal(mesh.node_sets["endo"], nodes_in_box(mesh, (0, 0, 0), (1, 1, 0)))
    assert np.bincount(mesh.region).tolist() == [0, 192, 192, 192]
    angle = np.degrees(np.arctan2(mesh.fibre[:, 1], mesh.fibre[:, 0]))
    np.testing.assert_allclose(angle, 60 - 120 * (np.repeat(np.arange(6), 96) + 0.5) / 6, atol=1e-4)
    assert mesh.notes == ("split 96 hexahedra into 576 tetrahedra",)


def test_patch():
    mesh = build_mesh(FileMesh(file=FOLDER / "patch.msh", unit="mm"))
    assert mesh.region_names == {"tissue": 1, "scar": 2}
    np.testing.assert_array_equal(mesh.node_sets["stimulus"], nodes_in_box(mesh, (0.0,), (0.0,)))
    assert mesh.notes == ("dropped 8 segments: the mesh is made of the cells of highest dimension",)


def test_ring():
    mesh = build_mesh(FileMesh(file=FOLDER / "ring.vtu", unit="mm"))
    edges = mesh.points[mesh.cells[:, 1]] - mesh.points[mesh.cells[:, 0]]
    np.testing.assert_allclose(np.linalg.norm(edges, axis=1).sum(), 4.0)
    assert (np.bincount(mesh.cells.ravel()) == 2).all()
    assert mesh.notes == ()


def test_lv():
    mesh = build_mesh(FileMesh(file=FOLDER / "lv.vtu", unit="mm", node_sets={"endo": FOLDER / "lv_endo.vtx"}))
    assert (mesh.point_data["transmural"][mesh.node_sets["endo"]] == 0).all()
    assert set(mesh.region) == {1, 2, 3}
    assert mesh.fibre is not None
    assert mesh.sheet is not None
    assert mesh.notes == ()
