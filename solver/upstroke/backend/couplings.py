"""Sparse matrices as couplings between neighbours, in the two forms that backends apply.

A row is applied as (A x)_i = m_i x_i + sum_j a_ij (x_j - x_i), so only what lies off the diagonal is stored, in fp32,
without what is zero. Matrices that are used together (A and K of one diffusion step) share one pattern.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEGLIGIBLE = 1e-14    # of the largest coupling: what rounding leaves where a coupling is zero
FEW = 0.05            # rows repeat where there are at most so many different ones, as a part of all


@dataclass(frozen=True, eq=False)
class Sliced:
    """Slices of ``lanes`` rows (SELL): entry j of row i is at [(start[i // lanes] + j) * lanes + i % lanes].

    Short rows are filled up with zero couplings to themselves.
    """

    start: NDArray[np.int64]
    column: NDArray[np.int32]
    values: dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Repeated:
    """Rows of which many are the same but for their place, each kind stored once.

    Row i is of ``kind[i]``; entry j of kind k is at [j, k]: its column is i + offset[j, k].
    """

    kind: NDArray[np.int32]
    offset: NDArray[np.int32]
    values: dict[str, NDArray[np.float32]]


def outward_slices(pattern: Any, n: int, lanes: int) -> NDArray[np.uint8]:
    """(slices,) whether a row of a slice of ``lanes`` has neighbours in other processes: columns from n on."""
    row = np.repeat(np.arange(n), np.diff(pattern.indptr))[pattern.indices >= n]
    outward = np.zeros(-(-n // lanes), np.uint8)
    outward[row // lanes] = 1
    return outward


def slice_rows(matrices: Mapping[str, Any], lanes: int) -> Sliced:
    """CSR matrices with one pattern, in slices of ``lanes`` rows."""
    n = _shape(matrices)
    row, column, rank, length, keep = _entries(matrices, -(-n // lanes) * lanes)
    width = length.reshape(-1, lanes).max(axis=1, initial=0)
    start = np.concatenate([[0], np.cumsum(width)]).astype(np.int64)
    place = (start[row // lanes] + rank) * lanes + row % lanes
    slices = np.repeat(np.arange(len(width)), width)
    columns = np.minimum(slices[:, None] * lanes + np.arange(lanes), n - 1).astype(np.int32).ravel()
    columns[place] = column
    values = {name: np.zeros(columns.size, np.float32) for name in matrices}
    for name, matrix in matrices.items():
        values[name][place] = _significant(matrix.data)[keep]
    return Sliced(start, columns, values)


def repeat_rows(matrices: Mapping[str, Any]) -> Repeated | None:
    """The same as kinds of rows, or None where too many rows differ, as on unstructured meshes."""
    n = _shape(matrices)
    row, column, rank, length, keep = _entries(matrices, n)
    width = int(length.max(initial=0))
    offsets = (column - row).astype(np.int32)
    couplings = {name: _significant(matrix.data)[keep].astype(np.float32) for name, matrix in matrices.items()}
    mark = np.zeros(len(row), np.uint64)
    for bits in (offsets.view(np.uint32), *(values.view(np.uint32) for values in couplings.values())):
        mark = _mix(mark ^ bits.astype(np.uint64))
    mark = _mix(mark + rank.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    marks = _row_sums(mark, length)
    _, first, kind = np.unique(marks, return_index=True, return_inverse=True)
    if len(first) > max(FEW * n, 1):
        return None
    offset = np.zeros((width, len(first)), np.int32)
    values = {name: np.zeros((width, len(first)), np.float32) for name in couplings}
    begin = np.cumsum(length) - length
    for k, i in enumerate(first):
        entries = slice(begin[i], begin[i] + length[i])
        offset[:length[i], k] = offsets[entries]
        for name, table in values.items():
            table[:length[i], k] = couplings[name][entries]
    same = (length[first][kind] == length).all() and (offset[rank, kind[row]] == offsets).all() and all(
        (table[rank, kind[row]] == couplings[name]).all() for name, table in values.items())
    return Repeated(kind.astype(np.int32), offset, values) if same else None


def _shape(matrices: Mapping[str, Any]) -> int:
    first, *others = matrices.values()
    if not all(np.array_equal(first.indptr, m.indptr) and np.array_equal(first.indices, m.indices) for m in others):
        raise ValueError("the matrices must share one sparsity pattern")
    return first.shape[0]


def _entries(matrices: Mapping[str, Any], rows: int) -> tuple[NDArray[Any], ...]:
    """Row, column and rank of every coupling; couplings of each row; which entries of the CSR form they are."""
    pattern = next(iter(matrices.values()))
    n = pattern.shape[0]
    row = np.repeat(np.arange(n), np.diff(pattern.indptr))
    keep = np.any([_significant(m.data) != 0 for m in matrices.values()], axis=0)
    keep &= pattern.indices != row
    row = row[keep]
    length = np.bincount(row, minlength=rows)
    rank = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
    return row, pattern.indices[keep], rank, length, keep


def _significant(data: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zero where nothing but rounding is."""
    return np.where(abs(data) > NEGLIGIBLE * abs(data).max(initial=0.0), data, 0.0)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection that spreads every bit (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _row_sums(mark: NDArray[np.uint64], length: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Sums modulo 2^64 over the entries of each row."""
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mark, dtype=np.uint64)])
    end = np.cumsum(length)
    return total[end] - total[end - length]
