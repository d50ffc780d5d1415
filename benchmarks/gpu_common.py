"""What the GPU benchmarks share: the device and its limits measured in the same run, fair timing, budgets, reports.

    python benchmarks/gpu_common.py             which device, driver, CuPy; what is missing
    python benchmarks/gpu_common.py --emulated  the same with the stand-in for CuPy of tests/emulated

Times are host seconds from an idle device to an idle device around many steps, so they hold everything a step costs.
A result file is only ever written by a real device.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = Path(os.environ.get("RESULTS") or HERE / "results")
EMULATOR = HERE.parent / "tests" / "emulated"
ROUND_S = 0.04         # seconds of one turn of a contestant: hides the cost of reading the clock
ROUNDS = 5


# ------------------------------------------------------------------------------------------ command line, budget
class Budget:
    """Seconds that a benchmark may take, from its start."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._start = seconds, time.perf_counter()

    @property
    def spent(self) -> float:
        return time.perf_counter() - self._start

    @property
    def left(self) -> float:
        return self.seconds - self.spent


@dataclass(frozen=True)
class Settings:
    """How a benchmark was called."""

    budget: Budget
    emulated: bool


def settings(description: str | None, budget: float) -> Settings:
    """Read ``--budget`` and ``--emulated``; leave with status 3 and a reason where there is no device."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=budget, metavar="SECONDS",
                        help="stop taking on work after this time (default %(default)g)")
    parser.add_argument("--emulated", action="store_true",
                        help="tiny, with the tests' stand-in for CuPy: checks the script, measures nothing")
    found = parser.parse_args()
    if found.emulated:
        sys.path.insert(0, str(EMULATOR))
    if reason := no_device():
        print(f"{Path(sys.argv[0]).name}: {reason}")
        sys.exit(3)
    return Settings(Budget(found.budget), emulated())


def no_device() -> str:
    """Why there is no CUDA device; empty where there is one."""
    try:
        import cupy
    except ImportError as e:
        return f"no CuPy here ({e}); install cupy-cuda12x or cupy-cuda13x"
    return "" if cupy.cuda.is_available() else "CuPy finds no CUDA device"


def emulated() -> bool:
    """Whether the CuPy that would be imported is the tests' stand-in."""
    import cupy

    return Path(cupy.__file__).resolve().is_relative_to(EMULATOR)


# ------------------------------------------------------------------------------------------------------- device
def device() -> dict[str, Any]:
    """The device, its driver, and the versions of what drives it."""
    import cupy

    made: dict[str, Any] = {"cupy": cupy.__version__}
    if emulated():
        return made | {"device": "emulated"}
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(runtime.getDevice())
    return made | {
        "device": properties["name"].decode(), "memory_GiB": round(properties["totalGlobalMem"] / 2**30, 1),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "multiprocessors": properties["multiProcessorCount"], "L2_MiB": round(properties["l2CacheSize"] / 2**20, 1),
        "driver": _version(runtime.driverGetVersion()), "runtime": _version(runtime.runtimeGetVersion()),
    }


def _version(number: int) -> str:
    """13000 is CUDA 13.0."""
    return f"{number // 1000}.{number % 1000 // 10}"


def stamp() -> dict[str, Any]:
    """Where and when a result was made."""
    import upstroke
    from upstroke.output.manifest import commit

    return {"upstroke": upstroke.__version__, "commit": os.environ.get("UPSTROKE_COMMIT") or commit(), **device(),
            "python": sys.version.split()[0], "numpy": metadata.version("numpy"),
            "date": datetime.now(UTC).isoformat(timespec="seconds")}


def memory_left() -> int:
    """Bytes of free device memory, once all that nothing refers to is given back."""
    import cupy

    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    return int(cupy.cuda.runtime.memGetInfo()[0])


def memory_used() -> int:
    """Bytes of device memory in arrays."""
    import cupy

    gc.collect()
    return int(cupy.get_default_memory_pool().used_bytes())


