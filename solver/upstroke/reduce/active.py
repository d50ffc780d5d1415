"""The channels of a whole cell in a few compartments, by least squares of quasi-active impedances.

After W. Wybo et al. (2021), eLife 10:e60936, doi 10.7554/eLife.60936: one channel after the other, beside the leaks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from upstroke.reduce.fit import FREQUENCIES, Reduced, fit_channel
from upstroke.reduce.neuron import Neuron
from upstroke.reduce.passive import Complex, Floats
from upstroke.reduce.sites import holders

HOLD = (-90.0, -75.0, -65.0, -55.0, -45.0, -35.0, -20.0, 0.0)       # mV
OPEN = (1e-3, 1e-2, 1e-1)   # parts of a channel that stay open, whatever V does: as during a spike, which is short
CONDITION = 1e6             # of a fit that tells its compartments apart
NEGLIGIBLE = 1e-4           # of a channel's conductance in all compartments


def fit_channels(neuron: Neuron, reduced: Reduced, nodes: Sequence[int]) -> tuple[dict[str, Floats], list[str]]:
    """(m,) mS of every channel in the compartments at some nodes, by key, and notes.

    Each is fitted by itself beside the leaks: around the potentials of `HOLD` at which the cell would stay, and with
    parts of it open for good. It goes to places that have it on the whole cell, or anywhere where none has. Where a
    fit cannot tell the compartments apart, they get what `transferred` gives.
    """
    found, notes = {}, []
    for key in neuron.channels:
        whole, unit, frequencies = expansions(neuron, key, nodes)
        Z = neuron.passive.impedance(nodes, frequencies, whole)[:, nodes]
        own = np.array([any(node in m.nodes for m, _ in neuron.having(key)) for node in nodes])
        G, condition = fit_channel(reduced, Z, unit * (own if own.any() else 1.0), frequencies)
        if not condition < CONDITION:
            G = transferred(neuron, key, nodes)
            notes.append(f"the fit of {key} does not tell the compartments apart (condition {condition:.1g}): it is "
                         "shared out by steady transfer")
        found[key] = np.where(NEGLIGIBLE * G.sum() < G, G, 0.0)
    return found, notes


def expansions(neuron: Neuron, key: str, nodes: Sequence[int]) -> tuple[Complex, Complex, tuple[float, ...]]:
    """What a channel answers at each holding potential and frequency: (p, n) mS on the whole cell; (p, m) of a unit of
    the conductance at some nodes; (p,) 1/ms."""
    omega = [2.0 * math.pi * f for f in FREQUENCIES]
    whole = np.zeros((len(omega), len(HOLD), len(neuron.passive.leak)), complex)
    for m, channel in neuron.having(key):
        whole[..., m.nodes] = m.answer(channel, HOLD, omega)
    whole *= neuron.total(key)
    unit = np.empty((len(omega), len(HOLD), len(nodes)), complex)
    for k, node in enumerate(nodes):
        m, channel = neuron.owner_of(key, node)
        answer = m.answer(channel, HOLD, omega)
        unit[..., k] = answer[..., int(np.flatnonzero(m.nodes == node)[0]) if answer.shape[-1] > 1 and
                              node in m.nodes else slice(None)].reshape(*answer.shape[:2], -1).mean(-1)
    stays = [v for v in range(len(HOLD)) if _stays(neuron, whole[0, v].real)]
    part = np.array(OPEN)[:, None, None]
    total, shape = neuron.total(key), (len(OPEN), len(omega))
    wholes = [*np.moveaxis(whole[:, stays], 1, 0), *np.broadcast_to(part * total, (*shape, len(total)))]
    units = [*np.moveaxis(unit[:, stays], 1, 0), *np.broadcast_to(part, (*shape, len(nodes)))]
    return np.concatenate(wholes), np.concatenate(units), FREQUENCIES * len(units)


def density_around(neuron: Neuron, nodes: Sequence[int]) -> dict[str, Floats]:
    """(m,) mS/cm^2 of every channel where each place has it, by key: means over its own conductances."""
    stands, area = holders(neuron.passive.impedance(nodes, [0.0])[0].real, nodes), neuron.passive.tree.area
    found = {}
    for key in neuron.channels:
        total = neuron.total(key)
        weighted = np.bincount(stands, total ** 2 / np.where(area > 0.0, area, 1.0), len(nodes))
        whole = np.bincount(stands, total, len(nodes))
        found[key] = weighted / np.where(whole > 0.0, whole, 1.0)
    return found


def _stays(neuron: Neuron, slope: Floats) -> bool:
    """Whether the cell with its leaks and a channel stays where it is held: the static matrix is positive definite,
    that is, has positive pivots."""
    matrix = neuron.passive.coupling + sparse.diags_array(neuron.passive.leak + slope)
    pivots = splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return bool(np.all(pivots.U.diagonal() > 0.0))


def transferred(neuron: Neuron, key: str, nodes: Sequence[int]) -> Floats:
    """(m,) mS: every place gets a channel's conductance of the nodes for which it stands, weighted by steady transfer,

        G_s = sum_x G_x (Z_xs / Z_ss)^2,

    which is what a small conductance at x is to the cell as seen from s.
    """
    Z = neuron.passive.impedance(nodes, [0.0])[0].real
    stands = holders(Z, nodes)
    share = (Z / Z[list(nodes), np.arange(len(nodes))])[np.arange(len(Z)), stands]
    return np.asarray(np.bincount(stands, share ** 2 * neuron.total(key), len(nodes)), float)
