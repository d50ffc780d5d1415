"""The Jacobian that methods ask for, against differences of the rates."""

import numpy as np
import pytest
from samples import SAMPLE_MODELS, STIFF

from upstroke.ionic import initial_state, load_model, quantities, read_model
from upstroke.ionic.evaluate import value_of


def entries(model, state):
    names = quantities(model, state["V"], state, 1.0)
    for definition in model.jacobian.definitions:
        names[definition.name] = value_of(definition.expr, names)
    return {pair: float(value_of(expr, names)) for pair, expr in model.jacobian.entries.items()}


def rate(model, name, state):
    names = quantities(model, state["V"], state, 1.0)
    own = {s.name: s.rate for s in model.states}
    return float(-names["Iion"] if name == "V" else value_of(own[name], names))


def difference(model, a, b, state):
    h = 1e-4 * max(abs(state[b]), 1e-3)
    at = [rate(model, a, {**state, b: state[b] + k * h}) for k in (-2, -1, 1, 2)]
    return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h)


def check(model):
    state = initial_state(model)
    state["V"] = -31.7
    found = entries(model, state)
    for (a, b), value in found.items():
        noise = 1e-9 * abs(rate(model, a, state)) / max(abs(state[b]), 1e-3)
        assert value == pytest.approx(difference(model, a, b, state), rel=1e-6, abs=noise + 1e-10), (a, b)
    return set(found)


@pytest.mark.parametrize("name", SAMPLE_MODELS)
def test_slopes_of_all_states_by_themselves(name):
    model = load_model(name, methods="sundnes")
    assert check(model) == {(s.name, s.name) for s in model.states if s.slope is None} | {("V", "V")}


def test_what_no_method_asks_for_is_not_made():
    model = load_model("tenTusscherPanfilov")
    assert (model.jacobian.entries, model.jacobian.definitions) == ({}, ())
    check(read_model(STIFF))


@pytest.mark.parametrize("name", [name for name in SAMPLE_MODELS if name != "OHara"])     # which takes 20 s
def test_the_whole_jacobian(name):
    """What is left out is zero."""
    model = load_model(name, methods="rosenbrock")
    states = [s.name for s in model.states if s.rate is not None]
    found, state = check(model), {**initial_state(model), "V": -31.7}
    for a in ("V", *states):
        for b in ("V", *states):
            assert (a, b) in found or abs(difference(model, a, b, state)) < 1e-8


CHAIN = """V_init = 0; Iion = V; a = exp(V); b = 0.1; .param(); group { x; y; z; u; }.method(markov_be);
x_init = 1; y_init = 0; z_init = 0; u_init = 0; group { v; w; }.method(markov_be); v_init = 0; w_init = 0;
rest = 1 - v - w; flux = a*x - b*y; diff_x = -flux; diff_y = flux - (a + 0.2)*y/2 + 0.3*z;
diff_z = a*y/2 + 0.1*y - 0.3*z; diff_u = 1 - u;
diff_v = a*rest - b*v; diff_w = b*v - w;
"""


def test_chains_whose_sum_is_kept_are_found():
    """u stands alone, and v + w is given by closure: rest = 1 - v - w makes up for what they lose."""
    model = read_model(CHAIN)
    assert model.jacobian.chains == (("x", "y", "z"),)
    assert {pair for pair in model.jacobian.entries if "v" in pair or "u" in pair} == {
        ("u", "u"), ("v", "v"), ("v", "w"), ("w", "v")}
    assert read_model(CHAIN.replace("- 0.3*z;", "- 0.31*z;")).jacobian.chains == ()


def test_derivatives_take_no_name_of_the_model():
    model = read_model("V_init = 1; a__by__V = 3; a = V*V*V; Iion = a*a + a__by__V;", methods="sundnes")
    assert [d.name for d in model.jacobian.definitions] == ["a__by__V_"]
    check(model)


def test_texts_stay_short_where_definitions_build_on_each_other():
    chain = "".join(f"a{i + 1} = 0.3*a{i}*a{i} + exp(-a{i});" for i in range(30))
    model = read_model("V_init = 1; a0 = sin(V); " + chain + "Iion = a30;", methods="sundnes")
    assert len(model.jacobian.definitions) == 31
    assert np.isfinite(entries(model, {"V": 0.3})["V", "V"])
