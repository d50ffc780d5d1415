"""Populations: what --vary and --csv give, errors to the letter."""

from pathlib import Path

import numpy as np
import pytest

from upstroke.bench.population import DISTRIBUTIONS, draw, parse_vary, read_population
from upstroke.errors import OptionError
from upstroke.ionic.library import load_model, read_model

MODEL = """
V; .external(Vm); Iion; .external();
group { GKr = 0.2; GNa = 14; GKs = 0; E = -85; } .param();
V_init = -80;  w_init = 0.5;  Nai_init = 10;
diff_w = -w/100;  diff_Nai = 0;
Iion = (GNa + GKr + GKs*w)*(V - E);
"""


@pytest.fixture(scope="module")
def model():
    return read_model(MODEL)


def error(call, *args):
    with pytest.raises(OptionError) as caught:
        call(*args)
    return str(caught.value)


def test_a_factor_and_a_value(model):
    text = "G_Kr=uniform(0.5,1.5), GNa*[2], GKs:=uniform(1,2), V:=normal(-85,2), Na_i=loguniform(0.5,2)"
    cells = draw(text, model, 4000)
    assert list(cells.parameters) == ["GKr", "GNa", "GKs"]
    assert list(cells.initial) == ["V", "Nai"]
    assert 0.1 < cells.parameters["GKr"].min() < 0.101 and 0.299 < cells.parameters["GKr"].max() < 0.3
    assert set(cells.parameters["GNa"]) == {28.0}
    assert cells.parameters["GKs"].mean() == pytest.approx(1.5, abs=0.02)
    assert cells.initial["V"].mean() == pytest.approx(-85, abs=0.15)
    assert cells.initial["V"].std() == pytest.approx(2, rel=0.05)
    assert np.median(cells.initial["Nai"]) == pytest.approx(10, rel=0.05)
    assert (cells.initial["Nai"] > 5).all() and (cells.initial["Nai"] < 20).all()


def test_a_factor_is_one_of_the_value_that_the_user_has_set():
    changed = load_model("TT2", parameters={"GNa": "*0.5"})
    assert draw("GNa=[1]", changed, 1).parameters["GNa"] == 0.5*14.838


def test_a_factor_may_end_at_one(model):
    assert draw("GNa=uniform(0.5,1)", model, 100).parameters["GNa"].max() <= 14


@pytest.mark.parametrize("sampling", ["random", "lhs", "sobol"])
def test_the_seed_tells_the_cells(model, sampling):
    first, again, other = (draw("GKr=lognormal(1,0.2),GNa=uniform(0.5,1.5)", model, 100, sampling, seed).columns
                           for seed in (1, 1, 2))
    for name in first:
        assert (first[name] == again[name]).all() and (first[name] != other[name]).any()
        assert len(set(first[name])) == 100


def test_a_lognormal_has_its_median_and_the_deviation_of_its_logarithm(model):
    factors = draw("GKr=lognormal(1,0.3)", model, 4096, "sobol").parameters["GKr"]/0.2
    assert np.median(factors) == pytest.approx(1, abs=2e-3) and np.log(factors).std() == pytest.approx(0.3, abs=2e-3)


def test_a_latin_hypercube_has_one_cell_in_each_slice(model):
    factors = draw("GKr=uniform(0,2),GNa=[1,2,4,8,16]", model, 50, "lhs")
    assert sorted((factors.parameters["GKr"]/0.4*50).astype(int)) == list(range(50))
    values, counts = np.unique(factors.parameters["GNa"], return_counts=True)
    assert list(values) == [14, 28, 56, 112, 224] and list(counts) == [10]*5


def test_sobol_fills_the_plane_more_evenly_than_chance(model):
    def emptiest(sampling):
        points = draw("GKr=uniform(0,1),GNa=uniform(0,1)", model, 256, sampling).columns
        return np.histogram2d(points["GKr"]/0.2, points["GNa"]/14, bins=8, range=[(0, 1), (0, 1)])[0].min()

    assert emptiest("sobol") == 4 and emptiest("random") < 2


def test_one_cell(model):
    assert draw("GKr=uniform(0.5,1.5)", model, 1, "sobol").parameters["GKr"].shape == (1,)


def test_every_distribution_is_monotonic_and_named():
    u = np.linspace(0.01, 0.99, 99)
    for its in DISTRIBUTIONS.values():
        assert len(its.numbers) == 2 and (np.diff(its.quantile(u, 0.5, 1.5)) > 0).all()


