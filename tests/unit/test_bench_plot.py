"""Pictures of runs: every kind is drawn, shows what it should, and what cannot be drawn is told before the work."""

import json

import numpy as np
import pytest

from upstroke.bench import plot as plotting
from upstroke.bench.catalogue import OPTIONS
from upstroke.bench.features import write_table
from upstroke.bench.options import parse
from upstroke.bench.plot import check_plot, draw_curves, draw_population, draw_restitution, draw_trace, plot
from upstroke.bench.traces import LEAD, Trace
from upstroke.errors import OptionError, OutputError

image = pytest.importorskip("matplotlib.image")
MODEL = {"name": "TT2", "flags": {"cell_type": "EPI"}, "cells": 1, "methods": {"V": "fe", "Cai": "fe"}}


def trace_of(beats=(10.0, 510.0), **more):
    t = np.arange(1001.0)
    phase = (t - 10) % 500
    V = np.where(phase < 250, 40 - phase / 5, -85.0)
    values = {"V": V, "Iion": np.where(phase < 2, -60.0, 0.1 * (V > 0)), "Cai": 1e-4 + 1e-3 * np.exp(-phase / 100),
              "INa": -300.0 * (phase < 1), **{f"I{k}": k * (V > 0) for k in range(1, 9)}, **more}
    currents = [name for name in values if name.startswith("I")]
    kinds = {name: "current" if name in currents else "state" for name in values}
    units = {name: "A/F" if name in currents else "mM" for name in values} | {"V": "mV", "Iion": "uA/cm^2"}
    return Trace("bench", "", t, values, units, kinds, np.array(beats) - LEAD)


def axes_of(figure):
    return {axis.get_ylabel() or axis.get_xlabel(): axis for axis in figure.axes}


def folder_of(path, cells=1, **files):
    path.mkdir()
    (path / "run.json").write_text(json.dumps({"case": {"bench": {}, "model": MODEL | {"cells": cells}}}))
    for name, table in files.items():
        write_table(path / f"{name}.csv", table)
    return path


# --------------------------------------------------------------------------------------------------------------- kinds
def test_a_run_shows_its_last_beat():
    figure = draw_trace(trace_of(), "Cai")
    figure.canvas.draw()
    whole, *rest = figure.axes
    assert whole.get_xlim() == (0, 1000)
    assert [axis.get_ylabel() for axis in rest] == ["V (mV)", "Iion (uA/cm^2)", "largest currents (A/F)", "Cai (mM)"]
    assert {axis.get_xlim() for axis in rest} == {(-LEAD, 490)}
    assert rest[0].lines[0].get_ydata()[int(LEAD)] == 40                         # at 0 the upstroke


def test_the_largest_currents_and_their_peaks():
    axis = axes_of(draw_trace(trace_of()))["largest currents (A/F)"]
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == [*(f"I{k} (peak {k})" for k in range(8, 2, -1)), "INa (peak -300)"]
    low, high = axis.get_ylim()
    assert -2 < low < 0 < 8 < high < 10                                          # without the upstroke's spike


def test_a_cell_without_beats_is_shown_from_the_beginning():
    trace = trace_of(())
    trace = Trace("a", "", trace.time, {"V": trace.values["V"]}, {"V": "mV"}, {"V": "state"}, np.empty(0))
    (axis,) = draw_trace(trace).axes
    assert (axis.get_xlabel(), axis.get_xlim()) == ("time (ms)", (0, 1000))


def test_the_curve_of_restitution():
    table = {"interval": [100.0, 200, 300, 400], "DI": [np.nan, 20, 120, 220], "APD90": [np.nan, 180, 280, 300],
             "slope": [np.nan, 1, 0.6, 0.2], "captured": [0.0, 1, 1, 1]}
    figure = draw_restitution({name: np.array(column) for name, column in table.items()})
    figure.canvas.draw()
    curve, interval, slope = figure.axes
    assert (curve.get_xlabel(), slope.get_ylabel(), interval.get_xlabel()) == ("DI (ms)", "slope", "interval (ms)")
    np.testing.assert_array_equal(curve.lines[0].get_xydata(), [[20, 180], [120, 280], [220, 300]])
    assert curve.get_legend().get_texts()[0].get_text() == "steepest slope 1 at DI 20 ms"
    captured, lost = interval.lines
    assert (captured.get_label(), list(captured.get_xdata())) == ("captured", [200, 300, 400])
    assert (lost.get_label(), list(lost.get_xdata())) == ("capture lost", [100])


def test_a_curve_without_any_capture():
    table = {name: np.full(3, np.nan) for name in ("DI", "APD90", "slope")}
    figure = draw_restitution(table | {"interval": np.arange(3.0), "captured": np.zeros(3)})
    figure.canvas.draw()
    assert len(figure.axes[1].lines[1].get_xdata()) == 3


def test_curves_of_gates_and_of_a_current():
    V = np.linspace(-100, 60, 5)
    gates = {"V": V, "m_inf": V / 100, "tau_m": V**2 + 1, "h_inf": -V / 100, "tau_h": np.full(5, np.inf)}
    iv = {"V": V, "peak": -V, "t_peak": V, "steady": 0 * V}
    figure = draw_curves(gates, iv, "ICaL:hold=-40")
    figure.canvas.draw()
    steady, tau, current = figure.axes
    assert [line.get_label() for line in steady.lines] == ["m", "h"]
    assert tau.get_yscale() == "log"
    assert np.isnan(tau.lines[1].get_ydata()).all()
    assert current.get_ylabel() == "ICaL"
    np.testing.assert_array_equal(current.lines[1].get_ydata(), -V)
    assert len(draw_curves({}, iv).axes) == 1
    assert len(draw_curves(gates, {}).axes) == 2


