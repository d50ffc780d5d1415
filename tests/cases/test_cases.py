"""Every case is a test: cases/<name>/expected.toml says which numbers of summary.json must come out.

    [[expect]]
    key = "probe_activation_ms.P8"
    value = 127.2
    within = 0.1
    why = "..."
"""

import json
import math
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CASES = sorted(path.parent for path in (Path(__file__).parents[2] / "cases").glob("*/case.toml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_case_gives_what_it_promises(case, tmp_path):
    expected = tomllib.loads((case / "expected.toml").read_text())["expect"]
    run = subprocess.run([sys.executable, "-m", "upstroke", "run", str(case), "--out", str(tmp_path / "out")],
                         capture_output=True, text=True, env=os.environ)
    assert run.returncode == 0, run.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert expected
    for item in expected:
        value = summary
        for part in item["key"].split("."):
            value = value[part]
        assert math.isclose(value, item["value"], rel_tol=0, abs_tol=item["within"]), \
            f"{item['key']} = {value}, expected {item['value']} within {item['within']}: {item['why']}"


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_case_has_a_readme(case):
    assert len((case / "README.md").read_text()) > 200
