"""The page of runs: what goes into it, and that it does what it says, in a browser where there is one."""

import base64
import json
import re

import numpy as np
import pytest
from browser import REMEDY, Browser, find_chromium

from upstroke.bench.traces import LEAD, Trace, read_traces
from upstroke.bench.view import page, thinned, view
from upstroke.cli import main
from upstroke.errors import OptionError

UNITS = {"V": "mV", "Iion": "uA/cm^2", "Ki": "mM", "m": "", "INa": "A/F"}


def make_run(folder, shift=0.0, change="GKr*0.5", bcl=500.0, beats=4, units=UNITS, npy=False, stats=True, cells=1):
    """A run directory as ``upstroke bench`` leaves it; V depolarises at 10 ms and every ``bcl`` ms after."""
    folder.mkdir(parents=True)
    t = np.arange(bcl * beats + 1)
    phase = (t - 10) % bcl
    V = np.where((phase < 250) & (t >= 10), 40 - phase / 5 + shift, -85.0)
    columns = {"V": V, "Iion": np.gradient(V), "Ki": 136.89 - 1e-6 * t + 1e-5 * np.sin(t), "m": (V > 0) * 1.0,
               "INa": -50.0 * (phase < 2)}
    columns = {name: columns[name] for name in units}
    if cells > 1:
        columns = {"cell": np.tile(np.arange(cells), len(t))} | {n: np.repeat(v, cells) for n, v in columns.items()}
        t = np.repeat(t, cells)
    table = np.rec.fromarrays([t, *columns.values()], names=["time_ms", *columns])
    if npy:
        np.save(folder / "trace.npy", table.view(np.ndarray))
    else:
        np.savetxt(folder / "trace.csv", np.column_stack([t, *columns.values()]), "%.12g", ",", comments="",
                   header=",".join(table.dtype.names))
    if stats:
        upstrokes = "".join(f"{k + 1},{10 + k * bcl}\n" for k in range(beats))
        (folder / "ap_stats.csv").write_text(f"beat,t_act\n{upstrokes}")
    (folder / "run.json").write_text(json.dumps({
        "status": "done", "command": ["upstroke", "bench", "--imp", "TT2", "--imp-par", change], "units": units,
        "case": {"bench": {}, "model": {"name": "TT2", "methods": {"V": "fe", "Ki": "fe", "m": "rush_larsen"}}}}))
    return folder


# ------------------------------------------------------------------------------------------------------------- traces
@pytest.mark.parametrize("npy", [False, True])
def test_a_run_of_bench_is_read(tmp_path, npy):
    (trace,) = read_traces(make_run(tmp_path / "bench", npy=npy))
    assert (trace.name, trace.words) == ("bench", "--imp TT2 --imp-par 'GKr*0.5'")
    assert list(trace.values) == list(UNITS)
    assert trace.units == UNITS
    assert trace.kinds == {"V": "state", "Iion": "current", "Ki": "state", "m": "state", "INa": "current"}
    assert trace.time[-1] == 2000
    assert trace.values["Ki"][100] == pytest.approx(136.89 - 1e-4 + 1e-5 * np.sin(100), abs=1e-9)
    np.testing.assert_allclose(trace.beats, [10 - LEAD, 510 - LEAD, 1010 - LEAD, 1510 - LEAD])


def test_without_statistics_beats_come_from_the_trace(tmp_path):
    (trace,) = read_traces(make_run(tmp_path / "bench", stats=False))
    np.testing.assert_allclose(trace.beats, np.array([10, 510, 1010, 1510]) - LEAD)


def test_a_cell_at_rest_has_no_beats(tmp_path):
    run = make_run(tmp_path / "bench", stats=False)
    (run / "trace.csv").write_text("time_ms,V\n0,-85\n1,-84\n2,-85\n")
    assert len(read_traces(run)[0].beats) == 0


def test_cells_are_traces(tmp_path):
    traces = read_traces(make_run(tmp_path / "bench", cells=3))
    assert [t.name for t in traces] == ["bench cell 0", "bench cell 1", "bench cell 2"]
    assert {len(t.time) for t in traces} == {2001}
    assert "cell" not in traces[0].values


