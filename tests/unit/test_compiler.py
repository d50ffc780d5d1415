"""The C compiler: which one is taken, what is cached where, and what a failure says."""

from __future__ import annotations

import ast
import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from upstroke.backend import compiler as module
from upstroke.backend.compiler import Compiler, cache_directory, compile_c, find_compiler, try_compiler
from upstroke.errors import BackendError

SOURCE = "double twice(double x) { return 2 * x; }\n"


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Each test finds the compiler anew and has a cache of its own."""
    monkeypatch.setenv("UPSTROKE_CACHE", str(tmp_path / "cache"))
    for function in (find_compiler, try_compiler, module._writable):
        function.cache_clear()
    yield
    for function in (find_compiler, try_compiler, module._writable):
        function.cache_clear()


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_library_is_compiled_once_and_kept_with_its_source():
    library = compile_c(SOURCE)
    twice = ctypes.CDLL(str(library)).twice
    twice.restype, twice.argtypes = ctypes.c_double, [ctypes.c_double]
    assert twice(21.0) == 42.0
    assert library.with_suffix(".c").read_text() == SOURCE
    made = library.stat().st_mtime_ns
    assert compile_c(SOURCE) == library
    assert library.stat().st_mtime_ns == made
    assert compile_c(SOURCE, extra_flags=["-O1"]) != library
    assert compile_c(SOURCE + "\n") != library


def test_processes_may_compile_at_once():
    code = f"from upstroke.backend.compiler import compile_c; print(compile_c({SOURCE!r}))"
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=_environment())
            for _ in range(3)]
    paths = {run.communicate()[0].strip() for run in runs}
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(paths) == 1
    folder = Path(paths.pop()).parent
    assert [p for p in folder.iterdir() if p.is_dir()] == []   # no scratch is left


def _environment():
    return {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[2])}


def test_loading_a_library_leaves_subnormal_numbers_alone():
    code = ("import ctypes, sys; ctypes.CDLL(sys.argv[1]); x = float('1e-310'); "
            "sys.exit(0 if x / 2 > 0 else 'flushed to zero')")
    subprocess.run([sys.executable, "-c", code, str(compile_c(SOURCE))], check=True)


def test_cc_is_taken_first(monkeypatch, tmp_path):
    real = find_compiler()
    find_compiler.cache_clear()
    mine = script(tmp_path / "my-cc", f'exec {" ".join(real.command)} "$@"')
    monkeypatch.setenv("CC", f"{mine} -DMINE")
    assert find_compiler().command == (mine, "-DMINE")
    assert compile_c("#ifndef MINE\n#error no\n#endif\n" + SOURCE).exists()


def test_a_cc_that_does_not_work_is_an_error(monkeypatch):
    monkeypatch.setenv("CC", "/nowhere/cc -O")
    with pytest.raises(BackendError) as error:
        find_compiler()
    assert str(error.value) == ("CC: the compiler '/nowhere/cc -O' cannot build a shared library\n"
                                "  -> set CC to a working C compiler, or unset it")


def test_without_any_compiler_the_remedy_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(BackendError) as error:
        find_compiler()
    assert str(error.value) == ("compiler: no working C compiler was found (tried cc, gcc, clang, ziglang)\n"
                                "  -> pip install 'upstroke[compiler]'")


def test_a_broken_cc_is_passed_over_for_ziglang(monkeypatch, tmp_path):
    if not module.find_spec("ziglang"):
        pytest.skip("ziglang is not installed")
    script(tmp_path / "cc", "exit 1")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    found = find_compiler()
    assert (found.name, found.command) == ("zig", (sys.executable, "-m", "ziglang", "cc"))
    assert compile_c(SOURCE).exists()


def test_a_compiler_that_does_not_know_the_processor_goes_without_native(tmp_path):
    real = find_compiler()
    refuse = 'case "$*" in *-march=native*) exit 1;; esac'
    plain = script(tmp_path / "plain-cc", f'{refuse}\nexec {" ".join(real.command)} "$@"')
    found = try_compiler((plain,))
    assert found is not None
    assert not found.native
    assert "-march=native" not in found.flags
    assert str(found) == f"{found.name} ({found.version}, generic instructions)"


def test_a_refused_source_tells_the_place_and_the_log(tmp_path):
    fake = script(tmp_path / "fake", "echo 'unit.c:1: what is this?' >&2; exit 1")
    with pytest.raises(BackendError) as error:
        compile_c("nonsense\n", compiler=Compiler("fake", "1.0", (fake,), False))
    source, log = (next((tmp_path / "cache").glob(f"*.{kind}")) for kind in ("c", "log"))
    assert str(error.value) == (f"{source}: fake could not compile this:\nunit.c:1: what is this?\n"
                                f"  -> the whole log is {log}")
    assert source.read_text() == "nonsense\n"
    assert log.read_text().startswith(f"{fake} -O3")
    assert list((tmp_path / "cache").glob("*.so")) == []


def test_where_the_cache_lies(monkeypatch, tmp_path):
    assert cache_directory() == tmp_path / "cache"
    monkeypatch.delenv("UPSTROKE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "upstroke"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_directory() == tmp_path / "home" / ".cache" / "upstroke"


def test_an_unwritable_cache_falls_back_to_a_temporary_directory(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("UPSTROKE_CACHE", str(tmp_path / "file" / "cache"))
    folder = cache_directory()
    assert folder.name.startswith("upstroke-")
    assert compile_c(SOURCE).parent == folder


def test_the_module_imports_nothing_but_the_standard_library():
    tree = ast.parse(Path(module.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names) == {"upstroke"}
    assert {name for name in imported if name.startswith("upstroke")} == {"upstroke.errors"}