# ------------------------------------------------------------------------------------------------------- timing
class Contestant:
    """Steps of a loop, timed from an idle device to an idle device; ``done`` steps are behind it."""

    def __init__(self, loop: Any, done: int = 0) -> None:
        self.loop, self._done = loop, done

    def take(self, steps: int) -> float:
        """Seconds of ``steps`` more steps."""
        start = time.perf_counter()
        for n in range(self._done, self._done + steps):
            self.loop.run(n)
        self.loop.sync()
        self._done += steps
        if self.loop.clock.halted:
            raise RuntimeError(f"the loop halted in step {self.loop.clock.step}, status {self.loop.clock.status}")
        return time.perf_counter() - start


@dataclass(frozen=True)
class Timing:
    """Seconds per step: median, least and most of the rounds."""

    median: float
    least: float
    most: float

    @property
    def spread(self) -> float:
        return (self.most - self.least) / self.median


def take_turns(contestants: Mapping[str, Contestant], tiny: bool, *, round_s: float = ROUND_S) -> dict[str, Timing]:
    """Seconds per step of each contestant: warmed up, then in turns.

    ``tiny`` takes one step each, for the emulator.
    """
    steps: dict[str, int] = {}
    for name, contestant in contestants.items():
        contestant.take(1 if tiny else 5)                          # compiles, captures, fills the caches
        steps[name] = 1
        while not tiny and contestant.take(steps[name]) < round_s and steps[name] < 100_000:
            steps[name] *= 2
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(1 if tiny else ROUNDS):
        for name, contestant in contestants.items():
            seconds[name].append(contestant.take(steps[name]) / steps[name])
    return {name: Timing(median(s), min(s), max(s)) for name, s in seconds.items()}


# ------------------------------------------------------------------------------------------ limits of the device
HEAD = """#ifndef UPSTROKE_CLOCK
#define UPSTROKE_CLOCK
typedef struct { long step; int halted; int status; } upstroke_clock;
#endif
"""
COPY = HEAD + """
typedef struct { double *to; const double *from; double t; } copy_args;

/* four doubles a thread, n apart: whole cache lines per warp, four loads in flight */
extern "C" __global__ void __launch_bounds__(128) copy(copy_args a, long n, upstroke_clock *clock)
{
    long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double x0 = a.from[i], x1 = a.from[i + n], x2 = a.from[i + 2 * n], x3 = a.from[i + 3 * n];
    a.to[i] = x0, a.to[i + n] = x1, a.to[i + 2 * n] = x2, a.to[i + 3 * n] = x3;
}
"""
FMA_CHAINS, FMA_LENGTH = 8, 512
FMA = HEAD + """
typedef struct { REAL *out; double a, b, t; } fma_args;

/* CHAINS independent chains of LENGTH multiply-adds a thread: nothing but arithmetic */
extern "C" __global__ void __launch_bounds__(128) chains(fma_args c, long n, upstroke_clock *clock)
{
    long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    REAL x[CHAINS], a = (REAL)c.a, b = (REAL)c.b, sum = 0;
    #pragma unroll
    for (int k = 0; k < CHAINS; k++) x[k] = (REAL)(i + k) * (REAL)1e-6;
    #pragma unroll 4
    for (int step = 0; step < LENGTH; step++)
        #pragma unroll
        for (int k = 0; k < CHAINS; k++) x[k] = x[k] * a + b;
    #pragma unroll
    for (int k = 0; k < CHAINS; k++) sum += x[k];
    c.out[i] = sum;
}
"""


class _CopyArgs(ctypes.Structure):
    _fields_ = [("to", ctypes.c_void_p), ("from", ctypes.c_void_p), ("t", ctypes.c_double)]


class _FmaArgs(ctypes.Structure):
    _fields_ = [("out", ctypes.c_void_p), ("a", ctypes.c_double), ("b", ctypes.c_double), ("t", ctypes.c_double)]


