"""MitchellSchaeffer and AlievPanfilov, carried to mV and ms, against their dimensionless equations by CVODES."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pacing import Cell, Pulses, apd, orders, reference, rms_outside_upstroke

from upstroke.ionic import load_model
from upstroke.ionic.model import Model


@dataclass(frozen=True)
class Scaling:
    """V = rest + span u in mV; time = unit x the paper's, in ms."""

    rest: float
    span: float
    unit: float

    def state(self, paper: dict[str, float]) -> dict[str, float]:
        return {"V": self.rest + self.span * paper["u"]} | {k: v for k, v in paper.items() if k != "u"}

    def rates(self, paper: dict[str, float]) -> dict[str, float]:
        rates = {k: v / self.unit for k, v in paper.items() if k != "u"}
        return {"V": self.span / self.unit * paper["u"]} | rates

    def pulses(self, paper: dict[str, float]) -> Pulses:
        return Pulses(self.span / self.unit * paper["rate"], self.unit * paper["start"],
                      self.unit * paper["duration"], self.unit * paper["period"])

    def trace(self, paper: dict[str, Any]) -> dict[str, Any]:
        return {"t0": self.unit * paper["t0"], "dt": self.unit * paper["dt"],
                "V": self.rest + self.span * np.array(paper["V"])}


def aliev_panfilov(variant: str, methods: str) -> tuple[Model, dict[str, Any], Scaling, float]:
    expected = reference("AlievPanfilov")["variants"][variant]
    changed = {name: expected["parameters"][name] for name in ("a", "eps0")}
    model = load_model("AlievPanfilov", parameters=changed, methods=methods)
    return model, expected, Scaling(-80, 100, 12.9), 0.0129   # dt: 1000 steps in the paper's unit of time


def mitchell_schaeffer(methods: str = "") -> tuple[Model, dict[str, Any], Scaling, float]:
    return load_model("MitchellSchaeffer", methods=methods), reference("MitchellSchaeffer"), Scaling(-86, 126, 1), 0.01


CASES = {
    "MitchellSchaeffer": mitchell_schaeffer,
    "AlievPanfilov": lambda methods="": aliev_panfilov("paper", methods),
    "AlievPanfilov, tissue set": lambda methods="": aliev_panfilov("tissue", methods),
}


@pytest.mark.parametrize("case", CASES)
def test_rates(case: str) -> None:
    model, expected, scaling, dt = CASES[case]()
    for check in expected["rhs"]:
        rates = Cell(model, dt, scaling.state(check["state"])).rates()
        # abs: u near 0 is the difference of V and the resting potential, rounded at 80 mV x 1e-16
        assert rates == pytest.approx(scaling.rates(check["rate"]), rel=1e-9, abs=1e-14 * scaling.span)


@pytest.mark.parametrize("beat", [1, 10])
@pytest.mark.parametrize("case", CASES)
def test_paced_beats(case: str, beat: int) -> None:
    model, expected, scaling, dt = CASES[case]()
    pulses = scaling.pulses(expected["pulse"])
    cell = Cell(model, dt)
    before = (beat - 1) * pulses.period
    cell.run(before, pulses, every=1000)
    t, V = cell.run(before + pulses.period, pulses)
    t = t - before
    assert rms_outside_upstroke(scaling.trace(expected["traces"][f"beat_{beat}"]), t, V, pulses.start) < 0.5
    after = t >= pulses.start - dt / 2
    for percent in (30, 50, 90):
        measured = apd(t[after] - pulses.start, V[after], pulses, percent)
        published = scaling.unit * expected["features"][f"beat_{beat}"][f"APD{percent}"]
        assert measured == pytest.approx(published, rel=0.005)


@pytest.mark.parametrize(("methods", "order"), [("", 1), ("rk2", 2), ("rk4", 4)])
@pytest.mark.parametrize("case", CASES)
def test_order_of_convergence(case: str, methods: str, order: int) -> None:
    """From the plateau, 40 ms on without a stimulus: u stays far above the gate of Mitchell-Schaeffer."""
    model, expected, scaling, _ = CASES[case](methods)
    start = {"u": 0.9, "h": 0.8} if "h" in expected["initial"] else {"u": 0.9, "W": 1.0}
    observed = orders(model, 0.2, 40, scaling.state(start))
    assert observed == pytest.approx(order, abs=0.1 * order)


def test_mitchell_schaeffer_gate_needs_no_annotation() -> None:
    (h,) = load_model("MS").states
    assert h.method == "rush_larsen"
