"""The main job from the outside: a case in, a run directory out, however the run ends."""

import csv
import importlib
import json
import os
import signal
import subprocess
import sys
import time

import h5py
import meshio
import numpy as np
import pytest

import upstroke
from upstroke.cli import main
from upstroke.errors import DivergenceError, OutputError, UpstrokeError

CABLE = {
    "mesh": {"kind": "cable", "length": "10 mm", "dx": "0.25 mm"},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["1.33 mS/cm"]}},
    "membrane": {"model": "MitchellSchaeffer"},
    "time": {"end": "30 ms", "dt": "0.05 ms"},
    "stimulus": {"box": {"min": ["0 mm"], "max": ["1 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"},
    "watch": {"probes": {"points": {"left": ["0 mm"], "right": ["10 mm"]}, "every": "0.5 ms",
                         "variables": ["V", "Iion", "h"]},
              "snapshots": {"every": "5 ms", "variables": ["V", "h"]}},
    "output": {"picture": False},
}


def command(*arguments, cwd):
    return subprocess.run([sys.executable, "-m", "upstroke", *map(str, arguments)], capture_output=True, text=True,
                          cwd=cwd, env=os.environ, timeout=300)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return upstroke.run(CABLE, tmp_path_factory.mktemp("cable") / "out")


@pytest.fixture
def case_file(tmp_path):
    """The cable as a file, long enough to be interrupted."""
    (tmp_path / "case.toml").write_text("""
[mesh]
kind = "cable"
length = "100 mm"
dx = "0.25 mm"
[tissue]
surface_to_volume = "140 /mm"
conductivity.monodomain = ["1.33 mS/cm"]
[membrane]
model = "MitchellSchaeffer"
[time]
end = "2000 s"
dt = "0.05 ms"
[[stimulus]]
box = { min = ["0 mm"], max = ["1 mm"] }
current = "60 uA/cm^2"
duration = "2 ms"
[watch.probes]
points.left = ["0 mm"]
every = "1 ms"
[watch.snapshots]
every = "100 ms"
""")
    return tmp_path / "case.toml"


def test_a_wave_runs_along_the_cable(result):
    times = result.activation.activation[0]
    assert np.isfinite(times).all() and (np.diff(times[5:]) > 0).all()
    speed = (result.mesh.points[30, 0] - result.mesh.points[10, 0]) * 10 / (times[30] - times[10])
    assert 0.3 < speed < 1.0                                           # mm/ms


def test_python_gets_the_probes_and_the_state(result):
    probes = result.probes()
    assert list(probes) == ["time_ms", "left.V", "left.Iion", "left.h", "right.V", "right.Iion", "right.h"]
    assert np.array_equal(probes["time_ms"], np.arange(61) * 0.5)
    assert probes["right.V"][-1] == pytest.approx(result.state.variable("V")[-1], rel=1e-6)
    assert probes["left.V"][0] == pytest.approx(-86.0)
    assert probes["right.Iion"][0] == pytest.approx(probes["right.Iion"][1], abs=1e-6)      # of the initial state


def test_the_run_directory_is_complete(result):
    names = {p.name for p in result.directory.iterdir()}
    assert names == {"activation.vtu", "vm.vtkhdf", "probes.csv", "summary.json", "manifest.json"}
    grid = meshio.read(result.directory / "activation.vtu")
    assert np.allclose(grid.point_data["activation_ms"], result.activation.activation[0], equal_nan=True)
    assert np.allclose(grid.points[:, 0], np.arange(41) * 0.25)        # mm
    with h5py.File(result.directory / "vm.vtkhdf") as file:
        assert file["VTKHDF/Steps"].attrs["NSteps"] == 7
    with (result.directory / "probes.csv").open() as file:
        assert len(list(csv.reader(file))) == 62


def test_the_manifest_says_how_the_results_were_made(result):
    manifest = json.loads((result.directory / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["backend"]["device"] == "cpu" and manifest["backend"]["threads"] >= 1
    assert {"mesh", "operator", "compile", "reaction", "diffusion", "output"} <= set(manifest["timings_s"])
    again = upstroke.load_case(manifest["case"])
    assert again == result.case


def test_the_same_case_gives_the_same_bits(result, tmp_path):
    again = upstroke.run(upstroke.load_case(CABLE, overrides=["backend.threads=3"]), tmp_path / "out")
    assert np.array_equal(again.state.variable("V"), result.state.variable("V"))
    assert np.array_equal(again.activation.activation, result.activation.activation)


@pytest.mark.parametrize("splitting", ["godunov", "strang"])
@pytest.mark.parametrize("diffusion, mass", [("crank_nicolson", "lumped"), ("backward_euler", "consistent"),
                                             ("explicit", "lumped")])
@pytest.mark.parametrize("kind", ["cable", "sheet", "slab"])
def test_uniform_tissue_is_the_single_cell(tmp_path, kind, diffusion, mass, splitting):
    """Where all nodes do the same, the neighbours change nothing: V of the tissue is V of the cell to 1e-9 mV."""
    def end(mesh):
        case = {**CABLE, "mesh": mesh, "watch": {}, "stimulus": {
            "box": {"min": ["-1 mm"], "max": ["100 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"},
            "time": {"end": "20 ms", "dt": "0.05 ms", "splitting": splitting, "diffusion": diffusion}}
        case["tissue"] = {**CABLE["tissue"], "waves": mass}
        return upstroke.run(case, tmp_path / f"{mesh['kind']}-{mesh.get('length', '')}").state.variable("V")

    meshes = {"cable": {"length": "4 mm"}, "sheet": {"size": ["2 mm", "1 mm"]}, "slab": {"size": ["1 mm"] * 3}}
    tissue = end({"kind": kind, "dx": "0.5 mm", **meshes[kind]})
    cell = end({"kind": "cable", "dx": "100 mm", "length": "100 mm"})[0]      # two nodes, as good as apart
    assert np.abs(tissue - cell).max() < 1e-9
    assert cell > 0


def test_single_precision_is_near_double(result, tmp_path):
    single = upstroke.run(upstroke.load_case(CABLE, overrides=["backend.precision=fp32"]), tmp_path / "out")
    assert single.state.variable("V").dtype == np.float32
    assert np.abs(single.activation.activation[0] - result.activation.activation[0]).max() < 0.01


def test_explicit_beyond_its_limit_is_refused_with_its_place():
    case = upstroke.load_case(CABLE, overrides=[
        'time.diffusion="explicit"', 'tissue.waves="lumped"', 'time.dt="0.5 ms"', 'time.end="30 ms"'])
    with pytest.raises(UpstrokeError) as error:
        upstroke.prepare(case)
    assert str(error.value) == (
        "--set time.dt=\"0.5 ms\": time.dt: a diffusion step of 0.5 ms is unstable with diffusion = \"explicit\": the "
        "limit of this mesh is 0.3286 ms\n  -> take a smaller dt, or diffusion = \"crank_nicolson\"")


@pytest.mark.parametrize("change, message", [
    ('solver.method="cg"', "t = 0.05 ms: node 0: V left the finite numbers"),                # seen by the solver
    ('solver.method="tree"', "t = 0.1 ms: node 0: V, Iion left the finite numbers"),         # seen by the kernel
    ('time.diffusion="explicit"', "t = 0.1 ms: node 0: V, Iion left the finite numbers"),
])
def test_what_leaves_the_finite_numbers_is_caught(tmp_path, change, message):
    case = upstroke.load_case(CABLE, overrides=['stimulus.0.current="1e300 uA/cm^2"', 'tissue.waves="lumped"', change])
    with pytest.raises(DivergenceError) as error:
        upstroke.run(case, tmp_path / "out")
    assert str(error.value) == message + ("\n  -> take a smaller dt or more reaction_steps, and check the stimulus "
                                          "strength and the parameters")
    assert error.value.exit_code == 1
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "failed" and manifest["error"] == str(error.value)
    assert (tmp_path / "out" / "activation.vtu").exists()              # what was seen until then


def test_a_solver_that_does_not_converge_says_so(tmp_path):
    case = upstroke.load_case(CABLE, overrides=["solver.max_iterations=1", 'solver.tolerance="1e-12 mV"',
                                                'solver.method="cg"'])
    with pytest.raises(DivergenceError) as error:
        upstroke.run(case, tmp_path / "out")
    assert str(error.value) == (
        "t = 0 ms: the diffusion solver did not converge in 1 iterations\n"
        "  -> raise solver.max_iterations or solver.tolerance, or take a smaller dt")


def test_mistakes_in_the_models_names_have_a_place(case_file):
    text = case_file.read_text().replace('model = "MitchellSchaeffer"', 'model = "MS"\nparameters = { tau_inn = 0.3 }')
    case_file.write_text(text)
    run = command("run", "case.toml", cwd=case_file.parent)
    assert run.stderr == ("case.toml:9: membrane: model MitchellSchaeffer: no parameter 'tau_inn'\n"
                          "  -> did you mean 'tau_in'?\n")


def test_a_region_that_is_not_there_has_a_place():
    case = upstroke.load_case(CABLE, overrides=['tissue.conductivity.0.regions=["scar"]'])
    with pytest.raises(UpstrokeError) as error:
        upstroke.prepare(case)
    assert str(error.value) == (
        '--set tissue.conductivity.0.regions=["scar"]: tissue.conductivity.0.regions: the mesh has no region \'scar\'\n'
        "  -> its regions have no names; tags: 0")


def test_what_a_user_should_know_is_said():
    """Pulses that never fire, and an order that is promised in one key and missed in another."""
    case = upstroke.load_case(CABLE, overrides=["stimulus.0.count=4", 'stimulus.0.period="10 ms"',
                                                'time.splitting="strang"', 'membrane.method={h="fe"}'])
    assert upstroke.prepare(case).notes == (
        "stimulus 'stimulus 1': 1 of 4 pulses start when the run is over",
        "splitting 'strang' is of order 2, but the run is of order 1: V, h are integrated by methods of order 1 "
        '(membrane.method = "rk2" is of order 2)')
    second = upstroke.load_case(CABLE, overrides=['time.splitting="strang"', "membrane.method=rk2"])
    assert upstroke.prepare(second).notes == ()


def test_states_held_at_their_bounds_are_said(tmp_path):
    (tmp_path / "bounded.model").write_text("V; .external(Vm);\nIion; .external();\nV_init = -80;\nx_init = 0;\n"
                                            "diff_x = 1;\nx; .ub(0.5);\nIion = 0.1*(V + 80) + 0*x;\n")
    case = upstroke.load_case(CABLE, overrides=[f'membrane.model="{tmp_path / "bounded.model"}"', 'time.end="5 ms"',
                                                'watch.probes.variables=["V"]', 'watch.snapshots.variables=["x"]'])
    result = upstroke.run(case, tmp_path / "out")
    assert result.state.variable("x").max() == 0.5
    assert "in 90 steps a state was held at its bound (.lb, .ub of the model)" in result.notes


def test_overrides_are_never_ignored(result):
    with pytest.raises(UpstrokeError) as error:
        upstroke.run(result.case, overrides=('time.dt="0.1 ms"',))
    assert str(error.value) == "overrides: this case is built already\n  -> give the overrides to load_case"


def test_nothing_is_overwritten(result):
    with pytest.raises(OutputError):
        upstroke.run(CABLE, result.directory)


def heed_interrupts():
    """A shell that starts tests in the background has them ignore Ctrl-C, and so would the run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number, word, code", [(signal.SIGINT, "interrupted", 1),
                                                (signal.SIGTERM, "  -> go on with: upstroke resume {out}", 75)])
def test_interrupted_runs_leave_files_that_open(case_file, tmp_path, number, word, code):
    """Ctrl-C, kill: files are closed, the manifest says so, no traceback."""
    run = subprocess.Popen([sys.executable, "-m", "upstroke", "run", case_file, "--out", tmp_path / "out"],
                           stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
    wait_for_frames(tmp_path / "out" / "vm.vtkhdf", 3)
    run.send_signal(number)
    _, stderr = run.communicate(timeout=60)
    assert run.returncode == code
    word = word.format(out=tmp_path / "out")
    assert "Traceback" not in stderr and stderr.endswith(f"{word}\nresults until then in {tmp_path / 'out'}\n")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    assert np.isfinite(meshio.read(tmp_path / "out" / "activation.vtu").point_data["activation_ms"]).any()


def test_killed_runs_leave_files_that_open(case_file, tmp_path):
    """kill -9: every finished frame and probe line is there."""
    run = subprocess.Popen([sys.executable, "-m", "upstroke", "run", case_file, "--out", tmp_path / "out", "--quiet"])
    frames = wait_for_frames(tmp_path / "out" / "vm.vtkhdf", 3)
    run.kill()
    run.wait()
    with h5py.File(tmp_path / "out" / "vm.vtkhdf") as file:
        steps = int(file["VTKHDF/Steps"].attrs["NSteps"])
        values = np.array(file["VTKHDF/Steps/Values"])[:steps]
        assert steps >= frames and np.array_equal(values, np.arange(steps) * 100.0)
        assert np.isfinite(file["VTKHDF/PointData/V"][: 401 * steps]).all()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "running"
    lines = (tmp_path / "out" / "probes.csv").read_text().splitlines()
    assert lines[0] == "time_ms,left.V" and all(len(line.split(",")) == 2 for line in lines[:-1])


def wait_for_frames(path, frames):
    """Until the file holds that many; how many it holds then."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with h5py.File(path, "r", locking=False) as file:
                if (done := int(file["VTKHDF/Steps"].attrs["NSteps"])) >= frames:
                    return done
        except (OSError, KeyError):
            pass
        time.sleep(0.05)
    raise AssertionError(f"{path} did not reach {frames} frames")


# ------------------------------------------------------------------------------------------ command line
def test_check_says_what_a_case_takes(case_file):
    run = command("check", case_file, cwd=case_file.parent)
    assert run.returncode == 0, run.stderr
    assert '[mesh]\nlength = "10 cm"\ndx = "0.025 cm"\nkind = "cable"' in run.stdout
    for line in ("# mesh: 401 nodes, 400 segments, 100 x 0 x 0 mm", "# membrane: MitchellSchaeffer, 2 states a node",
                 "# steps: 40,000,000 of 0.05 ms", "# stimulus 'stimulus 1': 5 nodes, 60 uA/cm^2",
                 "# stability: explicit diffusion needs dt <= 0.3286 ms; implicit schemes have no limit",
                 "# resolution: h^2/D is at most 0.658 ms"):
        assert line in run.stdout
    assert "# memory: about " in run.stdout and "# time: about " in run.stdout
    assert sorted(p.name for p in case_file.parent.iterdir()) == ["case.toml"]        # nothing was written


def test_users_mistakes_exit_with_two_and_no_traceback(case_file):
    for arguments in (
        ["run", "nowhere"], ["run", case_file, "--set", "time.dt=0.05"], ["fly"], ["models", "TT3"],
        ["check", case_file, "--set", "membrane.model=TT3"], ["emit", "TT3", "--target", "c"], ["emit", "TT2"],
        ["emit", "TT2", "--target", "c", "--output", "/nowhere/k.c"],
    ):
        run = command(*arguments, cwd=case_file.parent)
        assert run.returncode == 2, arguments
        assert run.stderr and "Traceback" not in run.stderr and not run.stdout


def test_too_little_memory_is_no_traceback(case_file, monkeypatch, capsys):
    def build(*sections):
        raise MemoryError("Unable to allocate 475. MiB for an array")

    monkeypatch.setattr(importlib.import_module("upstroke.run"), "build_mesh", build)
    assert main(["check", str(case_file), "--backend", "cpu"]) == 1
    assert capsys.readouterr().err == ("not enough memory: Unable to allocate 475. MiB for an array\n"
                                       "  -> ask for less (fewer nodes, a smaller picture), or take a machine "
                                       "with more memory\n")


def test_files_merge_left_to_right(case_file):
    (case_file.parent / "finer.toml").write_text('mesh.dx = "0.125 mm"\n')
    run = command("check", case_file, "finer.toml", cwd=case_file.parent)
    assert "# mesh: 801 nodes" in run.stdout


def test_models_lists_and_describes(tmp_path):
    names = command("models", "--names", cwd=tmp_path).stdout.split()
    assert {"tenTusscherPanfilov", "MitchellSchaeffer", "AlievPanfilov", "HodgkinHuxley"} <= set(names)
    text = command("models", "tt2", cwd=tmp_path).stdout
    assert "GNa" in text and "14.838" in text and "10.1152/ajpheart.00109.2006" in text
    assert "IKATP_Ferrero" in command("models", "--plugins", cwd=tmp_path).stdout


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
def test_emitted_c_compiles_as_it_stands(tmp_path, precision):
    from upstroke.backend.compiler import find_compiler

    run = command("emit", "HH", "--target", "c", "--precision", precision, "-o", "kernel.c", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    built = subprocess.run([*find_compiler().command, "-c", "kernel.c", "-o", "kernel.o"], cwd=tmp_path,
                           capture_output=True, text=True)
    assert built.returncode == 0, built.stderr


def test_version(tmp_path):
    assert command("--version", cwd=tmp_path).stdout == f"upstroke {upstroke.__version__}\n"
