"""Plug-ins: names that cannot clash, shared quantities that reach whom they should, mistakes with their place."""

import math
import re
from pathlib import Path

import pytest

from upstroke.cli import main
from upstroke.codegen import generate
from upstroke.errors import UpstrokeError
from upstroke.ionic import (
    advance,
    describe_plugin,
    initial_state,
    load_model,
    load_plugin,
    quantities,
    rates,
    read_model,
    shipped_plugins,
)
from upstroke.ionic.globals import CELL_OWNS, GLOBALS
from upstroke.ionic.jacobian import differentiated
from upstroke.ionic.plugins import own_quantity, rename

CELL = """
V_init = -80;
group { g = 0.1; Ko = 4; .units(mM); Ki = 140; .units(mM); q = 2; } .param();
diff_Cai = -0.01*(Cai - q*1e-4);   .units(mM);
Cai; .units(mM);
Cai_init = 1e-4;
E = 26.7*log(Ko/Ki);
Iion = g*(V - E);
"""
LEAK = """
K_e; .external();
Ca_i; .external();
g = 3; .param();
q_inf = Ca_i*1000; tau_q = 5; q;
E = K_e;
Iion += g*q*(V - E);
"""
CLEFT = """
mode; .flag(OPEN, CLOSED);
Iion = Iion + 0.001*(V + 90);
diff_K_e = mode == OPEN ? 0.01*(5 - K_e) : 0;
K_e; .external();
"""
CHANNEL = """
ICa; .external();
source; .flag(POOL, FIXED);
Ca_i; .external();
g = 2; .param();
E = source == POOL ? 1000*Ca_i : 120;
I = g*(V - E);
ICa += I;
Iion += I;
"""
PUMP = """
ICa; .external(); .units(nA/cm^2);
ICa += 500; Iion += 0.5;
"""
POOL = """
ICa; .external(); .units(uA/cm^2);
Ca_i; .external();
diff_Ca_i = -0.01*ICa - Ca_i;
"""
MUSCLE = """
Tension; .external();
Lambda; .external();
Ca_i; .external(); .units(uM);
Tension = Ca_i*Lambda;
"""


@pytest.fixture
def folder(tmp_path):
    texts = {"Leak": LEAK, "Cleft": CLEFT, "Muscle": MUSCLE, "Channel": CHANNEL, "Pump": PUMP, "Pool": POOL}
    for name, text in texts.items():
        (tmp_path / f"{name}.model").write_text(text)
    (tmp_path / "Cell.model").write_text(CELL)
    return tmp_path


def cell(folder, *plugins, **more):
    return load_model(folder / "Cell.model", plugins=[folder / f"{name}.model" for name in plugins], **more)


def message(action, *args, **kwargs):
    with pytest.raises(UpstrokeError) as error:
        action(*args, **kwargs)
    return str(error.value)


def test_names_of_plugins_stand_beside_those_of_the_model(folder):
    model = cell(folder, "Leak")
    assert [s.name for s in model.states] == ["Cai", "Leak.q"]
    assert {p.name for p in model.parameters} == {"g", "Ko", "Ki", "q", "Leak.g"}
    assert {d.name for d in model.definitions} >= {"E", "Leak.E", "Leak.Iion"}


def test_currents_add(folder):
    alone, both = cell(folder), cell(folder, "Leak", "Cleft")
    state = initial_state(both)
    found = quantities(both, -70.0, state)
    plain = quantities(alone, -70.0, state)["Iion"]
    assert found["Leak.Iion"] == 3*state["Leak.q"]*(-70.0 - 4.0)
    assert found["Iion"] == plain + found["Leak.Iion"] + found["Cleft.Iion"]


def test_what_a_plugin_reads_is_what_the_model_has(folder):
    assert initial_state(cell(folder, "Leak"))["Leak.q"] == pytest.approx(0.1)       # 1000 Cai
    assert quantities(cell(folder, "Leak", parameters={"Ko": 7}), -70.0, {"Cai": 1e-4, "Leak.q": 0})["Leak.E"] == 7


def test_what_a_plugin_changes_reaches_model_and_plugins(folder):
    model = cell(folder, "Leak", "Cleft")
    state = initial_state(model)
    assert state["K_e"] == 4                                      # starts at the model's Ko
    found = quantities(model, -70.0, {**state, "K_e": 10.0})
    assert found["E"] == pytest.approx(26.7*math.log(10/140))
    assert found["Leak.E"] == 10
    assert rates(model, -70.0, {**state, "K_e": 10.0})[1]["K_e"] == pytest.approx(-0.05)
    assert initial_state(cell(folder, "Cleft", parameters={"Ko": 8}))["K_e"] == 8


