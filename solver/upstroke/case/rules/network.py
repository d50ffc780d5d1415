"""Rules of spikes of cells, gap junctions and noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upstroke.case.rules.rule import Mistake, rule
from upstroke.case.schema import (
    Case,
    DrawnConductance,
    DrawnTime,
    Events,
    GapJunction,
    NoiseTable,
    Synapse,
    TimeTable,
)


@rule(Events, "source", "threshold", "probability", "pairs", "autapses", "seed")
def connections_have_sources(source: Any, threshold: float | None, probability: float | None, pairs: Any,
                             autapses: bool, seed: int | None) -> Iterator[Mistake]:
    if source is None:
        for name, value in (("threshold", threshold), ("probability", probability), ("pairs", pairs),
                            ("autapses", autapses or None)):
            if value is not None:
                yield Mistake((name,), "is for spikes of cells",
                              f'add source = {{ population = "exc", section = "soma" }}, or remove {name}')
    elif pairs is not None:
        for name, value in (("probability", probability), ("autapses", autapses or None), ("seed", seed)):
            if value is not None:
                yield Mistake((name,), "does nothing with pairs", "remove it; the file says which cells are joined")


@rule(Synapse, "events", "count")
def files_of_pairs_count(events: Events, count: int) -> Iterator[Mistake]:
    if events.pairs is not None and count != 1:
        yield Mistake(("count",), "does nothing with events.pairs", "remove it; a line of the file is a synapse")


@rule(Case, "time", "synapse")
def spikes_take_a_step(time: TimeTable, synapses: Sequence[Synapse]) -> Iterator[Mistake]:
    for k, synapse in enumerate(synapses):
        delay = synapse.delay
        least = min(delay.uniform or (time.dt,)) if isinstance(delay, DrawnTime) else delay
        if synapse.events.source is not None and least < time.dt * (1.0 - 1e-9):
            yield Mistake(("synapse", k, "delay"), f"{least:.12g} ms is shorter than a step of {time.dt:.12g} ms, and "
                          "spikes of cells are known at its end", f'make it "{time.dt:.12g} ms" or longer, or time.dt '
                          "shorter")


@rule((DrawnConductance, DrawnTime), "normal", "uniform")
def one_way_to_differ(normal: Any, uniform: tuple[float, float] | None) -> Iterator[Mistake]:
    if normal is None and uniform is None:
        yield Mistake((), "says not how", "add one of normal, uniform")
    elif normal is not None and uniform is not None:
        yield Mistake(("uniform",), "given together with normal", "keep one of the two")
    elif uniform is not None and uniform[1] < uniform[0]:
        yield Mistake(("uniform",), f"lowest {uniform[0]:.12g} is above highest {uniform[1]:.12g}", "swap the two")


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
