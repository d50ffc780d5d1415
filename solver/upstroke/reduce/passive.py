"""A neuron without its channels as a matrix: what it takes to reduce it, and to say what was lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh, splu

from upstroke.mesh.tree import Tree

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

SMALL = 200                          # nodes for which a dense matrix is as good


@dataclass(frozen=True, eq=False)
class Passive:
    """C dV/dt = -K V - g (V - E) + I, node by node: the cable equation of a passive cell, in compartments.

    Attributes
    ----------
    tree : its skeleton
    capacitance, leak, reversal : (n,) uF, mS, mV: C_m A, g_leak A, E_leak
    coupling : (n, n) mS, K of the axial conductances
    """

    tree: Tree
    capacitance: Floats
    leak: Floats
    reversal: Floats
    coupling: sparse.csr_array

    def impedance(self, nodes: Sequence[int], frequencies: Sequence[float], more: Complex | float = 0.0) -> Complex:
        """(f, n, m) kOhm: V at every node for a current at some, Z(w) = (g + K + i w C)^-1, w = 2 pi f with f in 1/ms.

        ``more``, (f, n) mS, is added to g: what channels answer. Divide by 1e3 for mV per nA, which is MOhm.
        """
        here = np.zeros((len(self.leak), len(nodes)), complex)
        here[list(nodes), np.arange(len(nodes))] = 1.0
        added = np.broadcast_to(more, (len(frequencies), len(self.leak)))
        admittance = (self.coupling + sparse.diags_array(self.leak + y + 2j * math.pi * f * self.capacitance)
                      for f, y in zip(frequencies, added, strict=True))
        return np.array([splu(matrix.tocsc()).solve(here) for matrix in admittance])

    @property
    def rest(self) -> Floats:
        """(n,) mV, V when nothing changes."""
        matrix = (self.coupling + sparse.diags_array(self.leak)).tocsc()
        return np.asarray(splu(matrix).solve(self.leak * self.reversal))

    @property
    def time_constant(self) -> float:
        """ms, of the slowest mode: 1 / lambda of (g + K) x = lambda C x."""
        matrix = (self.coupling + sparse.diags_array(self.leak)).tocsc()
        root, solve = np.sqrt(self.capacitance), splu(matrix).solve
        if len(root) < SMALL:
            return float(np.linalg.eigvalsh(root[:, None] * solve(np.diag(root)))[-1])
        inverse = LinearOperator(matrix.shape, lambda x: root * solve(root * x.ravel()), dtype=float)
        return float(eigsh(inverse, k=1, which="LA", v0=root, return_eigenvectors=False)[0])
