"""Grids from the outside: waves on them beside waves on simplices, explicit beside implicit, masks, every output."""

import json
from pathlib import Path

import h5py
import meshio
import numpy as np
import pytest

import upstroke
from upstroke.check import check
from upstroke.errors import CaseError

NIEDERER = Path(__file__).parents[2] / "cases" / "niederer"
SHEET = {
    "mesh": {"kind": "grid", "size": ["12 mm", "6 mm"], "dx": "0.3 mm", "fibre": [0.8, 0.6, 0]},
    "tissue": {"surface_to_volume": "140 /mm", "waves": "lumped",
               "conductivity": {"monodomain": ["2 mS/cm", "0.5 mS/cm"]}},
    "membrane": {"model": "MitchellSchaeffer"},
    "time": {"end": "60 ms", "dt": "0.05 ms"},
    "stimulus": {"box": {"min": ["0 mm", "0 mm"], "max": ["1 mm", "1 mm"]}, "current": "60 uA/cm^2",
                 "duration": "2 ms"},
    "watch": {"probes": {"points": {"node": ["9 mm", "3 mm"], "far": ["12 mm", "6 mm"]}, "every": "1 ms"}},
    "output": {"picture": False},
}


def changed(case, **tables):
    return case | {name: case[name] | table for name, table in tables.items()}


def first_beat(case, tmp_path, *overrides):
    result = upstroke.run(upstroke.load_case(*case, overrides=overrides) if isinstance(case, tuple) else case,
                          tmp_path / "out")
    return result.summary["probe_activation_ms"]


def niederer(tmp_path, *files, overrides=()):
    case = upstroke.load_case(NIEDERER / "case.toml", *files, overrides=[
        'time.end="132 ms"', "output.picture=false", *overrides])
    return upstroke.run(case, tmp_path).summary["probe_activation_ms"]


def test_the_niederer_grid_is_like_its_tetrahedra(tmp_path):
    """Inside, lumped tetrahedra of cubes and the 7 points are one stencil, because a tetrahedron goes from corner to
    corner along orthogonal edges. They differ on the surface only, where tetrahedra give the nodes of an edge of the
    slab unequal shares of the mass: at 0.5 mm, 7 nodes thick, by 1 ms of 126 at P8."""
    lumped = ('tissue.waves="lumped"', 'time.diffusion="explicit"', 'time.dt="0.05 ms"')
    cubes = niederer(tmp_path / "cubes", NIEDERER / "grid.toml", overrides=lumped)
    tetrahedra = niederer(tmp_path / "tetrahedra", overrides=lumped)
    assert cubes["P1"] == pytest.approx(tetrahedra["P1"], abs=0.001)             # the stimulus and the membrane alone
    assert cubes["P8"] == pytest.approx(125.44, abs=0.05)                        # measured
    assert all(abs(cubes[p] - tetrahedra[p]) < 2.0 for p in cubes)
    assert abs(cubes["P8"] - tetrahedra["P8"]) < 1.5


def test_a_plane_wave_is_that_of_a_cable(tmp_path):
    """Nothing differs across it, so all corners, edges and faces of a bar of cubes keep in step with a cable."""
    along = {"stimulus": {"box": {"min": ["0 mm"], "max": ["1 mm"]}},
             "watch": {"probes": {"points": {"a": ["4 mm"], "b": ["10 mm"]}, "every": "1 ms"}},
             "tissue": {"conductivity": {"monodomain": ["1.33 mS/cm"]}}}
    bar = changed(SHEET, mesh={"size": ["12 mm", "0.6 mm", "0.9 mm"], "fibre": [1, 0, 0]}, **along)
    cable = changed(bar, tissue={"waves": "lumped"}) | {"mesh": {"kind": "cable", "length": "12 mm", "dx": "0.3 mm"}}
    found = [first_beat(case, tmp_path / name) for name, case in (("bar", bar), ("cable", cable))]
    assert found[0] == pytest.approx(found[1], abs=1e-3)             # the solver's tolerance
    result = upstroke.run(bar, tmp_path / "again")
    by_place = {}
    for x, t in zip(np.rint(result.mesh.points[:, 0] / 0.03).astype(int), result.activation.activation[0], strict=True):
        by_place.setdefault(x, []).append(t)
    assert max(np.ptp(times) for times in by_place.values()) < 1e-3


