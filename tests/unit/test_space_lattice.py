"""The calibrated operator on lattices: Selling's lines, symbols, positivity at any mask, ends and branches."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from upstroke.case.schema import CableMesh, ConductivityTable, GridMesh, SheetMesh, SlabMesh, Tissue
from upstroke.mesh import build_mesh
from upstroke.mesh.mesh import Mesh
from upstroke.space import discretise
from upstroke.space.curve import Curve
from upstroke.space.lattice import assemble_lattice, assemble_segments, beta_gamma, lengths, selling

CURVE = Curve(np.array([0.01, 0.3, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0]),
              np.array([0.10, 0.141, 0.191, 0.223, 0.272, 0.314, 0.392, 0.52, 0.68]))
NONE = Curve(np.array([1.0]), np.array([0.0]))
COUNTS = {2: (9, 8), 3: (6, 7, 5)}
H = 0.05


def tensor(rng, d, ratio):
    """A tensor with one direction that conducts ``ratio`` times as well as the others."""
    f = rng.standard_normal(3) * (np.arange(3) < d)
    f /= np.linalg.norm(f)
    return (np.eye(3) + (ratio - 1.0) * np.outer(f, f)) * np.outer(np.arange(3) < d, np.arange(3) < d)


def grid(d, tmp_path, masked=False, counts=None, dx=H, seed=0):
    counts = counts or COUNTS[d]
    section = GridMesh(size=tuple(n * dx for n in counts), dx=dx)
    if masked:
        np.save(tmp_path / "mask.npy", (np.random.default_rng(seed).random(counts) < 0.7).astype(np.int32))
        section = GridMesh(dx=dx, mask=tmp_path / "mask.npy")
    return build_mesh(section)


def turning(mesh, ratio):
    """Fibres that turn through the tissue."""
    x, y, _ = mesh.points[mesh.cells].mean(axis=1).T / H
    f = np.stack([np.cos(0.3 * y), np.sin(0.3 * y), 0.3 * (mesh.dim > 2) * np.cos(x)], axis=1)
    f /= np.linalg.norm(f, axis=1)[:, None]
    return (np.eye(3) + (ratio - 1.0) * np.einsum("ci,cj->cij", f, f)) * np.outer(*[np.arange(3) < mesh.dim] * 2)


TENSORS = {
    "isotropic": lambda mesh, rng: np.broadcast_to(np.eye(3), (mesh.n_cells, 3, 3)),
    "along axes": lambda mesh, rng: np.broadcast_to(np.diag([20.0, 1.0, 1.0]), (mesh.n_cells, 3, 3)),
    "oblique": lambda mesh, rng: np.broadcast_to(tensor(rng, mesh.dim, 20.0), (mesh.n_cells, 3, 3)),
    "turning": lambda mesh, rng: turning(mesh, 8.0),
    "axes, random": lambda mesh, rng: np.array([np.diag(10 ** rng.uniform(0, 1.3, 3)) for _ in range(mesh.n_cells)]),
    "random": lambda mesh, rng: np.array([tensor(rng, mesh.dim, 20.0) for _ in range(mesh.n_cells)]),
}


# ------------------------------------------------------------------------------------------- Selling's lines
@pytest.mark.parametrize("d", [1, 2, 3])
def test_selling_gives_the_tensor_back_by_lines_of_positive_weight(d):
    rng = np.random.default_rng(d)
    E = np.array([tensor(rng, d, 10 ** rng.uniform(0.0, 2.0))[:d, :d] for _ in range(400)])
    E[200:] += 0.3 * np.einsum("ci,cj->cij", *[rng.standard_normal((200, d))] * 2)     # all principal values differ
    rho, e = selling(E)
    assert rho.shape == (400, {1: 1, 2: 3, 3: 6}[d]) and rho.min() >= 0.0
    np.testing.assert_allclose(np.einsum("cl,cli,clj->cij", rho, e, e), E, atol=1e-8 * np.abs(E).max())
    used = e[rho > 0]
    assert (np.abs(used).sum(axis=1) > 0).all()
    assert all(next(x for x in reversed(line) if x) > 0 for line in used.tolist())


def test_a_diagonal_tensor_is_its_axes():
    rho, e = selling(np.array([np.diag([3.0, 2.0, 1.0]), np.diag([1.0, 5.0, 4.0])]))
    for values, lines, diagonal in zip(rho, e, ([3.0, 2.0, 1.0], [1.0, 5.0, 4.0]), strict=True):
        found = {tuple(line): value for value, line in zip(values, lines.tolist(), strict=True) if value}
        assert found == {tuple(np.eye(3, dtype=int)[k].tolist()): diagonal[k] for k in range(3)}


def test_lengths_of_lines():
    """h^2 / D along axes; 3/4 and 1 squared spacing, in the geometric mean, on the lattice of equilateral triangles."""
    E = np.array([np.diag([3.0, 2.0])])
    assert lengths((1, 0), np.linalg.inv(E), *selling(E))[0] == pytest.approx(1.0 / 3.0)
    edges = 0.1 * np.array([[1.0, 0.5], [0.0, np.sqrt(0.75)]])               # columns: the edges of a cell
    E = np.linalg.inv(edges.T @ edges)[None]
    assert lengths((1, 0), np.linalg.inv(E), *selling(E))[0] == pytest.approx(0.01 * np.sqrt(0.75))
    assert lengths((0, 1), np.linalg.inv(E), *selling(E))[0] == pytest.approx(0.01 * np.sqrt(0.75))


# ---------------------------------------------------------------------------------------- what must hold
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", TENSORS)
def test_symmetric_conserving_positive_and_bounded(d, masked, kind, tmp_path):
    mesh = grid(d, tmp_path, masked)
    for scale in (1e-3, 1e-2):                                               # q about 2.5 ms, and 0.25 ms
        D = TENSORS[kind](mesh, np.random.default_rng(1)) * scale
        operator = assemble_lattice(mesh, D, [CURVE])
        K = operator.stiffness.toarray()
        assert np.array_equal(K, K.T)                                        # bit by bit
        assert np.abs(K.sum(axis=1)).max() < 1e-13 * np.abs(K).max()
        m = 1.0 / np.sqrt(operator.lumped_mass)
        values = np.linalg.eigvalsh(m[:, None] * K * m)
        assert values[0] > -1e-12 * values[-1]
        assert values[-1] <= operator.eigenvalue_bound * (1.0 + 1e-12) < 4.0 * values[-1]
        assert operator.stiffness.has_canonical_format and operator.is_lumped
        assert np.array_equal(operator.mass.indices, operator.stiffness.indices)
        np.testing.assert_allclose(operator.mass.toarray(), np.diag(operator.lumped_mass))
        assert operator.lumped_mass.sum() == pytest.approx(mesh.n_cells * H ** d)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", TENSORS)
def test_without_corrections_linear_fields_have_their_energy(d, masked, kind, tmp_path):
    """Whatever finds no room on lines near edges is added cell by cell, so no conductivity is lost at any mask."""
    mesh = grid(d, tmp_path, masked)
    D, a = TENSORS[kind](mesh, np.random.default_rng(1)), np.array([1.0, -2.0, 0.5]) * (np.arange(3) < d)
    u = mesh.points @ a
    K = assemble_lattice(mesh, D, [NONE], pairs=False).stiffness
    assert u @ (K @ u) == pytest.approx(H ** d * np.einsum("i,cij,j->", a, D, a), rel=1e-10)


@pytest.mark.parametrize("d", [2, 3])
def test_nothing_passes_what_is_masked_out(d, tmp_path):
    """Two parts with a layer without tissue between, fibres across it: no coupling joins them."""
    counts = (7, 6, 5)[:d]
    mask = np.ones(counts, np.int32)
    mask[3] = 0
    np.save(tmp_path / "mask.npy", mask)
    mesh = build_mesh(GridMesh(dx=H, mask=tmp_path / "mask.npy"))
    D = np.broadcast_to(tensor(np.random.default_rng(2), d, 20.0), (mesh.n_cells, 3, 3))
    K = assemble_lattice(mesh, D, [CURVE]).stiffness
    left = mesh.points[:, 0] < 3.5 * H
    assert left.any() and not left.all() and abs(K[left][:, ~left]).nnz == 0


# --------------------------------------------------------------------------------------------- symbols
def symbol(E, k, curve):
    """S(k) as the docstring of the module has it."""
    rho, lines = selling(E[None])
    S, axes = 0.0, {}
    for r, e in zip(rho[0], lines[0], strict=True):
        s = 2.0 - 2.0 * np.cos(k @ e)
        q = lengths(e, np.linalg.inv(E)[None], rho, lines)[0]
        S += r * s * (1.0 + float(curve(q)) * s) if r else 0.0
        if r and np.abs(e).sum() == 1:
            axes[int(np.argmax(e))] = (r, s)
    for d, e in itertools.combinations(axes, 2):
        r, z = np.sqrt(axes[d][0] * axes[e][0]), axes[d][1] * axes[e][1]
        beta, gamma = beta_gamma(curve(1.0 / r))
        S += r * r / (r + abs(E[d, e])) * z * (beta - gamma * z)
    return S


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", ["isotropic", "along axes", "oblique", "a little oblique"])
def test_inside_uniform_tissue_the_operator_has_the_symbol(d, kind, tmp_path):
    rng = np.random.default_rng(4)
    counts = {2: (31, 31), 3: (17, 17, 17)}[d]
    mesh = grid(d, tmp_path, counts=counts)
    if kind == "a little oblique":
        c, s = np.cos(0.2), np.sin(0.2)
        D = (np.eye(3) + 3.0 * np.outer([c, s, 0.0], [c, s, 0.0])) * np.outer(*[np.arange(3) < d] * 2)
    else:
        D = tensor(rng, d, 7.0) if kind == "oblique" else TENSORS[kind](mesh, rng)[0]
    D = 1e-3 * D
    operator = assemble_lattice(mesh, np.broadcast_to(D, (mesh.n_cells, 3, 3)), [CURVE])
    middle = int(np.argmin(np.linalg.norm(mesh.points - mesh.points.mean(axis=0), axis=1)))
    for k in rng.uniform(-np.pi, np.pi, (6, d)):
        wave = np.exp(1j * (mesh.points[:, :d] / H) @ k)
        found = (operator.stiffness[[middle]] @ wave)[0] / wave[middle] / operator.lumped_mass[middle]
        assert found == pytest.approx(symbol(D[:d, :d] / H ** 2, k, CURVE), rel=1e-10)


@pytest.mark.parametrize("d", [2, 3])
def test_boundaries_are_mirrors(d, tmp_path):
    """cos(k x), which is mirrored at both ends, is an eigenvector with the symbol's value, pairs of axes included."""
    mesh = grid(d, tmp_path)
    D = 1e-3 * np.diag([3.0, 1.0, 2.0]) * np.outer(*[np.arange(3) < d] * 2)
    operator = assemble_lattice(mesh, np.broadcast_to(D, (mesh.n_cells, 3, 3)), [CURVE])
    k = np.pi * np.array([2, 3, 1])[:d] / np.array(COUNTS[d])
    wave = np.cos(mesh.points[:, :d] / H * k).prod(axis=1)
    np.testing.assert_allclose(operator.stiffness @ wave,
                               symbol(D[:d, :d] / H ** 2, k, CURVE) * operator.lumped_mass * wave, atol=1e-14)