def test_probes_of_tissue_are_traces(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"command": ["upstroke", "run", "case"], "case": {},
                                                        "units": {"probes.csv": "time in ms"}}))
    (tmp_path / "probes.csv").write_text('time_ms,P1.V,P1.m,"a.b.V"\n0,-85,0,-80\n1,-84,0.1,nan\n')
    first, second = read_traces(tmp_path, "tissue")
    assert (first.name, list(first.values), first.units) == ("tissue P1", ["V", "m"], {"V": "mV", "m": ""})
    assert (second.name, list(second.values), first.words) == ("tissue a.b", ["V"], "case")
    assert np.isnan(second.values["V"][1])


def test_a_torn_last_line_is_left_out(tmp_path):
    run = make_run(tmp_path / "bench")
    with (run / "trace.csv").open("a") as file:
        file.write("2001,-8")
    assert read_traces(run)[0].time[-1] == 2000


# ------------------------------------------------------------------------------------------------------------- errors
def error_of(*runs, **more):
    with pytest.raises(OptionError) as caught:
        view(runs, **more)
    return str(caught.value)


def test_a_folder_that_is_no_run(tmp_path):
    assert error_of(tmp_path / "x") == (f"{tmp_path}/x: there is no such folder\n"
                                        "  -> give the folder of a run, such as runs/bench")
    assert error_of(tmp_path) == (f"{tmp_path}: this is no run: it has neither run.json nor manifest.json\n"
                                  "  -> give the folder of a run, such as runs/bench")


def test_a_run_without_rows(tmp_path):
    run = make_run(tmp_path / "bench")
    (run / "trace.csv").write_text("time_ms,V\n")
    assert error_of(run) == f"{run}/trace.csv: there are no rows in it\n  -> let the run go on until the first output"
    (run / "trace.csv").unlink()
    assert error_of(run) == (
        f"{run}: this run left no rows over time: there is neither trace.csv nor probes.csv\n"
        "  -> run it again without --no-trace and --classic (bench), or with [watch.probes] or [watch.snapshots] "
        "(run)")


def test_damaged_files(tmp_path):
    run = make_run(tmp_path / "bench")
    (run / "trace.csv").write_text("time_ms,V\n0,x\n")
    assert error_of(run).startswith(f"{run}/trace.csv: it cannot be read: could not convert string 'x'")
    (run / "run.json").write_text("{")
    assert error_of(run).startswith(f"{run}/run.json: it is damaged: Expecting property name")


def test_units_that_differ(tmp_path):
    a, b = make_run(tmp_path / "a"), make_run(tmp_path / "b", units=UNITS | {"Ki": "uM"})
    assert error_of(a, b) == "a and b: Ki is in mM in one and in uM in the other\n  -> view them one by one"


def test_the_same_run_twice(tmp_path):
    run = make_run(tmp_path / "a")
    assert error_of(run, tmp_path / "." / "a") == f"{run}: this run is given twice\n  -> give it once"


def test_too_few_rows(tmp_path):
    assert error_of(tmp_path, rows=1) == "--rows: 1 rows make no curve\n  -> give 2 or more"


# ----------------------------------------------------------------------------------------------------------- the file
def data_of(path):
    text = path.read_text()
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_the_numbers_in_the_file(tmp_path):
    run = make_run(tmp_path / "bench")
    made = view([run])
    assert (made.path, made.notes) == (run / "view.html", ())
    (trace,), (packed,) = read_traces(run), data_of(made.path)["traces"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(packed["time"])), trace.time)
    for name, (middle, text) in packed["columns"].items():
        values = middle + np.frombuffer(base64.b64decode(text), "<f4").astype(float)
        np.testing.assert_allclose(values, trace.values[name], atol=1e-7 * np.ptp(trace.values[name]) + 1e-14)


def test_the_file_needs_nothing_else(tmp_path):
    text = view([make_run(tmp_path / "bench")]).path.read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "http" not in text
    assert "<!--" not in text.removeprefix("<!DOCTYPE html>")


def test_names_cannot_end_the_script():
    trace = Trace("</script><b>", "", np.arange(3.0), {"V": np.zeros(3)}, {"V": "mV"}, {"V": "state"}, np.empty(0))
    text = page([trace])
    assert "</script><b>" not in text
    assert "<title>&lt;/script>&lt;b> - Upstroke</title>" in text


