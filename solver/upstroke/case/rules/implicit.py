"""Rules of the splittings that have V in their matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upstroke.case.rules.rule import Mistake, rule
from upstroke.case.schema import Cable, Case, GridMesh, Membrane, SheetMesh, SlabMesh, Solver, TimeTable, Tissue

IMPLICIT = {"implicit": "backward_euler", "staggered": "crank_nicolson"}      # splittings, and what they do to V


@rule(Case, "time", "cable")
def neurons_are_implicit(time: TimeTable, cable: Cable | None) -> Iterator[Mistake]:
    if cable is not None and time.diffusion == "explicit":
        yield Mistake(("time", "diffusion"), '"explicit" cannot be with [cable]: where branches of a neuron meet there '
                      "is no membrane, and no step is short enough", 'set diffusion = "crank_nicolson"')


@rule(TimeTable, "splitting", "diffusion")
def implicit_splittings_have_their_own_diffusion(splitting: str, diffusion: str) -> Iterator[Mistake]:
    if splitting in IMPLICIT and diffusion not in (IMPLICIT[splitting], "crank_nicolson"):
        yield Mistake(("diffusion",), f'"{diffusion}" does nothing with splitting = "{splitting}", which has a scheme '
                      "of its own for V", "remove time.diffusion, or take another splitting")


@rule(Case, "time", "tissue", "mesh")
def implicit_splittings_need_trees(time: TimeTable, tissue: Tissue | None, mesh: Any) -> Iterator[Mistake]:
    if time.splitting not in IMPLICIT:
        return
    if isinstance(mesh, SheetMesh | SlabMesh | GridMesh):
        yield Mistake(("time", "splitting"), f'"{time.splitting}" solves on cables and trees, and the mesh is a '
                      f"{mesh.kind}", 'take splitting = "strang" or "godunov"')
    elif tissue is not None and tissue.waves not in ("lumped", 1.0):
        yield Mistake(("time", "splitting"), f'"{time.splitting}" needs a lumped mass, one compartment to a node, but '
                      f"tissue.waves is {tissue.waves!r}", 'set tissue.waves = "lumped", or take splitting = "strang"')


@rule(Case, "time", "solver")
def implicit_splittings_have_their_own_solver(time: TimeTable, solver: Solver) -> Iterator[Mistake]:
    if time.splitting in IMPLICIT and solver.method not in ("auto", "tree"):
        yield Mistake(("solver", "method"), f'"{solver.method}" does nothing with splitting = "{time.splitting}", '
                      "which eliminates along the branches", "remove solver.method, or take another splitting")


@rule(Case, "time", "membrane")
def implicit_splittings_advance_v(time: TimeTable, tables: Sequence[Membrane]) -> Iterator[Mistake]:
    for number, table in enumerate(tables):
        if time.splitting in IMPLICIT and isinstance(table.method, dict) and "V" in table.method:
            yield Mistake(("membrane", number, "method", "V"), f'a method of V does nothing with splitting = '
                          f'"{time.splitting}", which solves for V', "remove it, or take another splitting")
