"""The run directory, JSON, manifest, summary and activation.vtu."""

import gc
import json
import math
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import meshio
import numpy as np
import pytest

import upstroke
from upstroke.case.schema import CableMesh, SheetMesh, SlabMesh
from upstroke.errors import OutputError
from upstroke.mesh import build_mesh
from upstroke.observe.activation import ActivationMap
from upstroke.observe.probes import Probe
from upstroke.output import manifest as manifest_module
from upstroke.output import surface
from upstroke.output.checkpoint import checkpoint_name, newest_checkpoint
from upstroke.output.directory import make_run_directory
from upstroke.output.fields import point_data
from upstroke.output.files import plain, whole_file, write_json
from upstroke.output.manifest import commit, finish_manifest, read_manifest, start_manifest, versions
from upstroke.output.maps import write_activation
from upstroke.output.summary import summarise
from upstroke.output.surface import surface_of

NAN = math.nan


def a_map(activation, repolarisation=None, **more):
    activation = np.atleast_2d(np.asarray(activation, float))
    repolarisation = activation + 250.0 if repolarisation is None else np.atleast_2d(repolarisation)
    return ActivationMap(activation, repolarisation, more.pop("threshold", -40.0), more.pop("fraction", 0.9),
                         -86.0, 31.5, **more)


# ----------------------------------------------------------------------------------------- the directory
def test_run_directories_are_numbered(tmp_path):
    made = [make_run_directory("niederer", base=tmp_path / "runs") for _ in range(3)]
    assert [folder.name for folder in made] == ["niederer", "niederer-2", "niederer-3"]
    assert all(folder.is_dir() for folder in made)


def test_a_folder_of_ones_own_may_be_empty_only(tmp_path):
    out = tmp_path / "a" / "b"
    assert make_run_directory("x", out) == out
    assert make_run_directory("x", out) == out
    (out / "probes.csv").write_text("precious")
    with pytest.raises(OutputError) as e:
        make_run_directory("x", out)
    assert str(e.value) == (f"{out}: exists and is not empty\n  -> give another folder: --out DIR, or empty this one; "
                            "results are never overwritten")
    assert (out / "probes.csv").read_text() == "precious"


def test_the_folder_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError) as e:
        make_run_directory("x", tmp_path / "out")
    assert str(e.value) == f"{tmp_path / 'out'}: is a file, not a folder\n  -> give another folder: --out DIR"
    with pytest.raises(OutputError) as e:
        make_run_directory("x", base=tmp_path / "out")
    assert str(e.value) == (f"{tmp_path / 'out'}: cannot make the run directory: File exists\n"
                            "  -> give a folder you may write to: --out DIR")


def test_a_folder_that_cannot_be_made():
    if not Path("/proc/version").exists():
        pytest.skip("needs /proc")
    with pytest.raises(OutputError) as e:
        make_run_directory("x", Path("/proc/upstroke/out"))
    assert str(e.value) == ("/proc/upstroke: cannot make the run directory: No such file or directory\n"
                            "  -> give a folder you may write to: --out DIR")


# ------------------------------------------------------------------------------------------------- JSON
@dataclass(frozen=True)
class Thing:
    path: Path
    values: tuple[float, ...]


def test_json_is_strict(tmp_path):
    content = {"a": NAN, "b": [math.inf, 1.5, np.float32(2.0), np.int64(3)], "c": np.array([1.0, NAN]), 4: None,
               "d": Thing(Path("heart.vtu"), (1.0, 2.0)), "e": True, "g": {"µ": "ü"}}
    write_json(tmp_path / "x.json", content)

    def refuse(name):
        raise AssertionError(name)

    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"), parse_constant=refuse) == {
        "a": None, "b": [None, 1.5, 2.0, 3], "c": [1.0, None], "4": None,
        "d": {"path": "heart.vtu", "values": [1.0, 2.0]}, "e": True, "g": {"µ": "ü"}}
    assert plain({3, }) == [3]


