"""The bench's engine against the interpreter of models, and its beats against traces looked at by NumPy."""

from itertools import pairwise

import numpy as np
import pytest

from upstroke.backend import open_backend
from upstroke.bench.cells import Cells, Channel, Inputs
from upstroke.errors import DivergenceError, ModelError
from upstroke.ionic import initial_state, load_model
from upstroke.ionic.evaluate import advance, quantities

DT = 0.02
QUANTITIES = ("number", "onset", "V_rest", "V_max", "V_min", "dVdt_max", "t_act", "t30", "t50", "t90", "Ca_rest",
              "Ca_max", "t_Ca_max", "t_Ca50", "t_Ca63", "t_Ca90")


def pacing(*trains, duration=1.0, amplitude=60.0, dt=DT):
    """Square pulses; ``trains`` are the times (ms) of each train's pulses."""
    on = [{round(t / dt) for t in train} for train in trains]
    length = round(duration / dt)
    steps = sorted({0, *(s for train in on for s in train), *(s + length for train in on for s in train)})
    current = [[amplitude if any(s <= n < s + length for s in train) else 0.0 for train in on] for n in steps]
    starts = [[n in train for train in on] for n in steps]
    return Inputs(np.array(steps), (Channel("V", "current", np.array(current)),), np.array(starts))


@pytest.fixture(scope="module")
def TT2():
    return load_model("tenTusscherPanfilov")


def interpreted(model, steps, *, current=lambda n: 0.0, dt=DT, euler=True, hold=None):
    """V after each step by the interpreter, in openCARP's order."""
    state = initial_state(model)
    V, voltages = state.pop("V"), []
    for n in range(steps):
        V = V + current(n) * dt if euler else V
        for name, value in (hold or {}).items():
            V, state = (value, state) if name == "V" else (V, {**state, name: value})
        V, state = advance(model, V, state, n * dt, dt, Istim=0.0 if euler else current(n))
        if "V" in (hold or {}):
            V = hold["V"]
        voltages.append(float(V))
    return np.array(voltages), state


@pytest.mark.parametrize("method", ["fe", "rk2"])
def test_steps_are_those_of_the_interpreter(method):
    """The stimulus first with forward Euler, within the equation else."""
    model = load_model("BeelerReuter", methods={"V": method})
    cells = Cells(model, pacing([0.1]), DT)
    record = cells.advance(100, ("V",), every=1)
    V, state = interpreted(model, 100, current=lambda n: 60.0 * (5 <= n < 55), euler=method == "fe")
    assert record.time[:3] == pytest.approx([0.0, DT, 2 * DT], abs=0)
    assert record.values["V"][1:, 0] == pytest.approx(V[:-1], rel=1e-11)
    assert cells.state()["V"][0] == pytest.approx(V[-1], rel=1e-11)
    assert cells.state()["m"][0] == pytest.approx(float(state["m"]), rel=1e-9)


def test_the_way_is_the_same_however_it_is_cut(TT2):
    """One call, many calls, with and without rows and beats: the same bits."""
    ends = []
    for cut, record, beats in (([500], (), 0), ([1, 99, 250, 150], ("V", "Iion"), 0), ([500], ("V",), 2)):
        cells = Cells(TT2, pacing([1.0]), DT, beats=beats)
        for steps in cut:
            cells.advance(steps, record, every=7)
        ends.append(cells.state())
    assert all((ends[0][name] == other[name]).all() for other in ends[1:] for name in ends[0])


def test_rows_are_taken_before_the_step_at_multiples(TT2):
    cells = Cells(TT2, pacing([1.0]), DT)
    first = cells.advance(45, ("V", "Cai"), every=10)
    second = cells.advance(45, ("V",), every=10)
    assert first.time == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert second.time == pytest.approx([1.0, 1.2, 1.4, 1.6])
    assert first.values["V"][0, 0] == initial_state(TT2)["V"]
    assert cells.now(("V",)).values["V"][0, 0] == cells.state()["V"][0]


def seen(t, V, onsets, end):
    """APD90 etc. of beats by plain NumPy on a trace of every step; what cells.h does on the way."""
    rows = []
    for start, stop in zip(onsets, [*onsets[1:], end], strict=True):
        first, last = round(start / DT), round(stop / DT)
        part = V[first:last + 1]
        top, rest = part[1:].max(), part[0]
        k_top, rate = part.argmax(), np.diff(part) / DT
        times = []
        for share in (0.3, 0.5, 0.9):
            level = top - share * (top - rest)
            after = np.flatnonzero((part[k_top:-1] > level) & (part[k_top + 1:] <= level))
            k = k_top + after[0]
            times.append(t[first] + DT * (k + (part[k] - level) / (part[k] - part[k + 1])))
        rows.append((rest, top, rate.max(), t[first] + DT * (rate.argmax() + 1), *times, part.min()))
    return np.array(rows).T


