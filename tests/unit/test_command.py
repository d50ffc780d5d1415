"""The command: words that it does not know, and options that do nothing."""

import pytest

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


def test_what_draw_cannot_do_is_told_before_anything_is_tried(tmp_path, capsys):
    case = tmp_path / "case.toml"
    case.write_text("""mesh = { kind = "cable", length = "1 mm", dx = "0.1 mm" }
tissue = { surface_to_volume = "140 /mm", conductivity.monodomain = ["1 mS/cm"] }
membrane.model = "MitchellSchaeffer"
time = { end = "1 ms", dt = "0.1 ms" }
""")
    assert main(["check", str(case), "--draw", "cell.gif"]) == 2
    assert capsys.readouterr() == ("", "--draw: 'cell.gif' is no .png\n  -> name it cell.png\n")
