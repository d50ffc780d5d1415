"""``upstroke reduce``: a neuron of a few compartments in place of a whole one, and what that costs in accuracy.

A case with a neuron comes in; a case with a simpler one goes out, which the main job runs like any other, and a report
sets both side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from upstroke.case import Case, load_case
from upstroke.case.schema import Site
from upstroke.errors import CaseError, OptionError, OutputError
from upstroke.mesh.morphology import SUFFIXES
from upstroke.mesh.tree import Tree
from upstroke.output.files import whole_file
from upstroke.reduce.neuron import Neuron, neuron_of
from upstroke.reduce.passive import Passive

if TYPE_CHECKING:
    from upstroke.reduce.compare import Comparison

METHODS = ("impedance", "cylinders")


@dataclass(frozen=True)
class Made:
    """What was written: the reduced case, and the report and its files; and what the report tells, as numbers."""

    report: str
    files: tuple[Path, ...]
    compared: Comparison


def load_cell(sources: Sequence[Path], overrides: Sequence[str]) -> Case:
    """A case, or that of a bare morphology, whose [cable] and membrane are in the overrides.

    Raises
    ------
    OptionError for a morphology that lacks them; else as `load_case`
    """
    if len(sources) != 1 or sources[0].suffix.lower() not in SUFFIXES:
        return load_case(*sources, overrides=overrides)
    for key, value in (("cable.axial_resistivity", '"100 ohm*cm"'), ("membrane.parameters.Rm", "20")):
        if not any(text.partition("=")[0].strip() == key for text in overrides):
            raise OptionError(str(sources[0]), f"a morphology does not tell {key}, which reduction depends on",
                              f"add --set '{key}={value}' with the cell's own value, or give a case")
    return load_case({"mesh": {"kind": "morphology", "file": str(sources[0].absolute())}, "cable": {},
                      "membrane": {"model": "Passive", "parameters": {}},
                      "time": {"end": "100 ms", "dt": "0.025 ms", "splitting": "staggered"}}, overrides=overrides)


def reduce_cell(case: Case, file: Path, *, count: int | None = None, at: str = "", method: str = "impedance") -> Made:
    """Reduce the neuron of a case; write the reduced case and, beside it, the report.

    Parameters
    ----------
    file : the case to write
    count : how many places are kept, chosen where the reduced cell would err most
    at : places that are kept in any case, "dend[3](0.5), apic[2](1)"; the first section's middle always is
    method : "impedance", in which the places are the compartments, or "cylinders", in which they are only compared

    Raises
    ------
    OptionError, CaseError, MeshError, OutputError
    """
    from upstroke.reduce import compare, report, sites, write

    if file.suffix != ".toml":
        raise OptionError("--output", f"{file.name!r} is no name of a case", "give a name that ends in .toml")
    if not file.parent.is_dir():
        raise OutputError(str(file), "cannot be written: No such file or directory", "give another --output")
    if count is None and not at:
        raise OptionError("--sites", "says not how many compartments", 'add --sites 8, or places: --at "dend[3](0.5)"')
    neuron = neuron_of(case)
    passive = neuron.passive
    tree = passive.tree
    nodes, notes = _places(case, passive, count, at)
    names = [sites.name_of(tree, node) for node in nodes]
    cell, places = (_fitted if method == "impedance" else _cylinders)(case, neuron, nodes, notes)
    title = f"{case.title or 'a cell'}, reduced"
    tables, left_out = write.case_tables(case, cell, places, tree, title)
    reduced = load_case(tables)
    soma = nodes.index(sites.soma_of(tree))
    order = [soma, *(k for k in range(len(nodes)) if k != soma)]
    pairs = [(_site(tree, nodes[k]), Site(**places[nodes[k]])) for k in order]
    full, small = (compare.Cell(c, p, tuple(pair[k] for pair in pairs))
                   for k, (c, p) in enumerate(((case, neuron), (reduced, neuron_of(reduced)))))
    found = compare.compare(full, small, [names[k] for k in order])
    how = "by least squares of impedances" if method == "impedance" else "a cylinder for each tree"
    what = (f"{case.title or 'a cell'}: {found.compartments[0]} compartments -> {found.compartments[1]}, {how}")
    text = report.text(found, what, [*notes, *left_out])
    with whole_file(file) as part:
        part.write_text(write.text_of(tables, [
            "Written by upstroke reduce, from", f"{what}.",
            f"Steady transfer between its places differs by {100 * found.of_steady[0].max():.2g} % at most, up to "
            f"200 Hz by {100 * found.of_steady.max():.2g} % of the steady one."]), encoding="utf-8")
    return Made(text, (file, *report.write(found, file, text)), found)


def _places(case: Case, passive: Passive, count: int | None, at: str) -> tuple[list[int], list[str]]:
    """The nodes to keep, ascending, and notes."""
    from upstroke.reduce.sites import choose, name_of, parse_sites, soma_of, with_forks
    from upstroke.reduce.write import INPUTS, node_of

    tree = passive.tree
    if at:
        given = parse_sites(at, tree)
    else:
        given = [node_of(s.site, tree) for kind in INPUTS for s in getattr(case, kind) if s.site is not None]
        probes = case.watch.probes.points.values() if case.watch.probes is not None else ()
        given += [int(tree.nodes_at(p, "watch.probes.points")[0]) for p in probes if isinstance(p, Site)]
    nodes = choose(passive, count, given) if count is not None else sorted({soma_of(tree), *given})
    forks = [name_of(tree, node) for node in with_forks(tree, nodes) if node not in nodes]
    return nodes, [f"the ways to the places part at {', '.join(forks)}: the fit is closer with compartments there"] \
        if forks else []


def _site(tree: Tree, node: int) -> Site:
    return Site(section=tree.sections[tree.section[node]].name, x=float(tree.x[node]))


def _fitted(case: Case, neuron: Neuron, nodes: list[int], notes: list[str]) -> tuple[dict[str, Any], dict[int, Any]]:
    """Mesh and membranes of the fitted cell, and where on it the nodes are."""
    from upstroke.reduce.active import density_around, fit_channels
    from upstroke.reduce.fit import FREQUENCIES, LEAST, fit
    from upstroke.reduce.membranes import dress
    from upstroke.reduce.sites import name_of, nearest_ancestors, soma_of
    from upstroke.reduce.write import case_tables, compartment_tables

    tree, passive, cable = neuron.passive.tree, neuron.passive, case.cable
    assert cable is not None
    reduced = fit(passive.impedance(nodes, FREQUENCIES)[:, nodes], nearest_ancestors(tree, nodes),
                  soma=nodes.index(soma_of(tree)))
    notes += [f"the fit leaves {name_of(tree, node)} without capacitance: it lies too near to another place to be told "
              "from it up to 200 Hz" for node, C in zip(nodes, reduced.capacitance, strict=True)
              if not 2.0 * LEAST * reduced.capacitance.sum() < C]
    channels, more = fit_channels(neuron, reduced, nodes)
    notes += more
    dense = density_around(neuron, nodes)
    names = [name_of(tree, node) for node in nodes]
    types = [tree.sections[tree.section[node]].type for node in nodes]
    area = reduced.capacitance / cable.capacitance

    def tables(reversal: Any) -> dict[str, Any]:
        made = dress(neuron, nodes, names, area, reduced.leak, reversal, channels, dense)
        return compartment_tables(reduced, names, types, made, cable)

    rest, reversal = neuron.rest[nodes], passive.reversal[nodes]
    found = tables(reversal)
    if len(set(passive.reversal.tolist())) > 1 or channels:     # so that each place rests as on the full cell
        again = neuron_of(load_case(case_tables(case, found, {}, tree, "")[0]))
        where = [int(again.passive.tree.nodes_at(Site(section=name), "")[0]) for name in names]
        V = np.full(len(again.passive.leak), rest.mean())
        V[where] = rest
        left = again.steady_current(V)[where] + reduced.stiffness @ rest
        found = tables(reversal + left / reduced.leak)
    return found, {node: {"section": name, "x": 0.5} for node, name in zip(nodes, names, strict=True)}


def _cylinders(case: Case, neuron: Neuron, nodes: list[int],
               notes: list[str]) -> tuple[dict[str, Any], dict[int, Any]]:
    """Mesh and membranes of a soma with cylinders, and where on it the nodes are."""
    from upstroke.reduce.cylinders import cylinder, pieces_of, stems
    from upstroke.reduce.membranes import dress
    from upstroke.reduce.write import piece_tables

    passive, tree, cable = neuron.passive, neuron.passive.tree, case.cable
    assert cable is not None
    if cable.region:
        raise CaseError("cable.region", "cylinders have one Ra and one C_m", "take --method impedance")
    made = [cylinder(passive, stem, cable.axial_resistivity, cable.capacitance) for stem in stems(passive)]
    notes += [f"the tree of {tree.sections[c.section].name} has other leaks than where it starts, and its cylinder has "
              "those of the start" for c in made if not c.uniform]
    pieces = pieces_of(passive, made, cable.axial_resistivity, not neuron.channels)
    area = np.array([piece.area for piece in pieces])
    dense = {key: np.array([np.mean(neuron.total(key)[p.nodes] / tree.area[p.nodes]) for p in pieces])
             for key in neuron.channels}
    dressed = dress(neuron, [int(p.nodes[0]) for p in pieces], [p.name for p in pieces], area,
                    area * [p.leak for p in pieces], np.array([p.reversal for p in pieces]),
                    {key: density * area for key, density in dense.items()}, dense)
    places = {node: {"section": tree.sections[tree.section[node]].name, "x": float(tree.x[node])} for node in nodes}
    for c in made:
        where = dict(zip(c.nodes.tolist(), c.x.tolist(), strict=True))
        parts = [p for p in pieces if p.name.partition("+")[0] == tree.sections[c.section].name]
        for node in nodes:
            if node in where:
                part = next(p for p in parts if where[node] <= p.end or p is parts[-1])
                x = (where[node] - part.start) / (part.end - part.start)
                places[node] = {"section": part.name, "x": min(x, 1.0)}
    return piece_tables(pieces, dressed), places
