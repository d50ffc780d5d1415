"""Regions of a neuron by expressions: ``type == "apical" and distance > 100 um``.

An expression is a condition in Python's notation on what is known of a compartment. It is parsed, never evaluated as
Python: comparisons, ``and``, ``or``, ``not``, ``in`` with a list, names, texts, numbers, and lengths with their unit.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import CaseError, UnitError, did_you_mean
from upstroke.mesh.compartments import TAGS
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.tree import Tree
from upstroke.units import parse

FIRST_TAG = 10 ** 6     # of regions by expression; types have small numbers
KINDS = {"type": "text", "section": "text", "population": "text", "distance": "length", "diameter": "length",
         "x": "number"}
ARTICLE = {"text": "a text", "length": "a length", "number": "a number"}
EXAMPLE = """for example 'type == "apical" and distance > 100 um'"""
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: np.equal, ast.NotEq: np.not_equal, ast.Lt: np.less, ast.LtE: np.less_equal, ast.Gt: np.greater,
    ast.GtE: np.greater_equal}

_QUOTED = re.compile(r"""("[^"]*"|'[^']*')""")
_LENGTH = re.compile(r"(?<![\w.])((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-zµμ]+)\b(?!\s*\()")
_WORDS = ("and", "or", "not", "in")


def with_regions(mesh: Mesh, regions: Mapping[str, str]) -> Mesh:
    """The mesh of a neuron with named regions: each segment belongs to the first whose expression holds at the node
    that it leads to, else to its type.

    Raises
    ------
    CaseError for an expression that cannot be read or holds nowhere, and for a name that is a type's
    """
    assert mesh.tree is not None
    known = known_of(mesh.tree)
    tags, names = mesh.region.copy(), dict(mesh.region_names)
    first = max(FIRST_TAG, *(tag + 1 for tag in names.values()))
    node, free = mesh.cells[:, 1], np.ones(mesh.n_cells, bool)
    for k, (name, expression) in enumerate(regions.items()):
        where = f"mesh.regions.{name}"
        if name in TAGS or name in mesh.region_names:
            raise CaseError(where, "is the name of a type already", "give the region another name")
        holds = select(expression, known, where)[node]
        if not holds.any():
            raise CaseError(where, f"{expression!r} holds nowhere on this cell", "`upstroke check` lists what the cell "
                            "has when this region is left out")
        if not (holds & free).any():
            raise CaseError(where, f"wherever {expression!r} holds, an earlier region holds, too",
                            "put the narrower region first")
        tags[holds & free] = names[name] = first + k
        free &= ~holds
    return replace(mesh, region=tags, region_names={name: tag for name, tag in names.items() if (tags == tag).any()})


def known_of(tree: Tree) -> dict[str, NDArray[Any]]:
    """(n,) what expressions may ask of each node."""
    populations = tree.populations
    named = {"population": np.repeat([p.name for p in populations], [p.count * p.n_nodes for p in populations])} \
        if populations[0].name else {}
    return named | {"type": np.array([s.type for s in tree.sections])[tree.section],
                    "section": np.array([s.name for s in tree.sections])[tree.section],
                    "distance": tree.distance, "diameter": tree.diameter, "x": tree.x}


def select(expression: str, known: Mapping[str, NDArray[Any]], where: str) -> NDArray[np.bool_]:
    """(n,) where the expression holds.

    Parameters
    ----------
    known : values by the names in `KINDS`; lengths in cm
    where : the key, for error messages

    Raises
    ------
    CaseError, UnitError
    """
    text = _lengths_as_calls(expression, where).strip()
    try:
        return _Reader(expression, known, where).condition(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CaseError(where, f"cannot read {expression!r}", EXAMPLE) from None


def _lengths_as_calls(expression: str, where: str) -> str:
    """``100 um`` as ``__cm__(0.01)``, outside of texts in quotes."""
    def call(match: re.Match[str]) -> str:
        if match[2] in _WORDS:
            return match[0]
        try:
            return f"__cm__({parse(match[0], 'length')!r})"
        except UnitError as error:
            raise UnitError(where, error.what, error.remedy) from None

    parts = _QUOTED.split(expression)
    return "".join(part if k % 2 else _LENGTH.sub(call, part) for k, part in enumerate(parts))


def _text(node: ast.expr) -> str:
    """A part of an expression as it was written, or nearly so."""
    return re.sub(r"__cm__\((.*?)\)", r"\1 cm", ast.unparse(node))


class _Reader:
    """Evaluates the few nodes of Python's grammar that a condition may have."""

    def __init__(self, expression: str, known: Mapping[str, NDArray[Any]], where: str) -> None:
        self.expression, self.known, self.where = expression, known, where
        self.n = len(known["x"])

    def fail(self, what: str, remedy: str = EXAMPLE) -> CaseError:
        return CaseError(self.where, f"in {self.expression!r} {what}", remedy)

    def condition(self, node: ast.expr) -> NDArray[np.bool_]:
        match node:
            case ast.BoolOp(op=op, values=values):
                combine = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return np.asarray(combine.reduce([self.condition(value) for value in values]))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self.condition(operand)
            case ast.Constant(value=bool(value)):
                return np.full(self.n, value)
            case ast.Compare():
                return self.comparison(node)
        raise self.fail(f"{_text(node)!r} is no condition")

    def comparison(self, node: ast.Compare) -> NDArray[np.bool_]:
        result, left = np.ones(self.n, bool), node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, (ast.In, ast.NotIn)):
                if not isinstance(right, (ast.List, ast.Tuple)):
                    raise self.fail("what follows 'in' is no list", """for example 'type in ["basal", "apical"]'""")
                found = np.zeros(self.n, bool)
                for item in right.elts:
                    found |= self.compare(left, np.equal, item)
                result &= found if isinstance(op, ast.In) else ~found
            elif type(op) in COMPARE:
                result &= self.compare(left, COMPARE[type(op)], right)
            else:
                raise self.fail("there is an operator that conditions do not have", "use == != < <= > >= in, not in")
            left = right
        return result

    def compare(self, left: ast.expr, compare: Callable[[Any, Any], Any], right: ast.expr) -> NDArray[np.bool_]:
        (kind, a), (other, b) = self.value(left), self.value(right)
        if kind != other:
            remedy = "write lengths with their unit: 100 um" if "length" in (kind, other) else EXAMPLE
            raise self.fail(f"{ARTICLE[kind]} is compared with {ARTICLE[other]}", remedy)
        return np.broadcast_to(compare(a, b), (self.n,))

    def value(self, node: ast.expr) -> tuple[str, Any]:
        match node:
            case ast.Name(id=name):
                if name not in self.known:
                    raise self.fail(f"there is no {name!r}", did_you_mean(name, self.known))
                return KINDS[name], self.known[name]
            case ast.Constant(value=str(text)):
                return "text", text
            case ast.Constant(value=int(number) | float(number)):
                return "number", number
            case ast.Call(func=ast.Name(id="__cm__"), args=[ast.Constant(value=float(number))]):
                return "length", number
        raise self.fail(f"{_text(node)!r} is no value that can be compared")
