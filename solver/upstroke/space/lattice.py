"""The calibrated operator on lattices: grids, whole or masked, and the cables, sheets and slabs that we build.

In units of the cell's edges h the tensor is E_jk = D_jk / (h_j h_k), 1/ms. Selling's algorithm writes it as lines,

    E = sum_e rho_e e e^T,    rho_e >= 0,    e whole numbers,

(`selling`), so div(D grad V) is a sum of second derivatives along lines of nodes, each an ordinary 1-D stencil. Each is
corrected as the membrane's curve alpha(q) asks (`Curve`), and pairs of axes by what waves between them need:

    S(k) = sum_e rho_e s_e (1 + alpha(q_e) s_e) + sum_(d<e) r z (beta + gamma z),
    s_e = 2 - 2 cos(k.e),   z = s_d s_e,   r = r'^2 / (r' + |E_de|),   r' = sqrt(rho_d rho_e),

beta and gamma functions of alpha(1 / r'). The mass is lumped. Without corrections this is the AD-LBR scheme of
J. Fehrenbach and J.-M. Mirebeau (J. Math. Imaging Vis. 49, 123 (2014), doi:10.1007/s10851-013-0446-3): no weight of a
line is ever negative.

Where E is diagonal, q_e = 1 / rho_e = h^2 / D and r = r'. Elsewhere a wave crosses several lines at once, and so it is
better resolved than by the thinnest of them: alpha(1 / rho_e) makes it too fast, by up to 11 %. The squared length of e
where distances are measured by D^-1, e.E^-1 e, is a bit too large as well, and what a long wave along e has,
sum_f rho_f (e.E^-1 f)^4 / (e.E^-1 e)^2, too small; q_e is their geometric mean (`lengths`). The factor r / r' takes the
pair's correction away where lines between the axes, whose own corrections do its work, take over. Errors of the
velocity of plane waves of ten Tusscher-Panfilov, in 9 directions of the plane and 13 of space, fibres at 4 and 5 angles
to the grid, D_l / D_t = 2 and 7.6:

    h^2 / D_t = 1 ms: -1.2 to +1.0 % in the plane, -2.0 to +1.9 % in space;  3 ms: -2.5 to +2.9 %, -3.8 to +5.2 %

Everything is a sum of c (V_i - V_j)^2 over pairs of nodes an offset apart, so it is stored as couplings c by offset, in
a flat box of the lattice's places with a margin of zeros: one matrix, symmetric bit by bit, whose rows sum to zero.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.mesh.mesh import Mesh
from upstroke.space.curve import Curve
from upstroke.space.fem import assemble, gradients, operator_of
from upstroke.space.grid import eigenvalue_bound, stiffness_of_cell
from upstroke.space.operator import Operator

NOTHING = 1e-10          # of the trace of E: a weight of a line that is rounding
AT_ONCE = 2 ** 12        # rows of the matrix written together, which fit into a cache
Floats = NDArray[np.float64]
Offset = tuple[int, ...]


def assemble_lattice(mesh: Mesh, D: Floats, curves: Sequence[Curve], owner: NDArray[np.int64] | None = None, *,
                     pairs: bool = True) -> Operator:
    """The operator of div(D grad V), calibrated, with no flux through the boundary of any mask.

    Parameters
    ----------
    mesh : a grid, or a built cable, sheet or slab
    D : (m, 3, 3) cm^2/ms, diffusion tensor of each cell
    curves : of the membranes
    owner : (m,) which of them each cell has; None: all the first
    pairs : correct pairs of axes too (the fourth-order stencil has no such terms)
    """
    box = _Box(mesh, D, curves, owner)
    couplings: dict[Offset, Floats] = defaultdict(lambda: np.zeros(box.size))
    bound = np.zeros(box.n)
    lost = np.zeros_like(box.E)
    axes: dict[int, Floats] = {}
    for e, rho in box.lines():
        if sum(map(abs, e)) == 1:
            axes[e.index(1)] = rho
        links, missing = box.links(e, rho)
        bound += _add_line(box, couplings, e, links)
        if missing is not None:
            lost = lost + missing[:, None, None] * np.multiply.outer(e, e)
    if pairs:
        for j, k in itertools.combinations(sorted(axes), 2):
            bound += _add_pair(box, couplings, j, k, np.sqrt(axes[j] * axes[k]))
    top = float((bound / box.mass).max(initial=0.0))
    if lost.any():
        top += _add_cells(box, couplings, lost)
    return box.operator(couplings, top)


class _Box:
    """The places of a lattice, flat with x fastest, behind every axis a margin of zeros; fields are arrays (size,).

    Numbers of cells are (m,), or (1,) where all cells are alike.
    """

    def __init__(self, mesh: Mesh, D: Floats, curves: Sequence[Curve], owner: NDArray[np.int64] | None) -> None:
        d = self.d = mesh.dim
        if mesh.grid is not None:
            spacing, cells_of_brick = mesh.grid.spacing, 1
        else:
            assert mesh.bricks is not None
            spacing, cells_of_brick = tuple(np.ptp(mesh.points, axis=0)[:d] / mesh.bricks), math.factorial(d)
        self.n, self.volume, self.curves = mesh.n_points, float(np.prod(spacing)), tuple(curves)
        place = np.rint((mesh.points[:, :d] - mesh.points[:, :d].min(axis=0)) / spacing).astype(np.int64)
        E = D[::cells_of_brick, :d, :d]                                     # the simplices of a brick are alike
        self.owner = np.zeros(len(E), np.int64) if owner is None else owner[::cells_of_brick]
        if (E[:1] == E).all() and (self.owner[:1] == self.owner).all():
            E, self.owner = E[:1], self.owner[:1]
        self.E = E / np.multiply.outer(spacing, spacing)
        self.inverse = np.linalg.inv(self.E + 1e-12 * np.trace(self.E, axis1=1, axis2=2)[:, None, None] * np.eye(d))
        self.weights, self.offsets = selling(self.E)
        reach = 2 * max(1, int(abs(self.offsets).max(initial=0)))
        shape = place.max(axis=0) + 1 + reach
        self.strides = np.concatenate([[1], np.cumprod(shape[:-1])])
        self.size = int(np.prod(shape))
        self.node = place @ self.strides                                    # where each node is
        self.cell = self.node[mesh.cells[::cells_of_brick, 0]]              # where each cell's lowest corner is
        self.corners = [corner[::-1] for corner in itertools.product((0, 1), repeat=d)]     # x fastest
        self.there = self.of_cells(1.0)
        self.cells_of_node = self._around(self.there)
        self.mass = self.cells_of_node[self.node] * (self.volume / 2 ** d)                  # (n,)

    def step(self, offset: Sequence[int]) -> int:
        """How far apart nodes an offset apart are."""
        return int(np.dot(offset, self.strides))

    def ahead(self, field: Floats, step: int) -> Floats:
        """The field's values ``step`` places on, zero beyond the box."""
        if step == 0:
            return field
        moved = np.empty_like(field)
        if step > 0:
            moved[:-step], moved[-step:] = field[step:], 0.0
        else:
            moved[-step:], moved[:-step] = field[:step], 0.0
        return moved

    def of_cells(self, values: Floats | float) -> Floats:
        """A field of numbers of the cells, each at its lowest corner."""
        field = np.zeros(self.size)
        field[self.cell] = values
        return field

    def mean(self, of_cells: Floats) -> Floats:
        """The field of means over the cells around each node."""
        if len(of_cells) == 1:
            return np.full(self.size, of_cells[0])
        return self._around(self.of_cells(of_cells)) / np.maximum(self.cells_of_node, 1.0)

    def _around(self, field: Floats) -> Floats:
        """Sums over the cells around each place."""
        return _sum(self.ahead(field, -self.step(corner)) for corner in self.corners)

    def alpha(self, q: Floats) -> Floats:
        """Of the cells at their q."""
        if len(self.curves) == 1:
            return self.curves[0](q)
        return np.choose(self.owner, [curve(q) for curve in self.curves])

    def lines(self) -> Iterator[tuple[Offset, Floats]]:
        """Every offset e that some cell has, with the weights rho_e of the cells."""
        span = 2 * int(abs(self.offsets).max(initial=0)) + 1
        code = self.offsets @ span ** np.arange(self.d)
        code[self.weights == 0.0] = 0
        for value in np.unique(code[code != 0]):
            cell, line = np.argwhere(code == value)[0]
            yield tuple(map(int, self.offsets[cell, line])), np.where(code == value, self.weights, 0.0).sum(axis=1)

    def links(self, e: Offset, rho: Floats) -> tuple[Floats, Floats | None]:
        """What couples each place to that an offset e on, cm^d/ms, and the weight of cells that found no place.

        A link runs through a box of cells, or along several, as many as share it. Each box that is whole carries its
        volume's share of the mean rho of its cells, so nothing crosses what is masked out.
        """
        span = [range(max(1, abs(k))) for k in e]
        size = math.prod(map(len, span))
        field = self.of_cells(rho)
        box = [self.step(inner) for inner in itertools.product(*span)]
        sums = _sum(self.ahead(field, step) for step in box)
        missing = None
        if size > 1:
            whole = _sum(self.ahead(self.there, step) for step in box) == size
            sums = sums * whole
            used = _sum(self.ahead(whole.astype(float), -step) for step in box)[self.cell]
            if (used < size).any():
                missing = rho * (1.0 - used / size)
        sides = list(itertools.product(*[(0, -1) if k == 0 else (min(k, 0),) for k in e]))
        return _sum(self.ahead(sums, self.step(side)) for side in sides) * (self.volume / (size * len(sides))), missing

    def operator(self, couplings: dict[Offset, Floats], top: float) -> Operator:
        """M and K on one pattern, rows in the order of their columns."""
        number = np.zeros(self.size, np.int32)
        number[self.node] = np.arange(self.n, dtype=np.int32)
        ahead = sorted((self.step(o), c) for o, c in couplings.items() if c.any())
        middle = len(ahead)
        width = 2 * middle + 1
        columns, K = np.empty(self.n * width, np.int32), np.empty(self.n * width)
        start, diagonal = np.zeros(self.n + 1, np.int64), np.empty(self.n, np.int64)
        value, column = np.empty((AT_ONCE, width)), np.empty((AT_ONCE, width), np.int32)
        for begin in range(0, self.n, AT_ONCE):
            part = slice(begin, min(begin + AT_ONCE, self.n))
            node = self.node[part]
            V, C = value[:len(node)], column[:len(node)]
            for j, (step, c) in enumerate(ahead, 1):
                V[:, middle + j], V[:, middle - j] = c[node], c[node - step]     # before the box: its end, a margin
                C[:, middle + j], C[:, middle - j] = number[(node + step) % self.size], number[node - step]
            V[:, middle], C[:, middle] = 0.0, number[node]
            there = V != 0.0
            V[:, middle] -= V.sum(axis=1)
            there[:, middle] = True
            end = start[begin] + np.cumsum(there.sum(axis=1))
            start[begin + 1:begin + 1 + len(node)] = end
            diagonal[part] = start[part] + there[:, :middle].sum(axis=1)
            columns[start[begin]:end[-1]], K[start[begin]:end[-1]] = C[there], V[there]
        K, columns = K[:start[-1]], columns[:start[-1]]
        np.negative(K, out=K)
        M = np.zeros(start[-1])
        M[diagonal] = self.mass
        if start[-1] < 2 ** 31:
            start = start.astype(np.int32)
        stiffness, mass = (sparse.csr_array((data, columns, start), shape=(self.n, self.n)) for data in (K, M))
        return Operator(mass=mass, stiffness=stiffness, lumped_mass=self.mass, is_lumped=True, eigenvalue_bound=top)


