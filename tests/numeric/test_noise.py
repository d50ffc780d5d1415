"""Ornstein-Uhlenbeck noise: its numbers, its statistics for any dt, what it does to V, the emulated device."""

import ctypes
from importlib import resources

import numpy as np
import pytest
from ptxas import report, spilled

import upstroke
from upstroke import load_case
from upstroke.backend.compiler import compile_c
from upstroke.run import prepare

TEXT = "#define REAL double\n" + resources.files("upstroke.step").joinpath("noise.c").read_text()
AREA = np.pi * 20e-4 * 20e-4        # cm^2, of the ball


def ball(noise, dt=0.1, end=1.0, compartments=1, splitting="staggered", device="cpu", precision="fp64", threads=1,
         **tables):
    """A passive ball (or a cylinder of many compartments), with a time constant of 10 ms."""
    return load_case({
        "mesh": {"kind": "sections", "compartments": {"number": compartments}, "section": [
            {"name": "soma", "type": "soma", "length": f"{20 * compartments} um", "diameter": "20 um"}]},
        "cable": {"axial_resistivity": "150 ohm*cm"},
        "membrane": [{"model": "Passive", "parameters": {"Rm": 10, "V_rest": -65}, "initial": {"V": -65}}],
        "time": {"end": f"{end} ms", "dt": f"{dt} ms", "splitting": splitting}, "noise": noise,
        "backend": {"device": device, "precision": precision} | ({"threads": threads} if device == "cpu" else {}),
        "output": {"picture": False}} | tables)


CURRENT = {"region": "soma", "total_current": ["0 pA", "20 pA"], "tau": "2 ms"}
CONDUCTANCE = {"region": "soma", "conductance": ["1 nS", "0.5 nS"], "reversal": "-75 mV", "tau": "10 ms"}


def walk(case):
    """y of all processes after every step, and the current that acted in it, uA/cm^2; both (steps, nodes)."""
    setup = prepare(case)
    (stage,) = (stage for stage in setup.stepper.stages if stage.name == "noise")
    y, acting = [], []
    for _ in setup.stepper.steps():
        y.append(np.array(setup.backend.to_host(stage.keep[0]["state"])))
        acting.append(np.array(setup.backend.to_host(setup.state.pieces("Inoise")[0][2])))
    middle = setup.mesh.tree.area[setup.state.order] > 0
    return np.array(y)[1:], np.array(acting)[1:, middle]


# --------------------------------------------------------------------------------------------- random numbers
@pytest.mark.parametrize("counter, key, expected", [
    ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ([0xffffffff] * 4, [0xffffffff] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0],
     "d16cfe09 94fdcceb 5001e420 24126ea1")])
def test_philox_is_that_of_its_authors(counter, key, expected):
    """The known answers of Random123."""
    code = "\nvoid known(unsigned *c, unsigned a, unsigned b) { philox(c, a, b); }\n"
    numbers = (ctypes.c_uint * 4)(*counter)
    ctypes.CDLL(str(compile_c(TEXT + code))).known(numbers, *map(ctypes.c_uint, key))
    assert " ".join(f"{x:08x}" for x in numbers) == expected


def test_normal_numbers_are_normal():
    """Against numpy's functions of the same bits, and their moments; the extremes of the 53 bits."""
    code = """
void pairs(long n, double *one, double *other, unsigned *bits)
{
    for (long i = 0; i < n; i++) {
        normal_pair(7, 3, i, 0, one + i, other + i);
        unsigned *c = bits + 4 * i;
        c[0] = i; c[1] = c[2] = c[3] = 0;
        philox(c, 7, 3);
    }
}
double logarithm(unsigned long long m) { return minus_log(m); }
"""
    library, n = ctypes.CDLL(str(compile_c(TEXT + code))), 200_000
    one, other, bits = np.zeros(n), np.zeros(n), np.zeros((n, 4), np.uint32)
    library.pairs(ctypes.c_long(n), *(ctypes.c_void_p(x.ctypes.data) for x in (one, other, bits)))
    first, second = ((bits[:, k].astype(np.uint64) << np.uint64(32) | bits[:, k + 1]) >> np.uint64(11) for k in (0, 2))
    R = np.sqrt(-2 * np.log((first + np.uint64(1)) * 2.0 ** -53))
    turn = np.pi / 2 * ((second >> np.uint64(51)) + (second & np.uint64(2 ** 51 - 1)) * 2.0 ** -51 - 0.5)
    known = np.sort([np.abs(R * np.sin(turn)), np.abs(R * np.cos(turn))], axis=0)
    assert np.abs(np.sort(np.abs([one, other]), axis=0) - known).max() < 3e-14
    both = np.concatenate([one, other])
    moments = [np.mean(both ** k) for k in (1, 2, 3, 4)]
    errors = np.sqrt(np.array([1, 2, 15, 96]) / len(both))
    assert (np.abs(moments - np.array([0, 1, 0, 3])) < 4 * errors).all()
    assert abs(np.mean(one * other)) < 4 / np.sqrt(n) and abs(np.mean(one[1:] * one[:-1])) < 4 / np.sqrt(n)
    assert abs(np.mean(both > 1.959963985) - 0.025) < 4 * np.sqrt(0.025 / len(both))
    library.logarithm.restype = ctypes.c_double
    ends = [library.logarithm(ctypes.c_ulonglong(m)) for m in (1, 2 ** 53, 2 ** 53 - 1)]
    assert ends == pytest.approx([53 * np.log(2), 0.0, 2.0 ** -53], rel=1e-13, abs=1e-300)


