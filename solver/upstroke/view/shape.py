"""What is drawn of a mesh: its surface, cut open where asked for, or the rods of its cables; coarser where it must be.

Corners of what is drawn lie on edges of the mesh, (1 - w) of the first node and w of the second, so that what is cut is
drawn with the values that linear elements have there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import OptionError, UnitError
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.strands import Strands
from upstroke.output.fields import MM_PER_CM, UM_PER_CM
from upstroke.output.raster import Scene
from upstroke.output.surface import rods_of, surface_of
from upstroke.units import parse
from upstroke.view.recording import Recording

MM_PER_UM = MM_PER_CM / UM_PER_CM
THIN = 0.004            # radius of cables whose diameter is not known, of the size of what is drawn
GLYPHS = 900           # fibres that are drawn, about
_CUT = re.compile(r"\s*([xyz])\s*(<=?|>=?)\s*(.+)")
EXAMPLE = "for example --clip 'x < 10 mm'"


@dataclass(frozen=True)
class Half:
    """The half space that is kept: sign (x_axis - place) <= 0, in cm."""

    axis: int
    sign: float
    place: float

    @classmethod
    def read(cls, text: str) -> Half:
        """From ``x < 10 mm``. OptionError for what is none."""
        match = _CUT.fullmatch(text)
        if not match:
            raise OptionError("--clip", f"cannot read {text!r}", EXAMPLE)
        try:
            place = parse(match[3], "length")
        except UnitError as error:
            raise OptionError("--clip", error.what, EXAMPLE) from None
        return cls("xyz".index(match[1]), 1.0 if match[2][0] == "<" else -1.0, float(place))

    def beyond(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) cm that points lie beyond the cut."""
        return np.asarray(self.sign * (points[:, self.axis] - self.place))


@dataclass(frozen=True, eq=False)
class Shape:
    """What is drawn.

    Attributes
    ----------
    scene : corners in mm, triangles, rods
    first, second, weight : (k,) nodes of the mesh around each corner, and how much of the second
    notes : what the user should know of it
    """

    scene: Scene
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    weight: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def nodes(self) -> NDArray[np.int64]:
        """The nodes of the mesh that take part, in order."""
        return np.unique(np.concatenate([self.first, self.second]))

    def at(self, values: NDArray[np.floating], nodes: NDArray[np.int64]) -> NDArray[np.float64]:
        """(k,) values at the corners from those at ``nodes``."""
        a, b = values[np.searchsorted(nodes, self.first)], values[np.searchsorted(nodes, self.second)]
        return np.where(self.weight == 0.0, a, (1.0 - self.weight) * a + self.weight * b).astype(np.float64)


def shape_of(recording: Recording, clip: Half | None = None, most: int = 60_000) -> Shape:
    """What is drawn of a recording.

    Arguments
    ---------
    clip : what is kept of it; solids are closed where they are cut
    most : triangles; where there are more, corners near each other become one, and a note says so

    Raises
    ------
    OptionError : nothing is left of it
    """
    mesh = recording.mesh
    shape = _rods(mesh, recording) if mesh.dim == 1 else _surface(mesh, clip)
    if mesh.dim == 1 and clip is not None:
        keep = (clip.beyond(mesh.points)[shape.scene.rods] <= 0.0).all(axis=1)
        scene = Scene.of_rods(shape.scene.points, shape.scene.rods[keep], shape.scene.radius[keep])
        shape = replace(shape, scene=scene)
    if not len(shape.scene.triangles) and not len(shape.scene.rods):
        low, high = MM_PER_CM * mesh.points.min(axis=0), MM_PER_CM * mesh.points.max(axis=0)
        reach = ", ".join(f"{'xyz'[k]} {low[k]:.4g} to {high[k]:.4g} mm" for k in range(3))
        raise OptionError("--clip", "nothing is left of the mesh", f"it reaches over {reach}")
    return _coarser(_used(shape), most)


# -------------------------------------------------------------------------------------------------- neurons and cables
def _rods(mesh: Mesh, recording: Recording) -> Shape:
    """The rods of a neuron, or of cables whose diameter is not known."""
    points, data = mesh.points * MM_PER_CM, recording.data
    if "diameter_um" in data:
        scene = rods_of(points, mesh.cells, data["section"], 0.5 * MM_PER_UM * data["diameter_um"])
    else:
        radius = np.full((mesh.n_cells, 2), THIN * np.ptp(points, axis=0).max())
        scene = Scene.of_rods(points, mesh.cells, radius)
    everyone = np.arange(mesh.n_points)
    return Shape(scene, everyone, everyone, np.zeros(mesh.n_points))


