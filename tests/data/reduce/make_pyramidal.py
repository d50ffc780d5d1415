"""Writes pyramidal.swc beside this file: a pyramidal cell by rule, of the size of one of layer 2/3, no real one.

A soma; an apical trunk with two pairs of oblique branches and a tuft of four; four basal dendrites that fork once; an
axon. Branches taper, and thin by Rall's rule where they fork. Run it again to get the same file.
"""

from __future__ import annotations

import math
from pathlib import Path

STEP = 10.0                          # um between points
SOMA, AXON, BASAL, APICAL = 1, 2, 3, 4


class Cell:
    def __init__(self) -> None:
        self.rows: list[tuple[int, int, float, float, float, float, int]] = []

    def point(self, kind: int, x: float, y: float, z: float, radius: float, parent: int) -> int:
        self.rows.append((len(self.rows) + 1, kind, x, y, z, radius, parent))
        return len(self.rows)

    def branch(self, kind: int, parent: int, start: tuple[float, float, float], direction: tuple[float, float, float],
               length: float, diameter: tuple[float, float]) -> tuple[int, tuple[float, float, float]]:
        """Points along a straight branch, from ``start``; its last point."""
        norm, n = math.hypot(*direction), round(length / STEP)
        place = start
        for k in range(0 if parent == 1 else 1, n + 1):       # those on the soma start with a point of their own
            s = k / n
            place = tuple(a + s * length * d / norm for a, d in zip(start, direction, strict=True))
            parent = self.point(kind, *place, (diameter[0] + s * (diameter[1] - diameter[0])) / 2.0, parent)
        return parent, place


def pyramidal() -> Cell:
    cell, r = Cell(), 8.0
    cell.point(SOMA, 0.0, 0.0, 0.0, r, -1)
    trunk, at = cell.branch(APICAL, 1, (0.0, r, 0.0), (0, 1, 0), 60.0, (3.4, 3.0))
    for side in (1, -1):
        cell.branch(APICAL, trunk, at, (side, 0.5, 0.3 * side), 90.0, (1.2, 0.8))
    trunk, at = cell.branch(APICAL, trunk, at, (0, 1, 0), 90.0, (2.8, 2.4))
    for side in (1, -1):
        cell.branch(APICAL, trunk, at, (side, 0.7, -0.4 * side), 80.0, (1.1, 0.8))
    trunk, at = cell.branch(APICAL, trunk, at, (0, 1, 0), 80.0, (2.2, 2.0))
    for side in (1, -1):
        fork, there = cell.branch(APICAL, trunk, at, (0.6 * side, 1, 0), 40.0, (1.3, 1.2))
        for turn in (1, -1):
            cell.branch(APICAL, fork, there, (0.6 * side + 0.4 * turn, 1, 0.3 * turn), 80.0, (0.8, 0.6))
    for k in range(4):
        angle = math.pi / 4 + k * math.pi / 2
        c, s = math.cos(angle), math.sin(angle)
        fork, there = cell.branch(BASAL, 1, (r * c, -2.0, r * s), (c, -0.6, s), 30.0, (1.8, 1.5))
        for turn in (1, -1):
            cell.branch(BASAL, fork, there, (c - 0.5 * turn * s, -0.6, s + 0.5 * turn * c), 100.0, (1.0, 0.7))
    cell.branch(AXON, 1, (0.0, -r, 0.0), (0, -1, 0), 100.0, (1.0, 0.8))
    return cell


if __name__ == "__main__":
    head = ["# A pyramidal cell by rule (make_pyramidal.py); it stands for no real one.",
            "# number type x y z radius parent"]
    rows = [f"{n} {kind} {x:.3f} {y:.3f} {z:.3f} {r:.4f} {up}" for n, kind, x, y, z, r, up in pyramidal().rows]
    Path(__file__).with_name("pyramidal.swc").write_text("\n".join(head + rows) + "\n")
