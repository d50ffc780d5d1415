"""The backend's own CUDA texts compile for sm_90 in every form, without spilling registers."""

import re
from importlib import resources

import pytest
from ptxas import report, spilled

TEXT, RANKS = ("".join(resources.files("upstroke.backend").joinpath(f).read_text() for f in files)
               for files in (("couplings.cu", "kernels.cu"), ("couplings.cu", "kernels.cu", "ranks.cu")))


@pytest.mark.parametrize("rows_repeat", [0, 1])
@pytest.mark.parametrize("real", ["double", "float"])
def test_kernels_of_a_step(real, rows_repeat):
    found = report(f"typedef {real} real;\n#define ROWS_REPEAT {rows_repeat}\n{TEXT}")
    assert set(re.findall(r"entry function '(\w+)'", found)) == {
        "diffuse_cg", "diffuse_chebyshev", "diffuse_explicit", "take_over", "apply_inputs", "count_solve", "tick"}
    assert spilled(found) == 0


@pytest.mark.parametrize(("real", "rows_repeat"), [("double", 0), ("float", 1)])
def test_kernels_of_processes_that_share_a_run(real, rows_repeat):
    found = report(f"typedef {real} real;\n#define ROWS_REPEAT {rows_repeat}\n{RANKS}")
    assert {name for name in re.findall(r"entry function '(\w+)'", found) if name.startswith("rank_")} == {
        "rank_pack", "rank_pack_V", "rank_total", "rank_guess", "rank_residual", "rank_product", "rank_update",
        "rank_chebyshev", "rank_finish", "rank_solved", "rank_flow", "rank_subtract", "rank_status"}
    assert spilled(found) == 0


@pytest.mark.parametrize("real", ["double", "float"])
def test_the_implicit_step_of_v(real):
    text = resources.files("upstroke.backend").joinpath("voltage.cu").read_text()
    found = report(f"typedef {real} real;\n{text}")
    assert re.findall(r"entry function '(\w+)'", found) == ["step_voltage"] and spilled(found) == 0
