"""Every statement form of EasyML, and what each becomes."""

import math

import pytest

from upstroke.ionic import initial_state, quantities, rates, read_model
from upstroke.ionic.model import Model

MEMBRANE = "V_init = -80; Iion = 0.1*(V + 80);\n"


def load(text: str, **choices) -> Model:
    return read_model(MEMBRANE + text, **choices)


def value(text: str, name: str = "x", V: float = -80.0, **states: float) -> float:
    return float(quantities(load(text), V, states)[name])


@pytest.mark.parametrize(("expression", "expected"), [
    ("1 + 2*3", 7), ("(1 + 2)*3", 9), ("2 - 3 - 4", -5), ("16/4/2", 2), ("1/2", 0.5), ("-2*-3", 6), ("- -2", 2),
    ("+3", 3),
    ("1 < 2 && 2 < 1", 0), ("1 < 2 and 2 > 1", 1), ("0 || 3", 1), ("0 or 0", 0), ("1 or 0 and 0", 1), ("!3", 0),
    ("!0 + 1", 2), ("!(1 > 2)", 1), ("1 == 1 != 0", 1), ("3 >= 3", 1), ("3 <= 2", 0), ("1 < 2 == 1", 1), ("3 != 3", 0),
    ("1 ? 2 : 3", 2), ("0 ? 2 : 0 ? 3 : 4", 4), ("1 ? 0 ? 5 : 6 : 7", 6), ("1 + 1 ? 2 : 3", 2),
    ("1.", 1), (".5", 0.5), ("1e3", 1000), ("1.E-2", 0.01), ("2.5e+1f", 25), ("3L", 3), ("0x1F", 31), ("0x1.8p1", 3),
    ("0", 0), ("00.5", 0.5),
])
def test_expressions_have_the_values_and_precedence_of_c(expression, expected):
    assert value(f"x = {expression};") == expected


@pytest.mark.parametrize(("call", "expected"), [
    ("exp(1)", math.e), ("expm1(1e-9)", math.expm1(1e-9)), ("log(2)", math.log(2)), ("log10(100)", 2),
    ("log1p(1e-9)", math.log1p(1e-9)), ("sqrt(2)", math.sqrt(2)), ("cbrt(27)", 3), ("pow(2, 0.5)", math.sqrt(2)),
    ("sin(1)", math.sin(1)), ("cos(1)", math.cos(1)), ("tan(1)", math.tan(1)), ("asin(0.5)", math.asin(0.5)),
    ("acos(0.5)", math.acos(0.5)), ("atan(2)", math.atan(2)), ("atan2(1, -1)", math.atan2(1, -1)),
    ("sinh(1)", math.sinh(1)), ("cosh(1)", math.cosh(1)), ("tanh(1)", math.tanh(1)), ("floor(-1.5)", -2),
    ("ceil(-1.5)", -1),
    ("fabs(-3)", 3), ("abs(-3)", 3), ("min(2, 3)", 2), ("max(2, 3)", 3), ("fmin(2, 3)", 2), ("fmax(2, 3)", 3),
    ("fmod(-7, 3)", -1), ("square(3)", 9), ("cube(-2)", -8), ("heav(-1)", 0), ("heav(0)", 1), ("heav(2)", 1),
])
def test_functions(call, expected):
    assert value(f"x = {call};") == pytest.approx(expected, rel=1e-15)


def test_comments_of_all_three_kinds_and_blank_statements():
    assert value("// x = 1;\n# x = 2;\n/* x = 3;\n x = 4; */ x = /* here */ 5; // end\n;;") == 5


def test_keywords_are_names_where_they_introduce_no_block():
    text = "if = 2; group = 3; else = 4; elif = 5; or = 6; x = if*100 + group*10 + else + elif;"
    assert value(text) == 239


def test_order_of_statements_is_free_and_definitions_come_out_sorted():
    model = load("a = b + c; b = 2*c; c = V/2; d = a;")
    assert [d.name for d in model.definitions] == ["c", "b", "a", "d"]


def test_if_elif_else_is_a_nested_conditional():
    for word in ("elif", "else if"):
        text = f"if (V > 0) {{ x = 1; y = 1; }} {word} (V > -50) {{ x = 2; y = 2; }} else {{ x = 3; y = 3; }}"
        assert [value(text, V=V) for V in (10, -20, -80)] == [1, 2, 3]
        assert [value(text, "y", V=V) for V in (10, -20, -80)] == [1, 2, 3]


