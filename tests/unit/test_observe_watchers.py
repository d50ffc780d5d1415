"""Probes, snapshots and the building of watchers, on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from upstroke.backend.cpu import CpuBackend
from upstroke.case.schema import CableMesh, Probes, SheetMesh, Snapshots, Watch
from upstroke.codegen import Kernel
from upstroke.errors import CaseError, MeshError, OutputError
from upstroke.mesh import build_mesh
from upstroke.mesh.mesh import Mesh
from upstroke.observe import samples as module
from upstroke.observe.lines import LineFile
from upstroke.observe.probes import ProbeWatcher, place_probes
from upstroke.observe.snapshots import SnapshotWatcher, part_of
from upstroke.observe.watchers import Watchers, check_variables, check_watch, open_watchers, whole_steps
from upstroke.step.state import State


def make_state(backend, *groups, order=None):
    """A state whose membranes have these (states, number of nodes)."""
    kernels = [(Kernel("", "c", backend.precision, "", tuple(names), (), (), ()), {}, n) for names, n in groups]
    return State(kernels, backend, order)


def set_variable(state, name, values):
    """Values of a variable in the mesh's order, where the membranes have it."""
    for begin, end, array in state.pieces(name):
        array[:] = np.broadcast_to(values, state.n)[state.order[begin:end]]


class Move:
    """A stage that sets V to what a function gives for the number of steps done."""

    name = "move"

    def __init__(self, state, V):
        self.state, self.V = state, V

    def run(self, n):
        set_variable(self.state, "V", self.V(n + 1))


def walk(backend, state, watchers, steps, dt, V):
    """Steps of a loop in which V moves, seen by watchers."""
    set_variable(state, "V", V(0))
    watchers = watchers() if callable(watchers) else watchers
    stages = [watcher.stage for watcher in watchers if hasattr(watcher, "stage")]
    loop = backend.loop([Move(state, V), *stages])
    for n in range(steps + 1):
        if n:
            loop.run(n - 1)
        for watcher in watchers:
            watcher.see(n, n * dt)
    return watchers


class Frames:
    """A series that keeps its frames."""

    def __init__(self, path, mesh, names, frames):
        self.path, self.mesh, self.names, self.room = path, mesh, names, frames
        self.frames, self.closed = [], False

    def append(self, t, fields):
        self.frames.append((t, {name: values.copy() for name, values in fields.items()}))

    def close(self):
        self.closed = True


class Series:
    """Opens `Frames` and keeps the last."""

    def __call__(self, *args):
        self.opened = Frames(*args)
        return self.opened

    @property
    def frames(self):
        return self.opened.frames


@pytest.fixture(scope="module")
def backend():
    return CpuBackend(threads=2)


@pytest.fixture
def state(backend):
    """Eleven nodes with the variables V, Iion and h."""
    return make_state(backend, (["h"], 11))


@pytest.fixture
def cable():
    return build_mesh(CableMesh(length=1.0, dx=0.1))


def probes(points, **more):
    return Probes(points=points, every=more.pop("every", 0.1), **more)


# --------------------------------------------------------------------------------------------- probes
def test_a_probe_reads_the_nearest_node_and_says_how_far_it_is(cable):
    probe, = place_probes(probes({"P1": (0.42, 0.0, 0.0)}), cable)
    assert probe.nodes.tolist() == [4]
    assert probe.distance == pytest.approx(0.02)
    assert probe.read(np.arange(11.0)) == 4.0


def test_coordinates_left_out_are_zero(cable):
    probe, = place_probes(probes({"P1": (0.7,)}), cable)
    assert probe.nodes.tolist() == [7]


def test_an_interpolated_probe_is_exact_for_linear_fields():
    mesh = build_mesh(SheetMesh(size=(1.0, 1.0), dx=0.25))
    probe, = place_probes(probes({"P1": (0.33, 0.61, 0.0)}, interpolate=True), mesh)
    assert probe.read(3.0 * mesh.points[:, 0] - 2.0 * mesh.points[:, 1]) == pytest.approx(3 * 0.33 - 2 * 0.61)


