"""Methods for stiff equations, in compiled kernels: stable far beyond forward Euler's limit, and right."""

import re
from pathlib import Path

import numpy as np
import pytest
from pacing import Cell, Pulses
from samples import STIFF
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from upstroke.cli import main
from upstroke.codegen import generate
from upstroke.errors import ModelError
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


CHAIN = HEAD + """group { C; O; I; }.method(markov_be);
C_init = 0.7; O_init = 0.2; I_init = 0.1; k = {k}; flux = k*(2*C - O);
diff_C = 0.3*I - flux; diff_O = flux - 5*k*O + 0.4*I; diff_I = 5*k*O - 0.7*I;
Iion = 0*O;
"""


@pytest.mark.parametrize("k", [0.5, 300.0])
def test_a_markov_chain_is_that_of_the_matrix(k):
    """Steps of backward Euler are exactly (I - dt Q)^-1 x, and tend to expm(t Q) x as the steps become shorter."""
    Q = np.array([[-2 * k, k, 0.3], [2 * k, -6 * k, 0.4], [0, 5 * k, -0.7]])
    start, end = np.array([0.7, 0.2, 0.1]), 0.4
    exact = expm(end * Q) @ start
    errors = []
    for steps in (20, 40):
        chain = cell(CHAIN.replace("{k}", str(k)), end / steps)
        chain.run(end)
        found = np.array([value(chain, name) for name in "COI"])
        expected = np.linalg.matrix_power(np.linalg.inv(np.eye(3) - end / steps * Q), steps) @ start
        np.testing.assert_allclose(found, expected, rtol=1e-11)
        errors.append(np.abs(found - exact).max())
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.15) or k > 1
    assert errors[1] < 0.02


def test_the_sum_of_a_chain_is_kept_to_rounding():
    chain = cell(CHAIN.replace("{k}", "300*(1 + sin(t))"))
    chain.run(200)                                                           # 10,000 steps
    assert sum(value(chain, name) for name in "COI") == pytest.approx(1, abs=1e-13)
    assert min(value(chain, name) for name in "COI") > 0


def test_a_chain_closed_by_its_last_state():
    """O = 1 - C - I is no state; nothing else changes."""
    text = CHAIN.replace("{k}", "300").replace("O_init = 0.2;", "O = 1 - C - I;").replace("C; O; I;", "C; I;")
    text = text.replace("diff_O = flux - 5*k*O + 0.4*I;", "")
    closed, chain = cell(text), cell(CHAIN.replace("{k}", "300"))
    closed.run(1)
    chain.run(1)
    for name in "CI":
        assert value(closed, name) == pytest.approx(value(chain, name), rel=1e-10)


ROBERTSON = HEAD + """group { a; b; c; }.method(rosenbrock);
a_init = 1; b_init = 3.6e-5; c_init = 0; fast = 3e7*b*b; back = 1e4*b*c;
diff_a = back - 0.04*a; diff_b = 0.04*a - back - fast; diff_c = fast; Iion = 0*a;
"""


def robertson(t, y):
    a, b, c = y
    return [1e4 * b * c - 0.04 * a, 0.04 * a - 1e4 * b * c - 3e7 * b * b, 3e7 * b * b]


def test_rosenbrock_solves_robertsons_problem():
    """Rates up to 2e3/ms at dt = 0.1 ms; started behind the layer that a fixed step cannot see."""
    reaction = cell(ROBERTSON, 0.1)
    reaction.run(40)
    found = [value(reaction, name) for name in "abc"]
    exact = solve_ivp(robertson, (0, 40), [1, 3.6e-5, 0], "Radau", rtol=1e-9, atol=1e-14).y[:, -1]
    assert found == pytest.approx(exact, rel=1e-4)
    assert sum(found) == pytest.approx(1 + 3.6e-5, abs=1e-12)


def test_rosenbrock_damps_what_is_infinitely_stiff():
    """L-stable: a perturbation that decays at 1e9/ms is gone after a step."""
    stiff = cell(HEAD + "diff_x = 1e9*(0.5 - x); x_init = 1; x; .method(rosenbrock); Iion = 0*x;")
    stiff.run(2 * DT)
    assert value(stiff, "x") == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("z", [-1e6, -3.0, 0.5, 3.0, 12.0])
