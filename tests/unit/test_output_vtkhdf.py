"""vm.vtkhdf: what readers see, and that a run killed at any moment leaves exactly the frames it completed."""

import os
import random
import signal
import subprocess
import sys
import time
import warnings

import h5py
import numpy as np
import pytest

from upstroke.case.schema import CableMesh, SheetMesh, SlabMesh
from upstroke.errors import OutputError
from upstroke.mesh import build_mesh
from upstroke.output.vtkhdf import VtkHdfSeries


@pytest.fixture
def slab():
    return build_mesh(SlabMesh(size=(0.4, 0.2, 0.2), dx=0.1, fibre=(1.0, 0.0, 0.0)))


def read_vtk(path):
    """Times and frames of V as VTK reads them."""
    io = pytest.importorskip("vtkmodules.vtkIOHDF")
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonExecutionModel import vtkStreamingDemandDrivenPipeline as Pipeline

    reader = io.vtkHDFReader()
    reader.SetFileName(str(path))
    assert reader.CanReadFile(str(path))
    reader.UpdateInformation()
    times = reader.GetOutputInformation(0).Get(Pipeline.TIME_STEPS())
    frames = []
    for t in times or (0.0,):        # VTK announces no times where there is one step only
        reader.UpdateTimeStep(t)
        frames.append(vtk_to_numpy(reader.GetOutputDataObject(0).GetPointData().GetArray("V")).copy())
    return list(times or (0.0,)), frames, reader.GetOutputDataObject(0)


def test_frames_are_read_back(slab, tmp_path):
    path = tmp_path / "vm.vtkhdf"
    V = np.random.default_rng(0).normal(-60, 20, (3, slab.n_points))
    series = VtkHdfSeries(path, slab, ("V", "Iion"), 5)
    for k in range(3):
        series.append(0.5 * k, {"V": V[k], "Iion": np.full(slab.n_points, k, np.float32)})
    series.close()
    series.close()
    with h5py.File(path) as file:
        root = file["VTKHDF"]
        assert root["Steps"].attrs["NSteps"] == 3
        assert root["Steps/Values"][:].tolist() == [0.0, 0.5, 1.0]
        assert root["PointData/V"].dtype == np.float32
        np.testing.assert_array_equal(root["PointData/V"][:3 * slab.n_points], V.astype(np.float32).ravel())
        np.testing.assert_allclose(root["Points"][:], 10 * slab.points)
        np.testing.assert_array_equal(root["Connectivity"][:].reshape(-1, 4), slab.cells)
        assert sorted(root["CellData"]) == ["fibre", "region"]
        assert file.attrs["length_unit"] == "mm"
    times, frames, grid = read_vtk(path)
    assert times == [0.0, 0.5, 1.0]
    np.testing.assert_array_equal(frames, V.astype(np.float32))
    assert (grid.GetNumberOfPoints(), grid.GetNumberOfCells()) == (slab.n_points, slab.n_cells)
    assert grid.GetBounds() == pytest.approx((0, 4, 0, 2, 0, 2))
    assert {grid.GetCellType(k) for k in range(grid.GetNumberOfCells())} == {10}


@pytest.mark.parametrize("section, kind", [(CableMesh(length=1.0, dx=0.1), 3), (SheetMesh(size=(1.0, 0.5), dx=0.1), 5)])
def test_cables_and_sheets(section, kind, tmp_path):
    mesh = build_mesh(section)
    series = VtkHdfSeries(tmp_path / "vm.vtkhdf", mesh, ("V",), 1)
    series.append(0.0, {"V": np.arange(mesh.n_points)})
    _, frames, grid = read_vtk(tmp_path / "vm.vtkhdf")   # while the run still has it open
    assert grid.GetCellType(0) == kind
    assert frames[0].tolist() == list(range(mesh.n_points))
    with pytest.raises(ValueError, match="room for 1 frames only"):
        series.append(1.0, {"V": np.arange(mesh.n_points)})
    series.close()


