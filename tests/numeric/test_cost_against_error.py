"""The benchmark of cost against error: how errors are taken, how costs are read off, and a run of ours."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import cost_against_error as cost


def plane(n, slowness=(1.0, 2.0, 3.0)):
    """The map of a plane wave on cubes of 1 mm / n."""
    x = np.meshgrid(*(np.arange(round(size * n) + 1) / n for size in cost.SIZE), indexing="ij")
    return sum(s * x_d for s, x_d in zip(slowness, x, strict=True))


@pytest.mark.parametrize("n", [1, 3, 4])
def test_maps_are_compared_on_the_lattice(n):
    reference = cost.on_lattice(plane(2))
    assert reference.shape == (41, 15, 7)
    found = cost.on_lattice(plane(n))
    assert cost.error(found, reference) < 1e-12
    assert cost.error(1.02 * found, reference) == pytest.approx(0.02)
    found[:4, :4, :4] = 100.0                            # the stimulated cube does not count
    assert cost.error(found, reference) < 1e-12
    found[4, 0, 0] = np.nan
    assert cost.error(found, reference) == np.inf
    assert cost.corners(reference) == [9.0, 14.0, 23.0, 20.0, 29.0, 34.0, 43.0]


def row(n, error, cpu):
    return {"n": n, "dt_ms": 0.05, "error": error, "cpu_s": [cpu], "wall_s": [2 * cpu]}


def test_cost_is_read_off_the_front():
    rows = [row(1, 0.4, 1.0), row(2, 0.1, 8.0), row(2, 0.2, 9.0), row(3, np.inf, 5.0), row(4, 0.025, 64.0)]
    assert [r["cpu_s"][0] for r in cost.front(rows)] == [1.0, 8.0, 64.0]
    read = cost.cheapest(rows, 0.05)
    assert (read.cpu, read.wall) == pytest.approx((8.0 * 8.0 ** 0.5, 16.0 * 8.0 ** 0.5))
    assert read.row["n"] == 4 and not read.order
    assert cost.cheapest(rows, 0.5).cpu == 1.0           # the cheapest there is
    drawn = cost.cheapest(rows, 0.025 / 4)               # order 2 in n, cost n^3: twice as fine again
    assert drawn.cpu == pytest.approx(512.0) and drawn.order == pytest.approx(2.0)


def test_errors_that_cancel_are_told():
    rows = [row(1, 0.4, 1.0), row(2, 0.01, 8.0), row(4, 0.03, 64.0)]
    assert cost.comes_back(rows, cost.cheapest(rows, 0.02), 0.02)
    assert not cost.comes_back(rows, cost.cheapest(rows, 0.05), 0.05)
    assert cost.cheapest(rows, 0.005) is None            # finer is worse, so nothing can be drawn on


def test_run_of_ours_ends_when_all_are_active():
    code = cost.Code((), {**cost.EXPLICIT, "tissue": {"waves": "fourth_order", "conductivity": [
        {"monodomain": ["4 mS/cm"]}]}})
    report, times = cost.run(code, 1, 0.1, "cpu")
    assert times.shape == (21, 8, 4) and np.isfinite(times).all()
    assert times[0, 0, 0] < 2.0 < times[-1, -1, -1] == times.max()
    assert report["steps"] * 0.1 == pytest.approx(times.max(), abs=0.6)
