"""Gap junctions and noise in case files: where they are, which cells are joined, what cannot be."""

import numpy as np
import pytest

from upstroke import load_case
from upstroke.errors import ErrorList, UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.protocol import place_conductances
from upstroke.protocol.pairs import by_probability, generator
from upstroke.space.operator import Operator
from upstroke.step.gaps import gap_arrays, gap_notes

CASE = """\
[mesh]
kind = "network"
population = [
    {{ name = "inh", count = 5, cell = {{ kind = "sections", section = [
        {{ name = "soma", type = "soma", length = "20 um", diameter = "20 um" }},
        {{ name = "dend", parent = "soma", length = "40 um", diameter = "2 um" }}], compartments.number = 2 }} }},
    {{ name = "exc", count = 4, cell = {{ kind = "sections", section = [
        {{ name = "soma", type = "soma", length = "20 um", diameter = "20 um" }}], compartments.number = 1 }} }}]

[cable]
axial_resistivity = "150 ohm*cm"

[membrane]
model = "Passive"

[time]
end = "50 ms"
dt = "0.025 ms"
splitting = "staggered"

[[gap_junction]]
conductance = "2 nS"
site = {{ population = "inh", section = "dend", x = 0.9 }}
to = {{ population = "inh", section = "soma", x = 0.1 }}
{gap}

[[noise]]
{noise}
"""
SITE = 'site = { population = "inh", section = "soma", x = 0.1 }\n'
NOISE = SITE + 'tau = "5 ms"\ntotal_current = ["1 pA", "20 pA"]\n'


def load(folder, gap="", noise=NOISE):
    (folder / "case.toml").write_text(CASE.format(gap=gap, noise=noise))
    return load_case(folder / "case.toml")


def placed(folder, gap="", noise=NOISE):
    case = load(folder, gap, noise)
    mesh = build_mesh(case.mesh, case.cable)
    return place_conductances(case, mesh), mesh


def joined(folder, gap):
    """Pairs of cells, and conductances in nS, of the first table."""
    conductances, mesh = placed(folder, gap)
    (g, *_) = conductances.gaps
    return list(zip(mesh.tree.cell[g.one].tolist(), mesh.tree.cell[g.other].tolist(), strict=True)), 1e6 * g.conductance


# ---------------------------------------------------------------------------------------------------- junctions
def test_each_cell_is_joined_to_itself_or_to_the_next(tmp_path):
    pairs, g = joined(tmp_path, "")
    assert pairs == [(k, k) for k in range(5)] and g == pytest.approx(2.0)
    assert joined(tmp_path, "ring = true")[0] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]


def test_pairs_of_a_file(tmp_path):
    (tmp_path / "g.txt").write_text("0 3  # one\n\n4, 1\n")
    assert joined(tmp_path, 'pairs = "g.txt"')[0] == [(0, 3), (4, 1)]
    (tmp_path / "g.txt").write_text("0 3 0.5\n2 2 4\n")
    pairs, g = joined(tmp_path, 'pairs = "g.txt"')
    assert pairs == [(0, 3), (2, 2)] and g == pytest.approx([0.5, 4.0])


def test_chance_joins_two_cells_once(tmp_path):
    assert joined(tmp_path, "probability = 1")[0] == [(a, b) for a in range(5) for b in range(a + 1, 5)]
    some, same, others = (joined(tmp_path, f"probability = 0.5{seed}")[0] for seed in ("", "\nseed = 1", "\nseed = 2"))
    assert some == same != others
    other = 'probability = 1\n[[gap_junction]]\nconductance = "1 nS"\nprobability = 1\n' \
        'site = { population = "inh", section = "soma" }\nto = { population = "exc", section = "soma" }'
    between, _ = placed(tmp_path, other)
    assert len(between.gaps[1].one) == 20


def test_chance_takes_each_place_alike():
    """Counts of 200 tables of 300 places, and the intervals between those taken; four standard errors."""
    counts = np.zeros(300)
    for seed in range(200):
        rows, columns = by_probability(10, 30, 0.2, generator(seed, "junctions"))
        assert (np.diff(rows * 30 + columns) > 0).all()
        counts[rows * 30 + columns] += 1
    assert abs(counts.mean() - 40) < 4 * np.sqrt(200 * 0.16 / 300)
    assert abs(counts.var() / 32 - 1) < 4 * np.sqrt(2 / 300)
    rows, columns = by_probability(10 ** 6, 10 ** 6, 1e-9, generator(1, "junctions"))
    assert abs(len(rows) - 1000) < 130 and rows.max() < 10 ** 6 and columns.max() < 10 ** 6


