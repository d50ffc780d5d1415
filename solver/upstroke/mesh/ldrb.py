"""Fibres and sheets by rule, from how far a point is through the wall and which way the apex lies.

J. D. Bayer, R. C. Blake, G. Plank, N. A. Trayanova, Ann. Biomed. Eng. 40, 2243-2254 (2012), doi
10.1007/s10439-012-0593-5, with one change: all frames of a point are turned by the angles of its own depth before they
are interpolated, so that these nearly agree and the angle is linear in the depth (as in R. Piersanti et al., Comput.
Methods Appl. Mech. Eng. 373, 113468 (2021), doi 10.1016/j.cma.2020.113468).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
VANISHING = 1e-12       # relative: directions this short are none


@dataclass(frozen=True)
class Angles:
    """Degrees at the endocardium and at the epicardium.

    Attributes
    ----------
    alpha : of the fibre, from the circumferential direction towards the base
    beta : of the sheet, about the fibre, from the outward normal
    """

    alpha: tuple[float, float] = (60.0, -60.0)
    beta: tuple[float, float] = (-65.0, 25.0)

    def at(self, depth: Floats) -> tuple[Floats, Floats]:
        """alpha and beta (m,) in radians at these depths, 0 endocardium, 1 epicardium."""
        alpha, beta = (np.radians(endo * (1 - depth) + epi * depth) for endo, epi in (self.alpha, self.beta))
        return alpha, beta


def one_ventricle(to_base: Floats, outward: Floats, depth: Floats, angles: Angles) -> tuple[Floats, Floats]:
    """Fibre and sheet (m, 3): Q = axis(to_base, outward), turned by alpha about the normal, then beta about the fibre.

    Parameters
    ----------
    to_base, outward : (m, 3) gradients of the apico-basal and of the transmural coordinate
    depth : (m,) 0 at the endocardium, 1 at the epicardium
    """
    Q = orient(axis(to_base, outward), *angles.at(depth))
    return Q[:, :, 0], Q[:, :, 2]


def two_ventricles(to_base: Floats, gradients: tuple[Floats, Floats, Floats], values: tuple[Floats, Floats, Floats],
                   angles: Angles) -> tuple[Floats, Floats]:
    """Fibre and sheet (m, 3) of a wall with two cavities.

    Q = bislerp(bislerp(Q_lv, Q_rv, d), Q_epi, phi_epi), d = phi_rv / (phi_lv + phi_rv), each Q_k of axis(to_base,
    outward_k). At the right ventricle "outward" is into the cavity, so that fibres turn on through the septum.

    Parameters
    ----------
    gradients, values : (m, 3) and (m,) of phi_lv, phi_rv and phi_epi, each 1 on its surface and 0 on the others
    """
    lv, rv, epi = gradients
    depth = np.clip(values[2], 0.0, 1.0)
    total = np.clip(values[0], 0, None) + np.clip(values[1], 0, None)
    d = np.where(total > VANISHING, np.clip(values[1], 0, None) / np.where(total > VANISHING, total, 1.0), 0.5)
    alpha, beta = angles.at(depth)
    Q_epi = orient(axis(to_base, epi), alpha, beta)
    turn = (1 - 2 * d) * alpha, (1 - 2 * d) * beta
    Q_endo = bislerp(orient(axis(to_base, -lv, epi), *turn), orient(axis(to_base, rv, epi), *turn), d)
    Q = bislerp(Q_endo, Q_epi, depth)
    return Q[:, :, 0], Q[:, :, 2]


def axis(to_base: Floats, outward: Floats, otherwise: Floats | None = None) -> Floats:
    """Frames (m, 3, 3) whose columns are circumferential, towards the base, and outward: e1 = to_base / |to_base|, e2
    = outward without its part along e1, e0 = e1 x e2. Where nothing is left of ``outward``, ``otherwise`` takes its
    place, or else any direction."""
    e1 = _unit(to_base)
    e2 = outward - _dot(outward, e1) * e1
    shortest = 1e-6 * np.linalg.norm(outward, axis=1).max(initial=VANISHING)
    any_across = np.eye(3)[np.abs(e1).argmin(axis=1)]
    for other in (otherwise, any_across):
        if other is not None:
            short = np.linalg.norm(e2, axis=1) <= shortest
            e2 = np.where(short[:, None], other - _dot(other, e1) * e1, e2)
    e2 = _unit(e2)
    return np.stack([np.cross(e1, e2), e1, e2], axis=2)


def orient(Q: Floats, alpha: Floats, beta: Floats) -> Floats:
    """Frames turned by alpha about their third axis and then by beta about their first, the fibre (radians)."""
    zero, one = np.zeros_like(alpha), np.ones_like(alpha)
    (ca, sa), (cb, sb) = ((np.cos(angle), np.sin(angle)) for angle in (alpha, beta))
    about_normal = np.array([[ca, -sa, zero], [sa, ca, zero], [zero, zero, one]]).transpose(2, 0, 1)
    about_fibre = np.array([[one, zero, zero], [zero, cb, sb], [zero, -sb, cb]]).transpose(2, 0, 1)
    return np.asarray(Q @ about_normal @ about_fibre)


def bislerp(A: Floats, B: Floats, t: Floats) -> Floats:
    """Frames between A (t = 0) and B (t = 1), on the shortest way, where a frame and those with two of its axes
    reversed are the same."""
    from scipy.spatial.transform import Rotation
    a, b = Rotation.from_matrix(A).as_quat(), Rotation.from_matrix(B).as_quat()      # x, y, z, w
    x, y, z, w = a.T
    alike = np.stack([a, np.stack([w, z, -y, -x], axis=1), np.stack([-z, w, x, -y], axis=1),
                      np.stack([y, -x, w, -z], axis=1)], axis=1)                     # a, a i, a j, a k
    cosine = np.einsum("mkq,mq->mk", alike, b)
    best = np.abs(cosine).argmax(axis=1)
    rows = np.arange(len(a))
    cos = cosine[rows, best]
    start = alike[rows, best] * np.where(cos < 0, -1.0, 1.0)[:, None]
    angle = np.arccos(np.clip(np.abs(cos), -1.0, 1.0))
    sine = np.sin(angle)
    near = sine < 1e-8
    safe = np.where(near, 1.0, sine)
    one, two = (np.where(near, weight, np.sin(weight * angle) / safe)[:, None] for weight in (1 - t, t))
    return np.asarray(Rotation.from_quat(one * start + two * b).as_matrix())


def cell_gradients(points: Floats, cells: NDArray[np.int32], values: Floats) -> Floats:
    """(m, 3) the gradient in each tetrahedron of what is linear in it: E g = u_k - u_0 with rows of E its edges."""
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    return np.asarray(np.linalg.solve(edges, (values[cells[:, 1:]] - values[cells[:, :1]])[:, :, None])[:, :, 0])


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", a, b)[:, None])


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))
