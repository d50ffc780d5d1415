"""Models, plug-ins and parameters as users of openCARP name them, and the lines that say what became of them."""

import pytest

from upstroke.bench.modifiers import chosen, echo, modifiers
from upstroke.bench.options import parse
from upstroke.errors import ModelError, OptionError

LEAK = "V; .external(Vm);\nIion; .external();\nleak = 0.25; .param();\nIion += leak*V;\n"
CELL = "V; .external(Vm);\nIion; .external();\ng = 0.5; .param();\nV_init = -80;\nIion = g*(V + 80);\n"


def echoed(*argv):
    choice = chosen(parse(argv))
    return echo(choice, choice.load())


def message(error, function, *arguments):
    with pytest.raises(error) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("text, found", [
    ("", {}),
    ("GNa-62%", {"GNa": "-62%"}),
    ("GNa*0.38", {"GNa": "*0.38"}),
    ("GNa/2,GK1+.5", {"GNa": "/2", "GK1": "+.5"}),
    ("GNa=5.6", {"GNa": "=5.6"}),
    ("GNa=-5", {"GNa": "=-5"}),
    ("E--5", {"E": "--5"}),
    (" GCaL = 3.98e-5 , flags=EPI", {"GCaL": "=3.98e-5", "flags": "EPI"}),
    ("flags=EPI|SLOW", {"flags": "EPI|SLOW"}),
    ("Ca_i=CaSS", {"Ca_i": "CaSS"}),
])
def test_the_grammar_of_modifiers(text, found):
    assert modifiers(text, "--imp-par") == found


@pytest.mark.parametrize("change, value", [
    ("-62%", 5.63844), ("*0.38", 5.63844), ("/2", 7.419), ("+1", 15.838), ("=5.6", 5.6), ("=-5", -5.0),
    ("+10%", 16.3218)])
def test_what_modifiers_do(change, value):
    model = chosen(parse(["--imp", "TT2", "--imp-par", f"GNa{change}"])).load()
    assert {p.name: p.value for p in model.parameters}["GNa"] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text, what", [
    ("GNa", "cannot read the modifier 'GNa'"),
    ("GNa-62%,", "cannot read the modifier ''"),
    ("GNa^2", "cannot read the modifier 'GNa^2'"),
    ("GNa*half", "'half' in the modifier 'GNa*half' is no number"),
    ("GNa-62%%", "'62%%' in the modifier 'GNa-62%%' is no number"),
])
def test_modifiers_that_cannot_be_read(text, what):
    assert message(OptionError, modifiers, text, "--imp-par") == (
        f"--imp-par: {what}\n"
        "  -> write NAME-62%, NAME*0.38, NAME/2, NAME+1, NAME=5.6, flags=EPI, with commas between")


def test_a_parameter_is_modified_once():
    assert message(OptionError, modifiers, "GNa-62%,GNa=1", "--imp-par") == (
        "--imp-par: GNa is modified twice\n  -> keep one")


def test_the_echo_is_the_manuals_to_the_column():
    assert echoed("--imp", "TT2", "--imp-par=GNa-62%,GCaL-69%,Gkr-70%,GK1-80%") == (
        "Ionic model: TT2\n"
        "\tGNa                  modifier: -62%            value: 5.63844\n"
        "\tGCaL                 modifier: -69%            value: 1.2338e-05\n"
        "\tGkr                  modifier: -70%            value: 0.0459\n"
        "\tGK1                  modifier: -80%            value: 1.081")


def test_the_echo_of_plugins_is_the_manuals():
    assert echoed("--imp", "TT2", "--plug-in", "I_KATP:LandHumanStress", "--imp-par", "GNa*0.8",
                  "--plug-par", "ATP_i-10%:Tref-10%,TRPN_n+25%") == (
        "Ionic model: TT2\n"
        "\tGNa                  modifier: *0.8            value: 11.8704\n"
        "Plug-in: I_KATP\n"
        "\tATP_i                modifier: -10%            value: 6.12\n"
        "Plug-in: LandHumanStress\n"
        "\tTref                 modifier: -10%            value: 108\n"
        "\tTRPN_n               modifier: +25%            value: 2.5")


def test_the_echo_of_flags_links_and_shared_quantities():
    assert echoed("--imp", "TT2", "--imp-par", "flags=ENDO,Lambda=1.1", "--plug-in", "LandHumanStress:IKATP_Ferrero",
                  "--plug-par", "Ca_i=CaSS:clefts=OPEN") == (
        "Ionic model: TT2\n"
        "\tflags                modifier: =ENDO           value: ENDO\n"
        "\tLambda               modifier: =1.1            value: 1.1\n"
        "Plug-in: LandHumanStress\n"
        "\tCa_i                 modifier: =CaSS           value: CaSS\n"
        "Plug-in: IKATP_Ferrero\n"
        "\tclefts               modifier: =OPEN           value: OPEN")


