"""When a paced cell counts as steady."""

import numpy as np
import pytest

from upstroke.bench.cells import Record
from upstroke.bench.steady import Limit

T = np.arange(100.0)


def beat(**values):
    return Record(T, {name: np.array(value, float) * np.ones((len(T), 1)) for name, value in values.items()})


def test_the_norm_is_the_mean_relative_distance():
    limit = Limit(1e-3)
    limit.see(beat(V=3.0, w=4.0))
    assert not limit.reached and limit.report() == "1 beat: too few to compare"
    limit.see(beat(V=3.0, w=4.05))
    assert limit.change.norm == pytest.approx(0.01) and not limit.reached
    assert limit.report() == "not steady after 2 beats: change 0.01 >= 0.001\n" \
                             "still drifting, relative to their largest value: w (0.012)"
    limit.see(beat(V=3.0, w=4.052))
    assert limit.reached and not limit.alternates
    assert limit.report() == "steady after 3 beats: change 0.000397 < 0.001"


def test_what_drifts_below_the_norm_is_named():
    limit = Limit(1e-3)
    for calcium in (1e-4, 2e-4):
        limit.see(beat(V=-85.0, Cai=calcium))
    assert limit.reached
    assert limit.report() == "steady after 2 beats: change 1.18e-06 < 0.001\n" \
                             "still drifting, relative to their largest value: Cai (1)"


def test_a_cell_that_alternates_is_steady_over_two_beats():
    limit = Limit(1e-3)
    for w in (1.0, 2.0, 1.0):
        limit.see(beat(V=1.0, w=w))
    assert limit.reached and limit.alternates
    assert limit.report() == "steady after 3 beats, alternating: change over two beats 0 < 0.001, over one 0.447"


def test_the_worst_cell_counts_and_broken_ones_do_not():
    limit = Limit(1e-3)
    for w in (1.0, 1.5):
        limit.see(Record(T, {"w": np.array([1.0, w, np.nan]) * np.ones((len(T), 3))}))
    assert limit.change.norm == pytest.approx(0.5) and not limit.reached
