"""GPUs of several MPI ranks, on the stand-in for CuPy: what they give is what one rank gives on the CPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import CASE, LUMPED, ended, needs_mpi, runs, same, write
from test_cuda_backend import problem

from upstroke.backend import open_backend
from upstroke.backend.halo import Alone
from upstroke.errors import DivergenceError
from upstroke.parallel.devices import device_of
from upstroke.run import resume, run

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


@needs_mpi
@pytest.mark.parametrize(("count", "order"), [(2, ""), (3, "reverse")])
def test_ranks_with_gpus_give_what_one_gives_on_the_cpu(count: int, order: str, tmp_path: Path,
                                                        emulated_environment: dict[str, str]) -> None:
    """In one order of blocks and the other; unwritten memory of the stand-in is NaN, and nothing runs before its
    time, so rows that are worked on without their ghosts would show."""
    names = list(RUNS) if count == 2 else ["conjugate gradients", "strang, chebyshev"]
    cases = {name: write(tmp_path / name, SMALL | RUNS[name]) for name in names}
    said = runs(count, [(case, case.parent / "several", (), {}) for case in cases.values()],
                emulated_environment | {"UPSTROKE_EMULATED_ORDER": order, "UPSTROKE_EMULATED_DEVICES": "2"})
    assert len(said) == len(names) and all(f"(rank 0 of {count}, GPU 0)" in one for one in said), said
    for name, case in cases.items():
        one, several = case.parent / "one", case.parent / "several"
        manifest = json.loads((several / "manifest.json").read_text())["backend"]
        assert manifest["device"] == "cuda"
        assert manifest["mpi_reads"] == ("device memory" if "buffers" in name else "pinned memory")
        cg = ("solver.method=cg",) if name == "cable" else ()             # which one rank would solve as a tree
        run(case, one, overrides=("backend.device=cpu", "backend.threads=1", *cg))
        same(one, several, 1e-3 if "mixed" in name else 1e-8)


@needs_mpi
def test_a_checkpoint_goes_on_on_gpus_and_on_the_cpu(tmp_path: Path, emulated_environment: dict[str, str]) -> None:
    """A run that is begun on two GPUs, gone on with there, and ended on the CPU is one that was never ended."""
    case, parts = write(tmp_path, SMALL | RUNS["strang, chebyshev"]), tmp_path / "parts"
    run(case, tmp_path / "one", overrides=("backend.device=cpu", "backend.threads=1"))
    done = ended(2, "10", tmp_path, "run", case, "--out", parts, "--quiet", environment=emulated_environment)
    assert done.returncode == 75 and "ended after 11 of 30 steps: another rank" in done.stderr, done.stderr
    done = ended(2, "20", tmp_path, "resume", parts, "--quiet", environment=emulated_environment)
    assert done.returncode == 75, done.stderr
    resume(parts, device="cpu")
    same(tmp_path / "one", parts, 1e-8)


@needs_mpi
def test_what_breaks_on_one_rank_halts_all_and_what_is_missing_is_told(
        tmp_path: Path, emulated_environment: dict[str, str]) -> None:
    """In the step, and with the message, of a single rank on the CPU."""
    case = write(tmp_path, SMALL)
    wild, short = ("stimulus.current=1e9 uA/cm^2",), ("time.end=0.3 ms",)
    with pytest.raises(DivergenceError, match="left the finite numbers") as error:
        run(case, tmp_path / "1", overrides=(*wild, "backend.device=cpu"))
    none, one, two = ({"UPSTROKE_EMULATED_DEVICES": count} for count in "012")
    auto = (*short, "backend.device=auto")
    asked = [(wild, one), (("solver.max_iterations=1",), one), (short, one), (auto, two), (auto, one), (auto, none),
             (short, none), ((*short, "backend.cuda_aware_mpi=true"), one | {"UPSTROKE_ASK_MPI": ""})]
    said = runs(2, [(case, tmp_path / f"run{k}", *what) for k, what in enumerate(asked)], emulated_environment)
    assert said[0] == str(error.value) == json.loads((tmp_path / "run0" / "manifest.json").read_text())["error"]
    assert "the diffusion solver did not converge in 1 iterations" in said[1]
    notes = [json.loads((tmp_path / f"run{k}" / "manifest.json").read_text())["notes"] for k in (2, 3)]
    shared = "up to 2 ranks share a GPU, which takes them in turns: start a rank for each GPU"
    assert shared in notes[0] and shared not in notes[1]
    for k, words in ((2, "(rank 0 of 2, GPU 0)"), (3, "(rank 0 of 2, GPU 0)"),
                     (4, "(rank 0 of 2; there are fewer GPUs than ranks)"),
                     (5, "(rank 0 of 2; CUDA cannot be used by rank 0: CuPy finds no CUDA device)")):
        assert words in said[k]
    assert said[6].endswith('backend.device: CUDA cannot be used by rank 0: CuPy finds no CUDA device\n  -> see '
                            'nvidia-smi, and whether the cupy package is for its CUDA version, or take device = "cpu"')
    assert said[7].endswith("backend.cuda_aware_mpi: this MPI says that it does not read the memory of GPUs\n"
                            "  -> leave it out, or build mpi4py on an MPI that is CUDA-aware")


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
