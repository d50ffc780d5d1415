"""Reduction of cells with channels: models taken apart, the quasi-active answer, the fit, what is written, mistakes."""

import math

import numpy as np
import pytest

from upstroke.case import load_case
from upstroke.case.schema import Site
from upstroke.errors import UpstrokeError
from upstroke.ionic import load_model, rates
from upstroke.reduce import _cylinders, _fitted, reduce_cell
from upstroke.reduce.active import density_around, expansions, fit_channels, transferred
from upstroke.reduce.channels import Leak, dynamics_of
from upstroke.reduce.fit import FREQUENCIES, fit, fit_channel
from upstroke.reduce.neuron import neuron_of
from upstroke.reduce.sites import nearest_ancestors, parse_sites
from upstroke.reduce.write import case_tables

HH = {"model": "HodgkinHuxley"}


def section(name, length, diameter, **keys):
    return {"name": name, "length": f"{length} um", "diameter": f"{diameter} um", **keys}


THREE = (section("soma", 20, 20, type="soma"), section("dend", 200, 2, parent="soma", parent_x=0.5),
         section("axon", 100, 1, parent="soma", parent_x=0.5, type="axon"))


def cell(*sections, membrane, **compartments):
    return load_case({
        "mesh": {"kind": "sections", "section": list(sections), "compartments": compartments},
        "cable": {"axial_resistivity": "100 ohm*cm"}, "membrane": membrane,
        "time": {"end": "10 ms", "dt": "0.025 ms", "splitting": "staggered"}})


# ------------------------------------------------------------------------------------------------ models taken apart
@pytest.mark.parametrize(("name", "channels", "leaks"), [
    ("HodgkinHuxley", ("GNa", "GK"), (Leak("GL", False, "V_L", 1.0, -65.0),)),
    ("Pospischil", ("GNa", "GKd", "GM"), (Leak("GL", False, "EL"),)),
    ("MorrisLecar", ("gCa", "gK"), (Leak("gL", False, "VL", 0.05),)),       # per capacitance, of 20 uF/cm^2
    ("Passive", (), ()),                                                    # a leak alone is written as such
    ("DestexheTC", ("GNa", "GK", "GCaT", "Gh"), (Leak("GL", False, "EL"), Leak("GKL", False)))])
def test_a_model_comes_apart(name, channels, leaks):
    found = dynamics_of(load_model(name))
    assert found.channels == channels
    assert [(x.name, x.resistance, x.reversal) for x in found.leaks] == [
        (x.name, x.resistance, x.reversal) for x in leaks]
    assert [x.unit for x in found.leaks] == pytest.approx([x.unit for x in leaks])
    assert [x.shift for x in found.leaks] == pytest.approx([x.shift for x in leaks], abs=1e-9)


def test_pools_follow_currents_and_what_feeds_them_is_found():
    plugins = {"SK_E2": {}, "Ca_HVA": {}, "Ih": {}, "CaDynamics_E2": {}}
    found = dynamics_of(load_model("Passive", plugins=plugins))
    assert set(found.channels) == {"SK_E2.g", "Ca_HVA.g", "Ih.g"}
    assert found.held == {"Ca_i"} and found.feeds == {"Ca_i": ("CaDynamics_E2.gamma", ("Ca_HVA.g",))}


def test_the_quasi_active_answer_is_that_of_small_steps_of_v():
    """At 0 Hz the slope of the steady current; at high frequencies that with the gates where they are."""
    model = load_model("HodgkinHuxley")
    d = dynamics_of(model)
    for channel in d.channels:
        only = {**d.silent(), channel: 1.0}
        steady = [float(rates(model, V, d.steady(V, {}), parameters=only)[0]) for V in (-50.001, -49.999)]
        gates = d.steady(-50.0, {})
        held = [float(rates(model, V, gates, parameters=only)[0]) for V in (-50.001, -49.999)]
        slow, fast = d.admittance(channel, -50.0, [0.0, 1e7], {})
        assert slow == pytest.approx((steady[1] - steady[0]) / 0.002, rel=1e-6)
        assert fast == pytest.approx((held[1] - held[0]) / 0.002, rel=1e-5)


