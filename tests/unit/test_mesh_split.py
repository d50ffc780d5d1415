"""Cells of other shapes into simplices: conforming, volume preserved."""

import math

import numpy as np
import pytest

from upstroke.mesh.check import signed_sizes
from upstroke.mesh.split import PARTS, split

# unit cells in meshio's node order, lowest corner first, and their volumes
CUBE = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
UNIT = {"pyramid": ([*CUBE[:4], [0.5, 0.5, 1]], 1 / 3), "wedge": ([CUBE[k] for k in (0, 1, 3, 4, 5, 7)], 1 / 2),
        "hexahedron": (CUBE, 1.0)}


def faces_of(tets):
    faces = np.concatenate([tets[:, keep] for keep in ([0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3])])
    return np.unique(np.sort(faces, axis=1), axis=0, return_counts=True)


@pytest.mark.parametrize("kind", UNIT)
def test_any_numbering_fills_the_cell(kind):
    corners, volume = np.array(UNIT[kind][0], float), UNIT[kind][1]
    rng = np.random.default_rng(0)
    for _ in range(200):
        numbers = rng.permutation(len(corners))
        points = np.empty_like(corners)
        points[numbers] = corners
        tets = split(kind, numbers[None, :])
        sizes = signed_sizes(points, tets)
        assert len(tets) == PARTS[kind]
        assert (sizes > 0).all(), "tetrahedra keep the orientation of the cell"
        assert math.isclose(sizes.sum() / 6, volume)


def test_quadrilateral():
    np.testing.assert_array_equal(split("quad", np.array([[5, 2, 7, 9]])), [[2, 7, 9], [2, 9, 5]])


def block(n, rng):
    """n^3 hexahedra with random node numbers and a warped shape."""
    at = np.stack(np.meshgrid(*[np.arange(n + 1.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    number = rng.permutation(len(at))
    points = np.empty_like(at)
    points[number] = at + rng.uniform(-0.1, 0.1, at.shape)
    index = number.reshape((n + 1,) * 3)
    i, j, k = (a.ravel() for a in np.meshgrid(*[np.arange(n)] * 3, indexing="ij"))
    cells = np.stack([index[i + c[0], j + c[1], k + c[2]] for c in np.array(CUBE)], axis=1)
    return points, cells


def test_hexahedra_are_split_conformingly():
    """On a 3 x 3 x 3 block every inner triangle is shared by exactly two tetrahedra, and the hull has 2 per square."""
    for seed in range(20):
        points, cells = block(3, np.random.default_rng(seed))
        tets = split("hexahedron", cells)
        shared = faces_of(tets)[1]
        assert set(shared) == {1, 2}
        assert (shared == 1).sum() == 6 * 9 * 2
        assert (signed_sizes(points, tets) > 0).all()


def test_mixed_shapes_agree_on_shared_faces():
    """A cube with a pyramid on top and a prism at its side, in random numbering."""
    corners = np.array([*CUBE, [0.5, 0.5, 2], [2, 0, 0], [2, 0, 1]], float)
    for seed in range(50):
        number = np.random.default_rng(seed).permutation(len(corners))
        points = np.empty_like(corners)
        points[number] = corners
        tets = np.concatenate([split("hexahedron", number[None, [0, 1, 2, 3, 4, 5, 6, 7]]),
                               split("pyramid", number[None, [4, 5, 6, 7, 8]]),
                               split("wedge", number[None, [1, 9, 2, 5, 10, 6]])])
        sizes = signed_sizes(points, tets)
        assert (sizes > 0).all()
        assert math.isclose(sizes.sum() / 6, 1 + 1 / 3 + 1 / 2)
        shared = faces_of(tets)[1]
        assert set(shared) == {1, 2}
        assert (shared == 1).sum() == 2 * 4 + 4 + 2 * 2 + 2      # hull: 4 squares, 4 + 2 squares' worth, 2 triangles
