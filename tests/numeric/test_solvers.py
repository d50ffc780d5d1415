"""The linear solvers of the implicit diffusion step: against each other, against sparse LU, and where they give up."""

import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from upstroke.backend import NOT_CONVERGED, open_backend
from upstroke.backend.clock import NOT_FINITE
from upstroke.backend.cpu_diffusion import IMPLICIT
from upstroke.case.schema import CableMesh, SheetMesh, SlabMesh, Solver
from upstroke.errors import CaseError
from upstroke.mesh import build_mesh
from upstroke.space import assemble
from upstroke.step.diffusion import choose_method, make_diffusion

D = 0.05          # cm^2/ms
MESHES = {"cable": CableMesh(length=1.0, dx=0.01), "sheet": SheetMesh(size=(1.0, 1.0), dx=0.05),
          "slab": SlabMesh(size=(1.0, 1.0, 1.0), dx=0.125)}
ITERATIVE = [method for method in IMPLICIT if method != "tree"]


@pytest.fixture(scope="module")
def backend():
    return open_backend("cpu", threads=2)


def operator(name, mass=0.2):
    mesh = build_mesh(MESHES[name])
    return mesh, assemble(mesh, np.broadcast_to(D * np.eye(3), (mesh.n_cells, 3, 3)), mass)


def wave(mesh, step, dt):
    """A front that travels along x, in mV."""
    return -85.0 + 110.0 / (1.0 + np.exp((mesh.points[:, 0] - 0.3 - 0.05 * dt * step) / 0.06))


class Bare:
    """Only the V of a state."""

    def __init__(self, V):
        self.V = V


@pytest.mark.parametrize("mass", ["lumped", 0.2, "consistent"])
@pytest.mark.parametrize("method, name", [*((m, mesh) for m in ITERATIVE for mesh in MESHES), ("tree", "cable")])
def test_every_method_agrees_with_sparse_lu(backend, method, name, mass):
    """But for the couplings, which the compiled iterations keep in fp32."""
    mesh, op = operator(name, mass)
    dt = 0.05
    A, K = op.implicit_matrix(0.5 * dt), op.stiffness
    V = backend.array(wave(mesh, 0, dt))
    expected = V + spsolve(A.tocsc(), -dt * (K @ V))
    backend.implicit_diffusion(A, K, V, dt, 1e-9, 500, method).run(0)
    assert backend.clock.status == 0
    assert np.abs(V - expected).max() < (1e-5 if method in ("cg", "chebyshev") else 1e-7)


@pytest.mark.parametrize("mass", ["lumped", 0.2])
@pytest.mark.parametrize("name", MESHES)
def test_methods_agree_to_the_tolerance_over_many_steps(backend, name, mass):
    mesh, op = operator(name, mass)
    dt, tolerance = 0.02, 1e-6
    A, K = op.implicit_matrix(0.5 * dt), op.stiffness
    volume = A.diagonal() / A.diagonal().sum()
    results, iterations = {}, {}
    for method in ("cg", "chebyshev", *(["tree"] if name == "cable" else [])):
        V = backend.array(wave(mesh, 0, dt))
        loop = backend.loop([backend.implicit_diffusion(A, K, V, dt, tolerance, 500, method)])
        for n in range(30):
            loop.run(n)
        assert not loop.clock.halted and loop.clock.solves == 30 and loop.clock.residual <= tolerance
        results[method], iterations[method] = V, loop.clock.iterations
    for V in results.values():
        assert np.sqrt(volume @ (V - results["cg"]) ** 2) < 30 * 4 * tolerance     # lambda >= 1/4: error <= 4 residuals
    assert 0 < iterations["cg"] <= iterations["chebyshev"] < 3 * iterations["cg"]
    assert iterations.get("tree", 0) == 0


@pytest.mark.parametrize("name", MESHES)
def test_chebyshev_tests_its_residual_once_where_the_bounds_are_right(backend, name):
    """The first guess of how many iterations are needed is enough: ceil(acosh(r0/tolerance) / acosh(sigma))."""
    mesh, op = operator(name, "lumped")
    dt = 0.05
    A, K = op.implicit_matrix(0.5 * dt), op.stiffness
    V = backend.array(wave(mesh, 0, dt))
    r = -dt * (K @ V)
    start = np.sqrt(r @ (r / A.diagonal()) / A.diagonal().sum())
    stage = backend.implicit_diffusion(A, K, V, dt, 1e-7, 500, "chebyshev")
    low, high = stage._args.low, stage._args.high
    stage.run(0)
    needed = np.ceil(np.arccosh(start / 1e-7) / np.arccosh((high + low) / (high - low)))
    assert backend.clock.last_iterations == needed > 3
    assert backend.clock.residual <= 1e-7


def test_chebyshev_goes_on_where_the_lower_bound_is_too_high(backend):
    mesh, op = operator("slab")
    A, K = op.implicit_matrix(0.25), op.stiffness
    V, W = (backend.array(wave(mesh, 0, 0.5)) for _ in range(2))
    right, wrong = (backend.implicit_diffusion(A, K, v, 0.5, 1e-6, 500, "chebyshev") for v in (V, W))
    wrong._args.low = 4 * wrong._args.low
    right.run(0)
    few = backend.clock.last_iterations
    wrong.run(0)
    assert few < backend.clock.last_iterations < 4 * few
    assert backend.clock.residual <= 1e-6 and not backend.clock.status & NOT_CONVERGED
    assert np.abs(V - W).max() < 1e-3


