"""Coordinates and fibres from Laplace's equation, two ventricles, and `upstroke mesh`: against exact solutions."""

import os
import subprocess
import sys

import meshio
import numpy as np
import pytest
from samples import dihedral

from upstroke.anatomy import make_mesh, write_mesh
from upstroke.case.schema import BiventricleMesh, FileMesh, SlabMesh, VentricleMesh
from upstroke.cli import main
from upstroke.errors import UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.mesh.biventricle import CELLS_THROUGH, heart_mesh, heart_of
from upstroke.mesh.check import signed_sizes
from upstroke.mesh.laplace import laplace
from upstroke.mesh.ldrb import Angles
from upstroke.mesh.rule import with_rule
from upstroke.mesh.stuffing import stuffed
from upstroke.mesh.topology import outer_faces, patches
from upstroke.run import run

ONE = {"endo": "endo", "epi": "epi", "base": "base", "apex": "apex"}


def test_depth_in_a_half_sphere_is_the_exact_solution():
    """Between spheres u = (1/a - 1/r) / (1/a - 1/b), and no flux through the plane of the base."""
    errors = []
    for dx in (0.2, 0.1):
        mesh = build_mesh(VentricleMesh(dx=dx, endocardium=(1.0, 1.0), epicardium=(1.5, 1.5), base=0.0))
        u, = laplace(mesh, [(mesh.node_sets["endo"], 0.0), (mesh.node_sets["epi"], 1.0)])
        r = np.linalg.norm(mesh.points, axis=1)
        errors.append(np.abs(u - (1 - 1 / r) / (1 - 1 / 1.5)).max())
    assert errors[1] < 0.0025
    assert errors[1] < 0.6 * errors[0]


def test_a_linear_field_is_exact():
    mesh = build_mesh(SlabMesh(size=(1.0, 0.4, 0.4), dx=0.2))
    u, = laplace(mesh, [(mesh.node_sets["xmin"], -1.0), (mesh.node_sets["xmax"], 3.0)])
    np.testing.assert_allclose(u, -1 + 4 * mesh.points[:, 0], atol=1e-7)


SLAB = """
import hashlib
from upstroke.case.schema import SlabMesh
from upstroke.mesh import build_mesh
from upstroke.mesh.laplace import laplace
mesh = build_mesh(SlabMesh(size=(3.0, 3.0, 1.6), dx=0.1))           # as many nodes as a BLAS shares among threads
u, = laplace(mesh, [(mesh.node_sets["xmin"], 0.0), (mesh.node_sets["zmax"], 1.0)])
print(hashlib.sha256(u.tobytes()).hexdigest())
"""


def test_the_same_bits_on_any_number_of_threads():
    found = {subprocess.run([sys.executable, "-c", SLAB], check=True, capture_output=True, text=True, env=os.environ | {
        "OPENBLAS_NUM_THREADS": n, "OMP_NUM_THREADS": n, "PYTHONPATH": os.pathsep.join(sys.path)}).stdout
        for n in ("1", "2")}
    assert len(found) == 1 and len(found.pop()) == 65


def test_coordinates_and_fibres_are_near_those_of_the_ellipsoid():
    plain = build_mesh(VentricleMesh(dx=0.15, cells_through=3))
    mesh = with_rule(plain, ONE, Angles())
    for vectors in (mesh.fibre, mesh.sheet):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0)
    np.testing.assert_allclose((mesh.fibre * mesh.sheet).sum(axis=1), 0.0, atol=1e-12)
    depth = mesh.point_data["transmural"] - plain.point_data["transmural"]
    assert np.abs(depth).mean() < 0.03                   # layers of equal distance are no layers of equal potential
    angle = np.degrees(np.arccos(np.clip(np.abs((mesh.fibre * plain.fibre).sum(axis=1)), 0, 1)))
    above = plain.point_data["apicobasal"][plain.cells].mean(axis=1) > 0.3
    assert np.median(angle) < 5
    assert angle[above].max() < 12


def test_the_apex_is_found():
    plain = build_mesh(VentricleMesh(dx=0.2))
    mesh = with_rule(plain, {role: role for role in ("endo", "epi", "base")}, Angles())
    np.testing.assert_allclose(mesh.points[mesh.node_sets["apex"]], [[0, 0, -2]], atol=1e-12)


@pytest.fixture(scope="module", params=["", "gmsh"])
def heart(request):
    if request.param:
        pytest.importorskip("gmsh", exc_type=ImportError)
    return make_mesh("bv", ['dx="2.5 mm"'], {}, mesher=request.param)


