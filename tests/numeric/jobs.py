"""A case with every kind of watcher, and commands on MPI ranks: what tests of ranks share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import meshio
import numpy as np
import pytest

from upstroke.case.toml import write_document

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
needs_mpi = pytest.mark.skipif(not MPIEXEC.exists(), reason="no mpiexec beside this Python: pip install mpi4py mpich")


def on_ranks(count: int, *words: str | Path, timeout: float = 120.0,
             environment: Mapping[str, str] = os.environ) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(MPIEXEC), "-n", str(count), sys.executable, "-m", "upstroke", *map(str, words)],
                          capture_output=True, text=True, timeout=timeout, env=environment)


def write(folder: Path, changes: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
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
        rows = [np.genfromtxt(folder / name, delimiter=",", skip_header=1, dtype=kind, ndmin=2)
                for folder in (one, several)]
        if kind is float:
            np.testing.assert_allclose(rows[1], rows[0], rtol=0, atol=within)
        else:
            assert rows[0][:, 0].tolist() == rows[1][:, 0].tolist()
    with h5py.File(one / "vm.vtkhdf") as x, h5py.File(several / "vm.vtkhdf") as y:
        assert {"V", "h"} <= set(x["VTKHDF/PointData"]) == set(y["VTKHDF/PointData"])
        for name in x["VTKHDF/PointData"]:
            np.testing.assert_allclose(y[f"VTKHDF/PointData/{name}"], x[f"VTKHDF/PointData/{name}"], rtol=0,
                                       atol=max(within, 1e-5))
        assert y["VTKHDF/Steps"].attrs["NSteps"] == x["VTKHDF/Steps"].attrs["NSteps"] >= 3


ENDED = """
import os, sys
from mpi4py import MPI
from upstroke.checkpoint import Saver
from upstroke.cli import main
see, steps, rank = Saver.see, [int(n) for n in sys.argv[1].split(",") if n], MPI.COMM_WORLD.rank
open(sys.argv[2] + f"/pid-{rank}", "w").write(str(os.getpid()))
def ended(self, n):
    if n in steps and rank == MPI.COMM_WORLD.size - 1:        # one of them was told, as by SIGTERM
        self._asked, self._end = "a test wants it", True
    see(self, n)
Saver.see = ended
sys.exit(main(sys.argv[3:]))
"""


def ended(count: int, steps: str, folder: Path, *words: str | Path,
          environment: Mapping[str, str] = os.environ) -> subprocess.CompletedProcess[str]:
    """A command on some ranks, the last of which is told to end after some steps."""
    return subprocess.run([str(MPIEXEC), "-n", str(count), sys.executable, "-c", ENDED, steps, str(folder),
                           *map(str, words)], capture_output=True, text=True, timeout=60, env=environment)


def exactly(one: Path, other: Path) -> None:
    """The same bytes in all that a run leaves, but for when it ran."""
    for name in ("summary.json", "activation.vtu", "probes.csv", "spikes.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    with h5py.File(one / "vm.vtkhdf") as x, h5py.File(other / "vm.vtkhdf") as y:
        for name in ("V", "h"):
            assert x[f"VTKHDF/PointData/{name}"][()].tobytes() == y[f"VTKHDF/PointData/{name}"][()].tobytes()


#: Several runs in one job, which takes most of its time to start; the first rank tells what each came to.
JOB = """
import json, os, sys
from mpi4py import MPI
from upstroke.errors import UpstrokeError
from upstroke.parallel.ranks import Ranks
from upstroke.run import run
asked = Ranks.takes_device_memory
for case, out, overrides, environment in json.loads(sys.argv[1]):
    os.environ.update(environment)
    # the device memory of the stand-in for CuPy is the host's
    Ranks.takes_device_memory = asked if "UPSTROKE_ASK_MPI" in environment else lambda self: True
    try:
        said = run(case, out, overrides=tuple(overrides)).device
    except UpstrokeError as error:
        said = str(error)
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(said), flush=True)
"""
Run = tuple[Path, Path, tuple[str, ...], dict[str, str]]           # case, out, overrides, environment


def runs(count: int, what: Sequence[Run], environment: Mapping[str, str] = os.environ) -> list[str]:
    """What computed in each run of a job, or the error in which it ended."""
    told = subprocess.run(
        [str(MPIEXEC), "-n", str(count), sys.executable, "-c", JOB,
         json.dumps([(str(case), str(out), *more) for case, out, *more in what])],
        capture_output=True, text=True, timeout=120, env=environment)
    assert told.returncode == 0 and "persistent request" not in told.stderr, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines() if line.startswith('"')]
