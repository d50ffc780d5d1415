"""Grids of equal squares or cubes, whole or cut out by a mask: NumPy arrays in, a ``Mesh`` of boxes out.

Arrays of the user are indexed [x, y] or [x, y, z], one entry per cell. Nodes are the cells' corners: a cell's edges and
faces lie where the mask changes, and a node is there where a cell around it is. Cells and nodes are numbered with x
fastest, then y, then z, skipping what is not there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import GridMesh
from upstroke.errors import MeshError
from upstroke.mesh.build import cells_along, per_axis, require_that_it_fits
from upstroke.mesh.check import parts_note, size_notes
from upstroke.mesh.fibres import with_directions
from upstroke.mesh.mesh import Grid, Mesh

FITS = 1e-6     # relative: a size this close to the mask's number of cells times dx is that


def build_grid(section: GridMesh) -> Mesh:
    """The active cells of a grid, their corners, and the node sets ``xmin`` ... ``zmax`` of the nodes on its faces.

    Raises
    ------
    MeshError : files that are no arrays, arrays of the wrong shape or type, a mask without a cell, a size that does not
    fit; directions as ``with_directions``
    """
    if section.mask is None:
        counts, spacing, notes = _counted(section)
        tags = None
    else:
        tags, notes = _mask(section.mask), []
        counts, spacing = tags.shape, _spacing(section, tags.shape)
    require_that_it_fits(counts)
    active = np.ones(counts[::-1], bool) if tags is None else np.ascontiguousarray(tags.T != 0)     # [z, y, x]
    points, cells, sets = _numbered(active, spacing, section.origin)
    region = np.zeros(len(cells), np.int32) if tags is None else tags.T[active]
    mesh = Mesh(points, cells, region, node_sets=sets, grid=Grid(spacing, section.stencil))
    if tags is not None:
        notes += _parts(active)
    notes += size_notes(mesh, "mesh.size and mesh.dx" if tags is None else "mesh.dx")
    fibre, sheet = (_directions(section, key, counts, active) for key in ("fibre", "sheet"))
    return with_directions(replace(mesh, notes=tuple(notes)), fibre, sheet)


def _counted(section: GridMesh) -> tuple[tuple[int, ...], tuple[float, ...], list[str]]:
    """Cells along each axis, their edge lengths, and notes, of a grid that is given by its size."""
    assert section.size is not None                                # the case was checked
    counts, notes = [], []
    for axis, length, step in zip("xyz", section.size, per_axis(section.dx, len(section.size)), strict=False):
        n, note = cells_along(axis, length, step, "mesh.size")
        counts.append(n)
        notes += note
    return tuple(counts), tuple(s / n for s, n in zip(section.size, counts, strict=True)), notes


def _spacing(section: GridMesh, shape: tuple[int, ...]) -> tuple[float, ...]:
    """Edge lengths of the cells of a mask of this shape."""
    spacing = per_axis(section.dx, len(shape))
    if len(spacing) != len(shape):
        raise MeshError("mesh.dx", f"{len(spacing)} values, but the mask has {len(shape)} axes (its shape is {shape})",
                        "give one value, or one per axis")
    if section.size is None:
        return spacing
    if len(section.size) != len(shape):
        raise MeshError("mesh.size", f"{len(section.size)} lengths, but the mask has {len(shape)} axes (its shape is "
                        f"{shape})", "leave size out: it follows from the mask and dx")
    for axis, n, dx, size in zip("xyz", shape, spacing, section.size, strict=False):
        if not math.isclose(n * dx, size, rel_tol=FITS):
            raise MeshError("mesh.size", f"{10 * size:.6g} mm along {axis}, but the mask has {n:,} cells of "
                            f"{10 * dx:.6g} mm there, which is {10 * n * dx:.6g} mm",
                            "leave size out, as it follows from the mask and dx, or correct dx")
    return spacing


def _numbered(active: NDArray[np.bool_], spacing: Sequence[float], origin: Sequence[float]
              ) -> tuple[NDArray[np.float64], NDArray[np.int32], dict[str, NDArray[np.int64]]]:
    """Points, cells and node sets of the active cells, an array [z, y, x] or [y, x]."""
    d = active.ndim
    far_sides = [tuple(slice(bit, bit + n) for bit, n in zip(bits, active.shape, strict=True))
                 for bits in itertools.product((0, 1), repeat=d)]           # corners in order, x fastest
    used = np.zeros([n + 1 for n in active.shape], bool)
    for far in far_sides:
        used[far] |= active
    number = np.cumsum(used, dtype=np.int32).reshape(used.shape) - np.int32(1)
    cells = np.stack([number[far][active] for far in far_sides], axis=1)
    points = np.full((int(number.flat[-1]) + 1, 3), origin, float)
    sets = {}
    for k, place in enumerate(reversed(np.nonzero(used))):
        n = used.shape[d - 1 - k] - 1
        points[:, k] = (origin[k] + spacing[k] * np.arange(n + 1))[place]
        sets["xyz"[k] + "min"], sets["xyz"[k] + "max"] = np.flatnonzero(place == 0), np.flatnonzero(place == n)
    return points, cells, {name: nodes for name, nodes in sets.items() if len(nodes)}


def _parts(active: NDArray[np.bool_]) -> list[str]:
    """A note where the cells are in several parts. Cells that share a corner couple there, so they are one part."""
    from scipy import ndimage
    part, n = ndimage.label(active, np.ones([3] * active.ndim))
    return parts_note(np.bincount(part.ravel(), minlength=n + 1)[1:])


# ------------------------------------------------------------------------------------------------ the files
def _mask(file: Path) -> NDArray[np.int32]:
    """The tags of all cells, [x, y(, z)], 0 where there is none."""
    mask = _array(file, "mask")
    if mask.ndim not in (2, 3):
        raise MeshError("mesh.mask", f"{file.name} holds an array of shape {mask.shape}, which is not a grid",
                        "a mask has one number per cell, indexed [x, y] or [x, y, z]")
    whole = mask.dtype.kind in "biu" or (mask.dtype.kind == "f" and bool(np.all(mask == np.floor(mask))))
    if not whole or (mask.size and max(abs(float(mask.min())), abs(float(mask.max()))) >= 2.0**31):
        raise MeshError("mesh.mask", f"{file.name} holds {mask.dtype.name} values that are no region tags",
                        "save whole numbers below 2^31, for example mask.astype(numpy.int32): 0 where there is no "
                        "tissue, the region's tag elsewhere")
    if not mask.any():
        raise MeshError("mesh.mask", f"no cell of {file.name} is active", "0 means no tissue; give the others a tag, "
                        "for example 1")
    return mask.astype(np.int32)


def _directions(section: GridMesh, key: str, counts: tuple[int, ...], active: NDArray[np.bool_]
                ) -> NDArray[np.float64] | tuple[float, ...] | None:
    """One vector, or one per active cell (m, 3), or None."""
    asked = getattr(section, key)
    if not isinstance(asked, Path):
        return asked
    vectors, d = _array(asked, key), len(counts)
    if vectors.shape not in ((*counts, 3), (*counts, d)) or vectors.dtype.kind not in "fiu":
        raise MeshError(f"mesh.{key}", f"{asked.name} holds {vectors.dtype.name} values of shape {vectors.shape}; the "
                        f"grid has {' x '.join(map(str, counts))} cells",
                        f"save one direction per cell, as an array of real numbers of shape {(*counts, 3)}")
    found = np.zeros((int(active.sum()), 3))
    found[:, :vectors.shape[-1]] = np.moveaxis(vectors, list(range(d)), list(reversed(range(d))))[active]
    return found


def _array(file: Path, key: str) -> NDArray[Any]:
    """The array of a .npy file; of a .npz file, the only one or that called ``key``."""
    try:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            name = loaded.files[0] if len(loaded.files) == 1 else key
            if name in loaded.files:
                return np.asarray(loaded[name])
            names = ", ".join(loaded.files) or "none"
    except FileNotFoundError:
        raise MeshError(f"mesh.{key}", f"there is no file {str(file)!r}",
                        "give the path of a .npy or .npz file") from None
    except Exception as error:              # NumPy raises whatever its readers of headers and of zip files stumble over
        why = " ".join(str(error).split())
        if "pickle" in why:                 # what NumPy takes every file for that it does not know
            why = "it is another kind of file, or its array holds Python objects"
        raise MeshError(f"mesh.{key}", f"{file.name} cannot be read as a NumPy file: {why}",
                        f'write it with numpy.save("{key}.npy", array), an array of numbers') from None
    raise MeshError(f"mesh.{key}", f"{file.name} holds several arrays, none of them called {key!r} ({names})",
                    f'write it with numpy.savez("{key}.npz", {key}=array)')
