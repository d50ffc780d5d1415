"""These tests need a CUDA device, or the stand-in for CuPy of tests/emulated on the path (then with tiny cases)."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def missing() -> str:
    """Why there is no device; empty where there is one."""
    try:
        import cupy
    except ImportError:
        return "no CuPy here"
    return "" if cupy.cuda.is_available() else "CuPy finds no CUDA device"


def pytest_collection_modifyitems(items):
    reason = missing()
    if reason:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def same(tmp_path):
    """Runs a case on the CPU and on the GPU and compares what is left behind."""
    from compare import Comparison

    return Comparison(tmp_path)
