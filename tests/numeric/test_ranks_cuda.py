"""GPUs of several MPI ranks, on the stand-in for CuPy: what they give is what one rank gives on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import CASE, LUMPED, MPIEXEC, ended, needs_mpi, on_ranks, same, write
from test_cuda_backend import problem

from upstroke.backend import open_backend
from upstroke.backend.halo import Alone
from upstroke.errors import DivergenceError
from upstroke.parallel.devices import device_of
from upstroke.run import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for CuPy is for Linux")
SMALL = {"mesh": CASE["mesh"] | {"dx": "0.4 mm"}, "backend": {"device": "cuda"},
         "time": CASE["time"] | {"end": "3 ms", "dt": "0.1 ms"}, "stimulus": CASE["stimulus"] | {"period": "2 ms"},
         "watch": CASE["watch"] | {"snapshots": {"every": "1 ms", "variables": ["V", "h"]}}}
SHORT = SMALL["time"] | {"end": "2 ms", "dt": "0.05 ms"}
RUNS: dict[str, dict[str, Any]] = {
    "conjugate gradients": {},
    "strang, chebyshev": {"time": SMALL["time"] | {"splitting": "strang"},
                          "solver": CASE["solver"] | {"method": "chebyshev"}},
    "strang, mixed": {"time": SMALL["time"] | {"splitting": "strang"}, "tissue": CASE["tissue"] | {"waves": 0.2},
                      "backend": {"device": "cuda", "precision": "mixed"}},
    "explicit": {"tissue": LUMPED, "time": SHORT | {"diffusion": "explicit"}},
    "device buffers, to rest": {
        "backend": {"device": "cuda", "cuda_aware_mpi": True},
        "stimulus": {key: value for key, value in CASE["stimulus"].items() if key not in ("period", "count")},
        "watch": SMALL["watch"] | {"stop_when_quiet": {"threshold": "30 mV", "during": "1 ms"}}},
    "cable": {"mesh": {"kind": "cable", "length": "8 mm", "dx": "0.2 mm"}, "time": SHORT,
              "tissue": LUMPED | {"conductivity": {"monodomain": ["3 mS/cm"]}},
              "watch": SMALL["watch"] | {"ecg": {"electrodes": {"a": ["9 mm"]}, "every": "0.5 ms", "thickness": "1 mm"},
                                        "probes": {"points": {"a": ["0 mm"], "b": ["4.1 mm"]}, "every": "0.5 ms"},
                                        "spikes": {"points": {"a": ["0.5 mm"]}, "threshold": "-60 mV"}}},
}
#: Several runs in one job, which takes most of its time to start; the stand-in's device memory is the host's.
JOB = """
import json, sys
from upstroke.parallel.ranks import Ranks
from upstroke.run import run
Ranks.takes_device_memory = lambda self: True
for case, out in json.loads(sys.argv[1]):
    run(case, out)
