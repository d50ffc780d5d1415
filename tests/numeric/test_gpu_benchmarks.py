"""The GPU benchmarks without a GPU: the matrices they write down are right, and every script runs on the stand-in."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))


@pytest.mark.parametrize(("kind", "mass"), [("slab", 0.2), ("slab", "lumped"), ("grid", "auto")])
def test_tiled_slab_is_the_assembled_one(kind, mass):
    import gpu_slab

    from upstroke.mesh import build_mesh
    from upstroke.space import discretise

    nodes = (6, 4, 5)
    whole = gpu_slab.case(kind, [m - 1 for m in nodes], tissue={"waves": mass})
    expected, found = discretise(build_mesh(whole.mesh), whole.tissue), gpu_slab.slab(kind, nodes, mass)
    assert found.is_lumped == expected.is_lumped
    assert np.allclose(found.lumped_mass, expected.lumped_mass, rtol=1e-12)
    for name in ("stiffness", "mass"):
        a, b = getattr(found, name), getattr(expected, name)
        assert abs(a - b).max() <= 1e-12 * abs(b).max(), name
    assert found.largest_eigenvalue >= expected.largest_eigenvalue * (1 - 1e-3)


@pytest.mark.parametrize(("kind", "mass"), [("slab", "lumped"), ("grid", "auto")])
def test_rows_by_kind_are_those_of_the_tiled_slab(kind, mass):
    import gpu_slab

    from upstroke.backend.couplings import repeat_rows

    whole, short = (gpu_slab.slab(kind, (12, 9, 8), mass, explicit) for explicit in (False, True))
    expected, found = repeat_rows({"K": whole.stiffness}), short.stiffness.rows
    assert expected is not None
    columns, width = np.arange(whole.n), min(len(expected.offset), len(found.offset))
    for rows in (expected, found):
        assert not rows.values["K"][width:].any()
    for x in (np.random.default_rng(0).standard_normal(whole.n), columns.astype(float)):
        y = [sum(rows.values["K"][j, rows.kind] * (x[columns + rows.offset[j, rows.kind]] - x) for j in range(width))
             for rows in (expected, found)]
        assert np.allclose(y[0], y[1], rtol=1e-6, atol=1e-12 * abs(y[0]).max())


def test_moved_nodes_make_rows_differ():
    import gpu_slab

    operator, order = gpu_slab.unstructured((6, 5, 4), 0.2)
    assert sorted(order) == list(range(120))
    assert not np.array_equal(order, np.arange(120))
    assert np.allclose(operator.stiffness.sum(axis=1), 0, atol=1e-12 * abs(operator.stiffness.data).max())
    assert len(np.unique(operator.stiffness.diagonal().round(12))) > 90      # 8 corners and their like are alike


def test_instructions_are_counted_by_function():
    import gpu_common
    import gpu_kernels

    text = """
\t.section\t.text.other,"ax",@progbits
        /*0000*/                   DFMA R2, R4, R6, R8 ;
\t.section\t.text.upstroke_advance,"ax",@progbits
upstroke_advance:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
.L_x_46:
        /*0010*/               @P0 EXIT ;
        /*0020*/                   DFMA R2, R4, R6.reuse, R8 ;
        /*0030*/              @!P1 DADD R2, R4, R8 ;
        /*0040*/                   MUFU.EX2 R3, R5 ;
        /*0050*/                   NOP ;
\t.section\t.nv.info,"",@"SHT_CUDA_INFO"
        /*0000*/                   FFMA R2, R4, R6, R8 ;
"""
    counts = gpu_kernels.count_instructions(text.splitlines(), "upstroke_advance")
    assert counts == {"LDC": 1, "EXIT": 1, "DFMA": 1, "DADD": 1, "MUFU": 1}
    limits = gpu_common.Limits(copy=1.0, fma={"fp32": 200.0, "fp64": 100.0}, launch=0.0)
    assert gpu_kernels.instruction_times(counts, limits) == {
        "issue": 5 / 100, "fp64 arithmetic": 2 / 50, "special functions": 8 / 100}


def test_bytes_of_a_compartment_are_counted_array_by_array():
    """The least is what all arrays take once, work and V twice; a cell of 312 compartments has 311 branches."""
    import gpu_neurons

    arrays = gpu_neurons.one_cell()
    least, most = gpu_neurons.voltage_bytes(arrays, gpu_neurons.COMPARTMENTS)
    work = 8 * gpu_neurons.COMPARTMENTS * (2 + 3 + 2 * (2 + 1 + 1))             # V, I, Istim, G; L, inverse, y
    assert least * gpu_neurons.COMPARTMENTS == sum(a.nbytes for a in arrays.values()) + work
    assert arrays["flow"].nbytes == 8 * 2 * 311
    assert gpu_neurons.PASSES.keys() <= arrays.keys() | {"V", "L", "inverse", "y"}
    assert least < most < 1.5 * least
    assert gpu_neurons.states_bytes() == (42 * 8 * (1 + 6 + 2) + 270 * 8 * 3) / 312


def test_whole_check_runs_on_the_stand_in(emulated_environment, tmp_path):
    """scripts/gpu_check.sh with everything in it: tests/gpu, the memory checkers' runs, all benchmarks."""
    made = tmp_path / "results"
    done = subprocess.run(["sh", str(BENCHMARKS.parent / "scripts" / "gpu_check.sh"), "--emulated"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path, timeout=500,
                          env=emulated_environment | {"PYTHON": sys.executable, "RESULTS": str(made)})
    names = ("environment", "tests/gpu", "memory: memcheck", "gpu_kernels", "gpu_niederer", "gpu_torchcor", "gpu_steps",
             "gpu_neurons", "gpu_sweep")
    parts = dict(re.findall(r"^\| (\S.*?) \| (.*?) \| \S+ \|$", done.stdout[done.stdout.rindex("== in all"):], re.M))
    assert done.returncode == 0, done.stdout[-6000:]
    assert parts == {"part": "verdict"} | dict.fromkeys(names, "ok")
    assert not list(made.iterdir())             # figures of a stand-in are never kept
    assert done.stdout.count("Emulated: no device ran") == 6


def test_check_says_what_is_missing(tmp_path):
    """A Python without the packages, as on a bare machine."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -I "$@"\n')
    bare.chmod(0o755)
    done = subprocess.run(["sh", str(BENCHMARKS.parent / "scripts" / "gpu_check.sh")], text=True, capture_output=True,
                          env=os.environ | {"PYTHON": str(bare), "RESULTS": str(tmp_path / "results"),
                                            "WHEELS": str(tmp_path / "wheels")})
    assert done.returncode == 1
    assert done.stderr == f"""gpu_check: this Python lacks numpy, scipy, h5py, cupy, pint, lark, meshio, tqdm, pytest
  numpy, scipy, h5py and CuPy (cupy-cuda12x or cupy-cuda13x) have to be installed here
  run 'sh scripts/gpu_check.sh --pack' where there is a network, and bring {tmp_path / "wheels"} along
"""
