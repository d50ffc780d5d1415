"""Activation, repolarisation and APD from curves whose crossings are known."""

import numpy as np
import pytest

from upstroke.backend.cpu import CpuBackend
from upstroke.case.schema import Activation
from upstroke.errors import BackendError
from upstroke.observe import activation
from upstroke.observe.activation import ActivationWatcher


class Curves:
    """A state whose V is given: row n of ``rows`` after step n."""

    def __init__(self, rows, dtype, backend):
        self.rows = np.asarray(rows, dtype)
        self.order = self.rank = np.arange(self.rows.shape[1])
        self.V = backend.array(self.rows[0])

    def watched(self, watcher):
        """The watcher, after all rows."""
        for n in range(len(self.rows)):
            if n:
                self.V[:] = self.rows[n]
                watcher.stage.run(n - 1)
            watcher.see(n, 0.0)
        return watcher


def watch(V, dt, dtype=np.float64, threshold=-40.0, fraction=0.9):
    """The map of V (steps + 1, nodes)."""
    backend = CpuBackend(threads=2, precision="fp64" if dtype == np.float64 else "fp32")
    state = Curves(np.reshape(V, (len(V), -1)), dtype, backend)
    section = Activation(threshold=threshold, repolarisation=fraction)
    return state.watched(ActivationWatcher(section, state, backend, dt)).map()


def action_potentials(t, start, period, beats, rest=-85.0, peak=35.0, rise=1.0, fall=200.0):
    """Piecewise linear: from rest at ``start`` up in ``rise`` ms, down in ``fall`` ms, every ``period`` ms."""
    phase = np.where(t >= start, np.minimum((t - start) % period, t - start), np.inf)
    phase = np.where(t - start < beats * period, phase, np.inf)
    return np.interp(phase, [0.0, rise, rise + fall], [rest, peak, rest])


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-10), (np.float32, 1e-4)])
def test_every_beat_is_found_with_interpolated_crossings(dtype, tolerance):
    t = np.arange(1201) * 0.5
    starts = np.array([10.0, 23.0, 47.5])
    V = np.stack([action_potentials(t, s, 250.0, 2, rise=1.0) for s in starts], axis=1)
    found = watch(V, 0.5, dtype)
    rise = (-40.0 + 85.0) / 120.0          # part of the upstroke up to the threshold, 1 ms long
    assert found.beats == 2
    for beat in range(2):
        np.testing.assert_allclose(found.activation[beat], starts + 250.0 * beat + rise, atol=tolerance)
        np.testing.assert_allclose(found.repolarisation[beat], starts + 250.0 * beat + 1.0 + 180.0, atol=tolerance)
    np.testing.assert_allclose(found.apd, 181.0 - rise, atol=tolerance)
    assert (found.v_min, found.v_max, found.recrossed) == (-85.0, 35.0, 0)


def test_rest_is_the_minimum_since_the_last_maximum():
    """The first beat starts from -90 mV (seen before it), the second from -70 mV."""
    V = [-80.0, -90.0, 10.0, -85.0, -70.0, -70.0, 30.0, -50.0, -65.0]
    found = watch(V, 1.0)
    # beat 1: level 10 - 0.9 * 100 = -80, between steps 2 and 3; beat 2: level 30 - 0.9 * 115 = -73.5, not reached
    np.testing.assert_allclose(found.activation[:, 0], [1 + 50 / 100, 5 + 30 / 100])
    np.testing.assert_allclose(found.repolarisation[:, 0], [2 + 90 / 95, np.nan])


def test_a_node_above_the_threshold_at_the_start_has_no_activation_until_it_came_back():
    found = watch([0.0, 20.0, -85.0, -85.0, 20.0], 1.0)
    np.testing.assert_allclose(found.activation[:, 0], [3 + 45 / 105])


def test_a_crossing_before_repolarisation_is_counted_apart():
    found = watch([-85.0, 35.0, -50.0, 0.0, -85.0], 1.0)   # level -73, three quarters -46
    assert found.beats == 1
    assert found.recrossed == 1
    np.testing.assert_allclose(found.repolarisation[0], 3 + (0 + 73) / 85)
    assert found.notes() == (
        "at 1 node V crossed -40 mV upwards once more before it had repolarised by 90 %; such crossings are not "
        "counted as beats (a smaller watch.activation.repolarisation counts them)",)


def test_a_dip_in_the_upstroke_is_no_second_beat():
    """At a stimulated node V may dip below the threshold when the stimulus ends: not worth a note."""
    found = watch([-85.0, 35.0, -15.0, 30.0, -85.0], 1.0, threshold=0.0)
    assert (found.beats, found.recrossed, found.notes()) == (1, 0, ())


