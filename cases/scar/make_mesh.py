"""Make sheet.msh: python cases/scar/make_mesh.py [FOLDER]

gmsh 2.2, mm: a 30 x 20 mm sheet of triangles with a scar that stands across the way of the wave. Physical groups: the
surfaces "tissue" and "scar", and the line "left", the edge at x = 0.
"""

import sys
from pathlib import Path

import meshio
import numpy as np

SIZE, EDGE = (30.0, 20.0), 0.5      # mm


def in_scar(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A bean: a ring of radius 5 mm around (19, 11), open to the right, 3 mm thick."""
    radius, angle = np.hypot(x - 19, y - 11), np.arctan2(y - 11, x - 19)
    return (np.abs(radius - 5) < 1.5) & (np.abs(angle) > 0.9)


def sheet(folder: Path) -> None:
    nx, ny = (round(length / EDGE) for length in SIZE)
    y, x = (EDGE * a.ravel() for a in np.mgrid[0:ny + 1, 0:nx + 1].astype(float))
    number = np.arange(len(x)).reshape(ny + 1, nx + 1)
    a, b, c, d = (s.ravel() for s in (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]))
    cells = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    centre = np.stack([x, y])[:, cells].mean(axis=2)
    left = np.stack([number[:-1, 0], number[1:, 0]], axis=1)
    tags = [1 + in_scar(*centre).astype(int), np.full(len(left), 3)]
    names = {"tissue": np.array([1, 2]), "scar": np.array([2, 2]), "left": np.array([3, 1])}
    mesh = meshio.Mesh(np.stack([x, y, 0 * x], axis=1), [("triangle", cells), ("line", left)],
                       cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags}, field_data=names)
    meshio.write(folder / "sheet.msh", mesh, file_format="gmsh22", binary=False, float_fmt=".9g")


if __name__ == "__main__":
    sheet(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
