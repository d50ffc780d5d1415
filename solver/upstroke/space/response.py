"""How the triangles or tetrahedra of a mesh answer a short plane wave, measured on a sample of the mesh.

A front rises in space over one or two nodes of a coarse mesh, faster than irregular cells can relax. So the test wave
is as short as a front's steep part and grows as its foot does: with f = exp(i k x), k = `WAVE` / spacing, and the
residual r = K f - rate M f, the effective rate is

    rate = <f, K f> / <f, M f> - <r, (K + GROWTH M)^-1 r> / <f, M f>.

Its first term alone, the Rayleigh quotient, overrates what irregular cells add; with GROWTH = 0 it is underrated.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree

from upstroke.mesh.mesh import Mesh
from upstroke.mesh.topology import outer_faces
from upstroke.space.fem import assemble
from upstroke.space.means import Means

WAVE = 2.5           # wave number of the test, times the spacing of nodes
GROWTH = 8.0         # 1/ms
LESS = 0.96          # irregular cells need a little less than a lattice, whose waves feel its period
RADIUS = 9.0         # of the balls that the sample consists of, in spacings
BALLS = 4
DEPTH = 2            # nodes this many edges inside the sample answer as if it had no boundary
FEW = 60             # of these; where there are fewer, TYPICAL stands for the mesh
CANDIDATES = 200     # nodes that are looked at as centres of balls
FULL = 0.9           # balls with this part of the nodes of the fullest are as good, being away from the boundary
ROUNDS = 3           # of Newton's iteration for the weights that the sample needs
WEAK = 0.05          # a mesh that hardly answers is none to measure on
MARGIN = 0.95        # N > -MARGIN D keeps the operator positive
ISOTROPIC = 1.05     # ratio of principal values below which directions cannot be told apart


def _turns(d: int) -> list[NDArray[np.float64]]:
    """Frames (d, d), their axes in rows, that look into different directions of a mesh."""
    if d == 2:
        return [np.array([[c, s], [-s, c]]) for c, s in ((np.cos(t), np.sin(t)) for t in np.arange(4) * np.pi / 4)]
    tilted = np.linalg.qr(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [1.0, 1.0, -2.0]]).T)[0].T
    return [np.roll(frame, k, axis=0) for frame in (np.eye(3), tilted) for k in range(3)]


TURNS = {d: _turns(d) for d in (2, 3)}     # a mesh answers as it does on average over directions


@dataclass(frozen=True)
class Response:
    """The effective rate of a short plane wave in direction n, over D_n k^2 with D_n = n.Dn.

    rate / (D_n k^2) = own + stray tr D / D_n + (direct N_n + spread tr N) / D_n

    As linear in D and N, and as blind to directions, as the cells of an irregular mesh are on average.
    """

    own: float
    stray: float
    direct: float
    spread: float

    def weights(self, values: NDArray[np.float64], alpha: NDArray[np.float64]) -> NDArray[np.float64]:
        """N (n, d) in the principal directions of D (n, d), such that the mesh answers as a calibrated lattice does."""
        lacking = (target(alpha) - self.own) * values - self.stray * values.sum(axis=1, keepdims=True)
        trace = lacking.sum(axis=1, keepdims=True) / (self.direct + values.shape[1] * self.spread)
        return (lacking - self.spread * trace) / self.direct


#: Of triangles and tetrahedra as gmsh makes them, for fibres that conduct 7.6 times as well along as across.
TYPICAL = {2: Response(0.48, 0.063, 0.413, 0.053), 3: Response(0.39, 0.1, 0.38, 0.073)}


def target(alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rate of the test wave along a lattice's axis, over D k^2: s (1 + alpha s) / WAVE^2, a little less."""
    s = 2.0 - 2.0 * np.cos(WAVE)
    return np.asarray(s * (1.0 + LESS * s * alpha) / WAVE ** 2, np.float64)


def measure_response(mesh: Mesh, spacing: NDArray[np.float64], tensor: NDArray[np.float64],
                     values: NDArray[np.float64], alpha: NDArray[np.float64]) -> Response:
    """The answer of this mesh, linear around the tensor that most of it has.

    Parameters
    ----------
    spacing : (n,) cm, between nodes
    tensor : (n, 3, 3) cm^2/ms, D at nodes
    values : (n, d) cm^2/ms, its principal values, the largest first
    alpha : (n, d), that go with them
    """
    sample = Sample.of(mesh, spacing, tensor)
    if sample is None:
        return TYPICAL[mesh.dim]
    D, a = (_two(np.median(x, axis=0)) for x in (values, alpha))
    if D[0] < ISOTROPIC * D[1]:
        D = np.full(2, D.mean())
    N = np.zeros(2)
    for _ in range(ROUNDS):
        response = _linear(sample, D, N, mesh.dim)
        if not min(response.direct, response.direct + mesh.dim * response.spread) > WEAK:
            return TYPICAL[mesh.dim]
        every = np.repeat([D, a], [1, mesh.dim - 1], axis=1)
        N = np.maximum(_two(response.weights(every[:1], every[1:])[0]), -MARGIN * D)
    return response


