"""Curves alpha(q): what they say between and beyond their points, their files, and which of them a run gets."""

from dataclasses import replace

import numpy as np
import pytest

from upstroke.backend.compiler import cache_directory
from upstroke.case.schema import TimeTable
from upstroke.cli import main
from upstroke.errors import BackendError, ModelError, OutputError
from upstroke.ionic import initial_state, load_model, shipped_models
from upstroke.ionic.library import FOLDER
from upstroke.space.curve import FOURTH_ORDER, Curve
from upstroke.waves import Table, curve_of, find, read_tables, write_tables
from upstroke.waves.report import time_of, values_of
from upstroke.waves.table import add_table

TIME = TimeTable(end=1.0, dt=0.02)
SOURCE = {"model": "own", "flags": "", "dt": "0.02 ms", "splitting": "godunov", "diffusion": "crank_nicolson",
          "reaction_steps": "1"}
CURVE = Curve(np.array([0.25, 1.0, 4.0]), np.array([0.1, 0.2, 0.4]), SOURCE, 2.0)
MODEL = """
V_init = -80; u = (V + 80)/100;
diff_w = 0.01*(u - w); w_init = 0;
k = 0.5; .param();
Iion = -100*(k*u*(1 - u)*(u - 0.1) - w);
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A model in a file of its own, an empty cache, and a measurement that only counts how often it is made."""
    monkeypatch.setenv("UPSTROKE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own.model").write_text(MODEL)
    made = []

    def measured(model, time, initial, *, C_m, precision):
        made.append((model.name, time.dt, C_m, precision))
        return replace(CURVE, alpha=CURVE.alpha + 0.01 * len(made))

    monkeypatch.setattr(find, "measure", measured)
    return tmp_path / "own.model", made


def table_of(model, curve=CURVE, C_m=1.0):
    return Table(curve, find.identity(model, initial_state(model), C_m))


def test_a_curve_is_linear_in_the_root_of_q_and_goes_on_to_twice_its_last():
    assert np.allclose(CURVE([0.25, 1.0, 4.0]), CURVE.alpha)
    assert np.isclose(CURVE(2.25), 0.3)
    assert CURVE(0.0) == 0.1
    assert np.isclose(CURVE(6.25), 0.5)
    assert CURVE(100.0) == CURVE(8.0) > 0.56
    assert CURVE(np.full((2, 3), 1.0)).shape == (2, 3)
    assert CURVE.limit == 4.0 and np.all(FOURTH_ORDER([0.01, 1.0, 50.0]) == 1.0 / 12.0)


def test_a_table_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "own.waves"
    write_tables(path, [Table(CURVE, "abc", np.array([-0.1, -0.25, -1.0])), Table(CURVE, "def")])
    first, second = read_tables(path)
    assert np.array_equal(first.curve.q, CURVE.q) and np.array_equal(first.curve.alpha, CURVE.alpha)
    assert first.curve.source == SOURCE and first.curve.velocity == 2.0 and first.identity == "abc"
    assert np.array_equal(first.lumped, [-0.1, -0.25, -1.0]) and second.lumped is None
    assert [file.name for file in tmp_path.iterdir()] == ["own.waves"]


def test_adding_takes_the_place_of_a_table_for_the_same(tmp_path):
    path = tmp_path / "own.waves"
    other = replace(CURVE, source=SOURCE | {"dt": "0.01 ms"})
    for curve, identity in ((CURVE, "a"), (CURVE, "b"), (other, "a"), (replace(CURVE, velocity=3.0), "a")):
        add_table(path, Table(curve, identity))
    assert [(t.identity, t.curve.source["dt"], t.curve.velocity) for t in read_tables(path)] == [
        ("b", "0.02 ms", 2.0), ("a", "0.01 ms", 2.0), ("a", "0.02 ms", 3.0)]


GOOD = 'identity = "a"\nvelocity = 1.0\n'
REMEDY = "\n  -> write it anew with upstroke tune-waves, or delete it"


