"""The splittings "implicit" and "staggered": their kernels, devices, and neurons' yardsticks against NEURON and theory.

Figures of NEURON 9.0.2: the crossings of Rallpack 3 (Bhalla, Bilitch and Bower 1992, Trends Neurosci. 15:453; 1,000
compartments, 0 mV upward at the centres of the first and the last, without its table of rates; "fine" is extrapolated
from dt 0.01 and 0.005 ms), and the velocity of the squid's axon (Ra 35.4 ohm cm, 6.3 degC, dt 0.002 ms).
"""

from __future__ import annotations

import numpy as np
import pytest
from samples import SAMPLE_MODELS
from scipy import sparse

import upstroke
from upstroke.backend import open_backend
from upstroke.case.schema import CableMesh, SheetMesh, Solver, TimeTable
from upstroke.codegen import generate
from upstroke.errors import CaseError
from upstroke.ionic import initial_state, load_model
from upstroke.ionic.evaluate import rates
from upstroke.mesh import build_mesh
from upstroke.protocol import Stimuli
from upstroke.space import Operator, assemble
from upstroke.step.state import State
from upstroke.step.stepper import Stepper

RALLPACK = {"dt 0.025": {     # [scheme]: crossings 1, 2, 3 and 17 near and far, ms
    "staggered": ([1.307419, 16.007760, 30.551640, 234.029227], [4.075442, 18.693818, 33.244661, 236.722471]),
    "implicit": ([1.332985, 16.108212, 30.723343, 235.198439], [4.119373, 18.808305, 33.431017, 237.906268])},
    "fine": ([1.306276, 16.004110, 30.545463, 233.987682], [4.070811, 18.686934, 33.235242, 236.677581])}
SQUID = {1.0: 0.564768, 476.0: 12.321787}       # m/s by diameter, um


def compartments(n, length, diameter, Ra):
    """A cable of n cylinders as NEURON has it: coupled from centre to centre, C_m 1; lengths in cm, Ra in kOhm cm."""
    dx = length / n
    g = np.pi * diameter ** 2 / 4 / (Ra * dx)
    K = sparse.diags_array([np.full(n - 1, -g), np.full(n, 2 * g), np.full(n - 1, -g)], offsets=[-1, 0, 1]).tolil()
    K[0, 0] = K[n - 1, n - 1] = g
    K = sparse.csr_array(K.tocsr())
    mass = np.full(n, np.pi * diameter * dx)
    M = K.copy()
    M.data = np.where(K.indices == np.repeat(np.arange(n), np.diff(K.indptr)), mass[0], 0.0)
    return Operator(M, K, mass, True)


def stepper(operator, models, splitting, dt, end, current=None, backend=None, precision="fp64", **time):
    """A stepper; the membranes share the nodes in equal parts, ``current`` (uA/cm^2) flows all the time."""
    backend = backend or open_backend("cpu", threads=1, precision=precision)
    sizes = np.diff(np.linspace(0, operator.n, len(models) + 1).astype(int))
    state = State([(generate(model, backend.target, precision, follow=True), initial_state(model), size)
                   for model, size in zip(models, sizes, strict=True)], backend)
    if current is not None:
        state.Istim[:] = backend.array(current, backend.dtype)
    table = TimeTable(end=end, dt=dt, splitting=splitting, **time)
    return Stepper(operator, state, table, Solver(), 1.0, Stimuli((), dt), backend)


def traces(stepper, nodes):
    V = [stepper.state.V[nodes].copy() for _ in stepper.steps()]
    return np.arange(len(V)) * stepper._time.dt, np.array(V)


def crossings(t, V):
    k = np.flatnonzero((V[:-1] < 0) & (V[1:] >= 0))
    return t[k] - V[k] * (t[1] - t[0]) / (V[k + 1] - V[k])


def rallpack3(splitting, dt):
    """Upward crossings of 0 mV at the first and the last compartment."""
    model = load_model("HodgkinHuxley", parameters={"V_L": 0.0, "GL": 0.025})
    operator = compartments(1000, 0.1, 1e-4, 0.1)
    current = np.zeros(1000)
    current[0] = 1e-4 / operator.lumped_mass[0]                  # 0.1 nA
    t, V = traces(stepper(operator, [model], splitting, dt, 250.0, current), [0, 999])
    return crossings(t, V[:, 0]), crossings(t, V[:, 1])


