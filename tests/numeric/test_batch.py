"""Members of a study that are run as one: each leaves what it leaves alone, and one that breaks takes none with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from upstroke.batch import Parted, _prepare, common, differing, run_together, why_alone
from upstroke.case import load_case
from upstroke.result import Result
from upstroke.run import prepare, run
from upstroke.sweep import put_together, read_plan, sweep
from upstroke.sweep.plan import Plan
from upstroke.sweep.pools import broken
from upstroke.sweep.worker import run_job

SHEET = """
[mesh]
kind = "sheet"
size = ["4 mm", "2 mm"]
dx = "0.2 mm"
[tissue]
surface_to_volume = "140 /mm"
waves = "lumped"
[tissue.conductivity]
monodomain = ["1 mS/cm"]
[membrane]
model = "MitchellSchaeffer"
[time]
end = "14 ms"
dt = "0.05 ms"
diffusion = "explicit"
[[stimulus]]
box = { min = ["0 mm", "0 mm"], max = ["0.5 mm", "2 mm"] }
current = "60 uA/cm^2"
duration = "2 ms"
[watch.probes]
every = "0.5 ms"
variables = ["V", "Iion", "h"]
points.middle = ["2 mm", "1 mm"]
[watch.snapshots]
every = "4 ms"
[watch.tips]
every = "1 ms"
[watch.spikes]
points.middle = ["2 mm", "1 mm"]
[watch.ecg]
every = "1 ms"
thickness = "1 mm"
electrodes.above = ["2 mm", "1 mm", "5 mm"]
[backend]
device = "cpu"
threads = 1
[output]
picture = false
"""
VALUES = (
    ("stimulus.0.current=50 uA/cm^2", "tissue.surface_to_volume=120 /mm"),
    ("stimulus.0.start=1.03 ms", "tissue.conductivity.monodomain=['2 mS/cm']"),
    ("stimulus.0.box.max=['1.5 mm', '1 mm']", "membrane.initial={ h = 0.9 }"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "case.toml").write_text(SHEET)
    return tmp_path


def both(folder: Path, values: tuple[tuple[str, ...], ...], *more: str) -> list[tuple[Result, Result]]:
    """Each run alone and in a batch."""
    cases = [load_case(folder, overrides=(*more, *own)) for own in values]
    assert len({common(case) for case in cases}) == 1 and not any(why_alone(case) for case in cases)
    together = run_together(cases, [folder / f"together{k}" for k in range(len(cases))])
    return [(run(case, folder / f"alone{k}"), one) for k, (case, one) in enumerate(zip(cases, together, strict=True))]


def snapshots(result: Result) -> np.ndarray[Any, Any]:
    with h5py.File(result.directory / "vm.vtkhdf") as file:
        return np.asarray(file["VTKHDF/PointData/V"])


def same_files(alone: Result, together: Result) -> None:
    """Byte for byte, but for the manifest, which tells of the batch, and moments in the snapshots' file."""
    names = sorted(path.name for path in alone.directory.iterdir())
    assert names == sorted(path.name for path in together.directory.iterdir()) and len(names) == 8
    for name in ("activation.vtu", "probes.csv", "spikes.csv", "ecg.csv", "tips.csv", "summary.json"):
        assert (alone.directory / name).read_bytes() == (together.directory / name).read_bytes(), name
    np.testing.assert_array_equal(snapshots(alone), snapshots(together))


def test_a_member_leaves_what_it_leaves_alone(folder: Path) -> None:
    results = both(folder, VALUES)
    for alone, together in results:
        same_files(alone, together)
        assert alone.summary["activated_fraction"] == 1.0 and alone.notes == together.notes
        np.testing.assert_array_equal(alone.state.variable("h"), together.state.variable("h"))
    times = [alone.summary["latest_activation"]["time_ms"] for alone, _ in results]
    assert len(set(times)) == 3                                                    # they do differ
    manifest = json.loads((folder / "together1" / "manifest.json").read_text())
    assert manifest["status"] == "done" and manifest["case"]["stimulus"][0]["start"] == "1.03 ms"
    assert manifest["batch"] == {"runs": ["together0", "together1", "together2"], "nodes": 3 * 231,
                                 "shared": "steps and their seconds, the solver's iterations"}


def test_parameters_become_nodal(folder: Path) -> None:
    """Single runs have them as literals, which the compiler may fold: equal to rounding."""
    values = tuple((f"membrane.parameters.tau_in={tau}", f"membrane.parameters.tau_close={tau * 500}")
                   for tau in (0.25, 0.3, 0.4))
    for alone, together in both(folder, values, "time.end=60 ms"):
        np.testing.assert_allclose(together.activation.activation, alone.activation.activation, rtol=0, atol=1e-11)
        np.testing.assert_allclose(snapshots(together), snapshots(alone), rtol=0, atol=1e-9)


