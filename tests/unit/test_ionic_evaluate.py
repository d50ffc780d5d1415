"""The interpreter: rates, initial states, and one step of every method at the order it declares."""

import numpy as np
import pytest

from upstroke.errors import ModelError
from upstroke.ionic import METHODS, advance, initial_state, quantities, rates, read_model

TOY = """
V_init = 0.3; Iion = 0.8*V*(V - 1)*(V - 0.2) + w - 0.05*sin(t);
w_init = 0.1; diff_w = 0.3*(0.6*V - w);
m_inf = 1/(1 + exp(-3*(V - 0.4))); tau_m = 1 + V*V; diff_c = m*w - c*c; c_init = 0.2;
g = 2; .param();
"""


def integrate(methods, steps: int, T: float = 2.0) -> np.ndarray:
    model = read_model(TOY, methods=methods)
    states = initial_state(model)
    V = states.pop("V")
    for n in range(steps):
        V, states = advance(model, V, states, n*T/steps, T/steps, Istim=0.1, C_m=1.5)
    return np.array([V, *states.values()], dtype=float)


@pytest.mark.parametrize("method", METHODS)
def test_methods_have_their_declared_order(method):
    exact = integrate("rk4", 400)
    coarse, fine = (np.linalg.norm(integrate(method, n) - exact) for n in (10, 20))
    assert np.log2(coarse/fine) == pytest.approx(METHODS[method].order, abs=0.25)


def test_methods_mix_in_one_model():
    exact = integrate("rk4", 400)
    mixed = {"V": "rk2", "w": "rk4", "m": "rush_larsen", "c": "fe"}
    coarse, fine = (np.linalg.norm(integrate(mixed, n) - exact) for n in (20, 40))
    assert np.log2(coarse/fine) == pytest.approx(1, abs=0.25)


def test_rush_larsen_is_exact_for_a_linear_rate_and_harmless_for_a_zero_slope():
    model = read_model("V_init = 0; Iion = 0; k = 3; .param(); x_init = 1; diff_x = 2 - k*x;")
    exact = 2/3 + (1 - 2/3)*np.exp(-3*0.7)
    assert advance(model, 0.0, {"x": 1.0}, 0.0, 0.7)[1]["x"] == pytest.approx(exact, rel=1e-14)
    model = read_model("V_init = 0; Iion = 0; k = 0; .param(); x_init = 1; diff_x = 2 - k*x;")
    assert advance(model, 0.0, {"x": 1.0}, 0.0, 0.7)[1]["x"] == pytest.approx(1 + 1.4, rel=1e-14)


def test_stored_states_are_updated_at_the_end_from_old_values_and_bounds_hold():
    model = read_model("V_init = -1; Iion = -10; top = max(top, V); top_init = -5;"
                       "x_init = 0.1; diff_x = -1; x; .lb(0);")
    V, states = advance(model, -1.0, {"top": -5.0, "x": 0.1}, 0.0, 0.5)
    assert (V, states["top"], states["x"]) == (4.0, -1.0, 0.0)


def test_arrays_give_what_floats_give_one_by_one():
    model = read_model(TOY)
    V, w, m, c = np.random.default_rng(1).random((4, 7))
    current, speed = rates(model, V, {"w": w, "m": m, "c": c}, t=0.3)
    for i in range(7):
        one, single = rates(model, V[i], {"w": w[i], "m": m[i], "c": c[i]}, t=0.3)
        assert current[i] == one
        assert [speed[k][i] for k in "wmc"] == [single[k] for k in "wmc"]


def test_parameters_may_be_arrays():
    model = read_model("V_init = 0; g = 2; .param(); Iion = g*(V - 1);")
    assert list(rates(model, 3.0, {}, parameters={"g": np.array([1.0, 2.0])})[0]) == [2.0, 4.0]
    with pytest.raises(ModelError) as caught:
        rates(model, 3.0, {}, parameters={"gg": 1.0})
    assert str(caught.value) == "model model: no parameter 'gg'\n  -> did you mean 'g'?"


def test_arithmetic_is_ieee_and_silent():
    model = read_model("V_init = 1; Iion = 1/V; a = log(-V); b = exp(1000*V); c = V > 0 ? 1 : 1/0; d = sqrt(V) < 1;")
    with np.errstate(all="raise"):
        names = quantities(model, 0.0, {})
    assert np.isinf(names["Iion"])
    assert np.isinf(names["c"])
    assert names["d"] == 1.0
    assert np.isinf(quantities(model, 1.0, {})["b"])
    assert np.isnan(quantities(model, 1.0, {})["a"])


def test_initial_states_can_be_overridden():
    model = read_model("V_init = -80; Iion = m; m_inf = V < 0 ? 0.25 : 0.5; tau_m = 1; y_init = 2*m; diff_y = -y;")
    assert initial_state(model) == {"V": -80.0, "m": 0.25, "y": 0.5}
    assert initial_state(model, {"V": 10.0}) == {"V": 10.0, "m": 0.5, "y": 1.0}
    assert initial_state(model, {"m": 0.1}) == {"V": -80.0, "m": 0.1, "y": 0.2}
    with pytest.raises(ModelError) as caught:
        initial_state(model, {"mm": 1.0})
    assert str(caught.value) == "model model: no state 'mm'\n  -> did you mean 'm'?"
    with pytest.raises(ModelError) as caught:
        initial_state(model, {"m": float("inf")})
    assert "the initial value of m is inf" in str(caught.value)


def test_a_missing_state_is_named():
    with pytest.raises(ModelError) as caught:
        rates(read_model(TOY, "toy"), 0.0, {"w": 0.0, "m": 0.0})
    assert str(caught.value) == "model toy: no value for the state 'c'\n  -> start from initial_state(model)"
