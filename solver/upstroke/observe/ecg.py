"""Electrograms: the potential that the tissue's currents make at electrodes, written to ``ecg.csv`` as the run goes.

It is linear in V: a weight per node and electrode, computed once. In a homogeneous volume conductor without bounds the
potential at x_e is that of the currents that leave the cells, div(sigma grad V) per volume (R. Plonsey, R. C. Barr,
"Bioelectricity", 3rd ed., 2007, ch. 8)::

    phi(x_e) = 1 / (4 pi sigma_b) integral div(sigma grad V) / r
             = -1 / (4 pi sigma_b) integral sigma grad V . grad(1 / r)          r = |x - x_e|

(by parts; no current leaves the tissue inside the cells). sigma is the conductivity with which the run computes, so
that the currents are those of the run. In what the mesh fills and no more, weights are lead fields
(`space.Extracellular`).
"""

from __future__ import annotations

import ctypes
import itertools
import math
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Stage
from upstroke.case.schema import Ecg, Tissue
from upstroke.errors import CaseError
from upstroke.mesh.check import longest_edges
from upstroke.mesh.locate import nearest_nodes
from upstroke.mesh.mesh import Mesh
from upstroke.observe.activation import REAL
from upstroke.observe.leads import lead_matrix
from upstroke.observe.probes import three_coordinates
from upstroke.observe.samples import SampleWatcher

if TYPE_CHECKING:
    from upstroke.space import Extracellular

LANES, CHUNK = 128, 4096      # of electrogram.c
CELLS = 2 ** 16               # worked on together
HOMOGENEOUS = 2.0             # mS/cm, of the infinite conductor, where the case has no other
MM_PER_CM = 10.0


class _Args(ctypes.Structure):
    """``electrogram_args`` of electrogram.c."""

    _fields_ = [*((name, ctypes.c_void_p) for name in ("V", "weight", "sums")),
                *((name, ctypes.c_long) for name in ("nodes", "rows", "chunks", "every")),
                *((name, ctypes.c_double) for name in ("t", "step_dt"))]


