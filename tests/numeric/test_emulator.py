"""The emulated device of tests/emulated does what a device does, and tells what a device would not."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from upstroke.backend.compiler import compile_c
from upstroke.codegen import generate
from upstroke.ionic import initial_state, load_model

CODE = r"""
/* A comment may say extern "C" __global__ void ghost(int x) or __shared__ int y; without harm. */
typedef struct { const double *a; double *out; int offset; float scale; } packed;
#define THREADS 256

extern "C" __global__ void __launch_bounds__(128)
add(const double *__restrict__ a, const double *b, double *c, long n)
{
    const long i = blockIdx.x * (long)blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}

extern "C" __global__ void __launch_bounds__(THREADS) shift(packed p, long n)
{
    const long i = blockIdx.x * (long)blockDim.x + threadIdx.x;
    if (i < n) p.out[i] = p.scale * p.a[i] + p.offset;
}

#ifdef LEFT_OUT
extern "C" __global__ void left_out(missing_type x) {}
#endif

extern "C" __global__ void cubes(int *out)
{
    const int i = blockIdx.z * gridDim.y * gridDim.x + blockIdx.y * gridDim.x + blockIdx.x;
    out[i * 24 + (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x] = i;
}

template <class T> __device__ T block_sum(T x)
{
    __shared__ T part[THREADS / 32], whole;
    for (int d = 16; d > 0; d /= 2) x += __shfl_down_sync(0xffffffffu, x, d);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = x;
    __syncthreads();
    if (threadIdx.x == 0) {
        whole = 0;
        for (int k = 0; k < (int)blockDim.x / 32; k++) whole += part[k];
    }
    __syncthreads();
    const T sum = whole;
    __syncthreads();
    return sum;
}

extern "C" __global__ void total(const double *a, double *sums, int *counts, long n)
{
    const long i = blockIdx.x * (long)blockDim.x + threadIdx.x;
    const double sum = block_sum(i < n ? a[i] : 0.0);
    const int count = block_sum((int)(i < n));
    if (threadIdx.x == 0) { sums[blockIdx.x] = sum; counts[blockIdx.x] = count; }
}

__device__ void meet(unsigned *arrivals)
{
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        const unsigned seen = atomicAdd(arrivals, 1u), all = (seen / gridDim.x + 1) * gridDim.x;
        while (*(volatile unsigned *)arrivals < all) __nanosleep(20);
        __threadfence();
    }
    __syncthreads();
}

extern "C" __global__ void diffuse(double *x, double *y, unsigned *arrivals, int rounds)
{
    const int n = gridDim.x * blockDim.x, i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int k = 0; k < rounds; k++) {
        y[i] = 0.25 * x[(i + n - 1) % n] + 0.5 * x[i] + 0.25 * x[(i + 1) % n];
        meet(arrivals);
        x[i] = y[i];
        meet(arrivals);
    }
}

extern "C" __global__ void tally(int *i, unsigned *u, unsigned long long *l, float *f, double *d)
{
    const int me = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(&i[0], me); atomicMax(&i[1], me); atomicMin(&i[2], -me);
    atomicOr(&i[3], 1 << me % 8); atomicExch(&i[4], 7);
    atomicInc(&u[0], 9); atomicCAS(&u[1], 5u, 6u);
    atomicAdd(l, 1ull << 33); atomicAdd(f, 0.5f); atomicAdd(d, 0.25);
}

extern "C" __global__ void lanes(int *out, unsigned *votes)
{
    const int me = threadIdx.x;
    out[me] = __shfl_xor_sync(0xffffffffu, me, 1) + 100 * __shfl_sync(0xffffffffu, me, 3, 8);
    const unsigned vote = __ballot_sync(0xffffffffu, me % 2);
    if (me % 32 < 16) out[me] += 10000 * __shfl_up_sync(0x0000ffffu, me, 1);
    __syncwarp();
    if (me % 32 == 0) votes[me / 32] = vote;
}

