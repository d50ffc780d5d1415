"""Expressions as C text: precedence, literals, powers, conditions."""

from __future__ import annotations

import pytest

from upstroke.codegen.expressions import Printer
from upstroke.errors import ModelError
from upstroke.ionic.expr import Binary, Call, Name, Num, Select, Unary

a, b, c = Name("a"), Name("b"), Name("c")


def op(o, x, y):
    return Binary(o, x, y)


def text(expr, single=False):
    return Printer(single).value(expr, lambda name: f"v_{name}")


@pytest.mark.parametrize(("expr", "expected"), [
    (op("+", a, op("*", b, c)), "v_a + v_b * v_c"),
    (op("*", op("+", a, b), c), "(v_a + v_b) * v_c"),
    (op("-", op("-", a, b), c), "v_a - v_b - v_c"),
    (op("-", a, op("-", b, c)), "v_a - (v_b - v_c)"),
    (op("+", a, op("+", b, c)), "v_a + (v_b + v_c)"),
    (op("/", op("/", a, b), c), "up_div(up_div(v_a, v_b), v_c)"),
    (op("/", a, op("*", b, c)), "up_div(v_a, v_b * v_c)"),
    (Unary("-", op("*", a, b)), "-(v_a * v_b)"),
    (Unary("-", Unary("-", a)), "-(-v_a)"),
    (op("-", a, Unary("-", b)), "v_a - -v_b"),
    (op("-", a, Num(-2.0)), "v_a - -2.0"),
    (Unary("-", Num(-2.0)), "-(-2.0)"),
    (op("*", Num(-2.0), a), "-2.0 * v_a"),
    (Num(0.1), "0.1"), (Num(1e-30), "1e-30"), (Num(3.0), "3.0"),
    (Call("atan2", (a, op("+", b, c))), "up_atan2(v_a, v_b + v_c)"),
])
def test_parentheses_stand_where_they_are_needed(expr, expected):
    assert text(expr) == expected


@pytest.mark.parametrize(("expr", "expected"), [
    (Select(op("<", a, Num(0.0)), b, op("+", b, c)), "up_select(v_a < 0.0, v_b, v_b + v_c)"),
    (op("*", a, op(">=", b, c)), "v_a * up_select(v_b >= v_c, 1.0, 0.0)"),
    (Select(op("&&", op("<", a, b), op("||", Unary("!", c), op("==", a, b))), a, b),
     "up_select((v_a < v_b) & ((!(v_c != 0.0)) | (v_a == v_b)), v_a, v_b)"),
    (Select(op("<", op("<", a, b), c), a, b), "up_select(up_select(v_a < v_b, 1.0, 0.0) < v_c, v_a, v_b)"),
])
def test_conditions_select_without_a_branch(expr, expected):
    assert text(expr) == expected


@pytest.mark.parametrize(("expr", "expected"), [
    (op("/", a, Num(5.0)), "v_a * (1.0 / 5.0)"),
    (op("/", op("+", a, b), Num(-5.0)), "(v_a + v_b) * (1.0 / -5.0)"),
    (op("/", a, op("*", c, Num(2.0))), "v_a * (1.0 / (v_c * 2.0))"),
    (op("/", Num(1.0), Num(3.0)), "1.0 / 3.0"),
    (op("-", a, op("/", op("/", c, Num(3.0)), c)), "v_a - v_c / 3.0 / v_c"),
    (op("/", c, a), "up_div(v_c, v_a)"),
])
def test_what_the_compiler_can_divide_it_divides(expr, expected):
    assert Printer(False, literals={"c"}).value(expr, lambda name: f"v_{name}") == expected


@pytest.mark.parametrize(("exponent", "expected"), [
    (1.0, "(v_a)"), (2.0, "up_square(v_a)"), (3.0, "up_cube(v_a)"), (8.0, "up_pow8(v_a)"), (0.5, "up_sqrt(v_a)"),
    (-2.0, "up_div(1.0, up_square(v_a))"),
    (9.0, "up_pow(v_a, 9.0)"), (1.4, "up_pow(v_a, 1.4)"), (0.0, "up_pow(v_a, 0.0)"),
])
def test_constant_powers_are_multiplications(exponent, expected):
    assert text(Call("pow", (a, Num(exponent)))) == expected


def test_literals_of_fp32_are_floats():
    assert text(op("+", a, Num(0.1)), single=True) == "v_a + 0.1f"
    with pytest.raises(ModelError) as error:
        text(Num(1e39), single=True)
    assert str(error.value) == "the number 1e+39 does not fit into fp32\n  -> use fp64, or scale the equation"
    with pytest.raises(ModelError) as error:
        text(Num(float("inf")))
    assert str(error.value) == "the number inf does not fit into fp64\n  -> write a finite number"
