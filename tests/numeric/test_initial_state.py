"""Tissue starts from the state in which a single cell was saved: ours or openCARP's file."""

import json

import pytest

import upstroke
from upstroke.cli import main
from upstroke.errors import ModelError
from upstroke.run import prepare

CASE = {
    "mesh": {"kind": "cable", "length": "2 mm", "dx": "1 mm"},
    "tissue": {"surface_to_volume": "140 /mm", "waves": 0.2, "conductivity": {"monodomain": ["1.33 mS/cm"]}},
    "time": {"end": "1 ms", "dt": "0.05 ms"},
    "stimulus": {"box": {"min": ["0 mm"], "max": ["0.5 mm"]}, "current": "60 uA/cm^2", "duration": "2 ms"},
}


def setup(model, file, **more):
    return prepare(upstroke.load_case(CASE | {"membrane": {"model": model, "initial": str(file), **more}}))


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A Courtemanche cell at the top of a beat, in both files."""
    monkeypatch.chdir(tmp_path)
    for file in ("cell.json", "cell.sv"):
        assert main(["bench", "--imp", "Courtemanche", "--duration", "5", "--quiet", f"--save-ini-file={file}"]) == 0
    return tmp_path


def test_every_node_starts_in_the_saved_state(saved):
    state = json.loads((saved / "cell.json").read_text())["state"]
    found = setup("Courtemanche", saved / "cell.json").state
    assert state["V"] > -20
    for name, value in state.items():
        assert found.variable(name) == pytest.approx([value] * 3, rel=1e-15), name


def test_opencarps_file_has_six_digits_and_calcium_in_uM(saved):
    state = json.loads((saved / "cell.json").read_text())["state"]
    made = setup("Courtemanche", saved / "cell.sv")
    for name, value in state.items():
        expected = 11.17 if name == "Nai" else value
        assert made.state.variable(name) == pytest.approx([expected] * 3, rel=1e-5), name
    assert "the state file holds no Nai of Courtemanche, which keeps its own start" in made.notes


def test_other_parameters_are_told(saved):
    notes = setup("Courtemanche", saved / "cell.json", parameters={"GNa": "-50%"}).notes
    assert f"{saved}/cell.json was saved with other parameters, those of the run hold: GNa 7.8, here 3.9" in notes


def test_another_model_is_an_error_at_the_membranes_table(saved):
    (saved / "case.toml").write_text("""\
mesh = { kind = "cable", length = "2 mm", dx = "1 mm" }
tissue = { surface_to_volume = "140 /mm", conductivity = { monodomain = ["1.33 mS/cm"] } }
time = { end = "1 ms", dt = "0.05 ms" }
membrane = { model = "TT2", initial = "cell.json" }
""")
    with pytest.raises(ModelError) as error:
        prepare(upstroke.load_case(saved / "case.toml"))
    assert str(error.value) == (
        f"case.toml:4: membrane: {saved}/cell.json: it was saved with model Courtemanche, and the run has "
        "tenTusscherPanfilov\n  -> give a file of the same model, or run with those of the file")
