"""Wave fronts inside a solid: the surfaces on which activation is t, from the map of a run that has ended.

A picture shows each in the tissue as in glass; a .vtu file holds them all, for ParaView and PyVista. Activation is
linear in tetrahedra, in which a surface is a triangle or a quadrilateral; cubes are cut into six.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import OptionError
from upstroke.output.files import Made, whole_file
from upstroke.output.raster import FINER, Raster, Scene, rasterise
from upstroke.output.scene import round_levels
from upstroke.view.film import save_png
from upstroke.view.look import Look, view_of
from upstroke.view.paper import Image, Paper, require_matplotlib
from upstroke.view.recording import Recording, read_map
from upstroke.view.shape import level_of, shape_of

SUFFIXES = (".png", ".vtu")
MOST = 6                # fronts, where no times are given
GLASS = 0.3             # of the tissue over a front


def fronts(folder: Path, path: Path, look: Look | None = None, moments: Sequence[float] = ()) -> Made:
    """Write the wave fronts of a run's first beat.

    Arguments
    ---------
    path : .png or .vtu
    look : angles, width and triangles (of the tissue)
    moments : ms; by default at most six round ones

    Raises
    ------
    OptionError : no map; a mesh that is no solid; times at which no front is in it
    BackendError : matplotlib, for .png, is missing
    OutputError : the file cannot be written
    """
    look = look or Look()
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError("--fronts", f"{path.name!r} is neither .png nor .vtu", "name it fronts.png or fronts.vtu")
    if path.suffix.lower() == ".png":
        require_matplotlib(str(path))
    recording = read_map(folder)
    if recording.mesh.dim < 3:
        raise OptionError("--fronts", f"the mesh of {folder} is no solid, and its fronts are lines",
                          "take --picture with --isochrones")
    assert recording.activation is not None
    known = recording.activation[np.unique(recording.mesh.cells)]              # of the solid: not of Purkinje strands
    known = known[np.isfinite(known)]
    if not len(known):
        raise OptionError("--fronts", f"no place of {folder} was activated", "check the stimulus, and "
                          "watch.activation.threshold")
    first, last = float(known.min()), float(known.max())
    for moment in moments:
        if not first < moment < last:
            raise OptionError("--at", f"there is no front at {moment:g} ms",
                              f"activation goes from {first:.4g} to {last:.4g} ms")
    levels = round_levels(first, last, MOST)
    times = [*moments] or [float(t) for t in levels if first < t < last] or [0.5 * (first + last)]
    surfaces = [level_of(recording.mesh, recording.activation, t) for t in times]
    if path.suffix.lower() == ".vtu":
        _write_vtu(path, surfaces, times)
        return Made(path)
    shape = shape_of(recording, None, look.triangles)
    image = _drawn(recording, shape.scene, surfaces, times, look, (float(levels[0]), float(levels[-1])))
    save_png(path, image)
    return Made(path, shape.notes)


def _write_vtu(path: Path, surfaces: Sequence[Scene], times: Sequence[float]) -> None:
    """All fronts in one file, mm; their times (ms) at points and triangles."""
    import meshio

    sizes = [len(surface.points) for surface in surfaces]
    begin = np.cumsum([0, *sizes[:-1]])
    triangles = np.concatenate([surface.triangles + at for surface, at in zip(surfaces, begin, strict=True)])
    counts = [len(surface.triangles) for surface in surfaces]
    mesh = meshio.Mesh(np.concatenate([surface.points for surface in surfaces]), [("triangle", triangles)],
                       point_data={"activation_ms": np.repeat(times, sizes)},
                       cell_data={"activation_ms": [np.repeat(times, counts)]})
    with whole_file(path) as part:
        mesh.write(part, file_format="vtu")


def _drawn(recording: Recording, tissue: Scene, surfaces: Sequence[Scene], times: Sequence[float], look: Look,
           bounds: tuple[float, float]) -> Image:
    """The page with a picture of each front."""
    view = view_of(tissue, look)
    paper = Paper(recording.title, "activation (ms)", bounds, view, look.width, len(surfaces))
    raster = rasterise(tissue, view, *paper.picture)
    glass = 255.0 - 0.6 * (255.0 - raster.image(np.full(len(tissue.points), np.nan), 0.0, 1.0, paper.colours))
    images = []
    for surface, time in zip(surfaces, times, strict=True):
        seen = rasterise(surface, view, *paper.picture)
        front = seen.image(np.full(len(surface.points), time), *bounds, paper.colours)
        share = _covered(seen)[:, :, None]
        opaque = front - 255.0 * (1.0 - share)                     # the front alone, without the white around it
        images.append(np.round((1.0 - share) * glass + (1.0 - GLASS) * opaque + GLASS * share * glass).astype(np.uint8))
    return paper.laid(images, times)


def _covered(raster: Raster) -> NDArray[np.float64]:
    """(rows, columns) how much of each shown pixel something covers."""
    fine = np.zeros(raster.shape[0] * raster.shape[1])
    fine[raster.pixel] = 1.0
    rows, columns = raster.shape
    covered: NDArray[np.float64] = fine.reshape(rows // FINER, FINER, columns // FINER, FINER).mean(axis=(1, 3))
    return covered
