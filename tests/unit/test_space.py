"""The finite-element operator: exact on what P1 elements represent exactly."""

import numpy as np
import pytest

from upstroke.case.schema import CableMesh, ConductivityTable, SheetMesh, SlabMesh, Tissue
from upstroke.errors import CaseError
from upstroke.mesh import build_mesh
from upstroke.mesh.mesh import Mesh
from upstroke.space import assemble, diffusivity, discretise

MESHES = {
    "cable": CableMesh(length=1.0, dx=0.1),
    "sheet": SheetMesh(size=(1.0, 0.5), dx=0.1, fibre=(1, 1, 0)),
    "slab": SlabMesh(size=(0.5, 0.4, 0.3), dx=0.1, fibre=(1, 1, 0), sheet=(1, -1, 0)),
}
D = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]])


def operator_of(mesh, mass="lumped"):
    return assemble(mesh, np.broadcast_to(D, (mesh.n_cells, 3, 3)), mass)


def dense(matrix):
    return matrix.toarray()


@pytest.mark.parametrize("name", MESHES)
def test_stiffness_gives_the_energy_of_a_linear_field(name):
    """u = a.x has the energy a.D.a times the volume, with a projected on the tangent space of the mesh."""
    mesh = build_mesh(MESHES[name])
    a = np.array([1.0, -2.0, 0.5]) * (np.arange(3) < mesh.dim)
    u = mesh.points @ a
    operator = operator_of(mesh)
    volume = np.prod(np.ptp(mesh.points, axis=0)[:mesh.dim])
    assert u @ (operator.stiffness @ u) == pytest.approx(a @ D @ a * volume, rel=1e-12)


@pytest.mark.parametrize("name", MESHES)
def test_stiffness_is_symmetric_conserves_and_is_semidefinite(name):
    K = dense(operator_of(build_mesh(MESHES[name])).stiffness)
    assert np.abs(K - K.T).max() < 1e-14 * np.abs(K).max()
    assert np.abs(K.sum(axis=1)).max() < 1e-13 * np.abs(K).max()
    assert np.linalg.eigvalsh(K)[0] > -1e-12 * np.abs(K).max()


@pytest.mark.parametrize("mass", ["lumped", "consistent", 0.3, -0.1])
@pytest.mark.parametrize("name", MESHES)
def test_mass_sums_to_the_volume_and_shares_the_pattern(name, mass):
    mesh = build_mesh(MESHES[name])
    operator = operator_of(mesh, mass)
    volume = np.prod(np.ptp(mesh.points, axis=0)[:mesh.dim])
    assert operator.mass.sum() == pytest.approx(volume, rel=1e-12)
    assert operator.lumped_mass.min() > 0
    assert np.array_equal(operator.mass.indices, operator.stiffness.indices)
    assert operator.is_lumped == (mass == "lumped")


def test_consistent_mass_integrates_quadratics_exactly():
    """u^T M u is the integral of u^2 for linear u: x^2 over [0, 1] x [0, 0.5] gives 1/6."""
    mesh = build_mesh(MESHES["sheet"])
    x = mesh.points[:, 0]
    M = operator_of(mesh, "consistent").mass
    assert x @ (M @ x) == pytest.approx(1 / 6, rel=1e-12)
    lumped = operator_of(mesh, "lumped").mass
    assert x @ (lumped @ x) > 1 / 6 + 1e-4


def test_a_blend_lies_between():
    mesh = build_mesh(MESHES["slab"])
    lumped, consistent, blend = (dense(operator_of(mesh, m).mass) for m in ("lumped", "consistent", 0.25))
    assert np.allclose(blend, 0.25 * lumped + 0.75 * consistent, atol=1e-18)


def test_segments_and_triangles_in_space_know_only_their_tangent():
    """A cable along the diagonal of space conducts along itself: K is that of a straight one of the same length."""
    straight = build_mesh(CableMesh(length=1.0, dx=0.25))
    turned = Mesh(points=straight.points[:, :1] * np.full(3, 1 / np.sqrt(3)), cells=straight.cells,
                  region=straight.region)
    unit = np.broadcast_to(np.eye(3), (straight.n_cells, 3, 3))
    assert np.allclose(dense(assemble(straight, unit).stiffness), dense(assemble(turned, unit).stiffness), atol=1e-12)


def test_the_explicit_limit_of_a_uniform_cable_is_that_of_finite_differences():
    """lambda_max = 4 D / dx^2 in the limit of many nodes, so dt = dx^2 / (2 D)."""
    mesh = build_mesh(CableMesh(length=2.0, dx=0.01))
    limit = assemble(mesh, np.broadcast_to(1e-3 * np.eye(3), (mesh.n_cells, 3, 3))).explicit_limit
    assert limit == pytest.approx(0.01 ** 2 / (2 * 1e-3), rel=2e-3)


