"""Tables of features, the ranges by which cells are kept, and the summary."""

import sys

import numpy as np
import pytest

from upstroke.bench.beats import Beats
from upstroke.bench.features import calibrate, features, parse_keep, summary, write_table
from upstroke.bench.population import Population
from upstroke.errors import OptionError, OutputError

NAN = np.nan


def beats():
    """Two beats of three cells; the second cell does not repolarise in its last, the third is broken."""
    blank = {name: np.full((2, 3), NAN) for name in Beats.__dataclass_fields__}
    return Beats(**blank | {"t_act": np.array([[0., 0, 0], [1000, 1000, 1000]]), "t30": np.array([[200., 200, 200]]*2),
                            "V_max": np.array([[30., 30, 30], [31, 32, 33]]), "eads": np.array([[0., 0, 0], [0, 2, 0]]),
                            "t90": np.array([[300., 301, 302], [1310, NAN, 1312]])})


def table():
    return features(beats(), np.array([-1, -1, 500]), 0.01, calcium=False)


def test_features_are_those_of_the_last_beat():
    its = table()
    assert list(its["V_max"][:2]) == [31, 32] and list(its["EADs"][:2]) == [0, 2]
    assert its["APD90"][0] == 310 and np.isnan(its["APD90"][1])
    assert its["alternans"][0] == 10
    assert "CaT_tau" not in its and "CaT_tau" in features(beats(), np.zeros(3, int) - 1, 0.01, calcium=True)


def test_a_broken_cell_has_a_time_and_no_features():
    its = table()
    assert its["broken_at"][2] == 5.0 and np.isnan(its["broken_at"][:2]).all()
    assert all(np.isnan(values[2]) for name, values in its.items() if name != "broken_at")


def test_cells_in_all_ranges_are_kept():
    kept = calibrate(table(), parse_keep("APD_90=200:400, v_max=>10, EADs=<0"))
    assert list(kept.accepted) == [True, False, False]
    assert kept.fails == {"APD90 200:400": 1, "V_max >= 10": 0, "EADs <= 0": 1} and kept.broken == 1


def test_the_summary():
    cells = Population(3, {"GKr": np.array([0.1, 0.2, 0.3])}, {})
    text = summary(cells, table(), calibrate(table(), parse_keep("V_max=30:31.5"))).splitlines()
    assert text[0] == "3 cells, 1 of them broken"
    assert text[2] == "varied                       5 %        25 %        50 %        75 %        95 %   without"
    assert text[3] == "GKr                         0.11        0.15         0.2        0.25        0.29         0"
    assert "V_max (mV)                 31.05       31.25        31.5       31.75       31.95         1" in text
    assert "CaT_tau" not in "".join(text)
    k = text.index("kept: 1 of 3 cells (33.3 %)")
    assert text[k + 1:k + 3] == ["         1 fail V_max 30:31.5", "         1 broken"]
    assert "APD90 (ms)                   310         310         310         310         310         0" in text[k:]
    assert "V_min (mV)                     -           -           -           -           -         1" in text[k:]


FORM = "write NAME=LOW:HIGH, NAME=>LOW or NAME=<HIGH"


@pytest.mark.parametrize("text, what, remedy", [
    ("APD90", "cannot read 'APD90'", FORM),
    ("APD90=", "cannot read 'APD90='", FORM),
    ("APD90=200", "cannot read 'APD90=200'", FORM),
    ("APD90=200:x", "'APD90=200:x': 'x' is no number", "give finite numbers"),
    ("APD90=>", "'APD90=>': '' is no number", "give finite numbers"),
    ("APD90=400:200", "'APD90=400:200': nothing lies between 400 and 200", FORM),
    ("APD90=1:2,APD90=1:2", "APD90 is given twice", "keep one"),
    ("APD95=1:2", "no feature 'APD95'", "did you mean 'APD90'?"),
])
def test_errors_of_keep(text, what, remedy):
    with pytest.raises(OptionError) as caught:
        parse_keep(text)
    assert str(caught.value) == f"--keep: {what}\n  -> {remedy}"


def test_calcium_of_a_model_without():
    with pytest.raises(OptionError) as caught:
        calibrate(table(), parse_keep("CaT_tau=>100"))
    assert str(caught.value) == (
        "--keep: CaT_tau is not known: the model has no state of calcium\n"
        "  -> features: V_rest, V_max, V_min, amplitude, dVdt_max, APD30, APD50, APD90, triangulation, EADs, alternans")


def test_a_table_keeps_every_digit_and_leaves_nan_empty(tmp_path):
    write_table(tmp_path/"t.csv", {"cell": np.arange(2), "x": np.array([1/3, NAN])})
    assert (tmp_path/"t.csv").read_text() == "cell,x\n0,0.3333333333333333\n1,\n"


def test_a_table_as_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(tmp_path/"t.parquet", {"cell": np.arange(2), "x": np.array([1/3, 2])})
    assert parquet.read_table(tmp_path/"t.parquet").to_pydict() == {"cell": [0, 1], "x": [1/3, 2]}


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path/"t.parquet"
    with pytest.raises(OutputError) as caught:
        write_table(path, {"cell": np.arange(2)})
    assert str(caught.value) == (f"{path}: Parquet needs pyarrow, which is not installed\n"
                                 '  -> pip install "upstroke[parquet]", or give a name that ends in .csv')


def test_a_table_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError) as caught:
        write_table(tmp_path/"no"/"t.csv", {"cell": np.arange(2)})
    assert str(caught.value) == (f"{tmp_path}/no/t.csv: cannot write the table: No such file or directory\n"
                                 "  -> choose another place")