@pytest.mark.parametrize("text, what", [
    ("[[curve]]\n" + GOOD + "q = [1.0]", "no table of waves: lacks 'alpha'"),
    ("", "no table of waves: lacks 'curve'"),
    ("[[curve]]\n" + GOOD + "q = [1.0, 2.0]\nalpha = [0.1]",
     "no table of waves: q and alpha must be rows of equal length"),
    ("[[curve]]\n" + GOOD + "q = [2.0, 1.0]\nalpha = [0.1, 0.1]",
     "no table of waves: q must be positive and rise, and alpha be finite"),
    ("[[curve]]\n" + GOOD + "q = [1.0, 2.0]\nalpha = [0.1, nan]",
     "no table of waves: q must be positive and rise, and alpha be finite"),
    ("[[curve]]\nq = [1.0]\nalpha = [0.1]\nidentity = 'a'", "no table of waves: lacks 'velocity'"),
])
def test_a_broken_table_says_what_is_wrong(tmp_path, text, what):
    path = tmp_path / "own.waves"
    path.write_text(text)
    with pytest.raises(ModelError) as e:
        read_tables(path)
    assert str(e.value) == f"{path}: {what}{REMEDY}"


def test_what_is_no_toml_or_no_file(tmp_path):
    path = tmp_path / "own.waves"
    path.write_text("]")
    with pytest.raises(ModelError, match=r"own\.waves: no table of waves: "):
        read_tables(path)
    with pytest.raises(ModelError) as e:
        read_tables(tmp_path / "none.waves")
    assert str(e.value) == (f"{tmp_path / 'none.waves'}: cannot read the table of waves: No such file or directory"
                            f"{REMEDY}")


def test_a_table_that_cannot_be_written(tmp_path):
    path = tmp_path / "none" / "own.waves"
    with pytest.raises(OutputError) as e:
        write_tables(path, [])
    assert str(e.value) == f"{path}: cannot write: No such file or directory\n  -> choose another --output"


def test_a_measurement_is_kept_and_found_again(own):
    path, made = own
    model = load_model(path)
    first, note = curve_of(model, TIME)
    again, silent = curve_of(load_model(path), replace(TIME, end=99.0), initial_state(model) | {"Iion": 1.0})
    kept, = cache_directory().glob("own-*.waves")
    assert note == f"waves of own: measured in 0.0 s for the calibrated operator, kept in {kept}"
    assert silent == "" and np.allclose(first.alpha, again.alpha) and len(made) == 1
    assert again.source["version"] and again.source["date"] and again.velocity == 2.0


def test_whatever_moves_a_front_is_measured_apart(own):
    path, made = own
    model = load_model(path)
    curve_of(model, TIME)
    for other, time, initial, keys in [
            (load_model(path, parameters={"k": "*1.1"}), TIME, None, {}),
            (load_model(path, methods="rk2"), TIME, None, {}),
            (model, replace(TIME, dt=0.01), None, {}), (model, replace(TIME, splitting="strang"), None, {}),
            (model, replace(TIME, diffusion="backward_euler"), None, {}),
            (model, replace(TIME, reaction_steps=2), None, {}),
            (model, TIME, initial_state(model, {"w": 0.1}), {}), (model, TIME, None, {"C_m": 2.0}),
            (model, TIME, None, {"precision": "fp32"})]:
        before = len(made)
        curve_of(other, time, initial, **keys)
        assert len(made) == before + 1, (time, initial, keys)
    path.write_text(MODEL.replace("0.01*", "0.02*"))
    curve_of(load_model(path), TIME)
    assert len(made) == 11


@pytest.mark.parametrize("content", ["", "]", "[[curve]]\nq = [1.0]\n", "curve = []"])
def test_a_broken_file_in_the_cache_is_measured_anew(own, content):
    path, made = own
    model = load_model(path)
    curve_of(model, TIME)
    kept, = cache_directory().glob("own-*.waves")
    kept.write_text(content)
    curve, note = curve_of(model, TIME)
    assert len(made) == 2 and note and np.allclose(curve_of(model, TIME)[0].alpha, curve.alpha) and len(made) == 2


def test_a_table_beside_the_model_serves_what_it_was_measured_for(own):
    path, made = own
    model = load_model(path)
    write_tables(path.with_suffix(".waves"), [table_of(model)])
    for time in (TIME, replace(TIME, dt=0.025), replace(TIME, dt=0.016), replace(TIME, splitting="strang")):
        curve, note = curve_of(model, time)
        assert np.array_equal(curve.alpha, CURVE.alpha) and note == "" and not made
    for k, (other, time) in enumerate([
            (model, replace(TIME, dt=0.01)), (model, replace(TIME, dt=0.03)),
            (model, replace(TIME, splitting="unsplit", diffusion="explicit")),
            (model, replace(TIME, reaction_steps=2)), (load_model(path, parameters={"k": 0.4}), TIME)]):
        curve_of(other, time)
        assert len(made) == k + 1


