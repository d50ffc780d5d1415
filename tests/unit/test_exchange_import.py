"""Models of other formats, read by Myokit: those that come with Myokit, and small ones that try every corner."""

import sys
from pathlib import Path

import pytest

from upstroke.cli import main
from upstroke.errors import BackendError, ModelError
from upstroke.exchange.names import Names, legal
from upstroke.ionic import initial_state, load_model, rates, read_model
from upstroke.ionic.expr import Binary, Name, Num, Unary
from upstroke.ionic.text import equation, to_text

try:
    import myokit
except ImportError:
    SHIPPED = Path()
else:
    SHIPPED = Path(myokit.__file__).parent / "tests" / "data"

needs_myokit = pytest.mark.skipif(not SHIPPED.parts, reason="needs myokit")

#: Files of Myokit's wheel with the number of states but V
FILES = {
    "beeler-1977-model.mmt": 7, "beeler-1977-model-compare-a.mmt": 7, "beeler-1977-model-compare-b.mmt": 6,
    "beeler-1977-units.mmt": 7, "conditional.mmt": 3, "cv1d.mmt": 7, "decker-2009.mmt": 47,
    "dn-1985-normalised.mmt": 15, "lr-1991.mmt": 7, "lr-1991-dep.mmt": 9, "lr-1991-testing.mmt": 7,
    "noble-1962.mmt": 3, "io/block1d.mmt": 7, "io/block2d.mmt": 7, "multi/beeler-no-name.mmt": 7,
    "multi/lr-1991.mmt": 7, "formats/cellml/br-1977.cellml": 7, "formats/cellml/br-1977-dot.cellml": 7,
    "formats/cellml/corrias.cellml": 21, "formats/cellml/decker-2009.cellml": 45,
    "formats/cellml/lr-1991-exported-1.cellml": 7, "formats/cellml/lr-1991-exported-2.cellml": 7,
    "formats/sbml/00004-sbml-l2v1-modified.xml": 3, "formats/sbml/00004-sbml-l3v2-modified.xml": 3,
    "formats/sbml/HodgkinHuxley.xml": 3,
}

#: Volts, seconds and uM; gates of both forms, shared coefficients, every function, names that mean something to us
CORNERS = """
[[model]]
name: corners
desc: Authors: not ours
cell.U = -0.08
gate.x = 0.3
gate.y = 0.4
gate.z = 0.5
gate.w = 0.7
other.x = 0.6
ca.c = 0.2
[engine]
time = 0 [s] in [s] bind time
pace = 0 bind pace
[cell]
use gate.x, gate.y, gate.z, ca.c
dot(U) = -(i_ion + i_stim + i_late) / C
    in [V]
    label membrane_potential
C = 2 [uF/cm^2] in [uF/cm^2]
i_ion = g * x * y * (U - E) + 0.1 * z * other.x
i_stim = engine.pace * amplitude
amplitude = -80
i_late = if(U > -0.04 [V] and not (c >= 3), 0.1, 0)
g = 3
E = 0.05 [V] in [V]
[gate]
use cell.U
dot(x) = (inf - x) / tau
    inf = 1 / (1 + exp(-(U + 0.03 [V]) / 0.008 [V]))
    tau = shared
dot(y) = alpha * (1 - y) - beta * y
    alpha = 20 * exp(-U / 0.1 [V]) in [1/s]
    beta = 5 in [1/s]
dot(z) = (half - z) / shared
dot(w) = (half - w) / shared
half = 0.5
shared = 0.01 [s] + 0.001 * abs(U) in [s]
x_inf = 7 + diff_x + a_y
diff_x = 3
a_y = 4
[other]
use cell.U
dot(x) = 1 * (one - x) * d_x_dt + dot(ca.c) * 0 + E.exp
one = piecewise(U < -0.09 [V], 1, U < 0 [V] or x == 2, 2 + gate.x_inf, 3 % 2 + 7 // 2)
d_x_dt = 0.5 + sqrt(2) + sin(1) + cos(1) + tan(1) + asin(0.1) + acos(0.1) + atan(1) + log(2) + log(8, 2) + log10(5)
if_ = floor(2.5) + ceil(2.5) - -1 + 2 ^ 3 + 2 ^ 0.5 + 3 ^ 2 + 1.5 ^ 1.1 + +1 + (1 - (2 - 3))
exp_init = if_
[E]
exp = other.exp_init * 1e-3
[ca]
dot(c) = 0.5 * (1 - c / 2) in [uM]
"""


