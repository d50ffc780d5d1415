"""What of a mesh can be seen from outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upstroke.mesh.mesh import Mesh

LARGE = 2_000_000   # nodes; the cube of more does not fit into 64 bits


def surface_of(mesh: Mesh) -> NDArray[np.int32]:
    """(k, 3) node numbers of the boundary triangles of tetrahedra, seen counter-clockwise from outside.

    A face belongs to the boundary when one tetrahedron only has it. Triangle meshes are their own surface.
    """
    if mesh.dim == 2:
        return mesh.cells
    if mesh.dim != 3:
        raise ValueError("a mesh of segments has no surface")
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
