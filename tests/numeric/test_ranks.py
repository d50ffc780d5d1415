"""A run on several MPI ranks gives what one gives; mistakes are told once, and nothing waits for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import meshio
import numpy as np
import pytest

from upstroke.backend.halo import merged
from upstroke.case.toml import write_document
from upstroke.parallel.ranks import parts_of
from upstroke.run import run
from upstroke.space.operator import Operator

CASES = Path(__file__).parents[2] / "cases"
MPIEXEC = Path(sys.executable).with_name("mpiexec")
BLOCK = {"box": {"min": ["0 mm"], "max": ["0.8 mm"]}, "current": "90 uA/cm^2", "duration": "1 ms", "period": "2.5 ms",
         "count": 2}
CASE: dict[str, Any] = {
    "mesh": {"kind": "sheet", "size": ["8 mm", "6 mm"], "dx": "0.2 mm", "fibre": [2, 1, 0]},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["3 mS/cm", "1 mS/cm"]}},
    "membrane": {"model": "MitchellSchaeffer"}, "time": {"end": "8 ms", "dt": "0.05 ms"}, "stimulus": BLOCK,
    "solver": {"tolerance": "1e-10 mV"},
    "watch": {"activation": {"threshold": "-60 mV", "repolarisation": 0.05},
              "probes": {"points": {"a": ["0 mm"], "b": ["4.1 mm", "3.3 mm"]}, "every": "0.5 ms", "interpolate": True,
                         "variables": ["V", "Iion"]},
              "snapshots": {"every": "2 ms", "variables": ["V", "h"]},
              "spikes": {"points": {"a": ["0.5 mm"], "b": ["4 mm", "3 mm"]}, "threshold": "-60 mV"},
              "ecg": {"electrodes": {"a": ["9 mm"], "b": ["2 mm", "1 mm", "5 mm"]}, "leads": {"ab": ["a", "b"]},
                      "every": "0.5 ms", "thickness": "1 mm"}},
    "output": {"picture": False}, "backend": {"device": "cpu"}}
LUMPED = CASE["tissue"] | {"waves": "lumped"}
RUNS: dict[str, dict[str, Any]] = {
    "conjugate gradients": {}, "strang, chebyshev": {"time": CASE["time"] | {"splitting": "strang"},
                                                     "solver": CASE["solver"] | {"method": "chebyshev"}},
    "consistent, mixed": {"tissue": CASE["tissue"] | {"waves": 0.2},
                          "backend": {"device": "cpu", "precision": "mixed"}},
    "explicit": {"tissue": LUMPED, "time": CASE["time"] | {"diffusion": "explicit", "dt": "0.02 ms"}},
}
needs_mpi = pytest.mark.skipif(not MPIEXEC.exists(), reason="no mpiexec beside this Python: pip install mpi4py mpich")


def on_ranks(count: int, *words: str | Path, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(MPIEXEC), "-n", str(count), sys.executable, "-m", "upstroke", *map(str, words)],
                          capture_output=True, text=True, timeout=timeout, env=os.environ)


def write(folder: Path, changes: dict[str, Any]) -> Path:
    path = folder / "case.toml"
    path.write_text(write_document(CASE | changes))
    return path


def same(one: Path, several: Path, within: float) -> None:
    """Every number of two runs, to within so much of a ms or mV."""
    a, b = (json.loads((folder / "summary.json").read_text()) for folder in (one, several))
    assert a["beats"] == b["beats"] >= 1 and a["spikes"] == b["spikes"] and a["nodes"] == b["nodes"]
    maps = [meshio.read(folder / "activation.vtu").point_data for folder in (one, several)]
    for name in maps[0]:
        np.testing.assert_allclose(maps[1][name], maps[0][name], rtol=0, atol=within, err_msg=name)
    for name, kind in (("probes.csv", float), ("ecg.csv", float), ("spikes.csv", str)):
        rows = [np.genfromtxt(folder / name, delimiter=",", skip_header=1, dtype=kind) for folder in (one, several)]
        if kind is float:
            np.testing.assert_allclose(rows[1], rows[0], rtol=0, atol=within)
        else:
            assert rows[0][:, 0].tolist() == rows[1][:, 0].tolist()
    with h5py.File(one / "vm.vtkhdf") as x, h5py.File(several / "vm.vtkhdf") as y:
        for name in ("V", "h"):
            np.testing.assert_allclose(y[f"VTKHDF/PointData/{name}"], x[f"VTKHDF/PointData/{name}"], rtol=0,
                                       atol=max(within, 1e-5))
        assert y["VTKHDF/Steps"].attrs["NSteps"] == 5


@needs_mpi
@pytest.mark.parametrize("name", RUNS)
def test_two_and_four_ranks_give_what_one_gives(name: str, tmp_path: Path) -> None:
    case = write(tmp_path, RUNS[name])
    run(case, tmp_path / "one")
    for count in (2, 4) if name == "conjugate gradients" else (3,):
        out = tmp_path / f"on {count}"
        done = on_ranks(count, "run", case, "--out", out, "--quiet")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("results in") == 1
        same(tmp_path / "one", out, 1e-3 if "mixed" in name else 1e-8)
        assert f"rank 0 of {count}" in done.stdout


@needs_mpi
def test_a_mesh_file_with_several_membranes(tmp_path: Path) -> None:
    """Nodes are renumbered, and ranks have unlike shares of the membranes."""
    pytest.importorskip("pymetis")
    words = ("--set", "time.end=8 ms", "--set", "output.picture=false", "--set", "solver.tolerance=1e-10 mV")
    run(CASES / "scar", tmp_path / "one", overrides=words[1::2])
    done = on_ranks(3, "run", CASES / "scar", "--out", tmp_path / "three", "--quiet", *words)
    assert done.returncode == 0, done.stderr
    maps = [meshio.read(tmp_path / name / "activation.vtu").point_data["activation_ms"] for name in ("one", "three")]
    assert np.isfinite(maps[0]).sum() > 100
    np.testing.assert_allclose(maps[1], maps[0], rtol=0, atol=1e-8)


@needs_mpi
def test_mistakes_are_told_once(tmp_path: Path) -> None:
    case = write(tmp_path, {})
    done = on_ranks(2, "run", case, "--set", "membrane.model=MitchelSchaeffer")
    assert done.returncode == 2 and done.stderr.count("did you mean") == 1 and "Traceback" not in done.stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    done = on_ranks(2, "run", case, "--out", tmp_path / "full")          # only the first rank meets this one
    assert done.returncode == 2 and "rank 0: " in done.stderr and "exists and is not empty" in done.stderr
    done = on_ranks(2, "run", case, "--out", tmp_path / "broken", "--quiet", "--set", "stimulus.current=1e9 uA/cm^2")
    assert done.returncode == 1 and done.stderr.count("left the finite numbers") == 1
    manifest = json.loads((tmp_path / "broken" / "manifest.json").read_text())
    assert manifest["status"] == "failed" and "node" in manifest["error"]


@needs_mpi
@pytest.mark.parametrize(("change", "said"), [
    ("backend.device=cuda", 'backend.device: "cuda" does not run on 2 MPI ranks yet\n'
     '  -> set backend.device = "cpu", or run on one rank'),
    ("solver.method=tree", 'solver.method: "tree" does not run on 2 MPI ranks yet\n  -> set solver.method = "cg"'),
    ("output.time_limit=1 h", "output: a run with checkpoints does not run on 2 MPI ranks yet\n"
     "  -> leave out checkpoint_every and time_limit"),
])
def test_what_does_not_run_on_several_ranks(tmp_path: Path, change: str, said: str) -> None:
    done = on_ranks(2, "run", write(tmp_path, {}), "--set", change)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("yet") == 1


@needs_mpi
def test_neurons_and_other_splittings_say_so(tmp_path: Path) -> None:
    done = on_ranks(2, "run", CASES / "rallpack1")
    assert done.returncode == 2
    assert ("cable: a neuron does not run on 2 MPI ranks yet\n"
            "  -> run it on one, or members of a study on several: upstroke sweep") in done.stderr
    time = CASE["time"] | {"diffusion": "explicit", "splitting": "unsplit"}
    path = write(tmp_path, {"tissue": LUMPED, "time": time})
    done = on_ranks(2, "run", path)
    assert ('time.splitting: "unsplit" does not run on 2 MPI ranks yet\n'
            '  -> set time.splitting = "strang"') in done.stderr


def test_parts_are_even_and_connected_rows_are_kept() -> None:
    pytest.importorskip("pymetis")
    from scipy import sparse
    n = 30
    line = sparse.diags_array([-np.ones(n * n - 1), 4.0 * np.ones(n * n), -np.ones(n * n - 1)], offsets=[-1, 0, 1])
    across = sparse.diags_array([-np.ones(n * n - n), -np.ones(n * n - n)], offsets=[-n, n])
    K = sparse.csr_array(line + across)
    part = parts_of(K, 4)
    assert np.bincount(part).max() < 1.1 * n * n / 4
    row = np.repeat(np.arange(n * n), np.diff(K.indptr))
    assert (part[row] != part[K.indices]).sum() < 8 * n                # cut couplings, counted from both sides
    assert sorted(parts_of(sparse.csr_array(np.diag([1.0, 2.0, 3.0])), 3)) == [0, 1, 2]

    operator = Operator(K, K, np.ones(n * n), True)
    rows, columns = np.array([5, 3]), np.array([5, 3, 4, 2, 6, 35, 33])
    local = operator.rows(rows, columns)
    assert local.stiffness.shape == (2, 7)
    np.testing.assert_array_equal(local.stiffness.toarray(), K.toarray()[np.ix_(rows, columns)])


def test_what_is_merged() -> None:
    a, b = np.array([1.0, np.nan, np.nan], np.float32), np.array([np.nan, 0.1, np.nan])
    assert merged([a, b])[:2].tolist() == [1.0, 0.1] and np.isnan(merged([a, b])[2])
