"""Two ventricles filled by gmsh, whose cells end at the creases between both, instead of by stuffing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import BiventricleMesh
from upstroke.errors import MeshError
from upstroke.mesh.biventricle import Ellipsoid, Heart, heart_mesh, heart_of
from upstroke.mesh.mesh import Mesh


def build_by_gmsh(section: BiventricleMesh) -> Mesh:
    """The mesh of `mesh.biventricle`, with the tetrahedra of gmsh.

    Raises
    ------
    MeshError where gmsh is missing or cannot make the mesh
    """
    heart = heart_of(section)
    return heart_mesh(section, heart, [(section.dx, *_meshed(heart, section.dx))])


def _meshed(heart: Heart, dx: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        import gmsh
    except (ImportError, OSError) as error:              # the wheel needs libraries of the system
        raise MeshError("upstroke mesh --with gmsh", f"gmsh cannot be loaded: {error}",
                        'pip install "upstroke[mesh]"; or leave --with out') from None
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("General.NumThreads", 1)
        for key in ("Min", "Max"):
            gmsh.option.setNumber(f"Mesh.MeshSize{key}", dx)
        return _of_gmsh(gmsh, heart)
    except Exception as error:                            # gmsh raises nothing more particular
        raise MeshError("gmsh", f"cannot make this mesh: {error}", "take other dimensions, or another --h") from None
    finally:
        gmsh.finalize()


def _of_gmsh(gmsh: Any, heart: Heart) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    occ = gmsh.model.occ
    size = 10 * max(*heart.epi.axes, *heart.right.axes)

    def solid(body: Ellipsoid) -> tuple[int, int]:
        tag = occ.addSphere(body.x, 0, 0, 1)
        occ.dilate([(3, tag)], body.x, 0, 0, *body.axes)
        return (3, tag)

    cavity, _ = occ.cut([solid(heart.rv)], [solid(heart.epi)])
    both, _ = occ.fuse([solid(heart.epi)], [solid(heart.right)])
    both, _ = occ.cut(both, [solid(heart.lv), *cavity])
    above = occ.addBox(-size, -size, heart.base, 2 * size, 2 * size, size)
    occ.cut(both, [(3, above)])
    occ.synchronize()
    gmsh.model.mesh.generate(3)
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    number = np.zeros(int(tags.max()) + 1, np.int64)
    number[tags] = np.arange(len(tags))
    tetrahedra = gmsh.model.mesh.getElementsByType(4)[1]
    if not len(tetrahedra) or not math.isfinite(float(coordinates.sum())):
        raise RuntimeError("it has no tetrahedra")
    return coordinates.reshape(-1, 3), number[tetrahedra].reshape(-1, 4)
