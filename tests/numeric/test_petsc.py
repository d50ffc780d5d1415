"""PETSc as solver: against our own iterations, on one rank and two, and what it says where it cannot be. With the real
petsc4py where it is installed, and always with the stand-in of tests/standin."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_ranks import CASE, RUNS, needs_mpi, on_ranks, same, write

from upstroke.backend import open_backend
from upstroke.backend.clock import memory_of, nodal_of
from upstroke.backend.petsc_diffusion import PREFIX, PetscDiffusion, forget_options, is_used, load_petsc
from upstroke.case import load_case
from upstroke.case.schema import SheetMesh, SlabMesh, Solver
from upstroke.cli import main
from upstroke.errors import CaseError, DivergenceError, UpstrokeError
from upstroke.mesh import build_mesh
from upstroke.run import run
from upstroke.space import assemble
from upstroke.step.diffusion import choose_method, make_diffusion

HERE = importlib.util.find_spec("petsc4py") is not None
needs_petsc = pytest.mark.skipif(not HERE, reason="petsc4py is not installed")
MESHES = {"sheet": SheetMesh(size=(1.0, 1.0), dx=0.05), "slab": SlabMesh(size=(1.0, 1.0, 1.0), dx=0.125)}
DT = 0.05


@pytest.fixture(params=["the stand-in", pytest.param("petsc4py", marks=needs_petsc)])
def petsc(request: pytest.FixtureRequest) -> str:
    if request.param == "the stand-in":
        request.getfixturevalue("standin_petsc")
    return str(request.param)


def matrices(name: str, mass: Any = 0.2) -> tuple[Any, Any, Any]:
    """A, K and a front that travels along x, in mV."""
    mesh = build_mesh(MESHES[name])
    operator = assemble(mesh, np.broadcast_to(0.05 * np.eye(3), (mesh.n_cells, 3, 3)), mass)
    V = -85.0 + 110.0 / (1.0 + np.exp((mesh.points[:, 0] - 0.3) / 0.06))
    return operator.implicit_matrix(0.5 * DT), operator.stiffness, V


def make(name: str, tolerance: float = 1e-6, turns: int = 1, max_iterations: int = 500, precision: str = "fp64",
         **options: str) -> tuple[Any, Any, PetscDiffusion]:
    backend = open_backend("cpu", 2, precision)
    A, K, start = matrices(name)
    V = backend.array(start, dtype=backend.dtype)
    return backend, V, PetscDiffusion(backend, A, K, V, DT, tolerance, max_iterations, turns, options)


@pytest.mark.parametrize("name", MESHES)
def test_it_agrees_with_our_own_iterations(petsc: str, name: str) -> None:
    """The same guesses, scaling and tolerance: the same iterations, but for rounding, and couplings of ours in fp32."""
    backend, V, stage = make(name)
    A, K, start = matrices(name)
    W = backend.array(start)
    ours = backend.implicit_diffusion(A, K, W, DT, 1e-6, 500, "cg")
    counts = []
    for step in range(20):
        for each in (stage, ours):
            each.run(step)
            counts.append(backend.clock.last_iterations)
            assert backend.clock.status == 0 and backend.clock.residual <= 1e-6 * (1.0 + 1e-12)
    assert np.abs(np.diff(np.reshape(counts, (-1, 2)), axis=1)).max() <= 1 and max(counts) > 3
    assert np.abs(V - W).max() < 1e-4 and np.abs(V - start).max() > 1.0


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_the_tolerance_is_of_the_preconditioned_residual(petsc: str, tolerance: float) -> None:
    A, K, start = matrices("slab")
    backend, V, stage = make("slab", tolerance)
    stage.run(0)
    r = -DT * (K @ start) - A @ (V - start)
    residual = np.sqrt(r @ (r / A.diagonal()) / A.diagonal().sum())
    assert 1e-3 * tolerance < residual <= tolerance * 1.001
    assert backend.clock.residual == pytest.approx(residual, rel=1e-3)


def test_single_precision(petsc: str) -> None:
    _, V, stage = make("slab", precision="fp32")
    reference = make("slab")
    for step in range(5):
        for each in (stage, reference[2]):
            each.run(step)
    assert V.dtype == np.float32 and np.abs(V - reference[1]).max() < 1e-4


def test_it_goes_on_bit_for_bit(petsc: str) -> None:
    """From V and what it says that it remembers, in two turns."""
    _, V, whole = make("sheet", turns=2)
    for step in range(9):
        whole.run(step)
    _, W, first = make("sheet", turns=2)
    for step in range(5):
        first.run(step)
    _, X, second = make("sheet", turns=2)
    X[:] = W
    for told in (memory_of, nodal_of):
        held = told(first)
        assert held
        for key, array in told(second).items():
            array[:] = held[key]
    for step in range(5, 9):
        second.run(step)
    assert np.array_equal(V, X) and not np.array_equal(V, W)


def test_what_computes_is_told(petsc: str) -> None:
    backend, _, _ = make("sheet", pc_type="jacobi")
    told = backend.describe()["petsc"]
    assert told["ksp"] == "cg" and told["pc"] == "jacobi" and told["options"] == {"pc_type": "jacobi"}
    assert "aij" in told["mat"] and told["version"].count(".") == 2
    _ = make("sheet")
    load = load_petsc(None)
    assert load.Options(PREFIX).getAll() == {}                    # the options of one run are no other's


def test_options_that_nothing_asks_for(petsc: str) -> None:
    with pytest.raises(CaseError) as error:
        make("sheet", pc_type="jacobi", pc_tpye="none", mg_levels_ksp_max_it="3")
    assert str(error.value) == (
        "solver.petsc_options: nothing in PETSc asked for -pc_tpye, -mg_levels_ksp_max_it, with KSP \"cg\" and PC "
        '"jacobi"\n  -> check the spelling, and that it belongs to one of these; -ksp_view shows what does')
    assert load_petsc(None).Options(PREFIX).getAll() == {}        # or PETSc tells of them again at its end


@pytest.mark.parametrize(("option", "said"), [
    ({"pc_type": "gamgg"}, "Unable to find requested PC type gamgg"),
    ({"mat_type": "ajicusparse"}, "ajicusparse"),
])
def test_options_that_petsc_refuses(petsc: str, option: dict[str, str], said: str) -> None:
    with pytest.raises(CaseError) as error:
        make("sheet", **option)
    lines = str(error.value).splitlines()
    assert lines[0].startswith("solver.petsc_options: PETSc refuses: ") and said in lines[0]
    assert lines[1:] == ["  -> see the manual pages of KSP, PC and Mat at petsc.org"]


def small(**solver: Any) -> dict[str, Any]:
    return CASE | {"solver": {"method": "petsc"} | solver, "time": CASE["time"] | {"end": "1 ms"}}


def test_a_solve_that_does_not_converge_says_why(petsc: str, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError) as error:
        run(small(max_iterations=1, tolerance="1e-9 mV"), tmp_path / "out")
    first, second, *_ = str(error.value).splitlines()
    assert "the diffusion solver did not converge in 1 iterations (PETSc: DIVERGED_MAX_IT, residual " in first
    assert second == "  -> raise solver.max_iterations or solver.tolerance, or take a smaller dt"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "failed" and manifest["backend"]["petsc"]["ksp"] == "cg"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_halts_the_loop(petsc: str, bad: float) -> None:
    backend, V, stage = make("sheet")
    V[7] = bad
    loop = backend.loop([stage])
    loop.run(0)
    assert loop.clock.halted and stage.failure.startswith("PETSc: ")


def test_a_run(petsc: str, tmp_path: Path) -> None:
    """From the case to the manifest, beside the same one with our own iterations."""
    done = [run(small(**more, tolerance="1e-9 mV"), tmp_path / name) for name, more in
            (("petsc", {"petsc_options": "-ksp_type cg -pc_type jacobi"}), ("cg", {"method": "cg"}))]
    assert np.abs(done[0].state.variable("V") - done[1].state.variable("V")).max() < 1e-5
    counts = [d.summary["solver"]["iterations"] for d in done]
    assert counts[0] == pytest.approx(counts[1], rel=0.05) and counts[0] > 40
    told = json.loads((tmp_path / "petsc" / "manifest.json").read_text())["backend"]["petsc"]
    assert told["options"] == {"ksp_type": "cg", "pc_type": "jacobi"} and told["pc"] == "jacobi"


# ------------------------------------------------------------------------------------------- where it cannot be
def test_petsc4py_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                             capsys: pytest.CaptureFixture[str]) -> None:
    """It is told before the mesh is built, and before anything is written."""
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    monkeypatch.setattr("upstroke.run.build_mesh", None)
    path = write(tmp_path, small())
    line = path.read_text().splitlines().index('method = "petsc"') + 1
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        f'{path}:{line}: solver.method: "petsc" needs petsc4py: import of petsc4py halted; None in sys.modules\n'
        "  -> load the site's module, or conda install -c conda-forge petsc4py, or pip install petsc petsc4py (which "
        'builds PETSc); or set solver.method = "cg"\n')
    assert not (tmp_path / "out").exists()


def test_a_petsc_of_other_numbers_or_ranks(standin_petsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Two:
        size, rank = 2, 0

    with pytest.raises(CaseError) as error:
        load_petsc(Two())
    assert str(error.value) == ("solver.method: PETSc sees 1 of 2 MPI ranks\n"
                                "  -> build petsc4py and mpi4py on the same MPI")
    monkeypatch.setattr("petsc4py.PETSc.ScalarType", np.complex128)
    with pytest.raises(CaseError) as error:
        load_petsc(None)
    assert str(error.value) == ("solver.method: this PETSc computes with complex128\n"
                                "  -> take a PETSc of real numbers in double precision (its default)")
    assert all("-no_signal_handler" in args for args, _ in standin_petsc._called)


def test_on_a_device() -> None:
    A, K, _ = matrices("sheet")
    with pytest.raises(CaseError) as error:
        choose_method("petsc", A, K, "cuda")
    assert str(error.value) == (
        'solver.method: "petsc" does not run on the device "cuda"\n  -> set backend.device = "cpu"; PETSc itself takes '
        'the GPU with solver.petsc_options = "-mat_type aijcusparse"')


@pytest.mark.parametrize(("solver", "said"), [
    ({"method": "cg", "petsc_options": "-pc_type gamg"},
     'does nothing with solver.method = "cg"\n  -> set solver.method = "petsc", or remove it'),
    ({"petsc_options": "ksp_type cg"}, "'ksp_type' is neither an option of PETSc, which starts with \"-\", nor the "
     'value of one\n  -> write it as on PETSc\'s command line: "-ksp_type cg -pc_type gamg"'),
    ({"petsc_options": "-ksp_rtol 1e-8"},
     "-ksp_rtol is what solver.tolerance says\n  -> remove it, and set solver.tolerance"),
    ({"petsc_options": "-ksp_max_it 9"},
     "-ksp_max_it is what solver.max_iterations says\n  -> remove it, and set solver.max_iterations"),
    ({"petsc_options": "-ksp_guess_type fischer"}, "-ksp_guess_type: the guess is extrapolated from the last three "
     "steps, which checkpoints hold\n  -> remove it"),
    ({"petsc_options": "-pc_type gamg -pc_type jacobi"}, "-pc_type is there 2 times\n  -> leave one of them"),
])
def test_options_that_are_none(solver: dict[str, str], said: str, tmp_path: Path) -> None:
    path = write(tmp_path, small(**solver))
    with pytest.raises(UpstrokeError) as error:
        load_case(path)
    line = next(k for k, text in enumerate(path.read_text().splitlines(), 1) if text.startswith("petsc_options"))
    assert str(error.value) == f"{path}:{line}: solver.petsc_options: {said}"


def test_options_by_name() -> None:
    solver = Solver(method="petsc", petsc_options="-ksp_monitor -pc_type gamg  -esteig 0,-1 -x_shift -1.5 -y")
    assert solver.petsc == {"ksp_monitor": "", "pc_type": "gamg", "esteig": "0,-1", "x_shift": "-1.5", "y": ""}
    assert Solver().petsc == {}


def test_the_options_of_a_case_reach_petsc(standin_petsc: Any) -> None:
    backend = open_backend("cpu", 1)
    mesh = build_mesh(MESHES["sheet"])
    operator = assemble(mesh, np.broadcast_to(0.05 * np.eye(3), (mesh.n_cells, 3, 3)), 0.2)

    class Bare:
        V = backend.zeros(operator.n)

    solver = Solver(method="petsc", petsc_options="-pc_type jacobi", tolerance=1e-4, max_iterations=77)
    (stage,) = make_diffusion("crank_nicolson", operator, Bare(), DT, solver, backend)  # type: ignore[arg-type]
    assert isinstance(stage, PetscDiffusion) and stage.name == "diffusion"
    diagonal = operator.implicit_matrix(0.5 * DT).diagonal()
    ksp = stage._ksp
    assert (ksp._rtol, ksp._max_it, ksp._pc.type) == (0.0, 77, "jacobi")
    assert ksp._atol == pytest.approx(1e-4 * np.sqrt(diagonal.sum()), rel=1e-12)
    np.testing.assert_allclose(stage._A._values.diagonal(), 1.0, rtol=1e-12)


# ------------------------------------------------------------------------------------------- the real one only
@needs_petsc
@pytest.mark.parametrize("options", ["-pc_type gamg", "-pc_type bjacobi -sub_pc_type icc", "-ksp_type pipecg",
                                     "-pc_type gamg -mg_levels_ksp_max_it 3 -pc_gamg_threshold 0.02",
                                     "-ksp_type gmres -ksp_gmres_restart 20", "-pc_type cholesky",
                                     "-ksp_type chebyshev -ksp_chebyshev_esteig 0,0.1,0,1.1 -pc_type jacobi"])
def test_other_methods_of_petscs_give_the_same(options: str) -> None:
    _, W, plain = make("slab", 1e-9)
    _, V, stage = make("slab", 1e-9, **Solver(method="petsc", petsc_options=options).petsc)
    for step in range(5):
        for each in (plain, stage):
            each.run(step)
            assert not each.failure
    assert np.abs(V - W).max() < 1e-6


@needs_petsc
def test_both_ways_to_know_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    make("sheet", pc_type="jacobi")
    PETSc = load_petsc(None)

    class Old:                                        # petsc4py before 3.26
        __file__ = PETSc.__file__

        class Options:
            def __init__(self, prefix: str) -> None: ...

    PETSc.Options(PREFIX).setValue("nonsense", "1")
    for module in (PETSc, Old):
        assert is_used(module, "pc_type") and not is_used(module, "nonsense")
    forget_options(PETSc)


@needs_petsc
@needs_mpi
@pytest.mark.parametrize(("name", "options", "count"), [
    ("conjugate gradients", "", 3), ("conjugate gradients", "-pc_type gamg", 2), ("purkinje", "", 2)])
def test_several_ranks_give_what_one_gives(name: str, options: str, count: int, tmp_path: Path) -> None:
    solver = CASE["solver"] | {"method": "petsc", "petsc_options": options}
    case, out = write(tmp_path, RUNS[name] | {"solver": solver}), tmp_path / "several"
    run(case, tmp_path / "one")
    done = on_ranks(count, "run", case, "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    same(tmp_path / "one", out, 1e-8)
    told = [json.loads((folder / "manifest.json").read_text())["backend"]["petsc"]
            for folder in (tmp_path / "one", out)]
    assert [each["mat"] for each in told] == ["seqaij", "mpiaij"] and told[0]["version"] == told[1]["version"]


@needs_petsc
@needs_mpi
def test_a_mistake_in_options_is_told_once_on_two_ranks(tmp_path: Path) -> None:
    done = on_ranks(2, "run", write(tmp_path, small(petsc_options="-pc_tpye gamg")))
    assert done.returncode == 2 and done.stderr.count("asked for -pc_tpye") == 1 and "Traceback" not in done.stderr


@needs_mpi
@pytest.mark.skipif(HERE, reason="petsc4py is installed")
def test_petsc4py_is_missing_on_two_ranks(tmp_path: Path) -> None:
    done = on_ranks(2, "run", write(tmp_path, small()))
    assert done.returncode == 2 and done.stderr.count('"petsc" needs petsc4py: No module named') == 1


@needs_petsc
def test_a_process_alone_in_a_job() -> None:
    """Members of a study do not wait for other processes."""
    code = ("from mpi4py import MPI\nfrom upstroke.backend.petsc_diffusion import load_petsc\n"
            "print(MPI.COMM_WORLD.size, load_petsc(None).COMM_WORLD.getSize()) if MPI.COMM_WORLD.rank else None")
    mpiexec = Path(sys.executable).with_name("mpiexec")
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside this Python")
    done = subprocess.run([str(mpiexec), "-n", "2", sys.executable, "-c", code], capture_output=True, text=True,
                          timeout=60, env=os.environ)
    assert done.returncode == 0 and done.stdout.split() == ["2", "1"], done.stderr
