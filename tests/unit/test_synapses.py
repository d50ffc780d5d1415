"""Synapses and voltage clamps in case files: events, places, what cannot be."""

import numpy as np
import pytest

from upstroke import load_case
from upstroke.case.schema import Events
from upstroke.errors import ErrorList, UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.protocol import place_conductances
from upstroke.protocol.conductances import Kinetics
from upstroke.protocol.events import poisson, trains
from upstroke.step.conductances import merge, synapse_arrays

CASE = """\
[mesh]
kind = "sections"
section = [
    {{ name = "soma", type = "soma", length = "20 um", diameter = "20 um" }},
    {{ name = "dend", parent = "soma", length = "400 um", diameter = ["4 um", "1 um"] }}]
compartments.max_length = "10 um"

[cable]
axial_resistivity = "150 ohm*cm"

[membrane]
model = "Passive"

[time]
end = "50 ms"
dt = "0.025 ms"
splitting = "{splitting}"
{more}
"""
SYNAPSE = """
[[synapse]]
kind = "ampa"
site = { section = "dend" }
weight = "1 nS"
events.times = ["5 ms"]
"""
CLAMP = """
[[voltage_clamp]]
site = { section = "soma" }
levels = ["-65 mV", "0 mV"]
durations = ["5 ms", "5 ms"]
series_resistance = "1 Mohm"
"""


def load(folder, more, splitting="staggered"):
    (folder / "case.toml").write_text(CASE.format(more=more, splitting=splitting))
    return load_case(folder / "case.toml")


def placed(folder, more):
    case = load(folder, more)
    return place_conductances(case, build_mesh(case.mesh, case.cable))


def message(error, folder):
    return str(error).replace(f"{folder}/", "")


# ------------------------------------------------------------------------------------------------- events
def test_a_poisson_train_is_one():
    """Mean and variance of counts, and intervals without memory, of 400 trains; within four standard errors."""
    rate, span = 0.02, 2000.0
    counts = np.array([len(poisson(rate, 100.0, 100.0 + span, 7, k)) for k in range(400)])
    assert abs(counts.mean() - 40) < 4 * np.sqrt(40 / 400)
    assert abs(counts.var() / 40 - 1) < 4 * np.sqrt(2 / 400)
    times = poisson(rate, 100.0, 1e5, 7, 0)
    intervals = np.diff(times)
    assert times[0] > 100 and (intervals > 0).all()
    assert abs(np.mean(intervals > np.log(2) / rate) - 0.5) < 4 * 0.5 / np.sqrt(len(intervals))
    assert abs(np.corrcoef(intervals[1:], intervals[:-1])[0, 1]) < 4 / np.sqrt(len(intervals))


def test_a_train_depends_on_its_key_alone():
    """The same numbers on any machine; a longer run goes on where a shorter one ends."""
    train = poisson(0.005, 0.0, 1000.0, 1, 3)
    assert np.allclose(train[:3], [202.394190704658, 395.620739587435, 413.292788812558], rtol=0, atol=1e-9)
    assert np.array_equal(train, poisson(0.005, 0.0, 4000.0, 1, 3)[:len(train)])
    assert not np.array_equal(train, poisson(0.005, 0.0, 1000.0, 2, 3))
    assert not np.array_equal(train, poisson(0.005, 0.0, 1000.0, 1, 4))


def test_a_slip_of_a_unit_does_not_fill_the_memory():
    with pytest.raises(UpstrokeError) as caught:
        trains(Events(rate=5e6), 10, 1000.0, 1, "synapse.0.events")
    assert str(caught.value) == ("synapse.0.events.rate: makes about 5e+10 spikes in this run\n"
                                 "  -> check its unit, and count")


def test_tables_with_one_seed_share_their_trains():
    process = {"rate": 0.1, "start": 10.0, "end": 60.0}
    one, two = (trains(Events(**process, seed=5), 3, 100.0, table, "") for table in (1, 2))
    assert all(np.array_equal(a, b) and len(a) and a[0] >= 10 and a[-1] < 60 for a, b in zip(one, two, strict=True))
    assert not np.array_equal(*(trains(Events(**process), 1, 100.0, table, "")[0] for table in (1, 2)))


