"""What a step of a model costs: operations of its equations, instructions of its compiled kernel."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from upstroke.codegen.body import Body, lay_out
from upstroke.codegen.kernel import Precision
from upstroke.ionic.model import Model

_PRODUCTS = {"square": 1, "cube": 2, "pow4": 2, "pow5": 3, "pow6": 3, "pow7": 4, "pow8": 3}
_CHEAP = ("select", "min", "max", "fabs", "floor", "ceil", "heav", "nonfinite", "finite")


def operations(model: Model, precision: Precision) -> dict[str, int]:
    """Operations of one node's step, as the generated statements have them: before a compiler merges what is common.

    "+ - *" counts sums and products, "/" divisions; each function (exp, log, ...) is counted by its name.
    """
    statements = " ".join(Body(model, lay_out(model, precision, (), ())).advance().step)
    text = re.sub(r"/\*.*?\*/", "", statements)
    functions = Counter(re.findall(r"\bup_(\w+)\(", text))
    sums = len(re.findall(r" [-+*] ", text)) + sum(functions[name] * n for name, n in _PRODUCTS.items())
    named = {name: n for name, n in sorted(functions.items()) if name not in (*_PRODUCTS, *_CHEAP, "div")}
    return {"+ - *": sums, "/": functions["div"]} | named


@dataclass(frozen=True)
class Instructions:
    """Floating-point instructions of a kernel, after the compiler's work and before its assembler's."""

    fp64: int
    fp32: int
    special: int        # reciprocals, roots, powers of two: the special function unit's
    flop: int           # a multiply-add is two


def instructions(ptx: str, kernel: str) -> Instructions:
    """Count the floating-point instructions of one entry of a PTX text; a loop's body counts once."""
    start = ptx.index(f".entry {kernel}(")
    text = ptx[start:ptx.index("\n}", start)]
    words = re.findall(r"^\s+(?:@!?%p\d+\s+)?([a-z]\w*)\S*\.f(32|64)\b", text, re.M)
    counts = Counter(words)

    def total(width: str, names: tuple[str, ...]) -> int:
        return sum(counts[name, width] for name in names)

    arithmetic = ("fma", "add", "sub", "mul", "setp")
    special = ("rcp", "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh")
    flop = sum(total(width, ("fma", "fma", "add", "sub", "mul")) for width in ("32", "64"))
    return Instructions(total("64", arithmetic), total("32", arithmetic),
                        total("32", special) + total("64", special), flop)
