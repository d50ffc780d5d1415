"""The electrical skeleton of a neuron: compartments, the points where branches meet, and how they hang together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Site
from upstroke.errors import MeshError, did_you_mean


@dataclass(frozen=True)
class SectionInfo:
    """An unbranched piece of a cell: a chain of compartments of equal length.

    Attributes
    ----------
    name : as NEURON has it, "dend[3]"
    type : "soma", "axon", "basal", "apical", ...: its part of the cell
    parent, parent_x : the section it starts from (its number in the cell, -1 for none), and where on it, 0..1
    length, area : cm, cm^2
    n_compartments : how many
    start : the cell's node at x = 0, which is the parent's where there is one
    first : the cell's node of the first compartment; the others follow, and then the node at x = 1
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


@dataclass(frozen=True)
class Population:
    """Cells that are copies of one: node j of cell c is node first_node + c n_nodes + j of the mesh.

    Attributes
    ----------
    name : "" for a cell alone, which is a population of one
    count : cells
    first_node : the first node of the first cell
    n_nodes : nodes of a cell
    sections : of a cell, parents before their children, with nodes numbered from 0
    """

    name: str
    count: int
    first_node: int
    n_nodes: int
    sections: tuple[SectionInfo, ...]

    @property
    def end_node(self) -> int:
        """The node after the last cell's last."""
        return self.first_node + self.count * self.n_nodes

    def section_named(self, name: str, where: str) -> SectionInfo:
        """The section of this name."""
        for section in self.sections:
            if section.name == name:
                return section
        cell = f"a cell of population {self.name!r}" if self.name else "the cell"
        raise MeshError(where, f"{cell} has no section {name!r}",
                        did_you_mean(name, [section.name for section in self.sections][:40]))

    def cells_at(self, site: Site, where: str) -> NDArray[np.int64]:
        """The numbers of the cells that a site addresses: the one it names, else all."""
        if site.cell is None:
            return np.arange(self.count)
        if site.cell >= self.count:
            cell = f"population {self.name!r}" if self.name else "a cell alone"
            raise MeshError(f"{where}.cell", f"{cell} has no cell {site.cell}",
                            f"its cells are 0 to {self.count - 1}" if self.count > 1 else "its only cell is 0")
        return np.array([site.cell])


@dataclass(frozen=True, eq=False)
class Tree:
    """The electrical skeleton of cells: nodes are the middles of compartments, and the ends of sections, where branches
    meet, which have no area (Hines 1984, doi 10.1016/0020-7101(84)90008-4).

    The cells of the mesh are the segments between a node and its parent.

    Attributes
    ----------
    parent : (n,) -1 at a root; parents come before their children
    area : (n,) cm^2, membrane of the node's compartment: the lateral area of its frusta, times the area factor of its
        region
    axial : (n,) 1/cm, integral of dx / (pi r^2) from the parent to the node, 0 at roots, weighted by the Ra of regions
        over that of [cable]: the resistance between them is [cable]'s Ra times that
    upper : (n,) 1/cm, the part of ``axial`` in the parent's compartment
    capacitance : (n,) C_m of the node over that of [cable]
    section, x : (n,) the node's section, a number of ``sections``, and where on it, 0..1
    distance : (n,) cm, along the branches, from the middle of the soma, or from where a cell without one starts
    diameter : (n,) cm, mean of the compartment
    populations : the cells, in the order of their nodes
    """

    parent: NDArray[np.int64]
    area: NDArray[np.float64]
    axial: NDArray[np.float64]
    upper: NDArray[np.float64]
    capacitance: NDArray[np.float64]
    section: NDArray[np.int64]
    x: NDArray[np.float64]
    distance: NDArray[np.float64]
    diameter: NDArray[np.float64]
    populations: tuple[Population, ...]

    @cached_property
    def sections(self) -> tuple[SectionInfo, ...]:
        """Those of a cell of each population, one population after the other."""
        return tuple(section for population in self.populations for section in population.sections)

    @cached_property
    def known_at(self) -> NDArray[np.int64]:
        """(n,) the node where V of each is known: its own, but of an end where nothing follows the compartment there.

        No current flows in the half compartment before such an end, so V is the same, and a run does without it.
        """
        child = np.flatnonzero(self.parent >= 0)
        one, other = np.concatenate([child, self.parent[child]]), np.concatenate([self.parent[child], child])
        end = (np.bincount(one, minlength=len(self.parent)) == 1) & (self.area == 0.0)
        found = np.arange(len(self.parent))
        found[one[end[one]]] = other[end[one]]
        return found

    @cached_property
    def solved(self) -> NDArray[np.bool_]:
        """(n,) whether a node takes part in a run; see `known_at`."""
        return np.asarray(self.known_at == np.arange(len(self.parent)))

    @cached_property
    def cell(self) -> NDArray[np.int64]:
        """(n,) the number of each node's cell, over all populations."""
        sizes = np.repeat([p.n_nodes for p in self.populations], [p.count for p in self.populations])
        return np.repeat(np.arange(len(sizes)), sizes)

    @cached_property
    def cells(self) -> NDArray[np.int64]:
        """(cells,) the node in the middle of the first section of each, which is the soma where a cell has one."""
        return np.concatenate([p.first_node + p.n_nodes * np.arange(p.count) + p.sections[0].node_at(0.5)
                               for p in self.populations])

    def population_at(self, site: Site, where: str) -> Population:
        """The population that a site names; the only one where it names none.

        Raises
        ------
        MeshError at ``where``, the key of the site, for one that there is not, or that is not said
        """
        names = [population.name for population in self.populations]
        if site.population is None:
            if len(names) > 1:
                raise MeshError(f"{where}.population", "missing: there are several populations",
                                f"add population = {names[0]!r}; there are {', '.join(map(repr, names))}")
            return self.populations[0]
        if site.population not in names:
            raise MeshError(f"{where}.population", f"there is no population {site.population!r}",
                            did_you_mean(site.population, names) if any(names) else "the mesh is a cell alone: "
                            'remove it, or take mesh.kind = "network"')
        return self.populations[names.index(site.population)]

    def compartments_at(self, site: Site, where: str) -> NDArray[np.int64]:
        """(k,) the compartment that holds a site on each cell that it addresses.

        Raises
        ------
        MeshError at ``where``, the key of the site, for a population, cell or section that there is not
        """
        population = self.population_at(site, where)
        node = population.section_named(site.section, f"{where}.section").compartment_at(site.x)
        return population.first_node + population.n_nodes * population.cells_at(site, where) + node

    def nodes_at(self, site: Site, where: str) -> NDArray[np.int64]:
        """As `compartments_at`, but at x = 0 and x = 1 the ends of the section."""
        population = self.population_at(site, where)
        node = population.section_named(site.section, f"{where}.section").node_at(site.x)
        return population.first_node + population.n_nodes * population.cells_at(site, where) + node

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
