"""The carp formats: ``.pts`` points, ``.elem`` elements, ``.lon`` fibres, ``.vtx`` node sets, as text or binary.

Text (https://carp.medunigraz.at/file_formats.html): a line with the count, then one item per line; nodes count from
0; an element is its type, its nodes and, if it has one, its region tag; ``.lon`` starts with the number of axes
(1 fibre, 2 fibre and sheet), one line per element follows; ``.vtx`` has the count, ``intra`` or ``extra``, the nodes.

Binary (``.bpts``, ``.belem``, ``.blon``): 1024 bytes of ASCII header, padded with zero bytes: the number of axes
(``.blon`` only), the count, 0 for little or 1 for big endian, and 666; then int32 (element: type number, nodes,
tag) or float32 (coordinates, axes).

Importing this module registers the format with meshio: ``meshio.read("heart.pts")``, ``meshio.write("heart.bpts", m)``.
Coordinates stay in the files' unit (carp: um).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import meshio
import numpy as np
from numpy.typing import ArrayLike, NDArray

from upstroke.errors import MeshError, Place, did_you_mean

HEADER = 1024
CHECKSUM = 666


@dataclass(frozen=True)
class Element:
    """An element type: its number in binary files, its nodes, and where meshio's order takes each node from."""

    number: int
    meshio: str
    order: tuple[int, ...]


# carp numbers the upper face of prisms and hexahedra the other way round than VTK and meshio do
ELEMENTS = {
    "Tt": Element(0, "tetra", (0, 1, 2, 3)),
    "Hx": Element(1, "hexahedron", (0, 1, 2, 3, 4, 7, 6, 5)),
    "Py": Element(3, "pyramid", (0, 1, 2, 3, 4)),
    "Pr": Element(4, "wedge", (0, 1, 2, 3, 5, 4)),
    "Qd": Element(5, "quad", (0, 1, 2, 3)),
    "Tr": Element(6, "triangle", (0, 1, 2)),
    "Ln": Element(7, "line", (0, 1)),
}
NAMES = {e.number: name for name, e in ELEMENTS.items()}
OCTAHEDRON = ("Oc", 2)


