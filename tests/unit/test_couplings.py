"""Matrices as couplings between neighbours: both forms hold what the CSR form holds."""

import numpy as np
import pytest
from scipy import sparse

from upstroke.backend.couplings import repeat_rows, slice_rows
from upstroke.case.schema import SheetMesh, SlabMesh
from upstroke.mesh import build_mesh
from upstroke.space import assemble


def random_matrix(n, per_row, seed=0):
    random = np.random.default_rng(seed)
    A = sparse.random_array((n, n), density=min(per_row / n, 1.0), rng=random)
    A = sparse.csr_array(A + A.T + sparse.eye_array(n))
    A.sort_indices()
    return A


def sheet(n):
    mesh = build_mesh(SheetMesh(size=(1.0, 1.0), dx=1.0 / n))
    D = np.broadcast_to(np.diag([0.003, 0.001, 0.001]), (mesh.n_cells, 3, 3))
    return assemble(mesh, D, 0.2)


def off_diagonal(A):
    return A.toarray() - np.diag(A.diagonal())


@pytest.mark.parametrize("lanes", [8, 32])
@pytest.mark.parametrize("n", [1, 7, 32, 45])
def test_slices_hold_the_matrices(n, lanes):
    A = random_matrix(n, 3)
    B = A.copy()
    B.data = np.random.default_rng(1).standard_normal(len(A.data))
    rows = slice_rows({"A": A, "B": B}, lanes)
    for name, matrix in (("A", A), ("B", B)):
        dense = np.zeros((n, n))
        for i in range(n):
            for j in range(rows.start[i // lanes], rows.start[i // lanes + 1]):
                dense[i, rows.column[j * lanes + i % lanes]] += rows.values[name][j * lanes + i % lanes]
        np.testing.assert_allclose(dense - np.diag(dense.diagonal()), off_diagonal(matrix), rtol=1e-6)
        assert not dense.diagonal().any()
    assert rows.column.min(initial=0) >= 0 and rows.column.max(initial=0) < n


def test_rows_of_a_built_mesh_repeat():
    operator = sheet(40)
    matrices = {"K": operator.stiffness, "A": operator.implicit_matrix(0.02)}
    rows = repeat_rows(matrices)
    assert rows is not None and rows.offset.shape[1] <= 20          # the inside, four sides and corners, and rounding
    n = operator.n
    for name, matrix in matrices.items():
        dense = np.zeros((n, n))
        np.add.at(dense, (np.arange(n)[None], np.arange(n)[None] + rows.offset[:, rows.kind]),
                  rows.values[name][:, rows.kind])
        np.testing.assert_allclose(dense, off_diagonal(matrix), rtol=1e-6, atol=1e-9 * abs(matrix.data).max())


def test_rows_of_an_unstructured_mesh_do_not():
    assert repeat_rows({"A": random_matrix(300, 4)}) is None
    operator = sheet(40)
    order = np.random.default_rng(2).permutation(operator.n)
    assert repeat_rows({"K": sparse.csr_array(operator.stiffness[order][:, order])}) is None


def test_a_slab_has_27_kinds_of_rows():
    """Inside, 6 faces, 12 edges, 8 corners; the mesh is split alike everywhere."""
    mesh = build_mesh(SlabMesh(size=(1.0, 1.0, 1.0), dx=0.0625))
    operator = assemble(mesh, np.broadcast_to(0.001 * np.eye(3), (mesh.n_cells, 3, 3)), "lumped")
    rows = repeat_rows({"K": operator.stiffness})
    assert rows is not None and 27 <= rows.offset.shape[1] <= 60


def test_no_couplings():
    nothing = sparse.csr_array(sparse.eye_array(5))
    rows = repeat_rows({"A": nothing})
    assert rows is not None and rows.offset.shape[0] == 0 and not rows.kind.any()
    assert slice_rows({"A": nothing}, 8).column.size == 0


def test_one_pattern_is_asked_for():
    with pytest.raises(ValueError, match="must share one sparsity pattern"):
        slice_rows({"A": random_matrix(9, 3), "B": random_matrix(9, 3, seed=1)}, 8)
