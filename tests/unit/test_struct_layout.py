"""Every struct that Python hands to C or CUDA lies in memory as the text there declares it, field by field."""

from __future__ import annotations

import ctypes
import importlib
import re
from importlib import resources

import numpy as np
import pytest

from upstroke.backend.compiler import compile_c
from upstroke.codegen import frames

HEAD = """
#include <stddef.h>
#define REAL double
typedef double real;
typedef struct team team;
typedef void (*exchange)(const void *);
typedef double (*adder)(double);
typedef long (*range_function)(long, long, const void *);
"""
#: Text, struct in it, struct of ctypes or dtype. A struct that another one holds is there in the same text.
STRUCTS = [
    ("upstroke.codegen", "_ARGS", "upstroke_args", "upstroke.backend.cpu:KernelArgs"),
    ("upstroke.backend", "couplings.h", "up_couplings", "upstroke.backend.cpu:_CouplingArgs"),
    ("upstroke.backend", "runtime.c", "diffusion", "upstroke.backend.cpu_diffusion:DiffusionArgs"),
    ("upstroke.backend", "tree.c", "tree_args", "upstroke.backend.tree:TreeArgs"),
    ("upstroke.codegen", "_FOLLOW_ARGS", "upstroke_follow_args", "upstroke.backend.cpu:FollowArgs"),
    ("upstroke.backend", "voltage.c", "tree_pack", "upstroke.backend.hines:PACK"),
    ("upstroke.backend", "voltage.c", "voltage_args", "upstroke.backend.hines:VoltageArgs"),
    ("upstroke.backend", "calls.c", "stage_call", "upstroke.backend.cpu_loop:StageCall"),
    ("upstroke.backend", "voltage.cu", "levels_args", "upstroke.backend.voltage:LevelsArgs"),
    ("upstroke.backend", "couplings.cu", "rows", "upstroke.backend.cuda_diffusion:RowsArgs"),
    ("upstroke.backend", "couplings.cu", "up_couplings", "upstroke.backend.cuda_diffusion:CouplingArgs"),
    ("upstroke.backend", "kernels.cu", "diffusion", "upstroke.backend.cuda_diffusion:DiffusionArgs"),
    ("upstroke.backend", "ranks.cu", "rank_diffusion", "upstroke.backend.cuda_ranks_diffusion:RankDiffusionArgs"),
    ("upstroke.backend", "ranks.cu", "some_rows", "upstroke.backend.cuda_ranks_diffusion:SomeRowsArgs"),
    ("upstroke.backend", "kernels.cu", "inputs", "upstroke.backend.cuda_diffusion:InputArgs"),
    ("upstroke.backend", "kernels.cu", "loop_clock", "upstroke.backend.cuda_loop:CLOCK"),
    ("upstroke.observe", "activation.c", "activation_args", "upstroke.observe.activation:_Args"),
    ("upstroke.observe", "probes.c", "probe_args", "upstroke.observe.samples:_Args"),
    ("upstroke.observe", "electrogram.c", "electrogram_args", "upstroke.observe.ecg:_Args"),
    ("upstroke.observe", "spikes.c", "spike_args", "upstroke.observe.spikes:_Args"),
    ("upstroke.step", "gaps.c", "gap_args", "upstroke.step.gaps:GapArgs"),
    ("upstroke.step", "noise.c", "noise_kind", "upstroke.step.noise:KIND"),
    ("upstroke.step", "noise.c", "noise_args", "upstroke.step.noise:NoiseArgs"),
    ("upstroke.step", "network.c", "network_args", "upstroke.step.network:NetworkArgs"),
    ("upstroke.step", "conductances.c", "conductance_args", "upstroke.step.conductances:ConductanceArgs"),
]
RENAMED = {"runtime.c": {"t": "team"}}
#: What stands in them.
NEEDED = {"up_couplings": ("rows",), "diffusion": ("rows",), "rank_diffusion": ("rows",),
          "upstroke_follow_args": ("upstroke_args",),
          "voltage_args": ("tree_pack",), "conductance_args": ("synapse_kind",), "noise_args": ("noise_kind",),
          "network_args": ("synapse_kind",)}


def declaration(text: str, name: str) -> str:
    found = re.search(r"typedef struct \{[^{}]*\} " + name + ";", text)
    return found[0] if found else ""


def read(package: str, file: str) -> str:
    if package == "upstroke.codegen":
        return frames._ARGS + getattr(frames, file)
    text = resources.files(package).joinpath(file).read_text()
    before = {"kernels.cu": "couplings.cu", "ranks.cu": "couplings.cu", "network.c": "conductances.c"}.get(file)
    return (resources.files(package).joinpath(before).read_text() if before else "") + text


def in_python(name: str) -> tuple[list[str], list[int]]:
    """Names of the fields; offset and size of each, then the size of the whole."""
    module, attribute = name.split(":")
    kind = getattr(importlib.import_module(module), attribute)
    if isinstance(kind, np.dtype):
        fields = [(field, offset, type_.itemsize) for field, (type_, offset) in kind.fields.items()]
        size = kind.itemsize
    else:
        fields = [(field, getattr(kind, field).offset, getattr(kind, field).size) for field, _ in kind._fields_]
        size = ctypes.sizeof(kind)
    return [field for field, _, _ in fields], [*(x for _, offset, bytes_ in fields for x in (offset, bytes_)), size]


@pytest.mark.parametrize("package, file, struct, twin", STRUCTS, ids=[f"{file} {s}" for _, file, s, _ in STRUCTS])
def test_a_struct_lies_in_memory_as_declared(package, file, struct, twin, request):
    if twin.startswith("upstroke.backend.cuda_loop:"):
        request.getfixturevalue("emulated_cupy")
    text = read(package, file)
    declared = declaration(text, struct)
    assert declared
    names, layout = in_python(twin)
    declared_names = fields_of(declared)
    assert [RENAMED.get(file, {}).get(name, name) for name in declared_names] == names
    places = ", ".join(f"offsetof({struct}, {name}), sizeof((({struct} *)0)->{name})" for name in declared_names)
    source = "\n".join((HEAD, *(declaration(text, needed) for needed in NEEDED.get(struct, ())), declared,
                        f"const size_t layout[] = {{{places}, sizeof({struct})}};"))
    library = ctypes.CDLL(str(compile_c(source)))
    assert list((ctypes.c_size_t * len(layout)).in_dll(library, "layout")) == layout


def fields_of(declared: str) -> list[str]:
    """Names of the fields of a declaration, in order."""
    body = re.sub(r"/\*.*?\*/", "", declared, flags=re.DOTALL)
    declarators = (d for line in body[body.index("{") + 1:body.index("}")].split(";") for d in line.split(","))
    return [re.findall(r"\w+", re.sub(r"\[.*?\]", "", d))[-1] for d in declarators if d.strip()]
