"""Rules of [tissue] and [[membrane]]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upstroke.case.rules.neuron import NEURONS
from upstroke.case.rules.rule import Mistake, regions_once, rule
from upstroke.case.schema import Cable, Case, ConductivityTable, Membrane, Tissue


@rule(Case, "tissue", "cable")
def coupled_somehow(tissue: Tissue | None, cable: Cable | None) -> Iterator[Mistake]:
    if tissue is None and cable is None:
        yield Mistake(("tissue",), "missing", "add a table [tissue] with conductivity and surface_to_volume, or for a "
                      "neuron [cable] with axial_resistivity")
    elif tissue is not None and cable is not None:
        yield Mistake(("cable",), "given together with tissue", "keep [cable] for a neuron, [tissue] for other meshes")


@rule(Case, "mesh", "tissue", "cable")
def coupled_as_the_mesh_is(mesh: Any, tissue: Tissue | None, cable: Cable | None) -> Iterator[Mistake]:
    neuron = isinstance(mesh, NEURONS)
    if neuron and tissue is not None and cable is None:
        yield Mistake(("tissue",), "the mesh is a neuron, which is no tissue",
                      "replace it by a table [cable] with axial_resistivity and capacitance")
    elif not neuron and cable is not None and tissue is None:
        yield Mistake(("cable",), f'the mesh is no neuron but of kind "{mesh.kind}"',
                      'add a table [tissue] instead, or take mesh.kind = "morphology" or "sections"')


@rule(ConductivityTable, "monodomain", "intracellular", "extracellular")
def one_way_to_give_conductivity(mono: Any, intra: Any, extra: Any) -> Iterator[Mistake]:
    if mono is not None and (intra is not None or extra is not None):
        yield Mistake(("monodomain",), "given together with intracellular or extracellular", "keep one of the two ways")
    elif mono is None and intra is None and extra is None:
        yield Mistake((), "no conductivity given", "add monodomain, or intracellular and extracellular")
    elif mono is None and (intra is None or extra is None):
        there, lacking = ("intracellular", "extracellular") if extra is None else ("extracellular", "intracellular")
        yield Mistake((there,), f"given without {lacking}", f"add {lacking}, or give monodomain values instead")
    elif mono is None and len(intra) != len(extra):
        yield Mistake(("extracellular",), f"not as many values ({len(extra)}) as intracellular ({len(intra)})",
                      "give the same number: 1 (isotropic), 2 (along, across) or 3 (fibre, sheet, normal)")


@rule(ConductivityTable, "monodomain", "intracellular")
def tissue_conducts_every_way_or_none(*both: tuple[float, ...] | None) -> Iterator[Mistake]:
    for name, values, what in zip(("monodomain", "intracellular"), both, (
            "cells that do not conduct at all", "a bath, which conducts outside cells only"), strict=True):
        if values is not None and any(values) and not all(values):
            yield Mistake((name,), "is 0 along one axis but not along another",
                          f"give values above 0; or 0 alone for {what}")


@rule(Tissue, "conductivity")
def regions_have_one_conductivity(tables: Sequence[ConductivityTable]) -> Iterator[Mistake]:
    yield from regions_once("conductivity", [table.regions for table in tables])


@rule(Case, "membrane")
def regions_have_one_membrane(tables: Sequence[Membrane]) -> Iterator[Mistake]:
    yield from regions_once("membrane", [table.regions for table in tables])


@rule(Membrane, "parameters", "nodal")
def parameters_have_one_source(parameters: dict[str, Any], nodal: dict[str, str]) -> Iterator[Mistake]:
    for name in nodal:
        if name in parameters:
            yield Mistake(("nodal", name), "given in parameters, too", "keep one of the two")
