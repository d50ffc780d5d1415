"""Nodes and cells at places, by region and by name."""

from dataclasses import replace

import numpy as np
import pytest

from upstroke.case.schema import CableMesh, SheetMesh, SlabMesh
from upstroke.errors import MeshError
from upstroke.mesh import (
    build_mesh,
    cells_of_regions,
    containing_cells,
    nearest_nodes,
    nodes_in_box,
    nodes_in_sphere,
    nodes_of_region,
    nodes_of_set,
    region_tag,
)


@pytest.fixture(scope="module")
def slab():
    mesh = build_mesh(SlabMesh(size=(2.0, 0.7, 0.3), dx=0.05))
    right = mesh.points[mesh.cells].mean(axis=1)[:, 0] > 1.0
    return replace(mesh, region=np.where(right, 7, 2).astype(np.int32), region_names={"left": 2, "scar": 7})


def test_box_includes_its_faces_in_spite_of_rounding(slab):
    """0.15 is not exactly a node of the grid: 3 * 0.05 is above it."""
    assert len(nodes_in_box(slab, (0, 0, 0), (0.15, 0.15, 0.15))) == 4**3
    assert len(nodes_in_box(slab, (0.05 + 1e-12, 0, 0), (0.15 - 1e-12, 0.7, 0.3))) == 3 * 15 * 7


def test_box_and_sphere_ignore_axes_that_are_not_given(slab):
    assert len(nodes_in_box(slab, (0.0,), (0.1,))) == 3 * 15 * 7
    assert len(nodes_in_box(slab, (0.0,), (0.1, 0.1))) == 3 * 3 * 7
    assert len(nodes_in_sphere(slab, (0.0, 0.0), 0.05)) == 3 * 7
    assert len(nodes_in_sphere(slab, (0.0, 0.0, 0.0), 0.05)) == 4
    assert len(nodes_in_sphere(slab, (9.0, 0.0, 0.0), 0.05)) == 0


def test_regions(slab):
    assert region_tag(slab, "scar") == region_tag(slab, 7) == 7
    nodes = nodes_of_region(slab, "left")
    np.testing.assert_array_equal(nodes, nodes_in_box(slab, (0.0,), (1.0,)))
    assert cells_of_regions(slab, ["scar", 2]).all()
    assert cells_of_regions(slab, [7]).sum() == slab.n_cells // 2


def test_node_sets(slab):
    np.testing.assert_array_equal(nodes_of_set(slab, "xmax"), nodes_in_box(slab, (2.0,), (2.0,)))


def test_nearest_node(slab):
    nodes, distances = nearest_nodes(slab, [[0.0, 0.0, 0.0], [0.26, 0.1, 0.0], [2.0, 0.7, 0.4]])
    np.testing.assert_allclose(slab.points[nodes], [[0, 0, 0], [0.25, 0.1, 0], [2, 0.7, 0.3]])
    np.testing.assert_allclose(distances, [0, 0.01, 0.1])


@pytest.mark.parametrize("section", [CableMesh(length=1.0, dx=0.1), SheetMesh(size=(1.0, 0.7), dx=0.1),
                                     SlabMesh(size=(1.0, 0.7, 0.3), dx=0.1)])
def test_interpolation_is_exact_for_linear_functions(section):
    mesh = build_mesh(section)
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(50, 3)) * np.ptp(mesh.points, axis=0)
    x = np.vstack([x, mesh.points[[0, 5, -1]]])         # corners and nodes are inside
    cells, w = containing_cells(mesh, x)
    assert w.min() > -1e-8
    np.testing.assert_allclose(w.sum(axis=1), 1)
    np.testing.assert_allclose(np.einsum("kn,knj->kj", w, mesh.points[mesh.cells[cells]]), x, atol=1e-12)


@pytest.mark.parametrize(("call", "text"), [
    (lambda m: region_tag(m, "scra", "stimulus.region"),
     "stimulus.region: the mesh has no region 'scra'\n  -> did you mean 'scar'?"),
    (lambda m: region_tag(replace(m, region_names={}), "scar"),
     "region: the mesh has no region 'scar'\n  -> its regions have no names; tags: 2, 7"),
    (lambda m: nodes_of_region(m, 3),
     "region: no cell of the mesh is in region 3\n  -> tags in use: 2, 7"),
    (lambda m: nodes_of_set(m, "xmni"), "node set: the mesh has no node set 'xmni'\n  -> did you mean 'xmin'?"),
    (lambda m: containing_cells(m, [[0, 0, 0], [1, 0.7, 0.31]], ["P1", "P2"]),
     "P2: (1, 0.7, 0.31) cm is outside the mesh; the nearest node is 0.01 cm away\n"
     "  -> move the point, or take the nearest node instead of interpolating"),
    (lambda m: containing_cells(build_mesh(SheetMesh(size=(1.0, 1.0), dx=0.5)), [0.5, 0.5, 0.2]),
     "point: (0.5, 0.5, 0.2) cm is outside the mesh; the nearest node is 0.2 cm away\n"
     "  -> move the point, or take the nearest node instead of interpolating"),
])
def test_refused(slab, call, text):
    with pytest.raises(MeshError) as caught:
        call(slab)
    assert str(caught.value) == text