def test_two_ventricles(heart):
    assert heart.region_names == {"endo": 1, "M": 2, "epi": 3}
    x, y, z = heart.points.T
    sets = heart.node_sets
    np.testing.assert_allclose((x[sets["lv"]]**2 + y[sets["lv"]]**2) / 0.7**2 + z[sets["lv"]]**2 / 1.7**2, 1, atol=1e-6)
    np.testing.assert_allclose(z[sets["base"]], 0.5, atol=1e-6)
    drop = [[j for j in range(4) if j != k] for k in range(4)]
    facets, count = np.unique(np.sort(np.concatenate([heart.cells[:, k] for k in drop]), axis=1), axis=0,
                              return_counts=True)
    surface = np.unique(facets[count == 1])
    np.testing.assert_array_equal(surface, np.unique(np.concatenate([sets[k] for k in ("lv", "rv", "epi", "base")])))
    assert set(sets["lv"]) & set(sets["rv"]) == set()
    assert heart.point_data["septal"][sets["rv"]].min() > 0.49
    for vectors in (heart.fibre, heart.sheet):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0)
    np.testing.assert_allclose((heart.fibre * heart.sheet).sum(axis=1), 0.0, atol=1e-12)


def test_the_left_free_wall_of_two_ventricles_is_as_that_of_one(heart):
    """At the left epicardium fibres are at -60 degrees, at the endocardium at +60."""
    centre = heart.points[heart.cells].mean(axis=1)
    depth = heart.point_data["transmural"][heart.cells].mean(axis=1)
    free = (centre[:, 0] > 0.6) & (np.abs(centre[:, 2]) < 0.3)
    around = np.stack([-centre[:, 1], centre[:, 0], 0 * depth], 1) / np.hypot(*centre[:, :2].T)[:, None]
    angle = np.degrees(np.arctan(heart.fibre[:, 2] / (heart.fibre * around).sum(axis=1)))
    off = (angle - (60 - 120 * depth) + 90) % 180 - 90
    assert np.abs(off[free]).mean() < 8


def test_without_gmsh(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "gmsh", None)
    assert main(["mesh", "bv", "--with", "gmsh", "--h", "3 mm", "-o", str(tmp_path / "bv.vtu")]) == 2
    assert capsys.readouterr().err == (
        "upstroke mesh --with gmsh: gmsh cannot be loaded: import of gmsh halted; None in sys.modules\n"
        '  -> pip install "upstroke[mesh]"; or leave --with out\n')


def volume(heart):
    """Of the walls, cm^3: lengths along x by the intervals inside each ellipsoid, summed over y and z."""
    n = 600
    (_, bottom_y, bottom), (_, top_y, top) = heart.box()
    y, z = np.meshgrid(*(low + (np.arange(n) + 0.5) * ((high - low) / n)
                         for low, high in ((bottom_y, top_y), (bottom, top))), indexing="ij")

    def ends(body):
        a, b, c = body.axes
        half = a * np.sqrt(np.maximum(1 - (y / b)**2 - (z / c)**2, 0))
        return body.x - half, body.x + half

    def both(one, two):
        return np.maximum(np.minimum(one[1], two[1]) - np.maximum(one[0], two[0]), 0)

    lv, epi, rv, right = (ends(body) for body in (heart.lv, heart.epi, heart.rv, heart.right))
    length = (both(epi, epi) + both(right, right) - both(epi, right) - both(lv, lv) - both(rv, rv) + both(rv, epi))
    return length.mean() * (top_y - bottom_y) * (top - bottom)


def test_the_volume_of_two_ventricles_converges():
    heart = heart_of(BiventricleMesh(dx=1.0))
    exact = volume(heart)
    error = [signed_sizes(*stuffed(heart.inside, *heart.box(), edge)).sum() / 6 / exact - 1 for edge in (0.1, 0.06)]
    assert abs(error[0]) < 0.005
    assert abs(error[1]) < 0.6 * abs(error[0])


@pytest.mark.parametrize("keys", [
    {}, {"dx": 0.08}, {"right_wall": 0.25, "dx": 0.15}, {"right": (1.5, 1.2, 1.6), "right_centre": -0.6, "base": 0.3},
    {"endocardium": (2.0, 6.5), "epicardium": (3.0, 7.5), "base": 1.5, "right_wall": 0.4, "dx": 0.25}])
def test_cells_of_two_ventricles_are_of_good_shape(keys):
    heart = heart_of(section := BiventricleMesh(**{"dx": 0.2, **keys}))
    points, cells = stuffed(heart.inside, *heart.box(), min(section.dx, heart.thinnest / CELLS_THROUGH))
    angles = dihedral(points, cells)
    assert angles.min() > 8
    assert angles.max() < 165
    assert np.percentile(angles.min(axis=1), 1) > 18
    faces = outer_faces(cells)
    assert patches(faces[(points[faces][:, :, 2] < section.base).any(axis=1)]).max() == 2      # walls without holes
    assert patches(cells).max() == 0


