"""The mesh: points, cells of one shape and dimension, and what is known of every cell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from upstroke.mesh.strands import Strands
from upstroke.mesh.tree import Tree

SIMPLICES = ("points", "segments", "triangles", "tetrahedra")
BOXES = ("points", "segments", "squares", "cubes")      # rectangles and cuboids too, where dx differs by axis


@dataclass(frozen=True)
class Grid:
    """What the cells of a grid share.

    Attributes
    ----------
    spacing : (d,) edge length along each axis, cm
    stencil : which nodes of a cell couple: "compact", those that differ along one axis or two; "full", all
    """

    spacing: tuple[float, ...]
    stencil: Literal["compact", "full"] = "compact"


@dataclass(frozen=True, eq=False)
class Mesh:
    """A conforming mesh of simplices (segments, triangles, tetrahedra) in space, or of the equal boxes of a grid.

    The corners of a simplex are in any order (tetrahedra: positively oriented). Those of a box are in the order of a
    grid, x fastest: corner c lies on the far side along axis k where bit k of c is set. (VTK goes round each face
    instead; ``output.fields.vtk_blocks`` has that order.)

    Attributes
    ----------
    points : (n, 3) float64, cm
    cells : (m, d + 1) or, boxes, (m, 2^d) int32, node numbers; d = 1 segments, 2 triangles, 3 tetrahedra
    region : (m,) int32, the tag of each cell
    region_names : tag of each named region
    fibre, sheet : (m, 3) float64 unit vectors per cell, or None; sheet is orthogonal to fibre
    node_sets : node numbers of each named set
    notes : what the reader did to the file and the user should know ("dropped 1,204 boundary triangles")
    grid : what the boxes share; None for simplices
    bricks : of a built mesh, how many bricks of d! simplices it has along each axis: its nodes are those of a grid, x
        fastest, and the simplices of a brick follow each other, their first corner its lowest; None for others
    point_data : (n,) float64 of each name, a number at every node: for parameters that differ from node to node
    cell_data : (m,) float64 of each name, a number of every cell: for conductivities that differ from cell to cell
    purkinje : strands laid over the tissue, whose nodes are the last ones; None for others. Cells, and what is known of
        them, are of the tissue alone
    tree : of neurons: areas and resistances of the compartments, and their sections; None for others
    """

    points: NDArray[np.float64]
    cells: NDArray[np.int32]
    region: NDArray[np.int32]
    region_names: dict[str, int] = field(default_factory=dict)
    fibre: NDArray[np.float64] | None = None
    sheet: NDArray[np.float64] | None = None
    node_sets: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    grid: Grid | None = None
    bricks: tuple[int, ...] | None = None
    point_data: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    cell_data: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    tree: Tree | None = None
    purkinje: Strands | None = None

    @property
    def shape(self) -> Literal["simplex", "box"]:
        """What the cells are."""
        return "simplex" if self.grid is None else "box"

    @property
    def dim(self) -> int:
        """Topological dimension d of the cells."""
        return self.cells.shape[1] - 1 if self.grid is None else len(self.grid.spacing)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Pairs of corners of a cell that an edge joins: all of a simplex, those along an axis of a box."""
        corners = range(self.cells.shape[1])
        return tuple((a, b) for b in corners for a in range(b) if self.grid is None or (a ^ b).bit_count() == 1)

    @property
    def cell_name(self) -> str:
        """What the cells are called, in the plural."""
        return (SIMPLICES if self.grid is None else BOXES)[self.dim]

    @property
    def n_points(self) -> int:
        return len(self.points)

    @property
    def n_tissue(self) -> int:
        """How many of the nodes, the first ones, are not of Purkinje strands."""
        return self.n_points if self.purkinje is None else self.purkinje.first

    @property
    def tissue(self) -> Mesh:
        """The mesh without Purkinje strands."""
        if self.purkinje is None:
            return self
        n = self.n_tissue
        return replace(self, points=self.points[:n], purkinje=None,
                       point_data={name: values[:n] for name, values in self.point_data.items()},
                       node_sets={name: nodes for name, nodes in self.node_sets.items() if (nodes < n).all()})

    @property
    def n_cells(self) -> int:
        return len(self.cells)
