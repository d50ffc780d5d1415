"""`[[gap_junction]]`: electrical coupling between compartments of neurons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from upstroke.case.schema.keys import Conductance, key
from upstroke.case.schema.stimulus import Site


@dataclass(frozen=True, kw_only=True)
class GapJunction:
    """Gap junctions between two places, of one cell or of two: the current from the one to the other is g (V - V').

    Without `ring`, `probability` and `pairs`, cell k of `site` is joined to cell k of `to`. Needs `splitting =
    "implicit"` or `"staggered"`.
    """

    conductance: Conductance = key("g of each junction", example='"1 nS"', must="> 0")
    site: Site = key("one side: the compartment that holds this place")
    to: Site = key("the other side")
    ring: bool = key("join each cell of a population to the next, and the last to the first", False)
    probability: float | None = key("join each cell of `site` to each of `to` by chance; in one population, each pair "
                                    "of cells has one chance", None, example="0.1", must="> 0 and <= 1")
    pairs: Path | None = key("text, a junction a line: number of the cell of `site`, from 0, number of the cell of "
                             "`to`, and, if they differ, conductance in nS", None, example='"pairs.txt"')
    seed: int | None = key("of the chance; default: the number of the table, from 1", None, example="1",
                           must=">= 0 and <= 4294967295")
    name: str = key("what messages call it", "", example='"basket cells"')
