"""Places on a cell: read from text, named, and chosen where a reduced cell would err most."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from upstroke.errors import OptionError
from upstroke.mesh.tree import Tree
from upstroke.reduce.fit import FREQUENCIES, fit
from upstroke.reduce.passive import Floats, Passive

_SITE = re.compile(r"\s*(?P<section>[^,()]+?)\s*\(\s*(?P<x>\d*\.?\d+)\s*\)\s*")


def soma_of(tree: Tree) -> int:
    """The node in the middle of the first section, which is the soma where a cell has one."""
    return tree.sections[0].node_at(0.5)


def parse_sites(text: str, tree: Tree) -> list[int]:
    """The nodes of ``"soma[0](0.5), dend[3](1)"``, in order, each once.

    Raises
    ------
    OptionError for text that names no place; MeshError for a section that the cell lacks
    """
    nodes = []
    for part in re.split(r",(?![^()]*\))", text):
        match = _SITE.fullmatch(part)
        if match is None or float(match["x"]) > 1.0:
            raise OptionError("--at", f"{part.strip()!r} is no place on a cell",
                              'for example --at "soma[0](0.5), dend[3](1)", 0 the start of a section and 1 its end')
        nodes.append(tree.populations[0].section_named(match["section"], "--at").node_at(float(match["x"])))
    return list(dict.fromkeys(nodes))


def name_of(tree: Tree, node: int) -> str:
    """A node as text, "dend[3](0.5)"."""
    section = tree.sections[tree.section[node]]
    return f"{section.name}({tree.x[node]:.4g})"


def ancestors(tree: Tree, node: int) -> list[int]:
    """A node, its parent, and so on to the root."""
    line = [node]
    while tree.parent[line[-1]] >= 0:
        line.append(int(tree.parent[line[-1]]))
    return line


def nearest_ancestors(tree: Tree, sites: Sequence[int]) -> list[int]:
    """For each site the number of the next one towards the root; those that have none hang on the first.

    ``sites`` ascend, as nodes do from the root.
    """
    place = {site: k for k, site in enumerate(sites)}
    above = [next((place[node] for node in ancestors(tree, site)[1:] if node in place), 0) for site in sites]
    return [-1, *above[1:]]


def with_forks(tree: Tree, sites: Sequence[int]) -> list[int]:
    """The sites, and the points where the ways from the first node to them part; ascending. The soma is one place."""
    lines = [ancestors(tree, site) for site in sites]
    sets, found = [set(line) for line in lines], set(sites)
    for k, line in enumerate(lines):
        found.update(next(node for node in line if node in other) for other in sets[:k])
    soma = tree.section[soma_of(tree)]
    return sorted(node for node in found if node in sites or tree.section[node] != soma)


def holders(Z0: Floats, sites: Sequence[int]) -> np.ndarray:
    """(n,) which of the sites stands for each node: the one that shares most with it, Z_xs^2 / (Z_xx Z_ss).

    ``Z0`` is (n, m), the impedance at 0 Hz from the sites to every node.
    """
    return np.argmax(Z0 ** 2 / Z0[list(sites), np.arange(len(sites))], axis=1)


def choose(passive: Passive, count: int, given: Sequence[int] = ()) -> list[int]:
    """``count`` sites, ascending: the soma, those that are given, and then again and again the worst place.

    The error of a place is that of V at the soma for a current there, when the reduced cell receives it in the
    compartment that stands for the place: max over f of |Z_r - Z| / Z(0). A fork between sites is one, too, for then
    no two sites couple but along the tree, and steady transfer can be exact; a place whose forks leave no room is
    passed over.

    Raises
    ------
    OptionError where the given sites are too many, or the cell has not that many
    """
    tree, soma = passive.tree, soma_of(passive.tree)
    sites = sorted({soma, *given})
    if len(sites) > count:
        raise OptionError("--sites", f"{count} are fewer than the {len(sites)} that the soma and the places to keep "
                          f"take", f"give --sites {len(sites)} or more")
    if count > int((tree.area > 0.0).sum()):
        raise OptionError("--sites", f"the cell has {(tree.area > 0.0).sum()} compartments and cannot be reduced to "
                          f"{count}", "give fewer")
    if len(forked := with_forks(tree, sites)) <= count:
        sites = forked
    while len(sites) < count:
        Z = passive.impedance(sites, FREQUENCIES)
        root = sites.index(soma)
        reduced = fit(Z[:, sites], nearest_ancestors(tree, sites), soma=root).impedance(FREQUENCIES)
        error = np.abs(Z[:, :, root] - reduced[:, holders(Z[0].real, sites), root]).max(axis=0) / np.abs(Z[0][:, root])
        error[sites] = -1.0
        error[tree.area == 0.0] = -1.0
        for node in np.argsort(-error, kind="stable"):
            if len(more := with_forks(tree, [*sites, int(node)])) <= count:
                break
        sites = more
    return sites
