"""What a run directory holds for the eye: the mesh, its frames, activation times, probes and spikes."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import OptionError, did_you_mean
from upstroke.mesh.mesh import Grid, Mesh
from upstroke.mesh.strands import Strands
from upstroke.output.fields import CELL_TYPES, MM_PER_CM, UM_PER_CM

Floats = NDArray[np.float64]
UNITS = {"V": "mV", "Iion": "uA/cm^2", "Isyn": "uA/cm^2", "Iclamp": "uA/cm^2", "Igap": "uA/cm^2",
         "Inoise": "uA/cm^2", "phi_e": "mV"}
SNAPSHOTS = 'run it again with [watch.snapshots], for example --set \'watch.snapshots={every="1 ms"}\''
PROBES = "run it again with [watch.probes]"
SPIKES = "run it again with [watch.spikes]"
RUN = "give the folder of a run, such as runs/sheet"


@dataclass(frozen=True)
class SectionName:
    """A row of sections.csv that pictures need."""

    population: str
    name: str
    type: str


@dataclass(frozen=True, eq=False)
class Recording:
    """A run's frames on its mesh.

    Attributes
    ----------
    folder, title : the run directory, and what the case calls itself
    mesh : of the frames, cm; region, and fibres where there are some
    data : cell data by name, (m,) each: of neurons section, diameter_um, distance_um
    times : (f,) ms
    variables : names of the snapshots' variables
    activation : (n,) ms of the first beat, NaN where there was none; None where the run did not end, or where its
        snapshots hold some regions only
    sections : of neurons
    """

    folder: Path
    title: str
    mesh: Mesh
    data: dict[str, NDArray[Any]]
    times: Floats
    variables: tuple[str, ...]
    activation: Floats | None
    sections: tuple[SectionName, ...]

    def values(self, variable: str, frames: NDArray[np.int64],
               nodes: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
        """(len(nodes),) of each frame."""
        n = self.mesh.n_points
        with _opened(self.folder / "vm.vtkhdf") as file:
            data = file["VTKHDF/PointData"][variable]
            for frame in frames:
                yield data[int(frame) * n:(int(frame) + 1) * n][nodes]

    def unit(self, variable: str) -> str:
        """Of a variable; of a membrane's states none is known."""
        return UNITS.get(variable, "")

    def variable(self, name: str | None) -> str:
        """The one that is asked for; the first where none is. OptionError for one that there is not."""
        if name is None:
            return self.variables[0]
        if name not in self.variables:
            raise OptionError("--variable", f"the snapshots of {self.folder} have no {name!r}",
                              did_you_mean(name, self.variables))
        return name


def read_recording(folder: Path) -> Recording:
    """Read everything but the frames.

    Raises
    ------
    OptionError for a folder that is no run, or that has no snapshots, or damaged ones
    """
    manifest = read_manifest(folder)
    path = folder / "vm.vtkhdf"
    if not path.is_file():
        raise OptionError(str(folder), "this run has no snapshots (vm.vtkhdf)", SNAPSHOTS)
    with _opened(path) as file:
        root = file["VTKHDF"]
        frames = int(root["Steps"].attrs["NSteps"])
        times = root["Steps/Values"][:frames]
        variables = tuple(sorted(root["PointData"], key=lambda name: name != "V"))       # V first
        data = {name: values[:] for name, values in root["CellData"].items()}
        mesh = _mesh(root, data)
    if frames < 1:
        raise OptionError(str(path), "there is no frame in it yet", "let the run go on until the first")
    return Recording(folder, title_of(folder, manifest), mesh, data, times, variables,
                     _activation(folder / "activation.vtu", mesh.n_points), _sections(folder / "sections.csv"))