def test_files_appear_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole_file(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert path.read_text() == "old"
    with pytest.raises(OutputError) as e:
        write_json(tmp_path / "none" / "x.json", {})
    assert str(e.value) == (f"{tmp_path / 'none' / 'x.json'}: cannot be written: No such file or directory\n"
                            "  -> check the free space and the rights of the folder, or write elsewhere")


# --------------------------------------------------------------------------------------------- manifest
def test_manifest_from_start_to_end(tmp_path):
    started = start_manifest({"mesh": {"kind": "cable"}}, {"device": "cpu", "threads": 2}, ["upstroke", "run", "x"])
    assert started["status"] == "running"
    assert started["end"] is None
    assert started["backend"] == {"device": "cpu", "threads": 2}
    assert started["versions"]["numpy"] == np.__version__
    assert started["host"]["cpus"] == os.cpu_count()
    done = finish_manifest(started, "failed", {"steps": 1.5}, ["probes.csv"], ["a note"], "it broke")
    assert (done["status"], done["timings_s"], done["files"], done["notes"], done["error"]) == (
        "failed", {"steps": 1.5}, ["probes.csv"], ["a note"], "it broke")
    assert done["start"] == started["start"] <= done["end"]
    assert "error" not in finish_manifest(started, "done", {})
    write_json(tmp_path / "manifest.json", done)
    assert json.loads((tmp_path / "manifest.json").read_text()) == plain(done)


def test_versions_leave_out_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(manifest_module, "PACKAGES", ("numpy", "no-such-package"))
    assert list(versions()) == ["upstroke", "python", "numpy"]
    assert versions()["upstroke"] == upstroke.__version__


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_commit_is_that_of_the_packages_own_checkout(monkeypatch, tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
                       check=True, capture_output=True)

    package = tmp_path / "upstroke"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(upstroke, "__file__", str(package / "__init__.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() is None                 # no checkout
    git("init")
    assert commit() is None                 # a checkout, but not the package's
    git("add", "upstroke/__init__.py")
    git("commit", "-m", "x")
    assert len(commit()) == 40
    (package / "__init__.py").write_text("changed = 1")
    assert commit().endswith("+changes")


# ---------------------------------------------------------------------------------------------- summary
def test_summary():
    mesh = build_mesh(CableMesh(length=0.3, dx=0.1))
    found = a_map([[1.0, 2.0, 5.0, NAN], [401.0, NAN, NAN, NAN]], [[200.0, 212.0, NAN, NAN], [590.0, NAN, NAN, NAN]],
                  recrossed=2)
    probes = (Probe("P1", np.array([1]), np.ones(1), 0.0), Probe("P2", np.array([0, 2]), np.array([0.5, 0.5]), 0.0),
              Probe("P3", np.array([3]), np.ones(1), 0.0))
    summary = plain(summarise(mesh, found, probes, {"iterations": 7}, ["hello"]))
    assert summary == {
        "nodes": 4, "cells": 3, "beats": 2, "activated_fraction": 0.75,
        "earliest_activation": {"time_ms": 1.0, "node": 0, "place_mm": [0.0, 0.0, 0.0]},
        "latest_activation": {"time_ms": 5.0, "node": 2, "place_mm": [pytest.approx(2.0), 0.0, 0.0]},
        "apd90_ms": {"min": 189.0, "median": 199.0, "max": 210.0},
        "v_range_mV": [-86.0, 31.5], "threshold_mV": -40.0,
        "probe_activation_ms": {"P1": 2.0, "P2": 3.0, "P3": None},
        "spikes": {}, "spikes_in_all": 0, "tips": {}, "ecg_mV": {},
        "solver": {"iterations": 7},
        "notes": ["hello", "at 2 nodes V crossed -40 mV upwards once more before it had repolarised by 90 %; such "
                  "crossings are not counted as beats (a smaller watch.activation.repolarisation counts them)"],
    }


def test_summary_of_a_silent_tissue():
    mesh = build_mesh(CableMesh(length=0.3, dx=0.1))
    empty = np.empty((0, 4))
    summary = summarise(mesh, a_map(empty, empty))
    assert (summary["beats"], summary["activated_fraction"]) == (0, 0.0)
    assert summary["earliest_activation"] is summary["latest_activation"] is summary["apd90_ms"] is None


# -------------------------------------------------------------------------------------- activation.vtu
def test_activation_vtu_is_read_back(tmp_path):
    mesh = build_mesh(SlabMesh(size=(0.2, 0.2, 0.1), dx=0.1, fibre=(1.0, 0.0, 0.0)))
    times = np.arange(2.0 * mesh.n_points).reshape(2, -1)
    times[1, 3] = NAN
    write_activation(tmp_path / "activation.vtu", mesh, a_map(times, fraction=0.5))
    assert [p.name for p in tmp_path.iterdir()] == ["activation.vtu"]
    grid = meshio.read(tmp_path / "activation.vtu")
    np.testing.assert_allclose(grid.points, 10 * mesh.points)
    np.testing.assert_array_equal(grid.cells_dict["tetra"], mesh.cells)
    assert sorted(grid.point_data) == ["activation_ms", "activation_ms_2", "apd50_ms", "apd50_ms_2",
                                       "repolarisation_ms", "repolarisation_ms_2"]
    np.testing.assert_array_equal(grid.point_data["activation_ms_2"], times[1])
    np.testing.assert_array_equal(grid.point_data["apd50_ms"], 250.0)
    np.testing.assert_array_equal(grid.cell_data["region"][0], mesh.region)
    np.testing.assert_array_equal(grid.cell_data["fibre"][0], mesh.fibre)


def test_activation_vtu_is_read_by_vtk(tmp_path):
    pyvista = pytest.importorskip("pyvista")
    mesh = build_mesh(SheetMesh(size=(0.2, 0.2), dx=0.1))
    write_activation(tmp_path / "activation.vtu", mesh, a_map([[NAN, *range(mesh.n_points - 1)]]))
    grid = pyvista.read(tmp_path / "activation.vtu")
    assert (grid.n_points, grid.n_cells) == (mesh.n_points, mesh.n_cells)
    np.testing.assert_array_equal(grid["activation_ms"], [NAN, *range(mesh.n_points - 1)])


def test_fields_without_any_beat_are_there():
    fields = point_data(a_map(np.empty((0, 3)), np.empty((0, 3))))
    assert list(fields) == ["activation_ms", "repolarisation_ms", "apd90_ms"]
    assert all(np.isnan(values).all() and len(values) == 3 for values in fields.values())


# ---------------------------------------------------------------------------------------------- surface
@pytest.mark.parametrize("large", [surface.LARGE, 10])
def test_surface_of_a_slab_is_closed_and_points_outwards(large, monkeypatch):
    monkeypatch.setattr(surface, "LARGE", large)
    size = np.array([0.4, 0.3, 0.2])
    mesh = build_mesh(SlabMesh(size=tuple(size), dx=0.1))
    faces = surface_of(mesh)
    a, b, c = (mesh.points[nodes] for nodes in faces.T)
    area = 0.5 * np.cross(b - a, c - a)
    assert np.linalg.norm(area, axis=1).sum() == pytest.approx(2 * (0.4 * 0.3 + 0.3 * 0.2 + 0.4 * 0.2))
    # Gauss: the integral of x.n over a closed surface, seen from outside, is three times the volume.
    assert np.einsum("ij,ij->", (a + b + c) / 3, area) == pytest.approx(3 * size.prod())
    inverted = type(mesh)(mesh.points, mesh.cells[:, [1, 0, 2, 3]], mesh.region)
    assert {tuple(sorted(f)) for f in surface_of(inverted)} == {tuple(sorted(f)) for f in faces}
    a, b, c = (mesh.points[nodes] for nodes in surface_of(inverted).T)
    assert np.einsum("ij,ij->", (a + b + c) / 3, 0.5 * np.cross(b - a, c - a)) == pytest.approx(3 * size.prod())


def test_surfaces_and_cables():
    sheet = build_mesh(SheetMesh(size=(0.2, 0.2), dx=0.1))
    assert surface_of(sheet) is sheet.cells
    with pytest.raises(ValueError, match="a mesh of segments has no surface"):
        surface_of(build_mesh(CableMesh(length=1.0, dx=0.1)))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"status": "done"}', b"\xff\xfe"])
def test_what_is_no_manifest_of_a_run(tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(OutputError) as error:
        read_manifest(tmp_path)
    assert str(error.value) == (f"{tmp_path}: is no run directory: it has no manifest.json of a run\n"
                                "  -> name a folder that `upstroke run` made")


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_damaged_checkpoints_are_closed(tmp_path):
    for step, text in ((1, b""), (2, b"PK\x03\x04 nonsense")):
        (tmp_path / checkpoint_name(step)).write_bytes(text)
    with pytest.raises(OutputError) as error:
        newest_checkpoint(tmp_path)
    gc.collect()
    assert str(error.value) == f"{tmp_path}: all its checkpoints are damaged\n  -> run the case again"