def test_a_variant_that_leaves_a_quantity_alone_gives_no_state(folder):
    model = cell(folder, "Cleft", parameters={"Cleft.mode": "CLOSED"})
    assert [s.name for s in model.states] == ["Cai"]
    assert quantities(model, -70.0, {"Cai": 1e-4})["Ko"] == 4


def test_shared_quantities_that_nobody_gives_are_parameters(folder):
    model = cell(folder, "Muscle", parameters={"Lambda": 1.1})
    assert {p.name: p.value for p in model.parameters}["Lambda"] == 1.1
    assert [s.name for s in model.states] == ["Cai", "Tension"]
    names = quantities(model, -70.0, {"Cai": 1e-4, "Tension": 0})
    assert model.states[1].update is not None
    assert names["Lambda"] == 1.1


BARE = "V_init = -70; g = 0.1; .param(); Iion = g*(V + 70);"


def with_calcium(folder, text, *plugins, **more):
    (folder / "Bare.model").write_text(text)
    return load_model(folder / "Bare.model", plugins=[folder / f"{name}.model" for name in plugins], **more)


@pytest.mark.parametrize("order", [("Channel", "Pump", "Pool"), ("Pool", "Pump", "Channel")])
def test_calcium_currents_add_and_enter_the_pool(folder, order):
    """ICa is that of the same moment, whatever the order of the plug-ins and the unit each adds in."""
    model = with_calcium(folder, BARE, *order)
    assert [s.name for s in model.states] == ["Ca_i"] and not any(p.name == "ICa" for p in model.parameters)
    found = quantities(model, -60.0, {"Ca_i": 0.05})
    assert found["ICa"] == 2*(-60 - 50) + 0.5
    assert found["Iion"] == pytest.approx(0.1*10 + found["ICa"])
    assert rates(model, -60.0, {"Ca_i": 0.05})[1]["Ca_i"] == pytest.approx(-0.01*found["ICa"] - 0.05)
    assert model.externals["ICa"] == "ICa" and own_quantity(model, "ICa") == "ICa" and model.units["ICa"] == "uA/cm^2"


def test_the_models_own_calcium_current_is_part_of_the_sum(folder):
    own = f"{BARE} ICa = 3*V; .units(uA/cm^2);"
    assert quantities(with_calcium(folder, own, "Pump", "Pool"), -60.0, {"Ca_i": 0.0})["total.ICa"] == -180 + 0.5
    assert rates(with_calcium(folder, own, "Pool"), -60.0, {"Ca_i": 0.0})[1]["Ca_i"] == pytest.approx(1.8)


def test_a_model_that_reads_the_calcium_current_reads_the_sum(folder):
    pool = f"{BARE} ICa; .external(); diff_Cai = -ICa - Cai; Cai_init = 0; Cai; .units(mM);"
    assert rates(with_calcium(folder, pool), -60.0, {"Cai": 0.0})[1]["Cai"] == 0.0          # the default
    assert rates(with_calcium(folder, pool, "Pump"), -60.0, {"Cai": 0.0})[1]["Cai"] == -0.5


def test_a_model_may_add_to_the_calcium_current_itself(folder):
    model = with_calcium(folder, f"{BARE} ICa; .external(); ICa = 3*V; diff_Ca = -ICa; Ca_init = 0;")
    assert [s.name for s in model.states] == ["Ca"] and quantities(model, -60.0, {"Ca": 0.0})["ICa"] == -180


def test_a_pool_without_a_current_keeps_what_it_is_given(folder):
    model = with_calcium(folder, BARE, "Pool", parameters={"ICa": -2})
    assert rates(model, -60.0, {"Ca_i": 0.0})[1]["Ca_i"] == 0.02


def test_the_slope_of_a_sum_reaches_implicit_steps(folder):
    """dIion/dV of a channel whose current is also a part of ICa."""
    model = with_calcium(folder, BARE, "Channel", "Pool")
    assert "up_G[up_i]" in generate(model, "c", "fp64", follow=True).source
    assert differentiated({"V": model.iion}, [("V", "V")], model.definitions).entries