def test_a_wall_too_thin_for_dx_is_told():
    mesh = build_mesh(BiventricleMesh(dx=0.18, right_wall=0.3))
    assert mesh.notes == ()
    mesh = build_mesh(BiventricleMesh(dx=0.25, right_wall=0.3))
    assert mesh.notes == ("edges are 1.87 mm long, not 2.5 mm: walls are as thin as 3 mm",)
    assert mesh.region_names == {"endo": 1, "M": 2, "epi": 3}


def test_a_beat_passes_from_the_left_ventricle_to_the_right(tmp_path):
    result = run({"mesh": {"kind": "biventricle", "dx": "1.8 mm", "right_wall": "3 mm",
                           "regions": {"early": "septal < 0.3 and transmural < 0.5 and x > 2 mm"}},
                  "tissue": {"surface_to_volume": "140 /mm", "capacitance": "1 uF/cm^2",
                             "conductivity": {"monodomain": ["5 mS/cm", "2 mS/cm"]}},
                  "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "60 ms", "dt": "0.1 ms"},
                  "stimulus": {"region": "early", "current": "60 uA/cm^2", "duration": "2 ms"},
                  "watch": {"activation": {}}, "output": {"picture": False}}, out=tmp_path)
    time = result.activation.activation[0]
    mesh = result.mesh
    early = mesh.points[:, 0] > 0.8
    septum, right = ((mesh.point_data["septal"] > 0.9) & (abs(mesh.points[:, 0] - x) < 0.2) for x in (-0.9, -1.6))
    assert np.isfinite(time).all()
    assert time[early].mean() + 5 < time[septum].mean() < time[right].mean() - 1


def test_files_are_read_as_they_were_made(tmp_path, capsys):
    assert main(["mesh", "lv", "--h", "2 mm", "--set", "regions.scar=transmural > 0.6 and z < 0 mm",
                 "-o", str(tmp_path / "lv.vtu")]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[1:] == [
        "# regions: 1 endo, 2 M, 3 epi, 4 scar", "[mesh]", 'kind = "file"', 'file = "lv.vtu"', 'unit = "mm"',
        'node_sets = { endo = "lv_endo.vtx", epi = "lv_epi.vtx", base = "lv_base.vtx", apex = "lv_apex.vtx" }']
    made = build_mesh(VentricleMesh(dx=0.2, regions={"scar": "transmural > 0.6 and z < 0 mm"}))
    back = build_mesh(FileMesh(file=tmp_path / "lv.vtu", unit="mm", node_sets={
        name: tmp_path / f"lv_{name}.vtx" for name in made.node_sets}))
    np.testing.assert_allclose(back.points, made.points, atol=1e-14)
    np.testing.assert_array_equal(back.cells, made.cells)
    np.testing.assert_array_equal(back.region, made.region)
    np.testing.assert_allclose(back.fibre, made.fibre, atol=1e-12)
    np.testing.assert_array_equal(back.cell_data["rotational"], made.cell_data["rotational"])
    for name in made.node_sets:
        np.testing.assert_array_equal(back.node_sets[name], made.node_sets[name])
    for name, values in made.point_data.items():
        np.testing.assert_array_equal(back.point_data[name], values)


def test_a_file_gets_fibres(tmp_path):
    made = make_mesh("lv", ['dx="2 mm"'], {})
    faces = np.concatenate([made.cells[:, [j for j in range(4) if j != k]] for k in range(4)])
    names = ("endo", "epi", "base")
    blocks = [("tetra", made.cells), *(("triangle", faces[np.isin(faces, made.node_sets[name]).all(axis=1)])
                                       for name in names)]
    tags = [np.full(len(data), k + 1) for k, (_, data) in enumerate(blocks)]
    meshio.write(tmp_path / "lv.msh", meshio.Mesh(
        made.points * 10, blocks, cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags}, field_data={
            "wall": np.array([1, 3]), **{name: np.array([k + 2, 2]) for k, name in enumerate(names)}}),
        file_format="gmsh22", binary=False)
    mesh = make_mesh(str(tmp_path / "lv.msh"), ["alpha=[50, -40]"], {name: name for name in names}, "mm")
    angle = np.degrees(np.arcsin(np.abs(mesh.fibre[:, 2])))
    middle = mesh.points[mesh.cells].mean(axis=1)[:, 2]
    assert 30 < angle[np.abs(middle) < 0.1].max() < 50
    assert mesh.region_names == {"wall": 1}
    assert set(mesh.node_sets) == {"wall", *names, "apex"}


