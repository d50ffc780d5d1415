"""Splittings: in which order, and over which parts of dt, reaction and diffusion follow each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Splitting:
    """A splitting: its order, and its stages as (what, part of dt); "both" is no splitting."""

    order: int
    stages: tuple[tuple[Literal["reaction", "diffusion", "both"], float], ...]


SPLITTINGS = {
    # reaction and diffusion from the same state, forward Euler: one pass over the nodes
    "unsplit": Splitting(order=1, stages=(("both", 1.0),)),
    # Godunov, Mat. Sb. 47:271 (1959)
    "godunov": Splitting(order=1, stages=(("reaction", 1.0), ("diffusion", 1.0))),
    # Strang, SIAM J. Numer. Anal. 5:506 (1968), doi 10.1137/0705041; the cheaper half is the one taken twice
    "strang": Splitting(order=2, stages=(("diffusion", 0.5), ("reaction", 1.0), ("diffusion", 0.5))),
}
