"""Cells that do not conduct: as a mesh from which they are cut out, and nodes inside them stand alone."""

import numpy as np
import pytest

import upstroke
from upstroke.case import load_case
from upstroke.case.schema import ConductivityTable, GridMesh, SheetMesh, SlabMesh, Tissue, VentricleMesh
from upstroke.errors import CaseError, ErrorList
from upstroke.mesh import build_mesh
from upstroke.mesh.order import membrane_of_nodes
from upstroke.space import conducting, discretise, inert_notes
from upstroke.space.curve import FOURTH_ORDER

SCAR = {"scar": "x > 4 mm and x < 7 mm and y > 2 mm"}


def tissue(waves="lumped"):
    return Tissue(conductivity=(ConductivityTable(monodomain=(1.3, 0.3)), ConductivityTable(
        monodomain=(0.0,), regions=("scar",))), surface_to_volume=1400.0, waves=waves)


MESHES = {
    "grid": GridMesh(size=(1.0, 0.6), dx=0.05, fibre=(1.0, 0.5, 0.0), regions=SCAR),
    "sheet": SheetMesh(size=(1.0, 0.6), dx=0.05, fibre=(1.0, 0.5, 0.0), regions=SCAR),
    "slab": SlabMesh(size=(1.0, 0.6, 0.2), dx=0.1, fibre=(1.0, 0.5, 0.0), regions=SCAR),
    "ventricle": VentricleMesh(dx=0.2, regions={"scar": "transmural > 0.4 and rotational > 1"})}


@pytest.mark.parametrize(("name", "waves"), [(name, waves) for name in MESHES for waves in (
    "lumped", "consistent", "fourth_order") if (name, waves) != ("grid", "consistent")])
def test_rows_sum_to_zero_and_dead_cells_have_no_part(name, waves):
    mesh = build_mesh(MESHES[name])
    operator = discretise(mesh, tissue(waves))
    dead = mesh.region == mesh.region_names["scar"]
    alive = np.zeros(mesh.n_points, bool)
    alive[mesh.cells[~dead]] = True
    K, M = operator.stiffness, operator.mass
    scale = abs(K).max()
    assert abs(K - K.T).max() < 1e-14 * scale
    np.testing.assert_allclose(K @ np.ones(mesh.n_points), 0.0, atol=1e-12 * scale)
    assert not alive.all()
    assert abs(K[~alive]).sum() == 0.0
    assert (operator.lumped_mass > 0).all()
    np.testing.assert_allclose(M.sum(axis=1), operator.lumped_mass)
    assert (M.indptr == K.indptr).all()
    assert (M.indices == K.indices).all()


def test_a_grid_is_as_one_with_a_mask(tmp_path):
    """Dead cells of a grid by expression, and by a mask that has no cells there: one operator."""
    mask = np.ones((20, 12), int)
    mask[8:14, 4:] = 0
    np.save(tmp_path / "mask.npy", mask)
    cut = build_mesh(GridMesh(mask=tmp_path / "mask.npy", dx=0.05, fibre=(1.0, 0.5, 0.0)))
    mesh = build_mesh(MESHES["grid"])
    alive = np.zeros(mesh.n_points, bool)
    alive[mesh.cells[mesh.region == 0]] = True
    np.testing.assert_allclose(mesh.points[alive], cut.points, atol=1e-15)
    for waves in ("lumped", "fourth_order"):
        whole, part = discretise(mesh, tissue(waves)), discretise(cut, Tissue(
            conductivity=tissue().conductivity[:1], surface_to_volume=1400.0, waves=waves))
        assert abs(whole.stiffness[alive][:, alive] - part.stiffness).max() < 1e-14 * abs(part.stiffness).max()
        np.testing.assert_allclose(whole.lumped_mass[alive], part.lumped_mass, rtol=1e-14)


