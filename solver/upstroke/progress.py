"""Long work shows where it is: simulated time, rate, time left; on stderr, nothing where nobody asked."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from time import monotonic

EVERY_TERMINAL, EVERY_FILE = 0.2, 10.0     # seconds between two looks at the bar


def progress(steps: Iterable[int], n_steps: int, dt: float, nodes: int, show: bool,
             wait: float = 0.0) -> Generator[int]:
    """Pass ``steps`` (0 ... n_steps) through, with a bar in milliseconds of simulated time; none for what takes less
    than ``wait`` seconds."""
    if not show:
        yield from steps
        return
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    bar = tqdm(total=n_steps, file=sys.stderr, mininterval=0.0, delay=wait, ascii=not terminal, dynamic_ncols=terminal,
               bar_format="{desc} |{bar:24}| {percentage:3.0f}% [{elapsed}<{remaining}{postfix}]")
    every = EVERY_TERMINAL if terminal else EVERY_FILE
    shown, last = 0, monotonic()
    with bar:
        for n in steps:
            yield n
            now = monotonic()
            if now - last >= every or n == n_steps:
                rate = (n - shown) * nodes / max(now - last, 1e-9)
                bar.set_description_str(f"{n * dt:.6g}/{n_steps * dt:.6g} ms", refresh=False)
                bar.set_postfix_str(f"{rate:.2e} node-steps/s", refresh=False)
                bar.update(n - shown)
                shown, last = n, now
