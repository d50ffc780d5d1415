"""Events, ``when (...) { ... }``: what they mean, by the interpreter, and what is wrong with them."""

import numpy as np
import pytest

from upstroke.errors import ModelError, UpstrokeError
from upstroke.ionic import METHODS, advance, describe, initial_state, load_model, rates, read_model
from upstroke.ionic.methods import STORE

MEMBRANE = "V_init = 0; Iion = 0;\n"


def one_step(text, V=0.0, t=0.0, dt=0.5, Istim=0.0, flags=(), **states):
    model = read_model(text, flags=flags)
    start = initial_state(model) | states
    start.pop("V")
    V, end = advance(model, V, start, t, dt, Istim=Istim)
    return {"V": float(V), **{name: float(value) for name, value in end.items()}}


def test_an_event_sees_the_values_at_the_end_of_the_step():
    text = MEMBRANE + "x_init = 0; diff_x = 1; twice = 2*x; y_init = 0; when (twice >= 1) { y = 10*twice + t; x = 7; }"
    assert one_step(text, t=3.0) == {"V": 0, "x": 7, "y": 13.5}
    assert one_step(text, dt=0.49) == {"V": 0, "x": 0.49, "y": 0}


def test_all_right_hand_sides_see_the_values_before_the_event():
    assert one_step(MEMBRANE + "x_init = 1; y_init = 2; when (x < y) { x = y; y = x; }") == {"V": 0, "x": 2, "y": 1}


def test_of_two_events_that_change_a_name_the_first_counts():
    text = MEMBRANE + ("x_init = 1; y_init = 1; z_init = 1; when (V > {}) {{ x = 2; y = 2; }}"
                       "when (x == 1) {{ x = 3; z = 3; }}")
    assert one_step(text.format(-1)) == {"V": 0, "x": 2, "y": 2, "z": 3}
    assert one_step(text.format(1)) == {"V": 0, "x": 3, "y": 1, "z": 3}


def test_v_states_gates_and_stored_states_change():
    text = MEMBRANE + """g_inf = 1; tau_g = 1; g_init = 0; peak = max(peak, V); peak_init = -5; n_init = 4;
    when (V >= 1) { V = -V; g = 0.25; peak = -9; n -= 1; n *= 2; }"""
    assert one_step(text, Istim=4.0) == {"V": -2, "g": 0.25, "peak": -9, "n": 6}


def test_bounds_hold_after_events():
    assert one_step(MEMBRANE + "x_init = 0; x; .ub(2); when (V == 0) { x += 5; }")["x"] == 2


def test_conditions_inside_an_event():
    text = MEMBRANE + "x_init = 1; y_init = 0; when (x > 0) { if (x > 2) { y = 1; } else { y = 2; x += 1; } }"
    assert one_step(text) == {"V": 0, "x": 2, "y": 2}
    assert one_step(text, x=3.0) == {"V": 0, "x": 3, "y": 1}


def test_flags_choose_events():
    text = MEMBRANE + "kind; .flag(A, B); x_init = 0; when (kind == A) { x = 1; } when (kind == B) { x = kind + 1; }"
    assert one_step(text)["x"] == 1
    assert one_step(text, flags=["B"])["x"] == 2
    assert len(read_model(text, flags=["B"]).events) == 1


def test_the_name_a_file_gives_to_v():
    assert one_step("Vm; .external(); Vm_init = 3; Iion = 0; when (Vm > 2) { Vm = Vm - 4; }", V=3.0) == {"V": -1}


def test_a_shared_quantity_that_an_event_changes_is_a_state():
    model = read_model(MEMBRANE + "Ko; .external(K_e); when (V > 0) { Ko = 9; }")
    assert [(s.name, s.method) for s in model.states] == [("Ko", STORE)]
    assert initial_state(model)["Ko"] == 5.4
    assert not model.parameters


def test_arrays_give_what_floats_give_one_by_one():
    model = load_model("Izhikevich")
    V, u = np.array([29.9, 0.0, 31.0]), np.array([-10.0, 1.0, 2.0])
    states = {"u": u, "spikes": np.arange(3.0)}
    end, found = advance(model, V, states, 0.0, 0.02)
    for i in range(3):
        one, single = advance(model, V[i], {name: row[i] for name, row in states.items()}, 0.0, 0.02)
        assert (one, *single.values()) == (end[i], *(found[name][i] for name in single))
    assert found["spikes"].tolist() == [1, 1, 3]


@pytest.mark.parametrize("method", METHODS)
def test_rates_and_methods_know_nothing_of_events(method):
    text = MEMBRANE.replace("Iion = 0", "Iion = 0.1*V - x") + "x_init = 1; diff_x = 0.3*(V - x); x; .method({});\n"
    plain = read_model(text.format(method))
    reset = read_model(text.format(method) + "when (x > 0) { V = -3; }")
    assert rates(plain, 2.0, {"x": 1.0}) == rates(reset, 2.0, {"x": 1.0})
    assert advance(plain, 2.0, {"x": 1.0}, 0.0, 0.1)[1] == advance(reset, 2.0, {"x": 1.0}, 0.0, 0.1)[1]
    assert advance(reset, 2.0, {"x": 1.0}, 0.0, 0.1)[0] == -3


