"""Compiled kernels against the interpreter of the same equations, and against themselves."""

from __future__ import annotations

import ctypes
import platform
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from samples import RESETS, SAMPLE_MODELS

from upstroke.backend.compiler import SCALAR_LIBM, compile_c, try_compiler
from upstroke.codegen import generate
from upstroke.ionic import METHODS, advance, initial_state, load_model, rates, read_model, shipped_models

POINTERS = ("V", "S", "W", "Iion", "Istim", "P", "N")

# Every kind of state at once, smooth, with an equation that uses t, and names that C, CUDA and their headers claim.
ZOO = """
V; .external(Vm); .nodal(); .units(mV);
Iion; .external(); .units(uA/cm^2);
group { I = 0.02; j1 = 1.5; y0 = 0.3; }.param();
V_init = -60; step_init = 0.3; exp1_init = 0.2; float_init = 0.4; M_PI_init = 0.1;
k = 1/(1 + exp(-(V + 40)/15));
wave = 1 + 0.2*sin(0.7*t);
step_inf = k; tau_step = 3 + 2*cos(V/30);
diff_exp1 = y0*(k - exp1)*wave - 0.1*exp1*float;
diff_float = 0.1*(step - float*float) + 0.05*exp1;
diff_M_PI = (k - pow(M_PI, 3))/j1;
Iion = I*(V + 70) + 2*step*step*exp1*(V - 20)/10 + float + M_PI*wave;
"""
# The rest of the language, kinks and all; its integer-valued and logical parts must not change how lanes are filled.
KINKS = ZOO + """
kink = (V < -20 && t > 0.1 || !(exp1 > 0.2)) ? pow(fabs(float), exp1) : min(floor(V/10), 2)*max(exp1, k);
more = (exp1 >= 0.1) + cbrt(V) + atan2(V, 20) + fmod(V, 7) + pow(V/50, 3)*heav(V + 30) + tanh(k) + log1p(k) + square(k);
Iion = Iion + 0.01*kink + 0.001*more;
"""


def zoo(tmp_path, v_method="fe", step="rush_larsen", exp1="fe", float_="fe", M_PI="fe", equations=ZOO):
    path = tmp_path / "zoo.model"
    path.write_text(equations)
    return load_model(path, methods={"V": v_method, "step": step, "exp1": exp1, "float": float_, "M_PI": M_PI})


class Args(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_void_p) for name in POINTERS), ("stride", ctypes.c_long), ("t", ctypes.c_double),
                ("dt", ctypes.c_double), ("steps", ctypes.c_long), ("C_m", ctypes.c_double),
                ("step_dt", ctypes.c_double)]


class Cells:
    """A kernel with the arrays of its nodes."""

    def __init__(self, model, V, states, precision="fp64", uniform=None, nodal=None, **compile_options):
        kernel = generate(model, "c", precision, uniform=tuple(uniform or ()), nodal=tuple(nodal or ()))
        self.library = ctypes.CDLL(str(compile_c(kernel.source, **compile_options)))
        self.library.upstroke_advance.restype = ctypes.c_long
        self.real = np.float64 if precision == "fp64" else np.float32
        self.n, self.stride = len(V), len(V) + 3
        self.narrow = [name for name in kernel.states if name not in kernel.wide]
        self.wide = list(kernel.wide)
        self.V = np.array(V, self.real)
        self.S, self.W = self._rows(self.narrow, states, self.real), self._rows(self.wide, states, np.float64)
        self.Iion, self.Istim = np.zeros(self.n, self.real), np.zeros(self.n, self.real)
        self.P = np.array(list((uniform or {}).values()), self.real)
        self.N = self._rows(list(nodal or ()), nodal or {}, self.real)

    def _rows(self, names, values, dtype):
        rows = np.full((len(names), self.stride), 7.0, dtype)
        for row, name in zip(rows, names, strict=True):
            row[:self.n] = values[name]
        return rows

    def _args(self, t, dt, steps, C_m):
        return Args(*(getattr(self, name).ctypes.data for name in POINTERS), self.stride, t, dt, steps, C_m)

    def advance(self, dt, steps=1, t=0.0, C_m=1.0, begin=0, end=None):
        args = self._args(t, dt, steps, C_m)
        last = self.n if end is None else end
        return self.library.upstroke_advance(ctypes.c_long(begin), ctypes.c_long(last), ctypes.byref(args))

    def rates(self, t, dt, C_m):
        dV, dS, dW = np.zeros_like(self.V), np.zeros_like(self.S), np.zeros_like(self.W)
        args = self._args(t, dt, 1, C_m)
        out = [ctypes.c_void_p(a.ctypes.data) for a in (dV, dS, dW)]
        self.library.upstroke_rates(ctypes.c_long(0), ctypes.c_long(self.n), ctypes.byref(args), *out)
        found = dict(zip(self.narrow, dS[:, :self.n], strict=True)) | dict(zip(self.wide, dW[:, :self.n], strict=True))
        return dV, found

    @property
    def states(self):
        found = zip((*self.narrow, *self.wide), (*self.S, *self.W), strict=True)
        return {name: row[:self.n].copy() for name, row in found}

    def bits(self):
        return b"".join(a[..., :self.n].tobytes() for a in (self.V, self.S, self.W, self.Iion))


