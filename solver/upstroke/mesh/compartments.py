"""Sections of a neuron, divided into compartments: areas and axial resistances of their frusta, exactly.

Nodes are numbered section by section: the middles of its compartments, then its end; before all, the start of the root.
A section that starts from the middle of another starts from the compartment there, as in NEURON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Cable, Compartments
from upstroke.errors import MeshError
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.tree import Population, SectionInfo, Tree

D_LAMBDA = 0.1                                                # where a case does not say how to divide
TAGS = {"undefined": 0, "soma": 1, "axon": 2, "basal": 3, "apical": 4}       # as SWC numbers the types
MOST = 2 ** 24                                                # compartments of a cell; more is a mistake in a unit


@dataclass(frozen=True, eq=False)
class Section:
    """An unbranched piece of a cell, through points that cones join.

    Attributes
    ----------
    name, type, parent, parent_x : as of `SectionInfo`
    points : (k, 3) cm
    diameter : (k,) cm
    compartments : how many it gets, where it says so itself
    """

    name: str
    type: str
    parent: int
    parent_x: float
    points: NDArray[np.float64]
    diameter: NDArray[np.float64]
    compartments: int | None = None

    @property
    def arc(self) -> NDArray[np.float64]:
        """(k,) cm, length along the section up to each point."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])


def count(section: Section, rule: Compartments, cable: Cable, slowness: float = 1.0) -> int:
    """How many compartments a section gets; ``slowness`` is its Ra C_m over that of ``cable``.

    d_lambda: the smallest odd number that is about L / (d_lambda lambda_f) or more, int((x + 0.9) / 2) 2 + 1, with L
    in units of lambda_f integrated along the cones as NEURON's lambda_f() does (Hines and Carnevale 2001, doi
    10.1177/107385840100700207): sum of dl / sqrt(mean diameter).
    """
    if section.compartments is not None:
        return section.compartments
    length = float(section.arc[-1])
    if rule.number is not None:
        return rule.number
    if rule.max_length is not None:
        return max(1, math.ceil(length / rule.max_length - 1e-9))
    d = section.diameter
    rate = math.pi * rule.frequency * cable.axial_resistivity * cable.capacitance * slowness
    electrotonic = 2.0 * math.sqrt(rate) * float((np.diff(section.arc) / np.sqrt((d[1:] + d[:-1]) / 2.0)).sum())
    ratio = electrotonic / (D_LAMBDA if rule.d_lambda is None else rule.d_lambda)
    return int((ratio + 0.9) / 2.0) * 2 + 1


@dataclass(frozen=True, eq=False)
class _Halves:
    """The half compartments of a section: lateral area (2 n,) cm^2, integral of dx / (pi r^2) (2 n,) 1/cm, mean
    diameter (2 n,) cm; and position (2 n + 1, 3) and diameter (2 n + 1,) at their ends."""

    area: NDArray[np.float64]
    axial: NDArray[np.float64]
    mean: NDArray[np.float64]
    points: NDArray[np.float64]
    diameter: NDArray[np.float64]


def _halves(section: Section, n: int) -> _Halves:
    """Cuts the cones of a section where half compartments end, and sums their parts.

    A cone of length l between diameters a and b has the lateral area pi (a + b) / 2 sqrt(l^2 + ((b - a) / 2)^2) and
    the integral 4 l / (pi a b).
    """
    arc, length = section.arc, section.arc[-1]
    edges = length * np.arange(2 * n + 1) / (2 * n)
    diameter = np.interp(edges, arc, section.diameter)
    points = np.column_stack([np.interp(edges, arc, column) for column in section.points.T])
    s = np.concatenate([arc, edges[1:-1]])
    order = np.argsort(s, kind="stable")
    s, d = s[order], np.concatenate([section.diameter, diameter[1:-1]])[order]
    step, a, b = np.diff(s), d[:-1], d[1:]
    half = np.clip((0.5 * (s[:-1] + s[1:]) / length * 2 * n).astype(int), 0, 2 * n - 1)

    def sums(parts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(half, parts, 2 * n), np.float64)

    area = sums(math.pi * (a + b) / 2.0 * np.hypot(step, (b - a) / 2.0))
    axial, mean = sums(4.0 * step / (math.pi * a * b)), sums(step * (a + b) / 2.0) / (length / (2 * n))
    return _Halves(area, axial, mean, points, diameter)


