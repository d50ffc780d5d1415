"""The electrical skeleton of a neuron: compartments, the points where branches meet, and how they hang together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import MeshError, did_you_mean


@dataclass(frozen=True)
class SectionInfo:
    """An unbranched piece of a cell: a chain of compartments of equal length.

    Attributes
    ----------
    name : as NEURON has it, "dend[3]"
    type : "soma", "axon", "basal", "apical", ...: its part of the cell
    parent, parent_x : the section it starts from (its number, -1 for none), and where on it, 0..1
    length, area : cm, cm^2
    n_compartments : how many
    start : the node at x = 0, which is the parent's where there is one
    first : the node of the first compartment; the others follow, and then the node at x = 1
    """

    name: str
    type: str
    parent: int
    parent_x: float
    length: float
    area: float
    n_compartments: int
    start: int
    first: int

    def node_at(self, x: float) -> int:
        """The node at x = 0 or x = 1, else the compartment that holds x."""
        return self.start if x == 0.0 else self.end if x == 1.0 else self.compartment_at(x)

    def compartment_at(self, x: float) -> int:
        """The compartment that holds x; at an end the outermost."""
        return self.first + min(int(x * self.n_compartments), self.n_compartments - 1)

    @property
    def end(self) -> int:
        """The node at x = 1."""
        return self.first + self.n_compartments


@dataclass(frozen=True, eq=False)
class Tree:
    """The electrical skeleton of cells: nodes are the middles of compartments, and the ends of sections, where branches
    meet, which have no area (Hines 1984, doi 10.1016/0020-7101(84)90008-4).

    The cells of the mesh are the segments between a node and its parent.

    Attributes
    ----------
    parent : (n,) -1 at a root; parents come before their children
    area : (n,) cm^2, membrane of the node's compartment, the lateral area of its frusta
    axial : (n,) 1/cm, integral of dx / (pi r^2) from the parent to the node, 0 at roots: the resistance between them is
        Ra times that
    section, x : (n,) the node's section, and where on it, 0..1
    distance : (n,) cm, along the branches, from the middle of the soma, or from where a cell without one starts
    diameter : (n,) cm, mean of the compartment
    sections : parents before their children
    """

    parent: NDArray[np.int64]
    area: NDArray[np.float64]
    axial: NDArray[np.float64]
    section: NDArray[np.int64]
    x: NDArray[np.float64]
    distance: NDArray[np.float64]
    diameter: NDArray[np.float64]
    sections: tuple[SectionInfo, ...]

    def section_named(self, name: str, where: str) -> SectionInfo:
        """The section of this name."""
        for section in self.sections:
            if section.name == name:
                return section
        raise MeshError(where, f"the cell has no section {name!r}",
                        did_you_mean(name, [section.name for section in self.sections][:40]))

    def around(self, node: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Nodes and weights that give V at a node: of a compartment, itself.

        A node without area takes no current, so V there is the mean of V at its neighbours, weighted by the
        conductances to them: V_i = sum_j g_ij V_j / sum_j g_ij.
        """
        if self.area[node] > 0.0:
            return np.array([node]), np.ones(1)
        near = np.flatnonzero(self.parent == node)
        axial = self.axial[near]
        if self.parent[node] >= 0:
            near, axial = np.append(near, self.parent[node]), np.append(axial, self.axial[node])
        conductance = 1.0 / axial
        return near, conductance / conductance.sum()
