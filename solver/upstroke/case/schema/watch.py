"""`[watch]`: what the run looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from upstroke.case.schema.keys import Conductivity, Count, Length, Names, Point, Regions, Time, Voltage, key
from upstroke.case.schema.stimulus import Site


@dataclass(frozen=True, kw_only=True)
class Activation:
    """Activation and repolarisation times and APD of every beat at every node."""

    threshold: Voltage = key("activation: upward crossing of this voltage, interpolated", -40.0,
                             example='"0 mV"')
    repolarisation: float = key("repolarisation: return by this fraction of the beat's own amplitude "
                                "(0.9 gives APD90)", 0.9, must="> 0 and < 1")
    at: Literal["auto", "nodes", "cells"] = key(
        "'nodes': at every node; 'cells': of neurons, in the middle of the first section of each cell, which maps show "
        "all over the cell; 'auto': 'cells' of a network, else 'nodes'", "auto")
    maps: tuple[Literal["velocity", "cycle_length", "dispersion"], ...] = key(
        "what is made of the times when the run ends: 'velocity' of conduction, 'cycle_length' between beats, "
        "'dispersion' of APD and repolarisation", (), example='["velocity"]')


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Variables at points, sampled into ``probes.csv``."""

    points: dict[str, Point | Site] = key(
        "positions by name; on a neuron also sites", example='{ P1 = ["0 mm", "0 mm", "0 mm"] }')
    every: Time = key("sampling interval; a whole number of steps", example='"0.1 ms"', must="> 0")
    variables: Names = key("V, Iion, states of the model, or on a neuron Isyn, Iclamp, Igap and Inoise", ("V",),
                           example='["V", "Iion"]')
    interpolate: bool = key("interpolate within the cell instead of taking the nearest node", False)


@dataclass(frozen=True, kw_only=True)
class Spikes:
    """Upward crossings of a threshold at points, interpolated, into ``spikes.csv``."""

    points: dict[str, Point | Site] = key(
        "positions by name; on a neuron also sites", example='{ tip = ["0 mm", "0 mm", "0 mm"] }')
    threshold: Voltage = key("what V crosses", 0.0, example='"-20 mV"')


@dataclass(frozen=True, kw_only=True)
class Snapshots:
    """Fields over time, into ``vm.vtkhdf``."""

    every: Time = key("interval; a whole number of steps", example='"1 ms"', must="> 0")
    variables: Names = key("V, Iion, states of the model, of tissue phi_e, or on a neuron Isyn, Iclamp, Igap and "
                           "Inoise", ("V",), example='["V", "Iion"]')
    regions: Regions | None = key("only the cells of these regions; default: all", None, example='[1, "septum"]')


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """The run ends early, as if this were its end, once the stimuli are over and no node has reached `threshold` for
    so long."""

    threshold: Voltage = key("the tissue is quiet while V of every node is below this", -60.0, example='"-70 mV"')
    during: Time = key("how long it is to be quiet; looked at every millisecond", 20.0, example='"20 ms"', must="> 0")


@dataclass(frozen=True, kw_only=True)
class Ecg:
    """Potentials that the tissue makes at electrodes in a volume conductor, into ``ecg.csv``."""

    electrodes: dict[str, Point] = key("positions by name", example='{ near = ["25 mm", "0 mm", "0 mm"] }')
    every: Time = key("sampling interval; a whole number of steps", example='"1 ms"', must="> 0")
    leads: dict[str, Annotated[tuple[str, ...], Count(2, 2)]] = key(
        "differences of two electrodes by name: where it is measured, and against which", factory=dict,
        example='{ across = ["near", "far"] }')
    standard_leads: bool = key(
        "also the twelve standard leads I, II, III, aVR, aVL, aVF, V1 to V6; the electrodes are then to include RA, "
        "LA, LL (right arm, left arm, left leg) and V1 to V6", False)
    conductor: Literal["infinite", "mesh"] = key(
        "'infinite': homogeneous and without bounds; 'mesh': what the mesh fills and no more, tissue and bath, with "
        "their intracellular and extracellular conductivities; each electrode is then at the nearest node",
        "infinite")
    conductivity: Conductivity | None = key("of the infinite conductor; by default 0.2 S/m", None, example='"0.2 S/m"',
                                            must="> 0")
    thickness: Length | None = key("of a sheet, or the diameter of a cable; of meshes that fill no volume, in an "
                                   "infinite conductor", None, example='"1 mm"', must="> 0")


@dataclass(frozen=True, kw_only=True)
class Tips:
    """Tips of re-entrant waves into ``tips.csv``; in volumes their filaments, into ``filaments.csv``.

    A tip is where V is at ``level`` and neither rises nor falls: where V(t) and V(t - delay) both are at it.
    """

    every: Time = key("sampling interval; a whole number of steps", example='"2 ms"', must="> 0")
    level: Voltage = key("midway between rest and plateau", -40.0, example='"-40 mV"')
    delay: Time | None = key("a whole number of steps, in which a wave crosses an edge or more; by default 5 ms", None,
                             example='"5 ms"', must="> 0")
    recovery: str | None = key(
        "instead of a delayed V: a variable of the model that follows V; where it falls as V rises, rotation changes "
        "its sign", None, example='"h"')
    recovery_level: float | None = key("what takes the place of `level` for it", None, example="0.5")
    reach: Length = key("a tip at most so far from one of the sample before may be the same", 0.5, example='"5 mm"',
                        must="> 0")


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What the run looks at while it steps."""

    activation: Activation = key("activation, repolarisation and APD maps", factory=Activation)
    probes: Probes | None = key("point probes", None)
    spikes: Spikes | None = key("times of spikes", None)
    snapshots: Snapshots | None = key("snapshots of fields", None)
    ecg: Ecg | None = key("potentials at electrodes, and leads", None)
    tips: Tips | None = key("tips of re-entrant waves", None)
    stop_when_quiet: Quiet | None = key("end the run when tissue has come to rest", None)
