"""What there is to choose from, and what is in it: --list-imps --plugin-outputs --imp-info --buildinfo --dump-lut."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upstroke import __version__
from upstroke.backend.compiler import find_compiler
from upstroke.bench.modifiers import chosen
from upstroke.bench.options import Options
from upstroke.bench.parts import Part, parts
from upstroke.errors import BackendError
from upstroke.ionic import find_plugin, initial_state, load_plugin, shipped_models, shipped_plugins
from upstroke.ionic.evaluate import value_of
from upstroke.ionic.header import read_header
from upstroke.ionic.library import ModelInfo
from upstroke.ionic.model import Lookup, Model
from upstroke.ionic.summary import changes
from upstroke.ionic.symbolic import free_names

Floats = NDArray[np.float64]

#: Of a model without ``.lookup()``.
TABLE_OF_V = Lookup("V", -100.0, 100.0, 0.05)
_CREDITS = ("Authors", "Year", "Title", "Journal", "DOI", "Comment")


def info(options: Options) -> str:
    """The answer to all options of the mode info that are given."""
    answers = []
    if options.given("list-imps"):
        answers.append(list_imps())
    if options.given("plugin-outputs"):
        answers.append(plugin_outputs())
    if options.given("imp-info"):
        choice = chosen(options)
        answers.append(imp_info(choice.load(), tuple(choice.plugins)))
    if options.given("buildinfo"):
        answers.append(build_info())
    return "\n\n".join(answers)


def list_imps() -> str:
    """All models and plug-ins that are shipped, with the older names that they go by."""
    return "\n".join(["Ionic models:", *_names(shipped_models()), "", "Plug-ins:", *_names(shipped_plugins())])


def _names(infos: Iterable[ModelInfo]) -> list[str]:
    infos = tuple(infos)
    width = max(len(each.name) for each in infos)
    return [f"\t{each.name:{width}}  {', '.join(each.aliases)}".rstrip() for each in infos]


def plugin_outputs() -> str:
    """The shared quantities that each plug-in changes, in one of its variants at least."""
    plugins = [load_plugin(each.name) for each in shipped_plugins()]
    width = max(16, *(len(plugin.name) for plugin in plugins))
    return "\n".join(f"\t{plugin.name:{width}} {' '.join(sorted(changes(plugin), key='Iion'.__eq__))}"
                     for plugin in plugins)


def imp_info(model: Model, plugins: Sequence[str] = ()) -> str:
    """Parameters with values, flags with options, states with initial values: of the model, then of each plug-in.

    ``plugins`` are the names or paths under which its plug-ins were loaded, in order.
    """
    headers = [model.header, *(read_header(find_plugin(name).read_text(encoding="utf-8-sig")) for name in plugins)]
    start = initial_state(model)
    values = {p.name: p.value for p in model.parameters}
    return "\n\n".join(_part(model, part, header, values, start)
                       for part, header in zip(parts(model), headers, strict=True))


def _part(model: Model, part: Part, header: Mapping[str, str], values: Mapping[str, float],
          start: Mapping[str, float]) -> str:
    flags = [flag for flag in model.flags if flag.name.rpartition(".")[0] == part.prefix.rstrip(".")]
    states = {} if part.prefix else {"Vm": start["V"]}
    states |= {name: start[part.full(name)] for name in part.states}
    return "\n".join([
        f"Name: {part.name}",
        *(f"{key}: {line}" for key in _CREDITS if key in header for line in header[key].splitlines()),
        "Parameters:", *(_row(name, f"{values[part.full(name)]:g}") for name in part.parameters),
        *(_row("flags", "|".join(flag.options)) for flag in flags),
        "\tState variables:", *(_row(name, f"{value:g}") for name, value in states.items()),
    ])


def _row(name: str, value: str) -> str:
    return f"\t{name:>32}\t{value}"


def build_info() -> str:
    """Versions of what computes, and the compiler at hand."""
    try:
        compiler = find_compiler()
        found = f"{compiler.name}: {compiler.version}"
    except BackendError as error:
        found = error.what
    return "\n".join([f"upstroke {__version__}", f"Python {platform.python_version()} on {sys.platform}",
                      *(f"{name} {version(name)}" for name in ("numpy", "scipy")), f"compiler {found}"])


# --------------------------------------------------------------------------------------------------------------- tables
def tables(model: Model, dt: float) -> dict[str, str]:
    """Text files by name, one for each ``.lookup()`` of the model, else for V from -100 to 100 mV by 0.05 mV.

    A column for everything that depends on that variable, parameters and dt (ms) alone. The kernels evaluate these
    directly; the tables are to be looked at.
    """
    name = re.sub(r"[^\w.]+", "_", model.name)
    return {f"LUT_{name}_{lookup.name}.dat": _table(model, lookup, dt) for lookup in model.lookups or (TABLE_OF_V,)}


def _table(model: Model, lookup: Lookup, dt: float) -> str:
    count = round((lookup.upper - lookup.lower) / lookup.step) + 1
    grid = np.linspace(lookup.lower, lookup.lower + (count - 1) * lookup.step, count)
    columns = _columns(model, lookup.name, grid, dt)
    head = [f"model {model.name}, dt {dt:g} ms",
            f"{lookup.name} from {lookup.lower:g} to {lookup.upper:g} by {lookup.step:g}",
            " ".join(_unit(model, name) for name in columns), " ".join(columns)]
    rows = np.column_stack(list(columns.values()))
    return "".join([*(f"# {line}\n" for line in head), *(" ".join(f"{x:.9g}" for x in row) + "\n" for row in rows)])


def _columns(model: Model, variable: str, grid: Floats, dt: float) -> dict[str, Floats]:
    """The variable, and what follows from it and does vary with it."""
    known: dict[str, Any] = {p.name: p.value for p in model.parameters} | {"dt": dt, variable: grid}
    varying = {variable}
    for definition in model.definitions:
        names = free_names(definition.expr)
        if names <= known.keys():
            known[definition.name] = value_of(definition.expr, known)
            varying |= {definition.name} if names & varying else set()
    return {name: np.broadcast_to(known[name], grid.shape)
            for name in (variable, *(d.name for d in model.definitions if d.name in varying - {variable}))}


def _unit(model: Model, name: str) -> str:
    """The unit without blanks; - where the file gives none."""
    return "mV" if name == "V" else model.units.get(name, "-").replace(" ", "") or "-"
