"""Every model against the figures of tests/data/models: rates and currents, one beat, ten beats, spikes.

A file holds one or more variants of a model, each with ``initial`` (the published state), ``rhs`` (states with their
rates and intermediate quantities) and, where there is an independent trace, ``features`` and ``traces`` of paced beats
(``pulse``) or of the first two seconds without a stimulus, or ``results`` of current steps (``step``). A variant that
cannot be met as closely as ``DEFAULT`` says so in ``tolerance``, with the reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pacing import DATA, Cell, Pulses, apd, crossings, rms_outside_upstroke

from upstroke.ionic import initial_state, load_model, quantities, rates, shipped_models
from upstroke.ionic.chains import closed_chains
from upstroke.ionic.methods import METHODS
from upstroke.ionic.model import Model

FILES = {path.stem: json.loads(path.read_text()) for path in sorted((DATA / "models").glob("*.json"))}
CASES = {f"{name}-{variant}": (name, figures)
         for name, file in FILES.items() for variant, figures in file["variants"].items()}
FIRST = [f"{name}-{next(iter(file['variants']))}" for name, file in FILES.items()]

#: rel of rates and intermediates, of APD50, APD90 and cycle length, mV of the trace, ms of the step, steps to a sample
DEFAULT = {"rates": 1e-8, "intermediates": 1e-8, "apd50": 0.005, "apd90": 0.005, "cycle": 0.005, "rms": 0.5, "dt": 0.01,
           "every": 2}
LONG_DT = 0.02   # ms, of ten beats
SMALL = ("-O1", "-DUPSTROKE_LIBM", "-DUP_LANES=1L")   # for one cell: compiled ten times faster


def cases(*, having: str, but: frozenset[str] | set[str] = frozenset()) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [c for c, (_, f) in CASES.items() if having in f and c not in but])


@cache
def model(case: str) -> Model:
    name, figures = CASES[case]
    return load_model(name, flags=figures.get("flags", ()), parameters=figures.get("parameters", {}))


def tolerance(case: str) -> dict[str, Any]:
    own = CASES[case][1].get("tolerance", {})
    assert not own or own["reason"]
    assert {*own} <= {*DEFAULT, "reason"}
    return DEFAULT | own


def differing(ours: Mapping[str, Any], theirs: Mapping[str, float], rel: float, scale: Mapping[str, float]) -> dict:
    """Ours and theirs where they differ; ``scale`` is what a rate is a small difference of, at 16 digits."""
    return {name: (float(ours[name]), value) for name, value in theirs.items()
            if not math.isclose(ours[name], value, rel_tol=rel, abs_tol=1e-13 * abs(scale.get(name, 0.0)) + 1e-20)}


def paced(case: str) -> Pulses:
    pulse = CASES[case][1]["pulse"]
    return Pulses(pulse["rate"], pulse["start"], pulse["duration"], pulse["period"])


def next_beat(cell: Cell, case: str, every: int = 1) -> tuple[NDArray, NDArray]:
    """Times from the start of the beat, and V. Where the reference charges the stimulus to an ion, so do we."""
    pulses = paced(case)
    begin = cell.step * cell.dt
    t1, V1 = cell.run(begin + pulses.start + pulses.duration, pulses, every)
    for name, rate in CASES[case][1].get("charged", {}).items():
        cell.shift(name, rate * pulses.duration)
    t2, V2 = cell.run(begin + pulses.period, pulses, every)
    return np.concatenate([t1[:-1], t2]) - begin, np.concatenate([V1[:-1], V2])


def check_durations(case: str, t: NDArray, V: NDArray, expected: Mapping[str, float], times: float = 1.0) -> None:
    """APD50 and APD90 within so many times their tolerance."""
    pulses = paced(case)
    beat = t >= pulses.start - 1e-6
    for percent in (50, 90):
        ours = apd(t[beat] - pulses.start, V[beat], pulses, percent)
        assert ours == pytest.approx(expected[f"APD{percent}"], rel=times * tolerance(case)[f"apd{percent}"]), percent


def test_every_shipped_model_is_checked_here() -> None:
    assert {info.name for info in shipped_models()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_closed_chains_have_a_method_that_keeps_their_sum(name: str) -> None:
    """Exponential methods move each state by itself: after 40 beats of Tomek's IKr 1 % was lost."""
    whole = load_model(name)
    moved = {s.name: s.rate for s in whole.states
             if s.rate is not None and s.slope is not None and METHODS[s.method].exponential}
    assert closed_chains(moved, {d.name: d.expr for d in whole.definitions}) == ()


