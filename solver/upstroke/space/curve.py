"""How strongly a model's fronts need the diffusion operator corrected, against how coarse the mesh is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: How far a curve goes on beyond the largest q that was measured, as a multiple of it.
BEYOND = 2.0


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
        """alpha at q (any shape, ms).

        Linear in sqrt(q); so also beyond the largest q that was measured, up to `BEYOND` times it, and constant from
        there on, as it is below the smallest. (ten Tusscher-Panfilov, measured up to 12.7 ms: 1.01 at 16 and 1.14 at
        20 ms, where waves want 1.00 and 1.13.)
        """
        root, alpha = np.sqrt(self.q), self.alpha
        if len(root) > 1:
            end = np.sqrt(BEYOND) * root[-1]
            slope = (alpha[-1] - alpha[-2]) / (root[-1] - root[-2])
            root, alpha = np.append(root, end), np.append(alpha, alpha[-1] + slope * (end - root[-1]))
        return np.interp(np.sqrt(q), root, alpha)

    @property
    def limit(self) -> float:
        """ms, the largest q that was measured."""
        return float(self.q[-1])


#: The fourth-order stencil, for comparison: the same correction whatever the model and the mesh.
FOURTH_ORDER = Curve(np.array([1.0]), np.array([1.0 / 12.0]), {"model": "none: fourth order"})

#: Of membranes without waves, passive ones: nothing is corrected.
NO_WAVES = Curve(np.array([1.0]), np.array([0.0]), {"model": "none: no waves"})
