"""Which table owns a cell and a node, and the order in which nodes are solved for."""

import numpy as np
import pytest

from upstroke.case.schema import CableMesh, GridMesh, SheetMesh, SlabMesh
from upstroke.errors import CaseError, MeshError
from upstroke.mesh import Mesh, build_mesh
from upstroke.mesh.order import lost_cells_notes, membrane_of_nodes, solve_order, table_of_cells
from upstroke.space import assemble


def cable(region, **more):
    mesh = build_mesh(CableMesh(length=0.1 * len(region), dx=0.1))
    return Mesh(points=mesh.points, cells=mesh.cells, region=np.array(region, np.int32), **more)


NAMED = cable([1, 1, 2, 3], region_names={"scar": 2})


# -------------------------------------------------------------------------------------------------- cells
def test_cells_belong_to_the_table_that_names_their_region_the_rest_to_the_one_that_names_none():
    assert table_of_cells(NAMED, [None, ("scar",)], "membrane", "membrane").tolist() == [0, 0, 1, 0]
    assert table_of_cells(NAMED, [("scar", 3), (1,)], "membrane", "membrane").tolist() == [1, 1, 0, 0]
    assert table_of_cells(NAMED, [None], "membrane", "membrane").tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("regions, error, expected", [
    ([(1,)], CaseError,
     "membrane: regions [2, 3] have no membrane (2 cells)\n"
     "  -> add a [[membrane]] table for them, or one without 'regions' for all others"),
    ([None, ("scar",), (2,)], CaseError,
     "membrane.2.regions: region 2 belongs to membrane.1 already\n"
     "  -> name each region once, by its name or by its tag"),
    ([None, ("scra",)], MeshError,
     "membrane.1.regions: the mesh has no region 'scra'\n  -> did you mean 'scar'?"),
])
def test_mistakes_in_regions(regions, error, expected):
    with pytest.raises(error) as caught:
        membrane_of_nodes(NAMED, regions)
    assert str(caught.value) == expected


# -------------------------------------------------------------------------------------------------- nodes
def test_a_node_belongs_to_the_membrane_with_most_of_the_volume_around_it():
    mesh = cable([1, 1, 2, 2])
    points = mesh.points.copy()
    points[:, 0] = [0, 1, 2, 5, 6]                       # the segment right of node 2 is longer than the one left of it
    assert membrane_of_nodes(Mesh(points=points, cells=mesh.cells, region=mesh.region), [(1,), (2,)]).tolist() == \
        [0, 0, 1, 1, 1]


def test_a_tie_goes_to_the_earlier_table_whatever_rounding_says():
    mesh = cable([1] * 5 + [2] * 5)
    for shift in (0.0, 1 / 3, 1e3):                      # the lengths on both sides of node 5 differ by rounding
        moved = Mesh(points=mesh.points + shift, cells=mesh.cells, region=mesh.region)
        assert membrane_of_nodes(moved, [(1,), (2,)]).tolist() == [0] * 6 + [1] * 5
        assert membrane_of_nodes(moved, [(2,), (1,)]).tolist() == [1] * 5 + [0] * 6


def test_volumes_count_not_cells():
    """In the corner of the sheet that meets one triangle of each half, a node meets two triangles or one."""
    mesh = build_mesh(SheetMesh(size=(0.2, 0.1), dx=0.1))
    points = mesh.points * [1.0, 1.0, 0.0]
    mesh = Mesh(points=points, cells=mesh.cells, region=(points[mesh.cells, 0].mean(axis=1) > 0.1).astype(np.int32))
    owner = membrane_of_nodes(mesh, [(0,), (1,)])
    count = np.zeros((mesh.n_points, 2))
    for cell, region in zip(mesh.cells, mesh.region, strict=True):
        count[cell, region] += 1
    assert owner.tolist() == (count[:, 1] > count[:, 0]).astype(int).tolist()        # all triangles are alike here
    assert 0 < owner.sum() < len(owner)


def test_nodes_of_a_grid(tmp_path):
    """Cells [x, y] of regions 1, 1 | 2, 2 | 1, 2: four cells meet in a node, or fewer at the edge."""
    np.save(tmp_path / "mask.npy", np.array([[1, 1], [2, 2], [1, 2]]))
    mesh = build_mesh(GridMesh(mask=tmp_path / "mask.npy", dx=0.1))
    owner = membrane_of_nodes(mesh, [(2,), (1,)]).reshape(3, 4)              # [y, x]
    assert owner.tolist() == [[1, 0, 0, 1], [1, 0, 0, 0], [1, 0, 0, 0]]


