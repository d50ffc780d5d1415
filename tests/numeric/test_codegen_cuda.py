"""CUDA kernels compile for sm_90, without a device and without spilling registers."""

from __future__ import annotations

import re
import warnings
from importlib import resources

import pytest
from ptxas import compiled, report, spilled
from samples import RESETS, SAMPLE_MODELS, STIFF

from upstroke.codegen import generate
from upstroke.ionic import load_model

ODD_NAMES = """
V; .external(Vm); .nodal(); .units(mV);
Iion; .external(); .units(uA/cm^2);
group { I = 0.02; j1 = 1.5; y0 = 0.3; threadIdx = 2; }.param();
V_init = -60; step_init = 0.3; exp1_init = 0.2; float_init = 0.4; signbit_init = 0.1;
step_inf = 1/(1 + exp(-V/9)); tau_step = 3;
diff_exp1 = y0*(step - exp1)*sin(t) + expm1(-float) + log1p(float) + cbrt(V) + fmod(t, 5) + tanh(V) + cosh(float);
diff_float = 0.1*(step - float*float); float; .method(rk4);
diff_signbit = (V > -20 && !(t < 3)) ? pow(fabs(signbit), 1.3) : min(floor(V), max(exp1, threadIdx)) + atan2(V, j1);
Iion = I*(V + 70) + float + signbit;
"""


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
@pytest.mark.parametrize("name", [*SAMPLE_MODELS, "odd names", "stiff"])
def test_kernels_compile(tmp_path, name, precision):
    if texts := {"odd names": ODD_NAMES, "stiff": STIFF}.get(name):
        name = tmp_path / "text.model"
        name.write_text(texts)
    log = report(generate(load_model(name), "cuda", precision).source)
    assert {"upstroke_advance", "upstroke_rates"} <= set(re.findall(r"entry function '(\w+)'", log))
    if spilled(log):
        warnings.warn(f"{name} in {precision} spills {spilled(log)} bytes of registers", stacklevel=1)
    assert name != "tenTusscherPanfilov" or not spilled(log)


def test_parameters_from_memory_compile():
    model = load_model("HodgkinHuxley")
    names = [p.name for p in model.parameters]
    report(generate(model, "cuda", "mixed", uniform=names[:2], nodal=names[2:4]).source)


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
def test_the_loop_of_the_bench_compiles(precision):
    text = resources.files("upstroke.bench").joinpath("cells.h").read_text()
    log = report(generate(load_model("tenTusscherPanfilov"), "cuda", precision, nodal=["GNa", "Gkr"]).source + text)
    assert "upstroke_cells" in re.findall(r"entry function '(\w+)'", log)


COUPLINGS = """
#define UP_COUPLED 1
typedef double real;
typedef struct { const real *K; } up_couplings;
static __device__ __forceinline__ real up_coupling(const up_couplings *c, long i, const real *V)
{
    return c->K[i] * V[i];
}
"""


def test_coupled_kernels_compile():
    model = load_model("tenTusscherPanfilov")
    names = [p.name for p in model.parameters]
    for uniform in ((), names[:2]):
        log = report(COUPLINGS + generate(model, "cuda", "fp64", uniform=uniform).source)
        assert "upstroke_advance_coupled" in log
        assert spilled(log) == 0


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
def test_kernels_do_not_divide_by_subroutine(precision):
    """A division of the language is a call, and a hundred of them are half of a kernel."""
    source = generate(load_model("tenTusscherPanfilov"), "cuda", precision).source
    ptx = compiled(source, "compute_90", "PTX")[1]
    assert "rcp.approx.ftz" in ptx
    assert "div." not in ptx


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
@pytest.mark.parametrize("name", [*SAMPLE_MODELS, "stiff", "resets", "IntegrateAndFire", "DendriticSpike"])
def test_kernels_that_follow_V_compile(tmp_path, name, precision):
    texts, path = {"stiff": STIFF, "resets": RESETS}, tmp_path / "own.model"
    path.write_text(texts.get(name, ""))
    model = (load_model(path) if name in texts else
             load_model("Passive", plugins=["DendriticSpike"]) if name == "DendriticSpike" else load_model(name))
    nodal = ["GNa", "GL"] if name == "HodgkinHuxley" else []
    log = report(generate(model, "cuda", precision, nodal=nodal, follow=True).source)
    assert "upstroke_follow" in re.findall(r"entry function '(\w+)'", log)
    assert name == "OHara" or not spilled(log)
