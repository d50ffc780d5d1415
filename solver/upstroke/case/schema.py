"""What a case file may say, as frozen dataclasses: one class per table, one field per key.

The loader, the error messages and the reference page (``docs/case_reference.md``) are all derived from these
classes, so a key exists in one place only. A field's type says what is accepted:

* ``Annotated[float, Quantity(kind)]`` a quantity written with its unit; stored in the internal unit of its kind
* ``Literal[...]`` one of the given words; ``tuple[T, T, T]`` exactly three; ``tuple[T, ...]`` any number, unless
  ``Annotated[..., Count(low, high)]`` says how many
* a dataclass: a table; ``tuple[dataclass, ...]``: an array of tables (a single table is accepted for one)
* a union of dataclasses: a table whose ``kind`` chooses the class
* ``Path``: a file, relative to the case file's folder; ``Annotated[str, FileIfSuffix(s)]``: a name, or a file
  where it ends with ``s``
* ``must`` of a key: bounds of its numbers, such as "> 0", in the internal unit

What types cannot say (one key against another) is in ``rules.py``.

Internal units: cm, ms, mV, uA/cm^2, mS/cm, uF/cm^2 (``upstroke.units``).
"""
# ruff: noqa: RUF009   (key() makes a dataclass field: that is what defaults are for)

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from upstroke.errors import Place


@dataclass(frozen=True)
class Quantity:
    """Marks a number that is written with its unit, of a kind in ``units.KINDS``."""

    kind: str


@dataclass(frozen=True)
class Count:
    """Marks an array by how many values it takes; ``high`` 0 means no limit."""

    low: int
    high: int = 0


@dataclass(frozen=True)
class FileIfSuffix:
    """Marks text that is a file's path, relative to the case file, where it ends with ``suffix``."""

    suffix: str


def key(doc: str, default: Any = MISSING, *, example: str = "", must: str = "", factory: Any = MISSING,
        others: dict[str, str] | None = None, was: str = "") -> Any:
    """A key of a table: its one-line documentation, its default, an accepted example as TOML text, its bounds.

    ``others`` are hints for words of other programs that are not accepted here; ``was`` is what the key was called.
    """
    return field(default=default, default_factory=factory,
                 metadata={"doc": doc, "example": example, "must": must, "others": others or {}, "was": was})


Length = Annotated[float, Quantity("length")]
Time = Annotated[float, Quantity("time")]
Voltage = Annotated[float, Quantity("voltage")]
Conductivity = Annotated[float, Quantity("conductivity")]
SurfaceToVolume = Annotated[float, Quantity("surface_to_volume")]
Capacitance = Annotated[float, Quantity("capacitance")]
CurrentDensity = Annotated[float, Quantity("current_density")]
VolumeCurrent = Annotated[float, Quantity("volume_current")]
Current = Annotated[float, Quantity("current")]
Resistivity = Annotated[float, Quantity("resistivity")]
Frequency = Annotated[float, Quantity("frequency")]
Conductance = Annotated[float, Quantity("conductance")]
Resistance = Annotated[float, Quantity("resistance")]
Concentration = Annotated[float, Quantity("concentration")]
Point = Annotated[tuple[Length, ...], Count(1, 3)]
Conductivities = Annotated[tuple[Conductivity, ...], Count(1, 3)]
Names = Annotated[tuple[str, ...], Count(1)]
Regions = Annotated[tuple[int | str, ...], Count(1)]
Direction = tuple[float, float, float]


# ------------------------------------------------------------------------------------------------ [mesh]
@dataclass(frozen=True, kw_only=True)
class CableMesh:
    """A straight cable of segments along x, from ``origin``."""

    length: Length = key("length of the cable", example='"20 mm"', must="> 0")
    dx: Length = key("length of a segment; adjusted down so that segments fill the cable",
                     example='"0.1 mm"', must="> 0")
    kind: Literal["cable"] = key("a cable", "cable")
    origin: tuple[Length, Length, Length] = key("position of the first node", (0.0, 0.0, 0.0),
                                                   example='["0 mm", "0 mm", "0 mm"]')