# ------------------------------------------------------------------------------------------------ kernels
@pytest.mark.parametrize("name", SAMPLE_MODELS)
def test_current_and_slope_are_those_of_the_equations(name):
    """Iion against the interpreter, dIion/dV against its central difference at fixed states."""
    model, n = load_model(name), 37
    backend = open_backend("cpu", threads=1)
    initial = initial_state(model)
    kernel = generate(model, "c", "fp64", follow=True)
    spread = 1.0 if abs(initial["V"]) < 2 and name in ("AlievPanfilov", "MitchellSchaeffer") else 60.0
    state = State([(kernel, initial | {"V": initial["V"] + spread * np.linspace(0.013, 1, n)}, n)], backend)
    V, G = np.array(state.V), backend.zeros(n)
    backend.follow(kernel.source, state.groups[0].arrays, G, 1.0, 0.02, steps=0).run(0)
    assert np.allclose(state.Iion, rates(model, V, initial, 0.0)[0], rtol=1e-10, atol=1e-12)
    h = 1e-5
    difference = (rates(model, V + h, initial, 0.0)[0] - rates(model, V - h, initial, 0.0)[0]) / (2 * h)
    assert np.abs(G - difference).max() < 1e-5 * np.abs(difference).max()
    assert all((state.variable(s) == initial[s]).all() for s in kernel.states) and (state.V == V).all()


def test_gates_take_exact_steps_at_a_given_voltage():
    """x(t) = x_inf + (x_0 - x_inf) exp(-t/tau), however long the step; in any number of steps."""
    model, n = load_model("HodgkinHuxley"), 21
    backend = open_backend("cpu", threads=1)
    initial = initial_state(model)
    V = np.linspace(-90.0, 40.0, n)
    for steps in (1, 4):
        kernel = generate(model, "c", "fp64", follow=True)
        state = State([(kernel, initial | {"V": V}, n)], backend)
        backend.follow(kernel.source, state.groups[0].arrays, backend.zeros(n), 1.0, 3.0, steps=steps).run(0)
        closed, open_ = (rates(model, V, {"M": x, "H": x, "N": x}, 0.0)[1] for x in (0.0, 1.0))
        for gate in "MHN":
            rate, inf = closed[gate] - open_[gate], closed[gate] / (closed[gate] - open_[gate])
            assert np.allclose(state.variable(gate), inf + (initial[gate] - inf) * np.exp(-3.0 * rate), rtol=1e-12)
        assert (state.V == V).all()


@pytest.mark.parametrize("splitting", ["implicit", "staggered"])
@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
def test_cuda_steps_as_the_processor_does(emulated_cupy, precision, splitting):
    """Two membranes on a forest with nodes of no area; the same numbers on the emulated device."""
    n = 300
    parent = np.maximum(np.arange(n) - np.random.default_rng(1).integers(1, 4, n), 0)
    child = np.array([i for i in range(1, n) if i % 60])
    u, v, k = child, parent[child], np.full(len(child), 3.0)
    K = sparse.csr_array(sparse.coo_array((np.concatenate([-k, -k, k, k]), (np.r_[u, v, u, v], np.r_[v, u, u, v])),
                                          shape=(n, n)) + sparse.csr_array((n, n)))
    mass = np.full(n, 1.0)
    mass[np.bincount(np.r_[u, v], minlength=n) == 3] = 0.0
    assert 20 < (mass == 0).sum() < 100
    operator = Operator(K * 0, K, mass, True)
    models = [load_model("HodgkinHuxley"), load_model("LuoRudy91")]
    current = np.where(np.arange(n) < 100, 20.0, 0.0)
    result = {}
    for device in ("cpu", "cuda"):
        backend = open_backend(device, threads=1, precision=precision)
        run = stepper(operator, models, splitting, 0.02, 2.0, current, backend, precision, reaction_steps=2)
        *_, last = run.steps()
        assert last == 100 and run.clock.solves == 100 and run.clock.status == 0
        assert [stage.name for stage in run.stages] == ["voltage", "states", "states"]
        result[device] = {name: run.state.variable(name) for name in ("V", "Iion", "M", "N")}
    assert result["cpu"]["V"].max() > -20.0
    for name, values in result["cpu"].items():
        scale = np.nanmax(np.abs(values))
        assert np.nanmax(np.abs(result["cuda"][name] - values)) < scale * (1e-9 if precision == "fp64" else 2e-3), name


