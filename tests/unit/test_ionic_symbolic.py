"""Differentiation against finite differences, and the recognition of rates that are linear in their state."""

import random

import numpy as np
import pytest

from upstroke.ionic.evaluate import value_of
from upstroke.ionic.expr import Binary, Call, Expr, Name, Num, Select, Unary
from upstroke.ionic.parse import Assign, parse
from upstroke.ionic.symbolic import ZERO, affine, depends, differentiate, free_names, substitute

X, Y = Name("x"), Name("y")
SMOOTH = ["exp", "expm1", "log", "log10", "log1p", "sqrt", "cbrt", "sin", "cos", "tan", "atan", "sinh", "cosh", "tanh",
          "square", "cube"]
KINKED = ["fabs", "heav", "floor", "ceil"]


def expr(text: str) -> Expr:
    (statement,) = parse(f"r = {text};", "test").statements
    assert isinstance(statement, Assign)
    return statement.value.expr


def at(e: Expr, x: float, y: float = 1.3) -> float:
    return float(value_of(e, {"x": x, "y": y}))


def difference(e: Expr, x: float, h: float = 1e-4) -> float:
    """Central difference of sixth order."""
    weights = ((1, 0.75), (2, -0.15), (3, 1 / 60))
    return sum(w * (at(e, x + k*h) - at(e, x - k*h)) for k, w in weights) / h


def random_expr(rng: random.Random, depth: int) -> Expr:
    """A random expression whose values stay moderate for x and y about 1."""
    if depth == 0:
        return rng.choice([X, X, Y, Num(round(rng.uniform(0.5, 2.0), 2))])
    kind = rng.randrange(8)
    a, b = random_expr(rng, depth - 1), random_expr(rng, depth - 1)
    if kind < 3:
        return Binary(rng.choice("+-*"), a, b)
    if kind == 3:
        return Binary("/", a, Binary("+", Num(1.5), Call("square", (b,))))
    if kind == 4:
        return Call(rng.choice(["sin", "cos", "atan", "tanh"]), (a,))
    if kind == 5:
        inside = Call("sin", (a,))
        return Call(rng.choice(["exp", "expm1", "sinh", "cosh", "cube"]), (inside,))
    if kind == 6:
        positive = Binary("+", Num(1.5), Call("sin", (a,)))
        power = Call("pow", (positive, Call("sin", (b,))))
        return rng.choice([Call("log", (positive,)), Call("sqrt", (positive,)), power])
    return Select(Binary("<", Y, Num(rng.choice([0.0, 3.0]))), a, Unary("-", b))


@pytest.mark.parametrize("seed", range(150))
def test_derivatives_of_random_expressions(seed):
    e = random_expr(random.Random(seed), 4)
    exact = at(differentiate(e, "x"), 0.9)
    assert exact == pytest.approx(difference(e, 0.9), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("function", [*SMOOTH, *KINKED])
@pytest.mark.parametrize("x", [0.37, 1.7])
def test_derivatives_of_functions(function, x):
    e = Call(function, (Binary("*", Num(1.1), X),))
    assert at(differentiate(e, "x"), x) == pytest.approx(difference(e, x), rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("text", ["asin(0.5*x)", "acos(0.5*x)", "atan2(x, y)", "atan2(y, x)", "pow(x, 3)", "pow(3, x)",
                                  "pow(x, x)", "min(x, y)", "max(x, y)", "max(square(x), y)", "fmod(7*x, 2)",
                                  "fmod(-7*x, 2)", "fmod(9, x)", "x > 1 ? x*x : 3*x", "(x > 1)*x", "!(x > y)*x",
                                  "(x > 0 && y > 0)*x", "-(x/y)", "1/x", "fabs(-x)"])
def test_derivatives_of_other_forms(text):
    for x in (0.63, 1.57):
        assert at(differentiate(expr(text), "x"), x) == pytest.approx(difference(expr(text), x), rel=1e-7, abs=1e-8)


def test_derivative_goes_through_definitions():
    definitions = {"a": expr("x*x + y"), "b": expr("exp(-a)"), "c": expr("y*3")}
    exact = differentiate(expr("b*c + a"), "x", definitions)
    names = {"x": 0.7, "y": 1.3, "a": 0.7**2 + 1.3, "c": 3.9}
    names["b"] = np.exp(-names["a"])
    assert value_of(exact, names) == pytest.approx(-3.9*2*0.7*names["b"] + 1.4)


def test_derivative_by_a_name_that_is_not_there_is_zero():
    assert differentiate(expr("exp(y)*sin(y)/y"), "x") == ZERO


@pytest.mark.parametrize(("rate", "slope"), [
    ("(y - x)/3", "-1/3"), ("y*(1 - x) - 2*x", "-y - 2"), ("-x", "-1"), ("x", "1"), ("y", "0"), ("3 + exp(y)", "0"),
    ("y > 0 ? (1 - x)/y : -x/2", "y > 0 ? -(1/y) : -1/2"), ("2*(x + x*y) - x", "2*(1 + y) - 1"),
    ("x/exp(y)", "1/exp(y)"), ("(y > 0)*x", "(y > 0)"), ("-(x - y)", "-1"), ("(y > 0 ? 1 : 2)*x", "(y > 0 ? 1 : 2)"),
    ("exp(y)*(y - x)", "-exp(y)"),
])
def test_rates_that_are_linear(rate, slope):
    found = affine(expr(rate), "x")
    assert found is not None
    assert at(found, np.nan) == pytest.approx(at(expr(slope), np.nan))
    assert at(expr(rate), 2.0) - at(expr(rate), 1.0) == pytest.approx(at(found, np.nan))


@pytest.mark.parametrize("rate", ["x*x", "exp(x)", "1/x", "y/(1 + x)", "x > 0 ? x : -x", "square(x)", "min(x, y)",
                                  "x*(1 - x)", "!x", "x < y", "x && y", "(x > 0)*y", "pow(x, 2)", "x/(x + 1)"])
def test_rates_that_are_not_linear(rate):
    assert affine(expr(rate), "x") is None


def test_linearity_is_seen_through_definitions():
    texts = {"flux": "g*(x - y)", "total": "flux + 2*y", "g": "exp(y)", "buffer": "1/(1 + x)"}
    definitions = {name: expr(text) for name, text in texts.items()}
    assert affine(expr("-total/y"), "x", definitions) == expr("-(g/y)")
    assert affine(expr("-total*buffer"), "x", definitions) is None
    assert affine(expr("buffer"), "y", definitions) == ZERO
    assert affine(expr("y > 0 ? flux : 0"), "x", definitions) == expr("y > 0 ? g : 0")
    assert affine(expr("buffer > 0 ? x : 0"), "x", definitions) is None


def test_names_and_dependence():
    e = expr("a*exp(b) + (c > 1 ? d : -f)")
    assert free_names(e) == set("abcdf")
    definitions = {"a": expr("g*2"), "g": expr("x")}
    assert depends(e, "x", definitions)
    assert not depends(expr("b"), "x", definitions)


def test_substitution_picks_branches_whose_condition_is_known():
    e = expr("k == 1 ? a : (k == 2 && b > 0) ? c : d")
    assert substitute(e, {"k": Num(1.0)}) == Name("a")
    assert substitute(e, {"k": Num(3.0)}) == Name("d")
    assert substitute(e, {"k": Num(2.0), "b": Num(1.0)}) == Name("c")
    assert substitute(expr("!(k >= 1) || k < 0 ? a : d"), {"k": Num(0.0)}) == Name("a")
    assert substitute(expr("a + b"), {"a": expr("x*y")}) == expr("x*y + b")
