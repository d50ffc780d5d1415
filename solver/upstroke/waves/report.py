"""What ``upstroke tune-waves`` does and says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from upstroke.case.schema import TimeTable
from upstroke.errors import CaseError, UnitError, UpstrokeError
from upstroke.ionic import initial_state, load_model
from upstroke.units import parse
from upstroke.waves.find import cache_file, identity
from upstroke.waves.table import Table, add_table, stamped
from upstroke.waves.tune import Tuning

#: cm^2/ms, of the benchmark of Niederer et al. 2011 (10.1098/rsta.2011.0139): 1.3342 and 0.17606 mS/cm, 1400 /cm.
DIFFUSIVITY = {"along": 1.3342 / 1400.0, "across": 0.17606 / 1400.0}


def tune(model: str | Path, flags: Sequence[str], parameters: Mapping[str, float | str], methods: str,
         time: TimeTable, output: Path | None) -> str:
    """Measure the curve of a model, write it to ``output``, or to the cache, and tell it as a table.

    Raises
    ------
    ModelError for a model that cannot be loaded or has no waves; OutputError where the file cannot be written
    """
    began = perf_counter()
    loaded = load_model(model, flags, parameters, methods)
    start = initial_state(loaded)
    tuning = Tuning(loaded, time, start)
    curve = stamped(tuning.curve())
    table = Table(curve, identity(loaded, start, 1.0), tuning.errors(curve.q, np.zeros(len(curve.q))))
    path = output or cache_file(loaded, time, start, 1.0, "fp64")
    add_table(path, table)
    return "\n".join([_head(table), *_rows(table), f"measured in {perf_counter() - began:.1f} s, written to {path}"])


def time_of(dt: str, splitting: str, diffusion: str | None, reaction_steps: int) -> TimeTable:
    """The time table of the options. Raises UnitError and CaseError at the option's name."""
    try:
        step = parse(dt, "time")
    except UnitError as error:
        raise UnitError("--dt", error.what, error.remedy) from None
    if not step > 0.0:
        raise CaseError("--dt", f"must be > 0, found {dt}", 'for example "0.02 ms"')
    if reaction_steps < 1:
        raise CaseError("--reaction-steps", f"must be >= 1, found {reaction_steps}", "leave it out for 1")
    if splitting == "unsplit" and diffusion not in (None, "explicit"):
        raise CaseError("--diffusion", f'splitting "unsplit" takes explicit diffusion, not "{diffusion}"',
                        "leave --diffusion out")
    default = "explicit" if splitting == "unsplit" else "crank_nicolson"
    return TimeTable(end=step, dt=step, splitting=splitting, diffusion=diffusion or default,  # type: ignore[arg-type]
                     reaction_steps=reaction_steps)


def values_of(words: Sequence[str]) -> dict[str, float | str]:
    """Parameters from NAME=VALUE; a value that is no number is a change, such as -62%."""
    values: dict[str, float | str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise UpstrokeError("--param", f"'{word}' is not NAME=VALUE", "for example --param GNa=-62%")
        try:
            values[name] = float(value)
        except ValueError:
            values[name] = value
    return values


def _head(table: Table) -> str:
    source, c = table.curve.source, table.curve.velocity
    flags = f" ({source['flags']})" if source["flags"] else ""
    speeds = ", ".join(f"{c * D ** 0.5 * 10.0:.3f} mm/ms {way} fibres" for way, D in DIFFUSIVITY.items())
    return (f"{source['model']}{flags}, dt {source['dt']}, {source['splitting']}, {source['diffusion']}\n"
            f"plane waves on fine meshes: c/sqrt(D) = {c:.4f} /sqrt(ms); {speeds} (*)\n")


def _rows(table: Table) -> list[str]:
    assert table.lumped is not None
    rows = ["  q = h^2/D       h (*), mm             lumped mass:  corrected by",
            "         ms    along   across         velocity is         alpha"]
    for q, alpha, error in zip(table.curve.q, table.curve.alpha, table.lumped, strict=True):
        along, across = (10.0 * (q * D) ** 0.5 for D in DIFFUSIVITY.values())
        wrong = "  no wave" if error == -1.0 else f"{100.0 * error:+7.1f} %"
        rows.append(f"  {q:9.4g} {along:8.3f} {across:8.3f} {wrong:>19} {alpha:13.4f}")
    return [*rows, "(*) with D of Niederer et al. 2011 along and across fibres: "
            + ", ".join(f"{100.0 * D:.4g} mm^2/ms" for D in DIFFUSIVITY.values())]
