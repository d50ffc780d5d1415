"""The operator on grids: the textbook's stencils, exactness, conservation at any mask, order 2."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from upstroke.case.schema import ConductivityTable, GridMesh, Tissue
from upstroke.errors import CaseError
from upstroke.mesh import build_mesh
from upstroke.mesh.grid import build_grid
from upstroke.space import assemble_grid, discretise

STENCILS = ("compact", "full")
SIZES = {2: (5, 4), 3: (4, 5, 3)}
H = (0.1, 0.07, 0.13)


def spd(seed, d=3):
    """A random symmetric positive definite tensor; none of its entries is small."""
    A = np.random.default_rng(seed).uniform(0.3, 1.0, (3, 3))
    D = A @ A.T + 0.2 * np.eye(3)
    return D * np.outer(np.arange(3) < d, np.arange(3) < d)


def grid(d, stencil="compact", mask=None, tmp_path=None, counts=None):
    counts = counts or SIZES[d]
    section = GridMesh(size=tuple(n * h for n, h in zip(counts, H, strict=False)), dx=H[:d], stencil=stencil)
    if mask is not None:
        np.save(tmp_path / "mask.npy", mask)
        section = replace(section, size=None, mask=tmp_path / "mask.npy")
    return build_grid(section)


def random_mask(d, seed=1):
    return (np.random.default_rng(seed).random(SIZES[d]) < 0.6).astype(np.int32)


def uniform(mesh, D):
    return np.broadcast_to(D, (mesh.n_cells, 3, 3))


def varied(mesh, seed=0):
    """Another tensor in every cell."""
    return np.array([spd(seed + c, mesh.dim) for c in range(mesh.n_cells)])


def middle(mesh):
    """The node in the middle of a grid with an even number of cells."""
    return int(np.argmin(np.linalg.norm(mesh.points - (mesh.points.min(axis=0) + mesh.points.max(axis=0)) / 2, axis=1)))


def row(matrix, mesh, node):
    """The couplings of a node by the offset of the neighbour, in cells."""
    entries = matrix[[node]].tocoo()
    steps = np.rint((mesh.points[entries.coords[1]] - mesh.points[node])[:, :mesh.dim] / mesh.grid.spacing).astype(int)
    return {tuple(map(int, step)): float(value) for step, value in zip(steps, entries.data, strict=True)}


# --------------------------------------------------------------------------------- against a plain loop
def loop_compact(mesh, D):
    """K_e = V / 2^d sum over corners of G^T D G with one-sided differences along the cell's edges."""
    d, h = mesh.dim, mesh.grid.spacing
    K = np.zeros((mesh.n_points, mesh.n_points))
    for cell, tensor in zip(mesh.cells, D, strict=True):
        for c in range(2 ** d):
            G = np.zeros((d, 2 ** d))
            for k in range(d):
                side = 1 if c >> k & 1 else -1
                G[k, c] += side / h[k]
                G[k, c ^ (1 << k)] -= side / h[k]
            K[np.ix_(cell, cell)] += np.prod(h) / 2 ** d * G.T @ tensor[:d, :d] @ G
    return K


def loop_full(mesh, D):
    """Multilinear elements by 2-point Gauss quadrature, which is exact: K and the consistent M."""
    d, h = mesh.dim, np.array(mesh.grid.spacing)
    K, M = np.zeros((mesh.n_points,) * 2), np.zeros((mesh.n_points,) * 2)
    far = np.array([[c >> k & 1 for k in range(d)] for c in range(2 ** d)])
    for cell, tensor in zip(mesh.cells, D, strict=True):
        for point in itertools.product(0.5 + np.array([-0.5, 0.5]) / np.sqrt(3), repeat=d):
            along = np.where(far, point, 1 - np.array(point))
            value = along.prod(axis=1)
            slope = np.array([np.where(far[:, k], 1, -1) / h[k] * np.delete(along, k, axis=1).prod(axis=1)
                              for k in range(d)])
            K[np.ix_(cell, cell)] += h.prod() / 2 ** d * slope.T @ tensor[:d, :d] @ slope
            M[np.ix_(cell, cell)] += h.prod() / 2 ** d * np.outer(value, value)
    return K, M


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_compact_is_the_sum_over_cells(d, masked, tmp_path):
    mesh = grid(d, mask=random_mask(d) if masked else None, tmp_path=tmp_path)
    D = varied(mesh)
    operator = assemble_grid(mesh, D)
    np.testing.assert_allclose(operator.stiffness.toarray(), loop_compact(mesh, D), atol=1e-14)
    cells_of_node = np.bincount(mesh.cells.ravel(), minlength=mesh.n_points)
    np.testing.assert_allclose(operator.lumped_mass, cells_of_node * np.prod(H[:d]) / 2 ** d, rtol=1e-14)
    np.testing.assert_allclose(operator.mass.toarray(), np.diag(operator.lumped_mass), rtol=1e-14)


