"""Gap junctions against NEURON (data/neuron/make_gaps.py): order, strong junctions, charge, the emulated device."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from ptxas import report, spilled

import upstroke
from upstroke import load_case
from upstroke.run import prepare

NEURON = json.loads((Path(__file__).parents[1] / "data" / "neuron" / "gaps9.json").read_text())
BALL, STICK, END = {"section": "soma", "x": 0.25}, {"section": "dend", "x": 0.4875}, {"section": "dend", "x": 0.9875}
PASSIVE = {"model": "Passive", "parameters": {"Rm": 10, "V_rest": -65}, "initial": {"V": -65}}
SQUID = {"model": "HodgkinHuxley", "parameters": {"V_L": 10.7}, "initial": {"V": -65}, "regions": ["soma"]}
CLAMP = {"site": BALL | {"cell": 0}, "total_current": "0.5 nA", "start": "2 ms", "duration": "20 ms"}


def two_cells(gaps, end=40.0, dt=0.025, splitting="staggered", active=True, count=2, device="cpu", precision="fp64",
              threads=1, **tables):
    """The cells of make_gaps.py."""
    sections = [{"name": "soma", "type": "soma", "length": "20 um", "diameter": "20 um"},
                {"name": "dend", "parent": "soma", "length": "400 um", "diameter": "2 um"}]
    cell = {"kind": "sections", "section": sections, "compartments": {"max_length": "10 um"}}
    points = {"ball": BALL | {"cell": 0}, "stick": STICK | {"cell": 0}, "far_stick": STICK | {"cell": 1},
              "far_ball": BALL | {"cell": 1}}
    return load_case({
        "mesh": {"kind": "network", "population": [{"name": "pair", "count": count, "cell": cell}]},
        "cable": {"axial_resistivity": "150 ohm*cm"}, "membrane": [PASSIVE, SQUID] if active else [PASSIVE],
        "time": {"end": f"{end} ms", "dt": f"{dt} ms", "splitting": splitting}, "gap_junction": gaps,
        "stimulus": [CLAMP], "watch": {"probes": {"points": points, "every": f"{dt} ms"}},
        "backend": {"device": device, "precision": precision} | ({"threads": threads} if device == "cpu" else {}),
        "output": {"picture": False}} | tables)


def junction(nS, one=STICK, other=STICK, cells=(0, 1)):
    return {"conductance": f"{nS} nS", "site": one | {"cell": cells[0]}, "to": other | {"cell": cells[1]}}


def of(name):
    """The junctions of make_gaps.py."""
    nS = NEURON[name]["nS"]
    return [junction(nS)] + ([junction(nS, END, BALL, (0, 0))] if NEURON[name]["within"] else [])


def trace(case, folder):
    return np.loadtxt(upstroke.run(case, folder).directory / "probes.csv", delimiter=",", skiprows=1).T


def crossings(t, V):
    k = np.flatnonzero((V[:-1] < 0) & (V[1:] >= 0))
    return t[k] - V[k] * (t[1] - t[0]) / (V[k + 1] - V[k])


@pytest.mark.parametrize("name", ["weak", "strong"])
def test_junctions_are_those_of_neuron(name, tmp_path):
    """Between cells, and strong ones also within one, where a spike passes to the other cell; of second order."""
    late = []
    for dt in (0.05, 0.025):
        t, ball, *_, far = trace(two_cells(of(name), dt=dt), tmp_path / f"{dt}")
        late.append(max(np.abs(crossings(t, V) - known).max(initial=0.0) for V, known in zip(
            (ball, far), NEURON[name]["spikes_ms"], strict=True)))
    assert late[1] < 0.01 and 3.5 < late[0] / late[1] < 4.5
    t, *V = trace(two_cells(of(name), dt=0.00625), tmp_path / "fine")
    for mine, known in zip(V, NEURON[name]["V_mV"], strict=True):
        assert np.abs(np.interp(NEURON[name]["times_ms"], t, mine) - known).max() < 0.12


def test_the_order_of_the_splitting_stays(tmp_path):
    """Ohmic membranes; 100 nS, four times the capacitance of the compartment over dt 0.025 ms."""
    gaps = [junction(100), junction(30, END, BALL)]
    known = trace(two_cells(gaps, 10, 0.0015625, active=False), tmp_path / "known")
    for splitting, low, high in (("staggered", 3.5, 4.6), ("implicit", 1.8, 2.4)):
        errors = []
        for dt in (0.05, 0.025):
            V = trace(two_cells(gaps, 10, dt, splitting, active=False), tmp_path / f"{splitting}{dt}")
            errors.append(max(np.abs(V[k][-1] - known[k][-1]) for k in range(1, 5)))
        assert low < errors[0] / errors[1] < high


@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
@pytest.mark.parametrize("nS", [1e4, 1e8])
def test_no_junction_is_too_strong_to_be_stable(splitting, nS, tmp_path):
    """z = dt g / C up to 4e6; a short circuit of both sticks, one of all cells of a ring."""
    gaps = [junction(nS), {"conductance": f"{nS} nS", "site": END, "to": END, "ring": True}]
    _, *V = trace(two_cells(gaps, 300, 0.1, splitting, active=False, count=5,
                            stimulus=[CLAMP | {"duration": "1 ms"}]), tmp_path / "r")
    assert all(np.isfinite(v).all() and v.max() < -20 and v.min() > -75 for v in V)
    _, _, stick, far_stick, far_ball = trace(two_cells([junction(1e4)], 300, 0.1, splitting, active=False),
                                             tmp_path / "one")
    assert np.abs(stick - far_stick).max() < 1.0 and far_ball.max() > -60


@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
def test_charge_is_conserved(splitting):
    """Without leak, from rest to rest: what an electrode brings stays, to rounding; on the way dt g d is missing."""
    tight = PASSIVE | {"parameters": {"Rm": 1e12, "V_rest": -65}}
    setup = prepare(two_cells([junction(20), junction(5, END, BALL, (1, 0))], 400, 0.05, splitting, membrane=[tight]))
    area = setup.mesh.tree.area[setup.state.order]
    missing = []
    for n in setup.stepper.steps():
        charge = float(area @ (setup.state.V + 65.0))
        missing.append(charge - 0.5e-3 * min(max(n * 0.05 - 2, 0), 20))
    assert abs(missing[-1]) < 1e-9 * charge
    assert 1e-6 * charge < np.abs(missing).max() < 1e-3 * charge


def test_the_current_is_a_variable(tmp_path):
    """g (V - V') per area; opposite on the other side."""
    watch = {"probes": {"points": {"one": STICK | {"cell": 0}, "other": STICK | {"cell": 1}}, "every": "0.025 ms",
                        "variables": ["V", "Igap"]}}
    result = upstroke.run(two_cells([junction(3)], 5, active=False, watch=watch), tmp_path / "r")
    rows = np.genfromtxt(result.directory / "probes.csv", delimiter=",", names=True)
    one, other, Ione, Iother = (rows[name] for name in rows.dtype.names[1:])
    if "Igap" in rows.dtype.names[2]:
        other, Ione = Ione, other
    area = np.pi * 2e-4 * 10e-4
    assert Ione[1:] == pytest.approx(3e-6 * (one - other)[:-1] / area, abs=1e-6) and np.abs(Ione).max() > 0.1
    assert Iother == pytest.approx(-Ione, abs=1e-9)


def test_results_do_not_depend_on_threads():
    V = []
    for threads in (1, 3):
        setup = prepare(two_cells([{"conductance": "1 nS", "site": STICK, "to": STICK, "probability": 0.01}], 3,
                                  count=600, threads=threads))
        for _ in setup.stepper.steps():
            pass
        V.append(np.array(setup.state.V))
    assert np.array_equal(*V) and np.ptp(V[0]) > 1


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
def test_cuda_does_as_the_processor(emulated_cupy, splitting, precision, tmp_path):
    cpu, cuda = (trace(two_cells(of("strong"), 3, splitting=splitting, device=device, precision=precision),
                       tmp_path / device) for device in ("cpu", "cuda"))
    assert np.abs(cpu - cuda).max() < (1e-9 if precision == "fp64" else 1e-3)
    assert cpu[3].max() > -64


@pytest.mark.parametrize("real", ["double", "float"])
def test_nvrtc_compiles_it_without_spills(real):
    text = resources.files("upstroke.step").joinpath("gaps.c").read_text()
    clock = "typedef struct { long step; int halted; int status; } upstroke_clock;\n"
    assert spilled(report(f"{clock}#define REAL {real}\n{text}")) == 0
