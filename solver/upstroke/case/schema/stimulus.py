"""`[[stimulus]]`: what is done, and the places where it can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from upstroke.case.schema.keys import (
    Count,
    Current,
    CurrentDensity,
    Length,
    Numbers,
    Point,
    Time,
    VolumeCurrent,
    key,
)


@dataclass(frozen=True, kw_only=True)
class Box:
    """All nodes inside an axis-parallel box, faces included."""

    min: Point = key("lowest corner; one, two or three coordinates", example='["0 mm", "0 mm", "0 mm"]')
    max: Point = key("highest corner", example='["1.5 mm", "1.5 mm", "1.5 mm"]')


@dataclass(frozen=True, kw_only=True)
class Sphere:
    """All nodes within ``radius`` of ``centre``."""

    centre: Point = key("centre; one, two or three coordinates", example='["0 mm", "0 mm", "0 mm"]')
    radius: Length = key("radius", example='"2 mm"', must="> 0")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place on a neuron, or on the cells of a population."""

    section: str = key("name of the section; `upstroke check` lists them", example='"dend[3]"')
    x: float = key("where on it: 0 its start, 1 its end", 0.5, must=">= 0 and <= 1")
    population: str | None = key("of a network: the population; needed where there are several", None, example='"pyr"')
    cell: int | None = key("number of the cell in its population, from 0; default: every cell of it", None,
                           example="0", must=">= 0")


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """A train of rectangular current pulses into some nodes; depolarising current is positive."""

    box: Box | None = key("where: a box", None)
    sphere: Sphere | None = key("where: a ball", None)
    nodes: str | None = key("where: a node set of the mesh", None, example='"apex"')
    region: int | str | None = key("where: all nodes of a region's cells", None, example='"septum"')
    site: Site | None = key("where: the compartment of a neuron that holds this place", None)
    current: CurrentDensity | None = key("strength per membrane area", None, example='"35.7 uA/cm^2"')
    volume_current: VolumeCurrent | None = key("strength per tissue volume, instead; divided by beta", None,
                                               example='"50000 uA/cm^3"')
    total_current: Current | None = key("strength of a current clamp at a site of a neuron, instead", None,
                                        example='"0.1 nA"')
    scale: Numbers | None = key("factor of the strength at each node: a name of a population's `values`, or, as of "
                                "`membrane.nodal`, of point data, a file, or an expression", None, example='"input"')
    start: Time = key("start of the first pulse", 0.0, example='"0 ms"', must=">= 0")
    duration: Time = key("duration of a pulse", example='"2 ms"', must="> 0")
    period: Time | None = key("time from start to start; needed where count > 1", None, example='"500 ms"',
                              must="> 0")
    count: int = key("number of pulses, those of `extra` and of further bursts not counted", 1, must=">= 1")
    decrement: Time | None = key("by how much each period is shorter than the one before: decremental pacing, a ramp",
                                 None, example='"10 ms"', must="> 0")
    shortest_period: Time | None = key("the period that all further pulses keep once it is reached; needed with "
                                       "`decrement`", None, example='"200 ms"', must="> 0")
    extra: Annotated[tuple[Time, ...], Count(1)] | None = key(
        "extra stimuli after the train, S2, S3, ...: the coupling interval of each, from the start of the pulse before",
        None, example='["300 ms", "250 ms"]', must="> 0")
    bursts: int = key("how often all of this comes", 1, example="5", must=">= 1")
    burst_period: Time | None = key("time from the start of a burst to that of the next; needed where bursts > 1", None,
                                    example='"1 s"', must="> 0")
    name: str = key("what messages call it", "", example='"S1"')
