"""Tips and filaments: where they are, which way they turn, which is which, and what is wrong with the table."""

import numpy as np
import pytest

from upstroke import load_case
from upstroke.backend.cpu import CpuBackend
from upstroke.case.schema import CableMesh, GridMesh, SheetMesh, SlabMesh, Tips
from upstroke.codegen import Kernel
from upstroke.errors import CaseError, UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.observe.phase import Singularity, filaments, matched, orientation, simplices, tips
from upstroke.observe.tips import TipWatcher, check_tips
from upstroke.step.state import State


def found(mesh, a, b):
    cells = simplices(mesh)
    if mesh.dim == 2:
        return tips(mesh.points, orientation(mesh.points, cells), a, b)
    return filaments(mesh.points, cells, a, b)


def plane(kind):
    return build_mesh((SheetMesh if kind == "triangles" else GridMesh)(size=(2.0, 1.5), dx=0.1))


@pytest.mark.parametrize("kind", ["triangles", "squares"])
def test_the_tip_is_where_both_vanish(kind):
    """Exactly, where both are linear; the phase of (x, y) turns once counter-clockwise."""
    mesh, (x0, y0) = plane(kind), (0.7321, 0.6177)
    x, y = mesh.points[:, 0] - x0, mesh.points[:, 1] - y0
    for a, b, winding in ((x, y, 1), (y, x, -1), (x + 0.3 * y, -y, -1), (2 * x - y, x + y, 1)):
        tip, = found(mesh, a, b)
        assert tip.winding == winding
        np.testing.assert_allclose(tip.points, [[x0, y0, 0.0]], atol=1e-12)
    assert found(mesh, x, y + 5.0) == []                            # outside
    assert found(mesh, x, np.where(y > 0.1, np.nan, y + 0.05))[0].winding == 1      # unknown elsewhere
    assert found(mesh, np.where(abs(x) < 0.3, np.nan, x), y) == []                  # unknown there


@pytest.mark.parametrize("kind", ["triangles", "squares"])
def test_nodes_on_the_lines_count_once(kind):
    """a = b = 0 at a node, or along edges: still one tip, since edges decide alike for both their triangles."""
    mesh = plane(kind)
    x, y = np.round(mesh.points[:, 0] - 0.7, 9), np.round(mesh.points[:, 1] - 0.6, 9)
    for a, b in ((x, y), (x + y, x - y), (x, -y), (-x, y), (-y, -x)):
        tip, = found(mesh, a, b)
        assert np.linalg.norm(tip.points[0] - [0.7, 0.6, 0.0]) < 0.1001


def test_the_sum_of_windings_is_that_of_the_boundary():
    mesh, rng = plane("triangles"), np.random.default_rng(5)
    total = []
    for _ in range(20):
        a, b = rng.normal(size=(2, mesh.n_points))
        edge = (mesh.points[:, 0] < 1e-9) | (mesh.points[:, 0] > 2 - 1e-9) | (mesh.points[:, 1] < 1e-9) | \
            (mesh.points[:, 1] > 1.5 - 1e-9)
        angle = np.arctan2(mesh.points[:, 1] - 0.75, mesh.points[:, 0] - 1.0)
        a[edge], b[edge] = np.cos(2 * angle[edge]), np.sin(2 * angle[edge])
        singular = found(mesh, a, b)
        assert len(singular) > 10
        total.append(sum(tip.winding for tip in singular))
    assert total == [2] * 20


def spiral(points, t, turn, core):
    """A rigid spiral's V: one arm of period 1, turning (counter-clockwise for 1) about a core."""
    x, y = points[:, 0] - core[0], points[:, 1] - core[1]
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    return np.tanh(r / 0.2) * np.cos(turn * angle - 2 * np.pi * t + 2.0 * r) * 50.0 - 40.0


