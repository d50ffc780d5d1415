"""alpha(q) by measurement: it reproduces the tables, and gives real runs the velocity of fine meshes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

import upstroke
from upstroke.case.schema import TimeTable
from upstroke.cli import main
from upstroke.errors import DivergenceError, ModelError
from upstroke.ionic import initial_state, load_model
from upstroke.ionic.library import FOLDER
from upstroke.space import Operator
from upstroke.step.state import State
from upstroke.step.stepper import Stepper
from upstroke.waves import curve_of, measure, read_tables
from upstroke.waves.chains import Chain, continuum, lattice
from upstroke.waves.find import identity
from upstroke.waves.tune import Tuning

TIME = TimeTable(end=1.0, dt=0.02)
D = 1.0e-3                # cm^2/ms
NO_WAVES = "it has no waves whose velocity could be calibrated: "


def table(name):
    return read_tables(FOLDER / f"{name}.waves")[0]


@pytest.mark.parametrize("name", ["MitchellSchaeffer", "BeelerReuter"])
def test_a_measurement_reproduces_the_table(name):
    curve, shipped = measure(load_model(name), TIME), table(name).curve
    assert np.allclose(curve.q, shipped.q, rtol=1e-3) and np.isclose(curve.velocity, shipped.velocity, rtol=1e-3)
    assert np.abs(curve.alpha - shipped.alpha).max() < 0.005 * (1.0 + shipped.alpha.max())


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.waves")), ids=lambda path: path.stem)
def test_shipped_tables_are_of_the_models_as_they_are_now(path):
    """Where this fails, a model has changed: upstroke tune-waves MODEL -o MODEL.waves, for each of its flags."""
    options = [(), *((f"{flag.name}={option}",) for flag in load_model(path.stem).flags for option in flag.options
                     if option != flag.value)]
    tables = {table.identity: table for table in read_tables(path)}
    for flags in options:
        model = load_model(path.stem, flags)
        found = tables.pop(identity(model, initial_state(model), 1.0), None)
        assert found is not None and found.curve.source["flags"] == " ".join(flag.value for flag in model.flags)
    assert not tables


def test_between_its_points_a_curve_is_right_too():
    tuning = Tuning(load_model("BeelerReuter"), TIME)
    curve = table("BeelerReuter").curve
    q = np.sqrt(curve.q[1:] * curve.q[:-1])
    assert np.abs(tuning.errors(q, curve(q))).max() < 0.005
    assert tuning.errors(q, np.zeros(len(q)))[-3:].max() < -0.2


def corrected(operator, q, alpha):
    """K + alpha q K M^-1 K, on the pattern of that product."""
    K, m = operator.stiffness, operator.lumped_mass
    A = sparse.csr_array(K + alpha * q * (K @ sparse.diags_array(1.0 / m) @ K))
    A.sort_indices()
    rows = np.repeat(np.arange(len(m)), np.diff(A.indptr))
    M = sparse.csr_array((np.where(A.indices == rows, m[rows], 0.0), A.indices, A.indptr), shape=A.shape)
    return Operator(mass=M, stiffness=A, lumped_mass=m, is_lumped=True)


def velocity(dx, alpha, time):
    """cm/ms of the front on a cable of 4 cm with nodes dx (cm) apart, between 1.5 and 3 cm."""
    case = upstroke.load_case({
        "mesh": {"kind": "cable", "length": "40 mm", "dx": f"{dx} cm"},
        "tissue": {"surface_to_volume": "1000 /cm", "conductivity": {"monodomain": ["1 mS/cm"]}, "waves": "lumped"},
        "membrane": {"model": "MitchellSchaeffer"},
        "time": {"end": f"{time.end} ms", "dt": f"{time.dt} ms", "splitting": time.splitting,
                 "diffusion": time.diffusion},
        "stimulus": {"box": {"min": ["0 mm"], "max": ["3 mm"]}, "current": "100 uA/cm^2", "duration": "2 ms"}})
    setup = upstroke.prepare(case)
    state = State([(m.kernel, m.initial, setup.mesh.n_points) for m in setup.membranes], setup.backend)
    stepper = Stepper(corrected(setup.operator, dx ** 2 / D, alpha), state, case.time, case.solver, 1.0,
                      setup.stepper.stimuli, setup.backend)
    places = [round(x / dx) for x in (1.5, 3.0)]
    times, before = [], state.V[places].copy()
    for n in stepper.steps():
        V = state.V[places]
        passed = np.flatnonzero((before < -20.0) & (V >= -20.0))
        times += [time.dt * (n - (V[k] + 20.0) / (V[k] - before[k])) for k in passed]
        before = V.copy()
        if len(times) == 2:
            return (places[1] - places[0]) * dx / (times[1] - times[0])
    raise AssertionError("no front arrived")


@pytest.mark.parametrize("steps", [{}, {"splitting": "strang"}, {"diffusion": "explicit"}],
                         ids=["godunov", "strang", "explicit"])
def test_a_cable_with_the_corrected_operator_has_the_velocity_of_a_fine_mesh(steps):
    """An operator, a solver and a time loop that the chains of the measurement share nothing with."""
    time = replace(TimeTable(end=200.0, dt=0.05), **steps)
    curve = measure(load_model("MitchellSchaeffer"), time)
    fine = velocity(0.02, 1.0 / 12.0, time)
    assert np.isclose(fine, curve.velocity * D ** 0.5, rtol=0.003)
    for dx in (0.05, 0.1, 0.16):                                        # q = 2.5, 10, 26 ms
        q = dx ** 2 / D
        assert abs(velocity(dx, float(curve(q)), time) / fine - 1.0) < 0.005, dx
    assert velocity(0.1, 0.0, time) / fine - 1.0 < -0.1


@pytest.mark.parametrize("n", [9, 150])             # one that is multiplied, one that is transformed
def test_steps_of_chains_are_those_of_their_matrices(n):
    """The cosine transform against the 5-point stencil written out, with ends that let nothing pass."""
    q, alpha, tau, V = 0.7, 0.3, 0.02, np.random.default_rng(1).standard_normal(n)
    K = np.diag(np.full(n, 2.0)) - np.eye(n, k=1) - np.eye(n, k=-1)
    K[0, 0] = K[-1, -1] = 1.0
    S = (K + alpha * K @ K) / q
    chain, one = Chain(q ** 0.5, n, lattice(q, alpha)), np.eye(n)
    assert np.allclose(chain.diffusion(0.0, tau)(V), V - tau * S @ V)
    assert np.allclose(chain.diffusion(1.0, tau)(V), np.linalg.solve(one + tau * S, V))
    assert np.allclose(chain.diffusion(0.5, tau)(V), np.linalg.solve(one + tau / 2 * S, V - tau / 2 * S @ V))
    flat = Chain(0.001, n, continuum(0.001)).diffusion(0.0, tau)        # far finer than an explicit step bears
    assert np.allclose(flat(V), V.mean())


@pytest.mark.parametrize("name, why", [
    ("Plonsey", "the voltage of a cell that is lifted, by any amount up to 130 mV, only falls"),
    ("HindmarshRose", "the voltage of a cell that is lifted, by any amount up to 130 mV, only falls"),
    ("Paci20", "its tissue fires by itself, 10 ms after the start, before a wave has passed"),
    ("InadaN", "its tissue fires by itself, 115 ms after the start, before a wave has passed"),
    ("McIntyre", "its tissue fires by itself, 1 ms after the start, before a wave has passed"),
    ("FrankenhaeuserHuxley", "a front that is started on a line is not steady"),
    ("Golomb", "a front that is started on a line is not steady"),
    ("MorrisLecar", "a front that is started on a line does not run along it"),
    ("Severi", "a front that is started on a line does not run along it"),
    ("Maltsev", "a front that is started on a line does not run along it"),
    ("GreenbergHastings", "a front that is started on a line does not run along it"),
    ("Izhikevich", "a front that is started on a line is not steady"),
    ("IntegrateAndFire", "a front that is started on a line is not steady"),
    ("AdEx", "the voltage of a cell that is lifted, by any amount up to 130 mV, only falls"),
    ("LeakyIntegrateAndFire", "the voltage of a cell that is lifted, by any amount up to 130 mV, only falls"),
])
def test_models_without_waves_say_why(name, why, capsys):
    assert main(["tune-waves", name]) == 2
    assert capsys.readouterr().err == (f"model {name}: {NO_WAVES}{why}\n"
                                       '  -> set tissue.waves = "fourth_order", which depends on no model\n')


def test_models_with_plugins_and_mixed_precision_have_curves():
    plain = measure(load_model("LuoRudy91"), TIME)
    more = load_model("LuoRudy91", plugins={"IKATP_Ferrero": {"ATP_i": 3.0}})
    slower, mixed = measure(more, TIME), measure(load_model("LuoRudy91"), TIME, precision="mixed")
    assert identity(more, initial_state(more), 1.0) != identity(load_model("LuoRudy91"), initial_state(more), 1.0)
    assert abs(slower.velocity / plain.velocity - 1.0) > 1e-3 and np.isclose(mixed.velocity, plain.velocity, rtol=1e-3)
    assert np.abs(mixed(1.0) - plain(1.0)) < 0.005


def test_steps_too_long_for_a_model_are_told():
    with pytest.raises(DivergenceError, match=r"model Pandit: V left the finite numbers when a wave was started") as e:
        measure(load_model("Pandit"), TIME)
    assert e.value.remedy == "take a smaller dt or more reaction_steps"


def test_tune_waves_tells_and_writes_a_table(tmp_path, capsys):
    path = tmp_path / "ms.waves"
    assert main(["tune-waves", "MS", "--param", "tau_in=*0.5", "--dt", "0.05 ms", "-o", str(path)]) == 0
    text = capsys.readouterr().out
    found, = read_tables(path)
    assert text.startswith("MitchellSchaeffer, dt 0.05 ms, godunov, crank_nicolson\nplane waves on fine meshes: ")
    assert text.rstrip().endswith(f"written to {path}") and f"{found.curve.alpha[-1]:.4f}" in text
    assert found.lumped is not None and (found.lumped < 0.0).all() and found.curve.source["dt"] == "0.05 ms"
    assert main(["tune-waves", "MS", "-o", str(tmp_path / "none" / "ms.waves")]) == 2
    assert "cannot write: No such file or directory\n  -> choose another --output\n" in capsys.readouterr().err


def test_a_model_of_ones_own_without_waves(tmp_path):
    (tmp_path / "leak.model").write_text("V_init = -80; Iion = 0.1*(V + 80);")
    with pytest.raises(ModelError, match=r"model leak: it has no waves .* only falls"):
        measure(load_model(tmp_path / "leak.model"), TIME)


def test_a_curve_is_the_same_when_it_is_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr("upstroke.waves.find.cache_directory", lambda: tmp_path)
    model = load_model("MitchellSchaeffer", parameters={"tau_in": 0.35})
    time = TimeTable(end=1.0, dt=0.05)
    (first, note), (second, silence) = (curve_of(model, time) for _ in range(2))
    assert "measured in" in note
    assert silence == ""
    assert np.array_equal(first.alpha, second.alpha)
    assert np.array_equal(first.q, second.q)
