"""The picture: isochrones where they belong, and a picture on every machine."""

import subprocess
import sys

import numpy as np
import pytest

from upstroke.case.schema import CableMesh, SheetMesh, SlabMesh
from upstroke.mesh import build_mesh
from upstroke.output import render
from upstroke.output.render import INSTALL, draw_activation
from upstroke.output.scene import Picture, View, isochrones, round_levels

image = pytest.importorskip("matplotlib.image")


def picture_of(mesh, times):
    return Picture(10 * mesh.points, mesh.cells, np.asarray(times, float), "")


@pytest.mark.parametrize("low, high, levels", [
    (1.2, 43.0, [0, 5, 10, 15, 20, 25, 30, 35, 40, 45]),
    (0.0, 30.0, [0, 5, 10, 15, 20, 25, 30]),
    (0.13, 0.98, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
    (500.0, 1720.0, [400, 600, 800, 1000, 1200, 1400, 1600, 1800]),
    (3.0, 3.0, [3.0, 3.0001]),
])
def test_round_levels(low, high, levels):
    found = round_levels(low, high)
    np.testing.assert_allclose(found, levels, rtol=1e-12)


def test_round_levels_enclose_any_range():
    rng = np.random.default_rng(0)
    for low, span in zip(rng.uniform(-50, 1000, 300), 10 ** rng.uniform(-2, 4, 300), strict=True):
        levels = round_levels(low, low + span)
        assert levels[0] <= low + 1e-6 * span
        assert levels[-1] >= low + span * (1 - 1e-6)
        assert 3 <= len(levels) <= 11


def test_isochrones_of_a_plane_wave_are_straight_lines_at_their_places():
    mesh = build_mesh(SheetMesh(size=(2.0, 1.0), dx=0.07))
    picture = picture_of(mesh, 2.0 * mesh.points[:, 0] * 10 + 1.0)      # 1 to 41 ms along 20 mm
    pieces, owners = isochrones(picture)
    for level in picture.levels[1:-1]:
        on = np.isclose(pieces[:, :, 0], (level - 1.0) / 2.0, atol=1e-9).all(axis=1)
        assert np.linalg.norm(pieces[on, 0] - pieces[on, 1], axis=1).sum() == pytest.approx(10.0)   # across the sheet
    corners = picture.points[picture.cells[owners]]
    assert (pieces.min(axis=1) >= corners.min(axis=1) - 1e-9).all()
    assert (pieces.max(axis=1) <= corners.max(axis=1) + 1e-9).all()


def test_no_isochrones_in_silent_cells():
    mesh = build_mesh(SheetMesh(size=(2.0, 1.0), dx=0.1))
    x = 10 * mesh.points[:, 0]
    picture = picture_of(mesh, np.where(x > 10.0, np.nan, x))
    assert picture.silent.sum() == pytest.approx(len(mesh.cells) / 2, abs=25)
    pieces, owners = isochrones(picture)
    assert not picture.silent[owners].any()
    assert pieces[:, :, 0].max() <= 10.0


def test_the_view_frames_the_scene():
    mesh = build_mesh(SlabMesh(size=(2.0, 0.7, 0.3), dx=0.1))
    picture = picture_of(mesh, mesh.points[:, 0])
    view = View.of(picture)
    np.testing.assert_allclose(np.array([view.right, view.up, view.toward]) @ np.array(
        [view.right, view.up, view.toward]).T, np.eye(3), atol=1e-12)
    left, right, bottom, top = view.frame
    page = view.page(picture.points)
    assert left < page[:, 0].min() < page[:, 0].max() < right
    assert bottom < page[:, 1].min() < page[:, 1].max() < top


def colours(path):
    """Pixels of a picture: (height, width, 3), 0 to 1."""
    return image.imread(path)[:, :, :3]


def share(pixels, colour, tolerance=0.04):
    return float((np.abs(pixels - np.array(colour)) < tolerance).all(axis=2).mean())


SLAB = SlabMesh(size=(2.0, 0.7, 0.3), dx=0.1)


@pytest.mark.parametrize("section, reached", [
    (CableMesh(length=2.0, dx=0.05), 0.5), (SheetMesh(size=(2.0, 1.2), dx=0.05), 0.5),
    (SheetMesh(size=(0.5, 2.0), dx=0.05), 0.0), (SLAB, 0.0), (SLAB, 0.5), (SLAB, 1.0)])
def test_matplotlib_draws_every_kind_of_mesh(section, reached, tmp_path):
    mesh = build_mesh(section)
    times = np.linalg.norm(mesh.points, axis=1) * 10
    times[times > reached * times.max()] = np.nan
    if reached == 0.0:
        times[:] = np.nan
    drawn = draw_activation(mesh, times, tmp_path / "activation.png", "A title", "matplotlib")
    assert drawn == ("matplotlib", "")
    pixels = colours(tmp_path / "activation.png")
    assert [p.name for p in tmp_path.iterdir()] == ["activation.png"]
    assert pixels.shape[0] > 700 or pixels.shape[1] > 1400
    assert pixels[0, 0].tolist() == [1.0, 1.0, 1.0]
    grey = (np.ptp(pixels, axis=2) < 0.02) & (np.abs(pixels.mean(axis=2) - 0.75) < 0.1)
    coloured = np.ptp(pixels, axis=2) > 0.15
    if reached == 1.0:
        assert grey.mean() < 0.02
    else:
        assert grey.mean() > 0.04
    if mesh.dim > 1:
        assert (coloured.mean() > 0.05) == (reached > 0)


@pytest.mark.parametrize("missing, renderer, note", [
    ({"pyvista"}, "matplotlib",
     f"activation.png was drawn by matplotlib alone, as PyVista is not installed; {INSTALL}"),
    ({"matplotlib"}, "", f"activation.png was not drawn: matplotlib is not installed; {INSTALL}")])
def test_packages_that_are_not_installed(missing, renderer, note, tmp_path, monkeypatch):
    monkeypatch.setattr(render, "find_spec", lambda name: None if name in missing else name)
    mesh = build_mesh(SlabMesh(size=(1.0, 0.7, 0.3), dx=0.1))
    assert draw_activation(mesh, mesh.points[:, 0], tmp_path / "activation.png") == (renderer, note)
    assert (tmp_path / "activation.png").exists() == bool(renderer)


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = ("import sys, upstroke.observe\n"
            "from upstroke.output import directory, manifest, maps, render, summary, vtkhdf\n"
            "print([m for m in ('pyvista', 'vtkmodules', 'matplotlib', 'h5py', 'meshio', 'scipy', 'pint') "
            "if m in sys.modules])")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
