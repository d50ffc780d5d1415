"""Spikes of cells in case files: which cells are joined, with which weights and delays, and what cannot be."""

import numpy as np
import pytest

from upstroke import load_case
from upstroke.errors import ErrorList, UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.protocol import place_conductances
from upstroke.protocol.conductances import Kinetics, Synapses
from upstroke.protocol.network import Sources
from upstroke.step.network import network_arrays, quanta_of

CASE = """\
[mesh]
kind = "network"
population = [
    {{ name = "exc", count = 50, cell = {{ kind = "sections", section = [
        {{ name = "soma", type = "soma", length = "20 um", diameter = "20 um" }},
        {{ name = "dend", parent = "soma", length = "40 um", diameter = ["4 um", "1 um"] }}
        ], compartments.number = 2 }} }},
    {{ name = "inh", count = 20, cell = {{ kind = "sections", section = [
        {{ name = "soma", type = "soma", length = "20 um", diameter = "20 um" }}], compartments.number = 1 }} }}]

[cable]
axial_resistivity = "150 ohm*cm"

[membrane]
model = "Passive"

[time]
end = "50 ms"
dt = "0.025 ms"
splitting = "staggered"

[[synapse]]
kind = "ampa"
{more}
"""
SITE, SOURCE = 'site = { population = "exc", section = "soma", x = 0.9 }\n', \
    'events.source = { population = "exc", section = "soma", x = 0.1 }\n'
BASE = SITE + SOURCE + 'weight = "1 nS"\ndelay = "2 ms"\n'


def load(folder, more):
    (folder / "case.toml").write_text(CASE.format(more=more))
    return load_case(folder / "case.toml")


def placed(folder, more):
    """The first table's synapses, the cell of each and of its source, and the mesh."""
    case = load(folder, more)
    mesh = build_mesh(case.mesh, case.cable)
    conductances = place_conductances(case, mesh)
    s = conductances.synapses[0]
    return s, mesh.tree.cell[s.nodes], mesh.tree.cell[s.source.nodes], mesh, conductances


# -------------------------------------------------------------------------------------------------- who is joined
def test_each_synapse_receives_a_cell_by_chance_but_not_its_own(tmp_path):
    s, post, pre, mesh, conductances = placed(tmp_path, BASE + "count = 200")
    assert post.tolist() == [k for k in range(50) for _ in range(200)] and (pre < 50).all()
    assert not (pre == post).any() and s.source.threshold == 0.0
    counts = np.bincount(pre, minlength=50)
    assert abs(counts.var() / counts.mean() - 1) < 4 * np.sqrt(2 / 50)
    assert (mesh.tree.area[s.source.nodes] > 0).all() and s.arrivals == [] and s.delay.tolist() == [2.0] * 10_000
    _, post, pre, *_ = placed(tmp_path, BASE + "count = 200\nevents.autapses = true")
    assert abs((pre == post).sum() - 200) < 4 * np.sqrt(200)
    assert conductances.describe() == ["synapses 'synapse 1': 10,000 in 50 compartments, spikes of 50 cells, 1 nS each"]
    assert conductances.notes() == []


def test_between_populations_no_cell_is_left_out(tmp_path):
    _, post, pre, *_ = placed(tmp_path, BASE.replace('source = { population = "exc"', 'source = { population = "inh"')
                              + 'count = 30\nevents.threshold = "-20 mV"')
    assert set(pre) == set(range(50, 70)) and len(pre) == 1500 and set(post) == set(range(50))


def test_a_probability_joins_each_pair_alike(tmp_path):
    _, post, pre, *_ = placed(tmp_path, BASE + "events.probability = 0.2")
    assert abs(len(pre) - 490) < 4 * np.sqrt(490 * 0.8) and not (pre == post).any()
    assert len(set(zip(pre, post, strict=True))) == len(pre)
    _, post, pre, *_ = placed(tmp_path, BASE + "count = 2\nevents.probability = 1")
    assert len(pre) == 50 * 49 * 2 and pre[:4].tolist() == [1, 1, 2, 2]


def test_pairs_weights_and_delays_of_a_file(tmp_path):
    text = BASE.replace('{ population = "exc", section = "soma", x = 0.1 }', '{ population = "inh", section = "soma" }')
    (tmp_path / "p.txt").write_text("19 3\n0 49\n3 3\n")
    s, post, pre, *_ = placed(tmp_path, text + 'events.pairs = "p.txt"')
    assert post.tolist() == [3, 49, 3] and pre.tolist() == [69, 50, 53] and s.weight == pytest.approx([1e-6] * 3)
    (tmp_path / "p.txt").write_text("19 3 0.5 7\n0 49 2 0.025\n")
    s, *_ = placed(tmp_path, text + 'events.pairs = "p.txt"')
    assert s.weight == pytest.approx([5e-7, 2e-6]) and s.delay.tolist() == [7.0, 0.025]