def test_runs_of_one_name_go_by_their_paths(tmp_path, monkeypatch):
    make_run(tmp_path / "a" / "bench")
    make_run(tmp_path / "b" / "bench")
    monkeypatch.chdir(tmp_path)
    assert main(["view", "a/bench", "b/bench", "-o", "x.html"]) == 0
    assert [t["name"] for t in data_of(tmp_path / "x.html")["traces"]] == ["a/bench", "b/bench"]


def test_long_runs_keep_their_extremes(tmp_path):
    made = view([make_run(tmp_path / "bench")], rows=400)
    assert made.notes == ("bench: of each 11 rows the smallest and the largest are kept; --rows 2001 keeps all",)
    assert data_of(made.path)["notes"] == list(made.notes)
    rng = np.random.default_rng(1)
    values = rng.normal(size=1003)
    values[77] = np.nan
    full = Trace("a", "", np.arange(1003.0), {"x": values}, {"x": ""}, {"x": "other"}, np.empty(0))
    few = thinned(full, 10)
    assert len(few.time) == 202
    assert (np.diff(few.time) >= 0).all()
    for k in range(100):
        block = values[10 * k:10 * k + 10]
        kept = few.values["x"][2 * k:2 * k + 2]
        assert sorted(kept) == [np.nanmin(block), np.nanmax(block)]
        assert (kept[0] == np.nanmin(block)) == (np.nanargmin(block) < np.nanargmax(block))


def test_the_verb(tmp_path, capsys, monkeypatch):
    run, opened = make_run(tmp_path / "bench"), []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address))
    assert main(["view", str(run), "-o", str(tmp_path / "x.html"), "--rows", "1000", "--open"]) == 0
    out, err = capsys.readouterr()
    assert out == (f"{tmp_path}/x.html\n"
                   "note: bench: of each 5 rows the smallest and the largest are kept; --rows 2001 keeps all\n")
    assert err == "note: there is no browser to open it with\n"
    assert opened == [(tmp_path / "x.html").as_uri()]
    assert main(["view", str(tmp_path)]) == 2


# --------------------------------------------------------------------------------------------------------- the browser
@pytest.fixture(scope="module")
def browser():
    if not find_chromium():
        pytest.skip(REMEDY)
    with Browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    base = tmp_path_factory.mktemp("runs")
    drug = make_run(base / "drug", shift=-20, change="GKr*0.1", beats=3, npy=True)
    return view([make_run(base / "control"), drug]).path


@pytest.fixture
def opened(browser, two):
    """The page of two runs, as it is when it is opened for the first time."""
    browser.open(two, "#mode=time")
    browser.run("localStorage.clear()")
    browser.said.clear()
    yield browser
    assert browser.said == []


SHOWN = "[...document.querySelectorAll('article')].map(a => a.dataset.name)"
COLOURS = """(name, x0, x1) => {
  const c = panels.find(p => p.variable.name === name).canvas;
  const pen = new OffscreenCanvas(c.width, c.height).getContext('2d', {willReadFrequently: true}), seen = new Set();
  pen.drawImage(c, 0, 0);
  const {data} = pen.getImageData(x0, 0, x1 - x0, c.height - 20);
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 250) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
  return [...seen];
}"""
BLUE, VERMILION = "0,114,178", "213,94,0"


def click(browser, selector):
    browser.run(f"document.querySelector({json.dumps(selector)}).click()")
    browser.settle()


def colours(browser, name="V", x0=60, x1=200):
    browser.settle()
    return set(browser.run(f"({COLOURS})('{name}', {x0}, {x1})"))


def place_of(browser, name, share):
    """The point of the screen in a panel's canvas, so far along its axis of time."""
    return browser.run(f"""(() => {{ const box = panels.find(p => p.variable.name === '{name}').canvas
      .getBoundingClientRect(); return [box.left + BOX.left + {share} * (box.width - BOX.left - BOX.right),
      box.top + box.height / 2]; }})()""")


def drag(browser, name, begin, end, **more):
    (x0, y), (x1, _) = place_of(browser, name, begin), place_of(browser, name, end)
    browser.mouse("mousePressed", x0, y, button="left", clickCount=1, **more)
    browser.mouse("mouseMoved", (x0 + x1) / 2, y, button="left", buttons=1, **more)
    browser.mouse("mouseMoved", x1, y, button="left", buttons=1, **more)
    browser.mouse("mouseReleased", x1, y, button="left", clickCount=1, **more)
    browser.settle()


