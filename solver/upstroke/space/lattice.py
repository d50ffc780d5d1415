"""The calibrated operator on lattices: grids, whole or masked, and the cables, sheets and slabs that we build.

In units of the cell's edges h the tensor is E_jk = D_jk / (h_j h_k), 1/ms. Selling's algorithm writes it as lines,

    E = sum_e rho_e e e^T,    rho_e >= 0,    e whole numbers,

(`selling`), so div(D grad V) is a sum of second derivatives along lines of nodes, each an ordinary 1-D stencil with
q = 1 / rho_e = h^2 / D of the line. Each is corrected as the membrane's curve alpha(q) asks (`Curve`), and pairs of
lines along axes by what plane waves oblique to them need:

    S(k) = sum_e rho_e s_e (1 + alpha(1/rho_e) s_e) + sum_(d<e) r z (beta + gamma z),
    s_e = 2 - 2 cos(k.e),    z = s_d s_e,    r = sqrt(rho_d rho_e),    beta and gamma functions of alpha(1/r).

The mass is lumped. Without corrections this is the AD-LBR scheme of Fehrenbach and Mirebeau (J. Math. Imaging Vis. 49,
123 (2014), doi:10.1007/s10851-013-0446-3): no weight of a line is ever negative.

Everything is a sum of c (V_i - V_j)^2 over pairs of nodes an offset apart, so it is stored as couplings c by offset, in
a flat box of the lattice's places with a margin of zeros: one matrix, symmetric bit by bit, whose rows sum to zero.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
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
Floats = NDArray[np.float64]
Offset = tuple[int, ...]


def assemble_lattice(mesh: Mesh, D: Floats, curves: Sequence[Curve], owner: NDArray[np.intp] | None = None, *,
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
    rho_of_axis: dict[Offset, Floats] = {}
    for e, rho in box.lines():
        if sum(map(abs, e)) == 1:
            rho_of_axis[e] = rho
        links, missing = box.links(e, rho)
        bound += _add_line(box, couplings, e, links)
        if missing is not None:
            lost = lost + missing[:, None, None] * np.multiply.outer(e, e)
    if pairs:
        for (d, rho_d), (e, rho_e) in itertools.combinations(sorted(rho_of_axis.items()), 2):
            bound += _add_pair(box, couplings, d, e, np.sqrt(rho_d * rho_e))
    top = float((bound / box.mass).max(initial=0.0))
    if lost.any():
        top += _add_cells(box, couplings, lost)
    return box.operator(couplings, top)


class _Box:
    """The places of a lattice, flat with x fastest, behind every axis a margin of zeros; fields are arrays (size,)."""

    def __init__(self, mesh: Mesh, D: Floats, curves: Sequence[Curve], owner: NDArray[np.intp] | None) -> None:
        d = self.d = mesh.dim
        if mesh.grid is not None:
            spacing, cells_of_brick = mesh.grid.spacing, 1
        else:
            assert mesh.bricks is not None
            extent = np.ptp(mesh.points, axis=0)[:d]
            spacing, cells_of_brick = tuple(extent / mesh.bricks), math.factorial(d)
        self.n, self.volume, self.curves = mesh.n_points, float(np.prod(spacing)), tuple(curves)
        place = np.rint((mesh.points[:, :d] - mesh.points[:, :d].min(axis=0)) / spacing).astype(np.int64)
        E = D[::cells_of_brick, :d, :d]                                     # the simplices of a brick are alike
        self.uniform = bool((E[:1] == E).all())
        self.E = (E[:1] if self.uniform else E) / np.multiply.outer(spacing, spacing)
        self.weights, self.offsets = selling(self.E)
        reach = 2 * max(1, int(abs(self.offsets).max(initial=0)))
        shape = place.max(axis=0) + 1 + reach
        self.strides = np.concatenate([[1], np.cumprod(shape[:-1])])
        self.size = int(np.prod(shape))
        self.node = place @ self.strides                                    # where each node is
        self.cell = self.node[mesh.cells[::cells_of_brick, 0]]              # where each brick's lowest corner is
        self.owner = np.zeros(len(self.cell), np.intp) if owner is None else np.asarray(owner)[::cells_of_brick]
        self.corners = [corner[::-1] for corner in itertools.product((0, 1), repeat=d)]     # x fastest
        self.there = self.of_cells(1.0)
        self.mass = self.around_nodes(self.there)[self.node] * (self.volume / 2 ** d)       # (n,)
        self.share = [np.ones(self.n)] if len(self.curves) == 1 else [
            self.around_nodes(self.of_cells(self.owner == k))[self.node] / self.around_nodes(self.there)[self.node]
            for k in range(len(self.curves))]

    def step(self, offset: Sequence[int]) -> int:
        """How far apart nodes an offset apart are."""
        return int(np.dot(offset, self.strides))

    def ahead(self, field: Floats, step: int) -> Floats:
        """The field's values ``step`` places on, zero beyond the box."""
        if step == 0:
            return field
        moved = np.zeros_like(field)
        if step > 0:
            moved[:-step] = field[step:]
        else:
            moved[-step:] = field[:step]
        return moved

    def of_cells(self, values: Floats | NDArray[np.bool_] | float) -> Floats:
        """A field of numbers of the cells, each at its lowest corner."""
        field = np.zeros(self.size)
        field[self.cell] = values
        return field

    def of_nodes(self, values: Floats) -> Floats:
        field = np.zeros(self.size)
        field[self.node] = values
        return field

    def around_nodes(self, of_cells: Floats) -> Floats:
        """Sums over the cells around each place."""
        return np.sum([self.ahead(of_cells, -self.step(corner)) for corner in self.corners], axis=0)

    def alpha(self, q: Floats) -> Floats:
        """(n,) of the nodes at their q; nodes between membranes have a mean."""
        return np.sum([share * curve(q) for share, curve in zip(self.share, self.curves, strict=True)], axis=0)

    def alpha_of_cells(self, q: Floats) -> Floats:
        """(m,) of the cells."""
        if len(self.curves) == 1:
            return self.curves[0](q)
        q = np.broadcast_to(q, self.owner.shape)
        return np.choose(self.owner, [curve(q) for curve in self.curves])

    def lines(self) -> Iterator[tuple[Offset, Floats]]:
        """Every offset e that some cell has, with the weights rho_e of all cells, (m,) or (1,) where all are alike."""
        span = 2 * int(abs(self.offsets).max(initial=0)) + 1
        code = self.offsets @ span ** np.arange(self.d)
        code[self.weights == 0.0] = 0
        for value in np.unique(code[code != 0]):
            rho = np.where(code == value, self.weights, 0.0).sum(axis=1)
            cell, line = np.argwhere(code == value)[0]
            yield tuple(map(int, self.offsets[cell, line])), rho

    def links(self, e: Offset, rho: Floats) -> tuple[Floats, Floats | None]:
        """What couples each place to that an offset e on, cm^d/ms, and the weight of cells (m,) that found no place.

        A link runs through a box of cells, or along several, as many as share it. Each box that is whole carries its
        volume's share of the mean rho of its cells, so nothing crosses what is masked out.
        """
        span = [range(max(1, abs(k))) for k in e]
        size = math.prod(map(len, span))
        field = self.of_cells(rho)
        box = [self.step(inner) for inner in itertools.product(*span)]
        sums = np.sum([self.ahead(field, step) for step in box], axis=0)
        missing = None
        if size > 1:
            whole = np.sum([self.ahead(self.there, step) for step in box], axis=0) == size
            sums *= whole
            used = np.sum([self.ahead(whole.astype(float), -step) for step in box], axis=0)[self.cell]
            if (used < size).any():
                missing = rho * (1.0 - used / size)
        sides = list(itertools.product(*[(0, -1) if k == 0 else (min(k, 0),) for k in e]))
        links = np.sum([self.ahead(sums, self.step(side)) for side in sides], axis=0)
        return links * (self.volume / (size * len(sides))), missing

    def operator(self, couplings: dict[Offset, Floats], top: float) -> Operator:
        """M and K on one pattern, rows in the order of their columns."""
        number = np.full(self.size, -1, np.int32)
        number[self.node] = np.arange(self.n, dtype=np.int32)
        ahead = sorted((self.step(o), c[self.node]) for o, c in couplings.items() if c.any())
        length = np.ones(self.n, np.int64)
        for step, c in ahead:
            length += c != 0.0
            length[number[self.node[c != 0.0] + step]] += 1
        start = np.concatenate([[0], np.cumsum(length)])
        free = start[:-1].copy()
        columns, K, diagonal = np.empty(start[-1], np.int32), np.empty(start[-1]), np.zeros(self.n)

        def put(rows: NDArray[np.int64], others: NDArray[np.int64], c: Floats) -> None:
            columns[free[rows]], K[free[rows]] = others, -c
            diagonal[rows] += c
            free[rows] += 1

        for step, c in reversed(ahead):
            linked = np.flatnonzero(c)
            put(number[self.node[linked] + step], linked, c[linked])
        middle = free.copy()
        free += 1
        for step, c in ahead:
            linked = np.flatnonzero(c)
            put(linked, number[self.node[linked] + step], c[linked])
        columns[middle], K[middle] = np.arange(self.n), diagonal
        M = np.zeros(start[-1])
        M[middle] = self.mass
        shape = (self.n, self.n)
        return Operator(mass=sparse.csr_array((M, columns, start), shape=shape),
                        stiffness=sparse.csr_array((K, columns, start), shape=shape), lumped_mass=self.mass,
                        is_lumped=True, eigenvalue_bound=top)