def test_a_broken_voltage_halts_both_devices_alike(emulated_cupy):
    operator = compartments(40, 0.1, 1e-4, 0.1)
    current = np.zeros(40)
    current[7] = np.nan
    messages = []
    for device in ("cpu", "cuda"):
        run = stepper(operator, [load_model("HodgkinHuxley")], "staggered", 0.025, 5.0, current, open_backend(device))
        with pytest.raises(upstroke.errors.DivergenceError) as error:
            list(run.steps())
        messages.append(str(error.value))
    assert messages[0] == messages[1] and "V left the finite numbers" in messages[0]


# ---------------------------------------------------------------------------------------------- yardsticks
@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
def test_rallpack_3_is_neurons_to_a_nanosecond(splitting):
    """The same equations in the same order: with the same steps our spikes are NEURON's."""
    for found, wanted in zip(rallpack3(splitting, 0.025), RALLPACK["dt 0.025"][splitting], strict=True):
        assert np.abs(found[[0, 1, 2, 16]] - wanted).max() < 2e-6


def test_rallpack_3_converges_with_order_two():
    """The 17th spike comes within 0.05 ms at dt 0.025 ms; in all, errors fall with the square of dt."""
    wanted = np.array(RALLPACK["fine"])
    errors = [np.abs([x[[0, 1, 2, 16]] for x in rallpack3("staggered", dt)] - wanted).max(axis=0)
              for dt in (0.05, 0.025)]
    assert errors[1][3] < 0.05 and errors[1][2] < 0.01
    assert np.log2(errors[0][3] / errors[1][3]) == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("splitting", ["staggered", "implicit"])
def test_rallpack_1_is_the_analytic_solution(tmp_path, splitting):
    """A passive cable, 0.1 nA into its end: V(0, t) and V(L, t) within 0.01 % (root mean square over the range)."""
    area = np.pi * 1e-4 * 0.5e-4                                  # cm^2, of the half compartment at an end
    upstroke.run({
        "mesh": {"kind": "cable", "length": "1 mm", "dx": "1 um"},
        "tissue": {"surface_to_volume": "4 /um", "waves": "lumped", "conductivity": {"monodomain": ["10 mS/cm"]}},
        "membrane": {"model": "Plonsey", "parameters": {"Rm": 40, "V_rest": -65}},
        "time": {"end": "250 ms", "dt": "0.025 ms", "splitting": splitting},
        "stimulus": {"box": {"min": ["0 mm"], "max": ["0.0001 mm"]}, "current": f"{1e-4 / area} uA/cm^2",
                     "duration": "250 ms"},
        "watch": {"probes": {"points": {"near": ["0 mm"], "far": ["1 mm"]}, "every": "0.05 ms"}},
        "backend": {"device": "cpu", "threads": 1}, "output": {"picture": False}}, tmp_path / "out")
    t, near, far = np.loadtxt(tmp_path / "out" / "probes.csv", delimiter=",", skiprows=1).T
    exact = -65.0 + np.array([passive_cable(t, x) for x in (0.0, 1.0)])
    errors = np.sqrt(((np.array([near, far]) - exact) ** 2).mean(axis=1)) / np.ptp(exact)
    assert errors.mean() < 1e-4 and errors.max() < 1.3e-4


def passive_cable(t, x):
    """V - E (mV) of Rallpack 1 at t (ms), a length constant of 1 mm long: Rall's sum for a sealed cable."""
    T, X, n = t[:, None] / 40.0, x, np.arange(1, 4000)
    R = 2 / np.pi * np.sqrt(40.0 * 0.1) * 1e-4 ** -1.5            # kOhm, of the infinite cable
    decay = 1 + (n * np.pi) ** 2
    tail = 2 * (np.cos(n * np.pi * X) * np.exp(-decay * T) / decay).sum(axis=1)
    return 1e-4 * R * (np.cosh(1 - X) / np.sinh(1) - np.exp(-t / 40.0) - tail)


