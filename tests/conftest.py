"""For all tests: the way to samples.py, and stand-ins for what machines lack: CuPy (tests/emulated), petsc4py."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

EMULATED = Path(__file__).parent / "emulated"
STANDIN = Path(__file__).parent / "standin"
sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")       # else small matrices keep all cores busy with waiting


def _take_cupy_out() -> dict[str, ModuleType]:
    """CuPy's modules, and those that hold on to them."""
    names = [name for name in sys.modules
             if name.partition(".")[0] in ("cupy", "cupyx") or name.startswith("upstroke.backend.cuda")]
    return {name: sys.modules.pop(name) for name in names}


@pytest.fixture
def emulated_cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """``import cupy`` finds the emulator, freshly loaded, for the time of the test."""
    others = _take_cupy_out()
    monkeypatch.syspath_prepend(EMULATED)
    import cupy
    assert Path(cupy.__file__).parents[1] == EMULATED
    yield cupy
    _take_cupy_out()
    sys.modules.update(others)


@pytest.fixture
def emulated_environment() -> dict[str, str]:
    """The environment of a process, say ``python -m upstroke``, that finds the emulator as CuPy."""
    solver = EMULATED.parents[1] / "solver"
    paths = (str(EMULATED), str(solver), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@pytest.fixture
def standin_petsc(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """``import petsc4py`` finds the stand-in, freshly loaded, for the time of the test."""
    def take_out() -> dict[str, ModuleType]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "petsc4py"}

    others = take_out()
    monkeypatch.syspath_prepend(STANDIN)
    import petsc4py
    assert Path(petsc4py.__file__).parents[1] == STANDIN
    yield petsc4py
    take_out()
    sys.modules.update(others)
