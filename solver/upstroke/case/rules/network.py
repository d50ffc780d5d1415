"""Rules of gap junctions and noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from upstroke.case.rules.rule import Mistake, rule
from upstroke.case.schema import GapJunction, NoiseTable


@rule(GapJunction, "ring", "probability", "pairs", "seed")
def one_way_to_join(ring: bool, probability: float | None, pairs: Any, seed: int | None) -> Iterator[Mistake]:
    given = [name for name, value in (("ring", ring or None), ("probability", probability), ("pairs", pairs))
             if value is not None]
    if len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one; use one [[gap_junction]] for each")
    elif seed is not None and probability is None:
        yield Mistake(("seed",), "nothing is drawn here", "remove it, or give a probability")


@rule(NoiseTable, "total_current", "current", "conductance", "reversal")
def one_kind_of_noise(total: Any, current: Any, conductance: Any, reversal: float | None) -> Iterator[Mistake]:
    given = [name for name, value in (("total_current", total), ("current", current), ("conductance", conductance))
             if value is not None]
    if not given:
        yield Mistake((), "says not how strong", 'add total_current = ["0 pA", "20 pA"], mean and standard deviation, '
                      "or current, or conductance")
    elif len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one; use one [[noise]] for each")
    elif conductance is not None and reversal is None:
        yield Mistake(("reversal",), "a conductance needs it", 'add reversal = "0 mV"')
    elif conductance is None and reversal is not None:
        yield Mistake(("reversal",), "does nothing to a current", "remove it, or give a conductance")


@rule(NoiseTable, "total_current", "current", "conductance")
def deviations_are_positive(*strengths: tuple[float, float] | None) -> Iterator[Mistake]:
    for name, strength in zip(("total_current", "current", "conductance"), strengths, strict=True):
        if strength is not None and strength[1] < 0.0:
            yield Mistake((name, 1), "a standard deviation below 0", "the second value is the standard deviation")


@rule(NoiseTable, "site", "region")
def noise_has_one_place(site: Any, region: Any) -> Iterator[Mistake]:
    if site is None and region is None:
        yield Mistake((), "says not where", 'add site = { section = "soma" }, or region = "soma"')
    elif site is not None and region is not None:
        yield Mistake(("region",), "given together with site", "keep one; use one [[noise]] for each place")