def test_rosenbrock_multiplies_by_its_stability_function(z):
    """dx/dt = lambda x, z = lambda dt: it damps what decays, and has a pole where growth reaches 3.4/dt."""
    gamma = 1 - 0.5**0.5
    one = cell(HEAD + f"diff_x = {z / DT!r}*x; x_init = 0.01; x; .method(rosenbrock); Iion = 0*x;")
    one.run(DT)
    assert value(one, "x") == pytest.approx(0.01 * (1 + (1 - 2 * gamma) * z) / (1 - gamma * z) ** 2, rel=1e-9)


def test_a_heart_cell_by_rosenbrock_at_a_long_step():
    """All states and V in one sparse system of 19: the beat holds at 0.1 ms, where forward Euler of V is inaccurate."""
    model = load_model("tenTusscherPanfilov", methods="rosenbrock")
    assert {model.v_method, *(s.method for s in model.states)} == {"rosenbrock"}
    pulse = Pulses(20.0, 1.0, 2.0)
    coarse = Cell(model, 0.1, flags=("-O1",)).run(10, pulse)[1]
    fine = Cell(load_model("tenTusscherPanfilov", methods="rk4"), 0.001, flags=("-O1",)).run(10, pulse, 100)[1]
    assert coarse[-1] == pytest.approx(fine[-1], abs=0.5)


def test_a_system_that_is_too_large_is_refused():
    names = [f"x{i}" for i in range(15)]
    total = " + ".join(names)
    text = HEAD + "".join(f"diff_{x} = {i} - cube({total}); {x}_init = 0;" for i, x in enumerate(names)) + "Iion = x0;"
    with pytest.raises(ModelError) as caught:
        generate(read_model(text, methods={name: "rosenbrock" for name in names}), "c", "fp64")
    assert str(caught.value) == (
        "model.model: the linear system of 15 states takes 1120 products in a step, more than 1000\n"
        "  -> give fewer states the method rosenbrock or markov_be")


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


@pytest.mark.parametrize("verb", ["run", "check"])
def test_the_command_line_chooses_a_method(verb, tmp_path, capsys):
    """--method is short for --set membrane.method=..., and a wrong one is told where it stands."""
    case = Path(__file__).parents[2] / "cases" / "axon"
    out = ["--out", str(tmp_path / "out"), "--quiet", "--set", 'time.end="0.1 ms"'] if verb == "run" else []
    assert main([verb, str(case), "--method", "rosenbrok", *out]) == 2
    assert capsys.readouterr().err.endswith(
        "membrane: model HodgkinHuxley: unknown method 'rosenbrok'\n  -> did you mean 'rosenbrock'?\n")
    assert main([verb, str(case), "--method", "rosenbrock", *out]) == 0
    text = (tmp_path / "out" / "manifest.json").read_text() if verb == "run" else capsys.readouterr().out
    assert re.search(r'"?method"?( =|:) "rosenbrock"', text)


@pytest.mark.parametrize("verb", ["run", "check"])
def test_the_command_line_chooses_a_model(verb, tmp_path, capsys, monkeypatch):
    """--model is short for --set membrane.model=...; a file needs no installing, and is looked for from here."""
    case = Path(__file__).parents[2] / "cases" / "sheet"
    monkeypatch.chdir(tmp_path)
    Path("Mine.model").write_text("V_init = -80; g = 0.1; .param(); Iion = g*(V + 80);")
    out = ["--out", "out", "--quiet", "--set", 'time.end="0.1 ms"'] if verb == "run" else []
    assert main([verb, str(case), "--model", "Mime.model", *out]) == 2
    assert capsys.readouterr().err == ('--set membrane.model="Mime.model": membrane.model: there is no file '
                                       '"Mime.model"\n  -> did you mean \'Mine.model\'?\n')
    assert main([verb, str(case), "--model", "Mine.model", *out]) == 0
    text = Path("out", "manifest.json").read_text() if verb == "run" else capsys.readouterr().out
    assert re.search(r'"?model"?( =|:) ".*Mine.model"', text)
