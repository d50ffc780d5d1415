"""The GPU benchmarks without a GPU: the matrices they write down are right, and every script runs on the stand-in."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))


@pytest.mark.parametrize(("kind", "mass"), [("slab", 0.2), ("slab", "lumped"), ("grid", "auto")])
def test_tiled_slab_is_the_assembled_one(kind, mass):
    import gpu_slab

    from upstroke.mesh import build_mesh
    from upstroke.space import discretise

    nodes = (6, 4, 5)
    whole = gpu_slab.case(kind, [m - 1 for m in nodes], tissue={"mass": mass})
    expected, found = discretise(build_mesh(whole.mesh), whole.tissue), gpu_slab.slab(kind, nodes, mass)
    assert found.is_lumped == expected.is_lumped
    assert np.allclose(found.lumped_mass, expected.lumped_mass, rtol=1e-12)
    for name in ("stiffness", "mass"):
        a, b = getattr(found, name), getattr(expected, name)
        assert abs(a - b).max() <= 1e-12 * abs(b).max(), name
    assert found.largest_eigenvalue >= expected.largest_eigenvalue * (1 - 1e-3)


def test_moved_nodes_make_rows_differ():
    import gpu_slab

    operator, order = gpu_slab.unstructured((6, 5, 4), 0.2)
    assert sorted(order) == list(range(120))
    assert not np.array_equal(order, np.arange(120))
    assert np.allclose(operator.stiffness.sum(axis=1), 0, atol=1e-12 * abs(operator.stiffness.data).max())
    assert len(np.unique(operator.stiffness.diagonal().round(12))) > 90      # 8 corners and their like are alike
