"""The schema in words: what a type accepts, and an example of it, for messages and for the reference page."""

from __future__ import annotations

import types
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from upstroke.case.schema import Count, FileIfSuffix, Quantity
from upstroke.case.toml import write_value
from upstroke.errors import did_you_mean
from upstroke.units import KINDS, format_quantity


@cache
def keys(table: type) -> dict[str, Field[Any]]:
    """The keys of a table."""
    return {f.name: f for f in fields(table) if "doc" in f.metadata}


@cache
def hints(table: type) -> dict[str, Any]:
    """The types of a table's keys."""
    return get_type_hints(table, include_extras=True)


def members(type_: Any) -> tuple[Any, ...]:
    """The alternatives of a union, without None; a type by itself is its own only one."""
    if get_origin(type_) in (Union, types.UnionType):
        return tuple(t for t in get_args(type_) if t is not type(None))
    return (type_,)


def unwrap(type_: Any) -> tuple[Any, Any]:
    """An annotated type and its mark (``Quantity``, ``Count``, ``FileIfSuffix``), or the type and None."""
    return get_args(type_)[:2] if get_origin(type_) is Annotated else (type_, None)


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean 'dt'?`` where a known name is near, else nothing: for messages that list the names themselves."""
    hint = did_you_mean(word, known)
    return hint if hint.startswith("did") else ""


def is_table(type_: Any) -> bool:
    """Whether a type is one of the schema's tables."""
    return isinstance(type_, type) and is_dataclass(type_)


def is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def default_of(field: Field[Any]) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default


def describe(type_: Any) -> str:
    """What a type accepts: ``a length with its unit``, ``an array of 3 numbers`` ..."""
    alternatives = members(type_)
    if len(alternatives) > 1:
        if all(map(is_table, alternatives)):
            return "a table"
        arrays_last = sorted(alternatives, key=lambda t: get_origin(unwrap(t)[0]) in (tuple, dict))
        return " or ".join(dict.fromkeys(map(describe, arrays_last)))
    base, mark = unwrap(alternatives[0])
    if isinstance(mark, Quantity):
        return f"{KINDS[mark.kind].name} with its unit"
    if isinstance(mark, FileIfSuffix):
        suffixes = (mark.suffix,) if isinstance(mark.suffix, str) else mark.suffix
        return f"a text, or the path of a {' or '.join(suffixes)} file"
    if get_origin(base) is Literal:
        words = [write_value(w) for w in get_args(base)]
        return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
    if get_origin(base) is tuple:
        item, *more = get_args(base)
        if is_table(item):
            return "an array of tables" if mark is None else "one or more tables"
        size = "" if more == [...] else f" of {len(more) + 1}"
        if isinstance(mark, Count):
            size = f" of {mark.low} to {mark.high}" if mark.high else f" of at least {mark.low}"
        return f"an array{size}, each {describe(item)}"
    if get_origin(base) is dict:
        return f"a table of names, each {describe(get_args(base)[1])}"
    if is_table(base):
        return "a table"
    return {float: "a number", int: "a whole number", bool: "true or false", str: "a text",
            Path: "the path of a file"}[base]


def example_of(field: Field[Any], type_: Any) -> str:
    """An accepted value as TOML text: the schema's example, else the default, else one made from the type."""
    if field.metadata["example"]:
        return str(field.metadata["example"])
    if not is_required(field) and default_of(field) is not None and not is_dataclass(default_of(field)):
        return write_value(plain(default_of(field), type_))
    base, mark = unwrap(members(type_)[0])
    if isinstance(mark, Quantity):
        return write_value(KINDS[mark.kind].example)
    if get_origin(base) is Literal:
        return write_value(get_args(base)[0])
    if get_origin(base) is tuple and get_args(base)[0] is float:
        return "[0, 1, 0]"
    return {str: '"name"', int: "1", float: "1.0", bool: "true"}.get(base, "")


def plain(value: Any, type_: Any) -> Any:
    """A value of a case as TOML has it: quantities as text with their unit, tables as dictionaries without None."""
    if is_dataclass(value) and not isinstance(value, type):
        types_ = hints(type(value))
        pairs = ((name, getattr(value, name)) for name in keys(type(value)))
        return {name: plain(item, types_[name]) for name, item in pairs if item is not None}
    for alternative in members(type_):
        base, mark = unwrap(alternative)
        if isinstance(mark, Quantity) and isinstance(value, float):
            return format_quantity(value, mark.kind)
        if get_origin(base) is tuple and isinstance(value, tuple):
            item = get_args(base)[0]
            return [plain(v, item) for v in value]
        if get_origin(base) is dict and isinstance(value, dict):
            return {k: plain(v, get_args(base)[1]) for k, v in value.items()}
    return str(value) if isinstance(value, Path) else value