def test_junctions_are_known_from_either_side(tmp_path):
    conductances, mesh = placed(tmp_path, "ring = true")
    arrays = gap_arrays(conductances.gaps, mesh.tree.area)
    assert len(arrays["node"]) == 10 and np.diff(arrays["first"]).tolist() == [1] * 10
    for i in range(10):
        (other,), (g,) = ([a[j] for j in range(*arrays["first"][i:i + 2])] for a in (arrays["other"],
                                                                                  arrays["conductance"]))
        assert arrays["other"][arrays["first"][other]] == i
        assert g == pytest.approx(2e-6 / mesh.tree.area[arrays["node"][i]])


def test_strong_junctions_are_told_of(tmp_path):
    conductances, mesh = placed(tmp_path, "ring = true")
    operator = Operator(None, None, mesh.tree.area, True)
    assert gap_notes(conductances.gaps, operator, 1.0, 0.025) == []
    assert gap_notes(conductances.gaps, operator, 1.0, 25.0) == [
        "gap junction 'gap junction 1': dt g / C of a compartment is 39.8, so V there follows with a delay of up to "
        "995 ms; take a smaller dt or larger compartments"]


# ---------------------------------------------------------------------------------------------------- noise
def test_noise_of_sites_and_regions(tmp_path):
    conductances, mesh = placed(tmp_path, noise=NOISE + '[[noise]]\nregion = "basal"\nshared = true\ntau = "1 ms"\n'
                                'current = ["0 uA/cm^2", "1 uA/cm^2"]\nname = "b"\n[[noise]]\nregion = "basal"\n'
                                'seed = 9\ntau = "1 ms"\nconductance = ["1 nS", "2 nS"]\nreversal = "-75 mV"\n')
    one, two, three = conductances.noise
    assert mesh.tree.cell[one.nodes].tolist() == one.number.tolist() == [0, 1, 2, 3, 4]
    assert (one.mean, one.sigma, one.tau, one.reversal, one.total, one.seed) == (1e-6, 2e-5, 5.0, None, True, 1)
    assert two.number.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] and not two.total and two.seed == 2
    assert three.number.tolist() == list(range(10)) and three.reversal == -75.0 and three.seed == 9
    assert [n.describe() for n in conductances.noise] == [
        "noise 'noise 1': a current with 5 processes in 5 compartments, tau 5 ms",
        "noise 'b': a current per area with 5 processes in 10 compartments, tau 1 ms",
        "noise 'noise 3': a conductance with 10 processes in 10 compartments, tau 1 ms"]
    assert conductances.describe()[0] == "gap junctions 'gap junction 1': 5, 2 nS on average"


# ---------------------------------------------------------------------------------------------------- mistakes
@pytest.mark.parametrize(("gap", "expected"), [
    ("ring = true\nprobability = 0.5", "case.toml:26: gap_junction.0.probability: given together with ring\n"
     "  -> keep one; use one [[gap_junction]] for each"),
    ("seed = 3", "case.toml:25: gap_junction.0.seed: nothing is drawn here\n  -> remove it, or give a probability"),
    ("probability = 2", "case.toml:25: gap_junction.0.probability: must be > 0 and <= 1, found 2\n"
     "  -> for example probability = 0.1"),
])
def test_broken_junctions(gap, expected, tmp_path):
    with pytest.raises(ErrorList) as caught:
        load(tmp_path, gap)
    assert str(caught.value).replace(f"{tmp_path}/", "") == expected


@pytest.mark.parametrize(("old", "new", "expected"), [
    ('"soma", x = 0.1 }', '"dend", x = 0.9 }', "gap_junction.0: a junction leads from a compartment to itself\n"
     "  -> name another place or cell in to, or add ring = true or a probability"),
    ('"soma", x = 0.1 }', '"soma", cell = 2 }', "gap_junction.0: site is on 5 cells and to on 1\n"
     "  -> name a cell in each, or add ring, probability or pairs"),
    ('population = "inh", section = "soma", x = 0.1 }', 'population = "exc", section = "soma" }\nring = true',
     "gap_junction.0.ring: needs three cells or more of one population\n"
     "  -> name one population in site and to, and no cell"),
])
def test_sides_that_do_not_match(old, new, expected, tmp_path):
    text = CASE.format(gap="", noise=NOISE)
    head, _, tail = text.partition("[[noise]]")
    (tmp_path / "case.toml").write_text(head.replace(old, new) + "[[noise]]" + tail)
    case = load_case(tmp_path / "case.toml")
    with pytest.raises(UpstrokeError) as caught:
        place_conductances(case, build_mesh(case.mesh, case.cable))
    assert str(caught.value) == expected