def test_a_population_and_those_that_are_kept():
    rng = np.random.default_rng(0)
    table = {"GKr": rng.uniform(size=100), "APD90": rng.normal(300, 20, 100), "V_max": np.full(100, 40.0),
             "broken_at": np.full(100, np.nan)}
    table["APD90"][:3] = np.nan
    figure = draw_population(table, table["APD90"] > 300)
    figure.canvas.draw()
    (axis,) = figure.axes                                                        # the same V_max in all is not shown
    assert axis.get_xlabel() == "APD90 (ms)"
    everyone, kept = (sum(bar.get_height() for bar in bars) for bars in axis.containers)
    assert (everyone, kept) == (97, (table["APD90"] > 300).sum())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["all cells", "kept"]


def test_cells_that_do_not_differ():
    with pytest.raises(OptionError) as caught:
        draw_population({"APD90": np.full(3, 300.0), "V_max": np.full(3, np.nan)})
    assert str(caught.value) == "--plot: no feature differs between the cells\n  -> vary something, or leave it out"


# ---------------------------------------------------------------------------------------------------------- the option
@pytest.mark.parametrize("kind, cells, files", [
    ("draw_restitution", 1, {"restitution": {"interval": [1.0, 2], "DI": [np.nan, 20], "APD90": [np.nan, 180],
                                             "slope": [np.nan, np.nan], "captured": [0.0, 1]}}),
    ("draw_curves", 1, {"curves": {"V": [0.0, 1], "m_inf": [0.0, 1], "tau_m": [1.0, 2]}}),
    ("draw_curves", 1, {"iv": {"V": [0.0, 1], "peak": [0.0, 1], "t_peak": [1.0, 2], "steady": [0.0, 1]}}),
    ("draw_population", 3, {"features": {"APD90": [1.0, 2, 3], "broken_at": [np.nan] * 3},
                            "trace": {"time_ms": [0.0, 1], "V": [0.0, 1]}}),
    ("draw_trace", 1, {"features": {"APD90": [1.0]}, "trace": {"time_ms": [0.0, 1], "V": [0.0, 1]}}),
])
def test_what_a_run_left_says_how_it_is_drawn(tmp_path, monkeypatch, kind, cells, files):
    folder = folder_of(tmp_path / "run", cells,
                       **{n: {c: np.array(v) for c, v in table.items()} for n, table in files.items()})
    drawn, draw = [], getattr(plotting, kind)
    monkeypatch.setattr(plotting, kind, lambda *data: drawn.append(kind) or draw(*data))
    picture = plot(parse(["--plot", "--imp", "TT2"]), folder)
    assert (picture, drawn) == (folder / "bench.png", [kind])
    assert image.imread(picture).shape[1] == 1600


def test_a_picture_goes_where_it_is_named(tmp_path):
    folder = folder_of(tmp_path / "run", trace={"time_ms": np.arange(3.0), "V": np.arange(3.0)})
    picture = tmp_path / "bench.png"
    assert plot(parse([f"--plot={picture}"]), folder) == picture
    assert not (folder / "bench.png").exists()
    assert plot(parse([f"--plot={tmp_path}/x.svg"]), folder).read_text().startswith("<?xml")


def test_the_kept_cells_are_those_of_keep(tmp_path, monkeypatch):
    folder = folder_of(tmp_path / "run", 3, features={"APD90": np.array([100.0, 200, 300]),
                                                      "broken_at": np.full(3, np.nan)})
    seen = []
    monkeypatch.setattr(plotting, "draw_population", lambda table, kept: seen.append(kept) or draw_population(table))
    plot(parse(["--num", "3", "--vary", "GKr=uniform(1,2)", "--keep", "APD90=150:250", "--plot"]), folder)
    assert seen[0].tolist() == [False, True, False]


def test_features_in_parquet(tmp_path, monkeypatch):
    folder, asked = folder_of(tmp_path / "run", 3), []

    class Column:
        def to_numpy(self):
            return np.array([1, 2, 3])

    class Table(dict):
        column_names = ("APD90",)

    class Parquet:
        @staticmethod
        def read_table(path):
            asked.append(path)
            return Table(APD90=Column())

    monkeypatch.setattr(plotting, "import_module", lambda name: {"pyarrow.parquet": Parquet}[name])
    (tmp_path / "x.parquet").touch()
    picture = plot(parse(["--num", "3", f"--features={tmp_path}/x.parquet", "--plot"]), folder)
    assert picture.is_file()
    assert asked == [tmp_path / "x.parquet"]


def check_error(*words):
    with pytest.raises((OptionError, OutputError)) as caught:
        check_plot(parse(words))
    return str(caught.value)


def test_what_cannot_be_drawn_is_told_before_the_work(tmp_path, monkeypatch):
    check_plot(parse(["--plot"]))
    assert check_error("--plot=x.jpg") == ("--plot: x.jpg is of no format that can be drawn\n"
                                           "  -> give a name that ends in .png, .pdf, .svg")
    assert check_error(f"--plot={tmp_path}/none/x.png").startswith(f"{tmp_path}/none/x.png: cannot be written: ")
    monkeypatch.setattr(plotting, "find_spec", lambda name: None)
    assert check_error("--plot") == '--plot: matplotlib is not installed\n  -> pip install "upstroke[view]"'


@pytest.mark.parametrize("other", ["no-trace", "classic", "RRC-delay"])
def test_plot_needs_a_run_that_can_be_drawn(other):
    with pytest.raises(OptionError) as caught:
        parse(["--plot", f"--{other}", *(["5"] if OPTIONS[other].kind else [])])
    assert str(caught.value) == f"--plot and --{other}: they do not go together\n  -> leave one out"