def _add_line(box: _Box, couplings: dict[Offset, Floats], e: Offset, w: Floats) -> Floats:
    """Add K_e + 2 K_e diag(alpha(q_i) / k_i) K_e for the links w of a line; returns what it adds to the bound, (n,).

    k_i is the diagonal of K_e and q_i = 2 M_i / k_i, so at the end of a line, where both have half, the line is
    mirrored. k^-1/2 K_e k^-1/2 has no eigenvalue above 2, so the correction is at most 4 alpha K_e however rho varies.
    """
    step = box.step(e)
    diagonal = w + box.ahead(w, -step)
    k = diagonal[box.node]
    linked = k > 0.0
    alpha_i = np.zeros(box.n)
    alpha_i[linked] = box.alpha(2.0 * box.mass / np.where(linked, k, 1.0))[linked]
    alpha = box.of_nodes(alpha_i)
    over = box.of_nodes(2.0 * alpha_i / np.where(linked, k, 1.0))
    couplings[e] += w * (1.0 + 2.0 * (alpha + box.ahead(alpha, step)))
    couplings[tuple(2 * x for x in e)] -= w * box.ahead(over * w, step)
    return k * (2.0 + 8.0 * alpha_i.max(initial=0.0))


def beta_gamma(alpha: Floats) -> tuple[Floats, Floats]:
    """beta and -gamma of a pair of axes from alpha(1 / sqrt(rho_d rho_e)).

    Fitted to plane waves of ten Tusscher-Panfilov in 12 directions of square and cubic lattices at q from 0.3 to 8 ms;
    other models need the same. The bound of gamma keeps S positive at the corner of the zone, 0.4 of the uncorrected.
    """
    beta = np.maximum(0.0, 0.25 * (1.0 - np.exp((0.11 - alpha) / 0.35)))
    return beta, np.minimum(0.006 + 0.0925 * alpha, (7.2 + 48.0 * alpha + 48.0 * beta) / 768.0)