def test_tables_with_the_same_seeds_share_places_and_sources(tmp_path):
    more = BASE.replace(SITE, 'region = "basal"\nseed = 4\nevents.seed = 9\n') + "count = 20\n"
    *_, conductances = placed(tmp_path, more + "[[synapse]]\nkind = 'nmda'\n" + more
                              + "[[synapse]]\nkind = 'nmda'\n" + more.replace("9", "8"))
    one, two, three = conductances.synapses
    assert np.array_equal(one.nodes, two.nodes) and np.array_equal(one.source.nodes, two.source.nodes)
    assert np.array_equal(one.nodes, three.nodes) and not np.array_equal(one.source.nodes, three.source.nodes)


def test_places_are_drawn_on_each_cell(tmp_path):
    """`count` of them on each, two compartments by their area; also of synapses that receive listed trains."""
    for events in (SOURCE, 'events.rate = "1 /s"\n'):
        case = load(tmp_path, BASE.replace(SITE, 'region = "basal"\n').replace(SOURCE, events) + "count = 100\n")
        mesh = build_mesh(case.mesh, case.cable)
        (s,) = place_conductances(case, mesh).synapses
        assert np.bincount(mesh.tree.cell[s.nodes]).tolist() == [100] * 50
        area = np.unique(np.round(mesh.tree.area[s.nodes], 15))
        near = np.mean(mesh.tree.area[s.nodes] > area.mean())
        assert len(area) == 2 and abs(near - area[1] / area.sum()) < 4 * 0.5 / np.sqrt(5000)


def test_weights_and_delays_that_are_drawn(tmp_path):
    more = SITE + SOURCE + "count = 100\n"
    s, *_ = placed(tmp_path, more + 'weight = { normal = ["1 nS", "1 nS"] }\n'
                                    'delay = { uniform = ["1 ms", "3 ms"], seed = 5 }\n')
    assert abs((s.weight == 0).mean() - 0.1587) < 0.03 and abs(np.median(s.weight) - 1e-6) < 6e-8
    assert s.delay.min() >= 1 and s.delay.max() <= 3 and abs(s.delay.mean() - 2) < 4 / np.sqrt(12 * 1250)
    assert "1.1 nS on average" in s.describe()
    s, *_ = placed(tmp_path, more + 'weight = "1 nS"\ndelay = { normal = ["0.1 ms", "1 ms"] }\n')
    assert s.delay.min() == 0.025
    case = load(tmp_path, SITE + 'count = 3\nevents.times = ["5 ms"]\nweight = { uniform = ["1 nS", "2 nS"] }\n'
                                 'delay = { normal = ["0.1 ms", "1 ms"] }\n')
    (s,) = place_conductances(case, build_mesh(case.mesh, case.cable)).synapses
    assert min(times[0] for times in s.arrivals) == 5.0 < max(times[0] for times in s.arrivals)
    assert np.ptp(s.weight) > 1e-7


# ---------------------------------------------------------------------------------------------------- on a device
def test_detectors_are_shared_and_connections_ascend():
    """Places by threshold; room for the spikes that can be under way over the longest delay of each."""
    def table(sources, threshold, delays):
        n = len(sources)
        return (Synapses("", Kinetics(None, 1.0, 0.0), np.ones(n), np.array(delays), np.arange(n), [],
                         Sources(np.array(sources), threshold)), np.arange(n), np.arange(n) + 1.0)

    arrays = network_arrays([table([7, 2, 7], 0.0, [3.0, 1.0, 0.5]), table([7], -20.0, [0.1]),
                             table([2], 0.0, [0.6])], 0.1)
    assert arrays["node"].tolist() == [2, 7, 7] and arrays["threshold"].tolist() == [0.0, -20.0, 0.0]
    assert arrays["first"].tolist() == [0, 2, 3, 5] and arrays["synapse"].tolist() == [0, 1, 0, 2, 0]
    assert arrays["delay"] == pytest.approx([6, 10, 1, 5, 30]) and arrays["weight"].tolist() == [1, 2, 1, 3, 1]
    assert np.diff(arrays["ring"]).tolist() == [8, 4, 18]


def test_a_sum_of_all_weights_fits():
    """In 2^60 quanta, to 1 part in 2^59."""
    k = Kinetics(None, 1.0, 0.0)
    s = Synapses("", k, np.full(1000, 3e-6), np.ones(1000), np.zeros(1000, int), [], Sources(np.zeros(1000, int), 0.0))
    (quantum,) = quanta_of((s,), (np.zeros(1000, int),), np.zeros(1, int), 1)
    assert 2.0 ** 59 <= 3e-3 / quantum <= 2.0 ** 60 and np.log2(quantum) == np.round(np.log2(quantum))