def read_map(folder: Path) -> Recording:
    """The tissue and its activation times of a run that has ended, with snapshots or without; no frames.

    Raises
    ------
    OptionError for a folder that is no run, or has no map of a sheet or a volume, or a damaged one
    """
    import meshio

    manifest, path = read_manifest(folder), folder / "activation.vtu"
    if not path.is_file():
        raise OptionError(str(folder), "this run has no map of activation times (activation.vtu)",
                          "let it end; the map is written then")
    try:
        content = meshio.vtu.read(str(path))                          # meshio.read would print, and end the process
        times = np.asarray(content.point_data["activation_ms"], np.float64)
    except (meshio.ReadError, SyntaxError, OSError, ValueError, KeyError) as error:
        raise OptionError(str(path), f"it cannot be read: {error}", "run it again") from None
    kinds = {kind.meshio: (shape, dim, kind) for (shape, dim), kind in CELL_TYPES.items()}
    shape, dim, kind = kinds[content.cells[0].type]
    points, cells = content.points / MM_PER_CM, content.cells[0].data[:, np.argsort(kind.order)].astype(np.int32)
    grid = _grid(points, cells, dim) if shape == "box" else None
    mesh = Mesh(points, cells, np.zeros(len(cells), np.int32), grid=grid)
    return Recording(folder, title_of(folder, manifest), mesh, {}, np.empty(0), (), times, ())


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a run. OptionError for a folder that is none."""
    if not folder.exists():
        raise OptionError(str(folder), "there is no such folder", RUN)
    path = folder / "manifest.json"
    if not path.is_file():
        raise OptionError(str(folder), "this is no run of tissue or neurons: it has no manifest.json", RUN)
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise OptionError(str(path), f"it is damaged: {error}", "run it again") from None


def title_of(folder: Path, manifest: dict[str, Any]) -> str:
    """The case's title, or the folder's name."""
    case = manifest.get("case")
    title = case.get("title") if isinstance(case, dict) else None
    return str(title or folder.resolve().name)


def read_probes(folder: Path) -> tuple[Floats, dict[str, dict[str, Floats]]]:
    """Times (ms) of probes.csv, and by probe and variable the values."""
    columns = _columns(folder, "probes.csv", "probes", PROBES)
    found: dict[str, dict[str, Floats]] = {}
    for title, values in columns.items():
        probe, _, variable = title.rpartition(".")
        if probe:
            found.setdefault(probe, {})[variable] = values
    return columns["time_ms"], found


def read_spikes(folder: Path) -> dict[str, Floats]:
    """The times (ms) of spikes.csv by the names of its points, also of those that had none."""
    read_manifest(folder)
    path, found = folder / "spikes.csv", dict[str, list[float]]()
    if not path.is_file():
        raise OptionError(str(folder), "this run watched no spikes (spikes.csv)", SPIKES)
    try:
        summary = folder / "summary.json"
        if summary.is_file():
            found = {name: [] for name in json.loads(summary.read_text(encoding="utf-8")).get("spikes", {})}
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["name"], []).append(float(row["time_ms"]))
    except (ValueError, KeyError, TypeError) as error:
        raise OptionError(str(path), f"it cannot be read: {error}", "run it again") from None
    return {name: np.array(times) for name, times in found.items()}


def natural(name: str) -> list[tuple[int, str]]:
    """For sorting: E[2] before E[10]."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def read_columns(folder: Path, name: str) -> dict[str, Floats]:
    """The columns of a CSV file of a run by their names, whole rows only; none where there is no such file.

    Raises
    ------
    OptionError for a file that cannot be read
    """
    path = folder / name
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        lines = text[:text.rfind("\n") + 1].splitlines()              # a run that goes on may have a torn last line
        names = next(csv.reader(lines[:1]))
        names.index("time_ms")
        values = np.loadtxt(lines[1:], delimiter=",", ndmin=2).T if len(lines) > 1 else np.empty((len(names), 0))
        return dict(zip(names, values, strict=True))
    except (StopIteration, ValueError) as error:
        raise OptionError(str(path), f"it cannot be read: {error}", "run it again") from None


def _columns(folder: Path, name: str, what: str, remedy: str) -> dict[str, Floats]:
    """The same of a file that is needed, with two rows at least."""
    read_manifest(folder)
    columns = read_columns(folder, name)
    if not columns:
        raise OptionError(str(folder), f"this run has no {what} ({name})", remedy)
    if len(columns.get("time_ms", ())) < 2:
        raise OptionError(str(folder / name), "there are fewer than two rows in it", "let the run go on")
    return columns


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file of snapshots; what is wrong with it becomes an OptionError."""
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, KeyError) as error:
        raise OptionError(str(path), f"it cannot be read: {error}", "run it again") from None


def _mesh(root: Any, data: dict[str, NDArray[Any]]) -> Mesh:
    """The mesh of the file, its cells' corners in our order; lines after cells of another kind are Purkinje strands,
    and what ``data`` say of them goes there."""
    vtk = int(root["Types"][0]) if len(root["Types"]) else 3
    (shape, dim), kind = next((key, kind) for key, kind in CELL_TYPES.items() if kind.vtk == vtk)
    m = int((root["Types"][:] == vtk).sum())
    cells = root["Connectivity"][:m * len(kind.order)].reshape(-1, len(kind.order))
    back = np.argsort(kind.order)
    points = root["Points"][:] / MM_PER_CM
    ours = cells[:, back].astype(np.int32)
    grid = _grid(points, ours, dim) if shape == "box" else None
    lines = root["Connectivity"][cells.size:].reshape(-1, 2).astype(np.int32)
    strands = _strands(lines, {name: values[m:] for name, values in data.items()}, len(points)) if len(lines) else None
    for name in data:
        data[name] = data[name][:m]
    return Mesh(points, ours, data["region"], fibre=data.get("fibre"), grid=grid, purkinje=strands)


def _grid(points: Floats, boxes: NDArray[np.int32], dim: int) -> Grid:
    """What the boxes of a mesh share."""
    edges = (points[boxes[0, 1 << k]] - points[boxes[0, 0]] for k in range(dim))
    return Grid(tuple(float(np.linalg.norm(edge)) for edge in edges))


def _strands(lines: NDArray[np.int32], data: dict[str, NDArray[Any]], n: int) -> Strands:
    """What a file tells of Purkinje strands: where they lie, their trees and their diameters."""
    first = int(lines.min())
    tag, none = np.zeros(n - first, np.int32), np.empty(0)
    tag[lines - first] = data["region"][:, None]
    return Strands(first, lines, data["region"], data["diameter_um"] / UM_PER_CM, none, np.zeros(n - first), tag,
                   np.empty((0, 2), np.int64), none)


def _activation(path: Path, n: int) -> Floats | None:
    if not path.is_file():
        return None
    import meshio

    values = np.asarray(meshio.read(path).point_data["activation_ms"], np.float64)
    return values if len(values) == n else None


def _sections(path: Path) -> tuple[SectionName, ...]:
    if not path.is_file():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(SectionName(row["population"], row["name"], row["type"]) for row in csv.DictReader(file))
