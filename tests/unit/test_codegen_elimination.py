"""The elimination that is written out, run as Python against NumPy."""

import re
from itertools import pairwise

import numpy as np
import pytest

from upstroke.codegen.elimination import Elimination


def solved(system, A, b):
    """The statements, as they stand but for their types."""
    n = len(b)
    names = {f"m{i}_{j}": A[i, j] for i in range(n) for j in range(n) if A[i, j]}
    names |= {f"r_x{i}": b[i] for i in range(n)} | {"up_div": lambda a, b: a / b}
    lines = [*system.factor(), *system.solve("r", system.unknowns)]
    exec("\n".join(re.sub(r"^(const )?real ", "", line).rstrip(";") for line in lines), names)
    return [names[f"r_x{i}"] for i in range(n)]


@pytest.mark.parametrize("density", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_solves_random_systems(n, density):
    rng = np.random.default_rng(n)
    A = rng.normal(size=(n, n)) * (rng.random((n, n)) < density) + 5 * n * np.eye(n)
    b = rng.normal(size=n)
    entries = [(f"x{i}", f"x{j}") for i in range(n) for j in range(n) if A[i, j]]
    found = solved(Elimination([f"x{i}" for i in range(n)], entries), A, b)
    np.testing.assert_allclose(found, np.linalg.solve(A, b), rtol=1e-12)


def test_an_arrow_and_a_chain_fill_nothing_in():
    names = [f"x{i}" for i in range(20)]
    arrow = [(names[0], x) for x in names] + [(x, names[0]) for x in names]
    assert Elimination(names, arrow).products == 2 * 19
    chain = [pair for a, b in pairwise(names) for pair in ((a, b), (b, a))]
    assert Elimination(names, chain).products == 2 * 19
    dense = [(a, b) for a in names[:14] for b in names[:14]]
    assert Elimination(names[:14], dense).products == 910
