"""Models as mmt and CellML: Myokit has the same rates, and what is imported again has them too."""

import math
import sys
from pathlib import Path

import pytest

from upstroke.cli import main
from upstroke.errors import BackendError, ModelError
from upstroke.exchange import export_model, import_model
from upstroke.ionic import initial_state, load_model, rates, read_model, shipped_models
from upstroke.ionic.model import Model

try:
    import myokit
except ImportError:
    myokit = None

needs_myokit = pytest.mark.skipif(myokit is None, reason="needs myokit")

EVERYTHING = """V_init = -80; k = 1.5; .param(); .units(mS/cm^2); use = 2; .param();
diff_w = 0.1*(V/100 - w); w_init = 0.5;
a = expm1(w*1e-6) + expm1(w) + log1p(w*1e-6) + log1p(w) + sinh(w) + sinh(1e-7*w) + cosh(w) + tanh(w) + tanh(-40*w)
    + tanh(1e-7*w) + tanh(2000*w) + cbrt(w) + cbrt(-w) + min(w, 1) + max(w, 1) + fmod(7*w, 2) + fmod(-7*w, 2) + heav(w)
    + heav(-w);
b = exp(w) + log(w) + log10(w) + sqrt(w) + sin(w) + cos(w) + tan(w) + asin(w) + acos(w) + atan(w) + floor(w) + ceil(w)
    + fabs(-w) + pow(w, 1.5) + square(w) + cube(w) - (-w);
c = (w > 0.4) + 2*(w < 0.4) + (V == 1 || w != 0.5 || !(w >= 1 && w <= 2)) + (w ? 3 : 4) + t;
Iion = k*a + use*b + c;"""


def same_rates(model: Model, out: "myokit.Model") -> None:
    state = initial_state(model)
    Iion, slopes = rates(model, state["V"], state)
    theirs = dict(zip(state, out.evaluate_derivatives(inputs={"pace": 0}, ignore_errors=True), strict=True))
    for name, value in {"V": -Iion, **slopes}.items():
        assert math.isclose(theirs[name], value, rel_tol=1e-9, abs_tol=1e-13 * abs(state[name])), name


@needs_myokit
@pytest.mark.parametrize("name", [info.name for info in shipped_models()])
def test_every_shipped_model_goes_to_myokit(name: str) -> None:
    from upstroke.exchange.target import to_myokit

    model = load_model(name)
    if model.events:
        with pytest.raises(ModelError, match="an event happens at the end of a step, which other formats cannot say"):
            to_myokit(model)
    elif any(state.rate is None for state in model.states):
        with pytest.raises(ModelError, match="has no rate: it is updated once per step"):
            to_myokit(model)
    else:
        same_rates(model, to_myokit(model))


@needs_myokit
@pytest.mark.parametrize("kind", ["mmt", "cellml"])
@pytest.mark.parametrize("name", ["tenTusscherPanfilov", "MitchellSchaeffer", "everything"])
def test_there_and_back(name: str, kind: str, tmp_path: Path) -> None:
    model = read_model(EVERYTHING, name) if name == "everything" else load_model(name)
    path = tmp_path / f"model.{kind}"
    export_model(model, path, kind)
    back = import_model(path).model                            # compares with Myokit by itself
    state = initial_state(model)
    assert initial_state(back) == pytest.approx(state, rel=1e-14)
    Iion, slopes = rates(model, state["V"], state)
    theirs, again = rates(back, state["V"], state)
    assert again | {"V": theirs} == pytest.approx(slopes | {"V": Iion}, rel=1e-10)


@needs_myokit
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tt2.mmt"
    assert main(["export", "tt2", "--to", "mmt", "--flag", "ENDO", "-o", str(path)]) == 0
    same_rates(load_model("tt2", ["ENDO"]), myokit.load_model(str(path)))
    assert main(["export", "tt2", "--to", "mmt", "-o", str(tmp_path / "no" / "x.mmt")]) == 2
    assert capsys.readouterr().err == (f"{tmp_path}/no/x.mmt: cannot write: No such file or directory\n"
                                       "  -> choose another --output\n")


@needs_myokit
@pytest.mark.parametrize(("text", "message"), [
    ("V_init = 0; peak = max(peak, V); peak_init = 0; Iion = peak;",
     "toy.model: peak has no rate: it is updated once per step, which other formats cannot say\n"
     "  -> leave it out of the model before exporting"),
    ("V_init = 0; Iion = V; when (V > 1) { V = 0; }",
     "toy.model:1:23: an event happens at the end of a step, which other formats cannot say\n"
     "    V_init = 0; Iion = V; when (V > 1) { V = 0; }\n"
     "                          ^\n"
     "  -> leave it out of the model before exporting"),
    ("V_init = 0; Iion = V*dt;", "toy.model: the equations depend on dt, which other formats do not have\n"
     "  -> leave it out of the model before exporting"),
    ("V_init = 0; Iion = atan2(V, 2);", "toy.model: the model uses atan2, which other formats lack\n"
     "  -> write it by atan and conditions"),
])
def test_what_cannot_be_said_elsewhere(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        export_model(read_model(text, "toy"), tmp_path / "x.mmt", "mmt")
    assert str(error.value) == message


def test_without_myokit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "myokit", None)
    with pytest.raises(BackendError) as error:
        export_model(read_model("V_init = 0; Iion = V;"), tmp_path / "x.mmt", "mmt")
    assert str(error.value).startswith("import and export need Myokit, which is not installed\n")
