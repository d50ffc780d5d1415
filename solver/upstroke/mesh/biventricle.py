"""Two ventricles made from numbers: truncated ellipsoids, filled with tetrahedra, with coordinates and fibres by rule.

The left one is that of `mesh.ventricle`. The right one is an ellipsoid of three axes less a smaller one, as far as they
lie outside of the left one: its septum is the left ventricle's wall. Such pairs of truncated ellipsoids are the usual
idealised heart (for example J. D. Bayer et al. (2012), doi 10.1007/s10439-012-0593-5, and the meshes of
cardiac-geometries, H. Finsberg, whose right ventricle is defined alike).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import BiventricleMesh
from upstroke.errors import MeshError
from upstroke.mesh.build import LARGEST
from upstroke.mesh.check import checked
from upstroke.mesh.ldrb import Angles
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.rule import with_rule
from upstroke.mesh.stuffing import stuffed
from upstroke.mesh.topology import outer_faces, patches
from upstroke.mesh.ventricle import LAYERS, layers_of

Floats = NDArray[np.float64]
ON = 1e-5               # of the size: how near to the base's plane nodes on it lie
CELLS_THROUGH = 1.6     # through the thinnest wall, at least: with fewer, walls get holes, and now and then with these
FINER = (1.0, 0.9, 0.8, 0.7, 0.6)     # edges that are then tried
SHORTER = 4             # than dx edges are made for thin walls, at most this many times


@dataclass(frozen=True)
class Ellipsoid:
    """Semi-axes along x, y and z, and where its centre lies on x, cm."""

    axes: tuple[float, float, float]
    x: float = 0.0

    def level(self, points: Floats) -> Floats:
        """Below 1 inside, above 1 outside."""
        return np.sqrt((((points - [self.x, 0.0, 0.0]) / self.axes) ** 2).sum(axis=-1))


@dataclass(frozen=True)
class Heart:
    """(epi + right) - lv - (rv - epi), below the base."""

    lv: Ellipsoid
    epi: Ellipsoid
    rv: Ellipsoid
    right: Ellipsoid
    base: float
    thinnest: float         # wall, cm

    def inside(self, points: Floats) -> Floats:
        """(n,) above 0 in the walls, 0 on their surface, whatever the base."""
        lv, epi, rv, right = (body.level(points) - 1 for body in (self.lv, self.epi, self.rv, self.right))
        return np.minimum(np.minimum(lv, -np.minimum(epi, right)), np.maximum(rv, -epi))

    def box(self) -> tuple[Floats, Floats]:
        """Its lowest and highest corner, cm."""
        ends = [(np.array([body.x, 0.0, 0.0]), np.array(body.axes)) for body in (self.epi, self.right)]
        high = np.max([centre + axes for centre, axes in ends], axis=0)
        return np.min([centre - axes for centre, axes in ends], axis=0), np.array([*high[:2], self.base])


def build_biventricle(section: BiventricleMesh) -> Mesh:
    """The mesh, of tetrahedra by isosurface stuffing. Node sets lv, rv, epi, base, apex; point data as of `with_rule`.

    Raises
    ------
    MeshError for dimensions that make no heart, and for a resolution that makes too many nodes
    """
    heart = heart_of(section)
    edge = min(section.dx, heart.thinnest / CELLS_THROUGH)
    if edge * SHORTER < section.dx:
        raise MeshError("mesh.dx", f"edges of {10 * section.dx:.3g} mm are too long for walls of "
                        f"{10 * heart.thinnest:.3g} mm", f'take dx = "{10 * edge:.2g} mm", or thicker walls')
    low, high = heart.box()
    if (nodes := 2 * float(np.prod(high - low)) / edge ** 3) > LARGEST:
        raise MeshError("mesh.dx", f"this resolution makes about {nodes:.1e} nodes, more than the {LARGEST:,} that a "
                        "mesh can number", "use a larger dx, or check its unit")
    return heart_mesh(section, heart, ((finer * edge, *stuffed(heart.inside, low, high, finer * edge))
                                       for finer in FINER))


def heart_of(section: BiventricleMesh) -> Heart:
    """The surfaces.

    Raises
    ------
    MeshError for a right ventricle without a wall, a cavity or a base
    """
    (a, c), (A, C) = section.endocardium, section.epicardium
    wall = ((A - a) + (C - c)) / 4 if section.right_wall is None else section.right_wall
    axes = (1.3 * A, 1.1 * A, 0.85 * C) if section.right is None else section.right
    x = -0.5 * A if section.right_centre is None else section.right_centre
    if wall >= min(axes):
        raise MeshError("mesh.right_wall", f"the right ventricle's wall of {10 * wall:.3g} mm leaves no room in an "
                        f"ellipsoid whose shortest semi-axis is {10 * min(axes):.3g} mm", "take a thinner wall, or a "
                        "larger mesh.right")
    inner = (axes[0] - wall, axes[1] - wall, axes[2] - wall)
    if inner[0] - x <= A:
        raise MeshError("mesh.right", "the right ventricle's cavity lies within the left ventricle", "take a longer "
                        "first semi-axis, or mesh.right_centre farther away")
    if axes[0] + x <= -A:
        raise MeshError("mesh.right_centre", "the right ventricle does not reach the left one", "take it nearer to 0 "
                        f"than {10 * (A + axes[0]):.3g} mm, or a longer first semi-axis in mesh.right")
    if axes[0] + x >= A:
        raise MeshError("mesh.right", "the right ventricle goes around the left one", "take a shorter first semi-axis, "
                        "or mesh.right_centre farther away")
    if abs(section.base) >= inner[2]:
        raise MeshError("mesh.base", "the plane of the base does not cut the right ventricle's cavity", "take it "
                        f"nearer to the centre than the inner long semi-axis, {10 * inner[2]:.3g} mm")
    return Heart(Ellipsoid((a, a, c)), Ellipsoid((A, A, C)), Ellipsoid(inner, x), Ellipsoid(axes, x), section.base,
                 min(wall, A - a, C - c))


def heart_mesh(section: BiventricleMesh, heart: Heart,
               tries: Iterable[tuple[float, Floats, NDArray[np.int64]]]) -> Mesh:
    """The mesh of the first of some edges, points and tetrahedra whose walls have no holes: surfaces, coordinates,
    fibres and layers.

    Without the base the surface then has three parts: the one on the left endocardium, the largest, epi, and rv.

    Raises
    ------
    MeshError where walls of all have holes
    """
    for edge, points, cells in tries:
        sides, base = _sides(heart, points, cells)
        if len(sides) == 3:
            notes = () if edge == section.dx else (
                f"edges are {10 * edge:.3g} mm long, not {10 * section.dx:.3g} mm: walls are as thin as "
                f"{10 * heart.thinnest:.3g} mm",)
            break
    else:
        raise MeshError("mesh.dx", f"the surface of the two ventricles has {len(sides)} parts below the base, not 3: "
                        "cells are too large for the walls", "take a smaller dx, or thicker walls")
    lv = min(range(3), key=lambda k: float(abs(heart.lv.level(points[sides[k]]) - 1).mean()))
    epi = max(range(3), key=lambda k: float(np.ptp(points[sides[k]], axis=0).prod()))
    sets = {"lv": sides[lv], "rv": sides[3 - lv - epi], "epi": sides[epi], "base": base}
    mesh = checked(Mesh(points, cells.astype(np.int32), np.zeros(len(cells), np.int32), node_sets=sets, notes=notes),
                   "two ventricles", "mesh.dx")
    mesh = with_rule(mesh, {"endo": "lv", **{name: name for name in ("rv", "epi", "base")}},
                     Angles(section.alpha, section.beta))
    region = layers_of(mesh.point_data["transmural"][mesh.cells].mean(axis=1), section)
    return replace(mesh, region=region, region_names={name: tag for name, tag in LAYERS.items()
                                                      if (region == tag).any()})


def _sides(heart: Heart, points: Floats, cells: NDArray[np.int64]) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Nodes of each connected part of the surface below the base, and those of the base."""
    faces = outer_faces(cells)
    on_base = (points[faces][:, :, 2] > heart.base - ON * heart.epi.axes[2]).all(axis=1)
    walls = faces[~on_base]
    part = patches(walls)
    return [np.unique(walls[part == k]) for k in range(part.max() + 1)], np.unique(faces[on_base])