"""


def job(count: int, script: str, argument: Any, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(MPIEXEC), "-n", str(count), sys.executable, "-c", script, json.dumps(argument)],
                          capture_output=True, text=True, timeout=120, env=environment)


def cases(folder: Path, names: list[str]) -> list[tuple[str, str]]:
    """The path of each case and of what it leaves."""
    made = []
    for name in names:
        place = folder / name.replace(", ", "_").replace(" ", "_")
        place.mkdir()
        made.append((str(write(place, SMALL | RUNS[name])), str(place / "several")))
    return made


@needs_mpi
@pytest.mark.parametrize(("count", "order"), [(2, ""), (3, "reverse")])
def test_ranks_with_gpus_give_what_one_gives_on_the_cpu(count: int, order: str, tmp_path: Path,
                                                        emulated_environment: dict[str, str]) -> None:
    """In one order of blocks and the other; unwritten memory of the stand-in is NaN, and nothing runs before its
    time, so rows that are worked on without their ghosts would show."""
    names = list(RUNS) if count == 2 else ["conjugate gradients", "strang, chebyshev"]
    made = cases(tmp_path, names)
    done = job(count, JOB, made, emulated_environment | {"UPSTROKE_EMULATED_ORDER": order,
                                                         "UPSTROKE_EMULATED_DEVICES": "2"})
    assert done.returncode == 0, done.stderr
    assert "persistent request" not in done.stderr
    for name, (case, out) in zip(names, made, strict=True):
        manifest = json.loads((Path(out) / "manifest.json").read_text())["backend"]
        assert (manifest["device"], manifest["chosen"]) == ("cuda", f"rank 0 of {count}, GPU 0")
        assert manifest["mpi_reads"] == ("device memory" if "buffers" in name else "pinned memory")
        one = Path(case).parent / "one"
        cg = ("solver.method=cg",) if name == "cable" else ()             # which one rank would solve as a tree
        run(case, one, overrides=("backend.device=cpu", "backend.threads=1", *cg))
        same(one, Path(out), 1e-3 if "mixed" in name else 1e-8)


@needs_mpi
def test_a_checkpoint_goes_on_on_gpus_and_on_the_cpu(tmp_path: Path, emulated_environment: dict[str, str]) -> None:
    """As many GPUs give the same bits; one CPU rank the same to 1e-8."""
    case, parts = write(tmp_path, SMALL | RUNS["strang, chebyshev"]), tmp_path / "parts"
    done = on_ranks(2, "run", case, "--out", tmp_path / "2", "--quiet", environment=emulated_environment)
    assert done.returncode == 0, done.stderr
    assert "note: up to 2 ranks share a GPU, which takes them in turns: start a rank for each GPU\n" in done.stdout
    done = ended(2, "10", tmp_path, "run", case, "--out", parts, "--quiet", environment=emulated_environment)
    assert done.returncode == 75 and "ended after 11 of 30 steps: another rank" in done.stderr, done.stderr
    done = ended(2, "20", tmp_path, "resume", parts, "--quiet", environment=emulated_environment)
    assert done.returncode == 75, done.stderr
    done = ended(1, "", tmp_path, "resume", parts, "--backend", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    same(tmp_path / "2", parts, 1e-8)


@needs_mpi
def test_what_breaks_on_one_rank_halts_all(tmp_path: Path, emulated_environment: dict[str, str]) -> None:
    """In the step, and with the message, of a single rank on the CPU."""
    case = write(tmp_path, SMALL)
    wild = ("--quiet", "--set", "stimulus.current=1e9 uA/cm^2")
    done = on_ranks(2, "run", case, "--out", tmp_path / "2", *wild, environment=emulated_environment)
    with pytest.raises(DivergenceError, match="left the finite numbers") as error:
        run(case, tmp_path / "1", overrides=("stimulus.current=1e9 uA/cm^2", "backend.device=cpu"))
    said = str(error.value)
    assert done.returncode == 1 and json.loads((tmp_path / "2" / "manifest.json").read_text())["error"] == said
    done = on_ranks(2, "run", case, "--out", tmp_path / "3", "--quiet", "--set", "solver.max_iterations=1",
                    environment=emulated_environment)
    assert done.returncode == 1 and done.stderr.count("the diffusion solver did not converge in 1 iterations") == 1


@needs_mpi
def test_what_is_missing_is_told_once(tmp_path: Path, emulated_environment: dict[str, str]) -> None:
    case = write(tmp_path, SMALL | {"watch": {}, "time": SMALL["time"] | {"end": "0.3 ms"}})
    done = on_ranks(2, "run", case, "--set", "backend.cuda_aware_mpi=true", environment=emulated_environment)
    assert done.returncode == 1 and done.stderr.count(
        "backend.cuda_aware_mpi: this MPI says that it does not read the memory of GPUs\n"
        "  -> leave it out, or build mpi4py on an MPI that is CUDA-aware") == 1, done.stderr
    none = emulated_environment | {"UPSTROKE_EMULATED_DEVICES": "0"}
    done = on_ranks(2, "run", case, environment=none)
    assert done.returncode == 1 and done.stderr.count(
        "backend.device: CUDA cannot be used by rank 0: CuPy finds no CUDA device\n  -> see nvidia-smi") == 1
    two = emulated_environment | {"UPSTROKE_EMULATED_DEVICES": "2"}
    words = ("--quiet", "--backend", "auto", "--out")
    for environment, out, said in (
            (none, "a", "(rank 0 of 2; CUDA cannot be used by rank 0: CuPy finds no CUDA device)"),
            (emulated_environment, "b", "(rank 0 of 2; there are fewer GPUs than ranks)"),
            (two, "c", "(rank 0 of 2, GPU 0)")):
        done = on_ranks(2, "run", case, *words, tmp_path / out, environment=environment)
        assert done.returncode == 0 and said in done.stdout and "share a GPU" not in done.stdout, done.stdout


def test_gpus_are_taken_in_turn() -> None:
    all_four = [("0", "1", "2", "3")] * 6
    assert [device_of(all_four, place) for place in range(6)] == [0, 1, 2, 3, 0, 1]
    own = [("0",), ("1",), ("2",)]                                        # a launcher that gives each its own
    assert [device_of(own, place) for place in range(3)] == [0, 0, 0]
    by_socket = [("0", "1"), ("2", "3"), ("0", "1"), ("2", "3")]
    assert [device_of(by_socket, place) for place in range(4)] == [0, 0, 1, 1]
    assert device_of([(), ()], 1) == 0


@pytest.mark.parametrize("shuffled", [False, True], ids=["rows repeat", "sliced rows"])
@pytest.mark.parametrize("method", ["cg", "chebyshev", "explicit"])
def test_solvers_of_several_launches(method: str, shuffled: bool, emulated_cupy: Any) -> None:
    """Of one process, which has no ghosts, they give what the CPU's give, in as many iterations."""
    from upstroke.backend.cuda_ranks import CudaRankBackend

    A, K, mass, V = problem(shuffled)
    results = []
    for backend in (open_backend("cpu", 1), CudaRankBackend("fp64", Alone(), False)):
        v = backend.array(V)
        stage = (backend.explicit_diffusion(K, mass, v, 0.05) if method == "explicit" else
                 backend.implicit_diffusion(A, K, v, 0.05, 1e-8, 500, method))
        loop = backend.loop([stage])
        for n in range(5):
            loop.run(n)
        loop.sync()
        results.append((np.array(backend.to_host(v)), loop.clock))
    (expected, clock), (found, other) = results
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert (other.step, other.solves, other.iterations) == (clock.step, clock.solves, clock.iterations)
    assert (other.residual > 0) == (method != "explicit")


