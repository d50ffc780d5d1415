"""`[[membrane]]`: what each point does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from upstroke.case.schema.keys import CurrentDensity, FileIfSuffix, Numbers, Regions, Time, key


@dataclass(frozen=True, kw_only=True)
class Prepace:
    """A single cell is paced before the run, from `initial`; tissue starts as it is at the end, or at a phase of its
    last beat. The result is kept for other runs."""

    beats: int = key("how many", must=">= 1", example="100")
    period: Time = key("from beat to beat", example='"1000 ms"', must="> 0")
    current: CurrentDensity = key("strength of the stimuli", 60.0, example='"60 uA/cm^2"')
    duration: Time = key("duration of the stimuli", 1.0, example='"1 ms"', must="> 0")
    phase: str | None = key(
        "where in the last beat each node starts, in periods after its stimulus, such as `0.5`; whole numbers do not "
        "count. Point data, or an expression of the place, as of `nodal`, also with `atan2` and `pi`: a phase that "
        "goes round a point makes a rotor there; default: at the end", None,
        example="'atan2(y - 25 mm, x - 25 mm) / (2 * pi)'")


@dataclass(frozen=True, kw_only=True)
class Membrane:
    """What each node does: an ionic model, its parameters and its initial state.

    With several tables, a node has the membrane that owns most of the volume of the cells around it; a tie goes to the
    earlier table.
    """

    model: Annotated[str, FileIfSuffix(".model")] = key(
        "a shipped model's name, or the path of a .model file", example='"tenTusscherPanfilov"')
    flags: tuple[str, ...] = key("variants of the model", (), example='["EPI"]')
    parameters: dict[str, float | str] = key(
        "parameters by name: a value in the model's unit, or a change of its default: '-62%', '*0.38', '+0.1'. "
        "`\"*.E_K\"` is E_K of the model and of all its plug-ins that have it",
        factory=dict, example='{ GNa = "-62%", GK1 = 1.081 }')
    plugins: tuple[Annotated[str, FileIfSuffix(".model")], ...] | dict[str, dict[str, float | str]] = key(
        "what is added to the model: plug-ins by name or path; or by name with values of their parameters. A plug-in's "
        "states and parameters are called PLUGIN.name in the other keys. `Na = { plugin = \"DendriticSpike\" }` is one "
        "by a name of its own, so that a membrane can have two", (),
        example='{ IKATP_Ferrero = { ATP_i = 4 } }')
    nodal: dict[str, Numbers] = key(
        "parameters that differ from node to node, in the model's unit: the mesh file's point data with their values, "
        "a file with a number for each node of the mesh (text, or .npy), "
        "`values` of a neuron's sections, or an expression of these and of the place: the coordinates x, y, z; "
        "on a neuron distance, diameter, x (0..1 along the section), type and section. It has + - * / **, exp, log, "
        "sqrt, abs, min, max, comparisons, `a if ... else b`; lengths have a unit, and must cancel",
        factory=dict, example="{ Gks = 'gks * (1 - 0.3 * z / (10 mm))' }")
    initial: dict[str, float] | Path = key(
        "initial values by state name (V in mV), or a file that holds all: of `upstroke bench`, or openCARP's .sv",
        factory=dict, example="{ V = -85.23, m = 0.00172 }")
    prepace: Prepace | None = key("pace a single cell before the run", None,
                                  example='{ beats = 100, period = "1000 ms" }')
    method: str | dict[str, str] = key(
        "integration method: one for V and all states, or by name; 'auto', as the default, is what the model's file "
        "says, else 'rush_larsen' where a rate is linear in its state, else 'fe'", factory=dict,
        example='{ V = "rk2" }')
    regions: Regions | None = key("tags or names of the regions meant; default: all that no other table names", None,
                                  example='["endo"]')