@pytest.mark.parametrize("diameter", SQUID)
def test_the_squids_axon_conducts_as_in_neuron(diameter):
    """Within 0.1 %, and with the square root of the diameter."""
    cm = 1e-4 * diameter
    length, n = 10.0 * np.sqrt(diameter / 476.0), 1001
    model = load_model("HodgkinHuxley", parameters={"V_L": 10.7})
    operator = compartments(n, length, cm, 35.4e-3)
    run = stepper(operator, [model], "staggered", 0.01, 7.0)
    first = 2e1 * (diameter / 476.0) ** 1.5 / operator.lumped_mass[0]      # uA, for 0.2 ms
    V = []
    for step in run.steps():
        run.state.Istim[0] = first if 50 <= step < 70 else 0.0
        V.append(run.state.V.copy())
    t, V = np.arange(len(V)) * 0.01, np.array(V)
    near, far = (crossings(t, V[:, i])[0] for i in (300, 700))
    velocity = 400 * length / n / (far - near) * 10                          # cm/ms to m/s
    assert velocity == pytest.approx(SQUID[diameter], rel=1e-3)
    assert SQUID[diameter] == pytest.approx(SQUID[476.0] * np.sqrt(diameter / 476.0), rel=1e-5)


# --------------------------------------------------------------------------------------- where they can be used
def test_the_order_that_is_told():
    """Gates of V alone do not lower the order; states that depend on others, by methods of order 1, do."""
    operator = compartments(10, 0.1, 1e-4, 0.1)

    def notes(name, **options):
        model = load_model(name, **options)
        run = stepper(operator, [model], "staggered", 0.025, 1.0)
        return run.notes({"V": model.v_method} | {state.name: state.method for state in model.states})

    assert notes("HodgkinHuxley") == []
    assert notes("WangBuzsaki", methods="rk2") == []
    assert notes("LuoRudy91") == [
        "splitting 'staggered' is of order 2, but the run is of order 1: Cai are integrated by methods of order 1 "
        '(membrane.method = "rk2" is of order 2)']


@pytest.mark.parametrize("splitting", ["implicit", "staggered"])
def test_meshes_with_loops_and_a_mass_that_couples_are_refused(splitting):
    models = [load_model("HodgkinHuxley")]
    sheet = build_mesh(SheetMesh(size=(1.0, 1.0), dx=0.25))
    with pytest.raises(CaseError) as error:
        stepper(assemble(sheet, np.broadcast_to(np.eye(3), (sheet.n_cells, 3, 3))), models, splitting, 0.1, 1.0)
    assert str(error.value) == (
        f'time.splitting: "{splitting}" solves on cables and trees, and the couplings of this mesh form loops\n'
        '  -> take splitting = "strang" or "godunov"; of a cable or a tree that tissue.waves = "calibrated" couples '
        'over two nodes, set it to "lumped"')
    cable = build_mesh(CableMesh(length=1.0, dx=0.1))
    consistent = assemble(cable, np.broadcast_to(np.eye(3), (cable.n_cells, 3, 3)), 0.2)
    with pytest.raises(CaseError) as error:
        stepper(consistent, models, splitting, 0.1, 1.0)
    assert str(error.value) == (
        f'time.splitting: "{splitting}" needs a lumped mass, one compartment to a node\n'
        '  -> set tissue.waves = "lumped", or take splitting = "strang"')


def test_it_agrees_with_strang_where_both_are_accurate():
    """An axon of the squid at a hundredth of the usual step: the two share no solver and no kernel."""
    operator = compartments(41, 0.5, 476e-4, 35.4e-3)
    current = 20.0 * (1.0 + np.cos(np.linspace(0.0, np.pi, 41)))
    model = load_model("HodgkinHuxley", methods="rk2")
    ends = [traces(stepper(operator, [model], splitting, 0.001, 3.0, current), slice(None))[1][-1]
            for splitting in ("strang", "staggered")]
    assert np.abs(ends[0] - ends[1]).max() < 1e-3 * np.ptp(ends[0])