class EcgWatcher(SampleWatcher):
    """Appends a line to ``ecg.csv`` every so many steps: potentials of the electrodes and leads, mV.

    Parameters
    ----------
    outside : of the tissue and the mesh, for a conductor that is the mesh
    state : gives ``V``, an array (n,) of the backend, and ``order``, the mesh's node at each of its places
    every : steps between samples
    dt : time step, ms

    Attributes
    ----------
    stages : what it does in every step
    notes : what the user should know
    """

    def __init__(self, section: Ecg, mesh: Mesh, tissue: Tissue, outside: Extracellular, state: Any, backend: Any,
                 every: int, dt: float, path: Path | None) -> None:
        self.notes = ecg_notes(section, mesh, outside)
        if section.conductor == "mesh":
            weights = outside.lead_fields(electrode_nodes(section, mesh, outside)[0])
        else:
            weights = electrode_weights(mesh, conductivity(tissue, mesh, section), electrodes_of(section),
                                        section.conductivity or HOMOGENEOUS)
        weights = np.ascontiguousarray(weights[:, state.order])
        columns, self._leads = lead_matrix(tuple(section.electrodes), section.leads, section.standard_leads)
        n, rows, chunks = len(state.order), len(weights), -(-len(state.order) // CHUNK)
        self._weights, self._sums = backend.array(weights), backend.zeros(rows, chunks, dtype=np.float64)
        args = _Args(V=backend.pointer(state.V), weight=backend.pointer(self._weights), nodes=n, rows=rows,
                     sums=backend.pointer(self._sums), chunks=chunks, every=every, step_dt=dt)
        text = resources.files(__package__).joinpath("electrogram.c").read_text()
        weigh: Stage = backend.kernel(f"#define REAL {REAL[np.dtype(state.V.dtype)]}\n{text}", "upstroke_weigh", args,
                                      LANES * chunks, dt=dt, label="ecg")
        flat = self._sums.reshape(-1)
        terms = [[(flat, row * chunks + k, 1.0) for k in range(chunks)] for row in range(rows)]
        start = weights @ np.asarray(backend.to_host(state.V), np.float64)
        super().__init__(columns, terms, start, backend, every, dt, path, "ecg")
        self.stages: tuple[Stage, ...] = (weigh, self.stage)

    def _columns(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self._leads @ self._backend.halo.sum(values)
        return found


def electrodes_of(section: Ecg) -> NDArray[np.float64]:
    """(electrodes, 3) cm; coordinates that an electrode leaves out are zero.

    Raises
    ------
    CaseError for an electrode with more than three
    """
    return np.array([three_coordinates(f"watch.ecg.electrodes.{name}", place)
                     for name, place in section.electrodes.items()])


def conductivity(tissue: Tissue, mesh: Mesh, section: Ecg) -> NDArray[np.float64]:
    """sigma of the cells, (m, 3, 3) mS/cm, times what a sheet is thick (cm) or the section of a cable (cm^2).

    Raises
    ------
    CaseError where a mesh that fills no volume has no thickness, or one that does has one
    """
    from upstroke.space import diffusivity

    sigma = tissue.surface_to_volume * tissue.capacitance * diffusivity(tissue, mesh)
    if (section.thickness is None) == (mesh.dim < 3):
        if mesh.dim == 3:
            raise CaseError("watch.ecg.thickness", "the mesh fills a volume already", "leave it out")
        raise CaseError("watch.ecg.thickness", f"missing: the mesh is made of {mesh.cell_name}, which fill no volume",
                        'add thickness = "1 mm", of the sheet, or the diameter of the cable')
    d = section.thickness or 0.0
    return sigma * (math.pi / 4.0 * d ** 2, d, 1.0)[mesh.dim - 1]


def electrode_weights(mesh: Mesh, sigma: NDArray[np.float64], places: NDArray[np.float64],
                      sigma_b: float) -> NDArray[np.float64]:
    """phi = weights @ V: (electrodes, n), those of an electrode sum to zero.

    w_i = -1 / (4 pi sigma_b) sum_c integral_c grad phi_i . sigma_c grad(1 / r), by Gauss' quadrature of second order on
    simplices and of third on boxes.

    Arguments
    ---------
    sigma : (m, 3, 3) mS/cm; per cm of thickness, or cm^2 of section, where cells fill no volume
    places : (electrodes, 3) cm
    sigma_b : mS/cm
    """
    weights = np.zeros((len(places), mesh.n_points))
    for begin in range(0, mesh.n_cells, CELLS):
        part = slice(begin, begin + CELLS)
        cells = mesh.cells[part]
        low, high = int(cells.min()), int(cells.max()) + 1
        for points, grad, volume in _quadrature(mesh, cells):
            out = np.einsum("cix,cxy->ciy", grad, sigma[part]) * (volume / (4.0 * math.pi * sigma_b))[:, None, None]
            for k, place in enumerate(places):
                field = np.zeros((len(cells), 3))                        # -grad(1 / r)
                for x in points:
                    away = x - place
                    square = np.einsum("cx,cx->c", away, away)
                    field += away / (square * np.sqrt(square))[:, None]
                share = np.einsum("ciy,cy->ci", out, field)
                weights[k, low:high] += np.bincount(cells.ravel() - low, share.ravel(), high - low)
    return weights


def _quadrature(mesh: Mesh, cells: NDArray[np.int32]) \
        -> Iterator[tuple[list[NDArray[np.float64]], NDArray[np.float64], NDArray[np.float64]]]:
    """Points in the cells, (m, 3) each, the gradients of the corners' functions there (m, corners, 3), and the volume
    that each point stands for (m,)."""
    from upstroke.space.fem import gradients

    corners, d = mesh.points[cells], mesh.dim
    if mesh.grid is None:
        grad, volume = gradients(corners)
        share = (1.0 - 1.0 / math.sqrt(d + 2.0)) / (d + 1.0)             # of all corners but one
        shares = np.full((d + 1, d + 1), share) + np.eye(d + 1) * (1.0 - (d + 1) * share)
        yield [np.einsum("i,mix->mx", of, corners) for of in shares], grad, volume / (d + 1.0)
        return
    h, ends = np.array(mesh.grid.spacing), list(itertools.product((0, 1), repeat=d))      # ends: (..., y, x)
    for gauss in itertools.product((0.5 - math.sqrt(1 / 12), 0.5 + math.sqrt(1 / 12)), repeat=d):
        along = np.array([[u if end else 1.0 - u for u, end in zip(gauss[::-1], corner[::-1], strict=True)]
                          for corner in ends])                           # (corners, d): factors of a function, x first
        slope = np.array([[1.0 if end else -1.0 for end in corner[::-1]] for corner in ends]) / h
        grad = np.zeros((len(ends), 3))
        for k in range(d):
            grad[:, k] = slope[:, k] * np.delete(along, k, axis=1).prod(axis=1)
        x = np.einsum("i,mix->mx", along.prod(axis=1), corners)
        yield [x], np.broadcast_to(grad, (len(cells), *grad.shape)), np.full(len(cells), h.prod() / 2 ** d)


def near_notes(section: Ecg, mesh: Mesh) -> Iterator[str]:
    """A note of each electrode that is nearer to a node than the mesh's longest edge."""
    _, distances = nearest_nodes(mesh, electrodes_of(section))
    edge = float(longest_edges(mesh).max(initial=0.0))
    for name, distance in zip(section.electrodes, distances, strict=True):
        if distance < edge:
            yield (f"electrode {name} is {MM_PER_CM * distance:.3g} mm from a node, and edges are up to "
                   f"{MM_PER_CM * edge:.3g} mm long: its potential depends on the mesh")


def ecg_notes(section: Ecg, mesh: Mesh, outside: Extracellular) -> tuple[str, ...]:
    """What the user should know of where electrodes are."""
    if section.conductor == "mesh":
        return electrode_nodes(section, mesh, outside)[1]
    return tuple(near_notes(section, mesh))


def electrode_nodes(section: Ecg, mesh: Mesh, outside: Extracellular) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """(electrodes,) the node nearest to each, where it is read, and notes of those that lie somewhere else.

    Raises
    ------
    CaseError for an electrode that lies farther from it than the mesh's longest edge, or where nothing conducts, and
    for one that no current reaches from the others
    """
    nodes, distances = nearest_nodes(mesh, electrodes_of(section))
    edge, notes, first = float(longest_edges(mesh).max(initial=0.0)), [], next(iter(section.electrodes))
    for name, node, distance in zip(section.electrodes, nodes, distances, strict=True):
        where = f"watch.ecg.electrodes.{name}"
        if distance > edge:
            raise CaseError(where, f"is {MM_PER_CM * distance:.3g} mm from the nearest node, and the conductor ends "
                            "where the mesh does", 'move it into the mesh, make a bath part of the mesh, or take '
                            'conductor = "infinite"')
        if (outside.part == outside.part[node]).sum() == 1:
            raise CaseError(where, "lies where nothing conducts", "move it, or give the cells around it extracellular "
                            "values")
        if outside.part[node] != outside.part[nodes[0]]:
            raise CaseError(where, f"no current reaches it from {first}: what is between them does not conduct",
                            "move one of the two, or give what is between them extracellular values")
        if distance > 1e-6 * edge:
            notes.append(f"electrode {name} is read at the nearest node, {MM_PER_CM * distance:.3g} mm away")
    return nodes, tuple(notes)


def check_ecg(section: Ecg, mesh: Mesh, tissue: Tissue) -> None:
    """Find what is wrong with the table before anything is written.

    Raises
    ------
    CaseError, as `electrodes_of`, `conductivity` and `electrode_nodes`
    """
    if section.conductor == "mesh":
        from upstroke.space import Extracellular

        electrode_nodes(section, mesh, Extracellular(tissue, mesh))
        return
    electrodes_of(section)
    conductivity(tissue, mesh, section)