def scattered(model, n=61, seed=1):
    """Nodes around the initial state: V over the range of an action potential, states within 20 %.

    Nearer, where that would leave the domain of a model: a total of calcium that is less than what is bound, say.
    """
    start = initial_state(model)
    for share in (1, 0.1, 0.01, 1e-3, 1e-4, 1e-5):
        rng = np.random.default_rng(seed)
        V = rng.uniform(-90, 40, n)
        states = {s.name: start[s.name] * (1 - 0.2 * share * rng.uniform(0, 1, n))
                  + (0.1 * share * rng.uniform(0, 1, n) if s.slope else 0) for s in model.states}
        Iion, slopes = rates(model, V, states)
        if all(np.isfinite(values).all() for values in (Iion, *slopes.values())):
            return V, states
    raise AssertionError(f"{model.name} has no rates near its initial state")


def other_compilers():
    zig = [] if find_spec("ziglang") else pytest.mark.skip(reason="ziglang is not installed")
    return ["system", pytest.param("zig", marks=zig)]


@pytest.fixture(params=other_compilers())
def compiler(request):
    return None if request.param == "system" else try_compiler((sys.executable, "-m", "ziglang", "cc"))


# ------------------------------------------------------------------------------------------------------- equations
@pytest.mark.parametrize("name", [info.name for info in shipped_models()])
def test_rates_equal_the_interpreter(name):
    """Of every model, as the compiler optimises it for a sample, and without optimisation, which is fast, for all."""
    model = load_model(name)
    V, states = scattered(model)
    cells = Cells(model, V, states, extra_flags=() if name in SAMPLE_MODELS else ("-O0",))
    cells.Istim[:] = np.linspace(0, 30, cells.n)
    dV, found = cells.rates(t=3.25, dt=0.02, C_m=1.3)
    Iion, expected = rates(model, V, states, 3.25, 0.02)
    close(dV, -(Iion - cells.Istim) / 1.3)
    for state, rate in expected.items():
        close(found[state], rate)


def close(found, expected):
    """Equal to 1e-12, relative to the value or, where terms cancel, to a hundredth of the largest."""
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14 * np.abs(expected).max())


def test_the_whole_language_equals_the_interpreter(tmp_path, compiler):
    model = zoo(tmp_path, equations=KINKS)
    V, states = scattered(model)
    cells = Cells(model, V, states, compiler=compiler)
    dV, found = cells.rates(t=0.4, dt=0.02, C_m=1.0)
    Iion, expected = rates(model, V, states, 0.4, 0.02)
    close(dV, -Iion)
    for state, rate in expected.items():
        close(found[state], rate)


