"""A rule: what it looks at, and what it finds wrong; and checks that several rules share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a key (its path from the rule's table), and what to do."""

    key: tuple[str | int, ...]
    what: str
    remedy: str = ""


Check = Callable[..., Iterator[Mistake]]


@dataclass(frozen=True)
class Rule:
    tables: tuple[type, ...]
    keys: tuple[str, ...]
    check: Check


RULES: list[Rule] = []


def rule(tables: type | tuple[type, ...], *keys: str) -> Callable[[Check], Check]:
    """Registers a check of some keys of a table (or of several classes of table); it is called with their values."""
    def register(check: Check) -> Check:
        RULES.append(Rule(tables if isinstance(tables, tuple) else (tables,), keys, check))
        return check
    return register


def whole_steps(key: tuple[str | int, ...], value: float, dt: float) -> Iterator[Mistake]:
    """``value`` must be a whole number (at least 1) of ``dt``, to 1e-9 relative."""
    if value / dt > 2.0**53:
        yield Mistake(key, f"{value:.12g} ms has more steps of {dt:.12g} ms than can be counted", "check both units")
        return
    steps = round(value / dt)
    if steps >= 1 and abs(value - steps * dt) <= 1e-9 * value:
        return
    below = math.floor(value / dt)
    good = [f'"{n * dt:.12g} ms"' for n in (below, below + 1) if n >= 1]
    yield Mistake(key, f"{value:.12g} ms is not a whole number of steps of {dt:.12g} ms", f"use {' or '.join(good)}")


def regions_once(name: str, tables: Sequence[tuple[int | str, ...] | None]) -> Iterator[Mistake]:
    """No region in two tables of the array ``name``, and at most one table without regions."""
    first: dict[int | str | None, int] = {}
    for number, regions in enumerate(tables):
        for region in regions or (None,):
            if first.setdefault(region, number) != number or (regions or ()).count(region) > 1:
                if region is None:
                    yield Mistake((name, number), "a second table without regions",
                                  "only one table may stand for all the others; add regions to this one")
                else:
                    yield Mistake((name, number, "regions"), f"names region {region!r} a second time",
                                  "name each region once")
                    break