def watch(mesh, section, every, delay, V, steps, folder, backend=None, **names):
    backend = backend or CpuBackend(threads=1)
    order = np.random.default_rng(2).permutation(mesh.n_points)
    kernel = Kernel("", "c", backend.precision, "", tuple(names), (), (), ())
    state = State([(kernel, {}, mesh.n_points)], backend, order)
    watcher = TipWatcher(section, mesh, state, backend, every, delay, folder)
    for n in range(steps + 1):
        state.V[:] = V(n)[order]
        for name, value in names.items():
            state.pieces(name)[0][2][:] = value(n)[order]
        backend.clock.step = n
        watcher.see(n, 0.1 * n)
    watcher.close()
    return watcher


@pytest.mark.parametrize("turn", [1, -1])
def test_a_spiral_has_one_tip_that_keeps_its_number(turn, tmp_path):
    mesh, core = build_mesh(SheetMesh(size=(3.0, 3.0), dx=0.1)), (1.43, 1.61)
    watcher = watch(mesh, Tips(every=0.5), 5, 8, lambda n: spiral(mesh.points, 0.02 * n, turn, core), 60, tmp_path)
    header, *lines = (tmp_path / "tips.csv").read_text().splitlines()
    assert header == "time_ms,tip,x_mm,y_mm,z_mm,rotation"
    rows = np.array([line.split(",") for line in lines], float)
    np.testing.assert_allclose(rows[:, 0], np.arange(1.0, 6.1, 0.5))
    assert set(rows[:, 1]) == {0.0} and set(rows[:, 5]) == {turn}
    assert np.hypot(rows[:, 2] - 14.3, rows[:, 3] - 16.1).max() < 0.5
    assert watcher.count == {"in_all": 1, "most_at_once": 1, "at_end": 1}


def test_a_recovery_variable_in_place_of_the_past(tmp_path):
    mesh, core = build_mesh(SheetMesh(size=(3.0, 3.0), dx=0.1)), (1.43, 1.61)
    section = Tips(every=0.5, recovery="w", recovery_level=0.3)
    watch(mesh, section, 5, 0, lambda n: spiral(mesh.points, 0.02 * n, 1, core), 10, tmp_path,
          w=lambda n: 0.3 + (spiral(mesh.points, 0.02 * n - 0.2, 1, core) + 40.0) / 100.0)
    rows = np.loadtxt(tmp_path / "tips.csv", delimiter=",", skiprows=1)
    assert np.allclose(rows[:, 0], [0.0, 0.5, 1.0]) and set(rows[:, 5]) == {1.0}
    assert np.hypot(rows[:, 2] - 14.3, rows[:, 3] - 16.1).max() < 0.5


@pytest.mark.parametrize("kind", [SlabMesh, GridMesh])
def test_a_straight_filament_and_a_ring(kind):
    mesh = build_mesh(kind(size=(1.0, 1.0, 0.8), dx=0.1))
    x, y, z = (mesh.points - np.array([0.52, 0.47, 0.41])).T
    line, = found(mesh, x - 0.2 * z, y + 0.1 * z)
    assert line.ends == 2 and line.winding == 0
    assert line.length == pytest.approx(0.8 * np.sqrt(1 + 0.2 ** 2 + 0.1 ** 2), rel=1e-9)
    np.testing.assert_allclose(line.points[:, 0] - 0.52, 0.2 * (line.points[:, 2] - 0.41), atol=1e-12)
    ring, = found(mesh, np.hypot(x, y) - 0.3, z)
    assert ring.ends == 0 and ring.length == pytest.approx(2 * np.pi * 0.3, rel=0.02)
    assert len(found(mesh, np.hypot(x, y) - 0.3, (z - 0.2) * (z + 0.2))) == 2
    assert found(mesh, x, y + 3.0) == []


