"""Neurons built from numbers: cylinders, cones, and trees of cylinders by rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Cable
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


def shaped(tables: Sequence[Table], cable: Cable) -> list[Table]:
    """The tables, those without a shape as cylinders as long as wide whose area is capacitance / C_m."""
    sides = [0.0 if table.capacitance is None else math.sqrt(table.capacitance / cable.capacitance / math.pi)
             for table in tables]
    return [replace(table, length=side, diameter=side) if side else table
            for table, side in zip(tables, sides, strict=True)]


def with_couplings(mesh: Mesh, tables: Sequence[Table], cable: Cable) -> Mesh:
    """The mesh with the conductances that the tables give between a section's first compartment and the parent's.

    Such a section starts from the parent's compartment itself, at a resistance of 1 / coupling.
    """
    if all(table.coupling is None for table in tables):
        return mesh
    assert mesh.tree is not None
    tree, cells, infos = mesh.tree, mesh.cells.copy(), list(mesh.tree.sections)
    parent, axial, upper = tree.parent.copy(), tree.axial.copy(), tree.upper.copy()
    for k, table in enumerate(_repeated(tables)):
        if table.coupling is not None:
            node, above = infos[k].first, infos[infos[k].parent].compartment_at(table.parent_x)
            parent[node], axial[node], upper[node] = above, 1.0 / (cable.axial_resistivity * table.coupling), 0.0
            cells[node - 1] = above, node
            infos[k] = replace(infos[k], start=above)
    cell = replace(tree.populations[0], sections=tuple(infos))
    return replace(mesh, cells=cells, tree=replace(tree, parent=parent, axial=axial, upper=upper, populations=(cell,)))


def with_values(mesh: Mesh, tables: Sequence[Table]) -> Mesh:
    """The mesh with the numbers that the tables give their sections, as point data; nan where a table has none.

    Conductances of sections become conductances per area of their membrane, mS/cm^2.
    """
    assert mesh.tree is not None
    built, tree = _repeated(tables), mesh.tree
    area = np.bincount(tree.section, tree.area, len(built))
    given = [table.values | {name: g / area[k] for name, g in table.conductances.items()}
             for k, table in enumerate(built)]
    names = dict.fromkeys(name for values in given for name in values)
    data = {name: np.array([values.get(name, math.nan) for values in given])[tree.section] for name in names}
    return replace(mesh, point_data=mesh.point_data | data)


def _repeated(tables: Sequence[Table]) -> list[Table]:
    """The table of each section."""
    return [table for table in tables for _ in range(sum(table.branches ** level for level in range(table.levels)))]


def _tree(table: Table, parent: int, above: Sequence[Section]) -> Iterator[Section]:
    """A trunk and its branches, level by level."""
    assert table.length is not None and table.diameter is not None          # `shaped`
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
