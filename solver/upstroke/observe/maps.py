"""Maps from activation maps: conduction velocity, cycle length, dispersion of APD.

Velocities are those of local fits (P. V. Bayly et al., IEEE Trans. Biomed. Eng. 45, 563 (1998)): around each node, over
the nodes that two edges reach, the times are fitted by a quadratic polynomial of place in least squares::

    T(x) = T_0 + g . d + d . H d / 2,   d = x - x_node,        velocity = g / |g|^2

In fewer than three dimensions the polynomial is one of the tangent plane or line, the principal axes of these nodes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.mesh.mesh import Mesh
from upstroke.observe.activation import ActivationMap

Floats = NDArray[np.float64]
M_PER_S = 10.0            # one cm/ms
PER_MM = 0.1              # one per cm
PAIRS = 2 ** 16           # of neighbours that are worked on together, to spare memory


@dataclass(frozen=True)
class Maps:
    """What is made of an activation map: values at the nodes, (n,) or (n, 3), and numbers for the summary, by name."""

    fields: dict[str, Floats] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)


NO_MAPS = Maps()


def make_maps(wanted: Sequence[str], mesh: Mesh, activation: ActivationMap) -> Maps:
    """The maps that are asked for: "velocity", "cycle_length", "dispersion".

    Fields of a beat have its number at the end, but of the first. Nodes without a value have nan.
    """
    fields: dict[str, Floats] = {}
    numbers: dict[str, Any] = {}
    around = Neighbourhoods(mesh) if {"velocity", "dispersion"} & set(wanted) and activation.beats else None
    for beat in range(activation.beats):
        end = "" if beat == 0 else f"_{beat + 1}"
        if around is not None and "velocity" in wanted:
            velocity = M_PER_S * around.velocity(activation.activation[beat])
            fields |= {f"velocity_m_per_s{end}": velocity, f"cv_m_per_s{end}": np.linalg.norm(velocity, axis=1)}
            numbers.setdefault("cv_m_per_s", []).append(quantiles(fields[f"cv_m_per_s{end}"]))
        if around is not None and "dispersion" in wanted:
            gradient = PER_MM * np.linalg.norm(around.gradient(activation.apd[beat])[0], axis=1)
            fields[f"{activation.apd_name}_gradient_ms_per_mm{end}"] = gradient
            numbers.setdefault("dispersion", []).append(
                {f"{activation.apd_name}_ms": spread(activation.apd[beat]),
                 "repolarisation_ms": spread(activation.repolarisation[beat])})
    if "cycle_length" in wanted:
        lengths = cycle_length(activation)
        fields["cycle_length_ms"] = lengths
        numbers["cycle_length_ms"] = quantiles(lengths)
    return Maps(fields, numbers)


def cycle_length(activation: ActivationMap) -> Floats:
    """(n,) ms: the median of the intervals between a node's activations; nan where it had less than two."""
    lengths = np.full(activation.activation.shape[1], np.nan)
    between = np.diff(activation.activation, axis=0)
    some = np.isfinite(between).any(axis=0)
    lengths[some] = np.nanmedian(between[:, some], axis=0)
    return lengths


def quantiles(values: Floats) -> dict[str, float] | None:
    """Over all nodes that have a value; None where none has."""
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    low, median, high = np.quantile(known, (0.05, 0.5, 0.95))
    return {"5 %": float(low), "median": float(median), "95 %": float(high)}


def spread(values: Floats) -> dict[str, float] | None:
    """Greatest less least, and the standard deviation over nodes; None where none has a value."""
    known = values[np.isfinite(values)]
    return {"range": float(np.ptp(known)), "sd": float(known.std())} if known.size else None