def test_filaments_are_written(tmp_path):
    mesh, core = build_mesh(SlabMesh(size=(2.0, 2.0, 0.3), dx=0.1)), (0.93, 1.11)
    watch(mesh, Tips(every=0.5), 5, 8, lambda n: spiral(mesh.points, 0.02 * n, 1, core), 20, tmp_path)
    header, *lines = (tmp_path / "filaments.csv").read_text().splitlines()
    assert header == "time_ms,filament,length_mm,ends,x_mm,y_mm,z_mm"
    rows = np.array([line.split(",") for line in lines], float)
    assert set(rows[:, 1]) == {0.0} and set(rows[:, 3]) == {2.0} and np.allclose(rows[:, 0], [1.0, 1.5, 2.0])
    assert rows[:, 2] == pytest.approx(3.0, rel=0.03)


def test_who_is_who():
    def at(x, winding=1):
        return Singularity(np.array([[x, 0.0, 0.0]]), winding)

    assert matched([], [at(0.0)], 0.5) == [-1] and matched([at(0.0)], [], 0.5) == []
    assert matched([at(0.0), at(1.0)], [at(1.1), at(0.1)], 0.5) == [1, 0]
    assert matched([at(0.0)], [at(0.6)], 0.5) == [-1]                     # too far
    assert matched([at(0.0, -1)], [at(0.0)], 0.5) == [-1]                 # turns the other way
    assert matched([at(0.0), at(0.4)], [at(0.3), at(0.7)], 0.5) == [0, 1]     # the sum is least
    assert matched([at(0.0)], [at(0.2), at(0.1)], 0.5) == [-1, 0]


CASE = {"mesh": {"kind": "sheet", "size": ["2 mm", "2 mm"], "dx": "0.5 mm"},
        "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["1 mS/cm"]}},
        "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "1 ms", "dt": "0.1 ms"}}


@pytest.mark.parametrize("table, text", [
    ({"every": "0.25 ms"}, 'watch.tips.every: 0.25 ms is not a whole number of steps of 0.1 ms\n  -> use "0.2 ms" or '
     '"0.3 ms"'),
    ({"every": "1 ms", "delay": "0.11 ms"}, 'watch.tips.delay: 0.11 ms is not a whole number of steps of 0.1 ms\n  '
     '-> use "0.1 ms" or "0.2 ms"'),
    ({"every": "1 ms", "recovery": "h"}, "watch.tips.recovery: has no level\n  -> add recovery_level, a value midway "
     "between rest and plateau"),
    ({"every": "1 ms", "recovery_level": 0.5}, "watch.tips.recovery_level: is the level of a recovery variable, and "
     "none is given\n  -> add recovery"),
    ({"every": "1 ms", "recovery": "h", "recovery_level": 0.5, "delay": "1 ms"}, "watch.tips.delay: given together "
     "with recovery\n  -> keep one of the two"),
])
def test_mistakes_of_the_table(table, text):
    with pytest.raises(UpstrokeError) as caught:
        load_case(CASE | {"watch": {"tips": table}})
    assert str(caught.value) == "case: " + text


def test_what_mesh_and_model_say(tmp_path):
    from upstroke.run import prepare

    with pytest.raises(CaseError) as caught:
        check_tips(Tips(every=1.0), build_mesh(CableMesh(length=1.0, dx=0.1)))
    assert str(caught.value) == "watch.tips: the waves of a cable have no tips\n  -> leave it out, or take a sheet"
    with pytest.raises(CaseError) as caught:
        prepare(load_case(CASE | {"watch": {"tips": {"every": "1 ms", "recovery": "H", "recovery_level": 0.5}}}))
    assert str(caught.value) == "case: watch.tips.recovery: the model has no variable 'H'\n  -> did you mean 'h'?"
    cell = {"mesh": {"kind": "sections", "section": [{"name": "soma", "length": "20 um", "diameter": "20 um"}]},
            "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": {"model": "HodgkinHuxley"},
            "time": CASE["time"], "watch": {"tips": {"every": "1 ms"}}}
    with pytest.raises(UpstrokeError) as caught:
        load_case(cell)
    assert str(caught.value) == "case: watch.tips: is of tissue, and the case has no [tissue]\n  -> leave it out"