@pytest.mark.parametrize("mass", ["lumped", "consistent", 0.2, -0.1])
@pytest.mark.parametrize("d", [2, 3])
def test_full_is_the_multilinear_element(d, mass, tmp_path):
    mesh = grid(d, "full", random_mask(d), tmp_path)
    D = varied(mesh)
    operator = assemble_grid(mesh, D, mass)
    K, M = loop_full(mesh, D)
    w = {"lumped": 1.0, "consistent": 0.0}.get(mass, mass)
    np.testing.assert_allclose(operator.stiffness.toarray(), K, atol=1e-14)
    np.testing.assert_allclose(operator.mass.toarray(), w * np.diag(M.sum(axis=1)) + (1 - w) * M, atol=1e-18)
    np.testing.assert_allclose(operator.lumped_mass, M.sum(axis=1), rtol=1e-12)
    assert operator.is_lumped == (w == 1.0)


# -------------------------------------------------------------------------------------- what must hold
@pytest.mark.parametrize("stencil", STENCILS)
@pytest.mark.parametrize("d", [2, 3])
def test_symmetric_conserving_semidefinite_at_any_mask(d, stencil, tmp_path):
    mesh = grid(d, stencil, random_mask(d), tmp_path)
    operator = assemble_grid(mesh, varied(mesh))
    K = operator.stiffness.toarray()
    assert np.array_equal(K, K.T)                                            # bit by bit
    assert np.abs(K.sum(axis=1)).max() < 1e-14 * np.abs(K).max() * K.shape[0]
    assert np.linalg.eigvalsh(K)[0] > -1e-13 * np.abs(K).max()
    assert operator.stiffness.has_canonical_format
    assert np.array_equal(operator.mass.indices, operator.stiffness.indices)
    assert np.array_equal(operator.mass.indptr, operator.stiffness.indptr)


@pytest.mark.parametrize("stencil", STENCILS)
@pytest.mark.parametrize("d", [2, 3])
def test_linear_fields_are_in_balance_inside_and_have_their_energy(d, stencil):
    mesh = grid(d, stencil)
    D, a = spd(3, d), np.array([1.0, -2.0, 0.5]) * (np.arange(3) < d)
    u = mesh.points @ a
    K = assemble_grid(mesh, uniform(mesh, D)).stiffness
    edge = np.unique(np.concatenate([nodes for nodes in mesh.node_sets.values()]))
    inside = np.setdiff1d(np.arange(mesh.n_points), edge)
    assert len(inside) and np.abs((K @ u)[inside]).max() < 1e-14
    volume = np.prod([n * h for n, h in zip(SIZES[d], H, strict=False)])
    assert u @ (K @ u) == pytest.approx(a @ D @ a * volume, rel=1e-12)


@pytest.mark.parametrize("mass", ["lumped", "consistent"])
def test_diffusion_conserves_charge_and_levels_each_part_of_a_mask(mass, tmp_path):
    """Implicit steps on two parts: the sum of M V stays, and each part ends at its own mean."""
    mask = np.ones((9, 6), np.int32)
    mask[4] = 0
    mask[2, 2] = 0
    mesh = grid(2, "full" if mass == "consistent" else "compact", mask, tmp_path)
    operator = assemble_grid(mesh, varied(mesh), mass)
    A, K = operator.implicit_matrix(1e3).toarray(), operator.stiffness
    V = start = np.random.default_rng(0).standard_normal(mesh.n_points)
    for _ in range(40):
        V = V + np.linalg.solve(A, -1e3 * (K @ V))
    left = mesh.points[:, 0] < 4.5 * H[0]
    for part in (left, ~left):
        mean = (operator.lumped_mass * start)[part].sum() / operator.lumped_mass[part].sum()
        np.testing.assert_allclose(V[part], mean, atol=1e-9)


