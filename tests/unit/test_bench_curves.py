"""Curves of gates and currents: what needs no compiled cells."""

import numpy as np
import pytest

from upstroke.bench.curves import VOLTAGES, Clamp, clamp_inputs, contributions, gate_curves, parse_iv
from upstroke.bench.features import text_table
from upstroke.errors import ModelError, OptionError
from upstroke.ionic.library import load_model, read_model

MODEL = """
V; .external(Vm); Iion; .external();
V_init = -80;  Ca_init = 1;  p_init = 0;  w_init = 0.3;  z_init = 0.2;
m_inf = 1/(1 + exp(-(V + 40)/5));  tau_m = 1 + 0.01*V;
n;  alpha_n = 0.1*exp(V/50);  beta_n = 0.2*Ca;
diff_w = 0.5*m_init - 0.1*w*Ca;  m_init = 0.25;
diff_z = 0*z + 1;
diff_Ca = -Ca*Ca;
p = max(p, V);
I_a = 2*m*(V + 80);  I_b = -w;
Iion = I_a + 3*I_b + V/10;
"""


@pytest.fixture(scope="module")
def model():
    return read_model(MODEL)


def error(kind, call, *args):
    with pytest.raises(kind) as caught:
        call(*args)
    return str(caught.value)


def test_gates_by_steady_state_by_rates_and_by_a_linear_rate(model):
    V = VOLTAGES
    assert V[0] == -100 and V[-1] == 60 and V[1] == -99.5
    curves = gate_curves(model, ["M", "n", "w"])
    assert list(curves) == ["V", "m_inf", "tau_m", "n_inf", "tau_n", "w_inf", "tau_w"]
    assert curves["m_inf"] == pytest.approx(1/(1 + np.exp(-(V + 40)/5)))
    with np.errstate(divide="ignore"):
        assert curves["tau_m"] == pytest.approx(1 + 0.01*V)
    a = 0.1*np.exp(V/50)
    assert curves["n_inf"] == pytest.approx(a/(a + 0.2)) and curves["tau_n"] == pytest.approx(1/(a + 0.2))
    assert curves["w_inf"] == pytest.approx(np.full(321, 1.25)) and curves["tau_w"] == pytest.approx(np.full(321, 10))


def test_all_else_is_as_it_is_initially(model):
    curves = gate_curves(model, ["n"], np.array([0.0]), {"Ca": 3.0})
    assert curves["tau_n"] == pytest.approx([1/0.7])


def test_the_gates_of_a_shipped_model():
    curves = gate_curves(load_model("TT2"), ["H", "J"])
    assert curves["H_inf"] == pytest.approx((1 + np.exp((VOLTAGES + 71.55)/7.43))**-2)
    assert (curves["H_inf"] == curves["J_inf"]).all() and (curves["tau_J"] > curves["tau_H"])[:200].all()


@pytest.mark.parametrize("gate, what, remedy", [
    ("q", "no state 'q'", "known: Ca, V, m, n, p, w, z"),
    ("Ca", "Ca has no steady state and time constant: its rate is not linear in it", "gates: w, m, n"),
    ("p", "p has no steady state and time constant: its rate is not linear in it", "gates: w, m, n"),
    ("V", "V has no steady state and time constant: its rate is not linear in it", "gates: w, m, n"),
])
def test_errors_of_gates(model, gate, what, remedy):
    assert error(ModelError, gate_curves, model, [gate]) == f"model model: {what}\n  -> {remedy}"


def test_a_clamp_and_its_defaults():
    assert parse_iv("I_CaL: hold=-40, from=-40,to=60,step=25,dur=200,pre=5") == Clamp("I_CaL", -40, -40, 60, 25, 200, 5)
    assert parse_iv("IKr") == Clamp("IKr") and list(Clamp("IKr").voltages) == list(range(-100, 70, 10))
    assert list(Clamp("a", low=0, high=0.3, step=0.1).voltages) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert list(Clamp("a", low=0, high=24, step=10).voltages) == [0, 10, 20]


def test_every_voltage_is_a_train():
    inputs = clamp_inputs(Clamp("a", hold=-80, low=-10, high=10, step=10, pre=5), 0.01)
    assert list(inputs.steps) == [0, 500] and inputs.starts.shape == (2, 3)
    assert [(c.target, c.how, c.values.tolist()) for c in inputs.channels] == [("V", "set", [[-80]*3, [-10, 0, 10]])]
    assert list(clamp_inputs(Clamp("a", pre=0), 0.01).steps) == [0]


FORM = 'write "ICaL:hold=-40,from=-40,to=60,step=5,dur=200,pre=1000"; all but the current may be left out'


@pytest.mark.parametrize("text, what, remedy", [
    (":hold=1", "':hold=1' names no current", FORM),
    ("IKr:hold", "cannot read 'hold'", FORM),
    ("IKr:hald=1", "no value is called 'hald'", "did you mean 'hold'?"),
    ("IKr:hold=1,hold=2", "hold is given twice", "keep one"),
    ("IKr:hold=x", "'hold=x': 'x' is no number", "give finite numbers"),
    ("IKr:from=0,to=-10", "no voltage lies between 0 and -10 mV in steps of 10 mV",
     "give from below to, and a positive step"),
    ("IKr:step=0", "no voltage lies between -100 and 60 mV in steps of 0 mV",
     "give from below to, and a positive step"),
    ("IKr:dur=0", "the step lasts 0 ms after 1000 ms", "give positive times"),
])
def test_errors_of_iv(text, what, remedy):
    assert error(OptionError, parse_iv, text) == f"--iv: {what}\n  -> {remedy}"


def test_contributions_are_charge_share_and_peak(model):
    time = np.linspace(0, 10, 101)
    values = {"V": np.full(101, -80.0) + 2*time, "m": np.full(101, 0.5), "w": np.where(time == 4, 2, 1.0),
              "n": time, "z": time, "Ca": time, "p": time}
    table = contributions(model, time, values)
    assert list(table["current"]) == ["I_a", "the rest of Iion", "I_b"]
    assert table["charge"] == pytest.approx([100, -70, -3*10.1])
    assert table["share"] == pytest.approx(100*np.array([100, 70, 30.3])/200.3)
    assert table["peak"] == pytest.approx([20, -8, -6]) and list(table["t_peak"]) == [10, 0, 4]


def test_a_model_whose_current_has_no_parts():
    model = load_model("AlievPanfilov")
    values = {"V": np.array([-80., 0, 20])} | {s.name: np.zeros(3) for s in model.states}
    table = contributions(model, np.arange(3.0), values)
    assert list(table["current"]) == ["Iion"] and table["share"] == pytest.approx([100])


def test_a_table_for_the_terminal():
    text = text_table({"current": np.array(["INa", "IKr"]), "peak": np.array([-123.4567891, np.nan])})
    assert text.splitlines() == ["current      peak", "    INa  -123.457", "    IKr         -"]
