"""Rules of [[purkinje]]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upstroke.case.rules.rule import Mistake, rule
from upstroke.case.schema import Case, FractalTree, PurkinjeTree, Tissue


@rule(PurkinjeTree, "file", "unit", "root", "fractal")
def strands_from_one_source(file: Any, unit: Any, root: Any, fractal: Any) -> Iterator[Mistake]:
    if (file is None) == (fractal is None):
        yield Mistake(("file",) if file is not None else (), "given together with fractal" if file is not None else
                      "says not where the strands are", "keep one of the two" if file is not None else
                      'add file = "tree.vtk", or a table fractal for a tree that grows by rule')
    elif file is not None and unit is None:
        yield Mistake(("unit",), "missing", 'add the unit of the file\'s coordinates, for example unit = "mm"')
    elif file is None:
        for name, value in (("unit", unit), ("root", root)):
            if value is not None:
                yield Mistake((name,), "is of a file, and there is none",
                              "remove it" if name == "unit" else "take fractal.root instead")


@rule(PurkinjeTree, "name")
def trees_have_a_name(name: str) -> Iterator[Mistake]:
    if not name.isidentifier():
        yield Mistake(("name",), f"{name!r} is no name", "take letters, digits and _, not a digit first")


@rule(FractalTree, "root", "toward")
def trunks_have_a_direction(root: Any, toward: Any) -> Iterator[Mistake]:
    if root == toward:
        yield Mistake(("toward",), "is the root itself", "give another place, for the direction of the trunk")


@rule(Case, "purkinje")
def trees_have_names_of_their_own(trees: Sequence[PurkinjeTree]) -> Iterator[Mistake]:
    for k, tree in enumerate(trees):
        if any(other.name == tree.name for other in trees[:k]):
            yield Mistake(("purkinje", k, "name"), f"a second tree of the name {tree.name!r}",
                          "give each tree a name of its own")


@rule(Case, "tissue", "purkinje")
def strands_lie_on_tissue(tissue: Tissue | None, trees: Sequence[PurkinjeTree]) -> Iterator[Mistake]:
    if tissue is None and trees:
        yield Mistake(("purkinje", 0), "the mesh is no tissue", "strands of neurons are sections of [mesh]")
    names = {tree.name for tree in trees}
    for k, table in enumerate(tissue.conductivity if tissue is not None else ()):
        for region in table.regions or ():
            if region in names:
                yield Mistake(("tissue", "conductivity", k, "regions"), f"{region!r} is a Purkinje tree",
                              "its conductivity is a key of [[purkinje]]; remove the name here")