# --------------------------------------------------------------------------------------------------------- the fit
def active(membrane=None):
    tables = membrane or [{**HH, "regions": ["soma"]}, {**HH, "parameters": {"GNa": 40, "GK": 12}, "regions": ["axon"]},
                          {**HH, "parameters": {"GNa": 3, "GK": 5, "GL": 0.1}, "regions": ["basal"]}]
    case = cell(*THREE, membrane=tables, number=1)
    neuron = neuron_of(case)
    return case, neuron, sorted(parse_sites("soma(0.5), dend(0.5), axon(0.5)", neuron.passive.tree))


def test_a_cell_of_three_compartments_reduces_to_itself():
    """Areas, leaks, channels, reversal potentials: as they were."""
    case, neuron, nodes = active()
    passive, tree = neuron.passive, neuron.passive.tree
    reduced = fit(passive.impedance(nodes, FREQUENCIES)[:, nodes], nearest_ancestors(tree, nodes))
    found, notes = fit_channels(neuron, reduced, nodes)
    assert not notes
    for key in ("HodgkinHuxley.GNa", "HodgkinHuxley.GK"):
        assert found[key] == pytest.approx(neuron.total(key)[nodes], rel=1e-6)
        assert transferred(neuron, key, nodes) == pytest.approx(neuron.total(key)[nodes], rel=1e-9)
    again = neuron_of(load_case(case_tables(case, _fitted(case, neuron, nodes, [])[0], {}, tree, "reduced")[0]))
    there = [int(again.passive.tree.nodes_at(Site(section=name), "")[0])
             for name in ("soma(0.5)", "dend(0.5)", "axon(0.5)")]
    for name in ("capacitance", "leak", "reversal"):
        assert getattr(again.passive, name)[there] == pytest.approx(getattr(passive, name)[nodes], rel=1e-6), name
    for key in neuron.channels:
        assert again.total(key)[there] == pytest.approx(neuron.total(key)[nodes], rel=1e-6)
    assert again.rest[there] == pytest.approx(neuron.rest[nodes], abs=1e-5)


def test_impedances_with_a_channel_are_those_of_the_reduced_cell():
    """A stick of many compartments: within 3 % of the transfer without the channel."""
    case = cell(THREE[0], section("dend", 400, 2, parent="soma", parent_x=0.5), membrane=HH, max_length="10 um")
    neuron = neuron_of(case)
    nodes = sorted(parse_sites("soma(0.5), dend(0.3), dend(0.6), dend(0.9)", neuron.passive.tree))
    passive = neuron.passive
    reduced = fit(passive.impedance(nodes, FREQUENCIES)[:, nodes], nearest_ancestors(passive.tree, nodes))
    whole, unit, f = expansions(neuron, "HodgkinHuxley.GK", nodes)
    Z = passive.impedance(nodes, f, whole)[:, nodes]
    G, condition = fit_channel(reduced, Z, unit, f)
    steady = np.array(f) == 0.0
    error = np.abs(reduced.impedance(f, unit * G) - Z)[steady]
    error /= np.abs(passive.impedance(nodes, [0.0])[0][nodes])
    assert condition < 1e3 and error.max() < 0.03
    assert G.sum() == pytest.approx(neuron.total("HodgkinHuxley.GK").sum(), rel=0.1)


def test_compartments_of_one_kind_share_a_table_and_pools_are_fed_as_before():
    plugins = {"Ca_HVA": {"g": 0.5}, "SK_E2": {"g": 2.0}, "CaDynamics_E2": {"gamma": 5e-4}}
    tables = [{"model": "Passive", "parameters": {"Rm": 20, "V_rest": -80, "Ca_e": 2}, "plugins": plugins,
               "regions": ["soma"]}, {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -80}}]
    case = cell(*THREE, membrane=tables)
    neuron = neuron_of(case)
    nodes = sorted(parse_sites("soma(0.5), dend(0.9)", neuron.passive.tree))
    found, _ = _fitted(case, neuron, nodes, [])
    soma, dend = found["membrane"]
    assert dend == {"model": "Passive", "nodal": {"Rm": "Rm", "V_rest": "V_rest"}, "regions": ["membrane2"]}
    assert soma["parameters"] == {"Ca_e": 2} and soma["plugins"] == {"Ca_HVA": {}, "SK_E2": {}, "CaDynamics_E2": {}}
    assert set(soma["nodal"]) == {"Rm", "V_rest", "Ca_HVA.g", "SK_E2.g", "CaDynamics_E2.gamma"}
    values = found["mesh"]["section"][0]["values"]
    assert values["Ca_HVA.g"] < 0.5                                                # spread over a larger area
    assert values["Ca_HVA.g"] * values["CaDynamics_E2.gamma"] == pytest.approx(0.5 * 5e-4)
    assert density_around(neuron, nodes)["Ca_HVA.g"] == pytest.approx([0.5, 0.0])


