"""``upstroke emit --stats``: what is counted, the table, and what is said where something is missing."""

from __future__ import annotations

import re
import sys

import pytest

from upstroke import emit
from upstroke.cli import main
from upstroke.codegen import generate
from upstroke.codegen.count import Instructions, instructions, operations
from upstroke.errors import BackendError, UpstrokeError
from upstroke.ionic import load_model

EQUATIONS = """
V; .external(Vm); .nodal(); .units(mV);
Iion; .external(); .units(uA/cm^2);
group { g = 0.3; E = -70; }.param();
V_init = -60; c_init = 0.2; m_init = 0.1;
m_inf = 1/(1 + exp(-V/9)); tau_m = 5;
diff_c = (m - c)/(1 + square(c)); c; .method(fe);
Iion = g*pow(m, 3)*(V - E) + log(c);
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.model"
    path.write_text(EQUATIONS)
    return load_model(path)


def test_traffic_is_what_a_step_reads_and_writes(small):
    kernel = {p: generate(small, "cuda", p) for p in ("fp64", "fp32", "mixed")}
    assert kernel["fp64"].traffic == 8 * (2 * 3 + 2)          # V, m, c in and out, Istim in, Iion out
    assert kernel["fp32"].traffic == 4 * (2 * 3 + 2)
    assert kernel["mixed"].traffic == 4 * (2 * 2 + 2) + 8 * 2
    assert generate(small, "cuda", "fp64", nodal=["g"], uniform=["E"]).traffic == 8 * (2 * 3 + 2 + 1)


def test_operations_are_counted_as_written(small):
    # exp: the steady state's and the update's; divisions: m_inf, the rates of c and V. Sums and products: m_inf 2, Iion
    # 4 and 2 of the cube, dV/dt 1, dc/dt 2 and 1 of the square, updates of V 2, c 2, m 4, the sum checked for NaN 2
    assert operations(small, "fp64") == {"+ - *": 22, "/": 3, "exp": 2, "log": 1}


PTX = """
.visible .entry other(
{
	add.f64 	%fd1, %fd2, %fd3;
}
.visible .entry kernel(
	.param .u64 n
)
{
	ld.global.nc.f64 	%fd1, [%rd1];
	fma.rn.f64 	%fd2, %fd1, %fd1, 0d3FF0000000000000;
	@%p1 mul.f64 	%fd3, %fd2, %fd2;
	sub.f32 	%f1, %f2, %f3;
	rcp.approx.ftz.f64 	%fd4, %fd3;
	ex2.approx.ftz.f32 	%f4, %f1;
	setp.lt.f64 	%p2, %fd3, %fd4;
	cvt.f64.f32 	%fd5, %f4;
	add.s64 	%rd2, %rd1, 8;
	st.global.f64 	[%rd2], %fd5;
}
"""


def test_instructions_are_counted_in_one_entry():
    assert instructions(PTX, "kernel") == Instructions(fp64=3, fp32=1, special=2, flop=4)


COMPILED = emit.Compiled(100, 16, 24, 0, 480, Instructions(200, 10, 9, 350))


@pytest.fixture
def no_device(monkeypatch):
    def refuse(device, precision):
        raise BackendError("backend.device", "CUDA cannot be used: none", "buy one")
    monkeypatch.setattr(emit, "open_backend", refuse)
    monkeypatch.setattr(emit, "compile_cuda", lambda source, arch: COMPILED)


def test_the_table(small, no_device):
    assert emit.stats(small, "fp64", "sm_90") == """\
small, fp64, sm_90: upstroke_advance in blocks of 128 threads

registers per thread        100
spilled                     16 bytes
stack                       24 bytes
shared, constant memory     0, 480 bytes
occupancy                   25 % (16 of 64 warps, bound by registers)

per node and step
  memory                    64 bytes
  operations as written     + - * 22, / 3, exp 2, log 1
  instructions              fp64 200, fp32 10, special functions 9
  arithmetic intensity      5.5 flop/byte (350 flop)

node-steps/s at most        bound by published figures, not measured: H100, 3.35 TB/s, 33.5 Tflop/s fp64, 66.9 fp32
  memory                    5.23e+10, the least
  fp64 arithmetic           8.38e+10
  fp32 arithmetic           3.34e+12
  special functions         4.65e+11
measured here               no: CUDA cannot be used: none. Run this on a machine with a CUDA device
"""


def test_other_devices_have_no_bounds(small, no_device):
    text = emit.stats(small, "fp64", "sm_120")
    assert "occupancy                   not known for sm_120\n" in text
    assert "node-steps/s at most        not known for sm_120; known: sm_80, sm_90\n" in text


def test_the_compiler_tells_what_a_kernel_needs():
    pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    compiled = emit.compile_cuda(generate(load_model("HodgkinHuxley"), "cuda", "fp32").source, "sm_90")
    assert 16 < compiled.registers < 80
    assert (compiled.spilled, compiled.shared, compiled.instructions.fp64) == (0, 0, 0)
    assert compiled.constant > 100           # the arguments alone
    assert compiled.instructions.fp32 > 50
    assert compiled.instructions.special >= 6
    with pytest.raises(UpstrokeError) as error:
        emit.compile_cuda("", "sm_1")
    assert error.value.exit_code == 2        # the user's mistake
    assert str(error.value).startswith("--arch: NVRTC does not know the architecture 'sm_1'\n  -> known: sm_")
    with pytest.raises(BackendError) as error:
        emit.compile_cuda("nonsense", "sm_90")
    assert str(error.value).startswith("--stats: NVRTC cannot compile the kernel:\nkernel.cu(1): error:")


def test_a_missing_compiler_is_told(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    assert main(["emit", "HodgkinHuxley", "--target", "cuda", "--stats"]) == 1
    assert re.fullmatch(r"--stats: NVRTC, NVIDIA's compiler, cannot be loaded: .*\n"
                        r"  -> pip install cuda-bindings nvidia-cuda-nvrtc\n", capsys.readouterr().err)


@pytest.mark.parametrize(("options", "expected"), [
    (["--target", "c", "--stats"],
     "--stats: tells what a CUDA kernel needs, and the target is c\n  -> take --target cuda\n"),
    (["--target", "cuda", "--arch", "sm_80"],
     "--arch: goes with --stats: the source is the same for every architecture\n  -> add --stats\n"),
])
def test_options_that_would_be_ignored_are_refused(capsys, options, expected):
    assert main(["emit", "HodgkinHuxley", *options]) == 2
    assert capsys.readouterr().err == expected


def test_the_table_goes_where_the_source_would(tmp_path, capsys, no_device):
    file = tmp_path / "table.txt"
    assert main(["emit", "HodgkinHuxley", "--target", "cuda", "--stats", "--arch", "sm_80", "-o", str(file)]) == 0
    assert file.read_text().startswith("HodgkinHuxley, fp64, sm_80: ")
    assert capsys.readouterr().out == ""
