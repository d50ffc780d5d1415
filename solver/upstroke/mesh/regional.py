"""Ra, C_m and the area of the membrane by region of a neuron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Cable, CableRegion, Compartments
from upstroke.errors import CaseError
from upstroke.mesh.compartments import Section, divide
from upstroke.mesh.labels import with_regions
from upstroke.mesh.mesh import Mesh

Floats = NDArray[np.float64]
PIECES = 20         # of a section, to find its regions before it is divided


def divided(sections: Sequence[Section], rule: Compartments, cable: Cable, regions: Mapping[str, str]) -> Mesh:
    """The mesh of a cell, with its regions and the values that [cable] gives these.

    Where compartments follow from length constants, these are of each region's own values. Regions are then found
    twice: first on a cell whose sections are divided alike. Of a resistance between two regions each half has its own
    Ra.

    Raises
    ------
    MeshError, CaseError as `divide` and `with_regions`; CaseError where two tables have a compartment
    """
    slowness = None
    if cable.region and rule.max_length is None and rule.number is None:
        slowness = _slowness(with_regions(divide(sections, Compartments(number=PIECES), cable), regions), cable)
    mesh = with_regions(divide(sections, rule, cable, slowness), regions)
    if not cable.region:
        return mesh
    assert mesh.tree is not None
    own, tree = _values(mesh, cable), mesh.tree
    upper = own.resistivity[np.maximum(tree.parent, 0)] * tree.upper
    return replace(mesh, tree=replace(
        tree, area=own.area * tree.area, capacitance=own.capacitance, upper=upper,
        axial=upper + own.resistivity * (tree.axial - tree.upper)))


@dataclass(frozen=True, eq=False)
class _Values:
    """(n,) Ra, C_m and the area of each node, over what they are without regions."""

    resistivity: Floats
    capacitance: Floats
    area: Floats


def _values(mesh: Mesh, cable: Cable) -> _Values:
    """A node has the values of the segment that leads to it; a root those of the node after it."""
    tables = np.full(mesh.n_points, len(cable.region))
    for k, table in enumerate(cable.region):
        there = mesh.cells[_cells(mesh, table), 1]
        if (taken := tables[there] < k).any():
            raise CaseError(f"cable.region.{k}.regions", "a compartment of it belongs to cable.region."
                            f"{tables[there][taken][0]} already", "name each region once, by its name or by its tag")
        tables[there] = k
    assert mesh.tree is not None
    roots = np.flatnonzero(mesh.tree.parent < 0)
    tables[roots] = tables[roots + 1]

    def over(values: Sequence[float | None], base: float) -> Floats:
        return np.array([*(1.0 if value is None else value / base for value in values), 1.0])[tables]

    return _Values(over([table.axial_resistivity for table in cable.region], cable.axial_resistivity),
                   over([table.capacitance for table in cable.region], cable.capacitance),
                   over([table.area_factor for table in cable.region], 1.0))


def _cells(mesh: Mesh, table: CableRegion) -> NDArray[np.bool_]:
    """(m,) which segments a table means. A cell may lack its regions, which others of a network have."""
    return np.isin(mesh.region, [mesh.region_names.get(r, -1) if isinstance(r, str) else r for r in table.regions])


def _slowness(mesh: Mesh, cable: Cable) -> Floats:
    """(sections,) Ra C_m of each over that of [cable]: the square of the mean root of its pieces' own."""
    assert mesh.tree is not None
    own = _values(mesh, cable)
    root = np.sqrt(own.resistivity * own.capacitance * own.area)
    return np.array([root[s.first:s.end].mean() ** 2 for s in mesh.tree.sections])