def test_chebyshev_says_so_where_the_upper_bound_is_too_low(backend):
    mesh, op = operator("slab")
    A, K = op.implicit_matrix(0.25), op.stiffness
    backend.clock.status = 0
    stage = backend.implicit_diffusion(A, K, backend.array(wave(mesh, 0, 0.5)), 0.5, 1e-6, 500, "chebyshev")
    stage._args.high = 0.5 * stage._args.high
    stage.run(0)
    assert backend.clock.status & NOT_CONVERGED
    backend.clock.status = 0


@pytest.mark.parametrize("method", ITERATIVE)
def test_too_few_iterations_halt_the_loop(backend, method):
    mesh, op = operator("sheet")
    V = backend.array(wave(mesh, 0, 0.05))
    loop = backend.loop([backend.implicit_diffusion(op.implicit_matrix(0.025), op.stiffness, V, 0.05, 1e-9, 2, method)])
    loop.run(0)
    assert loop.clock.halted and loop.clock.status & NOT_CONVERGED and loop.clock.step == 0


@pytest.mark.parametrize("method", IMPLICIT)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_halts_the_loop(backend, method, bad):
    mesh, op = operator("cable")
    V = backend.array(wave(mesh, 0, 0.05))
    V[7] = bad
    loop = backend.loop([backend.implicit_diffusion(op.implicit_matrix(0.025), op.stiffness, V, 0.05, 1e-6, 9, method)])
    loop.run(0)
    assert loop.clock.halted and loop.clock.status & (NOT_FINITE | NOT_CONVERGED)


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
@pytest.mark.parametrize("method", ["chebyshev", "tree"])
def test_threads_change_nothing_and_uniform_fields_stay(method, precision):
    """On 400 cables of 101 nodes: many groups, and rows enough for all threads."""
    from scipy import sparse

    _, op = operator("cable")
    n, copies = op.n, 400
    A, K = (sparse.block_diag([m] * copies, format="csr") for m in (op.implicit_matrix(0.025), op.stiffness))
    start = np.random.default_rng(1).normal(-80, 20, n * copies)
    results = []
    for threads in (1, 4):
        backend = open_backend("cpu", threads=threads, precision=precision)
        V = backend.array(start, dtype=backend.dtype)
        U = backend.array(np.full(n * copies, -81.3), dtype=backend.dtype)
        for v in (V, U):
            stage = backend.implicit_diffusion(A, K, v, 0.05, 1e-8, 500, method)
            for step in range(3):
                stage.run(step)
        assert np.array_equal(U, np.full_like(U, -81.3)) and backend.clock.status == 0
        results.append(V)
    assert np.array_equal(*results)


def test_the_direct_solver_conserves_charge(backend):
    _, op = operator("cable")
    V = backend.array(np.random.default_rng(1).normal(-80, 20, op.n))
    before = op.lumped_mass @ V
    stage = backend.implicit_diffusion(op.implicit_matrix(0.05), op.stiffness, V, 0.05, 1e-5, 1, "tree")
    for n in range(200):
        stage.run(n)
    assert op.lumped_mass @ V == pytest.approx(before, rel=1e-12)
    assert np.ptp(V) < 1.0


def test_the_choice_of_a_method():
    cable, sheet = (operator(name)[1] for name in ("cable", "sheet"))
    A, K = cable.implicit_matrix(0.01), cable.stiffness
    B, L = sheet.implicit_matrix(0.01), sheet.stiffness
    assert choose_method("auto", A, K, "cpu") == "tree" == choose_method("tree", A, K, "cuda")
    assert choose_method("auto", B, L, "cpu") == "cg"
    assert choose_method("scipy", B, L, "cpu") == "library" == choose_method("cupyx", B, L, "cuda")
    assert choose_method("chebyshev", B, L, "cuda") == "chebyshev"


@pytest.mark.parametrize("method, device, message", [
    ("tree", "cpu", 'solver.method: "tree" solves on meshes without loops, and this mesh has loops\n'
                    '  -> set solver.method = "cg", or leave it out'),
    ("scipy", "cuda", 'solver.method: "scipy" does not run on the device "cuda"\n  -> set solver.method = "cupyx"'),
    ("cupyx", "cpu", 'solver.method: "cupyx" does not run on the device "cpu"\n  -> set solver.method = "scipy"'),
])
def test_methods_that_do_not_suit(method, device, message):
    op = operator("sheet")[1]
    with pytest.raises(CaseError) as error:
        choose_method(method, op.implicit_matrix(0.01), op.stiffness, device)
    assert str(error.value) == message


def test_the_method_of_a_case_reaches_the_step(backend):
    _, op = operator("cable")
    for method, kind in (("auto", "TreeDiffusion"), ("chebyshev", "Chebyshev"), ("scipy", "SciPyDiffusion")):
        (stage,) = make_diffusion("crank_nicolson", op, Bare(backend.zeros(op.n)), 0.05, Solver(method=method), backend)
        assert type(stage).__name__ == kind and stage.name == "diffusion"
