"""Networks on the GPU: spikes of cells, gap junctions and noise, as on the CPU; two runs are the same bit for bit."""

import numpy as np
import pytest
from compare import network


def test_cells_spike_as_on_the_cpu(same):
    """Noise is the same bits; V is not, and a spike by chance amplifies that from cell to cell."""
    cpu, gpu = same.both(network())
    a, b = cpu.spikes(), gpu.spikes()
    assert [len(t) for t in a.values()] == [len(t) for t in b.values()] and sum(map(len, a.values())) >= len(a) / 2
    worst = max(np.abs(np.subtract(a[name], b[name])).max(initial=0.0) for name in a)
    same.seen["spikes"] = float(worst)
    assert worst < 1e-4
    x, y = (result.state.variable("Inoise") for result in (cpu, gpu))
    assert x.tobytes() == y.tobytes() and np.ptp(x) > 1.0


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_two_runs_are_equal(same, precision):
    """Arrivals are added in whatever order threads come, and sums are the same."""
    first, second = (same.run(network(), device="cuda", backend={"precision": precision}) for _ in range(2))
    for name in first.state.names:
        assert first.state.variable(name).tobytes() == second.state.variable(name).tobytes(), name
    assert first.spikes().keys() == second.spikes().keys()