LINE = "a line of it is two numbers of cells, then perhaps a conductance, all lines alike"


@pytest.mark.parametrize(("text", "expected"), [
    ("0 1\n0 1 2\n", f"cannot read line 2 of g.txt: '0 1 2'\n  -> {LINE}"),
    ("0 1 -2\n", f"cannot read line 1 of g.txt: '0 1 -2'\n  -> {LINE}"),
    ("0 one\n", f"cannot read line 1 of g.txt: '0 one'\n  -> {LINE}"),
    ("0 5\n", "line 1 of g.txt names cell 5\n  -> there are cells 0 to 4 on that side"),
    ("0.5 1\n", "line 1 of g.txt names cell 0.5\n  -> there are cells 0 to 4 on that side"),
    ("# none\n", f"g.txt holds no pairs\n  -> {LINE}"),
])
def test_broken_files_of_pairs(text, expected, tmp_path):
    (tmp_path / "g.txt").write_text(text)
    with pytest.raises(UpstrokeError) as caught:
        placed(tmp_path, 'pairs = "g.txt"')
    assert str(caught.value) == f"gap_junction.0.pairs: {expected}"


@pytest.mark.parametrize(("noise", "expected"), [
    (SITE + 'tau = "5 ms"', "case.toml:27: noise.0: says not how strong\n  -> add total_current = "
     '["0 pA", "20 pA"], mean and standard deviation, or current, or conductance'),
    (NOISE + 'current = ["0 uA/cm^2", "1 uA/cm^2"]', "case.toml:31: noise.0.current: given together with total_"
     "current\n  -> keep one; use one [[noise]] for each"),
    (NOISE + 'region = "soma"', "case.toml:31: noise.0.region: given together with site\n"
     "  -> keep one; use one [[noise]] for each place"),
    (NOISE.replace(SITE, ""), 'case.toml:27: noise.0: says not where\n  -> add site = { section = "soma" }, or region '
     '= "soma"'),
    (NOISE + 'reversal = "0 mV"', "case.toml:31: noise.0.reversal: does nothing to a current\n"
     "  -> remove it, or give a conductance"),
    (SITE + 'tau = "5 ms"\nconductance = ["1 nS", "1 nS"]', "case.toml:27: noise.0.reversal: a conductance needs it\n"
     '  -> add reversal = "0 mV"'),
    (NOISE.replace('"20 pA"', '"-20 pA"'), "case.toml:30: noise.0.total_current.1: a standard deviation below 0\n"
     "  -> the second value is the standard deviation"),
    (SITE + 'tau = "0 ms"\ntotal_current = ["1 pA", "1 pA"]', "case.toml:29: noise.0.tau: must be > 0, found \"0 ms\"\n"
     '  -> for example tau = "5 ms"'),
])
def test_broken_noise(noise, expected, tmp_path):
    with pytest.raises(ErrorList) as caught:
        load(tmp_path, noise=noise)
    assert str(caught.value).replace(f"{tmp_path}/", "") == expected


@pytest.mark.parametrize("name", ["gap_junction", "noise"])
def test_both_need_implicit_splittings_and_neurons(name, tmp_path):
    text = CASE.format(gap="", noise=NOISE).replace("staggered", "strang")
    (tmp_path / "case.toml").write_text(text)
    with pytest.raises(ErrorList) as caught:
        load_case(tmp_path / "case.toml")
    assert (f'{name}.0: its conductance belongs into the matrix of V, which splitting = "strang" has not\n'
            '  -> set time.splitting = "staggered" or "implicit"') in str(caught.value)
    cable = ('[mesh]\nkind = "cable"\nlength = "1 mm"\ndx = "0.1 mm"\n[tissue]\nwaves = "lumped"\nsurface_to_volume = '
             '"1 /mm"\nconductivity.monodomain = ["1 mS/cm"]\n')
    (tmp_path / "case.toml").write_text(cable + text[text.index("[membrane]"):])
    with pytest.raises(ErrorList) as caught:
        load_case(tmp_path / "case.toml")
    assert (f'{name}.0: the mesh is no neuron but of kind "cable"\n'
            f'  -> remove [[{name}]], or take mesh.kind = "morphology"') in str(caught.value)
