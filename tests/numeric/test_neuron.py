"""Neurons end to end, from a case to probes: against closed forms, and against NEURON from the SWC file alone."""

import json
import math
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

import upstroke
from upstroke import load_case
from upstroke.check import check
from upstroke.errors import CaseError
from upstroke.run import prepare

DATA = Path(__file__).parents[1] / "data" / "neuron"
GRANULE = Path(os.environ.get("UPSTROKE_GRANULE_CELL", DATA / "gc2.swc"))
STEADY = {"end": "400 ms", "dt": "0.5 ms", "splitting": "godunov", "diffusion": "backward_euler"}
PASSIVE = {"model": "Passive", "parameters": {"Rm": 20, "V_rest": 0}, "initial": {"V": 0}}


def neuron(mesh, at, points, time=STEADY, current="0.01 nA", **more):
    return {"mesh": mesh, "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": PASSIVE, "time": time,
            "stimulus": {"site": at, "total_current": current, "duration": "1 s"},
            "watch": {"probes": {"points": points, "every": time["dt"]}}, "output": {"picture": False}} | more


def probes(case, folder):
    """The columns of probes.csv by the names of their probes."""
    upstroke.run(load_case(case), folder / "out")
    table = np.genfromtxt(folder / "out" / "probes.csv", delimiter=",", names=True, deletechars="")
    return {name.removesuffix(".V"): table[name] for name in table.dtype.names}


BALL_AND_STICK = {"kind": "sections", "compartments": {"max_length": "2 um"}, "section": [
    {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
    {"name": "dend", "parent": "soma", "parent_x": 0.5, "length": "500 um", "diameter": "2 um"}]}


@pytest.mark.parametrize(("splitting", "diffusion", "within"), [
    # a current into a compartment is split from what flows on: first order in dt where V is steady
    ("godunov", "backward_euler", 5e-3), ("implicit", "crank_nicolson", 1e-4), ("staggered", "crank_nicolson", 1e-4)])
def test_ball_and_stick_at_rest(splitting, diffusion, within, tmp_path):
    time = STEADY | {"splitting": splitting, "diffusion": diffusion, "dt": "0.1 ms"}
    V = probes(neuron(BALL_AND_STICK, {"section": "soma"}, {
        "soma": {"section": "soma"}, "tip": {"section": "dend", "x": 1}}, time), tmp_path)
    g, Ra, d, L = 0.05, 0.15, 2e-4, 500e-4
    electrotonic = L / math.sqrt(d / (4 * Ra * g))
    stick = math.pi * d ** 1.5 / 2 * math.sqrt(g / Ra) * math.tanh(electrotonic)
    soma = 1e-5 / (g * math.pi * 20e-4 ** 2 + stick)                             # 0.01 nA
    assert V["soma"][-1] == pytest.approx(soma, rel=within + 3e-4)
    assert V["tip"][-1] == pytest.approx(soma / math.cosh(electrotonic), rel=within + 3e-4)


@pytest.mark.parametrize("name", ["one_point", "three_points", "long_soma"])
def test_input_resistance_and_attenuation_from_the_swc_file_alone(name, tmp_path):
    expected = json.loads((DATA / "neuron9.json").read_text())["cells"][name]
    mesh = {"kind": "morphology", "file": str(DATA / f"{name}.swc")}
    sites = {"soma": {"section": "soma[0]"}, "far": {"section": expected["far"]}}
    for at, own, other in (("soma", "soma_input", "soma_to_far"), ("far", "far_input", "far_to_soma")):
        V = probes(neuron(mesh, sites[at], sites, STEADY | {"splitting": "implicit"}), tmp_path / at)
        there = "far" if at == "soma" else "soma"
        assert V[at][-1] / 0.01 == pytest.approx(expected[own], rel=1e-5)
        assert V[there][-1] / V[at][-1] == pytest.approx(expected[other] / expected[own], rel=1e-5)


@pytest.mark.skipif(not GRANULE.is_file(), reason="NeuroMorpho.org's cell mp_ma_40984_gc2 is not shipped; "
                    "UPSTROKE_GRANULE_CELL=FILE.swc names it")
def test_a_granule_cell_is_neurons_from_its_file_alone(tmp_path):
    """Input resistances (Mohm), attenuation, and the spike of a soma with the squid's channels: NEURON 9.0.2."""
    mesh = {"kind": "morphology", "file": str(GRANULE)}
    sites = {"soma": {"section": "soma[0]"}, "dend": {"section": "dend[20]", "x": 0.5}}
    leak = {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -65}, "initial": {"V": -65}}
    V = {at: probes(neuron(mesh, sites[at], sites, STEADY | {"splitting": "implicit"}), tmp_path / at) for at in sites}
    assert V["soma"]["soma"][-1] / 0.01 == pytest.approx(497.509106, rel=1e-6)
    assert V["dend"]["dend"][-1] / 0.01 == pytest.approx(4701.796217, rel=1e-6)
    assert V["soma"]["dend"][-1] / V["soma"]["soma"][-1] == pytest.approx(0.8055457, rel=1e-6)
    assert V["dend"]["soma"][-1] / V["dend"]["dend"][-1] == pytest.approx(0.08523685, rel=1e-6)
    case = neuron(mesh, None, sites, {"end": "30 ms", "dt": "0.025 ms"}, membrane=[
        {"model": "HodgkinHuxley", "regions": ["soma"], "parameters": {"V_L": 10.7}}, leak])
    case["stimulus"] = {"site": sites["soma"], "total_current": "0.1 nA", "start": "20 ms", "duration": "50 ms"}
    case["watch"]["spikes"] = {"points": {"soma": sites["soma"]}}
    spikes = upstroke.run(load_case(case), tmp_path / "spike").spikes()["soma"]
    assert spikes == pytest.approx([25.0393765], abs=1e-6)                # with the same steps
    assert spikes == pytest.approx([25.0428484], abs=0.02)                # dt 0.005 ms, three times the compartments


