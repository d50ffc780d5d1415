"""Splittings: in which order, and over which parts of dt, reaction and diffusion follow each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Splitting:
    """A splitting: its order, and its stages as (what, part of dt); "both" is no splitting.

    One with ``theta`` is implicit: V is solved for with the membrane's current in the matrix ("voltage"), then the
    other "states" follow. These are then known ``lead`` dt later than V.
    """

    order: int
    stages: tuple[tuple[Literal["reaction", "diffusion", "both", "voltage", "states"], float], ...]
    theta: float = 0.0
    lead: float = 0.0

    @property
    def implicit(self) -> bool:
        return self.theta > 0.0


SPLITTINGS = {
    # reaction and diffusion from the same state, forward Euler: one pass over the nodes
    "unsplit": Splitting(order=1, stages=(("both", 1.0),)),
    # Godunov, Mat. Sb. 47:271 (1959)
    "godunov": Splitting(order=1, stages=(("reaction", 1.0), ("diffusion", 1.0))),
    # Strang, SIAM J. Numer. Anal. 5:506 (1968), doi 10.1137/0705041; the cheaper half is the one taken twice
    "strang": Splitting(order=2, stages=(("diffusion", 0.5), ("reaction", 1.0), ("diffusion", 0.5))),
    # backward Euler; what NEURON does unless asked otherwise
    "implicit": Splitting(order=1, stages=(("voltage", 1.0), ("states", 1.0)), theta=1.0),
    # Crank-Nicolson, and the states at half steps: Hines, Int. J. Biomed. Comput. 15:69 (1984), doi
    # 10.1016/0020-7101(84)90008-4; NEURON's secondorder = 2
    "staggered": Splitting(order=2, stages=(("voltage", 1.0), ("states", 1.0)), theta=0.5, lead=0.5),
}
