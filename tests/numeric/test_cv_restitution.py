"""Restitution of a strand: against the equations of the model, and against what must hold of any."""

from __future__ import annotations

import csv
from math import exp, log
from pathlib import Path

import numpy as np
import pytest

from upstroke.cli import main
from upstroke.errors import UpstrokeError
from upstroke.experiments.restitution import cycles, restitution
from upstroke.experiments.strand import Strand

STRAND = Strand("MitchellSchaeffer", parameters={"tau_close": 60.0, "tau_open": 60.0}, dt=0.1)


def theory(DI: float) -> float:
    """APD to leading order (Mitchell and Schaeffer 2003): tau_close ln(h / h_min), h_min = 4 tau_in / tau_out,
    h = 1 - (1 - h_min) exp(-DI / tau_open)."""
    h_min = 4.0 * 0.3 / 6.0
    return 60.0 * log((1.0 - (1.0 - h_min) * exp(-DI / 60.0)) / h_min)


def test_the_curve() -> None:
    asked = [300.0, 220.0, 160.0]
    points = restitution(STRAND, 1.0, 0.03, asked, 3)
    assert [p.cycle_ms for p in points] == asked
    for p in points:
        assert p.DI_ms + p.APD90_ms == pytest.approx(p.cycle_ms, abs=6.0)       # but for the beat before being longer
    for name in ("DI_ms", "APD90_ms", "velocity_m_s"):
        assert np.all(np.diff([getattr(p, name) for p in points]) < 0.0), name
    first, last = points[0], points[-1]
    assert first.APD90_ms - last.APD90_ms == pytest.approx(theory(first.DI_ms) - theory(last.DI_ms), rel=0.15)
    single = STRAND.velocity(1.0, 0.03, 0.03)
    assert 0.9 < first.velocity_m_s / (10.0 * single) < 1.0


def test_it_ends_where_stimuli_are_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["cv-restitution", "MitchellSchaeffer", "--param", "tau_close=60", "--param", "tau_open=60",
                 "--dt", "0.1 ms", "--dx", "0.3 mm", "--conductivity", "1 mS/cm", "--from", "200 ms", "--to", "60 ms",
                 "--step", "70 ms", "--beats", "3", "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert code == 0 and "note: at a cycle of 130 ms stimuli are not followed one to one" in said
    rows = list(csv.DictReader((tmp_path / "out" / "restitution.csv").open()))
    assert [row["cycle_ms"] for row in rows] == ["200"]
    assert (tmp_path / "out" / "restitution.png").stat().st_size > 5000


def test_what_cannot_be_paced() -> None:
    assert cycles(300.0, 240.0, 20.0) == [300.0, 280.0, 260.0, 240.0]
    for call, said in (
            (lambda: cycles(200.0, 300.0, 20.0), "--from and --to: from 200 to 300 ms the cycle does not become "
             "shorter\n"
             '  -> for example --from "600 ms" --to "300 ms"'),
            (lambda: restitution(STRAND, 1.0, 0.03, [300.0], 1), "--beats: 1 is too few: an interval is between two\n"
             "  -> take at least 2"),
            (lambda: restitution(STRAND, 1.0, 0.03, [50.0], 3), "model MitchellSchaeffer: a strand does not follow "
             "stimuli every 50 ms\n  -> begin with a longer one: --from"),
            (lambda: restitution(Strand("Passive", dt=0.1, waves="lumped"), 1.0, 0.03, [50.0], 3),
             "model Passive: no wave runs along a strand of 1 mS/cm\n"
             "  -> check the model with upstroke bench, or take more --conductivity")):
        with pytest.raises(UpstrokeError) as error:
            call()
        assert str(error.value) == said
