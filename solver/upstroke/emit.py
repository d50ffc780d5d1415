"""The table of ``upstroke emit --stats``: what a CUDA kernel needs of a GPU, and how fast it could be at most."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from time import perf_counter

from upstroke.backend import open_backend
from upstroke.codegen import Kernel, generate
from upstroke.codegen.count import Instructions, instructions, operations
from upstroke.codegen.kernel import Precision
from upstroke.errors import BackendError, UpstrokeError
from upstroke.ionic import initial_state
from upstroke.ionic.model import Model
from upstroke.step.state import State

ENTRY = "upstroke_advance"
THREADS = 128                  # of a block
REGISTERS, WARP = 65536, 32    # of a multiprocessor; threads
NODES, STEPS = 1_000_000, 200  # of the measurement


@dataclass(frozen=True)
class Device:
    """Published figures. ``memory`` in bytes/s; arithmetic in flop/s without tensor cores, a multiply-add being two."""

    name: str
    threads: int               # resident on a multiprocessor
    memory: float
    fp64: float
    fp32: float

    @property
    def special(self) -> float:
        """Special functions per second: 16 in a cycle of a multiprocessor, beside 128 multiply-adds in fp32."""
        return self.fp32 / 2 / 8


#: By architecture. A100 SXM 80 GB, H100 SXM: their data sheets.
DEVICES = {"sm_80": Device("A100", 2048, 2.04e12, 9.7e12, 19.5e12),
           "sm_90": Device("H100", 2048, 3.35e12, 33.5e12, 66.9e12)}


@dataclass(frozen=True)
class Compiled:
    """What NVRTC makes of a source, for one entry."""

    registers: int
    spilled: int               # bytes stored and loaded
    stack: int                 # bytes a thread
    shared: int                # bytes a block
    constant: int              # bytes, arguments among them
    instructions: Instructions


def stats(model: Model, precision: Precision, arch: str, nodes: int = NODES, steps: int = STEPS) -> str:
    """The table, as text.

    Parameters
    ----------
    model, precision : as for ``generate``
    arch : an architecture as NVRTC names it, for example "sm_90"
    nodes, steps : of the measurement, which is made where a GPU is at hand

    Raises
    ------
    BackendError : NVRTC is not installed; UpstrokeError : it does not know the architecture
    """
    kernel = generate(model, "cuda", precision)
    compiled = compile_cuda(kernel.source, arch)
    count, flop = compiled.instructions, compiled.instructions.flop
    as_written = ", ".join(f"{name} {n}" for name, n in operations(model, precision).items() if n)
    rows: list[tuple[str, str]] = [
        ("registers per thread", f"{compiled.registers}"),
        ("spilled", f"{compiled.spilled} bytes"),
        ("stack", f"{compiled.stack} bytes"),
        ("shared, constant memory", f"{compiled.shared}, {compiled.constant} bytes"),
        ("occupancy", _occupancy(compiled, arch)),
        ("", ""),
        ("per node and step", ""),
        ("  memory", f"{kernel.traffic} bytes"),
        ("  operations as written", as_written),
        ("  instructions", f"fp64 {count.fp64}, fp32 {count.fp32}, special functions {count.special}"),
        ("  arithmetic intensity", f"{flop / kernel.traffic:.1f} flop/byte ({flop} flop)"),
        ("", ""),
        *_bounds(kernel, count, arch),
        ("measured here", _measured(kernel, model, nodes, steps)),
    ]
    title = f"{model.name}, {precision}, {arch}: {ENTRY} in blocks of {THREADS} threads"
    return "\n".join([title, "", *(f"{name:27} {value}".rstrip() for name, value in rows)]) + "\n"


def _occupancy(compiled: Compiled, arch: str) -> str:
    """Resident threads of those that fit, where registers are given out by 8 per thread."""
    if arch not in DEVICES:
        return f"not known for {arch}"
    most = DEVICES[arch].threads
    by_registers = REGISTERS // (-(-compiled.registers // 8) * 8 * THREADS)
    blocks = min(by_registers, most // THREADS)
    limit = "registers" if by_registers * THREADS < most else "threads"
    return f"{100 * blocks * THREADS // most} % ({blocks * THREADS // WARP} of {most // WARP} warps, bound by {limit})"


def _bounds(kernel: Kernel, count: Instructions, arch: str) -> list[tuple[str, str]]:
    if arch not in DEVICES:
        return [("node-steps/s at most", f"not known for {arch}; known: {', '.join(DEVICES)}")]
    device = DEVICES[arch]
    work = {"memory": (device.memory, kernel.traffic), "fp64 arithmetic": (device.fp64 / 2, count.fp64),
            "fp32 arithmetic": (device.fp32 / 2, count.fp32), "special functions": (device.special, count.special)}
    bounds = {name: rate / amount for name, (rate, amount) in work.items() if amount}
    least = min(bounds, key=lambda name: bounds[name])
    head = (f"bound by published figures, not measured: {device.name}, {device.memory / 1e12:.2f} TB/s, "
            f"{device.fp64 / 1e12:.1f} Tflop/s fp64, {device.fp32 / 1e12:.1f} fp32")
    return [("node-steps/s at most", head), *((f"  {name}", f"{rate:.3g}{', the least' if name == least else ''}")
                                              for name, rate in bounds.items())]


def _measured(kernel: Kernel, model: Model, nodes: int, steps: int) -> str:
    """Node-steps and bytes per second of the kernel alone, or why there are none."""
    try:
        backend = open_backend("cuda", precision=kernel.precision)
    except BackendError as error:
        return f"no: {error.what}. Run this on a machine with a CUDA device"
    state = State([(kernel, initial_state(model), nodes)], backend)
    loop = backend.loop([backend.membrane(kernel.source, state.groups[0].arrays, 1.0, 0.005)])
    for n in range(3):            # compiles, records, warms up
        loop.run(n)
    loop.sync()
    start = perf_counter()
    for n in range(3, 3 + steps):
        loop.run(n)
    loop.sync()
    rate = nodes * steps / (perf_counter() - start)
    return f"{rate:.3g} node-steps/s, {rate * kernel.traffic / 1e9:.4g} GB/s, on {backend}, {nodes:g} nodes"


# -------------------------------------------------------------------------------------------------- compiler
def compile_cuda(source: str, arch: str, entry: str = ENTRY) -> Compiled:
    """Compile a CUDA source for an architecture; needs no device."""
    remedy = "pip install cuda-bindings nvidia-cuda-nvrtc"
    try:
        from cuda.bindings import nvrtc

        status, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    except (ImportError, RuntimeError) as error:
        raise BackendError("--stats", f"NVRTC, NVIDIA's compiler, cannot be loaded: {error}", remedy) from error
    options = [f"--gpu-architecture={arch}".encode(), b"--ptxas-options=-v", b"-ftz=true"]     # the last as CuPy does
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    log = b" " * nvrtc.nvrtcGetProgramLogSize(program)[1]
    nvrtc.nvrtcGetProgramLog(program, log)
    report = log.decode().strip("\0 \n")
    if status == nvrtc.nvrtcResult.NVRTC_ERROR_INVALID_OPTION:
        known = ", ".join(f"sm_{n}" for n in nvrtc.nvrtcGetSupportedArchs()[1])
        raise UpstrokeError("--arch", f"NVRTC does not know the architecture {arch!r}", f"known: {known}")
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise BackendError("--stats", f"NVRTC cannot compile the kernel:\n{report}", "report this, with the model")
    ptx, cubin = b" " * nvrtc.nvrtcGetPTXSize(program)[1], b" " * nvrtc.nvrtcGetCUBINSize(program)[1]
    nvrtc.nvrtcGetPTX(program, ptx)
    nvrtc.nvrtcGetCUBIN(program, cubin)
    nvrtc.nvrtcDestroyProgram(program)
    own = report[report.index(f"'{entry}'"):].partition("Compiling entry function")[0]

    def number(pattern: str) -> int:
        return sum(map(int, re.findall(rf"(\d+) {pattern}", own)))

    registers = int(re.findall(r"Used (\d+) registers", own)[0])
    sections = _sections(cubin)
    shared, constant = (sum(size for name, size in sections.items() if name.startswith(f".nv.{kind}")
                            and name.endswith(f".{entry}")) for kind in ("shared", "constant"))
    return Compiled(registers, number("bytes spill"), number("bytes stack"), shared, constant,
                    instructions(ptx.decode(), entry))


def _sections(elf: bytes) -> dict[str, int]:
    """Names and sizes of the sections of a 64-bit ELF file."""
    table, = struct.unpack_from("<Q", elf, 40)
    width, count, names = struct.unpack_from("<3H", elf, 58)
    headers = [struct.unpack_from("<2I4Q", elf, table + k * width) for k in range(count)]   # name, ..., offset, size
    strings = headers[names][4]
    return {elf[strings + h[0]:elf.index(b"\0", strings + h[0])].decode(): h[5] for h in headers}
