"""A run on several MPI ranks gives what one gives; mistakes are told once, and nothing waits for ever."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import meshio
import numpy as np
import pytest
from jobs import CASE, ENDED, LUMPED, MPIEXEC, ended, exactly, needs_mpi, on_ranks, runs, same, write

from upstroke.case import load_case
from upstroke.case.schema.case import Backend
from upstroke.errors import BackendError, CaseError
from upstroke.parallel import OneRank, open_shared, ranks_of_job, require_shareable, work_alone, world
from upstroke.parallel.ranks import parts_of
from upstroke.run import resume, run
from upstroke.space.operator import Operator

CASES = Path(__file__).parents[2] / "cases"
RUNS: dict[str, dict[str, Any]] = {
    "conjugate gradients": {}, "strang, chebyshev": {"time": CASE["time"] | {"splitting": "strang"},
                                                     "solver": CASE["solver"] | {"method": "chebyshev"}},
    "consistent, mixed": {"tissue": CASE["tissue"] | {"waves": 0.2},
                          "backend": {"device": "cpu", "precision": "mixed"}},
    "purkinje": {"mesh": {"kind": "slab", "size": ["5 mm", "4 mm", "1 mm"], "dx": "0.5 mm", "fibre": [2, 1, 0]},
                 "stimulus": {"nodes": "purkinje_root", "current": "800 uA/cm^2", "duration": "1 ms",
                              "period": "2.5 ms", "count": 2}, "purkinje": {
        "conductivity": "15 mS/cm", "diameter": "0.5 mm", "resistance": "1 kohm", "fractal": {
            "surface": "zmax", "root": ["0 mm", "1.5 mm", "1 mm"], "toward": ["4 mm", "1.5 mm", "1 mm"],
            "trunk": "1 mm", "length": "1 mm", "generations": 2}},
        "watch": CASE["watch"] | {"ecg": {"electrodes": {"a": ["9 mm"]}, "every": "0.5 ms"}, "spikes": {
            "points": {"a": ["2 mm", "1 mm", "1 mm"], "b": ["2 mm", "3 mm", "1 mm"]}, "threshold": "-76 mV"}}},
    "bounded conductor": {
        "tissue": CASE["tissue"] | {"conductivity": {"intracellular": ["4 mS/cm", "1.2 mS/cm"],
                                                     "extracellular": ["12 mS/cm", "6 mS/cm"]}},
        "watch": CASE["watch"] | {"snapshots": {"every": "2 ms", "variables": ["phi_e", "V", "h"]}, "ecg": {
            "electrodes": {"a": ["0 mm"], "b": ["8 mm", "6 mm"]}, "every": "0.5 ms", "conductor": "mesh"}}},
    "explicit": {"tissue": LUMPED, "time": CASE["time"] | {"diffusion": "explicit", "dt": "0.02 ms"}},
    "phases, comes to rest": {          # it ends before its time, when the last of the nodes of all ranks are below
        "membrane": {"model": "MitchellSchaeffer", "prepace": {"beats": 2, "period": "400 ms",
                                                               "phase": "0.9 + x * y / (480 mm * 1 mm)"}},
        "watch": CASE["watch"] | {
            "stop_when_quiet": {"threshold": "30 mV", "during": "2 ms"},
            "spikes": {"points": {"a": ["0.5 mm"], "b": ["0.5 mm", "3 mm"]}, "threshold": "-60 mV"}}},
}


@needs_mpi
def test_several_ranks_give_what_one_gives(tmp_path: Path) -> None:
    cases = {name: write(tmp_path / name, RUNS[name]) for name in RUNS}
    for case in cases.values():
        run(case, case.parent / "one")
    for count, names in ((3, list(RUNS)), (4, ["conjugate gradients"])):
        said = runs(count, [(cases[name], cases[name].parent / f"on {count}", (), {}) for name in names])
        assert len(said) == len(names) and all(f"(rank 0 of {count})" in one for one in said), said
        for name in names:
            same(cases[name].parent / "one", cases[name].parent / f"on {count}", 1e-3 if "mixed" in name else 1e-8)


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
    done = on_ranks(2, "run", case, "--set", "solver.method=scipy")
    assert done.returncode == 2 and done.stderr.count("does not run on 2 MPI ranks yet") == 1
    assert "Traceback" not in done.stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    impatient = ("import sys; from upstroke.parallel import ranks; ranks.PATIENCE = 0.5; "
                 "from upstroke.cli import main; sys.exit(main(sys.argv[1:]))")
    done = subprocess.run([str(MPIEXEC), "-n", "2", sys.executable, "-c", impatient, "run", str(case), "--out",
                           str(tmp_path / "full")], capture_output=True, text=True)      # only the first rank meets it
    assert done.returncode == 2 and "rank 0: " in done.stderr and "exists and is not empty" in done.stderr
    done = on_ranks(2, "run", case, "--out", tmp_path / "broken", "--quiet", "--set", "stimulus.current=1e9 uA/cm^2")
    assert done.returncode == 1 and done.stderr.count("left the finite numbers") == 1
    manifest = json.loads((tmp_path / "broken" / "manifest.json").read_text())
    assert manifest["status"] == "failed" and "node" in manifest["error"]


@pytest.mark.parametrize(("case", "overrides", "said"), [
    ({}, ("solver.method=scipy",), 'solver.method: "scipy" does not run on 2 MPI ranks yet\n'
                                   '  -> set solver.method = "cg"'),
    ({}, ("solver.method=tree",), 'solver.method: "tree" does not run on 2 MPI ranks yet\n'
                                  '  -> set solver.method = "cg"'),
    ({"tissue": LUMPED}, ("time.diffusion=explicit", "time.splitting=unsplit"),
     'time.splitting: "unsplit" does not run on 2 MPI ranks yet\n  -> set time.splitting = "strang"'),
    (CASES / "rallpack1", (), "cable: a neuron does not run on 2 MPI ranks yet\n"
                              "  -> run it on one, or members of a study on several: upstroke sweep")])
def test_what_does_not_run_on_several_ranks(case: Any, overrides: tuple[str, ...], said: str, tmp_path: Path) -> None:
    loaded = load_case(case if isinstance(case, Path) else write(tmp_path, case), overrides=overrides)
    with pytest.raises(CaseError) as error:
        require_shareable(loaded, SimpleNamespace(size=2))            # type: ignore[arg-type]
    assert str(error.value) == said


def test_a_job_without_mpi4py_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_SIZE", "3")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    for asks in (world, ranks_of_job):                   # a study, a run
        with pytest.raises(BackendError) as error:
            asks()
        assert str(error.value).startswith("mpiexec: started 3 processes, which cannot work together: import of mpi4py")
        assert str(error.value).endswith('  -> pip install "upstroke[mpi]", or mpi4py built on the site\'s MPI')
    work_alone()                                         # a member of a study that ranks share out
    assert world() is None


def test_what_is_for_several_gpus_is_told_elsewhere() -> None:
    section = Backend(device="cpu", threads=1, cuda_aware_mpi=True)
    assert open_shared(section, OneRank()).notes == (
        "backend.cuda_aware_mpi changes nothing here: it is for several ranks with a GPU each",)
    assert open_shared(replace(section, cuda_aware_mpi=False), OneRank()).notes == ()


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


# ----------------------------------------------------------------------------------------------------- checkpoints
@needs_mpi
def test_a_checkpoint_goes_on_on_any_number_of_ranks(tmp_path: Path) -> None:
    case, parts = write(tmp_path, RUNS["strang, chebyshev"]), tmp_path / "parts"
    run(case, tmp_path / "1")
    assert on_ranks(2, "run", case, "--out", tmp_path / "2", "--quiet").returncode == 0
    done = ended(2, "50", tmp_path, "run", case, "--out", parts, "--quiet")
    assert done.returncode == 75 and done.stderr.count("another rank was asked to end") == 1, done.stderr
    assert ("ended after 51 of 160 steps: another rank was asked to end; checkpoint-000000051.npz is written"
            in done.stderr)
    shutil.copytree(parts, tmp_path / "others")
    done = on_ranks(2, "resume", parts, "--quiet")
    assert done.returncode == 0, done.stderr
    exactly(tmp_path / "2", parts)                                     # as many ranks: the same bits
    parts = tmp_path / "others"
    done = ended(1, "130", tmp_path, "resume", parts, "--quiet")        # fewer, which are ended again
    assert done.returncode == 75 and "ended after 130 of 160 steps: a test wants it" in done.stderr
    done = on_ranks(3, "resume", parts, "--quiet")                     # and more
    assert done.returncode == 0, done.stderr
    same(tmp_path / "1", parts, 1e-8)
    assert not list(parts.glob("checkpoint-*"))


@needs_mpi
def test_a_signal_that_reaches_one_rank_ends_all(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    process = subprocess.Popen(
        [str(MPIEXEC), "-n", "2", sys.executable, "-c", ENDED, "", str(tmp_path), "run",
         str(write(tmp_path, {"watch": {}, "time": CASE["time"] | {"end": "100 s"}})), "--out", str(parts), "--quiet",
         "--checkpoint-every", "200 ms"], stderr=subprocess.PIPE, text=True)
    begun = time.monotonic()
    while len(list(parts.glob("checkpoint-*.npz"))) < 2 and time.monotonic() - begun < 40 and process.poll() is None:
        time.sleep(0.02)
    seen = {path.name for path in parts.glob("checkpoint-*.npz")}
    os.kill(int((tmp_path / "pid-1").read_text()), signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75 and said.count("upstroke resume") == 1, said
    left = {path.name for path in parts.glob("checkpoint-*.npz")}
    assert len(left) == len(seen) == 2 and left != seen
    assert json.loads((parts / "manifest.json").read_text())["status"] == "interrupted"


@needs_mpi
def test_a_rank_without_a_node_of_a_membrane(tmp_path: Path) -> None:
    """Ranks then have unlike numbers of stages, and of arrays in a checkpoint."""
    y, x = (0.3 * a.ravel() for a in np.mgrid[0:11, 0:31].astype(float))
    number = np.arange(len(x)).reshape(11, 31)
    a, b, c, d = (s.ravel() for s in (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]))
    cells = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    region = 1 + (x[cells].max(axis=1) < 1.0)                             # 2 is a strip at one end
    meshio.write(tmp_path / "strip.vtu", meshio.Mesh(np.stack([x, y, 0 * x], axis=1), [("triangle", cells)],
                                                     cell_data={"region": [region]}))
    case = write(tmp_path, {
        "mesh": {"kind": "file", "file": "strip.vtu", "unit": "mm"}, "time": CASE["time"] | {"end": "4 ms"},
        "tissue": CASE["tissue"] | {"conductivity": {"monodomain": ["2 mS/cm"]}},
        "membrane": [{"model": "HodgkinHuxley", "regions": [2]}, {"model": "MitchellSchaeffer"}],
        "watch": CASE["watch"] | {"probes": {"points": {"a": ["0.5 mm"], "b": ["7 mm", "1 mm"]}, "every": "0.5 ms"},
                                  "spikes": {"points": {"a": ["0.5 mm"], "b": ["2 mm", "1 mm"]},
                                             "threshold": "-40 mV"}}})
    run(case, tmp_path / "one")
    parts = tmp_path / "parts"
    done = ended(2, "50", tmp_path, "run", case, "--out", parts, "--quiet")
    assert done.returncode == 75, done.stderr
    resume(parts)
    same(tmp_path / "one", parts, 1e-8)
