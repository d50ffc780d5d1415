"""Activation and repolarisation maps, reduced while stepping: memory grows with beats, not with steps."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.case.schema import Activation

REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


@dataclass(frozen=True, eq=False)
class ActivationMap:
    """When each node was activated and when it came back.

    For beat b of a node, with V linear between steps::

        t_act  = the upward crossing of the threshold, the node being outside a beat
        V_max  = the maximum of V from t_act on
        V_rest = the minimum of V since the last beat's maximum (since the start for the first beat) up to t_act
        t_rep  = the first downward crossing, after the maximum, of V_max - f (V_max - V_rest)
        APD    = t_rep - t_act          (f = 0.9: APD90)

    A node that starts above the threshold has no activation until it has come back below. A beat ends with its
    repolarisation: a further upward crossing before that does not count as a beat (``recrossed`` counts the nodes
    where this happened after V had come three quarters of the way back to the repolarisation level).

    Attributes
    ----------
    activation, repolarisation : (beats, n) float64, ms; NaN where a node has no such beat (or it did not end)
    threshold : mV
    fraction : f
    v_min, v_max : mV, over all nodes and steps
    recrossed : number of nodes
    """

    activation: NDArray[np.float64]
    repolarisation: NDArray[np.float64]
    threshold: float
    fraction: float
    v_min: float
    v_max: float
    recrossed: int = 0

    @property
    def apd(self) -> NDArray[np.float64]:
        """(beats, n), ms: action potential duration."""
        return self.repolarisation - self.activation

    @property
    def beats(self) -> int:
        """Number of beats of the node that had most."""
        return len(self.activation)

    @property
    def apd_name(self) -> str:
        """``apd90`` for f = 0.9."""
        return f"apd{100 * self.fraction:g}".replace(".", "_")

    def notes(self) -> tuple[str, ...]:
        """What the user should know of the map."""
        if not self.recrossed:
            return ()
        nodes = f"{self.recrossed:,} node" + "s" * (self.recrossed > 1)
        return (f"at {nodes} V crossed {self.threshold:g} mV upwards once more before it had "
                f"repolarised by {100 * self.fraction:g} %; such crossings are not counted as beats "
                "(a smaller watch.activation.repolarisation counts them)",)


class _Args(ctypes.Structure):
    """``activation_args`` of activation.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("V", "before", "lowest", "highest", "rest", "beats", "active", "again",
                                               "activation", "repolarisation", "range")),
        *((name, ctypes.c_double) for name in ("t_before", "dt", "threshold", "fraction")),
        ("rows", ctypes.c_long),
    ]


class ActivationWatcher:
    """Sees every step, keeps a few numbers per node, and gives an `ActivationMap` at any time.

    Parameters
    ----------
    section : the table ``[watch.activation]``
    state : gives ``variable("V")``, (n,) float32 or float64, mV
    backend : compiles and runs activation.c
    dt : time step, ms
    """

    def __init__(self, section: Activation, state: Any, backend: Any, dt: float) -> None:
        V = state.variable("V")
        self._state, self._backend, self._section, self._n = state, backend, section, len(V)
        text = resources.files(__package__).joinpath("activation.c").read_text()
        self._see = backend.library(f"#define REAL {REAL[V.dtype]}\n{text}").upstroke_see_activation
        self._before, self._lowest, self._highest, self._rest = (V.copy() for _ in range(4))
        self._beats = np.zeros(self._n, np.int32)
        self._active, self._again = np.zeros((2, self._n), np.uint8)
        self._range = np.array([V.min(initial=np.inf), -V.max(initial=-np.inf)], np.float64)
        self._activation: list[NDArray[np.float64]] = []
        self._repolarisation: list[NDArray[np.float64]] = []
        self._args = _Args(
            before=self._before.ctypes.data, lowest=self._lowest.ctypes.data, highest=self._highest.ctypes.data,
            rest=self._rest.ctypes.data, beats=self._beats.ctypes.data, active=self._active.ctypes.data,
            again=self._again.ctypes.data, range=self._range.ctypes.data, dt=dt, threshold=section.threshold,
            fraction=section.repolarisation)
        self._add_row()

    def _add_row(self) -> None:
        """Room for one more beat; rows stay where they are, so only their addresses are copied."""
        for rows in (self._activation, self._repolarisation):
            rows.append(np.full(self._n, np.nan))
        pointers = [(ctypes.c_void_p * len(rows))(*(row.ctypes.data for row in rows))
                    for rows in (self._activation, self._repolarisation)]
        self._pointers = pointers   # kept alive for the kernel
        self._args.activation, self._args.repolarisation = (ctypes.addressof(p) for p in pointers)
        self._args.rows = len(self._activation)

    def see(self, n: int, t: float) -> None:
        """After step ``n``, at time ``t`` (ms); step 0 is the initial state, which has no crossings yet."""
        if n == 0:
            return
        self._args.V = self._state.variable("V").ctypes.data
        self._args.t_before = t - self._args.dt
        if self._backend.for_range(self._see, self._args, self._n):
            self._add_row()

    def close(self) -> None:
        """Nothing to close: the map lives in memory."""

    def map(self) -> ActivationMap:
        """The map as far as the run has come."""
        used = len(self._activation) - 1
        return ActivationMap(
            activation=np.array(self._activation[:used]).reshape(used, self._n),
            repolarisation=np.array(self._repolarisation[:used]).reshape(used, self._n),
            threshold=self._section.threshold, fraction=self._section.repolarisation,
            v_min=float(self._range[0]), v_max=-float(self._range[1]), recrossed=int(self._again.sum()))