@pytest.mark.parametrize(("words", "message"), [
    (("lv",), '--h: is not given\n  -> the length of an edge, for example --h "0.8 mm"'),
    (("lv", "--h", "2 mm", "--unit", "mm"), "upstroke mesh: --surface and --unit are for mesh files, not for 'lv'\n  "
     "-> leave them out"),
    (("vl",), "vl: is neither a kind of mesh nor a file\n  -> take lv, bv, or a mesh file"),
    (("y.vtu",), "y.vtu: is neither a kind of mesh nor a file\n  -> did you mean 'x.vtu'?"),
    (("x.vtu",), "--unit: is not given\n  -> mesh files do not carry their unit: --unit mm"),
    (("x.vtu", "--unit", "mm", "--h", "2 mm"), "--set dx: is for meshes made from numbers\n  -> a file takes alpha and "
     "beta"),
    (("x.vtu", "--unit", "mm", "--surface", "left=lv"), "--surface left=...: is no surface of a heart\n  -> known: "
     "endo, rv, epi, base, apex"),
])
def test_mistakes(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.vtu").touch()
    assert main(["mesh", *words, "-o", str(tmp_path / "lv.vtu")]) == 2
    assert capsys.readouterr().err == message + "\n"


def test_other_mistakes(tmp_path):
    mesh = build_mesh(VentricleMesh(dx=0.3))
    slab = build_mesh(SlabMesh(size=(0.2, 0.2, 0.2), dx=0.1))
    heart = heart_of(BiventricleMesh(dx=0.2))
    for call, message in (
            (lambda: write_mesh(mesh, tmp_path / "lv.stl"), f"{tmp_path / 'lv.stl'}: files of the ending '.stl' are "
             "not written\n  -> take .vtu, .vtk"),
            (lambda: with_rule(mesh, {"endo": "endo", "epi": "epi"}, Angles()), "base: is not given\n  -> name the "
             "node set of this surface; the mesh has endo, epi, base, apex"),
            (lambda: with_rule(mesh, {**ONE, "endo": "end"}, Angles()), "endo: the mesh has no node set 'end'\n  -> "
             "did you mean 'endo'?"),
            (lambda: build_mesh(BiventricleMesh(dx=0.2, right_wall=1.2)), "mesh.right_wall: the right ventricle's wall "
             "of 12 mm leaves no room in an ellipsoid whose shortest semi-axis is 11 mm\n  -> take a thinner wall, or "
             "a larger mesh.right"),
            (lambda: build_mesh(BiventricleMesh(dx=0.2, right_centre=-0.1, right=(1.0, 1.0, 1.5))), "mesh.right: the "
             "right ventricle's cavity lies within the left ventricle\n  -> take a longer first semi-axis, or "
             "mesh.right_centre farther away"),
            (lambda: build_mesh(BiventricleMesh(dx=0.2, right_centre=-2.4)), "mesh.right_centre: the right ventricle "
             "does not reach the left one\n  -> take it nearer to 0 than 23 mm, or a longer first semi-axis in "
             "mesh.right"),
            (lambda: build_mesh(BiventricleMesh(dx=0.2, right=(3.0, 3.0, 3.0))), "mesh.right: the right ventricle goes "
             "around the left one\n  -> take a shorter first semi-axis, or mesh.right_centre farther away"),
            (lambda: build_mesh(BiventricleMesh(dx=0.2, right=(1.3, 1.1, 0.6))), "mesh.base: the plane of the base "
             "does not cut the right ventricle's cavity\n  -> take it nearer to the centre than the inner long "
             "semi-axis, 4.5 mm"),
            (lambda: build_mesh(BiventricleMesh(dx=0.1, right_wall=0.01)), "mesh.dx: edges of 1 mm are too long for "
             "walls of 0.1 mm\n  -> take dx = \"0.062 mm\", or thicker walls"),
            (lambda: build_mesh(BiventricleMesh(dx=1e-5)), "mesh.dx: this resolution makes about 3.1e+16 nodes, more "
             "than the 2,147,483,647 that a mesh can number\n  -> use a larger dx, or check its unit"),
            (lambda: make_mesh("lv", ['dx="2 mm"'], {}, mesher="gmsh"), "--with: is for two ventricles, bv, not for "
             "'lv'\n  -> leave it out"),
            (lambda: heart_mesh(BiventricleMesh(dx=0.2), heart, [(0.15, *stuffed(heart.inside, *heart.box(), 0.15))]),
             "mesh.dx: the surface of the two ventricles has 2 parts below the base, not 3: cells are too large for "
             "the walls\n  -> take a smaller dx, or thicker walls"),
            (lambda: laplace(slab, []), "mesh: 1 of the 1 parts of the mesh touch no surface that is named\n  -> keep "
             "the largest part only, or name surfaces of all")):
        with pytest.raises(UpstrokeError) as error:
            call()
        assert str(error.value) == message
