"""The calibrated operator of triangles and tetrahedra: a diffusion operator for any tensors, exact where it must be."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from upstroke.mesh.mesh import Mesh
from upstroke.space import assemble
from upstroke.space.curve import FOURTH_ORDER, Curve
from upstroke.space.deviation import assemble_deviation, common_part, principal
from upstroke.space.means import Means
from upstroke.space.response import TYPICAL, WAVE, Response, measure_response, target

CURVE = Curve(np.array([0.01, 0.3, 1.0, 3.0, 8.0]), np.array([0.09, 0.141, 0.223, 0.392, 0.68]))
GMSH = Path(__file__).parents[1] / "data" / "gmsh_slab.npz"     # 20 x 7 x 3 mm at 0.5 mm, made with gmsh 4.15


def slab():
    data = np.load(GMSH)
    return Mesh(data["points"].astype(float) / 10.0, data["cells"].astype(np.int32),
                np.zeros(len(data["cells"]), np.int32))


def cubes(n, h=0.05, jitter=0.2, flat=False):
    """n^d cubes of tetrahedra (squares of triangles), their inner nodes moved at random."""
    d = 2 if flat else 3
    rng = np.random.default_rng(3)
    shape = (n + 1,) * d
    points = np.stack(np.meshgrid(*[np.arange(n + 1.0)] * d, indexing="ij"), -1).reshape(-1, d)
    inner = ((points > 0) & (points < n)).all(axis=1)
    points[inner] += jitter * rng.uniform(-1, 1, (inner.sum(), d))
    cells = []
    for corner in itertools.product(range(n), repeat=d):
        for order in itertools.permutations(range(d)):
            place, cell = np.array(corner), [np.ravel_multi_index(corner, shape)]
            for axis in order:
                place[axis] += 1
                cell.append(np.ravel_multi_index(place, shape))
            cells.append(cell)
    full = np.zeros((len(points), 3))
    full[:, :d] = points * h
    return Mesh(full, np.array(cells, np.int32), np.zeros(len(cells), np.int32))


def fibres(angle):
    """Tensors (m, 3, 3) with fibres in the x-y plane, 7.6 times as conductive along."""
    a = np.stack([np.cos(angle), np.sin(angle), 0.0 * angle], axis=-1)
    return 1.26e-4 * (np.eye(3) + 6.6 * a[:, :, None] * a[:, None, :])


def operator(mesh, D, curve=CURVE):
    return assemble_deviation(mesh, D, [curve], np.zeros(mesh.n_cells, np.int64))


def tensors(mesh, kind):
    centre = mesh.points[mesh.cells].mean(axis=1)
    if kind == "isotropic":
        return np.broadcast_to(2e-4 * np.eye(3), (mesh.n_cells, 3, 3)).copy()
    if kind == "fibres":
        return fibres(np.full(mesh.n_cells, 0.4))
    if kind == "turning":
        return fibres(np.pi * centre[:, 0] / np.ptp(centre[:, 0]))
    jump = fibres(np.full(mesh.n_cells, 0.4))                      # a border between regions, 30 times
    jump[centre[:, 0] > centre[:, 0].mean()] /= 30.0
    return jump


@pytest.mark.parametrize("kind", ["isotropic", "fibres", "turning", "jump"])
@pytest.mark.parametrize("flat", [False, True], ids=["tetrahedra", "triangles"])
def test_symmetric_without_negative_eigenvalue_and_constants_stay(flat, kind):
    mesh = cubes(24 if flat else 7, flat=flat)
    A = operator(mesh, tensors(mesh, kind))
    K = A.stiffness
    assert abs(K - K.T).max() < 1e-14 * abs(K).max()
    assert abs(K @ np.ones(A.n)).max() < 1e-12 * abs(K).max()
    scale = 1.0 / np.sqrt(A.lumped_mass)
    S = K.multiply(scale[:, None]).multiply(scale[None, :]).tocsr()
    top = eigsh(S, k=1, which="LA", return_eigenvectors=False)[0]
    least = eigsh(S, k=2, sigma=-1e-3 * top, which="LM", return_eigenvectors=False)
    assert least.min() > -1e-9 * top
    assert least.max() > 1e-6 * top                                # only the constant is free
    assert A.is_lumped and np.allclose(A.mass.diagonal(), A.lumped_mass)
    assert A.lumped_mass.sum() == pytest.approx(np.ptp(mesh.points, axis=0)[:mesh.dim].prod())


def test_linear_fields_deviate_nowhere_inside():
    mesh = cubes(7)
    D = tensors(mesh, "fibres")
    inside = (abs(Means(mesh).outward).max(axis=1) < 1e-12)
    near = np.zeros(mesh.n_points, bool)
    near[mesh.cells[~inside[mesh.cells].all(axis=1)]] = True
    V = mesh.points @ [1.0, -2.0, 0.5]
    change = operator(mesh, D).stiffness @ V - assemble(mesh, D).stiffness @ V
    assert (~near).sum() > 20
    assert abs(change[~near]).max() < 1e-16


def test_nothing_passes_the_boundary():
    """All that leaves a node arrives at others, whatever V does at the boundary."""
    mesh = cubes(6)
    V = np.random.default_rng(0).normal(size=mesh.n_points)
    flow = operator(mesh, tensors(mesh, "turning")).stiffness @ V
    assert abs(flow.sum()) < 1e-12 * abs(flow).sum()


def test_a_plane_surface_is_the_same_in_any_plane_of_space():
    mesh = cubes(16, flat=True)
    D = tensors(mesh, "fibres")
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    turned = Mesh(mesh.points @ turn.T, mesh.cells, mesh.region)
    there = operator(turned, turn @ D @ turn.T).stiffness
    here = operator(mesh, D).stiffness
    assert abs(there - here).max() < 1e-3 * abs(here).max()        # the sample's solver stops at 1e-4


def test_the_weights_make_the_mesh_answer_as_a_lattice_does():
    response = Response(own=0.4, stray=0.1, direct=0.38, spread=0.07)
    D, alpha = np.array([[9.5, 1.3, 1.3]]), np.array([[0.16, 0.39, 0.39]])
    N = response.weights(D, alpha)
    rate = response.own + (response.stray * D.sum() + response.direct * N + response.spread * N.sum()) / D
    assert np.allclose(rate, target(alpha))
    assert target(np.array(0.0)) == pytest.approx((2.0 - 2.0 * np.cos(WAVE)) / WAVE ** 2)


def test_irregular_tetrahedra_need_less_stiffness_across_and_more_along():
    mesh = slab()
    D = tensors(mesh, "fibres")
    means = Means(mesh)
    values, _ = principal(means(D), 3)
    response = measure_response(mesh, means.spacing, means(D), values, CURVE(means.spacing[:, None] ** 2 / values))
    assert response != TYPICAL[3]
    assert response.direct > 0.0
    assert response.spread > 0.0
    assert response.stray > 0.05           # what is wrong with P1 elements across fibres
    assert response.own < (2.0 - 2.0 * np.cos(WAVE)) / WAVE ** 2


def test_a_mesh_without_an_inside_is_taken_for_a_typical_one():
    mesh = cubes(1)
    means = Means(mesh)
    D = means(tensors(mesh, "fibres"))
    values, _ = principal(D, 3)
    assert measure_response(mesh, means.spacing, D, values, values * 0.0 + 0.2) == TYPICAL[3]


def test_the_part_that_the_cells_around_a_node_share():
    mesh = cubes(4)
    for kind, lowest in (("fibres", 1.0), ("turning", 0.0), ("jump", 0.0)):
        D = tensors(mesh, kind)
        values, axes = principal(Means(mesh)(D), 3)
        part = common_part(mesh, D, values, axes)
        assert part.max() == pytest.approx(1.0) if kind != "turning" else part.max() < 1.0
        assert part.min() >= lowest
        mean = Means(mesh)(D)
        for corner in mesh.cells.T:        # D_c - part * D_i has no negative eigenvalue
            left = D - part[corner, None, None] * mean[corner]
            assert np.linalg.eigvalsh(left).min() > -1e-12


def test_membranes_with_curves_of_their_own_share_the_nodes_between_them():
    mesh = cubes(6)
    D = tensors(mesh, "isotropic")
    right = (mesh.points[mesh.cells].mean(axis=1)[:, 0] > mesh.points[:, 0].mean()).astype(np.int64)
    both = assemble_deviation(mesh, D, [CURVE, FOURTH_ORDER], right).stiffness
    first, second = (operator(mesh, D, curve).stiffness for curve in (CURVE, FOURTH_ORDER))
    far_left, far_right = np.argmin(mesh.points[:, 0]), np.argmax(mesh.points[:, 0])
    difference = abs(first - second).max()
    assert abs(both[[far_right]] - second[[far_right]]).max() < 0.2 * difference
    assert abs(both[[far_left]] - first[[far_left]]).max() < 0.2 * difference
    assert abs(both[[far_left]] - second[[far_left]]).max() > 0.01 * difference