@dataclass(frozen=True)
class Limits:
    """What the device does at most, measured here: the other figures of a table are compared with these."""

    copy: float                  # bytes/s, read and written, of a device copy
    fma: Mapping[str, float]     # flop/s by "fp64" and "fp32"; a multiply-add counts as two
    launch: float                # s per step of a loop whose only kernel has next to nothing to do

    def lines(self) -> list[str]:
        return [f"Limits measured in this run: copy {self.copy / 1e9:.0f} GB/s (read and written), multiply-add "
                f"{self.fma['fp64'] / 1e12:.2f} TFLOP/s in fp64, {self.fma['fp32'] / 1e12:.2f} in fp32, "
                f"an empty step {1e6 * self.launch:.1f} us."]


def measure_limits(tiny: bool) -> Limits:
    """Copy bandwidth, multiply-add rates and the cost of an empty step, in turns."""
    threads, workers = (256, 256) if tiny else (2**25, 2**20)     # 2^25 threads copy 1 GiB, many times the L2 cache
    backend = open_cuda("fp64")
    source, target = backend.zeros(4 * threads), backend.zeros(4 * threads)
    source[:] = 1.5
    copy = _CopyArgs(backend.pointer(target), backend.pointer(source))
    loops = {"copy": _loop(COPY, "copy", copy, threads), "empty": _loop(COPY, "copy", copy, 1)}
    outs = {"double": backend.zeros(workers), "float": backend.zeros(workers, dtype="float32")}
    for real, out in outs.items():
        text = f"#define REAL {real}\n#define CHAINS {FMA_CHAINS}\n#define LENGTH {FMA_LENGTH}\n{FMA}"
        loops[real] = _loop(text, "chains", _FmaArgs(backend.pointer(out), 0.999, 0.001), workers)
    seconds = take_turns({name: Contestant(loop) for name, loop in loops.items()}, tiny)
    flops = 2.0 * FMA_CHAINS * FMA_LENGTH * workers
    return Limits(copy=2 * source.nbytes / seconds["copy"].median, fma={
        "fp64": flops / seconds["double"].median, "fp32": flops / seconds["float"].median},
        launch=seconds["empty"].median)


def _loop(source: str, name: str, args: ctypes.Structure, n: int) -> Any:
    """A loop over one kernel, on a backend of its own."""
    backend = open_cuda("fp64")
    return backend.loop([backend.kernel(source, name, args, n, dt=1.0, label=name)])


def open_cuda(precision: str) -> Any:
    """The CUDA backend."""
    from upstroke.backend import open_backend

    return open_backend("cuda", 0, precision)


# ------------------------------------------------------------------------------------------------------ reports
def heading(title: str, script: str, head: Mapping[str, Any]) -> list[str]:
    """The first lines of a table: what was measured, on what."""
    lines = [f"# {title}", ""]
    if head["device"] == "emulated":
        return [*lines, "**Emulated: no device ran; the figures are those of a stand-in on a CPU and mean nothing.**"]
    return [*lines, f"`python benchmarks/{script}`; {head['device']}, {head['memory_GiB']} GiB, driver CUDA "
            f"{head['driver']}, runtime {head['runtime']}, CuPy {head['cupy']}, commit {head['commit']}, "
            f"{head['date']}."]


def report(name: str, content: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Print the table; write results/<name>.json and .md where a real device made it."""
    table = "\n".join(lines) + "\n"
    print(table, flush=True)
    if emulated():
        return
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(table)


def say(message: str) -> None:
    """Progress, for whoever waits."""
    print(f"  {message}", file=sys.stderr, flush=True)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and the seconds it took."""
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def main() -> None:
    settings(__doc__, 10.0)
    for key, value in stamp().items():
        print(f"{key:20} {value}")
    print(f"{'C compiler':20} {_compiler()}")


def _compiler() -> str:
    from upstroke.backend.compiler import find_compiler
    from upstroke.errors import UpstrokeError

    try:
        return str(find_compiler())
    except UpstrokeError as e:
        return f"none ({e})"


if __name__ == "__main__":
    main()
