"""Fibre and sheet directions: unit length, orthogonal, and what is refused."""

import numpy as np
import pytest

from upstroke.case.schema import SheetMesh
from upstroke.errors import MeshError
from upstroke.mesh import build_mesh
from upstroke.mesh.fibres import with_directions


@pytest.fixture
def mesh():
    return build_mesh(SheetMesh(size=(0.2, 0.1), dx=0.1))     # 4 cells


def test_constant_directions_are_normalised_and_made_orthogonal(mesh):
    m = with_directions(mesh, (3, 4, 0), (0, 1, 0))
    np.testing.assert_allclose(m.fibre[0], [0.6, 0.8, 0])
    np.testing.assert_allclose(m.sheet[3], [-0.8, 0.6, 0], atol=1e-15)
    assert m.notes == ("sheet directions were turned by up to 53.1 degrees to be orthogonal to the fibres",)


def test_random_directions_per_cell(mesh):
    rng = np.random.default_rng(1)
    m = with_directions(mesh, rng.normal(size=(4, 3)), rng.normal(size=(4, 3)))
    np.testing.assert_allclose(np.linalg.norm(m.fibre, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(m.sheet, axis=1), 1)
    np.testing.assert_allclose(np.einsum("ij,ij->i", m.fibre, m.sheet), 0, atol=1e-15)


@pytest.mark.filterwarnings("error")
def test_huge_and_tiny_vectors_have_directions_too(mesh):
    m = with_directions(mesh, [[1e300, 0, 0], [1e-310, 0, 0], [0, -1e200, 0], [0, 0, 5e-324]], None)
    np.testing.assert_allclose(m.fibre, [[1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 0, 1]])


@pytest.mark.filterwarnings("error")
def test_zero_vectors_in_a_file_are_kept_and_told(mesh):
    fibre = [[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0]]
    sheet = [[0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    m = with_directions(mesh, fibre, sheet)
    np.testing.assert_array_equal(m.fibre, fibre)
    np.testing.assert_array_equal(m.sheet, [[0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert m.notes == ("2 cells have no fibre direction (zero vector): their conductivity cannot depend on it",
                       "2 cells have no sheet direction (zero vector): their conductivity cannot depend on it")
    m = with_directions(mesh, np.zeros((4, 3)), None)
    assert m.fibre is None
    assert m.notes == ("every fibre direction is zero: the mesh has no fibres",)
    m = with_directions(mesh, (1, 0, 0), np.zeros((4, 3)))
    assert m.sheet is None
    assert m.notes == ("every sheet direction is zero: there are none",)


def test_fibres_off_the_surface_are_worth_a_warning(mesh):
    assert with_directions(mesh, (1, 0, 0.1), None).notes == ()
    assert with_directions(mesh, (1, 0, 1), None).notes == (
        "warning: fibres leave the surface by up to 45 degrees; only their tangential part conducts",)


@pytest.mark.parametrize(("fibre", "sheet", "text"), [
    ((0, 0, 0), None, "mesh.fibre: the fibre direction has length zero\n  -> give a direction, e.g. [1, 0, 0]"),
    ((1, np.nan, 0), None, "mesh.fibre: the fibre direction is not finite\n  -> give three finite numbers"),
    ((1, 0, 0), (-2, 0, 0), "mesh.sheet: the sheet direction is parallel to the fibre\n"
                            "  -> give a direction across the fibre"),
    (None, (0, 1, 0), "mesh.sheet: a sheet direction needs a fibre direction to be orthogonal to\n"
                      "  -> give 'fibre' too, or leave 'sheet' out"),
    ([[1, 0, 0], [1, 0, np.inf], [1, 0, 0], [np.nan] * 3], None,
     "mesh.fibre: 2 of 4 fibre directions are not finite (the first is that of cell 1)\n"
     "  -> give three finite numbers"),
    ([[1, 0, 0]] * 4, [[0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]],
     "mesh.sheet: 1 of 4 sheet directions are parallel to the fibre (the first is that of cell 2)\n"
     "  -> give a direction across the fibre"),
    ([[1, 0]] * 4, None, "mesh.fibre: fibre directions have shape (4, 2), not (3,) or (4, 3)\n"
                         "  -> give three components per cell"),
])
@pytest.mark.filterwarnings("error")
def test_refused(mesh, fibre, sheet, text):
    with pytest.raises(MeshError) as caught:
        with_directions(mesh, fibre, sheet)
    assert str(caught.value) == text
