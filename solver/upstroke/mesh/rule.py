"""Coordinates and fibres of ventricles of any shape, from Laplace's equation between their surfaces.

J. D. Bayer, R. C. Blake, G. Plank, N. A. Trayanova, Ann. Biomed. Eng. 40, 2243-2254 (2012), doi
10.1007/s10439-012-0593-5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import MeshError
from upstroke.mesh.fibres import with_directions
from upstroke.mesh.laplace import laplace
from upstroke.mesh.ldrb import Angles, cell_gradients, one_ventricle, two_ventricles
from upstroke.mesh.locate import nodes_of_set
from upstroke.mesh.mesh import Mesh

Floats = NDArray[np.float64]
FLAT = 1e-6     # of the median: gradients below this are none
ROLES = ("endo", "rv", "epi", "base", "apex")


def with_rule(mesh: Mesh, surfaces: Mapping[str, str], angles: Angles) -> Mesh:
    """The mesh with fibres and sheets by rule, and point data ``transmural`` and ``apicobasal``.

    ``transmural`` solves Laplace's equation between the endocardia (0) and the epicardium (1), ``apicobasal`` between
    the apex (0) and the base (1). With two ventricles also ``septal``, from the left endocardium (0) to the right (1).

    Parameters
    ----------
    mesh : of tetrahedra
    surfaces : node set of each of ROLES: endo (of the left ventricle), epi, base; rv, the right ventricle's endocardium
        with its side of the septum, where there is one; apex, by default the node of epi that is farthest from base

    Raises
    ------
    MeshError for a mesh of other cells, for surfaces that are missing or not in the mesh
    """
    if mesh.dim != 3 or mesh.shape != "simplex":
        raise MeshError("mesh", f"fibres are laid through walls; this mesh is made of {mesh.cell_name}",
                        "give a mesh of tetrahedra")
    for role in ("endo", "epi", "base"):
        if role not in surfaces:
            raise MeshError(role, "is not given", "name the node set of this surface; the mesh has "
                            + (", ".join(mesh.node_sets) or "none"))
    nodes = {role: nodes_of_set(mesh, name, role) for role, name in surfaces.items()}
    apex = nodes.get("apex", _farthest(mesh, nodes["epi"], nodes["base"]))
    walls = [role for role in ("epi", "endo", "rv") if role in nodes]
    up, depth, *sides = laplace(mesh, [(apex, 0.0), (nodes["base"], 1.0)], *(
        [(nodes[role], 1.0), *((nodes[other], 0.0) for other in walls if other != role)]
        for role in (walls if "rv" in walls else walls[:1])))
    data = {"transmural": depth, "apicobasal": up}
    slope = {name: _slopes(mesh, values) for name, values in data.items()}
    middle = depth[mesh.cells].mean(axis=1)
    if "rv" in nodes:
        left, right = sides
        fibre, sheet = two_ventricles(
            slope["apicobasal"], (_slopes(mesh, left), _slopes(mesh, right), slope["transmural"]),
            (left[mesh.cells].mean(axis=1), right[mesh.cells].mean(axis=1), middle), angles)
        data["septal"] = np.clip(right / np.maximum(left + right, 1e-12), 0.0, 1.0)
    else:
        fibre, sheet = one_ventricle(slope["apicobasal"], slope["transmural"], middle, angles)
    plain = replace(mesh, fibre=None, sheet=None, point_data={**mesh.point_data, **data},
                    node_sets={**mesh.node_sets, "apex": apex})
    return with_directions(plain, fibre, sheet)


def _slopes(mesh: Mesh, values: Floats) -> Floats:
    """(m, 3) gradients in the cells; where all corners lie on one surface, so that there is none, that of the cells
    around."""
    own = cell_gradients(mesh.points, mesh.cells, values)
    length = np.linalg.norm(own, axis=1)
    flat = length < FLAT * np.median(length)
    if not flat.any():
        return own
    around = np.zeros((mesh.n_points, 3))
    for corner in mesh.cells.T:
        np.add.at(around, corner, own)
    own[flat] = around[mesh.cells[flat]].sum(axis=1)
    return own


def _farthest(mesh: Mesh, nodes: NDArray[np.int64], base: NDArray[np.int64]) -> NDArray[np.int64]:
    """The one of some nodes that is farthest from the middle of the base."""
    distance = np.linalg.norm(mesh.points[nodes] - mesh.points[base].mean(axis=0), axis=1)
    return nodes[[int(np.argmax(distance))]]