# -------------------------------------------------------------------------------------------------------------- tissue
def _surface(mesh: Mesh, clip: Half | None) -> Shape:
    """The surface, or what a cut leaves of it with the cut itself."""
    everyone = np.arange(mesh.n_points)
    triangles, first, second, weight = surface_of(mesh), everyone, everyone, np.zeros(mesh.n_points)
    points = mesh.points * MM_PER_CM
    if clip is not None:
        beyond = clip.beyond(mesh.points)
        parts = [_clipped(triangles, beyond)]
        if mesh.dim == 3:
            parts.append(_cross_section(_simplices(mesh, beyond), beyond))
        triangles, first, second, weight = _joined(np.concatenate(parts), beyond)
        points = (1.0 - weight)[:, None] * points[first] + weight[:, None] * points[second]
    shape = Shape(Scene.of_triangles(points, triangles.astype(np.int32)), first, second, weight)
    return shape if mesh.purkinje is None else _with_strands(shape, mesh, mesh.purkinje, clip)


def _with_strands(shape: Shape, mesh: Mesh, strands: Strands, clip: Half | None) -> Shape:
    """With the rods of Purkinje strands, of which a cut leaves whole pieces."""
    lines, radius = strands.lines, np.repeat(0.5 * MM_PER_CM * strands.diameter[:, None], 2, axis=1)
    if clip is not None:
        keep = (clip.beyond(mesh.points)[lines] <= 0.0).all(axis=1)
        lines, radius = lines[keep], radius[keep]
    rods, n = Scene.of_rods(mesh.points * MM_PER_CM, lines, radius), len(shape.first)
    scene = Scene(np.concatenate([shape.scene.points, rods.points]), shape.scene.triangles, rods.rods + np.int32(n),
                  rods.radius, rods.cap)
    everyone = np.arange(mesh.n_points)
    return replace(shape, scene=scene, first=np.concatenate([shape.first, everyone]),
                   second=np.concatenate([shape.second, everyone]),
                   weight=np.concatenate([shape.weight, np.zeros(mesh.n_points)]))


def _clipped(triangles: NDArray[np.int32], beyond: NDArray[np.float64]) -> NDArray[np.int64]:
    """(t, 3, 2) what is left of triangles, each corner on the edge between two nodes (twice the same: on the node)."""
    gone = beyond[triangles] > 0.0
    count = gone.sum(axis=1)
    whole = triangles[count == 0].astype(np.int64)
    found = [np.stack([whole, whole], axis=2)]
    for k in (1, 2):                                              # turned such that the odd corner is the first
        some = triangles[count == k].astype(np.int64)
        odd = (gone if k == 1 else ~gone)[count == k].argmax(axis=1)
        a, b, c = (some[np.arange(len(some)), (odd + step) % 3] for step in range(3))
        if k == 1:                                                # a is gone: b, c and the points on ab and ac are left
            found += [_corners((a, b), (b, b), (c, c)), _corners((a, b), (c, c), (a, c))]
        else:
            found += [_corners((a, a), (a, b), (a, c))]
    return np.concatenate(found)


