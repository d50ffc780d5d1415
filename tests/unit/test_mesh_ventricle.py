"""The ventricle made from numbers: a sound mesh of any size, coordinates, layers, and fibres by rule."""

import math

import numpy as np
import pytest

from upstroke.case import load_case
from upstroke.case.schema import VentricleMesh
from upstroke.errors import ErrorList, MeshError
from upstroke.mesh import build_mesh
from upstroke.mesh.check import checked, signed_sizes
from upstroke.mesh.ldrb import Angles, axis, bislerp, cell_gradients, one_ventricle, orient, two_ventricles

REST = {"tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["1 mS/cm"]}},
        "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "1 ms", "dt": "0.1 ms"}}


@pytest.fixture(scope="module")
def mesh():
    return build_mesh(VentricleMesh(dx=0.1))


def cap(a, c, base):
    """Volume of an ellipsoid of revolution below z = base."""
    return math.pi * a**2 * (base + c - (base**3 + c**3) / (3 * c**2))


@pytest.mark.parametrize("dx", [0.5, 0.3, 0.217, 0.1])
def test_cells_fill_the_wall_once_at_any_size(dx):
    mesh = build_mesh(VentricleMesh(dx=dx))
    volumes = signed_sizes(mesh.points, mesh.cells) / 6
    assert (volumes > 0).all()
    drop = [[j for j in range(4) if j != k] for k in range(4)]
    facets, count = np.unique(np.sort(np.concatenate([mesh.cells[:, k] for k in drop]), axis=1), axis=0,
                              return_counts=True)
    assert set(count) == {1, 2}
    sides = [np.isin(facets[count == 1], mesh.node_sets[name]).all(axis=1) for name in ("endo", "epi", "base")]
    assert (np.sum(sides, axis=0) == 1).all()                # every open face lies on one surface
    assert checked(mesh, "ventricle").notes == mesh.notes    # what a file would be told


def test_the_volume_converges_with_the_second_order():
    exact = cap(1.0, 2.0, 0.5) - cap(0.7, 1.7, 0.5)
    errors = [exact - signed_sizes((m := build_mesh(VentricleMesh(dx=dx))).points, m.cells).sum() / 6
              for dx in (0.2, 0.1)]
    assert 3.5 < errors[0] / errors[1] < 4.5
    assert abs(errors[1]) < 0.005 * exact


def test_no_pole_and_no_sliver(mesh):
    corners = mesh.points[mesh.cells]
    edges = np.stack([np.linalg.norm(corners[:, i] - corners[:, j], axis=1) for i in range(4) for j in range(i)], 1)
    quality = math.sqrt(2) * signed_sizes(mesh.points, mesh.cells) / np.sqrt((edges**2).mean(axis=1))**3
    assert quality.min() > 0.5                               # 1: regular
    assert edges.max() < 1.8 * 0.1
    assert edges.mean() == pytest.approx(0.11, abs=0.005)
    apex = mesh.node_sets["apex"]
    assert len(apex) == 4                                    # three cells through the wall
    assert np.bincount(mesh.cells.ravel()).max() <= 28


def test_surfaces_and_coordinates(mesh):
    x, y, z = mesh.points.T
    data, sets = mesh.point_data, mesh.node_sets
    for name, (a, c) in {"endo": (0.7, 1.7), "epi": (1.0, 2.0)}.items():
        on = sets[name]
        np.testing.assert_allclose((x[on]**2 + y[on]**2) / a**2 + z[on]**2 / c**2, 1.0)
        assert set(data["transmural"][on]) == {float(name == "epi")}
    np.testing.assert_allclose(z[sets["base"]], 0.5)
    np.testing.assert_allclose(mesh.points[sets["apex"]], [[0, 0, -1.7 - 0.1 * k] for k in range(4)], atol=1e-14)
    assert (data["apicobasal"][sets["apex"]] == 0).all()
    off = np.hypot(x, y) > 1e-9
    np.testing.assert_allclose(np.cos(data["rotational"][off] - np.arctan2(y, x)[off]), 1.0)
    assert np.abs(data["rotational"]).max() <= math.pi
    assert mesh.region_names == {"endo": 1, "M": 2, "epi": 3}
    assert (np.diff(data["apicobasal"][mesh.cells].mean(axis=1)[np.argsort(z[mesh.cells].mean(axis=1))]) < 0.2).all()


def test_layers_are_where_they_should_be():
    mesh = build_mesh(VentricleMesh(dx=0.1, layers=(0.25, 0.6)))
    depth = mesh.point_data["transmural"][mesh.cells].mean(axis=1)
    np.testing.assert_array_equal(mesh.region, 1 + (depth > 0.25) + (depth > 0.6))


def test_the_angle_of_fibres_is_linear_in_the_depth_at_the_equator(mesh):
    assert mesh.sheet is not None
    depth = mesh.point_data["transmural"][mesh.cells].mean(axis=1)
    centre = mesh.points[mesh.cells].mean(axis=1)
    near = np.abs(centre[:, 2]) < 0.1
    circumferential = np.stack([-centre[:, 1], centre[:, 0], 0 * depth], 1) / np.hypot(*centre[:, :2].T)[:, None]
    angle = np.degrees(np.arctan2(mesh.fibre[:, 2], (mesh.fibre * circumferential).sum(axis=1)))
    np.testing.assert_allclose(angle[near], 60 - 120 * depth[near], atol=3.0)
    assert np.abs(angle[near] - (60 - 120 * depth[near])).mean() < 0.7


def test_fibres_and_sheets_are_orthonormal_everywhere(mesh):
    for vectors in (mesh.fibre, mesh.sheet):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0)
    np.testing.assert_allclose((mesh.fibre * mesh.sheet).sum(axis=1), 0.0, atol=1e-12)
    assert not any("turned" in note for note in mesh.notes)


