"""Watchers where the host runs ahead of the device: what they fetch arrives steps later."""

import numpy as np
import pytest

from upstroke.backend.clock import HALTING
from upstroke.backend.cpu import CpuBackend
from upstroke.case.schema import Activation, CableMesh, Probes, Snapshots, Watch
from upstroke.codegen import Kernel
from upstroke.errors import BackendError
from upstroke.mesh import build_mesh
from upstroke.observe import lines, open_watchers
from upstroke.observe import samples as module
from upstroke.observe.activation import ActivationWatcher
from upstroke.step.state import State

LAG = 5


class LateFetch:
    """What arrays held when they were asked for; there after ``late`` looks, or for who waits."""

    def __init__(self, arrays, step, late):
        self.step, self._arrays, self._late = step, {name: array.copy() for name, array in arrays.items()}, late

    def ready(self):
        self._late -= 1
        return self._late < 0

    def get(self):
        return self._arrays


class Device(CpuBackend):
    """A CPU whose fetches are late, and whose steps do nothing once its clock has halted; the host goes on."""

    lag = LAG

    def __init__(self, late=LAG):
        super().__init__(threads=1)
        self.late, self.asked = late, 0

    def fetch(self, arrays):
        self.asked += 1
        return LateFetch(arrays, self.clock.step, self.late)

    def run(self, watchers, state, V, first, last, breaks=None):
        """Steps ``first`` to ``last`` of a run where V moves, and which breaks in a certain step."""
        stages = [*watchers.stages]
        loop = self.loop(stages)
        loop.clock.step = first - 1
        state.V[:] = V(first - 1)[state.order]
        for n in range(first - 1, last):
            if not loop.clock.halted:
                state.V[:] = V(n + 1)[state.order]
                self.clock.status = HALTING if n + 1 == breaks else 0
                if self.clock.status:
                    loop.clock.tick()
                else:
                    loop.run(n)
            watchers.see(n + 1, (n + 1) * DT)


DT = 0.1


class Frames:
    """A series that keeps its frames."""

    def __init__(self, *_):
        self.frames = []

    def append(self, t, fields):
        self.frames.append((t, {name: values.copy() for name, values in fields.items()}))

    def close(self):
        pass


@pytest.fixture
def watched(tmp_path):
    """Opens the watchers of a cable of six nodes, solved in another order, on a device."""
    mesh = build_mesh(CableMesh(length=0.5, dx=0.1))

    def build(device, V, every=1, steps=100):
        state = State([(Kernel("", "c", "fp64", "", (), (), (), ()), {}, 6)], device, [3, 1, 5, 0, 2, 4])
        state.V[:] = V(0)[state.order]
        opened = []
        watch = Watch(activation=Activation(threshold=-40.0),
                      probes=Probes(points={"P": (0.1,), "Q": (0.5,)}, every=every * DT),
                      snapshots=Snapshots(every=every * DT))
        device.loop([])
        watchers = open_watchers(watch, mesh, state, device, DT, tmp_path, steps=steps,
                                 series=lambda *a: opened.append(Frames(*a)) or opened[0])
        watchers.see(0, 0.0)
        return watchers, state, opened[0], tmp_path / "probes.csv"

    return build


def ramp(n):
    return n + np.arange(6.0)


def rows(path):
    return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)


def expected_rows(samples):
    return [(n * DT, ramp(n)[1], ramp(n)[5]) for n in samples]


@pytest.mark.parametrize("late", [0, 1, LAG, 3 * LAG, 10_000])
@pytest.mark.parametrize("every", [1, 3])
def test_all_samples_and_frames_arrive(watched, monkeypatch, late, every):
    """Whenever fetches become ready, and though the ring holds fewer samples than are taken."""
    monkeypatch.setattr(module, "RING", 8)
    device = Device(late)
    watchers, state, series, path = watched(device, ramp, every)
    device.run(watchers, state, ramp, 1, 100)
    watchers.close()
    np.testing.assert_allclose(rows(path), expected_rows(range(0, 101, every)), rtol=1e-11)
    assert [t for t, _ in series.frames] == pytest.approx([n * DT for n in range(0, 101, every)])
    for (_, fields), n in zip(series.frames, range(0, 101, every), strict=True):
        np.testing.assert_array_equal(fields["V"], ramp(n))


