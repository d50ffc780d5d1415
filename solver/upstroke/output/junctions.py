"""``junctions.csv``: where Purkinje strands meet the tissue, a line for each junction, and when the first beat passed.

``strand_ms`` is the activation of the strand's end, ``tissue_ms`` the earliest among the nodes of the tissue that it is
joined to; empty where there was none. ``delay_ms`` is tissue_ms - strand_ms: negative where the tissue was first.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from upstroke.mesh.mesh import Mesh
from upstroke.observe.activation import ActivationMap
from upstroke.output.fields import MM_PER_CM
from upstroke.output.files import whole_file

NAMES = ("tree", "node", "x_mm", "y_mm", "z_mm", "tissue_nodes", "resistance_kohm", "strand_ms", "tissue_ms",
         "delay_ms")


class Passage(NamedTuple):
    """The junctions of a mesh: (e,) strands' ends, their tissue's number of nodes, resistance in kohm, times in ms."""

    ends: NDArray[np.int64]
    nodes: NDArray[np.int64]
    resistance: NDArray[np.float64]
    strand: NDArray[np.float64]
    tissue: NDArray[np.float64]

    @property
    def delay(self) -> NDArray[np.float64]:
        return self.tissue - self.strand

    def summary(self) -> dict[str, Any]:
        """How many junctions there are, how many passed the first beat on and which way, with what delay."""
        known = self.delay[np.isfinite(self.delay)]
        spread = {"min": known.min(), "median": float(np.median(known)), "max": known.max()} if len(known) else None
        return {"count": len(self.ends), "strand_first": int((known >= 0.0).sum()),
                "tissue_first": int((known < 0.0).sum()), "delay_ms": spread}


def passage(mesh: Mesh, activation: ActivationMap) -> Passage:
    """How the first beat passed the junctions of a mesh with Purkinje strands."""
    assert mesh.purkinje is not None
    junction = mesh.purkinje.junction
    first = activation.activation[0] if activation.beats else np.full(mesh.n_points, np.nan)
    ends, number = np.unique(junction[:, 0], return_inverse=True)
    earliest = np.full(len(ends), np.inf)
    np.fmin.at(earliest, number, first[junction[:, 1]])
    conductance = np.bincount(number, mesh.purkinje.coupling, len(ends))
    return Passage(ends, np.bincount(number, minlength=len(ends)), 1.0 / conductance, first[ends],
                   np.where(np.isfinite(earliest), earliest, np.nan))


def write_junctions(path: Path, mesh: Mesh, found: Passage) -> None:
    """Write the table, whole or not at all.

    Raises
    ------
    OutputError where it cannot be written
    """
    assert mesh.purkinje is not None
    names = {tag: name for name, tag in mesh.region_names.items()}
    tags = mesh.purkinje.tag[found.ends - mesh.purkinje.first]
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(NAMES)
        for k, end in enumerate(found.ends):
            times = ("" if np.isnan(t) else f"{t:.4f}" for t in (found.strand[k], found.tissue[k], found.delay[k]))
            out.writerow((names[int(tags[k])], end, *(f"{x:.6g}" for x in MM_PER_CM * mesh.points[end]), found.nodes[k],
                          f"{found.resistance[k]:.6g}", *times))
