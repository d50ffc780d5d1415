"""Two runs on the GPU are the same bit for bit: sums are taken in a fixed order."""

import numpy as np
import pytest
from compare import sheet


@pytest.mark.parametrize("method", ["cg", "chebyshev"])
def test_two_runs_are_equal(same, method):
    case = sheet(solver={"method": method})
    first, second = (same.run(case, device="cuda") for _ in range(2))
    assert np.array_equal(first.activation.activation, second.activation.activation, equal_nan=True)
    for name in first.state.names:
        assert first.state.variable(name).tobytes() == second.state.variable(name).tobytes(), name
    assert first.summary["solver"] == second.summary["solver"]
