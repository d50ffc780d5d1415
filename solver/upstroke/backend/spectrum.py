"""Bounds of the eigenvalues of A / D, D = diag(A), which Chebyshev's iteration needs before it starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LANCZOS_STEPS = 20
MARGIN = 0.95          # of an estimate of the lowest eigenvalue, which comes from above
ROUNDING = 1e-6        # relative: couplings are rounded to fp32


def spectrum_bounds(A: Any, widest: Callable[[float, float], tuple[float, float]] = lambda low, high: (low, high)) \
        -> tuple[float, float]:
    """(low, high) of the eigenvalues of D^-1 A for a symmetric positive definite CSR matrix.

    Of a matrix whose rows are shared out among processes each has its own rows, with columns of others behind its own;
    ``widest`` gives the least and the greatest of all processes.

    ``high`` is a true bound, the smaller one of Gershgorin's for D^-1 A and for D^-1/2 A D^-1/2. That is all that
    Chebyshev's iteration needs to converge: its residual polynomial is 1 at 0, falls towards ``low`` and is small
    between the bounds, so that an eigenvalue below ``low`` (but above 0) is damped too, only later.

    ``low`` is Gershgorin's too where that is best (a lumped mass on a good mesh). A consistent mass leaves Gershgorin
    below zero; ``low`` is then an estimate, 5 % under the lowest of what a few Lanczos steps and a uniform field find.
    """
    diagonal = A.diagonal()
    n = A.shape[0]
    if n == 0:
        return widest(1.0, 1.0 + ROUNDING)
    root = np.sqrt(diagonal)
    size = abs(A)
    radius = float((size.sum(axis=1) / diagonal - 1.0).max())
    if A.shape == (n, n):
        radius = min(radius, float((size @ (1.0 / root) / root - 1.0).max()))
    estimate = min(float(A.sum() / diagonal.sum()), _lowest_ritz_value(A[:, :n], root))    # own columns: above, too
    return widest(max(1.0 - radius, MARGIN * estimate) * (1.0 - ROUNDING), (1.0 + radius) * (1.0 + ROUNDING))


def _lowest_ritz_value(A: Any, root: NDArray[np.float64]) -> float:
    """Of D^-1/2 A D^-1/2 on a Krylov space whose start is half smooth (a uniform field), half noise."""
    noise = np.random.default_rng(0).standard_normal(len(root))
    q = root / np.linalg.norm(root) + noise / np.linalg.norm(noise)
    q /= np.linalg.norm(q)
    before, beta = np.zeros_like(q), 0.0
    alphas: list[float] = []
    betas: list[float] = []
    for _ in range(min(LANCZOS_STEPS, len(root))):
        w = (A @ (q / root)) / root - beta * before
        alphas.append(float(q @ w))
        w -= alphas[-1] * q
        before, beta = q, float(np.linalg.norm(w))
        if beta < 1e-8:
            break
        betas.append(beta)
        q = w / beta
    m = len(alphas)
    T = np.diag(alphas) + np.diag(betas[:m - 1], 1) + np.diag(betas[:m - 1], -1)
    return float(np.linalg.eigvalsh(T)[0])
