"""Membranes by label against NEURON (data/neuron/make_labels.py) and closed forms."""

import json
from pathlib import Path

import numpy as np
import pytest

import upstroke
from upstroke import load_case
from upstroke.check import check
from upstroke.errors import UpstrokeError
from upstroke.reduce import reduce_cell
from upstroke.reduce.neuron import neuron_of
from upstroke.run import prepare

NEURON = json.loads((Path(__file__).parents[1] / "data" / "neuron" / "labels9.json").read_text())


def traces(case, folder):
    """The columns of probes.csv by the names of their probes."""
    upstroke.run(load_case(case), folder / "out")
    table = np.genfromtxt(folder / "out" / "probes.csv", delimiter=",", names=True, deletechars="")
    return {name.removesuffix(".V"): table[name] for name in table.dtype.names}


def test_a_gradient_of_a_channel_is_that_of_its_expression():
    """Ih of Hay 2011 along an apical dendrite, and a leak by diameter; each node has its own V at rest."""
    case = load_case({
        "mesh": {"kind": "sections", "compartments": {"number": 9}, "section": [
            {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
            {"name": "apic", "type": "apical", "parent": "soma", "length": "600 um", "diameter": ["3 um", "1 um"]}]},
        "cable": {"axial_resistivity": "100 ohm*cm"}, "time": {"end": "1 ms", "dt": "0.1 ms", "splitting": "implicit"},
        "membrane": {"model": "Passive", "plugins": ["Ih"], "initial": {"V": -65}, "nodal": {
            "Ih.g": "0.2 * (-0.8696 + 2.087 * exp(distance / (323 um)))", "Rm": "20 if diameter > 2 um else 10"}},
        "backend": {"threads": 1}})
    setup = prepare(case)
    tree, group, order = setup.mesh.tree, setup.state.groups[0], setup.state.order
    rows = dict(zip(group.kernel.nodal, group.arrays["N"][:, :setup.state.n], strict=True))
    assert np.allclose(rows["Ih.g"], 0.2 * (-0.8696 + 2.087 * np.exp(tree.distance[order] / 0.0323)), rtol=1e-14)
    assert np.array_equal(rows["Rm"], np.where(tree.diameter[order] > 2e-4, 20.0, 10.0)) and np.ptp(rows["Rm"]) == 10.0


def three_regions(splitting, device="cpu", **tables):
    """The cell of make_labels.py, whose halves of the dendrite here are one section."""
    return {
        "mesh": {"kind": "sections", "compartments": {"max_length": "40 um"}, "section": [
            {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
            {"name": "dend", "parent": "soma", "length": "400 um", "diameter": "2 um"},
            {"name": "axon", "type": "axon", "parent": "soma", "parent_x": 0, "length": "300 um", "diameter": "1 um"}],
            "regions": {"far": 'section == "dend" and x > 0.5'}},
        "cable": {"axial_resistivity": "150 ohm*cm", "region": [
            {"regions": ["far"], "axial_resistivity": "300 ohm*cm", "capacitance": "1.6 uF/cm^2", "area_factor": 2},
            {"regions": ["axon"], "axial_resistivity": "70 ohm*cm", "capacitance": "0.5 uF/cm^2"}]},
        "membrane": [
            {"model": "HodgkinHuxley", "regions": ["soma", "axon"], "parameters": {"V_L": 10.7}, "initial": {"V": -65}},
            {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -65}, "initial": {"V": -65}}],
        "time": {"end": "20 ms", "dt": "0.025 ms", "splitting": splitting},
        "stimulus": {"site": {"section": "soma"}, "total_current": "0.6 nA", "start": "2 ms", "duration": "1 ms"},
        "watch": {"probes": {"every": f"{NEURON['every_ms']} ms", "points": {
            "soma": {"section": "soma"}, "near": {"section": "dend", "x": 0.25},
            "far": {"section": "dend", "x": 0.95}, "axon": {"section": "axon", "x": 0.45}}}},
        "backend": {"device": device} | ({"threads": 1} if device == "cpu" else {}),
        "output": {"picture": False}} | tables


def test_check_tells_of_regions():
    said = check(load_case(three_regions("implicit"))).splitlines()
    assert [line for line in said if "# cable.region" in line] == [
        "# cable.region.0, far: 5 compartments, 2,513.27 um^2 of membrane (2 times the cones'), Ra 300 ohm*cm, C_m 1.6 "
        "uF/cm^2", "# cable.region.1, axon: 8 compartments, 942.478 um^2 of membrane, Ra 70 ohm*cm, C_m 0.5 uF/cm^2"]


@pytest.mark.parametrize("splitting", ["implicit", "staggered"])
def test_cuda_does_as_the_processor(emulated_cupy, splitting, tmp_path):
    """With a clamp on the axon, whose slope is fitted to the capacitance of its compartment, and a nodal leak. The
    clamp holds what it is on, though it has another place in the order of solving than in the mesh."""
    tables = {"time": {"end": "3.2 ms", "dt": "0.025 ms", "splitting": splitting},
              "voltage_clamp": {"site": {"section": "axon", "x": 0.9}, "levels": ["-40 mV", "-70 mV"],
                                "durations": ["1 ms", "0.61 ms"], "series_resistance": "2 Mohm"}}
    cases = {device: three_regions(splitting, device, **tables) for device in ("cpu", "cuda")}
    for case in cases.values():
        case["membrane"][1] |= {"parameters": {"Rm": 20}, "nodal": {"V_rest": "-65 - 5 * distance / (400 um)"}}
    cpu, cuda = (traces(case, tmp_path / device) for device, case in cases.items())
    assert max(np.abs(cpu[name] - cuda[name]).max() for name in cpu) < 1e-9
    held = cpu["axon"][(cpu["time_ms"] > 0.3) & (cpu["time_ms"] < 1.0)]
    assert (held > -60).all() and cpu["soma"].max() > 0


@pytest.mark.parametrize("splitting", ["implicit", "staggered"])
def test_three_regions_are_neurons_to_the_last_digit(splitting, tmp_path):
    """Ra, C_m and spines of an axon and of the outer half of a dendrite."""
    V = traces(three_regions(splitting), tmp_path)
    expected = NEURON["three_regions"][splitting]
    assert max(expected["axon"]) > 35
    for place, theirs in expected.items():
        assert np.abs(V[place] - theirs).max() < 1e-7


def test_a_clamp_charges_the_capacitance_of_its_compartment(tmp_path):
    """Alone, by an exponential in every step, though dt is three times the time constant of 0.013 ms."""
    V = traces({
        "mesh": {"kind": "sections", "compartments": {"number": 1}, "section": [
            {"name": "axon", "type": "axon", "length": "20 um", "diameter": "20 um"}]},
        "cable": {"axial_resistivity": "150 ohm*cm", "region": {"regions": ["axon"], "capacitance": "0.25 uF/cm^2"}},
        "membrane": {"model": "Passive", "parameters": {"Rm": 1e9, "V_rest": -65}, "initial": {"V": -65}},
        "time": {"end": "0.4 ms", "dt": "0.04 ms", "splitting": "staggered"},
        "voltage_clamp": {"site": {"section": "axon"}, "levels": ["-20 mV"], "durations": ["1 ms"],
                          "series_resistance": "4 Mohm"},
        "watch": {"probes": {"every": "0.04 ms", "points": {"axon": {"section": "axon"}}}},
        "backend": {"threads": 1}, "output": {"picture": False}}, tmp_path)
    tau = 4e3 * 0.25 * np.pi * 20e-4 ** 2                     # ms = kOhm uF
    assert V["axon"] == pytest.approx(-20 - 45 * np.exp(-V["time_ms"] / tau), abs=1e-6)


@pytest.mark.parametrize("splitting", ["implicit", "staggered"])
def test_a_leak_that_grows_with_the_distance_is_neurons(splitting, tmp_path):
    V = traces({
        "mesh": {"kind": "sections", "compartments": {"max_length": "60 um"}, "section": [
            {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
            {"name": "trunk", "type": "apical", "parent": "soma", "length": "300 um", "diameter": "3 um"},
            {"name": "tuft", "type": "apical", "parent": "trunk", "length": "400 um", "diameter": "1 um"}]},
        "cable": {"axial_resistivity": "100 ohm*cm"},
        "time": {"end": "20 ms", "dt": "0.025 ms", "splitting": splitting},
        "membrane": {"model": "Passive", "parameters": {"V_rest": -65}, "initial": {"V": -65},
                     "nodal": {"Rm": "20 / (1 + (distance / (200 um)) ** 2)"}},
        "stimulus": {"site": {"section": "trunk"}, "total_current": "0.2 nA", "start": "1 ms", "duration": "10 ms"},
        "watch": {"probes": {"every": "0.8 ms", "points": {
            "soma": {"section": "soma"}, "trunk": {"section": "trunk", "x": 0.9},
            "tuft": {"section": "tuft", "x": 0.95}}}},
        "backend": {"threads": 1}, "output": {"picture": False}}, tmp_path)
    for place, theirs in NEURON["gradient"][splitting].items():
        assert np.ptp(theirs) > 3 and np.abs(V[place] - theirs).max() < 1e-7


# ------------------------------------------------------------------------------------------------ temperature
@pytest.mark.parametrize("splitting", ["implicit", "staggered"])
@pytest.mark.parametrize("celsius", ["6.3", "18.5"])
def test_the_squid_axon_is_neurons_at_each_temperature(celsius, splitting, tmp_path):
    """18.7 m/s at 18.5 degC (Hodgkin and Huxley measured 21.2, and found 18.8 by hand); 12.3 at 6.3."""
    V = traces({
        "mesh": {"kind": "sections", "compartments": {"number": 400}, "section": [
            {"name": "axon", "type": "axon", "length": "80 mm", "diameter": "476 um"}]},
        "cable": {"axial_resistivity": "35.4 ohm*cm", "temperature": f"{float(celsius) + 273.15} kelvin"},
        "membrane": {"model": "HodgkinHuxley", "parameters": {"V_L": 10.7}},
        "time": {"end": "9 ms" if celsius == "6.3" else "6 ms", "dt": "0.01 ms", "splitting": splitting},
        "stimulus": {"site": {"section": "axon", "x": 0.5 / 400}, "total_current": "200 uA", "start": "0.1 ms",
                     "duration": "0.2 ms"},
        "watch": {"probes": {"every": "0.01 ms", "points": {
            "near": {"section": "axon", "x": 100.5 / 400}, "far": {"section": "axon", "x": 300.5 / 400}}}},
        "backend": {"threads": 1}, "output": {"picture": False}}, tmp_path)
    t, found = V["time_ms"], []
    for place in ("near", "far"):
        k = np.flatnonzero((V[place][:-1] < 0) & (V[place][1:] >= 0))[0]
        found.append(t[k] - 0.01 * V[place][k] / (V[place][k + 1] - V[place][k]))
    assert found == pytest.approx(NEURON["squid_crossings_ms"][celsius][splitting], abs=2e-7)


# ------------------------------------------------------------------------------------------------ reduction
REGIONS = ({"regions": ["axon"], "axial_resistivity": "70 ohm*cm", "capacitance": "0.5 uF/cm^2"},
           {"regions": ["soma"], "area_factor": 2})


def ball_and_axon(*regions):
    return {"mesh": {"kind": "sections", "section": [
        {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
        {"name": "axon", "type": "axon", "parent": "soma", "length": "200 um", "diameter": "2 um"}]},
        "cable": {"axial_resistivity": "150 ohm*cm", "region": list(regions)}, "membrane": {"model": "Passive"},
        "time": {"end": "1 ms", "dt": "0.1 ms"}}


def test_a_reduced_cell_stands_for_regions_and_has_none(tmp_path):
    whole = load_case(ball_and_axon(*REGIONS))
    passive = neuron_of(whole).passive
    ball, stick = np.pi * (20e-4) ** 2, np.pi * 2e-4 * 200e-4
    assert passive.capacitance.sum() == pytest.approx(2 * ball + 0.5 * stick, rel=1e-9)
    reduce_cell(whole, tmp_path / "reduced.toml", count=2)
    reduced = load_case(tmp_path / "reduced.toml")
    assert reduced.cable.region == () and reduced.cable.axial_resistivity == 0.15
    assert neuron_of(reduced).passive.capacitance.sum() == pytest.approx(passive.capacitance.sum(), rel=0.05)


def test_cylinders_have_no_regions(tmp_path):
    with pytest.raises(UpstrokeError) as caught:
        reduce_cell(load_case(ball_and_axon(*REGIONS)), tmp_path / "reduced.toml", count=2, method="cylinders")
    assert str(caught.value) == ("cable.region: cylinders have one Ra and one C_m\n  -> take --method impedance")


def test_a_reduced_cell_is_as_warm_as_the_whole():
    tables = ball_and_axon() | {"membrane": {"model": "Passive", "plugins": ["NaTa_t"]}}
    tables["cable"] |= {"temperature": "30 degC"}
    model = neuron_of(load_case(tables)).membranes[0].dynamics.model
    assert {p.name: p.value for p in model.parameters}["NaTa_t.celsius"] == 30.0
