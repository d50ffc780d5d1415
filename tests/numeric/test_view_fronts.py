"""Wave fronts in volumes: where they lie, how large they are, what is drawn and written of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
from test_view import error_of

from upstroke.case.schema import GridMesh, SheetMesh, SlabMesh
from upstroke.cli import main
from upstroke.mesh import build_mesh
from upstroke.mesh.mesh import Mesh
from upstroke.output.fields import vtk_blocks
from upstroke.view import Look, fronts
from upstroke.view.recording import read_map
from upstroke.view.shape import level_of

Pillow = pytest.importorskip("PIL.Image")

SLAB, GRID = SlabMesh(size=(0.4, 0.2, 0.2), dx=0.05), GridMesh(size=(0.4, 0.2, 0.2), dx=0.05)


def area(points: Any, triangles: Any) -> float:
    a, b, c = (points[corner] for corner in triangles.T)
    return float(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())


def ended(folder: Path, mesh: Mesh, times: Any) -> Path:
    """A run directory without snapshots."""
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"case": {"title": "A run"}, "command": []}))
    cells = [(kind.meshio, cells) for kind, cells in vtk_blocks(mesh)]
    meshio.Mesh(10.0 * mesh.points, cells, {"activation_ms": times}).write(folder / "activation.vtu")
    return folder


def plane(mesh: Mesh) -> Any:
    """ms: a wave along x, 1 mm in 1 ms."""
    return 10.0 * mesh.points[:, 0]


@pytest.mark.parametrize("section", [SLAB, GRID], ids=["tetrahedra", "cubes"])
@pytest.mark.parametrize("time", [0.3, 1.0, 2.31])
def test_a_plane_wave_has_plane_fronts(section: Any, time: float) -> None:
    mesh = build_mesh(section)
    front = level_of(mesh, plane(mesh), time)
    np.testing.assert_allclose(front.points[:, 0], time, atol=1e-12)
    assert area(front.points, front.triangles) == pytest.approx(4.0)            # mm^2


def test_a_round_wave_has_round_fronts() -> None:
    mesh = build_mesh(GridMesh(size=(0.4, 0.4, 0.4), dx=0.02))
    away = 10.0 * np.linalg.norm(mesh.points - 0.2, axis=1)
    front = level_of(mesh, away, 1.5)
    assert np.linalg.norm(front.points - 2.0, axis=1) == pytest.approx(1.5, abs=0.01)
    assert area(front.points, front.triangles) == pytest.approx(4.0 * np.pi * 1.5 ** 2, rel=0.01)


def test_there_is_none_where_the_wave_never_came() -> None:
    mesh = build_mesh(SLAB)
    times = np.where(mesh.points[:, 1] > 0.101, np.nan, plane(mesh))
    front = level_of(mesh, times, 1.0)
    assert front.points[:, 1].max() <= 1.0 + 1e-9
    assert area(front.points, front.triangles) == pytest.approx(2.0)
    assert len(level_of(mesh, times, 99.0).triangles) == 0


@pytest.mark.parametrize("section", [SLAB, GRID], ids=["tetrahedra", "cubes"])
def test_the_file_holds_all_fronts(tmp_path: Path, section: Any) -> None:
    mesh = build_mesh(section)
    run = ended(tmp_path / "run", mesh, plane(mesh))
    np.testing.assert_allclose(read_map(run).mesh.points, mesh.points)
    np.testing.assert_array_equal(read_map(run).mesh.cells, mesh.cells)
    made = meshio.read(fronts(run, tmp_path / "f.vtu", moments=[1.0, 3.25]).path)
    np.testing.assert_allclose(made.points[:, 0], made.point_data["activation_ms"])
    triangles, times = made.cells[0].data, made.cell_data["activation_ms"][0]
    assert set(times) == {1.0, 3.25}
    assert [area(made.points, triangles[times == t]) for t in (1.0, 3.25)] == pytest.approx([4.0, 4.0])
    assert main(["view", str(run), "--fronts", str(tmp_path / "g.vtu")]) == 0
    assert set(meshio.read(tmp_path / "g.vtu").point_data["activation_ms"]) == {1.0, 2.0, 3.0}


def test_strands_have_no_fronts(tmp_path: Path) -> None:
    """Their nodes are in the map, and are activated before the tissue."""
    mesh = build_mesh(SLAB)
    run = ended(tmp_path / "run", mesh, plane(mesh))
    n, points = mesh.n_points, np.concatenate([mesh.points, [[0.0, 0.0, 0.3], [0.1, 0.0, 0.3]]])
    meshio.Mesh(10.0 * points, [("tetra", mesh.cells), ("line", [[n, n + 1]])], {
        "activation_ms": np.append(plane(mesh) + 10.0, [1.0, 2.0])}).write(run / "activation.vtu")
    assert error_of(lambda: fronts(run, tmp_path / "f.vtu", moments=[1.5])) == (
        "--at: there is no front at 1.5 ms\n  -> activation goes from 10 to 14 ms")
    assert set(meshio.read(fronts(run, tmp_path / "f.vtu").path).point_data["activation_ms"]) == {11.0, 12.0, 13.0}


def test_a_picture_shows_them_in_glass(tmp_path: Path) -> None:
    mesh = build_mesh(SLAB)
    run = ended(tmp_path / "run", mesh, plane(mesh))
    made = fronts(run, tmp_path / "f.png", Look(width=600, angles=(-80.0, 10.0)), [1.0, 3.0])
    image = np.asarray(Pillow.open(made.path), int)[60:-70]
    coloured = np.ptp(image, axis=2) > 40
    left, right = (np.flatnonzero(half.any(axis=0)) for half in (coloured[:, :300], coloured[:, 300:]))
    tissue = [np.flatnonzero((half.sum(axis=2) < 750).any(axis=0)) for half in (image[:, :300], image[:, 300:])]
    places = [(found.mean() - all_.min()) / np.ptp(all_) for found, all_ in zip((left, right), tissue, strict=True)]
    assert places == pytest.approx([0.27, 0.73], abs=0.04) and len(left) < 60          # seen almost from the side
    assert (image.sum(axis=2) > 3 * 190).mean() > 0.8                                  # the rest is pale


def test_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mesh = build_mesh(SLAB)
    run = ended(tmp_path / "run", mesh, plane(mesh))
    assert error_of(lambda: fronts(run, tmp_path / "f.gif")) == (
        "--fronts: 'f.gif' is neither .png nor .vtu\n  -> name it fronts.png or fronts.vtu")
    assert error_of(lambda: fronts(run, tmp_path / "f.png", moments=[2.0, 7.0])) == (
        "--at: there is no front at 7 ms\n  -> activation goes from 0 to 4 ms")
    flat = build_mesh(SheetMesh(size=(0.4, 0.2), dx=0.05))
    assert error_of(lambda: fronts(ended(tmp_path / "flat", flat, plane(flat)), tmp_path / "f.png")) == (
        f"--fronts: the mesh of {tmp_path}/flat is no solid, and its fronts are lines\n"
        "  -> take --picture with --isochrones")
    rest = ended(tmp_path / "rest", mesh, np.full(mesh.n_points, np.nan))
    assert error_of(lambda: fronts(rest, tmp_path / "f.vtu")) == (
        f"--fronts: no place of {rest} was activated\n  -> check the stimulus, and watch.activation.threshold")
    (rest / "activation.vtu").write_text("<VTKFile")
    assert error_of(lambda: fronts(rest, tmp_path / "f.vtu")).startswith(f"{rest}/activation.vtu: it cannot be read: ")
    (rest / "activation.vtu").unlink()
    assert error_of(lambda: fronts(rest, tmp_path / "f.vtu")) == (
        f"{rest}: this run has no map of activation times (activation.vtu)\n  -> let it end; the map is written then")
    assert main(["view", str(run), "--fronts", str(tmp_path / "f.png"), "--clip", "x < 1 mm"]) == 2
    assert capsys.readouterr().err.startswith("--clip: goes with --page, --film, --picture\n")
    assert main(["view", str(run), "--fronts", str(tmp_path / "f.vtu"), "--width", "400"]) == 2
    assert capsys.readouterr().err == ("--width: is of pictures, and a .vtu holds the surfaces themselves\n"
                                       "  -> leave it out, or take --fronts fronts.png\n")
    assert not list(tmp_path.glob("f.*"))
