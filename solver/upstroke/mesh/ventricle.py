"""A left ventricle as a truncated ellipsoid of revolution: tetrahedra of any size, without a pole, with fibres by rule.

Layer t of the wall, 0 the endocardium, 1 the epicardium, is the ellipsoid of semi-axes a(t), c(t),

    x = a sin u cos v,   y = a sin u sin v,   z = -c cos u,   0 <= u <= arccos(-z_base / c),

linear in t between two surfaces, by default those of the benchmark of cardiac mechanics (S. Land et al., Proc. R. Soc.
A 471, 20150641 (2015), doi 10.1098/rspa.2015.0641; the base lies at z = 5 mm, the apex at z = -20 mm). Rings of nodes
from the apex to the base have as many nodes as fit, so that triangles are nearly equilateral everywhere, and each layer
repeats them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import BiventricleMesh, VentricleMesh
from upstroke.errors import MeshError
from upstroke.mesh.build import LARGEST
from upstroke.mesh.check import size_notes
from upstroke.mesh.fibres import with_directions
from upstroke.mesh.ldrb import Angles, cell_gradients, one_ventricle
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.split import split

Floats = NDArray[np.float64]
LAYERS = {"endo": 1, "M": 2, "epi": 3}     # names and tags
FINE = 4000                                # pieces of a meridian that its length is summed over
ROW = math.sqrt(3) / 2                     # height of an equilateral triangle


def build_ventricle(section: VentricleMesh) -> Mesh:
    """The mesh, with node sets endo, epi, base and apex, and point data transmural (0 endo, 1 epi), apicobasal (0 apex,
    1 base, by length in the middle of the wall) and rotational (-pi to pi from x towards y; 0 on the axis). The latter
    is cell data, too.

    Raises
    ------
    MeshError for a resolution that makes too many nodes
    """
    layers = section.cells_through or max(1, math.floor(_thickness(section) / section.dx + 0.5))
    _require_that_it_fits(section, layers)
    s, v, triangles = _surface(section)
    depth = np.repeat(np.linspace(0.0, 1.0, layers + 1), len(s))
    s, v = np.tile(s, layers + 1), np.tile(v, layers + 1)
    points = _place(section, depth, s, v)
    n = len(s) // (layers + 1)
    bottom = np.concatenate([triangles + k * n for k in range(layers)])
    cells = split("wedge", np.concatenate([bottom, bottom + n], axis=1)).astype(np.int32)
    corners = depth[cells].mean(axis=1)
    middle, region = points[cells].mean(axis=1), layers_of(corners, section)
    sets = {"endo": depth == 0.0, "epi": depth == 1.0, "base": s == 1.0, "apex": s == 0.0}
    mesh = Mesh(points, cells, region, {name: tag for name, tag in LAYERS.items() if (region == tag).any()},
                node_sets={name: np.flatnonzero(there) for name, there in sets.items()},
                point_data={"transmural": depth, "apicobasal": s, "rotational": v},
                cell_data={"rotational": np.arctan2(middle[:, 1], middle[:, 0])},      # no mean where v jumps
                notes=tuple(_layer_note(section, layers)))
    outward, to_base = (cell_gradients(points, cells, values) for values in (depth, s))
    to_base -= (np.vecdot(to_base, outward) / np.vecdot(outward, outward))[:, None] * outward       # within the layer
    fibre, sheet = one_ventricle(to_base, outward, corners, Angles(section.alpha, section.beta))
    mesh = with_directions(mesh, fibre, sheet)
    return replace(mesh, notes=(*mesh.notes, *size_notes(mesh, "mesh.dx")))


def layers_of(depth: Floats, section: VentricleMesh | BiventricleMesh) -> NDArray[np.int32]:
    """(m,) the tags of LAYERS at these depths."""
    return (1 + (depth[:, None] > np.array(section.layers)).sum(axis=1)).astype(np.int32)


def _require_that_it_fits(section: VentricleMesh, layers: int) -> None:
    area = 2 * math.pi * max(section.epicardium) * _meridian(section)[1][-1]            # at most
    if (nodes := (layers + 1) * area / (ROW * section.dx ** 2)) > LARGEST:
        raise MeshError("mesh.dx", f"this resolution makes about {nodes:.1e} nodes, more than the {LARGEST:,} that a "
                        "mesh can number", "use a larger dx, or check its unit")


def _layer_note(section: VentricleMesh, layers: int) -> list[str]:
    if layers > 1:
        return []
    return ["warning: the wall is one cell thick; take mesh.dx of a third of its thickness or less, or "
            "mesh.cells_through"]


def _axes(section: VentricleMesh, depth: Floats) -> tuple[Floats, Floats]:
    """Semi-axes a and c (n,) of the layers at these depths, cm."""
    a, c = (endo * (1 - depth) + epi * depth for endo, epi in zip(section.endocardium, section.epicardium, strict=True))
    return a, c


def _thickness(section: VentricleMesh) -> float:
    return float(np.mean(np.subtract(section.epicardium, section.endocardium)))


def _place(section: VentricleMesh, depth: Floats, s: Floats, v: Floats) -> Floats:
    """(n, 3) the points at these coordinates, cm."""
    a, c = _axes(section, depth)
    w, length = _meridian(section)
    u = np.interp(s * length[-1], length, w) * np.arccos(-section.base / c)
    return np.stack([a * np.sin(u) * np.cos(v), a * np.sin(u) * np.sin(v), -c * np.cos(u)], axis=1)


def _meridian(section: VentricleMesh) -> tuple[Floats, Floats]:
    """u as a fraction of that at the base, and the length from the apex to there, in the middle of the wall, cm."""
    (a,), (c,) = _axes(section, np.array([0.5]))
    w = np.linspace(0.0, 1.0, FINE + 1)
    u = w * math.acos(-section.base / c)
    steps = np.hypot(np.diff(a * np.sin(u)), np.diff(c * np.cos(u)))
    return w, np.concatenate([[0.0], np.cumsum(steps)])


def _surface(section: VentricleMesh) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Coordinates s and v of the nodes of a layer, and its triangles, counter-clockwise from outside."""
    rings = max(2, round(_meridian(section)[1][-1] / (ROW * section.dx)))
    s = np.linspace(0.0, 1.0, rings + 1)
    around = np.linalg.norm(_place(section, np.full(rings + 1, 0.5), s, np.zeros(rings + 1))[:, :2], axis=1)
    counts = np.maximum(6, np.round(2 * math.pi * around / section.dx)).astype(int)
    counts[0] = 1
    first = np.concatenate([[0], np.cumsum(counts)])
    shift = np.arange(rings + 1) % 2                            # every other ring is half a cell further
    v = np.concatenate([(np.arange(n) + h / 2) * (2 * math.pi / n) for n, h in zip(counts, shift, strict=True)])
    ring = list(zip(first.tolist(), counts.tolist(), shift.tolist(), strict=False))
    triangles = [_between(low, high) for low, high in itertools.pairwise(ring)]
    return np.repeat(s, counts), np.where(v > math.pi, v - 2 * math.pi, v), np.concatenate(triangles)


def _between(low: tuple[int, int, int], high: tuple[int, int, int]) -> NDArray[np.int64]:
    """The triangles between two rings, each given by its first node, how many there are, and by how many half cells it
    is turned: every edge with the node of the other ring that is nearest to the edge's middle; of two, the edges of the
    lower ring take the earlier one."""
    (a, n, p), (b, m, q) = low, high
    i, j = np.arange(n), np.arange(m)
    over = -((((q + 1) * n - (2 * i + 1 + p) * m)) // (2 * n)) % m          # the middle of edge i in steps of the other
    under = (((2 * j + 1 + q) * n - p * m + m) // (2 * m)) % n
    down = np.stack([a + under, b + (j + 1) % m, b + j], axis=1)
    return down if n == 1 else np.concatenate([np.stack([a + i, a + (i + 1) % n, b + over], axis=1), down])
