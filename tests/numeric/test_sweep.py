"""Studies, run: what is gathered, what a failure does, and that nothing finished is lost when they are killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from samples import CABLE

from upstroke.errors import OutputError
from upstroke.sweep import read_plan, sweep
from upstroke.sweep.gather import draw, numbers_of, write_table
from upstroke.sweep.pools import Jobs, LocalPool

CASE = CABLE + "[output]\npicture = false\n"
STUDY = """
case = "."
[grid]
stimulus.0.current = ["50 uA/cm^2", "60 uA/cm^2", "1e9 uA/cm^2"]
time.end = ["5 ms", "6 ms"]
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "case.toml").write_text(CASE)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "study.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def results(folder: Path) -> dict[str, bytes]:
    """What must not depend on when a study was ended."""
    return {str(path.relative_to(folder)): path.read_bytes() for name in ("summary.json", "activation.vtu")
            for path in sorted(folder.glob(f"members/*/{name}"))}


def test_one_member_that_diverges_leaves_the_others_alone(study: Path) -> None:
    plan, out = read_plan(study), study / "out"
    result = sweep(plan, out, workers=2)
    assert [row["status"] for row in result.rows] == ["done"] * 4 + ["failed"] * 2
    assert result.count("done") == 4 and "t = 0.5 ms" in result.rows[4]["error"]
    rows = table(out)
    assert [row["time.end"] for row in rows] == ["5 ms", "6 ms"] * 3
    for row in rows[:4]:
        summary = json.loads((out / "members" / f"{int(row['member']):04d}" / "summary.json").read_text())
        assert float(row["latest_activation.time_ms"]) == summary["latest_activation"]["time_ms"] > 1.0
    assert rows[4]["latest_activation.time_ms"] == "" and rows[4]["error"]
    assert (out / "study.png").exists()
    about = json.loads((out / "study.json").read_text())
    assert about["status"] == "done" and about["members"] == {"done": 4, "failed": 2, "missing": 0}
    assert result.report().startswith("4 of 6 members done, 2 failed\nfailed: member 4: ")

    before = {path: path.stat().st_mtime_ns for path in out.glob("members/*/*")}
    assert sweep(plan, out).rows[4]["status"] == "failed"              # nothing is run again
    assert {path: path.stat().st_mtime_ns for path in out.glob("members/*/*")} == before
    sweep(plan, out, retry_failed=True)
    after = {path: path.stat().st_mtime_ns for path in out.glob("members/*/*")}
    assert all(after[path] == before[path] for path in before if path.parent.name < "0004")
    assert all(after[path] > before[path] for path in before if path.parent.name >= "0004")


def test_folders_of_others_are_left_alone(study: Path) -> None:
    plan = read_plan(study)
    other = study / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError) as error:
        sweep(plan, other)
    assert str(error.value) == f"{other}: exists and holds no study\n  -> give another folder: --out DIR"
    out = study / "out"
    (study / "study.toml").write_text(STUDY.replace(', "1e9 uA/cm^2"', "").replace(', "6 ms"', ""))
    sweep(read_plan(study), out, workers=1)
    with pytest.raises(OutputError) as error:
        sweep(plan, out)
    assert str(error.value) == (f"{out}: holds another study, or this one with other members\n"
                                "  -> give another folder: --out DIR")


def command(study: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "upstroke", "sweep", str(study), "--out", str(out), "--quiet", *more]


