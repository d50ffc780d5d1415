"""Neurons built from numbers: cylinders, cones, and trees of cylinders by rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Section as Table
from upstroke.errors import CaseError, did_you_mean
from upstroke.mesh.compartments import Section
from upstroke.mesh.mesh import Mesh

SPREAD = math.pi / 3        # between the outermost branches where a trunk ends; 0.7 of it one level on, for pictures


def built_sections(tables: Sequence[Table]) -> list[Section]:
    """The sections that the case's tables describe, parents first.

    Raises
    ------
    CaseError for names that are given twice or refer to no section above
    """
    sections: list[Section] = []
    for k, table in enumerate(tables):
        where = f"mesh.section.{k}"
        names = [section.name for section in sections]
        if (k == 0) != (table.parent is None):
            raise CaseError(f"{where}.parent" if k == 0 else where, "the first section has no parent" if k == 0 else
                            f"section {table.name!r} has no parent", "remove it" if k == 0 else
                            f"only the first section has none; did you mean parent = {names[0]!r}?")
        if table.parent is not None and table.parent not in names:
            raise CaseError(f"{where}.parent", f"there is no section {table.parent!r} above this one",
                            did_you_mean(table.parent, names))
        new = list(_tree(table, names.index(table.parent) if table.parent else -1, sections))
        if taken := {section.name for section in new} & set(names):
            raise CaseError(f"{where}.name", f"there is a section {min(taken)!r} already", "give it another name")
        sections += new
    return sections


def with_values(mesh: Mesh, tables: Sequence[Table]) -> Mesh:
    """The mesh with the numbers that the tables give their sections, as point data; nan where a table has none."""
    assert mesh.tree is not None
    built = [table for table in tables for _ in range(sum(table.branches ** level for level in range(table.levels)))]
    names = dict.fromkeys(name for table in tables for name in table.values)
    data = {name: np.array([table.values.get(name, math.nan) for table in built])[mesh.tree.section] for name in names}
    return replace(mesh, point_data=mesh.point_data | data)


def _tree(table: Table, parent: int, above: Sequence[Section]) -> Iterator[Section]:
    """A trunk and its branches, level by level."""
    start, along = _at(above[parent], table.parent_x) if parent >= 0 else (np.zeros(3), np.array([1.0, 0.0, 0.0]))
    if table.direction is not None:
        along = np.array(table.direction) / math.hypot(*table.direction)
    b = table.branches
    thinner = table.diameter_ratio if table.diameter_ratio is not None else b ** (-2.0 / 3.0)
    shorter = table.length_ratio if table.length_ratio is not None else math.sqrt(thinner)
    ends = np.array(table.diameter if isinstance(table.diameter, tuple) else (table.diameter,) * 2)
    base, number = len(above), 0
    twigs = [(parent, table.parent_x, start, along)]
    for level in range(table.levels):
        branches: list[tuple[int, float, NDArray[np.float64], NDArray[np.float64]]] = []
        for parent, parent_x, start, along in twigs:
            end = start + table.length * shorter ** level * along
            name = table.name if table.levels == 1 else f"{table.name}[{number}]"
            yield Section(name, table.type, parent, parent_x, np.array([start, end]), ends * thinner ** level,
                          table.compartments)
            branches += [(base + number, 1.0, end, _turned(along, SPREAD * 0.7 ** level * (j / (b - 1) - 0.5)))
                         for j in range(b)] if b > 1 else [(base + number, 1.0, end, along)]
            number += 1
        twigs = branches


def _at(section: Section, x: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The point at x, and the section's direction."""
    begin, end = section.points[0], section.points[-1]
    return begin + x * (end - begin), (end - begin) / np.linalg.norm(end - begin)


def _turned(direction: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Turned about z."""
    c, s = math.cos(angle), math.sin(angle)
    x, y, z = direction
    return np.array([c * x - s * y, s * x + c * y, z])
