"""The command: words that it does not know, and options that do nothing."""

import pytest
from samples import CABLE

from upstroke.cli import main


@pytest.mark.parametrize(("words", "message"), [
    ("rnu case.toml", "rnu: no such verb\n  -> did you mean 'run'?"),
    ("run case.toml --outt x", "--outt: no such option\n  -> did you mean '--out'?"),
    ("check case.toml --drwa=x.png", "--drwa: no such option\n  -> did you mean '--draw'?"),
    ("resume a b", "b: one word too many\n  -> see upstroke resume --help"),
    ("models --flag EPI", "--flag: goes with a model that is described\n  -> add its NAME, or leave --flag out"),
    ("models TT2 --flag EPI --bibtex",
     "--flag: goes with a model that is described\n  -> add its NAME, or leave --flag out"),
    ("models TT2 --names", "--names: lists all, and goes with neither NAME nor --bibtex\n  -> leave it out"),
    ("models --bibtex --names", "--names: lists all, and goes with neither NAME nor --bibtex\n  -> leave it out"),
    ("models IKATP_Ferrero", "no model 'IKATP_Ferrero'\n  -> it is a plug-in, which is added to a model: "
                             "membrane.plugins of a case, --plug-in of bench, --plugins of models"),
    ("models qqq", "no model 'qqq'\n  -> `upstroke models` lists them (a model of your own: give its path, "
                   "PATH/NAME.model)"),
    ("models --plugins qqq", "no plug-in 'qqq'\n  -> `upstroke models --plugins` lists them (a plug-in of your own: "
                             "give its path, PATH/NAME.model)")])
def test_what_is_wrong(words, message, capsys):
    assert main(words.split()) == 2
    assert capsys.readouterr() == ("", f"{message}\n")


@pytest.mark.parametrize(("words", "message"), [
    ("view runs/x --angles nan 0", "upstroke view: error: argument --angles: expected a number, found 'nan'"),
    ("view runs/x --range 0 1,5", "upstroke view: error: argument --range: expected a number, found '1,5'"),
    ("tune-cv TT2 --velocity 1 --dx 1 --tolerance 0",
     "upstroke tune-cv: error: argument --tolerance: expected a number above 0, found '0'")])
def test_numbers_are_numbers(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == message


def test_options_that_change_the_membrane_are_named_with_its_place(tmp_path, capsys):
    case = tmp_path / "case.toml"
    case.write_text(CABLE)
    line = 1 + CABLE.splitlines().index("[membrane]")
    words = ["check", str(case), "--model", "TT3", "--set", "time.end=2 ms", "--set", "membrane.parameters.GNa=3"]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        f'{case}:{line}, --set membrane.model="TT3", --set membrane.parameters.GNa=3: membrane: no model \'TT3\'\n'
        "  -> did you mean 'TT'? (a model of your own: give its path, PATH/NAME.model)\n")
    case.write_text(CABLE.replace("MitchellSchaeffer", "TT3"))
    assert main(["check", str(case), "--set", "time.end=2 ms"]) == 2
    assert capsys.readouterr().err.startswith(f"{case}:{line}: membrane: no model 'TT3'\n")


def test_mistakes_in_the_model_of_a_strand_are_not_those_of_a_case(capsys):
    words = ["tune-cv", "MitchellSchaeffer", "--velocity", "0.6 m/s", "--dx", "0.2 mm", "--param", "tau_inn=3"]
    assert main(words) == 2
    assert capsys.readouterr().err == "model MitchellSchaeffer: no parameter 'tau_inn'\n  -> did you mean 'tau_in'?\n"


def test_what_draw_cannot_do_is_told_before_anything_is_tried(tmp_path, capsys):
    case = tmp_path / "case.toml"
    case.write_text("""mesh = { kind = "cable", length = "1 mm", dx = "0.1 mm" }
tissue = { surface_to_volume = "140 /mm", conductivity.monodomain = ["1 mS/cm"] }
membrane.model = "MitchellSchaeffer"
time = { end = "1 ms", dt = "0.1 ms" }
""")
    assert main(["check", str(case), "--draw", "cell.gif"]) == 2
    assert capsys.readouterr() == ("", "--draw: 'cell.gif' is no .png\n  -> name it cell.png\n")