def test_where_the_diffusivity_jumps_each_side_has_its_own_correction(tmp_path):
    """Rows well inside either half are those of uniform tissue."""
    mesh = grid(2, tmp_path, counts=(20, 10))
    right = mesh.points[mesh.cells].mean(axis=1)[:, 0] > 10 * H
    D = np.where(right[:, None, None], 4e-3, 1e-3) * np.diag([1.0, 1.0, 0.0])
    both = assemble_lattice(mesh, D, [CURVE]).stiffness
    for x, value in ((4, 1e-3), (16, 4e-3)):
        node = int(np.argmin(np.abs(mesh.points[:, :2] - np.array([x, 5]) * H).sum(axis=1)))
        uniform = np.broadcast_to(value * np.diag([1.0, 1.0, 0.0]), (mesh.n_cells, 3, 3))
        alone = assemble_lattice(mesh, uniform, [CURVE]).stiffness
        np.testing.assert_allclose(both[[node]].toarray(), alone[[node]].toarray(), atol=1e-18)


def test_each_membrane_has_its_curve(tmp_path):
    mesh = grid(2, tmp_path, counts=(20, 10))
    owner = (mesh.points[mesh.cells].mean(axis=1)[:, 0] > 10 * H).astype(np.int64)
    D = np.broadcast_to(1e-3 * np.diag([1.0, 1.0, 0.0]), (mesh.n_cells, 3, 3))
    both = assemble_lattice(mesh, D, [CURVE, NONE], owner).stiffness
    for x, curve in ((4, CURVE), (16, NONE)):
        node = int(np.argmin(np.abs(mesh.points[:, :2] - np.array([x, 5]) * H).sum(axis=1)))
        alone = assemble_lattice(mesh, D, [curve]).stiffness
        np.testing.assert_allclose(both[[node]].toarray(), alone[[node]].toarray(), atol=1e-18)