def test_beats_are_what_the_trace_shows(TT2):
    onsets = [2.0, 402.0, 702.0]
    cells = Cells(TT2, pacing(onsets), DT, beats=5, calcium="Cai")
    before, end = cells.advance(round(1100 / DT), ("V", "Cai")), cells.now(("V", "Cai"))
    beats = cells.beats()
    V, Ca = (np.concatenate([before.values[name], end.values[name]])[:, 0] for name in ("V", "Cai"))
    t = np.concatenate([before.time, end.time])
    expected = seen(t, V, onsets, t[-1])
    found = [getattr(beats, name)[-3:, 0] for name in
             ("V_rest", "V_max", "dVdt_max", "t_act", "t30", "t50", "t90", "V_min")]
    assert np.array(found) == pytest.approx(expected, rel=1e-9)
    assert beats.number[:, 0].tolist()[-3:] == [1, 2, 3] and np.isnan(beats.number[:-3, 0]).all()
    assert beats.onset[-3:, 0] == pytest.approx(onsets)
    assert beats.DI[-3, 0] == pytest.approx(expected[3][1] - expected[6][0]) and np.isnan(beats.DI[-1, 0])
    assert (beats.eads[-3:] == 0).all()
    first, second = round(2 / DT), round(402 / DT)
    assert beats.Ca_max[-3, 0] == pytest.approx(Ca[first:second].max(), rel=1e-9)
    assert beats.Ca_rest[-3, 0] == pytest.approx(Ca[first:Ca[:second].argmax()].min(), rel=1e-9)
    level = beats.Ca_max[-3, 0] - (1 - np.exp(-1)) * beats.CaT_amplitude[-3, 0]
    assert np.interp(beats.t_Ca63[-3, 0], t, Ca) == pytest.approx(level, rel=1e-6)


def test_only_the_last_beats_are_kept_and_cells_follow_their_trains(TT2):
    trains = [0.0, 300.0, 600.0], [0.0, 350.0]
    cells = Cells(TT2, pacing(*trains), DT, n=2, train=[0, 1], beats=1)
    cells.advance(round(900 / DT))
    beats = cells.beats()
    assert beats.number.tolist() == [[2, 1], [3, 2]]
    assert beats.onset.tolist() == [[300.0, 0.0], [600.0, 350.0]]
    alone = Cells(TT2, pacing(trains[1]), DT, beats=1)
    alone.advance(round(900 / DT))
    assert beats.of(1).APD90.tolist() == alone.beats().APD90.tolist()


def test_beats_of_a_cell_that_beats_by_itself():
    model = load_model("Severi")
    cells = Cells(model, Inputs(), DT, beats=10)
    record = cells.advance(round(1500 / DT), ("V",))
    V, beats = record.values["V"][:, 0], cells.beats()
    up = np.flatnonzero((V[:-1] < -40) & (V[1:] >= -40))
    onset = beats.onset[~np.isnan(beats.onset)]
    assert onset == pytest.approx([record.time[k] + DT * (-40 - V[k]) / (V[k + 1] - V[k]) for k in up], rel=1e-9)
    assert len(onset) >= 3
    valleys = [V[a:b].min() for a, b in pairwise(up)]
    rests = beats.V_rest[~np.isnan(beats.V_rest)]
    assert rests[1:] == pytest.approx(valleys, rel=1e-9)     # the maximum diastolic potential before it


def test_each_cell_has_its_parameters_and_its_start(TT2):
    GKr, V = np.array([0.1, 0.153, 0.2]), np.array([-85.0, -86.0, -85.23])
    cells = Cells(TT2, pacing([1.0]), DT, n=3, parameters={"Gkr": GKr}, initial={"V": V}, beats=1)
    cells.advance(round(400 / DT))
    for k in range(3):
        one = Cells(load_model("TT2", parameters={"Gkr": GKr[k]}), pacing([1.0]), DT, initial={"V": V[k]}, beats=1)
        one.advance(round(400 / DT))
        assert cells.beats().of(k).APD90[-1, 0] == pytest.approx(one.beats().APD90[-1, 0], rel=1e-7)
    assert np.diff(cells.beats().APD90[-1]).max() < 0          # more IKr, shorter beats


def test_clamps_hold_and_fluxes_flow(TT2):
    steps = np.array([0, 100, 200])
    hold = Channel("V", "set", np.array([[-20.0], [10.0], [np.nan]]))
    flux = Channel("Ki", "flux", np.array([[0.0], [2.0], [np.nan]]))
    cells = Cells(TT2, Inputs(steps, (hold, flux), np.zeros((3, 1), bool)), DT)
    V = cells.advance(250, ("V",)).values["V"][:, 0]
    assert (V[1:101] == -20.0).all() and (V[101:201] == 10.0).all() and (V[202:] != 10.0).all()
    plain = Cells(TT2, Inputs(steps, (hold,), np.zeros((3, 1), bool)), DT)
    plain.advance(250)
    assert cells.state()["Ki"][0] - plain.state()["Ki"][0] == pytest.approx(2.0 * 100 * DT, rel=1e-2)


