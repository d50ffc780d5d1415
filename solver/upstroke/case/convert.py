"""From the tree of values to the schema's dataclasses, collecting every mistake on the way."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Iterable
from dataclasses import Field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from upstroke.case.rules import RULES
from upstroke.case.schema import Case, Count, FileIfSuffix, Quantity
from upstroke.case.source import Node, nearby
from upstroke.case.toml import KeyPath, write_key, write_value
from upstroke.case.words import (
    default_of,
    describe,
    example_of,
    hints,
    is_required,
    is_table,
    keys,
    members,
    nearest,
    unwrap,
)
from upstroke.errors import CaseError, UnitError, UpstrokeError, did_you_mean
from upstroke.units import parse

_WRONG: Any = object()   # stands for a value that a mistake was reported for


_COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def convert(root: Node, type_: type = Case) -> tuple[Any, list[UpstrokeError]]:
    """The case (or another file's dataclass) that a tree describes, and the mistakes in it; with mistakes it is not to
    be used."""
    converter = _Converter(type_)
    case = converter.table(root, type_, ())
    return case, converter.errors


class _Converter:
    def __init__(self, root: type) -> None:
        self.root = root
        self.errors: list[UpstrokeError] = []

    def fail(self, node: Node, path: KeyPath, what: str, remedy: str = "", error: type[CaseError] = CaseError) -> Any:
        name = write_key(path)
        self.errors.append(error(node.place, f"{name}: {what}" if name else what, remedy))
        return _WRONG

    # ------------------------------------------------------------------------------------------ tables
    def table(self, node: Node, type_: type, path: KeyPath, siblings: Iterable[type] = ()) -> Any:
        """A dataclass from a table; ``siblings`` are the classes that another ``kind`` would have chosen."""
        known, types_ = keys(type_), hints(type_)
        meant = {self.unknown(child, (*path, name), type_, siblings)
                 for name, child in node.value.items() if name not in known}
        values = {}
        for name, field in known.items():
            if name in node.value:
                values[name] = self.value(node.value[name], types_[name], (*path, name), field)
            elif is_required(field):   # where it was misspelt, that has been reported
                values[name] = _WRONG if name in meant else self.missing(node, (*path, name), field, types_[name])
            else:                      # [tisue] is misspelt, not missing
                values[name] = _WRONG if name in meant and not path else default_of(field)
        for rule in RULES:
            if type_ in rule.tables and all(values[name] is not _WRONG for name in rule.keys):
                for mistake in rule.check(*(values[name] for name in rule.keys)):
                    self.fail(node.at(mistake.key), (*path, *mistake.key), mistake.what, mistake.remedy)
        return _WRONG if any(value is _WRONG for value in values.values()) else type_(**values)

    def kind_of_table(self, node: Node, types_: tuple[type, ...], path: KeyPath) -> Any:
        """One of several dataclasses, chosen by ``kind``."""
        by_kind = {get_args(hints(t)["kind"])[0]: t for t in types_}
        words = ", ".join(f'"{k}"' for k in by_kind)
        if "kind" not in node.value:
            return self.fail(node, (*path, "kind"), "missing", f'add kind, one of {words}')
        kind = node.value["kind"]
        if not isinstance(kind.value, str) or kind.value not in by_kind:
            return self.fail(kind, (*path, "kind"), f"expected one of {words}, found {_shown(kind)}",
                             nearest(str(kind.value), by_kind))
        type_ = by_kind[kind.value]
        return self.table(node, type_, path, [t for t in types_ if t is not type_])

    def unknown(self, node: Node, path: KeyPath, type_: type, siblings: Iterable[type]) -> str | None:
        """Reports a key that the table lacks; returns the key that was probably meant."""
        name = str(path[-1])
        what = "unknown table" if isinstance(node.value, dict) else "unknown key"
        for new, field in keys(type_).items():
            if name == field.metadata["was"]:
                self.fail(node, path, what, f"{name} is called {new} now")
                return new
        near = nearest(name, keys(type_))
        if near:
            self.fail(node, path, what, near)
            return near.removeprefix("did you mean '").removesuffix("'?")
        kinds = [get_args(hints(other)["kind"])[0] for other in siblings if name in keys(other)]
        homes = sorted(_homes(name, self.root, ()))
        self.fail(node, path, what, f'it belongs to kind "{kinds[0]}"' if kinds else
                  f"it belongs in {' or '.join(homes)}" if homes else did_you_mean(name, keys(type_)))
        return None

    def missing(self, node: Node, path: KeyPath, field: Field[Any], type_: Any) -> Any:
        name, where = str(path[-1]), write_key(path[:-1])
        type_ = unwrap(type_)[0]
        if get_origin(type_) is tuple and is_table(get_args(type_)[0]):
            type_ = get_args(type_)[0]
        options = members(type_)
        if not is_table(options[0]):
            return self.fail(node, path, "missing", f"add it {f'to [{where}]' if where else 'at the top'}: "
                             f"{name} = {example_of(field, type_)}")
        needs = [k for k, f in keys(options[0]).items() if is_required(f)] if len(options) == 1 else ["kind"]
        return self.fail(node, path, "missing",
                         f"add a table [{write_key(path)}]" + (f" with {' and '.join(needs)}" if needs else ""))

    # ------------------------------------------------------------------------------------------ values
    def value(self, node: Node, type_: Any, path: KeyPath, field: Field[Any]) -> Any:
        """A value of any type of the schema."""
        options = members(type_)
        tables = tuple(option for option in options if is_table(option))
        if tables and isinstance(node.value, dict):
            if len(tables) > 1:
                return self.kind_of_table(node, tables, path)
            return self.table(node, tables[0], path)
        for option in options:
            base, mark = unwrap(option)
            if not _fits(node.value, base, mark):
                continue
            if isinstance(mark, Quantity):
                return self.quantity(node, mark.kind, path, field)
            if get_origin(base) is tuple:
                return self.array(node, base, mark, path, field)
            if get_origin(base) is dict:
                item = get_args(base)[1]
                table = {k: self.value(v, item, (*path, k), field) for k, v in node.value.items()}
                return _WRONG if any(v is _WRONG for v in table.values()) else table
            if get_origin(base) is Literal:
                if node.value in get_args(base):
                    return node.value
                hints = (hint for word, hint in field.metadata["others"].items() if node.value.lower().startswith(word))
                return self.fail(node, path, f"expected {describe(type_)}, found {_shown(node)}",
                                 next(hints, nearest(node.value, map(str, get_args(base))))
                                 or _example(path, field, type_))
            if base is Path or (isinstance(mark, FileIfSuffix) and node.value.endswith(mark.suffix)):
                file = self.file(node, path)
                return file if base is Path or file is _WRONG else str(file)
            if base in (int, float):
                return self.number(node, base, path, field)
            return node.value
        return self.fail(node, path, f"expected {describe(type_)}, found {_shown(node)}", _example(path, field, type_))

    def quantity(self, node: Node, kind: str, path: KeyPath, field: Field[Any]) -> Any:
        try:
            value = parse(node.value, kind)
        except UnitError as error:
            return self.fail(node, path, error.what, error.remedy, UnitError)
        return self.bounded(node, value, path, field)

    def number(self, node: Node, base: type, path: KeyPath, field: Field[Any]) -> Any:
        try:
            value = base(node.value)
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        if not finite:
            return self.fail(node, path, f"expected a finite number, found {_shown(node)}")
        return self.bounded(node, value, path, field)

    def bounded(self, node: Node, value: float, path: KeyPath, field: Field[Any]) -> Any:
        must = field.metadata["must"]
        for bound in must.split(" and ") if must else ():
            sign, limit = bound.split()
            if not _COMPARE[sign](value, float(limit)):
                return self.fail(node, path, f"must be {must}, found {_shown(node)}",
                                 _example(path, field, None))
        return value

    def array(self, node: Node, base: Any, mark: Any, path: KeyPath, field: Field[Any]) -> Any:
        item, *more = get_args(base)
        if is_table(item) and isinstance(node.value, dict):
            one = self.value(node, item, path, field)
            return one if one is _WRONG else (one,)
        low, high = (0, 0) if more == [...] else (len(more) + 1,) * 2
        if isinstance(mark, Count):
            low, high = mark.low, mark.high
        size = len(node.value)
        values = tuple(self.value(v, item, (*path, i), field) for i, v in enumerate(node.value))
        if size < low or (high and size > high):
            wanted = f"{low}" if low == high else f"{low} to {high}" if high else f"at least {low}"
            return self.fail(node, path, f"expected {wanted} value{'s' * (wanted != '1')}, found {size}",
                             _example(path, field, base))
        return _WRONG if any(v is _WRONG for v in values) else values

    def file(self, node: Node, path: KeyPath) -> Any:
        """An existing file; relative to the folder of the case file that names it."""
        if "\0" in str(node.value):
            return self.fail(node, path, f"{_shown(node)} is no file name")
        file = Path(os.path.abspath(node.folder / os.path.expanduser(node.value)))
        if os.path.isfile(file):
            return file
        if os.path.isdir(file):
            return self.fail(node, path, f"{_shown(node)} is a folder, expected a file")
        return self.fail(node, path, f"there is no file {_shown(node)}", nearest(file.name, nearby(file, file.suffix))
                         or "relative paths start from the folder of the case file")


def _fits(value: Any, base: Any, mark: Any) -> bool:
    """Whether a value has the form (text, number, array, table) that a type starts from."""
    if isinstance(mark, Quantity):   # a number without its unit has a message of its own
        return isinstance(value, (str, numbers.Real)) and not isinstance(value, bool)
    if get_origin(base) is tuple:
        return isinstance(value, (list, dict) if is_table(get_args(base)[0]) else list)
    if get_origin(base) is dict:
        return isinstance(value, dict)
    if get_origin(base) is Literal or base is str:
        return isinstance(value, str)
    if base is Path:
        return isinstance(value, (str, Path))
    if base is bool:
        return isinstance(value, bool)
    number = {int: numbers.Integral, float: numbers.Real}.get(base)
    return number is not None and isinstance(value, number) and not isinstance(value, bool)


def _shown(node: Node) -> str:
    """A value as messages show it: as TOML, shortened."""
    text = write_value(_raw(node))
    return text if len(text) <= 60 else text[:57] + "..."


def _raw(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {k: _raw(v) for k, v in node.value.items()}
    return [_raw(v) for v in node.value] if isinstance(node.value, list) else node.value


def _example(path: KeyPath, field: Field[Any], type_: Any) -> str:
    name = next((p for p in reversed(path) if p == field.name), path[-1])
    example = example_of(field, type_)
    return f"for example {name} = {example}" if example else ""


def _homes(name: str, table: type, path: tuple[str, ...]) -> set[str]:
    """The tables in which ``name`` is a key."""
    found = set()
    for key, type_ in hints(table).items():
        if key not in keys(table):
            continue
        if key == name and path:
            found.add(f"[{'.'.join(path)}]")
        for option in members(unwrap(type_)[0]):
            base = unwrap(option)[0]
            inner = get_args(base)[0] if get_origin(base) is tuple else base
            if is_table(inner):
                found |= _homes(name, inner, (*path, key))
    return found
