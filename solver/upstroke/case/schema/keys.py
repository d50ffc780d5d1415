"""What keys of tables are made of: kinds of quantities, counts, files, and `key`."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from typing import Annotated, Any


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
    """Marks text that is a file's path, relative to the case file, where it ends with ``suffix`` (or one of them)."""

    suffix: str | tuple[str, ...]


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
TotalCapacitance = Annotated[float, Quantity("total_capacitance")]
CurrentDensity = Annotated[float, Quantity("current_density")]
VolumeCurrent = Annotated[float, Quantity("volume_current")]
Current = Annotated[float, Quantity("current")]
Resistivity = Annotated[float, Quantity("resistivity")]
Frequency = Annotated[float, Quantity("frequency")]
Conductance = Annotated[float, Quantity("conductance")]
Resistance = Annotated[float, Quantity("resistance")]
Temperature = Annotated[float, Quantity("temperature")]
Concentration = Annotated[float, Quantity("concentration")]
Point = Annotated[tuple[Length, ...], Count(1, 3)]
Conductivities = Annotated[tuple[Conductivity, ...], Count(1, 3)]
Names = Annotated[tuple[str, ...], Count(1)]
Regions = Annotated[tuple[int | str, ...], Count(1)]
Direction = tuple[float, float, float]
#: Numbers of nodes or cells: the mesh's data of a name, an expression of the place, or a file.
Numbers = Annotated[str, FileIfSuffix((".txt", ".dat", ".npy"))]
