import tomllib
from collections.abc import Iterator
from dataclasses import Field
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from upstroke.case import load_case, resolved
from upstroke.case.convert import _Converter
from upstroke.case.reference import EXAMPLE, page
from upstroke.case.schema import Case
from upstroke.case.source import read
from upstroke.case.words import example_of, hints, is_table, keys, members, unwrap

PAGE = Path(__file__).parents[2] / "docs" / "case_reference.md"


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m upstroke.case.reference > docs/case_reference.md"


def test_no_paragraph_is_indented() -> None:
    """Markdown would show it as code."""
    assert not [line for line in page().split(EXAMPLE)[-1].splitlines() if line.startswith("    ")]


def test_the_example_case_loads() -> None:
    case = load_case(tomllib.loads(EXAMPLE))
    assert load_case(resolved(case)) == case


def all_keys(table: type, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Field[Any], Any]]:
    """Every key of the schema that holds a value rather than a table, with its type."""
    for name, field in keys(table).items():
        type_ = hints(table)[name]
        bases = [unwrap(t)[0] for t in members(unwrap(type_)[0])]
        tables = [t for t in (get_args(b)[0] if get_origin(b) is tuple else b for b in bases) if is_table(t)]
        for inner in tables:
            yield from all_keys(inner, (*path, name))
        if not tables:
            yield ".".join((*path, name)), field, type_


@pytest.mark.parametrize(("name", "field", "type_"), list(all_keys(Case)), ids=[key[0] for key in all_keys(Case)])
def test_every_key_is_documented_and_its_example_is_accepted(
        name: str, field: Field[Any], type_: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("heart.vtu", "apex.vtx", "mask.npy", "cell.swc", "spikes.txt", "positions.txt", "cells.csv",
                 "tree.vtk", "pairs.txt"):
        (tmp_path / file).write_text("")
    assert field.metadata["doc"]
    node = read({"value": tomllib.loads(f"value = {example_of(field, type_)}")["value"]}).value["value"]
    converter = _Converter(Case)
    converter.value(node, type_, (name,), field)
    assert converter.errors == []
