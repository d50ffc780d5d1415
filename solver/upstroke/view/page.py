"""``view.html``: a run's snapshots to turn, cut and play, in one file that needs nothing else, not even a network.

The page (``page/``) is our own program on WebGL 2, some hundreds of lines, where a bundle of vtk.js weighs megabytes. A
value is stored in 16 bits of the variable's range, everything is packed by gzip, and what the page shows are snapshots,
none in between.
"""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import OptionError
from upstroke.output.files import Made, whole_file
from upstroke.output.palette import FIRE
from upstroke.output.raster import Scene
from upstroke.view.look import Look, activation_of, bounds_of, frames_of, isochrones_of, range_of, view_of
from upstroke.view.recording import Recording, read_recording
from upstroke.view.shape import Shape, fibres_of, shape_of
from upstroke.view.strips import Strip, strips_of

FILES = Path(__file__).parent / "page"
MOST = 12_000_000       # values in a page: 24 MB before they are packed
FINEST = 4000           # values of a curve beneath
NOTHING = 2 ** 16 - 1   # stands for NaN


def page(folder: Path, path: Path, look: Look | None = None) -> Made:
    """Write the page of a run.

    Arguments
    ---------
    path : .html
    look : ``variable`` keeps one variable of several, ``bounds`` are its colours' range, ``isochrones`` and ``fibres``
        are shown from the start; they can be switched in the page where the run has them, and so can ``curves``

    Raises
    ------
    OptionError : no snapshots; options that cannot be
    OutputError : the file cannot be written
    """
    look = look or Look()
    if path.suffix.lower() not in (".html", ".htm"):
        raise OptionError("--page", f"{path.name!r} is no .html", "name it view.html")
    recording = read_recording(folder)
    chosen = [recording.variable(look.variable)] if look.variable else list(recording.variables)
    shape = shape_of(recording, look.half, look.triangles)
    frames, notes = frames_of(recording, look, max(2, MOST // (len(chosen) * len(shape.first))))
    strips, left_out = strips_of(recording, look.curves, float(recording.times[frames[0]]),
                                 float(recording.times[frames[-1]]))
    notes = (*notes, *left_out, *shape.notes)
    data = {"title": recording.title, "notes": notes, "strips": [_strip(strip.thinned(FINEST)) for strip in strips],
            "variables": [_variable(recording, shape, name, frames, look) for name in chosen],
            "times": recording.times[frames].tolist(), "colours": FIRE} | _geometry(recording, shape, look)
    text = (FILES / "page.html").read_text(encoding="utf-8")
    pieces = {"TITLE": _escaped(recording.title), "DATA": json.dumps(data).replace("<", "\\u003c"),
              **{key: (FILES / file).read_text(encoding="utf-8")
                 for key, file in (("STYLE", "style.css"), ("DRAWING", "draw.js"), ("PROGRAM", "page.js"))}}
    for key, piece in pieces.items():
        text = piece.join(text.split(f"<!--{key}-->"))
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")
    return Made(path, notes)


def _variable(recording: Recording, shape: Shape, name: str, frames: NDArray[np.int64], look: Look) -> dict[str, Any]:
    """Values at the corners, frame by frame, in 16 bits of their range."""
    nodes = shape.nodes()
    low, high = range_of(recording, shape, name, frames)
    packed = np.empty((len(frames), len(shape.first)), "<u2")
    for row, values in zip(packed, recording.values(name, frames, nodes), strict=True):
        at = shape.at(values, nodes)
        row[:] = np.where(np.isfinite(at), np.round((np.nan_to_num(at) - low) / (high - low) * (NOTHING - 1)), NOTHING)
    shown = look.bounds if look.bounds and name == recording.variable(look.variable) else bounds_of(
        recording, shape, name, frames)
    return {"name": name, "unit": recording.unit(name), "low": low, "high": high, "shown": shown,
            "values": _packed(packed)}


def _strip(strip: Strip) -> dict[str, Any]:
    return {"label": strip.label, "low": strip.bounds[0], "high": strip.bounds[1],
            "time": _packed(strip.time.astype("<f4")), "values": _packed(strip.values.astype("<f4"))}


def _geometry(recording: Recording, shape: Shape, look: Look) -> dict[str, Any]:
    """Corners around the middle of the view, in mm, and what joins them."""
    scene = shape.scene
    view = view_of(scene, look)
    times = activation_of(recording, shape)
    levels = isochrones_of(recording, shape)[1] if times is not None or look.isochrones else None
    fibres = fibres_of(recording, shape) if look.fibres or _has_fibres(recording, scene) else None
    names, which = _labels(recording, shape)
    return {
        "middle": view.centre.tolist(), "turn": np.array([view.right, view.up, view.toward]).ravel().tolist(),
        "half": view.half.tolist(), "radius": float(np.linalg.norm(scene.points - view.centre, axis=1).max()),
        "points": _packed((scene.points - view.centre).astype("<f4")),
        "triangles": _packed(scene.triangles.astype("<u4")), "rods": _packed(scene.rods.astype("<u4")),
        "thick": _packed(np.column_stack([scene.radius, scene.cap]).astype("<f4")),
        "activation": None if times is None else _packed(times.astype("<f4")),
        "step": None if levels is None else float(levels[1] - levels[0]),
        "fibres": None if fibres is None else _packed((fibres - view.centre).astype("<f4")),
        "isochronesOn": look.isochrones, "fibresOn": look.fibres, "names": names, "which": _packed(which.astype("<i4")),
    }


def _has_fibres(recording: Recording, scene: Scene) -> bool:
    return recording.mesh.fibre is not None and len(scene.triangles) > 0


def _labels(recording: Recording, shape: Shape) -> tuple[list[str], NDArray[np.int64]]:
    """The names of a neuron's sections, and which is that of each corner; none of tissue."""
    if not recording.sections or "section" not in recording.data:
        return [], np.empty(0, np.int64)
    names = [f"{s.population} {s.name}".strip() for s in recording.sections]
    owner = np.full(recording.mesh.n_points, -1)
    for end in (0, 1):                                            # where a section starts it may be another's node, too
        owner[recording.mesh.cells[:, end]] = recording.data["section"]
    return names, owner[shape.first]


def _packed(values: NDArray[Any]) -> str:
    return base64.b64encode(gzip.compress(np.ascontiguousarray(values).tobytes(), 6, mtime=0)).decode("ascii")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