def _add_pair(box: _Box, couplings: dict[Offset, Floats], d: Offset, e: Offset, r: Floats) -> Floats:
    """Add T_beta - 4 T diag(|gamma_i| / t_i) T for two axes; returns what it adds to the bound, (n,).

    T is the sum of r |c| (V_00 - V_10 - V_01 + V_11)^2 over the faces of cells, T_beta the same with beta r, t_i the
    diagonal of T: r = t_i / (4 M_i).
    """
    alpha = box.alpha_of_cells(1.0 / np.maximum(r, 1e-300))
    beta = beta_gamma(alpha)[0]
    sides = list(itertools.product(*[(0,) if x or y else (0, -1) for x, y in zip(d, e, strict=True)]))
    T, T_beta = (_mixed(box, d, e, np.sum([box.ahead(box.of_cells(weight * (box.volume / len(sides))), box.step(side))
                                           for side in sides], axis=0)) for weight in (r, r * beta))
    t = T[(0,) * box.d][box.node]
    some = t > 0.0
    gamma_i = beta_gamma(box.alpha(4.0 * box.mass / np.where(some, t, 1.0)))[1]
    over = box.of_nodes(np.where(some, 4.0 * gamma_i / np.where(some, t, 1.0), 0.0))
    for o, entry in T_beta.items():
        if box.step(o) > 0:
            couplings[o] -= entry
    scaled = {o: over * entry for o, entry in T.items()}
    for p, entry in T.items():
        for o, other in scaled.items():
            both = tuple(x + y for x, y in zip(p, o, strict=True))
            if box.step(both) > 0:
                couplings[both] += entry * box.ahead(other, box.step(p))
    return t * _highest(float(beta.max(initial=0.0)), float(gamma_i[some].min(initial=math.inf)))


def _highest(beta: float, gamma: float) -> float:
    """The most of beta x - 4 gamma x^2 for x in [0, 4]: the eigenvalues of t^-1/2 T t^-1/2 lie there."""
    x = min(4.0, beta / (8.0 * gamma)) if gamma > 0.0 else 4.0
    return beta * x - (4.0 * gamma * x * x if x else 0.0)


def _mixed(box: _Box, d: Offset, e: Offset, f: Floats) -> dict[Offset, Floats]:
    """The matrix of sum f (V_00 - V_10 - V_01 + V_11)^2 by offset, f of each face at its lowest node."""
    def behind(field: Floats, *axes: Offset) -> Floats:
        return box.ahead(field, -sum(box.step(axis) for axis in axes))

    def add(m: int, n: int) -> Offset:
        return tuple(m * x + n * y for x, y in zip(d, e, strict=True))

    along, across = f + behind(f, e), f + behind(f, d)                  # the faces beside an edge along d, along e
    return {add(0, 0): along + behind(along, d), add(1, 0): -along, add(-1, 0): -behind(along, d),
            add(0, 1): -across, add(0, -1): -behind(across, e), add(1, 1): f, add(-1, -1): behind(f, d, e),
            add(-1, 1): behind(f, d), add(1, -1): behind(f, e)}


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
