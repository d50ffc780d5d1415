"""cupy.RawModule: CUDA text compiled for this processor, with launches that check what a device would not."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from upstroke.backend.compiler import Compiler, compile_c, find_compiler, try_compiler
from upstroke.errors import BackendError

from ._array import ndarray
from ._device import EmulatorError, Memory, MemoryPointer, Stream, ensure_device, queue_of

MULTIPROCESSORS, BLOCKS_PER_MULTIPROCESSOR = 2, 2
_HEADER = Path(__file__).parents[1] / "cuda_emulator.h"
_FLAGS = ("-x", "c++", "-std=c++17", "-nostdinc++", "-O1", "-fPIC", "-fvisibility=hidden", "-fno-exceptions",
          "-fno-rtti", "-fno-threadsafe-statics", "-fno-math-errno", "-ffp-contract=off", "-fno-strict-aliasing",
          "-U_FORTIFY_SOURCE", "-fno-sanitize=all", "-w")
#: Options of NVRTC that say nothing about what a text computes.
_IGNORED = re.compile(r"-I|--?(std=|include-path|gpu-architecture|arch|generate-line-info|lineinfo|ptxas-options|fmad"
                      r"|use_fast_math|maxrregcount|device-as-default|default-device|extra-device|restrict|dopt"
                      r"|diag-|disable-warnings|minimal|split-compile)|-Xptxas|-w$")


class CompileException(Exception):
    def __init__(self, msg: str, source: str, name: str, options: tuple[str, ...], backend: str = "nvrtc") -> None:
        self._msg, self.source, self.name, self.options, self.backend = msg, source, name, options, backend
        super().__init__()

    def __str__(self) -> str:
        return self._msg

    def get_message(self) -> str:
        return self._msg


# ---- CUDA text -> C++ text -> library ----

_BOUNDS = r"__launch_bounds__\s*\(\s*(?P<bound>[^(),]+|\([^()]*\))(?:,[^()]*)?\)"
_KERNEL = re.compile(rf'extern\s+"C"\s+(?P<head>(?:{_BOUNDS}|\w+|\s)*?)\b(?!__launch)(?P<name>\w+)\s*\(')
_SHARED = re.compile(r"(?P<extern>extern\s+)?\b__shared__\s+(?P<declaration>(?:[^][;=(){}]|\[[^]]*\])+);")
_DECLARATOR = re.compile(r"(?P<name>\w+)\s*(?P<dimensions>(?:\[[^\]]*\]\s*)*)$")


def translate(code: str, options: Sequence[str]) -> str:
    """The C++ text of a CUDA text. Lines keep their numbers, so that the compiler's log fits the CUDA text."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", lambda comment: " " + "\n" * comment[0].count("\n"), code, flags=re.DOTALL)
    kernels: dict[str, str] = {}

    def mark(match: re.Match[str]) -> str:
        """A kernel may be left out by the preprocessor: note beside it that it is there."""
        if "__global__" not in match["head"]:
            return match[0]
        kernels[match["name"]] = match["bound"] or "1024"
        line = code.count("\n", 0, match.start()) + 1
        return f'\n#define EMULATED_HAS_{match["name"]} 1\n#line {line}\n{match[0]}'

    text = _SHARED.sub(_place_in_shared_memory, _KERNEL.sub(mark, code))
    defines = []
    for option in options:
        if definition := re.fullmatch(r"(?:-D|--define-macro=)\s*(\w+)(?:=(.*))?", option):
            defines.append(f"#define {definition[1]} {definition[2] if definition[2] is not None else 1}")
        elif not _IGNORED.match(option):
            raise CompileException(f"nvrtc: error: unrecognized option {option} found", code, "kernel.cu", (*options,))
    entries = [f"#ifdef EMULATED_HAS_{name}\nEMULATED_KERNEL({name}, {bound})\n#endif"
               for name, bound in kernels.items()]
    return "\n".join((_HEADER.read_text(), *defines, '#line 1 "kernel.cu"', text, *entries, ""))


