"""Neurons from files: points become sections, by the rules of the programs that users know.

Programs read the same SWC file differently, above all its soma. The rules are those of NEURON's Import3d (the
default), of Arbor's ``load_swc_arbor``, and of NeuroMorpho.org:

neuron
    A section is a run of points of one type, each the only child of the one before it. It starts with the point that
    it hangs on, but at a soma with its own diameter. A soma of one point is a cylinder as long as it is wide, along x;
    one of three points of NeuroMorpho's form (two at one radius from the first, all of one radius) likewise. Branches
    on these, and on the inside of a longer soma, start at their own first point, wired to the soma's middle.
arbor
    Every point makes a cone with the one that it hangs on, with the radii of both, wherever that is.
neuromorpho
    The soma is a sphere of the area that its points have, as a cylinder; all branches start at their own first point,
    wired to its middle.

Files with outlines of somata (ASC, H5) are read by ``traced.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upstroke.errors import MeshError
from upstroke.mesh.compartments import TAGS, Section
from upstroke.mesh.swc import SOMA, Points, read_swc

NAMES = {SOMA: "soma", 2: "axon", 3: "dend", 4: "apic"}        # NEURON's names of sections
TYPES = {tag: name for name, tag in TAGS.items()}
NEUROMORPHO = 0.01        # what the length of a soma of three points may differ from its diameter
SUFFIXES = (".swc", ".asc", ".h5")


def read_morphology(file: Path, rule: str) -> list[Section]:
    """The sections of the cell in a file, parents first.

    Parameters
    ----------
    rule : "neuron", "arbor" or "neuromorpho"

    Raises
    ------
    MeshError for a file that cannot be read or is no single cell, and for a soma that the rule does not know
    """
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise MeshError("mesh.file", f"{file.name!r} is no morphology that can be read",
                        f"known: {', '.join(SUFFIXES)}")
    if suffix == ".swc":
        return sections_of(read_swc(file), rule)
    from upstroke.mesh.traced import read_traced
    return read_traced(file, rule)


def sections_of(points: Points, rule: str) -> list[Section]:
    """The sections that a rule makes of points, parents first."""
    if rule == "neuromorpho":
        points = _as_sphere(points)
    if rule == "arbor":
        somatic = points.type == SOMA
        if somatic[0] and not (somatic[1:] & (points.parent[1:] == 0)).any():
            raise MeshError("mesh.soma", 'the soma is a single point, which the rule "arbor" has no cone for',
                            'set mesh.soma = "neuron", or give the soma a second point')
        return _Sections(points, literal=True).made()
    return _Sections(points, literal=False).made()


def _as_sphere(points: Points) -> Points:
    """The soma's points replaced by one, with the radius of a sphere of their area."""
    somatic = points.type == SOMA
    if not somatic[0]:
        raise MeshError("mesh.soma", 'the cell does not start with a soma, as the rule "neuromorpho" needs',
                        'set mesh.soma = "neuron"')
    p, soma = points, np.flatnonzero(somatic)
    child = soma[1:][somatic[p.parent[soma[1:]]]]
    if len(soma) == 1 or _is_neuromorpho(points):
        centre, radius = p.xyz[0], p.radius[0]
    else:
        up = p.parent[child]
        slant = np.hypot(np.linalg.norm(p.xyz[child] - p.xyz[up], axis=1), p.radius[child] - p.radius[up])
        centre = p.xyz[soma].mean(axis=0)
        radius = math.sqrt(float(((p.radius[child] + p.radius[up]) * slant).sum()) / 4.0)
    keep = np.flatnonzero(~somatic)
    place = np.zeros(len(p.type), np.int64)
    place[keep] = np.arange(1, len(keep) + 1)
    return Points(np.append(SOMA, p.type[keep]), np.vstack([centre, p.xyz[keep]]), np.append(radius, p.radius[keep]),
                  np.append(-1, place[p.parent[keep]]))


def _is_neuromorpho(points: Points) -> bool:
    """Whether the soma is three points for a sphere: two on the first, where nothing else hangs, about a radius off."""
    p = points
    soma = np.flatnonzero(p.type == SOMA)
    if not (np.array_equal(soma, [0, 1, 2]) and (p.parent[1:3] == 0).all() and not np.isin(p.parent, [1, 2]).any()):
        return False
    length = np.linalg.norm(p.xyz[1:3] - p.xyz[0], axis=1).sum()
    return bool((p.radius[1:3] == p.radius[0]).all() and abs(length / (2.0 * p.radius[0]) - 1.0) < NEUROMORPHO)


class Names:
    """Gives sections their names, NEURON's: dend[0], dend[1], ... type by type."""

    def __init__(self) -> None:
        self._given: dict[int, int] = {}

    def of(self, tag: int) -> tuple[str, str]:
        """The name of the next section of a type, given by its number, and the name of the type."""
        number = self._given[tag] = self._given.get(tag, -1) + 1
        return f"{NAMES.get(tag, f'dend_{tag}')}[{number}]", TYPES.get(tag, f"custom{tag}")


@dataclass
class _Run:
    """The points of a section, in order, without the one that the first hangs on."""

    points: NDArray[np.int64]
    number: int