def lengths(e: Offset, inverse: Floats, weights: Floats, offsets: NDArray[np.int64]) -> Floats:
    """q_e = sqrt(sum_f rho_f (e.E^-1 f)^4 / (e.E^-1 e)), ms, of all cells; h^2 / D where E is diagonal.

    Parameters
    ----------
    inverse : (m, d, d) E^-1
    weights, offsets : rho_f (m, l) and f (m, l, d)
    """
    across = np.einsum("j,cjk->ck", e, inverse)
    fourth = (weights * np.einsum("ck,clk->cl", across, offsets) ** 4).sum(axis=1)
    return np.asarray(np.sqrt(fourth / (across @ np.array(e))), np.float64)


def _sum(fields: Iterable[Floats]) -> Floats:
    return functools.reduce(np.add, fields)


def _add_line(box: _Box, couplings: dict[Offset, Floats], e: Offset, w: Floats) -> Floats:
    """Add K_e + 2 K_e diag(alpha_i / k_i) K_e for the links w of a line; returns what it adds to the bound, (n,).

    k_i is the diagonal of K_e: 2 rho M_i, also at the end of a line, where both have half: the line is mirrored there.
    k^-1/2 K_e k^-1/2 has no eigenvalue above 2, so the correction is at most 4 alpha K_e however rho varies.
    """
    step = box.step(e)
    k = w + box.ahead(w, -step)
    alpha = box.mean(box.alpha(lengths(e, box.inverse, box.weights, box.offsets)))
    over = np.divide(2.0 * alpha, k, out=np.zeros(box.size), where=k > 0.0)
    couplings[e] += w * (1.0 + 2.0 * (alpha + box.ahead(alpha, step)))
    couplings[tuple(2 * x for x in e)] -= w * box.ahead(over * w, step)
    return k[box.node] * (2.0 + 8.0 * alpha.max(initial=0.0))