def test_values_beyond_single_precision_are_infinite(slab, tmp_path):
    series = VtkHdfSeries(tmp_path / "vm.vtkhdf", slab, ("V",), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        series.append(0.0, {"V": np.full(slab.n_points, 1e300)})
    series.close()
    assert np.isposinf(read_vtk(tmp_path / "vm.vtkhdf")[1]).all()


def test_the_two_counts_lie_in_one_page(slab, tmp_path):
    """One write within a page of the file cannot be cut in two by a kill, whatever the number of frames."""
    for frames in (1, 7, 1000, 123_457):
        series = VtkHdfSeries(tmp_path / f"vm{frames}.vtkhdf", slab, ("V", "Iion", "m"), frames)
        assert series._counts_at + len(series._counts) <= 4096
        assert len(series._counts) < 512
        series.close()


def test_room_for_frames_takes_no_disk_space(slab, tmp_path):
    VtkHdfSeries(tmp_path / "vm.vtkhdf", slab, ("V",), 100_000).close()
    size = os.stat(tmp_path / "vm.vtkhdf")
    if size.st_blocks * 512 > size.st_size:
        pytest.skip("the file system keeps no sparse files")
    assert size.st_blocks * 512 < 0.3 * size.st_size


#: Writes without end, in a child that tells its number, into each file that it is told.
WRITER = """
import os, sys, numpy as np
from pathlib import Path
from upstroke.case.schema import SlabMesh
from upstroke.mesh import build_mesh
from upstroke.output.vtkhdf import VtkHdfSeries
mesh = build_mesh(SlabMesh(size=(1.0, 0.5, 0.5), dx=0.05))
for line in sys.stdin:
    if child := os.fork():
        os.waitpid(child, 0)
        print("dead", flush=True)
        continue
    series = VtkHdfSeries(Path(line.strip()), mesh, ("V", "Iion"), 2_000_000_000 // mesh.n_points // 8)
    k = 0
    print(os.getpid(), flush=True)
    while True:
        series.append(0.1 * k, {"V": np.full(mesh.n_points, k), "Iion": np.full(mesh.n_points, -k)})
        k += 1
"""


def test_a_run_killed_at_any_moment_leaves_the_completed_frames(tmp_path):
    rng = random.Random(3)
    with subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}) as writer:
        for attempt in range(6):
            path = tmp_path / f"vm{attempt}.vtkhdf"
            print(path, file=writer.stdin, flush=True)
            child = int(writer.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.06))
            os.kill(child, signal.SIGKILL)
            assert writer.stdout.readline() == "dead\n"
            with h5py.File(path) as file:
                steps = file["VTKHDF/Steps"]
                done = int(steps.attrs["NSteps"])
                np.testing.assert_allclose(steps["Values"][:], 0.1 * np.arange(done), atol=1e-12)
                V = file["VTKHDF/PointData/V"]
                n = file["VTKHDF/Points"].shape[0]
                for k in {0, done // 2, done - 1} & set(range(done)):
                    np.testing.assert_array_equal(V[k * n:(k + 1) * n], k)
                    np.testing.assert_array_equal(file["VTKHDF/PointData/Iion"][k * n:(k + 1) * n], -k)
            if attempt < 2 and done:
                times, frames, _ = read_vtk(path)
                assert len(times) == done
                assert [frame[0] for frame in frames] == list(range(done))
            path.unlink()


def test_unwritable_place(slab, tmp_path):
    path = tmp_path / "none" / "vm.vtkhdf"
    with pytest.raises(OutputError) as e:
        VtkHdfSeries(path, slab, ("V",), 1)
    assert str(e.value) == (f"{path}: cannot be written: No such file or directory\n"
                            "  -> check the free space and the rights of the folder, or write elsewhere")


def test_a_run_does_not_go_on_in_a_file_that_lost_frames(slab, tmp_path):
    path, V = tmp_path / "vm.vtkhdf", np.zeros(slab.n_points)
    series = VtkHdfSeries(path, slab, ["V"], 3)
    for k in range(2):
        series.append(0.1 * k, {"V": V})
    series.close()
    again = VtkHdfSeries(path, slab, ["V"], 3)
    again.go_on(1)                                           # back to a checkpoint that is older than the file
    again.append(0.1, {"V": V})
    again.close()
    whole = path.read_bytes()

    def lost(act):
        with pytest.raises(OutputError) as error:
            act()
        assert str(error.value) == (f"{path}: has less in it than when the checkpoint was written\n"
                                    "  -> put the file back, or run the case again")

    path.write_bytes(whole[:len(whole) // 2])
    lost(lambda: VtkHdfSeries(path, slab, ["V"], 3))
    path.unlink()
    new = VtkHdfSeries(path, slab, ["V"], 3)
    lost(lambda: new.go_on(2))
    new.close()
