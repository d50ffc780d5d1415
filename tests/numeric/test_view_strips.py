"""Curves beneath films, pictures and pages: which, where, and that their mark is at the time of the frame."""

from __future__ import annotations

import base64
import gzip

import numpy as np
import pytest
from browser import REMEDY, Browser, find_chromium
from test_view import error_of, make_run
from test_view_page import data_of, opened, seen, slide

from upstroke.case.schema import SheetMesh
from upstroke.cli import main
from upstroke.mesh import build_mesh
from upstroke.view import Look, film, page, picture
from upstroke.view.recording import read_recording
from upstroke.view.strips import Strip, strip_columns, strips_of

Pillow = pytest.importorskip("PIL.Image")

TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
TIME = np.arange(0.0, 4.2, 0.1)             # the frames are 0, 1, ..., 4 ms


def write_columns(path, columns):
    np.savetxt(path, np.column_stack([TIME, *columns.values()]), "%.12g", ",", header=",".join(["time_ms", *columns]),
               comments="")


@pytest.fixture
def sheet(tmp_path):
    """A run with an electrocardiogram of twelve leads, lead k with an amplitude of k + 1 uV, and two probes."""
    run = make_run(tmp_path / "run", build_mesh(SheetMesh(size=(0.4, 0.2), dx=0.02)))
    leads = {name: 1e-3 * (k + 1) * np.sin(TIME) for k, name in enumerate(TWELVE)}
    write_columns(run / "ecg.csv", {"phi.RA": np.cos(TIME), "phi.LA": 5 * np.cos(TIME)} | leads)
    write_columns(run / "probes.csv", {"near.V": np.linspace(-80, 20, len(TIME)), "near.h": 1 - TIME / 5,
                                       "far.V": np.full(len(TIME), -90.0)})
    return run


def strips(run, names, begin=0.0, end=4.0):
    return strips_of(read_recording(run), names, begin, end)


def test_the_leads_are_shown_where_there_are_some(sheet):
    shown, notes = strips(sheet, None)
    assert [strip.label for strip in shown] == ["I (mV)", *TWELVE[1:]] and notes == ()
    assert shown[0].bounds == shown[11].bounds                    # amplitudes can be compared
    assert shown[0].bounds[1] == pytest.approx(1.08 * 12e-3 * np.sin(1.6) - 0.08 * 12e-3 * np.sin(4.0), rel=1e-3)
    np.testing.assert_allclose(shown[4].values, 5e-3 * np.sin(shown[4].time))
    assert shown[0].time.min() == 0 and shown[0].time.max() == 4


def test_potentials_where_there_are_no_leads(sheet):
    write_columns(sheet / "ecg.csv", {f"phi.{k}": np.cos(TIME) for k in range(14)})
    shown, notes = strips(sheet, None)
    assert [strip.label for strip in shown] == ["phi.0 (mV)", *(f"phi.{k}" for k in range(1, 12))]
    assert notes == ("12 of 14 leads are shown; --curves chooses",)
    (sheet / "ecg.csv").unlink()
    assert strips(sheet, None) == ((), ())


def test_leads_and_probes_by_name(sheet):
    shown, _ = strips(sheet, ("near.V", "II", "near.h", "far.V"), 1.0, 3.0)
    assert [strip.label for strip in shown] == ["near.V (mV)", "II (mV)", "near.h", "far.V"]
    assert shown[0].bounds == shown[3].bounds != shown[1].bounds
    assert shown[0].bounds[0] < -90 and (shown[0].time.min(), shown[0].time.max()) == (1.0, 3.0)
    assert strips(sheet, ()) == ((), ())


def test_a_run_that_has_just_begun_has_no_curves_yet(sheet):
    (sheet / "ecg.csv").write_text("time_ms,II\n0,0\n0.1,0.00")           # the last line is torn
    assert strips(sheet, None) == ((), ())


def test_what_is_kept_of_many_values():
    time = np.arange(0.0, 100.0, 0.01)
    values = np.zeros(len(time))
    values[4321], values[4325] = 3.0, -2.0
    thin = Strip("II", time, values, (-1, 1)).thinned(1000)
    assert len(thin.time) == 1000 and (np.diff(thin.time) >= 0).all()
    assert thin.time[thin.values.argmax()] == 43.21 and thin.time[thin.values.argmin()] == 43.25
    assert Strip("II", time[:900], values[:900], (-1, 1)).thinned(1000).time is not None


def test_columns_as_on_paper():
    assert [strip_columns(n, 864) for n in (1, 3, 4, 7, 12, 20)] == [1, 1, 2, 3, 4, 4]
    assert strip_columns(12, 380) == 3 and strip_columns(12, 100) == 1


def marks(image, top):
    """The columns of a picture that have red marks from row ``top`` on."""
    red = (image[top:, :, 0] > 180) & (image[top:, :, 1] < 70) & (image[top:, :, 2] < 90)
    columns = np.flatnonzero(red.sum(axis=0) > 30)
    return columns[np.append(True, np.diff(columns) > 2)] if len(columns) else columns


