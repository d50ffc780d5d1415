"""The kernels' own elementary functions against the C library in higher precision, for every compiler at hand."""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from upstroke.backend.compiler import compile_c, find_compiler, try_compiler
from upstroke.codegen.frames import prologue

REAL = {"fp64": (np.float64, "double"), "fp32": (np.float32, "float")}

# function: (reference, range in fp64, range in fp32, allowed error in units of the last place)
ONE = {
    "exp": (np.exp, (-700, 709), (-86, 88), 1.5),
    "expm1": (np.expm1, (-40, 700), (-15, 87), 3.0),
    "log": (np.log, (1e-300, 1e300), (1e-36, 1e36), 2.0),
    "log10": (np.log10, (1e-300, 1e300), (1e-36, 1e36), 3.0),
    "log1p": (np.log1p, (-0.999, 1e9), (-0.999, 1e9), 3.0),
    "sqrt": (np.sqrt, (0, 1e300), (0, 1e36), 1.0),
    "cbrt": (np.cbrt, (-1e9, 1e9), (-1e9, 1e9), 3.0),
    "sin": (np.sin, (-1e4, 1e4), (-100, 100), 2.0),
    "cos": (np.cos, (-1e4, 1e4), (-100, 100), 2.0),
    "tan": (np.tan, (-100, 100), (-100, 100), 5.0),
    "asin": (np.arcsin, (-1, 1), (-1, 1), 4.0),
    "acos": (np.arccos, (-1, 1), (-1, 1), 4.0),
    "atan": (np.arctan, (-1e6, 1e6), (-1e6, 1e6), 4.0),
    "sinh": (np.sinh, (-700, 700), (-85, 85), 4.0),
    "cosh": (np.cosh, (-700, 700), (-85, 85), 3.0),
    "tanh": (np.tanh, (-30, 30), (-30, 30), 5.0),
    "floor": (np.floor, (-1e6, 1e6), (-1e6, 1e6), 0.0),
    "ceil": (np.ceil, (-1e6, 1e6), (-1e6, 1e6), 0.0),
    "fabs": (np.fabs, (-1e6, 1e6), (-1e6, 1e6), 0.0),
}
TWO = {"pow": np.power, "atan2": np.arctan2, "fmod": np.fmod, "min": np.minimum, "max": np.maximum}


def compilers():
    zig = pytest.param("zig", marks=[] if find_spec("ziglang") else pytest.mark.skip(reason="ziglang is not installed"))
    return ["system", zig]


@pytest.fixture(params=compilers())
def compiler(request):
    if request.param == "system":
        return find_compiler()
    found = try_compiler((sys.executable, "-m", "ziglang", "cc"))
    assert found is not None
    return found


@pytest.fixture(params=REAL)
def functions(request, compiler):
    """``call(name, x[, y])`` in one precision: loops over arrays, compiled as a kernel is."""
    dtype, _ = REAL[request.param]
    one = (*ONE, "phi", "heav")
    loops = [f"UP_EXPORT void f_{name}(long n, const real *x, real *z)"
             f"{{ UP_PRAGMA_SIMD for (long i = 0; i < n; i++) z[i] = up_{name}(x[i]); }}" for name in one]
    loops += [f"UP_EXPORT void f_{name}(long n, const real *x, const real *y, real *z)"
              f"{{ UP_PRAGMA_SIMD for (long i = 0; i < n; i++) z[i] = up_{name}(x[i], y[i]); }}" for name in TWO]
    library = ctypes.CDLL(str(compile_c("\n".join((prologue("c", request.param), *loops)), compiler=compiler)))

    def call(name, *args):
        args = [np.ascontiguousarray(a, dtype) for a in np.broadcast_arrays(*args)]
        out = np.empty_like(args[0])
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*args, out)]
        library[f"f_{name}"](ctypes.c_long(out.size), *pointers)
        return out

    call.dtype = dtype
    return call