class Neighbourhoods:
    """The nodes around each node that two edges reach, and polynomials of place that fit what is known of them.

    Attributes
    ----------
    pattern : (n, n) CSR, who belongs to whom, each node to itself
    """

    def __init__(self, mesh: Mesh) -> None:
        corners = mesh.cells.shape[1]
        pairs = np.array([(a, b) for a in range(corners) for b in range(corners)])
        rows, columns = mesh.cells[:, pairs[:, 0]].ravel(), mesh.cells[:, pairs[:, 1]].ravel()
        from scipy import sparse

        ring = sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(mesh.n_points,) * 2)
        ring.data[:] = 1.0
        self.pattern = sparse.csr_array(ring @ ring)
        self._points, self._dim = mesh.points, mesh.dim

    def velocity(self, times: Floats) -> Floats:
        """(n, 3) cm/ms, of a front that is at the nodes at ``times`` (ms).

        There is none (nan) where fewer times are known than a polynomial has terms, and where the front turns back
        among the nodes that are fitted, |n . H n| h > |g| with n = g / |g| and h the distance of the farthest: where
        fronts meet, and where one begins.
        """
        gradient, turning = self.gradient(times)
        steep = np.linalg.norm(gradient, axis=1)
        steep[~(turning < steep)] = np.nan
        return np.asarray(gradient / steep[:, None] ** 2, np.float64)

    def gradient(self, values: Floats) -> tuple[Floats, Floats]:
        """(n, 3) the gradient at each node, per cm, and (n,) its change along itself as far as it is fitted."""
        n = len(values)
        gradient, turning = np.full((n, 3), np.nan), np.full(n, np.nan)
        start = self.pattern.indptr
        bounds = [0]
        while bounds[-1] < n:
            bounds.append(max(bounds[-1] + 1, int(np.searchsorted(start, start[bounds[-1]] + PAIRS, "right")) - 1))
        for begin, end in itertools.pairwise(bounds):
            self._fit(begin, min(end, n), values, gradient, turning)
        return gradient, turning

    def _fit(self, begin: int, end: int, values: Floats, gradient: Floats, turning: Floats) -> None:
        """Gradients at the nodes from ``begin`` to ``end``."""
        start, d = self.pattern.indptr, self._dim
        other = self.pattern.indices[start[begin]:start[end]]
        row = np.repeat(np.arange(end - begin), np.diff(start[begin:end + 1]))
        known = np.isfinite(values[other]) & np.isfinite(values[begin + row])
        other, row = other[known], row[known]
        terms = 1 + d + d * (d + 1) // 2
        enough = np.bincount(row, minlength=end - begin) >= terms
        keep = enough[row]
        other, row, nodes = other[keep], row[keep], np.flatnonzero(enough)
        if not len(nodes):
            return
        first = np.searchsorted(row, nodes)
        row = np.searchsorted(nodes, row)                          # among those that have enough
        here = begin + nodes
        away = self._points[other] - self._points[here[row]]
        reach = np.sqrt(np.maximum.reduceat((away * away).sum(axis=1), first))
        away /= reach[row, None]
        spread_out = np.add.reduceat(away[:, :, None] * away[:, None, :], first)
        axes = np.linalg.eigh(spread_out)[1][:, :, 3 - d:]         # (k, 3, d)
        x = np.einsum("px,pxa->pa", away, axes[row])
        squares = [(a, b) for a in range(d) for b in range(a + 1)]
        columns = [np.ones(len(x)), *x.T, *(x[:, a] * x[:, b] for a, b in squares)]
        design = np.stack(columns, axis=1)
        normal = np.add.reduceat(design[:, :, None] * design[:, None, :], first)
        right = np.add.reduceat(design * (values[other] - values[here[row]])[:, None], first)
        factors = np.einsum("kij,kj->ki", np.linalg.pinv(normal, rcond=1e-10, hermitian=True), right)
        slope, H = factors[:, 1:1 + d], np.zeros((len(nodes), d, d))
        for (a, b), factor in zip(squares, factors[:, 1 + d:].T, strict=True):
            H[:, a, b] += factor
            H[:, b, a] += factor                                   # d . H d / 2: twice on the diagonal
        steep = np.maximum(np.linalg.norm(slope, axis=1), 1e-300)
        direction = slope / steep[:, None]
        gradient[here] = np.einsum("kxa,ka->kx", axes, slope) / reach[:, None]
        turning[here] = np.abs(np.einsum("ka,kab,kb->k", direction, H, direction)) / reach
