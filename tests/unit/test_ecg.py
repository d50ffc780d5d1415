"""Electrograms: weights of nodes against closed forms and integration without a mesh; leads; what is wrong."""

import csv

import numpy as np
import pytest

from upstroke import load_case
from upstroke.backend.cpu import CpuBackend
from upstroke.case.schema import CableMesh, ConductivityTable, Ecg, GridMesh, SheetMesh, SlabMesh, Tissue
from upstroke.codegen import Kernel
from upstroke.errors import CaseError, UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.observe.ecg import CHUNK, EcgWatcher, check_ecg, conductivity, electrode_weights, near_notes
from upstroke.observe.leads import lead_matrix
from upstroke.space import Extracellular
from upstroke.step.state import State

SIGMA_B = 7.0
TISSUE = Tissue(surface_to_volume=1400.0, conductivity=(ConductivityTable(monodomain=(3.0, 1.0)),))
ISOTROPIC = Tissue(surface_to_volume=1400.0, conductivity=(ConductivityTable(monodomain=(3.0,)),))
NINE = {"RA": (-3.0, 5.0, 1.0), "LA": (3.0, 5.0, 1.0), "LL": (2.0, -6.0, 0.5),
        **{f"V{k}": (k - 2.0, 1.0, 3.0) for k in range(1, 7)}}


def weights(mesh, *places, **more):
    section = Ecg(electrodes={str(k): place for k, place in enumerate(places)}, every=1.0, **more)
    return electrode_weights(mesh, conductivity(TISSUE, mesh, section), np.array(places), SIGMA_B)


def test_a_plane_wave_in_a_strand():
    """V falls linearly from x1 to x2: a current s sigma A leaves at x2 and enters at x1, s = dV/dx (Plonsey)."""
    mesh = build_mesh(CableMesh(length=2.0, dx=0.002))
    x1, x2, high, low, diameter = 0.8, 0.9, 30.0, -85.0, 0.01
    V = np.interp(mesh.points[:, 0], [x1, x2], [high, low])
    s, area = (low - high) / (x2 - x1), np.pi * diameter ** 2 / 4
    for place in ((2.5, 0.0, 0.0), (-0.7, 0.0, 0.0), (1.0, 0.3, -0.2)):
        r1, r2 = (np.hypot(x - place[0], np.hypot(*place[1:])) for x in (x1, x2))
        exact = 3.0 * area * s / (4 * np.pi * SIGMA_B) * (1 / r1 - 1 / r2)
        phi, = weights(mesh, place, thickness=diameter) @ V
        assert phi == pytest.approx(exact, rel=1e-6)
        if place[0] > 2:
            assert phi > 0                  # the wave comes
        elif place[0] < 0:
            assert phi < 0                  # it goes away


def integral(size, sigma, gradient, place, points=24):
    """-1 / (4 pi sigma_b) integral sigma grad V . grad(1 / r) over a box, by Gauss-Legendre; V is linear."""
    u, w = np.polynomial.legendre.leggauss(points)
    axes = [(0.5 * length * (u + 1), 0.5 * length * w) for length in size]
    axes += [(np.zeros(1), np.ones(1))] * (3 - len(size))
    x = np.stack(np.meshgrid(*(a for a, _ in axes), indexing="ij"), axis=-1) - np.array(place)
    volume = np.einsum("i,j,k->ijk", *(b for _, b in axes))
    field = -x / np.linalg.norm(x, axis=-1)[..., None] ** 3
    return -(volume * (field @ (sigma @ gradient))).sum() / (4 * np.pi * SIGMA_B)


FIBRE = (2.0, 1.0, 0.5)
SIZE = (0.8, 0.6, 0.4)


def tensor(fibre):
    f = np.array(fibre) / np.linalg.norm(fibre)
    return np.eye(3) + 2.0 * np.outer(f, f)


@pytest.mark.parametrize("place", [(3.0, 1.0, -2.0), (0.3, 0.2, 0.9)])
@pytest.mark.parametrize("kind", ["tetrahedra", "cubes", "triangles", "squares"])
def test_a_linear_field_in_any_mesh(kind, place):
    """It is linear in every cell, so only the quadrature of 1 / r is left to differ."""
    flat, fibre = kind in ("triangles", "squares"), (2.0, 1.0, 0.0) if kind in ("triangles", "squares") else FIBRE
    size = SIZE[:2] if flat else SIZE
    mesh = build_mesh({"tetrahedra": SlabMesh, "cubes": GridMesh, "triangles": SheetMesh, "squares": GridMesh}[kind](
        size=size, dx=0.1, fibre=fibre))
    gradient = np.array([50.0, -20.0, 0.0 if flat else 35.0])
    thick = {"thickness": 0.07} if flat else {}
    w = weights(mesh, place, **thick)
    exact = integral(size, tensor(fibre), gradient, place) * thick.get("thickness", 1.0)
    assert (w @ (mesh.points @ gradient))[0] == pytest.approx(exact, rel=2e-4)
    assert abs(w.sum()) < 1e-12 * np.abs(w).sum()          # V that is the same everywhere makes no potential


