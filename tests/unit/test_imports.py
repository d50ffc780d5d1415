"""Who may import whom: the rooms of the house (docs/architecture.md), and what must stay out of the core."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import upstroke

PACKAGE = Path(upstroke.__file__).parent
OPEN_TO_ALL = {"errors", "units"}
MAY_IMPORT = {
    "units": set(), "errors": set(),
    "case": set(), "mesh": {"case"}, "space": {"case", "mesh"}, "ionic": set(), "codegen": {"ionic"},
    "backend": set(), "protocol": {"case", "mesh"},
    "step": {"case", "space", "ionic", "codegen", "backend", "protocol"},
    "observe": {"case", "mesh", "space", "backend"}, "output": {"case", "mesh", "observe"},
    "progress": set(), "result": {"case", "mesh", "observe", "step", "view"},
    "view": {"case", "mesh", "output", "protocol"},
    "waves": {"case", "space", "ionic", "codegen", "backend", "step"},
    "setup": {"case", "mesh", "space", "ionic", "codegen", "backend", "step", "waves", "bench",
              "prepace"},
    "record": {"backend", "case", "mesh", "observe", "output", "parallel", "result", "setup"},
    "run": {"case", "mesh", "space", "ionic", "codegen", "backend", "protocol", "step", "observe", "output", "progress",
            "setup", "record", "result", "checkpoint", "parallel"},
    "checkpoint": {"case", "codegen", "observe", "output", "setup", "step"},
    "parallel": {"backend", "case", "space"},
    "anatomy": {"case", "mesh", "output"},
    "check": {"case", "mesh", "space", "codegen", "ionic", "step", "observe", "run", "setup"},
    "cli": {"case", "run", "check", "ionic", "codegen", "output", "emit", "exchange", "waves", "bench", "reduce",
            "sweep", "view", "experiments", "anatomy"},
    "prepace": {"backend", "bench", "case", "ionic", "output", "waves"},
    "experiments": {"case", "mesh", "observe", "output", "parallel", "protocol", "record", "run", "setup", "step"},
    "reduce": {"case", "mesh", "space", "ionic", "setup", "run", "output"},
    "batch": {"backend", "case", "observe", "output", "record", "result", "run", "setup", "space", "step"},
    "sweep": {"backend", "batch", "case", "output", "parallel", "run"},
    "exchange": {"ionic"},
    "bench": {"ionic", "codegen", "backend", "step", "output", "progress"},
    "emit": {"ionic", "codegen", "backend", "step"},
    "reference": {"ionic", "codegen", "backend"},
    "__main__": {"cli"}, "__init__": {"case", "ionic", "result", "run"},
}
HEAVY = {"pyvista": ("output/render.py", "result.py"), "vtk": ("output/render.py",),
         "matplotlib": ("output/render.py", "bench/plot.py", "reduce/report.py", "sweep/gather.py",
                        "view/paper.py", "view/curves.py", "view/cell.py", "experiments/restitution.py"),
         "PIL": ("view/film.py",),
         "imageio_ffmpeg": ("view/film.py",), "efel": ("view/features.py",),
         "mpi4py": ("parallel/__init__.py", "parallel/ranks.py", "sweep/__init__.py"),
         "cupy": ("backend/cuda.py", "backend/cuda_loop.py", "backend/cuda_ranks.py"), "morphio": ("mesh/traced.py",),
         "myokit": ("exchange/source.py",), "gmsh": ("anatomy/gmsh.py",),
         "petsc4py": ("backend/petsc_diffusion.py",),
         "cupyx": ("backend/cuda.py",)}     # and the files that may import it


def room(path):
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


def imports(path):
    """(module, line) of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module, node.lineno


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_import_only_what_they_may(path):
    here = room(path)
    for module, line in imports(path):
        if module.startswith("upstroke."):
            there = module.split(".")[1]
            assert there == here or there in OPEN_TO_ALL | MAY_IMPORT[here], \
                f"{path.relative_to(PACKAGE)}:{line}: {here} may not import {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_packages_stay_in_their_files(path):
    here = path.relative_to(PACKAGE).as_posix()
    for module, line in imports(path):
        allowed = HEAVY.get(module.split(".")[0], (here,))
        assert here in allowed, f"{here}:{line}: {module} belongs to {allowed}"


def modules_after(code):
    run = subprocess.run([sys.executable, "-c", code + "; import sys; print(*sys.modules)"], capture_output=True,
                         text=True, check=True, env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)})
    return set(run.stdout.split())


def test_the_core_runs_without_what_draws():
    assert not modules_after("import upstroke; upstroke.run; import upstroke.run") & HEAVY.keys()


def test_the_command_line_starts_light():
    loaded = modules_after("from upstroke.cli import parser; parser.make_parser()")
    assert not loaded & {"numpy", "scipy", "meshio", "h5py", "pint", "lark", "tqdm"}
