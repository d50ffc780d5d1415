"""What a user chooses of a model: parameter values, flags, methods."""

import pytest

from upstroke.errors import ErrorList, ModelError
from upstroke.ionic import METHODS, read_model
from upstroke.ionic.choose import changed

TEXT = """
V_init = -80; Iion = g*(V + 80);
g = 5; .param(); .lb(0); .ub(100);
cell; .flag(EPI, ENDO, MCELL); speed; .flag(SLOW, FAST);
m_inf = 0.5; tau_m = 2;
c_init = 1; diff_c = m - c*c;
d_init = 1; diff_d = -d; d; .method(fe);
top = max(top, V); top_init = -80;
"""


def message(**choices) -> str:
    with pytest.raises(ModelError) as caught:
        read_model(TEXT, "toy", **choices)
    return str(caught.value)


@pytest.mark.parametrize(("change", "expected"), [
    (7, 7), (7.5, 7.5), (-3, -3), ("7", 7), ("=5.6", 5.6), ("=-5.6", -5.6), ("+0.1", 2.1), ("-0.5", 1.5),
    ("*0.38", 0.76),
    ("/2", 1), ("-62%", 0.76), ("+10%", 2.2), ("=50%", 1), ("*50%", 1), ("/50%", 4), (" * 1e-1 ", 0.2), ("*-1", -2),
    (".5", 0.5), ("=5.", 5), ("+1E1", 12),
])
def test_changes_of_a_parameter(change, expected):
    assert changed("g", 2.0, change) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("change", ["", "x", "5x", "**2", "1,5", "5 %%", "=", "%", "1 2", "^2"])
def test_unreadable_changes(change):
    with pytest.raises(ModelError) as caught:
        changed("g", 2.0, change)
    assert str(caught.value) == (f"parameter g: cannot read the change '{change}'\n"
                                 "  -> write a number, or =5.6, +0.1, -62%, *0.38, /2")


def test_impossible_changes():
    for change, what in (("/0", "division by zero"), (True, "True is no number"), (None, "None is no number")):
        with pytest.raises(ModelError) as caught:
            changed("g", 2.0, change)
        assert str(caught.value) == f"parameter g: {what}\n  -> write a number, or =5.6, +0.1, -62%, *0.38, /2"
    with pytest.raises(ModelError) as caught:
        changed("g", 2.0, float("nan"))
    assert str(caught.value) == "parameter g: the value nan is not finite\n  -> give a finite number"


def test_unknown_parameters_are_all_reported():
    with pytest.raises(ErrorList) as caught:
        read_model(TEXT, "toy", parameters={"gg": 1, "tau": 2})
    assert str(caught.value) == ("model toy: no parameter 'gg'\n  -> did you mean 'g'?\n"
                                 "model toy: no parameter 'tau'\n  -> known: g")


def test_parameters_must_lie_within_their_bounds():
    assert message(parameters={"g": "*30"}) == ("parameter g: the value 150 is out of bounds\n"
                                                "  -> give one from 0 to 100")


def test_flags_in_new_and_old_usage():
    def options(**choices):
        return [f.value for f in read_model(TEXT, **choices).flags]
    assert options() == ["EPI", "SLOW"]
    assert options(flags=("ENDO",)) == options(flags="ENDO") == options(flags=["cell=ENDO"]) == ["ENDO", "SLOW"]
    assert options(flags=("MCELL", "FAST")) == options(flags="MCELL|FAST") == ["MCELL", "FAST"]
    assert options(parameters={"flags": "ENDO"}) == options(parameters={"cell": "ENDO"}) == ["ENDO", "SLOW"]


@pytest.mark.parametrize(("flags", "text"), [
    (["ENDOO"], "model toy: no option 'ENDOO'\n  -> did you mean 'ENDO'?"),
    (["cell=FAST"], "model toy: no option 'FAST' of flag 'cell'\n  -> known: ENDO, EPI, MCELL"),
    (["cel=EPI"], "model toy: no flag 'cel'\n  -> did you mean 'cell'?"),
    (["EPI", "ENDO"], "model toy: flag 'cell' is given both EPI and ENDO\n  -> give one"),
])
def test_wrong_flags(flags, text):
    assert message(flags=flags) == text


def test_flags_of_a_model_without_any():
    with pytest.raises(ModelError) as caught:
        read_model("V_init = 0; Iion = V;", "plain", flags=["EPI"])
    assert str(caught.value) == "model plain: no option 'EPI'\n  -> the model has no flags"
    with pytest.raises(ModelError) as caught:
        read_model("V_init = 0; Iion = V;", "plain", flags=["cell=EPI"])
    assert str(caught.value) == "model plain: no flag 'cell'\n  -> the model has no flags"


