"""These tests need a CUDA device, or the stand-in for CuPy of tests/emulated on the path (then with tiny cases)."""

import json
import os
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


SEEN: dict[str, dict[str, float]] = {}


@pytest.fixture
def same(tmp_path, request):
    """Runs a case on the CPU and on the GPU and compares what is left behind."""
    from compare import Comparison

    return Comparison(tmp_path, SEEN.setdefault(request.node.name.removeprefix("test_"), {}))


def pytest_terminal_summary(terminalreporter):
    """By how much the two devices differed; kept where the environment names a folder for results."""
    rows = {name: seen for name, seen in SEEN.items() if seen}
    if not rows:
        return
    from compare import tiny

    lines = ["| test | largest differences between CPU and GPU: times in ms, V at the end in mV |", "|---|---|"]
    lines += [f"| {name} | {'; '.join(f'{kind}: {worst:.1e}' for kind, worst in seen.items())} |"
              for name, seen in rows.items()]
    terminalreporter.write_line("\n".join(lines))
    if not tiny() and (folder := os.environ.get("RESULTS")):
        (Path(folder) / "gpu_tests.md").write_text("\n".join(lines) + "\n")
        (Path(folder) / "gpu_tests.json").write_text(json.dumps(rows, indent=1) + "\n")
