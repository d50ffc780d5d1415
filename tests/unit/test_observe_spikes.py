"""Spikes at places: interpolated crossings, on any device, however late the host looks."""

import numpy as np
import pytest

from upstroke.backend.cpu import CpuBackend
from upstroke.case.schema import Cable, CableMesh, Section, SectionsMesh, Site, Spikes, Watch
from upstroke.codegen import Kernel
from upstroke.errors import CaseError, MeshError
from upstroke.mesh import build_mesh
from upstroke.observe import check_watch, lines, spikes
from upstroke.observe.spikes import SpikeWatcher
from upstroke.step.state import State

DT = 0.1
SPIKES = Spikes(points={"near": (0.1,), "far, away": (0.5,)}, threshold=-10.0)


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
    lag = 5

    def __init__(self, late, precision="fp64"):
        super().__init__(threads=1, precision=precision)
        self.late = late

    def fetch(self, arrays):
        return LateFetch(arrays, self.clock.step, self.late)


def watch(backend, folder, V, steps):
    """Watches a cable of six nodes, solved in another order, where V(n) is known at the nodes of the mesh."""
    state = State([(Kernel("", "c", backend.precision, "", (), (), (), ()), {}, 6)], backend, [3, 1, 5, 0, 2, 4])
    state.V[:] = V(0)[state.order]
    watcher = SpikeWatcher(SPIKES, build_mesh(CableMesh(length=0.5, dx=0.1)), state, backend, DT, folder / "spikes.csv")
    watcher.see(0, 0.0)
    loop = backend.loop([watcher.stage])
    for n in range(steps):
        state.V[:] = V(n + 1)[state.order]
        loop.run(n)
        watcher.see(n + 1, (n + 1) * DT)
    return watcher


def read(folder):
    header, *rows = (folder / "spikes.csv").read_text().splitlines()
    assert header == "name,time_ms"
    return [(name.strip('"'), float(time)) for name, time in (row.rsplit(",", 1) for row in rows)]


def swing(n):
    """Node 1 rises through -10 mV in the middle of every second step, node 5 every sixth, a quarter into the step."""
    V = np.full(6, -70.0)
    V[1] = 0.0 if n % 2 else -20.0
    V[5] = 20.0 if n % 6 == 4 else -20.0
    return V


def expected(steps):
    near = [("near", (n - 0.5) * DT) for n in range(1, steps + 1, 2)]
    far = [("far, away", (n - 0.75) * DT) for n in range(4, steps + 1, 6)]
    return sorted(near + far, key=lambda spike: spike[1])


@pytest.mark.parametrize("late", [0, 3, 10_000])
@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_all_spikes_arrive_in_order(late, precision, tmp_path, monkeypatch):
    """However late, and though a device keeps few."""
    monkeypatch.setattr(spikes, "ROWS", 16)
    watcher = watch(Device(late, precision), tmp_path, swing, 200)
    watcher.close()
    watcher.close()
    found = read(tmp_path)
    assert watcher.count == {"near": 100, "far, away": 33}
    assert sorted(found) == [pytest.approx(spike) for spike in sorted(expected(200))]
    if not late:
        assert [t for _, t in found] == sorted(t for _, t in found)


def test_spikes_are_written_as_the_run_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "FLUSH_EVERY", -1.0)
    watcher = watch(CpuBackend(threads=1), tmp_path, swing, 20)
    assert read(tmp_path) == [pytest.approx(spike) for spike in expected(20)]
    watcher.close()


def test_what_stays_above_or_starts_there_does_not_spike(tmp_path):
    watcher = watch(CpuBackend(threads=1), tmp_path, lambda n: np.full(6, 5.0 if n < 3 else -80.0), 10)
    watcher.close()
    assert read(tmp_path) == [] and watcher.count == {"near": 0, "far, away": 0}


def test_what_is_wrong_with_places():
    neuron = build_mesh(SectionsMesh(section=(Section(name="axon", length=0.1, diameter=1e-4),)),
                        Cable(axial_resistivity=0.1))
    with pytest.raises(MeshError) as caught:
        check_watch(Watch(spikes=Spikes(points={"end": Site(section="exon", x=1.0)})), neuron, ("V",), DT)
    assert str(caught.value) == ("watch.spikes.points.end.section: the cell has no section 'exon'\n"
                                 "  -> did you mean 'axon'?")
    with pytest.raises(CaseError) as caught:
        check_watch(Watch(spikes=Spikes(points={"end": (0.0,) * 4})), neuron, ("V",), DT)
    assert str(caught.value) == ("watch.spikes.points.end: 4 coordinates\n"
                                 '  -> give one, two or three: ["1 mm", "2 mm", "3 mm"]')
