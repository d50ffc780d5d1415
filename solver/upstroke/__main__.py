"""``python -m upstroke`` is the command ``upstroke``."""

from upstroke.cli import main

raise SystemExit(main())
