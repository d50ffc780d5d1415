"""Rules of [watch]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upstroke.case.rules.rule import Mistake, rule
from upstroke.case.schema import Probes, Snapshots, Spikes


@rule((Probes, Snapshots), "variables")
def variables_once(variables: Sequence[str]) -> Iterator[Mistake]:
    for name in dict.fromkeys(variables):
        if variables.count(name) > 1:
            yield Mistake(("variables",), f"names {name} {variables.count(name)} times", "name each variable once")


@rule((Probes, Spikes), "points")
def probes_have_points(points: dict[str, Any]) -> Iterator[Mistake]:
    if not points:
        yield Mistake(("points",), "no point given", 'for example points = { P1 = ["0 mm", "0 mm", "0 mm"] }')
