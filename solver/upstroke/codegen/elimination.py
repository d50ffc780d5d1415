"""Gauss's elimination of a small sparse system, written out: the statements of a node solve it without a loop."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


class Elimination:
    """A = L U of (unknowns x unknowns) numbers of which only ``entries`` and the diagonal are not zero.

    Pivots stay on the diagonal, in Markowitz's order: next is the one that fills in least. That is stable where each
    column's diagonal outweighs the rest of it, as in a Markov chain's I - dt Q, and small steps see to it elsewhere.
    In C: ``m0_1`` entries, ``q1_0`` multipliers, ``m0`` reciprocals of pivots, by the numbers of the unknowns.
    """

    def __init__(self, unknowns: Sequence[str], entries: Collection[tuple[str, str]]) -> None:
        number = {name: i for i, name in enumerate(unknowns)}
        self.unknowns = tuple(unknowns)
        self._filled = {(number[a], number[b]) for a, b in entries} | {(i, i) for i in number.values()}
        self._given = frozenset(self._filled)
        self._pivots: list[tuple[int, list[int], list[int]]] = []          # pivot, rows below, columns to the right
        left = set(number.values())
        while left:
            pivot = min(left, key=lambda p: (self._price(p, left), p))
            left.remove(pivot)
            below = sorted(i for i in left if (i, pivot) in self._filled)
            right = sorted(j for j in left if (pivot, j) in self._filled)
            self._filled |= {(i, j) for i in below for j in right}
            self._pivots.append((pivot, below, right))

    def _price(self, pivot: int, left: set[int]) -> int:
        rows = sum((i, pivot) in self._filled for i in left) - 1
        return rows * (sum((pivot, j) in self._filled for j in left) - 1)

    @property
    def products(self) -> int:
        """Multiplications of the factorisation."""
        return sum(len(below) * (1 + len(right)) for _, below, right in self._pivots)

    def factor(self) -> list[str]:
        """L and U in place of the entries, which are ``real m<row>_<column>``, and the reciprocals of the pivots."""
        lines, known = [], set(self._given)
        for p, below, right in self._pivots:
            lines.append(f"const real m{p} = up_div(1, m{p}_{p});")
            for i in below:
                lines.append(f"const real q{i}_{p} = m{i}_{p} * m{p};")
                for j in right:
                    here, change = f"m{i}_{j}", f"q{i}_{p} * m{p}_{j}"
                    lines.append(f"{here} = {here} - {change};" if (i, j) in known else f"real {here} = -{change};")
                    known.add((i, j))
        return lines

    def solve(self, prefix: str, active: Iterable[str]) -> list[str]:
        """The unknowns ``active``, none of which is coupled to others, in place of their right-hand sides."""
        name = [f"{prefix}_{unknown}" for unknown in self.unknowns]
        chosen = set(active)
        pivots = [step for step in self._pivots if self.unknowns[step[0]] in chosen]
        lines = [f"{name[i]} = {name[i]} - q{i}_{p} * {name[p]};" for p, below, _ in pivots for i in below]
        for p, _, right in reversed(pivots):
            rest = "".join(f" - m{p}_{j} * {name[j]}" for j in right)
            lines.append(f"{name[p]} = {f'({name[p]}{rest})' if rest else name[p]} * m{p};")
        return lines
