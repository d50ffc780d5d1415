"""The CUDA texts of the watchers: on the emulator, in a recorded loop, against the C texts; with NVRTC, for sm_90."""

import ctypes
import importlib
import sys
from importlib import resources

import numpy as np
import pytest
from ptxas import report, spilled

import upstroke.backend
from upstroke.backend import compiler, cpu
from upstroke.backend.cpu import CpuBackend
from upstroke.case.schema import (
    Activation,
    CableMesh,
    ConductivityTable,
    Ecg,
    Probes,
    SheetMesh,
    Snapshots,
    Tips,
    Tissue,
    Watch,
)
from upstroke.codegen import Kernel
from upstroke.mesh import build_mesh
from upstroke.observe import open_watchers, samples
from upstroke.observe.ecg import EcgWatcher
from upstroke.observe.tips import TipWatcher
from upstroke.space import Extracellular
from upstroke.step.state import State

DT, NODES = 0.1, 300
WALK = """
typedef struct { REAL *V; const REAL *walk; long n, breaks; double t, step_dt; } walk_args;
#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128) walk(walk_args a, long n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x, done = clock->step + 1;
    if (clock->halted || i >= n) return;
    a.V[i] = a.walk[done * a.n + i];
    if (done == a.breaks) atomicOr(&clock->status, 1);
}
#else
long walk(long begin, long end, const walk_args *a)
{
    const long done = (long)(a->t / a->step_dt + 0.5) + 1;
    for (long i = begin; i < end; i++) a->V[i] = a->walk[done * a->n + i];
    return done == a->breaks;
}
#endif
"""


class WalkArgs(ctypes.Structure):
    _fields_ = [("V", ctypes.c_void_p), ("walk", ctypes.c_void_p), ("n", ctypes.c_long), ("breaks", ctypes.c_long),
                ("t", ctypes.c_double), ("step_dt", ctypes.c_double)]


class Frames:
    """A series that keeps its frames."""

    def __init__(self, *_):
        self.frames = []

    def append(self, t, fields):
        self.frames.append((t, {name: values.copy() for name, values in fields.items()}))

    def close(self):
        pass


@pytest.fixture
def no_fusing(monkeypatch):
    """C without a * b + c rounded once, as the emulator computes."""
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-ffp-contract=off", "-fno-reciprocal-math"))
    cpu._load.cache_clear()
    yield
    cpu._load.cache_clear()


@pytest.fixture
def open_cuda(emulated_cupy, monkeypatch):
    """CudaBackend, made from the emulator."""
    monkeypatch.delitem(sys.modules, "upstroke.backend.cuda", raising=False)
    monkeypatch.delattr(upstroke.backend, "cuda", raising=False)
    yield importlib.import_module("upstroke.backend.cuda").CudaBackend
    sys.modules.pop("upstroke.backend.cuda", None)


def watched(backend, walk, order, path, *, breaks=-1, every=1):
    """Map, text of probes.csv and frames of V walking (steps + 1, nodes in mesh order) through a loop of the backend.

    h belongs to both membranes, m to the first, w to the second.
    """
    path.mkdir()
    mesh = build_mesh(CableMesh(length=(NODES - 1) * 0.1, dx=0.1))
    groups = [(("h", "m"), {"h": 0.25, "m": 0.5}, 100), (("w", "h"), {"h": 0.75, "w": 1.5}, NODES - 100)]
    state = State([(Kernel("", backend.target, backend.precision, "", names, (), (), ()), start, size)
                   for names, start, size in groups], backend, order)
    walk = np.asarray(walk, backend.dtype)[:, order]
    rows = backend.array(walk)
    state.V[:] = backend.array(walk[0])
    opened = []
    places = {f"P{k}": (0.1 * k + 0.033,) for k in range(0, NODES - 1, 7)}
    watch = Watch(activation=Activation(threshold=-40.0),
                  probes=Probes(points=places, variables=("V", "m", "h", "w"), every=every * DT, interpolate=True),
                  snapshots=Snapshots(every=5 * DT, variables=("V", "w")))
    watchers = open_watchers(watch, mesh, state, backend, DT, path, steps=len(walk) - 1,
                             series=lambda *a: opened.append(Frames(*a)) or opened[0])
    args = WalkArgs(V=backend.pointer(state.V), walk=backend.pointer(rows), n=NODES, breaks=breaks,
                    step_dt=DT)
    real = "double" if walk.dtype == np.float64 else "float"
    move = backend.kernel(f"#define REAL {real}\n{WALK}", "walk", args, NODES, dt=DT, label="walk")
    loop = backend.loop([move, *watchers.stages])
    watchers.see(0, 0.0)
    for n in range(len(walk) - 1):
        loop.run(n)
        if loop.clock.halted:
            break
        watchers.see(n + 1, (n + 1) * DT)
    loop.sync()
    assert loop.clock.halted == (breaks >= 0)
    assert loop.clock.step == (breaks - 1 if breaks >= 0 else len(walk) - 1)
    watchers.close()
    return watchers.activation.map(), (path / "probes.csv").read_text(), opened[0].frames


