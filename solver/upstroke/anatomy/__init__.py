"""Ventricles with fibres, as files: one or two made from numbers, or coordinates and fibres for a mesh file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import meshio

from upstroke.case.convert import convert
from upstroke.case.schema import BiventricleMesh, FileMesh, VentricleMesh
from upstroke.case.source import nearby, override, read
from upstroke.errors import ErrorList, MeshError, OptionError, nearest
from upstroke.mesh import Mesh, build_mesh
from upstroke.mesh.carp import write_vtx
from upstroke.mesh.ldrb import Angles
from upstroke.mesh.zones import with_zones
from upstroke.output.files import whole_file

__all__ = ["make_mesh", "write_mesh"]

MM = 10.0       # of a cm
ENDINGS = (".vtu", ".vtk")


def make_mesh(kind: str, keys: Sequence[str], surfaces: Mapping[str, str], unit: str = "", mesher: str = "") -> Mesh:
    """A mesh with fibres: ``kind`` is lv, bv (two ventricles), or a mesh file.

    Parameters
    ----------
    keys : "key=value" of a [mesh] table of kind "ventricle" or "biventricle"; for a file alpha, beta
    surfaces, unit : of a file: its node sets by role (`mesh.rule.with_rule`), and the unit of its coordinates
    mesher : of two ventricles: "gmsh", or ours

    Raises
    ------
    UpstrokeError for mistakes in the keys, for a file that cannot be read, and for meshes that cannot be made
    """
    made = kind in ("lv", "bv")
    if mesher and kind != "bv":
        raise OptionError("--with", f"is for two ventricles, bv, not for {kind!r}", "leave it out")
    of = BiventricleMesh if kind == "bv" else VentricleMesh
    root = read({"kind": of.kind} if made else {"kind": of.kind, "dx": "1 cm"})
    for text in keys:
        override(root, text)
    if "dx" not in root.value:
        raise OptionError("--h", "is not given", 'the length of an edge, for example --h "0.8 mm"')
    section, mistakes = convert(root, of)
    if mistakes:
        raise ErrorList(errors=tuple(mistakes))
    if not made:
        return _of_file(Path(kind), section, keys, surfaces, unit)
    if surfaces or unit:
        raise OptionError("upstroke mesh", f"--surface and --unit are for mesh files, not for {kind!r}",
                          "leave them out")
    if not mesher:
        return build_mesh(section)
    from upstroke.anatomy.gmsh import build_by_gmsh
    return with_zones(build_by_gmsh(section), section.regions)


def _of_file(file: Path, section: VentricleMesh, keys: Sequence[str], surfaces: Mapping[str, str], unit: str) -> Mesh:
    from upstroke.mesh.rule import ROLES, with_rule
    if not file.is_file():
        near = nearest(file.name, ("lv", "bv", *nearby(file, file.suffix)))
        raise OptionError(str(file), "is neither a kind of mesh nor a file",
                          f"did you mean {near!r}?" if near else "take lv, bv, or a mesh file")
    if not unit:
        raise OptionError("--unit", "is not given", "mesh files do not carry their unit: --unit mm")
    names = [text.partition("=")[0].strip() for text in keys]
    if wrong := [name for name in names if name not in ("alpha", "beta")]:
        raise OptionError(f"--set {wrong[0]}", "is for meshes made from numbers", "a file takes alpha and beta")
    if wrong := [role for role in surfaces if role not in ROLES]:
        raise OptionError(f"--surface {wrong[0]}=...", "is no surface of a heart", f"known: {', '.join(ROLES)}")
    mesh = build_mesh(FileMesh(file=file, unit=cast(Literal["m", "cm", "mm", "um"], unit)))
    return with_rule(mesh, surfaces, Angles(section.alpha, section.beta))


def write_mesh(mesh: Mesh, path: Path) -> str:
    """Write a mesh in mm, its node sets as .vtx files beside it; the [mesh] table that reads it.

    Raises
    ------
    MeshError for an ending that cannot hold it; OutputError where the system refuses
    """
    if path.suffix not in ENDINGS:
        raise MeshError(str(path), f"files of the ending {path.suffix!r} are not written", f"take {', '.join(ENDINGS)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {**mesh.cell_data, "region": mesh.region, "fibre": mesh.fibre, "sheet": mesh.sheet}
    with whole_file(path) as part:
        meshio.write(part, meshio.Mesh(
            mesh.points * MM, [("tetra", mesh.cells)], point_data=mesh.point_data,
            cell_data={name: [values] for name, values in data.items() if values is not None}))
    sets = {}
    for name, nodes in mesh.node_sets.items():
        sets[name] = f"{path.stem}_{name}.vtx"
        with whole_file(path.with_name(sets[name])) as part:
            write_vtx(part, nodes)
    regions = ", ".join(f"{tag} {name}" for name, tag in mesh.region_names.items())
    vtx = ", ".join(f'{name} = "{file}"' for name, file in sets.items())
    return "\n".join([
        f"# {mesh.n_points:,} nodes, {mesh.n_cells:,} {mesh.cell_name}; point data: {', '.join(mesh.point_data)}",
        *([f"# regions: {regions}"] if regions else []), *(f"# note: {note}" for note in mesh.notes),
        "[mesh]", 'kind = "file"', f'file = "{path.name}"', 'unit = "mm"', f"node_sets = {{ {vtx} }}"])