@pytest.mark.parametrize("name", SAMPLE_MODELS)
def test_a_step_equals_the_interpreter(name, compiler):
    model = load_model(name)
    V, states = scattered(model, 13)
    cells = Cells(model, V, states, compiler=compiler)
    cells.Istim[:] = 20
    assert cells.advance(0.02, t=1.5, C_m=0.9) & 1 == 0
    V1, states1 = advance(model, V, states, 1.5, 0.02, Istim=20.0, C_m=0.9)
    np.testing.assert_allclose(cells.V, V1, rtol=1e-12)
    np.testing.assert_allclose(cells.Iion, rates(model, V, states, 1.5, 0.02)[0], rtol=1e-10, atol=1e-12)
    for state, value in cells.states.items():
        np.testing.assert_allclose(value, states1[state], rtol=1e-12, atol=1e-15, err_msg=state)


@pytest.mark.parametrize("methods", [
    dict(v_method="rk4", exp1="rk4", float_="rk2", M_PI="fe"),
    dict(v_method="fe", exp1="rk4", float_="rk2", M_PI="rk2"),
    dict(v_method="rk2", exp1="rush_larsen", float_="rk2", M_PI="rk4"), dict(v_method="rk2", step="rk2"),
    dict(v_method="sundnes", step="sundnes", exp1="sundnes", float_="sundnes", M_PI="sundnes"),
    dict(v_method="rk4", step="sundnes", exp1="rk2", float_="sundnes", M_PI="sundnes"),
    dict(v_method="rosenbrock", step="rosenbrock", exp1="rosenbrock", float_="rosenbrock", M_PI="rosenbrock"),
    dict(v_method="rk2", step="markov_be", exp1="markov_be", float_="rosenbrock", M_PI="rosenbrock"),
    dict(v_method="rosenbrock", step="markov_be", exp1="rk4", float_="rosenbrock", M_PI="sundnes"),
])
def test_methods_mix_as_the_interpreter_mixes_them(tmp_path, methods):
    model = zoo(tmp_path, **methods)
    V, states = scattered(model, 9)
    cells = Cells(model, V, states)
    cells.advance(0.3, t=2.0)
    V1, states1 = advance(model, V, states, 2.0, 0.3)
    np.testing.assert_allclose(cells.V, V1, rtol=1e-13)
    for state, value in cells.states.items():
        np.testing.assert_allclose(value, states1[state], rtol=1e-12, err_msg=state)


# --------------------------------------------------------------------------------------------------------- events
ZOO_EVENTS = ZOO + """
count_init = 0; last_init = 0; before_init = 0; above = V > -30; float; .ub(0.6);
when (above && step > 0.2) { V = -60 + 0.1*V; step = 0.5*step; float += 0.3*k; count += 1; last = t; }
when (V > -50 || count > 3) { V = V - 5; exp1 = max(exp1 - 0.1, 0); count = 0; before = V*k; }
when (!above) { M_PI *= 0.5; }
"""


@pytest.mark.parametrize(("name", "precision", "close"), [
    ("zoo", "fp64", 1e-12), ("zoo", "fp32", 1e-6), ("zoo", "mixed", 1e-6), ("resets", "fp64", 1e-10)])
def test_events_equal_the_interpreter(tmp_path, name, precision, close, compiler):
    """Ten steps, one by one, of many cells, which differ in what happens to them."""
    model = (read_model(RESETS) if name == "resets" else
             zoo(tmp_path, "rk2", "rush_larsen", "rk2", "fe", "rk2", equations=ZOO_EVENTS))
    start = initial_state(model)
    V = start.pop("V") + np.linspace(0.0, 60.0, 61)
    now = {state: np.full(61, value) for state, value in start.items()}
    for k in range(10):
        cells = Cells(model, V, now, precision, compiler=compiler)
        assert cells.advance(0.02, t=0.02 * k) & 1 == 0
        V, now = advance(model, V, now, 0.02 * k, 0.02)
        np.testing.assert_allclose(cells.V, V, rtol=close, atol=100 * close)
        for state, value in cells.states.items():
            np.testing.assert_allclose(value, now[state], rtol=close, atol=close, err_msg=state)
    assert all(np.ptp(value) > 0 for value in now.values())


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
def test_an_event_hides_no_nan(precision, compiler):
    """What overflows on the way is seen before V is set back, and so is what the event itself makes."""
    model = read_model("V; .external(Vm); V_init = 0; x_init = 1; diff_x = 0; Iion = -x; "
                       "when (V > 10) { V = x/(1 - x); }")
    for V, x, status in ((0.0, 1.0, 0), (11.0, 0.5, 0), (11.0, 1.0, 1), (np.inf, 0.5, 1)):
        assert Cells(model, [V], {"x": x}, precision, compiler=compiler).advance(0.02) == status


