"""Films and pictures of a run: its snapshots, coloured by a variable.

A GIF is written by Pillow, an MP4 by ffmpeg: the machine's, or that of the package imageio-ffmpeg. What is seen is
computed by ``output.raster``, so no OpenGL library is needed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import BackendError, OptionError, OutputError
from upstroke.output.files import Made, whole_file
from upstroke.view.look import INSTALL, Look, frames_of
from upstroke.view.paper import Image, Painter, require_matplotlib
from upstroke.view.recording import Recording, read_recording
from upstroke.view.shape import shape_of
from upstroke.view.strips import strips_of

MOST = 500              # frames of a film
MOMENTS = 6             # of a picture
KINDS = (".mp4", ".gif")


def film(folder: Path, path: Path, look: Look | None = None, fps: float = 20.0) -> Made:
    """Write a film of a run's snapshots.

    Arguments
    ---------
    path : .mp4 or .gif
    fps : frames a second

    Raises
    ------
    OptionError : no snapshots; options that cannot be
    BackendError : matplotlib, or for .mp4 ffmpeg, is missing
    OutputError : the file cannot be written
    """
    look = look or Look()
    if path.suffix.lower() not in KINDS:
        raise OptionError("--film", f"{path.name!r} is neither .mp4 nor .gif", "name it film.mp4 or film.gif")
    if not 0.1 <= fps <= 100.0:
        raise OptionError("--fps", f"{fps:g} frames a second cannot be", "give 0.1 to 100")
    require_matplotlib(str(path))
    encoder = find_ffmpeg(path) if path.suffix.lower() == ".mp4" else ""
    recording = read_recording(folder)
    frames, notes = frames_of(recording, look, MOST)
    if len(frames) < 2:
        raise OptionError("--film", "one snapshot makes no film", "choose more with --from, --to and --every, or take "
                                                                  "--picture")
    span = float(recording.times[frames[0]]), float(recording.times[frames[-1]])
    strips, left_out = strips_of(recording, look.curves, *span)
    shape = shape_of(recording, look.half, look.triangles)
    images = _images(recording, Painter(recording, shape, look, frames, strips, span), frames, shape.nodes())
    with whole_file(path) as part:
        if encoder:
            _write_mp4(encoder, part, images, fps)
        else:
            _write_gif(part, images, fps)
    return Made(path, (*notes, *left_out, *shape.notes))


def picture(folder: Path, path: Path, look: Look | None = None, moments: Sequence[float] = ()) -> Made:
    """Write a PNG of a run at some moments (ms), by default six, evenly spread. Raises as `film` does."""
    look = look or Look()
    if path.suffix.lower() != ".png":
        raise OptionError("--picture", f"{path.name!r} is no .png", "name it picture.png")
    require_matplotlib(str(path))
    recording = read_recording(folder)
    all_frames, _ = frames_of(recording, look, len(recording.times))
    if moments:
        for moment in moments:
            if not recording.times[0] <= moment <= recording.times[-1]:
                raise OptionError("--at", f"there is no snapshot at {moment:g} ms",
                                  f"they go from {recording.times[0]:g} to {recording.times[-1]:g} ms")
        frames = np.array([np.abs(recording.times - moment).argmin() for moment in moments])
    else:
        frames = all_frames[np.unique(np.round(np.linspace(0, len(all_frames) - 1, MOMENTS + 1)).astype(int)[1:])]
    seen = recording.times[np.append(all_frames, frames)]
    span = float(seen.min()), float(seen.max())
    strips, notes = strips_of(recording, look.curves, *span)
    shape = shape_of(recording, look.half, look.triangles)
    painter = Painter(recording, shape, look, frames, strips, span, len(frames))
    fields = list(recording.values(painter.variable, frames, shape.nodes()))
    save_png(path, painter.drawn(fields, recording.times[frames].tolist()))
    return Made(path, (*notes, *shape.notes))


def save_png(path: Path, image: Image) -> None:
    from PIL import Image as Pillow

    with whole_file(path) as part:
        Pillow.fromarray(image).save(part, format="png", optimize=True)


def find_ffmpeg(path: Path) -> str:
    """The program. BackendError where there is none."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise BackendError(str(path), "MP4 is written by ffmpeg, which is not installed",
                           f"{INSTALL}, or name the film .gif") from None


def _images(recording: Recording, painter: Painter, frames: NDArray[np.int64],
            nodes: NDArray[np.int64]) -> Iterator[Image]:
    for frame, values in zip(frames, recording.values(painter.variable, frames, nodes), strict=True):
        yield painter.drawn([values], [float(recording.times[frame])])


def _write_gif(path: Path, images: Iterator[Image], fps: float) -> None:
    """With one palette for all frames, from the colours of a few of them."""
    from PIL import Image as Pillow

    pages = [Pillow.fromarray(image) for image in images]
    some = pages[:: max(1, len(pages) // 6)]
    wall = Pillow.new("RGB", (some[0].width, some[0].height * len(some)))
    for k, page in enumerate(some):
        wall.paste(page, (0, k * page.height))
    palette = wall.quantize(256)
    first, *rest = [page.quantize(palette=palette, dither=Pillow.Dither.NONE) for page in pages]
    first.save(path, format="gif", save_all=True, append_images=rest, duration=max(20, round(1000 / fps)), loop=0)


def _write_mp4(encoder: str, path: Path, images: Iterator[Image], fps: float) -> None:
    """H.264 in a form that every browser and slide program plays."""
    first = next(images)
    command = [encoder, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
               "-s", f"{first.shape[1]}x{first.shape[0]}", "-r", f"{fps:g}", "-i", "-", "-an", "-c:v", "libx264",
               "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin is not None and ffmpeg.stderr is not None
        try:
            ffmpeg.stdin.write(first.tobytes())
            for image in images:
                ffmpeg.stdin.write(image.tobytes())
            ffmpeg.stdin.close()
        except BrokenPipeError:
            pass                                                    # what it said tells why
        said = ffmpeg.stderr.read().decode(errors="replace").strip()
        if ffmpeg.wait() != 0:
            raise OutputError(str(path), f"ffmpeg failed: {said.splitlines()[-1] if said else 'without a word'}",
                              "name the film .gif, or install another ffmpeg")
