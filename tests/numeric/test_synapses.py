"""Synapses and voltage clamps against NEURON (data/neuron/make_synapses.py), closed forms, the emulated device."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from ptxas import report, spilled

import upstroke
from upstroke import load_case
from upstroke.case.schema import Site, Spikes
from upstroke.check import check
from upstroke.errors import UpstrokeError

NEURON = json.loads((Path(__file__).parents[1] / "data" / "neuron" / "synapses9.json").read_text())
BALL, STICK = {"section": "soma", "x": 0.25}, {"section": "dend", "x": 0.4875}
KINDS = {"expsyn": {"kind": "expsyn", "tau_decay": "2 ms"},
         "exp2syn": {"kind": "exp2syn", "tau_rise": "0.5 ms", "tau_decay": "5 ms"},
         "gaba": {"kind": "gaba"}, "nmda": {"kind": "nmda"}, "spiking": {"kind": "ampa"}}
ACTIVE = ("gaba", "spiking")
CLAMP = {"site": BALL, "levels": ["-65 mV", "-20 mV", "-80 mV"], "durations": ["2 ms", "6 ms", "4 ms"],
         "series_resistance": "1 Mohm"}


def ball_and_stick(end, dt=0.025, splitting="staggered", active=False, device="cpu", precision="fp64", **tables):
    """The cell of make_synapses.py."""
    membranes = [{"model": "Passive", "parameters": {"Rm": 10, "V_rest": -65}, "initial": {"V": -65}}]
    if active:
        membranes.append({"model": "HodgkinHuxley", "parameters": {"V_L": 10.7}, "initial": {"V": -65},
                          "regions": ["soma"]})
    return load_case({
        "mesh": {"kind": "sections", "compartments": {"max_length": "10 um"}, "section": [
            {"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
            {"name": "dend", "parent": "soma", "length": "400 um", "diameter": "2 um"}]},
        "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": membranes,
        "time": {"end": f"{end} ms", "dt": f"{dt} ms", "splitting": splitting},
        "watch": {"probes": {"points": {"soma": BALL, "dend": STICK}, "every": f"{dt} ms"}},
        "backend": {"device": device, "precision": precision} | ({"threads": 1} if device == "cpu" else {}),
        "output": {"picture": False}} | tables)


def synapse(name, **changes):
    known = NEURON[name]
    return KINDS[name] | {"site": STICK, "weight": f"{1e3 * known['weight_uS']} nS",
                          "events": {"times": [f"{t} ms" for t in known["events_ms"]]}} | changes


def trace(case, folder):
    """t, V of the ball, V of the stick."""
    upstroke.run(case, folder)
    return np.loadtxt(folder / "probes.csv", delimiter=",", skiprows=1).T


def error(known, t, soma, dend):
    """The largest difference from NEURON, mV."""
    return max(np.abs(np.interp(known["times_ms"], t, V) - known[f"{name}_mV"]).max()
               for name, V in (("soma", soma), ("dend", dend)))


def crossings(t, V):
    k = np.flatnonzero((V[:-1] < 0) & (V[1:] >= 0))
    return t[k] - V[k] * (t[1] - t[0]) / (V[k + 1] - V[k])


# ------------------------------------------------------------------------------------------------ NEURON
@pytest.mark.parametrize("name, within", [("expsyn", 0.01), ("exp2syn", 0.001), ("gaba", 2e-4), ("nmda", 3e-5)])
def test_synapses_are_those_of_neuron(name, within, tmp_path):
    """Also where spikes arrive within a step; the first two beside tens of mV."""
    known = NEURON[name]
    case = ball_and_stick(known["end_ms"], active=name in ACTIVE, synapse=[synapse(name)])
    t, soma, dend = trace(case, tmp_path / "r")
    assert error(known, t, soma, dend) < within
    assert np.abs(dend + 65).max() == pytest.approx(abs(known["dend_peak_mV"] + 65), abs=3e-4)


def test_spikes_are_those_of_neuron_by_the_order_of_the_splitting(tmp_path):
    known = NEURON["spiking"]["soma_spikes_ms"]
    late = {}
    for splitting, dts in (("staggered", (0.05, 0.025)), ("implicit", (0.05, 0.025))):
        for dt in dts:
            case = ball_and_stick(40, dt, splitting, active=True, synapse=[synapse("spiking")])
            t, soma, _ = trace(case, tmp_path / f"{splitting}{dt}")
            late[splitting, dt] = np.abs(crossings(t, soma) - known).max()
    assert late["staggered", 0.025] < 0.002 and late["implicit", 0.025] < 0.04
    assert 3.5 < late["staggered", 0.05] / late["staggered", 0.025] < 4.5
    assert 1.8 < late["implicit", 0.05] / late["implicit", 0.025] < 2.2


def test_a_clamp_is_that_of_neuron(tmp_path):
    """1 MOhm to half a ball with squid membrane: a time constant of 6 us, and a sodium current of 13 nA."""
    known = NEURON["clamp"]
    errors = {dt: error(known, *trace(ball_and_stick(16, dt, active=True, voltage_clamp=[CLAMP]), tmp_path / f"{dt}"))
              for dt in (0.0125, 0.00625)}
    assert errors[0.00625] < 0.06 and errors[0.0125] / errors[0.00625] > 3.0
    watch = {"probes": {"points": {"soma": BALL}, "every": "0.005 ms", "variables": ["Iclamp"]}}
    t, density = trace(ball_and_stick(16, 0.005, active=True, voltage_clamp=[CLAMP], watch=watch), tmp_path / "current")
    current = 1e3 * density * np.pi * 20e-4 * 10e-4                     # nA, into half a ball
    then = np.interp(known["times_ms"], t - 0.005, current)             # as Iion, that of the start of the step
    assert np.abs(then - known["current_nA"]).max() < 0.03 < 5 < current.max()


@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
def test_a_stiff_clamp_holds_and_lets_go(splitting, tmp_path):
    """1 kOhm: V is at the level after a step, without swinging about it, and free after the last level."""
    clamp = {"site": BALL, "levels": ["-20 mV"], "durations": ["5 ms"], "series_resistance": "1 kohm", "start": "1 ms"}
    t, soma, _ = trace(ball_and_stick(10, 0.1, splitting, voltage_clamp=[clamp]), tmp_path / "r")
    held = (t > 1.05) & (t < 6.05)
    assert (soma[t < 1.05] == -65).all() and np.abs(soma[held] + 20).max() < 0.05
    assert -60 < soma[-1] < -35


# ------------------------------------------------------------------------------------------ closed forms
def test_many_synapses_are_one_of_their_weight(tmp_path):
    one = trace(ball_and_stick(20, synapse=[synapse("exp2syn", weight="8 nS")]), tmp_path / "one")
    many = trace(ball_and_stick(20, synapse=[synapse("exp2syn", weight="2 pS", count=3000),
                                             synapse("exp2syn", weight="0.5 nS", count=4)]), tmp_path / "many")
    assert np.abs(one - many).max() < 1e-9 < np.abs(one[2] + 65).max()


@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
@pytest.mark.parametrize("arrival", [1.0, 1.01, 1.0499])
def test_the_charge_of_a_weak_synapse_is_exact(splitting, arrival, tmp_path):
    """w (tau_decay - tau_rise) / p (E - V), wherever between two steps its spike arrives; against an electrode."""
    weight = 1e-5                                                       # nS, too weak to change V
    charge = weight * (5.0 - 0.5) / (0.9 * 0.1 ** (1 / 9)) * 65.0       # pA ms
    weak = synapse("exp2syn", weight=f"{weight} nS", events={"times": [f"{arrival} ms"]})
    electrode = {"site": STICK, "total_current": f"{charge} pA", "duration": "1 ms"}
    one, other = (trace(ball_and_stick(120, 0.05, splitting, **{name: [source]}), tmp_path / name)
                  for name, source in (("synapse", weak), ("stimulus", electrode)))
    for a, b in zip(one[1:], other[1:], strict=True):
        assert np.sum(a + 65) == pytest.approx(np.sum(b + 65), rel=1e-4)


def test_the_current_of_a_synapse_is_its_conductance_times_the_drive(tmp_path):
    """Weak, so that V stays; there is no variable of a clamp where there is none."""
    watch = {"probes": {"points": {"dend": STICK}, "every": "1 ms", "variables": ["Isyn"]}}
    weak = synapse("exp2syn", weight="1e-6 nS", events={"times": ["5 ms"]})
    t, Isyn = trace(ball_and_stick(20, 0.005, synapse=[weak], watch=watch), tmp_path / "r")
    later = np.maximum(t - 5.0, 0.0)
    g = 1e-12 * (np.exp(-later / 5) - np.exp(-later / 0.5)) / (0.9 * 0.1 ** (1 / 9))
    assert np.abs(Isyn - g * -65 / (np.pi * 2e-4 * 10e-4)).max() < 1e-3 * np.abs(Isyn).max()
    watch["probes"]["variables"] = ["Iclamp"]
    with pytest.raises(UpstrokeError) as caught:
        upstroke.run(ball_and_stick(20, synapse=[weak], watch=watch), tmp_path / "none")
    assert "the model has no variable 'Iclamp'" in str(caught.value)


def test_check_tells_of_synapses():
    three = synapse("exp2syn", count=3) | {"name": "three"}
    case = ball_and_stick(20, synapse=[three, synapse("gaba", weight="0.25 nS")])
    assert [line for line in check(case).splitlines() if "synapses" in line] == [
        "# synapses 'three': 3 in 1 compartments, 9 spikes, 2 nS each",
        "# synapses 'synapse 2': 1 in 1 compartments, 2 spikes, 0.25 nS each"]


def test_a_run_that_watches_no_spikes_has_none(tmp_path):
    assert upstroke.run(ball_and_stick(1), tmp_path / "r").spikes() == {}


# ------------------------------------------------------------------------------------------------ devices
@pytest.mark.parametrize("precision", ["fp64", "fp32"])
@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
def test_cuda_does_as_the_processor(emulated_cupy, splitting, precision, tmp_path):
    """Synapses of four kinds all over the cell by chance, with a clamp that comes and goes within a step."""
    clamp = CLAMP | {"durations": ["0.41 ms", "0.33 ms", "0.2 ms"], "start": "0.13 ms"}
    poisson = {"rate": "2 /ms", "seed": 3}
    synapses = [{"kind": "ampa", "region": "basal", "count": 60, "weight": "0.3 nS", "events": poisson, "seed": 1},
                {"kind": "nmda", "region": "basal", "count": 60, "weight": "0.3 nS", "events": poisson, "seed": 1},
                {"kind": "gaba", "region": "soma", "count": 5, "weight": "1 nS", "events": poisson},
                synapse("expsyn", events={"times": ["0.5 ms", "0.26 ms"]})]
    cpu, cuda = (trace(ball_and_stick(2, splitting=splitting, active=True, device=device, precision=precision,
                                      synapse=synapses, voltage_clamp=[clamp]), tmp_path / device)
                 for device in ("cpu", "cuda"))
    assert np.abs(cpu - cuda).max() < (1e-9 if precision == "fp64" else 2e-3)
    assert cpu[2].max() > -40 and cpu[1].max() > -25


@pytest.mark.parametrize("real", ["double", "float"])
def test_nvrtc_compiles_it_without_spills(real):
    text = resources.files("upstroke.step").joinpath("conductances.c").read_text()
    clock = "typedef struct { long step; int halted; int status; } upstroke_clock;\n"
    assert spilled(report(f"{clock}#define REAL {real}\n{text}")) == 0


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_spikes_are_told(emulated_cupy, device, tmp_path):
    """At compartments and at the end of a section, as the probes' V has them; two in the summary."""
    case = ball_and_stick(12, active=True, device=device, synapse=[synapse("spiking")])
    case = replace(case, watch=replace(case.watch, spikes=Spikes(
        points={"soma": Site(**BALL), "dend": Site(**STICK), "end": Site(section="soma", x=0.0)}, threshold=-20.0)))
    result = upstroke.run(case, tmp_path / "r")
    t, soma, dend = np.loadtxt(tmp_path / "r" / "probes.csv", delimiter=",", skiprows=1).T
    spikes = np.loadtxt(tmp_path / "r" / "spikes.csv", delimiter=",", skiprows=1,
                        dtype=[("name", "U8"), ("time", float)])
    assert (np.diff(spikes["time"]) >= 0).all()
    for name, V in (("soma", soma), ("dend", dend)):
        assert spikes["time"][spikes["name"] == name] == pytest.approx(crossings(t, V + 20), abs=1e-8)
        assert result.spikes()[name] == pytest.approx(crossings(t, V + 20), abs=1e-8)
    assert (spikes["name"] == "end").sum() == 1 and result.summary["spikes"] == {"soma": 1, "dend": 1, "end": 1}