def test_if_blocks_nest():
    text = "if (V > 0) { if (V > 50) { x = 1; } else { x = 2; } } else { x = 3; }"
    assert [value(text, V=V) for V in (60, 10, -10)] == [1, 2, 3]


def test_a_name_missing_in_a_branch_keeps_its_old_value_and_so_becomes_a_state():
    (state,) = load("if (V > 0) { x = 7; }\nx_init = 2;").states
    assert (state.name, state.method, state.rate) == ("x", "store", None)


def test_accumulators():
    assert value("x = 10; x += 5; x -= 3; x *= 4; x /= 2;") == 24
    assert value("x += 2; x += 3; x -= 1;") == 4
    assert value("x *= 2; x /= 8;") == 0.25
    assert value("x = 1; if (V < 0) { x += 2; x *= 5; } else { x += 100; }") == 15
    assert value("x = 1; if (V > 0) { x += 2; x *= 5; } elif (V > -100) { x -= 7; }") == -6
    (state,) = load("diff_c = 1; diff_c -= c; c_init = 0;").states
    assert state.method == "rush_larsen"


def test_iion_may_be_accumulated():
    whole = read_model("V_init = 0; g = 2; a = g*V; b = 3; Iion = a - b + 1;")
    for text in ("Iion = a; Iion = Iion - b; Iion += 1;", "Iion = 1; Iion += a; Iion -= b;",
                 "Iion = Iion + a; Iion = -b; if (g > 1) { Iion = Iion + 1; }", "Iion += a; Iion -= b; Iion += 1;"):
        model = read_model("V_init = 0; g = 2; a = g*V; b = 3;" + text)
        assert rates(model, 5.0, {})[0] == rates(whole, 5.0, {})[0] == 8


def test_markups_chain_stand_alone_and_hold_for_groups_and_branches():
    model = load("a = 1; .param().units(mV);\n b = 2 .param();\n c = 3; c; .units(ms); .param();\n"
                 "group { d = 4; group { e = 5; .units(mM); f = 6; }.units(ms); }.param();\n"
                 "if (V > 0) { u = 1; } else { u = 2; } .trace(); group { a; u; }.trace();")
    assert {p.name: (p.value, p.unit) for p in model.parameters} == {
        "a": (1, "mV"), "b": (2, ""), "c": (3, "ms"), "d": (4, ""), "e": (5, "mM"), "f": (6, "ms")}
    assert model.traces == ("a", "u")


def test_state_by_rate_in_both_spellings():
    for spelling in ("diff_Ca_i", "d_Ca_i_dt"):
        model = load(f"{spelling} = 0.1 - Ca_i*Ca_i; Ca_i_init = 0.5;")
        assert [(s.name, s.method) for s in model.states] == [("Ca_i", "fe")]
        assert rates(model, 0.0, {"Ca_i": 2.0})[1] == {"Ca_i": 0.1 - 4.0}


def test_gates_by_steady_state_and_by_rates():
    model = load("m_inf = 0.25; tau_m = 2; alpha_h = 3; b_h = 1; a_n = 1; beta_n = 1; n_init = 0.1; x = m*h;")
    assert {s.name: s.method for s in model.states} == dict.fromkeys("mhn", "rush_larsen")
    assert initial_state(model) == {"V": -80.0, "m": 0.25, "h": 0.75, "n": 0.1}
    assert rates(model, 0.0, {"m": 0.75, "h": 0.5, "n": 0.0})[1] == {"m": -0.25, "h": 1.0, "n": 1.0}


def test_a_pair_is_no_gate_where_the_name_is_given_otherwise_or_never_spoken_of():
    model = load("a_1 = 1; b_1 = 2; x_inf = 1; tau_x = 2; y_inf = 0; tau_y = 3; y = 4; z_inf = 1; tau_z = 2;"
                 "diff_z = (z_inf - z)/tau_z; z_init = 0;")
    assert [s.name for s in model.states] == ["z"]
    assert model.states[0].method == "rush_larsen"


def test_gates_start_at_their_steady_state_at_the_initial_v():
    model = load("m_inf = 1/(1 + exp(-(V + 40)/5)); tau_m = 1; y = m;")
    assert initial_state(model)["m"] == 1/(1 + math.exp(8))
    assert initial_state(model, {"V": -40.0})["m"] == 0.5


