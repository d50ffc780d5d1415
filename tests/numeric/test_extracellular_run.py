"""phi_e and leads of whole runs: in tissue with a bath, with Purkinje strands, on a device; seen by `upstroke view`."""

import csv
import json

import h5py
import numpy as np
import pytest

import upstroke
from upstroke.case import load_case
from upstroke.cli import main
from upstroke.mesh import build_mesh, with_purkinje
from upstroke.space import Extracellular
from upstroke.view.recording import read_recording

CASE = {
    "mesh": {"kind": "grid", "size": ["10 mm", "6 mm"], "dx": "0.5 mm", "fibre": [2, 1, 0],
             "regions": {"bath": "y > 4 mm"}},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": [
        {"intracellular": ["4 mS/cm", "1.2 mS/cm"], "extracellular": ["12 mS/cm", "6 mS/cm"]},
        {"intracellular": ["0 mS/cm"], "extracellular": ["15 mS/cm"], "regions": ["bath"]}]},
    "membrane": [{"model": "Passive", "regions": ["bath"]}, {"model": "MitchellSchaeffer"}],
    "time": {"end": "12 ms", "dt": "0.1 ms"},
    "stimulus": {"box": {"min": ["0 mm", "0 mm"], "max": ["1 mm", "4 mm"]}, "current": "90 uA/cm^2",
                 "duration": "1 ms"},
    "watch": {"snapshots": {"every": "4 ms", "variables": ["phi_e", "V"]},
              "ecg": {"electrodes": {"left": ["0 mm", "6 mm"], "right": ["10 mm", "6 mm"]}, "every": "2 ms",
                      "leads": {"along": ["right", "left"]}, "conductor": "mesh"}},
    "output": {"picture": False}, "backend": {"device": "cpu"}}


def frames(folder):
    """(frames, n) of each variable."""
    with h5py.File(folder / "vm.vtkhdf") as file:
        count = int(file["VTKHDF/Steps"].attrs["NSteps"])
        return {name: values[:].reshape(count, -1) for name, values in file["VTKHDF/PointData"].items()}


def leads(folder):
    with (folder / "ecg.csv").open(newline="") as file:
        names, *rows = csv.reader(file)
    return dict(zip(names, np.array(rows, float).T, strict=True))


def test_a_wave_beneath_a_bath(tmp_path):
    result = upstroke.run(CASE, tmp_path / "run")
    found, ecg = frames(tmp_path / "run"), leads(tmp_path / "run")
    one = Extracellular(load_case(CASE).tissue, result.mesh)
    for V, phi in zip(found["V"], found["phi_e"], strict=True):
        np.testing.assert_allclose(phi, one.potential(V), atol=1e-4)              # V was written in single precision
    x, y = result.mesh.points[:, 0], result.mesh.points[:, 1]
    left, right = int(np.hypot(x, y - 0.6).argmin()), int(np.hypot(x - 1.0, y - 0.6).argmin())
    np.testing.assert_allclose(ecg["phi.left"][::2], found["phi_e"][:, left], atol=1e-4)
    np.testing.assert_allclose(ecg["along"][::2], found["phi_e"][:, right] - found["phi_e"][:, left], atol=1e-4)
    assert abs(ecg["along"][0]) < 1e-6
    assert ecg["along"][1:4].min() > 1.0                                          # the wave comes
    late = found["V"][1]                                                          # at 4 ms
    assert late[y < 0.401].max() > -20.0
    np.testing.assert_allclose(np.ptp(late[y > 0.401]), 0.0, atol=1e-6)           # the bath is at rest
    assert not np.isnan(result.activation.activation[0][(y < 0.401)]).all()
    assert np.ptp(found["phi_e"][1][y > 0.401]) > 1.0


def test_the_membrane_of_a_bath_needs_no_waves(tmp_path):
    """A passive one is refused where tissue has it, and told of where nothing is insisted on; no wave passes a bath."""
    insists = CASE | {"tissue": CASE["tissue"] | {"waves": "calibrated"}, "time": {"end": "1 ms", "dt": "0.1 ms"}}
    assert upstroke.run(insists, tmp_path / "run").notes == (
        "80 of 240 cells do not conduct; no current passes their edge but outside cells: 80 are of a bath, and 84 "
        "nodes inside them are coupled to none",)