def test_cells_assembled_in_parts_give_the_same(monkeypatch):
    mesh = build_mesh(MESHES["slab"])
    whole = operator_of(mesh, 0.3)
    monkeypatch.setattr("upstroke.space.fem.AT_ONCE", 50)
    parts = operator_of(mesh, 0.3)
    assert np.array_equal(whole.stiffness.indices, parts.stiffness.indices)
    assert np.allclose(whole.stiffness.data, parts.stiffness.data, atol=1e-15)
    assert np.allclose(whole.mass.data, parts.mass.data, atol=1e-18)


# ------------------------------------------------------------------------------------------ conductivity
def tissue(*tables, **keys):
    return Tissue(conductivity=tables, surface_to_volume=1400.0, capacitance=1.0, **keys)


def test_niederer_diffusivities():
    """0.17/0.019 and 0.62/0.24 S/m at 140 /mm and 0.01 uF/mm^2 give 0.0952984 and 0.0125758 mm^2/ms."""
    mesh = build_mesh(SlabMesh(size=(0.1, 0.1, 0.1), dx=0.1, fibre=(1, 0, 0)))
    table = ConductivityTable(intracellular=(1.7, 0.19), extracellular=(6.2, 2.4))     # mS/cm
    tensors = diffusivity(tissue(table), mesh) * 100                                    # cm^2/ms -> mm^2/ms
    assert np.allclose(tensors, np.diag([0.0952984, 0.0125758, 0.0125758]), rtol=5e-6)


def test_orthotropic_tensor_has_the_given_axes():
    mesh = build_mesh(SlabMesh(size=(0.1, 0.1, 0.1), dx=0.1, fibre=(1, 1, 0), sheet=(1, -1, 0)))
    D0 = diffusivity(tissue(ConductivityTable(monodomain=(3.0, 2.0, 1.0))), mesh)[0] * 1400
    f, s, n = np.array([1, 1, 0]) / np.sqrt(2), np.array([1, -1, 0]) / np.sqrt(2), np.array([0, 0, 1])
    assert np.allclose([f @ D0 @ f, s @ D0 @ s, n @ D0 @ n, f @ D0 @ s], [3, 2, 1, 0])


def test_regions_get_their_own_values_and_the_rest_the_table_without_regions():
    mesh = build_mesh(CableMesh(length=1.0, dx=0.25))
    mesh = Mesh(points=mesh.points, cells=mesh.cells, region=np.array([1, 1, 2, 3], np.int32),
                region_names={"scar": 2})
    D = diffusivity(tissue(ConductivityTable(monodomain=(1.4,)),
                           ConductivityTable(monodomain=(0.14,), regions=("scar",))), mesh)
    assert np.allclose(D[:, 0, 0], [1e-3, 1e-3, 1e-4, 1e-3])


def test_a_region_without_conductivity_is_an_error():
    mesh = build_mesh(CableMesh(length=1.0, dx=0.25))
    mesh = Mesh(points=mesh.points, cells=mesh.cells, region=np.array([1, 1, 2, 3], np.int32))
    with pytest.raises(CaseError) as error:
        diffusivity(tissue(ConductivityTable(monodomain=(1.4,), regions=(1,))), mesh)
    assert str(error.value) == (
        "tissue.conductivity: regions [2, 3] have no conductivity (2 cells)\n"
        "  -> add a [[tissue.conductivity]] table for them, or one without 'regions' for all others")


def test_anisotropy_without_fibres_is_an_error():
    mesh = build_mesh(SlabMesh(size=(0.1, 0.1, 0.1), dx=0.1))
    with pytest.raises(CaseError) as error:
        discretise(mesh, tissue(ConductivityTable(monodomain=(3.0, 1.0))))
    assert str(error.value) == (
        "tissue.conductivity: the conductivity differs along the fibre but the mesh has no fibre directions\n"
        "  -> give mesh.fibre a direction, for example fibre = [1, 0, 0]")


def test_an_anisotropic_cell_without_fibre_is_an_error():
    mesh = build_mesh(SheetMesh(size=(0.2, 0.1), dx=0.1))
    fibre = np.tile([1.0, 0, 0], (mesh.n_cells, 1))
    fibre[2] = 0
    mesh = Mesh(points=mesh.points, cells=mesh.cells, region=mesh.region, fibre=fibre)
    with pytest.raises(CaseError) as error:
        discretise(mesh, tissue(ConductivityTable(monodomain=(3.0, 1.0))))
    assert str(error.value) == (
        "tissue.conductivity: 1 cells of an anisotropic region have no fibre direction\n"
        "  -> give them a fibre, or their region an isotropic conductivity")
