"""The run directory of a bench run."""

import json
from pathlib import Path

import pytest

from upstroke.bench.folder import RunFolder
from upstroke.bench.table import Tables, units
from upstroke.errors import OutputError, UpstrokeError
from upstroke.ionic import read_model

MODEL = read_model("V_init = -80; g = 2; .param(); f; .flag(A, B); m_inf = 0.5; tau_m = 1; Iion = g*m*V*(f == A);",
                   "toy")


def manifest(folder: RunFolder) -> dict:
    return json.loads((folder.path / "manifest.json").read_text())


def test_the_manifest_tells_what_lies_there(tmp_path: Path) -> None:
    with RunFolder({"bcl": 500, "out": tmp_path / "run"}, MODEL, {"device": "cpu"}, tmp_path / "run", ["bench"]) as run:
        assert manifest(run)["status"] == "running"
        with Tables(MODEL, 0.01, folder=run.path) as tables:
            run.units("trace.csv", {"time_ms": "ms"} | units(MODEL, tables.columns))
        run.notes.append("a note")
        run.timings["loop"] = 0.5
    said = manifest(run)
    assert (said["status"], said["command"], said["notes"]) == ("done", ["bench"], ["a note"])
    assert said["case"] == {"bcl": 500, "out": str(tmp_path / "run")} and said["backend"] == {"device": "cpu"}
    assert said["model"] == {"name": "toy", "file": "toy.model", "flags": {"f": "A"}, "parameters": {"g": 2.0},
                             "methods": {"V": "fe", "m": "rush_larsen"}}
    assert said["units"] == {"trace.csv": {"time_ms": "ms", "V": "mV", "Iion": "uA/cm^2", "m": ""}}
    assert said["files"] == ["manifest.json", "trace.csv"] and said["timings_s"].keys() == {"run", "loop"}
    assert said["versions"]["upstroke"]


@pytest.mark.parametrize(("error", "status", "text"), [
    (UpstrokeError("t = 3 ms", "it broke", "mend it"), "failed", "t = 3 ms: it broke\n  -> mend it"),
    (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt()"),
])
def test_how_a_run_ended(tmp_path: Path, error: BaseException, status: str, text: str) -> None:
    with pytest.raises(type(error)) as caught, RunFolder({}, MODEL, {}, tmp_path / "run") as run:
        raise error
    assert (manifest(run)["status"], manifest(run)["error"]) == (status, text)
    assert caught.value.__notes__ == [f"results until then in {run.path}"]


def test_runs_side_by_side_never_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [str(RunFolder({}, MODEL, {}).path) for _ in range(3)] == ["runs/bench", "runs/bench-2", "runs/bench-3"]
    with pytest.raises(OutputError) as error:
        RunFolder({}, MODEL, {}, Path("runs/bench"))
    assert str(error.value) == ("runs/bench: exists and is not empty\n"
                                "  -> give another folder: --out DIR, or empty this one; results are never overwritten")