def test_what_is_said_of_a_variation():
    assert [str(v) for v in parse_vary("a=uniform(0.50,1.5),b:=[1, 2]")] == ["uniform(0.5,1.5)", "[1,2]"]


FORM = "write NAME=uniform(0.5,1.5), NAME*normal(1,0.1) or NAME:=[10,12,14]"


@pytest.mark.parametrize("text, what, remedy", [
    ("GKr", "cannot read 'GKr'", FORM),
    ("GKr+uniform(1,2)", "cannot read 'GKr+uniform(1,2)'", FORM),
    ("GKr=uniform(1,2),", "cannot read ''", FORM),
    ("GKr=unifrom(0,2)", "no distribution 'unifrom'", "did you mean 'uniform'?"),
    ("GKr=uniform(1)", "'GKr=uniform(1)': uniform takes 2 numbers, not 1", "write uniform(low,high)"),
    ("GKr=uniform(a,1)", "'GKr=uniform(a,1)': 'a' is no number", "give finite numbers"),
    ("GKr=uniform(0,inf)", "'GKr=uniform(0,inf)': 'inf' is no number", "give finite numbers"),
    ("GKr=[]", "'GKr=[]': '' is no number", "give finite numbers"),
    ("GKr=uniform(2,1)", "'GKr=uniform(2,1)': low must not lie above high", "write uniform(low,high)"),
    ("GKr=loguniform(0,1)", "'GKr=loguniform(0,1)': 0 < low <= high must hold", "write loguniform(low,high)"),
    ("GKr=normal(1,-1)", "'GKr=normal(1,-1)': sd must not be negative", "write normal(mean,sd)"),
    ("GKr=lognormal(0,1)", "'GKr=lognormal(0,1)': median must be positive, sigma not negative",
     "write lognormal(median,sigma)"),
    ("GKt=[1]", "no parameter or state 'GKt' in model model", "did you mean 'GKs'?"),
    ("GKr=[1],GKr=[1]", "GKr is given twice", "keep one"),
    ("GKr=[1],G_Kr=[1]", "GKr is given twice, as GKr and as G_Kr in model model", "keep one"),
    ("GNa=uniform(10,20)", "GNa=uniform(10,20) would be 10 to 20 times its value 14",
     "write GNa:=uniform(10,20) for the values themselves, GNa*uniform(10,20) for factors"),
    ("GKs*uniform(0.5,2)", "GKs is 0, and so it stays times uniform(0.5,2)",
     "write GKs:=... for the values themselves"),
    ("GNa=[1,-1]", "GNa of cell 1 is -1 times its value 14: the sign turns",
     "take lognormal or uniform, or GNa:=... for the values themselves"),
])
def test_errors_of_vary(model, text, what, remedy):
    assert error(draw, text, model, 2, "lhs", 3) == f"--vary: {what}\n  -> {remedy}"


def test_a_file_of_cells(model, tmp_path):
    path = tmp_path/"cells.csv"
    path.write_text("G_Kr, V\n0.1,-80\n\n0.2,-81.5\n")
    cells = read_population(path, model)
    assert cells.n == 2 and list(cells.parameters["GKr"]) == [0.1, 0.2] and list(cells.initial["V"]) == [-80, -81.5]


@pytest.mark.parametrize("text, where, what, remedy", [
    ("GKr,GNe\n1,2\n", ":1:2", "no parameter or state 'GNe' in model model", "did you mean 'GNa'?"),
    ("GKr,G_Kr\n1,2\n", ":1", "GKr is given twice, as GKr and as G_Kr in model model", "keep one"),
    ("GKr,GKr\n1,2\n", ":1", "two columns are called 'GKr'", "keep one"),
    ("GKr,GNa\n1,2\n3\n", ":3", "1 values in a row, and 2 names on top", "give every cell one value of each name"),
    ("GKr,GNa\n1,2\n3,x\n", ":3:2", "'x' in column GNa is no number", "give finite numbers"),
    ("GKr,GNa\n1,2\n3,nan\n", ":3:2", "'nan' in column GNa is no number", "give finite numbers"),
    ("GKr\n", "", "no cells in it", "write names on top, then one row a cell"),
    (None, "", "cannot read the cells: No such file or directory", "give the path of a .csv file"),
    (b"\xff\xfe", "", "cannot read the cells: it is no text in UTF-8 with commas", "give the path of a .csv file"),
])
def test_errors_of_a_file(model, tmp_path, text, where, what, remedy):
    path: Path = tmp_path/"cells.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert error(read_population, path, model) == f"{path}{where}: {what}\n  -> {remedy}"