def _joined(parts: NDArray[np.int64], beyond: NDArray[np.float64]) -> tuple[
        NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Triangles (t, 3), whose corners are on the edges of the mesh where a cut passes, of parts (t, 3, 2): and of each
    corner both nodes, and how much of the second."""
    edges, number = np.unique(np.sort(parts.reshape(-1, 2), axis=1), axis=0, return_inverse=True)
    first, second = edges.T
    a, b = beyond[first], beyond[second]
    weight = np.where(first == second, 0.0, a / np.where(a == b, 1.0, a - b))
    return number.reshape(-1, 3).astype(np.int32), first, second, weight


def level_of(mesh: Mesh, values: NDArray[np.float64], level: float) -> Scene:
    """Where values (n,) at the nodes of a solid, linear in tetrahedra, are at a level; nowhere next to NaN."""
    beyond = values - level
    tetrahedra = _simplices(mesh, beyond)
    parts = _cross_section(tetrahedra[np.isfinite(values[tetrahedra]).all(axis=1)], beyond)
    triangles, first, second, weight = _joined(parts, np.nan_to_num(beyond))
    points = mesh.points * MM_PER_CM
    return Scene.of_triangles((1.0 - weight)[:, None] * points[first] + weight[:, None] * points[second], triangles)


def _corners(*pairs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.stack([np.stack(pair, axis=1) for pair in pairs], axis=1)


def _simplices(mesh: Mesh, beyond: NDArray[np.float64]) -> NDArray[np.int32]:
    """(t, 4) the tetrahedra that a cut passes; cubes are taken apart into six, along their diagonal."""
    sides = beyond[mesh.cells] > 0.0
    cells = mesh.cells[sides.any(axis=1) & ~sides.all(axis=1)]
    if mesh.shape == "simplex":
        return cells
    return np.concatenate([cells[:, [0, 1 << i, 1 << i | 1 << j, 7]] for i, j, _ in permutations(range(3))])


def _cross_section(tetrahedra: NDArray[np.int32], beyond: NDArray[np.float64]) -> NDArray[np.int64]:
    """(t, 3, 2) the triangles in which a cut passes tetrahedra, corners as in `_clipped`."""
    gone = beyond[tetrahedra] > 0.0
    count, found = gone.sum(axis=1), [np.empty((0, 3, 2), np.int64)]
    order = np.argsort(~gone, axis=1, kind="stable")             # those that are gone come first
    sorted_ = np.take_along_axis(tetrahedra, order, axis=1).astype(np.int64)
    for k in (1, 2, 3):
        a, b, c, d = sorted_[count == k].T
        if k == 1:
            found.append(_corners((a, b), (a, c), (a, d)))
        elif k == 3:
            found.append(_corners((a, d), (b, d), (c, d)))
        else:
            found += [_corners((a, c), (a, d), (b, d)), _corners((a, c), (b, d), (b, c))]
    return np.concatenate(found)


# ---------------------------------------------------------------------------------------------------------- fewer of it
def _used(shape: Shape) -> Shape:
    """Without the corners that nothing uses."""
    scene = shape.scene
    used, number = np.unique(np.concatenate([scene.triangles.ravel(), scene.rods.ravel()]), return_inverse=True)
    split = scene.triangles.size
    scene = replace(scene, points=scene.points[used], triangles=number[:split].reshape(-1, 3).astype(np.int32),
                    rods=number[split:].reshape(-1, 2).astype(np.int32))
    return replace(shape, scene=scene, first=shape.first[used], second=shape.second[used], weight=shape.weight[used])


def _coarser(shape: Shape, most: int) -> Shape:
    """With at most ``most`` triangles: of the corners in a cube one stays, the nearest to their middle."""
    scene, before = shape.scene, len(shape.scene.triangles)
    if before <= most:
        return shape
    points, triangles = scene.points, scene.triangles
    a, b, c = (points[nodes] for nodes in triangles.T)
    size = np.sqrt(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / most)
    while True:
        cube = np.floor((points - points.min(axis=0)) / size).astype(np.int64)
        _, owner, count = np.unique(cube, axis=0, return_inverse=True, return_counts=True)
        owner = owner.reshape(-1)
        middle = np.column_stack([np.bincount(owner, column) / count for column in points.T])
        order = np.lexsort((np.linalg.norm(points - middle[owner], axis=1), owner))
        stays = order[np.searchsorted(owner[order], np.arange(len(count)))]
        found = owner[triangles]
        found = found[(found[:, 0] != found[:, 1]) & (found[:, 1] != found[:, 2]) & (found[:, 2] != found[:, 0])]
        _, one = np.unique(np.sort(found, axis=1), axis=0, return_index=True)
        if len(one) <= most:
            break
        size *= 1.1
    note = (f"{len(one):,} of the surface's {before:,} triangles are drawn: of the corners in a cube of {size:.3g} mm "
            "one stays; --triangles draws more")
    small = replace(scene, triangles=stays[found[np.sort(one)]].astype(np.int32))
    return _used(replace(shape, scene=small, notes=(*shape.notes, note)))


# -------------------------------------------------------------------------------------------------------------- fibres
def fibres_of(recording: Recording, shape: Shape) -> NDArray[np.float64]:
    """(g, 2, 3) mm: the ends of short lines along the fibres at the corners that are drawn, evenly spread.

    Raises
    ------
    OptionError where the mesh has no fibres
    """
    mesh = recording.mesh
    if mesh.fibre is None or not len(shape.scene.triangles):
        raise OptionError("--fibres", "the mesh has no fibres",
                          "leave --fibres out, or give the mesh some (mesh.fibre)")
    cell = np.full(mesh.n_points, -1)
    cell[mesh.cells] = np.arange(mesh.n_cells)[:, None]
    tissue = np.flatnonzero(cell[shape.first] >= 0)
    a, b, c = (shape.scene.points[nodes] for nodes in shape.scene.triangles.T)
    size = np.sqrt(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / GLYPHS)
    cube = np.floor((shape.scene.points[tissue] - shape.scene.points.min(axis=0)) / size).astype(np.int64)
    some = tissue[np.unique(cube, axis=0, return_index=True)[1]]
    along = 0.32 * size * mesh.fibre[cell[shape.first[some]]]
    return np.asarray(np.stack([shape.scene.points[some] - along, shape.scene.points[some] + along], axis=1))
