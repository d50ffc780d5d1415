"""Populations, drugs and curves on compiled cells."""

import numpy as np
import pytest

from upstroke.bench.binding import chain_of
from upstroke.bench.cells import Cells, Channel, Inputs
from upstroke.bench.curves import Clamp, clamp_inputs, contributions, current_voltage, curves, last_beat
from upstroke.bench.drugs import by_dose, dosed, parse_block, with_binding
from upstroke.bench.features import features
from upstroke.bench.folder import Folder
from upstroke.bench.options import parse
from upstroke.bench.population import Population, draw
from upstroke.bench.subject import prepare
from upstroke.errors import ModelError, OptionError
from upstroke.ionic.library import load_model, read_model

DT = 0.02
STIMULUS = 40.0                                # uA/cm^2 for 2 ms


def pulse(at=5.0):
    steps = np.array([0, round(at/DT), round((at + 2)/DT)])
    values = np.array([[0.0], [STIMULUS], [0.0]])
    return Inputs(steps, (Channel("V", "current", values),), np.array([[False], [True], [False]]))


def one_beat(model, cells, ms=450.0):
    batch = Cells(model, pulse(), DT, n=cells.n, parameters=cells.parameters, initial=cells.initial, beats=1,
                  calcium="Cai" if any(s.name == "Cai" for s in model.states) else "")
    batch.advance(round(ms/DT))
    return batch, features(batch.beats(), batch.broken, DT, calcium=False)


def test_a_cell_of_a_population_is_that_cell_alone():
    model = load_model("LuoRudy91")
    cells = draw("GNa=uniform(0.7,1.3), Gsi=lognormal(1,0.1), V:=normal(-84,1)", model, 20, "sobol", 3)
    _, table = one_beat(model, cells)
    assert (table["APD90"] > 150).all() and len(set(table["APD90"].round(6))) == 20
    for k in (0, 7, 19):
        one = Population(1, {n: v[k:k + 1] for n, v in cells.parameters.items()},
                         {n: v[k:k + 1] for n, v in cells.initial.items()})
        _, alone = one_beat(model, one)
        for name, values in table.items():
            assert values[k] == pytest.approx(alone[name][0], rel=1e-9, nan_ok=True), name


def test_a_broken_cell_leaves_the_others_alone():
    model = load_model("LuoRudy91")
    _, table = one_beat(model, Population(3, {"GK1": np.array([0.6047, 1e9, 0.6047])}, {}))
    assert np.isnan(table["broken_at"][[0, 2]]).all() and 0 <= table["broken_at"][1] < 1
    assert np.isnan(table["APD90"][1]) and table["APD90"][0] == table["APD90"][2] > 150


def test_a_sweep_of_concentrations():
    model = load_model("LuoRudy91")
    drug = parse_block("I_si:IC50=2,hill=1.5,conc=0,0.5,2,8")
    cells, of = dosed(model, [drug], Population(2, {"GNa": np.array([23.0, 20.0])}, {}))
    _, table = one_beat(model, cells)
    rows = by_dose(of, table)
    assert list(rows["conc_I_si"]) == [0, 0.5, 2, 8]
    assert (np.diff(rows["APD90"]) < -5).all() and np.isnan(rows["broken_at"]).all()
    _, half = one_beat(load_model("LuoRudy91", parameters={"Gsi": "*0.5"}), Population(1, {}, {}))
    assert table["APD90"].reshape(4, 2)[2, 0] == pytest.approx(half["APD90"][0], rel=1e-9)


def test_a_drug_on_a_markov_channel():
    model = load_model("LuoRudy91", parameters={"GNa": 2}, plugins={"INa_Bondarenko": {}})
    current = "INa_Bondarenko.I_Na"
    drugs = [parse_block(f"{current}:kon=1,koff=0.02,states=O|IF|I1,conc=0,0.001,0.1")]
    doubled = with_binding(model, drugs)
    cells, of = dosed(doubled, drugs, Population(1, {}, {}))
    batch, table = one_beat(doubled, cells)
    plain, free = one_beat(model, Population(1, {}, {}))
    state, before = batch.state(), plain.state()
    for name in before:
        assert state[name][0] == pytest.approx(before[name][0], rel=1e-9, abs=1e-13), name
    assert (np.diff(table["dVdt_max"]) < 0).all() and table["dVdt_max"][0] == pytest.approx(free["dVdt_max"][0])
    chain = chain_of(model, current).members
    free_of, bound = (sum(state[f"{n}{end}"] for n in chain) for end in ("", "_drug"))
    assert free_of + bound == pytest.approx(np.full(3, free_of[0]), abs=1e-12)
    assert abs(bound[0]) < 1e-15 < bound[1] < bound[2] < 1
    assert of.effects == (f"{current}: O, IF, I1 bind, kon 1, koff 0.02",)


GATED = """
V; .external(Vm); Iion; .external();  V_init = -80;  g = 0.5; .param();
m_inf = 1/(1 + exp(-(V + 20)/10));  tau_m = 5;
h_inf = 1/(1 + exp((V + 40)/8));   tau_h = 40;
I_x = g*m*h*(V - 30);
Iion = I_x;
"""


def clamped(model, clamp, **parameters):
    n = len(clamp.voltages)
    cells = Cells(model, clamp_inputs(clamp, DT), DT, n=n, train=range(n), parameters=parameters)
    return current_voltage(clamp, cells, parameters)