def test_panels_appear_with_names_units_and_both_runs(opened):
    assert opened.run(SHOWN) == list(UNITS)
    assert opened.run("document.querySelector('article h2').innerText").split() == ["V", "(mV)"]
    assert opened.run("[...document.querySelectorAll('#legend span')].map(s => s.textContent)") == ["control", "drug"]
    assert opened.run("[...document.querySelectorAll('#legend small')].map(s => s.textContent)") == [
        "--imp-par 'GKr*0.5'", "--imp-par 'GKr*0.1'"]                            # both have --imp TT2
    assert {BLUE, VERMILION} <= colours(opened)


def test_a_run_is_hidden_by_the_legend(opened):
    click(opened, "#legend button:nth-child(2)")
    assert BLUE in colours(opened)
    assert VERMILION not in colours(opened)


def test_search_filters(opened):
    opened.run("(s => { s.value = 'ki INA'; s.dispatchEvent(new Event('input')); })(document.querySelector('#search'))")
    assert opened.run(SHOWN) == ["Ki", "INa"]
    assert opened.run("document.querySelector('#choose').textContent") == "Panels: 2 of 5"
    opened.run("(s => { s.value = 'zz'; s.dispatchEvent(new Event('input')); })(document.querySelector('#search'))")
    assert opened.run("[document.querySelectorAll('article').length, document.querySelector('#empty').hidden]") == [
        0, False]


def test_the_list_of_panels_is_remembered(opened, two):
    click(opened, "#choose")
    click(opened, "#chooser input[data-name=m]")
    click(opened, "article[data-name=Iion] .close")
    assert opened.run(SHOWN) == ["V", "Ki", "INa"]
    assert "show=V%2CKi%2CINa" in opened.run("location.hash")
    opened.open(two)                                                 # without what was in the address
    assert opened.run(SHOWN) == ["V", "Ki", "INa"]
    click(opened, "#chooser fieldset button:nth-of-type(3)")         # only the states
    assert opened.run(SHOWN) == ["V", "Ki", "m"]


def test_no_panel_at_all_is_remembered_too(opened, two):
    opened.run("show([])")
    opened.open(two)
    assert opened.run(SHOWN) == []


def test_a_drag_zooms_all_panels(opened):
    drag(opened, "Iion", 0.25, 0.5)
    a, b = opened.run("stretch()")
    assert (a, b) == (pytest.approx(500, abs=10), pytest.approx(1000, abs=10))
    assert VERMILION in colours(opened, "V", 60, 180)                # at 510 ms both runs are up, in all panels
    drag(opened, "Ki", 0.5, 0.25, modifiers=8)                       # Shift: to the left, so later comes into view
    later = opened.run("stretch()")
    assert later[0] - a == pytest.approx(0.25 * (b - a), rel=0.05)
    assert later[1] - later[0] == pytest.approx(b - a)
    x, y = place_of(opened, "V", 0.5)
    for count in (1, 2):
        opened.mouse("mousePressed", x, y, button="left", clickCount=count)
        opened.mouse("mouseReleased", x, y, button="left", clickCount=count)
    assert opened.run("[state.time, stretch()]") == [None, [0, 2000]]


def test_the_wheel_zooms_with_ctrl_around_the_pointer(opened):
    x, y = place_of(opened, "Ki", 0.5)
    opened.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120, modifiers=2)
    opened.until("state.time !== null")
    a, b = opened.run("stretch()")
    assert (a + b) / 2 == pytest.approx(1000, abs=10)
    assert b - a < 1900


def test_keys_and_buttons(opened):
    for button, expected in (("#in", [500, 1500]), ("#on", [700, 1700]), ("#back", [500, 1500]), ("#out", [0, 2000])):
        click(opened, button)
        assert opened.run("stretch()") == expected
    opened.call("Input.dispatchKeyEvent", type="keyDown", key="+")
    assert opened.run("stretch()") == [500, 1500]
    click(opened, "#all")
    assert opened.run("stretch()") == [0, 2000]


