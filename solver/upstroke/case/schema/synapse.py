"""`[[synapse]]` and `[[voltage_clamp]]`: conductances on neurons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from upstroke.case.schema.keys import Concentration, Conductance, Count, Frequency, Resistance, Time, Voltage, key
from upstroke.case.schema.stimulus import Site

#: Rise and decay (ms) and reversal potential (mV) that kinds of synapses have of themselves: those of the circuit of
#: Markram et al. 2015, Cell 163:456, doi 10.1016/j.cell.2015.09.029.
KINETICS: dict[str, tuple[float | None, float | None, float]] = {
    "expsyn": (None, None, 0.0), "exp2syn": (None, None, 0.0), "ampa": (0.2, 1.7, 0.0), "nmda": (0.29, 43.0, 0.0),
    "gaba": (0.2, 8.0, -80.0)}


@dataclass(frozen=True, kw_only=True)
class Events:
    """When the spikes leave that a synapse receives: a list, a Poisson process, a file, or when cells spike."""

    times: Annotated[tuple[Time, ...], Count(1)] | None = key("one by one; all synapses of the table receive them",
                                                              None, example='["20 ms", "35 ms"]', must=">= 0")
    rate: Frequency | None = key("of a Poisson process; every synapse of the table has a train of its own", None,
                                 example='"5 /s"', must="> 0")
    start: Time = key("when the process begins", 0.0, example='"0 ms"', must=">= 0")
    end: Time | None = key("when it ends; default: with the run", None, example='"500 ms"', must="> 0")
    seed: int | None = key("of the process, or of the chance by which sources are drawn: tables with the same seed "
                           "receive the same trains, or those of the same cells, synapse by synapse; default: the "
                           "number of the table, from 1", None, example="1", must=">= 0 and <= 4294967295")
    source: Site | None = key(
        "cells whose spikes are received: each synapse gets one of them by chance, never the cell it is on", None)
    threshold: Voltage | None = key("of the source's V; a crossing upwards is a spike; default: 0 mV", None,
                                    example='"-20 mV"')
    probability: float | None = key("of a synapse from each cell of the source on each cell of the table, instead of "
                                    "`count` on each; `count` is then how many each such pair has", None,
                                    example="0.1", must="> 0 and <= 1")
    pairs: Path | None = key("text, instead, a synapse a line: number of a cell of the source, from 0, number of the "
                             "cell it is on, and, if they differ, weight in nS, and delay in ms", None,
                             example='"pairs.txt"')
    autapses: bool = key("a cell may receive its own spikes", False)
    file: Path | None = key("text, a spike a line: its time in ms, which all synapses of the table receive, or the "
                            "number of a synapse, from 0, and its time", None, example='"spikes.txt"')


@dataclass(frozen=True, kw_only=True)
class DrawnConductance:
    """Weights of synapses that differ, each drawn by chance."""

    normal: tuple[Conductance, Conductance] | None = key(
        "mean and standard deviation; what falls below 0 is 0", None, example='["1 nS", "0.2 nS"]', must=">= 0")
    uniform: tuple[Conductance, Conductance] | None = key("lowest and highest", None, example='["0.5 nS", "2 nS"]',
                                                          must=">= 0")
    seed: int | None = key("of the chance; default: the number of the table, from 1", None, example="1",
                           must=">= 0 and <= 4294967295")


@dataclass(frozen=True, kw_only=True)
class DrawnTime:
    """Delays of synapses that differ, each drawn by chance."""

    normal: tuple[Time, Time] | None = key(
        "mean and standard deviation; what falls below 0, or of spikes of cells below time.dt, is put there", None,
        example='["2 ms", "0.3 ms"]', must=">= 0")
    uniform: tuple[Time, Time] | None = key("lowest and highest", None, example='["1 ms", "3 ms"]', must=">= 0")
    seed: int | None = key("of the chance; default: the number of the table, from 1", None, example="1",
                           must=">= 0 and <= 4294967295")


@dataclass(frozen=True, kw_only=True)
class Synapse:
    """One or many synapses of a kind on a neuron: a conductance to the reversal potential, g B(V) (V - E).

    Each spike adds `weight` times a difference of two exponentials whose peak is 1 (one exponential that begins at 1
    for 'expsyn'). B is 1, but for 'nmda' the block by magnesium, 1 / (1 + Mg / 3.57 mM exp(-0.062 V / mV)) (Jahr and
    Stevens 1990). Needs `splitting = "implicit"` or `"staggered"`.
    """

    kind: Literal["expsyn", "exp2syn", "ampa", "nmda", "gaba"] = key(
        "'expsyn': decay alone; 'exp2syn': rise and decay; 'ampa', 'nmda', 'gaba': the same, with values of their own "
        "(Markram et al. 2015): 0.2 and 1.7 ms; 0.29 and 43 ms; 0.2 and 8 ms, reversal -80 mV",
        example='"exp2syn"')
    weight: Conductance | DrawnConductance = key("peak of the conductance that a spike opens, unblocked",
                                                 example='"1 nS"', must="> 0")
    events: Events = key("when spikes leave")
    site: Site | None = key("where: the compartment that holds this place", None)
    region: int | str | None = key("where: anywhere on a region, by chance, as likely as there is membrane", None,
                                   example='"apical"')
    count: int = key("how many synapses; of a network, on each cell", 1, must=">= 1 and <= 10000000")
    seed: int | None = key("of the chance by which places in a region are drawn; default: the number of the table, "
                           "from 1", None, example="1", must=">= 0 and <= 4294967295")
    tau_rise: Time | None = key("time constant of the rise", None, example='"0.5 ms"', must="> 0")
    tau_decay: Time | None = key("time constant of the decay, longer than that of the rise", None, example='"5 ms"',
                                 must="> 0")
    reversal: Voltage | None = key("E; default: 0 mV, of 'gaba' -80 mV", None, example='"0 mV"')
    magnesium: Concentration | None = key("Mg outside, for 'nmda'; default: 1 mM", None, example='"1 mM"', must=">= 0")
    delay: Time | DrawnTime = key("from leaving to arrival; of spikes of cells at least time.dt", 0.0,
                                  example='"1 ms"', must=">= 0")
    name: str = key("what messages call it", "", example='"inhibition"')


@dataclass(frozen=True, kw_only=True)
class VoltageClamp:
    """A single electrode that holds V at levels, one after the other, through its series resistance.

    The current into the compartment is (level - V) / series_resistance; none before `start` and after the last level.
    Needs `splitting = "implicit"` or `"staggered"`.
    """

    site: Site = key("where: the compartment that holds this place")
    levels: Annotated[tuple[Voltage, ...], Count(1)] = key("voltages", example='["-65 mV", "0 mV"]')
    durations: Annotated[tuple[Time, ...], Count(1)] = key("how long each is held", example='["5 ms", "20 ms"]',
                                                           must="> 0")
    series_resistance: Resistance = key("of the electrode", example='"1 Mohm"', must="> 0")
    start: Time = key("when the first level begins", 0.0, example='"0 ms"', must=">= 0")
    name: str = key("what messages call it", "", example='"patch"')
