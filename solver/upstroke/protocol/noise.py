"""Noise at places of neurons, as a case has it, on a mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import NoiseTable
from upstroke.errors import CaseError
from upstroke.mesh.locate import cells_of_regions
from upstroke.mesh.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Noise:
    """Ornstein-Uhlenbeck processes of a table.

    Attributes
    ----------
    mean, sigma : mean and standard deviation: uA, uA/cm^2 or mS
    tau : ms, the correlation time
    reversal : mV, of a conductance; None for a current
    total : mean and sigma are those of a whole compartment, else per area
    seed : key of the random numbers, with the number of the process
    nodes, number : (m,) compartments, and the number of the process in each
    """

    name: str
    mean: float
    sigma: float
    tau: float
    reversal: float | None
    total: bool
    seed: int
    nodes: NDArray[np.int64]
    number: NDArray[np.int64]

    def describe(self) -> str:
        """A line for reports."""
        what = "a conductance" if self.reversal is not None else "a current" if self.total else "a current per area"
        return (f"noise {self.name!r}: {what} with {len(np.unique(self.number)):,} processes in "
                f"{len(self.nodes):,} compartments, tau {self.tau:g} ms")


def place_noise(tables: Sequence[NoiseTable], mesh: Mesh) -> tuple[Noise, ...]:
    """The noise of a case on its mesh.

    Raises
    ------
    CaseError, MeshError for places that the cell lacks
    """
    noises = []
    for k, table in enumerate(tables):
        (mean, sigma), = (pair for pair in (table.current, table.total_current, table.conductance) if pair is not None)
        nodes = _nodes(table, mesh, f"noise.{k}" + (f" ({table.name})" if table.name else ""))
        tree = mesh.tree
        assert tree is not None                             # the case was checked
        number = np.unique(tree.cell[nodes], return_inverse=True)[1] if table.shared else np.arange(len(nodes))
        noises.append(Noise(table.name or f"noise {k + 1}", mean, sigma, table.tau, table.reversal,
                            table.current is None, k + 1 if table.seed is None else table.seed, nodes, number))
    return tuple(noises)


def _nodes(table: NoiseTable, mesh: Mesh, where: str) -> NDArray[np.int64]:
    tree = mesh.tree
    assert tree is not None                                 # the case was checked
    if table.site is not None:
        return tree.compartments_at(table.site, f"{where}.site")
    assert table.region is not None
    there = mesh.cells[cells_of_regions(mesh, [table.region], f"{where}.region"), 1]
    there = there[tree.area[there] > 0.0]
    if not len(there):
        raise CaseError(f"{where}.region", f"region {table.region!r} has no membrane", "name another region")
    return there.astype(np.int64)
