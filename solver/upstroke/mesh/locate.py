"""Where things are on a mesh: the nodes of a box, ball, region or set, the node or the cell at a point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upstroke.errors import MeshError, did_you_mean
from upstroke.mesh.mesh import Mesh

ON_FACE = 1e-9    # of the mesh's size: a node this close to a face of a box or ball counts as on it
INSIDE = 1e-8     # smallest negative barycentric weight of a point that counts as inside a cell


def nodes_in_box(mesh: Mesh, lowest: Sequence[float], highest: Sequence[float]) -> NDArray[np.int64]:
    """Nodes with lowest <= x <= highest (cm), faces included; axes that are not given are unbounded.

    Of tissue with Purkinje strands: nodes of the tissue, as in all that asks for a place.
    """
    slack, points = ON_FACE * _size(mesh), mesh.points[:mesh.n_tissue]
    above = points[:, : len(lowest)] >= np.asarray(lowest) - slack
    below = points[:, : len(highest)] <= np.asarray(highest) + slack
    return np.flatnonzero(above.all(axis=1) & below.all(axis=1))


def nodes_in_sphere(mesh: Mesh, centre: Sequence[float], radius: float) -> NDArray[np.int64]:
    """Nodes with |x - centre| <= radius (cm); axes that are not given do not count (two: a cylinder along z)."""
    distance = np.linalg.norm(mesh.points[:mesh.n_tissue, : len(centre)] - np.asarray(centre), axis=1)
    return np.flatnonzero(distance <= radius + ON_FACE * _size(mesh))


def nodes_of_set(mesh: Mesh, name: str, where: str = "node set") -> NDArray[np.int64]:
    """The nodes of a named set."""
    if name not in mesh.node_sets:
        raise MeshError(where, f"the mesh has no node set {name!r}", did_you_mean(name, mesh.node_sets))
    return mesh.node_sets[name]


def region_tag(mesh: Mesh, region: int | str, where: str = "region") -> int:
    """The tag of a region given by name or by tag; an error where no cell has it."""
    if isinstance(region, str) and region not in mesh.region_names:
        raise MeshError(where, f"the mesh has no region {region!r}", did_you_mean(region, mesh.region_names)
                        if mesh.region_names else f"its regions have no names; tags: {_tags(mesh)}")
    tag = mesh.region_names[region] if isinstance(region, str) else region
    if not (mesh.region == tag).any() and not (mesh.purkinje is not None and tag in mesh.purkinje.tag):
        raise MeshError(where, f"no cell of the mesh is in region {region!r}", f"tags in use: {_tags(mesh)}")
    return tag


def cells_of_regions(mesh: Mesh, regions: Iterable[int | str], where: str = "regions") -> NDArray[np.bool_]:
    """(m,) whether each cell is in one of these regions, given by names or tags.

    In a network "pyr" is a population, and "pyr.soma" what of a region belongs to it.
    """
    found = np.zeros(mesh.n_cells, bool)
    for region in regions:
        found |= _cells_of(mesh, region, where)
    return found


def _cells_of(mesh: Mesh, region: int | str, where: str) -> NDArray[np.bool_]:
    populations = {} if mesh.tree is None else {p.name: p for p in mesh.tree.populations if p.name}
    name, dot, rest = str(region).partition(".")
    if isinstance(region, int) or not populations or not (dot or name in populations):
        return np.asarray(mesh.region == region_tag(mesh, region, where))
    if name not in populations:
        raise MeshError(where, f"there is no population {name!r}", did_you_mean(name, populations))
    node, population = mesh.cells[:, 1], populations[name]
    mine = (node >= population.first_node) & (node < population.end_node)
    if not dot:
        return np.asarray(mine)
    there = mine & (mesh.region == region_tag(mesh, rest, where))
    if not there.any():
        tags = np.unique(mesh.region[mine])
        raise MeshError(where, f"population {name!r} has no region {rest!r}", did_you_mean(
            rest, [other for other, tag in mesh.region_names.items() if tag in tags]))
    return there


def nodes_of_region(mesh: Mesh, region: int | str, where: str = "region") -> NDArray[np.int64]:
    """All nodes of a region's cells, ascending; names are those of `cells_of_regions`."""
    cells = _cells_of(mesh, region, where)
    nodes = np.unique(mesh.cells[cells]).astype(np.int64)
    if mesh.purkinje is None:
        return nodes
    return np.concatenate([nodes, mesh.purkinje.nodes[mesh.purkinje.tag == region_tag(mesh, region, where)]])


