"""`upstroke view` of one run: films, pictures, curves, features, and what is said where something is missing."""

import builtins
import csv
import importlib.util
import json
import subprocess
import sys
import time

import numpy as np
import pytest

import upstroke
from upstroke.case import load_case
from upstroke.case.schema import CableMesh, SheetMesh, SlabMesh
from upstroke.cli import main
from upstroke.errors import BackendError, OptionError
from upstroke.mesh import build_mesh
from upstroke.observe.snapshots import part_of
from upstroke.output.raster import Scene, rasterise
from upstroke.output.scene import View
from upstroke.output.sections import write_sections
from upstroke.output.vtkhdf import VtkHdfSeries
from upstroke.view import Look, film, measure, picture
from upstroke.view.curves import group_of, path_to
from upstroke.view.features import write_features
from upstroke.view.recording import read_recording, read_spikes
from upstroke.view.shape import Half, fibres_of, shape_of

Pillow = pytest.importorskip("PIL.Image")

NEURON = {
    "mesh": {"kind": "sections", "section": [
        {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
        {"name": "dend", "parent": "soma", "length": "200 um", "diameter": "2 um"},
        {"name": "twig", "parent": "dend", "length": "100 um", "diameter": "1 um", "direction": [0, 1, 0]},
        {"name": "side", "parent": "dend", "parent_x": 0.5, "length": "50 um", "diameter": "1 um",
         "direction": [0, -1, 0]}],
        "compartments": {"max_length": "20 um"}},
    "cable": {"axial_resistivity": "150 ohm*cm", "capacitance": "1 uF/cm^2"},
    "membrane": {"model": "Passive", "parameters": {"Rm": 20, "V_rest": -65}, "initial": {"V": -65}},
    "time": {"end": "1 ms", "dt": "0.025 ms", "splitting": "staggered"},
    "stimulus": [{"site": {"section": "twig", "x": 1}, "total_current": "0.1 nA", "duration": "1 ms"}],
    "synapse": [{"name": "AMPA", "kind": "ampa", "region": "basal", "count": 7, "seed": 1, "weight": "1 nS",
                 "events": {"times": ["0.5 ms"]}}],
}


def neuron():
    case = load_case(NEURON)
    return build_mesh(case.mesh, case.cable)


def make_run(folder, mesh, frames=5, title="A run", wave=lambda x, t: np.where(x < t, 20.0, -80.0), variables=("V",)):
    """A run directory with a front that runs along x, 0.1 cm in 1 ms, a frame every ms."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"case": {"title": title}, "command": []}))
    series = VtkHdfSeries(folder / "vm.vtkhdf", mesh, variables, frames)
    for k in range(frames):
        series.append(float(k), {name: wave(mesh.points[:, 0], 0.1 * k) for name in variables})
    series.close()
    if mesh.tree is not None:
        write_sections(folder / "sections.csv", mesh.tree)
    return folder


@pytest.fixture
def slab(tmp_path):
    return make_run(tmp_path / "slab", build_mesh(SlabMesh(size=(0.4, 0.2, 0.2), dx=0.05, fibre=(1.0, 0.0, 0.0))))


@pytest.fixture
def sheet(tmp_path):
    return make_run(tmp_path / "sheet", build_mesh(SheetMesh(size=(0.4, 0.2), dx=0.02)))


@pytest.fixture
def cell(tmp_path):
    return make_run(tmp_path / "cell", neuron())


def error_of(call, kind=OptionError):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------------- the raster
def test_each_pixel_shows_what_lies_foremost():
    points = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [4, 4, 0], [1, 1, 1], [3, 1, 1], [2, 3, 1.0]])
    scene = Scene.of_triangles(points, np.array([[0, 1, 2], [1, 3, 2], [4, 5, 6]], np.int32))
    view = View.along(points[:4])
    seen = rasterise(scene, view, 40, 40)
    shown = seen.at(np.array([0, 0, 0, 0, 1, 1, 1.0]))
    rows, columns = np.divmod(seen.pixel, 80)
    x, y = (columns + 0.5) / 80 * 4.08 - 0.04, 4.04 - (rows + 0.5) / 80 * 4.08
    inside = (y > 1.05) & (y < 2.95 - 2 * abs(x - 2))
    outside = (y < 0.95) | (y > 3.05 - 2 * abs(x - 2)) | (abs(x - 2) > 1)
    assert inside.sum() > 300
    np.testing.assert_allclose(shown[inside], 1, atol=1e-6)
    np.testing.assert_allclose(shown[outside], 0, atol=1e-6)


def test_values_are_interpolated_between_corners():
    points = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0.0]])
    scene = Scene.of_triangles(points, np.array([[0, 1, 2]], np.int32))
    seen = rasterise(scene, View.along(points), 50, 50)
    columns = seen.pixel % 100
    np.testing.assert_allclose(seen.at(points[:, 0]), (columns + 0.5) / 100 * 4.08 - 0.04, atol=1e-5)


def test_rods_are_as_thick_as_they_are_and_end_flat():
    points = np.array([[0, 0, 0], [10, 0, 0], [20, 0, 0.0]])
    rods = np.array([[0, 1], [1, 2]], np.int32)
    scene = Scene.of_rods(points, rods, np.array([[2, 2], [2, 1.0]]))
    view = View.along(np.array([[-5, -5, 0], [25, 5, 0.0]]))
    seen = rasterise(scene, view, 306, 102)
    rows, columns = np.divmod(seen.pixel, 612)
    x, y = (columns + 0.5) / 20 - 5.3, 5.1 - (rows + 0.5) / 20
    assert x.min() == pytest.approx(0, abs=0.06)
    assert x.max() == pytest.approx(20, abs=0.06)
    for at, radius in ((5, 2), (15, 1.5), (19.9, 1.01)):
        assert abs(y[abs(x - at) < 0.04]).max() == pytest.approx(radius, abs=0.06)
    np.testing.assert_allclose(seen.at(points[:, 0]), x, atol=0.4)          # at the joint its ball shows


def test_a_missing_value_is_grey_where_it_counts():
    points = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [4, 4, 0.0]])
    scene = Scene.of_triangles(points, np.array([[0, 1, 2], [1, 3, 2]], np.int32))
    seen = rasterise(scene, View.along(points), 40, 40)
    image = seen.image(np.array([np.nan, 1, 1, 1]), 0, 2, np.array([[1.0, 0, 0]]))
    assert image[30, 8].tolist() == [199, 199, 199]
    assert image[8, 30].tolist() == [255, 0, 0]


def test_isochrones_are_lines_at_their_places(sheet):
    shape = shape_of(read_recording(sheet))
    view = View.along(shape.scene.points)
    seen = rasterise(shape.scene, view, 400, 200)
    lines = seen.contours(shape.scene.points[:, 0], np.array([1.0, 3.0]))
    x = (seen.pixel[lines] % 800 + 0.5) / 800 * 4.08 - 0.04
    assert np.unique(np.round(x)).tolist() == [1, 3]
    assert abs(x - np.round(x)).max() < 0.011


# ------------------------------------------------------------------------------------------------------- what is drawn
def test_a_cut_solid_is_closed(slab):
    whole, half = shape_of(read_recording(slab)), shape_of(read_recording(slab), Half.read("x < 1.3 mm"))
    points, triangles = half.scene.points, half.scene.triangles
    assert points[:, 0].max() == pytest.approx(1.3)
    a, b, c = (points[nodes] for nodes in triangles.T)
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    assert area[np.isclose(points[triangles][:, :, 0], 1.3).all(axis=1)].sum() == pytest.approx(4.0)       # the face
    assert area.sum() == pytest.approx(2 * 4.0 + 4 * 2.0 * 1.3)
    nodes = half.nodes()
    x = half.at(10 * read_recording(slab).mesh.points[nodes, 0], nodes)
    np.testing.assert_allclose(x, points[:, 0], atol=1e-12)                        # values as linear elements have them
    assert whole.notes == half.notes == ()


@pytest.mark.parametrize("stencil", [None, "compact"])
def test_cubes_are_cut_as_tetrahedra_are(tmp_path, stencil):
    mesh = build_mesh(SlabMesh(size=(0.4, 0.2, 0.2), dx=0.05))
    if stencil:
        from upstroke.case.schema import GridMesh

        mask = np.ones((8, 4, 4), bool)
        np.save(tmp_path / "mask.npy", mask)
        mesh = build_mesh(GridMesh(mask=tmp_path / "mask.npy", dx=0.05))
    shape = shape_of(read_recording(make_run(tmp_path / "run", mesh)), Half.read("y > 0.7 mm"))
    points = shape.scene.points[shape.scene.triangles]
    area = 0.5 * np.linalg.norm(np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]), axis=1)
    assert area[np.isclose(points[:, :, 1], 0.7).all(axis=1)].sum() == pytest.approx(4.0 * 2.0)


def test_a_coarser_surface_says_so(slab):
    shape = shape_of(read_recording(slab), most=100)
    assert len(shape.scene.triangles) <= 100
    note, = shape.notes
    assert note.startswith(f"{len(shape.scene.triangles)} of the surface's 320 triangles are drawn")
    assert note.endswith("one stays; --triangles draws more")


def test_a_neuron_is_as_thick_as_its_sections(cell):
    scene = shape_of(read_recording(cell)).scene
    thick = {round(2000 * r, 6) for r in scene.radius.ravel()}
    assert thick == {20, 2, 1}
    assert np.ptp(scene.points, axis=0) == pytest.approx([0.22, 0.15, 0])


def test_snapshots_of_a_region_know_their_sections(tmp_path):
    part, nodes = part_of(neuron(), ["basal"])
    recording = read_recording(make_run(tmp_path / "part", part))
    assert set(recording.data["section"]) == {1, 2, 3}
    assert set(np.round(recording.data["diameter_um"], 9)) == {2, 1}
    assert len(nodes) == part.n_points == recording.mesh.n_points


def test_fibres_lie_along_the_fibres(slab):
    recording = read_recording(slab)
    lines = fibres_of(recording, shape_of(recording))
    along = lines[:, 1] - lines[:, 0]
    assert len(lines) > 100
    assert (abs(along[:, 1:]) < 1e-12).all()
    assert (along[:, 0] > 0).all()


# --------------------------------------------------------------------------------------------------- films and pictures
def test_a_gif_has_a_frame_for_each_snapshot(sheet, tmp_path):
    made = film(sheet, tmp_path / "film.gif", Look(width=300), fps=10)
    gif = Pillow.open(made.path)
    assert (gif.n_frames, gif.size[0], gif.info["duration"], made.notes) == (5, 300, 100, ())
    front = []
    for k in range(5):
        gif.seek(k)
        row = np.asarray(gif.convert("RGB"), int)[46 + 24 + 60]
        front.append(int((row[:, 0] > 200).sum() - (row.sum(axis=1) > 700).sum()))       # orange, not white
    assert front == sorted(front)
    assert front[-1] - front[1] == pytest.approx(3 * 264 / 4.08, abs=12)


def test_an_mp4_has_a_frame_for_each_snapshot(cell, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    made = film(cell, tmp_path / "film.mp4", Look(width=301))
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(made.path))
    assert (frames, seconds) == (5, pytest.approx(0.25, abs=0.06))
    reader = imageio_ffmpeg.read_frames(str(made.path))
    width, height = next(reader)["size"]
    assert (width, height % 2) == (302, 0)
    reader.close()


def test_a_picture_shows_the_moments_asked_for(slab, tmp_path):
    made = picture(slab, tmp_path / "p.png", Look(fibres=True, width=400), [1.0, 4.0])
    image = np.asarray(Pillow.open(made.path), int)
    fire = (image[:, :, 0] > 230) & (image[:, :, 2] < 80)
    left, right = fire[60:-70, :200].sum(), fire[60:-70, 200:].sum()
    assert right > 2.5 * left > 0


def test_the_colour_range_is_that_of_all_frames(sheet, tmp_path):
    made = picture(sheet, tmp_path / "p.png", Look(bounds=(-1000, 1000), width=300), [4.0])
    image = np.asarray(Pillow.open(made.path), int)
    middle = image[100:180, 100:200].reshape(-1, 3)
    assert (np.ptp(middle, axis=0) < 20).all()                 # 100 mV are a twentieth of it


def test_every_second_snapshot(sheet, tmp_path):
    assert Pillow.open(film(sheet, tmp_path / "a.gif", Look(every=2.0, width=300)).path).n_frames == 3
    assert Pillow.open(film(sheet, tmp_path / "b.gif", Look(begin=1.0, end=3.0, width=300)).path).n_frames == 3


# --------------------------------------------------------------------------------------------------------------- curves
def test_the_way_to_a_tip(cell):
    recording = read_recording(cell)
    nodes, far = path_to(recording, "side")
    assert far[-1] == pytest.approx(0.01847, abs=1e-5)         # soma, dend to the compartment at 0.5, side
    assert (np.diff(far) > 0).all()
    assert path_to(recording, None)[1][-1] == pytest.approx(0.0320)
    assert recording.mesh.points[nodes[0]].tolist() == [0, 0, 0]


def test_space_time_of_a_cable(tmp_path):
    run = make_run(tmp_path / "cable", build_mesh(CableMesh(length=0.4, dx=0.02)))
    assert main(["view", str(run), "--space-time", str(tmp_path / "st.png")]) == 0
    assert Pillow.open(tmp_path / "st.png").size == (990, 506)


def test_rows_of_a_raster_by_population(tmp_path, cell):
    (cell / "summary.json").write_text(json.dumps({"spikes": {f"{p}[{k}].soma": 1 for p in "EI" for k in range(12)}}))
    (cell / "spikes.csv").write_text("name,time_ms\nE[3].soma,1.5\nI[10].soma,2.5\nE[3].soma,4\n")
    assert main(["view", str(cell), "--raster", str(tmp_path / "r.png")]) == 0
    image = np.asarray(Pillow.open(tmp_path / "r.png"), int)
    assert (abs(image[:, :, :3] - [59, 110, 168]).sum(axis=2) < 30).any()                  # E
    assert (abs(image[:, :, :3] - [213, 94, 0]).sum(axis=2) < 30).any()                    # I
    spikes = {name: list(times) for name, times in read_spikes(cell).items() if len(times)}
    assert spikes == {"E[3].soma": [1.5, 4], "I[10].soma": [2.5]}
    assert [group_of(n) for n in ("E[3].soma", "soma", "cell12", "pop/axon[1]")] == ["E", "soma", "cell", "pop/axon"]


def spiking(folder):
    """A run with two probes: one spikes at 30 and 50 ms, the other rests."""
    t = np.arange(0, 100, 0.1)
    V = -70 + 100 * sum(np.exp(-((t - at) / 0.5) ** 2) for at in (30, 50))
    rows = np.column_stack([t, V, np.full_like(t, -70.0)])
    np.savetxt(folder / "probes.csv", rows, "%.9g", ",", header="time_ms,soma.V,dend.V", comments="")
    return folder


def test_features_by_efel(cell, tmp_path):
    pytest.importorskip("efel")
    spiking(cell)
    write_features(cell, tmp_path / "f.csv", window=(20.0, 80.0))
    with (tmp_path / "f.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(r["probe"], r["feature"], r["index"]): (float(r["value"]), r["unit"]) for r in rows}
    assert found["soma", "spike_count", "0"] == (2, "")
    assert found["soma", "peak_time", "1"] == (pytest.approx(50, abs=0.11), "ms")
    assert found["soma", "time_to_first_spike", "0"] == (pytest.approx(10, abs=0.11), "ms")
    assert found["soma", "AP_amplitude", "0"][1] == "mV"
    assert found["dend", "spike_count", "0"] == (0, "")
    assert ("dend", "peak_time", "0") not in found
    values = measure(cell, ["peak_time"], (20.0, 80.0))
    np.testing.assert_allclose(values["soma"]["peak_time"], [30, 50], atol=0.11)
    assert len(values["dend"]["peak_time"]) == 0
    assert error_of(lambda: measure(cell, ["peak_tim"])) == (
        "--feature: eFEL has no feature 'peak_tim'\n  -> did you mean 'peak_time'?")
    assert error_of(lambda: measure(cell, window=(20.0, 800.0))) == (
        "--window: 20 to 800 ms is not within the probes' time\n  -> they go from 0 to 99.9 ms")


# ---------------------------------------------------------------------------------------------------------------- check
def test_check_draws_the_cell_with_its_inputs(tmp_path, capsys):
    from upstroke.case.toml import write_document

    path = tmp_path / "case.toml"
    path.write_text(write_document(NEURON, inline=set()))
    assert main(["check", str(path), "--draw", str(tmp_path / "cell.png")]) == 0
    assert capsys.readouterr().out.endswith(f"{tmp_path}/cell.png\n")
    image = np.asarray(Pillow.open(tmp_path / "cell.png").convert("RGB"), int)
    for colour in ([59, 110, 168], [213, 94, 0]):              # the electrode and the synapses
        assert (abs(image - colour).sum(axis=2) < 30).sum() > 20
    assert main(["check", str(path), "--draw", str(tmp_path / "cell.jpg")]) == 2
    assert capsys.readouterr().err == "--draw: 'cell.jpg' is no .png\n  -> name it cell.png\n"


# ----------------------------------------------------------------------------------------------------- from a real run
def test_a_run_gives_back_what_the_verb_makes(tmp_path, capsys):
    case = NEURON | {"watch": {"snapshots": {"every": "0.25 ms", "variables": ["V", "Isyn"]},
                               "activation": {"threshold": "-60 mV"}, "probes": {
                                   "points": {"tip": {"section": "twig", "x": 1}}, "every": "0.025 ms"}}}
    result = upstroke.run(case, tmp_path / "run")
    sections = (tmp_path / "run" / "sections.csv").read_text().splitlines()
    assert sections[:3] == ["section,population,name,type,parent,parent_x,length_um,area_um2,compartments",
                            "0,,soma,soma,,1,20,1256.64,1", "1,,dend,basal,soma,1,200,1256.64,10"]
    assert (tmp_path / "run" / "activation.png").stat().st_size > 10000
    film = result.film(tmp_path / "film.gif", fps=5, variable="Isyn", width=300)
    assert Pillow.open(film).n_frames == 5
    assert result.page(tmp_path / "view.html", bounds=(-80, 0)).read_text().count("<!DOCTYPE") == 1
    assert Pillow.open(result.picture(tmp_path / "p.png", [0.5])).size[0] == 900
    assert main(["view", str(result.directory), "--traces", str(tmp_path / "t.png")]) == 0
    if importlib.util.find_spec("efel"):
        highest = result.features(["maximum_voltage"])["tip"]["maximum_voltage"][0]
        assert highest == pytest.approx(result.probes()["tip.V"].max(), abs=1e-3)
    with pytest.raises(OptionError, match="have no 'v'"):
        result.film(tmp_path / "no.gif", variable="v")


# --------------------------------------------------------------------------------------------------------------- errors
SNAPSHOTS = '  -> run it again with [watch.snapshots], for example --set \'watch.snapshots={every="1 ms"}\''


@pytest.mark.parametrize("words, said", [
    (["--film", "f.avi"], "--film: 'f.avi' is neither .mp4 nor .gif\n  -> name it film.mp4 or film.gif"),
    (["--page", "f.gif"], "--page: 'f.gif' is no .html\n  -> name it view.html"),
    (["--picture", "f.gif"], "--picture: 'f.gif' is no .png\n  -> name it picture.png"),
    (["--space-time", "f.gif"], "--space-time: 'f.gif' is no .png\n  -> name it space_time.png"),
    (["--features", "f.txt"], "--features: 'f.txt' is no .csv\n  -> name it features.csv"),
    (["--film", "f.gif", "--fps", "0"], "--fps: 0 frames a second cannot be\n  -> give 0.1 to 100"),
    (["--film", "f.gif", "--variable", "v"], "--variable: the snapshots of {run} have no 'v'\n  -> did you mean 'V'?"),
    (["--film", "f.gif", "--from", "9 ms"],
     "--from, --to: there is no snapshot from 9 to 4 ms\n  -> they go from 0 to 4 ms"),
    (["--film", "f.gif", "--from", "4 ms"],
     "--film: one snapshot makes no film\n  -> choose more with --from, --to and --every, or take --picture"),
    (["--film", "f.gif", "--from", "9"],
     '--from: "9" has no unit, expected a time\n  -> write "9 ms" or "9 s"'),
    (["--film", "f.gif", "--every", "0.3 ms"],
     "--every: snapshots are 1 ms apart, and 0.3 ms is no multiple of it\n  -> take 1 ms"),
    (["--film", "f.gif", "--range", "3", "1"], "--range: 3 to 1 is no range\n  -> give the lower value first"),
    (["--film", "f.gif", "--width", "10"],
     "--width: 10 pixels are too few for title and colour bar\n  -> give 300 or more"),
    (["--picture", "f.png", "--width", "100000000"],
     "--width: 100,000,000 pixels need too much memory\n  -> give 5000 or less"),
    (["--film", "f.gif", "--triangles", "1"], "--triangles: 1 show no shape\n  -> give 100 or more"),
    (["--film", "f.gif", "--clip", "x 3"], "--clip: cannot read 'x 3'\n  -> for example --clip 'x < 10 mm'"),
    (["--film", "f.gif", "--clip", "x > 5 mm"],
     "--clip: nothing is left of the mesh\n  -> it reaches over x 0 to 4 mm, y 0 to 2 mm, z 0 to 2 mm"),
    (["--film", "f.gif", "--isochrones", "--width", "300"],
     "--isochrones: {run} has no activation times for what is shown\n  -> leave --isochrones out; there are some where "
     "a run has ended, its snapshots hold the whole mesh, and V passed watch.activation.threshold"),
    (["--picture", "f.png", "--at", "1 ms, 7 ms"],
     "--at: there is no snapshot at 7 ms\n  -> they go from 0 to 4 ms"),
    (["--fps", "3"], "--fps: goes with --film\n  -> leave it out, or add --film FILE"),
    (["--film", "f.gif", "--tip", "dend"],
     "--tip: goes with --space-time\n  -> leave it out, or add --space-time FILE"),
    (["--clip", "x < 1 mm", "--probes"],
     "--clip: goes with --page, --film, --picture\n  -> leave it out, or add --page FILE"),
    (["--film", "f.gif", "--rows", "5"],
     "--rows: is of the page that is made without further options\n  -> leave it out, or leave out --film"),
    (["--space-time", "f.png"],
     "--space-time: the mesh of {run} is no cable and no neuron\n  -> take --film or --picture"),
    (["--raster", "f.png"], "{run}: this run watched no spikes (spikes.csv)\n  -> run it again with [watch.spikes]"),
    (["--traces", "f.png"], "{run}: this run has no probes (probes.csv)\n  -> run it again with [watch.probes]"),
    (["--features", "f.csv", "--window", "5 ms"],
     "--window: '5 ms' is not two times, the earlier first\n  -> for example --window '20 ms, 70 ms'"),
])
def test_what_cannot_be(slab, words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["view", str(slab), *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(said.format(run=slab)), error
    assert not list(tmp_path.glob("f.*"))


def test_runs_that_have_nothing_to_show(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["view", str(run), "--film", "f.gif"]) == 2
    assert capsys.readouterr().err == (f"{run}: there is no such folder\n"
                                       "  -> give the folder of a run, such as runs/sheet\n")
    run.mkdir()
    assert main(["view", str(run), "--film", "f.gif"]) == 2
    assert capsys.readouterr().err == (f"{run}: this is no run of tissue or neurons: it has no manifest.json\n"
                                       "  -> give the folder of a run, such as runs/sheet\n")
    (run / "manifest.json").write_text("{}")
    assert main(["view", str(run), "--film", "f.gif"]) == 2
    assert capsys.readouterr().err == f"{run}: this run has no snapshots (vm.vtkhdf)\n{SNAPSHOTS}\n"
    (run / "vm.vtkhdf").write_text("no HDF5")
    assert main(["view", str(run), "--film", "f.gif"]) == 2
    assert capsys.readouterr().err.startswith(f"{run}/vm.vtkhdf: it cannot be read: ")


def test_one_run_at_a_time(slab, sheet, capsys):
    assert main(["view", str(slab), str(sheet), "--film", "f.gif"]) == 2
    assert capsys.readouterr().err == "--film: is made of one run, and 2 are given\n  -> give one\n"


def test_a_tip_that_there_is_not(cell, tmp_path):
    assert error_of(lambda: path_to(read_recording(cell), "dent")) == (
        "--tip: there is no section 'dent'\n  -> did you mean 'dend'?")


def missing(monkeypatch, name):
    """The package is not installed."""
    real = builtins.__import__

    def without(module, *more, **others):
        if module.split(".")[0] == name:
            raise ImportError(name)
        return real(module, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without)


def test_packages_that_are_missing(cell, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    missing(monkeypatch, "imageio_ffmpeg")
    assert error_of(lambda: film(cell, tmp_path / "f.mp4"), BackendError) == (
        f"{tmp_path}/f.mp4: MP4 is written by ffmpeg, which is not installed\n"
        "  -> pip install \"upstroke[view]\", or name the film .gif")
    missing(monkeypatch, "efel")
    assert error_of(lambda: measure(cell), BackendError) == (
        f"{cell}: features are measured by eFEL, which is not installed\n  -> pip install \"upstroke[features]\"")
    monkeypatch.setattr("upstroke.view.paper.find_spec", lambda name: None)
    assert error_of(lambda: film(cell, tmp_path / "f.gif"), BackendError) == (
        f"{tmp_path}/f.gif: is drawn by matplotlib, which is not installed\n  -> pip install \"upstroke[view]\"")


def test_help_is_quick():
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "upstroke", "--help"], check=True, capture_output=True)
    assert time.perf_counter() - start < 1.5                   # 0.1 s where nothing else runs