@dataclass(frozen=True, kw_only=True)
class SheetMesh:
    """A rectangle of triangles in the x-y plane, from ``origin``."""

    size: tuple[Length, Length] = key("extent along x and y", example='["20 mm", "7 mm"]', must="> 0")
    dx: Length | tuple[Length, Length] = key(
        "resolution, one for both axes or one per axis", example='"0.2 mm"', must="> 0")
    kind: Literal["sheet"] = key("a rectangle", "sheet")
    origin: tuple[Length, Length, Length] = key(
        "position of the corner nearest to minus infinity", (0.0, 0.0, 0.0), example='["0 mm", "0 mm", "0 mm"]')
    fibre: Direction | None = key("fibre direction, normalised", None, example="[1, 0, 0]")
    sheet: Direction | None = key("sheet direction, normalised, made orthogonal to the fibre", None,
                                    example="[0, 1, 0]")


@dataclass(frozen=True, kw_only=True)
class SlabMesh:
    """A box of tetrahedra (six per cube, all cubes alike), from ``origin``."""

    size: tuple[Length, Length, Length] = key(
        "extent along x, y and z", example='["20 mm", "7 mm", "3 mm"]', must="> 0")
    dx: Length | tuple[Length, Length, Length] = key(
        "resolution, one for all axes or one per axis", example='"0.2 mm"', must="> 0")
    kind: Literal["slab"] = key("a box", "slab")
    origin: tuple[Length, Length, Length] = key(
        "position of the corner nearest to minus infinity", (0.0, 0.0, 0.0), example='["0 mm", "0 mm", "0 mm"]')
    fibre: Direction | None = key("fibre direction, normalised", None, example="[1, 0, 0]")
    sheet: Direction | None = key("sheet direction, normalised, made orthogonal to the fibre", None,
                                    example="[0, 1, 0]")


@dataclass(frozen=True, kw_only=True)
class GridMesh:
    """A grid of equal squares or cubes, whole or cut out by a mask, from ``origin``.

    Arrays in files (.npy, or .npz) are indexed [x, y] or [x, y, z], with one entry per cell.
    """

    dx: Length | Annotated[tuple[Length, ...], Count(2, 3)] = key(
        "edge of a cell, one for all axes or one per axis", example='"0.2 mm"', must="> 0")
    kind: Literal["grid"] = key("a grid", "grid")
    size: Annotated[tuple[Length, ...], Count(2, 3)] | None = key(
        "extent along x and y, or x, y and z; follows from the mask where there is one", None,
        example='["20 mm", "7 mm"]', must="> 0")
    mask: Path | None = key("file with a whole number per cell: 0 where there is no tissue, elsewhere the region's tag",
                            None, example='"mask.npy"')
    stencil: Literal["compact", "full"] = key(
        "neighbours of a node: 'compact' 5 or 9 in the plane, 7 to 19 in space; 'full' 9, 27", "compact")
    origin: tuple[Length, Length, Length] = key(
        "position of the corner nearest to minus infinity", (0.0, 0.0, 0.0), example='["0 mm", "0 mm", "0 mm"]')
    fibre: Direction | Path | None = key("fibre direction: one vector, or a file with three numbers per cell "
                                         "(shape of the grid, and 3)", None, example="[1, 0, 0]")
    sheet: Direction | Path | None = key("sheet direction, likewise; made orthogonal to the fibre", None,
                                         example="[0, 1, 0]")


