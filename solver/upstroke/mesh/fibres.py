"""Fibre and sheet directions per cell: unit vectors, the sheet direction orthogonal to the fibre.

A zero vector in a file marks a cell without a direction (a bath, a blood pool): it is kept, and becomes an error
only where a conductivity needs the direction (``space.conductivity``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upstroke.errors import MeshError
from upstroke.mesh.mesh import Mesh

PARALLEL = 1e-3     # sine of the smallest angle between fibre and sheet direction that still defines a plane
OFF_SURFACE = 0.17  # sine of the angle between a fibre and its triangle that is worth a warning (10 degrees)
OBLIQUE = 0.017     # cosine above which straightening the sheet direction is worth a note (1 degree)


def with_directions(mesh: Mesh, fibre: ArrayLike | None, sheet: ArrayLike | None,
                    where: tuple[str, str] = ("mesh.fibre", "mesh.sheet")) -> Mesh:
    """The mesh with fibre f = a / |a| and sheet direction s = (b - (b.f) f) / |b - (b.f) f| (Gram-Schmidt).

    Parameters
    ----------
    fibre, sheet : a and b, one vector (3,) for all cells or one per cell (m, 3), or None
    where : what error messages call the two, e.g. the key or the file and its cell data

    Raises
    ------
    MeshError : not finite, a single vector of length zero, a sheet direction without a fibre or parallel to it
    """
    if fibre is None:
        if sheet is not None:
            raise MeshError(where[1], "a sheet direction needs a fibre direction to be orthogonal to",
                            "give 'fibre' too, or leave 'sheet' out")
        return mesh
    f, without = _unit(fibre, mesh.n_cells, where[0], "fibre")
    notes = [_without_note(len(without), "fibre")] if len(without) else []
    if len(without) == mesh.n_cells:
        return replace(mesh, notes=(*mesh.notes, "every fibre direction is zero: the mesh has no fibres"))
    notes += _off_surface_note(mesh, f)
    if sheet is None:
        return replace(mesh, fibre=f, notes=(*mesh.notes, *notes))

    b, without = _unit(sheet, mesh.n_cells, where[1], "sheet")
    if len(without) == mesh.n_cells:
        return replace(mesh, fibre=f, notes=(*mesh.notes, *notes, "every sheet direction is zero: there are none"))
    if len(without):
        notes.append(_without_note(len(without), "sheet"))
    cosine = np.einsum("ij,ij->i", f, b)
    s = b - cosine[:, None] * f
    length = np.linalg.norm(s, axis=1)
    present = f.any(axis=1) & b.any(axis=1)
    _refuse(present & (length < PARALLEL), where[1], "sheet directions are parallel to the fibre",
            "sheet direction is parallel to the fibre", "give a direction across the fibre", sheet)
    s /= np.where(length > 0, length, 1.0)[:, None]
    s[~f.any(axis=1)] = 0.0
    if (worst := float(np.abs(cosine).max())) > OBLIQUE:
        notes.append(f"sheet directions were turned by up to {np.degrees(np.arcsin(min(worst, 1.0))):.1f} degrees "
                     "to be orthogonal to the fibres")
    return replace(mesh, fibre=f, sheet=s, notes=(*mesh.notes, *notes))


def _unit(vectors: ArrayLike, n_cells: int, where: str, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vectors scaled to length 1, (n_cells, 3), and the numbers of the cells where the length is zero."""
    a = np.asarray(vectors, float)
    if a.shape not in ((3,), (n_cells, 3)):
        raise MeshError(where, f"{name} directions have shape {a.shape}, not (3,) or ({n_cells:,}, 3)",
                        "give three components per cell")
    _refuse(~np.isfinite(a).all(axis=-1), where, f"{name} directions are not finite", f"{name} direction is not finite",
            "give three finite numbers", a)
    largest = np.abs(a).max(axis=-1, keepdims=True)   # scale first: squares of tiny or huge components leave float64
    a = a / np.where(largest > 0, largest, 1.0)
    length = np.linalg.norm(a, axis=-1, keepdims=True)
    if a.ndim == 1 and length[0] == 0:
        raise MeshError(where, f"the {name} direction has length zero", "give a direction, e.g. [1, 0, 0]")
    unit = a / np.where(length > 0, length, 1.0)
    return np.broadcast_to(unit, (n_cells, 3)), np.flatnonzero(np.broadcast_to(length[..., 0] == 0, n_cells))


def _refuse(bad: NDArray[np.bool_], where: str, many: str, one: str, remedy: str, vectors: ArrayLike) -> None:
    if not bad.any():
        return
    if np.ndim(vectors) == 1 or bad.ndim == 0:
        raise MeshError(where, f"the {one}", remedy)
    raise MeshError(where, f"{bad.sum():,} of {len(bad):,} {many} (the first is that of cell {np.argmax(bad)})", remedy)


def _off_surface_note(mesh: Mesh, fibre: NDArray[np.float64]) -> list[str]:
    """On a surface only the tangential part of a fibre conducts: a warning where much of it is lost."""
    if mesh.dim != 2:
        return []
    a, b, c = (mesh.points[mesh.cells[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1), np.finfo(float).tiny)[:, None]
    worst = float(np.abs(np.einsum("ij,ij->i", fibre, normal)).max())
    if worst < OFF_SURFACE:
        return []
    return [f"warning: fibres leave the surface by up to {np.degrees(np.arcsin(min(worst, 1.0))):.0f} degrees; "
            "only their tangential part conducts"]


def _without_note(count: int, name: str) -> str:
    return f"{count:,} cells have no {name} direction (zero vector): their conductivity cannot depend on it"
