"""`[[noise]]`: fluctuating currents and conductances on neurons."""

from __future__ import annotations

from dataclasses import dataclass

from upstroke.case.schema.keys import Conductance, Current, CurrentDensity, Time, Voltage, key
from upstroke.case.schema.stimulus import Site


@dataclass(frozen=True, kw_only=True)
class NoiseTable:
    """Ornstein-Uhlenbeck noise on a neuron: a current, inward where it is positive, or a conductance to a reversal
    potential (Destexhe et al. 2001, doi 10.1016/S0306-4522(01)00344-X).

    Strengths are two values, mean and standard deviation. A conductance that falls below 0 acts as 0. Needs `splitting
    = "implicit"` or `"staggered"`.
    """

    tau: Time = key("correlation time: the autocorrelation is exp(-t / tau)", example='"5 ms"', must="> 0")
    total_current: tuple[Current, Current] | None = key("mean and standard deviation of the current into a compartment",
                                                        None, example='["0 pA", "20 pA"]')
    current: tuple[CurrentDensity, CurrentDensity] | None = key(
        "per membrane area, instead", None, example='["0 uA/cm^2", "0.5 uA/cm^2"]')
    conductance: tuple[Conductance, Conductance] | None = key("of a conductance, instead", None,
                                                              example='["12 nS", "3 nS"]', must=">= 0")
    reversal: Voltage | None = key("of a conductance", None, example='"0 mV"')
    site: Site | None = key("where: the compartment that holds this place", None)
    region: int | str | None = key("where: every compartment of a region", None, example='"soma"')
    shared: bool = key("all compartments of a cell follow one process, else each one of its own", False)
    seed: int | None = key("of the random numbers: tables with the same seed have the same, process by process; "
                           "default: the number of the table, from 1", None, example="1", must=">= 0 and <= 4294967295")
    name: str = key("what messages call it", "", example='"background"')