@pytest.mark.parametrize("name", ["AdEx", "Izhikevich", "LeakyIntegrateAndFire", "GreenbergHastings", "resets"])
def test_events_are_no_branches(name):
    """Else loops over nodes would not be vectorised."""
    model = read_model(RESETS) if name == "resets" else load_model(name)
    source = generate(model, "c", "mixed").source
    body = source[source.index("UP_VECTORISE\n        for"):source.index("#define UP_GATHER")]
    assert "const up_bits h0 = " in body
    assert "if (" not in body


@pytest.mark.parametrize("method", METHODS)
def test_the_measured_order_is_the_declared_one(tmp_path, method):
    v_method = "fe" if METHODS[method].needs_slope else method
    others = {"exp1": method, "float_": v_method, "M_PI": v_method}   # the last two are not affine in themselves
    model = zoo(tmp_path, v_method, method, **others)
    start, end = initial_state(model), 8.0
    V = start.pop("V")

    def at_the_end(model, steps):
        cells = Cells(model, [V], start)
        cells.advance(end / steps, steps)
        return np.array([cells.V[0], *(v[0] for v in cells.states.values())])

    exact = at_the_end(zoo(tmp_path, "rk4", "rk4", "rk4", "rk4", "rk4"), 20000)
    steps = np.array([40, 80, 160, 320])
    errors = [np.abs(at_the_end(model, int(n)) - exact).max() for n in steps]
    order = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert order == pytest.approx(METHODS[method].order, abs=0.15)


# ------------------------------------------------------------------------------------------- the same, bit for bit
@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
def test_k_steps_equal_k_calls_bit_for_bit(tmp_path, precision, compiler):
    model = zoo(tmp_path, "rk2", exp1="rk4")
    V, states = scattered(model, 37)
    once, often = (Cells(model, V, states, precision, compiler=compiler) for _ in range(2))
    once.advance(0.1, steps=7, t=0.3)
    for k in range(7):
        often.advance(0.1, t=0.3 + k * 0.1)
    assert once.bits() == often.bits()


@pytest.mark.parametrize(("name", "flags"), [
    ("zoo", ()), ("zoo", ("-mno-avx512f",)), ("zoo", SCALAR_LIBM), ("tenTusscherPanfilov", ()), ("Izhikevich", ()),
], ids=["zoo", "zoo-avx2", "zoo-libm", "tenTusscherPanfilov", "Izhikevich"])
@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
def test_split_ranges_equal_one_call_bit_for_bit(tmp_path, name, precision, flags, compiler):
    if "-mno-avx512f" in flags and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("an x86-64 flag on another processor")
    model = zoo(tmp_path, "rk2", equations=KINKS) if name == "zoo" else load_model(name)
    V, states = scattered(model, 601)
    whole, split = (Cells(model, V, states, precision, compiler=compiler, extra_flags=flags) for _ in range(2))
    whole.advance(0.02, steps=3)
    for begin, end in ((0, 1), (1, 4), (4, 4), (4, 133), (133, 147), (147, 600), (600, 601)):
        split.advance(0.02, steps=3, begin=begin, end=end)
    assert whole.bits() == split.bits()
    assert (whole.S[:, whole.n:] == 7).all()   # nothing beyond the last node is touched


# ------------------------------------------------------------------------------------------------------ precisions
@pytest.mark.parametrize("precision", ["fp32", "mixed"])
@pytest.mark.parametrize("name", SAMPLE_MODELS)
def test_lower_precisions_stay_near_fp64(name, precision):
    model = load_model(name)
    start = initial_state(model)
    V = np.full(17, start.pop("V"))
    exact, rough = Cells(model, V, start), Cells(model, V, start, precision)
    for cells in (exact, rough):
        cells.Istim[:] = 30
        assert cells.advance(0.01, steps=100) & 1 == 0
        assert cells.V[0] > initial_state(model)["V"] + 20
        cells.Istim[:] = 0
        assert cells.advance(0.01, steps=900) & 1 == 0
    np.testing.assert_allclose(rough.V, exact.V, atol=0.05)
    for state, value in rough.states.items():
        np.testing.assert_allclose(value, exact.states[state], rtol=2e-3, atol=1e-4, err_msg=state)


