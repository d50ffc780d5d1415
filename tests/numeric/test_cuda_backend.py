"""The GPU backend on the stand-in for CuPy: graphs, the clock, copies to the host, solvers against the CPU's."""

from __future__ import annotations

import ctypes
import inspect
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from upstroke.backend import open_backend
from upstroke.case.schema import CableMesh, SlabMesh
from upstroke.errors import BackendError
from upstroke.mesh import build_mesh
from upstroke.space import assemble

ADD = """
typedef struct { double *x; double t, step_dt; } add_args;
extern "C" __global__ void __launch_bounds__(128) add(add_args a, long n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (clock->halted || i >= n) return;
    a.x[i] += a.t + clock->step * a.step_dt;
    if (a.x[i] > 1e4) atomicOr(&clock->status, 1);
}
"""


class AddArgs(ctypes.Structure):
    _fields_ = [("x", ctypes.c_void_p), ("t", ctypes.c_double), ("step_dt", ctypes.c_double)]


@pytest.fixture
def cuda(emulated_cupy):
    return lambda precision="fp64": open_backend("cuda", precision=precision)


def adder(gpu, n=300, dt=0.5):
    x = gpu.zeros(n, dtype=np.float64)
    return x, gpu.kernel(ADD, "add", AddArgs(x=gpu.pointer(x)), n, dt=dt, label="add")


def test_a_step_is_recorded_and_replayed(cuda, emulated_cupy):
    gpu = cuda()
    x, stage = adder(gpu)
    calls = []
    run = stage.run
    stage.run = lambda n: (calls.append(n), run(n))
    loop = gpu.loop([stage])
    for n in range(100):
        loop.run(n)
    loop.sync()
    assert calls == [0, 1]                    # launched once, recorded once, replayed since
    assert loop.clock.step == 100
    np.testing.assert_allclose(gpu.to_host(x), 0.5 * sum(range(100)))


def test_the_host_runs_ahead_and_learns_late(cuda):
    gpu = cuda()
    _, stage = adder(gpu)
    loop = gpu.loop([stage])
    for n in range(gpu.lag - 1):
        loop.run(n)
        assert loop.clock.step == 0            # nothing has waited
    loop.run(gpu.lag - 1)
    assert 0 < loop.clock.step < gpu.lag       # the oldest look is read
    loop.sync()
    assert loop.clock.step == gpu.lag


def test_a_broken_step_halts_the_clock(cuda):
    gpu = cuda()
    x, stage = adder(gpu)
    loop = gpu.loop([stage])
    for n in range(300):
        loop.run(n)
    loop.sync()
    broken = next(n for n in range(300) if 0.5 * sum(range(n + 1)) > 1e4)
    assert (loop.clock.halted, loop.clock.step, loop.clock.status) == (True, broken, 1)
    np.testing.assert_allclose(gpu.to_host(x), 0.5 * sum(range(broken + 1)))      # the step that broke, none after it


def test_a_new_loop_starts_anew(cuda):
    gpu = cuda()
    for _ in range(2):
        _, stage = adder(gpu)
        loop = gpu.loop([stage])
        loop.run(0)
        loop.sync()
        assert loop.clock.step == 1


def test_a_fetch_sees_the_steps_before_it_only(cuda):
    gpu = cuda()
    x, stage = adder(gpu)
    loop = gpu.loop([stage])
    for n in range(3):
        loop.run(n)
    fetch = gpu.fetch({"x": x})
    for n in range(3, 9):
        loop.run(n)
    assert not fetch.ready()
    np.testing.assert_allclose(fetch.get()["x"], 1.5)
    assert fetch.step == 3 and fetch.ready()
    np.testing.assert_allclose(gpu.to_host(x), 18.0)


def test_a_fetch_that_is_dropped_waits_for_its_copies(cuda):
    """CuPy would give its memory away while the device still writes to it."""
    gpu = cuda()
    x, stage = adder(gpu)
    stage.run(0)
    fetch = gpu.fetch({"x": x})
    assert gpu.copies._queue.pending
    del fetch
    assert not gpu.copies._queue.pending


def test_an_interrupt_while_a_step_is_recorded_leaves_a_stream_that_works(cuda):
    gpu = cuda()
    _, stage = adder(gpu)
    run = stage.run

    def interrupted(n):
        run(n)
        if n == 1:
            raise KeyboardInterrupt

    stage.run = interrupted
    loop = gpu.loop([stage])
    loop.run(0)
    with pytest.raises(KeyboardInterrupt):
        loop.run(1)
    assert not gpu.stream.is_capturing()
    loop.sync()
    assert loop.clock.step == 1


def test_a_backend_works_in_any_thread(cuda):
    """CuPy's current stream is that of a thread: what is made must be there when the kernels begin."""
    cuda()
    found = []

    def work():
        gpu = cuda()
        x, stage = adder(gpu)
        x[:] = 3.0
        stage.run(0)
        found.append(gpu.to_host(x))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    np.testing.assert_allclose(found, 3.0)


def test_old_devices_are_refused(emulated_cupy, monkeypatch):
    monkeypatch.setattr(emulated_cupy.cuda.Device, "compute_capability", "61")
    with pytest.raises(BackendError) as error:
        open_backend("cuda")
    assert str(error.value) == (
        "backend.device: CUDA cannot be used: the GPU has compute capability 6.1, less than 7.0\n  -> see nvidia-smi, "
        'and whether the cupy package is for its CUDA version, or take device = "cpu"')


