"""Symbolic work on expressions: names, substitution, differentiation, linearity. Light simplification only: the C
compiler does the rest."""

from __future__ import annotations

import graphlib
import heapq
from collections.abc import Callable, Iterable, Mapping

from upstroke.ionic.expr import Binary, Call, Expr, Name, Num, Select, Unary

ZERO, ONE = Num(0.0), Num(1.0)
NOTHING: Mapping[str, Expr] = {}


def free_names(expr: Expr) -> frozenset[str]:
    """All names in the expression."""
    found: set[str] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        match node:
            case Name(name):
                found.add(name)
            case Unary(_, a):
                stack.append(a)
            case Binary(_, a, b):
                stack += (a, b)
            case Call(_, args):
                stack += args
            case Select(c, a, b):
                stack += (c, a, b)
    return frozenset(found)


def in_order(uses: Mapping[str, Iterable[str]]) -> list[str]:
    """The names, each after those that it uses, and else in the order given. Raises graphlib.CycleError."""
    names = list(uses)
    index = {name: i for i, name in enumerate(names)}
    sorter = graphlib.TopologicalSorter({name: [used for used in uses[name] if used in index] for name in names})
    sorter.prepare()
    order, ready = list[str](), [index[name] for name in sorter.get_ready()]
    heapq.heapify(ready)
    while ready:
        order.append(name := names[heapq.heappop(ready)])
        sorter.done(name)
        for freed in sorter.get_ready():
            heapq.heappush(ready, index[freed])
    return order


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """The expression with names replaced; a condition that becomes a plain number picks its branch."""
    match expr:
        case Name(name):
            return values.get(name, expr)
        case Unary(op, a):
            return _truth(Unary(op, substitute(a, values)))
        case Binary(op, a, b):
            return _truth(Binary(op, substitute(a, values), substitute(b, values)))
        case Call(function, args):
            return Call(function, tuple(substitute(a, values) for a in args))
        case Select(condition, a, b):
            c = substitute(condition, values)
            if isinstance(c, Num):
                return substitute(a if c.value else b, values)
            return Select(c, substitute(a, values), substitute(b, values))
    return expr


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}


def _truth(expr: Expr) -> Expr:
    """Comparisons and logic of plain numbers, done."""
    match expr:
        case Unary("!", Num(a)):
            return Num(float(not a))
        case Binary(op, Num(a), Num(b)) if op in _COMPARE:
            return Num(float(_COMPARE[op](a, b)))
        case Binary("&&", Num(a), b) if not a:
            return ZERO
        case Binary("&&", a, Num(b)) if not b:
            return ZERO
        case Binary("||", Num(a), b) if a:
            return ONE
        case Binary("||", a, Num(b)) if b:
            return ONE
        case Binary("&&" | "||", Num(a), Num(b)):
            return Num(float(bool(a) and bool(b)))      # && of two true, || of two false
    return expr


# Constructors that drop zeros, ones and sums of numbers.

def neg(a: Expr) -> Expr:
    """-a"""
    match a:
        case Num(x):
            return Num(-x)
        case Unary("-", x):
            return x
    return Unary("-", a)


def add(a: Expr, b: Expr) -> Expr:
    """a + b"""
    match a, b:
        case Num(x), Num(y):
            return Num(x + y)
        case Num(0.0), _:
            return b
        case _, Num(0.0):
            return a
        case _, Unary("-", y):
            return sub(a, y)
    return Binary("+", a, b)


def sub(a: Expr, b: Expr) -> Expr:
    """a - b"""
    match a, b:
        case Num(x), Num(y):
            return Num(x - y)
        case Num(0.0), _:
            return neg(b)
        case _, Num(0.0):
            return a
        case _, Unary("-", y):
            return add(a, y)
    return ZERO if a == b else Binary("-", a, b)


def mul(a: Expr, b: Expr) -> Expr:
    """a b"""
    match a, b:
        case Num(x), Num(y):
            return Num(x * y)
        case (Num(0.0), _) | (_, Num(0.0)):
            return ZERO
        case Num(1.0), _:
            return b
        case _, Num(1.0):
            return a
        case Num(-1.0), _:
            return neg(b)
        case _, Num(-1.0):
            return neg(a)
        case Unary("-", x), _:
            return neg(mul(x, b))
        case _, Unary("-", y):
            return neg(mul(a, y))
    return Binary("*", a, b)


def div(a: Expr, b: Expr) -> Expr:
    """a/b"""
    match a, b:
        case Num(x), Num(y) if y:
            return Num(x / y)
        case Num(0.0), _:
            return ZERO
        case _, Num(1.0):
            return a
        case _, Num(-1.0):
            return neg(a)
        case Unary("-", x), _:
            return neg(div(x, b))
    return Binary("/", a, b)


def select(condition: Expr, a: Expr, b: Expr) -> Expr:
    """condition ? a : b"""
    return a if a == b else Select(condition, a, b)