def test_an_option_of_two_flags_must_be_named_with_its_flag():
    text = "V_init = 0; Iion = V; a; .flag(ON, OFF); b; .flag(ON, OFF);"
    with pytest.raises(ModelError) as caught:
        read_model(text, "twin", flags=["OFF"])
    assert str(caught.value) == "model twin: option 'OFF' belongs to a and b\n  -> write a=OFF"
    assert [f.value for f in read_model(text, flags=["b=OFF"]).flags] == ["ON", "OFF"]


def methods(**choices) -> dict[str, str]:
    model = read_model(TEXT, **choices)
    return {"V": model.v_method, **{s.name: s.method for s in model.states}}


def test_methods_by_default_by_file_and_by_choice():
    assert methods() == {"V": "fe", "m": "rush_larsen", "c": "fe", "d": "fe", "top": "store"}
    assert methods(methods={"V": "rk2", "d": "rush_larsen", "m": "rk4"}) == {
        "V": "rk2", "m": "rk4", "c": "fe", "d": "rush_larsen", "top": "store"}


def test_auto_is_what_the_file_says_and_else_the_rule():
    assert methods(methods="auto") == methods(methods={"V": "auto", "m": "auto", "d": "auto"}) == methods()
    text = "V_init = 0; Iion = V; x_inf = V; tau_x = 2; y_inf = V; tau_y = 2; y; .method(rk2); x; .method(auto);"
    model = read_model(text, methods={"x": "auto", "y": "auto"})
    assert [s.method for s in model.states] == ["rush_larsen", "rk2"]


@pytest.mark.parametrize("method", ["fe", "rk2", "rk4", "sundnes", "rosenbrock"])
def test_one_method_for_all(method):
    assert methods(methods=method) == {"V": method, "m": method, "c": method, "d": method, "top": "store"}


@pytest.mark.parametrize("method", ["rush_larsen", "markov_be"])
def test_a_method_for_all_leaves_with_fe_what_it_does_not_suit(method):
    assert methods(methods=method) == {"V": "fe", "m": method, "c": "fe", "d": method, "top": "store"}


def test_markov_be_for_all_leaves_out_what_is_not_linear_together():
    model = read_model("V_init = 0; Iion = V; diff_x = y - x; x_init = 0; diff_y = -x*y; y_init = 1; diff_z = -y;"
                       "z_init = 0;", methods="markov_be")
    assert {s.name: s.method for s in model.states} == {"x": "markov_be", "y": "fe", "z": "markov_be"}


@pytest.mark.parametrize(("choice", "text"), [
    ({"c": "rush_larsen"}, "model toy: rush_larsen needs a rate that is linear in the state; that of c is not\n"
                           "  -> use fe, sundnes, rk2, rk4, rosenbrock"),
    ({"V": "rush_larsen"}, "model toy: rush_larsen needs a rate that is linear in the state; that of V is not\n"
                           "  -> use fe, sundnes, rk2, rk4, rosenbrock"),
    ({"cc": "rk2"}, "model toy: no state 'cc'\n  -> did you mean 'c'?"),
    ({"c": "rk5"}, "model toy: unknown method 'rk5'\n  -> did you mean 'rk4'?"),
    ("euler", "model toy: unknown method 'euler'\n"
              "  -> known: auto, cvode, fe, markov_be, rk2, rk4, rosenbrock, rush_larsen, sundnes"),
    ("cvode", "model toy: the method cvode chooses its own steps: it is for single cells, not for kernels\n"
              "  -> call upstroke.reference.integrate, or take fe, rush_larsen, sundnes, rk2, rk4, markov_be, "
              "rosenbrock"),
    ({"top": "rk2"}, "model toy: top has no rate, so it has no method\n  -> leave it out"),
])
def test_wrong_methods(choice, text):
    assert message(methods=choice) == text


def test_the_table_of_methods_is_consistent():
    times = max((m.c for m in METHODS.values()), key=len)
    for name, method in METHODS.items():
        assert name == method.name
        assert method.doc
        assert method.source
        assert len(method.A) == len(method.b) == len(method.c) == method.stages
        assert sum(method.b) == pytest.approx(1)
        assert method.c == times[:method.stages]                       # methods of one model share their stages' times
        for i, row in enumerate(method.A):
            assert len(row) == i
            assert sum(row) == pytest.approx(method.c[i])