def test_an_interpolated_probe_at_a_node_reads_that_node_only():
    mesh = build_mesh(SheetMesh(size=(1.0, 1.0), dx=0.25))
    probe, = place_probes(probes({"P1": (0.25, 0.5, 0.0)}, interpolate=True), mesh)
    values = np.full(mesh.n_points, np.nan)
    values[np.isclose(mesh.points, [0.25, 0.5, 0.0]).all(axis=1)] = 7.0
    assert probe.read(values) == pytest.approx(7.0)


def test_a_far_probe_is_noted(cable, tmp_path, state, backend):
    section = probes({"near": (0.5,), "far": (0.5, 0.3, 0.0)})
    watcher = ProbeWatcher(section, cable, state, backend, 1, 0.1, tmp_path / "p.csv")
    watcher.close()
    assert watcher.notes == (
        "probe far reads node 5 at (5, 0, 0) mm, 3 mm from where it was asked for; the edges there are 1 mm long",)


def test_errors_of_places(cable):
    with pytest.raises(CaseError) as e:
        place_probes(probes({"P1": (0.0, 0.0, 0.0, 1.0)}), cable)
    assert str(e.value) == ('watch.probes.points.P1: 4 coordinates\n'
                            '  -> give one, two or three: ["1 mm", "2 mm", "3 mm"]')
    with pytest.raises(MeshError) as outside:
        place_probes(probes({"P1": (2.0,)}, interpolate=True), cable)
    assert outside.value.where == "watch.probes.points.P1"


def test_probes_csv_is_plain_csv(cable, tmp_path, backend):
    state = make_state(CpuBackend(threads=1, precision="fp32"), (["h"], 11))
    set_variable(state, "Iion", 1.0)
    section = probes({"P1": (0.0,), "a, b": (1.0,)}, variables=("V", "Iion"))
    watcher, = walk(backend, state, lambda: [ProbeWatcher(section, cable, state, backend, 2, 0.1,
                                                          tmp_path / "probes.csv")],
                    5, 0.1, lambda n: np.linspace(-85, 20, 11) + n)
    watcher.close()
    watcher.close()
    assert (tmp_path / "probes.csv").read_text() == (
        'time_ms,P1.V,P1.Iion,"a, b.V","a, b.Iion"\n'
        "0,-85,1,20,1\n0.2,-83,1,22,1\n0.4,-81,1,24,1\n")


def test_interpolated_probes_are_sampled_where_the_state_lies(tmp_path, backend):
    mesh = build_mesh(SheetMesh(size=(1.0, 1.0), dx=0.25))
    state = make_state(backend, ([], mesh.n_points))
    x, y = mesh.points[:, 0], mesh.points[:, 1]
    watcher, = walk(backend, state, lambda: [ProbeWatcher(
        probes({"P": (0.33, 0.61), "Q": (0.75, 0.5)}, interpolate=True), mesh, state, backend, 1, 0.1,
        tmp_path / "p.csv")], 3, 0.1, lambda n: 3 * x - 2 * y + n * x)
    watcher.close()
    np.testing.assert_allclose(np.loadtxt(tmp_path / "p.csv", delimiter=",", skiprows=1), [
        (0.1 * n, (3 + n) * 0.33 - 2 * 0.61, (3 + n) * 0.75 - 2 * 0.5) for n in range(4)], rtol=1e-11)


def test_the_ring_of_samples_comes_round(cable, tmp_path, monkeypatch, state, backend):
    monkeypatch.setattr(module, "RING", 7)
    watcher, = walk(backend, state, lambda: [ProbeWatcher(probes({"P": (0.0,)}), cable, state, backend, 3, 0.1,
                                                          tmp_path / "p.csv")], 100, 0.1, lambda n: n)
    watcher.close()
    lines = (tmp_path / "p.csv").read_text().splitlines()[1:]
    assert lines == [f"{0.1 * n:.12g},{n}" for n in range(0, 101, 3)]


