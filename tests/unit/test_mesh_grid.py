"""Grids: cells cut out by a mask, directions from files, places in boxes, files for viewing, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from upstroke.case import load_case
from upstroke.case.schema import GridMesh, Snapshots
from upstroke.errors import MeshError, UpstrokeError
from upstroke.mesh import build_mesh, containing_cells, nodes_of_region
from upstroke.mesh.order import membrane_of_nodes
from upstroke.observe import ActivationMap
from upstroke.observe.snapshots import part_of
from upstroke.output.maps import write_activation
from upstroke.output.render import draw_activation
from upstroke.output.surface import surface_of
from upstroke.output.vtkhdf import VtkHdfSeries

SHEET = GridMesh(size=(0.4, 0.3), dx=0.1)
BLOCK = GridMesh(size=(0.4, 0.3, 0.2), dx=0.1)
HOLED = np.ones((4, 3), np.int32)
HOLED[1, 2], HOLED[3, :] = 0, 7


@pytest.fixture
def masked(tmp_path):
    """A mesh from a mask (an array), with other keys."""
    def build(mask, **keys):
        np.save(tmp_path / "mask.npy", mask)
        return build_mesh(GridMesh(**{"dx": 0.1, "mask": tmp_path / "mask.npy"} | keys))
    return build


# ------------------------------------------------------------------------------------------- the cells
def test_squares():
    mesh = build_mesh(GridMesh(size=(0.4, 0.3), dx=(0.1, 0.15), origin=(1.0, 2.0, 3.0)))
    assert (mesh.shape, mesh.dim, mesh.cell_name, mesh.n_points, mesh.n_cells) == ("box", 2, "squares", 15, 8)
    np.testing.assert_array_equal(mesh.cells[:2], [[0, 1, 5, 6], [1, 2, 6, 7]])
    np.testing.assert_allclose(mesh.points[[0, 1, 5, 14]], [[1, 2, 3], [1.1, 2, 3], [1, 2.15, 3], [1.4, 2.3, 3]])
    assert mesh.grid.spacing == pytest.approx((0.1, 0.15))
    assert {name: len(nodes) for name, nodes in mesh.node_sets.items()} == dict(xmin=3, xmax=3, ymin=5, ymax=5)
    assert mesh.edges == ((0, 1), (0, 2), (1, 3), (2, 3))
    assert mesh.notes == () and not mesh.region.any()


def test_cubes():
    mesh = build_mesh(BLOCK)
    assert (mesh.dim, mesh.cell_name, mesh.n_points, mesh.n_cells) == (3, "cubes", 5 * 4 * 3, 4 * 3 * 2)
    corners = mesh.points[mesh.cells] - mesh.points[mesh.cells[:, :1]]
    expected = [[0.1 * (c >> k & 1) for k in range(3)] for c in range(8)]                # x fastest
    np.testing.assert_allclose(corners, np.broadcast_to(expected, corners.shape), atol=1e-15)
    assert len(mesh.edges) == 12
    assert {name: len(nodes) for name, nodes in mesh.node_sets.items()} == dict(
        xmin=12, xmax=12, ymin=15, ymax=15, zmin=20, zmax=20)


def test_a_size_that_is_no_whole_number_of_cells_makes_them_smaller():
    mesh = build_mesh(GridMesh(size=(0.4, 0.25), dx=0.1))
    assert mesh.grid.spacing == pytest.approx((0.1, 0.25 / 3))
    assert mesh.notes == ("0.25 cm along y is not a whole number of 0.1 cm cells: 3 cells of 0.0833333 cm are used",)


def test_a_mask_is_indexed_x_y_and_names_the_regions(masked):
    mesh = masked(HOLED)
    assert (mesh.n_points, mesh.n_cells) == (20, 11)                  # each corner of the missing cell has another
    centres = mesh.points[mesh.cells].mean(axis=1)
    assert not ((abs(centres - (0.15, 0.25, 0)) < 1e-9).all(axis=1)).any()
    np.testing.assert_array_equal(mesh.region, np.where(centres[:, 0] > 0.3, 7, 1))
    np.testing.assert_allclose(mesh.points[nodes_of_region(mesh, 7)][:, 0].min(), 0.3)


def test_only_corners_of_active_cells_are_nodes_and_they_keep_their_order(masked):
    mask = np.zeros((4, 3, 2), np.uint8)
    mask[1, 1, 1] = mask[2, 1, 1] = 5
    mesh = masked(mask)
    assert (mesh.n_points, mesh.n_cells) == (12, 2)
    np.testing.assert_array_equal(mesh.cells, [[0, 1, 3, 4, 6, 7, 9, 10], [1, 2, 4, 5, 7, 8, 10, 11]])
    np.testing.assert_allclose(mesh.points[[0, 11]], [[0.1, 0.1, 0.1], [0.3, 0.2, 0.2]])
    assert list(mesh.node_sets) == ["zmax"]                           # the other faces of the grid are cut away


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float64])
def test_masks_of_any_type_that_hold_whole_numbers(masked, kind):
    mesh = masked((HOLED > 0).astype(kind))
    assert mesh.n_cells == 11 and (mesh.region == 1).all() and mesh.region.dtype == np.int32


def test_a_mask_by_name_in_an_npz(tmp_path):
    np.savez(tmp_path / "heart.npz", mask=HOLED, fibre=np.ones((4, 3, 3)))
    mesh = build_mesh(GridMesh(dx=0.1, mask=tmp_path / "heart.npz", fibre=tmp_path / "heart.npz"))
    assert mesh.n_cells == 11
    np.testing.assert_allclose(mesh.fibre, 3 ** -0.5)


def test_parts_are_noted_but_a_shared_corner_joins(masked):
    mask = np.zeros((6, 3), int)
    mask[0], mask[2:] = 1, 2
    assert masked(mask).notes == (
        "the mesh is in 2 disconnected parts, of 12, 3 cells; nothing propagates from one to another",)
    mask[1, 1] = 1
    assert masked(mask).notes == ()
    assert masked(np.eye(5, dtype=int)).notes == ()


def test_a_size_beside_the_mask_must_fit(masked):
    assert masked(HOLED, size=(0.4, 0.3)).n_cells == 11
    with pytest.raises(MeshError) as caught:
        masked(HOLED, size=(0.4, 0.4))
    assert str(caught.value) == (
        "mesh.size: 4 mm along y, but the mask has 3 cells of 1 mm there, which is 3 mm\n"
        "  -> leave size out, as it follows from the mask and dx, or correct dx")


# --------------------------------------------------------------------------------------------- directions
def test_directions_per_cell(masked, tmp_path):
    x, y = np.meshgrid(np.arange(4), np.arange(3), indexing="ij")
    np.save(tmp_path / "fibre.npy", np.stack([x + 1, y, 0 * x], axis=-1))
    np.save(tmp_path / "sheet.npy", np.stack([-y, x + 1], axis=-1).astype(np.float32))      # in the plane: z is 0
    mesh = masked(HOLED, fibre=tmp_path / "fibre.npy", sheet=tmp_path / "sheet.npy")
    centres = mesh.points[mesh.cells].mean(axis=1) / 0.1 - 0.5
    f = np.column_stack([centres[:, 0] + 1, centres[:, 1], np.zeros(11)])
    np.testing.assert_allclose(mesh.fibre, f / np.linalg.norm(f, axis=1)[:, None], atol=1e-12)
    np.testing.assert_allclose(mesh.sheet, np.column_stack([-mesh.fibre[:, 1], mesh.fibre[:, 0], np.zeros(11)]),
                               atol=1e-7)


def test_one_direction_for_all():
    mesh = build_mesh(GridMesh(size=(0.2, 0.2), dx=0.1, fibre=(3, 4, 0)))
    np.testing.assert_allclose(mesh.fibre, np.broadcast_to([0.6, 0.8, 0.0], (4, 3)))


# ------------------------------------------------------------------------------------------ what is refused
NO_TAGS = ("save whole numbers below 2^31, for example mask.astype(numpy.int32): 0 where there is no tissue, the "
           "region's tag elsewhere")


@pytest.mark.parametrize("mask, keys, text", [
    (np.ones(5, int), {}, "mesh.mask: mask.npy holds an array of shape (5,), which is not a grid\n"
     "  -> a mask has one number per cell, indexed [x, y] or [x, y, z]"),
    (np.full((2, 2), 0.5), {}, f"mesh.mask: mask.npy holds float64 values that are no region tags\n  -> {NO_TAGS}"),
    (np.full((2, 2), np.nan), {}, f"mesh.mask: mask.npy holds float64 values that are no region tags\n  -> {NO_TAGS}"),
    (np.full((2, 2), 2**40), {}, f"mesh.mask: mask.npy holds int64 values that are no region tags\n  -> {NO_TAGS}"),
    (np.full((2, 2), "a"), {}, f"mesh.mask: mask.npy holds str32 values that are no region tags\n  -> {NO_TAGS}"),
    (np.zeros((3, 3), int), {}, "mesh.mask: no cell of mask.npy is active\n"
     "  -> 0 means no tissue; give the others a tag, for example 1"),
    (np.zeros((0, 3), int), {}, "mesh.mask: no cell of mask.npy is active\n"
     "  -> 0 means no tissue; give the others a tag, for example 1"),
    (HOLED, {"dx": (0.1, 0.1, 0.1)}, "mesh.dx: 3 values, but the mask has 2 axes (its shape is (4, 3))\n"
     "  -> give one value, or one per axis"),
    (HOLED, {"size": (0.4, 0.3, 0.2)}, "mesh.size: 3 lengths, but the mask has 2 axes (its shape is (4, 3))\n"
     "  -> leave size out: it follows from the mask and dx"),
    (np.array([[{}]]), {}, "mesh.mask: mask.npy cannot be read as a NumPy file: it is another kind of file, or its "
     'array holds Python objects\n  -> write it with numpy.save("mask.npy", array), an array of numbers'),
])
def test_refused_masks(masked, mask, keys, text):
    with pytest.raises(MeshError) as caught:
        masked(mask, **keys)
    assert str(caught.value) == text


def test_refused_files(tmp_path):
    (tmp_path / "text.npy").write_text("1 0 1\n")
    np.savez(tmp_path / "two.npz", a=HOLED, b=HOLED)
    for name, start in (("none.npy", f"mesh.mask: there is no file '{tmp_path / 'none.npy'}'\n"
                         "  -> give the path of a .npy or .npz file"),
                        ("text.npy", "mesh.mask: text.npy cannot be read as a NumPy file: it is another kind of file, "
                         "or its array holds Python objects\n"
                         '  -> write it with numpy.save("mask.npy", array), an array of numbers'),
                        ("two.npz", "mesh.mask: two.npz holds several arrays, none of them called 'mask' (a, b)\n"
                         '  -> write it with numpy.savez("mask.npz", mask=array)')):
        with pytest.raises(MeshError) as caught:
            build_mesh(GridMesh(dx=0.1, mask=tmp_path / name))
        assert str(caught.value).startswith(start)


@pytest.mark.parametrize("fibre, text", [
    (np.ones((3, 4, 3)), "mesh.fibre: fibre.npy holds float64 values of shape (3, 4, 3); the grid has 4 x 3 cells\n"
     "  -> save one direction per cell, as an array of real numbers of shape (4, 3, 3)"),
    (np.ones((4, 3, 3), bool), "mesh.fibre: fibre.npy holds bool values of shape (4, 3, 3); the grid has 4 x 3 cells\n"
     "  -> save one direction per cell, as an array of real numbers of shape (4, 3, 3)"),
    (np.full((4, 3, 3), np.nan), "mesh.fibre: 12 of 12 fibre directions are not finite (the first is that of cell 0)\n"
     "  -> give three finite numbers"),
])
def test_refused_directions(fibre, text, tmp_path):
    np.save(tmp_path / "fibre.npy", fibre)
    with pytest.raises(MeshError) as caught:
        build_mesh(GridMesh(size=(0.4, 0.3), dx=0.1, fibre=tmp_path / "fibre.npy"))
    assert str(caught.value) == text


def test_more_nodes_than_can_be_numbered():
    with pytest.raises(MeshError) as caught:
        build_mesh(GridMesh(size=(100.0, 100.0, 100.0), dx=0.01))
    assert str(caught.value) == (
        "mesh.dx: this resolution makes 1,000,300,030,001 nodes, more than the 2,147,483,647 that a mesh can number\n"
        "  -> use a larger dx, or check the units of size and dx")


CASE = """
[mesh]
kind = "grid"
dx = "1 mm"
{}
[tissue]
surface_to_volume = "140 /mm"
conductivity.monodomain = ["1 mS/cm"]
[membrane]
model = "MitchellSchaeffer"
[time]
end = "1 ms"
dt = "0.1 ms"
diffusion = "explicit"
"""


@pytest.mark.parametrize("keys, text", [
    ("", 'case.toml:2: mesh: says not how large\n  -> add size = ["20 mm", "7 mm"], or mask = "mask.npy"'),
    ('size = ["1 mm", "2 mm"]\nstencil = "full"', 'case.toml:15: time.diffusion: "explicit" needs a lumped mass, but '
     'tissue.waves is 0.2\n  -> set tissue.waves = "calibrated" or "lumped", or diffusion = "crank_nicolson"'),
    ('size = ["1 mm"]', 'case.toml:5: mesh.size: expected 2 to 3 values, found 1\n'
     '  -> for example size = ["20 mm", "7 mm"]'),
    ('mask = "msk.npy"', "case.toml:5: mesh.mask: there is no file \"msk.npy\"\n  -> did you mean 'mask.npy'?"),
    ('size = ["1 mm", "2 mm"]\nfibres = "f.npy"', "case.toml:6: mesh.fibres: unknown key\n  -> did you mean 'fibre'?"),
    ('size = ["1 mm", "2 mm"]\nsheet = [0, 1, 0]', "case.toml:6: mesh.sheet: a sheet direction without a fibre "
     "direction\n  -> add fibre = [1, 0, 0]"),
])
def test_refused_cases(keys, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("mask.npy", HOLED)
    Path("case.toml").write_text(CASE.format(keys))
    with pytest.raises(UpstrokeError) as caught:
        load_case("case.toml")
    assert str(caught.value) == text


def test_dx_per_axis_as_many_as_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case = CASE.format('size = ["1 mm", "2 mm"]').replace('dx = "1 mm"', 'dx = ["1 mm", "1 mm", "1 mm"]')
    Path("case.toml").write_text(case)
    with pytest.raises(UpstrokeError) as caught:
        load_case("case.toml")
    assert str(caught.value) == "case.toml:4: mesh.dx: 3 values, but size has 2\n  -> give one value, or one per axis"


# ------------------------------------------------------------------------------- everything else with boxes
@pytest.mark.parametrize("section", [SHEET, BLOCK], ids=["squares", "cubes"])
def test_interpolation_is_exact_for_multilinear_functions(section):
    mesh = build_mesh(section)
    x = np.random.default_rng(0).random((50, 3)) * mesh.points.max(axis=0)
    cells, weights = containing_cells(mesh, x)
    u = [(1 + p[:, 0]) * (2 - 3 * p[:, 1]) * (1 + 5 * p[:, 2]) for p in (mesh.points, x)]
    inside = (x >= mesh.points[mesh.cells[cells, 0]] - 1e-9) & (x <= mesh.points[mesh.cells[cells, -1]] + 1e-9)
    assert inside.all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose((weights * u[0][mesh.cells[cells]]).sum(axis=1), u[1], rtol=1e-12)


def test_a_point_in_a_hole_is_outside(masked):
    with pytest.raises(MeshError) as caught:
        containing_cells(masked(HOLED), [[0.15, 0.25, 0.0]], ["P1"])
    assert str(caught.value) == ("P1: (0.15, 0.25, 0) cm is outside the mesh; the nearest node is 0.07071 cm away\n"
                                 "  -> move the point, or take the nearest node instead of interpolating")


def test_a_point_off_the_plane_is_outside():
    with pytest.raises(MeshError, match="is outside the mesh"):
        containing_cells(build_mesh(SHEET), [[0.15, 0.15, 0.01]])


def test_membranes_own_nodes_by_volume(masked):
    mesh = masked(HOLED)
    owner = membrane_of_nodes(mesh, [(1,), (7,)])
    np.testing.assert_array_equal(owner == 1, mesh.points[:, 0] > 0.35)


def test_snapshots_of_a_region(masked):
    part, nodes = part_of(masked(HOLED), Snapshots(every=1.0, regions=(7,)).regions)
    assert (part.shape, part.n_cells, part.n_points) == ("box", 3, 8)
    np.testing.assert_allclose(part.points[part.cells[:, 3]] - part.points[part.cells[:, 0]], [[0.1, 0.1, 0]] * 3)
    assert len(nodes) == 8


def test_the_surface_of_cubes_is_closed_and_points_outwards(masked):
    """By the divergence theorem x . n integrates to 3 volumes, and n to nothing."""
    mask = np.random.default_rng(2).random((6, 5, 4)) < 0.5
    mesh = masked(mask)
    a, b, c = (mesh.points[nodes] for nodes in surface_of(mesh).T)
    area = np.cross(b - a, c - a) / 2
    np.testing.assert_allclose(area.sum(axis=0), 0.0, atol=1e-14)
    assert np.einsum("ij,ij->", (a + b + c) / 3, area) == pytest.approx(3 * mask.sum() * 1e-3)
    faces = sum(np.abs(np.diff(np.pad(mask, 1).astype(int), axis=k)).sum() for k in range(3))
    assert len(area) == 2 * faces


@pytest.mark.parametrize("section", [SHEET, BLOCK], ids=["squares", "cubes"])
def test_files_for_viewing_hold_the_cells_right_way_round(section, tmp_path):
    pyvista = pytest.importorskip("pyvista")
    mesh = build_mesh(section)
    nan = np.full((1, mesh.n_points), np.nan)
    activation = ActivationMap(mesh.points[None, :, 0], nan, nan, -40.0, 0.9, -80.0, 20.0)
    write_activation(tmp_path / "activation.vtu", mesh, activation)
    series = VtkHdfSeries(tmp_path / "vm.vtkhdf", mesh, ("V",), 1)
    series.append(0.0, {"V": mesh.points[:, 0]})
    series.close()
    for name in ("activation.vtu", "vm.vtkhdf"):
        seen = pyvista.read(tmp_path / name)
        sizes = seen.compute_cell_sizes()["Area" if mesh.dim == 2 else "Volume"]
        np.testing.assert_allclose(sizes, 1.0, rtol=1e-6)                                       # mm^2, mm^3
        assert set(seen.celltypes) == {9 if mesh.dim == 2 else 12}


@pytest.mark.parametrize("section", [SHEET, BLOCK], ids=["squares", "cubes"])
def test_pictures(section, tmp_path):
    pytest.importorskip("matplotlib")
    mesh = build_mesh(section)
    drawn = draw_activation(mesh, mesh.points[:, 0] * 100, tmp_path / "a.png", renderer="matplotlib")
    assert drawn.renderer == "matplotlib" and (tmp_path / "a.png").stat().st_size > 5000
