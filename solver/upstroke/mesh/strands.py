"""Purkinje strands: lines between nodes that follow those of the tissue, and where they meet it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Strands:
    """All strands of a mesh, and their junctions.

    Attributes
    ----------
    first : number of the first node of a strand; all nodes before it are of the tissue, all others of strands
    lines : (k, 2) int32, the nodes that each piece of strand joins
    region : (k,) int32, the tag of each piece: that of its tree
    diameter : (k,) cm
    conductance : (k,) mS, along each piece
    area : (p,) cm^2, the membrane of each node of a strand
    tag : (p,) int32, the tree of each node of a strand
    junction : (j, 2) pairs of a strand's node and a node of the tissue
    coupling : (j,) mS, the conductance of each pair
    """

    first: int
    lines: NDArray[np.int32]
    region: NDArray[np.int32]
    diameter: NDArray[np.float64]
    conductance: NDArray[np.float64]
    area: NDArray[np.float64]
    tag: NDArray[np.int32]
    junction: NDArray[np.int64]
    coupling: NDArray[np.float64]

    @property
    def ends(self) -> NDArray[np.int64]:
        """(e,) their nodes that have a junction."""
        return np.unique(self.junction[:, 0])

    @property
    def nodes(self) -> NDArray[np.int64]:
        """(p,) the numbers of their nodes."""
        return np.arange(self.first, self.first + len(self.area))

    def direction(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(k, 3) unit vectors along the pieces."""
        d = points[self.lines[:, 1]] - points[self.lines[:, 0]]
        return np.asarray(d / np.linalg.norm(d, axis=1, keepdims=True), np.float64)

    def with_nodes(self, kept: NDArray[np.bool_], first: int) -> Strands:
        """What joins only these of a mesh's nodes, numbered anew, of which the first ``first`` are tissue."""
        number, own = np.cumsum(kept) - 1, kept[self.first:]
        line = kept[self.lines].all(axis=1)
        pair = kept[self.junction].all(axis=1)
        return Strands(first, number[self.lines[line]].astype(np.int32), self.region[line], self.diameter[line],
                       self.conductance[line], self.area[own], self.tag[own], number[self.junction[pair]],
                       self.coupling[pair])
