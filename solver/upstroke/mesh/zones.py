"""Regions of tissue by expressions, cell by cell: ``sqrt(x**2 + y**2) < 5 mm``, ``transmural > 0.5 and lge > 0.2``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from upstroke.errors import CaseError
from upstroke.mesh.expressions import condition
from upstroke.mesh.labels import places_of_cells
from upstroke.mesh.mesh import Mesh


def with_zones(mesh: Mesh, regions: Mapping[str, str]) -> Mesh:
    """The mesh of tissue with named regions: each cell belongs to the first whose expression holds in its middle, else
    to the region that it had.

    Raises
    ------
    CaseError for an expression that cannot be read or holds nowhere, and for a name that a region has already
    """
    if not regions:
        return mesh
    known = places_of_cells(mesh)
    tags, names, free = mesh.region.copy(), dict(mesh.region_names), np.ones(mesh.n_cells, bool)
    first = int(tags.max()) + 1
    for k, (name, expression) in enumerate(regions.items()):
        where = f"mesh.regions.{name}"
        if name in mesh.region_names:
            raise CaseError(where, "is the name of a region of the mesh already", "give it another name")
        holds = condition(expression, known, mesh.n_cells, where)
        if not holds.any():
            raise CaseError(where, f"{expression!r} holds in the middle of no cell", "lengths are those of the mesh: "
                            "`upstroke check` says how large it is; a region as thin as a cell may miss all middles")
        if not (holds & free).any():
            raise CaseError(where, f"wherever {expression!r} holds, an earlier region holds, too",
                            "put the narrower region first")
        tags[holds & free] = names[name] = first + k
        free &= ~holds
    return replace(mesh, region=tags, region_names={name: tag for name, tag in names.items() if (tags == tag).any()})
