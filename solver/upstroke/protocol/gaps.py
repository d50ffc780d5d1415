"""Gap junctions between compartments of neurons, as a case has them, on a mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import GapJunction
from upstroke.errors import CaseError
from upstroke.mesh.mesh import Mesh
from upstroke.protocol.pairs import NS, by_probability, generator, read_pairs


@dataclass(frozen=True, eq=False)
class GapJunctions:
    """The junctions of a table: the nodes on both sides, and conductances in mS, all (m,)."""

    name: str
    one: NDArray[np.int64]
    other: NDArray[np.int64]
    conductance: NDArray[np.float64]

    def describe(self) -> str:
        """A line for reports."""
        g = 1e6 * self.conductance.mean() if len(self.conductance) else 0.0
        return f"gap junctions {self.name!r}: {len(self.one):,}, {g:g} nS on average"


def place_gaps(tables: Sequence[GapJunction], mesh: Mesh) -> tuple[GapJunctions, ...]:
    """The gap junctions of a case on its mesh.

    Raises
    ------
    CaseError, MeshError for places that the cells lack, sides that do not match, and files that cannot be read
    """
    return tuple(_junctions(table, k, mesh) for k, table in enumerate(tables))


def _junctions(table: GapJunction, k: int, mesh: Mesh) -> GapJunctions:
    where = f"gap_junction.{k}" + (f" ({table.name})" if table.name else "")
    tree = mesh.tree
    assert tree is not None                                 # the case was checked
    one, other = (tree.compartments_at(site, f"{where}.{name}") for name, site in (("site", table.site),
                                                                                   ("to", table.to)))
    same = tree.population_at(table.site, f"{where}.site") is tree.population_at(table.to, f"{where}.to")
    cells = tree.cell[one], tree.cell[other]
    g = np.full(1, table.conductance)
    if table.pairs is not None:
        rows = read_pairs(table.pairs, (len(one), len(other)), ("conductance",), f"{where}.pairs")
        a, b = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
        g = rows[:, 2] * NS if rows.shape[1] > 2 else g
    elif table.probability is not None:
        draw = generator(k + 1 if table.seed is None else table.seed, "junctions")
        a, b = by_probability(len(one), len(other), table.probability, draw)
        keep = cells[0][a] < cells[1][b] if same else np.ones(len(a), bool)
        a, b = a[keep], b[keep]
    elif table.ring:
        if not same or len(one) < 3 or len(one) != len(other):
            raise CaseError(f"{where}.ring", "needs three cells or more of one population",
                            "name one population in site and to, and no cell")
        a = np.arange(len(one))
        b = np.roll(a, -1)
    else:
        if len(one) != len(other):
            raise CaseError(where, f"site is on {len(one):,} cells and to on {len(other):,}",
                            "name a cell in each, or add ring, probability or pairs")
        a = b = np.arange(len(one))
    if (one[a] == other[b]).any():
        raise CaseError(where, "a junction leads from a compartment to itself",
                        "name another place or cell in to, or add ring = true or a probability")
    return GapJunctions(table.name or f"gap junction {k + 1}", one[a], other[b], np.broadcast_to(g, a.shape).copy())
