"""The single-cell laboratory: ``upstroke bench``."""

from __future__ import annotations

from collections.abc import Sequence

from upstroke.errors import BackendError


def main(argv: Sequence[str]) -> int:
    """The verb ``bench``: the exit code. Raises UpstrokeError for what the user has to know."""
    from upstroke.bench.options import parse

    options = parse(argv)
    if options.asked:
        from upstroke.bench.help import answer

        print(answer(options.asked))
        return 0
    from upstroke.bench.run import bench  # NumPy, the grammar and the compiler only where something is computed

    try:
        bench(options)
    except MemoryError as error:
        raise BackendError("", f"not enough memory: {error}",
                           "take fewer cells (--num), stimuli or rows (--dt-out)") from None
    return 0


__all__ = ["main"]