def test_a_variant_that_reads_nothing_needs_nothing(folder):
    """Without a pool, a channel of fixed reversal does not ask for calcium."""
    model = with_calcium(folder, BARE, "Channel", parameters={"Channel.source": "FIXED"})
    assert [p.name for p in model.parameters] == ["g", "Channel.g"]
    assert message(with_calcium, folder, BARE, "Channel").startswith("plug-in Channel: it needs Ca_i,")


def test_a_sum_is_no_parameter(folder):
    (folder / "Reads.model").write_text("ICa; .external(); Iion += 0*ICa;")
    assert message(with_calcium, folder, BARE, "Pump", "Reads", parameters={"ICa": 1}) == (
        "model Bare: the plug-ins do not take ICa as a parameter here\n"
        "  -> it is the sum of what the model and its plug-ins add")


def test_a_sum_that_depends_on_itself(folder):
    (folder / "Circle.model").write_text("ICa; .external(); K_e; .external(); ICa += K_e; Iion += 0*V;")
    (folder / "Reader.model").write_text("ICa; .external(); x = 2*ICa; Iion += x;")
    circle, reader = str(folder / "Circle.model"), str(folder / "Reader.model")
    (folder / "Bare.model").write_text(BARE)
    assert message(load_model, folder / "Bare.model", plugins={circle: {"K_e": "Reader.x"}, reader: {}}) == (
        "model Bare: with its plug-ins Circle.ICa depends on itself: Circle.ICa -> Reader.x -> ICa -> Circle.ICa\n"
        "  -> leave one of them out, or read another quantity")


def test_units_are_converted(folder):
    _, after = advance(cell(folder, "Muscle"), -70.0, {"Cai": 2e-4, "Tension": 0.0}, 0.0, 0.01)
    assert after["Tension"] == pytest.approx(0.2)                 # uM, from mM


def test_a_shared_quantity_may_be_set_or_named(folder):
    path = str(folder / "Leak.model")
    model = load_model(folder / "Cell.model", plugins={path: {"Ca_i": 5e-4, "K_e": "q"}})
    found = quantities(model, -70.0, {"Cai": 1e-4, "Leak.q": 0})
    assert found["Leak.E"] == found["q"] == 2
    assert found["Leak.Ca_i"] == 5e-4
    assert initial_state(model)["Leak.q"] == 0.5


def test_parameters_and_methods_by_plugin_name(folder):
    model = cell(folder, "Leak", parameters={"Leak.g": "-50%", "g": 0.2}, methods={"Leak.q": "rk4", "V": "rk2"})
    assert {p.name: p.value for p in model.parameters}["Leak.g"] == 1.5
    assert {s.name: s.method for s in model.states}["Leak.q"] == "rk4"
    assert model.v_method == "rk2"
    assert {s.method for s in cell(folder, "Leak", methods="rk4").states} == {"rk4"}


def test_kernels_keep_the_names_of_users():
    """C has no dots in names; rows of the kernel's arrays are called as the user calls them."""
    model = load_model("LuoRudy91", plugins={"IFun": {"Na_i": 10}})
    kernel = generate(model, "c", "mixed", nodal=("IFun.GfK",), uniform=("IFun.GfNa",))
    assert kernel.states[-1] == "IFun.y" and kernel.nodal == ("IFun.GfK",) and kernel.uniform == ("IFun.GfNa",)
    assert "v_IFun__y" in kernel.source and "IFun.y" not in kernel.source


def test_names_are_case_insensitive_and_have_aliases():
    assert load_plugin("i_katp").name == load_plugin("ikatp_FERRERO").name == "IKATP_Ferrero"
    assert [s.name for s in load_model("TT2", plugins=["ifun"]).states][-1] == "IFun.y"


def test_every_name_and_alias_is_one_plugin():
    words = [word.lower() for info in shipped_plugins() for word in (info.name, *info.aliases)]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("info", shipped_plugins(), ids=lambda info: info.name)
def test_each_plugin_names_its_source_and_units(info):
    plugin = load_plugin(info.name)
    assert re.fullmatch(r"10\.\d{4,9}/\S+", info.doi)
    assert {"Title", "Authors", "Year", "Journal"} <= set(plugin.header)
    assert all(p.unit for p in plugin.parameters), [p.name for p in plugin.parameters if not p.unit]
    text = describe_plugin(plugin)
    assert "Changes" in text and "Cite" in text


