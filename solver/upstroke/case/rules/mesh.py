"""Rules of [mesh] of tissue."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from upstroke.case.rules.rule import Mistake, rule
from upstroke.case.schema import BiventricleMesh, FileMesh, GridMesh, SheetMesh, SlabMesh, VentricleMesh


@rule((SheetMesh, SlabMesh, GridMesh, FileMesh), "fibre", "sheet")
def fibre_and_sheet(fibre: Any, sheet: Any) -> Iterator[Mistake]:
    if isinstance(fibre, tuple) and not any(fibre):
        yield Mistake(("fibre",), "a direction of length 0", "for example fibre = [1, 0, 0]")
    if isinstance(sheet, tuple) and not any(sheet):
        yield Mistake(("sheet",), "a direction of length 0", "for example sheet = [0, 1, 0]")
    elif isinstance(fibre, tuple) and isinstance(sheet, tuple) and any(fibre):
        f, s = ([x / math.hypot(*v) for x in v] for v in (fibre, sheet))
        if abs(sum(a * b for a, b in zip(f, s, strict=True))) > 1.0 - 1e-12:
            yield Mistake(("sheet",), "is parallel to the fibre", "give a direction that lies across it")


@rule((SheetMesh, SlabMesh, GridMesh), "fibre", "sheet")
def sheet_needs_fibre(fibre: Any, sheet: Any) -> Iterator[Mistake]:
    if sheet is not None and fibre is None:
        yield Mistake(("sheet",), "a sheet direction without a fibre direction", "add fibre = [1, 0, 0]")


@rule(GridMesh, "size", "mask")
def grids_have_a_size(size: Any, mask: Any) -> Iterator[Mistake]:
    if size is None and mask is None:
        yield Mistake((), "says not how large", 'add size = ["20 mm", "7 mm"], or mask = "mask.npy"')


@rule(GridMesh, "size", "dx")
def grids_have_dx_per_axis(size: Any, dx: Any) -> Iterator[Mistake]:
    if size is not None and isinstance(dx, tuple) and len(dx) != len(size):
        yield Mistake(("dx",), f"{len(dx)} values, but size has {len(size)}", "give one value, or one per axis")


@rule((VentricleMesh, BiventricleMesh), "endocardium", "epicardium", "base")
def a_ventricle_has_a_wall(endocardium: Any, epicardium: Any, base: float) -> Iterator[Mistake]:
    if any(outer <= inner for inner, outer in zip(endocardium, epicardium, strict=True)):
        yield Mistake(("epicardium",), "does not lie outside the endocardium", "both its semi-axes must be the longer "
                      'ones, for example endocardium = ["7 mm", "17 mm"], epicardium = ["10 mm", "20 mm"]')
    elif not abs(base) < endocardium[1]:
        yield Mistake(("base",), "the plane of the base does not cut the endocardium",
                      f"take it nearer to the centre than the inner long semi-axis, {endocardium[1] * 10:g} mm")


@rule((VentricleMesh, BiventricleMesh), "layers")
def layers_follow_each_other(layers: Any) -> Iterator[Mistake]:
    if layers[0] >= layers[1]:
        yield Mistake(("layers",), "the second depth is not the larger one", "for example layers = [0.33, 0.67]")