@cases(having="initial")
def test_starts_from_the_published_state(case: str) -> None:
    assert initial_state(model(case)) == pytest.approx(CASES[case][1]["initial"], rel=1e-11, abs=0)


@cases(having="rhs")
def test_rates(case: str) -> None:
    figures = CASES[case][1]
    for check in figures["rhs"]:
        state = check["state"]
        Iion, slopes = rates(model(case), state["V"], state, check["t"])
        assert differing({"V": -Iion, **slopes}, check["rate"], tolerance(case)["rates"], state) == {}
        assert set(slopes) <= set(check["rate"]) | set(figures.get("unchecked", {}))


@cases(having="rhs")
def test_currents_fluxes_and_gates(case: str) -> None:
    for check in CASES[case][1]["rhs"]:
        ours = quantities(model(case), check["state"]["V"], check["state"], check["t"])
        theirs = check["intermediate"]
        assert differing(ours, theirs, tolerance(case)["intermediates"], dict.fromkeys(theirs, 1.0)) == {}


@pytest.mark.parametrize("case", [c for c, (_, f) in CASES.items() if "beat_1" in f.get("features", {})])
def test_first_beat(case: str) -> None:
    figures, allowed = CASES[case][1], tolerance(case)
    t, V = next_beat(Cell(model(case), allowed["dt"], flags=SMALL), case, allowed["every"])
    assert rms_outside_upstroke(figures["traces"]["beat_1"], t, V, figures["pulse"]["start"]) < allowed["rms"]
    check_durations(case, t, V, figures["features"]["beat_1"])


@pytest.mark.parametrize(
    "case", [c for c, (_, f) in CASES.items() if "pulse" in f and c in FIRST])
def test_ten_beats(case: str) -> None:
    """They end well at a larger step too, and show drifts of the concentrations."""
    cell = Cell(model(case), LONG_DT, flags=SMALL)
    for _ in range(9):
        next_beat(cell, case, every=1000)
    tenth = CASES[case][1].get("features", {}).get("beat_10")
    t, V = next_beat(cell, case, every=1 if tenth else 1000)
    if tenth:
        check_durations(case, t, V, tenth, times=2)
    assert -120 < cell.V < 60


@pytest.mark.parametrize("case", [c for c, (_, f) in CASES.items() if "first_2000ms" in f.get("features", {})])
def test_beats_by_itself(case: str) -> None:
    figures, allowed = CASES[case][1], tolerance(case)
    expected = figures["features"]["first_2000ms"]
    t, V = Cell(model(case), allowed["dt"], flags=SMALL).run(2000)
    upstrokes = crossings(t, V, -20)
    if "upstroke_times" in expected:
        assert upstrokes == pytest.approx(expected["upstroke_times"], rel=allowed["cycle"], abs=0.1)
    if "cycle_lengths" in expected:
        assert np.diff(upstrokes) == pytest.approx(expected["cycle_lengths"], rel=allowed["cycle"])
    trace = figures["traces"]["first_2000ms"]
    times = trace["t0"] + trace["dt"] * np.arange(len(trace["V"]))
    # where V moves fast a small shift in time, checked above, is many mV
    slow = np.abs(np.gradient(trace["V"], times)) < 0.5
    assert np.sqrt(np.mean((np.interp(times, t, V) - trace["V"])[slow] ** 2)) < allowed["rms"]
    assert V.max() == pytest.approx(expected["V_max"], abs=2 * allowed["rms"])
    assert V.min() == pytest.approx(expected.get("MDP", expected.get("V_min")), abs=allowed["rms"])


@pytest.mark.parametrize("case", [c for c in FIRST if not {"pulse", "features", "results"} & set(CASES[c][1])])
def test_ten_seconds(case: str) -> None:
    """Beating by itself, with no trace to compare with."""
    cell = Cell(model(case), LONG_DT, flags=SMALL)
    _, V = cell.run(10_000, every=50)
    assert np.all((V > -120) & (V < 80))


@cases(having="results")
def test_current_steps(case: str) -> None:
    figures, allowed = CASES[case][1], tolerance(case)
    step = figures["step"]
    for current, expected in figures["results"].items():
        cell = Cell(model(case), allowed["dt"], flags=SMALL)
        t, V = cell.run(step["total"], Pulses(float(current), step["start"], step["duration"]))
        spikes = crossings(t, V, step["spike_level"]) - step["start"]
        due = np.array(expected["spike_times"]) - step["start"]
        assert spikes == pytest.approx(due, rel=allowed["cycle"], abs=5 * allowed["dt"])
        assert V.max() == pytest.approx(expected["V_max"], abs=2 * allowed["rms"])
        assert V.min() == pytest.approx(expected["V_min"], abs=allowed["rms"])
