"""Order of convergence in space and time against an exact solution of the coupled system.

With phi a product of cosines with no flux through the boundary (-lap phi = k^2 phi), the system

    dV/dt = D lap V + D k^2 V - s,    ds/dt = V

has the solution V = phi cos t, s = phi sin t. Reaction and diffusion do not commute, so splitting errors show.
"""

import numpy as np
import pytest

from upstroke.backend import NOT_CONVERGED, open_backend
from upstroke.case.schema import CableMesh, SheetMesh, SlabMesh, Solver, TimeTable
from upstroke.codegen import generate
from upstroke.ionic import initial_state, load_model
from upstroke.ionic.methods import METHODS
from upstroke.mesh import build_mesh
from upstroke.protocol import Stimuli
from upstroke.space import assemble
from upstroke.step.diffusion import SCHEMES
from upstroke.step.splitting import SPLITTINGS
from upstroke.step.state import State
from upstroke.step.stepper import Stepper

D = 0.05          # cm^2/ms
MODEL = """
V; .external(Vm); .nodal();
Iion; .external();
V_init = 1.0;
growth = {growth}; .param();
s_init = 0.0;
diff_s = V;
Iion = s - growth*V;
"""


@pytest.fixture(scope="module")
def backend():
    return open_backend("cpu", threads=2)


def meshes(dim, cells):
    dx = 1.0 / cells
    return build_mesh([CableMesh(length=1.0, dx=dx), SheetMesh(size=(1.0, 1.0), dx=dx),
                       SlabMesh(size=(1.0, 1.0, 1.0), dx=dx)][dim - 1])


def solve(tmp_path, backend, dim, cells, dt, *, splitting="strang", diffusion="crank_nicolson", method="rk2", end=1.0,
          mass="lumped"):
    """(V, s) at ``end`` and the exact solution there; errors of first order may hide in s alone."""
    mesh = meshes(dim, cells)
    operator = assemble(mesh, np.broadcast_to(D * np.eye(3), (mesh.n_cells, 3, 3)), mass)
    path = tmp_path / "manufactured.model"
    path.write_text(MODEL.format(growth=D * dim * np.pi ** 2))
    model = load_model(path, methods=method)
    scheme = SPLITTINGS[splitting]
    kernel = generate(model, "c", "fp64", follow=scheme.implicit)
    state = State([(kernel, initial_state(model), mesh.n_points)], backend)
    phi = np.prod(np.cos(np.pi * mesh.points[:, :dim]), axis=1)
    state.V[:] = phi
    time = TimeTable(end=end, dt=dt, splitting=splitting, diffusion=diffusion)
    stepper = Stepper(operator, state, time, Solver(tolerance=1e-13), 1.0, Stimuli((), dt), backend)
    for _ in stepper.steps():
        pass
    s = state.variable("s") - scheme.lead * dt * state.V      # known half a step later than V: ds/dt = V
    return np.array([state.V, s]), np.array([phi * np.cos(end), phi * np.sin(end)])


def order(errors, ratio=2.0):
    return np.log(np.array(errors[:-1]) / np.array(errors[1:])) / np.log(ratio)


@pytest.mark.parametrize("mass", ["lumped", "consistent", 0.3])
@pytest.mark.parametrize("dim, cells", [(1, (16, 32, 64)), (2, (8, 16, 32)), (3, (6, 12, 24))])
def test_space_order_is_two(tmp_path, backend, dim, cells, mass):
    errors = []
    for n in cells:
        values, exact = solve(tmp_path, backend, dim, n, 0.0025, mass=mass, end=0.5)
        volume = assemble(meshes(dim, n), np.zeros((1, 3, 3))).lumped_mass
        errors.append(np.sqrt((values - exact) ** 2 @ volume).max())           # L2 norms of V and s
    assert order(errors)[-1] == pytest.approx(2.0, abs=0.15)


OWN = {"unsplit": "explicit", "implicit": "backward_euler", "staggered": "crank_nicolson"}     # schemes of diffusion
PAIRS = [(splitting, diffusion) for splitting in SPLITTINGS for diffusion in SCHEMES
         if OWN.get(splitting, diffusion) == diffusion]
FOR_V = [name for name, method in METHODS.items() if not method.needs_slope]
EVERY_SCHEME = [(1, 64, *pair, method) for pair in PAIRS for method in FOR_V]
HIGHER_DIMENSIONS = [(dim, cells, *pair, method) for dim, cells in ((2, 16), (3, 6)) for pair in PAIRS
                     if pair[1] != "backward_euler" and not SPLITTINGS[pair[0]].implicit for method in ("fe", "rk2")]


@pytest.mark.parametrize("dim, cells, splitting, diffusion, method", EVERY_SCHEME + HIGHER_DIMENSIONS)
def test_time_order_is_as_declared(tmp_path, backend, dim, cells, splitting, diffusion, method):
    """The least of the declared orders of splitting, diffusion scheme and membrane method is what comes out; with V
    given, ds/dt = V has no error by any method."""
    declared = min(SPLITTINGS[splitting].order, SCHEMES[diffusion].order,
                   2 if SPLITTINGS[splitting].implicit else METHODS[method].order)
    steps = (0.002, 0.001, 0.0005) if diffusion == "explicit" else (0.04, 0.02, 0.01)
    cells = 8 if diffusion == "explicit" else cells
    fine, _ = solve(tmp_path, backend, dim, cells, steps[-1] / 16, splitting="strang", method="rk2", end=0.4)
    errors = [np.abs(solve(tmp_path, backend, dim, cells, dt, splitting=splitting, diffusion=diffusion, method=method,
                           end=0.4)[0] - fine).max() for dt in steps]
    assert order(errors)[-1] == pytest.approx(declared, abs=0.15)


