"""The command ``upstroke``: parses, calls, prints errors; nothing else.

Exit codes: 0 done, 2 the user's mistake, 75 ended early with a checkpoint, 1 anything else.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from upstroke.cli.parser import parse
from upstroke.errors import UpstrokeError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        arguments = parse(words[:1] if words[:1] == ["bench"] else words)
        arguments.words = words[1:]
        return arguments.verb(arguments)
    except (UpstrokeError, KeyboardInterrupt) as error:
        message = "\n".join([str(error) or "interrupted", *getattr(error, "__notes__", ())])
        code = error.exit_code if isinstance(error, UpstrokeError) else 1
        job = sys.modules.get("upstroke.parallel")       # of processes that fail alike one says why
        if job is None or job.end_job(code, message):
            print(message, file=sys.stderr)
        return code
    except MemoryError as error:
        print(f"not enough memory: {error}",
              "  -> ask for less (fewer nodes, a smaller picture), or take a machine with more memory",
              *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
        return 1
    except BrokenPipeError:      # the reader (head, less) has gone
        sys.stderr.close()
        return 1


def _terminate(*_: object) -> None:
    """A run that is told to end (kill, a queue's time limit) closes its files as on Ctrl-C."""
    raise KeyboardInterrupt("terminated")
