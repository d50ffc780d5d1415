"""The page of a run: what goes into it, and that it does what it says, in a browser where there is one."""

import base64
import gzip
import json
import re
import sys

import numpy as np
import pytest
from browser import REMEDY, Browser, find_chromium
from test_view import make_run, neuron

from upstroke.case.schema import SlabMesh
from upstroke.cli import main
from upstroke.mesh import build_mesh
from upstroke.view import Look, page

Pillow = pytest.importorskip("PIL.Image")


def front(x, t):
    return np.where(x < t, 20.0, -80.0)


@pytest.fixture(scope="module")
def slab(tmp_path_factory):
    mesh = build_mesh(SlabMesh(size=(0.4, 0.2, 0.2), dx=0.05, fibre=(1.0, 0.0, 0.0)))
    return make_run(tmp_path_factory.mktemp("slab") / "run", mesh, title="A <slab>", variables=("V", "Iion"))


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("cell") / "run", neuron(), wave=lambda x, t: front(x, t / 10))


def data_of(path):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.S)
    return json.loads(found[1])


def unpacked(text, kind):
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), kind)


# ----------------------------------------------------------------------------------------------------------- the file
def test_the_numbers_in_the_file(slab, tmp_path):
    made = page(slab, tmp_path / "view.html")
    data = data_of(made.path)
    assert (data["title"], data["times"], made.notes) == ("A <slab>", [0, 1, 2, 3, 4], ())
    points = unpacked(data["points"], "<f4").reshape(-1, 3) + data["middle"]
    assert np.ptp(points, axis=0) == pytest.approx([4, 2, 2])
    assert unpacked(data["triangles"], "<u4").max() == len(points) - 1
    first, second = data["variables"]
    assert [first["name"], first["unit"], second["name"], second["unit"]] == ["V", "mV", "Iion", "uA/cm^2"]
    values = unpacked(first["values"], "<u2").reshape(5, -1)
    V = first["low"] + values / 65534 * (first["high"] - first["low"])
    for k in range(5):
        np.testing.assert_allclose(V[k], front(points[:, 0], k), atol=1e-3)
    assert len(unpacked(data["fibres"], "<f4")) % 6 == 0


def test_what_is_missing_has_no_colour(tmp_path):
    mesh = build_mesh(SlabMesh(size=(0.2, 0.1, 0.1), dx=0.05))
    run = make_run(tmp_path / "run", mesh, wave=lambda x, t: np.where(x > 0.1, np.nan, -80.0))
    variable, = data_of(page(run, tmp_path / "v.html").path)["variables"]
    values = unpacked(variable["values"], "<u2")
    assert set(values) == {32767, 65535}
    assert (variable["low"], variable["high"]) == (-80.5, -79.5)


def test_the_file_needs_nothing_else(slab, tmp_path):
    text = page(slab, tmp_path / "v.html").path.read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "http" not in text
    assert "<!--" not in text.removeprefix("<!DOCTYPE html>")
    assert text.count("A &lt;slab>") == 2


def test_frames_that_are_left_out_are_named(slab, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["upstroke.view.page"], "MOST", 700)
    made = page(slab, tmp_path / "v.html", Look(variable="Iion"))
    assert made.notes == ("every second of 5 snapshots is shown; --every, --from and --to choose",)
    assert data_of(made.path)["notes"] == list(made.notes)
    assert data_of(made.path)["times"] == [0, 2, 4]


def test_the_verb_makes_it_by_itself(cell, capsys):
    assert main(["view", str(cell)]) == 0
    assert capsys.readouterr().out == f"{cell}/view.html\n"
    assert data_of(cell / "view.html")["names"] == ["soma", "dend", "twig", "side"]


# ------------------------------------------------------------------------------------------------------ in the browser
@pytest.fixture(scope="module")
def browser():
    if not find_chromium():
        pytest.skip(REMEDY)
    with Browser(900, 640) as browser:
        yield browser