def _place_in_shared_memory(match: re.Match[str]) -> str:
    """``__shared__ T x[n], y;``: references into the memory of the block that runs."""
    first, *others = match["declaration"].split(",")
    found = _DECLARATOR.search(first)
    if not found:
        return match[0]
    kind, statements = first[:found.start()].strip(), []
    for name, dimensions in ((m["name"], m["dimensions"]) for m in (found, *map(_DECLARATOR.search, others)) if m):
        if match["extern"]:
            statements.append(f"{kind} *{name} = ({kind} *)emu::block->dynamic;")
        else:
            type_, place = f"emu_{name}", f"emu_at_{name}"
            statements.append(f"typedef {kind} {type_}{dimensions}; "
                              f"static const size_t {place} = emu::reserve(sizeof({type_}), alignof({type_})); "
                              f"{type_} &{name} = *({type_} *)(emu::block->shared + {place});")
    return " ".join(statements) + "\n" * match[0].count("\n")


class _Cpp(Compiler):
    """The project's C compiler, used for C++ that needs no C++ library."""

    @property
    def flags(self) -> tuple[str, ...]:
        return _FLAGS


@cache
def _compiler() -> Compiler:
    for compiler in (find_compiler(), try_compiler((sys.executable, "-m", "ziglang", "cc"))):
        if compiler is not None:
            chosen = _Cpp(compiler.name, compiler.version, compiler.command, False)
            try:
                compile_c("template <auto F> struct A {};\n", compiler=chosen)
            except BackendError:
                continue
            return chosen
    raise EmulatorError("no C++ compiler found: pip install ziglang")


@cache
def _load(code: str, options: tuple[str, ...]) -> ctypes.CDLL:
    try:
        path = compile_c(translate(code, options), compiler=_compiler())
    except BackendError as error:
        log = re.search(r"the whole log is (\S+)", str(error))
        raise CompileException(Path(log[1]).read_text() if log else str(error), code, "kernel.cu", options) from error
    library = ctypes.CDLL(str(path))
    library.emulated_launch.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
                                                                ctypes.c_char_p, ctypes.c_size_t]
    library.emulated_find_broken.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_long]
    library.emulated_find_broken.restype = ctypes.c_long
    return library


# ---- kernels ----

class _Parameter(ctypes.Structure):
    _fields_ = (("size", ctypes.c_uint), ("target", ctypes.c_uint),
                ("kind", ctypes.c_char), ("target_kind", ctypes.c_char))


class _Kernel(ctypes.Structure):
    _fields_ = (("bound", ctypes.c_int), ("count", ctypes.c_int), ("parameters", ctypes.POINTER(_Parameter)),
                ("call", ctypes.c_void_p))


@dataclass(frozen=True)
class Function:
    ptr: int


class RawModule:
    def __init__(self, *, code: str | None = None, path: str | None = None, options: tuple[str, ...] = (),
                 backend: str = "nvrtc", enable_cooperative_groups: bool = False) -> None:
        if (code is None) == (path is None):
            raise TypeError("Exactly one of `code` and `path` keyword arguments must be given.")
        if code is None or not isinstance(options, tuple) or not all(isinstance(option, str) for option in options):
            raise TypeError("the emulator takes code (str) and options (a tuple of str)")
        self.code, self.options, self.backend = code, options, backend
        self._cooperative = enable_cooperative_groups

    def get_function(self, name: str) -> RawKernel:
        ensure_device()
        return RawKernel(self.code, name, self.options, self.backend, enable_cooperative_groups=self._cooperative)