# ---------------------------------------------------------------------------------------------------- mistakes
@pytest.mark.parametrize(("more", "expected"), [
    (BASE + 'events.times = ["1 ms"]', "events.source: given together with times\n"
     "  -> keep one; use one [[synapse]] for each"),
    (BASE.replace(SOURCE, 'events = { times = ["1 ms"], threshold = "0 mV" }\n'), "events.threshold: is for spikes of "
     'cells\n  -> add source = { population = "exc", section = "soma" }, or remove threshold'),
    (BASE.replace(SOURCE, 'events = { times = ["1 ms"], autapses = true }\n'), "events.autapses: is for spikes of "
     'cells\n  -> add source = { population = "exc", section = "soma" }, or remove autapses'),
    (BASE + 'events.start = "1 ms"', "events.start: does nothing with source\n"
     "  -> remove it; it belongs to a Poisson process"),
    (BASE + 'events.pairs = "case.toml"\nevents.probability = 0.1', "events.probability: does nothing with pairs\n"
     "  -> remove it; the file says which cells are joined"),
    (BASE + 'events.pairs = "case.toml"\nevents.seed = 1', "events.seed: does nothing with pairs\n"
     "  -> remove it; the file says which cells are joined"),
    (BASE + 'events.pairs = "case.toml"\ncount = 2', "count: does nothing with events.pairs\n"
     "  -> remove it; a line of the file is a synapse"),
    (BASE.replace('delay = "2 ms"\n', ""), "delay: 0 ms is shorter than a step of 0.025 ms, and spikes of cells are "
     'known at its end\n  -> make it "0.025 ms" or longer, or time.dt shorter'),
    (BASE.replace('"2 ms"', '{ uniform = ["0.01 ms", "1 ms"] }'), "delay: 0.01 ms is shorter than a step of 0.025 ms, "
     'and spikes of cells are known at its end\n  -> make it "0.025 ms" or longer, or time.dt shorter'),
    (BASE.replace('"1 nS"', "{ seed = 1 }"), "weight: says not how\n  -> add one of normal, uniform"),
    (BASE.replace('"1 nS"', '{ normal = ["1 nS", "1 nS"], uniform = ["1 nS", "2 nS"] }'),
     "weight.uniform: given together with normal\n  -> keep one of the two"),
    (BASE.replace('"1 nS"', '{ uniform = ["2 nS", "1 nS"] }'),
     "weight.uniform: lowest 2e-06 is above highest 1e-06\n  -> swap the two"),
    (BASE.replace('"1 nS"', '{ normal = ["-1 nS", "1 nS"] }'),
     'weight.normal.0: must be >= 0, found "-1 nS"\n  -> for example normal = ["1 nS", "0.2 nS"]'),
])
def test_broken_connections(more, expected, tmp_path):
    with pytest.raises(ErrorList) as caught:
        load(tmp_path, more)
    assert str(caught.value).partition(": synapse.0.")[2] == expected


@pytest.mark.parametrize(("more", "pairs", "expected"), [
    (BASE.replace("x = 0.1", "cell = 3").replace("x = 0.9", "cell = 3"), "",
     "synapse.0.events: a cell has no other to receive spikes from\n"
     "  -> name a source of several cells, or set autapses = true"),
    (BASE + "count = 10000000\nevents.probability = 1", "", "synapse.0.events: makes about 2.5e+10 connections\n"
     "  -> check count, probability and the populations"),
    (BASE + 'events.pairs = "p.txt"', "0 1 1 0.01\n", "synapse.0.events.pairs: a delay of 0.01 ms is shorter than a "
     "step of 0.025 ms\n  -> make it longer, or time.dt shorter"),
    (BASE + 'events.pairs = "p.txt"', "0 50\n", "synapse.0.events.pairs: line 1 of p.txt names cell 50\n"
     "  -> there are cells 0 to 49 on that side"),
    (BASE + 'events.pairs = "p.txt"', "0 1 2 3 4\n",
     "synapse.0.events.pairs: cannot read line 1 of p.txt: '0 1 2 3 4'\n"
     "  -> a line of it is two numbers of cells, then perhaps a weight, then perhaps a delay, all lines alike"),
    (BASE.replace('section = "soma", x = 0.1', 'section = "some"'), "",
     "synapse.0.events.source.section: a cell of population 'exc' has no section 'some'\n  -> did you mean 'soma'?"),
])
def test_connections_that_cannot_be(more, pairs, expected, tmp_path):
    (tmp_path / "p.txt").write_text(pairs)
    with pytest.raises(UpstrokeError) as caught:
        placed(tmp_path, more)
    assert str(caught.value) == expected