def test_events_from_files(tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "two.csv"
    one.write_text("# ms\n7.5\n\n3  # early\n70\n")
    two.write_text("1, 4.25\n0, 9\n1, 2\n")
    assert [t.tolist() for t in trains(Events(file=one), 2, 50.0, 1, "")] == [[3.0, 7.5]] * 2
    assert [t.tolist() for t in trains(Events(file=two), 3, 50.0, 1, "")] == [[9.0], [2.0, 4.25], []]


@pytest.mark.parametrize(("text", "expected"), [
    ("3\nsoon\n", "synapse.0.events.file: cannot read line 2 of e.txt: 'soon'\n"
     "  -> a line of it is a time in ms, or the number of a synapse and a time, all lines alike"),
    ("3\n0 4\n", "synapse.0.events.file: cannot read line 2 of e.txt: '0 4'\n"
     "  -> a line of it is a time in ms, or the number of a synapse and a time, all lines alike"),
    ("-3\n", "synapse.0.events.file: cannot read line 1 of e.txt: '-3'\n"
     "  -> a line of it is a time in ms, or the number of a synapse and a time, all lines alike"),
    ("0 3\n2 4\n", "synapse.0.events.file: line 2 of e.txt is for synapse 2\n"
     "  -> there are synapses 0 to 1; see count"),
    ("# nothing\n", "synapse.0.events.file: e.txt holds no times\n"
     "  -> a line of it is a time in ms, or the number of a synapse and a time, all lines alike"),
])
def test_broken_files_of_events(text, expected, tmp_path):
    (tmp_path / "e.txt").write_text(text)
    with pytest.raises(UpstrokeError) as caught:
        trains(Events(file=tmp_path / "e.txt"), 2, 50.0, 1, "synapse.0.events")
    assert str(caught.value) == expected


# ------------------------------------------------------------------------------------------------- places
def test_synapses_of_a_region_are_where_the_membrane_is(tmp_path):
    more = '\n[[synapse]]\nkind = "nmda"\nregion = "basal"\ncount = 20000\nweight = "1 nS"\nevents.rate = "1 /s"\n'
    case = load(tmp_path, more)
    mesh = build_mesh(case.mesh, case.cable)
    (s,) = place_conductances(case, mesh).synapses
    share = mesh.tree.area / mesh.tree.area[[k for k in range(mesh.n_points) if mesh.tree.sections[
        mesh.tree.section[k]].name == "dend"]].sum()
    found = np.bincount(s.nodes, minlength=mesh.n_points) / 20000
    there = found > 0
    assert (mesh.tree.section[there] == 1).all() and there.sum() == 40
    assert np.abs(found - share)[there].max() < 5 * np.sqrt(share.max() / 20000)
    assert np.array_equal(s.nodes, placed(tmp_path, more).synapses[0].nodes)
    other = placed(tmp_path, more.replace("count", "seed = 9\ncount")).synapses[0]
    assert not np.array_equal(s.nodes, other.nodes)


def test_delays_and_the_end_of_the_run(tmp_path):
    s, late = placed(tmp_path, SYNAPSE.replace('["5 ms"]', '["49 ms", "5 ms"]\ndelay = "2 ms"')
                     + SYNAPSE.replace('"5 ms"', '"50 ms"\n]\nname = "late"#')).synapses
    assert [times.tolist() for times in s.arrivals] == [[7.0]] and s.weight.tolist() == [1e-6]
    assert s.kinetics == Kinetics(0.2, 1.7, 0.0)
    assert late.arrivals[0].size == 0


def test_synapses_that_nothing_reaches_are_told(tmp_path):
    assert placed(tmp_path, SYNAPSE.replace("5 ms", "60 ms") + 'name = "late"\n').notes() == [
        "synapse 'late': no spike arrives during the run"]


def test_the_peak_of_a_conductance_is_its_weight():
    k = Kinetics(0.5, 5.0, 0.0)
    t = np.linspace(0, 20, 200001)
    g = k.scale * (np.exp(-t / 5.0) - np.exp(-t / 0.5))
    assert g.max() == pytest.approx(1.0, abs=1e-9) and Kinetics(None, 5.0, 0.0).scale == 1.0


def test_synapses_of_a_kind_at_a_node_are_one(tmp_path):
    pair = SYNAPSE.replace("count", "") + 'count = 3\n'
    synapses = placed(tmp_path, pair + SYNAPSE + SYNAPSE.replace("ampa", "gaba")).synapses
    merged = merge(synapses, np.unique(np.concatenate([s.nodes for s in synapses])))
    assert [which.tolist() for which in merged.which] == [[0, 0, 0], [0], [1]]
    arrays = synapse_arrays(synapses, merged, np.ones(2), 1, 0.025)
    assert arrays["first"].tolist() == [0, 2] and arrays["kind"].tolist() == [0, 1] and arrays["kinds"].shape == (2, 12)
    assert arrays["end"].tolist() == [4, 5] and arrays["next"].tolist() == [0, 4]
    assert arrays["step"].tolist() == [200] * 5 and arrays["left"].tolist() == [0.025] * 5


# ------------------------------------------------------------------------------------------------ mistakes
@pytest.mark.parametrize(("old", "new", "expected"), [
    ("site = {", 'region = "dend"\nsite = {',
     "case.toml:21: synapse.0.region: given together with site\n  -> keep one; use one [[synapse]] for each place"),
    ('site = { section = "dend" }\n', "", "case.toml:19: synapse.0: says not where\n"
     '  -> add site = { section = "soma", x = 0.5 }, or region = "apical"'),
    ("weight", "seed = 1\nweight",
     "case.toml:22: synapse.0.seed: nothing is drawn at a site\n  -> remove it; events.seed is that of the trains"),
    ('"ampa"', '"exp2syn"', 'case.toml:19: synapse.0.tau_decay: "exp2syn" needs it\n  -> add tau_decay = "5 ms"\n'
     'case.toml:19: synapse.0.tau_rise: "exp2syn" needs it\n  -> add tau_rise = "0.5 ms", or take kind = "expsyn"'),
    ('"ampa"', '"expsyn"\ntau_decay = "1 ms"\ntau_rise = "0.1 ms"',
     "case.toml:22: synapse.0.tau_rise: \"expsyn\" rises at once\n  -> remove it, or take kind = \"exp2syn\""),
    ('"ampa"', '"ampa"\nmagnesium = "1 mM"',
     'case.toml:21: synapse.0.magnesium: does nothing to "ampa"\n  -> remove it, or take kind = "nmda"'),
    ('"ampa"', '"ampa"\ntau_rise = "2 ms"', "case.toml:21: synapse.0.tau_rise: 2 ms is not shorter than the decay of "
     "1.7 ms\n  -> make the rise shorter or the decay longer"),
    ('events.times = ["5 ms"]', "events = {}", "case.toml:23: synapse.0.events: says not when\n"
     '  -> add one of times, rate, file, source, for example rate = "5 /s"'),
    ('["5 ms"]', '["5 ms"]\nevents.rate = "5 /s"', "case.toml:24: synapse.0.events.rate: given together with times\n"
     "  -> keep one; use one [[synapse]] for each"),
    ('["5 ms"]', '["5 ms"]\nevents.seed = 3', "case.toml:24: synapse.0.events.seed: does nothing with times\n"
     "  -> remove it; it belongs to a Poisson process"),
    ('times = ["5 ms"]', 'rate = "5 /s"\nevents.start = "5 ms"\nevents.end = "5 ms"',
     "case.toml:25: synapse.0.events.end: 5 ms is not after the start at 5 ms\n  -> make the end later"),
    ('"1 nS"', '"1 mS/cm^2"', 'case.toml:22: synapse.0.weight: "1 mS/cm^2" is not a conductance\n'
     '  -> for example "1 nS"'),
])
def test_broken_synapses(old, new, expected, tmp_path):
    assert old in SYNAPSE
    with pytest.raises(ErrorList) as caught:
        load(tmp_path, SYNAPSE.replace(old, new))
    assert message(caught.value, tmp_path) == expected


@pytest.mark.parametrize(("name", "text"), [("synapse", SYNAPSE), ("voltage_clamp", CLAMP)])
def test_conductances_need_implicit_splittings_and_neurons(name, text, tmp_path):
    with pytest.raises(ErrorList) as caught:
        load(tmp_path, text, "strang")
    assert message(caught.value, tmp_path) == (
        f'case.toml:19: {name}.0: its conductance belongs into the matrix of V, which splitting = "strang" has not\n'
        '  -> set time.splitting = "staggered" or "implicit"')
    text = CASE.format(more=text, splitting="staggered")
    cable = ('[mesh]\nkind = "cable"\nlength = "1 mm"\ndx = "0.1 mm"\n[tissue]\nwaves = "lumped"\nsurface_to_volume = '
             '"1 /mm"\nconductivity.monodomain = ["1 mS/cm"]\n')
    (tmp_path / "case.toml").write_text(cable + text[text.index("[membrane]"):])
    with pytest.raises(ErrorList) as caught:
        load_case(tmp_path / "case.toml")
    assert message(caught.value, tmp_path) == (
        f'case.toml:17: {name}.0: the mesh is no neuron but of kind "cable"\n'
        f'  -> remove [[{name}]], or take mesh.kind = "morphology" or "sections"')


def test_every_level_has_a_duration(tmp_path):
    with pytest.raises(ErrorList) as caught:
        load(tmp_path, CLAMP.replace(', "5 ms"]', "]"))
    assert message(caught.value, tmp_path) == (
        "case.toml:22: voltage_clamp.0.durations: not as many (1) as levels (2)\n  -> give each level a duration")


@pytest.mark.parametrize(("text", "expected"), [
    (SYNAPSE.replace('"dend"', '"bend"'), "synapse.0.site.section: the cell has no section 'bend'\n"
     "  -> did you mean 'dend'?"),
    (CLAMP.replace('"soma"', '"sona"'), "voltage_clamp.0.site.section: the cell has no section 'sona'\n"
     "  -> did you mean 'soma'?"),
    (SYNAPSE.replace('site = { section = "dend" }', 'region = "apical"'),
     "synapse.0.region: the mesh has no region 'apical'\n  -> known: basal, soma"),
])
def test_places_that_the_cell_lacks(text, expected, tmp_path):
    with pytest.raises(UpstrokeError) as caught:
        placed(tmp_path, text)
    assert str(caught.value) == expected
