"""Networks: copies of cells, their regions, numbers and places."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upstroke.backend.hines import tree_order
from upstroke.case import load_case, to_toml
from upstroke.case.schema import (
    Cable,
    CableRegion,
    Compartments,
    Drawn,
    MorphologyMesh,
    NetworkMesh,
    Population,
    Probes,
    Section,
    SectionsMesh,
    Site,
    Stimulus,
)
from upstroke.check import check
from upstroke.errors import ErrorList, UpstrokeError
from upstroke.mesh import build_mesh, cells_of_regions, nodes_of_region
from upstroke.mesh.neuron import cell_values
from upstroke.mesh.order import membrane_of_nodes
from upstroke.observe.probes import place_probes
from upstroke.protocol import schedule
from upstroke.reduce import reduce_cell
from upstroke.space import discretise

SOMA, UM = Section(name="soma", type="soma", length=2e-3, diameter=2e-3), 1e-4
CELL = SectionsMesh(section=(SOMA, Section(name="dend", parent="soma", length=2e-2, diameter=2e-4)))
OTHER = SectionsMesh(section=(SOMA, Section(name="axon", type="axon", parent="soma", length=4e-2, diameter=1e-4,
                                            values={"Rm": 5.0})),
                     regions={"far": "distance > 200 um"}, compartments=Compartments(max_length=30 * UM))
CABLE = Cable(axial_resistivity=0.15, capacitance=1.0)


def network(*populations, regions=None, cable=CABLE):
    return build_mesh(NetworkMesh(population=populations, regions=regions or {}), cable)


def two(a=3, b=2, **more):
    return network(Population(name="pyr", count=a, cell=CELL), Population(name="bas", count=b, cell=OTHER), **more)


def test_cells_are_copies():
    mesh, alone = two(), [build_mesh(cell, CABLE) for cell in (CELL, OTHER)]
    tree = mesh.tree
    assert [(p.name, p.count) for p in tree.populations] == [("pyr", 3), ("bas", 2)]
    assert mesh.n_points == sum(p.count * len(cell.points) for p, cell in zip(tree.populations, alone, strict=True))
    number = 0
    for population, cell in zip(tree.populations, alone, strict=True):
        assert population.sections == cell.tree.sections
        for k in range(population.count):
            mine = slice(start := population.first_node + k * population.n_nodes, start + population.n_nodes)
            for name in ("area", "axial", "upper", "capacitance", "x", "distance", "diameter"):
                assert np.array_equal(getattr(tree, name)[mine], getattr(cell.tree, name))
            assert np.array_equal(tree.parent[mine] - np.where(tree.parent[mine] < 0, 0, start), cell.tree.parent)
            assert [tree.sections[s].name for s in tree.section[mine]] == [
                cell.tree.sections[s].name for s in cell.tree.section]
            assert (tree.cell[mine] == number).all()
            moved = mesh.points[mine] - cell.points
            assert np.allclose(moved, moved[0], atol=1e-15)
            number += 1
    segments = mesh.cells
    assert np.array_equal(tree.parent[segments[:, 1]], segments[:, 0]) and len(segments) == mesh.n_points - 5


def test_regions_are_of_all_populations_or_of_one():
    mesh = two(regions={"tip": 'population == "pyr" and section == "dend" and x > 0.9'})
    node, first = mesh.cells[:, 1], mesh.tree.populations[1].first_node
    soma = cells_of_regions(mesh, ["soma"])
    assert soma.sum() == 5 * mesh.tree.sections[0].n_compartments + 5
    assert np.array_equal(cells_of_regions(mesh, ["pyr.soma"]), soma & (node < first))
    assert np.array_equal(cells_of_regions(mesh, ["bas.soma", "pyr.soma"]), soma)
    assert np.array_equal(cells_of_regions(mesh, ["bas"]), node >= first)
    far, tip = cells_of_regions(mesh, ["far"]), cells_of_regions(mesh, ["tip"])
    assert (mesh.tree.distance[node[far]] > 0.02).all() and (node[far] >= first).all() and far.any()
    assert np.array_equal(np.unique(mesh.tree.cell[node[tip]]), [0, 1, 2])
    assert set(mesh.region_names) == {"soma", "basal", "axon", "far", "tip"}
    assert np.array_equal(nodes_of_region(mesh, "bas"), np.arange(first, mesh.n_points))


@pytest.mark.parametrize(("region", "text"), [
    ("pry.soma", "r: there is no population 'pry'\n  -> did you mean 'pyr'?"),
    ("pyr.axon", "r: population 'pyr' has no region 'axon'\n  -> known: basal, soma"),
    ("bas.sma", "r: the mesh has no region 'sma'\n  -> did you mean 'soma'?"),
    ("pry", "r: the mesh has no region 'pry'\n  -> known: axon, basal, far, soma"),
])
def test_a_region_that_there_is_not(region, text):
    with pytest.raises(UpstrokeError) as error:
        cells_of_regions(two(), [region], "r")
    assert str(error.value) == text


def test_cable_by_region_of_one_population():
    mesh = two(cable=Cable(axial_resistivity=0.15, region=(CableRegion(regions=("pyr.soma",), capacitance=2.0),)))
    changed = np.flatnonzero(mesh.tree.capacitance == 2.0)
    assert len(changed) and np.isin(changed, nodes_of_region(mesh, "pyr.soma")).all()
    for name, text in (("tip", "cable.region.0.regions: 'tip' is a region of the network, which is found when cells "
                        "have been divided\n  -> give the region to the cell, in [mesh.population.cell.regions]"),
                       ("pyr", "cable.region.0.regions: 'pyr' is a whole population\n"
                        '  -> name its regions, for example "pyr.soma"')):
        with pytest.raises(UpstrokeError) as error:
            two(regions={"tip": "x > 0.9"}, cable=Cable(
                axial_resistivity=0.15, region=(CableRegion(regions=(name,), capacitance=2.0),)))
        assert str(error.value) == text


def test_a_mistake_in_a_cell_is_told_at_its_population():
    bad = SectionsMesh(section=(SOMA, Section(name="dend", parent="sma", length=2e-2, diameter=2e-4)))
    for cell, text in ((bad, "mesh.population.1.cell.section.1.parent: there is no section 'sma' above this one\n"
                        "  -> did you mean 'soma'?"),
                       (SectionsMesh(section=(SOMA,), regions={"far": "distance > 1 mm"}),
                        "mesh.population.1.cell.regions.far: 'distance > 1 mm' holds nowhere on this cell\n"
                        "  -> `upstroke check` lists what the cell has when this region is left out")):
        with pytest.raises(UpstrokeError) as error:
            network(Population(name="a", cell=CELL), Population(name="b", cell=cell))
        assert str(error.value) == text


# ------------------------------------------------------------------------------------------- numbers of cells
def test_numbers_of_cells_are_point_data():
    mesh = network(Population(name="a", count=3, cell=CELL, values={"g": (1.0, 2.0, 3.0), "E": -65.0}),
                   Population(name="b", count=2, cell=OTHER, values={"g": Drawn(uniform=(0.0, 1.0), seed=4)}))
    first, cell = mesh.tree.populations[1].first_node, mesh.tree.cell
    assert np.array_equal(mesh.point_data["g"][:first], cell[:first] + 1.0)
    drawn = cell_values(Drawn(uniform=(0.0, 1.0), seed=4), "g", 2, 0, "")
    assert np.array_equal(mesh.point_data["g"][first:], drawn[cell[first:] - 3])
    assert (mesh.point_data["E"][:first] == -65.0).all() and np.isnan(mesh.point_data["E"][first:]).all()
    assert np.isnan(mesh.point_data["Rm"][:first]).all() and (mesh.point_data["Rm"] == 5.0).any()


def test_drawn_numbers_are_those_of_their_distribution_whatever_the_count():
    n = 20000
    u, z, e = (cell_values(Drawn(**{how: (100.0, 110.0 if how == "uniform" else 0.5)}, seed=1), "g", n, 9, "")
               for how in ("uniform", "normal", "lognormal"))
    assert u.min() >= 100.0 and u.max() <= 110.0 and abs(u.mean() - 105.0) < 4 * 10 / np.sqrt(12 * n)
    assert abs(z.mean() - 100.0) < 4 * 0.5 / np.sqrt(n) and abs(z.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * n)
    assert np.allclose(np.log(e), np.log(100.0) + (z - 100.0), rtol=1e-12)
    assert np.array_equal(cell_values(Drawn(normal=(100.0, 0.5), seed=1), "g", 7, 2, ""), z[:7])
    assert not np.array_equal(cell_values(Drawn(normal=(100.0, 0.5)), "g", 7, 2, ""), z[:7])
    assert np.array_equal(cell_values(Drawn(normal=(100.0, 0.5)), "g", 7, 1, ""), z[:7])      # the first of the network


def test_numbers_from_files(tmp_path):
    plain, table, bad = (tmp_path / name for name in ("plain.txt", "cells.csv", "bad.csv"))
    plain.write_text("1.5  # first\n\n2.5\n")
    table.write_text("cell, g, E\n0, 3.5, -60\n1, 4.5, -61\n")
    bad.write_text("g\n1\nx\n")
    assert cell_values(Drawn(file=plain), "g", 2, 1, "v").tolist() == [1.5, 2.5]
    assert cell_values(Drawn(file=table), "g", 2, 1, "v").tolist() == [3.5, 4.5]
    for file, name, count, text in (
            (table, "Rm", 2, "v.file: cells.csv has no column 'Rm'\n  -> known: E, cell, g"),
            (plain, "g", 3, "v.file: plain.txt has 2 numbers, but the population 3 cells\n"
             "  -> give one number for each cell"),
            (bad, "g", 2, "v.file: not every line of bad.csv has a number for 'g'\n"
             "  -> a line is a number, or numbers with commas between them below a line of names")):
        with pytest.raises(UpstrokeError) as error:
            cell_values(Drawn(file=file), name, count, 1, "v")
        assert str(error.value) == text


def test_numbers_that_cannot_be():
    for values, text in (({"g": (1.0, 2.0)}, "mesh.population.1.values.g: the list has 2 numbers, but the population "
                          "3 cells\n  -> give one number for each cell"),
                         ({"Rm": 1.0}, "mesh.population.1.values.Rm: is the name of a value of sections, too\n"
                          "  -> give one of them another name")):
        with pytest.raises(UpstrokeError) as error:
            network(Population(name="a", cell=OTHER), Population(name="b", count=3, cell=CELL, values=values))
        assert str(error.value) == text


# ------------------------------------------------------------------------------------------- where cells stand
def test_cells_stand_on_a_grid_or_where_a_file_says(tmp_path):
    mesh = two(5, 1)
    roots = mesh.points[np.flatnonzero(mesh.tree.parent < 0)]
    width = 1.2 * 0.022
    assert np.allclose(roots[:5], [[0, 0, 0], [width, 0, 0], [2 * width, 0, 0], [0, width, 0], [width, width, 0]])
    assert np.allclose(roots[5], [3 * width, 0, 0])
    places = tmp_path / "places.txt"
    places.write_text("# um\n100 200 300\n-5, 0, 1e3\n")
    mesh = network(Population(name="a", count=2, cell=CELL, positions=places))
    middle = mesh.tree.sections[0].node_at(0.5)
    assert np.allclose(mesh.points[[middle, mesh.tree.populations[0].n_nodes + middle]],
                       [[0.01, 0.02, 0.03], [-5e-4, 0, 0.1]])
    for content, text in (("1 2 3\n", "mesh.population.0.positions: places.txt has 1 positions, but the population 2 "
                           "cells\n  -> give one line for each cell"),
                          ("1 2\n3 4\n", "mesh.population.0.positions: cannot read places.txt\n"
                           "  -> each line of it is three numbers, x y z in um")):
        places.write_text(content)
        with pytest.raises(UpstrokeError) as error:
            network(Population(name="a", count=2, cell=CELL, positions=places))
        assert str(error.value) == text


# ------------------------------------------------------------------------------------------- solve order
def test_like_cells_go_eight_abreast():
    """Eight cells of both populations, which branch alike, are a vector at each node; what is left follows."""
    mesh = network(Population(name="a", count=11, cell=CELL), Population(name="b", count=6, cell=CELL),
                   Population(name="c", count=2, cell=OTHER))
    owner = membrane_of_nodes(mesh, [("soma",), None])
    solved = np.flatnonzero(mesh.tree.solved)
    order = solved[tree_order(discretise(mesh, CABLE).permuted(solved).stiffness, owner[solved])]
    assert sorted(order) == list(solved) and (np.diff(owner[order]) >= 0).all()
    cell = mesh.tree.cell[order]
    eights = cell[:8 * int((mesh.tree.cell[solved][owner[solved] == 0] < 8).sum() / 8)].reshape(-1, 8)
    assert (eights == np.arange(8)).all()
    assert {tuple(row) for row in cell[owner[order] == 1][:32].reshape(-1, 8)} <= {tuple(range(8)), tuple(range(8, 16))}


# ------------------------------------------------------------------------------------------- the case
TABLE: dict[str, Any] = {"kind": "sections", "section": [{"name": "soma", "type": "soma", "length": "20 um",
                                                          "diameter": "20 um"}]}
GOOD: dict[str, Any] = {
    "mesh": {"kind": "network", "population": [
        {"name": "a", "count": 2, "cell": TABLE, "values": {"g": {"normal": [1, 0.1]}, "E": [1, 2], "x": 3}}]},
    "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": {"model": "Passive"},
    "time": {"end": "1 ms", "dt": "0.1 ms"}}


def population(**keys):
    return {"mesh": {"kind": "network", "population": [{"name": "a", "cell": TABLE} | keys]}}


def test_a_network_can_be_written_out():
    import tomllib
    case = load_case(GOOD)
    assert case.mesh.population[0].values == {"g": Drawn(normal=(1.0, 0.1)), "E": (1.0, 2.0), "x": 3.0}
    assert load_case(tomllib.loads(to_toml(case))) == case


@pytest.mark.parametrize(("change", "expected"), [
    (population(name="a.b"), "mesh.population.0.name: a name has at least one letter, and no dot\n"
     '  -> for example name = "pyr"; "pyr.soma" is a region of it'),
    (population(name="soma"), "mesh.population.0.name: is the name of a type of sections, which is a region\n"
     "  -> give the population another name"),
    ({"mesh": {"kind": "network", "population": [{"name": "a", "cell": TABLE}] * 2}},
     "mesh.population.1.name: there is a population 'a' already\n  -> give it another name"),
    (population(spacing="1 mm", positions=__file__),
     "mesh.population.0.positions: given together with spacing\n  -> keep one of the two"),
    (population(values={"g": {}}), "mesh.population.0.values.g: says not how\n"
     "  -> add one of normal, lognormal, uniform, file, for example normal = [120, 12]"),
    (population(values={"g": {"normal": [1, 2], "uniform": [1, 2]}}),
     "mesh.population.0.values.g.uniform: given together with normal\n  -> keep one of the two"),
    (population(values={"g": {"file": __file__, "seed": 1}}),
     "mesh.population.0.values.g.seed: nothing is drawn from a file\n  -> remove it"),
    (population(values={"g": {"normal": [1, -2]}}),
     "mesh.population.0.values.g.normal: the standard deviation is -2\n  -> give one of 0 or more"),
    (population(values={"g": {"lognormal": [0, 1]}}),
     "mesh.population.0.values.g.lognormal: the median is 0\n  -> give one above 0"),
    (population(values={"g": {"uniform": [2, 1]}}),
     "mesh.population.0.values.g.uniform: lowest 2 is above highest 1\n  -> swap the two"),
    (population(count=0), "mesh.population.0.count: must be >= 1 and <= 10000000, found 0\n  -> for example count = 1"),
])
def test_a_network_that_cannot_be(change, expected):
    with pytest.raises(ErrorList) as error:
        load_case(GOOD | change)
    assert expected in str(error.value)


# ------------------------------------------------------------------------------------------- inputs and probes
def test_a_stimulus_differs_from_cell_to_cell():
    mesh = network(Population(name="a", count=3, cell=CELL, values={"input": (1.0, 2.0, 0.5)}),
                   Population(name="b", count=2, cell=CELL))
    current = Stimulus(site=Site(section="dend", population="a"), total_current=1e-4, duration=1.0, scale="input")
    train, = schedule([current], mesh, np.nan, 0.1).trains
    assert train.scale.tolist() == [1.0, 2.0, 0.5] and mesh.tree.cell[train.nodes].tolist() == [0, 1, 2]
    assert train.current * mesh.tree.area[train.nodes] == pytest.approx(1e-4, rel=1e-12)
    for site, scale, text in (("b", "input", "stimulus.0.scale: the point data 'input' have no value at 2 of the 2 "
                               "nodes of this stimulus (the first is node 39)\n"
                               "  -> write them for all nodes of its regions"),
                              ("a", "inptu", "stimulus.0.scale: the mesh has no point data 'inptu'\n"
                               "  -> did you mean 'input'?")):
        with pytest.raises(UpstrokeError) as error:
            schedule([replace(current, site=Site(section="dend", population=site), scale=scale)], mesh, np.nan, 0.1)
        assert str(error.value) == text


def test_probes_of_a_population_are_numbered():
    mesh = two(3, 2)
    points = {"soma": Site(section="soma", population="bas"), "one": Site(section="soma", population="pyr", cell=1),
              "tip": Site(section="dend", population="pyr", x=0.0)}
    probes = place_probes(Probes(points=points, every=0.1), mesh)
    assert [p.name for p in probes] == ["soma[0]", "soma[1]", "one", "tip[0]", "tip[1]", "tip[2]"]
    assert [mesh.tree.cell[p.nodes].tolist() for p in probes] == [[3], [4], [1], [0, 0], [1, 1], [2, 2]]
    for probe in probes[3:]:                               # an end: V there follows from the compartments around
        near, weights = mesh.tree.around(int(mesh.tree.nodes_at(points["tip"], "")[mesh.tree.cell[probe.nodes[0]]]))
        assert np.array_equal(probe.nodes, near) and np.array_equal(probe.weights, weights)


# ------------------------------------------------------------------------------------------- around it
def test_cells_from_different_files():
    data = Path(__file__).parents[1] / "data" / "neuron"
    files = [data / f"{name}.swc" for name in ("one_point", "long_soma")]
    mesh = network(*(Population(name=file.stem, count=2, cell=MorphologyMesh(file=file)) for file in files))
    for population, file in zip(mesh.tree.populations, files, strict=True):
        alone = build_mesh(MorphologyMesh(file=file), CABLE)
        assert population.sections == alone.tree.sections and population.n_nodes == alone.n_points
        mine = slice(population.first_node, population.end_node)
        assert np.array_equal(mesh.tree.area[mine], np.tile(alone.tree.area, 2))
    file = files[0].with_name("no_such.txt")
    with pytest.raises(UpstrokeError) as error:
        network(Population(name="a", cell=MorphologyMesh(file=file)))
    assert str(error.value) == ("mesh.population.0.cell.file: 'no_such.txt' is no morphology that can be read\n"
                                "  -> known: .swc, .asc, .h5")


def test_check_prints_populations_and_one_of_their_cells(monkeypatch):
    monkeypatch.setattr("upstroke.check.TRIAL_SECONDS", 1e-3)
    case = GOOD | {"stimulus": {"site": {"section": "soma"}, "total_current": "0.1 nA", "scale": "E",
                                "duration": "1 ms"}}
    text = check(load_case(case))
    assert ("# population 'a': 2 cells of 1 sections, 1 compartments, 1,256.64 um^2, up to 10 um from the soma or the "
            "start\n#   soma  soma     root") in text
    assert text.count("#   soma") == 1
    assert "# stimulus 'stimulus 1': 2 nodes, 7.95775 uA/cm^2 times 1 to 2; 1 pulse of 1 ms at 0 ms\n" in text


def test_a_network_is_not_reduced(tmp_path):
    with pytest.raises(UpstrokeError) as error:
        reduce_cell(load_case(GOOD), tmp_path / "reduced.toml", count=2)
    assert str(error.value) == ("case: mesh: is a network, and only a single cell is reduced\n"
                                "  -> give a case whose [mesh] is the cell of a population")


def test_cells_are_of_neurons():
    with pytest.raises(ErrorList) as error:
        load_case({"mesh": {"kind": "cable", "length": "10 mm", "dx": "1 mm"}, "membrane": GOOD["membrane"],
                   "tissue": {"conductivity": {"monodomain": ["1 mS/cm"]}, "surface_to_volume": "140 /mm"},
                   "time": GOOD["time"], "watch": {"activation": {"at": "cells"}}})
    assert str(error.value) == ('case: watch.activation.at: "cells", but the mesh is no neuron\n'
                                '  -> set at = "nodes"')
