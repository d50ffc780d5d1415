"""Diffusion steps by PETSc's Krylov iterations and preconditioners (petsc.org), through petsc4py where it is installed.

    S A S y = -dt S K V,   V += S y,   S = diag(A)^-1/2

The scaling from both sides is Jacobi's preconditioner. It makes the plain norm of PETSc's residual, over that of
diag(A)^1/2, the one that the tolerance of a case means, whatever preconditioner PETSc uses besides.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend.cpu_diffusion import ROUNDING, ConjugateGradients, increments_by_name
from upstroke.backend.halo import Halo
from upstroke.errors import CaseError

if TYPE_CHECKING:
    from upstroke.backend.cpu import CpuBackend

PREFIX = "upstroke_"       # of the options in PETSc's database, which a process has one of
FAR = 1e100                # times the first residual: what a good guess leaves may be far above what is left of b
INSTALL = ("load the site's module, or conda install -c conda-forge petsc4py, or pip install petsc petsc4py (which "
           'builds PETSc); or set solver.method = "cg"')


def load_petsc(comm: Any) -> Any:
    """The module petsc4py.PETSc, initialised for the processes of an mpi4py communicator; None: for this one alone.

    Raises
    ------
    CaseError where petsc4py is missing, speaks another MPI, or computes with other numbers
    """
    try:
        import petsc4py

        alone = getattr(sys.modules.get("mpi4py.MPI"), "COMM_SELF", None)    # also in a job, whose others run others
        petsc4py.init(["upstroke", "-no_signal_handler"], comm=alone if comm is None else comm)
        from petsc4py import PETSc
    except Exception as error:       # an extension that misses a library, or finds another MPI, fails in many ways
        raise CaseError("solver.method", f'"petsc" needs petsc4py: {_last_line(error)}', INSTALL) from error
    if comm is not None and PETSc.COMM_WORLD.getSize() != comm.size:
        raise CaseError("solver.method", f"PETSc sees {PETSc.COMM_WORLD.getSize()} of {comm.size} MPI ranks",
                        "build petsc4py and mpi4py on the same MPI")
    if np.dtype(PETSc.ScalarType) != np.float64:
        raise CaseError("solver.method", f"this PETSc computes with {np.dtype(PETSc.ScalarType)}",
                        "take a PETSc of real numbers in double precision (its default)")
    return PETSc


class PetscDiffusion:
    """A step of theta-schemes by a KSP of PETSc, from the same guess and to the same tolerance as our own iterations.

    Matrices and vectors are PETSc's, of the types that its options ask for; a product with a matrix is PETSc's, too,
    and so is what ranks tell each other for it. V and the last increments stay on the host.

    Attributes
    ----------
    failure : why the last solve failed, in PETSc's words

    Raises
    ------
    CaseError for options that PETSc refuses, or that nothing in this solver asks for
    """

    name = "diffusion"

    def __init__(self, backend: CpuBackend, A: Any, K: Any, V: NDArray[Any], dt: float, tolerance: float,
                 max_iterations: int, turns: int, options: Mapping[str, str]) -> None:
        self._petsc = load_petsc(backend.halo.comm)
        self._backend, self._V, self._tolerance = backend, V, tolerance
        self._increments = backend.zeros(turns, 4, len(V), dtype=np.float64)       # y of each turn's last solves
        self._solves = backend.zeros(1, dtype=np.int64)
        self.memory, self.nodal = {"solves": self._solves}, increments_by_name(self._increments, len(V))
        self.failure = ""
        try:
            self._make(A, K, dt, max_iterations, options)
        except (self._petsc.Error, CaseError) as error:
            forget_options(self._petsc)                # or PETSc tells of them once more when the process ends
            if isinstance(error, CaseError):
                raise
            raise CaseError("solver.petsc_options", f"PETSc refuses: {_last_line(error)}",
                            "see the manual pages of KSP, PC and Mat at petsc.org") from error
        backend.libraries["petsc"] = {
            "version": ".".join(map(str, self._petsc.Sys.getVersion())), "ksp": self._ksp.getType(),
            "pc": self._ksp.getPC().getType(), "mat": self._A.getType(), "vec": self._y.getType(),
            "options": dict(options)}

    def _make(self, A: Any, K: Any, dt: float, max_iterations: int, options: Mapping[str, str]) -> None:
        PETSc, halo = self._petsc, self._backend.halo
        comm = PETSc.COMM_SELF if halo.comm is None else halo.comm
        forget_options(PETSc)                          # of an earlier run in this process
        database = PETSc.Options(PREFIX)
        for name, value in options.items():
            database.setValue(name, value or None)
        self._sent = exchanged_numbers(halo, A.shape[0])
        self._A, self._K = (self._matrix(matrix, comm) for matrix in (A, K))
        self._A.setOption(PETSc.Mat.Option.SPD, True)
        self._y, self._b = self._A.createVecs()
        for vector in (self._y, self._b):
            vector.setOptionsPrefix(PREFIX)
            vector.setFromOptions()
        diagonal = self._A.getDiagonal()
        self._norm = float(np.sqrt(diagonal.sum()))
        self._scale = 1.0 / np.sqrt(diagonal.getArray(readonly=True))
        scale = self._y.duplicate()
        scale.setArray(self._scale)
        self._A.diagonalScale(scale, scale)
        self._K.diagonalScale(scale)
        self._K.scale(-dt)
        self._ksp = ksp = PETSc.KSP().create(comm)
        ksp.setOptionsPrefix(PREFIX)
        ksp.setOperators(self._A)
        ksp.setType("cg")
        ksp.getPC().setType("none")
        ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setInitialGuessNonzero(True)
        ksp.setTolerances(rtol=0.0, atol=self._tolerance * self._norm, divtol=FAR, max_it=max_iterations)
        ksp.setFromOptions()
        ksp.setUp()
        ksp.setUpOnBlocks()
        mine = [name for name in options if not is_used(PETSc, name)]
        unused = [name for name in mine if all(name in others for others in halo.everyone(mine))]
        if unused:
            raise CaseError("solver.petsc_options", f"nothing in PETSc asked for -{', -'.join(unused)}, with KSP "
                            f'"{ksp.getType()}" and PC "{ksp.getPC().getType()}"',
                            "check the spelling, and that it belongs to one of these; -ksp_view shows what does")

    def _matrix(self, rows: Any, comm: Any) -> Any:
        """This process's rows, whose columns are its own nodes and then its ghosts, as a matrix of all processes."""
        from scipy import sparse

        n, whole, index = rows.shape[0], self._petsc.DETERMINE, self._petsc.IntType
        numbers = self._sent.astype(np.int64)
        own = sparse.csr_array((rows.data, numbers[rows.indices], rows.indptr), shape=(n, int(numbers.max()) + 1))
        own.sort_indices()
        matrix = self._petsc.Mat().create(comm)
        matrix.setSizes(((n, whole), (n, whole)))
        matrix.setType("aij")
        matrix.setOptionsPrefix(PREFIX)
        matrix.setFromOptions()
        matrix.setPreallocationCSR((own.indptr.astype(index), own.indices.astype(index), own.data))
        matrix.assemble()
        return matrix

    def run(self, n: int) -> None:
        k, turn = divmod(int(self._solves[0]), len(self._increments))
        around = self._increments[turn]
        guess = np.zeros(len(self._V))
        for j, weight in enumerate(ConjugateGradients.WEIGHTS[min(k, 3)]):
            guess += weight * around[(k - 1 - j) % 4]
        try:
            self._y.setArray(self._V)
            self._K.mult(self._y, self._b)
            self._y.setArray(guess)
            self._ksp.solve(self._b, self._y)
        except self._petsc.Error as error:
            self._end(0, np.inf, f"PETSc: {_last_line(error)}")
            return
        reason, residual = self._ksp.getConvergedReason(), self._ksp.getResidualNorm() / self._norm
        if reason > 0 and residual <= self._tolerance * (1.0 + ROUNDING):
            around[k % 4] = self._y.getArray(readonly=True)
            self._V += (self._scale * around[k % 4]).astype(self._V.dtype)
            self._solves += 1
            self._end(self._ksp.getIterationNumber(), residual)
        else:
            self._end(self._ksp.getIterationNumber(), residual,
                      f"PETSc: {self._said(reason)}, residual {residual:.3g} mV")

    def _end(self, iterations: int, residual: float, failure: str = "") -> None:
        self.failure = failure
        self._backend.clock.count(iterations, residual, not failure)

    def _said(self, reason: int) -> str:
        """PETSc's name of a reason to stop."""
        names = vars(self._petsc.KSP.ConvergedReason)
        return next((name for name, value in names.items() if value == reason and name.isupper()), str(reason))