def opened(browser, run, path, ending="", **look):
    page(run, path, Look(**look))
    browser.said.clear()
    browser.open(path, ending)
    browser.until("document.body.dataset.ready")
    browser.settle()
    assert browser.run("document.body.dataset.ready") == "yes"
    return browser


def seen(browser, path):
    browser.settle()
    browser.picture(path)
    return np.asarray(Pillow.open(path).convert("RGB"), int)


def slide(browser, name, value):
    browser.run(f"$('{name}').value = {value}; $('{name}').dispatchEvent(new Event('input'))")


def fire(image):
    """Pixels of the middle that are orange, as 20 mV are."""
    middle = image[60:540, 100:750]
    return int(((middle[:, :, 0] > 160) & (middle[:, :, 2] < 90)).sum())


def test_the_slider_drives_what_is_seen(browser, slab, tmp_path):
    opened(browser, slab, tmp_path / "v.html")
    counts = []
    for k in range(5):
        slide(browser, "time", k)
        counts.append(fire(seen(browser, tmp_path / f"{k}.png")))
        assert browser.run("$('now').textContent") == f"{k} ms"
    assert counts == sorted(counts)
    assert counts[0] < 100 < 5000 < counts[1] < 0.6 * counts[3]
    assert not [text for text in browser.said if "GL" not in text], browser.said


def test_title_and_legend(browser, slab, tmp_path):
    opened(browser, slab, tmp_path / "v.html", bounds=(-100, 50))
    assert browser.run("[document.title, document.querySelector('h1').textContent]") == ["A <slab>"] * 2
    assert browser.run("$('label').textContent") == "V (mV)"
    assert browser.run("[...document.querySelectorAll('#ticks span')].map(s => s.textContent)") == [
        "\u2212100", "\u221250", "0", "50"]
    browser.run("$('variable').value = 1; $('variable').dispatchEvent(new Event('change'))")
    assert browser.run("$('label').textContent") == "Iion (uA/cm^2)"
    assert browser.run("$('length').textContent") == "500 um"
    assert browser.run("parseFloat($('ruler').style.width) * mmPerPixel()") == pytest.approx(0.5)


def test_an_address_opens_at_a_time(browser, slab, tmp_path):
    opened(browser, slab, tmp_path / "v.html", "#t=3")
    assert browser.run("[state.frame, $('now').textContent]") == [3, "3 ms"]


def test_it_plays(browser, slab, tmp_path):
    opened(browser, slab, tmp_path / "v.html")
    browser.run("$('play').click()")
    assert browser.run("state.playing")
    browser.until("state.frame === 4 && !state.playing")
    browser.run("document.body.focus(); document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}))")
    assert browser.run("state.frame") == 3


def test_the_mouse_turns_moves_and_zooms(browser, slab, tmp_path):
    opened(browser, slab, tmp_path / "v.html")
    slide(browser, "time", 2)
    before = seen(browser, tmp_path / "a.png")
    for kind, x in (("mousePressed", 400), ("mouseMoved", 480), ("mouseReleased", 480)):
        browser.mouse(kind, x, 300, button="left", buttons=1, clickCount=1)
    assert browser.run("Math.hypot(...state.turn)") == pytest.approx(3 ** 0.5)
    turned = seen(browser, tmp_path / "b.png")
    assert (abs(turned - before).sum(axis=2) > 60).sum() > 5000
    assert browser.run("state.picked.length") == 0              # a drag is no click
    mm = browser.run("mmPerPixel()")
    browser.mouse("mouseWheel", 450, 300, deltaX=0, deltaY=-200)
    browser.until(f"mmPerPixel() < {0.9 * mm}")
    browser.run("$('reset').click()")
    back = seen(browser, tmp_path / "c.png")
    assert (abs(back - before).sum(axis=2) > 60).sum() < 50


