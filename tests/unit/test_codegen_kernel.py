"""``generate``: the text of a tiny model, layouts, slices, refusals. Nothing is compiled here."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from upstroke.codegen import generate
from upstroke.errors import ModelError
from upstroke.ionic.expr import Binary, Call, Name, Num, Unary
from upstroke.ionic.model import Definition, Model, Parameter, State

DATA = Path(__file__).parents[1] / "data"
V = Name("V")


def op(o, a, b):
    return Binary(o, a, b)


def tiny(**changes):
    """A gate m by Rush-Larsen, a slow c by the midpoint rule with bounds, V by the midpoint rule."""
    m_inf = Definition("m_inf", op("/", Num(1.0), op("+", Num(1.0), Call("exp", (Unary("-", op("/", V, Name("k"))),)))))
    scale = Definition("scale", op("*", Name("g"), Num(2.0)))
    gate = State("m", Num(0.1), "rush_larsen", rate=op("/", op("-", Name("m_inf"), Name("m")), Num(5.0)),
                 slope=Num(-0.2), steady=Name("m_inf"))
    slow = State("c", Num(0.2), "rk2", rate=op("*", Num(0.01), op("-", Name("m"), Name("c"))), lower=0.0, upper=1.0,
                 unit="mM")
    model = Model("Tiny", "tiny.model", parameters=(Parameter("g", 0.3, "mS/cm^2"), Parameter("k", 7.0, "mV")),
                  states=(gate, slow), definitions=(scale, m_inf), v_init=Num(-60.0), v_method="rk2",
                  iion=op("*", op("*", Name("scale"), Name("m")), op("-", V, Name("c"))))
    return replace(model, **changes)


def generated(target, precision="fp64", **options):
    """The part of the unit that the model makes."""
    source = generate(tiny(), target, precision, **options).source
    return source[source.index("typedef struct {"):]


@pytest.mark.parametrize(("target", "precision", "file"), [
    ("c", "fp64", "golden_tiny.c"), ("cuda", "mixed", "golden_tiny.cu"),
])
def test_generated_text_is_the_reviewed_one(target, precision, file):
    """After a change that is meant: UPSTROKE_UPDATE_GOLDEN=1 pytest, then read the diff."""
    text = generated(target, precision, uniform=["g"], nodal=["k"])
    if os.environ.get("UPSTROKE_UPDATE_GOLDEN"):
        (DATA / file).write_text(text)
    assert text == (DATA / file).read_text()


def test_both_frames_hold_the_same_statements():
    def statements(target):
        lines = [line.strip() for line in generated(target).splitlines()]
        return [line for line in lines if re.match(r"(const )?real [vr]\d*_(?!t |dt)", line)]

    c, cuda = statements("c"), statements("cuda")
    assert len(c) > 20
    assert c == cuda


def test_layout_is_told():
    kernel = generate(tiny(), "c", "mixed", uniform=["g"], nodal=["k"])
    assert (kernel.states, kernel.wide, kernel.uniform, kernel.nodal) == (("m", "c"), ("c",), ("g",), ("k",))
    assert (kernel.name, kernel.target, kernel.precision) == ("Tiny", "c", "mixed")
    assert generate(tiny(), "c", "fp32").wide == ()


def test_a_stage_computes_only_what_it_needs():
    text = generated("c")
    assert text.count("real v_scale") == 2     # parameters alone: once in each function, in no stage again
    assert "v1_scale" not in text
    assert "inf1_m" not in text                # the gate has one stage
    assert "v1_m = inf_m" in text              # and is carried to the second one by its own method


def test_fp32_holds_no_double_literal():
    body = generated("c", "fp32")
    body = re.sub(r"/\*.*?\*/", "", body[body.index("real v_V"):body.index("#define UP_GATHER")])
    assert re.findall(r"\d\.\d+(?![\df])(?:e-?\d+)?(?!f)", body) == []


@pytest.mark.parametrize(("model", "options", "expected"), [
    (tiny(), {"uniform": ["gg"]}, "tiny.model: Tiny has no parameter 'gg'\n  -> did you mean 'g'?"),
    (tiny(), {"uniform": ["g"], "nodal": ["g"]},
     "tiny.model: parameter 'g' is asked for both as uniform and as nodal\n  -> choose one of the two"),
    (tiny(iion=None), {}, "tiny.model: Tiny has no membrane current Iion\n  -> add  Iion = ...;"),
    (tiny(v_method="rush_larsen"), {},
     "tiny.model: V cannot take method 'rush_larsen'\n  -> choose fe, sundnes, rk2, rk4 or rosenbrock for V"),
])
def test_what_cannot_be_generated_says_so(model, options, expected):
    with pytest.raises(ModelError) as error:
        generate(model, "c", "fp64", **options)
    assert str(error.value) == expected


def test_rush_larsen_needs_an_affine_rate():
    curved = replace(tiny().states[1], method="rush_larsen")
    with pytest.raises(ModelError) as error:
        generate(tiny(states=(tiny().states[0], curved)), "c", "fp64")
    assert error.value.what == "c cannot take rush_larsen: its rate is not affine in it"


def test_methods_whose_stages_fall_apart_are_refused(monkeypatch):
    from upstroke.ionic.methods import METHODS

    heun = replace(METHODS["rk2"], name="heun", c=(0.0, 1.0))
    monkeypatch.setitem(METHODS, "heun", heun)
    with pytest.raises(ModelError) as error:
        generate(tiny(v_method="heun"), "c", "fp64")
    assert str(error.value) == ("tiny.model: method 'rk2' of c does not go with 'heun' in one model\n"
                                "  -> choose one of them for all states")


def test_unknown_targets_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="no frame for target 'opencl' in precision 'fp64'"):
        generate(tiny(), "opencl", "fp64")
