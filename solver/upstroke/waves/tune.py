"""Measuring alpha(q): plane waves on lattices against the wave of the continuum.

A wave V(x, t) = U(x - c t) on a grid, along its axis, is that of a chain with the symbol s (1 + alpha s) / q
(`chains`). For every q, alpha is sought such that it takes as long as the wave of the continuum, symbol k^2, over the
same distance, both with the time step, the splitting and the scheme of the run: what is corrected is the error in
space, and no other. The chains of all q run as one batch; the roots are found by regula falsi with secants.

Lengths are in units of sqrt(D ms), so velocities are c / sqrt(D), in 1/sqrt(ms).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from upstroke.case.schema import TimeTable
from upstroke.codegen.kernel import Precision
from upstroke.errors import ModelError
from upstroke.ionic import initial_state
from upstroke.ionic.model import Model
from upstroke.space.curve import Curve
from upstroke.waves.chains import Batch, Chain, Floats, continuum, lattice

#: q c^2, without a unit: from where a lattice makes no difference to where a front is narrower than a step of it.
COARSENESS = np.geomspace(0.2, 48.0, 9)
GUESS = 0.067, 0.106         # alpha is about GUESS[0] + GUESS[1] sqrt(q c^2)

SINGLE_CELL = 50.0           # ms that single cells are watched for an action potential
LIFT = 130.0                 # mV, most by which they are lifted
PLACES = 4.0, 15.0, 33.0, 40.0     # launched to, timed from, timed to, end: in units of D / c, the width of a front
NODES = 2, 7, 14, 18               # the same in nodes, at least
REFERENCE = 0.2              # c h of the chain that stands for the continuum; 0.3 gives the same to 1e-4
TOLERANCE = 2e-4             # of the velocity
MOST_ALPHA = 4.0
ITERATIONS = 12
TRIES = 4
PATIENCE = 2.5               # a wave that is slower than others by this factor counts as none
LONGEST = 2000.0             # ms that any wave is waited for


@dataclass(frozen=True)
class Excitation:
    """What an action potential of single cells tells: where V peaks, and how steeply it rises."""

    rest: float              # mV
    peak: float              # mV
    rate: float              # 1/ms, largest dV/dt over the amplitude

    @property
    def threshold(self) -> float:
        """mV, between both: where a front is looked for."""
        return 0.5 * (self.rest + self.peak)


def measure(model: Model, time: TimeTable, initial: Mapping[str, float] | None = None, *, C_m: float = 1.0,
            precision: Precision = "fp64") -> Curve:
    """alpha(q) of a model, in the time steps of a run.

    Parameters
    ----------
    time : dt, splitting, diffusion and reaction_steps are those of the run; end does not matter
    initial : V and states of the tissue that the wave runs into; default: the model's own
    C_m : uF/cm^2

    Raises
    ------
    ModelError where the model has no waves, and why
    DivergenceError where V leaves the finite numbers
    """
    batch = Batch(model, time, initial or initial_state(model), C_m, precision)
    action = excite(batch)
    c = continuum_velocity(batch, action)
    q = COARSENESS / c ** 2
    alpha = _roots(batch, action, c, q)
    found = np.isfinite(alpha)
    if not found[:3].all():
        raise ModelError(f"model {model.name}", "no corrected stencil gives its waves the velocity of fine meshes",
                         'take waves = "fourth_order", which depends on no model')
    found = np.cumprod(found).astype(bool)           # up to the first q where there is none
    return Curve(q[found], alpha[found], _source(batch), c)


def excite(batch: Batch) -> Excitation:
    """Lift V of single cells by 0.01 to 130 mV and see which of them go on rising by themselves.

    Raises
    ------
    ModelError where none does
    """
    lifts = np.concatenate([[0.0], np.geomspace(0.01, LIFT, 64)])
    start = batch.rest + lifts
    peak, rate = start.copy(), np.zeros(len(start))

    def watch(t: float, before: Floats, V: Floats) -> bool:
        np.maximum(peak, V, out=peak)
        np.maximum(rate, (V - before) / batch.time.dt, out=rate)
        return False

    batch.voltages(start, SINGLE_CELL, watch, {})
    fired = peak - start > 0.2 * (peak - batch.rest)
    if not fired[1:].any():
        raise _no_waves(batch, f"the voltage of a cell that is lifted, by any amount up to {LIFT:g} mV, only falls")
    top = float(peak[fired].max())
    return Excitation(batch.rest, top, float(rate[fired].max() / (top - batch.rest)))


def continuum_velocity(batch: Batch, action: Excitation) -> float:
    """c, in 1/sqrt(ms), of a plane wave that nothing in space disturbs.

    Raises
    ------
    ModelError where none runs, or the tissue fires by itself before it has passed
    """
    c = 1.3 * np.sqrt(action.rate)                    # the guess is right to a factor of two in most models
    for _ in range(TRIES):
        chain = _chain(REFERENCE / c, c, continuum(REFERENCE / c))
        own = _velocities(batch, action, c, [chain])[0]
        if np.isfinite(own) and 0.8 < own / c < 1.25:
            return float(_velocities(batch, action, own, [_chain(REFERENCE / own, own, continuum(REFERENCE / own))])[0])
        c = own if np.isfinite(own) else 0.5 * c
    raise _no_waves(batch, "a front that is started on a line does not run along it")


def lumped_errors(model: Model, time: TimeTable, curve: Curve, initial: Mapping[str, float] | None = None, *,
                  C_m: float = 1.0, precision: Precision = "fp64") -> Floats:
    """(n,) the relative error of the velocity at curve.q without any correction, alpha = 0; -1 where no wave runs."""
    batch = Batch(model, time, initial or initial_state(model), C_m, precision)
    return velocity_errors(batch, excite(batch), curve.velocity, curve.q, np.zeros(len(curve.q)))


def velocity_errors(batch: Batch, action: Excitation, c: float, q: Floats, alpha: Floats) -> Floats:
    """v / c - 1 on chains of q with corrections alpha; -1 where no wave runs or it is slower than c / PATIENCE."""
    chains = [_chain(np.sqrt(one), c, lattice(one, a)) for one, a in zip(q, alpha, strict=True)]
    return np.nan_to_num(_velocities(batch, action, c, chains) / c, nan=0.0) - 1.0


def _chain(h: float, c: float, symbol: Callable[[Floats], Floats]) -> Chain:
    """A chain long enough for a wave of velocity c to settle and to be measured."""
    launched, _, last, n = _places(h, c)
    return Chain(h, n, symbol, launched, last)


def _places(h: float, c: float) -> list[int]:
    """The nodes up to which a wave is launched, from which and up to which it is timed, and how many there are."""
    return [max(int(np.ceil(x / (c * h))), least) for x, least in zip(PLACES, NODES, strict=True)]


def _velocities(batch: Batch, action: Excitation, c: float, chains: Sequence[Chain]) -> Floats:
    """Between lattice nodes, whole steps apart; NaN where the wave does not arrive, or not in order."""
    until = min(PATIENCE * max(chain.h * chain.last for chain in chains) / c, LONGEST)
    *arrivals, alone = batch.arrivals(chains, action.peak, action.threshold, until)
    v = np.full(len(chains), np.nan)
    for k, (chain, t) in enumerate(zip(chains, arrivals, strict=True)):
        first = _places(chain.h, c)[1]
        seen = t[first:chain.last + 1]
        if alone[0] < seen[-1]:
            raise _no_waves(batch, f"its tissue fires by itself, {alone[0]:.0f} ms after the start, before a wave has "
                            "passed")
        if np.isfinite(seen).all() and (np.diff(seen) > 0.0).all():
            v[k] = chain.h * (len(seen) - 1) / (seen[-1] - seen[0])
    return v


def _roots(batch: Batch, action: Excitation, c: float, q: Floats) -> Floats:
    """alpha (n,) at which waves on chains of q have the velocity c; NaN where none has."""
    low, high = np.zeros(len(q)), np.full(len(q), MOST_ALPHA)
    alpha = GUESS[0] + GUESS[1] * np.sqrt(q) * c
    before, f_before = alpha * 0.9, velocity_errors(batch, action, c, q, alpha * 0.9)
    found = np.full(len(q), np.nan)
    for _ in range(ITERATIONS):
        left = np.flatnonzero(np.isnan(found))
        f = np.zeros(len(q))
        f[left] = velocity_errors(batch, action, c, q[left], alpha[left])
        done = left[np.abs(f[left]) < TOLERANCE]
        found[done] = alpha[done]
        low[left] = np.where(f[left] < 0.0, alpha[left], low[left])
        high[left] = np.where(f[left] > 0.0, alpha[left], high[left])
        with np.errstate(divide="ignore", invalid="ignore"):
            new = alpha - f * (alpha - before) / (f - f_before)
        outside = ~((low < new) & (new < high)) | (f == -1.0) | (f_before == -1.0)
        new = np.where(outside, np.minimum(0.5 * (low + high), np.maximum(1.5 * alpha, 0.1)), new)
        before, f_before, alpha = alpha, f, new
        if not np.isnan(found).any():
            break
    return found


def _no_waves(batch: Batch, why: str) -> ModelError:
    return ModelError(f"model {batch.model.name}", f"it has no waves whose velocity could be calibrated: {why}",
                      'set tissue.waves = "fourth_order", which depends on no model')


def _source(batch: Batch) -> dict[str, str]:
    time = batch.time
    return {"model": batch.model.name, "flags": " ".join(flag.value for flag in batch.model.flags),
            "dt": f"{time.dt:g} ms", "splitting": time.splitting, "diffusion": time.diffusion,
            "reaction_steps": str(time.reaction_steps), "capacitance": f"{batch.C_m:g} uF/cm^2"}
