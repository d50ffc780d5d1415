"""How strongly a model's fronts need the diffusion operator corrected, against how coarse the mesh is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Curve:
    """alpha(q), the correction that gives plane waves along a grid's axis the velocity that they have on fine meshes.

    On a line of nodes h apart in tissue of diffusivity D, with q = h^2 / D, the operator -D d2/dx2 has the symbol
    s (1 + alpha s) / q, s = 2 - 2 cos(k h); alpha = 0 is the second-order stencil, alpha = 1/12 the fourth-order one.

    Attributes
    ----------
    q : (n,) ms, increasing
    alpha : (n,)
    source : what the curve was measured with (model, flags, parameters, time step, splitting, version)
    velocity : c / sqrt(D), 1/sqrt(ms), of the plane wave on fine meshes that the curve was measured against
    """

    q: NDArray[np.float64]
    alpha: NDArray[np.float64]
    source: dict[str, str] = field(default_factory=dict)
    velocity: float = float("nan")

    def __call__(self, q: ArrayLike) -> NDArray[np.float64]:
        """alpha at q (any shape, ms): linear in sqrt(q), and that of the nearest end outside of what was measured."""
        return np.interp(np.sqrt(q), np.sqrt(self.q), self.alpha)

    @property
    def limit(self) -> float:
        """ms, the largest q that was measured."""
        return float(self.q[-1])


#: The fourth-order stencil, for comparison: the same correction whatever the model and the mesh.
FOURTH_ORDER = Curve(np.array([1.0]), np.array([1.0 / 12.0]), {"model": "none: fourth order"})