def test_rename_reaches_all_of_a_model():
    model = load_model("TT2")
    names = {s.name: f"x.{s.name}" for s in model.states} | {p.name: f"x.{p.name}" for p in model.parameters}
    there = rename(model, names)
    assert {s.name for s in there.states} == {f"x.{s.name}" for s in model.states}
    state = initial_state(model)
    moved = {names.get(k, k): v for k, v in state.items()}
    ours, theirs = rates(model, -20.0, state), rates(there, -20.0, moved)
    assert ours[0] == theirs[0]
    assert {names[k]: v for k, v in ours[1].items()} == theirs[1]
    assert rename(there, {new: old for old, new in names.items()}) == model


def test_models_have_their_quantities_by_usual_names():
    assert own_quantity(load_model("TT2"), "Ca_i") == "Cai"
    assert own_quantity(load_model("OHara"), "K_e") == "ko"
    assert own_quantity(load_model("MitchellSchaeffer"), "Ca_i") is None
    assert own_quantity(read_model("V_init = 0; Ki = 3; .param().units(ms); Iion = Ki*V;"), "K_i") is None   # a time


# Mistakes

def test_unknown_plugin():
    assert message(load_model, "TT2", plugins=["IKATP_Ferero"]) == (
        "no plug-in 'IKATP_Ferero'\n"
        "  -> did you mean 'IKATP_Ferrero'? (a plug-in of your own: give its path, PATH/NAME.model)")


def test_a_plugin_that_needs_what_the_model_lacks():
    assert message(load_model, "MitchellSchaeffer", plugins=["IKATP_Ferrero"]) == (
        "plug-in IKATP_Ferrero: it needs K_i, intracellular potassium, which model MitchellSchaeffer does not have\n"
        "  -> give K_i a number (in mM) among the parameters of the plug-in, or the name of a quantity of the model")


def test_unknown_parameter_of_a_plugin():
    assert message(load_model, "TT2", plugins={"IFun": {"GfNaa": 1}}) == (
        "plug-in IFun: no parameter 'GfNaa'\n  -> did you mean 'GfNa'?")


def test_a_parameter_given_twice():
    assert message(load_model, "TT2", plugins={"IFun": {"GfNa": 1}}, parameters={"IFun.GfNa": 2}) == (
        "plug-in IFun: parameter GfNa is given twice, also as IFun.GfNa\n  -> give one")


def test_a_plugin_named_twice():
    assert message(load_model, "TT2", plugins={"IFun": {}, "ifun": {}}) == (
        "plug-in ifun: it has the name IFun, as IFun has\n"
        '  -> give it a name of its own, { NAME = { plugin = "IFun", ... } }')
    assert message(load_model, "TT2", plugins=["IFun", "IFun"]) == (
        "plug-in IFun: it is named twice\n"
        '  -> name each once; a second one needs a name of its own, { NAME = { plugin = "..." } }')


def test_a_plugin_by_names_of_its_own_is_there_twice():
    model = load_model("Passive", plugins={"Na": {"plugin": "dSpike", "threshold": -40}, "DendriticSpike": {}},
                       parameters={"Na.g_rise": 3, "*.E_fall": -80})
    values = {p.name: p.value for p in model.parameters}
    assert model.name == "Plonsey + Na + DendriticSpike"
    assert [values[f"{name}.threshold"] for name in ("Na", "DendriticSpike")] == [-40, -35]
    assert values["Na.g_rise"] == 3 and values["Na.E_fall"] == values["DendriticSpike.E_fall"] == -80
    assert len(model.events) == 4 and {"Na.count", "DendriticSpike.count"} <= {s.name for s in model.states}

    assert message(load_model, "Passive", plugins={"Na.1": {"plugin": "dSpike"}}) == (
        "plug-in Na.1: a name is made of letters, digits and _\n  -> give it another name")
    assert message(load_model, "Passive", plugins={"Na": {"plugin": "dSpikes1"}}).startswith("no plug-in 'dSpikes1'")


def test_a_link_to_nothing(folder):
    assert message(load_model, "TT2", plugins={"IKATP_Ferrero": {"Na_i": "Naii"}}) == (
        "plug-in IKATP_Ferrero: Na_i = 'Naii': model tenTusscherPanfilov has no 'Naii'\n  -> did you mean 'Nai'?")
    assert message(load_model, "TT2", plugins={"IKATP_Ferrero": {"sigma": "Nai"}}) == (
        "plug-in IKATP_Ferrero: sigma = 'Nai': no shared quantity 'sigma' that it reads\n  -> known: K_e, K_i, Na_i")