def test_several_membranes_are_a_launch_each(folder: Path) -> None:
    text = SHEET.replace("[tissue]\n", '[mesh.regions]\nright = "x > 2 mm"\n[tissue]\n')
    text = text.replace("[membrane]\nmodel = \"MitchellSchaeffer\"\n", """
[[membrane]]
model = "MitchellSchaeffer"
[[membrane]]
model = "AlievPanfilov"
regions = ["right"]
""")
    text = text[:text.index("[watch.spikes]")] + text[text.index("[backend]"):]
    (folder / "case.toml").write_text(text)
    for alone, together in both(folder, VALUES[:2]):
        for name in ("activation.vtu", "probes.csv", "summary.json"):
            assert (alone.directory / name).read_bytes() == (together.directory / name).read_bytes(), name
        np.testing.assert_array_equal(snapshots(alone), snapshots(together))


def test_iterations_are_shared_and_no_member_is_less_exact(folder: Path) -> None:
    """Conjugate gradients: each copy's part of the joint residual is within the tolerance of a single run."""
    errors = []
    for tolerance in ("1e-5 mV", "1e-8 mV"):
        exact = both(folder, VALUES, "time.diffusion=crank_nicolson", f"solver.tolerance={tolerance}")
        errors.append(max(np.abs(a.activation.activation - b.activation.activation).max() for a, b in exact))
        assert {json.dumps(b.summary["solver"]) for _, b in exact} == {json.dumps(exact[0][1].summary["solver"])}
        for path in (*folder.glob("alone*"), *folder.glob("together*")):
            path.rename(folder / f"{path.name}-{tolerance}")
    assert errors[0] < 1e-4 and errors[1] < 1e-7


def test_on_a_device_too_a_member_leaves_what_it_leaves_alone(folder: Path, emulated_cupy: Any) -> None:
    """On the stand-in for CuPy: the same bits as a single run there."""
    short = ("backend.device=cuda", "time.end=3 ms", "watch.snapshots.every=1 ms")
    for alone, together in both(folder, VALUES, *short):
        same_files(alone, together)
        assert together.summary["beats"] == 1
    values = tuple((f"membrane.parameters.tau_in={tau}",) for tau in (0.25, 0.3))
    for name in ("alone", "together"):
        for path in folder.glob(f"{name}*"):
            path.rename(folder / f"first-{path.name}")
    for alone, together in both(folder, values, *short, "time.diffusion=crank_nicolson", "solver.tolerance=1e-8 mV"):
        np.testing.assert_allclose(snapshots(together), snapshots(alone), rtol=0, atol=1e-6)


def test_a_step_has_as_many_stages_as_that_of_one_run(folder: Path) -> None:
    cases = [load_case(folder, overrides=own) for own in VALUES]
    _, stepper, states = _prepare(cases, None)
    assert [stage.name for stage in stepper.stages] == [stage.name for stage in prepare(cases[0]).stepper.stages]
    assert len(stepper.state.groups) == 1 and stepper.state.n == 3 * states[0].n


# ---------------------------------------------------------------------------------------------------- in a study
STUDY = """
case = "."
[run]
workers = 1
batch = 8
[list]
stimulus.0.current = ["50 uA/cm^2", "55 uA/cm^2", "1e9 uA/cm^2", "60 uA/cm^2", "65 uA/cm^2", "70 uA/cm^2"]
stimulus.0.box.max.0 = ["0.5 mm", "0.5 mm", "0.5 mm", "0.5 mm", "0.5 mm", "5 mm"]
stimulus.0.box.min.0 = ["0 mm", "0 mm", "0 mm", "0 mm", "0 mm", "4.5 mm"]
"""


def written(folder: Path, text: str) -> Plan:
    (folder / "study.toml").write_text(text)
    return read_plan(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in sorted(folder.glob("members/*/*"))
            if path.name not in ("manifest.json", "vm.vtkhdf")}


def batches(folder: Path) -> list[int]:
    """How many each member was run with, by the journal; 0: alone."""
    found = {}
    for line in (folder / "outcomes.jsonl").read_text().splitlines():
        found[json.loads(line)["member"]] = json.loads(line).get("batch", 0)
    return [found[member] for member in sorted(found)]