def test_a_membrane_without_nodes_is_an_error():
    with pytest.raises(CaseError) as error:
        membrane_of_nodes(cable([1, 1, 2, 1, 1]), [(1,), (2,)])
    assert str(error.value) == (
        "membrane.1: gets no node: at each node of its cells another membrane has the larger part of the volume around "
        "it\n  -> make the mesh finer there, or remove this table")


def test_cells_that_lose_all_their_nodes_are_told(tmp_path):
    mask = np.ones((6, 4), int)
    mask[0, 1] = mask[3, 1] = 2                     # at the edge, and inside
    mask[5, :2] = 2
    np.save(tmp_path / "mask.npy", mask)
    mesh = build_mesh(GridMesh(dx=0.1, mask=tmp_path / "mask.npy"))

    def notes(*regions):
        return lost_cells_notes(mesh, regions, membrane_of_nodes(mesh, regions))

    why = ("cells have no node with it: at each of their nodes another membrane has the larger part of the volume "
           "around it, or as much and an earlier table")
    assert notes(None, (2,)) == [f"membrane.1: 2 of its 4 {why}"]
    assert notes((2,), None) == [f"membrane.0: 1 of its 4 {why}"]       # the earlier table gets the ties at the edge
    assert notes((1, 2)) == []


def test_a_membrane_for_all_others_where_there_are_none_is_an_error():
    with pytest.raises(CaseError) as error:
        membrane_of_nodes(NAMED, [(1, 2, 3), None])
    assert str(error.value) == ("membrane.1: is for all regions that no other table names, and there are none\n"
                                "  -> remove this table")


# -------------------------------------------------------------------------------------------------- order
@pytest.fixture(scope="module")
def shuffled():
    """A slab whose nodes are in no order."""
    mesh = build_mesh(SlabMesh(size=(0.8, 0.4, 0.4), dx=0.1))
    number = np.random.default_rng(1).permutation(mesh.n_points)
    points = np.empty_like(mesh.points)
    points[number] = mesh.points
    return Mesh(points=points, cells=number[mesh.cells].astype(np.int32), region=mesh.region)


def operator_of(mesh):
    return assemble(mesh, np.broadcast_to(np.diag([3.0, 1.0, 1.0]), (mesh.n_cells, 3, 3)), 0.2)


def bandwidth(matrix):
    entries = matrix.tocoo()
    return abs(entries.row - entries.col).max()


def test_neighbours_are_near_in_solve_order(shuffled):
    K = operator_of(shuffled).stiffness
    order = solve_order(np.zeros(shuffled.n_points, int), K, keep=False)
    assert sorted(order) == list(range(shuffled.n_points))
    layer = 5 * 5                                        # nodes of a cross-section; shuffled: nearly all nodes
    assert bandwidth(K) > 0.9 * shuffled.n_points
    assert bandwidth(K[order][:, order]) < 3 * layer


def test_the_nodes_of_a_membrane_follow_each_other(shuffled):
    owner = (shuffled.points[:, 0] > 0.35).astype(int)
    K = operator_of(shuffled).stiffness
    order = solve_order(owner, K, keep=False)
    assert (np.diff(owner[order]) >= 0).all()
    for part in (order[owner[order] == 0], order[owner[order] == 1]):
        assert bandwidth(K[part][:, part]) < 3 * 5 * 5


def test_an_order_that_is_kept_is_that_of_the_mesh():
    owner = np.array([1, 0, 1, 0, 0])
    assert solve_order(owner, None, keep=True).tolist() == [1, 3, 4, 0, 2]
    assert solve_order(np.zeros(4, int), None, keep=True).tolist() == [0, 1, 2, 3]


def test_a_permuted_operator_is_the_same_operator(shuffled):
    operator = operator_of(shuffled)
    order = np.random.default_rng(2).permutation(operator.n)
    moved = operator.permuted(order)
    V = np.random.default_rng(3).standard_normal(operator.n)
    assert np.allclose(moved.stiffness @ V[order], (operator.stiffness @ V)[order], rtol=1e-13, atol=1e-15)
    assert np.allclose(moved.mass @ V[order], (operator.mass @ V)[order], rtol=1e-13, atol=1e-15)
    assert np.array_equal(moved.lumped_mass, operator.lumped_mass[order])
    assert np.array_equal(moved.mass.indices, moved.stiffness.indices)          # one pattern, zeros kept
    assert moved.stiffness.nnz == operator.stiffness.nnz and moved.stiffness.has_sorted_indices
    theta_dt = 0.025
    assert np.allclose(moved.implicit_matrix(theta_dt) @ V[order], (operator.implicit_matrix(theta_dt) @ V)[order],
                       rtol=1e-13, atol=1e-15)


def test_the_identity_costs_nothing(shuffled):
    operator = operator_of(shuffled)
    assert operator.permuted(np.arange(operator.n)) is operator