def nearest_nodes(mesh: Mesh, points: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The node nearest to each point (k, 3), and the distances in cm."""
    from scipy.spatial import cKDTree
    distances, nodes = cKDTree(mesh.points[:mesh.n_tissue]).query(np.atleast_2d(np.asarray(points, float)))
    return np.asarray(nodes, np.int64), np.asarray(distances)


def containing_cells(mesh: Mesh, points: ArrayLike, where: Sequence[str] = ()
                     ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The cell that contains each point and the weights w of its nodes there: u(x) = sum_i w_i u_i.

    Weights are barycentric in simplices, multilinear in boxes.

    Parameters
    ----------
    points : (k, 3), cm
    where : (k,) what error messages call each point

    Returns
    -------
    cells (k,) and weights (k, corners), which sum to 1

    Raises
    ------
    MeshError : a point outside the mesh (for cables and surfaces: off it), with the distance to the nearest node
    """
    points = np.atleast_2d(np.asarray(points, float))
    lowest, highest = _boxes(mesh)
    slack = ON_FACE * _size(mesh)
    cells, weights = np.empty(len(points), np.int64), np.empty((len(points), mesh.cells.shape[1]))
    weigh = _barycentric if mesh.grid is None else _multilinear
    for k, x in enumerate(points):
        near = np.flatnonzero((lowest <= x + slack).all(axis=1) & (highest >= x - slack).all(axis=1))
        w, off = weigh(mesh, near, x)
        worst = np.where(off <= slack, w.min(axis=1, initial=np.inf), -np.inf)
        if len(near) == 0 or worst.max() < -INSIDE:
            distance = float(nearest_nodes(mesh, x)[1][0])
            at = ", ".join(f"{c:.6g}" for c in x)
            raise MeshError(where[k] if where else "point", f"({at}) cm is outside the mesh; the nearest node is "
                            f"{distance:.4g} cm away", "move the point, or take the nearest node instead of "
                            "interpolating")
        best = np.argmax(worst)
        cells[k], weights[k] = near[best], w[best]
    return cells, weights


def _boxes(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The bounding box of each cell, node by node to spare memory."""
    lowest = mesh.points[mesh.cells[:, 0]]
    highest = lowest.copy()
    for k in range(1, mesh.cells.shape[1]):
        x = mesh.points[mesh.cells[:, k]]
        np.minimum(lowest, x, out=lowest)
        np.maximum(highest, x, out=highest)
    return lowest, highest


def _barycentric(mesh: Mesh, cells: NDArray[np.int64], x: NDArray[np.float64]
                 ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights of x in each of these cells, by least squares on cables and surfaces, and its distance off them."""
    corners = mesh.points[mesh.cells[cells]]
    edges = (corners[:, 1:] - corners[:, :1]).swapaxes(1, 2)        # (k, 3, d)
    r = x - corners[:, 0]
    solution = np.linalg.pinv(edges) @ r[:, :, None]
    off = np.linalg.norm(r - (edges @ solution)[:, :, 0], axis=1)
    w = solution[:, :, 0]
    return np.column_stack([1 - w.sum(axis=1), w]), off


def _multilinear(mesh: Mesh, cells: NDArray[np.int64], x: NDArray[np.float64]
                 ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights of x in each of these boxes, prod_k (xi_k or 1 - xi_k), and its distance off their plane or space."""
    assert mesh.grid is not None
    r = x - mesh.points[mesh.cells[cells, 0]]
    w = np.ones((len(cells), 1))
    for k, dx in enumerate(mesh.grid.spacing):              # corners with x fastest: each axis doubles them
        xi = r[:, k, None] / dx
        w = np.concatenate([w * (1 - xi), w * xi], axis=1)
    return w, np.linalg.norm(r[:, mesh.dim:], axis=1)


def _size(mesh: Mesh) -> float:
    return float(np.ptp(mesh.points, axis=0).max())


def _tags(mesh: Mesh) -> str:
    tags = np.unique(mesh.region).tolist()
    return ", ".join(map(str, tags[:20])) + (", ..." if len(tags) > 20 else "")
