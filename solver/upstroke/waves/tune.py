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
from upstroke.errors import DivergenceError, ModelError, UpstrokeError
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
REFERENCE = 0.25             # c h of the chain that stands for the continuum; 0.1 to 0.3 give the same to 1e-4
TOLERANCE = 2e-4             # of the velocity
MOST_ALPHA = 4.0
ITERATIONS = 12
TRIES = 4
STEADY = 0.15                # of the velocity: most by which a front may speed up or slow down on its way
FEWEST = 3                   # points of a curve
PATIENCE = 3.0               # a wave that takes longer for a step than the continuum's, by this factor, counts as none
ONSET = 15.0                 # ms that it may take at least, as where a wave is launched


@dataclass(frozen=True)
class Excitation:
    """What action potentials of single cells tell: where V peaks, how steeply it rises, and what starts them."""

    rest: float              # mV
    peak: float              # mV
    start: float             # mV, the highest V from which V rises further by itself
    rate: float              # 1/ms, largest dV/dt over the amplitude
    finite: bool             # V of no cell left the finite numbers

    @property
    def threshold(self) -> float:
        """mV, between both: where a front is looked for."""
        return 0.5 * (self.rest + self.peak)


@dataclass(frozen=True)
class Front:
    """The wave of the continuum: its velocity c (1/sqrt(ms)), and when (ms) it is at which distance (sqrt(ms))."""

    velocity: float
    x: Floats
    t: Floats

    def time(self, x: Floats) -> Floats:
        """When it passes x, which may not be beyond what was seen."""
        return np.interp(x, self.x, self.t, left=np.nan, right=np.nan)


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
    return Tuning(model, time, initial, C_m=C_m, precision=precision).curve()