def test_the_sample_of_a_step_that_breaks_is_not_written(cable, tmp_path, state, backend):
    watcher = ProbeWatcher(probes({"P": (0.0,)}), cable, state, backend, 1, 0.1, tmp_path / "p.csv")
    loop = backend.loop([Move(state, lambda n: n), watcher.stage])
    loop.run(0)
    watcher.see(1, 0.1)
    backend.clock.status = 1
    loop.run(1)
    assert loop.clock.halted
    watcher.close()
    assert (tmp_path / "p.csv").read_text() == "time_ms,P.V\n0,0\n0.1,1\n"


def test_probes_csv_cannot_be_written(cable, tmp_path, state, backend):
    path = tmp_path / "none" / "probes.csv"
    with pytest.raises(OutputError) as e:
        ProbeWatcher(probes({"P1": (0.0,)}), cable, state, backend, 1, 0.1, path)
    assert str(e.value) == f"{path}: cannot be written: No such file or directory\n  -> give another --out"


def test_probes_csv_on_a_full_disk(cable, state, backend):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OutputError) as e:
        ProbeWatcher(probes({"P1": (0.0,)}), cable, state, backend, 1, 0.1, Path("/dev/full"))
    assert str(e.value) == "/dev/full: cannot be written: No space left on device\n  -> free some space"


def test_a_disk_that_takes_a_part_of_the_lines_gets_the_rest(cable, tmp_path, state, backend):
    watcher = ProbeWatcher(probes({"P": (0.0,)}), cable, state, backend, 1, 0.1, tmp_path / "p.csv")
    plain = watcher._out._file

    class Slow:
        closed = False

        def write(self, text):
            return plain.write(text[:3])

        def __enter__(self):
            return self

        def __exit__(self, *error):
            plain.close()

    watcher._out._file = Slow()
    walk(backend, state, [watcher], 2, 0.1, lambda n: n)
    watcher.close()
    assert (tmp_path / "p.csv").read_text() == "time_ms,P.V\n0,0\n0.1,1\n0.2,2\n"


