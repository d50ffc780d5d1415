"""Regions of tissue by expressions: which cells they have, of coordinates, point data and cell data, and mistakes."""

import meshio
import numpy as np
import pytest

from upstroke.case.schema import CableMesh, FileMesh, GridMesh, SheetMesh, SlabMesh, VentricleMesh
from upstroke.errors import CaseError
from upstroke.mesh import build_mesh


def centres(mesh):
    return mesh.points[mesh.cells].mean(axis=1)


@pytest.mark.parametrize("section", [
    lambda regions: CableMesh(length=1.0, dx=0.1, regions=regions),
    lambda regions: SheetMesh(size=(1.0, 0.5), dx=0.1, regions=regions),
    lambda regions: SlabMesh(size=(1.0, 0.3, 0.3), dx=0.1, regions=regions),
    lambda regions: GridMesh(size=(1.0, 0.5), dx=0.1, regions=regions)])
def test_built_meshes(section):
    mesh = build_mesh(section({"scar": "x > 4 mm and x < 6 mm", "border": "x > 3 mm and x < 7 mm"}))
    x = centres(mesh)[:, 0]
    assert mesh.region_names == {"scar": 1, "border": 2}
    np.testing.assert_array_equal(mesh.region == 1, (x > 0.4) & (x < 0.6))
    np.testing.assert_array_equal(mesh.region == 2, (x > 0.3) & (x < 0.7) & (mesh.region != 1))
    assert (mesh.region == 0).sum() == ((x < 0.3) | (x > 0.7)).sum()


def test_regions_that_the_mesh_has_stay_where_none_is_laid_over_them():
    plain = build_mesh(VentricleMesh(dx=0.15))
    mesh = build_mesh(VentricleMesh(dx=0.15, regions={"scar": "transmural > 0.4 and apicobasal < 0.3",
                                                      "septum": "abs(rotational) > 2.5 and transmural < 0.7"}))
    t, s = (mesh.point_data[name][mesh.cells].mean(axis=1) for name in ("transmural", "apicobasal"))
    v = np.arctan2(*centres(mesh)[:, 1::-1].T)
    scar, septum = (t > 0.4) & (s < 0.3), (np.abs(v) > 2.5) & (t < 0.7)
    assert mesh.region_names == {"endo": 1, "M": 2, "epi": 3, "scar": 4, "septum": 5}
    np.testing.assert_array_equal(mesh.region, np.where(scar, 4, np.where(septum, 5, plain.region)))


def test_no_region_lies_where_the_angle_jumps():
    mesh = build_mesh(VentricleMesh(dx=0.15, regions={"free": "abs(rotational) < 0.5"}))
    assert centres(mesh)[mesh.region == mesh.region_names["free"]][:, 0].min() > 0


def test_data_of_files(tmp_path):
    x, y = np.meshgrid(np.arange(4.0), np.arange(3.0))
    points = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    low = np.array([0, 1, 2, 4, 5, 6])
    cells = np.concatenate([np.stack([low, low + 1, low + 5], axis=1), np.stack([low, low + 5, low + 4], axis=1)])
    enhanced = np.linspace(0, 1, 12)
    meshio.write(tmp_path / "lge.vtu", meshio.Mesh(points, [("triangle", cells)], point_data={"depth": points[:, 0]},
                                                   cell_data={"lge": [enhanced]}))
    mesh = build_mesh(FileMesh(file=tmp_path / "lge.vtu", unit="mm", regions={
        "core": "lge >= 0.8", "far": "depth > 2"}))
    np.testing.assert_array_equal(mesh.region == mesh.region_names["core"], enhanced >= 0.8)
    far = (centres(mesh)[:, 0] > 0.2) & (enhanced < 0.8)
    np.testing.assert_array_equal(mesh.region == mesh.region_names["far"], far)


@pytest.mark.parametrize(("regions", "message"), [
    ({"endo": "z < 0 mm"}, "mesh.regions.endo: is the name of a region of the mesh already\n  -> give it another name"),
    ({"scar": "z > 1 m"}, "mesh.regions.scar: 'z > 1 m' holds in the middle of no cell\n  -> lengths are those of the "
     "mesh: `upstroke check` says how large it is; a region as thin as a cell may miss all middles"),
    ({"a": "z < 0 mm", "b": "z < -2 mm"}, "mesh.regions.b: wherever 'z < -2 mm' holds, an earlier region holds, too\n  "
     "-> put the narrower region first"),
    ({"scar": "transmurale > 0.5"}, "mesh.regions.scar: in 'transmurale > 0.5' there is no 'transmurale'\n  -> did you "
     "mean 'transmural'?"),
])
def test_mistakes(regions, message):
    with pytest.raises(CaseError) as error:
        build_mesh(VentricleMesh(dx=0.2, regions=regions))
    assert str(error.value) == message
