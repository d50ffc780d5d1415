"""The reference page of the case file, written from the schema.

    python -m upstroke.case.reference > docs/case_reference.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import Field
from inspect import cleandoc
from typing import Any, get_args, get_origin

from upstroke.case.schema import Case, Quantity
from upstroke.case.toml import write_value
from upstroke.case.words import (
    default_of,
    describe,
    example_of,
    hints,
    is_required,
    is_table,
    keys,
    members,
    plain,
    unwrap,
)
from upstroke.units import KINDS

NAME = "NAME"       # stands for a key that the user chooses

INTRODUCTION = """\
# The case file

<!-- Written by `python -m upstroke.case.reference`; do not edit. -->

A case file says what to compute. It is [TOML](https://toml.io): tables in brackets, `key = value` below them.

* **Quantities are text with a unit**: `dt = "0.02 ms"`, `surface_to_volume = "140 /mm"`. Any unit of the right kind
  is accepted. A number without a unit is an error.
* **Nothing is ignored.** An unknown key, word or table is an error with the nearest known name. All mistakes of a
  file are reported together, each with its line.
* **Several files** may be given: `upstroke run base.toml fine.toml`. Later ones win: tables merge key by key, arrays
  are replaced as a whole, and so is a table of another `kind`. A folder stands for the `case.toml` in it.
* **`--set KEY=VALUE`** changes single keys, after all files: `--set time.dt="0.01 ms"`,
  `--set stimulus.0.start="5 ms"` (elements of arrays are counted from 0).
* **Paths** of files are relative to the case file that names them (with `--set`: to the current folder).
* An array of tables with one element may be written as a plain table: `[stimulus]` for `[[stimulus]]`.
* `upstroke check CASE` checks a case without running it and prints every key with its value.

In the tables below, *required* keys have no default; *not set* means that the key may be left out.
"""

EXAMPLE = """\
title = "A slab, paced twice"

[mesh]
kind = "slab"
size = ["20 mm", "7 mm", "3 mm"]
dx = "0.5 mm"
fibre = [1, 0, 0]

[tissue]
surface_to_volume = "140 /mm"
capacitance = "1 uF/cm^2"
waves = "calibrated"

[tissue.conductivity]                   # along and across the fibres
intracellular = ["0.17 S/m", "0.019 S/m"]
extracellular = ["0.62 S/m", "0.24 S/m"]

[membrane]
model = "tenTusscherPanfilov"
flags = ["EPI"]
parameters = { GNa = "-62%" }
initial = { V = -85.23 }

[time]
end = "600 ms"
dt = "0.05 ms"
splitting = "strang"
diffusion = "crank_nicolson"

[[stimulus]]
name = "corner"
box = { min = ["0 mm", "0 mm", "0 mm"], max = ["1.5 mm", "1.5 mm", "1.5 mm"] }
current = "35.7 uA/cm^2"
duration = "2 ms"
period = "300 ms"
count = 2

[watch.activation]
threshold = "0 mV"

[watch.probes]
points = { near = ["0 mm", "0 mm", "0 mm"], far = ["20 mm", "7 mm", "3 mm"] }
every = "0.1 ms"
variables = ["V", "Iion"]

[watch.snapshots]
every = "5 ms"

[backend]
precision = "fp64"
threads = 0
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *_sections(Case, (), set()), "## Kinds of quantities\n", *_kinds(),
                      "\n## A complete case\n", f"```toml\n{EXAMPLE}```\n"])


def _sections(table: type, path: tuple[str, ...], told: set[type]) -> Iterator[str]:
    """A section for a table, then one for each table below it that has not been told."""
    told.add(table)
    heading = f"`{_header(path)}`" if path else "Top of the file"
    if "kind" in keys(table) and len(kinds := get_args(hints(table)["kind"])) == 1:
        heading += f' with `kind = "{kinds[0]}"`'
    yield f"## {heading}\n\n{cleandoc(table.__doc__ or '').replace('``', '`')}\n"
    yield "| key | accepts | default | meaning | example |\n|---|---|---|---|---|"
    for name, field in keys(table).items():
        yield _row(name, field, hints(table)[name])
    yield ""
    for name in keys(table):
        for inner in _tables(hints(table)[name]):
            if inner not in told:
                yield from _sections(inner, (*path, name), told)
        for inner in _named_tables(hints(table)[name]):
            if inner not in told:
                yield from _sections(inner, (*path, name, NAME), told)


def _header(path: tuple[str, ...]) -> str:
    """A table's header, with double brackets for an array of tables; one that may be several is always shown so."""
    type_: Any = Case
    if path[-1] == NAME:
        return f"[{'.'.join(path)}]"
    for name in path:
        type_ = unwrap(next(hints(table)[name] for table in _tables(type_) if name in hints(table)))[0]
    name = ".".join(path)
    return f"[[{name}]]" if get_origin(type_) is tuple else f"[{name}]"


def _row(name: str, field: Field[Any], type_: Any) -> str:
    must = field.metadata["must"]
    accepts = describe(type_) + (f", {must}" if must else "")
    inner = _tables(type_)
    if inner:
        accepts += ", see below"
    value = None if is_required(field) else default_of(field)
    if is_required(field):
        default = "*required*"
    elif value is None:
        default = "*not set*"
    elif inner and value != ():
        default = "see below"
    else:
        default = f"`{write_value(plain(value, type_))}`"
    example = "" if inner or name == "kind" else f"`{name} = {example_of(field, type_)}`"
    cells = [f"`{name}`", accepts, default, field.metadata["doc"], example]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _tables(type_: Any) -> list[type]:
    """The tables that a type may hold."""
    bases = [unwrap(t)[0] for t in members(unwrap(type_)[0])]
    return [t for t in (get_args(b)[0] if get_origin(b) is tuple else b for b in bases) if is_table(t)]


def _named_tables(type_: Any) -> list[type]:
    """The tables that the values of a table of names may be."""
    return [table for t in members(type_) if get_origin(t) is dict for table in _tables(get_args(t)[1])]


def _kinds() -> Iterator[str]:
    yield "| kind | computed in | usual units | example |\n|---|---|---|---|"
    used = {mark.kind for mark in _marks(Case)}
    for name, kind in KINDS.items():
        if name in used:
            yield f"| {kind.name} | {kind.unit} | {', '.join(kind.units)} | `\"{kind.example}\"` |"


def _marks(type_: Any) -> Iterator[Quantity]:
    """Every mark of a quantity in a type and below it."""
    base, mark = unwrap(type_)
    if isinstance(mark, Quantity):
        yield mark
    inner = hints(base).values() if is_table(base) else get_args(base) if get_origin(base) else ()
    for part in inner:
        yield from _marks(part)


if __name__ == "__main__":
    sys.stdout.write(page())
