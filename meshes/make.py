"""Make the example meshes of this folder: python meshes/make.py [FOLDER]

wedge.pts .elem .lon, wedge_endo.vtx
    carp text, um: a block of the left ventricle's wall, 8 x 8 x 9 mm, hexahedra; the fibre turns from +60 degrees
    at the endocardium (z = 0) to -60 degrees at the epicardium; regions 1 endo, 2 mid, 3 epi.
patch.msh
    gmsh 2.2, mm: a 12 x 8 mm sheet of triangles with a round scar; physical groups "tissue", "scar" and the
    line "stimulus" at the left edge.
ring.vtu
    VTK, mm: a closed cable of 60 segments, 40 mm around, with the point data of its angle.
lv.vtu, lv_endo.vtx, lv_epi.vtx, lv_base.vtx, lv_apex.vtx
    VTK, mm: a left ventricle of 2 mm cells, three through the wall, with fibres and sheets by rule, regions 1 endo,
    2 M, 3 epi, and the point data transmural, apicobasal and rotational. `upstroke mesh lv --h "0.8 mm" -o FILE` makes
    more.
"""

import sys
from pathlib import Path

import meshio
import numpy as np

from upstroke.anatomy import make_mesh, write_mesh
from upstroke.mesh.carp import write_vtx


def wedge(folder: Path) -> None:
    n, size = (4, 4, 6), (8000.0, 8000.0, 9000.0)
    x, y, z = (np.linspace(0, length, k + 1) for length, k in zip(size, n, strict=True))
    points = np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1).reshape(-1, 3)[:, ::-1]
    number = np.arange(len(points)).reshape(n[2] + 1, n[1] + 1, n[0] + 1)
    k, j, i = (a.ravel() for a in np.indices(n[::-1]))
    corners = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    cells = np.stack([number[k + c, j + b, i + a] for a, b, c in corners], axis=1)
    depth = points[cells].mean(axis=1)[:, 2] / size[2]
    angle = np.radians(60 - 120 * depth)
    fibre = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1).round(6)
    region = 1 + (depth > 1 / 3) + (depth > 2 / 3)
    meshio.write(folder / "wedge.pts", meshio.Mesh(points, [("hexahedron", cells)],
                                                   cell_data={"region": [region], "fibre": [fibre]}))
    write_vtx(folder / "wedge_endo.vtx", number[0].ravel())


def patch(folder: Path) -> None:
    nx, ny = 12, 8
    y, x = (a.ravel() for a in np.mgrid[0:ny + 1, 0:nx + 1].astype(float))
    number = np.arange(len(x)).reshape(ny + 1, nx + 1)
    a, b, c, d = (s.ravel() for s in (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]))
    cells = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    centre = np.stack([x, y], axis=1)[cells].mean(axis=1)
    scar = np.hypot(centre[:, 0] - 7, centre[:, 1] - 4) < 2
    edge = np.stack([number[:-1, 0], number[1:, 0]], axis=1)
    tags = [1 + scar.astype(int), np.full(len(edge), 3)]
    mesh = meshio.Mesh(np.stack([x, y, 0 * x], axis=1), [("triangle", cells), ("line", edge)],
                       cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
                       field_data={"tissue": np.array([1, 2]), "scar": np.array([2, 2]), "stimulus": np.array([3, 1])})
    meshio.write(folder / "patch.msh", mesh, file_format="gmsh22", binary=False, float_fmt=".9g")


def ring(folder: Path) -> None:
    n, around = 60, 40.0
    angle = 2 * np.pi * np.arange(n) / n
    radius = around / (2 * n * np.sin(np.pi / n))
    points = radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    cells = np.stack([np.arange(n), np.roll(np.arange(n), -1)], axis=1)
    meshio.write(folder / "ring.vtu", meshio.Mesh(points.round(9), [("line", cells)], point_data={"angle": angle}))


def lv(folder: Path) -> None:
    write_mesh(make_mesh("lv", ['dx="2 mm"', "cells_through=3"], {}), folder / "lv.vtu")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for make in (wedge, patch, ring, lv):
        make(target)
