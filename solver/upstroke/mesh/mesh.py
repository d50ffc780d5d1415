"""The mesh: points, simplices of one dimension, and what is known of every cell."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Mesh:
    """A conforming mesh of segments, triangles or tetrahedra in three-dimensional space.

    Attributes
    ----------
    points : (n, 3) float64, cm
    cells : (m, d + 1) int32, node numbers; d = 1 segments, 2 triangles, 3 tetrahedra
    region : (m,) int32, the tag of each cell
    region_names : tag of each named region
    fibre, sheet : (m, 3) float64 unit vectors per cell, or None; sheet is orthogonal to fibre
    node_sets : node numbers of each named set
    notes : what the reader did to the file and the user should know ("dropped 1,204 boundary triangles")
    """

    points: NDArray[np.float64]
    cells: NDArray[np.int32]
    region: NDArray[np.int32]
    region_names: dict[str, int] = field(default_factory=dict)
    fibre: NDArray[np.float64] | None = None
    sheet: NDArray[np.float64] | None = None
    node_sets: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def dim(self) -> int:
        """Topological dimension d of the cells."""
        return self.cells.shape[1] - 1

    @property
    def n_points(self) -> int:
        return len(self.points)

    @property
    def n_cells(self) -> int:
        return len(self.cells)
