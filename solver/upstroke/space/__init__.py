"""How neighbours couple: finite elements and, from them, the operator M dV/dt = -K V."""

from upstroke.case.schema import Tissue
from upstroke.mesh.mesh import Mesh
from upstroke.space.conductivity import diffusivity
from upstroke.space.fem import assemble
from upstroke.space.operator import Operator

__all__ = ["Operator", "assemble", "diffusivity", "discretise"]


def discretise(mesh: Mesh, tissue: Tissue) -> Operator:
    """The operator of the tissue on the mesh."""
    return assemble(mesh, diffusivity(tissue, mesh), tissue.mass)
