"""``activation.vtu``: activation, repolarisation and APD at every node, for ParaView, PyVista and meshio.

Points are in mm. Point data of the first beat: ``activation_ms``, ``repolarisation_ms``, ``apd90_ms`` (90: the
fraction of the case); of further beats the same with ``_2``, ``_3``, ... at the end; NaN where a node has no such
beat; then what `observe.maps` makes of them. Cell data: ``region``, and ``fibre`` and ``sheet`` where the mesh has
them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from upstroke.mesh.mesh import Mesh
from upstroke.observe.activation import ActivationMap
from upstroke.observe.maps import NO_MAPS, Maps
from upstroke.output.fields import MM_PER_CM, cell_data, point_data, vtk_blocks
from upstroke.output.files import whole_file


def write_activation(path: Path, mesh: Mesh, activation: ActivationMap, maps: Maps = NO_MAPS) -> None:
    """Write ``activation.vtu``, whole or not at all.

    Raises
    ------
    OutputError where it cannot be written
    """
    import meshio

    blocks = vtk_blocks(mesh)
    starts = np.cumsum([len(cells) for _, cells in blocks])[:-1]
    grid = meshio.Mesh(mesh.points * MM_PER_CM, [(kind.meshio, cells) for kind, cells in blocks],
                       point_data(activation) | maps.fields,
                       {name: np.split(values, starts) for name, values in cell_data(mesh).items()})
    with whole_file(path) as part:
        meshio.write(part, grid, file_format="vtu")
