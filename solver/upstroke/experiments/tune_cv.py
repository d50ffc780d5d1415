"""``upstroke tune-cv``: conductivities that give waves the wanted velocities, on the wanted mesh and in its steps.

In the continuum v^2 is proportional to sigma; on a mesh nearly. Each axis is a strand of its node spacing, which is run
with sigma <- sigma (v_wanted / v)^p, first with p = 2, then with the power that the last two runs show, until the
velocity of the run is right. So the last run is the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from upstroke.errors import ModelError, OptionError
from upstroke.experiments.strand import Strand

GUESS = 1.3342 / 0.06 ** 2       # mS/cm per (cm/ms)^2: about 0.6 m/s along the fibres of Niederer et al. 2011
MOST = 25                        # runs
SLOWEST, FASTEST = 1e-4, 2.0     # cm/ms: of waves in tissue


@dataclass(frozen=True)
class Tuned:
    """One axis: the conductivity (mS/cm) and the velocity (cm/ms) of a run with it; wanted, dx (cm), runs it took."""

    wanted: float
    dx: float
    conductivity: float
    velocity: float
    runs: int


def tune(strand: Strand, velocity: float, dx: float, tolerance: float = 1e-3) -> Tuned:
    """The conductivity for a velocity (cm/ms) on nodes dx (cm) apart, to a relative tolerance of the velocity.

    Raises
    ------
    ModelError where no wave runs with any conductivity, or the velocity cannot be had on such a mesh
    """
    sigma, power, before = GUESS * velocity ** 2, 2.0, None
    for count in range(1, MOST + 1):
        found = strand.velocity(sigma, dx, velocity)
        if abs(found / velocity - 1.0) <= tolerance:
            return Tuned(velocity, dx, sigma, found, count)
        if found == 0.0:
            sigma, before = 3.0 * sigma, None
            continue
        if before is not None and before[1] != found:
            power = min(max(log(sigma / before[0]) / log(found / before[1]), 0.2), 4.0)
        before = sigma, found
        sigma *= (velocity / found) ** power
    if before is None:
        raise ModelError(f"model {strand.model}", f"no wave of {10.0 * velocity:g} m/s runs along a strand",
                         "check the model and its parameters with upstroke bench")
    raise ModelError(f"model {strand.model}", f"a velocity of {10.0 * velocity:g} m/s cannot be had with dx "
                     f"{10.0 * dx:g} mm: the nearest was {10.0 * found:.3g} m/s", "take a smaller dx")


def tune_axes(strand: Strand, velocities: Sequence[float], dx: Sequence[float], tolerance: float = 1e-3) -> list[Tuned]:
    """`tune` for one to three axes; ``dx`` is one for all, or one each. Raises OptionError where numbers differ, and
    for what is no velocity of a wave."""
    if not 1 <= len(velocities) <= 3:
        raise OptionError("--velocity", f"{len(velocities)} velocities",
                          "give one to three: along fibre, sheet and normal")
    for velocity in velocities:
        if not SLOWEST <= velocity <= FASTEST:
            raise OptionError("--velocity", f"{10.0 * velocity:g} m/s is no velocity of a wave in tissue",
                              f"give {10.0 * SLOWEST:g} to {10.0 * FASTEST:g} m/s")
    if len(dx) not in (1, len(velocities)):
        raise OptionError("--dx", f"{len(dx)} for {len(velocities)} velocities", "give one for all, or one for each")
    spacing = list(dx) * (len(velocities) if len(dx) == 1 else 1)
    return [tune(strand, v, h, tolerance) for v, h in zip(velocities, spacing, strict=True)]


def report(strand: Strand, axes: Sequence[Tuned]) -> str:
    """A table, and what to write into a case."""
    rows = [f"  {t.wanted * 10.0:8.4g} {t.dx * 10.0:8.4g} {t.conductivity:14.5g} {t.velocity * 10.0:14.4f} {t.runs:6d}"
            for t in axes]
    values = ", ".join(f'"{t.conductivity:.5g} mS/cm"' for t in axes)
    return "\n".join([strand.describe(), "  velocity      dx   conductivity    of a run with  runs",
                      "       m/s      mm          mS/cm        it, m/s", *rows, "", "[tissue.conductivity]",
                      f"monodomain = [{values}]"])