def test_rows_of_uniform_tissue_are_the_same_bit_by_bit(tmp_path):
    """So that a backend can store one of them."""
    mesh = grid(3, tmp_path, counts=(12, 11, 10))
    D = np.broadcast_to(1e-3 * np.diag([3.0, 1.0, 1.0]), (mesh.n_cells, 3, 3))
    K = assemble_lattice(mesh, D, [CURVE]).stiffness
    place = np.rint(mesh.points / H).astype(int)
    inside = np.flatnonzero(((place >= 4) & (place <= np.array([8, 7, 6]))).all(axis=1))
    rows = K[inside].data.reshape(len(inside), -1)
    assert len(inside) > 50 and np.array_equal(rows, np.broadcast_to(rows[0], rows.shape))


# ----------------------------------------------------------------------------- built meshes, and fourth order
TISSUE = Tissue(conductivity=(ConductivityTable(monodomain=(1.33, 0.176)),), surface_to_volume=1400.0,
                waves="calibrated")


@pytest.mark.parametrize(("built", "size"), [(SheetMesh, (0.4, 0.3)), (SlabMesh, (0.4, 0.3, 0.2))])
def test_simplices_of_a_built_mesh_have_the_operator_of_the_grid(built, size):
    fibre = (0.8, 0.6, 0.0)
    simplices = discretise(build_mesh(built(size=size, dx=H, fibre=fibre)), TISSUE, [CURVE])
    boxes = discretise(build_mesh(GridMesh(size=size, dx=H, fibre=fibre)), TISSUE, [CURVE])
    assert np.allclose(simplices.lumped_mass, boxes.lumped_mass, rtol=1e-13)
    assert abs(simplices.stiffness - boxes.stiffness).max() < 1e-13 * abs(boxes.stiffness).max()