def write(folder: Path, text: str, name: str = "mine.mmt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@needs_myokit
@pytest.mark.parametrize("file", FILES)
def test_files_of_myokit_have_the_same_rates(file: str) -> None:
    from upstroke.exchange import import_model

    found = import_model(SHIPPED / file)
    assert len(found.model.states) == FILES[file]
    assert found.difference < 1e-10
    assert read_model(found.text, found.model.name) == found.model


@needs_myokit
def test_an_independent_look_at_one_of_them() -> None:
    """import_model compares by itself; here the numbers are taken from Myokit once more."""
    from upstroke.exchange import import_model

    theirs = myokit.load_model(str(SHIPPED / "lr-1991.mmt"))
    model = import_model(SHIPPED / "lr-1991.mmt").model
    state = initial_state(model)
    expected = {v.name(): r for v, r in zip(
        theirs.states(), theirs.evaluate_derivatives(inputs={"pace": 0}), strict=True)}
    Iion, slopes = rates(model, state["V"], state)
    assert slopes | {"V": -Iion} == pytest.approx(expected, rel=1e-12)
    assert {s.name for s in model.states if s.method == "rush_larsen"} == {"m", "h", "j", "d", "f", "x"}


@needs_myokit
def test_corners(tmp_path: Path) -> None:
    from upstroke.exchange import import_model

    found = import_model(write(tmp_path, CORNERS), "corners")
    model = found.model
    assert initial_state(model) == pytest.approx(
        {"V": -80, "gate_x": 0.3, "y": 0.4, "z": 0.5, "w": 0.7, "other_x": 0.6, "c": 2e-4})
    theirs = myokit.load_model(str(tmp_path / "mine.mmt"))
    expected = dict(zip((v.qname() for v in theirs.states()), theirs.evaluate_derivatives(), strict=True))
    Iion, slopes = rates(model, -80, initial_state(model))
    assert -Iion == pytest.approx(expected["cell.U"], rel=1e-12)                      # V/s is mV/ms
    assert slopes["y"] == pytest.approx(expected["gate.y"] / 1000, rel=1e-12)
    assert slopes["c"] == pytest.approx(expected["ca.c"] / 1e6, rel=1e-12)
    for line in ("tau_gate_x = tau_z; .units(ms);", "w_inf = z_inf;", "tau_w = tau_z;", "diff_c = dot_c/1000000;"):
        assert line in found.text.splitlines()
    assert {s.name for s in model.states if s.steady is not None} == {"gate_x", "z", "w"}
    assert "// | Authors: not ours" in found.text and "Authors" not in model.header
    assert "amplitude" not in found.text
    assert found.notes == ("Left out: cell.i_stim, engine.pace; Upstroke gives the stimulus.",
                           "Iion is -d(cell.U)/dt of the file, without its stimulus, at C_m = 1 uF/cm^2.")


@needs_myokit
def test_a_wrong_translation_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import upstroke.exchange.easyml as easyml

    monkeypatch.setitem(easyml._UNARY, "Abs", "sqrt")
    path = write(tmp_path, "[[model]]\nc.V = -80\n[c]\nt = 0 bind time\ndot(V) = -abs(V + 1) in [mV]\n")
    with pytest.raises(ModelError) as error:
        easyml.import_model(path)
    assert str(error.value).startswith(f"{path}: the translation of dV/dt is nan where Myokit has -79\n")
    assert error.value.remedy == "this is a defect of Upstroke: please report it with the file"


CLAMPED = """[[model]]
ina.m = 0.1
[c]
t = 0 bind time
V = -80 [mV] in [mV] bind pace
[ina]
dot(m) = (c.V - m)/100
i = 2 * m * (c.V - 50) in {unit}
"""


@needs_myokit
def test_the_current_of_a_clamped_model_can_be_named(tmp_path: Path) -> None:
    from upstroke.exchange import import_model

    path = write(tmp_path, CLAMPED.format(unit="[A/F]"))
    found = import_model(path, current="i")
    assert rates(found.model, -80, {"m": 0.1})[0] == pytest.approx(-26)
    assert found.notes == ("The file gives time no unit; it is read as ms.", "Iion is ina.i, as asked for.")
    with pytest.raises(ModelError) as error:
        import_model(path)
    assert str(error.value) == (f"{path}: c.V has no rate in this file: V is prescribed\n"
                                "  -> name the whole membrane current, --current NAME, or another V, --vm NAME")
    path = write(tmp_path, CLAMPED.format(unit="[m]"))
    with pytest.raises(ModelError) as error:
        import_model(path, current="ina.i")
    assert str(error.value) == (f"{path}: --current: ina.i is in [m], not a current per area or capacitance\n"
                                "  -> name a current in A/F or uA/cm^2")


TWO = """[[model]]
a.x = 1
b.x = 2
[a]
t = 0 bind time
dot(x) = 1
k = 3 [s] in [s]
[b]
dot(x) = 2
"""


@needs_myokit
@pytest.mark.parametrize(("text", "options", "message"), [
    (TWO, {}, "no variable looks like the membrane voltage\n  -> name it: --vm NAME (states: a.x, b.x)"),
    (TWO, {"vm": "x"}, "--vm x may be a.x or b.x\n  -> write --vm a.x"),
    (TWO, {"vm": "a.y"}, "--vm: no variable 'a.y'\n  -> did you mean 'a.x'?"),
    (TWO, {"vm": "k"}, "a.k is in [s], not a unit of voltage\n  -> name another variable with --vm NAME"),
    ("[[model]]\n[a]\nx = \n", {}, None),
    ("[[protocol]]\n0 1 1000 0 0\n", {}, "the file holds no model\n  -> give one with a [[model]] part"),
    ("[[model]]\n[a]\nt = 0 [m] in [m] bind time\n[c]\nV = 1 [mV] in [mV]", {}, "a.t is in [m], not a unit of time\n"
     "  -> mend the unit in the file"),
])
def test_what_cannot_be_translated_says_so(tmp_path: Path, text: str, options: dict, message: str | None) -> None:
    from upstroke.exchange import import_model

    path = write(tmp_path, text)
    with pytest.raises(ModelError) as error:
        import_model(path, **options)
    if message is None:
        assert f"{path}: Myokit cannot read this as mmt: " in str(error.value)
        assert error.value.remedy == "check that the file is whole, and its format"
    else:
        assert str(error.value) == f"{path}: {message}"


@needs_myokit
def test_a_file_without_equations() -> None:
    from upstroke.exchange import import_model

    path = SHIPPED / "formats" / "cellml" / "documentation.cellml"
    with pytest.raises(ModelError) as error:
        import_model(path)
    assert str(error.value) == (f"{path}: the model is not complete: No variable bound to time. At least one of the "
                                "model's variables must be bound to \"time\"\n  -> mend the file")


@needs_myokit
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "BR.model"
    assert main(["import", str(SHIPPED / "formats/cellml/br-1977.cellml"), "-o", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  Left out: stimulus_protocol.Istim; Upstroke gives the stimulus.",
        "  Iion is -d(membrane.V)/dt of the file, without its stimulus, at C_m = 1 uF/cm^2."]
    assert load_model(out).header["Title"] == "beeler_reuter_1977_version06"
    assert main(["import", str(SHIPPED / "lr-1991.mmt"), "-o", str(tmp_path / "no" / "x.model")]) == 2
    assert capsys.readouterr().err == (f"{tmp_path}/no/x.model: cannot write: No such file or directory\n"
                                       "  -> choose another --output\n")


@needs_myokit
def test_files_that_are_none(tmp_path: Path) -> None:
    from upstroke.exchange import import_model

    with pytest.raises(ModelError) as error:
        import_model(tmp_path / "x.txt")
    assert str(error.value) == (f"{tmp_path}/x.txt: '.txt' is no ending of a model file\n"
                                "  -> known: .mmt, .cellml, .sbml, .xml")
    with pytest.raises(ModelError) as error:
        import_model(tmp_path / "x.mmt")
    assert str(error.value) == (f"{tmp_path}/x.mmt: cannot read the model: No such file or directory\n"
                                "  -> give the path of a file")


def test_without_myokit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from upstroke.exchange import import_model

    monkeypatch.setitem(sys.modules, "myokit", None)
    with pytest.raises(BackendError) as error:
        import_model(tmp_path / "x.mmt")
    assert str(error.value) == ("import and export need Myokit, which is not installed\n"
                                "  -> pip install 'upstroke[exchange]', or pip install myokit")


@pytest.mark.parametrize("text", [
    "a - (b - c)", "a - b - c", "a/(b*c)", "(a + b)*c", "-a*b", "-(a + b)", "!(a && b) || c", "(a ? b : c) + 1",
    "a ? b : c ? 1 : 2", "a < b < c && a < (b < c)", "pow(a, b + 1)", "(a ? b : c) ? 1 : 2", "a*-2", "1e-07*a"])
def test_text_of_expressions_is_read_back(text: str) -> None:
    model = read_model(f"V_init = 0; a = V; b = 2*V; c = 3*V; Iion = {text};")
    assert model.iion is not None
    assert to_text(model.iion) == text


def test_signs_and_long_lines() -> None:
    assert to_text(Unary("-", Num(-1.0))) == "-(-1)"
    assert to_text(Binary("-", Name("a"), Num(-1.0))) == "a - -1"
    assert read_model("V_init = 0; Iion = V - -1;").iion == Binary("-", Name("V"), Num(-1.0))
    assert equation("x", Binary("+", Name("a" * 20), Name("b" * 20)), width=30) == f"x = {'a' * 20} +\n    {'b' * 20};"


def test_names() -> None:
    assert [n for n in ("x", "V", "t", "exp", "diff_x", "d_x_dt", "x_init", "_x", "if", "x1", "x_inf") if legal(n)] == \
        ["x", "x1", "x_inf"]
    names = Names()
    assert names.take_all([("x", "a_x"), ("x", "b_x"), ("V", "a_V"), ("g", "a_g")], bool) == ["a_x", "b_x", "a_V", "g"]
    assert names.take("g") == "g_2"
    assert names.take_all([("x_init", "a_x_init")], bool) == ["the_a_x_init_value"]


@needs_myokit
def test_events_of_sbml_are_not_left_out_silently(tmp_path: Path) -> None:
    from upstroke.exchange import import_model

    text = (SHIPPED / "formats/sbml/HodgkinHuxley.xml").read_text()
    path = tmp_path / "resets.sbml"
    path.write_text(text.replace("</model>", "<listOfEvents><event id='spike'/></listOfEvents></model>"))
    with pytest.raises(ModelError) as error:
        import_model(path)
    assert str(error.value) == (f"{path}: the file has events, which Myokit would leave out\n  -> take them out of the "
                                "file, and add them to the result: when (...) { NAME = value; }")