def exact(x, t, length, length_constant, d, tau=40.0, Ra=100.0, Rm=4e4, current=1e-10):
    """V in mV at x (cm) of a sealed cable with a current into its start (A; ohm, cm, ms): Rall 1969."""
    R = 2 / math.pi * math.sqrt(Rm * Ra) * d ** -1.5
    L, X, T = length / length_constant, x / length_constant, t / tau
    n = np.arange(1, 2001)[:, None] * math.pi / L
    series = (np.cos(n * X) * np.exp(-(1 + n ** 2) * T) / (1 + n ** 2)).sum(axis=0)
    return -65 + 1e3 * current * R * (math.cosh(L - X) / math.sinh(L) - np.exp(-T) / L - 2 / L * series)


@pytest.mark.parametrize(("name", "places", "length", "length_constant", "d"), [
    ("rallpack1", {"near": 0.5e-4, "far": 0.1}, 0.1, 0.1, 1e-4),
    ("rallpack2", {"trunk": 16e-4, "twig": 304e-4}, 0.032, 0.4, 16e-4)])
def test_rallpack_within_a_hundredth_of_a_percent(name, places, length, length_constant, d, tmp_path):
    V = probes(Path(__file__).parents[2] / "cases" / name, tmp_path)
    t = V.pop("time_ms")[1:]
    assert len(t) == 5000 and t[-1] == 250.0
    for place, x in places.items():
        wanted = exact(x, t, length, length_constant, d)
        error = math.sqrt(np.mean((V[place][1:] - wanted) ** 2)) / np.ptp(wanted)
        assert error < 1e-4


CASES = Path(__file__).parents[2] / "cases"
BRIEF = {"output": {"picture": False}, "backend": {"device": "cpu", "threads": 1}}


def test_rallpack_3_has_its_17th_spike_in_time(tmp_path):
    """Within 0.05 ms of the limit of small steps: NEURON 9.0.2, extrapolated from dt 0.01 and 0.005 ms."""
    spikes = upstroke.run(load_case(CASES / "rallpack3", BRIEF), tmp_path / "out").spikes()
    assert spikes["near"][16] == pytest.approx(233.987682, abs=0.05)
    assert spikes["far"][16] == pytest.approx(236.677581, abs=0.05)