def test_a_model_tells_its_events():
    assert """
Events
  when V >= V_peak: V = c, u = u + d, spikes = spikes + 1
""" in describe(load_model("Izhikevich"))


def test_a_word_that_is_no_event():
    assert one_step(MEMBRANE + "when = 2; x_init = 0; diff_x = when;")["x"] == 1


# ------------------------------------------------------------------------------------------------------- plug-ins
PLUGIN = """V; .external(Vm); K_e; .external(); n_init = 0; threshold = 5; .param(); K_e_init = 4; diff_K_e = 0*V;
when (V > threshold) { n += 1; K_e = K_e + 1; } when (n > 3) { n = 0; }"""


def test_a_plugin_has_events_on_its_own_states_after_those_of_the_model(tmp_path):
    path = tmp_path / "Counter.model"
    path.write_text(PLUGIN)
    base = tmp_path / "base.model"
    base.write_text("V_init = 0; Ko = 5; .param(); Iion = 0*Ko; when (V > 9) { V = 0; }")
    model = load_model(base, plugins=[str(path)])
    assert [[c.name for c in event.changes] for event in model.events] == [["V"], ["Counter.n", "K_e"], ["Counter.n"]]
    start = initial_state(model)
    assert start == {"V": 0, "K_e": 5, "Counter.n": 0} or start == {"V": 0, "Counter.n": 0, "K_e": 5}
    V, end = advance(model, 10.0, {k: v for k, v in start.items() if k != "V"}, 0.0, 0.1)
    assert (V, end["Counter.n"], end["K_e"]) == (0, 1, 6)


def test_a_plugin_does_not_change_v(tmp_path):
    path = tmp_path / "Reset.model"
    path.write_text("V; .external(Vm); Iion; .external(); Iion += 0.1;\nwhen (V > 0) { V = -80; }")
    with pytest.raises(UpstrokeError) as caught:
        load_model("Plonsey", plugins=[str(path)])
    assert str(caught.value) == (f"{path}:2:16: V is the model's; an event of a plug-in does not change it\n"
                                 "    when (V > 0) { V = -80; }\n"
                                 "                   ^\n"
                                 "  -> change states of the plug-in, or add to Iion")


# ---------------------------------------------------------------------------------------------------------- errors
#: what stands in the model's second line: column, what is wrong, what to do
BROKEN = {
    "when (V > 0) { g = 2; } g = 1; .param();": (
        16, "g is no state, so an event cannot change it", "write g_init = ...; in place of g = ...;"),
    "when (V > 0) { g = 2; } g = 2*V; x = g;": (
        16, "g is no state, so an event cannot change it", "write g_init = ...; in place of g = ...;"),
    "when (V > 0) { Iion = 2; }": (
        16, "Iion follows from V and the states, so an event cannot change it",
        "change V or a state that Iion depends on"),
    "when (V > 0) { kind = 2; } kind; .flag(A, B);": (
        16, "kind is no state, so an event cannot change it", "write kind_init = ...; in place of kind = ...;"),
    "when (V > 0) { t = 0; }": (
        16, "t is given by the simulator, a model never assigns it", "use another name"),
    "when (V > 0) { x = 0; }": (
        16, "the state x has no initial value", "add x_init = ...;"),
    "when (V > 0) { V = Vreset; } V_reset = 1;": (
        20, "'Vreset' has no value", "did you mean 'V_reset'?"),
    "when (Vm > 0) { V = 1; }": (
        7, "'Vm' has no value", "did you mean 'V'?"),
    "when (V > 0) { V = 1; V = 2; }": (
        23, "V is assigned a second time; the first is at line 2",
        "a name is given its value once; use another name, += to add to it, or if {...} else {...}"),
    "when (V > 0) { }": (
        1, "the event changes nothing", "write when (...) { NAME = value; }"),
    "when (V > 0) { V = 1; .units(mV); }": (
        24, "an event changes values; .units() belongs to the name itself", "write NAME; .units(...); outside"),
    "when (V > 0) { V = 1; } .trace();": (
        26, "an event changes values; .trace() belongs to the name itself", "write NAME; .trace(...); outside"),
    "if (V > 0) { when (V > 1) { V = 1; } }": (
        14, "an event stands inside another block",
        "write it outside; its condition may hold more: when (a && b) { ... }"),
    "when (V > 0) V = 1;": (
        14, "'V' where '{' should stand", "what depends on a condition is a block: { ... }"),
}


@pytest.mark.parametrize("line", BROKEN)
def test_error_text(line):
    column, what, remedy = BROKEN[line]
    with pytest.raises(ModelError) as caught:
        read_model(MEMBRANE + line, "toy")
    assert str(caught.value) == f"toy.model:2:{column}: {what}\n    {line}\n    {' ' * (column - 1)}^\n  -> {remedy}"