def test_fourth_order_is_of_order_four_and_needs_no_curve():
    """Between mirrors, -u'' of cos(2 pi x): errors of 1/16 at half the spacing."""
    errors = []
    for n in (16, 32):
        mesh = build_mesh(GridMesh(size=(1.0, 1.0), dx=1.0 / n))
        tissue = replace(TISSUE, waves="fourth_order", conductivity=(ConductivityTable(monodomain=(1400.0,)),))
        operator = discretise(mesh, tissue)
        u = np.cos(2 * np.pi * mesh.points[:, 0]) * np.cos(2 * np.pi * mesh.points[:, 1])
        errors.append(np.abs(operator.stiffness @ u / operator.lumped_mass - 8 * np.pi ** 2 * u).max())
    assert 15.0 < errors[0] / errors[1] < 17.0


def test_the_calibrated_operator_needs_curves():
    with pytest.raises(ValueError, match="needs the curves of the membranes"):
        discretise(build_mesh(GridMesh(size=(0.2, 0.2), dx=H)), replace(
            TISSUE, conductivity=(ConductivityTable(monodomain=(1.0,)),)))


# ---------------------------------------------------------------------------------------------- segments
def segments(points, cells):
    cells = np.array(cells, np.int32)
    return Mesh(np.array(points, float), cells, np.zeros(len(cells), np.int32))


