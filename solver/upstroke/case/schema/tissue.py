"""`[tissue]`: how neighbours couple."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from upstroke.case.schema.keys import Capacitance, Conductivities, Count, Numbers, Regions, SurfaceToVolume, key


@dataclass(frozen=True, kw_only=True)
class ConductivityTable:
    """Conductivities along fibre, sheet and normal: one value (isotropic), two (along, across) or three."""

    monodomain: Conductivities | None = key("monodomain values, instead of the two below; 0 where no current flows (a "
                                            "dense scar): the tissue ends at the edge of these cells", None,
                                             example='["1.33 mS/cm", "0.176 mS/cm"]', must=">= 0")
    intracellular: Conductivities | None = key("intracellular values; 0 in a bath or a torso, where the tissue ends",
                                                None, example='["0.17 S/m", "0.019 S/m"]', must=">= 0")
    extracellular: Conductivities | None = key(
        "extracellular values; the monodomain value is i e / (i + e), axis by axis", None,
        example='["0.62 S/m", "0.24 S/m"]', must="> 0")
    scale: float | Numbers | Annotated[tuple[float | Numbers, ...], Count(1, 3)] = key(
        "what the conductivities are multiplied by, one value, or one per axis: a number; an expression of the place "
        "of a cell's middle (as in membrane.nodal) and of the mesh's data; cell data of the mesh file; or a file with "
        "a number for each cell of the mesh (text, or .npy)", 1.0, must="> 0",
        example="'0.2 + 0.8 * min(1, x / (5 mm))'")
    regions: Regions | None = key("tags or names of the regions meant; default: all that no other table names", None,
                                  example='[1, "septum"]')


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """How neighbours couple: M dV/dt = -K V with diffusivity sigma / (beta C_m)."""

    conductivity: Annotated[tuple[ConductivityTable, ...], Count(1)] = key(
        "conductivities, one table per group of regions")
    surface_to_volume: SurfaceToVolume = key("beta, membrane surface per tissue volume", example='"140 /mm"',
                                             must="> 0")
    capacitance: Capacitance = key("C_m, membrane capacitance per area", 1.0, example='"1 uF/cm^2"', must="> 0")
    waves: Literal["auto", "calibrated", "fourth_order", "lumped", "consistent"] | float = key(
        "the operator, by what it does to waves on coarse meshes: 'calibrated' gives the membrane's waves the velocity "
        "that they have on fine meshes; 'fourth_order' is a correction that knows no membrane; without correction, by "
        "the mass matrix: 'lumped', 'consistent', or a number w for w lumped + (1 - w) consistent. 'auto' is "
        "'calibrated' in the plane and in space; along lines, on full grids and for models without waves it is 0.2, "
        "and then 'lumped' on compact grids", "auto", must="> -0.5 and <= 1", example='"calibrated"', was="mass")

    def corrected(self, dim: int, stencil: str | None) -> bool:
        """Whether the curves of the membranes are wanted on a mesh of this dimension, on a grid of this stencil."""
        return self.waves == "calibrated" or (self.waves == "auto" and dim > 1 and stencil != "full")

    def uncorrected(self, stencil: str | None) -> str | float:
        """The operator without curves, on a grid of this stencil, or on another mesh (None)."""
        if self.waves != "auto":
            return self.waves
        return "lumped" if stencil == "compact" else 0.2