class _Sections:
    """Cuts the points of a cell into sections; ``literal``: every point makes a cone with the one it hangs on."""

    def __init__(self, points: Points, *, literal: bool) -> None:
        self.literal = literal
        self.points = p = points
        n = len(p.type)
        self.sphere = not literal and p.type[0] == SOMA and (
            _is_neuromorpho(p) or not ((p.parent == 0) & (p.type == SOMA)).any())
        self.dropped = np.zeros(n, bool)              # the second and third point of a soma of three
        if self.sphere and n > 2:
            self.dropped[1:3] = p.type[1:3] == SOMA
        kids: list[list[int]] = [[] for _ in range(n)]
        for k in range(1, n):
            kids[p.parent[k]].append(k)
        self.soma_kids = [[k for k in ks if p.type[k] == SOMA] if p.type[j] == SOMA else []
                          for j, ks in enumerate(kids)]
        self.kids = kids
        self.run_of = np.full(n, -1)
        self.runs: list[_Run] = []
        for k in range(n):
            if self.dropped[k]:
                continue
            if k > 0 and self._continues(k):
                run = self.runs[self.run_of[p.parent[k]]]
                run.points = np.append(run.points, k)
            else:
                run = _Run(np.array([k]), len(self.runs))
                self.runs.append(run)
            self.run_of[k] = run.number

    def _at_start(self, k: int) -> bool:
        """Whether point k is a branch that starts where a branch on the soma does, its first point."""
        p = self.points
        up = p.parent[k]
        if self.literal or p.type[up] == SOMA or k == up + 1:
            return False
        return bool(up == 0 or (up > 1 and p.type[p.parent[up]] == SOMA))

    def _continues(self, k: int) -> bool:
        """Whether point k goes on with the section of the point it hangs on."""
        p = self.points
        up = int(p.parent[k])
        if p.type[up] != p.type[k]:
            return False
        if self.literal:
            return len(self.kids[up]) == 1 or (up == 0 and k == min(j for j in self.kids[0] if p.type[j] == p.type[0]))
        if k != up + 1 or (self.sphere and up == 0):
            return False
        if p.type[k] == SOMA:
            return up == 0 or len(self.soma_kids[up]) == 1
        last = self.kids[up][-1]                        # others may start here, where the last of them is of this type
        return last == k or (self._at_start(last) and bool(p.type[last] == p.type[up]))

    def made(self) -> list[Section]:
        """The sections; those without length are left out, and what hangs on them hangs where they do."""
        names, sections = Names(), list[Section]()
        found: list[tuple[int, float | None]] = []        # of each run: its section; of one left out: where it starts
        for run in self.runs:
            section = self._section(run)
            parent, parent_x = section.parent, section.parent_x
            if parent >= 0:
                parent, instead = found[parent]
                parent_x = parent_x if instead is None else instead
                if not section.arc[-1] > 0.0:
                    found.append((parent, parent_x))
                    continue
            found.append((len(sections), None))
            name, type_ = names.of(int(self.points.type[run.points[0]]))
            sections.append(replace(section, name=name, type=type_, parent=parent, parent_x=parent_x))
        return sections

    def _section(self, run: _Run) -> Section:
        """A run as a section, still without a name, on the run that is its parent."""
        p, own, name, type_ = self.points, run.points, "", ""
        first = int(own[0])
        if first == 0:
            if self.sphere or len(own) == 1:
                r = p.radius[0]
                offset = np.array([[-r, 0.0, 0.0], [0.0, 0.0, 0.0], [r, 0.0, 0.0]])
                return Section(name, type_, -1, 0.0, p.xyz[0] + offset, np.full(3, 2.0 * r))
            return Section(name, type_, -1, 0.0, p.xyz[own], 2.0 * p.radius[own])
        up = int(p.parent[first])
        parent, parent_x, wired = self._hangs_on(first, up, len(own))
        chain = own if wired else np.append(up, own)
        diameter = 2.0 * p.radius[chain]
        if not wired and not self.literal and p.type[up] == SOMA and p.type[first] != SOMA:
            diameter[0] = diameter[1]
        return Section(name, type_, parent, parent_x, p.xyz[chain], diameter)

    def _hangs_on(self, first: int, up: int, many: int) -> tuple[int, float, bool]:
        """The section that the run from ``first`` hangs on, where, and whether it starts at its own first point."""
        p = self.points
        if self.dropped[up]:
            up = 0
        parent = int(self.run_of[up])
        run = self.runs[parent]
        at_start, at_end = up == run.points[0], up == run.points[-1]
        if self.literal:
            return parent, 1.0 if at_end else 0.0, False
        if self._at_start(first):
            return parent, 0.0, False
        branch = bool(p.type[up] == SOMA != p.type[first])
        if parent == 0 and branch and len(run.points) == 1:
            return parent, 0.5, many > 1
        crowded = branch and len(self.soma_kids[up]) > 1        # the soma itself goes on in several ways from here
        if parent == 0 and at_start:
            return parent, 0.0, crowded
        if at_end or p.type[up] != SOMA:
            return parent, 1.0, crowded and many > 1
        return parent, 0.5, branch and many > 1
