"""``load_case``: files, folders or dictionaries, then overrides, into one checked ``Case``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

from upstroke.case.convert import convert
from upstroke.case.schema import Case
from upstroke.case.source import Node, merge, override, read
from upstroke.case.toml import write_key
from upstroke.errors import ErrorList, UpstrokeError


def load_case(*sources: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Case:
    """The case that some sources describe together.

    ``sources``: case files, folders that hold a ``case.toml``, or dictionaries of the same form, merged left to right:
    tables merge key by key, arrays are replaced. ``overrides``: texts such as ``time.dt=0.01 ms`` or
    ``stimulus.0.start="5 ms"``, applied last. ``case.where("time.dt")`` tells where a key came from.

    Raises ``ErrorList`` with every mistake in all of them, each a ``CaseError`` with its file, line and key.
    """
    errors: list[UpstrokeError] = []
    trees: list[Node] = []
    for source in sources:
        with _collect(errors):
            trees.append(read(source))
    if errors:
        raise ErrorList(errors=tuple(errors))
    root = reduce(merge, trees) if trees else read({})
    for text in overrides:
        with _collect(errors):
            override(root, text)
    _set_defaults(root)
    case, mistakes = convert(root)
    order = [tree.place.file for tree in trees]
    errors += sorted(mistakes, key=lambda e: _position(e, order))
    if errors:
        raise ErrorList(errors=tuple(errors))
    return replace(case, places={write_key(path): node.place for path, node in root.walk()})


def _set_defaults(root: Node) -> None:
    """What a key is that no source sets, where this is a matter of others: neurons are "staggered" where the case does
    not say how diffusion is stepped."""
    time = root.value.get("time")
    neuron = "cable" in root.value and "tissue" not in root.value
    if neuron and time is not None and isinstance(time.value, dict) and "diffusion" not in time.value:
        time.value.setdefault("splitting", Node("staggered", time.place, time.folder))


@contextmanager
def _collect(errors: list[UpstrokeError]) -> Iterator[None]:
    try:
        yield
    except UpstrokeError as error:
        errors.append(error)


def _position(error: Any, order: list[str]) -> tuple[int, int]:
    """Errors are listed by file, in the order given, then by line; overrides come last."""
    file = error.where.file
    return (order.index(file) if file in order else len(order), error.where.line)