def test_nodes_differ_in_beats_and_a_silent_node_has_none():
    t = np.arange(4001) * 1.0
    V = np.stack([action_potentials(t, 10.0, 400.0, beats) for beats in (0, 1, 7)], axis=1)
    found = watch(V, 1.0)
    assert found.activation.shape == (7, 3)
    assert np.isfinite(found.activation).sum(axis=0).tolist() == [0, 1, 7]
    assert np.isfinite(found.repolarisation).sum(axis=0).tolist() == [0, 1, 7]


def test_no_node_active_gives_an_empty_map():
    found = watch(np.full((5, 3), -85.0), 1.0)
    assert found.activation.shape == found.apd.shape == (0, 3)
    assert (found.v_min, found.v_max) == (-85.0, -85.0)


@pytest.mark.parametrize("beats", [0, 3])
def test_memory_grows_with_beats_only(monkeypatch, beats):
    """No array is made in ten thousand steps without a beat; two with each beat."""
    backend = CpuBackend(threads=1)
    made = []
    zeros = backend.zeros
    monkeypatch.setattr(backend, "zeros", lambda *shape, **more: made.append(shape) or zeros(*shape, **more))
    V = np.full((10_000, 50), -85.0)
    V[1:2 * beats:2] = 20.0
    state = Curves(V, np.float64, backend)
    watcher = ActivationWatcher(Activation(), state, backend, 0.01)
    made.clear()
    state.watched(watcher)
    assert made == [(50,)] * 2 * beats


def test_a_map_does_not_depend_on_the_order_of_the_solve():
    """A random walk solved in mesh order and shuffled."""
    rng = np.random.default_rng(3)
    V = np.cumsum(rng.normal(0, 12, (300, 40)), axis=0) - 60.0
    order = rng.permutation(40)
    backend = CpuBackend(threads=1)
    state = Curves(V[:, order], np.float64, backend)
    state.order, state.rank = order, np.argsort(order)
    found = state.watched(ActivationWatcher(Activation(), state, backend, 0.1)).map()
    straight = watch(V, 0.1)
    assert found.beats > 1
    np.testing.assert_array_equal(found.activation, straight.activation)
    np.testing.assert_array_equal(found.repolarisation, straight.repolarisation)
    assert found.recrossed == straight.recrossed


def test_more_beats_than_can_be_kept(monkeypatch):
    monkeypatch.setattr(activation, "MOST_BEATS", 3)
    with pytest.raises(BackendError) as e:
        watch([-85.0, 20.0] * 4, 1.0)
    assert str(e.value) == ("watch.activation: a node has had 3 beats, as many as can be kept\n"
                            "  -> end the run earlier, or raise watch.activation.threshold")


def test_the_result_does_not_depend_on_threads():
    rng = np.random.default_rng(1)
    V = np.cumsum(rng.normal(0, 12, (400, 5000)), axis=0) - 60.0
    maps = []
    for threads in (1, 2):
        backend = CpuBackend(threads=threads)
        state = Curves(V, np.float64, backend)
        maps.append(state.watched(ActivationWatcher(Activation(), state, backend, 0.1)).map())
    np.testing.assert_array_equal(maps[0].activation, maps[1].activation)
    np.testing.assert_array_equal(maps[0].repolarisation, maps[1].repolarisation)
    assert (maps[0].v_min, maps[0].v_max) == (maps[1].v_min, maps[1].v_max) == (V.min(), V.max())
    assert maps[0].beats > 1


def test_against_a_plain_python_loop():
    rng = np.random.default_rng(7)
    V = np.cumsum(rng.normal(0, 15, (600, 40)), axis=0) * 0.5 - 50.0
    found = watch(V, 0.25, fraction=0.7)
    for node in range(V.shape[1]):
        expected = by_hand(V[:, node], 0.25, -40.0, 0.7)
        got = found.activation[:, node], found.repolarisation[:, node]
        for beat in range(found.beats):
            want = expected[beat] if beat < len(expected) else (np.nan, np.nan)
            np.testing.assert_allclose([g[beat] for g in got], want, rtol=1e-12)


def by_hand(v, dt, threshold, f):
    """The definition of ActivationMap, applied to a whole trace at once."""
    beats, start = [], 0
    n = 1
    while n < len(v):
        if v[n - 1] < threshold <= v[n]:
            rest = v[start:n].min()
            act = (n - 1 + (threshold - v[n - 1]) / (v[n] - v[n - 1])) * dt
            rep = np.nan
            for m in range(n + 1, len(v)):
                top = v[n:m + 1].max()
                level = top - f * (top - rest)
                if v[m] <= level:
                    rep = (m - 1 + (v[m - 1] - level) / (v[m - 1] - v[m])) * dt
                    start = m
                    break
            beats.append((act, rep))
            n = m + 1 if np.isfinite(rep) else len(v)
        else:
            n += 1
    return beats
