"""Neurons from Neurolucida's ASC and from H5 files, read by MorphIO, and somata that are outlines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import BackendError, MeshError
from upstroke.mesh.compartments import Section
from upstroke.mesh.morphology import Names
from upstroke.mesh.swc import SOMA, UM

AROUND, ALONG = 101, 21       # points of an outline, and of the cones made from it, as in Import3d
UPRIGHT = 0.1                 # in-plane part of the second axis below which an outline stands on its edge


def read_traced(file: Path, rule: str) -> list[Section]:
    """The sections of the cell in an ASC or H5 file; branches start at their first point, wired to the soma's middle.

    Raises
    ------
    BackendError where MorphIO is not installed; MeshError for a file that cannot be read, and for a soma that is
    missing or that the rule does not know
    """
    try:
        from morphio import MorphioError, Morphology
    except ImportError as error:
        raise BackendError("mesh.file", f"MorphIO, which reads {file.suffix} files, is not installed",
                           "pip install 'upstroke[neuron]'") from error
    try:
        cell = Morphology(str(file))
    except (MorphioError, RuntimeError) as error:
        raise MeshError(str(file), f"MorphIO cannot read it: {str(error).strip().splitlines()[0]}",
                        "check that it is a morphology") from error
    names = Names()
    sections = [_soma(file, np.asarray(cell.soma.points, float) * UM, np.asarray(cell.soma.diameters, float) * UM, rule,
                      names)]
    place = {}
    for branch in cell.iter():
        name, type_ = names.of(int(branch.type))
        place[branch.id] = len(sections)
        parent, parent_x = (0, 0.5) if branch.is_root else (place[branch.parent.id], 1.0)
        sections.append(Section(name, type_, parent, parent_x, np.asarray(branch.points, float) * UM,
                                np.asarray(branch.diameters, float) * UM))
    return sections


def _soma(file: Path, points: NDArray[np.float64], diameter: NDArray[np.float64], rule: str, names: Names) -> Section:
    """A soma that is an outline, or one point."""
    if not len(points):
        raise MeshError(str(file), "has no soma, on which its branches could start",
                        "trace its soma, or write an SWC file")
    if rule == "arbor":
        raise MeshError("mesh.soma", 'the rule "arbor" is for the points of SWC files, and this soma is an outline',
                        'set mesh.soma = "neuron" or "neuromorpho"')
    name, type_ = names.of(SOMA)
    if rule == "neuron" and len(points) > 2:
        return Section(name, type_, -1, 0.0, *cones_of(points))
    centre = points.mean(axis=0)
    radius = diameter[0] / 2.0 if len(points) == 1 else float(np.linalg.norm(points - centre, axis=1).mean())
    offset = radius * np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    return Section(name, type_, -1, 0.0, centre + offset, np.full(2, 2.0 * radius))


def cones_of(outline: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (21, 3) and diameters (21,) of the cones that NEURON's Import3d makes of an outline (k, 3), in cm.

    The outline is drawn anew with 101 points, as far apart as each other in the x-y plane, from the first to the last.
    Cones lie along its principal axis through their mean, evenly from the second to the last but one of all places
    along it; their diameters are how far the two sides are apart there, at right angles in the plane. Parts of a side
    that turn back are left out, and the outermost diameters are means with their neighbours.
    """
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(outline[:, :2], axis=0).T))])
    around = np.linspace(0.0, arc[-1], AROUND)
    points = np.column_stack([np.interp(around, arc, column) for column in outline.T])
    centre = points.mean(axis=0)
    _, axes = np.linalg.eigh((points - centre).T @ (points - centre))        # by ascending extent
    major, minor = axes[:, 2], axes[:, 1] * [1.0, 1.0, 0.0]
    if np.linalg.norm(minor) < UPRIGHT:
        raise MeshError("mesh.soma", "the soma's outline does not lie in the x-y plane, as the rule \"neuron\" needs",
                        'set mesh.soma = "neuromorpho"')
    major, minor = major * np.sign(major[np.abs(major).argmax()]), minor / np.linalg.norm(minor)
    along, across = (points - centre) @ major, (points - centre) @ minor
    first = along.argmax()
    along, across = np.roll(along, -first), np.roll(across, -first)
    last = along.argmin()
    here, there = _rising(along[:last][::-1], across[:last][::-1]), _rising(along[last:], across[last:])
    places = np.sort(np.concatenate([here[0], there[0]]))
    at = np.linspace(places[1], places[-2], ALONG)
    diameter = np.abs(np.interp(at, *here) - np.interp(at, *there))
    diameter[[0, -1]] = (diameter[[0, -1]] + diameter[[1, -2]]) / 2.0
    return centre + at[:, None] * major, diameter


def _rising(along: NDArray[np.float64], across: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A side without the points that lie no farther along than the one before them, seen from its end."""
    keep = list(range(len(along)))
    j = len(keep) - 1
    while j > 0:
        if along[keep[j]] <= along[keep[j - 1]]:
            del keep[j]
            j += j < len(keep)
        j -= 1
    return along[keep], across[keep]