def samples(name, dtype):
    low, high = ONE[name][1 if dtype is np.float64 else 2]
    rng = np.random.default_rng(7)
    if low > 0:
        return np.exp(rng.uniform(np.log(low), np.log(high), 20001)).astype(dtype)
    small = rng.uniform(-1, 1, 20001) * np.exp(rng.uniform(-20, 0, 20001))
    both = np.concatenate([rng.uniform(low, high, 20001), small, [0.0]])
    return both[(both >= low) & (both <= high)].astype(dtype)


def ulps(value, exact, dtype):
    exact = exact.astype(np.longdouble)
    return np.abs(value.astype(np.longdouble) - exact) / np.spacing(np.abs(exact).astype(dtype))


@pytest.mark.parametrize("name", ONE)
def test_a_function_of_one_argument_is_accurate(functions, name):
    reference, _, _, allowed = ONE[name]
    x = samples(name, functions.dtype)
    error = ulps(functions(name, x), reference(x.astype(np.longdouble)), functions.dtype)
    assert error.max() <= allowed, f"{name}({x[error.argmax()]!r}) is wrong by {error.max():.2f} ulp"


def test_pow_is_accurate_and_knows_its_exceptions(functions):
    rng = np.random.default_rng(3)
    x, y = np.exp(rng.uniform(-3, 3, 20001)).astype(functions.dtype), rng.uniform(-4, 4, 20001).astype(functions.dtype)
    error = ulps(functions("pow", x, y), np.power(x.astype(np.longdouble), y.astype(np.longdouble)), functions.dtype)
    assert error.max() <= 2 + 2 * 12   # the logarithm's rounding, times |y log x| <= 12
    x, y = [0, 0, -2, -2, 5, 0], [2.5, 0, 3, 2, 0, 1]
    np.testing.assert_allclose(functions("pow", x, y), np.power(np.array(x, float), y), rtol=1e-6)
    assert np.isnan(functions("pow", [-2.0], [0.5])).all()


def test_functions_of_two_arguments(functions):
    rng = np.random.default_rng(5)
    x, y = (rng.uniform(-1, 1, 20001).astype(functions.dtype) * 10 for _ in range(2))
    eps = np.finfo(functions.dtype).eps
    for name in ("atan2", "min", "max"):
        np.testing.assert_allclose(functions(name, x, y), TWO[name](x.astype(float), y.astype(float)), rtol=3 * eps)
    np.testing.assert_allclose(functions("atan2", [0, 0, 1, -1, 0], [0, -1, 0, 0, 1]),
                               np.arctan2([0, 0, 1, -1, 0], [0, -1, 0, 0, 1]), rtol=2 * eps)
    x, y = np.arange(0, 4000, 7), np.full(572, 1000.0)
    assert np.array_equal(functions("fmod", x, y), np.fmod(x, y))
    x = rng.uniform(0, 1e4, 5001).astype(functions.dtype)
    error = np.abs(functions("fmod", x, 800) - np.fmod(x.astype(float), 800))
    assert np.minimum(error, 800 - error).max() <= 1e4 * eps


def test_overflow_and_invalid_arguments_show(functions):
    inf = np.inf
    assert functions("exp", [-1e30, -1e5, -800, 800, 1e5, 1e30]).tolist() == [0, 0, 0, inf, inf, inf]
    assert functions("expm1", [-1e30, -1e5]).tolist() == [-1, -1]
    assert functions("log", [0.0]).tolist() == [-inf]
    assert functions("log", [inf]).tolist() == [inf]
    assert np.isnan(functions("log", [-1.0, np.nan])).all()
    assert np.isnan(functions("log1p", [-1.5])).all()
    assert np.isnan(functions("asin", [1.5])).all()
    assert functions("tanh", [-1e5, 1e5]).tolist() == [-1, 1]
    assert functions("heav", [-1, 0, 1]).tolist() == [0, 1, 1]


def test_phi_has_no_gap_at_zero(functions):
    x = np.concatenate([-np.logspace(-12, 1, 500), [0.0], np.logspace(-12, 1, 500)]).astype(functions.dtype)
    exact = x.astype(np.longdouble)
    exact = np.where(x == 0, 1, np.expm1(exact) / np.where(x == 0, 1, exact))
    np.testing.assert_allclose(functions("phi", x), exact.astype(float), rtol=4 * np.finfo(functions.dtype).eps)