@pytest.mark.parametrize("stencil", ["compact", "full"])
def test_explicit_and_implicit_agree(stencil, tmp_path):
    case = changed(SHEET, mesh={"stencil": stencil}, tissue={"waves": "lumped"}, time={"dt": "0.02 ms"})
    implicit = first_beat(case, tmp_path / "cn")
    explicit = first_beat(changed(case, time={"diffusion": "explicit", "dt": "0.02 ms"}), tmp_path / "explicit")
    assert implicit == pytest.approx(explicit, abs=0.1)      # 33 ms; both err by about this at dt 0.02 ms


def test_the_stencils_agree_where_the_front_is_resolved(tmp_path):
    fine = changed(SHEET, mesh={"size": ["6 mm", "3 mm"], "dx": "0.1 mm"}, tissue={"waves": "lumped"},
                   watch={"probes": {"points": {"far": ["6 mm", "3 mm"]}, "every": "1 ms"}})
    compact, full = (first_beat(changed(fine, mesh={"stencil": s}), tmp_path / s)["far"] for s in ("compact", "full"))
    assert compact == pytest.approx(full, rel=0.01)


def test_a_wave_goes_round_a_wall_and_every_file_has_boxes(tmp_path):
    mask = np.ones((40, 20), np.int32)
    mask[20, :15] = 0                       # a wall with a gap above
    mask[25:] = 2
    np.save(tmp_path / "mask.npy", mask)
    np.save(tmp_path / "fibre.npy", np.broadcast_to([0.8, 0.6, 0.0], (40, 20, 3)))
    case = changed(SHEET, mesh={"mask": str(tmp_path / "mask.npy"), "fibre": str(tmp_path / "fibre.npy")},
                   watch={"probes": {"points": {"far": ["12 mm", "6 mm"], "behind": ["6.9 mm", "1.2 mm"]},
                                     "every": "1 ms", "interpolate": True},
                          "snapshots": {"every": "10 ms", "regions": [2]}})
    around = upstroke.run(case, tmp_path / "wall")
    straight = first_beat(SHEET, tmp_path / "no_wall")
    times = around.summary["probe_activation_ms"]
    assert times["behind"] > times["far"] - 5 and times["far"] > straight["far"] + 2
    assert np.isfinite(around.activation.activation[0]).all()
    seen = meshio.read(tmp_path / "wall" / "activation.vtu")
    assert [block.type for block in seen.cells] == ["quad"] and len(seen.cells[0].data) == mask.astype(bool).sum()
    with h5py.File(tmp_path / "wall" / "vm.vtkhdf") as file:
        assert set(file["VTKHDF/Types"][:]) == {9} and len(file["VTKHDF/Types"]) == (mask == 2).sum()
    json.loads((tmp_path / "wall" / "manifest.json").read_text())


def test_check_says_the_limit_and_the_run_keeps_to_it(tmp_path):
    case = changed(SHEET, time={"diffusion": "explicit", "dt": "0.4 ms"}, watch={"probes": {
        "points": {"far": ["12 mm", "6 mm"]}, "every": "4 ms"}})
    limit = 0.03 ** 2 / (2 * (2.0 + 0.5) / 1400)             # h^2 / (2 (D_xx + D_yy)), whatever the fibre's direction
    with pytest.raises(CaseError) as caught:
        upstroke.run(case, tmp_path / "unstable")
    assert f"is unstable with diffusion = \"explicit\": the limit of this mesh is {limit:.4g} ms" in str(caught.value)
    report = check(upstroke.load_case(changed(case, time={"diffusion": "crank_nicolson"})))
    assert f"# stability: explicit diffusion needs dt <= {limit:.4g} ms; implicit schemes have no limit" in report
    assert "# mesh: 861 nodes, 800 squares, 12 x 6 x 0 mm" in report
    assert "# resolution: h^2/D is at most" in report
