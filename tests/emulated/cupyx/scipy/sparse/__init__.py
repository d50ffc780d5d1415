"""What Upstroke uses of cupyx.scipy.sparse, computed by SciPy."""

from __future__ import annotations

from typing import Any

import scipy.sparse
from cupy import asarray, ndarray

from . import linalg

__all__ = ["csr_matrix", "linalg"]


class csr_matrix:
    def __init__(self, arg1: Any, shape: tuple[int, int] | None = None, dtype: Any = None, copy: bool = False) -> None:
        if isinstance(arg1, tuple) and all(isinstance(part, ndarray) for part in arg1):
            arg1 = tuple(part.get() for part in arg1)
        elif not scipy.sparse.issparse(arg1):
            raise TypeError("the emulator takes (data, indices, indptr) as cupy arrays, or a SciPy matrix")
        self._host = scipy.sparse.csr_matrix(arg1, shape=shape, dtype=dtype)
        self.shape, self.dtype, self.nnz = self._host.shape, self._host.dtype, self._host.nnz
        self.data, self.indices, self.indptr = map(asarray, (self._host.data, self._host.indices, self._host.indptr))

    def dot(self, other: ndarray) -> ndarray:
        return asarray(self._host @ other.get())

    __matmul__ = dot

    def diagonal(self) -> ndarray:
        return asarray(self._host.diagonal())

    def get(self) -> scipy.sparse.csr_matrix:
        return self._host.copy()