def noisy_beats(seed, steps=400):
    """Five beats of every node, at times of its own, with noise that crosses the threshold where V is near it."""
    rng = np.random.default_rng(seed)
    phase = np.arange(steps + 1)[:, None] / 80 - rng.random(NODES)
    return -50.0 + 50.0 * np.sin(2 * np.pi * phase) + rng.normal(0, 4, (steps + 1, NODES))


def assert_same(found, expected):
    (map_a, text_a, frames_a), (map_b, text_b, frames_b) = found, expected
    for name in ("activation", "repolarisation", "v_min", "v_max", "recrossed"):
        np.testing.assert_array_equal(getattr(map_a, name), getattr(map_b, name), err_msg=name)
    assert text_a == text_b
    assert len(frames_a) == len(frames_b)
    for (t_a, fields_a), (t_b, fields_b) in zip(frames_a, frames_b, strict=True):
        assert t_a == t_b and fields_a.keys() == fields_b.keys()
        for name in fields_a:
            np.testing.assert_array_equal(fields_a[name], fields_b[name])


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_watchers_see_the_same_on_both(open_cuda, no_fusing, tmp_path, monkeypatch, precision):
    """To the last bit; the ring of samples comes round, and the host is many beats ahead of the device."""
    monkeypatch.setattr(samples, "RING", 64)
    order = np.random.default_rng(1).permutation(NODES)
    walk = noisy_beats(2)
    expected = watched(CpuBackend(1, precision), walk, order, tmp_path / "cpu", every=2)
    found = watched(open_cuda(precision), walk, order, tmp_path / "cuda", every=2)
    assert_same(found, expected)
    assert expected[0].beats >= 5 and expected[0].recrossed > 0
    assert len(expected[1].splitlines()) == 202 and ",nan," in expected[1]
    assert len(expected[2]) == 81


