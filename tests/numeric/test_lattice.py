"""Runs with the calibrated operator: the Niederer slab at 0.5 mm, cables, oblique fibres, explicit beside implicit."""

from pathlib import Path

import numpy as np
import pytest

import upstroke
from upstroke.check import check
from upstroke.run import prepare

NIEDERER = Path(__file__).parents[2] / "cases" / "niederer" / "case.toml"
CONVERGED = {"P1": 1.23, "P2": 26.71, "P3": 31.64, "P4": 41.24, "P5": 8.28, "P6": 28.05, "P7": 32.86, "P8": 42.23,
             "P9": 19.54}          # ms: extrapolated from the lumped mass at 0.1 and 0.05 mm, V by rk2
STEP = ('tissue.waves="calibrated"', 'time.dt="0.02 ms"', "output.picture=false")


def niederer(tmp_path, *overrides):
    case = upstroke.load_case(NIEDERER, overrides=[*STEP, *overrides])
    return upstroke.run(case, tmp_path).summary["probe_activation_ms"]


@pytest.mark.parametrize("kind", ["slab", "grid"])
def test_the_niederer_slab_at_half_a_millimetre(kind, tmp_path):
    """4,305 nodes; the lumped mass takes 127 ms to P8. Of tetrahedra and of cubes, the lattice is the same."""
    found = niederer(tmp_path, f'mesh.kind="{kind}"', 'time.end="50 ms"', 'membrane.method={ V = "rk2" }')
    assert all(abs(found[p] - t) < 4.0 for p, t in CONVERGED.items()), found
    assert found["P8"] == pytest.approx(CONVERGED["P8"], abs=2.5)
    assert found["P1"] == pytest.approx(CONVERGED["P1"], abs=0.05)


CABLE = {
    "mesh": {"kind": "cable", "length": "30 mm", "dx": "0.1 mm"},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["1.33 mS/cm"]}, "waves": "calibrated"},
    "membrane": {"model": "BeelerReuter"},
    "time": {"end": "70 ms", "dt": "0.02 ms"},
    "stimulus": {"box": {"min": ["0 mm"], "max": ["2 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"},
    "watch": {"probes": {"points": {"a": ["10 mm"], "b": ["24 mm"]}, "every": "1 ms"}},
    "output": {"picture": False},
}


def changed(case, **tables):
    return case | {name: case[name] | table for name, table in tables.items()}


def velocity(case, tmp_path, length=14.0):
    times = upstroke.run(case, tmp_path).summary["probe_activation_ms"]
    return length / (times["b"] - times["a"])


def test_a_cable_has_the_velocity_of_a_fine_one(tmp_path):
    fine, coarse, lumped = (
        velocity(changed(CABLE, mesh={"dx": dx}, tissue={"waves": waves}), tmp_path / f"{waves}{dx}")
        for dx, waves in (("0.05 mm", "calibrated"), ("0.5 mm", "calibrated"), ("0.5 mm", "lumped")))
    assert coarse == pytest.approx(fine, rel=0.01)
    assert lumped < 0.9 * fine


@pytest.mark.parametrize("angle", [20, 45])
def test_a_plane_wave_across_oblique_fibres(angle, tmp_path):
    """Far from the sides of a sheet, which bend it."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    sheet = changed(CABLE, tissue={"conductivity": {"monodomain": ["1.33 mS/cm", "0.33 mS/cm"]}},
                    time={"dt": "0.04 ms", "end": "40 ms"},
                    stimulus={"box": {"min": ["0 mm", "0 mm"], "max": ["1 mm", "6 mm"]}},
                    watch={"probes": {"points": {"a": ["4 mm", "3 mm"], "b": ["7.2 mm", "3 mm"]}, "every": "1 ms"}})
    mesh = {"kind": "grid", "size": ["10 mm", "6 mm"], "fibre": [float(c), float(s), 0.0]}
    fine, coarse = (velocity(sheet | {"mesh": mesh | {"dx": dx}}, tmp_path / dx, 3.2) for dx in ("0.1 mm", "0.4 mm"))
    assert coarse == pytest.approx(fine, rel=0.03)


def test_explicit_implicit_and_fourth_order(tmp_path):
    case = changed(CABLE, mesh={"dx": "0.4 mm"}, time={"dt": "0.005 ms"})
    implicit, explicit, fourth = (velocity(changed(case, **tables), tmp_path / str(n)) for n, tables in enumerate((
        {}, {"time": {"diffusion": "explicit", "dt": "0.005 ms"}}, {"tissue": {"waves": "fourth_order"}})))
    assert explicit == pytest.approx(implicit, rel=0.01)
    assert fourth < 0.995 * implicit                            # it lacks what the model needs


# ------------------------------------------------------------------------------------------------ what is told
def test_meshes_that_are_too_coarse_are_told():
    slab = upstroke.load_case(NIEDERER, overrides=STEP)
    note, = (note for note in prepare(slab).notes if "h^2/D" in note)
    assert note.startswith("h^2/D is up to 19.9 ms, and waves of its membrane are measured up to ")
    assert note.endswith(" ms only: where it is more, the correction is a guess; take a smaller dx")
    assert f"# note: {note}" in check(slab)
    fine = upstroke.load_case(NIEDERER, overrides=[*STEP, 'mesh.dx="0.25 mm"'])
    assert not any("h^2/D" in note for note in prepare(fine).notes)
    report = check(upstroke.load_case(NIEDERER, overrides=[*STEP, 'mesh.dx="0.25 mm"', "mesh.fibre=[1, 1, 0.5]"]))
    assert ("# note: h^2/D is up to 4.97 ms: velocities may err by up to 8 % in some directions, although the operator "
            "is calibrated; take a smaller dx") in report
    assert "# resolution: h^2/D is at most 4.97 ms\n" in report


def test_an_uncorrected_mesh_is_told_what_mends_it():
    report = check(upstroke.load_case(NIEDERER, overrides=['tissue.waves="lumped"', 'mesh.dx="0.2 mm"']))
    assert ("# resolution: h^2/D is at most 3.18 ms; above about 0.2 ms a front as steep as tenTusscherPanfilov's runs "
            'more than 5 % too slowly (tissue.waves = "calibrated" mends it)\n') in report