def test_rallpacks_converge_with_order_two_in_space(tmp_path):
    """By differences between three resolutions: V at the far end after 20 ms; when the second spike gets there."""
    def far(case, number, end, place):
        over = BRIEF | {"mesh": {"compartments": {"number": number}}, "time": {"end": f"{end} ms"}, "watch": {
            "spikes": {"points": {"far": place}}, "probes": {"points": {"far": place}}}}
        folder = tmp_path / f"{case}_{number}"
        spikes = upstroke.run(load_case(CASES / case, over), folder).spikes()["far"]
        V = np.genfromtxt(folder / "probes.csv", delimiter=",", names=True, deletechars="")["far.V"]
        return spikes[1] if case == "rallpack3" else V[-1]

    for case, numbers, end, place in (
            ("rallpack1", (20, 40, 80), 20, {"section": "cable", "x": 1}),
            ("rallpack2", (1, 3, 9), 20, {"section": "branch[1022]", "x": 0.5}),
            ("rallpack3", (50, 100, 200), 20, {"section": "axon", "x": 1})):
        coarse, middle, fine = (far(case, number, end, place) for number in numbers)
        assert math.log((coarse - middle) / (middle - fine), numbers[1] / numbers[0]) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("diameter", [476, 119])
def test_the_squids_axon_conducts_as_in_neuron(diameter, tmp_path):
    """12.322 m/s within 0.1 %, and as the square root of the diameter."""
    scale = math.sqrt(diameter / 476)
    case = load_case(CASES / "squid_axon", BRIEF, {
        "mesh": {"section": {"diameter": f"{diameter} um", "length": f"{100 * scale} mm"}}, "time": {"end": "7 ms"}},
        overrides=[f"stimulus.0.total_current={20 * scale ** 3} uA"])
    at = upstroke.run(case, tmp_path / "out").summary["probe_activation_ms"]
    assert 100 * scale * 400 / 1001 / (at["at70"] - at["at30"]) == pytest.approx(12.321787 * scale, rel=1e-3)


def test_a_spike_of_the_soma_runs_into_the_dendrite(tmp_path):
    case = neuron(BALL_AND_STICK | {"compartments": {}}, {"section": "soma"}, {
        "soma": {"section": "soma"}, "tip": {"section": "dend", "x": 1}},
        {"end": "12 ms", "dt": "0.025 ms", "splitting": "staggered"}, "2 nA", membrane=[
            {"model": "HodgkinHuxley", "regions": ["soma"]},
            {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -65}, "initial": {"V": -65}}])
    V = probes(case, tmp_path)
    assert V["soma"].max() > 10 > V["tip"].max() > -60 and V["tip"].argmax() > V["soma"].argmax()


def test_regions_of_a_neuron_take_stimuli(tmp_path):
    mesh = {"kind": "morphology", "file": str(DATA / "one_point.swc"), "regions": {"far": "distance > 300 um"}}
    case = neuron(mesh, None, {"soma": {"section": "soma[0]"}, "tuft": {"section": "apic[5]", "x": 1}},
                  {"end": "5 ms", "dt": "0.1 ms", "splitting": "implicit"},
                  stimulus={"region": "far", "current": "1 uA/cm^2", "duration": "1 s"})
    V = probes(case, tmp_path)
    assert V["tuft"][-1] > 2 * V["soma"][-1] > 0


