"""Restitution protocols, their files, and what is found of a curve, on cells that are formulas."""

from dataclasses import fields

import numpy as np
import pytest

from upstroke.bench.beats import Beats
from upstroke.bench.restitution import Curve, Protocol, early_beats, find_curve, read_protocol, threshold
from upstroke.bench.search import boundary
from upstroke.errors import OptionError


def beats(rows):
    """Beats of cells from (t_act, APD90) pairs; APD <= 0: a response that is none."""
    rows = np.array(rows, float)                    # (beats, cells, 2)
    t, APD = rows[..., 0], rows[..., 1]
    real = APD > 0
    table = {field.name: np.zeros_like(t) for field in fields(Beats)}
    table |= {"t_act": t, "onset": t, "V_rest": np.full_like(t, -85.0), "V_max": np.where(real, 40.0, -70.0),
              "t90": np.where(np.isfinite(APD), t + APD, np.nan), "t50": t + np.where(real, 0.8 * APD, 2.0),
              "t30": t + np.where(real, 0.5 * APD, 1.0)}
    return Beats(**table)


def test_S1S2_stimuli_come_as_the_file_says():
    onsets, early = Protocol("S1S2", 3, 500.0, (300.0, 250.0), 2).onsets(10.0)
    assert onsets.tolist() == [10.0, 510.0, 1010.0, 1510.0, 2010.0, 2310.0, 2810.0, 3310.0, 3560.0]
    assert np.flatnonzero(early).tolist() == [5, 8]


def test_the_early_beats_of_the_manual():
    """20 beats before, 12 between: its premature beats are number 33, 46, 59, ..."""
    _, early = Protocol("S1S2", 20, 1000.0, (480.0, 470.0, 460.0), 12).onsets(0.0)
    assert (np.flatnonzero(early) + 1).tolist() == [33, 46, 59]


def test_dyn_stimuli_come_closer():
    onsets, last = Protocol("dyn", 3, 400.0, (400.0, 300.0), 2).onsets(0.0)
    assert np.diff(onsets).tolist() == [400.0, 400.0, 400.0, 400.0, 300.0, 300.0]
    assert np.flatnonzero(last).tolist() == [4, 6]


def test_files_of_both_kinds(tmp_path):
    path = tmp_path / "S1S2.txt"
    path.write_text("1   # S1S2\n20\n600\n600\n50 # shortest\n5\n\n25\n")
    protocol = read_protocol(path, "S1S2")
    assert (protocol.pre, protocol.bcl, protocol.beats) == (20, 600.0, 5)
    assert protocol.intervals[:2] == (600.0, 575.0) and protocol.intervals[-1] == 50.0
    assert read_protocol(path, "S1S2f").kind == "S1S2f"
    path.write_text("0\n50\n500\n290\n10\n50\n")
    protocol = read_protocol(path, "dyn")
    assert (protocol.pre, protocol.bcl, protocol.intervals, protocol.beats) == (
        50, 500.0, (500.0, 450.0, 400.0, 350.0, 300.0), 10)