# ------------------------------------------------------------------------------------------------- statistics
@pytest.mark.parametrize("dt", [0.02, 1.0, 6.0])
def test_a_process_is_stationary_and_exact_for_any_dt(dt):
    """Mean, variance, autocorrelation of y from the first step on, and variance of what acts; four standard errors."""
    n, steps = 3000, 12
    y, acting = walk(ball([CURRENT], dt, steps * dt, n))
    assert y.shape == (steps, n)
    for now in y:
        assert abs(now.mean()) < 4 / np.sqrt(n) and abs(now.var() - 1) < 4 * np.sqrt(2 / n)
    for lag in (1, 4):
        a = np.exp(-lag * dt / 2)
        assert abs(np.mean(y[0] * y[lag]) - a) < 4 * np.sqrt((1 + a * a) / n)
    assert abs(np.mean(y[5, 1:] * y[5, :-1])) < 4 / np.sqrt(n)             # processes know nothing of each other
    h, x = dt / 2, acting * AREA / 20e-6                                   # in units of sigma
    variance = 2 / h ** 2 * (np.exp(-h) - 1 + h)                           # of the mean over a step
    assert abs(x[3].var() - variance) < 4 * variance * np.sqrt(2 / n)
    c = -np.expm1(-h) / h                                                  # of it with the value at the end
    assert abs(np.mean(x[3] * y[3]) - c) < 4 * np.sqrt((variance + c * c) / n)


def test_v_has_the_variance_that_theory_gives():
    """Of a leaky compartment: (R sigma)^2 tau / (tau + tau_m), and its mean, from 400 uncoupled balls."""
    for dt in (0.25, 2.0):
        case = ball([CURRENT | {"total_current": ["5 pA", "20 pA"]}], dt, 100, 4000, cable={
            "axial_resistivity": "1e9 ohm*cm"})
        setup = prepare(case)
        for _ in setup.stepper.steps():
            pass
        V = np.array(setup.state.V)[setup.mesh.tree.area[setup.state.order] > 0] + 65
        R = 10 / AREA
        assert abs(V.mean() - 5e-6 * R) < 4 * 20e-6 * R * np.sqrt(1 / 6 / 4000)
        assert V.var() == pytest.approx((20e-6 * R) ** 2 / 6, rel=4 * np.sqrt(2 / 4000) + 0.005 * dt ** 2)


def test_conductances_pull_to_their_reversal_and_never_act_below_zero():
    _, acting = walk(ball([CONDUCTANCE | {"conductance": ["0.2 nS", "1 nS"]}], 0.1, 0.2, 2000))
    assert (acting <= 0).all() and 0.35 < np.mean(acting[0] == 0) < 0.5     # 42 % of a normal lie below -0.2
    setup = prepare(ball([CONDUCTANCE], 0.1, 30, 1))
    for _ in setup.stepper.steps():
        pass
    assert -72 < setup.state.variable("V").min() < -66


def test_tables_with_one_seed_have_the_same_numbers():
    one = walk(ball([CURRENT | {"seed": 5}], compartments=3))[0]
    same = walk(ball([CURRENT | {"seed": 6}, CURRENT | {"seed": 5}], compartments=3))[0]
    assert np.array_equal(one, same[:, 1::2]) and not np.array_equal(one, same[:, ::2])
    shared = walk(ball([CURRENT | {"shared": True, "seed": 5}], compartments=3))[0]
    assert (shared == shared[:, :1]).all() and (one == shared[:, :1]).all(axis=0).any()
    longer = walk(ball([CURRENT | {"seed": 5}], compartments=3, end=2.0))[0]
    assert np.array_equal(longer[:10], one)


def test_results_do_not_depend_on_threads():
    one, three = (walk(ball([CURRENT, CONDUCTANCE], 0.1, 0.5, 3000, threads=threads)) for threads in (1, 3))
    assert all(np.array_equal(a, b) for a, b in zip(one, three, strict=True))


# ---------------------------------------------------------------------------------------------------- devices
@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_cuda_has_the_same_numbers_bit_for_bit(emulated_cupy, precision):
    (y, acting), (y_cuda, acting_cuda) = (
        walk(ball([CURRENT, CONDUCTANCE | {"shared": True}], 0.1, 1, 20, device=device, precision=precision))
        for device in ("cpu", "cuda"))
    assert np.array_equal(y, y_cuda) and acting.std() > 0
    assert np.abs(acting - acting_cuda).max() < (1e-12 if precision == "fp64" else 1e-5)


@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
def test_cuda_runs_as_the_processor(emulated_cupy, splitting, tmp_path):
    watch = {"probes": {"points": {"soma": {"section": "soma"}}, "every": "0.1 ms", "variables": ["V", "Inoise"]}}
    cpu, cuda = (np.loadtxt(upstroke.run(ball([CURRENT, CONDUCTANCE], splitting=splitting, device=device, watch=watch),
                                         tmp_path / device).directory / "probes.csv", delimiter=",", skiprows=1)
                 for device in ("cpu", "cuda"))
    assert np.abs(cpu - cuda).max() < 1e-9 and np.ptp(cpu[:, 1]) > 0.1


@pytest.mark.parametrize("real", ["double", "float"])
def test_nvrtc_compiles_it_without_spills(real):
    clock = "typedef struct { long step; int halted; int status; } upstroke_clock;\n"
    assert spilled(report(clock + TEXT.replace("REAL double", f"REAL {real}"))) == 0
