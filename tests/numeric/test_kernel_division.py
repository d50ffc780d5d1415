"""The division of the CUDA kernels, its hardware's first guess modelled: the text that the GPU runs, compiled as C."""

from __future__ import annotations

import ctypes

import numpy as np
import pacing
import pytest
from pacing import Cell, Pulses

from upstroke.backend.compiler import compile_c
from upstroke.codegen.frames import prologue
from upstroke.ionic import load_model

EXACT = "#define up_div(a, b) ((a) / (b))\n"
INF, NAN = np.inf, np.nan


def with_division(source, precision):
    """A C source that divides as the CUDA kernels do."""
    cuda = prologue("cuda", precision)
    own = cuda[cuda.index("#ifdef UPSTROKE_EMULATED"):cuda.index("/* ---- both frames: elementary functions")]
    assert source.count(EXACT) == 1
    return source.replace(EXACT, own)


def quotients(precision, a, b, seed_error=0):
    real = np.float64 if precision == "fp64" else np.float32
    loop = ("UP_EXPORT void divide(long n, const real *a, const real *b, real *q)"
            "{ for (long i = 0; i < n; i++) q[i] = up_div(a[i], b[i]); }")
    source = with_division(prologue("c", precision), precision) + loop
    library = ctypes.CDLL(str(compile_c(source, extra_flags=("-DUPSTROKE_EMULATED", f"-DUP_SEED_ERROR={seed_error}"))))
    a, b = (np.ascontiguousarray(x, real) for x in np.broadcast_arrays(a, b))
    q = np.empty_like(a)
    library.divide(ctypes.c_long(a.size), *(ctypes.c_void_p(x.ctypes.data) for x in (a, b, q)))
    return q


def ulps(q, a, b):
    exact = a.astype(np.longdouble) / b
    return float(np.max(np.abs(q - exact) / np.spacing(np.abs(exact).astype(q.dtype))))


def operands(real):
    """A million pairs, half of them with b just below or above a power of two, where guesses are worst."""
    rng = np.random.default_rng(11)
    scale = 300 if real is np.float64 else 12
    a, b = (rng.uniform(1, 2, 1_000_000) * 2.0 ** rng.integers(-scale, scale, 1_000_000) for _ in range(2))
    b[::2] = 2.0 ** rng.integers(-scale, scale, 500_000) * (1 + rng.uniform(-1e-5, 1e-5, 500_000))
    return a.astype(real), b.astype(real)


@pytest.mark.parametrize("seed_error", [-2, -1, 0, 1, 2])
def test_quotients_and_reciprocals_in_fp64(seed_error):
    """The guess is truncated as the hardware's operand and result are, and off by two of its last places more."""
    a, b = operands(np.float64)
    assert ulps(quotients("fp64", a, b, seed_error), a, b) <= 1.2
    one = np.ones_like(b)
    assert ulps(quotients("fp64", one, b, seed_error), one, b) <= 0.8


@pytest.mark.parametrize(("seed_error", "allowed"), [(-1, 3.5), (0, 1.5), (1, 3.5)])
def test_quotients_in_fp32(seed_error, allowed):
    a, b = operands(np.float32)
    assert ulps(quotients("fp32", a, b, seed_error), a, b) <= allowed


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_what_divides_by_zero_or_infinity_shows(precision):
    a = [1, -1, 1, 0, INF, INF, INF, -INF, NAN, 1, 0, 1, -3, NAN, 0]
    b = [0, 0, -0.0, 0, 0, INF, 2, -2, 1, NAN, NAN, INF, -INF, 0, 5]
    with np.errstate(all="ignore"):
        expected = np.array(a) / np.array(b)
    np.testing.assert_array_equal(quotients(precision, a, b), expected)


def test_large_and_small_quotients_overflow_and_vanish():
    a, b = [1e300, -1e300, 1e-300, 1, 1], [1e-300, 1e-300, 1e300, 1e308, 1e-310]
    assert quotients("fp64", a, b).tolist() == [INF, -INF, 0, 0, INF]


def beat(precision, monkeypatch=None):
    """V of the first beat of tenTusscherPanfilov at dt 0.02 ms, every millisecond; divided as CUDA does on request."""
    if monkeypatch is not None:
        monkeypatch.setattr(pacing, "compile_c", lambda source, extra_flags: compile_c(
            with_division(source, precision), extra_flags=("-DUPSTROKE_EMULATED", *extra_flags)))
    cell = Cell(load_model("tenTusscherPanfilov"), 0.02, flags=("-O1",))     # -O3 takes 90 s
    return cell.run(500.0, Pulses(52.0, 5.0, 1.0), every=50)[1]


def test_a_beat_does_not_notice(monkeypatch):
    exact, own = beat("fp64"), beat("fp64", monkeypatch)
    assert exact.max() > 30 and exact[-1] < -80      # an action potential, and back
    error = np.abs(own - exact).max()
    print(f"max |dV| {error:.2e} mV")
    assert 0 < error < 1e-9
