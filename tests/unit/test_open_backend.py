"""Which device a run gets, and what it is told where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from upstroke.backend import open_backend
from upstroke.cli import main
from upstroke.errors import BackendError


def hide_cupy(monkeypatch):
    monkeypatch.setattr("upstroke.backend.find_spec", lambda name: None)


def test_auto_without_cupy_is_the_cpu_and_says_why(monkeypatch):
    hide_cupy(monkeypatch)
    backend = open_backend("auto", threads=1)
    assert backend.name == "cpu"
    assert backend.describe()["chosen"] == "CUDA cannot be used: CuPy is not installed"


def test_cuda_without_cupy(monkeypatch):
    hide_cupy(monkeypatch)
    with pytest.raises(BackendError) as error:
        open_backend("cuda")
    assert str(error.value) == ('backend.device: CUDA cannot be used: CuPy is not installed\n'
                                '  -> pip install "cupy-cuda13x[ctk]" (or cupy-cuda12x), or take device = "cpu"')


def test_cuda_without_a_device(emulated_cupy, monkeypatch):
    monkeypatch.setenv("UPSTROKE_EMULATED_DEVICES", "0")
    with pytest.raises(BackendError) as error:
        open_backend("cuda")
    assert str(error.value) == (
        "backend.device: CUDA cannot be used: CuPy finds no CUDA device\n"
        '  -> see nvidia-smi, and whether the cupy package is for its CUDA version, or take device = "cpu"')
    assert open_backend("auto", threads=1).choice == "CUDA cannot be used: CuPy finds no CUDA device"


def test_a_kernel_that_fails_is_no_device(emulated_cupy, monkeypatch):
    def fail(*args, **keys):
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(emulated_cupy, "RawModule", fail)
    backend = open_backend("auto", threads=1)
    assert backend.choice == "CUDA cannot be used: a probe kernel failed: no kernel image is available"


def test_auto_takes_a_gpu_that_works(emulated_cupy):
    backend = open_backend("auto")
    assert (backend.name, backend.choice) == ("cuda", "a GPU works")
    assert backend.describe()["device"] == "cuda"


def test_a_broken_cupy_is_no_device(monkeypatch, tmp_path):
    """CuPy may be there and not import, for want of a library."""
    (tmp_path / "cupy.py").write_text("raise ImportError('libcublas.so.13: cannot open shared object file')")
    code = "from upstroke.backend import open_backend; print(open_backend('auto', 1).choice)"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         env={**os.environ, "PYTHONPATH": path})
    assert run.stdout == ("CUDA cannot be used: CuPy cannot be imported: libcublas.so.13: cannot open shared object "
                          "file\n"), run.stderr


def test_the_flag_of_the_command_line(tmp_path, capsys, monkeypatch):
    hide_cupy(monkeypatch)
    case = Path(__file__).parents[2] / "cases" / "axon"
    assert main(["run", str(case), "--backend", "cuda", "--out", str(tmp_path / "out"), "--quiet"]) == 1
    assert "CUDA cannot be used: CuPy is not installed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
