"""What of a mesh can be seen from outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upstroke.mesh.mesh import Mesh
from upstroke.output.fields import MM_PER_CM
from upstroke.output.raster import Scene

LARGE = 2_000_000   # nodes; the cube of more does not fit into 64 bits


def surface_of(mesh: Mesh) -> NDArray[np.int32]:
    """(k, 3) node numbers of the triangles that bound a solid, seen counter-clockwise from outside.

    A face belongs to the boundary when one cell only has it. Meshes of triangles are their own surface. Squares are
    halved.
    """
    if mesh.dim == 1:
        raise ValueError("a mesh of segments has no surface")
    if mesh.grid is not None:
        return _halves(mesh.cells if mesh.dim == 2 else _outer_squares(mesh))
    return mesh.cells if mesh.dim == 2 else _outer_triangles(mesh)


def neuron_of(mesh: Mesh) -> Scene:
    """The rods of the mesh of a neuron."""
    assert mesh.tree is not None
    node = mesh.cells[:, 1]
    radius = 0.5 * MM_PER_CM * mesh.tree.diameter[node]
    return rods_of(mesh.points * MM_PER_CM, mesh.cells, mesh.tree.section[node], radius)


def rods_of(points: NDArray[np.float64], cells: NDArray[np.int32], section: NDArray[np.integer],
            radius: NDArray[np.float64]) -> Scene:
    """Segments as thick as the cell is there: cones within a section, cylinders where one hangs on another.

    Arguments
    ---------
    points : (n, 3) mm
    cells : (m, 2) a node and the next one away from the root
    section, radius : (m,) of the node that each segment leads to; mm
    """
    above = np.full(len(points), -1)
    above[cells[:, 1]] = np.arange(len(cells))
    up = above[cells[:, 0]]                                       # the segment that leads to where this one starts
    goes_on = (up >= 0) & (section[up] == section)
    return Scene.of_rods(points, cells, np.column_stack([np.where(goes_on, radius[up], radius), radius]))


def _halves(squares: NDArray[np.int32]) -> NDArray[np.int32]:
    """(2 k, 3): each square, its corners in the order of a grid, cut along the diagonal from its first to its last."""
    return squares[:, [[0, 1, 3], [0, 3, 2]]].reshape(-1, 3)


def _outer_squares(mesh: Mesh) -> NDArray[np.int32]:
    """(k, 4): the squares of one cube only, corners in the order of a grid that is seen from outside.

    A cube's neighbour on the far side along an axis is the cube whose first corner is this one's second along that
    axis. So two flags per node tell whether there is one, and nothing has to be sorted.
    """
    cells, found = mesh.cells, []
    for near, far, rest in ((0, 1, (0, 2, 4, 6)), (0, 2, (0, 4, 1, 5)), (0, 4, (0, 1, 2, 3))):
        has_cube, has_cube_before = np.zeros(mesh.n_points, bool), np.zeros(mesh.n_points, bool)
        has_cube[cells[:, near]] = True
        has_cube_before[cells[:, far]] = True
        low = np.array(rest)
        found.append(cells[~has_cube_before[cells[:, near]]][:, low[[0, 2, 1, 3]]])    # seen from the other side
        found.append(cells[~has_cube[cells[:, far]]][:, low + far])
    return np.concatenate(found)


def _outer_triangles(mesh: Mesh) -> NDArray[np.int32]:
    """(k, 3): the faces of one tetrahedron only."""
    # The faces opposite to each vertex of a positively oriented tetrahedron, outwards.
    faces = mesh.cells[:, [[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]]].reshape(-1, 3)
    _, first, count = np.unique(_names(faces, mesh.n_points), return_index=True, return_counts=True)
    outside = faces[first[count == 1]]
    opposite = mesh.cells.reshape(-1)[first[count == 1]]   # the vertex that the face leaves out
    a, b, c, inside = (mesh.points[nodes] for nodes in (*outside.T, opposite))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), inside - a) > 0
    outside[inward] = outside[inward][:, ::-1]
    return outside


def _names(faces: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """(k,) a number for each triangle of nodes 0 ... n - 1 that depends on its nodes, not on their order."""
    low, high = faces.min(axis=1), faces.max(axis=1)
    middle = faces.sum(axis=1, dtype=np.int64) - low - high
    pair = low.astype(np.int64) * n + middle
    if n > LARGE:
        pair = np.unique(pair, return_inverse=True)[1].astype(np.int64)
    return pair * n + high
