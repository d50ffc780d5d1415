"""The potential outside the cells, recovered from V where the mesh ends and no current leaves it.

What leaves the cells comes back outside them. With sigma_i inside and sigma_e outside (of a bath: sigma_e alone)::

    div((sigma_i + sigma_e) grad phi_e) = -div(sigma_i grad V),      K phi_e = -K_i V

It is the second equation of the bidomain model, for the V of a monodomain run ("pseudo-bidomain": M. J. Bishop, G.
Plank, IEEE Trans. Biomed. Eng. 58, 2297 (2011)). phi_e is known but for a constant on each part of the mesh that
conducts; here its mean, by volume, is zero on each.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.case.schema import Tissue
from upstroke.mesh.locate import nearest_nodes
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.topology import parts
from upstroke.space.conductivity import bidomain, cells_where
from upstroke.space.fem import assemble
from upstroke.space.grid import assemble_grid
from upstroke.space.multigrid import Multigrid, dot
from upstroke.space.operator import Operator

Floats = NDArray[np.float64]

TOLERANCE = 1e-8       # of the residual's energy norm against that of the right-hand side


class Extracellular:
    """phi_e on a mesh, of which every table of conductivities has both values, or none.

    Matrices are those of plain finite elements (of grids: of their stencil), whatever operator V is computed with.
    Purkinje strands make no current here; phi_e of their nodes is that of the nearest node of the tissue.
    """

    def __init__(self, tissue: Tissue, mesh: Mesh) -> None:
        self._tissue, self._whole, self._mesh = tissue, mesh, mesh.tissue

    @cached_property
    def _beside(self) -> NDArray[np.int64]:
        """The node of the tissue nearest to each node of strands."""
        if self._whole.purkinje is None:
            return np.zeros(0, np.int64)
        return nearest_nodes(self._whole, self._whole.points[self._whole.n_tissue:])[0]

    @cached_property
    def part(self) -> NDArray[np.int32]:
        """(n,) the part of the mesh that each node of the tissue lies in: no current flows between two of them."""
        mesh = self._mesh
        return parts(mesh.cells[cells_where(mesh, self._tissue, lambda table: table.extracellular is not None)],
                     mesh.n_points)

    @cached_property
    def _matrices(self) -> tuple[sparse.csr_array, Multigrid, Floats]:
        """K_i, K to solve with, and the volume of each node: mS cm^(d-2) and cm^d."""
        inside, outside = bidomain(self._tissue, self._mesh)
        both = self._operator(inside + outside)
        return self._operator(inside).stiffness, Multigrid(both.stiffness), both.lumped_mass

    def _operator(self, sigma: Floats) -> Operator:
        return assemble(self._mesh, sigma) if self._mesh.grid is None else assemble_grid(self._mesh, sigma)

    def potential(self, V: NDArray[np.floating]) -> Floats:
        """(n,) phi_e in mV, of V (n,) in mV; NaN where V is not finite.

        Raises
        ------
        DivergenceError where the mesh is too bad to solve on
        """
        if not np.isfinite(V).all():
            return np.full(len(V), np.nan)
        v = np.asarray(V[:self._mesh.n_points], np.float64)
        K_i, K, volume = self._matrices
        b = self._balanced(-(K_i @ v))
        # The guess is what V would give with equal anisotropy, phi_e = -a V, with the a that comes nearest: it needs
        # no past.
        energy = dot(v, K.A @ v)
        guess = dot(v, b) / energy * v if energy > 0.0 else 0.0 * v
        phi = self._centred(K.solve(b, guess, TOLERANCE, "phi_e"), volume)
        return np.concatenate([phi, phi[self._beside]])

    def lead_fields(self, nodes: NDArray[np.int64]) -> Floats:
        """(k, n) W with phi_e[nodes] = W V, by reciprocity: W_a = -K_i Z_a with K Z_a = e_a - |i| / sum |i|.

        Z_a is the potential of a current that enters at the node and leaves all over its part, as much per volume
        (R. McFee, F. D. Johnston, Circulation 8, 554 (1953), doi 10.1161/01.CIR.8.4.554).

        Raises
        ------
        DivergenceError as `potential`
        """
        K_i, K, volume = self._matrices
        weights = np.zeros((len(nodes), len(volume) + len(self._beside)))
        for weight, node in zip(weights, nodes, strict=True):
            current = np.where(self.part == self.part[node], -volume, 0.0)
            current /= -current.sum()
            current[node] += 1.0
            Z = K.solve(self._balanced(current), np.zeros(len(volume)), TOLERANCE, "watch.ecg")
            weight[:len(volume)] = -(K_i @ Z)
        return weights

    def _balanced(self, current: Floats) -> Floats:
        """Without what rounding leaves of its sum on each part."""
        return self._centred(current, np.ones(len(current)))

    def _centred(self, values: Floats, weight: Floats) -> Floats:
        """Less their mean on each part."""
        mean = np.bincount(self.part, weight * values) / np.bincount(self.part, weight)
        return np.asarray(values - mean[self.part], np.float64)