# -------------------------------------------------------------------------------------------------- reading
def read(path: str | Path) -> meshio.Mesh:
    """The mesh that ``path`` (.pts, .bpts, .elem or .belem) belongs to, with cell data region, fibre, sheet.

    Binary or text is chosen file by file: the same kind as ``path`` where it exists, else the other.
    Elements are grouped by type, in the order of each type's first appearance.
    """
    path = Path(path)
    points = _read_points(_required(path, "pts"))
    elements = _read_elements(_required(path, "elem"))
    data: dict[str, list[NDArray[Any]]] = {"region": [tags for _, _, tags, _ in elements]}
    if axes_file := _sibling(path, "lon"):
        axes = _read_axes(axes_file, sum(len(tags) for _, _, tags, _ in elements))
        for k, name in enumerate(("fibre", "sheet")[: axes.shape[1] // 3]):
            data[name] = [axes[rows, 3 * k:3 * k + 3] for _, _, _, rows in elements]
    cells = [(ELEMENTS[name].meshio, nodes[:, ELEMENTS[name].order]) for name, nodes, _, _ in elements]
    return meshio.Mesh(points, cells, cell_data=data)


def read_vtx(path: str | Path) -> NDArray[np.int64]:
    """The node numbers of a ``.vtx`` file; the line ``intra`` or ``extra`` may be missing."""
    path = Path(path)
    lines = _lines(path)
    count = _count(path, lines, "nodes")
    domain = len(lines) > 1 and lines[1].split()[:1] in (["intra"], ["extra"])
    rows = _table(path, lines, np.arange(1 + domain, len(lines)), np.int64, (1,), "a node number")
    _require_count(path, count, len(rows), "nodes")
    return rows[:, 0]


def _sibling(path: Path, kind: str) -> Path | None:
    """The file of this kind beside ``path``: of path's own kind (text or binary) first."""
    text, binary = path.with_suffix("." + kind), path.with_suffix(".b" + kind)
    order = (binary, text) if path.suffix.startswith(".b") else (text, binary)
    return next((file for file in order if file.exists()), None)


def _required(path: Path, kind: str) -> Path:
    if found := _sibling(path, kind):
        return found
    raise MeshError(str(path.with_suffix("." + kind)), "there is no such file", "a carp mesh is a .pts and an .elem "
                    "file (or .bpts and .belem) of the same name in the same folder")


def _read_points(path: Path) -> NDArray[np.float64]:
    if path.suffix == ".bpts":
        (count,), data = _binary(path, 1, "f4")
        _require_count(path, count, len(data) / 3, "points")
        return data.reshape(-1, 3).astype(float)
    lines = _lines(path)
    count = _count(path, lines, "points")
    rows = _table(path, lines, np.arange(1, len(lines)), np.float64, (3,), "three coordinates")
    _require_count(path, count, len(rows), "points")
    return rows


def _read_elements(path: Path) -> list[tuple[str, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """For each type: its name, the nodes, the tags, and the numbers of its elements in the file."""
    return _read_elements_binary(path) if path.suffix == ".belem" else _read_elements_text(path)


def _read_elements_text(path: Path) -> list[tuple[str, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    lines = _lines(path)
    count = _count(path, lines, "elements")
    rows_of: dict[str, list[int]] = {}
    for row, line in enumerate(lines[1:], 1):
        rows_of.setdefault(line[:2], []).append(row)
    numbers = [line[2:] for line in lines]
    blocks = []
    for name, rows in rows_of.items():
        if name not in ELEMENTS:
            line = lines[rows[0]]
            raise _unknown(Place(str(path), _line_number(path, rows[0]), 1, line), line.split()[0])
        n = len(ELEMENTS[name].order)
        table = _table(path, numbers, np.array(rows), np.int64, (n, n + 1), f"{n} nodes and a region tag")
        tags = table[:, n] if table.shape[1] > n else np.zeros(len(table), np.int64)
        blocks.append((name, table[:, :n], tags, np.array(rows) - 1))
    _require_count(path, count, len(lines) - 1, "elements")
    return blocks


def _read_elements_binary(path: Path) -> list[tuple[str, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    (count,), data = _binary(path, 1, "i4")
    starts = _element_starts(path, data, count)
    kinds = data[starts]
    blocks = []
    for number in dict.fromkeys(kinds.tolist()):
        name, rows = NAMES[number], np.flatnonzero(kinds == number)
        n = len(ELEMENTS[name].order)
        table = data[starts[rows][:, None] + np.arange(1, n + 2)].astype(np.int64)
        blocks.append((name, table[:, :n], table[:, n], rows))
    return blocks


def _element_starts(path: Path, data: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Where each element's numbers begin; elements of different types have different lengths."""
    if count and len(data):
        stride = len(ELEMENTS[NAMES[data[0]]].order) + 2 if data[0] in NAMES else 0
        if stride and len(data) == count * stride and (data[::stride] == data[0]).all():
            return np.arange(count) * stride
    starts: list[int] = []
    at, numbers = 0, data.tolist()
    while at < len(numbers):
        if numbers[at] not in NAMES:
            name = OCTAHEDRON[0] if numbers[at] == OCTAHEDRON[1] else f"number {numbers[at]}"
            raise _unknown(f"{path}, element {len(starts)}", name)
        starts.append(at)
        at += len(ELEMENTS[NAMES[numbers[at]]].order) + 2
    _require_count(path, count, len(starts) - (at > len(numbers)), "elements")
    return np.array(starts, np.int64)


def _read_axes(path: Path, n_elements: int) -> NDArray[np.float64]:
    """(n, 3) fibres, or (n, 6) fibres and sheet directions."""
    if path.suffix == ".blon":
        (n_axes, _), data = _binary(path, 2, "f4")
        _require_axes(path, n_axes)
        _require_count(path, n_elements, len(data) / (3 * n_axes), "elements", "its .elem file")
        return data.reshape(-1, 3 * n_axes).astype(float)
    lines = _lines(path)
    first = lines[0].split() if lines else []
    if len(first) == 1:                       # the usual header; older files start with the first element's axes
        n_axes, start = _count(path, lines, "axes per element"), 1
        _require_axes(path, n_axes)
    else:
        n_axes, start = len(first) // 3, 0
    columns = (3 * n_axes,) if start else (3, 6)
    rows = _table(path, lines, np.arange(start, len(lines)), np.float64, columns, "one or two axes of 3 components")
    _require_count(path, n_elements, len(rows), "elements", "its .elem file")
    return rows


# -------------------------------------------------------------------------------------------------- writing
def write(path: str | Path, mesh: meshio.Mesh) -> None:
    """Write ``mesh`` as text (.pts or .elem) or binary (.bpts or .belem), with its cell data region, fibre, sheet."""
    path = Path(path)
    names = {e.meshio: name for name, e in ELEMENTS.items()}
    for block in mesh.cells:
        if block.type not in names:
            raise MeshError(str(path), f"the carp format has no element for cells of type {block.type!r}",
                            f"it has {', '.join(names)}")
    points = np.zeros((len(mesh.points), 3))
    points[:, : mesh.points.shape[1]] = mesh.points
    blocks = []
    for k, block in enumerate(mesh.cells):
        inverse = np.argsort(ELEMENTS[names[block.type]].order)
        tags = mesh.cell_data["region"][k] if "region" in mesh.cell_data else np.zeros(len(block.data), int)
        blocks.append((names[block.type], np.column_stack([block.data[:, inverse], tags])))
    present = [name for name in ("fibre", "sheet") if name in mesh.cell_data]
    axes = np.hstack([np.concatenate(mesh.cell_data[name]) for name in present]) if present else None
    (_write_binary if path.suffix.startswith(".b") else _write_text)(path, points, blocks, axes)


def write_vtx(path: str | Path, nodes: ArrayLike, domain: str = "intra") -> None:
    """Write node numbers as a ``.vtx`` file; ``domain`` is "intra" or "extra"."""
    numbers = np.asarray(nodes).tolist()
    Path(path).write_text("".join(f"{word}\n" for word in (len(numbers), domain, *numbers)))


def _write_text(path: Path, points: NDArray[np.float64], blocks: Sequence[tuple[str, NDArray[np.int64]]],
                axes: NDArray[np.float64] | None) -> None:
    path.with_suffix(".pts").write_text(_text(len(points), points))
    rows = [f"{name} {' '.join(map(str, row))}\n" for name, table in blocks for row in table.tolist()]
    path.with_suffix(".elem").write_text(f"{len(rows)}\n" + "".join(rows))
    if axes is None:
        path.with_suffix(".lon").unlink(missing_ok=True)      # fibres of a mesh that is no more
    else:
        path.with_suffix(".lon").write_text(_text(axes.shape[1] // 3, axes))


def _text(first: int, table: NDArray[np.float64]) -> str:
    return f"{first}\n" + "".join(" ".join(map(repr, row)) + "\n" for row in table.astype(float).tolist())


def _write_binary(path: Path, points: NDArray[np.float64], blocks: Sequence[tuple[str, NDArray[np.int64]]],
                  axes: NDArray[np.float64] | None) -> None:
    def put(suffix: str, header: Sequence[int], arrays: Sequence[NDArray[Any]], dtype: str) -> None:
        head = " ".join(map(str, (*header, 0, CHECKSUM))).encode()
        path.with_suffix(suffix).write_bytes(head.ljust(HEADER, b"\0") + b"".join(
            np.ascontiguousarray(a, "<" + dtype).tobytes() for a in arrays))

    put(".bpts", [len(points)], [points], "f4")
    put(".belem", [sum(len(t) for _, t in blocks)],
        [np.column_stack([np.full(len(t), ELEMENTS[name].number), t]) for name, t in blocks], "i4")
    if axes is None:
        path.with_suffix(".blon").unlink(missing_ok=True)
    else:
        put(".blon", [axes.shape[1] // 3, len(axes)], [axes], "f4")


# -------------------------------------------------------------------------------------- lines and headers
def _lines(path: Path) -> list[str]:
    """The lines that say something, without comments and surrounding blanks."""
    return [line for raw in _raw(path) if (line := _content(raw))]


def _raw(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise MeshError(str(path), f"the file cannot be read: {error.strerror}") from None


def _content(line: str) -> str:
    return line.partition("#")[0].strip()


def _line_number(path: Path, row: int) -> int:
    """The line of the file that became ``lines[row]``; only errors ask, so the file is read again."""
    return [k for k, raw in enumerate(_raw(path), 1) if _content(raw)][row]


def _count(path: Path, lines: Sequence[str], of_what: str) -> int:
    if len(lines) == 0:
        raise MeshError(str(path), "the file is empty", f"its first line must be the number of {of_what}")
    if not lines[0].isdigit():
        raise MeshError(Place(str(path), _line_number(path, 0), 1, lines[0]),
                        f"the first line must be the number of {of_what}", "a whole number on a line of its own")
    return int(lines[0])


def _table(path: Path, lines: Sequence[str], rows: NDArray[np.int64], dtype: Any, columns: tuple[int, ...],
           expected: str) -> NDArray[Any]:
    """The numbers on these lines as a table with the most of these numbers of columns that every line has."""
    if len(rows) == 0:
        return np.zeros((0, columns[0]), dtype)
    chosen = [lines[r] for r in rows]
    for width in reversed(columns):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")     # NumPy would read the node number "1.5" as 1 and only warn
                table = np.loadtxt(chosen, dtype, usecols=range(width), ndmin=2)
        except (ValueError, OverflowError, Warning):
            continue
        if width == columns[-1] or all(len(line.split()) == width for line in chosen):
            return table
    widest = max(len(line.split()) for line in chosen)
    width = max((c for c in columns if c <= widest), default=columns[0])
    row = next(r for r in rows if not _readable(lines[r].split()[:width], width, dtype))
    line_number = _line_number(path, row)
    raise MeshError(Place(str(path), line_number),
                    f"expected {expected}, found {_content(_raw(path)[line_number - 1])!r}",
                    "repair the line, or write the mesh again")


def _readable(words: Sequence[str], width: int, dtype: Any) -> bool:
    try:
        np.array([float(w) if dtype is np.float64 else int(w) for w in words], dtype)
    except (ValueError, OverflowError):
        return False
    return len(words) == width


def _require_count(path: Path, promised: int, found: float, of_what: str, promise: str = "its first line") -> None:
    if found == promised:
        return
    if promise != "its first line":
        remedy = "the two files do not belong together"
    elif found < promised:
        remedy = "the file was cut off: copy it again"
    else:
        remedy = "correct the count"
    raise MeshError(str(path), f"{promise} promises {promised:,} {of_what}, and the file holds {found:,.12g}", remedy)


def _require_axes(path: Path, n_axes: int) -> None:
    if n_axes not in (1, 2):
        raise MeshError(str(path), f"{n_axes} axes per element", "1 (fibre) or 2 (fibre and sheet) are possible")


def _unknown(where: Place | str, name: str) -> MeshError:
    if name == OCTAHEDRON[0]:
        return MeshError(where, "octahedra (Oc) cannot be read", "split them into tetrahedra (Tt) first")
    return MeshError(where, f"unknown element type {name!r}", did_you_mean(name, ELEMENTS))


def _binary(path: Path, n_header: int, dtype: str) -> tuple[list[int], NDArray[Any]]:
    """The first ``n_header`` numbers of the header, and the numbers after it in this machine's byte order."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise MeshError(str(path), f"the file cannot be read: {error.strerror}") from None
    words = raw[:HEADER].partition(b"\0")[0].split()
    if len(raw) < HEADER or len(words) < n_header or not all(w.isdigit() for w in words[: n_header + 1]):
        raise MeshError(str(path), "the file has no carp header (1024 bytes that start with the count)",
                        "binary carp files end in .bpts, .belem or .blon, text files in .pts, .elem or .lon")
    order = ">" if words[n_header:n_header + 1] == [b"1"] else "<"
    body = raw[HEADER:]
    if len(body) % 4:
        raise MeshError(str(path), "the file ends in the middle of a number", "the file was cut off: copy it again")
    data = np.frombuffer(body, order + dtype)
    return [int(w) for w in words[:n_header]], data.astype(data.dtype.newbyteorder("="))


meshio.register_format("carp", [".pts", ".bpts", ".elem", ".belem"], read, {"carp": write})
