"""The CUDA kernels, launched on the emulated device, against the C kernels: same text, same numbers."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest
from samples import RESETS, SAMPLE_MODELS, STIFF

from upstroke.backend import open_backend
from upstroke.backend.compiler import compile_c
from upstroke.backend.cpu import KernelArgs
from upstroke.codegen import generate
from upstroke.codegen.frames import prologue
from upstroke.ionic import initial_state, load_model
from upstroke.step.state import State

CELLS = 300      # more than two blocks, the last one not full
DT = 0.01        # ms
#: Relative to the largest value of a variable (a gate's: 1): what rounding makes of 50 steps; the two contract products
#: differently.
CLOSE = {"fp64": 1e-12, "fp32": 3e-6, "mixed": 3e-6}

CLOCKWORK = """
V; .external(Vm); .nodal(); .units(mV);
Iion; .external(); .units(uA/cm^2);
group { g = 0.3; E = -70; a = 0.1; }.param();
V_init = -60; m_init = 0.2; slow_init = 0.5; last_init = 0;
m_inf = 1/(1 + exp(-(V + 40)/9)); tau_m = 1 + exp(-square(V + 30)/100);
diff_slow = a*(sin(t) + m - slow)/(1 + square(slow)); slow; .method(rk2); slow; .lb(0.4); slow; .ub(0.503);
last = t + fmod(t, 0.173); last; .store();
Iion = g*(V - E)*m + slow/(V*V + 1) + sqrt(fabs(V));
"""


def model_of(name, tmp_path):
    texts = {"clockwork": CLOCKWORK, "stiff": STIFF, "resets": RESETS}
    if name not in texts:
        return load_model(name)
    path = tmp_path / f"{name}.model"
    path.write_text(texts[name])
    return load_model(path)


def run(backend, model, precision, steps=50, reaction_steps=1, uniform=None, nodal=None, spread=60.0):
    """Variables of CELLS cells after some steps, V from rest to rest + spread mV at the start; and the clock."""
    uniform, nodal = uniform or {}, nodal or {}
    kernel = generate(model, backend.target, precision, uniform=tuple(uniform), nodal=tuple(nodal))
    initial = initial_state(model)
    state = State([(kernel, initial, CELLS)], backend)
    arrays = state.groups[0].arrays
    arrays["V"][:] = backend.array(initial["V"] + np.linspace(0, spread, CELLS), backend.dtype)
    arrays["Istim"][:] = backend.array(np.linspace(-1, 1, CELLS), backend.dtype)
    if nodal:
        rows = np.zeros((len(nodal), backend.stride(CELLS)))
        rows[:, :CELLS] = list(nodal.values())
        arrays["N"] = backend.array(rows, backend.dtype)
    stage = backend.membrane(kernel.source, arrays, 1.0, DT, steps=reaction_steps, uniform=tuple(uniform.values()))
    loop = backend.loop([stage])
    for n in range(steps):
        loop.run(n)
    loop.sync()
    return {name: state.variable(name) for name in state.names}, loop.clock


def assert_close(found, expected, model, precision):
    gates = {state.name for state in model.states if state.method == "rush_larsen"}
    for name, values in expected.items():
        scale = 1.0 if name in gates else np.abs(values).max()
        np.testing.assert_allclose(found[name], values, rtol=0, atol=CLOSE[precision] * scale, err_msg=name)


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
@pytest.mark.parametrize("name", [*SAMPLE_MODELS, "clockwork", "stiff", "resets"])
def test_the_device_computes_what_the_processor_does(emulated_cupy, tmp_path, name, precision):
    model = model_of(name, tmp_path)
    found, clock = run(open_backend("cuda", precision=precision), model, precision)
    expected, other = run(open_backend("cpu", 1, precision), model, precision)
    assert clock.step == other.step == 50
    assert clock.status & 1 == other.status & 1 == 0
    assert np.ptp(found["V"]) > 1
    assert_close(found, expected, model, precision)


@pytest.mark.parametrize("precision", ["fp64", "mixed"])
def test_parameters_come_by_value_and_by_node(emulated_cupy, tmp_path, precision):
    """And a launch may take several reaction steps."""
    model = model_of("clockwork", tmp_path)
    how = {"reaction_steps": 3, "steps": 5, "uniform": {"g": 0.25, "a": 0.2},
           "nodal": {"E": np.linspace(-75, -65, CELLS)}}
    found, _ = run(open_backend("cuda", precision=precision), model, precision, **how)
    expected, _ = run(open_backend("cpu", 1, precision), model, precision, **how)
    assert_close(found, expected, model, precision)
    plain, _ = run(open_backend("cuda", precision=precision), model, precision, reaction_steps=3, steps=5)
    assert np.abs(found["V"] - plain["V"]).max() > 1e-3


def test_what_kernels_find_reaches_the_clock_and_halts_it(emulated_cupy, tmp_path):
    model = model_of("clockwork", tmp_path)
    clocks = [run(open_backend(device, precision="fp64"), model, "fp64")[1] for device in ("cuda", "cpu")]
    assert [(clock.step, clock.halted) for clock in clocks] == [(50, False)] * 2
    assert clocks[0].bounded_steps == clocks[1].bounded_steps
    assert 0 < clocks[0].bounded_steps < 50          # slow rises from 0.5 to its bound on the way
    path = tmp_path / "broken.model"
    path.write_text(CLOCKWORK.replace("Iion = ", "Iion = 1/((t < 0.035) || (V < -10)) + "))
    values, clock = run(open_backend("cuda"), load_model(path), "fp64", steps=9)
    assert (clock.step, clock.halted, clock.status & 1) == (4, 1, 1)
    assert not np.isfinite(values["V"]).all()
    assert np.isfinite(values["V"]).sum() > CELLS // 2


COUPLED = """
#define UP_COUPLED 1
typedef {real} real;
typedef struct {{ double factor; const real *b; }} up_couplings;
static {device} inline real up_coupling(const up_couplings *c, long i, const real *V)
{{
    return (real)(c->factor * (c->b[i] - V[i]));
}}
#ifndef __CUDACC__
static inline void up_coupling_block(const up_couplings *c, long begin, long end, const real *V, real *increment)
{{
    for (long i = begin; i < end; i++) increment[i - begin] = up_coupling(c, i, V);
}}
#endif
"""


class Couplings(ctypes.Structure):
    _fields_ = [("factor", ctypes.c_double), ("b", ctypes.c_void_p)]


class CoupledArgs(ctypes.Structure):
    _fields_ = [("a", KernelArgs), ("couplings", ctypes.c_void_p), ("V_next", ctypes.c_void_p)]


def coupled(model, precision, reaction_steps, steps=3):
    """V after some steps: V by the plain kernel with increments added apart, V by the coupled one; both in C, one step
    of the reaction at a time."""
    backend = open_backend("cpu", 1, precision)
    kernel = generate(model, "c", precision)
    b = backend.array(np.linspace(-90, 10, CELLS), backend.dtype)
    factor, results = 0.01, []
    prelude = COUPLED.format(real="double" if precision == "fp64" else "float", device="")
    initial = initial_state(model)
    for together in (False, True):
        state = State([(kernel, initial, CELLS)], backend)
        arrays = state.groups[0].arrays
        V = arrays["V"]
        V[:] = backend.array(initial["V"] + np.linspace(0, 60, CELLS), backend.dtype)
        after = backend.zeros(CELLS)
        args = KernelArgs(stride=arrays["S"].shape[1], steps=reaction_steps if together else 1, dt=DT / reaction_steps,
                          C_m=1.0, **{name: array.ctypes.data for name, array in arrays.items()})
        couplings = Couplings(factor, b.ctypes.data)
        library = ctypes.CDLL(str(compile_c(prelude * together + kernel.source)))
        begin, end = ctypes.c_long(0), ctypes.c_long(CELLS)
        for n in range(steps):
            if together:
                args.t = n * DT
                both = CoupledArgs(args, ctypes.addressof(couplings), after.ctypes.data)
                before = V.copy()
                assert library.upstroke_advance_coupled(begin, end, ctypes.byref(both)) & 1 == 0
                np.testing.assert_array_equal(V, before)
                V[:] = after
                continue
            increment = (factor * (b - V).astype(np.float64)).astype(backend.dtype)
            for k in range(reaction_steps):
                args.t = n * DT + k * (DT / reaction_steps)
                library.upstroke_advance(begin, end, ctypes.byref(args))
                V += increment / backend.dtype.type(reaction_steps)
        results.append({name: state.variable(name).copy() for name in state.names})
    return results


@pytest.mark.parametrize("reaction_steps", [1, 4])
@pytest.mark.parametrize("precision", ["fp64", "mixed"])
@pytest.mark.parametrize("name", ["HodgkinHuxley", "clockwork", "resets"])
def test_a_coupled_step_is_the_reaction_and_the_increment(tmp_path, name, precision, reaction_steps):
    apart, together = coupled(model_of(name, tmp_path), precision, reaction_steps)
    for variable, values in apart.items():
        np.testing.assert_array_equal(together[variable], values, err_msg=variable)


@pytest.mark.parametrize("reaction_steps", [1, 4])
def test_coupled_kernels_of_the_device_do_the_same(emulated_cupy, tmp_path, reaction_steps):
    from upstroke.backend.cuda import by_value

    model, precision = model_of("clockwork", tmp_path), "fp64"
    expected, _ = coupled(model, precision, reaction_steps, steps=1)
    backend = open_backend("cuda")
    kernel = generate(model, "cuda", precision)
    initial = initial_state(model)
    state = State([(kernel, initial, CELLS)], backend)
    arrays = state.groups[0].arrays
    start = initial["V"] + np.linspace(0, 60, CELLS)
    arrays["V"][:] = backend.array(start)
    b, after = backend.array(np.linspace(-90, 10, CELLS)), backend.zeros(CELLS)
    args = KernelArgs(stride=arrays["S"].shape[1], steps=reaction_steps, dt=DT / reaction_steps, C_m=1.0,
                      **{name: backend.pointer(array) for name, array in arrays.items()})
    source = COUPLED.format(real="double", device="__device__") + kernel.source
    stage = backend.kernel(source, "upstroke_advance_coupled", args, CELLS, dt=DT, label="reaction",
                           more=(by_value(Couplings(0.01, backend.pointer(b))), after))
    loop = backend.loop([stage])
    loop.run(0)
    loop.sync()
    np.testing.assert_array_equal(backend.to_host(arrays["V"]), start)
    np.testing.assert_allclose(backend.to_host(after), expected["V"], rtol=1e-13)
    np.testing.assert_allclose(state.variable("slow"), expected["slow"], rtol=1e-13)


def test_stats_measure_where_there_is_a_device(emulated_cupy, monkeypatch):
    from upstroke import emit

    compiled = emit.Compiled(40, 0, 0, 0, 480, emit.Instructions(200, 10, 9, 350))
    monkeypatch.setattr(emit, "compile_cuda", lambda source, arch: compiled)
    line = emit.stats(load_model("HodgkinHuxley"), "fp32", "sm_90", nodes=200, steps=2).splitlines()[-1]
    number = r"\d[\d.e+]*"
    match = re.fullmatch(rf"measured here +({number}) node-steps/s, ({number}) GB/s, on .+, 200 nodes", line)
    assert match, line
    assert float(match[2]) == pytest.approx(float(match[1]) * 40e-9, rel=0.01)


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_functions_of_the_device_are_those_of_the_processor(emulated_cupy, precision):
    """Also where they end: at zero, infinity, overflow and NaN, which the device finds in other ways."""
    backend, cpu = (open_backend(device, threads=1, precision=precision) for device in ("cuda", "cpu"))
    inf, nan, dtype = np.inf, np.nan, backend.dtype
    edges = [0, 1, -1, 0.5, inf, -inf, nan, 88.6, 88.9, -87.2, -88.4, -90, 700, 709.3, 709.5, -708, -709.5, 745, -745,
             1e3, -1e3, 1e30, -1e30]
    x = np.concatenate([edges, np.linspace(-50, 50, 977), np.logspace(-20, 2, 200)]).astype(dtype)
    names = ("exp", "expm1", "log", "log1p", "sqrt", "cbrt", "tanh", "sinh", "cosh", "atan", "phi", "heav", "floor")
    head = "typedef struct { const real *x; real *y; double t, step_dt; } args;\n"
    for name in names:
        values = []
        for b in (backend, cpu):
            class Args(ctypes.Structure):
                _fields_ = [("x", ctypes.c_void_p), ("y", ctypes.c_void_p), ("t", ctypes.c_double),
                            ("step_dt", ctypes.c_double)]

            if b is cpu:
                text = (f"UP_EXPORT long f(long begin, long end, const args *a) {{ UP_PRAGMA_SIMD for (long i = begin; "
                        f"i < end; i++) a->y[i] = up_{name}(a->x[i]); return 0; }}")
            else:
                text = ('extern "C" __global__ void f(args a, long n, upstroke_clock *clock) { const long i = '
                        f"blockIdx.x * blockDim.x + threadIdx.x; if (i < n) a.y[i] = up_{name}(a.x[i]); }}")
            inside, outside = b.array(x), b.zeros(len(x))
            args = Args(b.pointer(inside), b.pointer(outside), 0, 0)
            b.kernel(prologue(b.target, precision) + head + text, "f", args, len(x), dt=0.0, label=name).run(0)
            most = float(np.finfo(dtype).max) ** 0.8      # ours overflow a little early, and flush what is subnormal
            values.append(np.clip(b.to_host(outside), -most, most))
        eps, small = np.finfo(dtype).eps, np.finfo(dtype).tiny * 4
        np.testing.assert_allclose(values[0], values[1], rtol=4 * eps, atol=small, err_msg=name)