def test_a_click_shows_a_curve(browser, cell, tmp_path):
    opened(browser, cell, tmp_path / "v.html")
    x, y = browser.run("(k => { const p = projected(k), r = $('scene').getBoundingClientRect(); "
                       "return [p[0] + r.left, p[1] + r.top]; })(1)")           # the middle of the soma
    for kind in ("mousePressed", "mouseReleased"):
        browser.mouse(kind, x, y, button="left", buttons=1, clickCount=1)
    browser.settle()
    assert browser.run("!$('curves').hidden && state.picked.length") == 1
    text = browser.run("$('place').textContent")
    assert text.startswith("soma (")
    assert text.endswith("um): \u221280 mV")
    blue = seen(browser, tmp_path / "a.png")[-180:]
    assert ((blue[:, :, 2] > 150) & (blue[:, :, 0] < 60)).sum() > 100
    browser.mouse("mousePressed", 20, 100, button="left", buttons=1, clickCount=1)
    browser.mouse("mouseReleased", 20, 100, button="left", buttons=1, clickCount=1)
    assert browser.run("state.picked.length") == 0


def test_the_cut_hides_what_lies_beyond(browser, slab, tmp_path):
    opened(browser, slab, tmp_path / "v.html", "#t=4", angles=(-90.0, 0.0))
    whole = fire(seen(browser, tmp_path / "a.png"))
    browser.run("$('cut').selectedIndex = 1; $('cut').dispatchEvent(new Event('change'))")
    slide(browser, "cutAt", 250)
    half = fire(seen(browser, tmp_path / "b.png"))
    assert half == pytest.approx(whole / 4, rel=0.1)            # the last edge of the whole is not orange
    assert browser.run("$('cutText').textContent") == "1 mm"


def test_fibres_can_be_switched(browser, slab, tmp_path):
    opened(browser, slab, tmp_path / "v.html", "#t=4")
    without = seen(browser, tmp_path / "a.png")
    browser.run("$('fibres').click()")
    changed = (abs(seen(browser, tmp_path / "b.png") - without).sum(axis=2) > 60)[60:540, 100:750]
    assert 500 < changed.sum() < 40000
    assert browser.run("$('isochronesLabel').hidden")           # this run has no activation times


def test_isochrones_can_be_switched(browser, slab, tmp_path):
    import meshio

    from upstroke.view.recording import read_recording

    points = read_recording(slab).mesh.points * 10
    meshio.Mesh(points, [("vertex", np.arange(len(points))[:, None])], {"activation_ms": points[:, 0]}).write(
        slab / "activation.vtu")
    try:
        opened(browser, slab, tmp_path / "v.html", "#t=4", angles=(-90.0, 0.0))
        without = seen(browser, tmp_path / "a.png")
        browser.run("$('isochrones').click()")
        rows = (abs(seen(browser, tmp_path / "b.png") - without).sum(axis=2) > 60)[60:540, 100:750]
    finally:
        (slab / "activation.vtu").unlink()
    columns = np.flatnonzero(rows.any(axis=0))
    assert 5 <= 1 + (np.diff(columns) > 3).sum() <= 11          # upright lines, one for each level inside
    assert rows.any(axis=0).mean() < 0.2


def test_it_fits_a_telephone(browser, slab, tmp_path):
    opened(browser, slab, tmp_path / "v.html")
    browser.call("Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=2, mobile=True)
    browser.settle()
    assert browser.run("document.documentElement.scrollWidth <= 360")
    assert browser.run("$('scene').width === 2 * $('scene').clientWidth")
    browser.call("Emulation.setDeviceMetricsOverride", width=900, height=640, deviceScaleFactor=1, mobile=False)


def test_a_browser_without_webgl_says_so(browser, slab, tmp_path):
    path = page(slab, tmp_path / "v.html").path
    path.write_text(path.read_text().replace('getContext("webgl2"', 'getContext("webgl9"'))
    browser.open(path)
    browser.until("document.body.dataset.ready")
    assert browser.run("$('problem').textContent").startswith("This browser has no WebGL 2")