# ------------------------------------------------------------------------------------ textbook stencils
@pytest.mark.parametrize("d, points", [(2, 5), (3, 7)])
def test_isotropic_compact_is_the_usual_laplacian(d, points):
    mesh = grid(d, counts=(4,) * d)
    operator = assemble_grid(mesh, uniform(mesh, np.eye(3)))
    node = middle(mesh)
    expected = {(0,) * d: 2 * sum(h ** -2 for h in H[:d])}
    for k in range(d):
        expected |= {tuple(s * (j == k) for j in range(d)): -H[k] ** -2 for s in (-1, 1)}
    found = row(operator.stiffness, mesh, node)
    assert len(found) == points
    assert found == pytest.approx({step: value * operator.lumped_mass[node] for step, value in expected.items()})


def test_cross_derivatives_are_centred():
    """-(2 D_xy u_xy) by (u(+,+) - u(+,-) - u(-,+) + u(-,-)) / 4 h^2: -D_xy / 2 h^2 at (+,+), the opposite at (+,-)."""
    mesh = grid(2, counts=(4, 4))
    D = spd(5, 2)
    operator = assemble_grid(mesh, uniform(mesh, D))
    node = middle(mesh)
    found = row(operator.stiffness, mesh, node)
    corner = D[0, 1] / (2 * H[0] * H[1]) * operator.lumped_mass[node]
    expected = {(0, 0): 2 * (D[0, 0] / H[0] ** 2 + D[1, 1] / H[1] ** 2) * operator.lumped_mass[node],
                (1, 1): -corner, (-1, -1): -corner, (1, -1): corner, (-1, 1): corner}
    for s in (-1, 1):
        expected |= {(s, 0): -D[0, 0] / H[0] ** 2 * operator.lumped_mass[node],
                     (0, s): -D[1, 1] / H[1] ** 2 * operator.lumped_mass[node]}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("d, stencil, D, points", [
    (2, "compact", np.diag([3.0, 1.0, 1.0]), 5), (2, "compact", spd(0, 2), 9), (2, "full", spd(0, 2), 9),
    (3, "compact", np.diag([3.0, 1.0, 1.0]), 7), (3, "compact", spd(0), 19), (3, "full", spd(0), 27),
    (3, "compact", spd(0, 2) + np.diag([0.0, 0.0, 1.0]), 11)])         # oblique in the plane only
def test_neighbours(d, stencil, D, points):
    mesh = grid(d, stencil, counts=(4,) * d)
    K = assemble_grid(mesh, uniform(mesh, D)).stiffness
    assert len(row(K, mesh, middle(mesh))) == points
    assert np.diff(K.indptr).max() == points


def test_rows_of_a_uniform_grid_are_the_same_bit_by_bit():
    """So that a backend can store one of them."""
    mesh = grid(3, counts=(8, 7, 6))
    K = assemble_grid(mesh, uniform(mesh, spd(0))).stiffness
    edge = np.unique(np.concatenate(list(mesh.node_sets.values())))
    inside = np.setdiff1d(np.arange(mesh.n_points), edge)
    assert np.array_equal(np.diff(K.indptr)[inside], np.full(len(inside), 19))
    rows = K[inside].data.reshape(len(inside), 19)
    assert np.array_equal(rows, np.broadcast_to(rows[0], rows.shape))