@dataclass(frozen=True, kw_only=True)
class FileMesh:
    """A mesh from a file: every format that meshio reads, and the carp trio (name the ``.pts`` or ``.bpts``)."""

    file: Path = key("the mesh file", example='"heart.vtu"')
    unit: Literal["m", "cm", "mm", "um"] = key("unit of the coordinates, which mesh files do not carry",
                                               example='"um"')
    kind: Literal["file"] = key("a file", "file")
    region: str | None = key("cell data that holds the region tags; default: the format's own "
                             "(gmsh:physical, medit:ref, region, ...)", None, example='"elem_tag"')
    fibre: Direction | str | None = key("fibre direction: one vector, or the name of the cell data that holds it; "
                                        "default: cell data named 'fibre' where the file has it", None,
                                          example='"fibres"')
    sheet: Direction | str | None = key("sheet direction, likewise; default: cell data named 'sheet'", None,
                                          example="[0, 1, 0]")
    node_sets: dict[str, Path] = key("named node sets from .vtx files", factory=dict,
                                     example='{ apex = "apex.vtx" }')


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
    length: Length = key("its length; of a tree: of its trunk", example='"200 um"', must="> 0")
    diameter: Length | tuple[Length, Length] = key("its diameter, or those at both ends; of a tree: of its trunk",
                                                   example='"2 um"', must="> 0")
    type: Literal["soma", "axon", "basal", "apical"] = key("its part of the cell", "basal")
    parent: str | None = key("the section it starts from; only the first has none", None, example='"soma"')
    parent_x: float = key("where on the parent: 0 its start, 1 its end", 1.0, must=">= 0 and <= 1")
    levels: int = key("levels of branches of a tree, with its trunk", 1, must=">= 1 and <= 16")
    branches: int = key("branches that start where one of a tree ends", 2, must=">= 1 and <= 8")
    diameter_ratio: float | None = key(
        "diameter of a branch over that of its parent; default: branches^(-2/3), Rall's rule", None, example="0.63",
        must="> 0")
    length_ratio: float | None = key(
        "length of a branch over that of its parent; default: the square root of diameter_ratio, as long in length "
        "constants", None, example="0.8", must="> 0")
    direction: Direction | None = key("where it points, for pictures; default: as its parent, the first along x", None,
                                      example="[0, 1, 0]")
    values: dict[str, float] = key("numbers that its nodes carry by name, for `membrane.nodal`", factory=dict,
                                   example="{ Rm = 20 }")


@dataclass(frozen=True, kw_only=True)
class SectionsMesh:
    """A neuron made of cylinders, cones and trees of cylinders."""

    section: Annotated[tuple[Section, ...], Count(1)] = key("its parts; parents come first")
    kind: Literal["sections"] = key("a neuron from sections", "sections")
    compartments: Compartments = key("how sections are divided", factory=Compartments)
    regions: dict[str, str] = key("regions by rule, as of morphologies", factory=dict,
                                  example="""{ far = "distance > 100 um" }""")


# ---------------------------------------------------------------------------------------------- [tissue]
@dataclass(frozen=True, kw_only=True)
class ConductivityTable:
    """Conductivities along fibre, sheet and normal: one value (isotropic), two (along, across) or three."""

    monodomain: Conductivities | None = key("monodomain values, instead of the two below", None,
                                             example='["1.33 mS/cm", "0.176 mS/cm"]', must="> 0")
    intracellular: Conductivities | None = key("intracellular values", None,
                                                example='["0.17 S/m", "0.019 S/m"]', must="> 0")
    extracellular: Conductivities | None = key(
        "extracellular values; the monodomain value is i e / (i + e), axis by axis", None,
        example='["0.62 S/m", "0.24 S/m"]', must="> 0")
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


@dataclass(frozen=True, kw_only=True)
class Cable:
    """How the compartments of a neuron couple: C_m A_i dV_i/dt = sum_j (V_j - V_i) / R_ij, with R from their cones."""

    surface_to_volume: ClassVar[float] = math.nan        # a neuron fills no volume
    axial_resistivity: Resistivity = key("Ra, of the cytoplasm", example='"100 ohm*cm"', must="> 0")
    capacitance: Capacitance = key("C_m, membrane capacitance per area", 1.0, example='"1 uF/cm^2"', must="> 0")