class Tuning:
    """Waves of one model: the action potential of its cells, the front in the continuum, and fronts on lattices.

    Raises
    ------
    ModelError where the model has no waves, and why; DivergenceError where V leaves the finite numbers
    """

    def __init__(self, model: Model, time: TimeTable, initial: Mapping[str, float] | None = None, *, C_m: float = 1.0,
                 precision: Precision = "fp64") -> None:
        self.batch = Batch(model, time, initial or initial_state(model), C_m, precision)
        self.action = excite(self.batch)
        self.front = self._front(self._velocity())

    def curve(self) -> Curve:
        """alpha(q), up to the first q at which no alpha does, or whose chain is longer than a front runs."""
        c = self.front.velocity
        q = COARSENESS / c ** 2
        chains = [_chain(np.sqrt(one), c, lattice(one, 0.0)) for one in q]
        q = q[[_distance(chain)[chain.last] <= self.front.x[-1] for chain in chains]]
        if len(q) < FEWEST:
            raise self._no_front("a front that is started on a line is not steady")
        alpha = self._roots(q)
        found = np.cumprod(np.isfinite(alpha)).astype(bool)
        if found.sum() < FEWEST:
            raise _no_waves(self.batch, "no corrected stencil gives them the velocity of fine meshes")
        return Curve(q[found], alpha[found], self._source(), c)

    def errors(self, q: Floats, alpha: Floats) -> Floats:
        """(n,) v / c - 1 on lattices of q (n,) with corrections alpha (n,); -1 where no wave runs, or one too slow.

        Times of flight are compared between the same places, so that fronts that speed up or slow down, as the tissue
        ahead of them changes, are treated alike. Too slow is slower than c / PATIENCE.
        """
        chains = [_chain(np.sqrt(one), self.front.velocity, lattice(one, a)) for one, a in zip(q, alpha, strict=True)]
        errors = np.full(len(q), -1.0)
        for k, (chain, t) in enumerate(zip(chains, self._arrivals(chains, self.front.velocity), strict=True)):
            first = _places(chain.h, self.front.velocity)[1]
            seen, x = t[first:chain.last + 1], _distance(chain)[[first, chain.last]]
            if np.isfinite(seen).all() and (np.diff(seen) > 0.0).all():
                errors[k] = np.diff(self.front.time(x))[0] / (seen[-1] - seen[0]) - 1.0
        return errors

    def _velocity(self) -> float:
        """c to a percent or so, of a plane wave that nothing in space disturbs."""
        c = 1.3 * np.sqrt(self.action.rate)           # right to a factor of two in most models
        for _ in range(TRIES):
            chain = _chain(REFERENCE / c, c, continuum(REFERENCE / c))
            t = self._arrivals([chain], c, strict=True)[0]
            first, own = _places(chain.h, c)[1], np.nan
            if np.isfinite(t[[first, chain.last]]).all():
                own = chain.h * (chain.last - first) / (t[chain.last] - t[first])
                if 0.8 < own / c < 1.25:
                    return float(own)
            c = own if np.isfinite(own) else 0.5 * c
        raise self._no_front("a front that is started on a line does not run along it")

    def _front(self, c: float) -> Front:
        """The wave of the continuum, as far as any lattice's wave is looked at, and as long as it is steady."""
        reach = max(_chain(h, c, lattice(h ** 2, 0.0)).last * h for h in np.sqrt(COARSENESS) / c)
        h = REFERENCE / c
        launched, first, last, _ = _places(h, c)
        n = int(np.ceil(reach / h)) + launched + NODES[-1]
        chain = Chain(h, n, continuum(h), launched, n - NODES[-1])
        t = self._arrivals([chain], c, strict=True)[0][launched:chain.last]
        steady = np.abs(h / np.diff(t) / c - 1.0) < STEADY
        steady[:first - launched] = True
        end = int(np.argmin([*steady, False])) + 1
        if end <= last - launched:
            raise self._no_front("a front that is started on a line is not steady")
        x = _distance(chain)[launched:chain.last]
        return Front(float(np.diff(x[[first - launched, last - launched]])[0]
                           / np.diff(t[[first - launched, last - launched]])[0]), x[:end], t[:end])

    def _arrivals(self, chains: Sequence[Chain], c: float, strict: bool = False) -> list[Floats]:
        """When a front of about the velocity c passes each node, before tissue fires by itself; NaN where it does not.

        V that leaves the finite numbers counts as no front, if not ``strict``: an alpha may be far from the right one.
        """
        patience = max(ONSET, PATIENCE * max(chain.h for chain in chains) / c)
        (*arrivals, (alone,)), finite = self.batch.arrivals(chains, self.action.start, self.action.threshold, patience)
        if strict and not finite:
            raise _broken(self.batch)
        self._alone = float(alone)
        return [t if np.isnan(alone) else np.where(t < alone, t, np.nan) for t in arrivals]

    def _no_front(self, why: str) -> UpstrokeError:
        if not self.action.finite:
            return _broken(self.batch)
        if np.isfinite(self._alone):
            why = f"its tissue fires by itself, {self._alone:.0f} ms after the start, before a wave has passed"
        return _no_waves(self.batch, why)

    def _roots(self, q: Floats) -> Floats:
        """alpha (n,) with which waves on lattices of q (n,) have no error; NaN where none does."""
        low, high = np.zeros(len(q)), np.full(len(q), MOST_ALPHA)
        alpha = GUESS[0] + GUESS[1] * np.sqrt(q) * self.front.velocity
        before, f_before = 0.9 * alpha, self.errors(q, 0.9 * alpha)
        found = np.full(len(q), np.nan)
        for _ in range(ITERATIONS):
            left = np.flatnonzero(np.isnan(found))
            f = np.zeros(len(q))
            f[left] = self.errors(q[left], alpha[left])
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

    def _source(self) -> dict[str, str]:
        model, time = self.batch.model, self.batch.time
        return {"model": model.name, "flags": " ".join(flag.value for flag in model.flags),
                "dt": f"{time.dt:g} ms", "splitting": time.splitting, "diffusion": time.diffusion,
                "reaction_steps": str(time.reaction_steps), "capacitance": f"{self.batch.C_m:g} uF/cm^2"}


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

    finite = batch.voltages(start, SINGLE_CELL, watch, {})              # models may break where V is thrown up far
    fired = peak - start > 0.2 * (peak - batch.rest)
    if not fired[1:].any():
        raise _no_waves(batch, f"the voltage of a cell that is lifted, by any amount up to {LIFT:g} mV, only falls")
    top = float(peak[fired].max())
    return Excitation(batch.rest, top, float(start[fired].max()), float(rate[fired].max() / (top - batch.rest)), finite)


def _chain(h: float, c: float, symbol: Callable[[Floats], Floats]) -> Chain:
    """A chain long enough for a wave of velocity c to settle and to be timed."""
    launched, _, last, n = _places(h, c)
    return Chain(h, n, symbol, launched, last)


def _places(h: float, c: float) -> list[int]:
    """The nodes up to which a wave is launched, from which and up to which it is timed, and how many there are."""
    return [max(int(np.ceil(x / (c * h))), least) for x, least in zip(PLACES, NODES, strict=True)]


def _distance(chain: Chain) -> Floats:
    """(n,) of the nodes from the edge of the tissue that launches the wave, half-way between two nodes."""
    return np.asarray(chain.h * (np.arange(chain.n) + 0.5 - chain.launched), np.float64)


def _no_waves(batch: Batch, why: str) -> ModelError:
    return ModelError(f"model {batch.model.name}", f"it has no waves whose velocity could be calibrated: {why}",
                      'set tissue.waves = "fourth_order", which depends on no model')


def _broken(batch: Batch) -> DivergenceError:
    return DivergenceError(f"model {batch.model.name}", "V left the finite numbers when a wave was started",
                           "take a smaller dt or more reaction_steps")
