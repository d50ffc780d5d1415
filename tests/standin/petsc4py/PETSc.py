from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import sparse

ScalarType, IntType, DETERMINE = np.float64, np.int32, -1


class Error(RuntimeError):
    def __init__(self, function: str, text: str) -> None:
        super().__init__(f"error code 86\n[0] {function}() at src/{function}.c:1\n[0] {text}\n"
                         "[0] See https://petsc.org/release/overview/ for more")


class Comm:
    def getSize(self) -> int:
        return 1


COMM_WORLD, COMM_SELF = Comm(), Comm()


class Sys:
    @staticmethod
    def getVersion() -> tuple[int, int, int]:
        return 0, 0, 0


class Options:
    database: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[set[str]] = set()

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def getAll(self) -> dict[str, Any]:
        return {name.removeprefix(self.prefix): value for name, value in self.database.items()
                if name.startswith(self.prefix)}

    def setValue(self, name: str, value: Any) -> None:
        self.database[self.prefix + name] = value
        self.asked.discard(self.prefix + name)

    def delValue(self, name: str) -> None:
        del self.database[self.prefix + name]

    def used(self, name: str) -> bool:
        return self.prefix + name in self.asked


class Object:
    prefix, type, kind, known = "", "", "", ("",)

    def setOptionsPrefix(self, prefix: str) -> None:
        self.prefix = prefix

    def setFromOptions(self) -> None:
        Options.asked.add(f"{self.prefix}{self.kind}_type")
        self.setType(Options.database.get(f"{self.prefix}{self.kind}_type", self.type))

    def setType(self, name: str) -> None:
        if name not in self.known:
            raise Error(f"{self.kind}SetType", f"Unable to find requested {self.kind.upper()} type {name}")
        self.type = name

    def getType(self) -> str:
        return self.type


class Vec(Object):
    kind, type, known = "vec", "seq", ("seq",)

    def __init__(self, n: int) -> None:
        self._values = np.zeros(n)

    def setArray(self, values: Any) -> None:
        assert len(values) == len(self._values)
        self._values[:] = values

    def getArray(self, readonly: bool = False) -> Any:
        view = self._values.view()
        view.flags.writeable = not readonly
        return view

    def sum(self) -> float:
        return float(self._values.sum())

    def duplicate(self) -> Vec:
        return Vec(len(self._values))


class Mat(Object):
    kind, type, known = "mat", "", ("aij",)

    class Option:
        SPD = 15

    def create(self, comm: Any) -> Mat:
        assert comm is COMM_SELF
        return self

    def setSizes(self, sizes: Any) -> None:
        (rows, all_rows), (columns, all_columns) = sizes
        assert rows == columns and all_rows == all_columns == DETERMINE
        self._n = rows

    def setPreallocationCSR(self, csr: Any) -> None:
        start, columns, values = csr
        assert start.dtype == columns.dtype == IntType and values.dtype == ScalarType
        assert len(start) == self._n + 1 and columns.min() >= 0 and columns.max() < self._n
        last = np.zeros(len(columns), bool)
        last[start[1:] - 1] = True
        assert (np.diff(columns)[~last[:-1]] > 0).all()                   # sorted, each once
        self._values = sparse.csr_array((values, columns, start), shape=(self._n, self._n))

    def assemble(self) -> None:
        assert self._values.nnz

    def setOption(self, option: int, flag: bool) -> None:
        assert option == self.Option.SPD and flag is True

    def createVecs(self) -> tuple[Vec, Vec]:
        return Vec(self._n), Vec(self._n)

    def getDiagonal(self) -> Vec:
        vector = Vec(self._n)
        vector.setArray(self._values.diagonal())
        return vector

    def diagonalScale(self, L: Vec | None = None, R: Vec | None = None) -> None:
        left, right = (sparse.diags_array(v.getArray() if v is not None else np.ones(self._n)) for v in (L, R))
        self._values = sparse.csr_array(left @ self._values @ right)

    def scale(self, factor: float) -> None:
        self._values = factor * self._values

    def mult(self, x: Vec, y: Vec) -> None:
        assert x is not y
        y.setArray(self._values @ x.getArray())


class PC(Object):
    kind, type, known = "pc", "ilu", ("none", "jacobi", "ilu")


class KSP(Object):
    kind, type, known = "ksp", "gmres", ("cg", "gmres")

    class NormType:
        UNPRECONDITIONED = 2

    class ConvergedReason:
        CONVERGED_ATOL, CONVERGED_ITERATING, DIVERGED_MAX_IT, DIVERGED_NANORINF = 3, 0, -3, -9

    def create(self, comm: Any) -> KSP:
        assert comm is COMM_SELF
        self._pc, self._ready, self._nonzero, self._norm = PC(), False, False, 1
        return self

    def setOperators(self, matrix: Mat) -> None:
        self._matrix = matrix

    def getPC(self) -> PC:
        return self._pc

    def setNormType(self, norm: int) -> None:
        self._norm = norm

    def setInitialGuessNonzero(self, flag: bool) -> None:
        self._nonzero = flag

    def setTolerances(self, rtol: float, atol: float, divtol: float, max_it: int) -> None:
        self._rtol, self._atol, self._divtol, self._max_it = rtol, atol, divtol, max_it

    def setFromOptions(self) -> None:
        super().setFromOptions()
        self._pc.prefix = self.prefix
        self._pc.setFromOptions()

    def setUp(self) -> None:
        assert self.type == "cg" and self._norm == self.NormType.UNPRECONDITIONED
        self._ready = True

    def setUpOnBlocks(self) -> None:
        assert self._ready

    def solve(self, b: Vec, x: Vec) -> None:
        """Conjugate gradients (Hestenes and Stiefel 1952); with a diagonal of ones Jacobi's preconditioner is none."""
        assert self._ready
        if not self._nonzero:
            x.setArray(np.zeros(len(x.getArray())))
        A, y = self._matrix._values, x.getArray()
        with np.errstate(invalid="ignore"):
            r = b.getArray() - A @ y
            enough = max(self._atol, self._rtol * np.linalg.norm(b.getArray()))
        p, rho, k = r.copy(), r @ r, 0
        while not (done := np.sqrt(rho) <= enough) and np.isfinite(rho) and k < self._max_it:
            q = A @ p
            alpha = rho / (p @ q)
            y += alpha * p
            r -= alpha * q
            rho, before, k = r @ r, rho, k + 1
            p = r + (rho / before) * p
        self._reason = 3 if done else -3 if np.isfinite(rho) else -9
        self._iterations, self._residual = k, float(np.sqrt(rho))

    def getConvergedReason(self) -> int:
        return self._reason

    def getIterationNumber(self) -> int:
        return self._iterations

    def getResidualNorm(self) -> float:
        return self._residual
