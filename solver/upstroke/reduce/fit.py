"""A few compartments with the impedances of a whole cell, by linear least squares.

After W. Wybo, J. Jordan, B. Ellenberger, U. Marti Mengual, T. Nevian, W. Senn (2021), Data-driven reduction of
dendritic morphologies with preserved dendro-somatic responses, eLife 10:e60936, doi 10.7554/eLife.60936.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear

from upstroke.reduce.passive import Complex, Floats

HZ = 1e-3                                                                   # 1/ms
FREQUENCIES = tuple(HZ * f for f in (0, 5, 10, 20, 35, 50, 75, 100, 140, 200))
STEADY = 30.0           # weight of 0 Hz beside any other frequency: steady transfer comes first
SOMA = 5.0              # weight of the soma's input impedance: what a spike has to charge decides when it comes
ROUNDS = 4              # of the fit; the second already changes little
LEAST = 1e-6            # of a conductance or capacitance, as a part of all: what is zero could not be built


@dataclass(frozen=True, eq=False)
class Reduced:
    """C dV/dt = -leak V - sum of the currents to neighbours: compartments in a tree.

    Attributes
    ----------
    parent : (n,) -1 at the first
    leak, capacitance : (n,) mS, uF
    coupling : (n,) mS, to the parent; 0 at the first
    """

    parent: tuple[int, ...]
    leak: Floats
    coupling: Floats
    capacitance: Floats

    @property
    def stiffness(self) -> Floats:
        """(n, n) mS, K: (K V)_i is the axial current that leaves i."""
        K = np.zeros((len(self.parent), len(self.parent)))
        for i, j in _edges(self.parent):
            K[i, i] += self.coupling[i]
            K[j, j] += self.coupling[i]
            K[i, j] = K[j, i] = -self.coupling[i]
        return K

    def impedance(self, frequencies: Sequence[float], more: Complex | float = 0.0) -> Complex:
        """(f, n, n) kOhm, Z(w) = (g + K + i w C)^-1; frequencies in 1/ms; ``more``, (f, n) mS, is added to g."""
        return np.asarray(np.linalg.inv(self.admittance(frequencies, more)), np.complex128)

    def admittance(self, frequencies: Sequence[float], more: Complex | float = 0.0) -> Complex:
        """(f, n, n) mS, the inverse of the impedance."""
        static, every = self.stiffness + np.diag(self.leak), np.arange(len(self.leak))
        Y = np.tile(static.astype(complex), (len(frequencies), 1, 1))
        Y[:, every, every] += 2j * math.pi * np.asarray(frequencies)[:, None] * self.capacitance + more
        return Y


def fit(Z: Complex, parent: Sequence[int], frequencies: Sequence[float] = FREQUENCIES, *, soma: int = 0) -> Reduced:
    """The conductances and capacitances whose impedances come nearest to Z.

    Y = g + K + i w C of the reduced cell is linear in what is sought, and Y Z = 1 where it is exact. With Z_r = Y^-1 of
    the round before (Z at first) the sum of |Z_r (Y Z - 1)|^2 / Z(0)^2 over all pairs and frequencies is that of
    |Z - Z_r|^2 / Z(0)^2, errors as parts of the steady transfer, and is least by linear least squares with
    bounds: no conductance is negative. Errors at 0 Hz count thirty times, those of the soma's input impedance five
    times: without that, spikes of a cell of ten compartments came 0.6 ms late.

    Parameters
    ----------
    Z : (f, n, n) kOhm, of the whole cell between its sites, the first frequency 0
    parent : (n,) which site each couples to, -1 for the first
    soma : which site is where spikes are told
    """
    n, edges = len(parent), _edges(parent)
    omega, left = 2.0 * math.pi * np.asarray(frequencies), Z
    weight = np.where(omega == 0.0, STEADY, 1.0)[:, None, None] / np.abs(Z[0])
    weight[:, soma, soma] *= SOMA
    for _ in range(ROUNDS):
        columns = [left[:, :, i, None] * Z[:, i, None, :] for i in range(n)]
        columns += [(left[:, :, i] - left[:, :, j])[:, :, None] * (Z[:, i] - Z[:, j])[:, None, :] for i, j in edges]
        columns += [1j * omega[:, None, None] * column for column in columns[:n]]
        matrix = np.array([(column * weight).ravel() for column in columns]).T
        values = _solve(matrix, (left * weight).ravel(), n)
        coupling = np.zeros(n)
        coupling[[i for i, _ in edges]] = values[n:-n]
        found = Reduced(tuple(parent), values[:n], coupling, values[-n:])
        left = found.impedance(frequencies)
    return found


def fit_channel(reduced: Reduced, Z: Complex, y: Complex, frequencies: Sequence[float]) -> tuple[Floats, float]:
    """The conductances of a channel whose impedances come nearest to Z, and how well they are told apart.

    As `fit`: Y = Y_0 + diag(G y) is linear in G, and the sum of |Z_r (Y Z - 1)|^2 over all pairs, holding potentials
    and frequencies, as parts of the steady transfer without the channel, is least.

    Parameters
    ----------
    reduced : the cell without the channel
    Z : (p, n, n) kOhm, of the whole cell with leaks and the channel, between its sites
    y : (p, n) what a unit of the conductance answers at each site
    frequencies : (p,) 1/ms

    Returns
    -------
    (n,) mS; the largest over the smallest singular value of the scaled columns
    """
    n = y.shape[1]
    weight = np.where(np.asarray(frequencies) == 0.0, STEADY, 1.0)[:, None, None] / np.abs(reduced.impedance([0.0])[0])
    without, left = reduced.admittance(frequencies), Z
    for _ in range(ROUNDS):
        columns = [left[:, :, i, None] * (y[:, i, None] * Z[:, i])[:, None, :] for i in range(n)]
        matrix = np.array([(column * weight).ravel() for column in columns]).T
        target = ((left - left @ without @ Z) * weight).ravel()
        G, condition = _least_squares(matrix, target)
        left = reduced.impedance(frequencies, y * G)
    return G, condition


def _solve(matrix: Complex, target: Complex, n: int) -> Floats:
    """Least squares with positive values; none of a kind (leak, coupling, C) quite zero."""
    values = _least_squares(matrix, target)[0]
    for kind in (slice(0, n), slice(n, -n), slice(-n, None)):
        values[kind] = np.maximum(values[kind], LEAST * values[kind].sum())
    return values


def _least_squares(matrix: Complex, target: Complex) -> tuple[Floats, float]:
    """Real values, none negative, and the condition of the matrix with columns of norm 1."""
    both = np.vstack([np.column_stack([part(matrix), part(target)]) for part in (np.real, np.imag)])
    triangle = np.asarray(np.linalg.qr(both, mode="r"))
    columns = triangle[:, :-1]
    scale = np.linalg.norm(columns, axis=0)
    x, used = np.zeros(len(scale)), scale > 0.0
    columns = columns[:, used] / scale[used]
    x[used] = lsq_linear(columns, triangle[:, -1], (0.0, np.inf), method="bvls").x / scale[used]
    return x, float(np.linalg.cond(columns))


def _edges(parent: Sequence[int]) -> list[tuple[int, int]]:
    return [(i, j) for i, j in enumerate(parent) if j >= 0]