def divide(sections: Sequence[Section], rule: Compartments, cable: Cable, slowness: NDArray[np.float64] | None = None
           ) -> Mesh:
    """The mesh of a cell: its sections in compartments. Parents come before their children; the first is the root.

    ``slowness`` (sections,), where it is given, is the Ra C_m of each over that of ``cable``.

    Raises
    ------
    MeshError for a section without length or with a diameter that is not above zero, and for too many compartments
    """
    for section in sections:
        _require_solid(section)
    slow = np.ones(len(sections)) if slowness is None else slowness
    counts = [count(section, rule, cable, float(s)) for section, s in zip(sections, slow, strict=True)]
    if sum(counts) > MOST:
        raise MeshError("mesh.compartments", f"makes {sum(counts):,} compartments, more than the {MOST:,} that a cell "
                        "may have", "take longer ones, and check the unit of lengths")
    n = 1 + sum(counts) + len(sections)
    parent, owner = np.empty(n, np.int64), np.zeros(n, np.int64)
    area, axial, upper, x, distance, diameter = (np.zeros(n) for _ in range(6))
    points = np.empty((n, 3))
    infos: list[SectionInfo] = []
    origins: list[float] = []                                # distance at the start of each section
    first = 1
    for k, (section, m) in enumerate(zip(sections, counts, strict=True)):
        halves, length = _halves(section, m), float(section.arc[-1])
        is_root = section.parent < 0
        start = 0 if is_root else infos[section.parent].node_at(section.parent_x)
        mine = slice(first, first + m + 1)                   # compartments and the end
        parent[mine] = np.arange(first - 1, first + m)
        parent[first] = start
        owner[mine] = k
        area[first:first + m] = halves.area[::2] + halves.area[1::2]
        axial[first:first + m] = halves.axial[::2]
        upper[first + 1:first + m + 1] = halves.axial[1::2]
        x[mine] = np.append((np.arange(m) + 0.5) / m, 1.0)
        points[mine] = halves.points[np.append(np.arange(1, 2 * m, 2), 2 * m)]
        diameter[mine] = np.append((halves.mean[::2] + halves.mean[1::2]) / 2.0, halves.diameter[-1])
        if is_root:
            parent[0], points[0], diameter[0] = -1, halves.points[0], halves.diameter[0]
            origin = 0.5 * length if section.type == "soma" else 0.0
            distance[0] = origin
            distance[mine] = np.abs(x[mine] * length - origin)
            origins.append(0.0)
        else:
            above = infos[section.parent]
            along = section.parent_x * above.length
            if above.parent < 0 and above.type == "soma":
                along = abs(along - 0.5 * above.length)
            origins.append(origins[section.parent] + along)
            distance[mine] = origins[-1] + x[mine] * length
        infos.append(SectionInfo(section.name, section.type, section.parent, section.parent_x, length,
                                 float(halves.area.sum()), m, start, first))
        first += m + 1
    tree = Tree(parent, area, axial + upper, upper, np.ones(n), owner, x, distance, diameter,
                (Population("", 1, 0, n, tuple(infos)),))
    cells = np.column_stack([parent[1:], np.arange(1, n)]).astype(np.int32)
    types = np.array([_tag(section.type) for section in sections], np.int32)
    names = {section.type: _tag(section.type) for section in sections}
    return Mesh(points, cells, types[owner[1:]], region_names=names, tree=tree)


def _tag(type_: str) -> int:
    """The number SWC gives a type; "custom7" is 7."""
    return TAGS[type_] if type_ in TAGS else int(type_.removeprefix("custom"))


def _require_solid(section: Section) -> None:
    if not np.isfinite(section.points).all() or not section.arc[-1] > 0.0:
        raise MeshError("mesh", f"section {section.name} has no length", "remove its points from the morphology")
    if not (np.isfinite(section.diameter).all() and (section.diameter > 0.0).all()):
        raise MeshError("mesh", f"section {section.name} has a diameter of {1e4 * section.diameter.min():g} um",
                        "give every point of the morphology a radius above zero")
