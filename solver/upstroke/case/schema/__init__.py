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

What types cannot say (one key against another) is in ``rules``.

Internal units: cm, ms, mV, uA/cm^2, mS/cm, uF/cm^2 (``upstroke.units``).
"""

from __future__ import annotations

from upstroke.case.schema.case import Backend, Case, Output
from upstroke.case.schema.gap import GapJunction
from upstroke.case.schema.keys import (
    Capacitance,
    Concentration,
    Conductance,
    Conductivities,
    Conductivity,
    Count,
    Current,
    CurrentDensity,
    Direction,
    FileIfSuffix,
    Frequency,
    Length,
    Names,
    Point,
    Quantity,
    Regions,
    Resistance,
    Resistivity,
    SurfaceToVolume,
    Temperature,
    Time,
    TotalCapacitance,
    Voltage,
    VolumeCurrent,
    key,
)
from upstroke.case.schema.membrane import Membrane, Prepace
from upstroke.case.schema.mesh import (
    BiventricleMesh,
    CableMesh,
    FileMesh,
    GridMesh,
    SheetMesh,
    SlabMesh,
    VentricleMesh,
)
from upstroke.case.schema.network import Drawn, NetworkMesh, Population
from upstroke.case.schema.neuron import Cable, CableRegion, Compartments, MorphologyMesh, Section, SectionsMesh
from upstroke.case.schema.noise import NoiseTable
from upstroke.case.schema.purkinje import FractalTree, PurkinjeTree
from upstroke.case.schema.stimulus import Box, Site, Sphere, Stimulus
from upstroke.case.schema.synapse import KINETICS, DrawnConductance, DrawnTime, Events, Synapse, VoltageClamp
from upstroke.case.schema.time import Solver, TimeTable
from upstroke.case.schema.tissue import ConductivityTable, Tissue
from upstroke.case.schema.watch import Activation, Ecg, Probes, Quiet, Snapshots, Spikes, Tips, Watch

__all__ = [
    "KINETICS",
    "Activation",
    "Backend",
    "BiventricleMesh",
    "Box",
    "Cable",
    "CableMesh",
    "CableRegion",
    "Capacitance",
    "Case",
    "Compartments",
    "Concentration",
    "Conductance",
    "Conductivities",
    "Conductivity",
    "ConductivityTable",
    "Count",
    "Current",
    "CurrentDensity",
    "Direction",
    "Drawn",
    "DrawnConductance",
    "DrawnTime",
    "Ecg",
    "Events",
    "FileIfSuffix",
    "FileMesh",
    "FractalTree",
    "Frequency",
    "GapJunction",
    "GridMesh",
    "Length",
    "Membrane",
    "MorphologyMesh",
    "Names",
    "NetworkMesh",
    "NoiseTable",
    "Output",
    "Point",
    "Population",
    "Prepace",
    "Probes",
    "PurkinjeTree",
    "Quantity",
    "Quiet",
    "Regions",
    "Resistance",
    "Resistivity",
    "Section",
    "SectionsMesh",
    "SheetMesh",
    "Site",
    "SlabMesh",
    "Snapshots",
    "Solver",
    "Sphere",
    "Spikes",
    "Stimulus",
    "SurfaceToVolume",
    "Synapse",
    "Temperature",
    "Time",
    "TimeTable",
    "Tips",
    "Tissue",
    "TotalCapacitance",
    "VentricleMesh",
    "Voltage",
    "VoltageClamp",
    "VolumeCurrent",
    "Watch",
    "key",
]
