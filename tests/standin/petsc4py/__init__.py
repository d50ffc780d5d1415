"""A stand-in for petsc4py on one process, for machines without it: the calls that petsc_diffusion.py makes, by SciPy's
matrices and a textbook's conjugate gradients. What PETSc would refuse or ignore is refused or ignored here, too. The
tests that it passes are run with the real one where that is installed."""

from __future__ import annotations

from typing import Any

_called: list[tuple[Any, Any]] = []       # what init was given


def init(args: Any = None, arch: Any = None, comm: Any = None) -> None:
    _called.append((args, comm))
