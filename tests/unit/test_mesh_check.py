"""Broken meshes: mended with a note, or refused with the exact text."""

from dataclasses import replace

import numpy as np
import pytest

from upstroke.case.schema import CableMesh, SlabMesh
from upstroke.errors import MeshError
from upstroke.mesh import Mesh, build_mesh
from upstroke.mesh.check import checked, signed_sizes

pytestmark = pytest.mark.filterwarnings("error")


def made(points, cells, **more):
    cells = np.array(cells, np.int32)
    return Mesh(np.array(points, float), cells, np.zeros(len(cells), np.int32), **more)


TET = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.1, 0.1, -0.1]]


def small(scale=0.1, cells=((0, 1, 2, 3),), **more):
    return made(np.array(TET) * scale, cells, **more)


def test_a_good_mesh_passes_as_it_is():
    mesh = build_mesh(SlabMesh(size=(0.2, 0.1, 0.1), dx=0.1))
    again = checked(mesh, "slab")
    assert again.notes == ()
    assert again.cells is mesh.cells
    assert again.points is mesh.points


def test_inverted_tetrahedra_are_turned():
    mesh = checked(small(cells=[(0, 1, 3, 2), (0, 2, 1, 4)]), "m.vtu")
    assert (signed_sizes(mesh.points, mesh.cells) > 0).all()
    np.testing.assert_array_equal(mesh.cells, [[0, 1, 2, 3], [0, 2, 1, 4]])
    assert mesh.notes == ("1 of 2 tetrahedra were inside out: two of their nodes were swapped",)


def test_stray_nodes_are_dropped_and_sets_renumbered():
    mesh = made([[9, 9, 9], *np.array(TET) * 0.1], [[1, 2, 3, 4]],
                node_sets={"a": np.array([0, 1, 4]), "b": np.array([2, 3])})
    mesh = checked(mesh, "m.vtu")
    np.testing.assert_array_equal(mesh.cells, [[0, 1, 2, 3]])
    assert mesh.n_points == 4
    assert {name: nodes.tolist() for name, nodes in mesh.node_sets.items()} == {"a": [0, 3], "b": [1, 2]}
    assert mesh.notes == ("dropped 2 of 6 nodes, which belong to no cell; the rest was renumbered",
                          "node set 'a' lost 1 of its 3 nodes with them")


def test_mostly_stray_nodes_are_worth_a_warning():
    mesh = made(np.vstack([np.array(TET) * 0.1, np.zeros((9, 3))]), [[0, 1, 2, 3]])
    assert checked(mesh, "m.vtu").notes == (
        "warning: dropped 10 of 14 nodes, which belong to no cell; the rest was renumbered "
        "(do points and cells belong to the same mesh?)",)


def test_numbers_at_nodes_go_with_their_nodes():
    mesh = made(np.array([[k, 0, 0] for k in range(5)]) * 0.1, [[0, 1], [2, 4]], point_data={"u": np.arange(5.0)})
    assert checked(mesh, "m.vtu").point_data["u"].tolist() == [0, 1, 2, 4]


def test_disconnected_parts_are_told():
    points = [[k, 0, 0] for k in range(9)]
    mesh = checked(made(np.array(points) * 0.1, [[0, 1], [1, 2], [3, 4], [5, 6], [6, 7], [7, 8]]), "m.vtu")
    assert mesh.notes == ("the mesh is in 3 disconnected parts, of 3, 2, 1 cells; "
                          "nothing propagates from one to another",)


@pytest.mark.parametrize(("length", "n", "note"), [
    (200.0, 1000, 'warning: the mesh is 2 m across: check mesh.unit = "mm"'),
    (2e4, 1000, 'warning: the mesh is 200 m across: check mesh.unit = "mm"'),
    (2e-4, 10, 'warning: the mesh is 2 um across: check mesh.unit = "mm"'),
    (2e-6, 10, 'warning: the mesh is 20 nm across: check mesh.unit = "mm"'),
    (20.0, 20, 'warning: half of the mesh\'s edges are longer than 1 cm: check mesh.unit = "mm"'),
    (0.05, 1000, 'warning: half of the mesh\'s edges are shorter than 500 nm: check mesh.unit = "mm"'),
])
def test_sizes_that_suggest_a_wrong_unit(length, n, note):
    mesh = replace(build_mesh(CableMesh(length=length, dx=length / n)), notes=())
    assert checked(mesh, "m.vtu", 'mesh.unit = "mm"').notes == (note,)


@pytest.mark.parametrize(("mesh", "text"), [
    (small(cells=[(0, 1, 2, 3), (0, 1, 2, 5)]),
     "m.vtu: 1 of 2 cells refer to nodes that do not exist (the first is cell 1 with nodes 0, 1, 2, 5; "
     "the mesh has nodes 0 to 4)\n  -> write the mesh again; points and cells may belong to different meshes"),
    (small(cells=[(0, 1, 2, -1)]),
     "m.vtu: 1 of 1 cells refer to nodes that do not exist (the first is cell 0 with nodes 0, 1, 2, -1; "
     "the mesh has nodes 0 to 4)\n  -> write the mesh again; points and cells may belong to different meshes"),
    (replace(small(), points=np.array([[0, 0, 0], [np.nan, 0, 0], [0, np.inf, 0], [0, 0, 1.0]])),
     "m.vtu: 2 of 4 points are not finite (the first is point 1)\n  -> write the mesh again"),
    (small(cells=[(0, 1, 2, 3), (0, 1, 1, 4)]),
     "m.vtu: 1 of 2 cells use a node twice (the first is cell 1 with nodes 0, 1, 1, 4)\n"
     "  -> remove these collapsed cells from the mesh"),
    (made([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0.1, 0.1, 0], [0, 0, 0.1]], [[0, 1, 2, 4], [0, 1, 2, 3]]),
     "m.vtu: 1 of 2 tetrahedra have no volume (the first is cell 1 with nodes 0, 1, 2, 3)\n"
     "  -> remove these flat cells, or mesh the domain again with a quality limit"),
    (made([[0, 0, 0], [0.1, 0.1, 0.1], [0.3, 0.3, 0.3]], [[0, 1, 2]]),
     "m.vtu: 1 of 1 triangles have no area (the first is cell 0 with nodes 0, 1, 2)\n"
     "  -> remove these flat cells, or mesh the domain again with a quality limit"),
    (made([[0, 0, 0], [0.1, 0, 0], [0.1, 0, 0]], [[0, 1], [1, 2]]),
     "m.vtu: 1 of 2 segments have no length (the first is cell 1 with nodes 1, 2)\n"
     "  -> remove these flat cells, or mesh the domain again with a quality limit"),
    (small(cells=[(0, 1, 2, 3), (0, 2, 1, 4), (2, 0, 1, 3), (3, 2, 1, 0)]),
     "m.vtu: 2 of 4 cells are repetitions (the first is cell 2, the same as cell 0)\n"
     "  -> remove the copies; gmsh writes a cell once for each physical group that it is in, "
     "so put each entity into one group"),
])
def test_refused(mesh, text):
    with pytest.raises(MeshError) as caught:
        checked(mesh, "m.vtu")
    assert str(caught.value) == text
