"""What Upstroke uses of cupyx.scipy.sparse.linalg, computed by SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scipy.sparse.linalg
from cupy import asarray, ndarray


class LinearOperator:
    def __init__(self, shape: tuple[int, int], matvec: Callable[[ndarray], ndarray], dtype: Any = float) -> None:
        self.shape, self.matvec, self.dtype = shape, matvec, dtype


def _on_host(operator: Any) -> Any:
    if operator is None:
        return None
    matvec = operator.matvec if isinstance(operator, LinearOperator) else operator.dot
    return scipy.sparse.linalg.LinearOperator(operator.shape, lambda x: matvec(asarray(x)).get(), dtype=operator.dtype)


def cg(A: Any, b: ndarray, x0: ndarray | None = None, *, rtol: float = 1e-5, atol: float = 0.0,
       maxiter: int | None = None, M: Any = None,
       callback: Callable[[ndarray], None] | None = None) -> tuple[ndarray, int]:
    tell = callback and (lambda x: callback(asarray(x)))
    x, info = scipy.sparse.linalg.cg(_on_host(A), b.get(), None if x0 is None else x0.get(), rtol=rtol, atol=atol,
                                     maxiter=maxiter, M=_on_host(M), callback=tell)
    return asarray(x), info
