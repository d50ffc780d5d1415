"""Velocities by local fits: exact on what they can represent, near on circles, silent where fronts meet; other maps."""

import numpy as np
import pytest

from upstroke import load_case
from upstroke.case.schema import CableMesh, GridMesh, SheetMesh, SlabMesh
from upstroke.errors import UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.mesh.mesh import Mesh
from upstroke.observe import ActivationMap
from upstroke.observe import maps as module
from upstroke.observe.maps import Neighbourhoods, cycle_length, make_maps, quantiles, spread

MESHES = {"segments": CableMesh(length=1.0, dx=0.1), "triangles": SheetMesh(size=(1.0, 0.8), dx=0.1),
          "squares": GridMesh(size=(1.0, 0.8), dx=0.1), "tetrahedra": SlabMesh(size=(0.8, 0.6, 0.5), dx=0.1),
          "cubes": GridMesh(size=(0.8, 0.6, 0.5), dx=0.1)}


@pytest.mark.parametrize("kind", MESHES)
def test_a_quadratic_is_fitted_exactly(kind, monkeypatch):
    """At edges and corners, too; in parts of any size."""
    monkeypatch.setattr(module, "PAIRS", 500)
    mesh = build_mesh(MESHES[kind])
    flat = np.array([1.0, 1.0, 1.0]) * (np.arange(3) < mesh.dim)
    g, H = np.array([20.0, -7.0, 11.0]) * flat, np.array([[3.0, 1.0, 0.5], [1.0, -2.0, 0.7], [0.5, 0.7, 4.0]])
    H = H * flat * flat[:, None]
    x = mesh.points
    gradient, turning = Neighbourhoods(mesh).gradient(5.0 + x @ g + 0.5 * np.einsum("ni,ij,nj->n", x, H, x))
    exact = g + x @ H
    np.testing.assert_allclose(gradient, exact, atol=1e-8)
    n = exact / np.linalg.norm(exact, axis=1)[:, None]
    curved = np.abs(np.einsum("ni,ij,nj->n", n, H, n))
    assert (turning <= 0.36 * curved + 1e-8).all() and (turning >= 0.19 * curved - 1e-8).all()   # times the reach


@pytest.mark.parametrize("kind", ["triangles", "tetrahedra"])
def test_a_plane_wave(kind):
    mesh = build_mesh(MESHES[kind])
    n = np.array([0.6, 0.8, 0.0])
    velocity = Neighbourhoods(mesh).velocity(mesh.points @ n / 0.05)
    np.testing.assert_allclose(velocity, np.broadcast_to(0.05 * n, velocity.shape), atol=1e-10)


def test_a_circle_and_where_it_begins():
    mesh = build_mesh(SheetMesh(size=(2.0, 2.0), dx=0.05))
    away = mesh.points - [1.0, 1.0, 0.0]
    r = np.linalg.norm(away, axis=1)
    velocity = Neighbourhoods(mesh).velocity(r / 0.06)
    far = r > 0.3
    np.testing.assert_allclose(velocity[far], 0.06 * away[far] / r[far, None], atol=0.06 * 0.02)
    assert np.isnan(velocity[r < 0.02]).all() and np.isfinite(velocity[far]).all()


def test_where_fronts_meet_there_is_none():
    mesh = build_mesh(SheetMesh(size=(2.0, 0.5), dx=0.05))
    x = mesh.points[:, 0]
    velocity = Neighbourhoods(mesh).velocity(np.minimum(x, 2.0 - x) / 0.05)
    near, far = abs(x - 1.0) < 0.02, abs(x - 1.0) > 0.11
    assert np.isnan(velocity[near]).all()
    np.testing.assert_allclose(velocity[far, 0], np.where(x[far] < 1.0, 0.05, -0.05), rtol=1e-6)
    between = np.linalg.norm(velocity[~far & np.isfinite(velocity[:, 0])], axis=1)
    assert between.size == 0 or between.max() < 0.11                  # nothing absurd is left