def test_it_is_drawn(tmp_path, capsys):
    upstroke.run(CASE, tmp_path / "run")
    recording = read_recording(tmp_path / "run")
    assert recording.variables == ("V", "phi_e")
    assert recording.unit("phi_e") == "mV"
    pytest.importorskip("matplotlib")
    picture = tmp_path / "phi_e.png"
    assert main(["view", str(tmp_path / "run"), "--picture", str(picture), "--variable", "phi_e"]) == 0
    assert picture.stat().st_size > 10_000


def test_some_regions_only(tmp_path):
    """What is written of them is that of the whole."""
    upstroke.run(CASE, tmp_path / "all")
    some = CASE | {"watch": {"snapshots": CASE["watch"]["snapshots"] | {"variables": ["phi_e"], "regions": ["bath"]}}}
    upstroke.run(some, tmp_path / "some")
    mesh = build_mesh(load_case(CASE).mesh)
    bath = np.unique(mesh.cells[mesh.region == mesh.region_names["bath"]])
    found = frames(tmp_path / "some")
    assert list(found) == ["phi_e"]
    np.testing.assert_array_equal(found["phi_e"], frames(tmp_path / "all")["phi_e"][:, bath])


def test_strands_lie_in_what_is_around_them(tmp_path):
    case = CASE | {
        "mesh": {"kind": "slab", "size": ["4 mm", "3 mm", "1 mm"], "dx": "0.5 mm", "fibre": [2, 1, 0]},
        "tissue": CASE["tissue"] | {"conductivity": CASE["tissue"]["conductivity"][:1]},
        "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "8 ms", "dt": "0.1 ms"},
        "stimulus": {"nodes": "purkinje_root", "current": "800 uA/cm^2", "duration": "1 ms"},
        "purkinje": {"conductivity": "15 mS/cm", "diameter": "0.5 mm", "resistance": "1 kohm", "fractal": {
            "surface": "zmax", "root": ["0 mm", "1.5 mm", "1 mm"], "toward": ["4 mm", "1.5 mm", "1 mm"],
            "trunk": "1 mm", "length": "1 mm", "generations": 1}},
        "watch": {"snapshots": CASE["watch"]["snapshots"],
                  "ecg": {"electrodes": {"a": ["0 mm"], "b": ["4 mm", "3 mm"]}, "every": "4 ms", "conductor": "mesh"}}}
    upstroke.run(case, tmp_path / "run")
    built = load_case(case)
    mesh = with_purkinje(build_mesh(built.mesh), built.purkinje, built.tissue)
    n, (phi, V) = mesh.n_tissue, (frames(tmp_path / "run")[name] for name in ("phi_e", "V"))
    near = [int(np.linalg.norm(mesh.points[:n] - place, axis=1).argmin()) for place in mesh.points[n:]]
    assert np.ptp(phi[-1]) > 0.1
    np.testing.assert_array_equal(phi[:, n:], phi[:, near])
    alone = Extracellular(built.tissue, mesh.tissue).potential(V[-1][:n])
    np.testing.assert_allclose(phi[-1][:n], alone, atol=1e-4)
    np.testing.assert_allclose(leads(tmp_path / "run")["phi.a"], phi[:, 0], atol=1e-4)


@pytest.mark.usefixtures("emulated_cupy")
def test_a_device_gives_what_a_processor_gives(tmp_path):
    """V is fetched at the times of snapshots; the host solves."""
    short = CASE | {"time": {"end": "2 ms", "dt": "0.1 ms"}, "watch": CASE["watch"] | {
        "snapshots": {"every": "1 ms", "variables": ["phi_e"]}, "ecg": CASE["watch"]["ecg"] | {"every": "1 ms"}}}
    upstroke.run(short, tmp_path / "cpu")
    upstroke.run(short | {"backend": {"device": "cuda"}}, tmp_path / "cuda")
    assert json.loads((tmp_path / "cuda" / "manifest.json").read_text())["backend"]["device"] != "cpu"
    one, other = frames(tmp_path / "cpu")["phi_e"], frames(tmp_path / "cuda")["phi_e"]
    assert np.ptp(one[-1]) > 1.0
    np.testing.assert_allclose(other, one, atol=1e-5)
    np.testing.assert_allclose(leads(tmp_path / "cuda")["along"], leads(tmp_path / "cpu")["along"], atol=1e-6)