def beta_gamma(alpha: Floats) -> tuple[Floats, Floats]:
    """beta and -gamma of a pair of axes from alpha(1 / sqrt(rho_d rho_e)).

    Fitted to plane waves of ten Tusscher-Panfilov in 12 directions of square and cubic lattices at q from 0.3 to 8 ms;
    other models need the same. The bound of gamma keeps S positive at the corner of the zone, 0.4 of the uncorrected.
    """
    beta = np.maximum(0.0, 0.25 * (1.0 - np.exp((0.11 - alpha) / 0.35)))
    return beta, np.minimum(0.006 + 0.0925 * alpha, (7.2 + 48.0 * alpha + 48.0 * beta) / 768.0)


def _add_pair(box: _Box, couplings: dict[Offset, Floats], d: int, e: int, r: Floats) -> Floats:
    """Add T_beta - 4 T diag(-gamma_i / t_i) T for two axes; returns what it adds to the bound, (n,).

    T is the matrix of the sum of r |c| (V_00 - V_10 - V_01 + V_11)^2 over the faces of cells, T_beta the same with
    beta r, and t_i the diagonal of T, 4 r M_i.

    Parameters
    ----------
    r : sqrt(rho_d rho_e) of the cells
    """
    beta, gamma = beta_gamma(box.alpha(1.0 / np.maximum(r, np.finfo(float).tiny)))
    r = r * np.divide(r, r + abs(box.E[:, d, e]), out=np.zeros_like(r), where=r > 0.0)
    sides = list(itertools.product(*[(0,) if axis in (d, e) else (0, -1) for axis in range(box.d)]))
    T, T_beta = (_mixed(box, d, e, _sum(box.ahead(box.of_cells(weight * (box.volume / len(sides))), box.step(side))
                                        for side in sides)) for weight in (r, r * beta))
    t = T[0, 0]
    over = np.divide(4.0 * box.mean(gamma), t, out=np.zeros(box.size), where=t > 0.0)

    def coupling(m: int, n: int) -> Floats:
        return couplings[tuple(m * (axis == d) + n * (axis == e) for axis in range(box.d))]

    for (m, n), entry in T_beta.items():
        if (n, m) > (0, 0):
            coupling(m, n)[:] -= entry
    scaled = {o: over * entry for o, entry in T.items()}
    for (m, n), entry in T.items():
        for (i, j), other in scaled.items():
            if (n + j, m + i) > (0, 0):
                coupling(m + i, n + j)[:] += entry * box.ahead(other, m * int(box.strides[d]) + n * int(box.strides[e]))
    return t[box.node] * _highest(float(beta.max(initial=0.0)), float(gamma.min(initial=math.inf)))


