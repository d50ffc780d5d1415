"""``upstroke_follow``: added beside ``upstroke_advance``, which stays as it is; which states are exact; events."""

from __future__ import annotations

import re

import pytest
from samples import RESETS

from upstroke.codegen import generate
from upstroke.ionic import load_model

ODD = """
V; .external(Vm); .nodal(); .units(mV);
Iion; .external(); .units(uA/cm^2);
group { g = 0.3; E = -70; }.param();
V_init = -60; m_init = 0.2; p_init = 0.5; c_init = 0.1; late_init = 0; sum_init = 0;
m_inf = 1/(1 + exp(-(V + 40)/9)); tau_m = 1 + exp(-square(V + 30)/100);
diff_p = m - p; diff_c = 0.1*V - c*c; diff_late = sin(t); diff_sum = V*V;
Iion = g*(V - E)*m + p + c + late + sum;
"""


def model_of(tmp_path, text, **options):
    path = tmp_path / "own.model"
    path.write_text(text)
    return load_model(path, **options)


@pytest.mark.parametrize("target", ["c", "cuda"])
def test_it_is_added_where_it_is_asked_for_and_changes_nothing_else(target):
    model = load_model("HodgkinHuxley")
    plain, both = (generate(model, target, "mixed", follow=follow) for follow in (False, True))
    assert both.source.startswith(plain.source) and "upstroke_follow" not in plain.source
    assert plain.exact == ()


def test_both_frames_hold_the_same_statements():
    def statements(target):
        text = generate(load_model("LuoRudy91"), target, "fp64", follow=True).source
        lines = [line.strip() for line in text[text.index("upstroke_follow_args"):].splitlines()]
        return set(line for line in lines if re.match(r"(const )?real [vr]\d*_(?!t |dt)|up_G|v_\w+ = ", line))

    assert len(statements("c")) > 60
    assert statements("c") == statements("cuda")


def test_states_that_a_given_v_leaves_no_error(tmp_path):
    """Gates of V alone and integrals of V are exact; what depends on other states, on its own square or on t is not."""
    assert set(generate(model_of(tmp_path, ODD), "c", "fp64", follow=True).exact) == {"m", "sum"}
    forward = model_of(tmp_path, ODD, methods={"m": "fe"})
    assert generate(forward, "c", "fp64", follow=True).exact == ("sum",)
    assert set(generate(load_model("HodgkinHuxley"), "c", "fp64", follow=True).exact) == {"M", "H", "N"}


def test_what_depends_on_v_alone_is_found_once_for_all_stages():
    text = generate(load_model("HodgkinHuxley", methods="sundnes"), "cuda", "fp64", follow=True).source
    follow = text[text.index("upstroke_follow_args"):]
    assert follow.count("real v_alpha_M =") == 1 and "v1_alpha_M" not in follow
    assert "v1_alpha_M" in text


@pytest.mark.parametrize("target", ["c", "cuda"])
def test_events_happen_after_the_states_step_and_v_is_stored_where_they_change_it(tmp_path, target):
    kernel = generate(model_of(tmp_path, RESETS), target, "fp64", follow=True)
    follow = kernel.source[kernel.source.index("upstroke_follow_args"):]
    assert follow.index("v_bound = ") < follow.index("v_V = up_select(h0") < follow.index("up_V[up_i] = v_V;")
    assert kernel.resets and follow.index("up_V[up_i] = v_V;") < follow.index("up_G[up_i] = ")

    plain = generate(model_of(tmp_path, ODD + "when (V > 0) { late = 0; }"), target, "fp64", follow=True)
    follow = plain.source[plain.source.index("upstroke_follow_args"):]
    assert not plain.resets and "v_late = up_select(h0" in follow and "up_V[up_i] = v_V;" not in follow
