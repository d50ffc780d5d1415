"""What each verb of the command calls, and prints of it. What is heavy is imported where it is used."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from upstroke.errors import OptionError, OutputError, UnitError, UpstrokeError


def do_run(arguments: argparse.Namespace) -> int:
    from upstroke.case import load_case
    from upstroke.run import run

    case = load_case(*arguments.case, overrides=_overrides(arguments))
    return _told(run(case, arguments.out, show_progress=not arguments.quiet))


def do_resume(arguments: argparse.Namespace) -> int:
    from upstroke.run import resume

    return _told(resume(arguments.run, show_progress=not arguments.quiet, device=arguments.backend))


def _told(result: Any) -> int:
    """Print what came of a run (`Result`), but on processes that share it with one that does."""
    if result.summary:
        print(result.report())
    return 0


def do_check(arguments: argparse.Namespace) -> int:
    from upstroke.case import load_case
    from upstroke.check import check

    case = load_case(*arguments.case, overrides=_overrides(arguments))
    drawn = []
    if arguments.draw:                                           # first: what is wrong with it needs no trial
        from upstroke.view.cell import draw_cell

        drawn = [draw_cell(case, arguments.draw).path]
    print(check(case), *drawn, sep="\n")
    return 0


def _overrides(arguments: argparse.Namespace) -> list[str]:
    short = {"backend.device": arguments.backend, "membrane.model": arguments.model,
             "membrane.method": arguments.method}
    short |= {f"output.{key}": getattr(arguments, key, None) for key in ("checkpoint_every", "time_limit")}
    return arguments.set + [f'{key}="{word}"' for key, word in short.items() if word]


def do_models(arguments: argparse.Namespace) -> int:
    from upstroke.ionic import describe, describe_plugin, load_model, load_plugin, shipped_models, shipped_plugins
    from upstroke.ionic.library import citation, find_model, find_plugin

    if arguments.flag and (arguments.bibtex or not arguments.name):
        raise OptionError("--flag", "goes with a model that is described", "add its NAME, or leave --flag out")
    if arguments.names and (arguments.bibtex or arguments.name):
        raise OptionError("--names", "lists all, and goes with neither NAME nor --bibtex", "leave it out")
    if arguments.bibtex:
        shipped = shipped_plugins() if arguments.plugins else shipped_models()
        find, kind = (find_plugin, "plug-in") if arguments.plugins else (find_model, "model")
        paths = [find(arguments.name)] if arguments.name else [info.path for info in shipped]
        print(*dict.fromkeys(citation(path, kind) for path in paths), sep="\n\n")
        return 0
    if arguments.name:
        chosen = {"flags": "|".join(arguments.flag)} if arguments.flag else {}
        print(describe_plugin(load_plugin(arguments.name, chosen)) if arguments.plugins
              else describe(load_model(arguments.name, arguments.flag)))
        return 0
    models = shipped_plugins() if arguments.plugins else shipped_models()
    if arguments.names:
        print(*(model.name for model in models), sep="\n")
        return 0
    heads = [model.name + (f" ({', '.join(model.aliases)})" if model.aliases else "") for model in models]
    width = max(map(len, heads))
    lines: dict[str, list[str]] = {}
    for head, model in zip(heads, models, strict=True):
        indent = "  " if model.kind else ""
        lines.setdefault(model.kind, []).append(f"{indent}{head:{width}}  {model.brief or model.title}")
    for kind, entries in sorted(lines.items()):
        print(*([f"{kind.capitalize()}:"] if kind else []), *entries, sep="\n")
    return 0


def do_bench(arguments: argparse.Namespace) -> int:
    from upstroke.bench import main as bench

    return bench(arguments.words)


def do_view(arguments: argparse.Namespace) -> int:
    from upstroke.view.products import GOES_WITH, PRODUCTS, make

    wanted = {name: path for name in PRODUCTS if (path := getattr(arguments, name)) is not None}
    given = {name: getattr(arguments, name) for name in GOES_WITH}
    options = {name: value for name, value in given.items() if value is not None and value is not False}
    if wanted:
        made = make(arguments.run, wanted, options, probes=arguments.probes, rows=arguments.rows,
                    output=arguments.output)
    elif arguments.probes or arguments.rows or len(arguments.run) > 1 or not (arguments.run[0] / "vm.vtkhdf").is_file():
        from upstroke.bench.view import view

        make(arguments.run, {}, options)                         # says what options go with that are not of this page
        made = [view(arguments.run, arguments.output, **({} if arguments.rows is None else {"rows": arguments.rows}))]
    else:
        made = make(arguments.run, {"page": arguments.output or arguments.run[0] / "view.html"}, options)
    for one in made:
        print(one.path, *(f"note: {note}" for note in one.notes), sep="\n")
    if arguments.open:
        import webbrowser

        if not webbrowser.open(made[0].path.resolve().as_uri()):
            print("note: there is no browser to open it with", file=sys.stderr)
    return 0


def do_emit(arguments: argparse.Namespace) -> int:
    from upstroke.codegen import generate
    from upstroke.ionic import load_model

    if arguments.stats and arguments.target != "cuda":
        raise UpstrokeError("--stats", f"tells what a CUDA kernel needs, and the target is {arguments.target}",
                            "take --target cuda")
    if arguments.arch and not arguments.stats:
        raise UpstrokeError("--arch", "goes with --stats: the source is the same for every architecture", "add --stats")
    model = load_model(arguments.model, arguments.flag, methods=arguments.method or {})
    if arguments.stats:
        from upstroke.emit import stats

        text = stats(model, arguments.precision, arguments.arch or "sm_90")
    else:
        text = generate(model, arguments.target, arguments.precision).source
    if arguments.output is None:
        sys.stdout.write(text)
        return 0
    _write(arguments.output, text)
    return 0


def do_import(arguments: argparse.Namespace) -> int:
    from upstroke.exchange import import_model

    found = import_model(arguments.file, arguments.output.stem, vm=arguments.vm, current=arguments.current,
                         stimulus=arguments.stimulus)
    _write(arguments.output, found.text)
    print(f"{arguments.output}: {len(found.model.states) + 1} states, {len(found.model.parameters)} parameters; rates "
          f"as Myokit's at 6 states (relative difference {found.difference:.1g})", *found.notes, sep="\n  ")
    return 0


def do_export(arguments: argparse.Namespace) -> int:
    from upstroke.exchange import export_model
    from upstroke.ionic import load_model

    export_model(load_model(arguments.model, arguments.flag), arguments.output, arguments.to)
    return 0


def do_reduce(arguments: argparse.Namespace) -> int:
    from upstroke.reduce import load_cell, reduce_cell

    made = reduce_cell(load_cell(arguments.case, arguments.set), arguments.output, count=arguments.sites,
                       at=arguments.at, method=arguments.method)
    print(made.report, "", *made.files, sep="\n")
    return 0


def do_mesh(arguments: argparse.Namespace) -> int:
    from upstroke.anatomy import make_mesh, write_mesh

    keys = ([f'dx="{arguments.h}"'] if arguments.h else []) + arguments.set
    surfaces = {role: name for role, _, name in (text.partition("=") for text in arguments.surface)}
    mesh = make_mesh(arguments.kind, keys, surfaces, arguments.unit or "", arguments.mesher)
    print(write_mesh(mesh, arguments.output))
    return 0


def do_sweep(arguments: argparse.Namespace) -> int:
    from upstroke.sweep import read_plan, sweep

    plan = read_plan(arguments.study, tuple(arguments.set))
    if arguments.dry_run:
        print(plan.describe())
        return 0
    result = sweep(plan, arguments.out, workers=arguments.workers, retry_failed=arguments.retry_failed,
                   show_progress=not arguments.quiet)
    print(result.report())
    return 1 if result.count("failed") else 0


def do_erp(arguments: argparse.Namespace) -> int:
    from upstroke.case import load_case
    from upstroke.experiments.erp import find_erp

    case = load_case(*arguments.case, overrides=_overrides(arguments))
    low, high, tolerance = (_quantity(f"--{name}", getattr(arguments, name), "time")
                            for name in ("from", "to", "tolerance"))
    print(find_erp(case, low, high, tolerance, arguments.stimulus, arguments.probe, arguments.out).report())
    return 0


def do_tune_cv(arguments: argparse.Namespace) -> int:
    from upstroke.experiments.tune_cv import report, tune_axes

    strand = _strand(arguments)
    velocities = [_quantity("--velocity", text, "velocity") for text in arguments.velocity]
    spacing = [_quantity("--dx", text, "length") for text in arguments.dx]
    print(report(strand, tune_axes(strand, velocities, spacing, arguments.tolerance)))
    return 0


def do_cv_restitution(arguments: argparse.Namespace) -> int:
    from upstroke.experiments.restitution import cycles, restitution, write

    strand = _strand(arguments)
    low, high, step = (_quantity(f"--{name}", getattr(arguments, name), "time") for name in ("to", "from", "step"))
    asked = cycles(high, low, step)
    points = restitution(strand, _quantity("--conductivity", arguments.conductivity, "conductivity"),
                         _quantity("--dx", arguments.dx, "length"), asked, arguments.beats)
    print(write(strand, points, asked, arguments.out))
    return 0


def _strand(arguments: argparse.Namespace) -> Any:
    from upstroke.experiments.strand import Strand
    from upstroke.ionic import load_model
    from upstroke.waves.report import time_of, values_of

    time = time_of(arguments.dt, arguments.splitting, arguments.diffusion, arguments.reaction_steps)
    values = values_of(arguments.param)
    load_model(arguments.model, arguments.flag, values, arguments.method)      # says what is wrong in words of options
    return Strand(arguments.model, tuple(arguments.flag), values, arguments.method, time.dt,
                  time.splitting, time.diffusion, time.reaction_steps, arguments.waves,
                  _quantity("--beta", arguments.beta, "surface_to_volume"),
                  _quantity("--threshold", arguments.threshold, "voltage", signed=True))


def _quantity(option: str, text: str, kind: str, signed: bool = False) -> float:
    """A quantity, in its internal unit, as an option gives it."""
    from upstroke.units import parse

    try:
        value = parse(text, kind)
    except UnitError as error:
        raise UnitError(option, error.what, error.remedy) from None
    if not (signed or value > 0.0):
        raise UnitError(option, f"must be > 0, found {text}")
    return value


def do_tune_waves(arguments: argparse.Namespace) -> int:
    from upstroke.waves.report import time_of, tune, values_of

    time = time_of(arguments.dt, arguments.splitting, arguments.diffusion, arguments.reaction_steps)
    print(tune(arguments.model, arguments.flag, values_of(arguments.param), arguments.method, time, arguments.output))
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(str(path), f"cannot write: {error.strerror}", "choose another --output") from error