def test_nothing_finished_is_lost_when_a_study_is_killed(study: Path) -> None:
    (study / "study.toml").write_text('case = "."\n[sample]\ncount = 12\n'
                                      'stimulus.0.current = { low = "50 uA/cm^2", high = "80 uA/cm^2" }\n')
    plan, whole, out = read_plan(study), study / "whole", study / "out"
    sweep(plan, whole, workers=1)
    random = np.random.default_rng(0)
    kills = 0
    for _ in range(6):
        process = subprocess.Popen(command(study, out, "--workers", "2"), start_new_session=True)
        begun = time.monotonic()
        while not (out / "outcomes.jsonl").exists() and process.poll() is None and time.monotonic() - begun < 60:
            time.sleep(0.02)
        time.sleep(random.uniform(0.0, 0.15))
        kills += process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        done = {path: path.stat().st_mtime_ns for path in out.glob("members/*/manifest.json")
                if json.loads(path.read_text())["status"] == "done"}
    assert kills and done
    result = sweep(plan, out, workers=2)
    assert result.count("done") == 12
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert results(out) == results(whole)
    assert {row["member"] for row in table(out)} == {str(k) for k in range(12)}


def test_a_study_that_is_told_to_end_says_so_and_goes_on(study: Path) -> None:
    (study / "case.toml").write_text(CASE.replace('end = "6 ms"', 'end = "600 s"'))
    (study / "study.toml").write_text('case = "."\n[grid]\ntime.dt = ["0.1 ms", "0.05 ms"]\n')
    out = study / "out"
    process = subprocess.Popen(command(study, out, "--workers", "2"), stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONWARNINGS": "default"})      # of pipes that are left open
    for _ in wait_for(lambda: len(list(out.glob("members/*/manifest.json"))) == 2):
        pass
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and said.strip() == "terminated"
    assert json.loads((out / "study.json").read_text())["status"] == "unfinished"
    assert [json.loads(path.read_text())["status"] for path in out.glob("members/*/manifest.json")] == [
        "interrupted", "interrupted"]
    with pytest.raises(OutputError) as error, (out / ".lock").open("w") as lock:
        import fcntl
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep(read_plan(study), out)
    assert str(error.value) == (f"{out}: another sweep is at work here\n"
                                "  -> wait for it, or give another folder: --out DIR")


def wait_for(condition, seconds: float = 60.0) -> Iterator[None]:
    begun = time.monotonic()
    while not condition() and time.monotonic() - begun < seconds:
        time.sleep(0.02)
        yield


def test_a_process_that_dies_or_takes_too_long_is_a_failed_member(study: Path) -> None:
    (study / "case.toml").write_text(CASE.replace('end = "6 ms"', 'end = "600 s"'))
    tasks = {k: {"sources": [str(study)], "overrides": [] if k == 0 else ["time.end=6 ms"], "out": str(study / str(k))}
             for k in range(2)}
    found = dict(LocalPool(1, 0, study / "log", time_limit=6.0)(Jobs(tasks, [(0,), (1,)])))
    assert found[0]["error"] == "took longer than the time limit of 6 s" and found[1]["status"] == "done"

    pool = LocalPool(1, 0, study / "log", time_limit=None)
    tasks = {0: tasks[0] | {"out": str(study / "a")}, 1: tasks[1] | {"out": str(study / "b")}}
    running = pool(Jobs(tasks, [(0,), (1,)]))
    import threading
    found = {}
    thread = threading.Thread(target=lambda: found.update(running))
    thread.start()
    for _ in wait_for(lambda: (study / "a" / "manifest.json").exists()):
        pass
    pool._workers[0].process.kill()
    thread.join(60)
    assert found[0]["error"] == "its process died: signal SIGKILL; see log" and found[1]["status"] == "done"


def test_wrong_use_of_the_verb(study: Path) -> None:
    for words, said in ((("--workers", "0"), "expected a whole number of at least 1, found '0'"),
                        (("--set", "time.dtt=1"), "did you mean 'dt'?")):
        done = subprocess.run(command(study, study / "out", *words), capture_output=True, text=True)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    done = subprocess.run([sys.executable, "-m", "upstroke", "sweep", str(study), "--dry-run"], capture_output=True,
                          text=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 6 and not (study / "runs").exists()


@pytest.mark.parametrize(("lines", "cupy", "code", "said"), [
    ("[run]\ngpus = 2\n", 'raise ImportError("no libcuda")', 1,
     "{study}/study.toml: run.gpus: 2 asked for, and CUDA cannot be used: CuPy cannot be imported: no libcuda\n"
     "  -> take as many as there are; 0 computes on the CPU\n"),
    ('[gather]\nformat = "parquet"\n', "", 2,
     "{study}/out/study.parquet: needs the Python package pyarrow\n"
     '  -> install it: pip install "upstroke[parquet]", or set gather.format = "csv"\n')])
def test_what_the_machine_lacks_is_told_before_anything_runs(
        study: Path, lines: str, cupy: str, code: int, said: str) -> None:
    (study / "study.toml").write_text(STUDY + lines)
    for package, text in (("cupy", cupy), ("pyarrow", "raise ImportError")):
        (study / "lacking" / package).mkdir(parents=True)
        (study / "lacking" / package / "__init__.py").write_text(text)
    paths = os.pathsep.join([str(study / "lacking"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command(study, study / "out"), capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": paths})
    assert (done.returncode, done.stderr) == (code, said.format(study=study))
    assert not (study / "out").exists()


def test_more_gpus_than_there_are(study: Path, emulated_environment: dict[str, str]) -> None:
    (study / "study.toml").write_text(STUDY + "[run]\ngpus = 99\n")
    done = subprocess.run(command(study, study / "out"), capture_output=True, text=True, env=emulated_environment)
    assert (done.returncode, done.stderr) == (1, f"{study}/study.toml: run.gpus: 99 asked for, and found 1\n"
                                                 "  -> take as many as there are; 0 computes on the CPU\n")


def test_tables_and_pictures(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    summary.write_text(json.dumps({"nodes": 5, "notes": ["a"], "latest_activation": {"time_ms": 2.5},
                                   "v_range_mV": [1, 2], "spikes": {"a": 2, "b": 3}, "apd": None}))
    numbers = numbers_of(summary)
    assert numbers == {"nodes": 5, "latest_activation.time_ms": 2.5, "v_range_mV.0": 1, "v_range_mV.1": 2, "spikes": 5,
                       "spikes.a": 2, "spikes.b": 3}
    row = {"member": 0, "status": "done", "seconds": 1.0, "values": {"time.dt": "0.1 ms"}, "numbers": numbers,
           "error": ""}
    failed = row | {"member": 1, "status": "failed", "values": {"time.dt": "0.2 ms"}, "numbers": {}, "error": "why"}
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(tmp_path / "study.parquet", ["time.dt"], [row, failed])
    read = parquet.read_table(tmp_path / "study.parquet").to_pylist()
    assert read[0]["spikes"] == 5 and read[1]["error"] == "why" and read[1]["spikes"] is None
    pytest.importorskip("matplotlib")
    assert draw(tmp_path / "a.png", "t", ["time.dt"], [row, failed], ["nodes", "spikes"]) == ""
    assert (tmp_path / "a.png").stat().st_size > 3000
    assert draw(tmp_path / "b.png", "t", ["time.dt"], [row], ["spike"]) == (
        "no picture: no member has the number 'spike' (gather.plot)")
    assert draw(tmp_path / "b.png", "t", ["time.dt"], [failed], None) == (
        "no picture: no member has an activation or spikes (gather.plot names other numbers)")


def test_ranks_of_an_mpi_job_are_workers(study: Path) -> None:
    pytest.importorskip("mpi4py")
    mpiexec = Path(sys.executable).with_name("mpiexec")
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside this Python")
    (study / "study.toml").write_text(STUDY + '[run]\nworkers = 4\ntime_limit = "1 h"\n')
    done = subprocess.run([str(mpiexec), "-n", "3", *command(study, study / "out")], capture_output=True, text=True,
                          timeout=120)
    assert done.stdout.startswith("4 of 6 members done, 2 failed"), done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("note: ")] == [
        f"note: run.{name} does nothing where the ranks of an MPI job are the workers"
        for name in ("workers", "time_limit")]
    found = [json.loads(path.read_text())["status"] for path in sorted((study / "out").glob("members/*/manifest.json"))]
    assert found == ["done"] * 4 + ["failed"] * 2
