"""Where it happens: meshes built from numbers or read from files, with regions, fibres and node sets."""

from __future__ import annotations

from upstroke.case.schema import (
    BiventricleMesh,
    Cable,
    CableMesh,
    FileMesh,
    GridMesh,
    MorphologyMesh,
    NetworkMesh,
    SectionsMesh,
    SheetMesh,
    SlabMesh,
    VentricleMesh,
)
from upstroke.mesh.locate import (
    cells_of_regions,
    containing_cells,
    nearest_nodes,
    nodes_in_box,
    nodes_in_sphere,
    nodes_of_region,
    nodes_of_set,
    region_tag,
)
from upstroke.mesh.mesh import Mesh
from upstroke.mesh.purkinje import with_purkinje

__all__ = [
    "Mesh",
    "build_mesh",
    "cells_of_regions",
    "containing_cells",
    "nearest_nodes",
    "nodes_in_box",
    "nodes_in_sphere",
    "nodes_of_region",
    "nodes_of_set",
    "region_tag",
    "with_purkinje",
]


def build_mesh(section: (CableMesh | SheetMesh | SlabMesh | GridMesh | VentricleMesh | BiventricleMesh | FileMesh
                         | MorphologyMesh | SectionsMesh | NetworkMesh), cable: Cable | None = None) -> Mesh:
    """The mesh that a case's [mesh] table asks for, in cm, checked, with unit fibre directions.

    ``cable`` is what a neuron's length constants, and so its compartments, depend on.

    Raises ``MeshError`` where the mesh is unusable; what the user should merely know is in ``Mesh.notes``.
    """
    if isinstance(section, MorphologyMesh | SectionsMesh | NetworkMesh):
        from upstroke.mesh.neuron import build_neurons
        assert cable is not None                                       # the case was checked
        return build_neurons(section, cable)
    from upstroke.mesh.zones import with_zones
    return with_zones(_tissue(section), section.regions)


def _tissue(section: CableMesh | SheetMesh | SlabMesh | GridMesh | VentricleMesh | BiventricleMesh | FileMesh) -> Mesh:
    from upstroke.mesh import build
    from upstroke.mesh.fibres import with_directions
    match section:
        case CableMesh():
            return build.build_cable(section)
        case SheetMesh():
            return with_directions(build.build_sheet(section), section.fibre, section.sheet)
        case SlabMesh():
            return with_directions(build.build_slab(section), section.fibre, section.sheet)
        case GridMesh():
            from upstroke.mesh.grid import build_grid
            return build_grid(section)
        case VentricleMesh():
            from upstroke.mesh.ventricle import build_ventricle
            return build_ventricle(section)
        case BiventricleMesh():
            from upstroke.mesh.biventricle import build_biventricle
            return build_biventricle(section)
        case FileMesh():
            from upstroke.mesh.read import read_mesh  # meshio is slow to import and only needed here
            return read_mesh(section)
