"""One value for a model and all its plug-ins: "*.E_K", and [cable]'s temperature."""

import pytest

from upstroke import load_case
from upstroke.errors import UpstrokeError
from upstroke.ionic import load_model
from upstroke.ionic.spelling import parameters_of
from upstroke.run import prepare

CHANNELS = {"Im": {}, "K_Pst": {}, "NaTa_t": {}, "SKv3_1": {}}


def values(model):
    return {p.name: p.value for p in model.parameters}


def test_a_star_stands_for_the_model_and_its_plugins():
    plain = values(load_model("Passive", plugins=CHANNELS))
    changed = values(load_model("Passive", parameters={"*.E_K": -77, "Rm": 30}, plugins=CHANNELS))
    assert {name for name in plain if plain[name] != changed[name]} == {"Im.E_K", "K_Pst.E_K", "SKv3_1.E_K", "Rm"}
    assert {changed[name] for name in changed if name.endswith(".E_K")} == {-77.0}


def test_what_is_given_by_itself_stays():
    model = load_model("Passive", parameters={"*.e_k": -77, "Im.E_K": -80}, plugins=CHANNELS | {"K_Pst": {"E_K": -70}})
    found = values(model)
    assert (found["Im.E_K"], found["K_Pst.E_K"], found["SKv3_1.E_K"]) == (-80, -70, -77)


def test_changes_are_of_each_default():
    plain, changed = (values(load_model("Passive", parameters=p, plugins=CHANNELS)) for p in ({}, {"*.g": "*2"}))
    names = [f"{channel}.g" for channel in CHANNELS]
    assert [changed[name] for name in names] == [2 * plain[name] for name in names]


def test_shared_ions_have_one_value_for_all_as_it_is():
    model = load_model("Passive", parameters={"Ca_e": 2.0}, plugins=["Ca_HVA", "Ca_LVAst", "CaDynamics_E2"])
    assert [name for name in values(model) if name.rpartition(".")[2] == "Ca_e"] == ["Ca_e"]
    assert values(model)["Ca_e"] == 2.0


def test_names_of_other_keys_have_it_too():
    model = load_model("Passive", plugins=CHANNELS)
    assert parameters_of(model, {"*.E_K": "x", "Im.E_K": "y"}) == {"Im.E_K": "y", "K_Pst.E_K": "x", "SKv3_1.E_K": "x"}


def test_a_star_for_nothing():
    with pytest.raises(UpstrokeError) as caught:
        load_model("Passive", parameters={"*.E_Kk": -77}, plugins=CHANNELS)
    assert str(caught.value) == ("model Plonsey + Im + K_Pst + NaTa_t + SKv3_1: no parameter 'E_Kk', neither of the "
                                 "model nor of a plug-in\n  -> did you mean 'E_K'?")


# ------------------------------------------------------------------------------------------------ temperature
def case(membrane, temperature="37 degC"):
    return load_case({
        "mesh": {"kind": "sections", "section": [{"name": "axon", "length": "20 um", "diameter": "20 um"}]},
        "cable": {"axial_resistivity": "150 ohm*cm", "temperature": temperature}, "membrane": membrane,
        "time": {"end": "1 ms", "dt": "0.1 ms", "splitting": "staggered"}})


@pytest.mark.parametrize("written", ["22 degC", "295.15 kelvin", "71.6 degF"])
def test_the_temperature_is_celsius_of_all_that_have_it(written):
    setup = prepare(case({"model": "HodgkinHuxley", "plugins": ["NaTa_t", "SKv3_1", "Ih"]}, written))
    found = values(setup.membranes[0].model)
    assert found["celsius"] == found["NaTa_t.celsius"] == pytest.approx(22.0, abs=1e-12)
    assert "SKv3_1.celsius" not in found
    assert [note for note in setup.notes if "temperature" in note] == [
        "cable.temperature changes nothing in SKv3_1, Ih: no parameter celsius there"]


def test_a_leak_is_not_told_of():
    setup = prepare(case({"model": "Passive", "plugins": ["NaTa_t"]}))
    assert not [note for note in setup.notes if "temperature" in note]
    assert values(setup.membranes[0].model)["NaTa_t.celsius"] == 37.0
    assert values(prepare(case({"model": "Passive"})).membranes[0].model) == values(load_model("Passive"))


@pytest.mark.parametrize(("keys", "where"), [
    ({"model": "HH", "parameters": {"celsius": 6.3}}, "membrane.0.parameters.celsius"),
    ({"model": "HH", "parameters": {"*.celsius": 6.3}}, 'membrane.0.parameters."*.celsius"'),
    ({"model": "HH", "nodal": {"celsius": "x"}}, "membrane.0.nodal.celsius"),
    ({"model": "Passive", "plugins": {"NaTa_t": {"celsius": 34}}}, "membrane.0.plugins.NaTa_t.celsius")])
def test_two_temperatures(keys, where):
    with pytest.raises(UpstrokeError) as caught:
        case(keys)
    assert str(caught.value) == f"case: {where}: cable.temperature is 37 degC already\n  -> keep one of the two"


@pytest.mark.parametrize(("written", "expected"), [
    ("34", '"34" has no unit, expected a temperature\n  -> write "34 degC"'),
    ("34 kelvin", "must be > -100 and < 100, found \"34 kelvin\"\n  -> for example temperature = \"34 degC\"")])
def test_what_is_no_temperature(written, expected):
    with pytest.raises(UpstrokeError) as caught:
        case({"model": "HH"}, written)
    assert str(caught.value) == f"case: cable.temperature: {expected}"
