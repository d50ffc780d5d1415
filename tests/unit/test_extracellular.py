"""phi_e on the mesh: closed forms, a manufactured solution, reciprocity, parts, baths; and the solver beneath."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from upstroke import load_case
from upstroke.case.schema import (
    CableMesh,
    ConductivityTable,
    Ecg,
    GridMesh,
    SheetMesh,
    SlabMesh,
    Snapshots,
    Tissue,
    Watch,
)
from upstroke.check import check
from upstroke.errors import CaseError, DivergenceError, UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.observe import check_watch
from upstroke.observe.ecg import check_ecg, electrode_nodes, electrode_weights
from upstroke.space import Extracellular, assemble
from upstroke.space import multigrid as module
from upstroke.space.multigrid import Multigrid

INSIDE, OUTSIDE = (1.7, 0.19), (6.2, 2.4)


def tissue(inside=INSIDE, outside=OUTSIDE, *more):
    tables = (ConductivityTable(intracellular=inside, extracellular=outside), *more)
    return Tissue(surface_to_volume=1400.0, conductivity=tables)


def bath(inside=(0.0,), outside=(10.0,), regions=("bath",)):
    return ConductivityTable(intracellular=inside, extracellular=outside, regions=regions)


MESHES = {
    "triangles": SheetMesh(size=(1.0, 0.6), dx=0.04, fibre=(2.0, 1.0, 0.0)),
    "squares": GridMesh(size=(1.0, 0.6), dx=0.04, fibre=(2.0, 1.0, 0.0)),
    "tetrahedra": SlabMesh(size=(0.6, 0.5, 0.3), dx=0.05, fibre=(2.0, 1.0, 0.5)),
    "cubes": GridMesh(size=(0.6, 0.5, 0.3), dx=0.05, fibre=(2.0, 1.0, 0.5), stencil="full"),
    "segments": CableMesh(length=1.0, dx=0.002)}


def noise(mesh):
    return np.random.default_rng(2).normal(-40.0, 40.0, mesh.n_points)


def mean(mesh, values):
    """By volume."""
    ones = assemble(mesh, np.zeros((mesh.n_cells, 3, 3))).lumped_mass if mesh.grid is None else np.bincount(
        mesh.cells.ravel(), minlength=mesh.n_points)
    return ones @ values / ones.sum()


def rms(mesh, values):
    return np.sqrt(mean(mesh, values ** 2))


@pytest.mark.parametrize("kind", MESHES)
def test_equal_anisotropy(kind):
    """sigma_e = 3 sigma_i: phi_e = -V / 4, but for a constant, whatever V, mesh and fibres are."""
    mesh = build_mesh(MESHES[kind])
    V = noise(mesh)
    exact = -V / 4.0
    found = Extracellular(tissue(INSIDE, tuple(3.0 * s for s in INSIDE)), mesh).potential(V)
    np.testing.assert_allclose(found, exact - mean(mesh, exact), atol=1e-10)


@pytest.mark.parametrize("kind", MESHES)
def test_reciprocity(kind):
    """Lead fields, one solve for an electrode, give what the field has there, one solve for a time."""
    mesh = build_mesh(MESHES[kind])
    one = Extracellular(tissue(), mesh)
    nodes, V = np.array([0, 7, mesh.n_points // 2, mesh.n_points - 1]), noise(mesh)
    W, phi = one.lead_fields(nodes), one.potential(V)
    assert np.ptp(phi) > 1.0
    np.testing.assert_allclose(W @ V, phi[nodes], atol=1e-5)
    assert abs(W.sum(axis=1)).max() < 1e-10 * abs(W).sum(axis=1).max()       # V that is the same everywhere makes none
    np.testing.assert_allclose(mean(mesh, phi), 0.0, atol=1e-10)


def manufactured(kind, h):
    """The RMS error of phi_e for V = cos kx cos ly (no flux): in a box along the fibres both are cosines,
    (s_x k^2 + s_y l^2) phi_e = -(i_x k^2 + i_y l^2) V."""
    size = (1.0, 0.5) if kind != "tetrahedra" else (1.0, 0.5, 0.5)
    mesh = build_mesh({"triangles": SheetMesh, "squares": GridMesh, "tetrahedra": SlabMesh}[kind](
        size=size, dx=h, fibre=(1.0, 0.0, 0.0)))
    k, m = np.pi, 2.0 * np.pi
    V = 50.0 * np.cos(k * mesh.points[:, 0]) * np.cos(m * mesh.points[:, 1])
    (i, j), (e, f) = INSIDE, OUTSIDE
    exact = -(i * k ** 2 + j * m ** 2) / ((i + e) * k ** 2 + (j + f) * m ** 2) * V
    return rms(mesh, Extracellular(tissue(), mesh).potential(V) - exact)


@pytest.mark.parametrize(("kind", "h"), [("triangles", 0.1), ("squares", 0.1), ("tetrahedra", 0.125)])
def test_second_order(kind, h):
    coarse, fine = manufactured(kind, h), manufactured(kind, h / 2.0)
    assert np.log2(coarse / fine) == pytest.approx(2.0, abs=0.25)
    assert fine < 0.1


def test_oblique_fibres_need_a_source():
    """A solution that is no eigenfunction: phi_e = f with f = (1 - cos 2 pi x) y^2 (3 - 2 y) on triangles with oblique
    fibres; K_i V in its place is the integral of its source and of its flux through the edge."""
    errors = []
    for h in (0.1, 0.05, 0.025):
        mesh = build_mesh(SheetMesh(size=(1.0, 1.0), dx=h, fibre=(2.0, 1.0, 0.0)))
        one = Extracellular(tissue(), mesh)
        x, y = mesh.points[:, :2].T
        f = (1.0 - np.cos(2.0 * np.pi * x)) * y ** 2 * (3.0 - 2.0 * y)
        direction = np.array([2.0, 1.0]) / np.sqrt(5.0)
        sigma = (INSIDE[1] + OUTSIDE[1]) * np.eye(2) + (sum((INSIDE[0], OUTSIDE[0])) - INSIDE[1] - OUTSIDE[1]) \
            * np.outer(direction, direction)
        _, K, volume = one._matrices
        corners = mesh.points[mesh.cells][:, :, :2]
        load = np.zeros(mesh.n_points)                  # integral of sigma grad f . grad phi_i, Gauss of third order
        E = corners[:, 1:] - corners[:, :1]
        inverse = np.linalg.inv(E)                      # columns: gradients of the second and third function
        grads = np.concatenate([-inverse.sum(axis=2, keepdims=True), inverse], axis=2).swapaxes(1, 2)
        for shares in np.full((3, 3), 1 / 6) + 0.5 * np.eye(3):
            px, py = np.einsum("i,mix->xm", shares, corners)
            slope = np.stack([2.0 * np.pi * np.sin(2.0 * np.pi * px) * py ** 2 * (3.0 - 2.0 * py),
                              (1.0 - np.cos(2.0 * np.pi * px)) * (6.0 * py - 6.0 * py ** 2)], axis=1)
            part = np.einsum("mix,xy,my,m->mi", grads, sigma, slope, abs(np.linalg.det(E)) / 6.0)
            load += np.bincount(mesh.cells.ravel(), part.ravel(), mesh.n_points)
        found = K.solve(one._balanced(load), np.zeros(len(load)), 1e-10, "")
        exact = f - volume @ f / volume.sum()
        errors.append(rms(mesh, found - volume @ found / volume.sum() - exact))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 2.0, atol=0.25)


def test_an_interface_of_tissue_and_bath():
    """A strand in line with a bath, V linear: inside phi_e = -i / (i + e) V, and the bath, where nothing flows, is at
    the potential of the edge."""
    mesh = build_mesh(SheetMesh(size=(2.0, 0.1), dx=0.05, fibre=(1.0, 0.0, 0.0), regions={"bath": "x > 10 mm"}))
    x = mesh.points[:, 0]
    V = np.where(x <= 1.0, -80.0 + 60.0 * x, 12345.0)           # in the bath V means nothing
    phi = Extracellular(tissue(INSIDE, OUTSIDE, bath()), mesh).potential(V)
    exact = -INSIDE[0] / (INSIDE[0] + OUTSIDE[0]) * 60.0 * np.minimum(x, 1.0)
    np.testing.assert_allclose(phi - phi[0], exact - exact[0], atol=1e-5)


def between_electrodes(width):
    """phi_e of a small block with a linear V in the middle of a bath of the same sigma_i + sigma_e, between two points
    beside it: over that in a conductor without bounds, by the weights of nodes that know no mesh around them."""
    middle = width / 2.0
    low, high = 10.0 * middle - 1.01, 10.0 * middle + 1.01
    mesh = build_mesh(SlabMesh(size=(width,) * 3, dx=0.1, regions={
        "bath": " or ".join(f"{axis} < {low} mm or {axis} > {high} mm" for axis in "xyz")}))
    block = mesh.region != mesh.region_names["bath"]
    assert block.sum() == 48
    V = 50.0 * mesh.points[:, 0]
    places = middle + np.array([[-0.4, 0.0, 0.0], [0.4, 0.0, 0.0]])
    sigma = np.where(block[:, None, None], 2.0 * np.eye(3), 0.0)
    before, after = electrode_weights(mesh, sigma, places, 8.0) @ V
    one = Extracellular(tissue((2.0,), (6.0,), bath(outside=(8.0,))), mesh)
    near = [int(np.linalg.norm(mesh.points - place, axis=1).argmin()) for place in places]
    return np.diff(one.lead_fields(np.array(near)) @ V)[0] / (after - before)


def test_a_wide_bath_is_as_an_infinite_conductor():
    """Its walls double what is at them; what they add to a dipole falls with the third power of their distance."""
    near, wide = between_electrodes(1.2), between_electrodes(2.4)
    assert near > 1.2
    assert wide == pytest.approx(1.0, abs=0.06)


def test_parts_are_apart():
    """Cells that do not conduct at all cut a sheet in two: each half has its own mean, and nodes inside them have 0."""
    mesh = build_mesh(SheetMesh(size=(1.0, 0.2), dx=0.05, regions={"dead": "x > 4 mm and x < 6 mm"}))
    dead = ConductivityTable(monodomain=(0.0,), regions=("dead",))
    one, x = Extracellular(tissue((1.0,), (4.0,), dead), mesh), mesh.points[:, 0]
    V = noise(mesh)
    phi = one.potential(V)
    assert abs(phi[(x > 0.401) & (x < 0.599)]).max() < 1e-12
    left, right = x < 0.401, x > 0.599
    assert np.ptp((phi + V / 5.0)[left]) < 1e-8                          # equal anisotropy
    assert np.ptp((phi + V / 5.0)[right]) < 1e-8
    assert len(set(one.part[left])) == len(set(one.part[right])) == 1
    assert one.part[0] != one.part[-1]
    section = Ecg(electrodes={"a": (0.0,), "b": (1.0,)}, every=1.0, conductor="mesh")
    with pytest.raises(CaseError) as caught:
        check_ecg(section, mesh, tissue((1.0,), (4.0,), dead))
    assert str(caught.value) == (
        "watch.ecg.electrodes.b: no current reaches it from a: what is between them does not conduct\n"
        "  -> move one of the two, or give what is between them extracellular values")
    with pytest.raises(CaseError) as caught:
        check_ecg(replace(section, electrodes={"a": (0.5,)}), mesh, tissue((1.0,), (4.0,), dead))
    assert str(caught.value) == ("watch.ecg.electrodes.a: lies where nothing conducts\n"
                                 "  -> move it, or give the cells around it extracellular values")


def test_where_electrodes_are():
    mesh = build_mesh(MESHES["triangles"])
    section = Ecg(electrodes={"a": (0.41, 0.2), "b": (0.4, 0.2)}, every=1.0, conductor="mesh")
    nodes, notes = electrode_nodes(section, mesh, Extracellular(tissue(), mesh))
    np.testing.assert_allclose(mesh.points[nodes], [(0.4, 0.2, 0.0)] * 2)
    assert notes == ("electrode a is read at the nearest node, 0.1 mm away",)
    with pytest.raises(CaseError) as caught:
        check_ecg(Ecg(electrodes={"a": (2.0, 0.6)}, every=1.0, conductor="mesh"), mesh, tissue())
    assert str(caught.value) == (
        "watch.ecg.electrodes.a: is 10 mm from the nearest node, and the conductor ends where the mesh does\n"
        '  -> move it into the mesh, make a bath part of the mesh, or take conductor = "infinite"')


def test_what_is_not_finite_has_no_potential():
    mesh = build_mesh(MESHES["squares"])
    V = noise(mesh)
    V[3] = np.inf
    assert np.isnan(Extracellular(tissue(), mesh).potential(V)).all()
    assert abs(Extracellular(tissue(), mesh).potential(np.full(len(V), -85.0))).max() < 1e-9


def test_the_cycle_is_symmetric_and_few_are_needed():
    """As a preconditioner it has to be; and iterations hardly grow with the mesh."""
    counts = []
    for h in (0.05, 0.025):
        mesh = build_mesh(SlabMesh(size=(0.8, 0.6, 0.3), dx=h, fibre=(2.0, 1.0, 0.5)))
        one = Extracellular(tissue(), mesh)
        one.potential(noise(mesh))
        counts.append(one._matrices[1].iterations)
    K = one._matrices[1]
    a, b = (v - v.mean() for v in np.random.default_rng(5).normal(size=(2, mesh.n_points)))
    assert a @ K(b) == pytest.approx(b @ K(a), rel=1e-10)
    assert a @ K(a) > 0.0
    assert max(counts) < 20
    assert len(K._levels) == 2


def test_a_matrix_that_cannot_be_solved(monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    mesh = build_mesh(MESHES["tetrahedra"])
    with pytest.raises(DivergenceError) as caught:
        Extracellular(tissue(), mesh).potential(noise(mesh))
    assert str(caught.value) == (
        "phi_e: not solved after 3 iterations\n  -> look at the mesh: its cells may be nearly flat, or its "
        "conductivities many orders of magnitude apart")


def along(mesh, parallel, across):
    """(m, 3, 3) with fibres along (2, 1, 0.5)."""
    f = np.array([2.0, 1.0, 0.5]) / np.sqrt(5.25)
    return np.tile(across * np.eye(3) + (parallel - across) * np.outer(f, f), (mesh.n_cells, 1, 1))


def awkward(name):
    """K of a mesh that is not easy."""
    mesh = build_mesh(SlabMesh(size=(0.8, 0.6, 0.3), dx=0.05))
    size, x = np.random.default_rng(7), mesh.points[mesh.cells].mean(axis=1)[:, 0]
    sigma = along(mesh, 10.0, 1.0)
    match name:
        case "a mesh of one cell":
            mesh, sigma = replace(mesh, points=mesh.points[mesh.cells[0]], cells=np.arange(4)[None]), sigma[:1]
        case "anisotropy of 100":
            sigma = along(mesh, 100.0, 1.0)
        case "cells 50 times as wide as high":
            mesh = replace(mesh, points=mesh.points * [1.0, 1.0, 0.02])
        case "cells of any shape":
            mesh = replace(mesh, points=mesh.points + size.uniform(-0.0125, 0.0125, mesh.points.shape))
        case "a jump of a million":
            sigma[x < 0.4] *= 1e6
        case "conductivities of all sizes":
            sigma *= 10.0 ** size.integers(-4, 5, mesh.n_cells)[:, None, None]
        case "a band that does not conduct":
            sigma[(x > 0.3) & (x < 0.5)] = 0.0
        case "nothing conducts":
            sigma[:] = 0.0
        case "two thousand parts":                         # all of which the first coarse level ends
            return sparse.csr_array(sparse.kron(sparse.eye_array(2000), 4.0 * np.eye(4) - 1.0))
        case "small parts beside a large one":
            pairs = [10.0 ** size.uniform(-6.0, 3.0) * np.array([[1.0, -1.0], [-1.0, 1.0]]) for _ in range(500)]
            return sparse.csr_array(sparse.block_diag([assemble(mesh, sigma).stiffness, *pairs,
                                                       sparse.csr_array((500, 500))]))
    return assemble(mesh, sigma).stiffness


@pytest.mark.parametrize(("name", "most"), [
    ("anisotropy of 10", 28), ("anisotropy of 100", 65), ("cells 50 times as wide as high", 45),
    ("cells of any shape", 28), ("a jump of a million", 28), ("conductivities of all sizes", 40),
    ("a band that does not conduct", 28), ("nothing conducts", 0), ("two thousand parts", 2),
    ("small parts beside a large one", 28), ("a mesh of one cell", 1)])
def test_awkward_systems_against_elimination(name, most):
    """x but for a constant on each part, and in few iterations; nodes that are coupled to nothing stay at 0."""
    A = awkward(name)
    clean = A.copy()
    clean.eliminate_zeros()
    part = sparse.csgraph.connected_components(clean, directed=False)[1]

    def centred(values):
        return values - (np.bincount(part, values) / np.bincount(part))[part]

    b = centred(A @ np.random.default_rng(3).normal(size=A.shape[0]))
    solver = Multigrid(A)
    x = solver.solve(b, np.zeros(len(b)), 1e-10, "")
    free = np.setdiff1d(np.arange(len(b)), np.unique(part, return_index=True)[1])      # a node of each part is at 0
    exact = np.zeros(len(b))
    if len(free):
        exact[free] = sparse.linalg.spsolve(sparse.csc_array(clean[free][:, free]), b[free])
    np.testing.assert_allclose(centred(x), centred(exact), atol=1e-5)
    assert solver.iterations <= most
    assert not x[clean.diagonal() == 0.0].any()


BOTH = {"intracellular": ["0.17 S/m", "0.019 S/m"], "extracellular": ["0.62 S/m", "0.24 S/m"]}
MONO = {"monodomain": ["1 mS/cm"]}
MESH = {"electrodes": {"a": ["1 mm"]}, "every": "0.5 ms", "conductor": "mesh"}
SHOWN = {"every": "0.5 ms", "variables": ["V", "phi_e"]}


def case(conductivity, watch):
    return {"mesh": {"kind": "sheet", "size": ["2 mm", "2 mm"], "dx": "0.5 mm", "fibre": [1, 0, 0]},
            "tissue": {"surface_to_volume": "140 /mm", "conductivity": conductivity},
            "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "1 ms", "dt": "0.1 ms"}, "watch": watch}


NEEDS = ("which needs to know what conducts inside cells and what outside\n"
         "  -> give intracellular and extracellular values instead")
INFINITE = 'is of an infinite conductor, and conductor is "mesh"\n  -> leave one of the two out'


@pytest.mark.parametrize(("conductivity", "watch", "text"), [
    (MONO, {"snapshots": SHOWN},
     f'tissue.conductivity.0.monodomain: watch.snapshots.variables has "phi_e", {NEEDS}'),
    ([BOTH, MONO | {"regions": [3]}], {"ecg": MESH},
     f'tissue.conductivity.1.monodomain: watch.ecg.conductor is "mesh", {NEEDS}'),
    (BOTH, {"ecg": MESH | {"conductivity": "0.2 S/m"}}, f"watch.ecg.conductivity: {INFINITE}"),
    (BOTH, {"ecg": MESH | {"thickness": "1 mm"}}, f"watch.ecg.thickness: {INFINITE}"),
    (BOTH, {"probes": {"points": {"a": ["1 mm"]}, "every": "1 ms", "variables": ["phi_e"]}},
     "watch.probes.variables: phi_e is no variable of the membrane, which probes read\n"
     '  -> make the places electrodes of [watch.ecg], with conductor = "mesh"'),
    (BOTH | {"intracellular": ["0.17 S/m", "0 S/m"]}, {},
     "tissue.conductivity.intracellular: is 0 along one axis but not along another\n"
     "  -> give values above 0; or 0 alone for a bath, which conducts outside cells only"),
])
def test_mistakes_of_the_case(conductivity, watch, text):
    with pytest.raises(UpstrokeError) as caught:
        load_case(case(conductivity, watch))
    assert str(caught.value) == "case: " + text


def test_check_tells_where_electrodes_are_read():
    told = check(load_case(case(BOTH, {"ecg": MESH | {"electrodes": {"a": ["1.1 mm"]}}})))
    assert "# note: electrode a is read at the nearest node, 0.1 mm away" in told


def test_a_neuron_has_none():
    cell = {"mesh": {"kind": "sections", "section": [{"name": "soma", "length": "20 um", "diameter": "20 um"}]},
            "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": {"model": "HodgkinHuxley"},
            "time": {"end": "1 ms", "dt": "0.1 ms"}, "watch": {"snapshots": SHOWN}}
    with pytest.raises(UpstrokeError) as caught:
        load_case(cell)
    assert str(caught.value) == ("case: watch.snapshots.variables: phi_e is of tissue, and the case has no [tissue]\n"
                                 "  -> leave it out")


def test_a_name_that_is_nearly_right():
    watch = Watch(snapshots=Snapshots(every=1.0, variables=("phie",)))
    with pytest.raises(CaseError) as caught:
        check_watch(watch, build_mesh(MESHES["triangles"]), ("V", "Iion"), 0.5, tissue())
    assert str(caught.value) == ("watch.snapshots.variables: the model has no variable 'phie'\n"
                                 "  -> did you mean 'phi_e'?")
