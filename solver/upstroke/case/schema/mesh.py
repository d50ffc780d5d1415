"""`[mesh]` of tissue: where it happens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from upstroke.case.schema.keys import Count, Direction, Length, key


def _regions() -> Any:
    return key("regions by rule: a cell belongs to the first whose expression holds in its middle, else to the region "
               "that it has. Expressions are those of membrane.nodal: coordinates x, y, z, the mesh's point data and "
               "cell data", factory=dict, example="{ scar = 'transmural > 0.5 and z < -5 mm' }")


def _endocardium() -> Any:
    return key("semi-axes of the inner surface, short and long", (0.7, 1.7), example='["7 mm", "17 mm"]', must="> 0")


def _epicardium() -> Any:
    return key("semi-axes of the outer surface", (1.0, 2.0), example='["10 mm", "20 mm"]', must="> 0")


def _base() -> Any:
    return key("height of the base's plane above the centre of the ellipsoids", 0.5, example='"5 mm"')


def _alpha() -> Any:
    return key("angle of the fibres at the endocardium and at the epicardium, degrees from the circumferential "
               "direction towards the base", (60.0, -60.0), must=">= -90 and <= 90")


def _beta() -> Any:
    return key("angle of the sheets there, degrees about the fibre from the outward normal", (-65.0, 25.0),
               must=">= -90 and <= 90")


def _layers() -> Any:
    return key("depths, 0 endocardium to 1 epicardium, at which region endo ends and epi begins", (1 / 3, 2 / 3),
               must="> 0 and < 1", example="[0.33, 0.67]")


@dataclass(frozen=True, kw_only=True)
class CableMesh:
    """A straight cable of segments along x, from ``origin``."""

    length: Length = key("length of the cable", example='"20 mm"', must="> 0")
    dx: Length = key("length of a segment; adjusted down so that segments fill the cable",
                     example='"0.1 mm"', must="> 0")
    kind: Literal["cable"] = key("a cable", "cable")
    origin: tuple[Length, Length, Length] = key("position of the first node", (0.0, 0.0, 0.0),
                                                   example='["0 mm", "0 mm", "0 mm"]')
    regions: dict[str, str] = _regions()


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
    regions: dict[str, str] = _regions()


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
    regions: dict[str, str] = _regions()


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
    regions: dict[str, str] = _regions()


@dataclass(frozen=True, kw_only=True)
class VentricleMesh:
    """A left ventricle: a truncated ellipsoid of tetrahedra with fibres by rule, its long axis along z, its apex below.

    Node sets endo, epi, base, apex; regions endo, M, epi; point data transmural, apicobasal, rotational.
    """

    dx: Length = key("length of an edge in the middle of the wall", example='"0.8 mm"', must="> 0")
    kind: Literal["ventricle"] = key("a left ventricle", "ventricle")
    cells_through: int | None = key("how many cells lie through the wall; default: as many of dx as fit best", None,
                                    example="4", must="> 0")
    endocardium: tuple[Length, Length] = _endocardium()
    epicardium: tuple[Length, Length] = _epicardium()
    base: Length = _base()
    alpha: tuple[float, float] = _alpha()
    beta: tuple[float, float] = _beta()
    layers: tuple[float, float] = _layers()
    regions: dict[str, str] = _regions()


@dataclass(frozen=True, kw_only=True)
class BiventricleMesh:
    """Two ventricles: that of kind "ventricle", and on its side of negative x a right one, whose wall is what an
    ellipsoid of three axes has outside of the left one. Tetrahedra with fibres by rule.

    Node sets lv, rv (with its side of the septum), epi, base, apex; regions endo, M, epi; point data transmural,
    apicobasal, septal.
    """

    dx: Length = key("mean length of an edge; where the thinnest wall has less than 1.6 of them, edges are shorter",
                     example='"0.8 mm"', must="> 0")
    kind: Literal["biventricle"] = key("two ventricles", "biventricle")
    endocardium: tuple[Length, Length] = _endocardium()
    epicardium: tuple[Length, Length] = _epicardium()
    right: tuple[Length, Length, Length] | None = key(
        "semi-axes of the right ventricle's outer surface, along x, y and z; default: 1.3, 1.1 and 0.85 times those of "
        "epicardium", None, example='["13 mm", "11 mm", "17 mm"]', must="> 0")
    right_centre: Length | None = key("the centre of that ellipsoid on x; default: minus half of the epicardium's "
                                      "short semi-axis", None, example='"-5 mm"', must="< 0")
    right_wall: Length | None = key("thickness of the right wall, by which all semi-axes of the inner surface are "
                                    "shorter; default: half of the left one's", None, example='"1.5 mm"', must="> 0")
    base: Length = _base()
    alpha: tuple[float, float] = _alpha()
    beta: tuple[float, float] = _beta()
    layers: tuple[float, float] = _layers()
    regions: dict[str, str] = _regions()


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
    regions: dict[str, str] = _regions()