def test_the_cache_wins_over_the_table(own):
    path, _ = own
    model = load_model(path)
    kept = find.cache_file(model, TIME, initial_state(model), 1.0, "fp64")
    write_tables(kept, [table_of(model, replace(CURVE, alpha=2.0 * CURVE.alpha))])
    write_tables(path.with_suffix(".waves"), [table_of(model)])
    assert np.allclose(curve_of(model, TIME)[0].alpha, 2.0 * CURVE.alpha)


def test_without_a_compiler_the_nearest_table_serves(own, monkeypatch):
    path, _ = own

    def fails(*_, **__):
        raise BackendError("compiler", "no working C compiler was found", "pip install one")

    monkeypatch.setattr(find, "measure", fails)
    model = load_model(path, parameters={"k": 0.4})
    with pytest.raises(BackendError):
        curve_of(model, TIME)
    write_tables(path.with_suffix(".waves"), [table_of(load_model(path))])
    curve, note = curve_of(model, TIME)
    assert np.array_equal(curve.alpha, CURVE.alpha)
    assert note == ("waves of own: those of its table, which was measured for 0.02 ms, godunov, crank_nicolson, as "
                    "they cannot be measured here: no working C compiler was found")


def test_a_broken_table_beside_the_model_is_told(own):
    path, _ = own
    path.with_suffix(".waves").write_text("")
    with pytest.raises(ModelError, match=r"own\.waves: no table of waves: lacks 'curve'"):
        curve_of(load_model(path), TIME)


def test_events_move_a_front(own):
    path, _ = own
    plain = load_model(path)
    path.write_text(path.read_text() + "when (V > 0) { V = 0; }\n")
    reset, start = load_model(path), initial_state(plain)
    assert find.identity(plain, start, 1.0) != find.identity(reset, start, 1.0)


#: Shipped models without a table; tests/numeric/test_waves.py tests that they have no waves, and why.
WITHOUT = {"AdEx", "FrankenhaeuserHuxley", "Golomb", "GreenbergHastings", "HindmarshRose", "InadaN", "IntegrateAndFire",
           "Izhikevich", "Kernik", "Kurata", "LeakyIntegrateAndFire", "Maltsev", "McIntyre", "MorrisLecar", "Paci20",
           "Plonsey", "Severi", "WangBuzsaki", "Zhang"}
TABLES = sorted(FOLDER.glob("*.waves"))


def test_every_shipped_model_that_has_waves_has_a_table():
    assert {path.stem for path in TABLES} == {info.name for info in shipped_models()} - WITHOUT


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_shipped_tables_are_sound(path):
    for table in read_tables(path):
        curve = table.curve
        assert curve.source["model"] == path.stem and {"dt", "splitting", "version", "date"} <= curve.source.keys()
        assert len(curve.alpha) >= 3 and (curve.alpha > 0.075).all() and (curve.alpha < 4.0).all()
        assert 0.2 < curve.velocity < 10.0 and curve.q[0] < 5.0 and curve.limit > 0.2
        assert table.lumped is not None and (table.lumped < 0.005).all()


# ---------------------------------------------------------------------------------------------- command line
@pytest.mark.parametrize("arguments, text", [
    (["MitchellSchaefer"], "no model 'MitchellSchaefer'\n"
     "  -> did you mean 'MitchellSchaeffer'? (a model of your own: give its path, PATH/NAME.model)\n"),
    (["MS", "--dt", "0.02"], '--dt: "0.02" has no unit, expected a time\n  -> write "0.02 ms" or "0.02 s"\n'),
    (["MS", "--dt", "0 ms"], '--dt: must be > 0, found 0 ms\n  -> for example "0.02 ms"\n'),
    (["MS", "--param", "tau_in"], "--param: 'tau_in' is not NAME=VALUE\n  -> for example --param GNa=-62%\n"),
    (["MS", "--reaction-steps", "0"], "--reaction-steps: must be >= 1, found 0\n  -> leave it out for 1\n"),
    (["MS", "--splitting", "unsplit", "--diffusion", "crank_nicolson"],
     '--diffusion: splitting "unsplit" takes explicit diffusion, not "crank_nicolson"\n  -> leave --diffusion out\n'),
])
def test_mistakes_on_the_command_line(capsys, arguments, text):
    assert main(["tune-waves", *arguments]) == 2
    assert capsys.readouterr().err == text


def test_options_mean_what_a_case_says():
    assert time_of("20 us", "godunov", None, 1) == replace(TIME, end=0.02)
    assert time_of("0.02 ms", "unsplit", None, 2).diffusion == "explicit"
    assert values_of(["GNa=-62%", "Ko=5.4"]) == {"GNa": "-62%", "Ko": 5.4}
