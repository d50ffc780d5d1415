"""What the files of a run hold, by name: the same names and units in every format."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from upstroke.mesh.mesh import Mesh
from upstroke.mesh.strands import Strands
from upstroke.observe.activation import ActivationMap

MM_PER_CM = 10.0   # files for viewing are in mm
UM_PER_CM = 1e4    # what is said of neurons is in um


class CellType(NamedTuple):
    """How file formats call a shape of cells, and where they take each of its corners from."""

    meshio: str
    vtk: int
    order: tuple[int, ...]


CELL_TYPES = {                                                   # https://docs.vtk.org, vtkCellType.h
    ("simplex", 1): CellType("line", 3, (0, 1)),
    ("simplex", 2): CellType("triangle", 5, (0, 1, 2)),
    ("simplex", 3): CellType("tetra", 10, (0, 1, 2, 3)),
    ("box", 2): CellType("quad", 9, (0, 1, 3, 2)),                # round the square, not row by row
    ("box", 3): CellType("hexahedron", 12, (0, 1, 3, 2, 4, 5, 7, 6)),
}


def cell_type(mesh: Mesh) -> CellType:
    return CELL_TYPES[mesh.shape, mesh.dim]


def vtk_blocks(mesh: Mesh) -> list[tuple[CellType, NDArray[np.int32]]]:
    """The cells with their corners in VTK's order, and after them the lines of Purkinje strands."""
    kind = cell_type(mesh)
    cells = mesh.cells if kind.order == tuple(range(len(kind.order))) else mesh.cells[:, kind.order]
    return [(kind, cells)] + ([(CELL_TYPES["simplex", 1], mesh.purkinje.lines)] if mesh.purkinje is not None else [])


def point_data(activation: ActivationMap) -> dict[str, NDArray[np.float64]]:
    """The fields of every beat by name, (n,) each, ms; the first beat's are there even if no node has one."""
    n = activation.activation.shape[1]
    fields = {"activation_ms": activation.activation, "repolarisation_ms": activation.repolarisation,
              f"{activation.apd_name}_ms": activation.apd}
    beats = max(activation.beats, 1)
    return {name if beat == 0 else f"{name}_{beat + 1}": values[beat] if beat < len(values) else np.full(n, np.nan)
            for beat in range(beats) for name, values in fields.items()}


def cell_data(mesh: Mesh) -> dict[str, NDArray[Any]]:
    """Region, and fibre and sheet where the mesh has them.

    Of neurons also, of the node that each segment leads to: its section, as sections.csv counts them, the diameter
    there, and the way to it along the branches from the soma. Of Purkinje strands, which come after the cells: their
    diameter (0 of the tissue); a strand's fibre is its direction.
    """
    fields: dict[str, NDArray[Any] | None] = {"region": mesh.region, "fibre": mesh.fibre, "sheet": mesh.sheet}
    if mesh.tree is not None:
        node, tree = mesh.cells[:, 1], mesh.tree
        fields |= {"section": tree.section[node].astype(np.int32), "diameter_um": UM_PER_CM * tree.diameter[node],
                   "distance_um": UM_PER_CM * tree.distance[node]}
    known = {name: values for name, values in fields.items() if values is not None}
    return known if mesh.purkinje is None else _with_strands(known, mesh, mesh.purkinje)


def _with_strands(known: dict[str, NDArray[Any]], mesh: Mesh, strands: Strands) -> dict[str, NDArray[Any]]:
    own = {"region": strands.region, "fibre": strands.direction(mesh.points),
           "sheet": np.zeros((len(strands.lines), 3))}
    joined = {name: np.concatenate([values, own[name]]) for name, values in known.items()}
    diameter = np.concatenate([np.zeros(mesh.n_cells), UM_PER_CM * strands.diameter])
    return joined | {"diameter_um": diameter}