# ------------------------------------------------------------------------------------------ what check says
def test_check_prints_what_was_built():
    mesh = {"kind": "sections", "compartments": {"number": 3}, "section": [
        {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
        {"name": "dend", "parent": "soma", "parent_x": 0.5, "length": "500 um", "diameter": ["2 um", "1 um"]}]}
    said = check(load_case(neuron(mesh, {"section": "soma"}, {"soma": {"section": "soma"}},
                                  STEADY | {"splitting": "implicit"}))).splitlines()
    at = said.index("# neuron: 2 sections, 6 compartments, 3,612.83 um^2, up to 500 um from the soma or the start")
    assert [" ".join(line.split()) for line in said[at + 1:at + 3]] == [
        "# soma soma root 20 um x 20 um 1256.64 um^2 3 compartments",
        "# dend basal on soma(0.5) 500 um x 1.5 um 2356.2 um^2 3 compartments"]
    assert not [line for line in said if "stability" in line or "resolution" in line]


def test_split_neurons_get_a_note():
    case = neuron(BALL_AND_STICK, {"section": "soma"}, {"soma": {"section": "soma"}}, STEADY | {
        "diffusion": "crank_nicolson"})
    assert [line for line in check(load_case(case)).splitlines() if "swing" in line] == [
        "# note: splitting 'godunov' takes the current of an electrode and what flows on along the branches apart, "
        'which makes V swing near it; "staggered", the default with [cable], does not']


# ------------------------------------------------------------------------------------------------ ends of sections
def test_an_end_where_nothing_follows_is_its_compartment(tmp_path):
    """In files, probes and maps; the whole cell is there, and inputs into all of it count each compartment once."""
    box = {"min": ["-1 mm", "-1 mm", "-1 mm"], "max": ["1 mm", "1 mm", "1 mm"]}
    stimulus = {"current": "20 uA/cm^2", "start": "1 ms", "duration": "1 ms"}
    tables = {
        "mesh": {"kind": "sections", "compartments": {"number": 3}, "section": [
            {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
            {"name": "dend", "parent": "soma", "length": "300 um", "diameter": "2 um"},
            {"name": "axon", "type": "axon", "parent": "soma", "length": "300 um", "diameter": "1 um"}]},
        "cable": {"axial_resistivity": "150 ohm*cm"}, "time": {"end": "5 ms", "dt": "0.025 ms"},
        "membrane": [{"model": "HodgkinHuxley", "regions": ["soma", "axon"]},
                     {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -65}, "initial": {"V": -65}}],
        "stimulus": [stimulus | {"box": box}], "output": {"picture": False},
        "watch": {"probes": {"points": {"tip": {"section": "axon", "x": 1}, "last": {"section": "axon", "x": 0.9},
                                        "start": {"section": "soma", "x": 0}},
                             "every": "0.1 ms", "variables": ["V", "M"]},
                  "snapshots": {"every": "1 ms", "variables": ["V", "M"]}}}
    by_box = upstroke.run(tables, tmp_path / "box")
    tree = by_box.mesh.tree
    _, dend, axon = tree.sections
    ends, there = np.array([0, dend.end, axon.end]), np.array([1, dend.end - 1, axon.end - 1])
    assert by_box.state.n == by_box.mesh.n_points - 3 == 10
    with h5py.File(tmp_path / "box" / "vm.vtkhdf") as file:
        for name in ("V", "M"):
            values = file["VTKHDF/PointData"][name][:].reshape(6, -1)
            assert np.array_equal(values[:, ends], values[:, there], equal_nan=True)
            assert np.isfinite(values[:, ends[[0, 2]]]).all() and np.ptp(values[:, axon.end]) > 0.1
    probes = by_box.probes()
    assert np.array_equal(probes["tip.V"], probes["last.V"]) and np.array_equal(probes["tip.M"], probes["last.M"])
    assert np.array_equal(by_box.activation.activation[:, ends], by_box.activation.activation[:, there], equal_nan=True)
    by_site = upstroke.run(tables | {"stimulus": [
        stimulus | {"site": {"section": s.name, "x": (k + 0.5) / 3}} for s in tree.sections for k in range(3)]},
        tmp_path / "sites")
    assert np.array_equal(by_site.state.variable("V"), by_box.state.variable("V"))


def test_a_stimulus_of_an_end_alone_touches_nothing():
    end = {"min": ["0.29 mm", "-1 mm", "-1 mm"], "max": ["0.31 mm", "1 mm", "1 mm"]}
    case = load_case({
        "mesh": {"kind": "sections", "compartments": {"number": 3},
                 "section": [{"name": "axon", "type": "axon", "length": "300 um", "diameter": "1 um"}]},
        "cable": {"axial_resistivity": "150 ohm*cm"}, "time": {"end": "5 ms", "dt": "0.025 ms"},
        "membrane": {"model": "HodgkinHuxley"},
        "stimulus": {"box": end, "current": "20 uA/cm^2", "start": "1 ms", "duration": "1 ms"}})
    with pytest.raises(CaseError) as caught:
        prepare(case)
    assert str(caught.value) == ("case: stimulus.0: the stimulus touches ends of sections only, which have no "
                                 "membrane\n"
                                 '  -> make it reach the middle of a compartment, or give site = { section = "soma" }')
