"""Gap junctions as stages of the implicit splittings.

Through a junction flows g (V_a - V_b). Junctions close loops, which the direct solver of trees cannot have in its
matrix. So the matrix gets twice the own slope at both sides, and what that is too much is taken back by the last step's
increment d, what the last solve added to V:

    A_a I_a = sum over b of g ((V_a - V_b) - theta (d_a + d_b)),    A_a G_a = 2 sum g.

With K the Laplacian of the junctions, Q = |K| and d' the new increment the solve then has

    K (V + theta d') + theta Q (d' - d),

the scheme itself and a second difference. It keeps the order of the splitting, and no conductance makes it unstable:
with m > 0 and k, q >= 0 the quadratic forms of C / dt, K and Q of a mode, its factor r solves (theta = 1/2)

    m r (r - 1) + k r (r + 1) / 2 + q (r - 1)^2 / 2 = 0,

whose roots lie in the unit circle. Strong junctions lend their compartments inertia, though: V follows with a time
constant of up to dt z, z = dt sum g / C. What leaves one side and what reaches the other differ in a step by theta dt g
times the change of d. This sums up to theta dt g d of the last step alone, and vanishes as V comes to rest.
"""

from __future__ import annotations

import ctypes
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke.backend import Backend, Stage
from upstroke.protocol.gaps import GapJunctions
from upstroke.space.operator import Operator
from upstroke.step.state import State

STRONG = 10.0    # z from which a note tells of inertia
REAL = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


class GapArgs(ctypes.Structure):
    """``gap_args`` of gaps.c."""

    _fields_ = [*((name, ctypes.c_void_p) for name in (
        "V", "Iion", "G", "Igap", "node", "first", "other", "conductance", "before", "change")),
        *((name, ctypes.c_double) for name in ("theta", "t", "step_dt"))]


def gap_stages(gaps: tuple[GapJunctions, ...], state: State, G: Any, area: NDArray[np.float64], dt: float, theta: float,
               backend: Backend) -> tuple[list[Stage], list[Stage]]:
    """What adds to ``state.Iion`` and to its slope ``G`` (mS/cm^2) before V is solved for, and what follows that.

    The state gets the variable Igap: what flows out through junctions at the start of the last step, uA/cm^2.

    Parameters
    ----------
    area : (n,) cm^2, of the membrane of every node, in solve order
    """
    if not any(len(gap.conductance) for gap in gaps):
        return [], []
    host = gap_arrays(gaps, area)
    arrays = {name: backend.array(values) for name, values in host.items()}
    arrays |= {name: backend.zeros(len(host["node"]), dtype=np.float64) for name in ("before", "change")}
    arrays["Igap"] = backend.zeros(state.n)
    state.add("Igap", arrays["Igap"])
    text = resources.files(__package__).joinpath("gaps.c").read_text()
    pointers = {name: backend.pointer(array) for name, array in
                (arrays | {"V": state.V, "Iion": state.Iion, "G": G}).items()}
    stages: list[Stage] = []
    for name in ("upstroke_join", "upstroke_remember"):
        stage = backend.kernel(f"#define REAL {REAL[np.dtype(backend.dtype)]}\n{text}", name,
                               GapArgs(theta=theta, step_dt=dt, **pointers), len(host["node"]), dt=dt,
                               label="gap junctions")
        stage.keep, stage.memory = (arrays, G), {"change": arrays["change"]}
        stages.append(stage)
    return stages[:1], stages[1:]


def gap_notes(gaps: tuple[GapJunctions, ...], operator: Operator, C_m: float, dt: float) -> list[str]:
    """What the user should know of junctions that are too strong for dt."""
    notes = []
    for gap in gaps:
        here = np.concatenate([gap.one, gap.other])
        g = np.bincount(here, np.concatenate([gap.conductance, gap.conductance]), operator.n)
        z = float((dt * g[here] / (C_m * operator.lumped_mass[here])).max(initial=0.0))
        if z > STRONG:
            notes.append(f"gap junction {gap.name!r}: dt g / C of a compartment is {z:.3g}, so V there follows with a "
                         f"delay of up to {z * dt:.3g} ms; take a smaller dt or larger compartments")
    return notes


def gap_arrays(gaps: tuple[GapJunctions, ...], area: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """What gaps.c knows of junctions, by the names of ``GapArgs``: each from either side."""
    one, other = (np.concatenate([getattr(gap, side) for gap in gaps]) for side in ("one", "other"))
    g = np.concatenate([gap.conductance for gap in gaps])
    here, there, g = np.concatenate([one, other]), np.concatenate([other, one]), np.concatenate([g, g])
    order = np.argsort(here, kind="stable")
    node, first = np.unique(here[order], return_index=True)
    return {"node": node.astype(np.int32), "first": np.append(first, len(here)).astype(np.int32),
            "other": np.searchsorted(node, there[order]).astype(np.int32), "conductance": (g / area[here])[order]}