extern "C" __global__ void some_leave(int n) { if ((int)threadIdx.x < n) __syncthreads(); }
extern "C" __global__ void two_places(int n)
{
    if ((int)threadIdx.x < n)
        __syncthreads();
    else
        __syncthreads();
}
extern "C" __global__ void missing_lane(double *x)
{
    if (threadIdx.x != 5) x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);
}
extern "C" __global__ void unwritten(double *x) { __shared__ double s[64]; x[threadIdx.x] = s[threadIdx.x]; }
extern "C" __global__ void racing(int *x) { *x = blockIdx.x * blockDim.x + threadIdx.x; }
extern "C" __global__ void past(double *x, long n) { x[n] = 1; }
extern "C" __global__ void options(double *x)
{
    x[0] = A + B; x[1] = __CUDA_ARCH__; x[2] = fmin(2.0f, 1.0) + max(3, 4);
}
"""
OPTIONS = ("-std=c++17", "-DA=2.5", "-DB", "-I/nowhere")


@pytest.fixture
def cupy(emulated_cupy):
    return emulated_cupy


@pytest.fixture
def kernels(cupy):
    return cupy.RawModule(code=CODE, options=OPTIONS).get_function


@pytest.fixture
def stream(cupy):
    return cupy.cuda.Stream(non_blocking=True)


# ---------------------------------------------------------------------------------------------------- kernels

@pytest.mark.parametrize("n", [1, 127, 128, 1000])
def test_one_thread_a_node_with_a_tail(cupy, kernels, n):
    a, b = np.arange(n) * 0.5, np.arange(n)[::-1] * 3.0
    c = cupy.empty(n)
    kernels("add")((-(-n // 128),), (128,), (cupy.asarray(a), cupy.asarray(b), c, n))
    assert np.array_equal(c.get(), a + b)


def test_three_dimensions(cupy, kernels):
    out = cupy.empty(24 * 12, np.int32)
    kernels("cubes")((3, 2, 2), (4, 3, 2), (out,))
    assert np.array_equal(out.get(), np.repeat(np.arange(12), 24))


def test_sums_by_shuffles_and_shared_memory(cupy, kernels):
    a = np.sqrt(np.arange(1000.0))
    sums, counts = cupy.empty(4), cupy.empty(4, np.int32)
    kernels("total")((4,), (256,), (cupy.asarray(a), sums, counts, a.size))
    assert np.allclose(sums.get(), [a[k:k + 256].sum() for k in range(0, 1000, 256)], rtol=1e-14)
    assert counts.get().tolist() == [256, 256, 256, 232]


@pytest.mark.parametrize("order", ["forward", "reverse"])
@pytest.mark.parametrize("threads", [256, 512])
def test_blocks_that_meet(cupy, kernels, monkeypatch, threads, order):
    monkeypatch.setenv("UPSTROKE_EMULATED_ORDER", order)
    expected = np.sin(np.arange(4.0 * threads))
    x, y, arrivals = cupy.asarray(expected), cupy.empty(4 * threads), cupy.zeros(1, np.uint32)
    kernels("diffuse")((4,), (threads,), (x, y, arrivals, np.int32(5)))
    for _ in range(5):
        expected = 0.25 * np.roll(expected, 1) + 0.5 * expected + 0.25 * np.roll(expected, -1)
    assert np.array_equal(x.get(), expected)
    assert int(arrivals[0]) == 4 * 10


def test_blocks_that_cannot_all_be_resident_never_meet(cupy, kernels):
    x, y, arrivals = cupy.zeros(5 * 32), cupy.zeros(5 * 32), cupy.zeros(1, np.uint32)
    kernels("diffuse")((5,), (32,), (x, y, arrivals, np.int32(1)))
    with pytest.raises(cupy.EmulatorError, match="diffuse: the threads sleep forever: 4 of 5 blocks are resident"):
        x.get()


def test_atomics(cupy, kernels):
    i, u = cupy.zeros(5, np.int32), cupy.array([0, 5], np.uint32)
    wide, f, d = cupy.zeros(1, np.uint64), cupy.zeros(1, np.float32), cupy.zeros(1)
    kernels("tally")((3,), (50,), (i, u, wide, f, d))
    assert i.get().tolist() == [149 * 75, 149, -149, 255, 7]
    assert u.get().tolist() == [0, 6]
    assert (int(wide[0]), float(f[0]), float(d[0])) == (150 << 33, 75.0, 37.5)


def test_lanes_exchange_values(cupy, kernels):
    out, votes = cupy.empty(64, np.int32), cupy.empty(2, np.uint32)
    kernels("lanes")((1,), (64,), (out, votes))
    me = np.arange(64)
    upper = np.where(me % 16 == 0, me, me - 1)
    assert np.array_equal(out.get(), (me ^ 1) + 100 * (me // 8 * 8 + 3) + 10000 * np.where(me % 32 < 16, upper, 0))
    assert votes.get().tolist() == [0xaaaaaaaa] * 2


@pytest.mark.parametrize(("name", "args", "text"), [
    ("some_leave", (np.int32(10),), "some_leave: block 0 stands still: of 64 threads, 10 wait at __syncthreads, "),
    ("two_places", (np.int32(10),), "two_places: thread 63 waits at the __syncthreads of line 1.*, thread 0 at that"),
    ("missing_lane", None, "missing_lane: block 0 stands still: of 64 threads, 0 wait at __syncthreads, 31 at a func"),
])
def test_threads_that_wait_for_ever_are_told(cupy, kernels, name, args, text):
    kernels(name)((1,), (64,), args or (cupy.zeros(64),))
    with pytest.raises(cupy.EmulatorError, match=text):
        cupy.cuda.Device().synchronize()
    out = cupy.empty(3)
    kernels("add")((1,), (128,), (cupy.ones(3), cupy.ones(3), out, 3))
    assert out.get().tolist() == [2.0, 2.0, 2.0]        # the next launch is sound


def test_order_of_threads_can_be_turned_round(cupy, kernels, monkeypatch):
    x = cupy.zeros(1, np.int32)
    kernels("racing")((4,), (32,), (x,))
    assert int(x[0]) == 127
    monkeypatch.setenv("UPSTROKE_EMULATED_ORDER", "reverse")
    kernels("racing")((4,), (32,), (x,))
    assert int(x[0]) == 0


def test_options_and_the_look_of_nvrtc(cupy, kernels):
    x = cupy.empty(3)
    kernels("options")((1,), (1,), (x,))
    assert x.get().tolist() == [3.5, 900.0, 5.0]
    with pytest.raises(cupy.cuda.compiler.CompileException, match="unrecognized option --fantasy"):
        cupy.RawModule(code=CODE, options=("--fantasy",)).get_function("add")


def test_what_does_not_compile_raises_with_the_log(cupy):
    module = cupy.RawModule(code='extern "C" __global__ void f(int *x)\n{\n    *x = unknown_name;\n}\n')
    with pytest.raises(cupy.cuda.compiler.CompileException, match=r"(?s)kernel\.cu:3.*unknown_name"):
        module.get_function("f")


@pytest.mark.parametrize("name", ["left_out", "ghost", "block_sum"])
def test_kernels_that_are_not_there(kernels, name):
    with pytest.raises(RuntimeError, match="CUDA_ERROR_NOT_FOUND: named symbol not found"):
        kernels(name)


# -------------------------------------------------------------------------------------------------- arguments

def test_struct_by_value(cupy, kernels):
    class Packed(ctypes.Structure):
        _fields_ = (("a", ctypes.c_void_p), ("out", ctypes.c_void_p),
                    ("offset", ctypes.c_int), ("scale", ctypes.c_float))

    a, out = cupy.arange(10.0), cupy.empty(10)
    packed = Packed(a.data.ptr, out.data.ptr, 7, 0.5)
    kernels("shift")((1,), (256,), (np.frombuffer(bytes(packed), np.dtype((np.void, 24))), np.int64(10)))
    packed.offset = 0       # passed by value: too late to matter
    assert np.array_equal(out.get(), 0.5 * np.arange(10) + 7)


@pytest.mark.parametrize(("change", "text"), [
    ({3: np.int32(5)}, r"add, argument 3 \(int32\): 4 bytes are passed, the parameter has 8"),
    ({3: 5.0}, r"add, argument 3 \(float\): a floating-point number is passed where the parameter is an integer"),
    ({0: 5}, r"add, argument 0 \(int\): an integer is passed where the parameter is a pointer"),
    ({2: "float32"}, r"add, argument 2 \(ndarray\): an array of float32 is passed where the parameter points to f"),
    ({2: "int64"}, r"add, argument 2 \(ndarray\): an array of int64 is passed where the parameter points to f"),
    ({4: 1}, r"add takes 4 arguments, not 5"),
])
def test_wrong_arguments(cupy, kernels, change, text):
    args = {0: cupy.zeros(5), 1: cupy.zeros(5), 2: cupy.zeros(5), 3: 5}
    args |= {k: cupy.zeros(5, value) if isinstance(value, str) else value for k, value in change.items()}
    with pytest.raises(cupy.EmulatorError, match=text):
        kernels("add")((1,), (128,), tuple(args.values()))


def test_launches_that_a_device_refuses(cupy, kernels):
    args = (cupy.zeros(5), cupy.zeros(5), cupy.zeros(5), 5)
    with pytest.raises(cupy.EmulatorError, match="add: 256 threads a block, but at most 128 may be"):
        kernels("add")((1,), (256,), args)
    with pytest.raises(TypeError, match="grid and block must be tuples"):
        kernels("add")(1, 128, args)
    with pytest.raises(TypeError, match=r"numpy.ndarray of shape \(5,\)"):
        kernels("add")((1,), (128,), (np.zeros(5), *args[1:]))


# ----------------------------------------------------------------------------------------------------- memory

def test_memory_is_poisoned(cupy, kernels):
    assert np.isnan(cupy.empty(5).get()).all()
    assert cupy.empty(5, np.int32).get().max() < -10 ** 9
    shared = cupy.zeros(64)
    kernels("unwritten")((1,), (64,), (shared,))
    assert np.isnan(shared.get()).all()


def test_freed_memory_is_poisoned(cupy, kernels, stream):
    a, b, out = cupy.ones(5), cupy.ones(5), cupy.zeros(5)
    cupy.cuda.Device().synchronize()
    stream.begin_capture()
    kernels("add")((1,), (128,), (a, b, out, 5), stream=stream)
    graph = stream.end_capture()
    used = cupy.get_default_memory_pool().used_bytes()
    del a
    assert cupy.get_default_memory_pool().used_bytes() == used - 512
    cupy.cuda.Device().synchronize()
    graph.launch(stream)
    assert np.isnan(out.get(stream=stream)).all()


def test_writes_outside_an_array_are_told(cupy, kernels):
    x = cupy.zeros(3)
    kernels("past")((1,), (1,), (x, 3))
    with pytest.raises(cupy.EmulatorError, match="past wrote at byte 24 of an array of 24 bytes"):
        x.get()
    kernels("past")((1,), (1,), (x, -1))
    with pytest.raises(cupy.EmulatorError, match="past wrote at byte -8 of an array of 24 bytes"):
        x.get()
    kernels("past")((1,), (1,), (x, 2))
    assert x.get().tolist() == [0.0, 0.0, 1.0]


def test_memory_runs_out(cupy):
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="Out of memory allocating 8,589,934,592 bytes"):
        cupy.empty(1 << 30)


def test_arrays_are_as_strict_as_cupys(cupy):
    a = cupy.zeros((3, 4))
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
        np.asarray(a)
    with pytest.raises(ValueError, match=r"non-scalar numpy\.ndarray cannot be used for fill"):
        a[0] = np.arange(4.0)
    with pytest.raises(TypeError, match="int64 array cannot be set to float64 array"):
        a.set(np.zeros((3, 4), np.int64))
    with pytest.raises(AttributeError):
        a.argpartition(2)
    a[1] = cupy.arange(4.0)
    a[2, 1:3] = 5
    part = a[1:, 1]
    part += 1
    assert a.get().tolist() == [[0, 0, 0, 0], [0, 2, 2, 3], [0, 6, 5, 0]]
    assert (a.shape, a.strides, a.nbytes, len(a), part.data.ptr - a.data.ptr) == ((3, 4), (32, 8), 96, 3, 40)
    assert (float((a * 2 - 1).sum()), bool((a == a).all()), int(a[1, 3])) == (24.0, True, 3)


# -------------------------------------------------------------------------------- streams, events, graphs

def test_nothing_happens_before_someone_waits(cupy, kernels, stream):
    n = 4
    pinned = np.frombuffer(cupy.cuda.alloc_pinned_memory(8 * n), np.float64, n)
    pinned[:] = -1
    a, out = cupy.ones(n), cupy.zeros(n)
    cupy.cuda.Device().synchronize()
    kernels("add")((1,), (128,), (a, a, out, n), stream=stream)
    out.get(stream=stream, out=pinned, blocking=False)
    assert pinned.tolist() == [-1] * n and not stream.done
    stream.synchronize()
    assert pinned.tolist() == [2] * n and stream.done


def test_pinned_memory_changed_too_early_spoils_the_copy(cupy, stream):
    pinned = np.frombuffer(cupy.cuda.alloc_pinned_memory(16), np.float64, 2)
    pinned[:], pageable = 1, np.ones(2)
    a, b = cupy.zeros(2), cupy.zeros(2)
    cupy.cuda.Device().synchronize()
    a.set(pinned, stream)
    b.set(pageable, stream)
    pinned[:] = pageable[:] = 9
    assert a.get(stream=stream).tolist() == [9, 9]
    assert b.get(stream=stream).tolist() == [1, 1]


@pytest.mark.parametrize("waits", [True, False])
def test_streams_wait_for_each_other_only_through_events(cupy, kernels, stream, waits):
    other, event = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Event()
    a, middle, out = cupy.ones(3), cupy.empty(3), cupy.empty(3)
    cupy.cuda.Device().synchronize()
    kernels("add")((1,), (128,), (a, a, middle, 3), stream=stream)
    event.record(stream)
    if waits:
        other.wait_event(event)
    kernels("add")((1,), (128,), (middle, a, out, 3), stream=other)
    result = out.get(stream=other)
    assert (result == 3).all() if waits else np.isnan(result).all()


def test_the_default_stream_waits_for_blocking_streams(cupy, kernels):
    blocking = cupy.cuda.Stream()
    a, out = cupy.ones(3), cupy.empty(3)
    kernels("add")((1,), (128,), (a, a, out, 3), stream=blocking)
    assert out.get().tolist() == [2, 2, 2]


def test_asking_makes_the_device_go_on(cupy, kernels, stream):
    before, after = cupy.cuda.Event(), cupy.cuda.Event()
    with stream:
        a = cupy.ones(3)
        before.record()
        a += 1
        after.record()
    asked = [after.done for _ in range(6)]
    assert asked[0] is False and asked[-1] is True
    assert cupy.cuda.get_elapsed_time(before, after) > 0


def test_a_graph_replays_what_was_captured(cupy, kernels, stream):
    x, y, z = cupy.zeros(3), cupy.ones(3), cupy.empty(3)
    cupy.cuda.Device().synchronize()
    add, n = kernels("add"), np.array([3])
    stream.begin_capture()
    add((1,), (128,), (x, y, z, n), stream=stream)
    add((1,), (128,), (z, y, x, n), stream=stream)
    add((1,), (128,), (x, x, y, n), stream=stream)
    graph = stream.end_capture()
    n[0] = 1        # captured by value
    stream.synchronize()
    assert x.get().tolist() == [0, 0, 0]
    for _ in range(3):
        graph.launch(stream)
    stream.synchronize()
    expected_x, expected_y = 0, 1
    for _ in range(3):
        expected_x = expected_x + 2 * expected_y
        expected_y = 2 * expected_x
    assert x.get().tolist() == [expected_x] * 3 and y.get().tolist() == [expected_y] * 3


def test_what_a_capture_forbids(cupy, stream):
    a = cupy.ones(3)
    with pytest.raises(RuntimeError, match="cannot capture on the default"):
        cupy.cuda.Stream.null.begin_capture()
    stream.begin_capture()
    for forbidden in (lambda: cupy.empty(3), stream.synchronize, cupy.cuda.Device().synchronize, a.copy):
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="not permitted when stream is capturing"):
            forbidden()
    with pytest.raises(cupy.EmulatorError, match="a captured copy needs pinned host memory"):
        a.get(stream=stream, blocking=False)
    stream.end_capture()
    assert a.get().tolist() == [1, 1, 1]


def test_copies_by_address(cupy, stream):
    runtime, a, b = cupy.cuda.runtime, cupy.arange(4.0), cupy.zeros(4)
    cupy.cuda.Device().synchronize()
    runtime.memcpyAsync(b.data.ptr + 8, a.data.ptr, 16, runtime.memcpyDeviceToDevice, stream.ptr)
    runtime.memsetAsync(a.data.ptr, 0, 32, stream.ptr)
    stream.synchronize()
    assert (a.get().tolist(), b.get().tolist()) == ([0, 0, 0, 0], [0, 0, 1, 0])
    with pytest.raises(runtime.CUDARuntimeError, match="invalid argument"):
        runtime.memsetAsync(a.data.ptr, 0, 40, stream.ptr)


def test_no_device(cupy, monkeypatch):
    monkeypatch.setenv("UPSTROKE_EMULATED_DEVICES", "0")
    assert not cupy.cuda.is_available()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="no CUDA-capable device is detected"):
        cupy.zeros(1)


def test_other_processes_find_it(emulated_environment):
    script = "from upstroke.backend import open_backend; print(open_backend('auto').describe()['processor'])"
    run = subprocess.run([sys.executable, "-c", script], env=emulated_environment, capture_output=True, text=True)
    assert run.stdout == "Emulated device\n", run.stderr


def test_conjugate_gradients(cupy):
    from cupyx.scipy.sparse import csr_matrix
    from cupyx.scipy.sparse.linalg import LinearOperator, cg
    from scipy import sparse

    A = sparse.diags_array([2.1, -1.0, -1.0], offsets=[0, 1, -1], shape=(50, 50), dtype=float).tocsr()
    device, b, seen = csr_matrix(A), cupy.ones(50), []
    M = LinearOperator((50, 50), lambda r: r * (1 / 2.1))
    x, info = cg(device, b, rtol=0.0, atol=1e-10, maxiter=200, M=M, callback=seen.append)
    assert info == 0 and 1 < len(seen) < 100
    assert float(cupy.linalg.norm(device @ x - b)) < 1e-9


# ------------------------------------------------------------------------------------------ generated kernels

class Args(ctypes.Structure):
    _fields_ = (*((name, ctypes.c_void_p) for name in ("V", "S", "W", "Iion", "Istim", "P", "N")),
                ("stride", ctypes.c_long), ("t", ctypes.c_double), ("dt", ctypes.c_double), ("steps", ctypes.c_long),
                ("C_m", ctypes.c_double), ("step_dt", ctypes.c_double))


def test_a_generated_kernel_computes_as_its_c_twin(cupy):
    model, n, stride, steps = load_model("tenTusscherPanfilov"), 130, 160, 40
    initial = initial_state(model)
    c, cuda = (generate(model, target, "fp64") for target in ("c", "cuda"))
    host = {"V": np.linspace(-90, 30, n), "S": np.zeros((len(c.states), stride)), "Iion": np.zeros(n),
            "Istim": np.linspace(0, 20, n)}
    for row, name in zip(host["S"], c.states, strict=True):
        row[:] = initial[name]
    device = {name: cupy.asarray(array) for name, array in host.items()}
    clock = cupy.asarray(np.array([5, 0], np.int64).view(np.uint8))

    def args(pointers):
        return Args(**pointers, stride=stride, dt=0.02, steps=steps, C_m=1.0)

    advance = cupy.RawModule(code=cuda.source, options=("-std=c++17",)).get_function("upstroke_advance")
    packed = args({name: array.data.ptr for name, array in device.items()})
    advance((-(-n // 128),), (128,), (np.frombuffer(bytes(packed), f"V{ctypes.sizeof(Args)}"), np.int64(n), clock))
    library = ctypes.CDLL(str(compile_c(c.source)))
    library.upstroke_advance.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p]
    library.upstroke_advance(0, n, ctypes.byref(args({name: array.ctypes.data for name, array in host.items()})))
    for name, array in host.items():
        assert np.allclose(device[name].get(), array, rtol=1e-9, atol=1e-12), name
    assert host["V"].max() > 20 and clock.get().view(np.int64).tolist() == [5, 0]


def test_a_halted_kernel_does_nothing(cupy):
    model = load_model("AlievPanfilov")
    kernel, n = generate(model, "cuda", "fp32"), 10
    arrays = {"V": cupy.full(n, -80, np.float32), "S": cupy.zeros((len(kernel.states), 32), np.float32),
              "Iion": cupy.empty(n, np.float32), "Istim": cupy.full(n, 50, np.float32)}
    clock = cupy.asarray(np.array([0, 1], np.int64).view(np.uint8))
    args = Args(**{name: array.data.ptr for name, array in arrays.items()}, stride=32, dt=0.02, steps=10, C_m=1.0)
    cupy.RawModule(code=kernel.source).get_function("upstroke_advance")(
        (1,), (128,), (np.frombuffer(bytes(args), f"V{ctypes.sizeof(Args)}"), np.int64(n), clock))
    assert arrays["V"].get().tolist() == [-80] * n and np.isnan(arrays["Iion"].get()).all()
