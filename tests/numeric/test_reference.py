"""CVODE on the compiled right-hand side, against independent traces and an equation that can be solved."""

import json
import sys

import numpy as np
import pytest
from pacing import DATA

from upstroke.errors import BackendError, DivergenceError, ModelError
from upstroke.ionic import load_model, read_model
from upstroke.reference import integrate

pytest.importorskip("sksundae", reason="scikit-sundae is not installed")
HEAD = "V; .external(Vm);\nIion; .external();\nV_init = -60;\n"


def figures(name, variant):
    return json.loads((DATA / "models" / f"{name}.json").read_text())["variants"][variant]


@pytest.mark.parametrize(("name", "variant"), [
    ("tenTusscherPanfilov", "EPI"), ("LuoRudy91", "paper"), ("BuenoOrovio", "ENDO"),
])
def test_the_first_beat_is_the_independent_one(name, variant):
    """Their traces are by CVODE too, but of equations written elsewhere; 1 ms apart and on the upstroke as well."""
    given = figures(name, variant)
    trace, pulse = given["traces"]["beat_1"], given["pulse"]
    t = trace["t0"] + trace["dt"] * np.arange(len(trace["V"]))
    model = load_model(name, given.get("flags", []), given.get("parameters", {}))
    found = integrate(model, t, [(pulse["start"], pulse["duration"], pulse["rate"])])
    np.testing.assert_allclose(found["V"], trace["V"], rtol=0, atol=0.01)


def test_tighter_tolerances_give_smaller_errors():
    """dx/dt = -1000 (x - cos t), x(0) = 1; its solution is known."""
    model = read_model(HEAD + "diff_x = -1000*(x - cos(t)); x_init = 1; Iion = 0*x;")
    t = np.linspace(0, 10, 11)
    exact = (1e6 * np.cos(t) + 1e3 * np.sin(t) + np.exp(-1e3 * t)) / (1e6 + 1)
    errors = [np.abs(integrate(model, t, rtol=tol, atol=tol)["x"] - exact).max() for tol in (1e-4, 1e-7, 1e-10)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 1e-8


def test_pulses_add_up_and_carry_their_charge():
    """No current but the stimulus': V rises by the charge over C_m, at all times asked for, also at edges."""
    model = read_model(HEAD + "Iion = 0*V;")
    pulses = [(1.0, 2.0, 10.0), (2.0, 2.0, 5.0), (20.0, 1.0, 100.0)]
    V = integrate(model, [0, 0.5, 1, 2, 3, 3.5, 9], pulses, C_m=2.0)["V"]
    np.testing.assert_allclose(V, -60 + np.array([0, 0, 0, 10, 25, 27.5, 30]) / 2, rtol=1e-9)
    np.testing.assert_allclose(integrate(model, [0, 9], pulses)["V"], [-60, -30], rtol=1e-9)
    np.testing.assert_allclose(integrate(model, [0, 1], [(0.25, 0.5, 8.0)])["V"], [-60, -56], rtol=1e-9)
    assert integrate(model, [0, 1], initial={"V": 5.0})["V"][0] == 5.0


@pytest.mark.parametrize(("text", "expected"), [
    ("Iion = V; top = max(top, V); top_init = 0;",
     "model.model:4:11: top is updated once a step, so cvode cannot integrate it\n"
     "    Iion = V; top = max(top, V); top_init = 0;\n"
     "              ^\n"
     "  -> give it a rate, or use a method with fixed steps"),
    ("Iion = V; diff_x = dt; x_init = 0;",
     "model.model: the equations use dt, so cvode, which chooses its own, cannot integrate them\n"
     "  -> use a method with fixed steps"),
    ("Iion = V; diff_x = -1; x_init = 0.5; x; .lb(0);",
     "model.model:4:11: x leaves its bounds, which cvode cannot hold\n"
     "    Iion = V; diff_x = -1; x_init = 0.5; x; .lb(0);\n"
     "              ^\n"
     "  -> drop .lb() and .ub(), or use a method with fixed steps"),
])
def test_what_needs_fixed_steps_is_refused(text, expected):
    with pytest.raises(ModelError) as caught:
        integrate(read_model(HEAD + text), [0, 1])
    assert str(caught.value) == expected


def test_an_explosion_is_told():
    with pytest.raises(DivergenceError) as caught:
        integrate(read_model(HEAD + "Iion = 0*V; diff_x = x*x; x_init = 1;"), [0, 0.5, 2])
    assert caught.value.what.startswith("CVODE gave up: ")
    assert caught.value.remedy == "check the parameters and the stimulus, or give a larger rtol"


def test_times_must_rise():
    with pytest.raises(ValueError, match="times must be two or more that rise"):
        integrate(read_model(HEAD + "Iion = V;"), [0, 0])


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sksundae.cvode", None)
    with pytest.raises(BackendError) as caught:
        integrate(read_model(HEAD + "Iion = V;"), [0, 1])
    assert str(caught.value) == ("the method cvode needs scikit-sundae, which is not installed\n"
                                 '  -> pip install "upstroke[reference]"')