def test_fibres_lie_in_the_wall(mesh):
    normal = cell_gradients(mesh.points, mesh.cells, mesh.point_data["transmural"])
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    leaving = np.degrees(np.arcsin(np.abs((normal * mesh.fibre).sum(axis=1))))
    assert leaving.max() < 1e-6


def test_known_frames():
    Q = axis(np.array([[0.0, 0.0, 2.0]]), np.array([[3.0, 0.0, 1.0]]))
    np.testing.assert_allclose(Q[0].T, [[0, 1, 0], [0, 0, 1], [1, 0, 0]])         # right-handed, seen from the base
    fibre, sheet = one_ventricle(np.array([[0, 0, 1.0]]), np.array([[1.0, 0, 0]]), np.array([0.0]), Angles())
    np.testing.assert_allclose(fibre[0], [0, 0.5, math.sqrt(3) / 2])              # +60 degrees at the endocardium
    cross = [0, -math.sqrt(3) / 2, 0.5]
    np.testing.assert_allclose(sheet[0], np.array([1, 0, 0]) * math.cos(math.radians(-65))
                               + np.array(cross) * math.sin(math.radians(-65)), atol=1e-12)


def test_bislerp_takes_the_shortest_way():
    identity, angle = np.eye(3)[None], np.radians(50)
    turned = orient(identity, np.array([angle]), np.array([0.0]))
    for t in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(bislerp(identity, turned, np.array([t])),
                                   orient(identity, np.array([t * angle]), np.array([0.0])), atol=1e-12)
    for signs in ((1, -1, -1), (-1, 1, -1), (-1, -1, 1)):         # the same axes, two of them reversed
        half = bislerp(identity * np.array(signs), turned, np.array([0.5]))
        np.testing.assert_allclose(np.abs(half), np.abs(orient(identity, np.array([angle / 2]), np.array([0.0]))),
                                   atol=1e-12)


def test_without_a_right_ventricle_two_are_one():
    rng = np.random.default_rng(1)
    up, out, depth = rng.normal(size=(50, 3)), rng.normal(size=(50, 3)), rng.random(50)
    one = one_ventricle(up, out, depth, Angles())
    two = two_ventricles(up, (-out, 0 * out, out), (1 - depth, 0 * depth, depth), Angles())
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(np.abs((a * b).sum(axis=1)), 1.0)


def test_the_septum_turns_on_from_one_ventricle_to_the_other():
    """In the septum the angle goes from +60 at the left to -60 degrees at the right, as seen from the left."""
    d = np.linspace(0, 1, 11)
    up, right = np.tile([0, 0, 1.0], (11, 1)), np.tile([1.0, 0, 0], (11, 1))
    fibre, sheet = two_ventricles(up, (-right, right, 0 * right + 1e-9), (1 - d, d, 0 * d), Angles())
    np.testing.assert_allclose(np.degrees(np.arctan(fibre[:, 2] / fibre[:, 1])), 60 - 120 * d, atol=1e-6)
    np.testing.assert_allclose((fibre * sheet).sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize(("keys", "message"), [
    ({"epicardium": ["10 mm", "16 mm"]},
     'case: mesh.epicardium: does not lie outside the endocardium\n  -> both its semi-axes must be the longer ones, '
     'for example endocardium = ["7 mm", "17 mm"], epicardium = ["10 mm", "20 mm"]'),
    ({"base": "18 mm"}, "case: mesh.base: the plane of the base does not cut the endocardium\n  -> take it nearer to "
     "the centre than the inner long semi-axis, 17 mm"),
    ({"layers": [0.7, 0.3]}, "case: mesh.layers: the second depth is not the larger one\n  -> for example layers = "
     "[0.33, 0.67]"),
])
def test_mistakes(keys, message):
    with pytest.raises(ErrorList) as error:
        load_case({"mesh": {"kind": "ventricle", "dx": "2 mm", **keys}, **REST})
    assert str(error.value) == message


def test_too_fine():
    with pytest.raises(MeshError) as error:
        build_mesh(VentricleMesh(dx=1e-5))
    assert str(error.value) == ("mesh.dx: this resolution makes about 1.2e+16 nodes, more than the 2,147,483,647 that "
                                "a mesh can number\n  -> use a larger dx, or check its unit")


def test_a_wall_of_one_cell_is_told():
    assert build_mesh(VentricleMesh(dx=0.3)).notes == (
        "warning: the wall is one cell thick; take mesh.dx of a third of its thickness or less, or mesh.cells_through",)
    mesh = build_mesh(VentricleMesh(dx=0.3, cells_through=4))
    assert mesh.notes == ()
    assert np.unique(mesh.point_data["transmural"]).tolist() == [0, 0.25, 0.5, 0.75, 1]