def test_a_member_that_fails_takes_none_with_it_and_a_study_goes_on_member_by_member(folder: Path) -> None:
    """One diverges, another stimulates no node."""
    apart = sweep(written(folder, STUDY.replace("batch = 8", "")), folder / "apart")
    plan, out = written(folder, STUDY), folder / "out"
    result = sweep(plan, out)
    assert [row["status"] for row in result.rows] == ["done", "done", "failed", "done", "done", "failed"]
    assert batches(out) == [2, 2, 0, 2, 2, 0] and batches(folder / "apart") == [0] * 6
    assert [row["error"].replace("/out/", "/apart/") for row in result.rows] == [row["error"] for row in apart.rows]
    assert "node 0: V" in result.rows[2]["error"] and "touches no node" in result.rows[5]["error"]
    assert files(out) == files(folder / "apart") and result.notes == apart.notes == ()
    manifests = [json.loads((out / "members" / f"{k:04d}" / "manifest.json").read_text()) for k in (1, 2)]
    assert manifests[0]["batch"]["runs"] == ["0000", "0001"] and "batch" not in manifests[1]
    assert manifests[1]["status"] == "failed" and manifests[1]["files"]

    for k in (1, 3):                                    # as a kill leaves them
        path = out / "members" / f"{k:04d}" / "manifest.json"
        path.write_text(path.read_text().replace('"done"', '"running"'))
    before = {path: path.stat().st_mtime_ns for path in out.glob("members/*/summary.json")}
    assert sweep(plan, out).count("done") == 4 and files(out) == files(folder / "apart")
    again = [path.parent.name for path in sorted(before) if path.stat().st_mtime_ns != before[path]]
    assert again == ["0001", "0003"] and batches(out) == [2, 2, 0, 2, 2, 0]


def jobs(folder: Path, study: str, workers: int = 1) -> tuple[list[list[int]], list[str]]:
    plan = written(folder, study)
    found, notes = put_together(plan, folder, list(range(len(plan.members))), workers)
    return [list(job) for job in found.together], notes


def test_what_goes_together_and_notes_on_what_cannot(folder: Path) -> None:
    text = 'case = "."\n[run]\nbatch = {}\n[grid]\nstimulus.0.start = ["0 ms", "1 ms", "2 ms", "3 ms", "4 ms"]\n'
    assert jobs(folder, text.format(1)) == ([[0], [1], [2], [3], [4]], [])
    assert jobs(folder, text.format(4)) == ([[0, 1], [2, 3, 4]], [])
    assert jobs(folder, text.format(8), workers=4) == ([[0], [1, 2], [3, 4]], [])        # all have something to do
    assert jobs(folder, text.format('"auto"')) == ([[0, 1, 2, 3, 4]], [])
    two = text.format(8) + 'time.dt = ["0.05 ms", "0.025 ms"]\n'
    assert jobs(folder, two) == ([[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]], [])
    text = 'case = "."\n[run]\nbatch = 8\n[list]\ntime.end = ["1 ms", "2 ms", "2 ms"]\n'
    assert jobs(folder, text) == (
        [[0], [1, 2]], ["member 0 is not batched: no other has the same mesh, model, numerics and [watch]"])
    assert jobs(folder, text + 'output.time_limit = ["1 h", "2 h", "3 h"]\n') == (
        [[0], [1], [2]], ["3 members (0, 1, 2) are not batched: output.time_limit"])


def test_what_breaks_together_leaves_nothing_and_is_parted(folder: Path) -> None:
    """Those that broke run alone, the others in halves; what stands in no member's numbers, in halves."""
    def job(*currents: str) -> dict[str, Any]:
        return {"most": None, "members": [
            [k + 10, {"sources": [str(folder)], "overrides": [f"stimulus.0.current={current}"],
                      "out": str(folder / f"member{k}")}] for k, current in enumerate(currents)]}

    assert run_job(job("50 uA/cm^2", "1e9 uA/cm^2", "60 uA/cm^2", "70 uA/cm^2")) == {
        "done": [], "again": [[11], [10], [12, 13]]}
    assert not list(folder.glob("member*"))
    (folder / "member1").mkdir()
    (folder / "member1" / "thesis.txt").write_text("mine")
    assert run_job(job("50 uA/cm^2", "60 uA/cm^2", "70 uA/cm^2")) == {"done": [], "again": [[10], [11, 12]]}
    assert [str(path.relative_to(folder)) for path in folder.glob("member*/*")] == ["member1/thesis.txt"]


def test_a_process_that_dies_is_tried_again_in_halves() -> None:
    assert broken((3, 4, 5), "it died", 1.0) == {"done": [], "again": [[3], [4, 5]]}
    assert broken((3,), "it died", 1.0) == {
        "done": [[3, {"status": "failed", "error": "it died", "seconds": 1.0}]], "again": []}


def test_parameters_that_differ_and_how_many_fit(folder: Path) -> None:
    tables = [load_case(folder, overrides=(f"membrane.parameters={{ tau_in = {tau}, tau_out = 6.0 }}",)).membrane[0]
              for tau in (0.2, 0.3)]
    assert differing(tables) == ["tau_in"]
    case = load_case(folder)
    with pytest.raises(Parted) as parted:
        run_together([case] * 5, [folder / str(k) for k in range(5)], most=2)
    assert parted.value.parts == ((0, 1), (2, 3), (4,)) and not (folder / "0").exists()
