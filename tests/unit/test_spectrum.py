"""Bounds of the eigenvalues of A / diag(A), against dense eigenvalues."""

from functools import cache

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial import Delaunay

from upstroke.backend.spectrum import spectrum_bounds


@cache
def parts(seed, dim):
    """Lumped mass, consistent mass, stiffness of linear elements with random tensors, slivers included."""
    rng = np.random.default_rng(seed)
    points = rng.random((150, dim))
    total = np.zeros((3, len(points), len(points)))
    for cell in Delaunay(points).simplices:
        edges = np.column_stack([np.ones(dim + 1), points[cell]])
        volume = abs(np.linalg.det(edges)) / (2 if dim == 2 else 6)
        if volume < 1e-9:
            continue
        gradients = np.linalg.inv(edges)[1:]
        root = rng.normal(size=(dim, dim))
        consistent = volume / ((dim + 1) * (dim + 2)) * (np.ones((dim + 1, dim + 1)) + np.eye(dim + 1))
        stiffness = volume * gradients.T @ (root @ root.T + 0.1 * np.eye(dim)) @ gradients
        total[:, cell[:, None], cell] += np.diag(consistent.sum(axis=1)), consistent, stiffness
    return total


def matrices(seed, dim, mass, dt):
    """A = M + dt/2 K on a Delaunay mesh of random points."""
    lumped, consistent, stiffness = parts(seed, dim)
    A = mass * lumped + (1 - mass) * consistent + 0.5 * dt * stiffness
    keep = A.diagonal() > 0
    return sparse.csr_array(A[np.ix_(keep, keep)])


@pytest.mark.parametrize("dt", [0.0, 1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("mass", [1.0, 0.2, 0.0])
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("seed", [1, 2])
def test_bounds_hold(seed, dim, mass, dt):
    A = matrices(seed, dim, mass, dt)
    scale = 1.0 / np.sqrt(A.diagonal())
    true = np.linalg.eigvalsh(scale[:, None] * A.toarray() * scale)
    low, high = spectrum_bounds(A)
    assert 0.0 < low < high
    assert true[-1] <= high <= 2.1 * true[-1]              # needed to converge at all
    assert 0.25 * true[0] <= low <= 1.6 * true[0]          # an estimate: too high costs iterations, no accuracy


def test_bounds_of_a_diagonal_matrix_do_not_collapse():
    low, high = spectrum_bounds(sparse.diags_array(np.array([1.0, 5.0, 2.0])).tocsr())
    assert low < 1.0 < high and high - low < 1e-5


def test_bounds_of_a_lumped_mass_are_bounds():
    """On a cable, A = M + dt/2 K with M lumped: the lowest eigenvalue is that of the ends, from below."""
    n = 40
    K = sparse.diags_array([np.full(n - 1, -1.0), np.r_[1.0, np.full(n - 2, 2.0), 1.0], np.full(n - 1, -1.0)],
                           offsets=[-1, 0, 1])
    A = sparse.csr_array(sparse.diags_array(np.r_[0.5, np.ones(n - 2), 0.5]) + 0.3 * K)
    scale = 1.0 / np.sqrt(A.diagonal())
    true = np.linalg.eigvalsh(scale[:, None] * A.toarray() * scale)
    low, high = spectrum_bounds(A)
    assert low <= true[0] < low * 1.0001 and true[-1] <= high < true[-1] * 1.01
