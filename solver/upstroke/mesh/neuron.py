"""A neuron's mesh, from a file or from tables; and networks: populations of copies of such a mesh.

Whatever is found out of a cell is found out once, on its first copy; cells are copied by whole arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from upstroke.case.schema import Cable, Drawn, MorphologyMesh, NetworkMesh, SectionsMesh
from upstroke.case.schema import Population as Table
from upstroke.errors import CaseError, MeshError, did_you_mean
from upstroke.mesh.labels import FIRST_TAG, with_regions
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.morphology import read_morphology
from upstroke.mesh.regional import divided
from upstroke.mesh.sections import built_sections, shaped, with_couplings, with_values
from upstroke.mesh.tree import Population, Tree

Numbers = NDArray[np.float64]
GAP = 1.2                   # of the default grid: its spacing over the width of a cell
STREAM = 2 ** 32            # of Philox, for values of cells; those of trains and synapses are below
LARGEST = 2 ** 31 - 1       # segments hold node numbers as int32


def build_neurons(section: MorphologyMesh | SectionsMesh | NetworkMesh, cable: Cable) -> Mesh:
    """The mesh of a cell or of a network."""
    return _network(section, cable) if isinstance(section, NetworkMesh) else _cell(section, cable)


def _cell(section: MorphologyMesh | SectionsMesh, cable: Cable) -> Mesh:
    """The mesh of one cell, with its regions and the numbers of its sections."""
    if isinstance(section, MorphologyMesh):
        return divided(read_morphology(section.file, section.soma), section.compartments, cable, section.regions)
    tables = shaped(section.section, cable)
    mesh = divided(built_sections(tables), section.compartments, cable, section.regions)
    return with_values(with_couplings(mesh, tables, cable), tables)


def _network(section: NetworkMesh, cable: Cable) -> Mesh:
    """The mesh of populations: their cells one after the other.

    Raises
    ------
    CaseError, MeshError as for a cell, at its population; and for numbers and positions of cells that cannot be
    """
    tables = section.population
    _require_regions_of_cells(section, cable)
    cells = _with_common_tags([_template(table, cable, f"mesh.population.{k}") for k, table in enumerate(tables)])
    one_of_each = with_regions(_joined(tables, cells, [1] * len(cells)), section.regions)
    ends = np.cumsum([cell.n_cells for cell in cells])[:-1]
    cells = [replace(cell, region=region) for cell, region in
             zip(cells, np.split(one_of_each.region, ends), strict=True)]
    counts = [table.count for table in tables]
    if (n := sum(cell.n_points * count for cell, count in zip(cells, counts, strict=True))) > LARGEST:
        raise MeshError("mesh.population", f"makes {n:,} nodes, more than the {LARGEST:,} that a mesh can number",
                        "take fewer cells, or longer compartments")
    mesh = _joined(tables, cells, counts)
    return replace(mesh, region_names=one_of_each.region_names,
                   points=mesh.points + np.repeat(_positions(tables, cells), _repeats(cells, counts), axis=0),
                   point_data=mesh.point_data | _values(tables, cells))


def _template(table: Table, cable: Cable, where: str) -> Mesh:
    """The mesh of a population's cell; mistakes are told at its place."""
    try:
        return _cell(table.cell, _cable_of(table.name, cable))
    except (CaseError, MeshError) as error:
        if not (isinstance(error.where, str) and error.where.startswith("mesh")):     # in a file, or in [cable]
            raise
        raise type(error)(f"{where}.cell{error.where.removeprefix('mesh')}", error.what, error.remedy) from None


def _require_regions_of_cells(section: NetworkMesh, cable: Cable) -> None:
    """[cable] is of cells as they are divided, before there is a network."""
    for k, region in enumerate(cable.region):
        for name in region.regions:
            if name in section.regions:
                raise CaseError(f"cable.region.{k}.regions", f"{name!r} is a region of the network, which is found "
                                "when cells have been divided", "give the region to the cell, in "
                                "[mesh.population.cell.regions]")
            if name in [table.name for table in section.population]:
                raise CaseError(f"cable.region.{k}.regions", f"{name!r} is a whole population",
                                f'name its regions, for example "{name}.soma"')


