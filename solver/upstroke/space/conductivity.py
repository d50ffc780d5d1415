"""Conductivity tensors of the cells, from the tables of the case."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import ConductivityTable, Tissue
from upstroke.errors import CaseError
from upstroke.mesh.labels import values_in_cells
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.order import table_of_cells

Values = float | NDArray[np.float64]


def axis_values(table: ConductivityTable) -> tuple[float, ...]:
    """Monodomain conductivity along each axis, mS/cm: as given, or sigma_i sigma_e / (sigma_i + sigma_e)."""
    if table.monodomain is not None:
        return table.monodomain
    assert table.intracellular is not None and table.extracellular is not None   # the case was checked
    return tuple(i * e / (i + e) for i, e in zip(table.intracellular, table.extracellular, strict=True))


def cells_where(mesh: Mesh, tissue: Tissue, holds: Callable[[ConductivityTable], bool]) -> NDArray[np.bool_]:
    """(m,) whether this holds of the table of each cell."""
    return np.asarray([holds(table) for table in tissue.conductivity])[_tables(mesh, tissue)]


def _tables(mesh: Mesh, tissue: Tissue) -> NDArray[np.int64]:
    """(m,) the number of the table of each cell."""
    return table_of_cells(mesh, [t.regions for t in tissue.conductivity], "tissue.conductivity", "conductivity")


def diffusivity(tissue: Tissue, mesh: Mesh) -> NDArray[np.float64]:
    """Diffusion tensors D = sigma / (beta C_m) of all cells, (m, 3, 3) in cm^2/ms; sigma is the monodomain one.

    Raises
    ------
    as `_tensors`
    """
    return _tensors(tissue, mesh, axis_values, 1.0 / (tissue.surface_to_volume * tissue.capacitance))


def bidomain(tissue: Tissue, mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intracellular and extracellular conductivity of all cells, (m, 3, 3) each, in mS/cm.

    Raises
    ------
    as `_tensors`
    """
    return (_tensors(tissue, mesh, lambda table: table.intracellular or (0.0,)),
            _tensors(tissue, mesh, lambda table: table.extracellular or (0.0,)))


def _tensors(tissue: Tissue, mesh: Mesh, values_of: Callable[[ConductivityTable], tuple[float, ...]],
             over: float = 1.0) -> NDArray[np.float64]:
    """Conductivity tensors of all cells, (m, 3, 3), times ``over``.

    sigma = s_n I + (s_l - s_n) f f^T + (s_t - s_n) s s^T with fibre f, sheet s and normal values s_l, s_t, s_n, each
    what the table gives times its `scale`; two values mean s_n = s_t (transversely isotropic), one means isotropic.

    Raises
    ------
    CaseError where a region has no conductivity, an unknown name, or lacks the directions that its table needs, and
    where a scale has no value above 0; MeshError for data that the mesh lacks
    """
    sigma = np.zeros((mesh.n_cells, 3, 3))
    owner = _tables(mesh, tissue)
    for k, table in enumerate(tissue.conductivity):
        where = "tissue.conductivity" if len(tissue.conductivity) == 1 else f"tissue.conductivity.{k}"
        scaled = _scaled(table, values_of(table), mesh, owner == k, f"{where}.scale")
        sigma[owner == k] = over * _tensor(scaled, mesh, owner == k)
    return sigma


def _scaled(table: ConductivityTable, values: Sequence[float], mesh: Mesh, cells: NDArray[np.bool_],
            where: str) -> tuple[Values, ...]:
    """Conductivities of some cells along fibre, sheet and normal, mS/cm, each a number or one for each cell."""
    scale = table.scale if isinstance(table.scale, tuple) else (table.scale,)
    if 1 < len(scale) < len(values):
        raise CaseError(where, f"{len(scale)} values, but there are {len(values)} conductivities",
                        "give one value for all axes, or one for each")
    factors = [_factor(factor, mesh, cells, where if len(scale) == 1 else f"{where}.{axis}")
               for axis, factor in enumerate(scale)]
    return tuple(_of_axis(values, axis) * _of_axis(factors, axis) for axis in range(3))


def _of_axis(values: Sequence[Values], axis: int) -> Values:
    """The last of the values is that of all further axes."""
    return values[min(axis, len(values) - 1)]


def _factor(factor: float | str, mesh: Mesh, cells: NDArray[np.bool_], where: str) -> Values:
    if not isinstance(factor, str):
        return factor
    values = values_in_cells(mesh, factor, where)[cells]
    if (bad := ~((values > 0.0) & np.isfinite(values))).any():
        first = np.flatnonzero(cells)[bad][0]
        raise CaseError(where, f"is not a number above 0 in {bad.sum():,} of the {len(values):,} cells of its regions "
                        f"(the first is cell {first}: {values[bad][0]:g})", "a scale multiplies conductivities; give "
                        "tissue that does not conduct a region of its own, with conductivity 0")
    return values


def _tensor(values: tuple[Values, ...], mesh: Mesh, cells: NDArray[np.bool_]) -> NDArray[np.float64]:
    along, across, normal = (np.broadcast_to(value, int(cells.sum()))[:, None, None] for value in values)
    if mesh.dim == 1:                       # a cable conducts along itself
        return np.asarray(along * np.eye(3))
    sigma = np.asarray(normal * np.eye(3))
    if (along != normal).any():
        sigma += (along - normal) * _outer(mesh.fibre, cells, "fibre")
    if (across != normal).any():
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