def test_store_and_self_reference_make_discrete_states():
    model = load("peak = max(peak, V); peak_init = V; .trace(); last; .store(); last = 2*V;")
    assert [(s.name, s.method) for s in model.states] == [("peak", "store"), ("last", "store")]
    assert initial_state(model) == {"V": -80.0, "peak": -80.0, "last": -160.0}


def test_names_of_v_and_iion_may_differ():
    model = read_model("u; .external(Vm); .nodal(); .units(mV); J; .external(Iion); u_init = -70; J = 2*(u + 70);")
    assert initial_state(model) == {"V": -70.0}
    assert rates(model, -60.0, {})[0] == 20


def test_externals_are_parameters_where_read_and_states_where_given():
    read = load("Ke; .external(K_e); Cai; .external(Ca_i); .units(uM); x = Ke + Cai;")
    assert [(p.name, p.value, p.unit) for p in read.parameters] == [("Ke", 5.4, "mM"), ("Cai", 0.1, "uM")]
    assert read.externals == {"Ke": "K_e", "Cai": "Ca_i"}
    owned = load("Ke; .external(K_e); diff_Ke = 5 - Ke; Tension; .external(); Tension = 2*Ke;")
    assert {s.name: (s.method, s.unit) for s in owned.states} == {
        "Ke": ("rush_larsen", "mM"), "Tension": ("store", "kPa")}
    assert initial_state(owned) == {"V": -80.0, "Ke": 5.4, "Tension": 0.0}


def test_flags_choose_equations_and_vanish_from_them():
    text = "cell; .flag(EPI, ENDO); g = cell == ENDO ? 1 : 2; .param(); if (cell == EPI) { x = V; } else { x = 3; }"
    assert (load(text).parameters[0].value, value(text)) == (2, -80)
    endo = load(text, flags=["ENDO"])
    assert endo.parameters[0].value == 1
    assert [(f.name, f.options, f.value) for f in endo.flags] == [("cell", ("EPI", "ENDO"), "ENDO")]
    assert str(endo.definitions[0].expr) == "Num(value=3.0)"
    assert load(text.replace("cell;", "cell = ENDO;")).flags[0].value == "ENDO"
    assert load(text.replace("cell;", "cell = 1;")).flags[0].value == "ENDO"


def test_parameters_may_follow_from_parameters():
    text = "a = 2; .param(); k = 10; b = a*k; .param();"
    assert [p.value for p in load(text).parameters] == [2, 20]
    assert [p.value for p in load(text, parameters={"a": 3}).parameters] == [3, 30]
    assert [p.value for p in load(text, parameters={"a": 3, "b": "*2"}).parameters] == [3, 60]


def test_bounds_lookup_method_units_are_kept():
    model = load("c_init = 1; diff_c = -c*c; c; .lb(1e-3).ub(2*top); .method(rk4); .units(mM); top = 4; .param();"
                 "V; .lookup(-100, 100, 0.05); .method(rk2);")
    (state,) = model.states
    assert (state.lower, state.upper, state.method, state.unit, model.v_method) == (1e-3, 8, "rk4", "mM", "rk2")
    assert [(k.name, k.lower, k.upper, k.step) for k in model.lookups] == [("V", -100, 100, 0.05)]
    assert model.units == {"c": "mM"}


def test_rates_and_initial_values_are_names_that_others_may_use():
    model = load("diff_a = 2; a_init = 3; diff_b = 4*diff_a + a_init; b_init = a_init; Isum = Iion + 1;")
    assert rates(model, -70.0, {"a": 0.0, "b": 0.0}) == (1.0, {"a": 2.0, "b": 11.0})
    assert quantities(model, -70.0, {"a": 0.0, "b": 0.0})["Isum"] == 2


def test_time_and_step_are_predefined():
    model = load("x = t + 10*dt;")
    assert quantities(model, 0.0, {}, t=5.0, dt=0.5)["x"] == 10


@pytest.mark.parametrize("unit", ["mV", "uA/cm^2", "mS/uF", "1/ms", "ms^-1", "mM/ms", "mmol/L", "cm^3/uF/s",
                                  "J/(mol*K)", "kPa", "unitless", "um", "Ohm*cm", "m*m/s", "pA", "GHz"])
def test_unit_expressions(unit):
    assert load(f"x = 1; .param(); .units({unit});").parameters[0].unit == unit