# --------------------------------------------------------------------------------- order, and the limit
@pytest.mark.parametrize("stencil", STENCILS)
def test_order_two_with_oblique_anisotropy(stencil):
    """-div(D grad u) + u = f for u = cos(pi x) cos(pi y) plus its flux through the edge, D turned by 30 degrees."""
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    D = np.zeros((3, 3))
    D[:2, :2] = np.array([[c, -s], [s, c]]) @ np.diag([1.0, 0.1]) @ np.array([[c, s], [-s, c]])
    errors = []
    for n in (10, 20, 40):
        mesh = build_mesh(GridMesh(size=(1.0, 1.0), dx=1.0 / n, stencil=stencil))
        operator = assemble_grid(mesh, uniform(mesh, D))
        x, y = mesh.points[:, 0], mesh.points[:, 1]
        cx, sx, cy, sy = (f(np.pi * z) for z in (x, y) for f in (np.cos, np.sin))
        u = cx * cy
        f = u + np.pi ** 2 * ((D[0, 0] + D[1, 1]) * cx * cy - 2 * D[0, 1] * sx * sy)
        right = operator.lumped_mass * f
        for name, normal in (("xmin", (-1, 0)), ("xmax", (1, 0)), ("ymin", (0, -1)), ("ymax", (0, 1))):
            nodes = mesh.node_sets[name]
            gradient = -np.pi * np.stack([sx * cy, cx * sy])[:, nodes]
            flux = np.array(normal) @ D[:2, :2] @ gradient
            length = np.full(len(nodes), 1.0 / n)
            length[[0, -1]] /= 2
            right[nodes] += length * flux
        found = np.linalg.solve((operator.stiffness + operator.mass).toarray(), right)
        errors.append(np.sqrt(operator.lumped_mass @ (found - u) ** 2))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < 3e-3 and (orders > 1.9).all()


def test_the_explicit_limit_of_a_wide_grid_is_the_textbooks():
    """dt <= 1 / (2 D sum_k h_k^-2)."""
    mesh = grid(3, counts=(10, 10, 10))
    limit = assemble_grid(mesh, uniform(mesh, 2e-3 * np.eye(3))).explicit_limit
    assert limit == pytest.approx(1 / (2 * 2e-3 * sum(h ** -2 for h in H)), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("stencil", STENCILS)
@pytest.mark.parametrize("d", [2, 3])
def test_the_bound_of_the_eigenvalue_holds_and_is_that_of_the_worst_cell(d, stencil, seed, tmp_path):
    mesh = grid(d, stencil, random_mask(d), tmp_path)
    D = varied(mesh, seed) if seed else uniform(mesh, np.ones((3, 3)) + 1e-3 * np.eye(3))
    operator = assemble_grid(mesh, D)
    scale = 1 / np.sqrt(operator.lumped_mass)
    top = eigsh(operator.stiffness * np.outer(scale, scale), k=1, which="LA", return_eigenvectors=False)[0]
    one = grid(d, stencil, counts=(1,) * d)
    cells = [np.linalg.eigvalsh(assemble_grid(one, D[[c]]).stiffness.toarray())[-1] for c in range(mesh.n_cells)]
    worst = max(cells) * 2 ** d / np.prod(H[:d])
    assert top <= operator.eigenvalue_bound * (1 + 1e-12)
    assert operator.eigenvalue_bound == pytest.approx(worst, rel=1e-12)
    assert top > 0.5 * operator.eigenvalue_bound


# ------------------------------------------------------------------------------------------------ mass
def tissue(**keys):
    return Tissue(conductivity=(ConductivityTable(monodomain=(1.0,)),), surface_to_volume=1400.0, **keys)


def test_the_mass_that_is_left_to_us():
    assert discretise(grid(2), tissue()).is_lumped
    full = discretise(grid(2, "full"), tissue())
    assert np.array_equal(full.mass.data, discretise(grid(2, "full"), tissue(waves=0.2)).mass.data)


@pytest.mark.parametrize("mass, shown", [("consistent", "'consistent'"), (0.2, "0.2")])
def test_compact_grids_have_the_lumped_mass_only(mass, shown):
    with pytest.raises(CaseError) as caught:
        discretise(grid(2), tissue(waves=mass))
    assert str(caught.value) == (f"tissue.waves: a compact grid has the lumped mass only, not {shown}\n"
                                 '  -> leave tissue.waves out, or take mesh.stencil = "full"')