def differentiate(expr: Expr, name: str, definitions: Mapping[str, Expr] = NOTHING,
                  known: Mapping[str, Expr] = NOTHING) -> Expr:
    """d(expr)/d(name), through the definitions that depend on ``name``; ``known`` holds derivatives of other names.

    Comparisons, logic, floor, ceil and heav have derivative 0 (they are piecewise constant).
    """
    memo: dict[str, Expr] = {**known, name: ONE}

    def d(e: Expr) -> Expr:
        match e:
            case Num():
                return ZERO
            case Name(n):
                if n not in memo:
                    memo[n] = d(definitions[n]) if n in definitions else ZERO
                return memo[n]
            case Unary(op, a):
                return neg(d(a)) if op == "-" else ZERO
            case Binary("+", a, b):
                return add(d(a), d(b))
            case Binary("-", a, b):
                return sub(d(a), d(b))
            case Binary("*", a, b):
                return add(mul(d(a), b), mul(a, d(b)))
            case Binary("/", a, b):
                db = d(b)
                if db == ZERO:
                    return div(d(a), b)
                return div(sub(d(a), mul(e, db)), b)             # no square of b, which may overflow
            case Binary():
                return ZERO
            case Select(c, a, b):
                return select(c, d(a), d(b))
            case Call(function, args):
                inner = [d(a) for a in args]
                if all(i == ZERO for i in inner):
                    return ZERO
                total: Expr = ZERO
                for outer, i in zip(_partials(function, args, inner), inner, strict=True):
                    total = add(total, mul(outer, i))
                return total
        raise AssertionError(e)

    return d(expr)


def _partials(function: str, args: tuple[Expr, ...], inner: list[Expr]) -> tuple[Expr, ...]:
    """The derivatives of a function by its arguments; one whose ``inner`` is zero may be anything."""
    x = args[0]
    here = Call(function, args)
    square = Call("square", (x,))
    match function:
        case "exp":
            return (here,)
        case "expm1":
            return (Call("exp", (x,)),)
        case "log":
            return (div(ONE, x),)
        case "log10":
            return (div(Num(0.4342944819032518), x),)
        case "log1p":
            return (div(ONE, add(ONE, x)),)
        case "sqrt":
            return (div(Num(0.5), here),)
        case "cbrt":
            return (div(here, mul(Num(3.0), x)),)
        case "sin":
            return (Call("cos", (x,)),)
        case "cos":
            return (neg(Call("sin", (x,))),)
        case "tan":
            return (add(ONE, Call("square", (here,))),)
        case "asin":
            return (div(ONE, Call("sqrt", (sub(ONE, square),))),)
        case "acos":
            return (neg(div(ONE, Call("sqrt", (sub(ONE, square),)))),)
        case "atan":
            return (div(ONE, add(ONE, square)),)
        case "sinh":
            return (Call("cosh", (x,)),)
        case "cosh":
            return (Call("sinh", (x,)),)
        case "tanh":
            return (sub(ONE, Call("square", (here,))),)
        case "floor" | "ceil" | "heav":
            return (ZERO,)
        case "fabs":
            return (Select(Binary("<", x, ZERO), Num(-1.0), ONE),)
        case "square":
            return (mul(Num(2.0), x),)
        case "cube":
            return (mul(Num(3.0), square),)
    y = args[1]
    match function:
        case "pow":
            by_base = mul(y, Call("pow", (x, sub(y, ONE))))
            by_power = ZERO if inner[1] == ZERO else mul(here, Call("log", (x,)))
            return by_base, by_power
        case "atan2":
            norm = add(square, Call("square", (y,)))
            return div(y, norm), neg(div(x, norm))
        case "min":
            return Select(Binary("<=", x, y), ONE, ZERO), Select(Binary("<=", x, y), ZERO, ONE)
        case "max":
            return Select(Binary(">=", x, y), ONE, ZERO), Select(Binary(">=", x, y), ZERO, ONE)
        case "fmod":
            ratio = div(x, y)
            whole = Select(Binary("<", ratio, ZERO), Call("ceil", (ratio,)), Call("floor", (ratio,)))
            return ONE, neg(whole)
    raise AssertionError(function)


def depends(expr: Expr, name: str, definitions: Mapping[str, Expr] = NOTHING) -> bool:
    """Whether the expression depends on ``name``, directly or through definitions."""
    seen: set[str] = set()
    stack = [expr]
    while stack:
        for used in free_names(stack.pop()):
            if used == name:
                return True
            if used in definitions and used not in seen:
                seen.add(used)
                stack.append(definitions[used])
    return False


def affine(rate: Expr, name: str, definitions: Mapping[str, Expr] = NOTHING) -> Expr | None:
    """The slope a where rate = a name + b with a and b free of ``name``, else None.

    Definitions that depend on ``name`` are seen through; others stay by name. Num(0) means the rate is free of
    ``name``. It is the form of the expression that counts: x*x/x is not recognised.
    """
    memo: dict[str, Expr | None] = {name: ONE}

    def slope(e: Expr) -> Expr | None:
        match e:
            case Num():
                return ZERO
            case Name(n):
                if n not in memo:
                    memo[n] = slope(definitions[n]) if n in definitions else ZERO
                return memo[n]
            case Unary("-", a):
                s = slope(a)
                return None if s is None else neg(s)
            case Binary("+" | "-" as op, a, b):
                s, r = slope(a), slope(b)
                if s is None or r is None:
                    return None
                return add(s, r) if op == "+" else sub(s, r)
            case Binary("*", a, b):
                s, r = slope(a), slope(b)
                if s is None or r is None:
                    return None
                if s == ZERO:
                    return mul(a, r)
                return mul(s, b) if r == ZERO else None
            case Binary("/", a, b):
                s = slope(a)
                return div(s, b) if s is not None and slope(b) == ZERO else None
            case Select(c, a, b):
                s, r = slope(a), slope(b)
                return select(c, s, r) if s is not None and r is not None and slope(c) == ZERO else None
            case Unary(_, a):
                return ZERO if slope(a) == ZERO else None
            case Binary(_, a, b):
                return ZERO if slope(a) == ZERO and slope(b) == ZERO else None
            case Call(_, args):
                return ZERO if all(slope(a) == ZERO for a in args) else None
        raise AssertionError(e)

    return slope(rate)
