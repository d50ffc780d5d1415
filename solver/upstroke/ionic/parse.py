"""EasyML text -> syntax tree. Every node that can be wrong in its meaning carries its place in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import lark

from upstroke.errors import ModelError, Place, UpstrokeError, did_you_mean
from upstroke.ionic.expr import FUNCTIONS, Binary, Call, Expr, Name, Num, Select, Unary

#: Other spellings of functions.
SYNONYMS = {"abs": "fabs", "fmin": "min", "fmax": "max"}

#: How deep operations may stand inside each other: what follows walks expressions recursively.
DEPTH = 200


@dataclass(frozen=True)
class Value:
    """An expression as it stands in the text, with the place of the first use of each name."""

    expr: Expr
    uses: dict[str, Place]
    place: Place


@dataclass(frozen=True)
class Markup:
    """``.name(arguments)``."""

    name: str
    arguments: tuple[Value, ...]
    place: Place


@dataclass(frozen=True)
class Assign:
    """``name op value;`` with op one of = += -= *= /=."""

    name: str
    op: str
    value: Value
    place: Place
    markups: tuple[Markup, ...] = ()


@dataclass(frozen=True)
class Declare:
    """``name;``."""

    name: str
    place: Place
    markups: tuple[Markup, ...] = ()


@dataclass(frozen=True)
class Group:
    """``group { ... }``; its markups hold for every name in it."""

    body: tuple[Statement, ...]
    place: Place
    markups: tuple[Markup, ...] = ()


@dataclass(frozen=True)
class Branch:
    """One arm of an ``if``; the ``else`` has no condition."""

    condition: Value | None
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class If:
    """``if (c) {...} elif (c) {...} else {...}``; its markups hold for every name assigned in it."""

    branches: tuple[Branch, ...]
    place: Place
    markups: tuple[Markup, ...] = ()


@dataclass(frozen=True)
class When:
    """``when (c) {...}``: an event at the end of a step."""

    condition: Value
    body: tuple[Statement, ...]
    place: Place
    markups: tuple[Markup, ...] = ()


Statement = Assign | Declare | Group | If | When


@dataclass(frozen=True)
class Program:
    """A whole model file: its statements, and the mistakes found so far that do not stop reading."""

    file: str
    text: str
    statements: tuple[Statement, ...]
    errors: tuple[UpstrokeError, ...]


def parse(text: str, file: str) -> Program:
    """Read the model text of ``file``.

    Raises ModelError at the first place where the text is no EasyML. Unknown functions, wrong numbers of arguments and
    the like are kept in ``Program.errors``, so that they are reported together with the mistakes in meaning.
    """
    source = _Source(file, text.split("\n"))
    try:
        tree = _parser().parse(text)
    except lark.exceptions.UnexpectedInput as error:
        raise _syntax_error(error, text, source) from None
    builder = _Builder(source)
    try:
        statements: tuple[Statement, ...] = builder.transform(tree)
    except lark.exceptions.VisitError as error:
        raise error.orig_exc from None
    return Program(file, text, statements, tuple(builder.errors))


@cache
def _parser() -> lark.Lark:
    grammar = Path(__file__).with_name("easyml.lark").read_text(encoding="utf-8")
    return lark.Lark(grammar, parser="lalr", maybe_placeholders=False)


@dataclass(frozen=True)
class _Source:
    file: str
    lines: Sequence[str]

    def at(self, line: int, column: int) -> Place:
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Place(self.file, line, column, text)

    def of(self, token: lark.Token) -> Place:
        return self.at(token.line or 0, token.column or 0)

    def end_of(self, token: lark.Token) -> Place:
        return self.at(token.end_line or 0, token.end_column or 0)


@dataclass
class _Marks:
    """Markups that stand alone: they belong to the statement before them."""

    markups: tuple[Markup, ...]


class _Builder(lark.visitors.Transformer_NonRecursive):
    """Builds the tree bottom-up, that is in the order of the text: names are noted as they pass and taken by the
    expression that ends next."""

    def __init__(self, source: _Source) -> None:
        super().__init__(visit_tokens=False)
        self.source = source
        self.errors: list[UpstrokeError] = []
        self.uses: dict[str, Place] = {}
        self.powers: list[Place] = []
        self.first: Place | None = None

    # Expressions

    def _see(self, token: lark.Token) -> Place:
        place = self.source.of(token)
        if self.first is None or (place.line, place.column) < (self.first.line, self.first.column):
            self.first = place                                      # a sign is seen after what it stands before
        return place

    def _value(self, expr: Expr) -> Value:
        value = Value(expr, self.uses, self.first or Place(self.source.file))
        if _depth(expr) > DEPTH:
            raise ModelError(value.place, f"more than {DEPTH} operations stand inside each other",
                             "name parts of the expression")
        self.uses, self.powers, self.first = {}, [], None
        return value

    def value(self, children: list) -> Value:
        self.errors += [
            ModelError(place, "'^' is no operator of the language", "write pow(a, b), square(a) or cube(a)")
            for place in self.powers
        ]
        return self._value(children[0])

    def argument(self, children: list) -> Value:
        return self._value(children[0])     # '^' is meant in .units(cm^2)

    def number(self, children: list) -> Num:
        token = children[0]
        place, text = self._see(token), str(token)
        hexadecimal = text[:2].lower() == "0x"
        digits = text.rstrip("uUlL" if hexadecimal else "fFlLuU")
        if digits.isdigit() and len(digits) > 1 and digits[0] == "0":
            self.errors.append(ModelError(place, f"{digits} is an octal number in C and a decimal one elsewhere",
                                          f"write {digits.lstrip('0') or '0'}"))
        try:
            value = float.fromhex(digits) if hexadecimal else float(digits)
        except OverflowError:
            value = float("inf")
        if value == float("inf"):
            self.errors.append(ModelError(place, f"{digits} is too large for a number", "the largest is 1.797e308"))
        return Num(value)

    def name(self, children: list) -> Name:
        name = str(children[0])
        self.uses.setdefault(name, self._see(children[0]))
        return Name(name)

    def call(self, children: list) -> Expr:
        token, *arguments = children
        place, name = self._see(token), SYNONYMS.get(str(token), str(token))
        if name not in FUNCTIONS:
            remedy = did_you_mean(str(token), [*FUNCTIONS, *SYNONYMS])
            self.errors.append(ModelError(place, f"unknown function '{token}'", remedy))
        elif len(arguments) != FUNCTIONS[name]:
            wanted = FUNCTIONS[name]
            self.errors.append(ModelError(
                place, f"{token}() takes {wanted} argument{'s' * (wanted > 1)}, not {len(arguments)}",
                f"write {token}({', '.join('ab'[:wanted])})"))
        return Call(name, tuple(arguments))

    def unary(self, children: list) -> Expr:
        op, a = children
        self._see(op)
        if op == "+":
            return a
        return Num(-a.value) if op == "-" and isinstance(a, Num) else Unary(str(op), a)

    def binary(self, children: list) -> Binary:
        a, op, b = children
        return Binary({"or": "||", "and": "&&"}.get(str(op), str(op)), a, b)

    def power(self, children: list) -> Binary:
        a, op, b = children
        self.powers.append(self.source.of(op))
        return Binary("^", a, b)

    def select(self, children: list) -> Select:
        return Select(*children)

    # Statements

    def markup(self, children: list) -> Markup:
        token, *arguments = children
        return Markup(str(token), tuple(arguments), self.source.of(token))

    def marks(self, children: list) -> _Marks:
        return _Marks(tuple(children))

    def assign(self, children: list) -> Assign:
        name, op, value, *markups = children
        return Assign(str(name), str(op), value, self.source.of(name), tuple(markups))

    def declare(self, children: list) -> Declare:
        name, *markups = children
        return Declare(str(name), self.source.of(name), tuple(markups))

    def empty(self, children: list) -> None:
        return None

    def group(self, children: list) -> Group:
        token, body = children
        return Group(body, self.source.of(token))

    def if_(self, children: list) -> If:
        token, condition, body, *rest = children
        return If((Branch(condition, body), *rest), self.source.of(token))

    def elif_(self, children: list) -> Branch:
        *_, condition, body = children
        return Branch(condition, body)

    def else_(self, children: list) -> Branch:
        return Branch(None, children[-1])

    def when(self, children: list) -> When:
        token, condition, body = children
        return When(condition, body, self.source.of(token))

    def block(self, children: list) -> tuple[Statement, ...]:
        body: list[Statement] = []
        for child in children:
            if isinstance(child, _Marks) and body:
                body[-1] = replace(body[-1], markups=body[-1].markups + child.markups)
            elif isinstance(child, _Marks):
                first = child.markups[0]
                self.errors.append(ModelError(first.place, f".{first.name}() belongs to the statement before it, "
                                              "but there is none", f"write NAME; .{first.name}(...);"))
            elif child is not None:
                body.append(child)
        return tuple(body)

    start = block


def _depth(expr: Expr) -> int:
    """How many nodes stand inside each other."""
    deepest, stack = 0, [(expr, 1)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        match node:
            case Unary(_, a):
                stack.append((a, depth + 1))
            case Binary(_, a, b):
                stack += [(a, depth + 1), (b, depth + 1)]
            case Call(_, args):
                stack += [(a, depth + 1) for a in args]
            case Select(c, a, b):
                stack += [(c, depth + 1), (a, depth + 1), (b, depth + 1)]
    return deepest


def _syntax_error(error: lark.exceptions.UnexpectedInput, text: str, source: _Source) -> ModelError:
    """The parser's complaint in the words of the language."""
    if isinstance(error, lark.exceptions.UnexpectedCharacters):
        place, character = source.at(error.line, error.column), text[error.pos_in_stream or 0]
        doubled = {"&": "write && or and", "|": "write || or or", "%": "write fmod(a, b)"}
        known = "names, numbers, + - * / < > = ! & | ? : ( ) { } . , and comments"
        remedy = doubled.get(character, f"the language has {known}")
        return ModelError(place, f"unexpected character {character!r}", remedy)
    assert isinstance(error, lark.exceptions.UnexpectedToken)
    token, before, accepts = error.token, _token_before(error), error.accepts or error.expected
    ended = token.type == "$END"                                    # stands where the last token stands
    place = Place(source.file, max(len(source.lines), 1)) if ended else source.of(token)
    found = "the file ends" if ended else f"'{token}'"

    if token == "/" and text.startswith("/*", token.start_pos or 0):
        return ModelError(place, "the comment that starts here never ends", "close it with */")
    if before in ("else", "elif") and "SEMICOLON" in accepts:
        return ModelError(source.of(before), f"'{before}' without an if before it", "write if (...) { ... } first")
    if before is not None and before.type == "ASSIGN" and token == ";":
        return ModelError(place, "the right-hand side is empty", "give it a value, or delete the statement")
    if token == "=" and "EQUAL" in accepts:
        return ModelError(place, "'=' inside an expression", "compare with ==, assign with NAME = value;")
    if "SEMICOLON" in accepts and "NAME" not in accepts:            # after a whole value
        if token == ")":
            return ModelError(place, "')' closes nothing", "delete it, or open a bracket before")
        if token.type in ("$END", "RBRACE", "NAME", "IF", "GROUP", "DOT"):
            end = source.end_of(token if ended or before is None else before)
            return ModelError(end, "missing ';' at the end of the statement", "add ';'")
        return ModelError(place, f"{found} does not fit here", "an operator or ';' is missing before it")
    if ended and "RBRACE" in accepts:
        return ModelError(place, "the file ends inside a block", "close it with '}'")
    if token == "}" and "NUMBER" not in accepts:
        return ModelError(place, "'}' closes nothing", "delete it, or open a block with group { or if (...) {")
    if "COLON" in accepts:
        return ModelError(place, f"{found} where ':' is missing", "write condition ? a : b")
    if "RPAR" in accepts and "NUMBER" not in accepts:
        return ModelError(place, f"{found} where ')' is missing", "close the bracket")
    if "NUMBER" in accepts:
        after = f" after '{before}'" if before is not None else ""
        return ModelError(place, f"{found}{after}, where a value should stand",
                          "give a number, a name or an expression")
    if "LBRACE" in accepts:
        return ModelError(place, f"{found} where '{{' should stand", "what depends on a condition is a block: { ... }")
    if ended:
        return ModelError(place, "the file ends in the middle of a statement", "finish it, with ';' at its end")
    return ModelError(place, f"{found} does not fit here",
                      "statements are NAME = value; NAME; .markup(); group { } if ( ) { } when ( ) { }")


def _token_before(error: lark.exceptions.UnexpectedToken) -> lark.Token | None:
    """The last token read before the offending one."""
    history = getattr(error, "token_history", None)
    return history[-1] if history else None
