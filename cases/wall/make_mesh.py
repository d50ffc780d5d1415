"""Make wall.msh: python cases/wall/make_mesh.py [FOLDER]

gmsh 2.2, mm: a cross-section of a piece of a ventricle's wall, 60 degrees of a ring with radii 20 and 30 mm, triangles.
Physical groups: "endo", "mid" and "epi", layers of 3, 4 and 3 mm from the inside out.
"""

import sys
from pathlib import Path

import meshio
import numpy as np

INNER, OUTER, ANGLE, EDGE = 20.0, 30.0, np.radians(60), 1 / 3      # mm
LAYERS = (23.0, 27.0)                                             # radii between them


def wall(folder: Path) -> None:
    nr = round((OUTER - INNER) / EDGE)
    na = 2 * round((INNER + OUTER) / 2 * ANGLE / EDGE / 2)
    r, angle = (g.ravel() for g in np.meshgrid(np.linspace(INNER, OUTER, nr + 1),
                                               np.linspace(0.5, -0.5, na + 1) * ANGLE, indexing="ij"))
    number = np.arange(len(r)).reshape(nr + 1, na + 1)
    a, b, c, d = (s.ravel() for s in (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]))
    left = angle[a] + angle[b] > 0                                # diagonals mirrored about the middle
    cells = np.concatenate([np.where(left, [a, b, d], [a, b, c]).T, np.where(left, [b, c, d], [a, c, d]).T])
    tags = 1 + np.searchsorted(LAYERS, r[cells].mean(axis=1))
    points = np.stack([r * np.sin(-angle), r * np.cos(angle), 0 * r], axis=1)
    names = {"endo": np.array([1, 2]), "mid": np.array([2, 2]), "epi": np.array([3, 2])}
    mesh = meshio.Mesh(points, [("triangle", cells)], cell_data={"gmsh:physical": [tags], "gmsh:geometrical": [tags]},
                       field_data=names)
    meshio.write(folder / "wall.msh", mesh, file_format="gmsh22", binary=False, float_fmt=".9g")


if __name__ == "__main__":
    wall(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