def test_what_lies_between_solves_is_recorded(emulated_cupy: Any) -> None:
    """And what breaks a step halts the host's clock in that step, and the device's."""
    from upstroke.backend.cuda_ranks import CudaRankBackend

    class Sees(Alone):
        def agreed(self, status: int) -> int:
            return status | (1 if gpu.clock.step == 3 and gpu.clock.solves == 4 else 2)     # as another rank has met

    gpu = CudaRankBackend("fp64", Sees(), False)
    A, K, _, V = problem(True)
    v, out = gpu.array(V), gpu.zeros(1)
    stimulus = gpu.inputs(out, np.array([0]), np.array([0, 1]), np.array([0], np.int32), np.ones(1), np.array([0, 2]),
                          np.array([[1.0], [5.0]]))
    solve = gpu.implicit_diffusion(A, K, v, 0.05, 1e-8, 500, "chebyshev")
    loop = gpu.loop([stimulus, solve, stimulus])
    for n in range(4):
        loop.run(n)
        assert gpu.to_host(out)[0] == (1.0 if n < 2 else 5.0)
    assert [segment.tells for segment in loop._segments] == ["", "diffusion", ""]
    assert [segment._graph is not None for segment in loop._segments] == [True, False, True]
    assert (loop.clock.halted, loop.clock.step, loop.clock.status, loop.clock.bounded_steps) == (True, 3, 1, 3)
    seen = loop.clock.counts()
    loop.sync()
    assert loop.clock.counts() == seen and set(loop.seconds) == {"diffusion"}
