"""``manifest.json``: what was run, by what, on what, and how it ended. Written at the start, rewritten at the end."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import upstroke
from upstroke.errors import OutputError

Status = Literal["running", "done", "interrupted", "failed"]
PACKAGES = ("numpy", "scipy", "meshio", "h5py", "pint", "lark", "ziglang", "pyvista", "vtk", "matplotlib",
            "mpi4py", "petsc4py")
UNITS = {
    "case": "cm, ms, mV, uA/cm^2, mS/cm, uF/cm^2",
    "activation.vtu": "points in mm; times in ms",
    "vm.vtkhdf": "points in mm; time in ms; V, phi_e in mV; Iion, Isyn and the like in uA/cm^2; states in "
    "their model's units",
    "probes.csv": "time in ms; V in mV; Iion, Isyn and the like in uA/cm^2; states in their model's units",
    "spikes.csv": "time in ms",
    "ecg.csv": "time in ms; potentials in mV",
    "tips.csv": "time in ms; places in mm",
    "filaments.csv": "time in ms; places and lengths in mm",
    "summary.json": "as the names say",
}


def start_manifest(case: Any, backend: Mapping[str, Any], command: list[str] | None = None) -> dict[str, Any]:
    """The manifest of a run that starts now, for `files.write_json`.

    Arguments
    ---------
    case : the resolved case, a dataclass or dict
    backend : what computes: device, compiler, threads, precision (``CpuBackend.describe()``)
    command : the command line; default: that of this process
    """
    installed, checkout = _software()
    return {
        "status": "running",
        "start": _now(),
        "end": None,
        "command": sys.argv if command is None else command,
        "case": case,
        "units": UNITS,
        "backend": dict(backend),
        "versions": dict(installed),
        "commit": checkout,
        "host": {"name": platform.node(), "system": platform.platform(), "cpus": os.cpu_count()},
        "timings_s": {},
        "files": [],
        "notes": [],
    }


def finish_manifest(manifest: Mapping[str, Any], status: Status, timings: Mapping[str, float],
                    files: list[str] | None = None, notes: list[str] | None = None, error: str = "") -> dict[str, Any]:
    """The manifest of a run that ended now: the same, with its status, seconds per phase, files, notes and error."""
    finished = {**manifest, "status": status, "end": _now(), "timings_s": dict(timings), "files": files or [],
                "notes": notes or []}
    return finished | ({"error": error} if error else {})


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a run directory.

    Raises
    ------
    OutputError where there is none, or one that cannot be read
    """
    path = directory / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(manifest, dict) and {"status", "case"} <= manifest.keys():
            return manifest
    except (OSError, ValueError):
        pass
    raise OutputError(str(directory), "is no run directory: it has no manifest.json of a run",
                      "name a folder that `upstroke run` made")


@cache
def _software() -> tuple[dict[str, str], str | None]:
    """Versions and commit as this process found them first: what it computes with does not change after that."""
    return versions(), commit()


def versions() -> dict[str, str]:
    """Python and every package that takes part, as installed; nothing is imported for it."""
    found = {"upstroke": upstroke.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The git commit of the package's checkout, with ``+changes`` where files differ from it; None elsewhere."""
    package = Path(upstroke.__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(package), *arguments], check=True, capture_output=True, text=True,
                              timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")   # not some other project's checkout around a .venv
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
