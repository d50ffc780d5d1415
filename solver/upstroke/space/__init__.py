"""How neighbours couple: finite elements or finite differences and, from them, the operator M dV/dt = -K V."""

from upstroke.case.schema import Tissue
from upstroke.mesh.mesh import Mesh
from upstroke.space.conductivity import diffusivity
from upstroke.space.fem import assemble
from upstroke.space.grid import assemble_grid
from upstroke.space.operator import Operator

__all__ = ["Operator", "assemble", "assemble_grid", "diffusivity", "discretise"]


def discretise(mesh: Mesh, tissue: Tissue) -> Operator:
    """The operator of the tissue on the mesh."""
    D = diffusivity(tissue, mesh)
    if mesh.grid is None:
        return assemble(mesh, D, tissue.mass_on(None))
    return assemble_grid(mesh, D, tissue.mass_on(mesh.grid.stencil))
