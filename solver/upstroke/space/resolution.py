"""How well a mesh resolves fronts, and what the calibrated operator leaves wrong: q = h^2 / D in ms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Cable, Tissue
from upstroke.mesh.mesh import Mesh
from upstroke.space.conductivity import diffusivity
from upstroke.space.curve import Curve
from upstroke.space.fem import gradients
from upstroke.space.means import CELLS_PER_NODE

TOLD = 0.05     # of the velocity: remaining errors above this are told

#: What remains of the error of the velocity of plane waves, in the worst direction, by q c^2 with c the velocity of the
#: model over sqrt(D) (`Curve.velocity`): on cubic lattices, fibres along their axes, and fibres in four directions of
#: space (D_l / D_t = 7.6). Measured with ten Tusscher-Panfilov (c^2 = 3.9 / ms) at q = 1, 3, 5, 8 and 12 ms.
QC2 = (0.0, 3.9, 11.7, 19.5, 31.2, 46.8)
ERROR = {"along": (0.0, 0.006, 0.021, 0.030, 0.041, 0.056), "oblique": (0.0, 0.020, 0.052, 0.078, 0.114, 0.152)}


def coarseness(mesh: Mesh, D: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m,) ms, q = h^2 / D of each cell, with D across the fibres, where fronts are the thinnest.

    1 over the smallest principal value of E_jk = D_jk / (h_j h_k) on lattices; else h is the length of a segment, or
    the spacing of the nodes of a mesh of such triangles or tetrahedra. 0 in cells that do not conduct.

    Parameters
    ----------
    D : (m, 3, 3) cm^2/ms
    """
    d = mesh.dim
    if mesh.grid is not None or mesh.bricks is not None:
        h = mesh.grid.spacing if mesh.grid is not None else tuple(np.ptp(mesh.points, axis=0)[:d] / mesh.bricks)
        E = D[:, :d, :d] / np.multiply.outer(h, h)
        return np.broadcast_to(_reciprocal(E[:1] if (E[:1] == E).all() else E), len(D))
    slopes, volume = gradients(mesh.points[mesh.cells])
    if d < 3:
        basis = np.linalg.qr(slopes[:, 1:].swapaxes(1, 2))[0]               # of the line or the plane of each cell
        D = basis.swapaxes(1, 2) @ D @ basis
    return np.asarray((CELLS_PER_NODE.get(d, 1.0) * volume) ** (2.0 / d) * _reciprocal(D), np.float64)


def _reciprocal(tensors: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 over the smallest principal value of each; 0 where all are zero."""
    smallest = np.maximum(np.linalg.eigvalsh(tensors)[:, 0], 1e-300)
    return np.where(tensors.any(axis=(1, 2)), 1.0 / smallest, 0.0)


def is_oblique(mesh: Mesh, D: NDArray[np.float64]) -> bool:
    """Whether some tensor has other axes than the grid."""
    off = D[:, :mesh.dim, :mesh.dim] * (1.0 - np.eye(mesh.dim))
    return bool((np.abs(off) > 1e-6 * np.abs(D).max(initial=0.0)).any())


def remaining_error(q: float, curve: Curve, *, oblique: bool) -> float:
    """What the calibrated operator leaves of the error of the velocity, as a fraction, in the worst direction.

    Parameters
    ----------
    q : ms, where the curve has been measured
    oblique : fibres are oblique to the grid
    """
    return float(np.interp(q * curve.velocity ** 2, QC2, ERROR["oblique" if oblique else "along"]))


def coarse_notes(mesh: Mesh, coupling: Tissue | Cable, curves: Sequence[Curve],
                 owner: NDArray[np.int64]) -> list[str]:
    """Where waves are not right although the operator is calibrated, membrane by membrane.

    Parameters
    ----------
    curves, owner : of each membrane; which of them each cell has
    """
    if not curves or isinstance(coupling, Cable):
        return []
    mesh = mesh.tissue
    D = diffusivity(coupling, mesh)
    q, lattice, notes = coarseness(mesh, D), mesh.grid is not None or mesh.bricks is not None, list[str]()
    for k, curve in enumerate(curves):
        mine = owner == k
        if not mine.any():
            continue
        top = float(q[mine].max())
        where = "" if len(curves) == 1 else f" in the cells of membrane.{k}"
        if top > curve.limit:
            notes.append(f"h^2/D is up to {top:.3g} ms{where}, and waves of its membrane are measured up to "
                         f"{curve.limit:.3g} ms only: where it is more, the correction is a guess; take a smaller dx")
        elif lattice and (error := remaining_error(top, curve, oblique=is_oblique(mesh, D[mine]))) > TOLD:
            notes.append(f"h^2/D is up to {top:.3g} ms{where}: velocities may err by up to {100 * error:.0f} % in some "
                         "directions, although the operator is calibrated; take a smaller dx")
    return notes
