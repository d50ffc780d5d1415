"""Writes grid.npz: the mask and the fibres of a sheet of atrium, 250 x 250 cells, arrays indexed [x, y].

    python cases/fibrosis/make_grid.py
"""

from pathlib import Path

import numpy as np
from scipy import ndimage

N = 250                                                 # cells along each axis, of 0.2 mm
HEALTHY, FIBROTIC = 1, 2                                # region tags; 0 is no tissue

x, y = (np.indices((N, N)) + 0.5) / N * 50              # centres of the cells, mm
mask = np.where(np.hypot(x - 25, y - 25) < 24.5, HEALTHY, 0)

patch = np.hypot((x - 24) / 9, (y - 23) / 7) + 0.12 * np.sin(5 * np.arctan2(y - 23, x - 24)) < 1
mask[patch & (mask > 0)] = FIBROTIC                     # in the patch two cells of five are dead, without any order
dead = patch & (np.random.default_rng(1).random((N, N)) < 0.4)
mask[dead] = 0

for cx, cy, r in ((36, 39, 3.0), (15, 38, 2.5)):        # two vessels
    mask[np.hypot(x - cx, y - cy) < r] = 0

part, _ = ndimage.label(mask, np.ones((3, 3)))          # single cells that are left over in the patch go, too
mask[part != np.bincount(part[mask > 0]).argmax()] = 0

angle = np.deg2rad(20 + 60 * np.sin((y - x) / 18))      # fibres bend from place to place
fibre = np.stack([np.cos(angle), np.sin(angle)], axis=-1)

np.savez_compressed(Path(__file__).with_name("grid.npz"), mask=mask.astype(np.uint8), fibre=fibre.astype(np.float16))