def test_two_that_change_the_same(folder):
    (folder / "Other.model").write_text(CLEFT)
    assert message(cell, folder, "Cleft", "Other") == (
        "plug-in Other: it gives K_e, as Cleft does\n  -> take one of the two")
    (folder / "Calcium.model").write_text("diff_Ca_i = -Ca_i; Ca_i; .external();")
    assert message(cell, folder, "Calcium") == (
        "plug-in Calcium: it gives Ca_i, which model Cell works out itself as Cai\n"
        "  -> take one of the two, or a variant of the plug-in that leaves Ca_i alone")


def test_a_model_is_no_plugin(folder):
    assert message(cell, folder, "Cell") == (
        f"{folder / 'Cell.model'}:2:1: this is a membrane model, not a plug-in: it gives V_init\n"
        "    V_init = -80;\n    ^\n"
        f'  -> take it as the model: model = "{folder / "Cell.model"}"')


def test_a_plugin_that_does_not_add(folder):
    (folder / "Set.model").write_text("Iion = 3*V;")
    assert message(cell, folder, "Set") == (
        f"{folder / 'Set.model'}:1:1: a plug-in adds to the Iion of its model\n"
        "    Iion = 3*V;\n    ^\n  -> write Iion += ...;")
    (folder / "Idle.model").write_text("x = 3*V;")
    assert message(cell, folder, "Idle").startswith(
        f"{folder / 'Idle.model'}: the plug-in changes nothing: no Iion, and no quantity that it shares with models\n"
        "  -> write Iion += ...; or give one of Iion, ICa, Lambda, delLambda, Tension, K_e,")


def test_a_plugin_that_is_not_there(tmp_path):
    path = tmp_path / "No.model"
    assert message(load_model, "TT2", plugins=[path]) == (
        f"{path}: cannot read the plug-in: No such file or directory\n  -> give the path of a .model file")


def test_no_name_of_a_quantity(folder):
    assert message(cell, folder, "Cleft", parameters={"K_e": 3}) == (
        "model Cell: no parameter 'K_e'\n  -> known: Ki, Ko, g, q")


# Command and page

def test_the_command_lists_and_describes_plugins(capsys):
    assert main(["models", "--plugins", "--names"]) == 0
    assert capsys.readouterr().out.splitlines() == [info.name for info in shipped_plugins()]
    assert main(["models", "IKATP_Ferrero", "--plugins"]) == 0
    out = capsys.readouterr().out
    assert "  Iion           uA/cm^2        membrane current, outward positive\n" in out
    assert "  Na_i           mM             intracellular sodium\n" in out
    assert "@article{Ferrero1996" in out


DOCS = Path(__file__).parents[2] / "docs"
PAGE, CHANNELS = ((DOCS / name).read_text() for name in ("plugins.md", "channels.md"))


def rows(title, page=PAGE):
    part = page.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_lists_every_shared_quantity():
    expected = [[f"`{g.name}`", g.unit, "the model's" if g.default is None or g.name in CELL_OWNS else f"{g.default:g}",
                 g.doc] for g in GLOBALS.values()]
    assert [row[:4] for row in rows("Shared quantities")] == expected


def test_the_pages_list_every_plugin():
    listed = {row[0]: row for row in [*rows("Plug-ins"), *rows("Channels", CHANNELS)]}
    assert sorted(listed) == sorted(f"`{info.name}`" for info in shipped_plugins())
    for info in shipped_plugins():
        assert listed[f"`{info.name}`"][1] == ", ".join(info.aliases)
        assert info.doi in listed[f"`{info.name}`"][2]
        assert info.kind and info.brief


def test_the_command_groups_plugins_by_kind(capsys):
    assert main(["models", "--plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()
    kinds = [line for line in lines if not line.startswith(" ")]
    assert kinds == ["Calcium:", "Calcium pool:", "Cation:", "Dendritic spike:", "Fibroblast:", "Light:", "Potassium:",
                     "Shock:", "Sodium:", "Sodium and potassium:", "Stretch:", "Tension:"]
    calcium = [line.split()[0] for line in lines[lines.index("Calcium:") + 1:lines.index("Calcium pool:")]]
    assert calcium == ["Ca_HVA", "Ca_LVAst", "IL_Pospischil", "IT_Destexhe", "IT_Pospischil"]
