"""Tissue that differs from place to place against closed forms, and the ways to say so against each other."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import upstroke
from upstroke import load_case
from upstroke.case.toml import write_document

CABLE = {
    "mesh": {"kind": "cable", "length": "20 mm", "dx": "0.1 mm"}, "backend": {"threads": 1},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["2 mS/cm"]}},
    "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "80 ms", "dt": "0.05 ms"},
    "stimulus": {"box": {"min": ["0 mm"], "max": ["1 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"},
    "output": {"picture": False}}
SHEET = {
    "mesh": {"kind": "sheet", "size": ["6 mm", "4 mm"], "dx": "0.5 mm", "fibre": [1, 0, 0]},
    "backend": {"threads": 1}, "tissue": {"surface_to_volume": "140 /mm", "conductivity": {
        "monodomain": ["1.3 mS/cm", "0.3 mS/cm"]}},
    "membrane": {"model": "MitchellSchaeffer", "parameters": {"tau_close": 60}},
    "time": {"end": "30 ms", "dt": "0.05 ms"},
    "stimulus": {"box": {"min": ["0 mm"], "max": ["1 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"},
    "output": {"picture": False}}


def run(folder, base, *overrides, name="out", **tables):
    return upstroke.run(load_case(base, tables, overrides=overrides), folder / name)


def conductivity(**keys):
    return {"surface_to_volume": "140 /mm", "conductivity": keys}


def test_velocity_goes_as_the_root_of_the_conductivity(tmp_path):
    """x -> 2 x turns sigma into 4 sigma: the same numbers at the nodes of a cable twice as long. Along one cable, the
    velocity is twice as large where the conductivity is four times as large."""
    times = run(tmp_path, CABLE).activation.activation[0]
    wide = {"tissue": conductivity(monodomain=["2 mS/cm"], scale=4), "mesh": {"length": "40 mm", "dx": "0.2 mm"},
            "stimulus": {"box": {"max": ["2 mm"]}}}
    assert np.allclose(run(tmp_path, CABLE, name="wide", **wide).activation.activation[0], times, rtol=0, atol=1e-6)
    step = run(tmp_path, CABLE, name="step", tissue=conductivity(monodomain=["2 mS/cm"],
                                                                   scale="4 if x > 10 mm else 1"))
    t = step.activation.activation[0]
    slow, fast = (t[80] - t[40]) / 40, (t[180] - t[140]) / 40
    assert slow / fast == pytest.approx(2.0, rel=0.02)
    assert slow == pytest.approx((times[80] - times[40]) / 40, rel=1e-3)


def test_a_scale_is_what_the_scaled_values_are(tmp_path):
    """By number, by axis, by expression and by file: bit for bit what the scaled conductivities give."""
    np.savetxt(tmp_path / "half.txt", np.full(2 * 12 * 8, 0.5))
    np.save(tmp_path / "axis.npy", np.full(2 * 12 * 8, 0.25))
    plain = run(tmp_path, SHEET, name="0", tissue=conductivity(monodomain=["0.65 mS/cm", "0.15 mS/cm"]))
    for k, scale in enumerate([0.5, "0.5", "0.5 if x > 1 mm else 0.5", str(tmp_path / "half.txt")], 1):
        found = run(tmp_path, SHEET, name=str(k), tissue=conductivity(
            monodomain=["1.3 mS/cm", "0.3 mS/cm"], scale=scale))
        assert np.array_equal(found.activation.activation[0], plain.activation.activation[0])
    plain = run(tmp_path, SHEET, name="5", tissue=conductivity(monodomain=["1.3 mS/cm", "0.075 mS/cm"]))
    found = run(tmp_path, SHEET, name="6", tissue=conductivity(
        monodomain=["1.3 mS/cm", "0.3 mS/cm"], scale=[1, str(tmp_path / "axis.npy")]))
    assert np.array_equal(found.activation.activation[0], plain.activation.activation[0])
    assert np.ptp(plain.activation.activation[0]) > 5.0


def test_parameters_of_nodes_by_file_and_by_expression_are_the_same(tmp_path):
    """And one that is everywhere the same is what a parameter of the whole membrane is."""
    x = upstroke.mesh.build_mesh(load_case(SHEET).mesh).points[:, 0]
    np.save(tmp_path / "tau.npy", 0.3 * (1.0 + x))
    membrane = {"model": "MitchellSchaeffer", "parameters": {"tau_close": 60}}
    whole = run(tmp_path, SHEET, name="whole")
    ways = {"file": str(tmp_path / "tau.npy"), "expression": "0.3 * (1 + x / (1 cm))", "constant": "0.3"}
    found = {name: run(tmp_path, SHEET, name=name, membrane=membrane | {"nodal": {"tau_in": text}}
                       ).activation.activation[0] for name, text in ways.items()}
    assert np.array_equal(found["file"], found["expression"])
    assert np.allclose(found["constant"], whole.activation.activation[0], rtol=0, atol=1e-9)
    assert found["file"].max() > found["constant"].max() + 1.0


def test_a_gradient_across_uncoupled_cells_is_each_cell_with_its_own_value(tmp_path):
    """APD90 at each node of a strip without coupling to speak of is that of a run with this node's tau_close."""
    strip = {"mesh": {"kind": "cable", "length": "3 mm", "dx": "1 mm"},
             "tissue": conductivity(monodomain=["1e-9 mS/cm"]), "time": {"end": "250 ms"},
             "stimulus": {"box": {"min": ["0 mm"], "max": ["9 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"}}
    graded = run(tmp_path, CABLE, **strip, membrane={"model": "MitchellSchaeffer", "nodal": {
        "tau_close": "50 + 10 * x / (1 mm)"}}).activation.apd[0]
    for k, tau in enumerate((50, 60, 70, 80)):
        single = run(tmp_path, CABLE, name=str(tau), **strip, membrane={
            "model": "MitchellSchaeffer", "parameters": {"tau_close": tau}}).activation.apd[0]
        assert np.ptp(single) < 1e-6
        assert graded[k] == pytest.approx(single[k], abs=1e-6)
    assert (np.diff(graded) > 5.0).all()


def test_a_stimulus_is_scaled_by_a_file_as_by_an_expression(tmp_path):
    x = upstroke.mesh.build_mesh(load_case(SHEET).mesh).points[:, 0]
    np.savetxt(tmp_path / "scale.txt", 1.0 + 5.0 * x, fmt="%.17g")
    times = [run(tmp_path, SHEET, name=str(k), stimulus=SHEET["stimulus"] | {"scale": scale}).activation.activation[0]
             for k, scale in enumerate((str(tmp_path / "scale.txt"), "1 + 5 * x / (1 cm)", "1"))]
    assert np.array_equal(times[0], times[1])
    assert times[0].min() < times[2].min() - 0.1


def test_two_ranks_give_what_one_gives(tmp_path):
    """Each has its own nodes of files, and the whole mesh's conductivities."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    pytest.importorskip("mpi4py")
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside this Python")
    np.savetxt(tmp_path / "tau.txt", np.linspace(0.3, 0.5, 13 * 9), fmt="%.17g")
    np.save(tmp_path / "sigma.npy", np.linspace(0.5, 1.5, 2 * 12 * 8))
    (tmp_path / "case.toml").write_text(write_document(SHEET | {
        "tissue": conductivity(monodomain=["1.3 mS/cm", "0.3 mS/cm"], scale=["1.5 - x / (1 cm)", "sigma.npy"]),
        "membrane": {"model": "MitchellSchaeffer", "nodal": {"tau_in": "tau.txt"}},
        "time": {"end": "20 ms", "dt": "0.05 ms"}, "solver": {"tolerance": "1e-10 mV"},
        "watch": {"probes": {"every": "1 ms", "points": {"a": ["4 mm", "3 mm"]}}}}))
    for n in (1, 2):
        command = ["-m", "upstroke", "run", str(tmp_path), "--out", str(tmp_path / str(n))]
        done = subprocess.run([str(mpiexec), "-n", str(n), sys.executable, *command], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, done.stderr
    one, two = (json.loads((tmp_path / str(n) / "summary.json").read_text()) for n in (1, 2))
    assert two["probe_activation_ms"]["a"] == pytest.approx(one["probe_activation_ms"]["a"], abs=1e-8)
    assert two["latest_activation"]["time_ms"] == pytest.approx(one["latest_activation"]["time_ms"], abs=1e-8)
