"""The C compiler: found, tried, and its results cached.

A library is built once per source, flags, compiler and processor, and kept with its source in ``$UPSTROKE_CACHE``, else
``$XDG_CACHE_HOME/upstroke``, else ``~/.cache/upstroke``; where none of these can be written, in a temporary directory
that goes with the process. A file appears under its final name only when it is whole, so any number of processes may
compile at once.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from upstroke.errors import BackendError

#: Optimise and vectorise, and keep NaN, inf, the order of operations and the process's floating-point mode intact.
#: Never -ffast-math (gcc would link start-up code that puts the whole process into flush-to-zero), -fassociative-math
#: (turns expm1 into exp - 1) or -ffinite-math-only (clang then takes every test for NaN as false): kernels are written
#: so that these would gain nothing.
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros",
         "-ffp-contract=fast", "-freciprocal-math")
NATIVE = "-march=native"

#: ``extra_flags`` that undo all of it: scalar code with libm, as strict as the language; the yardstick of benchmarks.
SCALAR_LIBM = ("-O2", "-DUPSTROKE_LIBM", "-fno-tree-vectorize", "-fno-openmp-simd", "-fmath-errno", "-ftrapping-math",
               "-fsigned-zeros", "-ffp-contract=off", "-fno-reciprocal-math")

_REMEDY = "pip install 'upstroke[compiler]'"
_PROBE = """\
__attribute__((visibility("default"))) void upstroke_probe(long n, double *x)
{
    _Pragma("omp simd") for (long i = 0; i < n; i++) x[i] = 2 * x[i] + 1;
}
"""
_LOG_LINES = 12


@dataclass(frozen=True)
class Compiler:
    """A compiler that has compiled and linked a shared library on this machine."""

    name: str                  # "gcc", "clang", "zig", ...
    version: str               # first line of --version
    command: tuple[str, ...]
    native: bool               # whether it knows this processor's own instructions

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of every compilation."""
        return (*FLAGS, NATIVE) if self.native else FLAGS

    def __str__(self) -> str:
        return f"{self.name} ({self.version}{'' if self.native else ', generic instructions'})"


@cache
def find_compiler() -> Compiler:
    """The first of $CC, cc, gcc, clang and the ``ziglang`` wheel that works.

    Raises
    ------
    BackendError : none does; or $CC is set and does not
    """
    if os.environ.get("CC"):
        command = tuple(shlex.split(os.environ["CC"]))
        if found := try_compiler(command):
            return found
        raise BackendError("CC", f"the compiler {' '.join(command)!r} cannot build a shared library",
                           "set CC to a working C compiler, or unset it")
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name) and (found := try_compiler((name,))):
            return found
    if find_spec("ziglang") and (found := try_compiler((sys.executable, "-m", "ziglang", "cc"))):
        return found
    raise BackendError("compiler", "no working C compiler was found (tried cc, gcc, clang, ziglang)", _REMEDY)


@cache
def try_compiler(command: tuple[str, ...]) -> Compiler | None:
    """The compiler behind a command, or None where it cannot build a shared library."""
    try:
        run = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = run.stdout.strip().partition("\n")[0]
    words = f"{' '.join(command)} {run.stdout}".lower()
    names = {"zig": "zig", "clang": "clang", "gcc": "gcc", "free software foundation": "gcc"}
    name = next((name for word, name in names.items() if word in words), Path(command[0]).name)
    for native in (True, False):
        compiler = Compiler(name, version, command, native)
        try:
            compile_c(_PROBE, compiler=compiler)
        except BackendError:
            continue
        return compiler
    return None


def compile_c(source: str, *, extra_flags: Sequence[str] = (), compiler: Compiler | None = None) -> Path:
    """Compile a C translation unit into a shared library, or take it from the cache.

    Parameters
    ----------
    source : C11 text
    extra_flags : put after ``compiler.flags``, so they win
    compiler : default ``find_compiler()``

    Raises
    ------
    BackendError : no compiler, or it refuses the source (with the place of the source and of the compiler's log)
    """
    compiler = compiler or find_compiler()
    flags = (*compiler.flags, *extra_flags)
    identity = "\0".join((source, *flags, *compiler.command, compiler.version, _processor()))
    key = hashlib.sha256(identity.encode()).hexdigest()[:32]
    folder = cache_directory()
    library = folder / f"{key}.so"
    if not library.exists():
        _build(compiler, flags, source, folder, key)
    return library


def _build(compiler: Compiler, flags: Sequence[str], source: str, folder: Path, key: str) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{key}-", dir=folder) as scratch:
        unit, library = Path(scratch, "unit.c"), Path(scratch, "unit.so")
        unit.write_text(source)
        command = [*compiler.command, *flags, "-shared", "-o", str(library), str(unit), "-lm", "-pthread"]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            failed, log = run.returncode != 0 or not library.exists(), run.stderr + run.stdout
        except (OSError, subprocess.SubprocessError) as error:
            failed, log = True, str(error)
        unit.replace(folder / f"{key}.c")
        if failed:
            report = folder / f"{key}.log"
            report.write_text(f"{shlex.join(command)}\n{log}")
            first = "\n".join(log.strip().splitlines()[:_LOG_LINES])
            raise BackendError(str(folder / f"{key}.c"), f"{compiler.name} could not compile this:\n{first}",
                               f"the whole log is {report}")
        library.replace(folder / f"{key}.so")


def cache_directory() -> Path:
    """Where libraries are kept; made on first use."""
    if chosen := os.environ.get("UPSTROKE_CACHE"):
        folder = Path(chosen)
    elif xdg := os.environ.get("XDG_CACHE_HOME"):
        folder = Path(xdg, "upstroke")
    else:
        folder = Path(os.path.expanduser("~"), ".cache", "upstroke")
    return folder if _writable(folder) else _temporary_directory()


@cache
def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@cache
def _temporary_directory() -> Path:
    folder = tempfile.mkdtemp(prefix="upstroke-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def _processor() -> str:
    """What -march=native means here: a home directory may be shared by unlike machines."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return f"{platform.system()} {platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    lines = {line for line in text.splitlines() if line.startswith(wanted)}
    return "\n".join((platform.machine(), *sorted(lines)))
