"""Built meshes: sizes, numbering, orientation, conformity, and what is refused."""

import math
import subprocess
import sys

import numpy as np
import pytest

from upstroke.case.schema import CableMesh, SheetMesh, SlabMesh
from upstroke.errors import MeshError
from upstroke.mesh import build_mesh
from upstroke.mesh.check import signed_sizes


def facets(cells):
    """All facets of the cells, nodes sorted, and how many cells share each."""
    d = cells.shape[1]
    drop = [[j for j in range(d) if j != k] for k in range(d)]
    return np.unique(np.sort(np.concatenate([cells[:, keep] for keep in drop]), axis=1), axis=0, return_counts=True)


def test_built_meshes_need_neither_meshio_nor_scipy():
    code = ("import sys; from upstroke.mesh import build_mesh; from upstroke.case.schema import SlabMesh; "
            "build_mesh(SlabMesh(size=(1.0, 1.0, 1.0), dx=0.5, fibre=(1, 0, 0))); "
            "sys.exit(bool({'meshio', 'scipy', 'pint', 'h5py'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cable():
    mesh = build_mesh(CableMesh(length=2.0, dx=0.5, origin=(1.0, 2.0, 3.0)))
    assert mesh.dim == 1
    assert mesh.notes == ()
    np.testing.assert_allclose(mesh.points, [[1 + 0.5 * k, 2, 3] for k in range(5)])
    np.testing.assert_array_equal(mesh.cells, [[0, 1], [1, 2], [2, 3], [3, 4]])
    assert {name: nodes.tolist() for name, nodes in mesh.node_sets.items()} == {"xmin": [0], "xmax": [4]}


def test_sheet_is_counter_clockwise_and_fills_the_rectangle():
    mesh = build_mesh(SheetMesh(size=(2.0, 0.9), dx=(0.5, 0.3)))
    assert (mesh.n_points, mesh.n_cells) == (5 * 4, 4 * 3 * 2)
    a, b, c = (mesh.points[mesh.cells[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    assert (normal[:, 2] > 0).all()
    assert math.isclose(normal[:, 2].sum() / 2, 2.0 * 0.9)
    shared = facets(mesh.cells)[1]
    assert set(shared) == {1, 2}
    assert (shared == 1).sum() == 2 * (4 + 3)


def test_slab_numbers_x_fastest_and_fills_the_box():
    mesh = build_mesh(SlabMesh(size=(2.0, 0.9, 0.4), dx=(0.5, 0.3, 0.2), origin=(-1.0, 0.0, 5.0)))
    assert (mesh.n_points, mesh.n_cells) == (5 * 4 * 3, 4 * 3 * 2 * 6)
    assert mesh.cells.dtype == np.int32
    np.testing.assert_allclose(mesh.points[:2], [[-1, 0, 5], [-0.5, 0, 5]])
    np.testing.assert_allclose(mesh.points[5], [-1, 0.3, 5])
    np.testing.assert_allclose(mesh.points[20], [-1, 0, 5.2])
    np.testing.assert_allclose(signed_sizes(mesh.points, mesh.cells), 0.5 * 0.3 * 0.2)   # 3! volumes, all positive
    assert math.isclose(signed_sizes(mesh.points, mesh.cells).sum() / 6, 2.0 * 0.9 * 0.4)


def test_slab_is_conforming():
    """Every inner face has two cells, those of the hull one; Euler: V - E + F - C = 1 for a ball."""
    mesh = build_mesh(SlabMesh(size=(0.4, 0.3, 0.2), dx=0.1))
    faces, shared = facets(mesh.cells)
    assert set(shared) == {1, 2}
    on_hull = 2 * 2 * (4 * 3 + 4 * 2 + 3 * 2)      # two triangles per square of the hull
    assert (shared == 1).sum() == on_hull
    edges = facets(faces)[0]
    assert mesh.n_points - len(edges) + len(faces) - mesh.n_cells == 1


def test_faces_of_the_box_are_node_sets():
    mesh = build_mesh(SlabMesh(size=(0.4, 0.3, 0.2), dx=0.1))
    assert list(mesh.node_sets) == ["xmin", "xmax", "ymin", "ymax", "zmin", "zmax"]
    for k, axis in enumerate("xyz"):
        x = mesh.points[:, k]
        np.testing.assert_array_equal(np.sort(mesh.node_sets[axis + "min"]), np.flatnonzero(x == x.min()))
        np.testing.assert_array_equal(np.sort(mesh.node_sets[axis + "max"]), np.flatnonzero(x == x.max()))


def test_a_resolution_that_does_not_divide_is_refined_and_told():
    mesh = build_mesh(CableMesh(length=2.0, dx=0.3))
    assert mesh.n_cells == 7
    assert mesh.points[-1, 0] == 2.0
    assert mesh.notes == ("2 cm along x is not a whole number of 0.3 cm cells: 7 cells of 0.285714 cm are used",)


def test_a_size_unlike_tissue_is_worth_a_warning():
    assert build_mesh(SlabMesh(size=(200.0, 70.0, 30.0), dx=10.0)).notes == (
        "warning: the mesh is 2.14 m across: check mesh.size and mesh.dx",)


@pytest.mark.parametrize(("length", "dx", "cells"), [
    (2.0, 0.01, 200), (0.7, 0.1, 7), (0.3, 0.1, 3), (1.0, 1 / 3, 3), (0.1, 0.5, 1), (1.0 + 1e-9, 0.5, 2)])
def test_rounding_does_not_add_a_cell(length, dx, cells):
    assert build_mesh(CableMesh(length=length, dx=dx)).n_cells == cells


def test_fibre_and_sheet_of_a_slab():
    mesh = build_mesh(SlabMesh(size=(0.2, 0.2, 0.2), dx=0.1, fibre=(2, 0, 0), sheet=(1, 1, 0)))
    assert mesh.fibre.shape == mesh.sheet.shape == (mesh.n_cells, 3)
    np.testing.assert_allclose(mesh.fibre, np.tile([1, 0, 0], (mesh.n_cells, 1)))
    np.testing.assert_allclose(mesh.sheet, np.tile([0, 1, 0], (mesh.n_cells, 1)), atol=1e-15)


@pytest.mark.parametrize(("section", "text"), [
    (CableMesh(length=0.0, dx=0.1), "mesh.length: 0 cm along x is not a length that a mesh can have\n"
                                    "  -> give a finite length above zero"),
    (SheetMesh(size=(1.0, -2.0), dx=0.1), "mesh.size: -2 cm along y is not a length that a mesh can have\n"
                                          "  -> give a finite length above zero"),
    (SlabMesh(size=(1.0, 1.0, 1.0), dx=(0.1, 0.1, math.nan)),
     "mesh.dx: nan cm along z is not a length that a mesh can have\n  -> give a finite length above zero"),
    (SlabMesh(size=(2.0, 0.7, 0.3), dx=1e-5),
     "mesh.dx: this resolution makes 420,022,100,300,001 nodes, more than the 2,147,483,647 that a mesh can number\n"
     "  -> use a larger dx, or check the units of size and dx"),
])
def test_refused(section, text):
    with pytest.raises(MeshError) as caught:
        build_mesh(section)
    assert str(caught.value) == text
