"""A case written out in full: every key with its value and unit, such that loading it gives an equal case."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from upstroke.case.schema import Case
from upstroke.case.toml import write_document
from upstroke.case.words import hints, is_table, keys, members, plain, unwrap


def resolved(case: Case) -> dict[str, Any]:
    """The case as nested dictionaries of TOML's types; keys that are not set and have no default are left out."""
    result: dict[str, Any] = plain(case, Case)
    return result


def to_toml(case: Case) -> str:
    """The case as the text of a case file."""
    return write_document(resolved(case), inline=free_tables(Case)).lstrip("\n")


def free_tables(table: type) -> set[str]:
    """Names of the keys below ``table`` whose entries the user names (points, parameters); written on one line."""
    found = set()
    for name, type_ in hints(table).items():
        for option in members(unwrap(type_)[0]) if name in keys(table) else ():
            base = unwrap(option)[0]
            if get_origin(base) is dict:
                found.add(name)
            inner = get_args(base)[0] if get_origin(base) is tuple else base
            if is_table(inner):
                found |= free_tables(inner)
    return found