def test_a_coupled_voltage_is_approached(TT2):
    couple = Channel("V", "couple", np.array([[-40.0]]), tau=0.5)
    cells = Cells(load_model("Plonsey"), Inputs(channels=(couple,)), DT)
    V = cells.advance(400, ("V",)).values["V"][:, 0]
    assert abs(V[-1] + 40.0) < abs(V[0] + 40.0) and (np.diff(np.abs(V + 40.0)) <= 1e-12).all()


def test_a_parameter_in_time():
    """GNa is switched off after the first beat: the second does not come."""
    model = load_model("TT2")
    train = pacing([0.0, 500.0])
    values = np.where(train.steps < round(400 / DT), 14.838, 0.0)[:, None]
    values = np.where(train.steps[:, None] >= round(500 / DT), 0.0, values)
    inputs = Inputs(train.steps, (*train.channels, Channel("GNa", "set", values)), train.starts)
    cells = Cells(model, inputs, DT, beats=2)
    cells.advance(round(800 / DT))
    assert cells.beats().dVdt_max[-2, 0] > 200 and cells.beats().dVdt_max[-1, 0] < 100
    assert cells.state()["GNa"][0] == 0.0


@pytest.mark.parametrize("precision", ["fp32", "mixed"])
def test_other_precisions(TT2, precision):
    found = {}
    for name in ("fp64", precision):
        cells = Cells(TT2, pacing([1.0]), DT, beats=1, calcium="Cai", backend=open_backend("cpu", 1, name))
        cells.advance(round(450 / DT))
        found[name] = cells.beats()
    for quantity in ("APD90", "V_max", "CaTD50"):
        assert getattr(found[precision], quantity)[-1] == pytest.approx(getattr(found["fp64"], quantity)[-1], rel=2e-4)


def test_broken_cells_are_told_and_others_go_on(TT2):
    cells = Cells(TT2, pacing([1.0]), DT, n=20, parameters={"Gkr": [0.153] * 7 + [-1e9] + [0.153] * 12}, beats=1)
    cells.advance(round(400 / DT))
    assert (cells.broken >= 0).nonzero()[0].tolist() == [7]
    with pytest.raises(DivergenceError, match=r"t = [\d.]+ ms: V of cell 7 is no longer a number") as e:
        cells.raise_if_broken()
    assert e.value.remedy == "take a smaller --dt, another --method, or a smaller stimulus"
    assert np.isfinite(cells.beats().APD90[-1][[0, 6, 8, 19]]).all()


def test_an_unknown_target_is_named(TT2):
    with pytest.raises(ModelError, match="no state or parameter 'CaSRR'") as e:
        Cells(TT2, Inputs(channels=(Channel("CaSRR", "set", np.zeros((1, 1))),)), DT)
    assert e.value.remedy == "did you mean 'CaSR'?"


def test_recorded_states_give_currents(TT2):
    cells = Cells(TT2, pacing([1.0]), DT)
    record = cells.advance(200, cells.names, every=20)
    found = quantities(TT2, record.values["V"], record.values, record.time[:, None], DT)
    assert found["INa"].shape == (10, 1) and found["Iion"][0, 0] == pytest.approx(0.00125497912, rel=1e-4)


@pytest.mark.parametrize("precision", ["fp64", "mixed"])
def test_a_gpu_gives_the_same(emulated_cupy, precision):
    """Rows, beats, clamps, driven parameters and per-cell ones, through the CUDA text."""
    model = load_model("BeelerReuter")
    train = pacing([0.5, 8.0], [1.0])
    values = np.where(train.steps[:, None] > 300, 3.0, 4.0).repeat(2, axis=1)
    hold = np.where(train.steps[:, None] > 450, 0.005, np.nan).repeat(2, axis=1)
    inputs = Inputs(train.steps, (*train.channels, Channel("GNa", "set", values), Channel("x1", "set", hold)),
                    train.starts)
    found = {}
    for device in ("cpu", "cuda"):
        cells = Cells(model, inputs, DT, n=5, train=[0, 1, 0, 1, 0], parameters={"Gs": np.linspace(0.05, 0.2, 5)},
                      backend=open_backend(device, 1, precision), beats=2, calcium="Cai")
        record = cells.advance(300, ("V", "x1", "Iion"), every=50, cells=2)
        cells.advance(250)
        found[device] = record, cells.state(), cells.beats(), cells.broken
    (r1, s1, b1, k1), (r2, s2, b2, k2) = found.values()
    near = {"rel": 1e-9 if precision == "fp64" else 2e-4, "abs": 1e-9 if precision == "fp64" else 1e-4, "nan_ok": True}
    for name in r1.values:
        assert r2.values[name] == pytest.approx(r1.values[name], **near)
    for name in s1:
        assert s2[name] == pytest.approx(s1[name], **near)
    for name in QUANTITIES:
        assert getattr(b2, name) == pytest.approx(getattr(b1, name), **near), name
    assert (k1 == k2).all() and (k1 == -1).all()
