"""Rules of [watch.tips]."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from upstroke.case.rules.rule import Mistake, rule, whole_steps
from upstroke.case.schema import Case, TimeTable, Tips, Watch


@rule(Tips, "recovery", "recovery_level", "delay")
def one_way_to_know_phase(recovery: str | None, level: float | None, delay: float | None) -> Iterator[Mistake]:
    if recovery is None and level is not None:
        yield Mistake(("recovery_level",), "is the level of a recovery variable, and none is given", "add recovery")
    if recovery is not None and level is None:
        yield Mistake(("recovery",), "has no level", "add recovery_level, a value midway between rest and plateau")
    if recovery is not None and delay is not None:
        yield Mistake(("delay",), "given together with recovery", "keep one of the two")


@rule(Case, "time", "watch", "tissue")
def tips_are_seen_at_steps(time: TimeTable, watch: Watch, tissue: Any) -> Iterator[Mistake]:
    if watch.tips is None:
        return
    yield from whole_steps(("watch", "tips", "every"), watch.tips.every, time.dt)
    if watch.tips.delay is not None:
        yield from whole_steps(("watch", "tips", "delay"), watch.tips.delay, time.dt)
    if tissue is None:
        yield Mistake(("watch", "tips"), "is of tissue, and the case has no [tissue]", "leave it out")


@rule(Case, "watch", "tissue")
def maps_are_of_tissue(watch: Watch, tissue: Any) -> Iterator[Mistake]:
    if watch.activation.maps and tissue is None:
        yield Mistake(("watch", "activation", "maps"), "are of tissue, and the case has no [tissue]", "leave them out")
