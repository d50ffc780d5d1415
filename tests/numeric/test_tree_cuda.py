"""The CUDA text of the tree solver: on the emulator, against the C text; with NVRTC, for sm_90."""

import ctypes
from importlib import resources

import numpy as np
import pytest
from ptxas import report, spilled
from scipy import sparse

from upstroke.backend import open_backend
from upstroke.backend.tree import TreeArgs, tree_arrays

TEXT = resources.files("upstroke.backend").joinpath("tree.c").read_text()
CLOCK = np.dtype([("step", np.int64), ("halted", np.int32), ("status", np.int32)])


def forest(n, seed, roots):
    """A (positive definite) and K of a random forest of n nodes, numbered by chance, on one pattern."""
    rng = np.random.default_rng(seed)
    number = rng.permutation(n)
    parent = np.where(rng.random(n) < roots / n, -1, np.maximum(np.arange(n) - rng.integers(1, 4, n), 0))
    child = np.flatnonzero((parent >= 0) & (np.arange(n) > 0))
    u, v, g = number[child], number[parent[child]], rng.uniform(0.1, 10.0, len(child))
    rows, columns = np.concatenate([u, v, u, v, np.arange(n)]), np.concatenate([u, v, v, u, np.arange(n)])
    flow, mass = np.concatenate([g, g, -g, -g, np.zeros(n)]), rng.uniform(0.5, 2.0, n)
    K = sparse.coo_array((flow, (rows, columns)), shape=(n, n)).tocsr()
    A = K.copy()
    A.data = 0.03 * K.data
    A.setdiag(A.diagonal() + mass)
    return A, K


def launch(cupy, precision, A, K, V, dt, steps, clock, block=256):
    """V after ``steps`` launches of the kernel."""
    real = "double" if precision == "fp64" else "float"
    kernel = cupy.RawModule(code=f"typedef {real} real;\n{TEXT}", options=("-std=c++17",)).get_function("diffuse_tree")
    arrays = {name: cupy.array(array) for name, array in tree_arrays(A, K).items()}
    arrays |= {"x": cupy.zeros(len(V), np.float64), "V": cupy.array(V)}
    groups = len(arrays["group_level"]) - 1
    args = TreeArgs(dt=dt, groups=groups, **{name: array.data.ptr for name, array in arrays.items()})
    device_clock = cupy.array(clock.view(np.uint8))
    by_value = np.frombuffer(bytes(args), np.dtype((np.void, ctypes.sizeof(args))))
    for _ in range(steps):
        kernel((groups,), (block,), (by_value, device_clock))
    clock[...] = device_clock.get().view(CLOCK)
    return arrays["V"].get()


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
@pytest.mark.parametrize("n, roots", [(1, 1), (2, 1), (40, 1), (1500, 1), (1500, 300)])
def test_cuda_steps_as_the_processor_does(emulated_cupy, precision, n, roots):
    A, K = forest(n, 3, roots)
    cpu = open_backend("cpu", threads=1, precision=precision)
    start = np.random.default_rng(5).normal(-80, 20, n).astype(cpu.dtype)
    V = cpu.array(start)
    stage = cpu.implicit_diffusion(A, K, V, 0.03, 1e-5, 1, "tree")
    for step in range(2):
        stage.run(step)
    clock = np.zeros(1, CLOCK)
    result = launch(emulated_cupy, precision, A, K, start, 0.03, 2, clock)
    assert clock["status"] == 0 and clock["step"] == 0
    assert np.abs(result - V).max() < (1e-11 if precision == "fp64" else 3e-5)
    if n > 2:
        assert np.abs(result - start).max() > 1.0


def test_the_size_of_the_block_changes_nothing(emulated_cupy):
    A, K = forest(700, 4, 1)
    V = np.random.default_rng(5).normal(-80, 20, 700)
    narrow, wide = (launch(emulated_cupy, "fp64", A, K, V, 0.03, 1, np.zeros(1, CLOCK), block) for block in (32, 256))
    assert np.array_equal(narrow, wide)


def test_a_value_that_is_no_number_sets_the_status_and_a_halted_clock_keeps_v(emulated_cupy):
    A, K = forest(300, 5, 10)
    V = np.full(300, -80.0)
    V[17] = np.nan
    clock = np.zeros(1, CLOCK)
    launch(emulated_cupy, "fp64", A, K, V, 0.03, 1, clock)
    assert clock["status"] == 1
    V[17] = -20.0
    clock["status"], clock["halted"] = 0, 1
    assert np.array_equal(launch(emulated_cupy, "fp64", A, K, V, 0.03, 1, clock), V)


@pytest.mark.parametrize("real", ["double", "float"])
def test_nvrtc_compiles_it_without_spills(real):
    assert spilled(report(f"typedef {real} real;\n{TEXT}")) == 0
