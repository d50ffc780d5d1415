"""Rules of [watch]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upstroke.case.rules.rule import Mistake, rule
from upstroke.case.schema import Cable, Case, Probes, Snapshots, Spikes, Watch


@rule((Probes, Snapshots), "variables")
def variables_once(variables: Sequence[str]) -> Iterator[Mistake]:
    for name in dict.fromkeys(variables):
        if variables.count(name) > 1:
            yield Mistake(("variables",), f"names {name} {variables.count(name)} times", "name each variable once")


@rule((Probes, Spikes), "points")
def probes_have_points(points: dict[str, Any]) -> Iterator[Mistake]:
    if not points:
        yield Mistake(("points",), "no point given", 'for example points = { P1 = ["0 mm", "0 mm", "0 mm"] }')


@rule(Case, "watch", "cable")
def neurons_are_never_quiet(watch: Watch, cable: Cable | None) -> Iterator[Mistake]:
    if watch.stop_when_quiet is not None and cable is not None:
        yield Mistake(("watch", "stop_when_quiet"), "is for tissue: synapses and noise may wake a neuron at any time",
                      "remove it, and set time.end")
