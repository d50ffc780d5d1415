"""`[[purkinje]]`: trees of Purkinje strands on the heart's inside, and their junctions with the tissue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from upstroke.case.schema.keys import Conductivity, Length, Resistance, SurfaceToVolume, key


@dataclass(frozen=True, kw_only=True)
class FractalTree:
    """A tree that grows by rule on the surface of the tissue: each branch ends in two, which keep off all others.

    After Sahli Costabal, Hurtado, Kuhl, J. Biomech. 49, 2455 (2016), doi 10.1016/j.jbiomech.2015.12.025.
    """

    surface: str = key("the node set that bounds the part of the surface on which it grows", example='"zmin"')
    root: tuple[Length, Length, Length] = key("where it starts; the nearest place of the surface is taken",
                                              example='["0 mm", "10 mm", "0 mm"]')
    toward: tuple[Length, Length, Length] = key("the place that the trunk grows toward",
                                                example='["10 mm", "10 mm", "0 mm"]')
    trunk: Length = key("length of the first branch", example='"5 mm"', must="> 0")
    length: Length = key("mean length of the other branches", example='"3 mm"', must="> 0")
    spread: float = key("standard deviation of their lengths, of the mean", 0.3, must=">= 0 and < 1")
    generations: int = key("how often branches fork", example="6", must=">= 0 and <= 20")
    angle: float = key("by how many degrees each of the two turns away at a fork", 30.0, must="> 0 and < 90")
    repulsion: float = key("how strongly a branch turns away from the nearest other one: 0 not at all", 0.1,
                           must=">= 0 and < 1")
    seed: int = key("of the random lengths, and of the order in which branches grow", 0, must=">= 0")


@dataclass(frozen=True, kw_only=True)
class PurkinjeTree:
    """Strands that conduct along themselves and meet the tissue at junctions, at their ends, and nowhere else.

    Its name is a region, for ``membrane.regions`` and stimuli; NAME_root and NAME_ends are node sets.
    """

    conductivity: Conductivity = key("along the strands", example='"15 mS/cm"', must="> 0")
    diameter: Length = key("of a strand, a bundle of cells", example='"0.2 mm"', must="> 0")
    resistance: Resistance = key("of each junction, between the strand's end and the tissue around it",
                                 example='"1 Mohm"', must="> 0")
    radius: Length = key("how far around an end the tissue takes part in its junction, each node by its volume; at "
                         "least the nearest node does", 0.05, example='"0.5 mm"', must="> 0")
    file: Path | None = key("a file with the strands as lines: legacy VTK (polydata, too), VTU, ...", None,
                            example='"tree.vtk"')
    unit: Literal["m", "cm", "mm", "um"] | None = key("unit of the file's coordinates", None, example='"um"')
    root: tuple[Length, Length, Length] | None = key("of a file: the end that has no junction; default: its first "
                                                     "point", None, example='["0 mm", "0 mm", "0 mm"]')
    fractal: FractalTree | None = key("instead of a file: a tree that grows by rule", None)
    dx: Length = key("longest piece that strands are cut into", 0.02, example='"0.2 mm"', must="> 0")
    surface_to_volume: SurfaceToVolume | None = key("membrane surface per volume of a strand; default: that of the "
                                                    "tissue", None, example='"140 /mm"', must="> 0")
    name: str = key("its region's name", "purkinje", example='"left_bundle"')