def test_a_clamped_current_is_the_one_that_its_gates_give():
    model = read_model(GATED)
    clamp = Clamp("Ix", hold=-70, low=-40, high=40, step=20, dur=60, pre=20)
    curve = clamped(model, clamp)
    t = DT*np.arange(1, round(60/DT) + 1)
    gates = {"m": (-20, -10, 5), "h": (-40, 8, 40)}

    def steady(gate, V):
        half, k, _ = gates[gate]
        return 1/(1 + np.exp((V - half)/k))

    def held(gate):                                        # 20 ms at -70, from the steady state at -80
        return steady(gate, -70) + (steady(gate, -80) - steady(gate, -70))*np.exp(-20/gates[gate][2])

    for k, V in enumerate(curve["V"]):
        m, h = (steady(g, V) + (held(g) - steady(g, V))*np.exp(-t/gates[g][2]) for g in gates)
        current = 0.5*m*h*(V - 30)
        row = np.abs(current).argmax()
        assert curve["peak"][k] == pytest.approx(current[row], rel=1e-6)
        assert curve["t_peak"][k] == pytest.approx(t[row], abs=2*DT)
        assert curve["steady"][k] == pytest.approx(current[-1], rel=1e-6)


def test_a_clamped_current_knows_its_parameters():
    clamp = Clamp("Ix", hold=-70, low=0, high=0, dur=10, pre=1)
    once, twice = (clamped(read_model(GATED), clamp, g=g)["peak"] for g in (0.5, 1.0))
    assert twice == pytest.approx(2*once, rel=1e-12) and once < -0.1


def test_a_current_that_is_not_there():
    with pytest.raises(ModelError) as caught:
        clamped(read_model(GATED), Clamp("Iy"))
    assert str(caught.value) == "model model: no current 'Iy'\n  -> known: I_x"


def test_the_charges_of_a_beat_add_up():
    """C_m dV/dt = -(Iion - Istim), so all that the currents carry is what the stimulus brings and V keeps."""
    model = load_model("LuoRudy91")
    cells = Cells(model, pulse(), DT)
    record = cells.advance(round(400/DT), cells.names)
    values = {name: column[:, 0] for name, column in record.values.items()}
    table = contributions(model, record.time, values)
    assert set(table["current"]) == {"INa", "Isi", "IK", "IK1", "IKp", "Ib"}
    assert table["share"].sum() == pytest.approx(100)
    assert table["peak"][list(table["current"]).index("INa")] < -100
    assert table["charge"].sum() == pytest.approx(2*STIMULUS - np.ptp(values["V"][[0, -1]]), abs=3)
    after = record.time >= 8                               # where the steps are small against what happens
    table = contributions(model, record.time[after], {name: column[after] for name, column in values.items()})
    assert table["charge"].sum() == pytest.approx(values["V"][after][0] - values["V"][-1], abs=0.2)


def made(tmp_path, *words):
    """The folder of a mode and what it reports."""
    options = parse(["--imp", "LuoRudy91", "--dt", "0.05", "--out", str(tmp_path/"run"), *words])
    subject = prepare(options)
    with Folder(options, subject) as folder:
        return folder.path, curves(options, subject, folder)


def test_the_mode_of_curves(tmp_path):
    folder, said = made(tmp_path, "--curves", "m,h", "--imp-par", "Gsi*2",
                        "--iv", "I_si:hold=-40,from=-20,to=20,step=20,dur=50,pre=10")
    gates, table = (np.genfromtxt(folder/name, delimiter=",", names=True) for name in ("curves.csv", "iv.csv"))
    assert gates.dtype.names == ("V", "m_inf", "tau_m", "h_inf", "tau_h") and len(gates) == 321
    assert list(table["V"]) == [-20, 0, 20] and (table["peak"] < -1).all()
    assert said.splitlines()[0] == f"steady states and time constants (ms) over V (mV) in {folder}/curves.csv"
    assert said.splitlines()[-1] == f"I_si over V (mV) in {folder}/iv.csv"


def test_a_drug_acts_on_a_clamped_current(tmp_path):
    words = ("--iv", "IK1:from=-60,to=-60,dur=2,pre=0")
    peaks = []
    for k, more in enumerate([(), ("--block", "IK1:IC50=1,conc=3")]):
        folder, _ = made(tmp_path/str(k), *words, *more)
        peaks.append(float((folder/"iv.csv").read_text().splitlines()[1].split(",")[1]))
    assert peaks[1]/peaks[0] == pytest.approx(0.25, rel=1e-9)


def test_curves_are_of_one_cell(tmp_path):
    with pytest.raises(OptionError) as caught:
        made(tmp_path, "--curves", "m", "--block", "Isi:IC50=1,conc=0,1")
    assert str(caught.value) == ("--curves: curves are of one cell, and there are 2\n"
                                 "  -> leave out --num, and give a drug one concentration")


def test_the_last_beat_is_taken_once_more(tmp_path):
    subject = prepare(parse(["--imp", "LuoRudy91", "--dt", "0.02", "--num", "3", "--vary", "V:=[-84,-83,-82]"]))
    table = last_beat(subject, pulse(), round(5/DT), round(400/DT))
    assert len(table["current"]) == 6 and table["t_peak"].min() >= 5 and table["share"].sum() == pytest.approx(100)
    assert table["peak"][list(table["current"]).index("INa")] < -100