def _cable_of(population: str, cable: Cable) -> Cable:
    """[cable] as the cell of a population sees it: without "pyr." before its regions, without those of others."""
    own = [replace(region, regions=tuple(name.removeprefix(f"{population}.") if isinstance(name, str) else name
                                         for name in region.regions)) for region in cable.region]
    return replace(cable, region=tuple(own))


def _with_common_tags(cells: Sequence[Mesh]) -> list[Mesh]:
    """The cells with one tag for regions of one name."""
    named = dict.fromkeys(name for cell in cells for name, tag in cell.region_names.items() if tag >= FIRST_TAG)
    common = {name: FIRST_TAG + k for k, name in enumerate(named)}
    made = []
    for cell in cells:
        names = {name: common.get(name, tag) for name, tag in cell.region_names.items()}
        region = cell.region.copy()
        for name, tag in cell.region_names.items():
            region[cell.region == tag] = names[name]
        made.append(replace(cell, region=region, region_names=names))
    return made


def _repeats(cells: Sequence[Mesh], counts: Sequence[int]) -> NDArray[np.int64]:
    """Nodes of each cell of all populations."""
    return np.repeat([cell.n_points for cell in cells], counts)


def _joined(tables: Sequence[Table], cells: Sequence[Mesh], counts: Sequence[int]) -> Mesh:
    """Copies of cells in one mesh, all where the first is."""
    trees = [cell.tree for cell in cells if cell.tree is not None]
    first = np.cumsum([0, *(cell.n_points * count for cell, count in zip(cells, counts, strict=True))])
    sections = np.cumsum([0, *(len(tree.sections) for tree in trees)])
    populations = tuple(Population(table.name, count, int(first[k]), cell.n_points, tree.sections)
                        for k, (table, cell, tree, count) in enumerate(zip(tables, cells, trees, counts, strict=True)))

    def tiled(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([np.tile(part, (count, *[1] * (part.ndim - 1)))
                               for part, count in zip(parts, counts, strict=True)])

    start = np.concatenate([first[k] + cell.n_points * np.arange(count)
                            for k, (cell, count) in enumerate(zip(cells, counts, strict=True))])
    of_nodes = {field.name: tiled([getattr(tree, field.name) for tree in trees]) for field in fields(Tree)
                if field.name != "populations"}
    of_nodes["parent"] = np.where(of_nodes["parent"] < 0, -1, of_nodes["parent"] + np.repeat(
        start, _repeats(cells, counts)))
    of_nodes["section"] += np.repeat(sections[:-1], [cell.n_points * count for cell, count in
                                                     zip(cells, counts, strict=True)])
    tree = Tree(**of_nodes, populations=populations)
    start_of_segment = np.repeat(start, np.repeat([cell.n_cells for cell in cells], counts)).astype(np.int32)
    names = {name: tag for cell in cells for name, tag in cell.region_names.items()}
    data = dict.fromkeys(name for cell in cells for name in cell.point_data)
    return Mesh(tiled([cell.points for cell in cells]),
                tiled([cell.cells for cell in cells]) + start_of_segment[:, None],
                tiled([cell.region for cell in cells]), region_names=names, tree=tree,
                notes=tuple(dict.fromkeys(note for cell in cells for note in cell.notes)),
                point_data={name: tiled([cell.point_data.get(name, np.full(cell.n_points, math.nan))
                                         for cell in cells]) for name in data})


# ------------------------------------------------------------------------------------------------ where cells stand
def _positions(tables: Sequence[Table], cells: Sequence[Mesh]) -> Numbers:
    """(cells, 3) cm, how far each is moved: to its line of a file, or onto a grid beside that of the population
    before."""
    moved, x = [], 0.0
    for k, (table, cell) in enumerate(zip(tables, cells, strict=True)):
        assert cell.tree is not None
        if table.positions is not None:
            at = 1e-4 * _read_positions(table.positions, table.count, f"mesh.population.{k}.positions")
            moved.append(at - cell.points[cell.tree.sections[0].node_at(0.5)])
            continue
        spacing = table.spacing or GAP * float(np.ptp(cell.points[:, :2], axis=0).max())
        columns = math.ceil(math.sqrt(table.count))
        row, column = np.divmod(np.arange(table.count), columns)
        moved.append(np.column_stack([x + spacing * column, spacing * row, np.zeros(table.count)]))
        x += spacing * columns
    return np.concatenate(moved)


def _read_positions(file: Path, count: int, where: str) -> Numbers:
    rows = [line.split("#")[0].replace(",", " ").split() for line in file.read_text(errors="replace").splitlines()]
    try:
        table = np.array([row for row in rows if row], np.float64)
    except ValueError:
        table = np.zeros(0)
    if table.ndim != 2 or table.shape[1] != 3 or not np.isfinite(table).all():
        raise MeshError(where, f"cannot read {file.name}", "each line of it is three numbers, x y z in um")
    if len(table) != count:
        raise MeshError(where, f"{file.name} has {len(table):,} positions, but the population {count:,} cells",
                        "give one line for each cell")
    return table


# ------------------------------------------------------------------------------------------------ numbers of cells
def _values(tables: Sequence[Table], cells: Sequence[Mesh]) -> dict[str, Numbers]:
    """Point data: the numbers of cells at each of their nodes; nan in populations without."""
    data: dict[str, Numbers] = {}
    sizes = [cell.n_points * table.count for table, cell in zip(tables, cells, strict=True)]
    first, number = np.cumsum([0, *sizes]), 0
    for k, (table, cell) in enumerate(zip(tables, cells, strict=True)):
        for name, given in table.values.items():
            where, number = f"mesh.population.{k}.values.{name}", number + 1
            if any(name in other.point_data for other in cells):
                raise CaseError(where, "is the name of a value of sections, too", "give one of them another name")
            values = data.setdefault(name, np.full(first[-1], math.nan))
            values[first[k]:first[k + 1]] = np.repeat(cell_values(given, name, table.count, number, where),
                                                      cell.n_points)
    return data


def cell_values(given: float | tuple[float, ...] | Drawn, name: str, count: int, number: int, where: str) -> Numbers:
    """(count,) the numbers of cells.

    Drawn numbers are quantiles of u = (k + 1/2) / 2^53, k those of Philox 4x64 (Salmon et al. 2011, doi
    10.1145/2063384.2063405) under the key (seed, 2^32), one for each cell: mean + deviation Phi^-1(u); median
    exp(deviation Phi^-1(u)); lowest + (highest - lowest) u.

    Parameters
    ----------
    number : the seed where none is given

    Raises
    ------
    CaseError for a list or a file that has not one number for each cell
    """
    if isinstance(given, tuple):
        return _one_each(np.array(given), count, where, "the list")
    if not isinstance(given, Drawn):
        return np.full(count, float(given))
    if given.file is not None:
        return _one_each(_column(given.file, name, f"{where}.file"), count, f"{where}.file", given.file.name)
    seed = number if given.seed is None else given.seed
    draw = np.random.Generator(np.random.Philox(key=np.array([seed, STREAM], np.uint64)))
    u = draw.random(count) + 2.0 ** -54
    if given.uniform is not None:
        low, high = given.uniform
        return low + (high - low) * u
    if given.lognormal is not None:
        median, deviation = given.lognormal
        return np.asarray(median * np.exp(deviation * ndtri(u)))
    assert given.normal is not None                             # the case was checked
    mean, deviation = given.normal
    return np.asarray(mean + deviation * ndtri(u))


def _one_each(values: Numbers, count: int, where: str, what: str) -> Numbers:
    if len(values) != count:
        raise CaseError(where, f"{what} has {len(values):,} numbers, but the population {count:,} cells",
                        "give one number for each cell")
    return values


def _column(file: Path, name: str, where: str) -> Numbers:
    """A file's only column, or the one of that name."""
    rows = [[cell.strip() for cell in line.split("#")[0].split(",")]
            for line in file.read_text(errors="replace").splitlines() if line.split("#")[0].strip()]
    column = 0
    head = rows[0] if rows else [""]
    if not _is_number(head[0]) or len(head) > 1:
        titles = {title: k for k, title in enumerate(head)}
        if name not in titles:
            raise CaseError(where, f"{file.name} has no column {name!r}", did_you_mean(name, head))
        column, rows = titles[name], rows[1:]
    try:
        values = np.array([row[column] for row in rows], np.float64)
    except (ValueError, IndexError):
        values = np.array([math.nan])
    if not np.isfinite(values).all():
        raise CaseError(where, f"not every line of {file.name} has a number for {name!r}", "a line is a number, or "
                        "numbers with commas between them below a line of names")
    return values


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
