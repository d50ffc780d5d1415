"""A run that was ended and goes on gives what an uninterrupted one gives, bit for bit; broken checkpoints are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from upstroke import load_case
from upstroke.backend.halo import Alone
from upstroke.checkpoint import Saver
from upstroke.errors import Ended, OutputError, UpstrokeError
from upstroke.run import resume, run

CORNER = {"box": {"min": ["0 mm"], "max": ["0.8 mm"]}, "current": "90 uA/cm^2", "duration": "1 ms", "period": "1.5 ms",
          "count": 3}
TISSUE: dict[str, Any] = {
    "mesh": {"kind": "sheet", "size": ["4 mm", "3 mm"], "dx": "0.25 mm", "fibre": [1, 0, 0]},
    "tissue": {"surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["3 mS/cm", "1 mS/cm"]}, "waves": 0.2},
    "membrane": {"model": "tenTusscherPanfilov"}, "time": {"end": "4 ms", "dt": "0.05 ms"}, "stimulus": CORNER,
    "watch": {"activation": {"threshold": "-60 mV", "repolarisation": 0.2},
              "probes": {"points": {"a": ["0 mm"], "b": ["2 mm"]}, "every": "0.1 ms", "variables": ["V", "Iion", "M"]},
              "snapshots": {"every": "0.5 ms", "variables": ["V", "Cai"]},
              "spikes": {"points": {"a": ["0 mm"], "b": ["2 mm"]}, "threshold": "-60 mV"}},
    "output": {"picture": False}, "backend": {"device": "cpu"}}
LUMPED = TISSUE["tissue"] | {"waves": "lumped"}
SLAB = {"kind": "slab", "size": ["1 mm", "1 mm", "0.5 mm"], "dx": "0.25 mm", "fibre": [1, 0, 0]}
ROOT = {"nodes": "purkinje_root", "current": "1 mA/cm^2", "duration": "1 ms"}
PURKINJE = {"conductivity": "15 mS/cm", "diameter": "0.3 mm", "resistance": "1 kohm", "radius": "0.3 mm",
            "dx": "0.1 mm", "fractal": {
                "surface": "zmax", "root": ["0 mm", "0.5 mm", "0.5 mm"], "toward": ["1 mm", "0.5 mm", "0.5 mm"],
                "trunk": "0.3 mm", "length": "0.3 mm", "generations": 2}}
CABLE = {"kind": "cable", "length": "8 mm", "dx": "0.2 mm"}
NEURON: dict[str, Any] = {
    "mesh": {"kind": "sections", "compartments": {"max_length": "40 um"}, "section": [
        {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
        {"name": "dend", "parent": "soma", "length": "200 um", "diameter": "2 um", "levels": 2}]},
    "cable": {"axial_resistivity": "150 ohm*cm"},
    "membrane": [{"model": "HodgkinHuxley", "regions": ["soma"]}, {"model": "Passive", "initial": {"V": -65}}],
    "time": {"end": "12 ms", "dt": "0.025 ms", "splitting": "staggered"},
    "stimulus": {"site": {"section": "soma"}, "total_current": "0.3 nA", "start": "2 ms", "duration": "6 ms"},
    "synapse": [{"kind": "ampa", "region": "basal", "count": 30, "weight": "1 nS", "delay": "1 ms",
                 "events": {"rate": "200 /s"}},
                {"kind": "nmda", "site": {"section": "soma"}, "weight": "1 nS", "events": {"rate": "500 /s"}}],
    "voltage_clamp": {"site": {"section": "dend[2]"}, "levels": ["-50 mV"], "durations": ["7 ms"], "start": "4 ms",
                      "series_resistance": "50 Mohm"},
    "watch": {"spikes": {"points": {"soma": {"section": "soma"}}, "threshold": "-20 mV"},
              "probes": {"points": {"soma": {"section": "soma"}, "tip": {"section": "dend[2]", "x": 1.0}},
                         "every": "0.1 ms", "variables": ["V", "Iion", "Isyn", "Iclamp"]},
              "snapshots": {"every": "1 ms"}},
    "output": {"picture": False}, "backend": {"device": "cpu"}}
NETWORK: dict[str, Any] = NEURON | {
    "mesh": {"kind": "network", "population": [{"name": "pop", "count": 9, "cell": NEURON["mesh"]}]},
    "stimulus": NEURON["stimulus"] | {"site": {"section": "soma", "cell": 0}}, "voltage_clamp": [],
    "synapse": {"kind": "exp2syn", "tau_rise": "0.2 ms", "tau_decay": "2 ms", "site": {"section": "dend[1]"},
                "count": 4, "weight": {"uniform": ["3 nS", "9 nS"]}, "delay": {"uniform": ["0.2 ms", "4 ms"]},
                "events": {"source": {"section": "soma"}, "threshold": "-20 mV"}},
    "gap_junction": {"conductance": "1 nS", "site": {"section": "dend[2]"}, "to": {"section": "dend[2]"}, "ring": True},
    "noise": {"site": {"section": "soma"}, "conductance": ["5 nS", "3 nS"], "reversal": "0 mV", "tau": "3 ms"},
    "watch": NEURON["watch"] | {"probes": {"points": {"soma": {"section": "soma"}}, "every": "0.1 ms",
                                           "variables": ["V", "Isyn", "Igap", "Inoise"]}}}

RUNS: dict[str, dict[str, Any]] = {
    "conjugate gradients": TISSUE,
    "strang": TISSUE | {"time": TISSUE["time"] | {"splitting": "strang"}},
    "chebyshev, mixed": TISSUE | {"solver": {"method": "chebyshev"},
                                  "backend": {"device": "cpu", "precision": "mixed"}},
    "explicit": TISSUE | {"tissue": LUMPED, "time": TISSUE["time"] | {"diffusion": "explicit"}},
    "unsplit": TISSUE | {"tissue": LUMPED, "time": TISSUE["time"] | {"diffusion": "explicit", "splitting": "unsplit"}},
    "slab": TISSUE | {"mesh": SLAB},
    "purkinje": TISSUE | {"mesh": SLAB, "stimulus": ROOT,
                          "purkinje": PURKINJE},
    "electrograms": TISSUE | {"watch": TISSUE["watch"] | {"ecg": {
        "electrodes": {"a": ["9 mm"], "b": ["2 mm", "1 mm", "5 mm"]}, "leads": {"ab": ["a", "b"]}, "every": "0.1 ms",
        "thickness": "1 mm"}}},
    "bounded conductors": TISSUE | {"tissue": TISSUE["tissue"] | {"conductivity": {
        "intracellular": ["4 mS/cm", "1.2 mS/cm"], "extracellular": ["12 mS/cm", "6 mS/cm"]}},
        "watch": TISSUE["watch"] | {
            "snapshots": {"every": "0.5 ms", "variables": ["phi_e", "Cai"]},
            "ecg": {"electrodes": {"a": ["0 mm"], "b": ["3.9 mm", "3 mm"]}, "every": "0.1 ms", "conductor": "mesh"}}},
    "that comes to rest": TISSUE | {          # at 4 ms, of which it is to know that it has been quiet since 1 ms
        "time": TISSUE["time"] | {"end": "5 ms"}, "stimulus": CORNER | {"current": "1 uA/cm^2", "count": 1},
        "watch": TISSUE["watch"] | {"stop_when_quiet": {"during": "3 ms"}}},
    "tree": TISSUE | {"mesh": CABLE, "solver": {"method": "tree"}, "tissue": {
        "surface_to_volume": "140 /mm", "conductivity": {"monodomain": ["3 mS/cm"]}}},
    "neuron, staggered": NEURON,
    "network": NETWORK,
    "neuron, implicit": NEURON | {"time": NEURON["time"] | {"splitting": "implicit"}},
}


def end_at(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """End runs after these steps, as SIGTERM would."""
    see = Saver.see

    def ended(self: Saver, n: int) -> None:
        if n in steps:
            self._asked, self._end = "a test wants it", True
        see(self, n)

    monkeypatch.setattr(Saver, "see", ended)


def files(folder: Path) -> dict[str, bytes]:
    """The files that must not differ; of HDF5, which notes the time of day, what is in it."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()
             if not path.name.startswith(("manifest", "checkpoint", "vm."))}
    with h5py.File(folder / "vm.vtkhdf") as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
        found["NSteps"] = bytes(file["VTKHDF/Steps"].attrs["NSteps"])
    return found


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_goes_on_is_the_uninterrupted_one(name: str, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    case = load_case(RUNS[name])
    steps = round(case.time.end / case.time.dt)
    whole = run(case, tmp_path / "whole")
    with monkeypatch.context() as patch:
        end_at(patch, steps // 3)
        with pytest.raises(Ended) as error:
            run(case, tmp_path / "parts")
        assert error.value.exit_code == 75
        assert str(error.value).startswith(
            f"{tmp_path / 'parts'}: ended after {steps // 3:,} of {steps:,} steps: a test wants it; "
            f"checkpoint-{steps // 3:09d}.npz is written\n  -> go on with: upstroke resume {tmp_path / 'parts'}")
    with monkeypatch.context() as patch:
        end_at(patch, 2 * steps // 3)
        with pytest.raises(Ended):
            resume(tmp_path / "parts")
    parts = resume(tmp_path / "parts")
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    for variable in whole.state.names:
        assert np.array_equal(parts.state.variable(variable), whole.state.variable(variable), equal_nan=True), variable
    manifest = json.loads((tmp_path / "parts" / "manifest.json").read_text())
    assert manifest["status"] == "done" and [part["status"] for part in manifest["went_on_from"]] == ["interrupted"] * 2
    with pytest.raises(OutputError) as error:
        resume(tmp_path / "parts")
    assert str(error.value) == f"{tmp_path / 'parts'}: this run is done\n  -> its results are complete"


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "upstroke", *map(str, words)]


def write(folder: Path, end: str = "30 ms") -> Path:
    """A case that takes a second or two, as a file."""
    path = folder / "case.toml"
    path.write_text(f"""
[mesh]
kind = "sheet"
size = ["6 mm", "6 mm"]
dx = "0.1 mm"
[tissue]
surface_to_volume = "140 /mm"
[tissue.conductivity]
monodomain = ["2 mS/cm"]
[membrane]
model = "MitchellSchaeffer"
[time]
end = "{end}"
dt = "0.02 ms"
[[stimulus]]
box = {{ min = ["0 mm"], max = ["1 mm"] }}
current = "60 uA/cm^2"
duration = "2 ms"
[watch.probes]
points.a = ["3 mm", "3 mm"]
every = "0.1 ms"
[watch.snapshots]
every = "2 ms"
[output]
picture = false
""")
    return path


def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    case, parts = write(tmp_path), tmp_path / "parts"
    run(case, tmp_path / "whole")
    random = np.random.default_rng(1)
    words: tuple[str | Path, ...] = ("run", case, "--out", parts, "--quiet", "--checkpoint-every", "20 ms")
    kills = 0
    for _ in range(6):
        process = subprocess.Popen(command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        begun = time.monotonic()
        seen = {path.name for path in parts.glob("checkpoint-*")}
        while process.poll() is None and time.monotonic() - begun < 30 and (
                {path.name for path in parts.glob("checkpoint-*")} <= seen):
            time.sleep(0.005)
        time.sleep(random.uniform(0.0, 0.05))
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
        assert len(list(parts.glob("checkpoint-*.npz"))) <= 3          # the last two, and one that was not cleared away
        words = ("resume", parts, "--quiet")
    assert kills >= 3          # with range(20) above: 20
    if json.loads((parts / "manifest.json").read_text())["status"] != "done":
        resume(parts)
    assert files(parts) == files(tmp_path / "whole")


def test_signals_and_the_time_limit(tmp_path: Path) -> None:
    case, parts = write(tmp_path, end="60 s"), tmp_path / "parts"
    process = subprocess.Popen(command("run", case, "--out", parts, "--quiet"), stderr=subprocess.PIPE, text=True)
    while not (parts / "probes.csv").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGUSR1)
    begun = time.monotonic()
    while not list(parts.glob("checkpoint-*.npz")) and time.monotonic() - begun < 30:
        time.sleep(0.01)
    assert process.poll() is None and len(list(parts.glob("checkpoint-*.npz"))) == 1
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75 and ": SIGTERM came; checkpoint-" in said and "upstroke resume" in said
    assert json.loads((parts / "manifest.json").read_text())["status"] == "interrupted"
    done = subprocess.run(command("run", case, "--out", tmp_path / "limited", "--quiet", "--time-limit", "500 ms"),
                          capture_output=True, text=True)
    assert done.returncode == 75 and ": the time limit is reached; checkpoint-" in done.stderr


def ended(folder: Path, monkeypatch: pytest.MonkeyPatch, *steps: int) -> Path:
    """A run with checkpoints after some steps, ended at the last."""
    see = Saver.see

    def saved(self: Saver, n: int) -> None:
        if n in steps:
            self._asked, self._end = "a test wants it", n == steps[-1]
        see(self, n)

    with monkeypatch.context() as patch, pytest.raises(Ended):
        patch.setattr(Saver, "see", saved)
        run(load_case(TISSUE), folder)
    return folder


def test_a_damaged_checkpoint_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ended(tmp_path / "parts", monkeypatch, 10, 20, 30)
    old, new = sorted(parts.glob("checkpoint-*.npz"))
    assert (old.name, new.name) == ("checkpoint-000000020.npz", "checkpoint-000000030.npz")
    content = bytearray(new.read_bytes())
    content[len(content) // 2] ^= 1                    # a bit that has flipped
    new.write_bytes(content)
    run(load_case(TISSUE), tmp_path / "whole")
    result = resume(parts)
    assert any(note.startswith("checkpoint-000000030.npz is damaged (Bad CRC-32") and
               note.endswith("; the one before it is used") for note in result.notes)
    whole, found = files(tmp_path / "whole"), files(parts)
    assert {name for name in whole if whole[name] != found[name]} == {"summary.json"}      # where the note stands

    parts = ended(tmp_path / "other", monkeypatch, 10, 20)
    for path in parts.glob("checkpoint-*.npz"):
        path.write_bytes(path.read_bytes()[:2000])     # a disk that was full
    with pytest.raises(OutputError) as error:
        resume(parts)
    assert str(error.value) == f"{parts}: all its checkpoints are damaged\n  -> run the case again"


def test_what_cannot_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ended(tmp_path / "parts", monkeypatch, 10)
    other = tmp_path / "other"
    with pytest.raises(UpstrokeError):
        run(load_case(TISSUE | {"membrane": {"model": "MitchellSchaeffer"}, "watch": {}, "stimulus": CORNER | {
            "current": "1e9 uA/cm^2"}}), other)
    with pytest.raises(OutputError) as error:
        resume(other)
    assert str(error.value) == (f"{other}: holds no checkpoint\n"
                                '  -> run the case again; --checkpoint-every "30 min" leaves some')
    foreign = other / "checkpoint-000000010.npz"
    foreign.write_bytes((parts / foreign.name).read_bytes())
    with pytest.raises(OutputError) as error:
        resume(other)
    assert str(error.value) == (f"{foreign}: was made by another case, version or device\n"
                                "  -> go on with what made it, or run the case again")
    done = subprocess.run(command("resume", tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2, f"{tmp_path}: is no run directory: it has no manifest.json of a run\n"
           "  -> name a folder that `upstroke run` made\n")
    done = subprocess.run(command("run", write(tmp_path), "--checkpoint-every", "5"), capture_output=True, text=True)
    assert done.returncode == 2 and 'output.checkpoint_every: "5" has no unit, expected a time' in done.stderr


def test_ranks_that_see_unlike_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file system may show them that is slow to tell all machines of new files."""
    parts = ended(tmp_path / "parts", monkeypatch, 10)
    monkeypatch.setattr(Alone, "widest", lambda self, low, high: (low - 10, high))
    with pytest.raises(OutputError) as error:
        resume(parts)
    assert str(error.value) == (f"{parts}/checkpoint-000000010.npz: ranks see unlike checkpoints, of steps 0 to 10\n"
                                "  -> resume when the file system shows the newest one everywhere")


def test_on_a_device(emulated_cupy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = {name: TISSUE["watch"][name] for name in ("activation", "spikes")} | {"snapshots": {"every": "0.5 ms"}}
    case = load_case(TISSUE | {
        "mesh": TISSUE["mesh"] | {"size": ["2 mm", "1 mm"]}, "membrane": {"model": "MitchellSchaeffer"}, "watch": watch,
        "time": TISSUE["time"] | {"end": "2 ms", "splitting": "strang"}, "backend": {"device": "cuda"}})
    run(case, tmp_path / "whole")
    with monkeypatch.context() as patch:
        end_at(patch, 13)
        with pytest.raises(Ended):
            run(case, tmp_path / "parts")
    resume(tmp_path / "parts")
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
