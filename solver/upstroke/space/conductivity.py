"""Conductivity tensors of the cells, from the tables of the case."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import ConductivityTable, Tissue
from upstroke.errors import CaseError
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.order import table_of_cells


def axis_values(table: ConductivityTable) -> tuple[float, ...]:
    """Monodomain conductivity along each axis, mS/cm: as given, or sigma_i sigma_e / (sigma_i + sigma_e)."""
    if table.monodomain is not None:
        return table.monodomain
    assert table.intracellular is not None and table.extracellular is not None   # the case was checked
    return tuple(i * e / (i + e) for i, e in zip(table.intracellular, table.extracellular, strict=True))


def diffusivity(tissue: Tissue, mesh: Mesh) -> NDArray[np.float64]:
    """Diffusion tensors D = sigma / (beta C_m) of all cells, (m, 3, 3) in cm^2/ms.

    sigma = s_n I + (s_l - s_n) f f^T + (s_t - s_n) s s^T with fibre f, sheet s and normal values s_l, s_t, s_n;
    two values mean s_n = s_t (transversely isotropic), one means isotropic.

    Raises
    ------
    CaseError where a region has no conductivity, an unknown name, or lacks the directions that its table needs
    """
    scale = 1.0 / (tissue.surface_to_volume * tissue.capacitance)
    D = np.zeros((mesh.n_cells, 3, 3))
    owner = table_of_cells(mesh, [t.regions for t in tissue.conductivity], "tissue.conductivity", "conductivity")
    for k, table in enumerate(tissue.conductivity):
        D[owner == k] = scale * _tensor(axis_values(table), mesh, owner == k)
    return D


def _tensor(values: tuple[float, ...], mesh: Mesh, cells: NDArray[np.bool_]) -> NDArray[np.float64]:
    along, across, normal = values + (values[-1],) * (3 - len(values))
    sigma = np.broadcast_to(normal * np.eye(3), (int(cells.sum()), 3, 3)).copy()
    if along == across == normal:
        return sigma
    if mesh.dim == 1:                       # a cable conducts along itself
        return np.broadcast_to(along * np.eye(3), sigma.shape).copy()
    sigma += (along - normal) * _outer(mesh.fibre, cells, "fibre")
    if across != normal:
        sigma += (across - normal) * _outer(mesh.sheet, cells, "sheet")
    return sigma


def _outer(direction: NDArray[np.float64] | None, cells: NDArray[np.bool_], what: str) -> NDArray[np.float64]:
    if direction is None:
        raise CaseError("tissue.conductivity", f"the conductivity differs along the {what} but the mesh has no {what} "
                        "directions", f"give mesh.{what} a direction, for example {what} = [1, 0, 0]")
    d = direction[cells]
    zero = ~d.any(axis=1)
    if zero.any():
        raise CaseError("tissue.conductivity", f"{zero.sum()} cells of an anisotropic region have no {what} direction",
                        f"give them a {what}, or their region an isotropic conductivity")
    return np.einsum("ci,cj->cij", d, d)
