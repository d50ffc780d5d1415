"""Rules of [[stimulus]]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upstroke.case.pulses import Pulses
from upstroke.case.rules.rule import Mistake, rule
from upstroke.case.schema import Box, Stimulus


@rule(Box, "min", "max")
def box_corners(low: Sequence[float], high: Sequence[float]) -> Iterator[Mistake]:
    if len(low) != len(high):
        yield Mistake(("max",), f"not as many coordinates ({len(high)}) as min ({len(low)})", "give both corners alike")
        return
    for axis, a, b in zip("xyz", low, high, strict=False):
        if a > b:
            yield Mistake(("max",), f"lies below min along {axis} ({b:.12g} cm < {a:.12g} cm)", "swap the two")


@rule(Stimulus, "box", "sphere", "nodes", "region", "site")
def one_place(*places: Any) -> Iterator[Mistake]:
    names = ("box", "sphere", "nodes", "region", "site")
    given = [name for name, place in zip(names, places, strict=True) if place is not None]
    if not given:
        yield Mistake((), "says not where", "add one of box, sphere, nodes, region, site")
    elif len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one; use one [[stimulus]] for each place")


@rule(Stimulus, "current", "volume_current", "total_current", "site")
def one_strength(current: float | None, volume: float | None, total: float | None, site: Any) -> Iterator[Mistake]:
    names = ("current", "volume_current", "total_current")
    given = [name for name, value in zip(names, (current, volume, total), strict=True) if value is not None]
    if not given:
        yield Mistake((), "says not how strong", 'add current = "35.7 uA/cm^2", or volume_current')
    elif len(given) > 1:
        yield Mistake((given[1],), f"given together with {given[0]}", "keep one of the two")
    elif total is not None and site is None:
        yield Mistake(("total_current",), "is for one compartment of a neuron",
                      'add site = { section = "soma", x = 0.5 }')


@rule(Stimulus, "count", "period")
def trains_need_a_period(count: int, period: float | None) -> Iterator[Mistake]:
    if count > 1 and period is None:
        yield Mistake(("count",), f"{count} pulses without a period", 'add period = "500 ms"')


@rule(Stimulus, "decrement", "shortest_period", "period", "count")
def decrements_end(decrement: float | None, shortest: float | None, period: float | None,
                   count: int) -> Iterator[Mistake]:
    if decrement is None:
        if shortest is not None:
            yield Mistake(("shortest_period",), "is where decrements end, and there are none",
                          'add decrement = "10 ms"')
    elif count < 3:
        yield Mistake(("decrement",), "the second period is the first that it shortens, and there is "
                      + ("one" if count == 2 else "none"), "add count = 9, or leave it out")
    elif shortest is None:
        yield Mistake(("decrement",), "has no end", 'add shortest_period = "200 ms"')
    elif period is not None and period < shortest:
        yield Mistake(("shortest_period",), f"{shortest:.12g} ms is longer than the period of {period:.12g} ms",
                      "swap the two")


@rule(Stimulus, "bursts", "burst_period")
def bursts_need_a_period(bursts: int, burst_period: float | None) -> Iterator[Mistake]:
    if bursts > 1 and burst_period is None:
        yield Mistake(("bursts",), f"{bursts} bursts without a period", 'add burst_period = "1 s"')
    if bursts == 1 and burst_period is not None:
        yield Mistake(("burst_period",), "there is one burst", "add bursts = 5, or leave it out")


@rule(Stimulus, "duration", "period", "shortest_period", "extra")
def pulses_do_not_overlap(duration: float, period: float | None, shortest: float | None,
                          extra: Sequence[float] | None) -> Iterator[Mistake]:
    if period is not None and period < duration:
        yield Mistake(("period",), f"{period:.12g} ms is shorter than the pulse of {duration:.12g} ms",
                      "make the period longer or the duration shorter")
    elif shortest is not None and shortest < duration:
        yield Mistake(("shortest_period",), f"{shortest:.12g} ms is shorter than the pulse of {duration:.12g} ms",
                      "make it longer or the duration shorter")
    for k, interval in enumerate(extra or ()):
        if interval < duration:
            yield Mistake(("extra", k), f"{interval:.12g} ms is shorter than the pulse of {duration:.12g} ms",
                          "make the interval longer or the duration shorter")


@rule(Stimulus, "duration", "period", "count", "decrement", "shortest_period", "extra", "bursts", "burst_period")
def bursts_do_not_overlap(duration: float, period: float | None, count: int, decrement: float | None,
                          shortest: float | None, extra: Sequence[float] | None, bursts: int,
                          burst_period: float | None) -> Iterator[Mistake]:
    if bursts == 1 or burst_period is None or (count > 1 and period is None):
        return
    burst = Pulses(0.0, period or duration, count, decrement or 0.0, shortest or 0.0, tuple(extra or ()))
    length = burst.onset(burst.total - 1) + duration
    if burst_period < length:
        yield Mistake(("burst_period",), f"{burst_period:.12g} ms is shorter than a burst of {length:.12g} ms",
                      "make it longer, or the burst shorter")
