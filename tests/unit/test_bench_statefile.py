"""State files of single cells: openCARP's text by position, our own by name, and --SV-init."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upstroke.bench.statefile import read_cells, read_state, sv_init, write_cells, write_state
from upstroke.bench.svfile import Saved, write_sv
from upstroke.errors import UpstrokeError
from upstroke.ionic import Model, initial_state, load_model, read_model

TT2, LAND = "tenTusscherPanfilov", "Stress_Land17"
#: The state vector in openCARP's manual (chapter "Single Cell Scale"): TT2 with LandHumanStress, t = 12500 ms.
MANUAL = """-85.2262            # Vm
1                   # Lambda
0                   # delLambda
0.308053            # Tension
-                   # K_e
-                   # Na_e
-                   # Ca_e
0.00256503          # Iion
-                   # tension_component
0.126796            # Ca_i
3.62845             # CaSR
0.000380231         # CaSS
0.907029            # R_
2.68967e-07         # O
7.62609             # Na_i
137.689             # K_i
0.00172638          # M
0.743346            # H
0.678447            # J
0.0150679           # Xr1
0.470865            # Xr2
0.0143382           # Xs
2.43132e-08         # R
0.999995            # S
3.3857e-05          # D
0.729795            # F
0.959628            # F2
0.995618            # FCaSS

0.0249847           # TRPN
0.999196            # TmBlocked
0.000641671         # XS
8.33073e-05         # XW
0                   # ZETAS
0                   # ZETAW
0                   # __Ca_i_local
"""
#: What openCARP's bench writes today (MitchellSchaeffer, other constants than ours).
NEW = """0.800012            # Vm
-                   # Lambda
-                   # delLambda
-                   # Tension
-                   # Ke
-                   # Nae
-                   # Cae
0.00173675          # Iion
-                   # tension_component
-                   # illum
MitchellSchaeffer
0.13                # V_gate
1                   # V_max
0                   # V_min
0                   # a_crit
0.370946            # h
150                 # tau_close
0.3                 # tau_in
120                 # tau_open
5                   # tau_out