def test_equal_segments_in_a_row_are_a_built_cable():
    cable = build_mesh(CableMesh(length=1.0, dx=H))
    D = np.broadcast_to(1e-3 * np.eye(3), (cable.n_cells, 3, 3))
    lattice = assemble_lattice(cable, D, [CURVE])
    free = assemble_segments(replace(cable, bricks=None), D, [CURVE], np.zeros(cable.n_cells, np.int64))
    assert abs(lattice.stiffness - free.stiffness).max() < 1e-11 * abs(lattice.stiffness).max()
    assert free.eigenvalue_bound == pytest.approx(lattice.eigenvalue_bound)
    k = 3 * np.pi / 20
    wave = np.cos(k * cable.points[:, 0] / H)
    np.testing.assert_allclose(free.stiffness @ wave, symbol(np.array([[0.4]]), np.array([k]), CURVE)
                               * free.lumped_mass * wave, atol=1e-14)


def test_a_wave_out_of_a_branch_of_equal_arms_is_that_of_a_mirror():
    """Three arms in step are one line with a free end at the branch, but for the branch's threefold volume."""
    n = 8
    arms = [[(r * np.cos(a), r * np.sin(a), 0.0) for r in H * np.arange(1, n)] for a in (0.0, 2.0, 4.0)]
    points = [(0.0, 0.0, 0.0), *itertools.chain(*arms)]
    cells = [(0 if i == 0 else 1 + a * (n - 1) + i - 1, 1 + a * (n - 1) + i) for a in range(3) for i in range(n - 1)]
    tree = segments(points, cells)
    line = segments([(H * i, 0.0, 0.0) for i in range(n)], [(i, i + 1) for i in range(n - 1)])
    K_tree, K_line = (assemble_segments(mesh, np.broadcast_to(1e-3 * np.eye(3), (mesh.n_cells, 3, 3)), [CURVE],
                                        np.zeros(mesh.n_cells, np.int64)).stiffness for mesh in (tree, line))
    V = np.random.default_rng(0).standard_normal(n)
    whole = K_tree @ np.concatenate([V[:1], V[1:], V[1:], V[1:]])
    alone = K_line @ V
    np.testing.assert_allclose(whole[0], 3.0 * alone[0], rtol=1e-12)
    np.testing.assert_allclose(whole[1:n], alone[1:], rtol=1e-12)


def test_uneven_segments_stay_positive_and_bounded():
    rng = np.random.default_rng(5)
    x = np.concatenate([[0.0], np.cumsum(10 ** rng.uniform(-3.0, 0.0, 30))])
    mesh = segments(np.stack([x, 0 * x, 0 * x], axis=1), [(i, i + 1) for i in range(30)])
    D = 10 ** rng.uniform(-4.0, -2.0, 30)[:, None, None] * np.eye(3)
    operator = assemble_segments(mesh, D, [CURVE, NONE], (np.arange(30) > 14).astype(np.int64))
    m = 1.0 / np.sqrt(operator.lumped_mass)
    values = np.linalg.eigvalsh(m[:, None] * operator.stiffness.toarray() * m)
    assert values[0] > -1e-12 * values[-1] and values[-1] <= operator.eigenvalue_bound