@pytest.mark.parametrize("mass", ["lumped", "consistent"])
@pytest.mark.parametrize("diffusion", ["crank_nicolson", "backward_euler"])
def test_diffusion_conserves_the_integral(backend, diffusion, mass):
    """Pure diffusion keeps 1^T M V: no flux leaves, and the solver's stop does not leak."""
    from upstroke.step.diffusion import make_diffusion

    mesh = meshes(3, 6)
    operator = assemble(mesh, np.broadcast_to(D * np.eye(3), (mesh.n_cells, 3, 3)), mass)

    class Bare:
        V = np.random.default_rng(1).normal(-80, 20, mesh.n_points)

    before = operator.lumped_mass @ Bare.V
    spread = np.ptp(Bare.V)
    (stage,) = make_diffusion(diffusion, operator, Bare, 0.05, Solver(tolerance=1e-12), backend)
    for n in range(200):
        stage.run(n)
    assert operator.lumped_mass @ Bare.V == pytest.approx(before, rel=1e-12)
    assert np.ptp(Bare.V) < 0.05 * spread


def test_explicit_diffusion_conserves_and_refuses_a_step_beyond_its_limit(backend):
    from upstroke.errors import CaseError
    from upstroke.step.diffusion import make_diffusion

    mesh = meshes(2, 10)
    operator = assemble(mesh, np.broadcast_to(D * np.eye(3), (mesh.n_cells, 3, 3)))

    class Bare:
        V = np.random.default_rng(1).normal(-80, 20, mesh.n_points)

    limit = operator.explicit_limit
    before = operator.lumped_mass @ Bare.V
    (stage,) = make_diffusion("explicit", operator, Bare, 0.99 * limit, Solver(), backend)
    for n in range(2000):
        stage.run(n)
    assert operator.lumped_mass @ Bare.V == pytest.approx(before, rel=1e-12)
    assert np.ptp(Bare.V) < 1.0
    with pytest.raises(CaseError) as error:
        make_diffusion("explicit", operator, Bare, 0.06, Solver(), backend)
    assert str(error.value) == (
        f"time.dt: a diffusion step of 0.06 ms is unstable with diffusion = \"explicit\": the limit of this mesh is "
        f"{limit:.4g} ms\n  -> take a smaller dt, or diffusion = \"crank_nicolson\"")


def test_conjugate_gradients_agree_with_a_direct_solver(backend):
    """SciPy's sparse LU is the oracle for one Crank-Nicolson step, with couplings rounded to fp32 as the solver's."""
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    from upstroke.step.diffusion import make_diffusion

    def rounded(matrix):
        off = (matrix - sparse.diags_array(matrix.diagonal())).tocsr().astype(np.float32).astype(np.float64)
        return (off + sparse.diags_array(matrix.sum(axis=1) - off.sum(axis=1))).tocsc()

    mesh = meshes(3, 8)
    tensor = D * np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]])
    operator = assemble(mesh, np.broadcast_to(tensor, (mesh.n_cells, 3, 3)), 0.3)

    class Bare:
        V = np.random.default_rng(1).normal(-80, 20, mesh.n_points)

    dt, A, K = 0.02, operator.implicit_matrix(0.01), operator.stiffness
    exact = Bare.V + spsolve(A.tocsc(), -dt * (K @ Bare.V))
    wanted = Bare.V + spsolve(rounded(A), -dt * (rounded(K) @ Bare.V))
    (stage,) = make_diffusion("crank_nicolson", operator, Bare, dt, Solver(tolerance=1e-12), backend)
    loop = backend.loop([stage])
    loop.run(0)
    assert np.abs(Bare.V - wanted).max() < 1e-9
    assert np.abs(Bare.V - exact).max() < 2e-6          # what the rounding of the couplings costs on white noise
    assert 0 < loop.clock.iterations < 100 and loop.clock.residual <= 1e-12


@pytest.mark.parametrize("diffusion, mass", [("crank_nicolson", 0.3), ("explicit", "lumped")])
def test_results_do_not_depend_on_the_number_of_threads(tmp_path, diffusion, mass):
    """On a mesh large enough that the solver takes all four threads (runtime.c: one per 8192 nodes)."""
    dt = 1e-4 if diffusion == "explicit" else 0.05
    one, four = (solve(tmp_path, open_backend("cpu", threads=threads), 3, 33, dt, diffusion=diffusion, mass=mass,
                       end=10 * dt)[0] for threads in (1, 4))
    assert one.shape[1] > 3 * 8192
    assert np.array_equal(one, four)      # sums run over fixed blocks, so not even rounding differs


def test_a_solver_that_needs_its_last_iteration_has_converged(backend):
    from upstroke.step.diffusion import make_diffusion

    mesh = meshes(2, 20)
    operator = assemble(mesh, np.broadcast_to(D * np.eye(3), (mesh.n_cells, 3, 3)))

    class Bare:
        V = np.zeros(mesh.n_points)

    def solve(most):
        """The clock after a step with so many iterations at most."""
        Bare.V[:] = np.random.default_rng(1).normal(-80, 20, mesh.n_points)
        solver = Solver(max_iterations=most)
        loop = backend.loop(make_diffusion("crank_nicolson", operator, Bare, 0.05, solver, backend))
        loop.run(0)
        return loop.clock

    needed = solve(500).iterations
    assert not solve(needed).halted
    assert solve(needed - 1).status == NOT_CONVERGED
    Bare.V[3] = np.nan
    loop = backend.loop(make_diffusion("crank_nicolson", operator, Bare, 0.05, Solver(), backend))
    loop.run(0)
    assert loop.clock.status == NOT_CONVERGED