# -------------------------------------------------------------------------------------------- [membrane]
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
        "parameters by name: a value in the model's unit, or a change of its default: '-62%', '*0.38', '+0.1'",
        factory=dict, example='{ GNa = "-62%", GK1 = 1.081 }')
    plugins: tuple[Annotated[str, FileIfSuffix(".model")], ...] | dict[str, dict[str, float | str]] = key(
        "what is added to the model: plug-ins by name or path; or by name with values of their parameters. A plug-in's "
        "states and parameters are called PLUGIN.name in the other keys", (),
        example='{ IKATP_Ferrero = { ATP_i = 4 } }')
    nodal: dict[str, str] = key(
        "parameters that differ from node to node: the mesh file's point data with their values, or `values` of a "
        "neuron's sections, in the model's unit",
        factory=dict, example='{ Gks = "gks" }')
    initial: dict[str, float] | Path = key(
        "initial values by state name (V in mV), or a file that holds all: of `upstroke bench`, or openCARP's .sv",
        factory=dict, example="{ V = -85.23, m = 0.00172 }")
    method: str | dict[str, str] = key(
        "integration method: one for V and all states, or by name; 'auto', as the default, is what the model's file "
        "says, else 'rush_larsen' where a rate is linear in its state, else 'fe'", factory=dict,
        example='{ V = "rk2" }')
    regions: Regions | None = key("tags or names of the regions meant; default: all that no other table names", None,
                                  example='["endo"]')


# ------------------------------------------------------------------------------------------------ [time]
@dataclass(frozen=True, kw_only=True)
class TimeTable:
    """How long and by which steps."""

    end: Time = key("duration of the run; a whole number of steps", example='"40 ms"', must="> 0")
    dt: Time = key("time step", example='"0.02 ms"', must="> 0")
    splitting: Literal["godunov", "strang", "unsplit", "implicit", "staggered"] = key(
        "order 1: reaction, diffusion; order 2: half diffusion, reaction, half diffusion; 'unsplit': both from the "
        "same state, in one pass (order 1, explicit diffusion). On cables and trees 'implicit' (order 1) and "
        "'staggered' (order 2) solve for V with the membrane's current in the matrix, then advance the states",
        "godunov")
    diffusion: Literal["explicit", "crank_nicolson", "backward_euler"] = key(
        "time scheme of the diffusion; 'implicit' and 'staggered' splittings have their own", "crank_nicolson")
    reaction_steps: int = key("reaction steps in one time step", 1, must=">= 1")


@dataclass(frozen=True, kw_only=True)
class Solver:
    """The linear solver of the implicit diffusion schemes.

    'cg' is conjugate gradients and 'chebyshev' Chebyshev's iteration, which needs bounds of the spectrum (found at the
    start) and hardly any sums; both with a Jacobi preconditioner. 'tree' is a direct solver for meshes without loops,
    cables and neurons: it neither iterates nor has a tolerance. 'scipy' (on the CPU) and 'cupyx' (on CUDA) are the
    conjugate gradients of these libraries, slow, to check the others by.
    """

    method: Literal["auto", "cg", "chebyshev", "tree", "scipy", "cupyx"] = key(
        "the solver; 'auto' is 'tree' where the mesh consists of trees of at most 65536 nodes, else 'cg'", "auto")
    tolerance: Voltage = key("stop when the volume-weighted RMS of the preconditioned residual is below this", 1e-5,
                             example='"1e-6 mV"', must="> 0")
    max_iterations: int = key("iterations after which the run stops with an error", 500, must=">= 1")


# -------------------------------------------------------------------------------------------- [[stimulus]]
@dataclass(frozen=True, kw_only=True)
class Box:
    """All nodes inside an axis-parallel box, faces included."""

    min: Point = key("lowest corner; one, two or three coordinates", example='["0 mm", "0 mm", "0 mm"]')
    max: Point = key("highest corner", example='["1.5 mm", "1.5 mm", "1.5 mm"]')