def test_names_may_be_written_as_of_old():
    assert echoed("--imp", "TT2", "--imp-par", "GKr=1") == (
        "Ionic model: TT2\n\tGKr                  modifier: =1              value: 1")


def test_flag_is_a_way_to_say_flags():
    choice = chosen(parse(["--imp", "TT2", "--flag", "MCELL"]))
    model = choice.load()
    assert model.flags[0].value == "MCELL"
    assert echo(choice, model).endswith("\tflags                modifier: =MCELL          value: MCELL")


def test_what_the_model_does_not_know_is_its_own_error():
    choice = chosen(parse(["--imp", "TT2", "--imp-par", "GNaa-62%"]))
    assert message(ModelError, choice.load) == (
        "model tenTusscherPanfilov: no parameter 'GNaa'\n  -> did you mean 'GNa'?")


# --------------------------------------------------------------------------------------------------- files and methods
@pytest.fixture
def files(tmp_path):
    for name, text in (("Cell", CELL), ("Leaky", LEAK)):
        (tmp_path / f"{name}.model").write_text(text)
    return tmp_path


@pytest.mark.parametrize("option", ["--load-module", "--model"])
def test_a_file_is_a_model(files, option):
    choice = chosen(parse([option, str(files / "Cell.model")]))
    assert choice.load().name == "Cell" and choice.words == ("Cell",)


def test_files_are_models_and_plugins_by_name(files):
    load = ["--load-module", str(files / "Cell.model"), "--model", str(files / "Leaky.model")]
    for argv in (["--plug-in", "Leaky"], ["--plug-in", "Leaky", "--imp", "Cell"]):
        choice = chosen(parse([*load, *argv, "--plug-par", "leak=1"]))
        assert choice.load().name == "Cell + Leaky"
        assert echo(choice, choice.load()) == (
            "Ionic model: Cell\nPlug-in: Leaky\n\tleak                 modifier: =1              value: 1")


def test_a_file_may_be_a_plugin_of_the_default_model(files):
    assert chosen(parse(["--model", str(files / "Leaky.model"), "--plug-in", "Leaky"])).load().name == \
        "DrouhardRoberge + Leaky"


def test_files_that_cannot_be(files):
    cell, leaky = str(files / "Cell.model"), str(files / "Leaky.model")
    assert message(OptionError, chosen, parse(["--load-module", "./TT2.so"])) == (
        "--load-module: TT2.so is no .model file\n"
        "  -> give the text of the model; libraries that openCARP has compiled cannot be loaded")
    assert message(OptionError, chosen, parse(["--model", cell, "--model", leaky])) == (
        "--load-module: which is the model: Cell or Leaky?\n  -> say it with --imp")
    assert message(OptionError, chosen, parse(["--model", cell, "--imp", "TT2"])) == (
        "--load-module: Cell is neither the model of --imp nor a plug-in of --plug-in\n"
        "  -> leave it out, or name it there")
    assert message(OptionError, chosen, parse(["--model", cell, "--load-module", cell])) == (
        "--model: two files have the name Cell\n  -> give one of them")


@pytest.mark.parametrize("argv, methods", [
    ([], ""), (["--method", "rk4"], "rk4"), (["--method", "m=rk4, Vm=rk2"], {"m": "rk4", "V": "rk2"}),
    (["--ext-vm-update"], {"V": "fe"})])
def test_methods(argv, methods):
    assert chosen(parse(argv)).methods == methods


@pytest.mark.parametrize("text, what", [
    ("m=", "cannot read 'm='\n  -> write METHOD, or STATE=METHOD,..."),
    ("m=fe,rk2", "cannot read 'rk2'\n  -> write METHOD, or STATE=METHOD,..."),
    ("m=fe,m=rk2", "m is given twice\n  -> keep one")])
def test_methods_that_cannot_be_read(text, what):
    assert message(OptionError, chosen, parse(["--method", text])) == f"--method: {what}"


def test_plugins_that_cannot_be():
    assert message(OptionError, chosen, parse(["-P", "IFun", "--plug-par", "G=1:G=2"])) == (
        "--plug-par: there are 2 lists of parameters for 1 plug-in\n"
        "  -> put a : between plug-ins, a comma between parameters")
    assert message(OptionError, chosen, parse(["-P", "IFun:IFun"])) == (
        "--plug-in: IFun is named twice\n  -> name each once")
