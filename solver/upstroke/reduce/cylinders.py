"""Each tree that hangs on the soma as one cylinder.

After O. Amsalem, G. Eyal, N. Rogozinski, M. Gevaert, P. Kumbhar, F. Schuermann, I. Segev (2020), An efficient
analytical reduction of detailed nonlinear neuron models, Nat. Commun. 11:288, doi 10.1038/s41467-019-13932-6, at 0 Hz.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from upstroke.errors import MeshError
from upstroke.reduce.passive import Floats, Passive

FLAT = 1e-9             # attenuation that is lost in rounding
LONGEST = 0.1           # of a piece, in length constants


@dataclass(frozen=True, eq=False)
class Cylinder:
    """A cylinder with the input impedance of a tree, and its transfer impedance from the farthest tip.

    Attributes
    ----------
    section : the number of the section whose tree it replaces
    length, diameter : cm
    leak, reversal : mS/cm^2, mV, of the tree's first compartment
    uniform : whether the whole tree has them
    nodes : (k,) of the tree
    x : (k,) where on the cylinder each belongs, by its transfer impedance to the start
    """

    section: int
    length: float
    diameter: float
    leak: float
    reversal: float
    uniform: bool
    nodes: NDArray[np.int64]
    x: Floats


@dataclass(frozen=True, eq=False)
class Piece:
    """A cylinder with one membrane: a part of a tree's cylinder, or a section of the soma.

    Attributes
    ----------
    length, diameter : cm
    leak, reversal : mS/cm^2, mV
    nodes : (k,) those of the whole cell that it stands for; its membrane is that of the first
    start, end : which part of its cylinder it is, of 0..1
    """

    name: str
    type: str
    parent: str
    parent_x: float
    length: float
    diameter: float
    leak: float
    reversal: float
    nodes: NDArray[np.int64]
    start: float = 0.0
    end: float = 1.0

    @property
    def area(self) -> float:
        return math.pi * self.length * self.diameter


def pieces_of(passive: Passive, made: Sequence[Cylinder], Ra: float, whole: bool) -> list[Piece]:
    """The soma's sections and the cylinders; with ``whole`` each as one piece, else in pieces of a tenth of a length
    constant at most. A piece to which no node belongs has the nearest one."""
    tree, found = passive.tree, list[Piece]()
    for s in tree.sections if tree.sections[0].type == "soma" else ():
        if s.type == "soma":
            up = tree.sections[s.parent].name if s.parent >= 0 else ""
            g = float(passive.leak[s.first] / tree.area[s.first])
            found.append(Piece(s.name, s.type, up, s.parent_x, s.length, s.area / (math.pi * s.length), g,
                               float(passive.reversal[s.first]), np.arange(s.first, s.end)))
    for c in made:
        s = tree.sections[c.section]
        parent, at = (tree.sections[s.parent].name, s.parent_x) if s.parent >= 0 else ("", 1.0)
        length_constant = math.sqrt(c.diameter / (4.0 * Ra * c.leak))
        count = 1 if whole else max(1, math.ceil(c.length / (LONGEST * length_constant)))
        alive = tree.area[c.nodes] > 0.0
        nodes, x = c.nodes[alive], c.x[alive]
        for k in range(count):
            name = s.name if k == 0 else f"{s.name}+{k}"
            here = nodes[np.minimum((x * count).astype(int), count - 1) == k]
            if not len(here):
                here = nodes[[int(np.abs(x - (k + 0.5) / count).argmin())]]
            found.append(Piece(name, s.type, parent, at, c.length / count, c.diameter, c.leak, c.reversal, here,
                               k / count, (k + 1) / count))
            parent, at = name, 1.0
    return found


def stems(passive: Passive) -> list[int]:
    """The sections that hang on the soma; of a cell that starts without a soma, the first."""
    sections = passive.tree.sections
    if sections[0].type != "soma":
        return [0]
    return [k for k, s in enumerate(sections) if s.type != "soma" and sections[s.parent].type == "soma"]


def cylinder(passive: Passive, stem: int, Ra: float, C_m: float) -> Cylinder:
    """The cylinder of a stem's tree, cut off from the soma.

        Z_in = Z_inf coth(L),  Z_in / cosh(L) = Z_L,  Z_inf = 2 / pi sqrt(Rm Ra) d^(-3/2),  lambda = sqrt(Rm d / 4 Ra)

    with Z_L the least transfer impedance between the tree's start and its places: L = arcosh(Z_in / Z_L), then d,
    and the length lambda L. A place with the transfer impedance Z_x belongs where Z_L cosh(L - X) = Z_x. (The paper's
    equations, at 0 Hz.) Rm, Ra and C_m are those of the stem.

    Parameters
    ----------
    stem : number of the section that the tree starts with
    Ra, C_m : kOhm cm, uF/cm^2

    Raises
    ------
    MeshError for a tree with a single place, or one whose attenuation is too small for numbers
    """
    tree = passive.tree
    section = tree.sections[stem]
    below = np.zeros(len(tree.parent), bool)
    below[section.first:section.end + 1] = True
    for node in range(section.end + 1, len(below)):                # parents come before their children
        below[node] |= tree.parent[node] >= 0 and below[tree.parent[node]]
    nodes = np.flatnonzero(below)
    Z = _from_start(passive, section.start, nodes)
    ratio = Z[0] / Z[1:].min()
    if not ratio > 1.0 + FLAT:
        raise MeshError("--method", f"{section.name} and what hangs on it do not attenuate, and make no cylinder",
                        "take --method impedance")
    L, middle = math.acosh(ratio), section.first
    g = float(passive.leak[middle] / tree.area[middle])
    alive = nodes[tree.area[nodes] > 0.0]
    same = np.allclose(passive.leak[alive] / tree.area[alive], g) and np.ptp(passive.reversal[alive]) < 1e-9
    d = (2.0 / math.pi * math.sqrt(Ra / g) / (Z[0] * math.tanh(L))) ** (2.0 / 3.0)
    X = L - np.arccosh(np.clip(Z[1:] / Z[1:].min(), 1.0, None))
    return Cylinder(stem, L * math.sqrt(d / (4.0 * Ra * g)), d, g, float(passive.reversal[middle]), bool(same),
                    nodes, np.clip(X / L, 0.0, 1.0))


def _from_start(passive: Passive, start: int, nodes: NDArray[np.int64]) -> Floats:
    """(k + 1,) kOhm at 0 Hz: V at the start of a tree, and at its nodes, for a current into the start."""
    place = np.full(len(passive.leak), -1)
    place[nodes] = np.arange(1, len(nodes) + 1)
    children = nodes[passive.tree.parent[nodes] == start]
    rows = np.append(start, nodes)
    coupling = sparse.lil_array(passive.coupling[rows][:, rows])
    coupling[0, 0] = -sum(coupling[0, place[child]] for child in children)      # nothing but this tree hangs there
    empty = np.zeros(len(rows))
    alone = replace(passive, coupling=coupling.tocsr(), leak=np.append(0.0, passive.leak[nodes]), capacitance=empty,
                    reversal=empty)
    return alone.impedance([0], [0.0])[0, :, 0].real
