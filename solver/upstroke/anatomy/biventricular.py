"""Two ventricles made from numbers: ellipsoids, joined and cut by gmsh, with coordinates and fibres by rule."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.anatomy.rule import with_rule
from upstroke.case.schema import VentricleMesh
from upstroke.errors import MeshError
from upstroke.mesh.check import checked
from upstroke.mesh.ldrb import Angles
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.ventricle import LAYERS, layers_of

Floats = NDArray[np.float64]
ON = 1e-5       # of the size: how near to a surface nodes on it lie


@dataclass(frozen=True)
class Ellipsoid:
    """Semi-axes along x, y and z, and where its centre lies on x, cm."""

    axes: tuple[float, float, float]
    x: float = 0.0

    def level(self, points: Floats) -> Floats:
        """Below 1 inside, above 1 outside."""
        return np.sqrt((((points - [self.x, 0.0, 0.0]) / self.axes) ** 2).sum(axis=-1))


def build_biventricular(section: VentricleMesh) -> Mesh:
    """The left ventricle of a [mesh] table with a right one on its side of negative x, tetrahedra of edges near ``dx``.

    The right ventricle is an ellipsoid whose outer semi-axes are 1.3, 1.1 and 0.85 times those of the left one, shifted
    by half of its short one; its wall is half as thick. Node sets lv, rv, epi, base, apex; point data as of
    `with_rule`.

    Raises
    ------
    MeshError where gmsh is missing or cannot make the mesh
    """
    (a, c), (A, C) = section.endocardium, section.epicardium
    wall = ((A - a) + (C - c)) / 4
    lv, epi = Ellipsoid((a, a, c)), Ellipsoid((A, A, C))
    right = Ellipsoid((1.3 * A, 1.1 * A, 0.85 * C), -0.5 * A)
    rv = Ellipsoid((1.3 * A - wall, 1.1 * A - wall, 0.85 * C - wall), -0.5 * A)
    points, cells, faces = _meshed(lv, epi, rv, right, section.base, section.dx)
    corners = points[faces]
    on_base = (corners[:, :, 2] > section.base - ON * C).all(axis=1)
    on_lv, on_rv, on_epi = ((abs(body.level(corners) - 1) < ON).all(axis=1) for body in (lv, rv, epi))
    septum = on_epi & (right.level(corners.mean(axis=1)) < 1)
    role = np.select([on_base, on_lv, on_rv | septum], ["base", "lv", "rv"], "epi")
    sets = {name: np.unique(faces[role == name]) for name in ("lv", "rv", "epi", "base")}
    mesh = checked(Mesh(points, cells, np.zeros(len(cells), np.int32), node_sets=sets), "gmsh", "mesh.dx")
    mesh = with_rule(mesh, {"endo": "lv", **{name: name for name in ("rv", "epi", "base")}},
                     Angles(section.alpha, section.beta))
    region = layers_of(mesh.point_data["transmural"][mesh.cells].mean(axis=1), section)
    return replace(mesh, region=region, region_names=dict(LAYERS))


def _meshed(lv: Ellipsoid, epi: Ellipsoid, rv: Ellipsoid, right: Ellipsoid, base: float, dx: float
            ) -> tuple[Floats, NDArray[np.int32], NDArray[np.int64]]:
    """Points, tetrahedra, and triangles of the surface: (epi + right) - lv - (rv - epi), below the base."""
    try:
        import gmsh
    except (ImportError, OSError) as error:              # the wheel needs libraries of the system
        raise MeshError("upstroke mesh bv", f"needs gmsh, which cannot be loaded: {error}",
                        'pip install "upstroke[mesh]"; or take one ventricle: upstroke mesh lv') from None
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("General.NumThreads", 1)
        for key in ("Min", "Max"):
            gmsh.option.setNumber(f"Mesh.MeshSize{key}", dx)
        return _of_gmsh(gmsh, lv, epi, rv, right, base)
    except Exception as error:                            # gmsh raises nothing more particular
        raise MeshError("gmsh", f"cannot make this mesh: {error}", "take other dimensions, or another --h") from None
    finally:
        gmsh.finalize()


def _of_gmsh(gmsh: Any, lv: Ellipsoid, epi: Ellipsoid, rv: Ellipsoid, right: Ellipsoid, base: float
             ) -> tuple[Floats, NDArray[np.int32], NDArray[np.int64]]:
    occ = gmsh.model.occ
    size = 10 * max(*epi.axes, *right.axes)

    def solid(body: Ellipsoid) -> tuple[int, int]:
        tag = occ.addSphere(body.x, 0, 0, 1)
        occ.dilate([(3, tag)], body.x, 0, 0, *body.axes)
        return (3, tag)

    cavity, _ = occ.cut([solid(rv)], [solid(epi)])
    heart, _ = occ.fuse([solid(epi)], [solid(right)])
    heart, _ = occ.cut(heart, [solid(lv), *cavity])
    above = occ.addBox(-size, -size, base, 2 * size, 2 * size, size)
    occ.cut(heart, [(3, above)])
    occ.synchronize()
    gmsh.model.mesh.generate(3)
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    number = np.zeros(int(tags.max()) + 1, np.int64)
    number[tags] = np.arange(len(tags))
    tetrahedra, triangles = (gmsh.model.mesh.getElementsByType(kind)[1] for kind in (4, 2))
    if not len(tetrahedra) or not math.isfinite(float(coordinates.sum())):
        raise RuntimeError("it has no tetrahedra")
    return (coordinates.reshape(-1, 3), number[tetrahedra].reshape(-1, 4).astype(np.int32),
            number[triangles].reshape(-1, 3))