def test_a_killed_run_leaves_whole_lines(tmp_path):
    code = f"""
import os, time
from pathlib import Path
from upstroke.backend.cpu import CpuBackend
from upstroke.case.schema import CableMesh, Probes
from upstroke.codegen import Kernel
from upstroke.mesh import build_mesh
from upstroke.observe import lines, probes
from upstroke.step.state import State
lines.FLUSH_EVERY = 0.01
mesh, backend = build_mesh(CableMesh(length=1.0, dx=0.1)), CpuBackend(threads=1)
state = State([(Kernel("", "c", "fp64", "", (), (), (), ()), {{}}, 11)], backend)
w = probes.ProbeWatcher(Probes(points={{"P": (0.0,)}}, every=0.1), mesh, state, backend, 1, 0.1,
                        Path({str(tmp_path / "probes.csv")!r}))
loop = backend.loop([w.stage])
end = time.monotonic() + 0.1
n = 0
while time.monotonic() < end:
    loop.run(n); n += 1; w.see(n, 0.1 * n)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == -9
    text = (tmp_path / "probes.csv").read_text()
    assert text.endswith("\n")
    lines = text.splitlines()
    assert len(lines) > 10
    assert all(line.count(",") == 1 for line in lines)
    assert lines[-1] == f"{(len(lines) - 2) * 0.1:.12g},0"


# ------------------------------------------------------------------------------------------ snapshots
def test_snapshots_every_so_many_steps(cable, tmp_path, state, backend):
    series = Series()
    watcher = SnapshotWatcher(Snapshots(every=1.0, variables=("V", "h")), cable, state, backend, 4, 10,
                              tmp_path / "vm.vtkhdf", series)
    walk(backend, state, [watcher], 10, 0.25, lambda n: n)
    assert (series.opened.room, series.opened.names, series.opened.mesh) == (3, ("V", "h"), cable)
    assert [(t, fields["V"][0]) for t, fields in series.frames] == [(0.0, 0.0), (1.0, 4.0), (2.0, 8.0)]
    assert not series.opened.closed
    watcher.close()
    assert series.opened.closed and len(series.frames) == 3


def test_snapshots_of_a_region_hold_its_nodes_only(tmp_path, backend):
    points = np.column_stack([np.arange(6.0), np.zeros(6), np.zeros(6)])
    cells = np.array([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)], np.int32)
    mesh = Mesh(points, cells, np.array([1, 1, 2, 7, 7], np.int32), {"scar": 7}, fibre=np.eye(3)[[0, 0, 1, 2, 2]])
    part, nodes = part_of(mesh, ("scar", 2))
    assert nodes.tolist() == [2, 3, 4, 5]
    assert part.cells.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert part.region.tolist() == [2, 7, 7]
    np.testing.assert_array_equal(part.points, points[2:])
    np.testing.assert_array_equal(part.fibre, np.eye(3)[[1, 2, 2]])
    series = Series()
    state = make_state(backend, ([], 6))
    watcher = SnapshotWatcher(Snapshots(every=1.0, regions=("scar",)), mesh, state, backend, 1, 1, tmp_path, series)
    walk(backend, state, [watcher], 0, 1.0, lambda n: np.arange(6.0))
    assert series.frames[0][1]["V"].tolist() == [3.0, 4.0, 5.0]
    with pytest.raises(MeshError) as e:
        part_of(mesh, ("scra",))
    assert str(e.value) == "watch.snapshots.regions: the mesh has no region 'scra'\n  -> did you mean 'scar'?"


# ------------------------------------------------------------------------- membranes, order of the solve
@pytest.fixture
def shuffled(backend):
    """Eleven nodes solved in another order; h belongs to both membranes, m to the first, w to the second."""
    return make_state(backend, (["h", "m"], 4), (["w", "h"], 7), order=np.random.default_rng(5).permutation(11))


def test_files_are_in_the_order_of_the_mesh(cable, tmp_path, shuffled, backend):
    """And values that a node's membrane lacks are nan."""
    state, V = shuffled, lambda n: -80.0 + np.arange(11) * (1 + n)
    first, second = np.sort(state.order[:4]), np.sort(state.order[4:])
    for name, factor in (("h", 0.5), ("m", 2.0), ("w", 3.0)):
        set_variable(state, name, factor * np.arange(11))
    watch = Watch(probes=probes({f"P{k}": (0.1 * k,) for k in range(11)}, variables=("V", "h", "m", "w")),
                  snapshots=Snapshots(every=0.1, variables=("V", "h", "m", "w")))
    series = Series()
    set_variable(state, "V", V(0))
    watchers = open_watchers(watch, cable, state, backend, 0.1, tmp_path, steps=30, series=series)
    loop = backend.loop([Move(state, V), *watchers.stages])
    for n in range(31):
        if n:
            loop.run(n - 1)
        watchers.see(n, 0.1 * n)
    watchers.close()

    def lacking(values, nodes):
        values = np.array(values, float)
        values[nodes] = np.nan
        return values

    k = np.arange(11)
    expected = np.column_stack([V(30), 0.5 * k, lacking(2.0 * k, second), lacking(3.0 * k, first)])
    rows = np.genfromtxt(tmp_path / "probes.csv", delimiter=",", skip_header=1)
    assert rows.shape == (31, 1 + 44)
    np.testing.assert_array_equal(rows[30, 1:].reshape(11, 4), expected)
    np.testing.assert_array_equal(rows[0, 1:].reshape(11, 4)[:, 1:], expected[:, 1:])
    assert ",nan" in (tmp_path / "probes.csv").read_text()
    t, fields = series.frames[30]
    assert t == pytest.approx(3.0)
    np.testing.assert_array_equal(np.column_stack([fields[name] for name in ("V", "h", "m", "w")]), expected)
    found = watchers.activation.map()
    np.testing.assert_allclose(found.activation[0], [np.nan, np.nan, *(4.0 / k[2:] - 0.1)], rtol=1e-12)


def test_an_interpolated_probe_between_two_membranes_is_nan(cable, tmp_path, backend):
    state = make_state(backend, (["m"], 5), (["w"], 6))
    section = probes({"inside": (0.35,), "between": (0.45,)}, variables=("V", "m"), interpolate=True)
    set_variable(state, "V", np.arange(11.0))
    set_variable(state, "m", np.arange(11.0))
    ProbeWatcher(section, cable, state, backend, 1, 0.1, tmp_path / "p.csv").close()
    values = np.genfromtxt(tmp_path / "p.csv", delimiter=",", skip_header=1)
    np.testing.assert_allclose(values, [0.0, 3.5, 3.5, 4.5, np.nan])


