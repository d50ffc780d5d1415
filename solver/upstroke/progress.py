"""Long work shows where it is: simulated time, rate, time left; on stderr, nothing where nobody asked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator


def progress(steps: Iterable[int], n_steps: int, dt: float, nodes: int, show: bool) -> Iterator[int]:
    """Pass ``steps`` (0 ... n_steps) through, with a bar in milliseconds of simulated time."""
    if not show:
        yield from steps
        return
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    bar = tqdm(total=n_steps, file=sys.stderr, mininterval=0.2 if terminal else 10.0, ascii=not terminal,
               bar_format="{desc} |{bar:24}| {percentage:3.0f}% [{elapsed}<{remaining}{postfix}]",
               dynamic_ncols=terminal)
    with bar:
        for n in steps:
            if n:
                bar.update(1)
            rate = bar.format_dict["rate"]
            bar.set_description_str(f"{n * dt:.6g}/{n_steps * dt:.6g} ms", refresh=False)
            bar.set_postfix_str(f"{rate * nodes:.2e} node-steps/s" if rate else "", refresh=False)
            yield n
