"""Time series on a static mesh as VTKHDF, readable by ParaView >= 5.12, VTK >= 9.3 and h5py at every moment of the run.

HDF5 lays the file out once: mesh, metadata, and room for every frame (the file is sparse: frames not yet written take
no disk space). Then it is closed, and a frame is two plain writes at known places: the values, and after them the two
numbers that say how many frames there are (the attribute ``NSteps`` and the length of ``Values``), both in the file's
first page, by one system call. So the file can be opened while the run goes on, and a run killed at any moment leaves
exactly the frames that were completed. VTK overruns its memory where the two numbers differ, which is why they change
together.

A run that goes on from a checkpoint lets the file have the frames of then, and writes the next ones over what followed.

Points are in mm and times in ms (attributes of the file say so); values are float32.
Format: https://docs.vtk.org/en/latest/vtk_file_formats/vtkhdf_file_format/vtkhdf_specifications.html
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import cut_short
from upstroke.mesh.mesh import Mesh
from upstroke.output.fields import MM_PER_CM, cell_data, vtk_blocks
from upstroke.output.files import explained

UNCOUNTED = -0x656B6F7274737075  # stands for NSteps until its place in the file is known; no number of frames


class VtkHdfSeries:
    """Frames of point data on one mesh.

    Parameters
    ----------
    path : the file; one that is there already belongs to a run that goes on, and is kept
    mesh : the static mesh; regions and fibres become cell data
    names : variables of every frame
    frames : the most frames there will be, at least 1

    Raises
    ------
    OutputError where the file cannot be written
    """

    def __init__(self, path: Path, mesh: Mesh, names: Sequence[str], frames: int) -> None:
        self._path, self._frames, self._n = path, frames, mesh.n_points
        self.frames = 0                     # that are in the file
        goes_on = path.exists()
        with explained(path):
            new = path.with_name(f".{path.name}.layout") if goes_on else path        # alike, so its places are the same
            self._values, self._times, steps_at, length_at = _lay_out(new, mesh, names, frames)
            size = new.stat().st_size
            if goes_on:
                new.unlink()
                if path.stat().st_size < size:
                    raise cut_short(str(path))
            self._file = os.open(path, os.O_RDWR)
            self._counts_at = min(steps_at, length_at)
            self._counts = bytearray(os.pread(self._file, abs(steps_at - length_at) + 8, self._counts_at))
            self._places = steps_at - self._counts_at, length_at - self._counts_at
            self.frames = struct.unpack_from("<q", self._counts, self._places[0])[0] if goes_on else 0
            self.go_on(self.frames)

    def append(self, t: float, fields: Mapping[str, NDArray[Any]]) -> None:
        """One frame: time in ms and (n,) values of every variable.

        Raises
        ------
        OutputError where the disk is full
        """
        k = self.frames
        if k == self._frames:
            raise ValueError(f"{self._path}: room for {self._frames} frames only")
        with explained(self._path), np.errstate(over="ignore"):        # V that diverges becomes infinite
            for name, place in self._values.items():
                self._write(np.ascontiguousarray(fields[name], "<f4").data.cast("B"), place + 4 * self._n * k)
            self._write(struct.pack("<d", t), self._times + 8 * k)
            self.go_on(k + 1)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def go_on(self, frames: int) -> None:
        """Let the file have so many frames: the one write that makes a frame part of it.

        Raises
        ------
        OutputError where a run that goes on has lost some
        """
        if frames > self.frames + 1:
            raise cut_short(str(self._path))
        for place in self._places:
            struct.pack_into("<q", self._counts, place, frames)
        self._write(self._counts, self._counts_at)
        self.frames = frames

    def _write(self, data: Any, place: int) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._file, rest, place)
            rest, place = rest[written:], place + written


def _lay_out(path: Path, mesh: Mesh, names: Sequence[str], frames: int) -> tuple[dict[str, int], int, int, int]:
    """Write everything but the frames.

    Returns the places in the file of: the first frame of each variable, the first time, NSteps, the length of Values.
    """
    import h5py

    # The earliest layout has no checksums, so numbers can be changed in place.
    with h5py.File(path, "w", libver="earliest") as file:
        root = file.create_group("VTKHDF")
        steps = root.create_group("Steps")
        steps.attrs["NSteps"] = np.int64(UNCOUNTED)
        times = steps.create_dataset("Values", data=np.full(frames, np.nan), dtype="<f8", chunks=(frames,),
                                     maxshape=(frames,))
        root.attrs["Version"] = np.array([2, 0], np.int64)
        root.attrs.create("Type", b"UnstructuredGrid", dtype="S16")
        file.attrs.update(length_unit="mm", time_unit="ms")
        _write_mesh(root, mesh)
        point_data = root.create_group("PointData")
        values = {name: _room(point_data, name, frames * mesh.n_points) for name in names}
        _write_offsets(steps, frames, mesh.n_points, names, tuple(root["CellData"]))
        times_at = times.id.get_chunk_info(0).byte_offset
        header = h5py.h5o.get_info(times.id).addr
    with open(path, "rb") as raw:
        head = raw.read(header + 1024)
    # A one-dimensional dataspace with its greatest length: version, rank, flags, reserved, length, greatest length.
    length_at = head.index(struct.pack("<BBB5xQQ", 1, 1, 1, frames, frames), header) + 8
    return values, times_at, head.index(struct.pack("<q", UNCOUNTED)), length_at


def _write_mesh(root: Any, mesh: Mesh) -> None:
    """Points, cells and cell data, once."""
    blocks = vtk_blocks(mesh)
    corners = np.concatenate([np.full(len(cells), cells.shape[1]) for _, cells in blocks])
    for name, count in (("NumberOfPoints", mesh.n_points), ("NumberOfCells", len(corners)),
                        ("NumberOfConnectivityIds", corners.sum())):
        root[name] = np.array([count], np.int64)
    root["Points"] = mesh.points * MM_PER_CM
    root["Connectivity"] = np.concatenate([cells.ravel() for _, cells in blocks]).astype(np.int64)
    root["Offsets"] = np.concatenate([[0], np.cumsum(corners)]).astype(np.int64)
    root["Types"] = np.concatenate([np.full(len(cells), kind.vtk, np.uint8) for kind, cells in blocks])
    data = root.create_group("CellData")
    for name, values in cell_data(mesh).items():
        data[name] = values


def _write_offsets(steps: Any, frames: int, n_points: int, point_names: Sequence[str],
                   cell_names: Sequence[str]) -> None:
    """Where each frame lies: the mesh and its cell data always at 0, point data one after the other."""
    steps["NumberOfParts"] = np.ones(frames, np.int64)
    for name in ("PartOffsets", "PointOffsets"):
        steps[name] = np.zeros(frames, np.int64)
    for name in ("CellOffsets", "ConnectivityIdOffsets"):
        steps[name] = np.zeros((frames, 1), np.int64)
    for name in point_names:
        steps[f"PointDataOffsets/{name}"] = n_points * np.arange(frames, dtype=np.int64)
    for name in cell_names:
        steps[f"CellDataOffsets/{name}"] = np.zeros(frames, np.int64)


def _room(group: Any, name: str, size: int) -> int:
    """A contiguous float32 dataset without content; its place in the file."""
    import h5py

    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((size,))
    return h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plan).get_offset()
