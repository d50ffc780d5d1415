"""The calibrated operator on a mesh of gmsh: the Niederer slab at 0.5 mm, where standard schemes are far off."""

from pathlib import Path

import meshio
import numpy as np
import pytest

import upstroke

ROOT = Path(__file__).parents[2]
#: ms, converged: Richardson's extrapolation of lumped runs at 0.1 and 0.05 mm (benchmarks/results/niederer.md).
CONVERGED = {"P1": 1.23, "P2": 26.71, "P3": 31.64, "P4": 41.24, "P5": 8.28, "P6": 28.05, "P7": 32.86, "P8": 42.23,
             "P9": 19.54}


@pytest.fixture(scope="module")
def mesh_file(tmp_path_factory):
    data = np.load(ROOT / "tests" / "data" / "gmsh_slab.npz")
    file = tmp_path_factory.mktemp("mesh") / "slab.vtu"
    meshio.Mesh(data["points"].astype(float), [("tetra", data["cells"].astype(np.int64))]).write(file)
    return file


def activation(mesh_file, out, waves):
    result = upstroke.run(ROOT / "cases" / "niederer", out, overrides=(
        f'mesh={{kind="file",file="{mesh_file}",unit="mm",fibre=[1,0,0]}}', f'tissue.waves="{waves}"',
        'time.dt="0.02 ms"', 'time.end="55 ms"', 'membrane.method={V="rk2"}', "output.picture=false"))
    return result.summary["probe_activation_ms"]


def test_irregular_tetrahedra_of_half_a_millimetre(mesh_file, tmp_path):
    times = activation(mesh_file, tmp_path / "run", "calibrated")
    assert times["P8"] == pytest.approx(CONVERGED["P8"], abs=3.0)
    for point, time in CONVERGED.items():        # P2, across the fibres at q = 20 ms, is 3.5 ms early
        assert times[point] == pytest.approx(time, abs=4.0), point