def test_the_mark_is_at_the_time_of_each_frame(sheet, tmp_path):
    plain = Pillow.open(film(sheet, tmp_path / "plain.gif", Look(width=400, curves=())).path)
    gif = Pillow.open(film(sheet, tmp_path / "film.gif", Look(width=400, curves=("II", "near.V"))).path)
    assert gif.n_frames == 5 and gif.height > plain.height + 2 * 46
    found = []
    for k in range(5):
        gif.seek(k)
        found.append(marks(np.asarray(gif.convert("RGB"), int), plain.height))
    assert [len(columns) for columns in found] == [1] * 5
    places = np.concatenate(found)
    assert places[0] == pytest.approx(18 + 44, abs=2) and places[-1] == pytest.approx(400 - 18 - 10, abs=2)
    np.testing.assert_allclose(np.diff(places), (400 - 2 * 18 - 44 - 10) / 4, atol=1.5)


def test_twelve_leads_have_a_mark_each(sheet, tmp_path):
    plain = np.asarray(Pillow.open(picture(sheet, tmp_path / "a.png", Look(curves=()), [1.0, 3.0]).path), int)
    image = np.asarray(Pillow.open(picture(sheet, tmp_path / "b.png", Look(), [1.0, 3.0]).path), int)
    assert len(marks(image, len(plain))) == 8                     # two moments in four columns
    np.testing.assert_array_equal(image[:len(plain) - 10], plain[:len(plain) - 10])


def test_what_is_in_the_page(sheet, tmp_path):
    data = data_of(page(sheet, tmp_path / "v.html", Look(curves=("V6",))).path)
    (strip,) = data["strips"]
    assert strip["label"] == "V6 (mV)" and strip["low"] < 0 < strip["high"]
    time, values = (np.frombuffer(gzip.decompress(base64.b64decode(strip[key])), "<f4") for key in ("time", "values"))
    np.testing.assert_allclose(values, 12e-3 * np.sin(time), atol=1e-7)
    assert data_of(page(sheet, tmp_path / "v.html", Look(curves=())).path)["strips"] == []


def test_the_command_names_them(sheet, tmp_path, capsys):
    assert main(["view", str(sheet), "--page", str(tmp_path / "v.html"), "--curves", "II, near.V"]) == 0
    assert [s["label"] for s in data_of(tmp_path / "v.html")["strips"]] == ["II (mV)", "near.V (mV)"]
    assert main(["view", str(sheet), "--page", str(tmp_path / "v.html"), "--curves", "none"]) == 0
    assert data_of(tmp_path / "v.html")["strips"] == []
    capsys.readouterr()
    assert main(["view", str(sheet), "--traces", str(tmp_path / "t.png"), "--curves", "II"]) == 2
    assert capsys.readouterr().err == ("--curves: goes with --page, --film, --picture\n"
                                       "  -> leave it out, or add --page FILE\n")


def test_the_mark_of_the_page_follows_the_slider(sheet, tmp_path):
    if not find_chromium():
        pytest.skip(REMEDY)
    with Browser(900, 760) as browser:
        opened(browser, sheet, tmp_path / "v.html", curves=("II", "V1"))
        top = int(browser.run("$('strips').getBoundingClientRect().top"))
        places = []
        for k in range(5):
            slide(browser, "time", k)
            places.extend(marks(seen(browser, tmp_path / f"{k}.png"), top).tolist())
        np.testing.assert_allclose(np.diff(places), [(900 - 28 - 46 - 12) / 4] * 4, atol=1.5)
        browser.mouse("mousePressed", places[3], top + 30, button="left", buttons=1, clickCount=1)
        assert browser.run("state.frame") == 3
        browser.run("$('stripsOn').click()")
        browser.settle()
        assert browser.run("$('strips').hidden")
        opened(browser, sheet, tmp_path / "v.html")
        assert browser.run("Object.values(stripGrid())") == [4, 3]
        wide = (900 - 28) / 4
        x = 14 + 2 * wide + 46 + (wide - 46 - 12) / 2             # of the third column, the middle of the time
        top = int(browser.run("$('strips').getBoundingClientRect().top"))
        browser.mouse("mousePressed", x, top + 90, button="left", buttons=1, clickCount=1)
        assert browser.run("state.frame") == 2
        opened(browser, sheet, tmp_path / "v.html", curves=())
        assert browser.run("[$('strips').hidden, $('stripsLabel').hidden]") == [True, True]


def test_errors(sheet):
    assert error_of(lambda: strips(sheet, ("IV",))) == (
        f"--curves: {sheet} has no lead and no probe 'IV'\n  -> did you mean 'I'?")
    (sheet / "ecg.csv").write_text("t,II\n0,1\n")
    assert error_of(lambda: strips(sheet, None)) == (
        f"{sheet}/ecg.csv: it cannot be read: 'time_ms' is not in list\n  -> run it again")
    for name in ("ecg.csv", "probes.csv"):
        (sheet / name).unlink()
    assert error_of(lambda: strips(sheet, ("II",))) == (
        f"--curves: {sheet} has no electrocardiogram and no probes\n"
        "  -> run it again with [watch.ecg] or [watch.probes], or leave it out")
