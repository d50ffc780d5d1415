"""Options, protocol and engine together: what the command line asks for is what happens to a cell."""

import numpy as np
import pytest

from upstroke.bench.cells import Cells
from upstroke.bench.modifiers import chosen
from upstroke.bench.options import parse
from upstroke.bench.protocol import duration, inputs
from upstroke.ionic import read_model

PASSIVE = "V; .external(Vm);\nIion; .external();\ng = 0.1; .param();\nV_init = -80;\nKi_init = 140; diff_Ki = 0*V;\n" \
          "Iion = g*(V + 80);\n"


def cell(model, *argv, record=("V",)):
    """One cell, and its rows at every step."""
    options = parse(["--dt=0.01", *argv])
    cells = Cells(model, inputs(options, model, options["dt"]), options["dt"])
    return cells.advance(duration(options, options["dt"]), record, 1).values


def run(*argv, record=("V",)):
    return cell(chosen(parse(argv)).load(), *argv, record=record)


def test_a_current_charges_a_passive_cell():
    # V = -80 + (I/g) (1 - exp(-g t/C_m)) while the pulse lasts
    V = cell(read_model(PASSIVE, "Passive"), "-c2", "-i0", "-T5", "--duration=10")["V"][:, 0]
    t = np.arange(500) * 0.01
    np.testing.assert_allclose(V[:500], -80 + 20 * (1 - np.exp(-0.1 * t)), atol=0.02)


def test_a_voltage_charges_it_through_a_resistance():
    # C_m dV/dt = -g (V + 80) + (E - V)/R with E = 20 mV, R = 10 kOhm cm^2: half way between -80 and 20 mV
    V = cell(read_model(PASSIVE, "Passive"), "--stim-volt=20", "--resistance=10", "-i0", "-T200",
             "--duration=200")["V"][:, 0]
    t = np.arange(len(V)) * 0.01
    np.testing.assert_allclose(V, -30 - 50 * np.exp(-0.2 * t), atol=0.06)


def test_the_charge_arrives_as_ions():
    # 5 ms of 2 uA/cm^2 over 0.14/um: 10 0.14 2 5/F mM
    Ki = cell(read_model(PASSIVE, "Passive"), "-c2", "-i1", "-T5", "-A", "--duration=10", record=("Ki",))["Ki"][:, 0]
    assert Ki[-1] - Ki[0] == pytest.approx(14.0 / 96485.33212, rel=1e-6)


def test_the_voltage_clamp_of_the_tutorial_holds_the_voltage():
    V = run("--imp=TT2", "--stim-curr=0", "--clamp-ini=-80", "--clamp=20", "--clamp-start=2", "--clamp-dur=3",
            "--past-stim=2")["V"][:, 0]
    assert len(V) == 700 and (V[1:201] == -80).all() and (V[201:501] == 20).all() and (V[501:] == -80).all()


def test_an_action_potential_replayed_gives_the_currents_it_was_made_with(tmp_path):
    free = run("--imp=MBRDR", "--duration=300", record=("V", "x1"))
    rows = "".join(f"{k * 0.01:.2f} {V!r}\n" for k, V in enumerate(free["V"][100:, 0].tolist()))
    (tmp_path / "ap.dat").write_text(rows)
    held = run("--imp=MBRDR", "--duration=300", f"--AP-clamp-file={tmp_path / 'ap.dat'}", record=("V", "x1"))
    np.testing.assert_allclose(held["V"][101:, 0], free["V"][100:-1, 0], atol=1e-9)
    np.testing.assert_allclose(held["x1"][100:, 0], free["x1"][100:, 0], atol=2e-3)


def test_stretch_moves_the_tension():
    muscle = ["--imp=TT2", "--plug-in=LandHumanStress", "--duration=250"]
    still, long = (run(*muscle, *argv, record=("Tension",))["Tension"]
                   for argv in ([], ["--strain=0.1", "--strain-time=20"]))
    assert (still[:2000] == long[:2000]).all() and long.max() > 1.3 * still.max()


def test_light_opens_channels():
    V = run("--imp=TT2", "--plug-in=IChR2_Williams", "--stim-curr=0", "--light-irrad=500", "--light-dur=20",
            "--duration=60")["V"][:, 0]
    assert V[:1000].max() < -80 and V[1000:].max() > 0