def test_nodes_without_times_and_a_surface_in_space():
    flat = build_mesh(SheetMesh(size=(2.0, 1.0), dx=0.05))
    angle = flat.points[:, 0] / 2.0                                   # wound up round a cylinder of radius 2 cm
    points = np.stack([2.0 * np.sin(angle), flat.points[:, 1], 2.0 * np.cos(angle)], axis=1)
    mesh = Mesh(points, flat.cells, flat.region)
    times = flat.points[:, 0] / 0.05
    times[flat.points[:, 1] < 0.21] = np.nan
    velocity = Neighbourhoods(mesh).velocity(times)
    known = np.isfinite(times)
    assert np.isnan(velocity[~known]).all()
    tangent = np.stack([np.cos(angle), 0.0 * angle, -np.sin(angle)], axis=1)
    inner = known & (abs(angle - 0.5) < 0.44)                         # at the ends the tangent is one-sided
    np.testing.assert_allclose(velocity[inner], 0.05 * tangent[inner], atol=4e-4)
    np.testing.assert_allclose(velocity[known], 0.05 * tangent[known], atol=2e-3)
    lonely = np.full(mesh.n_points, np.nan)
    lonely[:4] = 1.0
    assert np.isnan(Neighbourhoods(mesh).velocity(lonely)).all()


def activation(times, ends):
    return ActivationMap(np.array(times, float), np.array(ends, float), -40.0, 0.9, -80.0, 20.0)


def test_what_is_made_of_beats():
    mesh = build_mesh(SheetMesh(size=(1.0, 0.8), dx=0.1))
    x = mesh.points[:, 0]
    first, second = x / 0.05, 300.0 + x / 0.04
    found = make_maps(("velocity", "cycle_length", "dispersion"), mesh,
                      activation([first, second], [first + 250.0, second + 200.0 + 30.0 * x]))
    assert set(found.fields) == {"velocity_m_per_s", "cv_m_per_s", "velocity_m_per_s_2", "cv_m_per_s_2",
                                 "apd90_gradient_ms_per_mm", "apd90_gradient_ms_per_mm_2", "cycle_length_ms"}
    np.testing.assert_allclose(found.fields["cv_m_per_s"], 0.5, rtol=1e-9)
    np.testing.assert_allclose(found.fields["velocity_m_per_s_2"][:, 0], 0.4, rtol=1e-9)
    np.testing.assert_allclose(found.fields["apd90_gradient_ms_per_mm_2"], 3.0, rtol=1e-9)
    np.testing.assert_allclose(found.fields["cycle_length_ms"], second - first)
    one, two = found.numbers["dispersion"]
    assert one["apd90_ms"]["range"] == pytest.approx(0.0, abs=1e-9) and two["apd90_ms"]["range"] == pytest.approx(30.0)
    assert one["repolarisation_ms"] == {"range": pytest.approx(20.0), "sd": pytest.approx((x / 0.05).std())}
    assert [beat["median"] for beat in found.numbers["cv_m_per_s"]] == pytest.approx([0.5, 0.4])
    assert found.numbers["cycle_length_ms"]["median"] == pytest.approx(np.median(second - first))
    nothing = make_maps(("velocity", "cycle_length"), mesh, activation(np.zeros((0, mesh.n_points)),
                                                                       np.zeros((0, mesh.n_points))))
    assert list(nothing.fields) == ["cycle_length_ms"] and nothing.numbers == {"cycle_length_ms": None}


def test_small_things():
    nan = np.nan
    beats = activation([[0.0, 1.0, nan], [100.0, nan, nan], [220.0, nan, nan]], np.full((3, 3), nan))
    assert cycle_length(beats).tolist()[0] == 110.0 and np.isnan(cycle_length(beats)[1:]).all()
    assert quantiles(np.array([nan])) is None and spread(np.array([nan])) is None
    assert beats.phase(50.0)[0] == pytest.approx(0.0) and beats.phase(160.0)[0] == pytest.approx(0.0)
    assert beats.phase(100.0)[0] == pytest.approx(-np.pi) and beats.phase(190.0)[0] == pytest.approx(np.pi / 2)
    assert np.isnan(beats.phase(50.0)[1:]).all() and np.isnan(beats.phase(-1.0)).all()
    assert np.isnan(beats.phase(230.0)[0])


def test_a_neuron_has_no_such_maps():
    cell = {"mesh": {"kind": "sections", "section": [{"name": "soma", "length": "20 um", "diameter": "20 um"}]},
            "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": {"model": "HodgkinHuxley"},
            "time": {"end": "1 ms", "dt": "0.1 ms"}, "watch": {"activation": {"maps": ["velocity"]}}}
    with pytest.raises(UpstrokeError) as caught:
        load_case(cell)
    assert str(caught.value) == ("case: watch.activation.maps: are of tissue, and the case has no [tissue]\n"
                                 "  -> leave them out")
