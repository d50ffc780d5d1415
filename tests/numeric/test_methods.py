"""Methods for stiff equations, in compiled kernels: stable far beyond forward Euler's limit, and right."""

import numpy as np
import pytest
from pacing import Cell, Pulses
from samples import STIFF

from upstroke.ionic import advance, initial_state, load_model, read_model

DT = 0.02        # ms
HEAD = "V; .external(Vm);\nIion; .external();\nV_init = -20;\n"


def cell(text, dt=DT, **options):
    return Cell(read_model(text, **options), dt, flags=("-O1",))


def value(cell, name):
    return cell.state()[name]


@pytest.mark.parametrize("tau", [1e-4, 1e-2, 1.0])
def test_a_stiff_gate_by_sundnes_is_exact(tau):
    """Linear, so at any step: x = x_inf + (x_0 - x_inf) e^(-t/tau)."""
    text = HEAD + f"x_inf = 0.7; tau_x = {tau}; x_init = 0.1; x; .method(sundnes); Iion = 0*x;"
    gate = cell(text)
    gate.run(0.1)
    assert value(gate, "x") == pytest.approx(0.7 - 0.6 * np.exp(-0.1 / tau), rel=1e-13)


def test_a_stiff_nonlinear_state_by_sundnes():
    """dx/dt = -k (x^3 - 1/8), whose slope at rest is -3k/4: -750/ms, where forward Euler ends at dt = 0.0027 ms."""
    text = HEAD + "diff_x = -1000*(x*x*x - 0.125); x_init = 0.9; x; .method({}); Iion = 0*x;"
    stiff = cell(text.format("sundnes"))
    stiff.run(2)
    assert value(stiff, "x") == pytest.approx(0.5, rel=1e-9)
    with pytest.raises(AssertionError):
        cell(text.format("fe")).run(2)


@pytest.mark.parametrize("big", [50, 120, 900])
def test_slopes_whose_parts_overflow_do_no_harm(big):
    """d/dV 1/(1 + e^x) = -e^x/(1 + e^x)^2, which is inf/inf in fp64 from x = 710 on."""
    text = HEAD + f"diff_x = 1/(1 + exp({big}*(2*x + 1))) - x; x_init = 0.5; x; .method(sundnes); Iion = 0*x;"
    model = read_model(text)
    _, states = advance(model, -20.0, {"x": 0.5}, 0.0, DT)
    assert states["x"] == pytest.approx(0.5 * np.exp(-DT), rel=1e-4)
    one = cell(text)
    one.run(DT)
    assert value(one, "x") == pytest.approx(float(states["x"]), rel=1e-13)


def test_every_stiff_method_at_once_equals_the_interpreter():
    model = read_model(STIFF)
    one = Cell(model, DT, flags=("-O1",))
    states = initial_state(model)
    V = states.pop("V")
    for n in range(5):
        one.run((n + 1) * DT)
        V, states = advance(model, V, states, n * DT, DT)
    assert pytest.approx(float(V), rel=1e-12) == one.V
    for name, expected in states.items():
        assert value(one, name) == pytest.approx(float(expected), rel=1e-11), name


def test_a_heart_cell_by_sundnes():
    """V and all states by order 2: far nearer to the truth on the upstroke than by the default methods."""
    pulse = Pulses(40.0, 1.0, 1.0)
    model = {name: load_model("tenTusscherPanfilov", methods=name) for name in ("", "sundnes", "rk4")}
    assert {model["sundnes"].v_method, *(s.method for s in model["sundnes"].states)} == {"sundnes"}
    V = {name: Cell(model[name], dt, flags=("-O1",)).run(4, pulse, round(0.02 / dt))[1]
         for name, dt in (("", 0.02), ("sundnes", 0.02), ("rk4", 0.0005))}
    error = {name: np.abs(V[name] - V["rk4"]).max() for name in ("", "sundnes")}
    assert V["rk4"].max() > 20
    assert error["sundnes"] < 0.1 * error[""]