def _highest(beta: float, gamma: float) -> float:
    """The most of beta x - 4 gamma x^2 for x in [0, 4]: the eigenvalues of t^-1/2 T t^-1/2 lie there."""
    x = min(4.0, beta / (8.0 * gamma)) if gamma > 0.0 else 4.0
    return beta * x - (4.0 * gamma * x * x if x else 0.0)


def _mixed(box: _Box, d: int, e: int, f: Floats) -> dict[tuple[int, int], Floats]:
    """The matrix of sum f (V_00 - V_10 - V_01 + V_11)^2, f of each face at its lowest node, by offset along d and e."""
    def behind(field: Floats, *axes: int) -> Floats:
        return box.ahead(field, -sum(int(box.strides[axis]) for axis in axes))

    along, across = f + behind(f, e), f + behind(f, d)                  # the faces beside an edge along d, along e
    return {(0, 0): along + behind(along, d), (1, 0): -along, (-1, 0): -behind(along, d), (0, 1): -across,
            (0, -1): -behind(across, e), (1, 1): f, (-1, -1): behind(f, d, e), (-1, 1): behind(f, d),
            (1, -1): behind(f, e)}


def _add_cells(box: _Box, couplings: dict[Offset, Floats], E: Floats) -> float:
    """Add what no line has room for, cell by cell as on compact grids (`grid.py`); returns what the bound grows by."""
    for (j, k), S in stiffness_of_cell("compact", box.d).items():
        for a, b in itertools.combinations(range(2 ** box.d), 2):
            if S[a, b]:
                o = tuple(y - x for x, y in zip(box.corners[a], box.corners[b], strict=True))
                couplings[o][box.cell + box.step(box.corners[a])] -= S[a, b] * box.volume * E[:, j, k]
    full = np.zeros((len(E), 3, 3))
    full[:, :box.d, :box.d] = E
    return eigenvalue_bound(full, (1.0,) * box.d, "compact")