def test_few_samples_are_not_fetched_one_by_one(watched, monkeypatch):
    """But once a quarter of the ring is full; the count of beats every ``lag`` steps."""
    monkeypatch.setattr(lines, "FLUSH_EVERY", 1e9)
    device = Device(0)
    watchers = watched(device, ramp, steps=2000)[0]
    for watcher, fetches in ((watchers.others[0], 1000 // (module.RING // 4)), (watchers.activation, 1000 // LAG)):
        device.asked = 0
        for n in range(1, 1001):
            device.clock.step = n
            watcher.see(n, n * DT)
        assert device.asked == fetches


def test_samples_are_fetched_when_half_a_second_has_gone(watched, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])
    device = Device(2)
    watchers, state, _, path = watched(device, ramp)
    device.run(watchers, state, ramp, 1, 20)
    assert len(rows(path)) == 1
    now[0] = 0.6
    device.run(watchers, state, ramp, 21, 24)
    np.testing.assert_allclose(rows(path), expected_rows(range(22)), rtol=1e-11)


@pytest.mark.parametrize("breaks", [1, 2, 17, 30])
def test_nothing_from_after_the_break_is_written(watched, monkeypatch, breaks):
    """The host enqueues up to step 40, the device halted in step ``breaks``."""
    monkeypatch.setattr(module, "RING", 8)
    device = Device()
    watchers, state, series, path = watched(device, ramp)
    device.run(watchers, state, ramp, 1, 40, breaks=breaks)
    watchers.close()
    np.testing.assert_allclose(rows(path), expected_rows(range(breaks)), rtol=1e-11)
    assert [t for t, _ in series.frames] == pytest.approx([n * DT for n in range(breaks)])
    found = watchers.activation.map()
    assert found.v_max == ramp(breaks - 1).max()


def beating(period, beats):
    """V of six nodes that beat every ``period`` steps, node 0 first."""
    def V(n):
        phase = n - 1 - np.arange(6)
        return np.where((phase >= 0) & (phase < period * beats) & (phase % period < period // 2), 20.0, -80.0)
    return V


@pytest.mark.parametrize("late", [0, 2, LAG])
@pytest.mark.parametrize("period", [5, 12])
def test_no_beat_is_lost_while_the_host_is_behind(watched, late, period):
    """A beat every 5 steps: up to three begin between the looks of a host that is 5 steps behind."""
    V, device = beating(period, 9), Device(late)
    watchers, state, _, _ = watched(device, V, steps=150)
    device.run(watchers, state, V, 1, 150)
    watchers.close()
    found = watchers.activation.map()
    assert found.activation.shape == (9, 6)
    crossing = 0.4 * DT                # from -80 to 20 mV, at -40 mV
    np.testing.assert_allclose(found.activation, DT * (np.arange(6) + period * np.arange(9)[:, None]) + crossing)
    assert np.isfinite(found.repolarisation).all()


LOST = (f"watch.activation: a node had more than 3 beats within {2 * LAG} steps\n"
        '  -> take a smaller dt, raise watch.activation.threshold, or take backend.device = "cpu"')


class Spiking:
    """A node that beats every other step, and its watcher."""

    def __init__(self, device):
        self.state = State([(Kernel("", "c", "fp64", "", (), (), (), ()), {"V": -80.0}, 1)], device)
        self.watcher = ActivationWatcher(Activation(threshold=-40.0), self.state, device, DT)

    def steps(self, first, last):
        for n in range(first, last + 1):
            self.state.V[:] = 20.0 if n % 2 else -80.0
            self.watcher.stage.run(n - 1)
            self.watcher.see(n, n * DT)


def test_more_beats_than_spare_rows_are_an_error():
    """Also where there were rows again when the host looked."""
    with pytest.raises(BackendError) as e:
        Spiking(Device()).steps(1, 100)
    assert str(e.value) == LOST


def test_beats_lost_in_the_last_steps_are_an_error_at_the_end():
    node = Spiking(Device(late=100))
    node.steps(1, 6)
    node.watcher.close()                     # three beats, three spare rows
    node.steps(7, 8)
    with pytest.raises(BackendError) as e:
        node.watcher.close()
    assert str(e.value) == LOST
    assert node.watcher.map().activation.shape == (3, 1)