def test_potentials_add_up():
    """Two halves of a block by themselves and together; far away it is a dipole's, which falls as 1 / r^2."""
    rng = np.random.default_rng(1)
    mesh = build_mesh(SlabMesh(size=SIZE, dx=0.2, fibre=FIBRE))
    near, far = weights(mesh, (40.0, 0.0, 0.0), (80.0, 0.0, 0.0)) @ (mesh.points @ np.array([50.0, -20.0, 35.0]))
    assert near / far == pytest.approx(4.0, rel=0.02)
    V = rng.normal(size=mesh.n_points)
    sigma, place = np.zeros((mesh.n_cells, 3, 3)), np.array([[2.0, 1.0, 1.0]])
    sigma[:] = tensor(FIBRE)
    left, right = sigma.copy(), sigma.copy()
    left[::2] = right[1::2] = 0.0
    one, other, both = (electrode_weights(mesh, part, place, 1.0) @ V for part in (left, right, sigma))
    assert one + other == pytest.approx(both, rel=1e-12)


def test_the_twelve_leads():
    names, matrix = lead_matrix(tuple(NINE), {"belly": ("V2", "LL")}, True)
    assert names == (*(f"phi.{name}" for name in NINE), "I", "II", "III", "aVR", "aVL", "aVF",
                     "V1", "V2", "V3", "V4", "V5", "V6", "belly")
    phi = dict(zip(NINE, [-0.3, 0.4, 1.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], strict=True))
    lead = dict(zip(names, matrix @ list(phi.values()), strict=True))
    assert lead["I"] == pytest.approx(0.7) and lead["II"] == pytest.approx(1.4) and lead["III"] == pytest.approx(0.7)
    assert lead["II"] == pytest.approx(lead["I"] + lead["III"])                        # Einthoven
    assert lead["aVR"] + lead["aVL"] + lead["aVF"] == pytest.approx(0.0)               # Goldberger
    assert lead["aVF"] == pytest.approx(1.1 - 0.05) and lead["V3"] == pytest.approx(0.3 - 0.4)     # Wilson
    assert lead["belly"] == pytest.approx(0.2 - 1.1) and lead["phi.V6"] == 0.6


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
@pytest.mark.parametrize("threads", [1, 2])
def test_samples_are_the_weights_times_V(tmp_path, threads, precision):
    """On a mesh of several chunks, in solve order, every second step."""
    mesh = build_mesh(SheetMesh(size=(1.0, 1.0), dx=0.01))
    assert mesh.n_points > 2 * CHUNK
    backend, rng = CpuBackend(threads, precision), np.random.default_rng(3)
    order = rng.permutation(mesh.n_points)
    state = State([(Kernel("", "c", precision, "", (), (), (), ()), {}, mesh.n_points)], backend, order)
    V = rng.normal(-40, 40, (6, mesh.n_points)).astype(backend.dtype)
    state.V[:] = V[0][order]
    section = Ecg(electrodes={"a": (0.5, 0.5, 1.0), "b": (-2.0,)}, leads={"ab": ("a", "b")}, every=0.2, thickness=0.1)
    outside = Extracellular(ISOTROPIC, mesh)
    watcher = EcgWatcher(section, mesh, ISOTROPIC, outside, state, backend, 2, 0.1, tmp_path / "ecg.csv")
    loop = backend.loop(watcher.stages)
    watcher.see(0, 0.0)
    for n in range(5):
        state.V[:] = V[n + 1][order]
        loop.run(n)
        watcher.see(n + 1, 0.1 * (n + 1))
    watcher.close()
    with (tmp_path / "ecg.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["time_ms", "phi.a", "phi.b", "ab"]
    found = np.array(rows, float)
    places = np.array([[0.5, 0.5, 1.0], [-2.0, 0.0, 0.0]])
    w = electrode_weights(mesh, conductivity(ISOTROPIC, mesh, section), places, 2.0)
    phi = V[::2].astype(float) @ w.T
    assert found[:, 0].tolist() == [0.0, 0.2, 0.4]
    np.testing.assert_allclose(found[:, 1:3], phi, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[:, 3], phi[:, 0] - phi[:, 1], rtol=1e-8, atol=1e-12)


CASE = {"mesh": {"kind": "sheet", "size": ["2 mm", "2 mm"], "dx": "0.5 mm", "fibre": [1, 0, 0]},
        "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["1 mS/cm"]}},
        "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "1 ms", "dt": "0.1 ms"}}
ONE = {"electrodes": {"tip": ["20 mm"]}, "every": "0.5 ms"}


@pytest.mark.parametrize("ecg, text", [
    (ONE | {"electrodes": {}}, 'watch.ecg.electrodes: no electrode given\n  -> for example electrodes = '
     '{ near = ["25 mm"] }'),
    (ONE | {"leads": {"x": ["tip", "tap"]}}, "watch.ecg.leads.x: there is no electrode 'tap'\n"
     "  -> did you mean 'tip'?"),
    (ONE | {"standard_leads": True, "electrodes": {name: place for name, place in (
        (name, [f"{x} cm" for x in place]) for name, place in NINE.items()) if name not in ("LL", "V4")}},
     "watch.ecg.standard_leads: there is no electrode LL, V4\n  -> give all of RA, LA, LL and V1 to V6 their places"),
    (ONE | {"leads": {"x": ["tip", "tip"]}}, "watch.ecg.leads.x: is the difference of an electrode and itself\n"
     "  -> name two"),
    (ONE | {"electrodes": {"tip": ["1 mm"], "end": ["2 mm"]}, "leads": {"phi.tip": ["tip", "end"]}},
     'watch.ecg.leads."phi.tip": is the column of an electrode\n  -> give it another name'),
    (ONE | {"standard_leads": True, "leads": {"aVF": ["LL", "RA"]},
            "electrodes": {name: [f"{x} cm" for x in place] for name, place in NINE.items()}},
     "watch.ecg.leads.aVF: is one of the standard leads\n  -> give it another name"),
    (ONE | {"every": "0.25 ms"}, 'watch.ecg.every: 0.25 ms is not a whole number of steps of 0.1 ms\n  -> use "0.2 ms" '
     'or "0.3 ms"'),
])
def test_mistakes_of_the_table(ecg, text):
    with pytest.raises(UpstrokeError) as caught:
        load_case(CASE | {"watch": {"ecg": ecg}})
    assert str(caught.value) == "case: " + text


def test_a_neuron_has_none():
    cell = {"mesh": {"kind": "sections", "section": [{"name": "soma", "length": "20 um", "diameter": "20 um"}]},
            "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": {"model": "HodgkinHuxley"},
            "time": CASE["time"], "watch": {"ecg": ONE}}
    with pytest.raises(UpstrokeError) as caught:
        load_case(cell)
    assert str(caught.value) == "case: watch.ecg: is of tissue, and the case has no [tissue]\n  -> leave it out"


def test_what_the_mesh_says():
    sheet, slab = build_mesh(SheetMesh(size=(1.0, 1.0), dx=0.1)), build_mesh(SlabMesh(size=(1.0, 1.0, 1.0), dx=0.2))
    section = Ecg(electrodes={"in": (0.55, 0.5), "out": (0.5, 0.5, 3.0)}, every=1.0, thickness=0.1)
    for mesh, table, text in (
            (sheet, Ecg(electrodes={"a": (1.0,)}, every=1.0),
             "watch.ecg.thickness: missing: the mesh is made of triangles, which fill no volume\n"
             '  -> add thickness = "1 mm", of the sheet, or the diameter of the cable'),
            (slab, section, "watch.ecg.thickness: the mesh fills a volume already\n  -> leave it out"),
            (slab, Ecg(electrodes={"a": (1.0,) * 4}, every=1.0), "watch.ecg.electrodes.a: 4 coordinates\n"
             '  -> give one, two or three: ["1 mm", "2 mm", "3 mm"]')):
        with pytest.raises(CaseError) as caught:
            check_ecg(table, mesh, ISOTROPIC)
        assert str(caught.value) == text
    assert list(near_notes(section, sheet)) == [
        "electrode in is 0.5 mm from a node, and edges are up to 1.41 mm long: its potential depends on the mesh"]


def test_check_tells_of_electrodes_in_the_tissue():
    from upstroke.check import check

    ecg = ONE | {"electrodes": {"in": ["0.6 mm", "1 mm"]}, "thickness": "1 mm"}
    said = check(load_case(CASE | {"watch": {"ecg": ecg}}))
    assert "# note: electrode in is 0.1 mm from a node, and edges are up to 0.707 mm long" in said