class RawKernel:
    num_regs, local_size_bytes, shared_size_bytes, const_size_bytes, binary_version = 32, 0, 0, 0, 90

    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc", *,
                 enable_cooperative_groups: bool = False) -> None:
        self.name = self.__name__ = name
        self._cooperative = enable_cooperative_groups
        self._library = _load(code, options)
        try:
            self._kernel = _Kernel.in_dll(self._library, f"emulated_kernel_{name}")
        except ValueError:
            raise RuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found ({name}; the emulator finds kernels "
                               'written extern "C" __global__ void NAME(...))') from None
        self.max_threads_per_block = self._kernel.bound
        self.kernel = Function(ctypes.addressof(self._kernel))

    @property
    def attributes(self) -> dict[str, int]:
        return {key: getattr(self, key) for key in ("max_threads_per_block", "shared_size_bytes", "const_size_bytes",
                                                    "local_size_bytes", "num_regs", "binary_version")}

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], *, shared_mem: int = 0,
                 stream: Stream | None = None) -> None:
        if not isinstance(grid, tuple) or not isinstance(block, tuple):
            raise TypeError("grid and block must be tuples")
        sizes = [max(1, int(size)) for size in ((*grid, 1, 1)[:3] + (*block, 1, 1)[:3])]
        blocks, threads = (int(np.prod(part, dtype=np.int64)) for part in (sizes[:3], sizes[3:]))
        if threads > self._kernel.bound:
            raise EmulatorError(f"{self.name}: {threads} threads a block, but at most {self._kernel.bound} may be")
        if sizes[0] >= 1 << 31 or max(sizes[1:3]) > 65535:
            raise EmulatorError(f"{self.name}: the grid {grid} is too large")
        if shared_mem > 227 << 10:
            raise EmulatorError(f"{self.name}: {shared_mem} bytes of shared memory are more than a block may have")
        resident = MULTIPROCESSORS * BLOCKS_PER_MULTIPROCESSOR
        if self._cooperative and blocks > resident:
            raise EmulatorError(f"{self.name}: {blocks} blocks cannot all be resident, only {resident}")
        queue_of(stream).put(self._bind(sizes, self._values(args), shared_mem, resident))

    def _values(self, args: Sequence[Any]) -> list[bytes]:
        kernel = self._kernel
        if len(args) != kernel.count:
            raise EmulatorError(f"{self.name} takes {kernel.count} arguments, not {len(args)}")
        values = []
        for k, arg in enumerate(args):
            wanted, (value, kind, target) = kernel.parameters[k], _by_value(arg)
            where = f"{self.name}, argument {k} ({type(arg).__name__})"
            wanted_kind = wanted.kind.decode()
            if len(value) != wanted.size:
                raise EmulatorError(f"{where}: {len(value)} bytes are passed, the parameter has {wanted.size}")
            if kind != wanted_kind and kind != "s":
                names = {"p": "a pointer", "f": "a floating-point number", "i": "an integer", "s": "a struct"}
                raise EmulatorError(f"{where}: {names[kind]} is passed where the parameter is {names[wanted_kind]}")
            if target and wanted.target and target.itemsize > 1 \
                    and (wanted.target != target.itemsize or (wanted.target_kind == b"f") != (target.kind == "f")):
                to = f"{'float' if wanted.target_kind == b'f' else 'int'}{8 * wanted.target}"
                raise EmulatorError(f"{where}: an array of {target} is passed where the parameter points to {to}")
            values.append(value)
        return values

    def _bind(self, sizes: list[int], values: list[bytes], shared: int, resident: int) -> Callable[[], None]:
        buffers = [ctypes.create_string_buffer(value, len(value)) for value in values]
        pointers = (ctypes.c_void_p * (len(buffers) + 1))(*map(ctypes.addressof, buffers))
        grid, block = ((ctypes.c_uint * 3)(*part) for part in (sizes[:3], sizes[3:]))
        message = ctypes.create_string_buffer(600)

        def run(keep: object = buffers) -> None:
            backwards = os.environ.get("UPSTROKE_EMULATED_ORDER") == "reverse"
            if self._library.emulated_launch(self.kernel.ptr, pointers, grid, block, shared, resident, backwards,
                                             message, len(message)):
                raise EmulatorError(f"{self.name}: {message.value.decode()}")
            Memory.check_fences(self._library.emulated_find_broken, self.name)
        return run


def _by_value(arg: Any) -> tuple[bytes, str, np.dtype | None]:
    """The bytes of an argument as CuPy passes it, its kind (pointer, float, integer, struct), what it points to."""
    if arg is None:
        return bytes(8), "p", None
    if isinstance(arg, ndarray):
        return arg.data.ptr.to_bytes(8, "little"), "p", arg.dtype
    if isinstance(arg, MemoryPointer):
        return arg.ptr.to_bytes(8, "little"), "p", None
    if isinstance(arg, np.ndarray):
        if arg.size != 1:
            raise TypeError(f"You are trying to pass a numpy.ndarray of shape {arg.shape} as a kernel parameter.")
        return arg.tobytes(), {"f": "f", "V": "s"}.get(arg.dtype.kind, "i"), None
    if type(arg) in (bool, int, float):
        dtype = {bool: np.dtype(np.bool_), float: np.dtype(float)}.get(type(arg)) \
            or np.dtype(np.uint64 if arg >= 1 << 63 else np.int64)
        return np.array(arg, dtype).tobytes(), dtype.kind if dtype.kind == "f" else "i", None
    if isinstance(arg, np.generic):
        return arg.tobytes(), {"f": "f", "V": "s"}.get(arg.dtype.kind, "i"), None
    raise TypeError(f"Unsupported type {type(arg)}")
