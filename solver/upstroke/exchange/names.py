"""Names for the variables of another format: legal in the model language, short, and each only once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from upstroke.ionic.expr import FUNCTIONS

_TAKEN = {"V", "Vm", "t", "dt", "Iion", "abs", "if", "elif", "else", "group", "and", "or", "not", *FUNCTIONS}
_MEANS_SOMETHING = re.compile(r"diff_\w+|d_\w+_dt|\w+_init")


def legal(name: str) -> bool:
    """Whether a variable may have this name without meaning something else by it."""
    return bool(re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII)) and name not in _TAKEN \
        and not _MEANS_SOMETHING.fullmatch(name)


class Names:
    """Gives names out, each once."""

    def __init__(self) -> None:
        self.given: set[str] = set()

    def take(self, name: str) -> str:
        """This name, or with a number behind it."""
        name = re.sub(r"\W", "_", name, flags=re.ASCII)
        tries: Iterable[str] = (name, *(f"{name}_{i}" for i in range(2, 10_000)))
        free = next(n for n in tries if legal(n) and n not in self.given)
        self.given.add(free)
        return free

    def take_all(self, wanted: Sequence[tuple[str, str]], allowed: Callable[[str], bool]) -> list[str]:
        """Names for (short, long) pairs: the short one where it is legal, allowed, free, and wanted once."""
        count: dict[str, int] = {}
        for short, _ in wanted:
            count[short] = count.get(short, 0) + 1
        plain = [legal(s) and allowed(s) and s not in self.given and count[s] == 1 for s, _ in wanted]
        self.given |= {short for (short, _), easy in zip(wanted, plain, strict=True) if easy}
        return [short if easy else self.take(self._behind(long, allowed))
                for (short, long), easy in zip(wanted, plain, strict=True)]

    @staticmethod
    def _behind(long: str, allowed: Callable[[str], bool]) -> str:
        return long if legal(long) and allowed(long) else f"the_{long}_value"