def test_curves_belong_to_the_cells_that_are_left():
    mesh = build_mesh(MESHES["sheet"])
    owner = (mesh.points[mesh.cells].mean(axis=1)[:, 0] > 0.5).astype(np.int64)
    one = discretise(mesh, tissue("calibrated"), (FOURTH_ORDER,), np.zeros(mesh.n_cells, np.int64))
    two = discretise(mesh, tissue("calibrated"), (FOURTH_ORDER, FOURTH_ORDER), owner)
    assert abs(one.stiffness - two.stiffness).max() < 1e-12 * abs(one.stiffness).max()


def case(**changes):
    return {"mesh": {"kind": "sheet", "size": ["10 mm", "6 mm"], "dx": "0.5 mm", "regions": SCAR},
            "tissue": {"surface_to_volume": "140 /mm", "conductivity": [
                {"monodomain": ["2 mS/cm"]}, {"monodomain": ["0 mS/cm"], "regions": ["scar"]}]},
            "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "40 ms", "dt": "0.1 ms"},
            "stimulus": {"box": {"min": ["0 mm"], "max": ["1 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"},
            "output": {"picture": False}, **changes}


@pytest.mark.parametrize("diffusion", ["crank_nicolson", "explicit"])
def test_a_wave_goes_round_and_not_in(tmp_path, diffusion):
    result = upstroke.run(case(time={"end": "40 ms", "dt": "0.1 ms", "diffusion": diffusion}), tmp_path / diffusion)
    x, y = result.mesh.points[:, 0], result.mesh.points[:, 1]
    inside = (x > 0.41) & (x < 0.69) & (y > 0.21)
    times = result.activation.activation[0]
    assert inside.sum() == 5 * 8
    np.testing.assert_array_equal(np.isnan(times), inside)
    assert (result.state.variable("V")[inside] == -86.0).all()


def test_nodes_at_the_edge_have_the_membrane_of_the_tissue():
    """Whatever the table that is named first, and also at corners, where most of what is around them is dead."""
    mesh = build_mesh(MESHES["sheet"])
    x, y = mesh.points[:, 0], mesh.points[:, 1]
    inside = (x > 0.41) & (x < 0.69) & (y > 0.21)
    for regions in ([("scar",), None], [None, ("scar",)]):
        owner = membrane_of_nodes(mesh, regions, conducting(mesh, tissue()))
        np.testing.assert_array_equal(owner == regions.index(("scar",)), inside)


def test_what_is_told():
    bath = Tissue(surface_to_volume=1400.0, conductivity=(
        ConductivityTable(intracellular=(1.0,), extracellular=(4.0,)),
        ConductivityTable(intracellular=(0.0,), extracellular=(10.0,), regions=("scar",))))
    assert inert_notes(build_mesh(MESHES["sheet"]), bath) == [
        "96 of 480 cells do not conduct; no current passes their edge but outside cells: 96 are of a bath, and 40 "
        "nodes inside them are coupled to none"]
    mesh = build_mesh(MESHES["sheet"])
    assert inert_notes(mesh, tissue()) == ["96 of 480 cells do not conduct; no current passes their edge, and 40 nodes "
                                           "inside them are coupled to none"]
    assert inert_notes(mesh, Tissue(conductivity=tissue().conductivity[:1], surface_to_volume=1400.0)) == []


def test_mistakes():
    with pytest.raises(CaseError) as error:
        discretise(build_mesh(MESHES["sheet"]), Tissue(conductivity=(ConductivityTable(monodomain=(0.0,)),),
                                                       surface_to_volume=1400.0))
    assert str(error.value) == ("tissue.conductivity: no cell of the mesh conducts\n  -> give one of its regions a "
                                "conductivity")
    wrong = case()
    wrong["tissue"]["conductivity"][0]["monodomain"] = ["1 mS/cm", "0 mS/cm"]
    with pytest.raises(ErrorList) as errors:
        load_case(wrong)
    assert str(errors.value) == ("case: tissue.conductivity.0.monodomain: is 0 along one axis but not along another\n"
                                 "  -> give values above 0; or 0 alone for cells that do not conduct at all")