"""


@pytest.fixture(scope="module")
def land() -> Model:
    return load_model("TT2", plugins=[LAND])


@pytest.fixture(scope="module")
def tt2() -> Model:
    return load_model("TT2")


def state_of(model: Model) -> dict[str, Any]:
    return initial_state(model) | {"Iion": 0.25}


def read(tmp_path: Path, text: str, model: Model) -> Saved:
    path = tmp_path / "cell.sv"
    path.write_text(text)
    return read_state(path, model)


# ---------------------------------------------------------------------------------------------- openCARP's text
def test_the_state_of_the_manual(tmp_path: Path, land: Model) -> None:
    saved = read(tmp_path, MANUAL, land)
    assert saved.notes == () and set(saved.values) == {"V", *(s.name for s in land.states)}
    expected = {"V": -85.2262, "Tension": 0.308053, "Cai": 0.126796e-3, "CaSR": 3.62845, "R_": 0.907029,
                "R": 2.43132e-8, "Nai": 7.62609, "Ki": 137.689, "F2": 0.959628, f"{LAND}.TRPN": 0.0249847,
                f"{LAND}.ZETAW": 0.0}
    assert {name: saved.values[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_names_are_comments_that_may_be_left_out(tmp_path: Path, land: Model) -> None:
    bare = "\n".join(line.partition("#")[0] for line in MANUAL.splitlines())
    assert read(tmp_path, bare, land).values == read(tmp_path, MANUAL, land).values


def test_a_title_and_older_names_of_it_in_the_old_order(tmp_path: Path, land: Model) -> None:
    titled = MANUAL.replace("0.126796 ", "TT2\n0.126796 ").replace("\n\n0.0249847", "\n\nLandHumanStress\n0.0249847")
    assert read(tmp_path, titled, land).values == read(tmp_path, MANUAL, land).values


def test_an_order_that_is_not_known_is_read_by_names(tmp_path: Path, tt2: Model) -> None:
    top, _, rest = MANUAL.partition("0.126796")
    lines = ("0.126796" + rest).partition("\n\n")[0].replace("# R_", "# R'").splitlines()
    shuffled = top + "\n".join(reversed(lines))
    saved = read(tmp_path, shuffled, tt2)
    assert (saved.values["R_"], saved.values["R"], saved.values["Cai"]) == (0.907029, 2.43132e-8, 0.126796 / 1000)
    assert saved.notes == ("Lambda = 1 of the state file is not in use here",
                           "delLambda = 0 of the state file is not in use here",
                           "Tension = 0.308053 of the state file is not in use here")


def test_parameters_of_the_file_are_reported_and_not_taken(tmp_path: Path) -> None:
    model = load_model("MitchellSchaeffer", parameters={"V_min": 0, "V_max": 1})
    saved = read(tmp_path, NEW, model)
    assert saved.values == {"V": 0.800012, "h": 0.370946}
    assert saved.notes == ("the state was saved with tau_out = 5, here it is 6, which holds",)
    assert read(tmp_path, NEW.replace("0                   # a_", "0.1 # a_"), model).notes == (
        "the state was saved with MitchellSchaeffer a_crit = 0.1, here it is 0, which holds",
        "the state was saved with tau_out = 5, here it is 6, which holds")


def test_what_is_written_has_the_new_layout(tmp_path: Path) -> None:
    model = load_model("MitchellSchaeffer", parameters={"V_min": 0, "V_max": 1, "tau_out": 5})
    path = tmp_path / "ms.sv"
    assert write_sv(path, model, {"V": 0.800012, "h": np.array([0.370946, 9]), "Iion": 0.00173675}) == ()
    assert path.read_text() == NEW


def test_a_part_of_tt2_with_tension_as_it_is_written(tmp_path: Path, land: Model) -> None:
    path = tmp_path / "tt2.sv"
    write_sv(path, land, state_of(land) | {"Gkr": 0.0459})
    text = path.read_text()
    assert text.startswith("-85.23              # Vm\n1                   # Lambda\n0                   # delLambda\n"
                           "0                   # Tension\n-                   # Ke\n")
    assert f"# illum\n{TT2}\n3.64                # CaSR\n0.00036             # CaSS\n" in text
    assert "\n0.126               # Cai\n" in text
    assert "0.0459              # GKr\n" in text
    assert text.endswith("0                   # ZETAW\n0                   # __Ca_i_local\n\n")


def test_what_the_layout_lacks_is_said(tmp_path: Path) -> None:
    model, path = load_model("Courtemanche"), tmp_path / "c.sv"
    assert write_sv(path, model, state_of(model)) == (
        f"{path}: openCARP's Courtemanche has no Nai, so the file does not hold it; a state file of our own does",)
    assert read_state(path, model).notes == ("the state file holds no Nai of Courtemanche, which keeps its own start",)
    model = load_model("LuoRudy91")
    assert write_sv(path, model, state_of(model)) == (
        f"{path}: openCARP's order of the states of LuoRudy91 is not known here; they stand in alphabetic order",)


@pytest.mark.parametrize(("change", "message"), [
    (lambda t: t.replace("# Xs", "# oa").replace("# S\n", "# ui\n"),
     "cell.sv: this is no state of tenTusscherPanfilov: it has oa ui, and it lacks S Xs\n"
     "  -> give a file that was saved with this model"),
    (lambda t: t.replace("0.126796 ", "Courtemanche\n0.126796 "),
     "cell.sv: it holds a state of Courtemanche; the model here is tenTusscherPanfilov + Stress_Land17\n"
     "  -> give a file of this model with these plug-ins, or run what the file is of"),
    (lambda t: t.partition("\n\n")[0],
     "cell.sv: it holds no state of Stress_Land17; the model here is tenTusscherPanfilov + Stress_Land17\n"
     "  -> give a file of this model with these plug-ins"),
    (lambda t: t + "\n1 # y\n",
     "cell.sv: it holds more plug-ins; the model here is tenTusscherPanfilov + Stress_Land17\n"
     "  -> give a file of this model with these plug-ins, or run what the file is of"),
    (lambda t: t.replace("# Lambda", "# Tension"),
     "cell.sv:2:1: Tension stands where Lambda belongs\n    1                   # Tension\n    ^\n  -> the order is "
     "Vm Lambda delLambda Tension Ke Nae Cae Iion tension_component illum"),
    (lambda t: "".join(f"0 # {n}\n" for n in ("Vm", "Lambda", "delLambda", "Tension", "Ke", "Nae", "Cae", "Iion",
                                             "tension_component", "illum", "Vm")) + "TT2\n",
     "cell.sv:11:1: there are more than 10 shared quantities\n    0 # Vm\n    ^\n  -> they are "
     "Vm Lambda delLambda Tension Ke Nae Cae Iion tension_component illum"),
    (lambda t: t.replace("0.126796 ", "abc "),
     "cell.sv:10:1: 'abc' is no number\n    abc            # Ca_i\n    ^\n"
     "  -> a line of a state file is a value, or - for none, and # its name"),
    (lambda t: t.replace("0.126796 ", "- "),
     "cell.sv:10:1: Ca_i has no value\n    -            # Ca_i\n    ^\n  -> give a file of --save-ini-file"),
    (lambda t: t.replace("# Xr1", "# Xr2"),
     "cell.sv:21:1: Xr2 of tenTusscherPanfilov is there twice\n    0.470865            # Xr2\n    ^\n"
     "  -> give a file of --save-ini-file"),
    (lambda t: t.replace("3.62845             # CaSR\n", "").replace("# CaSS", ""),
     "cell.sv: 18 values for tenTusscherPanfilov, some without a name, in no known order\n  -> openCARP's order is "
     "CaSR CaSS Cai D F F2 FCaSS GCaL GKr GKs Gto H J Ki M Nai R R_ S Xr1 Xr2 Xs"),
    (lambda t: t.replace("-85.2262 ", "- "),
     "cell.sv:1:1: the file has no Vm\n    -            # Vm\n    ^\n  -> give a file of --save-ini-file"),
    (lambda t: "", "cell.sv: this is no state file: it has no values of shared quantities and of a model\n"
     "  -> give a file of --save-ini-file"),
])
def test_a_file_that_does_not_fit(tmp_path: Path, land: Model, monkeypatch: pytest.MonkeyPatch,
                                  change: Callable[[str], str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cell.sv").write_text(change(MANUAL))
    with pytest.raises(UpstrokeError) as error:
        read_state(Path("cell.sv"), land)
    assert str(error.value) == message


# ------------------------------------------------------------------------------------------------------- our own
def test_every_digit_comes_back(tmp_path: Path, land: Model) -> None:
    state = {name: value * (1 + 1e-15) + 1e-17 for name, value in state_of(land).items()}
    path = tmp_path / "cell.json"
    write_state(path, land, {name: np.array([value, 0.0]) for name, value in state.items()}, 12500.000000000002, 0.01)
    saved = read_state(path, land)
    del state["Iion"]
    assert saved.values == state and saved.notes == ()
    about = json.loads(path.read_text())
    assert about["time_ms"] == 12500.0
    assert (about["model"], about["plugins"], about["flags"]) == (TT2, [LAND], {"cell_type": "EPI"})
    assert (about["units"]["Cai"], about["units"]["Tension"], about["dt_ms"]) == ("mM", "kPa", 0.01)
    assert about["parameters"][f"{LAND}.Tref"] == 120


def test_other_parameters_are_reported(tmp_path: Path, tt2: Model) -> None:
    path = tmp_path / "cell.json"
    write_state(path, tt2, state_of(tt2) | {"GK1": 5.0}, 0, 0.01)
    zone = load_model("TT2", parameters={"GNa": "-62%"})
    assert read_state(path, zone).notes == (
        f"{path} was saved with other parameters, those of the run hold: GNa 14.838, here 5.63844; GK1 5, here 5.405",)
    less, more = (read_model(f"V_init = 0; {name}; .param(); Iion = {name[0]}*V;") for name in ("k = 1", "g = 2"))
    write_state(path, less, {"V": 0.0, "Iion": 0.0}, 0, 0.01)
    assert read_state(path, more).notes == (
        f"{path} was saved with other parameters, those of the run hold: no g, here 2; k 1, here none",)


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(("act", "message"), [
    (lambda p: read_state(p, load_model("Courtemanche")),
     "cell.json: it was saved with model tenTusscherPanfilov, and the run has Courtemanche\n"
     "  -> give a file of the same model, or run with those of the file"),
    (lambda p: read_state(p, load_model("TT2", plugins=[LAND])),
     "cell.json: it was saved with plug-ins none, and the run has Stress_Land17\n"
     "  -> give a file of the same plug-ins, or run with those of the file"),
    (lambda p: read_state(p, load_model("TT2", ["ENDO"])),
     "cell.json: it was saved with flags cell_type=EPI, and the run has cell_type=ENDO\n"
     "  -> give a file of the same flags, or run with those of the file"),
    (lambda p: (changed(p, state={"V": 0, "Cai": 1, "U": 2}), read_state(p, load_model("TT2"))),
     "cell.json: this is no state of tenTusscherPanfilov as it is here: it lacks Nai Ki CaSS CaSR R_ M H J D F F2 "
     "FCaSS R S Xr1 Xr2 Xs, and it has U\n  -> save the state again with this model file"),
    (lambda p: (changed(p, state=json.loads(p.read_text())["state"] | {"M": None}), read_state(p, load_model("TT2"))),
     "cell.json: M is no number\n  -> save the state again"),
    (lambda p: (changed(p, units={"Cai": "uM"}), read_state(p, load_model("TT2"))),
     "cell.json: units differ: Cai in uM there and mM here\n  -> save the state again with this model file"),
    (lambda p: (changed(p, version=7, upstroke="9.1"), read_state(p, load_model("TT2"))),
     "cell.json: the file is of version 7, and this program reads 1\n  -> read it with upstroke 9.1, or save it again"),
    (lambda p: (changed(p, format="x"), read_state(p, load_model("TT2"))),
     "cell.json: this is no state file\n  -> give a file of --save-ini-file"),
    (lambda p: (p.write_text('{"format": "upstroke cell state", "version": 1}'), read_state(p, load_model("TT2"))),
     "cell.json: the file is damaged: it lacks upstroke saved model plugins flags time_ms dt_ms units parameters\n"
     "  -> save the state again"),
    (lambda p: (p.write_text("{\n]"), read_state(p, load_model("TT2"))),
     "cell.json:2: the file is damaged: Expecting property name enclosed in double quotes\n  -> save the state again"),
    (lambda p: (p.write_bytes(b"\xff\xfe"), read_state(p, load_model("TT2"))),
     "cell.json: this state file is not text\n  -> read one of all cells with --restore"),
    (lambda p: read_state(Path("none.sv"), load_model("TT2")),
     "none.sv: cannot read the state: No such file or directory\n  -> give a file of --save-ini-file"),
    (lambda p: read_cells(Path("none.sv"), load_model("TT2"), 1),
     "none.sv: cannot read the state: No such file or directory\n  -> give a file of --save-file"),
    (lambda p: read_cells(p, load_model("TT2"), 1),
     "cell.json: this is no file of --save-file\n  -> a text file is read with --read-ini-file"),
])
def test_a_state_that_is_not_of_this_model(tmp_path: Path, tt2: Model, monkeypatch: pytest.MonkeyPatch,
                                           act: Callable[[Path], Any], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("cell.json")
    write_state(path, tt2, state_of(tt2), 0, 0.01)
    with pytest.raises(UpstrokeError) as error:
        act(path)
    assert str(error.value) == message


def test_all_cells(tmp_path: Path, land: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, rng = Path("a.sv"), np.random.default_rng(1)
    state = {name: value + rng.random(3) for name, value in state_of(land).items()}
    write_cells(path, land, state | {"GNa": np.arange(3.0)}, 5.0, 0.01)
    assert [p.name for p in Path().iterdir()] == ["a.sv"]                  # NumPy adds no ending
    saved = read_cells(path, land, 3)
    assert all(np.array_equal(saved.values[s], state[s]) for s in ("V", "Cai", "Tension", f"{LAND}.XS"))
    with np.load(path) as stored:
        assert json.loads(str(stored["about"]))["time_ms"] == 5.0
    assert saved.parameters["GNa"].tolist() == [0, 1, 2] and list(saved.parameters) == ["GNa"]
    with pytest.raises(UpstrokeError) as error:
        read_cells(path, land, 5)
    assert str(error.value) == "a.sv: it holds 3 cells, the run has 5\n  -> give --num 3"
    write_cells(path, land, {name: value[:1] for name, value in state.items()}, 5.0, 0.01)
    assert np.array_equal(read_cells(path, land, 5).values["V"], np.full(5, state["V"][0]))


# ------------------------------------------------------------------------------------------------------- --SV-init
def test_starts_on_the_command_line(land: Model) -> None:
    assert sv_init("Vm=-80, Ca_i=0.2,Tension=1:trpn=0.02", land) == {
        "V": -80.0, "Cai": 0.2 / 1000, "Tension": 1.0, f"{LAND}.TRPN": 0.02}
    assert sv_init(":XS=1", land) == {f"{LAND}.XS": 1.0}


@pytest.mark.parametrize(("text", "message"), [
    ("Nao=3", "--SV-init: tenTusscherPanfilov has no state 'Nao'\n  -> it is a parameter: --imp-par Nao=3"),
    (":Tref=3", "--SV-init: Stress_Land17 has no state 'Tref'\n  -> it is a parameter: --plug-par Tref=3"),
    ("Xr3=3", "--SV-init: tenTusscherPanfilov has no state 'Xr3'\n  -> did you mean 'Xr2'?"),
    ("V=1,Vm=2", "--SV-init: Vm is given twice\n  -> give it once"),
    ("M", "--SV-init: 'M' gives M no number\n  -> write M=0.5"),
    ("M=inf", "--SV-init: 'M=inf' is not finite\n  -> give a finite number"),
    ("M=1:XS=1:y=1", "--SV-init: 3 lists for a model and 1 plug-in\n  -> separate lists by ':', states by ','"),
])
def test_starts_that_cannot_be(land: Model, text: str, message: str) -> None:
    with pytest.raises(UpstrokeError) as error:
        sv_init(text, land)
    assert str(error.value) == message