def _two(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value along, and the mean of those across."""
    return np.array([x[0], x[1:].mean()])


def _linear(sample: Sample, D: NDArray[np.float64], N: NDArray[np.float64], d: int) -> Response:
    """The answer around tensors D and N, each given by its value along an axis and that across it."""
    step = 0.5 * D
    if D[0] == D[1]:                                 # no direction is special: one wave, one number each
        here, more = (sample.rate(D, n, along=True) for n in (N, N + step))
        direct = (more - here) / 0.5
        return Response(here - direct * N[0] / D[0], 0.0, direct, 0.0)
    rates = np.array([sample.rate(D, N, along) for along in (True, False)])
    spread = (sample.rate(D, N + step * (1, 0), along=False) - rates[1]) * D[1] / step[0]
    direct = (sample.rate(D, N + step * (0, 1), along=False) - rates[1]) / 0.5 - (d - 1) * spread
    D_trace, N_trace = (float(x[0] + (d - 1) * x[1]) for x in (D, N))
    bare = rates - (direct * N + spread * N_trace) / D
    stray = (bare[1] - bare[0]) / (D_trace / D[1] - D_trace / D[0])
    return Response(bare[0] - stray * D_trace / D[0], stray, direct, spread)


@dataclass(frozen=True, eq=False)
class Sample:
    """Some balls of the mesh, in units of its spacing.

    Attributes
    ----------
    stiffness, deviation : by a, b of a frame in the mesh: the matrices of g_a g_b, and of what they deviate by
    mass : (n,) of the nodes
    place : (n, d) the nodes' coordinates in the frame
    inside : (n,) bool, nodes that answer as if there were no boundary
    unit : spacing^2, cm^2
    """

    stiffness: dict[tuple[int, int], sparse.csr_array]
    deviation: dict[tuple[int, int], sparse.csr_array]
    mass: NDArray[np.float64]
    place: NDArray[np.float64]
    inside: NDArray[np.bool_]
    unit: float

    @staticmethod
    def of(mesh: Mesh, spacing: NDArray[np.float64], tensor: NDArray[np.float64]) -> Sample | None:
        """Balls far from the boundary and from each other; None where too few nodes lie inside."""
        ell = float(np.median(spacing))
        ball = np.zeros(mesh.n_points, bool)
        ball[_balls(mesh.points, RADIUS * ell)] = True
        cells = mesh.cells[ball[mesh.cells].all(axis=1)]
        nodes, renumbered = np.unique(cells, return_inverse=True)
        part = Mesh(mesh.points[nodes] / ell, renumbered.reshape(cells.shape).astype(np.int32),
                    np.zeros(len(cells), np.int32))
        inside = _inside(part)
        if inside.sum() < FEW:
            return None
        means = Means(part)
        mean = tensor[nodes].mean(axis=0)
        tie_break = 1e-6 * np.trace(mean) * np.diag([2.0, 1.0, 0.0])     # else rounding chooses isotropic tissue's axes
        frame = np.linalg.eigh(mean + tie_break)[1][:, ::-1].T[:mesh.dim]
        stiffness, deviation = {}, {}
        for a, b in itertools.combinations_with_replacement(range(mesh.dim), 2):
            T = np.outer(frame[a], frame[b])
            T = T if a == b else T + T.T
            stiffness[a, b] = assemble(part, means.in_cells(np.broadcast_to(T, (part.n_cells, 3, 3)))).stiffness
            deviation[a, b] = stiffness[a, b] - means.stiffness(np.broadcast_to(T, (part.n_points, 3, 3)))
        return Sample(stiffness, deviation, means.mass, part.points @ frame.T, inside, ell ** 2)

    def rate(self, D: NDArray[np.float64], N: NDArray[np.float64], along: bool) -> float:
        """Effective rate over D_n k^2 of waves along the axis of D and N, or across it; mean over ways to turn them."""
        found = []
        for axes in TURNS[self.place.shape[1]]:
            D_tensor, N_tensor = (x[1] * np.eye(len(axes)) + (x[0] - x[1]) * np.outer(axes[0], axes[0]) for x in (D, N))
            K = sum((D_tensor[ab] * self.stiffness[ab] + N_tensor[ab] * self.deviation[ab] for ab in self.stiffness),
                    sparse.csr_array((len(self.mass),) * 2))
            found.append(self._answer(sparse.csr_array(K / self.unit), self.place @ axes[int(not along)]))
        return float(np.mean(found)) * self.unit / (D[int(not along)] * WAVE ** 2)

    def _answer(self, K: sparse.csr_array, x: NDArray[np.float64]) -> float:
        """The effective rate of the wave along x, 1/ms."""
        f = np.exp(1j * WAVE * x)
        Kf, norm = K @ f, self.mass[self.inside].sum()
        rate = float((f.conj() * Kf)[self.inside].real.sum() / norm)
        r = np.where(self.inside, Kf - rate * self.mass * f, 0.0)
        A = sparse.csr_array(K + sparse.diags_array(GROWTH * self.mass))
        jacobi = sparse.diags_array(1.0 / A.diagonal())
        relaxed = sum(part @ cg(A, part, rtol=1e-9, M=jacobi)[0] for part in (r.real, r.imag))
        return rate - float(relaxed) / norm


def _balls(points: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    """Nodes in balls around some of the nodes: with many neighbours, and far apart."""
    tree = cKDTree(points)
    by_place = np.lexsort(points.T)                         # so that the order of the nodes in a file does not matter
    tried = by_place[np.unique(np.linspace(0, len(points) - 1, CANDIDATES).astype(np.int64))]
    count = tree.query_ball_point(points[tried], radius, return_length=True)
    good = points[tried[count >= FULL * count.max()]]
    centres = good[:1]
    while len(centres) < min(BALLS, len(good)):
        away = cKDTree(centres).query(good)[0]
        centres = np.concatenate([centres, good[[np.argmax(away)]]])
    return np.unique(np.concatenate(tree.query_ball_point(centres, radius)).astype(np.int64))


def _inside(part: Mesh) -> NDArray[np.bool_]:
    """Nodes `DEPTH` edges away from the boundary of a small mesh."""
    near = np.zeros(part.n_points, bool)
    near[outer_faces(part.cells)] = True
    for _ in range(DEPTH - 1):
        near[part.cells[near[part.cells].any(axis=1)]] = True
    return ~near
