"""Cells of a population, and where a site is on them."""

from dataclasses import replace

import numpy as np
import pytest

from upstroke.case.schema import Cable, Section, SectionsMesh, Site
from upstroke.errors import MeshError
from upstroke.mesh import build_mesh
from upstroke.mesh.tree import Tree

ALONE = build_mesh(SectionsMesh(section=(Section(name="soma", type="soma", length=2e-3, diameter=2e-3),
                                         Section(name="dend", parent="soma", length=2e-2, diameter=2e-4))),
                   Cable(axial_resistivity=0.1)).tree


def made(*counts: int) -> Tree:
    """Populations a, b, ... of copies of the cell."""
    (cell,), n = ALONE.populations, len(ALONE.parent)
    first = n * np.cumsum([0, *counts])
    return replace(ALONE, area=np.tile(ALONE.area, sum(counts)), populations=tuple(
        replace(cell, name="ab"[k], count=count, first_node=int(first[k])) for k, count in enumerate(counts)))


def test_a_site_of_a_cell_alone():
    assert (cell := ALONE.populations[0]).name == "" and cell.count == 1 and cell.end_node == len(ALONE.parent)
    dend = ALONE.sections[1]
    assert ALONE.compartments_at(Site(section="dend", x=1.0), "s").tolist() == [dend.end - 1]
    assert ALONE.nodes_at(Site(section="dend", x=1.0), "s").tolist() == [dend.end]
    assert ALONE.nodes_at(Site(section="dend", x=0.0, cell=0), "s").tolist() == [ALONE.sections[0].end]
    assert not ALONE.cell.any()


def test_a_site_is_on_each_cell_of_its_population_or_on_one():
    tree, n, node = made(3, 2), len(ALONE.parent), ALONE.sections[1].compartment_at(0.5)
    assert tree.cell.tolist() == [k for k in range(5) for _ in range(n)]
    assert tree.nodes_at(Site(section="dend", population="b"), "s").tolist() == [3 * n + node, 4 * n + node]
    assert tree.compartments_at(Site(section="dend", population="a", cell=2), "s").tolist() == [2 * n + node]
    assert made(3).compartments_at(Site(section="dend"), "s").tolist() == [node, n + node, 2 * n + node]


@pytest.mark.parametrize(("tree", "site", "text"), [
    (made(3, 2), {}, "probe.population: missing: there are several populations\n"
                     "  -> add population = 'a'; there are 'a', 'b'"),
    (made(3, 2), {"population": "c"}, "probe.population: there is no population 'c'\n  -> known: a, b"),
    (made(3, 2), {"population": "b", "cell": 2}, "probe.cell: population 'b' has no cell 2\n"
                                                 "  -> its cells are 0 to 1"),
    (made(1), {"cell": 1}, "probe.cell: population 'a' has no cell 1\n  -> its only cell is 0"),
    (ALONE, {"cell": 1}, "probe.cell: a cell alone has no cell 1\n  -> its only cell is 0"),
    (ALONE, {"population": "pyr"}, "probe.population: there is no population 'pyr'\n  -> the mesh is a cell alone: "
                                   'remove it, or take mesh.kind = "network"'),
    (made(2), {"section": "den"}, "probe.section: a cell of population 'a' has no section 'den'\n"
                                  "  -> did you mean 'dend'?"),
    (ALONE, {"section": "axon"}, "probe.section: the cell has no section 'axon'\n  -> known: dend, soma"),
])
def test_a_place_that_there_is_not(tree, site, text):
    for find in (tree.compartments_at, tree.nodes_at):
        with pytest.raises(MeshError) as error:
            find(Site(**{"section": "dend"} | site), "probe")
        assert str(error.value) == text