@dataclass(frozen=True, kw_only=True)
class Sphere:
    """All nodes within ``radius`` of ``centre``."""

    centre: Point = key("centre; one, two or three coordinates", example='["0 mm", "0 mm", "0 mm"]')
    radius: Length = key("radius", example='"2 mm"', must="> 0")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place on a neuron."""

    section: str = key("name of the section; `upstroke check` lists them", example='"dend[3]"')
    x: float = key("where on it: 0 its start, 1 its end", 0.5, must=">= 0 and <= 1")


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """A train of rectangular current pulses into some nodes; depolarising current is positive."""

    box: Box | None = key("where: a box", None)
    sphere: Sphere | None = key("where: a ball", None)
    nodes: str | None = key("where: a node set of the mesh", None, example='"apex"')
    region: int | str | None = key("where: all nodes of a region's cells", None, example='"septum"')
    site: Site | None = key("where: the compartment of a neuron that holds this place", None)
    current: CurrentDensity | None = key("strength per membrane area", None, example='"35.7 uA/cm^2"')
    volume_current: VolumeCurrent | None = key("strength per tissue volume, instead; divided by beta", None,
                                               example='"50000 uA/cm^3"')
    total_current: Current | None = key("strength of a current clamp at a site of a neuron, instead", None,
                                        example='"0.1 nA"')
    start: Time = key("start of the first pulse", 0.0, example='"0 ms"', must=">= 0")
    duration: Time = key("duration of a pulse", example='"2 ms"', must="> 0")
    period: Time | None = key("time from start to start; needed where count > 1", None, example='"500 ms"',
                              must="> 0")
    count: int = key("number of pulses", 1, must=">= 1")
    name: str = key("what messages call it", "", example='"S1"')


# ----------------------------------------------------------------------- [[synapse]] and [[voltage_clamp]]
#: Rise and decay (ms) and reversal potential (mV) that kinds of synapses have of themselves: those of the circuit of
#: Markram et al. 2015, Cell 163:456, doi 10.1016/j.cell.2015.09.029.
KINETICS: dict[str, tuple[float | None, float | None, float]] = {
    "expsyn": (None, None, 0.0), "exp2syn": (None, None, 0.0), "ampa": (0.2, 1.7, 0.0), "nmda": (0.29, 43.0, 0.0),
    "gaba": (0.2, 8.0, -80.0)}


@dataclass(frozen=True, kw_only=True)
class Events:
    """When the spikes leave that a synapse receives: a list, a Poisson process, or a file."""

    times: Annotated[tuple[Time, ...], Count(1)] | None = key("one by one; all synapses of the table receive them",
                                                              None, example='["20 ms", "35 ms"]', must=">= 0")
    rate: Frequency | None = key("of a Poisson process; every synapse of the table has a train of its own", None,
                                 example='"5 /s"', must="> 0")
    start: Time = key("when the process begins", 0.0, example='"0 ms"', must=">= 0")
    end: Time | None = key("when it ends; default: with the run", None, example='"500 ms"', must="> 0")
    seed: int | None = key("of the process: tables with the same seed receive the same trains, synapse by synapse; "
                           "default: the number of the table, from 1", None, example="1", must=">= 0 and <= 4294967295")
    file: Path | None = key("text, a spike a line: its time in ms, which all synapses of the table receive, or the "
                            "number of a synapse, from 0, and its time", None, example='"spikes.txt"')


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
    weight: Conductance = key("peak of the conductance that a spike opens, unblocked", example='"1 nS"', must="> 0")
    events: Events = key("when spikes leave")
    site: Site | None = key("where: the compartment that holds this place", None)
    region: int | str | None = key("where: anywhere on a region, by chance, as likely as there is membrane", None,
                                   example='"apical"')
    count: int = key("how many synapses", 1, must=">= 1 and <= 10000000")
    seed: int | None = key("of the chance by which places in a region are drawn; default: the number of the table, "
                           "from 1", None, example="1", must=">= 0 and <= 4294967295")
    tau_rise: Time | None = key("time constant of the rise", None, example='"0.5 ms"', must="> 0")
    tau_decay: Time | None = key("time constant of the decay, longer than that of the rise", None, example='"5 ms"',
                                 must="> 0")
    reversal: Voltage | None = key("E; default: 0 mV, of 'gaba' -80 mV", None, example='"0 mV"')
    magnesium: Concentration | None = key("Mg outside, for 'nmda'; default: 1 mM", None, example='"1 mM"', must=">= 0")
    delay: Time = key("from leaving to arrival", 0.0, example='"1 ms"', must=">= 0")
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


# ----------------------------------------------------------------------------------------------- [watch]
@dataclass(frozen=True, kw_only=True)
class Activation:
    """Activation and repolarisation times and APD of every beat at every node."""

    threshold: Voltage = key("activation: upward crossing of this voltage, interpolated", -40.0,
                             example='"0 mV"')
    repolarisation: float = key("repolarisation: return by this fraction of the beat's own amplitude "
                                "(0.9 gives APD90)", 0.9, must="> 0 and < 1")


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Variables at points, sampled into ``probes.csv``."""

    points: dict[str, Point | Site] = key(
        "positions by name; on a neuron also sites", example='{ P1 = ["0 mm", "0 mm", "0 mm"] }')
    every: Time = key("sampling interval; a whole number of steps", example='"0.1 ms"', must="> 0")
    variables: Names = key("V, Iion, states of the model, or on a neuron Isyn and Iclamp", ("V",),
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
    variables: Names = key("V, Iion, states of the model, or on a neuron Isyn and Iclamp", ("V",),
                           example='["V", "Iion"]')
    regions: Regions | None = key("only the cells of these regions; default: all", None, example='[1, "septum"]')


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What the run looks at while it steps."""

    activation: Activation = key("activation, repolarisation and APD maps", factory=Activation)
    probes: Probes | None = key("point probes", None)
    spikes: Spikes | None = key("times of spikes", None)
    snapshots: Snapshots | None = key("snapshots of fields", None)


# --------------------------------------------------------------------------------- [backend] and [output]
@dataclass(frozen=True, kw_only=True)
class Backend:
    """Who computes, and with which numbers."""

    device: Literal["auto", "cpu", "cuda"] = key(
        "the device; 'auto' takes the best there is", "auto",
        others={"gpu": "the GPU is 'cuda'", "cuda:": "take 'cuda', and choose one of several GPUs with the environment "
                                                     "variable CUDA_VISIBLE_DEVICES"})
    precision: Literal["fp64", "fp32", "mixed"] = key(
        "numbers of the membrane kernel; 'mixed': all in fp32 but the states that accumulate small changes", "fp64",
        others={"double": "did you mean 'fp64'?", "float64": "did you mean 'fp64'?",
                "single": "did you mean 'fp32'?", "float": "did you mean 'fp32'?"})
    threads: int = key("CPU threads; 0 takes all cores this process may use", 0, must=">= 0")


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is left behind."""

    picture: bool = key("draw activation.png", True)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A whole case file."""

    mesh: CableMesh | SheetMesh | SlabMesh | GridMesh | FileMesh | MorphologyMesh | SectionsMesh = key("where")
    tissue: Tissue | None = key("how neighbours couple; all meshes but neurons need it", None)
    cable: Cable | None = key("how the compartments of a neuron couple; neurons need it", None)
    membrane: Annotated[tuple[Membrane, ...], Count(1)] = key("what each point does, one table per group of regions")
    time: TimeTable = key("how long")
    stimulus: tuple[Stimulus, ...] = key("what is done to it", ())
    synapse: tuple[Synapse, ...] = key("synapses on a neuron", ())
    voltage_clamp: tuple[VoltageClamp, ...] = key("electrodes that hold V of a neuron", ())
    solver: Solver = key("the linear solver", factory=Solver)
    watch: Watch = key("what is looked at", factory=Watch)
    backend: Backend = key("who computes", factory=Backend)
    output: Output = key("what is left behind", factory=Output)
    title: str = key("a line for pictures and reports", "", example='"Niederer slab, dx 0.5 mm"')
    places: dict[str, Place] = field(default_factory=dict, compare=False, repr=False)   # no key: where each came from

    @property
    def coupling(self) -> Tissue | Cable:
        """How neighbours couple."""
        both = [table for table in (self.tissue, self.cable) if table is not None]
        assert len(both) == 1                              # the case was checked
        return both[0]

    def where(self, path: str) -> Place:
        """Where ``path`` ("stimulus.0.box") was written, for messages; for a default, where its table was."""
        while path:
            for spelling in (path, path.replace(".0", "")):        # a lone table may stand for an array of one
                if spelling in self.places:
                    return self.places[spelling]
            path = path.rpartition(".")[0]
        return self.places.get("", Place("case"))
