"""Isosurface stuffing: tetrahedra of good shape that fill a body once, up to its surface and to a plane."""

import math

import numpy as np
import pytest
from samples import dihedral

from upstroke.mesh.check import signed_sizes
from upstroke.mesh.stuffing import stuffed
from upstroke.mesh.topology import outer_faces, patches


def sphere(radius, centre=(0.0, 0.0, 0.0)):
    return lambda points: radius - np.linalg.norm(points - centre, axis=-1)


def box(top):
    return np.array([-1.2, -1.2, -1.2]), np.array([1.2, 1.2, top])


@pytest.mark.parametrize("top", [1.2, 0.37])
@pytest.mark.parametrize("edge", [0.5, 0.21])
def test_a_ball(edge, top):
    points, cells = stuffed(sphere(1.0), *box(top), edge)
    assert (signed_sizes(points, cells) > 0).all()
    angles = dihedral(points, cells)
    assert angles.min() > 10.7                               # what is proven for smooth surfaces
    assert angles.max() < 164.8
    faces = np.sort(np.concatenate([np.delete(cells, k, axis=1) for k in range(4)]), axis=1)
    assert set(np.unique(faces, axis=0, return_counts=True)[1].tolist()) == {1, 2}
    outer = outer_faces(cells)
    edges, count = np.unique(np.concatenate([outer[:, :2], outer[:, 1:], outer[:, ::2]]), axis=0, return_counts=True)
    assert (count == 2).all()
    assert len(np.unique(outer)) - len(edges) + len(outer) == 2         # a ball, without holes
    ends = np.concatenate([points[cells[:, i]] - points[cells[:, j]] for i in range(4) for j in range(i)])
    assert np.linalg.norm(ends, axis=1).mean() == pytest.approx(edge, rel=0.12)


def test_the_surface_and_the_plane_are_where_they_should_be():
    points, cells = stuffed(sphere(1.0), *box(0.37), 0.3)
    outer = outer_faces(cells)
    flat = (points[outer][:, :, 2] == 0.37).all(axis=1)
    radius = np.linalg.norm(points, axis=1)
    np.testing.assert_allclose(radius[outer[~flat]], 1.0, atol=1e-10)
    rim = np.intersect1d(outer[flat], outer[~flat])
    np.testing.assert_allclose(np.hypot(*points[rim, :2].T), math.sqrt(1 - 0.37**2), atol=1e-10)
    assert radius.max() < 1 + 1e-10
    assert points[:, 2].max() == 0.37


def test_the_volume_converges_with_the_second_order():
    exact = math.pi * (2 / 3 + 0.37 - 0.37**3 / 3)
    error = [exact - signed_sizes(*stuffed(sphere(1.0), *box(0.37), edge)).sum() / 6 for edge in (0.3, 0.15)]
    assert 3 < error[0] / error[1] < 5
    assert 0 < error[1] < 0.006 * exact


def test_it_does_not_depend_on_the_box():
    low, high = box(0.37)
    points, cells = stuffed(sphere(1.0), low, high, 0.3)
    others, same = stuffed(sphere(1.0), low - 0.4, high + np.array([0.7, 0.1, 0.0]), 0.3)
    np.testing.assert_array_equal(np.sort(points[cells].ravel()), np.sort(others[same].ravel()))


def test_patches():
    two = lambda points: np.maximum(sphere(0.5, (-0.6, 0, 0))(points), sphere(0.5, (0.6, 0, 0))(points))   # noqa: E731
    points, cells = stuffed(two, *box(1.2), 0.15)
    outer = outer_faces(cells)
    part = patches(outer)
    assert part.max() == 1
    for k in (0, 1):
        assert len(set(np.sign(points[outer[part == k]][:, :, 0]).ravel())) == 1