def test_frames_of_a_region_are_cut_from_the_order_of_the_mesh(cable, tmp_path, shuffled, backend):
    mesh = Mesh(cable.points, cable.cells, np.array([1] * 5 + [2] * 5, np.int32), {"right": 2})
    series = Series()
    section = Snapshots(every=1.0, variables=("V", "m"), regions=("right",))
    watcher = SnapshotWatcher(section, mesh, shuffled, backend, 1, 1, tmp_path, series)
    set_variable(shuffled, "m", np.arange(11.0))
    walk(backend, shuffled, [watcher], 0, 1.0, lambda n: np.arange(11.0))
    fields = series.frames[0][1]
    assert fields["V"].tolist() == [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    has = np.isin(np.arange(5, 11), shuffled.order[:4])
    np.testing.assert_array_equal(fields["m"], np.where(has, np.arange(5.0, 11.0), np.nan))


# ------------------------------------------------------------------------------------------- building
@pytest.mark.parametrize("interval, dt, steps", [(0.1, 0.1, 1), (0.3, 0.1, 3), (1.0, 0.02, 50), (500.0, 0.005, 100000)])
def test_whole_steps(interval, dt, steps):
    assert whole_steps("here", interval, dt) == steps


@pytest.mark.parametrize("interval, dt, text", [
    (0.25, 0.1, 'here: 0.25 ms is not a whole number of time steps of 0.1 ms\n  -> take "0.2 ms", or change time.dt'),
    (0.01, 0.1, 'here: 0.01 ms is not a whole number of time steps of 0.1 ms\n  -> take "0.1 ms", or change time.dt'),
])
def test_intervals_that_are_no_whole_number_of_steps(interval, dt, text):
    with pytest.raises(CaseError) as e:
        whole_steps("here", interval, dt)
    assert str(e.value) == text


def test_unknown_variables_are_named(cable, tmp_path, backend):
    with pytest.raises(CaseError) as e:
        check_variables("watch.probes.variables", ("V", "Ion"), ("V", "Iion", "h"))
    assert str(e.value) == "watch.probes.variables: the model has no variable 'Ion'\n  -> did you mean 'Iion'?"
    state = make_state(backend, ([], 11))
    check_watch(Watch(probes=probes({"P": (0.0,)}), snapshots=Snapshots(every=1.0)), cable, ("V",), 0.1)
    for section, key in ((Watch(probes=probes({"P": (0.0,)}, variables=("W",))), "watch.probes.variables"),
                         (Watch(snapshots=Snapshots(every=1.0, variables=("W",))), "watch.snapshots.variables")):
        with pytest.raises(CaseError) as e:
            open_watchers(section, cable, state, backend, 0.1, tmp_path, steps=10, series=Frames)
        assert e.value.where == key
    assert list(tmp_path.iterdir()) == []


def test_a_watcher_that_cannot_close_leaves_the_others_closed():
    closed = []

    class Plain:
        def __init__(self, name, error=None):
            self.name, self.error = name, error

        def close(self):
            closed.append(self.name)
            if self.error:
                raise self.error

    watchers = Watchers(Plain("activation"), (), (Plain("probes", OutputError("p", "full", "-")), Plain("snapshots")))
    with pytest.raises(OutputError):
        watchers.close()
    assert sorted(closed) == ["activation", "probes", "snapshots"]


def test_a_run_does_not_go_on_in_a_table_that_lost_lines(tmp_path):
    table = LineFile(tmp_path / "p.csv", ["time_ms"])
    table.add(["1"])
    assert table.length() == 10
    table.cut(8)
    assert table.length() == 8
    with pytest.raises(OutputError) as error:
        table.cut(9)
    table.close()
    assert str(error.value) == (f"{tmp_path / 'p.csv'}: has less in it than when the checkpoint was written\n"
                                "  -> put the file back, or run the case again")
