"""`[mesh]` of many cells: populations of copies of a cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from upstroke.case.schema.keys import Count, Length, key
from upstroke.case.schema.neuron import MorphologyMesh, SectionsMesh


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A number of each cell, drawn by chance or read from a file.

    What is drawn for a cell depends on the seed and the cell's own number, not on how many cells there are.
    """

    normal: tuple[float, float] | None = key("mean and standard deviation", None, example="[120, 12]")
    lognormal: tuple[float, float] | None = key("median, and standard deviation of the natural logarithm", None,
                                                example="[120, 0.1]")
    uniform: tuple[float, float] | None = key("lowest and highest", None, example="[100, 140]")
    file: Path | None = key("text with a number a line, or a CSV file with a column of the name of the value", None,
                            example='"cells.csv"')
    seed: int | None = key("of the chance; default: which of the values of the network it is, from 1", None,
                           example="1", must=">= 0 and <= 4294967295")


@dataclass(frozen=True, kw_only=True)
class Population:
    """Cells that are copies of one, but for their `values`."""

    name: str = key("what it is called", example='"pyr"')
    cell: MorphologyMesh | SectionsMesh = key("the cell: the tables of a neuron")
    count: int = key("how many cells", 1, must=">= 1 and <= 10000000")
    values: dict[str, float | tuple[float, ...] | Drawn] = key(
        "numbers of each cell by name, for `membrane.nodal` and `stimulus.scale`: one for all, a list of one for each, "
        "or a table that says how they are drawn", factory=dict,
        example="{ gNa = { normal = [120, 12], seed = 1 } }")
    spacing: Length | None = key("of the square grid in the plane of x and y that cells stand on, for pictures; "
                                 "default: a fifth more than a cell is wide", None, example='"500 um"', must="> 0")
    positions: Path | None = key("where each cell stands, instead: text, three numbers in um a line, the place of the "
                                 "middle of the cell's first section", None, example='"positions.txt"')


@dataclass(frozen=True, kw_only=True)
class NetworkMesh:
    """Populations of neurons."""

    population: Annotated[tuple[Population, ...], Count(1)] = key("its populations")
    kind: Literal["network"] = key("many neurons", "network")
    regions: dict[str, str] = key(
        "regions by rule, over all populations; expressions know `population`, too", factory=dict,
        example="""{ tuft = 'population == "pyr" and distance > 300 um' }""")
