"""A neuron with a passive membrane as a matrix: what it takes to reduce it, and to say what was lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh, splu

from upstroke.case import Case, located
from upstroke.case.schema import NetworkMesh
from upstroke.errors import CaseError
from upstroke.ionic import load_model, rates
from upstroke.ionic.spelling import parameters_of
from upstroke.mesh import build_mesh
from upstroke.mesh.labels import values_at
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.order import membrane_of_nodes
from upstroke.mesh.tree import Tree
from upstroke.space import assemble_tree

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

TRIED = (-100.0, -80.0, -50.0, 10.0)         # mV, where a membrane's current is looked at, unevenly
SMALL = 200                          # nodes for which a dense matrix is as good
LINEAR = 1e-9                        # relative: a current that bends by less is a straight line


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

    def impedance(self, nodes: Sequence[int], frequencies: Sequence[float]) -> Complex:
        """(f, n, m) kOhm: V at every node for a current at some, Z(w) = (g + K + i w C)^-1, w = 2 pi f with f in 1/ms.

        Divide by 1e3 for mV per nA, which is MOhm.
        """
        here = np.zeros((len(self.leak), len(nodes)), complex)
        here[list(nodes), np.arange(len(nodes))] = 1.0
        admittance = (self.coupling + sparse.diags_array(self.leak + 2j * math.pi * f * self.capacitance)
                      for f in frequencies)
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


def passive_of(case: Case) -> Passive:
    """The matrix of a case, whose mesh is a neuron and whose membranes are passive.

    Raises
    ------
    CaseError for tissue, and for a membrane that is not a conductance and a reversal potential
    """
    with located(case):
        if case.cable is None:
            raise CaseError("mesh", f'is no neuron but of kind "{case.mesh.kind}"',
                            'only neurons can be reduced: mesh.kind = "morphology" or "sections"')
        if isinstance(case.mesh, NetworkMesh):
            raise CaseError("mesh", "is a network, and only a single cell is reduced",
                            "give a case whose [mesh] is the cell of a population")
        mesh = build_mesh(case.mesh, case.cable)
        assert mesh.tree is not None
        owner = membrane_of_nodes(mesh, [table.regions for table in case.membrane])
        g, E = np.empty(len(owner)), np.empty(len(owner))
        for k in range(len(case.membrane)):
            g[owner == k], E[owner == k] = _leak(case, k, mesh, np.flatnonzero(owner == k))
    operator, C_m = assemble_tree(mesh.tree, case.cable), case.cable.capacitance
    area = mesh.tree.area
    return Passive(mesh.tree, C_m * operator.lumped_mass, g * area, E, C_m * operator.stiffness)


def _leak(case: Case, k: int, mesh: Mesh, nodes: NDArray[np.int64]) -> tuple[Any, Any]:
    """mS/cm^2, mV: g and E of a membrane whose current is g (V - E), at its nodes."""
    table = case.membrane[k]
    where = "membrane" if len(case.membrane) == 1 else f"membrane.{k}"
    with located(case, where):
        model = load_model(table.model, table.flags, table.parameters, table.method, table.plugins)
        if not model.states and not model.events:
            nodal = {name: values_at(mesh, data, nodes, f"{where}.nodal.{name}")
                     for name, data in parameters_of(model, table.nodal).items()}
            currents = [rates(model, V, {"V": V}, parameters=nodal)[0] for V in TRIED]
            span = currents[-1] - currents[0]
            g = span / (TRIED[-1] - TRIED[0])
            bent = [np.abs(i - currents[0] - g * (V - TRIED[0])) for V, i in zip(TRIED, currents, strict=True)]
            if np.all(np.max(bent, axis=0) <= LINEAR * np.abs(span)) and np.all(g > 0.0):
                return g, TRIED[1] - currents[1] / g
        raise CaseError(where, f"{model.name} is not passive, and only passive cells are reduced so far",
                        'take model = "Passive" with Rm and V_rest; channels are not fitted')
