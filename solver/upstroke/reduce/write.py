"""Reduced cells as cases, which the main job runs like any other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from upstroke.case import Case
from upstroke.case.resolved import free_tables
from upstroke.case.schema import Cable, Probes, Site, Spikes, Stimulus
from upstroke.case.toml import write_document
from upstroke.case.words import plain
from upstroke.mesh.tree import Tree
from upstroke.reduce.cylinders import Piece
from upstroke.reduce.fit import Reduced
from upstroke.reduce.membranes import Dressed
from upstroke.units import format_quantity

Place = dict[str, Any]                    # of the reduced cell: {"section": ..., "x": ...}
INPUTS = ("stimulus", "synapse", "voltage_clamp")
PARTS = ("soma", "axon", "basal", "apical")


def compartment_tables(reduced: Reduced, names: Sequence[str], types: Sequence[str], made: Dressed,
                       cable: Cable) -> dict[str, Any]:
    """Mesh and membrane of a fitted cell: a cylinder for each compartment, which starts in the middle of its parent.

    With one compartment to a cylinder, whose half joins the middles, and area A = C / C_m, resistance R = 1 / g_ij:

        pi d L = A,  Ra (L / 2) / (pi d^2 / 4) = R:   d^3 = 2 Ra A / (pi^2 R),  L = A / (pi d)

    The first, which hangs on nothing, is as long as it is wide.
    """
    sections = []
    for k, (name, parent) in enumerate(zip(names, reduced.parent, strict=True)):
        area = float(reduced.capacitance[k]) / cable.capacitance
        d = math.sqrt(area / math.pi)
        table: dict[str, Any] = {"name": name, "type": types[k] if types[k] in PARTS else "basal"}
        if parent >= 0:
            d = (2.0 * cable.axial_resistivity * area * float(reduced.coupling[k]) / math.pi ** 2) ** (1.0 / 3.0)
            table |= {"parent": names[parent], "parent_x": 0.5}
        sections.append(table | {"length": _length(area / (math.pi * d)), "diameter": _length(d),
                                 "values": made.values[k]})
    regions = {"regions": made.regions} if made.regions else {}
    return {"mesh": {"kind": "sections", "compartments": {"number": 1}, **regions, "section": sections},
            "membrane": made.tables}


def piece_tables(pieces: Sequence[Piece], made: Dressed) -> dict[str, Any]:
    """Mesh and membranes of a soma with cylinders, each in pieces of one membrane."""
    sections: list[dict[str, Any]] = []
    for piece, values in zip(pieces, made.values, strict=True):
        table: dict[str, Any] = {"name": piece.name, "type": piece.type if piece.type in PARTS else "basal"}
        if piece.parent:
            table |= {"parent": piece.parent, "parent_x": piece.parent_x}
        sections.append(table | {"length": _length(piece.length), "diameter": _length(piece.diameter),
                                 "values": values})
    regions = {"regions": made.regions} if made.regions else {}
    return {"mesh": {"kind": "sections", **regions, "section": sections}, "membrane": made.tables}


def _length(cm: float) -> str:
    return format_quantity(cm, "length")


def case_tables(case: Case, cell: Mapping[str, Any], places: Mapping[int, Place], tree: Tree,
                title: str) -> tuple[dict[str, Any], list[str]]:
    """A whole case: the reduced cell, the full one's [cable], [time], [solver] and [backend], inputs and probes at
    sites; and notes on what could not be taken over.

    Parameters
    ----------
    places : where on the reduced cell the nodes of the full one are
    """
    notes: list[str] = []
    inputs: dict[str, list[dict[str, Any]]] = {}
    for kind in INPUTS:
        for k, s in enumerate(getattr(case, kind)):
            node = node_of(s.site, tree) if s.site is not None else -1
            if node not in places:
                notes.append(f"the {kind.replace('_', ' ')} {s.name or f'{kind} {k + 1}'!r} is left out: only those at "
                             "a site that the reduced cell has are taken over")
                continue
            table = plain(s, type(s)) | {"site": places[node]}
            if isinstance(s, Stimulus) and s.total_current is None:     # per area of a compartment that is no more
                total = (s.current or 0.0) * float(tree.area[node])
                table = {key: value for key, value in table.items() if key != "current"}
                table["total_current"] = format_quantity(total, "current")
            inputs.setdefault(kind, []).append(table)
    probes = case.watch.probes
    points: dict[str, Place] = {}
    for name, point in (probes.points if probes is not None else {}).items():
        node = int(tree.nodes_at(point, f"watch.probes.points.{name}")[0]) if isinstance(point, Site) else -1
        if node in places:
            points[name] = places[node]
        else:
            notes.append(f"the probe {name!r} is left out: only those at a site that the reduced cell has are taken "
                         "over")
    assert case.cable is not None
    cable = plain(replace(case.cable, region=()), Cable)
    del cable["region"]
    tables = {"title": title, "mesh": cell["mesh"], "cable": cable, "membrane": cell["membrane"],
              **{key: plain(getattr(case, key), type(getattr(case, key))) for key in ("time", "solver", "backend")}}
    tables |= inputs
    if probes is not None and points:
        tables["watch"] = {"probes": plain(probes, Probes) | {"points": points}}
    spikes = case.watch.spikes
    found = {name: node_of(point, tree) for name, point in (spikes.points if spikes is not None else {}).items()
             if isinstance(point, Site)}
    if spikes is not None and (kept := {name: places[node] for name, node in found.items() if node in places}):
        tables.setdefault("watch", {})["spikes"] = plain(spikes, Spikes) | {"points": kept}
    notes += [f"the spikes at {name!r} are left out: only those at a site that the reduced cell has are taken over"
              for name in (spikes.points if spikes is not None else ()) if found.get(name, -1) not in places]
    return tables, notes


def node_of(site: Site, tree: Tree) -> int:
    """The compartment that an input at a site goes to."""
    return int(tree.compartments_at(site, "site")[0])


def text_of(tables: Mapping[str, Any], head: Sequence[str]) -> str:
    """The case file."""
    return "".join(f"# {line}\n" for line in head) + write_document(tables, inline=free_tables(Case)).lstrip("\n")
