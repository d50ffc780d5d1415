"""Names in another spelling: case and underscores do not matter where only one name is like it."""

from collections.abc import Callable
from typing import Any

import pytest

from upstroke.errors import ModelError
from upstroke.ionic import initial_state, load_model, rates, read_model, shipped_models
from upstroke.ionic.spelling import like

MODEL = """V_init = -80; group { Gkr = 1; K_i = 2; gna = 3; GNa = 4; } .param();
m_inf = V < 0 ? 0.25 : 0.5; tau_m = 1; Ca_i_init = 1e-4; diff_Ca_i = -Ca_i*Ca_i;
Iion = Gkr*K_i*m*(V - 1) + GNa + gna + Ca_i;"""


def test_old_and_new_spellings_of_parameters() -> None:
    model = read_model(MODEL, parameters={"GKr": 10, "Ki": "*3", "GNa": 5})
    assert {p.name: p.value for p in model.parameters} == {"Gkr": 10, "K_i": 6, "gna": 3, "GNa": 5}
    assert rates(model, 0.0, {"m": 0.5, "Ca_i": 0}, parameters={"GKR": 1.0})[0] == -1.0 * 6 * 0.5 + 8


def test_of_states_and_methods() -> None:
    model = read_model(MODEL, methods={"Cai": "rk2", "v": "rk2"})
    assert (model.v_method, [s.method for s in model.states]) == ("rk2", ["rush_larsen", "rk2"])
    assert initial_state(model, {"v": 10, "Cai": 1}) == {"V": 10, "m": 0.5, "Ca_i": 1}


@pytest.mark.parametrize(("act", "message"), [
    (lambda: read_model(MODEL, "toy", parameters={"G_Na": 1}),
     "model toy: 'G_Na' may be gna or GNa\n  -> give it as it is spelled there"),
    (lambda: read_model(MODEL, "toy", parameters={"Ki": 1, "ki": 2}),
     "model toy: K_i is given twice, as Ki and as ki\n  -> keep one"),
    (lambda: read_model(MODEL, "toy", parameters={"Gkrr": 1}),
     "model toy: no parameter 'Gkrr'\n  -> did you mean 'Gkr'?"),
    (lambda: initial_state(read_model(MODEL, "toy"), {"Caii": 1}),
     "model toy: no state 'Caii'\n  -> did you mean 'Ca_i'?"),
])
def test_what_is_not_clear_is_an_error(act: Callable[[], Any], message: str) -> None:
    with pytest.raises(ModelError) as error:
        act()
    assert str(error.value) == message


def test_every_shipped_model_is_found_in_any_case_and_by_a_name_near_it() -> None:
    infos = shipped_models()
    known = [word for info in infos for word in (info.name, *info.aliases)]
    twice = [word for word in known if [w.lower() for w in known].count(word.lower()) > 1]
    assert twice == []
    for info in infos:
        for word in (info.name, *info.aliases):
            assert like(word, known), word
        near = info.name[:-1] + "#"
        with pytest.raises(ModelError) as error:
            load_model(near)
        assert str(error.value).startswith(f"no model '{near}'\n  -> did you mean '"), near