def test_the_pointer_reads_values_in_all_panels(opened):
    x, y = place_of(opened, "Ki", 0.05)
    opened.mouse("mouseMoved", x, y)
    opened.settle()
    values = opened.run("[...document.querySelectorAll('article[data-name=V] .values span')].map(s => s.textContent)")
    assert [float(v) for v in values] == pytest.approx([22, 2], abs=0.5)         # 100 ms: 90 ms after the upstroke
    assert opened.run("document.querySelector('#now').textContent").endswith(" ms")
    assert len(opened.run("document.querySelector('article[data-name=m] .values').textContent")) == 2


def test_beats_over_each_other(opened):
    click(opened, "[data-mode=beats]")
    assert opened.run("stretch()") == [-10, 490]
    assert opened.run("piecesOf(traces[0], [-10, 490]).map(p => p.shift)") == [10, 510, 1010, 1510]
    assert {BLUE, VERMILION} <= colours(opened)
    opened.run("goTo(0, 100)")
    click(opened, "[data-mode=time]")
    assert opened.run("stretch()") == [0, 2000]                                  # a stretch of its own


def test_envelopes_and_drift(opened):
    click(opened, "[data-mode=envelope]")
    low, high = opened.run("[Math.min(...envelope(0, 'V').map(e => e.low)), envelope(1, 'V')[1].high]")
    assert (low, high) == (-85, 20)
    heads = opened.run("[...document.querySelectorAll('article .values')].map(v => v.textContent)")
    assert heads[0] == "drift 0 %drift 0 %"
    drift = opened.run("driftOf(envelope(0, 'Ki'))")
    assert drift == pytest.approx(5e-4 / 5.2e-4, rel=0.05)                       # 500 ms x 1e-6/ms; 2e-5 and that
    opened.run("state.order = 'drift'; changed()")
    assert opened.run(SHOWN)[0] == "Ki"


def test_nothing_is_wider_than_a_telephone(opened):
    opened.call("Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=2, mobile=False)
    opened.settle()
    assert opened.run("document.documentElement.scrollWidth <= 360")
    assert opened.run("panels[0].canvas.width === 2 * panels[0].canvas.clientWidth")
    opened.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)


def test_dark_and_light(opened):
    assert opened.run("document.documentElement.dataset.theme") == "light"
    click(opened, "#theme")
    assert opened.run("document.documentElement.dataset.theme") == "dark"
    assert "86,180,233" in colours(opened)


def test_numbers_of_the_page(opened):
    assert opened.run("ticks(0, 700, 3).values") == [0, 200, 400, 600]
    assert opened.run("[tickText(-50, 50, 85), tickText(2.5e-4, 5e-5, 1e-3), tickText(0, 1, 5), tickText(136.85, .05, "
                      "137)]") == ["\u221250", "2.5e\u22124", "0", "136.85"]
    assert opened.run("[valueText(-85.2313391), valueText(1.234567e-5), valueText(NaN)]") == [
        "\u221285.231", "1.235e\u22125", "\u2013"]
    assert opened.run("[rowAt([0, 1, 2], 1), rowAt([0, 1, 2], 1.5), nearestRow([0, 1, 2], 1.4)]") == [1, 2, 1]
    assert opened.run("chosenBeats(1000).length") == 40


def test_curves_of_many_rows_keep_every_peak(opened):
    opened.run("""
      var time = Float64Array.from({length: 100000}, (_, i) => i), values = new Float32Array(100000);
      values[54321] = 7; values[77777] = -3; values.fill(NaN, 20000, 30000);
      var many = {time}, column = {middle: 1, values}, points = [], moves = 0;
      var rows = rowsFor(many, column, 0, 100000, 300);
      traceCurve(rows.time, rows.column, rows.begin, rows.end, t => t / 100000 * 300, () => moves++,
                 (x, y) => points.push([x, y]));""")
    assert opened.run("rows.time.length") == 12500
    assert opened.run("points.length") < 1200
    assert opened.run("points.reduce((m, p) => p[1] > m[1] ? p : m)") == [pytest.approx(163, abs=1), 8]
    assert opened.run("points.reduce((m, p) => p[1] < m[1] ? p : m)") == [pytest.approx(233, abs=1), -2]
    assert opened.run("moves") == 2                                              # before and after what is missing