def test_mixed_keeps_slow_accumulation_that_fp32_loses(tmp_path):
    path = tmp_path / "slow.model"
    path.write_text("V; .external(Vm); .nodal();\nIion; .external();\nV_init = 0; c_init = 100;\n"
                    "diff_c = 0.0001;\nx_inf = 0.5; tau_x = 10; x_init = 0;\nIion = 0*(c + x);\n")
    model = load_model(path)
    single, mixed = (Cells(model, [0.0], {"c": 100.0, "x": 0.0}, p) for p in ("fp32", "mixed"))
    for cells in (single, mixed):
        cells.advance(0.01, steps=100000)
    assert mixed.wide == ["c"]
    assert mixed.states["c"][0] == pytest.approx(100.1, abs=1e-6)
    assert single.states["c"][0] == 100.0


# ---------------------------------------------------------------------------------------------------------- status
def test_nan_and_inf_are_caught(compiler):
    model = load_model("tenTusscherPanfilov")
    V, states = scattered(model, 40)
    assert Cells(model, V, states, compiler=compiler).advance(0.02) == 0
    for bad in (np.nan, np.inf, -np.inf):
        for precision in ("fp64", "fp32", "mixed"):
            cells = Cells(model, V, states, precision, compiler=compiler)
            cells.V[39] = bad
            assert cells.advance(0.02) & 1
    cells = Cells(model, V, states, compiler=compiler)
    cells.S[0, 3] = np.nan
    assert cells.advance(0.02) & 1
    cells = Cells(model, V, states, compiler=compiler)
    cells.Istim[5] = 1e300
    assert cells.advance(1e20, steps=5) & 1


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
def test_bounds_hold_and_are_reported(tmp_path, precision):
    path = tmp_path / "bounded.model"
    path.write_text("V; .external(Vm); .nodal();\nIion; .external();\nV_init = 0; x_init = 0.5;\n"
                    "diff_x = V; x; .lb(0.25); .ub(0.75);\nIion = 0*x;\n")
    model = load_model(path)
    V = np.array([0.0, 10.0, -10.0])
    quiet = Cells(model, V[:1], {"x": 0.5}, precision)
    assert quiet.advance(1.0) == 0
    cells = Cells(model, V, {"x": 0.5}, precision)
    assert cells.advance(1.0) == 2
    assert cells.states["x"].tolist() == [0.5, 0.75, 0.25]


# ------------------------------------------------------------------------------------------------------ parameters
def test_uniform_and_nodal_parameters_equal_literals():
    model = load_model("HodgkinHuxley")
    V, states = scattered(model, 40)
    value = {p.name: p.value for p in model.parameters}
    names = ("GNa", "GK", "GL")
    literal = Cells(model, V, states)
    uniform = Cells(model, V, states, uniform={n: value[n] for n in names})
    nodal = Cells(model, V, states, nodal={n: np.full(40, value[n]) for n in names})
    both = Cells(model, V, states, uniform={names[2]: value[names[2]]}, nodal={names[0]: value[names[0]]})
    for cells in (literal, uniform, nodal, both):
        cells.advance(0.02, steps=10)
    for cells in (uniform, nodal, both):
        np.testing.assert_allclose(cells.V, literal.V, rtol=1e-12)
    changed = load_model("HodgkinHuxley", parameters={names[0]: 0.5 * value[names[0]]})
    half, one = Cells(changed, V, states), Cells(model, V, states, nodal={names[0]: value[names[0]]})
    one.N[0, 7] *= 0.5
    half.advance(0.02, steps=10)
    one.advance(0.02, steps=10)
    assert one.V[7] == pytest.approx(half.V[7], rel=1e-12)
    assert abs(one.V[8] - half.V[8]) > 1e-9
