"""The kernel of every shipped model compiles for sm_90 in each precision; what spills registers is told."""

import re
import warnings

import pytest
from ptxas import report, spilled

from upstroke.codegen import generate
from upstroke.ionic import load_model, shipped_models


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
@pytest.mark.parametrize("name", [info.name for info in shipped_models()])
def test_kernels_compile(name, precision):
    log = report(generate(load_model(name), "cuda", precision).source)
    used = {entry: int(registers) for entry, registers in re.findall(
        r"entry function '(\w+)'.*?Used (\d+) registers", log, re.S)}
    assert used.keys() == {"upstroke_advance", "upstroke_rates"}
    if spilled(log):
        warnings.warn(f"{name} in {precision}: {used['upstroke_advance']} registers, {spilled(log)} bytes spilled",
                      stacklevel=1)
    if used["upstroke_advance"] < 128:
        assert spilled(log) == 0
