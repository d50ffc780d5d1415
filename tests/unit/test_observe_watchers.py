"""Probes, snapshots and the building of watchers; the state is a few arrays."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from upstroke.case.schema import CableMesh, Probes, SheetMesh, Snapshots, Watch
from upstroke.errors import CaseError, MeshError, OutputError
from upstroke.mesh import build_mesh
from upstroke.mesh.mesh import Mesh
from upstroke.observe.probes import ProbeWatcher, place_probes
from upstroke.observe.snapshots import SnapshotWatcher, part_of
from upstroke.observe.watchers import check_variables, check_watch, open_watchers, whole_steps


class Arrays:
    """A state of named arrays."""

    def __init__(self, **arrays):
        self.arrays = arrays
        self.names = tuple(arrays)

    def variable(self, name):
        return self.arrays[name]


class Frames:
    """A series that keeps its frames."""

    def __init__(self, path, mesh, names, frames):
        self.path, self.mesh, self.names, self.room = path, mesh, names, frames
        self.frames = []

    def append(self, t, fields):
        self.frames.append((t, {name: values.copy() for name, values in fields.items()}))

    def close(self):
        pass


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


def test_a_far_probe_is_noted(cable, tmp_path):
    state = Arrays(V=np.zeros(11))
    watcher = ProbeWatcher(probes({"near": (0.5,), "far": (0.5, 0.3, 0.0)}), cable, state, 1, tmp_path / "p.csv")
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


def test_probes_csv_is_plain_csv(cable, tmp_path):
    state = Arrays(V=np.linspace(-85, 20, 11), Iion=np.ones(11, np.float32))
    section = probes({"P1": (0.0,), "a, b": (1.0,)}, variables=("V", "Iion"))
    watcher = ProbeWatcher(section, cable, state, 2, tmp_path / "probes.csv")
    for n in range(5):
        watcher.see(n, n * 0.1)
    watcher.close()
    watcher.close()
    assert (tmp_path / "probes.csv").read_text() == (
        'time_ms,P1.V,P1.Iion,"a, b.V","a, b.Iion"\n'
        "0,-85,1,20,1\n0.2,-85,1,20,1\n0.4,-85,1,20,1\n")


def test_probes_csv_cannot_be_written(cable, tmp_path):
    path = tmp_path / "none" / "probes.csv"
    with pytest.raises(OutputError) as e:
        ProbeWatcher(probes({"P1": (0.0,)}), cable, Arrays(V=np.zeros(11)), 1, path)
    assert str(e.value) == f"{path}: cannot be written: No such file or directory\n  -> give another --out"


def test_probes_csv_on_a_full_disk(cable):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OutputError) as e:
        ProbeWatcher(probes({"P1": (0.0,)}), cable, Arrays(V=np.zeros(11)), 1, Path("/dev/full"))
    assert str(e.value) == "/dev/full: cannot be written: No space left on device\n  -> free some space"


def test_a_killed_run_leaves_whole_lines(tmp_path):
    code = f"""
import os, time
import numpy as np
from pathlib import Path
from upstroke.case.schema import CableMesh, Probes
from upstroke.mesh import build_mesh
from upstroke.observe import probes
probes.FLUSH_EVERY = 0.01
class State:
    def variable(self, name): return np.zeros(11)
mesh = build_mesh(CableMesh(length=1.0, dx=0.1))
w = probes.ProbeWatcher(Probes(points={{"P": (0.0,)}}, every=0.1), mesh, State(), 1,
                        Path({str(tmp_path / "probes.csv")!r}))
end = time.monotonic() + 0.1
n = 0
while time.monotonic() < end:
    w.see(n, 0.1 * n); n += 1
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
def test_snapshots_every_so_many_steps(cable, tmp_path):
    state = Arrays(V=np.zeros(11), Iion=np.zeros(11), h=np.zeros(11))
    series = []
    watcher = SnapshotWatcher(Snapshots(every=1.0, variables=("V", "h")), cable, state, 4, 10, tmp_path / "vm.vtkhdf",
                              lambda *a: series.append(Frames(*a)) or series[0])
    for n in range(11):
        state.arrays["V"][:] = n
        watcher.see(n, 0.25 * n)
    assert (series[0].room, series[0].names, series[0].mesh) == (3, ("V", "h"), cable)
    assert [(t, fields["V"][0]) for t, fields in series[0].frames] == [(0.0, 0.0), (1.0, 4.0), (2.0, 8.0)]


def test_snapshots_of_a_region_hold_its_nodes_only(tmp_path):
    points = np.column_stack([np.arange(6.0), np.zeros(6), np.zeros(6)])
    cells = np.array([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)], np.int32)
    mesh = Mesh(points, cells, np.array([1, 1, 2, 7, 7], np.int32), {"scar": 7}, fibre=np.eye(3)[[0, 0, 1, 2, 2]])
    part, nodes = part_of(mesh, ("scar", 2))
    assert nodes.tolist() == [2, 3, 4, 5]
    assert part.cells.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert part.region.tolist() == [2, 7, 7]
    np.testing.assert_array_equal(part.points, points[2:])
    np.testing.assert_array_equal(part.fibre, np.eye(3)[[1, 2, 2]])
    series = []
    watcher = SnapshotWatcher(Snapshots(every=1.0, regions=("scar",)), mesh, Arrays(V=np.arange(6.0)), 1, 1, tmp_path,
                              lambda *a: series.append(Frames(*a)) or series[0])
    watcher.see(0, 0.0)
    assert series[0].frames[0][1]["V"].tolist() == [3.0, 4.0, 5.0]
    with pytest.raises(MeshError) as e:
        part_of(mesh, ("scra",))
    assert str(e.value) == "watch.snapshots.regions: the mesh has no region 'scra'\n  -> did you mean 'scar'?"


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


def test_unknown_variables_are_named(cable, tmp_path):
    with pytest.raises(CaseError) as e:
        check_variables("watch.probes.variables", ("V", "Ion"), ("V", "Iion", "h"))
    assert str(e.value) == "watch.probes.variables: the model has no variable 'Ion'\n  -> did you mean 'Iion'?"
    state = Arrays(V=np.zeros(11))
    check_watch(Watch(probes=probes({"P": (0.0,)}), snapshots=Snapshots(every=1.0)), cable, ("V",), 0.1)
    for section, key in ((Watch(probes=probes({"P": (0.0,)}, variables=("W",))), "watch.probes.variables"),
                         (Watch(snapshots=Snapshots(every=1.0, variables=("W",))), "watch.snapshots.variables")):
        with pytest.raises(CaseError) as e:
            open_watchers(section, cable, state, None, 0.1, tmp_path, steps=10, series=Frames)
        assert e.value.where == key
    assert list(tmp_path.iterdir()) == []
