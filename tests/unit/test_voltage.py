"""The implicit step of V on trees against a dense solve: cables, forests, populations, branch points."""

import numpy as np
import pytest
from scipy import sparse

from upstroke.backend import open_backend
from upstroke.backend.hines import hines_arrays, shape_of, tree_order
from upstroke.backend.voltage import branches_of, levels_arrays

DT, C_M = 0.025, 1.3


def stiffness(n, u, v, k):
    rows, columns = np.concatenate([u, v, u, v]), np.concatenate([v, u, u, v])
    K = sparse.coo_array((np.concatenate([-k, -k, k, k]), (rows, columns)), shape=(n, n)) + sparse.csr_array((n, n))
    return sparse.csr_array(K)


def tree(n, rng, bare=0.1):
    """Parents, couplings and masses of a tree numbered by chance; some inner nodes have no membrane."""
    number = rng.permutation(n)
    parent = np.maximum(np.arange(n) - rng.integers(1, 4, n), 0)
    u, v = number[1:], number[parent[1:]]
    degree = np.bincount(np.concatenate([u, v]), minlength=n)
    mass = rng.uniform(0.5, 2.0, n)
    mass[(rng.random(n) < bare) & (degree > 1)] = 0.0
    return u, v, rng.uniform(1.0, 50.0, n - 1), mass


def forest(sizes, seed=0, twins=0):
    """K and mass of trees of these sizes, the first one repeated so many times, side by side or mixed."""
    rng = np.random.default_rng(seed)
    parts = [tree(n, rng) for n in sizes]
    parts = [parts[0]] * twins + parts
    starts = np.cumsum([0, *(len(mass) for *_, mass in parts)])
    u, v = (np.concatenate([part[i] + start for part, start in zip(parts, starts[:-1], strict=True)]) for i in (0, 1))
    return (stiffness(starts[-1], u, v, np.concatenate([part[2] for part in parts])),
            np.concatenate([part[3] for part in parts]))


