"""What of a mesh can be seen from outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upstroke.mesh.mesh import Mesh


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
    ordered = np.sort(faces, axis=1).astype(np.int64)
    n = mesh.n_points
    key = (ordered[:, 0] * n + ordered[:, 1]) * n + ordered[:, 2]
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    outside = faces[first[count == 1]]
    opposite = mesh.cells.reshape(-1)[first[count == 1]]   # the vertex that the face leaves out
    a, b, c, inside = (mesh.points[nodes] for nodes in (*outside.T, opposite))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), inside - a) > 0
    outside[inward] = outside[inward][:, ::-1]
    return outside
