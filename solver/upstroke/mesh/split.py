"""Quadrilaterals, pyramids, prisms and hexahedra into triangles and tetrahedra, conformingly.

A quadrilateral face is cut along the diagonal through its smallest node number, so that both cells that share a face
cut it alike (J. Dompierre, P. Labbe, M.-G. Vallet, R. Camarero, "How to subdivide pyramids, prisms, and hexahedra into
tetrahedra", 8th International Meshing Roundtable, 1999). A cell is the cone from its own smallest node over the
faces that do not touch it; the faces that do touch it have their diagonal at that node anyway. No node is added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# faces seen from outside, counter-clockwise (for quadrilaterals: the edges), in meshio's node order
FACES: dict[str, tuple[tuple[int, ...], ...]] = {
    "quad": ((0, 1), (1, 2), (2, 3), (3, 0)),
    "pyramid": ((0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)),
    "wedge": ((0, 2, 1), (3, 4, 5), (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5)),
    "hexahedron": ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)),
}
PARTS = {"quad": 2, "pyramid": 2, "wedge": 3, "hexahedron": 6}


def split(kind: str, cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The simplices (k * PARTS[kind], d + 1) of the cells (k, nodes), those of one cell one after another."""
    parts = PARTS[kind]
    simplices = np.empty((len(cells), parts, 3 if kind == "quad" else 4), cells.dtype)
    smallest = cells.argmin(axis=1)
    for apex in range(cells.shape[1]):
        rows = np.flatnonzero(smallest == apex)
        simplices[rows, :, 0] = cells[rows, apex, None]
        part = 0
        for face in FACES[kind]:
            if apex in face:
                continue
            nodes = cells[rows][:, face]
            for triangle in _triangles(nodes):
                simplices[rows, part, 1:] = triangle
                part += 1
    return simplices.reshape(-1, simplices.shape[-1])


def _triangles(face: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The face itself, or the two triangles of a quadrilateral."""
    if face.shape[1] < 4:
        return [face]
    turn = (face.argmin(axis=1)[:, None] + np.arange(4)) % 4
    q = np.take_along_axis(face, turn, axis=1)
    return [q[:, [0, 1, 2]], q[:, [0, 2, 3]]]