def arms(lengths, seed=5):
    """K and mass of a tree of unbranched arms that meet in a node, numbered by chance; inner nodes without membrane."""
    rng, n = np.random.default_rng(seed), sum(lengths) + 1
    starts = np.cumsum([1, *lengths])
    before = np.arange(-1, n - 1)
    before[starts[:-1]] = 0
    number, mass = rng.permutation(n), rng.uniform(0.5, 2.0, n)
    mass[number[rng.choice(np.setdiff1d(np.arange(n), starts[1:] - 1), n // 20, replace=False)]] = 0.0
    return stiffness(n, number[1:], number[before[1:]], rng.uniform(1.0, 50.0, n - 1)), mass


def inputs(n, seed=7):
    rng = np.random.default_rng(seed)
    return rng.normal(-60, 20, n), rng.normal(0, 30, n), rng.uniform(0, 20, n), rng.uniform(0, 5, n)


def dense(K, mass, theta, V, Iion, Istim, G, area=None):
    """The formula of voltage.py, with NumPy."""
    K, area = K.toarray(), mass if area is None else area
    A = np.diag(mass + theta * DT * area * G / C_M) + theta * DT * K
    weight = np.where(mass > 0, 1.0, theta)
    return V + np.linalg.solve(A, -weight * DT * (K @ V) - DT * area * (Iion - Istim) / C_M)


def step(K, mass, theta, V, Iion, Istim, G, threads=1, precision="fp64", area=None):
    backend = open_backend("cpu", threads=threads, precision=precision)
    V, Iion, Istim, G = (backend.array(x, backend.dtype) for x in (V, Iion, Istim, G))
    stage = backend.voltage(K, mass, V, Iion, Istim, G, C_M, DT, theta, area)
    loop = backend.loop([stage])
    loop.run(0)
    assert stage.name == "voltage" and (loop.clock.solves == 1 or loop.clock.halted)
    return V, loop.clock


@pytest.mark.parametrize("theta", [0.5, 1.0])
@pytest.mark.parametrize("sizes, twins", [((1,), 0), ((2,), 0), ((300,), 0), ((40, 1, 7, 90), 0), ((30,), 7),
                                          ((30, 5), 18), ((1,), 20)])
def test_a_step_solves_the_equation(sizes, twins, theta):
    K, mass = forest(sizes, twins=twins)
    values = inputs(len(mass))
    found, _ = step(K, mass, theta, *values)
    assert np.abs(found - dense(K, mass, theta, *values)).max() < 1e-9
    assert np.abs(found - values[0]).max() > 0.1


@pytest.mark.parametrize("theta", [0.5, 1.0])
@pytest.mark.parametrize("lengths, pieces", [((63,), []), ((64,), [7]), ((71,), [7]), ((72,), [8]), ((999,), [123]),
                                             ((200, 150, 30), [23, 17]), ((80, 81, 90, 100), [8, 9, 10, 11])])
def test_long_branches_are_cut_into_eight_pieces(lengths, pieces, theta):
    """Also where the nodes of the pieces lie side by side in memory."""
    K, mass = arms(lengths)
    chains = hines_arrays(branches_of(K, mass, theta, DT, C_M))["chains"]
    assert sorted(chains["n"]) == sorted(pieces) and not chains["adjacent"].any()
    values = inputs(len(mass))
    found, _ = step(K, mass, theta, *values)
    assert np.abs(found - dense(K, mass, theta, *values)).max() < 1e-9
    order = tree_order(K, np.zeros(len(mass)))
    K = K[order][:, order].tocsr()
    assert hines_arrays(branches_of(K, mass[order], theta, DT, C_M))["chains"]["adjacent"].all()
    ordered, _ = step(K, mass[order], theta, *(x[order] for x in values))
    assert np.abs(ordered - found[order]).max() < 1e-11


def test_cells_with_long_branches_keep_their_own_coefficients():
    """Seven alike are no vector; what is left of the pieces changes from step to step, and from cell to cell."""
    K, mass = arms((90, 120, 10))
    K, mass = sparse.block_diag([K] * 7, format="csr"), np.tile(mass, 7)
    arrays = hines_arrays(branches_of(K, mass, 0.5, DT, C_M))
    assert len(set(arrays["packs"]["shape"])) == 7 and (arrays["packs"]["chains"] == 2).all()
    values = inputs(len(mass))
    one, two = (step(K, mass, 0.5, *values, threads=threads)[0] for threads in (1, 2))
    assert np.abs(one - dense(K, mass, 0.5, *values)).max() < 1e-9 and np.array_equal(one, two)


@pytest.mark.parametrize("theta", [0.5, 1.0])
def test_currents_flow_through_the_area_and_charge_the_mass(theta):
    """Nodes with capacitances of their own, in cells of one shape: those with others do not share coefficients."""
    K, mass = forest((30,), twins=15)
    values = inputs(len(mass))
    area = mass / np.random.default_rng(2).uniform(0.5, 3.0, len(mass))
    found, _ = step(K, mass, theta, *values, area=area)
    assert np.abs(found - dense(K, mass, theta, *values, area=area)).max() < 1e-9
    assert np.abs(found - dense(K, mass, theta, *values)).max() > 0.1


def test_single_precision_keeps_the_solve_in_double():
    K, mass = forest((200,))
    values = inputs(200)
    assert np.abs(step(K, mass, 0.5, *values, precision="fp32")[0] - dense(K, mass, 0.5, *values)).max() < 5e-5


def test_threads_and_neighbours_change_no_bit():
    """A cell's result is the same alone, in a lane beside others, and on any number of threads."""
    K, mass = forest((300,), twins=15)
    values = inputs(len(mass))
    one, four = (step(K, mass, 0.5, *values, threads=threads)[0] for threads in (1, 4))
    assert np.array_equal(one, four)
    alone, _ = step(K[:300][:, :300].tocsr(), mass[:300], 0.5, *(x[:300] for x in values))
    assert np.abs(alone - one[:300]).max() < 1e-11


def test_a_uniform_cell_without_current_keeps_its_voltage_to_the_last_bit():
    K, mass = forest((500,))
    V, _ = step(K, mass, 0.5, np.full(500, -65.1), np.zeros(500), np.zeros(500), np.full(500, 0.3))
    assert (V == -65.1).all()


def test_a_node_without_membrane_balances_its_neighbours_after_every_step():
    """From any start: Crank-Nicolson's mean of old and new would let it swing for ever."""
    K, mass = forest((60,), seed=3)
    values = inputs(60)
    bare = mass == 0
    assert 2 < bare.sum() < 20
    V, _ = step(K, mass, 0.5, *values)
    assert np.abs((K @ V)[bare]).max() < 1e-9 < np.abs((K @ values[0])[bare]).max()


@pytest.mark.parametrize("sizes, twins", [((40, 30), 0), ((40, 30), 7), ((40,), 0)])
def test_a_value_that_is_no_number_halts_the_clock(sizes, twins):
    """Whatever kind of tree it is in: alone, side by side, with chains."""
    K, mass = forest(sizes, twins=twins) if len(sizes) > 1 else arms((100,))
    V, *rest = inputs(len(mass))
    V[50] = np.nan
    found, clock = step(K, mass, 1.0, V, *rest)
    assert clock.halted and clock.status == 1
    assert twins or len(sizes) == 1 or np.isfinite(found[:40]).all()


def test_loops_are_refused():
    u = np.arange(5)
    K = stiffness(5, u, (u + 1) % 5, np.ones(5))
    with pytest.raises(ValueError, match="the couplings of the matrix form a loop"):
        branches_of(K, np.ones(5), 0.5, DT, C_M)


def test_a_tree_is_rooted_in_its_middle_and_runs_from_the_leaves():
    """So a cable has two chains of half its length, which one core works on at once."""
    u = np.arange(8)
    shape = shape_of(9, u, u + 1)
    assert shape.node[-1] == 4 and set(shape.node[:2]) == {0, 8}
    assert (shape.parent > np.arange(9)).all() and shape.parent[-1] == 9
    assert sorted(shape.branch) == list(range(9))
    depth = abs(shape.node - 4)
    assert (np.diff(depth) <= 0).all()


def test_cells_that_are_alike_share_their_coefficients():
    """A population of one cell: as much as one cell needs, however many there are; eight lanes to a vector."""
    few, many = (hines_arrays(branches_of(*forest((100,), twins=twins), 0.5, DT, C_M)) for twins in (7, 799))
    assert len(few["diagonal"]) == len(many["diagonal"]) == 104           # whole cache lines
    assert len(few["packs"]) == 1 and len(many["packs"]) == 100
    assert (many["packs"]["lanes"] == 8).all() and many["packs"]["shared"].all()


def test_cells_side_by_side_in_memory_give_the_same_numbers():
    """In the order of `tree_order`, of two membranes here, eight cells are one vector."""
    K, mass = forest((100,), twins=23)
    group = np.tile(np.arange(100) < 30, 24).astype(int)
    order = tree_order(K, group)
    assert (np.sort(order) == np.arange(2400)).all() and (np.diff(group[order]) >= 0).all()
    packs = hines_arrays(branches_of(K[order][:, order].tocsr(), mass[order], 0.5, DT, C_M))["packs"]
    assert len(packs) == 3 and packs["adjacent"].all()
    values = inputs(len(mass))
    found, _ = step(K, mass, 0.5, *values)
    ordered, _ = step(K[order][:, order].tocsr(), mass[order], 0.5, *(x[order] for x in values))
    assert np.abs(ordered - found[order]).max() < 1e-11


def test_every_branch_of_the_levels_comes_from_the_matrix_or_from_one_elimination():
    b = branches_of(*forest((300, 20)), 0.5, DT, C_M)
    arrays = levels_arrays(b)
    there = arrays["parent"].ravel() >= 0
    assert ((arrays["coupling"] != 0) ^ (arrays["origin"] >= 0))[there].all()
    assert (arrays["coupling"][~there] == 0).all() and (arrays["origin"][~there] == -1).all()
    assert (arrays["coupling"] != 0).sum() == len(b.k)