def test_rows_of_blocks_are_whole_warps(cuda):
    assert [cuda().stride(n) for n in (1, 32, 33)] == [32, 32, 64]


def problem(shuffled):
    """A, K and V of a slab whose rows repeat, or do not."""
    mesh = build_mesh(SlabMesh(size=(0.8, 0.3, 0.2), dx=0.025))
    operator = assemble(mesh, np.broadcast_to(np.diag([0.0013, 0.0003, 0.0002]), (mesh.n_cells, 3, 3)), 0.2)
    order = np.random.default_rng(3).permutation(operator.n) if shuffled else np.arange(operator.n)
    A, K = (operator.implicit_matrix(0.025), operator.stiffness)
    if shuffled:
        A, K = (sparse.csr_array(m[order][:, order]).sorted_indices() for m in (A, K))
    return A, K, operator.lumped_mass[order], -85.0 + 120.0 / (1.0 + np.exp((mesh.points[order, 0] - 0.4) / 0.03))


@pytest.mark.parametrize("shuffled", [False, True], ids=["rows repeat", "sliced rows"])
@pytest.mark.parametrize("method", ["cg", "chebyshev", "explicit", "library"])
def test_solvers_give_what_the_cpu_gives(cuda, method, shuffled):
    A, K, mass, V = problem(shuffled)
    results = []
    for backend in (open_backend("cpu", 1), cuda()):
        v = backend.array(V)
        stage = (backend.explicit_diffusion(K, mass, v, 0.05) if method == "explicit" else
                 backend.implicit_diffusion(A, K, v, 0.05, 1e-8, 500, method))
        loop = backend.loop([stage])
        for n in range(5):
            loop.run(n)
        loop.sync()
        results.append((np.array(backend.to_host(v)), loop.clock))
    (cpu, cpu_clock), (gpu, gpu_clock) = results
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=2e-7 if method == "library" else 1e-7)
    assert gpu_clock.solves == cpu_clock.solves == 5
    assert gpu_clock.iterations == pytest.approx(cpu_clock.iterations, abs=5)


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_one_block_or_many_give_the_same(cuda, precision, monkeypatch):
    """Sums are taken block by block: their number changes only the last bits."""
    A, K, _, V = problem(False)
    found = []
    for blocks in (1, 3):
        gpu = cuda(precision)
        monkeypatch.setattr(gpu, "joint_blocks", lambda function, n, blocks=blocks: blocks)
        v = gpu.array(V, gpu.dtype)
        loop = gpu.loop([gpu.implicit_diffusion(A, K, v, 0.05, 1e-8, 500, "cg")])
        for n in range(3):
            loop.run(n)
        found.append(gpu.to_host(v))
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-7 if precision == "fp64" else 1e-5)


def test_a_solver_that_does_not_converge_halts(cuda):
    A, K, _, V = problem(False)
    gpu = cuda()
    loop = gpu.loop([gpu.implicit_diffusion(A, K, gpu.array(V), 0.05, 1e-12, 3, "cg")])
    for n in range(3):
        loop.run(n)
    loop.sync()
    assert (loop.clock.halted, loop.clock.step, loop.clock.status, loop.clock.last_iterations) == (True, 0, 8, 3)


def test_full_memory_is_an_error_with_a_remedy(cuda):
    gpu = cuda()
    with pytest.raises(BackendError) as error:
        gpu.zeros(10 ** 9)                     # the stand-in has 4 GiB
    assert str(error.value).startswith("backend.device: the GPU's memory is full: ")
    assert str(error.value).endswith('-> take fewer nodes, precision = "fp32", or a larger GPU')


def test_a_cable_is_solved_directly(cuda):
    mesh = build_mesh(CableMesh(length=1.0, dx=0.02))
    operator = assemble(mesh, np.broadcast_to(0.001 * np.eye(3), (mesh.n_cells, 3, 3)), "lumped")
    gpu = cuda()
    V = gpu.array(np.sin(np.arange(operator.n)))
    A, K = operator.implicit_matrix(0.05), operator.stiffness
    loop = gpu.loop([gpu.implicit_diffusion(A, K, V, 0.05, 1e-5, 1, "tree")])
    loop.run(0)
    loop.sync()
    assert (loop.clock.solves, loop.clock.iterations, loop.clock.halted) == (1, 0, False)


def test_it_mirrors_the_cpu(cuda):
    """What the rest of the package calls is there on both devices, with the same arguments."""
    from upstroke.backend.cpu import CpuBackend
    from upstroke.backend.cuda import CudaBackend

    for name, method in vars(CpuBackend).items():
        if name.startswith("_"):
            continue
        assert hasattr(CudaBackend, name) or hasattr(cuda(), name), name
        if callable(method):
            asked = inspect.signature(method).parameters
            given = inspect.signature(getattr(CudaBackend, name)).parameters
            assert list(asked) == [p for p in given if p in asked], name
            assert all(p.default is not p.empty for p in given.values() if p.name not in asked), name
            assert [asked[p].default for p in asked] == [given[p].default for p in asked], name


def test_check_tells_of_the_gpus_memory(emulated_environment):
    case = Path(__file__).parents[2] / "cases" / "axon"
    run = subprocess.run([sys.executable, "-m", "upstroke", "check", str(case), "--backend", "cuda"],
                         capture_output=True, text=True, env=emulated_environment)
    assert run.returncode == 0, run.stderr
    assert re.search(r"# GPU memory: 0 MiB, and about 0 for activation times; 4,09\d MiB are left\n", run.stdout)
    assert "on the Emulated device (from a trial" in run.stdout