@pytest.mark.parametrize(("text", "kind", "message"), [
    ("1\n20\n600\n", "S1S2", "{file}: 3 numbers, where S1S2 wants 7\n  -> write, one a line: 1, beats before, "
     "cycle length, first interval, last interval, beats before each S2, decrement"),
    ("1\n20\n600\n600\nshort\n5\n25\n", "S1S2", "{file}:5: 'short' is no number\n  -> write one number a line"),
    ("1\n20\n-600\n600\n50\n5\n25\n", "S1S2f", "{file}:3: -600 is no time\n  -> write a number from 0 on"),
    ("1\n2.5\n600\n600\n50\n5\n25\n", "S1S2", "{file}:2: 2.5 is no count\n  -> write a whole number from 0 on"),
    ("0\n2\n600\n50\n-1\n25\n", "dyn", "{file}:5: -1 is no count\n  -> write a whole number from 0 on"),
    ("0\n20\n600\n600\n50\n5\n25\n", "S1S2", "{file}:1: the first number of S1S2 is 1, and it is 0 here\n"
     "  -> take --restitute dyn, or correct it"),
    ("1\n20\n600\n50\n600\n5\n25\n", "S1S2", "{file}: no way leads from 50 ms down to 600 ms in steps of 25 ms with 5 "
     "beats at a cycle length of 600 ms\n  -> let the intervals fall, and every number but the first two be above 0"),
])
def test_wrong_files(tmp_path, text, kind, message):
    path = tmp_path / "res.txt"
    path.write_text(text)
    with pytest.raises(OptionError) as e:
        read_protocol(path, kind)
    assert str(e.value) == message.format(file=path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(OptionError) as e:
        read_protocol(tmp_path / "no.txt", "dyn")
    assert str(e.value) == (f"--res-file: cannot read {tmp_path / 'no.txt'}: No such file or directory\n"
                            "  -> give a file with one number a line")


def cell(DI):
    """A cell whose curve is known; it needs 40 ms of rest."""
    return 300.0 - 150.0 * np.exp(-(DI - 40.0) / 30.0)


def run(trains):
    """Beats of one cell a train: S1 lasts 300 ms."""
    first = [(0.0, 300.0)] * len(trains)
    second = []
    for _, S2 in trains:
        DI = S2 - 300.0
        second.append((S2, cell(DI) if DI >= 40.0 else -1.0) if DI > 0 else (S2, np.nan))
    broken = [(t, np.nan if S2 < 300.0 else APD) for (t, APD), (_, S2) in zip(first, trains, strict=True)]
    return beats([broken, second])


def test_a_curve_is_found_without_being_told_where():
    reference = beats([[(0.0, 300.0)], [(1000.0, 300.0)]])
    curve = find_curve(run, 1000.0, reference)
    good = curve.captured
    assert curve.interval[good][0] == pytest.approx(340.0, abs=0.3) and (curve.interval[~good] < 340.0).all()
    assert curve.APD[good] == pytest.approx(cell(curve.DI[good])) and np.isnan(curve.APD[~good]).all()
    x, y = curve.DI[good], curve.APD[good]
    assert ((np.diff(y) <= 4.0) | (np.diff(x) <= 2.0)).all()      # dense where it is steep
    assert curve.slope[good][:10].max() == pytest.approx(5.0, rel=0.05)
    report = curve.report().split("\n")
    assert report[0].startswith(f"{good.sum()} of {len(good)} beats captured; the shortest interval is 34")
    assert report[1].startswith("capture lost at 25 to 3") and report[2].startswith("steepest slope 4.99 at DI 40")


def test_a_cell_that_never_follows():
    reference = beats([[(0.0, 300.0)], [(1000.0, 300.0)]])
    curve = find_curve(lambda trains: beats([[(0.0, np.nan)] * len(trains), [(0.0, -1.0)] * len(trains)]), 100.0,
                       reference)
    assert not curve.captured.any() and curve.report() == "0 of 8 beats captured\ncapture lost at 12.5 to 100 ms"


def test_early_beats_of_one_cell_stand_below_those_before():
    all_of_them = beats([[(0.0, 300.0)], [(500.0, 280.0)], [(800.0, 200.0)], [(1300.0, 290.0)], [(1560.0, 150.0)]])
    picked = early_beats(all_of_them, np.array([False, False, True, False, True]))
    assert picked.t_act.tolist() == [[500.0, 1300.0], [800.0, 1560.0]]
    assert picked.APD90[-1].tolist() == [200.0, 150.0]


def test_slopes_need_three_beats():
    curve = Curve(*(np.array([1.0, 2.0]) for _ in range(4)), np.array([True, True]))
    assert np.isnan(curve.slope).all()


def test_slopes_go_by_DI_where_intervals_do_not():
    """After the shortest intervals upstrokes come late: the same DI twice, and one slope for it."""
    DI = np.array([50.0, 40.0, 30.0, 40.05, 50.05, 60.0])
    curve = Curve(np.arange(300.0, 306.0), DI, 200 + 2 * DI, np.zeros(6), np.ones(6, bool))
    assert curve.slope == pytest.approx(np.full(6, 2.0))


def test_the_threshold_is_found():
    def response(currents):
        return beats([[(0.0, 300.0 if current >= 7.25 else -1.0) for current in currents]])
    assert threshold(response, 200.0) == pytest.approx(7.25, abs=0.01)
    assert threshold(lambda currents: beats([[(0.0, 300.0)] * len(currents)]), 200.0) is None


def test_the_last_change_counts():
    low, high = boundary(lambda x: (x > 3.0) & (abs(x - 5.0) > 0.5), 0.0, 10.0, 1e-3)
    assert low <= 5.5 <= high and high - low <= 1e-3
    assert boundary(lambda x: x < 3.0, 0.0, 10.0, 1.0) is None
