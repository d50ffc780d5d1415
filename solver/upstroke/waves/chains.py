"""Plane waves on 1-D lattices: many short chains of one membrane, advanced together as one batch of nodes.

Lengths are in units of sqrt(D ms), so D = 1: a chain of nodes h apart stands for a line of any mesh with
q = h^2 / D. With one diffusion operator per chain, given by its symbol S(k), a step of diffusion over a time tau is
the matrix P = C^T g(tau S) C, C the cosine transform whose modes have no flux through the ends and g the factor of
the time scheme, so every splitting and every scheme of a run is had as it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import open_backend
from upstroke.backend.clock import NOT_FINITE
from upstroke.case.schema import TimeTable
from upstroke.codegen import generate
from upstroke.codegen.kernel import Precision
from upstroke.ionic.model import Model
from upstroke.step.diffusion import SCHEMES
from upstroke.step.splitting import SPLITTINGS
from upstroke.step.state import State

Floats = NDArray[np.float64]
LONGEST = 5000.0             # ms that any run may take
SHORT = 100                  # nodes of chains that are faster multiplied than transformed


@dataclass(frozen=True)
class Chain:
    """A line of n nodes, h apart, coupled by an operator of symbol S(k); those before ``launched`` start excited.

    ``last`` is the node at which the wave has been seen enough.
    """

    h: float                                   # sqrt(ms)
    n: int
    symbol: Callable[[Floats], Floats]         # 1/ms, of k h
    launched: int = 0
    last: int = 0

    def diffusion(self, theta: float, tau: float) -> Callable[[Floats], Floats]:
        """V -> P V, a step over ``tau`` (ms) by g(z) = (1 - (1 - theta) z) / (1 + theta z).

        Modes that an explicit step would turn round are flattened instead, so that chains finer than it bears can be
        run; a front holds nothing of them. Short chains are multiplied by P, long ones transformed.
        """
        from scipy.fft import dct, idct

        z = tau * self.symbol(np.asarray(np.pi / self.n * np.arange(self.n), np.float64))
        g = (1.0 - (1.0 - theta) * z) / (1.0 + theta * z)
        if theta == 0.0:
            g = np.maximum(g, 0.0)

        def transformed(V: Floats) -> Floats:
            return np.asarray(idct((g * dct(V, axis=-1, norm="ortho")), axis=-1, norm="ortho"), np.float64)

        if self.n > SHORT:
            return transformed
        P = transformed(np.eye(self.n))              # symmetric
        return lambda V: P @ V


def lattice(q: float, alpha: float) -> Callable[[Floats], Floats]:
    """The symbol s (1 + alpha s) / q, s = 2 - 2 cos(k h), of a line of a grid with q = h^2 / D (ms)."""
    def symbol(kh: Floats) -> Floats:
        s = 2.0 - 2.0 * np.cos(kh)
        return s * (1.0 + alpha * s) / q
    return symbol


def continuum(h: float) -> Callable[[Floats], Floats]:
    """The symbol k^2 of -d2/dx2 itself, on nodes h apart: without any error in space that a smooth front could see."""
    return lambda kh: (kh / h) ** 2


class Batch:
    """A membrane that runs on any chains: its kernel, where it starts, and the time step it takes.

    Parameters
    ----------
    initial : V and states where tissue rests
    C_m : uF/cm^2
    """

    def __init__(self, model: Model, time: TimeTable, initial: Mapping[str, float], C_m: float,
                 precision: Precision) -> None:
        self._backend = open_backend("cpu", 1, precision)
        self._kernel = generate(model, self._backend.target, precision)
        self.model, self.time, self.C_m = model, time, C_m
        self.initial = {name: initial[name] for name in ("V", *self._kernel.states)}
        self.rest = float(initial["V"])

    @np.errstate(all="ignore")
    def voltages(self, start: Floats, until: float, watch: Callable[[float, Floats, Floats], bool],
                 chains: Mapping[int, Chain]) -> bool:
        """Run nodes that start at V = ``start`` until ``watch(t, V before the step, V after)`` is true, or t = until.

        ``chains`` are by their first node; nodes that are on none are by themselves. False where V of some nodes left
        the finite numbers; those that are not coupled to them go on.
        """
        dt = self.time.dt
        state = State([(self._kernel, self.initial, len(start))], self._backend)
        V = state.V
        V[:] = start
        reaction = self._backend.membrane(self._kernel.source, state.groups[0].arrays, self.C_m, dt,
                                          steps=self.time.reaction_steps)
        parts = {part for what, part in SPLITTINGS[self.time.splitting].stages if what != "reaction"}
        theta = SCHEMES[self.time.diffusion].theta
        diffuse = {part: [(slice(first, first + chain.n), chain.diffusion(theta, part * dt))
                          for first, chain in chains.items()] for part in parts}
        before, clock = np.empty(len(start)), self._backend.clock
        clock.status = 0
        for n in range(round(until / dt)):
            before[:] = V
            for what, part in SPLITTINGS[self.time.splitting].stages:
                if what != "diffusion":
                    reaction.run(n)
                for nodes, step in diffuse[part] if what != "reaction" else ():
                    if what == "diffusion":
                        V[nodes] = step(V[nodes])
                    else:
                        V[nodes] += step(before[nodes]) - before[nodes]
            if watch((n + 1) * dt, before, V):
                break
        return not clock.status & NOT_FINITE

    def arrivals(self, chains: Sequence[Chain], high: float, threshold: float,
                 patience: float) -> tuple[list[Floats], bool]:
        """When (ms) V first rises through ``threshold`` at each node of each chain, NaN where it does not.

        The nodes that launch a wave start at V = ``high``; a node by itself, which comes last, starts as tissue rests.
        The run ends when every chain's last node has been passed, or no node has for ``patience`` (ms). Besides,
        whether all V stayed finite.
        """
        ends = np.cumsum([0, *(chain.n for chain in chains)])
        start = np.full(ends[-1] + 1, self.rest)
        for chain, begin in zip(chains, ends, strict=False):
            start[begin:begin + chain.launched] = high
        times = np.full(len(start), np.nan)
        lasts = np.array([begin + chain.last for chain, begin in zip(chains, ends, strict=False)])
        latest = 0.0

        def watch(t: float, before: Floats, V: Floats) -> bool:
            passed = np.flatnonzero((before < threshold) & (threshold <= V))
            new = passed[np.isnan(times[passed])]
            times[new] = t - self.time.dt * (V[new] - threshold) / (V[new] - before[new])
            if len(new):
                nonlocal latest
                latest = t
                return not np.isnan(times[lasts]).any()
            return t > latest + patience

        finite = self.voltages(start, LONGEST, watch, dict(zip(ends.tolist(), chains, strict=False)))
        return [times[begin:end] for begin, end in zip(ends, [*ends[1:], len(times)], strict=True)], finite
