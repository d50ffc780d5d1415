"""The files of beats: openCARP's columns to their places, and the same by name."""

import csv
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from upstroke.bench.apstats import COLUMNS, HEADING, ApStatistics, alike
from upstroke.bench.beats import Beats
from upstroke.errors import OutputError

#: Lines 4 to 8 of the sample in openCARP's manual (chapter "Single Cell Scale"), the last without the rest after it.
SAMPLE = """4     *          0  304.53  695.00  711.42  78.29  45.37  -85.98
5     *          0  305.50  694.50  695.00  78.54  45.26  -85.95
6     P          0  305.90  694.10  694.50  78.74  45.31  -85.92
7     *          0  306.26  693.74  694.10  78.93  45.33  -85.90
8     P          0  306.59     nan  693.74  79.11  45.20  -85.87
"""


def beats(*rows: dict[str, float]) -> Beats:
    """Beats of one cell; what a row does not say is 0."""
    return Beats(**{f.name: np.array([[row.get(f.name, 0.0)] for row in rows]) for f in fields(Beats)})


def sample() -> tuple[Beats, list[bool]]:
    """Beats that give the lines of the sample, with one before them to rest from."""
    rows, t_act, rest = [{"number": 3.0, "t_act": 0.0, "t90": 100.0, "t30": 50.0}], 100.0 + 711.42, None
    premature = [False] * 3
    for line in SAMPLE.splitlines():
        number, mark, _, APD, DI, _, Tri, V_max, V_min = line.split()
        rest = float(DI)
        rows.append({"number": float(number), "t_act": t_act, "t90": t_act + float(APD), "V_rest": -86.0,
                     "t30": t_act + float(APD) - float(Tri), "V_max": float(V_max), "V_min": float(V_min)})
        premature.append(mark == "P")
        t_act += float(APD) + rest
    return beats(*rows), premature


def test_lines_of_the_manual(tmp_path: Path) -> None:
    found, premature = sample()
    with ApStatistics(tmp_path / "X_AP_stats.dat", tmp_path / "X_APD_restitution.dat", premature) as statistics:
        statistics.close(found)
    heading, _, first, *lines = (tmp_path / "X_AP_stats.dat").read_text().splitlines()
    assert heading + "\n\n" == HEADING and first.split()[:6] == ["3", "*", "0", "100.00", "711.42", "nan"]
    assert [line[:64].rstrip() for line in lines] == SAMPLE.splitlines()
    assert [float(line[64:]) for line in lines] == pytest.approx(found.t_act[1:, 0], abs=0.005)
    early = (tmp_path / "X_APD_restitution.dat").read_text().splitlines()[2:]
    assert early == [lines[2], lines[4]]
    with ApStatistics(None, tmp_path / "early.dat", premature) as statistics:
        statistics.close(found)
    assert (tmp_path / "early.dat").read_text() == (tmp_path / "X_APD_restitution.dat").read_text()


def test_the_first_beat_has_its_triangulation(tmp_path: Path) -> None:
    one = beats({"number": 1, "t_act": 10, "t30": 110, "t50": 150, "t90": 310, "V_max": 40, "V_min": -86,
                 "V_rest": -85})
    with ApStatistics(tmp_path / "stats.csv") as statistics:
        statistics.close(one)
    [row] = csv.DictReader((tmp_path / "stats.csv").open())
    assert list(row) == list(COLUMNS)
    assert {name: float(x) for name, x in row.items() if not np.isnan(float(x))} == {
        "beat": 1, "premature": 0, "limit_cycle": 0, "t_act": 10, "APD30": 100, "APD50": 140, "APD90": 300,
        "triangulation": 200, "V_rest": -85, "V_max": 40, "V_min": -86, "dVdt_max": 0, "EADs": 0}
    assert row["DI"] == row["DI_before"] == "nan"


def train(first: int, last: int) -> Beats:
    """A ring of beats that are each 300 ms long; the last one has begun and not risen."""
    rows = [{"number": float(k), "t_act": 1000.0*k, "t30": 1000.0*k + 200, "t50": 1000.0*k + 250,
             "t90": 1000.0*k + 300 + k} for k in range(first, last + 1)]
    rows[-1] |= dict.fromkeys(("t_act", "t30", "t50", "t90"), np.nan)
    return beats(*rows)


def test_beats_are_written_once_as_soon_as_they_are_over(tmp_path: Path) -> None:
    path, early = tmp_path / "stats.csv", tmp_path / "restitution.csv"
    with ApStatistics(path, early, [False, False, False, True]) as statistics:
        seen = []
        for last in (1, 3, 4, 6):
            statistics.see(train(max(1, last - 3), last))
            seen.append([int(row["beat"]) for row in csv.DictReader(path.open())])
        assert seen == [[], [1], [1, 2], [1, 2, 3, 4]]
        statistics.close(train(3, 6))
    rows = list(csv.DictReader(path.open()))
    assert [int(row["beat"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [float(row["DI_before"]) for row in rows[1:]] == [1000.0 - 300 - k for k in (1, 2, 3, 4)] + [pytest.approx(
        np.nan, nan_ok=True)]
    assert [float(row["DI"]) for row in rows[:4]] == [float(row["DI_before"]) for row in rows[1:5]]
    assert [(row["beat"], row["premature"]) for row in csv.DictReader(early.open())] == [("4", "1")]


def test_what_closes_a_limit_cycle(tmp_path: Path) -> None:
    def beat(k: int, APD: float, Ca: float = 0.0) -> dict[str, float]:
        return {"number": k, "t_act": 1000.0*k, "t30": 1000.0*k + 200, "t50": 1000.0*k + 250, "t90": 1000.0*k + APD,
                "V_rest": -85, "V_max": 40, "Ca_rest": 1e-4, "Ca_max": 1e-3 + Ca}

    found = beats(beat(1, 300), beat(2, 300.02), beat(3, 300.08), beat(4, 300.08, 2e-7), beat(5, 300.08, 2e-7),
                  beat(6, np.nan))
    assert alike(found)[:, 0].tolist() == [False, True, False, False, True, False]
    with ApStatistics(tmp_path / "stats.csv") as statistics:
        statistics.close(found)
    assert "".join(row["limit_cycle"] for row in csv.DictReader((tmp_path / "stats.csv").open())) == "010010"


def test_rows_without_a_beat_are_left_out(tmp_path: Path) -> None:
    nothing = beats(*[dict.fromkeys((f.name for f in fields(Beats)), np.nan)] * 2)
    with ApStatistics(tmp_path / "stats.dat") as statistics:
        statistics.see(nothing)
        statistics.close(nothing)
    assert (tmp_path / "stats.dat").read_text() == HEADING


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as error:
        ApStatistics(tmp_path / "none" / "stats.dat")
    assert str(error.value) == (f"{tmp_path}/none/stats.dat: cannot be written: No such file or directory\n"
                                "  -> check the free space and the rights of the folder, or write elsewhere")