def test_a_channel_that_no_place_has_goes_anywhere():
    tables = [{**HH, "regions": ["axon"]}, {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -65}}]
    case = cell(*THREE, membrane=tables)
    neuron = neuron_of(case)
    nodes = parse_sites("soma(0.5)", neuron.passive.tree)
    reduced = fit(neuron.passive.impedance(nodes, FREQUENCIES)[:, nodes], [-1])
    found, _ = fit_channels(neuron, reduced, nodes)
    total = neuron.total("HodgkinHuxley.GNa").sum()
    assert 0.3 * total < found["HodgkinHuxley.GNa"][0] < total
    assert _fitted(case, neuron, nodes, [])[0]["membrane"][0]["model"] == "HodgkinHuxley"


# ------------------------------------------------------------------------------------------------------- cylinders
def test_a_stick_with_channels_is_its_own_cylinder():
    case = cell(*THREE, membrane=[{**HH, "regions": ["soma", "basal"]}, {
        "model": "Passive", "parameters": {"Rm": 20, "V_rest": -65}, "regions": ["axon"]}])
    neuron = neuron_of(case)
    found, places = _cylinders(case, neuron, parse_sites("dend(0.9)", neuron.passive.tree), [])
    pieces = found["mesh"]["section"]
    assert pieces[0]["name"] == "soma" and [p["parent"] for p in pieces[1:4]] == ["soma", "dend", "dend+1"]
    again = neuron_of(load_case(case_tables(case, found, {}, neuron.passive.tree, "reduced")[0]))
    for key in neuron.channels:
        assert again.total(key).sum() == pytest.approx(neuron.total(key).sum(), rel=0.01)
    assert again.rest[1] == pytest.approx(neuron.rest[1], abs=0.01)
    (place,) = places.values()
    last = max(k for k, p in enumerate(pieces) if p["name"].startswith("dend"))
    assert place["section"] in {pieces[last]["name"], pieces[last - 1]["name"]}
    assert all("GNa" not in p["values"] for p in pieces if p["name"].startswith("axon"))


# -------------------------------------------------------------------------------------------------------- mistakes
def message(*arguments, **keys):
    with pytest.raises(UpstrokeError) as error:
        reduce_cell(*arguments, **keys)
    return str(error.value)


def test_mistakes(tmp_path):
    out = tmp_path / "r.toml"
    two = cell(*THREE, membrane=[{**HH, "regions": ["soma", "basal"]}, {"model": "Pospischil", "regions": ["axon"]}])
    assert message(two, out, count=1) == (
        "membrane: a compartment would need channels of HodgkinHuxley and of Pospischil, and has one model\n"
        "  -> write them as plug-ins of one model")
    gray = cell(*THREE, membrane=[{"model": "Gray", "regions": ["soma"]}, {
        "model": "Passive", "parameters": {"Rm": 20, "V_rest": -80}}])
    assert message(gray, out, count=2) == (
        "membrane: Gray has no leak whose conductance and reversal potential are parameters, which a reduced "
        "compartment needs\n  -> give its model such a leak")
    heart = cell(*THREE, membrane={"model": "FitzHughNagumo"})
    assert message(heart, out, count=1).startswith(
        "case: membrane: FitzHughNagumo has currents that no maximal conductance scales, up to ")
    assert not list(tmp_path.iterdir())


def test_a_leak_writes_itself():
    assert Leak("gL", False, "VL", 0.05).of(0.1) == pytest.approx(2.0)
    assert Leak("Rm", True, "V_rest").of(0.1) == pytest.approx(10.0) and math.isinf(Leak("Rm", True).none)
