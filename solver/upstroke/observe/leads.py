"""Leads: differences of the potentials of electrodes, and the twelve standard ones of an electrocardiogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
_WILSON = {"RA": -1 / 3, "LA": -1 / 3, "LL": -1 / 3}

#: Einthoven's I, II, III, Goldberger's augmented leads, and Wilson's against the mean of the limbs.
STANDARD_LEADS: dict[str, dict[str, float]] = {
    "I": {"LA": 1.0, "RA": -1.0}, "II": {"LL": 1.0, "RA": -1.0}, "III": {"LL": 1.0, "LA": -1.0},
    "aVR": {"RA": 1.0, "LA": -0.5, "LL": -0.5}, "aVL": {"LA": 1.0, "RA": -0.5, "LL": -0.5},
    "aVF": {"LL": 1.0, "RA": -0.5, "LA": -0.5},
    **{name: {name: 1.0, **_WILSON} for name in CHEST}}


def lead_matrix(electrodes: Sequence[str], leads: Mapping[str, Sequence[str]],
                standard: bool) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names of columns, and what each is made of: (columns, electrodes), factors of the electrodes' potentials.

    First the potentials themselves, ``phi.<electrode>``, then the standard leads, then differences.

    Arguments
    ---------
    leads : by name the electrode where it is measured, and the one against which
    standard : whether the twelve standard leads are wanted; the electrodes then include RA, LA, LL (right arm, left
        arm, left leg) and V1 to V6
    """
    made: dict[str, dict[str, float]] = {f"phi.{name}": {name: 1.0} for name in electrodes}
    made |= STANDARD_LEADS if standard else {}
    made |= {name: {plus: 1.0, minus: -1.0} for name, (plus, minus) in leads.items()}
    matrix = np.array([[factors.get(name, 0.0) for name in electrodes] for factors in made.values()])
    return tuple(made), matrix