@pytest.mark.parametrize("breaks", [1, 2, 40, 333])
def test_a_step_that_breaks_leaves_no_trace(open_cuda, no_fusing, tmp_path, breaks):
    """Neither do the steps that are enqueued after it before the host learns of it."""
    walk, order = noisy_beats(3), np.random.default_rng(1).permutation(NODES)
    walk[breaks:] = 1e4
    walk[breaks:, ::3] = np.nan
    expected = watched(CpuBackend(1), walk, order, tmp_path / "cpu", breaks=breaks)
    found = watched(open_cuda(), walk, order, tmp_path / "cuda", breaks=breaks)
    assert_same(found, expected)
    assert len(found[1].splitlines()) == 1 + breaks
    assert len(found[2]) == 1 + (breaks - 1) // 5
    assert found[0].v_max < 1e4


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_electrograms_are_the_same_on_both(open_cuda, tmp_path, precision):
    """To the order of a sum; the mesh has three chunks, of which the last is not full."""
    rng = np.random.default_rng(7)
    mesh = build_mesh(CableMesh(length=9.0, dx=0.001))
    order = rng.permutation(mesh.n_points)
    walk = rng.normal(-40, 40, (41, mesh.n_points))
    tissue = Tissue(surface_to_volume=1400.0, conductivity=(ConductivityTable(monodomain=(3.0,)),))
    section = Ecg(electrodes={"a": (4.0, 0.5), "b": (9.5,)}, leads={"ab": ("a", "b")}, every=2 * DT, thickness=0.1)
    found = []
    for name, backend in (("cpu", CpuBackend(2, precision)), ("cuda", open_cuda(precision))):
        state = State([(Kernel("", backend.target, precision, "", (), (), (), ()), {}, mesh.n_points)], backend, order)
        V = walk.astype(backend.dtype)[:, order]
        rows = backend.array(V)
        state.V[:] = backend.array(V[0])
        outside = Extracellular(tissue, mesh)
        watcher = EcgWatcher(section, mesh, tissue, outside, state, backend, 2, DT, tmp_path / f"{name}.csv")
        args = WalkArgs(V=backend.pointer(state.V), walk=backend.pointer(rows), n=mesh.n_points, breaks=-1, step_dt=DT)
        source = f"#define REAL {'double' if precision == 'fp64' else 'float'}\n{WALK}"
        loop = backend.loop([backend.kernel(source, "walk", args, mesh.n_points, dt=DT, label="walk"), *watcher.stages])
        watcher.see(0, 0.0)
        for n in range(40):
            loop.run(n)
            watcher.see(n + 1, (n + 1) * DT)
        loop.sync()
        watcher.close()
        found.append(np.loadtxt(tmp_path / f"{name}.csv", delimiter=",", skiprows=1))
    assert found[0].shape == (21, 4) and np.abs(found[0][:, 3]).min() > 0
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-12)


def test_tips_are_the_same_on_both(open_cuda, tmp_path):
    """A spiral that turns, sampled while the host is ahead of the device."""
    mesh = build_mesh(SheetMesh(size=(3.0, 3.0), dx=0.2))
    order = np.random.default_rng(7).permutation(mesh.n_points)
    x, y = mesh.points[:, 0] - 1.43, mesh.points[:, 1] - 1.61
    r, angle, t = np.hypot(x, y), np.arctan2(y, x), 0.02 * np.arange(61)[:, None]
    walk = np.tanh(r / 0.2) * np.cos(angle - 2 * np.pi * t + 2 * r) * 50.0 - 40.0
    for name, backend in (("cpu", CpuBackend(1)), ("cuda", open_cuda())):
        (tmp_path / name).mkdir()
        kernel = Kernel("", backend.target, "fp64", "", (), (), (), ())
        state = State([(kernel, {}, mesh.n_points)], backend, order)
        rows = backend.array(walk[:, order])
        state.V[:] = backend.array(walk[0][order])
        watcher = TipWatcher(Tips(every=0.5), mesh, state, backend, 5, 8, tmp_path / name)
        args = WalkArgs(V=backend.pointer(state.V), walk=backend.pointer(rows), n=mesh.n_points, breaks=-1, step_dt=DT)
        loop = backend.loop([backend.kernel(f"#define REAL double\n{WALK}", "walk", args, mesh.n_points, dt=DT,
                                            label="walk")])
        watcher.see(0, 0.0)
        for n in range(60):
            loop.run(n)
            watcher.see(n + 1, (n + 1) * DT)
        loop.sync()
        watcher.close()
        assert watcher.count == {"in_all": 1, "most_at_once": 1, "at_end": 1}
    assert (tmp_path / "cpu" / "tips.csv").read_text() == (tmp_path / "cuda" / "tips.csv").read_text()


@pytest.mark.parametrize("file, real", [("activation.c", "double"), ("activation.c", "float"), ("probes.c", "double"),
                                        ("spikes.c", "double"), ("spikes.c", "float"),
                                        ("electrogram.c", "double"), ("electrogram.c", "float")])
def test_nvrtc_compiles_them_without_spills(file, real):
    clock = "typedef struct { long step; int halted; int status; } upstroke_clock;\n"
    text = f"{clock}#define REAL {real}\n" + resources.files("upstroke.observe").joinpath(file).read_text()
    assert spilled(report(text)) == 0
