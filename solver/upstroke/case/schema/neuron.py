"""`[mesh]` of neurons, and `[cable]`: how their compartments couple."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from upstroke.case.schema.keys import (
    Capacitance,
    Conductance,
    Count,
    Direction,
    Frequency,
    Length,
    Regions,
    Resistivity,
    Temperature,
    TotalCapacitance,
    key,
)


@dataclass(frozen=True, kw_only=True)
class Compartments:
    """Into how many compartments sections are divided: one of three rules, by default `d_lambda = 0.1`."""

    d_lambda: float | None = key(
        "longest compartment as a fraction of the section's length constant for alternating current, "
        "lambda_f = 1/2 sqrt(d / (pi f Ra C_m)), and an odd number of them (Hines and Carnevale 2001)", None,
        example="0.1", must="> 0")
    frequency: Frequency = key("f of lambda_f", 0.1, example='"100 Hz"', must="> 0")
    max_length: Length | None = key("longest compartment", None, example='"10 um"', must="> 0")
    number: int | None = key("compartments of every section", None, example="1", must=">= 1")


@dataclass(frozen=True, kw_only=True)
class MorphologyMesh:
    """A neuron from a file: SWC or, with the extra `neuron`, Neurolucida's ASC and H5."""

    file: Path = key("the morphology, .swc, .asc or .h5", example='"cell.swc"')
    kind: Literal["morphology"] = key("a neuron from a file", "morphology")
    soma: Literal["neuron", "arbor", "neuromorpho"] = key(
        "how the soma's points are meant: as NEURON's Import3d, as Arbor, or as a sphere of equal area at whose middle "
        "all branches start", "neuron")
    compartments: Compartments = key("how sections are divided", factory=Compartments)
    regions: dict[str, str] = key(
        "regions by rule. A compartment belongs to the first whose expression holds, else to the one called as its "
        "type", factory=dict, example="""{ tuft = 'type == "apical" and distance > 300 um' }""")


@dataclass(frozen=True, kw_only=True)
class Section:
    """A cylinder or a cone, or with `levels` a tree of cylinders."""

    name: str = key("what it is called; those of a tree are NAME[0], NAME[1], ...", example='"dend"')
    length: Length | None = key("its length; of a tree: of its trunk", None, example='"200 um"', must="> 0")
    diameter: Length | tuple[Length, Length] | None = key(
        "its diameter, or those at both ends; of a tree: of its trunk", None, example='"2 um"', must="> 0")
    capacitance: TotalCapacitance | None = key(
        "of a compartment without a shape, in place of length and diameter: its area is that over C_m of `[cable]`",
        None, example='"100 pF"', must="> 0")
    type: Literal["soma", "axon", "basal", "apical"] = key("its part of the cell", "basal")
    parent: str | None = key("the section it starts from; only the first has none", None, example='"soma"')
    parent_x: float = key("where on the parent: 0 its start, 1 its end", 1.0, must=">= 0 and <= 1")
    coupling: Conductance | None = key(
        "the conductance between its first compartment and that of the parent at parent_x, in place of what their "
        "shapes and Ra make", None, example='"15 nS"', must="> 0")
    levels: int = key("levels of branches of a tree, with its trunk", 1, must=">= 1 and <= 16")
    branches: int = key("branches that start where one of a tree ends", 2, must=">= 1 and <= 8")
    diameter_ratio: float | None = key(
        "diameter of a branch over that of its parent; default: branches^(-2/3), Rall's rule", None, example="0.63",
        must="> 0")
    length_ratio: float | None = key(
        "length of a branch over that of its parent; default: the square root of diameter_ratio, as long in length "
        "constants", None, example="0.8", must="> 0")
    compartments: int | None = key("how many it has, instead of what the rule of the cell gives it", None, example="9",
                                   must=">= 1")
    direction: Direction | None = key("where it points, for pictures; default: as its parent, the first along x", None,
                                      example="[0, 1, 0]")
    values: dict[str, float] = key("numbers that its nodes carry by name, for `membrane.nodal`", factory=dict,
                                   example="{ Rm = 20 }")
    conductances: dict[str, Conductance] = key(
        "conductances of the whole section by name, which its nodes carry per membrane area, for `membrane.nodal`",
        factory=dict, example='{ g_L = "5 nS" }')


@dataclass(frozen=True, kw_only=True)
class SectionsMesh:
    """A neuron made of cylinders, cones and trees of cylinders."""

    section: Annotated[tuple[Section, ...], Count(1)] = key("its parts; parents come first")
    kind: Literal["sections"] = key("a neuron from sections", "sections")
    compartments: Compartments = key("how sections are divided", factory=Compartments)
    regions: dict[str, str] = key("regions by rule, as of morphologies", factory=dict,
                                  example="""{ far = "distance > 100 um" }""")


@dataclass(frozen=True, kw_only=True)
class CableRegion:
    """What differs from `[cable]` in some regions. Length constants, and so compartments, follow."""

    regions: Regions = key("tags or names of the regions meant", example='["axon"]')
    axial_resistivity: Resistivity | None = key("Ra there", None, example='"70 ohm*cm"', must="> 0")
    capacitance: Capacitance | None = key("C_m there; needs `time.splitting` \"implicit\" or \"staggered\"", None,
                                          example='"0.02 uF/cm^2"', must="> 0")
    area_factor: float = key("what the area of the membrane is multiplied by, for spines: its capacitance, and the "
                             "conductances of all membranes", 1.0, example="2.0", must="> 0")


@dataclass(frozen=True, kw_only=True)
class Cable:
    """How the compartments of a neuron couple: C_m A_i dV_i/dt = sum_j (V_j - V_i) / R_ij, with R from their cones."""

    surface_to_volume: ClassVar[float] = math.nan        # a neuron fills no volume
    axial_resistivity: Resistivity = key("Ra, of the cytoplasm", example='"100 ohm*cm"', must="> 0")
    capacitance: Capacitance = key("C_m, membrane capacitance per area", 1.0, example='"1 uF/cm^2"', must="> 0")
    temperature: Temperature | None = key(
        "the temperature of all membranes: the parameter `celsius` of every model and plug-in that has one; default: "
        "as their papers have it", None, example='"34 degC"', must="> -100 and < 100")
    region: tuple[CableRegion, ...] = key("what differs in single regions", ())
