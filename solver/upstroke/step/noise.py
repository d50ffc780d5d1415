"""Ornstein-Uhlenbeck noise as a stage of the implicit splittings: currents, or conductances with their slopes.

    dx = -(x - mean) / tau dt + sigma sqrt(2 / tau) dW,    x = mean + sigma y

y starts from its stationary distribution, and its mean over each step acts. Value and mean are drawn together from
their joint distribution (Gillespie 1996, doi 10.1103/PhysRevE.54.2084), which is exact for any dt. With h = dt / tau,
a = exp(-h) and two normal numbers,

    y' = a y + sqrt(1 - a^2) N1,    mean of y = (1 - a) / h y + c N1 + d N2,
    c sqrt(1 - a^2) = (1 - a)^2 / h,    c^2 + d^2 = (2 h - 3 + 4 a - a^2) / h^2.

noise.c has the numbers.
"""

from __future__ import annotations

import ctypes
import math
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Backend, Stage
from upstroke.protocol.noise import Noise
from upstroke.step.state import State

REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
KIND = np.dtype([*((name, np.float64) for name in ("keep", "kick", "hold", "along", "aside", "reversal")),
                 ("conducts", np.int32), ("seed", np.uint32)])      # noise_kind of noise.c


class NoiseArgs(ctypes.Structure):
    """``noise_args`` of noise.c."""

    _fields_ = [*((name, ctypes.c_void_p) for name in (
        "V", "Iion", "G", "Inoise", "node", "first", "kinds", "kind", "number", "mean", "sigma", "state")),
        *((name, ctypes.c_double) for name in ("t", "step_dt"))]


def noise_stages(noises: tuple[Noise, ...], state: State, G: Any, area: NDArray[np.float64], dt: float,
                 backend: Backend) -> list[Stage]:
    """What adds to ``state.Iion`` and to its slope ``G`` (mS/cm^2) before V is solved for; none where there is none.

    The state gets the variable Inoise: what flows in, the mean of the last step, uA/cm^2.

    Parameters
    ----------
    area : (n,) cm^2, of the membrane of every node, in solve order
    """
    if not noises:
        return []
    host = noise_arrays(noises, area, dt)
    arrays = {name: backend.array(values) for name, values in host.items()}
    Inoise = backend.zeros(state.n)
    state.add("Inoise", Inoise)
    args = NoiseArgs(V=backend.pointer(state.V), Iion=backend.pointer(state.Iion), G=backend.pointer(G),
                     Inoise=backend.pointer(Inoise), step_dt=dt,
                     **{name: backend.pointer(array) for name, array in arrays.items()})
    text = resources.files(__package__).joinpath("noise.c").read_text()
    stage = backend.kernel(f"#define REAL {REAL[np.dtype(backend.dtype)]}\n{text}", "upstroke_disturb", args,
                           len(host["node"]), dt=dt, label="noise")
    stage.keep, stage.memory = (arrays, Inoise, G), {"state": arrays["state"]}
    return [stage]


def noise_arrays(noises: tuple[Noise, ...], area: NDArray[np.float64], dt: float) -> dict[str, NDArray[Any]]:
    """What noise.c knows of noise, by the names of ``NoiseArgs``."""
    at = np.concatenate([noise.nodes for noise in noises])
    kind = np.repeat(np.arange(len(noises), dtype=np.int32), [len(noise.nodes) for noise in noises])
    per_area = np.concatenate([1.0 / area[noise.nodes] if noise.total else np.ones(len(noise.nodes))
                               for noise in noises])
    order = np.argsort(at, kind="stable")
    node, first = np.unique(at[order], return_index=True)
    mean, sigma = (per_area * np.array([getattr(noise, name) for noise in noises])[kind] for name in ("mean", "sigma"))
    return {"node": node.astype(np.int32), "first": np.append(first, len(at)).astype(np.int32),
            "kinds": np.array([_kind(noise, dt) for noise in noises], KIND).view(np.uint8), "kind": kind[order],
            "number": np.concatenate([noise.number for noise in noises])[order].astype(np.uint32),
            "mean": mean[order], "sigma": sigma[order], "state": np.zeros(len(at))}


def _kind(noise: Noise, dt: float) -> tuple[float | int, ...]:
    """``noise_kind`` of noise.c."""
    h = dt / noise.tau
    kick = math.sqrt(-math.expm1(-2.0 * h))
    along = math.expm1(-h) ** 2 / h / kick
    return (math.exp(-h), kick, -math.expm1(-h) / h, along, math.sqrt(max(_variance_of_mean(h) - along ** 2, 0.0)),
            0.0 if noise.reversal is None else noise.reversal, int(noise.reversal is not None), noise.seed)


def _variance_of_mean(h: float) -> float:
    """(2 h - 3 + 4 exp(-h) - exp(-2 h)) / h^2, given the value at the start; by its series where terms cancel."""
    if h > 0.5:
        return (2.0 * h - 3.0 + 4.0 * math.exp(-h) - math.exp(-2.0 * h)) / h ** 2
    return math.fsum((-1) ** k * (4.0 - 2.0 ** k) * h ** (k - 2) / math.factorial(k) for k in range(3, 22))
