"""The direct solver for forests, against SciPy's sparse LU; how many levels it takes; what it refuses."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from upstroke.backend.tree import factorise, is_forest, largest_tree, tree_arrays

CHANCE = np.random.default_rng(7)


def matrix(parent, seed=1):
    """Symmetric, positive definite; node i is coupled to ``parent[i]``, or is a root where that is negative."""
    rng = np.random.default_rng(seed)
    n = len(parent)
    u = np.flatnonzero(parent >= 0)
    v, g = parent[u], rng.uniform(0.1, 10.0, len(u))
    K = sparse.coo_array((np.concatenate([g, g, -g, -g]), (np.concatenate([u, v, u, v]), np.concatenate([u, v, v, u]))),
                         shape=(n, n))
    return sparse.csr_array(K + sparse.diags_array(rng.uniform(0.5, 2.0, n)))


def cable(n):
    return np.arange(n) - 1


def shuffled(parent):
    """The same tree, numbered by chance."""
    number = CHANCE.permutation(len(parent))
    result = np.full(len(parent), -1)
    result[number] = np.where(parent >= 0, number[parent], -1)
    return result


def random_tree(n):
    return np.array([-1, *(CHANCE.random(n - 1) * np.arange(1, n)).astype(int)])


def star(n):
    return np.array([-1] + [0] * (n - 1))


def caterpillar(n):
    """A cable with a leaf at each node."""
    return np.where(np.arange(n) % 2 == 1, np.arange(n) - 1, np.arange(n) - 2)


TREES = {
    **{f"cable of {n}": cable(n) for n in (1, 2, 3, 4, 10, 1000, 100_000)},
    "shuffled cable": shuffled(cable(20_000)),
    "random tree": random_tree(5000), "shuffled random tree": shuffled(random_tree(5000)),
    "star": star(3000), "shuffled star": shuffled(star(3000)),
    "caterpillar": caterpillar(4000),
    "1000 cells": np.concatenate([np.where(c < 0, -1, c + 20 * k) for k in range(1000) for c in [random_tree(20)]]),
    "mixed sizes": shuffled(np.concatenate([[-1] * 50, cable(700), np.where(star(900) < 0, -1, 750)])),
    "single nodes": np.full(777, -1),
}


@pytest.mark.parametrize("parent", TREES.values(), ids=TREES)
def test_solves_as_sparse_lu_does(parent):
    A = matrix(parent)
    b = CHANCE.standard_normal(len(parent))
    expected = spsolve(A.tocsc(), b)
    assert is_forest(A)
    assert np.abs(factorise(A).solve(b) - expected).max() <= 1e-11 * np.abs(expected).max()


@pytest.mark.parametrize("parent", TREES.values(), ids=TREES)
def test_every_level_needs_only_lower_ones(parent):
    """What one barrier a level relies on: parents lie in later levels of the same group, children in earlier ones."""
    factor = factorise(matrix(parent))
    n = len(parent)
    level = np.repeat(np.arange(len(factor.level_start) - 1), np.diff(factor.level_start))
    group = np.repeat(np.arange(len(factor.group_level) - 1), np.diff(factor.group_level))[level]
    assert np.array_equal(np.sort(factor.node), np.arange(n))
    place, side = np.nonzero(factor.parent >= 0)
    above = factor.parent[place, side]
    assert (level[above] > level[place]).all() and (group[above] == group[place]).all()
    owner = np.repeat(np.arange(n), np.diff(factor.child_start))
    assert np.array_equal(factor.parent.ravel()[factor.child], owner)
    assert len(factor.child) == len(place)                          # each edge once at its child, once at its parent


@pytest.mark.parametrize("n", [1000, 100_000])
@pytest.mark.parametrize("make, growth", [(cable, 1.0), (lambda n: shuffled(cable(n)), 1.35), (caterpillar, 1.1),
                                          (random_tree, 1.1)], ids=["cable", "shuffled", "caterpillar", "random"])
def test_levels_grow_as_the_logarithm(make, growth, n):
    levels = len(factorise(matrix(make(n))).level_start) - 1
    assert levels <= growth * np.log2(n) + 2


def test_stars_take_two_levels_and_small_trees_share_groups():
    assert len(factorise(matrix(star(3000))).level_start) - 1 == 2
    factor = factorise(matrix(TREES["1000 cells"]))
    groups = len(factor.group_level) - 1
    nodes = np.diff(factor.level_start[factor.group_level])
    assert groups == 20_000 // 256 + 1 and nodes.max() < 256 + 20


def test_the_matrix_of_a_factor_keeps_its_row_sums():
    """Couplings that are only rounding are left out, of the diagonal too: what flows in flows out."""
    A = matrix(cable(50)).tolil()
    A[3, 40] = A[40, 3] = 1e-18
    A = A.tocsr()
    assert is_forest(A) and largest_tree(A) == 50
    x = factorise(A).solve(np.asarray(A.sum(axis=1)).ravel())
    assert np.abs(x - 1.0).max() < 1e-13


def ring(n):
    A = matrix(cable(n)).tolil()
    A[0, n - 1] = A[n - 1, 0] = -0.3
    return A.tocsr()


@pytest.mark.parametrize("A", [ring(3), ring(100), sparse.block_diag([ring(5), matrix(cable(100))]).tocsr(),
                               sparse.csr_array(np.full((4, 4), -0.1) + 2 * np.eye(4))],
                         ids=["triangle", "ring", "ring and cable", "full"])
def test_loops_are_refused(A):
    assert not is_forest(A) and largest_tree(A) == 0
    with pytest.raises(ValueError, match="the couplings of the matrix form a loop"):
        factorise(A)


def test_a_loop_in_either_matrix_counts():
    """With a consistent mass, a coupling of A = M + theta dt K can vanish where K's does not."""
    K = ring(6)
    A = K.copy()
    A[0, 5] = A[5, 0] = 0.0
    assert not is_forest(A, K) and is_forest(A, A)


def test_the_rows_of_the_stiffness_come_in_the_order_of_the_places():
    parent = shuffled(random_tree(300))
    A, K = matrix(parent, 1), matrix(parent, 2)
    arrays = tree_arrays(A, K)
    owner = np.repeat(arrays["node"], np.diff(arrays["row_start"]))
    off = sparse.coo_array((arrays["K"], (owner, arrays["column"])), shape=K.shape).tocsr()
    assert abs(off + sparse.diags_array(K.diagonal()) - K).max() == 0.0
