"""Bounds of the eigenvalues of A / D, D = diag(A), which Chebyshev's iteration needs before it starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LANCZOS_STEPS = 20
MARGIN = 0.95          # of an estimate of the lowest eigenvalue, which comes from above
ROUNDING = 1e-6        # relative: couplings are rounded to fp32


def spectrum_bounds(A: Any) -> tuple[float, float]:
    """(low, high) of the eigenvalues of D^-1 A for a symmetric positive definite CSR matrix.

    ``high`` is a true bound, the smaller one of Gershgorin's for D^-1 A and for D^-1/2 A D^-1/2. That is all that
    Chebyshev's iteration needs to converge: its residual polynomial is 1 at 0, falls towards ``low`` and is small
    between the bounds, so that an eigenvalue below ``low`` (but above 0) is damped too, only later.

    ``low`` is Gershgorin's too where that is best (a lumped mass on a good mesh). A consistent mass leaves Gershgorin
    below zero; ``low`` is then an estimate, 5 % under the lowest of what a few Lanczos steps and a uniform field find.
    """
    diagonal = A.diagonal()
    if A.shape[0] == 0:
        return 1.0, 1.0 + ROUNDING
    root = np.sqrt(diagonal)
    size = abs(A)
    by_rows = size.sum(axis=1) / diagonal - 1.0
    by_both = size @ (1.0 / root) / root - 1.0
    high = 1.0 + min(by_rows.max(), by_both.max())
    low = 1.0 - min(by_rows.max(), by_both.max())
    uniform = float(A.sum() / diagonal.sum())
    estimate = min(uniform, _lowest_ritz_value(A, root))
    return max(low, MARGIN * estimate) * (1.0 - ROUNDING), high * (1.0 + ROUNDING)


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
