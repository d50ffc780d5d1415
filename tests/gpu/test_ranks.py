"""MPI ranks with a GPU each, or a part of one, give what one rank gives on the CPU."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import meshio
import numpy as np
import pytest
from compare import sheet, tiny

from upstroke.case.toml import write_document

MPIEXEC = Path(sys.executable).with_name("mpiexec")
pytestmark = pytest.mark.skipif(not MPIEXEC.exists() or not all(map(find_spec, ("mpi4py", "pymetis"))),
                                reason='no MPI beside this Python: pip install "upstroke[mpi]"')


@pytest.mark.parametrize(("count", "tables"), [
    (2, {"solver": {"method": "cg"}}),
    (3, {"solver": {"method": "chebyshev"}, "time": {"splitting": "strang"}}),
    (4, {"time": {"diffusion": "explicit", "dt": "0.05 ms"}, "tissue": {"waves": "lumped"}}),
], ids=["cg", "chebyshev", "explicit"])
def test_ranks_on_gpus(same, tmp_path, count, tables):
    if tiny() and count > 2:
        pytest.skip("tests/numeric/test_ranks_cuda.py has it")
    case = sheet(72, 48, **tables) | {"backend": {"device": "cuda"}}
    (tmp_path / "case.toml").write_text(write_document(case))
    done = subprocess.run([str(MPIEXEC), "-n", str(count), sys.executable, "-m", "upstroke", "run",
                           str(tmp_path / "case.toml"), "--out", str(tmp_path / "ranks"), "--quiet"],
                          capture_output=True, text=True, env=os.environ, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"rank 0 of {count}, GPU 0" in done.stdout
    same.run(case, device="cpu")
    found, expected = (meshio.read(tmp_path / name / "activation.vtu").point_data for name in ("ranks", "cpu1"))
    assert np.isfinite(expected["activation_ms"]).sum() > (5 if tiny() else 1000)
    for name in ("activation_ms", "repolarisation_ms"):
        assert np.array_equal(np.isnan(found[name]), np.isnan(expected[name])), name
        worst = np.nanmax(abs(found[name] - expected[name]), initial=0.0)
        same.seen[name] = float(worst)
        assert worst <= (1e-6 if name == "activation_ms" else 1e-5), name