def exchanged_numbers(halo: Halo, n: int) -> NDArray[np.float64]:
    """(n + ghosts,) the numbers of this process's nodes, rank after rank, and then of its ghosts: a vector that is
    exchanged, and has to live as long as its halo."""
    first = sum(halo.everyone(n)[:halo.comm.rank]) if halo.comm is not None else 0
    numbers = np.arange(first, first + n + halo.ghosts, dtype=np.float64)
    for name in ("begin", "end"):
        if name in halo.callbacks:
            halo.callbacks[name](numbers.ctypes.data)
    return numbers


def forget_options(PETSc: Any) -> None:
    """Take all options of ours out of PETSc's database."""
    database = PETSc.Options(PREFIX)
    for name in database.getAll():
        database.delValue(name)


def is_used(PETSc: Any, name: str) -> bool:
    """Whether something in PETSc has asked for an option of ours."""
    database = PETSc.Options(PREFIX)
    if hasattr(database, "used"):
        return bool(database.used(name))
    used = ctypes.c_int(0)               # petsc4py before 3.26 does not know, but the library that it is linked with
    ctypes.CDLL(PETSc.__file__).PetscOptionsUsed(None, f"{PREFIX}{name}".encode(), ctypes.byref(used))
    return used.value != 0


def _last_line(error: BaseException) -> str:
    """What an error of PETSc's or of an import comes to: of the lines that are not advice on where to read on."""
    lines = [line.partition("] ")[2] or line for line in str(error).strip().splitlines()]
    return next((line for line in reversed(lines) if line.strip() and "petsc.org" not in line), repr(error)).strip()
