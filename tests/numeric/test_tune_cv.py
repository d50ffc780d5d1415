"""Conductivities for wanted velocities: right in a run of the user's own, with errors that help."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from upstroke import run
from upstroke.errors import DivergenceError, ModelError, OptionError, UpstrokeError
from upstroke.experiments.strand import Strand, speed
from upstroke.experiments.tune_cv import report, tune, tune_axes

FAST = Strand("MitchellSchaeffer", dt=0.05)


def test_a_sheet_has_the_velocities(tmp_path: Path) -> None:
    """Axis by axis in the plane, where the calibrated operator is the default."""
    along, across = tune_axes(FAST, [0.06, 0.03], [0.04, 0.02])
    assert along.conductivity / across.conductivity == pytest.approx(4.0, rel=5e-3)        # v^2, whatever the mesh
    wide = {"kind": "sheet", "fibre": [1, 0, 0], "dx": ["0.4 mm", "0.2 mm"]}
    for k, tuned, size, box in ((0, along, ["30 mm", "0.4 mm"], ["2 mm", "1 mm"]),
                                (1, across, ["0.8 mm", "15 mm"], ["1 mm", "1 mm"])):
        result = run({
            "mesh": wide | {"size": size}, "membrane": {"model": "MitchellSchaeffer"},
            "tissue": {"surface_to_volume": "140 /mm", "conductivity": {
                "monodomain": [f"{a.conductivity} mS/cm" for a in (along, across)]}},
            "time": {"end": "60 ms", "dt": "0.05 ms"}, "backend": {"device": "cpu", "threads": 1},
            "stimulus": {"box": {"min": ["0 mm", "0 mm"], "max": box}, "current": "60 uA/cm^2", "duration": "2 ms"},
            "output": {"picture": False}}, tmp_path / str(k))
        line = np.flatnonzero(result.mesh.points[:, 1 - k] == 0.0)
        line = line[np.argsort(result.mesh.points[line, k])]
        seen = speed(result.mesh.points[line, k], result.activation.activation[0, line])
        assert seen == pytest.approx(tuned.wanted, rel=4e-3)
        assert tuned.velocity == pytest.approx(tuned.wanted, rel=1e-3)


@pytest.mark.parametrize("waves", ["lumped", "consistent", "calibrated"])
def test_coarse_meshes_are_made_up_for(waves: str) -> None:
    """A lumped mass slows waves, so more conductivity is found; a consistent one speeds them up."""
    strand = Strand("MitchellSchaeffer", dt=0.05, waves=waves)
    fine, coarse = tune(strand, 0.04, 0.005), tune(strand, 0.04, 0.04)
    more = coarse.conductivity / fine.conductivity
    assert more > 1.02 if waves == "lumped" else more < 0.98 if waves == "consistent" else abs(more - 1.0) < 5e-3
    assert coarse.velocity == pytest.approx(0.04, rel=1e-3) and coarse.runs <= 8


def test_the_report_is_what_a_case_takes() -> None:
    text = report(FAST, [tune(FAST, 0.05, 0.025)])
    value = re.search(r'monodomain = \["([\d.]+) mS/cm"\]', text)
    assert value and text.startswith("MitchellSchaeffer, dt 0.05 ms, godunov, crank_nicolson, waves calibrated")


def test_a_model_without_waves_is_told_in_words_of_the_options() -> None:
    with pytest.raises(ModelError) as error:
        tune(Strand("passive"), 0.05, 0.025)
    assert str(error.value) == (
        "--waves calibrated: model Plonsey: it has no waves whose velocity could be calibrated: the voltage of a cell "
        "that is lifted, by any amount up to 130 mV, only falls\n"
        "  -> take --waves fourth_order, which depends on no model")


def test_speed_of_a_line() -> None:
    x = np.linspace(0.0, 1.0, 41)
    assert speed(x, 3.0 + x / 0.05) == pytest.approx(0.05)
    assert speed(x, np.where(x > 0.5, np.nan, x)) == 0.0 and speed(x, np.ones(41)) == 0.0


def test_what_cannot_be_tuned() -> None:
    with pytest.raises(UpstrokeError) as error:
        tune_axes(FAST, [0.06, 0.03, 0.02], [0.02, 0.02])
    assert str(error.value) == "--dx: 2 for 3 velocities\n  -> give one for all, or one for each"
    with pytest.raises(UpstrokeError) as error:
        tune_axes(FAST, [0.06] * 4, [0.02])
    assert str(error.value) == "--velocity: 4 velocities\n  -> give one to three: along fibre, sheet and normal"
    for velocity, told in ((60.0, "600"), (1e-6, "1e-05")):                  # would take strands or times without end
        with pytest.raises(OptionError) as error:
            tune_axes(FAST, [velocity], [0.02])
        assert str(error.value) == (f"--velocity: {told} m/s is no velocity of a wave in tissue\n"
                                    "  -> give 0.001 to 20 m/s")


def test_what_breaks_names_no_folder_that_is_gone() -> None:
    strand = Strand("MitchellSchaeffer", parameters={"tau_in": 0}, waves="lumped")
    with pytest.raises(DivergenceError) as error:
        strand.velocity(1.0, 0.02, 0.06)
    assert error.value.__notes__ == []
    with pytest.raises(UpstrokeError) as error:
        tune(Strand("Passive", dt=0.1, waves="lumped"), 0.06, 0.05)
    assert str(error.value) == ("model Passive: no wave of 0.6 m/s runs along a strand\n"
                                "  -> check the model and its parameters with upstroke bench")


def test_the_command() -> None:
    def tune_cv(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "upstroke", "tune-cv", *words], capture_output=True, text=True)

    done = tune_cv("MitchellSchaeffer", "--dt", "0.05 ms", "--velocity", "0.5 m/s", "--dx", "0.25 mm")
    assert done.returncode == 0 and "monodomain = [" in done.stdout
    done = tune_cv("MitchellSchaeffer", "--velocity", "0.5", "--dx", "0.25 mm")
    assert (done.returncode, done.stderr) == (2, '--velocity: "0.5" has no unit, expected a velocity\n'
                                              '  -> write "0.5 m/s" or "0.5 mm/ms"\n')
