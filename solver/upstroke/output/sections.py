"""``sections.csv``: the sections of neurons, a line each, numbered as in ``vm.vtkhdf`` and ``activation.vtu``.

The cells of a population are copies of one, whose sections are listed once.
"""

from __future__ import annotations

import csv
from pathlib import Path

from upstroke.mesh.tree import Tree
from upstroke.output.fields import UM_PER_CM
from upstroke.output.files import whole_file

NAMES = ("section", "population", "name", "type", "parent", "parent_x", "length_um", "area_um2", "compartments")


def write_sections(path: Path, tree: Tree) -> None:
    """Write the table, whole or not at all.

    Raises
    ------
    OutputError where it cannot be written
    """
    rows: list[tuple[object, ...]] = []
    for population in tree.populations:
        for s in population.sections:
            parent = population.sections[s.parent].name if s.parent >= 0 else ""
            rows.append((len(rows), population.name, s.name, s.type, parent, f"{s.parent_x:g}",
                         f"{UM_PER_CM * s.length:.6g}", f"{UM_PER_CM ** 2 * s.area:.6g}", s.n_compartments))
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(NAMES)
        out.writerows(rows)