def selling(E: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """E = sum_l rho_l e_l e_l^T: weights (m, l) >= 0 and whole-numbered e (m, l, d), l = 1, 3 or 6 for d = 1, 2, 3.

    While two vectors of a superbase (d + 1 whole-numbered vectors v that sum to zero) have v_i.E v_j > 0, one is turned
    round and the others make up for it, which lowers sum v.E v; then each pair gives a line, of weight -v_i.E v_j,
    orthogonal to the other vectors. (E. Selling, J. reine angew. Math. 77, 143 (1874), doi:10.1515/9783112368503-009;
    J. H. Conway, N. J. A. Sloane, Proc. R. Soc. A 436, 55 (1992), doi:10.1098/rspa.1992.0004.) The last coordinate of
    e that is not zero is positive. Weights of no line that matters are 0.

    Parameters
    ----------
    E : (m, d, d) symmetric, positive semi-definite
    """
    m, d = E.shape[:2]
    if d == 1:
        return E[:, :, 0].copy(), np.ones((m, 1, 1), np.int64)
    base = np.broadcast_to(np.vstack([np.eye(d), -np.ones(d)]), (m, d + 1, d)).copy()
    pairs = list(itertools.combinations(range(d + 1), 2))
    first, second = (np.array(x) for x in zip(*pairs, strict=True))
    trace = np.trace(E, axis1=1, axis2=2)
    weights = np.empty((m, len(pairs)))
    active = np.arange(m)
    while len(active):
        v = base[active]
        products = v @ E[active] @ v.transpose(0, 2, 1)
        products = products[:, first, second]
        weights[active] = -products
        worst = products.argmax(axis=1)
        goes_on = products[np.arange(len(active)), worst] > NOTHING * trace[active]
        active, v, worst = active[goes_on], v[goes_on], worst[goes_on]
        for p, (i, j) in enumerate(pairs):
            chosen = worst == p
            turned = v[chosen, i]
            if d == 2:
                v[chosen, 3 - i - j] = turned - v[chosen, j]
            else:
                for k in set(range(4)) - {i, j}:
                    v[chosen, k] += turned
            v[chosen, i] = -turned
        base[active] = v
    others = [[k for k in range(d + 1) if k not in pair] for pair in pairs]
    if d == 2:
        v = base[:, [k for k, in others]]
        e = np.stack([-v[:, :, 1], v[:, :, 0]], axis=2)
    else:
        e = np.cross(base[:, [k for k, _ in others]], base[:, [k for _, k in others]])
    lines = np.rint(e).astype(np.int64)
    weights[weights < NOTHING * trace[:, None]] = 0.0
    sign = np.ones(weights.shape, np.int64)
    for k in range(d):
        sign = np.where(lines[:, :, k] != 0, np.sign(lines[:, :, k]), sign)
    return weights, lines * sign[:, :, None]


def assemble_segments(mesh: Mesh, D: Floats, curves: Sequence[Curve], owner: NDArray[np.int64]) -> Operator:
    """The same on segments of any lengths that meet in any way: cables, trees, networks.

    K + 2 K diag(alpha(q_i) / k_i) K with the usual K, its diagonal k, and q_i = 2 M_i / k_i, M lumped. On a line of
    equal segments it has the symbol s (1 + alpha s) / q. At a free end and where equal parts meet, q_i is that of the
    line, and waves are mirrored at ends. It is at most (1 + 4 alpha) K, whatever the segments are.

    Parameters
    ----------
    D, curves, owner : as in `assemble_lattice`
    """
    plain = assemble(mesh, D, "lumped")
    K, M, k = plain.stiffness, plain.lumped_mass, plain.stiffness.diagonal()
    volume = gradients(mesh.points[mesh.cells])[1]
    share = [np.bincount(mesh.cells.ravel(), np.repeat(np.where(owner == c, volume / 2.0, 0.0), 2), mesh.n_points) / M
             for c in range(len(curves))]
    q = 2.0 * M / np.maximum(k, np.finfo(float).tiny)
    alpha = np.sum([part * curve(q) for part, curve in zip(share, curves, strict=True)], axis=0)
    over = sparse.diags_array(np.where(k > 0.0, 2.0 * alpha / np.where(k > 0.0, k, 1.0), 0.0))
    upper = sparse.triu(K + K @ over @ K, 1).tocoo()
    top = float((k * (2.0 + 8.0 * alpha.max(initial=0.0)) / M).max(initial=0.0))
    return replace(operator_of(upper.astype(complex), M, True), eigenvalue_bound=top)
