"""CUDA kernels compile for sm_90, without a device and without spilling registers."""

from __future__ import annotations

import re
import warnings

import pytest

from upstroke.codegen import generate
from upstroke.ionic import load_model, shipped_models

nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")

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


def compile_for_sm_90(source: str) -> str:
    """ptxas's report; fails with NVRTC's log where the source does not compile."""
    try:
        error, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    except RuntimeError as reason:
        pytest.skip(f"NVRTC cannot be loaded: {reason}")
    assert int(error) == 0
    options = [b"--gpu-architecture=sm_90", b"--ptxas-options=-v"]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    log = b" " * nvrtc.nvrtcGetProgramLogSize(program)[1]
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(program)
    assert int(error) == 0, log.decode()
    assert "warning" not in log.decode()
    return log.decode()


@pytest.mark.parametrize("precision", ["fp64", "fp32", "mixed"])
@pytest.mark.parametrize("name", [*(info.name for info in shipped_models()), "odd names"])
def test_kernels_compile(tmp_path, name, precision):
    if name == "odd names":
        name = tmp_path / "odd.model"
        name.write_text(ODD_NAMES)
    report = compile_for_sm_90(generate(load_model(name), "cuda", precision).source)
    assert {"upstroke_advance", "upstroke_rates"} <= set(re.findall(r"entry function '(\w+)'", report))
    spilled = sum(map(int, re.findall(r"(\d+) bytes spill", report)))
    if spilled:
        warnings.warn(f"{name} in {precision} spills {spilled} bytes of registers", stacklevel=1)


def test_parameters_from_memory_compile():
    model = load_model("HodgkinHuxley")
    names = [p.name for p in model.parameters]
    compile_for_sm_90(generate(model, "cuda", "mixed", uniform=names[:2], nodal=names[2:4]).source)
